"""A run's directory and its files.

``run.json`` (what is trained, with which code, on what), ``metrics.jsonl`` (one line a log), ``checkpoints/``, ``figures/``,
TensorBoard events, and ``result.json`` when it is done.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from paperzoo.data.dataset import Dataset
from paperzoo.data.datasets import parse
from paperzoo.data.fetch.fingerprint import LISTED, difference, digest, fingerprint
from paperzoo.engine.job import Job, from_json, to_json, unchanged
from paperzoo.engine.machine import provenance
from paperzoo.engine.weights import newest_model
from paperzoo.errors import PaperzooError
from paperzoo.files import nearest_run
from paperzoo.tasks.model import Model

#: checkpoints kept in a run
KEPT = 3
_PAIR = re.compile(r"\[\s+(-?[\d.e+-]+),\s+(-?[\d.e+-]+)\s+\]")  # in JSON with an indent


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
        """What ``run.json`` says."""
        return read_json(self.directory / "run.json")

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
            if digest(now) != known["digest"]:
                change = difference(read_json(listing), now) if listing.exists() else f"{len(now)} files, then {known['files']}"
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
    folder = Path(directory).expanduser()
    if not (folder / "run.json").is_file():
        raise PaperzooError(f"{folder} is no run: it has no run.json{nearest_run(folder / folder.name)}")
    done = folder / "result.json"
    metrics = read_json(done).get("metrics") if done.exists() else {}
    if not isinstance(metrics, dict) or not all(isinstance(v, int | float) for v in metrics.values()):
        raise PaperzooError(f"{done} is damaged: it has no metrics")
    return Run(folder, metrics)


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
        Path(out).expanduser().mkdir(parents=True, exist_ok=True)
        out = Path(out).expanduser()
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
    """Holds the run against other processes that would write it; the lock dies with this one.

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
        yield
    finally:
        held.release()


def job_of(run: Run) -> Job:
    """The job that the run was made for.

    Raises:
        PaperzooError: its ``run.json`` lacks a part, or has one of another type.
    """
    try:
        return from_json(run.info)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PaperzooError(f"{run.directory / 'run.json'} is damaged: {type(error).__name__}: {error}") from error


def tidy(directory: Path) -> None:
    """Removes all but the newest checkpoints."""
    for path in sorted((directory / "checkpoints").glob("*.safetensors"))[:-KEPT]:
        path.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        PaperzooError: it is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise PaperzooError(f"{path} is damaged: {error}") from error
    except OSError as error:
        raise PaperzooError(f"{path} cannot be read: {error.strerror or error}") from error
    if not isinstance(content, dict):
        raise PaperzooError(f"{path} is damaged: it holds no JSON object")
    return content


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes JSON under a temporary name and renames it; pairs of numbers, such as a curve's points, on one line each."""
    scratch = path.with_name(f".{path.name}.part")
    scratch.write_text(_PAIR.sub(r"[\1, \2]", json.dumps(value, indent=1)), encoding="utf-8")
    os.replace(scratch, path)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a JSON-lines file with a step and seconds; a line cut short by a kill, or damaged, ends it."""
    lines = []
    for text in path.read_bytes().split(b"\n") if path.exists() else []:
        try:
            line = json.loads(text)
            if not isinstance(line["step"], int) or not isinstance(line["seconds"], int | float):
                break
        except (ValueError, TypeError, KeyError, RecursionError):
            break
        lines.append(line)
    return lines


def cut_back(path: Path, step: int) -> None:
    """Drops the lines of a JSON-lines file that lie after ``step``."""
    kept = [json.dumps(line) for line in read_lines(path) if line["step"] <= step]
    scratch = path.with_name(f".{path.name}.part")
    scratch.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
    os.replace(scratch, path)
