"""The list of what could be reproduced: which rows stand there, and what is said of them."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from paperzoo import catalog, results
from paperzoo.report.reproduced import HIGH, LOW, figure, pairs, table, text


def row(**changes: Any) -> dict[str, Any]:
    """As ``results.rows`` gives it, of lenet's recipe of the paper."""
    made = {
        "paper": "lenet", "variant": "1998-marquardt", "recipe": "paper", "data": "mnist", "metric": "error %", "judge": None, "mean": 0.97,
        "spread": 0.05, "seeds": 3, "target": "at most 1.05", "claim": "0.95 ± 0.1", "status": "reproduced", "sure": "",
        "seconds": 3600.0, "hardware": "2 of 2 cores", "commit": "abc", "reason": "",
    }  # fmt: skip
    return {**made, **changes}


def test_only_rows_at_a_papers_size_that_ran_for_a_claim() -> None:
    others = [
        row(mean=None, status="unverified"),  # never run
        row(metric="error % low", target=None),  # nothing is claimed of it
        row(paper="gan", variant="gan", metric="inception score", target="at least 3"),  # no such target
    ]
    missed = row(mean=1.21, status="missed", sure="1 seed", seeds=1, spread=None)
    found = pairs([missed, *others, row()])
    assert [(pair.row["status"], pair.claim.value) for pair in found] == [("reproduced", 0.95), ("missed", 0.95)]
    assert [pair.ours for pair in found] == ["0.97 ± 0.05 (3 seeds)", "1.21 (1 seed)"]
    assert math.isclose(found[0].ratio or 0, 0.97 / 0.95)


def test_a_smaller_recipe_is_no_reproduction_though_its_target_names_the_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = catalog.load("lenet:1998-marquardt")
    monkeypatch.setattr(type(entry), "recipe", lambda self, name="": (name, entry.paper.recipes["paper"]))
    assert len(pairs([row(), row(recipe="small")])) == 1


def test_the_terminal_names_protocol_hardware_and_departures_and_counts() -> None:
    said = text(pairs([row(), row(mean=1.21, status="missed", sure="1 seed")]))
    assert "lenet:1998-marquardt paper, mnist: reproduced" in said and "missed (1 seed)" in said
    assert "ours 0.97 ± 0.05 (3 seeds), the paper's 0.95 ± 0.1 (section III-C, figure 9)" in said
    assert "20 passes" in said and "3600 s a seed, 2 of 2 cores" in said and "departs: " in said
    assert said.endswith("1 of 2 reproduced, of 1 paper") and max(map(len, said.splitlines())) <= 80 + 30
    assert "no recipe at a paper's own size" in text([])


def test_the_figure_lies_where_the_ratio_is() -> None:
    drawn = figure(pairs([row(mean=0.95), row(mean=0.95 * 2**0.5, status="missed"), row(mean=9.5, status="missed")]))
    ticks = {float(mark): float(x) for x, mark in re.findall(r'<text x="([\d.]+)" y="\d+" text-anchor="middle">([\d.]+)', drawn)}
    circles = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', drawn)]
    assert min(ticks) == LOW and max(ticks) == HIGH
    assert circles[0] == ticks[1.0] and math.isclose(circles[1], (ticks[1.0] + ticks[HIGH]) / 2, abs_tol=0.2)
    assert circles[2] == ticks[HIGH] and ">10</text>" in drawn  # beyond the axis: at its end, and printed
    assert drawn.count("#1a7f37") == 2 and drawn.count("#bc4c00") == 5  # bars and points, and the printed ratio
    assert table([]) == "None yet." and table(pairs([row()])).count("| reproduced |") == 1


def test_rows_of_this_collection_can_be_listed() -> None:
    assert all(pair.row["mean"] is not None for pair in pairs(results.rows("scattering")))
