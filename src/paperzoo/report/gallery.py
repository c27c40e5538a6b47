"""The gallery: a static site on which every model runs in the visitor's browser, and its server.

The pages are plain JavaScript (``report/site``); a room is what a task says of a model (``Task.room``). Networks are ONNX with weights in
float16, run by onnxruntime's WebAssembly, which is fetched once, when a gallery is built, and never committed. No page asks another host
for anything.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import tempfile
import webbrowser
from collections.abc import Iterable, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from paperzoo import catalog, results
from paperzoo.data.datasets import dataset
from paperzoo.data.fetch.weights import BROWSER_RUNTIME
from paperzoo.engine import checkpoint, weights
from paperzoo.engine.export import halved, write_graph
from paperzoo.errors import PaperzooError
from paperzoo.files import path_of, write
from paperzoo.tasks.graphs import Room
from paperzoo.tasks.model import Model
from paperzoo.tasks.pictures import grid, save
from paperzoo.terminal import plain

#: what of the runtime's package a page needs
RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
#: pictures of the test split that a room shows
EXAMPLES = 6
PAGES = "https://OWNER.github.io/paperzoo/results/{}/"


def shipped() -> list[str]:
    """The names of the papers whose weights ship; those of judges, which are kept by other names, are left out."""
    stems = sorted(path.stem for path in weights.SHIPPED.glob("*.safetensors") if "." not in path.stem)
    return [stem.replace("-", ":", 1) for stem in stems if stem.partition("-")[0] in catalog.CATALOG]


def room_of(model: Model) -> Room | None:
    """The room of the first of the model's tasks that has one."""
    return next((room for task in model.active() if (room := task.room(model)) is not None), None)


def build(
    out: Path, sources: Sequence[str] = (), more: Sequence[str] = (), code: Sequence[str] = (), runtime: bool = True, examples: bool = True
) -> list[str]:
    """Writes the site, and returns the names of its rooms; it appears whole or not at all.

    Args:
        out: a folder that is not there yet or empty, or an earlier gallery, which is replaced.
        sources: papers whose weights ship, runs or weights files; default: all papers whose weights ship. more: beside these.
        runtime: whether what runs networks is there, too; without it the pages show nothing.
        examples: whether rooms show pictures of the data that their models were tested on, where these can be had.

    Raises:
        PaperzooError: something else lies in ``out``, a model has no room, or the runtime cannot be fetched.
    """
    out = path_of(out)
    if out.exists() and not out.is_dir():
        raise PaperzooError(f"{plain(out)} is a file: name a folder that is not there yet")
    if out.is_symlink():
        raise PaperzooError(f"{plain(out)} is a link: name the folder itself")
    out = out.resolve()  # of "." what is made would otherwise lie in what it replaces
    there = {path.name for path in out.iterdir()} if out.exists() else set()
    ours = {path.name for path in (files("paperzoo.report") / "site").iterdir()} | {"models", "examples", "runtime", "rooms.json"}
    if there and (strange := sorted(there - ours) or ([] if "rooms.json" in there else sorted(there))):
        raise PaperzooError(f"{plain(out)} is not empty, nor a gallery ({plain(strange[0])} is there): name a folder that is not there yet")
    models, own = [], (*sources, *more)
    for source in [*(sources or shipped()), *more]:
        model = weights.load(source, code)
        if (room := room_of(model)) is not None:
            models.append((model, room, _recipe(source, model.name)))
        elif source in own:
            raise PaperzooError(f"{plain(source)} has no room in the gallery: {model.task} cannot be played with in a browser yet")
    archive, rooms = BROWSER_RUNTIME.fetch() if runtime else None, list[dict[str, Any]]()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        made = Path(scratch) / "made"
        with as_file(files("paperzoo.report") / "site") as site:
            shutil.copytree(site, made)
        for model, room, recipe in models:
            rooms.append(_written(made, model, room, recipe, {one["id"] for one in rooms}, examples))
        if archive is not None:
            _unpack(archive, made / "runtime")
        page = sum(path.stat().st_size for path in made.rglob("*") if path.suffix in (".js", ".css", ".html"))
        about = {
            "rooms": rooms, "page": -(-page // 1000),
            "runtime": sum((made / "runtime" / name).stat().st_size for name in RUNTIME) // 1000 if runtime else 0,
            "notice": "The code is under the MIT licence, onnxruntime (Microsoft) too; data under the terms in LICENSES.md.",
        }  # fmt: skip
        write(made / "rooms.json", json.dumps(about))
        if out.exists():
            out.rename(Path(scratch) / "before")  # where it stays until all of it is replaced
        made.rename(out)
    return [room["id"] for room in rooms]


def _recipe(source: str, name: str) -> str:
    """The recipe whose weights ship as ``source``; ``""`` for a run or a file of the user's, of which no recorded figure speaks."""
    if source != name:
        return ""
    return str(checkpoint.read(weights.shipped(name))[1].get("recipe_name", ""))


def _written(made: Path, model: Model, room: Room, recipe: str, taken: Iterable[str], examples: bool) -> dict[str, Any]:
    """Writes a room's networks and pictures; returns what the page reads of it."""
    entry = catalog.load(model.name)
    name = model.name.replace(":", "-")
    name = next(one for one in (name, *(f"{name}-{k}" for k in range(2, 1000))) if one not in taken)
    model, graphs = halved(model), dict[str, Any]()
    room = room_of(model) or room  # of the rounded weights
    for key, graph in room.graphs.items():
        path = write_graph(model, graph, made / "models" / f"{name}.{key}", "onnx", "float16")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        graphs[key] = {"file": f"models/{path.name}", "sha256": digest, "inputs": list(graph.inputs), "outputs": list(graph.outputs)}
    size = sum((made / graph["file"]).stat().st_size for graph in graphs.values())
    pictures = _examples(made, name, model, room, recipe) if examples and room.pictures else []
    return {
        "id": name, "name": model.name, "kind": room.kind, "title": entry.paper.title, "year": entry.paper.year,
        "graphs": graphs, "facts": dict(room.facts), "kilobytes": size // 1000, "examples": pictures,
        "page": PAGES.format(entry.paper.name), **_figure(model.name, recipe),
    }  # fmt: skip


def _figure(name: str, recipe: str) -> dict[str, str]:
    """What was measured of the recipe with its target, as the paper's page says it; nothing where there is none."""
    entry = catalog.load(name)
    for row in results.rows():
        if (row["paper"], row["variant"], row["recipe"]) == (entry.paper.name, entry.variant, recipe) and row["target"]:
            claim = f", the paper's claim {row['claim']}" if row["claim"] else ""
            return {"figure": f"Measured: {row['metric']} {row['mean']:.4g}, asked {row['target']}{claim};", "status": row["status"]}
    return {"figure": "", "status": ""}


def _examples(made: Path, name: str, model: Model, room: Room, recipe: str) -> list[str]:
    """The first pictures of the data that the model was tested on, as PNG; none where these cannot be had, or may not be shown on a site:
    so none of the user's own data."""
    data = str(model.prepared.get("data", "")) or getattr(catalog.load(model.name).paper.recipes.get(recipe), "data", "")
    try:
        size, channels = room.facts.get("size"), room.facts.get("channels")
        whole = dataset(data, **({"image_size": size, "channels": channels} if size else {}))
        items = whole["test"]
        shown = min(EXAMPLES, len(items)) if whole.pictures else 0
        images = [getattr(items.batch([i]), room.pictures)[0] for i in range(shown)]
    except PaperzooError:
        return []
    paths = [save(grid(image[None]), made / "examples" / f"{name}-{i}.png") for i, image in enumerate(images)]
    return [path.relative_to(made).as_posix() for path in paths]


def _unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        for name in RUNTIME:
            member = tar.extractfile(f"package/dist/{name}")
            assert member is not None  # the archive's hash is pinned
            write(folder / name, member.read())


class _Handler(SimpleHTTPRequestHandler):
    extensions_map = {
        **SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm"
    }  # fmt: skip

    def log_message(self, format: str, *words: Any) -> None:
        """Requests are not printed."""


def server(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """A server of the folder on 127.0.0.1, at any free port if it is 0.

    Raises:
        PaperzooError: the port is taken.
    """
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, directory=str(folder)))
    except (OSError, OverflowError) as error:
        raise PaperzooError(f"port {port} cannot be listened at ({error}): choose another by --port, or 0 for any") from error


def serve(folder: Path, port: int = 0, browser: bool = True) -> None:
    """Serves the folder until Ctrl-C, and opens it in the browser."""
    with server(folder, port) as serving:
        address = f"http://127.0.0.1:{serving.server_port}/"
        print(f"{address} (Ctrl-C ends it)", flush=True)
        if browser:
            webbrowser.open(address)
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            print()
