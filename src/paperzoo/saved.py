"""Files of tensors: checkpoints and weights, one safetensors file each, whole or not there, with a digest; no pickle.

The header holds, as JSON, what is needed to use the tensors, and a SHA-256 over all of it, so that a file of which any byte has
changed is told from a good one. Whatever opens such a file does so here.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from paperzoo.errors import PaperzooError
from paperzoo.files import ordinary


def write(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Writes a safetensors file under a temporary name and renames it.

    Raises:
        PaperzooError: the disk is full or the folder cannot be written to; nothing that was there is touched.
    """
    text = json.dumps(header)
    metadata = {"format": "pt", "sha256": digest(tensors, text), "paperzoo": text}
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
    path = ordinary(path)
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (clones outlive the mapping)
    except (SafetensorError, OSError, UnicodeDecodeError) as error:
        raise PaperzooError(f"{path} is damaged or no safetensors file ({error})") from error
    text = metadata.get("paperzoo")
    if text is None:
        raise PaperzooError(f"{path} was not written by paperzoo: its header names no paper")
    covered = "sha256" in metadata  # files written before the header was covered have a digest of their tensors
    good = metadata.get("sha256" if covered else "digest") == digest(tensors, text if covered else "")
    try:
        header = json.loads(text)
        good = good and isinstance(header, dict)
    except (ValueError, RecursionError):
        good = False
    if not good:
        raise PaperzooError(f"{path} is damaged: what it holds does not match its digest")
    return tensors, header


def digest(tensors: Mapping[str, Tensor], header: str = "") -> str:
    """SHA-256 over the header's text, and names, types, shapes and bytes in order of name."""
    total = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data if tensor.numel() else b"")
    return total.hexdigest()


def checkpoints(directory: Path) -> list[Path]:
    """The checkpoints of a run, by step. What else a user keeps beside them, such as a copy by another name, is none: it is neither taken
    for the newest nor counted, nor ever removed."""
    numbered = [path for path in (directory / "checkpoints").glob("*.safetensors") if re.fullmatch(r"[0-9]{8,}", path.stem)]
    return sorted(numbered, key=lambda path: int(path.stem))


def newest(directory: Path) -> tuple[Path, str]:
    """The newest good checkpoint of a run's directory, and a note on those that were passed over.

    Raises:
        PaperzooError: there is none that can be read.
    """
    notes: list[str] = []
    for path in reversed(checkpoints(directory)):
        try:
            read(path)
            return path, " ".join(notes)
        except PaperzooError as error:
            notes.append(f"{error}; using the one before.")
    raise PaperzooError(" ".join([f"{directory} has no checkpoint that can be read.", *notes]))
