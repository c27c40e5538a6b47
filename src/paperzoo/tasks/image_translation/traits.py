"""Traits of translated pictures by a judge whose classes are named after them: ``black hair, glasses``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from paperzoo.data import Dataset
from paperzoo.data.images.attributes import exclusive
from paperzoo.tasks.image_translation.measure import ITEMS, spread
from paperzoo.tasks.image_translation.task import ImageTranslation

if TYPE_CHECKING:
    from paperzoo.tasks.image_translation.contract import ImageTranslator


class TraitTranslation(ImageTranslation):
    """Images of two domains that are told apart by one trait, such as the colour of the hair."""

    def measure(self, model: ImageTranslator, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """As of any translation; but a judge of traits is asked for them, and not which of its classes a picture is."""
        metrics = between_domains(model, dataset, split, judge)
        return {**super().measure(model, dataset, split, None if metrics else judge), **metrics}


def between_domains(model: ImageTranslator, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
    """Traits of at most 500 held-out images and their translations by a judge; empty if it does not know the domains.

    ``style %``: of the translations to B those that it takes for B's; of the sources and of B's own images ``source style %`` and
    ``truth style %``. ``others kept %``: of the translations those in which it sees all other traits as it does in the source. Where
    there is a way back, ``back style %`` and ``back others kept %`` say the same of B translated to A.
    """
    if judge is None:
        return {}
    names = traits(judge.model.names)
    a, b = (shown(names, domain) for domain in dataset.schema.arguments["domains"])
    if a is None or b is None:
        return {}
    same = [group for group in exclusive(names) if {*group} & {*a, *b}]  # all colours of the hair, where one was asked for
    others = [k for k in range(len(names)) if k not in {*a, *b}.union(*same)]
    batch = dataset[split].batch(spread(len(dataset[split]), ITEMS))
    metrics, at = {}, f"[{judge.name}]"
    for to, source, domain, way in (("b", batch.image_a, b, ""), ("a", batch.image_b, a, "back ")):
        if to in model.domains:
            before, after = (read(judge, images, names) for images in (source.cpu(), model.translated(source, to)))
            metrics[f"{way}style %{at}"] = 100 * float(has(after, domain).mean())
            metrics[f"{way}others kept %{at}"] = 100 * float((before == after)[:, others].all(1).mean())
    metrics[f"source style %{at}"] = 100 * float(has(read(judge, batch.image_a.cpu(), names), b).mean())
    metrics[f"truth style %{at}"] = 100 * float(has(read(judge, batch.image_b.cpu(), names), b).mean())
    return metrics


def traits(classes: Sequence[str]) -> tuple[str, ...]:
    """The traits that the class names list, in order of first occurrence: ``black hair``, ``glasses``, ``beard``, ..."""
    return tuple(dict.fromkeys(trait for name in classes for trait in name.split(", ")))


def shown(names: Sequence[str], domain: str) -> dict[int, bool] | None:
    """Which trait, by its place among ``names``, an image of a domain has, or has not; ``None`` if the domain is called after none."""
    trait = domain.removeprefix("no ")
    return {list(names).index(trait): domain == trait} if trait in names else None


def has(seen: np.ndarray, wanted: dict[int, bool]) -> np.ndarray:
    """Whether each row of ``seen`` (N, K) is as wanted; bool (N)."""
    return (seen[:, list(wanted)] == np.array(list(wanted.values()))).all(1)  # type: ignore[no-any-return]


def read(judge: Any, images: Any, names: Sequence[str]) -> np.ndarray:
    """The traits that a judge's likeliest class has, for images (N, C, H, W); bool (N, K)."""
    table = np.array([[trait in name.split(", ") for trait in names] for name in judge.model.names])  # (classes, K)
    return table[judge(images)[0].argmax(1)]  # type: ignore[no-any-return]
