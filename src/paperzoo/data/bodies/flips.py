"""Changes of whole batches of people: a mirror exchanges left and right parts, and turns some charts round."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from paperzoo.data.bodies.parts import COARSE, MIRROR, TURNS
from paperzoo.data.marks import colour
from paperzoo.errors import PaperzooError

if TYPE_CHECKING:
    from paperzoo.data.batch import Batch


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
        own = batch.parts.flip(2)
        fields |= {"parts": mirror[own], "uv": torch.where(turns[own][:, None], torch.stack([1 - maps[:, 0], maps[:, 1]], 1), maps)}
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
