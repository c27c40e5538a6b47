"""Sounds with pictures of them: ``spoken-digits#spectrogram=32`` has ``image`` (N, 1, 32, 32) beside ``audio``.

What networks of images and judges of sounds see; see ``paperzoo.data.spectrogram``.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from paperzoo.data.dataset import Dataset, Images, Split
from paperzoo.data.options import options
from paperzoo.data.spectrogram import spectrograms
from paperzoo.errors import PaperzooError

OPTIONS = {"spectrogram": "the side of the pictures, such as spectrogram=32"}
#: the largest side of a picture
MOST = 256
#: sounds that are changed at a time
PART = 500


def spectrogram(text: str, where: str) -> int:
    """``spectrogram=32`` read and checked: the side.

    Raises:
        PaperzooError: no side from 8 to 256.
    """
    named = options(text, OPTIONS, where, {"spectrogram": 8})
    side = int(named["spectrogram"])
    if side > MOST:
        raise PaperzooError(f"{where}: spectrogram is at most {MOST}, not {side}")
    return side


def heard(dataset: Dataset, text: str) -> Dataset:
    """The data set with ``image`` beside its fields.

    Raises:
        PaperzooError: as ``spectrogram``, or it has no sounds.
    """
    side = spectrogram(text, dataset.name)
    if "audio" not in dataset.schema.fields:
        raise PaperzooError(f"{dataset.name} has no sounds to draw: its fields are {', '.join(dataset.schema.fields)}")
    splits = {}
    for name, split in dataset.splits.items():
        parts = [
            (spectrograms(split.batch(items).audio, dataset.schema.arguments["rate"], side) * 255).round().to(torch.uint8)
            for items in np.array_split(np.arange(len(split)), max(1, -(-len(split) // PART)))
        ]
        splits[name] = Split(*split.columns, Images(torch.cat(parts).cpu()))
    arguments = {**dataset.schema.arguments, "channels": 1, "image_size": side}
    schema = dataclasses.replace(
        dataset.schema, name=f"{dataset.name}#{text}", fields=(*dataset.schema.fields, "image"), arguments=arguments
    )
    return dataclasses.replace(dataset, schema=schema, splits=splits)
