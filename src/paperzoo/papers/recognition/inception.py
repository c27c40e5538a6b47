"""Rethinking the Inception Architecture for Computer Vision (Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, 2015).

An Inception block looks at its input through several windows at once and puts what they find side by side (``googlenet.py``). This
paper makes the blocks cheap: a 5x5 convolution becomes two of 3x3 (section 3.1, figure 5), an n x n one 1 x n and n x 1 (section
3.2, figure 6), and resolution is halved by convolution and pooling side by side, so that nothing is squeezed through a bottleneck
(section 5, figure 10). Two regularisers come with it: one classifier half-way up whose loss is added (section 4), and labels
smoothed by an even distribution over the K classes (section 7),

    q'(k) = (1 - epsilon) [k = y] + epsilon / K,        L = -sum_k q'(k) log p(k),        epsilon = 0.1.

Read ``Branches`` and ``inception_a`` to ``InceptionE`` in their order; ``Inception`` stacks them as table 1 does. ``inception:fid``
is the network of published inception scores and Fréchet distances, with the weights that TensorFlow released in 2015.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import RMSprop

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.nn.schedules import exponential
from paperzoo.pretrained.published import imagenet_names, load_published
from paperzoo.ranges import NotNegative, Part, Pixels, Positive, Share, Size, Whole
from paperzoo.records import Recipe, Target
from paperzoo.tasks.classification import Classifier
from paperzoo.tasks.model import Optimizers, Players


class Conv(nn.Module):
    """Convolution, batch normalisation, ReLU: what each box of the figures stands for.

    Padded so that the sides stay as they are, but not with a stride or if ``valid``.
    """

    def __init__(self, inputs: int, outputs: int, *kernel: int, stride: int = 1, valid: bool = False) -> None:
        super().__init__()
        high, wide = kernel if len(kernel) == 2 else kernel * 2
        padding = (0, 0) if valid or stride > 1 else (high // 2, wide // 2)
        self.conv = nn.Conv2d(inputs, outputs, (high, wide), stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H', W')."""
        return F.relu(self.bn(self.conv(x)))


class Sizes:
    """Widths of the layers, and pooling of the blocks.

    Args:
        width: factor on every number of channels.
        fid: averages leave out what lies beyond the border, and the last block takes maxima, as the 2015 network does.
    """

    def __init__(self, width: float, fid: bool) -> None:
        self.width, self.fid = width, fid

    def __call__(self, channels: int) -> int:
        return max(1, round(channels * self.width))

    def pool(self, x: Tensor, last: bool = False) -> Tensor:
        """3x3 at stride 1; (N, C, H, W) to the same shape."""
        if self.fid and last:
            return F.max_pool2d(x, 3, 1, 1)
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=not self.fid)


#: the convolutions of a row of ``Branches``: channels, and one or two sides of the kernel
Row = Sequence[tuple[int, ...]]


class Branches(nn.Module):
    """Rows of convolutions over the same input, their outputs put side by side: (N, inputs, H, W) to (N, outputs, H', W').

    Args:
        rows: by name, the convolutions of a row from the input on, as (channels, kernel) or (channels, height, width).
        stride: of each row's last convolution. With 2, a maximum pooling stands beside the rows; with 1, see ``pool``.
        pool: channels of a 1x1 convolution over a 3x3 pooling, beside the rows.
    """

    def __init__(self, inputs: int, w: Sizes, rows: Mapping[str, Row], stride: int = 1, pool: int = 0) -> None:
        super().__init__()
        self.w, self.stride, self.names, self.outputs = w, stride, [], 0
        for row, convolutions in rows.items():
            names = [f"{row}_{i + 1}" for i in range(len(convolutions))] if len(convolutions) > 1 else [row]
            before = inputs
            for name, (channels, *kernel) in zip(names, convolutions, strict=True):
                self.add_module(name, Conv(before, w(channels), *kernel, stride=stride if name == names[-1] else 1))
                before = w(channels)
            self.names.append(names)
            self.outputs += before
        if stride == 1:
            self.branch_pool = Conv(inputs, w(pool), 1)
        self.outputs += w(pool) if stride == 1 else inputs

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for names in self.names:
            y = x
            for name in names:
                y = self.get_submodule(name)(y)
            outputs.append(y)
        pooled = self.branch_pool(self.w.pool(x)) if self.stride == 1 else F.max_pool2d(x, 3, 2)
        return torch.cat([*outputs, pooled], 1)


def inception_a(inputs: int, pool: int, w: Sizes) -> Branches:
    """Figure 5: 5x5 as two 3x3; one 5x5 is left. For 35x35."""
    rows: dict[str, Row] = {
        "branch1x1": [(64, 1)],
        "branch5x5": [(48, 1), (64, 5)],
        "branch3x3dbl": [(64, 1), (96, 3), (96, 3)],
    }
    return Branches(inputs, w, rows, pool=pool)


def inception_b(inputs: int, w: Sizes) -> Branches:
    """Figure 10: half the resolution, by strides and by pooling side by side. 35x35 to 17x17."""
    return Branches(inputs, w, {"branch3x3": [(384, 3)], "branch3x3dbl": [(64, 1), (96, 3), (96, 3)]}, stride=2)


def inception_c(inputs: int, c: int, w: Sizes) -> Branches:
    """Figure 6 with n = 7: a 7x7 as 1x7 and 7x1, once and twice. For 17x17; ``c`` is the width between them."""
    rows: dict[str, Row] = {
        "branch1x1": [(192, 1)],
        "branch7x7": [(c, 1), (c, 1, 7), (192, 7, 1)],
        "branch7x7dbl": [(c, 1), (c, 7, 1), (c, 1, 7), (c, 7, 1), (192, 1, 7)],
    }
    return Branches(inputs, w, rows, pool=192)


def inception_d(inputs: int, w: Sizes) -> Branches:
    """Figure 10 again, a 7x7 before one of the strides. 17x17 to 8x8."""
    rows: dict[str, Row] = {
        "branch3x3": [(192, 1), (320, 3)],
        "branch7x7x3": [(192, 1), (192, 1, 7), (192, 7, 1), (192, 3)],
    }
    return Branches(inputs, w, rows, stride=2)


class InceptionE(nn.Module):
    """Figure 7: 1x3 and 3x1 side by side instead of one after the other, for many features on the coarsest grid, 8x8."""

    def __init__(self, inputs: int, w: Sizes, last: bool) -> None:
        super().__init__()
        self.w, self.last, self.outputs = w, last, w(320) + 4 * w(384) + w(192)
        self.branch1x1 = Conv(inputs, w(320), 1)
        self.branch3x3_1 = Conv(inputs, w(384), 1)
        self.branch3x3_2a = Conv(w(384), w(384), 1, 3)
        self.branch3x3_2b = Conv(w(384), w(384), 3, 1)
        self.branch3x3dbl_1 = Conv(inputs, w(448), 1)
        self.branch3x3dbl_2 = Conv(w(448), w(384), 3)
        self.branch3x3dbl_3a = Conv(w(384), w(384), 1, 3)
        self.branch3x3dbl_3b = Conv(w(384), w(384), 3, 1)
        self.branch_pool = Conv(inputs, w(192), 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        once, twice = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        sides = [self.branch3x3_2a(once), self.branch3x3_2b(once), self.branch3x3dbl_3a(twice), self.branch3x3dbl_3b(twice)]
        return torch.cat([self.branch1x1(x), *sides, self.branch_pool(self.w.pool(x, self.last))], 1)


class HalfWay(nn.Module):
    """The second classifier, on the 17x17 grid (section 4, figure 8)."""

    def __init__(self, inputs: int, classes: int, w: Sizes) -> None:
        super().__init__()
        self.conv0 = Conv(inputs, w(128), 1)
        self.conv1 = Conv(w(128), w(768), 5, valid=True)
        self.fc = nn.Linear(w(768), classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, 17, 17) to logits (N, classes)."""
        h = self.conv1(self.conv0(F.avg_pool2d(x, 5, 3)))  # (N, 768, 1, 1)
        return self.fc(h.mean((2, 3)))  # type: ignore[no-any-return]


class Inception(nn.Module):
    """Table 1: stem, three blocks at 35x35, five at 17x17, two at 8x8, the mean over positions, one linear layer."""

    def __init__(self, stem: str, aux: bool, channels: int, classes: int, dropout: float, w: Sizes) -> None:
        super().__init__()
        self.small, self.dropout = stem == "small", dropout
        if self.small:
            self.Conv2d_1a_3x3 = Conv(channels, w(192), 3)
        else:
            self.Conv2d_1a_3x3 = Conv(channels, w(32), 3, stride=2)
            self.Conv2d_2a_3x3 = Conv(w(32), w(32), 3, valid=True)
            self.Conv2d_2b_3x3 = Conv(w(32), w(64), 3)
            self.Conv2d_3b_1x1 = Conv(w(64), w(80), 1)
            self.Conv2d_4a_3x3 = Conv(w(80), w(192), 3, valid=True)
        self.Mixed_5b = inception_a(w(192), 32, w)
        self.Mixed_5c = inception_a(self.Mixed_5b.outputs, 64, w)
        self.Mixed_5d = inception_a(self.Mixed_5c.outputs, 64, w)
        self.Mixed_6a = inception_b(self.Mixed_5d.outputs, w)
        self.Mixed_6b = inception_c(self.Mixed_6a.outputs, 128, w)
        self.Mixed_6c = inception_c(self.Mixed_6b.outputs, 160, w)
        self.Mixed_6d = inception_c(self.Mixed_6c.outputs, 160, w)
        self.Mixed_6e = inception_c(self.Mixed_6d.outputs, 192, w)
        self.AuxLogits = HalfWay(self.Mixed_6e.outputs, classes, w) if aux else None
        self.Mixed_7a = inception_d(self.Mixed_6e.outputs, w)
        self.Mixed_7b = InceptionE(self.Mixed_7a.outputs, w, last=False)
        self.Mixed_7c = InceptionE(self.Mixed_7b.outputs, w, last=True)
        self.fc = nn.Linear(self.Mixed_7c.outputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Images (N, C, S, S) in [-1, 1] to features (N, 2048), logits (N, classes) and, in training, the half-way logits."""
        x = self.Conv2d_1a_3x3(image)  # comments: for S = 299
        if not self.small:
            x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(x))  # (N, 64, 147, 147)
            x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))  # (N, 192, 71, 71)
            x = F.max_pool2d(x, 3, 2)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))  # (N, 288, 35, 35)
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))  # (N, 768, 17, 17)
        half_way = (self.AuxLogits(x),) if self.training and self.AuxLogits is not None else ()
        features = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x))).mean((2, 3))  # (N, 2048, 8, 8) -> (N, 2048)
        return features, self.fc(F.dropout(features, self.dropout, self.training)), half_way


#: published weights: TensorFlow's as torchvision ported them (BSD-3-Clause), and those of the scores (Apache-2.0)
URLS = {
    "v3": {"imagenet": "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth"},
    "fid": {"fid": "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth"},
}


class Model(Classifier):
    """Inception v3, trained by RMSProp.

    Args:
        design: ``"v3"`` (state-dict keys as in torchvision), or ``"fid"`` (other pooling; see ``Sizes``).
        stem: ``"imagenet"``, or ``"small"``: one 3x3 convolution, for images of 7 pixels or more.
        aux: whether the half-way classifier is there. It needs 17x17 positions half-way: 299 pixels, or 35 with a small stem.
        width: factor on every layer's channels.
        image_size: height and width; without the half-way classifier the network takes any from 75 (small stem: 7).
        dropout: share of the last features dropped in training.
        smoothing: epsilon of section 7.
        weights: ``"imagenet"`` for ``v3``, ``"fid"`` for ``fid``, or a local file; with other classes than the file's the last
            layers stay fresh.

    Raises:
        PaperzooError: an argument is out of range, or the weights cannot be had or do not fit.
    """

    def __init__(
        self,
        *,
        design: Literal["v3", "fid"] = "v3",
        stem: Literal["imagenet", "small"] = "imagenet",
        aux: bool = True,
        width: Positive = 1.0,
        channels: Size = 3,
        classes: Size = 1000,
        image_size: Pixels = 299,
        dropout: Part = 0.5,
        smoothing: Part = 0.1,
        weights: str = "",
    ) -> None:
        super().__init__()
        whole, least = (35, 7) if stem == "small" else (299, 75)
        if aux and image_size != whole:
            raise PaperzooError(
                f"inception's half-way classifier needs images of {whole} pixels, not {image_size}: set model.aux=false"
            )
        if image_size < least:
            raise PaperzooError(f"image_size of inception must be at least {least} with the stem {stem!r}, not {image_size}")
        self.channels, self.image_size, self.smoothing, self.design = channels, image_size, smoothing, design
        self.network = Inception(stem, aux, channels, classes, dropout, Sizes(width, design == "fid"))
        if weights:
            load_published(self.network, weights, URLS[design], ("fc.", "AuxLogits.fc."), spare=("AuxLogits.",))
        if weights == "imagenet" and classes == 1000:
            self.names, self.short_side = imagenet_names(), round(image_size * 8 / 7)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, C, H, W) in [0, 1]."""
        return self.network(2 * image - 1)[1]  # type: ignore[no-any-return]

    def features(self, image: Tensor) -> Tensor:
        """The mean of the last block over positions, (N, 2048), for images (N, C, H, W) in [0, 1]."""
        return self.network(2 * image - 1)[0]  # type: ignore[no-any-return]

    def head(self, features: Tensor) -> Tensor:
        """Logits (N, classes) from ``features``; without the bias for ``fid``, as published inception scores are made."""
        return F.linear(features, self.network.fc.weight, None if self.design == "fid" else self.network.fc.bias)

    def optimizers(
        self,
        *,
        lr: NotNegative = 0.045,
        decay: Share = 0.9,
        eps: NotNegative = 1.0,
        fall: Share = 0.94,
        falls: Whole = 50,
    ) -> Optimizers:
        """RMSProp (section 8).

        The rate is multiplied by ``fall`` as many times as ``falls`` says: every second of 100 epochs (section 8).
        """
        return {"network": (RMSprop(self.network.parameters(), lr, decay, eps), exponential(fall, falls))}

    def step(self, batch: Batch, opt: Players) -> None:
        """One step on the cross-entropy of the last classifier and a share of the auxiliary one's."""
        _, logits, half_way = self.network(2 * batch.image - 1)
        loss = F.cross_entropy(logits, batch.label, label_smoothing=self.smoothing)
        for early in half_way:
            loss = loss + 0.4 * F.cross_entropy(early, batch.label, label_smoothing=self.smoothing)
        opt.network.minimize(loss)


VARIANTS: dict[str, dict[str, object]] = {"v3": {}, "fid": {"design": "fid", "aux": False, "classes": 1008}}

_LITTLE = {"stem": "small", "aux": False, "channels": 1, "classes": 10}
RECIPES = {
    "paper": Recipe(
        "imagenet", 80_000, 1600, augment=("crop299", "flip"), model={"image_size": 299}, clip=2.0, variants=("v3",),
        note="100 epochs (section 8); not run here: ImageNet cannot be fetched without registration",
    ),
    "small": Recipe(
        "mnist-5k", 500, augment=("shift2",), model={**_LITTLE, "width": 0.125, "image_size": 28, "dropout": 0.2},
        optimizer={"lr": 0.01, "eps": 1e-3}, clip=2.0, variants=("v3",), targets=(Target("error %", at_most=2.5),),
        note="5,000 digits at 28x28",
    ),
    "smoke": Recipe(
        "digits", 32, 32, model={**_LITTLE, "width": 0.0625, "image_size": 8, "dropout": 0.0},
        optimizer={"lr": 0.01, "eps": 1e-3}, precision="float32", variants=("v3",),
    ),
}  # fmt: skip
