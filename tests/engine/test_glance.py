"""What a notebook shows of a run, and while it goes on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import paperzoo
from paperzoo.engine import progress
from paperzoo.engine.progress import Reporter


def test_a_run_is_one_column_of_figures_with_captions_its_curve_and_its_animation(tmp_path: Path) -> None:
    run = paperzoo.train("dcgan", "smoke", out=tmp_path / "<runs>", overrides={"steps": 8, "checkpoint_every": 2})
    shown = run._repr_html_()
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", shown)
    assert captions[0] == "losses over the steps" and {"samples", "samples over the training"} <= set(captions)
    assert shown.count("<img") == len(captions) and "data:image/gif" in shown and "<runs>" not in shown
    assert all(f"{value:.4g}" in shown for value in run.metrics.values())


class Shown:
    def __init__(self, first: str) -> None:
        self.pages = [first]

    def update(self, page: dict[str, str], raw: bool) -> None:
        assert raw and "text/plain" in page
        self.pages.append(page["text/html"])


def test_a_notebook_has_a_bar_that_moves_between_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    handles: list[Shown] = []
    monkeypatch.setattr(progress, "_display", lambda first: (handles.append(Shown(first)), handles[-1])[1])
    monkeypatch.setattr(progress, "TICK", -1.0)
    monkeypatch.setattr("rich.console.Console.is_jupyter", True, raising=False)
    monkeypatch.setattr(progress, "Console", lambda **_: type("Console", (), {"is_terminal": False, "is_jupyter": True})())
    with Reporter("a <net>", 10) as reporter:
        reporter.tick(1)
        reporter.update(2, {"loss": 0.5})
        reporter.tick(3)
    (handle,) = handles
    assert all(f'value="{step}"' in page for step, page in enumerate(handle.pages)) and len(handle.pages) == 4
    assert "loss 0.5" in handle.pages[3] and "<net>" not in handle.pages[0]
