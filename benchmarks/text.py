"""Speed of the language papers, each beside what it replaces, interleaved in one process.

    python benchmarks/text.py [ROW ...] [--json] [--repeats 5] [--threads 1] [--translator RUN]

Rows:

translation   the search with cached keys and values beside the one that computes them anew at every step. Both keep what the encoder
              made of the source. Without ``--translator`` the network has the small recipe's size and fresh weights, so that sentences
              are as long as they may be (50 pieces more than the source); a trained model's end sooner, and the ratio is smaller.
              That both find the same translations is checked first.
attention     forward and gradient of the attention written out (Eq. 1) beside torch's kernel, by precision and shape.

A ratio of 3 means that ours takes a third of the time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

import paperzoo
from paperzoo.data.parallel import padded
from paperzoo.papers.language import transformer

#: sentences, beam
SEARCHES = ((1, 4), (8, 1), (8, 4))
#: sentences, positions
SHAPES = ((80, 30), (20, 110), (250, 9))


def seconds(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """The median of each, the calls taken in turn so that a busy moment hits all of them; the first turn is warm-up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if turn:
                times[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in times.items()}


def translation(given: argparse.Namespace) -> list[dict[str, Any]]:
    torch.manual_seed(0)
    if given.translator:
        model: Any = paperzoo.load(given.translator)
        texts = paperzoo.dataset("libreoffice-pt-en")["validation"].batch(range(8)).texts
        rows = model._numbers([source for source, _ in texts])
    else:
        model = transformer.Model(vocabulary=("<pad>", "<s>", "</s>", *map(str, range(3997))), **transformer.SMALL).eval()
        rows = [torch.randint(3, 4000, (length,)).numpy() for length in torch.randint(5, 40, (8,))]
    found = []
    for count, beam in SEARCHES:
        source = padded(rows[:count])
        with torch.no_grad():
            cached, uncached = (model.translate(source, way, beam) for way in (True, False))
            assert cached[0] == uncached[0], "the searches differ"
            taken = seconds(
                {
                    "cached": lambda source=source, beam=beam: model.translate(source, True, beam),
                    "uncached": lambda source=source, beam=beam: model.translate(source, False, beam),
                },
                given.repeats,
            )
        pieces = sum(map(len, cached[0]))
        ratio = round(taken["uncached"] / taken["cached"], 2)
        found.append({"sentences": count, "beam": beam, "pieces": pieces, **rounded(taken), "ratio": ratio})
    return found


def attention(given: argparse.Namespace) -> list[dict[str, Any]]:
    found = []
    for kind in (torch.bfloat16, torch.float32):
        for count, steps in SHAPES:
            torch.manual_seed(0)
            parts = [torch.randn(count, 8, steps, 32, dtype=kind, requires_grad=True) for _ in range(3)]
            mask = torch.arange(steps) < torch.randint(steps // 2, steps + 1, (count, 1, 1, 1))
            ways: dict[str, Any] = {
                "written out": lambda parts=parts, mask=mask: transformer.attention(*parts, mask)[0],
                "kernel": lambda parts=parts, mask=mask: F.scaled_dot_product_attention(*parts, mask),
            }
            both = {name: lambda way=way, parts=parts: torch.autograd.grad(way().float().sum(), parts) for name, way in ways.items()}
            taken = seconds(both, 4 * given.repeats)
            ratio = round(taken["kernel"] / taken["written out"], 2)
            found.append({"precision": str(kind)[6:], "sentences": count, "positions": steps, **rounded(taken), "ratio": ratio})
    return found


def rounded(taken: dict[str, float]) -> dict[str, float]:
    return {f"{name}, ms": round(1e3 * value, 1) for name, value in taken.items()}


ROWS: dict[str, Callable[[argparse.Namespace], list[dict[str, Any]]]] = {"translation": translation, "attention": attention}


def main() -> None:
    """Times the rows asked for, by default all, and prints tables or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--translator", default="", metavar="RUN", help="a trained transformer")
    given = parser.parse_args()
    if wrong := set(given.rows) - ROWS.keys():
        parser.error(f"no row {', '.join(sorted(wrong))}; there is {', '.join(ROWS)}")
    torch.set_num_threads(given.threads)
    found = {name: ROWS[name](given) for name in given.rows or ROWS}
    if given.json:
        print(json.dumps({"torch": torch.__version__, "threads": given.threads, "rows": found}))
        return
    for name, rows in found.items():
        print(name)
        for row in rows:
            print("  " + "  ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
