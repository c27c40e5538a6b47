"""Entity F1 over a whole split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperzoo.data import Dataset
from paperzoo.metrics.entity_f1 import entity_f1, illegal

if TYPE_CHECKING:
    from paperzoo.tasks.tagging.contract import Tagger


def entities(model: Tagger, dataset: Dataset, split: str) -> dict[str, float]:
    """Scores over the whole split.

    ``entity F1 %`` with its ``entity precision %`` and ``entity recall %``: strict and micro-averaged, by seqeval.
    ``illegal transitions %``: of all transitions of the predicted tags, ends of sentences included, those that the scheme forbids.
    ``token accuracy % (secondary)``: of the real words, padding not counted. Most words are O, so it says little.
    """
    gold, predicted = model.outputs(dataset, split)
    score, _ = entity_f1([g for _, g in gold], predicted, model.scheme)
    right = sum(a == b for (_, tags), guess in zip(gold, predicted, strict=True) for a, b in zip(tags, guess, strict=True))
    total = sum(map(len, predicted))
    return {
        "entity F1 %": score.f1,
        "entity precision %": score.precision,
        "entity recall %": score.recall,
        "illegal transitions %": 100 * sum(illegal(tags, model.scheme) for tags in predicted) / (total + len(predicted)),
        "token accuracy % (secondary)": 100 * right / total,
    }
