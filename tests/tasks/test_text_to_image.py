"""Drawing sentences: what is measured, what a user may ask for, and what is said of words that are not known."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.files import type_in
from torch import Tensor, nn

import paperzoo
from paperzoo import PaperzooError
from paperzoo.data import Dataset
from paperzoo.data.captions.words import END, SPECIAL, START
from paperzoo.tasks.generation import spread
from paperzoo.tasks.options import options
from paperzoo.tasks.text_to_image import SentenceGenerator
from paperzoo.tasks.text_to_image.measure import agreements, of_sentences, sharpnesses

SHAPES = ("red shape", "green shape", "blue shape", "yellow shape")
PAINT = torch.tensor([[214, 40, 40], [44, 160, 44], [31, 90, 200], [235, 190, 30]]) / 255


class Painter(SentenceGenerator):
    """Paints the colour that is said first, with a little noise; what is read of a sentence is the number of each word.

    Its small pictures are half as wide; if it is ``blind``, each is of another sentence.
    """

    image_size, channels = 32, 3

    def __init__(self, data: Dataset | None = None, blind: bool = False) -> None:
        vocabulary = data.schema.arguments["vocabulary"] if data else (*SPECIAL, "red", "green", "shape", "a")
        super().__init__(vocabulary, 12, 3, data.schema.arguments["examples"] if data else ("a red shape", "green"))
        self.unused, self.blind, self.asked = nn.Parameter(torch.zeros(())), blind, list[Tensor]()

    def embed(self, captions: Tensor) -> Tensor:
        self.asked.append(captions)
        return F.pad(captions, (0, 12 - captions.shape[1])).float()

    def resolutions(self, latent: Tensor, phi: Tensor) -> tuple[Tensor, Tensor]:
        images = []
        for noise, row in zip(latent, phi.round().long().tolist(), strict=True):
            words = self.words.decode(row).split()
            colour = next((k for k, name in enumerate(SHAPES) if name.split()[0] in words), 0)
            images.append((PAINT[colour] + 0.01 * noise).view(3, 1, 1).expand(3, 32, 32))
        large = torch.stack(images).clamp(0, 1)
        return (large.roll(1, 0) if self.blind else large)[:, :, ::2, ::2], large


class ColourJudge:
    """Sees the colour of a picture's middle; its classes are called after the attributes of the data."""

    name = "colours"

    class model:  # stands for a network
        names = SHAPES

    def __call__(self, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
        ink = (1 - images).flatten(2).clamp(min=0)
        weights = (images.amax(1) - images.amin(1)).flatten(1)  # where it is coloured
        mean = 1 - (ink * weights[:, None]).sum(2) / weights.sum(1, keepdim=True).clamp(min=1e-6)
        near = torch.cdist(mean, PAINT).argmin(1)
        return np.eye(4)[near.numpy()], mean.numpy()

    def real(self, dataset: Dataset, split: str) -> tuple[np.ndarray, np.ndarray]:
        items = dataset[split]
        return self(items.batch(np.arange(len(items))).image)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return paperzoo.dataset("shapes-sentences")


def test_agreement_by_hand() -> None:
    truth = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], bool)
    named = np.array([[1, 1], [1, 0], [0, 1], [1, 1]], bool)
    fake = np.array([[1, 0], [0, 0], [0, 0], [1, 0]], bool)  # right, right where named, wrong, wrong
    found = agreements(["a", "b"], truth, named, truth, fake, truth)
    assert found["all named right %"] == 50 and found["stage I all named right %"] == found["real right %"] == 100
    assert found["a right %"] == pytest.approx(200 / 3) and found["b right %"] == pytest.approx(200 / 3)
    # each against the sentence before it: 3's (a b not), 0's (a, b not), 1's (a not), 2's (b)
    assert found["wrong sentence right %"] == 100 * (0 + 0 + 1 + 0) / 4
    assert found["chance right %"] == 0
    assert agreements(["a", "b"], truth, named, truth, np.roll(truth, 1, 0), truth)["wrong sentence right %"] == 100


def test_sharpness_is_of_the_stages() -> None:
    random = torch.Generator().manual_seed(0)
    real = torch.rand(4, 3, 32, 32, generator=random)
    small = F.interpolate(real, 16, mode="area")
    found = sharpnesses(small, real, real)
    assert found["stage II sharpness"] == pytest.approx(1) and found["stage I enlarged sharpness"] < 0.5
    ratio = found["stage II sharpness"] / found["stage I enlarged sharpness"]
    assert found["stage II sharpness over stage I enlarged"] == pytest.approx(ratio, rel=1e-4)
    enlarged = F.interpolate(small, 32, mode="bicubic").clamp(0, 1)
    assert sharpnesses(small, enlarged, real)["stage II sharpness over stage I enlarged"] == pytest.approx(1, rel=1e-4)


def test_a_painter_that_reads_is_told_from_chance(data: Dataset, tmp_path: Path) -> None:
    model = Painter(data).eval()
    with torch.no_grad():
        found = of_sentences(model, data, "test", ColourJudge())
    assert found["all named right %[colours]"] == found["stage I all named right %[colours]"] == 100
    assert found["red shape right %[colours]"] == 100 and found["real right %[colours]"] > 95
    assert 10 < found["wrong sentence right %[colours]"] < 40 and 10 < found["chance right %[colours]"] < 40
    assert "coverage[colours]" in found and "stage II sharpness" in found
    assert all(path.exists() for path in model.show(data, "test", tmp_path, "final"))
    assert "mean image gap" in of_sentences(model, data, "test")


def test_each_stage_is_judged_by_its_own_pictures_of_the_split_that_is_asked_for(data: Dataset) -> None:
    class Sized(ColourJudge):
        def __call__(self, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
            sides.append(images.shape[-1])
            return super().__call__(images)

    sides: list[int] = []
    for split in ("validation", "test"):
        model = Painter(data, blind=True).eval()
        with torch.no_grad():
            found = of_sentences(model, data, split, Sized())
        items = data[split]
        assert torch.equal(torch.cat(model.asked), items.batch(spread(len(items), 1000)).captions[:, 0])
        assert found["all named right %[colours]"] == 100 and found["stage I all named right %[colours]"] < 45
    assert {16, 32} <= set(sides)


def test_one_caption_a_picture_is_chosen_and_none_that_is_not_there() -> None:
    model = Painter()
    captions = torch.tensor([[[START, 4, END], [0, 0, 0]], [[START, 5, END], [START, 6, END]]])
    drawn = {tuple(row) for _ in range(40) for row in model.chosen(captions).tolist()}
    assert drawn == {(START, 4, END), (START, 5, END), (START, 6, END)}


def test_prompts() -> None:
    model = Painter()
    assert list(options(model.sample)) == ["prompt"]
    green = model.sample(2, prompt="A green shape.")
    assert green.shape == (2, 3, 32, 32) and float(green[:, 1].mean()) > float(green[:, 0].mean())
    assert torch.equal(model.sample(4, prompt="green")[:2], model.sample(2, prompt="green"))
    with pytest.warns(UserWarning, match=r"does not know 'gren' \(nearest: green\).*left out"):
        some = model.read("a gren red shape")
    assert some.tolist() == [[START, 7, 4, 6, END]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.read("Red, shape!").tolist() == [[START, 4, 6, END]]


def test_without_a_prompt_sentences_of_the_training_are_drawn_in_turn(data: Dataset) -> None:
    train = data["train"].batch(np.arange(16))
    assert data.schema.arguments["examples"] == tuple(own[0] for own in train.texts)
    model = Painter()
    red, green, again = model.sample(3)
    assert float(red[0].mean()) > float(red[1].mean()) and float(green[1].mean()) > float(green[0].mean())
    assert torch.equal(model.prompts(3), model.embed(torch.tensor([[1, 7, 4, 6, 2], [1, 5, 2, 0, 0], [1, 7, 4, 6, 2]])))
    assert float((again - red).abs().max()) < 0.2 and not torch.equal(again, red)
    model.examples = ()
    with pytest.raises(PaperzooError, match="say by a prompt what to draw"):
        model.sample(2)
    assert model.sample(2, prompt="red").shape == (2, 3, 32, 32)


@pytest.mark.parametrize(("prompt", "said"), [("", "has no word"), (" ?! ", "has no word"), ("grean sheep", r"nearest: green\)")])
def test_a_prompt_of_nothing_or_of_unknown_words_is_refused(prompt: str, said: str) -> None:
    with pytest.raises(PaperzooError, match=said):
        Painter().sample(1, prompt=prompt)


def test_walks_go_from_sentence_to_sentence_with_one_noise(data: Dataset) -> None:
    model = Painter(data)
    given: list[tuple[Tensor, Tensor]] = []
    model.render = lambda z, phi: given.append((z, phi)) or z  # type: ignore[assignment,func-returns-value]
    model.walk()
    (z, phi), ends = given[0], model.prompts(16).view(8, 2, -1)
    z, phi = z.view(8, 10, -1), phi.view(8, 10, -1)
    assert torch.equal(z, z[:, :1].expand_as(z)) and torch.equal(phi[:, 0], ends[:, 0]) and torch.equal(phi[:, -1], ends[:, 1])
    assert torch.allclose(phi[:, 3], (2 * ends[:, 0] + ends[:, 1]) / 3, atol=1e-5)


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run = paperzoo.train("stackgan", "smoke", out=tmp_path)
    at: dict[str, Any] = {"capsys": capsys, "monkeypatch": monkeypatch}
    source = str(run.directory)
    code, out, err = type_in("sample", source, "--prompt", "a rad solid shape", "--out", str(tmp_path / "a.png"), **at)
    assert code == 0 and (tmp_path / "a.png").exists() and "'rad' (nearest: red)" in out + err
    for prompt in ("", "xyzzy"):
        code, out, err = type_in("sample", source, "--prompt", prompt, "--out", str(tmp_path / "b.png"), **at)
        assert code == 2 and "prompt" in out + err and not (tmp_path / "b.png").exists()
