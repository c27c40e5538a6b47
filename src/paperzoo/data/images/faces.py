"""Photographs of faces with attributes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from paperzoo.data.dataset import Dataset, Schema, Split, Values
from paperzoo.data.images.folders import ImageFiles
from paperzoo.data.pictures import Preparation
from paperzoo.errors import PaperzooError

_SPLITS = ("train", "validation", "test")  # as list_eval_partition.txt numbers them


def celeba(path: Path, image_size: int = 64) -> Dataset:
    """CelebA (Liu et al., 2015), aligned: ``image`` and ``attributes`` float32 (N, 40) in {0, 1}, in the published splits.

    Of each image of 178x218 the middle 148x148 (within two pixels) is kept, which shows hair and chin, at ``image_size``,
    bicubic and antialiased. Images are decoded as they are asked for. ``schema.arguments`` names the attributes.

    Args:
        path: a folder with ``img_align_celeba/``, ``list_attr_celeba.txt`` and ``list_eval_partition.txt``.

    Raises:
        PaperzooError: a file is missing, or cannot be read.
    """
    _, names, *rows = _lines(path / "list_attr_celeba.txt")
    values = {name: cells for name, *cells in rows}
    if odd := [name for name, cells in values.items() if len(cells) != len(names) or not set(cells) <= {"1", "-1"}]:
        raise PaperzooError(f"{path}/list_attr_celeba.txt: {odd[0]} needs {len(names)} attributes, each 1 or -1")
    files: dict[str, list[str]] = {split: [] for split in _SPLITS}
    for row in _lines(path / "list_eval_partition.txt"):
        if len(row) != 2 or row[0] not in values or row[1] not in ("0", "1", "2"):
            raise PaperzooError(
                f"{path}/list_eval_partition.txt: {' '.join(row)!r} is no image with attributes and 0, 1 or 2"
            )
        files[_SPLITS[int(row[1])]].append(row[0])
    folder = path / "img_align_celeba"
    if missing := [name for chosen in files.values() for name in chosen[:1] if not (folder / name).is_file()]:
        raise PaperzooError(f"{folder} has no {missing[0]}")
    splits = {}
    for split, pictures in files.items():
        if pictures:
            # the short side is 178 pixels, of which the middle 148 are wanted
            column = ImageFiles([folder / name for name in pictures], round(image_size * 178 / 148), image_size, 3)
            attributes = np.array([values[name] for name in pictures], np.float32) > 0
            splits[split] = Split(column, Values("attributes", torch.from_numpy(attributes.astype(np.float32))))
    arguments = {"channels": 3, "image_size": image_size, "attributes": tuple(names)}
    picture = Preparation(round(image_size * 178 / 148), image_size, 3)
    schema = Schema("celeba", ("image", "attributes"), arguments, picture=picture)
    return Dataset(schema, splits, "CelebA: non-commercial research only", f"images in {path}", pictures=False)


def _lines(path: Path) -> list[list[str]]:
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise PaperzooError(f"{path} cannot be read: {error}") from error
    if len(lines) < 2:
        raise PaperzooError(f"{path} has fewer than two lines")
    return lines
