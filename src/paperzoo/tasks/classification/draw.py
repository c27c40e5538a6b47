"""Confusion, reliability, worst mistakes, and where the network looks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.metrics.calibration import Reliability, reliability
from paperzoo.tasks.pictures import grid, save
from paperzoo.terminal import plain

if TYPE_CHECKING:
    from paperzoo.tasks.classification.contract import Classifier


def draw(model: Classifier, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
    """The confusion matrix, how far probabilities can be trusted, the 24 mistakes made with most confidence, of one's own images the
    24 least sure answers (wrong ones in red), and, for networks that allow class-activation maps, where they look in eight images."""
    outputs = list(model.outputs(dataset, split))
    p, label = torch.cat([o.float().softmax(1) for o, _ in outputs]).cpu(), torch.cat([y for _, y in outputs]).cpu()
    guess = p.argmax(1)
    names = dataset.schema.names
    names = (*names, *(str(i) for i in range(len(names), p.shape[1])))  # a recipe may give the network more outputs
    paths = [confusion(guess.numpy(), label.numpy(), names, folder / f"{stem}-confusion.png")]
    binned = reliability(p.amax(1).numpy(), (guess == label).numpy())
    paths.append(_reliability(binned, folder / f"{stem}-reliability.png"))
    wrong = torch.nonzero(guess != label)[:, 0]
    worst = wrong[p[wrong, guess[wrong]].argsort(descending=True)][:24]
    if len(worst):
        images = dataset[split].batch(worst.numpy()).image
        paths.append(_mistakes(images, guess[worst], label[worst], names, folder / f"{stem}-mistakes.png"))
    if not dataset.pictures:  # of one's own: which of them to look at again
        unsure = p.amax(1).argsort()[:24]
        images = dataset[split].batch(unsure.numpy()).image
        files = [dataset[split].files[i] for i in unsure.tolist()] if dataset[split].files else []
        out = folder / f"{stem}-least-sure.png"
        paths.append(_mistakes(images, guess[unsure], label[unsure], names, out, p.amax(1)[unsure], files))
    some = np.linspace(0, len(label) - 1, min(8, len(label))).astype(int)
    images = dataset[split].batch(some).image
    maps = model.activation_maps(images.to(outputs[0][0].device))
    if maps is not None:
        named = [f"{names[int(guess[i])]} {float(p[i, guess[i]]):.0%}" for i in some]
        looked = maps[torch.arange(len(some)), guess[some].to(maps.device)].cpu()  # (N, H', W') of the class that is named
        paths.append(_activations(images, looked, named, folder / f"{stem}-activations.png"))
    return paths


def confusion(guess: np.ndarray, label: np.ndarray, names: Sequence[str], path: Path) -> Path:
    """How often each class of labels int64 (N) was taken for each, by guesses int64 (N), as a picture."""
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


def shortened(file: str, most: int = 20) -> str:
    """The end of a file's name that fits over its picture."""
    name = file.rpartition("/")[2]
    return name if len(name) <= most else f"…{name[1 - most:]}"


def _mistakes(
    images: Tensor, guess: Tensor, label: Tensor, names: Sequence[str], path: Path, sure: Tensor | None = None, files: Sequence[str] = ()
) -> Path:  # fmt: skip
    """Images (N, C, H, W) with what they are and were taken for; with ``sure`` (N), the probability of that instead, and their files."""
    from matplotlib.figure import Figure

    rows = -(-len(images) // 8)
    figure = Figure(figsize=(8, (1.4 if files else 1.25) * rows), layout="constrained")
    for index, image in enumerate(images):
        axes = figure.add_subplot(rows, 8, index + 1)
        axes.imshow(np.asarray(grid(image[None])), cmap="gray" if image.shape[0] == 1 else None)
        taken = names[int(guess[index])]
        title = f"{names[int(label[index])]} as {taken}" if sure is None else f"{taken} {float(sure[index]):.0%}"
        lines = [plain(title), *([plain(shortened(files[index]))] if files else [])]
        right = sure is None or guess[index] == label[index]
        axes.set_title("\n".join(lines), fontsize=7, parse_math=False, color="black" if right else "tab:red")
        axes.axis("off")
    return save(figure, path)
