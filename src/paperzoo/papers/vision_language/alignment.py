"""Deep Visual-Semantic Alignments, the first of two models: which word is of which part of a picture (Karpathy and Fei-Fei 2014).

Nobody says which words of a caption describe which region; it is only known which caption belongs to which picture. Regions and words
become vectors of one space, v_i and s_t. A sentence fits a picture as well as its words find each its best region,

    S_kl = sum_t max_i v_i^T s_t,                                                                  (Eq. 8)

and a picture and its own sentence have to fit better than others by a margin of one, both ways (Eq. 9). Since regions can only be
told apart by what they show, words come to point at what they name.

Words are read in both directions before they are compared (Eqs. 2 to 6), so that ``dog`` may be another dog in other company. To
give a phrase one region, neighbouring words are paid for agreeing (Eqs. 10 to 12).

Read ``score`` and ``ranking`` beside Eqs. 8 and 9, then ``Words`` beside Eqs. 2 to 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from paperzoo.data import Batch
from paperzoo.data.captions.words import PAD
from paperzoo.errors import PaperzooError
from paperzoo.nn.dropout import Dropout
from paperzoo.nn.schedules import warmup_cosine
from paperzoo.papers.vision_language.encoders import SmallEncoder
from paperzoo.papers.vision_language.regions import coverage, cut, fc7, windows
from paperzoo.ranges import Count, NotNegative, Part, Pixels, Size, Sizeable, SomeShare
from paperzoo.records import Recipe, Target
from paperzoo.tasks.alignment import Aligner
from paperzoo.tasks.model import Optimizers, Players


class Words(nn.Module):
    """Sentences to a vector a word: read forward and backward (``brnn``), forward alone, or each word by itself (``bag``)."""

    def __init__(self, words: int, embedding: int, hidden: int, size: int, kind: str, dropout: float) -> None:
        super().__init__()
        self.w_w, self.w_e = nn.Embedding(words, embedding), nn.Linear(embedding, hidden)
        self.w_f = nn.Linear(hidden, hidden) if kind != "bag" else None
        self.w_b = nn.Linear(hidden, hidden) if kind == "brnn" else None
        self.w_d, self.dropout = nn.Linear(hidden, size), Dropout(dropout)

    def forward(self, words: Tensor) -> Tensor:
        """Words int64 (M, T), 0 behind the last, to s_t (M, T, h)."""
        real = (words != PAD)[..., None]  # (M, T, 1)
        e = self.w_e(self.dropout(self.w_w(words))).relu()  # Eqs. 2 and 3, (M, T, n)
        h = e if self.w_f is None else self.along(self.w_f, e, real)
        if self.w_b is not None:
            h = h + self.along(self.w_b, e.flip(1), real.flip(1)).flip(1)
        return self.w_d(self.dropout(h)).relu()  # type: ignore[no-any-return]  # Eq. 6

    @staticmethod
    def along(layer: nn.Linear, e: Tensor, real: Tensor) -> Tensor:
        """Eq. 4, and of a sentence turned round Eq. 5: h_t (M, T, n) of e_t (M, T, n); 0 where there is no word."""
        h, states = e.new_zeros(len(e), e.shape[2]), []
        for t in range(e.shape[1]):
            h = (e[:, t] + layer(h)).relu() * real[:, t]
            states.append(h)
        return torch.stack(states, 1)


def score(v: Tensor, s: Tensor, real: Tensor) -> Tensor:
    """Eq. 8, S_kl (N, M) of pictures v (N, R, h) and sentences s (M, T, h), of which ``real`` (M, T) says what is a word."""
    fit = (v.flatten(0, 1) @ s.flatten(0, 1).T).view(*v.shape[:2], *s.shape[:2])  # (N R, M T) -> (N, R, M, T)
    best: Tensor = fit.amax(1)
    return (best * real).sum(2)


def ranking(scores: Tensor, margin: float = 1.0) -> Tensor:
    """Eq. 9 of S (N, N), the mean over pictures, (N): a term for each other sentence and each other picture.

    The terms of l = k, which Eq. 9 counts, are constant and left out.
    """
    matching, others = scores.diagonal()[:, None], 1 - torch.eye(len(scores), device=scores.device)
    sentences = (scores - matching + margin).relu()  # S_kl against S_kk
    pictures = (scores.T - matching + margin).relu()  # S_lk against S_kk
    return ((sentences + pictures) * others).sum(1)


def chain(fit: Tensor, beta: float) -> Tensor:
    """Eqs. 10 to 12: the regions a_t int64 (T) of which sum_t fit[t, a_t] + beta sum_t [a_t = a_{t+1}] is the greatest, exactly.

    Args:
        fit: v_i^T s_t, (T, R).
    """
    best, came = fit[0], []
    for t in range(1, len(fit)):
        top, where = best.max(0)
        stays = best + beta >= top  # any other region comes from the best of them
        came.append(torch.where(stays, torch.arange(len(best), device=fit.device), where))
        best = fit[t] + torch.maximum(best + beta, top)
    places = [best.argmax()]
    for before in reversed(came):
        places.append(before[places[-1]])
    return torch.stack(places[::-1])


#: words that occur five times in Flickr8k's training captions, and the four that begin every vocabulary
WORDS = 2_542


class Model(Aligner):
    """Regions and words in one space.

    Args:
        vocabulary: the words, from the data; without them there are as many nameless ones as Flickr8k has.
        longest: words of the longest caption, ``<start>`` and ``<end>`` counted.
        encoder: ``vgg19`` (its fc7, of each region cut out), which is frozen, or ``small``, of which each region is a mean over a part of
            its map; it is trained too.
        weights: of a frozen encoder: ``imagenet``, or a file.
        words: how sentences are read, see ``Words``.
        grid: windows along each side of a picture, beside the whole of it; 0 for the whole picture alone.
        share: of each side that a window has.
        embedding: numbers a word; hidden: units of each direction; size: h, numbers of v and s.
        annotation: channels of the small encoder's map.
        dropout: on features, words, and what the recurrent layers answer.
        beta: what two neighbouring words get for the same region.
    """

    def __init__(
        self, *, vocabulary: Sequence[str] = (), channels: Size = 3, image_size: Pixels = 224, longest: Count = 50,
        encoder: Literal["vgg19", "small"] = "vgg19", weights: str = "imagenet", words: Literal["brnn", "forward", "bag"] = "brnn",
        grid: Sizeable = 4, share: SomeShare = 0.4, embedding: Size = 300, hidden: Size = 300, size: Size = 1000,
        annotation: Size = 128, dropout: Part = 0.5, beta: NotNegative = 1.0,
    ) -> None:  # fmt: skip
        super().__init__(vocabulary, WORDS, channels, image_size, longest)
        self.published, self.beta = weights if encoder == "vgg19" else "", beta
        if self.published and channels != 3:
            raise PaperzooError(f"encoder vgg19 sees pictures of 3 channels, not of {channels}: set model.encoder=small")
        if grid > image_size or share * image_size < 1:
            raise PaperzooError(f"model.grid={grid} and model.share={share} are too fine for pictures of {image_size} pixels")
        self.regions = windows(grid, share)
        self.encoder = None if self.published else SmallEncoder(channels, annotation)
        self.w_m, self.dropout = nn.Linear(4096 if self.published else annotation, size), Dropout(dropout)
        self.words = Words(self.count, embedding, hidden, size, words, dropout)

    def optimizers(
        self, *, name: Literal["SGD", "Adam"] = "SGD", lr: NotNegative = 0.01, momentum: Part = 0.9, decay: NotNegative = 1e-5,
        warmup: Count = 1, fall: bool = False,
    ) -> Optimizers:  # fmt: skip
        """Stochastic gradient descent with momentum (section 3.1.5), or Adam, at a constant rate.

        Args:
            decay: of the weights. momentum: of SGD alone.
            warmup: steps in which the rate rises, if ``fall``: whether it falls along a cosine to 0.
        """
        chosen: Optimizer = SGD(self.parameters(), lr, momentum, weight_decay=decay) if name == "SGD" else Adam(self.parameters(), lr)
        return {"aligner": (chosen, warmup_cosine(warmup)) if fall else chosen}

    def see(self, image: Tensor) -> Tensor:
        """Eq. 1: v_i = W_m CNN(I_i) + b_m, (N, R, h)."""
        if self.encoder is None:
            features = fc7(self.published)(cut(image, self.regions)).view(len(image), len(self.regions), -1)  # (N R, 4096) -> (N, R, 4096)
        else:
            grid = self.encoder(image)
            weight = coverage(self.regions, *grid.shape[2:]).to(grid)  # (R, h, w)
            features = torch.einsum("nchw,rhw->nrc", grid, weight)
        return self.w_m(self.dropout(features))  # type: ignore[no-any-return]

    def read(self, words: Tensor) -> Tensor:
        said: Tensor = self.words(words)
        return said

    def score(self, seen: Tensor, said: Tensor, real: Tensor) -> Tensor:
        return score(seen, said, real)

    def places(self, seen: Tensor, said: Tensor, smooth: bool = True) -> Tensor:
        fit = said @ seen.T  # (T, R)
        return chain(fit, self.beta) if smooth else fit.argmax(1)

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        """One step on pictures, each with one of its captions, drawn at random."""
        there = (batch.captions[:, :, 0] != PAD).float()  # (N, K)
        chosen = there.multinomial(1)[..., None].expand(-1, -1, batch.captions.shape[2])
        words = self.sentences(batch.captions.gather(1, chosen)[:, 0])  # (N, T)
        scores = self.score(self.see(batch.image), self.read(words), words != PAD)
        opt.aligner.minimize(ranking(scores).mean())
        return {"own sentence best": (scores.detach().argmax(1) == torch.arange(len(scores), device=scores.device)).float().mean()}


VARIANTS: dict[str, dict[str, object]] = {
    "alignment": {}, "forward": {"words": "forward"}, "bag": {"words": "bag"}, "whole": {"grid": 0},
}  # fmt: skip

_LITTLE = {"encoder": "small", "grid": 6, "share": 0.375, "embedding": 64, "hidden": 128, "size": 128, "annotation": 128, "dropout": 0.0}
RECIPES = {
    "paper": Recipe(
        data="flickr8k", steps=12_000, batch_size=100, clip=5.0,
        note="VGG-19 frozen, on windows of a grid; each picture with one of its captions, drawn anew",
    ),
    "small": Recipe(
        data="scenes", steps=1000, batch_size=64, model=_LITTLE, optimizer={"name": "Adam", "lr": 2e-3, "warmup": 100, "fall": True},
        clip=5.0, precision="float32",
        targets=(
            Target("R@1 of captions", at_least=50, variants=("alignment", "forward", "bag")),
            Target("R@1 of pictures", at_least=50, variants=("alignment", "forward", "bag")),
            Target("noun on its thing, smoothed %", at_least=60, variants=("alignment", "forward")),
            Target("noun on its thing %", at_least=60, variants=("bag",)),
        ),
    ),
    "smoke": Recipe(
        data="scenes-plain", steps=24, batch_size=8,
        model={**_LITTLE, "embedding": 16, "hidden": 16, "size": 16, "annotation": 16},
        optimizer={"name": "Adam", "lr": 3e-3}, clip=5.0, precision="float32",
    ),
}  # fmt: skip
