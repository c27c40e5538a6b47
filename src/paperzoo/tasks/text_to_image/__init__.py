"""Drawing what a sentence says: whether what it names is there, as a judge sees it, beside the same with sentences exchanged."""

from paperzoo.tasks.text_to_image.contract import SentenceGenerator
from paperzoo.tasks.text_to_image.task import TextToImage

__all__ = ["SentenceGenerator", "TextToImage"]
