"""The interface of a model that edits attributes of images, one network for all attributes, and its use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from paperzoo.data import Batch
from paperzoo.data.images.attributes import asked
from paperzoo.errors import PaperzooError
from paperzoo.files import is_folder
from paperzoo.tasks.attribute_translation.asking import changes, one_changed
from paperzoo.tasks.attribute_translation.task import AttributeTranslation
from paperzoo.tasks.image_translation.contract import ImageTranslator
from paperzoo.tasks.image_translation.files import Translation, picture, pictures
from paperzoo.tasks.several import Pictures
from paperzoo.tasks.task import Task


class AttributeTranslator(ImageTranslator):
    """A model that changes attributes. Subclasses set ``attributes`` and ``columns`` and define ``edit`` and ``seen``.

    Attributes:
        attributes: their names; ``columns``: where each stands in the attributes of the training data.
    """

    tasks: ClassVar[tuple[Task, ...]] = (AttributeTranslation(),)
    attributes: tuple[str, ...]
    columns: list[int]

    def edit(self, image: Tensor, attributes: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] as they would be with these attributes, float32 (N, A) in {0, 1}."""
        raise TypeError(f"{type(self).__name__} does not say how it changes attributes")

    def seen(self, image: Tensor) -> Tensor:
        """The attributes that the model itself sees in images (N, C, H, W) in [0, 1]; float32 (N, A) in {0, 1}."""
        raise TypeError(f"{type(self).__name__} does not say which attributes it sees")

    def has(self, batch: Batch) -> Tensor:
        """The attributes that the images of a batch have, of those that the model changes; float32 (N, A)."""
        has: Tensor = batch.attributes[:, self.columns]
        return has

    def edited(self, image: Tensor, attributes: Tensor) -> Tensor:
        """``edit`` in eval mode without gradients, 32 images at a time; float32 on the CPU."""
        was_training, device = self.training, next(self.parameters()).device
        self.eval()
        with torch.no_grad():
            parts = zip(torch.split(image, 32), torch.split(attributes, 32), strict=True)
            answer = torch.cat([self.edit(one.to(device), other.to(device)).float().cpu() for one, other in parts])
        self.train(was_training)
        return answer

    def translate(self, image: Tensor, to: str = "b") -> Tensor:
        """Images with what ``to`` asks for, as ``changes`` reads it; in all else as the model sees them."""
        return self.edit(image, asked(self.seen(image), self.attributes, changes(to, self.attributes)))

    def sample(self, items: int = 8, seed: int = 0, *, data: str = "") -> Tensor:
        """Held-out images, and each attribute changed by itself: a colour of the hair given, glasses put on or taken off.

        Args:
            data: the name of a data set with attributes; by default that of the training, if it has a name.

        Returns:
            (N, 1 + A, C, S, S) in [0, 1], float32: the source, then the attributes in order.

        Raises:
            PaperzooError: fewer than one asked for, no data named where none are known, or such as cannot be used.
        """
        image = self.held_out(items, seed, data)[0].image.cpu()
        device = next(self.parameters()).device
        with torch.no_grad():
            before = torch.cat([self.seen(part.to(device)).cpu() for part in torch.split(image, 32)])
        changed = [self.edited(image, one_changed(before, self.attributes, k)) for k in range(len(self.attributes))]
        return torch.stack([image, *changed], 1)

    def predict(  # type: ignore[override]
        self, input: Any, *, attributes: str = "", out: str = "", seed: int = 0
    ) -> Translation | Pictures | list[Any]:
        """Changes attributes of a picture of any size, of an animated one, or of all of a folder.

        Args:
            input: a path, PIL image, array or tensor; a folder; or a list of these.
            attributes: what it shall have, or not have, with commas between: "blonde hair, no glasses". All else stays as the model
                sees it in the picture.
            out: the folder to write to, under the same names; a folder of pictures needs it.

        Raises:
            PaperzooError: nothing asked for, an attribute that there is not, two that exclude each other, no picture, or a file that
                cannot be written.
        """
        wanted = changes(attributes, self.attributes)
        if not wanted:
            raise PaperzooError(f"say what to change by --attributes: {', '.join(self.attributes)}; or no {self.attributes[0]}")
        asked(torch.zeros(1, len(self.attributes)), self.attributes, wanted)  # what excludes each other is said first
        if isinstance(input, list | tuple):
            return [self.predict(one, attributes=attributes, out=out, seed=seed) for one in input]
        if isinstance(input, str | os.PathLike) and is_folder(os.fspath(input)):
            return pictures(self, Path(os.fspath(input)), attributes, out, seed)
        return picture(self, input, attributes, out, seed)
