"""What a checkpoint holds besides the model: the state of its optimisers, keyed by the names of their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from paperzoo import saved
from paperzoo.engine.parts import part, tensors_of, whole
from paperzoo.errors import PaperzooError
from paperzoo.records import record
from paperzoo.saved import digest, write

__all__ = ["digest", "optimizer_state", "read", "restore_optimizers", "tensors_of", "write"]


@dataclass(frozen=True)
class _Header:
    """What the header of a checkpoint or weights file may say, as plain JSON values."""

    name: str = ""
    arguments: Mapping[str, Any] | None = None
    names: tuple[str, ...] | None = None
    prepared: Mapping[str, Any] | None = None
    iteration: int = 0
    seconds: float = 0.0
    optimizers: Mapping[str, Any] | None = None


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a checkpoint or weights file.

    Raises:
        PaperzooError: as ``saved.read``, or the header says something that it cannot mean.
    """
    tensors, header = saved.read(path)
    names = {one.name for one in fields(_Header)}
    record(_Header, {name: value for name, value in header.items() if name in names}, f"{path} cannot be used: its header")
    return tensors, header


def optimizer_state(
    model: nn.Module, optimizers: Mapping[str, Optimizer], keep: bool = True
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What the optimisers remember, keyed ``optimizer/<player>/<parameter>/<key>``: tensors, whole, and the rest as JSON.

    Args:
        keep: whether this process wants the tensors; where parts are gathered, all take part.
    """
    names: dict[Tensor, str] = {p: n for n, p in model.named_parameters()}
    tensors: dict[str, Tensor] = {}
    rest: dict[str, Any] = {}
    for player, optimizer in optimizers.items():
        for parameter, state in optimizer.state.items():
            for key, value in state.items():
                full = f"optimizer/{player}/{names[parameter]}/{key}"
                if torch.is_tensor(value):
                    gathered = whole(value)
                    if keep:
                        tensors[full] = gathered.detach().to("cpu", copy=True).contiguous()
                else:
                    rest[full] = value
    return tensors, rest


def restore_optimizers(
    model: nn.Module, optimizers: Mapping[str, Optimizer], tensors: Mapping[str, Tensor], rest: Mapping[str, Any]
) -> None:
    """Gives the optimisers back what ``optimizer_state`` took.

    Raises:
        PaperzooError: it is that of another optimiser, or of a parameter that there is not.
    """
    parameters = dict(model.named_parameters())
    for full, value in {**rest, **{k: v for k, v in tensors.items() if k.startswith("optimizer/")}}.items():
        _, player, name, key = full.split("/") if full.count("/") == 3 else ("", "", "", "")
        if player not in optimizers or name not in parameters:
            known = f"the optimisers of this model are {', '.join(optimizers) or 'none'}"
            raise PaperzooError(f"the checkpoint holds the state {full!r} of no optimiser or parameter that there is: {known}")
        parameter = parameters[name]
        if torch.is_tensor(value):
            # a step counter stays where the optimiser keeps it; moments lie beside their parameter, in its layout
            value = (
                torch.empty_like(parameter, dtype=value.dtype).copy_(part(value, parameter))
                if value.shape == parameter.shape
                else value.clone()
            )
        optimizers[player].state[parameter][key] = value
