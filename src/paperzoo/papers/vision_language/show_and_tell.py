"""Show and Tell: a picture translated into a sentence (Vinyals et al. 2014).

Translation by a recurrent network reads a sentence into a vector and writes another from it. Here the reader is a convolutional
network: its features take the place of the sentence that was read, and an LSTM is trained to make the right caption likely,

    log p(S | I) = sum_t log p(S_t | I, S_0, ..., S_{t-1}).                                       (Eq. 2)

The LSTM sees the picture once, before the first word, where a word would stand (Eqs. 10 to 12):

    x_{-1} = CNN(I),    x_t = W_e S_t,    p_{t+1} = LSTM(x_t);

shown again at every step it over-fits. The caption is found by a beam search (section 3.1, 20 wide).

Read ``Decoder.cell`` beside Eqs. 4 to 9, then ``Decoder.forward``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from paperzoo.data import Batch
from paperzoo.nn.dropout import Dropout
from paperzoo.nn.schedules import warmup_cosine
from paperzoo.papers.vision_language.encoders import SmallEncoder, frozen_features
from paperzoo.ranges import Count, NotNegative, Part, Pixels, Size, Sizeable
from paperzoo.records import Recipe, Target
from paperzoo.tasks.captioning import PAD, Captioner, Told, log_likelihood
from paperzoo.tasks.model import Optimizers, Players

#: words that occur five times in Flickr8k's training captions, and the four that begin every vocabulary
WORDS = 2_542


class Decoder(nn.Module):
    """The LSTM that sees the picture once, then words (figure 3)."""

    def __init__(self, words: int, features: int, embedding: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.hidden = hidden
        self.picture, self.w_e = nn.Linear(features, embedding), nn.Embedding(words, embedding)
        self.from_input, self.from_memory = nn.Linear(embedding, 4 * hidden), nn.Linear(hidden, 4 * hidden, bias=False)
        with torch.no_grad():
            self.from_input.bias[hidden : 2 * hidden] = 1  # of the forget gate: the picture lasts until it is learnt what to keep
        self.output = nn.Linear(hidden, words)
        self.dropout = Dropout(dropout)

    def cell(self, x: Tensor, m: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Eqs. 4 to 8: m and c (N, K, n) after what ``from_input`` made of the input, x (N, K, 4n)."""
        i, f, o, g = (x + self.from_memory(m)).float().chunk(4, 2)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()  # Eq. 7
        return o.sigmoid() * c, c  # Eq. 8 has no further tanh

    def forward(self, features: Tensor, words: Tensor, state: tuple[Tensor, ...] | None = None) -> Told:
        """Logits of the word after each of ``words``, of K captions of each picture.

        Args:
            features: (N, F) of the pictures; they are looked at only where there is no ``state``.
            words: int64 (N, K, T), S_t.
            state: m and c (N, K, n) behind the words before these.
        """
        if state is None:
            first = self.from_input(self.dropout(self.picture(features)))[:, None]  # (N, 1, 4n), x_{-1}
            zero = first.new_zeros(len(features), 1, self.hidden, dtype=torch.float32)
            state = self.cell(first, zero, zero)
        m, c = (x.expand(-1, words.shape[1], -1) for x in state)  # (N, K, n)
        x, states = self.from_input(self.dropout(self.w_e(words))), []  # (N, K, T, 4n)
        for t in range(words.shape[2]):
            m, c = self.cell(x[:, :, t], m, c)
            states.append(m)
        return Told(self.output(self.dropout(torch.stack(states, 2))), (m, c))  # Eq. 9


class Pool(nn.Module):
    """A small encoder whose grid is cut into 4 x 4 parts, of which the means are put side by side: what lies where is not lost."""

    def __init__(self, channels: int, width: int, features: int) -> None:
        super().__init__()
        self.convolutions, self.pool = SmallEncoder(channels, width), nn.AdaptiveAvgPool2d(4)
        self.last = nn.Sequential(nn.Linear(16 * width, features, bias=False), nn.BatchNorm1d(features), nn.ReLU())

    def forward(self, image: Tensor) -> Tensor:
        """Images (N, C, S, S) in [0, 1] to (N, features)."""
        pooled = self.pool(self.convolutions(image)).flatten(1)  # (N, width, 4, 4) -> (N, 16 width)
        return self.last(pooled)  # type: ignore[no-any-return]


class Model(Captioner):
    """Encoder and decoder; trained on several captions of a picture at once.

    Args:
        vocabulary: the words, from the data; without them there are as many nameless ones as Flickr8k has.
        longest: words of the longest caption, ``<start>`` and ``<end>`` counted.
        encoder: ``googlenet`` (paper), which is frozen, or ``small``, which is trained too.
        weights: of a frozen encoder: ``imagenet``, or a file.
        embedding: numbers a word; hidden: units of the LSTM (section 4.3.1 has 512 for both).
        annotation: channels of the small encoder's grid.
        dropout: on what the LSTM reads, and on what it answers.
        captions: of each picture in a step, drawn anew; 0 for all.
        beam, alpha: width and length penalty of the search.
    """

    def __init__(
        self, *, vocabulary: Sequence[str] = (), channels: Size = 3, image_size: Pixels = 224, longest: Count = 50,
        encoder: Literal["googlenet", "small"] = "googlenet", weights: str = "imagenet", embedding: Size = 512, hidden: Size = 512,
        annotation: Size = 128, dropout: Part = 0.3, captions: Sizeable = 0, beam: Size = 20, alpha: NotNegative = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(vocabulary, channels, image_size, longest, beam, alpha)
        self.few = captions
        self.published = weights if encoder == "googlenet" else ""
        self.check_encoder(encoder, encoder == "googlenet", 31)
        features = 1024 if self.published else 4 * annotation
        self.encoder = None if self.published else Pool(channels, annotation, features)
        self.decoder = Decoder(len(vocabulary) or WORDS, features, embedding, hidden, dropout)

    def optimizers(
        self, *, name: Literal["SGD", "Adam"] = "SGD", lr: NotNegative = 0.1, warmup: Count = 1, fall: bool = False
    ) -> Optimizers:
        """Stochastic gradient descent at a constant rate and without momentum (section 4.3.1), or Adam.

        Args:
            warmup: steps in which the rate rises, if ``fall``: whether it falls along a cosine to 0.
        """
        chosen: Optimizer = (SGD if name == "SGD" else Adam)(self.parameters(), lr)
        return {"captioner": (chosen, warmup_cosine(warmup)) if fall else chosen}

    def see(self, image: Tensor) -> tuple[Tensor, ...]:
        return (self.encoder(image) if self.encoder is not None else frozen_features(self.published)(image),)

    def say(self, seen: Sequence[Tensor], words: Tensor, state: tuple[Tensor, ...] | None = None) -> Told:
        (features,) = seen
        output: Told = self.decoder(features, words, state)
        return output

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        """One step on captions of a batch of pictures: the sum of -log p of the words (Eq. 13), the mean over captions."""
        words, target = self.read(batch.captions, self.few)  # (N, K, T)
        real = target != PAD
        counted = real.any(2)  # (N, K)
        log_p = log_likelihood(self.say(self.see(batch.image), words).logits, target)  # (N, K)
        opt.captioner.minimize((-log_p[counted].mean(), counted.sum()))
        return {"nats a word": -log_p.detach().sum() / real.sum()}


VARIANTS: dict[str, dict[str, object]] = {"show_and_tell": {}}

_LITTLE = {"encoder": "small", "embedding": 128, "hidden": 192, "annotation": 128, "dropout": 0.0, "captions": 2}
RECIPES = {
    "paper": Recipe(
        data="flickr8k", steps=50_000, batch_size=64, targets=(Target("BLEU-1", at_least=63, claim="flickr8k"),),
        note="GoogLeNet frozen; batches of 64 pictures with all their captions",
    ),
    "small": Recipe(
        data="scenes", steps=2300, batch_size=32, model=_LITTLE, optimizer={"name": "Adam", "lr": 2e-3, "warmup": 100, "fall": True},
        clip=5.0, precision="float32",
        targets=(Target("BLEU-4 above baselines", at_least=5), Target("BLEU-4 with shuffled pictures", at_most=35)),
    ),
    "smoke": Recipe(
        data="scenes-plain", steps=24, batch_size=8,
        model={**_LITTLE, "embedding": 16, "hidden": 16, "annotation": 8, "captions": 0, "beam": 3},
        optimizer={"name": "Adam", "lr": 3e-3}, clip=5.0, precision="float32",
    ),
}  # fmt: skip
