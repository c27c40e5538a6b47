"""Classifying images: error in percent and its interval, calibration, confusion, worst mistakes, where the network looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from paperzoo.data import Dataset
from paperzoo.data.pictures import Preparation
from paperzoo.metrics.calibration import Reliability, reliability
from paperzoo.metrics.interval import wilson
from paperzoo.tasks.images import read_image
from paperzoo.tasks.model import Model
from paperzoo.tasks.pictures import grid, save
from paperzoo.terminal import plain


@dataclass(frozen=True)
class Classification:
    """What a classifier says of one image.

    Attributes:
        label, name, probability: of the likeliest class.
        best: names and probabilities of the five likeliest classes, by falling probability.
        probabilities: of all classes, in their order.
    """

    label: int
    name: str
    probability: float
    probabilities: tuple[float, ...] = field(repr=False)
    best: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        return ", ".join(f"{plain(name)} ({p:.1%})" for name, p in self.best or [(self.name, self.probability)])


class Classifier(Model):
    """A model whose ``forward`` gives logits (N, classes) for images (N, C, H, W) in [0, 1].

    Subclasses set ``channels``, ``image_size`` and ``names``; ``short_side`` where pictures are first resized to it, and the
    middle square of ``image_size`` is then cut out, as published networks are used.
    """

    task = "classification"
    needs = ("image", "label")
    channels: int
    image_size: int
    names: tuple[str, ...] = ()
    short_side: int = 0

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, classes); those of a network that answers with distances are the distances with their sign turned."""
        network = self.get_submodule("network")
        logits: Tensor = network(image)
        return logits

    def features(self, image: Tensor) -> Tensor:
        """What the last linear layer sees, (N, D), for images (N, C, H, W) in [0, 1]."""
        seen: list[Tensor] = []
        handle = self._last().register_forward_pre_hook(lambda layer, given: seen.append(given[0]))
        try:
            self(image)
        finally:
            handle.remove()
        return seen[-1]

    def head(self, features: Tensor) -> Tensor:
        """Logits (N, classes) from ``features``."""
        logits: Tensor = self._last()(features)
        return logits

    def _last(self) -> nn.Linear:
        return [module for module in self.modules() if isinstance(module, nn.Linear)][-1]

    def activation_maps(self, image: Tensor) -> Tensor | None:
        """Where in the image each class is seen: class-activation maps (Zhou et al. 2016, 1512.04150, Eq. 2), in eval mode.

        Where the last layers are convolutions, the mean over positions and a linear layer, that layer can as well look at
        each position by itself: ``M_k(i, j) = w_k . f(i, j)``. The mean of the map is the class's logit less its bias.

        Args:
            image: (N, C, H, W) in [0, 1].

        Returns:
            (N, classes, H', W') as fine as the network's last maps; ``None`` for a network that ends otherwise.
        """
        heads = [module for module in self.modules() if isinstance(module, nn.Linear)]
        if not heads:
            return None
        head, seen = heads[-1], []
        handle = head.register_forward_pre_hook(lambda layer, given: seen.append(given[0]))
        with handle, _eager(self), _LastMaps(head.in_features) as watch:
            logits = self(image)
        if not seen or watch.maps is None or seen[-1].ndim != 2:
            return None
        features, maps = seen[-1].float(), watch.maps.float()  # (N, D) and (N, D, H', W')
        agree = _alike(maps.mean((2, 3)), features) and _alike(F.linear(features, head.weight, head.bias), logits)
        return torch.einsum("kd,ndhw->nkhw", head.weight, maps) if agree else None

    def predict(self, input: Any) -> Any:
        """The class of an image given as path, PIL image or array; of a list of these, a list of classes.

        Raises:
            PaperzooError: the input is no image.
        """
        if isinstance(input, list | tuple):
            return [self.predict(one) for one in input]
        with torch.no_grad():
            published = Preparation(self.short_side, self.image_size, self.channels, "bilinear") if self.short_side else None
            image = read_image(input, self.channels, self.image_size, self.prepared or published)
            p = self(image).softmax(1)[0]
        named = [self.names[i] if i < len(self.names) else str(i) for i in range(len(p))]
        order = p.argsort(descending=True).tolist()[:5]
        best = tuple((named[i], float(p[i])) for i in order)
        return Classification(order[0], *best[0], tuple(p.tolist()), best)

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """``error %`` (top-1) and ``loss`` (mean cross-entropy in nats) over the whole split.

        ``error % low`` and ``error % high``: Wilson's 95 % interval, for this number of images. ``calibration error %``: how
        far, on average, the probability of the likeliest class is from the share of right answers, in 15 bins.
        """
        loss, confidence, right = 0.0, [], []
        for logits, label in self._outputs(dataset, split):
            confidence.append(logits.float().softmax(1).amax(1).nan_to_num(0).cpu())  # not finite: the loss says so
            right.append((logits.argmax(1) == label).cpu())
            loss += float(F.cross_entropy(logits, label, reduction="sum"))
        hit = torch.cat(right)
        total, wrong = len(hit), len(hit) - int(hit.sum())
        low, high = wilson(wrong, total)
        return {
            "error %": 100 * wrong / total,
            "loss": loss / total,
            "error % low": 100 * low,
            "error % high": 100 * high,
            "calibration error %": 100 * reliability(torch.cat(confidence).numpy(), hit.numpy()).error,
        }

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """The confusion matrix, how far probabilities can be trusted, the 24 mistakes made with most confidence, and, where the
        network ends so that it can be told, where it looks in eight images."""
        outputs = list(self._outputs(dataset, split))
        p, label = torch.cat([o.float().softmax(1) for o, _ in outputs]).cpu(), torch.cat([y for _, y in outputs]).cpu()
        guess = p.argmax(1)
        names = dataset.schema.names
        names = (*names, *(str(i) for i in range(len(names), p.shape[1])))  # a recipe may give the network more outputs
        paths = [_confusion(guess.numpy(), label.numpy(), names, folder / f"{stem}-confusion.png")]
        binned = reliability(p.amax(1).numpy(), (guess == label).numpy())
        paths.append(_reliability(binned, folder / f"{stem}-reliability.png"))
        wrong = torch.nonzero(guess != label)[:, 0]
        worst = wrong[p[wrong, guess[wrong]].argsort(descending=True)][:24]
        if len(worst):
            images = dataset[split].batch(worst.numpy()).image
            paths.append(_mistakes(images, guess[worst], label[worst], names, folder / f"{stem}-mistakes.png"))
        some = np.linspace(0, len(label) - 1, min(8, len(label))).astype(int)
        images = dataset[split].batch(some).image
        maps = self.activation_maps(images.to(outputs[0][0].device))
        if maps is not None:
            named = [f"{names[int(guess[i])]} {float(p[i, guess[i]]):.0%}" for i in some]
            looked = maps[torch.arange(len(some)), guess[some].to(maps.device)].cpu()  # (N, H', W') of the class that is named
            paths.append(_activations(images, looked, named, folder / f"{stem}-activations.png"))
        return paths

    def _outputs(self, dataset: Dataset, split: str) -> Iterator[tuple[Tensor, Tensor]]:
        items, device = dataset[split], next(self.parameters()).device
        for indices in items.batches(500):
            batch = items.batch(indices).to(device)
            yield self(batch.image).detach(), batch.label


class _LastMaps(TorchFunctionMode):
    """Keeps the last tensor (N, D, H, W) of more than one position that was computed while it is on, by module or function."""

    maps: Tensor | None = None

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor) and out.ndim == 4 and out.shape[1] == self.channels and out[0, 0].numel() > 1:
            self.maps = out
        return out


def _eager(model: nn.Module) -> AbstractContextManager[Any]:
    """Compiled networks compute as they are written, so that they can be watched."""
    compiled = any(getattr(module, "_compiled_call_impl", None) for module in model.modules())
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()


def _alike(a: Tensor, b: Tensor) -> bool:
    """Equal but for rounding, of which bfloat16 has much."""
    return a.shape == b.shape and bool(((a - b).abs() <= 0.02 * b.abs().max() + 1e-6).all())


def _confusion(guess: np.ndarray, label: np.ndarray, names: Sequence[str], path: Path) -> Path:
    from matplotlib.figure import Figure

    classes, names = len(names), [plain(name) for name in names]
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (label, guess), 1)
    figure = Figure(figsize=(5, 4.6), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(np.log1p(counts), cmap="Blues")
    axes.set(xlabel="predicted", ylabel="true", title=f"{(guess != label).sum()} of {len(label)} wrong")
    if classes <= 20:
        axes.set_xticks(range(classes), names, rotation=90 if max(map(len, names)) > 2 else 0, parse_math=False)
        axes.set_yticks(range(classes), names, parse_math=False)
        for (row, column), count in np.ndenumerate(counts):
            if count:
                dark = np.log1p(count) > 0.6 * np.log1p(counts.max())
                axes.text(column, row, str(count), ha="center", va="center", fontsize=6, color="white" if dark else "black")
    return save(figure, path)


def _reliability(found: Reliability, path: Path) -> Path:
    from matplotlib.figure import Figure

    bins = len(found.count)
    figure = Figure(figsize=(4, 4.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    middle = (np.arange(bins) + 0.5) / bins
    upper.bar(middle, np.nan_to_num(found.accuracy), 0.9 / bins, color="tab:blue")
    upper.plot([0, 1], [0, 1], color="gray", linestyle="--", linewidth=1)
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="share of right answers", title=f"calibration error {found.error:.1%}")
    lower.bar(middle, found.count / found.count.sum(), 0.9 / bins, color="tab:gray")
    lower.set(xlabel="probability of the answer", ylabel="share")
    return save(figure, path)


def _activations(images: Tensor, maps: Tensor, titles: Sequence[str], path: Path) -> Path:
    """Images (N, C, H, W) over themselves under their maps (N, H', W'): bright where the class is seen."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.2), layout="constrained")
    size = images.shape[-2:]
    fine = F.interpolate(maps[:, None].float(), size, mode="bilinear", align_corners=False)[:, 0]  # (N, H, W)
    for index, (image, heat, title) in enumerate(zip(images, fine, titles, strict=True)):
        for row in range(2):
            axes = figure.add_subplot(2, len(images), row * len(images) + index + 1)
            axes.imshow(np.asarray(grid(image[None])), cmap="gray" if image.shape[0] == 1 else None)
            if row:
                axes.imshow(heat.numpy(), cmap="inferno", alpha=0.6)
            else:
                axes.set_title(plain(title), fontsize=6, parse_math=False)
            axes.axis("off")
    return save(figure, path)


def _mistakes(images: Tensor, guess: Tensor, label: Tensor, names: Sequence[str], path: Path) -> Path:
    from matplotlib.figure import Figure

    rows = -(-len(images) // 8)
    figure = Figure(figsize=(8, 1.25 * rows), layout="constrained")
    for index, image in enumerate(images):
        axes = figure.add_subplot(rows, 8, index + 1)
        axes.imshow(np.asarray(grid(image[None])), cmap="gray" if image.shape[0] == 1 else None)
        axes.set_title(plain(f"{names[int(label[index])]} as {names[int(guess[index])]}"), fontsize=7, parse_math=False)
        axes.axis("off")
    return save(figure, path)
