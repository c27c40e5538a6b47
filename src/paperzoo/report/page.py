"""A run's report: one HTML file that holds everything and needs no network."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image

from paperzoo import __version__, catalog
from paperzoo.data.datasets import listed
from paperzoo.engine.job import OPTIONS
from paperzoo.engine.run import Run, read_json
from paperzoo.files import write
from paperzoo.report.cards import claim_figure, claim_here, flowing, idea
from paperzoo.report.figures import loss_curves, measured_curves
from paperzoo.results import claim_of, claim_text, notes

TEMPLATES = Path(__file__).parent / "templates"
#: pictures of the strip over the training
STRIP = 8


def write_page(run: Run) -> Path:
    """Writes ``report.html`` into the run's directory, whether the run has finished or not, and returns its path.

    Raises:
        PaperzooError: the run's paper is no longer there, or the file cannot be written.
    """
    info, entry = run.info, catalog.load(run.info["name"])
    done = run.directory / "result.json"
    finished, lines = done.exists(), run.lines
    at = lines[-1] if lines else {"step": 0, "seconds": 0.0}
    last = read_json(done) if finished else {"steps": at["step"], "seconds": at["seconds"]}
    changed = {k: v for k, v in info["overrides"].items() if k not in OPTIONS}
    pictures = [p for p in run.figures if p.suffix == ".png"]
    steps = [p for p in pictures if re.match(r"[0-9]{8}", p.stem)]
    fragments = sorted((run.directory / "figures").glob("final-*.html"))  # text that can be selected, instead of its picture
    finals = [p for p in pictures if p.stem.startswith("final") and p.with_suffix(".html") not in fragments]
    curves = [*loss_curves(lines).items(), *measured_curves(lines).items()]
    html = render(
        "run.html",
        name=entry.name,
        paper=entry.paper,
        idea=idea(entry),
        info=info,
        finished=finished,
        at=last["steps"],
        measured=measured_rows(entry, info["recipe_name"], info["recipe"]["data"], run.metrics),
        changed=", ".join(f"{k} = {v}" for k, v in changed.items()),
        finals=[picture(p, p.stem.removeprefix("final-")) for p in finals],
        fragments=[p.read_text(encoding="utf-8", errors="backslashreplace") for p in fragments],
        strip=[picture(p, f"step {int(p.stem[:8]):,}") for p in spread(steps, STRIP)],
        moving=[picture(p, moving_caption(p)) for p in run.figures if p.suffix == ".gif"],
        curves=[(title, data_uri(drawn, "png")) for title, drawn in curves],
        facts=facts(info, last, changed),
        fails=flowing(notes(entry.paper)[1]),
        claims=[{**vars(c), "figure": claim_figure(c), "here": claim_here(c)} for c in entry.paper.claims],
        commands=commands(run, info, entry),
    )
    return write(run.directory / "report.html", html)


def moving_caption(path: Path) -> str:
    """What an animation shows: a task's own, or the pictures of every checkpoint."""
    return path.stem.removeprefix("final-") if path.stem.startswith("final-") else f"{path.stem} of every checkpoint"


def measured_rows(entry: catalog.Entry, recipe_name: str, data: str, metrics: Mapping[str, float]) -> list[dict[str, Any]]:
    """Each metric beside the recipe's targets and the claim that they name; beside neither on other data than the recipe's."""
    recipe_name = entry.renamed(recipe_name)
    recipe = entry.paper.recipes.get(recipe_name)
    same_data = recipe is not None and data == recipe.data
    rows = []
    for metric, value in metrics.items():
        targets = [t for t in recipe.targets_of(entry.variant) if t.metric == metric] if recipe and same_data else []
        about = [claim_of(entry, recipe_name, metric, target) for target in (targets or (None,))] if same_data else []
        rows.append(
            {
                "metric": metric,
                "value": f"{value:.4g}",
                "target": "; ".join(map(str, targets)),
                "met": bool(targets) and all(not t.than and t.met(value) for t in targets),
                "claims": list(dict.fromkeys(claim_text(claim) for claim in about if claim)),
            }
        )
    return rows


def facts(info: Mapping[str, Any], last: Mapping[str, Any], changed: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was trained, with what, on what; in the order of interest."""
    recipe = info["recipe"]
    shown = {k: v for k, v in recipe.items() if k not in ("data", "steps", "train_on") and v not in (None, "", 1, {}, [])}
    source = entry.source if (entry := listed(recipe["data"])) else None
    pairs = [
        ("recipe", info["recipe_name"]),
        ("changed by hand", plain(changed) or "nothing"),
        ("data", f"{recipe['data']}, trained on {recipe['train_on']}" + (f"; licence: {source.licence}" if source else "")),
        ("seed", str(info["seed"])),
        ("steps", f"{last['steps']:,} of {recipe['steps']:,}"),
        ("training time", f"{last['seconds']:,.1f} s"),
        *((key.replace("_", " "), plain(value)) for key, value in shown.items()),
        ("started from", info["init"]),
        ("notes", " ".join(info["notes"])),
        ("hardware", info["hardware"]),
        ("versions", ", ".join(f"{k} {v}" for k, v in info["versions"].items())),
        ("commit", info["commit"].replace("+", ", with uncommitted changes")),
        ("hashes", _hashes(info)),
    ]
    return [(key, value) for key, value in pairs if value]


def _hashes(info: Mapping[str, Any]) -> str:
    """The run's hashes by name; an older run may lack some."""
    named = {"recipe_hash": "recipe", "method_hash": "method", "protocol_hash": "protocol", "code_hash": "paper file"}
    return ", ".join(f"{word} {info[key]}" for key, word in named.items() if key in info)


def plain(value: Any) -> str:
    """Settings in words: ``width = 24, latent = 32``."""
    if isinstance(value, Mapping):
        return ", ".join(f"{k} = {plain(v)}" for k, v in value.items())
    if isinstance(value, list):
        return "; ".join(map(plain, value))
    return str(value)


def commands(run: Run, info: Mapping[str, Any], entry: catalog.Entry) -> dict[str, str]:
    """The commands that repeat, resume, evaluate and use this run."""
    again = ["paperzoo", "train", info["name"], "--recipe", info["recipe_name"], "--seed", str(info["seed"])]
    overrides = {**info["overrides"], **info["options"]}
    if "data" in overrides:
        again += ["--data", str(overrides.pop("data"))]
    if info["init"]:
        again += ["--init", info["init"]]
    for key, value in overrides.items():
        again += ["--set", f"{key}={setting(value)}"]
    folder = str(run.directory)
    by_purpose = {"repeat": again, "resume": ["paperzoo", "resume", folder], "evaluate": ["paperzoo", "evaluate", folder]}
    tasks = entry.model_class.tasks
    if drawn := next((task for task in tasks if task.samples), None):
        by_purpose["sample"] = ["paperzoo", "sample", folder, "-n", str(drawn.usual["items"])]
    elif hasattr(entry.model_class, "predict"):
        by_purpose["predict"] = ["paperzoo", "predict", folder, "INPUT"]
    return {purpose: shlex.join(words) for purpose, words in by_purpose.items()}


def setting(value: Any) -> str:
    """A value as ``--set KEY=VALUE`` reads it: a string without quotes unless it would be read as something else."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except json.JSONDecodeError:
            return json.dumps(value) if value.lower() in ("none", "true", "false") else value
    return json.dumps(value)


def picture(path: Path, caption: str) -> dict[str, Any]:
    """A picture for the template; a small one is shown larger by a whole factor, pixel by pixel, unless it is a drawing."""
    with Image.open(path) as opened:
        width, drawing = opened.width, "matplotlib" in str(opened.info.get("Software", "")).lower()
    scale = 1 if drawing else max(1, 720 // width)
    kind = path.suffix[1:]
    return {
        "uri": data_uri(path.read_bytes(), kind),
        "width": width * scale,
        "scaled": scale > 1,
        "caption": caption,
        "moving": kind == "gif",
    }


def data_uri(content: bytes, kind: str) -> str:
    """A picture inside the page."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def spread(items: Sequence[Path], most: int) -> list[Path]:
    """At most ``most`` items, evenly spaced, first and last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def render(template: str, **values: Any) -> str:
    """A page from one of the templates; everything but a task's own HTML fragments is escaped."""
    loader = jinja2.FileSystemLoader(TEMPLATES)
    strict = jinja2.StrictUndefined
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=strict, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(template).render(version=__version__, **values)
