"""Retrieval between pictures and captions, and whether nouns are seen where their things are; each beside chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from paperzoo.data import Dataset, Split
from paperzoo.data.captions import grammar
from paperzoo.data.captions.words import PAD
from paperzoo.metrics.recall_at import AT, recall_at

if TYPE_CHECKING:
    from paperzoo.tasks.alignment.contract import Aligner

#: pictures that are seen at a time, and captions that are scored at a time
PICTURES, CAPTIONS = 50, 200


def figures(model: Aligner, dataset: Dataset, split: str) -> dict[str, float]:
    """Retrieval among all pictures and captions of the split, and where nouns are seen.

    ``R@1``, ``R@5``, ``R@10`` (percent) and ``median rank``: ``of captions``, which a picture finds, any of its own being right; ``of
    pictures``, which a caption finds. ``R@1 ... by chance``: of scores that say nothing.

    Where it is known what pictures show, what ``nouns`` says.
    """
    items = dataset[split]
    regions = torch.cat([model.see(items.batch(part).image.to(_device(model))) for part in items.batches(PICTURES)])  # (N, R, h)
    words, picture = captions_of(model, items)
    captions, pictures = recall_at(scores(model, regions, words).numpy(), picture)
    metrics: dict[str, float] = {}
    for name, one in (("captions", captions), ("pictures", pictures)):
        metrics |= {f"R@{k} of {name}": one.recall[k] for k in AT} | {f"median rank of {name}": one.median}
    metrics["R@1 of captions by chance"] = 100 * float(np.bincount(picture).mean()) / len(picture)
    metrics["R@1 of pictures by chance"] = 100 / len(items)
    return metrics | nouns(model, items, regions)


def captions_of(model: Aligner, items: Split) -> tuple[list[Tensor], np.ndarray]:
    """The words int64 (T) of every caption of a split, and which of its pictures each belongs to, (M)."""
    words: list[Tensor] = []
    picture: list[int] = []
    for indices in items.batches(PICTURES):
        captions = model.sentences(items.batch(indices).captions)  # (N, K, T)
        for place, row in zip(*np.nonzero((captions != PAD).any(2).numpy()), strict=True):
            words.append(captions[place, row][captions[place, row] != PAD])
            picture.append(int(indices[place]))
    return words, np.array(picture)


def scores(model: Aligner, seen: Tensor, words: list[Tensor]) -> Tensor:
    """The score of each of M captions for each picture, float32 (N, M), on the CPU; captions of similar length share a batch."""
    order = sorted(range(len(words)), key=lambda m: len(words[m]))
    fit = torch.empty(len(seen), len(words))
    for start in range(0, len(order), CAPTIONS):
        part = order[start : start + CAPTIONS]
        padded = pad_sequence([words[m] for m in part], batch_first=True, padding_value=PAD).to(seen.device)  # (M, T)
        said = model.read(padded)
        fit[:, part] = torch.cat([model.score(one, said, padded != PAD) for one in torch.split(seen, PICTURES)]).float().cpu()
    return fit


def nouns(model: Aligner, items: Split, seen: Tensor) -> dict[str, float]:
    """Where the nouns of every picture's captions are seen, of those that name one thing of the picture and no other, in percent.

    A region lies on a thing if its middle is within the thing's box; the whole picture lies on none. ``noun on its thing %``: of the
    region that fits the word best; ``smoothed``, of the one that it has as one of its neighbours; ``by chance``, of a region taken at
    random, the whole picture counted; ``noun on another thing %``, which is what it is to see things but not which.
    """
    counted: list[tuple[float, float, float, float]] = []
    for indices in items.batches(PICTURES):
        batch = items.batch(indices)
        if not hasattr(batch, "scene"):
            return {}
        captions = model.sentences(batch.captions).to(seen.device)  # (N, K, T)
        for n, scene in enumerate(batch.scene):
            on = {thing: lies_on(model.regions, model.image_size, thing.box) for thing in scene.things}
            for k, text in enumerate(batch.texts[n]):
                named = [(t, [thing for thing in scene.things if thing.noun == noun]) for t, noun in grammar.nouns(text)]
                if not any(len(things) == 1 for _, things in named):
                    continue
                said = model.read(captions[n, k : k + 1, : int((captions[n, k] != PAD).sum())])[0]  # (T, h)
                alone, smooth = (model.places(seen[indices[n]], said, how).tolist() for how in (False, True))
                for t, things in named:
                    if len(things) == 1:
                        mine, others = on[things[0]], [on[thing] for thing in scene.things if thing != things[0]]
                        other = any(bool(one[alone[t]]) for one in others)
                        counted.append((float(mine[alone[t]]), float(mine[smooth[t]]), float(mine.float().mean()), float(other)))
    names = ("noun on its thing %", "noun on its thing, smoothed %", "noun on its thing by chance %", "noun on another thing %")
    return dict(zip(names, (100 * np.mean(counted, 0)).tolist(), strict=True)) if counted else {}


def lies_on(regions: Tensor, size: int, box: grammar.Box) -> Tensor:
    """Which regions (R, 4) of a picture have their middle within a box, bool (R), on the CPU; the whole picture has not."""
    x0, y0, x1, y1 = (size * regions.double().cpu()).unbind(1)
    x, y, whole = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0 >= size) & (y1 - y0 >= size)
    return (box[0] <= x) & (x < box[2]) & (box[1] <= y) & (y < box[3]) & ~whole


def _device(model: Aligner) -> torch.device:
    return next(model.parameters()).device
