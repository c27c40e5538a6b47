"""What a paper must define whose model translates images."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from paperzoo.tasks.model import Model


class ImageTranslator(Model):
    """A model that translates images (N, C, H, W) in [0, 1] of domain A into domain B, and maybe back."""

    task = "image translation"
    needs: ClassVar[tuple[str, ...]] = ("image_a", "image_b")
    channels: int
    multiple: int
    directions: ClassVar[tuple[str, ...]] = ("a>b",)
    alone: ClassVar[bool] = False

    def translate(self, image: Tensor, direction: str = "a>b") -> Tensor:
        raise TypeError(f"{type(self).__name__} does not say how it translates")
