"""Alignment as a task: retrieval and nouns by who knows the answers and by who knows nothing, drawings, what a user asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.captioners import WORDS
from PIL import Image
from torch import Tensor, nn

from paperzoo.data import Batch, Dataset
from paperzoo.data.captions import grammar
from paperzoo.data.captions.plain import plain_scenes
from paperzoo.errors import PaperzooError
from paperzoo.papers.vision_language.alignment import Model
from paperzoo.papers.vision_language.regions import windows
from paperzoo.tasks.alignment import Aligned, Aligner, measure
from paperzoo.tasks.alignment.draw import regions_of, runs

LITTLE: dict[str, Any] = {
    "vocabulary": WORDS, "image_size": 16, "longest": 6, "encoder": "small", "grid": 2, "share": 0.5, "embedding": 6, "hidden": 7,
    "size": 5, "annotation": 8,
}  # fmt: skip


@pytest.fixture(scope="module")
def plain() -> Dataset:
    return plain_scenes(counts=(60, 120, 20, 20))


class Seer(Aligner):
    """Sees what ``scenes`` says: a region is of the nouns of the things on which it lies, of the thing of another noun if ``wrong``."""

    def __init__(self, data: Dataset, split: str = "validation", wrong: bool = False, knows: bool = True) -> None:
        super().__init__(data.schema.arguments["vocabulary"], 0, 3, 32, data.schema.arguments["longest"])
        self.regions, self.weight, self.knows = windows(8, 0.25), nn.Parameter(torch.zeros(())), knows
        batch = data[split].batch(range(len(data[split])))
        self.known = {i.numpy().tobytes(): (n, s) for n, (i, s) in enumerate(zip(batch.image, batch.scene, strict=True))}
        rows = self.sentences(batch.captions).flatten(0, 1)
        self.own = {tuple(row[row != 0].tolist()): place // 5 for place, row in enumerate(rows)}
        self.wrong, self.nouns = wrong, list(grammar.NOUNS)
        self.noun = {self.vocabulary.index(w): self.nouns.index(n) for n, ws in grammar.NOUNS.items() for w in ws if w in self.vocabulary}

    def see(self, image: Tensor) -> Tensor:
        """(N, R, nouns and one): of which nouns each region is; the number of the picture last."""
        found = torch.zeros(len(image), len(self.regions), len(self.nouns) + 1)
        for n, one in enumerate(image):
            number, scene = self.known[one.numpy().tobytes()]
            found[n, :, -1] = number
            for thing in scene.things:
                (other,) = [t for t in scene.things if t != thing] if self.wrong else [thing]
                found[n, :, self.nouns.index(thing.noun)] += measure.lies_on(self.regions, 32, other.box)
        return found

    def read(self, words: Tensor) -> Tensor:
        """(M, T, nouns and two): the word's noun, the picture whose caption it is, the word."""
        found = torch.zeros(*words.shape, len(self.nouns) + 1)
        for m, t in np.ndindex(*words.shape):
            if int(words[m, t]) in self.noun:
                found[m, t, self.noun[int(words[m, t])]] = 1
            found[m, t, -1] = self.own.get(tuple(words[m][words[m] != 0].tolist()), -1)
        return found

    def score(self, seen: Tensor, said: Tensor, real: Tensor) -> Tensor:
        return (seen[:, None, 0, -1] == said[None, :, 0, -1]).float() * self.knows

    def places(self, seen: Tensor, said: Tensor, smooth: bool = True) -> Tensor:
        return (said[:, :-1] @ seen[:, :-1].T).argmax(1) if not smooth else torch.full((len(said),), len(self.regions) - 1)


def test_who_knows_finds_all_and_sees_nouns_on_their_things(plain: Dataset) -> None:
    found = Seer(plain).measure(plain, "validation")
    assert found["R@1 of captions"] > 97 < found["R@1 of pictures"]  # two pictures may have the same caption
    assert found["median rank of captions"] == found["median rank of pictures"] == 1
    assert found["noun on its thing %"] == 100 and found["noun on its thing, smoothed %"] == 0
    assert 10 < found["noun on its thing by chance %"] < 25 and found["noun on another thing %"] == 0
    assert found["R@1 of captions by chance"] == pytest.approx(100 / 120) == found["R@1 of pictures by chance"]


def test_who_takes_one_thing_for_another_is_seen(plain: Dataset) -> None:
    found = Seer(plain, wrong=True).measure(plain, "validation")
    assert found["noun on its thing %"] == 0 and found["noun on another thing %"] == 100


def test_any_other_thing_is_another() -> None:
    """Of three things that one is seen which the caption does not name; a noun that two things have is not asked for."""
    boxes = ((0, 0, 8, 8), (8, 0, 16, 8), (0, 8, 8, 16))
    things = [grammar.Thing(noun, "red", "large", box) for noun, box in zip(("circle", "square", "star"), boxes, strict=True)]
    two = [grammar.Thing("heart", colour, "large", box) for colour, box in zip(("red", "blue"), boxes, strict=False)]
    batch = Batch(
        captions=torch.tensor([[[1, 4, 5, 6, 4, 7, 2]], [[1, 4, 5, 6, 4, 7, 2]]]),
        texts=[("a circle above a star",), ("a heart above a heart",)],
        scene=[grammar.Scene(tuple(things), "above"), grammar.Scene(tuple(two), "left")],
    )

    class Items:
        def batches(self, size: int) -> list[np.ndarray]:
            return [np.arange(2)]

        def batch(self, indices: np.ndarray) -> Batch:
            return batch

    model = Model(**{**LITTLE, "longest": 9})
    for place, own, another in ((0, 50, 50), (1, 0, 100), (3, 0, 0), (4, 0, 0)):
        model.places = lambda seen, said, smooth=True, place=place: torch.full((len(said),), place)  # type: ignore[method-assign,misc]
        with torch.no_grad():
            found = measure.nouns(model, Items(), torch.zeros(2, 5, 5))  # type: ignore[arg-type]
        assert (found["noun on its thing %"], found["noun on another thing %"]) == (own, another)
        assert found["noun on its thing by chance %"] == pytest.approx(20)


def test_who_says_nothing_finds_nothing(plain: Dataset) -> None:
    found = Seer(plain, knows=False).measure(plain, "validation")
    assert found["R@10 of captions"] == found["R@10 of pictures"] == 0 and found["median rank of pictures"] == 120


def test_middle_of_a_region_and_never_the_whole_picture() -> None:
    boxes = windows(2, 0.5)  # middles at 8 and 24 of 32
    assert measure.lies_on(boxes, 32, (0, 0, 9, 9)).tolist() == [True, False, False, False, False]
    assert measure.lies_on(boxes, 32, (24, 0, 32, 9)).tolist() == [False, True, False, False, False]
    assert measure.lies_on(boxes, 32, (0, 0, 8, 32)).tolist() == [False] * 5
    assert measure.lies_on(boxes, 32, (10, 10, 20, 20)).tolist() == [False] * 5


def test_scores_do_not_depend_on_the_order_or_company_of_captions() -> None:
    torch.manual_seed(0)
    model = Model(**LITTLE).eval()
    image, words = torch.rand(60, 3, 16, 16), [torch.tensor([4, 5, 6, 7]), torch.tensor([8]), torch.tensor([9, 4])]
    with torch.no_grad():
        seen = model.see(image)
        found = measure.scores(model, seen, words)
        for m, row in enumerate(words):
            alone = model.score(seen, model.read(row[None]), torch.ones(1, len(row), dtype=torch.bool))
            assert torch.allclose(found[:, m], alone[:, 0], atol=1e-5)


def test_sentences_lose_their_ends() -> None:
    model = Model(**LITTLE)
    captions = torch.tensor([[[1, 4, 5, 2, 0], [1, 6, 2, 0, 0]], [[1, 7, 2, 0, 0], [0, 0, 0, 0, 0]]])
    assert model.sentences(captions).tolist() == [[[4, 5], [6, 0]], [[7, 0], [0, 0]]]
    with pytest.raises(PaperzooError, match=r"a caption of 7 words, .* is longer than the model's 6: set model\.longest"):
        model.sentences(torch.tensor([[[1, 4, 4, 4, 4, 4, 2]]]))


def test_runs_of_words_share_a_box() -> None:
    one, two = (0.0, 0.0, 4.0, 4.0), (2.0, 2.0, 6.0, 6.0)
    assert runs(["a", "red", "dog", "on", "it"], [one, one, two, two, one]) == [(one, "a red"), (two, "dog on"), (one, "it")]
    figure = regions_of(torch.rand(3, 8, 8), ["a", "b", "$c"], [one, two, one])
    assert figure.axes[0].get_title() == r"[1: a] [2: b] [1: \$c]" and len(figure.axes[0].patches) == 2
    assert figure.axes[0].patches[1].get_bbox().bounds == (2.0, 2.0, 4.0, 4.0)  # type: ignore[attr-defined]


def test_pictures_are_drawn(plain: Dataset, tmp_path: Path) -> None:
    (path,) = Seer(plain).show(plain, "validation", tmp_path, "final")
    assert path.name == "final-regions.png" and Image.open(path).size[0] > 500 and path.stat().st_size < 300_000


# A user's picture --------------------------------------------------------------------------------------------------------


def photograph(folder: Path) -> Path:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)).save(folder / "photo.png")
    return folder / "photo.png"


def test_words_of_a_sentence_are_found_and_drawn(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, path = Model(**LITTLE).train(), photograph(tmp_path)
    found = model.predict(path, prompt="A b, c!")
    assert isinstance(found, Aligned) and found.words == ("a", "b", "c") and len(found.boxes) == 3 and model.training
    sides = {0.0, 8.0, 16.0}
    assert all(set(box) <= sides for box in found.boxes) and "score" in str(found) and "\n  a  " in str(found)
    assert model.predict([path, Image.open(path)], prompt="a b c") == [found, found]
    drawn = model.predict(path, prompt="a b c", out=str(tmp_path / "new"))
    assert drawn.path == tmp_path / "new" / "photo-regions.png" and Image.open(drawn.path).size[0] > 100 and str(drawn.path) in str(drawn)
    with pytest.raises(PaperzooError, match="is there already"):
        model.predict(path, prompt="a b c", out=str(tmp_path / "new"))


def test_score_and_regions_are_the_models(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model, image = Model(**{**LITTLE, "beta": 0.0}).eval(), torch.rand(3, 16, 16)
    found, words = model.predict(image, prompt="a b c"), torch.tensor([[4, 5, 6]])
    with torch.no_grad():
        fit = model.read(words)[0] @ model.see(image[None])[0].T  # (T, R)
    assert found.score == pytest.approx(float(fit.amax(1).sum()), abs=1e-5)
    assert found.boxes == tuple(tuple((16 * model.regions[i]).tolist()) for i in fit.argmax(1).tolist())


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("", "has no words: --prompt is the sentence"),
        ("?!", "has no words"),
        ("a b zebra", "unknown word 'zebra'"),
        ("a b c d e", "a sentence of 5 words is longer than the 4 that this model reads"),
        ("<pad>", "unknown word 'pad'"),
    ],
)
def test_what_cannot_be_asked(prompt: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=said):
        Model(**LITTLE).predict(photograph(tmp_path), prompt=prompt)


def test_nothing_is_written_where_a_picture_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_bytes(b"no picture")
    with pytest.raises(PaperzooError, match=r"text\.png cannot be read as an image"):
        Model(**LITTLE).predict(tmp_path / "text.png", prompt="a", out=str(tmp_path / "out"))
    with pytest.raises(PaperzooError, match="this model has no vocabulary, so it can read no sentence"):
        Model(**{**LITTLE, "vocabulary": ()}).predict(tmp_path / "text.png", prompt="a")
    assert not (tmp_path / "out").exists()
