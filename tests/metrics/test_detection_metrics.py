"""Overlaps, suppression and average precision: against slow definitions, COCO's own program, and figures reckoned by hand."""

from __future__ import annotations

import contextlib
import io
import time
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from paperzoo.metrics.coco_ap import AREAS, coco_ap
from paperzoo.metrics.iou import iou, iou_of_pairs
from paperzoo.metrics.voc_ap import Found, Truth, voc_ap
from paperzoo.tasks.decoding.nms import nms


def clustered(number: int, places: int, generator: torch.Generator) -> Tensor:
    """Boxes as a detector answers: many around each of some places."""
    middle, side = 416 * torch.rand(places, 2, generator=generator), 20 + 80 * torch.rand(places, 2, generator=generator)
    which = torch.randint(places, (number,), generator=generator)
    at = middle[which] + 6 * torch.randn(number, 2, generator=generator)
    half = side[which] * (0.2 * torch.randn(number, 2, generator=generator)).exp() / 2
    return torch.cat([at - half, at + half], 1)


# Overlap -------------------------------------------------------------------------------------------------------------


def test_iou_of_boxes_is_that_of_counted_pixels() -> None:
    corners = torch.randint(0, 8, (30, 2))
    boxes = torch.cat([corners, corners + torch.randint(0, 5, (30, 2))], 1).float()  # some without an area
    masks = torch.zeros(30, 14, 14)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes.int().tolist(), strict=True):
        mask[y0:y1, x0:x1] = 1
    both = torch.einsum("ahw,bhw->ab", masks, masks)
    union = masks.sum((1, 2))[:, None] + masks.sum((1, 2)) - both
    expected = both / union.clamp(min=1)
    assert torch.allclose(iou(boxes, boxes), expected)
    assert torch.allclose(iou_of_pairs(boxes, boxes.roll(1, 0)), expected[range(30), torch.arange(30).roll(1)])


# Suppression ---------------------------------------------------------------------------------------------------------


def slow(boxes: Tensor, scores: Tensor, overlap: float, labels: Tensor) -> list[int]:
    shares, kept = iou(boxes.double(), boxes.double()), list[int]()
    for i in torch.argsort(scores, descending=True, stable=True).tolist():
        if not any(labels[i] == labels[j] and shares[i, j] > overlap for j in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("seed", range(20))
def test_suppression_is_what_comparing_one_by_one_gives(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    number = int(torch.randint(0, 400, (), generator=generator))
    boxes = clustered(number, 1 + number // 3 if seed % 2 else 5, generator)
    boxes[: number // 20, 2:] = boxes[: number // 20, :2]  # without an area
    scores = (20 * torch.rand(number, generator=generator)).round()  # many are equal
    labels = torch.randint(3, (number,), generator=generator)
    assert nms(boxes, scores, 0.4, labels).tolist() == slow(boxes, scores, 0.4, labels)
    assert nms(boxes, scores, 0.4).tolist() == slow(boxes, scores, 0.4, torch.zeros_like(labels))


@pytest.mark.parametrize("overlap", [0.0, 0.01, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("spread", [20.0, 400.0, 1e6])
def test_suppression_of_boxes_of_all_sizes_anywhere_is_that_of_one_at_a_time(overlap: float, spread: float) -> None:
    generator = torch.Generator().manual_seed(int(spread) + int(100 * overlap))
    middle, side = spread * (torch.rand(400, 2, generator=generator) - 0.5), (12 * torch.rand(400, 2, generator=generator) - 6).exp()
    boxes = torch.cat([middle - side / 2, middle + side / 2], 1)
    boxes[200:] = boxes[:200] + 0.3 * torch.rand(200, 1, generator=generator) * side[:200].repeat(1, 2)  # each meets one at least
    boxes[0], boxes[1, 2] = torch.tensor([-torch.inf, 0, torch.inf, 1]), torch.nan  # neither suppresses
    scores, labels = torch.rand(400, generator=generator), torch.randint(4, (400,), generator=generator)
    assert nms(boxes, scores, overlap, labels).tolist() == slow(boxes, scores, overlap, labels)


def test_suppression_of_exactly_the_overlap_keeps_both() -> None:
    boxes = torch.tensor([[0.0, 0, 4, 2], [0, 0, 4, 4]])  # IoU 1/2
    assert nms(boxes, torch.tensor([0.5, 0.9]), 0.5).tolist() == [1, 0]
    assert nms(boxes, torch.tensor([0.5, 0.9]), 0.49).tolist() == [1]
    assert nms(boxes, torch.tensor([0.5, 0.9]), 0.49, torch.tensor([0, 1])).tolist() == [1, 0]
    boxes = torch.tensor([[0.0, 0, 4, 10], [0, 0, 4, 30]])  # IoU 1/3, the centres as far apart as the smaller one is tall
    assert [nms(boxes, torch.tensor(scores), 0.3).tolist() for scores in ([0.5, 0.9], [0.9, 0.5])] == [[1], [0]]


def test_ten_thousand_boxes_take_a_small_part_of_the_time_of_comparing_one_by_one() -> None:
    generator = torch.Generator().manual_seed(0)
    boxes, scores = clustered(10_000, 50, generator), torch.rand(10_000, generator=generator)

    def seconds(work: Any) -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    fast = min(seconds(lambda: nms(boxes, scores)) for _ in range(3))

    def by_hand() -> None:
        left, rest = [], torch.argsort(scores, descending=True)
        while len(rest):  # one kept box at a time, all others compared at once
            left.append(int(rest[0]))
            rest = rest[1:][iou(boxes[rest[:1]], boxes[rest[1:]])[0] <= 0.45]

    plain = seconds(by_hand)
    print(f"10,000 boxes: {1000 * fast:.0f} ms; one kept box at a time {1000 * plain:.0f} ms")
    assert fast < plain


# VOC -----------------------------------------------------------------------------------------------------------------


def found(*rows: tuple[float, float, float, float, float], labels: Any = None) -> Found:
    """Rows of a score and a box."""
    array = np.array(rows, np.float64).reshape(-1, 5)
    return Found(array[:, 1:], array[:, 0], np.zeros(len(array), int) if labels is None else np.array(labels))


def truth(*boxes: Any, labels: Any = None, difficult: Any = None, crowd: Any = None) -> Truth:
    array = np.array(boxes, np.float64).reshape(-1, 4)
    none = np.zeros(len(array), bool)
    flags = [none if given is None else np.array(given, bool) for given in (difficult, crowd)]
    return Truth(array, np.zeros(len(array), int) if labels is None else np.array(labels), *flags)


def test_voc_by_hand() -> None:
    """Three truths; right, wrong, right: recall 1/3, 1/3, 2/3 and precision 1, 1/2, 2/3."""
    true = [truth((0, 0, 10, 10), (20, 0, 30, 10)), truth((0, 0, 10, 10))]
    said = [found((0.9, 0, 0, 10, 10), (0.8, 50, 50, 60, 60)), found((0.7, 0, 0, 10, 9))]
    assert voc_ap(said, true, 1)[0] == pytest.approx(1 / 3 + 2 / 9)
    assert voc_ap(said, true, 1, eleven=True)[0] == pytest.approx((4 * 1 + 3 * 2 / 3) / 11)  # recalls 0 to 0.3, and 0.4 to 0.6
    assert np.isnan(voc_ap(said, true, 2)[1])


def test_voc_calls_a_second_box_of_one_truth_wrong_and_ignores_difficult_ones() -> None:
    said = [found((0.9, 0, 0, 10, 10), (0.8, 0, 0, 10, 10), (0.7, 20, 0, 30, 10))]
    both = (0, 0, 10, 10), (20, 0, 30, 10)
    assert voc_ap(said, [truth(*both)], 1)[0] == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)
    assert voc_ap(said, [truth(*both, difficult=[True, False])], 1)[0] == 1.0  # neither of the first two counts
    assert voc_ap(said, [truth(*both, difficult=[False, True])], 1)[0] == 1.0  # the duplicate stands behind full recall
    assert np.isnan(voc_ap(said, [truth(*both, difficult=[True, True])], 1)[0])
    exact = [found((0.9, 0, 0, 10, 5))]  # IoU of 0.5 is not above it
    assert voc_ap(exact, [truth((0, 0, 10, 10))], 1)[0] == 0.0


def test_voc_looks_at_scores_over_all_images_and_at_classes() -> None:
    true = [truth((0, 0, 10, 10)), truth((0, 0, 10, 10), labels=[1])]
    said = [found((0.3, 0, 0, 10, 10)), found((0.9, 0, 0, 10, 10))]
    assert voc_ap(said, true, 2).tolist() == [0.5, 0.0]


# COCO ----------------------------------------------------------------------------------------------------------------


def chance(seed: int) -> tuple[list[Found], list[Truth], int]:
    """Images with crowds, equal scores, duplicates, classes that are missing, and sides of 5 to 200 pixels."""
    rng = np.random.default_rng(seed)
    classes, said, true = int(rng.integers(1, 4)), [], []
    for _ in range(int(rng.integers(1, 6))):
        number = int(rng.integers(0, 7))
        corner, side = rng.uniform(0, 200, (number, 2)), rng.uniform(5, 200, (number, 2)).round(1)
        boxes = np.concatenate([corner, corner + side], 1).round(2)
        labels = rng.integers(0, classes, number)
        true.append(Truth(boxes, labels, np.zeros(number, bool), rng.random(number) < 0.2))
        again = rng.integers(0, number, int(rng.integers(0, 3 * number + 1))) if number else np.zeros(0, int)
        near = boxes[again] + rng.normal(0, 8, (len(again), 4)).round(2)
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        wild = np.sort(rng.uniform(0, 300, (int(rng.integers(0, 4)), 2, 2)), 1).reshape(-1, 4).round(2)
        shown = np.concatenate([near, wild])
        guess = np.concatenate([np.where(rng.random(len(again)) < 0.8, labels[again], 0), rng.integers(0, classes, len(wild))])
        said.append(Found(shown, rng.integers(0, 20, len(shown)) / 20, guess))
    return said, true, classes


def by_coco(said: list[Found], true: list[Truth], classes: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """AP and recall (T, K, A) of pycocotools, which reads widths and heights."""
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")

    def rows(each: Any) -> list[list[float]]:
        return [[x0, y0, x1 - x0, y1 - y0] for x0, y0, x1, y1 in each.boxes.tolist()]

    annotations = [
        {"id": 1000 * i + j + 1, "image_id": i, "category_id": int(t.labels[j]), "bbox": row, "area": row[2] * row[3],
         "iscrowd": int(t.crowd[j])}
        for i, t in enumerate(true) for j, row in enumerate(rows(t))
    ]  # fmt: skip
    results = [
        {"image_id": i, "category_id": int(f.labels[j]), "bbox": row, "score": float(f.scores[j])}
        for i, f in enumerate(said) for j, row in enumerate(rows(f))
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        whole = coco.COCO()
        images = [{"id": i, "width": 500, "height": 500} for i in range(len(true))]
        whole.dataset = {"info": {}, "images": images, "annotations": annotations, "categories": [{"id": k} for k in range(classes)]}
        whole.createIndex()
        if not results:
            return np.zeros((10, classes, 4)), np.zeros((10, classes, 4))
        evaluation = cocoeval.COCOeval(whole, whole.loadRes(results), "bbox")
        evaluation.params.maxDets = [most]
        evaluation.evaluate()
        evaluation.accumulate()
    precision, recall = evaluation.eval["precision"][..., 0].mean(1), evaluation.eval["recall"][..., 0]
    return np.where(precision < 0, np.nan, precision), np.where(recall < 0, np.nan, recall)


@pytest.mark.parametrize("part", range(10))
def test_coco_is_cocos_own_program(part: int) -> None:
    """Two hundred random cases in all."""
    compared = 0
    for seed in range(20 * part, 20 * part + 20):
        said, true, classes = chance(seed)
        most = 100 if seed % 3 else 3
        ours = coco_ap(said, true, classes, most=most)
        precision, recall = by_coco(said, true, classes, most)
        if sum(len(f.scores) for f in said):
            assert np.allclose(ours.precision, precision, atol=1e-12, equal_nan=True), seed
            assert np.allclose(ours.recall, recall, atol=1e-12, equal_nan=True), seed
            compared += 1
    assert compared > 10


def test_coco_by_hand() -> None:
    true = [truth((0, 0, 10, 10), (20, 0, 30, 10))]
    said = [found((0.9, 0, 0, 10, 10), (0.8, 20, 0, 30, 8))]  # IoU 1 and 0.8
    result = coco_ap(said, true, 1)
    half = 51 / 101  # recalls 0 to 0.5
    assert np.allclose(result.precision[:, 0, 0], [1] * 7 + [half] * 3)
    assert result.mean() == pytest.approx(0.7 + 0.3 * half) and result.mean(overlap=0) == pytest.approx(1)
    assert result.mean(area=1) == pytest.approx(result.mean()) and np.isnan(result.mean(area=3))
    assert np.allclose(result.recall[:, 0, 0], [1] * 7 + [0.5] * 3)


def test_coco_lets_any_number_of_boxes_lie_in_a_crowd_and_passes_over_difficult_truths() -> None:
    true = [truth((0, 0, 100, 100), (200, 0, 210, 10), crowd=[True, False])]
    said = [found((0.9, 0, 0, 10, 10), (0.8, 50, 50, 60, 60), (0.7, 200, 0, 210, 10))]
    assert coco_ap(said, true, 1).mean() == pytest.approx(1)
    plain = [truth((0, 0, 100, 100), (200, 0, 210, 10), difficult=[True, False])]
    assert coco_ap(said, plain, 1).mean() < 0.4  # no share of a difficult box is a find
    assert coco_ap([found((0.9, 0, 0, 100, 100), (0.7, 200, 0, 210, 10))], plain, 1).mean() == pytest.approx(1)
    assert len(AREAS) == 4


def test_nothing_found_and_nothing_to_find() -> None:
    none, one = found(), truth((0, 0, 10, 10))
    assert coco_ap([none], [one], 1).mean() == 0.0 and voc_ap([none], [one], 1)[0] == 0.0
    assert np.isnan(coco_ap([none], [truth()], 1).mean()) and np.isnan(voc_ap([none], [truth()], 1)[0])
    assert np.isnan(coco_ap([], [], 3).mean())
