"""Parallel text: readers on small files of each format, splits that do not leak, pieces, batches by tokens, bad input."""

from __future__ import annotations

import io
import lzma
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import paperzoo
from paperzoo.data.text.bpe import SPECIAL, Bpe, learn
from paperzoo.data.text.parallel import (
    LONGEST,
    buckets,
    cut,
    help_pages,
    letters,
    libreoffice,
    lines,
    pairs_file,
    parallel,
    tmx,
    tsv,
    two_files,
    wmt_folder,
)
from paperzoo.errors import PaperzooError

MANY = [(f"a frase número {i} é assim", f"sentence number {i} is like this") for i in range(200)]


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


# --- readers -----------------------------------------------------------------------------------------------------------


def test_two_files_line_by_line(tmp_path: Path) -> None:
    a = write(tmp_path / "x.pt", "um\r\ndois\u2028tr\u00eas\x85\r\n\r\nquatro \r\n", "utf-8-sig")  # \u2028 and \x85 end no line
    b = write(tmp_path / "x.en", "one\ntwo\u2028three\nnothing\nfour")
    assert two_files(a, b) == [("um", "one"), ("dois\u2028tr\u00eas", "two\u2028three"), ("quatro", "four")]
    write(b, "one\ntwo\n")
    with pytest.raises(PaperzooError, match=r"x.pt has 4 lines, but .*x.en has 2: line n must translate line n"):
        two_files(a, b)


@pytest.mark.parametrize("reader", [lines, tsv, lambda path: two_files(path, path)])
def test_empty_and_wrongly_encoded_files_are_named(reader: Any, tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=r"empty.txt is empty"):
        reader(write(tmp_path / "empty.txt", " \n\n"))
    with pytest.raises(PaperzooError, match=r"latin.txt is not UTF-8: byte 0xe9 at offset 9"):
        reader(write(tmp_path / "latin.txt", "um\tone\nj\t\u00e9", "latin-1"))
    with pytest.raises(PaperzooError, match=r"cannot read .*nowhere: No such file"):
        reader(tmp_path / "nowhere")


def test_tab_separated(tmp_path: Path) -> None:
    file = write(tmp_path / "x.tsv", "um\tone\tCC-BY\n\ndois \t two\n")
    assert tsv(file) == [("um", "one"), ("dois", "two")]
    for text, line in (("um\tone\ndois\n", 2), ("\tone\n", 1), ("um\tone\n\nx\t\n", 3)):
        with pytest.raises(PaperzooError, match=rf"x.tsv, line {line}: .* needs a sentence, a tab and its translation"):
            tsv(write(file, text))


TMX = """<?xml version="1.0" encoding="{}"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4"><header srclang="en"/><body>
<tu><tuv xml:lang="en-US"><seg>The <bpt i="1">&lt;b&gt;</bpt>old<ept i="1">&lt;/b&gt;</ept> <hi>house</hi> &amp; I</seg></tuv>
    <tuv xml:lang="pt-BR"><seg>A casa
      antiga e eu, irmã</seg></tuv></tu>
<tu><tuv xml:lang="EN-us"><seg>Two</seg></tuv><tuv xml:lang="de"><seg>Zwei</seg></tuv></tu>
<tu><tuv xml:lang="pt-BR"><seg>Três</seg></tuv><tuv xml:lang="en-US"><seg>Three</seg></tuv></tu>
</body></tmx>"""


def test_translation_memories(tmp_path: Path) -> None:
    house = ("A casa antiga e eu, irmã", "The old house & I")
    for encoding in ("utf-8", "utf-16", "iso-8859-1"):
        file = write(tmp_path / "x.tmx", TMX.format(encoding), encoding)
        assert tmx(file, "pt", "en") == [house, ("Três", "Three")]
        assert tmx(file, "de", "EN-US") == [("Zwei", "Two")]
    with pytest.raises(PaperzooError, match=r"nothing in the language 'fr'; it has en-us, pt-br, de"):
        tmx(file, "fr", "en")
    with pytest.raises(PaperzooError, match=r"nothing in the language 'p'"):  # not the begin of pt
        tmx(file, "p", "en")
    with pytest.raises(PaperzooError, match=r"name two languages, as in #source=pt&target=en; it has en-us, pt-br, de"):
        tmx(file)
    for bad in ("", "no xml", TMX.format("utf-8")[:400], TMX.format("nonsense")):
        with pytest.raises(PaperzooError, match=r"x.tmx is no TMX file"):
            tmx(write(file, bad), "pt", "en")


def deb(path: Path, files: dict[str, str]) -> Path:
    """A Debian package in the format of dpkg, with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    body = b"!<arch>\n"
    for name, content in (("debian-binary", b"2.0\n"), ("data.tar.xz", lzma.compress(buffer.getvalue()))):
        body += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode() + content + b"\n" * (len(content) % 2)
    path.write_bytes(body)
    return path


def help_package(path: Path, language: str, word: str) -> Path:
    """200 pages of a paragraph that both languages have, one of the page's own, and one that is no translation."""
    hidden = '<span hidden="true" id="{0}1" {1}>{2}</span>'
    keys = hidden.format("MAC", 'class="MAC"', '<span class="y">Cmd</span>') + hidden.format("default", "", "Ctrl")
    page = (
        f'<html><p id="par_1" class="z">{{0}} number {{1}} &amp; <span class="x">{keys}</span>+<em>X</em>\n now</p>'
        '<p id="par_9">OK</p><h1 id="hd_1">The same in {0}: all pages</h1></html>'
    )
    files = {f"usr/share/libreoffice/help/{language}/text/a/{i}.html": page.format(word, i) for i in range(200)}
    return deb(path, files)


def test_help_pages_are_paired_and_split_by_page(tmp_path: Path) -> None:
    pt, en = help_package(tmp_path / "pt.deb", "pt-BR", "página"), help_package(tmp_path / "en.deb", "en-US", "page")
    assert help_pages(en, "en-US")["a/7.html"]["par_1"] == "page number 7 & Ctrl+X now"
    data = libreoffice(pt, en)
    pairs = {name: split.batch(range(len(split))).texts for name, split in data.splits.items()}
    assert sum(map(len, pairs.values())) == 201  # each page's own, and once what all have
    assert ("página number 7 & Ctrl+X now", "page number 7 & Ctrl+X now") in [p for split in pairs.values() for p in split]
    assert data.left_out["paragraphs too short, too long, or no translation"] == 200 and "Left out: 200" in data.source
    assert data.schema.arguments["languages"] == ("pt", "en") and len(pairs["train"]) > 170
    again = libreoffice(pt, en)
    assert {name: split.batch(range(len(split))).texts for name, split in again.splits.items()} == pairs


def test_all_of_a_page_goes_to_one_split() -> None:
    keyed = [(f"page {i % 100}", (f"a {i}", f"b {i}")) for i in range(1000)]
    splits = cut(keyed, "x", validation=0.2, test=0.2)
    pages = {name: {int(a[2:]) % 100 for a, _ in pairs} for name, pairs in splits.items()}
    assert sum(map(len, pages.values())) == 100 == len(set.union(*pages.values()))
    assert sum(map(len, splits.values())) == 1000 and 8 < len(pages["test"]) < 35
    assert cut([*keyed, ("page new", ("c", "d"))], "x", 0.2, 0.2)["test"][: len(splits["test"])] == splits["test"]
    with pytest.raises(PaperzooError, match=r"x has too few pairs \(1\)"):
        cut(keyed[:1], "x")


# --- data sets ---------------------------------------------------------------------------------------------------------


def test_what_occurs_in_training_is_dropped_and_counted() -> None:
    splits = {
        "train": [("Um  gato", "a cat"), ("dois", "two"), ("longo", "x" * 400)],
        "validation": [("três", "three")],
        "test": [("um gato", "one cat"), ("a par", "TWO"), ("quatro", "four"), ("cinco", "five")],
    }
    data = parallel("x", splits, ("pt", "en"), "", "here", pieces=259)
    assert data["test"].batch([0, 1]).texts == [("quatro", "four"), ("cinco", "five")] and len(data["test"]) == 2
    assert data.left_out["test pairs that occur in training"] == 2 and len(data["train"]) == 2
    assert f"1 train pairs of more than {LONGEST} pieces" in data.source
    with pytest.raises(PaperzooError, match="x has no pairs for test once those are left out"):
        parallel("x", {**splits, "test": splits["test"][:2]}, ("pt", "en"), "", "here", pieces=259)
    with pytest.raises(PaperzooError, match="x has no pairs for test"):
        parallel("x", {**splits, "test": []}, ("pt", "en"), "", "here", pieces=259)


def test_the_users_own(tmp_path: Path) -> None:
    file = write(tmp_path / "x#1.tsv", "\n".join("\t".join(pair) for pair in MANY))
    by_tsv = paperzoo.dataset(f"pairs:{file}#pieces=300")
    assert by_tsv.name == f"pairs:{file}#pieces=300" and len(by_tsv.schema.arguments["vocabulary"]) == 300
    assert sum(len(split) for split in by_tsv.splits.values()) == 200 and not by_tsv.pictures
    for side, code in enumerate(("pt", "en")):
        write(tmp_path / f"train.{code}", "\n".join(pair[side] for pair in MANY[:180]))
        write(tmp_path / f"test.{code}", "\n".join(pair[side] for pair in MANY[180:]))
    by_files = pairs_file(tmp_path / "train.pt", "target=train.en")
    assert by_files.schema.arguments["languages"] == ("pt", "en") and set(by_files.splits) == {"train", "validation", "test"}
    by_folder = paperzoo.dataset(f"pairs:{tmp_path}#source=pt&target=en")
    assert {name: len(split) for name, split in by_folder.splits.items()} == {"train": 180, "test": 20}
    turned = pairs_file(tmp_path, "source=en&target=pt")
    assert turned["test"].batch([0]).texts == [MANY[180][::-1]]
    units = "".join(f'<tu><tuv xml:lang="pt"><seg>{a}</seg></tuv><tuv xml:lang="en"><seg>{b}</seg></tuv></tu>' for a, b in MANY)
    memory = write(tmp_path / "x.tmx", f"<tmx><body>{units}</body></tmx>")
    assert sum(len(split) for split in pairs_file(memory).splits.values()) == 200
    for place, options, message in (
        (tmp_path, "", "name the two endings of its files"),
        (tmp_path, "source=fr&target=en", r"needs train.fr and train.en; it has: .*train.pt"),
        (tmp_path / "train.pt", "", "needs its translations"),
        (tmp_path / "train.pt", "target=test.en", "has 180 lines, but .*test.en has 20"),
        (file, "sauce=pt", "unknown option 'sauce' of x#1.tsv: did you mean source"),
        (file, "pieces=many", "pieces is a whole number"),
        (file, "pieces=12", "at least 259 pieces"),
    ):
        with pytest.raises(PaperzooError, match=message):
            pairs_file(place, options)
    with pytest.raises(PaperzooError, match="there is no"):
        paperzoo.dataset(f"pairs:{tmp_path}/none.tsv#source=pt")
    with pytest.raises(PaperzooError, match=r"cannot read .*train.de"):
        wmt_folder(tmp_path)


def test_letters_are_copied_or_turned() -> None:
    for kind in ("copy", "reverse"):
        data = letters(kind, count=300, longest=6, alphabet=8)
        batch = data["train"].batch(range(50))
        assert all(b == (a if kind == "copy" else a[::-1]) for a, b in batch.texts)
        assert (batch.source > 258).sum(1).tolist() == [len(a.split()) for a, _ in batch.texts]  # a piece a letter
        train = {text for pair in data["train"].batch(range(len(data["train"]))).texts for text in pair}
        assert not train & {text for pair in data["test"].batch(range(len(data["test"]))).texts for text in pair}


# --- pieces and batches ------------------------------------------------------------------------------------------------


def test_pieces_lose_nothing() -> None:
    vocabulary, merges = learn((text for pair in MANY for text in pair), 320)
    assert len(vocabulary) == 320 == len(merges) + 259 and vocabulary[:3] == SPECIAL
    assert learn((text for pair in MANY for text in pair), 320) == (vocabulary, merges)
    bpe = Bpe(vocabulary, merges)
    texts = ["a frase número 7", "日本 <s> </s> & 😀", "x  y", ""]
    rows = bpe.encode(texts)
    assert bpe.decode(rows) == texts and min(i for row in rows for i in row) > 2  # "<s>" in a text is text
    assert bpe.decode([[1, *rows[0], 2, 0, 0]]) == texts[:1]
    assert bpe.encode(["nu\u0301mero"]) == bpe.encode(["número"])  # composed first
    assert len(bpe.encode(["sentence"])[0]) < len("sentence")
    for wrong, message in (
        ((vocabulary[1:], merges), "must begin with <pad>"),
        ((vocabulary, [*merges, "q q"]), "the merge 'q' 'q' does not belong"),
        ((SPECIAL, ()), "lacks 256 of the 256 bytes"),
    ):
        with pytest.raises(PaperzooError, match=message):
            Bpe(*wrong)


def test_batches_by_tokens() -> None:
    lengths = np.random.default_rng(0).integers(1, 60, (1000, 2))
    lengths[17] = (500, 3)
    groups = buckets(lengths, 400)
    assert sorted(np.concatenate(groups).tolist()) == list(range(1000))  # every pair once
    filled = [len(group) * lengths[group].max() for group in groups]
    assert max(f for f, group in zip(filled, groups, strict=True) if len(group) > 1) <= 400
    assert [group.tolist() for group in groups if 17 in group] == [[17]]
    shuffled = [np.random.default_rng(1).permutation(1000)[i : i + 10] for i in range(0, 1000, 10)]
    waste = [1 - lengths[np.concatenate(parts)].sum() / sum(2 * len(g) * lengths[g].max() for g in parts) for parts in (groups, shuffled)]
    assert waste[0] < waste[1]
    assert buckets(lengths[:0], 400) == []

    data = letters("copy", count=300, longest=6, alphabet=8)
    split = data["train@100"]
    every = [text for i in range(len(split)) for text in split.batch([i]).texts]
    assert sorted(every) == sorted(data["train"].batch(range(len(data["train"]))).texts)
    both = split.batch([0, 5])
    assert len(both) == len(split.batch([0])) + len(split.batch([5])) and both.source.shape[0] == both.target.shape[0]
    assert len(data.joined("train@100+validation@100")) == len(split) + len(data["validation@100"])
    for wrong in ("train@", "train@0", "train@x"):
        with pytest.raises(PaperzooError, match="after @ comes the number of tokens"):
            data[wrong]
    with pytest.raises(PaperzooError, match="unknown split 'trian'"):
        data["trian@100"]
