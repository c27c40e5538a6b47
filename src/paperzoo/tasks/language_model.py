"""Language models: nats, bits and perplexity on held-out text, samples, and which characters of a passage surprise them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from paperzoo.data import Dataset, Schema
from paperzoo.data.text import END, UNKNOWN, Text, pieces
from paperzoo.errors import PaperzooError
from paperzoo.tasks.model import Model
from paperzoo.tasks.pictures import save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: what a recurrent network carries from one token to the next; each tensor (layers, N, H)
State = tuple[Tensor, ...]

#: nats from which on a token is drawn in the darkest red
_DARK = 6.0


@dataclass(frozen=True)
class Reading:
    """A text as a language model reads it: its tokens, and the probability that each had given those before it."""

    tokens: tuple[str, ...]
    probabilities: tuple[float, ...]
    unit: str

    @property
    def nats(self) -> float:
        """Mean negative logarithm of the probabilities."""
        return -math.fsum(map(math.log, self.probabilities)) / len(self.probabilities)

    def __str__(self) -> str:
        return (
            f"{self.nats:.3f} nats ({self.nats / math.log(2):.3f} bits) a {self.unit}, perplexity {math.exp(self.nats):.2f}, "
            f"over {len(self.tokens)} {self.unit}s"
        )

    def __rich__(self) -> Any:
        """The figures and the text, the more surprising the redder, for a terminal."""
        from rich.text import Text as Line

        line = Line(f"{self}\n")
        for token, probability in zip(self.tokens, self.probabilities, strict=True):
            line.append(token, style=f"black on {_colour(probability)}")
            line.append(" " if self.unit == "word" else "")
        return line


class LanguageModel(Model):
    """A model that says what comes next in a text. Subclasses define ``read``.

    Args:
        vocabulary: the tokens; number 0 is ``<unk>``.
        unit: what a token is, ``character`` or ``word``.

    Raises:
        PaperzooError: the vocabulary begins otherwise or repeats itself, or the unit is another.
    """

    task = "language modelling"
    needs = ("tokens", "target", "stream", "place")

    def __init__(self, vocabulary: Sequence[str], unit: str) -> None:
        super().__init__()
        if not vocabulary or vocabulary[0] != UNKNOWN:
            raise PaperzooError(f"vocabulary must begin with {UNKNOWN}, not with {vocabulary[0] if vocabulary else 'nothing'!r}")
        if unit not in ("character", "word"):
            raise PaperzooError(f"unit must be character or word, not {unit!r}")
        self.vocabulary, self.unit = tuple(vocabulary), unit
        self._number = {token: number for number, token in enumerate(vocabulary)}
        if len(self._number) < len(vocabulary):
            raise PaperzooError(f"vocabulary names {next(t for i, t in enumerate(vocabulary) if t in vocabulary[:i])!r} twice")

    def read(self, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Scores (N, T, V) of what follows each of tokens int64 (N, T), and the state after the last, to go on from.

        ``None`` is the state before any text.
        """
        raise TypeError(f"{type(self).__name__} does not say how it reads")

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """Over all tokens of the split but its first, read in order with the state carried on.

        ``nats a character`` (or ``word``), ``bits a character`` and ``perplexity`` of the mean over tokens, never a mean over
        batches; ``unigram nats a character``: the same of the training split's shares alone; ``unknown %``: of tokens that are
        ``<unk>``. Of a made-up source also ``entropy rate nats``, and ``nats above the source``: how far the model is from the
        source's own probabilities on this very text.

        Raises:
            PaperzooError: the data has another vocabulary than the model.
        """
        if tuple(dataset.schema.arguments["vocabulary"]) != self.vocabulary:
            raise PaperzooError(f"{dataset.name} has another vocabulary than the text that this model was trained on")
        total, count, seen = 0.0, 0, torch.zeros(len(self.vocabulary), dtype=torch.float64)
        for nats, target in self._through(dataset, split):
            real = target >= 0
            total += nats[real].double().sum().item()
            count += int(real.sum())
            seen += torch.bincount(target[real], minlength=len(seen))
        mean, unit = total / count, self.unit
        figures = {
            f"nats a {unit}": mean,
            f"bits a {unit}": mean / math.log(2),
            "perplexity": math.exp(min(mean, 700.0)),
            "unknown %": 100 * float(seen[0]) / count,
        }
        if isinstance(dataset, Text):
            if dataset.shares is not None:
                # a token that the training split has not is given the share of one occurrence in the split measured
                shares = np.maximum(dataset.shares, 1 / (count + 1))
                figures[f"unigram nats a {unit}"] = float(-(seen.numpy() * np.log(shares / shares.sum())).sum() / count)
            if dataset.entropy is not None:
                figures["entropy rate nats"] = dataset.entropy
            if dataset.ideal is not None and split in dataset.ideal:
                figures["nats above the source"] = mean - dataset.ideal[split]
        return figures

    def sample(
        self, items: int = 1, seed: int = 0, prompt: str = "", length: int = 500, temperature: float = 1.0, top_k: int = 0
    ) -> list[str]:
        """``items`` continuations of ``prompt``, each with it in front. Each has chance of its own: the first 2 of 5 are the 2 of 2.

        Args:
            prompt: what the text begins with; without one, the first line of a text.
            length: tokens to be drawn.
            temperature: scores are divided by it: below 1 likelier tokens gain, and at 0 the likeliest is always taken.
            top_k: draw among this many of the likeliest only; 0: among all. ``<unk>`` is never drawn.

        Raises:
            PaperzooError: a number out of range, or a prompt that the model cannot read.
        """
        if items < 1 or length < 1:
            raise PaperzooError(f"cannot draw {items} samples of {length} {self.unit}s: ask for at least 1 of each")
        if not temperature >= 0 or not math.isfinite(temperature) or top_k < 0:
            raise PaperzooError(f"temperature and top_k must not be negative, but are {temperature} and {top_k}")
        began = self.encode(prompt) if prompt else []
        first = self._number.get("\n" if self.unit == "character" else END)
        tokens = torch.tensor([[*([] if first is None else [first]), *began] or [min(1, len(self.vocabulary) - 1)]])
        chance = torch.stack([torch.rand(length, generator=torch.Generator().manual_seed(s)) for s in _seeds(seed, items)])  # (N, T)
        device, was_training = next(self.parameters()).device, self.training
        self.eval()
        with torch.no_grad():
            scores, state = self.read(tokens.expand(items, -1).to(device), None)
            drawn = []
            for step in chance.unbind(1):
                drawn.append(choose(scores[:, -1].cpu(), step, temperature, top_k))
                scores, state = self.read(drawn[-1][:, None].to(device), state)
        self.train(was_training)
        return [self.decode([*began, *row]) for row in torch.stack(drawn, 1).tolist()]

    def predict(self, input: Any) -> Any:
        """How probable each token of a text is, given those before it.

        Returns:
            A ``Reading``; for a list of texts a list of them.

        Raises:
            PaperzooError: no text, or one that the model cannot read.
        """
        if isinstance(input, list | tuple):
            return [self.predict(one) for one in input]
        if not isinstance(input, str) or not input.strip():
            raise PaperzooError(f"a language model needs a text, or a list of texts, not {input!r}")
        numbers = self.encode(input)
        first = self._number.get("\n" if self.unit == "character" else END, 0)
        tokens, device, was_training = torch.tensor([[first, *numbers]]), next(self.parameters()).device, self.training
        self.eval()
        with torch.no_grad():
            state: State | None = None
            parts = []
            for piece in torch.split(tokens[:, :-1], 1000, 1):
                scores, state = self.read(piece.to(device), state)
                parts.append(scores[0].float().log_softmax(1).cpu())
        self.train(was_training)
        found = torch.cat(parts).gather(1, tokens[0, 1:, None])[:, 0].exp().clamp(min=1e-45)  # (T)
        return Reading(tuple(self.vocabulary[n] for n in numbers), tuple(found.tolist()), self.unit)

    def encode(self, text: str) -> list[int]:
        """A text as numbers. Unknown words are ``<unk>``.

        Raises:
            PaperzooError: a character is not in the vocabulary, or no word is.
        """
        if self.unit == "character":
            if unknown := [character for character in text if character not in self._number]:
                known = "".join(sorted(c for c in self.vocabulary[1:] if c.isprintable()))
                raise PaperzooError(f"this model has never seen the character {unknown[0]!r}; it knows {known}")
            return [self._number[character] for character in text]
        words = [w for word in text.split() for w in ([word] if word in self._number else pieces(word).split())]
        numbers = [self._number.get(word, 0) for word in words]
        if words and not any(numbers):
            known = " ".join(self.vocabulary[1:9])
            raise PaperzooError(f"this model knows none of the words of {' '.join(words[:8])!r}; it knows {known} ...")
        return numbers

    def decode(self, numbers: Iterable[int]) -> str:
        """Numbers as text."""
        tokens = [self.vocabulary[number] for number in numbers]
        if self.unit == "character":
            return "".join(tokens)
        return " ".join("\n" if token == END else token for token in tokens).replace(" \n ", "\n").replace(" \n", "\n")

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """Two samples as text, and a held-out passage coloured by the probability of each token."""
        folder.mkdir(parents=True, exist_ok=True)
        sample = folder / f"{stem}-sample.txt"
        length = 800 if self.unit == "character" else 150
        cold, warm = (self.sample(1, 0, length=length, temperature=t)[0] for t in (0.7, 1.0))
        sample.write_text(f"temperature 0.7\n\n{cold.strip()}\n\ntemperature 1\n\n{warm.strip()}\n", encoding="utf-8")
        column, device = dataset[split].columns[0], next(self.parameters()).device
        wanted = 1000 if self.unit == "character" else 200
        tokens: list[str] = []
        nats: list[float] = []
        state: State | None = None
        streams = getattr(column, "streams", 1)
        for item in range(streams // 2, len(column), streams):  # one stream, from the midst of the text
            batch = dataset[split].batch([item])
            scores, state = self.read(batch.tokens.to(device), state)
            real = batch.target[0] >= 0
            nats += F.cross_entropy(scores[0].float().cpu()[real], batch.target[0, real], reduction="none").tolist()
            tokens += [self.vocabulary[number] for number in batch.target[0, real].tolist()]
            if len(tokens) >= 2 * wanted:
                break
        last = slice(-wanted, None)  # what comes first is read without knowing much, and not shown if there is enough
        shown = Reading(tuple(tokens[last]), tuple(math.exp(-min(n, 90.0)) for n in nats[last]), self.unit)
        return [sample, save(passage(shown), folder / f"{stem}-passage.png")]

    @classmethod
    def check(cls, schema: Schema) -> None:
        """Raises ``PaperzooError`` unless data of this schema is running text."""
        if "tokens" in schema.fields and "target" not in schema.fields:
            raise PaperzooError(
                f"{cls.task} needs running text, but {schema.name} is words for vectors or tags: your own text is "
                f"--data characters:PATH or --data words:PATH"
            )
        super().check(schema)

    def _through(self, dataset: Dataset, split: str) -> Iterable[tuple[Tensor, Tensor]]:
        """Nats and targets, (N, T) each, of the split's items in order; every stream's state goes on from turn to turn."""
        column, device, state = dataset[split].columns[0], next(self.parameters()).device, None
        streams = getattr(column, "streams", 1)
        for begin in range(0, len(column), streams):
            batch = dataset[split].batch(np.arange(begin, begin + streams))
            scores, state = self.read(batch.tokens.to(device), state)
            target = batch.target.to(device)
            yield F.cross_entropy(scores.transpose(1, 2), target, ignore_index=-1, reduction="none").cpu(), batch.target


def choose(scores: Tensor, chance: Tensor, temperature: float, top_k: int) -> Tensor:
    """Tokens (N) drawn by ``chance`` (N) in [0, 1) from scores (N, V), number 0 left out; see ``LanguageModel.sample``."""
    scores = scores.float().clone()
    if scores.shape[1] > 1:
        scores[:, 0] = -math.inf
    if temperature == 0:
        return scores.argmax(1)
    scores /= temperature
    if 0 < top_k < scores.shape[1]:
        scores = scores.masked_fill(scores < scores.topk(top_k).values[:, -1:], -math.inf)
    ladder = scores.softmax(1).double().cumsum(1)  # (N, V)
    return torch.searchsorted(ladder, chance.double()[:, None] * ladder[:, -1:], right=True)[:, 0].clamp(max=scores.shape[1] - 1)


def _seeds(seed: int, items: int) -> list[int]:
    return np.random.SeedSequence(seed).generate_state(items, np.uint64).astype(np.int64).__abs__().tolist()  # type: ignore[no-any-return]


def _colour(probability: float) -> str:
    """White for what was certain to come, over yellow to dark red for what was not."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    surprise = min(-math.log(max(probability, 1e-45)), _DARK) / _DARK
    return str(to_hex(colormaps["YlOrRd"](0.75 * surprise) if surprise > 0.02 else (1, 1, 1)))


def passage(reading: Reading, width: int = 88, lines: int = 16) -> Figure:
    """A text in a fixed-width font, each token on the colour of its probability, with what the colours mean below."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    pieces: list[tuple[int, int, str, float]] = []  # line, column, text, probability
    line = column = 0
    for token, probability in zip(reading.tokens, reading.probabilities, strict=True):
        shown = {"\n": "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}", END: "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}"}.get(token, token)
        if column + len(shown) > width and column:
            line, column = line + 1, 0
        if line >= lines:
            break
        pieces.append((line, column, shown, probability))
        column += len(shown) + (reading.unit == "word")
        if token in ("\n", END):
            line, column = line + 1, 0
    used = max((piece[0] for piece in pieces), default=0) + 1
    at = 0
    for probability in (1.0, 0.5, 0.2, 0.05, 0.01, math.exp(-_DARK)):
        label = f" {probability:.2g} "
        pieces.append((used + 1, at, label, probability))
        at += len(label)
    pieces.append((used + 1, at + 1, "probability of what came, given all before it", 1.0))
    letter, height, rows = 0.0875, 0.2, used + 3  # inches of one letter of 10 points, of one line
    size = (letter * (width + 2), height * rows)
    figure = Figure(figsize=size)
    for row, column, text, probability in pieces:
        x, y = letter * (column + 1) / size[0], 1 - height * (row + 1) / size[1]
        box = (x, y - 0.5 * height / size[1]), letter * len(text) / size[0], height / size[1]
        figure.add_artist(Rectangle(*box, facecolor=_colour(probability), edgecolor="none"))
        figure.text(x, y, _printable(text), family="monospace", size=10, parse_math=False, va="center_baseline")
    return figure


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() and ord(c) < 0x2C00 else "\N{WHITE SQUARE}" for c in text)
