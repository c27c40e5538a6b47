"""Adversarial autoencoders that take class and style apart (Makhzani et al. 2015, sections 5 and 6).

The encoder gives a class y beside the style z. Each batch has the two phases of ``aae.py``, with one adversary that holds y to
one-hot vectors and another that holds z to a Gaussian; ``aae:semi`` has a third, on the few images that are labelled:

    classification    min over encoder:  -log q(y|x),        q(y|x) = softmax of the encoder's logits.

Without it, and with more values of y than classes, it clusters (``aae:clusters``). Read ``aae.py``, then ``Factored.step``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paperzoo.data import Batch, Dataset
from paperzoo.errors import PaperzooError
from paperzoo.metrics.matching import purity
from paperzoo.papers.autoencoder.aae import (
    Adversarial,
    Decoder,
    Discriminator,
    dense,
    discriminator_loss,
    generator_loss,
    reconstruction_loss,
)
from paperzoo.ranges import NotNegative, Pixels, Several, Size
from paperzoo.tasks.classification import Classifier
from paperzoo.tasks.generation import noise, spread
from paperzoo.tasks.model import Players
from paperzoo.tasks.pictures import compact, grid, save
from paperzoo.tasks.reconstruction import check_range


class Content(NamedTuple):
    """A factored encoder's output for N images: ``logits`` (N, heads) of the class, ``style`` (N, D)."""

    logits: Tensor
    style: Tensor


class FactoredEncoder(nn.Module):
    """Images (N, C, S, S) to ``Content``: q(y|x) and q(z|x) on one body (figure 8).

    Batch normalisation of the logits keeps y from ending in few of its values: each is larger than usual for some of the images.
    """

    def __init__(self, pixels: int, width: int, heads: int, style: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*list(dense(pixels, width, 1))[:-1])
        self.content, self.style = nn.Linear(width, heads), nn.Linear(width, style)
        self.normalise = nn.BatchNorm1d(heads)

    def forward(self, image: Tensor) -> Content:
        h = self.body(image.flatten(1))  # (N, C * S * S) -> (N, width)
        return Content(self.normalise(self.content(h)), self.style(h))


class Factored(Adversarial):
    """A code of two parts, a class y of ``heads`` and a style z, each with an adversary; a latent vector is [one-hot y, z]."""

    def __init__(self, image_size: int, channels: int, heads: int, style: int, width: int, noise: float) -> None:
        super().__init__()
        self.image_size, self.channels, self.heads, self.noise = image_size, channels, heads, noise
        self.latent = heads + style
        self.encoder = FactoredEncoder(channels * image_size**2, width, heads, style)
        self.decoder = Decoder(self.latent, width, channels, image_size)
        self.content_discriminator = Discriminator(heads, width)
        self.style_discriminator = Discriminator(style, width)

    def players(self) -> dict[str, list[nn.Module]]:
        return {
            "autoencoder": [self.encoder, self.decoder],
            "content_discriminator": [self.content_discriminator],
            "style_discriminator": [self.style_discriminator],
            "generator": [self.encoder],
        }

    def step(self, batch: Batch, opt: Players) -> None:
        corrupted = self.corrupt(batch.image)
        opt.autoencoder.minimize(reconstruction_loss(self.decoder(self.join(self.encoder(corrupted))), batch.image))
        prior_y, prior_z = self.parts(self.draw(len(batch)))
        y, z = self.parts(self.join(self.encoder(corrupted)))
        for adversary, prior, code in (("content", prior_y, y), ("style", prior_z, z)):
            judge = self.get_submodule(f"{adversary}_discriminator")
            opt.minimize(**{f"{adversary}_discriminator": discriminator_loss(judge(prior), judge(code.detach()))})
        opt.generator.minimize(generator_loss(self.content_discriminator(y)) + generator_loss(self.style_discriminator(z)))

    def corrupt(self, image: Tensor) -> Tensor:
        """The images with Gaussian noise of deviation ``noise``."""
        return image + self.noise * torch.randn_like(image) if self.noise else image

    def join(self, content: Content) -> Tensor:
        """Codes (N, latent): probabilities of the class, and the style."""
        return torch.cat([content.logits.softmax(1), content.style], 1)

    def parts(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """Class (N, heads) and style (N, latent - heads) of codes (N, latent)."""
        return code[:, : self.heads], code[:, self.heads :]

    def held(self, code: Tensor) -> Tensor:
        return self.parts(code)[1]

    def draw(self, items: int) -> Tensor:
        device = next(self.parameters()).device
        one_hot = F.one_hot(torch.randint(self.heads, (items,), device=device), self.heads).float()
        return torch.cat([one_hot, torch.randn(items, self.latent - self.heads, device=device)], 1)

    def latents(self, items: int, seed: int) -> Tensor:
        """Latent vectors (items, latent); sample i is of class ``i % heads``."""
        if items < 1:
            raise PaperzooError(f"cannot draw {items} samples: ask for at least 1")
        one_hot = F.one_hot(torch.arange(items) % self.heads, self.heads).float()
        return torch.cat([one_hot, noise(items, self.latent - self.heads, "normal", seed)], 1)

    def encode(self, image: Tensor) -> Tensor:
        return self.join(self.encoder(check_range(image)))

    def show(self, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """The figures of its tasks, and a grid with a row a class (the first 20) and the same style down each column; zero in the first."""
        rows, style = min(self.heads, 20), noise(10, self.latent - self.heads, "normal", 0)
        style[0] = 0
        one_hot = F.one_hot(torch.arange(rows).repeat_interleave(10), self.heads).float()
        picture = grid(self.render(torch.cat([one_hot, style.repeat(rows, 1)], 1)), 10)  # (rows * 10, latent)
        return [*super().show(dataset, split, folder, stem), save(compact(picture), folder / f"{stem}-styles.png")]


class Semi(Classifier, Factored):
    """Semi-supervised: the heads are the classes, and a third phase teaches them from few labelled images (section 5).

    Args:
        image_size, channels, classes: of the data.
        style: dimensions of z.
        width: units of each hidden layer.
        noise: deviation of the Gaussian noise added to the encoder's input while training.
    """

    needs = ("image", "labelled")

    def __init__(
        self,
        *,
        image_size: Pixels = 28,
        channels: Size = 1,
        classes: Several = 10,
        style: Size = 10,
        width: Size = 1000,
        noise: NotNegative = 0.3,
    ) -> None:
        super().__init__(image_size, channels, classes, style, width, noise)

    def players(self) -> dict[str, list[nn.Module]]:
        return {**super().players(), "classifier": [self.encoder.body, self.encoder.content]}

    def step(self, batch: Batch, opt: Players) -> None:
        super().step(batch, opt)
        opt.classifier.minimize(F.cross_entropy(self.encoder(self.corrupt(batch.labelled)).logits, batch.label))

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, C, S, S) in [0, 1]."""
        logits: Tensor = self.encoder(image).logits
        return logits

    def _last(self) -> nn.Linear:
        return self.encoder.content


class Clusters(Factored):
    """Unsupervised: more heads than classes, each a cluster (section 6).

    Args:
        image_size, channels: of the images.
        clusters: values of y.
        style: dimensions of z.
        width: units of each hidden layer.
        noise: deviation of the Gaussian noise added to the encoder's input while training.
    """

    def __init__(
        self,
        *,
        image_size: Pixels = 28,
        channels: Size = 1,
        clusters: Several = 16,
        style: Size = 5,
        width: Size = 1000,
        noise: NotNegative = 0.0,
    ) -> None:
        super().__init__(image_size, channels, clusters, style, width, noise)

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """The metrics of its tasks, and with labelled data ``cluster error %``, ``purity %`` and ``clusters used``.

        Each cluster takes the label of the one image of the validation split (if there is none, among 20,000 of the training split)
        that is in it with the highest probability; the error is that of these labels on ``split`` (section 6). The purity is that
        of the clusters on ``split`` itself. A cluster is used if it holds an image.
        """
        metrics = super().measure(dataset, split, judge)
        if "label" not in dataset.schema.fields:
            return metrics
        log_q, label = self.assign(dataset, "validation" if "validation" in dataset.splits else "train")
        name = label[log_q.argmax(0)]  # (clusters)
        log_q, label = self.assign(dataset, split)
        cluster = log_q.argmax(1)
        metrics["cluster error %"] = 100 * float((name[cluster] != label).float().mean())
        metrics["purity %"] = purity(cluster.numpy(), label.numpy())
        return {**metrics, "clusters used": len(set(cluster.tolist()))}

    def assign(self, dataset: Dataset, split: str) -> tuple[Tensor, Tensor]:
        """log q(y|x) (N, clusters), as many q are 1 in float32, and the labels (N) of at most 20,000 images of a split."""
        items, device = dataset[split], next(self.parameters()).device
        chosen = spread(len(items), 20_000)
        batches = [items.batch(chosen[start : start + 1000]) for start in range(0, len(chosen), 1000)]
        log_q = [self.encoder(batch.image.to(device)).logits.double().log_softmax(1).cpu() for batch in batches]
        return torch.cat(log_q), torch.cat([batch.label.cpu() for batch in batches])
