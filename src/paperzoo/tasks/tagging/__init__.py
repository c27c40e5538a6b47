"""Tagging words: entity F1, spans found in a sentence, sentences with true and found spans side by side."""

from paperzoo.tasks.tagging.contract import Tagger, words_of
from paperzoo.tasks.tagging.spans import Span, Tagging, colour_of
from paperzoo.tasks.tagging.task import EntityTagging

__all__ = ["EntityTagging", "Span", "Tagger", "Tagging", "colour_of", "words_of"]
