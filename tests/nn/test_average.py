"""A running average of a network's weights."""

from __future__ import annotations

import pytest
from torch import nn

from paperzoo.nn.average import Average


def test_average_follows_the_weights_and_warms_up() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    average = Average(network, 0.9)
    nn.init.ones_(network.weight)
    value = 0.0
    for t in range(1, 200):
        average.update(network)
        decay = min(0.9, (1 + t) / (10 + t))
        value = decay * value + (1 - decay)
        assert average.network.weight.item() == pytest.approx(value, rel=1e-5)
    assert not any(p.requires_grad for p in average.parameters())
