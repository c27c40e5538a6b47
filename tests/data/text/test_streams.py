"""Running text in shards: the same tokens, vocabulary, splits and order as of a text that is read into memory."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.files import type_in

from paperzoo.data import Dataset, datasets, encoding
from paperzoo.data.datasets import dataset, prepare
from paperzoo.data.fetch import shards
from paperzoo.data.order import Order
from paperzoo.data.text import running, streams
from paperzoo.data.text.running import Streams, Text
from paperzoo.errors import PaperzooError

pytest.importorskip("pyarrow")


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own; every text is large, is read 50 bytes at a time, and has 7 tokens a row and 4 rows a shard."""
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(streams, "LARGE", 10)
    monkeypatch.setattr(streams, "ROW", 7)
    monkeypatch.setattr(encoding, "_BLOCK", 50)
    monkeypatch.setattr(shards, "SHARD", 4 * 7 * 4)
    monkeypatch.setattr(shards, "BLOCK", 3 * 7 * 4)
    datasets._build.cache_clear()


def texts(root: Path) -> Path:
    """Files whose lines end in every way, with words that occur once, marks, blank lines and letters of several bytes."""
    root.mkdir()
    random = np.random.default_rng(0)
    rare = [f"w{i}" for i in range(40)]
    words = ["the", "sea", "ärger", "don't", "twenty-two", "<unk>", "Ж", "wind", ",", "\N{GRINNING FACE}", "a\rb", *rare]
    lines = [" ".join(random.choice(words, random.integers(0, 9))) for _ in range(120)]
    (root / "a.txt").write_bytes("\r\n".join(lines[:60]).encode() + b"\r")
    (root / "b.txt").write_bytes("\r".join(line.replace("\r", " ") for line in lines[60:90]).encode() + b"\r")
    with gzip.open(root / "c.txt.gz", "wb") as file:
        file.write(("\n".join(lines[90:]) + "\n\n").encode("utf-16"))
    return root


def same(a: Dataset, b: Dataset) -> None:
    assert isinstance(a, Text) and isinstance(b, Text) and a.schema == b.schema and np.array_equal(a.shares, b.shares)  # type: ignore[arg-type]
    assert {k: len(v) for k, v in a.splits.items()} == {k: len(v) for k, v in b.splits.items()}
    assert (a.source, a.licence) == (b.source, b.licence)
    for split in a.splits:
        one, other = a[split].batch(range(len(a[split]))), b[split].batch(range(len(b[split])))
        assert all(torch.equal(value, getattr(other, field)) for field, value in one.__dict__.items())


@pytest.mark.parametrize("kind", ["characters", "words"])
def test_a_text_in_shards_equals_one_in_memory(kind: str, tmp_path: Path) -> None:
    place = texts(tmp_path / "texts")
    memory = dataset(f"{kind}:{place}")
    assert prepare(f"{kind}:{place}") == 3
    kept = dataset(f"{kind}:{place}")
    column = kept["train"].columns[0]
    assert isinstance(column, Streams) and isinstance(column.flat, streams.Tokens) and column.flat.parts[0][0].layout.shards > 5
    same(kept, memory)
    order = Order(len(kept["train"]), 3, "shuffle", seed=1)
    for iteration in (7, 2):
        a, b = (built["train"].batch(order.batch(iteration)) for built in (kept, memory))
        assert torch.equal(a.tokens, b.tokens) and torch.equal(a.target, b.target)
    joined = [built.joined("train+test") for built in (kept, memory)]
    a, b = (split.batch(range(len(split))) for split in joined)
    assert torch.equal(a.tokens, b.tokens) and torch.equal(a.target, b.target)


@pytest.mark.parametrize("content", [b"a\r\nb\r\r\n\rc\r", b"a\rb\r\rc\r", b"a\nb\r\n\n"])
def test_a_part_at_a_time_a_file_has_the_same_characters(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is cut, also between the two characters that end a line."""
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    whole = encoding.read_text(path)
    for size in range(1, len(content) + 2):
        monkeypatch.setattr(encoding, "_BLOCK", size)
        assert "".join(encoding.chunks(path)) == whole


@pytest.mark.parametrize("kind", ["characters", "words"])
def test_a_preparation_that_was_cut_off_goes_on(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was counted is not counted again, a shard that is there is not made again, one in the middle that is missing is."""
    place = texts(tmp_path / "texts")
    memory, made, make = dataset(f"{kind}:{place}"), [], shards.make

    def some(folder: Path, layout: shards.Layout, number: int, rows: object) -> None:
        if len(made) == 4:
            raise KeyboardInterrupt
        made.append(number)
        make(folder, layout, number, rows)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(shards, "make", some)
        with pytest.raises(KeyboardInterrupt):
            prepare(f"{kind}:{place}")
    assert not isinstance(dataset(f"{kind}:{place}")["train"].columns[0].flat, streams.Tokens)  # type: ignore[attr-defined]
    (folder,) = (tmp_path / "cache" / "prepared").glob("*-train")
    (folder / "00001.arrow").unlink()
    before = {number: (folder / f"{number:05d}.arrow").stat().st_mtime_ns for number in (0, 2, 3)}
    monkeypatch.setattr(streams, "_count", None)
    prepare(f"{kind}:{place}")
    kept = dataset(f"{kind}:{place}")
    same(kept, memory)
    assert before == {number: (folder / f"{number:05d}.arrow").stat().st_mtime_ns for number in before}
    path = folder / "00001.arrow"
    content = bytearray(path.read_bytes())
    content[content.index(shards.opened(folder.name).take(np.array([4])).tobytes())] ^= 1  # type: ignore[union-attr]
    path.write_bytes(content)
    datasets._build.cache_clear()
    with pytest.raises(PaperzooError, match=r"00001\.arrow is damaged: row 0 is not as it was written; delete it"):
        dataset(f"{kind}:{place}")["train"].batch(range(len(kept["train"])))


def test_a_small_text_is_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    place = texts(tmp_path / "texts")
    monkeypatch.setattr(streams, "LARGE", 2**28)
    code, out, _ = type_in("data", "prepare", f"characters:{place}", capsys=capsys, monkeypatch=monkeypatch)
    assert code == 0 and "kept in memory" in out and not (tmp_path / "cache" / "prepared").exists()
    assert running.bounds(1000) == (900, 950)
