"""Export: another program answers as the model does, what travels in the file, and what is refused leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.files import type_in

import paperzoo
from paperzoo.data.captions.words import END, PAD, SPECIAL
from paperzoo.engine import export as exporting
from paperzoo.engine.export import answers, export, graph_of
from paperzoo.engine.gates import gated
from paperzoo.engine.job import resolve
from paperzoo.errors import PaperzooError
from paperzoo.tasks.captioning.contract import Captioner, Told
from paperzoo.tasks.graphs import Graph

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def built(name: str, recipe: str) -> Any:
    """A model of the smoke recipe's size with fresh weights."""
    job = resolve(name, recipe)
    torch.manual_seed(0)
    return job.build(job.dataset()).eval()


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("lenet", "smoke"),
        ("dcgan", "smoke"),
        ("acgan", "smoke"),
        ("vae", "smoke"),
        ("yolov2", "smoke"),
        ("srgan", "smoke"),
        ("gan:toy", "smoke-toy"),
        ("mocogan:categorical", "smoke-categorical"),
        ("char_rnn", "smoke"),
        ("char_rnn:char-rnn", "smoke"),
        ("transformer", "smoke"),
        ("maintenance:lstm", "smoke"),
        ("forecaster", "smoke"),
        ("cfggan", "smoke"),
        ("bert", "smoke"),
        ("bert:classify", "smoke-classify"),
        ("bilstm_crf:bilstm", "smoke"),
        ("pix2pix", "smoke"),
        ("cyclegan", "smoke"),
        ("stargan", "smoke"),
        ("context_encoder", "smoke"),
        ("t3d", "smoke"),
        ("wavegan", "smoke"),
        ("east", "smoke"),
        ("ctpn", "smoke"),
        ("densepose", "smoke"),
        ("vqa", "smoke"),
        ("alignment", "smoke"),
        ("stackgan", "smoke"),
        ("discogan:toy", "smoke-toy"),
    ],
)
def test_another_program_answers_as_the_model_does_for_any_number_of_items(name: str, recipe: str, tmp_path: Path) -> None:
    model = built(name, recipe)
    path, graph = export(model, tmp_path / "net"), graph_of(model)
    assert path == tmp_path / "net.onnx"
    for items in (1, 4, 9):
        given = graph.example(items)
        with torch.no_grad():
            wanted = graph.call(*given)
        wanted = [wanted] if isinstance(wanted, torch.Tensor) else list(wanted)
        found = answers(path, given, "onnx")
        assert len(found) == len(wanted) == len(graph.outputs)
        for mine, theirs in zip(wanted, found, strict=True):
            assert theirs.shape == tuple(mine.shape) and len(theirs) == items
            np.testing.assert_allclose(theirs, mine.numpy(), atol=1e-4 * max(1.0, float(mine.abs().max())))


def test_graphs_answer_as_the_models_own_methods_do() -> None:
    """What is exported is what ``predict`` and ``sample`` use: holes are filled, known pixels stay, each domain in its place."""
    painter = built("context_encoder", "smoke")
    image, hole = graph_of(painter).example(3)
    with torch.no_grad():
        found = graph_of(painter).call(image, hole)
        assert torch.equal(found, graph_of(painter).call(torch.where(hole > 0, 0.3, image), hole))  # what lies in the hole is not seen
    np.testing.assert_allclose(found, painter.filled(image, hole), atol=1e-6)
    assert torch.equal(found.where(hole == 0, 0), image.where(hole == 0, 0)) and float(hole.mean()) > 0

    both = built("cyclegan", "smoke")
    (image,) = graph_of(both).example(2)
    with torch.no_grad():
        answers_of = dict(zip(graph_of(both).outputs, graph_of(both).call(image), strict=True))
    assert list(answers_of) == ["to_b", "to_a"]
    for domain in both.domains:
        np.testing.assert_allclose(answers_of[f"to_{domain}"], both.translated(image, domain), atol=1e-6)
    noisy = built("pix2pix", "smoke")
    (image,) = graph_of(noisy).example(1)
    with torch.no_grad():
        assert torch.equal(graph_of(noisy).call(image)[0], graph_of(noisy).call(image)[0])
        assert not torch.equal(noisy.translate(image), noisy.translate(image))  # and its noise is there again

    changing = built("stargan", "smoke")
    image, wanted = graph_of(changing).example(4)
    with torch.no_grad():
        np.testing.assert_allclose(graph_of(changing).call(image, wanted), changing.edited(image, wanted), atol=1e-5)
    sound = built("wavegan", "smoke")
    with torch.no_grad():
        found = graph_of(sound).call(*graph_of(sound).example(2))
    assert found.shape == (2, sound.channels, sound.length)


@pytest.mark.parametrize("name", ["show_and_tell", "show_attend_tell:hard"])
def test_an_exported_caption_is_the_greedy_search_s(name: str, tmp_path: Path) -> None:
    model = built(name, "smoke")
    model.longest = 6  # words are written out one by one in the file, which takes a second for each
    export(model, tmp_path / "net")  # compared there
    (image,) = graph_of(model).example(6)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(3)  # so that captions differ, and some end before they must
        told = dict(zip(graph_of(model).outputs, graph_of(model).call(image), strict=True))
    captions = model.captions(image, beam=1, alpha=0.0)
    assert len({caption.text for caption in captions}) > 1
    for words, score, caption in zip(told["words"].tolist(), told["score"].tolist(), captions, strict=True):
        count = words.index(END)
        assert tuple(model.vocabulary[i] for i in words[:count]) == caption.words and set(words[count + 1 :]) <= {PAD}
        assert score == pytest.approx(caption.score, abs=1e-4)
    if model.grid[0]:
        for where, caption in zip(told["attention"], captions, strict=True):
            torch.testing.assert_close(where[: len(caption.words)], caption.attention.flatten(1))


class Counting(Captioner):
    """Writes as many words as a picture is bright, then <end>; asked on, it would write further words."""

    grid = (1, 2)

    def __init__(self) -> None:
        super().__init__((*SPECIAL, "a", "b"), 1, 2, 6, 1, 0.0)

    def see(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (image.amax((1, 2, 3))[:, None],)  # (N, 1)

    def say(self, seen: Any, words: torch.Tensor, state: Any = None) -> Told:
        written = words.new_zeros((len(words), 1, 1)).float() if state is None else state[0]  # (N, K, 1)
        best = torch.where(written == seen[0][:, None], END, len(SPECIAL))  # (N, K, 1)
        logits = torch.nn.functional.one_hot(best, len(self.vocabulary)).float()  # (N, K, 1, V)
        return Told(logits, (written + 1,), torch.cat([written, 1 - written], 2)[:, :, None])  # (N, K, 1, 2)


def test_an_exported_caption_ends_where_it_ends() -> None:
    words, score, attention = graph_of(Counting()).call(torch.tensor([0.0, 2, 9])[:, None, None, None].expand(-1, 1, 2, 2))
    assert words.tolist() == [[END, PAD, PAD, PAD, PAD], [4, 4, END, PAD, PAD], [4, 4, 4, 4, END]]
    best, other = torch.tensor([1.0, 0, 0, 0, 0, 0]).log_softmax(0)[:2].tolist()  # where no room is left, <end> is not the best
    np.testing.assert_allclose(score, [best, 3 * best, 4 * best + other], rtol=1e-6)
    assert attention.shape == (3, 5, 2) and attention[2, :, 0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("both_ways", [False, True])
def test_a_plain_recurrent_layer_is_a_gated_one_to_the_last_digits_and_comes_back(both_ways: bool) -> None:
    holder = torch.nn.Sequential(torch.nn.RNN(3, 5, 2, batch_first=True, bidirectional=both_ways))
    layer, x = holder[0], 3 * torch.randn(4, 7, 3)
    state = torch.randn(4 if both_ways else 2, 4, 5)
    wanted, last = layer(x, state)
    with gated(holder):
        assert isinstance(holder[0], torch.nn.GRU)
        found, end = holder[0](x, state)
    assert holder[0] is layer
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)
    torch.testing.assert_close(end, last, rtol=0, atol=1e-6)
    rectified = torch.nn.Sequential(torch.nn.RNN(3, 5, nonlinearity="relu"))
    with gated(rectified):
        assert type(rectified[0]) is torch.nn.RNN


def test_a_network_that_has_grown_half_way_is_exported_as_it_stands(tmp_path: Path) -> None:
    model = built("progan", "smoke")
    model.stage("8 fading")
    model.alpha.fill_(0.25)
    given = graph_of(model).example(3)
    [found] = answers(export(model, tmp_path / "grown.onnx"), given, "onnx")
    with torch.no_grad():
        np.testing.assert_allclose(found, model.generate(*given).numpy(), atol=1e-4)


def test_a_taggers_chain_travels_beside_its_graph_and_finds_the_models_tags(tmp_path: Path) -> None:
    """Viterbi in numpy, over the file's scores and the chain in its metadata; with letters, spelling, and tags that are scored finer."""
    job = resolve("bilstm_crf", "smoke", overrides={"model.spelling": True, "model.characters": "cnn", "model.scheme": "IOBES"})
    torch.manual_seed(0)
    model = job.build(job.dataset()).eval()
    with torch.no_grad():
        for weight in model.parameters(recurse=False):
            weight.normal_(0, 2)
        model.network.emit.weight.mul_(20)
        model.network.spelled.weight.normal_()
    words = [["Anna", "saw", "Rome"], ["the", "sea", "of", "Bob"]]
    path = export(model, tmp_path / "tagger")
    told = {each.key: each.value for each in onnx.load(path).metadata_props}
    chain, tags = {name: np.array(values) for name, values in json.loads(told["chain"]).items()}, json.loads(told["tags of the scores"])
    assert chain["pair"].shape == (len(tags), len(tags)) and len(tags) > len(model.tags) and set(chain) == {"start", "end", "pair"}
    for sentence in words:
        rows, length = model._padded([sentence])
        [[scores]] = answers(path, (rows,), "onnx")
        best, back = chain["start"] + scores[0], []
        for emission in scores[1:]:
            paths = best[:, None] + chain["pair"]
            back.append(paths.argmax(0))
            best = paths.max(0) + emission
        found = [int((best + chain["end"]).argmax())]
        for step in reversed(back):
            found.append(int(step[found[-1]]))
        with torch.no_grad():
            [wanted] = model.tag(rows, length).tolist()
        assert [model.coarse[tag].item() for tag in reversed(found)] == wanted


def test_bert_tags_pieces_and_is_as_it_was_after_tracing(tmp_path: Path) -> None:
    """Texts with padding are still read without it afterwards."""
    torch.manual_seed(0)
    sizes = {"layers": 2, "width": 16, "heads": 2, "inner": 32, "positions": 32}
    model = paperzoo.create("bert:tag", pieces=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##c"), **sizes).eval()
    tokens = torch.tensor([[2, 5, 6, 7, 3, 0, 0], [2, 5, 5, 5, 6, 7, 3]])
    [scores] = answers(export(model, tmp_path / "tag"), (tokens[:1, :5],), "onnx")
    with torch.no_grad():
        found, rows, _ = model._scores(torch.stack([tokens, torch.tensor([[0, 1, 2, 0, 0, 0, 0], [0, 1, 2, 3, 4, 0, 0]])], 1))
    np.testing.assert_allclose(scores[0, 1:3], found[rows == 0].numpy(), atol=1e-5)


def test_weights_in_half_precision_answer_as_the_rounded_model_does(tmp_path: Path) -> None:
    model = paperzoo.load("lenet")
    whole, half = export(model, tmp_path / "whole"), export(model, tmp_path / "half", precision="float16")
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    given = graph_of(model).example(4)
    with torch.no_grad():
        exact, rounded = (graph_of(m.eval()).call(*given).numpy() for m in (model, exporting.halved(model)))
    [found] = answers(half, given, "onnx")
    assert found.dtype == np.float32 and 1e-6 < np.abs(exact - rounded).max() < 0.1
    np.testing.assert_allclose(found, rounded, atol=1e-4 * np.abs(rounded).max())
    with pytest.raises(PaperzooError, match="float16 is for onnx"):
        export(model, tmp_path / "other", "torch", "float16")
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] = 1e6
    with pytest.raises(PaperzooError, match="that float16 does not reach"):
        export(model, tmp_path / "large", precision="float16")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["half.onnx", "whole.onnx"]


def test_what_travels_in_the_file(tmp_path: Path) -> None:
    model = paperzoo.load("lenet")
    path = export(model, tmp_path / "lenet")
    told = {each.key: each.value for each in onnx.load(path).metadata_props}
    assert told["name"] == "lenet" and json.loads(told["names"]) == [str(n) for n in range(10)] and len(told["weights sha256"]) == 64
    assert json.loads(told["inputs"])["image"].startswith("float32 (N, 1, ") and json.loads(told["arguments"])["classes"] == 10
    with torch.no_grad():
        next(model.parameters()).add_(1)
    again = {each.key: each.value for each in onnx.load(export(model, tmp_path / "other")).metadata_props}
    assert again["weights sha256"] != told["weights sha256"]


def test_torchs_own_program_is_read_back_without_the_paper(tmp_path: Path) -> None:
    model = built("gan", "smoke")
    path, given = export(model, tmp_path / "gan", "torch"), graph_of(model).example(5)
    kept = {"paperzoo.json": ""}
    program = torch.export.load(path, extra_files=kept)
    with torch.no_grad():
        assert torch.allclose(program.module()(*given), model.generate(*given), atol=1e-5)
    assert path.suffix == ".pt2" and json.loads(kept["paperzoo.json"])["name"] == "gan"


@pytest.mark.parametrize("fault", ["off", "another shape", "no answer"])
def test_what_answers_otherwise_is_not_kept(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gan.onnx").write_bytes(b"mine")

    def wrong(*given: Any) -> list[np.ndarray]:
        [found] = answers(*given)
        if fault == "no answer":
            raise RuntimeError("Reshape node.\nand more")
        return [found + 0.01 if fault == "off" else found[:, 0]]

    monkeypatch.setattr(exporting, "answers", wrong)
    with pytest.raises(PaperzooError, match=r"gan: .* of? ?1 items.*; it is not kept|cannot answer 1 items: Reshape node.; it is not kept"):
        export(built("gan", "smoke"), tmp_path / "gan")
    assert (tmp_path / "gan.onnx").read_bytes() == b"mine" and len(list(tmp_path.iterdir())) == 1


def test_what_cannot_be_exported_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PaperzooError, match="glove is a model for embedding, of which no part can be exported"):
        export(built("glove", "smoke"), tmp_path / "glove")
    model = built("gan", "smoke")
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    with pytest.raises(PaperzooError, match=r"needs onnx, onnxscript, onnxruntime: pip install 'paperzoo\[onnx\]'"):
        export(model, tmp_path / "gan")
    monkeypatch.undo()
    untraceable = Graph(lambda z: z if bool(z.sum() > 3) else -z, lambda items: (torch.ones(items, 2),), {"z": ""}, {"y": ""})
    monkeypatch.setattr(exporting, "graph_of", lambda model: untraceable)
    with pytest.raises(PaperzooError, match="gan cannot be exported to onnx: ") as told:
        export(model, tmp_path / "gan")
    assert "\n" not in str(told.value) and not list(tmp_path.iterdir())


def test_a_forecast_is_in_the_series_own_units_with_its_interval(tmp_path: Path) -> None:
    days = np.arange(400)
    values = 100 + 0.5 * days + 20 * (days % 7 == 0) + np.random.default_rng(0).normal(0, 2, 400)
    (tmp_path / "own.csv").write_text("sales\n" + "".join(f"{value:.3f}\n" for value in values))
    data = f"series:{tmp_path}/own.csv#target=sales&season=7&horizon=2"
    model = paperzoo.train("forecaster", "smoke", data=data, out=tmp_path / "runs", overrides={"steps": 30}).model.eval()
    path, (history,) = export(model, tmp_path / "net"), graph_of(model).example(6)
    found, wanted = answers(path, (history,), "onnx"), model.forecasts(history)
    assert len(found) == 3 and (found[1] < found[0]).all() and (found[0] < found[2]).all()
    for mine, theirs in zip(wanted, found, strict=True):
        assert theirs.shape == (6, 2, 1)
        np.testing.assert_allclose(theirs, mine.numpy(), rtol=1e-4)


def test_tracing_leaves_nothing_in_what_a_model_keeps(tmp_path: Path) -> None:
    model = built("srcnn", "smoke")
    low = torch.rand(2, model.channels, 24, 24)
    path = export(model, tmp_path / "srcnn")
    with torch.no_grad():
        wanted = model.restore(low, min(model.scales))
    assert type(wanted) is torch.Tensor
    np.testing.assert_allclose(answers(path, (low,), "onnx")[0], wanted.numpy(), atol=1e-4)


def test_a_count_by_which_a_network_decides_is_a_tensor_again_afterwards(tmp_path: Path) -> None:
    model = built("transformer", "smoke")
    model.averaged.fill_(1)
    with torch.no_grad():
        for weight in model.mean.parameters():
            weight.mul_(0.5)
    given = graph_of(model).example(2)
    [found] = answers(export(model, tmp_path / "averaged"), given, "onnx")
    with torch.no_grad():
        np.testing.assert_allclose(found, model.logits(*given).numpy(), atol=1e-4)
        model.averaged.fill_(0)
        assert np.abs(found - model.logits(*given).numpy()).max() > 0.01
    assert isinstance(model.averaged, torch.Tensor) and "averaged" in model.state_dict()


def test_a_check_of_values_is_there_again_afterwards(tmp_path: Path) -> None:
    model = built("vae", "smoke")
    export(model, tmp_path / "vae")
    with pytest.raises(PaperzooError, match="pixel values must lie in"):
        model.encode(torch.full((1, model.channels, model.image_size, model.image_size), 2.0))


def test_from_the_command_line_to_lines_that_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said, _ = type_in("export", "lenet", capsys=capsys, monkeypatch=monkeypatch)
    assert code == 0 and said.splitlines()[0] == "lenet.onnx" and (tmp_path / "lenet.onnx").is_file()
    model = paperzoo.load("lenet")
    scope: dict[str, Any] = {"image": torch.rand(2, model.channels, model.image_size, model.image_size).numpy()}
    exec(said.partition("\n\n")[2], scope)
    assert scope["answer"][0].shape == (2, 10)
    code, _, complaint = type_in("export", "lenet", "--to", "onxx", capsys=capsys, monkeypatch=monkeypatch)
    assert code == 2 and "did you mean onnx" in complaint


@pytest.mark.parametrize("place", [".", "..", "/", ""])
def test_a_folder_is_no_file_to_write(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PaperzooError, match="is a folder: name a file in it"):
        export(paperzoo.load("lenet"), Path(place))
    assert not list(tmp_path.iterdir())
