"""The interface of a text detector, and its use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import torch
from annotated_types import Ge, Le
from PIL import Image
from torch import Tensor

from paperzoo.data.boxes.geometry import Letterbox, letterboxed
from paperzoo.data.pictures import as_channels, read_rgb
from paperzoo.errors import PaperzooError
from paperzoo.files import is_folder
from paperzoo.tasks.images import new_file, read_whole
from paperzoo.tasks.model import Model
from paperzoo.tasks.pictures import save
from paperzoo.tasks.several import looked_at
from paperzoo.tasks.task import Task
from paperzoo.tasks.text_detection.answers import ManyTexts, Text, Texts
from paperzoo.tasks.text_detection.drawing import drawn
from paperzoo.tasks.text_detection.task import TextDetection

#: images that are looked at at a time
PART = 16


class Reading(NamedTuple):
    """The texts in one image, the best first: corners float64 (D, 4, 2) in pixels of the image, clockwise, and scores (D)."""

    quads: np.ndarray
    scores: np.ndarray


class TextDetector(Model):
    """A model that finds text. Subclasses define ``answers`` and ``read``.

    Args:
        channels, image_size: of the images; pictures of any shape are put into a square of this side, grey around them.
        threshold: least score of what is measured and said, unless the user asks for another.

    Attributes:
        stride: both sides of what the network is given are multiples of it.
    """

    tasks: ClassVar[tuple[Task, ...]] = (TextDetection(),)
    stride: int = 32

    def __init__(self, channels: int, image_size: int, threshold: float) -> None:
        super().__init__()
        self.channels, self.image_size, self.threshold = channels, image_size, threshold
        if image_size % self.stride:
            near = max(self.stride, round(image_size / self.stride) * self.stride)
            raise PaperzooError(f"image_size must be a multiple of {self.stride}, such as {near}, not {image_size}")

    def answers(self, image: Tensor) -> Tensor:
        """All that the network says of images (N, C, H, W) in [0, 1], whose sides are multiples of ``stride``: (N, K, h, w)."""
        raise TypeError(f"{type(self).__name__} does not say what its network answers")

    def read(self, answers: Tensor, threshold: float) -> list[Reading]:
        """The texts decoded from these answers, with scores above the threshold."""
        raise TypeError(f"{type(self).__name__} does not say how its answers are read")

    def reading_rules(self) -> dict[str, Any]:
        """By what numbers the gallery's page reads ``answers`` as ``read`` does; empty where it does not know how."""
        return {}

    def found(self, image: Tensor, threshold: float | None = None) -> list[Reading]:
        """The texts in images (N, C, H, W), in eval mode without gradients."""
        was_training, device, rows = self.training, next(self.parameters()).device, list[Reading]()
        self.eval()
        with torch.no_grad():
            for part in torch.split(image, PART):
                rows += self.read(self.answers(part.to(device)).float().cpu(), self.threshold if threshold is None else threshold)
        self.train(was_training)
        return rows

    def made_of(self, image: Tensor) -> list[tuple[list[Any], list[Any], list[Any]]]:
        """Of a model that builds texts from parts: the parts' boxes, pairs of linked points, and the texts, of each image."""
        raise TypeError(f"{type(self).__name__} does not say what its texts are made of")

    def look(self, picture: Image.Image, threshold: float | None = None) -> tuple[Text, ...]:
        """The texts in an RGB picture of any size; corners in its own pixels, also where they lie beyond its border."""
        side = self.image_size
        pixels = as_channels(letterboxed(picture, side, side), self.channels)
        (reading,) = self.found(torch.from_numpy(pixels.copy())[None].float().div_(255), threshold)
        quads = Letterbox(picture.height, picture.width, side, side).back(reading.quads)
        return tuple(Text(float(score), _corners(quad)) for quad, score in zip(quads, reading.scores, strict=True))

    def predict(self, input: Any, *, threshold: Annotated[float, Ge(0), Le(1)] | None = None, out: str = "") -> Any:
        """Where in a picture something is written; it is given as path, PIL image or array. Of a list of these, a list; of a folder
        what is written in its pictures.

        Args:
            threshold: least score of what is said; default: that which the model is measured at.
            out: a folder to draw the quadrilaterals in, as NAME-text.png.

        Returns:
            ``Texts``, of a folder ``ManyTexts``.

        Raises:
            PaperzooError: the input cannot be read, or the file not be written.
        """
        if isinstance(input, list | tuple):
            return [self.predict(one, threshold=threshold, out=out) for one in input]
        if isinstance(input, str | os.PathLike) and is_folder(os.fspath(input)):
            return ManyTexts(*looked_at(os.fspath(input), lambda path: self.predict(path, threshold=threshold, out=out)))
        path = new_file(input, "-text.png", out)
        picture = read_rgb(read_whole(input))
        texts = self.look(picture, threshold)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            save(drawn(picture, [(f"{one.score:.2f}", one.quad) for one in texts]), path)
        name = Path(input).stem if isinstance(input, str | os.PathLike) else "image"
        return Texts(name, picture.size, texts, path)


def _corners(quad: np.ndarray) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in quad)
