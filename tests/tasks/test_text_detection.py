"""Text detection: suppression that looks at neighbours, and what is found, measured, drawn and said."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.files import type_in
from PIL import Image, ImageDraw
from torch import Tensor

import paperzoo
from paperzoo.data import Dataset, Images, Schema, Split, Values
from paperzoo.data.boxes.columns import Marked, Marks
from paperzoo.data.boxes.geometry import Letterbox, around, letterboxed
from paperzoo.errors import PaperzooError
from paperzoo.metrics.polygons import overlaps, shared_area
from paperzoo.tasks.decoding.locality_nms import _compiled, locality_nms, merged, quad_nms, shared, suppressed
from paperzoo.tasks.text_detection import Reading, TextDetector
from paperzoo.tasks.text_detection.measure import harmonic


def rectangles(middle: np.ndarray, side: np.ndarray, turn: np.ndarray) -> np.ndarray:
    quads = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2 * side[:, None]
    along = np.stack([np.cos(turn), np.sin(turn)], 1)
    found: np.ndarray = quads @ np.stack([along, along[:, ::-1] * [-1, 1]], 1) + middle[:, None]
    return found


# Suppression ---------------------------------------------------------------------------------------------------------


def dense(number: int, texts: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """What the pixels of a map say of words in it, row by row, each a little wrong."""
    rng = np.random.default_rng(seed)
    columns = int(np.ceil(np.sqrt(texts)))
    each = number // texts
    wide = int(np.sqrt(4 * each))
    tall = each // wide
    rows = []
    for n in range(texts):
        left, top = (n % columns) * (4 * wide + 30), (n // columns) * (4 * tall + 30)
        for i in range(tall):
            for j in range(wide):
                rows.append((top + 4 * i, left + 4 * j, left + 2 * wide, top + 2 * tall))
    rows.sort()
    middle = np.array([row[2:] for row in rows], np.float64) + rng.normal(0, 1, (len(rows), 2))
    side = np.array([[4.0 * wide + 8, 4.0 * tall + 8]]) + rng.normal(0, 1, (len(rows), 2))
    return rectangles(middle, side, rng.normal(0, 0.03, len(rows))), rng.uniform(0.5, 1, len(rows))


def test_of_quadrilaterals_that_do_not_meet_it_is_the_usual_suppression() -> None:
    rng = np.random.default_rng(0)
    middle = np.stack(np.meshgrid(np.arange(20) * 50.0, np.arange(20) * 50.0), 2).reshape(-1, 2)
    quads, scores = rectangles(middle, rng.uniform(5, 34, (400, 2)), rng.uniform(0, 6, 400)), rng.uniform(0.1, 1, 400)
    assert overlaps(quads, quads).sum() == pytest.approx(400)
    found, plain = locality_nms(quads, scores), quad_nms(quads, scores)
    assert np.array_equal(found.quads, quads[plain]) and np.array_equal(found.votes, scores[plain]) and (found.number == 1).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_usual_suppression_is_that_of_comparing_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    quads = rectangles(rng.uniform(0, 120, (60, 2)), rng.uniform(5, 60, (60, 2)), rng.uniform(0, 6, 60))
    scores = rng.uniform(0, 1, 60).round(1)  # some are equal
    kept = list[int]()
    for i in sorted(range(60), key=lambda i: (-scores[i], i)):
        if all(overlaps(quads[i][None], quads[j][None])[0, 0] <= 0.3 for j in kept):
            kept.append(i)
    assert quad_nms(quads, scores, 0.3).tolist() == kept and 1 < len(kept) < 60


def test_neighbours_in_a_row_are_merged_by_their_scores_one_after_the_other() -> None:
    a, b, c = (rectangles(np.array([[x, 10.0]]), np.array([[20.0, 10]]), np.zeros(1))[0] for x in (10, 14, 60))
    found = locality_nms(np.stack([a, b, c]), np.array([0.9, 0.3, 0.8]))
    assert found.number.tolist() == [2, 1] and found.votes == pytest.approx([1.2, 0.8])
    assert np.allclose(found.quads[0], (0.9 * a + 0.3 * b) / 1.2) and np.allclose(found.quads[1], c)
    d = a + np.array([22.0, 0])  # meets b's place, yet not what a and b were merged to
    chain = locality_nms(np.stack([a, b, d]), np.array([0.9, 0.3, 0.5]), merge=0.1, overlap=1.0)
    assert chain.number.tolist() == [2, 1] and overlaps(b[None], d[None])[0, 0] > 0.05
    little = locality_nms(np.stack([a, a + np.array([12.8, 0])]), np.ones(2))  # an IoU of 0.36 / 1.64, just above 0.2
    assert little.number.tolist() == [2]
    apart = locality_nms(np.stack([a, c, b]), np.ones(3), overlap=0.2)  # c stands between: suppressed, not merged
    assert apart.number.tolist() == [1, 1] and len(apart.quads) == 2
    assert len(locality_nms(np.zeros((0, 4, 2)), np.zeros(0)).quads) == 0


def test_compiled_and_plain_are_one_and_share_what_the_exact_areas_are() -> None:
    rng = np.random.default_rng(0)
    a = rectangles(rng.uniform(0, 60, (300, 2)), rng.uniform(5, 50, (300, 2)), rng.uniform(0, 6, 300)) + rng.normal(0, 1, (300, 4, 2))
    b = rectangles(rng.uniform(0, 60, (300, 2)), rng.uniform(5, 50, (300, 2)), rng.uniform(0, 6, 300))
    b[:100] = b[:100, ::-1]
    assert np.allclose([shared(x, y) for x, y in zip(a, b, strict=True)], shared_area(a, b), atol=1e-5)
    assert shared(a[0], a[0]) == pytest.approx(shared_area(a[:1], a[:1])[0])
    quads, scores = dense(600, 3)
    merging, suppressing = _compiled()
    for one, other in zip(merging(quads, scores, 0.2), merged(quads, scores, 0.2), strict=True):
        assert np.allclose(one, other, rtol=1e-12)
    mixed = rectangles(rng.uniform(0, 120, (80, 2)), rng.uniform(5, 60, (80, 2)), rng.uniform(0, 6, 80))
    for way in (suppressing, suppressed):
        assert way(mixed, 0.3).tolist() == quad_nms(mixed, -np.arange(80.0), 0.3).tolist()


@pytest.mark.processor
def test_ten_thousand_take_a_tenth_of_the_usual_time_and_find_the_same_texts() -> None:
    quads, scores = dense(10_000, 25)
    assert len(quads) > 9_000
    locality_nms(quads[:10], scores[:10])  # compiled
    times, found = [], []
    for way in (lambda: locality_nms(quads, scores).quads, lambda: quads[quad_nms(quads, scores)]):
        began = time.process_time()
        found.append(way())
        times.append(time.process_time() - began)
    assert len(found[0]) == len(found[1]) == 25 and times[0] < times[1] / 10
    assert (overlaps(found[0], found[1]).max(1) > 0.8).all()


# Measuring, drawing, using -------------------------------------------------------------------------------------------


class Bright(TextDetector):
    """Finds what is bright as one text, in the box around it, with a score of 0.9; no network."""

    stride = 8

    def __init__(self, size: int = 64) -> None:
        super().__init__(3, size, 0.5)
        self.nothing = torch.nn.Parameter(torch.zeros(()))

    def answers(self, image: Tensor) -> Tensor:
        return image

    def read(self, answers: Tensor, threshold: float) -> list[Reading]:
        readings = []
        for own in answers:
            rows, columns = (own.mean(0) > 0.6).nonzero(as_tuple=True)
            quads = np.zeros((0, 4, 2))
            if len(rows) and threshold < 0.9:
                x0, y0, x1, y1 = (float(v) for v in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
                quads = np.array([[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]])
            readings.append(Reading(quads, np.full(len(quads), 0.9)))
        return readings


def painted(size: tuple[int, int], box: tuple[int, int, int, int] | None = None) -> Image.Image:
    picture = Image.new("RGB", size, (20, 20, 20))
    if box is not None:
        ImageDraw.Draw(picture).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill="white")
    return picture


def framed(pictures: list[Image.Image], quads: list[list[list[list[int]]]], difficult: list[list[bool]]) -> Dataset:
    pixels, marks = np.stack([letterboxed(picture, 64, 64) for picture in pictures]), []
    for picture, own, flags in zip(pictures, quads, difficult, strict=True):
        corners = Letterbox(picture.height, picture.width, 64, 64).into(np.array(own, np.float64).reshape(-1, 4, 2))
        marks.append(Marks.of(around(corners), None, flags, None, corners))
    original = Values("original", torch.tensor([[p.height, p.width] for p in pictures]))
    split = Split(Images(torch.from_numpy(pixels)), Marked(marks), original)
    return Dataset(Schema("made-up", ("image", "quads", "objects", "difficult"), {}), {"train": split, "test": split}, "", "")


QUAD = [[20, 30], [100, 30], [100, 60], [20, 60]]


def test_what_is_found_where_it_is_written_has_an_hmean_of_one() -> None:
    picture = painted((128, 96), (20, 30, 100, 60))
    found = harmonic(Bright(), framed([picture], [[QUAD]], [[False]]), "test")
    assert found["hmean"] == found["precision"] == found["recall"] == found["hmean at 0.7"] == found["hmean 0-15 degrees"] == 1
    assert set(found) == {"hmean", "precision", "recall", "hmean at 0.7", "hmean 0-15 degrees"}
    second = [[0, 70], [60, 70], [60, 90], [0, 90]]
    found = harmonic(Bright(), framed([picture, painted((128, 96))], [[QUAD, second], []], [[False, False], []]), "test")
    assert (found["precision"], found["recall"]) == (1, 0.5) and found["hmean"] == pytest.approx(2 / 3)
    found = harmonic(Bright(), framed([picture], [[QUAD]], [[True]]), "test")
    assert found["hmean"] == 0 and "hmean 0-15 degrees" not in found
    loose = [[20, 20], [100, 20], [100, 62], [20, 62]]  # an IoU of 30 / 42
    found = harmonic(Bright(), framed([painted((128, 96), (20, 30, 100, 60))], [[loose]], [[False]]), "test")
    assert found["hmean"] == 1 and found["hmean at 0.7"] == 1
    model = Bright()
    model.threshold = 0.95
    assert harmonic(model, framed([picture], [[QUAD]], [[False]]), "test")["hmean"] == 0


def test_corners_are_in_the_pictures_own_pixels(tmp_path: Path) -> None:
    for size, box in (((200, 100), (40, 20, 90, 70)), ((60, 240), (6, 100, 50, 200)), ((40, 40), (4, 8, 32, 30))):
        found = Bright().predict(painted(size, box))
        assert found.size == size and len(found.found) == 1
        x0, y0, x1, y1 = box
        assert np.abs(np.array(found.found[0].quad) - [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]).max() <= max(size) / 64 + 0.5
    assert Bright().predict(painted((50, 50))).found == ()
    assert Bright().predict(painted((40, 40), (4, 8, 32, 30)), threshold=0.95).found == ()
    assert [len(one.found) for one in Bright().predict([painted((50, 50)), painted((50, 50), (9, 9, 30, 30))])] == [0, 1]


def test_what_is_found_is_json_and_drawn(tmp_path: Path) -> None:
    path = tmp_path / "sign.png"
    painted((64, 64), (10, 20, 40, 50)).save(path)
    said = json.loads(str(Bright().predict(path, out=str(tmp_path / "out"))))
    assert said["image"] == "sign" and (said["width"], said["height"]) == (64, 64) and said["drawn"].endswith("sign-text.png")
    assert said["found"] == [{"score": 0.9, "quad": [[10, 20], [40, 20], [40, 50], [10, 50]]}]
    with Image.open(tmp_path / "out" / "sign-text.png") as shown:
        assert shown.size == (64, 64) and shown.getpixel((10, 35)) == (230, 159, 0) and shown.getpixel((25, 35)) == (255, 255, 255)
    with pytest.raises(PaperzooError, match="is there already"):
        Bright().predict(path, out=str(tmp_path / "out"))


def test_a_folder_is_looked_at_and_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    for number, box in enumerate(((4, 4, 20, 20), None)):
        painted((40, 30), box).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    answer = Bright().predict(str(tmp_path))
    assert [len(one.found) for one in answer.each] == [1, 0] and "broken.png (1)" in str(answer).splitlines()[-1]
    (tmp_path / "empty").mkdir()
    with pytest.raises(PaperzooError, match="there are no pictures in"):
        Bright().predict(str(tmp_path / "empty"))
    with pytest.raises(PaperzooError, match="image_size must be a multiple of 8, such as 64, not 60"):
        Bright(60)


def icdar(root: Path, lines: list[str], size: tuple[int, int] = (64, 48), number: int = 4) -> Path:
    """A folder of pictures with the same text in each."""
    root.mkdir()
    for i in range(number):
        painted(size, (8 + i, 8, 40, 24)).save(root / f"img_{i}.png")
        (root / f"gt_img_{i}.txt").write_text("\n".join(lines), encoding="utf-8-sig")
    return root


def test_a_users_folder_of_icdars_form_is_trained_on_and_measured(tmp_path: Path) -> None:
    """Corners that run the other way, a quadrilateral that crosses itself, and pictures where all need not be found."""
    good = icdar(tmp_path / "good", ["8,24,40,24,40,8,8,8,word", "2,30,30,30,30,44,2,44,###"])
    run = paperzoo.train("east", "smoke", data=f"icdar:{good}", out=tmp_path / "runs", overrides={"steps": 2, "batch_size": 2})
    assert "hmean" in run.metrics and run.model.image_size == 160
    with pytest.warns(UserWarning, match="crossed themselves, their corners put in order"):
        data = paperzoo.dataset(f"icdar:{icdar(tmp_path / 'crossed', ['8,8,40,24,40,8,8,24,word'])}")
    quads = data["train"].batch([0]).quads[0, 0]
    assert quads.unique(dim=0).shape == (4, 2)
    nothing = icdar(tmp_path / "nothing", ["8,8,40,8,40,24,8,24,###"])
    run = paperzoo.train("east", "smoke", data=f"icdar:{nothing}", out=tmp_path / "runs", overrides={"steps": 2, "batch_size": 2})
    assert run.metrics["hmean"] == 0 and all(torch.isfinite(p).all() for p in run.model.parameters())


def test_a_trained_run_is_measured_drawn_and_asked_by_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = paperzoo.train("east", "smoke", out=tmp_path, overrides={"steps": 4})
    assert {"hmean", "precision", "recall", "hmean at 0.7"} <= set(run.metrics)
    assert {p.name for p in (run.directory / "figures").iterdir()} == {"final-text.png"}
    painted((80, 40), (4, 4, 20, 20)).save(tmp_path / "x.png")
    words = ("predict", str(run.directory), str(tmp_path / "x.png"))
    code, out, _ = type_in(*words, "--threshold", "0", "--out", str(tmp_path / "drawn"), capsys=capsys, monkeypatch=monkeypatch)
    said = json.loads(out)
    assert code == 0 and said["width"] == 80 and (tmp_path / "drawn" / "x-text.png").exists() and said["found"]
    code, out, _ = type_in(*words, capsys=capsys, monkeypatch=monkeypatch)
    assert code == 0 and json.loads(out)["height"] == 40
    code, _, err = type_in(*words, "--threshold", "2", capsys=capsys, monkeypatch=monkeypatch)
    assert code == 2 and "threshold" in err
    with pytest.raises(PaperzooError, match="text detection needs data with image and quads and objects, but boxes-plain has only"):
        paperzoo.train("east", "smoke", data="boxes-plain", out=tmp_path)
