"""A trained network taken out of Python: as ONNX for other programs, or as torch's own exported program.

Only here is onnx imported (the extra ``onnx``). What is written is run by another program, onnxruntime, on other numbers of items than
it was traced with, and must answer as the model does; otherwise nothing is left behind.
"""

from __future__ import annotations

import builtins
import copy
import hashlib
import json
import logging
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import partial
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from paperzoo.engine.gates import gated
from paperzoo.errors import PaperzooError
from paperzoo.files import write
from paperzoo.nn import letters
from paperzoo.tasks.graphs import Graph
from paperzoo.tasks.model import Model
from paperzoo.terminal import plain

Kind = Literal["onnx", "torch"]
Precision = Literal["float32", "float16"]
#: how files of each kind end
ENDS: dict[str, str] = {"onnx": ".onnx", "torch": ".pt2"}
#: items that a graph is traced with, and those that it is then tried with
TRACED, TRIED = 7, (1, 3, 5)
#: how far the answers may be from the model's, relative to the greatest of them
TOLERANCE = 1e-4


class Traced(nn.Module):
    """The model, called as one of its graphs says."""

    def __init__(self, model: Model, graph: Graph) -> None:
        super().__init__()
        self.model, self.graph = model, graph

    def forward(self, *inputs: Tensor) -> Any:
        return self.graph.call(*inputs)


def export(model: Model, out: Path, kind: Kind = "onnx", precision: Precision = "float32") -> Path:
    """Writes the model's network, and returns the path.

    Args:
        model: as ``paperzoo.load`` gives it, on the CPU, in float32.
        out: a file that ends in ``.onnx`` or ``.pt2``, or anything else, to which that is added.
        precision: in which ONNX keeps the weights, and so how long the file is. What runs it computes in float32 all the same, and what it
            answers is compared with the model whose weights are rounded so.

    Raises:
        PaperzooError: the model's task has no graph, the extra is not installed, the network cannot be traced, or what was written
            answers otherwise than the model.
    """
    if precision == "float16":
        if kind != "onnx":
            raise PaperzooError("torch's exported program keeps weights in float32: float16 is for onnx")
        model = halved(model)
    return write_graph(model, graph_of(model), out, kind, precision)


def write_graph(model: Model, graph: Graph, out: Path, kind: Kind, precision: Precision) -> Path:
    """``export`` of one graph of a model, whose weights are rounded already where ``precision`` says so."""
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if kind == "onnx" and find_spec(name) is None]
    if missing:
        raise PaperzooError(f"to write ONNX needs {', '.join(missing)}: pip install 'paperzoo[onnx]'")
    path = named(out, ENDS[kind])
    model.eval()
    with torch.no_grad(), tempfile.TemporaryDirectory() as scratch:
        draft = Path(scratch) / f"draft{ENDS[kind]}"
        told = about(model, graph)
        graph.call(*graph.example(TRACED))  # what is computed once and kept must be numbers, not what stands for them in tracing
        try:
            with warnings.catch_warnings(), redirect_stdout(StringIO()), traceable(), decided(model), gated(model):
                warnings.simplefilter("ignore")
                quiet()
                if kind == "onnx":
                    _as_onnx(Traced(model, graph), graph, draft, told, folded=precision == "float32")
                else:
                    _as_torch(Traced(model, graph), graph, draft, told)
            if precision == "float16":
                _halve(draft)
        except Exception as error:  # whatever the tracer stumbled over, deep inside torch
            raise PaperzooError(f"{model.name} cannot be exported to {kind}: {reason(error)}") from error
        _compare(model.name, graph, draft, kind)
        write(path, draft.read_bytes())
    return path


def named(out: Path, end: str) -> Path:
    """The file that is written for what a user named, with its ending if that is missing.

    Raises:
        PaperzooError: it is a folder by its name alone, as ``.`` and ``/``.
    """
    if not out.name or out.name == "..":
        raise PaperzooError(f"--out {plain(out)} is a folder: name a file in it")
    return out if out.suffix == end else out.with_name(out.name + end)


def graph_of(model: Model) -> Graph:
    """The graph of the model's first task that has one.

    Raises:
        PaperzooError: none has.
    """
    graph = next((found for task in model.active() if (found := task.graph(model)) is not None), None)
    if graph is None:
        raise PaperzooError(f"{model.name} is a model for {model.task}, of which no part can be exported as a graph of its own")
    return graph


def halved(model: Model) -> Model:
    """A copy whose weights are rounded to float16, and float32 still.

    Raises:
        PaperzooError: one of them is too large for that.
    """
    model = copy.deepcopy(model)
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.dtype == torch.float32:
            tensor.data = tensor.data.half().float()
            if not tensor.isfinite().all():
                raise PaperzooError(f"{model.name} has numbers in {name} that float16 does not reach: export it in float32")
    return model


def _halve(path: Path) -> None:
    """Keeps the weights of a file, which are rounded already, as float16, each before a node that makes it float32 again."""
    import onnx

    proto = onnx.load(str(path))
    nodes = []
    for weight in proto.graph.initializer:
        if weight.data_type != onnx.TensorProto.FLOAT:
            continue
        name, values = weight.name, onnx.numpy_helper.to_array(weight)
        if np.array_equal(values, values.astype(np.float16).astype(np.float32)):  # others are constants of the method, and stay
            weight.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            nodes.append(onnx.helper.make_node("Cast", [weight.name], [name], to=onnx.TensorProto.FLOAT))
    later = [*proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend([*nodes, *later])
    onnx.save(proto, str(path))


@contextmanager
def traceable() -> Iterator[None]:
    """What Python does with a tensor's values or with its length cannot be traced. While a network is, checks of values are left out,
    sequences are neither packed nor stripped of their padding, since a graph's have none, and ``len`` in this package's modules reads a
    tensor's shape, which may be a symbol."""
    kept: list[tuple[dict[str, Any], str, Any]] = []
    for name, module in list(sys.modules.items()):
        names = vars(module) if name.startswith("paperzoo.") else {}
        without: list[tuple[str, Any]] = [("padding", partial(_unstripped, names["Padding"]))] if "Padding" in names else []
        if names.get("mirror") is letters.mirror and names is not vars(letters):  # letters of a word have padding even so
            without.append(("mirror", _turned))
        usual = (("check_range", lambda image: image), ("pack_padded_sequence", _unpadded), ("len", _length))
        for word, instead in (*without, *usual):
            if word in names or (word == "len" and names):
                kept.append((names, word, names.get(word)))
                names[word] = instead
    try:
        yield
    finally:
        for names, word, value in kept:
            if value is None:
                del names[word]
            else:
                names[word] = value


@contextmanager
def decided(model: nn.Module) -> Iterator[None]:
    """Counts in a model's state, by which it may decide what it computes, are plain numbers while it is traced."""
    counts = [
        (module, name, buffer)
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
        if buffer.ndim == 0 and not buffer.is_floating_point()
    ]
    for module, name, buffer in counts:
        del module._buffers[name]
        module.__dict__[name] = buffer.item()
    try:
        yield
    finally:
        for module, name, buffer in counts:
            del module.__dict__[name]
            module._buffers[name] = buffer


def _unpadded(sequence: Tensor, length: Tensor, **options: Any) -> Tensor:
    return sequence


def _unstripped(padding: Any, length: Tensor, steps: int) -> Any:
    """What ``padding`` in a paper's file gives for a batch in which nothing is padded, without a look at the lengths."""
    return padding((length.shape[0], steps), None, None)


def _turned(sequence: Tensor, length: Tensor) -> Tensor:
    """``mirror`` without padding. To gather the steps of what an LSTM gave would fix their number, which tracing takes for known."""
    return sequence.flip(1)


def _length(given: Any) -> Any:
    return given.shape[0] if isinstance(given, Tensor) else builtins.len(given)


def reason(error: BaseException) -> str:
    """The first line of what lies at the bottom of a chain of errors."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]


def quiet() -> None:
    """Only errors of the tracers are logged."""
    for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _dynamic(graph: Graph) -> tuple[Any, ...]:
    """The first axis of each input may be of any length, and the second of some, as far as the network allows; ``_compare`` tries it."""
    return tuple({0: torch.export.Dim.AUTO, **({1: torch.export.Dim.AUTO} if name in graph.lengths else {})} for name in graph.inputs)


def _as_onnx(traced: Traced, graph: Graph, path: Path, told: dict[str, str], folded: bool) -> None:
    """``folded``: normalisation is made part of the convolution before it, whose weights are rounded no longer."""
    import onnx

    program = torch.onnx.export(
        traced, graph.example(TRACED), dynamo=True, dynamic_shapes=(_dynamic(graph),), input_names=list(graph.inputs),
        output_names=list(graph.outputs), verbose=False, artifacts_dir=path.parent, optimize=folded,
    )  # fmt: skip
    assert program is not None
    proto = program.model_proto
    for node in proto.graph.node:  # which line of which file each comes from: as long as the weights, and of no use elsewhere
        del node.metadata_props[:]
    del proto.graph.value_info[:]
    onnx.helper.set_model_props(proto, told)
    onnx.save(proto, str(path))


def _as_torch(traced: Traced, graph: Graph, path: Path, told: dict[str, str]) -> None:
    program = torch.export.export(traced, graph.example(TRACED), dynamic_shapes=(_dynamic(graph),))
    torch.export.save(program, path, extra_files={"paperzoo.json": json.dumps(told)})


def about(model: Model, graph: Graph) -> dict[str, str]:
    """What travels in the file: names, arguments, classes, preparation, meaning of inputs and outputs, and a digest of the weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    told = {
        "name": model.name, "arguments": model.arguments, "names": list(getattr(model, "names", ())), "prepared": model.prepared,
        "inputs": dict(graph.inputs), "outputs": dict(graph.outputs), **graph.beside, "weights sha256": digest.hexdigest(),
        "licence": "MIT for the code; weights as the data that they were learnt from",
    }  # fmt: skip
    return {key: value if isinstance(value, str) else json.dumps(value, default=str) for key, value in told.items()}


def _compare(name: str, graph: Graph, path: Path, kind: Kind) -> None:
    """Raises ``PaperzooError`` unless the file answers as the model does, for other numbers of items than the traced one."""
    for items in TRIED:
        given = graph.example(items)
        wanted = several(graph.call(*given))
        try:
            found = answers(path, given, kind)
        except Exception as error:
            told = f"{name}: what was exported to {kind} cannot answer {items} items: {reason(error)}; it is not kept"
            raise PaperzooError(told) from error
        for output, mine, theirs in zip(graph.outputs, wanted, found, strict=True):
            if theirs.shape != tuple(mine.shape):
                told = f"{name}: {output} of {items} items is {theirs.shape} and not {tuple(mine.shape)} in what was exported to {kind}"
                raise PaperzooError(f"{told}; it is not kept")
            apart = np.abs(mine.numpy() - theirs).max() / max(1.0, np.abs(mine.numpy()).max())
            if not apart <= TOLERANCE:
                raise PaperzooError(f"{name}: {output} of {items} items is {apart:.1e} off in what was exported to {kind}; it is not kept")


def answers(path: Path, given: Sequence[Tensor], kind: Kind) -> list[np.ndarray]:
    """What an exported file answers."""
    if kind == "torch":
        return [each.numpy() for each in several(torch.export.load(path).module()(*given))]
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors; its remarks on how it computes are no use to a reader
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    found: list[np.ndarray] = session.run(None, {name: each.numpy() for name, each in zip(names, given, strict=True)})
    return found


def several(answer: Any) -> list[Tensor]:
    """What a graph answers, as a list also where it is one tensor."""
    return [answer] if isinstance(answer, Tensor) else list(answer)


def use(path: Path, graph: Graph, kind: Kind) -> str:
    """Some lines of Python that run the file."""
    shapes = [f"{name}  {about}" for name, about in graph.inputs.items()]
    given = ", ".join(f'"{name}": {name}' for name in graph.inputs)
    comment = "".join(f"# {line}\n" for line in [*shapes, *(f"-> {name}  {about}" for name, about in graph.outputs.items())])
    if kind == "torch":
        return f'import torch\n{comment}answer = torch.export.load("{path}").module()({", ".join(graph.inputs)})'
    return f'import onnxruntime\n{comment}session = onnxruntime.InferenceSession("{path}")\nanswer = session.run(None, {{{given}}})'
