"""StackGAN: photographs from sentences, in two stages (Zhang et al. 2016).

One generator that goes from a sentence to 256x256 pixels fails. Here the first stage draws 64x64, shapes and colours, and the second,
given that picture and the sentence once more, mends it and adds what is small. Sentences are few, so that the space of their embeddings
phi_t is full of gaps; *conditioning augmentation* draws what the generator is told from a Gaussian about each sentence, which the term
of Eq. 2 keeps from shrinking to a point,

    c = mu(phi_t) + sigma(phi_t) * epsilon,        KL(N(mu(phi_t), Sigma(phi_t)) || N(0, I))                    (Eq. 2)

    L_D0 = E log D0(I0, phi_t) + E log(1 - D0(G0(z, c0), phi_t))                                                (Eq. 3)
    L_G0 = E log(1 - D0(G0(z, c0), phi_t)) + lambda KL                                                          (Eq. 4)

and for the second stage the same with s0 = G0(z, c0) in the place of z (Eqs. 5 and 6). What is no match is of two kinds: a picture that
G drew, with its sentence, and a *real* picture with another's. Read ``Model.step`` first, then ``discriminator_loss``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError, unknown
from paperzoo.nn.average import Average
from paperzoo.papers.vision_language.stackgan_networks import Block, Discriminator, convolution, init, up
from paperzoo.papers.vision_language.stackgan_text import PictureEncoder, SentenceEncoder, char_cnn_rnn, joint_embedding_loss
from paperzoo.ranges import NotNegative, Part, Side, Size, Sizeable, Whole
from paperzoo.records import Recipe, Stage, Target
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.text_to_image import SentenceGenerator


class Drawn(NamedTuple):
    """A generator's answer: ``image`` (N, C, S, S) in [-1, 1], and mu and log sigma^2 (N, N_g) of Eq. 2."""

    image: Tensor
    mu: Tensor
    log_variance: Tensor


class Augmentation(nn.Module):
    """phi_t (N, E) and epsilon (N, N_g) to c (N, N_g), mu and log sigma^2; section 3.2."""

    def __init__(self, embedding: int, condition: int) -> None:
        super().__init__()
        self.layer = nn.Linear(embedding, 2 * condition)

    def forward(self, phi: Tensor, epsilon: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_variance = self.layer(phi).chunk(2, 1)
        return mu + (log_variance / 2).exp() * epsilon, mu, log_variance


class StageI(nn.Module):
    """phi_t, noise z (N, N_z) and epsilon to a picture of W_0: 4x4 first, then blocks that double the side and halve the channels."""

    def __init__(self, image_size: int, channels: int, embedding: int, condition: int, latent: int, width: int) -> None:
        super().__init__()
        self.augment = Augmentation(embedding, condition)
        self.first = width * image_size // 8
        self.project = nn.Linear(condition + latent, self.first * 16, bias=False)
        self.body = nn.Sequential(
            nn.BatchNorm2d(self.first),
            nn.ReLU(),
            *up(self.first, image_size // 4),
            nn.Conv2d(self.first * 4 // image_size, channels, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, phi: Tensor, z: Tensor, epsilon: Tensor) -> Drawn:
        c, mu, log_variance = self.augment(phi, epsilon)
        h = self.project(torch.cat([c, z], 1)).view(-1, self.first, 4, 4)
        return Drawn(self.body(h), mu, log_variance)


class StageII(nn.Module):
    """phi_t, a picture of W_0 in [-1, 1] and epsilon to one of W: down to M_g = W_0 / 4, joined with c, residual blocks, up again."""

    def __init__(self, small: int, image_size: int, channels: int, embedding: int, condition: int, width: int, blocks: int) -> None:
        super().__init__()
        self.augment = Augmentation(embedding, condition)
        inner, times = 4 * width, 4 * image_size // small
        self.encode = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            *convolution(width, 2 * width, 4, 2, nn.ReLU()),
            *convolution(2 * width, inner, 4, 2, nn.ReLU()),  # (N, 4 width, M_g, M_g)
        )
        self.join = nn.Sequential(*convolution(inner + condition, inner, 3, 1, nn.ReLU()))
        self.body = nn.Sequential(
            *(Block(inner) for _ in range(blocks)),
            *up(inner, times),
            nn.Conv2d(inner // times, channels, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, phi: Tensor, image: Tensor, epsilon: Tensor) -> Drawn:
        c, mu, log_variance = self.augment(phi, epsilon)
        h = self.encode(image)
        h = self.join(torch.cat([h, c[:, :, None, None].expand(-1, -1, *h.shape[2:])], 1))  # (N, 4 width + N_g, M_g, M_g)
        return Drawn(self.body(h), mu, log_variance)


def kl(mu: Tensor, log_variance: Tensor) -> Tensor:
    """Eq. 2 from mu and log sigma^2 (N, N_g): ``(mu^2 + sigma^2 - 1 - log sigma^2) / 2``, summed over N_g, averaged over N; in nats."""
    return ((mu.square() + log_variance.exp() - 1 - log_variance) / 2).sum(1).mean()


def discriminator_loss(right: Tensor, wrong: Tensor, fake: Tensor) -> Tensor:
    """Eqs. 3 and 5 with the sign turned, from logits (N) of three kinds of pairs; the two that are no match weigh a half each.

    Args:
        right: of real pictures and their sentences.
        wrong: of real pictures and the sentences of others.
        fake: of drawn pictures and the sentences that they were drawn from.
    """
    return F.softplus(-right).mean() + (F.softplus(wrong).mean() + F.softplus(fake).mean()) / 2


def generator_loss(fake: Tensor) -> Tensor:
    """``-E log D(G(z, c), phi_t)`` from logits (N): the form of the first term of Eqs. 4 and 6 with strong gradients early on."""
    return F.softplus(-fake).mean()


class Model(SentenceGenerator):
    """Two generators, each with its discriminator. Stages: ``sentences`` trains a small encoder, ``first`` and ``second`` one pair each;
    without stages all learn at once.

    Args:
        image_size: W, side of the second stage's pictures; ``small`` is W_0, that of the first's.
        channels: of the pictures.
        encoder: of sentences: ``char_cnn_rnn``, frozen, as in the paper; or ``sentences``, a small one that is trained first.
        weights: a file with the weights of ``char_cnn_rnn``.
        embedding: E, numbers of phi_t; of ``char_cnn_rnn`` there are 1,024.
        hidden: units of the small encoder; ``scale``: what its phi_t, of which a number is about 1, is multiplied by.
        condition: N_g; ``latent``: N_z; ``compressed``: N_d.
        width: of the generators: channels are 8 ``width`` at 4x4 for W_0 = 64; ``critic_width``: of the discriminators' first layer.
        blocks: residual blocks of the second stage; the paper has 4 for 256x256 and 2 for 128x128.
        weight: lambda, of Eq. 2.
        wrong: how many others' sentences are held against a real picture; that which the discriminator finds the rightest is its wrong one.
        average: decay of the moving averages of the generators' weights, which pictures are drawn with; 0 for none.
        critics: whether there are discriminators, and what else is for training alone.
        vocabulary, longest, examples: words of the sentences, how many there are at most, and some sentences; from the data.

    Raises:
        PaperzooError: sizes or encoder that do not fit each other.
    """

    def __init__(
        self,
        *,
        image_size: Side = 256,
        small: Side = 64,
        channels: Size = 3,
        encoder: Literal["char_cnn_rnn", "sentences"] = "char_cnn_rnn",
        weights: str = "",
        embedding: Size = 1024,
        hidden: Size = 64,
        scale: NotNegative = 1.0,
        condition: Size = 128,
        latent: Size = 100,
        compressed: Size = 128,
        width: Size = 128,
        critic_width: Size = 64,
        blocks: Sizeable = 4,
        weight: NotNegative = 1.0,
        wrong: Size = 1,
        average: Part = 0.0,
        critics: bool = True,
        vocabulary: Sequence[str] = (),
        longest: Size = 52,
        examples: Sequence[str] = (),
    ) -> None:
        super().__init__(vocabulary, longest, latent + 2 * condition, examples)
        if image_size <= small:
            raise PaperzooError(f"the second stage enlarges: model.image_size ({image_size}) must be above model.small ({small})")
        if encoder == "char_cnn_rnn" and embedding != 1024:
            raise PaperzooError(f"char_cnn_rnn gives 1024 numbers a sentence, not {embedding}: set model.encoder=sentences")
        if width * 4 % (4 * image_size // small):
            raise PaperzooError(f"model.width ({width}) must be a multiple of {image_size // small}: each doubling halves the channels")
        self.encoder, self.weights, self.scale, self.weight, self.wrong = encoder, weights, scale, weight, wrong
        self.image_size, self.small, self.channels, self.now = image_size, small, channels, "all"
        self.parts = [latent, condition, condition]
        trained_here = encoder == "sentences"
        self.words_encoder = SentenceEncoder(len(vocabulary) or 5000, hidden, hidden, embedding) if trained_here else None
        self.picture_encoder = PictureEncoder(channels, 16, embedding) if trained_here and critics else None
        self.first = StageI(small, channels, embedding, condition, latent, width)
        self.second = StageII(small, image_size, channels, embedding, condition, width, blocks)
        self.first_critic = Discriminator(small, channels, embedding, compressed, critic_width) if critics else None
        self.second_critic = Discriminator(image_size, channels, embedding, compressed, critic_width) if critics else None
        for network in (self.first, self.second, self.first_critic, self.second_critic):
            if network is not None:
                network.apply(init)
        self.average_first = Average(self.first, average) if average else None
        self.average_second = Average(self.second, average) if average else None

    def stage(self, name: str) -> None:
        """``sentences``, ``first`` or ``second``; the later one trains nothing of those before it."""
        known = ("sentences", "first", "second") if self.encoder == "sentences" else ("first", "second")
        if name not in known:
            raise unknown("stage", name, known, f"of stackgan with {self.encoder}")
        self.now = name

    def embed(self, captions: Tensor) -> Tensor:
        if self.words_encoder is not None:
            phi: Tensor = self.scale * self.words_encoder(captions)
            return phi
        if not self.weights:
            raise PaperzooError("stackgan's char_cnn_rnn has no weights: name their file by model.weights, or set model.encoder=sentences")
        texts = [self.words.decode(row) for row in captions.tolist()]
        return char_cnn_rnn(self.weights)(texts).to(captions.device)

    def optimizers(self, *, lr: NotNegative = 2e-4, beta1: Part = 0.5, halvings: Whole = 5) -> Optimizers:
        """Adam (section 4.4), the rate halved so many times at equal distances within the stage, of 600 epochs each 100."""

        def fall(iteration: int, total: int) -> float:
            return float(0.5 ** ((halvings + 1) * iteration // total))

        players: dict[str, Any] = {}
        if self.now in ("sentences", "all") and self.encoder == "sentences":
            encoders = nn.ModuleList([one for one in (self.words_encoder, self.picture_encoder) if one is not None])
            players["encoders"] = Adam(encoders.parameters(), lr)
        for stage, pair in (("first", (self.first, self.first_critic)), ("second", (self.second, self.second_critic))):
            if self.now in (stage, "all"):
                for name, one in zip(("generator", "discriminator"), pair, strict=True):
                    if one is not None:
                        players[f"{stage}_{name}"] = (Adam(one.parameters(), lr, (beta1, 0.999)), fall)
        return players

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        self.reached.fill_({"sentences": 0, "first": 1}.get(self.now, 2))
        captions = self.chosen(batch.captions)  # (N, T), one sentence a picture
        large = 2 * batch.image - 1  # (N, C, W, W), [0, 1] -> [-1, 1]
        small = F.interpolate(large, self.small, mode="area")  # (N, C, W_0, W_0)
        if self.now in ("sentences", "all") and self.words_encoder is not None and self.picture_encoder is not None:
            opt.encoders.minimize(joint_embedding_loss(self.picture_encoder(small), self.words_encoder(captions)))
        noted: dict[str, Tensor] = {}
        if self.now == "sentences":
            return noted
        with torch.no_grad():
            phi = self.embed(captions)
        z, *epsilon = torch.split(self.draw(len(phi)), self.parts, 1)
        if self.now in ("first", "all"):
            noted |= self.play("first", self.first(phi, z, epsilon[0]), small, phi, opt)
        if self.now in ("second", "all"):
            with torch.no_grad():  # stage I is fixed
                s0 = self.stage_one(phi, z, epsilon[0])
            noted |= self.play("second", self.second(phi, s0, epsilon[1]), large, phi, opt)
        return noted

    def play(self, stage: Literal["first", "second"], drawn: Drawn, real: Tensor, phi: Tensor, opt: Players) -> dict[str, Tensor]:
        """A step of one stage's two players, Eqs. 3 and 4 or 5 and 6, on real pictures (N, C, S, S) in [-1, 1] with their phi (N, E)."""
        critic, network = (self.first_critic, self.first) if stage == "first" else (self.second_critic, self.second)
        average = self.average_first if stage == "first" else self.average_second
        assert critic is not None
        tried = max(1, min(self.wrong, len(phi) - 1))
        right, *others = critic(real, phi, *(phi.roll(k, 0) for k in range(1, 1 + tried)))  # its own sentence, those of pictures before it
        wrong = torch.stack(others).amax(0)
        (fake,) = critic(drawn.image.detach(), phi)
        getattr(opt, f"{stage}_discriminator").minimize(discriminator_loss(right, wrong, fake))
        divergence = kl(drawn.mu, drawn.log_variance)
        (fake,) = critic(drawn.image, phi)
        getattr(opt, f"{stage}_generator").minimize(generator_loss(fake) + self.weight * divergence)
        if average is not None:
            average.update(network)
        return {"kl": divergence.detach(), "right": right.mean().detach(), "wrong": wrong.mean().detach()}

    def stage_one(self, phi: Tensor, z: Tensor, epsilon: Tensor) -> Tensor:
        """Stage I's images in [-1, 1], in eval mode: with running statistics, and the average of its weights if there is one."""
        network = self.first if self.average_first is None else self.average_first
        was_training = network.training
        image: Tensor = network.eval()(phi, z, epsilon).image
        network.train(was_training)
        return image

    def resolutions(self, latent: Tensor, phi: Tensor) -> tuple[Tensor, Tensor]:
        z, *epsilon = torch.split(latent, self.parts, 1)
        s0 = self.stage_one(phi, z, epsilon[0])
        network = self.second if self.average_second is None else self.average_second
        return (s0 + 1) / 2, (network(phi, s0, epsilon[1]).image + 1) / 2

    def generate(self, z: Tensor, phi: Tensor) -> Tensor:  # type: ignore[override]  # what it needs besides the noise
        """Pictures (N, C, W, W) in [0, 1]: as long as the second stage has not begun, the first's, enlarged."""
        small, large = self.resolutions(z, phi)
        return large if self.reached == 2 else F.interpolate(small, self.image_size)

    def lean(self) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
        """The averaged generators in place of the last ones, and nothing that only training needs."""
        arguments, state = dict(self.arguments), dict(self.state_dict())
        for name in ("first", "second"):
            mark = f"average_{name}.network."
            state |= {f"{name}.{key.removeprefix(mark)}": value for key, value in state.items() if key.startswith(mark)}
        unneeded = ("first_critic.", "second_critic.", "picture_encoder.", "average_")
        return {**arguments, "average": 0.0, "critics": False}, {k: v for k, v in state.items() if not k.startswith(unneeded)}


VARIANTS: dict[str, dict[str, object]] = {"stackgan": {}}

_MORE = "zoo-avatars-more"
_ALL = f"all named right %[{_MORE}]"
_LITTLE = {"encoder": "sentences", "embedding": 64, "condition": 32, "latent": 32, "compressed": 32, "blocks": 1}

RECIPES = {
    "paper": Recipe(
        data="cub-captions",
        steps=2 * 600 * 138,
        batch_size=64,
        train_on="train+validation",
        stages=(Stage("first", 600 * 138), Stage("second", 600 * 138)),
        note="600 epochs a stage of the 8,855 birds of CUB's 100 classes to train on and 50 for validation (section 4.4)",
    ),
    "small": Recipe(
        data="avatar-sentences",
        steps=1950,
        batch_size=64,
        model={
            **_LITTLE, "image_size": 64, "small": 32, "scale": 16.0, "width": 32, "critic_width": 24, "weight": 0.02, "wrong": 4,
            "average": 0.998,
        },
        optimizer={"lr": 1.5e-3, "halvings": 2},
        stages=(Stage("sentences", 300), Stage("first", 1400), Stage("second", 250, batch_size=32)),
        judge=_MORE,
        targets=(
            Target(f"stage I {_ALL}", at_least=75),
            Target("stage II sharpness over stage I enlarged", at_least=1),
        ),
    ),
    "smoke": Recipe(
        data="shapes-sentences",
        steps=24,
        batch_size=16,
        model={
            **_LITTLE, "image_size": 32, "small": 16, "embedding": 16, "hidden": 16, "condition": 8, "latent": 8, "compressed": 8,
            "scale": 4.0, "width": 8, "critic_width": 8, "average": 0.9, "weight": 0.02,
        },
        optimizer={"lr": 1e-3},
        precision="float32",
    ),
}  # fmt: skip

RECIPES["small-long"] = RECIPES["small"].but(
    steps=12_000,
    model={"image_size": 128, "small": 64, "blocks": 2},
    stages=(Stage("sentences", 1000), Stage("first", 6000), Stage("second", 5000)),
    note="64 then 128 pixels, for some hours",
)
