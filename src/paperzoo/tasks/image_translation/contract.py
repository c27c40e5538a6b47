"""The interface of an image translator, and its use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from paperzoo.data import Batch
from paperzoo.data.datasets import dataset
from paperzoo.errors import PaperzooError, unknown
from paperzoo.files import is_folder
from paperzoo.tasks.image_translation.files import Translation, picture, pictures
from paperzoo.tasks.image_translation.task import ImageTranslation
from paperzoo.tasks.image_translation.whole import seeded
from paperzoo.tasks.model import Model
from paperzoo.tasks.several import Pictures
from paperzoo.tasks.task import Task


class ImageTranslator(Model):
    """A model that translates images (N, C, H, W) in [0, 1] of domain A to domain B, and maybe back. Subclasses define ``translate``.

    Attributes:
        channels, image_size: of the images that it is trained on.
        multiple, least: the sides of an image must be multiples of the one, and at least as long as the other.
        domains: those that it translates to.
        alone: whether images must be translated one by one, because each is treated by the statistics of its batch.
    """

    tasks: ClassVar[tuple[Task, ...]] = (ImageTranslation(),)
    channels: int
    image_size: int
    multiple: int
    least: int = 1
    domains: ClassVar[tuple[str, ...]] = ("b",)
    alone: ClassVar[bool] = False

    def translate(self, image: Tensor, to: str = "b") -> Tensor:
        """Images (N, C, H, W) in [0, 1] of the other domain, on the model's device, as such of the domain ``to``; of the same shape."""
        raise TypeError(f"{type(self).__name__} does not say how it translates")

    def translated(self, image: Tensor, to: str = "b", seed: int = 0) -> Tensor:
        """``translate`` in eval mode without gradients; float32 (N, C, H, W) on the CPU.

        Where the network has noise, each image gets the same of its own: translation i does not depend on how many there are.
        """
        was_training, device = self.training, next(self.parameters()).device
        self.eval()
        parts = []
        with torch.no_grad():
            for part in torch.split(image, 1 if self.alone else 32):
                with seeded(seed, device):
                    parts.append(self.translate(part.to(device), to).float().cpu())
        self.train(was_training)
        return torch.cat(parts)

    def sample(self, items: int = 8, seed: int = 0, *, data: str = "") -> Tensor:
        """Held-out images, their translations to domain B and, where the data are paired, what they should be.

        Args:
            data: the name of a data set of two domains; by default that of the training, if it has a name.

        Returns:
            (N, 2 or 3, C, S, S) in [0, 1], float32: source, translation, truth.

        Raises:
            PaperzooError: fewer than one asked for, no data named where none are known, or such as cannot be used.
        """
        batch, paired = self.held_out(items, seed, data, " of two domains")
        shown = [batch.image_a, self.translated(batch.image_a)]
        return torch.stack([*shown, batch.image_b] if paired else shown, 1)

    def held_out(self, items: int, seed: int, data: str, such: str = "") -> tuple[Batch, bool]:
        """So many held-out items for a sample, of fewer some again, and whether both domains' are pairs.

        Args, Raises: as ``sample``; ``such`` says which data it needs, in words.
        """
        if items < 1:
            raise PaperzooError(f"cannot draw {items} samples: ask for at least 1")
        name = data or str(self.prepared.get("data", ""))
        if not name:
            raise PaperzooError(f"whose pictures? This model does not know what it was trained on: name a data set{such} by --data")
        known = dataset(name, image_size=self.image_size, channels=self.channels)
        self.check(known.schema)
        split = next(s for s in ("test", "validation", "train") if s in known.splits)
        order = np.random.Generator(np.random.Philox(seed)).permutation(len(known[split]))
        return known[split].batch(np.resize(order, items)), split in known.schema.arguments.get("paired", ())

    def predict(self, input: Any, *, to: str = "b", out: str = "", seed: int = 0) -> Translation | Pictures | list[Any]:
        """Translates a picture of any size, an animated one, or all of a folder.

        Args:
            input: a path, PIL image, array or tensor; a folder; or a list of these.
            to: the domain to translate to, b or, where the model has it, a.
            out: the folder to write to, under the same names; a folder of pictures needs it.

        Raises:
            PaperzooError: no picture, a domain that it does not translate to, or a file that cannot be written.
        """
        if to not in self.domains:
            raise unknown("domain", to, self.domains, f"that {self.name or 'this model'} translates to")
        if isinstance(input, list | tuple):
            return [self.predict(one, to=to, out=out, seed=seed) for one in input]
        if isinstance(input, str | os.PathLike) and is_folder(os.fspath(input)):
            return pictures(self, Path(os.fspath(input)), to, out, seed)
        return picture(self, input, to, out, seed)
