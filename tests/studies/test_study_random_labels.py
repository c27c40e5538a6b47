"""The study of random labels: theorem 1 is exact, an epoch is a line of the log, and what is found is what is drawn."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure

from paperzoo.engine.job import resolve
from paperzoo.engine.run import Run
from paperzoo.report import study
from paperzoo.studies import random_labels
from paperzoo.studies.random_labels import NETWORKS, analyse, epochs, fits_any, fitted, table, trained_on
from paperzoo.studies.trial import Outcome, Trial

pytestmark = pytest.mark.processor


def test_theorem_1_fits_any_numbers_with_2n_plus_d_weights() -> None:
    torch.manual_seed(0)
    for n, d in ((1, 3), (2, 1), (60, 7), (400, 50)):
        x, y = torch.randn(n, d), torch.randint(10, (n,))
        network = fits_any(x, y)
        assert network.weights == 2 * n + d
        assert (network(x.double()) - y).abs().max() < 1e-7
        other = y.roll(1)
        assert n == 1 or (fits_any(x, other)(x.double()) - other).abs().max() < 1e-7  # the same points, other labels
    with pytest.raises(ValueError, match="different from one another"):
        fits_any(torch.ones(2, 3), torch.tensor([0, 1]))


def test_theorem_1_is_exact_in_fractions_and_triangular_as_the_proof_has_it() -> None:
    """What is left in floating point is rounding: the same weights from exact numbers miss nothing."""
    torch.manual_seed(1)
    x, y = torch.randn(12, 4), torch.randint(10, (12,))
    network = fits_any(x, y)
    z, order = (x.double() @ network.a).sort()
    matrix = (z[:, None] - network.b).relu()
    assert not matrix.triu(1).any() and (matrix.diag() > 0).all()
    solved = torch.linalg.solve_triangular(matrix, y[order, None].double(), upper=False)[:, 0]
    assert torch.allclose(solved, network.w, rtol=1e-8)
    exact, weights = [Fraction(v) for v in z.tolist()], []
    bias = [exact[0] - 1, *exact[:-1]]

    def c(at: Fraction) -> Fraction:
        return sum((w * max(at - b, 0) for w, b in zip(weights, bias, strict=False)), Fraction(0))

    for at, below, wanted in zip(exact, bias, y[order].tolist(), strict=True):  # forward substitution
        weights.append((wanted - c(at)) / (at - below))
    assert [c(at) for at in exact] == y[order].tolist()
    assert torch.allclose(torch.tensor([float(w) for w in weights], dtype=torch.float64), network.w, rtol=1e-8)


def test_the_construction_is_of_the_images_and_labels_trained_on() -> None:
    points, weights, error = random_labels.construction("digits@20#labels=1", 8)
    assert (points, weights) == (200, 2 * 200 + 64) and 0 < error < 1e-6


def test_an_epoch_is_a_line_of_the_log_and_fitted_at_one_in_a_hundred() -> None:
    assert fitted([90.0, 1.2, 1.0, 5.0, 0.0]) == 3 and fitted([90.0, 2.0]) is None
    trials = random_labels.trials(False)
    for trial in trials:
        job = resolve(trial.paper, trial.recipe, seed=trial.seed, overrides=trial.overrides)
        network = NETWORKS[trial.label.split(", ")[0]]
        per_epoch = 500 // job.recipe.batch_size
        assert 500 % job.recipe.batch_size == 0 and job.options["log_every"] == per_epoch
        assert job.recipe.steps == network.epochs * per_epoch == job.options["checkpoint_every"]  # no line between two epochs
        assert f"@50:{trial.seed}" in job.recipe.data and ("#" not in job.recipe.data or f"draw={trial.seed}" in job.recipe.data)
        assert ("#" in job.recipe.data) == (trial.x > 0 or "pixels" in trial.label or "noise" in trial.label)


def found(numbers: dict[str, Any] | None = None) -> list[Outcome]:
    """What would be found if networks took 4 epochs for true labels and 20 for random ones, a point a seed apart."""
    made = []
    for t in random_labels.trials(False):
        when = round(4 + 16 * t.x) + t.seed
        curve = [90.0] * (when - 1) + [0.5] * (41 - when)
        extra = {"theorem 1": [500, 1196, 2e-9 * (1 + t.seed)]} if (t.label, t.x) == ("MLP 1x512, labels", 1) else {}
        kept = {"curve": curve, "fitted": fitted(curve), **extra, **(numbers or {})}
        made.append(Outcome(t, "", {"error %": 5 + 85 * t.x + t.seed, "training error %": 0.0}, kept, 1.0, "", ()))
    return made


def test_table_says_what_was_planted() -> None:
    header, *rows = table(found())
    by_name = {tuple(row[:2]): row[2:] for row in rows}
    assert len(by_name) == len(rows) == 41 + 1 and all(len(row) == len(header) for row in rows)
    assert by_name["Inception", "true labels"] == ["5 (4 to 6)", "0.0 (0.0 to 0.0)", "6.0 (5.0 to 7.0)"]
    assert by_name["MLP 1x512", "25 % random labels"][0] == "9 (8 to 10)"
    assert by_name["AlexNet", "random labels, dropout"] == ["21 (20 to 22)", "0.0 (0.0 to 0.0)", "91.0 (90.0 to 92.0)"]
    assert rows[-1][0] == "theorem 1: 500 points, 1,196 weights" and rows[-1][3] == "numbers within 6e-09"
    assert epochs([3, None, 5]) == "1 of 3 never"
    assert trained_on("shuffled pixels", 0) == "shuffled pixels" and trained_on("dropout", 0) == "true labels, dropout"


def test_figure_has_a_line_and_a_bar_for_everything() -> None:
    figure = random_labels.draw(found())
    assert isinstance(figure, Figure)
    curves, time, test, bars = figure.axes
    assert len(curves.lines) == 5 * 3 and len(bars.patches) == len(random_labels.REGULARISED) * 4
    inception = time.lines[0]
    assert list(inception.get_xdata()) == [0, 0.25, 0.5, 0.75, 1] and list(inception.get_ydata()) == [5, 9, 13, 17, 21]
    assert list(test.lines[0].get_ydata()) == [6, 27.25, 48.5, 69.75, 91]
    never = random_labels.draw(found({"fitted": None}))  # what never fits stands at the last epoch
    assert max(never.axes[1].lines[0].get_ydata()) == 40


def test_quick_run_of_one_network(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = random_labels.trials(True)
    some = [t for t in whole if t.label in ("MLP 1x512, labels", "Inception, labels") and t.x == 1]
    monkeypatch.setattr(random_labels, "trials", lambda quick: some)
    out = study.run("random_labels", quick=True, out=tmp_path)
    assert "theorem 1: 200 points, 464 weights" in out
    directory = next((tmp_path / "random_labels-quick" / "runs").glob("*"))
    numbers = analyse(Run(directory), Trial("another", 0, "", ""))
    assert len(numbers["curve"]) == 4  # epochs
