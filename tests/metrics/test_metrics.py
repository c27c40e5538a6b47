"""Metrics against closed forms and reference libraries."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paperzoo.metrics.density_coverage import density_coverage
from paperzoo.metrics.diversity import diversity_score
from paperzoo.metrics.fid import fid, fid_floor, frechet_distance, gaussian
from paperzoo.metrics.inception_score import inception_score
from paperzoo.metrics.kid import kid, kid_of_subsets
from paperzoo.metrics.matching import contingency, matched_error, purity
from paperzoo.metrics.modes import modes
from paperzoo.metrics.ms_ssim import ms_ssim, scales
from paperzoo.metrics.nearest import nearest, share_below


def test_inception_score_of_known_predictions() -> None:
    sure = np.eye(10)[np.arange(1000) % 10]
    assert inception_score(sure)[0] == pytest.approx(10)
    assert inception_score(np.full((1000, 10), 0.1))[0] == pytest.approx(1)
    assert inception_score(np.eye(10)[np.zeros(1000, int)])[0] == pytest.approx(1)  # certain, but of one class only
    half = inception_score(np.eye(10)[np.arange(1000) % 5])[0]
    assert half == pytest.approx(5)


def test_inception_score_against_its_definition_on_one_split() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(7), 200)
    marginal = p.mean(0)
    expected = np.exp(np.mean([sum(a * np.log(a / b) for a, b in zip(row, marginal, strict=True)) for row in p]))
    assert inception_score(p, splits=1)[0] == pytest.approx(expected)


@pytest.mark.parametrize("bad", [np.ones((5, 10)) / 10, np.ones((100, 10)), np.ones(100)])
def test_inception_score_refuses_what_is_no_distribution(bad: np.ndarray) -> None:
    with pytest.raises(ValueError):
        inception_score(bad)


def test_frechet_distance_of_known_gaussians() -> None:
    one = np.array([0.0]), np.array([[1.0]])
    other = np.array([3.0]), np.array([[4.0]])
    assert frechet_distance(one, other) == pytest.approx((0 - 3) ** 2 + (1 - 2) ** 2)
    rotation, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((5, 5)))
    a, b = np.diag([1.0, 2, 3, 4, 5]), np.diag([5.0, 1, 1, 2, 2])
    rotated = frechet_distance((np.zeros(5), rotation @ a @ rotation.T), (np.zeros(5), rotation @ b @ rotation.T))
    assert rotated == pytest.approx(((np.sqrt(np.diag(a)) - np.sqrt(np.diag(b))) ** 2).sum())


def test_fid_against_the_matrix_square_root_and_itself() -> None:
    import scipy.linalg

    random = np.random.default_rng(2)
    x, y = random.standard_normal((500, 8)), random.standard_normal((400, 8)) @ random.standard_normal((8, 8)) + 1
    (m1, s1), (m2, s2) = gaussian(x), gaussian(y)
    expected = ((m1 - m2) ** 2).sum() + np.trace(s1 + s2 - 2 * scipy.linalg.sqrtm(s1 @ s2).real)
    assert fid(x, y) == pytest.approx(expected, rel=1e-6)
    assert fid(x, x) == pytest.approx(0, abs=1e-6)
    small, large = fid(x[:50], x[50:100]), fid(x[:250], x[250:])
    assert small > large > 0  # biased upward for few samples
    with pytest.raises(ValueError, match="more samples than dimensions"):
        fid(x[:8], y)


def test_the_floor_is_that_of_two_random_halves() -> None:
    """In order the halves would be two sets of other kinds; at random, only chance is between them, less the more there are."""
    random = np.random.default_rng(4)
    sorted_kinds = np.concatenate([random.standard_normal((1000, 4)) + shift for shift in (0, 5)])
    floor = fid_floor(sorted_kinds)
    assert floor == fid_floor(sorted_kinds) < 0.1 < 90 < fid(sorted_kinds[:1000], sorted_kinds[1000:])
    assert fid_floor(random.standard_normal((401, 4))) > 4 * fid_floor(random.standard_normal((40_001, 4))) > 0
    chance = [fid(random.standard_normal((1000, 4)), random.standard_normal((1000, 4))) for _ in range(20)]
    assert min(chance) / 2 < fid_floor(random.standard_normal((2000, 4))) < 2 * max(chance)  # of halves, not of the whole


def test_modes_need_quality_and_coverage() -> None:
    random = np.random.default_rng(4)
    angle = 2 * np.pi * np.arange(8) / 8
    centres = np.stack([np.cos(angle), np.sin(angle)], 1)
    real = centres[random.integers(0, 8, 10_000)] + 0.02 * random.standard_normal((10_000, 2))
    covered, quality = modes(real, centres, 0.02)
    assert covered == 8 and quality == pytest.approx(0.989, abs=0.004)
    collapsed = centres[[0] * 1000]
    assert modes(collapsed, centres, 0.02) == (1, 1.0)  # quality alone would call this perfect
    assert modes(real + 5, centres, 0.02) == (0, 0.0)


# ---------------------------------------------------------------- KID


def test_kid_against_its_definition_and_the_kernel_of_scikit_learn() -> None:
    from sklearn.metrics.pairwise import polynomial_kernel

    random = np.random.default_rng(5)
    x, y = random.standard_normal((40, 6)), random.standard_normal((30, 6)) * 1.5 + 0.3
    k = lambda a, b: (a @ b / 6 + 1) ** 3  # noqa: E731
    of_x = np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    of_y = np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    between = np.mean([k(a, b) for a in x for b in y])
    assert kid(x, y) == pytest.approx(of_x + of_y - 2 * between, rel=1e-4)
    own = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (polynomial_kernel(a, degree=3, coef0=1) for a in (x, y))]
    assert kid(x, y) == pytest.approx(sum(own) - 2 * polynomial_kernel(x, y, degree=3, coef0=1).mean(), rel=1e-4)


def test_kid_has_no_bias_where_fid_has_one() -> None:
    random = np.random.default_rng(6)
    x, y = random.standard_normal((2, 2000, 16))
    few = [kid(x[i : i + 50], y[i : i + 50]) for i in range(0, 2000, 50)]
    error = np.std(few) / np.sqrt(len(few))
    assert abs(np.mean(few)) < 3 * error and min(few) < 0 < max(few)  # zero in expectation, so below it at times
    shifted = [kid(x[i : i + 50], y[i : i + 50] + 1) for i in range(0, 2000, 50)]
    assert np.mean(shifted) == pytest.approx(kid(x, y + 1), abs=3 * np.std(shifted) / np.sqrt(len(shifted)))
    mean, deviation = kid_of_subsets(x, y + 1, subsets=20, size=200)
    assert mean == pytest.approx(kid(x, y + 1), abs=deviation) and deviation > 0


def test_kid_in_parts_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = np.random.default_rng(7).standard_normal((2, 95, 4))
    whole = kid(x, y)
    monkeypatch.setattr("paperzoo.metrics.kid._CHUNK", 10)
    assert kid(x, y) == pytest.approx(whole, rel=1e-5)
    for a, b in ((x[:1], y), (x, y[:, :3]), (x[0], y)):
        with pytest.raises(ValueError, match="need"):
            kid(a, b)


# ---------------------------------------------------------------- MS-SSIM


def pictures(channels: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth pictures, and the same with noise."""
    torch.manual_seed(8)
    x = torch.nn.functional.interpolate(torch.rand(3, channels, 9, 9), (height, width), mode="bicubic").clamp(0, 1)
    return x, (x + 0.15 * torch.randn_like(x)).clamp(0, 1)


@pytest.mark.parametrize("shape", [(1, 176, 176), (3, 192, 256)])
def test_ms_ssim_agrees_with_pytorch_msssim(shape: tuple[int, int, int]) -> None:
    import pytorch_msssim

    x, y = pictures(*shape)
    theirs = pytorch_msssim.ms_ssim(x, y, data_range=1, size_average=False)
    assert torch.allclose(ms_ssim(x, y), theirs, atol=1e-5) and 0.3 < theirs.mean() < 0.99


@pytest.mark.parametrize(("side", "used"), [(32, 2), (64, 3), (16, 1)])
def test_ms_ssim_of_small_images_agrees_on_the_scales_they_have(side: int, used: int) -> None:
    assert scales(side) == used
    all_five = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
    weights = all_five[:used] / all_five[:used].sum() * all_five.sum()
    x, y = pictures(3, side, side)
    contrast, theirs = [], torch.ones(3, 3)
    for weight in weights:
        whole, part = _their_ssim(x, y)
        contrast.append((weight, part, whole))
        x, y = (torch.nn.functional.avg_pool2d(i, 2) for i in (x, y))
    for index, (weight, part, whole) in enumerate(contrast):
        theirs = theirs * (whole if index == used - 1 else part).relu() ** weight
    assert torch.allclose(ms_ssim(*pictures(3, side, side)), theirs.mean(1), atol=1e-5)


def _their_ssim(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """SSIM and contrast (N, C) by the library's own inner function."""
    from pytorch_msssim.ssim import _fspecial_gauss_1d, _ssim

    window = _fspecial_gauss_1d(11, 1.5).repeat([x.shape[1], 1, 1, 1])
    return _ssim(x, y, data_range=1, win=window)


def test_ms_ssim_of_known_pairs() -> None:
    for side in (8, 9, 16, 28, 64, 161):
        x, y = pictures(1, side, side)
        assert torch.allclose(ms_ssim(x, x), torch.ones(3), atol=1e-5)
        assert torch.allclose(ms_ssim(x, y), ms_ssim(y, x)) and (ms_ssim(x, y) < 0.99).all()
        assert (ms_ssim(x, 1 - x) >= 0).all() and torch.isfinite(ms_ssim(x, 1 - x)).all()  # opposites: negative contrast
    black, white = torch.zeros(1, 1, 16, 16), torch.ones(1, 1, 16, 16)
    assert ms_ssim(black, white).item() == pytest.approx(1e-4 / (1 + 1e-4), rel=1e-3)  # C1 / (1 + C1), contrast 1
    assert [scales(side) for side in (11, 20, 21, 40, 41, 80, 81, 160, 161, 1000)] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    with pytest.raises(ValueError, match="equal shapes"):
        ms_ssim(black, white[:, :, 1:])


# ---------------------------------------------------------------- density and coverage


def test_density_and_coverage_against_their_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paperzoo.metrics.density_coverage._CHUNK", 17)
    random = np.random.default_rng(9)
    x, y, k = random.standard_normal((60, 3)), random.standard_normal((40, 3)) * 0.7 + 0.2, 5
    radius = np.array([sorted(np.linalg.norm(a - b) for j, b in enumerate(x) if j != i)[k - 1] for i, a in enumerate(x)])
    inside = np.array([[np.linalg.norm(a - b) < r for b in y] for a, r in zip(x, radius, strict=True)])  # (real, fake)
    density, coverage = density_coverage(x + 50, y + 50, k)  # far from zero
    assert density == pytest.approx(inside.sum() / (k * 40)) and coverage == pytest.approx(inside.any(1).mean())


def test_density_and_coverage_of_known_sets() -> None:
    random = np.random.default_rng(10)
    x, y = random.standard_normal((2, 4000, 2))
    density, coverage = density_coverage(x, y)
    assert density == pytest.approx(1, abs=0.03) and coverage == pytest.approx(1 - 2**-5, abs=0.01)
    assert density_coverage(x, x)[0] == pytest.approx(1) and density_coverage(x, y + 100) == (0, 0)
    collapsed = density_coverage(x, np.repeat(x[np.abs(x).sum(1).argmin()][None], 4000, 0) + 1e-3)
    assert collapsed[0] > 0.8 and collapsed[1] < 0.01  # density alone takes it for real
    half = density_coverage(x, y[y[:, 0] > 0])
    assert half[0] == pytest.approx(1, abs=0.05) and half[1] == pytest.approx(0.5, abs=0.05)
    for a, b in ((x[:5], y), (x, y[:0]), (x, y[:, :1])):
        with pytest.raises(ValueError, match="need"):
            density_coverage(a, b)


# ---------------------------------------------------------------- classes: diversity, matching


def test_diversity_score_of_known_marginals() -> None:
    even, random = np.eye(10)[np.arange(1000) % 10], np.random.default_rng(11)
    assert diversity_score(even, even[:500]) == pytest.approx(1)
    assert diversity_score(even[:1].repeat(100, 0), even) == pytest.approx(0.1)  # all of one class of ten
    assert diversity_score(np.full((50, 10), 0.1), even) == pytest.approx(1)  # unsure of every sample, but on balance
    assert diversity_score(even, even[:1]) == 0  # nine classes that the data have not
    p, q = random.dirichlet(np.ones(4), 30), random.dirichlet(np.ones(4), 20)
    a, b = p.mean(0), q.mean(0)
    assert diversity_score(p, q) == pytest.approx(np.exp(-sum(i * np.log(i / j) for i, j in zip(a, b, strict=True))))
    for bad in (even * 2, even[:, :9], even[:0]):
        with pytest.raises(ValueError):
            diversity_score(bad, even)


def test_matching_is_the_best_of_all_permutations() -> None:
    from itertools import permutations

    random = np.random.default_rng(12)
    code, label = random.integers(0, 5, 300), random.integers(0, 5, 300)
    best = min(100 * float(np.mean(np.array(order)[code] != label)) for order in permutations(range(5)))
    assert matched_error(code, label) == pytest.approx(best)
    assert matched_error((label + 2) % 5, label) == 0 and purity((label + 2) % 5, label) == 100
    majority = sum(np.bincount(label[code == k]).max() for k in range(5))
    assert purity(code, label) == pytest.approx(100 * majority / 300)


def test_matching_with_more_codes_than_classes() -> None:
    code, label = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 0, 0, 1, 1])
    assert purity(code, label) == 100  # codes 0 and 1 both stand for class 0
    assert matched_error(code, label) == pytest.approx(100 / 3)  # but only one of them may
    assert matched_error(np.zeros(6, int), label) == pytest.approx(100 / 3) == 100 - purity(np.zeros(6, int), label)
    assert contingency(code, label).tolist() == [[2, 0], [2, 0], [0, 2]]
    for a, b in ((code[:3], label), (code - 1, label), (code / 2, label), (code[:0], label[:0])):
        with pytest.raises(ValueError, match="whole numbers"):
            matched_error(a, b)


# ---------------------------------------------------------------- nearest neighbours


def test_nearest_against_all_distances_in_parts() -> None:
    torch.manual_seed(13)
    queries, references = torch.rand(20, 30), torch.rand(101, 30)
    queries[3] = references[77]
    distance, index = nearest(queries, torch.split(references, 25))
    expected = torch.cdist(queries.double(), references.double()).min(1)
    assert torch.equal(index, expected.indices) and torch.allclose(distance.double(), expected.values, atol=1e-6)
    assert distance[3] == 0 and index[3] == 77
    with pytest.raises(ValueError, match="nothing to be near to"):
        nearest(queries, [])


def test_learning_by_heart_is_seen() -> None:
    torch.manual_seed(14)
    train, test, fresh = torch.rand(3, 400, 8)
    real = nearest(test, [train])[0]
    assert share_below(real, real) == pytest.approx(1, abs=0.3)
    assert share_below(nearest(fresh, [train])[0], real) < 5
    assert share_below(nearest(train + 0.001, [train])[0], real) == 100
    half = torch.cat([train[:200] + 0.001, fresh[:200]])
    assert share_below(nearest(half, [train])[0], real) == pytest.approx(50, abs=3)
