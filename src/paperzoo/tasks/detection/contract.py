"""The interface of an object detector; from candidates to detections."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from annotated_types import Ge, Gt, Le
from PIL import Image
from torch import Tensor

from paperzoo.data.boxes.geometry import Letterbox, clipped, letterboxed
from paperzoo.data.boxes.names import COCO, COCO_IDS
from paperzoo.data.pictures import as_channels, read_rgb
from paperzoo.errors import PaperzooError
from paperzoo.tasks.decoding.nms import nms
from paperzoo.tasks.detection.answers import Detection, Detections
from paperzoo.tasks.detection.drawing import drawn
from paperzoo.tasks.detection.files import folder, video, webcam
from paperzoo.tasks.detection.task import ObjectDetection
from paperzoo.tasks.images import new_file, read_whole
from paperzoo.tasks.model import Model
from paperzoo.tasks.pictures import save
from paperzoo.tasks.task import Task

#: images that are looked at at a time
PART = 16


class Candidates(NamedTuple):
    """All that a network proposes for N images, A boxes each.

    Attributes:
        boxes: (N, A, 4), left, top, right, bottom in pixels of the image.
        objectness: (N, A), how likely there is something.
        scores: (N, A, K), how likely it is of each class.
    """

    boxes: Tensor
    objectness: Tensor
    scores: Tensor


class Found(NamedTuple):
    """The detections in one image, the best first: boxes (D, 4), scores (D), labels int64 (D), on the CPU."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor


class Detector(Model):
    """A model that finds things. Subclasses define ``candidates``.

    Args:
        channels, image_size: of the images; pictures of any shape are put into a square of this side, grey around them.
        classes: how many there are.

    Attributes:
        names: what the classes are called; empty where that is not known.
        stride: both sides of what the network is given are multiples of it.
    """

    tasks: ClassVar[tuple[Task, ...]] = (ObjectDetection(),)
    names: tuple[str, ...] = ()
    stride: int = 32

    def __init__(self, channels: int, image_size: int, classes: int) -> None:
        super().__init__()
        self.channels, self.image_size, self.classes = channels, image_size, classes
        if image_size % self.stride:
            near = max(self.stride, round(image_size / self.stride) * self.stride)
            raise PaperzooError(f"image_size must be a multiple of {self.stride}, such as {near}, not {image_size}")

    def candidates(self, image: Tensor) -> Candidates:
        """The network's candidates for images (N, C, H, W) in [0, 1], whose sides are multiples of ``stride``."""
        raise TypeError(f"{type(self).__name__} does not say how it proposes boxes")

    def detect(self, image: Tensor, threshold: float, overlap: float, most: int = 100) -> list[Found]:
        """The detections in images (N, C, H, W), in eval mode without gradients.

        Args:
            threshold: least score. overlap: most IoU of two boxes of one class. most: boxes of an image.
        """
        return [self.chosen(boxes, scores, threshold, overlap, most) for boxes, _, scores in self.proposed(image)]

    def proposed(self, image: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Boxes (A, 4), objectness (A) and scores (A, K) of each image, on the CPU; in eval mode without gradients."""
        was_training, device, rows = self.training, next(self.parameters()).device, list[tuple[Tensor, Tensor, Tensor]]()
        self.eval()
        with torch.no_grad():
            for part in torch.split(image, PART):
                rows += zip(*(x.float().cpu() for x in self.candidates(part.to(device))), strict=True)
        self.train(was_training)
        return rows

    @staticmethod
    def chosen(boxes: Tensor, scores: Tensor, threshold: float, overlap: float, most: int) -> Found:
        """Of boxes (A, 4) with scores (A, K): every pair of box and class above the threshold, after suppression in each class."""
        where, labels = (scores > threshold).nonzero(as_tuple=True)
        value, candidates = scores[where, labels], boxes[where]
        kept = nms(candidates, value, overlap, labels)[:most]
        return Found(candidates[kept], value[kept], labels[kept])

    def title(self, label: int) -> str:
        """The name of a class."""
        return self.names[label] if label < len(self.names) else str(label)

    def look(self, picture: Image.Image, threshold: float, overlap: float) -> tuple[Detection, ...]:
        """The detections in an RGB picture of any size; boxes in its own pixels, cut at its border."""
        side = self.image_size
        pixels = as_channels(letterboxed(picture, side, side), self.channels)
        (detections,) = self.detect(torch.from_numpy(pixels.copy())[None].float().div_(255), threshold, overlap)
        boxes = clipped(Letterbox(picture.height, picture.width, side, side).back(detections.boxes.double()), picture.height, picture.width)
        return tuple(
            Detection(self.title(label), label, score, (box[0], box[1], box[2], box[3]))
            for box, score, label in zip(boxes.tolist(), detections.scores.tolist(), detections.labels.tolist(), strict=True)
            if box[2] > box[0] and box[3] > box[1]
        )

    def predict(
        self, input: Any, *, threshold: Annotated[float, Ge(0), Le(1)] = 0.25, overlap: Annotated[float, Ge(0), Le(1)] = 0.45,
        out: str = "", coco: bool = False, seconds: Annotated[float, Gt(0)] = 10.0,
    ) -> Any:  # fmt: skip
        """What is in a picture given as path, PIL image or array; of a list of these, a list. Of a folder what is in its pictures, of a
        video or an animated GIF what is in its frames, one at a time; of ``webcam:0`` in those that come, said while they do.

        Args:
            threshold: least score of what is said; an evaluation takes 0.001.
            overlap: most IoU of two boxes of one class.
            out: a folder to draw boxes with names and scores in, as NAME-boxes.png; of a video the video, and a line of JSON a frame.
            coco: whether to answer in COCO's format of results.
            seconds: for how long a webcam is looked at.

        Returns:
            ``Detections``, of a folder ``ManyDetections``, of a video ``Watched``.

        Raises:
            PaperzooError: the input cannot be read, or the file not be written.
        """
        if isinstance(input, list | tuple):
            return [self.predict(one, threshold=threshold, overlap=overlap, out=out, coco=coco, seconds=seconds) for one in input]
        if (live := webcam(self, input, threshold, overlap, seconds)) is not None:
            return live
        if (many := folder(self, input, threshold, overlap, out, coco)) is not None:
            return many
        if (watched := video(self, input, threshold, overlap, out)) is not None:
            return watched
        path = new_file(input, "-boxes.png", out)
        picture = read_rgb(read_whole(input))
        detections = self.look(picture, threshold, overlap)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            save(drawn(picture, [(f"{one.name} {one.score:.2f}", one.label, one.box) for one in detections]), path)
        name = Path(input).stem if isinstance(input, str | os.PathLike) else "image"
        ids = dict(enumerate(COCO_IDS)) if self.names == COCO else {}
        return Detections(name, picture.size, detections, path, coco, ids)
