"""Quadrilaterals, drawn on a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

#: what is said of a quadrilateral, and its corners
Marked = tuple[str, Any]


def drawn(picture: Image.Image, quads: Sequence[Marked], times: int = 1, colour: str = "#e69f00") -> Image.Image:
    """The picture, so many times as large, with quadrilaterals, the last in the list below the others.

    Args:
        quads: what is said of each, and its corners (4, 2) in pixels of the picture.
    """
    sheet = picture.convert("RGB")
    sheet = sheet.resize((times * sheet.width, times * sheet.height), Image.Resampling.NEAREST) if times > 1 else sheet.copy()
    pen = ImageDraw.Draw(sheet)
    line, size = max(1, round(min(sheet.size) / 200)), max(10, round(min(sheet.size) / 40))
    font = ImageFont.load_default(size)
    for text, quad in reversed(quads):
        corners = [(times * float(x), times * float(y)) for x, y in quad]
        pen.line([*corners, corners[0]], fill=colour, width=line, joint="curve")
        if text:
            wide = pen.textlength(text, font=font)
            left = min(max(0, min(x for x, _ in corners)), max(0, sheet.width - wide))
            top = max(0, min(y for _, y in corners) - size - 2)
            pen.rectangle((left, top, left + wide, top + size + 1), fill=colour)
            pen.text((left, top), text, fill="black", font=font)
    return sheet


def linked(
    picture: Image.Image, strips: Sequence[Any], links: Sequence[tuple[Any, Any]], lines: Sequence[Any], times: int = 1
) -> Image.Image:  # fmt: skip
    """The picture with what a line is made of: strips in blue, what links their middles in orange, lines in green, as figure 1 of CTPN.

    Args:
        strips: left, top, right and bottom of each. links: two points each. lines: corners (4, 2) of each.
    """
    sheet = drawn(picture, [("", quad) for quad in lines], times, "#009e73")
    pen = ImageDraw.Draw(sheet)
    for strip in strips:
        pen.rectangle([times * float(value) for value in strip], outline="#56b4e9")
    for pair in links:
        pen.line([(times * float(x), times * float(y)) for x, y in pair], fill="#e69f00", width=max(1, times))
    return sheet
