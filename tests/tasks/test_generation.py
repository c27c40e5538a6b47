"""The task of generating images: samples of their own, classes asked for, scores and pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Schema
from paperzoo.data.dataset import Dataset, Images, Split
from paperzoo.data.datasets import DATASETS
from paperzoo.engine.judge import JUDGES, judge
from paperzoo.tasks.generation import (
    ConditionalGenerator,
    ImageGenerator,
    between,
    learnt_by_heart,
    luminance,
    noise,
    scores,
    spread,
    within_class,
)
from paperzoo.tasks.pictures import compact


class Plain(ImageGenerator):
    """Three pixels' worth of noise, spread over a picture."""

    def __init__(self, latent: int = 6, image_size: int = 8, channels: int = 1) -> None:
        super().__init__()
        self.latent, self.shape = latent, (channels, image_size, image_size)
        self.network = nn.Sequential(nn.Linear(latent, channels * image_size**2), nn.BatchNorm1d(channels * image_size**2))

    def generate(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.network(z)).view(-1, *self.shape)  # (N, C, S, S)


class Prints(ConditionalGenerator):
    """Prints a real digit of the class asked for, with a little noise."""

    def __init__(self, data: Dataset, classes: int = 10, noise: float = 0.05) -> None:
        super().__init__()
        train = data["train"].batch(np.arange(500))
        first = [int((train.label == k).nonzero()[0]) for k in range(classes)]
        self.latent, self.classes, self.noise, self.name = 64, classes, noise, "prints"
        self.digits = nn.Parameter(train.image[first])

    def generate(self, z: Tensor, label: Tensor) -> Tensor:
        return (self.digits[label] + self.noise * z.view(-1, 1, 8, 8)).clamp(0, 1)


class Oracle:
    """A judge that knows the digits by their nearest neighbour."""

    name = "oracle"

    def __init__(self, data: Dataset, classes: int = 10) -> None:
        batch = data["train"].batch(np.arange(1000))
        self.image, self.label, self.classes = batch.image.flatten(1), batch.label, classes

    def __call__(self, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
        near = torch.cdist(images.flatten(1), self.image).argmin(1)
        p = torch.eye(self.classes)[self.label[near]]
        return p.numpy(), images.flatten(1).numpy()

    def real(self, dataset: Dataset, split: str) -> tuple[np.ndarray, np.ndarray]:
        items = dataset[split]
        return self(items.batch(np.arange(min(1000, len(items)))).image)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return paperzoo.dataset("digits")


def test_latents_of_a_row_do_not_depend_on_how_many_are_drawn() -> None:
    model = Plain()
    assert torch.equal(model.latents(3, 5), model.latents(300, 5)[:3])
    assert torch.equal(model.latents(300, 5), noise(300, 6, "normal", 5))
    with pytest.raises(paperzoo.PaperzooError, match="cannot draw 0"):
        model.sample(0)


def test_sample_comes_from_latents_and_leaves_the_mode_as_it_was() -> None:
    class Zeros(Plain):
        def latents(self, items: int, seed: int) -> Tensor:
            return torch.zeros(items, self.latent)

    model = Zeros().train()
    samples = model.sample(600)
    assert samples.shape == (600, 1, 8, 8) and (samples == samples[0]).all()
    assert model.training


def test_samples_of_classes_go_in_turn_or_as_asked(digits: Dataset) -> None:
    model, exact = Prints(digits), Prints(digits, noise=0.0)
    assert torch.equal(exact.sample(12), exact.digits[[*range(10), 0, 1]].detach())
    assert torch.equal(exact.sample(3, label=7), exact.digits[[7, 7, 7]].detach())
    assert torch.equal(exact.sample(3, label=[4, 0, 4]), exact.digits[[4, 0, 4]].detach())
    assert torch.equal(exact.sample(3, label=np.int64(7)), exact.sample(3, label=7))
    assert torch.equal(exact.sample(2, label=np.array([9, 1])), exact.digits[[9, 1]].detach())
    assert torch.equal(model.sample(300)[:7], model.sample(7))
    assert not torch.equal(model.sample(7), model.sample(7, seed=1))
    z = model.latents(2, 0)
    assert torch.equal(model.sample(2, label=3), model.render(z, torch.tensor([3, 3])))  # the noise is the same


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (10, "label 10 is no class of prints: its classes are 0 to 9"),
        (-1, "label -1 is no class"),
        ([0, 1, 2.5, 3], "label 2.5 is no class"),
        ([0, 1], "2 labels were given for 4 samples"),
    ],
)
def test_labels_out_of_range_are_refused(digits: Dataset, label: object, message: str) -> None:
    with pytest.raises(paperzoo.PaperzooError, match=message):
        Prints(digits).sample(4, label=label)


def test_data_of_one_class_are_refused(digits: Dataset) -> None:
    ConditionalGenerator.check(digits.schema)
    with pytest.raises(paperzoo.PaperzooError, match="at least 2 classes, but one has 1"):
        ConditionalGenerator.check(Schema("one", ("image", "label"), {"classes": 1}))
    with pytest.raises(paperzoo.PaperzooError, match="needs data with image and label"):
        ConditionalGenerator.check(Schema("bare", ("image",), {"classes": 5}))


def test_agreement_is_of_the_class_that_was_asked_for(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paperzoo.tasks.generation.measure.SAMPLES", 500)
    model, judge = Prints(digits), Oracle(digits)
    right = model.measure(digits, "test", judge)
    assert right["label agreement %[oracle]"] == 100
    with torch.no_grad():
        model.digits[[3, 5]] = model.digits[[5, 3]]  # two classes mixed up: eight of ten are right
    wrong = model.measure(digits, "test", judge)
    assert wrong["label agreement %[oracle]"] == 80
    assert wrong["inception score[oracle]"] == pytest.approx(10)  # which an unconditional score cannot see
    other = Prints(digits).measure(digits, "test", Oracle(digits, classes=12))
    assert "label agreement %[oracle]" not in other and "fid[oracle]" in other


def test_the_floor_of_fid_is_that_of_the_training_set_alone(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paperzoo.tasks.generation.measure.SAMPLES", 500)
    judge = Oracle(digits)
    found = Prints(digits).measure(digits, "test", judge)
    real, splits = judge.real, []
    monkeypatch.setattr(judge, "real", lambda data, split: splits.append(split) or real(data, split))
    monkeypatch.setattr("paperzoo.tasks.generation.measure.fid_floor", lambda features: float(len(features)))
    other = Prints(digits).measure(digits, "test", judge)
    assert set(splits) == {"train"}
    assert other["fid floor[oracle]"] == len(real(digits, "train")[1]) and found["fid floor[oracle]"] > 0
    assert found["fid over floor[oracle]"] == pytest.approx(found["fid[oracle]"] / found["fid floor[oracle]"])


def test_collapse_within_classes_is_seen_beside_the_real_ones(digits: Dataset) -> None:
    found = Prints(digits).measure(digits, "test")
    assert found["mean image gap"] < 0.2
    assert found["ms-ssim within class"] > 0.9 > 0.8 > found["ms-ssim within class of real"] > 0.3


def test_pairs_are_of_one_class_and_of_two_images() -> None:
    label = torch.tensor([0, 0, 1, 2, 2, 2])
    images = torch.rand(6, 1, 16, 16)
    images[3:] = images[3]  # class 2 is collapsed, class 0 is not, class 1 has no pair
    mixed = within_class(lambda i: images[i], label, pairs=100)
    alone = within_class(lambda i: images[:2][i], label[:2], pairs=100)
    assert alone < 0.5 and mixed == pytest.approx((1 + alone) / 2)
    assert np.isnan(within_class(lambda i: images[i], torch.arange(6)))


def test_luminance_weighs_colours_as_eyes_do() -> None:
    assert torch.allclose(luminance(torch.eye(3).view(3, 3, 1, 1)).flatten(), torch.tensor([0.299, 0.587, 0.114]))
    grey = torch.rand(2, 1, 4, 4)
    assert torch.equal(luminance(grey), grey) and torch.allclose(luminance(grey.expand(-1, 3, -1, -1)), grey)


def test_class_grid_has_a_row_a_class(digits: Dataset, tmp_path: Path) -> None:
    from PIL import Image

    paths = Prints(digits).show(digits, "test", tmp_path, "final")
    sheet = np.asarray(Image.open(tmp_path / "final-classes.png")).astype(float)
    assert tmp_path / "final-classes.png" in paths
    assert sheet.shape == (98, 98)
    three, three_again, zero = sheet[30:38, :8], sheet[30:38, 10:18], sheet[:8, :8]
    assert np.abs(three - three_again).mean() < 20 < 60 < np.abs(three - zero).mean()


# ---------------------------------------------------------------- scores and pictures of any generator


def test_scores_of_real_images_and_of_a_collapse(digits: Dataset) -> None:
    judge = Oracle(digits)
    real = digits["test"].batch(np.arange(300)).image
    good, bad = scores(real, digits, judge), scores(real[:1].expand(300, -1, -1, -1), digits, judge)
    for name, low in (("coverage", 0.3), ("density", 0.7), ("diversity score", 0.9)):
        assert good[f"{name}[oracle]"] > low
    assert bad["coverage[oracle]"] < 0.02 and bad["diversity score[oracle]"] == pytest.approx(0.1, abs=0.01)
    assert abs(good["kid[oracle]"]) < 0.05 * bad["kid[oracle]"]
    assert all(name.endswith("[oracle]") for name in good)


def test_learning_by_heart_is_seen_in_pixels(digits: Dataset) -> None:
    copies, held_back = digits["train"].batch(np.arange(200)).image, digits["test"].batch(np.arange(200)).image
    name = "nearest below 1st percentile %"
    assert learnt_by_heart(copies, digits) == {name: 100.0}
    assert learnt_by_heart(torch.rand(200, 1, 8, 8), digits)[name] == 0
    assert learnt_by_heart(held_back, digits)[name] < 4
    train_only = Dataset(digits.schema, {"train": digits["train"]}, "", "")
    assert learnt_by_heart(copies, train_only) == {}


def test_items_are_spread_over_data_that_may_be_sorted() -> None:
    assert spread(5, 10).tolist() == [0, 1, 2, 3, 4]
    few = spread(50_000, 1000)
    assert len(few) == 1000 == len(np.unique(few)) and (few[0], few[-1]) == (0, 49_999)
    assert np.diff(few).max() - np.diff(few).min() <= 1


def test_walks_keep_the_length_of_normal_noise() -> None:
    a, b = noise(50, 100, "normal", 0), noise(50, 100, "normal", 1)
    circle, line = between(a, b, 9, "normal"), between(a, b, 9, "uniform")
    assert torch.allclose(circle[:, 0], a, atol=1e-5) and torch.allclose(circle[:, -1], b, atol=1e-5)
    assert torch.allclose(line[:, 4], (a + b) / 2, atol=1e-6)
    assert circle[:, 4].norm(dim=1).mean() == pytest.approx(10, rel=0.05)  # sqrt(100), as all noise
    assert line[:, 4].norm(dim=1).mean() < 8
    assert torch.allclose(between(a, a, 5, "normal"), a[:, None].expand(-1, 5, -1), atol=1e-5)


def test_walks_go_from_one_latent_vector_to_the_next_within_a_class(digits: Dataset) -> None:
    model = Plain()
    images, ends = model.walk(), model.sample(16)
    assert images.shape == (80, 1, 8, 8)
    assert torch.allclose(images[0::10], ends[0::2], atol=1e-5) and torch.allclose(images[9::10], ends[1::2], atol=1e-5)
    exact = Prints(digits, noise=0.0)
    assert torch.equal(exact.walk(), exact.digits[torch.arange(8).repeat_interleave(10)].detach())


def test_below_each_sample_stands_its_nearest_training_image(digits: Dataset, tmp_path: Path) -> None:
    from PIL import Image

    model = Prints(digits)
    names = {path.name for path in model.show(digits, "test", tmp_path, "final")}
    assert names == {"final-samples.png", "final-walk.png", "final-nearest.png", "final-classes.png"}
    sheet = np.asarray(Image.open(tmp_path / "final-nearest.png")).astype(int)
    assert sheet.shape == (18, 78)
    for column in range(8):  # a print with a little noise, and the digit that it is a print of
        below = sheet[10:18, 10 * column : 10 * column + 8]
        assert np.array_equal(below, (model.digits[column, 0].detach().numpy() * 255).round())
        assert 0 < np.abs(sheet[:8, 10 * column : 10 * column + 8] - below).mean() < 25


def test_a_run_shows_its_grids_one_after_another(digits: Dataset, tmp_path: Path) -> None:
    from PIL import Image

    model = Plain()
    for step in range(3):
        model.preview(tmp_path, f"{step:08d}")
    assert tmp_path / "samples.gif" in model.show(digits, "test", tmp_path, "final")
    assert Image.open(tmp_path / "samples.gif").n_frames in (1, 2, 3, 4)  # equal frames may be merged


def test_pictures_are_small_files(tmp_path: Path) -> None:
    from PIL import Image

    torch.manual_seed(0)
    little = Image.fromarray(np.zeros((50, 50, 3), np.uint8))
    assert compact(little) is little
    loud = Image.fromarray((torch.rand(200, 200, 3) * 255).byte().numpy())  # 120 kB: noise cannot be compressed
    for limit in (60_000, 5_000):
        compact(loud, limit).save(tmp_path / "loud.png", optimize=True)
        assert (tmp_path / "loud.png").stat().st_size <= limit


def test_colour_images_are_measured_and_shown(digits: Dataset, tmp_path: Path) -> None:
    coloured = {
        name: Split(Images(split.columns[0].pixels.expand(-1, 3, -1, -1)), split.columns[1])
        for name, split in digits.splits.items()
    }
    data = Dataset(Schema("coloured", ("image", "label"), {**digits.schema.arguments, "channels": 3}), coloured, "", "")
    model = Plain(channels=3)
    assert set(model.measure(data, "test")) == {"mean image gap", "nearest below 1st percentile %"}
    assert all(path.exists() for path in model.show(data, "test", tmp_path, "final"))


@pytest.mark.parametrize("name", [name for name, record in JUDGES.items() if not record.paper and not record.frames])
def test_every_judge_that_ships_answers(name: str) -> None:
    found = judge(name)
    images = torch.rand(3, found.model.channels, 40, 40)
    p, features = found(images)
    assert features.shape[0] == 3 and features.ndim == 2 and np.allclose(p.sum(1), 1, atol=1e-4)
    side = found.model.image_size
    with torch.no_grad():
        direct = found.model(F.interpolate(images, side, mode="bilinear", antialias=True)).softmax(1)
    assert np.allclose(p, direct.numpy(), atol=1e-4)
    assert all(data in DATASETS for data in found.data)
