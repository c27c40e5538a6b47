"""Does depth help, and what lets it help?

A deeper network can do whatever a shallower one can: its further layers need only pass on what they get. Yet He et al. (2015,
1512.03385, figures 1 and 6) found that deeper *plain* networks end with a higher *training* error: they cannot be found by gradient
descent, although they exist. Shortcuts (`resnet`), shortcuts that nothing interrupts (`preact_resnet`), layers left out at random
(`stochastic_depth`) and columns of all depths side by side (`fractalnet`) are four answers.

Five kinds of network at growing depth, the same widths (8, 16, 32), the same 320 steps of SGD on 5,000 digits at 16x16, 64 a
step, three seeds. Training error is that of the trained network in eval mode, so that dropped layers and running means count.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from paperzoo.studies.trial import Outcome, Trial, each_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from paperzoo.engine.run import Run

TITLE = "Degradation: what lets depth help"
EXPECTED = (
    "Plain networks train worse from some depth on, in training error already, and residual ones do not: the plain network of 56 "
    "layers ends at three times the training loss of the residual one at least."
)
FINDING = (
    "As expected: of 56 plain layers 65 % of the training set is still wrong, of 56 residual ones 1.3 %, at 38 times the training loss; "
    "of 8 layers the plain network is no worse than the residual one. It is no overfitting, test errors are the same within 3 points. "
    "But residual is not enough: 110 layers ended at 4 to 59 % wrong in training, where pre-activation, whose shortcuts nothing "
    "interrupts, had 1.5 to 2.1 %, as with 20 layers. It alone did not mind depth. Stochastic depth costs most where there is least to "
    "drop (8 layers: 13 %; 56: 4.8 %). Fractal networks degraded like plain ones, from 3 % with 6 layers to 81 with 48: four passes "
    "of drop-path train each of their columns too little."
)
BEYOND = (
    "Four passes over 5,000 small digits say which networks start to learn at once, not which are best in the end: with ten or a "
    "hundred times the steps stochastic depth and drop-path, which make each step poorer, are reported to win."
)

DEPTHS = (8, 20, 56, 110)
#: columns of a fractal network of three blocks, and how deep it then is
COLUMNS = {2: 6, 3: 12, 4: 24, 5: 48}
#: line -> paper, and what turns it into that kind of network
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("resnet:plain56", {}),
    "residual": ("resnet:resnet20", {}),
    "pre-activation": ("preact_resnet:preact20", {}),
    "stochastic depth": ("stochastic_depth:resnet20", {}),
}


def trials(quick: bool) -> list[Trial]:
    """Every kind at every depth with every seed."""
    size = {"model.width": 4 if quick else 8, "model.image_size": 8 if quick else 16}
    training = {"steps": 30 if quick else 320, "batch_size": 64, "augment": (), "optimizer.lr": 0.05}
    common = {**size, **training, "data": "digits" if quick else "mnist-5k"}
    recipe, seeds = "smoke" if quick else "small", range(1 if quick else 3)
    listed = []
    for seed in seeds:
        for label, (paper, settings) in KINDS.items():
            for depth in DEPTHS[: 2 if quick else None]:
                named = "small-plain" if label == "plain" and not quick else recipe
                listed.append(Trial(label, depth, paper, named, seed, {**common, **settings, "model.depth": depth}))
        for columns, depth in list(COLUMNS.items())[: 2 if quick else None]:
            settings = {"model.columns": columns, "model.blocks": 3, "model.dropout": 0.0}
            listed.append(Trial("fractal", depth, "fractalnet:fractal20", recipe, seed, {**common, **settings}))
    return listed


def analyse(run: Run, trial: Trial) -> dict[str, float]:
    """The trained network's error and loss on the training set."""
    from paperzoo.engine.evaluate import evaluate

    measured = evaluate(run.directory, "train")
    return {"training error %": measured["error %"], "training loss": measured["loss"]}


def lines(outcomes: Sequence[Outcome]) -> dict[str, list[float]]:
    """The depths of each kind that was trained."""
    depths: dict[str, list[float]] = {}
    for one in outcomes:
        if one.trial.x not in depths.setdefault(one.trial.label, []):
            depths[one.trial.label].append(one.trial.x)
    return depths


def table(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """A row a network: mean and extremes over seeds."""
    rows = [["network", "depth", "training error %", "training loss", "test error %"]]
    for label, depths in lines(outcomes).items():
        for depth in depths:
            values = (
                each_seed(outcomes, label, depth, lambda one: one.numbers["training error %"]),
                each_seed(outcomes, label, depth, lambda one: one.numbers["training loss"]),
                each_seed(outcomes, label, depth, lambda one: one.metrics["error %"]),
            )
            rows.append([label, f"{depth:g}", *(f"{statistics.fmean(v):.3g} ({min(v):.3g} to {max(v):.3g})" for v in values)])
    return rows


def draw(outcomes: Sequence[Outcome]) -> Figure:
    """Training and test error against depth, and the training curves of the deepest networks."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.8), layout="constrained")
    training, test, curves = figure.subplots(1, 3)
    for number, (label, depths) in enumerate(lines(outcomes).items()):
        colour = f"C{number}"
        for axes, value in ((training, lambda one: one.numbers["training error %"]), (test, lambda one: one.metrics["error %"])):
            each = [each_seed(outcomes, label, depth, value) for depth in depths]
            axes.plot(depths, [statistics.fmean(values) for values in each], "-", color=colour, label=label)
            for depth, values in zip(depths, each, strict=True):
                axes.plot([depth] * len(values), values, "o", color=colour, markersize=3)
        for one in outcomes:
            deep = sorted(depths)[-2] if len(depths) > 2 else depths[-1]
            if (one.trial.label, one.trial.x) == (label, deep):
                named = f"{label} {deep:g}" if one.trial.seed == 0 else None
                curves.plot(*zip(*one.curve, strict=True), color=colour, linewidth=1, label=named)
    for axes, title in ((training, "training error, %"), (test, "test error, %")):
        axes.set(xlabel="layers", title=title, xscale="log", yscale="log")
        axes.set_xticks(DEPTHS, [str(depth) for depth in DEPTHS])
        axes.set_yticks((1, 3, 10, 30, 90), ("1", "3", "10", "30", "90"))
        axes.minorticks_off()
    training.legend(fontsize=8)
    plain, residual = (each_seed(outcomes, label, 56, lambda one: one.numbers["training loss"]) for label in ("plain", "residual"))
    times = f": plain 56 ends at\n{sum(plain) / sum(residual):.0f} times residual 56's" if plain and residual else ""
    curves.set(xlabel="step", title=f"training loss{times}", yscale="log")
    curves.legend(fontsize=8)
    return figure
