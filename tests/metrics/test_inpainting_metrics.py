"""Errors in the hole, and what fills one without a network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import laplace
from torch import Tensor

from paperzoo.data.change.holes import centre_hole, random_blocks, random_regions
from paperzoo.metrics.inpainting import MOST, biharmonic, in_hole, surround_fill

KINDS = (centre_hole, random_blocks, random_regions)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_errors_are_of_the_hole_alone(kind: object) -> None:
    torch.manual_seed(0)
    hole, a, b = kind(3, 24, 20), noise(3, 3, 24, 20), noise(3, 3, 24, 20, seed=1)  # type: ignore[operator]
    found = in_hole(a, b, hole)
    for i in range(3):
        apart = (a - b)[i].numpy()[:, hole[i, 0].numpy() > 0].astype(np.float64)
        wanted = [10 * np.log10(1 / np.square(apart).mean()), 100 * np.abs(apart).mean(), 100 * np.square(apart).mean()]
        assert [float(one[i]) for one in found] == pytest.approx(wanted, rel=1e-6)
    elsewhere = torch.where(hole > 0, a, noise(3, 3, 24, 20, seed=2))
    assert all(torch.equal(x, y) for x, y in zip(in_hole(elsewhere, b, hole), found, strict=True))
    assert in_hole(b, b, hole).psnr.tolist() == [MOST] * 3


def test_what_does_not_belong_together_is_named() -> None:
    image = noise(2, 3, 16, 16)
    with pytest.raises(ValueError, match="do not belong together"):
        in_hole(image, image, centre_hole(1, 16, 16))
    with pytest.raises(ValueError, match="without a hole has no error"):
        in_hole(image, image, torch.zeros(2, 1, 16, 16))


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_is_that_of_the_known_pixels_of_each_image(kind: object) -> None:
    hole, image = kind(2, 16, 24), noise(2, 3, 16, 24)  # type: ignore[operator]
    found, mask = surround_fill(image, hole), hole[:, 0].numpy() > 0
    for i in range(2):
        assert np.allclose(found[i].numpy()[:, mask[i]], image[i].numpy()[:, ~mask[i]].mean(1)[:, None], atol=1e-6)
        assert np.array_equal(found[i].numpy()[:, ~mask[i]], image[i].numpy()[:, ~mask[i]])


def test_the_surface_solves_the_biharmonic_equation_at_the_images_edge_too() -> None:
    hole, image = torch.zeros(3, 1, 18, 15), noise(3, 2, 18, 15).double()
    hole[0, 0, 4:11, 5:12], hole[1, 0, :6, 9:], hole[2, 0, 6:10, 5:9] = 1, 1, 1  # inside, in a corner, and a small one
    found, cut = biharmonic(image, hole), 0
    mask = hole[:, 0].numpy() > 0
    assert torch.equal(found[hole.expand_as(found) == 0], image[hole.expand_as(found) == 0]) and found.dtype == image.dtype
    for i in range(3):
        for c in range(2):
            u = found[i, c].numpy()
            known = u[~mask[i]]
            assert known.min() <= u.min() and u.max() <= known.max()
            if not np.isin(u[mask[i]], (known.min(), known.max())).any():  # else the answer was cut to the range of the known
                twice = laplace(laplace(u))  # whose border repeats the pixels of the edge
                assert np.abs(twice[mask[i]]).max() < 1e-10 < np.abs(twice[~mask[i]]).max()
            else:
                cut += 1
    assert cut < 3


@pytest.mark.parametrize("kind", KINDS)
def test_cubic_surfaces_are_restored_exactly(kind: object) -> None:
    torch.manual_seed(3)
    y, x = np.meshgrid(np.linspace(-1, 1, 28), np.linspace(-1, 1, 26), indexing="ij")
    surfaces = [0.5 + 0.1 * (x**3 - 2 * y**2 * x + x * y), 0.4 + 0.1 * (y**3 + x**2 * y - y), 0.5 + 0.2 * x - 0.1 * y]
    image = torch.from_numpy(np.stack(surfaces)).float()[None].expand(2, -1, -1, -1)
    hole = torch.zeros(2, 1, 28, 26)
    hole[..., 3:-3, 3:-3] = kind(2, 22, 20)  # type: ignore[operator]  # two pixels around it are known
    assert (biharmonic(image, hole) - image).abs().max() < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_scikit_image(kind: object) -> None:
    inpaint = pytest.importorskip("skimage.restoration").inpaint_biharmonic
    torch.manual_seed(1)
    image, hole = noise(2, 3, 20, 24), kind(2, 20, 24)  # type: ignore[operator]
    for i, found in enumerate(biharmonic(image, hole)):
        theirs = inpaint(image[i].double().permute(1, 2, 0).numpy(), hole[i, 0].numpy() > 0, channel_axis=2)
        assert np.allclose(found.permute(1, 2, 0), theirs, atol=1e-6)
