"""Nats, bits and perplexity over a whole split."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.data.text.running import Text
from paperzoo.errors import PaperzooError

if TYPE_CHECKING:
    from paperzoo.tasks.language_model.contract import LanguageModel


def surprise(model: LanguageModel, dataset: Dataset, split: str) -> dict[str, float]:
    """Over all tokens of the split but its first, read in order with the state carried on.

    ``nats a character`` (or ``word``), ``bits a character`` and ``perplexity`` of the mean over tokens, never a mean over
    batches; ``unigram nats a character``: the same of the training split's shares alone; ``unknown %``: of tokens that are
    ``<unk>``. Of a made-up source also ``entropy rate nats``, and ``nats above the source``: how far the model is from the
    source's own probabilities on this very text.

    Raises:
        PaperzooError: the data has another vocabulary than the model.
    """
    if tuple(dataset.schema.arguments["vocabulary"]) != model.vocabulary:
        raise PaperzooError(f"{dataset.name} has another vocabulary than the text that this model was trained on")
    total, count, counts = 0.0, 0, torch.zeros(len(model.vocabulary), dtype=torch.float64)
    for nats, target in through(model, dataset, split):
        real = target >= 0
        total += nats[real].double().sum().item()
        count += int(real.sum())
        counts += torch.bincount(target[real], minlength=len(counts))
    mean, unit = total / count, model.unit
    figures = {
        f"nats a {unit}": mean,
        f"bits a {unit}": mean / math.log(2),
        "perplexity": math.exp(min(mean, 700.0)),
        "unknown %": 100 * float(counts[0]) / count,
    }
    if isinstance(dataset, Text):
        if dataset.shares is not None:
            # a token that the training split has not is given the share of one occurrence in the split measured
            shares = np.maximum(dataset.shares, 1 / (count + 1))
            figures[f"unigram nats a {unit}"] = float(-(counts.numpy() * np.log(shares / shares.sum())).sum() / count)
        if dataset.entropy is not None:
            figures["entropy rate nats"] = dataset.entropy
        if dataset.ideal is not None and split in dataset.ideal:
            figures["nats above the source"] = mean - dataset.ideal[split]
    return figures


def through(model: LanguageModel, dataset: Dataset, split: str) -> Iterable[tuple[Tensor, Tensor]]:
    """Nats and targets, (N, T) each, of the split's items in order; every stream's state goes on from turn to turn."""
    column, device, state = dataset[split].columns[0], next(model.parameters()).device, None
    streams = getattr(column, "streams", 1)
    for begin in range(0, len(column), streams):
        batch = dataset[split].batch(np.arange(begin, begin + streams))
        scores, state = model.read(batch.tokens.to(device), state)
        target = batch.target.to(device)
        yield F.cross_entropy(scores.transpose(1, 2), target, ignore_index=-1, reduction="none").cpu(), batch.target
