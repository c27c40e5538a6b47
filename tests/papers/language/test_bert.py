"""BERT: transformers' outputs, what is hidden and what shows, padding, learning with the ablations that must fail, bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.training import constant, count
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Batch
from paperzoo.data.text.glue import labelled
from paperzoo.data.text.sentences import made_up
from paperzoo.data.text.tagging import tagged
from paperzoo.data.text.wordpiece import SPECIAL, learn
from paperzoo.engine.players import Players
from paperzoo.errors import PaperzooError
from paperzoo.nn.schedules import warmup_linear
from paperzoo.papers.language import bert, bert_finetuning
from paperzoo.pretrained.encoders import from_transformers
from paperzoo.tasks.pretraining import PUBLISHED, Masked

SIZES = {"layers": 2, "width": 24, "heads": 3, "inner": 40, "positions": 16, "dropout": 0.0}
WORDS = (*SPECIAL, *"abcdefghijklmnop", *(f"##{c}" for c in "abcdefghijklmnop"))


def config() -> Any:
    transformers = pytest.importorskip("transformers")
    return transformers, transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40,
        max_position_embeddings=16, initializer_range=0.3,
    )  # fmt: skip


def sentences(seed: int = 0, lengths: tuple[int, ...] = (9, 4, 12, 7)) -> tuple[Tensor, Tensor, Tensor]:
    random, length = torch.Generator().manual_seed(seed), torch.tensor(lengths)
    tokens = torch.randint(5, len(WORDS), (len(lengths), max(lengths)), generator=random)
    at = torch.arange(max(lengths))
    tokens[:, 0] = 2
    tokens[at == length[:, None] - 1] = 3
    tokens[at >= length[:, None]] = 0
    segment = ((at > 2) & (at < length[:, None])).long()
    return tokens, segment, length


def stretched(module: nn.Module) -> None:
    """Weights large enough for everything to matter."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)


# --- the network -------------------------------------------------------------------------------------------------------


def test_outputs_equal_those_of_transformers() -> None:
    transformers, settings = config()
    theirs = transformers.BertForPreTraining(settings).eval()
    stretched(theirs)
    ours = bert.Model(vocabulary=WORDS, **SIZES).eval()
    ours.load_state_dict(from_transformers(theirs.state_dict()))  # strict: no tensor is missing, none is over
    tokens, segment, length = sentences()
    real = torch.arange(tokens.shape[1]) < length[:, None]
    with torch.no_grad():
        expected = theirs(tokens, real.long(), segment, output_hidden_states=True)
        hidden, _ = ours.bert(tokens, segment, length)
        words, follows = ours.scores(tokens, segment, length, real)
    assert torch.allclose(hidden[real], expected.hidden_states[-1][real], atol=1e-5)
    assert torch.allclose(words, expected.prediction_logits[real], atol=1e-4, rtol=1e-5)
    assert torch.allclose(follows, expected.seq_relationship_logits, atol=1e-5)
    body = transformers.BertModel(settings).eval()
    with torch.no_grad():
        ours.load_state_dict(from_transformers(body.state_dict()), strict=False)
        pooled = body(tokens, real.long(), segment).pooler_output
        assert torch.allclose(ours.bert(tokens, segment, length)[1], pooled, atol=1e-5)


@pytest.mark.parametrize(("variant", "parameters"), [("base", 109_482_240), ("large", 335_141_888)])
def test_the_encoders_have_the_published_numbers_of_parameters(variant: str, parameters: int) -> None:
    with torch.device("meta"):
        assert count(paperzoo.create(f"bert:{variant}").bert) == parameters  # type: ignore[arg-type]


def test_padding_and_what_stands_there_change_nothing() -> None:
    model = bert.Model(vocabulary=WORDS, **SIZES).eval()
    stretched(model)
    tokens, segment, length = sentences()
    junk = torch.where(torch.arange(tokens.shape[1]) < length[:, None], tokens, 7)
    wide = torch.cat([tokens, torch.zeros(4, 3, dtype=torch.int64)], 1)
    hidden, pooled = model.bert(tokens, segment, length)
    for other in (junk, wide):
        longer = torch.cat([segment, 1 - torch.zeros(4, other.shape[1] - 12, dtype=torch.int64)], 1)
        found, top = model.bert(other, longer, length)
        assert torch.allclose(found[:, :12], hidden, atol=1e-5) and torch.allclose(top, pooled, atol=1e-5)
    for row, size in enumerate(length.tolist()):  # alone, nothing is padded, and other code runs
        found, top = model.bert(tokens[row : row + 1, :size], segment[row : row + 1, :size], length[row : row + 1])
        assert torch.allclose(found[0], hidden[row, :size], atol=1e-5) and torch.allclose(top[0], pooled[row], atol=1e-5)
        assert not hidden[row, size:].any()


# --- masks -------------------------------------------------------------------------------------------------------------


def test_shares_of_what_is_hidden_on_a_million_pieces() -> None:
    torch.manual_seed(0)
    tokens = torch.randint(5, 105, (10_000, 100))
    tokens[:, 0], tokens[:, 50], tokens[:, 99], tokens[::2, 90:] = 2, 3, 3, 0
    shown, chosen = bert.mask(tokens, (0, 1, 2, 3, 4), 105)
    words = tokens > 4
    assert not chosen[~words].any() and torch.equal(shown[~chosen], tokens[~chosen])
    assert torch.equal(chosen.sum(1), (0.15 * words.sum(1)).round().long())
    assert (chosen.float().mean(0)[words.all(0)] - 0.15).abs().max() < 0.015  # no place is favoured
    total = int(chosen.sum())
    masked, same = int((shown[chosen] == 4).sum()), int((shown == tokens)[chosen].sum())
    assert abs(masked / total - 0.8) < 0.004
    assert abs(same / total - (0.1 + 0.1 / 100)) < 0.003  # a random piece is by chance the same in one of 100
    other = shown[chosen & (shown != tokens) & (shown != 4)]
    counts = torch.bincount(other, minlength=105)
    assert not counts[:5].any() and (counts[5:] / len(other) - 0.01).abs().max() < 0.004
    assert not torch.equal(bert.mask(tokens, (0, 1, 2, 3, 4), 105).chosen, chosen)  # drawn anew
    one = torch.tensor([[2, 9, 3]])
    assert bert.mask(one, (0, 1, 2, 3, 4), 105).chosen.tolist() == [[False, True, False]]  # at least one


def leak(mask: Any) -> float:
    """How far the scores at hidden places move when the pieces behind [MASK] are others."""
    torch.manual_seed(0)
    model = bert.Model(vocabulary=WORDS, **SIZES).eval()
    stretched(model)
    tokens, segment, length = sentences()
    scores = []
    for shift in (0, 1):
        torch.manual_seed(1)
        found = mask(tokens, model.special, len(WORDS))
        hidden = found.chosen & (found.tokens == model.special[4])
        if not hidden.any():
            hidden = found.chosen
        torch.manual_seed(1)
        again = mask(torch.where(hidden, (tokens - 5 + shift) % (len(WORDS) - 5) + 5, tokens), model.special, len(WORDS))
        with torch.no_grad():
            scores.append(model.scores(again.tokens, segment, length, hidden)[0])
    return float((scores[0] - scores[1]).abs().max())


def test_a_masks_own_piece_is_never_visible() -> None:
    def careless(tokens: Tensor, marks: Any, pieces: int) -> Masked:
        return Masked(tokens, bert.mask(tokens, marks, pieces).chosen)  # the known error: chosen, but shown

    assert leak(bert.mask) == 0
    with pytest.raises(AssertionError):
        assert leak(careless) == 0


def test_only_chosen_positions_have_a_gradient_and_both_losses_count() -> None:
    model = bert.Model(vocabulary=WORDS, **SIZES)
    stretched(model)
    tokens, segment, length = sentences()
    seen: list[Tensor] = []
    handle = model.bert.register_forward_hook(lambda module, given, out: (seen.append(out[0]), out[0].retain_grad())[:0] or None)
    chosen = torch.zeros_like(tokens, dtype=torch.bool)
    chosen[0, 2] = chosen[2, 5] = True
    words, follows = model.scores(tokens, segment, length, chosen)
    handle.remove()
    word, following = bert.pretraining_losses(words, tokens[chosen], follows, torch.tensor([1, 0, 0, 1]))
    (gradient,) = torch.autograd.grad(word, seen[0], retain_graph=True)
    assert not gradient[~chosen].any() and gradient[chosen].abs().sum(1).min() > 0
    # "does not follow" is trained as well: a loss that ignores class 0, as public copies have it, would leave these rows alone
    (gradient,) = torch.autograd.grad(following, follows)
    assert (gradient.abs().sum(1) > 0).all()
    expected = -follows.log_softmax(1)[range(4), [0, 1, 1, 0]].mean()
    assert torch.allclose(following, expected)


def test_schedules_rise_and_fall_and_the_two_lengths_join() -> None:
    paper = paperzoo.paper("bert").recipes["paper"]
    short, long = paper.stages
    factor = warmup_linear(short.optimizer["warmup"], short.optimizer["end"])
    assert factor(0, short.steps) == pytest.approx(1e-4) and factor(9_999, short.steps) == pytest.approx(1)
    middle = 1 - (1 - 0.1) * (450_000 - 10_000) / 890_000
    assert factor(450_000, short.steps) == pytest.approx(middle)
    assert factor(899_999, short.steps) == pytest.approx(0.1, abs=1e-5)
    later = warmup_linear(0.01, 0.0)
    assert long.optimizer["lr"] * later(1_000, long.steps) == pytest.approx(1e-4 * factor(899_999, short.steps), rel=0.02)
    assert later(99_999, 100_000) == pytest.approx(0, abs=2e-5)
    assert short.steps / (short.steps + long.steps) == 0.9


# --- learning ----------------------------------------------------------------------------------------------------------


def trained(steps: int, mask: Any = None, seed: int = 0) -> tuple[bert.Model, dict[str, float]]:
    """A tiny model on stories whose next sentence can be known."""
    data = made_up()
    torch.manual_seed(seed)
    vocabulary = data.schema.arguments["vocabulary"]
    model = bert.Model(vocabulary=vocabulary, layers=2, width=64, heads=4, inner=128, positions=32, dropout=0.0)
    if mask:
        model.mask = mask  # type: ignore[method-assign]
    opt = Players(model.optimizers(lr=2e-3, warmup=0.1), clip=1.0)
    opt.total = opt.stage_steps = steps
    random = np.random.default_rng(seed)
    for opt.iteration in range(steps):
        torch.manual_seed(opt.iteration)
        model.step(data["train"].batch(random.integers(0, len(data["train"]), 32)), opt)
    model.__dict__.pop("mask", None)
    model.eval()
    with torch.no_grad():
        return model, model.measure(data, "test")


@pytest.mark.processor
def test_it_learns_what_comes_next_and_not_without_masks() -> None:
    model, found = trained(700)
    assert found["NSP % any"] > 88  # who is spoken of tells 7 wrong segments in 8
    assert found["NSP % book"] > 68  # in one book only the order of events does
    assert found["MLM nats"] < 0.4 * found["unigram nats"]
    said = model.predict("the cat wakes at dawn . the cat drinks some [MASK] . the cat walks up the hill .")
    assert said.words[0][0][0] == "milk" and len(said.words[0]) == 5 and "milk (" in str(said)

    def shown(batch: Batch) -> Masked:
        return Masked(batch.tokens, torch.rand(batch.tokens.shape) < 0.15)

    _, copied = trained(100, shown)  # the wrong one learns to copy: of what is really hidden it knows next to nothing
    with pytest.raises(AssertionError):
        assert copied["MLM nats"] < 0.4 * copied["unigram nats"]


def directory(folder: Path, vocabulary: tuple[str, ...] = WORDS) -> Any:
    """A model of transformers, stored as Hugging Face stores it."""
    _, settings = config()
    settings.vocab_size = len(vocabulary)
    transformers = pytest.importorskip("transformers")
    model = transformers.BertModel(settings)
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    return model.eval()


@pytest.mark.processor
def test_fine_tuning_begins_from_a_directory_is_saved_whole_and_predicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [("a b c",), ("b c a d",), ("m n o",), ("o p n m",)]
    data = labelled("letters", {"train": [(t, float(i > 1)) for i, t in enumerate(texts)]}, ("early", "late"), "", "", pieces=60)
    theirs = directory(tmp_path / "hf")
    model = paperzoo.create("bert:classify", weights=str(tmp_path / "hf"), names=["early", "late"], longest=8, dropout=0.0)
    assert isinstance(model, bert_finetuning.Classify)
    tokens, segment, length = sentences(lengths=(7, 5))
    with torch.no_grad():
        real = (torch.arange(7) < length[:, None]).long()
        assert torch.allclose(model.eval().bert(tokens, segment, length)[1], theirs(tokens, real, segment).pooler_output, atol=1e-5)
    opt = Players(constant(model.optimizers(lr=3e-3)))
    opt.total = 60
    for _ in range(60):
        model.step(data["train"].batch(range(4)), opt)
    again = paperzoo.create("bert:classify", **dict(model.arguments))  # nothing of the directory is needed
    again.load_state_dict(model.state_dict())
    assert model.arguments["weights"] == "" and model.arguments["vocabulary"] == WORDS
    for text, name in (("a b c", "early"), ("o p n m", "late")):  # as in training: of other texts a seed may say the opposite
        said = again.predict(text)
        assert said.name == name and said.probability > 0.9 and said == model.predict(text) and name in str(said)
    assert again.predict("a b c d e f g h i").left_out == 3 and "3 pieces were not read" in str(again.predict("a b c d e f g h i"))
    assert [o.name for o in again.predict(["b c a d", "m n o"])] == ["early", "late"] and len(again.predict([("m n", "o p")])) == 1
    figures = again.measure(data, "train")
    assert figures["error %"] == 0 and figures["Matthews correlation"] == pytest.approx(1)
    assert len(again.show(data, "train", tmp_path / "figures", "x")) == 2
    fresh = paperzoo.create("bert:classify", weights=str(tmp_path / "hf"), fresh=True, longest=8)
    assert fresh.bert.piece.weight.shape == model.bert.piece.weight.shape
    assert not torch.equal(fresh.bert.piece.weight, theirs.embeddings.word_embeddings.weight)


@pytest.mark.processor
def test_a_classifier_can_be_pretrained_first() -> None:
    model = bert_finetuning.Classify(vocabulary=WORDS, longest=8, pretrain=True, **SIZES)
    tokens, segment, length = sentences()
    segments = Batch(tokens=tokens, segment=segment, length=length, next=torch.tensor([1, 0, 1, 0]))
    labels = Batch(texts=[("a b",), ("c d",)], label=torch.tensor([0, 1]))
    for stage, batch, moving, resting in (("pretrain", segments, "words", "head"), ("finetune", labels, "head", "words")):
        model.stage(stage)
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        model.step(batch, Players(constant(model.optimizers(lr=1e-2))))
        moved = {name.split(".")[0] for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
        assert moving in moved and resting not in moved and "bert" in moved


@pytest.mark.processor
def test_scores_are_learnt_by_squared_error() -> None:
    rows = [(("a b", "c"), 5.0), (("d e", "c"), 0.0), (("b a", "f"), 5.0), (("e d", "f"), 0.0)]
    data = labelled("scores", {"train": rows}, (), "", "", pieces=40)
    torch.manual_seed(0)
    model = bert_finetuning.Classify(vocabulary=WORDS, classes=1, longest=8, **SIZES)
    opt = Players(constant(model.optimizers(lr=1e-2)))
    for _ in range(120):
        model.step(data["train"].batch(range(4)), opt)
    model.eval()
    with torch.no_grad():
        figures = model.measure(data, "train")
    assert figures["Pearson"] > 0.99 and figures["squared error"] < 0.5
    assert model.predict(("a b", "c")).score == pytest.approx(5, abs=1.5)


@pytest.mark.processor
def test_tags_stand_at_the_first_piece_of_each_word() -> None:
    rows = [
        (["anna", "bob", "sang", "in", "paris"], ["B-PER", "B-PER", "O", "O", "B-LOC"]),
        (["in", "rome", "bob"], ["O", "B-LOC", "B-PER"]),
        (["paris", "sang"], ["B-LOC", "O"]),
    ]
    data = tagged("names", {"train": rows * 4}, "", "", at_least=1)
    vocabulary = learn([" ".join(word for words, _ in rows for word in words)] * 2, 30)
    torch.manual_seed(0)
    model = bert_finetuning.Tag(tags=data.schema.arguments["tags"], pieces=vocabulary, **SIZES)
    tokens, length = model._padded([["paris", "?", "sang!"], ["\u0000"]])
    assert length.tolist() == [3, 1]
    assert tokens[0, 1][tokens[0, 1] > 0].tolist() == [1, 2, 3] and tokens[1, 1].tolist()[:2] == [0, 1]
    assert int(tokens[0, 0, int((tokens[0, 1] == 3).nonzero())]) != model.wordpiece.unknown  # type: ignore[union-attr]
    opt = Players(constant(model.optimizers(lr=1e-2)))
    for _ in range(80):
        model.step(data["train"].batch(range(12)), opt)
    model.eval()
    with torch.no_grad():
        assert model.measure(data, "train")["entity F1 %"] == 100
    found = model.predict("in rome bob")  # of sentences that it has not seen a model of so few may say anything
    assert [(span.text, span.type) for span in found.spans] == [("rome", "LOC"), ("bob", "PER")]
    crowd = model.predict(["anna"] * 40)  # more than there are positions: those without room are O
    assert len(crowd.tags) == 40 and set(crowd.tags[16:]) == {"O"}


# --- bad input ---------------------------------------------------------------------------------------------------------


def test_bad_input_is_refused_in_one_sentence(tmp_path: Path) -> None:
    model = bert.Model(vocabulary=WORDS, **SIZES)
    classify = bert_finetuning.Classify(vocabulary=WORDS, longest=8, **SIZES)
    directory(tmp_path / "hf")
    broken = json.loads((tmp_path / "hf" / "config.json").read_text())
    for place, change in (("roberta", {"model_type": "roberta"}), ("sizes", {"num_hidden_layers": 3})):
        (tmp_path / place).mkdir()
        (tmp_path / place / "config.json").write_text(json.dumps({**broken, **change}))
        for file in ("vocab.txt", "model.safetensors"):
            (tmp_path / place / file).write_bytes((tmp_path / "hf" / file).read_bytes())
    other = paperzoo.create("cnn")
    calls: list[tuple[Any, str]] = [
        (lambda: model.predict("a b"), r"write one into the sentence"),
        (lambda: model.predict("a [MASK] " * 12), "has 24 pieces, and this model has room for 14"),
        (lambda: model.predict("ΩΩ [MASK]"), "no word of"),
        (lambda: model.predict(3), "int"),
        (lambda: model.bert(*sentences(lengths=(17,))), "17 pieces is longer than the model's 16 positions"),
        (lambda: classify.predict("ΩΩ"), "no word of"),
        (lambda: classify.predict(""), "empty"),
        (lambda: classify.predict(("a", "b", "c")), "tuple of two"),
        (lambda: bert_finetuning.Classify(vocabulary=WORDS, longest=99, **SIZES), "longest must be 4 to 16"),
        (lambda: bert_finetuning.Classify(names=("a", "b", "c")), "2 classes cannot have 3 names"),
        (lambda: bert.Model(vocabulary=WORDS, width=25, heads=3), "multiple of heads"),
        (lambda: bert.Model(vocabulary=("a", "b")), "lacks"),
        (lambda: paperzoo.create("bert", share=0.0), "share must be positive"),
        (lambda: paperzoo.create("bert", weights="minilmm"), "did you mean minilm"),
        (lambda: paperzoo.create("bert", weights=str(tmp_path / "roberta")), "model_type=roberta"),
        (lambda: paperzoo.create("bert", weights=str(tmp_path / "sizes")), "does not fit: it lacks"),
        (lambda: classify.stage("pretrain"), "model.pretrain"),
        (lambda: bert_finetuning.Tag(**SIZES).predict("a b"), "no vocabulary"),
        (lambda: bert.Model(**SIZES).predict("a [MASK]"), "no vocabulary"),
    ]
    assert other.name == "cnn"
    for call, said in calls:
        with pytest.raises(PaperzooError, match=said):
            call()
    assert bert.Model(**SIZES).special == PUBLISHED
