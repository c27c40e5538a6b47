"""Data larger than memory: shards hold what the files they were made of hold, are made once, and are checked when they are read."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.files import picture, type_in
from PIL import Image

import paperzoo
from paperzoo.data import Dataset, datasets
from paperzoo.data.datasets import dataset, prepare
from paperzoo.data.fetch import shards
from paperzoo.data.images import folders
from paperzoo.data.images.shards import ImageShards, _rows, name_of
from paperzoo.data.order import Order
from paperzoo.errors import PaperzooError

pytest.importorskip("pyarrow")
SIDE = 8


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own, in which a folder of pictures is large, a shard has 4 of them, and a block 3."""
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(folders, "LARGE", 100)
    monkeypatch.setattr(shards, "SHARD", 4 * 3 * SIDE**2)
    monkeypatch.setattr(shards, "BLOCK", 3 * 3 * SIDE**2)
    monkeypatch.setattr(shards, "LET_GO", 4)
    for cached in (datasets._build, datasets._changed):
        cached.cache_clear()


def photographs(root: Path, count: int = 14, kinds: tuple[str, ...] = ("ant", "bee")) -> Path:
    """Class folders of pictures that are all different."""
    noise = np.random.default_rng(0)
    for number, kind in enumerate(kinds):
        for i in range(count):
            path = picture(root / kind / f"{i:02d}.png", (number, i, 0), (20, 12))
            Image.fromarray(noise.integers(0, 256, (12, 20, 3), np.uint8)).save(path)
    return root


def everything(built: Dataset) -> dict[str, tuple[torch.Tensor, ...]]:
    batches = {name: split.batch(range(len(split))) for name, split in built.splits.items()}
    return {name: (batch.image, *([batch.label] if hasattr(batch, "label") else [])) for name, batch in batches.items()}


def same(a: Dataset, b: Dataset) -> bool:
    left, right = everything(a), everything(b)
    return left.keys() == right.keys() and all(all(map(torch.equal, left[k], right[k])) for k in left)


def stored(built: Dataset, split: str = "train") -> ImageShards:
    column = built[split].columns[0]
    assert isinstance(column, ImageShards)
    return column


def test_shards_equal_memory_and_files_item_for_item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of a training, of joined splits, and of a few images of each class."""
    name = f"folder:{photographs(tmp_path / 'pictures')}"
    files = dataset(name, SIDE)
    assert prepare(name, SIDE) == 3
    kept = dataset(name, SIDE)
    assert same(kept, files) and kept.schema == files.schema
    assert len(stored(kept).stores[0].layout.shape) == 3 and stored(kept).stores[0].layout.shards == 6
    with monkeypatch.context() as patch:
        patch.setattr(folders, "LARGE", 2**30)
        datasets._build.cache_clear()
        memory = dataset(name, SIDE)
        assert type(memory["train"].columns[0]).__name__ == "Images" and same(kept, memory)
    order = Order(len(kept["train"]), 5, "shuffle", seed=3)
    for iteration in (9, 0, 4):  # any batch without those before it, as a training that goes on wants it
        numbers = order.batch(iteration)
        assert torch.equal(kept["train"].batch(numbers).image, memory["train"].batch(numbers).image)
    whole = "train+validation+test"
    assert torch.equal(kept.joined(whole).batch([27, 0, 13]).image, memory.joined(whole).batch([27, 0, 13]).image)
    datasets._build.cache_clear()
    few = dataset(f"{name}@3", SIDE)
    assert len(stored(few)) == 6
    datasets._build.cache_clear()
    monkeypatch.setattr(folders, "LARGE", 2**30)
    assert same(few, dataset(f"{name}@3", SIDE))


def test_a_training_and_one_that_goes_on_are_those_of_files(tmp_path: Path) -> None:
    """Weights are equal bit for bit: of a run on files, of one on shards, and of one that began on files and went on upon shards."""
    name = f"folder:{photographs(tmp_path / 'pictures')}"
    settings = {"steps": 4, "batch_size": 5, "checkpoint_every": 2, "model.image_size": SIDE * 4}

    def weights(run: Any) -> dict[str, torch.Tensor]:
        return dict(run.model.state_dict())

    files = paperzoo.train("lenet", "smoke", data=name, out=tmp_path / "files", overrides=settings)
    halfway = files.directory.parent / "halfway"
    shutil.copytree(files.directory, halfway)
    for last in (halfway / "checkpoints" / "00000004.safetensors", halfway / "result.json"):  # as if it was killed
        last.unlink()
    assert prepare(name, SIDE * 4, files.model.channels) == 3
    stored(dataset(name, SIDE * 4, files.model.channels))
    kept = paperzoo.train("lenet", "smoke", data=name, out=tmp_path / "shards", overrides=settings)
    gone_on = paperzoo.resume(halfway)
    assert (halfway / "checkpoints" / "00000004.safetensors").is_file()
    assert [key for key, value in weights(files).items() if not torch.equal(value, weights(kept)[key])] == []
    assert [key for key, value in weights(files).items() if not torch.equal(value, weights(gone_on)[key])] == []


def test_imagenet_is_prepared_at_its_own_sizes(tmp_path: Path) -> None:
    place = tmp_path / "cache" / "sources" / "imagenet"
    for split, count in (("train", 5), ("val", 2)):
        photographs(place / split, count)
    files = dataset("imagenet", 7)
    assert prepare("imagenet", 7) == 2
    kept = dataset("imagenet", 7)
    assert same(kept, files) and kept.schema == files.schema
    assert (stored(kept).stores[0].layout.shape, stored(kept, "test").stores[0].layout.shape) == ((3, 8, 8), (3, 7, 7))


def test_unpaired_domains_are_prepared_too(tmp_path: Path) -> None:
    photographs(tmp_path / "two", kinds=("A", "B"))
    name = f"unpaired:{tmp_path / 'two'}"
    files = dataset(name, SIDE)
    assert prepare(name, SIDE) > 0
    kept = dataset(name, SIDE)
    numbers = np.array([[0, 3], [7, 1]])
    for field in ("image_a", "image_b"):
        assert torch.equal(getattr(kept["train"].batch(numbers), field), getattr(files["train"].batch(numbers), field))
    assert all(isinstance(domain, ImageShards) for domain in kept["train"].columns[0].domains)  # type: ignore[attr-defined]


def test_a_picture_that_cannot_be_read_is_left_out_with_its_label(tmp_path: Path) -> None:
    root = photographs(tmp_path / "pictures")
    whole = dataset(f"folder:{root}", SIDE)
    first = next(iter(whole["train"].columns[0].paths))  # type: ignore[attr-defined]
    first.write_bytes(b"\x89PNG\r\n\x1a\n no longer one")
    datasets._build.cache_clear()
    prepare(f"folder:{root}", SIDE)
    with pytest.warns(UserWarning, match=rf"train: 1 images cannot be read \({first.name}: .*left out"):
        kept = dataset(f"folder:{root}", SIDE)
    assert len(kept["train"]) == len(whole["train"]) - 1
    a, b = kept["train"].batch(range(len(kept["train"]))), whole["train"].batch(range(1, len(whole["train"])))
    assert torch.equal(a.image, b.image) and torch.equal(a.label, b.label)


def test_a_changed_file_is_prepared_again(tmp_path: Path) -> None:
    """Also one that has kept its length."""
    files = [tmp_path / "pictures" / kind / f"{i:02d}.bmp" for kind in ("ant", "bee") for i in range(14)]
    for number, path in enumerate(files):
        picture(path, (0, 1, number))
    name = f"folder:{tmp_path / 'pictures'}"
    prepare(name, SIDE)
    first = dataset(name, SIDE)
    for number, path in enumerate(files):
        picture(path, (250, 250, number))
    datasets._build.cache_clear()
    changed = dataset(name, SIDE)
    assert isinstance(first["train"].columns[0], ImageShards) and isinstance(changed["train"].columns[0], folders.ImageFiles)
    assert changed["train"].batch([0]).image.mean() > 0.6


@pytest.mark.parametrize("how", ["a byte of a picture", "its checksum", "its end", "cut short", "what is said of it"])
def test_a_damaged_shard_is_one_sentence_that_names_it(how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                       monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    name = f"folder:{photographs(tmp_path / 'pictures')}"
    prepare(name, SIDE)
    built = dataset(name, SIDE)
    before, folder = everything(built), stored(built).stores[0].folder
    path = folder / "00001.arrow"
    content = bytearray(path.read_bytes())
    store = stored(built).stores[0]
    row = store.take(np.array([5])).tobytes()
    at = {"a byte of a picture": content.index(row) + 100, "its end": len(content) - 30,
          "its checksum": content.index(store._opened(1).blocks[0][1][1:2].tobytes())}.get(how, 0)  # fmt: skip
    content[at] ^= 0x41
    if how == "what is said of it":
        path = path.with_suffix(".json")
        content = bytearray(path.read_bytes()[:-4])
    path.write_bytes(content[: -64 if how == "cut short" else None])
    datasets._build.cache_clear()
    with pytest.raises(PaperzooError, match=r"0000[1]\.(arrow|json) is damaged.*delete it, and paperzoo data prepare") as caught:
        damaged = dataset(name, SIDE)
        damaged["train"].batch(range(len(damaged["train"])))
    assert "\n" not in str(caught.value)
    code, out, errors = type_in("data", "verify", capsys=capsys, monkeypatch=monkeypatch)
    assert code == 2 and f"prepared {folder.name}: {path} is damaged" in out and folder.name in errors
    others = {file: file.stat().st_mtime_ns for file in folder.glob("*.arrow") if file.stem != "00001"}
    path.unlink()
    code, out, _ = type_in("data", "prepare", name, "--size", str(SIDE), capsys=capsys, monkeypatch=monkeypatch)
    assert code == 0 and "5 of 6 shards are there" in out and others == {file: file.stat().st_mtime_ns for file in others}
    assert all(torch.equal(a, b) for k, v in everything(dataset(name, SIDE)).items() for a, b in zip(v, before[k], strict=True))


def test_no_byte_of_a_shard_can_change_unseen(tmp_path: Path) -> None:
    """Each third byte in turn: the rows are those that were written, or the shard is said to be damaged; nothing else is raised."""
    layout = shards.Layout(5, "int32", (3,), 5, 3)
    values = np.arange(15, dtype=np.int32).reshape(5, 3) * 1000
    shards.make(tmp_path, layout, 0, lambda: values)
    path, wrong = tmp_path / "00000.arrow", 0
    whole = path.read_bytes()
    for at in range(0, len(whole), 3):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            assert np.array_equal(shards.Shards(tmp_path, layout).take(np.arange(5)), values)
        except shards.Damaged:
            wrong += 1
    assert wrong >= (values.nbytes + 5 * 4) / 3


KILLED = """
import sys, time
from functools import partial
from fixtures.slow import rows
from paperzoo.data.fetch import shards

if __name__ == "__main__":
    shards.SHARD = shards.BLOCK = 8
    shards.prepare("slow", shards.Layout.of(40, "uint8", (8,)), rows, 2)
"""


def test_killed_in_the_middle_it_goes_on_and_makes_nothing_twice(tmp_path: Path) -> None:
    """Also by two processes, which end with the one that began them and leave no part behind."""
    folder, log = shards.folder_of("slow"), tmp_path / "made"
    begun = time.monotonic()
    surroundings = {**os.environ, "SLOW": str(log), "PYTHONPATH": os.pathsep.join(sys.path)}
    program = subprocess.Popen([sys.executable, "-c", KILLED], env=surroundings)
    while len(list(folder.glob("*.json"))) < 12:
        assert program.poll() is None and time.monotonic() - begun < 60
        time.sleep(0.01)
    program.send_signal(signal.SIGKILL)
    program.wait()
    workers = {int(line.split()[0]) for line in log.read_text().splitlines()}
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() - begun < 60
        time.sleep(0.05)
    whole = {path.stem for path in folder.glob("*.json") if path.stem != "about"}
    (folder / ".0123.part").write_bytes(b"of a process that was killed")
    before = {stem: (folder / f"{stem}.arrow").stat().st_mtime_ns for stem in whole}
    assert 11 <= len(whole) < 40 and len(workers) == 2
    from fixtures.slow import rows

    shards.SHARD = shards.BLOCK = 16  # a later version's: what is there keeps its own
    said: list[str] = []
    shards.prepare("slow", shards.Layout.of(40, "uint8", (8,)), rows, 1, said.append)
    assert f"{len(whole)} of 40 shards are there" in said[0] and said[-1] == "40 of 40 shards" and not list(folder.glob("*.part"))
    assert before == {stem: (folder / f"{stem}.arrow").stat().st_mtime_ns for stem in whole}
    store = shards.opened("slow")
    pickle.loads(pickle.dumps(partial(_rows, [(tmp_path / "a.png", 1)], 8, 8, 3, Image.Resampling.BILINEAR)))  # what makes pictures
    assert store is not None and store.take(np.arange(40)).tolist() == [[i] * 8 for i in range(40)]


def test_what_cannot_be_prepared_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"folder:{photographs(tmp_path / 'pictures')}"

    def typed(*words: str) -> tuple[int, str]:
        code, out, errors = type_in("data", "prepare", *words, capsys=capsys, monkeypatch=monkeypatch)
        return code, out + errors

    code, said = typed("iris-nothing")
    assert code == 2 and "unknown data set" in said
    code, said = typed(name, "--workers", "0")
    assert code == 2 and "--workers must be at least 1, not 0" in said
    with monkeypatch.context() as patch:
        patch.setattr(shards.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
        code, said = typed(name, "--size", str(SIDE))
        assert code == 2 and "still to be written: set PAPERZOO_DATA to a folder that has room" in said
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pyarrow", None)
        code, said = typed(name, "--size", str(SIDE))
        assert code == 2 and 'pip install "paperzoo[tables]"' in said
    assert not list(tmp_path.glob("cache/prepared/*/*.arrow")) and not list(tmp_path.glob("cache/prepared/*/.*"))
    monkeypatch.setattr(folders, "LARGE", 2**30)
    code, said = typed(name)
    assert code == 0 and "kept in memory" in said


def test_a_process_that_dies_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fixtures.slow import rows

    monkeypatch.setenv("SLOW", str(tmp_path / "made"))
    monkeypatch.setenv("SLOW_DIES", "1")
    monkeypatch.setattr(shards, "SHARD", 8)
    with pytest.raises(PaperzooError, match=r"a process that prepared a shard has died.*the same command goes on"):
        shards.prepare("slow", shards.Layout.of(4, "uint8", (8,)), rows, 2)


def test_few_bytes_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only as many shards are open at a time as there may be, and what was read is given back."""
    name = f"folder:{photographs(tmp_path / 'pictures')}"
    prepare(name, SIDE)
    store = stored(dataset(name, SIDE)).stores[0]
    monkeypatch.setattr(shards, "OPEN", 2)
    given: list[int] = []
    opened = store._map
    store._open.clear()

    class Told:
        def madvise(self, advice: int) -> None:
            given.append(advice)

    monkeypatch.setattr(store, "_map", lambda number: shards._Open(Told(), opened(number).blocks))  # type: ignore[arg-type]
    for row in range(len(store)):
        store.take(np.array([row]))
        assert len(store._open) <= 2
    assert len(given) == len(store)
    store.take(np.arange(12))
    assert len(given) >= len(store) + 3 and len(json.loads((store.folder / "about.json").read_text())) == 5
    assert name_of(folders.ImageFiles([], 8, 8, 3)) != name_of(folders.ImageFiles([], 8, 8, 1))
