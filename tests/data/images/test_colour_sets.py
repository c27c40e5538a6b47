"""Colour sets to classify (sprites, stamps, emoji by category), parts of a set, and the user's own odd images."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.files import box, class_folders, house_numbers, make_deb, package, picture, quietly
from PIL import Image

from paperzoo.data import datasets
from paperzoo.data.change import parts
from paperzoo.data.dataset import Dataset, Images, Sequences, Split, Values
from paperzoo.data.datasets import check_name, dataset
from paperzoo.data.fetch import prepared, sources
from paperzoo.data.fetch.sources import Source
from paperzoo.data.images import digits
from paperzoo.data.images import sprites as sp
from paperzoo.data.images import stamps as st
from paperzoo.data.images.emoji import CATEGORIES, VENDORS, emoji, emoji_category, emoji_vendor
from paperzoo.data.images.folders import image_folder, imagenet_folder, read_rgb
from paperzoo.data.images.svhn import svhn
from paperzoo.errors import PaperzooError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    datasets._build.cache_clear()
    yield tmp_path / "cache"
    datasets._build.cache_clear()


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def items(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 (N, C, H, W) and labels (N)."""
    batch = split.batch(range(len(split)))
    return (batch.image * 255).round().byte().numpy(), batch.label.numpy()


# Sprites -------------------------------------------------------------------------------------------------------------

UNITS = "usr/share/games/wesnoth/1.16/data/core/images/units"


def frames(seed: int, number: int, grain: int = 9) -> list[bytes]:
    """A unit's animation: one coarse pattern of colours, in each frame another patch of 3x3 pixels in white."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (grain, grain, 4), np.uint8)
    coarse[..., 3] = 255
    base = coarse.repeat(72 // grain, 0).repeat(72 // grain, 1)
    out = []
    for _ in range(number):
        frame, (y, x) = base.copy(), rng.integers(0, 69, 2)
        frame[y : y + 3, x : x + 3] = 255
        out.append(png(Image.fromarray(frame)))
    return out


def army(path: Path, more: Mapping[str, bytes] = MappingProxyType({})) -> Path:
    """Each class has five units of 10 to 18 frames and, in a folder of its own, a sixth."""
    files = {f"{UNITS}/{name}": data for name, data in more.items()}
    for number, kind in enumerate(("elves", "orcs", "trolls")):
        for unit, each in zip(("archer", "guard", "lord", "shaman", "scout", "rider"), range(10, 22, 2), strict=True):
            folder = f"{kind}/rider" if unit == "rider" else kind
            for i, frame in enumerate(frames(100 * number + each, each)):
                files[f"{UNITS}/{folder}/{unit}-{('se-attack', 'defend')[i % 2]}{i}.png"] = frame
    return make_deb(path, files)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("horseman-ne-attack3.png", "horseman"),
        ("mage+female-defend1.png", "mage"),
        ("wolf.png", "wolf"),
        ("bat2.png", "bat"),
        ("firetrooper_flame1.png", "firetrooper"),
        ("horseman/horseman-n-attack11.png", "horseman"),
        ("skeletal-dragon/dragon.png", "skeletal"),
    ],
)
def test_units_by_name(name: str, unit: str) -> None:
    assert sp.unit_of(name) == unit


def test_no_unit_is_on_two_sides(tmp_path: Path) -> None:
    path = army(tmp_path / "x.deb")
    built = sp.sprites(path)
    arrays = prepared.prepared(f"sprites-{sp._VERSION}-{sources.sha256(path)[:8]}", dict)
    where: dict[str, set[int]] = {}
    for unit, split in zip(arrays["unit"].tolist(), arrays["split"].tolist(), strict=True):
        where.setdefault(unit, set()).add(split)
    assert len(where) == 18 and all(len(splits) == 1 for splits in where.values())
    assert built.schema.names == ("elves", "orcs", "trolls") and built.schema.fields == ("image", "label")
    assert not built.pictures and built.licence.startswith("GPL") and sum(map(len, built.splits.values())) == 270
    for name, split in built.splits.items():
        _, label = items(split)
        assert set(label) == {0, 1, 2}, name  # every class in every split
    for kind in built.schema.names:
        assert where[f"{kind}/rider"] == {0}  # the largest trains
        held = [(arrays["unit"] == f"{kind}/{u}").sum() for u in ("archer", "guard", "lord", "shaman", "scout")
                if where[f"{kind}/{u}"] == {2}]  # fmt: skip
        assert 0 < sum(held) <= 0.25 * 70
    # the point of it: split by frame, nearly every test image has its twin in the training set; split by unit, none has
    def twins(train: np.ndarray, test: np.ndarray) -> float:
        flat = [x.reshape(len(x), -1).astype(np.float64) for x in (train, test)]
        gaps = ((flat[1][:, None] - flat[0][None]) ** 2).mean(2)
        return float((gaps.min(1) < sp.NEAR**2).mean())

    image = arrays["image"].reshape(-1, 24, 3, 24, 3, 3).mean((2, 4))
    assert twins(image[::2], image[1::2]) > 0.9
    assert twins(image[arrays["split"] == 0], image[arrays["split"] != 0]) == 0


def test_units_that_look_alike_stay_together() -> None:
    def draw(seed: int) -> np.ndarray:
        return np.stack([np.asarray(Image.open(io.BytesIO(f)).convert("RGB")) for f in frames(seed, 3)])

    one, other, third = draw(1), draw(2), draw(3)
    risen = np.clip(one.astype(int) + 5, 0, 255).astype(np.uint8)  # the same fighter of a higher level, a little brighter
    image = np.concatenate([one, other, risen, third])
    unit = np.repeat(["soldier", "guard", "captain", "lord"], 3)
    assert sp.alike(image, unit).tolist() == ["captain"] * 3 + ["guard"] * 3 + ["captain"] * 3 + ["lord"] * 3
    chain = np.concatenate([one[:1], np.clip(one[:1] + 8.0, 0, 255), np.clip(one[:1] + 16.0, 0, 255)]).astype(np.uint8)
    assert len(set(sp.alike(chain, np.array(["c", "b", "a"])).tolist())) == 1  # a like b, b like c


@pytest.mark.parametrize("counts", [[30, 10, 10, 10], [395, 18, 18, 12, 12, 12, 10, 9, 9, 7], [227, 126, 107, 64], [24, *[20] * 8]])
def test_shares_of_a_class(counts: list[int]) -> None:
    unit = np.repeat([f"u{i}" for i in range(len(counts))], counts)
    split = sp.share_out(unit, "kind")
    assert (split == sp.share_out(unit, "kind")).all() and set(split) == {0, 1, 2}
    assert all(len(set(split[unit == one])) == 1 for one in set(unit))
    assert (split == 0).sum() >= len(unit) / 2 and set(split[unit == unit[np.argmax(np.repeat(counts, counts))]]) == {0}
    turned = np.concatenate([np.flatnonzero(unit == one) for one in sorted(set(unit), reverse=True)])
    assert (sp.share_out(unit[turned], "kind") == split[turned]).all()  # whatever the order of the files


def test_what_a_sprite_looks_like(tmp_path: Path) -> None:
    large = Image.new("RGBA", (100, 90), (0, 0, 255, 255))
    large.paste((255, 0, 255, 255), (14, 9, 86, 81))  # the middle 72x72 is the player's magenta
    small = Image.new("RGBA", (40, 30), (10, 20, 30, 255))
    small.paste((200, 0, 0, 127), (0, 0, 20, 30))
    shadow = Image.new("RGBA", (72, 72))
    shadow.paste((0, 0, 0, 255), (0, 0, 17, 19))  # 323 of 5184 pixels, less than a sixteenth
    more = {
        "elves/big.png": large, "elves/dwarf.png": small, "elves/shadow.png": shadow, "random-dice.png": large,
        "elves/again.png": large, "ogres/ogre.png": small, "elves/palette.png": Image.new("L", (72, 72), 9).convert("P"),
    }  # fmt: skip
    path = army(tmp_path / "x.deb", {name: png(image) for name, image in more.items()})
    built = sp.sprites(path)
    assert built.schema.names == ("elves", "orcs", "trolls")  # there are too few ogres
    image = np.concatenate([items(split)[0] for split in built.splits.values()])
    assert len(image) == 270 + 3 and len(np.unique(image.reshape(len(image), -1), axis=0)) == len(image)
    flat = {tuple(i[:, 36, 45]): i for i in image}
    assert (flat[255, 0, 255] == np.array([255, 0, 255])[:, None, None]).all()
    dwarf = flat[10, 20, 30]  # 40x30 in the middle of grey, half of it half transparent
    assert dwarf[:, 0, 0].tolist() == [128] * 3 == dwarf[:, 20, 36].tolist() and dwarf[:, 21, 55].tolist() == [10, 20, 30]
    assert abs(int(dwarf[0, 36, 20]) - 164) <= 1 and abs(int(dwarf[1, 36, 20]) - 64) <= 1
    assert (flat[9, 9, 9] == 9).all()


def test_sprites_by_name_and_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = army(tmp_path / "x.deb")
    monkeypatch.setattr(Source, "fetch", lambda self: path)
    whole, half, odd, large = (dataset("sprites", image_size=size) for size in (None, 36, 32, 144))
    assert [b.schema.arguments["image_size"] for b in (whole, half, odd, large)] == [72, 36, 32, 144]
    pixels = items(whole["test"])[0].astype(float)
    area = pixels.reshape(len(pixels), 3, 36, 2, 36, 2).mean((3, 5))
    assert np.abs(items(half["test"])[0] - area).max() <= 1  # each pixel is the mean of the four that it covers
    small = items(odd["test"])[0].astype(float)
    assert small.shape[2:] == (32, 32) and np.abs(small.mean((2, 3)) - pixels.mean((2, 3))).max() < 0.1  # nor here is light lost
    assert large["test"][0].image.shape == (3, 144, 144)
    assert whole.name == "sprites" and not whole.pictures and len(dataset("sprites@4")["train"]) == 12


def test_packages_without_sprites(tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=r"few.deb has no class with 60 pictures of 4 units"):
        sp.sprites(make_deb(tmp_path / "few.deb", {f"{UNITS}/elves/a{i}.png": f for i, f in enumerate(frames(0, 3))}))
    with pytest.raises(PaperzooError, match=r"elves/a.png in .*bad.deb is damaged"):
        sp.sprites(make_deb(tmp_path / "bad.deb", {f"{UNITS}/elves/a.png": b"\x89PNG no more"}))
    with pytest.raises(PaperzooError, match="another package, or another version"):
        sp.sprites(make_deb(tmp_path / "other.deb", {"usr/share/doc/x": b""}))


# Stamps --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("animals/birds/hen.png", "birds"),
        ("animals/birds/cartoon/tux.png", None),
        ("animals/mammals/bears/toys/edward_bear.png", None),
        ("animals/mammals/bears/bear.png", "mammals"),
        ("animals/marsupials/koala.png", "mammals"),
        ("symbols/money/euro/coins/010.png", "coins"),
        ("symbols/money/00_symbols/yen_1_yen.png", None),
        ("vehicles/garbagetruck.png", "vehicles"),
        ("vehicles/wheel_tractor.png", None),
        ("military/vehicles/bradley_mirror.png", None),
        ("military/paratrooper.png", None),
        ("food/fruitcake/cake.png", None),
    ],
)
def test_classes_of_stamps(name: str, kind: str | None) -> None:
    found = st.class_of(name)
    assert (None if found is None else list(st.CLASSES)[found]) == kind


def box_of_stamps(path: Path, each: int = 10, leave_out: str = "") -> Path:
    """Each class's pictures have a colour of its own in a middle part of 40x20."""
    files = {}
    for k, (kind, folders) in enumerate(st.CLASSES.items()):
        drawn = Image.new("RGBA", (60, 20))
        drawn.paste((20 * k, 0, 100, 255), (10, 0, 50, 20))
        for i in range(each if kind != leave_out else 2):
            files[f"usr/share/tuxpaint/stamps/{folders[-1]}/{i}.png"] = png(drawn)
    return make_deb(path, {**files, "usr/share/tuxpaint/stamps/animals/birds/hen.ogg": b"cluck"})


def test_stamps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = box_of_stamps(tmp_path / "x.deb")
    monkeypatch.setattr(Source, "fetch", lambda self: path)
    built = dataset("stamps")
    assert {name: len(split) for name, split in built.splits.items()} == {"train": 72, "validation": 12, "test": 36}
    assert built.schema.names == tuple(st.CLASSES) and built.schema.arguments["classes"] == 12 and not built.pictures
    for name, each in {"train": 6, "validation": 1, "test": 3}.items():
        image, label = items(built[name])
        assert np.bincount(label).tolist() == [each] * 12
        assert image.shape[1:] == (3, 96, 96) and (image[:, 0, 48, 48] == 20 * label).all()
        assert (image[:, :, 10] == 255).all() and (image[:, :, 48, 4] == 255).all()  # above it and left of it is white
    assert dataset("stamps", image_size=32)["test"][0].image.shape == (3, 32, 32)
    assert dataset("stamps", image_size=120)["test"][0].image.shape == (3, 120, 120)
    with pytest.raises(PaperzooError, match="fewer than three pictures of tools: another version"):
        st.stamps(box_of_stamps(tmp_path / "y.deb", leave_out="tools"))


# Emoji by category ---------------------------------------------------------------------------------------------------


def test_emoji_by_category(tmp_path: Path) -> None:
    tones = ("-1f3fb", "-1f3fd-200d-2642", "-200d-2640", "")
    subjects = {
        f"{0x1F400 + i:x}{tone}": (f"s{i}{tone}", CATEGORIES[i % 9], box(0, 0, 16, 16, f"rgb({i},{len(tone)},0)"))
        for i in range(90)
        for tone in tones
    }
    subjects["1f9d1-1f33e"] = ("twin", "Flags", subjects["1f400"][2])  # drawn as another is
    other = {code: (name, kind, body.replace(",0)", ",200)")) for code, (name, kind, body) in subjects.items()}
    both = [package(tmp_path, "noto", subjects), package(tmp_path, "openmoji", other)]
    built, whole = emoji_category(*both, vendors=("noto", "openmoji")), emoji(*both, vendors=("noto", "openmoji"))
    assert set(built.splits) == {"train", "validation", "test"} and built.schema.fields == ("image", "label")
    subject: dict[int, set[str]] = {}
    for name, split in built.splits.items():
        image, label = items(split)
        assert (label == image[:, 0, 16, 16] % 9).all() and (image[:, 1, 16, 16] == 0).all()  # the one without tone and sign
        for red in image[:, 0, 16, 16].tolist():
            subject.setdefault(red, set()).add(name)
    assert len(subject) == 90 and all(len(splits) == 1 for splits in subject.values())  # both vendors lie in one split
    assert sum(map(len, built.splits.values())) == 180  # two of each subject, not eight, and no twins
    tested = {f"{0x1F400 + red:x}" for red, splits in subject.items() if splits == {"test"}}
    assert tested and tested == {code for code in whole.codes["test"] if "-" not in code}
    hands = emoji_vendor(*both, vendors=("noto", "openmoji"))
    assert hands.schema.names[9 * VENDORS.index("noto") + 2] == "noto: Flags" and hands.schema.arguments["classes"] == 36
    for name, split in hands.splits.items():
        image, label = items(split)
        assert np.array_equal(image, items(built[name])[0]) and np.array_equal(label % 9, items(built[name])[1])
        assert (label // 9 == np.where(image[:, 2, 16, 16] == 200, VENDORS.index("openmoji"), VENDORS.index("noto"))).all()


# Parts ---------------------------------------------------------------------------------------------------------------


def rare() -> Dataset:
    """Three classes of 30, 10 and 3 training images, each image of a value of its own."""
    label = np.repeat([0, 1, 2], [30, 10, 3])[np.random.default_rng(0).permutation(43)]
    image = torch.arange(43, dtype=torch.uint8)[:, None, None, None].expand(43, 1, 2, 2).clone()
    train = Split(Images(image), Values("label", torch.from_numpy(label)), Values("more", torch.arange(43)))
    schema = digits._schema("rare", 2)
    return Dataset(schema, {"train": train, "test": train}, "MIT", "made here", pictures=False)


def test_few_images_a_class() -> None:
    whole = rare()
    five, ten, other = parts.few(whole, 5, 1), parts.few(whole, 10, 1), parts.few(whole, 5, 2)
    assert np.bincount(items(five["train"])[1]).tolist() == [5, 5, 3] and len(ten["train"]) == 23
    numbers = [{int(v) for v in b["train"].batch(range(len(b["train"]))).more} for b in (five, ten, other)]
    assert numbers[0] < numbers[1] and numbers[0] != numbers[2]  # a larger draw adds to the smaller, another is another
    for built in (five, ten, other):
        batch = built["train"].batch(range(len(built["train"])))
        known = whole["train"].batch(batch.more)
        assert torch.equal(batch.image, known.image) and torch.equal(batch.label, known.label)
    assert five["test"] is whole["test"] and not five.pictures
    assert "5 images a class to train on, chosen with seed 1 (1 of 3 classes have fewer)" in five.source
    seen = torch.stack([torch.bincount(parts.few(whole, 5, s)["train"].batch(range(13)).more, minlength=43) for s in range(200)])
    first = torch.from_numpy(items(whole["train"])[1]) == 0
    assert (seen.sum(0)[first] - 200 * 5 / 30).abs().max() < 20  # every image has the same chance
    for number in (0, -1, 30, 99):
        with pytest.raises(PaperzooError, match=rf"^{number} images a class of rare: give 1 to 29, .* has 30"):
            parts.few(whole, number)
    with pytest.raises(PaperzooError, match="ring has no labels to choose by; its fields are image, label"):
        unlabelled = Split(Images(torch.zeros(2, 1, 2, 2, dtype=torch.uint8)))
        parts.few(Dataset(digits._schema("ring", 2), {"train": unlabelled}, "", ""), 1)
    with pytest.raises(PaperzooError, match="column of Sequences"):
        text = Sequences(np.array([0, 1, 2]), {"tokens": np.arange(2)})
        split = Split(text, Values("label", torch.tensor([0, 0])))
        parts.few(Dataset(digits._schema("text", 2), {"train": split}, "", ""), 1)


def test_few_by_name(tmp_path: Path) -> None:
    whole, few, sized = dataset("digits"), dataset("digits@20:1"), dataset("digits@20:1", image_size=16)
    assert few.name == "digits@20:1" and len(few["train"]) == 200 and len(few["test"]) == len(whole["test"])
    assert few.schema.arguments == whole.schema.arguments and few.schema.names == whole.schema.names
    assert sized["train"][0].image.shape == (1, 16, 16) and torch.equal(items_label(sized), items_label(few))
    assert not torch.equal(dataset("digits@20")["train"].batch(range(9)).image, few["train"].batch(range(9)).image)
    assert torch.equal(dataset("digits@20")["train"][3].image, dataset("digits@20:0")["train"][3].image)
    for name, says in {
        "digits@": r"after @ comes the number of images a class, .* digits@20:1",
        "digits@x": "after @ comes",
        "digits@0": "after @ comes",
        "digits@-5": "after @ comes",
        "digits@5:x": "after @ comes",
        "digits@5:1:2": "after @ comes",
        "digitz@5": "unknown data set 'digitz': did you mean digits",
        "@5": "unknown data set ''",
        "folder:/nowhere/at/all@5": "there is no /nowhere/at/all",
    }.items():
        with pytest.raises(PaperzooError, match=says):
            check_name(name)
    with pytest.raises(PaperzooError, match=r"2000 images a class of digits: give 1 to \d+"):
        dataset("digits@2000")
    with pytest.raises(PaperzooError, match="no labels to choose by"):
        dataset("digits-100@5")  # its training images have no labels of their own
    folder = class_folders(tmp_path / "me@5")
    assert sum(map(len, dataset(f"folder:{folder}", image_size=8).splits.values())) == 60  # that is its name
    small = dataset(f"folder:{folder}@3:2", image_size=8)
    assert np.bincount(items(small["train"])[1]).tolist() == [3, 3, 3] and small.name.endswith("me@5@3:2")


def items_label(built: Dataset) -> torch.Tensor:
    label: torch.Tensor = built["train"].batch(range(len(built["train"]))).label
    return label


def test_few_of_a_large_folder_stay_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from paperzoo.data.images import folders

    kept = dataset(f"folder:{class_folders(tmp_path / 'a')}@4", image_size=8)
    datasets._build.cache_clear()
    monkeypatch.setattr(folders, "LARGE", 100)
    lazy = dataset(f"folder:{tmp_path / 'a'}@4", image_size=8)
    assert isinstance(lazy["train"].columns[0], folders.ImageFiles) and len(lazy["train"]) == 12
    assert torch.equal(lazy["train"].batch(range(12)).image, kept["train"].batch(range(12)).image)


def test_low_and_high_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = dataset("digits")
    monkeypatch.setattr(digits, "mnist", lambda wheel: whole)
    monkeypatch.setattr(Source, "fetch", lambda self: Path("no file is read"))
    low, high = dataset("mnist-low"), dataset("mnist-high")
    assert low.schema.names == tuple("01234") and high.schema.names == tuple("56789")
    assert low.schema.arguments["classes"] == high.schema.arguments["classes"] == 5 and low.name == "mnist-low"
    for split in whole.splits:
        image, label = items(whole[split])
        for part, first in ((low, 0), (high, 5)):
            found, labels = items(part[split])
            of = (label >= first) & (label < first + 5)
            assert (found == image[of]).all() and (labels == label[of] - first).all() and labels.dtype == np.int64
    assert len(dataset("mnist-high@20:3")["train"]) == 100
    (value,) = [p for p in parts.only(whole, (7, 2)).splits["train"].columns if isinstance(p, Values)]
    assert set(value.values.tolist()) == {0, 1} and (value.values == 0).sum() == (items(whole["train"])[1] == 7).sum()


# The user's own images -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda p: picture(p / "tall.png", (9, 80, 30), (7, 300)),
        lambda p: picture(p / "dot.bmp", (9, 80, 30), (1, 1)),
        lambda p: picture(p / "cmyk.jpg", (246, 175, 225, 0), (20, 20), "CMYK", quality=100, subsampling=0),
        lambda p: picture(p / "cmyk.tiff", (246, 175, 225, 0), (20, 20), "CMYK", compression="tiff_lzw"),
        lambda p: indexed(p / "palette.png"),
        lambda p: indexed(p / "palette.gif"),
        lambda p: deep_tiff(p / "deep.tif"),
        lambda p: moving(p / "a.gif"),
        lambda p: moving(p / "a.webp", lossless=True),
        lambda p: moving(p / "a.png"),
        lambda p: moving(p / "pages.tiff"),
    ],
)  # fmt: skip
def test_odd_files_are_read_as_they_look(make: Callable[[Path], Path], tmp_path: Path) -> None:
    """Each is the same dark green; of moving images and of several pages it is the first."""
    make(tmp_path)
    (only,) = quietly(lambda: image_folder(tmp_path, 8, channels=3)).splits.values()
    assert only[0].image.shape == (3, 8, 8)
    assert ((only[0].image * 255).round() - torch.tensor([9.0, 80, 30])[:, None, None]).abs().max() <= 4


def indexed(path: Path) -> Path:
    image = Image.new("P", (20, 20), 3)
    image.putpalette([255, 0, 0] * 3 + [9, 80, 30])
    image.save(path)
    return path


def moving(path: Path, **options: Any) -> Path:
    first, *others = (Image.new("RGB", (20, 20), colour) for colour in ((9, 80, 30), "red", "blue"))
    first.save(path, save_all=True, append_images=others, **options)
    return path


def deep_tiff(path: Path) -> Path:
    """16 bits a channel, three channels, as cameras and scanners write it and Pillow does not."""
    pixels = np.broadcast_to(np.array([9, 80, 30], "<u2") * 257, (20, 20, 3)).tobytes()
    # tag, type (3: 16 bits, 4: 32 bits), count, value; the three depths stand behind the directory
    tags = [(256, 3, 1, 20), (257, 3, 1, 20), (258, 3, 3, 134), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 140), (277, 3, 1, 3),
            (278, 3, 1, 20), (279, 4, 1, len(pixels)), (284, 3, 1, 1)]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    path.write_bytes((b"II*\0" + struct.pack("<I", 8) + directory).ljust(134, b"\0") + struct.pack("<3H", 16, 16, 16) + pixels)
    return path


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_way_of_holding_a_camera(turn: int, tmp_path: Path) -> None:
    """Eight files that say how they were turned and mirrored; upright, all show white at the upper left only."""
    upright = Image.new("L", (16, 8))
    upright.paste(255, (0, 0, 4, 4))
    undone = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }[turn]  # fmt: skip
    tag = Image.Exif()
    tag[0x0112] = turn
    (upright.transpose(undone) if undone is not None else upright).save(tmp_path / "a.jpg", exif=tag, quality=100)
    assert np.abs(np.asarray(read_rgb(tmp_path / "a.jpg").convert("L"), int) - np.asarray(upright)).max() < 12


def test_a_class_with_one_image_trains_and_is_named(tmp_path: Path) -> None:
    class_folders(tmp_path, 12, ("ant", "bee"))
    for i in range(40):  # whatever its name hashes to
        one = picture(tmp_path / "cat" / f"{i}.png", (0, 0, 200))
        with pytest.warns(UserWarning, match="has one image of cat: it is trained on, its class never tested"):
            built = image_folder(tmp_path, 8)
        assert built.schema.names == ("ant", "bee", "cat") and (items(built["train"])[1] == 2).sum() == 1
        assert set(built.splits) == {"train", "validation", "test"} and sum(map(len, built.splits.values())) == 25
        one.unlink()


def test_one_image_in_every_class(tmp_path: Path) -> None:
    class_folders(tmp_path, 1)
    with pytest.raises(PaperzooError, match="has 3 images of 3 classes to train on: too few to keep any for test or validation"):
        image_folder(tmp_path, 8)
    for path in sorted(tmp_path.glob("*/*")):  # with folders of its own for the others it does
        for number, split in enumerate(("train", "val", "test")):
            picture(tmp_path / split / path.parent.name / "0.png", (ord(path.parent.name[0]), number, 200))
        path.unlink()
        path.parent.rmdir()
    assert {s: len(x) for s, x in quietly(lambda: image_folder(tmp_path, 8)).splits.items()} == dict.fromkeys(
        ("train", "validation", "test"), 3
    )


def test_two_images_a_class_leave_one_each_to_train_on(tmp_path: Path) -> None:
    built = quietly(lambda: image_folder(class_folders(tmp_path, 2), 8), "(test|validation) of .* has nothing of")
    assert set(items(built["train"])[1]) == {0, 1, 2} and sum(map(len, built.splits.values())) == 6
    assert len(built["test"]) and len(built["validation"])


def test_empty_class_folders_and_stray_files(tmp_path: Path) -> None:
    class_folders(tmp_path, 12)
    for name in ("dog", "eel"):
        (tmp_path / name).mkdir()
    (tmp_path / "eel" / "photo.heic").write_bytes(b"not read")
    (tmp_path / "ant" / "Thumbs.db").write_bytes(b"not an image")
    (tmp_path / "ant" / "notes.txt").write_text("nor this")
    with pytest.warns(UserWarning, match="2 class folders of .* have no images and are left out: dog, eel") as caught:
        built = image_folder(tmp_path, 8)
    said = [str(one.message) for one in caught if "fewer than 10" not in str(one.message)]
    assert len(said) == 2 and built.schema.names == ("ant", "bee", "cat")
    assert said[1].endswith("1 pictures of a kind that is not read here (convert them to PNG): eel/photo.heic. They are left out")
    assert sum(map(len, built.splits.values())) == 36
    for split in ("train", "val"):
        class_folders(tmp_path / "net" / split, 2, ("n01", "n02"))
    (tmp_path / "net" / "train" / "n03").mkdir()
    with pytest.warns(UserWarning, match="1 class folders of .*train have no images and are left out: n03"):
        assert imagenet_folder(tmp_path / "net", 8).schema.names == ("n01", "n02")


def test_published_sets_have_their_readers(tmp_path: Path) -> None:
    """What CIFAR, Fashion-MNIST, SVHN and ImageNet are read by, in the table; their own tests are in test_readers.py."""
    builds = {name: datasets.DATASETS[name].build for name in ("cifar10", "cifar100", "fashion-mnist", "svhn", "imagenet")}
    readers = ("folders.cifar", "digits.fashion_mnist", "svhn.svhn", "folders.imagenet_folder")
    assert set(builds.values()) == {f"images.{reader}" for reader in readers}
    for name, number in (("train.mat", 20), ("test.mat", 5)):
        house_numbers(tmp_path / name, number)
    whole = svhn(tmp_path / "train.mat", tmp_path / "test.mat")
    assert len(parts.few(whole, 1)["train"]) == len(set(items(whole["train"])[1]))  # labelled as the others are
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_name("cifar10@5:2")
