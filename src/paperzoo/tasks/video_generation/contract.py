"""The interface of a video generator, and helpers for its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from annotated_types import Ge, Le
from torch import Tensor

from paperzoo.errors import PaperzooError
from paperzoo.tasks.generation import OfClasses, Sampler
from paperzoo.tasks.task import Task
from paperzoo.tasks.video_generation.task import ConditionalVideoGeneration, VideoGeneration

#: clips that are generated at once while sampling and measuring
TOGETHER = 32


class VideoGenerator(Sampler):
    """Generates clips (N, C, T, H, W) in [0, 1] from latent vectors whose first part stays and whose rest is the frames', in turn.

    Subclasses set ``frames`` (T of training), ``content`` and ``start`` (dimensions of what is drawn once for a clip: what is
    shown, and what else the motion begins from) and ``moving`` (dimensions drawn for each frame), and define ``generate``, which
    takes latent vectors of any number of frames.
    """

    tasks: ClassVar[tuple[Task, ...]] = (VideoGeneration(),)
    frames: int
    content: int
    start: int
    moving: int

    @property
    def latent(self) -> int:  # type: ignore[override]  # follows from what a subclass sets
        """Dimensions of the latent vector of a clip of ``frames`` frames."""
        return self.content + self.start + self.frames * self.moving

    def clip(self, video: Tensor, every: int = 1) -> Tensor:
        """S_T: ``frames`` frames of videos (N, C, F, H, W), each ``every``-th, from anywhere, the same place for all N.

        Raises:
            PaperzooError: the videos have fewer frames.
        """
        spare = video.shape[2] - ((self.frames - 1) * every + 1)
        if spare < 0:
            raise PaperzooError(
                f"the data's clips have {video.shape[2]} frames, the model's {self.frames}"
                + (f", one in {every} of {(self.frames - 1) * every + 1}" if every > 1 else "")
                + f": set model.frames={(video.shape[2] - 1) // every + 1}"
            )
        first = int(torch.randint(spare + 1, ())) if spare else 0
        return video[:, :, first :: every][:, :, : self.frames]

    def still(self, video: Tensor) -> Tensor:
        """S_1: one frame of each clip (N, C, T, H, W), each from anywhere: (N, C, H, W)."""
        which = torch.randint(video.shape[2], (len(video),), device=video.device)
        return video[torch.arange(len(video), device=video.device), :, which]

    def draw(self, items: int) -> Tensor:
        """Latent vectors (items, latent) for training, standard normal."""
        return torch.randn(items, self.latent, device=next(self.parameters()).device)

    def latents(self, items: int, seed: int, frames: int | None = None) -> Tensor:
        """Latent vectors for sampling, on the CPU; row i depends on the seed and i alone, and a longer clip begins as a shorter one.

        Raises:
            PaperzooError: fewer than one asked for, or a seed below 0.
        """
        if items < 1:
            raise PaperzooError(f"cannot draw {items} samples: ask for at least 1")
        if seed < 0:
            raise PaperzooError(f"the seed is a whole number from 0, not {seed}")
        length = self.content + self.start + (frames or self.frames) * self.moving
        rows = [np.random.Generator(np.random.Philox(key=[seed, i])).standard_normal(length, np.float32) for i in range(items)]
        return torch.from_numpy(np.stack(rows))

    def exchanged(self, z: Tensor, rows: int, columns: int) -> Tensor:
        """Every content with every motion: of latent vectors (rows + columns, D) the contents of the first and the motions of the last.

        Returns:
            (rows * columns, D), row by row: one content a row, one motion a column.
        """
        content = z[:rows, : self.content].repeat_interleave(columns, 0)
        return torch.cat([content, z[rows : rows + columns, self.content :].repeat(rows, 1)], 1)

    def sample(self, items: int = 16, seed: int = 0, frames: Annotated[int, Ge(1), Le(1000)] | None = None) -> Tensor:
        """``items`` clips on the CPU, float32 (items, C, T, H, W). Each has noise of its own: the first 4 of 16 are the 4 of 4.

        Args:
            frames: of each clip; as many as in training by default. A longer clip begins as a shorter one.

        Raises:
            PaperzooError: fewer than one sample asked for.
        """
        return self.render(self.latents(items, seed, frames))

    def render(self, *given: Tensor) -> Tensor:
        """``generate(*given)`` in eval mode without gradients, some clips at a time; float32 on the CPU."""
        was_training, device = self.training, next(self.parameters()).device
        self.eval()  # batch statistics would tie samples to each other
        with torch.no_grad():
            chunks = zip(*(torch.split(tensor, TOGETHER) for tensor in given), strict=True)
            parts = [self.generate(*(chunk.to(device) for chunk in row)).float().cpu() for row in chunks]
        self.train(was_training)
        return torch.cat(parts)

    def lean(self) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
        """The averaged generator in place of the last one, where there is an average: it is what samples come from."""
        arguments, state = super().lean()
        mark = "average.network."
        averaged = {f"generator.{k.removeprefix(mark)}": v for k, v in state.items() if k.startswith(mark)}
        if not averaged:
            return arguments, state
        return {**arguments, "average": 0.0}, {**{k: v for k, v in state.items() if not k.startswith("average.")}, **averaged}


class ConditionalVideoGenerator(VideoGenerator, OfClasses):
    """Generates clips of a motion that is asked for. Subclasses set ``classes`` and define ``generate(z, label)``."""

    tasks: ClassVar[tuple[Task, ...]] = (ConditionalVideoGeneration(),)

    def generate(self, z: Tensor, label: Tensor) -> Tensor:  # type: ignore[override]  # what it needs besides the noise
        """Clips (N, C, T, H, W) in [0, 1] for latent vectors (N, D) and motions int64 (N)."""
        raise TypeError(f"{type(self).__name__} does not say how it generates")

    def sample(  # type: ignore[override]  # asked for more than others
        self,
        items: int = 16,
        seed: int = 0,
        label: int | str | Sequence[int] | None = None,
        frames: Annotated[int, Ge(1), Le(1000)] | None = None,
    ) -> Tensor:
        """``items`` clips on the CPU, float32; clip i has motion ``i % classes`` unless ``label`` says otherwise.

        Args:
            label: the motion of all clips, by number or name, or a sequence with one for each. Noise i is the same whatever the motion.
            frames: of each clip; as many as in training by default. A longer clip begins as a shorter one.

        Raises:
            PaperzooError: fewer than one sample asked for, or a label that is no motion.
        """
        return self.render(self.latents(items, seed, frames), self.labels(items, label))
