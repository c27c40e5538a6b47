"""The interface of a dense-pose model, and its use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from paperzoo.data.bodyparts import PARTS
from paperzoo.data.boxes.geometry import Letterbox, letterboxed
from paperzoo.data.pictures import as_channels, read_rgb
from paperzoo.errors import PaperzooError
from paperzoo.files import is_folder
from paperzoo.tasks.dense_pose import drawing
from paperzoo.tasks.dense_pose.answers import ManyPersons, Person, Persons
from paperzoo.tasks.dense_pose.task import DensePose
from paperzoo.tasks.images import new_file, read_whole
from paperzoo.tasks.model import Model
from paperzoo.tasks.pictures import save
from paperzoo.tasks.several import looked_at
from paperzoo.tasks.task import Task
from paperzoo.terminal import plain

#: images that are looked at at a time, and the least side at which what is found is drawn
PART, SIDE = 16, 384


class Found(NamedTuple):
    """A person that is found in an image of S x S pixels.

    Attributes:
        box: float (4), left, top, right and bottom. part: int64 (S, S), 0 where the person is not. uv: float32 (2, S, S).
    """

    score: float
    box: np.ndarray
    part: np.ndarray
    uv: np.ndarray


class DensePoser(Model):
    """A model of dense pose. Subclasses define ``answers`` and ``read``.

    Args:
        channels, image_size: of the images; pictures of any shape are put into a square of this side, grey around them.

    Attributes:
        stride: both sides of what the network is given are multiples of it.
        by_region: whether it answers for the regions of a detector, whose number each picture decides.
    """

    tasks: ClassVar[tuple[Task, ...]] = (DensePose(),)
    stride: int = 32
    by_region: ClassVar[bool] = False

    def __init__(self, channels: int, image_size: int) -> None:
        super().__init__()
        self.channels, self.image_size = channels, image_size
        if image_size % self.stride:
            near = max(self.stride, round(image_size / self.stride) * self.stride)
            raise PaperzooError(f"image_size must be a multiple of {self.stride}, such as {near}, not {image_size}")

    def answers(self, image: Tensor) -> Tensor:
        """The network's output for images (N, C, H, W) in [0, 1], whose sides are multiples of ``stride``: (N, ...)."""
        raise TypeError(f"{type(self).__name__} does not say what its network answers")

    def people(self, image: Tensor) -> list[list[Found]]:
        """The people in each of the images (N, C, S, S), the best first."""
        raise TypeError(f"{type(self).__name__} does not say whom it finds")

    def found(self, image: Tensor) -> list[list[Found]]:
        """``people`` in eval mode without gradients."""
        was_training, device, rows = self.training, next(self.parameters()).device, list[list[Found]]()
        self.eval()
        with torch.no_grad():
            for part in torch.split(image, PART):
                rows += self.people(part.to(device))
        self.train(was_training)
        return rows

    def look(self, picture: Image.Image) -> list[Found]:
        """The people in an RGB picture of any size, with maps and boxes of its own size."""
        side = self.image_size
        pixels = as_channels(letterboxed(picture, side, side), self.channels)
        (people,) = self.found(torch.from_numpy(pixels.copy())[None].float().div_(255))
        frame = Letterbox(picture.height, picture.width, side, side)
        (tall, wide), (top, left) = frame.inside, frame.corner

        def back(values: np.ndarray, how: Image.Resampling) -> np.ndarray:
            cut = Image.fromarray(values[top : top + tall, left : left + wide])
            return np.asarray(cut.resize(picture.size, how))

        whole = list[Found]()
        for one in people:
            part = back(one.part.astype(np.uint8), Image.Resampling.NEAREST).astype(np.int64)
            if (part > 0).any():
                uv = np.stack([back(values.astype(np.float32), Image.Resampling.NEAREST) for values in one.uv])
                whole.append(Found(one.score, frame.back(np.asarray(one.box, np.float64)), part, uv))
        return whole

    def predict(self, input: Any, *, out: str = "", texture: str = "") -> Any:
        """Which part of a body each pixel of a picture shows; it is given as path, PIL image or array. Of a list of these, a list; of a
        folder what its pictures show.

        Args:
            out: a folder to draw in, as NAME-pose.png: isolines of U and V, parts, and the body with a texture.
            texture: a picture of 6 by 4 squares to be laid on whom is found, part by part. Default: a chequered one.

        Returns:
            ``Persons``, of a folder ``ManyPersons``; nobody is an answer too.

        Raises:
            PaperzooError: the input cannot be read, the texture is of another shape, or the file cannot be written.
        """
        atlas = drawing.atlas_of(read_rgb(read_whole(texture)), plain(texture)) if texture else drawing.chequered()
        if isinstance(input, list | tuple):
            return [self.predict(one, out=out, texture=texture) for one in input]
        if isinstance(input, str | os.PathLike) and is_folder(os.fspath(input)):
            return ManyPersons(*looked_at(os.fspath(input), lambda path: self.predict(path, out=out, texture=texture)))
        path = new_file(input, "-pose.png", out)
        picture = read_rgb(read_whole(input))
        people = self.look(picture)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            save(_drawn(self, picture, atlas), path)
        name = Path(input).stem if isinstance(input, str | os.PathLike) else "image"
        return Persons(name, picture.size, tuple(map(_said, people)), path)


def merged(people: list[Found], tall: int, wide: int) -> tuple[np.ndarray, np.ndarray]:
    """The maps of all people as one, those with the best scores on top: parts (H, W), U and V (2, H, W)."""
    part, uv = np.zeros((tall, wide), np.int64), np.zeros((2, tall, wide), np.float32)
    for one in reversed(people):
        mine = one.part > 0
        part[mine], uv[:, mine] = one.part[mine], one.uv[:, mine]
    return part, uv


def _drawn(model: DensePoser, picture: Image.Image, atlas: np.ndarray) -> Image.Image:
    times = max(1, -(-SIDE // max(picture.size)))
    large = picture.resize((times * picture.width, times * picture.height), Image.Resampling.BICUBIC)
    part, uv = merged(model.look(large), large.height, large.width)
    return drawing.beside(
        [drawing.isolines(large, part, uv), drawing.parts_picture(part), drawing.textured(large, part, uv, atlas)]
    )


def _said(one: Found) -> Person:
    number = np.bincount(one.part[one.part > 0], minlength=len(PARTS))
    x0, y0, x1, y1 = (float(value) for value in one.box)
    shares = {PARTS[k]: float(number[k] / number.sum()) for k in np.argsort(-number, kind="stable") if number[k]}
    return Person(one.score, (x0, y0, x1, y1), shares)
