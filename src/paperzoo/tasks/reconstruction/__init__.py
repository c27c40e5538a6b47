"""Autoencoders: squared error, always beside that of PCA with a code of equal size; reconstructions and maps of codes."""

from paperzoo.tasks.reconstruction.contract import (
    Autoencoder,
    LikelihoodAutoencoder,
    PointAutoencoder,
    Reconstruction,
    check_range,
)
from paperzoo.tasks.reconstruction.draw import MAPPED, labels, maps, normal_grid
from paperzoo.tasks.reconstruction.measure import squared_errors
from paperzoo.tasks.reconstruction.task import ImageReconstruction, Likelihood, PointReconstruction

__all__ = [
    "MAPPED",
    "Autoencoder",
    "ImageReconstruction",
    "Likelihood",
    "LikelihoodAutoencoder",
    "PointAutoencoder",
    "PointReconstruction",
    "Reconstruction",
    "check_range",
    "labels",
    "maps",
    "normal_grid",
    "squared_errors",
]
