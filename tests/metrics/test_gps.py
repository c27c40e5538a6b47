"""Geodesic point similarity and average precision over it, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from paperzoo.metrics.gps import KAPPA, SIMILAR, Scored, average_precision, gps, gpsm


def test_gps_is_one_at_no_distance_half_at_thirty_centimetres_and_nothing_where_nothing_is_found() -> None:
    assert gps(np.zeros(5)) == 1.0
    assert gps(np.full(3, 0.30)) == pytest.approx(0.5006, abs=5e-5)
    assert gps(np.full(3, KAPPA)) == pytest.approx(np.exp(-0.5))
    assert gps(np.array([0.0, np.inf])) == 0.5 and np.isnan(gps(np.zeros(0)))
    assert gps(np.array([0.0, 0.30])) == pytest.approx((1 + 0.50055) / 2, abs=1e-4)  # the mean of similarities, not of distances


def test_gpsm_is_the_geometric_mean_with_the_masks_overlap() -> None:
    assert float(gpsm(np.array(0.81), np.array(0.25))) == pytest.approx(0.45)
    assert float(gpsm(np.array(1.0), np.array(0.0))) == 0.0


def test_average_precision_by_hand() -> None:
    assert SIMILAR[0] == 0.5 and SIMILAR[-1] == pytest.approx(0.95) and len(SIMILAR) == 10
    perfect = [Scored(np.array([0.9]), np.array([[1.0]])) for _ in range(3)]
    assert (average_precision(perfect) == 1).all()
    # of two people one is found at 0.72, with a better score than what is nobody's: right up to 0.7, at a recall of one half
    half = [Scored(np.array([0.9]), np.array([[0.72]])), Scored(np.array([0.8]), np.array([[0.1]]))]
    ap = average_precision(half)
    assert np.allclose(ap[:5], 51 / 101) and (ap[5:] == 0).all()
    # the same with the scores exchanged: precision 1/2 there
    other = average_precision([half[0]._replace(scores=np.array([0.5])), half[1]])
    assert np.allclose(other[:5], 0.5 * 51 / 101)


def test_each_person_is_found_once_and_the_best_score_chooses_first() -> None:
    twice = [Scored(np.array([0.6, 0.9]), np.array([[0.95], [0.8]]))]
    ap = average_precision(twice)
    assert np.isclose(ap[0], 1.0)  # the first is right, the second of no person any more, behind full recall
    assert np.isclose(ap[8], 0.5)  # at 0.9 the better score is wrong, the worse one right
    missed = [Scored(np.array([0.9, 0.8]), np.array([[0.9, 0.1], [0.8, 0.1]]))]
    assert np.isclose(average_precision(missed)[0], 51 / 101)  # twice the same person, the other never
    both = [Scored(np.array([0.9, 0.8]), np.array([[0.9, 0.7], [0.9, 0.6]]))]
    assert np.isclose(average_precision(both)[0], 1.0)  # the second takes the person that is free


def test_nobody_found_is_nothing_and_nobody_there_is_not_a_number() -> None:
    assert (average_precision([Scored(np.zeros(0), np.zeros((0, 2)))]) == 0).all()
    assert np.isnan(average_precision([])).all() and np.isnan(average_precision([Scored(np.array([0.5]), np.zeros((1, 0)))])).all()
