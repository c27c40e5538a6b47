"""``--sharded``: weights, gradients and optimiser state of a network lie in parts on all processes, by torch's FSDP2.

Every network of the model (its child modules) is gathered for its forward pass and until its gradient is known; the parts of it that the
model's file names in ``SHARDED``, such as layers, are gathered one at a time. A checkpoint is whole, and is read like any other.

Gradients come from a plain ``backward()``: ``torch.autograd.grad`` gives ``None`` for a sharded parameter, and ``backward(inputs=...)``
a gradient that was not averaged. A loss must then reach no parameters but those of its optimiser, so there is one optimiser for all.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, NAdam, RAdam, RMSprop

from paperzoo.engine import precision
from paperzoo.engine.job import Job, stages
from paperzoo.engine.parts import tensors_of
from paperzoo.engine.players import optimizers, parted
from paperzoo.errors import PaperzooError
from paperzoo.tasks.model import Model

#: optimisers that change each weight by its own gradient alone, so that a part of a tensor can be stepped without the rest
ELEMENTWISE = (SGD, Adam, AdamW, NAdam, RAdam, RMSprop, Adagrad)


def check(job: Job, model: Model, world: int) -> None:
    """Whether such a training can be sharded; called before a run's directory is made.

    Raises:
        PaperzooError: one process, several optimisers or none, or something else that would be wrong without a word; it is named.
    """
    recipe, name = job.recipe, job.entry.name
    if world == 1:
        raise PaperzooError("--sharded shares a network among several processes: give --devices 2 or more, or start it by torchrun")
    made, _ = parted(optimizers(model, {**recipe.optimizer, **stages(recipe)[0].optimizer}))
    if len(made) != 1:
        has = f"has {len(made)} optimisers ({', '.join(made)})" if made else "updates itself, without an optimiser"
        raise PaperzooError(f"{name} {has}: --sharded is for models of one optimiser; leave it out")
    (optimizer,) = made.values()
    if not isinstance(optimizer, ELEMENTWISE):
        kinds = ", ".join(kind.__name__ for kind in ELEMENTWISE)
        raise PaperzooError(f"{name} is trained by {type(optimizer).__name__}: --sharded is for {kinds}")
    if own := [n for n, _ in model.named_parameters(recurse=False)]:
        raise PaperzooError(f"{name} has weights outside its networks ({', '.join(own)}), which --sharded cannot gather: leave it out")
    if recipe.stages and type(model).stage is not Model.stage:
        raise PaperzooError(f"{name} changes with the stages of its recipe, which --sharded cannot follow: leave it out")
    for key, value in (("accumulate", recipe.accumulate > 1), ("compile", recipe.compile)):
        if value:
            raise PaperzooError(f"{key} and --sharded exclude each other: leave out one of them")


def shard(model: Model, device: torch.device) -> None:
    """Leaves a part of each parameter on this process. All processes call it, with the same weights."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    layers = layers_of(model)
    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    names: dict[nn.Module, str] = {module: name for name, module in model.named_modules()}
    for network in model.children():
        for part in network.modules():
            if part is not network and any(_matches(names[part], pattern) for pattern in layers):
                fully_shard(part, mesh=mesh)
        if any(True for _ in network.parameters()):
            fully_shard(network, mesh=mesh)


def layers_of(model: Model) -> tuple[str, ...]:
    """Names, with ``*``, of the parts of which only ``forward`` is called: ``SHARDED`` of the file that defines the class, or its base.

    It is no attribute of the class, which is the method, and that stays the same.
    """
    files = (sys.modules[kind.__module__] for kind in type(model).__mro__)
    return next((tuple(file.SHARDED) for file in files if hasattr(file, "SHARDED")), ())


def _matches(name: str, pattern: str) -> bool:
    """``a.*.c`` is ``a.0.c``, and not ``a.0.b.c``: a ``*`` stands for one name."""
    return name.count(".") == pattern.count(".") and all(map(fnmatchcase, name.split("."), pattern.split(".")))


class Whole:
    """The model whole, to be measured, drawn and saved by the first process: itself; of a sharded one a twin, which only that process has.

    Args:
        sharded: whether to make the twin, and to leave but a part of ``model``.
    """

    def __init__(self, model: Model, device: torch.device, first: bool, sharded: bool) -> None:
        self.model, self.device, self.first, self.sharded = model, device, first, sharded
        self.twin = copy.deepcopy(model) if sharded and first else model
        if sharded:
            shard(model, device)

    def prepare(self, how: Literal["bf16", "float32"], compiled: Iterable[str]) -> None:
        """See ``engine.precision.prepare``: of that which is trained, and of the twin if there is one."""
        for model in dict.fromkeys((self.model, self.twin)):
            precision.prepare(model, how, self.device, compiled)

    @contextmanager
    def __call__(self) -> Iterator[Model | None]:
        """Entered by all processes; ``None`` on those that are not the first."""
        if self.sharded:
            tensors = tensors_of(self.model, keep=self.first)
            if self.first:
                self.twin.load_state_dict(tensors)
                self.twin.to(self.device)
        yield self.twin if self.first else None
        if self.sharded and self.first:
            self.twin.to("cpu")  # while it trains, the first process has no more room on its device than the others


@contextmanager
def understood(name: str) -> Iterator[None]:
    """Work on a sharded model.

    Raises:
        PaperzooError: it took a weight that is not gathered, as where a network is reached into, not called.
    """
    try:
        yield
    except RuntimeError as error:
        if "DTensor" not in str(error):
            raise
        raise PaperzooError(f"{name} takes weights from a network without calling it, which --sharded cannot do: leave it out") from error
