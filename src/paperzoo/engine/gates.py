"""Plain recurrent layers as gated ones, for export: ONNX takes the loop over their steps apart, and so fixes how many there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

#: what a gate that is always open is biased by, and one that is always shut by its negative: the sigmoid is 1 or 0 there, exactly
OPEN = 200.0


@contextmanager
def gated(model: nn.Module) -> Iterator[None]:
    """Every plain recurrent layer of tanh units is a gated one that computes the same, within."""
    plain = [
        (owner, name, layer)
        for owner in model.modules()
        for name, layer in owner.named_children()
        if type(layer) is nn.RNN and layer.nonlinearity == "tanh" and layer.bias
    ]
    for owner, name, layer in plain:
        setattr(owner, name, with_gates(layer))
    try:
        yield
    finally:
        for owner, name, layer in plain:
            setattr(owner, name, layer)


def with_gates(layer: nn.RNN) -> nn.GRU:
    """The gated recurrent unit whose reset gate is open and whose update gate is shut: h' = n = tanh(W x + b + U h + c).

    torch keeps its weights as those of the reset gate over those of the update gate over those of n: (3 H, D) where a plain one has (H, D).
    """
    shape = {"batch_first": layer.batch_first, "dropout": layer.dropout, "bidirectional": layer.bidirectional}
    given = dict(layer.named_parameters())
    unit = nn.GRU(layer.input_size, layer.hidden_size, layer.num_layers, **shape).to(given["weight_hh_l0"])
    for name, parameter in unit.named_parameters():
        n, none = given[name].detach(), torch.zeros_like(given[name])
        reset, update = (OPEN, -OPEN) if name.startswith("bias_ih") else (0.0, 0.0)
        parameter.data = torch.cat([none + reset, none + update, n])
    return unit.train(layer.training)
