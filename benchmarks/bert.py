"""BERT-base beside transformers': a step of pre-training, and reading sentences of different lengths, taking turns in one process.

    pip install "paperzoo[bench]"
    python benchmarks/bert.py [--json] [--quick] [--rows 8] [--repeats 5] [--threads 2] [--device cpu]

Both networks have the same random weights, and are first checked to give the same numbers. ``float32``: this project's engine in
float32; ``defaults``: as it comes (bf16 where the processor has it); ``transformers``: BertForPreTraining and BertModel in
a plain loop, as their documentation shows it: float32, all sentences padded to the longest. A training step is masks, forward,
both losses, gradients and AdamW, on full rows of one length (``train``) and on sentences of all lengths up to it (``train,
ragged``). Reading is the encoder without gradients on sentences of all lengths. ``pipeline``: the share of a training step that
cutting text into pieces, packing and masking take. Ratios are of medians, above 1 where this project is faster.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import paperzoo
from paperzoo.data import Batch
from paperzoo.data.text.sentences import sentences_of, stories
from paperzoo.data.text.wordpiece import WordPiece, learn
from paperzoo.engine import precision
from paperzoo.engine.players import Players, parted
from paperzoo.papers.language.bert import mask
from paperzoo.pretrained.encoders import from_transformers
from paperzoo.tasks.pretraining import PUBLISHED

MARKS = PUBLISHED


def batch(rows: int, steps: int, ragged: bool, pieces: int, device: torch.device) -> Batch:
    """Random pieces; ``ragged``: lengths spread evenly from an eighth of ``steps`` up to it."""
    length = torch.linspace(steps // 8, steps, rows).round().long() if ragged else torch.full((rows,), steps)
    at = torch.arange(steps)
    tokens = torch.randint(1000 if pieces > 2000 else 200, pieces, (rows, steps))
    tokens[:, 0] = MARKS[2]
    tokens[at == length[:, None] - 1] = MARKS[3]
    tokens[at >= length[:, None]] = MARKS[0]
    segment = ((at > length[:, None] // 2) & (at < length[:, None])).long()
    return Batch(tokens=tokens, segment=segment, length=length, next=torch.randint(2, (rows,))).to(device)


def ours(how: str, sizes: dict[str, int], state: dict[str, Tensor], device: torch.device) -> tuple[Any, Callable[[Batch], Any]]:
    """The model and its training step."""
    model: Any = paperzoo.create("bert", **sizes)
    model.load_state_dict(state)
    precision.prepare(model, precision.resolve("auto" if how == "defaults" else "float32", device), device)
    opt = Players(parted(model.optimizers())[0])
    opt.total = 1000
    return model.train(), lambda given: model.step(given, opt)


def theirs(sizes: dict[str, int], device: torch.device) -> tuple[Any, Callable[[Batch], Any]]:
    """Hugging Face's model and a plain training step: its loss over all positions, those not hidden marked by -100."""
    import transformers as hf

    names = {"layers": "num_hidden_layers", "width": "hidden_size", "heads": "num_attention_heads", "inner": "intermediate_size"}
    model = hf.BertForPreTraining(hf.BertConfig(**{names[k]: v for k, v in sizes.items()})).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, weight_decay=0.01)

    def step(given: Batch) -> None:
        masked = mask(given.tokens, MARKS, 30_522)
        real = (given.tokens != MARKS[0]).long()
        labels = torch.where(masked.chosen, given.tokens, -100)
        loss = model(masked.tokens, real, given.segment, labels=labels, next_sentence_label=1 - given.next).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return model.train(), step


def turns(calls: dict[str, Callable[[], Any]], repeats: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of each call, taken in turns after one that is not counted."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if turn:
                found[name].append(time.perf_counter() - began)
    return found


def pipeline(rows: int, steps: int) -> float:
    """Seconds to cut, pack and mask a batch of text of ``rows`` times ``steps`` pieces."""
    text = " ".join(stories()[0].sentences * 10)
    pieces = WordPiece(learn(sentences_of(text), 120))
    texts = [text] * rows
    seconds = []
    for _ in range(10):
        began = time.perf_counter()
        packed = pieces.pack([[row] for row in pieces.encode([" ".join(one.split()[: steps - 2]) for one in texts])], steps)
        mask(packed.tokens, (0, 1, 2, 3, 4), 120)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def main() -> None:
    """Prints milliseconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="two narrow layers and few rows: checks that all of it runs")
    parser.add_argument("--rows", type=int, default=8, help="in a batch (default: 8)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    device, rows, steps = torch.device(given.device), given.rows, 128
    sizes = {"layers": 12, "width": 768, "heads": 12, "inner": 3072}
    if given.quick:
        rows, steps, sizes = 4, 32, {"layers": 2, "width": 48, "heads": 4, "inner": 96}

    peer, peer_step = theirs(sizes, device)
    state = from_transformers(peer.state_dict())
    models = {how: ours(how, sizes, state, device) for how in ("float32", "defaults")}
    full, ragged = (batch(rows, steps, uneven, 30_522, device) for uneven in (False, True))
    real = (ragged.tokens != MARKS[0]).long()
    with torch.no_grad():
        expected = peer.eval().bert(ragged.tokens, real, ragged.segment).last_hidden_state
        found, _ = models["float32"][0].eval().bert(ragged.tokens, ragged.segment, ragged.length)
        assert torch.allclose(found[real > 0], expected[real > 0], atol=1e-4), "the two networks differ"

    def read(how: str) -> None:
        with torch.no_grad():
            if how == "transformers":
                peer.bert(ragged.tokens, real, ragged.segment)
            else:
                models[how][0].bert(ragged.tokens, ragged.segment, ragged.length)

    steppers = {**{how: step for how, (_, step) in models.items()}, "transformers": peer_step}
    seconds = {"read, ragged": turns({how: (lambda how=how: read(how)) for how in steppers}, given.repeats, device)}  # type: ignore[misc]
    for model in (peer, *(model for model, _ in models.values())):
        model.train()
    for what, chosen in (("train", full), ("train, ragged", ragged)):
        calls = {how: (lambda step=step, chosen=chosen: step(chosen)) for how, step in steppers.items()}  # type: ignore[misc]
        seconds[what] = turns(calls, given.repeats, device)
    medians = {what: {how: statistics.median(times) for how, times in found.items()} for what, found in seconds.items()}
    record = {
        what: {how: {"ms": 1000 * s, "ratio": of["transformers"] / s} for how, s in of.items()} for what, of in medians.items()
    }
    share = pipeline(rows, steps) / medians["train"]["defaults"]
    if given.json:
        print(json.dumps({"rows": rows, "steps": steps, "results": record, "pipeline %": 100 * share}, indent=1))
        return
    print(f"{rows} rows of up to {steps} pieces, {given.threads} threads, {device}")
    for what, of in record.items():
        print(f"{what:14}", *(f"{how} {one['ms']:.1f} ms ({one['ratio']:.2f})" for how, one in of.items()), sep="  ")
    print(f"pipeline        {100 * share:.2f} % of a training step with defaults")


if __name__ == "__main__":
    main()
