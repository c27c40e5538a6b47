"""A batch: named tensors that travel together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Batch:
    """Fields by attribute, all with the same first dimension N; lists stand for what has no tensor.

    The vocabulary is one for all papers: ``paperzoo.data.fields`` has each field's name, type, shape and meaning.
    """

    def __init__(self, **fields: Any) -> None:
        if not fields:
            raise ValueError("a batch needs at least one field")
        self.__dict__.update(fields)

    def __len__(self) -> int:
        return len(next(iter(self.__dict__.values())))

    def __getattr__(self, name: str) -> Any:  # only reached when the field is missing
        raise AttributeError(f"this batch has no field {name!r}; it has {', '.join(self.__dict__)}")

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__[name] = value

    def __repr__(self) -> str:
        shapes = (f"{k}={tuple(v.shape) if isinstance(v, Tensor) else v!r}" for k, v in self.__dict__.items())
        return f"Batch({', '.join(shapes)})"

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The batch with ``change`` applied to each tensor."""
        return Batch(**{k: change(v) if isinstance(v, Tensor) else v for k, v in self.__dict__.items()})

    def to(self, device: torch.device | str) -> Batch:
        """The batch on another device."""
        return self.map(lambda t: t.to(device, non_blocking=True))

    def cut(self, parts: int) -> list[Batch]:
        """``parts`` batches of nearly equal length, in order."""
        bounds = [len(self) * i // parts for i in range(parts + 1)]
        return [Batch(**{k: v[a:b] for k, v in self.__dict__.items()}) for a, b in zip(bounds, bounds[1:], strict=False)]
