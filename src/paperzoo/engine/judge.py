"""Judges: networks used only for scoring, kept by name and hash, never trained against."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from paperzoo import catalog
from paperzoo.data import Dataset
from paperzoo.data.datasets import parse
from paperzoo.data.fetch.sources import sha256
from paperzoo.data.images.table import EMOJI
from paperzoo.errors import PaperzooError, unknown
from paperzoo.tasks.model import Model
from paperzoo.tasks.task import Task

WEIGHTS = Path(__file__).parent.parent / "weights"


@dataclass(frozen=True)
class Record:
    """A judge's weights, and the data that it may judge.

    Attributes:
        file: in the folder of weights that ship; for a published network the name of its weights.
        sha256: of the file; of a published network, of the weights that it is filled with (``fetch.weights.WEIGHTS``).
        paper: catalogue name of a published network, whose weights are fetched when it is first asked for; ``""`` if they ship.
        standardise: whether features are standardised before they are compared; published scores do not.
        frames: of a judge of clips, the judge of single frames.
    """

    file: str
    sha256: str
    data: tuple[str, ...]
    paper: str = ""
    standardise: bool = True
    frames: str = ""

    def fits(self, data: str) -> bool:
        """Whether it may judge this data set, or a part of it such as ``mnist@20:1``."""
        name = parse(data)
        return not name.kind and name.base in self.data and "pixels=" not in (name.change or "")  # whose images are others


JUDGES = {
    "zoo-digits": Record(
        "zoo-digits.safetensors",
        "de6be3f63b7f4191bfb9c6decb1d3276bb5bd708ec56b1296de0e6bd81520c17",
        ("mnist", "mnist-5k", "mnist-100", "mnist-100-b", "mnist-100-c", "mnist-1000"),
    ),
    "zoo-avatars": Record(
        "resnet.avatars.safetensors",
        "d5cf5ea4513caf68231aa4af287b881c800167b9b93619f6715c226b9ab262a5",
        ("avatars", *(f"avatars-unpaired:{what}" for what in ("black>blonde", "glasses", "beard"))),
    ),
    # colour and length of the hair, glasses, beard and skin: of 1,000 held-out faces it takes none for another kind
    "zoo-avatars-more": Record(
        "resnet.avatar-sentences.safetensors",
        "d0da6366422768390fcf3a12a9ce06cbc052741ec7bbe605669c73d6f5c3776d",
        ("avatar-sentences",),
    ),
    "zoo-emoji": Record(
        "resnet.emoji.safetensors",
        "29389dad16f2cf49255c4d17b825beb7c7e73d6ae210dc671d5a653f0ed534e8",
        ("emoji", "emoji-fluent", "emoji-noto", "emoji-openmoji", "emoji-twemoji"),
    ),
    # whose hand drew an emoji: on held-out subjects it takes 7.5 % for another vendor's (OpenMoji 1 %, Noto 13 %)
    "zoo-vendor": Record(
        "resnet.vendor.safetensors",
        "d76cadcf5f43abe7e02c3259e60d71e0c95bb7f7bc611398c9f0188503c5a69d",
        ("emoji-vendor", *(f"emoji-{kind}:{a}>{b}" for kind in ("pairs", "unpaired") for a, b in permutations(EMOJI, 2))),
    ),
    # what a drawn face does, and, frame by frame, which hair, glasses and beard it has: of people never seen
    # none of 1,000 clips is mistaken, and 0.2 % of single frames are
    "zoo-motions": Record(
        "t3d.expressions.safetensors",
        "2233a7f4f2f57b9c4bc0be904126d418ccda751dbfa818d614eb379c80f10d50",
        ("avatar-expressions",),
        frames="zoo-avatars",
    ),
    # which digit is said; of voices that it was not trained on it takes none of 800 for another (0 %, below 0.5 at 95 %)
    "zoo-sounds": Record(
        "cnn.sounds.safetensors",
        "3847329283f07097b2f72d1df25760834838232faaafb4e875ea5d34e89107bd",
        ("spoken-digits", "spoken-digits-8k", "spoken-digits-4k", "sc09"),
    ),
    # the network behind published scores: Inception v3 as released in 2015, its weights ported by M. Seitzer
    "inception": Record(
        "fid",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        ("cifar10", "imagenet", "lsun-bedroom"),
        paper="inception:fid",
        standardise=False,
    ),
}


@dataclass
class Judge:
    """A model of images that answers with class probabilities and features, as its task defines them: for a classifier, the features
    are the input of the last layer. It has ``channels`` and ``image_size``. A judge of clips has another of single ``frames``.
    """

    name: str
    model: Any
    task: Task
    data: tuple[str, ...] = ()
    standardise: bool = True
    frames: Judge | None = None
    _real: dict[tuple[str, str, int], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities (N, K) and features (N, D) for images (N, C, H, W), or clips (N, C, T, H, W), in [0, 1], resized to its side.

        Raises:
            PaperzooError: images of another number of channels than the judge has learnt to see.
        """
        side, device = self.model.image_size, next(self.model.parameters()).device
        self.check(images.shape[1])
        p, features = [], []
        for part in torch.split(images, (1000 if images.ndim == 4 else 64) if side <= 64 else 50):
            part = part.to(device)
            if part.shape[-1] != side:
                part = _resized(part, side)
            probability, feature = self.task.judgement(self.model, part)
            features.append(feature.cpu().numpy())
            p.append(probability.cpu().numpy())
        return np.concatenate(p), np.concatenate(features)

    def check(self, channels: int) -> None:
        """Raises ``PaperzooError`` unless images with this many channels can be judged."""
        if channels != self.model.channels:
            raise PaperzooError(
                f"the judge {self.name} cannot judge images with {channels} channel{'s' if channels > 1 else ''}: it sees "
                f"{self.model.channels} and is meant for {', '.join(self.data) or 'the data that it was trained on'}"
            )

    def real(self, dataset: Dataset, split: str) -> tuple[np.ndarray, np.ndarray]:
        """The judge's answer on a split of real images; at most 50,000 of them, computed once."""
        key = (dataset.name, split, int(dataset.schema.arguments["image_size"]))
        if key not in self._real:
            items = dataset[split]
            answers = [self(items.batch(indices).image) for indices in items.batches(1000, limit=50_000)]
            self._real[key] = np.concatenate([a[0] for a in answers]), np.concatenate([a[1] for a in answers])
        return self._real[key]


def _resized(images: Tensor, side: int) -> Tensor:
    """Images or clips (N, C, ..., H, W) at another size, each frame by itself."""
    if images.ndim == 4:
        return F.interpolate(images, side, mode="bilinear", antialias=True)
    frames = images.transpose(1, 2)  # (N, T, C, H, W)
    return _resized(frames.flatten(0, 1), side).unflatten(0, frames.shape[:2]).transpose(1, 2)  # type: ignore[no-untyped-call,no-any-return]


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
    model: Model
    if record.paper:
        model = catalog.create(record.paper, weights=record.file).eval()
        if torch.cuda.is_available():  # on a processor 10,000 samples take hours
            model = model.to("cuda")
    else:
        path = WEIGHTS / record.file
        if record.sha256 and (digest := sha256(path)) != record.sha256:
            raise PaperzooError(f"{path} is not the judge {name}: its SHA-256 is {digest[:16]}..., not {record.sha256[:16]}...")
        model = load_file(path)
    task = model.able("judges")
    if task is None:
        raise PaperzooError(f"{model.name} cannot be a judge of images: it is a model for {model.task}")
    return Judge(name, model, task, record.data, record.standardise, judge(record.frames) if record.frames else None)
