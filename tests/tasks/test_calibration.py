"""Calibration and intervals against closed forms and reference libraries, and what a classifier reports of itself."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.calibration import calibration_curve
from torch import Tensor

from paperzoo.data.dataset import Dataset, Images, Schema, Split, Values
from paperzoo.metrics.calibration import reliability
from paperzoo.metrics.interval import mean_interval, wilson
from paperzoo.tasks.classification import Classifier


def test_calibration_error_in_closed_form() -> None:
    right = np.arange(100) < 60
    assert reliability(np.full(100, 0.9), right).error == pytest.approx(0.3)  # sure of 90 %, right in 60 %
    assert reliability(np.full(100, 0.6), right).error == pytest.approx(0)
    # two bins: 0.9 in one and 0.6 in the other, weighted by what is in them
    both = reliability(np.repeat([0.9, 0.62], [30, 70]), np.r_[np.ones(30), np.arange(70) < 35])
    assert both.error == pytest.approx(0.3 * (1 - 0.9) + 0.7 * (0.62 - 0.5))
    assert both.count.tolist() == [0] * 9 + [70] + [0] * 3 + [30, 0] and np.isnan(both.accuracy[0])
    # edges: bin m holds ((m - 1) / M, m / M], the first one also 0
    edges = reliability(np.array([0.0, 0.25, 0.2501, 0.5, 1.0]), np.ones(5), bins=4)
    assert edges.count.tolist() == [2, 2, 0, 1]


def test_calibration_error_agrees_with_scikit_learn_and_tells_honest_from_bragging() -> None:
    random = np.random.default_rng(0)
    p, label = random.dirichlet(np.full(7, 0.4), 2000), random.integers(0, 7, 2000)
    found = reliability(p.max(1), p.argmax(1) == label)
    accuracy, mean = calibration_curve(p.argmax(1) == label, p.max(1), n_bins=15)  # of the bins that are not empty
    count = np.histogram(p.max(1), 15, (0, 1))[0]
    assert found.count.tolist() == count.tolist() and 0 in count
    assert found.error == pytest.approx(np.average(np.abs(accuracy - mean), weights=count[count > 0]), abs=1e-9)
    confidence = random.uniform(0.2, 1, 100_000)
    honest = random.random(100_000) < confidence
    assert reliability(confidence, honest).error < 0.01
    assert reliability(np.sqrt(confidence), honest).error == pytest.approx(np.mean(np.sqrt(confidence) - confidence), abs=0.01)
    for bad in (np.array([]), np.array([1.2]), np.array([-0.1]), np.array([np.nan]), np.ones((2, 2))):
        with pytest.raises(ValueError, match="confidences"):
            reliability(bad, np.ones_like(bad))


@pytest.mark.parametrize(("count", "total"), [(0, 1), (1, 1), (0, 50), (3, 50), (25, 50), (50, 50), (97, 10_000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_wilson_agrees_with_scipy(count: int, total: int, confidence: float) -> None:
    theirs = scipy.stats.binomtest(count, total).proportion_ci(confidence, "wilson")
    assert wilson(count, total, confidence) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_covers_where_mean_and_standard_error_do_not() -> None:
    p, total = 0.02, 50
    chance = scipy.stats.binom.pmf(np.arange(total + 1), total, p)
    covered = [low <= p <= high for low, high in (wilson(k, total) for k in range(total + 1))]
    share = np.arange(total + 1) / total
    plain = np.abs(share - p) <= 1.96 * np.sqrt(share * (1 - share) / total)
    assert chance[covered].sum() > 0.9 and chance[plain].sum() < 0.7
    for count, trials in ((-1, 5), (6, 5), (0, 0)):
        with pytest.raises(ValueError, match="trials"):
            wilson(count, trials)
    with pytest.raises(ValueError, match="confidence lies between"):
        wilson(1, 5, 95)


def test_mean_interval_is_students_and_pairing_narrows_it() -> None:
    random = np.random.default_rng(1)
    draw = random.normal(0, 5, 5)  # hard and easy draws of labels
    a, b = draw + random.normal(10, 0.5, 5), draw + random.normal(4, 0.5, 5)
    paired = mean_interval((a - b).tolist())
    theirs = scipy.stats.ttest_rel(a, b).confidence_interval(0.95)
    assert paired == pytest.approx((np.mean(a - b), theirs.low, theirs.high))
    apart = scipy.stats.ttest_ind(a, b).confidence_interval(0.95)
    assert paired.high - paired.low < 0.5 * (apart.high - apart.low)
    with pytest.raises(ValueError, match="two values or more"):
        mean_interval([1.0])


class Bright(Classifier):
    """Sees the brightness b of a pixel and says class 1 with probability b."""

    channels, image_size = 1, 1

    def __init__(self) -> None:
        super().__init__()
        self.one = torch.nn.Parameter(torch.ones(()))

    def forward(self, image: Tensor) -> Tensor:
        b = image.flatten(1) * self.one  # (N, 1, 1, 1) -> (N, 1)
        return torch.cat([1 - b, b], 1).log()


def test_a_classifier_reports_its_interval_and_calibration() -> None:
    pixels = torch.tensor([204] * 40 + [51] * 10, dtype=torch.uint8).reshape(-1, 1, 1, 1)  # 0.8 and 0.2
    label = torch.tensor([1] * 20 + [0] * 30)  # class 1 is right in half of the bright ones, class 0 in all the dark ones
    schema = Schema("two", ("image", "label"), {"channels": 1, "image_size": 1, "classes": 2})
    data = Dataset(schema, {"test": Split(Images(pixels), Values("label", label))}, "", "")
    with torch.no_grad():
        found = Bright().measure(data, "test")
    assert found["error %"] == pytest.approx(40)
    assert found["loss"] == pytest.approx(-(20 * np.log(0.8) + 20 * np.log(0.2) + 10 * np.log(0.8)) / 50, abs=1e-5)
    assert (found["error % low"], found["error % high"]) == pytest.approx(tuple(100 * end for end in wilson(20, 50)))
    assert found["calibration error %"] == pytest.approx(100 * abs(30 / 50 - 0.8), abs=1e-4)
