"""Sentences of cartoon faces: all that they say is true, what they leave out is marked, and no face is in two splits."""

from __future__ import annotations

import re
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

import paperzoo
from paperzoo import PaperzooError
from paperzoo.data.captions import avatars
from paperzoo.data.captions.avatars import ATTRIBUTES, NAMES, SENTENCES, describe, sentence, tell
from paperzoo.data.captions.words import SPECIAL
from paperzoo.data.images.avatars import choose

# by words of this file's own: what is said of colour, length, glasses, beard and skin, and what that means
COLOURS = {
    "black hair": r"(black|jet-black|raven) hair", "brown hair": r"(?<!deep )(brown|chestnut|brunette) hair",
    "blonde hair": r"(blonde|blond|golden) hair", "red hair": r"(red|ginger|copper) hair",
}  # fmt: skip
LENGTH = {1: r"\b(long|flowing)\b", 0: r"\b(short|cropped)\b"}
SKIN = {1: r"(dark|deep brown|tanned) skin|dark-skinned", 0: r"(light|fair|pale) skin|light-skinned|\bpale\b"}


def understood(text: str) -> dict[str, int]:
    """What a sentence says, attribute by attribute."""
    said: dict[str, int] = {}
    positive, _, negative = text.replace(" but no ", " without ").partition(" without ")
    found = [name for name, pattern in COLOURS.items() if re.search(pattern, positive)]
    said |= {other: int(other in found) for other in COLOURS} if found else {}
    for name, patterns in (("long hair", LENGTH), ("dark skin", SKIN)):
        for value in (value for value, pattern in patterns.items() if re.search(pattern, positive)):
            said[name] = value
    for part, value in ((positive, 1), (negative, 0)):
        if re.search("glasses|spectacles", part):
            said["glasses"] = value
        if re.search(r"\bbeard\b", part):
            said["beard"] = value
    if re.search(r"\bbearded\b", positive):
        said["beard"] = 1
    if re.search("clean-shaven|beardless", positive):
        said["beard"] = 0
    return said


def test_every_sentence_is_true_and_names_what_is_marked() -> None:
    attributes, _ = describe(choose(300, 5, avatars._PARTS))
    forms, counts = set(), np.zeros(len(ATTRIBUTES))
    for number, row in enumerate(attributes):
        texts, named = tell(row, np.random.default_rng(number))
        assert len(texts) == len(set(texts)) == SENTENCES and named.shape == (SENTENCES, len(ATTRIBUTES))
        for text, marks in zip(texts, named, strict=True):
            said = understood(text)
            assert {ATTRIBUTES[k] for k in np.flatnonzero(marks)} == said.keys(), text
            assert all(row[ATTRIBUTES.index(name)] == value for name, value in said.items()), text
            forms.add(text.split()[0] + text.split()[-1])
            counts += marks
    assert np.allclose(counts / (300 * SENTENCES), 0.8, atol=0.04) and len(forms) > 20


def test_the_page_says_every_word_that_names_something() -> None:
    page = (Path(__file__).parents[3] / "docs" / "captions.md").read_text("utf-8")
    page = page.partition("can name")[2].partition("Other things vary")[0]
    names = {name for name in vars(avatars) if name in ("_COLOURS", "_LENGTHS", "_GLASSES", "_BEARDS", "_SKINS", "_ADJECTIVES")}
    assert len(names) == 6

    def words(found: object) -> set[str]:
        inner = found.values() if isinstance(found, dict) else found
        return {found} if isinstance(found, str) else set().union(*(words(one) for one in inner))  # type: ignore[attr-defined]

    for word in words([vars(avatars)[name] for name in names]):
        assert re.search(rf"\b{word}\b", page), word


def test_a_sentence_can_say_a_single_thing() -> None:
    row = np.array([0, 0, 0, 1, 0, 0, 1, 0], np.float32)
    for k, expected in enumerate([{*COLOURS}, {"long hair"}, {"glasses"}, {"beard"}, {"dark skin"}]):
        for seed in range(20):
            text = sentence(row, np.arange(5) == k, np.random.default_rng(seed))
            assert understood(text).keys() == expected and "  " not in text and text == text.strip()


def test_labels_are_called_after_attributes() -> None:
    attributes, label = describe(choose(500, 1, avatars._PARTS))
    for row, number in zip(attributes, label.tolist(), strict=True):
        assert NAMES[number] == ", ".join(name for name, has in zip(ATTRIBUTES, row, strict=True) if has)
    assert len(set(NAMES)) == 64 and abs(attributes[:, 4:].mean() - 0.5) < 0.05


def test_a_wheel_that_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "data"))
    with ZipFile(tmp_path / "python_avatars.whl", "w") as archive:
        archive.writestr("nothing", "")
    with pytest.raises(PaperzooError, match="does not hold the drawings"):
        avatars.avatar_sentences(tmp_path / "python_avatars.whl", counts=(2, 1, 1))


def test_splits_share_no_face_and_fields_belong_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (40, 3, 64, 64)).astype(np.uint8)
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(avatars, "draw", lambda wheel, parts, size, choices: {"image": pictures, "parts": parts})
    data = avatars.avatar_sentences(tmp_path / "none.whl", counts=(30, 6, 4))
    assert [len(data[split]) for split in avatars.SPLITS] == [30, 6, 4]
    parts = choose(40, 0, avatars._PARTS)
    assert len(np.unique(parts, axis=0)) == 40
    attributes, label = describe(parts)
    for split, start in (("train", 0), ("validation", 30), ("test", 36)):
        batch = data[split].batch([1, 0])
        assert np.array_equal(batch.attributes.numpy(), attributes[[start + 1, start]])
        assert batch.label.tolist() == label[[start + 1, start]].tolist()
        assert np.allclose(batch.image.numpy(), pictures[[start + 1, start]] / 255)
        assert batch.captions.shape[:2] == (2, SENTENCES) and batch.named.shape == (2, SENTENCES, len(ATTRIBUTES))
        for texts, marks in zip(batch.texts, batch.named.numpy(), strict=True):
            assert [understood(text).keys() for text in texts] == [{ATTRIBUTES[k] for k in np.flatnonzero(row)} for row in marks]
    arguments = data.schema.arguments
    assert arguments["vocabulary"][:4] == SPECIAL and arguments["attributes"] == ATTRIBUTES and arguments["longest"] >= 10


def test_shapes_have_sentences_without_a_download() -> None:
    data = paperzoo.dataset("shapes-sentences")
    batch = data["train"].batch(np.arange(50))
    for attributes, texts in zip(batch.attributes.tolist(), batch.texts, strict=True):
        for text in texts:
            colour = next(word for word in text.split() if word in ("red", "green", "blue", "yellow"))
            assert data.schema.arguments["attributes"][attributes.index(1)] == f"{colour} shape"
            assert bool(attributes[4]) == bool(re.search("hollow|open", text)) != bool(re.search("full|solid", text))
