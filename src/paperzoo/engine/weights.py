"""Weights files: a model's tensors with what is needed to build it again."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from paperzoo import catalog
from paperzoo.engine import checkpoint
from paperzoo.errors import PaperzooError
from paperzoo.files import is_folder, nearest_run, path_of
from paperzoo.pretrained.hub import PREFIX, fetched
from paperzoo.saved import newest
from paperzoo.tasks.model import Model

SHIPPED = Path(__file__).parent.parent / "weights"


def load_file(path: Path) -> Model:
    """The model in a checkpoint or weights file, in eval mode on the CPU.

    Raises:
        PaperzooError: no such file, damaged, or its tensors do not fit its paper.
    """
    return _made(path, *checkpoint.read(path))


def _made(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> Model:
    name, arguments = header.get("name"), header.get("arguments")
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise PaperzooError(f"{path} names no paper in its header, or no arguments of it")
    model = catalog.build(catalog.load(name), arguments)
    load_into(model, tensors, path)
    name_classes(model, header.get("names") or ())
    model.prepared = header.get("prepared") or {}  # older files lack this key
    return model.eval()


def name_classes(model: Model, names: Sequence[str]) -> None:
    """Tells a model whose task has classes what the data call them; without names it keeps its own."""
    if any(task.named for task in type(model).tasks) and names:
        model.names = tuple(names)  # type: ignore[assignment]


def load(source: str | Path, code: Sequence[str] = ()) -> Model:
    """See ``paperzoo.load``."""
    catalog.allow(*code)
    path = _found(source)
    if path is None:
        return named(str(source))
    return newest_model(path) if path.is_dir() else load_file(path)


def paper_of(source: str | Path) -> str:
    """The name of the paper of what ``load`` would load; no model is made.

    Raises:
        PaperzooError: as ``load``, but for what a model is made of.
    """
    from paperzoo.engine.run import Run

    path = _found(source)
    if path is None:
        return str(source)
    return str(Run(path).info["name"] if path.is_dir() else checkpoint.read(path)[1].get("name"))


def _found(source: str | Path) -> Path | None:
    """The folder of a run, or the weights file, that a user named; ``None`` for what is no place but a paper's name."""
    path = fetched(str(source)) if str(source).startswith(PREFIX) else path_of(source)
    if not is_folder(path):
        return path if path.suffix == ".safetensors" else None
    if (path / "run.json").is_file():
        return path
    if not (path / "config.json").is_file():
        told = f"{path} is no run: it has no run.json; nor a model's folder, which has a config.json"
        raise PaperzooError(told + nearest_run(path / path.name))
    return path / "model.safetensors"


def newest_model(directory: Path) -> Model:
    """The model of a run's newest good checkpoint; a warning names those that are skipped.

    Raises:
        PaperzooError: as ``load_file``; there is no checkpoint that can be read, or the newest is of another paper than the run.
    """
    from paperzoo.engine.run import Run

    path, note = newest(directory)
    if note:
        warnings.warn(note, stacklevel=3)
    tensors, header = checkpoint.read(path)
    if "name" in header:
        of_paper(path, header["name"], Run(directory).info["name"])
    return _made(path, tensors, header)


def of_paper(path: Path, name: str, wanted: str) -> None:
    """Raises ``PaperzooError`` if a run's checkpoint is of another paper or variant than the run, as one that was put there by hand."""
    if name != wanted and not catalog.same(name, wanted):
        raise PaperzooError(f"{path} is a checkpoint of {name}, in a run of {wanted}: take it out of the run")


def load_into(model: Model, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Copies tensors (without optimiser state) into the model.

    Raises:
        PaperzooError: a key is missing, unknown, of another shape or kind of number; the first three are named.
    """
    current = model.state_dict()
    state = {k: v for k, v in tensors.items() if not k.startswith("optimizer/")}
    wrong = [f"{k} is missing" for k in current if k not in state]
    wrong += [f"{k} is unknown" for k in state if k not in current]
    wrong += [
        f"{k} is {tuple(state[k].shape)}, not {tuple(current[k].shape)}"
        for k in current
        if k in state and state[k].shape != current[k].shape
    ]
    wrong += [
        f"{k} is {state[k].dtype}, not {current[k].dtype}"
        for k in current
        if k in state and (state[k].is_complex() or state[k].is_floating_point() != current[k].is_floating_point())
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise PaperzooError(f"{path} does not fit {model.name}: {'; '.join(wrong[:3])}{more}")
    if lost := next((k for k, v in state.items() if v.is_floating_point() and v.isnan().any()), ""):
        warnings.warn(f"{path} holds what is no number (NaN) in {lost}, as after training diverged: answers mean nothing", stacklevel=3)
    model.load_state_dict(state)


def named(name: str) -> Model:
    """``paper`` or ``paper:variant`` with the weights that ship, or else with those that its file's ``PRETRAINED`` names.

    Raises:
        PaperzooError: there are neither, or published ones cannot be fetched.
    """
    entry = catalog.load(name)
    published = getattr(entry.module, "PRETRAINED", {}).get(entry.variant)
    if published is None or _place(entry).exists():
        return load_file(shipped(name))
    return catalog.build(entry, {**entry.arguments, **published}).eval()


def shipped(name: str) -> Path:
    """The weights that ship for ``paper`` or ``paper:variant``.

    Raises:
        PaperzooError: none ship for it.
    """
    path = _place(catalog.load(name))
    if not path.exists():
        there = ", ".join(sorted(p.stem for p in SHIPPED.glob("*.safetensors")))
        raise PaperzooError(
            f"no weights ship for {name} (there are {there or 'none'}): train it, then load the run's directory"
        )
    return path


def _place(entry: catalog.Entry) -> Path:
    return SHIPPED / f"{entry.name.replace(':', '-')}.safetensors"


def export(model: Model, path: Path, half: bool, header: Mapping[str, Any]) -> None:
    """Writes what using the model needs as a weights file, optionally in half precision, with more in its header."""
    arguments, state = model.lean()
    tensors = {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in state.items()}
    if half:
        tensors = {k: v.to(torch.float16) if v.dtype == torch.float32 else v for k, v in tensors.items()}
    names = getattr(model, "names", ())
    checkpoint.write(path, tensors, {"name": model.name, "arguments": arguments, "names": names, "prepared": model.prepared, **header})
