"""The seam between a paper and the engine: what ``opt`` is in ``Model.step``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from paperzoo.errors import PaperzooError, unknown
from paperzoo.tasks.model import Schedule


class Player:
    """One optimiser, as ``opt.<name>``."""

    def __init__(self, players: Players, name: str) -> None:
        self.players, self.name = players, name

    def minimize(self, loss: Tensor) -> None:
        """Moves this optimiser's parameters, and no others, against the gradient of ``loss``."""
        self.players.minimize(**{self.name: loss})


class Players:
    """All optimisers of a model; see ``tasks.model.Players`` for what a paper may rely on.

    Args:
        mean: averages a tensor over processes in place and returns it; ``None`` for one process.
        accumulate: parts whose gradients are added up before a step; only for a single optimiser.
    """

    def __init__(
        self,
        optimizers: Mapping[str, Optimizer],
        schedules: Mapping[str, Schedule],
        clip: float | Mapping[str, float] | None = None,
        accumulate: int = 1,
        mean: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        for name in schedules:
            if name not in optimizers:
                raise unknown("optimizer", name, optimizers, "named by schedules")
        if isinstance(clip, Mapping):
            for name in clip:
                if name not in optimizers:
                    raise unknown("optimizer", name, optimizers, "named by clip")
        if accumulate > 1 and len(optimizers) != 1:
            raise PaperzooError(f"accumulate={accumulate} needs a model with one optimiser; this one has {len(optimizers)}")
        self.optimizers, self.schedules, self._mean, self.accumulate = dict(optimizers), schedules, mean, accumulate
        self.clip = dict.fromkeys(optimizers, clip) if not isinstance(clip, Mapping) else dict(clip)
        self.parameters = {
            n: [p for g in o.param_groups for p in g["params"] if p.requires_grad] for n, o in optimizers.items()
        }
        self.base = {n: [g["lr"] for g in o.param_groups] for n, o in optimizers.items()}
        self.iteration = self.total = self.start = self.stage_steps = 0
        self.losses: list[tuple[int, str, Tensor]] = []  # since the last time they were taken
        self._parts: list[list[Tensor | None]] = []
        for name, optimizer in optimizers.items():
            setattr(self, name, Player(self, name))
            _fuse(optimizer)

    def __getattr__(self, name: str) -> Any:  # only reached for a name that is no optimiser
        raise AttributeError(f"no optimizer {name!r}; this model has {', '.join(self.__dict__.get('optimizers', {}))}")

    def mean(self, value: Tensor) -> Tensor:
        """The mean over processes of a detached copy."""
        value = value.detach().clone()
        return self._mean(value) if self._mean else value

    def minimize(self, **losses: Tensor) -> None:
        """All gradients first, then all steps; each loss moves the parameters of the optimiser of its name, no others."""
        gradients: dict[str, list[Tensor | None]] = {}
        for index, (name, loss) in enumerate(losses.items()):
            if name not in self.optimizers:
                raise AttributeError(f"no optimizer {name!r}; this model has {', '.join(self.optimizers)}")
            keep = index < len(losses) - 1  # later losses may need the same graph
            gradients[name] = list(torch.autograd.grad(loss, self.parameters[name], retain_graph=keep, allow_unused=True))
            self.losses.append((self.iteration, name, loss.detach()))
        for name, found in gradients.items():
            if (summed := self._accumulated(found)) is not None:
                self._update(name, summed)

    def _accumulated(self, gradients: list[Tensor | None]) -> list[Tensor | None] | None:
        if self.accumulate == 1:
            return gradients
        self._parts.append(gradients)
        if len(self._parts) < self.accumulate:
            return None
        parts, self._parts = self._parts, []
        columns = ([g for g in column if g is not None] for column in zip(*parts, strict=True))
        return [torch.stack(c).sum(0) / self.accumulate if c else None for c in columns]

    def _update(self, name: str, gradients: list[Tensor | None]) -> None:
        optimizer, reached = self.optimizers[name], [g for g in gradients if g is not None]
        if self._mean and reached:  # one flat tensor over the wire, not one message a parameter
            flat = self._mean(torch.cat([g.reshape(-1) for g in reached]))
            for gradient, part in zip(reached, torch.split(flat, [g.numel() for g in reached]), strict=True):
                gradient.copy_(part.view_as(gradient))
        for parameter, gradient_or_none in zip(self.parameters[name], gradients, strict=True):
            parameter.grad = gradient_or_none
        if (limit := self.clip.get(name)) is not None:
            nn.utils.clip_grad_norm_(self.parameters[name], limit)
        if name in self.schedules:
            factor = self.schedules[name](self.iteration - self.start, self.stage_steps)
            for group, base in zip(optimizer.param_groups, self.base[name], strict=True):
                group["lr"] = base * factor
        optimizer.step()
        for parameter in self.parameters[name]:
            parameter.grad = None


def _fuse(optimizer: Optimizer) -> None:
    """One kernel for all parameters where torch has it, instead of one loop turn a parameter.

    Momentum begins at 0, which gives the step that SGD itself begins with; the fused kernel cannot add it later for a parameter
    that gets its first gradient after others.
    """
    if isinstance(optimizer, torch.optim.Adam | torch.optim.AdamW | torch.optim.SGD):
        for group in optimizer.param_groups:
            if all(p.is_floating_point() and p.device.type in ("cpu", "cuda", "mps") for p in group["params"]):
                group["fused"], group["foreach"] = True, False
                if group.get("momentum") and not group.get("dampening"):
                    for parameter in group["params"]:
                        optimizer.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))
