"""The interface of a text-to-image model, and its use."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from paperzoo.data.captions.words import PAD, SPECIAL, UNKNOWN, Words, tokenise
from paperzoo.errors import PaperzooError
from paperzoo.tasks.generation import ImageGenerator
from paperzoo.tasks.task import Task
from paperzoo.tasks.text_to_image.task import TextToImage


class SentenceGenerator(ImageGenerator):
    """Draws pictures (N, C, H, W) in [0, 1] of sentences. Subclasses define ``embed`` and ``resolutions``, and ``step`` calls ``chosen``.

    Args:
        vocabulary: words by number; begins with ``captions.words.SPECIAL``.
        longest: words of a sentence at most, both ends counted.
        latent: numbers of noise that a picture is drawn from.
        examples: sentences of the training, to draw where none is given.

    Raises:
        PaperzooError: the vocabulary begins otherwise, or has a word twice.
    """

    tasks: ClassVar[tuple[Task, ...]] = (TextToImage(),)

    #: which stage of the training was reached; it is saved
    reached: Tensor

    def __init__(self, vocabulary: Sequence[str], longest: int, latent: int, examples: Sequence[str] = ()) -> None:
        super().__init__()
        self.vocabulary, self.longest, self.latent, self.examples = tuple(vocabulary), longest, latent, tuple(examples)
        if vocabulary:
            Words(vocabulary)
        self.register_buffer("reached", torch.zeros((), dtype=torch.int64))

    def embed(self, captions: Tensor) -> Tensor:
        """phi (N, E) of captions int64 (N, T), see ``paperzoo.data.captions``."""
        raise TypeError(f"{type(self).__name__} does not say how it reads")

    def resolutions(self, latent: Tensor, phi: Tensor) -> tuple[Tensor, ...]:
        """Pictures (N, C, S, S) in [0, 1] of noise (N, latent) and phi (N, E), of each size that is drawn, the largest last."""
        raise TypeError(f"{type(self).__name__} does not say how it draws")

    def generate(self, z: Tensor, phi: Tensor) -> Tensor:  # type: ignore[override]  # what it needs besides the noise
        return self.resolutions(z, phi)[-1]

    @cached_property
    def words(self) -> Words:
        """Words and their numbers."""
        if not self.vocabulary:
            raise PaperzooError("this model has no vocabulary, so it can read no sentence: create it with one, or train it")
        return Words(self.vocabulary)

    def chosen(self, captions: Tensor) -> Tensor:
        """One of each picture's captions int64 (N, K, T), drawn at random: int64 (N, T)."""
        counts = (captions != PAD).any(2).sum(1)  # (N)
        place = (torch.rand(len(captions), device=captions.device) * counts).long().clamp(max=captions.shape[1] - 1)
        return captions[torch.arange(len(captions), device=captions.device), place]

    def read(self, text: str) -> Tensor:
        """A sentence as int64 (1, T); words that are not known are left out, with a warning that names them and the nearest known ones.

        Raises:
            PaperzooError: it has no words, or none that is known.
        """
        words = tokenise(text)
        if not words:
            raise PaperzooError(f"the prompt {text!r} has no word: say what to draw, as in --prompt {self.example()!r}")
        known = self.vocabulary[len(SPECIAL) :]
        strange = [word for word in dict.fromkeys(words) if word not in self.words.number]
        if strange:
            near = [(word, next(iter(difflib.get_close_matches(word, known, 1)), "")) for word in strange]
            said = "the model does not know " + ", ".join(repr(w) + (f" (nearest: {n})" if n else "") for w, n in near)
            if all(word in strange for word in words):
                raise PaperzooError(f"no word of the prompt {text!r} is known to this model: {said}; it draws such as {self.example()!r}")
            warnings.warn(f"{said}: left out", stacklevel=4)
        numbers = [number for number in self.words.encode(text) if number != UNKNOWN]
        return torch.tensor([numbers], device=self.reached.device)

    def example(self) -> str:
        """A sentence of the training."""
        return self.examples[0] if self.examples else "a picture of something"

    def prompts(self, items: int, prompt: str | None = None) -> Tensor:
        """phi (items, E) on the CPU of the prompt, or where there is none of ``examples`` in turn.

        Raises:
            PaperzooError: see ``read``; or neither a prompt nor examples are there.
        """
        if prompt is not None:
            sentences = [self.read(prompt)]
        elif self.examples:
            sentences = [torch.tensor([self.words.encode(text)], device=self.reached.device) for text in self.examples]
        else:
            raise PaperzooError("this model knows no sentence of its training: say by a prompt what to draw")

        was_training = self.training
        self.eval()
        with torch.no_grad():
            phi = torch.cat([self.embed(captions).float().cpu() for captions in sentences])
        self.train(was_training)
        return phi[torch.arange(items) % len(phi)]

    def sample(self, items: int = 16, seed: int = 0, prompt: str | None = None) -> Tensor:
        """``items`` pictures on the CPU, float32, each with noise of its own.

        Words of the prompt that the model does not know are left out, and named with the nearest that it knows.

        Args:
            prompt: what to draw, as in --prompt "a person with red hair and glasses"; else sentences of the training, 16 in turn.

        Raises:
            PaperzooError: fewer than one sample asked for; the prompt is empty, or has none but unknown words.
        """
        return self.render(self.latents(items, seed), self.prompts(items, prompt))

    def every_size(self, latent: Tensor, phi: Tensor) -> tuple[Tensor, ...]:
        """``resolutions`` in eval mode without gradients, 250 rows at a time; float32 on the CPU."""
        was_training, device = self.training, self.reached.device
        self.eval()
        with torch.no_grad():
            pairs = zip(torch.split(latent, 250), torch.split(phi, 250), strict=True)
            parts = [[one.float().cpu() for one in self.resolutions(z.to(device), one.to(device))] for z, one in pairs]
        self.train(was_training)
        return tuple(torch.cat(sizes) for sizes in zip(*parts, strict=True))

    def walk(self) -> Tensor:
        """Pictures (80, C, H, W): eight walks of ten steps from one sentence to another, with the same noise."""
        phi = self.prompts(16).view(8, 2, -1)  # (8, 2, E)
        share = torch.linspace(0, 1, 10).view(1, -1, 1)
        between = (1 - share) * phi[:, :1] + share * phi[:, 1:]  # (8, 10, E)
        return self.render(self.latents(8, 0).repeat_interleave(10, 0), between.flatten(0, 1))
