"""glove: counting against a plain loop and in bounded memory, the loss against autograd, exact fits, what is learnt, vector files."""

from __future__ import annotations

import io
import struct
import tarfile
import tracemalloc
import zlib
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import paperzoo
from paperzoo.data.text.cooccurrence import cooccurrences
from paperzoo.data.text.corpus import corpus
from paperzoo.data.text.literature import novels, verses
from paperzoo.data.text.ratios import ratios
from paperzoo.errors import PaperzooError
from paperzoo.papers.language import word2vec
from paperzoo.papers.language.glove import Model, kernel, weighting
from paperzoo.tasks.embedding import load_vectors
from paperzoo.tasks.embedding.measure import answered


def plain(texts: list[np.ndarray], window: int, distance: bool = True) -> dict[tuple[int, int], Fraction]:
    """Every word with each of its neighbours, from both sides, in exact fractions; only i <= j is kept."""
    found: dict[tuple[int, int], Fraction] = defaultdict(Fraction)
    for text in texts:
        for i, word in enumerate(text):
            for j in range(max(0, i - window), min(len(text), i + window + 1)):
                between = text[min(i, j) : max(i, j) + 1]
                if j != i and (between >= 0).all() and word <= text[j]:
                    found[int(word), int(text[j])] += Fraction(1, abs(i - j)) if distance else 1
    return dict(found)


def test_a_b_c_by_hand() -> None:
    pairs = cooccurrences([np.array([0, 1, 2])], 3)
    assert [tuple(p) for p in zip(*(a.tolist() for a in pairs), strict=True)] == [(0, 1, 1.0), (0, 2, 0.5), (1, 2, 1.0)]
    pairs = cooccurrences([np.array([0, 0, -1, 0, 1])], 2)  # a word beside itself counts from both sides; -1 ends a text
    assert [tuple(p) for p in zip(*(a.tolist() for a in pairs), strict=True)] == [(0, 0, 2.0), (0, 1, 1.0)]
    assert len(cooccurrences([], 3).row) == 0 and len(cooccurrences([np.array([1])], 3).row) == 0


@pytest.mark.parametrize(("threads", "memory", "distance"), [(1, 2**24, True), (2, 2**17, True), (3, 3 * 2**16, False)])
def test_counts_are_exactly_those_of_a_plain_loop_whatever_the_memory(threads: int, memory: int, distance: bool) -> None:
    random = np.random.default_rng(0)
    texts = [np.where(random.random(n) < 0.02, -1, random.zipf(1.3, n) % 400) for n in (900, 1, 700, 0, 800)]
    pairs, wanted = cooccurrences(texts, 400, 7, distance, memory, threads), plain(texts, 7, distance)
    assert list(zip(pairs.row.tolist(), pairs.column.tolist(), strict=True)) == sorted(wanted)
    assert pairs.x.tolist() == [float(wanted[key]) for key in sorted(wanted)]
    assert len(wanted) > 4000  # several times what a table of the small memories holds


def test_memory_is_bounded_on_ten_times_the_budget() -> None:
    memory, words = 1_000_000, 8_000
    random = np.random.default_rng(1)
    cooccurrences([np.arange(5)], 5)  # compiled before it is measured
    texts = (random.integers(0, words, 20_000).astype(np.int32) for _ in range(4))
    tracemalloc.start()
    pairs = cooccurrences(texts, words, 10, True, memory, 2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 16 * len(pairs.row) > 10 * memory and isinstance(pairs.x, np.memmap)
    assert peak < 1.2 * memory
    assert pairs.x.sum() == pytest.approx(80_000 * sum(1 / d for d in range(1, 11)), rel=1e-3)
    key = pairs.row.astype(np.int64) * words + pairs.column
    assert (np.diff(key) > 0).all()


def test_what_cannot_be_counted(tmp_path: Path) -> None:
    for given, message in (
        ({"window": 0}, "window and threads must be at least 1"),
        ({"words": 0}, "from 1 to"),
        ({"memory": 10}, "memory must be at least"),
        ({"words": 2}, "numbered from 0 to 1, or -1, not 0 to 2"),
    ):
        with pytest.raises(PaperzooError, match=message):
            cooccurrences([np.array([0, 1, 2])], **{"words": 3, **given})
    with pytest.raises(PaperzooError, match=r"cannot write co-occurrences to .*none"):
        cooccurrences([np.array([0, 1])], 2, folder=tmp_path / "none")


# ---- the loss


def test_weighting_by_hand() -> None:
    assert [weighting(x, 100.0, 0.75) for x in (100.0, 1e6)] == [1.0, 1.0]
    assert weighting(1.0, 100.0, 0.75) == pytest.approx(100**-0.75) and weighting(50.0, 100.0, 0.75) == pytest.approx(0.5946, abs=1e-4)
    assert weighting(3.0, 0.0, 0.75) == 1.0


def tables(words: int, dim: int, seed: int, scale: float = 0.5) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    values = [(scale * random.standard_normal((words, dim + 1))).astype(np.float32) for _ in range(2)]
    return [*values, *(np.ones_like(v) + random.random(v.shape).astype(np.float32) for v in values)]


def test_a_pass_is_adagrad_on_equation_8() -> None:
    """Pair by pair, both ways, with the gradient by autograd; X is not symmetric in what it moves."""
    pairs, rate, x_max, alpha = [(0, 2, 7.0), (1, 1, 300.0), (0, 3, 0.5)], 0.05, 100.0, 0.75
    word, context, word_squares, context_squares = (torch.from_numpy(t).double() for t in tables(4, 5, 0))
    total = 0.0
    for k in (2, 0, 1):
        i, j, x = pairs[k]
        for a, b in ((i, j), (j, i))[: 1 + (i != j)]:
            w, c = word.clone().requires_grad_(), context.clone().requires_grad_()
            wrong = w[a, :-1] @ c[b, :-1] + w[a, -1] + c[b, -1] - np.log(x)
            weight = min(1.0, (x / x_max) ** alpha)
            total += float((weight * wrong**2).detach())
            grown = torch.autograd.grad(rate * weight * wrong**2 / 2, (w, c))
            word, context = word - grown[0] / word_squares.sqrt(), context - grown[1] / context_squares.sqrt()
            word_squares, context_squares = word_squares + grown[0] ** 2, context_squares + grown[1] ** 2
    got = tables(4, 5, 0)
    columns = [np.array(c, t) for c, t in zip(zip(*pairs, strict=True), (np.int32, np.int32, np.float64), strict=True)]
    loss = kernel()(np.array([2, 0, 1]), *columns, *got, rate, x_max, alpha, True)
    assert loss == pytest.approx(total, rel=1e-5)
    for ours, wanted in zip(got, (word, context, word_squares, context_squares), strict=True):
        assert np.allclose(ours, wanted.numpy(), atol=2e-6)
    assert abs(tables(4, 5, 0)[0] - got[0]).max() > 1e-3


def batch_of(data: Any) -> Any:
    return data["train"].batch(range(len(data["train"])))


def fitted(data: Any, steps: int, seed: int = 0, **arguments: Any) -> tuple[Model, list[float]]:
    torch.manual_seed(seed)
    known = data.schema.arguments
    model = Model(**{"dim": 32, "threads": 1, "memory": 16, "min_count": 1, **arguments, "vocabulary": known["vocabulary"],
                     "counts": known["counts"]})  # fmt: skip
    batch = batch_of(data)
    return model, [model.step(batch, SimpleNamespace(iteration=i, total=steps))["loss"] for i in range(steps)]  # type: ignore[arg-type]


@pytest.mark.processor
def test_with_as_many_dimensions_as_words_the_logarithms_are_fitted_exactly() -> None:
    random = np.random.default_rng(0)
    words = [f"w{chr(97 + i)}" for i in range(12)]
    data = corpus("c", {"train": [" ".join(random.choice(words, 200)) for _ in range(20)]}, "", "")
    model, losses = fitted(data, 600, dim=12, x_max=0.0, lr=0.3)
    assert losses[-1] < 1e-6 < losses[0]
    pairs = model.pairs(batch_of(data))
    both = model.word[:, :-1] @ model.context[:, :-1].T + model.word[:, -1:] + model.context[:, -1]
    assert np.allclose(both.numpy()[pairs.row, pairs.column], np.log(pairs.x), atol=5e-3)
    assert np.allclose(both.numpy()[pairs.column, pairs.row], np.log(pairs.x), atol=5e-3)
    assert torch.equal(torch.from_numpy(model.vectors()), (model.word + model.context)[:, :-1])
    _, poor = fitted(data, 600, dim=1, x_max=0.0, lr=0.3)
    assert poor[-1] > 1e-3  # the closed form: a rank too low cannot hold them


def test_the_text_is_that_of_the_kept_words() -> None:
    data = corpus("c", {"train": ["a rare b a", "b"]}, "", "")
    model, _ = fitted(data, 1, min_count=2, window=1)
    pairs = model.pairs(batch_of(data))
    assert model.words == ("a", "b") and [pairs.row.tolist(), pairs.column.tolist(), pairs.x.tolist()] == [[0], [1], [2.0]]


# ---- what is learnt


@pytest.mark.processor
def test_ratios_are_learnt_and_not_without_weights_or_logarithms(tmp_path: Path) -> None:
    run = paperzoo.train("glove", recipe="smoke", out=tmp_path)
    assert run.metrics["analogy %"] >= 95 and run.metrics["analogy covered %"] == 100
    data, settings = paperzoo.dataset("ratios"), {"x_max": 20.0, "lr": 0.1}
    right = [
        100 * answered(fitted(data, 40, **{**settings, **wrong})[0], data.questions).mean()
        for wrong in ({"x_max": 0.0}, {"logarithm": False, "lr": 1e-3})
    ]
    assert right[0] < 85 and right[1] < 40
    assert run.model.predict("king queen prince").words[0] == "princess"
    assert sorted(p.name for p in (run.directory / "figures").iterdir()) == ["final-map.png", "final-neighbours.txt"]
    assert torch.equal(paperzoo.load(run.directory).word, run.model.word)


@pytest.mark.processor
def test_one_thread_repeats_itself_and_two_learn_as_much() -> None:
    data = ratios(1000)
    one, losses = fitted(data, 6)
    again, same = fitted(data, 6)
    assert torch.equal(one.word, again.word) and losses == same and losses[-1] < losses[0]
    two, together = fitted(data, 6, threads=2)
    assert together[-1] == pytest.approx(losses[-1], rel=0.1)
    assert all(np.array_equal(a, b) for a, b in zip(one._pairs or (), two._pairs or (), strict=True))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"dim": 0}, "dim must be at least 1"), ({"lr": 0.0}, "lr must be positive"), ({"counts": [1]}, "0 words but 1 counts"),
     ({"memory": 0}, "memory must be at least 1")],
)  # fmt: skip
def test_wrong_arguments(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(PaperzooError, match=message):
        paperzoo.create("glove", **wrong)


def test_a_part_of_the_text_too_few_words_or_a_rate_too_high(tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=r"set batch_size=all"):
        paperzoo.train("glove", "smoke", out=tmp_path, overrides={"batch_size": 10})
    data = corpus("c", {"train": ["a b a b", "a"]}, "", "")
    with pytest.raises(PaperzooError, match="0 words are too few"):
        fitted(data, 1, min_count=9)
    with pytest.raises(PaperzooError, match=r"not finite at step 0; a lower model\.lr"):
        fitted(data, 1, lr=1e30)
    alone = corpus("c", {"train": ["a", "b"]}, "", "")
    with pytest.raises(PaperzooError, match="no two words"):
        fitted(alone, 1)
    (tmp_path / "one-line.txt").write_text("sea ship " * 110_000)  # a line of a million characters
    assert paperzoo.train("glove", "smoke", data=f"text:{tmp_path / 'one-line.txt'}", out=tmp_path, overrides={"steps": 1})
    (tmp_path / "none.txt").write_text("")
    with pytest.raises(PaperzooError, match=r"none\.txt is empty"):
        paperzoo.train("glove", "smoke", data=f"text:{tmp_path / 'none.txt'}", out=tmp_path)


def test_text_counted_from_the_disk_gives_what_text_in_memory_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    random, words = np.random.default_rng(0), [f"w{chr(97 + i)}" for i in range(9)]
    file, texts = tmp_path / "a.txt", [" ".join(random.choice(words, 60)) for _ in range(50)]
    file.write_text("\n \n".join(texts), encoding="utf-8")
    settings = {"steps": 2, "model.dim": 8, "model.min_count": 5}
    runs = [paperzoo.train("glove", "smoke", data=f"{kind}:{file}", out=tmp_path, overrides=settings) for kind in ("text", "cooccurrences")]
    assert torch.equal(runs[0].model.word, runs[1].model.word) and runs[0].model.words == runs[1].model.words
    # a paragraph longer than is held at a time, with a letter of two bytes where blocks meet
    file.write_text(" sea" * (2**18 - 1) + "caf\u00e9 " * 1000, encoding="utf-8")
    from paperzoo.data.text.pairs import text_pairs

    data = text_pairs(file)
    assert dict(zip(data.schema.arguments["vocabulary"], data.schema.arguments["counts"], strict=True)) == {
        "sea": 2**18 - 2, "caf\u00e9": 999,
    }  # fmt: skip
    for content, message in (
        (b" \n", "is empty"),
        (b"a" * 2**20 + b"\xe9b", f"byte 0xe9 at offset {2**20}"),
        (b"a b c", "no word that occurs 5"),
    ):
        file.write_bytes(content)
        with pytest.raises(PaperzooError, match=message):
            text_pairs(file)


# ---- files


def given() -> tuple[tuple[str, ...], np.ndarray]:
    return ("sea", "caf\u00e9", "o'er"), np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)


def test_vectors_go_to_files_and_gensim_and_come_back_bit_by_bit(tmp_path: Path) -> None:
    gensim = pytest.importorskip("gensim")
    words = [f"w{i}" for i in range(30)]
    for model in (
        Model(dim=5, vocabulary=words, counts=[9] * 30),
        word2vec.Model(dim=5, vocabulary=words, counts=[9] * 30),
    ):
        for name in ("v.txt", "v.bin"):
            path = model.save_vectors(tmp_path / name)
            theirs = gensim.models.KeyedVectors.load_word2vec_format(str(path), binary=name == "v.bin")
            assert theirs.index_to_key == list(model.words) and np.array_equal(theirs.vectors, model.vectors())
            theirs.save_word2vec_format(str(tmp_path / f"again-{name}"), binary=name == "v.bin")
            for source in (path, theirs, model.keyed_vectors(), tmp_path / f"again-{name}"):
                back = load_vectors(source)
                assert back.words == model.words and np.allclose(back.vectors(), model.vectors(), atol=0)
    assert load_vectors(model.save_vectors(tmp_path / "glove.txt", header=False)).neighbours("w1").words == model.neighbours("w1").words
    assert (tmp_path / "glove.txt").read_text().startswith("w0 ")


def test_vector_files_that_are_wrong(tmp_path: Path) -> None:
    words, vectors = given()
    good = b"2 3\nsea 1 2 3\nship 4 5 6\n"
    binary = b"2 2\nsea " + np.float32([1, 2]).tobytes() + b"\nship " + np.float32([3, 4]).tobytes() + b"\n"
    file = tmp_path / "a"
    file.write_bytes(good)
    assert load_vectors(file).vectors().tolist() == [[1, 2, 3], [4, 5, 6]]
    file.write_bytes(binary)
    assert load_vectors(file, binary=True).vectors().tolist() == [[1, 2], [3, 4]]
    for content, kind, message in (
        (b"", False, "has no vectors"),
        (good.replace(b"2 3", b"3 3"), False, "says that it has 3 words, but has 2"),
        (good.replace(b"2 3", b"2 4"), False, "line 2: 3 values, but its first line says 4"),
        (good[4:].replace(b" 6", b""), False, "line 2: 2 values, but the first vector says 3"),
        (good.replace(b"5", b"x"), False, "line 3: could not convert"),
        (good.replace(b"5", b"nan"), False, "'ship' has values that are not finite"),
        (good.replace(b"ship", b"caf\xe9"), False, r"is not UTF-8: byte 0xe9 at offset 17 \(line 3\)"),
        (b"sea 1 2", True, "first line is not the numbers"),
        (binary.replace(b"2 2", b"9 2"), True, "9 words of 2 dimensions, but has only"),
        (binary.replace(b"2 2", b"2 1"), True, "other dimensions than 1|goes on after"),
        (binary[:-6], True, "cut short|has only"),
        (binary + b"more", True, "goes on after its 2 words"),
    ):
        file.write_bytes(content)
        with pytest.raises(PaperzooError, match=message):
            load_vectors(file, binary=kind)
    with pytest.raises(PaperzooError, match="cannot read"):
        load_vectors(tmp_path / "none.txt")
    from paperzoo.data.text.vectors import write_vectors

    with pytest.raises(PaperzooError, match="'new york' cannot be written"):
        write_vectors(file, ["new york"], vectors[:1])
    assert write_vectors(file, words, vectors).read_bytes() and not list(tmp_path.glob(".*part"))


def debian(path: Path, files: dict[str, bytes]) -> Path:
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    data = inner.getvalue()
    path.write_bytes(b"!<arch>\n" + f"{'data.tar.gz':16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data)
    return path


def test_novels_and_verses_from_packages_of_the_same_format(tmp_path: Path) -> None:
    def line(text: str) -> bytes:
        return b"\x00\x04\x00\x09" + struct.pack(">i", len(text.encode())) + text.encode()

    chunks = [zlib.compress(b"XDR" + line(f"Novel {i}") + line("caf\u00e9.") * 1000) for i in range(6)] + [zlib.compress(b"no text")]
    place = "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb"
    packed = b"".join(struct.pack(">i", 9) + chunk for chunk in chunks)
    found = novels(debian(tmp_path / "a.deb", {place: packed}))
    assert len(found) == 6 and found[2].startswith("Novel 2\ncaf\u00e9.\n")
    with pytest.raises(PaperzooError, match="six novels, but has 5"):
        novels(debian(tmp_path / "b.deb", {place: b"".join(struct.pack(">i", 9) + chunk for chunk in chunks[1:])}))

    verse = b"<w>In</w> the <note>a note</note>beginning"
    block = zlib.compress(verse * 300)
    files = {}
    for part in ("ot", "nt"):
        stem = f"usr/share/sword/modules/texts/ztext/x/{part}"
        files[f"{stem}.bzz"] = block * 60
        files[f"{stem}.bzs"] = b"".join(struct.pack("<III", i * len(block), len(block), 0) for i in range(60))
        files[f"{stem}.bzv"] = b"".join(
            struct.pack("<IIH", b, v * len(verse), len(verse) * (v > 0)) for b in range(60) for v in range(300)
        )
    found = verses(debian(tmp_path / "c.deb", files))
    assert len(found) == 2 * 60 * 299 and set(found) == {"In the beginning"}
    with pytest.raises(PaperzooError, match="has no Bible in zText"):
        verses(debian(tmp_path / "d.deb", {k: v for k, v in files.items() if "bzs" not in k}))
