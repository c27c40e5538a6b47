"""Pictures with captions: which sets there are, what builds each, and where its bytes come from."""

from __future__ import annotations

from paperzoo.data.entry import Entry, Own
from paperzoo.data.images.table import EMOJI, GCOMPRIS, LOMIRI

DATASETS = {
    "scenes": Entry(
        "10,500 pictures of things above, below and beside each other, with five true captions each, 64x64",
        "captions.composed.scenes",
        (EMOJI["noto"], EMOJI["fluent"], EMOJI["twemoji"], GCOMPRIS, LOMIRI),
        sized=True,
    ),
    "scenes-plain": Entry(
        "880 pictures of two shapes above, below and beside each other on one colour, with five true captions each, 32x32",
        "captions.plain.plain_scenes",
        sized=True,
    ),
}

#: the user's own data: prefix -> what follows the colon, and what builds it
OWN: dict[str, Own] = {}
