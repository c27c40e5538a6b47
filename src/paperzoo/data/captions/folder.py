"""Pictures in a folder with a file of their captions: the user's own, and published sets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from paperzoo.data.captions.columns import Captions
from paperzoo.data.captions.readers import Told, find
from paperzoo.data.captions.words import Words, learn, tokenise
from paperzoo.data.dataset import Column, Dataset, Images, Schema, Split
from paperzoo.data.images import folders
from paperzoo.data.images.folders import ImageFiles, complain_unread, is_grey, read_all, size_of
from paperzoo.data.listing import Item, Skipped, complain, copies, cut, pictures_in, say_copies, some
from paperzoo.data.options import options
from paperzoo.data.paths import names_in
from paperzoo.data.pictures import Preparation, as_channels
from paperzoo.errors import PaperzooError
from paperzoo.terminal import plain

#: what follows ``captions:PATH#``
OPTIONS = {
    "captions": "the file with the captions, where there are several",
    "least": "how often a word occurs in captions to train on to be in the vocabulary, 1 by default",
    "longest": "most words in a caption, 50 by default; longer ones are left out",
}
LEAST, LONGEST = 1, 50

#: of published sets: how often a word must occur (Vinyals et al. 2014, section 4.3.1), and the pictures' side
PUBLISHED_LEAST, PUBLISHED_SIZE = 5, 224


def caption_folder(
    path: Path, text: str = "", image_size: int | None = None, channels: int | None = None, strict: bool = False
) -> Dataset:
    """Pictures anywhere below a folder with a file of captions in it: ``image``, ``captions`` (N, K, T) and ``texts``.

    The file is found by its name, see ``readers.find``; it names each picture by its file's name, or by the end of its path. A column or
    key ``split`` says ``train``, ``validation`` or ``test``; a split that is missing is cut from ``train`` as those of ``folder:``, by
    picture, so that no picture's captions part, and equal files stay together. The vocabulary is that of the captions to train on.

    Pictures without a caption, pictures that captions name and that are not there, and captions of more than ``longest`` words are left
    out with a warning.

    Args:
        text: options, see ``OPTIONS``.
        image_size: height and width. Default: 64.
        channels: 1 or 3. Default: 3, or 1 if all pictures are grey.
        strict: refuse what would be left out.

    Raises:
        PaperzooError: no file of captions or several, one of another layout, or nothing left to read.
    """
    chosen = options(text, OPTIONS, plain(path.name), {"least": 1, "longest": 1})
    least, longest = int(chosen.get("least", LEAST)), int(chosen.get("longest", LONGEST))
    annotations = find(path, chosen.get("captions", ""))
    return _built(path, f"captions:{path}", annotations, size_of(image_size, channels), channels, least, longest, strict, "the user's own")


def published(path: Path, kind: str, licence: str, image_size: int | None = None) -> Dataset:
    """Flickr's, COCO's, or the birds' or flowers' captions, in their published splits: ``image``, ``captions`` (N, K, T) and ``texts``.

    Words that occur fewer than five times in captions to train on are not in the vocabulary. What is left out is said, as of
    ``caption_folder``. Of Flickr30k, which has no splits of its own, a tenth each is cut for ``test`` and ``validation``, unless
    Karpathy's ``dataset_flickr30k.json`` lies there.

    Args:
        path: the folder with the pictures, at any depth, and the file of captions.
        kind: what the set is called.
        image_size: height and width. Default: 224.

    Raises:
        PaperzooError: a file is missing, or has another layout.
    """
    annotations = find(path)
    return _built(path, kind, annotations, image_size or PUBLISHED_SIZE, 3, PUBLISHED_LEAST, LONGEST, False, licence)


def _built(
    root: Path, name: str, annotations: Told, size: int, channels: int | None, least: int, longest: int, strict: bool,
    licence: str,
) -> Dataset:  # fmt: skip
    skipped = Skipped(list)
    row_of = _pictures(root, annotations, skipped)
    texts = _short(root, annotations, row_of, longest, skipped)
    complain(root, skipped, strict, stacklevel=4)
    lazy = len(texts) * 3 * size**2 > folders.LARGE
    read, bad = ({}, {}) if lazy else read_all(list(texts), size)
    if bad:
        complain_unread(root, bad, len(texts), strict)
    files: dict[str, list[Item]] = defaultdict(list)
    for file in texts:
        if file not in bad:
            files[annotations.split.get(row_of[file], "train")].append((file, 0))
    groups = copies(file for items in files.values() for file, _ in items)
    splits = cut(files, root, groups, "pictures")
    say_copies(files, groups, root, stacklevel=4)
    depth = channels or (1 if read and all(map(is_grey, read.values())) else 3)
    words = Words(learn((text for file, _ in splits["train"] for text in texts[file]), least))
    built, most = {}, 0
    examples: tuple[str, ...] = ()
    for split, items in splits.items():
        chosen = [file for file, _ in items]
        pixels = [as_channels(read[file], depth) for file in chosen] if read else []
        image: Column = Images(torch.from_numpy(np.stack(pixels))) if pixels else ImageFiles(chosen, size, size, depth)
        captions = Captions([texts[file] for file in chosen], words)
        built[split], most = Split(image, captions), max(most, captions.longest)
        if split == "train":
            examples = captions.examples
    arguments = {"channels": depth, "image_size": size, "vocabulary": words.vocabulary, "longest": most, "examples": examples}
    schema = Schema(name, ("image", "captions", "texts"), arguments, picture=Preparation(size, size, depth))
    return Dataset(schema, built, licence, f"pictures in {root}", pictures=False)


def _pictures(root: Path, annotations: Told, skipped: Skipped) -> dict[Path, str]:
    """Each picture that captions name, in the order in which they do; and what they call it."""
    by_name: dict[str, list[Path]] = defaultdict(list)
    files = pictures_in(root, True, skipped)
    for file in files:
        by_name[file.name].append(file)
    row_of: dict[Path, str] = {}
    for row in annotations.captions:
        same = by_name.get(PurePosixPath(row).name, [])
        below = {file: f"/{file.relative_to(root).as_posix()}" for file in same}
        fits = [file for file in same if below[file] == f"/{row}"] or [file for file in same if below[file].endswith(f"/{row}")]
        if len(fits) > 1:
            places = some([f.relative_to(root).as_posix() for f in fits])
            raise PaperzooError(f"{plain(root)} has {len(fits)} pictures called {plain(row)} ({places}): write their paths to the captions")
        if not fits:
            skipped["pictures that captions name and that are not there"].append(root / row)
        elif annotations.split.get(row) == "":
            skipped["pictures in none of the lists of splits"].append(fits[0])
        elif fits[0] in row_of:
            both = f"{plain(row_of[fits[0]])} and {plain(row)}"
            raise PaperzooError(f"{plain(root)}: the captions name {plain(below[fits[0]][1:])} in two ways, {both}")
        else:
            row_of[fits[0]] = row
    left = set(skipped["pictures in none of the lists of splits"])
    skipped["pictures without a caption"] += [file for file in files if file not in row_of and file not in left]
    if not row_of:
        first = plain(next(iter(annotations.captions)))
        raise PaperzooError(f"no caption in {plain(root)} is of a picture below it: the first is of {first}; it has: {names_in(root)}")
    return row_of


def _short(root: Path, annotations: Told, row_of: Mapping[Path, str], longest: int, skipped: Skipped) -> dict[Path, tuple[str, ...]]:
    """The captions of each picture that has some, but for those that are too long, or of no words."""
    texts = {}
    for file, row in row_of.items():
        lengths = [(caption, len(tokenise(caption))) for caption in annotations.captions[row]]
        kept = tuple(caption for caption, length in lengths if 0 < length <= longest)
        skipped[f"captions of more than {longest} words"] += [file for _, length in lengths if length > longest]
        if kept:
            texts[file] = kept
        elif not any(length > longest for _, length in lengths):
            skipped["pictures without a caption"].append(file)
    if not texts:
        raise PaperzooError(f"{plain(root)} has no caption of 1 to {longest} words")
    return texts
