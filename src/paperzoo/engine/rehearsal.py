"""What can be refused before a run's directory is made: sizes, splits, networks, optimisers and augmentations that cannot be."""

from __future__ import annotations

import math
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from paperzoo.data import Dataset
from paperzoo.data.augment import IMAGES, augmented
from paperzoo.data.datasets import check_name
from paperzoo.engine.chance import seed_all
from paperzoo.engine.job import Job, stages
from paperzoo.engine.players import Players, optimizers
from paperzoo.errors import PaperzooError, unknown
from paperzoo.ranges import shown
from paperzoo.tasks.model import Model

#: tensors and networks in a model; the largest of the collection have a few thousand
MOST_PARTS = 100_000


def rehearse(job: Job, data: Dataset) -> Model:
    """Draws and augments one item, builds the model and its optimisers, and returns the model with its fresh weights.

    Raises:
        PaperzooError: something that the recipe or its overrides ask for cannot be had.
    """
    recipe, room = job.recipe, available()
    parts = recipe.train_on.split("+")
    for name in parts:
        data[name]
    _one_item(job, data, parts[0], room)
    if any(key.startswith("model.") for key in job.overrides):
        _weigh(job, data, room)
    model = _built(job, data)
    tried = _built(job, data) if recipe.stages else model  # stages change a model
    networks = [name for name, _ in model.named_modules() if name]
    for name in recipe.compile:
        if name not in networks:
            raise unknown("network to compile", name, [n for n, _ in model.named_children()], f"of {job.entry.name}")
    for stage in stages(recipe):
        if stage.name:
            tried.stage(stage.name)
        if stage.data:
            check_name(stage.data)
        _optimizers(job, tried, {**recipe.optimizer, **stage.optimizer}, stage.steps)
    return model


def _one_item(job: Job, data: Dataset, split: str, room: int) -> None:
    if not len(data[split]):
        return
    recipe, batch = job.recipe, data[split].batch([0])
    if recipe.batch_size != "all":
        item = 8 + sum(value.nbytes for value in vars(batch).values() if isinstance(value, Tensor))
        if recipe.batch_size * item > room:
            much = f"{_bytes(recipe.batch_size * item)}, where {_bytes(room)} are free"
            raise PaperzooError(f"a batch of {shown(recipe.batch_size)} items of {data.name} takes {much}: set a smaller batch_size")
    if recipe.augment and not vars(batch).keys() & set(IMAGES):
        has = ", ".join(data.schema.fields)
        raise PaperzooError(f"augment={','.join(recipe.augment)} is for images, but {data.name} has {has}")
    with torch.random.fork_rng(devices=[]):
        for name in recipe.augment:
            try:
                batch = augmented(batch, name, paired=len(data[split].lengths) == 1)
            except (RuntimeError, ValueError, IndexError) as error:
                raise PaperzooError(f"augment={name} does not fit the images of {data.name}: {_line(error)}") from error


def _weigh(job: Job, data: Dataset, room: int) -> None:
    """Builds the model on the meta device, without memory for its tensors, and refuses it once their sizes add up to too much."""
    seen = number = 0

    def count(_: Any, name: str, part: Any) -> None:
        nonlocal seen, number
        number += 1
        seen += part.numel() * part.element_size() if isinstance(part, Tensor) else 0
        if 2 * seen > room:  # each weight has a gradient
            raise PaperzooError(f"{_set(job)} makes a model of {_bytes(seen)} and more, where {_bytes(room)} are free")
        if number > MOST_PARTS:
            raise PaperzooError(f"{_set(job)} makes a model of more than {MOST_PARTS:,} parts")

    hooks = [
        register(count)
        for register in (
            register_module_parameter_registration_hook,
            register_module_buffer_registration_hook,
            register_module_module_registration_hook,
        )
    ]
    try:
        with warnings.catch_warnings(), torch.device("meta"):
            warnings.simplefilter("ignore")
            job.build(data)
    except (MemoryError, OverflowError) as error:
        raise PaperzooError(f"{_set(job)} makes a model that is too large: {_line(error)}") from error
    except RuntimeError as error:
        if "overflow" in str(error) or "storage" in str(error).lower():
            raise PaperzooError(f"{_set(job)} makes a model that is too large: {_line(error)}") from error
    except PaperzooError:
        raise
    except Exception:  # a constructor that looks at its numbers cannot be built without them: _built says what is wrong
        pass
    finally:
        for hook in hooks:
            hook.remove()


def _built(job: Job, data: Dataset) -> Model:
    seed_all(job.seed, -1, 0)  # the same weights on every process
    try:
        return job.build(data)
    except PaperzooError:
        raise
    except Exception as error:
        if any(key.startswith("model.") for key in job.overrides):
            raise PaperzooError(f"{_set(job)} makes no model: {type(error).__name__}: {_line(error)}") from error
        raise


def _optimizers(job: Job, model: Model, arguments: dict[str, Any], steps: int) -> None:
    recipe, keys = job.recipe, [key for key in job.overrides if key.startswith("optimizer.")]
    try:
        opt = Players(optimizers(model, arguments), recipe.clip, recipe.accumulate)
        factors = [float(schedule(at, steps)) for schedule in opt.schedules.values() for at in (0, steps // 2, max(0, steps - 1))]
    except PaperzooError:
        raise
    except Exception as error:
        if keys:
            settings = ", ".join(f"{key}={shown(job.overrides[key])}" for key in keys)
            raise PaperzooError(f"{settings} makes no optimiser of {job.entry.name}: {_line(error)}") from error
        raise
    if keys and not all(map(math.isfinite, factors)):
        raise PaperzooError(f"{', '.join(keys)} of {job.entry.name}: the learning rate would not be finite")


def available() -> int:
    """Bytes of memory that this process may still take."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        room = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        known = hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names
        room = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if known else 2**40
    if sys.platform != "win32":
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            room = min(room, limit)
    return room


def _set(job: Job) -> str:
    return ", ".join(f"{key}={shown(value)}" for key, value in job.overrides.items() if key.startswith("model."))


def _bytes(number: int) -> str:
    return f"{number / 2**30:,.1f} GiB"


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
