"""Translating sentences: beam search, BLEU beside two baselines, translations with their attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paperzoo.data import Dataset, Split
from paperzoo.data.text.bpe import END, SPECIAL, START, Bpe
from paperzoo.data.text.bpe import PAD as PAD
from paperzoo.data.text.parallel import Pair, buckets, encode, padded
from paperzoo.errors import PaperzooError
from paperzoo.metrics.bleu import bleu
from paperzoo.nn.beam import beam_search
from paperzoo.tasks.model import Model
from paperzoo.tasks.pictures import save

#: beside held-out sentences, what ``show`` translates from these languages
SENTENCES = {"pt": "este é o primeiro livro que eu fiz."}
#: the longest translation: pieces of the source and these (section 6.1 of Vaswani et al.)
MORE = 50
#: training pairs among which the nearest is looked for
NEAREST = 100_000


@dataclass(frozen=True)
class Translation:
    """A sentence, what it was translated to, and how.

    Attributes:
        score: log p(Y|X) / lp(Y), by which the search chose.
        pieces: those of source and translation, ends counted.
        attention: float32 (pieces of the translation, pieces of the source): where the last layer looked when it wrote a piece,
            the mean of its heads; rows sum to 1.
        heads: the same by head, (heads, pieces of the translation, pieces of the source).
    """

    source: str
    text: str
    score: float
    pieces: tuple[tuple[str, ...], tuple[str, ...]] = field(default=((), ()), repr=False)
    attention: Tensor = field(default_factory=lambda: torch.empty(0, 0), repr=False, compare=False)
    heads: Tensor = field(default_factory=lambda: torch.empty(0, 0, 0), repr=False, compare=False)

    def __str__(self) -> str:
        return self.text

    def __rich__(self) -> Any:
        """The translation, for a terminal."""
        from rich.text import Text

        return Text(self.text)


class Translator(Model):
    """A model that translates sentences. Subclasses define ``logits`` and ``memory``.

    Args:
        vocabulary, merges: of the encoding of both languages; see ``paperzoo.data.text.bpe.Bpe``.
        languages: codes of source and target.
        positions: pieces in the longest sentence.
        beam, alpha: width and length penalty of the search, see ``paperzoo.nn.beam``.

    Raises:
        PaperzooError: the vocabulary begins otherwise, or a number is out of range.
    """

    task = "translation"
    needs = ("source", "target", "texts")

    def __init__(
        self, vocabulary: Sequence[str], merges: Sequence[str], languages: Sequence[str], positions: int, beam: int, alpha: float
    ) -> None:
        super().__init__()
        if vocabulary and tuple(vocabulary[:3]) != SPECIAL:
            raise PaperzooError(f"vocabulary must begin with {', '.join(SPECIAL)}, not with {', '.join(vocabulary[:3])}")
        if positions < 2 or beam < 1 or alpha < 0:
            raise PaperzooError(f"positions must be at least 2, beam 1 and alpha 0, not {positions}, {beam} and {alpha}")
        if len(languages) != 2:
            raise PaperzooError(f"languages must be two codes, of source and target, not {languages!r}")
        self.vocabulary, self.merges, self.languages = tuple(vocabulary), tuple(merges), (languages[0], languages[1])
        self.longest, self.beam, self.alpha = positions, beam, alpha

    def logits(self, source: Tensor, target: Tensor, memory: Any = None) -> Tensor:
        """Logits float32 (N * beam, T, V) of the token after each of the target's, for source (N, S) and target (N * beam, T).

        Both are int64 and 0 where padded. With a ``memory``, which keeps what was computed, only the target's new tokens are given.
        """
        raise TypeError(f"{type(self).__name__} does not say how it translates")

    def memory(self, cached: bool = True, record: bool = False) -> Any:
        """What ``logits`` keeps: has ``select(sentences, rows)`` and, if it is to ``record``, ``weights`` by decoder layer."""
        raise TypeError(f"{type(self).__name__} does not say what a search keeps")

    @cached_property
    def bpe(self) -> Bpe:
        """The encoding, made of vocabulary and merges."""
        if not self.vocabulary:
            raise PaperzooError("this model has no vocabulary, so it can read no text: create it with one, or train it")
        return Bpe(self.vocabulary, self.merges)

    def translate(self, source: Tensor, cached: bool = True, beam: int | None = None) -> tuple[list[list[int]], list[float]]:
        """The best translation found for each row of source int64 (N, S), as tokens without ends, and its score.

        Args:
            cached: keep keys and values of the target so far, rather than compute them again at every step. The same is found.
            beam: width of the search, 1 for greedy; by default the model's own.
        """
        source, beam = source.to(next(self.parameters()).device), self.beam if beam is None else beam
        memory, alone = self.memory(cached), source

        def step(tokens: Tensor, sentences: Tensor, parents: Tensor) -> Tensor:
            nonlocal alone
            memory.select(sentences, parents)
            alone = alone[sentences]
            logits = self.logits(alone, tokens[:, -1:] if cached else tokens, memory)  # (n * beam, T, V)
            return logits[:, -1].log_softmax(1)

        longest = ((source != PAD).sum(1) + MORE).clamp(max=self.longest)
        found = beam_search(step, longest, START, END, beam=beam, alpha=self.alpha, never=(PAD, START))
        return found.tokens, found.score

    def predict(self, input: Any) -> Any:
        """Translates a sentence given as a string, or each of a list of them.

        Returns:
            A ``Translation``, or a list of them. An empty sentence is translated to an empty one.

        Raises:
            PaperzooError: the input is neither, or a sentence has more pieces than the model has positions.
        """
        if isinstance(input, str):
            return self._translations([input])[0]
        if not isinstance(input, list | tuple) or not all(isinstance(text, str) for text in input):
            raise PaperzooError(f"translation needs a string or a list of strings, not {type(input).__name__}")
        return self._translations(input)

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """Scores over the whole split.

        ``BLEU`` by sacrebleu (its signature is written by ``show``), beside that of two baselines: ``BLEU of the source``, copied as
        it is, and ``BLEU of retrieval``: the translation of the training sentence whose words are nearest (cosine of tf-idf).
        ``exact %``: translations equal to their reference. ``nats a piece``: of the references, given all pieces before.
        """
        texts = _texts(dataset[split])
        sources, references = [a for a, _ in texts], [b for _, b in texts]
        found = [translation.text for translation in self._translations(sources, attention=False)]
        return {
            "BLEU": bleu(found, references).score,
            "BLEU of the source": bleu(sources, references).score,
            "BLEU of retrieval": bleu(retrieved(_texts(dataset["train"])[:NEAREST], sources), references).score,
            "exact %": 100 * sum(a == b for a, b in zip(found, references, strict=True)) / len(found),
            "nats a piece": self._nats(texts),
        }

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """Ten translations as text, with BLEU's signature, and where the model looked when it made the first of them."""
        texts = _texts(dataset[split])
        fixed = SENTENCES.get(self.languages[0][:2].lower(), "")
        chosen = [texts[i] for i in np.linspace(0, len(texts) - 1, min(len(texts), 10 - bool(fixed))).astype(int)]
        rows: list[Pair] = [(fixed, ""), *chosen] if fixed else chosen
        made = self._translations([a for a, _ in rows])
        signature = bleu([m.text for m in made[-len(chosen) :]], [b for _, b in chosen]).signature
        parts = [f"BLEU by sacrebleu: {signature}"]
        for translation, (_, reference) in zip(made, rows, strict=True):
            named = {"source": translation.source, "reference": reference, "found": translation.text}
            parts.append("\n".join(f"{what:9}  {text}" for what, text in named.items() if text or what == "found"))
        folder.mkdir(parents=True, exist_ok=True)
        page = folder / f"{stem}-translations.txt"
        page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
        return [_heat_map(made[0], folder / f"{stem}-attention.png"), page]

    def _numbers(self, texts: Sequence[str], start: bool = False) -> list[np.ndarray]:
        rows = encode(self.bpe, texts, start)
        for text, row in zip(texts, rows, strict=True):
            if len(row) - start > self.longest:
                begin = f"{text[:40]}..." if len(text) > 40 else text
                raise PaperzooError(f"the sentence {begin!r} has {len(row) - start} pieces, more than the model's {self.longest} positions")
        return rows

    def _translations(self, texts: Sequence[str], attention: bool = True) -> list[Translation]:
        """In batches of like length, one of the other; blank sentences stay so."""
        rows = self._numbers(texts)
        made = [Translation(text, "", 0.0) for text in texts]
        full = [i for i, text in enumerate(texts) if text.strip()]
        lengths = np.array([(len(rows[i]), 0) for i in full], np.int64).reshape(-1, 2)
        was_training = self.training
        self.eval()
        with torch.no_grad():
            for group in buckets(lengths, 2500):
                part = [full[i] for i in group]
                source = padded([rows[i] for i in part])
                tokens, scores = self.translate(source)
                for i, said, ids, score in zip(part, self.bpe.decode(tokens), tokens, scores, strict=True):
                    weights = self._attention(rows[i], ids) if attention else torch.empty(0, 0, 0)
                    pieces = self._pieces(rows[i]), self._pieces([*ids, END])
                    made[i] = Translation(texts[i], said, score, pieces, weights.mean(0) if attention else torch.empty(0, 0), weights)
        self.train(was_training)
        return made

    def _attention(self, source: np.ndarray, tokens: Sequence[int]) -> Tensor:
        """The last layer's weights (heads, T, S): row t from which piece t was written."""
        memory, device = self.memory(cached=False, record=True), next(self.parameters()).device
        target = torch.tensor([[START, *tokens]], device=device)[:, : self.longest]
        self.logits(torch.from_numpy(source)[None].to(device), target, memory)
        weights: Tensor = memory.weights[-1][0].float().cpu()
        return weights

    def _pieces(self, ids: Sequence[int] | np.ndarray) -> tuple[str, ...]:
        """Pieces as people read them; one that is part of a letter shows as U+FFFD."""
        return tuple(SPECIAL[i] if i < len(SPECIAL) else self.bpe.decode([[int(i)]])[0] for i in ids)

    def _nats(self, texts: Sequence[Pair]) -> float:
        """The mean of -log p of the references' pieces, ends counted."""
        source, target = self._numbers([a for a, _ in texts]), self._numbers([b for _, b in texts], start=True)
        device, total = next(self.parameters()).device, 0.0
        for group in buckets(np.array([(len(s), len(t)) for s, t in zip(source, target, strict=True)]), 2500):
            given, wanted = padded([source[i] for i in group]).to(device), padded([target[i] for i in group]).to(device)
            logs = self.logits(given, wanted[:, :-1]).log_softmax(2)
            true = logs.gather(2, wanted[:, 1:, None])[..., 0]  # (N, T - 1)
            total -= float(true[wanted[:, 1:] != PAD].sum())
        return total / sum(len(row) - 1 for row in target)


def retrieved(training: Sequence[Pair], sources: Sequence[str]) -> list[str]:
    """For each sentence the translation of the training sentence with the nearest words, by the cosine of tf-idf.

    Of equally near ones the first is taken, and the first of all if no word is known.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(token_pattern=r"(?u)\w+")
    known = vectors.fit_transform([a for a, _ in training])  # (M, words), rows of length 1
    nearest: list[int] = []
    for start in range(0, len(sources), 500):
        like = vectors.transform(sources[start : start + 500]) @ known.T  # (500, M), sparse
        nearest += np.asarray(like.argmax(1)).ravel().tolist()
    return [training[i][1] for i in nearest]


def _texts(split: Split) -> Sequence[Pair]:
    texts: Sequence[Pair] = split.batch(range(len(split))).texts
    return texts


def _heat_map(translation: Translation, path: Path) -> Path:
    """Attention to the source: the mean of the heads with the pieces beside, then each head."""
    from matplotlib.figure import Figure

    rows, columns = translation.attention.shape
    heads: Mapping[int, Tensor] = dict(enumerate(translation.heads))
    side = min(8.0, 1.5 + 0.24 * max(rows, columns))
    figure = Figure(figsize=(side + 4, side), layout="constrained")
    big, small = np.ravel(figure.subfigures(1, 2, width_ratios=(side, 4), squeeze=False))
    axes = big.add_subplot()
    axes.imshow(translation.attention.numpy(), cmap="viridis", vmin=0, vmax=1, aspect="auto")
    for axis, pieces in ((axes.xaxis, translation.pieces[0]), (axes.yaxis, translation.pieces[1])):
        axis.set_ticks(range(len(pieces)), [piece.replace("$", r"\$") for piece in pieces], fontsize=8)
    axes.tick_params(axis="x", rotation=90)
    axes.set(xlabel="source", ylabel="translation", title="last layer, mean of the heads")
    for number, axes in enumerate(np.ravel(small.subplots(-(-len(heads) // 2), 2, squeeze=False))):
        axes.set_axis_off()
        if number in heads:
            axes.imshow(heads[number].numpy(), cmap="viridis", vmin=0, vmax=1, aspect="auto")
            axes.set_title(f"head {number + 1}", fontsize=8)
    return save(figure, path)
