"""Boxes with names, drawn on a picture."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

#: colours of the classes, one behind the other, told apart by most eyes (Wong 2011)
PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#ffffff")

#: what is said of a box, its class, and left, top, right, bottom
Box = tuple[str, int, Sequence[float]]


def drawn(picture: Image.Image, boxes: Sequence[Box], times: int = 1) -> Image.Image:
    """The picture, so many times as large, with boxes in the colours of their classes, the last in the list below the others.

    Args:
        boxes: what is said of each, its class, and its corners in pixels of the picture.
    """
    sheet = picture.convert("RGB")
    sheet = sheet.resize((times * sheet.width, times * sheet.height), Image.Resampling.NEAREST) if times > 1 else sheet.copy()
    pen = ImageDraw.Draw(sheet)
    line, size = max(1, round(min(sheet.size) / 200)), max(10, round(min(sheet.size) / 32))
    font = ImageFont.load_default(size)
    for text, label, box in reversed(boxes):
        colour = PALETTE[label % len(PALETTE)]
        x0, y0, x1, y1 = (times * value for value in box)
        x1, y1 = max(x0, x1 - 1), max(y0, y1 - 1)
        pen.rectangle((x0, y0, x1, y1), outline=colour, width=line)
        if text:
            wide = pen.textlength(text, font=font)
            left, top = min(max(0, x0), max(0, sheet.width - wide)), max(0, y0 - size - 2)
            pen.rectangle((left, top, left + wide, top + size + 2), fill=colour)
            pen.text((left, top), text, fill="black", font=font)
    return sheet
