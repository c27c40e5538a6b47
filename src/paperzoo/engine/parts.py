"""Tensors of which each process holds a part (torch's DTensor), made whole and parted again. All others are left as they are."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


def is_parted(tensor: Tensor) -> bool:
    """Whether this process holds only a part of it."""
    return hasattr(tensor, "full_tensor")


def whole(tensor: Tensor) -> Tensor:
    """The tensor, gathered if it is parted; then all processes call this."""
    gathered: Any = tensor
    return gathered.full_tensor() if is_parted(tensor) else tensor


def part(tensor: Tensor, like: Tensor) -> Tensor:
    """Of a whole tensor that all processes have, what belongs to this one: parted as ``like`` is. Nothing is sent."""
    if not is_parted(like):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    known: Any = like
    return distribute_tensor(tensor.to(like.device), known.device_mesh, known.placements, src_data_rank=None)


def tensors_of(model: nn.Module, keep: bool = True) -> dict[str, Tensor]:
    """The model's state, each tensor whole, contiguous, on the CPU and sharing memory with no other.

    Args:
        keep: whether this process wants it; where parts are gathered, all take part.
    """
    state = ((name, whole(value)) for name, value in model.state_dict().items())
    return {k: v.detach().to("cpu", copy=True).contiguous() for k, v in state if keep}
