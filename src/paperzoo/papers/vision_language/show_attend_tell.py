"""Show, Attend and Tell: a caption written word by word, each time looking elsewhere in the picture (Xu et al. 2015).

A convolutional network leaves L annotations a_i of D numbers, one for each place of its last grid. Before each word a small
network scores how much every place matters, given what has been written (Eqs. 4 to 6, section 3.1.2):

    e_ti = f_att(a_i, h_{t-1}),    alpha_t = softmax(e_t),    z_t = phi({a_i}, {alpha_ti}),

and an LSTM reads the last word and z_t (Eqs. 1 to 3). **Soft** attention takes the mean, phi = beta_t sum_i alpha_ti a_i, whose gate
beta_t says how much the picture matters for this word (section 4.2). It is trained end to end, with a penalty by which every place
gets about as much attention as any other over the whole caption (Eq. 14):

    -log p(y | x) + lambda sum_i (1 - sum_t alpha_ti)^2.

**Hard** attention draws one place s_t and sees nothing else; the gradient of a bound of log p(y | a) is estimated (section 4.1):

    grad log p(y | s, a) + lambda_r (log p(y | s, a) - b) grad log p(s | a) + lambda_e grad H[s].

Read ``Decoder.forward`` beside section 3.1.2, then ``penalty`` and ``estimate``.
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
from paperzoo.papers.vision_language.encoders import SmallEncoder, frozen_grid
from paperzoo.ranges import Count, NotNegative, Part, Pixels, Size, Sizeable
from paperzoo.records import Recipe, Target
from paperzoo.tasks.captioning import PAD, Captioner, Told, log_likelihood
from paperzoo.tasks.model import Optimizers, Players


class Reader(nn.Module):
    """Computes once per picture its annotation vectors, their keys for f_att, and the initial state."""

    def __init__(self, annotation: int, hidden: int, attention: int) -> None:
        super().__init__()
        self.key = nn.Linear(annotation, attention)
        self.init_h, self.init_c = nn.Linear(annotation, hidden), nn.Linear(annotation, hidden)

    def forward(self, grid: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """A grid (N, D, h, w) to annotations a (N, L, D), keys (N, L, A), and h_0 and c_0 (N, n), made of the mean annotation."""
        a = grid.flatten(2).transpose(1, 2)  # (N, D, h, w) -> (N, L, D)
        mean = a.mean(1)
        return a, self.key(a), self.init_h(mean).tanh(), self.init_c(mean).tanh()


class Decoder(nn.Module):
    """The LSTM with attention (section 3.1.2): E is ``embedding``, f_att ``query`` and ``score`` behind ``Reader.key``."""

    def __init__(self, words: int, embedding: int, annotation: int, hidden: int, attention: int, hard: bool, dropout: float) -> None:
        super().__init__()
        self.hard = hard
        self.embedding = nn.Embedding(words, embedding)
        self.query, self.score = nn.Linear(hidden, attention, bias=False), nn.Linear(attention, 1, bias=False)
        self.beta = None if hard else nn.Linear(hidden, 1)
        self.from_word = nn.Linear(embedding, 4 * hidden)  # the three parts of T_{D+m+n,n} in Eq. 1
        self.from_state, self.from_picture = (nn.Linear(size, 4 * hidden, bias=False) for size in (hidden, annotation))
        self.l_h, self.l_z = nn.Linear(hidden, embedding, bias=False), nn.Linear(annotation, embedding, bias=False)
        self.l_o = nn.Linear(embedding, words)
        self.dropout = Dropout(dropout)

    def forward(
        self, seen: Sequence[Tensor], words: Tensor, state: tuple[Tensor, ...] | None = None, chance: Tensor | None = None
    ) -> Told:
        """Logits of the word after each of ``words``, of K captions of each picture.

        Args:
            seen: what ``Reader`` made of N pictures.
            words: int64 (N, K, T), y_{t-1}.
            state: h and c (N, K, n) behind the words before these; default: the first state.
            chance: of hard attention, (N, K, T) in [0, 1): the quantile at which each place is drawn; where it is below 0 nothing is
                drawn, and z_t is the expected annotation. Default: the likeliest place.
        """
        a, keys, h, c = seen
        captions = words.shape[1]
        h, c = state or (x[:, None].expand(-1, captions, -1) for x in (h, c))  # (N, K, n)
        embedded = self.embedding(words)  # (N, K, T, m)
        from_word, outputs, attention, places = self.from_word(embedded), [], [], []
        for t in range(words.shape[2]):
            e = self.score((keys[:, None] + self.query(h)[:, :, None]).tanh())[..., 0]  # (N, K, L, A) -> (N, K, L)
            alpha = e.float().softmax(2)
            if self.beta is not None:
                z = self.beta(h).sigmoid() * (alpha.to(a.dtype) @ a)  # (N, K, D)
            else:
                z, place = look(a, alpha, None if chance is None else chance[..., t])
                places.append(place)
            gates = from_word[:, :, t] + self.from_state(h) + self.from_picture(z)  # (N, K, 4n)
            i, f, o, g = gates.float().chunk(4, 2)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()  # Eq. 2
            h = o.sigmoid() * c.tanh()  # Eq. 3
            outputs.append(self.l_h(self.dropout(h)) + self.l_z(z))
            attention.append(alpha)
        logits = self.l_o(embedded + torch.stack(outputs, 2))  # Eq. 7
        return Told(logits, (h, c), torch.stack(attention, 2), torch.stack(places, 2) if places else None)


def look(a: Tensor, alpha: Tensor, chance: Tensor | None) -> tuple[Tensor, Tensor]:
    """Hard attention: the annotations (N, K, D) at places drawn from alpha (N, K, L), and these places, -1 where none is drawn.

    Args:
        a: (N, L, D).
        chance: (N, K), see ``Decoder.forward``.
    """
    if chance is None:
        place = alpha.argmax(2)  # (N, K)
        return picked(a, place), place
    place = (alpha.detach().cumsum(2) <= chance[..., None]).sum(2).clamp(max=alpha.shape[2] - 1)
    expected = chance < 0
    return torch.where(expected[..., None], alpha.to(a.dtype) @ a, picked(a, place)), place.masked_fill(expected, -1)


def picked(a: Tensor, place: Tensor) -> Tensor:
    """The annotations (N, K, D) at places int64 (N, K) of a (N, L, D)."""
    return a.gather(1, place[..., None].expand(-1, -1, a.shape[2]))


def penalty(alpha: Tensor, real: Tensor) -> Tensor:
    """``sum_i (1 - sum_t alpha_ti)^2`` of Eq. 14 for each caption, (N, K).

    Args:
        alpha: (N, K, T, L); real: bool (N, K, T), which words are no padding.
    """
    return (1 - (alpha * real[..., None]).sum(2)).square().sum(2)


def estimate(
    log_p: Tensor, alpha: Tensor, place: Tensor, real: Tensor, baseline: Tensor | float, reward: float, entropy: float
) -> Tensor:
    """For each caption, (N, K), what has the gradient that section 4.1 estimates with one drawing of the places.

    Where nothing was drawn, the expected annotation being seen in its stead, log p passes its gradient on by itself.

    Args:
        log_p: (N, K), log p(y | s, a).
        alpha: (N, K, T, L); place: int64 (N, K, T), -1 where none was drawn; real: bool (N, K, T).
        reward: lambda_r; entropy: lambda_e.
    """
    drawn = real & (place >= 0)
    logs = alpha.clamp(min=1e-20).log()  # (N, K, T, L)
    log_s = (logs.gather(3, place.clamp(min=0)[..., None])[..., 0] * drawn).sum(2)  # log p(s | a), (N, K)
    spread = (-(alpha * logs).sum(3) * real).sum(2)  # H[s], (N, K)
    return log_p + reward * (log_p - baseline).detach() * log_s + entropy * spread


#: words of the paper's vocabulary (section 5.1)
WORDS = 10_000


class Model(Captioner):
    """Encoder, reader and decoder; trained on several captions of a picture at once.

    Args:
        vocabulary: the words, from the data; without them there are as many nameless ones as in the paper.
        longest: words of the longest caption, ``<start>`` and ``<end>`` counted.
        encoder: ``vgg19`` (paper), which is frozen, or ``small``, which is trained too.
        weights: of a frozen encoder: ``imagenet``, or a file.
        attention: ``soft`` or ``hard``.
        embedding: m, numbers a word; hidden: n, units of the LSTM; annotation: D of the small encoder; width: units of f_att.
        dropout: on what the output layer sees of the LSTM.
        doubly: lambda of Eq. 14, of soft attention.
        reward, entropy: lambda_r and lambda_e of section 4.1, of hard attention.
        captions: of each picture in a step, drawn anew; 0 for all.
        beam, alpha: width and length penalty of the search.
    """

    baseline: Tensor

    def __init__(
        self, *, vocabulary: Sequence[str] = (), channels: Size = 3, image_size: Pixels = 224, longest: Count = 50,
        encoder: Literal["vgg19", "small"] = "vgg19", weights: str = "imagenet", attention: Literal["soft", "hard"] = "soft",
        embedding: Size = 512, hidden: Size = 1000, annotation: Size = 512, width: Size = 512, dropout: Part = 0.5,
        doubly: NotNegative = 1.0, reward: NotNegative = 0.1, entropy: NotNegative = 0.002, captions: Sizeable = 0,
        beam: Size = 10, alpha: NotNegative = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(vocabulary, channels, image_size, longest, beam, alpha)
        self.few = captions
        self.published = weights if encoder == "vgg19" else ""
        self.check_encoder(encoder, encoder == "vgg19", 16)
        self.encoder = None if self.published else SmallEncoder(channels, annotation)
        size = 512 if self.published else annotation
        side = image_size // 16 if self.published else -(-image_size // 8)
        self.grid, self.hard = (side, side), attention == "hard"
        self.doubly, self.reward, self.entropy = doubly, reward, entropy
        self.reader = Reader(size, hidden, width)
        self.decoder = Decoder(len(vocabulary) or WORDS, embedding, size, hidden, width, self.hard, dropout)
        self.register_buffer("baseline", torch.zeros(()))

    def optimizers(
        self, *, name: Literal["RMSprop", "Adam"] = "RMSprop", lr: NotNegative = 1e-3, warmup: Count = 1, fall: bool = False
    ) -> Optimizers:
        """RMSProp (the paper's for Flickr8k) or Adam (for Flickr30k and COCO), at a constant rate.

        Args:
            warmup: steps in which the rate rises, if ``fall``: whether it falls along a cosine to 0.
        """
        chosen: Optimizer = (RMSprop if name == "RMSprop" else Adam)(self.parameters(), lr)
        return {"captioner": (chosen, warmup_cosine(warmup)) if fall else chosen}

    def see(self, image: Tensor) -> tuple[Tensor, ...]:
        grid = self.encoder(image) if self.encoder is not None else frozen_grid(self.published)(image)
        return tuple(self.reader(grid))

    def say(self, seen: Sequence[Tensor], words: Tensor, state: tuple[Tensor, ...] | None = None) -> Told:
        output: Told = self.decoder(seen, words, state)
        return output

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        """One step on captions of a batch of pictures."""
        words, target = self.read(batch.captions, self.few)  # (N, K, T)
        real, features = target != PAD, self.see(batch.image)
        counted = real.any(2)  # (N, K)
        output = self.decoder(features, words, None, self.chance(words) if self.hard else None)
        log_p = log_likelihood(output.logits, target)  # (N, K)
        if self.hard:
            good = estimate(log_p, output.attention, output.places, real, self.baseline, self.reward, self.entropy)
        else:
            good = log_p - self.doubly * penalty(output.attention, real)
        opt.captioner.minimize((-good[counted].mean(), counted.sum()))
        if self.hard:
            mean = opt.mean(log_p[counted].sum()) / opt.mean(counted.sum().to(log_p))  # over the captions of all processes
            self.baseline.lerp_(mean, 0.1)  # b_k = 0.9 b_{k-1} + 0.1 log p
        return {"nats a word": -log_p.detach().sum() / real.sum()}

    def chance(self, words: Tensor) -> Tensor:
        """Where hard attention draws, for words (N, K, T); with a chance of one half a picture's places are not drawn at all."""
        drawn = torch.rand(words.shape, device=words.device)
        return torch.where(torch.rand(len(words), 1, 1, device=words.device) < 0.5, -1.0, drawn)


VARIANTS: dict[str, dict[str, object]] = {"soft": {}, "hard": {"attention": "hard"}}

_LITTLE = {
    "encoder": "small", "embedding": 64, "hidden": 160, "annotation": 112, "width": 64, "dropout": 0.0, "doubly": 0.02, "captions": 2,
    "beam": 3,
}  # fmt: skip
RECIPES = {
    "paper": Recipe(
        data="flickr8k", steps=50_000, batch_size=64, clip=10.0,
        targets=(
            Target("BLEU-4", at_least=19.5, claim="flickr8k-soft", variants=("soft",)),
            Target("BLEU-4", at_least=21.3, claim="flickr8k-hard", variants=("hard",)),
        ),
        note="VGG-19 frozen; batches of 64 pictures with five captions each, where the paper has 64 captions of one length",
    ),
    "small": Recipe(
        data="scenes", steps=1400, batch_size=32, model=_LITTLE, optimizer={"name": "Adam", "lr": 3e-3, "warmup": 100, "fall": True},
        clip=5.0, precision="float32",
        targets=(
            Target("true %", at_least=60), Target("BLEU-4", at_least=72), Target("BLEU-4 with shuffled pictures", at_most=35),
            Target("attention on the thing", at_least=0.4),
        ),
    ),
    "smoke": Recipe(
        data="scenes-plain", steps=24, batch_size=8,
        model={**_LITTLE, "embedding": 12, "hidden": 16, "annotation": 16, "width": 12, "captions": 0},
        optimizer={"name": "Adam", "lr": 3e-3}, clip=5.0, precision="float32", variants=("soft",),
    ),
}  # fmt: skip
RECIPES["smoke-hard"] = RECIPES["smoke"].but(variants=("hard",))
