"""Where a network looks: class-activation maps."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


def activation_maps(model: nn.Module, image: Tensor) -> Tensor | None:
    """Where in the image each class is seen: class-activation maps (Zhou et al. 2016, 1512.04150, Eq. 2), in eval mode.

    Where the last layers are convolutions, the mean over positions and a linear layer, that layer can as well look at
    each position by itself: ``M_k(i, j) = w_k . f(i, j)``. The mean of the map is the class's logit less its bias.

    Args:
        model: gives logits (N, classes) for images.
        image: (N, C, H, W) in [0, 1].

    Returns:
        (N, classes, H', W') as fine as the network's last maps; ``None`` for a network that ends otherwise.
    """
    heads = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not heads:
        return None
    head, features_seen = heads[-1], []
    handle = head.register_forward_pre_hook(lambda layer, given: features_seen.append(given[0]))
    with handle, _eager(model), _LastMaps(head.in_features) as watch:
        logits = model(image)
    if not features_seen or watch.maps is None or features_seen[-1].ndim != 2:
        return None
    features, maps = features_seen[-1].float(), watch.maps.float()  # (N, D) and (N, D, H', W')
    agree = _alike(maps.mean((2, 3)), features) and _alike(F.linear(features, head.weight, head.bias), logits)
    return torch.einsum("kd,ndhw->nkhw", head.weight, maps) if agree else None


class _LastMaps(TorchFunctionMode):
    """Keeps the last tensor (N, D, H, W) of more than one position that was computed while it is on, by module or function."""

    maps: Tensor | None = None

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor) and out.ndim == 4 and out.shape[1] == self.channels and out[0, 0].numel() > 1:
            self.maps = out
        return out


def _eager(model: nn.Module) -> AbstractContextManager[Any]:
    """Compiled networks compute as they are written, so that they can be watched."""
    compiled = any(getattr(module, "_compiled_call_impl", None) for module in model.modules())
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()


def _alike(a: Tensor, b: Tensor) -> bool:
    """Equal but for rounding, of which bfloat16 has much."""
    return a.shape == b.shape and bool(((a - b).abs() <= 0.02 * b.abs().max() + 1e-6).all())
