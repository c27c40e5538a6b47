"""A trained model as a folder that a hub of models takes: its weights, what builds it, a graph, and a page with its figures.

``paperzoo.load(FOLDER)`` reads such a folder, and ``paperzoo.load("hf:owner/name@revision")`` one that was uploaded.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from paperzoo import catalog
from paperzoo.data.datasets import listed, parse
from paperzoo.engine import checkpoint, weights
from paperzoo.engine.run import open_run
from paperzoo.errors import PaperzooError
from paperzoo.files import path_of, write
from paperzoo.report.cards import idea
from paperzoo.results import command_of, notes
from paperzoo.tasks.model import Model
from paperzoo.terminal import plain

#: what a hub calls our tasks; it has no word for the others
PIPELINES = {
    "image generation": "unconditional-image-generation", "classification": "image-classification", "detection": "object-detection",
    "text detection": "object-detection", "video classification": "video-classification", "super-resolution": "image-to-image",
    "image translation": "image-to-image", "in-painting": "image-to-image", "text to image": "text-to-image", "captioning": "image-to-text",
    "visual question answering": "visual-question-answering", "translation": "translation", "language modelling": "text-generation",
    "tagging": "token-classification", "text classification": "text-classification", "pre-training": "fill-mask",
    "embedding": "feature-extraction", "forecasting": "time-series-forecasting",
}  # fmt: skip


def folder(source: str, out: Path, code: tuple[str, ...] = ()) -> list[Path]:
    """Writes README.md, config.json, model.safetensors and, where the network has a graph and the extra is there, model.onnx.

    The folder appears whole or not at all.

    Args:
        source: a run's directory, a weights file, or a paper whose weights ship.
        out: a folder that is not there yet, or empty.

    Raises:
        PaperzooError: something lies in ``out``, or as ``paperzoo.load``.
    """
    out = path_of(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise PaperzooError(f"{plain(out)} is {'not empty' if out.is_dir() else 'a file'}: name a folder that is not there yet")
    model, about, place = weights.load(source, code), _about(source), out.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
        made = Path(scratch) / "made"
        weights.export(model, made / "model.safetensors", False, about)
        config = {
            "library_name": "paperzoo", "name": model.name, "arguments": model.lean()[0],
            "names": list(getattr(model, "names", ())), "prepared": model.prepared,
        }  # fmt: skip
        write(made / "config.json", json.dumps(config, indent=2, default=str) + "\n")
        graph = _graph(model, made)
        write(made / "README.md", page(model, about, graph))
        if place.exists():
            place.rmdir()
        shutil.move(made, place)
    return sorted(out.iterdir())


def _graph(model: Model, made: Path) -> str:
    """Why there is no model.onnx; empty if there is one."""
    from paperzoo.engine.export import export

    if any(find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")):
        return "It has no ONNX file: what writes one was not installed."
    try:
        export(model, made / "model.onnx")
    except PaperzooError as error:
        return f"It has no ONNX file: {error}."
    return ""


def _about(source: str) -> dict[str, Any]:
    """The provenance that a run or a weights file records."""
    keys = ("recipe_name", "recipe_hash", "seed", "commit", "hardware", "metrics", "command")
    path = path_of(source)
    if path.is_dir() and (path / "run.json").is_file():
        run = open_run(path)
        record: dict[str, Any] = {**run.info, "metrics": run.metrics, "command": command_of(run.info)}
        data = parse(run.info["recipe"]["data"]).short
    else:
        file = path / "model.safetensors" if path.is_dir() else path if path.suffix == ".safetensors" else weights.shipped(source)
        record = checkpoint.read(file)[1]
        data = re.sub(r"^learnt from |[:(].*$", "", str(record.get("licence", ""))).strip()
    row = listed(data)
    licence = f"learnt from {data} ({row.licence})" if row and row.licence else f"learnt from {data or 'unknown data'}"
    return {**{key: record[key] for key in keys if key in record}, "licence": licence, "data": data}


def page(model: Model, about: Mapping[str, Any], graph: str) -> str:
    """README.md: metadata as a hub reads it, then what the model is, its figures, how it fails, and how it is used."""
    entry = catalog.load(model.name)
    paper, data = entry.paper, plain(about.get("data") or "unknown")
    family = [catalog.CATALOG[paper.name].family] if paper.name in catalog.CATALOG else []
    tags = ["paperzoo", *family, *([f"arxiv:{paper.arxiv}"] if paper.arxiv else [])]
    kind = PIPELINES.get(model.task)
    metrics = {name: value for name, value in (about.get("metrics") or {}).items() if isinstance(value, int | float)}
    measured = {
        "name": f"{model.name}, recipe {about.get('recipe_name', 'unknown')}",
        "results": [
            {
                "task": {"type": kind or "other", "name": model.task},
                "dataset": {"type": data, "name": data},
                "metrics": [{"type": name, "name": name, "value": value} for name, value in metrics.items()],
            }
        ],
    }
    head: dict[str, Any] = {"license": "mit", "library_name": "paperzoo", **({"pipeline_tag": kind} if kind else {}), "tags": tags}
    head |= {"datasets": [data]} if listed(data) else {}
    head |= {"model-index": [measured]} if metrics else {}
    front = "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in head.items())  # JSON is YAML
    rows = "\n".join(f"| {name} | {value:.4g} |" for name, value in metrics.items())
    _, fails = notes(paper)
    who = f"{paper.authors}{', ' if paper.authors else ''}{paper.year}"
    blocks = [
        f"---\n{front}---", f"# {model.name}", f"{paper.title} ({who}), as paperzoo trains it.",
        idea(entry),
        f"## What was measured\n\nBy `{about.get('command', 'an unknown command')}`, {about.get('hardware', 'on an unknown machine')}:\n\n"
        f"| metric | value |\n| --- | --- |\n{rows}" if rows else "",
        f"## How it fails\n\n{fails}" if fails else "",
        "## Use\n\n```python\nimport paperzoo\n\nmodel = paperzoo.load(\"FOLDER\")  # this folder, or hf:owner/name@revision\n```",
        graph or "`model.onnx` is the same network for other programs; its metadata says what goes in and what comes out.",
        f"Code MIT. Weights {about.get('licence', 'of unknown origin')}.",
    ]  # fmt: skip
    return "\n\n".join(block for block in blocks if block) + "\n"
