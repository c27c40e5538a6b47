"""Precision belongs to each network's call: it computes in bfloat16 and answers in float32.

One autocast around a whole step would cache the cast weights: after ``minimize`` the next call would silently use the old ones.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn
from torch.utils._pytree import tree_map

from paperzoo.errors import PaperzooError


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 natively: AVX-512 BF16 or AMX on a CPU, Ampere or later on CUDA."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16") or able.get("bf16"))
    return False


def resolve(wanted: Literal["auto", "bf16", "float32"], device: torch.device) -> Literal["bf16", "float32"]:
    """What ``wanted`` means on this device."""
    if wanted not in ("auto", "bf16", "float32"):
        raise PaperzooError(f"precision {wanted!r} is not one of auto, bf16, float32")
    if wanted == "auto":
        return "bf16" if has_bf16(device) else "float32"
    return wanted


def prepare(model: nn.Module, precision: Literal["bf16", "float32"], device: torch.device) -> None:
    """Moves the model to the device, convolutions to channels-last, and gives each network its precision."""
    model.to(device)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if precision == "bf16":
        for network in model.children():
            _cast(network, device)


def _cast(network: nn.Module, device: torch.device) -> None:
    stack: list[torch.autocast] = []

    def enter(module: nn.Module, inputs: Any) -> None:
        context = torch.autocast(device.type, torch.bfloat16)
        context.__enter__()  # type: ignore[no-untyped-call]
        stack.append(context)

    def leave(module: nn.Module, inputs: Any, output: Any) -> Any:
        stack.pop().__exit__(None, None, None)
        return tree_map(lambda t: t.float() if torch.is_tensor(t) and t.dtype == torch.bfloat16 else t, output)

    network.register_forward_pre_hook(enter)
    network.register_forward_hook(leave, always_call=True)
