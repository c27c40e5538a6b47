"""What two-stage detectors share: RoIAlign by hand, by a plain loop and by gradcheck; anchors, offsets, levels, matching and sampling."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from paperzoo.papers.detection.regions import anchors_of, decoded, encoded, level_of, matched, pooled, roi_align, sampled


def bilinear(own: Tensor, y: float, x: float) -> Tensor:
    """The value (C) of a map (C, H, W) at y, x in cells, 0 at the middle of the first; beyond the border the border's, then nothing."""
    tall, wide = own.shape[1:]
    if y < -1 or y > tall or x < -1 or x > wide:
        return 0 * own[:, 0, 0]
    y, x = min(max(y, 0.0), tall - 1.0), min(max(x, 0.0), wide - 1.0)
    y0, x0 = min(int(y), tall - 1), min(int(x), wide - 1)
    y1, x1 = min(y0 + 1, tall - 1), min(x0 + 1, wide - 1)
    dy, dx = y - y0, x - x0
    return (1 - dy) * ((1 - dx) * own[:, y0, x0] + dx * own[:, y0, x1]) + dy * ((1 - dx) * own[:, y1, x0] + dx * own[:, y1, x1])


def plain(features: Tensor, boxes: Tensor, image: Tensor, size: int, scale: float, ratio: int = 2) -> Tensor:
    """The same as ``roi_align`` in loops."""
    found = torch.zeros(len(boxes), features.shape[1], size, size, dtype=features.dtype)
    for k, (x0, y0, x1, y1) in enumerate(boxes.tolist()):
        for i in range(size):
            for j in range(size):
                for a in range(ratio):
                    for b in range(ratio):
                        y = scale * (y0 + (y1 - y0) * (i + (a + 0.5) / ratio) / size) - 0.5
                        x = scale * (x0 + (x1 - x0) * (j + (b + 0.5) / ratio) / size) - 0.5
                        found[k, :, i, j] += bilinear(features[int(image[k])], y, x) / ratio**2
    return found


def test_roi_align_of_whole_cells_and_of_a_slope_by_hand() -> None:
    features = torch.arange(16.0, dtype=torch.float64).view(1, 1, 4, 4)
    one = roi_align(features, torch.tensor([[4.0, 8.0, 8.0, 12.0]], dtype=torch.float64), torch.tensor([0]), 1, 0.25, 1)
    assert float(one) == 9.0  # the box of one cell, row 2 and column 1, at its middle
    # of a slope f = x + 4 y the mean over a bin is its value in the bin's middle, wherever the box lies
    box = torch.tensor([[3.0, 5.0, 11.0, 9.0]], dtype=torch.float64)
    found = roi_align(features, box, torch.tensor([0]), 2, 0.25)
    for i in range(2):
        for j in range(2):
            y, x = (5 + 4 * (i + 0.5) / 2) / 4 - 0.5, (3 + 8 * (j + 0.5) / 2) / 4 - 0.5
            assert float(found[0, 0, i, j]) == pytest.approx(x + 4 * y)


def test_roi_align_is_that_of_a_plain_loop_also_beyond_the_border() -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 3, 7, 9, dtype=torch.float64)
    given = [[0, 0, 36, 28], [3.3, 2.1, 20.7, 17.9], [-9, -14, 12, 9], [30, 20, 60, 50], [5, 5, 5.2, 5.1]]
    boxes = torch.tensor(given, dtype=torch.float64)
    image = torch.tensor([0, 1, 1, 0, 1])
    for size, ratio in ((7, 2), (3, 1), (2, 3)):
        assert torch.allclose(roi_align(features, boxes, image, size, 0.25, ratio), plain(features, boxes, image, size, 0.25, ratio))


def test_roi_aligns_gradient_is_that_of_differences() -> None:
    torch.manual_seed(1)
    features = torch.randn(2, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([[1.3, 2.2, 17.9, 14.4], [-3, 4, 9, 30]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda f: roi_align(f, boxes, torch.tensor([1, 0]), 3, 0.25), features)


def test_a_shift_by_a_cell_shifts_the_features_and_nothing_is_rounded() -> None:
    features = torch.randn(1, 2, 12, 12, dtype=torch.float64)
    box = torch.tensor([[10.6, 9.4, 26.6, 25.4]], dtype=torch.float64)
    moved = roi_align(features.roll(1, 3), box + torch.tensor([4.0, 0, 4, 0]), torch.tensor([0]), 4, 0.25)
    assert torch.allclose(moved, roi_align(features, box, torch.tensor([0]), 4, 0.25))
    small = roi_align(features, box + 0.01, torch.tensor([0]), 4, 0.25)
    assert 0 < float((small - roi_align(features, box, torch.tensor([0]), 4, 0.25)).abs().max()) < 0.05


def test_boxes_are_read_from_the_map_of_their_size() -> None:
    boxes = torch.tensor([[0.0, 0, s, s] for s in (20, 112, 224, 448, 2000)])
    assert level_of(boxes, 4).tolist() == [0, 1, 2, 3, 3]
    maps = [torch.full((1, 1, 8 >> k, 8 >> k), float(k)) for k in range(4)]
    assert pooled(maps, boxes.clamp(max=30), torch.zeros(5, dtype=torch.int64), 1, 30.0).flatten().tolist() == [1, 2, 2, 2, 2]


def test_anchors_lie_around_the_middles_of_cells() -> None:
    found = anchors_of([(2, 3), (1, 1)], 8.0)
    assert found.shape == (21, 4)
    assert found[1].tolist() == [-2.0, -2.0, 6.0, 6.0] and found[4].tolist() == [2.0, -2.0, 10.0, 6.0]  # x runs first
    assert found[19].tolist() == [-4.0, -4.0, 12.0, 12.0]  # twice as large around the middle of a cell of 8 pixels
    side = found[:3, 2:] - found[:3, :2]
    assert torch.allclose(side[:, 1] / side[:, 0], torch.tensor([0.5, 1.0, 2.0])) and torch.allclose(side.prod(1), torch.full((3,), 64.0))


def test_offsets_and_boxes_are_each_others_inverse() -> None:
    torch.manual_seed(2)
    corner, side = 50 * torch.rand(2, 20, 2), 5 + 40 * torch.rand(2, 20, 2)
    boxes, anchors = torch.cat([corner, corner + side], 2)
    for weights in ((1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)):
        assert torch.allclose(decoded(encoded(boxes, anchors, weights), anchors, weights), boxes, atol=1e-3)
    moved = encoded(torch.tensor([[10.0, 0, 30, 20]]), torch.tensor([[0.0, 0, 20, 20]]))
    assert torch.allclose(moved, torch.tensor([[0.5, 0, 0, 0]]))
    assert float(encoded(torch.tensor([[0.0, 0, 40, 20]]), torch.tensor([[10.0, 0, 30, 20]]))[0, 2]) == pytest.approx(math.log(2))


def test_anchors_find_what_they_overlap_and_every_box_is_found_by_its_best() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 2], [50, 50, 60, 60], [80, 80, 84, 84]])
    boxes = torch.tensor([[0.0, 0, 10, 10], [48, 48, 78, 78]])
    which, label = matched(anchors, boxes, 0.3, 0.7, True)
    assert label.tolist() == [1, -1, 0, 1, 0] and which[[0, 3]].tolist() == [0, 1]
    assert matched(anchors, boxes, 0.3, 0.7, False)[1].tolist() == [1, -1, 0, 0, 0]
    assert matched(anchors, boxes[:0], 0.3, 0.7, True)[1].tolist() == [0] * 5


def test_samples_have_at_most_their_share_of_what_finds_something() -> None:
    label = torch.tensor([1] * 40 + [0] * 100 + [-1] * 20)
    chosen = sampled(label, 32, 0.25)
    assert len(chosen) == 32 and int((label[chosen] == 1).sum()) == 8 and not (label[chosen] == -1).any()
    few = sampled(torch.tensor([1, 0, 0, 0, -1]), 4, 0.5)
    assert len(few) == 4 and len(set(few.tolist())) == 4
