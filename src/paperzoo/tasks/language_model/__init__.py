"""Language models: nats, bits and perplexity on held-out text, samples, and which characters of a passage surprise them."""

from paperzoo.tasks.language_model.contract import LanguageModel, State, choose
from paperzoo.tasks.language_model.draw import passage
from paperzoo.tasks.language_model.reading import Reading
from paperzoo.tasks.language_model.task import LanguageModelling

__all__ = ["LanguageModel", "LanguageModelling", "Reading", "State", "choose", "passage"]
