"""Why do networks with more weights than examples not overfit?

A network that could fit any labels fits the training set without a mistake, trains on, and errs on the test set no more than
before; yet its test *loss* rises. Poggio et al. (2017, 1801.00173) see no puzzle in it. Near a minimum, gradient descent on a deep
network is like gradient descent on a linear model, which chooses among all solutions by itself. Started at 0 it ends, for

    the square loss       at the solution of least norm, w = pinv(X) y;
    the logistic loss     in the direction of the largest margin, that of a hard-margin support vector machine, while ||w|| grows
                          like log t (Soudry et al. 2017, 1710.10345): the angle falls as slowly as 1 / log t.

The sign of w . x has then a margin, however large w is, and the test error stays; but each mistake costs more the longer w is.
Deep networks are to do the like: for those of ReLUs without biases and for small steps, the smallest margin divided by the
weights' norm to the power of their degree grows from some point on (Lyu and Li 2019, 1906.05890). Here margins are divided by the
product of the layers' Frobenius norms, which a change of scale from one layer to another leaves alone.

The linear models, 40 points in 60 or 20 dimensions, are solved both ways, by descent and directly. The networks (`cnn:plain`, k and
2k filters) see 5,000 digits at 16x16 for 51 passes of SGD with momentum. Each is looked at 13 times on its way, in a second training
that is the first one bit for bit. Counter-checks: stopping at the least validation loss, and weight decay.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paperzoo.data import Split
from paperzoo.studies.trial import Numbers, Outcome, Trial, again

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from paperzoo.engine.loop import Loop
    from paperzoo.engine.run import Run

Array = np.ndarray[Any, np.dtype[np.float64]]

TITLE = "Non-overfitting: what training does when there is nothing left to learn"
EXPECTED = (
    "From some width on the training error is 0, and the test error falls or stays as networks grow. After that point the test loss of "
    "the widest rises by a fifth at least over its least value while its test error does not, and its smallest normalised margin grows. "
    "Early stopping and weight decay lower the test loss and hardly change the error. Linear models end where the theory says."
)
FINDING = (
    "3,818 weights, fewer than there are images, fit all of them, and the test error goes on falling with eight times as many: 4.3, 2.9, "
    "2.5 and 2.1 % for k = 4 to 32. Of the widest network the test loss rises from its least value by 13 to 16 %, less than the "
    "fifth that was expected (k = 4: 20 to 30 %), while its error stays or falls, and its smallest normalised margin nearly doubles. "
    "Stopping at the least validation loss would have been a mistake: 6 % less loss and half a point more error. Weight decay does what "
    "was expected, a third off the loss and nothing off the error within the seeds' spread (2.02 against 2.12 %). Linear models "
    "end where the theory says: the square loss at the solution of least norm to 1e-14 if it began at 0 and 0.6 of its length away if it "
    "began elsewhere; the logistic loss is still 0.1 from the direction of the largest margin after 100,000 steps, 0.02 after 10,000 if "
    "its steps are normalised."
)
BEYOND = (
    "Digits have clean labels: with noise in the labels, or in regression, fitting all of it does cost, and stopping early pays. The "
    "networks have biases and large steps, for which nothing is proved, and the largest margin is known for the linear models alone. "
    "That margins grow does not show that they are why the error stays."
)

WIDTHS = (2, 4, 8, 16, 32)
DECAY = 1e-3
LOOKS, SEEDS = 13, 3


def trials(quick: bool) -> list[Trial]:
    """Every width with every seed, and the widest with weight decay."""
    listed = []
    for seed in range(1 if quick else SEEDS):
        for width in (4, 16) if quick else WIDTHS:
            listed.append(_trial("no decay", width, 0.0, seed, quick))
        listed.append(_trial("weight decay", width, DECAY, seed, quick))
    return listed


def _trial(label: str, width: int, decay: float, seed: int, quick: bool) -> Trial:
    size = {"data": "digits" if quick else "mnist-5k", "model.image_size": 8 if quick else 16, "steps": 300 if quick else 4000}
    plain = {"batch_size": 64, "augment": (), "train_on": "train", "precision": "float32", "model.widths": [width, 2 * width]}
    arguments = {"momentum": 0.9, "weight_decay": decay}
    sgd = {"optimizer.name": "SGD", "optimizer.lr": 0.1, "optimizer.rise": 0.02, "optimizer.arguments": arguments}
    return Trial(label, width, "cnn:plain", "smoke" if quick else "small", seed, {**size, **plain, **sgd})


# --- networks ----------------------------------------------------------------------------------------------------------


def outputs(model: nn.Module, split: Split, device: torch.device) -> tuple[Tensor, Tensor]:
    """Logits (N, K) in double precision, in which a loss of 1e-12 is no 0, and labels (N)."""
    batches = [split.batch(indices).to(device) for indices in split.batches(500)]
    return torch.cat([model(batch.image) for batch in batches]).double(), torch.cat([batch.label for batch in batches])


def margins(logits: Tensor, label: Tensor) -> Tensor:
    """How far the right class's logit is above the largest other: (N), negative where the guess is wrong."""
    right = logits.gather(1, label[:, None])  # (N, 1)
    return (right - logits.scatter(1, label[:, None], -math.inf).amax(1, keepdim=True))[:, 0]


def product_of_norms(model: nn.Module) -> float:
    """Norms of all layers' weights; biases are left out."""
    return math.prod(float(p.detach().double().norm()) for p in model.parameters() if p.ndim > 1)


def analyse(run: Run, trial: Trial) -> dict[str, Any]:
    """``parameters`` and ``images``, and by name what was ``seen`` after each step in ``step``."""
    from paperzoo.engine.chance import guarded

    total = int(run.info["recipe"]["steps"])
    looks = sorted({round(step) for step in np.geomspace(total / 50, total, LOOKS)})
    curves: dict[str, Any] = {"parameters": sum(p.numel() for p in run.model.parameters())}
    with again(run) as loop:
        while loop.opt.iteration < total:
            loop.step()
            if loop.opt.iteration in looks:
                with guarded(loop.model):
                    for name, value in seen(loop).items():
                        curves.setdefault(name, []).append(value)
        return {**curves, "images": len(loop.split)}


def seen(loop: Loop) -> dict[str, float]:
    """Norms, and on every split errors, losses, and margins divided by the norms, as the network is now."""
    step, norms = loop.opt.iteration, product_of_norms(loop.model)
    logits, label = outputs(loop.model, loop.split, loop.device)
    margin = margins(logits, label) / norms
    values = {"step": step, "passes": step * loop.order.batch_size / len(label), "product of norms": norms}
    values |= {"smallest margin": float(margin.min()), "median margin": float(margin.median())}
    values |= {"training error %": 100 * float((margin <= 0).double().mean()), "training loss": float(F.cross_entropy(logits, label))}
    for split in (name for name in ("validation", "test") if name in loop.data.splits):
        logits, label = outputs(loop.model, loop.data[split], loop.device)
        values[f"{split} error %"] = 100 * float((margins(logits, label) <= 0).double().mean())
        values[f"{split} loss"] = float(F.cross_entropy(logits, label))
    return values


def stopped(numbers: Numbers) -> int:
    """The measurement that early stopping takes: at the lowest validation loss (test loss where nothing else is held out)."""
    loss = numbers.get("validation loss", numbers["test loss"])
    return int(np.argmin(loss))


def fitted(numbers: Numbers) -> int:
    """The first measurement from which on the training error is 0; the last one if there is none."""
    wrong = [look for look, error in enumerate(numbers["training error %"]) if error > 0]
    return min(max(wrong, default=-1) + 1, len(numbers["step"]) - 1)


# --- linear models -----------------------------------------------------------------------------------------------------


def descent(change: Callable[[Array], Array], start: Array, steps: int) -> tuple[list[int], list[Array]]:
    """``w <- w + change(w)``: the numbers of 50 steps, evenly on a logarithmic scale, and the weights after each."""
    looks, path, w = np.unique(np.geomspace(1, steps, 50).round().astype(int)).tolist(), [], start
    wanted = set(looks)
    for step in range(1, steps + 1):
        w = w + change(w)
        if step in wanted:
            path.append(w)
    return looks, path


def least_squares(x: Array, y: Array, start: Array, steps: int) -> tuple[list[int], list[Array]]:
    """Gradient descent on ``||x w - y||^2 / 2``, x (N, D), at the rate that the largest eigenvalue allows."""
    rate = 1 / np.linalg.norm(x, 2) ** 2
    return descent(lambda w: rate * x.T @ (y - x @ w), start, steps)


def logistic(z: Array, steps: int, normalised: bool = False) -> tuple[list[int], list[Array]]:
    """Gradient descent from 0 on ``sum log(1 + exp(-z w))``, each row of z (N, D) being a point times its label, 1 or -1.

    Args:
        normalised: on ``log sum exp(-z w)`` instead. Its minima are in the same direction, and its gradient does not vanish.
    """
    from scipy.special import expit, softmax

    if normalised:
        rate = 1 / float((z**2).sum(1).max())
        return descent(lambda w: rate * z.T @ softmax(-z @ w), np.zeros(z.shape[1]), steps)
    rate = 4 / float(np.linalg.norm(z, 2)) ** 2
    return descent(lambda w: rate * z.T @ expit(-z @ w), np.zeros(z.shape[1]), steps)


def largest_margin(z: Array) -> Array:
    """The shortest w with ``z w >= 1``: a hard-margin support vector machine. Points and their mirror images need no offset."""
    from sklearn.svm import SVC

    svm = SVC(kernel="linear", C=1e8, tol=1e-8).fit(np.concatenate([z, -z]), np.repeat([1, 0], len(z)))
    return np.asarray(svm.coef_[0])


def unit(w: Array) -> Array:
    """w at length 1."""
    return w / np.linalg.norm(w)


@cache
def linear(steps: int = 100_000) -> dict[str, list[Numbers]]:
    """Both kinds of model on three draws: by name ``step``, ``distance`` from the limit, test loss (and error), ``limit``'s own."""
    curves: dict[str, list[Numbers]] = {}
    for seed in range(SEEDS):
        random = np.random.default_rng(seed)
        truth, noise = unit(random.normal(size=60)), 0.3
        x, elsewhere = random.normal(size=(40, 60)), random.normal(size=60)
        y = x @ truth + noise * random.normal(size=40)
        least = np.linalg.pinv(x) @ y
        for name, start in (("square loss, from 0", 0 * elsewhere), ("square loss, from elsewhere", unit(elsewhere))):
            looks, weights = least_squares(x, y, start, steps // 10)
            distance = [float(np.linalg.norm(w - least) / np.linalg.norm(least)) for w in weights]
            loss = [float(np.sum((w - truth) ** 2) + noise**2) for w in [*weights, least]]  # expected, x being normal
            limit = {"test loss": loss.pop()}
            curves.setdefault(name, []).append({"step": looks, "distance": distance, "test loss": loss, "limit": limit})

        z, new = (separable(random, count, 20) for count in (40, 20_000))
        best = largest_margin(z)
        for name, normalised in (("logistic loss", False), ("logistic loss, steps normalised", True)):
            looks, weights = logistic(z, steps // 10 if normalised else steps, normalised)
            distance = [float(np.linalg.norm(unit(w) - unit(best))) for w in weights]
            values: dict[str, list[float]] = {
                "test loss": [float(np.logaddexp(0, -new @ w).mean()) for w in weights],
                "test error %": [100 * float((new @ w <= 0).mean()) for w in [*weights, best]],
                "training error %": [100 * float((z @ w <= 0).mean()) for w in [*weights, best]],
                "smallest margin": [float((z @ unit(w)).min()) for w in [*weights, best]],
            }
            limit = {key: value.pop() for key, value in values.items() if key != "test loss"}
            curves.setdefault(name, []).append({"step": looks, "distance": distance, **values, "limit": limit})
    return curves


def separable(random: np.random.Generator, count: int, size: int) -> Array:
    """Normal points times their labels, (count, size), which the first axis separates with a margin of 0.2."""
    z = random.normal(size=(count, size))
    z[:, 0] = 0.2 + abs(z[:, 0])
    return z


# --- what is shown -----------------------------------------------------------------------------------------------------


def table(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """A row a model: stopped early, then at the end (the margin: when training error has become 0, then at the end); means and extremes."""
    columns = ("training error %", "test error %", "test loss", "smallest margin")
    rows = [["model", "parameters", *(f"{c}: early; end" for c in columns[:3]), "smallest margin / norms: fitted; end"]]

    def row(label: str, parameters: str, each: Sequence[Numbers]) -> list[str]:
        cells = []
        for column in columns:
            never = column == "smallest margin" and any(n["training error %"][-1] > 0 for n in each if column in n)
            if column not in each[0] or never:
                cells.append("-")
                continue
            first = [n[column][fitted(n) if column == "smallest margin" else stopped(n)] for n in each]
            last = [n[column][-1] for n in each]
            cells.append(f"{statistics.fmean(first):.3g}; {statistics.fmean(last):.3g} ({min(last):.3g} to {max(last):.3g})")
        return [label, parameters, *cells]

    for label, width in dict.fromkeys((one.trial.label, one.trial.x) for one in outcomes):
        each = [one.numbers for one in outcomes if (one.trial.label, one.trial.x) == (label, width)]
        rows.append(row(f"k = {width:g}, {label}", f"{each[0]['parameters']:,}", each))
    for name, each in linear().items():
        dimensions = "60" if "square" in name else "20"
        rows.append(row(f"linear, {name}", dimensions, each))
        limits = {c: [n["limit"][c] for n in each] for c in columns if c in each[0]["limit"]}
        if name in ("square loss, from 0", "logistic loss"):
            cells = [f"{statistics.fmean(v):.3g} ({min(v):.3g} to {max(v):.3g})" if (v := limits.get(c)) else "-" for c in columns]
            rows.append(["linear, least norm" if "square" in name else "linear, largest margin", dimensions, *cells])
    return rows


def draw(outcomes: Sequence[Outcome]) -> Figure:
    """Error and loss against parameters; loss, error and margin of the widest on its way; how far linear models are from the limit."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7), layout="constrained")
    (error, loss, lossy), (errors, margin, limits) = figure.subplots(2, 3)
    sweep = [one.numbers for one in outcomes if one.trial.label == "no decay"]
    sizes = sorted({n["parameters"] for n in sweep})

    def against_size(axes: Any, value: Callable[[Any], float], **style: Any) -> None:
        each = [[value(n) for n in sweep if n["parameters"] == size] for size in sizes]
        axes.plot(sizes, [statistics.fmean(values) for values in each], "-", **style)
        for size, values in zip(sizes, each, strict=True):
            axes.plot([size] * len(values), values, "o", markersize=3, color=style["color"])

    against_size(error, lambda n: n["training error %"][-1], color="0.6", label="training")
    against_size(error, lambda n: n["test error %"][-1], color="C0", label="test")
    against_size(loss, lambda n: n["test loss"][-1], color="C0", label="test, at the end")
    against_size(loss, lambda n: n["test loss"][stopped(n)], color="C2", label="test, stopped early")
    for axes, title in ((error, "error at the end, %"), (loss, "test loss")):
        axes.axvline(sweep[0]["images"], color="0.8", linewidth=1, linestyle=":")
        axes.text(sweep[0]["images"], 0.02, " as many as images", transform=axes.get_xaxis_transform(), fontsize=7, color="0.5")
        axes.set(xscale="log", xlabel="parameters", title=title)
        axes.set_ylim(bottom=0)
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()

    widest = max(one.trial.x for one in outcomes)
    for label, colour in (("no decay", "C0"), ("weight decay", "C3")):
        each = [one.numbers for one in outcomes if (one.trial.label, one.trial.x) == (label, widest)]
        for index, n in enumerate(each):
            style: dict[str, Any] = {"color": colour, "linewidth": 1.2}
            here = stopped(n)
            for axes, quantity in ((lossy, "loss"), (errors, "error %")):
                axes.plot(n["passes"], n[f"test {quantity}"], label=None if index else f"test, {label}", **style)
                axes.plot(n["passes"], n[f"training {quantity}"], ":", label=None if index else f"training, {label}", **style)
                axes.plot(n["passes"][here], n[f"test {quantity}"][here], "o", color=colour, markersize=4)
            margin.plot(n["passes"], n["smallest margin"], ".-", label=None if index else label, **style)
    for axes, quantity in ((lossy, "loss"), (errors, "error %")):  # the beginning, before anything is learnt, is cut off
        top = 3 * max(min(one.numbers[f"test {quantity}"]) for one in outcomes if one.trial.x == widest)
        axes.set(xscale="log", ylim=(-0.03 * top, top), xlabel="passes over the training set")
        axes.set_title(f"{quantity.replace(' %', ', %')}, k = {widest:g} (dots: early stopping)")
    top = max(max(one.numbers["smallest margin"]) for one in outcomes if one.trial.x == widest)
    margin.axhline(0, color="0.8", linewidth=1, linestyle=":")
    margin.set(xscale="log", xlabel="passes (above 0: no training error)", title=f"smallest margin / product of norms, k = {widest:g}")
    if top > 0:
        margin.set_ylim(-2 * top, 1.2 * top)

    for number, (name, each) in enumerate(linear().items()):
        for index, n in enumerate(each):
            named = f"{name}: {statistics.fmean(n['distance'][-1] for n in each):.1g} at the end"
            limits.plot(n["step"], n["distance"], color=f"C{(2, 7, 0, 1)[number]}", linewidth=1.2, label=None if index else named)
    limits.set(xscale="log", yscale="log", ylim=(1e-5, 3), xlabel="step", title="linear models: distance from the limit")
    for axes in (error, loss, lossy, errors, margin, limits):
        axes.legend(fontsize=7)
    return figure
