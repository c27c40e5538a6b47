"""Does an architecture found on a small task give a search on a larger one a head start?

Fang et al. (2019, 1901.05884) searched on CIFAR-10, perturbed the best architecture, and searched on from these neighbours on
ImageNet: less than five days on eight GPUs, and better than a search there from random architectures under the same settings.

Here the space is the paper's, with an eighth of the channels (`eat_nas`), and there are three arms:

    transfer         evolution on digits of 8x8, for a quarter of the budget; the best one's perturbations are the first population
                     of an evolution on 5,000 digits of MNIST at 16x16
    from scratch     the same evolution from random architectures
    random search    random architectures, one after the other

Equal budgets: the images that an arm trains on, each counted by the multiply-adds of the network that sees it, are as many in
every arm; transfer pays for its small task out of its own. In an evolution the best of a few drawn at random is the parent, its
child differs by one primitive and starts from its weights, and the worst leave. What counts is the reward, ACC (MAdds / T)^-0.07,
of accuracy on validation images; T is what MobileNetV2's place in the space computes. Test images are looked at once for each
candidate and choose nothing. Digits of 8x8 have no validation images: their held-out ones choose there, and nothing is said of them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Generator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from paperzoo.engine.job import code_hash
from paperzoo.errors import PaperzooError
from paperzoo.papers.recognition import eat_nas, eat_nas_search
from paperzoo.papers.recognition.eat_nas import CHANNELS, LITTLE, MOBILENET_V2, multiply_adds
from paperzoo.papers.recognition.eat_nas_search import (
    CHOICES,
    Code,
    drawn,
    mutated,
    parsed,
    perturbed,
    quality,
    reward,
    survivors,
    tournament,
    written,
)
from paperzoo.studies.trial import Candidate, Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from paperzoo.engine.run import Run
    from paperzoo.tasks.model import Model

TITLE = "Architecture transfer: does a small search give a large one a head start?"
EXPECTED = (
    "The first population by transfer has a higher mean reward than random architectures in every seed. At equal budgets transfer ends "
    "at or above the search from scratch, and both above random search; with so few candidates the ends may not differ clearly."
)
FINDING = ""
BEYOND = (
    "Both tasks are digits, and nearly any network of the space reads them well when it is trained for long: what is searched for is "
    "what learns within two passes. The paper's tasks differ more, and its candidates are thousands. A child has its ancestors' "
    "training behind it, which random search never has: what it gains over them is not all architecture."
)

ARMS = ("transfer", "from scratch", "random search")


class Effort(NamedTuple):
    """Seeds; members, children of a generation, members of a tournament; steps and images of both tasks; the budget of an arm.

    The budget is in billions of multiply-adds, one image forward being as many as its network has.
    """

    seeds: int
    population: int
    children: int
    entered: int
    steps: tuple[int, int]
    sides: tuple[int, int]
    large: str
    budget: float


FULL = Effort(5, 6, 3, 3, (60, 120), (8, 16), "mnist-5k", 110.0)
QUICK = Effort(1, 3, 2, 2, (16, 30), (8, 16), "digits", 12.0)
#: on all channels, batch size; share of the budget that transfer spends on its small task; images that a candidate is chosen by
WIDTH, BATCH, SMALL, SEEN = 0.125, 64, 0.25, 2000
MARGIN = 1e-9


def settings(code: str, small: bool, effort: Effort) -> dict[str, Any]:
    """Overrides of the recipe ``small`` for one candidate."""
    side = effort.sides[0 if small else 1]
    size = {"data": "digits" if small else effort.large, "steps": effort.steps[0 if small else 1], "batch_size": BATCH, "augment": ()}
    model = {"model.code": code, "model.width": WIDTH, "model.image_size": side, "model.halvings": 2 if small else 3}
    return {**size, **model, "optimizer.lr": 0.1, "precision": "float32"}


@cache
def computed(code: str, side: int, halvings: int) -> int:
    """Multiply-adds of a candidate's network for one image."""
    with torch.device("meta"):
        sizes: dict[str, Any] = {**LITTLE, "code": code, "width": WIDTH, "image_size": side, "halvings": halvings}
        model = eat_nas.Model(**sizes)
        return multiply_adds(model.eval(), torch.empty(1, 1, side, side))


def network(code: Code, small: bool, effort: Effort) -> int:
    """Multiply-adds of an architecture on one of the tasks."""
    return computed(written(code), effort.sides[0 if small else 1], 2 if small else 3)


def cost(code: Code, small: bool, effort: Effort) -> float:
    """Cost of a candidate's training against the budget, in billions of multiply-adds."""
    return network(code, small, effort) * BATCH * effort.steps[0 if small else 1] / 1e9


# --- the searches ------------------------------------------------------------------------------------------------------


def searches(quick: bool, budget: float | None) -> dict[str, Generator[list[Candidate], list[Outcome], None]]:
    """One search for each arm and seed.

    Raises:
        PaperzooError: the budget is not positive, or does not pay for a first population.
    """
    effort = _effort(quick, budget)
    for seed in range(effort.seeds):
        for arm in ARMS:
            small = arm == "transfer"
            need = sum(cost(code, small, effort) for code in _first(arm, seed, effort)[0]) / (SMALL if small else 1)
            if need > effort.budget:
                first = f"the first population of {arm}, seed {seed}"
                raise PaperzooError(f"--budget {effort.budget:g} does not pay for {first}: it must be at least {need:.2f}")
    return {f"{arm}, seed {seed}": _search(arm, seed, effort) for seed in range(effort.seeds) for arm in ARMS}


def _effort(quick: bool, budget: float | None) -> Effort:
    effort = QUICK if quick else FULL
    if budget is not None and not (math.isfinite(budget) and budget > 0):
        usual = f"the study's own is {effort.budget:g}"
        raise PaperzooError(f"--budget must be a positive number of billions of multiply-adds, not {budget:g}; {usual}")
    return effort if budget is None else effort._replace(budget=float(budget))


def _first(arm: str, seed: int, effort: Effort) -> tuple[list[Code], torch.Generator]:
    """Random architectures that an arm begins with, and the generator after that."""
    random = torch.Generator().manual_seed(1000 * seed + ARMS.index(arm))
    return [drawn(random) for _ in range(effort.population)], random


def space(quick: bool, budget: float | None) -> dict[str, Any]:
    """The search space, the settings of the search, and the budget."""
    method = [code_hash(Path(str(module.__file__))) for module in (eat_nas, eat_nas_search)]
    return {"choices": CHOICES, "blocks": len(CHANNELS), "width": WIDTH, "effort": _effort(quick, budget)._asdict(), "method": method}


def _search(arm: str, seed: int, effort: Effort) -> Generator[list[Candidate], list[Outcome], None]:
    (first, random), spent = _first(arm, seed, effort), 0.0
    if arm == "transfer":
        outcomes = yield from _evolution(arm, seed, effort, first, True, random, SMALL * effort.budget)
        spent = sum(one.numbers["cost"] for one in outcomes)
        basic = parsed(max(outcomes, key=lambda one: one.numbers["reward"]).numbers["code"])
        first = [perturbed(basic, random) for _ in range(effort.population)]
    yield from _evolution(arm, seed, effort, first, False, random, effort.budget - spent)


def _evolution(
    arm: str, seed: int, effort: Effort, first: list[Code], small: bool, random: torch.Generator, budget: float
) -> Generator[list[Candidate], list[Outcome], list[Outcome]]:
    """Generation after generation until the next candidate would cost more than is left; returns every outcome."""
    wanted, parents, population, everyone, generation = first, [-1] * len(first), list[Outcome](), list[Outcome](), 0
    while True:
        generated: list[Candidate] = []
        for code, parent in zip(wanted, parents, strict=True):
            if (price := cost(code, small, effort)) > budget + MARGIN:
                break
            budget -= price
            task, place = ("small task" if small else "large task"), len(everyone) + len(generated)
            overrides = settings(written(code), small, effort)
            generated.append(Candidate(f"{arm}, {task}, generation {generation}", place, "eat_nas", "small", seed, overrides, parent))
        if not generated:
            return everyone
        outcomes = yield generated
        everyone += outcomes
        if len(generated) < len(wanted):
            return everyone
        population += outcomes
        population = [population[i] for i in survivors([one.numbers["reward"] for one in population], effort.population)]
        wanted, parents, generation = [], [], generation + 1
        for _ in range(effort.children):
            if arm == "random search":
                wanted.append(drawn(random))
                parents.append(-1)
                continue
            chosen = population[tournament([one.numbers["reward"] for one in population], effort.entered, random)]
            wanted.append(mutated(parsed(chosen.numbers["code"]), random))
            parents.append(-1 if chosen.numbers["diverged"] else int(chosen.numbers["number"]))


def inherit(parent: Model, child: Model) -> None:
    """The child's network starts from its parent's weights."""
    assert isinstance(parent, eat_nas.Model) and isinstance(child, eat_nas.Model)
    eat_nas.share(parent.network, child.network)


# --- what is known of a candidate --------------------------------------------------------------------------------------


def analyse(run: Run, trial: Candidate) -> dict[str, Any]:
    """A candidate's place in the search, its cost, and accuracy (in [0, 1]) and reward on held-out images."""
    from paperzoo.engine.run import job_of

    data = job_of(run).dataset()
    held = data["validation" if "validation" in data.splits else "test"]
    model, right = run.model, 0
    chosen = range(min(SEEN, len(held)))
    with torch.no_grad():
        for start in range(0, len(chosen), 500):
            batch = held.batch(list(chosen[start : start + 500]))
            right += int((model(batch.image).argmax(1) == batch.label).sum())
    return _numbers(trial, right / len(chosen))


def diverged(trial: Candidate) -> dict[str, Any]:
    """The same numbers for a candidate whose loss was not finite."""
    return _numbers(trial, 0.0)


def _numbers(trial: Candidate, accuracy: float) -> dict[str, Any]:
    arm, task, generation = trial.label.split(", ")
    code, side, halvings = (trial.overrides[f"model.{name}"] for name in ("code", "image_size", "halvings"))
    adds, target = computed(code, side, halvings), computed(MOBILENET_V2, side, halvings)
    images = trial.overrides["steps"] * trial.overrides["batch_size"]
    return {
        "arm": arm, "small": task == "small task", "generation": int(generation.removeprefix("generation ")), "code": code,
        "multiply-adds": adds, "cost": adds * images / 1e9, "accuracy": accuracy, "reward": reward(accuracy, adds, target),
    }  # fmt: skip


# --- what is shown -----------------------------------------------------------------------------------------------------


def of(outcomes: Sequence[Outcome], arm: str, seed: int | None = None, small: bool = False) -> list[Outcome]:
    """The candidates of an arm on one task, of one seed or all."""
    return [f for f in outcomes if (f.numbers["arm"], f.numbers["small"]) == (arm, small) and seed in (None, f.trial.seed)]


def seeds(outcomes: Sequence[Outcome]) -> list[int]:
    """The seeds that have outcomes, sorted."""
    return sorted({one.trial.seed for one in outcomes})


def champion(outcomes: Sequence[Outcome]) -> Outcome:
    """The candidate with the highest reward; of equals the earliest."""
    return max(outcomes, key=lambda one: one.numbers["reward"])


def beginning(outcomes: Sequence[Outcome], arm: str, seed: int) -> float:
    """Mean reward of the first population on the large task."""
    return quality([one.numbers["reward"] for one in of(outcomes, arm, seed) if one.numbers["generation"] == 0]).mean


def sign_test(differences: Sequence[float]) -> tuple[int, float]:
    """The number of positive differences, and the one-sided p-value of the sign test; zeros count as not positive."""
    positive, n = sum(d > 0 for d in differences), len(differences)
    return positive, sum(math.comb(n, k) for k in range(positive, n + 1)) / 2**n


def standing(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """A row a search: how many candidates, what they cost, and the best so far on the task that it is at."""
    rows = [["search", "candidates", "spent", "task", "best reward", "architecture"]]
    for seed in seeds(outcomes):
        for arm in ARMS:
            both = [of(outcomes, arm, seed, small) for small in (True, False)]
            if now := both[1] or both[0]:
                first, spent = champion(now), sum(one.numbers["cost"] for one in both[0] + both[1])
                task, highest = "large" if both[1] else "small", f"{first.numbers['reward']:.3f}"
                count = len(both[0] + both[1])
                rows.append([f"{arm}, seed {seed}", f"{count}", f"{spent:.2f}", task, highest, first.numbers["code"]])
    return rows


def _spread(values: Sequence[float], digits: int) -> str:
    return f"{statistics.fmean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """A row an arm, means and extremes over seeds; test error is of the candidate with the best reward. Last, the sign test."""
    rows = [[
        "arm", "candidates, small and large", "spent, billions", "first mean reward", "first deviation", "best reward",
        "its validation error %", "its test error %", "its multiply-adds, thousands", "seconds of training",
    ]]  # fmt: skip
    every = seeds(outcomes)
    for arm in ARMS:
        both = [of(outcomes, arm, seed, True) + of(outcomes, arm, seed) for seed in every]
        ends = [champion(of(outcomes, arm, seed)) for seed in every]
        first = [[o.numbers["reward"] for o in of(outcomes, arm, s) if o.numbers["generation"] == 0] for s in every]
        counts = "; ".join(_spread([len(of(outcomes, arm, seed, small)) for seed in every], 0) for small in (True, False))
        rows.append([
            arm, counts, _spread([sum(o.numbers["cost"] for o in each) for each in both], 1), _spread([quality(v).mean for v in first], 3),
            _spread([math.sqrt(quality(v).variance) for v in first], 3), _spread([o.numbers["reward"] for o in ends], 3),
            _spread([100 * (1 - o.numbers["accuracy"]) for o in ends], 2), _spread([o.metrics.get("error %", 100.0) for o in ends], 2),
            _spread([o.numbers["multiply-adds"] / 1e3 for o in ends], 0), _spread([sum(o.seconds for o in each) for each in both], 0),
        ])  # fmt: skip
    for other in ARMS[1:]:
        above, p = sign_test([beginning(outcomes, "transfer", seed) - beginning(outcomes, other, seed) for seed in every])
        words = f"transfer begins above {other} in {above} of {len(every)} seeds"
        rows.append([words, f"sign test, p = {p:.3f}", *["-"] * (len(rows[0]) - 2)])
    return rows


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The Pareto front: points (cost, error) that no other point is below in both, in order of cost."""
    kept: list[tuple[float, float]] = []
    for point in sorted(points):
        if not kept or point[1] < kept[-1][1]:
            kept.append(point)
    return kept


def draw(outcomes: Sequence[Outcome]) -> Figure:
    """Left the best reward so far against what has been spent, a thin line a seed; right error against multiply-adds and the fronts."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for arm, colour in zip(ARMS, ("tab:red", "tab:blue", "tab:gray"), strict=True):
        for seed in seeds(outcomes):
            spent, best = sum(one.numbers["cost"] for one in of(outcomes, arm, seed, True)), 0.0
            xs, ys = [], []
            for one in of(outcomes, arm, seed):
                spent, best = spent + one.numbers["cost"], max(best, one.numbers["reward"])
                xs.append(spent)
                ys.append(best)
            left.step(xs, ys, where="post", color=colour, alpha=0.6, lw=1.2, label=arm if seed == seeds(outcomes)[0] else None)
            left.plot(xs[:1], [beginning(outcomes, arm, seed)], "o", color=colour, ms=5)
        points = [(o.numbers["multiply-adds"] / 1e3, 100 * (1 - o.numbers["accuracy"])) for o in of(outcomes, arm)]
        right.scatter(*zip(*points, strict=True), s=12, color=colour, alpha=0.5, label=arm)
        right.plot(*zip(*front(points), strict=True), color=colour, lw=1)
    left.set(xlabel="spent, billions of multiply-adds (its small task included)", ylabel="best reward so far, validation images")
    left.set_title("dots: mean of the first population")
    right.set(xlabel="multiply-adds of a network, thousands", ylabel="validation error %", xscale="log")
    right.set_title("every candidate on the large task")
    left.legend()
    right.legend()
    return figure
