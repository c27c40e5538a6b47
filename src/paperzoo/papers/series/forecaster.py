"""Forecasting with small networks: the last T steps of a series in, the next H out. The first lesson on series; no paper.

A window of history x[t-T+1..t] goes through a network, which says what comes:

    y[t+1..t+H] = f(x[t-T+1], ..., x[t])

An MLP sees the T steps side by side. A recurrent network reads them one by one and keeps a state h, which a gate or two (GRU,
LSTM) let live longer; its last state is weighed into the H steps. The bidirectional one reads the window from both ends: nothing
of it lies in the future. The encoder-decoder (Sutskever et al. 2014) starts a second LSTM from the state of the first, and lets it
speak one step at a time, hearing its own last word.

    paperzoo train forecaster --data 'series:sales.csv#target=sales&history=60&horizon=7'

What makes a forecast worth anything is not the network: the scale is that of the training stretch, no window's future reaches into
the next stretch, errors stand in raw units beside those of persistence and AR(p), and a forecast that repeats the last value is
called that. Read ``Model.step``, then ``paperzoo/tasks/forecasting``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from paperzoo.data import Batch
from paperzoo.nn.schedules import one_cycle
from paperzoo.ranges import NotNegative, Part, Several, Size, Sizeable
from paperzoo.records import Recipe, Target
from paperzoo.tasks.forecasting import Forecaster
from paperzoo.tasks.model import Optimizers, Players

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class MLP(nn.Module):
    """The window side by side through one hidden layer: (N, T, D) to (N, H, K)."""

    def __init__(self, history: int, inputs: int, hidden: int, horizon: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(history * inputs, hidden), nn.ReLU(), nn.Linear(hidden, horizon * outputs))
        self.shape = (horizon, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, D) to (N, H, K)."""
        return self.layers(x.flatten(1)).unflatten(1, self.shape)  # type: ignore[no-any-return]  # (N, H K) -> (N, H, K)


class Recurrent(nn.Module):
    """The last state of a recurrent network (each way, the state after the whole window), weighed: (N, T, D) to (N, H, K)."""

    def __init__(self, cell: str, bidirectional: bool, inputs: int, hidden: int, horizon: int, outputs: int) -> None:
        super().__init__()
        self.cell = CELLS[cell](inputs, hidden, batch_first=True, bidirectional=bidirectional)
        self.output = nn.Linear(hidden * (1 + bidirectional), horizon * outputs)
        self.shape = (horizon, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, D) to (N, H, K)."""
        _, state = self.cell(x)
        h: Tensor = state[0] if isinstance(state, tuple) else state  # (1 or 2, N, hidden); an LSTM also has its cells
        return self.output(h.transpose(0, 1).flatten(1)).unflatten(1, self.shape)  # type: ignore[no-any-return]


class EncoderDecoder(nn.Module):
    """An LSTM reads the window, another goes on from its state, fed with its own last word: (N, T, D) to (N, H, K)."""

    def __init__(self, inputs: int, hidden: int, horizon: int, at: Sequence[int]) -> None:
        super().__init__()
        self.encoder = nn.LSTM(inputs, hidden, batch_first=True)
        self.decoder = nn.LSTMCell(len(at), hidden)
        self.output = nn.Linear(hidden, len(at))
        self.horizon, self.at = horizon, list(at)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, D) to (N, H, K)."""
        _, (h, c) = self.encoder(x)
        h, c, word, outputs = h[0], c[0], x[:, -1, self.at], []  # (N, hidden), (N, hidden), (N, K)
        for _ in range(self.horizon):
            h, c = self.decoder(word, (h, c))
            word = self.output(h)
            outputs.append(word)
        return torch.stack(outputs, 1)


def squared_error(forecast: Tensor, target: Tensor, counted: Tensor) -> Tensor:
    """The mean squared difference of (N, H, K) and (N, H, K), where (N, H) is true; 0 where nothing counts."""
    wrong = (forecast - target).square().mean(2) * counted
    return wrong.sum() / counted.sum().clamp(min=1)


class Model(Forecaster):
    """One of six networks on standardised windows.

    Args:
        network: which of them.
        hidden: units of its hidden layer or state.
        difference: whether it says how fast the targets will have changed since they were last seen, in usual changes a step,
            rather than what they will be, and sees the window so too; a network that says nothing then is persistence, and one
            that says the last change of all steps ahead a straight line.
        columns, targets, history, horizon, statistics, transform, held, step, season, place, removed: see ``Forecaster``; where level,
            trend and season are removed, nothing is left to ``difference``.

    Raises:
        PaperzooError: as ``Forecaster``, or an unknown network.
    """

    def __init__(
        self,
        *,
        network: Literal["mlp", "rnn", "lstm", "gru", "bidirectional", "encoder_decoder"] = "lstm",
        hidden: Size = 16,
        difference: bool = False,
        transform: Literal["none", "sqrt", "log"] = "none",
        history: Several = 32,
        horizon: Size = 1,
        columns: Sequence[str] = ("value",),
        targets: Sequence[str] = ("value",),
        statistics: Mapping[str, Sequence[Sequence[float] | None]] | None = None,
        held: Sizeable = 0,
        step: Sequence[Any] = (1, "step"),
        season: Sizeable = 0,
        place: Sequence[str] = (),
        removed: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(columns, targets, history, horizon, statistics or {}, transform, held, step, season, place, removed)
        self.difference = difference and not removed
        inputs, outputs = len(self.columns) * (1 + self.difference), len(self.targets)
        if network == "mlp":
            self.network: nn.Module = MLP(history, inputs, hidden, horizon, outputs)
        elif network == "encoder_decoder":
            self.network = EncoderDecoder(inputs, hidden, horizon, self.at)
        else:
            cell = "lstm" if network == "bidirectional" else network
            self.network = Recurrent(cell, network == "bidirectional", inputs, hidden, horizon, outputs)

    def forward(self, history: Tensor) -> Tensor:
        """Raw histories (N, T', D), of which the last T steps are seen, to forecasts (N, H, K) on the network's scale."""
        x = self.scaled(history)  # (N, T, D)
        if not self.difference:
            return self.network(x)  # type: ignore[no-any-return]
        last = x[:, -1:]  # (N, 1, D)
        z: Tensor = self.network(torch.cat([(x - last) / self.change, x], 2))  # (N, T, 2 D) -> (N, H, K)
        return last[..., self.at] + z * self.unit()

    def unit(self) -> Tensor:
        """The unit of the network's outputs and errors, (H, K): without ``difference`` 1, else h usual changes after h
        steps, so that each target and each step ahead counts alike."""
        ahead = torch.arange(1, self.horizon + 1, device=self.change.device)[:, None]
        return ahead * self.change[self.at] if self.difference else torch.ones_like(ahead * self.change[self.at])

    def optimizers(self, *, lr: NotNegative = 1e-2, weight_decay: NotNegative = 1e-2, rise: Part = 0.3) -> Optimizers:
        """AdamW; the rate rises to ``lr`` for the share ``rise`` of the steps, then falls along a cosine to 0."""
        return {"network": (AdamW(self.network.parameters(), lr, weight_decay=weight_decay), one_cycle(rise))}

    def step(self, batch: Batch, opt: Players) -> None:
        """One step on the windows that are there to be trained on; towards the end, calibration on those held out."""
        target, mask = self.wanted(batch)  # (N, H, K), (N, H)
        trained = mask & (batch.held == -1)[:, None]
        loss = squared_error(self(batch.history) / self.unit(), target / self.unit(), trained)
        opt.network.minimize((loss, trained.sum()))
        if opt.iteration >= 0.8 * opt.total - 1:  # by then the weights hardly move
            self.calibrate(batch, opt)


VARIANTS: dict[str, dict[str, object]] = {
    "lstm": {},
    "mlp": {"network": "mlp"},
    "rnn": {"network": "rnn"},
    "gru": {"network": "gru"},
    "bidirectional": {"network": "bidirectional"},
    "encoder_decoder": {"network": "encoder_decoder"},
}

_BOTH = "train+validation"  # held-out windows are in the batch, and not in the loss

_HOLD = (Target("lowest interval coverage %", at_least=85), Target("highest interval coverage %", at_most=95))

RECIPES = {
    "paper-sunspots": Recipe(
        data="sunspots",
        steps=1000,
        batch_size=32,
        train_on=_BOTH,
        model={"hidden": 50},
        optimizer={"lr": 1e-3, "weight_decay": 0.0, "rise": 0.1},
        precision="float32",
        note="no paper stands behind it: the size, the rate and the some 150 passes that tutorials use; no transform",
    ),
    "small": Recipe(
        data="sunspots",
        steps=200,
        batch_size="all",
        train_on=_BOTH,
        model={"hidden": 8, "transform": "sqrt"},
        precision="float32",
        clip=1.0,
        targets=(
            Target("RMSE at 1 year", at_most=20, variants=("lstm",)),
            Target("interval coverage % at 1 year", at_least=85, at_most=95, variants=("lstm",)),
        ),
        note="units and steps chosen on 1903-1946; AR(9) has RMSE 19.44 and persistence 33.28 on the same years",
    ),
    "small-monthly": Recipe(
        data="sunspots-monthly",
        steps=600,
        batch_size=128,
        train_on=_BOTH,
        model={"hidden": 16, "horizon": 12, "history": 48, "transform": "sqrt"},
        optimizer={"lr": 5e-3},
        precision="float32",
        clip=1.0,
        variants=("lstm",),
        targets=(Target("RMSE at 6 months", at_most=23.35), Target("RMSE at 12 months", at_most=29.68), *_HOLD),
        note="the test stretch is two whole cycles of the sun, 1986-2008; the targets are the errors of AR(27)",
    ),
    "small-storms": Recipe(
        data="storms",
        steps=2000,
        batch_size=256,
        train_on=_BOTH,
        model={"hidden": 64, "difference": True},
        optimizer={"lr": 3e-3},
        precision="float32",
        clip=1.0,
        variants=("lstm",),
        targets=(Target("track error at 24 h", at_most=231), Target("wind MAE at 24 h", at_most=11.7), *_HOLD),
        note="storms of 2016-2022; the targets are the errors in km of the motion going on, and in knots of climatology",
    ),
    "smoke": Recipe(
        data="ar2",
        steps=120,
        batch_size=128,
        train_on=_BOTH,
        model={"hidden": 8, "horizon": 2},
        optimizer={"lr": 3e-2},
        precision="float32",
        clip=1.0,
    ),
}
