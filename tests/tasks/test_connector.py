"""Strips of text linked to lines, on cases made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from paperzoo.tasks.decoding.connector import Strips, connected, links


def strips(*rows: tuple[float, float, float, float, float]) -> Strips:
    """Strips of (column, top, bottom, side, score)."""
    return Strips(*np.array(rows, np.float64).reshape(-1, 5).T)


def row(columns: list[int], top: float = 10, bottom: float = 30, score: float = 0.9) -> list[tuple[float, float, float, float, float]]:
    return [(column, top, bottom, 16 * column + 8.0, score) for column in columns]


def test_a_row_of_strips_is_one_line_from_side_to_side() -> None:
    (line,) = connected(strips(*row([2, 3, 4, 5])), 16, refine=False)
    assert line.quad == pytest.approx(np.array([[32, 10], [96, 10], [96, 30], [32, 30]]))
    assert line.strips == (0, 1, 2, 3) and line.score == pytest.approx(0.9)
    order = strips(*[row([2, 3, 4, 5])[i] for i in (2, 0, 3, 1)])  # whatever their order
    (again,) = connected(order, 16, refine=False)
    assert np.array_equal(again.quad, line.quad) and again.strips == (1, 3, 0, 2)


def test_ends_are_where_the_outer_strips_say() -> None:
    given = strips((2, 10, 30, 37.5, 0.9), (3, 10, 30, 0, 0.9), (4, 10, 30, 0, 0.9), (5, 10, 30, 91, 0.9))
    (line,) = connected(given, 16)
    assert line.quad[:, 0].tolist() == [37.5, 91, 91, 37.5]
    (plain,) = connected(given, 16, refine=False)
    assert plain.quad[:, 0].tolist() == [32, 96, 96, 32]
    far = strips((2, 10, 30, 200, 0.9), (3, 10, 30, 0, 0.9), (4, 10, 30, -100, 0.9))  # farther than two columns: not believed
    assert connected(far, 16)[0].quad[:, 0].tolist() == [32, 80, 80, 32]
    alone = connected(strips((2, 10, 30, 36, 0.9)), 16)[0]
    assert alone.quad[:, 0].tolist() == [36, 48, 48, 36] and connected(strips((2, 10, 30, 44, 0.9)), 16)[0].quad[0, 0] == 32
    crossed = strips((2, 10, 30, 70, 0.9), (3, 10, 30, 30, 0.9))  # nothing would be left
    assert connected(crossed, 16)[0].quad[:, 0].tolist() == [32, 64, 64, 32]


def test_links_end_at_fifty_pixels() -> None:
    near = connected(strips(*row([0, 3])), 16, refine=False)  # 48 pixels
    assert len(near) == 1 and near[0].quad[:, 0].tolist() == [0, 64, 64, 0]
    assert len(connected(strips(*row([0, 4])), 16)) == 2  # 64
    assert len(connected(strips(*row([0, 2])), 16, gap=30)) == 2


def test_heights_must_agree() -> None:
    fits = strips((0, 10, 30, 0, 0.9), (1, 13, 30, 0, 0.9))  # 17 of 20
    apart = strips((0, 10, 30, 0, 0.9), (1, 17, 30, 0, 0.9))  # 13 of 20
    assert len(connected(fits, 16)) == 1 and len(connected(apart, 16)) == 2
    assert len(connected(apart, 16, agree=0.6)) == 1
    below = strips((0, 10, 30, 0, 0.9), (1, 16, 36, 0, 0.9))  # 14 of 26
    assert len(connected(below, 16)) == 2
    two = connected(strips(*row([0, 1, 2]), *row([0, 1, 2], 40, 60)), 16)
    assert len(two) == 2 and [line.strips for line in two] == [(0, 1, 2), (3, 4, 5)]


def test_the_nearest_is_taken_and_of_two_in_a_column_the_better() -> None:
    given = strips(*row([0, 1]), (1, 11, 30, 0, 0.95), (2, 10, 30, 0, 0.9))
    assert links(given, 16, 50, 0.7) == [(0, 2), (2, 3)]
    lines = connected(given, 16)
    assert sorted(line.strips for line in lines) == [(0, 2, 3), (1,)]


def test_a_link_is_of_both_or_of_none() -> None:
    """The right one's nearest to the left is another strip: 0 sees 2, which sees 1."""
    given = strips((0, 10, 30, 0, 0.9), (1, 14, 37, 0, 0.9), (2, 12, 32, 0, 0.9))
    assert links(given, 16, 50, 0.7) == [(1, 2)]
    assert sorted(line.strips for line in connected(given, 16)) == [(0,), (1, 2)]


def test_a_slanting_line_has_straight_sides() -> None:
    given = strips(*[(column, 10 + 0.1 * (16 * column + 8), 30 + 0.1 * (16 * column + 8), 0, 0.9) for column in range(6)])
    (line,) = connected(given, 16, refine=False)
    assert line.quad == pytest.approx(np.array([[0, 10], [96, 19.6], [96, 39.6], [0, 30]]))
    bent = strips((0, 10, 30, 0, 0.8), (1, 12, 30, 0, 0.9), (2, 10, 30, 0, 1.0))
    (line,) = connected(bent, 16, refine=False)
    assert line.quad[:2, 1] == pytest.approx([32 / 3, 32 / 3]) and line.score == pytest.approx(0.9)
    (line,) = connected(strips(*row([7])), 16, refine=False)
    assert line.quad.tolist() == [[112, 10], [128, 10], [128, 30], [112, 30]] and connected(strips(), 16) == []


def test_strips_of_a_column_are_suppressed_by_the_better_one_and_not_by_another_columns() -> None:
    given = strips((0, 10, 30, 0, 0.8), (0, 12, 31, 0, 0.9), (0, 40, 60, 0, 0.7), (1, 10, 30, 0, 0.6))
    kept = given.suppressed(0.3)
    assert sorted(zip(kept.column, kept.top, strict=True)) == [(0, 12), (0, 40), (1, 10)]
    chain = strips((0, 0, 20, 0, 0.9), (0, 10, 30, 0, 0.8), (0, 20, 40, 0, 0.7))  # a third each
    assert sorted(chain.suppressed(0.3).top) == [0, 20] and len(chain.suppressed(0.4).top) == 3 and len(strips().suppressed(0.3).top) == 0
