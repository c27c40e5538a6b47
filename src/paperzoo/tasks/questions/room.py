"""Questions about a picture in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from paperzoo.data.captions.words import SPECIAL, UNKNOWN
from paperzoo.tasks.graphs import Graph, Room, noise_of, tokens_of

if TYPE_CHECKING:
    from paperzoo.tasks.questions.contract import Answerer


def graph(model: Answerer) -> Graph:
    """A picture and a question, all words of which are real, to scores of the answers."""
    pictures, questions = noise_of(model.channels, model.image_size, model.image_size), tokens_of(len(model.vocabulary), first=len(SPECIAL))

    def ask(image: Tensor, question: Tensor) -> Tensor:
        length = question.new_ones(question.shape[:1]) * question.shape[1]
        return model(image, question, length)  # type: ignore[no-any-return]

    def example(items: int) -> tuple[Tensor, ...]:
        return (*pictures(items), *questions(items))

    picture = f"float32 (N, {model.channels}, {model.image_size}, {model.image_size}) in [0, 1]"
    inputs = {"image": picture, "question": f"int64 (N, T), numbers below {len(model.vocabulary)}, no padding"}
    return Graph(ask, example, inputs, {"logits": "float32 (N, answers)"}, lengths=("question",))


def room(model: Answerer) -> Room | None:
    """Of a model with words."""
    if not model.vocabulary:
        return None
    facts = {"size": model.image_size, "channels": model.channels, "words": list(model.vocabulary), "unknown": UNKNOWN}
    return Room("question", {"ask": graph(model)}, {**facts, "names": list(model.names)})


