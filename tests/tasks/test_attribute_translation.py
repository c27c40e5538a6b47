"""Changing attributes: what is asked for, what a judge sees of it, the table of pictures, and how a user asks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.files import type_in
from PIL import Image
from torch import Tensor, nn

import paperzoo
from paperzoo import PaperzooError
from paperzoo.data import Dataset, Images, Schema, Split, Values
from paperzoo.data.images.attributes import exclusive
from paperzoo.tasks.attribute_translation import AttributeTranslation, AttributeTranslator
from paperzoo.tasks.attribute_translation.asking import changes, kinds, one_changed, several_changed, together

NAMES = ("smile", "black hair", "glasses", "blonde hair", "red hair", "beard")
COLOURS = [1, 3, 4]


def described(items: int) -> Tensor:
    has = torch.zeros(items, 6)
    has[torch.arange(items), torch.tensor(COLOURS)[torch.arange(items) % 3]] = 1
    for bit, column in enumerate((0, 2, 5)):
        has[:, column] = (torch.arange(items) // 3 >> bit) % 2
    return has


def paint(has: Tensor) -> Tensor:
    """Pictures 24x16 (N, 3, 16, 24) that show their attributes: four columns each, white where they are."""
    return has.repeat_interleave(4, 1)[:, None, None].expand(-1, 3, 16, -1).contiguous()


def look(image: Tensor) -> Tensor:
    return (image.mean((1, 2)).unflatten(1, (6, 4)).mean(2) > 0.5).float()


class Painter(AttributeTranslator):
    """Paints what it is asked for, except for the faults that it is given."""

    multiple, channels, image_size = 1, 3, 16

    def __init__(self, deaf: tuple[int, ...] = (), always: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.unused, self.deaf, self.always = nn.Parameter(torch.zeros(())), list(deaf), list(always)
        self.attributes, self.columns = NAMES, [5, 0, 1, 2, 3, 4]  # the data have theirs in another order
        self.asked: list[Tensor] = []

    def edit(self, image: Tensor, attributes: Tensor) -> Tensor:
        self.asked.append(attributes)
        shown = attributes.clone()
        shown[:, self.deaf] = look(image)[:, self.deaf]
        shown[:, self.always] = 1
        return paint(shown)

    def seen(self, image: Tensor) -> Tensor:
        return look(image)


#: of the judge's classes: what they show, and as labels
CLASSES = [(c, g, b) for c in ("black", "blonde", "red") for g in (0, 1) for b in (0, 1)]


class Sees:
    """Knows colours of the hair, glasses and beards."""

    name = "sees"

    def __init__(self, *others: str) -> None:
        named = [f"{c} hair{', glasses' * g}{', beard' * b}" for c, g, b in CLASSES]
        self.model = type("Named", (), {"names": others or tuple(named)})

    def __call__(self, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
        has = look(images)
        label = 4 * has[:, COLOURS].argmax(1) + 2 * has[:, 2].long() + has[:, 5].long()
        return torch.eye(12)[label].numpy(), has.numpy()


@pytest.fixture(scope="module")
def faces() -> Dataset:
    has = described(48)
    image = Images((paint(has) * 255).to(torch.uint8))
    split = Split(image, Values("attributes", has[:, [1, 2, 3, 4, 5, 0]]))
    arguments = {"channels": 3, "image_size": 16, "attributes": ("black hair", "glasses", "blonde hair", "red hair", "beard", "smile")}
    return Dataset(Schema("faces", ("image", "attributes"), arguments), {"train": split, "test": split}, "", "")


def measured(faces: Dataset, model: AttributeTranslator, judge: object = None) -> dict[str, float]:
    found = model.measure(faces, "test", judge or Sees())
    return {name.removesuffix("[sees]").strip(): value for name, value in found.items()}


# What is asked for -----------------------------------------------------------------------------------------------------


def test_what_a_user_asks_for() -> None:
    assert changes("blonde hair, no glasses", NAMES) == {"blonde hair": 1, "glasses": 0}
    assert changes(" Blonde_Hair ,  NO  glasses", NAMES) == {"blonde hair": 1, "glasses": 0}
    assert changes("eyeglasses", ("Eyeglasses",)) == {"Eyeglasses": 1}
    assert changes("no beard", ("No_Beard",)) == {"No_Beard": 1}  # CelebA has such an attribute
    assert changes("", NAMES) == {} == changes(" , ", NAMES)
    with pytest.raises(PaperzooError, match="unknown attribute 'glases': did you mean glasses"):
        changes("no glases", NAMES)
    with pytest.raises(PaperzooError, match="glasses is to be there and not to be there"):
        changes("glasses, no glasses", NAMES)


def test_attributes_by_what_they_are_about() -> None:
    units = kinds(NAMES)
    assert units == [(0,), (1, 3, 4), (2,), (5,)]
    assert len(together(units)) == 6 + 4 + 1 and together(units)[0] == ((0,), (1, 3, 4))
    assert len(together(kinds([f"trait {k}" for k in range(6)]))) == 15  # of many only pairs


@pytest.mark.parametrize("k", range(6))
def test_one_attribute_is_changed_and_the_colours_stay_one(k: int) -> None:
    before = described(24)
    target = one_changed(before, NAMES, k)
    assert torch.equal(target[:, COLOURS].sum(1), torch.ones(24))
    if k in COLOURS:
        assert target[:, k].all() and torch.equal(target[:, [0, 2, 5]], before[:, [0, 2, 5]])
    else:
        changed = target != before
        assert changed[:, k].all() and changed.sum() == 24


def test_several_are_changed_at_once() -> None:
    before = described(24)
    target = several_changed(before, ((1, 3, 4), (5,)))
    assert torch.equal(target[:, [0, 2]], before[:, [0, 2]]) and torch.equal(target[:, 5], 1 - before[:, 5])
    own, new = before[:, COLOURS].argmax(1), target[:, COLOURS].argmax(1)
    assert (own != new).all() and torch.equal(target[:, COLOURS].sum(1), torch.ones(24))
    assert len(set(zip(own.tolist(), new.tolist(), strict=True))) == 6  # to each other colour


# Scores ----------------------------------------------------------------------------------------------------------------


def test_a_painter_that_does_what_it_is_asked_for(faces: Dataset) -> None:
    found = measured(faces, Painter())
    assert found["there %"] == found["others kept %"] == found["combined there %"] == found["read %"] == 100
    assert {"black hair there %", "glasses there %", "hair and glasses and beard there %"} <= found.keys()
    assert not any("smile" in name for name in found)  # of which the judge knows nothing
    assert found["cycle error"] < 1e-6


def test_one_that_does_not_hear_of_an_attribute(faces: Dataset) -> None:
    found = measured(faces, Painter(deaf=(2,)))
    assert found["glasses there %"] == 0 and found["beard there %"] == found["red hair there %"] == 100
    assert found["there %"] == pytest.approx(80) and found["others kept %"] == 100
    assert found["hair and glasses there %"] == 0 and found["hair and beard there %"] == 100
    assert found["combined there %"] == pytest.approx(25)


def test_one_that_gives_everyone_glasses(faces: Dataset) -> None:
    found = measured(faces, Painter(always=(2,)))
    assert found["glasses there %"] == 50 and found["beard there %"] == 100
    assert found["others kept %"] == pytest.approx((4 * 50 + 100) / 5)  # in all but its own question
    assert found["cycle error"] == pytest.approx(0.5 / 6, abs=1e-3)


def test_hair_of_the_colour_that_is_asked_for_does_not_count(faces: Dataset) -> None:
    found = measured(faces, Painter(deaf=(1, 3, 4)))  # the colour stays as it is
    assert found["black hair there %"] == found["blonde hair there %"] == found["red hair there %"] == 0


def test_without_a_judge_or_by_one_of_other_things_the_cycle_alone(faces: Dataset) -> None:
    assert set(Painter().measure(faces, "test")) == {"cycle error"}
    assert set(measured(faces, Painter(), Sees("cat", "dog"))) == {"cycle error"}


def test_the_data_must_name_their_attributes() -> None:
    task = AttributeTranslation()
    with pytest.raises(PaperzooError, match="needs data with image and attributes"):
        task.check(AttributeTranslator, Schema("mnist", ("image", "label")))
    with pytest.raises(PaperzooError, match="whose attributes have names"):
        task.check(AttributeTranslator, Schema("mine", ("image", "attributes")))


# Pictures and samples --------------------------------------------------------------------------------------------------


def test_the_table_has_a_row_a_face_and_a_column_an_attribute(faces: Dataset, tmp_path: Path) -> None:
    (path,) = Painter().show(faces, "test", tmp_path, "final")
    assert path.name == "final-attributes.png"
    with Image.open(path) as picture:
        array = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1).float() / 255
    assert array.shape == (3, 8 * 18 - 2, (1 + 6 + 11) * 26 - 2)
    before = described(48)[np.linspace(0, 47, 8).astype(int)]
    targets = [before, *(one_changed(before, NAMES, k) for k in range(6)), several_changed(before, ((0,), (1, 3, 4)))]
    for row in range(8):
        for column, target in enumerate(targets):
            cell = array[:, row * 18 : row * 18 + 16, column * 26 : column * 26 + 24]
            assert torch.equal(look(cell[None])[0], target[row])


def test_samples_begin_with_the_source(tmp_path: Path) -> None:
    small = {"image_size": 32, "width": 4, "critic_width": 4, "blocks": 1, "layers": 3}
    model = paperzoo.create("stargan", **small, attributes=paperzoo.dataset("shapes").schema.arguments["attributes"])
    many, few = model.sample(6, seed=1, data="shapes"), model.sample(2, seed=1, data="shapes")
    assert many.shape == (6, 6, 3, 32, 32) and torch.allclose(many[:2], few, atol=1e-6)
    test = paperzoo.dataset("shapes")["test"]
    pictures = test.batch(np.arange(len(test))).image
    assert all((pictures == one).flatten(1).all(1).any() for one in many[:, 0])
    seen = model.seen(many[:, 0])
    assert torch.allclose(many[:, 5], model.edited(many[:, 0], one_changed(seen, model.attributes, 4)), atol=1e-6)
    (task,) = model.active()
    assert task.write(many, tmp_path / "s.png") == str(tmp_path / "s.png") and (tmp_path / "s.png").is_file()
    with pytest.raises(PaperzooError, match="name a data set by --data"):
        model.sample(2)
    with pytest.raises(PaperzooError, match="needs data with image and attributes"):
        model.sample(2, data="digits")


def test_pictures_keep_what_was_not_asked_for(tmp_path: Path) -> None:
    model = Painter().eval()
    before = torch.tensor([[1.0, 0.0, 1.0, 0.0, 1.0, 0.0]])
    array = (paint(before)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    answer = model.predict(array, attributes="blonde hair, no glasses")
    assert look(answer.image[None]).tolist() == [[1, 0, 0, 1, 0, 0]]
    path = tmp_path / "in" / "face.png"
    path.parent.mkdir()
    Image.fromarray(array).save(path)
    answers = model.predict(str(path.parent), attributes="beard", out=str(tmp_path / "out"))
    assert answers.written == 1
    with Image.open(tmp_path / "out" / "face.png") as picture:
        assert look(torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 255).tolist() == [[1, 0, 1, 0, 1, 1]]
    assert len(model.predict([array, array], attributes="beard")) == 2


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("", "say what to change by --attributes: smile, black hair"),
        ("black hair, red hair", "black hair and red hair exclude each other"),
        ("moustache", "unknown attribute 'moustache'"),
    ],
)
def test_what_cannot_be_asked_for_is_said_before_a_picture_is_read(asked: str, said: str) -> None:
    with pytest.raises(PaperzooError, match=said):
        Painter().predict("there/is/no/such.png", attributes=asked)


def test_attributes_are_asked_for_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = str(paperzoo.train("stargan", "smoke", out=tmp_path, overrides={"steps": 2}).directory)
    path = tmp_path / "x.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (18, 45, 3), np.uint8)).save(path)

    def typed(*words: str) -> tuple[int, str, str]:
        return type_in(*words, capsys=capsys, monkeypatch=monkeypatch)

    code, out, _ = typed("predict", run, str(path), "--attributes", "red shape, no hollow", "--out", str(tmp_path / "out"))
    assert code == 0 and "45x18" in out
    with Image.open(tmp_path / "out" / "x.png") as picture:
        assert picture.size == (45, 18)
    code, _, said = typed("predict", run, str(path), "--attributes", "red shape, blue shape")
    assert code == 2 and "red shape and blue shape exclude each other" in said
    code, _, said = typed("predict", run, str(path), "--attributes", "purple shape")
    assert code == 2 and "unknown attribute 'purple shape'" in said
    assert typed("sample", run, "-n", "3", "--out", str(tmp_path / "rows.png"))[0] == 0
    with Image.open(tmp_path / "rows.png") as rows:
        assert rows.width == 6 * 64 + 5 * 2


def test_groups_of_the_names_used_here() -> None:
    assert exclusive(NAMES) == [(1, 3, 4)]
