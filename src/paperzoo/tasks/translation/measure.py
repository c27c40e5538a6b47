"""BLEU beside two baselines, and nats a piece."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from paperzoo.data import Dataset, Split
from paperzoo.data.text.bpe import PAD
from paperzoo.data.text.parallel import Pair, buckets, padded
from paperzoo.metrics.bleu import bleu

if TYPE_CHECKING:
    from paperzoo.tasks.translation.contract import Translator

#: training pairs among which the nearest is looked for
NEAREST = 100_000


def scores(model: Translator, dataset: Dataset, split: str) -> dict[str, float]:
    """Scores over the whole split.

    ``BLEU`` by sacrebleu (its signature is written by ``show``), beside that of two baselines: ``BLEU of the source``, copied
    unchanged, and ``BLEU of retrieval``: the translation of the training sentence whose words are nearest (cosine of tf-idf).
    ``exact %``: translations equal to their reference. ``nats a piece``: of the references, given all pieces before.
    """
    texts = texts_of(dataset[split])
    sources, references = [a for a, _ in texts], [b for _, b in texts]
    translations = [translation.text for translation in model.translations(sources, attention=False)]
    return {
        "BLEU": bleu(translations, references).score,
        "BLEU of the source": bleu(sources, references).score,
        "BLEU of retrieval": bleu(retrieved(texts_of(dataset["train"])[:NEAREST], sources), references).score,
        "exact %": 100 * sum(a == b for a, b in zip(translations, references, strict=True)) / len(translations),
        "nats a piece": nats(model, texts),
    }


def nats(model: Translator, texts: Sequence[Pair]) -> float:
    """The mean of -log p of the references' pieces, ends counted."""
    source, target = model.numbers([a for a, _ in texts]), model.numbers([b for _, b in texts], start=True)
    device, total = next(model.parameters()).device, 0.0
    for group in buckets(np.array([(len(s), len(t)) for s, t in zip(source, target, strict=True)]), 2500):
        inputs, wanted = padded([source[i] for i in group]).to(device), padded([target[i] for i in group]).to(device)
        logs = model.logits(inputs, wanted[:, :-1]).log_softmax(2)
        true = logs.gather(2, wanted[:, 1:, None])[..., 0]  # (N, T - 1)
        total -= float(true[wanted[:, 1:] != PAD].sum())
    return total / sum(len(row) - 1 for row in target)


def retrieved(training: Sequence[Pair], sources: Sequence[str]) -> list[str]:
    """For each sentence the translation of the training sentence with the nearest words, by the cosine of tf-idf.

    Of equally near ones the first is taken, and the first of all if no word is known.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(token_pattern=r"(?u)\w+")
    known = vectors.fit_transform([a for a, _ in training])  # (M, words), rows of length 1
    nearest: list[int] = []
    for start in range(0, len(sources), 500):
        like = vectors.transform(sources[start : start + 500]) @ known.T  # (500, M), sparse
        nearest += np.asarray(like.argmax(1)).ravel().tolist()
    return [training[i][1] for i in nearest]


def texts_of(split: Split) -> Sequence[Pair]:
    """All pairs of a split, source and target."""
    texts: Sequence[Pair] = split.batch(range(len(split))).texts
    return texts
