"""What a judge of traits sees of translations between two domains."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from paperzoo.data import Dataset, Images, Schema, Split
from paperzoo.engine.judge import JUDGES
from paperzoo.tasks.image_translation import ImageTranslator
from paperzoo.tasks.image_translation.traits import TraitTranslation, read, traits

NAMES = tuple(f"{c} hair{g}{b}" for c in ("black", "blonde", "red") for g in ("", ", glasses") for b in ("", ", beard"))


class Colours:
    """Sees the hair in the red channel (0, 0.4 or 0.8), glasses in the green one, a beard in the blue."""

    name = "colours"

    def __init__(self) -> None:
        self.model = type("Named", (), {"names": NAMES})

    def __call__(self, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
        r, g, b = images.mean((2, 3)).T
        label = 4 * (r / 0.4).round().long() + 2 * (g > 0.5) + (b > 0.5)
        return torch.eye(12)[label].numpy(), images.flatten(1).numpy()


def faces(rows: list[tuple[float, float, float]]) -> Tensor:
    return (torch.tensor(rows)[:, :, None, None].expand(-1, -1, 16, 16) * 255).round().to(torch.uint8)


BLACK = [(0.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 1.0)]
BLONDE = [(0.4, g, b) for _, g, b in BLACK]


def pairs(domains: tuple[str, str], a: list[tuple[float, float, float]] = BLACK, b: list[tuple[float, float, float]] = BLONDE) -> Dataset:
    split = Split(Images(faces(a).contiguous(), "image_a"), Images(faces(b).contiguous(), "image_b"))
    arguments = {"channels": 3, "image_size": 16, "domains": domains, "paired": ("train", "test")}
    return Dataset(Schema("faces", ("image_a", "image_b"), arguments), {"train": split, "test": split}, "", "")


class Paints(ImageTranslator):
    """Adds to the channels, by domain."""

    tasks = (TraitTranslation(),)

    def __init__(self, **ways: tuple[float, float, float]) -> None:
        super().__init__()
        self.unused, self.ways = nn.Parameter(torch.zeros(())), ways
        self.channels, self.image_size, self.multiple = 3, 16, 1
        self.domains = tuple(ways)  # type: ignore[misc]

    def translate(self, image: Tensor, to: str = "b") -> Tensor:
        return (image + torch.tensor(self.ways[to])[:, None, None]).clamp(0, 1)


HAIR = ("black hair", "blonde hair")


def measured(domains: tuple[str, str] = HAIR, **ways: tuple[float, float, float]) -> dict[str, float]:
    found = Paints(**ways).measure(pairs(domains), "test", Colours())
    return {name.removesuffix("[colours]").strip(): value for name, value in found.items()}


def test_hair_that_is_dyed_and_nothing_else() -> None:
    found = measured(b=(0.4, 0.0, 0.0), a=(-0.4, 0.0, 0.0))
    assert (found["style %"], found["others kept %"]) == (100, 100)
    assert (found["back style %"], found["back others kept %"]) == (100, 100)
    assert (found["source style %"], found["truth style %"]) == (0, 100)
    assert found["psnr (dB)"] > 40 and not any("identity" in name for name in found)


def test_hair_that_is_left_as_it_is() -> None:
    found = measured(b=(0.0, 0.0, 0.0))
    assert (found["style %"], found["others kept %"]) == (0, 100) and "back style %" not in found


def test_glasses_for_everyone_besides() -> None:
    found = measured(b=(0.4, 1.0, 0.0))
    assert (found["style %"], found["others kept %"]) == (100, 50)


def test_another_colour_than_was_asked_for_is_no_other_trait() -> None:
    found = measured(b=(0.8, 0.0, 0.0))  # red
    assert (found["style %"], found["others kept %"]) == (0, 100)


def test_a_domain_may_be_called_after_what_is_not_there() -> None:
    found = measured(("no glasses", "glasses"), b=(0.0, 1.0, 0.0), a=(0.0, -1.0, 0.0))
    assert (found["style %"], found["back style %"], found["source style %"]) == (100, 100, 50)
    assert found["others kept %"] == found["back others kept %"] == 100
    assert measured(("no glasses", "glasses"), b=(0.4, 1.0, 0.0))["others kept %"] == 0  # another colour is seen in all


def test_a_judge_of_other_things_says_nothing_of_traits() -> None:
    assert "style %" not in measured(("cats", "dogs"), b=(0.4, 0.0, 0.0))
    assert "style %" not in Paints(b=(0.4, 0.0, 0.0)).measure(pairs(HAIR), "test")


def test_traits_are_read_off_the_likeliest_class() -> None:
    assert traits(NAMES) == ("black hair", "beard", "glasses", "blonde hair", "red hair")
    seen = read(Colours(), torch.cat([faces(BLACK), faces(BLONDE)]) / 255, traits(NAMES))
    assert seen[:4, 0].all() and not seen[4:, 0].any() and seen[4:, 3].all() and not seen[:, 4].any()
    assert seen[:, 2].tolist() == [False, True, False, True] * 2 and seen[:, 1].tolist() == [False, False, True, True] * 2


def test_the_judge_of_faces_may_judge_their_domains() -> None:
    for data in ("avatars", "avatars-unpaired:black>blonde", "avatars-unpaired:glasses", "avatars-unpaired:beard"):
        assert JUDGES["zoo-avatars"].fits(data)
    assert not JUDGES["zoo-avatars"].fits("edges>shapes")
