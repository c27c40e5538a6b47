"""Books as pairs of segments: for each, whether the second really follows the first (Devlin et al. 2018, sections 3.1 and A.2)."""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from paperzoo.data.dataset import Column, Dataset, Schema, Split
from paperzoo.data.encoding import read_text
from paperzoo.data.fetch.prepared import prepared
from paperzoo.data.fetch.sources import sha256
from paperzoo.data.options import options
from paperzoo.data.paths import shown
from paperzoo.data.text.corpus import text_files
from paperzoo.data.text.literature import novels
from paperzoo.data.text.running import shakespeare_texts
from paperzoo.data.text.wordpiece import WordPiece, learn
from paperzoo.errors import PaperzooError, unknown

#: where a second segment that does not follow comes from: anywhere, or the same book
NEGATIVES = ("any", "book")
#: what follows ``sentences:PATH#``
OPTIONS = {
    "length": "pieces in a pair of segments, 128 by default",
    "pieces": "size of the vocabulary, 5000 by default",
    "negatives": "where segments that do not follow come from: any or book",
}
#: a sentence of more words, and a word of more letters, is broken: a text may have neither full stops nor blanks
LONGEST_SENTENCE, LONGEST_WORD = 200, 100

_PARAGRAPH = re.compile(r"\n\s*\n")
_TITLES = r"(?<!\bMr\.)(?<!\bMrs\.)(?<!\bDr\.)(?<!\bSt\.)(?<!\bCapt\.)(?<!\bCol\.)"
_END = re.compile(rf"(?<=[.!?]){_TITLES}\s+|(?<=[.!?][\"'\u2019\u201d)_]){_TITLES}\s+")


class Book(NamedTuple):
    """A text whose sentences follow one another, and which corpus it belongs to."""

    corpus: str
    sentences: list[str]


@dataclass(frozen=True)
class Books(Dataset):
    """Splits of ``tokens`` and ``segment`` int64 (N, T), ``length`` (N), ``next`` (N): 1 where the second segment follows the first,
    and ``akin`` (N): 1 where both are of the same corpus.

    ``schema.arguments`` has ``vocabulary``, of WordPiece, learnt from the training split.

    Attributes:
        shares: how often each piece occurs in the training split, summing to 1; float64 (V).
    """

    shares: np.ndarray | None = None


class Segments:
    """``[CLS] A [SEP] B [SEP]``: A are sentences of a book, B those that follow in it or, in half of the items, others.

    Item i begins at a fixed sentence; where A ends (with a sentence, near a place in the middle half) and what B is are drawn anew each
    time from torch's generator, which the engine seeds for every step. A sentence that fills an item alone makes none. Items fill
    ``length`` pieces but at the end of a book. A wrong B begins with a sentence as the true one does and has as many pieces,
    so that its length does not give it away; it is never the true one.

    Args:
        flat: pieces of all books, one after the other; int32 (L).
        starts: where sentences begin in it, int64 (S).
        ends: where each book ends, int64 (B).
        corpus: a number for each book's corpus, int64 (B).
        marks: numbers of [CLS], [SEP] and [PAD].
    """

    def __init__(
        self, flat: np.ndarray, starts: np.ndarray, ends: np.ndarray, corpus: np.ndarray, marks: tuple[int, int, int], length: int,
        negatives: str = "any",
    ) -> None:  # fmt: skip
        self.flat, self.ends, self.corpus, self.marks = flat, ends, corpus, marks
        self.length, self.negatives, self.budget = length, negatives, length - 3
        self.starts = starts
        self.book = np.searchsorted(ends, self.starts, "right")  # (S) the book of each sentence
        left = ends[self.book] - self.starts  # (S) pieces from here to the end of the book
        self.order = np.argsort(-left, kind="stable")
        self.rank = np.empty_like(self.order)
        self.rank[self.order] = np.arange(len(self.order))
        self.less = -left[self.order]  # rising
        self.items = self._items()

    def _items(self) -> np.ndarray:
        """Sentences that items begin with: each item begins after the one before has ended."""
        firsts, at = [], 0
        while at < len(self.starts):
            begin, end = self.starts[at], self.ends[self.book[at]]
            after = int(np.searchsorted(self.starts, min(begin + self.budget, end)))
            if after - at >= 2:  # A and B have a sentence each
                firsts.append(at)
            at = max(after, at + 1)
        return np.array(firsts, np.int64)

    def __len__(self) -> int:
        return len(self.items)

    def to(self, device: torch.device) -> Segments:
        return self  # put together on the host, a batch at a time

    def join(self, other: Column) -> Segments:
        assert isinstance(other, Segments) and (other.length, other.negatives) == (self.length, self.negatives)
        flat, starts = np.concatenate([self.flat, other.flat]), np.concatenate([self.starts, other.starts + len(self.flat)])
        ends, corpus = np.concatenate([self.ends, other.ends + len(self.flat)]), np.concatenate([self.corpus, other.corpus])
        return Segments(flat, starts, ends, corpus, self.marks, self.length, self.negatives)

    def drawn_from(self, negatives: str) -> Segments:
        """The same items with wrong segments from elsewhere."""
        other = copy.copy(self)
        other.negatives = negatives
        return other

    def draw(self, indices: np.ndarray) -> tuple[np.ndarray, ...]:
        """For each item int64 (N): where A begins, where it ends, where B begins, how long B is; and bool whether B follows A."""
        chance = torch.rand(3, len(indices), dtype=torch.float64).numpy()
        first = self.items[indices]
        begin, book = self.starts[first], self.book[first]
        end = np.minimum(begin + self.budget, self.ends[book])
        middle = begin + np.ceil((end - begin) * (0.25 + 0.5 * chance[0])).astype(np.int64)
        last = np.searchsorted(self.starts, end) - 1
        right = np.minimum(np.searchsorted(self.starts, middle), last)  # of the sentences that begin on either side of it
        left = np.maximum(right - 1, first + 1)
        true = np.where(np.abs(self.starts[left] - middle) <= np.abs(self.starts[right] - middle), left, right)  # the nearer one
        cut = self.starts[true]
        wanted = end - cut
        if self.negatives == "any":  # among all sentences that are followed by as many pieces, by place in ``order``
            count = np.searchsorted(self.less, -wanted, "right")
            place, last = np.floor(chance[1] * (count - 1)).astype(np.int64), count - 1
            other = self.order[np.where(place == self.rank[true], last, place)]
        else:
            low = np.searchsorted(self.book, book)
            count = np.searchsorted(self.starts, self.ends[book] - wanted, "right") - low
            place = low + np.floor(chance[1] * (count - 1)).astype(np.int64)
            other = np.where(place == true, low + count - 1, place)
        follows = (chance[2] < 0.5) | (count < 2)
        return begin, cut, np.where(follows, cut, self.starts[other]), wanted, follows

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        begin, cut, second, size, follows = self.draw(indices)
        size_a = cut - begin  # (N) pieces of A
        length = size_a + size + 3
        t, split = np.arange(length.max(initial=3)), (size_a + 1)[:, None]  # split: the place of the [SEP] between
        source = np.where(t < split, begin[:, None] + t - 1, second[:, None] + t - split - 1)  # (N, T) places in flat
        tokens = self.flat[np.clip(source, 0, len(self.flat) - 1)].astype(np.int64)
        cls, sep, pad = self.marks
        tokens[:, 0] = cls
        tokens[t == split] = tokens[t == length[:, None] - 1] = sep
        inside = t < length[:, None]
        books = np.searchsorted(self.ends, np.stack([begin, second]), "right")
        fields = {
            "tokens": np.where(inside, tokens, pad),
            "segment": ((t > split) & inside).astype(np.int64),
            "length": length,
            "next": follows.astype(np.int64),
            "akin": (self.corpus[books[0]] == self.corpus[books[1]]).astype(np.int64),
        }
        return {name: torch.from_numpy(values) for name, values in fields.items()}


def books(
    name: str, read: Callable[[], Mapping[str, Sequence[Book]]], licence: str, source: str, *,
    length: int = 128, negatives: str = "any", pieces: int = 5000, pictures: bool = True, key: str = "",
) -> Books:  # fmt: skip
    """A data set from books by split, ``train`` among them.

    Args:
        read: gives the books; called only if their pieces are not in the cache.
        length: pieces in a pair of segments, [CLS] and the two [SEP] counted.
        negatives: see ``NEGATIVES``.
        pieces: size of the vocabulary.
        key: if given, the pieces are kept in the cache under this name, which must change with the books.

    Raises:
        PaperzooError: an option is out of range, or a split has no book of two sentences.
    """
    if negatives not in NEGATIVES:
        raise unknown("negatives", negatives, NEGATIVES, f"of {name}")
    if length < 8:
        raise PaperzooError(f"a pair of segments needs a length of at least 8 pieces, not {length}")
    arrays = prepared(f"{key}-{pieces}", lambda: _numbered(read(), pieces)) if key else _numbered(read(), pieces)
    vocabulary = tuple(bytes(arrays["vocabulary"]).decode().split("\n"))
    wordpiece, built = WordPiece(vocabulary), {}
    for split in (name.removesuffix(".flat") for name in arrays if name.endswith(".flat")):
        flat, starts, ends, corpus = (arrays[f"{split}.{part}"] for part in ("flat", "starts", "ends", "corpus"))
        marks = wordpiece.first, wordpiece.separator, wordpiece.pad
        built[split] = Split(Segments(flat, starts, ends, corpus, marks, length, negatives))
        if not len(built[split]):
            raise PaperzooError(f"the {split} split of {name} has no text of two sentences ({source})")
    counts = np.bincount(arrays["train.flat"], minlength=len(vocabulary)).astype(np.float64)
    schema = Schema(name, ("tokens", "segment", "length", "next", "akin"), {"vocabulary": vocabulary})
    return Books(schema, built, licence, source, pictures, shares=counts / counts.sum())


def _numbered(splits: Mapping[str, Sequence[Book]], pieces: int) -> dict[str, np.ndarray]:
    vocabulary = learn((text for book in splits["train"] for text in book.sentences), pieces)
    wordpiece = WordPiece(vocabulary)
    names = sorted({book.corpus for part in splits.values() for book in part})
    arrays: dict[str, np.ndarray] = {"vocabulary": np.frombuffer("\n".join(vocabulary).encode(), np.uint8)}
    for split, group in splits.items():
        rows = [[row for row in wordpiece.encode(book.sentences) if row] for book in group]
        kept = [i for i, book in enumerate(rows) if book]
        sizes = np.array([len(row) for i in kept for row in rows[i]], np.int64)
        flat = np.fromiter((number for i in kept for row in rows[i] for number in row), np.int32)
        arrays[f"{split}.flat"] = flat
        arrays[f"{split}.starts"] = np.cumsum(sizes) - sizes
        arrays[f"{split}.ends"] = np.cumsum([sum(map(len, rows[i])) for i in kept], dtype=np.int64)
        arrays[f"{split}.corpus"] = np.array([names.index(group[i].corpus) for i in kept], np.int64)
    return arrays


def sentences_of(text: str) -> list[str]:
    """Paragraphs (an empty line ends one) cut after . ! and ? where a blank follows, but not after Mr. and the like."""
    paragraphs = (" ".join(part.split()) for part in _PARAGRAPH.split(text))
    return [part for paragraph in paragraphs for sentence in _END.split(paragraph) for part in _parts(sentence)]


def _parts(sentence: str) -> list[str]:
    if len(sentence) > LONGEST_WORD:
        sentence = re.sub(rf"(\S{{{LONGEST_WORD}}})(?=\S)", r"\1 ", sentence)
    words = sentence.split()
    return [" ".join(words[at : at + LONGEST_SENTENCE]) for at in range(0, len(words), LONGEST_SENTENCE)]


def own(path: Path, text: str = "") -> Books:
    """The user's own text: a file, or a folder of ``.txt`` files, each a book; empty lines end paragraphs.

    ``text`` are options, see ``OPTIONS``. Of every book the first 90 % of the sentences are to train on; the next 5 % are for
    validation and the last 5 % to test.

    Raises:
        PaperzooError: a file that cannot be read or is empty, see ``encoding.read_text``; an option that is unknown or no number; or
            too little text.
    """
    settings = options(text, OPTIONS, f"sentences:{shown(path)}", {"length": 1, "pieces": 1})
    splits: dict[str, list[Book]] = {"train": [], "validation": [], "test": []}
    for file in text_files(path):
        sentences = sentences_of(read_text(file))
        bounds = (0, round(0.9 * len(sentences)), round(0.95 * len(sentences)), len(sentences))
        for split, a, b in zip(splits, bounds, bounds[1:], strict=False):
            splits[split].append(Book("own", sentences[a:b]))
    if min(max(len(book.sentences) for book in group) for group in splits.values()) < 2:
        few = f"{shown(path)} has too few sentences: 5 % of them, held out, must be at least two in one file"
        raise PaperzooError(f"{few} (a sentence ends with . ! or ?, or at an empty line)")
    chosen, licence = settings.get("negatives", "any"), "the user's own"
    length, pieces = int(settings.get("length", 128)), int(settings.get("pieces", 5000))
    return books(path.stem, lambda: splits, licence, shown(path), length=length, negatives=chosen, pieces=pieces, pictures=False)


#: novels by their first line
_NOVEL = {"northanger abbey": "test", "persuasion": "validation"}


def austen_shakespeare(austen: Path, shakespeare: Path, length: int = 128, negatives: str = "any", pieces: int = 5000) -> Books:
    """Six novels of Austen and 42 texts of Shakespeare; whole books are held out.

    ``validation``: Persuasion, Henry V and Twelfth Night; ``test``: Northanger Abbey, Macbeth, The Tempest and Richard II.
    """
    licence, source = "texts in the public domain", "R's janeaustenr by Debian, and the package shakespeare 0.6"
    key = f"books-{_digest(austen, shakespeare)}"
    return books(
        "books", lambda: _library(austen, shakespeare), licence, source, length=length, negatives=negatives, pieces=pieces, key=key
    )


@lru_cache(maxsize=2)
def _digest(*paths: Path) -> str:
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()  # other cutting gives other pieces
    return hashlib.sha256("".join([code, *map(sha256, paths)]).encode()).hexdigest()[:16]


def _library(austen: Path, shakespeare: Path) -> dict[str, list[Book]]:
    splits = {
        split: [Book("shakespeare", sentences_of(play)) for play in plays] for split, plays in shakespeare_texts(shakespeare).items()
    }
    for novel in novels(austen):
        title = novel.lstrip().partition("\n")[0].strip().lower()
        splits[_NOVEL.get(title, "train")].append(Book("austen", sentences_of(novel)))
    return splits


def text_folder(path: Path, length: int = 128, pieces: int = 30_522) -> Books:
    """A folder of ``.txt`` files, a book each, with the paper's vocabulary size."""
    return own(path, f"length={length}&pieces={pieces}")


# --- made-up stories ---------------------------------------------------------------------------------------------------

_WHO = ("cat", "dog", "fox", "owl", "hen", "pig", "bee", "ant")
_DAY = ("wakes at dawn", "drinks some milk", "walks up the hill", "meets an old friend", "sings a loud song", "eats red apples",
        "sweeps its little house", "sleeps until dawn")  # fmt: skip


def stories(seed: int = 0) -> list[Book]:
    """Made-up lives: every day has the same eight events in the same order, so what follows a sentence can be known."""
    chance, lives = np.random.default_rng(seed), []
    for _ in range(400):
        who, at = str(chance.choice(_WHO)), int(chance.integers(8))
        lives.append(Book("stories", [f"the {who} {_DAY[(at + i) % 8]} ." for i in range(40)]))
    return lives


def made_up(length: int = 32, negatives: str = "any") -> Books:
    """``stories`` as a data set; the last eighty books are held out. Their sentences occur in training: only their order counts."""
    every = stories()
    splits = {"train": every[:-80], "validation": every[-80:-60], "test": every[-60:]}
    return books("stories", lambda: splits, "CC0", "made up here, seed 0", length=length, negatives=negatives, pieces=120)
