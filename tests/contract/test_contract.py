"""What holds for every paper, because it is listed in the catalogue."""

from __future__ import annotations

import fnmatch
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.networks import shapes
from fixtures.training import count, job, loop, same, state
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

import paperzoo
from paperzoo import catalog
from paperzoo.engine import checkpoint, precision
from paperzoo.engine.chance import guarded
from paperzoo.engine.job import resolve
from paperzoo.engine.loop import Loop
from paperzoo.engine.weights import load_file
from paperzoo.tasks.model import Model
from paperzoo.tasks.task import Task

pytestmark = pytest.mark.processor

#: every "name/recipe" of a smoke recipe: a paper is tested by being listed in the catalogue
SMOKES = sorted(
    {
        f"{entry.name}/{recipe}"
        for paper in catalog.list_papers()
        for variant in catalog.paper(paper).variants
        for entry in [catalog.load(f"{paper}:{variant}")]
        for recipe, settings in entry.paper.recipes.items()
        if recipe.startswith("smoke") and variant in (settings.variants or [next(iter(entry.paper.variants))])
    }
)
COUNTS = [(name, variant) for name in catalog.list_papers() for variant in catalog.paper(name).parameters]
SAMPLED = [n for n in SMOKES if any(task.samples for task in catalog.load(n.partition("/")[0]).model_class.tasks)]
#: one of each paper that draws samples
DRAWN = [n for n in SAMPLED if n == f"{n.partition('/')[0].partition(':')[0]}/smoke"]
#: steps of a smoke run that are saved, each by itself: several rounds of what is periodic, critic steps and functional steps
CUTS = 12
#: after so many of them a model is asked what it answers, and after so many what its answers hang on
ANSWERED, ASKED = 3, 5
smoke = pytest.mark.parametrize("straight", SMOKES, ids=[n.replace("/", "-") for n in SMOKES], indirect=True)


@pytest.fixture(autouse=True)
def budget(request: pytest.FixtureRequest) -> Iterator[None]:
    began = time.process_time()
    yield
    if (spent := time.process_time() - began) > 10:
        print(f"\n{request.node.name} took {spent:.0f} worker-seconds, more than 10")


def exempt(model: Model, test: str, name: str) -> bool:
    paper = catalog.load(model.name).paper
    return any(e.test == test and fnmatch.fnmatch(name, e.match) for e in paper.exemptions)


@pytest.mark.parametrize(("name", "variant"), COUNTS, ids=[f"{n}:{v}" for n, v in COUNTS])
def test_parameter_count_at_the_papers_size(name: str, variant: str) -> None:
    with shapes():
        model = paperzoo.create(f"{name}:{variant}")
    assert count(model) == catalog.paper(name).parameters[variant]


class Straight:
    """A smoke run from its first step to its last, which several tests look at: it is trained once for all of them.

    It is neither measured nor drawn on its way; the run that is must end as it does.

    Attributes:
        states: everything a checkpoint holds, before the first step and after each of the first ``CUTS``.
        asked: an example for each of its tasks; answers: what it answered to them after ``ANSWERED`` steps, while it trained.
        still: parameters that have never moved.
        wrong: gradients that did not lie in memory as their parameters.
    """

    def __init__(self, smoke: str, folder: Path) -> None:
        self.name, self.recipe = smoke.split("/")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("paperzoo.engine.run.KEPT", 10**6)
            patch.setattr(Model, "preview", lambda self, folder, stem: [])
            self.loop = made = loop(job(self.name, self.recipe, checkpoint_every=1), folder)
            self.steps = made.opt.total
            trained = {n: p for n, p in made.model.named_parameters() if p.requires_grad}
            start = {n: p.detach().clone() for n, p in trained.items()}
            self.states, self.trained, self.still = [state(made)], set(trained), set(trained)
            with layouts(made) as self.wrong:
                while (step := made.opt.iteration + 1) <= self.steps:
                    made.every["checkpoint"] = int(step <= CUTS)
                    made.step()
                    self.still -= {n for n in self.still if not torch.equal(trained[n], start[n])}
                    if step <= CUTS:
                        self.states.append(state(made))
                    if step == self.steps <= CUTS:
                        made.save()
                    if step == min(ANSWERED, self.steps):
                        self.asked = examples(made)
                        with guarded(made.model):
                            self.answers = [task.answer(made.model, given) for task, given in self.asked]
        made.book.close()

    def checkpoint(self, step: int) -> Path:
        return self.loop.run.directory / "checkpoints" / f"{step:08d}.safetensors"

    def loaded(self, step: int) -> Model:
        """The model after so many steps, or its last, as the engine would evaluate it."""
        model = load_file(self.checkpoint(min(step, self.steps)))
        precision.prepare(model, self.loop.precision, self.loop.device)
        return model


@pytest.fixture(scope="module")
def straight(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Straight:
    return Straight(request.param, tmp_path_factory.mktemp("straight"))


@smoke
def test_every_tensor_moves_and_stays_finite(straight: Straight) -> None:
    model = straight.loop.model
    assert not straight.wrong, f"gradients that do not lie in memory as their parameters: {straight.wrong}"
    assert all(torch.isfinite(v).all() for v in state(straight.loop).values() if v.is_floating_point())
    never = sorted(n for n in straight.still if not exempt(model, "moves", n))
    assert not never, f"never moved: {never}"
    if straight.still:
        print(f"\n{straight.name}: excused from moving: {sorted(straight.still)}")
    if not straight.trained:  # a model that updates itself
        assert any(not torch.equal(b, 0 * b) for b in model.buffers())


@contextmanager
def layouts(made: Loop) -> Iterator[dict[str, tuple[Any, ...]]]:
    """Collects the parameters whose gradient an optimiser sees in another layout, or shared with another parameter's."""
    names = {p: n for n, p in made.model.named_parameters()}
    wrong: dict[str, tuple[Any, ...]] = {}

    def look(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        seen: dict[int, str] = {}
        for parameter in (p for group in optimizer.param_groups for p in group["params"] if p.grad is not None):
            grad, name = parameter.grad, names[parameter]
            if grad.stride() != parameter.stride():
                wrong[name] = (tuple(parameter.shape), parameter.stride(), grad.stride())
            if seen.setdefault(grad.data_ptr(), name) != name and grad.numel():
                wrong[name] = ("shared with", seen[grad.data_ptr()])

    handle = register_optimizer_step_pre_hook(look)
    try:
        yield wrong
    finally:
        handle.remove()


@smoke
def test_gradients_of_parts_and_in_half_precision_lie_as_their_parameters(straight: Straight, tmp_path: Path) -> None:
    half = "bf16" if precision.resolve("auto", torch.device("cpu")) == "bf16" else "float32"
    single = len(straight.loop.opt.optimizers) == 1 and straight.loop.recipe.batch_size != "all"
    parts = {"accumulate": 2} if single else {}
    made = loop(resolve(straight.name, straight.recipe, overrides={"precision": half, **parts}), tmp_path)
    with layouts(made) as wrong:
        for _ in range(min(2, straight.steps)):
            made.step()
    assert not wrong, f"gradients that do not lie in memory as their parameters: {wrong}"


@pytest.mark.parametrize("name", ["wgan_gp/smoke", "wgan_gp:resnet/smoke-resnet", "dcgan/smoke", "lenet/smoke", "char_rnn/smoke"])
def test_fused_and_plain_optimisers_train_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = []
    for fused in (True, False):
        if not fused:
            monkeypatch.setattr("paperzoo.engine.players._fuse", lambda optimizer: None)
        made = loop(job(*name.split("/")), tmp_path)
        for _ in range(3):
            made.step()
        ends.append(checkpoint.tensors_of(made.model))
    assert all(torch.allclose(ends[0][k], ends[1][k], atol=1e-5) for k in ends[0])


@pytest.mark.parametrize("name", ["lenet/smoke", "linear_autoencoder/smoke", "forecaster/smoke", "bert:classify/smoke-classify"])
def test_accumulated_parts_train_as_the_whole_batch(name: str, tmp_path: Path) -> None:
    ends = []
    for parts in (1, 2, 3):  # a batch of 32 in three parts: 10, 11 and 11
        made = loop(resolve(*name.split("/"), overrides={"accumulate": parts, "precision": "float32"}), tmp_path)
        for _ in range(5):
            made.step()
        ends.append(checkpoint.tensors_of(made.model))
    for end in ends[1:]:
        assert max(float((ends[0][k].double() - end[k].double()).abs().max()) for k in end if end[k].numel()) < 1e-4


def test_two_processes_are_one_for_every_paper_without_chance_or_batch_norm(tmp_path: Path) -> None:
    """Ten steps in double precision: a loss that each half averages over its own words or windows is far outside 1e-5."""
    command = [sys.executable, str(Path(__file__).parent / "two_processes.py"), str(tmp_path), *SMOKES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env={**os.environ, "OMP_NUM_THREADS": "1"})
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    apart = {line["name"]: line["apart"] for line in lines if "name" in line}
    assert lines and "excused" in lines[-1], done.stderr[-3000:]
    print("\nexcused from being the same in one process and two:", lines[-1]["excused"])
    assert {"bert/smoke", "forecaster/smoke", "char_rnn/smoke", "lenet/smoke", "vgg/smoke"} <= apart.keys()
    assert {k: v for k, v in apart.items() if v > 1e-5} == {}


@smoke
def test_resuming_at_every_step_is_bitwise_the_same(straight: Straight, tmp_path: Path) -> None:
    # One step from the checkpoint of step k must give the state of step k + 1, for every k: by induction every cut is exact.
    steps = len(straight.states) - 1
    if not straight.loop.recipe.stages and not periodic(straight.states[:7]):
        steps = min(6, steps)  # every step is like the one before: five cuts say what eleven do
    for cut in range(1, steps):
        again = loop(job(straight.name, straight.recipe), tmp_path / "again", straight.checkpoint(cut))
        assert again.opt.iteration == cut
        again.step()
        assert same(state(again), straight.states[cut + 1]), f"cut after step {cut}"
        again.book.close()


def periodic(states: list[dict[str, Tensor]]) -> bool:
    """Whether not every step changes the same tensors."""
    changed = [{k for k in b if k not in a or not torch.equal(a[k], b[k])} for a, b in pairwise(states[1:])]
    return any(one != changed[0] for one in changed)


def test_what_is_periodic_is_seen() -> None:
    every = [{"a": torch.tensor(float(i)), "b": torch.tensor(1.0)} for i in range(7)]
    fifth = [{"a": torch.tensor(float(i)), "b": torch.tensor(float(i >= 5))} for i in range(7)]
    grows = [{"a": torch.tensor(float(i)), **({"c": torch.zeros(1)} if i > 3 else {})} for i in range(7)]
    assert not periodic(every) and periodic(fifth) and periodic(grows)


@smoke
def test_same_seed_same_run_other_seed_other_run(straight: Straight, tmp_path: Path) -> None:
    steps = min(3, straight.steps)
    ends = []
    for seed, extra in ((0, {"measure_every": 2, "checkpoint_every": 2}), (1, {})):  # measured and drawn after the second step
        made = loop(resolve(straight.name, straight.recipe, seed=seed, overrides=extra), tmp_path)
        for _ in range(steps):
            made.step()
        ends.append(checkpoint.tensors_of(made.model))
        made.book.close()
    first = {name: straight.states[steps][name] for name in ends[0]}
    assert same(ends[0], first), "measuring changed the run"
    assert not same(ends[1], first)


@smoke
def test_saved_and_loaded_gives_the_same_outputs(straight: Straight) -> None:
    loaded = straight.loaded(ANSWERED)
    with guarded(loaded):
        for (task, given), answer in zip(straight.asked, straight.answers, strict=True):
            assert torch.equal(task.answer(loaded, given), answer)


@smoke
def test_no_sample_depends_on_another_and_every_input_counts(straight: Straight) -> None:
    name, model = straight.name, straight.loaded(ASKED)
    for task, given in straight.asked:
        whole = task.answer(model, given.clone().requires_grad_(given.is_floating_point()))
        if not whole.requires_grad or not given.is_floating_point():  # tokens, and trees, have no gradient
            for row in range(len(given)):
                alone = task.answer(model, given[row : row + 1])
                close = torch.allclose(whole[row].flatten()[: alone.numel()], alone.flatten(), atol=1e-5)
                assert close, f"{name}, {task.name}: item {row}"
            if not given.is_floating_point():
                assert not torch.equal(task.answer(model, given.roll(1, 0)), whole), f"{name}: what is given does not matter"
            continue
        given = given.clone().requires_grad_()
        out = task.answer(model, given)
        (gradient,) = torch.autograd.grad(out[1].square().sum(), given)
        others = [i for i in range(len(given)) if i != 1]
        assert not gradient[others].any(), f"{name}, {task.name}: sample 1 depends on another"
        (gradient,) = torch.autograd.grad(task.answer(model, given).square().sum(), given)
        dead = (gradient == 0).all(0)
        if not exempt(model, "input sensitivity", "input"):
            assert not dead.any(), f"{name}, {task.name}: {int(dead.sum())} inputs have no effect"


def examples(made: Loop) -> list[tuple[Task, Tensor]]:
    """Something to ask the model, for each of its tasks: noise, images, points, videos, series, words, sequences of different lengths."""
    batch = made.split.batch(np.arange(4))
    found = [(task, task.inputs(made.model, batch)) for task in made.model.active()]
    assert found and found[0][1] is not None
    return [(task, given) for task, given in found if given is not None]


@pytest.mark.parametrize("straight", SAMPLED, ids=[n.replace("/", "-") for n in SAMPLED], indirect=True)
def test_first_samples_do_not_depend_on_how_many_are_drawn(straight: Straight, tmp_path: Path) -> None:
    model = load_file(straight.checkpoint(min(ASKED, straight.steps)))
    task, many, few, other = model.able("samples"), model.sample(16, seed=3), model.sample(4, seed=3), model.sample(4, seed=4)
    assert task is not None and task.write(few, tmp_path / "samples")
    if not isinstance(many, Tensor):
        assert many[:4] == few != other
        return
    assert many.dtype == torch.float32 and many.device.type == "cpu"
    assert torch.allclose(many[:4], few, atol=1e-6) and not torch.equal(few, other)
    low, high = task.span or (-torch.inf, torch.inf)
    assert many.min() >= low and many.max() <= high


@pytest.mark.parametrize("straight", DRAWN, ids=[n.replace("/", "-") for n in DRAWN], indirect=True)
def test_what_samples_is_drawn_at_the_end(straight: Straight, tmp_path: Path) -> None:
    model, data = straight.loaded(ASKED), straight.loop.data
    with guarded(model):
        paths = model.show(data, "test" if "test" in data.splits else "train", tmp_path, "final")
    assert paths and all(path.parent == tmp_path and path.stat().st_size > 0 for path in paths)
