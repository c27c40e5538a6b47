"""Small files of each published form, and of what users have instead."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.files import picture, quietly
from PIL import Image

from paperzoo.data import Dataset
from paperzoo.data.boxes.readers import of_coco, of_icdar, of_voc, of_yolo, yolo_names
from paperzoo.data.datasets import dataset
from paperzoo.errors import PaperzooError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))


def xml(*objects: tuple[str, int, int, int, int], size: tuple[int, int] | None = None, difficult: int = 0) -> str:
    rows = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax>"
        f"<ymax>{d}</ymax></bndbox></object>"
        for name, a, b, c, d in objects
    )
    shape = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>" if size else ""
    return f"<annotation><filename>x.jpg</filename>{shape}{rows}</annotation>"


def text(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding=encoding)
    return path


def pictures(root: Path, count: int, size: tuple[int, int] = (40, 20)) -> list[Path]:
    return [picture(root / f"{i:02d}.png", (i, 100, 3 * i), size) for i in range(count)]


def all_of(built: Dataset, split: str = "train") -> Any:
    return built[split].batch(range(len(built[split])))


# Files ---------------------------------------------------------------------------------------------------------------


def test_vocs_pixels_are_counted_from_one(tmp_path: Path) -> None:
    one = of_voc(text(tmp_path / "a.xml", xml(("cat", 1, 1, 40, 20), ("dog", 11, 6, 20, 10), size=(40, 20), difficult=1)))
    assert [mark.box for mark in one.marks] == [(0, 0, 40, 20), (10, 5, 20, 10)] and one.size == (40, 20) and one.file == "x.jpg"
    assert [mark.name for mark in one.marks] == ["cat", "dog"] and all(mark.difficult for mark in one.marks)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotation>", "a.xml is no XML"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "defines entities"),
        ("<annotation><object><name>x</name></object></annotation>", "object 1 has no bndbox"),
        ("<annotation><object><bndbox/></object></annotation>", "object 1 has no name"),
        (xml(("x", 1, 1, 4, 4)).replace("<xmax>4", "<xmax>four"), "object 1: xmax is a number, not 'four'"),
    ],
)
def test_xml_of_another_form(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=message):
        of_voc(text(tmp_path / "a.xml", content))


def coco(path: Path, **changes: Any) -> Path:
    whole = {
        "images": [
            {"id": 5, "file_name": "00.png", "width": 40, "height": 20}, {"id": 9, "file_name": "01.png"}, {"id": 3, "file_name": "02.png"},
        ],
        "annotations": [
            {"id": 1, "image_id": 9, "category_id": 90, "bbox": [2, 3, 10, 5], "iscrowd": 0},
            {"id": 2, "image_id": 9, "category_id": 4, "bbox": [0, 0, 40, 20], "iscrowd": 1, "segmentation": {"counts": [1]}},
            {"id": 3, "image_id": 5, "category_id": 4, "bbox": [20.5, 1.25, 4, 8]},
        ],
        "categories": [{"id": 90, "name": "toothbrush"}, {"id": 4, "name": "motorcycle"}],
    }  # fmt: skip
    return text(path, json.dumps({**whole, **changes}))


def test_cocos_crowds_empty_pictures_and_numbers_that_are_not_contiguous(tmp_path: Path) -> None:
    told = of_coco(coco(tmp_path / "a.json"))
    assert told.names == ("motorcycle", "toothbrush")
    by_file = {one.file: one for one in told.pictures}
    assert [(m.box, m.name, m.crowd) for m in by_file["01.png"].marks] == [
        ((2, 3, 12, 8), "toothbrush", False), ((0, 0, 40, 20), "motorcycle", True),
    ]  # fmt: skip
    assert by_file["02.png"].marks == [] and by_file["00.png"].marks[0].box == (20.5, 1.25, 24.5, 9.25)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annotations": [{"image_id": 77, "category_id": 4, "bbox": [0, 0, 1, 1]}]}, r"\[0\] is of image_id 77, which no entry"),
        ({"annotations": [{"image_id": 5, "category_id": 1, "bbox": [0, 0, 1, 1]}]}, r"\[0\] is of category_id 1, which no entry"),
        ({"annotations": [{"image_id": 5, "category_id": 4}]}, r"annotations\[0\] lacks the key 'bbox'; it has image_id, category_id"),
        ({"annotations": [{"image_id": 5, "category_id": 4, "bbox": [0, 0, 1]}]}, "bbox is left, top, width and height"),
        ({"annotations": [{"image_id": 5, "category_id": 4, "bbox": [0, 0, "x", 1]}]}, "bbox is a number, not 'x'"),
        ({"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}]}, r"images\[1\] has the id 1 of another"),
        ({"categories": {}}, "categories is no list"),
    ],
)
def test_json_of_another_form(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=message):
        of_coco(coco(tmp_path / "a.json", **changes))
    with pytest.raises(PaperzooError, match=r"b.json is no JSON"):
        of_coco(text(tmp_path / "b.json", "{"))


def test_yolos_labels_and_names(tmp_path: Path) -> None:
    one = of_yolo(text(tmp_path / "a.txt", "1 0.5 0.5 0.5 1\n\n0 0.25 0.25 0.5 0.5\n"), ("cat", "dog"))
    assert [(m.box, m.name) for m in one.marks] == [((0.25, 0, 0.75, 1), "dog"), ((0, 0, 0.5, 0.5), "cat")]
    assert of_yolo(tmp_path / "a.txt", ()).marks[0].name == "1"
    for number, (file, content) in enumerate(
        [("classes.txt", "cat\nwild dog\n\n"), ("obj.names", "cat\nwild dog"), ("data.yaml", "nc: 2\nnames: ['cat', 'wild dog']\n"),
         ("data.yaml", "names:\n  0: cat\n  1: wild dog\ntrain: x\n"), ("data.yml", "names:\n- cat\n- wild dog\n")]
    ):  # fmt: skip
        assert yolo_names(text(tmp_path / str(number) / file, content).parent) == ("cat", "wild dog")
    assert yolo_names(tmp_path) == ()
    text(tmp_path / "0" / "x.names", "a")
    with pytest.raises(PaperzooError, match=r"several lists of names, classes.txt, x.names"):
        yolo_names(tmp_path / "0")
    with pytest.raises(PaperzooError, match="has no list of names"):
        yolo_names(text(tmp_path / "9" / "data.yaml", "names: \n").parent)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2 .5 .5 .5 .5", r"a.txt, line 2: there is no class 2; the list of names has 2"),
        ("0 .5 .5 .5", "line 2 has 4 numbers"),
        ("cat .5 .5 .5 .5", "a class is a whole number from 0 on, not 'cat'"),
        ("0 .5 nan .5 .5", "line 2: y is a number, not 'nan'"),
    ],
)
def test_a_line_of_yolo_of_another_form(line: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=message):
        of_yolo(text(tmp_path / "a.txt", f"0 .5 .5 .1 .1\n{line}\n"), ("cat", "dog"))


def test_icdars_two_forms_with_and_without_bom(tmp_path: Path) -> None:
    lines = '377,117,463,117,465,130,378,130,Genaxis, Theatre\n493,115,519,115,519,131,493,131,###\n'
    for encoding in ("utf-8", "utf-8-sig"):
        one = of_icdar(text(tmp_path / "gt_img_1.txt", lines, encoding))
        assert one.file == "img_1" and one.marks[0].quad == ((377, 117), (463, 117), (465, 130), (378, 130))
        assert one.marks[0].box == (377, 117, 465, 130) and [m.text for m in one.marks] == ["Genaxis, Theatre", "###"]
        assert [m.difficult for m in one.marks] == [False, True]
    for row in ('38 43 920 215 "Tiredness"', "38, 43, 920, 215, Tiredness", '38,43,920,215,"Tiredness"'):
        (mark,) = of_icdar(text(tmp_path / "gt_2.txt", f"{row}\n")).marks
        assert mark.box == (38, 43, 920, 215) and mark.text == "Tiredness" and mark.quad[2] == (920, 215)
    with pytest.raises(PaperzooError, match=r"gt_2.txt, line 1 is neither left, top"):
        of_icdar(text(tmp_path / "gt_2.txt", "1,2,3\n"))


# Folders -------------------------------------------------------------------------------------------------------------


def test_a_folder_of_voc(tmp_path: Path) -> None:
    pictures(tmp_path / "JPEGImages", 12)
    for i in range(12):
        text(tmp_path / "Annotations" / f"{i:02d}.xml", xml(("dog" if i % 2 else "cat", 1, 1, 20, 10), size=(40, 20)))
    built = quietly(lambda: dataset(f"voc:{tmp_path}", image_size=64))
    assert built.schema.names == ("cat", "dog") and set(built.splits) == {"train", "validation", "test"}
    batch = all_of(built)
    assert batch.image.shape[1:] == (3, 64, 64) and (batch.original == batch.original.new_tensor([20, 40])).all()
    assert batch.boxes[0, 0].tolist() == [0, 16, 32, 32]  # 40x20 in 64x64: 64x32, 16 below the top
    grey = batch.image[:, :, :16]
    assert (grey - 127 / 255).abs().max() < 1e-6
    assert built.schema.arguments["classes"] == 2 and len(built.schema.arguments["anchors5"]) == 5
    whole = quietly(lambda: dataset(f"voc:{tmp_path}#classes=dog", image_size=32), ".*boxes of classes that were not asked for, left out")
    assert whole.schema.names == ("dog",) and set(all_of(whole).objects.tolist()) == {0, 1}
    with pytest.raises(PaperzooError, match=r"unknown class 'dig' .*: did you mean dog"):
        dataset(f"voc:{tmp_path}#classes=dig")


def test_vocs_own_lists_say_the_splits_year_by_year(tmp_path: Path) -> None:
    for year in ("VOC2007", "VOC2012"):
        root = tmp_path / year
        for file in pictures(root / "JPEGImages", 6):
            text(root / "Annotations" / f"{file.stem}.xml", xml(("cat", 1, 1, 20, 10)))
        lists = {"train": "00 01", "val": "02", "test": "03 04"} if year == "VOC2007" else {"train": "04 05"}
        for split, names in lists.items():
            text(root / "ImageSets" / "Main" / f"{split}.txt", names.replace(" ", "\n") + "\n")
    with pytest.warns(UserWarning, match="pictures in none of the lists of splits"):
        built = dataset(f"voc:{tmp_path}", image_size=32)
    assert {split: len(items) for split, items in built.splits.items()} == {"train": 4, "validation": 1, "test": 2}
    (tmp_path / "VOC2012" / "ImageSets" / "Main" / "train.txt").write_bytes(b"04\n\xe4\n")
    with pytest.raises(PaperzooError, match=r"train\.txt is not UTF-8: byte 0xe4 .*\(line 2\)"):
        dataset(f"voc:{tmp_path}", image_size=48)


def test_a_folder_of_coco_by_the_names_of_its_files(tmp_path: Path) -> None:
    for split in ("train2017", "val2017"):
        pictures(tmp_path / split, 3, (40, 20) if split == "train2017" else (20, 40))
        coco(tmp_path / "annotations" / f"instances_{split}.json")
    text(tmp_path / "annotations" / "captions_val2017.json", "{}")
    built = quietly(lambda: dataset(f"coco:{tmp_path}", image_size=32), ".*files of .* hold", ".*of another size than", ".*beyond their")
    assert built.schema.names == ("motorcycle", "toothbrush") and len(built["validation"]) == 3
    batch = all_of(built, "validation")
    order = batch.objects.argsort().tolist()
    assert batch.objects[order].tolist() == [0, 1, 2] and batch.crowd[order[2]].tolist() == [False, True]
    assert batch.box_label[order[2]].tolist() == [1, 0]


def test_a_missing_picture_is_named_and_left_out(tmp_path: Path) -> None:
    pictures(tmp_path, 2)
    coco(tmp_path / "a.json")
    with pytest.warns(UserWarning, match=r"1 pictures that annotations name and that are not there: 02.png"):
        assert len(dataset(f"coco:{tmp_path}", image_size=32)["train"]) == 2
    with pytest.raises(PaperzooError, match=r"not there: 02.png"):
        dataset(f"coco:{tmp_path}", image_size=32, strict=True)


def test_a_folder_of_yolo_in_either_layout(tmp_path: Path) -> None:
    for number, layout in enumerate(("images/{split}", "{split}/images")):
        root = tmp_path / str(number)
        for split in ("train", "val"):
            place = root / layout.format(split=split)
            for file in pictures(place, 4 if split == "train" else 2):
                label = Path(str(file).replace("images", "labels")).with_suffix(".txt")
                if file.stem != "03":
                    text(label, "1 0.5 0.5 0.5 0.5\n" if file.stem != "01" else "")
        text(root / "classes.txt", "cat\ndog\n")
        with pytest.warns(UserWarning, match="1 pictures without a file of labels, taken as pictures of nothing"):
            built = dataset(f"yolo:{root}", image_size=32)
        assert len(built["validation"]) == 2 and built.schema.names == ("cat", "dog")
        known = all_of(built, "validation")
        assert sorted(known.objects.tolist()) == [0, 1]
        assert known.boxes[known.objects > 0][0, 0].tolist() == [8, 12, 24, 20]


def test_a_folder_of_icdar_has_quadrilaterals(tmp_path: Path) -> None:
    for file in pictures(tmp_path, 3):
        word = "4,2,36,4,36,16,4,14,word\n" if file.stem != "02" else ""
        text(tmp_path / f"gt_{file.stem}.txt", f"{word}0,0,4,0,4,4,0,4,###\n")
    built = quietly(lambda: dataset(f"icdar:{tmp_path}", image_size=40), ".*files of .* hold")
    assert "quads" in built.schema.fields and built.schema.names == ("text",)
    batch = all_of(built)
    assert batch.quads[batch.objects == 2][0, 0].tolist() == [[4, 12], [36, 14], [36, 26], [4, 24]]
    only = [all_of(built, split) for split in built.splits]
    assert sorted(int((~b.difficult[i, : int(b.objects[i])]).sum()) for b in only for i in range(len(b))) == [0, 1, 1]


# What users have instead ---------------------------------------------------------------------------------------------


def one_of_voc(root: Path, content: str, size: tuple[int, int] = (40, 20)) -> Any:
    """What becomes of a picture's boxes, in its own pixels of the longer side; and what is said."""
    for i in range(3):
        picture(root / f"{i}.png", (i, 0, 0), size)
        text(root / f"{i}.xml", content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        built = dataset(f"voc:{root}", image_size=max(size))
    batch = all_of(built)
    top = (max(size) - size[1]) // 2
    boxes = batch.boxes[0, : int(batch.objects[0])].numpy() - np.array([0, top, 0, top])
    return boxes.tolist(), " ".join(str(w.message) for w in caught)


@pytest.mark.parametrize(
    ("box", "left", "said"),
    [
        ((11, 6, 80, 10), [[10, 5, 40, 10]], "reached beyond their pictures, cut at the border"),
        ((101, 6, 120, 10), [], "wholly outside of their pictures, left out"),
        ((11, 6, 10, 10), [], "without an area, left out"),
        ((31, 6, 20, 10), [[20, 5, 30, 10]], "right and left, or bottom and top, exchanged, which was put right"),
    ],
)
def test_boxes_that_cannot_be(box: tuple[int, int, int, int], left: list[list[float]], said: str, tmp_path: Path) -> None:
    boxes, message = one_of_voc(tmp_path, xml(("x", *box), ("x", 1, 1, 4, 4)))
    assert boxes == [*left, [0, 0, 4, 4]] and said in message


def test_shares_taken_for_pixels_are_guessed_and_said(tmp_path: Path) -> None:
    rows = xml(("x", 0, 0, 1, 1)).replace("<xmin>0", "<xmin>0.25").replace("<ymax>1", "<ymax>0.5")
    boxes, message = one_of_voc(tmp_path, rows)
    assert boxes == [[10, 0, 40, 10]] and "in shares of the picture's sides, where pixels belong: taken as shares" in message


def test_pixels_taken_for_shares_are_guessed_and_said(tmp_path: Path) -> None:
    for file in pictures(tmp_path, 3):
        text(file.with_suffix(".txt"), "0 20 10 20 10\n")
    with pytest.warns(UserWarning, match="labels in pixels, where shares of the picture's sides belong: taken as pixels"):
        built = dataset(f"yolo:{tmp_path}", image_size=40)
    assert all_of(built).boxes[0, 0].tolist() == [10, 15, 30, 25]


def test_annotations_of_another_size_are_scaled_and_that_is_said(tmp_path: Path) -> None:
    boxes, message = one_of_voc(tmp_path, xml(("x", 1, 1, 40, 20), size=(80, 40)))
    assert boxes == [[0, 0, 20, 10]] and "of another size than their annotations say, whose boxes were scaled" in message


def test_a_quadrilateral_that_crosses_itself_is_put_in_order(tmp_path: Path) -> None:
    for file in pictures(tmp_path, 3):
        text(file.with_suffix(".txt"), "4,2,36,16,36,2,4,16,word\n")
    with pytest.warns(UserWarning, match="quadrilaterals that crossed themselves, their corners put in order"):
        built = dataset(f"icdar:{tmp_path}", image_size=40)
    assert all_of(built).quads[0, 0].tolist() == [[4, 12], [36, 12], [36, 26], [4, 26]]


def test_a_picture_of_forty_megapixels(tmp_path: Path) -> None:
    for i in range(3):
        Image.new("L", (8000, 5000), 40 * i).save(tmp_path / f"{i}.png")
        text(tmp_path / f"{i}.xml", xml(("x", 1, 1, 8000, 5000)))
    built = dataset(f"voc:{tmp_path}", image_size=64)
    assert all_of(built).boxes[0, 0].tolist() == [0, 12, 64, 52] and all_of(built).original[0].tolist() == [5000, 8000]


def test_what_is_not_there(tmp_path: Path) -> None:
    pictures(tmp_path, 2)
    for kind, ending in (("voc", ".xml"), ("yolo", ".txt"), ("icdar", ".txt"), ("coco", ".json")):
        with pytest.raises(PaperzooError, match=rf"has no {ending} .*; it has: "):
            dataset(f"{kind}:{tmp_path}")
    text(tmp_path / "00.xml", xml(("x", 1, 1, 8, 8)))
    text(tmp_path / "zz.xml", xml(("x", 1, 1, 8, 8)))
    with pytest.warns(UserWarning, match=r"1 annotations of pictures that are not there: zz.xml; 1 pictures without annotations: 01.png"):
        dataset(f"voc:{tmp_path}", image_size=32)
    with pytest.raises(PaperzooError, match="unknown option 'klasses'"):
        dataset(f"voc:{tmp_path}#klasses=x")
    (tmp_path / "00.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(PaperzooError, match=r"1 of 1 images in .* cannot be read"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset(f"voc:{tmp_path}", image_size=64)


def test_two_pictures_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for part in ("a", "b"):
        picture(tmp_path / part / "same.png", (9, 9, ord(part)), (40, 20))
        text(tmp_path / part / "same.xml", xml((part, 1, 1, 20, 10)))
    built = dataset(f"voc:{tmp_path}", image_size=32)
    assert built.schema.names == ("a", "b")
    text(tmp_path / "same.xml", xml(("c", 1, 1, 20, 10)))
    with pytest.raises(PaperzooError, match=r"may be of several pictures, a/same.png, b/same.png"):
        dataset(f"voc:{tmp_path}", image_size=40)
