"""What a checkpoint holds besides the model: the state of its optimisers, keyed by the names of their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from paperzoo.engine.parts import part, tensors_of, whole
from paperzoo.saved import digest, read, write

__all__ = ["digest", "optimizer_state", "read", "restore_optimizers", "tensors_of", "write"]


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
    """Gives the optimisers back what ``optimizer_state`` took."""
    parameters = dict(model.named_parameters())
    for full, value in {**rest, **{k: v for k, v in tensors.items() if k.startswith("optimizer/")}}.items():
        _, player, name, key = full.split("/")
        parameter = parameters[name]
        if torch.is_tensor(value):
            # a step counter stays where the optimiser keeps it; moments lie beside their parameter, in its layout
            value = (
                torch.empty_like(parameter, dtype=value.dtype).copy_(part(value, parameter))
                if value.shape == parameter.shape
                else value.clone()
            )
        optimizers[player].state[parameter][key] = value
