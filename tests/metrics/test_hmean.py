"""Quadrilaterals against shapely, and ICDAR's protocol on cases made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from paperzoo.metrics.hmean import ANGLES, Real, Said, angle_of, matched, rates, rates_by_angle
from paperzoo.metrics.polygons import area_of, convex, overlaps, shared_area, shares


def rectangles(number: int, rng: np.random.Generator) -> np.ndarray:
    middle, side, turn = rng.uniform(0, 100, (number, 2)), rng.uniform(5, 60, (number, 2)), rng.uniform(0, 2 * np.pi, number)
    quads = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2 * side[:, None]
    along = np.stack([np.cos(turn), np.sin(turn)], 1)
    return quads @ np.stack([along, along[:, ::-1] * [-1, 1]], 1) + middle[:, None]


def of(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float64)


# Areas ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["turned", "uneven", "bent inwards", "the same", "side by side", "level", "triangles"])
def test_what_two_quadrilaterals_share_is_what_shapely_says(kind: str) -> None:
    rng = np.random.default_rng(0)
    a, b = rectangles(400, rng), rectangles(400, rng)
    if kind in ("uneven", "bent inwards"):
        a, b = (x + rng.normal(0, 2 if kind == "uneven" else 25, x.shape) for x in (a, b))
    elif kind == "the same":
        b = np.roll(a, 1, 1)[:, ::-1]
    elif kind == "side by side":
        b = a + (a[:, 1:2] - a[:, :1]) * rng.choice([0.5, 1, 0.25, -1], 400)[:, None, None] + rng.choice([0, 3], 400)[:, None, None]
    elif kind == "level":
        a, b = (np.stack([of(*np.round(q.min(0) / 8), *np.round(q.max(0) / 8)) for q in x]) for x in (a, b))  # many sides on one line
    elif kind == "triangles":
        a[:, 3] = a[:, 0]
    one, other = shapely.polygons(a), shapely.polygons(b)
    sound = shapely.is_valid(one) & shapely.is_valid(other)
    assert sound.sum() > 100 and bool(convex(a).all()) == (kind not in ("uneven", "bent inwards"))
    true = shapely.area(shapely.intersection(one[sound], other[sound]))
    assert np.abs(shared_area(a[sound], b[sound]) - true).max() < 1e-4 and (true > 0).sum() > 50
    assert np.allclose(area_of(a[sound]), shapely.area(one[sound]))


def test_each_with_each_is_each_pair_alone() -> None:
    rng = np.random.default_rng(1)
    a, b = rectangles(12, rng), rectangles(9, rng)
    both, iou = shares(a, b), overlaps(a, b)
    for i in range(12):
        for j in range(9):
            one, other = shapely.Polygon(a[i]), shapely.Polygon(b[j])
            assert both[i, j] == pytest.approx(one.intersection(other).area, abs=1e-5)
            assert iou[i, j] == pytest.approx(one.intersection(other).area / one.union(other).area, abs=1e-7)
    assert overlaps(np.zeros((2, 4, 2)), np.zeros((1, 4, 2))).tolist() == [[0], [0]] and overlaps(a[:0], b).shape == (0, 9)
    assert overlaps(a, a[:, ::-1]).diagonal() == pytest.approx(1)  # in whichever direction the corners run


def test_large_coordinates_lose_nothing() -> None:
    far = of(0, 0, 3, 2) + 1e7
    assert shared_area(far[None], far[None] + [1, 0]) == pytest.approx(4, abs=1e-6)


# Protocol ------------------------------------------------------------------------------------------------------------


def said(*quads: np.ndarray) -> Said:
    return Said(np.stack(quads) if quads else np.zeros((0, 4, 2)))


def real(*quads: np.ndarray, ignored: tuple[int, ...] = ()) -> Real:
    return Real(np.stack(quads) if quads else np.zeros((0, 4, 2)), np.isin(np.arange(len(quads)), ignored))


A, B, C = of(0, 0, 40, 10), of(0, 30, 40, 40), of(60, 0, 100, 10)


def test_all_that_is_written_and_nothing_else_is_one() -> None:
    found = rates([said(B, A), said(C)], [real(A, B), real(C)])
    assert (found.right, found.found, found.real) == (3, 3, 3) and found.precision == found.recall == found.hmean == 1
    nothing = rates([said()], [real(A)])
    assert nothing.precision == nothing.recall == nothing.hmean == 0 and rates([said()], [real()]).hmean == 0


def test_means_are_of_all_images_together() -> None:
    found = rates([said(A, B, C), said()], [real(A), real(B)])
    assert (found.precision, found.recall) == (1 / 3, 1 / 2) and found.hmean == pytest.approx(2 / (3 / 1 + 2 / 1))


def test_one_to_one_and_above_the_bound() -> None:
    assert rates([said(A, A)], [real(A)]) == (1, 2, 1)  # twice found is once wrong
    assert rates([said(A)], [real(A, A)]) == (1, 1, 2)  # nor is one right of two
    whole = of(0, 0, 40, 40)
    assert rates([said(whole)], [real(A, B)]).right == 0  # one around two is neither
    half = of(0, 0, 20, 10)
    assert rates([said(half)], [real(A)]).right == 0  # 0.5 is not above 0.5
    more = of(0, 0, 20.1, 10)
    assert rates([said(more)], [real(A)]).right == 1 and rates([said(more)], [real(A)], 0.7).right == 0


def test_what_need_not_be_found_is_neither_right_nor_wrong() -> None:
    assert rates([said(A, B)], [real(A, B, ignored=(1,))]) == (1, 1, 1)
    assert rates([said(A)], [real(A, B, ignored=(1,))]) == (1, 1, 1)
    assert rates([said(B)], [real(A, B, ignored=(1,))]) == (0, 0, 1)
    partly = of(0, 36, 40, 46)  # four of its ten rows lie in B
    assert rates([said(partly)], [real(B, ignored=(0,))]) == (0, 1, 0)
    assert rates([said(of(0, 34, 40, 44))], [real(B, ignored=(0,))]) == (0, 0, 0)  # six of ten
    large = of(0, 0, 100, 100)
    assert rates([said(large)], [real(B, ignored=(0,))]) == (0, 1, 0)  # its own share counts, not B's
    alone = rates([said(A)], [real(A, ignored=(0,))])
    assert alone == (0, 0, 0) and alone.hmean == 0


def test_the_first_in_order_is_taken() -> None:
    first, second = of(0, 0, 30, 10), A
    found = matched(said(first, second), real(A), 0.5)
    assert found.real.tolist() == [0] and found.found.tolist() == [0, -1]


def test_angles_are_those_of_the_longer_middle_line_without_direction() -> None:
    def turned(degrees: float) -> np.ndarray:
        turn = np.deg2rad(degrees)
        return A @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])

    for degrees, steep in ((0, 0), (20, 20), (-20, 20), (90, 90), (100, 80), (180, 0), (200, 20)):
        for start in range(4):
            assert angle_of(np.roll(turned(degrees), start, 0))[0] == pytest.approx(steep, abs=1e-6)
    level, steep = turned(10), turned(60)
    one = rates_by_angle([said(level, steep + 50)], [real(level, steep)])
    assert [tuple(r) for r in one] == [(1, 1, 1), (0, 0, 0), (0, 1, 1), (0, 0, 0)] and len(one) == len(ANGLES) - 1
    square = of(0, 0, 10, 10)
    near = rates_by_angle([said(turned(14))], [real(turned(16))])  # found for a text of 16 degrees: counts there
    assert tuple(near[1]) == (1, 1, 1) and tuple(near[0]) == (0, 0, 0) and angle_of(square)[0] in (0, 90)
