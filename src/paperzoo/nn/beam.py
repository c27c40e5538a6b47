"""Beam search with a length penalty (Wu et al. 2016, section 7; Sutskever et al. 2014, section 3.2), many sentences at once.

``Memory`` is for networks of attention: keys and values of what a step of the search has seen are there in the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

#: the longest translation: pieces of the source and these (section 6.1 of Vaswani et al. 2017)
MORE = 50
#: ``step(tokens, sentences, parents) -> log-probabilities``; see ``beam_search``
Step = Callable[[Tensor, Tensor, Tensor], Tensor]


class Found(NamedTuple):
    """The best sentence found for each input: its tokens, without begin and end, and log p(Y|X) / lp(Y)."""

    tokens: list[list[int]]
    score: list[float]


class Memory:
    """The key-value cache of an attention network from one step of a search to the next.

    Attributes:
        source: by decoder layer, keys and values (N, heads, S, d_k) of the encoder's output.
        visible: bool (N, 1, 1, S): which source positions are real.
        past: by decoder layer, keys and values (n * beam, heads, t, d_k) of the target so far. ``cached=False`` keeps none: then
            every call must be given the whole target.
        weights: with ``record=True``, by decoder layer, the weights (N, heads, T, S) of the attention to the source.
    """

    def __init__(self, cached: bool = True, record: bool = False) -> None:
        self.cached, self.record = cached, record
        self.source: list[tuple[Tensor, Tensor]] = []
        self.past: list[tuple[Tensor, Tensor]] = []
        self.weights: list[Tensor] = []
        self.visible = torch.empty(0)
        self.seen = 0  # target positions that ``past`` holds

    def select(self, sentences: Tensor, rows: Tensor) -> None:
        """Goes on with these sentences, and with these rows of the target."""
        if self.source and len(sentences) < len(self.visible):
            self.source = [(keys[sentences], values[sentences]) for keys, values in self.source]
            self.visible = self.visible[sentences]
        self.past = [(keys[rows], values[rows]) for keys, values in self.past]


def length_penalty(length: int | Tensor, alpha: float) -> float | Tensor:
    """``lp(Y) = (5 + |Y|)^alpha / (5 + 1)^alpha`` (Wu et al., Eq. 14); |Y| counts the end token."""
    return ((5.0 + length) / 6.0) ** alpha


@torch.no_grad()
def beam_search(
    step: Step, longest: Tensor, start: int, end: int, *, beam: int = 4, alpha: float = 0.6, never: Sequence[int] = ()
) -> Found:
    """The sentence of highest log p(Y|X) / lp(Y) among those that a beam of this width meets.

    A sentence's search ends when no other hypothesis could still score higher than the best that has ended: log p only falls, and lp
    is at most that of the longest. Or when ``beam`` have ended and none scores higher so far: it is not enough that they have ended,
    for where a model is sure, the rest of the beam is noise that ends early. With a beam of 1 this is greedy search.

    Args:
        step: for each row of tokens int64 (n * beam, t), the log-probabilities float32 (n * beam, V) of the next. ``sentences`` int64
            (n) are the places, among the sentences of the call before, of those whose search goes on; ``parents`` int64 (n * beam)
            are the rows of the call before that these rows continue. In the first call both are 0, 1, 2, ...
        longest: int64 (N): most tokens of each sentence, the end counted; the last of them is always the end.
        never: tokens that no sentence has.
    """
    device, count = longest.device, len(longest)
    best_tokens: list[list[int]] = [[] for _ in range(count)]
    best = torch.full((count,), -torch.inf, device=device)
    ended = torch.zeros(count, dtype=torch.int64, device=device)
    going = torch.arange(count, device=device)  # the sentences that are still searched
    tokens = torch.full((count * beam, 1), start, device=device)
    score = torch.full((count, beam), -torch.inf, device=device)  # log p(Y|X) so far
    score[:, 0] = 0  # all rows begin alike: only one of them counts
    sentences, parents = torch.arange(count, device=device), torch.arange(count * beam, device=device)
    for length in range(1, int(longest.max()) + 1 if count else 0):
        logs = step(tokens, sentences, parents)  # (n * beam, V)
        logs[:, list(never)] = -torch.inf
        size, last = logs.shape[1], longest[going] == length
        logs = logs.view(len(going), beam, size)
        others = torch.arange(size, device=device) != end
        logs = logs.masked_fill(last[:, None, None] & others, -torch.inf)
        total = (score[..., None] + logs).flatten(1)  # (n, beam * V)
        score, place = total.topk(min(2 * beam, total.shape[1]), 1)  # as many again, for each row may end
        rows, words = place // size + torch.arange(len(going), device=device)[:, None] * beam, place % size

        over = (words == end) & score.isfinite()
        over[:, beam:] = False
        value = torch.where(over, score / length_penalty(length, alpha), -torch.inf)
        high, which = value.max(1)
        for i in (high > best[going]).nonzero()[:, 0].tolist():
            best_tokens[int(going[i])] = tokens[rows[i, which[i]], 1:].tolist()
        best[going] = torch.maximum(best[going], high)
        ended[going] += over.sum(1)

        keep = (words == end).long().argsort(dim=1, stable=True)[:, :beam]  # the best that have not ended
        score = score.gather(1, keep).masked_fill(words.gather(1, keep) == end, -torch.inf)
        penalty = torch.where(ended[going] < beam, length_penalty(longest[going], alpha), length_penalty(length, alpha))
        sentences = ((score[:, 0] / penalty > best[going]) & ~last).nonzero()[:, 0]
        if not len(sentences):
            break
        parents = rows.gather(1, keep)[sentences].flatten()
        tokens = torch.cat([tokens[parents], words.gather(1, keep)[sentences].view(-1, 1)], 1)
        score, going = score[sentences], going[sentences]
    return Found(best_tokens, best.tolist())
