"""The stamps of Tux Paint with the captions that people wrote for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from paperzoo.data.captions.columns import Captions
from paperzoo.data.captions.words import Words, learn, tokenise
from paperzoo.data.dataset import Dataset, Images, Schema, Split
from paperzoo.data.encoding import decode
from paperzoo.data.fetch.deb import deb_files
from paperzoo.data.fetch.prepared import prepared
from paperzoo.data.fetch.sources import sha256
from paperzoo.data.images.emoji import share_of
from paperzoo.data.images.stamps import FOLDER, SIZE, SPLITS, square
from paperzoo.data.images.table import TUXPAINT
from paperzoo.errors import PaperzooError

_VERSION = 1  # of the prepared arrays: change it whenever they come out differently


def stamps_captions(package: Path, image_size: int | None = None) -> Dataset:
    """Drawings and photographs on white: ``image`` (N, 3, S, S), ``captions`` (N, 1, T) and ``texts``, one caption each, in English.

    Captions of the same words lie in one split: ``test`` has the tenth of them whose SHA-256 is lowest, ``validation`` the next. They
    are of everyday words, four in the mean, and most nouns come once: a quarter of the words of ``test`` are not in the vocabulary.

    Args:
        package: ``tuxpaint-stamps-default``, as Debian packs it.
        image_size: they are kept at 96 pixels, or at this size if it is larger; the caller makes them smaller.

    Raises:
        PaperzooError: another package, or a damaged one.
    """
    size = max(SIZE, image_size or SIZE)
    arrays = prepared(f"stamps-captions-{_VERSION}-{sha256(package)[:8]}-{size}", lambda: _prepare(package, size))
    texts = [str(caption) for caption in arrays["caption"]]
    share = np.array([share_of(" ".join(tokenise(text))) for text in texts])
    place = {"train": share >= 0.2, "validation": (share >= 0.1) & (share < 0.2), "test": share < 0.1}
    chosen = {split: np.flatnonzero(place[split]) for split in SPLITS}
    if empty := [split for split, items in chosen.items() if not len(items)]:
        raise PaperzooError(f"{package} has no stamps with captions for {empty[0]}: another version of it")
    words = Words(learn(texts[i] for i in chosen["train"]))
    columns = {split: Captions([(texts[i],) for i in items], words) for split, items in chosen.items()}
    splits = {s: Split(Images(torch.from_numpy(arrays["image"][items])), columns[s]) for s, items in chosen.items()}
    longest = max(column.longest for column in columns.values())
    examples = columns["train"].examples
    arguments = {"channels": 3, "image_size": size, "vocabulary": words.vocabulary, "longest": longest, "examples": examples}
    schema = Schema("stamps-captions", ("image", "captions", "texts"), arguments)
    return Dataset(schema, splits, TUXPAINT.licence, f"stamps of Tux Paint and their captions, from {package.name}", pictures=False)


def _prepare(package: Path, size: int) -> dict[str, np.ndarray]:
    """``image`` (N, C, H, W) and ``caption`` of every picture that has one, in the order of their names."""
    pictures, captions = {}, {}
    for name, data in deb_files(package, FOLDER):
        stem, _, ending = name.rpartition(".")
        if ending == "png":
            pictures[stem] = data
        elif ending == "txt":
            captions[stem] = decode(data.partition(b"\n")[0], f"{name} in {package.name}").strip()  # other languages follow
    names = sorted(name for name in pictures if tokenise(captions.get(name, "")))
    if not names:
        raise PaperzooError(f"{package} has no stamp with a caption: another package, or another version of it")
    image = np.empty((len(names), 3, size, size), np.uint8)
    for into, name in zip(image, names, strict=True):
        try:
            into[:] = square(pictures[name], size)
        except (OSError, ValueError, SyntaxError) as error:
            raise PaperzooError(f"{name}.png in {package} is damaged: {error}") from error
    return {"image": image, "caption": np.array([captions[name] for name in names])}
