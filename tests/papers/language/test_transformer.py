"""The Transformer against torch's own and closed forms; beam search against brute force; translating, and what must fail."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Order
from paperzoo.data.text.parallel import letters, padded
from paperzoo.engine.players import Players, optimizers
from paperzoo.errors import PaperzooError
from paperzoo.metrics.bleu import bleu
from paperzoo.nn.beam import beam_search, length_penalty
from paperzoo.papers.language import transformer
from paperzoo.papers.language.transformer import Memory, Model, Transformer, attention, sinusoids, smoothed_nll
from paperzoo.tasks.translation import END, PAD, START, retrieved

TINY: dict[str, Any] = {"layers": 2, "width": 32, "inner": 48, "heads": 4, "dropout": 0.0, "positions": 64, "average": 0}


@pytest.fixture(scope="module")
def data() -> Any:
    return letters("reverse", count=3000, longest=5, alphabet=8)


def network(norm: str = "post", pieces: int = 30) -> Transformer:
    torch.manual_seed(0)
    return Transformer(pieces, 2, 32, 48, 4, 0.0, 64, norm == "pre").eval()


def sentences(*lengths: int, pieces: int = 30, seed: int = 0) -> Tensor:
    chance = np.random.default_rng(seed)
    return padded([chance.integers(3, pieces, length) for length in lengths])


# --- the network -------------------------------------------------------------------------------------------------------


def test_attention_is_that_of_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = transformer.MultiHeadAttention(32, 4), nn.MultiheadAttention(32, 4, batch_first=True)
    parts = (ours.query, ours.key, ours.value)
    for part in (*parts, ours.output):
        nn.init.normal_(part.bias)
    theirs.in_proj_weight.data = torch.cat([part.weight.detach() for part in parts])
    theirs.in_proj_bias.data = torch.cat([part.bias.detach() for part in parts])
    theirs.out_proj.load_state_dict(ours.output.state_dict())
    x, y = torch.randn(3, 5, 32), torch.randn(3, 7, 32)
    hidden = torch.rand(3, 7) < 0.3
    record: list[Tensor] = []
    wanted, weights = theirs(x, y, y, key_padding_mask=hidden, average_attn_weights=False)
    for kept in (None, record):  # torch's kernel, and Eq. 1 written out
        assert torch.allclose(ours(x, *ours.project(y), ~hidden[:, None, None], kept), wanted, atol=1e-6)
    assert torch.allclose(record[0], weights, atol=1e-6) and torch.allclose(record[0].sum(3), torch.ones(3, 4, 5))


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_layers_are_those_of_torch(norm: str) -> None:
    net = network(norm)
    source, target = sentences(6, 4), sentences(5, 5, seed=1)
    options: dict[str, Any] = {"dropout": 0.0, "batch_first": True, "norm_first": norm == "pre"}
    encoder = [nn.TransformerEncoderLayer(32, 4, 48, **options) for _ in net.encoder]
    decoder = [nn.TransformerDecoderLayer(32, 4, 48, **options) for _ in net.decoder]

    def give(theirs: Any, attentions: list[Any], mine: Any) -> None:
        for other, own in attentions:
            other.in_proj_weight.data = torch.cat([own.query.weight, own.key.weight, own.value.weight]).detach()
            other.in_proj_bias.data = torch.cat([own.query.bias, own.key.bias, own.value.bias]).detach()
            other.out_proj.load_state_dict(own.output.state_dict())
        theirs.linear1.load_state_dict(mine.feed_forward[0].state_dict())
        theirs.linear2.load_state_dict(mine.feed_forward[2].state_dict())
        for number, residual in enumerate(mine.residuals, 1):
            getattr(theirs, f"norm{number}").load_state_dict(residual.norm.state_dict())

    for theirs, mine in zip(encoder, net.encoder, strict=True):
        give(theirs, [(theirs.self_attn, mine.attention)], mine)
    for theirs, mine in zip(decoder, net.decoder, strict=True):
        give(theirs, [(theirs.self_attn, mine.self_attention), (theirs.multihead_attn, mine.source_attention)], mine)

    def embed(tokens: Tensor) -> Tensor:
        return net.embedding.weight[tokens] * math.sqrt(32) + sinusoids(tokens.shape[1], 32)

    hidden = torch.zeros(source.shape).masked_fill(source == PAD, -torch.inf)  # as the other mask: floats, 0 or -inf
    memory, x = embed(source), embed(target)
    for layer in encoder:
        memory = layer(memory, src_key_padding_mask=hidden)
    memory = net.ends[0](memory)
    later = nn.Transformer.generate_square_subsequent_mask(5)
    for layer in decoder:
        x = layer(x, memory, tgt_mask=later, memory_key_padding_mask=hidden)
    assert torch.allclose(net(source, target), net.ends[1](x) @ net.embedding.weight.T, atol=1e-5)


def test_parameters_of_the_paper() -> None:
    with torch.device("meta"):
        base, post = Model().network, nn.Transformer(batch_first=True)  # torch adds a norm after each stack
    matrices = [name for name, p in base.named_parameters() if 37_000 in p.shape]
    assert matrices == ["embedding.weight"]  # one for source, target and output (section 3.4)
    body = sum(p.numel() for name, p in base.named_parameters() if name not in matrices)
    assert body == 44_138_496 == sum(p.numel() for p in post.parameters()) - 2 * 2 * 512


def test_positions_closed_form() -> None:
    table = sinusoids(60, 16)
    for t, i in itertools.product((0, 1, 7, 59), range(8)):
        angle = t / 10_000 ** (2 * i / 16)
        assert table[t, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
        assert table[t, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)
    # PE(t + 5) is PE(t) turned by an angle that does not depend on t: what lets a head look a fixed distance away
    angle = 5 / 10_000 ** (torch.arange(0, 16, 2) / 16)
    sine, cosine = table[:-5, ::2], table[:-5, 1::2]
    turned = torch.stack([sine * angle.cos() + cosine * angle.sin(), cosine * angle.cos() - sine * angle.sin()], 2).flatten(1)
    assert torch.allclose(table[5:], turned, atol=1e-5)


def without_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    right = transformer.DecoderLayer.forward
    monkeypatch.setattr(transformer.DecoderLayer, "forward", lambda self, x, causal, *rest: right(self, x, None, *rest))


@torch.no_grad()
def earlier_logits_change(net: Transformer) -> bool:
    source, target = sentences(9, 6), sentences(12, 12, seed=1)
    before, changed = net(source, target), False
    for t in range(1, 12):
        other = target.clone()
        other[:, t:] = sentences(12, 12, seed=100 + t)[:, t:]
        after = net(source, other)
        assert not torch.equal(after[:, t:], before[:, t:])
        changed |= not torch.equal(after[:, :t], before[:, :t])
    return changed


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_no_later_token_changes_an_earlier_logit_by_one_bit(norm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net = network(norm)
    assert not earlier_logits_change(net)
    without_mask(monkeypatch)
    assert earlier_logits_change(net)


@torch.no_grad()
def test_padding_and_neighbours_change_nothing() -> None:
    net = network()
    source, target = sentences(9, 4, 6), sentences(7, 3, 5, seed=1)
    together = net(source, target)
    for row, (s, t) in enumerate(((9, 7), (4, 3), (6, 5))):
        alone = net(source[row : row + 1, :s], target[row : row + 1, :t])
        assert torch.allclose(together[row, :t], alone[0], atol=1e-5)
        wide = net(F.pad(source[row : row + 1, :s], (0, 11)), F.pad(target[row : row + 1, :t], (0, 11)))
        assert torch.allclose(wide[0, :t], alone[0], atol=1e-5)
    marked = net(torch.where(source == PAD, 5, source), target)  # padding that is taken for words
    assert torch.allclose(marked[0], together[0], atol=1e-5) and not torch.allclose(marked[1, :3], together[1, :3], atol=1e-2)


# --- loss, rate, average -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_is_that_of_torch(smoothing: float) -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(3, 7, 30, requires_grad=True), sentences(7, 4, 2)
    ours = smoothed_nll(logits, target, smoothing)
    theirs = F.cross_entropy(logits.transpose(1, 2), target, ignore_index=PAD, label_smoothing=smoothing)
    assert torch.allclose(ours, theirs)
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in (ours, theirs)]
    assert torch.allclose(*gradients, atol=1e-6) and not gradients[0][target == PAD].any()


def test_rates() -> None:
    with torch.device("meta"):
        model = Model()
    rate = model.optimizers()["translator"][1]
    assert rate(3999, 0) == pytest.approx(512**-0.5 * 4000**-0.5) == pytest.approx(6.99e-4, rel=1e-3)  # the peak
    assert rate(3998, 0) < rate(3999, 0) > rate(4000, 0)
    assert rate(0, 0) == pytest.approx(rate(3999, 0) / 4000) and rate(15_999, 0) == pytest.approx(rate(3999, 0) / 2)
    cosine = model.optimizers(lr=1e-3, warmup=10, schedule="cosine")["translator"][1]
    assert cosine(0, 110) == pytest.approx(0.1) and cosine(9, 110) == 1 and cosine(60, 110) == pytest.approx(0.5)
    assert 0 < cosine(109, 110) < 1e-3
    adam = model.optimizers()["translator"][0].param_groups[0]
    assert (adam["betas"], adam["eps"], adam["lr"]) == ((0.9, 0.98), 1e-9, 1.0)


def train(model: Model, data: Any, steps: int, each: Callable[[int], None] = lambda step: None) -> None:
    settings: dict[str, Any] = {"lr": 4e-3, "warmup": 30, "schedule": "cosine"}
    opt = Players(model.optimizers(**settings), 1.0)
    opt.total = opt.stage_steps = steps
    split = data["train@400"]
    order = Order(len(split), 1, "shuffle", 0)
    model.train()
    for opt.iteration in range(steps):
        torch.manual_seed(opt.iteration)
        model.step(split.batch(order.batch(opt.iteration)), opt)  # type: ignore[arg-type]
        each(opt.iteration + 1)
    model.eval()


def test_the_last_moments_are_averaged(data: Any) -> None:
    torch.manual_seed(0)
    model = Model(**data.schema.arguments, **{**TINY, "average": 3, "average_every": 2})
    kept: dict[int, list[Tensor]] = {}
    train(model, data, 9, lambda step: kept.__setitem__(step, [p.detach().clone() for p in model.network.parameters()]))
    assert model.averaged == 3 and model.mean is not None
    for mean, *three in zip(model.mean.parameters(), kept[5], kept[7], kept[9], strict=True):
        assert torch.allclose(mean, torch.stack(three).mean(0), atol=1e-6) and not mean.requires_grad
    source, target = sentences(4), sentences(3)
    assert torch.equal(model.logits(source, target), model.mean(source, target))
    assert not torch.allclose(model.logits(source, target), model.network(source, target), atol=1e-3)


# --- search ------------------------------------------------------------------------------------------------------------


def table(seed: int, size: int, temperature: float = 1.0) -> Callable[[tuple[int, ...]], Tensor]:
    """Log-probabilities of the next token that depend on all before it."""

    def of(before: tuple[int, ...]) -> Tensor:
        generator = torch.Generator().manual_seed(hash((seed, *before)) % 2**31)
        return (torch.randn(size, generator=generator) / temperature).log_softmax(0)

    return of


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
def test_a_wide_beam_finds_the_best_of_all(alpha: float) -> None:
    size, longest = 4, torch.tensor([4, 2, 1])
    tables = [table(seed, size) for seed in range(3)]
    alive = [0, 1, 2]

    def step(tokens: Tensor, sentences: Tensor, parents: Tensor) -> Tensor:
        nonlocal alive
        alive = [alive[i] for i in sentences.tolist()]
        rows = tokens.view(len(alive), -1, tokens.shape[1]).tolist()
        return torch.stack([tables[i](tuple(row)) for i, many in zip(alive, rows, strict=True) for row in many])

    found = beam_search(step, longest, start=1, end=2, beam=200, alpha=alpha, never=(1,))
    for i, most in enumerate(longest.tolist()):
        every = {}
        for length in range(most):
            for words in itertools.product((0, 3), repeat=length):
                path = (*words, 2)
                logs = sum(tables[i]((1, *path[:t]))[word].item() for t, word in enumerate(path))
                every[words] = logs / float(length_penalty(length + 1, alpha))
        best = max(every, key=every.__getitem__)
        assert (tuple(found.tokens[i]), found.score[i]) == (best, pytest.approx(every[best], abs=1e-5))


def test_noise_that_ends_early_does_not_end_the_search() -> None:
    def step(tokens: Tensor, sentences: Tensor, parents: Tensor) -> Tensor:
        logs = torch.tensor([0.0, 0.0, 0.06, 0.9, 0.04]) if tokens.shape[1] <= 10 else torch.tensor([0.0, 0.0, 0.9, 0.06, 0.04])
        return logs.log().expand(len(tokens), -1).clone()

    found = beam_search(step, torch.tensor([60]), start=1, end=2, never=(0, 1))
    assert found.tokens == [[3] * 10] and found.score[0] == pytest.approx(11 * math.log(0.9) / (16 / 6) ** 0.6)


def model_of(data: Any, **settings: Any) -> Model:
    torch.manual_seed(1)
    model = Model(**data.schema.arguments, **{**TINY, **settings}).eval()
    with torch.no_grad():  # sure of itself, so that translations differ and end at different times
        model.network.embedding.weight.mul_(3)
    return model


@torch.no_grad()
def test_cached_and_uncached_search_find_the_same(data: Any) -> None:
    model = model_of(data)
    source = data["test"].batch(range(16)).source
    for beam in (1, 4):
        cached, uncached = model.translate(source, True, beam), model.translate(source, False, beam)
        assert cached[0] == uncached[0] and len({tuple(row) for row in cached[0]}) > 8
        assert torch.allclose(torch.tensor(cached[1]), torch.tensor(uncached[1]), atol=1e-4)
        alone = [model.translate(row[row != PAD][None], True, beam)[0][0] for row in source[:6]]
        assert alone == cached[0][:6]
    greedy = []
    for row in source[:6]:  # a beam of 1, written out
        row, said = row[row != PAD], [START]
        for _ in range(min(len(row) + 50, 64) - 1):
            logits = model.network(row[None], torch.tensor([said]))[0, -1]
            logits[[PAD, START]] = -torch.inf
            said.append(int(logits.argmax()))
            if said[-1] == END:
                break
        greedy.append([i for i in said[1:] if i != END])
    assert greedy == model.translate(source[:6], True, 1)[0]


@torch.no_grad()
def test_a_score_is_the_models_own(data: Any) -> None:
    model = model_of(data)
    source = data["test"].batch(range(5)).source
    for row, tokens, score in zip(source, *model.translate(source), strict=True):
        target = torch.tensor([[START, *tokens, END]])
        logs = model.network(row[row != PAD][None], target[:, :-1]).log_softmax(2)
        total = logs.gather(2, target[:, 1:, None]).sum().item()
        assert score == pytest.approx(total / float(length_penalty(len(tokens) + 1, 0.6)), abs=1e-4)


@torch.no_grad()
def test_memory_gives_the_logits_of_the_whole() -> None:
    net, source, target = network(), sentences(8, 5), sentences(9, 9, seed=2)
    whole, memory = net(source, target), Memory()
    parts = [net(source, target[:, a:b], memory) for a, b in ((0, 1), (1, 4), (4, 5), (5, 9))]
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-5)


# --- learning ----------------------------------------------------------------------------------------------------------


@torch.no_grad()
def exact(model: Model, data: Any) -> float:
    """Test sentences translated without a mistake, greedily, in percent."""
    batch = data["test"].batch(range(100))
    tokens, _ = model.translate(batch.source, beam=1)
    return sum(said == b for said, (_, b) in zip(model.bpe.decode(tokens), batch.texts, strict=True))


@pytest.mark.processor
def test_it_learns_to_reverse_and_without_positions_it_cannot(data: Any, tmp_path: Path) -> None:
    settings = {**TINY, "width": 48, "inner": 96, "norm": "pre"}
    torch.manual_seed(0)
    model = Model(**data.schema.arguments, **settings)
    train(model, data, 300)
    with torch.no_grad():
        scores = model.measure(data, "test")
    assert scores["exact %"] >= 99 and scores["BLEU"] >= 99
    assert scores["BLEU of the source"] < 50 and scores["BLEU of retrieval"] < 50
    # what a user sees
    one = model.predict("a b c d")
    assert (str(one), one.source, len(one.pieces[0]), len(one.pieces[1])) == ("d c b a", "a b c d", 5, 5)
    assert torch.allclose(one.attention.sum(1), torch.ones(5)) and one.heads.shape == (4, 5, 5)
    assert [m.text for m in model.predict(["h g", "", "a b c d"])][1:] == ["", "d c b a"]
    files = model.show(data, "test", tmp_path, "x")
    assert [f.name for f in files] == ["x-attention.png", "x-translations.txt"] and files[0].stat().st_size < 150_000
    page = files[1].read_text(encoding="utf-8")
    assert page.startswith("BLEU by sacrebleu: nrefs:1|case:mixed") and page.count("source ") == 10
    model.languages = ("pt-BR", "en")
    assert "este é o primeiro livro que eu fiz." in model.show(data, "test", tmp_path, "y")[1].read_text(encoding="utf-8")

    torch.manual_seed(0)
    blind = Model(**data.schema.arguments, **settings)
    blind.network.positions.zero_()
    train(blind, data, 300)
    assert exact(blind, data) < 30


@pytest.mark.processor
def test_without_the_mask_it_learns_to_look_and_not_to_translate(data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    without_mask(monkeypatch)
    torch.manual_seed(0)
    model = Model(**data.schema.arguments, **TINY, norm="pre", smoothing=0.0)
    train(model, data, 400)
    batch = data["test"].batch(range(100))
    with torch.no_grad():
        right = model.network(batch.source, batch.target[:, :-1]).argmax(2) == batch.target[:, 1:]
    assert right[batch.target[:, 1:] != PAD].float().mean() > 0.9  # it reads the token that it is asked for
    assert exact(model, data) < 10


def test_trained_saved_and_asked(tmp_path: Path) -> None:
    run = paperzoo.train("transformer", "smoke", out=tmp_path, overrides={"steps": 6})
    assert set(run.metrics) == {"BLEU", "BLEU of the source", "BLEU of retrieval", "exact %", "nats a piece"}
    model = paperzoo.load(run.directory)
    assert model.averaged == 2 and model.languages == ("letters", "copy")  # type: ignore[attr-defined]
    assert model.predict("a b c") == run.model.predict("a b c")  # vocabulary and merges came along


# --- metrics and bad input ---------------------------------------------------------------------------------------------


def test_bleu_by_hand() -> None:
    found, references = ["the cat sat on the mat", "a b c d e"], ["the cat sat on a mat", "a b c d e f g"]
    matched, total = [5 + 5, 3 + 4, 2 + 3, 1 + 2], [6 + 5, 5 + 4, 4 + 3, 3 + 2]
    precision = math.exp(sum(math.log(m / t) for m, t in zip(matched, total, strict=True)) / 4)
    score = bleu(found, references)
    assert score.score == pytest.approx(100 * precision * math.exp(1 - 13 / 11))
    assert bleu(references, references).score == pytest.approx(100)
    assert "tok:13a" in score.signature and score.signature in str(score)
    with pytest.raises(PaperzooError, match="not 1 and 2"):
        bleu(["a"], references)


def test_the_nearest_training_sentence() -> None:
    training = [("the red house", "A"), ("the blue car", "B"), ("the green tree", "C")]
    assert retrieved(training, ["a blue tree car", "green", "nothing of it"]) == ["B", "C", "A"]


def test_what_cannot_be_used_is_named(data: Any) -> None:
    model = Model(**data.schema.arguments, **{**TINY, "positions": 8})
    with pytest.raises(PaperzooError, match="'a b c d e f g h' has 9 pieces, more than the model's 8 positions"):
        model.predict("a b c d e f g h")
    with pytest.raises(PaperzooError, match="a sentence of 9 pieces is longer than the model's 8 positions"):
        model.network(sentences(9), sentences(3))
    assert len(model.translate(sentences(7))[0][0]) < 8  # a translation ends before the positions do
    for wrong in (3, [3], None, {"a": 1}):
        with pytest.raises(PaperzooError, match="translation needs a string"):
            model.predict(wrong)
    with pytest.raises(PaperzooError, match="has no vocabulary"):
        Model(**TINY).predict("a")
    for settings, message in (
        ({"norm": "past"}, "did you mean post"),
        ({"heads": 3}, "multiple of heads"),
        ({"dropout": 1.0}, "less than 1"),
        ({"beam": 0}, "beam must be at least 1"),
        ({"vocabulary": ("a",)}, "must begin with <pad>, <s>, </s>, not with a"),
    ):
        with pytest.raises(PaperzooError, match=message):
            paperzoo.create("transformer", **{**TINY, **settings})
    with pytest.raises(PaperzooError, match="did you mean cosine"):
        optimizers(model, {"schedule": "cosin"})
    with pytest.raises(PaperzooError, match="translation needs data with source and target and texts, but digits"):
        Model.check(paperzoo.dataset("digits").schema)


def test_attention_by_hand() -> None:
    keys = torch.eye(2)[None] * 10
    out, weights = attention(keys[:, :1], keys, torch.tensor([[[1.0], [3.0]]]))
    p = 1 / (1 + math.exp(-100 / math.sqrt(2)))
    assert torch.allclose(weights, torch.tensor([[[p, 1 - p]]])) and torch.allclose(out, torch.tensor([[[p + 3 * (1 - p)]]]))
    out, weights = attention(keys[:, :1], keys, torch.tensor([[[1.0], [3.0]]]), torch.tensor([[False, True]]))
    assert weights.tolist() == [[[0, 1]]] and out.item() == 3
