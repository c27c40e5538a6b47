"""YOLOv2 against its paper: sizes, where boxes lie, which of them learn what, and that it learns."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from fixtures.detectors import Fixed, batch_of, eight, elsewhere, learnt
from torch import Tensor, nn

import paperzoo
from paperzoo.data.boxes.anchors import kmeans, mean_iou
from paperzoo.data.boxes.plain import plain_boxes
from paperzoo.errors import PaperzooError
from paperzoo.papers.detection import yolov2
from paperzoo.papers.detection.yolov2 import Model, Network, assigned, decoded, region_loss, reorg
from paperzoo.tasks.detection.measure import precision

ANCHORS = torch.tensor([[10.0, 20.0], [40.0, 30.0], [80.0, 80.0]])


def logit(p: Tensor) -> Tensor:
    return (p / (1 - p)).log()


def encoded(box: list[float], label: int, row: int, column: int, anchor: int, classes: int = 4, stride: int = 32) -> Tensor:
    """What a network must answer for a box, by figure 3 turned round: 5 + K numbers, quite sure of the class."""
    x0, y0, x1, y1 = box
    share = torch.tensor([(x0 + x1) / 2 / stride - column, (y0 + y1) / 2 / stride - row])
    size = torch.tensor([x1 - x0, y1 - y0]) / ANCHORS[anchor]
    scores = torch.full((classes,), -30.0)
    scores[label] = 30
    return torch.cat([logit(share), size.log(), torch.tensor([30.0]), scores])


# Network -------------------------------------------------------------------------------------------------------------


def test_darknet19_has_the_parameters_of_table_6() -> None:
    with torch.device("meta"):
        network = Network(3, 425, 1.0, "cfg", 0.01)
    convolutions = [m for part in (network.fine, network.coarse) for m in part.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 18  # the nineteenth is the classifier's
    trunk = sum(p.numel() for part in (network.fine, network.coarse) for p in part.parameters())
    assert trunk + 1024 * 1000 + 1000 == 20_842_376
    three = [m.out_channels for m in convolutions if m.kernel_size == (3, 3)]
    assert three == [32, 64, 128, 128, 256, 256, 512, 512, 512, 1024, 1024, 1024]


def test_a_picture_of_416_gives_a_grid_of_13_and_one_that_is_not_square_the_same_stride() -> None:
    model = Model(width=0.02, classes=3).eval()
    with torch.no_grad():
        assert model.answers(torch.rand(1, 3, 416, 416)).shape == (1, 5, 8, 13, 13)
        assert model.answers(torch.rand(2, 3, 64, 160)).shape == (2, 5, 8, 2, 5)
        found = model.candidates(torch.rand(2, 3, 64, 160))
    assert found.boxes.shape == (2, 50, 4) and found.objectness.shape == (2, 50) and found.scores.shape == (2, 50, 3)
    assert torch.allclose(found.scores.sum(2), found.objectness)


def test_reorg_reads_memory_as_darknet_does() -> None:
    x = torch.arange(2 * 8 * 4 * 6.0).view(2, 8, 4, 6)
    found = reorg(x)
    for image in range(2):
        memory = x[image].flatten().tolist()
        for k in range(8):
            for j in range(4):
                for i in range(6):  # darknet's loop over its input, (channels, rows, columns)
                    deep, offset = k % 2, k // 2
                    source = (2 * i + offset % 2) + 6 * 2 * (2 * j + offset // 2 + 4 * 2 * deep)
                    assert found[image].flatten()[i + 6 * (j + 4 * k)] == memory[source]
    assert found.shape == (2, 32, 2, 3) and not torch.equal(found, torch.nn.functional.pixel_unshuffle(x, 2))


# Boxes ---------------------------------------------------------------------------------------------------------------


def test_boxes_are_those_of_figure_3() -> None:
    output = torch.randn(2, 3, 9, 4, 5)
    boxes = decoded(output, ANCHORS, 32)
    for n, a, row, column in ((0, 0, 0, 0), (1, 2, 3, 4), (0, 1, 2, 3)):
        tx, ty, tw, th = output[n, a, :4, row, column].tolist()
        x, y = (1 / (1 + math.exp(-tx)) + column) * 32, (1 / (1 + math.exp(-ty)) + row) * 32
        w, h = ANCHORS[a, 0].item() * math.exp(tw), ANCHORS[a, 1].item() * math.exp(th)
        assert boxes[n, a, row, column].tolist() == pytest.approx([x - w / 2, y - h / 2, x + w / 2, y + h / 2], rel=1e-5)


def test_decoding_what_was_encoded_gives_the_box_again() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        middle, size = rng.uniform(1, 95, 2), rng.uniform(4, 90, 2)
        box = [*(middle - size / 2), *(middle + size / 2)]
        row, column, anchor = int(middle[1] // 32), int(middle[0] // 32), int(rng.integers(3))
        output = torch.zeros(1, 3, 9, 3, 3, dtype=torch.float64)
        output[0, anchor, :, row, column] = encoded(box, 1, row, column, anchor).double()
        found = decoded(output, ANCHORS.double(), 32)[0, anchor, row, column]
        assert found.tolist() == pytest.approx(box, abs=1e-3)


def test_a_truth_belongs_to_the_cell_of_its_middle_and_the_anchor_of_its_shape() -> None:
    boxes = torch.tensor([[[35.0, 2, 45, 22], [0, 64, 90, 96], [0, 0, 0, 0]], [[60.0, 60, 70, 80], [61, 61, 71, 81], [5, 5, 45, 35]]])
    real = torch.tensor([[True, True, False], [True, True, True]])
    found = assigned(boxes, real, ANCHORS, (3, 3), 32)
    rows = [tuple(int(v[i]) for v in found) for i in range(len(found.image))]
    assert rows == [(0, 0, 0, 0, 1), (0, 1, 1, 2, 1), (1, 1, 0, 2, 2), (1, 2, 1, 0, 0)]  # of the two in one place the later
    edge = assigned(torch.tensor([[[90.0, 90, 102, 102]]]), torch.ones(1, 1).bool(), ANCHORS, (3, 3), 32)
    assert (int(edge.row), int(edge.column)) == (2, 2)


@pytest.mark.parametrize("seed", range(5))
def test_the_nearest_anchor_is_that_of_the_greatest_overlap_of_shapes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    anchors, size = np.exp(rng.uniform(1, 5, (5, 2))), np.exp(rng.uniform(1, 5, (40, 2)))
    middle = np.stack([np.arange(40) % 8, np.arange(40) // 8], 1) * 32 + 16  # one truth a cell
    boxes = torch.from_numpy(np.concatenate([middle - size / 2, middle + size / 2], 1))[None]
    found = assigned(boxes, torch.ones(1, 40).bool(), torch.from_numpy(anchors), (5, 8), 32)
    both = np.minimum(size[:, None], anchors).prod(2)
    assert found.anchor.tolist() == (both / (size.prod(1)[:, None] + anchors.prod(1) - both)).argmax(1).tolist()


def test_objectness_alone_learns_from_the_overlap() -> None:
    torch.manual_seed(0)
    output, one = torch.randn(1, 3, 9, 3, 3, requires_grad=True), torch.ones(1, 1).bool()
    terms = region_loss(output, torch.tensor([[[40.0, 38, 60, 70]]]), torch.tensor([[2]]), one, one, ANCHORS, 32, 0.6)
    (gradient,) = torch.autograd.grad(terms.object, output)
    assert gradient[:, :, 4].any() and not gradient[:, :, :4].any()


def test_every_width_has_channels_that_reorg_can_part() -> None:
    for width in (0.03, 0.07, 0.1, 0.33):
        with torch.device("meta"):
            assert Model(width=width, classes=1).answers(torch.rand(1, 3, 64, 64, device="meta")).shape == (1, 5, 6, 2, 2)


# Loss ----------------------------------------------------------------------------------------------------------------


def by_hand(output: Tensor, boxes: list[list[float]], labels: list[int], ignore: float) -> dict[str, float]:
    """The loss of one picture, box by box."""
    def iou(a: list[float], b: list[float]) -> float:
        w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        both = max(w, 0) * max(h, 0)
        return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)

    predicted, own = decoded(output, ANCHORS, 32)[0], {}
    for number, (x0, y0, x1, y1) in enumerate(boxes):
        shape = [iou([0, 0, x1 - x0, y1 - y0], [0, 0, *anchor]) for anchor in ANCHORS.tolist()]
        own[int(np.argmax(shape)), int((y0 + y1) / 2 // 32), int((x0 + x1) / 2 // 32)] = number
    sums = dict.fromkeys(("coord", "object", "noobject", "label", "prior"), 0.0)
    for a in range(3):
        for row in range(3):
            for column in range(3):
                t, box = output[0, a, :, row, column].double(), predicted[a, row, column].tolist()
                p, sx, sy = (float(t[i].sigmoid()) for i in (4, 0, 1))
                sums["prior"] += 0.005 * ((sx - 0.5) ** 2 + (sy - 0.5) ** 2 + float(t[2]) ** 2 + float(t[3]) ** 2)
                if (a, row, column) in own:
                    number = own[a, row, column]
                    x0, y0, x1, y1 = boxes[number]
                    w, h = x1 - x0, y1 - y0
                    errors = [(x0 + x1) / 64 - column - sx, (y0 + y1) / 64 - row - sy,
                              math.log(w / ANCHORS[a, 0]) - float(t[2]), math.log(h / ANCHORS[a, 1]) - float(t[3])]  # fmt: skip
                    sums["coord"] += 0.5 * (2 - w * h / 96**2) * sum(e * e for e in errors)
                    sums["object"] += 0.5 * 5 * (iou(box, boxes[number]) - p) ** 2
                    sums["label"] -= math.log(float(t[5:].softmax(0)[labels[number]]))
                elif max(iou(box, other) for other in boxes) <= ignore:
                    sums["noobject"] += 0.5 * p * p
    return sums


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_is_that_of_going_through_all_boxes(seed: int) -> None:
    torch.manual_seed(seed)
    boxes, labels = [[10.0, 20, 25, 50], [40, 30, 90, 70], [50, 50, 58, 66]], [2, 0, 3]
    output = 0.7 * torch.randn(1, 3, 9, 3, 3)
    flags = torch.ones(1, 3).bool()
    found = region_loss(output, torch.tensor([boxes]), torch.tensor([labels]), flags, flags, ANCHORS, 32, 0.3)
    expected = by_hand(output, boxes, labels, 0.3)
    assert {name: float(value) for name, value in found._asdict().items()} == pytest.approx(expected, rel=1e-4)
    twice = region_loss(output.repeat(2, 1, 1, 1, 1), torch.tensor([boxes] * 2), torch.tensor([labels] * 2), flags.repeat(2, 1),
                        flags.repeat(2, 1), ANCHORS, 32, 0.3)  # fmt: skip
    assert torch.allclose(torch.stack(twice), torch.stack(found), rtol=1e-5)  # a mean over pictures


def test_what_is_right_has_no_gradient_but_for_nothing_and_the_prior() -> None:
    box, output = [44.0, 38, 56, 60], torch.zeros(1, 3, 9, 3, 3)
    output[:, :, 4] = -30
    output[0, 0, :, 1, 1] = encoded(box, 2, 1, 1, 0)
    output.requires_grad_()
    one = torch.ones(1, 1).bool()
    terms = region_loss(output, torch.tensor([[box]]), torch.tensor([[2]]), one, one, ANCHORS, 32, 0.6)
    (gradient,) = torch.autograd.grad(torch.stack(terms[:4]).sum(), output)
    assert gradient.abs().max() < 1e-5
    terms = region_loss(output, torch.tensor([[box]]), torch.tensor([[2]]), one, one, ANCHORS, 32, 0.6)
    (gradient,) = torch.autograd.grad(terms.prior, output)
    assert gradient[0, 0, 2:4, 1, 1].abs().min() > 1e-4 and not gradient[:, :, 4:].any()  # drawn to the anchor's size


def test_boxes_on_difficult_things_are_not_called_nothing_and_learn_nothing() -> None:
    torch.manual_seed(0)
    output = torch.zeros(1, 3, 9, 3, 3)
    box = decoded(output, ANCHORS, 32)[0, 2, 1, 1]  # what a box says that lies where it lies
    some, none = torch.ones(1, 1).bool(), torch.zeros(1, 1).bool()
    given = (output, box.view(1, 1, 4), torch.tensor([[1]]))
    seen, unseen = (region_loss(*given, none, flags, ANCHORS, 32, 0.6) for flags in (some, none))
    assert float(seen.coord) == float(seen.object) == float(seen.label) == 0
    assert float(unseen.noobject - seen.noobject) == pytest.approx(0.5 * 0.25)  # one box fewer, at sigma(0) = 1/2
    model = Model(width=0.02, image_size=96, classes=4)
    losses = []
    for flag in ("", "difficult", "crowd"):
        torch.manual_seed(0)
        batch, opt = batch_of([[10, 10, 50, 60]], [1]), Fixed()
        if flag:
            setattr(batch, flag, torch.ones(1, 1).bool())
        losses.append(model.step(batch, opt)["label"])
    assert losses[0] > 0 and losses[1] == losses[2] == 0


def test_the_prior_ends_and_place_and_class_are_weighed() -> None:
    model = Model(width=0.02, image_size=96, classes=4, prior=5, coord=3.0, label=2.0, sizes=())
    torch.manual_seed(0)
    batch = batch_of([[10, 10, 50, 60]], [1])
    early, late = Fixed(4), Fixed(5)
    logs = model.step(batch, early)
    model.step(batch, late)
    assert early.losses[0] > late.losses[0] and float(late.losses[0].detach()) == pytest.approx(float(sum(logs.values())), rel=1e-5)
    plain = Model(width=0.02, image_size=96, classes=4, prior=5)
    plain.load_state_dict(model.state_dict())
    unweighed = plain.step(batch, Fixed(5))
    for name, weight in (("coord", 3.0), ("label", 2.0), ("object", 1.0), ("noobject", 1.0)):
        assert float(logs[name]) == pytest.approx(weight * float(unweighed[name]), rel=1e-5)


# Size and anchors ----------------------------------------------------------------------------------------------------


def test_pictures_change_their_size_every_ten_batches_and_boxes_with_them() -> None:
    side, batch, seen = torch.tensor(96), batch_of([[12, 24, 48, 96]], [0]), []
    for iteration in range(60):
        image, boxes = yolov2.resized(batch, side, (64, 96, 128), Fixed(iteration))
        seen.append(image.shape[2])
        assert torch.allclose(boxes[0, 0], torch.tensor([1 / 8, 1 / 4, 1 / 2, 1.0]) * image.shape[2])
    assert len(set(seen)) == 3 and all(len(set(seen[i : i + 10])) == 1 for i in range(0, 60, 10))
    image, boxes = yolov2.resized(batch, side, (), Fixed(0))
    assert image is batch.image and boxes is batch.boxes


def test_anchors_from_data_are_above_those_chosen_by_hand_and_reach_the_model() -> None:
    data = plain_boxes(160)
    sizes = [own.boxes[:, 2:] - own.boxes[:, :2] for own in data["train"].columns[1].marks]  # type: ignore[attr-defined]
    shapes = np.concatenate(sizes)
    by_hand = np.array([[20, 20], [40, 40], [60, 60], [40, 80], [80, 40]])
    assert mean_iou(shapes, kmeans(shapes, 5)) > mean_iou(shapes, by_hand) + 0.1
    model = Model(width=0.02, image_size=160, classes=3, anchors5=data.schema.arguments["anchors5"])
    assert torch.allclose(model.anchors, torch.from_numpy(kmeans(shapes, 5)).float(), atol=0.01)
    assert torch.allclose(Model(width=0.02, classes=20).anchors[0] / 32, torch.tensor([1.3221, 1.73145]))
    assert torch.allclose(Model(width=0.02).anchors[4] / 32, torch.tensor([9.77052, 9.16828]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 100}, "image_size must be a multiple of 32, such as 96, not 100"),
        ({"anchors5": [[1.0, 2.0]]}, "anchors5 are 5 widths and heights, not 1"),
        ({"sizes": [96, 100]}, "sizes are multiples of 32, not 96, 100"),
        ({"weights": "cocoa"}, "unknown weights 'cocoa': did you mean coco"),
        ({"width": 0.0}, "width must be positive"),
    ],
)
def test_arguments_that_cannot_be(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(PaperzooError, match=message):
        paperzoo.create("yolov2", **{"width": 0.02, **arguments})


# Learning ------------------------------------------------------------------------------------------------------------


@pytest.mark.processor
def test_it_learns_eight_pictures_by_heart_and_which_box_is_of_which_picture() -> None:
    torch.manual_seed(0)
    data = eight(96)
    model = Model(image_size=96, classes=3, width=0.0625, memory=0.1, prior=20, anchors5=data.schema.arguments["anchors5"])
    found = precision(learnt(model, data, 110), data, "test")
    assert found["AP50"] == pytest.approx(1.0) and found["class-agnostic AP50"] > 0.9
    assert precision(model, elsewhere(data), "test")["AP50"] < 0.4
