"""easy-VQA: what is withheld is withheld, splits are by picture, words and answers come from training."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from paperzoo import PaperzooError
from paperzoo.data import Dataset, Images
from paperzoo.data.captions.words import SPECIAL, UNKNOWN
from paperzoo.data.questions.columns import Shown, unseen
from paperzoo.data.questions.easy import COLOURS, SHAPES, WITHHELD, easy_vqa, shown

PAIRS = [(shape, colour) for shape in SHAPES for colour in COLOURS]


def wheel(path: Path, train: int = 96, test: int = 48, **changes: bytes) -> Path:
    """A package of the form of easy-vqa; picture i shows pair i % 24, and its brightness is i. The last of each part tells no shape."""
    with zipfile.ZipFile(path, "w") as archive:
        for part, count in (("train", train), ("test", test)):
            rows = []
            for i in range(count):
                shape, colour = PAIRS[i % 24]
                other, another = SHAPES[(i + 1) % 3], COLOURS[(COLOURS.index(colour) + 1) % 8]
                asked = [["what color is the shape?", colour, i], [f"is there not a {another} shape?", "yes", i]]
                if i < count - 1:
                    asked += [[f"what is the {colour} shape?", shape, i], [f"is a {other} present?", "yes" if other == shape else "no", i]]
                rows += asked
                out = io.BytesIO()
                Image.new("RGB", (64, 64), (i, 0, 255)).save(out, "PNG")
                archive.writestr(f"easy_vqa/data/{part}/images/{i}.png", out.getvalue())
            if part == "test":
                rows.append(["is there a zebra?", "no", 0])
            archive.writestr(f"easy_vqa/data/{part}/questions.json", json.dumps(rows))
        for name, content in changes.items():
            archive.writestr(name.replace("__", "/").replace("_json", ".json"), content)
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    return tmp_path


def numbers(built: Dataset, split: str) -> set[int]:
    """The pictures of a split, by their red."""
    return {round(float(x) * 255) for x in built[split].batch(range(len(built[split]))).image[:, 0, 0, 0]}


def test_splits_are_by_picture_and_each_question_has_its_own(here: Path) -> None:
    built = easy_vqa(wheel(here / "w.whl"))
    assert numbers(built, "validation") == set(range(0, 96, 10)) and numbers(built, "train") == set(range(96)) - set(range(0, 96, 10))
    assert numbers(built, "test") == set(range(48))
    batch = built["train"].batch(range(len(built["train"])))
    for image, (text,), (answer,), kind, label in zip(batch.image, batch.texts, batch.answers, batch.kind, batch.label, strict=True):
        shape, colour = PAIRS[round(float(image[0, 0, 0]) * 255) % 24]
        assert float(image[2].min()) == 1.0 and built.schema.names[int(label)] == answer
        if text.startswith("what"):
            assert (answer, kind) == ((colour, "color") if "color" in text else (shape, "shape"))
        else:
            assert kind == "yes/no"


def test_words_and_answers_are_those_of_training(here: Path) -> None:
    built = easy_vqa(wheel(here / "w.whl"))
    words = built.schema.arguments["vocabulary"]
    assert words[:4] == SPECIAL and "zebra" not in words and {*SHAPES, *COLOURS, "yes", "no"} == set(built.schema.names)
    assert built.schema.arguments["classes"] == len(built.schema.names) == 13
    last = built["test"].batch([len(built["test"]) - 1])
    assert last.texts == [("is there a zebra?",)] and last.question[0].tolist()[-1] == UNKNOWN and int(last.length) == 4
    asked = built["test"].batch([0]).question[0].tolist()
    assert [words[n] for n in asked] == ["what", "color", "is", "the", "shape"]


def test_pairs_that_are_withheld_are_in_the_test_alone(here: Path) -> None:
    assert len(WITHHELD) == 6 and len({c for _, c in WITHHELD}) == 6
    assert all(sum(s == shape for s, _ in WITHHELD) == 2 for shape in SHAPES)
    built = easy_vqa(wheel(here / "w.whl"), withheld=True)
    kept = {i for i in range(96) if PAIRS[i % 24] not in WITHHELD}
    # of the last picture the shape is not told: its colour, yellow, may be that of a triangle, which is withheld
    assert PAIRS[95 % 24][1] == "yellow" and PAIRS[95 % 24] in WITHHELD
    assert numbers(built, "train") | numbers(built, "validation") == kept - {95}
    assert numbers(built, "test") == {i for i in range(47) if PAIRS[i % 24] in WITHHELD}


def test_what_a_picture_may_show_is_read_off_all_its_answers() -> None:
    from paperzoo.data.questions.building import Question

    def of(*asked: tuple[str, str]) -> set[tuple[str, str]]:
        sort = lambda a: "yes/no" if a in ("yes", "no") else "shape"  # noqa: E731
        return shown([Question(0, text, answer, (answer,), sort(answer)) for text, answer in asked], 1)[0]

    assert of(("what color is the circle?", "red")) == {("circle", "red")}
    by_exclusion = of(("is there not a circle?", "yes"), ("is no rectangle present?", "yes"), ("is a red shape present?", "yes"))
    assert by_exclusion == {("triangle", "red")}
    assert of(("is there not a circle?", "no"), ("what color is the shape?", "teal")) == {("circle", "teal")}
    assert len(of(("is there a circle?", "no"))) == 16


def test_pictures_are_kept_once(here: Path) -> None:
    built = easy_vqa(wheel(here / "w.whl"))
    column = built["train"].columns[0]
    assert isinstance(column, Shown) and len(column.pictures) == 96 < len(column)
    joined = built.joined("train+test")
    assert np.allclose(joined.batch([len(built["train"])]).image, built["test"].batch([0]).image)
    assert joined.batch([len(joined) - 1]).texts == [("is there a zebra?",)]
    black, white = (Images(torch.full((2, 3, 4, 4), level, dtype=torch.uint8)) for level in (0, 255))
    both = Shown(black, np.array([1, 0, 1])).join(Shown(white, np.array([1, 0])))
    assert both.take(np.arange(5))["image"].mean((1, 2, 3)).tolist() == [0, 0, 0, 1, 1]
    some = Shown(column.pictures, column.which).some(np.array([5, 3]))
    assert np.allclose(some.take(np.array([0]))["image"], column.take(np.array([5]))["image"])
    assert "image" not in vars(unseen(built["train"])) and len(unseen(built["train"])) == len(built["train"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"easy_vqa__data__train__questions_json": b'{"a": 1}'}, "train/questions.json is no list of question, answer and picture"),
        ({"easy_vqa__data__test__questions_json": b'[["is it?", "yes", 48]]'}, "asks about a picture that is not among the 48"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_another_package_is_named(here: Path, changes: dict[str, bytes], said: str) -> None:
    with pytest.raises(PaperzooError, match=said):
        easy_vqa(wheel(here / "w.whl", **changes))
    (here / "no.whl").write_bytes(b"PK")
    with pytest.raises(PaperzooError, match=r"no\.whl is no sound package of easy-VQA"):
        easy_vqa(here / "no.whl")
