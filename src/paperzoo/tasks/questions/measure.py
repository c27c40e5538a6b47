"""VQA accuracy, over all questions and by kind, beside that of answers given without looking."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.data.questions.columns import unseen
from paperzoo.metrics.vqa_accuracy import vqa_accuracy

if TYPE_CHECKING:
    from paperzoo.tasks.questions.contract import Answerer

#: questions that are answered at a time
PART = 500


class Answers(NamedTuple):
    """A model's outputs for the questions of a split.

    Attributes:
        logits: float32 (N, classes).
        label: int64 (N), -1 where the answer is none of the classes.
        answers, kind: of each question, see ``paperzoo.data.fields``.
    """

    logits: Tensor
    label: Tensor
    answers: list[tuple[str, ...]]
    kind: list[str]

    def scores(self, said: Sequence[str]) -> np.ndarray:
        """VQA accuracy (N) of an answer to each question."""
        return np.array([vqa_accuracy(answer, true) for answer, true in zip(said, self.answers, strict=True)])


def outputs(model: Answerer, dataset: Dataset, split: str) -> Answers:
    """The model's answers to all questions of a split, on the CPU."""
    items, device = dataset[split], next(model.parameters()).device

    def parts() -> Iterator[tuple[Tensor, Tensor, list[tuple[str, ...]], list[str]]]:
        for indices in items.batches(PART):
            batch = items.batch(indices)
            logits = model(batch.image.to(device), batch.question.to(device), batch.length)
            yield logits.detach().float().cpu(), batch.label.cpu(), batch.answers, batch.kind

    logits, label, answers, kind = zip(*parts(), strict=True)
    return Answers(torch.cat(logits), torch.cat(label), [a for part in answers for a in part], [k for part in kind for k in part])


def accuracies(model: Answerer, dataset: Dataset, split: str) -> dict[str, float]:
    """``accuracy %``, the mean VQA accuracy over a split (see ``metrics.vqa_accuracy``), and ``accuracy % (KIND)`` by kind of question.

    Beside it, what is right without looking at picture or question: ``commonest answer %`` and ``commonest answer of the kind %`` give
    the commonest answer of the training questions, of all or of those of the same kind. ``loss``: mean cross-entropy in nats, over the
    questions whose answer is among the classes.
    """
    result = outputs(model, dataset, split)
    score = result.scores([dataset.schema.names[i] for i in result.logits.argmax(1).tolist()])
    kinds = np.array(result.kind)
    everywhere, by_kind = priors(dataset)
    known = result.label >= 0
    return {
        "accuracy %": 100 * float(score.mean()),
        **{f"accuracy % ({kind})": 100 * float(score[kinds == kind].mean()) for kind in sorted(set(result.kind))},
        "commonest answer %": 100 * float(result.scores([everywhere] * len(score)).mean()),
        "commonest answer of the kind %": 100 * float(result.scores([by_kind.get(kind, everywhere) for kind in result.kind]).mean()),
        "loss": float(F.cross_entropy(result.logits[known], result.label[known])) if known.any() else float("nan"),
    }


def priors(dataset: Dataset) -> tuple[str, dict[str, str]]:
    """The commonest answer of the training questions, over all and by kind."""
    train, names = unseen(dataset["train"]), dataset.schema.names
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for kind, label in zip(train.kind, train.label.tolist(), strict=True):
        counts[kind][label] += 1
        counts[""][label] += 1

    def first(counted: Counter[int]) -> str:
        return names[min(counted, key=lambda label: (-counted[label], label))]

    return first(counts[""]), {kind: first(answers) for kind, answers in counts.items() if kind}
