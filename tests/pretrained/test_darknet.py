"""Darknet's files: written and read again, tiny ones by hand, and what is wrong with them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import paperzoo
from paperzoo.errors import PaperzooError
from paperzoo.papers.detection import yolov2, yolov3
from paperzoo.pretrained import darknet

TINY = """[net]
channels=1
# a comment
[convolutional]
batch_normalize=1
filters=2
size=1
pad=1
activation=leaky

[convolutional]
filters=1
size=1
activation=linear
"""


def tiny(folder: Path, text: str = TINY) -> darknet.CfgNetwork:
    path = folder / "tiny.cfg"
    path.write_text(text)
    return darknet.CfgNetwork(darknet.read_cfg(path)).eval()


def file(path: Path, numbers: list[float], head: bytes | None = None) -> Path:
    path.write_bytes((struct.pack("<iiiq", 0, 2, 0, 640) if head is None else head) + struct.pack(f"<{len(numbers)}f", *numbers))
    return path


def scattered(network: nn.Module, seed: int = 0) -> nn.Module:
    """The network with statistics and weights that all differ."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                for tensor in (module.weight, module.running_var):
                    tensor.uniform_(0.5, 1.5)
                for tensor in (module.bias, module.running_mean):
                    tensor.normal_(0, 0.2)
    return network.eval()


# Weights -------------------------------------------------------------------------------------------------------------


def test_a_tiny_file_number_by_number(tmp_path: Path) -> None:
    """Biases, scales, means, variances and weights of the first layer; biases and weights of the second."""
    network = tiny(tmp_path)
    seen = darknet.read_weights(network, file(tmp_path / "a.weights", [0.5, -1, 2, 3, 1, 0, 4, 0.25, 10, -2, 7, 1, 1]))
    assert seen == 640
    answer = network(torch.full((1, 1, 1, 1), 2.0))[0].item()
    first = 2 * (20 - 1) / np.sqrt(4) + 0.5  # scale 2, mean 1, variance 4, bias 0.5, weight 10
    second = 0.1 * (3 * (-4 - 0) / np.sqrt(0.25) - 1)
    assert answer == pytest.approx(first + second + 7, rel=1e-4)


def test_older_files_count_pictures_in_four_bytes(tmp_path: Path) -> None:
    numbers = [float(i + 1) for i in range(13)]
    new, old = tiny(tmp_path), tiny(tmp_path)
    darknet.read_weights(new, file(tmp_path / "a.weights", numbers))
    assert darknet.read_weights(old, file(tmp_path / "b.weights", numbers, struct.pack("<iiii", 0, 1, 0, 7))) == 7
    assert all(torch.equal(a, b) for a, b in zip(new.state_dict().values(), old.state_dict().values(), strict=True))


@pytest.mark.parametrize(
    ("numbers", "head", "message"),
    [
        (12, None, r"ends within convolution 2 of 2: it has 12 weights, and the network 13"),
        (3, None, r"ends within convolution 1 of 2"),
        (14, None, r"is of another network: it has 14 weights, and this one 13"),
        (0, b"abc", "its head is none"),
        (0, struct.pack("<iii", -5, 2, 0), "its head is none"),
        (0, struct.pack("<iiiqh", 0, 2, 0, 1, 3), "breaks off: it has 22 bytes"),
    ],
)
def test_files_that_break_off_or_are_another_networks_change_nothing(
    numbers: int, head: bytes | None, message: str, tmp_path: Path
) -> None:
    network = tiny(tmp_path)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(PaperzooError, match=message):
        darknet.read_weights(network, file(tmp_path / "a.weights", [1.0] * numbers, head))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    with pytest.raises(PaperzooError, match=r"a\.wei"):
        darknet.read_weights(network, tmp_path / "a.wei")


@pytest.mark.parametrize(("name", "arguments"), [("yolov2", {}), ("yolov2", {"passthrough": "paper"}), ("yolov3", {})])
def test_written_and_read_again_is_the_same_network(name: str, arguments: dict[str, str], tmp_path: Path) -> None:
    model = paperzoo.create(name, width=0.02, classes=3, **arguments)
    path = darknet.write_weights(scattered(model.network), tmp_path / "x.weights", 128)
    again = paperzoo.create(name, width=0.02, classes=3, weights=str(path), **arguments)
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        first, second = model.eval().candidates(image), again.eval().candidates(image)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert path.read_bytes() == darknet.write_weights(again.network, tmp_path / "y.weights", 128).read_bytes()


def test_the_trunk_alone_is_read_with_a_warning(tmp_path: Path) -> None:
    model = paperzoo.create("yolov3", width=0.02, classes=3)
    path = darknet.write_weights(scattered(model.network.trunk), tmp_path / "darknet53.conv.74")
    with pytest.warns(UserWarning, match="has the first 52 of 75 convolutions: the others keep theirs"):
        again = paperzoo.create("yolov3", width=0.02, classes=3, weights=str(path))
    own, new = model.network.trunk.state_dict(), again.network.trunk.state_dict()
    assert all(torch.equal(own[k], new[k]) for k in own if not k.endswith("tracked"))


def test_published_files_are_pinned() -> None:
    assert len(darknet.YOLOV2.sha256) == len(darknet.YOLOV3.sha256) == 64 and darknet.YOLOV2_VOC.unpinned
    with torch.device("meta"):
        for name, numbers in (("yolov3", 62_001_757), ("yolov2", 50_983_561)):
            layers = list(darknet.convolutions(paperzoo.create(name).network))
            assert sum(t.numel() for layer in layers for t in darknet.tensors(*layer)) == numbers  # the size of the published file


# Cfg -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("module", "arguments"), [(yolov2, {}), (yolov2, {"passthrough": "paper"}), (yolov3, {})])
def test_a_written_cfg_is_the_papers_network(module: Any, arguments: dict[str, str], tmp_path: Path) -> None:
    model = module.Model(width=0.02, classes=3, **arguments)
    if arguments:
        with pytest.raises(PaperzooError, match="passthrough of the paper"):
            module.cfg(model)
        return
    path = tmp_path / "x.cfg"
    path.write_text(darknet.cfg_text(module.cfg(model)))
    other = darknet.CfgNetwork(darknet.read_cfg(path)).eval()
    weights = darknet.write_weights(scattered(model.network), tmp_path / "x.weights")
    darknet.read_weights(other, weights)
    image = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        ours, theirs = model.eval().network(image), other(image)
    ours = list(reversed(ours)) if isinstance(ours, tuple) else [ours]
    assert len(ours) == len(theirs) and all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ours, theirs, strict=True))


def test_the_cfg_has_the_released_ones_layers() -> None:
    sections = {name: module.cfg(module.Model(width=0.02)) for name, module in (("yolov2", yolov2), ("yolov3", yolov3))}
    kinds = {name: [section.kind for section in own] for name, own in sections.items()}
    assert len(kinds["yolov2"]) == 1 + 32 and kinds["yolov2"].count("convolutional") == 23 and kinds["yolov2"][-1] == "region"
    assert len(kinds["yolov3"]) == 1 + 107 and kinds["yolov3"].count("convolutional") == 75 and kinds["yolov3"].count("shortcut") == 23
    places = [i - 1 for i, kind in enumerate(kinds["yolov3"]) if kind == "yolo"]
    assert places == [82, 94, 106]
    routes = [section.options["layers"] for section in sections["yolov3"] if section.kind == "route"]
    assert routes == ["-4", "-1,61", "-4", "-1,36"]
    assert [s.options["layers"] for s in sections["yolov2"] if s.kind == "route"] == ["-9", "-1,-4"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TINY.replace("[convolutional]\nfilters", "[convolutionall]\nfilters"),
         r"unknown layer 'convolutionall' in .*tiny.cfg, line 11: did you mean convolutional"),
        ("[net]\n[lstm]\n", r"unknown layer 'lstm' in .*, line 2"),
        ("[convolutional]\n", r"line 1: a cfg begins with \[net\], not with \[convolutional\]"),
        ("[net]\nchannels\n", r"line 2 is neither \[layer\] nor key=value"),
        ("", "is empty|has no"),
        ("[net]\n[route]\nlayers=-3\n", r"line 2, \[route\]: layer -3 is not before it"),
        ("[net]\n[convolutional]\nfilters=two\n", r"line 2, \[convolutional\]: filters is a whole number, not 'two'"),
        ("[net]\n[convolutional]\nactivation=mosh\n", "unknown activation 'mosh' in line 2"),
    ],
)  # fmt: skip
def test_cfgs_that_are_not_understood(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=message):
        tiny(tmp_path, text)
