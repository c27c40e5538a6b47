"""What every study shares: its runs are trained or found again, spread over workers, drawn once and kept.

A study is a module of ``paperzoo.studies``. Its docstring is the question and what the literature says. It has

- ``TITLE``; ``EXPECTED``, ``FINDING`` and ``BEYOND``: what was expected, what was found, what does not carry over;
- ``trials(quick)``: what is trained;
- ``analyse(run, trial)``, if training alone does not answer the question: numbers by name, kept beside the run;
- ``table(outcomes)`` and ``draw(outcomes)``: rows of cells, the header first, and the one figure;
- ``searches(quick, budget)`` instead of ``trials``, if what is trained depends on earlier outcomes: see ``report.search``;
- ``OWN`` and ``own(place)``, if it can be asked about the user's data: the kinds it reads, and a table.

Nothing is trained twice: a finished run with the same recipe, seed, method and protocol is reused.
"""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image

from paperzoo import studies
from paperzoo.engine.job import code_hash
from paperzoo.engine.machine import provenance
from paperzoo.engine.run import open_run, read_json, write_json
from paperzoo.engine.spread import check, spread
from paperzoo.errors import PaperzooError, unknown
from paperzoo.files import path_of, write
from paperzoo.report import search
from paperzoo.report.compare import run_once, text
from paperzoo.studies.trial import Outcome, Trial
from paperzoo.tasks.pictures import compact, save


def names() -> list[str]:
    """All studies, in order of name."""
    return sorted(m.name for m in pkgutil.iter_modules(studies.__path__) if m.name != "trial")


def load(name: str) -> ModuleType:
    """The module of a study.

    Raises:
        PaperzooError: there is no such study.
    """
    if name not in names():
        raise unknown("study", name, names())
    return import_module(f"paperzoo.studies.{name}")


def run(
    name: str, quick: bool = False, workers: int = 1, on: str = "local", out: str | Path = "runs/studies", budget: float | None = None
) -> str:
    """Trains what is missing, analyses, and writes ``study.json`` and ``study.png`` into ``out/NAME`` (``quick``: ``out/NAME-quick``).

    Args:
        quick: the same in a minute or two on data inside scikit-learn; its figures mean nothing.
        workers: trainings at a time; the processor's cores are shared evenly among them.
        on: ``"local"`` processes, or ``"ray"``: the cluster that ``RAY_ADDRESS`` names, else a Ray of this machine.
        budget: of each arm of a search, in the study's unit; default: the study's own.

    Returns:
        The table as text, then the paths of record and figure.

    Raises:
        PaperzooError: an unknown study, a number out of range, or Ray is asked for and missing.
    """
    study = load(name)
    check(workers, on)
    if budget is not None and not hasattr(study, "searches"):
        raise PaperzooError(f"the study {name} takes no --budget: what it trains is fixed")
    folder = path_of(out) / (f"{name}-quick" if quick else name)
    if hasattr(study, "searches"):
        outcomes = search.run(study, quick, budget, folder, partial(spread, workers=workers, on=on))
    else:
        trials = list(study.trials(quick))
        calls = [(name, number, quick, str(folder.absolute() / "runs")) for number in range(len(trials))]
        directories = dict(spread(calls, _one, workers, on))
        outcomes = [_outcome(trial, directories[number], study) for number, trial in enumerate(trials)]
    rows = study.table(outcomes)
    folder.mkdir(parents=True, exist_ok=True)
    picture = study.draw(outcomes)
    save(picture, folder / "study.png", dpi=110)
    record = {
        "study": name,
        "quick": quick,
        "table": rows,
        "trials": [
            {
                "label": outcome.trial.label, "x": outcome.trial.x, "paper": outcome.trial.paper, "recipe": outcome.trial.recipe,
                "seed": outcome.trial.seed, "overrides": dict(outcome.trial.overrides), "recipe_hash": outcome.recipe_hash,
                "seconds": outcome.seconds, "metrics": dict(outcome.metrics), "numbers": dict(outcome.numbers),
            }
            for outcome in outcomes
        ],
        "provenance": _provenance(outcomes),
    }  # fmt: skip
    write(folder / "study.json", json.dumps(record, indent=1, default=list))
    return "\n".join([text(rows), str(folder / "study.json"), str(folder / "study.png")])


def own(name: str, data: str) -> str:
    """A study's analysis of the user's own data, as a table: ``features`` takes ``raphael:FOLDER``.

    Raises:
        PaperzooError: the study takes no such data, or it cannot be read.
    """
    study, (kind, _, place) = load(name), data.partition(":")
    legal = getattr(study, "OWN", ())
    if not legal:
        raise PaperzooError(f"the study {name} takes no --data: it trains on what it names")
    if kind not in legal or not place:
        raise unknown("kind of data", data, [f"{one}:PATH" for one in legal], f"of the study {name}")
    return text(study.own(place))


def record(name: str, out: str | Path = "runs/studies", root: Path | None = None) -> list[Path]:
    """Copies record and figure of a whole (not ``quick``) study to where a checkout keeps evidence.

    Raises:
        PaperzooError: the study has not been run in ``out``.
    """
    load(name)
    folder, place = path_of(out) / name, (root or Path(__file__).parents[3]) / "results" / "studies"
    if not (folder / "study.json").is_file():
        raise PaperzooError(f"{folder} has no study.json: run paperzoo study {name} first")
    place.mkdir(parents=True, exist_ok=True)
    written = [place / f"{name}.json", place / f"{name}.png"]
    write(written[0], (folder / "study.json").read_bytes())
    save(compact(Image.open(folder / "study.png").convert("RGB"), 300_000), written[1])
    return written


def page(name: str, root: Path | None = None) -> str:
    """The study's page: question, what was expected, table and figure if it has been recorded, finding, and its limits."""
    study = load(name)
    kept = (root or Path(__file__).parents[3]) / "results" / "studies" / f"{name}.json"
    parts = [f"# {study.TITLE}", f"`paperzoo study {name}`; read it: `src/paperzoo/studies/{name}.py`.", (study.__doc__ or "").strip()]
    parts += ["## What was expected", study.EXPECTED]
    if kept.is_file():
        recorded = json.loads(kept.read_text(encoding="utf-8"))
        header, *rows = recorded["table"]
        lines = ["| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows)]
        origin = recorded["provenance"]
        parts += ["## What was measured", f"{origin['runs']} runs, {origin['seconds']:.0f} seconds of training; {origin['hardware']}."]
        parts += ["\n".join(lines), f"![{study.TITLE}](../../results/studies/{name}.png)"]
    parts += ["## What was found", study.FINDING or "Not run in full yet.", "## What does not carry over", study.BEYOND]
    return "\n\n".join(parts) + "\n"


def _one(name: str, number: int, quick: bool, out: str) -> str:
    """Trains a trial, or finds it, analyses it, and gives its directory. It runs in a process of its own."""
    study = load(name)
    trial = study.trials(quick)[number]
    trained = run_once(trial.paper, trial.recipe, trial.seed, trial.overrides, Path(out))
    if hasattr(study, "analyse") and not (kept := _numbers(trained.directory, study)).is_file():
        write_json(kept, study.analyse(trained, trial))
    return str(trained.directory)


def _numbers(directory: Path, study: ModuleType) -> Path:
    """The file of a study's numbers of a run, named by the hash of the study's code without its prose: other code computes them anew."""
    digest = code_hash(Path(str(study.__file__)), ("TITLE", "EXPECTED", "FINDING", "BEYOND"))
    return directory / f"{study.__name__.rpartition('.')[2]}-{digest}.json"


def _outcome(trial: Trial, directory: str, study: ModuleType) -> Outcome:
    trained = open_run(directory)
    kept = _numbers(trained.directory, study)
    result = read_json(trained.directory / "result.json")
    losses = [(line["step"], line["loss"]) for line in trained.lines if isinstance(line.get("loss"), dict)]
    curve = tuple((int(step), float(next(iter(loss.values())))) for step, loss in losses)
    numbers = read_json(kept) if kept.is_file() else {}
    return Outcome(trial, directory, trained.metrics, numbers, float(result["seconds"]), str(trained.info["recipe_hash"]), curve)


def _provenance(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    kept = {key: value for key, value in provenance().items() if key in ("hardware", "commit", "versions")}
    return {"runs": len(outcomes), "seconds": sum(one.seconds for one in outcomes), **kept}
