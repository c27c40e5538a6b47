"""LiteRT: transposed convolutions are rewritten exactly; with the extra, its own interpreter answers as the model does."""

from __future__ import annotations

import itertools
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.files import type_in
from torch import Tensor

import paperzoo
from paperzoo.engine import export as exporting
from paperzoo.engine import litert
from paperzoo.engine.export import graph_of
from paperzoo.engine.job import resolve
from paperzoo.errors import PaperzooError


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_transposed_convolution_is_zeros_and_a_convolution(axes: int) -> None:
    """Every stride, padding, output padding, group and dilation, kernels that reach less far than the padding among them."""
    function = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}[axes]
    draws, tried = torch.Generator().manual_seed(0), 0
    for kernel, stride, padding, more, groups, dilation in itertools.product((1, 3, 4), (1, 2, 3), (0, 1, 2), (0, 1), (1, 2), (1, 2)):
        if more >= max(stride, dilation) or 3 * stride + dilation * (kernel - 1) + 1 <= 2 * padding:
            continue
        x = torch.randn(2, 4, *(4, 5, 3)[:axes], generator=draws)
        weight, bias = torch.randn(4, 3, *(kernel,) * axes, generator=draws), torch.randn(3 * groups, generator=draws)
        sides = [stride, *(1,) * (axes - 1)] if kernel == 4 else stride  # of one axis other than the rest, too
        given = (bias, sides, padding, more if kernel != 4 else [more, *(0,) * (axes - 1)], groups, dilation)
        try:
            wanted = function(x, weight, *given)
        except RuntimeError:  # an answer without a pixel
            continue
        found = litert._transposed(axes, x, weight, *given)
        assert found.shape == wanted.shape and (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()
        tried += 1
    assert tried > 100


def test_a_generator_is_the_same_while_it_is_rewritten_and_as_before_afterwards() -> None:
    job = resolve("dcgan", "smoke")
    torch.manual_seed(0)
    model = job.build(job.dataset()).eval()
    graph, before, seen = graph_of(model), F.conv_transpose2d, []
    with torch.no_grad():
        wanted = graph.call(*graph.example(3))
        with litert.rewritten():
            stuffed = F.conv_transpose2d

            def noted(*given: Any, **named: Any) -> Tensor:
                seen.append(given)
                return stuffed(*given, **named)

            F.conv_transpose2d = noted
            found = graph.call(*graph.example(3))
            label = torch.tensor([[0, 3], [2, 1]])
            assert torch.equal(F.one_hot(label, 4), torch.eye(4, dtype=torch.int64)[label])
    assert len(seen) >= 2 and (found - wanted).abs().max() < 1e-5 and F.conv_transpose2d is before


def test_what_cannot_be_written_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(litert, "find_spec", lambda name: None)

    def typed(*words: str) -> str:
        code, out, errors = type_in("export", *words, capsys=capsys, monkeypatch=monkeypatch)
        assert code == 2 and not out and not list(tmp_path.iterdir())
        return errors

    assert "needs litert-torch: pip install 'paperzoo[litert]' (2 GB); --to onnx" in typed("lenet", "--to", "litert")
    assert "float16 is for onnx" in typed("lenet", "--to", "litert", "--precision", "float16")
    assert "char_rnn reads tokens of any length, and LiteRT takes one size: export it to onnx" in typed("char_rnn", "--to", "litert")
    assert "did you mean litert" in typed("lenet", "--to", "literal")
    monkeypatch.setattr(litert, "find_spec", lambda name: True)
    assert "--items must be at least 1, not 0" in typed("lenet", "--to", "litert", "--items", "0")


@pytest.mark.skipif(find_spec("litert_torch") is None, reason="litert-torch is not installed")
@pytest.mark.parametrize("name", ["dcgan", "cgan:conv"])
def test_its_own_interpreter_answers_as_the_model_does(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = paperzoo.load(name)
    graph = graph_of(model)
    path = litert.export(model, graph, tmp_path / "net", items=2)
    told = json.loads((tmp_path / "net.json").read_text())
    assert "int64" not in told["inputs"] + litert.use(path, graph) and path == tmp_path / "net.tflite"
    assert told["items"] == 2 and max(told["apart"].values()) < 1e-4
    given = tuple(each[:2] for each in graph.example(5))
    with torch.no_grad():
        wanted = exporting.several(graph.call(*given))
    for mine, theirs in zip(wanted, litert.answers(path, given), strict=True):
        np.testing.assert_allclose(theirs, mine.numpy(), atol=1e-4 * max(1.0, float(mine.abs().max())))
    monkeypatch.setattr(litert, "answers", lambda path, given: [each.numpy() + 0.01 for each in wanted])
    with pytest.raises(PaperzooError, match="off in what was exported to litert; it is not kept"):
        litert.export(model, graph, tmp_path / "other", items=2)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["net.json", "net.tflite"]
