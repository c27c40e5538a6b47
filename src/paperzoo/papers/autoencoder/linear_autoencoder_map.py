"""Maps of the data by codes of two numbers: PCA's, a linear autoencoder's and a deep one's (Hinton and Salakhutdinov 2006, figure 3).

The two autoencoders learn side by side from the same batches. Read ``Map`` first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam

from paperzoo.data import Batch, Dataset
from paperzoo.metrics.neighbour_error import neighbour_error
from paperzoo.nn.schedules import linear_decay
from paperzoo.papers.autoencoder import linear_autoencoder
from paperzoo.ranges import NotNegative, Pixels, Share, Size, Sizes
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.reconstruction import MAPPED, labels, maps


class Map(linear_autoencoder.Model):
    """A deep autoencoder, and beside it a linear one with a code of equal size, to compare their maps.

    Args:
        image_size, channels, code, hidden: as for ``linear_autoencoder.Model``; at least one hidden layer.
    """

    def __init__(
        self, *, image_size: Pixels = 28, channels: Size = 1, code: Size = 2, hidden: Sizes = (1000, 500, 250)
    ) -> None:
        super().__init__(image_size=image_size, channels=channels, code=code, hidden=hidden)
        sizes = [channels * image_size**2, code]
        self.linear_encoder, self.linear_decoder = linear_autoencoder.dense(sizes), linear_autoencoder.dense(sizes[::-1])

    def optimizers(self, *, lr: NotNegative = 1e-3, lr_linear: NotNegative = 4e-3, decay_from: Share = 0.3) -> Optimizers:
        """Adam for the deep pair and for the linear pair."""
        linear = [*self.linear_encoder.parameters(), *self.linear_decoder.parameters()]
        deep = super().optimizers(lr=lr, decay_from=decay_from)
        return {**deep, "linear": (Adam(linear, lr_linear), linear_decay(decay_from))}

    def step(self, batch: Batch, opt: Players) -> None:
        super().step(batch, opt)
        x = batch.image.flatten(1)  # (N, C * H * W)
        opt.linear.minimize(linear_autoencoder.squared_error(x, self.linear_decoder(self.linear_encoder(x))))

    def linear_codes(self, image: Tensor) -> Tensor:
        """Codes (N, code) of images (N, C, H, W) by the linear encoder, on the CPU."""
        return self._apart(lambda part: self.linear_encoder(part.flatten(1)), image)

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """Any autoencoder's metrics; ``linear squared error``; with labels, how well each map keeps classes together.

        ``neighbour error %``, ``linear neighbour error %`` and ``pca neighbour error %``: held-out images, of at most 2,000,
        whose nearest other on the map is of another class.
        """
        metrics, items = super().measure(dataset, split), dataset[split]
        there_and_back, total = nn.Sequential(self.linear_encoder, self.linear_decoder), 0.0
        for indices in items.batches(500):
            x = items.batch(indices).image.flatten(1)
            total += len(x) * float(linear_autoencoder.squared_error(x.cpu(), self._apart(there_and_back, x)))
        metrics["linear squared error"] = total / len(items)
        label, _ = labels(dataset, split, MAPPED)
        if label is not None and len(label) > 1:
            panels = self.panels(dataset, split)
            metrics |= {f"{name} neighbour error %".removeprefix("deep "): neighbour_error(c, label) for name, c in panels.items()}
        return metrics

    def panels(self, dataset: Dataset, split: str) -> dict[str, Tensor]:
        """The codes (N, code) of at most 2,000 held-out images by PCA, by the linear and by the deep encoder."""
        (image,) = self.spaced(dataset[split], MAPPED)
        pca = self.pca(dataset, self.code).encode(image.flatten(1))
        return {"pca": pca, "linear": self.linear_codes(image), "deep": self.codes(image)}

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """Reconstructions; with codes of two numbers, the maps side by side: PCA, linear, deep and t-SNE."""
        paths, panels = super().show(dataset, split, folder, stem), self.panels(dataset, split)
        if all(code.shape[1] == 2 for code in panels.values()):
            (image,) = self.spaced(dataset[split], MAPPED)
            panels |= tsne(image.flatten(1))
            maps(panels, *labels(dataset, split, MAPPED), folder / f"{stem}-map.png")  # in place of the map of the deep one alone
        return paths


def tsne(x: Tensor) -> dict[str, Tensor]:
    """A map (N, 2) of rows (N, D) by t-SNE (van der Maaten and Hinton 2008), which keeps neighbours and has no way back.

    Nothing if fewer than ten rows are different: there is no neighbourhood to keep.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    different, which = np.unique(x.numpy(), axis=0, return_inverse=True)
    if len(different) < 10:
        return {}
    rows = PCA(min(50, *different.shape), random_state=0).fit_transform(different)  # as its authors do
    perplexity = min(30.0, (len(rows) - 1) / 3)
    return {"t-sne": torch.from_numpy(TSNE(perplexity=perplexity, random_state=0).fit_transform(rows)[which.reshape(-1)])}
