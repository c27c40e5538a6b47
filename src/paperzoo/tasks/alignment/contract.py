"""The interface of a model that aligns words with regions of pictures, and its use."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from paperzoo.data.captions.words import PAD, SPECIAL, Words, tokenise
from paperzoo.errors import PaperzooError, unknown
from paperzoo.tasks.alignment.draw import Box, regions_of
from paperzoo.tasks.alignment.task import Alignment
from paperzoo.tasks.images import new_file, read_image
from paperzoo.tasks.model import Model
from paperzoo.tasks.pictures import save
from paperzoo.tasks.task import Task
from paperzoo.terminal import plain


@dataclass(frozen=True)
class Aligned:
    """The score of a sentence for a picture, and the region of each of its words.

    Attributes:
        score: of the sentence, without a unit: to be compared with that of other sentences and pictures.
        words: of the sentence, as the model reads it.
        boxes: of the region of each word, x0, y0, x1, y1 in pixels of the picture as the model sees it.
        size: height and width of that picture.
        path: the drawing, where there is one.
    """

    score: float
    words: tuple[str, ...]
    boxes: tuple[Box, ...]
    size: int = field(repr=False)
    path: Path | None = None

    def __str__(self) -> str:
        lines = [f"score {self.score:.2f}; regions in pixels of the picture at {self.size}x{self.size}:"]
        width = max(map(len, self.words))
        for word, (x0, y0, x1, y1) in zip(self.words, self.boxes, strict=True):
            whole = (x0, y0, x1, y1) == (0, 0, self.size, self.size)
            where = "the whole picture" if whole else f"{x0:.0f},{y0:.0f} to {x1:.0f},{y1:.0f}"
            lines.append(f"  {plain(word):{width}}  {where}")
        return "\n".join([*lines, *([f"drawn: {plain(self.path)}"] if self.path else [])])


class Aligner(Model):
    """A model that brings words and regions of pictures together. Subclasses define ``see``, ``read``, ``score`` and ``places``.

    Args:
        vocabulary: the words, of which the first are those of ``data.captions.words.SPECIAL``; empty for ``count`` nameless ones.
        channels, image_size: of the pictures.
        longest: words of the longest sentence, ``<start>`` and ``<end>`` counted, which are not read.

    Attributes:
        count: words of the vocabulary.
        regions: (R, 4) of every picture, x0, y0, x1, y1 as shares of its sides.

    Raises:
        PaperzooError: the vocabulary begins otherwise or has no word besides, or ``longest`` leaves no room for one.
    """

    tasks: ClassVar[tuple[Task, ...]] = (Alignment(),)
    regions: Tensor

    def __init__(self, vocabulary: Sequence[str], count: int, channels: int, image_size: int, longest: int) -> None:
        super().__init__()
        if vocabulary:
            Words(vocabulary)
        self.vocabulary, self.count = tuple(vocabulary), len(vocabulary) or count
        if self.count <= len(SPECIAL):
            raise PaperzooError(f"the vocabulary has no word besides {', '.join(SPECIAL)}")
        if longest < 3:
            raise PaperzooError(f"longest counts <start> and <end>, so that it is at least 3, not {longest}")
        self.channels, self.image_size, self.longest = channels, image_size, longest

    def see(self, image: Tensor) -> Tensor:
        """Vectors of the regions (N, R, h) of images (N, C, S, S) in [0, 1]."""
        raise TypeError(f"{type(self).__name__} does not say how it sees")

    def read(self, words: Tensor) -> Tensor:
        """Vectors of the words (M, T, h) of sentences int64 (M, T), without ends, 0 behind the last word."""
        raise TypeError(f"{type(self).__name__} does not say how it reads")

    def score(self, seen: Tensor, said: Tensor, real: Tensor) -> Tensor:
        """The score of each sentence for each picture, (N, M), of regions (N, R, h), words (M, T, h) and their mask (M, T)."""
        raise TypeError(f"{type(self).__name__} does not score")

    def places(self, seen: Tensor, said: Tensor, smooth: bool = True) -> Tensor:
        """The region of each word of one sentence in one picture, int64 (T), of regions (R, h) and words (T, h).

        Args:
            smooth: whether neighbouring words ask for the same region.
        """
        raise TypeError(f"{type(self).__name__} does not say where words are seen")

    def sentences(self, captions: Tensor) -> Tensor:
        """Captions int64 (..., T) without their ends, (..., T - 2).

        Raises:
            PaperzooError: one is longer than the model's longest.
        """
        length = int((captions != PAD).sum(-1).max())
        if length > self.longest:
            raise PaperzooError(
                f"a caption of {length} words, <start> and <end> counted, is longer than the model's {self.longest}: set model.longest"
            )
        follows = torch.cat([captions[..., 2:], torch.full_like(captions[..., :1], PAD)], -1)  # PAD behind each end
        return captions[..., 1:].where(follows != PAD, PAD)[..., : max(1, length - 2)]

    def encode(self, sentence: str) -> tuple[tuple[str, ...], Tensor]:
        """The words of a sentence, and their numbers int64 (1, T).

        Raises:
            PaperzooError: there are none, too many, or one that the vocabulary lacks.
        """
        if not self.vocabulary:
            raise PaperzooError("this model has no vocabulary, so it can read no sentence: create it with one, or train it")
        words = tuple(tokenise(sentence))
        if not words:
            raise PaperzooError(f"{plain(sentence)!r} has no words: --prompt is the sentence of which the words are looked for")
        if len(words) > self.longest - 2:
            raise PaperzooError(f"a sentence of {len(words)} words is longer than the {self.longest - 2} that this model reads")
        known = self.vocabulary[len(SPECIAL) :]
        for word in words:
            if word not in known:
                raise unknown("word", word, known)
        return words, torch.tensor([[self.vocabulary.index(word) for word in words]])

    def predict(self, input: Any, *, prompt: str = "", out: str = "") -> Any:
        """Where each word of a sentence is seen in a picture given as path, PIL image or array; of a list of these, a list.

        Args:
            prompt: the sentence.
            out: a folder to draw in the region of each word, as NAME-regions.png. Nothing that is there is replaced.

        Returns:
            An ``Aligned``, or a list of them.

        Raises:
            PaperzooError: no picture, no sentence, a word that the model does not know, or a drawing that cannot be written.
        """
        words, numbers = self.encode(prompt)
        if isinstance(input, list | tuple):
            return [self.predict(one, prompt=prompt, out=out) for one in input]
        if isinstance(input, str | os.PathLike):
            input = os.fspath(input)
        path = new_file(input, "-regions.png", out)
        image = read_image(input, self.channels, self.image_size, self.prepared)
        score, places = self.aligned(image, numbers)
        boxes = tuple(self.box(place) for place in places)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            save(regions_of(image[0], words, boxes), path)
        return Aligned(score, words, boxes, self.image_size, path)

    def aligned(self, image: Tensor, words: Tensor, smooth: bool = True) -> tuple[float, list[int]]:
        """The score of one sentence int64 (1, T) in one image (1, C, S, S), and the region of each word; in eval mode."""
        was_training, device = self.training, next(self.parameters()).device
        self.eval()
        with torch.no_grad():
            words = words.to(device)
            regions, said = self.see(image.to(device)), self.read(words)
            score, places = self.score(regions, said, words != PAD), self.places(regions[0], said[0], smooth)
        self.train(was_training)
        return float(score), places.tolist()

    def box(self, place: int) -> Box:
        """A region in pixels of the picture."""
        x0, y0, x1, y1 = (self.regions[place].double() * self.image_size).tolist()
        return x0, y0, x1, y1
