"""Answering questions: what is measured, what a user may ask, and what is said of words that are not known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.files import type_in
from torch import Tensor, nn

import paperzoo
from paperzoo import PaperzooError
from paperzoo.data import Dataset, Images
from paperzoo.data.captions.words import SPECIAL, UNKNOWN
from paperzoo.data.questions.building import Question, build
from paperzoo.tasks.options import options
from paperzoo.tasks.questions import Answerer, QuestionAnswering, Reply
from paperzoo.tasks.questions.measure import accuracies, outputs, priors

TEN = ("two",) * 3 + ("three",) * 6 + ("many",)


def made(test: list[Question] | None = None) -> Dataset:
    """Three grey pictures, of brightness 0, 100 and 200 of 255."""
    pixels = torch.full((3, 3, 16, 16), 0, dtype=torch.uint8) + (100 * torch.arange(3, dtype=torch.uint8))[:, None, None, None]
    train = [
        Question(0, "is it dark?", "yes", ("yes",), "yes/no"),
        Question(1, "is it dark?", "no", ("no",), "yes/no"),
        Question(2, "is it dark?", "no", ("no",), "yes/no"),
        Question(2, "how many colors are there?", "3", TEN, "number"),
    ]
    held = test or [
        Question(0, "is it dark?", "yes", ("yes",), "yes/no"),
        Question(1, "is it dark?", "yes", ("yes",), "yes/no"),
        Question(2, "how many colors are there?", "3", TEN, "number"),
        Question(2, "how many hats are there?", "seven", ("seven",) * 10, "number"),
    ]
    own = {"train": train, "test": held}
    return build("made", {split: Images(pixels) for split in own}, own, 16, "", "")


class Fixed(Answerer):
    """Says ``yes`` to dark pictures, ``3`` to questions that begin with how, else ``no``."""

    def __init__(self, data: Dataset) -> None:
        super().__init__(data.schema.arguments["vocabulary"], len(data.schema.names), 3, 16)
        self.names, self.unused = data.schema.names, nn.Parameter(torch.zeros(()))
        self.seen: list[tuple[Any, ...]] = []

    def forward(self, image: Tensor, question: Tensor, length: Tensor) -> Tensor:
        self.seen.append((image, question, length, self.training))
        how = question[:, 0] == self.vocabulary.index("how")
        said = torch.where(how, self.names.index("3"), self.names.index("no"))
        said = torch.where(~how & (image.mean((1, 2, 3)) < 0.2), self.names.index("yes"), said)
        return 3.0 * torch.nn.functional.one_hot(said, len(self.names)) + self.unused


def test_accuracy_over_all_and_by_kind_by_hand() -> None:
    data = made()
    assert data.schema.names == ("no", "3", "yes")
    found = accuracies(Fixed(data), data, "test")
    # yes/no: right, wrong; number: six of ten say three, none says 3 for hats
    assert found["accuracy %"] == pytest.approx(100 * 2 / 4)
    assert found["accuracy % (yes/no)"] == pytest.approx(50) and found["accuracy % (number)"] == pytest.approx(50)
    # without looking: "no" to all is right for none; of the kind, "no" and "3"
    assert found["commonest answer %"] == 0 and found["commonest answer of the kind %"] == pytest.approx(25)
    # the unknown answer has no loss
    likely = -np.log(np.exp(3) / (np.exp(3) + 2))
    assert found["loss"] == pytest.approx((2 * likely + likely + 3) / 3, abs=1e-5)


def test_three_of_ten_are_nine_tenths() -> None:
    data = made([Question(2, "how many colors are there?", "2", ("3",) * 3 + tuple("abcdefg"), "number")])
    assert accuracies(Fixed(data), data, "test")["accuracy %"] == pytest.approx(90)


def test_priors_are_those_of_training() -> None:
    everywhere, by_kind = priors(made([Question(0, "is it dark?", "yes", ("yes",), "yes/no")] * 9))
    assert (everywhere, by_kind) == ("no", {"yes/no": "no", "number": "3"})


def test_parts_are_put_together_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made()
    whole = outputs(Fixed(data), data, "test")
    monkeypatch.setattr("paperzoo.tasks.questions.measure.PART", 3)
    parts = outputs(Fixed(data), data, "test")
    assert torch.equal(whole.logits, parts.logits) and whole.label.tolist() == [2, 2, 1, -1] == parts.label.tolist()
    assert whole.answers == parts.answers and whole.kind == parts.kind == ["yes/no"] * 2 + ["number"] * 2


def dark() -> np.ndarray:
    return np.zeros((16, 16, 3), np.uint8)


def test_a_reply_has_the_likeliest_answers() -> None:
    model = Fixed(made()).train()
    reply = model.predict(dark(), "Is it DARK?")
    assert isinstance(reply, Reply) and reply.answer == "yes" and reply.best[0] == ("yes", reply.probability) and reply.unknown == ()
    assert [name for name, _ in reply.best] == ["yes", "no", "3"] and sum(p for _, p in reply.best) == pytest.approx(1)
    assert sum(reply.probabilities) == pytest.approx(1) and str(reply).startswith("yes (90.9%), no (4.5%)")
    image, question, length, training = model.seen[-1]
    assert image.shape == (1, 3, 16, 16) and [model.vocabulary[i] for i in question[0]] == ["is", "it", "dark"] and length.tolist() == [3]
    assert not training and model.training
    assert [r.answer for r in model.predict([dark(), dark() + 200], "is it dark?")] == ["yes", "no"]


def test_at_most_five_answers_are_listed() -> None:
    own = [Question(0, "is it?", str(i), (str(i),), "number") for i in range(8)]
    data = build("made", dict.fromkeys(("train",), Images(torch.zeros(1, 3, 16, 16, dtype=torch.uint8))), {"train": own}, 16, "", "")

    class Eight(Answerer):
        def __init__(self) -> None:
            super().__init__(data.schema.arguments["vocabulary"], 8, 3, 16)
            self.order = nn.Parameter(torch.arange(8.0))

        def forward(self, image: Tensor, question: Tensor, length: Tensor) -> Tensor:
            return self.order.expand(len(image), -1)

    reply = Eight().predict(dark(), "is it?")
    assert [name for name, _ in reply.best] == ["7", "6", "5", "4", "3"] and len(reply.probabilities) == 8


def test_words_that_are_not_known_are_named_with_the_nearest() -> None:
    model = Fixed(made())
    reply = model.predict(dark(), "how many colours are zyzzyva colours?")
    assert reply.unknown == (("colours", "colors"), ("zyzzyva", "")) and reply.answer == "3"
    assert "does not know 'colours' (nearest: colors), 'zyzzyva': the answer may mean little" in str(reply)
    assert [int(i) for i in model.seen[-1][1][0]].count(UNKNOWN) == 3


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("", "the question '' has no word: ask something, as in --prompt"),
        ("  ?! ", "has no word: ask something"),
        ("colours zyzzyva", r"no word of the question 'colours zyzzyva' is known.*'colours' \(nearest: colors\), 'zyzzyva'; it knows "),
    ],
)
def test_a_question_without_words_or_with_none_that_is_known(question: str, said: str) -> None:
    with pytest.raises(PaperzooError, match=said):
        Fixed(made()).predict(dark(), question)


def test_a_vocabulary_that_begins_otherwise_is_refused() -> None:
    with pytest.raises(PaperzooError, match="begins with <pad>, <start>, <end>, <unknown>, not with is"):
        Answerer(("is", "it"), 2, 3, 16)
    with pytest.raises(PaperzooError, match="the word 'it' twice"):
        Answerer((*SPECIAL, "it", "it"), 2, 3, 16)


def test_pictures_are_drawn_whatever_is_right(tmp_path: Path) -> None:
    data = made()
    paths = QuestionAnswering().show(Fixed(data), data, "test", tmp_path, "x")
    assert [p.name for p in paths] == ["x-answers.png", "x-kinds.png"] and all(p.stat().st_size > 2000 for p in paths)
    right = made([Question(0, "is it dark?", "yes", ("yes",), "yes/no")])
    assert all(p.is_file() for p in QuestionAnswering().show(Fixed(right), right, "test", tmp_path, "y")), "nothing is wrong"


def test_the_command_line_asks(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run = paperzoo.train("vqa", "smoke", out=tmp_path / "runs", overrides={"steps": 3})
    assert list(options(run.model.predict)) == ["prompt"] and "question" in options(run.model.predict)["prompt"].about
    from PIL import Image

    Image.new("RGB", (40, 40), "white").save(tmp_path / "white.png")
    here = {"capsys": capsys, "monkeypatch": monkeypatch}
    source, picture = str(run.directory), str(tmp_path / "white.png")
    code, out, _ = type_in("predict", source, picture, "--prompt", "how many things are there?", **here)
    assert code == 0 and out.count("%") == 5
    code, out, _ = type_in("predict", source, picture, "--prompt", "how many thingz are there?", **here)
    assert code == 0 and "'thingz' (nearest: things)" in out
    code, _, said = type_in("predict", source, picture, **here)
    assert code == 2 and "has no word: ask something" in said
    code, _, said = type_in("predict", source, str(tmp_path / "none.png"), "--prompt", "is there a circle?", **here)
    assert code == 2 and "there is no image" in said
