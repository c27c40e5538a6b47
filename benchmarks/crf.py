"""The chain of bilstm_crf against pytorch-crf: loss with gradient, and Viterbi, interleaved in one process.

    python benchmarks/crf.py [--json] [--repeats 30] [--threads 1] [--device cpu]

A ratio of 3 means that ours takes a third of the time. That both give the same losses, gradients and paths is checked first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torchcrf import CRF

from paperzoo.nn.letters import inside
from paperzoo.papers.language import bilstm_crf_chain as crf

#: batch, longest sentence, tags
SHAPES = ((7, 35, 9), (32, 20, 21), (32, 40, 21), (100, 40, 9), (128, 60, 45), (1, 25, 21))


def case(batch: int, steps: int, tags: int, device: str) -> dict[str, Callable[[], object]]:
    """The four timed calls on one random ragged batch."""
    torch.manual_seed(0)
    theirs = CRF(tags, batch_first=True).to(device)
    emissions = torch.randn(batch, steps, tags, device=device, requires_grad=True)
    gold = torch.randint(tags, (batch, steps), device=device)
    length = torch.randint(max(1, steps // 4), steps + 1, (batch,), device=device)
    length[0] = steps
    mask = inside(length, steps)
    chain = crf.Chain(theirs.start_transitions, theirs.end_transitions, theirs.transitions)
    scores = [emissions, *chain]

    def our_loss() -> tuple[Tensor, ...]:
        loss = crf.nll(emissions, gold, length, chain).mean()
        return loss.detach(), *torch.autograd.grad(loss, scores)

    def their_loss() -> tuple[Tensor, ...]:
        loss = -theirs(emissions, gold, mask, reduction="mean")
        return loss.detach(), *torch.autograd.grad(loss, scores)

    def our_paths() -> list[list[int]]:
        rows = crf.viterbi(emissions, length, chain).tolist()
        return [row[:n] for row, n in zip(rows, length.tolist(), strict=True)]

    def their_paths() -> list[list[int]]:
        with torch.no_grad():
            paths: list[list[int]] = theirs.decode(emissions, mask)
        return paths

    for ours, other in zip(our_loss(), their_loss(), strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-4, atol=1e-4)
    assert our_paths() == their_paths()
    return {"our loss": our_loss, "their loss": their_loss, "our paths": our_paths, "their paths": their_paths}


def medians(calls: dict[str, Callable[[], object]], repeats: int, device: str) -> dict[str, float]:
    """Milliseconds a call, the calls taken in turn so that a busy moment hits all of them."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 3):
        for name, call in calls.items():
            if device != "cpu":
                torch.cuda.synchronize()
            began = time.perf_counter()
            call()
            if device != "cpu":
                torch.cuda.synchronize()
            if turn >= 3:  # the first are warm-up
                times[name].append(1e3 * (time.perf_counter() - began))
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Times all shapes and prints a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = []
    for batch, steps, tags in SHAPES:
        ms = medians(case(batch, steps, tags, given.device), given.repeats, given.device)
        rows.append(
            {
                "batch": batch,
                "steps": steps,
                "tags": tags,
                **{name.replace(" ", "_") + "_ms": round(value, 3) for name, value in ms.items()},
                "loss_ratio": round(ms["their loss"] / ms["our loss"], 2),
                "paths_ratio": round(ms["their paths"] / ms["our paths"], 2),
            }
        )
    if given.json:
        print(json.dumps({"torch": torch.__version__, "threads": given.threads, "device": given.device, "rows": rows}))
        return
    print("  batch  steps   tags | loss + gradient, ms: ours  pytorch-crf  ratio | Viterbi, ms: ours  pytorch-crf  ratio")
    for r in rows:
        print(
            f"{r['batch']:7}{r['steps']:7}{r['tags']:7} |"
            f"{r['our_loss_ms']:26.2f}{r['their_loss_ms']:13.2f}{r['loss_ratio']:7.1f} |"
            f"{r['our_paths_ms']:18.2f}{r['their_paths_ms']:13.2f}{r['paths_ratio']:7.1f}"
        )


if __name__ == "__main__":
    main()
