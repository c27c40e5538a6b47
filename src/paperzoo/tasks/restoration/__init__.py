"""Restoring what photographs have lost: super-resolution, always beside the bicubic kernel, on the luminance."""

from paperzoo.tasks.restoration.contract import Restored, SuperResolver
from paperzoo.tasks.restoration.task import SuperResolution
from paperzoo.tasks.restoration.tiles import TILE, by_tiles

__all__ = ["TILE", "Restored", "SuperResolution", "SuperResolver", "by_tiles"]
