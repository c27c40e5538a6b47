"""Published weights: fetched once, checked by hash, and loaded only into a network of the same shape."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from paperzoo.data.sources import Source, sha256
from paperzoo.errors import PaperzooError, unknown


class _Weights(Source):
    """A file whose address carries the first digits of its SHA-256, as in ``resnet18-f37072fd.pth``."""

    def check(self, path: Path) -> None:
        if not (found := sha256(path)).startswith(self.sha256):
            raise PaperzooError(
                f"{self.name} has SHA-256 {found[:16]}..., expected {self.sha256}...: damaged, or another file"
            )


def load_published(network: nn.Module, weights: str, urls: Mapping[str, str], head: str = "") -> None:
    """Fills ``network`` in place with published weights; nothing is changed unless all of them fit.

    Args:
        weights: a name in ``urls``, or a local ``.pth`` or ``.safetensors`` file with the network's state dict.
        urls: addresses by name (``https:`` or ``file:``). Hex digits behind the last hyphen of a file's name are the
            beginning of its SHA-256, which is checked; the file is kept in the cache (``PAPERZOO_DATA``).
        head: prefix of a last layer that keeps its fresh weights, with a warning, if the file's has another shape.

    Raises:
        PaperzooError: unknown name, file missing, damaged, of the wrong hash, or of another network.
    """
    path = fetch(urls[weights]) if weights in urls else Path(weights).expanduser()
    if not path.is_file():
        raise unknown("weights", weights, [*urls, "a .pth or .safetensors file"])
    tensors, own = read(path), network.state_dict()
    fresh = _other_shape(head, tensors, own) if head else []
    tensors |= {name: own[name] for name in fresh}
    _same_network(path, tensors, own)
    if fresh:
        warnings.warn(f"{path.name} has another number of outputs: {', '.join(fresh)} keep fresh weights", stacklevel=2)
    network.load_state_dict(tensors, strict=False)  # strict but for the counters, which _same_network excuses


def fetch(url: str) -> Path:
    """The file of ``url`` in the cache, fetched if it is missing or damaged."""
    name = url.rsplit("/", 1)[-1]
    pin = re.search(r"-([0-9a-f]{8,64})\.\w+$", name)
    source = _Weights(f"weights/{name}", "https", licence="", urls=(url,), sha256=pin[1] if pin else "")
    path = source.fetch()
    if not sha256(path).startswith(source.sha256):  # damaged since it was fetched
        path.unlink()
        path = source.fetch()
    return path


def read(path: Path) -> dict[str, Tensor]:
    """The state dict in a ``.safetensors`` or ``.pth`` file, on the CPU; no pickled code is run.

    Raises:
        PaperzooError: damaged, or not a state dict.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers raise a dozen kinds, from UnpicklingError to SafetensorError
        raise PaperzooError(f"{path} cannot be read as weights: damaged, or not a state dict") from error
    if not isinstance(found, Mapping) or not all(isinstance(v, Tensor) for v in found.values()):
        raise PaperzooError(f"{path} holds {type(found).__name__}, not a state dict of tensors by name")
    return dict(found)


def _other_shape(head: str, tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
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
    said = [f"it {verb} {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}" for verb, names in parts if names]
    if said:
        raise PaperzooError(f"{path} is of another network: {'; '.join(said)}")
