"""Generating volumes of occupied voxels: how near to held-out shapes, always beside how diverse."""

from paperzoo.tasks.volume_generation.contract import VolumeGenerator
from paperzoo.tasks.volume_generation.task import VolumeGeneration

__all__ = ["VolumeGeneration", "VolumeGenerator"]
