"""The task."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset, Schema
from paperzoo.errors import PaperzooError
from paperzoo.tasks.graphs import Graph, full, tokens_of
from paperzoo.tasks.tagging.draw import SENTENCES, draw, transitions
from paperzoo.tasks.tagging.measure import entities
from paperzoo.tasks.task import Task

if TYPE_CHECKING:
    from paperzoo.data.text.tagging import Lexicon
    from paperzoo.tasks.tagging.contract import Tagger


def _rows(lexicon: Lexicon, items: int) -> tuple[Tensor]:
    """Sentences of words made up number by number, as ``Lexicon.rows`` has them; each has three letters or more, if it has any."""
    draws = torch.Generator().manual_seed(items)
    parts = []
    for width, most in zip(lexicon.sizes, lexicon.counts, strict=True):
        parts.append(torch.randint(1, max(2, most), (items, 4 + items, width), generator=draws))  # (N, T, width)
        if width > 2:
            parts[-1] *= torch.arange(width) < torch.randint(3, width + 1, (items, 4 + items, 1), generator=draws)
    return (torch.cat(parts, 2),)


class EntityTagging(Task):
    """A tag for every word of a sentence."""

    name = "tagging"
    needs = ("tokens", "tags")

    def check(self, model_class: Any, schema: Schema) -> None:
        """Raises ``PaperzooError`` unless data of this schema has tokens, tags, and their names."""
        super().check(model_class, schema)
        for name in ("vocabulary", "tags"):
            if name not in schema.arguments:
                raise PaperzooError(f"{self.name} needs data that knows its {name}, but {schema.name} does not")

    def measure(self, model: Tagger, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        return entities(model, dataset, split)

    def show(self, model: Tagger, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        paths = draw(model, dataset, split, folder, stem)
        if (chain := model.chain()) is not None:
            tags, scores = chain
            paths.append(transitions(tags, scores.numpy(), model.predict(list(SENTENCES)), folder / f"{stem}-transitions.png"))
        return paths

    def graph(self, model: Tagger) -> Graph:
        """Scores of the tags of each word; the chain, by which a best path of tags is found, stands beside them."""
        chain = model.chain()
        tags = chain[0] if chain is not None else getattr(model, "finer", ()) or model.tags
        beside = {"tags of the scores": list(tags), "chain": {name: p.tolist() for name, p in model.named_parameters(recurse=False)}}
        outputs = {"scores": f"float32 (N, T, {len(tags)}), of the tags of each word, without the chain's; their names are in the metadata"}
        if hasattr(model, "bert"):
            size = len(model.get_parameter("bert.piece.weight"))
            around = "[CLS] and [SEP] around them; a word's tag is that of its first piece"
            inputs = {"tokens": f"int64 (N, T), numbers below {size:,} of pieces, {around}"}

            def pieces(tokens: Tensor) -> Tensor:
                hidden: Tensor = model.get_submodule("bert")(tokens, torch.zeros_like(tokens), full(tokens))[0]
                out: Tensor = model.get_submodule("head")(hidden)
                return out

            return Graph(pieces, tokens_of(size), inputs, outputs, ("tokens",), beside)
        network, lexicon = model.get_submodule("network"), getattr(model, "lexicon", None)
        size, example = len(model.vocabulary), tokens_of(len(model.vocabulary))
        inputs = {"tokens": f"int64 (N, T), numbers below {size:,} of words in the vocabulary"}
        if lexicon is not None and sum(lexicon.sizes) > 1:
            example = partial(_rows, lexicon)
            kinds = ("in the vocabulary", "among the vectors", "of its spelling", "of its letters")
            told = [f"{n} {kind} below {most:,}" for n, most, kind in zip(lexicon.sizes, lexicon.counts, kinds, strict=True) if n]
            inputs = {"tokens": f"int64 (N, T, {sum(lexicon.sizes)}), of each word the numbers {', '.join(told)}; 0 stands for none"}
        return Graph(lambda tokens: network(tokens, full(tokens)), example, inputs, outputs, ("tokens",), beside)

    def inputs(self, model: Tagger, batch: Batch) -> Tensor:
        tokens: Tensor = batch.tokens
        return tokens

    def answer(self, model: Tagger, inputs: Tensor) -> Tensor:
        """The output of the module ``network`` for each word, 0 where there is none."""
        used = inputs[:, : int((inputs > 0).sum(1).max())]
        out: Tensor = model.get_submodule("network")(used, (used > 0).sum(1))
        return out * (used > 0)[..., None]
