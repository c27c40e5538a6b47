"""Captioning: the search and its identities, figures beside baselines, attention on what is named, pictures, a user's photographs."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.captioners import KINDS, WORDS, captioner, pictures
from matplotlib.axes import Axes
from PIL import Image
from torch import Tensor, nn

from paperzoo.data import Batch, Dataset
from paperzoo.data.captions import grammar
from paperzoo.data.captions.plain import plain_scenes
from paperzoo.errors import PaperzooError
from paperzoo.metrics.caption_bleu import caption_bleu
from paperzoo.tasks.captioning import END, PAD, START, UNKNOWN, Caption, Captioner, Told, log_likelihood, measure
from paperzoo.tasks.captioning.maps import lit, maps, mass

kinds = pytest.mark.parametrize("kind", KINDS)


def log_p(model: Captioner, image: Tensor, tokens: list[int]) -> float:
    """log p of a caption, its end counted, read at once."""
    with torch.no_grad():
        told = model.say(model.see(image), torch.tensor([[[START, *tokens]]]))
    return float(log_likelihood(told.logits, torch.tensor([[[*tokens, END]]])))


# The search ------------------------------------------------------------------------------------------------------------


@kinds
@pytest.mark.parametrize("beam", [1, 4])
def test_kept_states_find_what_reading_again_finds(kind: str, beam: int) -> None:
    model, image = captioner(kind, 2), pictures(6)
    with torch.no_grad():
        kept, again = (model.search(image, beam, 0.5, cached) for cached in (True, False))
    assert kept[0] == again[0] and kept[1] == pytest.approx(again[1], abs=1e-4)
    assert len({tuple(row) for row in kept[0]}) > 1 and max(map(len, kept[0])) > 1


@kinds
def test_beam_of_one_is_greedy(kind: str) -> None:
    model, image = captioner(kind), pictures(6)
    with torch.no_grad():
        found, scores = model.search(image, 1)
        for i, row in enumerate(found):
            words: list[int] = []
            while len(words) < model.longest - 2:
                logits = model.say(model.see(image[i : i + 1]), torch.tensor([[[START, *words]]])).logits[0, 0, -1]
                logits[[PAD, START, UNKNOWN]] = -torch.inf
                if (word := int(logits.argmax())) == END:
                    break
                words.append(word)
            assert row == words
            assert scores[i] == pytest.approx(log_p(model, image[i : i + 1], words), abs=1e-3)


@kinds
def test_wider_beam_is_never_less_likely_than_greedy_and_the_widest_is_exact(kind: str) -> None:
    image, gains = pictures(4), 0.0
    for seed in range(4):
        model = captioner(kind, seed, longest=5)
        with torch.no_grad():
            greedy, narrow, all_of_them = (model.search(image, beam) for beam in (1, 2, 400))
        assert all(b >= a - 1e-5 for a, b in zip(greedy[1], narrow[1], strict=True))
        assert all(b >= a - 1e-5 for a, b in zip(narrow[1], all_of_them[1], strict=True))
        gains += sum(all_of_them[1]) - sum(greedy[1])
        words = range(END + 2, len(WORDS))
        every = [list(w) for length in range(4) for w in product(words, repeat=length)]
        best = max(every, key=lambda row: log_p(model, image[:1], row)) if seed == 0 else all_of_them[0][0]
        assert all_of_them[0][0] == best
    assert gains > 0.1


def test_greedy_caption_that_leaves_the_beam_is_not_lost() -> None:
    """After ``a`` two words are certain; two others look better at first, and go on in many ways, none of them likely."""

    class Trap(Captioner):
        def __init__(self) -> None:
            super().__init__(WORDS, 3, 16, 6, 2, 0.0)
            self.weight = nn.Parameter(torch.zeros(()))

        def see(self, image: Tensor) -> tuple[Tensor, ...]:
            return (image.flatten(1)[:, :1],)

        def say(self, seen: Any, words: Tensor, state: Any = None) -> Told:
            after = {"<start>": {"a": 0.4, "b": 0.35, "c": 0.25}, "a": {"d": 0.34, "e": 0.33, "f": 0.33}, "d": {"<end>": 1.0}}
            after |= {w: {"<end>": 0.3, "g": 0.4, "f": 0.3} for w in "efg"} | {"b": {"g": 0.6, "f": 0.4}, "c": {"g": 0.9, "f": 0.1}}
            table = torch.full((len(WORDS), len(WORDS)), 1e-9)
            for word, follows in after.items():
                for other, p in follows.items():
                    table[WORDS.index(word), WORDS.index(other)] = p
            logits = table.log()[words]
            return Told(logits, (logits.new_zeros(*words.shape[:2], 1),))

    model = Trap()
    alone = model._search(model.see(pictures(1)), 2, 0.0, True)
    greedy, wider = model.search(pictures(1), 1), model.search(pictures(1), 2)
    assert [WORDS[i] for i in greedy[0][0]] == ["a", "d"]
    assert alone[1][0] < greedy[1][0] and wider == greedy


def test_length_penalty_favours_longer_captions() -> None:
    models = [captioner("soft", seed) for seed in range(5)]
    with torch.no_grad():
        lengths = [[sum(map(len, model.search(pictures(6), 5, alpha)[0])) for model in models] for alpha in (0.0, 2.0)]
    assert sum(lengths[1]) > sum(lengths[0]) and all(b >= a for a, b in zip(*lengths, strict=True))


@kinds
def test_captions_end_in_time_and_hold_words_alone(kind: str) -> None:
    model = captioner(kind, 3)
    with torch.no_grad():
        rows, _ = model.search(pictures(20), 3)
    assert max(map(len, rows)) <= model.longest - 2
    assert not {PAD, START, END, UNKNOWN} & {word for row in rows for word in row}


@kinds
def test_caption_of_a_picture_does_not_depend_on_others(kind: str) -> None:
    model, image = captioner(kind), pictures(60)
    together, alone = model.captions(image), [model.captions(one[None])[0] for one in image[[0, 49, 50, 59]]]
    assert [together[i].words for i in (0, 49, 50, 59)] == [one.words for one in alone]
    assert together[50].score == pytest.approx(alone[2].score, abs=1e-4)


def test_attention_is_that_of_the_words_it_stands_beside() -> None:
    model, image = captioner("soft", 1), pictures(8)
    for i, caption in enumerate(model.captions(image)):
        assert caption.attention.shape == (len(caption.words), 2, 2)
        tokens = [START, *(WORDS.index(word) for word in caption.words)]
        for t in range(len(caption.words)):  # the word at t is written behind those before it
            with torch.no_grad():
                told = model.say(model.see(image[i : i + 1]), torch.tensor([[tokens[: t + 1]]]))
            assert told.attention is not None
            assert torch.allclose(caption.attention[t].flatten(), told.attention[0, 0, -1], atol=1e-5)


def test_training_mode_comes_back() -> None:
    model = captioner("soft").train()
    model.captions(pictures(1))
    assert model.training


# What is read, and maps ------------------------------------------------------------------------------------------------


def test_captions_are_parted_in_what_is_read_and_what_follows() -> None:
    captions = torch.tensor([[[1, 4, 2, 0, 0], [1, 5, 6, 2, 0]]])
    words, target = captioner("soft").read(captions)
    assert words.tolist() == [[[1, 4, 2], [1, 5, 6]]] and target.tolist() == [[[4, 2, 0], [5, 6, 2]]]


def test_few_captions_are_drawn_anew_and_none_that_is_missing() -> None:
    model, captions = captioner("soft"), torch.zeros(600, 5, 4, dtype=torch.int64)
    captions[:, 1:4] = torch.tensor([[1, 4, 5, 2], [1, 6, 5, 2], [1, 7, 5, 2]])  # the first and the last are missing
    words, _ = model.read(captions, 2)
    assert words.shape == (600, 2, 3) and (words[:, :, 0] == START).all() and (words[:, 0] != words[:, 1]).any(1).all()
    assert all(360 < int((words[:, :, 1] == word).sum()) < 440 for word in (4, 6, 7))
    assert not torch.equal(model.read(captions, 2)[0], words)
    assert model.read(captions, 0)[0].shape == model.read(captions, 7)[0].shape == (600, 5, 3)
    assert (model.read(captions, 4)[0][:, :3, 0] == START).all()


@kinds
def test_a_caption_longer_than_the_model_writes_is_refused(kind: str) -> None:
    model = captioner(kind, longest=4)
    batch = Batch(image=pictures(1), captions=torch.tensor([[[1, 4, 5, 6, 2]]]))
    with pytest.raises(PaperzooError, match="a caption of 5 words, <start> and <end> counted, is longer than the model's 4"):
        model.step(batch, None)  # type: ignore[arg-type]


def test_log_likelihood_is_the_sum_over_words() -> None:
    logits, target = torch.randn(2, 1, 3, 5), torch.tensor([[[4, 2, 0]], [[1, 3, 2]]])
    logs = logits.log_softmax(3)
    wanted = [[logs[0, 0, 0, 4] + logs[0, 0, 1, 2]], [logs[1, 0, 0, 1] + logs[1, 0, 1, 3] + logs[1, 0, 2, 2]]]
    assert torch.allclose(log_likelihood(logits, target), torch.tensor(wanted))


def test_mass_in_a_box() -> None:
    attention = torch.tensor([[0.5, 0.1], [0.3, 0.1]])  # two rows of two places on 8 x 8 pixels
    assert mass(attention, (0, 0, 4, 4), (8, 8)) == pytest.approx((0.5, 0.25))
    assert mass(attention, (0, 4, 4, 8), (8, 8)) == pytest.approx((0.3, 0.25))  # x first, then y
    assert mass(attention, (0, 0, 8, 8), (8, 8)) == pytest.approx((1, 1))
    assert mass(attention, (2, 2, 4, 8), (8, 8)) == pytest.approx((0.25 * 0.5 + 0.5 * 0.3, 12 / 64))
    assert mass(torch.full((5, 3), 1 / 15), (3, 1, 7, 6), (8, 8)) == pytest.approx((20 / 64, 20 / 64))  # even attention is at chance


def test_maps_light_what_was_looked_at() -> None:
    attention = torch.zeros(2, 4, 4)
    attention[0, 0, 3], attention[1, 3, 0] = 1, 1
    bright = lit(torch.ones(3, 32, 32), attention)
    assert bright.shape == (2, 3, 32, 32) and bright.max() <= 1 + 1e-6
    assert bright[0, 0, 3, 28] > 0.8 and bright[0, 0, 28, 3] == 0.25 and bright[1, 0, 28, 3] > 0.8
    figure = maps(torch.rand(3, 32, 32), ("up", "$down$"), attention)
    assert [axes.get_title() for axes in figure.axes[:3]] == ["", "up", r"\$down\$"]


# A user's photographs ----------------------------------------------------------------------------------------------------


def photograph(folder: Path, name: str = "photo.png", seed: int = 0) -> Path:
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 30, 3), np.uint8)).save(folder / name)
    return folder / name


def test_photograph_is_captioned_and_attention_drawn(tmp_path: Path) -> None:
    model, path = captioner("soft", 1), photograph(tmp_path)
    caption = model.predict(path)
    assert isinstance(caption, Caption) and caption.text == " ".join(caption.words) == str(caption) and caption.words
    assert model.predict(Image.open(path)) == caption == model.predict(np.asarray(Image.open(path)))
    assert model.predict([path, path]) == [caption, caption]
    drawn = model.predict(path, out=str(tmp_path / "new" / "maps"))
    assert drawn.path == tmp_path / "new" / "maps" / "photo-attention.png" and Image.open(drawn.path).size[0] > 100
    assert drawn.text == caption.text and str(drawn.path) in str(drawn)
    with pytest.raises(PaperzooError, match="is there already"):
        model.predict(path, out=str(tmp_path / "new" / "maps"))
    greedy, wide = model.predict(path, beam=1), model.predict(path, beam=9)
    assert wide.score >= greedy.score


def test_folder_of_photographs(tmp_path: Path) -> None:
    model = captioner("soft", 1)
    (tmp_path / "in").mkdir()
    paths = [photograph(tmp_path / "in", name, seed) for seed, name in enumerate(("b.png", "a.jpg"))]
    (tmp_path / "in" / "c.png").write_bytes(b"no picture")
    found = model.predict(tmp_path / "in", out=str(tmp_path / "out"))
    assert {name: caption.text for name, caption in found.captions.items()} == {p.name: model.predict(p).text for p in paths}
    assert "a.jpg: " in str(found) and "c.png (1)" in str(found)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a-attention.png", "b-attention.png"]


def test_what_cannot_be_captioned(tmp_path: Path) -> None:
    model, path = captioner("soft"), photograph(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_bytes(b"no picture")
    with pytest.raises(PaperzooError, match=r"there are no pictures in .*empty"):
        model.predict(tmp_path / "empty")
    with pytest.raises(PaperzooError, match=r"text\.png cannot be read as an image"):
        model.predict(tmp_path / "text.png")
    with pytest.raises(PaperzooError, match="this model has no vocabulary, so it can write no caption"):
        captioner("soft", vocabulary=(), embedding=4).predict(path)
    with pytest.raises(PaperzooError, match="has no attention that could be drawn"):
        captioner("told").predict(path, out=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


# Figures and pictures ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain() -> Dataset:
    return plain_scenes(counts=(60, 20, 20, 20))


class Parrot(Captioner):
    """Says of each picture that it has seen the caption with this number, and looks at the thing that each word names, or everywhere."""

    def __init__(self, data: Dataset, number: int = 0, looks: bool = True) -> None:
        super().__init__(data.schema.arguments["vocabulary"], 3, 32, data.schema.arguments["longest"], 1, 0.0)
        self.grid, self.looks, self.known = (8, 8), looks, dict[bytes, tuple[str, grammar.Scene]]()
        for split in data.splits.values():
            batch = split.batch(range(len(split)))
            for image, texts, scene in zip(batch.image, batch.texts, batch.scene, strict=True):
                self.known[image.numpy().tobytes()] = (texts[number], scene)

    def captions(self, image: Tensor, beam: Any = None, alpha: Any = None, attention: bool = True) -> list[Caption]:
        return [self.caption(*self.known[one.numpy().tobytes()]) for one in image]

    def caption(self, text: str, scene: grammar.Scene) -> Caption:
        seen = torch.full((len(text.split()), 8, 8), 1 / 64)
        for place, noun in grammar.nouns(text) if self.looks else ():
            x0, y0, x1, y1 = next(thing.box for thing in scene.things if thing.noun == noun)
            seen[place] = torch.zeros(8, 8)
            seen[place, (y0 + y1) // 8, (x0 + x1) // 8] = 1
        return Caption(text, 0.0, tuple(text.split()), seen)


def test_who_says_what_is_true_is_measured_so(plain: Dataset) -> None:
    found = Parrot(plain).measure(plain, "test")
    assert found["BLEU-1"] == found["BLEU-4"] == found["ROUGE-L"] == pytest.approx(100)
    assert found["true %"] == found["compositional true %"] == 100 and found["compositional BLEU-4"] == pytest.approx(100)
    assert found["BLEU-4 with shuffled pictures"] < 70 and found["BLEU-4 of retrieval"] < 70 and found["true % of retrieval"] < 30
    above = 100 - max(found["BLEU-4 with shuffled pictures"], found["BLEU-4 of retrieval"])
    assert found["BLEU-4 above baselines"] == pytest.approx(above)
    assert found["attention on the thing"] > 0.9 and 0.1 < found["area of the thing"] < 0.25
    assert "compositional true %" not in Parrot(plain).measure(plain, "validation")


def test_even_attention_is_at_chance(plain: Dataset) -> None:
    found = Parrot(plain, looks=False).measure(plain, "validation")
    assert found["attention on the thing"] == pytest.approx(found["area of the thing"])


def test_baselines_by_hand(plain: Dataset) -> None:
    """Of the training split retrieval finds the picture itself; a fresh caption is the first against the others."""
    model = Parrot(plain, number=2)
    found, batch = model.measure(plain, "train"), plain["train"].batch(range(60))
    assert found["BLEU-4 of retrieval"] == pytest.approx(100) and found["true % of retrieval"] == 100
    first, others = [texts[0] for texts in batch.texts], [texts[1:] for texts in batch.texts]
    assert found["BLEU-4 of a fresh caption"] == pytest.approx(caption_bleu(first, others)[3])
    moved = [batch.texts[(i + 30) % 60] for i in range(60)]
    assert found["BLEU-4 with shuffled pictures"] == pytest.approx(caption_bleu([texts[2] for texts in batch.texts], moved)[3])
    small = [F.avg_pool2d(image, 4).flatten() for image in batch.image]
    wanted = plain["test"].batch(range(20))
    for i, text in enumerate(measure.retrieved(plain["train"], plain["test"])):
        apart = [float((F.avg_pool2d(wanted.image[i], 4).flatten() - one).norm()) for one in small]
        assert text == batch.texts[int(np.argmin(apart))][0]


def test_pictures_say_what_is_true(plain: Dataset, tmp_path: Path) -> None:
    model = Parrot(plain)
    model.known = {k: (text.replace("a ", "two ", 1) if i % 2 else text, scene) for i, (k, (text, scene)) in enumerate(model.known.items())}
    said: list[str] = []
    set_title = Axes.set_title
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Axes, "set_title", lambda self, label, **kinds: (said.append(label), set_title(self, label, **kinds))[1])
        paths = model.show(plain, "test", tmp_path, "final")
    assert [p.name for p in paths] == ["final-captions.png", *(f"final-attention-{k}.png" for k in (1, 2, 3))]
    assert all(Image.open(p).size[0] > 200 for p in paths) and sum(p.stat().st_size for p in paths) < 300_000
    marks = [text.rpartition("\n")[2] for text in said if "\n(" in text]
    assert len(marks) == 12 and {"(true)", "(not true)"} == set(marks)
