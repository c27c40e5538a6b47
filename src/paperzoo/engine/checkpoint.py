"""Checkpoints: one safetensors file each, whole or not there, with a digest; no pickle.

Besides the tensors of model and optimisers the header holds the step, what the optimisers keep that is no tensor, and a
SHA-256 over all tensors, so that a file with flipped bytes is told from a good one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from paperzoo.errors import PaperzooError


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """The model's state, each tensor contiguous, on the CPU and sharing memory with no other."""
    return {k: v.detach().to("cpu", copy=True).contiguous() for k, v in model.state_dict().items()}


def write(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Writes a safetensors file under a temporary name and renames it.

    Raises:
        PaperzooError: the disk is full or the folder cannot be written to; nothing that was there is touched.
    """
    metadata = {"digest": digest(tensors), "paperzoo": json.dumps(header)}
    scratch = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch.open("wb") as file:
            file.write(save(dict(tensors), metadata))
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise PaperzooError(f"cannot write {path}: {error.strerror or error}; what was saved before is untouched") from error


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a file written by ``write``.

    Raises:
        PaperzooError: not there, cut short, changed, or not written by this program.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (clones outlive the mapping)
    except FileNotFoundError as error:
        raise PaperzooError(f"there is no file {path}") from error
    except (SafetensorError, OSError) as error:
        raise PaperzooError(f"{path} is damaged or no safetensors file ({error})") from error
    if "paperzoo" not in metadata:
        raise PaperzooError(f"{path} was not written by paperzoo: its header names no paper")
    if metadata.get("digest") != digest(tensors):
        raise PaperzooError(f"{path} is damaged: its tensors do not match their digest")
    return tensors, json.loads(metadata["paperzoo"])


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes in order of name."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data if tensor.numel() else b"")
    return total.hexdigest()


def optimizer_state(model: nn.Module, optimizers: Mapping[str, Optimizer]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What the optimisers remember, keyed ``optimizer/<player>/<parameter>/<key>``: tensors, and the rest as JSON."""
    names: dict[Tensor, str] = {p: n for n, p in model.named_parameters()}
    tensors: dict[str, Tensor] = {}
    rest: dict[str, Any] = {}
    for player, optimizer in optimizers.items():
        for parameter, state in optimizer.state.items():
            for key, value in state.items():
                full = f"optimizer/{player}/{names[parameter]}/{key}"
                if torch.is_tensor(value):
                    tensors[full] = value.detach().to("cpu", copy=True).contiguous()
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
                torch.empty_like(parameter, dtype=value.dtype).copy_(value)
                if value.shape == parameter.shape
                else value.clone()
            )
        optimizers[player].state[parameter][key] = value
