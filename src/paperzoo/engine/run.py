"""A run's directory and its files.

``run.json`` (what is trained, with which code, on what), ``metrics.jsonl`` (one line a log), ``checkpoints/``, ``figures/``,
TensorBoard events, and ``result.json`` when it is done.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from paperzoo.data.dataset import Dataset
from paperzoo.data.datasets import parse
from paperzoo.data.fetch.fingerprint import LISTED, difference, digest, fingerprint
from paperzoo.engine.job import Job, from_json, to_json, unchanged
from paperzoo.engine.machine import provenance
from paperzoo.engine.weights import newest_model
from paperzoo.errors import PaperzooError
from paperzoo.files import is_folder, nearest_run, ordinary, path_of
from paperzoo.records import record
from paperzoo.saved import checkpoints
from paperzoo.tasks.model import Model

#: checkpoints kept in a run
KEPT = 3
#: what is logged in a line of ``metrics.jsonl``, by name
_LOGGED = ("loss", "measured")
_PAIR = re.compile(r"\[\s+(-?[\d.e+-]+),\s+(-?[\d.e+-]+)\s+\]")  # in JSON with an indent


@dataclass(frozen=True)
class _Beside:
    """What ``run.json`` holds beside the job. The later parts came with later versions."""

    paper: str
    variant: str
    recipe_hash: str
    code_hash: str
    commit: str
    versions: Mapping[str, str]
    hardware: str
    method_hash: str = ""
    protocol_hash: str = ""
    command: str = ""
    classes: tuple[str, ...] = ()
    data_files: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class _Result:
    """What ``result.json`` holds; the later parts came with later versions."""

    metrics: Mapping[str, float]
    steps: int
    seconds: float
    seed: int = 0
    precision: Literal["", "bf16", "float32"] = ""


@dataclass
class Run:
    """A trained (or interrupted) run.

    Attributes:
        directory: where everything lies.
        metrics: the last measurement by name; empty if the run has not finished.
    """

    directory: Path
    metrics: dict[str, float] = field(default_factory=dict)

    @cached_property
    def model(self) -> Model:
        """The model of the newest good checkpoint, in eval mode on the CPU."""
        return newest_model(self.directory)

    @property
    def info(self) -> dict[str, Any]:
        """What ``run.json`` says.

        Raises:
            PaperzooError: it lacks a part, or has one of another type.
        """
        path = self.directory / "run.json"
        info = read_json(path)
        try:
            from_json(info)
            _known(_Beside, info)
        except PaperzooError as error:
            raise PaperzooError(f"{path} is damaged: {error}") from error
        return info

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``."""
        return read_lines(self.directory / "metrics.jsonl")

    @property
    def figures(self) -> list[Path]:
        """Pictures, in order of name."""
        return sorted(p for p in (self.directory / "figures").glob("*") if p.suffix in (".png", ".gif"))

    def changes(self, data: Dataset) -> tuple[str, ...]:
        """How the data and the code differ from those that the run began with, in words."""
        info, notes = self.info, []
        known, path = info.get("data_files"), parse(data.name).path
        if known and path is not None:
            now, listing = fingerprint(path), self.directory / "data.json"
            if digest(now) != known.get("digest"):
                change = difference(read_json(listing), now) if listing.exists() else f"{len(now)} files, then {known.get('files')}"
                notes.append(f"the data in {path} are no longer those that this run began with: {change}")
        if not unchanged(info, job_of(self)):
            notes.append(f"the code of {info['name']} is no longer that which this run began with")
        return tuple(notes)

    def _repr_html_(self) -> str:
        from paperzoo.engine.glance import html

        return html(str(self.info["name"]), self.directory, self.metrics, self.lines, self.figures)


def open_run(directory: str | Path) -> Run:
    """The run in a directory.

    Raises:
        PaperzooError: it is no run's directory.
    """
    folder = path_of(directory)
    if not is_folder(folder) or not (folder / "run.json").is_file():
        raise PaperzooError(f"{folder} is no run: it has no run.json{nearest_run(folder / folder.name)}")
    done = folder / "result.json"
    if not done.exists():
        return Run(folder)
    try:
        result: _Result = _known(_Result, read_json(done))
    except PaperzooError as error:
        raise error if str(done) in str(error) else PaperzooError(f"{done} is damaged: {error}") from error
    return Run(folder, dict(result.metrics))


def _known(kind: Any, plain: Mapping[str, Any]) -> Any:
    """The parts of a file that are ours, checked; others are left to whoever added them."""
    names = {part.name for part in dataclasses.fields(kind)}
    return record(kind, {name: value for name, value in plain.items() if name in names}, "it")


def create(job: Job, out: str | Path, names: tuple[str, ...] = ()) -> Run:
    """A new directory below ``out`` with its ``run.json`` and, of the user's own data, ``data.json``: the files and their hashes.

    It is made under a hidden name and renamed when it is whole, so that a kill leaves nothing that looks like a run.

    Args:
        names: of the data's classes.

    Raises:
        PaperzooError: the folder cannot be written to.
    """
    named = parse(job.recipe.data)
    data = re.sub(r"[^\w@.,=-]+", "-", named.short).strip("._-")[:40]
    paper = re.sub(r"[^\w@.,=-]+", "-", job.entry.name)[:80]
    stem = f"{paper}-{job.recipe_name}-{data}-s{job.seed}"
    info = {**to_json(job), **provenance(), "classes": list(names)}
    files = fingerprint(own) if (own := named.path) else {}
    if files:
        info["data_files"] = {"path": str(own), "files": len(files), "digest": digest(files)}
    scratch = None
    try:
        out = path_of(out)
        out.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".making-", dir=out))
        scratch.chmod(0o777 & ~_umask())
        for part in ("checkpoints", "figures"):
            (scratch / part).mkdir()
        if 0 < len(files) <= LISTED:
            write_json(scratch / "data.json", files)
        write_json(scratch / "run.json", info)
        for number in range(1, 10_000):
            folder = out / (stem if number == 1 else f"{stem}-{number}")
            try:
                if not folder.exists():
                    scratch.rename(folder)
                    return Run(folder)
            except OSError:
                if not folder.exists():
                    raise
        raise PaperzooError(f"{out} holds 10,000 runs called {stem}: choose another folder by --out")
    except OSError as error:
        raise PaperzooError(f"cannot write runs to {out}: {error.strerror or error}") from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def locked(run: Run) -> Iterator[None]:
    """Holds the run against other processes that would write it; the lock dies with this one. What one that was killed has left half
    written is removed.

    Raises:
        PaperzooError: another process is writing it, or nothing can be written there.
    """
    import filelock

    held = filelock.FileLock(run.directory / ".lock")
    try:
        held.acquire(blocking=False)
    except filelock.Timeout as error:
        raise PaperzooError(f"{run.directory} is being written by another process: wait until it is done, or stop it") from error
    except OSError as error:
        raise PaperzooError(f"cannot write to {run.directory}: {error.strerror or error}") from error
    try:
        for folder in (run.directory, run.directory / "checkpoints", run.directory / "figures"):
            for part in folder.glob(".*.part"):
                with suppress(OSError):
                    part.unlink()
        yield
    finally:
        held.release()


def job_of(run: Run) -> Job:
    """The job that the run was made for.

    Raises:
        PaperzooError: its ``run.json`` lacks a part, or has one of another type.
    """
    return from_json(run.info)


def tidy(directory: Path) -> None:
    """Removes all but the newest checkpoints."""
    for path in checkpoints(directory)[:-KEPT]:
        path.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        PaperzooError: it is damaged.
    """
    try:
        content = json.loads(ordinary(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise PaperzooError(f"{path} is damaged: {error}") from error
    except OSError as error:
        raise PaperzooError(f"{path} cannot be read: {error.strerror or error}") from error
    if not isinstance(content, dict):
        raise PaperzooError(f"{path} is damaged: it holds no JSON object")
    return content


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes JSON under a temporary name and renames it; pairs of numbers, such as a curve's points, on one line each."""
    _replace(path, _PAIR.sub(r"[\1, \2]", json.dumps(value, indent=1)))


def _replace(path: Path, text: str) -> None:
    """Writes under a temporary name and renames it; what cannot be written leaves nothing."""
    scratch = path.with_name(f".{path.name}.part")
    try:
        scratch.write_text(text, encoding="utf-8")
        os.replace(scratch, path)
    except OSError:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a JSON-lines file with a step and seconds; a line cut short by a kill, or damaged, ends it."""
    lines = []
    for text in path.read_bytes().split(b"\n") if path.is_file() else []:
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            break
        if not isinstance(line, dict) or not _whole(line):
            break
        lines.append(line)
    return lines


def _whole(line: Mapping[str, Any]) -> bool:
    """Whether a line says when it was written, and whatever it has logged are numbers by name."""
    step, seconds = line.get("step"), line.get("seconds")
    logged = [line.get(group, {}) for group in _LOGGED]
    first = line.get("first", [])
    return (
        _number(step) and isinstance(step, int) and step >= 0 and _number(seconds)
        and all(isinstance(group, dict) and all(map(_number, group.values())) for group in logged)
        and isinstance(first, list) and all(isinstance(row, list) and len(row) == 3 for row in first)
    )  # fmt: skip


def _number(value: Any) -> bool:
    return isinstance(value, float) or (type(value) is int and abs(value) < 2**53)


def cut_back(path: Path, step: int) -> None:
    """Drops the lines of a JSON-lines file that lie after ``step``."""
    kept = [json.dumps(line) for line in read_lines(path) if line["step"] <= step]
    _replace(path, "".join(f"{line}\n" for line in kept))
