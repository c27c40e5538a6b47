"""The way of the glimpses over an image, as it is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from paperzoo.tasks import glimpses


def test_glimpses_are_drawn_where_they_were_taken_first_and_last_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(glimpses, "save", lambda figure, path, **_: figures.append(figure) or path)
    place = torch.tensor([[[0.0, 0.0], [0.5, -0.5], [-1.0, 1.0]]])  # (1, T, 2): x, y from -1 to 1 over 40 pixels
    glimpses.draw_paths(torch.rand(1, 1, 40, 40), place, ["seven"], 8, tmp_path / "a.png")
    (axes,) = figures[0].axes
    middles = [(box.get_x() + 4, box.get_y() + 4) for box in axes.patches]
    assert np.allclose(middles, [[19.5, 19.5], [29.5, 9.5], [-0.5, 39.5]]) and np.allclose(axes.lines[0].get_xydata(), middles)
    assert axes.get_title() == "seven" and figures[0].get_suptitle().startswith("3 glimpses")
    assert {text.get_text() for text in figures[0].legends[0].texts} == {"the way between", "first glimpse", "last glimpse"}
