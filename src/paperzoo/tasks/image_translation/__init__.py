"""Image translation: nearness to the truth beside that of what needs no network, style and identity by a judge, pictures of any size."""

from paperzoo.tasks.image_translation.contract import ImageTranslator
from paperzoo.tasks.image_translation.files import Translation
from paperzoo.tasks.image_translation.task import ImageTranslation

__all__ = ["ImageTranslation", "ImageTranslator", "Translation"]
