"""Captions in a browser: the picture is seen once, then the decoder is asked for a word at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from paperzoo.data.captions.words import END, PAD, START, UNKNOWN
from paperzoo.tasks.graphs import Graph, Room, noise_of

if TYPE_CHECKING:
    from paperzoo.tasks.captioning.contract import Captioner, Told


def room(model: Captioner) -> Room | None:
    """Of a captioner with words: ``see`` gives what is kept of a picture and the first word's scores, ``say`` goes on from a word."""
    if not model.vocabulary:
        return None
    with torch.no_grad():
        seen = model.see(torch.rand(1, model.channels, model.image_size, model.image_size))
        told = model.say(seen, torch.full((1, 1, 1), START))
    counts = {"seen": len(seen), "state": len(told.state), "next": len(told.state)}
    kept, states, after = ([f"{name}{i}" for i in range(count)] for name, count in counts.items())
    answer = {"scores": f"float32 (N, {len(model.vocabulary)}), log p of the next word", **dict.fromkeys(after, "float32 (N, n)")}
    if model.grid[0]:
        answer["attention"] = f"float32 (N, {model.grid[0] * model.grid[1]}), rows of the grid"

    def see(image: Tensor) -> tuple[Tensor, ...]:
        seen = model.see(image)
        return (*seen, *_answer(model.say(seen, image.new_full((image.shape[0], 1, 1), START, dtype=torch.int64))))

    def say(*given: Tensor) -> tuple[Tensor, ...]:
        word, seen, state = given[0], given[1 : 1 + len(kept)], tuple(part[:, None] for part in given[1 + len(kept) :])
        return _answer(model.say(seen, word[:, None, None], state))

    def example(items: int) -> tuple[Tensor, ...]:
        with torch.no_grad():
            seen = model.see(images(items)[0])
            state = model.say(seen, torch.full((items, 1, 1), START)).state
        return (torch.arange(items) % len(model.vocabulary), *seen, *(part[:, 0] for part in state))

    images = noise_of(model.channels, model.image_size, model.image_size)
    picture = f"float32 (N, {model.channels}, {model.image_size}, {model.image_size}) in [0, 1]"
    inputs = {"word": "int64 (N)", **dict.fromkeys([*kept, *states], "as the last call gave it")}
    graphs = {
        "see": Graph(see, images, {"image": picture}, {**dict.fromkeys(kept, "what is kept of the picture"), **answer}),
        "say": Graph(say, example, inputs, answer),
    }
    facts = {"size": model.image_size, "channels": model.channels, "grid": list(model.grid), "longest": model.longest,
             "words": list(model.vocabulary), "end": END, "never": [PAD, START, UNKNOWN]}  # fmt: skip
    return Room("caption", graphs, {**facts, "kept": kept, "states": states}, "image")


def _answer(told: Told) -> tuple[Tensor, ...]:
    """The last word's answer: scores, states, and the attention where there is one."""
    attention = () if told.attention is None else (told.attention[:, 0, -1].float(),)
    return (told.logits[:, 0, -1].float().log_softmax(1), *(part[:, 0] for part in told.state), *attention)
