"""The training loop: next batch, ``model.step``, log, maybe measure, maybe checkpoint."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import torch

from paperzoo.data import Order
from paperzoo.data.augment import augmented
from paperzoo.engine import checkpoint, precision
from paperzoo.engine.chance import guarded, seed_all
from paperzoo.engine.interrupt import signals
from paperzoo.engine.job import Job, stages
from paperzoo.engine.judge import judge
from paperzoo.engine.logbook import Logbook, heading
from paperzoo.engine.players import Players, players
from paperzoo.engine.processes import Everyone
from paperzoo.engine.run import Run, tidy, write_json
from paperzoo.engine.sharding import Whole
from paperzoo.engine.start import Start
from paperzoo.errors import Interrupted, PaperzooError
from paperzoo.records import Stage

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def fit(fabric: Fabric, job: Job, run: Run, start: Start | None = None, sharded: bool = False) -> dict[str, float]:
    """Trains the job in the run's directory, from its newest good checkpoint if there is one, and measures the result.

    Raises:
        PaperzooError: a loss is not finite, or nothing can be written; what was saved is kept.
        Interrupted: Ctrl-C or SIGTERM; everything up to this step is saved.
    """
    try:
        loop = Loop(fabric, job, run, start, sharded)
        with closing(loop.book), loop.book.reporter, signals(loop):
            done = 0
            for stage in stages(job.recipe):
                loop.begin(stage, done)
                done += stage.steps
                while loop.opt.iteration < done:
                    loop.step()
            loop.save()
            metrics = loop.measure("test" if "test" in loop.data.splits else "train", final=True)
            if fabric.is_global_zero:
                result = {"metrics": metrics, "steps": loop.opt.total, "seconds": round(loop.seconds, 2), "seed": job.seed}
                write_json(run.directory / "result.json", {**result, "precision": loop.precision})
    except OSError as error:
        where = error.filename or run.directory
        kept = f"what was saved is kept: paperzoo resume {run.directory}"
        raise PaperzooError(f"cannot go on: {where}: {error.strerror or error}; {kept}") from error
    return metrics


class Loop:
    """The state of a training between two steps."""

    def __init__(self, fabric: Fabric, job: Job, run: Run, start: Start | None = None, sharded: bool = False) -> None:
        self.fabric, self.job, self.run, self.recipe = fabric, job, run, job.recipe
        self.rank, self.world, self.device, begun = fabric.global_rank, fabric.world_size, fabric.device, start or Start.of(job, run)
        self.data, self.model, self.recall = begun.data, begun.model, begun.recall
        self.model.prepared = self.data.schema.prepared()
        self.precision = precision.resolve(self.recipe.precision, self.device)
        self.whole = Whole(self.model, self.device, fabric.is_global_zero, sharded)
        self.whole.prepare(self.precision, self.recipe.compile)
        self.everyone = Everyone(self.world, self.device)
        self.seconds, self.stop, total = begun.seconds, False, self.recipe.steps
        self.opt = Players({})
        self.opt.iteration = begun.iteration
        self.every = {
            "log": job.options.get("log_every") or max(1, min(50, total // 100)),
            "checkpoint": job.options.get("checkpoint_every") or max(1, total // 8),
            "measure": job.options.get("measure_every", 0),
        }
        self.book = Logbook(run.directory, job.entry.name, begun.iteration, total, self.everyone, fabric.is_global_zero)
        self.book.say((heading(job, self.data, self.model, f"{self.precision} on {self.device}", run.directory), *job.notes, *begun.notes))

    def begin(self, stage: Stage, start: int) -> None:
        """Enters a stage: its data, and optimisers made anew (with their state, if the checkpoint lies within it)."""
        recipe, iteration = self.recipe, self.opt.iteration
        if stage.name:
            self.model.stage(stage.name)  # what a stage changes is seen by those after it
        if iteration > start + stage.steps or (iteration == start + stage.steps and iteration < recipe.steps):
            return
        data = self.job.dataset(stage.data) if stage.data else self.data
        self.split = self.model.reading(data).joined(recipe.train_on).to(self.device)
        size = stage.batch_size or recipe.batch_size
        self.order = Order(self.split.lengths, size, recipe.order, self.job.seed)
        if len(self.split) < self.order.batch_size:
            few = f"{data.name} has {len(self.split)} items to train on, fewer than a batch of {self.order.batch_size}"
            self.book.say([f"{few}: a step sees some of them more than once"])
        if self.order.batch_size % self.world:
            raise PaperzooError(f"batch_size {self.order.batch_size} cannot be shared by {self.world} processes")
        self.opt = players(self.model, recipe, stage, self.everyone.mean if self.world > 1 else None, self.whole.sharded)
        self.opt.iteration, self.opt.total, self.opt.start, self.opt.stage_steps = iteration, recipe.steps, start, stage.steps
        if self.recall and start < iteration:
            checkpoint.restore_optimizers(self.model, self.opt.optimizers, self.recall[0], self.recall[1]["optimizers"])
        self.recall = None
        self.model.train()

    def step(self) -> None:
        """One step, and what is due after it."""
        began, opt, parts = time.perf_counter(), self.opt, self.recipe.accumulate
        indices = self.order.batch(opt.iteration)[self.rank :: self.world]
        seed_all(self.job.seed, opt.iteration, self.rank)
        batch = self.split.batch(indices).to(self.device)
        for name in self.recipe.augment:
            batch = augmented(batch, name, paired=len(self.order.lengths) == 1)
        for part in batch.cut(parts) if parts > 1 else [batch]:
            opt.share = len(part) * parts / len(batch)
            self.book.note(opt.iteration, self.model.step(part, opt))
        opt.iteration += 1
        last = opt.iteration == opt.total
        due = {k: bool(n) and (opt.iteration % n == 0 or last) for k, n in self.every.items()}
        if due["log"] and self.device.type == "cuda":
            torch.cuda.synchronize(self.device)  # otherwise only the queueing of the work would be timed
        self.seconds += time.perf_counter() - began
        if any(due.values()) or (self.stop and self.world == 1):
            self.book.log(opt, self.seconds)
            if self.everyone.any(self.stop):
                self.save()
                raise Interrupted(f"stopped after step {opt.iteration}; all is saved. Go on with: paperzoo resume {self.run.directory}")
        if due["checkpoint"] and not last:
            self.save()
        if due["measure"] and not last:
            held = [s for s in ("validation", "test") if s in self.data.splits and s not in self.recipe.train_on.split("+")]
            self.measure(held[0] if held else "train")

    def measure(self, split: str, final: bool = False) -> dict[str, float]:
        """The task's metrics on one split, on the first process, with chance and modes as they were afterwards."""
        self.everyone.unite(self.model)
        metrics: dict[str, float] = {}
        with self.whole() as model:
            if model is not None:
                scorer = judge(self.recipe.judge) if self.recipe.judge else None
                with guarded(model):
                    metrics = {k: float(v) for k, v in model.measure(self.data, split, scorer).items()}
                    if final:
                        model.show(self.data, split, self.run.directory / "figures", "final")
                self.book.write(self.opt.iteration, self.seconds, {"measured": {f"{k} ({split})": v for k, v in metrics.items()}})
                if final:
                    metrics |= model.history(self.book.measured())
                else:
                    self.book.say(["  ".join(f"{k} {v:.4g}" for k, v in metrics.items()) + f"  ({split})"])
        self.fabric.barrier()
        return metrics

    def save(self) -> None:
        """Writes a checkpoint and the task's cheap pictures. The losses up to here are found finite first."""
        self.everyone.unite(self.model)
        if self.opt.losses:
            self.book.log(self.opt, self.seconds)
        with self.whole() as model:
            tensors, rest = checkpoint.optimizer_state(self.model, self.opt.optimizers, model is not None)
            if model is None:
                return
            header = {
                "name": self.job.name, "arguments": model.arguments, "iteration": self.opt.iteration, "seconds": self.seconds,
                "optimizers": rest, "names": self.data.schema.names, "prepared": model.prepared,
            }  # fmt: skip
            path = self.run.directory / "checkpoints" / f"{self.opt.iteration:08d}.safetensors"
            checkpoint.write(path, {**checkpoint.tensors_of(model), **tensors}, header)
            tidy(self.run.directory)
            if self.opt.iteration < self.opt.total:
                with guarded(model):
                    model.preview(self.run.directory / "figures", f"{self.opt.iteration:08d}")
