"""Deep Visual-Semantic Alignments, the second of two models: sentences written from what is seen (Karpathy and Fei-Fei 2014).

A plain recurrent network writes the next word from its last state and the last word. The picture is one more bias of it, at the first
step only (Eqs. 13 to 15):

    b_v = W_hi CNN(I),    h_t = f(W_hx x_t + W_hh h_{t-1} + b_h + [t = 1] b_v),    y_t = softmax(W_oh h_t + b_o).

Added at every step it does worse, as the paper finds. f is the ReLU, the first word ``<start>``, and the caption found by a beam
search, 7 wide.

Read ``Decoder.forward`` beside Eqs. 13 to 15.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer, RMSprop

from paperzoo.data import Batch
from paperzoo.nn.dropout import Dropout
from paperzoo.nn.schedules import warmup_cosine
from paperzoo.papers.vision_language.regions import SEEN, cut, fc7, windows
from paperzoo.papers.vision_language.show_and_tell import Pool
from paperzoo.ranges import Count, NotNegative, Part, Pixels, Size, Sizeable
from paperzoo.records import Recipe, Target
from paperzoo.tasks.captioning import PAD, Captioner, Told, log_likelihood
from paperzoo.tasks.model import Optimizers, Players

#: words that occur five times in Flickr8k's training captions, and the four that begin every vocabulary
WORDS = 2_542


class Decoder(nn.Module):
    """The multimodal recurrent network (figure 4)."""

    def __init__(self, words: int, features: int, embedding: int, hidden: int, dropout: float, begin: str) -> None:
        super().__init__()
        self.w_hi, self.x = nn.Linear(features, hidden, bias=False), nn.Embedding(words, embedding)
        self.w_hx, self.w_hh = nn.Linear(embedding, hidden), nn.Linear(hidden, hidden, bias=False)  # b_h is that of W_hx
        if begin == "identity":
            nn.init.eye_(self.w_hh.weight)
        self.w_oh, self.dropout = nn.Linear(hidden, words), Dropout(dropout)

    def forward(self, features: Tensor, words: Tensor, state: tuple[Tensor, ...] | None = None) -> Told:
        """Logits of the word after each of ``words``, of K captions of each picture.

        Args:
            features: (N, F) of the pictures; they are looked at only where there is no ``state``.
            words: int64 (N, K, T), x_t.
            state: h (N, K, n) behind the words before these.
        """
        x, states = self.w_hx(self.dropout(self.x(words))), []  # (N, K, T, n)
        if state is None:
            h, b_v = x.new_zeros(*x.shape[:2], x.shape[3]), self.w_hi(self.dropout(features))[:, None]  # Eq. 13, (N, 1, n)
        else:
            h, b_v = state[0].expand(-1, words.shape[1], -1), torch.zeros_like(x[:, :1, 0])
        for t in range(words.shape[2]):
            h = x[:, :, t] + self.w_hh(h)
            h = (h + b_v if t == 0 else h).relu()  # Eq. 14
            states.append(h)
        return Told(self.w_oh(self.dropout(torch.stack(states, 2))).float(), (h,))  # Eq. 15


class Model(Captioner):
    """Encoder and decoder; trained on several captions of a picture at once.

    Args:
        vocabulary: the words, from the data; without them there are as many nameless ones as Flickr8k has.
        longest: words of the longest caption, ``<start>`` and ``<end>`` counted.
        encoder: ``vgg19``, of which fc7 of the whole picture is read and which is frozen, or ``small``, which is trained too.
        weights: of a frozen encoder: ``imagenet``, or a file.
        embedding: numbers a word; hidden: units of the recurrent layer.
        annotation: channels of the small encoder's map.
        dropout: on the features, the words, and what the recurrent layer answers.
        begin: what W_hh is at first: ``default``, or the ``identity``, by which the picture is kept until it is learnt what to keep.
        captions: of each picture in a step, drawn anew; 0 for all.
        beam, alpha: width and length penalty of the search.
    """

    def __init__(
        self, *, vocabulary: Sequence[str] = (), channels: Size = 3, image_size: Pixels = 224, longest: Count = 50,
        encoder: Literal["vgg19", "small"] = "vgg19", weights: str = "imagenet", embedding: Size = 300, hidden: Size = 512,
        annotation: Size = 128, dropout: Part = 0.5, begin: Literal["default", "identity"] = "default", captions: Sizeable = 0,
        beam: Size = 7, alpha: NotNegative = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(vocabulary, channels, image_size, longest, beam, alpha)
        self.few = captions
        self.published = weights if encoder == "vgg19" else ""
        self.check_encoder(encoder, encoder == "vgg19", 1)
        features = 4096 if self.published else 4 * annotation
        self.encoder = None if self.published else Pool(channels, annotation, features)
        self.decoder = Decoder(len(vocabulary) or WORDS, features, embedding, hidden, dropout, begin)

    def optimizers(
        self, *, name: Literal["RMSprop", "Adam"] = "RMSprop", lr: NotNegative = 1e-3, warmup: Count = 1, fall: bool = False
    ) -> Optimizers:
        """RMSProp (section 3.2), or Adam, at a constant rate.

        Args:
            warmup: steps in which the rate rises, if ``fall``: whether it falls along a cosine to 0.
        """
        chosen: Optimizer = (RMSprop if name == "RMSprop" else Adam)(self.parameters(), lr)
        return {"captioner": (chosen, warmup_cosine(warmup)) if fall else chosen}

    def see(self, image: Tensor) -> tuple[Tensor, ...]:
        if self.encoder is not None:
            return (self.encoder(image),)
        return (fc7(self.published)(cut(image, windows(0, 1.0), SEEN)),)

    def say(self, seen: Sequence[Tensor], words: Tensor, state: tuple[Tensor, ...] | None = None) -> Told:
        (features,) = seen
        output: Told = self.decoder(features, words, state)
        return output

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        """One step on captions of a batch of pictures: the sum of -log p of the words, the mean over captions."""
        words, target = self.read(batch.captions, self.few)  # (N, K, T)
        real = target != PAD
        counted = real.any(2)  # (N, K)
        log_p = log_likelihood(self.say(self.see(batch.image), words).logits, target)  # (N, K)
        opt.captioner.minimize((-log_p[counted].mean(), counted.sum()))
        return {"nats a word": -log_p.detach().sum() / real.sum()}


VARIANTS: dict[str, dict[str, object]] = {"alignment_generator": {}}

_LITTLE = {
    "encoder": "small", "embedding": 128, "hidden": 256, "annotation": 128, "dropout": 0.0, "begin": "identity", "captions": 2,
}  # fmt: skip
RECIPES = {
    "paper": Recipe(
        data="flickr8k", steps=50_000, batch_size=100, clip=5.0, targets=(Target("BLEU-1", at_least=57.9, claim="flickr8k-1"),),
        note="VGG-19 frozen; batches of 100 pictures with all their captions",
    ),
    "small": Recipe(
        data="scenes", steps=1000, batch_size=32, model=_LITTLE, optimizer={"name": "Adam", "lr": 1e-3, "warmup": 100, "fall": True},
        clip=5.0, precision="float32",
        targets=(Target("BLEU-4 above baselines", at_least=5), Target("BLEU-4 with shuffled pictures", at_most=35)),
    ),
    "smoke": Recipe(
        data="scenes-plain", steps=24, batch_size=8,
        model={**_LITTLE, "embedding": 16, "hidden": 16, "annotation": 8, "captions": 0, "beam": 3},
        optimizer={"name": "Adam", "lr": 3e-3}, clip=5.0, precision="float32",
    ),
}  # fmt: skip
