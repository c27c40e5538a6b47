"""The 24 parts that DensePose divides a body's surface into, the 14 that its masks have, and what mirroring a picture does to them."""

from __future__ import annotations

import numpy as np

#: parts by number, as DensePose-COCO has them; 0 is the background
PARTS = (
    "background", "torso, back", "torso, front", "right hand", "left hand", "left foot", "right foot",
    "right upper leg, back", "left upper leg, back", "right upper leg, front", "left upper leg, front",
    "right lower leg, back", "left lower leg, back", "right lower leg, front", "left lower leg, front",
    "left upper arm, front", "right upper arm, front", "left upper arm, back", "right upper arm, back",
    "left lower arm, front", "right lower arm, front", "left lower arm, back", "right lower arm, back", "right head", "left head",
)  # fmt: skip

#: part -> part of the masks, which do not tell front from back: 15 numbers with the background
COARSE = np.array([0, 1, 1, 2, 3, 4, 5, 6, 7, 6, 7, 8, 9, 8, 9, 10, 11, 10, 11, 12, 13, 12, 13, 14, 14])


def _mirrored() -> np.ndarray:
    swapped = [name.replace("left", "*").replace("right", "left").replace("*", "right") for name in PARTS]
    return np.array([PARTS.index(name) for name in swapped])


#: part -> the part that it is in the mirror; an involution
MIRROR = _mirrored()
#: part -> whether U runs the other way in the mirror: of those that are their own mirror image. Others' charts are mirror images.
TURNS = np.array([number > 0 and MIRROR[number] == number for number in range(len(PARTS))])


def mirrored_parts(parts: np.ndarray, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What parts (...) and their U and V (..., 2) are in a mirror."""
    other = uv.copy()
    other[..., 0] = np.where(TURNS[parts], 1 - uv[..., 0], uv[..., 0])
    return MIRROR[parts], other
