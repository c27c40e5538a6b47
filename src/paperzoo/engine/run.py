"""A run's directory, and what was found in it.

``run.json`` (what is trained, with which code, on what), ``metrics.jsonl`` (one line a log), ``checkpoints/``, ``figures/``,
TensorBoard events, and ``result.json`` when it is done.
"""

from __future__ import annotations

import base64
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from paperzoo.data.datasets import OWN
from paperzoo.engine import checkpoint, precision
from paperzoo.engine.job import Job, from_json, to_json
from paperzoo.engine.weights import load_file
from paperzoo.errors import PaperzooError
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
        return load_file(newest(self.directory)[0])

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

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{k}</td><td>{v:.4g}</td></tr>" for k, v in self.metrics.items())
        final = [p for p in self.figures if p.name.startswith("final")]
        pictures = "".join(f'<img src="data:image/png;base64,{base64.b64encode(p.read_bytes()).decode()}">' for p in final)
        return f"<p><b>{self.info['name']}</b>, {self.directory}</p><table>{rows}</table>{pictures}"


def open_run(directory: str | Path) -> Run:
    """The run in a directory.

    Raises:
        PaperzooError: it is no run's directory.
    """
    folder = Path(directory)
    if not (folder / "run.json").is_file():
        raise PaperzooError(f"{folder} is no run: it has no run.json")
    done = folder / "result.json"
    return Run(folder, read_json(done)["metrics"] if done.exists() else {})


def create(job: Job, out: str | Path) -> Run:
    """A new directory below ``out``, with its ``run.json``.

    Raises:
        PaperzooError: the folder cannot be written to.
    """
    kind, colon, place = job.recipe.data.partition(":")
    if colon and kind in OWN:  # the user's own: the file's name says enough
        place = Path(place.partition("#")[0]).name
    data = re.sub(r"[^\w@.,=-]+", "-", f"{kind}{colon}{place}").strip("._-")[:40]
    stem = f"{job.entry.name.replace(':', '-')}-{job.recipe_name}-{data}-s{job.seed}"
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
        for number in range(1, 10_000):
            folder = Path(out) / (stem if number == 1 else f"{stem}-{number}")
            try:
                folder.mkdir()
                break
            except FileExistsError:
                continue
        for part in ("checkpoints", "figures"):
            (folder / part).mkdir()
        write_json(folder / "run.json", {**to_json(job), **provenance()})
    except OSError as error:
        raise PaperzooError(f"cannot write runs to {out}: {error.strerror or error}") from error
    return Run(folder)


def job_of(run: Run) -> Job:
    """The job that the run was made for."""
    return from_json(run.info)


def newest(directory: Path) -> tuple[Path, str]:
    """The newest good checkpoint and a note on those that were passed over.

    Raises:
        PaperzooError: there is none that can be read.
    """
    notes: list[str] = []
    for path in sorted((directory / "checkpoints").glob("*.safetensors"), reverse=True):
        try:
            checkpoint.read(path)
            return path, " ".join(notes)
        except PaperzooError as error:
            notes.append(f"{error}; using the one before.")
    raise PaperzooError(" ".join([f"{directory} has no checkpoint that can be read.", *notes]))


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
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise PaperzooError(f"{path} is damaged: {error}") from error


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes JSON under a temporary name and renames it; pairs of numbers, such as a curve's points, on one line each."""
    scratch = path.with_name(f".{path.name}.part")
    scratch.write_text(_PAIR.sub(r"[\1, \2]", json.dumps(value, indent=1)), encoding="utf-8")
    os.replace(scratch, path)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a JSON-lines file; a last line cut short by a kill is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return found


def cut_back(path: Path, step: int) -> None:
    """Drops the lines of a JSON-lines file that lie after ``step``."""
    kept = [json.dumps(line) for line in read_lines(path) if line["step"] <= step]
    scratch = path.with_name(f".{path.name}.part")
    scratch.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
    os.replace(scratch, path)


def provenance() -> dict[str, Any]:
    """Commit, versions and hardware."""
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return {"commit": commit(), "versions": versions(), "hardware": hardware(), "command": command}


def commit() -> str:
    """The checkout's commit, with ``+`` if source files differ from it; empty outside a checkout."""
    here = Path(__file__).parent
    try:
        top = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=10, check=True)
        dirty = subprocess.run(
            ["git", "status", "--porcelain", "--", "."], cwd=here.parent, capture_output=True, text=True, timeout=10
        )
        return top.stdout.strip()[:12] + ("+" if dirty.stdout.strip() else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def versions() -> dict[str, str]:
    """Versions of what a result may depend on."""
    found = {"python": platform.python_version()}
    for name in ("paperzoo", "torch", "numpy", "lightning", "numba"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def hardware() -> str:
    """Processor or accelerator, in words."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    name = str(torch.cpu.get_capabilities().get("cpu_name", "")) or platform.processor() or platform.machine()
    bf16 = " with bf16" if precision.resolve("auto", torch.device("cpu")) == "bf16" else ""
    return f"{torch.get_num_threads()} of {os.cpu_count()} cores, {name}{bf16}"
