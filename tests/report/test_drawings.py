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
            runs = [{"seed": seed, "seconds": 60.0, "hardware": "a core", "metrics": one} for seed, one in enumerate(metrics)]
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
    assert re.search(r"resnet:plain56, recipe small-plain, trained for \d+ (seconds|minutes)\.", picture.caption)


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


def test_windows_are_counted_as_table_1_has_them() -> None:
    picture = drawing("inception")
    assert picture is not None
    points = drawn(picture.svg)
    assert points["as built, 5x5"] == pytest.approx(35**2 * 9 * (64 * 96 + 96 * 96) / 1e6, rel=1e-3)
    assert points["whole, 5x5"] == pytest.approx(35**2 * 25 * 64 * 96 / 1e6, rel=1e-3)
    assert points["as built, 7x7"] == pytest.approx(17**2 * 7 * (128 * 128 + 128 * 192) / 1e6, rel=1e-3)
    assert points["whole, 7x7 twice"] == pytest.approx(17**2 * 49 * (128 * 128 + 128 * 192) / 1e6, rel=1e-3)
    assert [points[f"block A, {branch}"] for branch in ("1x1", "window", "two windows", "pooling")] == [64, 64, 96, 32]


@pytest.mark.parametrize(
    ("blank", "truth", "guess"),
    [("##us 82 %", "##us", "##us"), ("and: , 6 %", "and", ","), (", 99 %", ",", ","), (":: . 7 %", ":", "."), (".: , 5 %", ".", ","),
     (": 5 %", ":", ":")],
)  # fmt: skip
def test_blanks_are_read(blank: str, truth: str, guess: str) -> None:
    assert drawings.BLANK.findall(f"a [{blank}] [ b ]") == [blank] and drawings.filled(blank) == (truth, guess)


def test_sentences_are_drawn_with_what_was_found_in_their_blanks(kept: Any, tmp_path: Path) -> None:
    kept({("bert:base", "small"): [{"MLM exact %": 15.0}]})
    (tmp_path / "bert" / "base-small-books-masked.txt").write_text(
        "B follows\n[CLS] [no: , 6 %] [SEP]\n\nB follows\n[CLS] [a 9 %] t [##us 82 %] ##can [dog: , 6 %] [SEP] end [SEP]\n"
    )
    words = drawings.passage("[CLS] se [##b: . 19 %] ##as [a 9 %]")
    assert words == [("se", ""), ("##.≠b", drawings.WRONG), ("##as", ""), ("a", drawings.RIGHT)]
    picture = drawing("bert")
    assert picture is not None and 'of these 4 it is 2, and 2 got a ","' in picture.svg
    drawn_words = re.findall(r'<text x="([\d.]+)" y="\d+" textLength="([\d.]+)"[^>]*>([^<]*)<', picture.svg)
    assert [word for _, _, word in drawn_words] == ["a", "t", "us", "can", ",≠dog", "end", "right", "answer≠truth"]
    (t, wide, _), (us, _, _) = drawn_words[1:3]
    assert float(us) == pytest.approx(float(t) + float(wide), abs=0.11)  # a piece goes on with its word
    assert picture.svg.count(drawings.RIGHT) == 3 and picture.svg.count(drawings.WRONG) == 2  # the key among them


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
    assert picture.caption.endswith(".") and len(picture.svg) < 40_000


def test_the_recorded_errors_are_drawn() -> None:
    picture = drawing("mobilenet")
    assert picture is not None
    points = drawn(picture.svg)
    for shown, recipe in drawings.ON_DIGITS:
        (value,) = [value for name, value in points.items() if name.startswith(f"{shown}, ")]
        assert value == pytest.approx(statistics.fmean(drawings.measured(recipe, "small")), rel=1e-3)
