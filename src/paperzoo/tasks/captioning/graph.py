"""Captions as a function of pictures: the likeliest word each time, all of them written out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from paperzoo.data.captions.words import END, PAD, START, UNKNOWN
from paperzoo.tasks.graphs import Graph, noise_of

if TYPE_CHECKING:
    from paperzoo.tasks.captioning.contract import Captioner


def graph(model: Captioner) -> Graph | None:
    """Pictures to the captions that a search of width 1 finds; of a captioner with words. Wider beams stay outside."""
    if not model.vocabulary:
        return None
    size, longest = len(model.vocabulary), model.longest - 1  # <start> is not written
    never = torch.zeros(size, dtype=torch.bool)
    never[[PAD, START, UNKNOWN]] = True

    def caption(image: Tensor) -> tuple[Tensor, ...]:
        seen, state = model.see(image), None
        word = image.new_full((image.shape[0], 1), START, dtype=torch.int64)
        over = image.new_zeros((image.shape[0], 1), dtype=torch.bool)
        score, words, where = image.new_zeros((image.shape[0], 1)), list[Tensor](), list[Tensor]()
        for place in range(longest):
            told = model.say(seen, word[:, None], state)  # (N, 1) -> (N, 1, 1)
            state, logs = told.state, told.logits[:, 0, -1].float().log_softmax(1)  # (N, 1, 1, V) -> (N, V)
            best = logs.masked_fill(never, -torch.inf).argmax(1, keepdim=True)
            best = torch.full_like(best, END) if place == longest - 1 else best
            score = score + logs.gather(1, best).masked_fill(over, 0.0)
            word = best.masked_fill(over, PAD)
            over = over | (word == END)
            words.append(word)
            if told.attention is not None:
                where.append(told.attention[:, 0, -1].float())
        return (torch.cat(words, 1), score[:, 0], *([torch.stack(where, 1)] if where else []))

    picture = f"float32 (N, {model.channels}, {model.image_size}, {model.image_size}) in [0, 1]"
    outputs = {
        "words": f"int64 (N, {longest}), numbers of the vocabulary, {END} at the caption's end and {PAD} behind it",
        "score": "float32 (N), log p of the caption, its end counted",
    }
    if model.grid[0]:
        outputs["attention"] = f"float32 (N, {longest}, {model.grid[0] * model.grid[1]}), where it looked for each word, rows of the grid"
    beside = {"vocabulary": list(model.vocabulary), "grid": list(model.grid)}
    return Graph(caption, noise_of(model.channels, model.image_size, model.image_size), {"image": picture}, outputs, beside=beside)
