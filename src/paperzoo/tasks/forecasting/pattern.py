"""Level, trend and season taken out of a forecaster's targets, and how far its network is to be believed about the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from paperzoo.data.series.patterns import weights
from paperzoo.errors import PaperzooError


class Pattern(nn.Module):
    """What ``paperzoo.data.series.patterns`` chose, for windows (N, T, K) of straightened targets.

    Args:
        removed: what ``patterns.chosen`` returned.
        history, horizon, held, targets: T, H, windows held out, K.

    Raises:
        PaperzooError: fewer steps looked back on than level and season take, or more forecast than the data's windows have.
    """

    left: Tensor  # (T, T)
    ahead: Tensor  # (H, T)
    trend: Tensor  # (H, K)
    deviation: Tensor  # (H, K)
    spread: Tensor  # (K)
    said: Tensor  # (held, H, K)
    came: Tensor  # (held, H, K)
    trust: Tensor  # (H, K)

    def __init__(self, removed: Mapping[str, Any], history: int, horizon: int, held: int, targets: int) -> None:
        super().__init__()
        self.removed = dict(removed)
        level, cycles, season = (int(removed[key]) for key in ("level", "cycles", "season"))
        if (least := max(level, cycles * season)) > history:
            raise PaperzooError(f"history must be at least {least}, the steps that level and season are taken from, not {history}")
        if horizon > len(removed["trend"]):
            raise PaperzooError(f"horizon must be at most {len(removed['trend'])}, as the data's windows have it, not {horizon}")
        left, ahead = weights(history, horizon, season, level, cycles)
        shape = (held, horizon, targets)
        for name, value in (
            ("left", left), ("ahead", ahead), ("trend", removed["trend"][:horizon]), ("deviation", removed["deviation"][:horizon]),
            ("spread", removed["spread"]), ("said", np.zeros(shape)), ("came", np.zeros(shape)), ("trust", np.ones(shape[1:])),
        ):  # fmt: skip
            self.register_buffer(name, torch.tensor(np.asarray(value), dtype=torch.float32))

    def rest(self, window: Tensor) -> Tensor:
        """The residuals of windows without level and season, standardised: (N, T, K)."""
        return self.left @ window / self.spread  # (T, T) @ (N, T, K)

    def forward(self, window: Tensor) -> Tensor:
        """The forecast by level, season and trend: (N, H, K)."""
        return self.ahead @ window + self.trend  # (H, T) @ (N, T, K)

    def note(self, rows: Tensor, said: Tensor, came: Tensor) -> Tensor:
        """Keeps what the network said of held-out windows ``rows``, and what came, both (M, H, K); weighs it by least squares.

        Returns:
            The absolute errors of all held-out windows, (held, H, K), with a weight in [0, 1]: at 0 the pattern alone forecasts.
        """
        self.said[rows], self.came[rows] = said, came
        weight = (self.said * self.came).sum(0) / self.said.square().sum(0).clamp(min=1e-12)
        self.trust.copy_(weight.clamp(0, 1))
        return (self.came - self.trust * self.said).abs()
