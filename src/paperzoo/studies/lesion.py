"""What happens to a trained network when layers are taken out, or change places?

Take a layer out of a plain network, and those behind it get what they were never trained on. A residual network of n blocks can be
read as the sum of 2^n paths (Veit, Wilber and Belongie 2016, 1605.06431): a block taken out halves their number and leaves the
other half as it was. So its error should rise little by little with the number of blocks taken out, and with how far the rest is
put out of order. Path lengths are binomial around n / 2, and gradient shrinks with every block that a path goes through, so most
of it should come down the short ones.

Networks as in the study `degradation`. Blocks that keep the size of their maps are passed over, or changed for one another within
their stage, in eval mode on 2,000 test images; the others stay. The gradient that reaches the image along paths through just k
blocks is that of the loss if the gradient goes through the branch in k blocks, drawn at random, and round it in all others.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paperzoo.studies.trial import Outcome, Trial, each_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from paperzoo.engine.run import Run

TITLE = "Lesions: what residual networks can do without"
EXPECTED = (
    "One block less: hardly any error more in residual networks, chance in plain ones. Many blocks less, or out of order: error that "
    "rises smoothly. Most gradient comes down paths far shorter than the network is deep."
)
FINDING = (
    "Any one block less, and a plain network of 20 layers guesses: 85 % wrong instead of 6. Of 56 layers the plain one had hardly learnt "
    "(67 %), so it shows less. In the others the median block costs one or two points, as was expected, but not every "
    "block: one of the first five costs most, up to 33 to 72 % wrong (stochastic depth: 58 to 88). "
    "Without 8 of 24 or 25 blocks 62 to 65 % are wrong, and order "
    "counts in the same way, little by little. Training by stochastic depth, where blocks had been missing all along, did not make a "
    "network more robust to it. 82 to 85 % of the gradient comes down paths of at most 8 of 24 blocks, which 8 % of the paths are."
)
BEYOND = (
    "A network of width 8 on small digits has blocks to spare: how much each matters is a question of size and data. The plain "
    "networks have no batch statistics of their own for the depth that is left, which a kinder test would estimate anew."
)

IMAGES, DRAWS = 2000, 5
#: line -> paper, settings; the depth is ``x``
KINDS: dict[str, tuple[str, int]] = {
    "plain 20": ("resnet:plain20", 20),
    "plain 56": ("resnet:plain56", 56),
    "residual 56": ("resnet:resnet56", 56),
    "pre-activation 56": ("preact_resnet:preact56", 56),
    "stochastic depth 56": ("stochastic_depth:resnet56", 56),
}


def trials(quick: bool) -> list[Trial]:
    """Each network with each seed."""
    size = {"model.width": 4 if quick else 8, "model.image_size": 8 if quick else 16}
    common = {**size, "steps": 30 if quick else 320, "batch_size": 64, "augment": (), "optimizer.lr": 0.05}
    listed = []
    for seed in range(1 if quick else 3):
        for label, (paper, depth) in KINDS.items():
            recipe = "smoke" if quick else "small-plain" if "plain" in label else "small"
            overrides = {**common, "model.depth": 20 if quick else depth, "data": "digits" if quick else "mnist-5k"}
            listed.append(Trial(label, depth, paper, recipe, seed, overrides))
    return listed


def blocks_of(model: nn.Module, image: Tensor) -> list[list[nn.Module]]:
    """The blocks that keep their input's shape and have an identity shortcut, stage by stage, in order."""
    stages: dict[tuple[int, ...], list[nn.Module]] = {}
    handles = []
    for module in model.modules():
        if type(module).__name__ in ("BasicBlock", "StochasticBlock", "Unit"):

            def note(module: nn.Module, inputs: Any, out: Tensor) -> None:
                if inputs[0].shape == out.shape and not getattr(module, "activates", False):
                    stages.setdefault(tuple(out.shape[1:]), []).append(module)

            handles.append(module.register_forward_hook(note))
    with torch.no_grad():
        model(image)
    for handle in handles:
        handle.remove()
    return list(stages.values())


@contextmanager
def instead(changes: Mapping[nn.Module, Any]) -> Iterator[None]:
    """Within, each of these blocks returns ``change(x, y)`` in place of its output y for input x."""
    with ExitStack() as stack:
        for block, change in changes.items():
            hook = block.register_forward_hook(lambda module, inputs, out, change=change: change(inputs[0], out))
            stack.callback(hook.remove)
        yield


def passed_over(x: Tensor, y: Tensor) -> Tensor:
    """The block's input, as if the block were removed."""
    return x


def analyse(run: Run, trial: Trial) -> dict[str, Any]:
    """``error %`` whole; ``one``: without each block in turn; ``many``: (blocks out, error) a draw; ``order``: (Kendall's tau,
    error) a draw; of pre-activation networks ``gradient``: (blocks a path goes through, mean norm at the image)."""
    from scipy.stats import kendalltau

    from paperzoo.engine.evaluate import as_trained
    from paperzoo.engine.run import job_of

    model, test = as_trained(run), job_of(run).dataset()["test"]
    batch = test.batch(range(min(IMAGES, len(test)))).to(next(model.parameters()).device)
    random = np.random.default_rng(trial.seed)
    stages = blocks_of(model, batch.image[:2])
    blocks = [block for stage in stages for block in stage]

    @torch.no_grad()
    def error(changes: Mapping[nn.Module, Any]) -> float:
        with instead(changes):
            wrong = sum(int((model(x).argmax(1) != y).sum()) for x, y in zip(batch.image.split(500), batch.label.split(500), strict=True))
        return 100 * wrong / len(batch)

    many = []
    for count in sorted({1, 2, 4, 8, 12, 16, 20, len(blocks)}):
        for _ in range(DRAWS if count <= len(blocks) else 0):
            chosen = random.choice(len(blocks), count, replace=False)
            many.append((count, error({blocks[i]: passed_over for i in chosen})))
    order = []
    for swaps in (0, 1, 2, 4, 8, 16, 32):
        for _ in range(DRAWS if swaps else 1):
            changes, places = {}, []
            for stage in stages:
                place = np.arange(len(stage))
                for _ in range(swaps):
                    i = int(random.integers(max(1, len(stage) - 1)))
                    place[i : i + 2] = place[i : i + 2][::-1].copy()
                places.append(place)
                for at, other in enumerate(place):
                    if at != other:
                        changes[stage[at]] = lambda x, y, other=stage[other]: other.forward(x)
            tau = statistics.fmean(float(kendalltau(np.arange(len(p)), p).statistic) for p in places if len(p) > 1)
            order.append((tau, error(changes)))
    errors = {"error %": error({}), "one": [error({block: passed_over}) for block in blocks], "many": many, "order": order}
    return {**errors, "gradient": gradients(model, batch, blocks, random)} if "pre-activation" in trial.label else errors


def through(x: Tensor, y: Tensor) -> Tensor:
    """y, with the gradient through the residual branch alone."""
    branch = y - x
    return y.detach() + (branch - branch.detach())  # what is added is 0, in any precision


def round_it(x: Tensor, y: Tensor) -> Tensor:
    """y, with the gradient through the shortcut alone."""
    return y.detach() + (x - x.detach())


def gradients(model: nn.Module, batch: Any, blocks: Sequence[nn.Module], random: np.random.Generator) -> list[tuple[int, float]]:
    """For each path length, the mean norm of the loss's gradient with respect to the images along ``DRAWS`` paths."""
    norms_by_length = []
    for length in range(len(blocks) + 1):
        norms = []
        for _ in range(DRAWS):
            chosen = set(random.choice(len(blocks), length, replace=False).tolist())
            image = batch.image[:100].clone().requires_grad_()
            with torch.enable_grad(), instead({b: through if i in chosen else round_it for i, b in enumerate(blocks)}):
                # y - x is the branch only where the shortcut is the identity, as it is in every block that keeps its shape
                loss = F.cross_entropy(model(image), batch.label[:100], reduction="sum")
                norms.append(float(torch.autograd.grad(loss, image)[0].flatten(1).norm(dim=1).mean()))
        norms_by_length.append((length, statistics.fmean(norms)))
    return norms_by_length


def table(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """A row a network: means and extremes over seeds."""
    rows = [["network", "error %", "one block less: mean", "worst", "8 blocks less", "tau nearest 0.5"]]
    for label, (_, depth) in KINDS.items():

        def over_seeds(value: Any, label: str = label, depth: int = depth) -> str:
            values = each_seed(outcomes, label, depth, lambda one: value(one.numbers))
            return f"{statistics.fmean(values):.1f} ({min(values):.1f} to {max(values):.1f})"

        rows.append(
            [
                label,
                over_seeds(lambda n: n["error %"]),
                over_seeds(lambda n: statistics.fmean(n["one"])),
                over_seeds(lambda n: max(n["one"])),
                over_seeds(lambda n: statistics.fmean([e for k, e in n["many"] if k == min(8, max(k for k, _ in n["many"]))])),
                over_seeds(lambda n: min(n["order"], key=lambda pair: abs(pair[0] - 0.5))[1]),
            ]
        )
    return rows


def draw(outcomes: Sequence[Outcome]) -> Figure:
    """Error without each block, against the number taken out, against order; gradient by path length."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 3.6), layout="constrained")
    one, many, order, paths = figure.subplots(1, 4)
    for number, label in enumerate(KINDS):
        colour = f"C{number}"
        for index, each in enumerate(f.numbers for f in outcomes if f.trial.label == label):
            named = label if index == 0 else None
            one.plot(range(1, len(each["one"]) + 1), each["one"], color=colour, linewidth=1, label=named)
            counts = sorted({k for k, _ in each["many"]})
            means = [statistics.fmean(e for k, e in each["many"] if k == count) for count in counts]
            many.plot([0, *counts], [each["error %"], *means], ".-", color=colour, linewidth=1, label=named)
            order.plot(*zip(*each["order"], strict=True), ".", color=colour, markersize=4)
            if "gradient" in each:
                lengths, norms = (np.array(v) for v in zip(*each["gradient"], strict=True))
                share = np.array([comb(len(lengths) - 1, int(k)) / 2 ** (len(lengths) - 1) for k in lengths])
                carried = share * norms
                paths.plot(lengths, norms / norms.max(), color="C0", linewidth=1, label=None if index else "of one path")
                paths.plot(lengths, share / share.max(), color="0.6", linewidth=1, label=None if index else "number of paths")
                paths.plot(lengths, carried / carried.max(), color="C3", linewidth=1.4, label=None if index else "of all together")
    one.set(xlabel="block taken out", title="error, %")
    many.set(xlabel="blocks taken out", title="error, %")
    order.set(xlabel="Kendall's tau of the order", title="error, %", xlim=(1.05, -0.3))
    paths.set(xlabel="blocks that a path goes through", title="gradient, each to its largest")
    one.legend(fontsize=7)
    paths.legend(fontsize=7)
    return figure
