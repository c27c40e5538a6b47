"""What is answered frame by frame: a clip that stands still, since when the answer is right, and what is drawn of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from paperzoo.tasks import video


def test_a_clip_stands_still_after_each_of_its_frames() -> None:
    clip = torch.arange(4.0).reshape(1, 4, 1, 1).expand(3, 4, 2, 2)  # (C, T, H, W)
    still = video.standing(clip)
    assert still.shape == (4, 3, 4, 2, 2)
    assert still[:, 0, :, 0, 0].tolist() == [[0, 0, 0, 0], [0, 1, 1, 1], [0, 1, 2, 2], [0, 1, 2, 3]]


@pytest.mark.parametrize(("right", "since"), [("1111", 1), ("0111", 2), ("1011", 3), ("0001", 4), ("1110", None), ("0000", None)])
def test_since_when_an_answer_is_right(right: str, since: int | None) -> None:
    answers = torch.tensor([[0.1, 0.9] if one == "1" else [0.9, 0.1] for one in right])
    assert video.settled(answers, 1) == since


def test_the_probabilities_are_drawn_below_the_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(video, "save", lambda figure, path, **_: figures.append(figure) or path)
    clips = [torch.rand(3, 4, 8, 8), torch.rand(3, 4, 8, 8)]
    answers = [torch.tensor([[0.6, 0.4], [0.3, 0.7], [0.2, 0.8], [0.1, 0.9]]), torch.tensor([[0.4, 0.6]] * 4)]
    video._by_frame(clips, answers, [1, 0], ("left", "right"), tmp_path / "a.png")
    strip, below, second, _ = figures[0].axes
    assert (strip.get_title(loc="left"), second.get_title(loc="left")) == ("right: right from frame 2 on", "left: wrong at the end")
    lines = {line.get_label(): line for line in below.lines}
    assert np.allclose(lines["right"].get_ydata(), [0.4, 0.7, 0.8, 0.9]) and list(lines["left"].get_xdata()) == [1, 2, 3, 4]
    assert lines["right"].get_linewidth() > lines["left"].get_linewidth()  # the truth is the thick one
    assert strip.images[0].get_array().shape[:2] == (8, 32) and "1 of 2 right at the end" in figures[0].get_suptitle()
