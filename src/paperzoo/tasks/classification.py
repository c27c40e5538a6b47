"""Classifying images: error in percent, a confusion picture, the worst mistakes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paperzoo.data import Dataset
from paperzoo.tasks.images import read_image
from paperzoo.tasks.model import Model
from paperzoo.tasks.pictures import grid, save


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
        return ", ".join(f"{name} ({p:.1%})" for name, p in self.best or [(self.name, self.probability)])

    def __rich__(self) -> str:
        return str(self)


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

    def predict(self, input: Any) -> Any:
        """The class of an image given as path, PIL image or array; of a list of these, a list of classes.

        Raises:
            PaperzooError: the input is no image.
        """
        if isinstance(input, list | tuple):
            return [self.predict(one) for one in input]
        with torch.no_grad():
            image = read_image(input, self.channels, max(self.short_side, self.image_size))
            margin = (image.shape[-1] - self.image_size) // 2
            image = image[:, :, margin : margin + self.image_size, margin : margin + self.image_size]
            p = self(image).softmax(1)[0]
        named = [self.names[i] if i < len(self.names) else str(i) for i in range(len(p))]
        order = p.argsort(descending=True).tolist()[:5]
        best = tuple((named[i], float(p[i])) for i in order)
        return Classification(order[0], *best[0], tuple(p.tolist()), best)

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """``error %`` (top-1) and ``loss`` (mean cross-entropy in nats) over the whole split."""
        wrong, loss, total = 0, 0.0, 0
        for logits, label in self._outputs(dataset, split):
            wrong += int((logits.argmax(1) != label).sum())
            loss += float(F.cross_entropy(logits, label, reduction="sum"))
            total += len(label)
        return {"error %": 100 * wrong / total, "loss": loss / total}

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """The confusion matrix, and the 24 mistakes made with most confidence."""
        outputs = list(self._outputs(dataset, split))
        p, label = torch.cat([o.softmax(1) for o, _ in outputs]).cpu(), torch.cat([y for _, y in outputs]).cpu()
        guess = p.argmax(1)
        names = dataset.schema.names or tuple(str(i) for i in range(p.shape[1]))
        paths = [_confusion(guess.numpy(), label.numpy(), names, folder / f"{stem}-confusion.png")]
        wrong = torch.nonzero(guess != label)[:, 0]
        worst = wrong[p[wrong, guess[wrong]].argsort(descending=True)][:24]
        if len(worst):
            images = dataset[split].batch(worst.numpy()).image
            paths.append(_mistakes(images, guess[worst], label[worst], names, folder / f"{stem}-mistakes.png"))
        return paths

    def _outputs(self, dataset: Dataset, split: str) -> Iterator[tuple[Tensor, Tensor]]:
        items, device = dataset[split], next(self.parameters()).device
        for indices in items.batches(500):
            batch = items.batch(indices).to(device)
            yield self(batch.image), batch.label


def _confusion(guess: np.ndarray, label: np.ndarray, names: Sequence[str], path: Path) -> Path:
    from matplotlib.figure import Figure

    classes = len(names)
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (label, guess), 1)
    figure = Figure(figsize=(5, 4.6), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(np.log1p(counts), cmap="Blues")
    axes.set(xlabel="predicted", ylabel="true", title=f"{(guess != label).sum()} of {len(label)} wrong")
    if classes <= 20:
        axes.set_xticks(range(classes), names, rotation=90 if max(map(len, names)) > 2 else 0)
        axes.set_yticks(range(classes), names)
        for (row, column), count in np.ndenumerate(counts):
            if count:
                dark = np.log1p(count) > 0.6 * np.log1p(counts.max())
                axes.text(column, row, str(count), ha="center", va="center", fontsize=6, color="white" if dark else "black")
    return save(figure, path)


def _mistakes(images: Tensor, guess: Tensor, label: Tensor, names: Sequence[str], path: Path) -> Path:
    from matplotlib.figure import Figure

    rows = -(-len(images) // 8)
    figure = Figure(figsize=(8, 1.25 * rows), layout="constrained")
    for index, image in enumerate(images):
        axes = figure.add_subplot(rows, 8, index + 1)
        axes.imshow(np.asarray(grid(image[None])), cmap="gray" if image.shape[0] == 1 else None)
        axes.set_title(f"{names[int(label[index])]} as {names[int(guess[index])]}", fontsize=7)
        axes.axis("off")
    return save(figure, path)
