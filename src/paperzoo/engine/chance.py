"""Chance is a function of (seed, iteration, rank); measuring leaves it, and the networks' modes, as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def seed_all(seed: int, iteration: int, rank: int) -> None:
    """Seeds torch's generators; a splitmix of the three, so that neighbours share nothing. Iteration -1 is that of the weights."""
    mixed = 0
    for part in (seed, iteration + 1, rank):
        mixed = (mixed + part + 0x9E3779B97F4A7C15) % 2**64
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % 2**64
    torch.default_generator.manual_seed(mixed >> 1)
    if torch.cuda.is_available():
        torch.cuda.manual_seed(mixed >> 1)


@contextmanager
def guarded(model: nn.Module) -> Iterator[None]:
    """Eval mode without gradients; afterwards modes and torch's generator are as before."""
    modes = {module: module.training for module in model.modules()}
    with torch.random.fork_rng(), torch.no_grad():
        model.eval()
        yield
    for module, training in modes.items():
        module.training = training
