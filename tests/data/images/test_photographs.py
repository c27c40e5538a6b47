"""Photographs at any size: squares, pairs of low and high resolution, the packages, the published sets, the user's own."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.files import make_deb
from PIL import Image

from paperzoo.data.augment import augmented
from paperzoo.data.batch import Batch
from paperzoo.data.bicubic import eight_bits, imresize, mod_crop, shrink
from paperzoo.data.change.scaled import scales
from paperzoo.data.crops import Pairs, Photographs, Squares
from paperzoo.data.datasets import DATASETS, dataset
from paperzoo.data.fetch.rcc import rcc_files
from paperzoo.data.fetch.sources import Source, sha256
from paperzoo.data.images import photographs as module
from paperzoo.data.images.photographs import Credit, credits, published, scale_of
from paperzoo.errors import PaperzooError


def noise(*sizes: tuple[int, int], seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


def store(pictures: list[np.ndarray]) -> Photographs:
    return Photographs(np.concatenate([p.ravel() for p in pictures]), np.array([p.shape[:2] for p in pictures]))


def tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255  # (1, 3, H, W)


SIZES = ((40, 53), (61, 37), (24, 24))


# Columns -------------------------------------------------------------------------------------------------------------


def test_windows_go_on_mirrored_beyond_the_border() -> None:
    pictures = noise(*SIZES)
    held = store(pictures)
    assert len(held) == 3 and all(np.array_equal(held[i], p) for i, p in enumerate(pictures))
    padded = np.pad(pictures[1], ((9, 9), (9, 9), (0, 0)), "symmetric")
    assert np.array_equal(held.window(1, -9, -4, 30, 50), padded[:30, 5:55])
    assert np.array_equal(held.window(1, 50, 20, 20, 26), padded[59:79, 29:55])
    assert np.array_equal(held.window(1, 3, 5, 7, 11), pictures[1][3:10, 5:16])
    cut = np.pad(pictures[0][:39, :51], ((6, 6), (6, 6), (0, 0)), "symmetric")
    assert np.array_equal(held.window(0, 30, 40, 15, 17, (39, 51)), cut[36:51, 46:63])
    some = held.some(np.array([2, 0]))
    assert np.array_equal(some[1], pictures[0]) and len(held.at_least(37)) == 2
    assert np.array_equal(some.join(held)[4], pictures[2])
    with pytest.raises(PaperzooError, match="two different sets"):
        held.join(store(pictures))


def test_squares_lie_anywhere_in_training_and_side_by_side_in_a_grid_else() -> None:
    pictures = noise(*SIZES)
    grid = Squares(store(pictures), 16, random=False)
    assert len(grid) == 2 * 3 + 3 * 2 + 1
    found = grid.take(np.arange(len(grid)))["image"]
    assert found.shape == (13, 3, 16, 16)
    assert torch.equal(found[0], tensor(pictures[0][4:20, 2:18])[0])  # 8 rows and 5 columns are left over
    assert torch.equal(found[5], tensor(pictures[0][20:36, 34:50])[0]) and torch.equal(found[12], tensor(pictures[2][4:20, 4:20])[0])
    anywhere = Squares(store(pictures), 16, random=True)
    assert len(anywhere) == 3
    places = set()
    for image in anywhere.take(np.ones(300, np.int64))["image"]:
        corner = (image[:, :1, :1] == tensor(pictures[1])[0]).all(0).nonzero().tolist()
        (place,) = [(y, x) for y, x in corner if torch.equal(tensor(pictures[1][y : y + 16, x : x + 16])[0], image)]
        places.add(place)
    assert len(places) > 150 and {min(y for y, _ in places), min(x for _, x in places)} <= {0, 1}
    assert max(y for y, _ in places) >= 44 and max(x for _, x in places) >= 20
    torch.manual_seed(3)
    first = anywhere.take(np.arange(3))["image"]
    torch.manual_seed(3)
    assert torch.equal(first, anywhere.take(np.arange(3))["image"])


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_whole_photographs_are_shrunk_as_the_protocol_says(scale: int) -> None:
    pictures = noise(*SIZES)
    column = Pairs(store(pictures), [scale])
    for number, picture in enumerate(pictures):
        found = column.take(np.array([number]))
        high = mod_crop(tensor(picture), scale)
        assert torch.equal(found["high"], high) and torch.equal(found["low"], shrink(high, scale))
        assert found["size"].tolist() == [list(high.shape[2:])] and found["scale"].tolist() == [scale]
        assert found["low"].shape[2] * scale == found["high"].shape[2]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_square_of_low_resolution_is_a_part_of_the_whole_photograph_shrunk(scale: int) -> None:
    """Near the border, too, where the square's own border would give other pixels."""
    pictures = noise((50, 41))
    column, whole = Pairs(store(pictures), [scale], patch=24), mod_crop(tensor(pictures[0]), scale)
    small, side, corners = imresize(whole, Fraction(1, scale)).clamp(0, 1), 24 // scale, set()
    found = column.take(np.zeros(200, np.int64))
    assert found["low"].shape == (200, 3, side, side) and found["high"].shape == (200, 3, 24, 24)
    assert found["scale"].tolist() == [scale] * 200 and found["size"].tolist() == [[24, 24]] * 200
    levels = found["low"] * 255
    assert torch.allclose(levels, levels.round(), atol=1e-4)
    for low, high in zip(found["low"], found["high"], strict=True):
        same = (high[:, :1, :1] == whole[0]).all(0).nonzero().tolist()
        ((top, left),) = [(y, x) for y, x in same if torch.equal(whole[0, :, y : y + 24, x : x + 24], high)]
        assert top % scale == 0 == left % scale
        corners.add((top, left))
        wanted = small[0, :, top // scale :, left // scale :][:, :side, :side]
        assert (low - wanted).abs().max() <= 0.5 / 255 + 1e-5
    ends = [s - 24 for s in whole.shape[2:]]
    assert {t for t, _ in corners} == set(range(0, ends[0] + 1, scale)) and {x for _, x in corners} == set(range(0, ends[1] + 1, scale))


def test_several_scales_one_a_batch_in_training_and_all_in_turn_else() -> None:
    pictures = noise(*SIZES)
    train = Pairs(store(pictures), [2, 3, 4], patch=24)
    seen = {tuple(train.take(np.arange(3))["scale"].tolist()) for _ in range(60)}
    assert seen == {(2, 2, 2), (3, 3, 3), (4, 4, 4)} and len(train) == 3
    test = Pairs(store(pictures), [2, 3, 4])
    assert len(test) == 9
    together = test.take(np.array([4, 0, 8]))
    assert together["scale"].tolist() == [3, 2, 4] and together["size"].tolist() == [[60, 36], [40, 52], [24, 24]]
    assert together["high"].shape == (3, 3, 60, 52) and together["low"].shape == (3, 3, 20, 26)
    for row, (number, scale) in enumerate(((4, 3), (0, 2), (8, 4))):
        alone, (tall, wide) = test.take(np.array([number])), together["size"][row].tolist()
        assert torch.equal(together["high"][row, :, :tall, :wide], alone["high"][0])
        assert torch.equal(together["low"][row, :, : tall // scale, : wide // scale], alone["low"][0])
        assert together["high"][row, :, tall:].sum() == 0 == together["low"][row, :, :, wide // scale :].sum()
    with pytest.raises(PaperzooError, match="squares of 41x41 cannot be shrunk by 2: 40x40 can"):
        Pairs(store(pictures), [2], patch=41)


def test_low_and_high_are_mirrored_as_one() -> None:
    """Mirroring and shrinking can change places, so that a mirrored pair is still a pair."""
    column = Pairs(store(noise((64, 64))), [2], patch=24)
    batch = Batch(**column.take(np.zeros(64, np.int64)))
    turned = augmented(batch, "flip")
    kept = (turned.low == batch.low).flatten(1).all(1)
    assert 10 < kept.sum() < 54 and torch.equal(kept, (turned.high == batch.high).flatten(1).all(1))
    assert torch.equal(turned.low[~kept], batch.low[~kept].flip(3)) and torch.equal(turned.high[~kept], batch.high[~kept].flip(3))
    assert turned.scale is batch.scale
    inside = imresize(turned.high, Fraction(1, 2))[..., 2:-2, 2:-2]
    assert (inside.clamp(0, 1) - turned.low[..., 2:-2, 2:-2]).abs().max() <= 0.5 / 255 + 1e-5
    with pytest.raises(PaperzooError, match="augment=crop4 is for images, but the batch has low, high"):
        augmented(batch, "crop4")


# Packages ------------------------------------------------------------------------------------------------------------


def webp(picture: np.ndarray, kind: str = "WEBP") -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return out.getvalue()


def rcc(files: Mapping[str, bytes], version: int = 3, packed: tuple[str, ...] = ()) -> bytes:
    """A resource file as Qt's rcc writes it: nodes by level, each folder's children side by side."""
    tree: dict[str, Any] = {}
    for path, content in files.items():
        place = tree
        *folders, name = path.split("/")
        for folder in folders:
            place = place.setdefault(folder, {})
        place[name] = content
    nodes, names, data = [("", tree)], b"", b""
    for node in nodes:
        if isinstance(node[1], dict):
            nodes += list(node[1].items())
    out, child = b"", 1
    for name, content in nodes:
        place = len(names)
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
        if isinstance(content, dict):
            out += struct.pack(">IHII", place, 2, len(content), child)
            child += len(content)
        else:
            inside = struct.pack(">I", len(content)) + zlib.compress(content) if name in packed else content
            out += struct.pack(">IHHHI", place, int(name in packed), 0, 1, len(data))
            data += struct.pack(">I", len(inside)) + inside
        out += bytes(8) if version > 1 else b""
    start = 24 if version > 2 else 20
    head = struct.pack(">4s4I", b"qres", version, start, start + len(out), start + len(out) + len(data)) + bytes(start - 20)
    return head + out + data + names


@pytest.mark.parametrize("version", [1, 2, 3])
def test_resource_files(version: int) -> None:
    files = {"a/README": b"about " * 50, "a/b/x.webp": b"xx", "a/b/y.webp": b"", "z": b"end"}
    whole = rcc(files, version, ("README",))
    assert dict(rcc_files(whole, "x.rcc")) == files and len(whole) < 400
    with pytest.raises(PaperzooError, match=r"x.rcc is no Qt resource file: it begins with 50 4b"):
        list(rcc_files(b"PK", "x.rcc"))
    for length in range(8, len(whole) - 1):  # wherever it breaks off: named, or what is left is right
        try:
            assert all(files[name] == data for name, data in rcc_files(whole[:length], "x.rcc") if name in files)
        except PaperzooError as error:
            assert "x.rcc is damaged" in str(error)
    with pytest.raises(PaperzooError, match="more bytes than allowed"):
        list(rcc_files(whole, "x.rcc", limit=20))
    circle = bytearray(whole)
    start = struct.unpack(">I", whole[8:12])[0]
    circle[start + 6 : start + 14] = struct.pack(">II", 2, 0)
    with pytest.raises(PaperzooError, match="is a circle"):
        list(rcc_files(bytes(circle), "x.rcc"))


README = """Copyright: Ann
License: CC-BY-SA 4.0
Files:
key.svg

Copyright: Bea
Source: https://commons.wikimedia.org/wiki/File:X.jpg
License: Public Domain
Files:
a0.webp
a1.webp

Files: a2.webp
License: CC-BY-2.0
Copyright: Cid
"""


def test_credits_and_what_may_be_shown() -> None:
    found = credits(README)
    assert found["a1.webp"] == Credit("Bea", "public domain") and found["a2.webp"] == Credit("Cid", "CC-BY-2.0")
    assert found["key.svg"] == Credit("Ann", "CC-BY-SA-4.0") and len(found) == 4
    text = "Files: 16.04/a.jpg\n       16.04/b.jpg\nCopyright: 2018, Dee\n           2019, Eve\nLicense: CC0-1.0\n\nLicense: X\n x\n"
    debian = credits(text)
    assert debian == dict.fromkeys(("16.04/a.jpg", "16.04/b.jpg"), Credit("2018, Dee, 2019, Eve", "CC0-1.0"))
    terms = ("CC0-1.0", "CC-BY-3.0", "public domain", "CC-BY-SA-4.0", "GPL-3", "not stated")
    assert [one for one in terms if Credit("", one).shown] == ["CC0-1.0", "CC-BY-3.0", "public domain"]


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, dict[str, np.ndarray]]:
    """Two packages of the same form, with 18 photographs of 64x80; six of them may not be shown."""
    pictures = dict(zip((f"a{i}" for i in range(18)), noise(*[(64, 80)] * 18, seed=1), strict=True))
    parts, members = list(pictures.items()), {}
    terms = ["CC0-1.0", "Public domain", "CC-BY-SA-4.0"]
    for number, (activity, below) in enumerate({"erase": "", "explore_monuments": "usa/", "explore_farm_animals": "animals/"}.items()):
        mine = parts[5 * number : 5 * number + 5]
        inside = f"gcompris/src/activities/{activity}/resource/"
        listed = below if activity == "explore_monuments" else ""
        text = "\n\n".join(f"Copyright: N{n}\nLicense: {terms[i % 3]}\nFiles:\n{listed}{n}.webp" for i, (n, _) in enumerate(mine))
        home = inside + (below if activity == "explore_farm_animals" else "")
        files = {f"{home}README": text.encode(), f"{inside}{below}sound.ogg": b"no picture"}
        files |= {f"{inside}{below}{n}.webp": webp(p) for n, p in mine}
        members[f"usr/share/gcompris-qt/rcc/{activity}.rcc"] = rcc(files, packed=("README",))
    members["usr/share/gcompris-qt/rcc/other.rcc"] = b"none of ours"
    gcompris = make_deb(tmp_path / "gcompris.deb", members)
    walls = [(f"w{i}", p) for i, (_, p) in enumerate(parts[15:])] + [("w3", parts[0][1])]
    pictures |= dict(walls)
    about = "\n\n".join(f"Files: 16.04/{n}.jpg\nCopyright: 2018, N{n}\nLicense: CC-BY-4.0" for n, _ in walls)
    members = {f"usr/share/backgrounds/{n}.jpg": webp(p, "PNG") for n, p in walls}
    lomiri = make_deb(tmp_path / "lomiri.deb", {**members, "usr/share/doc/lomiri-wallpapers-16.04/copyright": about.encode()})
    for name, value in {"LOMIRI": ("w0", "w1", "w2", "w3"), "TEST": 4, "VALIDATION": 2}.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    return gcompris, lomiri, pictures


def test_photographs_of_packages_of_the_same_form(packages: tuple[Path, Path, dict[str, np.ndarray]]) -> None:
    gcompris, lomiri, pictures = packages
    built = module.photographs(gcompris, lomiri, image_size=16)
    arrays = module.prepared(f"photographs-1-{sha256(gcompris)[:8]}-{sha256(lomiri)[:8]}", dict)
    names, licence = arrays["name"].tolist(), arrays["licence"].tolist()
    assert len(names) == 19 and names == sorted(names) and isinstance(arrays["pixels"], np.memmap)
    assert {n.split("/")[0] for n in names} == {"erase", "explore_monuments", "explore_farm_animals", "wallpapers"}
    assert "explore_monuments/usa/a7.webp" in names and "wallpapers/w3.jpg" in names
    held = [k for k, split in zip(licence, arrays["split"].tolist(), strict=True) if split]
    assert len(held) == 6 and "CC-BY-SA-4.0" in licence and set(held) <= {"CC0-1.0", "public domain", "CC-BY-4.0"}
    assert arrays["author"].tolist()[names.index("erase/a3.webp")] == "Na3"
    assert {split: len(items.columns[0].photographs) for split, items in built.splits.items()} == {"train": 13, "validation": 2, "test": 4}  # type: ignore[attr-defined]
    whole = Photographs(arrays["pixels"], arrays["sides"])
    wanted = shrink(tensor(pictures["a7"]), 2)
    assert torch.allclose(tensor(whole[names.index("explore_monuments/usa/a7.webp")]), wanted, atol=1e-6)
    assert built.pictures and built["test"].batch([0, 7]).image.shape == (2, 3, 16, 16)
    assert built.schema.arguments == {"channels": 3, "image_size": 16}
    other = make_deb(gcompris.parent / "other.deb", {"usr/share/gcompris-qt/rcc/other.rcc": b"x"})
    with pytest.raises(PaperzooError, match="have no photographs of erase, explore_monuments: another version"):
        module.photographs(other, lomiri)


def test_every_photograph_is_shrunk_by_a_whole_number() -> None:
    (large,) = noise((1050, 3100))
    assert module._shrunk(webp(large, "PNG"), "x").shape == (350, 1033, 3)
    assert module._shrunk(webp(large[:333, :501], "PNG"), "x").shape == (166, 250, 3)
    with pytest.raises(PaperzooError, match=r"broken.webp cannot be read as an image"):
        module._shrunk(b"no picture", "broken.webp")


def test_held_out_sets_name_what_they_lack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    pictures = noise((40, 50), (30, 33))
    deb = make_deb(tmp_path / "x.deb", {f"data/{n}.png": webp(p, "PNG") for n, p in zip("ab", pictures, strict=True)})
    built = module.held_out(deb, "data", ["b.png", "a.png"], "some", 20)
    assert list(built.splits) == ["test"] and len(built["test"]) == 1 + 4 and not built.pictures
    with pytest.raises(PaperzooError, match=r"x.deb lacks c.png: another version of it"):
        module.held_out(deb, "data", ["a.png", "c.png"], "other", 20)


# Published sets ------------------------------------------------------------------------------------------------------


def zipped(path: Path, files: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def served(path: Path, like: Source) -> Source:
    digest = sha256(path) if like.sha256 else ""
    return Source(like.name, "https", like.licence, urls=(path.as_uri(),), sha256=digest, unpinned=like.unpinned)


def several_scales(name: str, pictures: list[np.ndarray]) -> dict[str, bytes]:
    """As SelfExSR packs them: at each scale of its own cut, high and low."""
    files = {f"__MACOSX/{name}/image_SRF_2/._img_001_SRF_2_HR.png": b"nothing", f"{name}/readme.txt": b"x"}
    for scale in (2, 3, 4):
        for number, picture in enumerate(pictures, 1):
            tall, wide = (side - side % scale for side in picture.shape[:2])
            stem = f"{name}/image_SRF_{scale}/img_{number:03d}_SRF_{scale}"
            files |= {f"{stem}_HR.png": webp(picture[:tall, :wide], "PNG"), f"{stem}_LR.png": webp(picture[::scale, ::scale], "PNG")}
    return files


def test_published_sets_by_their_own_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    t91, bsd, set5, train, valid = (noise(*[(33 + i, 41)] * 3, seed=i) for i in range(5))
    packed = {
        "SR_training_datasets.zip": {
            **{f"T91/t{i}.png": webp(p, "PNG") for i, p in enumerate(t91)},
            **{f"BSDS200/{i}.png": webp(p, "PNG") for i, p in enumerate(bsd)},
            "General100/im_1.bmp": webp(set5[0], "BMP"),
        },
        **{f"{name}_SR.zip": several_scales(name, set5) for name in ("Set5", "Set14", "BSD100", "Urban100")},
        "DIV2K_train_HR.zip": {f"DIV2K_train_HR/{i:04d}.png": webp(p, "PNG") for i, p in enumerate(train, 1)},
        "DIV2K_valid_HR.zip": {f"DIV2K_valid_HR/{i:04d}.png": webp(p, "PNG") for i, p in enumerate(valid[:2], 801)},
    }
    served_by = {name: zipped(tmp_path / "home" / name, files) for name, files in packed.items()}
    found = {}
    for name, wanted in {"t91": 3, "291": 6, "div2k": 3, "set5": 0, "set14": 0, "bsd100": 0, "urban100": 0}.items():
        entry = DATASETS[name]
        places = [served(served_by[source.name], source).fetch() for source in entry.sources]
        found[name] = published(*places, **entry.arguments, image_size=33)
        assert {s: len(x.columns[0].all) for s, x in found[name].splits.items()} == {  # type: ignore[attr-defined]
            **({"train": wanted} if wanted else {}), "test": 2 if name == "div2k" else 3
        }
        assert found[name].name == name and not found[name].pictures
    sides = found["set5"]["test"].columns[0].all.sides.tolist()  # type: ignore[attr-defined]
    assert sides == [[34, 40]] * 3  # of 34x40, 33x39 and 32x40, all of high resolution
    folder = tmp_path / "Set5"
    for number, picture in enumerate(set5):
        folder.mkdir(exist_ok=True)
        Image.fromarray(picture).save(folder / f"img_{number}.bmp")
    again = published(folder, kind="set5", parts={"test": ("Set5",)}, image_size=33)["test"].columns[0].all  # type: ignore[attr-defined]
    assert all(np.array_equal(again[i], p) for i, p in enumerate(set5))
    low = {path: content for path, content in several_scales("Set14", set5).items() if "HR" not in path}
    with pytest.raises(PaperzooError, match=r"there is no folder Set14 with pictures"):  # of high resolution
        published(zipped(tmp_path / "low.zip", low), kind="set14", parts={"test": ("Set14",)}, image_size=8)
    with pytest.raises(PaperzooError, match=r"there is no folder Set14 with pictures in .*Set5"):
        published(folder, kind="set14", parts={"test": ("Set14",)})


def test_addresses_are_of_https_or_pinned() -> None:
    for name in ("t91", "291", "div2k", "set5", "set14", "bsd100", "urban100"):
        for source in DATASETS[name].sources:
            assert source.urls[0].startswith("https:") and source.size and bool(source.sha256) != bool(source.unpinned)
            assert source.sha256 or all(url.startswith("https:") for url in source.urls)


# Names ---------------------------------------------------------------------------------------------------------------


def test_scales_in_a_name(tmp_path: Path) -> None:
    assert scales("scale=3", "x") == (3,) and scales("scale=4,2", "x") == (2, 4)
    for bad, said in {
        "scale=5": "photographs: scale 5 is not among 2, 3, 4",
        "scale=2,8": "scale 8 is not among",
        "scale=two": "scale=two is no whole number",
        "scale=": "write #scale=..., once",
        "scale=2&patch=9": "unknown option 'patch' of photographs: there is scale",
    }.items():
        with pytest.raises(PaperzooError, match=said):
            dataset(f"photographs#{bad}")
    with pytest.raises(PaperzooError, match=r"digits#scale=2: only photographs that are there whole .* photographs#scale=2"):
        dataset("digits#scale=2")
    for stem, parts in {
        "0001x2": ("0001", "X2"), "baby_x4": ("baby", "X4"), "baby": ("baby", ""), "apex2": ("apex2", ""),
        "img_001_SRF_2_HR": ("img_001", "SRF_2_HR"), "img_001_SRF_4_LR": ("img_001", "SRF_4_LR"),
        "house-hr": ("house", "HR"), "her": ("her", ""), "0801": ("0801", ""),
    }.items():  # fmt: skip
        assert scale_of(stem) == parts, stem


# The user's own ------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    (tmp_path / "mine" / "deep").mkdir(parents=True)
    for number, picture in enumerate(noise(*[(40 + i, 50) for i in range(20)])):
        Image.fromarray(picture).save(tmp_path / "mine" / ("deep" if number % 2 else "") / f"{number:02d}.png")
    return tmp_path / "mine"


def test_own_photographs_at_their_size(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        built = dataset(f"photos:{folder}#scale=2", image_size=32)
    assert sum(len(split) for split in built.splits.values()) == 20 and set(built.splits) == {"train", "validation", "test"}
    batch = built["train"].batch(range(4))
    assert batch.low.shape == (4, 3, 16, 16) and batch.high.shape == (4, 3, 32, 32)
    assert built.schema.fields == ("low", "high", "scale", "size") and built.name == f"photos:{folder}#scale=2"
    assert built.schema.arguments == {"channels": 3, "image_size": 32, "scales": (2,), "scale": 2}
    whole = {tuple(built[s].batch([i]).size[0].tolist()) for s in ("validation", "test") for i in range(len(built[s]))}
    assert whole <= {(40 + i - i % 2, 50) for i in range(20)} and whole
    assert dataset(f"photos:{folder}", image_size=32).schema.fields == ("image",)


def test_own_splits_are_kept_and_every_kind_of_picture_is_read(folder: Path) -> None:
    kinds = {
        "deep16.png": Image.fromarray((np.arange(40 * 50).reshape(40, 50) * 30).astype(np.uint16)),
        "cmyk.jpg": Image.new("CMYK", (50, 40), (0, 255, 255, 0)),
        "palette.png": Image.fromarray(noise((40, 50))[0]).quantize(16),
        "grey.png": Image.new("L", (50, 40), 77),
        "alpha.png": Image.new("RGBA", (50, 40), (255, 0, 0, 0)),
    }
    for split in ("test", "validation"):
        (folder.parent / "sorted" / split).mkdir(parents=True)
        Image.fromarray(noise((40, 50), seed=9 + (split == "test"))[0]).save(folder.parent / "sorted" / split / "a.png")
    (folder.parent / "sorted" / "train").mkdir()
    for name, image in kinds.items():
        image.save(folder.parent / "sorted" / "train" / name)
    built = dataset(f"photos:{folder.parent / 'sorted'}", image_size=40)
    assert {s: len(x) for s, x in built.splits.items()} == {"train": 5, "validation": 1, "test": 1}
    alpha, cmyk, deep, grey, palette = built["train"].batch(range(5)).image
    assert alpha.unique().tolist() == [1] and grey.unique().mul(255).round().tolist() == [77]
    assert cmyk[0].min() > 0.9 and cmyk[1:].max() < 0.1
    assert torch.equal(deep[0], deep[1]) and deep.max() <= 60000 / 65535 + 0.01 and len(deep.unique()) > 100
    assert palette.flatten(1).unique(dim=1).shape[1] <= 16


def test_what_is_too_small_or_cannot_be_read_is_said(folder: Path) -> None:
    Image.new("RGB", (20, 90)).save(folder / "narrow.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.warns(UserWarning) as caught:
        built = dataset(f"photos:{folder}", image_size=40)
    said = " ".join(str(w.message) for w in caught)
    assert "1 of 22 photographs in" in said and "broken.png" in said and "cannot be read" in said
    assert "photographs to train on in" in said and "are smaller than 40x40 and left out: narrow.png" in said
    assert sum(len(s.columns[0].all) for s in built.splits.values()) == 21  # type: ignore[attr-defined]
    with pytest.raises(PaperzooError, match=r"1 of 22 photographs in .* cannot be read: broken.png"):
        dataset(f"photos:{folder}", image_size=40, strict=True)
    (folder / "broken.png").unlink()
    with pytest.raises(PaperzooError, match=r"none of the \d+ photographs of train in .* has 96x96 pixels: image_size is at most 50"):
        dataset(f"photos:{folder}")
    with pytest.raises(PaperzooError, match="squares of 33x33 cannot be shrunk by 2: 32x32 can"):
        dataset(f"photos:{folder}#scale=2", image_size=33)
    with pytest.raises(PaperzooError, match="has 3 channels, not 1"):
        dataset(f"photos:{folder}", image_size=40, channels=1)


def test_a_folder_that_mixes_scales_is_refused(folder: Path) -> None:
    Image.new("RGB", (25, 20)).save(folder / "deep" / "00x2.png")
    said = r"holds the same picture at several scales, 00.png and deep/00x2.png: keep those of the highest resolution"
    with pytest.raises(PaperzooError, match=said):
        dataset(f"photos:{folder}", image_size=32)


def test_a_changed_photograph_is_read_anew(folder: Path) -> None:
    before = dataset(f"photos:{folder}", image_size=32)
    Image.fromarray(noise((60, 60), seed=77)[0]).save(folder / "00.png")
    from paperzoo.data import datasets

    datasets._build.cache_clear()
    after = dataset(f"photos:{folder}", image_size=32)
    sides = [sorted(map(tuple, np.concatenate([s.columns[0].all.sides for s in b.splits.values()]).tolist())) for b in (before, after)]  # type: ignore[attr-defined]
    assert (40, 50) in sides[0] and (60, 60) in sides[1] and (40, 50) not in sides[1]


def test_low_resolution_is_in_8_bits_of_the_true_photograph(folder: Path) -> None:
    built = dataset(f"photos:{folder}#scale=4", image_size=32)
    batch = built["test"].batch([0])
    assert torch.equal(batch.low, eight_bits(imresize(batch.high, Fraction(1, 4))))
