"""The gallery: what its pages compute is what Python does, a room is what its model answers, and nothing of another's folder is harmed."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.files import type_in

import paperzoo
from paperzoo.data.bicubic import enlarge
from paperzoo.data.captions.words import tokenise
from paperzoo.data.fetch.weights import BROWSER_RUNTIME
from paperzoo.data.images.centred import centred, shares
from paperzoo.data.text.bpe import Bpe, learn
from paperzoo.engine.export import answers, halved, write_graph
from paperzoo.engine.job import resolve
from paperzoo.errors import PaperzooError
from paperzoo.metrics.restoration import rgb, ycbcr
from paperzoo.papers.detection.east_geometry import rotated_boxes
from paperzoo.report import gallery
from paperzoo.tasks.decoding.locality_nms import locality_nms
from paperzoo.tasks.generation.latent import between

SITE = Path(gallery.__file__).with_name("site")


def drawings() -> list[np.ndarray]:
    """Drawings of several shapes: off the middle, wide, tall, a point, nothing, and one of grey noise."""
    made = [np.zeros((60, 50)) for _ in range(5)]
    made[0][30:55, 5:20] = 1
    made[1][10:14, 2:48] = 0.7
    made[2][0:60, 20:23] = 1
    made[3][59, 49] = 1
    return [*made, np.random.default_rng(0).random((33, 41))]


def test_a_drawn_digit_is_centred_by_its_mass() -> None:
    one = np.zeros((280, 280))
    one[100:200, 50:60] = 1  # a bar of 100 x 10 becomes one of 20 x 2
    image = centred(one)
    assert image.shape == (28, 28) and image.sum() == pytest.approx(40)
    rows, columns = np.nonzero(image)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 23, 13, 14)
    heavy = np.zeros((40, 40))
    heavy[:, :20], heavy[:, 20:] = 1, 0.5  # most ink at the left: the middle of its mass, not of its box, is in the middle
    image = centred(heavy)
    mass = image.sum(0) @ (np.arange(28) + 0.5) / image.sum()
    assert abs(mass - 14) <= 0.5 and np.nonzero(image)[1].min() == 6
    assert not centred(np.zeros((9, 9))).any()


def test_shares_of_a_line_are_areas() -> None:
    np.testing.assert_allclose(shares(4, 2), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])
    np.testing.assert_allclose(shares(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])
    np.testing.assert_allclose(shares(2, 4), [[1, 0], [1, 0], [0, 1], [0, 1]])


#: with accents in one sign and in two, blanks of several kinds, clitics, digits, signs of three and four bytes, nothing
SENTENCES = [
    "este é o primeiro livro que eu fiz.", "They're here; I'll don't, it's 42 'times'.", "a  b\n\n c\t ",
    "cafe\u0301 ca\u00f1o\u00a0x\u0085y\ufeffz", "日本語 🙂👍🏽!? ١٢", " leading", "   ", "x" * 40 + "ABCabc",
]  # fmt: skip


@pytest.fixture(scope="module")
def computed() -> tuple[dict[str, Any], dict[str, Any]]:
    """What was asked of the pages' JavaScript, and what it answered."""
    if (node := shutil.which("node")) is None:
        pytest.skip("node is not installed")
    chance = np.random.default_rng(1)
    planes = [(chance.random((5, 7)), 2), (chance.random((6, 4)), 3), (chance.random((4, 4)), 4)]
    low = chance.random((60, 2)) * 80
    sizes = chance.random((60, 2)) * 20 + 4
    turned = chance.random(60) - 0.5
    quads = rotated_boxes(torch.tensor(np.concatenate([sizes, sizes], 1)), torch.tensor(turned), torch.tensor(low)).numpy()
    pieces, merges = learn([*SENTENCES[:4] * 2, "the theatre they thought through"] * 2, 300)
    bpe = Bpe(pieces, merges)
    asked = {
        "drawings": [(one.ravel().tolist(), *one.shape) for one in drawings()],
        "planes": [(plane.ravel().tolist(), *plane.shape, scale) for plane, scale in planes],
        "colours": chance.random((3, 20)).tolist(), "quads": quads.tolist(), "scores": chance.random(60).tolist(),
        "texts": ["What colour is it?", "Don't! The dog's  café-bar -x-", "ÀÉ 3 日本", "a 'yellow' one, -'so'-"],
        "ends": chance.normal(size=(2, 9)).tolist(), "tone": np.sin(2 * np.pi * 16 * np.arange(512) / 128).tolist(),
        "bpe": {"vocabulary": pieces, "merges": merges}, "sentences": SENTENCES,
        "rows": [*bpe.encode(SENTENCES), [0, 1, 2, *bpe.encode(["日"])[0][1:3]]],
    }  # fmt: skip
    done = subprocess.run(
        [node, str(Path(__file__).with_name("gallery.mjs")), str(SITE), json.dumps(asked)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return asked, json.loads(done.stdout)


def test_pages_prepare_and_read_as_python_does(computed: tuple[dict[str, Any], dict[str, Any]]) -> None:
    asked, told = computed
    for drawing, answer in zip(drawings(), told["centred"], strict=True):
        np.testing.assert_allclose(np.array(answer).reshape(28, 28), centred(drawing), atol=1e-9)
    for (plane, height, width, scale), answer in zip(asked["planes"], told["enlarged"], strict=True):
        expected = enlarge(torch.tensor(plane).float().view(1, 1, height, width), scale)
        np.testing.assert_allclose(answer, expected.flatten(), atol=1e-5)
    colours = torch.tensor(asked["colours"]).float().view(1, 3, 4, 5)
    np.testing.assert_allclose(np.array(told["ycbcr"]), ycbcr(colours)[0].flatten(1), atol=1e-5)
    np.testing.assert_allclose(np.array(told["rgb"]), rgb(ycbcr(colours))[0].flatten(1), atol=1e-5)
    assert told["words"] == [tokenise(text) for text in asked["texts"]]


def test_pages_merge_quadrilaterals_as_python_does(computed: tuple[dict[str, Any], dict[str, Any]]) -> None:
    asked, told = computed
    kept = locality_nms(np.array(asked["quads"]), np.array(asked["scores"]), 0.3, 0.2)
    assert 5 < len(kept.quads) < 60 and kept.number.max() > 1
    np.testing.assert_allclose([one["quad"] for one in told["kept"]], kept.quads, atol=1e-9)
    np.testing.assert_allclose([one["votes"] for one in told["kept"]], kept.votes)
    assert [one["number"] for one in told["kept"]] == kept.number.tolist()
    expected = rotated_boxes(torch.tensor([1.0, 2, 3, 4]).double(), torch.tensor(0.5).double(), torch.tensor([10.0, 20]).double())
    np.testing.assert_allclose(told["box"], expected, atol=1e-9)


def test_pages_cut_texts_as_python_does_and_translate_to_the_likeliest(computed: tuple[dict[str, Any], dict[str, Any]]) -> None:
    asked, told = computed
    bpe = Bpe(asked["bpe"]["vocabulary"], asked["bpe"]["merges"])
    assert told["encoded"] == bpe.encode(asked["sentences"]) and len(asked["bpe"]["merges"]) > 20
    assert told["decoded"] == bpe.decode(asked["rows"]) and "\ufffd" in told["decoded"][-1]
    source = bpe.encode(SENTENCES)[0]
    assert told["repeated"]["text"] == SENTENCES[0] and told["repeated"]["tokens"] == source
    assert told["repeated"]["pieces"][-1] == "■" and len(told["repeated"]["attention"]) == len(source) + 1
    assert np.argmax(told["repeated"]["attention"], 1).tolist() == list(range(len(source) + 1))
    assert len(told["endless"]["tokens"]) == len(source) + 1 + 4 - 1  # the last of the longest is always the end
    assert told["blank"]["text"] == "" and "more than the model's 3 positions" in told["long"]


def test_pages_play_and_change(computed: tuple[dict[str, Any], dict[str, Any]]) -> None:
    _, told = computed
    assert told["faster"] == [[[0, 1, 2, 0, -2, -2], 8000], [[0, 2, -2], 16000]]
    levels = np.array(told["levels"])
    assert levels.shape == (7, 65) and (levels.argmax(1) == 16).all() and np.delete(levels, [15, 16, 17], 1).max() < -100
    np.testing.assert_allclose(levels[:, 15], -20 * np.log10(2), atol=1e-3)  # Hann's window leaks half of it to the next
    click = np.array(told["click"])  # in the middle of the first frame, at the edge of the second, where the window is zero
    assert click.shape == (3, 65) and np.allclose(click[0], 0) and (click[1:] <= -119).all()
    # given: the others of its group go; taken away, or of no group: they stay
    assert told["asked"] == [[1, 0, 0, 1], [0, 1, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1]]
    assert told["changed"] == [{"seen": [1, 0], "pixels": [6]}, {"seen": [1, 0], "pixels": [7]}]


def test_pages_draw_and_write(computed: tuple[dict[str, Any], dict[str, Any]]) -> None:
    asked, told = computed
    ends = torch.tensor(asked["ends"])
    line = between(ends[:1].double(), ends[1:].double(), 5, "normal")[0]  # at 0, 1/4, ... 1
    np.testing.assert_allclose(told["between"], line[[0, 1, 4]], atol=1e-6)
    normal, uniform = np.array(told["normal"]), np.array(told["uniform"])
    assert abs(normal.mean()) < 0.1 and abs(normal.std() - 1) < 0.06 and abs((normal**3).mean()) < 0.3
    assert 0 <= uniform.min() < 0.01 and 0.99 < uniform.max() < 1 and abs(uniform.mean() - 0.5) < 0.03
    assert told["softmax"] == [0, 0, 1]
    # the first token and "ab" make three; then the fourth is written by scores of the third
    assert told["written"] == {"text": "ababab", "scores": [9, 2, 1, 0], "unknown": []}
    assert told["strange"] == {"text": "axbx", "scores": [], "unknown": ["x"]}


pytest.importorskip("onnxruntime")


@pytest.mark.parametrize(
    ("name", "recipe", "kind"),
    [
        ("dcgan", "smoke", "latent"), ("cgan:conv", "smoke-conv", "latent"), ("gan3d", "smoke", "volume"),
        ("show_attend_tell", "smoke", "caption"), ("vqa", "smoke", "question"), ("char_rnn", "smoke", "write"), ("east", "smoke", "text"),
        ("pix2pix", "smoke", "translate"), ("cyclegan", "smoke", "translate"),
        ("stargan", "smoke", "attributes"), ("wavegan", "smoke", "sound"), ("transformer", "smoke", "sentence"),
    ],
)  # fmt: skip
def test_a_room_answers_as_its_model_does(name: str, recipe: str, kind: str, tmp_path: Path) -> None:
    job = resolve(name, recipe)
    model = halved(job.build(job.dataset())).eval()
    room = gallery.room_of(model)
    assert room is not None and room.kind == kind and (SITE / "rooms" / f"{kind}.js").is_file()
    json.dumps(dict(room.facts))
    for key, graph in room.graphs.items():
        path = write_graph(model, graph, tmp_path / key, "onnx", "float16")  # compared there at 1, 3 and 5 items
        given = graph.example(2)
        with torch.no_grad():
            expected = graph.call(*given)
        for mine, theirs in zip(expected if isinstance(expected, tuple) else (expected,), answers(path, given, "onnx"), strict=True):
            np.testing.assert_allclose(theirs, mine.numpy(), atol=2e-4 * max(1.0, float(mine.abs().max())))


def test_captions_go_on_by_the_states_that_a_room_gives() -> None:
    job = resolve("show_attend_tell", "smoke")
    model = job.build(job.dataset()).eval()
    room = gallery.room_of(model)
    assert room is not None
    image = torch.rand(1, 3, model.image_size, model.image_size)
    (caption,) = model.captions(image, beam=1, alpha=0.0)
    with torch.no_grad():
        told = dict(zip(room.graphs["see"].outputs, room.graphs["see"].call(image), strict=True))
        kept, words, score = [told[name] for name in room.facts["kept"]], [], 0.0
        while True:
            scores = told["scores"][0].index_fill(0, torch.tensor(room.facts["never"]), -torch.inf)
            best = room.facts["end"] if len(words) == room.facts["longest"] - 2 else int(scores.argmax())
            score += float(scores[best])
            if best == room.facts["end"]:
                break
            words.append(room.facts["words"][best])
            state = [told[f"next{i}"] for i in range(len(room.facts["states"]))]
            told = dict(zip(room.graphs["say"].outputs, room.graphs["say"].call(torch.tensor([best]), *kept, *state), strict=True))
    assert (tuple(words), score) == (caption.words, pytest.approx(caption.score, abs=1e-4))


def test_a_sentence_goes_on_by_what_a_room_gives() -> None:
    job = resolve("transformer", "smoke", overrides={"model.layers": 2})  # the last layer is not the first
    model = job.build(job.dataset()).eval()
    room = gallery.room_of(model)
    assert room is not None
    source = torch.randint(3, len(model.vocabulary), (1, 6), generator=torch.Generator().manual_seed(0))
    source[0, -1] = room.facts["end"]
    tokens, score, seen = list[int](), 0.0, []
    while True:
        with torch.no_grad():
            scores, attention = room.graphs["next"].call(source, torch.tensor([[room.facts["start"], *tokens]]))
        logs = scores[0].log_softmax(0).index_fill(0, torch.tensor(room.facts["never"]), -torch.inf)
        last = len(tokens) == min(6 + room.facts["more"], room.facts["positions"]) - 1
        best = room.facts["end"] if last else int(logs.argmax())
        score, seen = score + float(logs[best]), [*seen, attention[0]]
        if best == room.facts["end"]:
            break
        tokens.append(best)
    with torch.no_grad():
        assert model.translate(source, beam=1)[0] == [tokens]
    torch.testing.assert_close(torch.stack(seen), model._attention(source[0].numpy(), tokens).mean(0))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "gallery"
    assert gallery.build(out, ["lenet", "srcnn"], runtime=False, examples=False) == ["lenet", "srcnn"]
    return out


def test_a_gallery_is_whole_and_asks_no_other_host(built: Path) -> None:
    about = json.loads((built / "rooms.json").read_text())
    lenet, srcnn = about["rooms"]
    assert (lenet["kind"], lenet["facts"]["names"], srcnn["kind"]) == ("digit", list("0123456789"), "enlarge")
    assert "asked at most" in lenet["figure"] and lenet["status"] and 50 < lenet["kilobytes"] < 200
    pages = [path for path in built.rglob("*") if path.suffix in (".js", ".html", ".css")]
    assert about["page"] == -(-sum(path.stat().st_size for path in pages) // 1000) < 80
    assert not [path.name for path in pages if "http://" in path.read_text() or "https://" in path.read_text()]
    image = torch.rand(1, 1, 32, 32)
    logits = answers(built / lenet["graphs"]["look"]["file"], (image,), "onnx")[0]
    np.testing.assert_allclose(logits, paperzoo.load("lenet")(image).detach(), atol=1e-2)  # weights in half precision


def test_a_room_shows_only_what_may_be_shown_and_figures_of_weights_that_ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.safetensors"
    shutil.copy(gallery.weights.SHIPPED / "srcnn.safetensors", path)
    for free, shown in ((True, 2), (False, 0)):
        items = Items(torch.rand(2, 3, 40, 48))
        monkeypatch.setattr(gallery, "dataset", lambda name, items=items, free=free, **sizes: Known({"test": items}, free))
        gallery.build(tmp_path / f"{free}", ["srcnn"], [str(path)], runtime=False)
        mine, own = json.loads((tmp_path / f"{free}" / "rooms.json").read_text())["rooms"]
        assert len(mine["examples"]) == len(list((tmp_path / f"{free}").glob("examples/srcnn-?.png"))) == shown
        assert mine["figure"] and not own["figure"] and own["id"] == "srcnn-2"
    (tmp_path / "link").symlink_to(tmp_path / "True")
    with pytest.raises(PaperzooError, match="is a link"):
        gallery.build(tmp_path / "link", ["lenet"], runtime=False)


class Items:
    """Photographs, one at a time."""

    def __init__(self, low: torch.Tensor) -> None:
        self.low = low

    def __len__(self) -> int:
        return len(self.low)

    def batch(self, indices: list[int]) -> Any:
        return Items(self.low[indices])


class Known(dict[str, Any]):
    """A data set, and whether its pictures may be shown."""

    def __init__(self, splits: dict[str, Any], pictures: bool) -> None:
        super().__init__(splits)
        self.pictures = pictures


def test_the_server_knows_its_files_and_no_others(built: Path) -> None:
    with gallery.server(built) as serving:
        Thread(target=serving.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{serving.server_port}/"
        with urllib.request.urlopen(f"{address}main.js") as reply:
            assert reply.headers["Content-Type"] == "text/javascript" and reply.read() == (SITE / "main.js").read_bytes()
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{address}../../etc/passwd")
        with pytest.raises(PaperzooError, match="choose another by --port"):
            gallery.server(built, serving.server_port)
        serving.shutdown()


def test_only_a_gallery_is_replaced(tmp_path: Path, built: Path, capsys: Any, monkeypatch: Any) -> None:
    def typed(*words: str) -> str:
        code, _, errors = type_in("gallery", *words, capsys=capsys, monkeypatch=monkeypatch)
        assert code == 2
        return errors

    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear")
    with pytest.raises(PaperzooError, match="not empty, nor a gallery"):
        gallery.build(mine, ["lenet"], runtime=False)
    assert [path.name for path in mine.iterdir()] == ["letter.txt"]
    again = tmp_path / "again"
    shutil.copytree(built, again)
    (again / "models" / "old.onnx").write_bytes(b"old")
    assert gallery.build(again, ["srcnn"], runtime=False, examples=False) == ["srcnn"]
    assert sorted(path.name for path in (again / "models").iterdir()) == ["srcnn.x2.onnx"]
    (again / "letter.txt").write_text("dear")
    with pytest.raises(PaperzooError, match=r"letter\.txt is there"):
        gallery.build(again, ["srcnn"], runtime=False, examples=False)
    assert (again / "letter.txt").read_text() == "dear" and (again / "rooms.json").is_file()
    with pytest.raises(PaperzooError, match="no room in the gallery"):
        gallery.build(tmp_path / "out", [str(gallery.weights.SHIPPED / "t3d.expressions.safetensors")], runtime=False)
    assert not (tmp_path / "out").exists() and sorted(path.name for path in tmp_path.iterdir()) == ["again", "mine"]
    assert "add --open" in typed() and "not empty" in typed(str(mine)) and "lenet" in typed(str(tmp_path / "x"), "--only", "lenett")


def test_a_gallery_without_its_runtime_says_where_to_put_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(PaperzooError, match=f"{BROWSER_RUNTIME.name}.*npm"):
        gallery.build(tmp_path / "site", ["lenet"])
    assert not list(tmp_path.iterdir())



def test_a_gallery_is_replaced_from_within_and_kept_where_it_cannot_be(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is made must not lie in what is replaced, and that must not be gone before."""
    monkeypatch.setattr(gallery, "_written", lambda *_: {"id": "lenet"})
    out = tmp_path / "out"
    shutil.copytree(built, out)
    monkeypatch.chdir(out)
    gallery.build(Path(), ["lenet"], runtime=False)
    assert (out / "rooms.json").is_file() and not (out / "models").exists() and [path.name for path in tmp_path.iterdir()] == ["out"]
    monkeypatch.chdir(tmp_path)

    def busy(source: Path, target: Path) -> None:
        raise OSError(16, "Device or resource busy")

    before = sorted(path.name for path in out.rglob("*"))
    monkeypatch.setattr(Path, "rename", busy)
    with pytest.raises(OSError, match="busy"):
        gallery.build(out, ["lenet"], runtime=False)
    assert sorted(path.name for path in out.rglob("*")) == before and [path.name for path in tmp_path.iterdir()] == ["out"]
