"""Text on photographs: corners are around what is written, it can be read, and no family of fonts is in two splits."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from fixtures.files import make_deb
from PIL import Image, ImageFont

import paperzoo
from paperzoo.data.boxes import fonts, lettering
from paperzoo.data.boxes.lettering import (
    CONTRAST,
    FINE,
    Lie,
    Page,
    carried,
    composed,
    contrasting,
    corners_of,
    homography,
    words,
    written,
)
from paperzoo.data.boxes.scene_text import HEIGHTS, READABLE, SMALL, shorter, turn_of
from paperzoo.data.boxes.table import DATASETS
from paperzoo.data.boxes.text_plain import plain_text
from paperzoo.errors import PaperzooError


def font(size: int) -> ImageFont.FreeTypeFont:
    found = ImageFont.load_default(size)
    assert isinstance(found, ImageFont.FreeTypeFont)
    return found


def along(points: np.ndarray, quad: np.ndarray) -> np.ndarray:
    """Points (P, 2) in the coordinates of a quadrilateral, whose corners are those of the unit square."""
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
    return carried(points, homography(quad, unit))


# Fonts ---------------------------------------------------------------------------------------------------------------


def test_a_family_is_in_one_split_and_a_quarter_of_the_latin_ones_are_tested_on() -> None:
    split = fonts.SPLIT
    assert len(split) == len(fonts.LATIN) + len(fonts.OTHERS) and set(split.values()) == {"train", "validation", "test"}
    latin = [source.package for source in fonts.LATIN]
    tested = [name for name in latin if split[name] == "test"]
    assert abs(len(tested) / len(latin) - 1 / 4) < 0.02
    lowest = sorted((name for name in latin if name != "fonts-dejavu-core"), key=lambda name: hashlib.sha256(name[6:].encode()).digest())
    assert set(lowest[: len(tested)]) == set(tested)
    files = [name for own in fonts.FILES.values() for name in own]
    assert len(files) == len(set(files)) and 100 <= sum(len(fonts.FILES[name]) for name in latin) <= 140
    for source in (*fonts.LATIN, *fonts.OTHERS, fonts.ISO_CODES):
        assert len(source.sha256) == 64 and source.size > 0
    assert DATASETS["lines"].sources[:3] == DATASETS["scene-text"].sources[:3]


def debs(tmp_path: Path) -> tuple[Path, Path]:
    """A package of fonts and one of names, as Debian packs them."""
    file = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSerif.ttf"
    package = make_deb(tmp_path / "fonts-cherrybomb_1_all.deb", {"usr/share/fonts/otf/CherryBomb-Regular.otf": file.read_bytes()})
    codes = {f"usr/share/iso-codes/json/{code}.json": json.dumps({"x": [{"name": name} for name in own]}).encode()
             for code, own in NAMES.items()}  # fmt: skip
    codes["usr/share/locale/el/LC_MESSAGES/iso_3166-1.mo"] = catalogue({f"Place {i}": f"Τόπος {chr(945 + i % 20)}{i}" for i in range(120)})
    return package, make_deb(tmp_path / "iso-codes_1_all.deb", codes)


NAMES = {
    "iso_3166-1": ["Land of Hope (the)", "Abc; Xyz"],
    "iso_3166-2": [f"Place{chr(97 + i % 26)}{chr(97 + i // 26)} North" for i in range(200)],
    "iso_639-2": ["Ă"], "iso_639-3": [], "iso_4217": ["Dollar"],
}  # fmt: skip


def catalogue(texts: dict[str, str]) -> bytes:
    """A file .mo of gettext."""
    keys = sorted(texts)
    ids, values = b"", b""
    places = []
    for key in keys:
        places.append((len(key.encode()), len(ids), len(texts[key].encode()), len(values)))
        ids += key.encode() + b"\0"
        values += texts[key].encode() + b"\0"
    start = 28 + 16 * len(keys)
    head = struct.pack("<7I", 0x950412DE, 0, len(keys), 28, 28 + 8 * len(keys), 0, 0)
    first = b"".join(struct.pack("<2I", length, start + at) for length, at, _, _ in places)
    second = b"".join(struct.pack("<2I", length, start + len(ids) + at) for _, _, length, at in places)
    return head + first + second + ids + values


def test_fonts_and_names_come_out_of_packages(tmp_path: Path) -> None:
    package, codes = debs(tmp_path)
    found = lettering.faces([package])
    assert {split: [face.name for face in own] for split, own in found.items()} == {
        "train": [], "validation": [], "test": ["CherryBomb-Regular.otf"]
    }  # fmt: skip
    (face,) = found["test"]
    assert face.has("Abc def") and not face.has("葡萄")
    own = words(codes)
    assert {"Land", "of", "Hope", "Abc", "North", "Dollar"} <= set(own) and "the" not in own and "Ă" not in own and own == sorted(own)
    assert all(text.startswith("Τόπος") for text in lettering.names(codes, ("el",)) if text) and len(lettering.names(codes, ("el",))) >= 100
    with pytest.raises(PaperzooError, match="has no names in ka"):
        lettering.names(codes, ("ka",))
    with pytest.raises(PaperzooError, match=r"has no font Bandal\.ttf that can be read"):
        lettering.faces([make_deb(tmp_path / "fonts-alee_1_all.deb", {"usr/share/fonts/x/Other.ttf": b"x"})])


# Writing -------------------------------------------------------------------------------------------------------------


def test_boxes_are_around_the_ink_of_each_word() -> None:
    line = written(["Ag", "xi", "Wq"], font(48))
    assert line is not None and len(line.boxes) == 3
    for x0, y0, x1, y1 in line.boxes.astype(int):
        part = line.ink[:, x0:x1] >= 96
        rows = np.flatnonzero(part.any(1))
        assert (rows[0], rows[-1] + 1) == (y0, y1) and part.any(0)[[0, -1]].all()
    gaps = line.boxes[1:, 0] - line.boxes[:-1, 2]
    assert (gaps > 4).all() and not (line.ink[:, int(line.boxes[0, 2]) + 2 : int(line.boxes[1, 0]) - 2] >= 96).any()
    assert written(["a", " "], font(48)) is None


def test_a_homography_takes_corners_to_corners_and_straight_lines_to_straight_lines() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        source, target = (np.array([[0, 0], [9, 0], [9, 4], [0, 4]]) + rng.uniform(-1, 1, (4, 2)) for _ in range(2))
        matrix = homography(source, target)
        assert np.allclose(carried(source, matrix), target)
        a, b, c = carried(np.array([[1.0, 1], [3, 2], [5, 3]]), matrix)
        assert abs((b - a)[0] * (c - a)[1] - (b - a)[1] * (c - a)[0]) < 1e-9


def test_a_turn_is_clockwise_and_the_far_end_is_smaller() -> None:
    level, quarter = corners_of(40, 10, Lie(10, 0)), corners_of(40, 10, Lie(10, 90))
    assert np.allclose(level, [[-20, -5], [20, -5], [20, 5], [-20, 5]])
    assert np.allclose(quarter, [[5, -20], [5, 20], [-5, 20], [-5, -20]])  # reading goes down, the top is to the right
    away = corners_of(40, 10, Lie(10, 0, 0.5))
    assert np.linalg.norm(away[3] - away[0]) < np.linalg.norm(away[2] - away[1])


@pytest.mark.parametrize("seed", range(6))
def test_corners_are_around_what_is_written_wherever_it_lies(seed: int) -> None:
    """On black, all ink lies in the quadrilaterals, and reaches to all four sides of each."""
    rng = np.random.default_rng(seed)
    page = Page(np.zeros((200, 200, 3), np.float32))
    line = written(["Hagw", "xyb"], font(40))
    assert line is not None
    assert page.lay(line, Lie(20, float(rng.uniform(-90, 90)), float(rng.normal(0, 0.15)), 0.1), rng, plate=0)
    rows, columns = np.nonzero(page.picture.sum(2) > 120)
    points = np.stack([columns + 0.5, rows + 0.5], 1)
    assert len(page.words) == 2 and len(page.lines) == 1
    places = [along(points, quad) for quad in page.words]
    pixel = [1.6 / np.linalg.norm(np.roll(quad, -1, 0) - quad, axis=1)[[0, 1]] for quad in page.words]  # of each side, with its blur
    inside = np.stack([((at > -by) & (at < 1 + by)).all(1) for at, by in zip(places, pixel, strict=True)])
    assert inside.any(0).all()
    for at, by, own in zip(places, pixel, inside, strict=True):
        assert (at[own].min(0) < by).all() and (at[own].max(0) > 1 - by).all()
    whole = along(np.concatenate(page.words), page.lines[0])
    assert whole.min() > -1e-6 and whole.max() < 1 + 1e-6 and np.allclose([whole.min(), whole.max()], [0, 1], atol=1e-6)
    assert along(page.words[0].mean(0)[None], page.lines[0])[0, 0] < along(page.words[1].mean(0)[None], page.lines[0])[0, 0]
    for quad in (*page.words, *page.lines):  # clockwise
        x, y = quad.T
        assert (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() > 0


def test_lines_do_not_lie_on_each_other() -> None:
    from shapely import Polygon

    rng = np.random.default_rng(0)
    for _ in range(10):
        page = Page(np.zeros((160, 160, 3), np.float32))
        line = written(["Words"], font(32))
        assert line is not None
        laid = sum(page.lay(line, Lie(16, turn_of(rng)), rng) for _ in range(8))
        shapes = [Polygon(quad) for quad in page.lines]
        assert laid == len(shapes) >= 2
        assert all(a.intersection(b).area == 0 for i, a in enumerate(shapes) for b in shapes[:i])


def test_what_is_written_can_be_read_on_any_ground() -> None:
    rng = np.random.default_rng(0)
    weights = np.array([0.299, 0.587, 0.114])
    for _ in range(100):
        ground = rng.uniform(0, 255, 3)
        assert abs((contrasting(ground, rng) - ground) @ weights) >= CONTRAST
    restless = rng.uniform(0, 255, (128, 128, 1)).repeat(3, 2).astype(np.float32)
    line = written(["Read"], font(60))
    assert line is not None
    page = Page(restless.copy())
    assert page.lay(line, Lie(30, 0), rng, plate=0)
    x0, y0, x1, y1 = *page.words[0].min(0).astype(int), *page.words[0].max(0).astype(int)
    part = page.picture[y0:y1, x0:x1] @ weights
    low, high = np.percentile(part, [8, 92])  # a plate, so that the noise is gone, and ink that differs from it
    assert high - low > 0.6 * CONTRAST and part.std() < restless.std()


def test_most_lines_lie_nearly_level_and_some_stand() -> None:
    rng = np.random.default_rng(0)
    turns = np.abs([turn_of(rng) for _ in range(4000)])
    assert turns.max() <= 90 and 0.6 < (turns < 15).mean() < 0.8 and 0.03 < (turns > 45).mean() < 0.08


def test_words_too_small_to_be_read_need_not_be_found() -> None:
    quad = np.array([[[0, 0], [40, 0], [40, 8], [0, 8]], [[0, 0], [10, 0], [10, 30], [0, 30.0]]])
    assert shorter(quad).tolist() == [8, 10] and SMALL[1] < READABLE < HEIGHTS[0]


# Sets ----------------------------------------------------------------------------------------------------------------


def test_plain_words_are_turned_and_plain_lines_are_level() -> None:
    turned, level = paperzoo.dataset("text-plain"), paperzoo.dataset("lines-plain")
    assert set(turned.schema.fields) == set(vars(turned["train"].batch([0, 1])))
    a, b = (data["train"].batch(range(40)) for data in (turned, level))
    for batch, most in ((a, 40), (b, 0.5)):
        real = np.arange(batch.quads.shape[1]) < batch.objects.numpy()[:, None]
        side = (batch.quads[:, :, 1] - batch.quads[:, :, 0]).numpy()[real]
        angle = np.degrees(np.arctan2(side[:, 1], side[:, 0]))
        assert np.abs(angle).max() <= most and (most < 1 or np.abs(angle).max() > 25)
        assert (batch.quads.numpy()[real] >= -1).all() and (batch.quads.numpy()[real] <= 97).all()
        outline = np.concatenate([batch.quads.numpy().min(2), batch.quads.numpy().max(2)], 2)
        assert np.allclose(outline, batch.boxes.numpy())


def test_pictures_are_the_same_each_time_and_differ_between_splits() -> None:
    def compose(rng: np.random.Generator) -> Page:
        page = Page(np.full((64, 64, 3), 120, np.float32))
        line = written(["ab"], font(24))
        assert line is not None
        page.lay(line, Lie(12, 0), rng)
        return page

    one, two, other = composed(compose, "train", 4, 0), composed(compose, "train", 4, 0), composed(compose, "train", 4, 1)
    assert all(np.array_equal(one[key], two[key]) for key in one) and not np.array_equal(one["train-image"], other["train-image"])
    assert one["train-words-count"].sum() == len(one["train-words"])
    assert plain_text()["test"].batch([0]).image.ne(plain_text()["train"].batch([0]).image).any()


def test_pictures_too_small_for_letters_are_refused() -> None:
    entry = DATASETS["scene-text"]
    from paperzoo.data.boxes.scene_text import scene_text

    with pytest.raises(PaperzooError, match="image_size is at least 96"):
        scene_text(*[source.path for source in entry.sources], image_size=64)
    assert FINE == 2 and Image.new("L", (2, 2)).reduce(FINE).size == (1, 1)
