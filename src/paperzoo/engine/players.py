"""The seam between a paper and the engine: what ``opt`` is in ``Model.step``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from paperzoo import catalog, ranges
from paperzoo.engine.parts import is_parted
from paperzoo.errors import PaperzooError, unknown
from paperzoo.nn.schedules import Schedule
from paperzoo.records import Recipe, Stage
from paperzoo.tasks.model import Loss, Model, Optimizers

#: one a parameter; ``None`` for those that a loss does not reach
Gradients = list[Tensor | None]


class Player:
    """One optimiser, as ``opt.<name>``."""

    def __init__(self, players: Players, name: str) -> None:
        self.players, self.name = players, name

    def minimize(self, *losses: Loss) -> None:
        """Moves this optimiser's parameters, and no others, against the gradient of the sum of ``losses``."""
        self.players._minimize({self.name: losses})


class Players:
    """All optimisers of a model; see ``tasks.model.Players`` for what a paper may rely on.

    Args:
        optimizers: by name, each with a schedule or without.
        mean: averages a tensor over processes in place and returns it; ``None`` for one process.
        accumulate: parts whose gradients are added up before a step; only for a single optimiser.
        sharded: whether the parameters are parted among processes (``engine.sharding``); only for a single optimiser.
    """

    def __init__(
        self,
        optimizers: Optimizers,
        clip: float | Mapping[str, float] | None = None,
        accumulate: int = 1,
        mean: Callable[[Tensor], Tensor] | None = None,
        sharded: bool = False,
    ) -> None:
        if isinstance(clip, Mapping):
            for name in clip:
                if name not in optimizers:
                    raise unknown("optimizer", name, optimizers, "named by clip")
        if accumulate > 1 and len(optimizers) != 1:
            raise PaperzooError(f"accumulate={accumulate} needs a model with one optimiser; this one has {len(optimizers)}")
        self.optimizers, self.schedules = parted(optimizers)
        self._mean, self.accumulate, self.sharded = mean, accumulate, sharded
        self.clip = dict.fromkeys(optimizers, clip) if not isinstance(clip, Mapping) else dict(clip)
        self.parameters = {
            n: [p for g in o.param_groups for p in g["params"] if p.requires_grad] for n, o in self.optimizers.items()
        }
        if sharded and not all(is_parted(p) for p in chain.from_iterable(self.parameters.values())):
            raise PaperzooError("a weight that is trained lies outside the networks, where --sharded cannot gather it: leave it out")
        self.base = {n: [g["lr"] for g in o.param_groups] for n, o in self.optimizers.items()}
        self.iteration = self.total = self.start = self.stage_steps = 0
        self.losses: list[tuple[int, str, Tensor]] = []  # since the last time they were taken
        self.share = 1.0  # items of the present part over those of an average part
        self._parts: list[list[_Term]] = []
        for name, optimizer in self.optimizers.items():
            setattr(self, name, Player(self, name))
            _fuse(optimizer)

    def __getattr__(self, name: str) -> Any:  # only reached for a name that is no optimiser
        raise AttributeError(f"no optimizer {name!r}; this model has {', '.join(self.__dict__.get('optimizers', {}))}")

    def mean(self, value: Tensor) -> Tensor:
        """The mean over processes of a detached copy."""
        value = value.detach().clone()
        return self._mean(value) if self._mean else value

    def minimize(self, **losses: Loss) -> None:
        """All gradients first, then all steps; each loss moves the parameters of the optimiser of its name, no others."""
        self._minimize({name: (loss,) for name, loss in losses.items()})

    def _minimize(self, losses: Mapping[str, Sequence[Loss]]) -> None:
        gradients: dict[str, Gradients] = {}
        for index, (name, terms) in enumerate(losses.items()):
            if name not in self.optimizers:
                raise AttributeError(f"no optimizer {name!r}; this model has {', '.join(self.optimizers)}")
            keep = index < len(losses) - 1  # later losses may need the same graph
            if self.sharded:
                loss = _added(self._weighed(term) for term in terms)
                self._backward(name, loss)
            elif self.accumulate == 1:
                loss = _added(self._weighed(term) for term in terms)
                gradients[name] = _gradient(loss, self.parameters[name], keep)
            else:
                loss = _added(_value(term) for term in terms)
                self._parts.append([self._term(term, self.parameters[name], i < len(terms) - 1) for i, term in enumerate(terms)])
            self.losses.append((self.iteration, name, loss.detach()))
        if self.accumulate > 1:
            if len(self._parts) < self.accumulate:
                return
            parts, self._parts = self._parts, []
            gradients = {name: _accumulated(parts) for name in losses}  # one optimiser
        for name, gradient in gradients.items():
            self._update(name, gradient)

    def _backward(self, name: str, loss: Tensor) -> None:
        """A step on parted parameters: their hooks, which average over processes, run in a plain backward pass only."""
        for parameter in self.parameters[name]:
            parameter.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        self._step(name)

    def _weighed(self, term: Loss) -> Tensor:
        """The term such that its mean over processes is the mean over all items that count."""
        if self._mean is None or not isinstance(term, tuple):
            return _value(term)
        count = torch.as_tensor(term[1], dtype=torch.float32, device=term[0].device)
        everyones = self.mean(count).clamp(min=1e-12)
        return torch.where(count > 0, term[0] * count / everyones, 0 * count)  # the mean over nothing is not a number

    def _term(self, term: Loss, parameters: list[nn.Parameter], keep: bool) -> _Term:
        count = torch.as_tensor(term[1] if isinstance(term, tuple) else self.share, dtype=torch.float32, device=_value(term).device)
        total = torch.where(count > 0, _value(term) * count, 0 * count)
        return _Term(_gradient(total, parameters, keep), self.mean(count))

    def _update(self, name: str, gradients: Gradients) -> None:
        parameters = self.parameters[name]
        reached = [g for g in gradients if g is not None]
        if self._mean and reached:  # one flat tensor over the wire, not one message a parameter
            flat = self._mean(torch.cat([g.reshape(-1) for g in reached]))
            pieces = iter(torch.split(flat, [g.numel() for g in reached]))
            gradients = [None if g is None else next(pieces).view(g.shape) for g in gradients]
        taken: set[int] = set()
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = None if gradient is None else _laid_out(gradient, parameter, taken)
        self._step(name)

    def _step(self, name: str) -> None:
        """Clips the gradients, sets the rate, and steps."""
        optimizer, parameters = self.optimizers[name], self.parameters[name]
        if (limit := self.clip.get(name)) is not None:
            nn.utils.clip_grad_norm_(parameters, limit)
        if name in self.schedules:
            factor = self.schedules[name](self.iteration - self.start, self.stage_steps)
            for group, base in zip(optimizer.param_groups, self.base[name], strict=True):
                group["lr"] = base * factor
        optimizer.step()
        for parameter in parameters:
            parameter.grad = None


class _Term(NamedTuple):
    """One term of one part's loss: the gradient of its sum, and how much it is the sum of."""

    gradients: Gradients
    items: Tensor


def _value(term: Loss) -> Tensor:
    return term[0] if isinstance(term, tuple) else term


def _added(losses: Iterable[Tensor]) -> Tensor:
    first, *others = losses
    for other in others:
        first = first + other
    return first


def _gradient(loss: Tensor, parameters: list[nn.Parameter], keep: bool) -> Gradients:
    return list(torch.autograd.grad(loss, parameters, retain_graph=keep, allow_unused=True))


def _accumulated(parts: list[list[_Term]]) -> Gradients:
    """The gradient of the whole batch: of each term the sums over the parts, divided by their counts."""
    whole: Gradients = [None] * len(parts[0][0].gradients)
    for terms in zip(*parts, strict=True):
        count = torch.stack([term.items for term in terms]).sum()
        for index, column in enumerate(zip(*(term.gradients for term in terms), strict=True)):
            if reached := [g for g in column if g is not None]:
                mean = torch.stack(reached).sum(0) / count.clamp(min=1e-12)
                known = whole[index]
                whole[index] = mean if known is None else known + mean
    return whole


def _laid_out(gradient: Tensor, parameter: Tensor, taken: set[int]) -> Tensor:
    """The gradient in memory as its parameter lies, and no other parameter's gradient.

    torch's fused optimisers read both as flat memory: a gradient of other strides (a double backward gives such) would be applied
    to the wrong weights. Autograd gives one tensor to two parameters that are added up, which clipping would scale twice.
    """
    if gradient.stride() == parameter.stride() and gradient.data_ptr() not in taken:
        taken.add(gradient.data_ptr())
        return gradient
    return torch.empty_like(parameter, dtype=gradient.dtype).copy_(gradient)


def players(
    model: Model, recipe: Recipe, stage: Stage, mean: Callable[[Tensor], Tensor] | None = None, sharded: bool = False
) -> Players:
    """The optimisers of one stage of a recipe, made anew.

    Raises:
        PaperzooError: ``clip`` names an optimiser that the model has not, or it has several and ``accumulate`` is set.
    """
    return Players(optimizers(model, {**recipe.optimizer, **stage.optimizer}), recipe.clip, recipe.accumulate, mean, sharded)


def optimizers(model: Model, arguments: Mapping[str, Any]) -> Optimizers:
    """What the model's ``optimizers`` returns.

    Raises:
        PaperzooError: an argument of a wrong type or out of range, or the model has a method ``schedules``, which is not called.
    """
    if callable(getattr(type(model), "schedules", None)):
        raise PaperzooError(
            f"the method schedules of {model.name or type(model).__name__} is not called: let optimizers return "
            "{name: (optimizer, schedule)}"
        )
    legal = catalog.keywords(type(model).optimizers)
    takes_more = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(model.optimizers).parameters.values())
    if legal and not takes_more and (strange := sorted(arguments.keys() - legal.keys())):
        raise unknown("override", f"optimizer.{strange[0]}", [f"optimizer.{name}" for name in legal], f"of {model.name}")
    for name in legal.keys() & arguments.keys():
        ranges.check(f"optimizer.{name}", arguments[name], legal[name])
    return model.optimizers(**arguments)


def parted(made: Optimizers) -> tuple[dict[str, Optimizer], dict[str, Schedule]]:
    """The optimisers, and the schedules of those that have one.

    Raises:
        PaperzooError: something else than an optimiser, or an optimiser and a function.
    """
    optimizers: dict[str, Optimizer] = {}
    schedules: dict[str, Schedule] = {}
    for name, entry in made.items():
        match entry:
            case Optimizer():
                optimizers[name] = entry
            case (Optimizer() as optimizer, schedule) if callable(schedule):
                optimizers[name], schedules[name] = optimizer, schedule
            case _:
                raise PaperzooError(f"optimizers must return an optimiser or (optimizer, schedule) for {name}, not {type(entry).__name__}")
    return optimizers, schedules


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
