"""Text detection: where in a picture something is written, as quadrilaterals."""

from paperzoo.tasks.text_detection.answers import Text, Texts
from paperzoo.tasks.text_detection.contract import Reading, TextDetector
from paperzoo.tasks.text_detection.task import TextDetection

__all__ = ["Reading", "Text", "TextDetection", "TextDetector", "Texts"]
