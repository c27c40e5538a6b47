"""Two shapes on a ground of one colour: scenes that need neither emoji nor photographs, for tests and first trials."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from paperzoo.data.captions.columns import Captions, Listed
from paperzoo.data.captions.composed import SPLITS, Drawn, plan
from paperzoo.data.captions.drawing import Artist
from paperzoo.data.captions.grammar import SHAPES, Box, Scene, captions, relation_of
from paperzoo.data.captions.words import Words, learn
from paperzoo.data.dataset import Dataset, Images, Schema, Split
from paperzoo.errors import PaperzooError

SIZE = 32


class Shapes(Artist):
    """Draws shapes, and needs no emoji for it."""

    def __init__(self, size: int) -> None:
        self.size, self.vendors, self.cutouts = size, 1, {}

    def box(self, noun: str, vendor: int, side: float, x: float, y: float) -> Box:
        """As ``Artist.box``, of an object as if it were a shape."""
        return super().box(next(iter(SHAPES)), vendor, side, x, y)


def plain_scenes(image_size: int | None = None, counts: tuple[int, int, int, int] = (600, 60, 120, 120)) -> Dataset:
    """As ``composed.scenes``, of two shapes a picture and nothing else.

    Args:
        image_size: height and width, at least 16. Default: 32.
        counts: pictures in each of ``composed.SPLITS``.

    Raises:
        PaperzooError: the size is too small to see anything.
    """
    size = image_size or SIZE
    if size < 16:
        raise PaperzooError(f"scenes of {size}x{size} show nothing that could be told: image_size is at least 16")
    artist, image, scenes = Shapes(size), dict[str, torch.Tensor](), dict[str, list[Scene]]()
    for number, (split, count) in enumerate(zip(SPLITS, counts, strict=True)):
        rng, pixels, scenes[split] = np.random.default_rng(number), np.empty((count, 3, size, size), np.uint8), []
        for into in pixels:
            picture = Image.new("RGB", (size, size), tuple(rng.integers(170, 256, 3).tolist()))
            drawn = _two(artist, rng, split == "compositional")
            for one in drawn:
                artist.put(picture, one.thing, one.vendor, one.shade)
            into[:] = np.asarray(picture).transpose(2, 0, 1)  # (H, W, C) -> (C, H, W)
            a, b = (one.thing for one in drawn)
            scenes[split].append(Scene((a, b), relation_of(a.box, b.box)))
        image[split] = torch.from_numpy(pixels)
    texts = {
        split: [captions(scene, np.random.default_rng((number, index))) for index, scene in enumerate(scenes[split])]
        for number, split in enumerate(SPLITS)
    }
    words = Words(learn(text for picture_texts in texts["train"] for text in picture_texts))
    columns = {split: Captions(texts[split], words) for split in SPLITS}
    splits = {split: Split(Images(image[split]), columns[split], Listed("scene", scenes[split])) for split in SPLITS}
    longest = max(column.longest for column in columns.values())
    examples = columns["train"].examples
    arguments = {"channels": 3, "image_size": size, "vocabulary": words.vocabulary, "longest": longest, "examples": examples}
    schema = Schema("scenes-plain", ("image", "captions", "texts", "scene"), arguments)
    return Dataset(schema, splits, "made here", "drawn here")


def _two(artist: Artist, rng: np.random.Generator, compositional: bool) -> list[Drawn]:
    """A plan of two shapes, of those of ``composed`` the first that is one."""
    while True:
        drawn = plan(artist, rng, compositional)
        if len(drawn) == 2 and all(one.thing.noun in SHAPES for one in drawn):
            return drawn
