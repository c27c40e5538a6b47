"""Pre-training of an encoder: words behind masks, and whether one segment follows another, on held-out text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from paperzoo.data import Batch, Dataset, Schema
from paperzoo.data.text.sentences import NEGATIVES, Books, Segments
from paperzoo.data.text.wordpiece import MASK, MORE, SPECIAL, WordPiece
from paperzoo.errors import PaperzooError
from paperzoo.tasks.graphs import Graph, full, pieces_meant, pieces_of
from paperzoo.tasks.model import Model
from paperzoo.tasks.pictures import save
from paperzoo.tasks.task import Task

#: items of a split that are measured at most
_MOST = 2000
#: where BERT's published vocabulary of 30,522 pieces has [PAD], [UNK], [CLS], [SEP] and [MASK]
PUBLISHED = (0, 100, 101, 102, 103)


class Masked(NamedTuple):
    """A batch whose words are hidden: what the network sees, and which positions it must answer for."""

    tokens: Tensor  # int64 (N, T)
    chosen: Tensor  # bool (N, T)


@dataclass(frozen=True)
class Filled:
    """A sentence with [MASK] in it, and for each mask the likeliest pieces with their probabilities."""

    text: str
    words: tuple[tuple[tuple[str, float], ...], ...]

    def __str__(self) -> str:
        lines = [", ".join(f"{word} ({p:.1%})" for word, p in words) for words in self.words]
        return "\n".join([self.text, *lines])


class MaskedPretraining(Task):
    """Words behind masks, and whether one segment follows another."""

    name = "pre-training"
    needs = ("tokens", "segment", "length", "next")

    def measure(self, model: Pretrainer, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """On at most 2,000 pairs of segments of the split, always the same ones.

        ``MLM nats``: mean of -log p of the hidden pieces, ``MLM exact %`` of them are the likeliest; ``unigram nats``: the same if each
        piece's share of the training text is all that is known; ``MLM nats under unigram``: the difference. ``NSP % any`` and
        ``NSP % book``: right answers to whether B follows A where half of the B are from anywhere, or from the same book;
        ``NSP % corpus alone``: of the former, if all that is known is whether both are of the same corpus.

        Raises:
            PaperzooError: the data has another vocabulary than the model.
        """
        if not isinstance(dataset, Books) or tuple(dataset.schema.arguments["vocabulary"]) != model.vocabulary:
            raise PaperzooError(f"{dataset.name} has other pieces than the text that this model was trained on")
        assert dataset.shares is not None
        shares = torch.from_numpy(np.maximum(dataset.shares, dataset.shares[dataset.shares > 0].min())).log()
        right, guess, measured = {}, {}, []
        for kind in NEGATIVES:
            hits, alike = [], []
            for batch, masked, words, follows in _through(model, dataset, split, kind):
                hits.append((follows.argmax(1).cpu() == 1 - batch.next.cpu()).float())
                alike.append((batch.akin == batch.next).float().cpu())
                if kind == "any":
                    true = batch.tokens[masked.chosen]
                    nats = F.cross_entropy(words, true, reduction="none").cpu()
                    exact = (words.argmax(1) == true).float().cpu()
                    measured.append(torch.stack([nats, exact, -shares[true.cpu()].float()], 1))
            right[kind], guess[kind] = 100 * float(torch.cat(hits).mean()), 100 * float(torch.cat(alike).mean())
        nats, exact, unigram = torch.cat(measured).double().mean(0).tolist()
        return {
            "MLM nats": nats,
            "unigram nats": unigram,
            "MLM nats under unigram": unigram - nats,
            "MLM exact %": 100 * exact,
            "NSP % any": right["any"],
            "NSP % book": right["book"],
            "NSP % corpus alone": guess["any"],
        }

    def show(self, model: Pretrainer, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """Eight held-out pairs with the words found behind masks, as text; and how sure the model is that B follows A, as picture."""
        by_kind: dict[str, list[Tensor]] = {"true": [], "any": [], "book": []}
        lines: list[str] = []
        for kind in NEGATIVES:
            for batch, masked, words, follows in _through(model, dataset, split, kind):
                p = follows.softmax(1)[:, 0].cpu()
                by_kind["true"] += [p[batch.next.cpu() == 1]] if kind == "any" else []
                by_kind[kind].append(p[batch.next.cpu() == 0])
                if not lines:
                    lines = _lines(model, batch, masked, words, p)
        folder.mkdir(parents=True, exist_ok=True)
        page = folder / f"{stem}-masked.txt"
        page.write_text("\n\n".join(lines) + "\n", encoding="utf-8")
        return [_histograms({kind: torch.cat(parts).numpy() for kind, parts in by_kind.items()}, folder / f"{stem}-next.png"), page]

    def check(self, model_class: Any, schema: Schema) -> None:
        """Raises ``PaperzooError`` unless data of this schema has segments and a vocabulary."""
        super().check(model_class, schema)
        if "vocabulary" not in schema.arguments:
            raise PaperzooError(f"{self.name} needs data that knows its vocabulary, but {schema.name} does not")

    def inputs(self, model: Pretrainer, batch: Batch) -> Tensor:
        """Pieces and segments (N, 2, T)."""
        return torch.stack([batch.tokens, batch.segment], 1)

    def answer(self, model: Pretrainer, inputs: Tensor) -> Tensor:
        """Scores (N, V + 2) of what is at the second position, and of whether B follows A."""
        tokens, segment = inputs.unbind(1)
        length = (tokens != model.special[0]).sum(1)
        second = torch.zeros_like(tokens, dtype=torch.bool).index_fill(1, torch.tensor([1]), True)
        return torch.cat(model.scores(tokens, segment, length, second), 1)

    def graph(self, model: Pretrainer) -> Graph:
        """Scores at every position, those of words behind masks among them."""
        size = len(model.vocabulary) or 30_522
        outputs = {
            "pieces": f"float32 (N, T, {size:,}), scores of the pieces at each position; hide a word behind [MASK] and look there",
            "follows": "float32 (N, 2), scores that B follows A, and that it does not",
        }
        return Graph(
            lambda tokens, segment: model.scores(tokens, segment, full(tokens), ...),  # type: ignore[arg-type]  # every position
            pieces_of(size), pieces_meant(size), outputs, ("tokens", "segment"),
        )  # fmt: skip


class Pretrainer(Model):
    """A model that finds words behind masks, and says whether a segment follows another. Subclasses define ``mask`` and ``scores``.

    Args:
        vocabulary: of WordPiece; empty for nameless pieces.
        cased: whether upper case counts.
        positions: pieces that fit.
    """

    tasks: ClassVar[tuple[Task, ...]] = (MaskedPretraining(),)

    def __init__(self, vocabulary: Sequence[str], cased: bool, positions: int) -> None:
        super().__init__()
        self.vocabulary, self.cased, self.positions = tuple(vocabulary), cased, positions
        self.special = special(vocabulary)

    def mask(self, batch: Batch) -> Masked:
        """Hides words of the batch, anew at each call."""
        raise TypeError(f"{type(self).__name__} does not say how it masks")

    def scores(self, tokens: Tensor, segment: Tensor, length: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (K, V) of the pieces at the K chosen positions, row by row, and (N, 2): that B follows A, that it does not."""
        raise TypeError(f"{type(self).__name__} does not say how it scores")

    @cached_property
    def wordpiece(self) -> WordPiece:
        """Text to pieces."""
        if not self.vocabulary:
            raise PaperzooError("this model has no vocabulary, so it can read no text: create it with one, or train it")
        return WordPiece(self.vocabulary, self.cased)

    def predict(self, input: Any) -> Any:
        """The five likeliest words for each [MASK] of a sentence, or of each of a list of them.

        Raises:
            PaperzooError: the input is no text, has no [MASK], has no word that is known, or has more pieces than positions.
        """
        if isinstance(input, list | tuple):
            return [self.predict(one) for one in input]
        if not isinstance(input, str):
            raise PaperzooError(f"a sentence with {MASK} is wanted, not {type(input).__name__}")
        parts, wordpiece = input.split(MASK), self.wordpiece
        if len(parts) < 2:
            raise PaperzooError(f'this model finds words behind masks: write one into the sentence, as in "the {MASK} is here"')
        rows = wordpiece.encode(parts)
        if any(rows) and {number for row in rows for number in row} == {wordpiece.unknown}:
            raise PaperzooError(f"no word of {input!r} is known to this model")
        numbers = rows[0]
        for row in rows[1:]:
            numbers = [*numbers, wordpiece.mask, *row]
        if len(numbers) + 2 > self.positions:
            raise PaperzooError(f"the sentence has {len(numbers)} pieces, and this model has room for {self.positions - 2}")
        device, was_training = next(self.parameters()).device, self.training
        packed = wordpiece.pack([[numbers]], self.positions)
        tokens, segment, length = (t.to(device) for t in packed[:3])
        self.eval()
        with torch.no_grad():
            scores, _ = self.scores(tokens, segment, length, tokens == wordpiece.mask)  # (masks, V)
            scores[:, list(self.special)] = -torch.inf  # no word
            best = scores.softmax(1).topk(min(5, scores.shape[1] - len(SPECIAL)))
        self.train(was_training)
        return Filled(input, tuple(
            tuple((self.vocabulary[i], p) for i, p in zip(ids, ps, strict=True))
            for ids, ps in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ))  # fmt: skip


def _through(model: Pretrainer, dataset: Dataset, split: str, negatives: str) -> Iterator[tuple[Batch, Masked, Tensor, Tensor]]:
    """Batches with what is hidden and the scores. The draws are the same at each call."""
    column, device = dataset[split].columns[0], next(model.parameters()).device
    assert isinstance(column, Segments)
    column = column.drawn_from(negatives)
    order = np.random.default_rng(0).permutation(len(column))[:_MOST]
    for number, start in enumerate(range(0, len(order), 64)):
        torch.manual_seed(number)  # the engine guards torch's generator while it measures
        batch = Batch(**column.take(order[start : start + 64])).to(device)
        masked = model.mask(batch)
        words, follows = model.scores(masked.tokens, batch.segment, batch.length, masked.chosen)
        yield batch, masked, words, follows


def _lines(model: Pretrainer, batch: Batch, masked: Masked, words: Tensor, p: Tensor) -> list[str]:
    """``the [dog: cat 41 %]``: the true word, what was found instead or with what probability."""
    best, row, lines = words.softmax(1).max(1), 0, []
    for item in range(len(batch)):
        pieces: list[str] = []
        for t in range(int(batch.length[item])):
            true = model.vocabulary[int(batch.tokens[item, t])]
            if masked.chosen[item, t]:
                guess = model.vocabulary[int(best.indices[row])]
                pieces.append(f"[{true}{'' if guess == true else ': ' + guess} {100 * float(best.values[row]):.0f} %]")
                row += 1
            elif true.startswith(MORE) and pieces and not pieces[-1].endswith("]"):
                pieces[-1] += true.removeprefix(MORE)
            else:
                pieces.append(true)
        if item < 8:
            verdict = "follows" if batch.next[item] else "does not follow"
            lines.append(f"B {verdict}; the model says that it does with {100 * float(p[item]):.0f} %\n{' '.join(pieces)}")
    return lines


def special(vocabulary: Sequence[str]) -> tuple[int, ...]:
    """The numbers of [PAD], [UNK], [CLS], [SEP] and [MASK]; without a vocabulary, those of the published one."""
    if not vocabulary:
        return PUBLISHED
    numbers = {piece: number for number, piece in enumerate(vocabulary)}
    if missing := [piece for piece in SPECIAL if piece not in numbers]:
        raise PaperzooError(f"vocabulary must hold {', '.join(SPECIAL)}, and lacks {', '.join(missing)}")
    return tuple(numbers[piece] for piece in SPECIAL)


def _histograms(by_kind: Mapping[str, np.ndarray], path: Path) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.add_subplot()
    titles = {"true": "the true next segment", "any": "one from any book", "book": "one from the same book"}
    for (kind, values), colour in zip(by_kind.items(), ("tab:blue", "tab:orange", "tab:green"), strict=True):
        axes.hist(values, [i / 20 for i in range(21)], density=True, histtype="step", color=colour, label=titles[kind])
    axes.set(xlabel="probability given to: B follows A", ylabel="density")
    axes.legend(fontsize=8, frameon=False)
    return save(figure, path)
