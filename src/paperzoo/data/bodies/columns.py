"""Columns of a split of people: dense maps of what is seen, and what is annotated of each person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paperzoo.data.bodies.surface import Surface
from paperzoo.data.bodyparts import COARSE
from paperzoo.data.dataset import Column


@dataclass(frozen=True)
class Points:
    """The annotations of one person.

    Attributes:
        box: float32 (4); place: float32 (P, 2), x and y in pixels; part: int64 (P), from 1; uv: float32 (P, 2).
    """

    box: np.ndarray
    place: np.ndarray
    part: np.ndarray
    uv: np.ndarray


class People:
    """``boxes`` (N, M, 4), ``objects`` (N), ``points`` (N, M, P, 2), ``point_part`` (N, M, P) and ``point_uv`` (N, M, P, 2), padded.

    Args:
        each: of each picture its people. surface: of the body, where ways on it are known.
    """

    def __init__(self, each: Sequence[Sequence[Points]], surface: Surface | None = None) -> None:
        self.each, self.surface = list(each), surface

    def __len__(self) -> int:
        return len(self.each)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        pictures = [self.each[i] for i in indices]
        most = max([1, *map(len, pictures)])
        long = max([1, *(len(one.part) for people in pictures for one in people)])
        boxes = np.zeros((len(pictures), most, 4), np.float32)
        place, uv = (np.zeros((len(pictures), most, long, 2), np.float32) for _ in range(2))
        part = np.zeros((len(pictures), most, long), np.int64)
        for row, people in enumerate(pictures):
            for number, one in enumerate(people):
                boxes[row, number], part[row, number, : len(one.part)] = one.box, one.part
                place[row, number, : len(one.part)], uv[row, number, : len(one.part)] = one.place, one.uv
        fields = {"boxes": boxes, "points": place, "point_part": part, "point_uv": uv}
        count = torch.tensor([len(people) for people in pictures], dtype=torch.int64)
        return {**{name: torch.from_numpy(value) for name, value in fields.items()}, "objects": count}

    def to(self, device: torch.device) -> People:
        """The column itself: it is padded on the host, a batch at a time."""
        return self

    def join(self, other: Column) -> People:
        assert isinstance(other, People)
        return People([*self.each, *other.each], self.surface)

    def some(self, indices: np.ndarray) -> People:
        """The people of these items."""
        return People([self.each[i] for i in indices], self.surface)


class Segments:
    """``segments`` and ``person`` (N, H, W); and where all is known ``parts`` (N, H, W) and ``uv`` (N, 2, H, W).

    Args:
        parts: uint8 (N, H, W), 24 parts, or, where ``uv`` is left out, 14. person: uint8 (N, H, W). uv: uint8 (N, 2, H, W), 255 for 1.
    """

    def __init__(self, parts: Tensor, person: Tensor, uv: Tensor | None = None) -> None:
        self.parts, self.person, self.uv = parts, person, uv

    def __len__(self) -> int:
        return len(self.parts)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        index = torch.from_numpy(indices).to(self.parts.device)
        parts, person = self.parts[index].long(), self.person[index].long()
        if self.uv is None:
            return {"segments": parts, "person": person}
        coarse = torch.from_numpy(COARSE).to(parts.device)[parts]
        return {"segments": coarse, "person": person, "parts": parts, "uv": self.uv[index].float().div_(255)}

    def to(self, device: torch.device) -> Segments:
        return Segments(self.parts.to(device), self.person.to(device), None if self.uv is None else self.uv.to(device))

    def join(self, other: Column) -> Segments:
        assert isinstance(other, Segments) and (self.uv is None) == (other.uv is None)
        both = None if self.uv is None or other.uv is None else torch.cat([self.uv, other.uv])
        return Segments(torch.cat([self.parts, other.parts]), torch.cat([self.person, other.person]), both)

    def some(self, indices: np.ndarray) -> Segments:
        index = torch.from_numpy(indices)
        return Segments(self.parts[index], self.person[index], None if self.uv is None else self.uv[index])
