"""The 24 parts that DensePose divides a body's surface into, the 14 that its masks have, and what mirroring a picture does to them.

``with_people`` changes whole batches of people: a mirror exchanges left and right parts, and turns some charts round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from paperzoo.data.marks import colour
from paperzoo.errors import PaperzooError

if TYPE_CHECKING:
    from paperzoo.data.batch import Batch

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
    """Parts (...) and their U and V (..., 2) after a horizontal flip."""
    other = uv.copy()
    other[..., 0] = np.where(TURNS[parts], 1 - uv[..., 0], uv[..., 0])
    return MIRROR[parts], other


# Batches -------------------------------------------------------------------------------------------------------------


def _coarse_mirror() -> np.ndarray:
    table = np.zeros(int(COARSE.max()) + 1, np.int64)
    table[COARSE] = COARSE[MIRROR]
    return table


#: part of the masks -> the one that it is in the mirror
COARSE_MIRROR = _coarse_mirror()
CHANGES = ("flip", "colour")


def mirrored(batch: Batch, chosen: Tensor) -> Batch:
    """The batch with those pictures mirrored left to right that ``chosen``, bool (N), says, and with them all that is annotated."""
    device, wide = batch.image.device, batch.image.shape[3]
    mirror, coarse, turns = (torch.from_numpy(table).to(device) for table in (MIRROR, COARSE_MIRROR, TURNS))
    x0, y0, x1, y1 = batch.boxes.unbind(2)
    real = torch.arange(batch.boxes.shape[1], device=device) < batch.objects[:, None]  # (N, M)
    part, uv = batch.point_part, batch.point_uv
    known = (part > 0)[..., None]
    place = torch.stack([wide - batch.points[..., 0], batch.points[..., 1]], -1)
    fields = {
        "image": batch.image.flip(3),
        "segments": coarse[batch.segments.flip(2)],
        "person": batch.person.flip(2),
        "boxes": torch.where(real[..., None], torch.stack([wide - x1, y0, wide - x0, y1], 2), batch.boxes),
        "points": torch.where(known, place, batch.points),
        "point_part": mirror[part],
        "point_uv": torch.where(turns[part][..., None], torch.stack([1 - uv[..., 0], uv[..., 1]], -1), uv),
    }
    if "parts" in vars(batch):
        maps = batch.uv.flip(3)
        parts = batch.parts.flip(2)
        fields |= {"parts": mirror[parts], "uv": torch.where(turns[parts][:, None], torch.stack([1 - maps[:, 0], maps[:, 1]], 1), maps)}
    before = vars(batch)
    both = {
        name: torch.where(chosen.view(-1, *[1] * (value.ndim - 1)), value, before[name]) for name, value in fields.items()
    }
    return type(batch)(**{**before, **both})


def with_people(batch: Batch, name: str) -> Batch:
    """A batch with people, augmented by ``flip`` or ``colour``; chance is torch's on the CPU.

    Raises:
        PaperzooError: the augmentation moves pixels, and does not say where points of a body go.
    """
    if name == "colour":
        return type(batch)(**{**vars(batch), "image": colour(batch.image)})
    if name != "flip":
        raise PaperzooError(f"augment={name} would not move the parts of a body with its picture: choose of {', '.join(CHANGES)}")
    return mirrored(batch, torch.randint(2, (len(batch),)).bool().to(batch.image.device, non_blocking=True))
