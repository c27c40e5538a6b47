"""Detection: what is found is measured where it lies, drawn, and said as JSON, of pictures, folders and videos."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.detectors import Bright
from fixtures.files import type_in, write_video
from PIL import Image, ImageDraw

import paperzoo
from paperzoo.data import Dataset, Images, Schema, Split, Values
from paperzoo.data.boxes.columns import Marked, Marks
from paperzoo.data.boxes.geometry import Letterbox, letterboxed
from paperzoo.data.boxes.names import COCO, COCO_IDS, VOC
from paperzoo.data.video import camera
from paperzoo.errors import PaperzooError
from paperzoo.tasks.detection.answers import Detections
from paperzoo.tasks.detection.drawing import drawn
from paperzoo.tasks.detection.measure import by_class, precision


def painted(size: tuple[int, int], red: Any = None, green: Any = None) -> Image.Image:
    """A dark picture with a red and a green rectangle."""
    picture = Image.new("RGB", size, (20, 20, 60))
    for box, colour in ((red, (250, 30, 30)), (green, (30, 250, 30))):
        if box is not None:
            ImageDraw.Draw(picture).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=colour)
    return picture


def framed(pictures: list[Image.Image], marks: list[Marks], original: bool = True) -> Dataset:
    """Pictures in frames of 64x64, with boxes in their own pixels."""
    pixels = np.stack([letterboxed(picture, 64, 64) for picture in pictures])
    boxes = [Letterbox(p.height, p.width, 64, 64).into(own.boxes) for p, own in zip(pictures, marks, strict=True)]
    column = Marked([Marks.of(b, own.label, own.difficult, own.crowd) for b, own in zip(boxes, marks, strict=True)])
    columns = [Images(torch.from_numpy(pixels)), column]
    columns += [Values("original", torch.tensor([[p.height, p.width] for p in pictures]))] if original else []
    split = Split(*columns)
    fields = ("image", "boxes", "box_label", "difficult", "crowd", "objects")
    return Dataset(Schema("made-up", fields, {"classes": 2}, ("red thing", "green [thing]")), {"train": split, "test": split}, "", "")


# Measuring -----------------------------------------------------------------------------------------------------------


def test_what_is_found_where_it_lies_has_a_precision_of_one() -> None:
    pictures = [painted((120, 90), (10, 20, 60, 80), (70, 10, 110, 50)), painted((90, 120), (30, 30, 60, 60))]
    marks = [Marks.of([[10, 20, 60, 80], [70, 10, 110, 50]], [0, 1]), Marks.of([[30, 30, 60, 60]], [0])]
    found = precision(Bright(), framed(pictures, marks), "test")
    assert found["AP50"] == found["AP (VOC 2007)"] == found["AP (VOC 2010)"] == pytest.approx(1)
    assert found["class-agnostic AP50"] == pytest.approx(1) and found["AP75"] == pytest.approx(1)
    assert set(found) == {"AP50", "AP75", "AP", "AP50 small", "AP50 medium", "AP (VOC 2007)", "AP (VOC 2010)", "class-agnostic AP50"}
    wrong = [Marks.of([[10, 20, 60, 80], [70, 10, 110, 50]], [1, 0]), Marks.of([[30, 30, 60, 60]], [1])]
    swapped = precision(Bright(), framed(pictures, wrong), "test")
    assert swapped["AP50"] == 0 and swapped["class-agnostic AP50"] == pytest.approx(1)
    apart = [Marks.of([[60, 20, 110, 80]], [0]), Marks.of([[0, 60, 30, 90]], [0])]
    assert precision(Bright(), framed(pictures, apart), "test")["class-agnostic AP50"] == 0


def test_sizes_are_those_of_the_picture_and_not_of_its_frame() -> None:
    pictures, marks = [painted((400, 300), (20, 20, 80, 80))], [Marks.of([[20, 20, 80, 80]], [0])]  # 60 pixels, 9.6 in the frame
    assert "AP50 medium" in precision(Bright(), framed(pictures, marks), "test")
    assert "AP50 small" in precision(Bright(), framed(pictures, marks, original=False), "test")


def test_difficult_things_and_crowds_are_passed_over_and_classes_stand_alone() -> None:
    pictures = [painted((64, 64), (4, 4, 30, 30), (34, 34, 60, 60))]
    boxes = [[4, 4, 30, 30], [34, 34, 60, 60]]
    for flag in ("difficult", "crowd"):
        marks = [Marks.of(boxes, [0, 1], **{flag: [False, True]})]
        data = framed(pictures, marks)
        assert precision(Bright(), data, "test")["AP50"] == pytest.approx(1)
        values = by_class(Bright(), data, "test")
        assert values["red thing"] == pytest.approx(1) and np.isnan(values["green [thing]"])


def test_a_low_score_counts_and_suppression_is_in_each_class() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10], [20, 20, 30, 30]])
    scores = torch.tensor([[0.9, 0.0], [0.8, 0.0], [0.0, 0.7], [0.002, 0.0]])
    found = Bright.chosen(boxes, scores, 0.001, 0.45, 100)
    assert found.labels.tolist() == [0, 1, 0] and found.scores.tolist() == pytest.approx([0.9, 0.7, 0.002])
    assert len(Bright.chosen(boxes, scores, 0.25, 0.45, 100).scores) == 2 and len(Bright.chosen(boxes, scores, 0.001, 0.45, 1).scores) == 1


# Using it ------------------------------------------------------------------------------------------------------------


def test_boxes_of_a_picture_of_any_shape_are_in_its_own_pixels(tmp_path: Path) -> None:
    for size, box in (((200, 100), (40, 20, 90, 70)), ((60, 240), (6, 100, 50, 200)), ((40, 40), (4, 8, 32, 30))):
        found = Bright().predict(painted(size, box))
        assert found.size == size and [one.name for one in found.found] == ["red thing"]
        assert np.abs(np.array(found.found[0].box) - box).max() <= max(size) / 64 + 0.5
    assert Bright().predict(painted((50, 50))).found == ()
    assert [len(one.found) for one in Bright().predict([painted((50, 50)), painted((50, 50), (9, 9, 30, 30))])] == [0, 1]


def test_what_is_found_is_json_with_names_or_in_cocos_format(tmp_path: Path) -> None:
    path = tmp_path / "img_0042.png"
    painted((64, 64), (10, 20, 40, 50), (44, 4, 60, 20)).save(path)
    said = json.loads(str(Bright().predict(path, out=str(tmp_path / "out"))))
    assert said["image"] == "img_0042" and (said["width"], said["height"]) == (64, 64)
    assert [one["name"] for one in said["found"]] == ["red thing", "green [thing]"] and said["found"][0]["box"] == [10, 20, 40, 50]
    with Image.open(tmp_path / "out" / "img_0042-boxes.png") as shown:
        assert shown.size == (64, 64) and shown.getpixel((10, 30)) == (230, 159, 0) and shown.getpixel((25, 35)) == (250, 30, 30)
    with pytest.raises(PaperzooError, match="is there already"):
        Bright().predict(path, out=str(tmp_path / "out"))
    rows = json.loads(str(Bright().predict(path, coco=True)))
    assert rows[0] == {"image_id": 42, "category_id": 1, "bbox": [10, 20, 30, 30], "score": 0.9}
    assert Bright().predict(path, threshold=0.85).found[0].name == "red thing" and len(Bright().predict(path, threshold=0.85).found) == 1


def test_cocos_categories_have_their_own_numbers() -> None:
    assert len(COCO) == len(COCO_IDS) == 80 and len(VOC) == 20 and COCO_IDS[-1] == 90 and COCO_IDS[COCO.index("stop sign")] == 13
    model = Bright()
    model.names = COCO
    found = model.predict(painted((64, 64), None, (44, 4, 60, 20)), coco=True)
    assert isinstance(found, Detections) and found.results()[0]["category_id"] == 2 and found.found[0].name == "bicycle"


def test_a_folder_is_looked_at_and_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    for number, box in enumerate(((4, 4, 20, 20), None)):
        painted((40, 30), box).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    answer = Bright().predict(str(tmp_path))
    assert [len(one.found) for one in answer.each] == [1, 0]
    lines = str(answer).splitlines()
    assert json.loads(lines[0])["found"][0]["name"] == "red thing" and "broken.png (1)" in lines[-1]
    assert len(json.loads(str(Bright().predict(str(tmp_path), coco=True)))) == 1
    (tmp_path / "empty").mkdir()
    with pytest.raises(PaperzooError, match="there are no pictures in"):
        Bright().predict(str(tmp_path / "empty"))


def test_a_video_is_looked_at_frame_by_frame(tmp_path: Path) -> None:
    frames = [painted((48, 48), (4 + 3 * i, 8, 24 + 3 * i, 30)) for i in range(5)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=50)
    watched = Bright().predict(tmp_path / "a.gif")
    assert watched.frames == 5 and watched.found == {"red thing": 5} and watched.rate > 0
    assert str(watched).startswith("5 frames, ") and "red thing: 5" in str(watched)
    watched = Bright().predict(tmp_path / "a.gif", out=str(tmp_path / "out"))
    rows = [json.loads(line) for line in watched.lines.read_text().splitlines()]
    assert [row["frame"] for row in rows] == list(range(5)) and watched.path == tmp_path / "out" / "a.gif"
    lefts = [row["found"][0]["box"][0] for row in rows]
    assert np.abs(np.array(lefts) - [4 + 3 * i for i in range(5)]).max() <= 1.5
    with Image.open(watched.path) as again:
        assert again.n_frames == 5
    video = write_video(tmp_path / "b.mp4", 6, "mpeg4", 48, 32)
    assert Bright().predict(video).frames == 6


def test_a_webcam_is_looked_at_as_its_frames_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_video(tmp_path / "b.mp4", 6, "mpeg4", 48, 32)
    with pytest.raises(PaperzooError, match=r"there is no webcam 99: |webcam 99 cannot be read|on Linux and macOS"):
        Bright().predict("webcam:99")
    monkeypatch.setattr(camera, "device", lambda number: (str(file), None))
    watched = Bright().predict("webcam:3", seconds=60)
    assert watched.frames == 6 and [json.loads(line)["frame"] for line in capsys.readouterr().out.splitlines()] == list(range(6))
    passing = iter(range(1000))  # a second passes whenever the clock is looked at
    monkeypatch.setattr(camera, "time", SimpleNamespace(monotonic=lambda: next(passing)))
    assert Bright().predict("webcam:3", seconds=2.5).frames == 3
    monkeypatch.setattr(camera, "device", lambda number: (str(tmp_path / "none"), None))
    with pytest.raises(PaperzooError, match="webcam 3 cannot be read: "):
        Bright().predict("webcam:3")


def test_names_are_drawn_within_the_picture_and_colours_are_the_classes() -> None:
    sheet = drawn(Image.new("RGB", (60, 40), "black"), [("a long name of a thing", 2, (50, 1, 59, 20)), ("", 10, (0, 0, 60, 40))], 2)
    assert sheet.size == (120, 80) and sheet.getpixel((119, 79)) == (0, 158, 115)  # class 10 has the colour of class 2
    assert sheet.getpixel((100, 30)) == (0, 158, 115)


def test_a_trained_run_is_measured_drawn_and_asked_by_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = paperzoo.train("yolov2", "smoke", out=tmp_path, overrides={"steps": 4})
    assert {"AP50", "AP", "class-agnostic AP50"} <= set(run.metrics) and run.model.names == ("tall", "wide", "square")
    assert {p.name for p in (run.directory / "figures").iterdir()} == {"final-found.png", "final-true.png"}
    painted((80, 40), (4, 4, 20, 20)).save(tmp_path / "x.png")
    words = ("predict", str(run.directory), str(tmp_path / "x.png"), "--threshold")
    code, out, _ = type_in(*words, "0", capsys=capsys, monkeypatch=monkeypatch)
    said = json.loads(out)
    assert code == 0 and said["width"] == 80 and {one["name"] for one in said["found"]} <= {"tall", "wide", "square"} and said["found"]
    code, _, err = type_in(*words, "2", capsys=capsys, monkeypatch=monkeypatch)
    assert code == 2 and "threshold" in err
    with pytest.raises(PaperzooError, match="detection needs data with image and boxes and box_label and objects, but digits has only"):
        paperzoo.train("yolov2", "smoke", data="digits", out=tmp_path)
