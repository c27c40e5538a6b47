"""Classifying images: error in percent and its interval, calibration, confusion, worst mistakes, where the network looks."""

from paperzoo.tasks.classification.contract import Classification, Classifier
from paperzoo.tasks.classification.draw import confusion
from paperzoo.tasks.classification.task import ImageClassification

__all__ = ["Classification", "Classifier", "ImageClassification", "confusion"]
