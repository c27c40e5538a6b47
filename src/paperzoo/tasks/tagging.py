"""Tagging words: entity F1, spans found in a sentence, sentences with true and found spans side by side."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from paperzoo.data import Batch, Dataset, Schema
from paperzoo.data.text.tagging import PAD, UNKNOWN, encode
from paperzoo.errors import PaperzooError
from paperzoo.metrics.entity_f1 import Score, entity_f1, illegal, scheme_of, spans
from paperzoo.tasks.model import Model
from paperzoo.tasks.pictures import save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: backgrounds on which black is readable, given to the types in order
_COLOURS = ("#a6d8f0", "#f7c59f", "#b8e0b0", "#f4b6c2", "#d9c6ec", "#f2e394", "#b0e0dc", "#e3cbb5", "#c9d3e8", "#d6d6d6")
_TOKEN = re.compile(  # links, names and tags, numbers, U.S., ca|n't, 's, words, and any other character by itself
    r"(?:https?://|www\.)\S+|[@#]\w+|\d+(?:[.,:]\d+)+|(?:[A-Z]\.){2,}|\w+?(?=n't\b)|n't\b|'\w+|\w+(?:-\w+)*|\S"
)


@dataclass(frozen=True)
class Span:
    """An entity: words ``start`` to ``end`` (one past the last) of the sentence, counted from 0."""

    text: str
    type: str
    start: int
    end: int


@dataclass(frozen=True)
class Tagging:
    """One tagged sentence. ``types`` are all that the tagger knows: a type keeps its colour from sentence to sentence."""

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    spans: tuple[Span, ...]
    types: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join(f"[{text} {kind}]" if kind else text for text, kind in self._pieces())

    def __rich__(self) -> Any:
        """The sentence with its spans in colour, for a terminal."""
        from rich.text import Text

        text, colours = Text(), colour_of(self.types)
        for piece, kind in self._pieces():
            text.append(" " if text else "")
            if kind:
                text.append(f" {piece} ", style=f"black on {colours[kind]}").append(kind, style=f"bold {colours[kind]}")
            else:
                text.append(piece)
        return text

    def html(self) -> str:
        """The sentence as an HTML fragment, spans marked in colour."""
        colours, out = colour_of(self.types), []
        for text, kind in self._pieces():
            text = html.escape(text)
            style = f"background:{colours.get(kind, '')};color:#000;padding:.1em .3em;border-radius:.3em"
            label = f'<sub style="font-size:.65em;margin-left:.4em">{html.escape(kind)}</sub>'
            out.append(f'<mark style="{style}">{text}{label}</mark>' if kind else text)
        return f'<p style="line-height:1.9">{" ".join(out)}</p>'

    _repr_html_ = html

    def _pieces(self) -> Iterator[tuple[str, str]]:
        """Words outside of spans one by one, spans whole; each with its type or ``""``."""
        starts, at = {span.start: span for span in self.spans}, 0
        while at < len(self.tokens):
            span = starts.get(at)
            yield (span.text, span.type) if span else (self.tokens[at], "")
            at = span.end if span else at + 1


class Tagger(Model):
    """A model that gives every word of a sentence a tag. Subclasses define ``tag``.

    Args:
        vocabulary: what words may be known by, see ``paperzoo.data.text.tagging.forms``; begins with ``<pad>``, ``<unk>``.
        tags: names of the tags, IOB2 or IOBES; begins with ``O``.

    Raises:
        PaperzooError: the vocabulary or the tags begin otherwise or repeat themselves.
    """

    task = "tagging"
    needs = ("tokens", "tags")

    def __init__(self, vocabulary: Sequence[str], tags: Sequence[str]) -> None:
        super().__init__()
        for what, names, first in (("vocabulary", vocabulary, (PAD, UNKNOWN)), ("tags", tags, ("O",))):
            if tuple(names[: len(first)]) != first:
                given = ", ".join(names[: len(first)]) or "nothing"
                raise PaperzooError(f"{what} must begin with {', '.join(first)}, not with {given}")
            if len(set(names)) < len(names):
                raise PaperzooError(f"{what} names {next(n for i, n in enumerate(names) if n in names[:i])!r} twice")
        wrong = [tag for tag in tags[1:] if not re.fullmatch(r"[BIES]-\S+", tag)]
        if wrong:
            raise PaperzooError(f"tag {wrong[0]!r} is neither O nor B-, I-, E- or S- with a type")
        self.vocabulary, self.tags, self.scheme = tuple(vocabulary), tuple(tags), scheme_of(tags)
        self.types = tuple(dict.fromkeys(tag[2:] for tag in tags[1:]))
        self._index = {word: number for number, word in enumerate(vocabulary)}

    def tag(self, tokens: Tensor, length: Tensor) -> Tensor:
        """The numbers of the tags, int64 (N, T), for tokens (N, T), of which the first ``length`` (N) are real."""
        raise TypeError(f"{type(self).__name__} does not say how it tags")

    def predict(self, input: Any) -> Any:
        """Finds entities in a sentence given as a string (which is cut into words) or as a list of words.

        Returns:
            A ``Tagging``; for a list of sentences a list of them. A list of strings is one sentence if no string has a
            blank in it, else every string is a sentence.

        Raises:
            PaperzooError: the input is neither text nor a list of it.
        """
        if isinstance(input, str):
            return self._taggings([words_of(input)])[0]
        if not isinstance(input, list | tuple):
            raise PaperzooError(f"tagging needs a string, a list of words, or a list of these, not {type(input).__name__}")
        one = bool(input) and all(isinstance(word, str) and not re.search(r"\s", word) for word in input)
        sentences = [input] if one else [words_of(text) if isinstance(text, str) else text for text in input]
        for words in sentences:
            if not isinstance(words, list | tuple):
                raise PaperzooError(f"a sentence must be a string or a list of words, not {words!r}")
            for word in words:
                if not isinstance(word, str) or not word:
                    raise PaperzooError(f"a word must be a string that is not empty, not {word!r}")
        found = self._taggings(sentences)
        return found[0] if one else found

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """Scores over the whole split.

        ``entity F1 %`` with its ``entity precision %`` and ``entity recall %``: strict and micro-averaged, by seqeval.
        ``illegal transitions %``: of all transitions of the found tags, ends of sentences included, those that cannot be.
        ``token accuracy % (secondary)``: of the real words, padding not counted. Most words are O, so it says little.
        """
        gold, found = self._outputs(dataset, split)
        score, _ = entity_f1([g for _, g in gold], found, self.scheme)
        right = sum(a == b for (_, tags), guess in zip(gold, found, strict=True) for a, b in zip(tags, guess, strict=True))
        total = sum(map(len, found))
        return {
            "entity F1 %": score.f1,
            "entity precision %": score.precision,
            "entity recall %": score.recall,
            "illegal transitions %": 100 * sum(illegal(tags, self.scheme) for tags in found) / (total + len(found)),
            "token accuracy % (secondary)": 100 * right / total,
        }

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """Eight sentences with true and found spans, as picture and as HTML fragment; F1 by type."""
        gold, found = self._outputs(dataset, split)
        _, by_type = entity_f1([g for _, g in gold], found, self.scheme)
        with_spans = [i for i, (_, tags) in enumerate(gold) if spans(tags, self.scheme)][:8] or range(min(8, len(gold)))
        pairs = [(self._tagging(*gold[i]), self._tagging(gold[i][0], found[i])) for i in with_spans]
        folder.mkdir(parents=True, exist_ok=True)
        page = folder / f"{stem}-sentences.html"
        both = [named for pair in pairs for named in zip(("true", "found"), pair, strict=True)]
        rows = [f"<tr><th>{what}</th><td>{tagging.html()}</td></tr>" for what, tagging in both]
        page.write_text(f"<table>{''.join(rows)}</table>\n", encoding="utf-8")
        return [
            _picture(pairs, colour_of(self.types), folder / f"{stem}-sentences.png"),
            _bars(by_type, colour_of(self.types), folder / f"{stem}-types.png"),
            page,
        ]

    @classmethod
    def check(cls, schema: Schema) -> None:
        """Raises ``PaperzooError`` unless data of this schema has tokens, tags, and their names."""
        super().check(schema)
        for name in ("vocabulary", "tags"):
            if name not in schema.arguments:
                raise PaperzooError(f"{cls.task} needs data that knows its {name}, but {schema.name} does not")

    def _outputs(self, dataset: Dataset, split: str) -> tuple[list[tuple[list[str], list[str]]], list[list[str]]]:
        """The words of each sentence with its true tags, and the found ones.

        Data with another vocabulary is numbered anew from its words.
        """
        names, same = dataset.schema.arguments["tags"], tuple(dataset.schema.arguments["vocabulary"]) == self.vocabulary
        gold, found = [], []
        for indices in dataset[split].batches(200):
            batch: Batch = dataset[split].batch(indices)
            gold += [(w, [names[t] for t in row[: len(w)]]) for w, row in zip(batch.words, batch.tags.tolist(), strict=True)]
            found += self._tag(batch.tokens, batch.length) if same else self._tag(*self._padded(batch.words))
        return gold, found

    def _padded(self, sentences: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
        rows = [torch.tensor(encode(words, self._index)) for words in sentences]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows])

    def _tag(self, tokens: Tensor, length: Tensor) -> list[list[str]]:
        device = next(self.parameters()).device
        numbers = self.tag(tokens.to(device), length.to(device)).tolist()
        return [[self.tags[i] for i in row[:n]] for row, n in zip(numbers, length.tolist(), strict=True)]

    def _taggings(self, sentences: Sequence[Sequence[str]]) -> list[Tagging]:
        found: list[list[str]] = [[] for _ in sentences]
        full = [i for i, words in enumerate(sentences) if words]  # a sentence without words has no tags
        was_training = self.training
        self.eval()
        with torch.no_grad():
            for start in range(0, len(full), 200):
                part = full[start : start + 200]
                for i, tags in zip(part, self._tag(*self._padded([sentences[i] for i in part])), strict=True):
                    found[i] = tags
        self.train(was_training)
        return [self._tagging(words, tags) for words, tags in zip(sentences, found, strict=True)]

    def _tagging(self, words: Sequence[str], tags: Sequence[str]) -> Tagging:
        marked = tuple(Span(" ".join(words[a:b]), kind, a, b) for kind, a, b in spans(tags, self.scheme))
        return Tagging(tuple(words), tuple(tags), marked, self.types)


def words_of(text: str) -> list[str]:
    """A string cut into words as tagged corpora cut them: punctuation and 's apart, links, @names and #tags whole."""
    return _TOKEN.findall(text)


def colour_of(types: Sequence[str]) -> dict[str, str]:
    """A background colour for each type."""
    return {kind: _COLOURS[i % len(_COLOURS)] for i, kind in enumerate(types)}


def _picture(pairs: Sequence[tuple[Tagging, Tagging]], colours: Mapping[str, str], path: Path, width: int = 104) -> Path:
    """Sentences in a fixed-width font, true above found, lines broken after ``width`` letters."""
    from matplotlib.figure import Figure

    pieces: list[tuple[int, int, str, str]] = []  # line, column, text, colour
    line = 0
    for pair in pairs:
        for what, tagging in zip(("true", "found"), pair, strict=True):
            pieces.append((line, 0, what, ""))
            column = 7
            for text, kind in tagging._pieces():
                text = re.sub(r"[^\u0020-\u2bff]", "\u25a1", text)  # the font has no more
                if column + len(text) > width and column > 7:
                    line, column = line + 1, 7
                pieces.append((line, column, text, colours.get(kind, "")))
                column += len(text) + 1
            line += 1
        line += 1  # an empty line between sentences
    used = [kind for kind in colours if any(s.type == kind for pair in pairs for t in pair for s in t.spans)]
    column = 7
    for kind in used:  # what the colours mean
        pieces.append((line, column, kind, colours[kind]))
        column += len(kind) + 2
    letter, height = 0.0875, 0.2  # inches of one letter of 10 points (7 of 80 pixels), of one line
    size = (letter * (width + 2), height * (line + 2))
    figure = Figure(figsize=size)
    for row, column, text, colour in pieces:
        box = {"facecolor": colour, "edgecolor": "none", "pad": 1.5} if colour else None
        x, y = letter * (column + 1) / size[0], 1 - height * (row + 1) / size[1]
        grey = "#888888" if column == 0 else "black"
        figure.text(x, y, text, family="monospace", size=10, color=grey, bbox=box, parse_math=False, va="center")
    return _save(figure, path)


def _bars(by_type: Mapping[str, Score], colours: Mapping[str, str], path: Path) -> Path:
    """F1 of each type, with the number of true spans behind it."""
    from matplotlib.figure import Figure

    kinds = sorted(by_type, key=lambda kind: by_type[kind].support)  # the most frequent on top
    figure = Figure(figsize=(5.5, 0.8 + 0.3 * max(1, len(kinds))), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(range(len(kinds)), [by_type[k].f1 for k in kinds], color=[colours.get(k, "#d6d6d6") for k in kinds])
    axes.set_yticks(range(len(kinds)), [f"{k} ({by_type[k].support})" for k in kinds])
    axes.set(xlabel="entity F1 %, by type (true spans)", xlim=(0, 100))
    for row, kind in enumerate(kinds):
        axes.text(by_type[kind].f1 + 1, row, f"{by_type[kind].f1:.0f}", va="center", fontsize=8)
    return _save(figure, path)


def _save(figure: Figure, path: Path) -> Path:
    """Few colours make a small file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=80)
    return save(Image.open(buffer).convert("RGB").quantize(64), path)
