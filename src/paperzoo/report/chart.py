"""Points and lines over an axis as SVG text: the same bytes wherever they are written, sharp at any size."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

#: told apart by most eyes
COLOURS = ("#2166ac", "#bc4c00", "#1a7f37", "#8250df", "#9a6700", "#a0306a", "#1b7c83", "#666666")
#: of a panel: its least width, its height, and the margins around its axes, left, top, right (where lines are named), below; in pixels
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BELOW = 450, 330, 58, 34, 112, 46
#: the height of the chart's title, and of a line of text; the width of a letter of either
TITLE, LINE, BOLD, LETTER = 34, 14, 8.6, 7.2


@dataclass(frozen=True)
class Line:
    """What is drawn in one colour: x -> a value a seed, drawn as their mean, with a bar from the least to the most."""

    name: str
    points: Mapping[float, Sequence[float]]


@dataclass(frozen=True)
class Panel:
    """Axes with lines: ticks are numbers with what is written there, and the axes end at the outermost ticks or values.

    Args:
        log: whether the axes of x and of y are logarithmic.
        joined: whether the points of a line are.
    """

    title: str
    x: str
    y: str
    lines: Sequence[Line]
    x_ticks: Mapping[float, str]
    y_ticks: Sequence[float]
    log: tuple[bool, bool] = (False, False)
    joined: bool = True


def chart(title: str, panels: Sequence[Panel]) -> str:
    """Panels side by side under a title, as the text of an SVG file."""
    wide = max(WIDTH, math.ceil(BOLD * len(title) / len(panels)))
    width, height = wide * len(panels), TITLE + HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{width / 2:g}" y="22" text-anchor="middle" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, wide * number + LEFT, TITLE + TOP, wide - LEFT - RIGHT)
    return "\n".join([*parts, "</svg>"]) + "\n"


def marked(title: str, passages: Sequence[Sequence[tuple[str, str]]], legend: Sequence[tuple[str, str]], columns: int = 118) -> str:
    """Passages of words under a title, some of them on a coloured ground, as the text of an SVG file.

    Args:
        passages: words in their order, each with its colour or ``""``; one that begins with ``##`` goes on with the word before it.
        legend: a colour's meaning, and the colour; below the passages.
        columns: letters a line.
    """
    parts, line = [], 0
    for passage in (*passages, legend):
        column = 0
        for word, colour in passage:
            said = word.removeprefix("##")
            column -= said != word and column > 0
            if column + len(said) > columns:
                line, column = line + 1, 0
            x, y, long = 12 + LETTER * column, TITLE + 22 + 19 * line, LETTER * len(said)
            if colour:
                parts.append(f'<rect x="{x - 1:.1f}" y="{y - 12}" width="{long + 2:.1f}" height="16" fill="{colour}"/>')
            size = f'textLength="{long:.1f}" lengthAdjust="spacingAndGlyphs"'
            parts.append(f'<text x="{x:.1f}" y="{y}" {size} xml:space="preserve">{escape(said)}</text>')
            column += len(said) + 1
        line += 2
    width, height = round(24 + LETTER * columns), TITLE + 8 + 19 * line
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" font-family="monospace" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="12" y="24" font-family="sans-serif" font-size="15" font-weight="bold">{escape(title)}</text>',
        *parts, "</svg>",
    ]) + "\n"  # fmt: skip


def share(value: float, ends: Iterable[float], log: bool) -> float:
    """Where a value lies between an axis's ends, 0 to 1; beyond them it lies at the end."""
    low, *_, high = sorted(ends)
    if log:
        value, low, high = (math.log(max(number, 1e-12)) for number in (value, low, high))
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _panel(panel: Panel, left: float, top: float, wide: float) -> list[str]:
    high = HEIGHT - TOP - BELOW
    x_ends = [*panel.x_ticks, *(x for line in panel.lines for x in line.points)]
    y_ends = [*panel.y_ticks, *(y for line in panel.lines for values in line.points.values() for y in values if y > 0 or not panel.log[1])]

    def across(x: float) -> float:
        return left + wide * (0.03 + 0.94 * share(x, x_ends, panel.log[0]))

    def down(y: float) -> float:
        return top + high * (1 - share(y, y_ends, panel.log[1]))

    parts = [f'<text x="{left + wide / 2:.1f}" y="{top - 12}" text-anchor="middle">{escape(panel.title)}</text>']
    for x, said in panel.x_ticks.items():
        parts.append(f'<text x="{across(x):.1f}" y="{top + high + 17}" text-anchor="middle">{escape(said)}</text>')
    for y in panel.y_ticks:
        parts.append(f'<line x1="{left}" x2="{left + wide}" y1="{down(y):.1f}" y2="{down(y):.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 7}" y="{down(y) + 4:.1f}" text-anchor="end">{y:g}</text>')
    parts.append(f'<text x="{left + wide / 2:.1f}" y="{top + high + 37}" text-anchor="middle">{escape(panel.x)}</text>')
    aside = f"{left - 40:.1f} {top + high / 2:.1f}"
    parts.append(f'<text transform="translate({aside}) rotate(-90)" text-anchor="middle">{escape(panel.y)}</text>')
    names, points = [], []
    for line, colour in zip(panel.lines, itertools.cycle(COLOURS)):
        means = {x: statistics.fmean(values) for x, values in sorted(line.points.items())}
        if panel.joined:
            path = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in means.items())
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        for x, y in means.items():
            ends = f'y1="{down(min(line.points[x])):.1f}" y2="{down(max(line.points[x])):.1f}"'
            parts.append(f'<line x1="{across(x):.1f}" x2="{across(x):.1f}" {ends} stroke="{colour}" stroke-width="1.6"/>')
            told = escape(f"{line.name}, {panel.x_ticks.get(x, f'{x:g}')}: {y:.4g}")
            parts.append(f'<circle cx="{across(x):.1f}" cy="{down(y):.1f}" r="4" fill="{colour}"><title>{told}</title></circle>')
            points.append((across(x) - 6, across(x) + 6, down(y) + 4))
        last = max(means)
        names.append((across(last) + 9, down(means[last]) + 4, line.name, colour))
    return parts + _names(names, points, top, top + high)


def _names(
    names: Sequence[tuple[float, float, str, str]], points: Sequence[tuple[float, float, float]], top: float, bottom: float
) -> list[str]:
    """Names (left, baseline, text, colour) of lines beside their last points, each moved to the nearest height where it covers nothing.

    Args:
        points: left, right and baseline of what lies there.
    """
    parts, taken = [], list(points)
    for left, base, name, colour in sorted(names):
        right = left + LETTER * len(name)
        for shift in sorted(range(-200, 201, 2), key=abs):
            free = all(abs(base + shift - other) >= LINE or left > end or right < begin for begin, end, other in taken)
            if free and top <= base + shift <= bottom:
                break
        taken.append((left, right, base + shift))
        parts.append(f'<text x="{left:.1f}" y="{base + shift:.1f}" fill="{colour}" font-weight="bold">{escape(name)}</text>')
    return parts
