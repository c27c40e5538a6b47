"""Composed pictures: what a scene says is what its pixels show, and no split knows another's pairs or photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.files import box, package
from fixtures.scenes import PHOTOGRAPHS, arrays, emoji_packages, small_scenes
from PIL import Image

from paperzoo.data import Dataset
from paperzoo.data.captions import composed
from paperzoo.data.captions.composed import SIDES, WITHHELD, free_photographs, plan
from paperzoo.data.captions.drawing import OUTLINES, PAINT, Artist, Grounds
from paperzoo.data.captions.grammar import COLOURS, CONVERSE, OBJECTS, SHAPES, Scene, Thing, parse, relation_of, true
from paperzoo.errors import PaperzooError


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    with pytest.MonkeyPatch.context() as patch:
        return small_scenes(tmp_path_factory.mktemp("scenes"), patch)


@pytest.fixture
def artist(tmp_path: Path) -> Artist:
    return Artist(emoji_packages(tmp_path), 64)


def scenes_of(built: Dataset, split: str) -> list[Scene]:
    return list(built[split].batch(range(len(built[split]))).scene)


def places(scene: Scene) -> set[tuple[str, str]]:
    first, second = scene.things[:2]
    return {(first.noun, scene.relation), (second.noun, CONVERSE[scene.relation])}


def test_a_batch_has_pictures_captions_and_the_truth(built: Dataset) -> None:
    assert {name: len(split) for name, split in built.splits.items()} == {"train": 60, "validation": 10, "test": 20, "compositional": 20}
    assert built.schema.fields == ("image", "captions", "texts", "scene") and built.pictures
    vocabulary, batch = built.schema.arguments["vocabulary"], built["train"].batch([3, 1, 7])
    assert batch.image.shape == (3, 3, 64, 64) and batch.captions.shape[:2] == (3, 5) and batch.captions.dtype == torch.int64
    assert vocabulary[:4] == ("<pad>", "<start>", "<end>", "<unknown>")
    for rows, texts, scene in zip(batch.captions.tolist(), batch.texts, batch.scene, strict=True):
        assert all(true(text, scene) for text in texts)
        for row, text in zip(rows, texts, strict=True):
            assert " ".join(vocabulary[n] for n in row if n) == f"<start> {text} <end>"
    longest = max(len(text.split()) + 2 for s in built.splits for texts in built[s].columns[1].texts for text in texts)  # type: ignore[attr-defined]
    assert built.schema.arguments["longest"] == longest


def test_what_is_withheld_is_in_every_compositional_picture_and_in_no_other(built: Dataset) -> None:
    for split in built.splits:
        for scene in scenes_of(built, split):
            assert bool(places(scene) & WITHHELD) == (split == "compositional")
    assert {relation for _, relation in WITHHELD} == set(CONVERSE) and {noun for noun, _ in WITHHELD} <= {*SHAPES, *OBJECTS}
    assert len({noun for noun, _ in WITHHELD}) == len(WITHHELD)  # of no noun more than one place


def test_a_plan_keeps_things_apart_and_inside(artist: Artist) -> None:
    rng, small, relations = np.random.default_rng(0), set(), set()
    for number in range(300):
        things = [drawn.thing for drawn in plan(artist, rng, number % 4 == 0)]
        scene = composed.as_scenes(np.array([[composed._as_row(t) for t in things]]))[0]
        assert scene.things == tuple(things) and 2 <= len(things) <= 4
        assert len({(t.noun, t.colour) for t in things}) == len(things)
        assert [t.size for t in things] == ["large", "large", "small", "small"][: len(things)]
        for thing in things:
            x0, y0, x1, y1 = thing.box
            assert 0 <= x0 < x1 <= 64 and 0 <= y0 < y1 <= 64
            low, high = SIDES[thing.size]
            assert 64 * low - 1 <= max(x1 - x0, y1 - y0) <= 64 * high + 1
            assert (thing.colour in COLOURS) == (thing.noun in SHAPES)
        for i, a in enumerate(things):
            for b in things[:i]:
                assert a.box[2] <= b.box[0] or b.box[2] <= a.box[0] or a.box[3] <= b.box[1] or b.box[3] <= a.box[1]
        x, y = (abs(things[0].box[k] + things[0].box[k + 2] - things[1].box[k] - things[1].box[k + 2]) for k in (0, 1))
        assert min(x, y) <= 0.5 * max(x, y) + 3  # a clear relation
        small.add(len(things))
        relations.add(scene.relation)
    assert small == {2, 3, 4} and relations == set(CONVERSE)


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("noun", SHAPES)
def test_a_shape_fills_its_box_in_its_colour_and_nothing_else(noun: str, size: int, tmp_path: Path) -> None:
    artist = Artist(emoji_packages(tmp_path), size)
    wide, tall = 26 * size // 64, 24 * size // 64
    place = (size // 4, size // 8, size // 4 + wide, size // 8 + tall)
    for colour in COLOURS:
        picture = Image.new("RGB", (size, size), (200, 200, 200))
        artist.put(picture, Thing(noun, colour, "large", place))
        pixels = np.asarray(picture).astype(int)
        changed = (pixels != 200).any(2)
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        assert (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) == place
        paint = (np.abs(pixels - PAINT[colour]).max(2) < 12) & changed
        assert paint.sum() > 0.35 * changed.sum() and changed.sum() > 0.3 * wide * tall


def test_shapes_have_outlines_of_their_own() -> None:
    assert set(OUTLINES) == set(SHAPES)
    for outline in OUTLINES.values():
        assert np.allclose(np.array(outline).min(0), 0) and np.allclose(np.array(outline).max(0), 1)
    heart, triangle = np.array(OUTLINES["heart"]), np.array(OUTLINES["triangle"])
    assert heart[heart[:, 1].argmax(), 0] == pytest.approx(0.5) and triangle[triangle[:, 1].argmin(), 0] == 0.5  # points down, and up


def test_an_emoji_fills_its_box(artist: Artist) -> None:
    for noun, number in (("banana", 0), ("snail", 11)):
        x0, y0, x1, y1 = artist.box(noun, 1, 0.4, 0.5, 0.5)
        wide, tall = 15 + 5 * number, 40
        assert (x1 - x0) / (y1 - y0) == pytest.approx(wide / tall, rel=0.1) and max(x1 - x0, y1 - y0) == round(0.4 * 64)
        assert abs(x0 + x1 - 64) <= 1 and abs(y0 + y1 - 64) <= 1
        picture = Image.new("RGB", (64, 64), (0, 0, 255))
        artist.put(picture, Thing(noun, "", "large", (x0, y0, x1, y1)), vendor=1)
        found = np.asarray(picture)[..., 0] > 128
        assert found[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1].all() and found.sum() <= (x1 - x0) * (y1 - y0)


def test_pictures_show_their_scene_on_photographs_of_their_own_split(built: Dataset) -> None:
    of_split = {"train": 80, "validation": 120, "test": 160, "compositional": 160}
    for split, grey in of_split.items():
        batch = built[split].batch(range(len(built[split])))
        for image, scene in zip((255 * batch.image).round().numpy(), batch.scene, strict=True):
            ground = np.ones((64, 64), bool)
            for x0, y0, x1, y1 in (thing.box for thing in scene.things):
                ground[y0:y1, x0:x1] = False
            assert (image[:, ground] == 110 + grey / 2).all()  # flat as the photograph, paler
            for thing in scene.things:
                x0, y0, x1, y1 = thing.box
                middle = image[:, (y0 + y1) // 2, (x0 + x1) // 2]
                paint = PAINT[thing.colour] if thing.colour else (255, 165, 0)
                assert np.abs(middle - paint).max() <= 12, (thing, middle)


def test_photographs_that_need_a_credit_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composed, "packed", lambda gcompris, lomiri: arrays())
    found = free_photographs(Path("a.deb"), Path("b.deb"))
    assert {split: [int(p[0, 0, 0]) for p in own] for split, own in found.items()} == {"train": [80], "validation": [120], "test": [160]}
    owned = {**arrays(), "licence": np.array(["CC-BY-4.0" if split == 1 else terms for split, terms, _ in PHOTOGRAPHS])}
    monkeypatch.setattr(composed, "packed", lambda gcompris, lomiri: owned)
    with pytest.raises(PaperzooError, match=r"a.deb and b.deb have no photographs under CC0 .* for validation"):
        free_photographs(Path("a.deb"), Path("b.deb"))


def test_grounds_are_parts_of_photographs_without_much_contrast() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (180, 300, 3), np.uint8)
    noise[:, :150] //= 4
    ground, rng = Grounds([noise], 64), np.random.default_rng(1)
    pictures = np.stack([np.asarray(ground(rng)) for _ in range(20)]).astype(float)
    assert pictures.shape == (20, 64, 64, 3) and pictures.min() >= 110 and pictures.max() <= 238
    assert len({p.mean() for p in pictures}) == 20 and pictures.mean((1, 2, 3)).std() > 3  # from different places
    assert np.array_equal(Grounds([noise], 64)(np.random.default_rng(1)), pictures[0])


def test_the_same_scenes_at_every_size_and_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built: Dataset) -> None:
    again = small_scenes(tmp_path, monkeypatch)
    for split in built.splits:
        every = range(len(built[split]))
        assert torch.equal(built[split].batch(every).image, again[split].batch(every).image)
        assert built[split].batch(every).texts == again[split].batch(every).texts
    assert not torch.equal(built["test"].batch(range(10)).image, built["validation"].batch(range(10)).image)
    large = small_scenes(tmp_path, monkeypatch, image_size=128)
    assert large.schema.arguments["image_size"] == 128 and large["train"][0].image.shape == (3, 128, 128)
    for small, big in zip(scenes_of(built, "train"), scenes_of(large, "train"), strict=True):
        for a, b in zip(small.things[:2], big.things[:2], strict=True):
            assert (a.noun, a.colour) == (b.noun, b.colour) and np.abs(2 * np.array(a.box) - b.box).max() <= 2


def test_what_cannot_be_drawn_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PaperzooError, match="image_size is at least 32"):
        small_scenes(tmp_path, monkeypatch, image_size=16)
    nothing = "the banana of .*noto.tgz cannot be drawn: the drawing shows nothing"
    for drawn, fault in (("<g/>", nothing), (box(0, 0, 9, 9), "noto.tgz lacks an emoji")):
        with pytest.raises(PaperzooError, match=fault):
            Artist([package(tmp_path, "noto", {"1f34c": ("banana", "Food", drawn)})], 64)


def test_captions_and_boxes_agree_on_who_is_where(built: Dataset) -> None:
    """By the pixels' own places, not by the scene's word for the relation."""
    for scene, texts in zip(scenes_of(built, "test"), built["test"].columns[1].texts, strict=True):  # type: ignore[attr-defined]
        for text in texts:
            said = parse(text)
            assert said is not None
            a, b = (next(t for t in scene.things if phrase.fits(t)).box for phrase in (said.subject, said.object))
            assert said.relation == relation_of(a, b)
            if said.relation in ("above", "below"):
                assert (a[3] <= b[1]) == (said.relation == "above")
            else:
                assert (a[2] <= b[0]) == (said.relation == "left")
