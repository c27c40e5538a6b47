"""Sizes that papers print: what is counted, in which unit, and when it is equal."""

from __future__ import annotations

import dataclasses

import pytest
from typer.testing import CliRunner

from paperzoo import catalog
from paperzoo.cli import app
from paperzoo.errors import PaperzooError
from paperzoo.report import sizes
from paperzoo.report.sizes import count, counts

LENET = next(claim for claim in catalog.paper("lenet").claims if claim.id == "1998-parameters")


def lenet(**changes: object) -> sizes.Count:
    return count(catalog.paper("lenet"), dataclasses.replace(LENET, **changes))  # type: ignore[arg-type]


def test_by_hand() -> None:
    assert lenet().printed == lenet().theirs == "60,000" and lenet().equal
    kernels = 6 * 25 + 60 * 25 + 120 * 16 * 25 + 84 * 120  # C1, C3 with its table, C5, F6
    assert lenet(metric="weights").ours == kernels  # the subsampling's gains are one a map
    modern = lenet(metric="multiply-adds", variant="lenet")
    assert modern.ours == 28 * 28 * 6 * 25 + 10 * 10 * 16 * 6 * 25 + 120 * 400 + 84 * 120 + 10 * 84


@pytest.mark.parametrize(
    ("value", "unit", "equal", "printed"),
    [(60_000, "", True, "60,000"), (60_001, "", False, "60,000"), (60, ", in thousands", True, "60"), (0.1, ", in millions", True, "0.06"),
     (0.06, ", in millions", True, "0.060"), (0.07, ", in millions", False, "0.060")],
)  # fmt: skip
def test_equal_is_equal_in_the_digits_that_are_printed(value: float, unit: str, equal: bool, printed: str) -> None:
    one = lenet(value=value, metric=f"parameters{unit}")
    assert (one.equal, one.printed) == (equal, printed)


def test_arguments_of_the_claim_reach_the_network() -> None:
    half = count(catalog.paper("mobilenet"), next(c for c in catalog.paper("mobilenet").claims if c.id == "v1-0.5-multiply-adds"))
    assert half.equal and half.printed == "149.5"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metric": "parametres"}, "did you mean parameters"),
        ({"metric": "parameters, in dozens"}, "unit"),
        ({"value": "60k"}, "must be a number"),
    ],
)
def test_what_cannot_be_counted_is_named(changes: dict[str, object], words: str) -> None:
    with pytest.raises(PaperzooError, match=words):
        lenet(**changes)


def test_every_claim_of_a_size_is_counted_and_those_that_agree_come_first() -> None:
    found = counts("mobilenet") + counts("srcnn")
    assert [one.equal for one in counts("mobilenet")] == sorted((one.equal for one in counts("mobilenet")), reverse=True)
    assert {one.name for one in found} == {"mobilenet", "mobilenet:v1", "srcnn", "srcnn:9-5-5"}
    assert {one.name for one in counts("srcnn:9-5-5")} == {"srcnn:9-5-5"}
    assert sizes.table(found).count("| equal |") == sum(one.equal for one in found) >= 11
    for name in catalog.CATALOG:
        assert not [c.id for c in catalog.paper(name).claims if c.metric.split(",")[0] in sizes.KINDS and c.counted is None]


def test_the_terminal_lists_them() -> None:
    told = CliRunner().invoke(app, ["results", "srcnn", "--reproduced"])
    assert told.exit_code == 0 and "srcnn: weights 8,032, the paper's 8,032 (section 4.3): equal" in told.output
    assert "2 of 2 sizes are as printed, of 1 paper" in " ".join(told.output.split())
