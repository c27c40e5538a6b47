"""What a training would cost on 1 to 1,000 GPUs: computed, not measured.

    python benchmarks/cluster_cost.py [--json | --markdown] [--matrices 0.35] [--convolutions 0.08] [--price 2.5] [--check]

Counted here, on one item of the paper's size: the operations of a whole training step (convolutions and matrices, forward and backward,
penalties included), and the bytes that it keeps for its backward passes. All else is an assumption, and every assumption is a line of
``ASSUMPTIONS``, which is printed with the table. ``--check`` holds the model against one step of ResNet-50 on this processor: operations
counted, over the rate at which this core multiplies matrices at the same moment, against the time that the step took.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

import paperzoo
from paperzoo.data import Batch
from paperzoo.engine.players import Players, optimizers
from paperzoo.papers.language import bert

#: by name: value, unit, and where it comes from
ASSUMPTIONS: dict[str, tuple[float, str, str]] = {
    "peak": (989.4e12, "operations/s of one GPU", "NVIDIA H100 SXM data sheet: bf16, dense (half of the printed figure with sparsity)"),
    "matrices": (0.35, "of the peak, in a transformer", "assumed; 0.3 to 0.5 is usual where matrices are large"),
    "convolutions": (0.08, "of the peak, in a network of convolutions", "assumed; normalisation and activations wait for memory"),
    "room": (80e9, "bytes of one GPU", "NVIDIA H100 SXM data sheet"),
    "inside": (450e9, "bytes/s to the GPUs of the same node, one way", "NVLink 4, same data sheet: 900 GB/s both ways"),
    "between": (50e9, "bytes/s to the GPUs of other nodes, each GPU", "one 400 Gbit/s adapter for each GPU, as in a DGX H100"),
    "node": (8, "GPUs in a node", "DGX H100"),
    "latency": (5e-6, "s for each hop of a ring", "assumed"),
    "weight": (4, "bytes of a weight, a gradient, each of an optimiser's moments", "the engine keeps all of them in float32"),
    "moments": (2, "moments a weight", "Adam; SGD with momentum has one, which is left out here"),
    "overlap": (0.0, "of communication hidden behind computation", "none: the engine averages after the backward pass"),
    "saved": (0.5, "of the bytes counted in float32", "bf16 activations"),
    "price": (2.5, "dollars for an hour of one GPU", "assumed, and it will be wrong"),
}


class Operations(TorchDispatchMode):
    """Those of convolutions and matrices, by torch's own formulas. Its FlopCounterMode hooks modules, which ``autograd.grad`` forbids."""

    total = 0

    def __torch_dispatch__(self, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        answer = function(*given, **(named or {}))
        if (formula := flop_registry.get(function._overloadpacket)) is not None:
            self.total += formula(*given, **(named or {}), out_val=answer)
        return answer


@dataclass(frozen=True)
class Work:
    """A paper's training: its items, and what one of them costs in a step. ``each``: items that a GPU has in a step."""

    name: str
    kind: str
    items: float
    each: int
    weights: int
    operations: float
    saved: float
    players: int


def counted(name: str, kind: str, items: float, each: int, step: Callable[[Any, Players], object], **arguments: object) -> Work:
    """One step of two items on the meta device, where shapes are followed and nothing is computed."""
    kept: dict[int, Tensor] = {}
    with torch.device("meta"):
        model = paperzoo.create(name, **arguments).train()
        opt = Players(optimizers(model, {}))
        opt.total = opt.stage_steps = 10**6
        own = {id(parameter) for parameter in model.parameters()}

        def keep(tensor: Tensor) -> Tensor:
            whole = tensor._base if tensor._base is not None else tensor  # views of one tensor are kept once
            if id(whole) not in own:
                kept[id(whole)] = whole
            return tensor

        with Operations() as counter, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            step(model, opt)
    weights = sum(p.numel() for group in opt.parameters.values() for p in group)
    saved = sum(tensor.nbytes for tensor in kept.values()) / 2
    return Work(name, kind, items, each, weights, counter.total / 2, saved, len(opt.optimizers))


def pretrained(model: Any, opt: Players) -> None:
    """BERT's step on two full rows of 128 pieces, of which 19 are hidden in each; what is hidden does not change its cost."""
    tokens = torch.zeros(2, 128, dtype=torch.int64)
    hidden, pooled = model.bert(tokens, tokens, torch.full((2,), 128))
    words = model.words(hidden[:, :19].flatten(0, 1), model.bert.piece.weight)
    opt.bert.minimize(words.log_softmax(1).mean(), model.next(pooled).log_softmax(1).mean())


def drawn(model: Any, opt: Players) -> None:
    """StyleGAN's step on two pictures, grown to the last level; the average of its weights is left out."""
    model.grown = lambda opt: (len(model.sides) - 1, 1.0)
    model.step(Batch(image=torch.rand(2, 3, 256, 256)), opt)


def works() -> list[Work]:
    """BERT-base (256 million rows of 128 pieces), StyleGAN at 256x256 (its last stage's 1.2 million images), ResNet-50 (154 million)."""
    bert.padding = lambda length, steps: bert.Padding((len(length), steps), None, None)  # what a full row is, without looking
    photograph = Batch(image=torch.rand(2, 3, 224, 224, device="meta"), label=torch.zeros(2, dtype=torch.int64, device="meta"))
    return [
        counted("bert:base", "matrices", 256e6, 64, pretrained),
        counted("stylegan", "convolutions", 1.2e6, 8, drawn, image_size=256, average=0.0),
        counted("resnet:resnet50", "convolutions", 153.6e6, 128, lambda model, opt: model.step(photograph, opt), classes=1000),
    ]


def estimate(work: Work, gpus: int, a: dict[str, float]) -> dict[str, float]:
    """Hours, GPU-hours, dollars and bytes on each GPU; each GPU keeps its ``each`` items, so that the batch grows with their number."""
    computing = work.operations * work.each / (a["peak"] * a[work.kind])
    rate = a["inside"] if gpus <= a["node"] else a["between"]
    share, gradient = (gpus - 1) / gpus, work.weights * a["weight"]
    ring = 2 * share * gradient / rate + 2 * (gpus - 1) * a["latency"] * (gpus > 1)  # all processes' mean of one flat tensor
    gathers = 3 * share * gradient / rate + 3 * (gpus - 1) * a["latency"] * (gpus > 1)  # weights twice, gradients once
    steps = work.items / (work.each * gpus)
    hours = steps * (computing + ring * (1 - a["overlap"])) / 3600
    activations = work.saved * a["saved"] * work.each
    plain = work.weights * a["weight"] * (3 + a["moments"])  # weight, gradient, the flat tensor that is averaged, moments
    parted = work.weights * a["weight"] * ((2 + a["moments"]) / gpus + 2)  # at most: all of the network gathered, with its gradient
    row = {
        "gpus": gpus, "batch": work.each * gpus, "steps": steps, "ms": 1000 * (computing + ring),
        "busy %": 100 * computing / (computing + ring), "hours": hours, "GPU hours": hours * gpus, "dollars": hours * gpus * a["price"],
        "GB": (plain + activations) / 1e9,
    }  # fmt: skip
    if work.players == 1 and gpus > 1:  # else it is refused
        row |= {"GB sharded": (parted + activations) / 1e9, "ms sharded": 1000 * (computing + gathers)}
    return row


#: a column of the page: its name, the row's key, and how its numbers are written
COLUMNS = (
    ("GPUs", "gpus", "{:,.0f}"), ("batch", "batch", "{:,.0f}"), ("ms a step", "ms", "{:.0f}"), ("computing", "busy %", "{:.0f} %"),
    ("hours", "hours", "{:.3g}"), ("GPU-hours", "GPU hours", "{:.3g}"), ("dollars", "dollars", "{:.3g}"), ("GB a GPU", "GB", "{:.1f}"),
    ("GB sharded", "GB sharded", "{:.1f}"), ("ms sharded", "ms sharded", "{:.0f}"),
)  # fmt: skip


def markdown(work: Work, rows: list[dict[str, float]]) -> list[str]:
    """What docs/cluster.md says of a training: the end of the sentence, and the lines of the table."""
    counted = f"{work.operations / 1e9:.0f} billion operations and {work.saved / 1e6:,.0f} MB kept an item in a step:"
    columns = [column for column in COLUMNS if column[1] in rows[-1]]
    lines = [f"{work.each} items on each GPU; {work.weights / 1e6:.1f} million weights, {counted}", ""]
    lines += ["| " + " | ".join(name for name, _, _ in columns) + " |", "| " + " | ".join("---" for _ in columns) + " |"]
    return lines + ["| " + " | ".join(form.format(row[key]) if key in row else "-" for _, key, form in columns) + " |" for row in rows]


def check() -> dict[str, float]:
    """ResNet-50's step on this processor, in seconds of one core, so that other programs count little."""
    torch.set_num_threads(1)
    image, label = torch.rand(2, 3, 224, 224), torch.zeros(2, dtype=torch.int64)
    model = paperzoo.create("resnet:resnet50", classes=1000, image_size=224).train()
    opt = Players(optimizers(model, {}))
    opt.total = opt.stage_steps = 10**6
    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)

    def seconds(work) -> float:
        work()
        times = []
        for _ in range(3):
            began = time.process_time()
            work()
            times.append(time.process_time() - began)
        return min(times)

    rate = 2 * 1024**3 / seconds(lambda: a @ b)
    with Operations() as counter:
        model.step(Batch(image=image, label=label), opt)
    took = seconds(lambda: model.step(Batch(image=image, label=label), opt))
    operations = counter.total
    ideal = operations / rate
    return {"operations": operations, "rate": rate, "seconds at that rate": ideal, "seconds": took, "utilisation": ideal / took}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", action="store_true", help="the tables of docs/cluster.md")
    parser.add_argument("--check", action="store_true", help="also one step on this processor")
    own = ("matrices", "convolutions", "price")
    for name in own:
        parser.add_argument(f"--{name}", type=float, default=ASSUMPTIONS[name][0])
    asked = parser.parse_args()
    a = {name: value for name, (value, _, _) in ASSUMPTIONS.items()} | {name: getattr(asked, name) for name in own}
    rows = {work: [estimate(work, gpus, a) for gpus in (1, 8, 64, 256, 1000)] for work in works()}
    checked = check() if asked.check else {}
    if asked.json:
        print(json.dumps({"assumptions": a, "rows": {work.name: row for work, row in rows.items()}, "check": checked}))
        return
    if asked.markdown:
        print("\n\n".join("\n".join(markdown(work, row)) for work, row in rows.items()))
        return
    print("Computed, not measured.\n")
    for name, (_, unit, source) in ASSUMPTIONS.items():
        print(f"{name}: {a[name]:,.4g} {unit} ({source})")
    for work, row in rows.items():
        print(f"\n{work.name}: {work.weights / 1e6:.1f} million weights, {work.operations / 1e9:.1f} billion operations and ", end="")
        print(f"{work.saved / 1e6:.0f} MB kept an item, {work.each} items a GPU, {work.items / 1e6:,.1f} million items")
        print(*(f"{key:>14}" for key in row[-1]), sep="")
        for one in row:
            print(*(f"{value:14,.4g}" for value in one.values()), sep="")
    if checked:
        print("\nMeasured: a step of ResNet-50 in float32, 2 images, one core of this processor")
        for key, value in checked.items():
            print(f"{key}: {value:,.4g}")


if __name__ == "__main__":
    main()
