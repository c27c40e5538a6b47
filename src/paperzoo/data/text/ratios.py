"""Made-up sentences in which every word stands near every other, and only how often tells them apart."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from paperzoo.data.text.corpus import _FAMILIES, Corpus, _coined, corpus


def ratios(sentences: int = 12_000, seed: int = 0) -> Corpus:
    """Sentences of one of 64 words among 12 of 300 coined ones; four families of analogies hold in the ratios of their chances.

    The chance of coined word j near a word is proportional to exp(z_j + a_j + r_j): z falls as in Zipf's law, a belongs to the
    word's pair (the same for king and queen), r to its role (the same for king and prince). So the logarithms of co-occurrences
    are sums, and a model of them solves ``questions``. Most coined words are rare, so most pairs are seen but a few times.
    """
    random = np.random.default_rng(seed)
    spelling = _coined(random)
    coined = np.array([next(spelling) for _ in range(300)])
    zipf = -np.log(np.arange(1, 301))
    subjects: list[tuple[str, np.ndarray]] = []
    questions: list[tuple[str, str, str, str]] = []
    for family in _FAMILIES:
        words = family.split()
        pairs = list(zip(words[::2], words[1::2], strict=True))
        roles = random.normal(0, 0.8, (2, 300))
        for pair in pairs:
            offset = random.normal(0, 0.8, 300)
            for word, role in zip(pair, roles, strict=True):
                weight = np.exp(zipf + offset + role)
                subjects.append((word, np.cumsum(weight / weight.sum())))
        questions += [(*first, *second) for first, second in permutations(pairs, 2)]

    texts = []
    for subject in random.integers(0, len(subjects), sentences):
        word, ladder = subjects[subject]
        around = coined[np.minimum(np.searchsorted(ladder, random.random(12)), 299)]
        texts.append(" ".join([*around[:6], word, *around[6:]]))
    held = max(1, sentences // 20)
    splits = {"train": texts[held:], "test": texts[:held]}
    return corpus("ratios", splits, "none needed", "formula", questions=tuple(questions))
