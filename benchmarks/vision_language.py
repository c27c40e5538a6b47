"""Captions and metrics: decoding with kept states against recomputing, captions a second by beam, features a second, 5,000 captions scored.

    python benchmarks/vision_language.py [--quick] [--json]

Networks have the paper's sizes and random weights, so that captions run to their full length; pictures are noise. Both sides of a ratio
run in one process and take turns; a ratio is that of medians. sacrebleu is compared where it is installed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from translation import turns

import paperzoo
from paperzoo.data.captions.words import SPECIAL
from paperzoo.metrics.caption_bleu import caption_bleu
from paperzoo.metrics.cider import cider
from paperzoo.papers.recognition.vgg import VGG

LONGEST, PICTURES, CAPTIONS = 20, 4, 5000


def captioner(name: str) -> Any:
    """A model of the paper's decoder at 64 px, whose small encoder takes no time beside it."""
    words = (*SPECIAL, *(f"w{i}" for i in range(2538)))
    return paperzoo.create(name, vocabulary=words, longest=LONGEST, encoder="small", image_size=64).eval()


def decoding(repeats: int) -> dict[str, dict[str, float]]:
    """Median milliseconds of the captions of ``PICTURES`` pictures at a beam of 5, and captions a second by beam."""
    rows = {}
    image = torch.rand(PICTURES, 3, 64, 64)
    with torch.no_grad():
        for name in ("show_and_tell", "show_attend_tell"):
            model = captioner(name)
            ways: dict[str, Callable[[], Any]] = {
                "kept": partial(model.search, image, 5), "recomputed": partial(model.search, image, 5, cached=False)
            }  # fmt: skip
            ms = turns(ways, repeats)
            rows[f"{name}, beam 5"] = {"kept states, ms": ms["kept"], "times faster than recomputing": ms["recomputed"] / ms["kept"]}
            speed = turns({str(beam): partial(model.search, image, beam) for beam in (1, 3, 10)}, repeats)
            rows[f"{name}, captions a second"] = {f"beam {beam}": 1000 * PICTURES / value for beam, value in speed.items()}
    return rows


def features(repeats: int) -> dict[str, float]:
    """Pictures a second through VGG-19's convolutions at 224 px: plain float32 beside how an encoder runs here."""
    from paperzoo.engine import precision

    def network(way: str) -> Any:
        made = VGG(19, False, 1.0, 3, 1000, 224, 0.0).features.eval()
        if way != "plain":
            precision.prepare(made, precision.resolve("auto", torch.device("cpu")), torch.device("cpu"), ())
        return made

    image = torch.rand(8, 3, 224, 224)
    with torch.no_grad():
        ms = turns({way: partial(network(way), image) for way in ("plain", "as it comes")}, max(2, repeats // 3))
    return {**{f"{way}, pictures a second": 8000 / value for way, value in ms.items()}, "times faster": ms["plain"] / ms["as it comes"]}


def metrics() -> dict[str, float]:
    """Seconds that 5,000 captions of 10 words with 5 references each take."""
    random = np.random.default_rng(0)
    texts = [[" ".join(f"w{w}" for w in random.integers(0, 500, 10)) for _ in range(6)] for _ in range(CAPTIONS)]
    said, references = [own[0] for own in texts], [own[1:] for own in texts]
    ways: dict[str, Callable[[], Any]] = {
        "BLEU-1 to 4": lambda: caption_bleu(said, references), "CIDEr-D": lambda: cider(said, references)
    }  # fmt: skip
    try:
        import sacrebleu

        columns = [list(column) for column in zip(*references, strict=True)]
        ways["BLEU-4 by sacrebleu"] = lambda: sacrebleu.corpus_bleu(said, columns, tokenize="none", force=True)
    except ImportError:
        pass
    seconds = {}
    for name, way in ways.items():
        began = time.perf_counter()
        way()
        seconds[name] = time.perf_counter() - began
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    repeats = 2 if given.quick else 7
    rows = {**decoding(repeats), "VGG-19's convolutions, 224 px": features(repeats), "5,000 captions, seconds": metrics()}
    if given.json:
        print(json.dumps({**rows, "threads": torch.get_num_threads()}))
        return
    for what, row in rows.items():
        print(f"{what}: ", "  ".join(f"{k} {v:.2f}" for k, v in row.items()), flush=True)


if __name__ == "__main__":
    main()
