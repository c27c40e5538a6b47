"""Folders as people have them: which files are read, which are the same, how they are split, and what is said of the rest."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.files import picture, type_in, write_frames, write_video
from PIL import Image

import paperzoo
from paperzoo.data import Dataset
from paperzoo.data.datasets import dataset
from paperzoo.data.images import folders
from paperzoo.data.images.folders import image_folder, imagenet_folder
from paperzoo.data.listing import copies, cut, in_order, share
from paperzoo.data.pictures import suffixes
from paperzoo.data.video.videos import video_folder
from paperzoo.errors import PaperzooError


def read(folder: Path, *size: int, **options: Any) -> tuple[Dataset, list[str]]:
    """The data set of a folder and what was said while it was read."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        built = image_folder(folder, *(size or (8,)), **options)
    return built, [str(one.message) for one in caught]


def kinds(root: Path, *names: str, each: int = 20) -> Path:
    """Class folders of pictures that are all different."""
    for number, name in enumerate(names):
        for i in range(each):
            picture(root / name / f"{i}.png", (number % 256, i % 256, i // 256 + 1))
    return root


def sizes(built: Dataset) -> dict[str, int]:
    return {name: len(split) for name, split in built.splits.items()}


# Which files ---------------------------------------------------------------------------------------------------------


def test_every_picture_that_pillow_opens_is_read(tmp_path: Path) -> None:
    """A file of each format that Pillow writes, under each of its suffixes, in both cases."""
    Image.init()
    written = 0
    for suffix, format in Image.registered_extensions().items():
        if suffix not in suffixes() or format not in Image.SAVE:
            continue
        for number, name in enumerate((f"a{suffix}", f"b{suffix.upper()}")):
            for mode in ("RGB", "RGBA", "L", "1", "P"):
                try:
                    Image.new("RGB", (16, 16), (written % 256, number, 99)).convert(mode).save(tmp_path / name, format)
                    written += 1
                    break
                except (OSError, ValueError):  # a mode that this format has not
                    (tmp_path / name).unlink(missing_ok=True)
    built, said = read(tmp_path)
    assert written > 60 and sum(sizes(built).values()) == written, said
    assert not [text for text in said if "left out" in text]
    assert {".jfif", ".avif", ".jpe", ".jp2", ".ppm", ".tga", ".ico", ".psd", ".qoi", ".apng"} <= set(suffixes())
    assert not {".eps", ".mpg", ".h5", ".pdf", ".wmf"} & set(suffixes())


def test_pictures_without_a_suffix_are_known_by_their_first_bytes(tmp_path: Path) -> None:
    for number, format in enumerate(("PNG", "JPEG", "GIF", "WEBP", "AVIF")):
        picture(tmp_path / f"IMG_{number}", (number * 50, 9, 9), format=format)
    picture(tmp_path / "photo.png_large", (1, 2, 3), format="PNG")
    (tmp_path / "README").write_text("GIF images of cats")
    (tmp_path / "labels.csv").write_text("a,b\n")
    built, _ = read(tmp_path)
    assert sum(sizes(built).values()) == 6


def test_what_looks_like_a_picture_and_cannot_be_read_is_counted_and_named(tmp_path: Path) -> None:
    kinds(tmp_path, "ant", "bee")
    for name in ("a.heic", "b.HEIC", "c.svg", "d.CR2", "e.eps"):
        (tmp_path / "ant" / name).write_bytes(b"%!PS" if name[0] == "e" else b"II*\0")
    built, said = read(tmp_path)
    assert sum(sizes(built).values()) == 40
    (left,) = [text for text in said if "left out" in text]
    assert "5 pictures of a kind that is not read here (convert them to PNG): ant/a.heic, ant/b.HEIC, ant/c.svg, ..." in left
    with pytest.raises(PaperzooError, match="5 pictures of a kind that is not read here"):
        image_folder(tmp_path, 8, strict=True)


def test_pipes_devices_and_circles_do_not_hang(tmp_path: Path) -> None:
    kinds(tmp_path / "own", "ant", "bee")
    ant = tmp_path / "own" / "ant"
    os.mkfifo(ant / "pipe.png")
    os.mkfifo(ant / "pipe")
    (ant / "zero.png").symlink_to("/dev/zero")
    (ant / "self.png").symlink_to(ant / "self.png")
    (ant / "gone.png").symlink_to(ant / "nowhere")
    (ant / "up").symlink_to(tmp_path / "own")
    (ant / "again").symlink_to(ant)
    picture(tmp_path / "elsewhere" / "deep" / "x.png", (200, 200, 1))
    (ant / "linked").symlink_to(tmp_path / "elsewhere")
    picture(ant / "deep" / "y.png", (201, 200, 1))
    script = "import warnings, sys; from pathlib import Path; from paperzoo.data.images.folders import image_folder\n"
    script += f"built = image_folder(Path({str(tmp_path / 'own')!r}), 8); print(sum(map(len, built.splits.values())))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "42", done.stderr  # those of the linked folder and of the one within too
    assert "3 pipes, devices or sockets, which are never opened: ant/pipe, ant/pipe.png, ant/zero.png" in done.stderr
    assert "2 links to nothing, or files that may not be read: ant/gone.png, ant/self.png" in done.stderr
    assert "2 links to a folder that they lie in: ant/again, ant/up" in done.stderr


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    kinds(tmp_path, "ant", "bee")
    one = os.fsencode(tmp_path / "ant") + b"/caf\xe9.png"
    os.rename(tmp_path / "ant" / "0.png", one)
    built, said = read(tmp_path)
    assert sum(sizes(built).values()) == 40 and all(text.isprintable() for text in said)
    os.rename(tmp_path / "bee", os.fsencode(tmp_path) + b"/b\xe9e")
    with pytest.raises(PaperzooError, match=r"the name of the class folder .*b\\udce9e is not UTF-8: rename it"):
        image_folder(tmp_path, 8)


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds(tmp_path, "ant", "bee", "cat")
    whole = Path.iterdir

    def refused(self: Path) -> Any:
        if self.name == "cat" or self.name == "locked":
            raise PermissionError(13, "Permission denied")
        return whole(self)

    monkeypatch.setattr(Path, "iterdir", refused)
    _, said = read(tmp_path)
    assert any("1 folders that may not be read: cat. They are left out" in text for text in said)
    (tmp_path / "locked").mkdir()
    with pytest.raises(PaperzooError, match="locked cannot be read: Permission denied"):
        image_folder(tmp_path / "locked", 8)


# Classes and splits --------------------------------------------------------------------------------------------------


def test_class_folders_that_are_numbers_sort_as_numbers(tmp_path: Path) -> None:
    names = ("0", "1", "2", "3", "10", "11", "100")
    built, _ = read(kinds(tmp_path / "whole", *names[::-1], each=3))
    assert built.schema.names == names
    for split in built.splits.values():  # red says which folder an image is from
        batch = split.batch(range(len(split)))
        red = (batch.image[:, 0, 0, 0] * 255).round().long()
        assert (6 - red == batch.label).all()
    assert [p.name for p in in_order([Path(n) for n in ("10", "-1", "2.5", "02", "2")])] == ["-1", "02", "2", "2.5", "10"]
    assert [p.name for p in in_order([Path(n) for n in ("10", "2", "x")])] == ["10", "2", "x"]  # names, if one is no number
    for split in ("train", "test"):
        kinds(tmp_path / "given" / split, "9", "10", each=2)
    assert read(tmp_path / "given")[0].schema.names == ("9", "10")


def test_splits_are_stratified(tmp_path: Path) -> None:
    each = {"ant": 30, "bee": 100, "cat": 7, "dog": 3, "eel": 2}
    for number, (name, count) in enumerate(each.items()):
        for i in range(count):
            picture(tmp_path / name / f"{i}.png", (number, i, 200), size=(2, 2))
    built, said = read(tmp_path)
    counts = {s: Counter(split.batch(range(len(split))).label.tolist()) for s, split in built.splits.items()}
    for number, count in enumerate(each.values()):
        for split in ("test", "validation"):
            least = 0 if split == "validation" and count < 3 else max(1, np.ceil(0.04 * count))
            assert least <= counts[split][number] <= max(1, 0.16 * count), (split, number)
        assert sum(c[number] for c in counts.values()) == count and counts["train"][number] > 0
    assert any("test of" in t and "fewer than 10 items of" in t and "(cat: 1, dog: 1, eel: 1, ...)" in t for t in said)


def test_any_folder_is_cut_whole_and_once(tmp_path: Path) -> None:
    """Whatever classes and copies there are: nothing is lost, copies stay together, every class trains, where there is enough."""
    random = np.random.default_rng(0)
    for _ in range(300):
        classes = int(random.integers(1, 5))
        files = [(tmp_path / str(k) / f"{random.integers(1 << 30)}.png", k) for k in range(classes) for _ in range(random.integers(1, 25))]
        files = sorted(dict.fromkeys(files))
        groups, rest = [], [path for path, _ in files]
        random.shuffle(rest)  # type: ignore[arg-type]
        while len(rest) > 5 and random.random() < 0.7:
            groups.append([rest.pop() for _ in range(random.integers(2, 5))])
        try:
            done = cut({"train": files}, tmp_path, groups)
        except PaperzooError:
            assert len(files) - sum(len(g) - 1 for g in groups) < 3 * classes + 2
            continue
        assert sorted(item for items in done.values() for item in items) == files
        where = {path: split for split, items in done.items() for path, _ in items}
        assert all(len({where[path] for path in group}) == 1 for group in groups)
        if not groups:
            assert {label for _, label in done["train"]} == set(range(classes))
            for split in set(done) - {"train"}:
                have, total = (Counter(label for _, label in items) for items in (done[split], files))
                assert all(n <= max(1, 0.16 * total[k]) for k, n in have.items())


def test_shares_are_the_rule_and_are_pinned(tmp_path: Path) -> None:
    """Where a file goes is a function of its path below the root alone, the same on every machine and in every version."""
    assert share(tmp_path / "ant" / "é.png", tmp_path) == pytest.approx(0.81477, abs=1e-5)
    files = sorted((tmp_path / "ant" / f"{i}.png", 0) for i in range(1000))
    done = cut({"train": files}, tmp_path)
    assert all((share(p, tmp_path) < 0.1) == (s == "test") for s, items in done.items() for p, _ in items)
    assert all((0.1 <= share(p, tmp_path) < 0.2) == (s == "validation") for s, items in done.items() for p, _ in items)


def test_a_split_that_lacks_a_class_is_said(tmp_path: Path) -> None:
    kinds(tmp_path / "train", "a", "b", "c", each=12)
    for number, (split, name) in enumerate([("val", "b"), ("val", "c"), ("test", "a"), ("test", "c")]):
        for i in range(12):
            picture(tmp_path / split / name / f"{i}.png", (number, i, 77))
    (tmp_path / "train" / ".ipynb_checkpoints").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    built, said = read(tmp_path)
    assert sizes(built) == {"train": 36, "validation": 24, "test": 24} and built.schema.names == ("a", "b", "c")
    assert any(text.startswith("validation of") and text.endswith("has nothing of a") for text in said)
    assert any(text.startswith("test of") and text.endswith("has nothing of b") for text in said)


def test_two_folders_for_one_split_and_folders_beside_splits(tmp_path: Path) -> None:
    for split in ("train", "val", "valid"):
        kinds(tmp_path / split, "a", "b", each=3)
    with pytest.raises(PaperzooError, match="has both val and valid for its validation images: keep one"):
        image_folder(tmp_path, 8)
    (tmp_path / "valid").rename(tmp_path / "extra")
    kinds(tmp_path / "extra", "c", each=3)
    built, said = read(tmp_path)
    assert built.schema.names == ("extra", "train", "val")
    assert any("has extra beside train and val: all are taken as classes, none as a split" in text for text in said)


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("Training", "Testing"), {"train", "validation", "test"}),
        (("train", "dev"), {"train", "validation", "test"}),
        (("train", "eval"), "train and eval hold the same folders"),
        (("train_images", "test_images"), "train_images and test_images hold the same folders"),
        (("train", "test", "holdout"), "train and holdout hold the same folders"),
        (("seg_train", "test"), "seg_train and test hold the same folders"),
    ],
)
def test_splits_under_other_names_are_no_classes(names: tuple[str, ...], splits: set[str] | str, tmp_path: Path) -> None:
    for number, split in enumerate(names):
        kinds(tmp_path / split, "a", "b", each=12 + number)
    if isinstance(splits, str):
        with pytest.raises(PaperzooError, match=rf"{splits} \(a, b\), as splits do; call splits train, validation"):
            image_folder(tmp_path, 8)
    else:
        built, _ = read(tmp_path)
        assert set(sizes(built)) == splits and built.schema.names == ("a", "b")
        assert sizes(built)["test" if "Testing" in names else "validation"] == 26


def test_a_class_of_which_nothing_can_be_read_is_named(tmp_path: Path) -> None:
    kinds(tmp_path, "a", "b", each=3)
    for path in (tmp_path / "a").iterdir():
        path.write_text("no picture")
    with pytest.raises(PaperzooError, match="no image of the class a can be used to train on"), pytest.warns(UserWarning):
        image_folder(tmp_path, 8)


def test_class_folders_in_a_folder_are_found(tmp_path: Path) -> None:
    kinds(tmp_path / "data" / "images", "a", "b", each=6)
    _, said = read(tmp_path)
    hint = f"read without labels; if a, b are classes, give their folder, {tmp_path}/data/images"
    assert any(hint in text for text in said)


# Copies --------------------------------------------------------------------------------------------------------------


def test_files_of_equal_content_are_found(tmp_path: Path) -> None:
    for name, content in {"a": b"x" * 9000, "b": b"x" * 9000, "c": b"y" + b"x" * 8999, "d": b"x" * 8999, "e": b"", "f": b""}.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "g").symlink_to(tmp_path / "a")
    found = copies([*sorted(tmp_path.iterdir()), tmp_path / "none"])
    assert sorted([p.name for p in group] for group in found) == [["a", "b", "g"], ["e", "f"]]


def test_copies_stay_in_one_split_and_do_not_leak(tmp_path: Path) -> None:
    for i in range(30):
        for kind in ("no", "yes"):
            one = picture(tmp_path / kind / f"IMG_{i:03d}.png", (i, kind == "yes", 0))
            for suffix in (" (1)", " (2)", " - Copy"):
                (tmp_path / kind / f"IMG_{i:03d}{suffix}.png").write_bytes(one.read_bytes())
    built, said = read(tmp_path)
    colours = {s: {tuple(c) for c in split.batch(range(len(split))).image[:, :, 0, 0].tolist()} for s, split in built.splits.items()}
    assert sum(sizes(built).values()) == 240 and sum(map(len, colours.values())) == 60
    assert all(len(split) % 4 == 0 for split in built.splits.values())
    (text,) = [t for t in said if "different ones" in t]
    assert "the 240 files" in text and "hold 60 different ones; copies (no/IMG_000 (1).png and no/IMG_000 (2).png, " in text


def test_copies_under_two_classes_and_in_two_given_splits_are_named(tmp_path: Path) -> None:
    kinds(tmp_path / "cut", "ant", "bee")
    (tmp_path / "cut" / "bee" / "same.png").write_bytes((tmp_path / "cut" / "ant" / "3.png").read_bytes())
    built, said = read(tmp_path / "cut")
    (text,) = [t for t in said if "different ones" in t]
    assert "1 lie under two classes (ant/3.png and bee/same.png), so that one of the labels is wrong" in text
    assert sum(sizes(built).values()) == 41
    kinds(tmp_path / "given" / "train", "ant", "bee")
    picture(tmp_path / "given" / "test" / "ant" / "new.png", (99, 99, 99))
    (tmp_path / "given" / "test" / "bee").mkdir()
    for name in ("4.png", "5.png"):
        (tmp_path / "given" / "test" / "bee" / name).write_bytes((tmp_path / "given" / "train" / "bee" / name).read_bytes())
    built, said = read(tmp_path / "given")
    (text,) = [t for t in said if "different ones" in t]
    assert "2 lie in two splits (train/bee/4.png and test/bee/4.png, train/bee/5.png and test/bee/5.png)" in text
    assert "what is tested has been trained on; the folders are left as they are" in text and len(built["test"]) == 3


def test_lazy_folders_are_cut_as_others_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds(tmp_path, "ant", "bee")
    (tmp_path / "ant" / "copy.png").write_bytes((tmp_path / "ant" / "3.png").read_bytes())
    kept, said = read(tmp_path)
    monkeypatch.setattr(folders, "LARGE", 100)
    lazy, again = read(tmp_path)
    assert sizes(kept) == sizes(lazy) and said == again and kept.schema.picture == lazy.schema.picture


def test_imagenet_says_what_it_leaves_out(tmp_path: Path) -> None:
    for split in ("train", "val"):
        kinds(tmp_path / split, "n01", "n02", each=2)
    (tmp_path / "train" / "n01" / "a.heic").touch()
    with pytest.warns(UserWarning, match="1 pictures of a kind that is not read here .*: train/n01/a.heic"):
        imagenet_folder(tmp_path, 8)


# Videos --------------------------------------------------------------------------------------------------------------


def test_folders_of_videos_say_what_they_leave_out_and_keep_copies_together(tmp_path: Path) -> None:
    for name in ("2", "10"):
        for number in range(8):
            write_frames(tmp_path / name / f"clip{number}", 3 + number, 12 + int(name))
    film = write_video(tmp_path / "2" / "a.avi", 5)
    (tmp_path / "10" / "b.wmv").write_bytes(film.read_bytes())
    write_frames(tmp_path / "2" / "again", 3, 14)  # as clip0
    os.mkfifo(tmp_path / "2" / "pipe.avi")
    (tmp_path / "2" / "nothing").mkdir()
    picture(tmp_path / "10" / "poster.png")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        built = video_folder(tmp_path, 8)
    said = [str(one.message) for one in caught]
    assert built.schema.names == ("2", "10") and sum(sizes(built).values()) == 19
    (left,) = [text for text in said if "left out" in text]
    assert "1 pipes, devices or sockets, which are never opened: 2/pipe.avi" in left
    assert "1 folders in class folders that have no frames: 2/nothing" in left
    assert "1 pictures in no folder of frames: 10/poster.png" in left
    (text,) = [text for text in said if "different ones" in text]
    assert "the 19 files" in text and "hold 17 different ones" in text
    assert "1 lie under two classes (10/b.wmv and 2/a.avi)" in text


# The command line ----------------------------------------------------------------------------------------------------


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.chdir(tmp_path)
    return lambda *words: type_in(*words, capsys=capsys, monkeypatch=monkeypatch)


def test_several_files_to_predict(run: Any, tmp_path: Path) -> None:
    kinds(tmp_path / "own", "leaf [healthy]", "leaf [b]\x1b[31m", each=6)
    code, out, _ = run("train", "lenet", "--recipe", "smoke", "--set", "steps=2", "--data", "folder:own", "--out", "r")
    assert code == 0
    folder = out.strip().splitlines()[-1]
    good = ["own/leaf [healthy]/0.png", "own/leaf [healthy]/1.png"]
    Path("bad.png").write_text("no picture")
    os.mkfifo("pipe.png")
    code, out, err = run("predict", folder, good[0], "bad.png", "pipe.png", "own", "/dev/zero", "none.png", good[1])
    lines = out.splitlines()
    assert code == 2 and [line.partition(": ")[0] for line in lines] == good
    assert all("leaf [healthy] (" in line and "leaf [b]\\x1b[31m (" in line and "\x1b" not in line for line in lines)
    known, *said = err.splitlines()
    assert known.startswith(f"{folder} knows 2 answers") and "\x1b" not in known
    assert [line[10:24] for line in said] == [
        "bad.png cannot", "pipe.png is a ", "own is a folde", "/dev/zero is a", "there is no im",
    ]  # fmt: skip
    code, out, err = run("predict", folder, *good)
    assert code == 0 and out.splitlines() == lines and err.splitlines() == [known]
    code, out, err = run("predict", folder, good[0])
    assert code == 0 and out.strip() == lines[0].partition(": ")[2]
    code, out, err = run("predict", folder, "bad.png")
    assert code == 2 and not out and len(err.splitlines()) == 1


def test_a_class_is_asked_for_by_its_name(run: Any, tmp_path: Path) -> None:
    kinds(tmp_path / "own", "1", "2", "10", each=4)
    code, out, _ = run("train", "cgan", "--recipe", "smoke", "--set", "steps=2", "--data", "folder:own", "--out", "r")
    assert code == 0
    folder = out.strip().splitlines()[-1]
    model: Any = paperzoo.load(folder)
    assert model.names == ("1", "2", "10") and [model.named(name) for name in ("1", "2", "10")] == [0, 1, 2]
    code, out, _ = run("sample", folder, "-n", "4", "--label", "10", "--out", "ten.png")
    assert code == 0 and (model.sample(4, 0, "10") == model.sample(4, 0, 2)).all()
    code, _, err = run("sample", folder, "--label", "0", "--out", "none.png")  # the number of a class, but the name of none
    assert code == 2 and "unknown label '0' of cgan" in err and not Path("none.png").exists()
    model.names = ("cat", "dog", "7up")
    assert [model.named(name) for name in ("dog", "2", "7up")] == [1, 2, 2]  # by number too, where names are no numbers
    for wrong in ("3", "dgo", "-1", "1e9", "", "\N{SUPERSCRIPT TWO}"):
        with pytest.raises(PaperzooError, match=r"unknown label .* of cgan"):
            model.named(wrong)
    model.names = ()
    assert model.named("2") == 2 and model.named(None) is None
    with pytest.raises(PaperzooError, match="its classes are 0 to 2"):
        model.named("3")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--seed", "-1"), "--seed is a whole number from 0"), (("--seed", str(10**30)), "--seed is a whole number from 0"),
        (("-n", "0"), "-n is a whole number from 1 to 10000, not 0"), (("-n", "100000000000"), "-n is a whole number from 1 to 10000"),
        (("--out", "/dev/null"), "it is a device"), (("--out", "."), "name a file"), (("--out", "folder"), "it is a folder"),
        (("--out", "link.png"), "it is a link"), (("--out", "n" * 300), "name too long"), (("--label", "3"), "unknown option '--label'"),
        (("--sed", "3"), "did you mean --seed"), (("--length", "3"), "unknown option '--length' of dcgan"),
    ],
    ids=str,
)  # fmt: skip
def test_samples_that_cannot_be_had_are_one_sentence(run: Any, tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "target").write_text("mine")
    (tmp_path / "link.png").symlink_to("target")
    code, out, err = run("sample", "dcgan", *(() if "-n" in words else ("-n", "4")), *words)
    assert code == 2 and says in err and len(err.splitlines()) == 1 and not out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "link.png", "target"] and (tmp_path / "target").read_text() == "mine"


@pytest.mark.parametrize("place", ["~nosuchuser", "n" * 5000, "x/" * 3000, "pipe"])
def test_data_that_are_not_there_are_one_sentence(run: Any, place: str) -> None:
    os.mkfifo("pipe")
    code, _, err = run("train", "lenet", "--recipe", "smoke", "--data", f"folder:{place}", "--out", "r")
    assert code == 2 and len(err.splitlines()) == 1 and not Path("r").exists()


def test_names_in_figures_are_no_formulas(tmp_path: Path) -> None:
    kinds(tmp_path / "own", "$\\frac{$", "cost $5", "\x1b$x$", each=12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = paperzoo.train("lenet", "smoke", f"folder:{tmp_path / 'own'}", out=tmp_path / "r", overrides={"steps": 2})
        other = paperzoo.train("aae", "smoke", f"folder:{tmp_path / 'own'}", out=tmp_path / "r", overrides={"steps": 2})
    assert any("confusion" in p.name for p in done.figures) and other.figures
    assert dataset(f"folder:{tmp_path / 'own'}").schema.names == ("\x1b$x$", "$\\frac{$", "cost $5")


def test_a_network_with_more_outputs_than_the_folder_has_classes_is_drawn_all_the_same(tmp_path: Path) -> None:
    kinds(tmp_path / "own", "ant", "bee", each=12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = {"steps": 1, "model.classes": 10}
        done = paperzoo.train("lenet", "smoke", f"folder:{tmp_path / 'own'}", out=tmp_path / "r", overrides=given)
    assert any("confusion" in p.name for p in done.figures)
