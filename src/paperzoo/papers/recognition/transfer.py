"""Transfer learning: what a network has learnt for one purpose serves another, for which there are few images.

A classifier is a body f, which makes features of an image, and a linear head on top. The first layers of a body look much the
same whatever it was trained on; the last ones are made for their task (Yosinski et al. 2014, 1411.1792). So the body of a
network that has seen a million photographs is kept, and only a head W is new. Three ways to go on, one a variant:

    features   min over W     of  sum_i L(W f(x_i), y_i)     the body as it is (Razavian et al. 2014, 1403.6382)
    finetune   min over W, f  from the body as it is,        f at a tenth of W's rate: it is nearly right already
    scratch    min over W, f  from random weights            to see what the transfer is worth

Frozen means more than "no gradient": a frozen body is in eval mode (``Model.train``), for its running means would move, and no
optimiser holds it, for weight decay would shrink it. A new head begins at zero, so that its first steps do not spoil the body.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW

from paperzoo import catalog
from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.nn.schedules import one_cycle
from paperzoo.pretrained.published import header, last_checkpoint, load_published
from paperzoo.ranges import NotNegative, Part, Pixels, Several, Size, Whole
from paperzoo.records import Recipe, Stage, Target
from paperzoo.tasks.classification import Classifier
from paperzoo.tasks.model import Optimizers, Players


@contextmanager
def asleep(layers: Sequence[nn.Module]) -> Iterator[None]:
    """Within, these modules (not their children) are in eval mode and their parameters ask for no gradient."""
    parameters = [p for layer in layers for p in layer.parameters(recurse=False) if p.requires_grad]
    modes = [layer.training for layer in layers]
    try:
        for parameter in parameters:
            parameter.requires_grad_(False)
        for layer in layers:
            layer.training = False
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
        for layer, mode in zip(layers, modes, strict=True):
            layer.training = mode


Mode = Literal["features", "finetune", "scratch"]


class Model(Classifier):
    """A classifier of the catalogue with a new last layer, and AdamW.

    Args:
        backbone: a classifier that ends in a linear layer, as ``paper`` or ``paper:variant``.
        weights: published ones by the name that the backbone knows (``"imagenet"``), a file of them, or a run's directory or
            weights file of this collection; ``""`` for fresh ones.
        mode: ``"features"`` (the body is frozen), ``"finetune"`` or ``"scratch"``.
        settings: arguments of the backbone besides those below, such as ``{"width": 0.35}``. Weights of this collection fit
            only a backbone with the arguments that they were trained with.
        unfreeze: for ``finetune``: the body is cut into so many parts, and the head trains alone at first; then, in equal
            periods of the whole training, one part after the other joins it, from the head down (Howard and Ruder 2018,
            1801.06146, section 3.3). 0: all from the first step on.
        channels, classes, image_size: of the images, as the backbone takes them.

    Raises:
        PaperzooError: an argument is out of range, the backbone is unknown or unfit, its images are too small for it, or the
            weights cannot be had or are another network's.
    """

    def __init__(
        self,
        *,
        backbone: str = "mobilenet:v2",
        weights: str = "",
        mode: Mode = "features",
        settings: Mapping[str, object] | None = None,
        unfreeze: Whole = 0,
        channels: Size = 3,
        classes: Several = 1000,
        image_size: Pixels = 224,
    ) -> None:
        super().__init__()
        if mode == "scratch" and weights:
            raise PaperzooError(f"transfer:scratch begins with fresh weights: leave out model.weights={weights}")
        if not isinstance(settings or {}, Mapping):
            raise PaperzooError(f'model.settings of transfer is written {{"width": 0.35}}, not {settings!r}')
        checkpoint = last_checkpoint(weights) if weights else None
        self.backbone, self.mode, self.channels, self.image_size = backbone, mode, channels, image_size
        fixed = {"channels": channels, "classes": classes, "image_size": image_size}
        self.network = build(backbone, {**(settings or {}), **fixed}, "" if checkpoint else weights)
        self._check(classes)
        self.trainable = [p for p in self.network.parameters() if p.requires_grad]
        self.moved: Tensor
        self.register_buffer("moved", torch.tensor(False))  # whether the body has come from elsewhere, and the head is new
        if checkpoint:
            self._load(checkpoint)
        if weights:
            self.renew_head()
        if not 0 <= unfreeze <= len(self.layers()) or (unfreeze and mode != "finetune"):
            most = f"0 to {len(self.layers())} for {backbone}" if mode == "finetune" else f"0, for mode is {mode}"
            raise PaperzooError(f"unfreeze of transfer must be {most}, not {unfreeze}")
        self.unfreeze = unfreeze
        self.enter(mode)

    def _check(self, classes: int) -> None:
        """Sees one black image, to know that the backbone can, and that its last linear layer gives the logits."""
        shapes: list[torch.Size] = []
        try:
            with torch.no_grad(), self._last().register_forward_hook(lambda layer, given, out: shapes.append(out.shape)):
                self.network.eval()(torch.zeros(1, self.channels, self.image_size, self.image_size))
        except (RuntimeError, ValueError, IndexError) as error:
            size = f"{self.image_size}x{self.image_size} pixels and {self.channels} channels"
            if not any(isinstance(module, nn.Linear) for module in self.modules()):
                raise PaperzooError(f"{self.backbone} has no linear layer at its end that a new one could replace") from error
            raise PaperzooError(f"{self.backbone} cannot see images of {size}: {str(error).splitlines()[0]}") from error
        if shapes[-1:] != [(1, classes)]:
            raise PaperzooError(f"{self.backbone} does not end in a linear layer with an output a class that a new one could replace")
        self.network.train()

    def _load(self, path: Path) -> None:
        """Our own file: of the backbone's model, or of a transfer with this backbone. Its head does not matter."""
        saved = header(path)
        target = self if str(saved.get("name")).partition(":")[0] == "transfer" else self.network
        head = next(name for name, module in target.named_modules() if module is self._last())
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*has another number of outputs")
                load_published(target, str(path), {}, head=f"{head}.", spare="optimizer/")
        except PaperzooError as error:
            raise PaperzooError(f"{error}. It was saved by {saved.get('name')} with {saved.get('arguments')}") from error

    def renew_head(self) -> None:
        """The last layer becomes 0: every class is as likely, whatever the image. It is the same on every resumption."""
        with torch.no_grad():
            for parameter in self._last().parameters():
                parameter.zero_()
            self.moved.fill_(True)

    def enter(self, mode: str) -> None:
        """Sets ``requires_grad`` for the parameters that ``mode`` trains, and clears it for all others."""
        self.phase = mode
        for parameter in self.trainable:
            parameter.requires_grad_(mode != "features")
        self._last().requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> Model:
        """A frozen body stays in eval mode: batch normalisation keeps its statistics, nothing is dropped."""
        super().train(mode)
        if self.phase == "features":
            self.network.eval()
        return self

    def stage(self, name: str) -> None:
        """``pretrain``: everything trains, as from scratch. ``transfer``: the head is made anew, once, and ``mode`` holds."""
        self.enter("scratch" if name == "pretrain" else self.mode)
        if name == "transfer" and not self.moved:
            self.renew_head()

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, C, S, S) in [0, 1]."""
        return self.network(image)  # type: ignore[no-any-return]

    def optimizers(
        self, *, lr: NotNegative = 1e-3, body_rate: NotNegative = 0.1, weight_decay: NotNegative = 0.01, rise: Part = 0.1
    ) -> Optimizers:
        """AdamW on what trains.

        Args:
            lr: the head's highest rate.
            body_rate: the body's rate in units of the head's, in ``finetune``; from scratch it is 1.
            weight_decay: of head and body.
            rise: the share of a stage's steps in which both rates rise linearly; then they fall along a cosine to 0.
        """
        head = list(self._last().parameters())
        chosen = set(head)
        groups: list[dict[str, Any]] = [{"params": head, "lr": lr}]
        if self.phase != "features":
            rate = body_rate if self.phase == "finetune" else 1.0
            groups.append({"params": [p for p in self.trainable if p not in chosen], "lr": lr * rate})
        return {"network": (AdamW(groups, lr, weight_decay=weight_decay), one_cycle(rise, moment=0.5))}

    def layers(self) -> list[list[nn.Module]]:
        """The body's layers in the order in which they are built, each with the normalisation that follows it."""
        layers: list[list[nn.Module]] = []
        head = self._last()
        for module in self.network.modules():
            sizes = [p.ndim for p in module.parameters(recurse=False)]
            if sizes and module is not head:
                if max(sizes) > 1 or not layers:
                    layers.append([])
                layers[-1].append(module)
        return layers

    def frozen(self, iteration: int, total: int) -> list[nn.Module]:
        """The layers that do not train yet at a step, by ``unfreeze``."""
        if not self.unfreeze or self.phase != "finetune":
            return []
        periods = self.unfreeze + 1  # in the first of which only the head trains
        awake = iteration * periods // total  # parts
        layers = self.layers()
        return [module for layer in layers[: len(layers) * (self.unfreeze - awake) // self.unfreeze] for module in layer]

    def step(self, batch: Batch, opt: Players) -> None:
        """One step on the cross-entropy of a batch; frozen layers get no gradient and keep their statistics."""
        with asleep(self.frozen(opt.iteration, opt.total)):
            logits = self(batch.image)
        opt.network.minimize(F.cross_entropy(logits, batch.label))


def build(backbone: str, arguments: Mapping[str, object], weights: str) -> Classifier:
    """A classifier of the catalogue; of ``arguments`` it may lack those that say what the images are.

    Raises:
        PaperzooError: unknown, for another task, or it knows no ``weights``.
    """
    entry = catalog.load(backbone)
    legal = catalog.signature(entry)
    if entry.paper.name == "transfer" or not issubclass(entry.model_class, Classifier):
        task = "transfer itself" if entry.paper.name == "transfer" else f"for {entry.model_class.task}"
        raise PaperzooError(f"the backbone {backbone} is {task}: it must be a classifier, such as mobilenet:v2, resnet:resnet50, cnn")
    if "weights" in arguments:
        raise PaperzooError(f"the backbone's weights are given by model.weights={arguments['weights']}, not by model.settings")
    if weights and "weights" not in legal:
        raise PaperzooError(
            f"{backbone} knows no weights {weights!r}: none are published for it; give a run's directory or a weights file of it"
        )
    accepted = {k: v for k, v in arguments.items() if k in legal or k not in ("channels", "classes", "image_size")}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*has another number of outputs")  # the head is replaced on purpose
        model = catalog.build(entry, {**entry.arguments, **accepted, **({"weights": weights} if weights else {})})
    assert isinstance(model, Classifier)
    return model


VARIANTS: dict[str, dict[str, object]] = {mode: {"mode": mode} for mode in get_args(Mode)}

_DIGITS = {"backbone": "cnn", "channels": 1, "image_size": 28}
_LITTLE = {"backbone": "cnn", "settings": {"widths": (8, 16, 32)}, "channels": 1, "image_size": 8}

_STAMPS = Recipe(
    data="stamps", steps=300, batch_size=32, augment=("crop4", "flip"), model={"channels": 3, "image_size": 96}
)
_SMALL = _STAMPS.but(
    model={"weights": "imagenet"},
    variants=("features",),
    note="cut-out photographs; with --data folder:PATH one's own",
)
_SPRITES = _SMALL.but(data="sprites", note="fantasy figures, far from what ImageNet shows; --data sprites@5: five of each race")
_FINE: dict[str, Any] = {"variants": ("finetune",), "note": "the same batches"}
_SCRATCH: dict[str, Any] = {
    "optimizer": {"lr": 3e-3},
    "variants": ("scratch",),
    "note": "the same batches, no photograph seen before",
}
_FEW_DIGITS = Recipe(data="mnist-high@20:0", steps=200, batch_size=50, augment=("shift2",), model=_DIGITS, variants=("scratch",))
_PLAIN_DIGITS = _FEW_DIGITS.but(augment=(), model={"backbone": "cnn:plain"})
_PRETRAINED: dict[str, Any] = {
    "steps": 700,
    "stages": (Stage("pretrain", 500, data="mnist-low", batch_size=128), Stage("transfer", 200)),
    "optimizer": {"lr": 6e-3, "body_rate": 0.3},
}

RECIPES = {
    "paper": _SMALL.but(
        steps=600,
        model={"image_size": 224},
        variants=("features", "finetune"),
        note="the size that the weights were trained at; no paper stands behind this recipe",
    ),
    "small": _SMALL,
    "small-finetune": _SMALL.but(**_FINE),
    "small-scratch": _STAMPS.but(**_SCRATCH),
    "small-sprites": _SPRITES,
    "small-sprites-finetune": _SPRITES.but(**_FINE),
    "small-sprites-scratch": _STAMPS.but(data="sprites", **_SCRATCH),
    "small-digits": _FEW_DIGITS.but(
        **_PRETRAINED,
        variants=("features", "finetune"),
        targets=(Target("error %", at_most=-5, than="scratch:small-digits-scratch"),),
        note="learns 0 to 4 from all their images, then 5 to 9 from 20 of each; @20:1 to @20:4 are other draws",
    ),
    "small-digits-scratch": _FEW_DIGITS.but(optimizer={"lr": 6e-3}, note="the same steps on the same 100 images"),
    "small-digits-plain": _PLAIN_DIGITS.but(
        variants=("features", "finetune"),
        targets=(Target("error %", at_most=-5, than="scratch:small-digits-plain-scratch"),),
        note="without shifts or batch normalisation",
        **_PRETRAINED,
    ),
    "small-digits-plain-scratch": _PLAIN_DIGITS.but(optimizer={"lr": 6e-3}, note="the same steps on the same 100 images"),
    "smoke": Recipe(data="digits", steps=40, model=_LITTLE, optimizer={"lr": 0.01}, precision="float32"),
    "smoke-finetune": Recipe(
        data="digits",
        steps=40,
        model={**_LITTLE, "unfreeze": 2},
        optimizer={"lr": 0.01},
        precision="float32",
        variants=("finetune",),
    ),
}
