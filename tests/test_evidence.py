"""Results beside targets and claims: each row prints its own claim, by its own protocol, and says how sure it is."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import paperzoo
from paperzoo import catalog, results
from paperzoo.errors import PaperzooError
from paperzoo.records import Claim, Target
from paperzoo.report import tables
from paperzoo.report.page import measured_rows

PAPERS = {name: paperzoo.paper(name) for name in catalog.list_papers()}
TARGETS = [
    (name, recipe, target)
    for name, paper in PAPERS.items()
    for recipe, settings in paper.recipes.items()
    for target in settings.targets
]


# What records and recipes say of each other --------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "recipe", "target"), TARGETS, ids=lambda v: v if isinstance(v, str) else v.metric)
def test_a_target_that_is_a_claim_asks_for_what_the_claim_says(name: str, recipe: str, target: Target) -> None:
    paper = PAPERS[name]
    served = paper.recipes[recipe].variants or tuple(paper.variants)
    assert set(target.variants) <= set(served)
    assert target.bounds() and "smoke" not in target.than
    if target.than:
        other = f"{name}:" * (target.than.count(":") == 1) + target.than
        catalog.load(other.rpartition(":")[0]).recipe(other.rpartition(":")[2])
    if not target.claim:
        return
    claim = {c.id: c for c in paper.claims}[target.claim]
    assert claim.metric == target.metric and isinstance(claim.value, int | float) and not target.than
    assert (claim.variant in ("", *(target.variants or served)) and len(target.variants or served) == 1) or not claim.variant
    (bound,) = target.bounds()
    spread = claim.spread or 0.0
    loosest = claim.value + spread if target.at_most is not None else claim.value - spread
    assert (bound <= loosest + 1e-9) if target.at_most is not None else (bound >= loosest - 1e-9)
    assert recipe.startswith("paper")


def test_links_of_claims_name_recipes_that_are_there() -> None:
    for name, paper in PAPERS.items():
        for claim in paper.claims:
            assert claim.variant in ("", *paper.variants), (name, claim.id)
            assert set(claim.measured_by) <= set(paper.recipes), (name, claim.id)
            assert (claim.statistic in ("mean", "single")) or claim.runs, (name, claim.id)
            if claim.measured_by:
                assert not claim.not_measured, (name, claim.id)
            for recipe, metric in claim.measured_by.items():
                served = paper.recipes[recipe].variants or tuple(paper.variants)
                assert not claim.variant or claim.variant in served, (name, claim.id, recipe)
                for variant in [claim.variant] if claim.variant else served:
                    linked = [
                        c for c in paper.claims if c.measured_by.get(recipe) == metric and c.variant in ("", variant)
                    ]
                    assert linked == [claim], (name, recipe, metric)


def test_every_paper_with_results_has_a_target_that_can_be_missed() -> None:
    for name in PAPERS:
        if any((results.folder() / name).glob("*.json")):
            assert any(target for paper, recipe, target in TARGETS if paper == name and not recipe.startswith("smoke")), name


def expected(recipe: str, metric: str, claims: dict[str, float | str]) -> None:
    """Each variant's unverified or measured row prints the figure that stands here."""
    paper, _, recipe = recipe.partition(" ")
    found = {
        row["variant"]: row["claim"].split(" ")[0]
        for row in results.rows(paper)
        if row["recipe"] == recipe and row["metric"] == metric and row["claim"]
    }
    assert found == {variant: str(value) for variant, value in claims.items()}


def test_each_row_prints_its_own_claim() -> None:
    """Figures of the papers, not of the records: rows that printed another row's, or none, when strings were compared."""
    expected("rethinking paper", "error %", {
        "inception": 14.25, "inception-nobn": 18, "alexnet": 23.93, "mlp3x512": 47.61, "mlp1x512": 49.49})  # fmt: skip
    expected("rethinking paper-decay", "error %", {
        "inception": 13.97, "inception-nobn": 17, "alexnet": 22.64, "mlp3x512": 46.65, "mlp1x512": 49.61})  # fmt: skip
    expected("rethinking paper-crop", "error %", {"inception": 10.69, "alexnet": 20.34})
    expected("rethinking paper-crop-decay", "error %", {"inception": 10.95, "alexnet": 18.78})
    expected("rethinking paper-random", "training error %", {
        "inception": 0, "inception-nobn": 0, "alexnet": 0.18, "mlp3x512": 0, "mlp1x512": 0.66})  # fmt: skip
    expected("aae paper-semi", "error %", {"semi": 1.9})
    expected("aae paper-clusters", "cluster error %", {"clusters": 9.55})
    expected("aae small-semi-1000", "error %", {"semi": 1.6})
    expected("infogan paper", "matched class error %", {"infogan": 5})
    expected("linear_autoencoder paper", "squared error", {"deep": 3})
    expected("ram paper", "error %", {"ram": 1.07, "fc": 1.69, "conv": 1.21})
    expected("ram paper-cluttered", "error %", {"cluttered": 4.04, "fc": 11.96, "conv": 8.09})
    expected("ram small-cluttered", "error %", {"cluttered": 4.04, "cluttered-random": 14.4, "fc": 11.96, "conv": 8.09})
    expected("scattering paper", "error %", {"scattering": 0.7})
    expected("scattering paper-rbf", "error %", {"rbf": 0.43})
    expected("sgan paper", "error %", {"sgan": 7.2})
    expected("sgan paper-feature_matching", "error %", {"feature_matching": 0.93})
    expected("resnet paper", "error %", {
        "resnet20": 8.75, "resnet32": 7.51, "resnet44": 7.17, "resnet56": 6.97, "resnet110": 6.43})  # fmt: skip
    expected("lenet small-1998", "error %", {"1998": 0.95})


def test_pca_stands_beside_the_deep_autoencoder() -> None:
    entry = catalog.load("linear_autoencoder:deep")
    claimed = {target.metric: target for target in entry.recipe("paper")[1].targets_of("deep")}
    claim = results.claim_of(entry, "paper", "pca squared error", claimed["pca squared error"])
    assert claim and claim.value == 13.87
    assert not entry.recipe("paper")[1].targets_of("map")


def test_a_claim_that_is_not_there_is_named() -> None:
    with pytest.raises(PaperzooError, match="unknown claim '1997' in paper of lenet: did you mean 1998"):
        results.claim_of(catalog.load("lenet:1998"), "paper", "error %", Target("error %", at_most=1, claim="1997"))
    with pytest.raises(PaperzooError, match="must name its claim by the claim's id, not by True"):
        Target("error %", at_most=1, claim=True)  # type: ignore[arg-type]


def test_a_run_on_other_data_stands_beside_no_claim() -> None:
    entry = catalog.load("lenet:1998")
    (own,), (other,) = (measured_rows(entry, "paper", data, {"error %": 1.0}) for data in ("mnist", "digits"))
    assert own["met"] and own["claims"] == ["0.95 ± 0.1 (section III-C, figure 9; reported, not re-checked)"]
    assert not other["met"] and other["claims"] == [] and other["target"] == ""


# Verdicts --------------------------------------------------------------------------------------------------------------

BELOW = Target("error %", at_most=6.0, claim="it")
ABOVE = Target("BLEU", at_least=6.0, claim="it")


def claim(**changes: Any) -> Claim:
    return Claim(**{"metric": "error %", "data": "any", "value": 6.0, "where": "table 1", "mark": "seen", "id": "it", **changes})


@pytest.mark.parametrize(
    ("made", "values", "target", "met"),
    [
        (claim(), [5.9, 6.1, 5.9], BELOW, True),  # the mean, 5.97
        (claim(), [5.8, 5.9, 6.4], BELOW, False),  # 6.03, though the median is 5.9
        (claim(statistic="median", runs=5), [5.8, 5.9, 6.4], BELOW, True),
        (claim(statistic="median", runs=5), [5.0, 6.1, 6.2], BELOW, False),  # though the mean is 5.77
        (claim(statistic="best", runs=5), [7.0, 5.9, 7.0], BELOW, True),
        (claim(statistic="best", runs=3), [7.0, 7.0, 7.0, 5.9], BELOW, False),  # the best of three is not one of four
        (claim(statistic="mean", runs=5, spread=0.2), [6.1, 6.2, 6.2], BELOW, True),
        (claim(statistic="mean", runs=5, spread=0.2), [6.2, 6.2, 6.3], BELOW, False),
        (claim(), [5.0, 5.0], BELOW, False),  # two seeds
        (claim(value="curves"), [5.0, 5.0, 5.0], BELOW, False),
        (claim(), [6.1, 5.9, 6.1], ABOVE, True),
        (claim(), [5.9, 5.9, 6.1], ABOVE, False),
        (claim(statistic="best", runs=3), [5.0, 5.0, 6.1], ABOVE, True),
        (claim(spread=0.2), [5.7, 5.9, 5.9], ABOVE, True),
        (claim(spread=0.2), [5.6, 5.8, 5.9], ABOVE, False),
        (claim(), [5.0, math.nan, 5.0], BELOW, False),
    ],
)
def test_a_claim_is_met_by_its_own_protocol(made: Claim, values: list[float], target: Target, met: bool) -> None:
    assert results.meets(made, target, values) is met


@pytest.mark.parametrize(
    ("target", "values", "status", "sure"),
    [
        (None, [1.0], "measured", ""),
        (Target("m", at_most=2), [1.0, 1.1, 1.2], "scaled", ""),
        (Target("m", at_most=2), [1.0], "scaled", "1 seed"),
        (Target("m", at_most=2), [3.0], "missed", "1 seed"),
        (Target("m", at_most=2), [1.0, 1.1], "scaled", "2 seeds"),
        (Target("m", at_most=2), [1.0, 2.0, 2.4], "scaled", "within noise"),  # 1.8 ± 0.42
        (Target("m", at_most=2), [1.8, 2.1, 2.3], "missed", "within noise"),  # 2.07 ± 0.15
        (Target("m", at_most=2), [1.79, 1.8, 1.81], "scaled", ""),  # 1.8 ± 0.006
        (Target("m", at_least=8), [8.0, 8.0, 8.0], "scaled", ""),  # exact: no noise
        (Target("m", at_least=8, at_most=9), [8.3, 8.5, 9.1], "scaled", "within noise"),
        (Target("m", at_most=2), [math.nan, 1.0, 1.0], "missed", ""),
        (Target("m", at_most=2, claim="it"), [1.0, 1.0, 1.1], "reproduced", ""),
        (Target("m", at_most=2, claim="it"), [1.0, 1.0], "scaled", "2 seeds"),
        (Target("m", at_most=2, claim="it"), [3.0, 3.1, 3.0], "missed", ""),
        # differences, seed by seed
        (Target("m", at_most=0, than="v:r"), [-1.0, -1.1, -1.2], "scaled", ""),
        (Target("m", at_most=0, than="v:r"), [-1.0, -1.1, 0.1], "missed", "within noise"),  # one seed disagrees
        (Target("m", at_most=0, than="v:r"), [-0.1, -0.1, -3.0], "missed", "within noise"),  # all agree, by chance
        (Target("m", at_most=0, than="v:r"), [0.0, 0.0, 0.0], "missed", ""),
        (Target("m", at_least=0, than="v:r"), [1.0, 1.1, 1.2], "scaled", ""),
        (Target("m", at_most=-4, than="v:r"), [-4.5, -4.6, -4.7], "scaled", ""),
        (Target("m", at_most=-4, than="v:r"), [-3.0, -3.1, -3.2], "missed", ""),
        (Target("m", at_most=0, than="v:r"), [], "unverified", "0 seeds"),
    ],
)  # fmt: skip
def test_a_status_says_how_sure_it_is(target: Target | None, values: list[float], status: str, sure: str) -> None:
    made = claim(metric="m", value=2.0) if target and target.claim else None
    assert results.verdict(target, made, values) == (status, sure)


def test_targets_are_spelt_out() -> None:
    assert str(Target("m", at_least=1, at_most=2)) == "at least 1 and at most 2"
    assert str(Target("m", at_most=-4, than="random:small")) == "at least 4 below random:small"
    assert str(Target("m", at_most=0, than="random:small")) == "below random:small"
    assert str(Target("m", at_least=0, than="random:small")) == "above random:small"


# Rows, from files ------------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes results of ram as they lie in ``results/``, and returns their rows by variant."""

    def keep(**variants: list[tuple[int, float, float]]) -> list[dict[str, Any]]:
        for variant, runs in variants.items():
            name = variant.replace("_", "-")
            recipe = paperzoo.paper("ram").recipes["small-translated"]
            file = {
                "paper": "ram", "variant": name, "recipe_name": "small-translated", "recipe_hash": recipe.hash(),
                "code_hash": "", "recipe": {"data": recipe.data, "judge": ""},
                "runs": [
                    {"seed": seed, "metrics": {"error %": error}, "curve": {"network": [[1, loss]]}, "seconds": 1.0,
                     "hardware": "a laptop", "commit": "0"}
                    for seed, error, loss in runs
                ],
            }  # fmt: skip
            path = tmp_path / "ram" / f"{name}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(file))
        monkeypatch.setattr(results, "folder", lambda: tmp_path)
        monkeypatch.setattr(results, "code_hash", lambda *_: "")
        results._files.cache_clear()
        return [row for row in results.rows("ram") if row["mean"] is not None]

    yield keep
    results._files.cache_clear()


def test_seeds_that_change_nothing_are_not_seeds(kept: Any) -> None:
    same, other = (next(r for r in kept(fc=runs)) for runs in ([(s, 8.0, 1.0) for s in range(3)], [(s, 8.0, 1.0 + s) for s in range(3)]))
    assert (same["seeds"], same["spread"], same["sure"]) == (1, None, "seeds change nothing")
    assert (other["seeds"], other["spread"], other["sure"]) == (3, 0.0, "")


def test_a_result_is_compared_with_another_seed_by_seed(kept: Any) -> None:
    """Errors that vary by twenty points from seed to seed, and differ by five in each: the difference is sure."""
    learnt, chance = [(0, 10.0, 1.0), (1, 20.0, 1.1), (2, 30.0, 1.2)], [(2, 35.0, 2.0), (1, 25.1, 2.1), (0, 15.0, 2.2)]
    rows = [r for r in kept(translated=learnt, translated_random=chance, conv=learnt) if r["variant"] == "translated"]
    assert [(r["target"], r["status"], r["sure"]) for r in rows] == [
        ("at least 4 below translated-random:small-translated", "scaled", ""),
        ("below conv:small-translated", "missed", ""),
    ]
    entry, target = catalog.load("ram:translated"), Target("error %", at_most=0, than="translated-random:small-translated")
    runs = [{"seed": s, "metrics": {"error %": e}} for s, e, _ in [*learnt, (3, 0.0, 0.0)]]
    assert results.differences(entry, target, runs) == [(0, -5.0), (1, pytest.approx(-5.1)), (2, -5.0)]
    with pytest.raises(PaperzooError, match="unknown recipe 'small-translate'"):
        results.differences(entry, Target("error %", at_most=0, than="conv:small-translate"), runs)


def test_what_was_not_run_cannot_be_compared_with(kept: Any) -> None:
    rows = [r for r in kept(translated=[(0, 10.0, 1.0)]) if r["variant"] == "translated"]
    assert [(r["status"], r["sure"]) for r in rows] == [("unverified", "0 seeds")] * 2


def test_tables_print_what_stands_against_a_status() -> None:
    row = {"status": "missed", "sure": "1 seed", "target": "at least 8", "claim": None}
    assert tables.status(row) == "missed (1 seed)" and tables.status({**row, "sure": ""}) == "missed"
    assert tables.is_promised(row) and not tables.is_promised({**row, "target": None})
    assert tables.is_promised({**row, "target": None, "status": "unverified"})


def test_missed_targets_are_not_withdrawn() -> None:
    """The clipped critic of wgan covers 3 of the ring's 8 modes; 8 were asked before it ran."""
    (target,) = paperzoo.paper("wgan").recipes["small-toy"].targets
    assert (target.metric, target.at_least) == ("modes", 8)
