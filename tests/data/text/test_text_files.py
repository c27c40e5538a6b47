"""Text as users have it: columns, vectors, encodings, ends of lines, and paths that are no ordinary files."""

from __future__ import annotations

import gzip
import os
import random
import struct
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import paperzoo
from paperzoo.data.bodies import readers as bodies
from paperzoo.data.boxes import readers as boxes
from paperzoo.data.captions import readers as captions
from paperzoo.data.encoding import blocks, decode, lines, numbered_lines, opened, read_text
from paperzoo.data.images import attributes, raphael
from paperzoo.data.paths import exists, ordinary, path_of, shown
from paperzoo.data.questions import readers as questions
from paperzoo.data.text import glue, parallel, streams
from paperzoo.data.text import running as text
from paperzoo.data.text.corpus import text_file, text_files
from paperzoo.data.text.pairs import _paragraphs
from paperzoo.data.text.pretrained import pretrained
from paperzoo.data.text.tagging import columns, conll_folder, gmb
from paperzoo.data.text.vectors import read_vectors, write_vectors
from paperzoo.errors import PaperzooError
from paperzoo.report.page import write_page

ROME = [(["to", "Rome", "."], ["O", "B-LOC", "O"]), (["Max", "went"], ["B-PER", "O"])]


def rows(*sentences: str, part: str = "\t") -> bytes:
    """Columns: ``"to O|Rome B-LOC"`` is a sentence of two lines."""
    return "".join("".join(line.replace(" ", part) + "\n" for line in s.split("|")) + "\n" for s in sentences).encode()


def cases(count: int = 12, line: str = "{i}\t{word}\t{tag}\n", before: str = "") -> str:
    """Sentences of six different words, one of them a place."""
    found = []
    for n in range(count):
        words = [("so", "O"), (f"Town{'x' * n}", "B-LOC"), ("is", "O"), (f"w{'y' * n}", "O"), ("here", "O"), (".", "O")]
        found.append(before + "".join(line.format(i=i, word=word, tag=tag) for i, (word, tag) in enumerate(words, 1)))
    return "\n".join(found)


# --- columns -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        rows("1 to O|2 Rome B-LOC|3 . O", "1 Max B-PER|2 went O"),
        rows("0 to O|1 Rome B-LOC|2 . O", "0 Max B-PER|1 went O", part=" "),
        rows("1 to O|2 Rome B-LOC|3 . O", "4 Max B-PER|5 went O"),  # on through the file
        rows("1 1 to O|1 2 Rome B-LOC|1 3 . O", "2 1 Max B-PER|2 2 went O"),  # sentence and word
        rows("1 to O O|2 Rome B-LOC O|3 . O O", "1 Max B-PER O|2 went O O"),  # GermEval: outer and inner, which is empty
        rows("1 to O O|2 Rome B-LOC B-PER|3 . O O", "1 Max B-PER O|2 went O B-LOC"),
        rows("to O O|Rome B-LOC O|. O O", "Max B-PER O|went O O"),
        rows("to TO B-PP O|Rome NN B-NP B-LOC|. . O O", "Max NN B-NP B-PER|went VB B-VP O"),  # CoNLL-2003: chunks are no entities
        b"#\thttp://a.b/0\t[2010-01-01]\n" + rows("1 to O O|2 Rome B-LOC O|3 . O O") + b"#\tx\t[y]\n" + rows("1 Max B-PER O|2 went O O"),
        b"# newdoc\n# text = to Rome O\n" + rows("1 to TO O|2 Rome NN B-LOC|3 . . O", "1 Max NN B-PER|2 went VB O"),
        b"#begin document\n" + rows("to O|Rome B-LOC|. O") + b"#end document\n\n" + rows("Max B-PER|went O"),
        rows("1 to O|2-3 Rome. B-LOC|2 Rome B-LOC|3 . O", "1 Max B-PER|1.1 has _|2 went O"),  # CoNLL-U: several pieces, left out
        rows("1 -DOCSTART- O", "1 to O|2 Rome B-LOC|3 . O", "1 Max B-PER|2 went O"),
        rows("to O|Rome B-LOC|. O", "Max B-PER|went O").replace(b"\n", b"\t\n"),  # a tab too many
        rows("to O|Rome B-LOC|. O", "Max B-PER|went O").replace(b"\n", b"\r\n"),
        rows("to O|Rome B-LOC|. O", "Max B-PER|went O").decode().encode("utf-16"),
        b"\xfe\xff" + rows("to O|Rome B-LOC|. O", "Max B-PER|went O").decode().encode("utf-16-be"),
        rows("to O|Rome B-LOC|. O", "Max B-PER|went O").decode().encode("utf-32"),
    ],
)  # fmt: skip
def test_the_word_and_the_outer_tag_are_found(raw: bytes) -> None:
    assert columns(raw, "f") == ROME


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (rows("1 O|2 O", "1 O|3 O"), [(["1", "2"], ["O", "O"]), (["1", "3"], ["O", "O"])]),  # two columns: numbers are words
        (rows("1 CD O", "7 CD O"), [(["1"], ["O"]), (["7"], ["O"])]),
        (rows("3 CD O|4 CD O", "9 CD O|to TO O"), [(["3", "4"], ["O", "O"]), (["9", "to"], ["O", "O"])]),
        (rows("# O|a O"), [(["#", "a"], ["O", "O"])]),  # a hash with a tag is a word
        (rows("#tag B-X|a O"), [(["#tag", "a"], ["B-X", "O"])]),
        ("\u00a0 O\na O\n".encode(), [(["\u00a0", "a"], ["O", "O"])]),
        ("\u00a0\tO\na\u3000b\tO\n".encode(), [(["\u00a0", "a\u3000b"], ["O", "O"])]),
        ("a\x0bb O\nc\x85d O\ne\rf O\n".encode(), [(["a\x0bb", "c\x85d", "e\rf"], ["O", "O", "O"])]),
    ],
)
def test_what_looks_like_an_index_a_comment_or_a_blank_but_is_a_word(raw: bytes, wanted: Any) -> None:
    assert columns(raw, "f") == wanted


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (rows("to 0|Rome B-LOC"), "f, line 1: tag '0' is the digit zero; .* the capital letter O"),
        (rows("to O|Rome B-LOC|. o"), "f, line 3: tag 'o' is a small letter"),
        (rows("to O|Rome B-LOC").replace(b"Rome", b""), "f, line 2: .* needs a word in the first column"),
        (rows("1 to O|2 Rome B-LOC").replace(b"Rome", b""), "f, line 2: no word in column 2"),
        (rows("a X O|b Y O|c O"), "f, line 3: 2 columns, where most lines have 3"),
        (rows("new york O|a O|b O", part=" "), "f, line 1: 3 columns, where most lines have 2"),
        (rows("1 a O|2 b O", "1 c O|2 d O", "1 e O|3 f O"), "f, line 8: column 1 counts the words of most sentences, but not of this"),
        (rows("O a|B-X b|I-X c"), r"column 1 looks like tags: name the columns, as in conll:PATH#word=2&tag=1"),
        (rows("1 a B-X _|2 b I-X SpaceAfter=No"), r"column 3 looks like tags: .*#word=2&tag=3"),
        (b"a O\nb\xe9 O\n", r"f is not UTF-8: byte 0xe9 at offset 5 \(line 2\); if 'b\xe9' is right there, it is Windows-1252"),
        ("a O\n".encode("utf-16-le"), "f looks like UTF-16LE without a byte order mark"),
    ],
)
def test_columns_that_cannot_be_told_are_an_error_with_the_place(raw: bytes, message: str) -> None:
    with pytest.raises(PaperzooError, match=message):
        columns(raw, "f")


def test_files_of_one_folder_are_laid_out_alike(tmp_path: Path) -> None:
    for name in ("train", "dev"):
        (tmp_path / f"{name}.txt").write_text(cases())
    with gzip.open(tmp_path / "test.txt.gz", "wb") as file:
        file.write(b"1\tone\tO\n")  # by itself it could not be told
    data = conll_folder(tmp_path)
    assert data["test"][0].words == ["one"] and data["train"][0].words[:2] == ["so", "Town"] and data.schema.names == ("O", "B-LOC")
    (tmp_path / "dev.txt").write_text(cases(line="{word}\t{tag}\n"))
    with pytest.raises(PaperzooError, match=r"train.txt has 3 columns and .*dev.txt has 2"):
        conll_folder(tmp_path)


def test_the_user_names_the_columns(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text(cases(line="{tag}\t{word}\n"))
    data = paperzoo.dataset(f"conll:{tmp_path / 'a.conll'}#word=2&tag=1")
    assert data.schema.names == ("O", "B-LOC") and data["train"][0].words[0] == "so"
    for options, message in (("#tag=9", "has 2 columns, so there is no column 9"), ("#tags=1", "unknown option 'tags'")):
        with pytest.raises(PaperzooError, match=message):
            paperzoo.dataset(f"conll:{tmp_path / 'a.conll'}{options}")
    (tmp_path / "b.conll").write_text(cases(line="{word}\tO\n"))
    with pytest.raises(PaperzooError, match="every word to train on has the tag O"):
        conll_folder(tmp_path / "b.conll")


def test_kaggles_bank_has_quotation_marks_of_windows() -> None:
    raw = "Sentence #,Word,Tag\n1,\u201cCaf\u00e9\u201d,B-org\n".encode("cp1252")
    assert gmb(raw, "f") == [(["\u201cCaf\u00e9\u201d"], ["B-org"])]
    for other in (raw.replace(b"Sentence", b"Phrase"), raw.replace(b"Caf", b"\x81")):  # another file; a byte of no character
        with pytest.raises(PaperzooError, match="f is not UTF-8: byte 0x93 at offset"):
            gmb(other, "f")


# --- vectors -------------------------------------------------------------------------------------------------------------


def table(*words: str, dim: int = 4, header: bool = False) -> bytes:
    body = "".join(f"{word} {' '.join(f'{i}.{j}' for j in range(dim))}\n" for i, word in enumerate(words))
    return (f"{len(words)} {dim}\n" * header + body).encode()


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("form", ["plain", "gz", "utf-16", "crlf", "tabs"])
def test_the_last_fields_are_the_vector(header: bool, form: str, tmp_path: Path) -> None:
    words = [". . .", "the", "at name@example.com", "\u00a0", "a\u3000b", "1999", "May 5", "\u2028", "\x85", "caf\u00e9"]
    raw = table(*words, header=header)
    change: dict[str, Callable[[bytes], bytes]] = {
        "gz": gzip.compress, "utf-16": lambda raw: raw.decode().encode("utf-16"), "crlf": lambda raw: raw.replace(b"\n", b" \r\n"),
        "tabs": lambda raw: raw.replace(b" 0.", b"\t0."),
    }  # fmt: skip
    file = tmp_path / "v.vec"
    file.write_bytes(change.get(form, bytes)(raw))
    found, vectors = read_vectors(file)
    assert list(found) == words and vectors.dtype == np.float32
    assert np.array_equal(vectors, np.array([[float(f"{i}.{j}") for j in range(4)] for i in range(10)], np.float32))


def test_of_a_repeated_word_the_first_is_kept_and_said(tmp_path: Path) -> None:
    (tmp_path / "v.vec").write_bytes(table("a", "bay", "b", "bay", "a", "c", header=True))
    with pytest.warns(UserWarning, match=r"v.vec, line 5: 2 of 6 vectors are of a word that came before, 'bay' first"):
        words, vectors = read_vectors(tmp_path / "v.vec")
    assert words == ("a", "bay", "b", "c") and vectors[:, 0].tolist() == [0, 1, 2, 5]


def test_binary_vectors_may_be_gzipped(tmp_path: Path) -> None:
    file = write_vectors(tmp_path / "v.bin", ["the", "caf\u00e9"], np.array([[1, 2], [3, 4]]))
    (tmp_path / "v.bin.gz").write_bytes(gzip.compress(file.read_bytes(), mtime=0))
    words, vectors = read_vectors(tmp_path / "v.bin.gz")
    assert words == ("the", "caf\u00e9") and vectors.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("v.vec", b"0 50\n", "has no vectors"),
        ("v.bin", b"0 50\n", "has no vectors: its first line says that it has 0 words"),
        ("v.vec", b"3 0\na\nb\nc\n", "line 2: 0 values"),
        ("v.vec", b"", "has no vectors"),
        ("v.vec", b"some prose\nand more\n", "line 1: 1 values, but the first vector says none"),
        ("v.vec", table("a", "b") + b"c 1.5 2.5 3.5\n", "line 3: 3 values, but the first vector says 4"),
        ("v.vec", table("a", "b") + b"c 1.5 2.5 3.5 4.5 5.5\n", "line 3: 5 values, but the first vector says 4"),
        ("v.vec", b"c 1.5 2.5\n" + table("a", "b"), "line 1: 2 values, but most vectors says 4"),
        ("v.vec", table("a", "b").replace(b"1.2", b"nan"), "line 2: the vector of 'b' has values that are not finite"),
        ("v.vec", table("a", "b").replace(b"1.3", b"-inf"), "line 2: the vector of 'b' has values that are not finite"),
        ("v.vec", table("a", "b", header=True).replace(b"1.2", b"x"), "line 3: could not convert"),
        ("v.vec", table("a") + b"b " + b"1" * 3_000_000, "line 2, has more than 2,097,152 characters"),
        ("v.bin", b"9999999999 300\n", "9999999999 words of 300 dimensions, but has only"),
        ("v.vec", gzip.compress(table("a", "b"), mtime=0)[:-9], "v.vec is damaged: it cannot be unpacked"),
        ("v.vec", table("a", "caf\u00e9").decode().encode("latin-1"), r"byte 0xe9 at offset \d+ \(line 2\); if 'caf\u00e9' is right"),
    ],
)
def test_vectors_that_are_wrong_are_located(name: str, raw: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(PaperzooError, match=message):
        read_vectors(tmp_path / name)


def test_vectors_beyond_half_precision_are_refused(tmp_path: Path) -> None:
    (tmp_path / "v.vec").write_text("a 1 70000\nb 1 2\n")
    with pytest.raises(PaperzooError, match="a value of 70000, more than half precision holds"):
        pretrained(str(tmp_path / "v.vec"), 9)


# --- encodings and lines -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("packed", [False, True])
def test_one_reader_reads_every_encoding_that_says_what_it_is(encoding: str, packed: bool, tmp_path: Path) -> None:
    wanted = "caf\u00e9 \U0001f600\n" * 200_000  # characters lie across the blocks that are read
    raw = wanted.encode(encoding)
    (tmp_path / "a.txt").write_bytes(gzip.compress(raw, 1, mtime=0) if packed else raw)
    assert read_text(tmp_path / "a.txt") == wanted == decode(raw, "f")
    assert sum(1 for _ in numbered_lines(tmp_path / "a.txt")) == 200_000


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"x" * 2**20 + b"\nab\n" + b"c\xff", rf"byte 0xff at offset {2**20 + 5} \(line 3\)"),
        (b"\xff\xfea\0\n\0\0\xd8b\0", r"is not UTF-16-LE: byte 0x00 at offset 6 \(line 2\)"),
        ("\u00e9caf\u00e9".encode()[:-1], "byte 0xc3 at offset 5 .line 1.; it ends in the middle of a character"),
        (b"PK\x03\x04\x14\x00\xe9\xe9", "it is a zip archive"),
        (b"\x89PNG\r\n\x1a\n", "it is an image"),
        (bytes(1000), "is no text: most of its first 1,000 bytes are zero"),
        ("the word".encode("utf-16-be"), "looks like UTF-16BE without a byte order mark"),
        (b"a\xe9\x81z", "save it in UTF-8 and try again"),  # a byte that Windows-1252 lacks: no guess
        ("Ł".encode() + b" \xe9 ", "save it in UTF-8 and try again"),  # UTF-8 with a wrong byte is not Windows-1252
    ],
)
def test_bytes_that_are_no_characters_are_never_replaced(raw: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(raw)
    for reader in (lambda: decode(raw, "f"), lambda: read_text(file), lambda: list(numbered_lines(file)), lambda: list(_paragraphs(file))):
        with pytest.raises(PaperzooError, match=message):
            reader()


def test_a_bomb_is_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paperzoo.data.encoding._UNPACKED", 2**21)
    (tmp_path / "a.txt").write_bytes(gzip.compress(b"a" * 2**23, mtime=0))
    with pytest.raises(PaperzooError, match=r"unpacks to more than .* refused"):
        read_text(tmp_path / "a.txt")


def test_only_line_feeds_end_lines() -> None:
    odd = "a\u2028b\x0bc\x0cd\x1ce\x85f\rg"
    assert lines(f"{odd}\n{odd}\r\n\nlast") == [odd, odd, "", "last"] and lines("a\rb\r") == ["a", "b"] and lines("") == []
    assert text.words_of(f"x{odd[:5]}\ny\n").count(text.END) == 2
    assert text.pieces("a\u2028b\nc").count("\n") == 1


def test_pairs_do_not_shift(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_text("um\u2028 dois\ntr\u00eas\x0cx\nquatro\n", encoding="utf-8")
    (tmp_path / "a.en").write_bytes(b"one\0two\nthree\rx\nfour")
    wanted = [("um\u2028 dois", "one\0two"), ("tr\u00eas\x0cx", "three\rx"), ("quatro", "four")]
    assert parallel.two_files(tmp_path / "a.pt", tmp_path / "a.en") == wanted
    (tmp_path / "a.pt.gz").write_bytes(gzip.compress((tmp_path / "a.pt").read_bytes()))
    assert parallel.two_files(tmp_path / "a.pt.gz", tmp_path / "a.en") == wanted
    (tmp_path / "a.en").write_text("one\ntwo\n")
    with pytest.raises(PaperzooError, match=r"a.pt has 3 lines, but .*a.en has 2"):
        parallel.two_files(tmp_path / "a.pt", tmp_path / "a.en")


def test_packed_files_are_read_under_every_name(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    for language in ("pt", "en"):
        body = "".join(f"{language} number {i} is here\n" for i in range(200)).encode()
        (folder / f"train.{language}.gz").write_bytes(gzip.compress(body, mtime=0))
    (tmp_path / "x.tsv.gz").write_bytes(gzip.compress(b"".join(b"a %d\tb %d\n" % (i, i) for i in range(200))))
    (tmp_path / "g.tsv.gz").write_bytes(gzip.compress(b"label\tsentence\n" + b"".join(b"%d\ttext %d\n" % (i % 2, i) for i in range(20))))
    for name in ("pairs:p#source=pt&target=en&pieces=300", "pairs:x.tsv.gz#pieces=300", "glue:g.tsv.gz"):
        assert len(paperzoo.dataset(name.replace(":", f":{tmp_path}/", 1))["train"])
    (folder / "a.txt.gz").write_bytes(gzip.compress(b"the sea and the ship", mtime=0))
    (folder / ".b.txt").write_bytes(b"\xff")  # hidden files are nobody's text
    assert [file.name for file in text_files(folder)] == ["a.txt.gz"] and text_file(folder).schema.arguments["vocabulary"][2] == "the"


def test_labels_of_paintings_are_read_as_every_text(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes('number;label;"a\nnote"\n7;genuine;"x\ny"\n'.encode("utf-16"))
    assert raphael._table(tmp_path / "labels.csv") == {7: "genuine"}
    (tmp_path / "labels.csv").write_bytes(b"number,label\n" + b"9" * 5000 + b",genuine\n")
    with pytest.raises(PaperzooError, match="the number is '999"):
        raphael._table(tmp_path / "labels.csv")


# --- paths ---------------------------------------------------------------------------------------------------------------

KINDS = ("text", "characters", "words", "cooccurrences", "conll", "pairs", "sentences", "glue", "folder", "series", "machines", "videos")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_refused_before_it_is_opened(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.csv")
    Path("circle.csv").symlink_to("circle.csv")
    reader, writer = os.pipe()
    try:
        for place, message in (
            ("pipe.csv", "pipe.csv: it is a pipe; write what it gives into a file"),
            (f"/dev/fd/{reader}", "it is a pipe"),
            ("/dev/zero", "it is a device"),
            ("circle.csv", "a link that leads in a circle"),
            ("~nosuchuser/x.csv", "there is no ~nosuchuser/x.csv"),
            ("n" * 300, "the name is too long"),
            ("zero\0byte", "zero byte"),
            (os.fsdecode(b"no\xff.csv"), r"there is no no\\xff.csv"),
        ):
            with pytest.raises(PaperzooError, match=message):
                paperzoo.dataset(f"{kind}:{place}")
    finally:
        os.close(reader)
        os.close(writer)


def test_pipes_inside_of_folders_and_as_vectors(tmp_path: Path) -> None:
    for name in ("a.txt", "train.tsv", "train.txt", "test.txt", "train.pt", "train.en"):
        os.mkfifo(tmp_path / name)
    pairs = f"pairs:{tmp_path}#source=pt&target=en"
    for name in (*(f"{kind}:{tmp_path}" for kind in ("text", "characters", "words", "cooccurrences", "sentences", "conll", "glue")), pairs):
        with pytest.raises(PaperzooError, match="it is a pipe"):
            paperzoo.dataset(name)
    for place, message in (("a.txt", "it is a pipe"), (".", "it is a folder; name a file in it")):
        with pytest.raises(PaperzooError, match=message):
            pretrained(str(tmp_path / place), 9)


def test_deep_folders_and_odd_names(tmp_path: Path) -> None:
    base = Path(tempfile.mkdtemp())  # not pytest's, which could not remove what an interrupted test leaves
    deep = [base / "/".join("d" * n) for n in range(1, 1200)]  # deeper than Python's stack
    odd = os.fsdecode(b"caf\xe9\x1b[31m.txt")
    (tmp_path / odd).write_text("the ship " * 100)
    (tmp_path / "link").symlink_to(tmp_path)  # a circle that is not walked
    try:
        for folder in deep:
            folder.mkdir()
        (deep[-1] / "a.TXT").write_text("the sea")
        assert [file.name for file in text_files(base)] == ["a.TXT"]
    finally:
        (deep[-1] / "a.TXT").unlink(missing_ok=True)
        for folder in filter(exists, [*reversed(deep), base]):
            folder.rmdir()
    assert [file.name for file in text_files(tmp_path)] == [odd]
    assert shown(odd) == r"caf\xe9\x1b[31m.txt"
    data = paperzoo.dataset(f"text:{tmp_path / odd}")
    assert data.source.isprintable() and data.schema.arguments["vocabulary"][2:] == ("ship", "the")
    with pytest.raises(PaperzooError, match=r"caf\\xe9\\x1b\[31m\.txt has 90 characters, too few") as error:
        (tmp_path / odd).write_text("x" * 90)
        streams.own(tmp_path / odd, "character")
    assert str(error.value).isprintable()


def test_paths_as_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a").write_text("x")
    assert ordinary("~/a") == tmp_path / "a" and exists("~/a") and path_of("~nosuchuser/a") == Path("~nosuchuser/a")
    assert not exists("~nosuchuser/a") and not exists("n" * 300) and not exists("a\0b")
    assert ordinary(tmp_path, folders=True) == tmp_path
    with pytest.raises(PaperzooError, match="it is a folder"):
        ordinary(tmp_path)


def test_a_file_that_may_not_be_read_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("x")

    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    for reader in (read_text, read_vectors, text_file, lambda path: streams.own(path, "word"), parallel.tsv, conll_folder):
        with pytest.raises(PaperzooError, match=r"cannot read .*a.txt: Permission denied"):
            reader(tmp_path / "a.txt")
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PaperzooError, match=r"cannot read the folder .*: Permission denied"):
        text_files(tmp_path)


# --- trained on, from the names that a user types --------------------------------------------------------------------------


def test_columns_and_vectors_train_whatever_they_are_called(tmp_path: Path) -> None:
    file, vectors = tmp_path / os.fsdecode(b"caf\xe9.conll"), tmp_path / os.fsdecode(b"v\xff.vec")
    file.write_text(cases(line="{i}\t{word}\t{tag}\tO\n", before="#\thttp://a.b/{n}\t[2010-01-01]\n"))
    vectors.write_bytes(table("so", ". . .", "here", "\u00a0", dim=50))
    run = paperzoo.train(
        "bilstm_crf", "smoke", data=f"conll:{file}", out=tmp_path / "runs", overrides={"steps": 2, "model.vectors": str(vectors)}
    )
    model: Any = run.model
    assert model.tags == ("O", "B-LOC") and "so" in model.vocabulary and "1" not in model.vocabulary
    assert model.arguments["vector_words"] == ("so", ". . .", "here", "\u00a0")
    assert paperzoo.evaluate(run.directory)["entity F1 %"] >= 0
    assert r"caf\udce9.conll" in write_page(run).read_text(encoding="utf-8")


# --- anything at all -----------------------------------------------------------------------------------------------------


ODD = [b"\xff", b"\0", b"\r", b"\t", b" ", b"\n\n", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\xc2\xa0", b'"', b"nan", b"9" * 5000, b"x" * 70_000]


def broken(chance: random.Random, raw: bytes) -> bytes:
    """Cut short, bytes flipped, odd bytes put in, parts repeated, or another encoding."""
    at, other = chance.randrange(len(raw) + 1), chance.randrange(len(raw) + 1)
    odd = chance.choice(ODD)
    match chance.randrange(7):
        case 0:
            return raw[:at]
        case 1:
            return b"".join(bytes([b ^ 1 << chance.randrange(8)]) if chance.random() < 0.01 else bytes([b]) for b in raw)
        case 2:
            return raw[:at] + odd + raw[at:]
        case 3:
            return raw[: min(at, other)] + raw[max(at, other) :]
        case 4:
            return raw.decode("latin-1").encode(chance.choice(["utf-16", "utf-16-le", "utf-32-be", "utf-8-sig"]))
        case 5:
            return gzip.compress(raw, mtime=0)[: chance.choice([None, -3, 20])]
        case _:
            return raw.replace(odd[:1], b"") + odd * 3


def test_whatever_is_in_a_file_it_is_read_or_refused_in_a_sentence(tmp_path: Path) -> None:
    chance = random.Random(0)
    binary = b"3 2\n" + b"".join(f"w{i} ".encode() + struct.pack("<2f", i, 1) + b"\n" for i in range(3))
    tmx = '<tmx><body><tu><tuv lang="a"><seg>x</seg></tuv><tuv lang="b"><seg>y</seg></tuv></tu></body></tmx>'
    readers: list[tuple[str, bytes, Callable[[Path], Any]]] = [
        ("c.conll", cases().encode(), conll_folder),
        ("c.csv", b"Sentence #,Word,Tag\n" + b"".join(b"%d,a%s,B-x\n,b,O\n" % (i, b"x" * i) for i in range(9)), conll_folder),
        ("v.vec", table("a", "b", ". .", header=True), read_vectors),
        ("v.txt", table("a", "b", ". ."), read_vectors),
        ("v.bin", binary, read_vectors),
        ("p.tsv", b"um\tone\ndois\ttwo\n" * 5, parallel.tsv),
        ("p.tmx", tmx.encode(), parallel.tmx),
        ("p.pt", b"um\ndois\n", lambda path: parallel.two_files(path, path)),
        ("g.tsv", b"label\tsentence\n" + b"0\ta\n1\tb\n" * 9, lambda path: glue.table(path, glue._columns(path))),
        ("t.txt", b"The sea. The ship!\n\n" * 20, text_file),
        ("t.txt", b"The sea. The ship!\n\n" * 20, lambda path: streams.own(path, chance.choice(["character", "word"]))),
        ("t.txt", b"The sea.\n\nThe ship!" * 20, lambda path: list(_paragraphs(path))),
        ("labels.csv", b"number,label\n7,genuine\n8,not\n", raphael._table),
    ]  # fmt: skip
    began, read = time.monotonic(), 0
    for case in range(130):
        name, raw, reader = readers[case % len(readers)]
        (tmp_path / name).write_bytes(broken(chance, raw) if case >= len(readers) else raw)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reader(tmp_path / name)
            read += 1
        except PaperzooError as error:
            assert case >= len(readers), error  # whole files are read
            assert str(error) and "\n" not in str(error) and len(str(error)) < 1200
    assert time.monotonic() - began < 30 and 13 + 20 < read < 130  # some damage is none


def test_the_reader_hands_on_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(gzip.compress(b"\xff\0", mtime=0))
    with opened(tmp_path / "a") as file:
        assert file.read() == b"\xff\0"
    (tmp_path / "b").write_bytes(b"")
    assert list(blocks(tmp_path / "b")) == [""]


# --- tables and JSON ---------------------------------------------------------------------------------------------------

UNCLOSED, ID = "line 2, is no row of a table: a quotation mark is not closed", "id is a whole number or a string, not "
LOST = "holds half of a character, .ud83d, without the other half"


@pytest.mark.parametrize(
    ("read", "name", "content", "said"),
    [
        (captions.table, "a.csv", 'file,caption\n0.png,"a dog\n1.png,a cat\n', UNCLOSED),
        (captions.table, "a.csv", f"file,caption\n0.png,{'x' * 200_000}\n", "line 2, is no row .* field larger than field limit"),
        (questions.table, "a.csv", 'file,question,answer\n0.png,what,"a\n', UNCLOSED),
        (attributes.csv_table, "a.csv", f"file,smile\n0.png,{'1' * 200_000}\n", "line 2, is no row .* field larger than field limit"),
        (captions.json_lines, "a.jsonl", "[" * 100_000, "line 1 is no JSON: maximum recursion depth"),
        (captions.json_lines, "a.jsonl", '{"file": "0.png", "caption": "\\ud83d"}', f"line 1 {LOST}"),
        (captions.of_json, "a.json", '{"images": [{"id": [], "file_name": "0.png"}], "annotations": []}', rf"images\[0\]: {ID}\[\]"),
        (captions.of_json, "a.json", f'{{"images": {"9" * 5000}}}', "is no JSON: Exceeds the limit"),
        (questions.table, "a.jsonl", "[" * 100_000, "line 1, is no JSON: maximum recursion depth"),
        (questions.table, "a.jsonl", '{"file": "0.png", "question": "\\uD83D", "answer": "a"}', f"line 1, {LOST}"),
        (boxes.of_coco, "a.json", '{"categories": [{"id": {}, "name": "a"}]}', rf"categories\[0\]: {ID}\{{\}}"),
        (boxes.of_coco, "a.json", '{"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}', r"\[1\] has the id 1 of another"),
        (boxes.of_coco, "a.json", '{"categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]}', r"\[1\] has the name a of another"),
        (bodies.of_densepose, "a.json", '{"images": [], "annotations": [{"dp_x": [], "image_id": []}]}', rf"image_{ID}\[\]"),
    ],
)  # fmt: skip
def test_tables_and_json_that_cannot_be_read_are_one_sentence(
    read: Callable[[Path], Any], name: str, content: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(PaperzooError, match=said):
        list(read(tmp_path if read is questions.table else tmp_path / name))
