"""Drawings as pixels, emoji and avatars, from small packages of the same form made here."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.avatars import PLACES, SIZE, wheel
from fixtures.files import box, package

from paperzoo.data import datasets
from paperzoo.data.datasets import dataset
from paperzoo.data.fetch.sources import Source
from paperzoo.data.images import avatars as av
from paperzoo.data.images.avatars import ATTRIBUTES, avatars, choose, describe
from paperzoo.data.images.emoji import CATEGORIES, VENDORS, Emoji, _held_out, emoji
from paperzoo.data.images.svg import render
from paperzoo.data.images.table import EMOJI
from paperzoo.errors import PaperzooError

RED, GREEN, BLUE, WHITE = ([255, 0, 0], [0, 128, 0], [0, 0, 255], [255, 255, 255])


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    datasets._build.cache_clear()
    yield tmp_path / "cache"
    datasets._build.cache_clear()


# Drawings ------------------------------------------------------------------------------------------------------------


def svg(content: str, width: int = 10, height: int = 10) -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">{content}</svg>'


def test_a_drawing_has_the_pixels_it_says() -> None:
    image = render(svg(box(0, 0, 5, 10)), 20)
    assert image.shape == (3, 20, 20) and image.dtype == np.uint8
    assert image[:, 10, 9].tolist() == RED and image[:, 10, 10].tolist() == WHITE  # left half, right half
    assert render(svg(""), 8, "#0000ff")[:, 4, 4].tolist() == BLUE
    half = render(svg(box(0, 0, 10, 10, "black", 'fill-opacity="0.5"')), 8)  # transparency lies on the background
    assert abs(int(half[0, 4, 4]) - 127) <= 1
    edge = render(svg(box(0, 0, 5, 10)), 5)  # the boundary goes through the middle of a pixel
    assert abs(int(edge[1, 2, 2]) - 127) <= 2


@pytest.mark.parametrize(("width", "height"), [(20, 10), (10, 20)])
def test_a_long_drawing_lies_in_the_middle_of_its_square(width: int, height: int) -> None:
    filled = (render(svg(box(0, 0, width, height), width, height), 16) == np.array(RED)[:, None, None]).all(0)
    rows, columns = filled.any(1), filled.any(0)
    assert rows.sum() == (8 if width > height else 16) and columns.sum() == (16 if width > height else 8)
    short = rows if width > height else columns
    assert np.flatnonzero(short).tolist() == list(range(4, 12)) and filled.sum() == 128


def test_what_is_no_drawing_is_refused() -> None:
    for text in ("", "no drawing", "<svg>", svg("<g>")):
        with pytest.raises(ValueError):
            render(text, 8)


def test_the_extra_is_named_where_there_is_no_renderer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    for make in (
        lambda: emoji(package(tmp_path, "noto", {}), vendors=["noto"]),
        lambda: avatars(wheel(tmp_path), None, 4, 2),
    ):
        with pytest.raises(PaperzooError, match=r'pip install "paperzoo\[svg\]"'):
            make()


# Packages from npm ---------------------------------------------------------------------------------------------------

NPM = Source("x-1.0.0.tgz", "npm", "MIT", package="@a/x", version="1.0.0")


def test_npm_fetches_by_name_and_runs_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = []

    def pack(command: list[str], cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        (cwd / "a-x-1.0.0.tgz").write_bytes(b"archive")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(subprocess, "run", pack)
    with pytest.raises(PaperzooError, match=r"x-1.0.0.tgz has SHA-256 .*expected 00000000"):
        Source(**{**vars(NPM), "sha256": "0" * 64}).fetch()
    assert not NPM.path.exists()
    for _ in range(2):
        assert NPM.fetch().read_bytes() == b"archive" and NPM.fetch() == cache / "sources" / "x-1.0.0.tgz"
    assert len(commands) == 2  # one for each of the two sources; then it is kept
    assert commands[0] == ["/bin/npm", "pack", "--silent", "--ignore-scripts", "@a/x@1.0.0"]


def test_npm_that_is_missing_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = Source(**{**vars(NPM), "sha256": "ab" * 32})
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(
        PaperzooError, match=rf"x-1.0.0.tgz: npm is not installed.*SHA-256 {'ab' * 32}.* put it at .*sources"
    ):
        pinned.fetch()
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    fail = subprocess.CompletedProcess([], 1, "", "npm warn odd\nnpm error code E404\nnpm error 404 Not Found\nnpm error x")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: fail)
    with pytest.raises(
        PaperzooError, match=r"could not fetch x-1.0.0.tgz: npm error code E404 npm error 404 Not Found\. Get"
    ):
        pinned.fetch()


# Emoji ---------------------------------------------------------------------------------------------------------------

# code points -> (name, category, body); 16 x 16 is iconify's default size
SUBJECTS = {
    "1f34e": ("apple", "Food & Drink", box(0, 0, 16, 16)),
    "1f1e6": ("flag", "Flags", box(0, 0, 16, 16, "blue")),
    "1f44b": ("hand", "People & Body", box(0, 0, 8, 16)),
    "1f44b-1f3fb": ("hand-light", "People & Body", box(8, 0, 8, 16)),
    "1f44b-1f3ff-200d-2642": ("hand-dark-man", "People & Body", box(8, 0, 8, 16)),
}


def everything(built: Emoji) -> dict[str, tuple[str, list[float], int, int]]:
    """Code points and vendor -> split, colour of the pixel in the middle of the left half, label, vendor."""
    found = {}
    for split, items in built.splits.items():
        for index, code in enumerate(built.codes[split]):
            item = items[index]
            colour = (item.image[:, 16, 8] * 255).tolist()
            found[f"{code} {int(item.vendor)}"] = (split, colour, int(item.label), int(item.vendor))
    return found


def test_emoji_of_two_vendors(tmp_path: Path) -> None:
    paths = [
        package(tmp_path, "noto", SUBJECTS),
        package(tmp_path, "twemoji", {"1f34e": ("red-apple", "Food Drink", box(0, 0, 16, 16, "green"))}),
    ]
    built = emoji(*paths, vendors=("noto", "twemoji"))
    assert built.schema.arguments == {"channels": 3, "image_size": 32, "classes": 9} and built.schema.names == CATEGORIES
    found = everything(built)
    assert len(found) == 6 == sum(map(len, built.splits.values()))
    noto, twemoji = VENDORS.index("noto"), VENDORS.index("twemoji")
    food, flags, people = (CATEGORIES.index(c) for c in ("Food & Drink", "Flags", "People & Body"))
    assert found[f"1f34e {noto}"][1:] == (RED, food, noto)
    assert found[f"1f34e {twemoji}"][1:] == (GREEN, food, twemoji)  # OpenMoji writes the category without "&"
    assert found[f"1f1e6 {noto}"][1:] == (BLUE, flags, noto)
    assert found[f"1f44b {noto}"][1:] == (RED, people, noto) and found[f"1f44b-1f3fb {noto}"][1:] == (WHITE, people, noto)
    assert "red-apple" in {title for titles in built.titles.values() for title in titles}


def test_no_subject_is_in_both_splits(tmp_path: Path) -> None:
    tones = ("", "-1f3fb", "-1f3fd-200d-2642", "-200d-2642")
    subjects = {
        f"{0x1F400 + i:x}{tone}": (f"s{i}{tone}", CATEGORIES[i % 9], box(0, 0, 16, 16)) for i in range(100) for tone in tones
    }
    built = emoji(package(tmp_path, "noto", subjects), package(tmp_path, "openmoji", subjects), vendors=("noto", "openmoji"))
    assert sum(map(len, built.splits.values())) == 800
    assert not set(built.codes["train"]) & set(built.codes["test"])  # no vendor shows what another keeps for the test
    for code in built.codes["test"]:
        if "1f3fb" in code:
            assert code.replace("-1f3fb", "") in built.codes["test"]  # nor another skin tone
    assert 40 < len(built["test"]) < 120
    for thing in range(0x1F680, 0x1F780):  # nor a woman what a man or a person keeps
        people = ("1f9d1", "1f469-1f3fb", "1f468-1f3ff")
        assert len({_held_out(f"{person}-200d-{thing:x}{end}") for person in people for end in ("", "-200d-27a1")}) == 1
    held_out = sum(_held_out(f"{code:x}") for code in range(20_000)) / 20_000
    assert abs(held_out - 0.1) < 0.01
    assert emoji(tmp_path / "noto.tgz", vendors=["noto"]).codes["test"] == built.codes["test"][: len(built["test"]) // 2]


def test_broken_drawings_are_left_out_and_counted(tmp_path: Path) -> None:
    broken = {"1f600": ("grin", "Smileys & Emotion", "<g>"), "1f601": ("smile", "Smileys & Emotion", "<path d='M0 0'></g>")}
    built = emoji(package(tmp_path, "noto", {**SUBJECTS, **broken}), vendors=["noto"])
    assert len(everything(built)) == len(SUBJECTS) and "left out: 2 that cannot be rendered" in built.source
    assert "left out: 0" in emoji(package(tmp_path / "good", "noto", SUBJECTS), vendors=["noto"]).source


def test_what_has_no_category_of_the_nine_is_no_item(tmp_path: Path) -> None:
    odd = {**SUBJECTS, "f8ff": ("logo", "Extras Openmoji", box(0, 0, 9, 9))}
    path = package(tmp_path, "openmoji", odd)
    assert len(everything(emoji(path, vendors=["openmoji"]))) == len(SUBJECTS)


def test_sizes_of_icons(tmp_path: Path) -> None:
    """A set's own width and height hold for its icons."""
    built = emoji(
        package(tmp_path, "noto", {"1f34e": ("apple", "Flags", box(0, 0, 4, 4))}, width=4, height=4), vendors=["noto"]
    )
    (found,) = everything(built).values()
    assert found[1] == RED and next(s for s in built.splits.values() if len(s))[0].image[:, 31, 31].tolist() == [1, 0, 0]


def served(monkeypatch: pytest.MonkeyPatch, paths: dict[str, Path]) -> None:
    monkeypatch.setattr(Source, "fetch", lambda self: paths[self.package])


def test_emoji_by_name_and_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stripes = "".join(box(x, 0, 0.25, 16, "black") for x in np.arange(0, 16, 0.5))  # a pixel wide at 64
    subjects = {f"{0x1F300 + i:x}": (f"s{i}", CATEGORIES[i % 9], stripes) for i in range(60)}
    vendors = {s.package: package(tmp_path, v, subjects) for v, s in EMOJI.items()}
    served(monkeypatch, vendors)
    built = dataset("emoji")
    assert built.name == "emoji" and sum(map(len, built.splits.values())) == 240
    assert built.licence.count(";") == 3 and "CC BY-SA 4.0" in built.licence
    assert torch.bincount(built["train"].batch(range(len(built["train"]))).vendor).unique().numel() == 1  # as many of each
    one = dataset("emoji-twemoji", image_size=64)
    assert one.name == "emoji-twemoji" and one.licence.startswith("CC BY 4.0") and one.schema.arguments["image_size"] == 64
    assert set(one["train"].batch(range(9)).vendor.tolist()) == {VENDORS.index("twemoji")}
    fine = one["train"][0].image[0, 32]
    assert fine[::2].eq(0).all() and fine[1::2].eq(1).all()  # drawn at 64, not enlarged from 32
    small = dataset("emoji-twemoji", image_size=16)
    assert small["train"][0].image.shape == (3, 16, 16) and (small["train"][0].image - 0.5).abs().max() < 0.01
    assert small.codes == dataset("emoji-twemoji").codes  # type: ignore[attr-defined]


def test_packages_that_are_none(tmp_path: Path) -> None:
    other = package(tmp_path, "noto", {"1f34e": ("apple", "Flags", "")})
    (tmp_path / "no.tgz").write_bytes(b"no archive")
    with pytest.raises(PaperzooError, match=r"no.tgz is damaged"):
        emoji(tmp_path / "no.tgz", vendors=["noto"])
    with tarfile.open(other, "w:gz") as archive:
        for name in ("icons", "metadata", "chars"):
            info = tarfile.TarInfo(f"package/{name}.json")
            info.size = 2
            archive.addfile(info, io.BytesIO(b"[]"))
    with pytest.raises(PaperzooError, match=r"noto.tgz is no set of emoji in iconify's form"):
        emoji(other, vendors=["noto"])


# Avatars -------------------------------------------------------------------------------------------------------------

def colour_at(image: torch.Tensor, x: float, y: float) -> list[list[int]]:
    """The colours (N, 3) at a place given in units of the whole face."""
    left, top, side, _ = map(float, av._WINDOW.split())
    column, row = (round((place + SIZE / 2 - start) * 64 / side) for place, start in ((x, left), (y, top)))
    return (image[:, :, row, column] * 255).round().int().tolist()


def rgb(colour: str) -> list[int]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def test_attributes_say_what_is_drawn(tmp_path: Path) -> None:
    built = avatars(wheel(tmp_path), None, 150, 50)
    assert {name: len(split) for name, split in built.splits.items()} == {"train": 150, "test": 50}
    batch = built.joined("train+test").batch(range(200))
    assert (
        batch.image.shape == (200, 3, 64, 64)
        and batch.attributes.shape == (200, 9)
        and batch.attributes.dtype == torch.float32
    )
    ground, light, dark = rgb(av._BACKGROUND), [rgb(s) for s in av._SKINS[:2]], [rgb(s) for s in av._SKINS[2:]]
    seen = {kind: colour_at(batch.image, x, y) for kind, (x, y, _) in PLACES.items()}
    long = colour_at(batch.image, 60, 20)
    for i in range(200):
        has = dict(zip(ATTRIBUTES, batch.attributes[i].bool().tolist(), strict=True))
        (hair,) = [rgb(code) for name, code in av.HAIR_COLOURS.items() if has[f"{name} hair"]]
        assert seen["top/hair"][i] == hair
        assert seen["facial_hair"][i] == (hair if has["beard"] else ground)
        assert seen["accessories"][i] == ([0, 0, 255] if has["glasses"] else ground)
        assert seen["mouth"][i] == ([0, 255, 0] if has["smile"] else [0, 0, 0])
        assert long[i] == ([255, 0, 255] if has["long hair"] else ground)
        assert seen["styles"][i] in (dark if has["dark skin"] else light)
        assert seen["clothes"][i] in [rgb(f) for f in av._FABRICS] and seen["nose"][i] == seen["eyes"][i] == [0, 0, 0]
        name = built.schema.names[batch.label[i]]
        words = [*(w for w in ATTRIBUTES[:4] if has[w]), *(w for w in ("glasses", "beard") if has[w])]
        assert name == ", ".join(words)


def test_faces_differ_and_attributes_are_even() -> None:
    parts = choose(14_000)
    assert parts.shape == (14_000, 10) and len(np.unique(parts, axis=0)) == 14_000
    assert (choose(500) == choose(500)).all() and not (choose(500) == choose(500, seed=1)).all()
    attributes, label = describe(parts)
    shares = dict(zip(ATTRIBUTES, attributes.mean(0), strict=True))
    for name, share in shares.items():
        assert abs(share - (0.25 if name.endswith("hair") and name != "long hair" else 0.5)) < 0.02, name
    assert (attributes[:, :4].sum(1) == 1).all() and set(np.unique(attributes)) == {0, 1}
    counts = np.bincount(label, minlength=16)
    assert len(counts) == len(av.NAMES) == 16 and (abs(counts / 14_000 - 1 / 16) < 0.01).all()
    correlation = np.corrcoef(attributes[:, 4:].T) - np.eye(5)
    assert np.abs(correlation).max() < 0.05  # no attribute tells of another


def test_avatars_by_name_and_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from functools import partial

    served(monkeypatch, {"python-avatars": wheel(tmp_path)})
    monkeypatch.setattr(av, "avatars", partial(avatars, train=12, test=4))
    built, small, large = (dataset("avatars", image_size=size) for size in (None, 32, 80))
    assert built.name == "avatars" and built.licence.startswith("MIT")
    assert [b["train"][0].image.shape[-1] for b in (built, small, large)] == [64, 32, 80]
    assert [b.schema.arguments["image_size"] for b in (built, small, large)] == [64, 32, 80]
    assert avatars(tmp_path / "python_avatars.whl", 80, 12, 4)["train"][0].image.shape[-1] == 80  # drawn so, not enlarged
    averaged = built["train"][0].image.unfold(1, 2, 2).unfold(2, 2, 2).mean((3, 4))
    assert (averaged - small["train"][0].image).abs().mean() < 0.02  # made smaller, not drawn with other parts
    assert torch.equal(built["test"].batch(range(4)).label, large["test"].batch(range(4)).label)


@pytest.mark.parametrize("part", ["smile", "bob", "transparent"])
def test_a_wheel_that_lacks_a_part(part: str, tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=rf"does not hold the drawings of python-avatars 1.4.1.*{part}.svg"):
        avatars(wheel(tmp_path, leave_out=part), None, 100, 10)
    (tmp_path / "python_avatars.whl").write_bytes(b"no zip")
    with pytest.raises(PaperzooError, match="does not hold"):
        avatars(tmp_path / "python_avatars.whl", None, 100, 10)
