"""The chain of BI-LSTM-CRF: scores, probabilities and the best of all sequences of tags (Huang, Xu and Yu 2015).

A path i of tags through a sentence scores, by its emissions f and the transitions A (Eq. 5),

    s(x, i) = sum_t  A[i_{t-1}, i_t] + f(i_t, t),        p(i | x) = exp s(x, i) / Z(x).

``Z`` sums over all K^T paths in T K^2 steps (forward algorithm). The gradient of log Z counts how often a path drawn from p
uses each score (forward-backward algorithm); Viterbi finds the best path.

Everywhere below: emissions (N, T, K), tags int64 (N, T), length int64 (N) of at least 1, all results (N) by sentence. Read
``score``, ``log_partition_textbook`` and ``viterbi`` first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from paperzoo.nn.letters import inside, last, mirror


class Chain(NamedTuple):
    """Transition scores: A of Eq. 5, and what stands in it for the ends of a sentence."""

    start: Tensor  # (K): of the first tag
    end: Tensor  # (K): of the last tag
    pair: Tensor  # (K, K): pair[i, j] of tag j right after tag i


def score(emissions: Tensor, tags: Tensor, length: Tensor, chain: Chain) -> Tensor:
    """``s(x, i)`` of Eq. 5."""
    mask, none = inside(length, tags.shape[1]), emissions.new_zeros(())
    words = emissions.gather(2, tags[..., None])[..., 0]  # (N, T)
    pairs = chain.pair[tags[:, :-1], tags[:, 1:]]  # (N, T - 1)
    along = torch.where(mask, words, none).sum(1) + torch.where(mask[:, 1:], pairs, none).sum(1)
    return chain.start[tags[:, 0]] + along + chain.end[last(tags, length)]


def log_partition_textbook(emissions: Tensor, length: Tensor, chain: Chain) -> Tensor:
    """``log Z`` by the forward algorithm, in logarithms throughout: right for scores of any size.

    alpha[j] is the log of the sum over all paths that have tag j at position t.
    """
    start, end, pair = (scores.clamp_min(-1e30) for scores in chain)  # -inf forbids, but has no gradient
    alpha = start + emissions[:, 0]  # (N, K)
    for t in range(1, emissions.shape[1]):
        longer = (alpha[:, :, None] + pair).logsumexp(1) + emissions[:, t]  # (N, K, K), summed over the tag before
        alpha = torch.where((t < length)[:, None], longer, alpha)
    return (alpha + end).logsumexp(1)


class Marginals(NamedTuple):
    """The result of the forward-backward algorithm: log Z, and the marginal probability of each score's use under p."""

    log_z: Tensor  # (N)
    tag: Tensor  # (N, T, K): probability of each tag at each position; 0 where padded
    pair: Tensor  # (N, K, K): expected number of times that tag j follows tag i


@torch.no_grad()
def forward_backward(emissions: Tensor, length: Tensor, chain: Chain) -> Marginals | None:
    """``log Z`` and the marginals by a matrix product a step, on probabilities scaled to sum to 1 at every step.

    The backward algorithm is the forward algorithm on the mirrored sentence with A transposed, so both run as one batched
    product. ``None`` if some probability is so small that products might vanish; then only logarithms are safe.
    """
    steps, mask = emissions.shape[1], inside(length, emissions.shape[1])[..., None]  # (N, T, 1)
    peak, top = emissions.amax(2, keepdim=True), [scores.max() for scores in chain]  # factored out of all exponentials
    start, end, pair = ((scores - high).exp() for scores, high in zip(chain, top, strict=True))
    emit = (emissions - peak).exp().masked_fill(~mask, 1)  # (N, T, K)
    emit = torch.stack([emit, mirror(emit, length)]).permute(2, 0, 1, 3).contiguous()  # (T, 2, N, K)
    move = torch.stack([pair, pair.T])  # (2, K, K)
    before, after = torch.empty_like(emit), torch.empty_like(emit)  # probability of each tag without and with word t
    scale = torch.empty_like(emit[..., :1])  # (T, 2, N, 1)
    before[0] = torch.stack([start, end])[:, None]
    for t in range(steps):
        if t:
            torch.bmm(after[t - 1], move, out=before[t])
        torch.mul(before[t], emit[t], out=after[t])
        torch.sum(after[t], 2, keepdim=True, out=scale[t])
        after[t].div_(scale[t])
    least = torch.minimum(before.min(), after.min())
    if not least > torch.finfo(emit.dtype).tiny ** (2 / 3):  # about 1e-25; also if it is nan
        return None

    (arrive, future), (past, onward) = before.permute(1, 2, 0, 3), after.permute(1, 2, 0, 3)  # (N, T, K) each
    future, onward = mirror(future, length), mirror(onward, length)  # of the words after t, and of word t and those after
    logs = (scale[:, 0].transpose(0, 1).log() + peak).masked_fill(~mask, 0).sum((1, 2))  # (N)
    log_z = logs + (last(past, length) @ end).log() + top[0] + top[1] + (length - 1) * top[2]
    tag = past * future
    pairs = onward[:, 1:] / (arrive * onward)[:, 1:].sum(2, keepdim=True) * mask[:, 1:]  # (N, T - 1, K)
    return Marginals(log_z, tag / tag.sum(2, keepdim=True) * mask, pair * (past[:, :-1].transpose(1, 2) @ pairs))


class _LogPartition(torch.autograd.Function):
    """log Z with its gradient from the marginals rather than by differentiating the recursion."""

    @staticmethod
    def forward(ctx: Any, found: Marginals, length: Tensor, *scores: Tensor) -> Tensor:
        ctx.save_for_backward(found.tag, found.pair, length)
        return found.log_z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        tag, pair, length = ctx.saved_tensors
        pairs = torch.einsum("n,nij->ij", grad, pair)
        return None, None, grad[:, None, None] * tag, grad @ tag[:, 0], grad @ last(tag, length), pairs


def log_partition(emissions: Tensor, length: Tensor, chain: Chain) -> Tensor:
    """``log Z``, by ``forward_backward`` where that is exact and by ``log_partition_textbook`` where it is not."""
    marginals = forward_backward(emissions, length, chain)
    if marginals is None:
        return log_partition_textbook(emissions, length, chain)
    log_z: Tensor = _LogPartition.apply(marginals, length, emissions, *chain)  # type: ignore[no-untyped-call]
    return log_z


def nll(emissions: Tensor, tags: Tensor, length: Tensor, chain: Chain) -> Tensor:
    """``-log p(i | x) = log Z - s(x, i)``."""
    return log_partition(emissions, length, chain) - score(emissions, tags, length, chain)


@torch.no_grad()
def viterbi(emissions: Tensor, length: Tensor, chain: Chain) -> Tensor:
    """The path of highest score, int64 (N, T), 0 where padded."""
    onto, words = chain.pair.T.contiguous(), emissions.unbind(1)  # (K after, K before), T times (N, K)
    stay = torch.arange(len(onto), device=onto.device).expand_as(words[0])
    best, came = [chain.start + words[0]], [stay]  # best score of a path up to t, by its last tag; that path's tag before
    for word in words[1:]:
        high, before = (best[-1][:, None] + onto).max(2)  # (N, K after, K before) -> (N, K after)
        best.append(high + word)
        came.append(before)
    mask = inside(length, len(words))
    path = [(last(torch.stack(best, 1), length) + chain.end).argmax(1, keepdim=True)]  # (N, 1)
    for before in torch.where(mask.T[..., None], torch.stack(came), stay)[1:].flip(0):  # in the padding, nothing moves
        path.append(before.gather(1, path[-1]))
    return torch.cat(path[::-1], 1) * mask
