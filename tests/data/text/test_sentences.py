"""Pieces, pairs of segments, GLUE's tables and e-mail: what is drawn, what is left out, and what is refused."""

from __future__ import annotations

import io
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

import paperzoo
from paperzoo.data.text import glue, sentences
from paperzoo.data.text.wordpiece import SPECIAL, WordPiece, learn
from paperzoo.errors import PaperzooError
from paperzoo.metrics.matthews import matthews

TEXTS = ["the cat sat on the mat", "the cats sat", "a mat, a cat: Sat!"] * 3


def test_pieces_are_cut_as_transformers_cuts_them() -> None:
    transformers = pytest.importorskip("transformers")
    vocabulary = learn(TEXTS, 40)
    assert vocabulary[:5] == SPECIAL and len(set(vocabulary)) == len(vocabulary) <= 40
    assert {"cat", "##s", "the"} <= set(vocabulary)
    theirs = transformers.BertTokenizerFast(vocab={piece: i for i, piece in enumerate(vocabulary)})
    for text in (*TEXTS, "Cats-mats séats", "Ω unknown 7", "[MASK]at"):
        expected = theirs(text, add_special_tokens=False)["input_ids"] if "[" not in text else None
        (found,) = WordPiece(vocabulary).encode([text])
        if expected is None:
            assert WordPiece(vocabulary).mask not in found  # a text cannot smuggle a mask in
        else:
            assert found == expected, text
    assert learn(reversed(TEXTS), 40) == vocabulary  # by the words and their counts alone


def test_packing_cuts_the_longer_sentence_and_counts_what_it_leaves_out() -> None:
    pieces = WordPiece([*SPECIAL, "a"])
    rows = pieces.pack([[[5] * 3], [[5] * 2, [5] * 9], [[5] * 9, [5] * 9], [[5] * 20]], 10)
    assert rows.length.tolist() == [5, 10, 10, 10] and rows.left_out == [0, 4, 11, 12]
    assert rows.tokens[0].tolist() == [2, 5, 5, 5, 3, 0, 0, 0, 0, 0]
    assert rows.tokens[1].tolist() == [2, 5, 5, 3, 5, 5, 5, 5, 5, 3] and rows.segment[1].tolist() == [0] * 4 + [1] * 6
    assert rows.tokens[2].tolist() == [2, 5, 5, 5, 5, 3, 5, 5, 5, 3]


@pytest.mark.parametrize("negatives", sentences.NEGATIVES)
def test_segments_follow_where_they_say_so_and_never_else(negatives: str) -> None:
    column = sentences.made_up(negatives=negatives)["train"].columns[0]
    assert isinstance(column, sentences.Segments)
    torch.manual_seed(0)
    every, follows = np.arange(len(column)), []
    for _ in range(30):
        begin, cut, second, size, true = column.draw(every)
        follows.append(true.mean())
        assert (cut > begin).all() and (size > 0).all() and np.isin(cut, column.starts).all() and np.isin(second, column.starts).all()
        assert (second[true] == cut[true]).all() and (second[~true] != cut[~true]).all()
        book = np.searchsorted(column.ends, [begin, second, second + size - 1], "right")
        assert (book[1] == book[2]).all()  # B lies in one book
        assert (book[0] == book[1])[~true].all() if negatives == "book" else (book[0] == book[1])[~true].mean() < 0.1
    assert abs(np.mean(follows) - 0.5) < 0.03
    torch.manual_seed(1)
    first = column.take(every)
    torch.manual_seed(1)
    begin, cut, second, size, true = column.draw(every)
    for row in range(0, len(every), 7):
        one, two = column.flat[begin[row] : cut[row]], column.flat[second[row] : second[row] + size[row]]
        cls, sep, pad = column.marks
        wanted = [cls, *one, sep, *two, sep]
        length = len(wanted)
        assert first["tokens"][row].tolist() == wanted + [pad] * (first["tokens"].shape[1] - length)
        segment = [0] * (len(one) + 2) + [1] * (len(two) + 1)
        assert first["segment"][row].tolist()[:length] == segment and int(first["length"][row]) == length <= column.length
        assert bool(first["next"][row]) == bool(true[row])


def test_every_wrong_segment_is_as_likely_and_its_length_tells_nothing() -> None:
    flat, starts = np.arange(40, dtype=np.int32), np.arange(0, 40, 4)
    for negatives in sentences.NEGATIVES:
        column = sentences.Segments(flat, starts, np.array([40]), np.array([0]), (1, 2, 0), 11, negatives)
        torch.manual_seed(0)
        found = [column.draw(np.zeros(4000, np.int64))]
        begin, cut, second, size, true = found[0]
        assert set(begin) == {0} and set(cut) == {4} and set(size) == {4}
        counts = Counter(second[~true].tolist())
        assert set(counts) == {0, *range(8, 40, 4)}  # every other sentence, the first too
        assert max(counts.values()) < 1.35 * min(counts.values())


def test_sentences_are_cut_at_their_ends() -> None:
    assert sentences.sentences_of('Mr. Bennet made no answer.\n"You want\nto tell me." He did!\n\nA new one') == [
        "Mr. Bennet made no answer.", '"You want to tell me."', "He did!", "A new one",
    ]  # fmt: skip
    assert max(map(len, sentences.sentences_of("x" * 1_000_000 + " end."))) <= sentences.LONGEST_SENTENCE * (sentences.LONGEST_WORD + 1)


def test_the_users_own_books(tmp_path: Path) -> None:
    story = "\n\n".join(" ".join(book.sentences) for book in sentences.stories())
    (tmp_path / "a.txt").write_text(story, encoding="utf-8")
    data = paperzoo.dataset(f"sentences:{tmp_path / 'a.txt'}#length=24&pieces=90&negatives=book")
    assert set(data.splits) == {"train", "validation", "test"} and data.schema.arguments["vocabulary"][:5] == SPECIAL
    assert int(data["train"].batch(range(8)).length.max()) <= 24
    (tmp_path / "bad.txt").write_bytes(b"all is well \xff no")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "line.txt").write_text("x" * 1_000_000)
    for place, said in (
        ("bad.txt", "offset 12"), ("empty.txt", "empty"), ("line.txt", "letters|sentences|two sentences"),
        ("a.txt#pieces=many", "whole number"), ("a.txt#size=3", "unknown option"), ("a.txt#pieces=9", "too few"),
        ("a.txt#negatives=near", "negatives"), ("a.txt#length=4", "at least 8"),
    ):  # fmt: skip
        with pytest.raises(PaperzooError, match=said):
            paperzoo.dataset(f"sentences:{tmp_path / place}")


def test_glue_tables(tmp_path: Path) -> None:
    cola = tmp_path / "CoLA"
    cola.mkdir()
    rows = ["gj04\t1\t\tOur friends won't buy this.", "gj04\t0\t*\tThey drank the pub.", 'gj04\t1\t\tHe said "no.']
    (cola / "train.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (cola / "dev.tsv").write_text(rows[1] + "\n", encoding="utf-8")
    data = paperzoo.dataset(f"glue:{cola}")
    assert data.schema.arguments["classes"] == 2 and data["train"].batch([1, 2]).texts == [("They drank the pub.",), ('He said "no.',)]
    assert data["train"].batch([0, 1, 2]).label.tolist() == [1, 0, 1] and data["test"].batch([0]).label.tolist() == [0]

    sts = tmp_path / "STS-B"
    sts.mkdir()
    (sts / "train.tsv").write_text("index\tsentence1\tsentence2\tscore\n0\tA plane.\tA jet.\t3.8\n", encoding="utf-8")
    (sts / "dev.tsv").write_text("index\tsentence1\tscore\n0\tA plane.\t3.8\n", encoding="utf-8")
    with pytest.raises(PaperzooError, match=r"no column sentence2; its columns are index, sentence1, score"):
        paperzoo.dataset(f"glue:{sts}")
    (sts / "dev.tsv").write_text("index\tsentence1\tsentence2\tscore\n0\tA plane.\tA jet.\n", encoding="utf-8")
    with pytest.raises(PaperzooError, match="line 2: 3 columns, and column 4 is needed"):
        paperzoo.dataset(f"glue:{sts}")
    (sts / "dev.tsv").write_text("index\tsentence1\tsentence2\tscore\n0\tA plane.\tA jet.\thigh\n", encoding="utf-8")
    with pytest.raises(PaperzooError, match="must be a number, not 'high'"):
        paperzoo.dataset(f"glue:{sts}")
    (cola / "dev.tsv").write_bytes(b"gj04\t1\t\tcaf\xe9\n")
    with pytest.raises(PaperzooError, match="0xe9 at offset 11"):
        paperzoo.dataset(f"glue:{cola}#task=cola")
    (cola / "dev.tsv").write_text("")
    with pytest.raises(PaperzooError, match="is empty"):
        paperzoo.dataset(f"glue:{cola}#task=CoLA")
    with pytest.raises(PaperzooError, match="unknown task 'colo'"):
        paperzoo.dataset(f"glue:{cola}#task=colo")


def test_the_users_own_table_is_cut_without_copies(tmp_path: Path) -> None:
    file = tmp_path / "mine.tsv"
    lines = [f"{'good' if i % 2 else 'bad'}\tsentence number {i // 2}{'!' * (i % 2)}" for i in range(40)]
    file.write_text("\n".join(["label\tsentence", *lines, *lines]) + "\n", encoding="utf-8")
    data = paperzoo.dataset(f"glue:{file}")
    assert sum(map(len, data.splits.values())) == 40 and data.schema.names == ("bad", "good")
    held = {text for split in ("validation", "test") for text in data[split].batch(range(len(data[split]))).texts}
    assert not held & set(data["train"].batch(range(len(data["train"]))).texts)


def test_mail_is_its_body_alone_and_copies_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert glue.body_of(b"Subject: s\nFrom: x\n\nHello\nyou") == "Hello you"
    page = b"Content-Type: text/html\n\n<html><style>p {}</style><p>Buy &amp; win<br>now</p></html>"
    assert glue.body_of(page) == "Buy & win now"
    parts = b"--b\nContent-Type: text/html\n\n<p>no</p>\n--b\n\nyes\n--b--\n"
    both = b'MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary="b"\n\n' + parts
    assert glue.body_of(both) == "yes"
    assert glue.body_of(b"Content-Type: text/plain; charset=unheard-of\n\nstill \xff read")  # an unknown coding stops nothing
    with pytest.raises(PaperzooError, match="5,000 different messages"):
        archive = tmp_path / "few.tgz"
        with tarfile.open(archive, "w:gz") as tar:
            for name in ("spam-1/1.txt", "easy-ham-1/1.txt"):
                content = b"Subject: s\n\nThis is a message of some length.\n"
                info = tarfile.TarInfo(f"package/data/{name}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        glue.spam(archive)


def test_matthews_equals_scikit_learn() -> None:
    from sklearn.metrics import matthews_corrcoef

    random = np.random.default_rng(0)
    for classes in (2, 4):
        label, guess = random.integers(0, classes, (2, 300))
        guess = np.where(random.random(300) < 0.5, label, guess)
        assert matthews(label, guess) == pytest.approx(matthews_corrcoef(label, guess))
    # on data like CoLA's the commonest class is right 69 times in 100, and knows nothing
    assert matthews(np.array([1] * 69 + [0] * 31), np.ones(100, int)) == 0
