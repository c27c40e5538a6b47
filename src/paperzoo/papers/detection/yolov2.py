"""YOLOv2: every cell of a grid says what lies in it and where, all at once (Redmon and Farhadi 2016).

Darknet-19 shrinks a picture 32 times. For each cell of the last grid, whose upper left corner is (c_x, c_y), and each of five anchors
p_w, p_h the network answers t_x, t_y, t_w, t_h, t_o and a class (section 2, "Direct location prediction", figure 3):

    b_x = sigma(t_x) + c_x,    b_y = sigma(t_y) + c_y,    b_w = p_w e^{t_w},    b_h = p_h e^{t_h},
    Pr(object) * IOU(b, object) = sigma(t_o).

The anchors are the centres of k-means over the boxes of the training set, by the distance 1 - IOU ("Dimension Clusters"), so that a
truth belongs to the cell of its middle and the anchor of its shape. A passthrough layer brings features of 26x26 beside those of 13x13
("Fine-Grained Features"), and every ten batches the pictures get another size ("Multi-Scale Training").

Read ``Network.forward``, then ``decoded`` beside figure 3, then ``assigned`` and ``region_loss``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, AdamW

from paperzoo.data import Batch
from paperzoo.data.boxes.anchors import NUMBERS
from paperzoo.errors import PaperzooError
from paperzoo.metrics.iou import iou, iou_of_pairs
from paperzoo.nn.schedules import steps, warmup_cosine
from paperzoo.pretrained import darknet
from paperzoo.ranges import Count, NotNegative, Part, Pixels, Positive, Size, SomeShare, Whole
from paperzoo.records import Recipe, Target
from paperzoo.tasks.detection import Candidates, Detector
from paperzoo.tasks.model import Optimizers, Players


class Conv(nn.Sequential):
    """Convolution without bias, batch normalisation, leaky ReLU of slope 0.1; the size is kept at stride 1."""

    def __init__(self, into: int, out: int, kernel: int, stride: int = 1, memory: float = 0.01) -> None:
        super().__init__(
            nn.Conv2d(into, out, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(out, eps=1e-6, momentum=memory),
            nn.LeakyReLU(0.1),
        )


#: Darknet-19 (table 6): channels of 3x3 convolutions, negative of 1x1 ones; 0 is a max-pooling. A last 1x1 makes it a classifier.
DARKNET19 = (32, 0, 64, 0, 128, -64, 128, 0, 256, -128, 256, 0, 512, -256, 512, -256, 512, 0, 1024, -512, 1024, -512, 1024)
FINE = 17  # layers up to the last grid of 26x26


class Network(nn.Module):
    """Darknet-19 without its last layer, three more 3x3 convolutions and a 1x1 of A(5 + K) channels, in the order of the released cfg.

    Args:
        width: factor on all channels.
        passthrough: ``cfg``, 64 channels by a 1x1 convolution, stacked by darknet's reorg (26x26x64 -> 13x13x256); ``paper``, all 512,
            adjacent features stacked (26x26x512 -> 13x13x2048).
    """

    def __init__(self, channels: int, outputs: int, width: float, passthrough: Literal["cfg", "paper"], memory: float) -> None:
        super().__init__()

        def wide(number: int) -> int:
            return max(4, round(width * abs(number)))

        layers, into = list[nn.Module](), channels
        for number in DARKNET19:
            layers.append(Conv(into, wide(number), 3 if number > 0 else 1, memory=memory) if number else nn.MaxPool2d(2))
            into = wide(number) if number else into
        self.fine, self.coarse = nn.Sequential(*layers[:FINE]), nn.Sequential(*layers[FINE:])
        self.more = nn.Sequential(Conv(into, wide(1024), 3, memory=memory), Conv(wide(1024), wide(1024), 3, memory=memory))
        few = 4 * max(1, round(16 * width))  # 64, which reorg parts in four
        self.squeeze = Conv(wide(512), few, 1, memory=memory) if passthrough == "cfg" else None
        beside = 4 * (few if passthrough == "cfg" else wide(512))
        self.last = Conv(beside + wide(1024), wide(1024), 3, memory=memory)
        self.predict = nn.Conv2d(wide(1024), outputs, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1] to (N, A(5 + K), H / 32, W / 32)."""
        fine = self.fine(image)  # (N, 512, H / 16, W / 16)
        coarse = self.more(self.coarse(fine))  # (N, 1024, H / 32, W / 32)
        beside = F.pixel_unshuffle(fine, 2) if self.squeeze is None else reorg(self.squeeze(fine))
        output: Tensor = self.predict(self.last(torch.cat([beside, coarse], 1)))
        return output


def reorg(x: Tensor) -> Tensor:
    """Darknet's reorg by 2, (N, C, H, W) -> (N, 4C, H / 2, W / 2), which reads memory in another order than it says.

    Its input is taken as C / 4 channels of twice the sides, and of this picture neighbours are parted: published weights depend on it.
    """
    number, channels, tall, wide = x.shape
    taken = x.reshape(number, channels // 4, tall, 2, wide, 2)  # (N, C / 4, 2H, 2W) as it would lie, rows and columns parted by two
    return taken.permute(0, 3, 5, 1, 2, 4).reshape(number, 4 * channels, tall // 2, wide // 2)


# Boxes and losses ----------------------------------------------------------------------------------------------------


def decoded(output: Tensor, anchors: Tensor, stride: int) -> Tensor:
    """Boxes (N, A, h, w, 4) in pixels, of the first four of outputs (N, A, 5 + K, h, w); figure 3. Anchors (A, 2) are in pixels."""
    tall, wide = output.shape[3:]
    x = (output[:, :, 0].sigmoid() + torch.arange(wide, device=output.device)) * stride
    y = (output[:, :, 1].sigmoid() + torch.arange(tall, device=output.device)[:, None]) * stride
    size = anchors[:, :, None, None] * output[:, :, 2:4].clamp(max=20).exp()  # (N, A, 2, h, w)
    half_w, half_h = (size / 2).unbind(2)
    return torch.stack([x - half_w, y - half_h, x + half_w, y + half_h], 4)


class Places(NamedTuple):
    """Where truths belong: of each of T truths its image, its place in the image's list, and anchor, row and column of its cell."""

    image: Tensor
    truth: Tensor
    anchor: Tensor
    row: Tensor
    column: Tensor


def assigned(boxes: Tensor, real: Tensor, anchors: Tensor, grid: tuple[int, int], stride: int) -> Places:
    """The cell of each truth's middle and the anchor of the nearest shape; where two truths meet in one place, the later has it.

    Args:
        boxes: (N, M, 4) in pixels; real: bool (N, M), which of them are truths to be learnt.
    """
    image, truth = real.nonzero(as_tuple=True)
    box = boxes[image, truth]  # (T, 4)
    size, middle = box[:, 2:] - box[:, :2], (box[:, :2] + box[:, 2:]) / 2 / stride
    row, column = (middle[:, i].long().clamp(0, grid[1 - i] - 1) for i in (1, 0))
    both = torch.minimum(size[:, None], anchors).prod(2)
    anchor = (both / (size.prod(1, keepdim=True) + anchors.prod(1) - both)).argmax(1)  # IOU of shapes with one middle
    key = ((image * len(anchors) + anchor) * grid[0] + row) * grid[1] + column
    last = (key[:, None] == key).long().triu(1).sum(1) == 0  # no later truth has the same place
    return Places(*(each[last] for each in (image, truth, anchor, row, column)))


class Terms(NamedTuple):
    """The parts of the loss, each the sum over the batch's images over their number."""

    coord: Tensor
    object: Tensor
    noobject: Tensor
    label: Tensor
    prior: Tensor


def region_loss(
    output: Tensor, boxes: Tensor, labels: Tensor, real: Tensor, some: Tensor, anchors: Tensor, stride: int, ignore: float
) -> Terms:
    """The loss of YOLO, squares of errors, with the weights of the released cfg: object 5, all others 1, prior 0.01.

    An assigned box learns its truth's place, IOU and class; any other that there is nothing, unless it overlaps something by more than
    ``ignore``. The error of place counts the more the smaller a truth is, by 2 less its share of the picture. ``prior`` draws all boxes
    to their anchors.

    Args:
        output: (N, A, 5 + K, h, w); boxes: (N, M, 4) in pixels; labels: int64 (N, M).
        real: bool (N, M), truths to be learnt; some: whatever else there is too, so that it is not called nothing.
    """
    number, grid = len(output), (output.shape[3], output.shape[4])
    predicted, objectness = decoded(output, anchors, stride), output[:, :, 4].sigmoid()  # (N, A, h, w, 4), (N, A, h, w)
    overlap = iou(predicted.detach().flatten(1, 3), boxes) * some[:, None]  # (N, A h w, M)
    nothing = (overlap.amax(2) <= ignore).view_as(objectness)
    image, truth, anchor, row, column = assigned(boxes, real, anchors, grid, stride)
    nothing[image, anchor, row, column] = False
    box, response = boxes[image, truth], output[image, anchor, :, row, column]  # (T, 4), (T, 5 + K)
    size, middle = box[:, 2:] - box[:, :2], (box[:, :2] + box[:, 2:]) / 2 / stride
    target = torch.cat([middle - torch.stack([column, row], 1), (size / anchors[anchor]).log()], 1)
    place = torch.cat([response[:, :2].sigmoid(), response[:, 2:4]], 1)
    small = 2 - size.prod(1, keepdim=True) / (grid[0] * grid[1] * stride**2)
    right = iou_of_pairs(predicted[image, anchor, row, column].detach(), box)
    centred = torch.cat([output[:, :, :2].sigmoid() - 0.5, output[:, :, 2:4]], 2)
    return Terms(
        0.5 * (small * (target - place).square()).sum() / number,
        0.5 * 5 * (right - response[:, 4].sigmoid()).square().sum() / number,
        0.5 * (nothing * objectness.square()).sum() / number,
        F.cross_entropy(response[:, 5:], labels[image, truth], reduction="sum") / number,
        0.5 * 0.01 * centred.square().sum() / number,
    )


def resized(batch: Batch, side: Tensor, sizes: Sequence[int], opt: Players) -> tuple[Tensor, Tensor]:
    """Images and boxes of a batch at ``side``, a buffer that is drawn anew from ``sizes`` every ten batches; as they are without sizes."""
    if sizes and opt.iteration % 10 == 0:
        side.fill_(sizes[int(torch.randint(len(sizes), ()))])
    new, (tall, wide) = int(side), batch.image.shape[2:]
    if not sizes or (tall, wide) == (new, new):
        return batch.image, batch.boxes
    by = torch.tensor([new / wide, new / tall] * 2, device=batch.boxes.device)
    return F.interpolate(batch.image, (new, new), mode="bilinear", antialias=True), batch.boxes * by


#: anchors of the released cfgs, in cells of 32 pixels
COCO_ANCHORS = ((0.57273, 0.677385), (1.87446, 2.06253), (3.33843, 5.47434), (7.88282, 3.52778), (9.77052, 9.16828))
VOC_ANCHORS = ((1.3221, 1.73145), (3.19275, 4.00944), (5.05587, 8.09892), (9.47112, 4.84053), (11.2364, 10.0071))
PUBLISHED = {"coco": darknet.YOLOV2, "voc": darknet.YOLOV2_VOC}


class Model(Detector):
    """The network, its anchors, and pictures of changing size.

    Args:
        anchors5: five widths and heights in pixels, from the data; default: those of the released cfg, of COCO, or of VOC for 20 classes.
        width, passthrough: see ``Network``.
        sizes: sides of the pictures that are drawn from anew every ten batches; none for ``image_size`` alone.
        ignore: IOU with something above which a box is not called nothing (0.6 in the released cfg).
        coord, label: weights of the errors of place (5 in YOLO's first paper) and of class; both 1 in the released cfg.
        prior: steps in which boxes are drawn to their anchors: 12,800 images in darknet.
        memory: share by which a batch moves the statistics of batch normalisation.
        weights: ``coco`` or ``voc``, as published, or a darknet ``.weights`` file.
    """

    anchors: Tensor
    side: Tensor

    def __init__(
        self, *, channels: Size = 3, image_size: Pixels = 416, classes: Size = 80, anchors5: Sequence[Sequence[Positive]] = (),
        width: SomeShare = 1.0, passthrough: Literal["cfg", "paper"] = "cfg", sizes: Sequence[Pixels] = (), ignore: Part = 0.6,
        coord: NotNegative = 1.0, label: NotNegative = 1.0, prior: Whole = 200, memory: SomeShare = 0.01, weights: str = "",
    ) -> None:  # fmt: skip
        super().__init__(channels, image_size, classes)
        usual = torch.tensor(VOC_ANCHORS if classes == 20 else COCO_ANCHORS) * self.stride
        anchors = torch.tensor([list(shape) for shape in anchors5]) if len(anchors5) else usual
        if anchors.shape != (NUMBERS[0], 2):
            raise PaperzooError(f"anchors5 are {NUMBERS[0]} widths and heights, not {len(anchors5)} of {[len(a) for a in anchors5][:1]}")
        if any(side % self.stride for side in sizes):
            raise PaperzooError(f"sizes are multiples of {self.stride}, not {', '.join(map(str, sizes))}")
        self.register_buffer("anchors", anchors.float(), persistent=False)
        self.register_buffer("side", torch.tensor(image_size))
        self.sizes, self.ignore, self.coord, self.label, self.prior = tuple(sizes), ignore, coord, label, prior
        self.network = Network(channels, len(anchors) * (5 + classes), width, passthrough, memory)
        if weights:
            self.names = darknet.load(self.network, weights, PUBLISHED, classes)

    def optimizers(
        self, *, name: Literal["SGD", "AdamW"] = "SGD", lr: NotNegative = 1e-3, decay: NotNegative = 5e-4, warmup: Count = 1,
        fall: bool = False,
    ) -> Optimizers:  # fmt: skip
        """SGD with momentum 0.9, a tenth of the rate after 60 and 90 of 160 epochs (section 3, "Training for detection"), or AdamW.

        Args:
            warmup: steps in which the rate rises, if ``fall``: whether it then falls along a cosine to 0.
        """
        parameters = self.network.parameters()
        chosen = SGD(parameters, lr, 0.9, weight_decay=decay) if name == "SGD" else AdamW(parameters, lr, weight_decay=decay)
        return {"network": (chosen, warmup_cosine(warmup) if fall else steps((60 / 160, 90 / 160)))}

    def answers(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W) to outputs (N, A, 5 + K, h, w)."""
        output: Tensor = self.network(image)
        return output.unflatten(1, (len(self.anchors), 5 + self.classes))  # type: ignore[no-untyped-call, no-any-return]

    def candidates(self, image: Tensor) -> Candidates:
        output = self.answers(image)
        objectness = output[:, :, 4].sigmoid().flatten(1)  # (N, A h w)
        label = output[:, :, 5:].softmax(2).permute(0, 1, 3, 4, 2).flatten(1, 3)  # (N, A h w, K)
        return Candidates(decoded(output, self.anchors, self.stride).flatten(1, 3), objectness, objectness[..., None] * label)

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        """One batch."""
        image, boxes = resized(batch, self.side, self.sizes, opt)
        some = torch.arange(boxes.shape[1], device=boxes.device) < batch.objects[:, None]  # (N, M)
        real = some & ~batch.difficult & ~batch.crowd
        terms = region_loss(self.answers(image), boxes, batch.box_label, real, some, self.anchors, self.stride, self.ignore)
        terms = terms._replace(coord=self.coord * terms.coord, label=self.label * terms.label)
        parts = terms if opt.iteration < self.prior else terms[:-1]
        opt.network.minimize(torch.stack(parts).sum())
        return {name: value.detach() for name, value in terms._asdict().items() if name != "prior"}


def cfg(model: Model) -> list[darknet.Section]:
    """The model as a cfg of darknet's, in the order of the released one; ``darknet.cfg_text`` writes it.

    Raises:
        PaperzooError: it has the passthrough of the paper, whose stacking no layer of darknet does.
    """
    network = model.network
    if network.squeeze is None:
        raise PaperzooError("the passthrough of the paper stacks neighbours, which no layer of darknet does: set model.passthrough=cfg")
    sections = [darknet.section(layer) for part in (network.fine, network.coarse, network.more) for layer in part]
    sections += [darknet.Section("route", {"layers": str(FINE - 1 - len(sections))}), darknet.section(network.squeeze)]
    sections += [darknet.Section("reorg", {"stride": "2"}), darknet.Section("route", {"layers": "-1,-4"})]
    sections += [darknet.section(network.last), darknet.section(network.predict)]
    settings = {"anchors": ", ".join(f"{value:g}" for value in (model.anchors / model.stride).flatten().tolist()), "bias_match": 1,
            "classes": model.classes, "coords": 4, "num": len(model.anchors), "softmax": 1, "rescore": 1, "object_scale": 5,
            "noobject_scale": 1, "class_scale": f"{model.label:g}", "coord_scale": f"{model.coord:g}",
            "thresh": f"{model.ignore:g}"}  # fmt: skip
    region = darknet.Section("region", {key: str(value) for key, value in settings.items()})
    return [darknet.net(model.channels, model.image_size), *sections, region]


VARIANTS: dict[str, dict[str, object]] = {"coco": {}, "voc": {"classes": 20}, "paper": {"passthrough": "paper"}}
PRETRAINED = {"coco": {"weights": "coco"}, "voc": {"weights": "voc"}}

_LITTLE = {"width": 0.25, "memory": 0.1, "prior": 50}
_FAST = {"name": "AdamW", "lr": 5e-3, "decay": 1e-2, "warmup": 50, "fall": True}
RECIPES = {
    "paper": Recipe(
        data="coco-boxes", steps=300_000, batch_size=64, augment=("flip", "zoom", "colour"),
        model={"sizes": tuple(range(320, 609, 32))}, targets=(Target("AP50", at_least=0.44, claim="coco-ap50"),),
        variants=("coco", "paper"), note="160 epochs; darknet's random crop is a zoom, its hue is left out",
    ),
    "small": Recipe(
        data="scenes-boxes", steps=1800, batch_size=16, augment=("flip",), model=_LITTLE, optimizer=_FAST,
        targets=(Target("AP50", at_least=0.25), Target("class-agnostic AP50", at_least=0.55)), variants=("coco",),
    ),
    "smoke": Recipe(
        data="boxes-plain", steps=24, batch_size=8, model={"width": 0.02, "memory": 0.1, "prior": 6, "sizes": (64, 96)},
        optimizer=_FAST | {"lr": 2e-3, "warmup": 5}, precision="float32", variants=("coco",),
    ),
}  # fmt: skip
RECIPES["paper-voc"] = RECIPES["paper"].but(
    data="pascal-voc", steps=41_000, targets=(Target("AP (VOC 2007)", at_least=0.768, claim="voc2007-416"),), variants=("voc",),
)  # fmt: skip
RECIPES["small-6"] = RECIPES["small"].but(
    data="scenes-boxes-6", targets=(Target("AP50", at_least=0.40), Target("class-agnostic AP50", at_least=0.65)),
)  # fmt: skip
RECIPES["small-long"] = RECIPES["small"].but(
    steps=7000, augment=("flip", "zoom", "colour"), optimizer={"lr": 2e-3}, targets=(Target("AP50", at_least=0.5),)
)  # fmt: skip
