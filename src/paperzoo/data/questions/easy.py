"""easy-VQA (Victor Zhou, 2019): a shape of one of eight colours in each picture of 64x64 pixels, and questions about it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import torch
from PIL import Image

from paperzoo.data.dataset import Dataset, Images
from paperzoo.data.fetch.prepared import prepared
from paperzoo.data.questions.building import Question, build
from paperzoo.errors import PaperzooError

SHAPES = ("circle", "rectangle", "triangle")
COLOURS = ("black", "blue", "brown", "gray", "green", "red", "teal", "yellow")
#: pairs that ``easy-vqa-withheld`` has in its test split alone: of each shape two colours, of six colours one shape
WITHHELD = frozenset(
    {("circle", "green"), ("circle", "brown"), ("rectangle", "red"), ("rectangle", "gray"), ("triangle", "blue"), ("triangle", "yellow")}
)
#: every so many-th picture to train on is for validation
HELD = 10


def easy_vqa(wheel: Path, withheld: bool = False) -> Dataset:
    """``train`` 3,600 pictures, ``validation`` the other 400 of the published training pictures, ``test`` 1,000, as published.

    Args:
        wheel: ``easy_vqa-1.0-py3-none-any.whl``; nothing of it is run.
        withheld: six pairs of shape and colour are only in ``test``, which has nothing else; pictures whose questions leave open whether
            they show such a pair are left out.

    Raises:
        PaperzooError: the wheel holds anything else.
    """
    name = "easy-vqa-withheld" if withheld else "easy-vqa"
    arrays = prepared("easy-vqa-1", lambda: {part: _pixels(wheel, part) for part in ("train", "test")})
    by_part = {part: _questions(wheel, part, len(arrays[part])) for part in ("train", "test")}
    pictures = {part: Images(torch.from_numpy(np.array(array))) for part, array in arrays.items()}
    if withheld:
        pairs = {part: shown(of_part, len(arrays[part])) for part, of_part in by_part.items()}
        by_part["train"] = [q for q in by_part["train"] if not pairs["train"][q.picture] & WITHHELD]
        by_part["test"] = [q for q in by_part["test"] if pairs["test"][q.picture] <= WITHHELD]
    splits = {
        "train": [q for q in by_part["train"] if q.picture % HELD],
        "validation": [q for q in by_part["train"] if not q.picture % HELD],
        "test": by_part["test"],
    }
    shared = {"train": pictures["train"], "validation": pictures["train"], "test": pictures["test"]}
    return build(name, shared, splits, 64, "MIT (easy-VQA, Victor Zhou)", "the package easy-vqa 1.0")


def kind(text: str, answer: str) -> str:
    """``shape``, ``color`` or ``yes/no``, by the answer."""
    return "shape" if answer in SHAPES else "color" if answer in COLOURS else "yes/no"


def shown(questions: Sequence[Question], pictures: int) -> list[set[tuple[str, str]]]:
    """The pairs of shape and colour that each picture may show, by all that is asked about it and answered: mostly one pair."""
    left = [[set(SHAPES), set(COLOURS)] for _ in range(pictures)]
    for question in questions:
        words = set(re.findall(r"\w+", question.text))
        for sort, names in enumerate((SHAPES, COLOURS)):
            possible, named = left[question.picture], words & set(names)
            if question.answer in names:
                possible[sort] &= {question.answer}
            elif named and question.kind != "yes/no":  # "what color is the circle?" has a circle in its picture
                possible[sort] &= named
            elif named:
                holds = (question.answer == "yes") != bool(words & {"not", "no"})
                possible[sort] = possible[sort] & named if holds else possible[sort] - named
    return [{(shape, colour) for shape in shapes for colour in colours} for shapes, colours in left]


def _pixels(wheel: Path, part: str) -> np.ndarray:
    """uint8 (N, 3, 64, 64)."""
    with _opened(wheel) as archive:
        names = [n for n in archive.namelist() if re.fullmatch(rf"easy_vqa/data/{part}/images/\d+\.png", n)]
        pixels = np.empty((len(names), 3, 64, 64), np.uint8)
        for number, into in enumerate(pixels):
            try:
                with Image.open(io.BytesIO(archive.read(f"easy_vqa/data/{part}/images/{number}.png")), formats=("PNG",)) as image:
                    into[:] = np.asarray(image.convert("RGB")).transpose(2, 0, 1)  # (H, W, C) -> (C, H, W)
            except (KeyError, OSError, ValueError) as error:
                raise PaperzooError(f"{wheel}: picture {number} of {part} is not there, or is none of 64x64 pixels: {error}") from error
    if not len(pixels):
        raise PaperzooError(f"{wheel} has no pictures of easy-VQA for {part}")
    return pixels


def _questions(wheel: Path, part: str, pictures: int) -> list[Question]:
    member = f"easy_vqa/data/{part}/questions.json"
    with _opened(wheel) as archive:
        try:
            rows: Any = json.loads(archive.read(member))
            questions = [
                Question(int(picture), str(text), str(answer), (str(answer),), kind(text, answer))
                for text, answer, picture in rows
            ]
        except (KeyError, ValueError, TypeError) as error:
            raise PaperzooError(f"{wheel}: {member} is no list of question, answer and picture: {error}") from error
    if any(not 0 <= q.picture < pictures for q in questions):
        raise PaperzooError(f"{wheel}: {member} asks about a picture that is not among the {pictures}")
    return questions


def _opened(wheel: Path) -> ZipFile:
    try:
        return ZipFile(wheel)
    except (OSError, BadZipFile) as error:
        raise PaperzooError(f"{wheel} is no sound package of easy-VQA: {error}") from error
