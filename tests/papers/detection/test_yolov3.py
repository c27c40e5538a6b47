"""YOLOv3 against its paper: sizes, one anchor a truth over all scales, what is ignored, and that it learns."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from fixtures.detectors import Fixed, batch_of, eight, elsewhere, learnt
from torch import Tensor, nn

import paperzoo
from paperzoo.errors import PaperzooError
from paperzoo.papers.detection import yolov3
from paperzoo.papers.detection.yolov2 import decoded
from paperzoo.papers.detection.yolov3 import ANCHORS, STRIDES, Darknet53, Model, scale_loss, shared_out
from paperzoo.tasks.detection.measure import precision

NINE = torch.tensor(ANCHORS).float().view(3, 3, 2)
GRIDS = [(12, 12), (6, 6), (3, 3)]


def test_darknet53_has_its_layers_and_parameters() -> None:
    with torch.device("meta"):
        trunk = Darknet53(3, [32, 64, 128, 256, 512, 1024], 0.01)
    assert len([m for m in trunk.modules() if isinstance(m, nn.Conv2d)]) == 52  # the last is the classifier's
    assert sum(p.numel() for p in trunk.parameters()) + 1024 * 1000 + 1000 == 41_609_928
    assert [len([m for m in stage if isinstance(m, yolov3.Residual)]) for stage in trunk.stages] == [1, 2, 8, 8, 4]


def test_three_scales_of_a_picture_that_need_not_be_square() -> None:
    model = Model(width=0.02, classes=3).eval()
    with torch.no_grad():
        shapes = [tuple(out.shape) for out in model.answers(torch.rand(2, 3, 64, 96))]
        found = model.candidates(torch.rand(2, 3, 64, 96))
    assert shapes == [(2, 3, 8, 8, 12), (2, 3, 8, 4, 6), (2, 3, 8, 2, 3)]
    assert found.boxes.shape == (2, 3 * (96 + 24 + 6), 4)
    with torch.no_grad():
        whole = model.answers(torch.rand(1, 3, 416, 416))
    assert sum(out.shape[1] * out.shape[3] * out.shape[4] for out in whole) == 10_647


def test_classes_are_independent() -> None:
    model = Model(width=0.02, classes=3, image_size=64).eval()
    with torch.no_grad():
        for head in (model.network.coarse, model.network.middle, model.network.fine):
            head.predict.weight.zero_()
            head.predict.bias.copy_(torch.tensor([0.0, 0, 0, 0, 20, 20, 20, -20] * 3))
        scores = model.candidates(torch.rand(1, 3, 64, 64)).scores
    assert torch.allclose(scores, torch.tensor([1.0, 1.0, 0.0]), atol=1e-4)  # both a woman and a person


def test_boxes_of_each_scale_are_decoded_with_its_own_anchors() -> None:
    model = Model(width=0.02, classes=1, image_size=96, anchors9=[[10.0 * (i + 1), 5.0 * (i + 1)] for i in range(9)]).eval()
    with torch.no_grad():
        for head in (model.network.coarse, model.network.middle, model.network.fine):
            head.predict.weight.zero_()
            head.predict.bias.zero_()
        boxes = model.candidates(torch.rand(1, 3, 96, 96)).boxes[0]
    sizes = (boxes[:, 2:] - boxes[:, :2]).round().tolist()
    parts = np.split(np.array(sizes), np.cumsum([3 * 144, 3 * 36]))
    for scale, part in enumerate(parts):
        assert {tuple(row) for row in part} == {(10.0 * (i + 1), 5.0 * (i + 1)) for i in range(3 * scale, 3 * scale + 3)}


# Who learns what -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_each_truth_has_exactly_one_anchor_over_all_scales(seed: int) -> None:
    rng = np.random.default_rng(seed)
    middle, size = rng.uniform(2, 94, (4, 6, 2)), np.exp(rng.uniform(2, 4.5, (4, 6, 2)))
    boxes = torch.from_numpy(np.concatenate([middle - size / 2, middle + size / 2], 2)).float()
    real = torch.from_numpy(rng.random((4, 6)) < 0.7)
    shares = shared_out(boxes, real, NINE, GRIDS)
    chosen = {(int(n), int(m)) for own in shares for n, m in zip(own.image, own.truth, strict=True)}
    places = [(scale, *(int(v[i]) for v in (own.image, own.anchor, own.row, own.column))) for scale, own in enumerate(shares)
              for i in range(len(own.image))]  # fmt: skip
    assert len(places) == len(set(places)) == len(chosen)
    learnable = {(n, m) for n, m in real.nonzero().tolist()}
    assert chosen <= learnable and len(learnable - chosen) <= 2  # a later truth in the same place has it
    for scale, own in enumerate(shares):
        for n, m, a, row, column in zip(*(v.tolist() for v in own), strict=True):
            wide, tall = (boxes[n, m, 2:] - boxes[n, m, :2]).tolist()
            overlap = [min(wide, w) * min(tall, h) / (wide * tall + w * h - min(wide, w) * min(tall, h)) for w, h in ANCHORS]
            assert int(np.argmax(overlap)) == 3 * scale + a
            x, y = ((boxes[n, m, :2] + boxes[n, m, 2:]) / 2).tolist()
            assert (row, column) == (int(y // STRIDES[scale]), int(x // STRIDES[scale]))


def by_hand(output: Tensor, boxes: list[list[float]], labels: list[int], scale: int, ignore: float) -> dict[str, float]:
    """The loss of one picture and scale, box by box."""
    def iou(a: list[float], b: list[float]) -> float:
        w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        both = max(w, 0) * max(h, 0)
        return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)

    own, stride, predicted = {}, STRIDES[scale], decoded(output, NINE[scale], STRIDES[scale])[0]
    for number, (x0, y0, x1, y1) in enumerate(boxes):
        best = int(np.argmax([iou([0, 0, x1 - x0, y1 - y0], [0, 0, *anchor]) for anchor in ANCHORS]))
        if best // 3 == scale:
            own[best % 3, int((y0 + y1) / 2 // stride), int((x0 + x1) / 2 // stride)] = number
    sums = dict.fromkeys(("coord", "object", "noobject", "label"), 0.0)
    for a in range(3):
        for row in range(output.shape[3]):
            for column in range(output.shape[4]):
                t, box = output[0, a, :, row, column].double(), predicted[a, row, column].tolist()
                sig = t.sigmoid().tolist()
                if (a, row, column) in own:
                    number = own[a, row, column]
                    x0, y0, x1, y1 = boxes[number]
                    w, h = x1 - x0, y1 - y0
                    errors = [(x0 + x1) / 2 / stride - column - sig[0], (y0 + y1) / 2 / stride - row - sig[1],
                              math.log(w / NINE[scale, a, 0]) - float(t[2]), math.log(h / NINE[scale, a, 1]) - float(t[3])]  # fmt: skip
                    sums["coord"] += 0.5 * (2 - w * h / 96**2) * sum(e * e for e in errors)
                    sums["object"] -= math.log(sig[4])
                    sums["label"] -= sum(math.log(p if k == labels[number] else 1 - p) for k, p in enumerate(sig[5:]))
                elif max(iou(box, other) for other in boxes) <= ignore:
                    sums["noobject"] -= math.log(1 - sig[4])
    return sums


@pytest.mark.parametrize("scale", range(3))
@pytest.mark.parametrize("ignore", [0.2, 0.5])
def test_the_loss_is_that_of_going_through_all_boxes(scale: int, ignore: float) -> None:
    torch.manual_seed(scale)
    boxes, labels = [[10.0, 20, 22, 34], [30, 30, 62, 53], [20, 5, 90, 60], [1, 1, 95, 95.0]], [2, 0, 3, 1]
    output, flags = 0.7 * torch.randn(1, 3, 9, *GRIDS[scale]), torch.ones(1, 4).bool()
    shares = shared_out(torch.tensor([boxes]), flags, NINE, GRIDS)[scale]
    found = scale_loss(output, torch.tensor([boxes]), torch.tensor([labels]), flags, shares, NINE[scale], STRIDES[scale], ignore)
    assert {k: float(v) for k, v in found._asdict().items()} == pytest.approx(by_hand(output, boxes, labels, scale, ignore), rel=1e-4)


def test_a_box_that_overlaps_a_truth_is_not_called_nothing_at_any_scale() -> None:
    output = torch.zeros(1, 3, 6, 6, 6)
    box = decoded(output, NINE[1], 16)[0, 0, 2, 2].view(1, 1, 4)  # (30, 61) in the middle of a cell: the truth that it would be right of
    some, none = torch.ones(1, 1).bool(), torch.zeros(1, 1).bool()
    nobody = shared_out(box, none, NINE, GRIDS)[1]
    losses = [scale_loss(output, box, torch.zeros(1, 1).long(), flags, nobody, NINE[1], 16, 0.5) for flags in (some, none)]
    seen, unseen = (float(loss.noobject) for loss in losses)
    spared = (unseen - seen) / math.log(2)
    assert spared >= 1 and spared == pytest.approx(round(spared), abs=1e-3)


def test_place_and_class_are_weighed() -> None:
    torch.manual_seed(0)
    model = Model(width=0.02, image_size=96, classes=4, coord=3.0, label=2.0)
    plain = Model(width=0.02, image_size=96, classes=4)
    plain.load_state_dict(model.state_dict())
    batch = batch_of([[10, 10, 50, 60]], [1])
    logs, unweighed = model.step(batch, Fixed()), plain.step(batch, Fixed())
    for name, weight in (("coord", 3.0), ("label", 2.0), ("object", 1.0), ("noobject", 1.0)):
        assert float(logs[name]) == pytest.approx(weight * float(unweighed[name]), rel=1e-5)


def test_step_passes_over_difficult_things_and_sums_three_scales() -> None:
    model = Model(width=0.02, image_size=96, classes=4)
    logs = []
    for flag in ("", "difficult", "crowd"):
        torch.manual_seed(0)
        batch, opt = batch_of([[10, 10, 50, 60], [2, 2, 14, 14]], [1, 3]), Fixed()
        if flag:
            setattr(batch, flag, torch.ones(1, 2).bool())
        logs.append(model.step(batch, opt))
        assert float(opt.losses[0].detach()) == pytest.approx(float(sum(logs[-1].values())), rel=1e-5)
    assert logs[0]["label"] > 0 and logs[1]["label"] == logs[2]["label"] == logs[1]["coord"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 100}, "image_size must be a multiple of 32, such as 96, not 100"),
        ({"anchors9": [[1.0, 2.0]] * 8}, "anchors9 are 9 widths and heights, not 8"),
        ({"sizes": [100]}, "sizes are multiples of 32"),
        ({"ignore": 1.0}, "model.ignore must be less than 1, not 1.0"),
    ],
)
def test_arguments_that_cannot_be(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(PaperzooError, match=message):
        paperzoo.create("yolov3", **{"width": 0.02, **arguments})


@pytest.mark.processor
def test_it_learns_eight_pictures_by_heart_and_which_box_is_of_which_picture() -> None:
    torch.manual_seed(0)
    data = eight(64)
    model = Model(image_size=64, classes=3, width=0.05, memory=0.1, anchors9=data.schema.arguments["anchors9"])
    found = precision(learnt(model, data, 90), data, "test")
    assert found["AP50"] == pytest.approx(1.0) and found["class-agnostic AP50"] > 0.9
    assert precision(model, elsewhere(data), "test")["AP50"] < 0.4
