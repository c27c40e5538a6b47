"""Metrics against closed forms and reference libraries."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paperzoo.metrics.fid import fid, frechet_distance, gaussian
from paperzoo.metrics.inception_score import inception_score
from paperzoo.metrics.modes import modes


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


def test_fid_agrees_with_torchmetrics() -> None:
    from torchmetrics.image.fid import _compute_fid

    random = np.random.default_rng(3)
    (m1, s1), (m2, s2) = gaussian(random.standard_normal((300, 6))), gaussian(random.random((300, 6)))
    theirs = _compute_fid(*(torch.from_numpy(a) for a in (m1, s1, m2, s2)))
    assert frechet_distance((m1, s1), (m2, s2)) == pytest.approx(float(theirs), rel=1e-6)


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
