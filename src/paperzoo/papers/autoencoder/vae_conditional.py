"""A VAE that is given the class: q(z|x, y) and p(x|z, y), so that the code need not hold it (Kingma et al. 2014, 1406.5298).

The bound is that of ``vae.py`` with the label y given to both networks as a one-hot vector. Samples can be asked for by class.
``vae:conditional`` trains it.
"""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.papers.autoencoder.vae import VAE
from paperzoo.ranges import Pixels, Several, Size
from paperzoo.tasks.generation import ConditionalGenerator
from paperzoo.tasks.images import read_image
from paperzoo.tasks.reconstruction import Reconstruction


class Conditional(VAE, ConditionalGenerator):
    """Both networks are conditioned on the class; arguments as in ``vae.Model``, and ``classes``."""

    needs = ("image", "label")

    def __init__(
        self,
        *,
        classes: Several = 10,
        image_size: Pixels = 28,
        channels: Size = 1,
        latent: Size = 20,
        hidden: Size = 500,
        width: Size = 32,
        conv: bool = False,
        likelihood: Literal["bernoulli", "gaussian"] = "bernoulli",
        binarise: Literal["none", "threshold", "sample"] = "none",
    ) -> None:
        super().__init__(classes, image_size, channels, latent, hidden, width, conv, likelihood, binarise)

    def given(self, batch: Batch) -> tuple[Tensor, ...]:
        return batch.image, batch.label

    def told_example(self, items: int) -> tuple[Tensor, ...]:
        return (self.labels(items),)

    def predict(self, input: Any, label: int | str | None = None) -> Reconstruction:
        """The code and the reconstruction of an image of the class ``label``, given as path, PIL image or array.

        Args:
            label: the class, by number or name.

        Raises:
            PaperzooError: no such class, or none given; or the input is no image.
        """
        if label is None:
            raise PaperzooError("this model must be told what it sees: predict(image, label=3)")
        return self.reconstruction(read_image(input, self.channels, self.image_size, self.prepared), self.labels(1, label))
