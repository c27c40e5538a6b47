"""Running text for language models: characters or words in one long row, cut into streams that a model reads on and on."""

from __future__ import annotations

import math
import re
import sys
import tarfile
import zipfile
from bisect import bisect
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np
import torch

from paperzoo.data.dataset import Column, Dataset, Schema, Split
from paperzoo.data.encoding import decode, lines, read_text
from paperzoo.data.paths import files_below
from paperzoo.data.text.corpus import contents, plays
from paperzoo.errors import PaperzooError
from paperzoo.files import exists

#: number 0 of every vocabulary: what the training split does not have
UNKNOWN = "<unk>"
#: the end of a line, in text by words
END = "<eos>"

#: into how many streams a text is cut at most, and how many tokens of one lie in an item
STREAMS, SPAN = 64, 64


@dataclass(frozen=True)
class Text(Dataset):
    """Splits of ``tokens`` (N, T), ``target`` (N, T): the token after each, -1 where there is none, ``stream`` and ``place`` (N).

    ``schema.arguments`` has ``vocabulary`` (number 0 is ``<unk>``), ``unit`` (``character`` or ``word``) and ``streams``.

    Attributes:
        shares: how often each token of the vocabulary occurs in the training split, summing to 1; float64 (V).
        entropy: of a made-up source, the nats a token that no model can go below in the long run.
        ideal: of a made-up source, the nats a token that its own probabilities reach, by split.
    """

    shares: np.ndarray | None = None
    entropy: float | None = None
    ideal: Mapping[str, float] | None = None


class Tokens(Protocol):
    """Tokens, int32 (L), that are read where they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, places: Any) -> np.ndarray: ...

    def join(self, other: Any) -> Any:
        """These and then the other's."""


class Streams:
    """One text as a column: S streams of equal length, in items of ``span`` tokens; item i is turn ``i // S`` of stream ``i % S``.

    In sequential order each batch of up to S items goes on where earlier ones ended: ``place`` says at which token of the text
    an item begins, ``stream`` whose state it may go on from. Every token but the first is the target of exactly one item. The
    last stream may be shorter: its end is filled with token 0 and target -1.

    Args:
        flat: the tokens, int32 (L), at least 2; or the same in shards, which are read where they are asked for.
        streams: S at most; a text shorter than S items has fewer.
    """

    def __init__(self, flat: np.ndarray | Tokens, streams: int = STREAMS, span: int = SPAN) -> None:
        self.flat, self.asked, self.span = flat, streams, span
        predicted = len(flat) - 1
        self.turns = math.ceil(predicted / (streams * span))
        self.streams = math.ceil(predicted / (self.turns * span))

    def __len__(self) -> int:
        return self.streams * self.turns

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        turn, stream = np.divmod(indices, self.streams)
        place = (stream * self.turns + turn) * self.span  # (N)
        at = place[:, None] + np.arange(self.span + 1)  # (N, T + 1)
        inside = at < len(self.flat)
        window = self.flat[np.minimum(at, len(self.flat) - 1)].astype(np.int64)
        tokens, target = np.where(inside, window, 0)[:, :-1], np.where(inside, window, -1)[:, 1:]  # (N, T) each
        fields = {"tokens": np.ascontiguousarray(tokens), "target": np.ascontiguousarray(target), "stream": stream, "place": place}
        return {name: torch.from_numpy(values) for name, values in fields.items()}

    def to(self, device: torch.device) -> Streams:
        return self  # put together on the host, a batch at a time

    def join(self, other: Column) -> Streams:
        assert isinstance(other, Streams) and other.span == self.span
        if not isinstance(self.flat, np.ndarray) and not isinstance(other.flat, np.ndarray):
            return Streams(self.flat.join(other.flat), self.asked, self.span)
        assert isinstance(self.flat, np.ndarray) and isinstance(other.flat, np.ndarray)
        return Streams(np.concatenate([self.flat, other.flat]), self.asked, self.span)


def text(
    name: str, texts: Mapping[str, str], unit: str, licence: str, source: str, *,
    streams: int = STREAMS, span: int = SPAN, limit: int | None = None, pictures: bool = True,
) -> Text:  # fmt: skip
    """A data set from one text for each split.

    Args:
        texts: split -> text, ``train`` among them.
        unit: ``character``; or ``word``: what stands between blanks, with ``<eos>`` at the end of each line. What the training
            split does not have is ``<unk>`` elsewhere. For a model to learn how likely ``<unk>`` is, words that occur once in
            the training split are ``<unk>`` there, unless the text came with it.
        limit: only this many of the most frequent tokens are known.

    Raises:
        PaperzooError: a split has fewer than 2 tokens.
    """
    numbers = vocabulary(_characters(texts["train"]) if unit == "character" else Counter(words_of(texts["train"])), unit, limit)
    flat: dict[str, np.ndarray] = {}
    for split, content in texts.items():
        if unit == "character":
            flat[split] = numbered(numbers)[codes(content)]
        else:
            flat[split] = np.array([numbers.get(word, 0) for word in words_of(content)], np.int32)
        if len(flat[split]) < 2:
            few = f"the {split} split of {name} has {len(flat[split])} {unit}s"
            raise PaperzooError(f"{few}, and a language model needs at least 2 ({source})")
    counts = np.bincount(flat["train"], minlength=len(numbers))
    return dataset_of(name, flat, counts, list(numbers), unit, licence, source, streams, span, pictures)


def vocabulary(counted: Mapping[str, int], unit: str, limit: int | None = None) -> dict[str, int]:
    """The number of each token that is known, by how often each occurs in the training split; see ``text``."""
    least = 2 if unit == "word" and UNKNOWN not in counted else 1
    known = sorted((token for token, count in counted.items() if count >= least), key=lambda t: (-counted[t], t))[:limit]
    return {token: number for number, token in enumerate([UNKNOWN, *(t for t in known if t != UNKNOWN)])}


def numbered(numbers: Mapping[str, int]) -> np.ndarray:
    """The number of each character by its code, 0 where it is not known; int32 (codes)."""
    table = np.zeros(sys.maxunicode + 1, np.int32)
    for token, number in numbers.items():
        table[ord(token) if number else 0] = number
    return table


def codes(content: str) -> np.ndarray:
    """The code of each character; uint32 (L)."""
    return np.frombuffer(content.encode("utf-32-le"), np.uint32)


def _characters(content: str) -> Mapping[str, int]:
    """How often each character occurs: a text may have a hundred million."""
    counts = np.bincount(codes(content))
    return {chr(code): int(counts[code]) for code in np.flatnonzero(counts)}


def dataset_of(
    name: str, flat: Mapping[str, np.ndarray | Tokens], counts: np.ndarray, vocabulary: Sequence[str], unit: str, licence: str, source: str,
    streams: int = STREAMS, span: int = SPAN, pictures: bool = False, **more: Any,
) -> Text:  # fmt: skip
    """The data set of numbered tokens, by split; ``counts`` of each in the training split, int64 (V)."""
    splits = {split: Split(Streams(tokens, streams, span)) for split, tokens in flat.items()}
    arguments = {"vocabulary": tuple(vocabulary), "unit": unit, "streams": streams}
    schema = Schema(name, ("tokens", "target", "stream", "place"), arguments)
    return Text(schema, splits, licence, source, pictures, counts.astype(np.float64) / counts.sum(), **more)


#: a word with inner apostrophes and hyphens, a mark like <unk>, or any other character by itself
_PIECE = re.compile(r"<\w+>|\w+(?:['\N{RIGHT SINGLE QUOTATION MARK}-]\w+)*|[^\w\s]")


def pieces(text: str) -> str:
    """Text with blanks between words and punctuation, as ``words_of`` wants it; lines stay."""
    return "\n".join(" ".join(_PIECE.findall(line)) for line in lines(text))


def words_of(text: str) -> list[str]:
    """The tokens between blanks, and ``<eos>`` for each end of a line."""
    return [word for line in lines(text) for word in [*line.split(), END]]


def shakespeare_texts(archive: Path) -> dict[str, list[str]]:
    """``corpus.plays`` with lines stripped, and at most one empty line between two others, for the files differ in that."""

    def tidy(play: str) -> str:
        tidied = "\n".join(line.strip() for line in lines(play))
        return re.sub(r"\n{3,}", "\n\n", tidied).strip() + "\n\n"

    return {split: list(map(tidy, texts)) for split, texts in plays(archive).items()}


def shakespeare(archive: Path, unit: str = "character") -> Text:
    """Shakespeare by characters, 4.4 million to train on, or by words, the 10,000 most frequent of them in spans of 35.

    Validation is on Henry V and Twelfth Night; the test is on Macbeth, The Tempest and Richard II.
    """
    texts = {split: "".join(plays) for split, plays in shakespeare_texts(archive).items()}
    licence, source = "texts in the public domain", "Project Gutenberg, by the package shakespeare 0.6"
    if unit == "character":
        return text("shakespeare-characters", texts, unit, licence, source)
    texts = {split: pieces(content) for split, content in texts.items()}
    return text("shakespeare-words", texts, unit, licence, source, streams=32, span=35, limit=10_000)


def cut(whole: str, held: float = 0.05) -> dict[str, str]:
    """A text cut in order into ``train``, ``validation`` and ``test``; the last two have the share ``held`` each."""
    a, b = bounds(len(whole), held)
    return {"train": whole[:a], "validation": whole[a:b], "test": whole[b:]}


def bounds(characters: int, held: float = 0.05) -> tuple[int, int]:
    """Where ``cut`` cuts a text of so many characters."""
    return round(characters * (1 - 2 * held)), round(characters * (1 - held))


def tinyshakespeare(path: Path) -> Text:
    """Karpathy's ``input.txt``, a million characters of Shakespeare, in items of 50; 95 % are to train on, as in his program."""
    parts = cut(read_text(path), 0.025)
    return text("tinyshakespeare", parts, "character", "public domain", "github.com/karpathy/char-rnn", streams=50, span=50)


def ptb(path: Path, unit: str = "word", span: int = 35) -> Text:
    """The Penn Treebank as Mikolov prepared it: 10,000 words with ``<unk>`` and ``N``, a sentence a line.

    Args:
        path: ``simple-examples.tgz``, or a folder with ``ptb.train.txt``, ``ptb.valid.txt`` and ``ptb.test.txt``.
        unit: ``character``: of the files ``ptb.char.*.txt``, in which characters stand between blanks and ``_`` for a blank.

    Raises:
        PaperzooError: a file is missing, empty or not UTF-8.
    """
    kind = "" if unit == "word" else "char."
    names = {"train": f"ptb.{kind}train.txt", "validation": f"ptb.{kind}valid.txt", "test": f"ptb.{kind}test.txt"}
    if path.is_dir():
        by_name = {p.name: read_text(p) for p in files_below(path, *names.values())}
    else:
        by_name = {}
        try:
            with tarfile.open(path, "r:gz") as tar:
                for member in islice(tar, 10_000):
                    if member.isreg() and (name := PurePosixPath(member.name).name) in names.values():
                        by_name[name] = decode(contents(tar, member, path, 2**26), f"{path.name}: {name}")
        except (OSError, EOFError, tarfile.TarError) as error:
            raise PaperzooError(f"cannot read {path}: {error}") from error
    if missing := [name for name in names.values() if name not in by_name]:
        raise PaperzooError(f"{path} has no {' and no '.join(missing)}")
    texts = {split: by_name[name] for split, name in names.items()}
    if unit == "character":  # "n o _ i t" is "no it"
        texts = {split: content.replace(" ", "").replace("_", " ") for split, content in texts.items()}
    licence = "Linguistic Data Consortium; this part is passed round for research (Mikolov)"
    return text("ptb", texts, unit, licence, "Penn Treebank, prepared by Mikolov", streams=20, span=span, pictures=False)


def text8(path: Path) -> Text:
    """text8 (Mahoney): 100 million characters of Wikipedia, a to z and blank; 90, 5 and 5 million as is usual.

    Args:
        path: ``text8.zip``, or the file ``text8`` unpacked, or a folder with either. A file of another length is cut alike.

    Raises:
        PaperzooError: not there, empty, or with other characters than the 27.
    """
    if path.is_dir():
        path = next((path / name for name in ("text8", "text8.zip") if exists(path / name)), path / "text8")
    if path.suffix == ".zip":
        try:
            with zipfile.ZipFile(path) as archive, archive.open("text8") as file:
                content = file.read(2**28)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise PaperzooError(f"cannot read {path}: {error}") from error
        whole = decode(content, f"{path.name}: text8")
    else:
        whole = read_text(path)
    if other := re.search(r"[^a-z ]", whole.rstrip("\n")):
        raise PaperzooError(f"{path} is not text8: it has {other[0]!r} at offset {other.start()}, and text8 only a to z and blanks")
    return text("text8", cut(whole.rstrip("\n")), "character", "Wikipedia, CC BY-SA", "mattmahoney.net/dc/textdata")


def markov(order: int = 2, letters: int = 6, length: int = 120_000, seed: int = 0) -> Text:
    """Letters drawn one by one, each with chances that the ``order`` letters before it fix; they come from a Dirichlet of 0.3.

    The entropy rate is the sum over contexts of their long-run share times the entropy of what follows. No model that sees
    only the past has a lower loss in the long run; one that does sees what it is to predict.
    """
    random = np.random.default_rng(seed)
    chances = random.dirichlet(np.full(letters, 0.3), letters**order) * 0.95 + 0.05 / letters  # (contexts, letters)
    following = (np.arange(letters**order)[:, None] * letters + np.arange(letters)) % letters**order  # (contexts, letters)
    share = np.full(letters**order, 1 / letters**order)
    for _ in range(2000):  # to the long-run shares of the contexts
        share = np.bincount(following.ravel(), (share[:, None] * chances).ravel(), letters**order)
    entropy = float(-(share[:, None] * chances * np.log(chances)).sum())

    total = length + length // 2
    drawn, nats, context = np.empty(total, np.int32), np.empty(total), int(random.choice(len(share), p=share))
    ladders, costs, onward = np.cumsum(chances, 1)[:, :-1].tolist(), (-np.log(chances)).tolist(), following.tolist()
    for at, step in enumerate(random.random(total).tolist()):
        letter = bisect(ladders[context], step)
        drawn[at], nats[at], context = letter, costs[context][letter], onward[context][letter]
    cuts = {"train": (0, length), "validation": (length, length + length // 10), "test": (length + length // 10, total)}
    flat = {split: drawn[a:b] + 1 for split, (a, b) in cuts.items()}
    vocabulary = [UNKNOWN, *"abcdefghijklmnopqrstuvwxyz"[:letters]]
    ideal = {split: float(nats[a + 1 : b].mean()) for split, (a, b) in cuts.items()}
    counts = np.bincount(flat["train"], minlength=len(vocabulary))
    return dataset_of(
        "markov", flat, counts, vocabulary, "character", "none needed", "formula", STREAMS, SPAN, True, entropy=entropy, ideal=ideal
    )
