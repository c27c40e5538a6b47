"""What a context encoder's features are worth: a linear classifier on top of them, from few labels (Pathak et al. 2016, section 5.2).

The paper trains AlexNet to fill holes, without any label, and then all of it further on labelled images. Here the encoder stays as it
is and sees whole images x; only a logistic regression W is fitted to its features e(x), by all labelled images at once:

    min over W  of  sum_i -log softmax(W e(x_i))_{y_i} + |W|^2 / (2 C)

so that nothing is measured but the features. Beside it the same with an encoder whose weights are random. Read ``context_encoder.py``
first, then ``Features.step``.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from paperzoo.data import Batch, Schema
from paperzoo.errors import unknown
from paperzoo.nn.fitted import Linear
from paperzoo.papers.restoration.context_encoder import Masks, Model
from paperzoo.ranges import Even, NotNegative, Part, Pixels, Positive, Several, Share, Size, Whole
from paperzoo.tasks.classification import Classifier
from paperzoo.tasks.model import Optimizers, Players

STAGES = ("fill", "classify")


class Features(Classifier):
    """A context encoder, trained to fill holes (stage ``fill``), and a logistic regression on its features (stage ``classify``).

    A training without stages does both with each batch; one of the stage ``classify`` alone sees what random weights are worth.

    Args:
        classes: filled in from the data.
        cost: C above; features are standardised.
        image_size, channels, design, masks, width, bottleneck, overlap, weight, adversarial: as of ``Model``.
    """

    def __init__(
        self,
        *,
        classes: Several = 12,
        cost: Positive = 0.01,
        image_size: Pixels = 128,
        channels: Literal[1, 3] = 3,
        design: Literal["strided", "alexnet"] = "strided",
        masks: Masks = "centre",
        width: Even = 64,
        bottleneck: Size = 4000,
        overlap: Whole = 7,
        weight: Share = 0.999,
        adversarial: bool = True,
    ) -> None:
        super().__init__()
        self.painter = Model(
            image_size=image_size, channels=channels, design=design, masks=masks, width=width, bottleneck=bottleneck, overlap=overlap,
            weight=weight, adversarial=adversarial,
        )  # fmt: skip
        self.channels, self.image_size = channels, image_size
        self.phases: tuple[str, ...] = STAGES
        with torch.no_grad():
            dimensions = self.painter.eval().features(torch.zeros(1, channels, image_size, image_size)).shape[1]
        self.train()
        self.regression = Linear("logistic", dimensions, classes, cost)

    @classmethod
    def check(cls, schema: Schema) -> None:
        """Labelled images, or images alone for the stage ``fill``."""
        if "label" in schema.fields:
            super().check(schema)
        else:
            Model.check(schema)

    def stage(self, name: str) -> None:
        """``fill`` or ``classify``."""
        if name not in STAGES:
            raise unknown("stage", name, STAGES, "of context_encoder:features")
        self.phases = (name,)

    def optimizers(
        self, *, lr: NotNegative = 2e-4, slower: NotNegative = 0.1, beta1: Part = 0.5, decay_from: Share = 1.0
    ) -> Optimizers:
        """``Model``'s optimisers in the stage ``fill``; the regression needs none."""
        rates = {"lr": lr, "slower": slower, "beta1": beta1, "decay_from": decay_from}
        return self.painter.optimizers(**rates) if "fill" in self.phases else {}

    def step(self, batch: Batch, opt: Players) -> dict[str, Tensor]:
        losses = self.painter.step(batch, opt) if "fill" in self.phases else {}
        if "classify" in self.phases:
            with torch.no_grad():
                self.regression.fit(self.features(batch.image), batch.label, seed=0)
        return losses

    def features(self, image: Tensor) -> Tensor:
        """The encoder's, (N, D), by the statistics of its training: labelled images change nothing in it."""
        was_training = self.painter.training
        self.painter.eval()
        features = torch.cat([self.painter.features(part) for part in torch.split(image, 64)])
        self.painter.train(was_training)
        return features

    def head(self, features: Tensor) -> Tensor:
        logits: Tensor = self.regression(features)
        return logits

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.features(image))
