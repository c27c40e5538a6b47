"""Sets of two domains, from small packages of the same form made here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.avatars import wheel
from fixtures.files import box, package, type_in
from PIL import Image

from paperzoo.data import Dataset, datasets
from paperzoo.data.datasets import DATASETS, dataset
from paperzoo.data.fetch.sources import Source
from paperzoo.data.images import avatars as av
from paperzoo.data.images.edges import edges
from paperzoo.data.images.emoji import CATEGORIES, emoji
from paperzoo.data.images.table import EMOJI
from paperzoo.data.images.translation import (
    COLOURS,
    SHAPE_ATTRIBUTES,
    avatars_unpaired,
    edges_emoji,
    edges_shapes,
    emoji_pairs,
    emoji_unpaired,
    shapes,
    shapes_unpaired,
)
from paperzoo.data.points.synthetic import MODES_A, MODES_B

TONES = ("", "-1f3fb", "-1f3fd-200d-2642")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    datasets._build.cache_clear()
    yield tmp_path / "cache"
    datasets._build.cache_clear()


def subjects(vendor: int, count: int = 120, skip: int = 0) -> dict[str, tuple[str, str, str]]:
    """Subject i as a box of its own colour, in three variants: at the left by vendor 0, at the right by vendor 1."""
    found = {}
    for i in range(skip, count):
        for tone, name in enumerate(TONES):
            colour = f"rgb({i},{40 * tone},{100 + 50 * vendor})"
            found[f"{0x1F500 + i:x}{name}"] = (f"s{i}{name}", CATEGORIES[i % 9], box(8 * vendor, 0, 8, 16, colour))
    return found


def packages(folder: Path) -> tuple[Path, Path]:
    """Of 120 subjects the second vendor lacks the first ten."""
    return package(folder, "noto", subjects(0)), package(folder, "twemoji", subjects(1, skip=10))


def shown(images: torch.Tensor) -> list[int]:
    """Number of the subject in each image."""
    return (images[:, 0].amin((1, 2)) * 255).round().int().tolist()


def both(built: Dataset, split: str) -> tuple[list[int], list[int]]:
    items = built[split]
    numbers = [np.arange(n) for n in items.lengths]
    if len(numbers) == 1:
        batch = items.batch(numbers[0])
        return shown(batch.image_a), shown(batch.image_b)
    a, b = items.columns[0].domains  # type: ignore[attr-defined]
    return shown(a.take(numbers[0])["image_a"]), shown(b.take(numbers[1])["image_b"])


def test_pairs_show_one_subject_by_two_hands(tmp_path: Path) -> None:
    built = emoji_pairs(*packages(tmp_path), vendors=("noto", "twemoji"))
    seen: list[int] = []
    for split in ("train", "validation", "test"):
        a, b = both(built, split)
        assert a == b and a
        seen += a
    assert sorted(seen) == list(range(10, 120))  # each subject that both drew, once
    batch = built["train"].batch(range(len(built["train"])))
    left, right = batch.image_a[:, :, 16, 8], batch.image_b[:, :, 16, 24]
    assert (left[:, 2] * 255).round().unique().tolist() == [100] and (right[:, 2] * 255).round().unique().tolist() == [150]
    assert left[:, 1].eq(0).all()  # the variant with the fewest code points
    assert built.schema.arguments == {
        "channels": 3, "image_size": 32, "domains": ("noto", "twemoji"), "paired": ("train", "validation", "test"),
    }  # fmt: skip
    assert "the 110 subjects that both drew" in built.source


def test_held_out_subjects_are_those_of_emoji(tmp_path: Path) -> None:
    paths = packages(tmp_path)
    pairs, whole = emoji_pairs(*paths, vendors=("noto", "twemoji")), emoji(*paths, vendors=("noto", "twemoji"))
    held = {code.split("-")[0] for code in whole.codes["test"]}
    assert {f"{0x1F500 + i:x}" for i in both(pairs, "test")[0]} == held - {f"{0x1F500 + i:x}" for i in range(10)}
    one = dataset_of_edges(tmp_path)
    assert {f"{0x1F500 + i:x}" for i in both(one, "test")[1]} == held


def dataset_of_edges(folder: Path) -> Dataset:
    return edges_emoji(folder / "noto.tgz", folder / "twemoji.tgz", vendors=("noto", "twemoji"))


def test_unpaired_training_never_shows_a_twin(tmp_path: Path) -> None:
    paths = packages(tmp_path)
    built = emoji_unpaired(*paths, vendors=("noto", "twemoji"))
    a, b = both(built, "train")
    assert not set(a) & set(b) and len(a) == len(set(a)) > 30 and len(b) == len(set(b)) > 30
    held = {i for split in ("validation", "test") for i in both(built, split)[0]}
    assert not held & (set(a) | set(b))
    pairs = emoji_pairs(*paths, vendors=("noto", "twemoji"))
    for split in ("validation", "test"):
        one, other = both(built, split)
        assert one == other == both(pairs, split)[0]  # the truth that training never saw
    assert set(a) | set(b) | held | set(range(10)) == set(range(120)) and built.schema.arguments["paired"] == ("validation", "test")
    turned = emoji_unpaired(*paths[::-1], vendors=("twemoji", "noto"))
    assert both(turned, "train") == (b, a)


def test_a_subject_is_in_one_split_whichever_variant_a_vendor_drew(tmp_path: Path) -> None:
    light = {code: drawn for code, drawn in subjects(1).items() if code.endswith("-1f3fb")}
    paths = package(tmp_path, "noto", subjects(0)), package(tmp_path, "twemoji", light)
    edged, unpaired = dataset_of_edges(tmp_path), emoji_unpaired(*paths, vendors=("noto", "twemoji"))
    seen = [set(both(edged, split)[1]) for split in ("train", "validation", "test")]
    assert sum(map(len, seen)) == 120 and all(seen)
    a, b = both(unpaired, "train")
    assert set(a) | set(b) == seen[0] and not set(a) & set(b)  # the base by one, the light variant by the other
    assert [set(both(unpaired, split)[1]) for split in ("validation", "test")] == seen[1:]


def test_drawings_that_several_subjects_share_are_left_out(tmp_path: Path) -> None:
    colours = ["rgb(250,0,0)"] * 9 + [f"rgb(200,{i},9)" for i in range(3)]
    flags = {f"{0x1F600 + i:x}": (f"flag{i}", "Flags", box(0, 0, 16, 16, colour)) for i, colour in enumerate(colours)}
    paths = [package(tmp_path, v, {**subjects(n), **flags}) for n, v in enumerate(("noto", "twemoji"))]
    for built in (emoji_pairs(*paths, vendors=("noto", "twemoji")), emoji_unpaired(*paths, vendors=("noto", "twemoji"))):
        found = [i for split in built.splits for side in both(built, split) for i in side]
        assert 250 not in found and 200 in found


def test_names_sizes_and_licences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vendors = {s.package: package(tmp_path, v, subjects(n % 2)) for n, (v, s) in enumerate(EMOJI.items())}
    asked: list[str] = []

    def fetch(self: Source) -> Path:
        asked.append(self.package)
        return vendors[self.package]

    monkeypatch.setattr(Source, "fetch", fetch)
    built = dataset("emoji-pairs:noto>twemoji", image_size=64)
    assert built.name == "emoji-pairs:noto>twemoji" and len(asked) == 2  # of the two vendors alone
    assert built["train"][0].image_b.shape == (3, 64, 64) and built.schema.picture is not None and built.schema.picture.side == 64
    assert "Apache-2.0" in built.licence and "CC BY 4.0" in built.licence and "MIT" not in built.licence
    small = dataset("emoji-unpaired:openmoji>fluent", image_size=16)
    assert small["train"].batch([0]).image_a.shape == (1, 3, 16, 16) and small.schema.arguments["domains"] == ("openmoji", "fluent")
    assert sum(name.startswith("emoji-pairs:") for name in DATASETS) == sum(name.startswith("emoji-unpaired:") for name in DATASETS) == 12
    edged = dataset("edges>emoji-noto")
    assert edged.schema.arguments["domains"] == ("edges", "emoji") and edged.licence.startswith("Apache")


def test_edges_of_a_square_are_its_outline() -> None:
    image = np.full((3, 20, 24), 255, np.uint8)
    image[0, 5:15, 6:18] = 0  # in one channel only
    lines = edges(image)
    assert lines.shape == image.shape and set(np.unique(lines)) == {0, 255} and (lines[0] == lines[1]).all()
    black = lines[0] == 0
    outline = np.zeros((20, 24), bool)
    outline[4:16, 5:19] = True  # the pixels round it, which are the brighter ones
    outline[5:15, 6:18] = False
    assert (black == outline).all()
    assert (edges(np.full((3, 9, 9), 7, np.uint8)) == 255).all()  # nor at the border of the picture
    ramp = np.broadcast_to(np.arange(20, dtype=np.uint8) * 5, (3, 20, 20)).copy()
    assert (edges(ramp)[:, 2:-2, 2:-2] == 255).all()  # even shading has none


def test_edges_lie_where_their_drawing_does(tmp_path: Path) -> None:
    packages(tmp_path)
    built = dataset_of_edges(tmp_path)
    batch = built["train"].batch(range(len(built["train"])))
    for line, image in zip(batch.image_a, batch.image_b, strict=True):
        assert torch.equal(torch.from_numpy(edges((image * 255).round().byte().numpy())).float() / 255, line)
    assert sum(map(len, built.splits.values())) == 230  # a subject by each hand that drew it
    a, b = (set(both(built, s)[1]) for s in ("train", "test"))
    assert not a & b


def test_faces_of_the_held_out_splits_differ_in_the_attribute_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[np.ndarray] = []

    def draw(_: Path, parts: np.ndarray, size: int) -> dict[str, np.ndarray]:
        drawn.append(parts)
        return {"image": np.zeros((len(parts), 3, 4, 4), np.uint8)}

    monkeypatch.setattr(av, "draw", draw)
    for attribute, other, column in (("glasses", "", 4), ("blonde", "black", 0)):
        drawn.clear()
        built = avatars_unpaired(tmp_path / "none.whl", attribute, other, train=300)
        a, b = drawn
        assert {s: v.lengths for s, v in built.splits.items()} == {"train": (300, 300), "validation": (500, 500), "test": (500, 500)}
        one, two = av.describe(a)[0], av.describe(b)[0]
        place = av.ATTRIBUTES.index(f"{attribute} hair" if other else attribute)
        assert not one[:, place].any() and two[:, place].all()
        if other:
            assert one[:, av.ATTRIBUTES.index("black hair")].all()
        rest = np.delete(np.arange(a.shape[1]), column)
        assert (a[300:, rest] == b[300:, rest]).all() and (a[300:, column] != b[300:, column]).all()
        people = [tuple(row) for row in np.concatenate([a[:, rest], b[:300, rest]])]
        assert len(set(people)) == len(people)  # no one is in two places but the held-out pairs


def test_faces_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = wheel(tmp_path)
    whole = av.choose
    monkeypatch.setattr(av, "choose", lambda number: whole(4000)[:number])
    built = avatars_unpaired(path, "glasses", train=5, held=10)
    pair = built["test"].batch(range(10))
    changed = (pair.image_a != pair.image_b).any(1)  # (N, H, W)
    x, y = (round((place - start) * 64 / 212) for place, start in ((115, 26), (95, 6)))
    assert changed[:, y, x].all() and changed.float().mean() < 0.05  # where the glasses are, and nowhere else
    assert built.schema.arguments["domains"] == ("no glasses", "glasses")


def test_shapes_by_formula() -> None:
    pairs, unpaired, labelled = edges_shapes(), shapes_unpaired(), shapes()
    batch = pairs["test"].batch(range(200))
    kinds = (batch.image_b * 255).round()
    painted = torch.tensor(list(COLOURS.values())).float()
    for image, line in zip(kinds, batch.image_a, strict=True):
        assert any((image == colour[:, None, None]).all(0).sum() > 30 for colour in painted)
        assert torch.equal(torch.from_numpy(edges(image.byte().numpy())).float() / 255, line)
    a, b = unpaired["train"].columns[0].domains  # type: ignore[attr-defined]
    one, other = (column.pixels for column in pairs["train"].columns)  # type: ignore[attr-defined]
    assert torch.equal(a.pixels, one[:600]) and torch.equal(b.pixels, other[600:])  # of no shape both
    assert len({image.numpy().tobytes() for image in other}) > 1190
    held = unpaired["test"].batch(range(200))
    assert torch.equal(held.image_a, batch.image_a) and torch.equal(held.image_b, batch.image_b)
    items = labelled["train"].batch(range(500))
    assert items.attributes[:, :4].sum(1).eq(1).all() and labelled.schema.arguments["attributes"] == SHAPE_ATTRIBUTES
    for image, has in zip(items.image, items.attributes, strict=True):
        inside = (image * 255).round() == painted[has[:4].argmax()][:, None, None]
        y, x = np.argwhere(inside.all(0).numpy()).mean(0).round().astype(int)
        assert bool(has[4]) == bool(image[:, y, x].eq(1).all())  # hollow: white in its middle


def test_modes_are_ten_and_five() -> None:
    split = dataset("modes5>10")["train"]
    batch = split.batch(range(20_000))
    for points, centres in ((batch.point_a, MODES_A), (batch.point_b, MODES_B)):
        distance = torch.cdist(points.double(), torch.from_numpy(centres))
        near, mode = distance.min(1)
        counts = mode.bincount(minlength=len(centres)) * len(centres) / 20_000
        assert (counts - 1).abs().max() < 0.1 and abs(float(near.square().mean()) - 2 * 0.3**2) < 0.009
    assert len(MODES_A) == 5 and len(MODES_B) == 10
    gap = torch.cdist(torch.from_numpy(MODES_B), torch.from_numpy(MODES_B)).add(torch.eye(10) * 9).min()
    assert gap > 10 * 0.3  # the modes are apart


@pytest.mark.parametrize(("name", "size"), [("edges>shapes", (5 * 66 - 2, 10 * 34 - 2)), ("shapes-unpaired", (10 * 34 - 2, 2 * 34 - 2))])
def test_data_show_draws_pairs_side_by_side_and_domains_in_rows(
    name: str, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = type_in("data", "show", name, capsys=capsys, monkeypatch=monkeypatch)
    assert code == 0 and ("600 and 600 items" in out) == (name == "shapes-unpaired")
    (file,) = tmp_path.glob("*.png")
    with Image.open(file) as sheet:
        assert sheet.size == size
        array = np.asarray(sheet.convert("RGB"))
    grey = (array == array[..., :1]).all(2)  # edges have no colour
    if name == "edges>shapes":
        assert all(grey[:, 66 * k : 66 * k + 32].all() and not grey[:, 66 * k + 32 : 66 * k + 64].all() for k in range(5))
    else:
        assert grey[:32].all() and not grey[34:].all()
