"""A study that is a search: what it trains next depends on earlier outcomes, and a kill at any instant loses no training.

Such a study has, instead of ``trials``,

- ``searches(quick, budget)``: by name, generators. Each yields the candidates that it wants next, is sent their outcomes, in
  their order, and ends when its budget is spent. It is a function of its seed and of what it is sent, and of nothing else;
- ``space(quick, budget)``: what is searched, as plain JSON values; a folder belongs to one such space;
- ``inherit(parent, child)``: gives a fresh model weights of its parent's, in place;
- ``analyse(run, trial)`` and ``diverged(trial)``: numbers of a candidate that was trained, and of one whose loss was not finite;
- ``standing(outcomes)``: rows that say how far it is, printed after every round.

All searches advance together, a round at a time, so that candidates of all of them are spread over the workers. Candidate n of the
whole study has the folder ``candidates/<n>``: ``candidate.json``, its run, and ``outcome.json`` once it is done, each whole or not
there. Called again, the generators are sent what lies there, ask for the same candidates, and go on where nothing lies yet; a
run that was cut goes on from its checkpoint.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Generator, Iterable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from paperzoo.engine.chance import seed_all
from paperzoo.engine.job import code_hash, resolve
from paperzoo.engine.run import Run, open_run, read_json, write_json
from paperzoo.engine.train import resume, train
from paperzoo.engine.weights import export
from paperzoo.errors import PaperzooError, diverged
from paperzoo.report.compare import text
from paperzoo.studies.trial import Candidate, Outcome

#: yields the candidates it wants next and is sent their outcomes
Search = Generator[list[Candidate], list[Outcome], None]
#: does calls (study, number, quick, folder) by a function, and gives numbers and what it returned as they are done
Spread = Callable[..., Iterable[tuple[int, str]]]


def run(study: ModuleType, quick: bool, budget: float | None, folder: Path, spread: Spread) -> list[Outcome]:
    """All candidates of all searches, in the order that they were asked for; what lies in ``folder`` is not trained again.

    Raises:
        PaperzooError: the budget is out of range, or the folder holds a search of another space; nothing is written then.
    """
    searches: dict[str, Search] = study.searches(quick, budget)
    place = folder / "candidates"
    _claim(folder / "space.json", {**study.space(quick, budget), "code": code_hash(Path(str(study.__file__)), PROSE)})
    outcomes: list[Outcome] = []
    wanted = {name: next(search) for name, search in searches.items()}
    while wanted:
        requested = [(name, candidate) for name, candidates in wanted.items() for candidate in candidates]
        first = len(outcomes)
        for number, (_, candidate) in enumerate(requested, first):
            _ask(place / f"{number:04d}", number, candidate)
        short = study.__name__.rpartition(".")[2]
        missing = [n for n in range(first, first + len(requested)) if not (place / f"{n:04d}" / "outcome.json").is_file()]
        for _ in spread([(short, number, quick, str(place.absolute())) for number in missing], one=one):
            pass
        new = [_outcome(place / f"{number:04d}", candidate) for number, (_, candidate) in enumerate(requested, first)]
        outcomes += new
        if missing:
            print(text(study.standing(outcomes)), file=sys.stderr, flush=True)
        following = {}
        for name in wanted:
            answers = [answer for (whose, _), answer in zip(requested, new, strict=True) if whose == name]
            try:
                following[name] = searches[name].send(answers)
            except StopIteration:
                continue
        wanted = following
    return outcomes


#: what a study says rather than computes
PROSE = ("TITLE", "EXPECTED", "FINDING", "BEYOND")


def one(name: str, number: int, quick: bool, out: str) -> str:
    """Trains and analyses a candidate, or finishes what was begun, and gives its folder. It runs in a process of its own."""
    folder = Path(out) / f"{number:04d}"
    if (folder / "outcome.json").is_file():
        return str(folder)
    study, said = import_module(f"paperzoo.studies.{name}"), read_json(folder / "candidate.json")
    candidate = Candidate(**said)
    try:
        trained = _trained(study, candidate, folder)
        numbers: dict[str, Any] = {**study.analyse(trained, candidate), "diverged": False}
    except PaperzooError as error:
        if not diverged(error):
            raise
        print(f"candidate {number + 1} diverged, and counts as 0: {error}", file=sys.stderr, flush=True)
        trained = _begun(folder)[0]
        numbers = {**study.diverged(candidate), "diverged": True}
    done = trained.directory / "result.json"
    seconds = float(read_json(done)["seconds"]) if done.is_file() else 0.0
    outcome = {
        "directory": trained.directory.name, "metrics": trained.metrics, "numbers": {**numbers, "number": number}, "seconds": seconds,
        "recipe_hash": trained.info["recipe_hash"],
    }  # fmt: skip
    write_json(folder / "outcome.json", outcome)
    return str(folder)


def _trained(study: ModuleType, candidate: Candidate, folder: Path) -> Run:
    if begun := _begun(folder):
        return resume(begun[0].directory)
    start = None
    if candidate.parent >= 0:
        job = resolve(candidate.paper, candidate.recipe, seed=candidate.seed, overrides=candidate.overrides)
        parent = folder.parent / f"{candidate.parent:04d}"
        seed_all(candidate.seed, -1, 0)
        model = job.build(job.dataset())
        study.inherit(open_run(parent / read_json(parent / "outcome.json")["directory"]).model, model)
        start = folder / "start.safetensors"
        export(model, start, False, {})
    init = None if start is None else str(start)
    return train(candidate.paper, candidate.recipe, init=init, seed=candidate.seed, out=folder, overrides=candidate.overrides)


def _begun(folder: Path) -> list[Run]:
    return [open_run(path.parent) for path in sorted(folder.glob("[!.]*/run.json"))]


def _claim(path: Path, space: dict[str, Any]) -> None:
    """Writes what is searched, or compares it with what was."""
    plain = json.loads(json.dumps(space))
    if path.is_file():
        old = read_json(path)
        if differing := sorted(key for key in {*old, *plain} if old.get(key) != plain.get(key)):
            key = differing[0]
            raise PaperzooError(
                f"{path.parent} holds a search of another space: its {key} is {old.get(key)!r}, not {plain.get(key)!r}; "
                "choose another folder by --out, or remove that one"
            )
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, plain)


def _ask(folder: Path, number: int, candidate: Candidate) -> None:
    plain = json.loads(json.dumps(dataclasses.asdict(candidate)))
    path = folder / "candidate.json"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, plain)
    elif read_json(path) != plain:
        raise PaperzooError(f"{folder} holds another candidate than number {number + 1} of this search: choose another folder by --out")


def _outcome(folder: Path, candidate: Candidate) -> Outcome:
    done = read_json(folder / "outcome.json")
    directory = str(folder / done["directory"])
    return Outcome(candidate, directory, done["metrics"], done["numbers"], float(done["seconds"]), str(done["recipe_hash"]), ())

