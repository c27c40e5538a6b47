"""Boxes and pictures go together: through a letterbox and back, and through every change of a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from paperzoo.data import Batch, marks
from paperzoo.data.augment import AUGMENTATIONS, augmented
from paperzoo.data.boxes.anchors import kmeans, mean_iou, shape_iou
from paperzoo.data.boxes.columns import Marked, Marks
from paperzoo.data.boxes.geometry import Letterbox, area, around, clipped, corners, crosses_itself, letterboxed
from paperzoo.errors import PaperzooError

SHAPES = [(100, 100, 64, 64), (37, 200, 64, 64), (200, 37, 64, 96), (3, 4000, 64, 64), (480, 640, 416, 416), (11, 13, 320, 416)]


# Letterbox -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_a_letterbox_and_back_is_where_it_was(shape: tuple[int, int, int, int]) -> None:
    box, rng = Letterbox(*shape), np.random.default_rng(0)
    boxes = rng.uniform(-10, 4000, (50, 4))
    assert np.abs(box.back(box.into(boxes)) - boxes).max() < 1e-9
    assert torch.equal(box.into(torch.from_numpy(boxes)), torch.from_numpy(box.into(boxes)))
    quads = rng.uniform(0, 100, (5, 4, 2))
    assert np.allclose(box.into(quads).reshape(5, 8), np.concatenate([box.into(quads[:, i]) for i in range(4)], 1))
    tall, wide = box.inside
    whole = box.into(np.array([0.0, 0, shape[1], shape[0]]))
    assert np.allclose(whole, [box.corner[1], box.corner[0], box.corner[1] + wide, box.corner[0] + tall])
    assert tall == shape[2] or wide == shape[3]  # it fits on one side
    assert box.corner[0] >= 0 and box.corner[0] + tall <= shape[2] and box.corner[1] + wide <= shape[3]


@pytest.mark.parametrize("shape", [(60, 90, 64, 64), (90, 60, 96, 64), (240, 200, 96, 128)])
def test_what_lies_in_a_box_lies_in_the_letterboxed_box(shape: tuple[int, int, int, int]) -> None:
    tall, wide = shape[:2]
    picture = Image.new("RGB", (wide, tall), "black")
    box = np.array([wide // 6, tall // 3, wide // 2, tall - 3.0])
    ImageDraw.Draw(picture).rectangle([*box[:2], *(box[2:] - 1)], fill="white")
    frame = letterboxed(picture, *shape[2:])
    x0, y0, x1, y1 = (round(float(v)) for v in Letterbox(*shape).into(box))
    white = frame[0] > 190
    assert np.abs(np.array(around(np.argwhere(white)[:, ::-1][None])[0]) - [x0, y0, x1 - 1, y1 - 1]).max() <= 1
    top, left = Letterbox(*shape).corner
    assert (frame[:, :top] == 127).all() and (frame[:, :, :left] == 127).all()


def test_boxes_and_quads() -> None:
    boxes = np.array([[1.0, 2, 5, 4], [3, 3, 3, 9], [4, 4, 2, 9]])
    assert area(boxes).tolist() == [8.0, 0.0, 0.0] and torch.equal(area(torch.from_numpy(boxes)), torch.from_numpy(area(boxes)))
    assert np.array_equal(around(corners(boxes[:1])), boxes[:1])
    assert corners(boxes[:1])[0].tolist() == [[1, 2], [5, 2], [5, 4], [1, 4]]
    assert clipped(np.array([-3.0, 2, 99, 50]), 40, 60).tolist() == [0, 2, 60, 40]
    assert not crosses_itself(corners(boxes[0])) and crosses_itself(corners(boxes[0])[[0, 2, 1, 3]])
    assert not crosses_itself(np.array([[0.0, 0], [4, 1], [3, 5], [1, 2]]))


# Columns -------------------------------------------------------------------------------------------------------------


def test_marks_are_padded_to_the_most_of_the_batch() -> None:
    column = Marked([Marks.of([[0, 0, 2, 2]] * n, range(n), [i == 1 for i in range(n)]) for n in (0, 1, 3)])
    fields = column.take(np.array([0, 1]))
    assert fields["boxes"].shape == (2, 1, 4) and fields["objects"].tolist() == [0, 1] and fields["box_label"].tolist() == [[-1], [0]]
    fields = column.join(column).take(np.array([5, 0]))
    assert fields["boxes"].shape == (2, 3, 4) and fields["box_label"].tolist() == [[0, 1, 2], [-1, -1, -1]]
    assert fields["difficult"].tolist() == [[False, True, False], [False] * 3] and "quads" not in fields
    assert len(column.some(np.array([2]))) == 1
    parts = Batch(**column.take(np.array([0, 1, 2]))).cut(2)
    assert [len(part) for part in parts] == [1, 2] and parts[1].boxes.shape == (2, 3, 4)
    assert Marked([Marks.of([[0, 0, 2, 2]], quads=[[[0, 0], [2, 0], [2, 2], [0, 2]]])]).take(np.array([0]))["quads"].shape == (1, 1, 4, 2)


# Changes of a batch --------------------------------------------------------------------------------------------------


def painted(seed: int, tall: int = 60, wide: int = 90) -> Batch:
    """Each image has bright rectangles, one a channel, on black; boxes and quads say where."""
    rng = np.random.default_rng(seed)
    image, own = np.zeros((6, 3, tall, wide), np.float32), []
    for number, each in enumerate(image):
        boxes = []
        for channel in range(int(rng.integers(number > 0, 4))):
            x0, y0 = int(rng.integers(0, wide - 25)), int(rng.integers(0, tall - 25))
            box = [x0, y0, x0 + int(rng.integers(12, 25)), y0 + int(rng.integers(12, 25))]
            each[channel, box[1] : box[3], box[0] : box[2]] = 1
            boxes.append(box)
        array = np.array(boxes, np.float32).reshape(-1, 4)
        own.append(Marks.of(array, range(len(array)), quads=corners(array)))
    return Batch(image=torch.from_numpy(image), **Marked(own).take(np.arange(6)))


def seen(image: Tensor, channel: int) -> list[float]:
    """The box around what is bright in a channel."""
    rows, columns = (image[channel] > 0.75).nonzero(as_tuple=True)
    return [float(columns.min()), float(rows.min()), float(columns.max()) + 1, float(rows.max()) + 1]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("name", ["flip", "zoom", "colour"])
def test_boxes_lie_where_the_changed_picture_shows_them(name: str, seed: int) -> None:
    torch.manual_seed(seed)
    batch = painted(seed)
    changed = augmented(batch, name)
    marked = 0
    for i in range(len(batch)):
        number = int(changed.objects[i])
        assert number <= int(batch.objects[i])
        assert (changed.box_label[i, number:] == -1).all() and not changed.boxes[i, number:].any() and not changed.quads[i, number:].any()
        for box, quad, label in zip(changed.boxes[i, :number], changed.quads[i, :number], changed.box_label[i, :number], strict=True):
            if name != "colour":
                assert np.abs(np.array(seen(changed.image[i], int(label))) - box.numpy()).max() < 2, (name, i)
            inside = torch.from_numpy(clipped(around(quad.numpy()), *changed.image.shape[2:]))
            assert torch.allclose(inside, box, atol=1e-3)
            edge, first = quad[1] - quad[0], quad[0]
            assert edge[0] > 0 and first[0] == quad[:, 0].min()  # clockwise from the upper left corner still
            marked += 1
        lost = set(range(int(batch.objects[i]))) - set(changed.box_label[i, :number].tolist())
        for label in lost:  # what is no longer marked has all but left
            assert float((changed.image[i, label] > 0.75).sum()) < marks.LEFT * 25 * 25 * 2
    assert marked > 3


@pytest.mark.parametrize("seed", range(4))
def test_a_quarter_turns_pictures_and_marks_to_the_right(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "QUARTER", 0.5)
    torch.manual_seed(seed)
    batch = painted(seed, 90, 90)
    changed, turned = augmented(batch, "quarter"), 0
    for i in range(len(batch)):
        number = int(batch.objects[i])
        assert not changed.boxes[i, number:].any() and not changed.quads[i, number:].any()
        same = torch.equal(changed.image[i], batch.image[i])
        assert same or torch.equal(changed.image[i], batch.image[i].flip(1).transpose(1, 2))
        for box, quad, label in zip(changed.boxes[i, :number], changed.quads[i, :number], changed.box_label[i, :number], strict=True):
            assert seen(changed.image[i], int(label)) == box.tolist() == around(quad.numpy()).tolist()
            edge = quad[1] - quad[0]
            assert (edge[0] > 0 and edge[1] == 0) if same else (edge[0] == 0 and edge[1] > 0)  # reading goes down
            turned += not same
    assert turned > 0 or seed
    with pytest.raises(PaperzooError, match="augment=quarter turns square pictures, not those of 60x90"):
        augmented(painted(0), "quarter")


def test_changes_draw_one_chance_for_each_image_and_none_moves_boxes_alone() -> None:
    torch.manual_seed(0)
    batch = painted(3)
    ends = {name: augmented(batch, name) for name in marks.CHANGES if name != "quarter"}
    for name, changed in ends.items():
        assert changed.image.shape == batch.image.shape and changed.image.min() >= 0 and changed.image.max() <= 1
        assert torch.equal(changed.boxes, batch.boxes) == (name == "colour")
    mirrored = [not torch.equal(a, b) for a, b in zip(ends["flip"].image, batch.image, strict=True)]
    assert any(mirrored) and not all(mirrored)
    for name in set(AUGMENTATIONS) - set(marks.CHANGES):
        with pytest.raises(PaperzooError, match="would not move the boxes"):
            augmented(batch, name)


def test_images_without_boxes_are_zoomed_and_coloured_too() -> None:
    image = torch.rand(3, 3, 20, 30)
    for name in ("zoom", "colour"):
        changed = augmented(Batch(image=image), name)
        assert changed.image.shape == image.shape and not torch.equal(changed.image, image)


def test_zoom_by_one_and_no_shift_changes_nothing() -> None:
    image, one, none = torch.rand(2, 3, 9, 14), torch.ones(2, 2), torch.zeros(2, 2)
    assert torch.allclose(marks.sampled(image, one, none), image, atol=1e-5)
    right = marks.sampled(image, one, torch.tensor([[3 / 14, 2 / 9]] * 2))
    assert torch.allclose(right[:, :, 2:, 3:], image[:, :, :-2, :-3], atol=1e-5)


# Anchors -------------------------------------------------------------------------------------------------------------


def test_iou_of_shapes() -> None:
    assert shape_iou(np.array([[2.0, 3], [4, 4]]), np.array([[2.0, 3], [1, 6]])) == pytest.approx(np.array([[1, 3 / 9], [6 / 16, 4 / 18]]))


@pytest.mark.parametrize("seed", range(5))
def test_anchors_from_data_are_nearer_than_random_ones_and_never_worse_for_being_more(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = np.exp(rng.normal(3, 0.6, (400, 2)))
    values = [mean_iou(shapes, kmeans(shapes, number, seed)) for number in (1, 3, 5, 9)]
    assert values == sorted(values) and values[2] > 0.6
    drawn = [mean_iou(shapes, shapes[rng.choice(400, 5, False)]) for _ in range(20)]
    assert values[2] > max(drawn)
    anchors = kmeans(shapes, 5, seed)
    assert (np.diff(anchors.prod(1)) >= 0).all() and np.array_equal(anchors, kmeans(shapes, 5, seed))


def test_anchors_of_clear_groups_are_their_means_and_of_few_shapes_the_shapes() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[10.0, 10], [20, 60], [90, 30]])
    shapes = np.concatenate([c * rng.uniform(0.95, 1.05, (50, 2)) for c in centres])
    assert np.allclose(kmeans(shapes, 3), centres, rtol=0.02)
    assert mean_iou(shapes[:2], kmeans(shapes[:2], 5)) == 1.0
    for wrong in (np.zeros((0, 2)), np.array([[1.0, 0.0]])):
        with pytest.raises(ValueError, match="with a width and a height"):
            kmeans(wrong, 2)
