"""BERT: an encoder that learns from plain text by filling gaps, and is then tuned for many tasks (Devlin et al. 2018).

The encoder of the Transformer sees all words of a sentence at once, those behind as well as those ahead; so it cannot be asked
for the next word. Instead 15 % of the words are chosen and hidden, and the network says what they were (section 3.1, task 1):

    L_words = mean over chosen i of  -log softmax(E g(h_i))[x_i],        E: the embeddings of all pieces, g: one more layer,

where of the chosen 80 % are shown as [MASK], 10 % as a random piece and 10 % as they are, so that no position can be trusted. And
since much depends on how sentences go together, the network also says whether segment B follows segment A or is from elsewhere
(task 2), from the first position alone. The two losses are added up.

    paperzoo train bert            # masked words and next segments, from nothing; ``bert_finetuning.py`` tunes it for other tasks

Read ``papers/language/transformer.py`` for attention, then ``mask``, ``Layer``, ``Bert`` and ``Model``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.nn.attention import attention
from paperzoo.nn.dropout import Dropout
from paperzoo.nn.schedules import warmup_linear
from paperzoo.pretrained.encoders import SIZES, Start, start
from paperzoo.ranges import NotNegative, Part, Positive, Share, Size, SomeShare
from paperzoo.records import Recipe, Stage, Target
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.pretraining import Masked, Pretrainer


class Padding(NamedTuple):
    """Which positions of a batch (N, T) are real. Only these go through the linear layers, in one long row of M positions."""

    size: tuple[int, int]
    real: Tensor | None  # int64 (M): their places among all N T; None if nothing is padded
    visible: Tensor | None  # bool (N, 1, 1, T): which may be looked at; None for all

    def strip(self, x: Tensor) -> Tensor:
        """(N, T, ...) to (M, ...)."""
        x = x.flatten(0, 1)
        return x if self.real is None else x[self.real]

    def pad(self, x: Tensor) -> Tensor:
        """(M, D) to (N, T, D), zero where padded."""
        if self.real is not None:
            x = x.new_zeros(self.size[0] * self.size[1], x.shape[1]).index_copy(0, self.real, x)
        return x.view(*self.size, -1)


def padding(length: Tensor, steps: int) -> Padding:
    """For sentences of ``length`` (N) in a tensor (N, steps)."""
    inside = torch.arange(steps, device=length.device) < length[:, None]  # (N, T)
    if bool(inside.all()):
        return Padding((len(length), steps), None, None)
    return Padding((len(length), steps), inside.flatten().nonzero()[:, 0], inside[:, None, None])


class Layer(nn.Module):
    """Every position looks at all, then each is changed by itself; after both, ``LayerNorm(x + Dropout(...))`` (Vaswani et al.)."""

    def __init__(self, width: int, inner: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, Dropout(dropout)
        self.project, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)  # W^Q, W^K, W^V of all heads; W^O
        self.widen, self.narrow = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-12), nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: Tensor, rows: Padding) -> Tensor:
        """x (M, width) to the same shape."""
        three = rows.pad(self.project(x)).view(*rows.size, 3, self.heads, -1)  # (N, T, 3, heads, d)
        queries, keys, values = three.permute(2, 0, 3, 1, 4)  # (N, heads, T, d) each
        rate = self.dropout.p if self.training else 0.0
        heads = attention(queries, keys, values, rows.visible, rate)  # softmax(Q K^T / sqrt(d)) V
        x = self.norm1(x + self.dropout(self.output(rows.strip(heads.transpose(1, 2).flatten(2)))))
        return self.norm2(x + self.dropout(self.narrow(F.gelu(self.widen(x)))))  # type: ignore[no-any-return]


class Bert(nn.Module):
    """The encoder (section 3): the sum of embeddings of piece, position and segment (figure 2), layers, and the pooled first position."""

    def __init__(self, pieces: int, layers: int, width: int, inner: int, heads: int, positions: int, dropout: float) -> None:
        super().__init__()
        self.piece, self.position = nn.Embedding(pieces, width), nn.Embedding(positions, width)
        self.segment = nn.Embedding(2, width)
        self.norm, self.dropout = nn.LayerNorm(width, eps=1e-12), Dropout(dropout)
        self.layers = nn.ModuleList(Layer(width, inner, heads, dropout) for _ in range(layers))
        self.pool = nn.Linear(width, width)

    def forward(self, tokens: Tensor, segment: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states (N, T, width), 0 where padded, and the pooled first one (N, width).

        Args:
            tokens, segment: int64 (N, T), of which the first ``length`` (N) of each row are real; the others change nothing.

        Raises:
            PaperzooError: T is more than there are positions.
        """
        steps = tokens.shape[1]
        if steps > self.position.num_embeddings:
            raise PaperzooError(f"a text of {steps} pieces is longer than the model's {self.position.num_embeddings} positions")
        rows = padding(length, steps)
        place = torch.arange(steps, device=tokens.device).expand_as(tokens)
        x = self.piece(rows.strip(tokens)) + self.position(rows.strip(place)) + self.segment(rows.strip(segment))  # (M, width)
        x = self.dropout(self.norm(x))
        for layer in self.layers:
            x = layer(x, rows)
        hidden = rows.pad(x)
        return hidden, torch.tanh(self.pool(hidden[:, 0]))


class WordHead(nn.Module):
    """Scores (K, V) of all pieces from K hidden states, by the embeddings themselves (``cls/predictions`` in the authors' program)."""

    def __init__(self, pieces: int, width: int) -> None:
        super().__init__()
        self.change, self.norm = nn.Linear(width, width), nn.LayerNorm(width, eps=1e-12)
        self.bias = nn.Parameter(torch.zeros(pieces))

    def forward(self, hidden: Tensor, embeddings: Tensor) -> Tensor:
        """hidden (K, width), embeddings (V, width)."""
        return F.linear(self.norm(F.gelu(self.change(hidden))), embeddings, self.bias)


def begin(model: nn.Module, deviation: float = 0.02) -> None:
    """Matrices begin normal with this deviation, cut off at two of them; biases at 0, as in the authors' program."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.trunc_normal_(module.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


def mask(tokens: Tensor, marks: Sequence[int], pieces: int, share: float = 0.15) -> Masked:
    """Hides ``share`` of the words of each row, at least one (section 3.1), by torch's generator.

    Args:
        tokens: int64 (N, T).
        marks: [PAD], [UNK], [CLS], [SEP] and [MASK]; the first, third and fourth are never chosen.
        pieces: V.

    Returns:
        The tokens with 80 % of the chosen as [MASK], 10 % as any piece but the marks and 10 % as they are; and which are chosen.
    """
    pad, _, first, separator, hidden = marks
    words = (tokens != pad) & (tokens != first) & (tokens != separator)  # (N, T)
    lot = torch.rand(tokens.shape, device=tokens.device).masked_fill(~words, 2.0)
    count = (share * words.sum(1, keepdim=True)).round().clamp(min=1)
    chosen = (lot.argsort(1).argsort(1) < count) & words
    fate = torch.rand(tokens.shape, device=tokens.device)
    ordinary = torch.ones(pieces, dtype=torch.bool, device=tokens.device)
    ordinary[list(marks)] = False
    every = ordinary.nonzero()[:, 0]
    other = every[torch.randint(len(every), tokens.shape, device=tokens.device)]
    shown = torch.where(chosen & (fate < 0.8), hidden, torch.where(chosen & (fate < 0.9), other, tokens))
    return Masked(shown, chosen)


def pretraining_losses(words: Tensor, true: Tensor, follows: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """The mean -log p of the hidden pieces, and of the right answers about the next segment; they are added up.

    Args:
        words: (K, V); true: int64 (K), the pieces at the chosen positions, and at no others.
        follows: (N, 2), scores that B follows and that it does not; label: int64 (N), 1 where it follows.
    """
    return F.cross_entropy(words, true), F.cross_entropy(follows, 1 - label)


def build(begun: Start, dropout: float) -> Bert:
    """The encoder of these sizes, with fresh weights."""
    sizes = {key: int(begun.arguments[key]) for key in SIZES}
    if min(sizes.values()) < 1 or sizes["width"] % sizes["heads"]:
        listed = ", ".join(f"{key}={value}" for key, value in sizes.items())
        raise PaperzooError(f"sizes of bert must be at least 1 and width a multiple of heads, not {listed}")
    return Bert(len(begun.arguments["vocabulary"]) or 30_522, dropout=dropout, **sizes)


def adamw(model: nn.Module, lr: float, heads: Sequence[str] = (), head_rate: float = 1.0) -> AdamW:
    """AdamW, without decay for biases and layer normalisation; ``heads``, by prefix, at ``head_rate`` times the rate."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        groups.setdefault((parameter.ndim > 1, name.startswith(tuple(heads))), []).append(parameter)
    settings = [
        {"params": parameters, "lr": lr * (head_rate if head else 1), "weight_decay": 0.01 if decays else 0.0}
        for (decays, head), parameters in groups.items()
    ]
    return AdamW(settings, lr, betas=(0.9, 0.999), eps=1e-6)


class Model(Pretrainer):
    """The encoder with its two heads, to be pre-trained.

    Args:
        vocabulary: of WordPiece, filled in from the data; without one there are 30,522 nameless pieces.
        weights: an encoder to go on from: a run's directory or weights file, a directory as Hugging Face stores it, or ``minilm``.
            Sizes and vocabulary are then its own.
        layers: L; width: H; heads: A; inner: of the feed-forward layers.
        positions: pieces that fit.
        dropout: of embeddings, attention and all sublayers.
        share: of the words that are hidden.
        deviation: of the weights at the start; 0.02 suits the width of 768.
        cased: whether upper case counts.
    """

    def __init__(
        self,
        *,
        vocabulary: Sequence[str] = (),
        weights: str = "",
        layers: Size = 12,
        width: Size = 768,
        heads: Size = 12,
        inner: Size = 3072,
        positions: Size = 512,
        dropout: Part = 0.1,
        share: SomeShare = 0.15,
        deviation: Positive = 0.02,
        cased: bool = False,
    ) -> None:
        sizes = dict(zip(SIZES, (layers, width, heads, inner, positions), strict=True))
        begun = start("bert", weights, False, vocabulary=vocabulary, cased=cased, **sizes)
        super().__init__(begun.arguments["vocabulary"], begun.arguments["cased"], begun.arguments["positions"])
        self.share, self.brought = share, begun.brought
        self.bert = build(begun, dropout)
        pieces, width = self.bert.piece.weight.shape
        self.words, self.next = WordHead(pieces, width), nn.Linear(width, 2)
        begin(self, deviation)
        begun.load(self, weights)

    def optimizers(self, *, lr: NotNegative = 1e-4, warmup: Share = 0.01, end: NotNegative = 0.0) -> Optimizers:
        """Section A.2: a rate of 1e-4, reached in 10,000 of 1,000,000 steps, then falling linearly, to ``end`` times as much."""
        return {"bert": (adamw(self, lr), warmup_linear(warmup, end))}

    def mask(self, batch: Batch) -> Masked:
        """See the function ``mask``."""
        return mask(batch.tokens, self.special, self.bert.piece.num_embeddings, self.share)

    def scores(self, tokens: Tensor, segment: Tensor, length: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """(K, V) for the K chosen positions, and (N, 2)."""
        hidden, pooled = self.bert(tokens, segment, length)
        return self.words(hidden[chosen], self.bert.piece.weight), self.next(pooled)

    def step(self, batch: Batch, opt: Players) -> Mapping[str, Tensor]:
        """Section A.2: the sum of both losses."""
        masked = self.mask(batch)
        words, follows = self.scores(masked.tokens, batch.segment, batch.length, masked.chosen)
        word, following = pretraining_losses(words, batch.tokens[masked.chosen], follows, batch.next)
        opt.bert.minimize((word, len(words)), following)
        return {"MLM": word, "NSP": following}


#: what ``--sharded`` gathers one at a time
SHARDED = ("bert.layers.*",)

VARIANTS: dict[str, dict[str, object]] = {
    "base": {},
    "large": {"layers": 24, "width": 1024, "heads": 16, "inner": 4096},
    "classify": {"class": "bert_finetuning.Classify"},
    "tag": {"class": "bert_finetuning.Tag"},
}

LITTLE = {"layers": 3, "width": 192, "heads": 6, "inner": 768, "positions": 192, "dropout": 0.0, "deviation": 0.05}
TINY = {"layers": 2, "width": 48, "heads": 4, "inner": 96, "positions": 64, "dropout": 0.0}
_SHORT = Stage("short", 900_000, optimizer={"warmup": 1 / 90, "end": 0.1})  # the rate rises in 10,000 steps, and is a tenth after these
_LONG = Stage("long", 100_000, data="wiki-books-512", optimizer={"lr": 1e-5})

RECIPES = {
    "paper": Recipe(
        data="wiki-books-128", steps=1_000_000, batch_size=256, variants=("base", "large"), stages=(_SHORT, _LONG),
        note="lengths of 128 and then 512 pieces; on 16 chips for 4 days in the paper",
    ),
    "small": Recipe(
        data="books",
        steps=2600,
        batch_size=32,
        model=LITTLE,
        optimizer={"lr": 1e-3},
        clip=1.0,
        stages=(
            Stage("short", 2340, optimizer={"warmup": 0.05, "end": 0.1}),
            Stage("long", 260, data="books-192", batch_size=16, optimizer={"lr": 1e-4, "warmup": 0.1}),
        ),
        variants=("base",),
        targets=(Target("MLM nats under unigram", at_least=0.6), Target("NSP % any", at_least=78)),
        note="lengths of 96 and then 192 pieces; NSP is measured with wrong segments from anywhere and from the same book",
    ),
    "small-spam": Recipe(
        data="spam-200",
        steps=130,
        batch_size=16,
        model={"weights": "minilm", "pooling": "mean"},
        optimizer={"lr": 5e-5, "head_rate": 20.0},
        clip=1.0,
        variants=("classify",),
        note="10 epochs of 200 labelled e-mails, from MiniLM",
    ),
    "smoke": Recipe(
        data="stories", steps=24, batch_size=16, model=TINY, optimizer={"lr": 3e-3, "warmup": 0.1}, precision="float32",
        stages=(Stage("short", 16), Stage("long", 8, data="stories-48", batch_size=8)), variants=("base",),
    ),
    "smoke-classify": Recipe(
        data="stories-order", steps=24, batch_size=16, model={**TINY, "longest": 32}, optimizer={"lr": 3e-3}, precision="float32",
        variants=("classify",),
    ),
}  # fmt: skip
RECIPES |= {
    "paper-glue": Recipe(
        data="glue-mnli", steps=36_800, batch_size=32, model={"pooling": "first"}, variants=("classify",),
        note="3 epochs of MNLI; give --set model.weights=DIRECTORY. Other tasks: --data glue:PATH/CoLA --set steps=...",
    ),
    "paper-tag": Recipe(
        data="conll2003", steps=1320, batch_size=32, optimizer={"lr": 5e-5}, variants=("tag",),
        note="3 epochs of CoNLL-2003 (section 5.3); give --set model.weights=DIRECTORY of a cased model",
    ),
    "small-same": RECIPES["small"].but(
        data="books-same", targets=(Target("MLM nats under unigram", at_least=0.6),),
        stages=(RECIPES["small"].stages[0], replace(RECIPES["small"].stages[1], data="books-same-192")),
        note="trained with wrong segments from the same book",
    ),
    "small-spam-scratch": RECIPES["small-spam"].but(
        model={"fresh": True}, note="the same network and steps, from nothing"
    ),
    "small-spam-own-scratch": Recipe(
        data="spam-200-books", steps=200, batch_size=16, model={**LITTLE, "longest": 128}, optimizer={"lr": 3e-4}, clip=1.0,
        variants=("classify",), note="the network of small-spam-own, without its pre-training",
    ),
    "small-tag": Recipe(
        data="wnut16", steps=300, batch_size=16, model={"weights": "minilm"}, optimizer={"lr": 1e-4, "head_rate": 10.0}, clip=1.0,
        variants=("tag",), note="3 epochs of 1,600 tweets, from MiniLM",
    ),
}  # fmt: skip
RECIPES["small-spam-own"] = RECIPES["small-spam-own-scratch"].but(
    steps=2800,
    model={"pretrain": True},
    stages=(
        Stage("pretrain", 2600, data="books", batch_size=32, optimizer={"lr": 1e-3, "warmup": 0.05}),
        Stage("finetune", 200),
    ),
    note="learns from Austen and Shakespeare first, then from 200 labelled e-mails",
)
