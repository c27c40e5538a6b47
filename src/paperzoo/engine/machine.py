"""What a run is made with: the checkout's commit, versions, processor or accelerator."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from paperzoo.engine import precision


def device() -> torch.device:
    """The accelerator that there is, else the processor."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def provenance() -> dict[str, Any]:
    """Commit, versions and hardware."""
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return {"commit": commit(), "versions": dict(versions()), "hardware": hardware(), "command": command}


def commit() -> str:
    """The checkout's commit, with ``+`` if source files differ from it; empty where this is no checkout of this project."""
    return _commit(Path(__file__).resolve().parents[3])  # of src/paperzoo/engine/machine.py


@cache
def _commit(here: Path) -> str:
    """Looked up once a process: what runs is what was there when it began."""
    if not (here / "src" / "paperzoo" / "engine" / "run.py").is_file() or not (here / ".git").exists():
        return ""  # installed, maybe within somebody else's repository
    try:
        top = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=10, check=True)
        dirty = subprocess.run(["git", "status", "--porcelain", "--", "src"], cwd=here, capture_output=True, text=True, timeout=10)
        return top.stdout.strip()[:12] + ("+" if dirty.stdout.strip() else "")
    except (OSError, subprocess.SubprocessError):
        return ""


@cache
def versions() -> dict[str, str]:
    """Versions of what a result may depend on."""
    installed = {"python": platform.python_version()}
    for name in ("paperzoo", "torch", "numpy", "lightning-fabric", "numba"):
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed


def hardware() -> str:
    """Processor or accelerator, in words."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    name = str(torch.cpu.get_capabilities().get("cpu_name", "")) or platform.processor() or platform.machine()
    bf16 = " with bf16" if precision.resolve("auto", torch.device("cpu")) == "bf16" else ""
    return f"{torch.get_num_threads()} of {os.cpu_count()} cores, {name}{bf16}"
