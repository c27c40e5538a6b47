"""A trained network as LiteRT, TensorFlow Lite's format: made from the same weights, for a fixed number of items.

Only here is litert-torch imported (the extra ``litert``, 2 GB with what it needs). Transposed convolutions are written as what they are
equal to, zeros between the pixels and a convolution, since the format's own pads otherwise. What is written is run by the format's own
interpreter on numbers that it was not traced with, and how far it is from the model stands in a JSON file beside it.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from paperzoo.engine.export import TOLERANCE, Traced, about, decided, named, quiet, reason, several, traceable
from paperzoo.errors import PaperzooError
from paperzoo.files import write
from paperzoo.tasks.graphs import Graph
from paperzoo.tasks.model import Model

END = ".tflite"


def export(model: Model, graph: Graph, out: Path, items: int = 1) -> Path:
    """Writes one graph of a model, and beside it ``NAME.json``: what goes in and comes out, and how far it is from the model.

    Args:
        model: as ``paperzoo.load`` gives it, on the CPU, in float32.
        out: a file that ends in ``.tflite``, or anything else, to which that is added.
        items: how many the file takes at a time, always.

    Raises:
        PaperzooError: the graph is of texts, which are of any length; the extra is not installed; the network cannot be traced; or what
            was written answers otherwise than the model.
    """
    if graph.lengths:
        raise PaperzooError(f"{model.name} reads {', '.join(graph.lengths)} of any length, and LiteRT takes one size: export it to onnx")
    if find_spec("litert_torch") is None:
        raise PaperzooError("to write LiteRT needs litert-torch: pip install 'paperzoo[litert]' (2 GB); --to onnx needs far less")
    if items < 1:
        raise PaperzooError(f"--items must be at least 1, not {items}")
    path = named(out, END)
    model.eval()
    given = graph.example(items)
    with torch.no_grad(), tempfile.TemporaryDirectory() as scratch:
        draft = Path(scratch) / f"draft{END}"
        graph.call(*given)  # what is computed once and kept must be numbers, not what stands for them in tracing
        try:
            said = StringIO()
            with warnings.catch_warnings(), redirect_stdout(said), redirect_stderr(said), traceable(), decided(model), rewritten():
                warnings.simplefilter("ignore")
                quiet()
                import litert_torch  # type: ignore[import-not-found, import-untyped, unused-ignore]

                litert_torch.convert(Traced(model, graph).eval(), given).export(str(draft))
        except Exception as error:  # whatever the tracer stumbled over, deep inside
            raise PaperzooError(f"{model.name} cannot be exported to litert: {reason(error)}") from error
        other = tuple(each[:items] for each in graph.example(items + 7))
        apart = _apart(model.name, graph, draft, other)
        told = {**about(model, taken(graph)), "items": items, "apart": apart, "tolerance": TOLERANCE}
        write(path, draft.read_bytes())
        write(path.with_suffix(".json"), json.dumps(told, indent=1))
    return path


def _apart(name: str, graph: Graph, path: Path, given: Sequence[Tensor]) -> dict[str, float]:
    """How far each answer of the file is from the model's, relative to the greatest of them.

    Raises:
        PaperzooError: further than ``TOLERANCE``, or of another shape.
    """
    wanted, apart = several(graph.call(*given)), {}
    try:
        found = answers(path, given)
    except Exception as error:
        raise PaperzooError(f"{name}: what was exported to litert cannot answer: {reason(error)}; it is not kept") from error
    for output, mine, theirs in zip(graph.outputs, wanted, found, strict=True):
        if theirs.shape != tuple(mine.shape):
            told = f"{name}: {output} is {theirs.shape} and not {tuple(mine.shape)} in what was exported to litert"
            raise PaperzooError(f"{told}; it is not kept")
        apart[output] = float(np.abs(mine.numpy() - theirs).max() / max(1.0, np.abs(mine.numpy()).max()))
        if not apart[output] <= TOLERANCE:
            raise PaperzooError(f"{name}: {output} is {apart[output]:.1e} off in what was exported to litert; it is not kept")
    return apart


def answers(path: Path, given: Sequence[Tensor]) -> list[np.ndarray]:
    """What a file answers."""
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-not-found, import-untyped, unused-ignore]

    run = Interpreter(model_path=str(path)).get_signature_runner()
    details = run.get_input_details()
    found = run(**{name: each.numpy().astype(details[name]["dtype"]) for name, each in zip(_names(given), given, strict=True)})
    return [found[f"output_{number}"] for number in range(len(found))]


def _names(given: Iterable[Any]) -> list[str]:
    """What the format calls its inputs."""
    return [f"args_{number}" for number, _ in enumerate(given)]


def taken(graph: Graph) -> Graph:
    """The graph as the file takes it: whole numbers are int32 there."""
    return replace(graph, inputs={name: meaning.replace("int64", "int32") for name, meaning in graph.inputs.items()})


def use(path: Path, graph: Graph) -> str:
    """Some lines of Python that run the file."""
    told = "".join(f"# {name}  {meaning}\n" for name, meaning in taken(graph).inputs.items())
    told += "".join(f"# -> output_{number}: {name}  {meaning}\n" for number, (name, meaning) in enumerate(graph.outputs.items()))
    given = ", ".join(f"{theirs}={name}" for theirs, name in zip(_names(graph.inputs), graph.inputs, strict=True))
    lines = f'run = Interpreter(model_path="{path}").get_signature_runner()\nanswer = run({given})["output_0"]'
    return f"from ai_edge_litert.interpreter import Interpreter\n{told}{lines}"


@contextmanager
def rewritten() -> Iterator[None]:
    """Transposed convolutions are zeros between the pixels and a convolution; ``one_hot`` does not look at what it is given."""
    instead: dict[str, Any] = {f"conv_transpose{axes}d": partial(_transposed, axes) for axes in (1, 2, 3)} | {"one_hot": _one_hot}
    kept = {name: getattr(F, name) for name in instead}
    for name, function in instead.items():
        setattr(F, name, function)
    try:
        yield
    finally:
        for name, function in kept.items():
            setattr(F, name, function)


def _one_hot(label: Tensor, num_classes: int) -> Tensor:
    return (label[..., None] == torch.arange(num_classes)).to(torch.int64)


def _transposed(
    axes: int, x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """``F.conv_transposeNd``: weight (C, O / groups, *kernel)."""
    strides, paddings, more, dilations = (_each(value, axes) for value in (stride, padding, output_padding, dilation))
    for axis in range(axes):
        x = _between(x, 2 + axis, strides[axis])
        reach = dilations[axis] * (weight.shape[2 + axis] - 1) - paddings[axis]
        x = _widened(x, 2 + axis, reach, reach + more[axis])
    inner, outer, *kernel = weight.shape
    turned = weight.reshape(groups, inner // groups, outer, *kernel).transpose(1, 2).flip(*range(3, 3 + axes))
    convolve: Callable[..., Tensor] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[axes]
    return convolve(x, turned.reshape(groups * outer, inner // groups, *kernel), bias, 1, 0, dilations, groups)  # (O, C / groups, *kernel)


def _between(x: Tensor, axis: int, stride: int) -> Tensor:
    """``stride - 1`` zeros between neighbours along an axis, none at the end; through four axes, which every kernel takes."""
    if stride == 1:
        return x
    before, length, after = x.shape[:axis].numel(), x.shape[axis], x.shape[axis + 1 :].numel()
    apart = F.pad(x.reshape(before, length, 1, after), (0, 0, 0, stride - 1))  # (B, T, stride, A)
    return _widened(apart.reshape(*x.shape[:axis], length * stride, *x.shape[axis + 1 :]), axis, 0, 1 - stride)


def _widened(x: Tensor, axis: int, low: int, high: int) -> Tensor:
    """Zeros at both ends of an axis; cut off there where the number is negative."""
    x = x.narrow(axis, max(0, -low), x.shape[axis] - max(0, -low) - max(0, -high))
    sides = [0] * (2 * (x.ndim - 1 - axis)) + [max(0, low), max(0, high)]
    return F.pad(x, sides) if any(sides) else x


def _each(value: Any, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)
