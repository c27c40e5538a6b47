"""What several test files share."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from paperzoo.engine import checkpoint, logbook, run
from paperzoo.engine.job import Job, resolve, stages
from paperzoo.engine.loop import Loop


def fabric() -> Fabric:
    one = Fabric(accelerator="cpu", devices=1)
    one.launch()
    return one


def loop(job: Job, folder: Path, saved: Path | None = None) -> Loop:
    """A loop in a fresh directory, holding ``saved`` as its only checkpoint."""
    logbook.board = lambda directory, step: None
    new = run.create(job, folder)
    if saved:
        shutil.copy(saved, new.directory / "checkpoints" / saved.name)
    made = Loop(fabric(), job, new)
    done = 0
    for stage in stages(job.recipe):
        if made.opt.iteration < done + stage.steps or not job.recipe.stages:
            made.begin(stage, done)
            break
        made.begin(stage, done)
        done += stage.steps
    return made


def state(made: Loop) -> dict[str, Tensor]:
    """Everything a checkpoint holds."""
    tensors, _ = checkpoint.optimizer_state(made.model, made.opt.optimizers)
    return {**checkpoint.tensors_of(made.model), **tensors}


def job(name: str, recipe: str, **overrides: Any) -> Job:
    return resolve(name, recipe, overrides=overrides)


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
