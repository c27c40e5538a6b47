"""Predictive maintenance: will this machine fail within a day or two? A method, not a paper; in the shape of the Nexperia contest.

Each day, for each machine, a window of the last days (the observation window, OW) is turned into the log-odds s that the machine
fails within the prediction window (PW) that follows. Of each sensor and each observation window of 1, 2, 4, 8 or 16 days

    mean, standard deviation, least, greatest, slope a day, and the last reading

go to a logistic regression, a random forest or boosted trees; a multilayer perceptron and an LSTM see the readings themselves.
Failures are rare. Each loss counts a window before a failure w = negatives / positives times, as if there were as many of them as
of others; what comes out are the odds among such, w times too high, so log w is taken off, and the probabilities mean what they say:

    s = log(p' / (1 - p')) - log w,        alarm where p >= cost of an alarm / cost of a missed failure.

No window can see what it is asked for: see ``paperzoo.data.series.machines`` for where windows end and how dates cut the splits. Then read
``statistics``, ``Trees`` and ``Model.step``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW

from paperzoo.data import Batch
from paperzoo.data.series.machines import OBSERVATIONS
from paperzoo.errors import PaperzooError
from paperzoo.nn.fitted import descend, rounded_down
from paperzoo.nn.schedules import cosine
from paperzoo.ranges import NotNegative, Part, Positive, Several, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.maintenance import AlarmModel
from paperzoo.tasks.model import Optimizers, Players


def statistics(readings: Tensor, observation: Sequence[int], per_day: int) -> Tensor:
    """Features (N, (5 * windows + 1) * sensors) of readings (N, T, sensors): the last days of each observation window.

    The slope is that of the least-squares line, in units a day; a window of one reading has deviation and slope 0.
    """
    features = []
    for days in observation:
        x = readings[:, -days * per_day :]  # (N, days * per_day, sensors)
        t = torch.arange(x.shape[1], device=x.device, dtype=x.dtype) / per_day
        t = t - t.mean()
        slope = torch.einsum("t,nts->ns", t, x) / t.square().sum().clamp(min=1e-12)
        features += [x.mean(1), x.std(1, correction=0), x.amin(1), x.amax(1), slope]
    return torch.cat([*features, readings[:, -1]], 1)


class Trees(nn.Module):
    """A fitted scikit-learn forest or gradient-boosted trees as tensors: ``s = base + sum over trees of the leaf's value``.

    A forest's sum is a probability, from which log-odds are taken.
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    value: Tensor
    base: Tensor
    depth: Tensor

    def __init__(self, kind: str, trees: int, leaves: int) -> None:
        super().__init__()
        self.kind, self.trees, self.leaves = kind, trees, leaves
        shape = (trees, 2 * leaves - 1)
        for name in ("feature", "left", "right"):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.int32))
        for name in ("threshold", "value"):
            self.register_buffer(name, torch.zeros(shape))
        self.register_buffer("base", torch.zeros(()))
        self.register_buffer("depth", torch.zeros((), dtype=torch.int32))

    def fit(self, x: Tensor, label: Tensor, seed: int) -> None:
        """Features (N, D), labels bool (N) of which both kinds are there."""
        z, y = x.cpu().numpy(), label.cpu().numpy()
        for tree, nodes in enumerate(self._boosted(z, y, seed) if self.kind == "boosting" else self._forest(z, y, seed)):
            count = len(nodes["leaf"])
            here, leaf = np.arange(count), nodes["leaf"]
            for name in ("left", "right"):
                self._put(name, tree, np.where(leaf, here, nodes[name]))
            self._put("feature", tree, np.where(leaf, 0, nodes["feature"]))
            self._put("threshold", tree, rounded_down(np.where(leaf, 0, nodes["threshold"])))
            self._put("value", tree, nodes["value"])

    def _put(self, name: str, tree: int, values: np.ndarray) -> None:
        buffer = self.get_buffer(name)[tree].zero_()
        buffer[: len(values)] = torch.from_numpy(values).to(buffer)

    def _boosted(self, z: np.ndarray, y: np.ndarray, seed: int) -> list[dict[str, np.ndarray]]:
        from sklearn.ensemble import HistGradientBoostingClassifier

        model: Any = HistGradientBoostingClassifier(
            max_iter=self.trees, max_leaf_nodes=self.leaves, class_weight="balanced", early_stopping=False, random_state=seed
        ).fit(z, y)
        trees = [tree.nodes for (tree,) in model._predictors]  # no public name; a test holds our sums against its own
        self.base.fill_(float(model._baseline_prediction.item()))
        self.depth.fill_(int(max(nodes["depth"].max() for nodes in trees)))
        names = {"leaf": "is_leaf", "left": "left", "right": "right", "feature": "feature_idx", "threshold": "num_threshold"}
        return [{"value": n["value"], **{k: n[v].astype(bool if k == "leaf" else None) for k, v in names.items()}} for n in trees]

    def _forest(self, z: np.ndarray, y: np.ndarray, seed: int) -> list[dict[str, np.ndarray]]:
        from sklearn.ensemble import RandomForestClassifier

        model = RandomForestClassifier(
            self.trees, max_leaf_nodes=self.leaves, min_samples_leaf=5, class_weight="balanced", random_state=seed
        ).fit(z, y)
        self.depth.fill_(max(tree.get_depth() for tree in model.estimators_))
        trees = [tree.tree_ for tree in model.estimators_]
        return [
            {
                "leaf": t.children_left < 0, "left": t.children_left, "right": t.children_right, "feature": t.feature,
                "threshold": t.threshold, "value": t.value[:, 0, 1] / t.value[:, 0].sum(1) / self.trees,
            }
            for t in trees
        ]  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Log-odds (N) among as many positives as negatives, of features (N, D)."""
        leaf = descend(x, self.feature, self.threshold, self.left, self.right, int(self.depth))
        total = self.base + self.value[torch.arange(self.trees, device=x.device), leaf].sum(1)  # (N, trees) to (N)
        return total if self.kind == "boosting" else torch.logit(total, eps=1e-4)


class Logistic(nn.Module):
    """Logistic regression on standardised features: ``s = weight . x + bias``."""

    weight: Tensor
    bias: Tensor

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(dimensions))
        self.register_buffer("bias", torch.zeros(()))

    def fit(self, x: Tensor, label: Tensor, seed: int) -> None:
        """Features (N, D), labels bool (N) of which both kinds are there; ``seed`` has nothing to decide."""
        from sklearn.linear_model import LogisticRegression

        z = x.cpu().double().numpy()
        mean, spread = z.mean(0), z.std(0)
        spread = np.where(spread > 1e-6, spread, 1.0)  # readings are standardised already, so 1e-6 is nothing
        model = LogisticRegression(class_weight="balanced", max_iter=1000).fit((z - mean) / spread, label.cpu().numpy())
        weight = model.coef_[0] / spread
        self.weight.copy_(torch.from_numpy(weight).to(self.weight))
        self.bias.fill_(float(model.intercept_[0] - weight @ mean))

    def forward(self, x: Tensor) -> Tensor:
        """Log-odds (N) among as many positives as negatives, of features (N, D)."""
        return (x * self.weight).sum(1) + self.bias


def mlp(inputs: int, hidden: int, dropout: float) -> nn.Sequential:
    """Two hidden layers on the flattened window: (N, T, sensors) to log-odds (N)."""
    middle = (nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(dropout))
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, hidden), *middle, nn.Linear(hidden, 1), nn.Flatten(0))


class Recurrent(nn.Module):
    """An LSTM reads the window from its oldest reading to its newest; its last state decides."""

    def __init__(self, sensors: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(sensors, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Log-odds (N) of windows (N, T, sensors)."""
        states, _ = self.lstm(x)  # (N, T, hidden)
        return self.output(self.dropout(states[:, -1])).squeeze(1)  # type: ignore[no-any-return]


FITTED = ("boosting", "forest", "logistic")
Kind = Literal["boosting", "forest", "logistic", "mlp", "lstm"]


class Model(AlarmModel):
    """One of five models of the same windows.

    Args:
        kind: which of them.
        observation: observation windows in days; networks see the longest.
        prediction: days ahead, 1 or 2.
        trees, leaves: of a forest or of boosting; ``leaves`` at most in each tree.
        hidden, dropout: of the networks.
        pool: grid steps whose mean is one step for the networks; 1: every reading.
        alarm_cost, failure_cost: what an alarm costs, right or wrong, and what a window before a failure costs without one.
        sensors, per_day, mean, deviation, shares: filled from the data: names, grid steps a day, each sensor's mean and deviation,
            the share of training windows before a failure for each prediction window.

    Raises:
        PaperzooError: an unknown kind, or a value out of range.
    """

    def __init__(
        self,
        *,
        kind: Kind = "boosting",
        observation: Sequence[int] = (2,),
        prediction: Literal[1, 2] = 1,
        trees: Size = 100,
        leaves: Several = 4,
        hidden: Size = 64,
        dropout: Part = 0.2,
        pool: Size = 1,
        alarm_cost: Positive = 1.0,
        failure_cost: Positive = 20.0,
        sensors: Sequence[str] = ("vibration", "temperature", "current", "load"),
        per_day: Size = 24,
        mean: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
        deviation: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
        shares: Sequence[float] = (0.01, 0.02),
    ) -> None:
        super().__init__()
        if not observation or not set(observation) <= set(OBSERVATIONS):
            raise PaperzooError(f"observation of maintenance lists days among {list(OBSERVATIONS)}, not {list(observation)}")
        steps = max(observation) * per_day
        if steps % pool:
            raise PaperzooError(f"pool of maintenance must divide the {steps} steps of the window; it is {pool}")
        if not 0 < alarm_cost < failure_cost:
            raise PaperzooError(f"an alarm must cost less than a missed failure, not {alarm_cost:g} against {failure_cost:g}")
        if not len(sensors) == len(mean) == len(deviation):
            raise PaperzooError(f"{len(sensors)} sensors, {len(mean)} means and {len(deviation)} deviations of maintenance do not match")
        self.kind, self.observation, self.prediction, self.pool = kind, tuple(sorted(observation)), prediction, pool
        self.sensors, self.per_day, self.steps = tuple(sensors), per_day, steps
        self.alarm_cost, self.failure_cost = alarm_cost, failure_cost
        share = min(max(float(shares[prediction - 1]), 1e-6), 1 - 1e-6)
        self.mean: Tensor
        self.deviation: Tensor
        self.weight: Tensor
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("deviation", torch.tensor(deviation))
        self.register_buffer("weight", torch.tensor((1 - share) / share))  # w of the docstring; the fitted count their own
        self.network: nn.Module
        if kind == "logistic":
            self.network = Logistic((5 * len(self.observation) + 1) * len(sensors))
        elif kind in FITTED:
            self.network = Trees(kind, trees, leaves)
        elif kind == "mlp":
            self.network = mlp(steps // pool * len(sensors), hidden, dropout)
        else:
            self.network = Recurrent(len(sensors), hidden, dropout)

    def inputs(self, readings: Tensor) -> Tensor:
        """The network's input made of readings (N, T, sensors): features (N, D), or the window itself (N, steps / pool, sensors)."""
        x = (readings[:, -self.steps :] - self.mean) / self.deviation
        if self.kind in FITTED:
            return statistics(x, self.observation, self.per_day)
        return x.reshape(len(x), -1, self.pool, x.shape[2]).mean(2)  # (N, steps, sensors) to (N, steps / pool, sensors)

    def forward(self, readings: Tensor) -> Tensor:
        """Log-odds (N) of a failure within ``prediction`` days, for readings (N, T, sensors) in the log's units."""
        return self.network(self.inputs(readings)) - self.weight.log()  # type: ignore[no-any-return]

    def optimizers(self, *, lr: NotNegative = 2e-3, weight_decay: NotNegative = 1e-2) -> Optimizers:
        """AdamW for a network, whose rate falls along a cosine to 0; none for what scikit-learn fits."""
        if self.kind in FITTED:
            return {}
        return {"network": (AdamW(self.network.parameters(), lr=lr, weight_decay=weight_decay), cosine())}

    def step(self, batch: Batch, opt: Players) -> None:
        """One step on a batch; or the whole fit, on all windows that the batch holds.

        Raises:
            PaperzooError: nothing to fit on, all windows being alike.
        """
        label, x = self.label(batch), self.inputs(batch.readings)
        if isinstance(self.network, Logistic | Trees):
            positives = int(label.sum())
            if positives in (0, len(label)):
                raise PaperzooError(f"{positives} of the {len(label)} windows of this step come before a failure: set a larger batch_size")
            self.network.fit(x, label, int(torch.randint(2**31, ())))
            self.weight.fill_((len(label) - positives) / positives)
        else:
            opt.network.minimize(F.binary_cross_entropy_with_logits(self.network(x), label.float(), pos_weight=self.weight))


VARIANTS: dict[str, dict[str, object]] = {
    "boosting": {},
    "forest": {"kind": "forest", "trees": 200, "leaves": 64},
    "logistic": {"kind": "logistic"},
    "mlp": {"kind": "mlp"},
    "lstm": {"kind": "lstm", "hidden": 32},
}

_FITTED: dict[str, Any] = {"steps": 1, "batch_size": "all", "precision": "float32", "variants": FITTED}
_NETWORKS: dict[str, Any] = {"steps": 800, "batch_size": 128, "variants": ("mlp", "lstm")}
_CONTESTS: dict[str, dict[str, Any]] = {
    "mini": {"observation": (2,), "prediction": 1},
    "full-1": {"observation": OBSERVATIONS, "prediction": 1},
    "full-2": {"observation": OBSERVATIONS, "prediction": 2},
}

#: what a network on raw readings is for: more than a line through their statistics says
_TARGETS = (Target("average precision", at_least=0, than="logistic:small-mini"),)

RECIPES = {
    **{
        f"{size}-{contest}{which}": Recipe(
            data=data,
            model={**windows, **({"pool": 4} if which and contest != "mini" else {})},
            targets=_TARGETS if size == "small" and which and contest == "mini" else (),
            note=f"OW {', '.join(map(str, windows['observation']))} days, PW {windows['prediction']}; no paper stands behind it"
            f"{'. The target was set after the first run' if size == 'small' and which and contest == 'mini' else ''}",
            **settings,
        )
        for size, data in (("paper", "nexperia"), ("small", "wear"))
        for contest, windows in _CONTESTS.items()
        for which, settings in (("", _FITTED), ("-network", _NETWORKS))
    },
    "smoke": Recipe(data="wear-tiny", steps=1, batch_size=600, precision="float32", model={"trees": 20}, variants=FITTED),
    "smoke-network": Recipe(data="wear-tiny", steps=40, batch_size=64, model={"hidden": 8}, variants=("mlp", "lstm")),
}
