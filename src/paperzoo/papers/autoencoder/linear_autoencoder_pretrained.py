"""A deep autoencoder pre-trained as restricted Boltzmann machines (Hinton and Salakhutdinov 2006), and logistic PCA beside it.

From small random weights a deep autoencoder of logistic units learns the mean image and little more. Weights from which it
learns are found one layer at a time: a layer v and the next, h, form a restricted Boltzmann machine, whose hidden units, summed out,
leave the free energy

    F(v) = -b.v - sum_j log(1 + exp(c_j + w_j.v)),        of linear hidden units  F(v) = -b.v - sum_j (c_j + w_j.v)^2 / 2.

One step of contrastive divergence lowers F at the data and raises it at what the machine makes of them, v' = sigma(b + W^T h) with h
drawn given v: the gradient is -(<v h>_data - <v' h>_reconstruction), equation 2 of the paper. What a machine's hidden units
say of the data is the next one's data. Then the stack is unrolled, W for the encoder and W^T for the decoder, and all is trained
by cross-entropy. Read ``Model.step`` first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD

from paperzoo.data import Batch
from paperzoo.errors import unknown
from paperzoo.papers.autoencoder import linear_autoencoder
from paperzoo.ranges import NotNegative, Part, Pixels, Share, Size, Sizes
from paperzoo.tasks.model import Optimizers, Players


def logistic(sizes: Sequence[int]) -> nn.Sequential:
    """Fully connected layers of these sizes with logistic units between them, none after the last; weights N(0, 0.1^2), biases 0."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layer = nn.Linear(inputs, outputs)
        nn.init.normal_(layer.weight, 0.0, 0.1)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.Sigmoid()]
    return nn.Sequential(*layers[:-1])


def free_energy(v: Tensor, weight: Tensor, b: Tensor, c: Tensor, linear: bool) -> Tensor:
    """F of visible units (N, V), one number each (N).

    Args:
        weight: (H, V).
        b: the visible units' biases (V).
        c: the hidden units' (H).
        linear: whether hidden units are linear with noise of variance 1, rather than logistic.
    """
    h = F.linear(v, weight, c)
    return -(v @ b) - (h.square() / 2 if linear else F.softplus(h)).sum(1)


def reconstruct(v: Tensor, weight: Tensor, b: Tensor, c: Tensor, linear: bool) -> Tensor:
    """Probabilities of the visible units (N, V) given hidden units that are drawn given ``v`` (N, V); arguments as above."""
    h = F.linear(v, weight, c)
    h = h + torch.randn_like(h) if linear else torch.bernoulli(h.sigmoid())
    return F.linear(h, weight.T, b).sigmoid()


class Model(linear_autoencoder.Model):
    """Encoder and decoder of logistic units with a linear code, pre-trained a layer at a time in the stages ``layer 1``, ``layer 2``, ...

    The stage ``all``, and a recipe without stages, trains all at once.

    Args:
        image_size, channels, code, hidden: as of ``linear_autoencoder.Model``; at least one hidden layer.
    """

    def __init__(
        self, *, image_size: Pixels = 28, channels: Size = 1, code: Size = 30, hidden: Sizes = (1000, 500, 250)
    ) -> None:
        super().__init__(image_size=image_size, channels=channels, code=code, hidden=hidden)
        sizes = [channels * image_size**2, *hidden, code]
        self.encoder, self.decoder = logistic(sizes), logistic(sizes[::-1])
        self.learning: int | None = None

    def stage(self, name: str) -> None:
        known = {f"layer {number + 1}": number for number in range(len(self.machines()))}
        if name not in (*known, "all"):
            raise unknown("stage", name, [*known, "all"], f"of {self.name}")
        self.learning = known.get(name)

    def machines(self) -> list[tuple[nn.Linear, nn.Linear]]:
        """The encoder's layers, each with the decoder's that leads back, from the image upwards."""
        up, down = ([layer for layer in net if isinstance(layer, nn.Linear)] for net in (self.encoder, self.decoder))
        return list(zip(up, down[::-1], strict=True))

    def optimizers(
        self, *, lr: NotNegative = 1e-3, decay_from: Share = 0.3, momentum: Part = 0.9, weight_decay: NotNegative = 2e-4
    ) -> Optimizers:
        """Adam for all at once. For one machine SGD with momentum, as in the paper's supporting text; weights decay, biases do not.

        The first tenth of a machine's steps has a fifth of the rate, which is what its momentum of 0.5 comes to there.
        """
        if self.learning is None:
            return super().optimizers(lr=lr, decay_from=decay_from)
        up, down = self.machines()[self.learning]
        groups: list[dict[str, Any]] = [{"params": [up.weight], "weight_decay": weight_decay}, {"params": [up.bias, down.bias]}]
        return {"autoencoder": (SGD(groups, lr, momentum), lambda step, total: 0.2 if step < total / 10 else 1.0)}

    def step(self, batch: Batch, opt: Players) -> None:
        x = batch.image.flatten(1)  # (N, C * H * W)
        if self.learning is None:
            opt.autoencoder.minimize(linear_autoencoder.cross_entropy(x, self.decoder(self.encoder(x))))
            return
        up, down = self.machines()[self.learning]
        with torch.no_grad():  # a layer and its units count two; what the machines below say of the data
            v = self.encoder[: 2 * self.learning](x)
            machine = (up.weight, down.bias, up.bias, self.learning == len(self.machines()) - 1)
            again = reconstruct(v, *machine)
        opt.autoencoder.minimize((free_energy(v, *machine) - free_energy(again, *machine)).mean())
        with torch.no_grad():
            down.weight.copy_(up.weight.T)


class LogisticPCA(linear_autoencoder.Model):
    """Linear encoder, and a decoder whose only layer ends in a logistic, trained by cross-entropy: what the paper calls logistic PCA."""

    def __init__(self, *, image_size: Pixels = 28, channels: Size = 1, code: Size = 30) -> None:
        super().__init__(image_size=image_size, channels=channels, code=code)
        self.linear = False
