"""Precision belongs to each network's call: it computes in bfloat16 and answers in float32.

One autocast around a whole step would cache the cast weights: after ``minimize`` the next call would silently use the old ones.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.utils._pytree import tree_map

from paperzoo.engine.parts import is_parted
from paperzoo.errors import PaperzooError, unknown

WAYS: tuple[Literal["auto"], Literal["bf16"], Literal["float32"]] = ("auto", "bf16", "float32")


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 natively, and the library on it: AVX-512 BF16 or AMX on a CPU, Ampere or later on CUDA."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16") or able.get("bf16")) and not _lacks_bf16()
    return False


@cache
def _lacks_bf16() -> str:
    """Why torch cannot train in bfloat16 on this processor, or nothing: flags do not tell, oneDNN may lack or be forbidden a kernel.

    It is tried once in a process, which takes 20 ms and draws nothing from torch's generator.
    """
    image, steps = torch.ones(2, 8, 4, 4), torch.ones(2, 3, 8)
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad(), torch.autocast("cpu", torch.bfloat16):
            convolution, lstm, linear = nn.Conv2d(8, 8, 3, padding=1), nn.LSTM(8, 8, batch_first=True), nn.Linear(8, 8)
            hidden = convolution(image).mean((2, 3)) + lstm(steps)[0][:, -1]  # (2, 8)
            linear(hidden).float().square().sum().backward()
    except RuntimeError as error:
        reason = str(error).partition(". ")[0]
        warnings.warn(f"this processor is said to have bf16, but torch cannot use it ({reason}): float32 is used", stacklevel=2)
        return reason
    return ""


def resolve(wanted: Literal["auto", "bf16", "float32"], device: torch.device) -> Literal["bf16", "float32"]:
    """What ``wanted`` means on this device; ``auto`` is what the environment variable ``PAPERZOO_PRECISION`` says, if it is set.

    Raises:
        PaperzooError: an unknown precision, here or there.
    """
    if wanted not in WAYS:
        raise PaperzooError(f"precision {wanted!r} is not one of auto, bf16, float32")
    chosen = usual() if wanted == "auto" else wanted
    if chosen == "auto":
        return "bf16" if has_bf16(device) else "float32"
    return chosen


def usual() -> Literal["auto", "bf16", "float32"]:
    """What ``auto`` is to mean everywhere, by the environment.

    Raises:
        PaperzooError: ``PAPERZOO_PRECISION`` is no precision.
    """
    setting = os.environ.get("PAPERZOO_PRECISION", "auto")
    for way in WAYS:
        if setting == way:
            return way
    raise unknown("precision", setting, WAYS, "in the environment variable PAPERZOO_PRECISION")


def prepare(
    model: nn.Module, precision: Literal["bf16", "float32"], device: torch.device, compiled: Iterable[str] = ()
) -> None:
    """Moves the model to the device, convolutions to channels-last, gives each network its precision, compiles those named."""
    model.to(device)
    for module in model.modules():
        # to look at `weight` would be a power iteration, where it is parametrised by its spectral norm
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not any(map(is_parted, module.parameters())):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if precision == "bf16":
        for network in model.children():
            _cast(network, device)
    networks = dict(model.named_modules())
    for name in compiled:
        if not name or name not in networks:
            raise unknown("network to compile", name, [n for n, _ in model.named_children()])
        networks[name].compile()


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
    for module in network.modules() if device.type == "cpu" else ():
        if isinstance(module, _ConvNd) and max(module.kernel_size) > 1 and (max(module.stride) > 1 or has_odd_holes(module)):
            _spare(module)


def has_odd_holes(convolution: _ConvNd) -> bool:
    """Whether a convolution has holes and, in a group, inputs that are no multiple of 16."""
    return max(convolution.dilation) > 1 and convolution.in_channels // convolution.groups % 16 > 0


def _spare(convolution: _ConvNd) -> None:
    """Leaves a convolution in float32 where the image is smaller than its stride, and where it has odd holes.

    In the first case oneDNN's bfloat16 kernel does not write the gradients of weights that no pixel has met: what lay in memory before is
    taken for them. In the second it writes nothing that is a number, or beyond its memory. (Found with torch 2.13 on processors with AMX
    and AVX-512.) The gradients in float32 are right.
    """
    stack: list[torch.autocast | None] = []

    def enter(module: _ConvNd, inputs: tuple[Any, ...]) -> Any:
        real = inputs[0].dtype in (torch.float32, torch.bfloat16)
        wrong = real and (has_odd_holes(module) or smaller_than_stride(module, inputs[0]))
        stack.append(torch.autocast("cpu", enabled=False) if wrong else None)
        if (context := stack[-1]) is None:
            return None
        context.__enter__()  # type: ignore[no-untyped-call]
        return inputs[0].float(), *inputs[1:]

    def leave(module: nn.Module, inputs: Any, output: Any) -> None:
        if (context := stack.pop()) is not None:
            context.__exit__(None, None, None)

    convolution.register_forward_pre_hook(enter)
    convolution.register_forward_hook(leave, always_call=True)


def smaller_than_stride(convolution: _ConvNd, image: Tensor) -> bool:
    """Whether the larger image of the two that a convolution joins, its output if it is transposed, has a side below the stride.

    Args:
        image: what it is given, (N, C, ...).
    """
    sides, kernels = list(image.shape[-len(convolution.stride) :]), convolution.kernel_size
    if convolution.transposed and not isinstance(convolution.padding, str):
        reach = [d * (k - 1) + 1 for d, k in zip(convolution.dilation, kernels, strict=True)]
        ends = [a - 2 * p for a, p in zip(convolution.output_padding, convolution.padding, strict=True)]
        sides = [(side - 1) * s + r + e for side, s, r, e in zip(sides, convolution.stride, reach, ends, strict=True)]
    return any(side < stride and kernel > 1 for side, stride, kernel in zip(sides, convolution.stride, kernels, strict=True))
