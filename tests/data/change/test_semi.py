"""Data of which few are labelled."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

import paperzoo
from paperzoo.data.change.semi import semi
from paperzoo.data.images.digits import digits
from paperzoo.papers.gan import sgan
from paperzoo.tasks.classification import Classifier


def test_every_image_has_a_partner_whose_label_is_its_own() -> None:
    data = digits()
    few = semi(data, 10, seed=3)
    train, full = few["train"], data["train"]
    batch = train.batch(np.arange(len(train)))
    assert torch.equal(batch.image, full.batch(np.arange(len(full))).image)  # all images, in their order
    known = full.batch(np.arange(len(full)))
    label_of = {image.numpy().tobytes(): int(label) for image, label in zip(known.image, known.label, strict=True)}
    assert [label_of[image.numpy().tobytes()] for image in batch.labelled] == batch.label.tolist()
    uses = Counter(image.numpy().tobytes() for image in batch.labelled)
    assert len(uses) == 100 and max(uses.values()) - min(uses.values()) <= 1
    assert Counter(label_of[image] for image in uses) == dict.fromkeys(range(10), 10)
    own = float((known.label == batch.label).float().mean())
    assert own < 0.2  # the label says nothing of the image beside it
    assert few["test"] is data["test"]


def test_partners_are_a_function_of_the_seed_and_a_bad_number_is_refused() -> None:
    first, again, other = (semi(digits(), 10, seed)["train"].batch(np.arange(50)) for seed in (0, 0, 1))
    assert torch.equal(first.labelled, again.labelled) and not torch.equal(first.labelled, other.labelled)
    with pytest.raises(paperzoo.PaperzooError, match="per_class must be from 1 to"):
        semi(digits(), 1000)
    with pytest.raises(paperzoo.PaperzooError, match="cannot be joined"):
        semi(digits(), 10)["train"].columns[1].join(digits()["test"].columns[0])


def test_a_classifier_that_would_pair_image_and_label_is_refused() -> None:
    few = semi(digits(), 10).schema
    with pytest.raises(paperzoo.PaperzooError, match="needs data with image and label"):
        Classifier.check(few)
    sgan.Model.check(few)
