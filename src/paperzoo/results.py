"""Results: what runs measured, kept as small JSON files, and compared with targets and claims.

One file holds one (paper, variant, recipe, data): ``results/<paper>/<variant>-<recipe>-<data>.json``, with a record a seed.
"""

from __future__ import annotations

import json
import re
import shutil
import statistics
from functools import cache
from pathlib import Path
from typing import Any

from paperzoo import catalog
from paperzoo.engine import weights
from paperzoo.engine.job import code_hash
from paperzoo.engine.run import Run, job_of, open_run, read_json, write_json
from paperzoo.errors import PaperzooError, unknown
from paperzoo.records import Claim, Paper, Recipe, Target

HERE = Path(__file__).parent
#: the headings of notes.md, second level
NOTES = ("What was found", "How it fails")
#: points kept of each curve
CURVE = 60


def folder() -> Path:
    """``results/`` of the checkout, or the copy inside an installed package."""
    checkout = HERE.parent.parent / "results"
    return checkout if (HERE.parent.parent / "pyproject.toml").exists() else HERE / "_results"


def add(directory: Path) -> Path:
    """Records a finished run of a catalogue paper, replacing the record of the same seed; seed 0's pictures come along.

    Raises:
        PaperzooError: the run has not finished, is of a file outside the catalogue, or has overrides that change its recipe.
    """
    run = open_run(directory)
    info = run.info
    if not (run.directory / "result.json").exists():
        raise PaperzooError(f"{directory} has not finished: paperzoo resume {directory}")
    if info["paper"] not in catalog.CATALOG:
        raise PaperzooError(f"{info['paper']} is not in the catalogue; its results stay in {directory}")
    own = catalog.load(info["name"]).paper.recipes.get(info["recipe_name"])
    if info["overrides"] and (own is None or info["recipe_hash"] != own.hash()):  # one that says what the recipe says changes nothing
        raise PaperzooError(f"{directory} was trained with {info['overrides']}: only a recipe as it stands is recorded")
    data = re.sub(r"[:#=&]+", "-", info["recipe"]["data"])  # sprites@20:1#labels=1 as a file's name, and in a link
    path: Path = folder() / info["paper"] / f"{info['variant']}-{info['recipe_name']}-{data}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = ("paper", "variant", "recipe_name", "recipe", "recipe_hash", "code_hash")
    head = {k: info[k] for k in keys}
    runs = []
    if path.exists():
        old = read_json(path)
        same = all(old[k] == head[k] for k in ("recipe_hash", "code_hash"))
        runs = [r for r in old["runs"] if r["seed"] != info["seed"]] if same else []
    runs.append(_record(run, info))
    write_json(path, {**head, "runs": sorted(runs, key=lambda r: r["seed"])})
    if info["seed"] == 0 and job_of(run).dataset().pictures:
        for picture in sorted((run.directory / "figures").glob("final*")):
            if picture.suffix in (".png", ".txt"):  # what the page shows
                shutil.copy(picture, path.with_name(f"{path.stem}-{picture.name.removeprefix('final-')}"))
    return path


def ship(directory: Path) -> Path:
    """Writes a finished run's weights as those that ship with the package; in half precision if they are large.

    Raises:
        PaperzooError: as ``add``, or they take more than 1 MB all the same.
    """
    run = open_run(directory)
    info, done = run.info, read_json(run.directory / "result.json")
    if info["overrides"] or info["paper"] not in catalog.CATALOG:
        raise PaperzooError(f"{directory} is not a catalogue paper's recipe as it stands: only such weights ship")
    path: Path = weights.SHIPPED / weights_name(info["name"], info["recipe_name"])
    keys = ("paper", "variant", "recipe_name", "recipe_hash", "code_hash", "seed", "commit", "hardware")
    licence = f"learnt from {info['recipe']['data']}: see LICENSES.md"
    header = {**{k: info[k] for k in keys}, "metrics": done["metrics"], "licence": licence, "command": _command(info)}
    for half in (False, True):
        weights.export(run.model, path, half, header)
        if path.stat().st_size < 1_000_000:
            return path
    size = path.stat().st_size
    path.unlink()
    raise PaperzooError(f"the weights of {directory} take {size / 1e6:.1f} MB in half precision; at most 1 MB ships")


def weights_name(name: str, recipe_name: str) -> str:
    """The file of what a recipe of ``paper`` or ``paper:variant`` trained: its name, and the recipe's if that is not the usual
    one, as ``resnet.avatars.safetensors`` for ``small-avatars``."""
    usual = catalog.load(name).recipe("small")[0]
    parts = [name.replace(":", "-"), "" if recipe_name == usual else recipe_name.partition("-")[2]]
    return ".".join([*filter(None, parts), "safetensors"])


def _record(run: Run, info: dict[str, Any]) -> dict[str, Any]:
    done = read_json(run.directory / "result.json")
    lines = [line for line in run.lines if "loss" in line]
    kept = lines[:: max(1, len(lines) // CURVE)]
    names = list(dict.fromkeys(name for line in kept for name in line["loss"]))
    curve = {
        name: [[line["step"], float(f"{line['loss'][name]:.4g}")] for line in kept if name in line["loss"]] for name in names
    }
    along: dict[str, list[list[float]]] = {}  # what was measured on the way (measure_every)
    for line in run.lines[:-1]:
        for name, value in line.get("measured", {}).items():
            along.setdefault(name, []).append([line["step"], float(f"{value:.4g}")])
    keys = ("seed", "commit", "versions", "hardware")
    return {
        **{k: info[k] for k in keys},
        "command": _command(info),
        "steps": done["steps"],
        "seconds": done["seconds"],
        "metrics": done["metrics"],
        "curve": curve,
        **({"measured": along} if any(len(points) > 1 for points in along.values()) else {}),
    }


def _command(info: dict[str, Any]) -> str:
    options = "".join(f" --set {key}={value}" for key, value in info["options"].items())
    return f"paperzoo train {info['name']} --recipe {info['recipe_name']} --seed {info['seed']}{options}"


def notes(paper: Paper) -> tuple[str, str]:
    """What was found and how it fails, in Markdown: from ``results/<paper>/notes.md``, or the record of a user's own file.

    Raises:
        PaperzooError: the notes have another heading.
    """
    path = folder() / paper.name / "notes.md"
    if paper.name not in catalog.CATALOG or not path.exists():
        return paper.findings, paper.fails
    parts = re.split(r"^## +(.*?) *$", path.read_text(encoding="utf-8"), flags=re.M)
    if parts[0].strip():
        raise PaperzooError(f"{path} begins without a heading: write {' or '.join(f'## {heading}' for heading in NOTES)}")
    found = dict(zip(parts[1::2], map(str.strip, parts[2::2]), strict=True))
    for heading in found:
        if heading not in NOTES:
            raise unknown("heading", heading, NOTES, f"in {path}")
    return found.get(NOTES[0], ""), found.get(NOTES[1], "")


@cache
def _files() -> list[dict[str, Any]]:
    papers = catalog.list_papers()  # beside them, studies have a folder of their own
    return [json.loads(path.read_text(encoding="utf-8")) for name in papers for path in sorted((folder() / name).glob("*.json"))]


def rows(paper: str = "") -> list[dict[str, Any]]:
    """Every Result (of one paper, if named), a row a metric; what was promised and never run comes as ``unverified``.

    Keys: ``paper, variant, recipe, data, metric, judge, mean, spread`` (standard deviation over seeds), ``seeds, target,
    claim, status, seconds, hardware, commit, reason``.
    """
    found: list[dict[str, Any]] = []
    for name in [paper] if paper else catalog.list_papers():
        base = catalog.load(name)
        for variant in base.paper.variants:
            entry = catalog.load(f"{name}:{variant}")
            for recipe_name, recipe in base.paper.recipes.items():
                if recipe_name.startswith("smoke") or (recipe.variants and variant not in recipe.variants):
                    continue
                files = [f for f in _files() if (f["paper"], f["variant"], f["recipe_name"]) == (name, variant, recipe_name)]
                found += [row for f in files for row in _measured(entry, recipe, f)]
                if not files and _promises(entry, recipe_name, recipe):
                    found.append(_unverified(entry, recipe_name, recipe))
    return found


def _promises(entry: catalog.Entry, recipe_name: str, recipe: Recipe) -> bool:
    """Whether an absent result is worth a row: a recipe with targets, or the paper's own for its first variant."""
    first = next(v for v in entry.paper.variants if not recipe.variants or v in recipe.variants)
    return entry.variant == first or bool(recipe.targets_of(entry.variant))


def _measured(entry: catalog.Entry, recipe: Recipe, file: dict[str, Any]) -> list[dict[str, Any]]:
    runs = file["runs"]
    stale = file["recipe_hash"] != recipe.hash() or file["code_hash"] != code_hash(entry.file)
    targets = {t.metric: t for t in recipe.targets_of(entry.variant)}
    rows = []
    for metric in dict.fromkeys(m for r in runs for m in r["metrics"]):
        values = [r["metrics"][metric] for r in runs if metric in r["metrics"]]
        mean, target = statistics.fmean(values), targets.get(metric)
        claim = _claim(entry, metric, file["recipe"]["data"])
        rows.append(
            {
                "paper": file["paper"],
                "variant": file["variant"],
                "recipe": file["recipe_name"],
                "data": file["recipe"]["data"],
                "metric": metric,
                "judge": file["recipe"]["judge"],
                "mean": mean,
                "spread": statistics.stdev(values) if len(values) > 1 else None,
                "seeds": len(values),
                "target": str(target) if target else None,
                "claim": claim,
                "status": "stale" if stale else _status(target, mean),
                "seconds": statistics.median(r["seconds"] for r in runs),
                "hardware": runs[0]["hardware"],
                "commit": runs[0]["commit"],
                "reason": "",
            }
        )
    return rows


def _status(target: Target | None, mean: float) -> str:
    """``measured`` is a figure that no one promised anything about."""
    if target is None:
        return "measured"
    if not target.met(mean):
        return "missed"
    return "reproduced" if target.claim else "scaled"


def _claim(entry: catalog.Entry, metric: str, data: str) -> str | None:
    same = [c for c in entry.paper.claims if (c.metric, c.data) == (metric, data) and c.variant in ("", entry.variant)]
    return claim_text(same[0]) if same else None


def claim_text(claim: Claim) -> str:
    """The claim's figure with its spread and where it stands; one from memory says so."""
    spread = f" ± {claim.spread:g}" if claim.spread is not None else ""
    value = f"{claim.value:g}" if isinstance(claim.value, float | int) else claim.value
    return f"{value}{spread} ({claim.where}{'; reported, not re-checked' if claim.mark == 'memory' else ''})"


def _unverified(entry: catalog.Entry, recipe_name: str, recipe: Recipe) -> dict[str, Any]:
    from paperzoo.data.datasets import listed

    source = row.source if (row := listed(recipe.data)) else None
    why = "not run yet"
    if source and source.transport in ("folder", "https") and not source.path.exists():
        why = f"the data ({recipe.data}) could not be had where the results were made"
    target = next(iter(recipe.targets_of(entry.variant)), None)
    metric = target.metric if target else ""
    return {
        **dict.fromkeys(("mean", "spread", "seconds", "hardware", "commit")),
        "paper": entry.paper.name,
        "variant": entry.variant,
        "recipe": recipe_name,
        "data": recipe.data,
        "metric": metric,
        "judge": recipe.judge,
        "seeds": 0,
        "target": str(target) if target else None,
        "claim": _claim(entry, metric, recipe.data),
        "status": "unverified",
        "reason": why,
    }
