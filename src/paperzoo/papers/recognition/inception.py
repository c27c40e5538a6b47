"""Rethinking the Inception Architecture for Computer Vision (Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, 2015).

An Inception block looks at its input through several windows at once and puts what they find side by side. This paper
makes the blocks cheap: a 5x5 convolution becomes two of 3x3 (section 3.1, figure 5), an n x n one becomes 1 x n and
n x 1 (section 3.2, figure 6), and resolution is halved by convolution and pooling side by side, so that nothing is
squeezed through a bottleneck (section 5, figure 10). Two regularisers come with it: a second classifier half-way up
whose loss is added (section 4), and labels smoothed by an even distribution over the K classes (section 7),

    q'(k) = (1 - epsilon) [k = y] + epsilon / K,        L = -sum_k q'(k) log p(k),        epsilon = 0.1.

Read ``InceptionA`` to ``InceptionE`` in their order; ``Inception`` stacks them as table 1 does. ``inception:fid`` is the
network behind published inception scores and Fréchet distances, with the weights that TensorFlow released in 2015.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer, RMSprop

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError, unknown
from paperzoo.nn.published import load_published
from paperzoo.records import Claim, Deviation, Paper, Recipe, Target
from paperzoo.tasks.classification import Classifier
from paperzoo.tasks.model import Players, Schedule

#: published weights: TensorFlow's as torchvision ported them (BSD-3-Clause), and those of the scores (Apache-2.0)
URLS = {
    "v3": {"imagenet": "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth"},
    "fid": {
        "fid": "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth"
    },
}

_GATED = "ImageNet cannot be fetched without registration"

PAPER = Paper(
    name="inception",
    title="Rethinking the Inception Architecture for Computer Vision",
    authors="Christian Szegedy, Vincent Vanhoucke, Sergey Ioffe, Jonathon Shlens, Zbigniew Wojna",
    year=2015,
    task="classification",
    arxiv="1512.00567",
    claims=(
        Claim("error %", "ImageNet", 21.2, "abstract", "memory", protocol="top-1, one crop, one model", not_measured=_GATED),
        Claim("top-5 error %", "ImageNet", 5.6, "abstract", "memory", protocol="one crop, one model", not_measured=_GATED),
    ),
    deviations=(
        Deviation(
            paper="table 1 gives no widths inside the blocks",
            here="those of the released network",
            why="the published weights have these shapes",
        ),
        Deviation(
            paper="does not say how much the half-way classifier's loss weighs, nor how much is dropped",
            here="0.4 of the loss; half of the last features",
            why="as in the programs that the weights were published with",
        ),
        Deviation(
            paper="50 copies of the network, 32 images each, updated asynchronously; RMSProp with decay 0.9, epsilon 1.0",
            here="one network, batches of 1,600 images, the same optimiser",
            why="as many images an update as the copies see together; a run should be the same twice",
        ),
        Deviation(
            paper="does not describe its crops",
            here="the middle square, mirrored at random",
            why="a window cut from a larger image would need another size than the half-way classifier's",
        ),
        Deviation(
            paper="299x299 images",
            here="the small recipes replace the stem, which quarters the side and more, by one 3x3 convolution, and have no "
            "half-way classifier, which needs 17x17",
            why="images of 28x28 would have vanished before the last block",
        ),
    ),
    parameters={"v3": 27_161_264, "fid": 23_850_960},
    fails=(
        "Fed with images of another range than [-1, 1] the published weights still answer, worse. As a judge the ported "
        "weights of ``v3`` give other scores than those of ``fid``: the networks differ in pooling, the weights altogether."
    ),
)


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
    """How wide the layers are, and how the blocks pool.

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


class InceptionA(nn.Module):
    """Figure 5: 5x5 as two 3x3; one 5x5 is left. For 35x35."""

    def __init__(self, inputs: int, pool: int, w: Sizes) -> None:
        super().__init__()
        self.w, self.outputs = w, 2 * w(64) + w(96) + w(pool)
        self.branch1x1 = Conv(inputs, w(64), 1)
        self.branch5x5_1 = Conv(inputs, w(48), 1)
        self.branch5x5_2 = Conv(w(48), w(64), 5)
        self.branch3x3dbl_1 = Conv(inputs, w(64), 1)
        self.branch3x3dbl_2 = Conv(w(64), w(96), 3)
        self.branch3x3dbl_3 = Conv(w(96), w(96), 3)
        self.branch_pool = Conv(inputs, w(pool), 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        five = self.branch5x5_2(self.branch5x5_1(x))
        twice = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, twice, self.branch_pool(self.w.pool(x))], 1)


class InceptionB(nn.Module):
    """Figure 10: half the resolution, by strides and by pooling side by side. 35x35 to 17x17."""

    def __init__(self, inputs: int, w: Sizes) -> None:
        super().__init__()
        self.outputs = w(384) + w(96) + inputs
        self.branch3x3 = Conv(inputs, w(384), 3, stride=2)
        self.branch3x3dbl_1 = Conv(inputs, w(64), 1)
        self.branch3x3dbl_2 = Conv(w(64), w(96), 3)
        self.branch3x3dbl_3 = Conv(w(96), w(96), 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, (H - 1) // 2, (W - 1) // 2)."""
        twice = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), twice, F.max_pool2d(x, 3, 2)], 1)


class InceptionC(nn.Module):
    """Figure 6 with n = 7: a 7x7 as 1x7 and 7x1, once and twice. For 17x17; ``inner`` is the width between them."""

    def __init__(self, inputs: int, inner: int, w: Sizes) -> None:
        super().__init__()
        self.w, self.outputs, c = w, 4 * w(192), w(inner)
        self.branch1x1 = Conv(inputs, w(192), 1)
        self.branch7x7_1 = Conv(inputs, c, 1)
        self.branch7x7_2 = Conv(c, c, 1, 7)
        self.branch7x7_3 = Conv(c, w(192), 7, 1)
        self.branch7x7dbl_1 = Conv(inputs, c, 1)
        self.branch7x7dbl_2 = Conv(c, c, 7, 1)
        self.branch7x7dbl_3 = Conv(c, c, 1, 7)
        self.branch7x7dbl_4 = Conv(c, c, 7, 1)
        self.branch7x7dbl_5 = Conv(c, w(192), 1, 7)
        self.branch_pool = Conv(inputs, w(192), 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        once = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        twice = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        twice = self.branch7x7dbl_5(self.branch7x7dbl_4(twice))
        return torch.cat([self.branch1x1(x), once, twice, self.branch_pool(self.w.pool(x))], 1)


class InceptionD(nn.Module):
    """Figure 10 again, a 7x7 before one of the strides. 17x17 to 8x8."""

    def __init__(self, inputs: int, w: Sizes) -> None:
        super().__init__()
        self.outputs = w(320) + w(192) + inputs
        self.branch3x3_1 = Conv(inputs, w(192), 1)
        self.branch3x3_2 = Conv(w(192), w(320), 3, stride=2)
        self.branch7x7x3_1 = Conv(inputs, w(192), 1)
        self.branch7x7x3_2 = Conv(w(192), w(192), 1, 7)
        self.branch7x7x3_3 = Conv(w(192), w(192), 7, 1)
        self.branch7x7x3_4 = Conv(w(192), w(192), 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, (H - 1) // 2, (W - 1) // 2)."""
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), seven, F.max_pool2d(x, 3, 2)], 1)


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
        self.Mixed_5b = InceptionA(w(192), 32, w)
        self.Mixed_5c = InceptionA(self.Mixed_5b.outputs, 64, w)
        self.Mixed_5d = InceptionA(self.Mixed_5c.outputs, 64, w)
        self.Mixed_6a = InceptionB(self.Mixed_5d.outputs, w)
        self.Mixed_6b = InceptionC(self.Mixed_6a.outputs, 128, w)
        self.Mixed_6c = InceptionC(self.Mixed_6b.outputs, 160, w)
        self.Mixed_6d = InceptionC(self.Mixed_6c.outputs, 160, w)
        self.Mixed_6e = InceptionC(self.Mixed_6d.outputs, 192, w)
        self.AuxLogits = HalfWay(self.Mixed_6e.outputs, classes, w) if aux else None
        self.Mixed_7a = InceptionD(self.Mixed_6e.outputs, w)
        self.Mixed_7b = InceptionE(self.Mixed_7a.outputs, w, last=False)
        self.Mixed_7c = InceptionE(self.Mixed_7b.outputs, w, last=True)
        self.fc = nn.Linear(self.Mixed_7c.outputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Images (N, C, S, S) in [-1, 1] to features (N, 2048), logits (N, classes) and, in training, the half-way logits."""
        x = self.Conv2d_1a_3x3(image)  # comments: for S = 299
        if not self.small:
            x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(x))  # (N, 64, 147, 147)
            x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))  # (N, 192, 71, 71)
            x = F.max_pool2d(x, 3, 2)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))  # (N, 288, 35, 35)
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))  # (N, 768, 17, 17)
        half_way = self.AuxLogits(x) if self.training and self.AuxLogits is not None else None
        features = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x))).mean((2, 3))  # (N, 2048, 8, 8) -> (N, 2048)
        return features, self.fc(F.dropout(features, self.dropout, self.training)), half_way


class Model(Classifier):
    """Inception v3 and RMSProp.

    Args:
        design: ``"v3"`` (state-dict keys as in torchvision) or ``"fid"`` (other pooling; see ``Sizes``).
        stem: ``"imagenet"``, or ``"small"``: one 3x3 convolution, for images of 7 pixels or more.
        aux: whether the half-way classifier is there. It needs 17x17 positions half-way: 299 pixels, or 35 with a small stem.
        width: factor on every layer's channels.
        image_size: height and width; the network takes any from 75 (small stem: 7) without the half-way classifier.
        dropout: share of the last features dropped in training.
        smoothing: epsilon of section 7.
        weights: ``"imagenet"`` for ``v3``, ``"fid"`` for ``fid``, or a local file; with other classes than the file's the
            last layer stays fresh.

    Raises:
        PaperzooError: an argument is out of range, or the weights cannot be had or do not fit.
    """

    def __init__(
        self,
        *,
        design: str = "v3",
        stem: str = "imagenet",
        aux: bool = True,
        width: float = 1.0,
        channels: int = 3,
        classes: int = 1000,
        image_size: int = 299,
        dropout: float = 0.5,
        smoothing: float = 0.1,
        weights: str = "",
    ) -> None:
        super().__init__()
        check(design, stem, aux, width, image_size, dropout, smoothing)
        self.channels, self.image_size, self.smoothing, self.design = channels, image_size, smoothing, design
        self.network = Inception(stem, aux, channels, classes, dropout, Sizes(width, design == "fid"))
        if weights:
            load_published(self.network, weights, URLS[design], head="fc.")

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, C, H, W) in [0, 1]."""
        return self.network(2 * image - 1)[1]  # type: ignore[no-any-return]

    def features(self, image: Tensor) -> Tensor:
        """The mean of the last block over positions, (N, 2048), for images (N, C, H, W) in [0, 1]."""
        return self.network(2 * image - 1)[0]  # type: ignore[no-any-return]

    def head(self, features: Tensor) -> Tensor:
        """Logits (N, classes) from ``features``; without the bias for ``fid``, as published inception scores are made."""
        return F.linear(features, self.network.fc.weight, None if self.design == "fid" else self.network.fc.bias)

    def optimizers(self, *, lr: float = 0.045, decay: float = 0.9, eps: float = 1.0, fall: float = 0.94) -> dict[str, Optimizer]:
        """RMSProp (section 8)."""
        return {"network": RMSprop(self.network.parameters(), lr, decay, eps)}

    def schedules(self, *, fall: float = 0.94, **others: float) -> dict[str, Schedule]:
        """The rate is multiplied by ``fall`` fifty times in a training: every second of 100 epochs (section 8)."""
        return {"network": lambda iteration, total: fall ** (50 * iteration // max(total, 1))}

    def step(self, batch: Batch, opt: Players) -> None:
        _, logits, half_way = self.network(2 * batch.image - 1)
        loss = F.cross_entropy(logits, batch.label, label_smoothing=self.smoothing)
        if half_way is not None:
            loss = loss + 0.4 * F.cross_entropy(half_way, batch.label, label_smoothing=self.smoothing)
        opt.network.minimize(loss)


def check(design: str, stem: str, aux: bool, width: float, image_size: int, dropout: float, smoothing: float) -> None:
    """Raises ``PaperzooError`` for arguments of ``Model`` that make no network."""
    for what, value, legal in (("design", design, tuple(URLS)), ("stem", stem, ("imagenet", "small"))):
        if value not in legal:
            raise unknown(what, value, legal, "of inception")
    whole, least = (35, 7) if stem == "small" else (299, 75)
    if aux and image_size != whole:
        raise PaperzooError(
            f"inception's half-way classifier needs images of {whole} pixels, not {image_size}: set model.aux=false"
        )
    if image_size < least:
        raise PaperzooError(f"image_size of inception must be at least {least} with the stem {stem!r}, not {image_size}")
    if width <= 0:
        raise PaperzooError(f"width of inception must be positive, not {width:g}")
    shares: Sequence[tuple[str, float]] = (("dropout", dropout), ("smoothing", smoothing))
    for what, share in shares:
        if not 0 <= share < 1:
            raise PaperzooError(f"{what} of inception must be in [0, 1), not {share:g}")


VARIANTS: dict[str, dict[str, object]] = {"v3": {}, "fid": {"design": "fid", "aux": False, "classes": 1008}}

_LITTLE = {"stem": "small", "aux": False, "channels": 1, "classes": 10}

RECIPES = {
    "paper": Recipe(
        data="imagenet",
        steps=80_000,
        batch_size=1600,
        augment=("crop299", "flip"),
        model={"image_size": 299},
        clip=2.0,
        variants=("v3",),
        note="100 epochs (section 8); not run here: ImageNet cannot be fetched without registration",
    ),
    "small": Recipe(
        data="mnist-5k",
        steps=500,
        batch_size=64,
        augment=("shift2",),
        model={**_LITTLE, "width": 0.125, "image_size": 28, "dropout": 0.2},
        optimizer={"lr": 0.01, "eps": 1e-3},
        clip=2.0,
        targets=(Target("error %", at_most=2.5),),
        variants=("v3",),
        note="5,000 digits at 28x28",
    ),
    "smoke": Recipe(
        data="digits",
        steps=32,
        batch_size=32,
        model={**_LITTLE, "width": 0.0625, "image_size": 8, "dropout": 0.0},
        optimizer={"lr": 0.01, "eps": 1e-3},
        precision="float32",
        variants=("v3",),
    ),
}
