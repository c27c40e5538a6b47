"""The Transformer: translation by attention alone, without recurrence or convolution (Vaswani et al. 2017).

Every position of a sentence asks a question q, and is answered with the mean of the values v of all positions, each weighted by
how well its key k fits (Eq. 1, section 3.2.1):

    Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V.

Several such heads side by side (section 3.2.2), then a small network at each position (Eq. 2), each with a residual connection and
layer normalisation: that is a layer. An encoder of N layers reads the source. A decoder of N layers looks at the encoder's output
and at the target so far, where a mask hides what comes later, so that all positions are trained at once. Attention knows no order,
so sinusoids of the position are added to the embeddings (section 3.5).

Read ``attention`` first, then ``MultiHeadAttention``, ``EncoderLayer``, ``DecoderLayer`` and ``Transformer``.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.nn.beam import Memory
from paperzoo.nn.dropout import Dropout
from paperzoo.nn.schedules import Schedule, warmup_cosine
from paperzoo.ranges import Count, NotNegative, Part, Size, Sizeable
from paperzoo.records import Recipe, Target
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.translation import PAD, Translator


def attention(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention (Eq. 1), for reading and for pictures.

    Args:
        queries: (..., T, d_k); keys: (..., S, d_k); values: (..., S, d_v).
        mask: bool, fits (..., T, S): true where a query may look. None: everywhere.

    Returns:
        (..., T, d_v), and the weights (..., T, S), which sum to 1 over the last dimension.
    """
    scores = queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])  # (..., T, S)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    weights = scores.softmax(-1)
    return weights @ values, weights


def sinusoids(length: int, width: int) -> Tensor:
    """Positional encodings (length, width), section 3.5: sines in the even places, cosines in the odd ones."""
    rate = 10_000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)  # (width / 2)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * rate  # (length, width / 2)
    return torch.stack([angle.sin(), angle.cos()], 2).flatten(1).float()


class MultiHeadAttention(nn.Module):
    """``Concat(head_1, ..., head_h) W^O`` with ``head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V)`` (section 3.2.2)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.output = nn.Linear(width, width), nn.Linear(width, width)

    def split(self, x: Tensor) -> Tensor:
        """(N, T, width) to (N, heads, T, d_k)."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (N, heads, S, d_k) of x (N, S, width)."""
        return self.split(self.key(x)), self.split(self.value(x))

    def forward(
        self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None, record: list[Tensor] | None = None
    ) -> Tensor:
        """The answers (N, T, width) to the questions of x (N, T, width)."""
        queries = self.split(self.query(x))  # (N, heads, T, d_k)
        # one kernel for Eq. 1 is faster, but its gradient in bfloat16 on a CPU takes two to four times as long as that of three
        slow = queries.requires_grad and queries.dtype == torch.bfloat16 and queries.device.type == "cpu"
        if slow or record is not None:
            heads, weights = attention(queries, keys, values, mask)
            if record is not None:
                record.append(weights)
        else:
            heads = F.scaled_dot_product_attention(queries, keys, values, mask)
        answer: Tensor = self.output(heads.transpose(1, 2).flatten(2))  # (N, heads, T, d_k) -> (N, T, width)
        return answer


class Residual(nn.Module):
    """``LayerNorm(x + Dropout(Sublayer(x)))`` (sections 3.1 and 5.4); with ``pre``, ``x + Dropout(Sublayer(LayerNorm(x)))``."""

    def __init__(self, width: int, dropout: float, pre: bool) -> None:
        super().__init__()
        self.norm, self.dropout, self.pre = nn.LayerNorm(width), Dropout(dropout), pre

    def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        """x (N, T, width) to the same shape."""
        if self.pre:
            return x + self.dropout(sublayer(self.norm(x)))  # type: ignore[no-any-return]
        return self.norm(x + self.dropout(sublayer(x)))  # type: ignore[no-any-return]


def feed_forward(width: int, inner: int) -> nn.Sequential:
    """``FFN(x) = max(0, x W_1 + b_1) W_2 + b_2`` (Eq. 2)."""
    return nn.Sequential(nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width))


class EncoderLayer(nn.Module):
    """Every source position looks at all of them, then each is changed by itself (figure 1, left)."""

    def __init__(self, width: int, inner: int, heads: int, dropout: float, pre: bool) -> None:
        super().__init__()
        self.attention, self.feed_forward = MultiHeadAttention(width, heads), feed_forward(width, inner)
        self.residuals = nn.ModuleList(Residual(width, dropout, pre) for _ in range(2))

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        """x (N, S, width); visible bool (N, 1, 1, S)."""
        x = self.residuals[0](x, lambda y: self.attention(y, *self.attention.project(y), visible))
        return self.residuals[1](x, self.feed_forward)  # type: ignore[no-any-return]


class DecoderLayer(nn.Module):
    """Every target position looks at itself and those before it, then at the source (figure 1, right)."""

    def __init__(self, width: int, inner: int, heads: int, dropout: float, pre: bool) -> None:
        super().__init__()
        self.self_attention, self.source_attention = MultiHeadAttention(width, heads), MultiHeadAttention(width, heads)
        self.feed_forward = feed_forward(width, inner)
        self.residuals = nn.ModuleList(Residual(width, dropout, pre) for _ in range(3))

    def forward(self, x: Tensor, causal: Tensor | None, layer: int, memory: Memory) -> Tensor:
        """x (N * beam, T, width); causal bool (T, positions so far); ``memory`` is of N sentences."""

        def look_back(y: Tensor) -> Tensor:
            keys, values = self.self_attention.project(y)
            if memory.cached:
                if memory.seen:
                    keys, values = (torch.cat(both, 2) for both in zip(memory.past[layer], (keys, values), strict=True))
                memory.past[layer : layer + 1] = [(keys, values)]  # appended in the first call
            return self.self_attention(y, keys, values, causal)  # type: ignore[no-any-return]

        def look_at_source(y: Tensor) -> Tensor:
            keys, values = memory.source[layer]
            queries = y.reshape(len(keys), -1, y.shape[2])  # hypotheses of one sentence ask the same source: (N, beam * T, width)
            record = memory.weights if memory.record else None
            return self.source_attention(queries, keys, values, memory.visible, record).view_as(y)  # type: ignore[no-any-return]

        x = self.residuals[0](x, look_back)
        x = self.residuals[1](x, look_at_source)
        return self.residuals[2](x, self.feed_forward)  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """Encoder and decoder of ``layers`` layers each, with one matrix for both embeddings and the output (section 3.4)."""

    positions: Tensor

    def __init__(
        self, pieces: int, layers: int, width: int, inner: int, heads: int, dropout: float, positions: int, pre: bool
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(pieces, width)
        self.dropout = Dropout(dropout)
        self.encoder = nn.ModuleList(EncoderLayer(width, inner, heads, dropout, pre) for _ in range(layers))
        self.decoder = nn.ModuleList(DecoderLayer(width, inner, heads, dropout, pre) for _ in range(layers))
        self.ends = nn.ModuleList(nn.LayerNorm(width) if pre else nn.Identity() for _ in range(2))  # after the last layers
        self.register_buffer("positions", sinusoids(positions, width), persistent=False)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)

    def embed(self, tokens: Tensor, first: int = 0) -> Tensor:
        """Tokens (N, T), the first of which stands at position ``first``, to (N, T, width)."""
        last = first + tokens.shape[1]
        if last > len(self.positions):
            raise PaperzooError(f"a sentence of {last} pieces is longer than the model's {len(self.positions)} positions")
        scale = math.sqrt(self.embedding.embedding_dim)
        x: Tensor = self.dropout(scale * self.embedding(tokens) + self.positions[first:last])
        return x

    def read(self, source: Tensor, memory: Memory) -> None:
        """The encoder: puts keys and values of what it makes of the source into the memory."""
        memory.visible = (source != PAD)[:, None, None]  # (N, 1, 1, S)
        x = self.embed(source)
        for layer in self.encoder:
            x = layer(x, memory.visible)
        x = self.ends[0](x)
        memory.source = [layer.source_attention.project(x) for layer in self.decoder]  # type: ignore[operator, union-attr]

    def forward(self, source: Tensor, target: Tensor, memory: Memory | None = None) -> Tensor:
        """Logits (N, T, V) of the token after each one of the target.

        Args:
            source: int64 (N, S), 0 where padded.
            target: int64 (N, T), begun by ``<s>``. What stands at later positions changes no earlier logit.
            memory: for a search. The source is read in its first call only; with ``cached``, later calls are given only those
                tokens of the target that no call has had.
        """
        if memory is None:
            memory = Memory(cached=False)
        if not memory.source:
            self.read(source, memory)
        x, steps = self.embed(target, memory.seen), target.shape[1]
        causal = None
        if steps > 1:
            causal = torch.ones(steps, memory.seen + steps, dtype=torch.bool, device=x.device).tril(memory.seen)
        for number, layer in enumerate(self.decoder):
            x = layer(x, causal, number, memory)
        memory.seen += steps if memory.cached else 0
        return F.linear(self.ends[1](x), self.embedding.weight)


def smoothed_nll(logits: Tensor, target: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy with labels smoothed (section 5.4), the mean over the real tokens: each is expected with probability
    1 - smoothing, and any token, itself included, with smoothing / V.

    Args:
        logits: (N, T, V); target: int64 (N, T), 0 where padded.
    """
    logs = logits.log_softmax(2)  # (N, T, V)
    true = logs.gather(2, target[..., None])[..., 0]  # (N, T)
    each = (1 - smoothing) * true + smoothing * logs.mean(2)
    return -each[target != PAD].mean()


def eq3(width: int, warmup: int) -> Schedule:
    """Eq. 3: rises linearly for ``warmup`` steps, then falls with the inverse square root of the step."""

    def factor(iteration: int, total: int) -> float:
        step = iteration + 1
        return float(width**-0.5 * min(step**-0.5, step * warmup**-1.5))

    return factor


class Model(Translator):
    """The network, and the average of its weights over the last moments of training, which translates once there is one.

    Args:
        vocabulary, merges, languages: of the encoding (``data.text.bpe.Bpe``), and codes of source and target; from the data.
            Without them there are as many nameless pieces as the paper had for English and German, 37,000.
        layers: N; width: d_model; inner: d_ff; heads: h (table 3); positions: pieces in the longest sentence.
        dropout: on every sublayer's output and the embeddings' sum; smoothing: of the labels; norm: ``post`` (paper) or ``pre``.
        average: moments whose weights are averaged; 0: none. ``average_every``: steps from one of them to the next.
        beam, alpha: width and length penalty of the search.
    """

    averaged: Tensor

    def __init__(
        self, *, vocabulary: Sequence[str] = (), merges: Sequence[str] = (), languages: Sequence[str] = ("", ""),
        layers: Size = 6, width: Size = 512, inner: Size = 2048, heads: Size = 8, dropout: Part = 0.1, positions: Size = 512,
        norm: Literal["post", "pre"] = "post", smoothing: Part = 0.1, average: Sizeable = 5, average_every: Count = 1400,
        beam: Size = 4, alpha: NotNegative = 0.6,
    ) -> None:  # fmt: skip
        super().__init__(vocabulary, merges, languages, positions, beam, alpha)
        if width % (2 * heads):
            raise PaperzooError(f"width of transformer must be an even multiple of heads, not {width} for {heads} heads")
        self.smoothing, self.moments, self.every = smoothing, average, average_every
        self.network = Transformer(len(vocabulary) or 37_000, layers, width, inner, heads, dropout, positions, norm == "pre")
        self.mean = copy.deepcopy(self.network).requires_grad_(False) if average else None
        self.register_buffer("averaged", torch.zeros((), dtype=torch.int64))

    def optimizers(
        self, *, lr: NotNegative = 1.0, warmup: Count = 4000, schedule: Literal["paper", "cosine"] = "paper"
    ) -> Optimizers:
        """Adam (section 5.3). With ``schedule=paper`` the rate is ``lr`` times Eq. 3; with ``cosine`` it reaches ``lr``."""
        adam = Adam(self.network.parameters(), lr, betas=(0.9, 0.98), eps=1e-9)
        width = self.network.embedding.embedding_dim
        return {"translator": (adam, eq3(width, warmup) if schedule == "paper" else warmup_cosine(warmup))}

    def step(self, batch: Batch, opt: Players) -> None:
        """Predicts every token of the target from the source and from the tokens before it."""
        logits, target = self.network(batch.source, batch.target[:, :-1]), batch.target[:, 1:]  # (N, T - 1, V), (N, T - 1)
        opt.translator.minimize((smoothed_nll(logits, target, self.smoothing), (target != PAD).sum()))
        left = opt.total - opt.iteration - 1  # steps after this one
        if self.mean is not None and left % self.every == 0 and left // self.every < self.moments:
            self.take_in()

    @torch.no_grad()
    def take_in(self) -> None:
        """Section 6.1: the present weights enter the average."""
        self.averaged += 1
        assert self.mean is not None
        for mean, weight in zip(self.mean.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(weight, 1 / self.averaged.item())

    def logits(self, source: Tensor, target: Tensor, memory: Memory | None = None) -> Tensor:
        """See ``Transformer.forward``; by the averaged weights once there are any."""
        network = self.mean if self.mean is not None and self.averaged > 0 else self.network
        scores: Tensor = network(source, target, memory)
        return scores

    def memory(self, cached: bool = True, record: bool = False) -> Memory:
        """An empty memory for a search."""
        return Memory(cached, record)


#: what ``--sharded`` gathers one at a time: of the decoder, whose attention is reached into, only what is always called
SHARDED = ("network.encoder.*", "network.decoder.*.feed_forward")

VARIANTS = {
    "base": {},
    "big": {"width": 1024, "inner": 4096, "heads": 16, "dropout": 0.3, "average": 20, "average_every": 400},
}

SMALL = {"layers": 3, "width": 256, "inner": 1024, "heads": 8, "norm": "pre", "average": 5, "average_every": 10}
TOY = {"layers": 2, "width": 64, "inner": 256, "heads": 4, "dropout": 0.0, "norm": "pre", "average": 0}

RECIPES = {
    "paper": Recipe(
        data="wmt14-en-de", steps=100_000, batch_size=1, train_on="train@25000", variants=("base",),
        targets=(Target("BLEU", at_least=27.3, claim="base-en-de"),), note="a batch of 25,000 tokens a step, on 8 GPUs in the paper",
    ),
    "small": Recipe(
        data="libreoffice-pt-en", steps=1300, batch_size=1, train_on="train@1250", model={**SMALL, "dropout": 0.0},
        optimizer={"lr": 1.5e-3, "warmup": 150, "schedule": "cosine"}, clip=1.0, variants=("base",),
        targets=(Target("BLEU", at_least=25),),
        note="two epochs of 27,000 pairs, too few for dropout; help pages are formulaic, so compare with the two baselines",
    ),
    "smoke": Recipe(
        data="letters-smoke", steps=40, batch_size=1, train_on="train@200",
        model={**TOY, "layers": 1, "width": 32, "inner": 64, "average": 2, "average_every": 5, "dropout": 0.1},
        optimizer={"lr": 3e-3, "warmup": 10, "schedule": "cosine"}, precision="float32", variants=("base",),
    ),
}  # fmt: skip
RECIPES |= {
    "paper-big": RECIPES["paper"].but(steps=300_000, variants=("big",), targets=(Target("BLEU", at_least=28.4, claim="big-en-de"),)),
    "small-long": Recipe(
        data="libreoffice-pt-en", steps=5200, batch_size=1, train_on="train@1250", model={**SMALL, "average_every": 40},
        optimizer={"lr": 1.2e-3, "warmup": 200, "schedule": "cosine"}, clip=1.0, variants=("base",),
        targets=(Target("BLEU", at_least=40),), note="about 9 epochs",
    ),
    "small-copy": Recipe(
        data="letters-copy", steps=3000, batch_size=1, train_on="train@1000", model=TOY,
        optimizer={"lr": 2e-3, "warmup": 100, "schedule": "cosine"}, clip=1.0, precision="float32", variants=("base",),
        targets=(Target("exact %", at_least=100),), note="sentences of letters said again",
    ),
}  # fmt: skip
RECIPES["small-reverse"] = RECIPES["small-copy"].but(data="letters-reverse", note="sentences of letters said backwards")
