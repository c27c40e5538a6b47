"""The interface of a captioner; beam search for a caption."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from annotated_types import Ge, Le
from torch import Tensor

from paperzoo.data.captions.words import END, PAD, SPECIAL, START, UNKNOWN
from paperzoo.data.listing import Skipped, below, pictures_in, some
from paperzoo.errors import PaperzooError
from paperzoo.files import is_folder, path_of
from paperzoo.nn.beam import beam_search
from paperzoo.tasks.captioning.maps import maps
from paperzoo.tasks.captioning.task import Captioning
from paperzoo.tasks.images import new_file, read_image
from paperzoo.tasks.model import Model
from paperzoo.tasks.pictures import save
from paperzoo.tasks.task import Task
from paperzoo.terminal import plain

#: pictures that are captioned at a time
PART = 50


class Told(NamedTuple):
    """The decoder's output for T words of each of K captions of N pictures.

    Attributes:
        logits: float32 (N, K, T, V), of the word after each.
        state: tensors (N, K, n), by which a later call goes on.
        attention: (N, K, T, L): how much of each of the L places of the grid was seen for the next word; rows sum to 1. ``None``
            where there is no attention.
        places: int64 (N, K, T): the place that was seen, where it was only one; -1 where it was all of them.
    """

    logits: Tensor
    state: tuple[Tensor, ...]
    attention: Tensor | None = None
    places: Tensor | None = None


@dataclass(frozen=True)
class Caption:
    """A caption of a picture.

    Attributes:
        score: log p(S | I) in nats, the end counted; over the length penalty of the search, where it has one.
        words: as the model wrote them, without ends.
        attention: float32 (words, h, w): how much of each place was seen for each word, summing to 1; of no words where the model
            has no attention.
        path: the picture of the attention, where one was drawn.
    """

    text: str
    score: float
    words: tuple[str, ...] = field(default=(), repr=False)
    attention: Tensor = field(default_factory=lambda: torch.empty(0, 0, 0), repr=False, compare=False)
    path: Path | None = None

    def __str__(self) -> str:
        return plain(self.text) + (f"\nattention drawn: {plain(self.path)}" if self.path else "")


@dataclass(frozen=True)
class Captions:
    """The captions of a folder's pictures, by name, and why which have none."""

    captions: dict[str, Caption]
    skipped: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{plain(name)}: {plain(caption.text)}" for name, caption in self.captions.items()]
        return "\n".join([*lines, *(f"left out, {why}: {some(names)} ({len(names)})" for why, names in self.skipped.items())])


class Captioner(Model):
    """A model that captions pictures. Subclasses define ``see`` and ``say``.

    Args:
        vocabulary: the words, of which the first are those of ``data.captions.words.SPECIAL``.
        channels, image_size: of the pictures.
        longest: words of the longest caption, ``<start>`` and ``<end>`` counted.
        beam, alpha: width and length penalty of the search, see ``paperzoo.nn.beam``.

    Attributes:
        grid: rows and columns of the places that attention is paid to; 0 without attention.

    Raises:
        PaperzooError: the vocabulary begins otherwise, or ``longest`` leaves no room for a word.
    """

    tasks: ClassVar[tuple[Task, ...]] = (Captioning(),)
    grid: tuple[int, int] = (0, 0)

    def __init__(self, vocabulary: Sequence[str], channels: int, image_size: int, longest: int, beam: int, alpha: float) -> None:
        super().__init__()
        begin = tuple(vocabulary[: len(SPECIAL)])
        if vocabulary and begin != SPECIAL:
            raise PaperzooError(f"vocabulary must begin with {', '.join(SPECIAL)}, not with {', '.join(map(str, begin))}")
        if longest < 3:
            raise PaperzooError(f"longest counts <start> and <end>, so that it is at least 3, not {longest}")
        self.vocabulary, self.channels, self.image_size = tuple(vocabulary), channels, image_size
        self.longest, self.beam, self.alpha = longest, beam, alpha

    def see(self, image: Tensor) -> tuple[Tensor, ...]:
        """The decoder's input features of images (N, C, S, S) in [0, 1], each tensor (N, ...); computed once for a picture."""
        raise TypeError(f"{type(self).__name__} does not say how it sees")

    def say(self, seen: Sequence[Tensor], words: Tensor, state: tuple[Tensor, ...] | None = None) -> Told:
        """Logits of the word after each of ``words`` int64 (N, K, T), of K captions of each picture; ``state`` holds earlier words."""
        raise TypeError(f"{type(self).__name__} does not say how it writes")

    def check_encoder(self, encoder: str, frozen: bool, least: int) -> None:
        """Raises ``PaperzooError`` if an encoder of this name cannot see the model's pictures."""
        if frozen and self.channels != 3:
            raise PaperzooError(f"encoder {encoder} sees pictures of 3 channels, not of {self.channels}: set model.encoder=small")
        if frozen and self.image_size < least:
            raise PaperzooError(f"encoder {encoder} sees pictures of at least {least} pixels, not of {self.image_size}")

    def read(self, captions: Tensor, few: int = 0) -> tuple[Tensor, Tensor]:
        """Captions int64 (N, K, T), between start and end, parted in what is read and what must follow, (N, K, T - 1) both.

        Args:
            few: how many captions of each picture are drawn; 0 for all.

        Raises:
            PaperzooError: one is longer than the model's longest.
        """
        if 0 < few < captions.shape[1]:
            missing = (captions[:, :, 0] == PAD).float()  # (N, K)
            order = (torch.rand_like(missing) + missing).argsort(1)[:, :few]
            captions = captions.gather(1, order[..., None].expand(-1, -1, captions.shape[2]))
        length = int((captions != PAD).sum(2).max())
        if length > self.longest:
            raise PaperzooError(
                f"a caption of {length} words, <start> and <end> counted, is longer than the model's {self.longest}: set model.longest"
            )
        captions = captions[:, :, : max(2, length)]
        return captions[:, :, :-1], captions[:, :, 1:]

    def search(
        self, image: Tensor, beam: int | None = None, alpha: float | None = None, cached: bool = True
    ) -> tuple[list[list[int]], list[float]]:
        """The best caption found for each image (N, C, S, S), as words without ends, and its score.

        A beam alone does not promise to find what a narrower one finds: the greedy caption may leave it early and be better in the
        end. Here it is compared with, so that no wider search finds a less likely caption than the greedy one.

        Args:
            beam: width of the search, 1 for greedy; default: the model's own. alpha: length penalty; likewise.
            cached: keep the decoder's states, rather than read all words again at every step. The same is found.
        """
        width, alpha = self.beam if beam is None else beam, self.alpha if alpha is None else alpha
        features = self.see(image.to(next(self.parameters()).device))
        tokens, scores = self._search(features, width, alpha, cached)
        if width > 1:
            greedy = self._search(features, 1, alpha, cached)
            for i, (other, score) in enumerate(zip(*greedy, strict=True)):
                if score > scores[i]:
                    tokens[i], scores[i] = other, score
        return tokens, scores

    def _search(self, seen: tuple[Tensor, ...], beam: int, alpha: float, cached: bool) -> tuple[list[list[int]], list[float]]:
        state: tuple[Tensor, ...] | None = None

        def step(tokens: Tensor, sentences: Tensor, parents: Tensor) -> Tensor:
            nonlocal seen, state
            count = len(sentences)
            seen = tuple(x[sentences] for x in seen) if count < len(seen[0]) else seen
            if state is not None:
                state = tuple(x.flatten(0, 1)[parents].view(count, beam, -1) for x in state)  # (n, beam, size)
            words = tokens.view(count, beam, -1)
            output = self.say(seen, words[:, :, -1:] if cached else words, state)
            state = output.state if cached else None
            return output.logits[:, :, -1].float().log_softmax(2).flatten(0, 1)  # (n * beam, V)

        longest = torch.full((len(seen[0]),), self.longest - 1, device=seen[0].device)  # <start> is not written
        best = beam_search(step, longest, START, END, beam=beam, alpha=alpha, never=(PAD, START, UNKNOWN))
        return best.tokens, best.score

    def captions(self, image: Tensor, beam: int | None = None, alpha: float | None = None, attention: bool = True) -> list[Caption]:
        """The captions of images (N, C, S, S) in [0, 1], found in eval mode without gradients; see ``search``.

        Raises:
            PaperzooError: the model has no vocabulary.
        """
        if not self.vocabulary:
            raise PaperzooError("this model has no vocabulary, so it can write no caption: create it with one, or train it")
        was_training, captions = self.training, list[Caption]()
        self.eval()
        with torch.no_grad():
            for part in torch.split(image, PART):
                tokens, scores = self.search(part, beam, alpha)
                attention_of = self.attended(part, tokens) if attention and self.grid[0] else [torch.empty(0, 0, 0)] * len(tokens)
                for row, score, where in zip(tokens, scores, attention_of, strict=True):
                    words = tuple(self.vocabulary[i] for i in row)
                    captions.append(Caption(" ".join(words), score, words, where))
        self.train(was_training)
        return captions

    def attended(self, image: Tensor, tokens: Sequence[Sequence[int]]) -> list[Tensor]:
        """Where the model looked for each word of a caption of each image (N, C, S, S): float32 (words, h, w), on the CPU."""
        device = next(self.parameters()).device
        words = torch.full((len(tokens), 1, max(map(len, tokens), default=0) + 1), START, device=device)
        for row, caption in zip(words[:, 0], tokens, strict=True):
            row[1 : len(caption) + 1] = torch.tensor(caption, dtype=torch.int64)
        attention = self.say(self.see(image.to(device)), words).attention
        assert attention is not None
        return [each[: len(caption)].unflatten(1, self.grid).float().cpu() for each, caption in zip(attention[:, 0], tokens, strict=True)]

    def predict(
        self, input: Any, *, beam: Annotated[int, Ge(1), Le(1000)] | None = None, alpha: Annotated[float, Ge(0)] | None = None,
        out: str = "",
    ) -> Any:  # fmt: skip
        """The caption of a picture given as path, PIL image or array; of a list of these, a list. Of a folder, those of its pictures.

        Args:
            beam: how many captions are followed at a time, 1 for the likeliest next word each time; default: the model's own.
            alpha: length penalty, 0 for none: the greater, the longer the captions; default: the model's own.
            out: a folder to draw in where the model looked for each word, as NAME-attention.png. Nothing that is there is replaced.

        Returns:
            A ``Caption``, or a list of them; of a folder ``Captions``.

        Raises:
            PaperzooError: no picture, a folder without pictures, a model without vocabulary or, with ``out``, without attention, or
                a picture that cannot be written.
        """
        if isinstance(input, list | tuple):
            return [self.predict(one, beam=beam, alpha=alpha, out=out) for one in input]
        if out and not self.grid[0]:
            raise PaperzooError(f"{self.name or 'this model'} has no attention that could be drawn to --out {plain(out)}")
        if isinstance(input, str | os.PathLike) and is_folder(os.fspath(input)):
            return self._folder(path_of(os.fspath(input)), beam, alpha, out)
        path = new_file(input, "-attention.png", out)
        image = read_image(input, self.channels, self.image_size, self.prepared)
        (caption,) = self.captions(image, beam, alpha)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            save(maps(image[0], caption.words, caption.attention), path)
        return Caption(caption.text, caption.score, caption.words, caption.attention, path)

    def _folder(self, folder: Path, beam: int | None, alpha: float | None, out: str) -> Captions:
        skipped, captions, failed = Skipped(list), dict[str, Caption](), dict[str, list[str]]()
        paths = pictures_in(folder, True, skipped)
        if not paths:
            raise PaperzooError(f"there are no pictures in {plain(folder)}" + "".join(f"; {len(f)} {why}" for why, f in skipped.items()))
        for path in paths:
            try:
                captions[below(path, folder)] = self.predict(path, beam=beam, alpha=alpha, out=out)
            except PaperzooError as error:
                failed.setdefault(str(error).replace(plain(path), "it"), []).append(below(path, folder))
        if not captions:
            raise PaperzooError(f"no picture in {plain(folder)} could be captioned: {next(iter(failed))}")
        left = {why: tuple(below(path, folder) for path in files) for why, files in skipped.items()}
        return Captions(captions, {**left, **{why: tuple(names) for why, names in failed.items()}})


def log_likelihood(logits: Tensor, target: Tensor) -> Tensor:
    """log p of captions, the sum over their words: (N, K) of logits (N, K, T, V) and target int64 (N, K, T), 0 where padded."""
    logs = logits.float().log_softmax(3).gather(3, target[..., None])[..., 0]  # (N, K, T)
    return (logs * (target != PAD)).sum(2)
