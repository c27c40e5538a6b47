"""Scattering: a convolutional network whose filters nobody trains (Bruna and Mallat 2012).

A shift or a small deformation of an image changes its pixels much and its meaning not at all. Averaging forgets shifts, and
with them everything else but the mean. So wavelets first take up what averaging would lose, at J scales and L angles; their
modulus forgets the phase, which is where a shift shows; and what comes out is averaged, and taken up again in its turn,

    S_0 x = x * phi,    S_1 x = |x * psi_1| * phi,    S_2 x = ||x * psi_1| * psi_2| * phi,                (section 2)

with psi_2 of a larger scale than psi_1, for the modulus moves energy to lower frequencies only. phi averages over about 2^J
pixels. No distance between images grows, and a deformation changes it in proportion to how much it bends. What is left to learn is
simple: for each class, the mean and the directions in which it varies (section 4.1), or any classifier of scikit-learn.

Read ``Scattering2D``, then ``affine_spaces.py``. Filters and padding are those of kymatio (Andreux et al. 2018), whose
coefficients these are.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from annotated_types import Ge, Le
from torch import Tensor, nn

from paperzoo.data import Batch, Dataset
from paperzoo.errors import PaperzooError
from paperzoo.nn.fitted import Fitted, Forest, Kernel, Linear
from paperzoo.papers.wavelets.affine_spaces import AffineSpaces
from paperzoo.papers.wavelets.morlet import average_matrix, crop, morlet
from paperzoo.papers.wavelets.scattering_task import ScatteringClassification
from paperzoo.ranges import NotNegative, Pixels, Several, Size, Whole
from paperzoo.records import Recipe, Target
from paperzoo.tasks.classification import Classifier
from paperzoo.tasks.model import Players
from paperzoo.tasks.task import Task


class Scattering2D(nn.Module):
    """Images (N, C, H, W) to coefficients (N, C, P, H // 2^J, W // 2^J) of P = 1 + J L + L^2 J (J - 1) / 2 paths.

    Paths stand in the order of ``paths()``. There is nothing to train, and nothing is saved: the filters are made anew.

    Args:
        J: scales; the last average is over about 2^J pixels.
        L: angles, evenly spaced over half a turn.
        order: how many wavelets follow each other at most, 0 to 2.

    Raises:
        PaperzooError: a value out of range, or 2^J not smaller than the image.
    """

    def __init__(self, J: int, L: int, height: int, width: int, order: int = 2) -> None:
        super().__init__()
        if min(height, width) <= 2**J:
            most = (min(height, width) - 1).bit_length() - 1
            fits = f"J at most {most} fits" if most > 0 else "none fits"
            raise PaperzooError(f"J={J} averages over {2**J} pixels, too many for images of {height}x{width}: {fits}")
        self.J, self.L, self.order, self.shape = J, L, order, (height, width)
        step = 2**J
        rows, columns = ((n // step + 2) * step for n in (height, width))  # with a border of up to 2^J
        self.border = ((columns - width) // 2, (columns - width + 1) // 2, (rows - height) // 2, (rows - height + 1) // 2)
        self.pixels = rows * columns
        for j in range(J):
            bank = np.stack([np.fft.fft2(morlet(rows, columns, j, turn, L)).real for turn in range(L)])
            for r in {0, *range(j)}:  # the signal that psi_j meets has been subsampled by 2^r
                self._keep(f"psi_{j}_{r}", crop(crop(bank, r, 1), r, 2))  # (L, rows / 2^r, columns / 2^r)
            self._keep(f"low_rows_{j}", average_matrix(rows, J, j))  # (H // 2^J, rows / 2^j)
            self._keep(f"low_columns_{j}", average_matrix(columns, J, j))

    def _keep(self, name: str, filter: np.ndarray) -> None:
        self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(filter, np.float32)), persistent=False)

    def paths(self) -> list[tuple[tuple[int, int], ...]]:
        """For each coefficient its wavelets' (scale j, angle); none, one or two of them."""
        first = [(j, turn) for j in range(self.J) for turn in range(self.L)]
        second = [(a, b) for a in first for b in first if b[0] > a[0]]
        return [(), *((a,) for a in first), *second][: self.count()]

    def count(self) -> int:
        """The number P of paths."""
        J, L = self.J, self.L
        return 1 + (J * L if self.order > 0 else 0) + (L * L * J * (J - 1) // 2 if self.order > 1 else 0)

    def wavelet(self, spectrum: Tensor, j: int, r: int) -> Tensor:
        """``|x * psi_j|`` at 2^j times fewer pixels a side; x is given by its spectrum, at 2^r times fewer.

        (..., H / 2^r, W / 2^r) to (..., L, H / 2^j, W / 2^j). Every k-th pixel of a signal has the spectrum folded k times.
        """
        y = (spectrum / 4 ** (j - r)).unsqueeze(-3) * self.get_buffer(f"psi_{j}_{r}")
        for _ in range(j - r):
            m, n = y.shape[-2] // 2, y.shape[-1] // 2
            y = y[..., :m, :] + y[..., m:, :]
            y = y[..., :n] + y[..., n:]
        modulus: Tensor = torch.fft.ifft2(y).abs()  # the gradient of |0| is 0
        return modulus

    def average(self, u: Tensor, r: int) -> Tensor:
        """``u * phi`` at 2^J times fewer pixels, without the border; u (..., H / 2^r, W / 2^r) has 2^r times fewer.

        A Gaussian is the product of one along rows and one along columns: two small matrices do what two FFTs would.
        """
        return self.get_buffer(f"low_rows_{r}") @ (u @ self.get_buffer(f"low_columns_{r}").T)

    def forward(self, image: Tensor) -> Tensor:
        """See the class. Differentiable.

        Raises:
            PaperzooError: images of another size.
        """
        if tuple(image.shape[-2:]) != self.shape or image.ndim != 4:
            raise PaperzooError(f"scattering of images (N, C, {self.shape[0]}, {self.shape[1]}), not {tuple(image.shape)}")
        flat = image.flatten(0, 1)  # (N * C, H, W)
        few = max(1, 10_000 // self.pixels) if image.device.type == "cpu" else 1024  # that stay in the processor's cache
        coefficients = torch.cat([self._transform(part) for part in torch.split(flat, few)])  # (N * C, P, h, w)
        return coefficients.view(*image.shape[:2], *coefficients.shape[1:])

    def _transform(self, x: Tensor) -> Tensor:
        x = F.pad(x[:, None], self.border, mode="reflect")[:, 0]  # (N, rows, columns)
        zeroth, first, second = self.average(x, 0)[:, None], [], []
        spectrum = torch.fft.fft2(x)
        for j in range(self.J if self.order else 0):
            u = self.wavelet(spectrum, j, 0)  # (N, L, rows / 2^j, columns / 2^j)
            first.append(self.average(u, j))
            if self.order == 2 and j + 1 < self.J:
                again = torch.fft.fft2(u)
                larger = [self.average(self.wavelet(again, k, j), k) for k in range(j + 1, self.J)]  # each (N, L, L, h, w)
                second.append(torch.stack(larger, 2).flatten(1, 3))  # (N, L, scales, L, h, w) to (N, L * scales * L, h, w)
        return torch.cat([zeroth, *first, *second], 1)


Kind = Literal["affine", "lda", "logistic", "svm", "rbf", "forest"]


class Model(Classifier):
    """Features that are given, and a classifier that is fitted to them in one step.

    Args:
        classifier: ``"affine"`` (the paper's affine spaces), ``"lda"``, ``"logistic"``, ``"svm"`` (linear), ``"rbf"`` (the
            paper's Gaussian SVM) or ``"forest"``.
        features: ``"scattering"``, or ``"pixels"`` for comparison.
        J: scales.
        L: angles.
        order: 0, 1 or 2.
        renormalise: whether the coefficients of each path are divided by the largest norm that they have over the training images.
        images: training images to fit on, drawn at random; 0 for all.
        cost: ``C`` of the support vector machines and of logistic regression; 0 means 10 for ``rbf`` and 0.01 for the others.
        dimension: the most directions of an affine space.
        room: training images there is room for in what ``rbf`` and ``forest`` keep.

    Raises:
        PaperzooError: an unknown name, or a value out of range.
    """

    tasks: ClassVar[tuple[Task, ...]] = (ScatteringClassification(),)

    def __init__(
        self,
        *,
        classifier: Kind = "affine",
        features: Literal["scattering", "pixels"] = "scattering",
        J: Annotated[int, Ge(1), Le(10)] = 3,
        L: Annotated[int, Ge(1), Le(64)] = 8,
        order: Literal[0, 1, 2] = 2,
        renormalise: bool = True,
        images: Whole = 0,
        cost: NotNegative = 0.0,
        dimension: Size = 100,
        room: Size = 1000,
        channels: Size = 1,
        classes: Several = 10,
        image_size: Annotated[Pixels, Le(2048)] = 28,
    ) -> None:
        super().__init__()
        self.channels, self.image_size, self.kind = channels, image_size, classifier
        self.names = tuple(str(i) for i in range(classes))
        self.renormalise, self.images = renormalise, images
        self.transform: nn.Module = nn.Identity()
        paths, count = channels, channels * image_size**2
        if features == "scattering":
            self.transform = Scattering2D(J, L, image_size, image_size, order)
            paths = channels * self.transform.count()
            count = paths * (image_size // 2**J) ** 2
        self.largest = nn.Parameter(torch.ones(paths), requires_grad=False)  # of each path's norms
        cost = cost or (10.0 if classifier == "rbf" else 0.01)
        self.classifier: Fitted
        if classifier == "affine":
            self.classifier = AffineSpaces(count, classes, dimension)
        elif classifier == "rbf":
            self.classifier = Kernel(count, classes, room, cost, standardise=False)
        elif classifier == "forest":
            self.classifier = Forest(classes, room)
        else:
            self.classifier = Linear(classifier, count, classes, cost)

    @property
    def wavelets(self) -> Scattering2D | None:
        """The transform; ``None`` where the classifier sees pixels."""
        return self.transform if isinstance(self.transform, Scattering2D) else None

    def features(self, image: Tensor) -> Tensor:
        """Renormalised coefficients, or pixels, (N, D), of images (N, C, S, S) in [0, 1]."""
        if image.shape[2:] != (self.image_size, self.image_size):
            size, shape = self.image_size, "x".join(map(str, image.shape[2:]))
            raise PaperzooError(f"this scattering model was made for images of {size}x{size}, not {shape}")
        return by_path(self.transform(image).flatten(1), self.largest)

    def head(self, features: Tensor) -> Tensor:
        """Scores (N, classes) of ``features``."""
        return self.classifier(features)  # type: ignore[no-any-return]

    def forward(self, image: Tensor) -> Tensor:
        """Scores (N, classes) of images (N, C, S, S) in [0, 1]; log-probabilities only of ``lda`` and ``logistic``."""
        return self.head(self.features(image))

    def step(self, batch: Batch, opt: Players) -> dict[str, float]:
        """Fits the classifier to all images of the batch, or some, at once: nothing is left of the step before."""
        image, label = batch.image, batch.label
        if self.images:
            chosen = torch.randperm(len(label))[: self.images].to(label.device)
            image, label = image[chosen], label[chosen]
        with torch.no_grad():
            self.largest.fill_(1)
            x = self.features(image)
            if self.renormalise:
                self.largest.copy_(norms(x, len(self.largest)).amax(0).clamp(min=1e-12))
                x = by_path(x, self.largest)
            self.classifier.fit(x, label, int(torch.randint(2**31, ())))
            answers = torch.cat([self.head(part).argmax(1) for part in torch.split(x, 500)])
        return {"training error %": 100 * float((answers != label).float().mean())}

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """``error %``; of scores that are log-probabilities their ``loss``; and what moving an image does to its features.

        ``shift distance % of pixels'``: how far features move, ``|f(x) - f(x')| / |f(x)|``, when the image moves by 2 pixels to
        the right, in percent of how far its pixels do; ``deformation distance % of pixels'`` when ``deformed`` bends it. Means
        over the first 1,000 images.
        """
        metrics = super().measure(dataset, split)
        if self.kind not in ("lda", "logistic"):
            del metrics["loss"]
        if isinstance(self.transform, Scattering2D):
            moved: dict[str, list[Tensor]] = {"shift": [], "deformation": []}
            for indices in dataset[split].batches(250, limit=1000):
                x = dataset[split].batch(indices).image.to(next(self.parameters()).device)
                for name, y in (("shift", shifted(x, 2)), ("deformation", deformed(x))):
                    pairs = (self.features(x), self.features(y)), (x.flatten(1), y.flatten(1))
                    moved[name].append(torch.stack([(a - b).norm(dim=1) / a.norm(dim=1).clamp(min=1e-12) for a, b in pairs]))
            for name, ratios in moved.items():
                ours, pixels = torch.cat(ratios, 1).mean(1).tolist()  # (2, images)
                metrics[f"{name} distance % of pixels'"] = 100 * ours / max(pixels, 1e-12)
        return metrics


def norms(features: Tensor, paths: int) -> Tensor:
    """``|S[p] x|``: the norm over places of each path's coefficients; features (N, paths * places) to (N, paths)."""
    return features.view(len(features), paths, -1).norm(dim=2)  # type: ignore[no-any-return]


def by_path(features: Tensor, largest: Tensor) -> Tensor:
    """Features (N, paths * places) divided by a number for each path, ``largest`` (paths)."""
    return (features.view(len(features), len(largest), -1) / largest[:, None]).flatten(1)


def shifted(image: Tensor, pixels: int) -> Tensor:
    """Images (N, C, H, W) moved to the right; black comes in."""
    return F.pad(image, (pixels, -pixels, 0, 0))


def deformed(image: Tensor, strength: float = 0.2) -> Tensor:
    """Images (N, C, S, S) bent by one wave: x(u - tau(u)), where tau's derivative is nowhere larger than ``strength``."""
    axis = (torch.arange(image.shape[-1], device=image.device) + 0.5) / image.shape[-1] * 2 - 1  # pixel centres, -1 to 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    places = torch.stack([x - strength / np.pi * torch.sin(np.pi * y), y - strength / np.pi * torch.sin(np.pi * x)], 2)
    return F.grid_sample(image, places.expand(len(image), -1, -1, -1), align_corners=False)


_KINDS = {"scattering": "affine", **{name: name for name in get_args(Kind)[1:]}}
VARIANTS: dict[str, dict[str, object]] = {
    **{name: {"classifier": kind} for name, kind in _KINDS.items()},
    **{f"{kind}-pixels": {"classifier": kind, "features": "pixels"} for kind in _KINDS.values()},
}

#: error % by the number of training images in the paper's table of MNIST, of affine spaces and of the Gaussian SVM
AFFINE = {300: 4.7, 1000: 2.3, 2000: 1.3, 5000: 1.03, 10_000: 0.88, 20_000: 0.79, 40_000: 0.74}
GAUSSIAN = {300: 5.6, 1000: 2.6, 2000: 1.8, 5000: 1.4, 10_000: 1.0, 20_000: 0.58, 40_000: 0.53}

RECIPES = {
    "paper": Recipe(
        data="mnist",
        steps=1,
        batch_size="all",
        train_on="train+validation",
        model={"image_size": 32, "dimension": 200},
        precision="float32",
        variants=tuple(name for name in VARIANTS if name.split("-")[0] not in ("rbf", "forest")),
        targets=(Target("error %", at_most=0.7, claim="mnist-60000", variants=("scattering",)),),
    ),
    "small": Recipe(
        data="mnist@100:0",
        steps=1,
        batch_size="all",
        model={"image_size": 32},
        precision="float32",
        targets=(Target("error %", at_most=6, variants=("svm",)),),
        note="1,000 images, 100 a class; the error is that on all 10,000 test images",
    ),
    "smoke": Recipe(
        data="digits", steps=1, batch_size="all", model={"J": 1, "L": 4, "room": 1500, "dimension": 20}, precision="float32"
    ),
}
RECIPES |= {
    "paper-rbf": RECIPES["paper"].but(
        model={"image_size": 32, "room": 60_000},
        variants=("rbf", "rbf-pixels"),
        targets=(Target("error %", at_most=0.43, claim="mnist-60000-rbf", variants=("rbf",)),),
        note="not run here: the 60,000 x 60,000 kernel takes 43 GB, in single and in double precision",
    ),
    "paper-forest": RECIPES["paper"].but(
        model={"image_size": 32, "room": 60_000}, variants=("forest", "forest-pixels"), targets=()
    ),
    **{
        f"paper-{some}": RECIPES["paper"].but(
            model={"image_size": 32, "dimension": 200, "images": some, "room": some},
            variants=("scattering", "rbf"),
            targets=(
                Target("error %", at_most=AFFINE[some], claim=f"mnist-{some}", variants=("scattering",)),
                Target("error %", at_most=GAUSSIAN[some], claim=f"mnist-{some}-rbf", variants=("rbf",)),
            ),
            note="a seed draws its images from all 60,000",
        )
        for some in AFFINE
    },
    "small-300": RECIPES["small"].but(data="mnist@30:0", targets=(), note="300 images, 30 a class"),
    "small-4000": RECIPES["small"].but(
        data="mnist@400:0", model={"image_size": 32, "room": 4000}, targets=(), note="4,000 images, 400 a class"
    ),
    "small-b": RECIPES["small"].but(data="mnist@100:1", note="another 1,000 images"),
    "small-c": RECIPES["small"].but(data="mnist@100:2", note="another 1,000 images"),
}
