"""Charts: points lie where their values are, by the ticks; names cover nothing."""

from __future__ import annotations

import math
import re

import pytest

from paperzoo.report.chart import LETTER, LINE, Line, Panel, chart, share

LINES = [Line("a", {1: [2.0, 4.0], 100: [8.0]}), Line("b", {10: [2.0]})]
PANEL = Panel("a panel", "x", "y", LINES, {1: "1", 10: "ten", 100: "100"}, (0, 4, 8), (True, False))


def texts(svg: str) -> dict[str, tuple[float, float]]:
    """What is written -> where."""
    return {text: (float(x), float(y)) for x, y, text in re.findall(r'<text x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]+)<', svg)}


def test_points_lie_at_their_ticks() -> None:
    svg = chart("a < b", [PANEL])
    at = {name: (float(x), float(y)) for x, y, name in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)".*?<title>(.*?)</title>', svg)}
    where = texts(svg)
    assert where["a &lt; b"][1] == 22 and list(at) == ["a, 1: 3", "a, 100: 8", "b, ten: 2"]
    for name, x, y in (("a, 100: 8", "100", "8"), ("b, ten: 2", "ten", "")):
        assert at[name][0] == where[x][0] and (not y or math.isclose(at[name][1], where[y][1] - 4, abs_tol=0.11))
    assert math.isclose(at["a, 1: 3"][1], where["4"][1] - 4 + (where["0"][1] - where["4"][1]) / 4, abs_tol=0.11)  # the mean of 2 and 4
    bars = [(float(a), float(b)) for a, b in re.findall(r'<line x1="[\d.]+" x2="[\d.]+" y1="([\d.]+)" y2="([\d.]+)" stroke="#2166ac"', svg)]
    assert math.isclose(bars[0][1], where["4"][1] - 4, abs_tol=0.11) and math.isclose(sum(bars[0]) / 2, at["a, 1: 3"][1], abs_tol=0.11)
    assert "<polyline" in svg and "<polyline" not in chart("", [Panel("", "", "", PANEL.lines, PANEL.x_ticks, PANEL.y_ticks, joined=False)])


def test_a_value_beyond_the_ticks_lies_beyond_them() -> None:
    svg = chart("", [Panel("", "x", "y", [Line("a", {0: [1.0], 1: [4.0]})], {0: "0", 1: "1"}, (0, 2))])
    heights = [float(y) for y in re.findall(r'<circle cx="[\d.]+" cy="([\d.]+)"', svg)]
    where = texts(svg)
    assert math.isclose(where["2"][1] - 4 - heights[1], where["0"][1] - where["2"][1], abs_tol=0.2)  # 4 as far above 2 as 2 above 0


@pytest.mark.parametrize(("value", "log", "at"), [(1, False, 0), (51, False, 0.505050), (10, True, 0.5), (1000, True, 1), (0, True, 0)])
def test_a_share_of_an_axis(value: float, log: bool, at: float) -> None:
    assert math.isclose(share(value, (1, 100, 50), log), at, abs_tol=1e-4)


def test_names_of_lines_that_end_together_do_not_cover_each_other() -> None:
    lines = [Line(f"line {k}", {0: [0.0], 1: [0.01 * k]}) for k in range(5)]
    where = texts(chart("", [Panel("", "x", "y", lines, {0: "0", 1: "1"}, (0, 1))]))
    names = [where[line.name] for line in lines]
    heights = sorted(y for _, y in names)
    assert all(b - a >= LINE - 0.11 for a, b in zip(heights, heights[1:], strict=False)) and max(heights) <= where["0"][1]
    crowd = [Line(f"{k}", {0.1 * k: [0.5]}) for k in range(1, 9)]
    svg = chart("", [Panel("", "x", "y", crowd, {0: "0", 1: "1"}, (0, 1), joined=False)])
    boxes = [(*texts(svg)[line.name], LETTER) for line in crowd]
    assert len({(round(x), round(y)) for x, y, _ in boxes}) == 8
