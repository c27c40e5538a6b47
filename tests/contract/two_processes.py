"""Trains every paper without chance or batch normalisation for ten steps, in one process and in two; prints how far apart they end.

A program of its own, because it starts processes: ``python two_processes.py FOLDER NAME:RECIPE ...``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)  # so that what differs is the mathematics, and not the order of its sums
sys.path.insert(0, str(Path(__file__).parents[1]))
from lightning_fabric import Fabric  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from paperzoo import catalog  # noqa: E402
from paperzoo.data.text.sentences import Segments  # noqa: E402
from paperzoo.engine import checkpoint, logbook, processes  # noqa: E402
from paperzoo.engine import run as runs  # noqa: E402
from paperzoo.engine.chance import seed_all  # noqa: E402
from paperzoo.engine.job import Job, resolve, stages  # noqa: E402
from paperzoo.engine.loop import Loop  # noqa: E402
from paperzoo.papers.language import bert  # noqa: E402

STEPS = 10


def mask(tokens: Tensor, marks: Any, pieces: int, share: float = 0.15) -> bert.Masked:
    """BERT's masking without chance: a piece is hidden by its number and place, so that rows hide different numbers of them."""
    pad, _, first, separator, hidden = marks
    words = (tokens != pad) & (tokens != first) & (tokens != separator)
    chosen = words & ((tokens * 7 + torch.arange(tokens.shape[1])) % 5 == 0)
    chosen[:, 1] |= words[:, 1]
    return bert.Masked(torch.where(chosen, hidden, tokens), chosen)


def draw(self: Segments, indices: np.ndarray) -> Any:
    """BERT's pairs of segments without chance: by the item's number, not by its place in the batch."""
    rand = torch.rand
    torch.rand = lambda *shape, dtype: torch.tensor([np.random.default_rng(int(i)).random(3) for i in indices], dtype=dtype).T
    try:
        return drawn(self, indices)
    finally:
        torch.rand = rand


drawn, Segments.draw = Segments.draw, draw  # type: ignore[method-assign]
bert.mask = mask
logbook.board = lambda directory, step: None


def job(name: str, recipe: str) -> Job:
    legal = catalog.signature(catalog.load(name))
    quiet = {"model.dropout": 0.0} if "dropout" in legal and not isinstance(legal["dropout"].default, tuple) else {}
    return resolve(name, recipe, overrides={"precision": "float32", **quiet})


def trained(one: Fabric, folder: Path, name: str, recipe: str) -> dict[str, Tensor]:
    made = begun(one, folder / f"rank{one.global_rank}", name, recipe)
    while made.opt.iteration < min(STEPS, stages(made.recipe)[0].steps):
        made.step()
    made.everyone.unite(made.model)
    made.book.close()
    return checkpoint.tensors_of(made.model)


def begun(one: Fabric, folder: Path, name: str, recipe: str) -> Loop:
    made = Loop(one, job(name, recipe), runs.create(job(name, recipe), folder))
    made.model.double()
    made.begin(stages(made.recipe)[0], 0)
    made.every = dict.fromkeys(made.every, 0)
    step = made.model.step
    made.model.step = lambda batch, opt: step(batch.map(lambda t: t.double() if t.is_floating_point() else t), opt)  # type: ignore[method-assign]
    return made


def in_two(one: Fabric, folder: str, asked: list[str]) -> None:
    torch.set_num_threads(1)
    for each in asked:
        ends = trained(one, Path(folder), *each.rsplit("/", 1))
        if one.is_global_zero:
            torch.save(ends, Path(folder) / f"{each.replace('/', '-').replace(':', '-')}.two")
        one.barrier()


#: recipes whose steps move the weights by one item after the other, so that two processes take two at a time
SEQUENTIAL = {("lenet:1998-marquardt", "smoke-marquardt")}


def excused(one: Fabric, folder: Path, name: str, recipe: str) -> str:
    """Why this paper cannot be the same in one process and two."""
    torch.set_default_dtype(torch.float32)
    try:
        made = Loop(one, job(name, recipe), runs.create(job(name, recipe), folder))
        made.begin(stages(made.recipe)[0], 0)
    finally:
        torch.set_default_dtype(torch.float64)
    made.every = dict.fromkeys(made.every, 0)
    if any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in made.model.modules()):
        return "batch normalisation"
    if (name, recipe) in SEQUENTIAL:
        return "one item after the other"
    if made.recipe.batch_size == "all" or made.order.batch_size % 2:
        return "a batch that cannot be shared"
    for _ in range(3):
        torch.set_default_dtype(torch.float32)
        made.step()
        torch.set_default_dtype(torch.float64)
        drawn = torch.default_generator.get_state()
        seed_all(made.job.seed, made.opt.iteration - 1, 0)
        if not torch.equal(torch.default_generator.get_state(), drawn):
            return "chance in its step or its data"
    made.book.close()
    return "" if made.opt.optimizers else "no optimiser: it updates itself"


def main(folder: Path, asked: list[str]) -> None:
    one = Fabric(accelerator="cpu", devices=1)
    one.launch()
    reasons = {each: excused(one, folder / "look", *each.rsplit("/", 1)) for each in asked}
    held = [each for each, reason in reasons.items() if not reason]
    ends = {each: trained(one, folder / "one", *each.rsplit("/", 1)) for each in held}
    processes.spawn(2, in_two, str(folder), held)
    for each in held:
        other = torch.load(folder / f"{each.replace('/', '-').replace(':', '-')}.two", weights_only=True)
        apart = max(float((v.double() - other[k].double()).abs().max()) for k, v in ends[each].items() if v.numel())
        print(json.dumps({"name": each, "apart": apart}), flush=True)
    print(json.dumps({"excused": {k: v for k, v in reasons.items() if v}}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
