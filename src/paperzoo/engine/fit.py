"""The training loop: next batch, ``model.step``, log, maybe measure, maybe checkpoint."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning.fabric import Fabric
from torch import Tensor, nn

from paperzoo import catalog
from paperzoo.data import Order
from paperzoo.data.augment import AUGMENTATIONS
from paperzoo.engine import checkpoint, precision
from paperzoo.engine.job import Job, stages
from paperzoo.engine.judge import judge
from paperzoo.engine.players import Players
from paperzoo.engine.progress import Reporter
from paperzoo.engine.run import Run, cut_back, newest, tidy, write_json
from paperzoo.engine.weights import load_into
from paperzoo.errors import Interrupted, PaperzooError
from paperzoo.records import Stage
from paperzoo.tasks.model import Model


def fit(fabric: Fabric, job: Job, run: Run) -> dict[str, float]:
    """Trains the job in the run's directory, from its newest good checkpoint if there is one, and measures the result.

    Raises:
        PaperzooError: a loss is not finite, or nothing can be written; what was saved is kept.
        Interrupted: Ctrl-C or SIGTERM; everything up to this step is saved.
    """
    loop = Loop(fabric, job, run)
    with closing(loop), loop.reporter, _signals(loop):
        done = 0
        for stage in stages(job.recipe):
            loop.begin(stage, done)
            done += stage.steps
            while loop.opt.iteration < done:
                loop.step()
        loop.save()
        metrics = loop.measure("test" if "test" in loop.data.splits else "train", final=True)
    if fabric.is_global_zero:
        seconds = round(loop.seconds, 2)
        write_json(
            run.directory / "result.json",
            {"metrics": metrics, "steps": loop.opt.total, "seconds": seconds, "seed": job.seed, "precision": loop.precision},
        )
    return metrics


class Loop:
    """The state of a training between two steps."""

    def __init__(self, fabric: Fabric, job: Job, run: Run) -> None:
        self.fabric, self.job, self.run, self.recipe = fabric, job, run, job.recipe
        self.rank, self.world, self.device = fabric.global_rank, fabric.world_size, fabric.device
        self.data = job.dataset()
        self.recall = self._recall()
        seed_all(job.seed, -1, 0)  # the same weights on every process
        recalled = catalog.build(job.entry, self.recall[1]["arguments"]) if self.recall else None
        self.model: Model = recalled or job.build(self.data)
        if self.recall:
            load_into(self.model, self.recall[0], run.directory)
        elif job.init:
            from paperzoo.engine.train import load

            load_into(self.model, load(job.init).state_dict(), Path(job.init))
        self.precision = precision.resolve(self.recipe.precision, self.device)
        precision.prepare(self.model, self.precision, self.device, self.recipe.compile)
        self.divided = [(b, b.clone()) for name, b in self.model.named_buffers() if name in self.model.divided]
        state: Mapping[str, Any] = self.recall[1] if self.recall else {"iteration": 0, "seconds": 0.0}
        self.seconds, self.stop = float(state["seconds"]), False
        self.opt = Players({}, {})
        self.opt.iteration = int(state["iteration"])
        if fabric.is_global_zero:
            cut_back(run.directory / "metrics.jsonl", self.opt.iteration)
        total = self.recipe.steps
        self.every = {
            "log": job.options.get("log_every") or max(1, min(50, total // 100)),
            "checkpoint": job.options.get("checkpoint_every") or max(1, total // 8),
            "measure": job.options.get("measure_every", 0),
        }
        self.reporter = Reporter(job.entry.name, total, self.opt.iteration, quiet=not fabric.is_global_zero)
        for note in (*job.notes, *([self.recall[2]] if self.recall and self.recall[2] else [])):
            self.reporter.say(note)
        self.logs: dict[str, list[Tensor]] = {}
        self.log_file = (run.directory / "metrics.jsonl").open("a", encoding="utf-8") if fabric.is_global_zero else None
        self.board = _board(run.directory, self.opt.iteration) if fabric.is_global_zero else None

    def _recall(self) -> tuple[dict[str, Tensor], dict[str, Any], str] | None:
        if not any((self.run.directory / "checkpoints").glob("*.safetensors")):
            return None
        path, note = newest(self.run.directory)
        return (*checkpoint.read(path), note)

    def begin(self, stage: Stage, start: int) -> None:
        """Enters a stage: its data, and optimisers made anew (with their state, if the checkpoint lies within it)."""
        recipe, iteration = self.recipe, self.opt.iteration
        if iteration > start + stage.steps or (iteration == start + stage.steps and iteration < recipe.steps):
            if stage.name:
                self.model.stage(stage.name)  # what the stage changes is seen by those after it
            return
        if stage.name:
            self.model.stage(stage.name)
        data = self.job.dataset(stage.data) if stage.data else self.data
        self.split = data.joined(recipe.train_on).to(self.device)
        size = stage.batch_size or recipe.batch_size
        self.order = Order(len(self.split), size, recipe.order, self.job.seed)
        if len(self.split) < self.order.batch_size:
            few = f"{data.name} has {len(self.split)} items to train on, fewer than a batch of {self.order.batch_size}"
            self.reporter.say(f"{few}: a step sees some of them more than once")
        if self.order.batch_size % self.world:
            raise PaperzooError(f"batch_size {self.order.batch_size} cannot be shared by {self.world} processes")
        arguments = {**recipe.optimizer, **stage.optimizer}
        optimizers = self.model.optimizers(**arguments)
        mean = self._mean if self.world > 1 else None
        self.opt = Players(optimizers, self.model.schedules(**arguments), recipe.clip, recipe.accumulate, mean)
        self.opt.iteration, self.opt.total, self.opt.start, self.opt.stage_steps = (
            iteration,
            recipe.steps,
            start,
            stage.steps,
        )
        if self.recall and start < iteration:
            checkpoint.restore_optimizers(self.model, optimizers, self.recall[0], self.recall[1]["optimizers"])
        self.recall = None
        self.model.train()

    def step(self) -> None:
        """One step, and what is due after it."""
        began, opt = time.perf_counter(), self.opt
        indices = self.order.batch(opt.iteration)[self.rank :: self.world]
        seed_all(self.job.seed, opt.iteration, self.rank)
        batch = self.split.batch(indices).to(self.device)
        for name in self.recipe.augment:
            batch.image = AUGMENTATIONS[name](batch.image)
        for part in batch.cut(self.recipe.accumulate) if self.recipe.accumulate > 1 else [batch]:
            self._note(self.model.step(part, opt))
        opt.iteration += 1
        at, last = opt.iteration, opt.iteration == opt.total
        due = {k: bool(n) and (at % n == 0 or last) for k, n in self.every.items()}
        if due["log"] and self.device.type == "cuda":
            torch.cuda.synchronize(self.device)  # or the time would be that of asking for the work
        self.seconds += time.perf_counter() - began
        if due["log"] or due["checkpoint"] or due["measure"] or (self.stop and self.world == 1):
            self.log()
        if self.stop and self.world == 1:
            self._leave()
        if due["checkpoint"] and not last:
            self.save()
        if due["measure"] and not last:
            held = [s for s in ("validation", "test") if s in self.data.splits and s not in self.recipe.train_on.split("+")]
            self.measure(held[0] if held else "train")

    def _note(self, extra: Mapping[str, Tensor | float] | None) -> None:
        for name, value in (extra or {}).items():
            self.logs.setdefault(name, []).append(torch.as_tensor(value).detach())

    def log(self) -> None:
        """Writes the means since the last log; stops the run if a loss was not finite.

        Raises:
            PaperzooError: naming the loss and its first step.
        """
        means: dict[str, Tensor] = {}
        taken, self.opt.losses = self.opt.losses, []
        if taken:
            values = torch.stack([loss.float() for _, _, loss in taken])
            finite = values.isfinite()
            if self._any(not bool(finite.all())):
                bad = next(((i, n) for (i, n, _), good in zip(taken, finite.tolist(), strict=True) if not good), None)
                step, name = bad or (self.opt.iteration - 1, "another process's loss")
                raise PaperzooError(
                    f"the loss {name!r} is not finite at step {step}; {self._kept()} A lower learning rate "
                    f"(--set optimizer.lr=...), clipping (--set clip=1) or --set precision=float32 may help"
                )
            for name in dict.fromkeys(n for _, n, _ in taken):
                means[name] = values[[n == name for _, n, _ in taken]].mean()
        for name, extras in self.logs.items():
            means[name] = torch.stack([e.float() for e in extras]).mean()
        self.logs = {}
        if self.world > 1 and self._any(self.stop):
            self._leave()
        shown = {k: float(self._mean(v) if self.world > 1 else v) for k, v in means.items()}
        self._write({"loss": shown})
        self.reporter.update(self.opt.iteration, shown)

    def _write(self, values: Mapping[str, Mapping[str, float]]) -> None:
        if self.log_file is None:
            return
        line = {"step": self.opt.iteration, "seconds": round(self.seconds, 3), **values}
        self.log_file.write(json.dumps(line) + "\n")
        self.log_file.flush()
        for group, items in values.items():
            for name, value in items.items():
                if self.board is not None:
                    self.board.add_scalar(f"{group}/{name}", value, self.opt.iteration)

    def measure(self, split: str, final: bool = False) -> dict[str, float]:
        """The task's metrics on one split, on the first process, with chance and modes as they were afterwards."""
        self._unite()
        metrics: dict[str, float] = {}
        if self.fabric.is_global_zero:
            scorer = judge(self.recipe.judge) if self.recipe.judge else None
            with guarded(self.model):
                metrics = {k: float(v) for k, v in self.model.measure(self.data, split, scorer).items()}
                if final:
                    self.model.show(self.data, split, self.run.directory / "figures", "final")
            self._write({"measured": {f"{k} ({split})": v for k, v in metrics.items()}})
            if final:
                metrics |= self.model.history(self._measured())
            self.reporter.say("  ".join(f"{k} {v:.4g}" for k, v in metrics.items()) + f"  ({split})")
        self.fabric.barrier()
        return metrics

    def _measured(self) -> list[dict[str, float]]:
        lines = (self.run.directory / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [line["measured"] for line in map(json.loads, lines) if "measured" in line]
        return [{name.rpartition(" (")[0]: value for name, value in row.items()} for row in rows]  # without the split

    def save(self) -> None:
        """Writes a checkpoint and the task's cheap pictures. The losses up to here were found finite."""
        self._unite()
        if not self.fabric.is_global_zero:
            return
        if self.opt.losses:
            self.log()
        tensors, rest = checkpoint.optimizer_state(self.model, self.opt.optimizers)
        header = {
            "name": self.job.name, "arguments": self.model.arguments, "iteration": self.opt.iteration, "seconds": self.seconds,
            "optimizers": rest, "names": self.data.schema.names,
        }  # fmt: skip
        path = self.run.directory / "checkpoints" / f"{self.opt.iteration:08d}.safetensors"
        checkpoint.write(path, {**checkpoint.tensors_of(self.model), **tensors}, header)
        tidy(self.run.directory)
        if self.opt.iteration < self.opt.total:
            with guarded(self.model):
                self.model.preview(self.run.directory / "figures", f"{self.opt.iteration:08d}")

    def close(self) -> None:
        """Closes what the logs are written to."""
        for opened in (self.log_file, self.board):
            if opened is not None:
                opened.close()

    def _leave(self) -> None:
        self.save()
        raise Interrupted(
            f"stopped after step {self.opt.iteration}; all is saved. Go on with: paperzoo resume {self.run.directory}"
        )

    def _kept(self) -> str:
        saved = sorted((self.run.directory / "checkpoints").glob("*.safetensors"))
        return f"the checkpoint of step {int(saved[-1].stem)} is kept." if saved else "no checkpoint had been written yet."

    def _mean(self, tensor: Tensor) -> Tensor:
        dist.all_reduce(tensor)
        return tensor.div_(self.world)

    def _any(self, flag: bool) -> bool:
        if self.world == 1:
            return flag
        return bool(self._mean(torch.tensor(float(flag), device=self.device)) > 0)

    def _unite(self) -> None:
        """What differs between processes is made the same before it is measured and saved: batch-norm statistics become their mean,
        and of ``divided`` buffers everyone gets the entries that one has changed."""
        if self.world == 1:
            return
        for module in self.model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
                self._mean(module.running_mean)
                assert module.running_var is not None
                self._mean(module.running_var)
        for buffer, before in self.divided:
            changed = buffer != before
            count, total = changed.double(), torch.where(changed, buffer, 0).double()
            dist.all_reduce(count)
            dist.all_reduce(total)
            buffer.copy_(torch.where(count > 0, total / count.clamp(min=1), before))
            before.copy_(buffer)


def seed_all(seed: int, iteration: int, rank: int) -> None:
    """Makes chance a function of (seed, iteration, rank); a splitmix of the three, so that neighbours share nothing."""
    mixed = 0
    for part in (seed, iteration + 1, rank):
        mixed = (mixed + part + 0x9E3779B97F4A7C15) % 2**64
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % 2**64
    torch.default_generator.manual_seed(mixed >> 1)
    if torch.cuda.is_available():
        torch.cuda.manual_seed(mixed >> 1)


@contextmanager
def guarded(model: nn.Module) -> Iterator[None]:
    """Eval mode without gradients; afterwards modes and torch's generator are as before."""
    modes = {module: module.training for module in model.modules()}
    with torch.random.fork_rng(), torch.no_grad():
        model.eval()
        yield
    for module, training in modes.items():
        module.training = training


@contextmanager
def _signals(loop: Loop) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM lets the step end and be saved; a second Ctrl-C ends at once."""

    def ask(number: int, frame: Any) -> None:
        if loop.stop:
            raise KeyboardInterrupt
        loop.stop = True

    try:
        before = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: the caller keeps its own handlers
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _board(directory: Path, step: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(directory), purge_step=step + 1)
