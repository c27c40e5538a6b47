"""Generating images, or points of the plane: samples, their quality always beside their coverage."""

from paperzoo.tasks.generation.contract import ConditionalGenerator, ImageGenerator, OfClasses, PointGenerator, Sampler
from paperzoo.tasks.generation.latent import between, noise
from paperzoo.tasks.generation.measure import (
    NEIGHBOURS,
    SAMPLES,
    Judge,
    learnt_by_heart,
    luminance,
    mean_image_gap,
    parts,
    scores,
    spread,
    within_class,
)
from paperzoo.tasks.generation.task import ConditionalGeneration, ImageGeneration, PointGeneration

__all__ = [
    "NEIGHBOURS",
    "SAMPLES",
    "ConditionalGeneration",
    "ConditionalGenerator",
    "ImageGeneration",
    "ImageGenerator",
    "Judge",
    "OfClasses",
    "PointGeneration",
    "PointGenerator",
    "Sampler",
    "between",
    "learnt_by_heart",
    "luminance",
    "mean_image_gap",
    "noise",
    "parts",
    "scores",
    "spread",
    "within_class",
]
