"""Captions that are written freely, measured beside baselines; which of them are true; and whether attention is paid to what is named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from paperzoo.data import Dataset, Split
from paperzoo.data.captions import grammar
from paperzoo.data.captions.words import tokenise
from paperzoo.metrics.caption_bleu import caption_bleu
from paperzoo.metrics.cider import cider
from paperzoo.metrics.rouge_l import rouge_l
from paperzoo.tasks.captioning.maps import mass

if TYPE_CHECKING:
    from paperzoo.tasks.captioning.contract import Caption, Captioner

#: pictures at a time; the side to which they are shrunk before the nearest is looked for
PART, SIDE = 200, 8
#: a split of which pairs of thing and relation never stand together in training
WITHHELD = "compositional"


def scores(model: Captioner, dataset: Dataset, split: str) -> dict[str, float]:
    """Scores over the whole split, of captions that the model writes by itself, against all captions that a picture has.

    ``BLEU-1`` to ``BLEU-4``, ``CIDEr-D``, ``ROUGE-L``. Beside ``BLEU-4``: ``with shuffled pictures``, of captions that were written
    of another picture of the split; ``of retrieval``, of the first caption of the nearest training picture, by the pixels of both
    shrunk to 8x8; ``above baselines``, by how much it is more than the better of these two; ``of a fresh caption``, of each
    picture's first caption held against its others, which is what a true caption gets.

    Where it is known what pictures show: ``true %``, the share of captions that parse and hold, also ``of retrieval``, and of the
    split ``compositional``, where there is one, when the test split is measured. And, of a model with attention, what attends
    ``attention`` says.
    """
    items = dataset[split]
    captions, texts, scenes = written(model, items)
    said, references = [caption.text for caption in captions], [plain(captions_of) for captions_of in texts]
    metrics = {f"BLEU-{n}": value for n, value in enumerate(caption_bleu(said, references), 1)}
    metrics |= {"CIDEr-D": cider(said, references), "ROUGE-L": rouge_l(said, references)}
    if len(items) > 1:
        half = len(items) // 2  # far apart, and never the picture itself
        metrics["BLEU-4 with shuffled pictures"] = caption_bleu(said, references[half:] + references[:half])[3]
    nearest = retrieved(dataset["train"], items)
    metrics["BLEU-4 of retrieval"] = caption_bleu(plain(nearest), references)[3]
    others = [value for name, value in metrics.items() if name.startswith("BLEU-4 ")]
    metrics["BLEU-4 above baselines"] = metrics["BLEU-4"] - max(others)
    fresh = [(captions_of[0], captions_of[1:]) for captions_of in references if len(captions_of) > 1]
    if fresh:
        metrics["BLEU-4 of a fresh caption"] = caption_bleu(*map(list, zip(*fresh, strict=True)))[3]
    if scenes:
        metrics["true %"] = true(said, scenes)
        metrics["true % of retrieval"] = true(nearest, scenes)
        if model.grid[0]:
            metrics |= attention(captions, scenes, model.image_size)
        if split == "test" and WITHHELD in dataset.splits:
            other, texts, scenes = written(model, dataset[WITHHELD], attention=False)
            said = [caption.text for caption in other]
            metrics[f"{WITHHELD} true %"] = true(said, scenes)
            metrics[f"{WITHHELD} BLEU-4"] = caption_bleu(said, [plain(captions_of) for captions_of in texts])[3]
    return metrics


def written(model: Captioner, items: Split, attention: bool = True) -> tuple[list[Caption], list[tuple[str, ...]], list[Any]]:
    """The model's captions of a split's pictures, the captions that these have, and what they show, where that is known."""
    captions: list[Caption] = []
    texts: list[tuple[str, ...]] = []
    scenes: list[Any] = []
    for indices in items.batches(PART):
        batch = items.batch(indices)
        captions += model.captions(batch.image, attention=attention)
        texts += batch.texts
        scenes += getattr(batch, "scene", [])
    return captions, texts, scenes


def plain(texts: Sequence[str]) -> list[str]:
    """Captions as a model writes them: their words, with a blank between."""
    return [" ".join(tokenise(text)) for text in texts]


def true(captions: Sequence[str], scenes: Sequence[grammar.Scene]) -> float:
    """Percent of captions that are exactly true of their scenes."""
    return 100 * float(np.mean([grammar.true(text, scene) for text, scene in zip(captions, scenes, strict=True)]))


def attention(captions: Sequence[Caption], scenes: Sequence[grammar.Scene], size: int) -> dict[str, float]:
    """``attention on the thing``: the share of a noun's attention that lies on the box of the thing that it names, the mean over nouns
    that name one thing of the picture and no other; ``area of the thing``: the share of the picture that these boxes cover.
    """
    shares = []
    for caption, scene in zip(captions, scenes, strict=True):
        for place, noun in grammar.nouns(caption.text):
            boxes = [thing.box for thing in scene.things if thing.noun == noun]
            if len(boxes) == 1:
                shares.append(mass(caption.attention[place], boxes[0], (size, size)))
    if not shares:
        return {}
    inside, area = np.mean(shares, 0)
    return {"attention on the thing": float(inside), "area of the thing": float(area)}


def retrieved(train: Split, items: Split) -> list[str]:
    """For each picture the first caption of the training picture whose pixels are nearest, both shrunk to ``SIDE`` a side."""
    known, wanted = shrunk(train), shrunk(items)
    nearest = torch.cat([torch.cdist(part, known).argmin(1) for part in torch.split(wanted, PART)])
    return [train.batch([i]).texts[0][0] for i in nearest.tolist()]


def shrunk(items: Split) -> Tensor:
    """Pictures as means over parts of them, float32 (N, C * SIDE^2), on the CPU."""
    parts = [items.batch(indices).image.cpu() for indices in items.batches(PART)]
    return torch.cat([F.adaptive_avg_pool2d(part, SIDE).flatten(1) for part in parts])
