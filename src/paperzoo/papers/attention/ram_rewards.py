"""How recurrent attention is rewarded (Mnih et al. 2014, section 3): for its answer by cross-entropy, for its places by REINFORCE.

A place l_t is drawn from N(mu_t, sigma^2), and drawing passes on no gradient. REINFORCE (Williams 1992) estimates that of the
expected reward R from what was drawn, where the baseline b_t, the reward expected before, takes variance away:

    sum over t of grad log N(l_t; mu_t, sigma^2) (R_t - b_t).

The paper's reward is 1 if the last answer is right (``last_reward``); the others are variants of it, to compare with.
``ram.py`` has the network and trains it by ``hybrid``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from paperzoo.papers.attention.ram import Trace


def log_density(place: Tensor, mean: Tensor, std: float) -> Tensor:
    """log N(l; mu, std^2 I) in two dimensions: (N, T) of (N, T, 2) and (N, T, 2)."""
    return -((place - mean) / std).square().sum(-1) / 2 - math.log(2 * math.pi * std**2)


def reinforce(place: Tensor, mean: Tensor, returns: Tensor, baseline: Tensor, std: float) -> Tensor:
    """Minus the estimate whose gradient is that of the expected reward: sum over places, mean over images.

    Its gradient with respect to ``mean`` is ``-(returns - baseline) (place - mean) / std^2 / N``.

    Args:
        place, mean: (N, T, 2).
        returns, baseline: (N, T); only ``mean`` gets a gradient.
    """
    advantage = (returns - baseline).detach()
    return -(advantage * log_density(place.detach(), mean, std)).sum(1).mean()


def last_reward(right: Tensor) -> Tensor:
    """R of the paper: 1 if the last answer is right, for every place but the first; (N, T - 1) of ``right`` (N, T)."""
    return right[:, -1:].expand(-1, right.shape[1] - 1)


def discounted_reward(right: Tensor, discount: float) -> Tensor:
    """A reward for each right answer from the glimpse at l_t on: sum over s >= t of discount^(s - t) right_s; (N, T - 1)."""
    steps = torch.arange(right.shape[1] - 1, device=right.device)
    power = discount ** (steps - steps[:, None]).clamp(min=0).float()  # (t, s)
    return right[:, 1:] @ power.triu().T


def last_cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """The reward of the last answer; logits (N, T, K), label (N)."""
    return F.cross_entropy(logits[:, -1], label)


def each_cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """The mean over all answers; logits (N, T, K), label (N)."""
    return F.cross_entropy(logits.flatten(0, 1), label.repeat_interleave(logits.shape[1]))


def answer_loss(logits: Tensor, label: Tensor, weights: Sequence[float]) -> Tensor:
    """The classification loss; the weights are those of ``hybrid``."""
    last, discounted, each = weights
    return (last + discounted) * last_cross_entropy(logits, label) + each * each_cross_entropy(logits, label)


#: weights of the losses of "last", "discounted" and "cross_entropy_each"; "mix" has weights of its own
REWARDS = {"last": (1.0, 0.0, 0.0), "discounted": (0.0, 1.0, 0.0), "cross_entropy_each": (0.0, 0.0, 1.0)}


class Hybrid(NamedTuple):
    """The losses of the three players; each reaches the parameters of its own."""

    action: Tensor
    location: Tensor
    baseline: Tensor


def hybrid(trace: Trace, label: Tensor, std: float, weights: Sequence[float], discount: float = 0.9) -> Hybrid:
    """Cross-entropy for the answer, REINFORCE for the places, squared error for the baseline (section 3).

    Args:
        weights: three, see ``REWARDS``: of (the last answer's cross-entropy, the last reward), of (the same, discounted rewards),
            and of (every answer's cross-entropy, the last reward).
    """
    last, discounted, each = weights
    right = (trace.logits.argmax(2) == label[:, None]).float()  # (N, T)
    returns = (last + each) * last_reward(right) + discounted * discounted_reward(right, discount)
    location = reinforce(trace.place[:, 1:], trace.mean, returns, trace.baseline, std)
    return Hybrid(answer_loss(trace.logits, label, weights), location, (returns - trace.baseline).square().sum(1).mean())
