"""Holes for in-painting: what is missing, what it counts, and masks that users paint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import binary_dilation, distance_transform_cdt, label

from paperzoo.data.change.holes import centre_hole, grown, punched, random_blocks, random_regions, read_mask, weights
from paperzoo.errors import PaperzooError


def test_the_middle_of_the_paper() -> None:
    mask = centre_hole(2, 128, 128)
    assert mask.shape == (2, 1, 128, 128) and mask.sum((1, 2, 3)).tolist() == [64 * 64] * 2
    assert mask[..., 32:96, 32:96].all() and mask.unique().tolist() == [0, 1]


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_blocks_cover_their_share_and_no_two_masks_are_alike(share: float) -> None:
    masks = random_blocks(200, 64, 96, share)
    covered = masks.mean((1, 2, 3))
    assert masks.shape == (200, 1, 64, 96) and covered.min() >= share and covered.max() < share + 1 / 9 + 0.01
    assert len({m.numpy().tobytes() for m in masks}) == 200 and masks.unique().tolist() == [0, 1]
    where = torch.nn.functional.avg_pool2d(masks.mean(0), 16)[0]  # (4, 6)
    assert where.min() > 0.3 * share  # everywhere, also in the corners
    assert masks.mean((0, 1))[0].max() > 0 < masks.mean((0, 1))[:, -1].max()  # up to the edges
    again = [random_blocks(3, 32, 32, share, torch.Generator().manual_seed(5)) for _ in range(2)]
    assert torch.equal(*again)
    for bad in (0, 0.8):
        with pytest.raises(PaperzooError, match=r"above 0 and at most 0.75"):
            random_blocks(1, 64, 64, bad)
    with pytest.raises(PaperzooError, match="at least 8x8 pixels, not 7x9"):
        random_blocks(1, 7, 9)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_regions_of_any_shape_cover_their_share(share: float) -> None:
    masks = random_regions(200, 64, 96, share)
    assert masks.shape == (200, 1, 64, 96) and masks.unique().tolist() == [0, 1]
    assert masks.mean((1, 2, 3)).tolist() == pytest.approx([share] * 200, abs=1 / 64 / 96)
    assert len({m.numpy().tobytes() for m in masks}) == 200
    where = torch.nn.functional.avg_pool2d(masks.mean(0), 16)[0]  # (4, 6)
    assert where.min() > 0.4 * share and where.max() < 2.2 * share
    pieces = [label(m[0].numpy())[1] for m in masks]
    assert 1 <= np.mean(pieces) < 6  # regions, no single pixels
    boxes = [np.ptp(np.argwhere(label(m[0].numpy())[0] == 1), 0) + 1 for m in masks]
    assert np.mean([(label(m[0].numpy())[0] == 1).sum() / b.prod() for m, b in zip(masks, boxes, strict=True)]) < 0.9  # no rectangles
    again = [random_regions(3, 32, 32, share, torch.Generator().manual_seed(5)) for _ in range(2)]
    assert torch.equal(*again)
    with pytest.raises(PaperzooError, match=r"above 0 and at most 0.75"):
        random_regions(1, 64, 64, 0.8)
    with pytest.raises(PaperzooError, match="at least 8x8 pixels, not 7x9"):
        random_regions(1, 7, 9)


def test_a_region_grows_along_rows_columns_and_diagonals() -> None:
    mask = random_blocks(1, 40, 40)
    for by in (0, 1, 7):
        square = np.ones((2 * by + 1, 2 * by + 1), bool)
        assert np.array_equal(grown(mask, by)[0, 0].numpy() > 0, binary_dilation(mask[0, 0].numpy() > 0, square))


def test_nothing_of_what_was_in_the_hole_is_left() -> None:
    mask, fill = centre_hole(1, 16, 16), torch.tensor([0.1, 0.2, 0.3])
    first, second = torch.rand(2, 1, 3, 16, 16)
    second = torch.where(mask > 0, second, first)
    assert not torch.equal(first, second) and torch.equal(punched(first, mask, fill), punched(second, mask, fill))
    assert torch.equal(punched(first, mask, fill)[0, :, 8, 8], fill) and torch.equal(punched(first, mask, fill)[..., :4], first[..., :4])


def test_seven_pixels_inside_the_edge_count_ten_times() -> None:
    mask = centre_hole(1, 128, 128)
    found = weights(mask)[0, 0]
    row = found[64, 32:96].tolist()
    assert row == [10] * 7 + [1] * 50 + [10] * 7 and found[:, 64].tolist() == found[64].tolist()
    assert found[mask[0, 0] == 0].unique().tolist() == [0]
    hole = 1 - grown(1 - mask, 7)  # what the authors' program drops when it predicts the middle: the band is known
    assert hole.sum() == 50 * 50 and torch.equal(found == 1, hole[0, 0] == 1) and torch.equal(grown(hole, 7), mask)
    blocks = random_blocks(1, 64, 64)
    inside = blocks[0, 0].numpy() > 0
    distance = distance_transform_cdt(inside, "chessboard")  # 1 beside a known pixel; the image's edge is none
    assert np.array_equal(weights(blocks)[0, 0].numpy(), np.where(inside, np.where(distance <= 7, 10.0, 1.0), 0.0))


def test_masks_of_users(tmp_path: Path) -> None:
    painted = np.zeros((20, 30), np.uint8)
    painted[5:9, 6:20] = 255
    Image.fromarray(painted).save(tmp_path / "m.png")
    assert np.array_equal(read_mask(tmp_path / "m.png", 20, 30)[0, 0].numpy(), painted / 255)
    assert torch.equal(read_mask(Image.fromarray(painted).convert("P"), 20, 30), read_mask(tmp_path / "m.png", 20, 30))
    Image.fromarray(painted.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    assert torch.equal(read_mask(tmp_path / "deep.png", 20, 30), read_mask(tmp_path / "m.png", 20, 30))
    with pytest.raises(PaperzooError, match=r"m.png is 30x20 pixels, and the image 31x20: a mask has the size"):
        read_mask(tmp_path / "m.png", 20, 31)
    for colour, said in ((0, "black all over, so that nothing is missing"), (255, "white all over, so that nothing of the image is left")):
        with pytest.raises(PaperzooError, match=f"the mask is {said}"):
            read_mask(Image.new("L", (30, 20), colour), 20, 30)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(PaperzooError, match=r"text.png cannot be read as a mask"):
        read_mask(tmp_path / "text.png", 20, 30)
