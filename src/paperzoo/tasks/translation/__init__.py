"""Translating sentences: beam search, BLEU beside two baselines, translations with their attention."""

from paperzoo.data.text.bpe import END, PAD, START
from paperzoo.nn.beam import MORE
from paperzoo.tasks.translation.contract import Translation, Translator
from paperzoo.tasks.translation.measure import retrieved
from paperzoo.tasks.translation.task import SentenceTranslation

__all__ = ["END", "MORE", "PAD", "START", "SentenceTranslation", "Translation", "Translator", "retrieved"]
