"""VAE/GAN: an autoencoder that is told how like two images are by a discriminator, not by their pixels (Larsen et al. 2015).

A squared error on pixels blurs. Here the decoder is at once the generator of a GAN, and the error is that of the discriminator's l-th
layer, taken as Gaussian with unit variance. With x~ the decoded code of an image x, and x_p decoded from the prior (section 2.3),

    L_prior = KL(q(z|x) || N(0, I)),         L_llike = 1/2 ||Dis_l(x) - Dis_l(x~)||^2,                       (Eq. 3, 7)
    L_GAN   = -log Dis(x) - log(1 - Dis(x~)) - log(1 - Dis(x_p)).                                                 (Eq. 5)

The three are not one loss: each network follows only its own (algorithm 1),

    encoder: L_prior + L_llike,       decoder: gamma L_llike - L_GAN,       discriminator: L_GAN.

Read ``Model.step`` first: it is algorithm 1. In the code, directions stand for attributes (section 4.2): see ``arithmetic``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import RMSprop

from paperzoo.data import Batch, Dataset
from paperzoo.errors import PaperzooError
from paperzoo.metrics.attributes import attribute_vectors, changed, exclusive, readable
from paperzoo.metrics.sharpness import relative_sharpness
from paperzoo.nn.schedules import linear_decay
from paperzoo.ranges import Eighths, Even, NotNegative, Share, Size
from paperzoo.records import Recipe, Target
from paperzoo.tasks.generation import ImageGenerator, spread
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.pictures import table
from paperzoo.tasks.reconstruction import Autoencoder, check_range


class Posterior(NamedTuple):
    """q(z|x) of N images: ``mean`` and ``log_variance`` (N, latent)."""

    mean: Tensor
    log_variance: Tensor


class Judgement(NamedTuple):
    """The discriminator's output for N images: ``logit`` (N) that they are real, and ``layer`` (N, D), its l-th."""

    logit: Tensor
    layer: Tensor


def down(inputs: int, outputs: int) -> list[nn.Module]:
    """A 5x5 convolution that halves the side, batch normalisation, ReLU."""
    return [nn.Conv2d(inputs, outputs, 5, 2, 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


def up(inputs: int, outputs: int) -> list[nn.Module]:
    """A transposed 5x5 convolution that doubles the side, batch normalisation, ReLU."""
    return [nn.ConvTranspose2d(inputs, outputs, 5, 2, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


def full(inputs: int, outputs: int) -> list[nn.Module]:
    """A fully connected layer, batch normalisation, ReLU."""
    return [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]


class Encoder(nn.Module):
    """Images (N, C, S, S) in [-1, 1] to q(z|x); table 1: convolutions to w, 2w, 4w channels, 32w units; w = 64."""

    def __init__(self, image_size: int, channels: int, latent: int, width: int) -> None:
        super().__init__()
        features = 4 * width * (image_size // 8) ** 2
        self.body = nn.Sequential(
            *down(channels, width), *down(width, 2 * width), *down(2 * width, 4 * width), nn.Flatten(), *full(features, 32 * width)
        )
        self.mean, self.log_variance = nn.Linear(32 * width, latent), nn.Linear(32 * width, latent)

    def forward(self, image: Tensor) -> Posterior:
        h = self.body(image)  # (N, 32w)
        return Posterior(self.mean(h), self.log_variance(h))


class Decoder(nn.Module):
    """Codes (N, latent) to images (N, C, S, S) in [-1, 1]; table 1: 4w maps of S/8, then up to 4w, 2w, w/2 channels."""

    def __init__(self, image_size: int, channels: int, latent: int, width: int) -> None:
        super().__init__()
        self.shape = (4 * width, image_size // 8, image_size // 8)
        self.project = nn.Sequential(*full(latent, 4 * width * (image_size // 8) ** 2))
        self.body = nn.Sequential(
            *up(4 * width, 4 * width), *up(4 * width, 2 * width), *up(2 * width, width // 2),
            nn.Conv2d(width // 2, channels, 5, 1, 2), nn.Tanh(),
        )  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        image: Tensor = self.body(self.project(z).view(-1, *self.shape))  # (N, 4w, S/8, S/8) -> (N, C, S, S)
        return image


class Discriminator(nn.Module):
    """Images (N, C, S, S) in [-1, 1] to a ``Judgement``; table 1: w/2 maps of full size, down to 2w, 4w, 4w, 8w units, one.

    ``layer`` is the output of the last convolution, before its batch normalisation.
    """

    def __init__(self, image_size: int, channels: int, width: int) -> None:
        super().__init__()
        last, *rest = down(4 * width, 4 * width)
        self.body = nn.Sequential(
            nn.Conv2d(channels, width // 2, 5, 1, 2), nn.ReLU(), *down(width // 2, 2 * width), *down(2 * width, 4 * width), last
        )
        features = 4 * width * (image_size // 8) ** 2
        self.score = nn.Sequential(*rest, nn.Flatten(), *full(features, 8 * width), nn.Linear(8 * width, 1))

    def forward(self, image: Tensor) -> Judgement:
        layer = self.body(image)  # (N, 4w, S/8, S/8)
        return Judgement(self.score(layer)[:, 0], layer.flatten(1))


def prior_loss(posterior: Posterior) -> Tensor:
    """``KL(q(z|x) || N(0, I))`` in nats, summed over dimensions, mean over the batch (Eq. 3)."""
    mean, log_variance = posterior
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()


def likelihood_loss(layer: Tensor, decoded: Tensor) -> Tensor:
    """``1/2 ||Dis_l(x) - Dis_l(x~)||^2``, summed over the layer (N, D), mean over the batch: ``-log N(Dis_l(x); Dis_l(x~), I)``
    without its constant (Eq. 7)."""
    return 0.5 * (layer - decoded).square().sum(1).mean()


def gan_loss(real: Tensor, decoded: Tensor, sampled: Tensor) -> Tensor:
    """L_GAN as the discriminator's cost, from logits (N) of x, x~ and x_p: ``-log Dis(x) - log(1 - Dis(x~)) - log(1 - Dis(x_p))``."""
    return F.softplus(-real).mean() + F.softplus(decoded).mean() + F.softplus(sampled).mean()


class Model(Autoencoder, ImageGenerator):
    """Encoder, decoder (which is the generator) and discriminator.

    Args:
        image_size: side of the images, a multiple of 8 from 16; 64 in the paper.
        channels: of the images.
        latent: dimensions of the code.
        width: channels of the encoder's first convolution; even; 64 in the paper.
        gamma: weight of the reconstruction in the decoder's loss.
        margin: the discriminator rests while its mean cost on real or on decoded images is lower than 0.68 nats by more than this,
            the decoder while either is higher by more; if both would, neither does. 0 for no rests.
    """

    def __init__(
        self,
        *,
        image_size: Eighths = 64,
        channels: Size = 3,
        latent: Size = 128,
        width: Even = 64,
        gamma: NotNegative = 1e-5,
        margin: NotNegative = 0.0,
    ) -> None:
        super().__init__()
        self.image_size, self.channels, self.latent, self.gamma, self.margin = image_size, channels, latent, gamma, margin
        self.encoder = Encoder(image_size, channels, latent, width)
        self.decoder = Decoder(image_size, channels, latent, width)
        self.discriminator = Discriminator(image_size, channels, width)

    def optimizers(self, *, lr: NotNegative = 3e-4, decay_from: Share = 1.0) -> Optimizers:
        """RMSProp for each (section 4), at a constant rate up to ``decay_from`` of all steps, then linearly to zero."""
        return {name: (RMSprop(network.parameters(), lr), linear_decay(decay_from)) for name, network in self.named_children()}

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        if len(batch) < 2:
            raise PaperzooError("batch normalisation needs at least two images a batch: --set batch_size=2 or more")
        x = 2 * batch.image - 1  # (N, C, S, S), [0, 1] -> [-1, 1]
        q = self.encoder(x)
        z = q.mean + (0.5 * q.log_variance).exp() * torch.randn_like(q.mean)
        x_tilde, x_p = self.decoder(z), self.decoder(torch.randn_like(z))
        real, decoded, sampled = self.discriminator(x), self.discriminator(x_tilde), self.discriminator(x_p)
        prior, likelihood = prior_loss(q), likelihood_loss(real.layer, decoded.layer)
        gan = gan_loss(real.logit, decoded.logit, sampled.logit)
        losses = {"encoder": prior + likelihood, "decoder": self.gamma * likelihood - gan, "discriminator": gan}
        fakes = torch.cat([decoded.logit, sampled.logit])
        for name in self.resting(opt.mean(F.softplus(-real.logit).mean()), opt.mean(F.softplus(fakes).mean())):
            del losses[name]
        opt.minimize(**losses)  # from one forward pass, each gradient to its own network only
        return {"prior": prior, "likelihood": likelihood}

    def resting(self, real: Tensor, fake: Tensor) -> set[str]:
        """The players that skip this step, by the discriminator's losses in nats on real and on fake images; the same on all processes."""
        if not self.margin:
            return set()
        low, high = min(float(real), float(fake)), max(float(real), float(fake))
        names = {"discriminator"} if low < 0.68 - self.margin else set()
        names |= {"decoder"} if high > 0.68 + self.margin else set()
        return names if len(names) < 2 else set()

    def encode(self, image: Tensor) -> Tensor:
        mean: Tensor = self.encoder(2 * check_range(image) - 1).mean
        return mean

    def decode(self, code: Tensor) -> Tensor:
        image: Tensor = self.decoder(code)
        return (image + 1) / 2

    def generate(self, z: Tensor) -> Tensor:
        return self.decode(z)

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """The metrics of its tasks, ``sample sharpness relative to real`` of 1,000 samples beside that of the
        reconstructions, and attribute arithmetic where the data have attributes."""
        metrics = super().measure(dataset, split, judge)
        (real,) = self.spaced(dataset[split], 1000)
        metrics["sample sharpness relative to real"] = relative_sharpness(self.sample(1000), real)
        if judge is not None and {"attributes", "label"} <= set(dataset.schema.fields):
            metrics |= self.arithmetic(dataset, split, judge)
        return {name: value for name, value in metrics.items() if not np.isnan(value)}

    def attributes(self, dataset: Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """The vector of each attribute (K, latent), and attributes (N, K) and labels (N), of at most 10,000 training images."""
        items = dataset["train"]
        chosen = spread(len(items), 10_000)
        batches = [items.batch(chosen[start : start + 1000]) for start in range(0, len(chosen), 1000)]
        codes = torch.cat([self.codes(batch.image) for batch in batches]).numpy()
        has = torch.cat([batch.attributes.cpu() for batch in batches]).numpy()
        label = torch.cat([batch.label.cpu() for batch in batches]).numpy() if "label" in dataset.schema.fields else None
        return attribute_vectors(codes, has), has, label

    def arithmetic(self, dataset: Dataset, split: str, judge: Any) -> dict[str, float]:
        """Attributes by a judge of the labels after an attribute's vector is added to codes without it, or subtracted from codes with it.

        Over at most 500 held-out images, the vectors from the training images, at their own length. An attribute is read off the
        judge's most probable class, if the training images of each class agree on it. ``attribute changed %`` is the share of images
        whose attribute is then read as the opposite of what it was; ``others changed %`` the share of other traits (attributes that
        exclude each other are one) that are not read as they were; ``attributes kept %`` the share read right off reconstructions
        without any vector. All are means over attributes; the first stands there for each attribute too.
        """
        vectors, has, label = self.attributes(dataset)
        assert label is not None
        names, classes = dataset.schema.arguments["attributes"], int(dataset.schema.arguments["classes"])
        table, group = readable(label, has, classes), exclusive(has)  # (classes, K), (K)
        items = dataset[split].batch(spread(len(dataset[split]), 500))
        codes, truth = self.codes(items.image), items.attributes.cpu().numpy()  # (N, latent), (N, K)

        def read(code: Tensor) -> np.ndarray:
            return table[judge(self.render(code))[0].argmax(1)]  # type: ignore[no-any-return]

        legible = np.flatnonzero(~np.isnan(table).any(0) & ~np.isnan(vectors).any(1))
        if not len(legible) or judge(items.image[:1])[0].shape[1] != classes:
            return {}
        plain, each, others = read(codes), {}, []
        for k in legible:
            sign = torch.from_numpy(1 - 2 * truth[:, k : k + 1])  # (N, 1): + without it, - with it
            attributes = read(codes + sign * torch.from_numpy(vectors[k]).float())
            each[f"{names[k]} changed %[{judge.name}]"], other = changed(truth, attributes, int(k), group)
            others.append(other)
        return {
            f"attribute changed %[{judge.name}]": float(np.mean(list(each.values()))),
            f"others changed %[{judge.name}]": float(np.mean(others)),
            f"attributes kept %[{judge.name}]": 100 * float((plain == truth)[:, legible].mean()),
            **each,
        }

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """Reconstructions, samples, walks, neighbours; with attributes a row for each (the first 20): a held-out image without it,
        its reconstruction, and this with the attribute's vector added in steps of a half up to twice its length."""
        paths = super().show(dataset, split, folder, stem)
        if "attributes" not in dataset.schema.fields:
            return paths
        vectors, items = self.attributes(dataset)[0], dataset[split].batch(spread(len(dataset[split]), 500))
        codes, rows, names = self.codes(items.image), {}, dataset.schema.arguments["attributes"]
        for k, vector in list(enumerate(torch.from_numpy(vectors).float()))[:20]:
            without = torch.nonzero(items.attributes[:, k] == 0)[:, 0]
            if len(without) and vector.isfinite().all():
                index = without[k % len(without)]  # another face a row
                steps = torch.linspace(0, 2, 5)[:, None] * vector  # (5, latent)
                rows[names[k]] = torch.cat([items.image[index : index + 1].cpu(), self.render(codes[index] + steps)])
        columns = ("face", "decoded", "+ 1/2", "+ 1", "+ 3/2", "+ 2")
        return [*paths, table(rows, columns, folder / f"{stem}-vectors.png")] if rows else paths


VARIANTS: dict[str, dict[str, object]] = {"vaegan": {}}

RECIPES = {
    "paper": Recipe(data="celeba", steps=250_000, batch_size=64, note="the length is not known here: about 100 epochs of CelebA"),
    "small": Recipe(
        data="avatars",
        steps=2300,
        batch_size=32,
        model={"image_size": 32, "width": 24, "latent": 64, "gamma": 1e-2, "margin": 0.35},
        optimizer={"lr": 1e-3, "decay_from": 0.5},
        judge="zoo-avatars",
        targets=(
            Target("attribute changed %[zoo-avatars]", at_least=80),
            Target("others changed %[zoo-avatars]", at_most=10),
        ),
    ),
    "smoke": Recipe(
        data="digits",
        steps=40,
        batch_size=32,
        model={"image_size": 16, "width": 4, "latent": 8, "gamma": 1e-2},
        optimizer={"lr": 1e-3, "decay_from": 0.5},
        precision="float32",
    ),
}
