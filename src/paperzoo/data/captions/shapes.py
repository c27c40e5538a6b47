"""The coloured shapes of ``images.translation.shapes``, each with sentences that say its colour and whether it is hollow."""

from __future__ import annotations

import numpy as np
import torch

from paperzoo.data.captions.columns import Captions
from paperzoo.data.captions.words import Words, learn
from paperzoo.data.dataset import Dataset, Schema, Split, Values
from paperzoo.data.images.translation import SHAPE_ATTRIBUTES, shapes

_FORMS = ("a {0} {1} shape", "a shape that is {0} and {1}", "the {1} shape is {0}")
_FILLED = (("full", "solid"), ("hollow", "open"))


def shapes_sentences() -> Dataset:
    """The splits of ``shapes``: ``image``, ``attributes``, ``captions`` and ``texts`` of three sentences, and ``named``, which is 1."""
    plain, texts, attributes = shapes(), {}, {}
    for number, (split, items) in enumerate(plain.splits.items()):
        attributes[split] = items.batch(np.arange(len(items))).attributes
        random = np.random.default_rng(number)
        texts[split] = [_sentences(row, random) for row in attributes[split].tolist()]
    words = Words(learn(text for sentences in texts["train"] for text in sentences))
    columns = {split: Captions(sentences, words) for split, sentences in texts.items()}
    splits = {}
    for split, column in columns.items():
        named = Values("named", torch.ones(len(column), len(_FORMS), len(SHAPE_ATTRIBUTES)))
        splits[split] = Split(*plain[split].columns, named, column)
    longest = max(column.longest for column in columns.values())
    arguments = {**plain.schema.arguments, "vocabulary": words.vocabulary, "longest": longest, "examples": columns["train"].examples}
    schema = Schema("shapes-sentences", ("image", "attributes", "named", "captions", "texts"), arguments)
    return Dataset(schema, splits, plain.licence, plain.source)


def _sentences(attributes: list[float], random: np.random.Generator) -> tuple[str, ...]:
    colour = SHAPE_ATTRIBUTES[attributes[:4].index(1)].split()[0]
    filled = _FILLED[int(attributes[4])]
    return tuple(form.format(colour, filled[int(random.integers(2))]) for form in _FORMS)
