"""The notebooks run from first to last cell with the smoke recipe, and install what they use in a line."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib
import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "docs" / "notebooks").glob("*.ipynb"))


def cells(path: Path) -> list[str]:
    """The code cells of a notebook."""
    return ["".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def test_there_are_five() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["attention", "depth", "gan", "own_photos", "own_series"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(matplotlib, "rcParams", matplotlib.rcParams)
    matplotlib.use("Agg")
    install, *code = cells(path)
    assert install.startswith("%pip install -q ") and 'RECIPE = "small"' in code[0]
    names: dict[str, object] = {}
    for text in code:
        exec(compile(text.replace('RECIPE = "small"', 'RECIPE = "smoke"'), path.name, "exec"), names)
    assert names["run" if "run" in names else "residual"].metrics  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_what_it_printed(path: Path) -> None:
    raw = json.loads(path.read_text(encoding="utf-8"))
    assert raw["nbformat"] == 4 and all(not cell.get("outputs") for cell in raw["cells"])
