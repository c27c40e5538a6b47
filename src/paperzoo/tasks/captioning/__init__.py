"""Captioning pictures: a search for the caption, measured on captions that are written freely, beside baselines; attention drawn."""

from paperzoo.data.captions.words import END, PAD, SPECIAL, START, UNKNOWN
from paperzoo.tasks.captioning.contract import Caption, Captioner, Captions, Told, log_likelihood
from paperzoo.tasks.captioning.task import Captioning

__all__ = [
    "END", "PAD", "SPECIAL", "START", "UNKNOWN", "Caption", "Captioner", "Captioning", "Captions", "Told", "log_likelihood",
]  # fmt: skip
