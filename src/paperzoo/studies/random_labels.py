"""What do networks learn where there is nothing to learn?

Zhang et al. (2016, 1611.03530) trained the networks of CIFAR-10 on labels drawn by chance. They fitted them: training error 0 for
Inception, 0.18 % for AlexNet, 0 and 0.66 % for perceptrons of three and one hidden layers (table 1), within a small factor of the
time that true labels take, and at test they guessed. So did they fit images whose pixels are shuffled or replaced by noise (figure
1a). With a growing share of random labels the time to fit grows little by little (1b) and the test error steadily from that on true
labels to chance (1c). Without augmentation and weight decay Inception's error on true labels rises from 11.0 to 14.3 %, still far
below chance. So neither the network's capacity nor its regularisers say how well it will do. Capacity is cheap: a two-layer network
of ReLUs with 2n + d weights fits any labels of n points in d dimensions (theorem 1); the network is constructed here.

The same networks, narrower, on 500 digits of MNIST at 14x14, of which they see 12x12; each seed draws its own digits, labels and
orders of pixels. "Fitted" is the end of the first epoch in which no more than one image in a hundred was answered otherwise than
its label says, before the step that it was seen in.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from paperzoo.data.datasets import dataset
from paperzoo.studies.trial import Outcome, Trial, each_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from paperzoo.engine.run import Run

TITLE = "Random labels: what networks can fit"
EXPECTED = (
    "Every network fits every kind of labels and pixels, random labels within five times the epochs that true ones take; what it knows "
    "at test falls steadily with the share of random labels, from nearly everything to nothing. On true labels random crops, weight "
    "decay and dropout change the test error by a few points; weight decay does not keep the networks from fitting random ones."
)
FINDING = (
    "As expected, every network fitted everything: 500 random labels to the last (two of 1,500 missed by the perceptron of one layer), in "
    "2.5 times the epochs of true ones (Inception: 20 and 8) to 4 times (AlexNet: 43 and 10). Test error rises in a line with the share "
    "of random labels, from 5.7, 7.7 and 11.5 % (Inception, AlexNet, perceptron) to 90 to 92 %; chance is 90. Shuffling all "
    "images' pixels alike costs convolutions 7 to 9 points, after which they are behind the perceptrons, which lose about one. "
    "On true labels no regulariser changes the error by more than 2 points. Weight decay does not hinder fitting random labels, "
    "but, against what was expected, random crops do: with them no network fits them in 40 to 60 epochs (40 and 56 % wrong), nor "
    "AlexNet with dropout (71 %). And pixels shuffled anew for each image are no noise: they keep how much ink a digit has, from which "
    "Inception tells 19 % of the classes rather than 10."
)
BEYOND = (
    "Five hundred digits that are easy to tell apart are not 50,000 photographs: the networks have hundreds of weights an image, true "
    "labels are fitted in a few epochs, and how many times longer random ones take depends on that. Rates and their decay were "
    "chosen so that all networks fit random labels."
)


class Network(NamedTuple):
    """How a network is trained: variant of ``rethinking``, width, first rate, images a step, epochs."""

    variant: str
    width: float
    rate: float
    batch: int
    epochs: int


NETWORKS = {
    "Inception": Network("inception", 0.25, 0.1, 50, 40),
    "AlexNet": Network("alexnet", 0.5, 0.005, 25, 60),
    "MLP 3x512": Network("mlp3x512", 1.0, 0.03, 25, 40),
    "MLP 1x512": Network("mlp1x512", 1.0, 0.1, 25, 40),
}
#: what the networks are trained on, as the data set's name ends; of labels, the share that is random is the place on the line
PIXELS = {"shuffled pixels": "#pixels=shuffled", "random pixels": "#pixels=random", "Gaussian noise": "#pixels=gaussian"}
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
CORRUPTED = ("Inception", "AlexNet", "MLP 1x512")
#: explicit regularisers, and what turns each on
REGULARISERS: dict[str, dict[str, Any]] = {
    "random crops": {"model.random_crop": True},
    "weight decay": {"optimizer.weight_decay": 5e-4},
    "dropout": {"model.dropout": 0.5},
}
REGULARISED = ("Inception", "AlexNet")


def trials(quick: bool) -> list[Trial]:
    """Each network on labels of every share and on changed pixels; regularised networks on true and on random labels."""
    per_class = 20 if quick else 50
    base, size = ("digits", {"model.image_size": 8, "model.crop": 7}) if quick else ("mnist-5k", {"model.image_size": 14, "model.crop": 12})
    listed = []
    for seed in range(1 if quick else 3):
        for network, how in NETWORKS.items():
            epoch, epochs = 10 * per_class // how.batch, 4 if quick else how.epochs  # an epoch in steps is one line of the log
            common: dict[str, Any] = {
                **size, "model.channels": 1, "model.width": how.width / 2 if quick else how.width, "precision": "float32",
                "steps": epochs * epoch, "batch_size": how.batch, "log_every": epoch, "checkpoint_every": epochs * epoch,
                "optimizer.lr": how.rate, "optimizer.decay": 0.97, "optimizer.epochs": epochs,
            }  # fmt: skip

            def add(
                label: str, x: float, change: str, more: Mapping[str, Any], network: str = network, variant: str = how.variant,
                common: Mapping[str, Any] = common, seed: int = seed,
            ) -> None:  # fmt: skip
                data = f"{base}@{per_class}:{seed}" + (f"{change}&draw={seed}" if change else "")
                listed.append(Trial(f"{network}, {label}", x, f"rethinking:{variant}", "small", seed, {**common, **more, "data": data}))

            for share in SHARES if network in CORRUPTED and not quick else (0.0, 1.0):
                add("labels", share, f"#labels={share:g}" if share else "", {})
            for label, change in PIXELS.items() if network == "Inception" or not quick else ():
                add(label, 0, change, {})
            for label, settings in REGULARISERS.items() if network in REGULARISED[1 if quick else 0 :] else ():
                add(label, 0, "", settings)
                add(label, 1, "#labels=1", settings)
    return listed


def analyse(run: Run, trial: Trial) -> dict[str, Any]:
    """``curve``: share of wrong answers in training, in %, an epoch; ``fitted``: the epoch, or ``None`` if none was; for one network
    on random labels ``theorem 1``: points, weights and largest error of the network that is constructed for them."""
    wrong = [line["loss"]["batch error %"] for line in run.lines if "loss" in line]
    numbers: dict[str, Any] = {"curve": wrong, "fitted": fitted(wrong)}
    if (trial.label, trial.x) == ("MLP 1x512, labels", 1):
        numbers["theorem 1"] = construction(run.info["recipe"]["data"], run.info["recipe"]["model"]["image_size"])
    return numbers


def fitted(wrong: Sequence[float]) -> int | None:
    """The first epoch, counted from 1, whose error is at most 1 %."""
    return next((epoch for epoch, error in enumerate(wrong, 1) if error <= 1), None)


# --- theorem 1 ---------------------------------------------------------------------------------------------------------


class TwoLayers(NamedTuple):
    """c(x) = sum_j w_j max(a . x - b_j, 0): ``a`` (d), ``b`` and ``w`` (n), all float64; 2n + d weights."""

    a: Tensor
    b: Tensor
    w: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Points (N, d) to numbers (N)."""
        return (x @ self.a)[:, None].sub(self.b).relu() @ self.w

    @property
    def weights(self) -> int:
        """Number of parameters."""
        return sum(part.numel() for part in self)


def fits_any(x: Tensor, y: Tensor, seed: int = 0) -> TwoLayers:
    """A network with c(x_i) = y_i for n different points x (n, d) and any numbers y (n): the construction of theorem 1.

    A random direction ``a`` sets the points apart: z_i = a . x_i, numbered as they rise. With biases b_1 < z_1 <= b_2 < z_2 ... the
    matrix max(z_i - b_j, 0) is triangular with a positive diagonal, so that w solves y = A w. Biases in z_1, z_2, ... make c the
    curve that joins (z_i, y_i) by straight lines, and w_j is by how much its slope changes in b_j.

    Raises:
        ValueError: two points are the same, or so near that their order along ``a`` is lost.
    """
    x, y = x.double(), y.double()
    a = torch.randn(x.shape[1], dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    z, order = (x @ a).sort()
    if len(z) > 1 and float(z.diff().min()) < 1e-12 * float(z.abs().max()):
        raise ValueError("points must be different from one another")
    before = z[:1] - 1
    b = torch.cat([before, z[:-1]])
    slope = torch.diff(torch.cat([torch.zeros(1, dtype=torch.float64), y[order]])) / torch.diff(torch.cat([before, z]))
    return TwoLayers(a, b, torch.diff(torch.cat([torch.zeros(1, dtype=torch.float64), slope])))


def construction(data: str, size: int) -> tuple[int, int, float]:
    """Theorem 1 for the images of a data set and its labels: points, weights, and the largest error of the network's numbers."""
    train = dataset(data, image_size=size)["train"]
    batch = train.batch(range(len(train)))
    x = batch.image.flatten(1).double()
    network = fits_any(x, batch.label)
    return len(x), network.weights, float((network(x) - batch.label).abs().max())


# --- table and figure --------------------------------------------------------------------------------------------------


def trained_on(label: str, x: float) -> str:
    """A line and a place on it in words."""
    labels = {0: "true labels", 1: "random labels"}
    if label in PIXELS:
        return label
    return labels.get(int(x) if x in labels else -1, f"{100 * x:g} % random labels") + ("" if label == "labels" else f", {label}")


def places(outcomes: Sequence[Outcome]) -> list[tuple[str, str, float]]:
    """Network, line and place of all trainings, in order, without their seeds."""
    names = [(one.trial.label.partition(", "), one.trial.x) for one in outcomes]
    return list(dict.fromkeys((network, label, x) for (network, _, label), x in names))


def epochs(values: Sequence[int | None]) -> str:
    """The epoch in which each seed had fitted: mean and extremes, or how many never had."""
    done = [value for value in values if value is not None]
    if len(done) < len(values):
        return f"{len(values) - len(done)} of {len(values)} never"
    return f"{statistics.fmean(done):.0f} ({min(done)} to {max(done)})"


def table(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """A row a network and what it was trained on: mean and extremes over seeds; then theorem 1 on the same images."""
    rows = [["network", "trained on", "epochs to fit", "training error %", "test error %"]]
    for network, label, x in places(outcomes):
        each = [one for one in outcomes if (one.trial.label, one.trial.x) == (f"{network}, {label}", x)]
        cells = [epochs([one.numbers["fitted"] for one in each])]
        for metric in ("training error %", "error %"):
            values = [one.metrics[metric] for one in each]
            cells.append(f"{statistics.fmean(values):.1f} ({min(values):.1f} to {max(values):.1f})")
        rows.append([network, trained_on(label, x), *cells])
    made = [one.numbers["theorem 1"] for one in outcomes if "theorem 1" in one.numbers]
    if made:
        points, weights, _ = made[0]
        largest = max(error for *_, error in made)
        rows.append([f"theorem 1: {points:,} points, {weights:,} weights", "random labels", "none", f"numbers within {largest:.0e}", ""])
    return rows


def draw(outcomes: Sequence[Outcome]) -> Figure:
    """Training curves; epochs to fit and test error against the share of random labels; what regularisers change."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 3.8), layout="constrained")
    curves, time, test, bars = figure.subplots(1, 4, width_ratios=(1, 1, 1, 1.15))
    kinds = {"true labels": ("labels", 0.0), "random labels": ("labels", 1.0), **{name: (name, 0.0) for name in PIXELS}}
    for number, (named, (label, x)) in enumerate(kinds.items()):
        seeds = [one.numbers["curve"] for one in outcomes if (one.trial.label, one.trial.x) == (f"Inception, {label}", x)]
        for index, curve in enumerate(seeds):
            curves.plot(range(1, len(curve) + 1), curve, color=f"C{number}", linewidth=1, label=None if index else named)
    for number, network in enumerate(CORRUPTED):
        label, colour = f"{network}, labels", f"C{number}"
        shares = [share for share in SHARES if each_seed(outcomes, label, share, lambda one: 0)]
        for axes, value in ((time, _epochs_to_fit), (test, _test_error)):
            each = [each_seed(outcomes, label, share, value) for share in shares]
            axes.plot(shares, [statistics.fmean(v) for v in each], "-", color=colour, label=network)
            for share, v in zip(shares, each, strict=True):
                axes.plot([share] * len(v), v, "o", color=colour, markersize=3)
    settings, step = ["labels", *REGULARISERS], 1 + len(REGULARISED)
    for number, network in enumerate(REGULARISED):
        for place, label in enumerate(settings):
            at, name = place * step + number, f"{network}, {label}"
            true = each_seed(outcomes, name, 0, _test_error)
            random = each_seed(outcomes, name, 1, _training_error)
            if true:
                bars.bar(at, statistics.fmean(true), color=f"C{number}", label="" if place else f"{network}: true labels, at test")
                bars.plot([at] * len(random), random, "_k", markersize=12, label="" if place or number else "random labels, in training")
    curves.set(xlabel="epoch", title="Inception: training error, %")
    time.set(xlabel="share of random labels", title="epochs to fit", ylim=(0, None))
    test.set(xlabel="share of random labels", title="test error, %", ylim=(0, 100))
    test.axhline(90, color="0.6", linewidth=1, linestyle="--")
    test.text(0.02, 0.92, "chance", color="0.4", fontsize=7, transform=test.transAxes)
    bars.set(title="regularisers: error, %", ylim=(0, 1.45 * bars.get_ylim()[1]))  # room for the legend
    bars.set_xticks([place * step + (len(REGULARISED) - 1) / 2 for place in range(len(settings))], ["none", *REGULARISERS], fontsize=8)
    for axes in (curves, time, bars):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7)
    return figure


def _epochs_to_fit(one: Outcome) -> float:
    """Epochs until the training set is fitted; all of them if it never was."""
    return float(one.numbers["fitted"] or len(one.numbers["curve"]))


def _test_error(one: Outcome) -> float:
    return float(one.metrics["error %"])


def _training_error(one: Outcome) -> float:
    return float(one.metrics["training error %"])
