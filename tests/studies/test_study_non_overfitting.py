"""The study of non-overfitting: descent against closed forms, margins by hand, and the same training twice."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import paperzoo
from paperzoo.papers.recognition import cnn
from paperzoo.studies import non_overfitting as study
from paperzoo.studies.trial import Outcome, Trial, again

pytestmark = pytest.mark.processor


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


# --- linear models -----------------------------------------------------------------------------------------------------


def test_square_loss_ends_at_least_norm_and_keeps_what_it_started_with() -> None:
    """After t steps, along each singular direction, 1 - (1 - rate s^2)^t of the way has been gone; across, nothing ever moves."""
    random = np.random.default_rng(1)
    x, y, start = random.normal(size=(6, 15)), random.normal(size=6), random.normal(size=15)
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    looks, weights = study.least_squares(x, y, np.zeros(15), 3000)
    for step, w in zip(looks, weights, strict=True):
        gone = 1 - (1 - s**2 / s[0] ** 2) ** step
        assert np.allclose(w, vt.T @ (gone / s * (u.T @ y)), atol=1e-12)
    least = np.linalg.pinv(x) @ y
    assert looks[-1] == 3000 and np.allclose(weights[-1], least, atol=1e-12)
    *_, last = study.least_squares(x, y, start, 3000)[1]
    assert np.allclose(x @ last, y, atol=1e-9) and np.allclose(last - least, start - vt.T @ (vt @ start), atol=1e-9)
    assert np.linalg.norm(last) > 1.2 * np.linalg.norm(least)


def test_logistic_loss_ends_at_the_largest_margin_as_slowly_as_theory_says() -> None:
    """Points (1, 3) and (1, -1): the widest margin is along the first axis, and the second weight ends at log(3) / 4."""
    z = np.array([[1.0, 3.0], [1.0, -1.0]])
    assert np.allclose(study.largest_margin(z), [1, 0], atol=1e-5)
    looks, weights = study.logistic(z, 20_000)
    # at the limit the loss has no slope along the second axis: 3 exp(-w1 - 3 w2) = exp(-w1 + w2)
    assert weights[-1][1] == pytest.approx(math.log(3) / 4, abs=1e-3)
    early, late = (i for i, look in enumerate(looks) if look in (min(k for k in looks if k > 2000), 20_000))
    grown = (weights[late][0] - weights[early][0]) / math.log(looks[late] / looks[early])
    assert grown == pytest.approx(1, abs=0.01)  # ||w|| = log t / margin, and the margin is 1
    angle = [math.atan2(*w[::-1]) for w in weights]
    assert angle[0] > 0.4 and all(b < a for a, b in zip(angle, angle[1:], strict=False))
    *_, fast = study.logistic(z, 10_000, normalised=True)[1]
    assert abs(math.atan2(fast[1], fast[0])) < 1e-3 < angle[-1]


def test_support_vector_machine_is_the_shortest_that_separates() -> None:
    """Karush, Kuhn, Tucker: w is a sum of the points on the margin with weights that are not negative."""
    from scipy.optimize import nnls

    z = study.separable(np.random.default_rng(2), 40, 20)
    w = study.largest_margin(z)
    assert (z @ w).min() == pytest.approx(1, abs=1e-4) and np.linalg.norm(w) < 5  # the first axis alone has margin 0.2
    _, left = nnls(z[z @ w < 1 + 1e-3].T, w)
    assert left < 1e-3 * np.linalg.norm(w)


def test_linear_models_do_what_the_networks_are_said_to_do() -> None:
    found = study.linear(30_000)
    assert all(n["distance"][-1] < 1e-12 for n in linear_of(found, "square loss, from 0"))
    assert all(n["distance"][-1] > 0.3 for n in linear_of(found, "square loss, from elsewhere"))
    for n in linear_of(found, "logistic loss"):
        since = n["step"].index(next(k for k, e in zip(n["step"], n["training error %"], strict=True) if e == 0))
        assert n["smallest margin"][since] < n["smallest margin"][-1] < n["limit"]["smallest margin"]
        assert n["test loss"][-1] > 1.1 * min(n["test loss"]) and n["test error %"][-1] < n["test error %"][since]


def linear_of(found: dict[str, list[study.Numbers]], name: str) -> list[study.Numbers]:
    assert len(found[name]) == study.SEEDS
    return found[name]


# --- networks ----------------------------------------------------------------------------------------------------------


def test_margin_and_norms_by_hand_and_under_a_change_of_scale() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.0], [0.0, -1.0, 4.0]])
    assert study.margins(logits, torch.tensor([0, 1])).tolist() == [1.0, -5.0]
    torch.manual_seed(0)
    model = cnn.Model(widths=(3, 5), normalise=False, image_size=8).eval()
    image, label, before = torch.rand(20, 1, 8, 8), torch.randint(10, (20,)), study.product_of_norms(model)
    assert before == pytest.approx(math.prod(float(m.weight.detach().square().sum()) ** 0.5 for m in layers(model)), rel=1e-6)
    with torch.no_grad():
        margin, scale = study.margins(model(image), label), 1.0
        for layer, factor in zip(layers(model), (7.0, 0.5, 3.0), strict=True):
            scale *= factor
            layer.weight *= factor
            layer.bias *= scale  # as much larger as what the layers below it say
        assert torch.allclose(study.margins(model(image), label) / study.product_of_norms(model), margin / before, rtol=1e-4, atol=1e-7)


def layers(model: torch.nn.Module) -> list[torch.nn.Conv2d | torch.nn.Linear]:
    return [m for m in model.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]


def small(label: str = "no decay", decay: float = 0.0, steps: int = 40) -> Trial:
    planned = study._trial(label, 2, decay, 3, True)
    return Trial(label, 2, planned.paper, planned.recipe, 3, {**planned.overrides, "steps": steps})


def test_the_second_training_is_the_first(tmp_path: Path) -> None:
    trial = small()
    run = paperzoo.train(trial.paper, trial.recipe, seed=trial.seed, overrides=trial.overrides, out=tmp_path)
    seen = {}
    with again(run) as loop:
        for step in range(1, 41):
            loop.step()
            if step in (10, 40):
                seen[step] = {name: tensor.clone() for name, tensor in loop.model.state_dict().items()}
    assert list(seen) == [10, 40] and all(torch.equal(v, seen[40][k]) for k, v in run.model.state_dict().items())
    assert not all(torch.equal(v, seen[10][k]) for k, v in seen[40].items())
    numbers = study.analyse(run, trial)
    assert numbers["step"][-1] == 40 and numbers["test loss"][-1] == pytest.approx(run.metrics["loss"], rel=1e-4)
    assert numbers["test error %"][-1] == pytest.approx(run.metrics["error %"]) and len(list(tmp_path.iterdir())) == 1
    data = paperzoo.dataset("digits")
    with torch.no_grad():
        assert numbers["training error %"][-1] == pytest.approx(run.model.measure(data, "train")["error %"])
    assert [len(v) for v in numbers.values() if isinstance(v, list)].count(len(numbers["step"])) >= 9


def planted() -> dict[str, object]:
    """Fitted at the third look for good, least validation loss at the second, a margin that grows after that."""
    return {
        "parameters": 100, "images": 80, "step": [1, 2, 3, 4], "passes": [1, 2, 3, 4], "training error %": [0.0, 1.0, 0.0, 0.0],
        "training loss": [1.0, 0.2, 0.1, 0.01], "validation loss": [1.0, 0.4, 0.5, 0.6], "test loss": [0.35, 0.45, 0.5, 0.55],
        "test error %": [9.0, 5.0, 4.0, 3.0], "smallest margin": [0.1, -0.1, 0.2, 0.3],
    }  # fmt: skip


def test_table_and_figure_tell_early_stopping_from_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    once = study.linear(30_000)
    monkeypatch.setattr(study, "linear", lambda: once)
    found = [Outcome(t, "", {}, planted(), 1.0, "", ()) for t in study.trials(True)]
    header, first, *others = study.table(found)
    assert all(len(row) == len(header) for row in (first, *others))
    assert first[1:] == ["100", "1; 0 (0 to 0)", "5; 3 (3 to 3)", "0.45; 0.55 (0.55 to 0.55)", "0.2; 0.3 (0.3 to 0.3)"]
    figure = study.draw(found)
    assert isinstance(figure, Figure) and len(figure.axes) == 6
    never = {**planted(), "training error %": [3.0, 2.0, 2.0, 1.0]}
    assert study.table([Outcome(t, "", {}, never, 1.0, "", ()) for t in study.trials(True)])[1][2:6:3] == ["2; 1 (1 to 1)", "-"]
    assert study.fitted(never) == 3 and study.fitted({**never, "training error %": [0.0] * 4}) == 0
