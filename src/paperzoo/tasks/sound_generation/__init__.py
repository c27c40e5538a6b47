"""Generating sounds: heard by a judge beside simpler ways to make them, and by numbers beside the data."""

from paperzoo.tasks.sound_generation.contract import Length, SoundGenerator
from paperzoo.tasks.sound_generation.measure import CONTROLS, SAMPLES, controls
from paperzoo.tasks.sound_generation.task import SoundGeneration

__all__ = ["CONTROLS", "SAMPLES", "Length", "SoundGeneration", "SoundGenerator", "controls"]
