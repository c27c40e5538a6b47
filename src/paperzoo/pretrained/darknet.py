"""Darknet's two file formats, read and written: ``.cfg``, a network in words, and ``.weights``, its numbers one behind the other.

A ``.weights`` file has a head of three int32 (major, minor, revision) and the number of images seen, int64 from version 0.2 on, int32
before, then float32 throughout, little-endian: for each convolution in the order of the cfg its biases, with batch normalisation
also scales, means and variances, and its weights (out, in, height, width).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paperzoo.data.boxes.names import COCO, VOC
from paperzoo.data.encoding import decode
from paperzoo.data.fetch.sources import Source
from paperzoo.errors import PaperzooError, unknown
from paperzoo.files import ordinary, path_of, write
from paperzoo.terminal import plain

_TERMS = "public domain (YOLO licence of darknet, Joseph Redmon); trained on COCO or PASCAL VOC"


def _source(name: str, sha256: str, size: int = 0, unpinned: str = "") -> Source:
    """The authors' own file."""
    url = f"https://pjreddie.com/media/files/{name}"
    return Source(f"weights/{name}", "https", _TERMS, urls=(url,), sha256=sha256, size=size, unpinned=unpinned)


YOLOV2 = _source("yolov2.weights", "d9945162ed6f54ce1a901e3ec537bdba4d572ecae7873087bd730e5a7942df3f")
YOLOV2_VOC = _source("yolov2-voc.weights", "", unpinned="its hash was not to be had; the first that is fetched over https decides")
YOLOV3 = _source("yolov3.weights", "523e4e69e1d015393a1b0a441cef1d9c7659e3eb2d7e15f793f060a21b32f297", 248_007_048)

#: bytes that a file may have
_LIMIT = 2**31


# Weights -------------------------------------------------------------------------------------------------------------


def convolutions(network: nn.Module) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    """The convolutions of a network in the order in which they were made, each with the batch normalisation that follows it."""
    modules = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d)]
    for number, module in enumerate(modules):
        if isinstance(module, nn.Conv2d):
            after = modules[number + 1] if number + 1 < len(modules) else None
            yield module, after if isinstance(after, nn.BatchNorm2d) else None


def tensors(convolution: nn.Conv2d, norm: nn.BatchNorm2d | None) -> list[Tensor]:
    """The tensors of a layer in the order of the file.

    Raises:
        ValueError: it has no biases, which darknet's layers have.
    """
    if norm is not None and norm.running_mean is not None and norm.running_var is not None:
        return [norm.bias, norm.weight, norm.running_mean, norm.running_var, convolution.weight]
    if convolution.bias is None:
        raise ValueError("a convolution without batch normalisation and without biases is none of darknet's")
    return [convolution.bias, convolution.weight]


def read_weights(network: nn.Module, path: Path, partly: bool = False) -> int:
    """Fills a network in place with a ``.weights`` file; nothing is changed unless all of it fits.

    Args:
        partly: the file may hold the first layers alone, as darknet's ``NAME.conv.74`` do; the others stay, with a warning.

    Returns:
        How many images the network has seen.

    Raises:
        PaperzooError: the file is missing, breaks off, or goes on behind the last layer.
    """
    path = ordinary(path, "weights")
    if path.stat().st_size > _LIMIT:
        raise PaperzooError(f"{plain(path)} has {path.stat().st_size:,} bytes, more than darknet's weights of any network")
    data = path.read_bytes()
    head = np.frombuffer(data[:12], "<i4") if len(data) >= 12 else np.zeros(0)
    if len(head) < 3 or not 0 <= head[0] < 1000 or not 0 <= head[1] < 1000:
        raise PaperzooError(f"{plain(path)} is no file of darknet's weights: its head is none")
    wide = "<i8" if 10 * head[0] + head[1] >= 2 else "<i4"
    start = 12 + np.dtype(wide).itemsize
    if len(data) < start or (len(data) - start) % 4:
        raise PaperzooError(f"{plain(path)} breaks off: it has {len(data):,} bytes, which is no whole number of weights behind a head")
    seen, numbers = int(np.frombuffer(data[12:start], wide)[0]), np.frombuffer(data[start:], "<f4")
    layers = [tensors(*layer) for layer in convolutions(network)]
    wanted, place = sum(t.numel() for layer in layers for t in layer), 0
    for number, layer in enumerate(layers):
        count = sum(tensor.numel() for tensor in layer)
        if place + count > len(numbers):
            if partly and place == len(numbers) and number:
                warnings.warn(f"{plain(path)} has the first {number} of {len(layers)} convolutions: the others keep theirs", stacklevel=2)
                break
            fault = f"{plain(path)} ends within convolution {number + 1} of {len(layers)}"
            raise PaperzooError(f"{fault}: it has {len(numbers):,} weights, and the network {wanted:,}")
        place += count
    if place < len(numbers):
        raise PaperzooError(f"{plain(path)} is of another network: it has {len(numbers):,} weights, and this one {wanted:,}")
    place = 0
    with torch.no_grad():
        for tensor in (tensor for layer in layers for tensor in layer):
            if place == len(numbers):
                break
            tensor.copy_(torch.from_numpy(numbers[place : place + tensor.numel()].copy()).view(tensor.shape))
            place += tensor.numel()
    return seen


def write_weights(network: nn.Module, path: Path, seen: int = 0) -> Path:
    """Writes a network's convolutions as a ``.weights`` file, of version 0.2.

    Args:
        seen: how many images it was trained on.
    """
    parts = [np.array([0, 2, 0], "<i4").tobytes(), np.array([seen], "<i8").tobytes()]
    for layer in convolutions(network):
        parts += [tensor.detach().cpu().contiguous().numpy().astype("<f4").tobytes() for tensor in tensors(*layer)]
    return write(path, b"".join(parts))


def load(network: nn.Module, weights: str, published: Mapping[str, Source], classes: int) -> tuple[str, ...]:
    """Fills a network with published weights, or with the user's own file, whose name ends with ``.weights`` or ``.conv.N``.

    Returns:
        What the classes are called, as far as that is known by their number; else nothing.

    Raises:
        PaperzooError: the name is unknown, the file cannot be had, or it is of another network.
    """
    if weights in published:
        read_weights(network, published[weights].fetch())
        return {len(COCO): COCO, len(VOC): VOC}.get(classes, ())
    path = path_of(weights)
    if not path.is_file():
        raise unknown("weights", weights, [*published, "a .weights file of darknet's"])
    read_weights(network, path, partly=re.search(r"\.conv\.\d+$", path.name) is not None)
    return ()


# Cfg -----------------------------------------------------------------------------------------------------------------

#: the layers that are understood; the last six say what follows the network, and change nothing that it answers
LAYERS = (
    "convolutional", "maxpool", "route", "reorg", "shortcut", "upsample", "region", "yolo", "avgpool", "softmax", "cost", "dropout",
)  # fmt: skip


@dataclass
class Section:
    """A part of a cfg: its kind, as ``convolutional``, its options as text, and in which line it begins, from 1."""

    kind: str
    options: dict[str, str] = field(default_factory=dict)
    line: int = 0

    def whole(self, key: str, default: int) -> int:
        """An option that is a whole number.

        Raises:
            PaperzooError: it is none.
        """
        text = self.options.get(key, str(default))
        if not re.fullmatch(r"-?\d{1,9}", text):
            raise PaperzooError(f"line {self.line}, [{self.kind}]: {key} is a whole number, not {plain(text)!r}")
        return int(text)

    def wholes(self, key: str) -> list[int]:
        """An option that is a list of whole numbers."""
        return [Section(self.kind, {key: part.strip()}, self.line).whole(key, 0) for part in self.options.get(key, "").split(",") if part]


def read_cfg(path: Path) -> list[Section]:
    """The sections of a cfg in order; the first is ``net``.

    Raises:
        PaperzooError: it cannot be read, a line is none, or a layer is not understood: its line is named.
    """
    where, sections = plain(path), list[Section]()
    text = decode(ordinary(path, "cfg").read_bytes(), where)
    for number, line in enumerate(text.splitlines(), 1):
        line = re.split(r"[#;]", line)[0].strip()
        if not line:
            continue
        if match := re.fullmatch(r"\[\s*(\w+)\s*\]", line):
            kind = {"conv": "convolutional", "network": "net", "max": "maxpool"}.get(match[1], match[1])
            if kind not in (("net",) if not sections else LAYERS):
                if not sections:
                    raise PaperzooError(f"{where}, line {number}: a cfg begins with [net], not with [{plain(match[1])}]")
                raise unknown("layer", plain(match[1]), LAYERS, f"in {where}, line {number}")
            sections.append(Section(kind, {}, number))
        elif "=" in line and sections:
            key, _, value = line.partition("=")
            sections[-1].options[key.strip()] = value.strip()
        else:
            raise PaperzooError(f"{where}, line {number} is neither [layer] nor key=value: {plain(line[:60])}")
    if not sections:
        raise PaperzooError(f"{where} has no [net]: it is no cfg of darknet's")
    return sections


def cfg_text(sections: Sequence[Section]) -> str:
    """Sections as a cfg."""
    return "\n".join(
        "\n".join([f"[{section.kind}]", *(f"{key}={value}" for key, value in section.options.items()), ""]) for section in sections
    )


def net(channels: int, side: int) -> Section:
    """The first section of a network that sees squares of this side."""
    return Section("net", {"batch": "1", "subdivisions": "1", "width": str(side), "height": str(side), "channels": str(channels)})


def section(layer: nn.Module) -> Section:
    """A pooling; a convolution, which is linear; or one with batch normalisation and leaky ReLU behind it."""
    if isinstance(layer, nn.MaxPool2d):
        return Section("maxpool", {"size": str(layer.kernel_size), "stride": str(layer.stride)})
    inner = layer[0] if isinstance(layer, nn.Sequential) else layer
    assert isinstance(inner, nn.Conv2d)
    options = {"batch_normalize": "1"} if inner is not layer else {}
    options |= {"filters": str(inner.out_channels), "size": str(inner.kernel_size[0]), "stride": str(inner.stride[0]), "pad": "1"}
    return Section("convolutional", {**options, "activation": "linear" if inner is layer else "leaky"})


class CfgNetwork(nn.Module):
    """The network that a cfg says, layer by layer: for cfgs of one's own, and to hold the papers' networks against.

    Raises:
        PaperzooError: a layer points to none that is there; its line is named.
    """

    def __init__(self, sections: Sequence[Section]) -> None:
        super().__init__()
        self.sections, self.layers = list(sections[1:]), nn.ModuleList()
        channels = [sections[0].whole("channels", 3)]  # what each layer is given, then what it gives
        self.inputs: list[list[int]] = []
        for number, section in enumerate(self.sections):
            before = channels[-1]
            sources = self._sources(section, number)
            layer: nn.Module = nn.Identity()
            if section.kind == "convolutional":
                layer = _convolution(section, before)
                before = section.whole("filters", 1)
            elif section.kind == "maxpool":
                size, stride = section.whole("size", section.whole("stride", 1)), section.whole("stride", 1)
                layer = nn.MaxPool2d(size, stride, (size - 1) // 2) if size != 2 else nn.MaxPool2d(2, stride)
            elif section.kind == "upsample":
                layer = nn.Upsample(scale_factor=section.whole("stride", 2), mode="nearest")
            elif section.kind == "reorg":
                before *= section.whole("stride", 2) ** 2
            elif section.kind == "route":
                before = sum(channels[source + 1] for source in sources)
            self.layers.append(layer)
            self.inputs.append(sources)
            channels.append(before)

    def _sources(self, section: Section, number: int) -> list[int]:
        """Numbers of the layers that a route or a shortcut reads; negative ones are counted from here."""
        given = section.wholes({"route": "layers", "shortcut": "from"}.get(section.kind, ""))
        found = [place + number if place < 0 else place for place in given]
        if any(not 0 <= place < number for place in found) or (section.kind in ("route", "shortcut") and not found):
            raise PaperzooError(f"line {section.line}, [{section.kind}]: layer {', '.join(map(str, given)) or 'none'} is not before it")
        return found

    def forward(self, image: Tensor) -> list[Tensor]:
        """What ``region`` and ``yolo`` are given, in order; of a network without them what its last layer gives."""
        seen, answers = list[Tensor](), list[Tensor]()
        x = image
        for section, layer, sources in zip(self.sections, self.layers, self.inputs, strict=True):
            if section.kind == "route":
                x = torch.cat([seen[source] for source in sources], 1)
            elif section.kind == "shortcut":
                x = x + seen[sources[0]]
            elif section.kind == "reorg":
                x = _reorg(x, section.whole("stride", 2))
            elif section.kind == "avgpool":
                x = F.adaptive_avg_pool2d(x, 1)
            elif section.kind in ("region", "yolo"):
                answers.append(x)
            else:
                x = layer(x)
            seen.append(x)
        return answers or [x]


def _convolution(section: Section, channels: int) -> nn.Sequential:
    size, normed = section.whole("size", 1), section.whole("batch_normalize", 0)
    padding = size // 2 if section.whole("pad", 0) else section.whole("padding", 0)
    filters, stride = section.whole("filters", 1), section.whole("stride", 1)
    layers: list[nn.Module] = [nn.Conv2d(channels, filters, size, stride, padding, bias=not normed)]
    layers += [nn.BatchNorm2d(filters, eps=1e-6, momentum=0.01)] if normed else []
    kinds = {"leaky": nn.LeakyReLU(0.1), "linear": nn.Identity(), "relu": nn.ReLU(), "logistic": nn.Sigmoid()}
    activation = section.options.get("activation", "logistic")
    if activation not in kinds:
        raise unknown("activation", plain(activation), kinds, f"in line {section.line}")
    return nn.Sequential(*layers, kinds[activation])


def _reorg(x: Tensor, stride: int) -> Tensor:
    """Darknet's reorg, index by index as its file format fixes it: output (k, j, i) is read at (k % D, j s + k // D // s, i s + k // D % s)
    of the input's memory taken as D = C / s^2 channels of s times the sides."""
    number, channels, tall, wide = x.shape
    deep = channels // stride**2
    k, j, i = torch.meshgrid(*(torch.arange(n, device=x.device) for n in (channels, tall, wide)), indexing="ij")
    row, column = j * stride + k // deep // stride, i * stride + k // deep % stride
    index = (k % deep * tall * stride + row) * wide * stride + column
    return x.flatten(1)[:, index.flatten()].view(number, channels * stride**2, tall // stride, wide // stride)
