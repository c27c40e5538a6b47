"""The interface of a sound generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from torch import Tensor

from paperzoo.tasks.generation import Sampler
from paperzoo.tasks.sound_generation.task import SoundGeneration
from paperzoo.tasks.task import Task

#: samples of a sound: 16, doubled at least twice
Length = Literal[64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536]


class Sound(Tensor):
    """Sounds (N, C, T) that know how many samples a second they have; what is computed of them has 0, which is not known."""

    rate: int = 0


class SoundGenerator(Sampler):
    """Generates sounds (N, C, T) in [-1, 1]. Subclasses set ``latent``, ``rate``, ``length`` and ``channels`` and define ``generate``."""

    tasks: ClassVar[tuple[Task, ...]] = (SoundGeneration(),)
    rate: int
    length: int
    channels: int

    def sample(self, items: int = 16, seed: int = 0) -> Tensor:
        """``items`` sounds (N, C, T) in [-1, 1] on the CPU, float32, that know their ``rate``. The first 4 of 16 are the 4 of 4.

        Raises:
            PaperzooError: fewer than one asked for.
        """
        sounds = super().sample(items, seed).clamp(-1, 1).as_subclass(Sound)
        sounds.rate = self.rate
        return sounds

    def lean(self) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
        """The averaged generator in place of the last one, where there is an average: it is what samples come from."""
        arguments, state = super().lean()
        mark = "average.network."
        averaged = {f"generator.{k.removeprefix(mark)}": v for k, v in state.items() if k.startswith(mark)}
        if not averaged:
            return arguments, state
        return {**arguments, "average": 0.0}, {
            **{k: v for k, v in state.items() if not k.startswith("average.")},
            **averaged,
        }
