"""Street View House Numbers: digits in photographs, from files in MATLAB's format 5."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from paperzoo.data.dataset import Dataset, Images, Schema, Split, Values
from paperzoo.errors import PaperzooError


def svhn(train: Path, test: Path) -> Dataset:
    """SVHN's cropped digits (Netzer et al., 2011), colour 32x32: ``train``, ``validation`` (its last tenth), ``test``.

    Args:
        train, test: ``train_32x32.mat`` (73,257 digits) and ``test_32x32.mat`` (26,032).

    Raises:
        PaperzooError: a file is damaged or of another form.
    """
    (image, label), held_out = mat32(train), mat32(test)
    keep = len(label) - len(label) // 10
    parts = {"train": (image[:keep], label[:keep]), "validation": (image[keep:], label[keep:]), "test": held_out}
    splits = {s: Split(Images(torch.from_numpy(x)), Values("label", torch.from_numpy(y))) for s, (x, y) in parts.items()}
    arguments = {"channels": 3, "image_size": 32, "classes": 10}
    schema = Schema("svhn", ("image", "label"), arguments, tuple("0123456789"))
    return Dataset(
        schema, splits, "for non-commercial use only (Netzer et al. 2011)", "SVHN, cropped digits", pictures=False
    )


def mat32(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, 3, 32, 32) and labels int64 (N) of one file. There the digit 0 has the label 10; here it has 0.

    Raises:
        PaperzooError: the file is damaged, or ``X`` is not uint8 (32, 32, 3, N) with ``y`` (N, 1) from 1 to 10.
    """
    from scipy.io import loadmat

    try:
        matrices = loadmat(path, variable_names=("X", "y"))
        pixels, label = matrices["X"], matrices["y"].reshape(-1).astype(np.int64)
    except Exception as error:  # damaged files raise nearly anything
        raise PaperzooError(f"{path} is no MATLAB file with X and y: {error}") from error
    if pixels.dtype != np.uint8 or pixels.shape != (32, 32, 3, len(label)) or not ((label >= 1) & (label <= 10)).all():
        raise PaperzooError(f"{path} holds X {pixels.dtype} {pixels.shape}, not uint8 (32, 32, 3, N) with labels 1 to 10")
    return np.ascontiguousarray(pixels.transpose(3, 2, 0, 1)), label % 10  # (H, W, C, N) -> (N, C, H, W)
