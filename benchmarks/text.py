"""Speed of the language papers, each beside what it replaces, interleaved in one process.

    python benchmarks/text.py [ROW ...] [--json] [--repeats 5] [--threads 1] [--translator RUN]

Rows:

translation   the search with cached keys and values beside the one that computes them anew at every step. Both keep what the encoder
              made of the source. Without ``--translator`` the network has the small recipe's size and fresh weights, so that sentences
              are as long as they may be (50 pieces more than the source); a trained model's end sooner, and the ratio is smaller.
              That both find the same translations is checked first.
attention     forward and gradient of the attention written out (Eq. 1) beside torch's kernel, by precision and shape.
counting      words a second of co-occurrence counting beside the usual way by scipy: a sparse matrix an offset, added up. The same text
              (Austen, Shakespeare and the Bible), words and sums; then again in a sixteenth of the memory that its pairs take.
glove         the loss (mean of f times the squared error) after 5 and 25 passes beside that of mittens (``pip install mittens``) after
              as many seconds, on the 1,500 commonest words. mittens holds a dense matrix and takes one step a pass; we one a pair.

A ratio of 3 means that ours takes a third of the time.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import paperzoo
from paperzoo.data.text.cooccurrence import cooccurrences
from paperzoo.data.text.parallel import padded
from paperzoo.papers.language import glove, transformer

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
        rows = model.numbers([source for source, _ in texts])
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


def literature(words: int) -> tuple[np.ndarray, int]:
    """The text as one array of numbers of its commonest words; rarer ones are dropped."""
    data = paperzoo.dataset("literature")
    batch, counts = data["train"].batch(range(len(data["train"]))), np.asarray(data.schema.arguments["counts"])
    kept = np.argsort(-counts, kind="stable")[:words]
    place = np.full(len(counts), -1, np.int32)
    place[kept] = np.arange(len(kept))
    inside = torch.arange(batch.tokens.shape[1]) < batch.length[:, None]
    numbers = place[batch.tokens[inside].numpy()]
    return np.ascontiguousarray(numbers[numbers >= 0]), len(kept)


def by_scipy(text: np.ndarray, words: int, window: int) -> Any:
    """Co-occurrences weighted by 1 / distance, each pair once, as a sparse matrix."""
    from scipy.sparse import coo_matrix

    total = None
    for d in range(1, window + 1):
        low, high = np.minimum(text[d:], text[:-d]), np.maximum(text[d:], text[:-d])
        one = coo_matrix((np.full(len(low), 1 / d), (low, high)), (words, words)).tocsr()
        total = one if total is None else total + one
    return total


def counting(given: argparse.Namespace) -> list[dict[str, Any]]:
    text, words = literature(20_000)
    ours, theirs = cooccurrences([text[:10**6]], words, threads=given.threads), by_scipy(text[:10**6], words, 10)
    both = float(theirs.sum() + theirs.diagonal().sum())  # a word beside itself is a neighbour on either side
    assert len(ours.row) == theirs.nnz and math.isclose(float(ours.x.sum()), both, rel_tol=1e-9)
    parts = np.array_split(text, 64)  # a window does not reach over a part's end: 64 seams in millions of words
    small = 16 * len(cooccurrences(parts, words, threads=given.threads).row) // 16
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: cooccurrences(parts, words, threads=given.threads),
        "ours, little memory": lambda: cooccurrences(parts, words, memory=small, threads=given.threads),
        "scipy": lambda: by_scipy(text, words, 10),
    }
    taken = seconds(calls, given.repeats)
    speeds = {f"{name}, thousand words/s": round(len(text) / value / 1e3) for name, value in taken.items()}
    ratio = round(taken["scipy"] / taken["ours"], 2)
    return [{"words": len(text), "little memory, MB": round(small / 1e6, 1), **speeds, "ratio": ratio}]


def fitting(given: argparse.Namespace) -> list[dict[str, Any]]:
    try:
        from mittens import GloVe
    except ImportError:
        print("mittens is not installed: pip install mittens")
        GloVe = None
    text, words = literature(1_500)
    found = cooccurrences([text], words, threads=given.threads)
    names, counts = [str(i) for i in range(words)], np.bincount(text, minlength=words)
    model = glove.Model(dim=100, min_count=1, threads=given.threads, vocabulary=names, counts=counts.tolist())
    batch: Any = SimpleNamespace(row=torch.from_numpy(found.row), column=torch.from_numpy(found.column), x=torch.from_numpy(found.x))
    ordered = 2 * len(found.row) - int((found.row == found.column).sum())
    dense = np.zeros((words, words))
    dense[found.row, found.column] = dense[found.column, found.row] = found.x
    model.step(batch, SimpleNamespace(iteration=0))  # type: ignore[arg-type]  # compiles
    rows = []
    for passes in (5, 25):
        torch.manual_seed(0)
        model = glove.Model(dim=100, min_count=1, threads=given.threads, vocabulary=names, counts=counts.tolist())
        began = time.perf_counter()
        for _ in range(passes):
            loss = model.step(batch, SimpleNamespace(iteration=0))["loss"]  # type: ignore[arg-type]
        ours = time.perf_counter() - began
        row = {"pairs": len(found.row), "passes": passes, "ours, s": round(ours, 2), "ours, loss": round(float(loss), 4)}
        if GloVe:
            began = time.perf_counter()
            GloVe(n=100, max_iter=20, display_progress=0, tol=0).fit(dense)
            more = round(20 * ours / (time.perf_counter() - began))
            peer = GloVe(n=100, max_iter=more, display_progress=0, tol=0)
            began = time.perf_counter()
            peer.fit(dense)
            row |= {"mittens, passes": more, "mittens, s": round(time.perf_counter() - began, 2)}
            row |= {"mittens, loss": round(2 * float(peer.errors[-1]) / ordered, 4)}
        rows.append(row)
    return rows


def rounded(taken: dict[str, float]) -> dict[str, float]:
    return {f"{name}, ms": round(1e3 * value, 1) for name, value in taken.items()}


ROWS: dict[str, Callable[[argparse.Namespace], list[dict[str, Any]]]] = {
    "translation": translation, "attention": attention, "counting": counting, "glove": fitting,
}  # fmt: skip


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
