"""Traits, by a judge, of pictures whose attributes were changed, one by one and together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.tasks.attribute_translation.asking import kinds, one_changed, several_changed, together
from paperzoo.tasks.image_translation.measure import ITEMS, spread
from paperzoo.tasks.image_translation.traits import read, traits

if TYPE_CHECKING:
    from paperzoo.tasks.attribute_translation.contract import AttributeTranslator


def edits(model: AttributeTranslator, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
    """Attributes of at most 500 held-out images, changed one by one and together, as a judge of traits sees them.

    ``cycle error``: mean absolute difference of images in [0, 1] to themselves, with all attributes changed and changed back. By a
    judge that knows some of the attributes by name, of the images in which one of them was changed: ``there %``, where it is as it was
    asked for, for each and as a mean over them; ``others kept %``, where all others that it knows are as they were, as a mean. For a
    colour of the hair, only images of another one count. ``combined there %``: where all of several are as asked for, a mean over
    the combinations, which stand beside it. ``read %``: attributes that the judge reads right off the images as they are.
    """
    batch = dataset[split].batch(spread(len(dataset[split]), ITEMS))
    image, before, names = batch.image.cpu(), model.has(batch).cpu(), model.attributes
    units = kinds(names)
    back = model.edited(model.edited(image, several_changed(before, units)), before)
    metrics = {"cycle error": float((back - image).abs().mean())}
    known = [] if judge is None else [name for name in traits(judge.model.names) if name in names]
    if not known:
        return metrics
    at, place = f"[{judge.name}]", [names.index(name) for name in known]
    truth = before[:, place].numpy()

    def agreed(target: Tensor) -> np.ndarray:
        """Whether the judge sees each known attribute as the target has it; bool (N, known)."""
        shown = read(judge, model.edited(image, target), known)
        return shown == (target[:, place].numpy() == 1)  # type: ignore[no-any-return]

    there, kept = {}, []
    for column, k in enumerate(place):
        target = one_changed(before, names, k)
        rows = (target != before).any(1).numpy()
        same = next(unit for unit in units if k in unit)
        right = agreed(target)[rows]
        others = [c for c, p in enumerate(place) if p not in same]
        there[f"{known[column]} there %{at}"] = 100 * float(right[:, column].mean())
        kept.append(100 * float(right[:, others].all(1).mean()))
    combined = {}
    for some in together([unit for unit in units if set(unit) <= set(place)]):
        columns = [place.index(k) for unit in some for k in unit]
        said = " and ".join(names[unit[0]] if len(unit) == 1 else names[unit[0]].replace("_", " ").partition(" ")[2] for unit in some)
        combined[f"{said} there %{at}"] = 100 * float(agreed(several_changed(before, some))[:, columns].all(1).mean())
    metrics |= {f"there %{at}": float(np.mean(list(there.values()))), f"others kept %{at}": float(np.mean(kept)), **there}
    if combined:
        metrics |= {f"combined there %{at}": float(np.mean(list(combined.values()))), **combined}
    return {**metrics, f"read %{at}": 100 * float((read(judge, image, known) == (truth == 1)).mean())}
