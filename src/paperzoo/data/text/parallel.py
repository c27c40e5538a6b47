"""Sentences with their translations: two parallel files, tab-separated columns, TMX, and the help pages of LibreOffice."""

from __future__ import annotations

import hashlib
import html
import random
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from paperzoo.data.dataset import Column, Dataset, Schema, Split
from paperzoo.data.encoding import decode, opened, read_text
from paperzoo.data.encoding import lines as cut_lines
from paperzoo.data.fetch.deb import deb_files
from paperzoo.data.options import options
from paperzoo.data.paths import first_of, names_in, shown, suffix_of
from paperzoo.data.text.bpe import END, PAD, SPECIAL, START, Bpe, learn
from paperzoo.errors import PaperzooError
from paperzoo.files import path_of

#: a sentence and its translation
Pair = tuple[str, str]

#: most pieces in one sentence; pairs with a longer one are left out of every split, and counted
LONGEST = 250
#: what follows ``pairs:PATH#``
OPTIONS = {
    "source": "the language translated from: of a TMX file a code such as pt, of a folder the ending of its files",
    "target": "the language translated to; beside one plain text file the other file, with a translation a line",
    "pieces": "size of the vocabulary, 4000 by default",
}
_NAMES = {"train": ("train",), "validation": ("valid", "validation", "dev"), "test": ("test",)}


class Pairs:
    """Numbers of pieces: ``source`` (N, S), ended by ``</s>``; ``target`` (N, T), begun by ``<s>`` and ended; 0 where padded.

    ``texts`` is a list of N pairs of strings.
    """

    def __init__(self, texts: Sequence[Pair], source: Sequence[np.ndarray], target: Sequence[np.ndarray]) -> None:
        self.texts, self.source, self.target = texts, source, target

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def lengths(self) -> np.ndarray:
        """int64 (N, 2): pieces of source and target."""
        return np.array([(len(s), len(t)) for s, t in zip(self.source, self.target, strict=True)], np.int64).reshape(-1, 2)

    def take(self, indices: np.ndarray) -> dict[str, object]:
        return {
            "source": padded([self.source[i] for i in indices]),
            "target": padded([self.target[i] for i in indices]),
            "texts": [self.texts[i] for i in indices],
        }

    def to(self, device: torch.device) -> Pairs:
        return self  # padded on the host, a batch at a time

    def join(self, other: Column) -> Pairs:
        assert isinstance(other, Pairs)
        return Pairs([*self.texts, *other.texts], [*self.source, *other.source], [*self.target, *other.target])


class Buckets:
    """Pairs of like length put together: item i is the i-th of these batches, and two items make one batch of both."""

    def __init__(self, pairs: Pairs, groups: Sequence[np.ndarray]) -> None:
        self.pairs, self.groups = pairs, groups

    def __len__(self) -> int:
        return len(self.groups)

    def take(self, indices: np.ndarray) -> dict[str, object]:
        return self.pairs.take(np.concatenate([self.groups[i] for i in indices]))

    def to(self, device: torch.device) -> Buckets:
        return self

    def join(self, other: Column) -> Buckets:
        assert isinstance(other, Buckets)
        later = [group + len(self.pairs) for group in other.groups]
        return Buckets(self.pairs.join(other.pairs), [*self.groups, *later])


def padded(rows: Sequence[np.ndarray]) -> Tensor:
    """Rows of different lengths as one tensor int64 (N, longest), 0 where padded."""
    out = np.full((len(rows), max(map(len, rows), default=0)), PAD, np.int64)
    for row, numbers in enumerate(rows):
        out[row, : len(numbers)] = numbers
    return torch.from_numpy(out)


def buckets(lengths: np.ndarray, tokens: int) -> list[np.ndarray]:
    """Numbers of pairs by batch: pairs of like length, and no more of them than fill ``tokens`` places, padding counted.

    Source and target have at most ``tokens`` places each; a pair longer than that makes a batch by itself.

    Args:
        lengths: int64 (N, 2).
    """
    chance = np.random.default_rng(0).permutation(len(lengths))  # pairs of the same length in no order of the corpus
    order = np.lexsort((chance, lengths[:, 0], lengths[:, 1]))
    groups, start, widest = [], 0, 0
    for place, pair in enumerate(order):
        widest = max(widest, *lengths[pair].tolist())
        if place > start and widest * (place + 1 - start) > tokens:
            groups.append(order[start:place])
            start, widest = place, int(lengths[pair].max())
    return [*groups, order[start:]] if len(order) else []


@dataclass(frozen=True)
class Parallel(Dataset):
    """Splits of ``source`` (N, S), ``target`` (N, T) and ``texts``, see ``Pairs``.

    ``data["train@2500"]`` is the split ``train`` with batches as items, each of about 2,500 source and 2,500 target pieces (see
    ``buckets``): a recipe that trains on it with a batch size of 1 has batches by tokens.

    ``schema.arguments`` has ``vocabulary`` and ``merges`` of one encoding for both languages, learnt from the training split,
    and ``languages``.

    Attributes:
        left_out: why pairs were left out, and how many.
    """

    left_out: Mapping[str, int] = field(default_factory=dict)

    def __getitem__(self, split: str) -> Split:
        name, at, tokens = split.partition("@")
        if not at:
            return super().__getitem__(split)
        if not (tokens.isascii() and tokens.isdigit() and int(tokens)):
            raise PaperzooError(f"{split}: after @ comes the number of tokens in a batch, as in {name}@2500")
        pairs = super().__getitem__(name).columns[0]
        assert isinstance(pairs, Pairs)
        return Split(Buckets(pairs, buckets(pairs.lengths, int(tokens))))


def parallel(
    name: str,
    splits: Mapping[str, Sequence[Pair]],
    languages: tuple[str, str],
    licence: str,
    source: str,
    *,
    pieces: int = 4000,
    pictures: bool = True,
    left_out: Mapping[str, int] | None = None,
) -> Parallel:
    """A data set from pairs by split, ``train`` among them.

    Of ``validation`` and ``test``, pairs are left out whose source or target also stands in the training split, whatever its
    case and blanks; so are pairs with a sentence of more than ``LONGEST`` pieces, in all splits.

    Raises:
        PaperzooError: a split has no pairs, or none is left.
    """
    for split, pairs in splits.items():
        if not pairs:
            raise PaperzooError(f"{name} has no pairs for {split} ({source})")
    counts = dict(left_out or {})
    known = {essence(text) for pair in splits["train"] for text in pair}
    vocabulary, merges = learn((text for pair in splits["train"] for text in pair), pieces)
    bpe, built = Bpe(vocabulary, merges), {}
    for split, pairs in splits.items():
        kept = pairs if split == "train" else [p for p in pairs if not known & {essence(p[0]), essence(p[1])}]
        if split != "train":
            counts[f"{split} pairs that occur in training"] = len(pairs) - len(kept)
        columns = [encode(bpe, [pair[side] for pair in kept], start=bool(side)) for side in (0, 1)]
        short = [i for i in range(len(kept)) if all(len(column[i]) <= LONGEST for column in columns)]
        if len(short) < len(kept):
            counts[f"{split} pairs of more than {LONGEST} pieces"] = len(kept) - len(short)
        if not short:
            raise PaperzooError(f"{name} has no pairs for {split} once those are left out that occur in training or are too long")
        built[split] = Split(Pairs([kept[i] for i in short], *([column[i] for i in short] for column in columns)))
    arguments = {"vocabulary": vocabulary, "merges": merges, "languages": languages}
    omitted = "; ".join(f"{count:,} {why}" for why, count in counts.items() if count)
    schema = Schema(name, ("source", "target", "texts"), arguments)
    return Parallel(schema, built, licence, f"{source}. Left out: {omitted}" if omitted else source, pictures, left_out=counts)


def encode(bpe: Bpe, texts: Sequence[str], start: bool) -> list[np.ndarray]:
    """Texts as numbers of pieces, ended by ``</s>``; targets also begin, with ``<s>``."""
    return [np.array([START, *ids, END] if start else [*ids, END], np.int64) for ids in bpe.encode(texts)]


def essence(text: str) -> str:
    """A sentence without what may differ between copies of it: case, and blanks."""
    return " ".join(text.casefold().split())


def cut(keyed: Iterable[tuple[str, Pair]], where: str, validation: float = 0.05, test: float = 0.05) -> dict[str, list[Pair]]:
    """Pairs by split. All pairs of one key go to one split, by the key's SHA-256, so that added ones never move the others.

    A pair that comes twice is kept once, where it came first.
    """
    splits: dict[str, list[Pair]] = {"train": [], "validation": [], "test": []}
    seen: set[Pair] = set()
    for key, pair in keyed:
        if pair not in seen:
            seen.add(pair)
            place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64
            splits["test" if place < test else "validation" if place < test + validation else "train"].append(pair)
    if few := [name for name, pairs in splits.items() if not pairs]:
        raise PaperzooError(f"{where} has too few pairs ({len(seen)}): none falls to {few[0]}")
    return splits


# --- readers -----------------------------------------------------------------------------------------------------------


def lines(path: Path) -> list[str]:
    """The lines of a text file, without blanks at their ends. Only line feeds end a line: other characters that Unicode counts
    as ends of lines stand inside of sentences, and would shift one file against the other.

    Raises:
        PaperzooError: it cannot be read or is empty, see ``encoding.read_text``.
    """
    return [line.strip() for line in cut_lines(read_text(path))]


def two_files(source: Path, target: Path) -> list[Pair]:
    """Line n of one file with line n of the other; pairs of which either is empty are passed over.

    Raises:
        PaperzooError: a file cannot be read, or they have different numbers of lines.
    """
    left, right = lines(source), lines(target)
    if len(left) != len(right):
        counts = f"{shown(source)} has {len(left):,} lines, but {shown(target)} has {len(right):,}"
        raise PaperzooError(f"{counts}: line n must translate line n")
    return [pair for pair in zip(left, right, strict=True) if all(pair)]


def tsv(path: Path) -> list[Pair]:
    """Tab-separated columns: the sentence first, its translation second; further columns are passed over.

    Raises:
        PaperzooError: the file cannot be read, or a line has no two columns (with its number).
    """
    pairs = []
    for number, line in enumerate(lines(path), 1):
        cells = [cell.strip() for cell in line.split("\t")]
        if not line:
            continue
        if len(cells) < 2 or not all(cells[:2]):
            raise PaperzooError(f"{shown(path)}, line {number}: {line[:60]!r} needs a sentence, a tab and its translation")
        pairs.append((cells[0], cells[1]))
    return pairs


def tmx(path: Path, source: str = "", target: str = "") -> list[Pair]:
    """A translation memory (TMX 1.4): of each unit the first variants in both languages, without markup.

    Args:
        source, target: languages; ``pt`` also takes ``pt-BR``. May be left out where the file has just two, in their order.

    Raises:
        PaperzooError: no TMX file, or one without these languages (those that it has are named).
    """
    units: list[dict[str, str]] = []
    try:
        with opened(path) as file:
            for _, element in ET.iterparse(file):
                if element.tag == "tu":
                    units.append({})
                    for variant in element.iter("tuv"):
                        code = variant.get("{http://www.w3.org/XML/1998/namespace}lang") or variant.get("lang") or ""
                        segment = variant.find("seg")
                        units[-1].setdefault(code.lower(), "" if segment is None else " ".join(_plain(segment).split()))
                    element.clear()
    except (ET.ParseError, LookupError, ValueError, RecursionError) as error:
        raise PaperzooError(f"{shown(path)} is no TMX file: {error}") from None
    languages = list(dict.fromkeys(code for unit in units for code in unit))
    has = f"it has {', '.join(languages) or 'none'}"
    if not (source and target) and len(languages) != 2:
        raise PaperzooError(f"{shown(path)}: name two languages, as in #source=pt&target=en; {has}")
    wanted = (source or languages[0], target or languages[1])
    for code in wanted:
        if not any(_is(language, code) for language in languages):
            raise PaperzooError(f"{shown(path)} has nothing in the language {code!r}; {has}")
    both = [tuple(next((text for lang, text in unit.items() if _is(lang, code)), "") for code in wanted) for unit in units]
    return [(left, right) for left, right in both if left and right]


def _is(language: str, wanted: str) -> bool:
    return language == wanted.lower() or language.startswith(wanted.lower() + "-")


def _plain(segment: ET.Element) -> str:
    """The text of a segment without that inside of its codes (bpt, ept, ph, it, ut), which is markup of another format."""
    inner = "".join(("" if c.tag in ("bpt", "ept", "ph", "it", "ut") else _plain(c)) + (c.tail or "") for c in segment)
    return (segment.text or "") + inner


# --- data sets ---------------------------------------------------------------------------------------------------------


def pairs_file(path: Path, text: str = "") -> Parallel:
    """The user's own pairs: ``FILE.tsv``, ``FILE.tmx``, ``FILE#target=OTHER`` with a line for each of FILE's, or a folder.

    A folder has ``train.pt`` and ``train.en``, maybe ``valid.*`` and ``test.*`` (``#source=pt&target=en``). Of a file, or a folder
    with ``train`` only, 5 % each of the pairs are held out for validation and test. Each file may be gzipped (``train.pt.gz``).

    Raises:
        PaperzooError: a file or an option is missing or cannot be read.
    """
    chosen = options(text, OPTIONS, shown(path.name), {"pieces": 1})
    source, target = chosen.get("source", ""), chosen.get("target", "")
    if path.is_dir():
        if not (source and target):
            raise PaperzooError(f"{shown(path)}: name the two endings of its files, as in pairs:{shown(path)}#source=pt&target=en")
        there = {split: first_of(path, [f"{name}.{source}" for name in names]) for split, names in _NAMES.items()}
        if there["train"] is None:
            raise PaperzooError(f"{shown(path)} needs train.{source} and train.{target}; it has: {names_in(path)}")
        splits = {}
        for split, file in there.items():
            if file is not None:
                stem = file.name.removesuffix(".gz").removesuffix(f".{source}")
                splits[split] = two_files(file, first_of(path, [f"{stem}.{target}"]) or path / f"{stem}.{target}")
        train, rest = splits["train"], {split: pairs for split, pairs in splits.items() if split != "train"}
    else:
        rest = {}
        if suffix_of(path) in (".tmx", ".xml"):
            train = tmx(path, source, target)
        elif suffix_of(path) in (".tsv", ".tab"):
            train = tsv(path)
        elif target:
            other = path.parent / path_of(target)
            train, source, target = two_files(path, other), suffix_of(path)[1:], suffix_of(other)[1:]
        else:
            raise PaperzooError(f"{shown(path)} needs its translations: give FILE.tsv, FILE.tmx, or pairs:{shown(path)}#target=OTHER")
    parts = {"train": list(dict.fromkeys(train)), **rest} if "test" in rest else cut(((p[0], p) for p in train), shown(path))
    pieces = int(chosen.get("pieces", 4000))
    return parallel(path.stem, parts, (source, target), "the user's own", shown(path), pieces=pieces, pictures=False)


def wmt_folder(path: Path) -> Parallel:
    """WMT 2014 English to German as the paper had it: ``train.en``, ``train.de``, ``valid.*``, ``test.*`` in one folder."""
    chosen = {name: two_files(path / f"{name}.en", path / f"{name}.de") for name in ("train", "valid", "test")}
    splits = {"train": chosen["train"], "validation": chosen["valid"], "test": chosen["test"]}
    return parallel("wmt14-en-de", splits, ("en", "de"), "", str(path), pieces=37_000, pictures=False)


_PARAGRAPH = re.compile(r'<(p|h[1-6]|td|li)\b[^>]*\bid="([^"]+)"[^>]*>(.*?)</\1>', re.DOTALL)
_MAC = re.compile(r'<span hidden="true"[^>]*class="MAC">(?:<span[^>]*>[^<]*</span>|[^<])*</span>')  # for users of a Mac alone, hidden
_TAG = re.compile(r"<[^>]+>")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")


def help_pages(package: Path, language: str) -> dict[str, dict[str, str]]:
    """The pages of a package of LibreOffice's help, and their paragraphs by name: ``{"shared/guide/x.html": {"par_id7": "..."}}``.

    Args:
        package: ``libreoffice-help-LANGUAGE_*.deb``.
        language: as its folder is called, ``en-US``.
    """
    pages = {}
    for page, content in deb_files(package, f"usr/share/libreoffice/help/{language}/text", ".html"):
        paragraphs = _PARAGRAPH.findall(decode(content, f"{page} of {package.name}"))
        pages[page] = {name: " ".join(html.unescape(_TAG.sub("", _MAC.sub("", body))).split()) for _, name, body in paragraphs}
    return pages


def libreoffice(source: Path, target: Path, languages: tuple[str, str] = ("pt-BR", "en-US")) -> Parallel:
    """Paragraphs of LibreOffice's help in two languages, paired by page and name; 5 % of the pages are test, 1.5 % validation.

    Kept are pairs of 3 to 60 words each, neither more than twice as long as the other, that differ and do not say all twice.

    Args:
        source, target: the Debian packages of the two languages.
    """
    left, right = help_pages(source, languages[0]), help_pages(target, languages[1])
    both = ((page, name) for page in left if page in right for name in left[page] if name in right[page])
    keyed = [(page, (left[page][name], right[page][name])) for page, name in both]
    good = [(page, pair) for page, pair in keyed if _translation(*pair)]
    if not good:
        raise PaperzooError(f"{source.name} and {target.name} have no paragraph in common")
    home = f"Debian {source.name} and {target.name}"
    counts = {"paragraphs too short, too long, or no translation": len(keyed) - len(good)}
    splits = cut(good, home, validation=0.015, test=0.05)
    return parallel("libreoffice", splits, (languages[0][:2], languages[1][:2]), "", home, left_out=counts)


def _translation(left: str, right: str) -> bool:
    words = [len(_WORD.findall(text)) for text in (left, right)]
    doubled = any(text[: len(text) // 2].strip() == text[len(text) // 2 :].strip() for text in (left, right))
    return left != right and min(words) >= 3 and max(words) <= 60 and 0.5 <= words[0] / words[1] <= 2 and not doubled


def letters(kind: str, count: int = 20_000, longest: int = 10, alphabet: int = 20, seed: int = 0) -> Parallel:
    """Made-up sentences of letters, to be said again (``copy``) or backwards (``reverse``): ``k f a z`` becomes ``z a f k``.

    Every sentence has 3 to ``longest`` letters and occurs once; 500 each, or a tenth, are for validation and test.
    """
    chance = random.Random(seed)
    known = "abcdefghijklmnopqrstuvwxyz"[:alphabet]
    sentences: dict[str, None] = {}
    while len(sentences) < count:
        sentences[" ".join(chance.choices(known, k=chance.randint(3, longest)))] = None
    pairs = [(text, text if kind == "copy" else text[::-1]) for text in sentences]
    held = min(500, count // 10)
    splits = {"train": pairs[2 * held :], "validation": pairs[:held], "test": pairs[held : 2 * held]}
    pieces = len(SPECIAL) + 256 + alphabet  # a piece a letter, with the blank before it
    return parallel(f"letters-{kind}", splits, ("letters", kind), "CC0", f"made up here, seed {seed}", pieces=pieces)
