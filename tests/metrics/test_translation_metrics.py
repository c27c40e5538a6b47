"""Scores and baselines of translation against closed forms and reference libraries."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import top_k_accuracy_score
from torch import Tensor

from paperzoo.metrics.psnr import psnr
from paperzoo.metrics.retrieval import retrieval
from paperzoo.metrics.ssim import ssim
from paperzoo.metrics.translation_baselines import affine_colours, colour_transfer, lab, patch_regression, rgb

#: scikit-image 0.25.2 of the two pictures of ``waves``
SCIKIT_IMAGE = 0.9307325865518047


def waves() -> tuple[Tensor, Tensor]:
    place = np.arange(3 * 24 * 32).reshape(24, 32, 3)
    one = (np.sin(place * 0.37) + 1) / 2
    other = (np.sin(place * 0.37 + 0.3 * np.cos(place * 0.011)) + 1) / 2 * 0.8
    a, b = (torch.from_numpy(x).permute(2, 0, 1)[None].float() for x in (one, other))
    return a, b


def smooth(count: int, seed: int = 0, size: int = 16) -> Tensor:
    torch.manual_seed(seed)
    return torch.nn.functional.interpolate(torch.rand(count, 3, 4, 4), (size, size), mode="bilinear") * 0.8 + 0.1


def test_psnr_of_a_known_error() -> None:
    a = smooth(3)
    assert psnr(a, a + 0.1).tolist() == pytest.approx([20, 20, 20], abs=1e-4)
    b = torch.stack([a[0] + 0.1, a[1] - 0.01, a[2]])
    assert psnr(a, b).tolist() == pytest.approx([20, 40, float("inf")], abs=1e-3)
    half = a.clone()
    half[:, :, :8] += 0.2
    assert psnr(a, half).tolist() == pytest.approx([-10 * np.log10(0.04 / 2)] * 3, abs=1e-4)
    with pytest.raises(ValueError):
        psnr(a, a[:1])


def test_ssim_is_that_of_scikit_image() -> None:
    a, b = waves()
    assert float(ssim(a, b)) == pytest.approx(SCIKIT_IMAGE, abs=2e-5)
    metrics = pytest.importorskip("pytorch_msssim")
    pairs = smooth(4, 1, 32), (smooth(4, 1, 32) + 0.1 * torch.randn(4, 3, 32, 32)).clamp(0, 1)
    assert torch.allclose(ssim(*pairs), metrics.ssim(*pairs, data_range=1, size_average=False), atol=1e-5)
    assert torch.allclose(ssim(a, a), torch.ones(1)) and float(ssim(a, 1 - a)) < 0
    with pytest.raises(ValueError):
        ssim(a[0], b[0])


def test_ssim_is_that_of_scikit_image_here() -> None:
    similarity = pytest.importorskip("skimage.metrics").structural_similarity
    a, b = waves()
    there = similarity(
        a[0].numpy(), b[0].numpy(), gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1, channel_axis=0
    )
    assert float(ssim(a, b)) == pytest.approx(there, abs=2e-5)


def test_retrieval_is_top_k_accuracy() -> None:
    random = np.random.default_rng(0)
    gallery = random.standard_normal((60, 8))
    queries = gallery + 0.8 * random.standard_normal((60, 8))
    found = retrieval(queries, gallery, (1, 5, 10))
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, gallery)]
    for k, percent in found.items():
        assert percent == pytest.approx(100 * top_k_accuracy_score(np.arange(60), unit[0] @ unit[1].T, k=k))
    assert found[1] < found[5] < found[10]
    assert retrieval(gallery, 3 * gallery) == {1: 100, 5: 100}  # lengths do not matter
    assert retrieval(np.ones((60, 8)), gallery)[5] == pytest.approx(100 * 5 / 60)
    assert retrieval(queries, np.ones((60, 8))) == {1: 0, 5: 0}  # what says nothing finds nothing
    assert retrieval(np.zeros((60, 8)), gallery) == {1: 0, 5: 0}
    turned = retrieval(gallery, np.roll(gallery, 1, 0))
    assert turned[1] == 0
    with pytest.raises(ValueError):
        retrieval(queries, gallery[:5])


def test_colour_transfer_gives_the_other_domain_its_statistics() -> None:
    a, b = smooth(20, 0), smooth(30, 1) * torch.tensor([0.5, 0.9, 0.3]).view(3, 1, 1) + 0.05
    moved = colour_transfer(a, b)
    values = (lab(a) - moved.source[0]) * (moved.target[1] / moved.source[1]) + moved.target[0]
    assert np.allclose(values.reshape(-1, 3).mean(0), lab(b).reshape(-1, 3).mean(0))
    assert np.allclose(values.reshape(-1, 3).std(0), lab(b).reshape(-1, 3).std(0))
    result = moved(a)
    assert result.shape == a.shape and result.min() >= 0 and result.max() <= 1 and not torch.equal(result, a)
    inside = ((result > 0.01) & (result < 0.99)).all(1)
    assert np.allclose(lab(result)[inside.numpy()], values[inside.numpy()], atol=1e-4)
    assert torch.allclose(colour_transfer(a, a)(a), a, atol=1e-5)  # its own statistics change nothing
    assert torch.allclose(moved(a[3:5]), result[3:5])  # no picture depends on another


def test_l_alpha_beta_is_that_of_the_paper() -> None:
    """Of grey, alpha and beta are nearly 0; l is the sum of three equal logarithms over the root of 3."""
    grey = torch.full((1, 3, 1, 1), 0.5)
    level, alpha, beta = lab(grey).ravel()
    assert level == pytest.approx(np.sqrt(3) * np.log10(0.5), abs=2e-3) and abs(alpha) < 2e-3 and abs(beta) < 2e-3
    red = lab(torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1).clamp(min=1 / 255)).ravel()
    lms = np.log10(np.array([0.3811, 0.1967, 0.0241]) + np.array([0.6185, 0.8026, 0.9732]) / 255)
    assert np.allclose(red, [lms.sum() / np.sqrt(3), (lms[0] + lms[1] - 2 * lms[2]) / np.sqrt(6), (lms[0] - lms[1]) / np.sqrt(2)])
    a = smooth(2)
    assert torch.allclose(rgb(lab(a), a), a, atol=1e-5)


def test_affine_colours_are_least_squares() -> None:
    a = smooth(30)
    matrix, shift = torch.tensor([[0.2, 0.5, 0.1], [0.0, 0.3, 0.4], [0.6, 0.0, 0.1]]), torch.tensor([0.05, 0.1, 0.02])
    b = torch.einsum("ij,njhw->nihw", matrix, a) + shift.view(3, 1, 1)
    exact = affine_colours(a, b)
    assert torch.allclose(exact.weight[:, :, 0, 0], matrix, atol=1e-4) and torch.allclose(exact.bias, shift, atol=1e-4)
    assert torch.allclose(exact(a), b, atol=1e-5)
    noisy = b + 0.1 * torch.randn_like(b)
    flat = [x.permute(0, 2, 3, 1).reshape(-1, 3).double().numpy() for x in (a, noisy)]
    there, here = LinearRegression().fit(*flat), affine_colours(a, noisy)
    assert np.allclose(here.weight[:, :, 0, 0], there.coef_, atol=1e-4) and np.allclose(here.bias, there.intercept_, atol=1e-4)
    assert here(10 * a - 5).min() == 0 and here(10 * a - 5).max() == 1  # cut off
    assert torch.isfinite(affine_colours(a[:, :1].expand(-1, 3, -1, -1), b).weight).all()  # equal channels


def test_patch_regression_is_ridge_regression() -> None:
    a, b = torch.rand(120, 3, 9, 8), torch.rand(120, 3, 9, 8)
    rows, colours = [], []
    for x, y in zip(np.pad(a.double().numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), "reflect"), b.double().numpy(), strict=True):
        for i in range(9):
            for j in range(8):
                rows.append(x[:, i : i + 5, j : j + 5].ravel())
                colours.append(y[:, i, j])
    here = patch_regression(a, b, ridge=30.0)
    there = Ridge(alpha=30.0).fit(np.array(rows), np.array(colours))
    assert np.allclose(here.weight.reshape(3, -1), there.coef_, atol=1e-5) and np.allclose(here.bias, there.intercept_, atol=1e-4)
    predicted = there.predict(np.array(rows)[:72]).reshape(9, 8, 3).transpose(2, 0, 1)
    assert np.allclose(here(a[:1])[0], predicted.clip(0, 1), atol=1e-4)


def test_patch_regression_sees_two_pixels_far() -> None:
    torch.manual_seed(0)
    a = torch.rand(10, 3, 32, 32)
    near = torch.roll(a, (2, -1), (2, 3)) * 0.5  # what lies two rows above and a column to the right
    model = patch_regression(a, near, ridge=1e-3)
    assert (model(a) - near)[:, :, 2:-2, 2:-2].abs().mean() < 0.02
    far = torch.roll(a, 3, 2) * 0.5
    assert (patch_regression(a, far, ridge=1e-3)(a) - far)[:, :, 3:].abs().mean() > 0.1
    with pytest.raises(ValueError):
        patch_regression(a, near, side=4)


def test_black_counts_as_one_of_255() -> None:
    dark = torch.full((1, 3, 2, 2), 1 / 255)
    assert np.allclose(lab(torch.zeros(1, 3, 2, 2)), lab(dark), atol=1e-6) and not np.allclose(lab(dark), lab(2 * dark), atol=0.1)


def test_the_regression_is_of_5x5_patches_with_a_penalty_of_one() -> None:
    defaults = {name: p.default for name, p in inspect.signature(patch_regression).parameters.items() if p.default is not p.empty}
    assert defaults == {"side": 5, "ridge": 1.0}
