"""Judges: networks used only for scoring, kept by name and hash, never trained against."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.data.sources import sha256
from paperzoo.errors import PaperzooError, unknown
from paperzoo.tasks.classification import Classifier

WEIGHTS = Path(__file__).parent.parent / "weights"


@dataclass(frozen=True)
class Record:
    """Which weights a judge is, and which data it may judge."""

    file: str
    sha256: str
    data: tuple[str, ...]

    def fits(self, data: str) -> bool:
        """Whether it may judge this data set."""
        return data in self.data


JUDGES = {
    "zoo-digits": Record("lenet.safetensors", "de6be3f63b7f4191bfb9c6decb1d3276bb5bd708ec56b1296de0e6bd81520c17", ("mnist", "mnist-5k")),
}


@dataclass
class Judge:
    """A classifier that answers with class probabilities and the features under its last layer."""

    name: str
    model: Classifier
    _real: dict[tuple[str, str, int], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities (N, K) and features (N, D) for images (N, C, H, W) in [0, 1], resized to the judge's side."""
        p, features = [], []
        for part in torch.split(images, 1000):
            if part.shape[-1] != self.model.image_size:
                part = F.interpolate(part, self.model.image_size, mode="bilinear", antialias=True)
            hidden = self.model.features(part)
            features.append(hidden.numpy())
            p.append(self.model.head(hidden).softmax(1).numpy())
        return np.concatenate(p), np.concatenate(features)

    def real(self, dataset: Dataset, split: str) -> tuple[np.ndarray, np.ndarray]:
        """The judge's answer on a split of real images; at most 50,000 of them, computed once."""
        key = (dataset.name, split, int(dataset.schema.arguments["image_size"]))
        if key not in self._real:
            items = dataset[split]
            answers = [self(items.batch(indices).image) for indices in items.batches(1000, limit=50_000)]
            self._real[key] = np.concatenate([a[0] for a in answers]), np.concatenate([a[1] for a in answers])
        return self._real[key]


@cache
def judge(name: str) -> Judge:
    """The judge of this name.

    Raises:
        PaperzooError: unknown, or its weights are not the pinned ones.
    """
    from paperzoo.engine.weights import load_file

    if name not in JUDGES:
        raise unknown("judge", name, JUDGES)
    record = JUDGES[name]
    path = WEIGHTS / record.file
    if record.sha256 and sha256(path) != record.sha256:
        raise PaperzooError(
            f"{path} is not the judge {name}: its SHA-256 is {sha256(path)[:16]}..., not {record.sha256[:16]}..."
        )
    model = load_file(path)
    assert isinstance(model, Classifier)
    return Judge(name, model)
