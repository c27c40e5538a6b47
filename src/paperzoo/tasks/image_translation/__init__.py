"""Translating images of one domain into another."""

from paperzoo.tasks.image_translation.contract import ImageTranslator

__all__ = ["ImageTranslator"]
