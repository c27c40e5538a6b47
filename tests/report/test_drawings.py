"""Pictures made from results: what is drawn is what was recorded, and each says its finding from these numbers."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

import pytest

from paperzoo import results
from paperzoo.report import drawings, pages
from paperzoo.report.drawings import DRAWINGS, drawing


def drawn(svg: str) -> dict[str, float]:
    """Line and tick -> the mean that is drawn there."""
    points = [title.rpartition(": ") for title in re.findall(r"<title>(.*?)</title>", svg)]
    return {name: float(value) for name, _, value in points}


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes errors by paper:variant and recipe as they lie in ``results/``."""

    def keep(errors: dict[tuple[str, str], list[dict[str, float]]], **more: Any) -> None:
        for (name, recipe), metrics in errors.items():
            paper, _, variant = name.partition(":")
            runs = [{"seed": seed, "seconds": 60.0, "metrics": one} for seed, one in enumerate(metrics)]
            file = {"variant": variant, "recipe_name": recipe, "recipe": {"model": {}}, "runs": runs}
            path = tmp_path / paper / f"{variant}-{recipe}-mnist-5k.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(file))
        for name, trials in more.items():
            (tmp_path / "studies").mkdir(exist_ok=True)
            (tmp_path / "studies" / f"{name}.json").write_text(json.dumps({"trials": trials}))
        monkeypatch.setattr(results, "folder", lambda: tmp_path)

    return keep


def by_depth(**kinds: dict[int, list[float]]) -> list[dict[str, Any]]:
    return [
        {"label": label.replace("_", "-"), "x": depth, "metrics": {"error %": error}}
        for label, errors in kinds.items()
        for depth, each in errors.items()
        for error in each
    ]


def test_plain_and_residual_networks_by_depth(kept: Any) -> None:
    kept(
        {("resnet:resnet20", "small"): [{"error %": 1.0}, {"error %": 2.0}], ("resnet:resnet56", "small"): [{"error %": 2.0}],
         ("resnet:plain56", "small-plain"): [{"error %": 8.0}]},
        degradation=by_depth(plain={8: [4.0], 56: [60.0, 70.0]}, residual={8: [4.0], 56: [3.0]}),
    )  # fmt: skip
    picture = drawing("resnet")
    assert picture is not None and "56 plain layers: 65 % wrong; the same layers with shortcuts: 3 %" in picture.svg
    of_the_right_panel = {"plain, 56": 8, "residual, 56": 2, "residual, 20": 1.5}
    assert drawn(picture.svg) == {"plain, 8": 4, "residual, 8": 4, **of_the_right_panel}
    assert "resnet:plain56, recipe small-plain, trained for 60 seconds." in picture.caption


def test_the_title_follows_the_numbers(kept: Any) -> None:
    for column, said, why in ((30.0, "makes a column work alone: 30 % wrong, 50 %", "here it does"), (70.0, "has not made", "it fails")):
        kept({(f"fractalnet:{kind}", "small"): [{"error %": 2.0, "deepest column error %": alone}]
              for kind, alone in (("fractal20", column), ("undropped", 50.0))})  # fmt: skip
        picture = drawing("fractalnet")
        assert picture is not None and said in picture.svg and why in picture.caption
        assert drawn(picture.svg)["drop-path, deepest column alone"] == column


def test_survival_is_equation_4_of_the_recorded_depth(kept: Any) -> None:
    errors = {("resnet:resnet20", "small"): 1.0, ("resnet:resnet110", "small-deep"): 9.0, ("stochastic_depth:resnet20", "small"): 3.0,
              ("stochastic_depth:resnet110", "small-deep"): 8.0}  # fmt: skip
    kept({key: [{"error %": error}] for key, error in errors.items()})
    picture = drawing("stochastic_depth")
    assert picture is not None and "and it pays (8 % wrong against 9 %)" in picture.svg
    points = drawn(picture.svg)
    assert (points["survival, 1"], points["survival, 18"], points["survival, 54"]) == (0.9907, 0.8333, 0.5)


def test_what_was_not_recorded_is_not_drawn(kept: Any) -> None:
    kept({})
    assert all(drawing(name) is None for name in DRAWINGS) and drawing("dcgan") is None


def test_multiply_adds_are_those_of_the_network_that_was_trained() -> None:
    assert drawings.multiply_adds("resnet:resnet20", "small") == pytest.approx(31.0, abs=0.2)  # 40.8 at 32x32, of which (28/32)^2


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_drawing_leads_its_page_with_what_was_recorded(name: str) -> None:
    picture = drawing(name)
    assert picture is not None
    (first,), _ = pages._pictures(name)
    assert first == f"![{picture.name}]({picture.name}.svg)\n\n*{picture.caption}*"
    assert picture.caption.endswith(".") and len(picture.svg) < 25_000


def test_the_recorded_errors_are_drawn() -> None:
    picture = drawing("mobilenet")
    assert picture is not None
    points = drawn(picture.svg)
    for shown, recipe in drawings.ON_DIGITS:
        (value,) = [value for name, value in points.items() if name.startswith(f"{shown}, ")]
        assert value == pytest.approx(statistics.fmean(drawings.measured(recipe, "small")), rel=1e-3)
