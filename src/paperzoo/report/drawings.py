"""Pictures that results make together: what a paper is about, drawn from the numbers that its page, or a study of it, has recorded."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from paperzoo import catalog, results
from paperzoo.engine.run import read_json
from paperzoo.papers.recognition.inception import Sizes, inception_a, inception_c
from paperzoo.papers.recognition.stochastic_depth import survival_probabilities
from paperzoo.report import sizes
from paperzoo.report.chart import Line, Panel, chart, marked
from paperzoo.report.ending import minutes

DEGRADATION = "study degradation: 5,000 digits at 16x16, 320 steps"
ERROR = "test error, %"


@dataclass(frozen=True)
class Drawing:
    """A picture that is written by ``paperzoo results --write``: its file's name in the paper's folder, its SVG, its caption."""

    name: str
    svg: str
    caption: str


def drawing(paper: str) -> Drawing | None:
    """The picture of a paper that has one here; none if what it is drawn from was not recorded."""
    make = DRAWINGS.get(paper)
    try:
        return make() if make else None
    except FileNotFoundError:
        return None


def recorded(name: str, recipe: str) -> dict[str, Any]:
    """The file of results of ``paper:variant`` by a recipe.

    Raises:
        FileNotFoundError: there is none.
    """
    paper, _, variant = name.partition(":")
    for path in sorted((results.folder() / paper).glob(f"{variant}-{recipe}-*.json")):
        file: dict[str, Any] = read_json(path)
        if (file["variant"], file["recipe_name"]) == (variant, recipe):
            return file
    raise FileNotFoundError(f"{name} {recipe}")


def measured(name: str, recipe: str, metric: str = "error %") -> list[float]:
    """A value a seed."""
    return [run["metrics"][metric] for run in recorded(name, recipe)["runs"]]


def trials(study: str) -> list[dict[str, Any]]:
    """What a study recorded of each training.

    Raises:
        FileNotFoundError: it was not recorded.
    """
    path = results.folder() / "studies" / f"{study}.json"
    if not path.is_file():
        raise FileNotFoundError(path)
    kept: list[dict[str, Any]] = read_json(path)["trials"]
    return kept


def studied(study: str, label: str, number: Callable[[Mapping[str, Any]], float]) -> dict[float, list[float]]:
    """x -> a value a seed, of a study's trials with this label."""
    points: dict[float, list[float]] = {}
    for trial in trials(study):
        if trial["label"] == label:
            points.setdefault(float(trial["x"]), []).append(number(trial))
    return points


def _error(trial: Mapping[str, Any]) -> float:
    return float(trial["metrics"]["error %"])


def _mean(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.3g} %"


def _took(*runs: tuple[str, str]) -> str:
    """What was trained, and how long that took."""
    seconds = [(name, recipe, results.took(name, recipe)) for name, recipe in runs]
    return "; ".join(f"{name}, recipe {recipe}, trained for {minutes(took[0])}" for name, recipe, took in seconds if took)


def _by_depth(kinds: Sequence[tuple[str, str]], title: str = DEGRADATION) -> Panel:
    """Test error by depth in the study ``degradation``, of kinds given as (what the study calls it, what it is called here)."""
    lines = [Line(shown, studied("degradation", kind, _error)) for kind, shown in kinds]
    return Panel(title, "weighted layers", ERROR, lines, {x: f"{x:g}" for x in (8, 20, 56, 110)}, (2, 4, 10, 30, 90), (True, True))


def _by_layers(title: str, lines: Mapping[str, Mapping[float, Sequence[float]]]) -> Panel:
    """Test error by depth in recorded recipes, of lines by name."""
    depths = sorted({x for points in lines.values() for x in points})
    drawn = [Line(name, points) for name, points in lines.items()]
    return Panel(title, "weighted layers", ERROR, drawn, {x: f"{x:g}" for x in depths}, (1, 2, 4, 10, 20), (True, True))


def resnet() -> Drawing:
    """Plain and residual networks by depth."""
    study = _by_depth([("plain", "plain"), ("residual", "residual")])
    residual = {20.0: measured("resnet:resnet20", "small"), 56.0: measured("resnet:resnet56", "small")}
    plain = {56.0: measured("resnet:plain56", "small-plain")}
    ours = _by_layers("recipe small: at 28x28, 800 steps", {"plain": plain, "residual": residual})
    deep = {line.name: line.points[56] for line in study.lines}
    title = f"56 plain layers: {_mean(deep['plain'])} wrong; the same layers with shortcuts: {_mean(deep['residual'])}"
    return Drawing("depth", chart(title, [study, ours]), (
        "Error against depth, plain and residual: without shortcuts it rises from some depth on, with them it does not until 110 "
        "layers, which four passes do not train either. Points are means over seeds, bars go from the best to the worst. On the right: "
        f"{_took(('resnet:resnet56', 'small'), ('resnet:plain56', 'small-plain'))}."
    ))  # fmt: skip


def preact_resnet() -> Drawing:
    """Residual networks in the old and in the new order, by depth."""
    study = _by_depth([("residual", "post-activation"), ("pre-activation", "pre-activation")])
    old: dict[float, list[float]] = {20: measured("resnet:resnet20", "small"), 110: measured("resnet:resnet110", "small-deep")}
    new: dict[float, list[float]] = {20: measured("preact_resnet:preact20", "small")}
    new |= {float(depth): measured(f"preact_resnet:preact{depth}", "small-deep") for depth in (110, 164)}
    ours = _by_layers("800 steps: 20 layers at 28x28, deeper ones at 16x16", {"post-activation": old, "pre-activation": new})
    title = f"110 layers: {_mean(old[110])} wrong where a ReLU follows the sum, {_mean(new[110])} where nothing does"
    return Drawing("depth", chart(title, [study, ours]), (
        "Error against depth, in the order of resnet (post-activation) and in this paper's: beyond a hundred layers only the shortcut "
        "that nothing interrupts still trains. On the right: "
        f"{_took(('preact_resnet:preact110', 'small-deep'), ('resnet:resnet110', 'small-deep'))}."
    ))  # fmt: skip


def stochastic_depth() -> Drawing:
    """How often blocks survive, and what that does to the error."""
    name = "stochastic_depth:resnet110"
    arguments = catalog.load(name).arguments | recorded(name, "small-deep")["recipe"]["model"]
    p = survival_probabilities((arguments["depth"] - 2) // 2, arguments.get("survival", 0.5), arguments.get("decay", "linear"))
    alive = f"Eq. 4, 110 layers: of {len(p)} blocks {sum(p):.0f} are computed at a time"
    survival = Panel(alive, "block, from the image to the answer", "probability that it is computed",
                     [Line("survival", {block: [one] for block, one in enumerate(p, 1)})],
                     {1: "1", 18: "18", 36: "36", len(p): str(len(p))}, (0, 0.25, 0.5, 0.75, 1))  # fmt: skip
    fixed: dict[float, list[float]] = {20: measured("resnet:resnet20", "small"), 110: measured("resnet:resnet110", "small-deep")}
    random: dict[float, list[float]] = {20: measured("stochastic_depth:resnet20", "small"), 110: measured(name, "small-deep")}
    ours = _by_layers("800 steps: 20 layers at 28x28, 110 at 16x16", {"stochastic depth": random, "all blocks": fixed})
    worse = all(statistics.fmean(random[depth]) >= statistics.fmean(fixed[depth]) for depth in fixed)
    verdict = "in so few steps it costs accuracy" if worse else "and it pays"
    title = f"The last block lives half of the time: {verdict} ({_mean(random[110])} wrong against {_mean(fixed[110])})"
    return Drawing("survival", chart(title, [survival, ours]), (
        "Left: how often each block is computed in training. Right: the error beside resnet's (all blocks), whose layers and steps are "
        "the same"
        f"{': a failure at this budget, for each step trains less of the network' if worse else ''}. "
        f"{_took((name, 'small-deep'), ('resnet:resnet110', 'small-deep'))}."
    ))  # fmt: skip


def fractalnet() -> Drawing:
    """The whole network, and its deepest column cut out, with drop-path and without."""
    kinds = [("fractalnet:undropped", "all paths, always"), ("fractalnet:fractal20", "drop-path")]
    whole, alone = ([measured(name, "small", metric) for name, _ in kinds] for metric in ("error %", "deepest column error %"))
    lines = [Line(shown, {0: a, 1: b}) for (_, shown), a, b in zip(kinds, whole, alone, strict=True)]
    ticks = {-0.5: "", 0: "whole network", 1: "deepest column alone", 1.5: ""}
    panel = Panel("recipe small, 5,000 digits, 800 steps", "what is asked", ERROR, lines, ticks, (0, 20, 40, 60, 80, 100))
    helped = statistics.fmean(alone[1]) < statistics.fmean(alone[0])
    verdict = "makes a column work alone" if helped else "has not made a column work alone in 800 steps"
    title = f"Drop-path {verdict}: {_mean(alone[1])} wrong, {_mean(alone[0])} without it"
    return Drawing("columns", chart(title, [panel]), (
        "The error of the whole network and of its deepest column, 20 plain layers, cut out of it. Drop-path is there to make that column "
        f"work by itself; {'here it does' if helped else 'at this budget it fails: 800 steps train each column too little'}. "
        f"{_took(*((name, 'small') for name, _ in kinds))}."
    ))  # fmt: skip


#: networks measured on the 5,000 digits by their recipe ``small``
ON_DIGITS = (
    ("mobilenet", "mobilenet:v2"), ("resnet20", "resnet:resnet20"), ("resnet56", "resnet:resnet56"), ("vgg16", "vgg:vgg16"),
    ("googlenet", "googlenet:v1"), ("inception v3", "inception:v3"), ("fractalnet", "fractalnet:undropped"),
)  # fmt: skip


@cache
def multiply_adds(name: str, recipe: str) -> float:
    """Millions of multiply-adds for one image, of the network that a recorded recipe on digits built."""
    settings = {"channels": 1, "classes": 10, "image_size": 28} | recorded(name, recipe)["recipe"]["model"]
    hashable = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    return sizes.counted(name, tuple(sorted(hashable.items())), "multiply-adds") / 1e6


def mobilenet() -> Drawing:
    """Error against what an image costs."""
    cost = {shown: multiply_adds(name, "small") for shown, name in ON_DIGITS}
    lines = [Line(shown, {cost[shown]: measured(name, "small")}) for shown, name in ON_DIGITS]
    others = [one for shown, one in cost.items() if shown != "mobilenet"]
    x: dict[float, str] = {one: f"{one:g}" for one in (10, 20, 50, 100, 200)}
    panel = Panel("5,000 digits, recipes small", "million multiply-adds for one image", ERROR, lines, x, (0, 1, 2, 3, 4, 5), (True, False),
                  joined=False)  # fmt: skip
    error = _mean(lines[0].points[cost["mobilenet"]])
    title = f"{error} wrong at {cost['mobilenet']:.1f} million multiply-adds; the others take {min(others):.0f} to {max(others):.0f}"
    return Drawing("cost", chart(title, [panel]), (
        "Error against multiply-adds, each network as its recipe small builds it: further left is cheaper, further down better. "
        f"{_took(('mobilenet:v2', 'small'))}."
    ))  # fmt: skip


def rethinking() -> Drawing:
    """Training on true and on random labels, and what is left at test."""

    def curve(label: str, x: float) -> dict[float, list[float]]:
        curves = [trial["numbers"]["curve"] for trial in trials("random_labels") if (trial["label"], trial["x"]) == (label, x)]
        return {epoch: [errors[epoch - 1] for errors in curves] for epoch in range(1, 41, 3)}

    kinds = {"true labels": ("Inception, labels", 0.0), "random labels": ("Inception, labels", 1.0),
             "noise for images": ("Inception, Gaussian noise", 0.0)}  # fmt: skip
    fit = Panel("Inception on 500 digits", "epoch", "training error, %", [Line(name, curve(*kind)) for name, kind in kinds.items()],
                {1: "1", 10: "10", 20: "20", 30: "30", 40: "40"}, (0, 25, 50, 75, 100))  # fmt: skip
    networks = ("Inception", "AlexNet", "MLP 1x512")
    at_test = {name: {100 * x: values for x, values in studied("random_labels", f"{name}, labels", _error).items()} for name in networks}
    shares = Panel("what is left at test", "share of random labels, %", ERROR, [Line(name, points) for name, points in at_test.items()],
                   {x: f"{x:g}" for x in (0, 25, 50, 75, 100)}, (0, 25, 50, 75, 100))  # fmt: skip
    title = f"Random labels are learnt without a mistake; at test {_mean(at_test['Inception'][100])} are wrong, and chance is 90 %"
    return Drawing("random-labels", chart(title, [fit, shares]), (
        "Left: the training error falls to nothing on true labels, on labels drawn by chance and on noise, a few epochs later. Right: the "
        "more labels are random, the less is right at test, though all are fitted. From the study `random_labels`, three seeds, "
        "7 seconds a training."
    ))  # fmt: skip


#: windows of Inception's blocks A and C at the paper's size: what they are called, block, first and last convolution, side of the
#: square kernel that a pair of convolutions stands for
WINDOWS = (
    ("5x5", "A", "branch3x3dbl", ((2, 3, 5),)),
    ("7x7", "C", "branch7x7", ((2, 3, 7),)),
    ("7x7 twice", "C", "branch7x7dbl", ((2, 3, 7), (4, 5, 7))),
)


def inception() -> Drawing:
    """What factorised windows cost, and how many maps each branch gives, at the paper's size; counted, nothing is trained."""
    plain = Sizes(1, fid=False)
    with torch.device("meta"):
        blocks, side = {"A": inception_a(192, 32, plain), "C": inception_c(768, 128, plain)}, {"A": 35, "C": 17}

    def weight(block: str, name: str) -> tuple[int, ...]:
        return tuple(blocks[block].get_parameter(f"{name}.conv.weight").shape)  # outputs, inputs, height, width

    built: dict[float, list[float]] = {}
    whole: dict[float, list[float]] = {}
    for place, (_, block, row, pairs) in enumerate(WINDOWS):
        ends = [(weight(block, f"{row}_{first}"), weight(block, f"{row}_{last}"), kernel) for first, last, kernel in pairs]
        built[place] = [side[block] ** 2 * sum(math.prod(one) + math.prod(other) for one, other, _ in ends) / 1e6]
        whole[place] = [side[block] ** 2 * sum(kernel**2 * one[1] * other[0] for one, other, kernel in ends) / 1e6]
    ticks: dict[float, str] = {-0.5: "", **{float(place): one[0] for place, one in enumerate(WINDOWS)}, 2.5: ""}
    cost = Panel("what a window costs", "window that a branch looks through", "million multiply-adds",
                 [Line("whole", whole), Line("as built", built)], ticks, (0, 200, 400, 600), joined=False)  # fmt: skip
    given = []
    for name, one in blocks.items():
        maps = [weight(name, row[-1])[0] for row in (*one.names, ["branch_pool"])]
        given.append(Line(f"block {name}", {place: [float(number)] for place, number in enumerate(maps)}))
    branches = Panel("what each branch gives to the block's output", "branch", "maps", given,
                     {0: "1x1", 1: "window", 2: "two windows", 3: "pooling"}, (0, 50, 100, 150, 200), joined=False)  # fmt: skip
    share = sum(one[0] for one in built.values()) / sum(one[0] for one in whole.values())
    title = f"Windows made of small kernels cost {100 * share:.0f} % of whole ones; each branch looks through another"
    error = measured("inception:v3", "small")
    return Drawing("branches", chart(title, [cost, branches]), (
        "Left: a 5x5 window built as two of 3x3 (block A, 35x35 places), 7x7 ones as 1x7 and 7x1 (block C, 17x17). Right: how many maps of "
        "a block's output come from each branch. Counted at the paper's size, where nothing was trained; eight times narrower and on "
        f"5,000 digits, {_mean(error)} are wrong: {_took(('inception:v3', 'small'))}."
    ))  # fmt: skip


#: a blank of a text that ``MaskedPretraining`` writes, ``[the 94 %]`` or ``[truth: answer 6 %]``, and the grounds of right and wrong ones
BLANK = re.compile(r"\[(\S+?(?:: \S+)? \d+ %)\]")
RIGHT, WRONG = "#b7e4c0", "#f6c9a8"


def filled(blank: str) -> tuple[str, str]:
    """Truth and answer of what stands in a blank."""
    said = blank.rpartition(" ")[0].rpartition(" ")[0]
    truth, colon, guess = said.partition(": ")
    return (truth, guess) if colon else (said, said)


def passage(told: str) -> list[tuple[str, str]]:
    """Words of a text with blanks, each with its ground; a wrong answer stands before what is true, ``cat≠dog``."""
    words = []
    for blank, word in re.findall(f"{BLANK.pattern}|(\\S+)", told):
        truth, guess = filled(blank) if blank else ("", "")
        more = "##" * truth.startswith("##")
        wrong = f"{more}{guess.removeprefix('##')}≠{truth.removeprefix('##')}"
        words.append(((truth, RIGHT) if truth == guess else (wrong, WRONG)) if blank else (word, ""))
    return [word for word in words if word[0] not in ("[CLS]", "[SEP]")]


def bert() -> Drawing:
    """Sentences with their blanks as the network filled them."""
    path = results.folder() / "bert" / "base-small-books-masked.txt"
    if not path.is_file():
        raise FileNotFoundError(path)
    told = path.read_text(encoding="utf-8")
    blanks = [filled(one) for one in BLANK.findall(told)]
    wrong = [guess for truth, guess in blanks if guess != truth]
    passages = [passage(block.partition("\n")[2]) for block in told.split("\n\n")[1:5]]
    exact = measured("bert:base", "small", "MLM exact %")
    most = statistics.mode(wrong)
    title = (
        f"{_mean(exact)} of the blanks are filled rightly; of these {len(blanks)} it is {len(blanks) - len(wrong)}, "
        f'and {wrong.count(most)} got a "{most}"'
    )
    legend = [("right", RIGHT), ("answer≠truth", WRONG)]
    return Drawing("blanks", marked(title, passages, legend), (
        "Held-out sentences of old books, their blanks as they were filled: pieces of names and set phrases are found; for most words "
        "the commonest piece is all that this training has learnt, which is a failure. "
        f"{_took(('bert:base', 'small'))}."
    ))  # fmt: skip


DRAWINGS: Mapping[str, Callable[[], Drawing]] = {
    make.__name__: make for make in (resnet, preact_resnet, stochastic_depth, fractalnet, mobilenet, inception, rethinking, bert)
}
