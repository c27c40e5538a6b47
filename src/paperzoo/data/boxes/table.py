"""Pictures with boxes: which sets there are, what builds each, and where its bytes come from."""

from __future__ import annotations

from paperzoo.data.entry import Entry, Own
from paperzoo.data.fetch.sources import Source
from paperzoo.data.images.table import EMOJI, GCOMPRIS, LOMIRI

DEEPFOREST = Source(
    name="deepforest-2.1.0-py3-none-any.whl",
    transport="wheel",
    package="deepforest",
    version="2.1.0",
    sha256="8c2798d8e9be7f0004b194fe207b76c1d9fff6e711b3db67b9508dcd5d00ae54",
    size=20_639_595,
    licence="MIT (DeepForest, Ben Weinstein; aerial photographs of NEON)",
)

_SCENES = (EMOJI["noto"], EMOJI["fluent"], EMOJI["twemoji"], GCOMPRIS, LOMIRI)

DATASETS = {
    "scenes-boxes": Entry(
        "4,800 pictures of one to five things of twelve classes on photographs, with their boxes, 160x160",
        "boxes.composed.scenes_boxes",
        _SCENES,
        sized=True,
    ),
    "scenes-boxes-6": Entry(
        "the same of the six classes that are told apart best",
        "boxes.composed.scenes_boxes",
        _SCENES,
        {"classes": ("clocks", "clothing", "flowers", "fruit", "insects", "vehicles")},
        sized=True,
    ),
    "boxes-plain": Entry(
        "240 pictures of one to three rectangles of three classes on grey, with their boxes, 64x64", "boxes.plain.plain_boxes", sized=True
    ),
}

#: the user's own data: prefix -> what follows the colon, and what builds it
OWN: dict[str, Own] = {}
