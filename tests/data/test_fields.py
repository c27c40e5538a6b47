"""Every field of every batch is in the vocabulary, with its type and its number of dimensions."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.sounds import sound_folders
from PIL import Image

from paperzoo.data import Batch, Dataset
from paperzoo.data.datasets import DATASETS, OWN, dataset
from paperzoo.data.fields import VOCABULARY, meaning

BUILT_HERE = [name for name, entry in DATASETS.items() if all(source.transport == "installed" for source in entry.sources)]
CHANGED = ["digits@20:1", "digits#labels=0.5", "digits#pixels=shuffled", "sine-mixtures#spectrogram=16"]


def unknown(batch: Batch) -> list[str]:
    """What of a batch is not written down."""
    found = []
    for name, value in batch.__dict__.items():
        tensor = isinstance(value, torch.Tensor)
        dtype, dimensions = (str(value.dtype).removeprefix("torch."), value.ndim) if tensor else (type(value).__name__, 1)
        if meaning(name, dtype, dimensions, batch.__dict__) is None:
            found.append(f"{name}: {dtype}, {dimensions} dimensions")
    return found


def check(built: Dataset) -> None:
    for name, split in built.splits.items():
        for items in ([0], range(min(3, len(split)))):
            batch = split.batch(list(items))
            assert batch.__dict__ and not unknown(batch), (built.name, name)
    assert set(built.schema.fields) <= {field.name for field in VOCABULARY}


@pytest.mark.parametrize("name", BUILT_HERE + CHANGED)
def test_fields_of_sets_that_need_no_download(name: str) -> None:
    check(dataset(name))


def pictures(folder: Path, count: int = 12) -> Path:
    for number in range(count):
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 15 * number, np.uint8)).save(folder / f"{number:02d}.png")
    return folder


def sentence(number: int) -> str:
    return f"The {('cat', 'dog', 'cow')[number % 3]} number {number} sees {('rain', 'snow')[number % 2]} today."


def boxes_of(kind: str, place: Path) -> None:
    """A box in each of twelve pictures of 8 pixels a side."""
    for number in range(12 if kind != "coco" else 0):
        text = {
            "voc": "<annotation><object><name>x</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>5</xmax><ymax>6</ymax></bndbox></object>"
            "</annotation>",
            "yolo": "0 0.5 0.5 0.25 0.5\n",
            "icdar": "1,1,6,1,6,5,1,5,a word\n",
        }[kind]
        (place / f"{number:02d}{'.xml' if kind == 'voc' else '.txt'}").write_text(text, encoding="utf-8")
    if kind == "coco":
        whole = {
            "images": [{"id": i, "file_name": f"{i:02d}.png"} for i in range(12)],
            "annotations": [{"image_id": i, "category_id": 7, "bbox": [1, 1, 4, 5]} for i in range(12)],
            "categories": [{"id": 7, "name": "x"}],
        }
        (place / "own.json").write_text(json.dumps(whole), encoding="utf-8")


def make(kind: str, place: Path) -> str:
    """A small file or folder of the user's own, and what follows the colon."""
    place.mkdir()
    file = place / "own.txt"
    text = "\n\n".join(sentence(i) for i in range(400))
    if kind == "folder":
        for name in ("x", "y"):
            pictures(place / name)
        return str(place)
    if kind in ("photos", "pyramid"):
        for number in range(12):
            Image.fromarray(np.full((96 + number, 100), 15 * number, np.uint8)).save(place / f"{number:02d}.png")
        return str(place)
    if kind in ("image-pairs", "unpaired"):
        for name in ("A", "B"):
            pictures(place / name)
        return f"{place}/A,{place}/B" if kind == "unpaired" else str(place)
    if kind == "captions":
        pictures(place)
        (place / "own.csv").write_text("file,caption\n" + "".join(f"{i:02d}.png,{sentence(i)}\n" for i in range(12)), encoding="utf-8")
        return str(place)
    if kind == "attributes":
        pictures(place)
        (place / "own.csv").write_text("file,odd\n" + "".join(f"{i:02d}.png,{i % 2}\n" for i in range(12)), encoding="utf-8")
        return str(place)
    if kind == "questions":
        pictures(place)
        rows = "".join(f"{i:02d}.png,is it light?,{'yes' if i > 5 else 'no'}\n" for i in range(12))
        (place / "own.csv").write_text(f"file,question,answer\n{rows}", encoding="utf-8")
        return str(place)
    if kind in ("voc", "yolo", "icdar", "coco"):
        boxes_of(kind, pictures(place))
        return str(place)
    if kind == "densepose":
        points = {"dp_x": [9.0], "dp_y": [9.0], "dp_I": [2.0], "dp_U": [0.5], "dp_V": [0.5], "dp_masks": [[]] * 14}
        images = [{"id": i, "file_name": f"{i:02d}.png", "width": 8, "height": 8} for i in range(12)]
        rows = [{"image_id": i, "bbox": [1, 1, 4, 5], **points} for i in range(12)]
        (pictures(place) / "own.json").write_text(json.dumps({"images": images, "annotations": rows}), encoding="utf-8")
        return str(place)
    if kind == "sounds":
        return f"{sound_folders(place)}#length=512"
    if kind == "videos":
        for number, part in enumerate(("train", "val", "test")):
            for name in ("x", "y"):
                pictures(place / part / name / f"v{number}", 16)
        return str(place)
    if kind in ("meshes", "volumes"):
        for number in range(12):
            side = 3 + number
            box = "".join(f"{x * side} {y * 7} {z * 9}\n" for x in (0, 1) for y in (0, 1) for z in (0, 1))
            if kind == "meshes":
                (place / f"{number:02d}.off").write_text(f"OFF\n8 1 0\n{box}4 0 1 3 2\n")
            else:
                runs = bytes([1, number + 1, 0, 63 - number])
                (place / f"{number:02d}.binvox").write_bytes(b"#binvox 1\ndim 4 4 4\ndata\n" + runs)
        return str(place)
    if kind == "conll":
        text = "".join(f"{a} O\n{b}x O\nParis B-LOC\n\n" for a in "abcdefgh" for b in "abcdefgh")
    elif kind == "pairs":
        file, text = place / "own.tsv", "".join(f"{sentence(i)}\t{sentence(i).upper()}\n" for i in range(400))
    elif kind == "glue":
        file, text = place / "own.tsv", "sentence\tlabel\n" + "".join(f"{sentence(i)}\t{i % 2}\n" for i in range(200))
    elif kind == "series":
        file, text = place / "own.csv", "load,sales\n" + "".join(f"{i % 5},{i % 7}\n" for i in range(400))
    elif kind == "machines":
        rows = ["machine,time,heat,event"]
        for machine in range(6):
            for step in range(120):
                fails = step and step % (2 * (9 + machine)) == 1
                time = datetime(2024, 1, 1) + timedelta(hours=12 * step + 1)
                rows.append(f"m{machine},{time:%Y-%m-%d %H:%M:%S},{step},{'failure' if fails else ''}")
        file, text = place / "own.csv", "\n".join(rows) + "\n"
    file.write_text(text, encoding="utf-8")
    options = {"series": "#target=sales&date=none", "sentences": "#length=32&pieces=300"}
    return f"{file}{options.get(kind, '')}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", OWN)
def test_fields_of_the_users_own(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    check(dataset(f"{kind}:{make(kind, tmp_path / 'own')}"))


def test_fields_of_low_and_high_resolution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    own = f"photos:{make('photos', tmp_path / 'own')}#scale="
    for scales in ("3", "2,3,4"):
        built = dataset(own + scales)
        check(built)
        assert built.schema.fields == tuple(built["train"].batch([0]).__dict__) == ("low", "high", "scale", "size")


def test_scores_are_labels_of_another_type(tmp_path: Path) -> None:
    file = tmp_path / "scores.tsv"
    file.write_text("sentence\tlabel\n" + "".join(f"{sentence(i)}\t{i % 50 / 10}\n" for i in range(200)), encoding="utf-8")
    built = dataset(f"glue:{file}#task=score")
    check(built)
    label = built["train"].batch([0, 1]).label
    found = meaning("label", "float32", label.ndim, built["train"].batch([0, 1]).__dict__)
    assert label.dtype == torch.float32 and found is not None and "score" in found.meaning


def test_a_name_has_one_meaning_but_for_two() -> None:
    counts = Counter(field.name for field in VOCABULARY)
    assert {name: count for name, count in counts.items() if count > 1} == {"target": 3, "label": 2}
    for field in VOCABULARY:
        assert field.shape[0] == "N" and field.meaning and field.beside in {"", *counts}
        assert field.dtype == "list" or isinstance(getattr(torch, field.dtype), torch.dtype)


def test_what_is_not_written_down_is_found() -> None:
    image, label = torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64)
    assert unknown(Batch(image=image, label=label)) == []
    assert unknown(Batch(image=image[0])) == ["image: float32, 3 dimensions"]
    assert unknown(Batch(image=image.double())) == ["image: float64, 4 dimensions"]
    assert unknown(Batch(picture=image)) == ["picture: float32, 4 dimensions"]
    assert unknown(Batch(image=image, label=label.float())) == ["label: float32, 1 dimensions"]  # a score has texts beside it
    assert unknown(Batch(target=torch.zeros(2, 3, dtype=torch.int64))) == ["target: int64, 2 dimensions"]  # of what?
    assert meaning("target", "int64", 2, {"source": 0}) != meaning("target", "int64", 2, {"stream": 0})
