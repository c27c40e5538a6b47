"""Attribute translation: pictures as they would be with other attributes, measured by a judge that sees what was asked for."""

from paperzoo.tasks.attribute_translation.contract import AttributeTranslator
from paperzoo.tasks.attribute_translation.task import AttributeTranslation

__all__ = ["AttributeTranslation", "AttributeTranslator"]
