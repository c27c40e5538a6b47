"""Rows that only the owner of a data set can fill in: the recipes with a claim on it, and the measured figures beside the claims."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paperzoo import catalog, results
from paperzoo.data.datasets import DATASETS, listed, parse
from paperzoo.engine.run import read_json
from paperzoo.errors import PaperzooError, unknown
from paperzoo.files import exists, is_folder
from paperzoo.records import Claim, Recipe, Target
from paperzoo.report.reproduced import Pair

if TYPE_CHECKING:
    from paperzoo.data.fetch.sources import Source
    from paperzoo.engine.run import Run

#: floating-point operations that a GPU of today does of such networks in a second, a tenth of what it is sold for; and the seconds in
#: which a kernel is launched, below which no call of torch's falls
SPEED, LAUNCH = 3e13, 1e-5


@dataclass(frozen=True)
class Wanted:
    """A recipe at a paper's own size, and what is claimed of it: a target and its claim for each figure."""

    name: str
    recipe_name: str
    recipe: Recipe
    promised: tuple[tuple[Target, Claim], ...]

    @property
    def command(self) -> str:
        return f"paperzoo train {self.name} --recipe {self.recipe_name} --seeds 0,1,2"


def wanted(data: str, only: Sequence[str] = ()) -> list[Wanted]:
    """All recipes at a paper's size whose data, or whose claim's, are ``data``; of the papers or variants in ``only``, if there are any.

    Raises:
        PaperzooError: no claim hangs on these data, or a name in ``only`` is unknown or has none.
    """
    recipes, known = [], dict[str, None]()
    for paper in sorted(catalog.CATALOG):
        for variant in catalog.load(paper).paper.variants:
            entry = catalog.load(f"{paper}:{variant}")
            for recipe_name, recipe in entry.paper.recipes.items():
                if not recipe_name.startswith("paper") or (recipe.variants and variant not in recipe.variants):
                    continue
                promised = [
                    (target, claim)
                    for target in recipe.targets_of(variant)
                    if target.claim and (claim := results.claim_of(entry, recipe_name, target.metric, target)) is not None
                ]
                bases = {parse(recipe.data).base, *(claim.data for _, claim in promised)} if promised else set()
                known |= {base: None for base in sorted(bases) if base in DATASETS or (base.isalnum() and base.islower())}
                if data in bases:
                    recipes.append(Wanted(entry.name, recipe_name, recipe, tuple(promised)))
    if not recipes:
        raise unknown("data set with a claim", data, sorted(known))
    for name in only:
        chosen = catalog.load(name)
        if not any(one.name == chosen.name or one.name.partition(":")[0] == name for one in recipes):
            raise unknown(f"paper with a claim on {data}", name, dict.fromkeys(one.name for one in recipes))
    full = {catalog.load(name).name for name in only}
    return [one for one in recipes if not only or one.name in full or one.name.partition(":")[0] in only]


def place(rows: Sequence[Wanted], path: Path) -> list[Path]:
    """Links a user's files into the cache, where the recipes look for them, or copies them, and returns the places. What is there stays.

    Args:
        path: a folder with the files by their published names, at any depth; or, where one file is wanted, that file, or the folder
            that it unpacks to.

    Raises:
        PaperzooError: the path is not there, a file is missing below it, or has another SHA-256 than the pinned one.
    """
    if not exists(str(path)):
        raise PaperzooError(f"--data {path}: there is no such file or folder")
    sources: dict[str, Source] = {}
    for row in rows:
        entry = listed(row.recipe.data)
        sources |= {source.name: source for source in (entry.sources if entry else ()) if source.transport != "installed"}
    absent = [source for source in sources.values() if not source.path.exists()]
    user_paths = {source.name: _below(path, source, alone=len(sources) == 1) for source in absent}
    if missing := [name for name, place in user_paths.items() if place is None]:
        raise PaperzooError(f"--data {path}: there is no {' and no '.join(missing)} below it; {_how(absent, missing)}")
    links = []
    for source in absent:
        user_path = user_paths[source.name]
        assert user_path is not None
        if not user_path.is_dir():
            source.check(user_path)
        source.path.parent.mkdir(parents=True, exist_ok=True)
        source.path.unlink(missing_ok=True)  # a link whose file is gone
        try:
            source.path.symlink_to(user_path.resolve(), target_is_directory=user_path.is_dir())
        except OSError:  # Windows lets few make links
            (shutil.copytree if user_path.is_dir() else shutil.copyfile)(user_path, source.path)
        links.append(source.path)
    return links


def _below(path: Path, source: Source, alone: bool) -> Path | None:
    """The user's file or folder for a source: the one of its name, else, where no other is wanted, the path itself."""
    if path.name == source.name:
        return path
    if is_folder(str(path)):
        by_name = min(path.rglob(source.name), key=lambda candidate: (len(candidate.parts), candidate), default=None)
        if by_name is not None:
            return by_name
    return path if alone else None


def _how(sources: Sequence[Source], missing: Sequence[str]) -> str:
    source = next(source for source in sources if source.name == missing[0])
    return source.how or (f"it is published at {source.urls[0]}" if source.urls else "its licence asks that you fetch it yourself")


def run(
    rows: Sequence[Wanted], seeds: Sequence[int], out: Path, devices: int = 1, overrides: Mapping[str, Any] | None = None
) -> Iterator[list[Pair]]:
    """Trains each recipe with all seeds, and yields its figures beside its claims. Called again, it goes on where it was stopped."""
    from paperzoo.engine.seeds import train_seeds

    for row in rows:
        runs = train_seeds(seeds, row.name, row.recipe_name, out=out, devices=devices, overrides=overrides)
        yield beside(row, runs)


def beside(row: Wanted, runs: Sequence[Run]) -> list[Pair]:
    """What runs measured, beside each claim. Where settings were changed, it is ``changed`` and nothing is said of the claim."""
    entry, done = catalog.load(row.name), [read_json(one.directory / "result.json") for one in runs]
    changed = ", ".join(f"{key}={value}" for key, value in runs[0].info["overrides"].items())
    changed = changed if runs[0].info["recipe_hash"] != row.recipe.hash() else ""
    pairs = []
    for target, claim in row.promised:
        values = [one["metrics"][target.metric] for one in done if target.metric in one["metrics"]]
        if not values:
            continue
        status, sure = results.verdict(target, claim, values)
        figures: dict[str, Any] = {
            "paper": entry.paper.name, "variant": entry.variant, "recipe": row.recipe_name, "data": row.recipe.data,
            "metric": target.metric, "mean": statistics.fmean(values), "spread": results.deviation(values), "seeds": len(values),
            "target": str(target), "status": "changed" if changed else status, "sure": changed or sure, "reason": "",
            "seconds": statistics.median(one["seconds"] for one in done), "hardware": runs[0].info["hardware"],
        }  # fmt: skip
        pairs.append(Pair(row.name, figures, claim))
    return pairs


@dataclass(frozen=True)
class Cost:
    """The cost of the first step of a training.

    Attributes:
        operations: two for each multiplication with its addition, of convolutions and matrices, forward and backward.
        calls: of torch's kernels.
    """

    operations: int
    calls: int


def cost(row: Wanted) -> Cost:
    """Counts the first step; of a recipe in stages that of the first stage. Needs the data."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import FlopCounterMode

    from paperzoo.engine.job import resolve
    from paperzoo.report.compare import first_loop

    class Calls(TorchDispatchMode):  # type: ignore[no-untyped-call]
        number = 0

        def __torch_dispatch__(self, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
            self.number += 1
            return function(*given, **(named or {}))

    with first_loop(resolve(row.name, row.recipe_name)) as loop, FlopCounterMode(display=False) as counter, Calls() as calls:  # type: ignore[no-untyped-call]
        loop.step()
    return Cost(int(counter.get_total_flops()), calls.number)


def minutes(row: Wanted) -> float:
    """A training's minutes on a GPU, computed and not measured: at ``SPEED``, and no call of a kernel below ``LAUNCH``."""
    one = cost(row)
    return row.recipe.steps * max(one.operations / SPEED, one.calls * LAUNCH) / 60
