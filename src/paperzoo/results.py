"""Results: what runs measured, kept as small JSON files, and compared with targets and claims.

One file holds one (paper, variant, recipe, data): ``results/<paper>/<variant>-<recipe>-<data>.json``, with a record a seed.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import statistics
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from paperzoo import catalog
from paperzoo.engine import recheck, weights
from paperzoo.engine.hashes import method_hash, protocol_hash
from paperzoo.engine.job import code_hash, resolve
from paperzoo.engine.machine import commit, hardware, versions
from paperzoo.engine.run import Run, job_of, open_run, read_json, write_json
from paperzoo.errors import PaperzooError, unknown
from paperzoo.records import Claim, Paper, Recipe, Target

HERE = Path(__file__).parent
#: the headings of notes.md, second level
NOTES = ("What was found", "How it fails")
#: seeds below which a result says how few it has, and no claim is met
SEEDS = 3
#: points kept of each curve, and first losses of each name
CURVE, EARLY = 60, 20
#: pictures that show nothing of the data: the network's own numbers, and what it makes of inputs that stand in its paper's file
NETWORK = ("transitions",)
#: how far the first losses may be from those recorded, relative to their size, on other hardware or other versions: rounding differs
#: there, in bfloat16 by up to 0.4 % an operation. On the same ones they must be equal
TOLERANCE = 0.01


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
    entry = catalog.load(info["name"])
    info = {**info, "paper": entry.paper.name, "recipe_name": entry.renamed(info["recipe_name"])}  # names of today
    own = entry.paper.recipes.get(info["recipe_name"])
    if info["overrides"] and (own is None or info["recipe_hash"] != own.hash()):  # overrides may repeat the recipe's own values
        raise PaperzooError(f"{directory} was trained with {info['overrides']}: only a recipe as it stands is recorded")
    path = _place(info)
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = ("paper", "variant", "recipe_name", "recipe", "recipe_hash", "code_hash")
    head = {k: info[k] for k in keys}
    runs = []
    if path.exists():  # seeds of another recipe, method or protocol do not belong into one mean with this one
        old = read_json(path)
        runs = [r for r in old["runs"] if r["seed"] != info["seed"] and _alike({**old, **r}, info)]
    runs.append(_record(run, info))
    write_json(path, {**head, "runs": sorted(runs, key=lambda r: r["seed"])})
    if info["seed"] == 0:
        add_pictures(directory)
    return path


def _place(info: Mapping[str, Any]) -> Path:
    """Where results of a run with this record lie."""
    from paperzoo.data.datasets import parse

    return folder() / str(info["paper"]) / f"{info['variant']}-{info['recipe_name']}-{parse(info['recipe']['data']).slug}.json"


def add_pictures(directory: Path) -> list[Path]:
    """Copies a finished run's last pictures and texts to the results of its recipe and returns what was written.

    Of data whose pictures may not be committed, only those of the network alone (``NETWORK``) are.

    Raises:
        PaperzooError: the run's recipe has no recorded results.
    """
    run = open_run(directory)
    entry = catalog.load(run.info["name"])
    path = _place({**run.info, "paper": entry.paper.name, "recipe_name": entry.renamed(run.info["recipe_name"])})
    if not path.is_file():
        raise PaperzooError(f"{directory} has no results whose pictures these could be: paperzoo results --add {directory}")
    free, written = job_of(run).dataset().pictures, []
    for picture in sorted((run.directory / "figures").glob("final*")):
        name = picture.name.removeprefix("final-")
        if picture.suffix in (".png", ".txt") and (free or Path(name).stem in NETWORK):  # what the page shows
            written.append(path.with_name(f"{path.stem}-{name}"))
            shutil.copy(picture, written[-1])
    return written


def _alike(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    hashed = "method_hash" in old and "method_hash" in new
    keys = ("recipe_hash", "method_hash", "protocol_hash") if hashed else ("recipe_hash", "code_hash")
    return all(old[k] == new[k] for k in keys)


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
    header = {**{k: info[k] for k in keys}, "metrics": done["metrics"], "licence": licence, "command": command_of(info)}
    for half in (False, True):
        weights.export(run.model, path, half, header)
        if path.stat().st_size < 1_000_000:
            return path
    size = path.stat().st_size
    path.unlink()
    raise PaperzooError(f"the weights of {directory} take {size / 1e6:.1f} MB in half precision; at most 1 MB ships")


def check_again(name: str, recipe: str = "") -> Iterator[str]:
    """Trains the first steps of recorded runs anew and compares losses. Runs whose losses agree get the present method's hash.

    Compared are the runs whose method has changed since, or if none has, the first. Losses say nothing of how a trained model is
    measured: a protocol that has changed stays so until the recipe is trained and measured again.

    Args:
        name: ``paper`` (all its variants) or ``paper:variant``.
        recipe: one recipe; default: all that are recorded.

    Yields:
        A sentence a run: what was compared, how far it agrees, and whether it was stamped.

    Raises:
        PaperzooError: unknown names, or nothing is recorded of them.
    """
    entry = catalog.load(name)
    full = entry.recipe(recipe)[0] if recipe else ""
    recorded = [(path, read_json(path)) for path in sorted((folder() / entry.paper.name).glob("*.json"))]
    wanted = [
        (path, file)
        for path, file in recorded
        if file["variant"] in ([entry.variant] if ":" in name else entry.paper.variants) and full in ("", file["recipe_name"])
    ]
    if not wanted:
        raise PaperzooError(f"nothing is recorded of {name}{f', recipe {full}' if full else ''}: there are no losses to compare with")
    for path, file in wanted:
        own = catalog.load(f"{file['paper']}:{file['variant']}")
        label = f"{own.name} {file['recipe_name']}"
        now = own.paper.recipes.get(file["recipe_name"])
        if now is None or now.hash() != file["recipe_hash"]:
            yield f"{label}: the recipe has changed since: only a new run can tell; it stays stale (method)"
            continue
        stale = [run for run in file["runs"] if _changed(own, file, run, "method")]
        for run in stale or file["runs"][:1]:
            agree, comparison = _compared(own, file, run)
            if agree and run in stale:
                run["method_hash"] = method_hash(own, file["recipe"]["model"])
                run["rechecked"] = {"commit": commit(), "hardware": hardware(), "found": comparison}
                write_json(path, file)
                _files.cache_clear()
            good, bad = ("stamped", "it stays stale (method)") if run in stale else ("as fresh as it was", "though its method is the same")
            later = "; stale (protocol) until it is measured again" if _changed(own, file, run, "protocol") else ""
            yield f"{label}, seed {run['seed']}: {comparison}: {good if agree else bad}{later}"


def _compared(entry: catalog.Entry, file: Mapping[str, Any], run: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether the first losses are those recorded, and what was found. The log's first means, in four digits, are all that runs
    of before ``first_losses`` have."""
    recorded: dict[str, list[list[float]]] = run.get("first_losses", {})
    curve = {loss: points[0] for loss, points in run["curve"].items() if points}
    exact = bool(recorded)
    if not exact and not curve:
        return False, "no loss was recorded to compare with"
    kept = [int(step) + 1 for points in recorded.values() for step, _ in points]
    steps = max(kept) if exact else min(int(point[0]) for point in curve.values())
    job = resolve(f"{file['paper']}:{file['variant']}", file["recipe_name"], seed=run["seed"])
    with recheck.threads(int(cores[1]) if (cores := re.match(r"(\d+) of \d+ cores", run["hardware"])) else 0):
        first, means = recheck.first_steps(job, steps)
        here = hardware()
    if exact:
        pairs = [(f"{loss} at step {int(step)}", value, _at(first, loss, at)) for loss, points in recorded.items()
                 for at, (step, value) in enumerate(points)]  # fmt: skip
        pairs.sort(key=lambda pair: int(pair[0].rpartition(" ")[2]))
        subject = f"the losses of the first {steps} steps"
    else:
        mine_of = {loss: float(f"{mean:.4g}") for loss, mean in means.items()}
        points_at = {loss: value for loss, (step, value) in curve.items() if step == steps}
        pairs = [(f"the mean of {loss} over {steps} steps", value, mine_of.get(loss)) for loss, value in points_at.items()]
        subject = f"the losses' means over the first {steps} steps"
    there = {k: run["versions"].get(k) for k in ("torch", "numpy")}
    same = here == run["hardware"] and there == {k: versions().get(k) for k in there}
    allowed = 0.0 if same else TOLERANCE
    for where, value, mine in pairs:
        if mine is None:
            return False, f"{where} is no longer there"
        if not abs(mine - value) <= allowed * abs(value):  # not-a-number is no agreement
            return False, f"they part: {where} is {mine:.6g}, recorded {value:.6g}{'' if same else f' ({_elsewhere(run, here)})'}"
    if all(mine == value for _, value, mine in pairs):
        return True, f"{subject} are {'bitwise equal' if exact else 'equal in the four digits recorded'}"
    worst = max(abs(mine - value) / abs(value) for _, value, mine in pairs if mine is not None and value)
    return True, f"{subject} agree within {worst:.1e} of their size ({_elsewhere(run, here)}; {TOLERANCE:.0%} is allowed)"


def _at(first: Mapping[str, list[list[float]]], loss: str, at: int) -> float | None:
    points = first.get(loss, [])
    return points[at][1] if at < len(points) else None


def _elsewhere(run: Mapping[str, Any], here: str) -> str:
    torch, now = run["versions"].get("torch"), versions().get("torch")
    return f"recorded on {run['hardware']}, torch {torch}; here: {here}, torch {now}"


def weights_name(name: str, recipe_name: str) -> str:
    """The file of what a recipe of ``paper`` or ``paper:variant`` trained: its name, and the recipe's if that is not the usual
    one nor the light one, as ``resnet.avatars.safetensors`` for ``small-avatars``."""
    usual = catalog.load(name).recipe("small")[0]
    parts = [name.replace(":", "-"), "" if recipe_name in (usual, "small-light") else recipe_name.partition("-")[2]]
    return ".".join([*filter(None, parts), "safetensors"])


def _record(run: Run, info: dict[str, Any]) -> dict[str, Any]:
    done = read_json(run.directory / "result.json")
    lines = [line for line in run.lines if "loss" in line]
    kept = lines[:: max(1, math.ceil(len(lines) / CURVE))]
    names = list(dict.fromkeys(name for line in kept for name in line["loss"]))
    curve = {
        name: [[line["step"], float(f"{line['loss'][name]:.4g}")] for line in kept if name in line["loss"]] for name in names
    }
    along: dict[str, list[list[float]]] = {}  # what was measured on the way (measure_every)
    for line in run.lines[:-1]:
        for name, value in line.get("measured", {}).items():
            along.setdefault(name, []).append([line["step"], float(f"{value:.4g}")])
    keys = ("seed", "commit", "versions", "hardware", "method_hash", "protocol_hash")
    first = recheck.by_name([row for line in run.lines for row in line.get("first", [])])
    first = {loss: points[:EARLY] for loss, points in first.items()}  # a step may minimise a loss hundreds of times
    return {
        **{k: info[k] for k in keys if k in info},
        "command": command_of(info),
        "steps": done["steps"],
        "seconds": done["seconds"],
        "metrics": done["metrics"],
        **({"first_losses": first} if first else {}),
        "curve": curve,
        **({"measured": along} if any(len(points) > 1 for points in along.values()) else {}),
    }


def command_of(info: Mapping[str, Any]) -> str:
    """What trains a run again."""
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
    sections = dict(zip(parts[1::2], map(str.strip, parts[2::2]), strict=True))
    for heading in sections:
        if heading not in NOTES:
            raise unknown("heading", heading, NOTES, f"in {path}")
    return sections.get(NOTES[0], ""), sections.get(NOTES[1], "")


def step_hash(recipe: Recipe) -> str:
    """Of all that a recipe says but how many steps there are: while it stays, so does what a step takes."""
    return recipe.but(steps=1).hash()


@cache
def _times(results: Path) -> dict[str, dict[str, Any]]:
    path = results / "times.json"
    return read_json(path) if path.exists() else {}


def took(name: str, recipe: str) -> tuple[float, str] | None:
    """Seconds of training that a recipe takes, and on what; ``None`` where it was never run.

    On free cores, by its first steps (``benchmarks/small_recipes.py``), where that was measured. Else the least of the recorded runs,
    which others may have run beside.
    """
    entry = catalog.load(name)
    row, now = _times(folder()).get(f"{entry.name} {recipe}"), entry.paper.recipes.get(recipe)
    if row and now and row["step_hash"] == step_hash(now):
        return row["seconds"] * now.steps / row["steps"], str(row["hardware"])
    runs = [run for path in (folder() / entry.paper.name).glob(f"{entry.variant}-{recipe}-*.json") for run in read_json(path)["runs"]]
    least = min(runs, key=lambda run: run["seconds"], default=None)
    return None if least is None else (least["seconds"], str(least["hardware"]))


@cache
def _files() -> list[dict[str, Any]]:
    papers = catalog.list_papers()  # beside them, studies have a folder of their own
    return [json.loads(path.read_text(encoding="utf-8")) for name in papers for path in sorted((folder() / name).glob("*.json"))]


def rows(paper: str = "") -> list[dict[str, Any]]:
    """Every Result (of one paper, if named), a row a metric; what was promised and never run comes as ``unverified``.

    Keys: ``paper, variant, recipe, data, metric, judge, mean, spread`` (standard deviation over seeds), ``seeds`` (that change
    something), ``target, claim, status, sure`` (what stands against the status), ``seconds, hardware, commit, reason``.
    """
    collected: list[dict[str, Any]] = []
    for name in [paper] if paper else catalog.list_papers():
        base = catalog.load(name)
        for variant in base.paper.variants:
            entry = catalog.load(f"{name}:{variant}")
            for recipe_name, recipe in base.paper.recipes.items():
                if recipe_name.startswith("smoke") or (recipe.variants and variant not in recipe.variants):
                    continue
                files = [f for f in _files() if (f["paper"], f["variant"], f["recipe_name"]) == (name, variant, recipe_name)]
                collected += [row for f in files for row in _measured(entry, recipe, f)]
                if not files and _promises(entry, recipe_name, recipe):
                    collected.append(_unverified(entry, recipe_name, recipe))
    return collected


def _promises(entry: catalog.Entry, recipe_name: str, recipe: Recipe) -> bool:
    """Whether a result that is missing gets a row: a recipe with targets, or the paper's own for its first variant."""
    first = next(v for v in entry.paper.variants if not recipe.variants or v in recipe.variants)
    return entry.variant == first or bool(recipe.targets_of(entry.variant))


def _measured(entry: catalog.Entry, recipe: Recipe, file: dict[str, Any]) -> list[dict[str, Any]]:
    runs, name = distinct(file["runs"]), file["recipe_name"]
    stale = changed(entry, recipe, file)
    rows = []
    for metric in dict.fromkeys(m for r in runs for m in r["metrics"]):
        values = [r["metrics"][metric] for r in runs if metric in r["metrics"]]
        promised: list[Target | None] = [t for t in recipe.targets_of(entry.variant) if t.metric == metric]
        for target in promised or [None]:
            claim = claim_of(entry, name, metric, target)
            judged = [v for _, v in differences(entry, target, file["runs"])] if target and target.than else values
            status, sure = verdict(target, claim, judged)
            if len(runs) < len(file["runs"]):
                sure = "seeds change nothing" if len(runs) == 1 else sure
            rows.append(
                {
                    "paper": file["paper"],
                    "variant": file["variant"],
                    "recipe": name,
                    "data": file["recipe"]["data"],
                    "metric": metric,
                    "judge": file["recipe"]["judge"],
                    "mean": statistics.fmean(values),
                    "spread": deviation(values),
                    "seeds": len(values),
                    "target": str(target) if target else None,
                    "claim": claim_text(claim) if claim else None,
                    "status": "stale" if stale else status,
                    "sure": sure,
                    "seconds": statistics.median(r["seconds"] for r in runs),
                    "hardware": runs[0]["hardware"],
                    "commit": runs[0]["commit"],
                    "reason": ", ".join(stale),
                }
            )
    return rows


def deviation(values: list[float]) -> float | None:
    """Standard deviation, none of one value; of values that are not all finite it is not a number."""
    if len(values) < 2:
        return None
    return statistics.stdev(values) if all(map(math.isfinite, values)) else math.nan


def changed(entry: catalog.Entry, recipe: Recipe, file: Mapping[str, Any]) -> list[str]:
    """What has changed since a file's runs were made: ``"method"`` (or its recipe), ``"protocol"``, both or neither."""
    kinds = [kind for kind in ("method", "protocol") if any(_changed(entry, file, run, kind) for run in file["runs"])]
    return list(dict.fromkeys([*(["method"] if file["recipe_hash"] != recipe.hash() else []), *kinds]))


def _changed(entry: catalog.Entry, file: Mapping[str, Any], run: Mapping[str, Any], kind: str) -> bool:
    """A run recorded before these hashes existed is compared by the hash of its paper's file."""
    if f"{kind}_hash" not in run:
        return bool(file["code_hash"] != code_hash(entry.file))
    settings = file["recipe"]
    now = method_hash(entry, settings["model"]) if kind == "method" else protocol_hash(entry, settings["judge"])
    return bool(run[f"{kind}_hash"] != now)


def status(row: Mapping[str, Any]) -> str:
    """A row's status as tables print it: ``stale (method)`` says what has changed."""
    return f"stale ({row['reason']})" if row["status"] == "stale" else str(row["status"])


def distinct(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Runs that differ in what they measured or in their losses: a seed that changes nothing is not a seed."""
    by_content: dict[str, dict[str, Any]] = {}
    for run in runs:
        by_content.setdefault(json.dumps([run["metrics"], run.get("curve")], sort_keys=True), run)
    return list(by_content.values())


def differences(entry: catalog.Entry, target: Target, runs: list[dict[str, Any]]) -> list[tuple[int, float]]:
    """Seed and difference to the result that ``target.than`` names, for every seed that both have.

    Raises:
        PaperzooError: no such paper, variant or recipe.
    """
    paper, variant, recipe = (f"{entry.paper.name}:" * (target.than.count(":") == 1) + target.than).split(":")
    catalog.load(f"{paper}:{variant}").recipe(recipe)
    files = [f for f in _files() if (f["paper"], f["variant"], f["recipe_name"]) == (paper, variant, recipe)]
    other = {r["seed"]: r["metrics"][target.metric] for f in files for r in f["runs"] if target.metric in r["metrics"]}
    own = [(r["seed"], r["metrics"].get(target.metric)) for r in runs]
    return [(seed, value - other[seed]) for seed, value in own if value is not None and seed in other]


def verdict(target: Target | None, claim: Claim | None, values: list[float]) -> tuple[str, str]:
    """Status of a result and how sure it is, from its values by seed (differences, if the target names another result).

    ``measured`` is a figure without a target. The second names fewer than three seeds, and a mean within two standard errors of its
    target.
    """
    few = f"{len(values)} seed{'s' * (len(values) != 1)}" if len(values) < SEEDS else ""
    if target is None or not values:
        return ("measured", "") if target is None else ("unverified", few)
    mean = statistics.fmean(values)
    error = (deviation(values) or 0.0) / len(values) ** 0.5
    if target.than and 0 in target.bounds():
        kept = all(v != 0 and target.met(v) for v in values) and abs(mean) > 2 * error
    else:
        kept = target.met(of_runs(claim, target, values))
    noise = ["within noise"] if any(abs(mean - bound) < 2 * error for bound in target.bounds()) else []
    status = "missed" if not kept else "reproduced" if claim and target.claim and meets(claim, target, values) else "scaled"
    return status, ", ".join([few] * bool(few) + noise)


def of_runs(claim: Claim | None, target: Target, values: list[float]) -> float:
    """The runs' mean; or, where the target names a claim, the statistic that it states: the median, or the best of the first n."""
    if claim is None or not target.claim or claim.statistic in ("mean", "single"):
        return statistics.fmean(values)
    if claim.statistic == "median":
        return statistics.median(values)
    first = values[: claim.runs]
    return min(first) if target.at_most is not None else max(first)


def meets(claim: Claim, target: Target, values: list[float]) -> bool:
    """Whether runs meet a claim by its own protocol: mean against mean, best of n against best of n, median against median,
    within the spread that the paper prints. Three seeds at least, in the order of their seeds; a single run of the paper's is
    met by the mean."""
    if len(values) < SEEDS or isinstance(claim.value, str):
        return False
    figure, spread = of_runs(claim, target, values), claim.spread or 0.0
    return figure <= claim.value + spread if target.at_most is not None else figure >= claim.value - spread


def claim_of(entry: catalog.Entry, recipe_name: str, metric: str, target: Target | None = None) -> Claim | None:
    """The claim that a target names by its id, or that says by ``measured_by`` that this metric of this recipe is its figure.

    Raises:
        PaperzooError: the target names a claim that the record does not have.
    """
    claims = {c.id: c for c in entry.paper.claims}
    if target and target.claim:
        if target.claim not in claims:
            raise unknown("claim", target.claim, claims, f"in {recipe_name} of {entry.paper.name}")
        return claims[target.claim]
    linked = [c for c in claims.values() if c.measured_by.get(recipe_name) == metric and c.variant in ("", entry.variant)]
    return linked[0] if linked else None


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
    claim = claim_of(entry, recipe_name, metric, target)
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
        "claim": claim_text(claim) if claim else None,
        "status": "unverified",
        "sure": "",
        "reason": why,
    }
