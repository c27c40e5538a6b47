"""Clips of which motion and content are known: shapes that travel, faces that change their expression."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.avatars import PLACES, wheel
from torch import Tensor

from paperzoo.data import Dataset, Values
from paperzoo.data.datasets import dataset
from paperzoo.data.images import avatars
from paperzoo.data.video import expressions
from paperzoo.data.video.expressions import LOOKS, MOTIONS, Expressing, avatar_expressions, choose, course, smaller
from paperzoo.data.video.shapes import ITEMS, SHAPES, WAYS, Travelling, bezier, covered
from paperzoo.errors import PaperzooError


def values(built: Dataset, split: str, name: str) -> Tensor:
    (found,) = [c.values for c in built[split].columns if isinstance(c, Values) and c.name == name]
    return found


# Shapes that travel --------------------------------------------------------------------------------------------------


def test_a_bezier_curve_is_what_its_definition_says() -> None:
    points = np.random.default_rng(0).random((4, 2))
    curve = bezier(points, 5)
    assert np.allclose(curve[0], points[0]) and np.allclose(curve[-1], points[3])
    between = points  # de Casteljau: the middle of the middles of the middles
    while len(between) > 1:
        between = (between[1:] + between[:-1]) / 2
    assert np.allclose(curve[2], between[0])
    straight = bezier(np.linspace(0, 3, 4)[:, None], 7)
    assert np.allclose(straight[:, 0], np.linspace(0, 3, 7))


def test_a_shape_covers_its_area_about_its_centre() -> None:
    centre = np.array([[10.3, 15.6], [11.0, 9.25]])
    for shape, area in (("circle", np.pi * 25), ("square", 100)):
        mask = covered(shape, centre, 5.0, 24)
        assert mask.shape == (2, 24, 24) and mask.min() == 0 and mask.max() == 1
        assert np.allclose(mask.sum((1, 2)), area, rtol=0.01)
        pixel = np.arange(24) + 0.5
        assert np.allclose((mask.sum(1) @ pixel) / mask.sum((1, 2)), centre[:, 0], atol=0.05)
        assert np.allclose((mask.sum(2) @ pixel) / mask.sum((1, 2)), centre[:, 1], atol=0.05)
    circle, square = (covered(shape, centre[:1], 5.0, 24)[0] for shape in SHAPES)
    assert square[20, 6] > 0.4 > circle[20, 6] == 0  # only a square has corners


@pytest.mark.parametrize("size", [16, 32, 64])
def test_shapes_go_onward_and_stay_whole(size: int) -> None:
    for index in range(200):
        reel = Travelling(0, index, index % 2, index // 2 % 2, 16, size)
        path, radius, colour = reel.drawn()
        along, across = path[:, index % 2], path[:, 1 - index % 2]
        assert (np.diff(along) >= 0).all() and along[-1] - along[0] >= 0.6 * (size - 2 * radius)
        assert np.ptp(across) < 0.5 * np.ptp(along)
        assert path.min() >= radius + 0.5 - 1e-9 and path.max() <= size - radius - 0.5 + 1e-9
        assert 0.1 * size <= radius <= 0.2 * size and colour.max() >= 0.7


def test_a_clip_keeps_its_colour_and_its_size() -> None:
    video = Travelling(1, 7, 0, 1, 16, 32).read(0, 16)
    assert video.shape == (16, 3, 32, 32) and video.dtype == np.uint8
    mean = video.mean((2, 3))  # (T, C)
    assert mean.std(0).max() < 0.15 and mean.max() > 1
    assert np.array_equal(Travelling(1, 7, 0, 1, 16, 32).read(3, 9), video[3:9])
    assert not np.array_equal(Travelling(2, 7, 0, 1, 16, 32).read(0, 16), video)
    assert not np.array_equal(Travelling(1, 8, 0, 1, 16, 32).read(0, 16), video)


def test_shape_motion() -> None:
    built = dataset("shape-motion", image_size=32)
    assert built.schema.arguments == {"channels": 3, "image_size": 32, "classes": 2, "frames": 16} and built.schema.names == WAYS
    assert {name: len(split) for name, split in built.splits.items()} == ITEMS
    for split, count in ITEMS.items():
        kinds = 2 * values(built, split, "content") + values(built, split, "label")
        assert kinds.bincount().tolist() == [count // 4] * 4
    batch = built["test"].batch([5, 3])
    assert batch.video.shape == (2, 3, 16, 32, 32) and batch.label.tolist() == [1, 1] and batch.content.tolist() == [0, 1]
    mass = batch.video.sum(1)  # (N, T, H, W)
    down = (mass.sum(3) @ torch.arange(32.0)) / mass.sum((2, 3))
    assert (down[:, -1] - down[:, 0] > 8).all()  # both fall
    with pytest.raises(PaperzooError, match="image_size of shape-motion must be at least 16, not 8"):
        dataset("shape-motion", image_size=8)


# Faces that change their expression ----------------------------------------------------------------------------------


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("frames", [8, 16, 32])
def test_at_most_one_look_stands_beside_the_calm_one(motion: str, frames: int) -> None:
    for seed in range(100):
        share = course(motion, frames, np.random.default_rng(seed))
        assert share.shape == (frames, len(LOOKS)) and share.min() >= 0
        assert np.allclose(share.sum(1), 1, atol=1e-6)
        assert ((share[:, 1:] > 0).sum(1) <= 1).all()
        assert share.std(0).max() > 0.05, "nothing happens"


def test_motions_are_what_their_names_say() -> None:
    looks = list(LOOKS)
    for seed in range(50):
        of = {motion: course(motion, 16, np.random.default_rng(seed)) for motion in MOTIONS}
        assert np.array_equal(of["smile fades"], of["smile"][::-1])
        smiling = of["smile"][:, looks.index("smiling")]
        assert smiling[0] == 0 and smiling[-1] == 1 and (np.diff(smiling) >= 0).all()
        for motion, look in (("surprise", "surprised"), ("anger", "angry")):
            felt = of[motion][:, looks.index(look)]
            assert felt[0] < 0.7 and felt.max() > 0.99 and felt[-1] == 0  # comes and goes
        opened = of["talk"][:, [looks.index("mouth open"), looks.index("mouth round")]]
        assert (opened.max(0) > 0.3).all() and (opened.max(1) == 0).any() and of["talk"][:, looks.index("eyes closed")].max() > 0.3
        used = {motion: {looks[i] for i in np.flatnonzero(share.any(0))} - {"calm"} for motion, share in of.items()}
        assert used == {
            "smile": {"smiling"}, "smile fades": {"smiling"}, "surprise": {"surprised"}, "anger": {"angry"},
            "talk": {"mouth open", "mouth round", "eyes closed"},
        }  # fmt: skip


def test_looks_are_faded_into_each_other() -> None:
    looks = np.arange(len(LOOKS), dtype=np.uint8)[:, None, None, None] * np.full((1, 3, 2, 2), 30, np.uint8)
    reel = Expressing(looks, 0, 4, "surprise", 16)
    share = course("surprise", 16, np.random.Generator(np.random.Philox(key=[0, 4])))
    assert np.array_equal(reel.read(0, 16)[:, 0, 0, 0], (share @ (30 * np.arange(len(LOOKS)))).round().astype(np.uint8))
    assert np.array_equal(reel.read(5, 9), reel.read(0, 16)[5:9])


def test_nobody_is_there_twice() -> None:
    people = choose(1_300)
    assert len(people) == 1_300 and len({(*person.values(), bushy) for person, bushy in people}) == 1_300
    assert choose(40) == people[:40]
    for name, values in avatars.person().items():
        assert {person[name] for person, _ in people} == set(values)


#: the parts that looks need, each in a colour of its own
PARTS = {
    kind: {part: f"#{16 * (7 + place):02x}{20 * number + 30:02x}40" for number, part in enumerate(dict.fromkeys(parts))}
    for place, (kind, parts) in enumerate(
        (
            ("mouth", [look[0] for look in LOOKS.values()]),
            ("eyes", [look[1] for look in LOOKS.values()]),
            ("eyebrows", [name for look in LOOKS.values() for name in look[2:]]),
        )
    )
}


def at(image: np.ndarray | Tensor, kind: str) -> list[int]:
    """The colour where a part is drawn, of a picture (3, S, S)."""
    left, top, side = (float(word) for word in (avatars._WINDOW.split()[i] for i in (0, 1, 2)))
    x, y, _ = PLACES[kind]
    column, row = (int((place + 15 - low) / side * image.shape[-1]) for place, low in ((x, left), (y, top)))
    return [int(value) for value in image[:, row, column]]


def test_avatar_expressions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    package = wheel(tmp_path, more=PARTS)
    built = avatar_expressions(package, 64, people=(3, 1, 2))
    assert built.schema.names == MOTIONS and built.schema.arguments["classes"] == 5 and built.schema.arguments["frames"] == 16
    assert {name: values(built, name, "content").unique().tolist() for name in built.splits} == {
        "train": [0, 1, 2], "validation": [3], "test": [4, 5]
    }  # fmt: skip  # each person in one split
    assert values(built, "test", "label").tolist() == [*range(5)] * 2
    drawn = expressions.draw(package, 6, 64)
    for who in range(6):
        _, bushy = choose(6)[who]
        for look, (mouth, eyes, plain, natural) in enumerate(LOOKS.values()):
            for kind, part in (("mouth", mouth), ("eyes", eyes), ("eyebrows", natural if bushy else plain)):
                wanted = [int(PARTS[kind][part][i : i + 2], 16) for i in (1, 3, 5)]
                assert at(drawn[who, look], kind) == wanted, (who, look, kind)
    batch = built["train"].batch([5, 9])  # the second person's smile and talk
    assert batch.video.shape == (2, 3, 16, 64, 64) and batch.content.tolist() == [1, 1]
    clip = (batch.video[0] * 255).round()
    assert [at(clip[:, t], "mouth") for t in (0, 15)] == [at(drawn[1, look], "mouth") for look in (0, 1)]
    still = torch.ones(64, 64, dtype=torch.bool)  # but for mouth, eyes and eyebrows nothing of a clip changes
    still[10:60, 15:64] = False
    assert all((one.video[:, :, still] == one.video[:, :1, still]).all() for one in (built["test"][i] for i in range(10)))
    small = avatar_expressions(package, 32, people=(3, 1, 2))
    apart = small["train"].batch([5]).video - torch.nn.functional.avg_pool3d(built["train"].batch([5]).video, (1, 2, 2))
    assert small.schema.arguments["image_size"] == 32 and apart.abs().max() < 2 / 255
    assert len(list((tmp_path / "cache" / "prepared").glob("avatar-expressions-*[!k]"))) == 1  # both sizes from the same drawings
    with pytest.raises(PaperzooError, match="does not hold the drawings"):
        expressions.draw(wheel(tmp_path, leave_out="concave", more={}), 1, 64)


def test_pictures_are_made_smaller_by_area() -> None:
    image = np.random.default_rng(0).integers(0, 256, (2, 3, 3, 8, 8)).astype(np.uint8)
    small = smaller(image, 4)
    assert small.shape == (2, 3, 3, 4, 4) and smaller(image, 8) is image
    assert abs(small - image.reshape(2, 3, 3, 4, 2, 4, 2).mean((4, 6))).max() <= 1  # rounded twice
