"""The task of generating videos: what is measured, with its controls; strips, animations and files; what may be asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.files import type_in
from PIL import Image, ImageSequence
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Dataset, Schema, Split, Values
from paperzoo.data.datasets import dataset
from paperzoo.data.video.expressions import MOTIONS
from paperzoo.data.video.shapes import WAYS, Travelling
from paperzoo.data.video.videos import Held, Videos
from paperzoo.engine.judge import JUDGES, judge
from paperzoo.errors import PaperzooError
from paperzoo.tasks.video_generation import ConditionalVideoGenerator, VideoGenerator
from paperzoo.tasks.video_generation.draw import evenly
from paperzoo.tasks.video_generation.measure import LOOKED_AT, clips_of, steadiness, travels


class Projector(VideoGenerator):
    """Shows clips of shape-motion by the number that the content's noise stands for; or stops, or mixes them, at will."""

    def __init__(self, how: str = "plays") -> None:
        super().__init__()
        self.content, self.start, self.moving, self.frames, self.how = 3, 2, 1, 8, how
        self.lamp = nn.Parameter(torch.ones(()))
        self.films = torch.stack([shape(i, i % 2) for i in range(40)])  # (40, 3, 8, 16, 16)

    def generate(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        number = (1000 * z[:, 0].abs()).long() % 20 * 2 + (0 if label is None else label)
        clips = self.films[number]
        if self.how == "stands still":
            clips = clips[:, :, :1].expand_as(clips)
        if self.how == "mixes":
            other = self.films[(number[:, None] + 7 * torch.arange(8)) % 40]  # (N, T, 3, 8, 16, 16)
            clips = other[:, torch.arange(8), :, torch.arange(8)].permute(1, 2, 0, 3, 4)
        return self.lamp * clips


class Asked(Projector, ConditionalVideoGenerator):
    """The same, asked for a direction; the wrong one if ``how`` says so."""

    def __init__(self, how: str = "plays") -> None:
        super().__init__(how)
        self.classes, self.names, self.name = 2, WAYS, "asked"

    def generate(self, z: Tensor, label: Tensor) -> Tensor:  # type: ignore[override]
        return super().generate(z, 1 - label if self.how == "contradicts" else label)


def shape(index: int, way: int) -> Tensor:
    return torch.from_numpy(Travelling(5, index, way, index % 2, 8, 16).read(0, 8)).transpose(0, 1) / 255


def shapes(frames: int = 8, named: tuple[str, ...] = WAYS) -> Dataset:
    def split(number: int) -> Split:
        label = torch.arange(60) % 2
        reels = [Held(Travelling(number, i, int(label[i]), i % 2, frames, 16).read(0, frames)) for i in range(60)]
        return Split(Videos(reels, 16, frames), Values("label", label))

    arguments = {"channels": 3, "image_size": 16, "classes": 2, "frames": frames}
    return Dataset(Schema("made-up", ("video", "label"), arguments, named), {"train": split(0), "test": split(1)}, "", "")


class Frames:
    """A judge of frames, or of clips, that sees mean colours of quarters; of clips also which half is brighter at the end."""

    def __init__(self, name: str, frames: Any = None) -> None:
        self.name, self.frames, self.standardise = name, frames, True
        self.shown: list[int] = []

    def __call__(self, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
        self.shown.append(len(images))
        last = images if images.ndim == 4 else images[:, :, -1]
        features = F.adaptive_avg_pool2d(last, 2).flatten(1)
        right, low = last[..., 8:].mean((1, 2, 3)), last[..., 8:, :].mean((1, 2, 3))
        return torch.stack([right, low], 1).softmax(1).numpy(), features.numpy()


# What is measured ----------------------------------------------------------------------------------------------------


def test_content_and_motion_stand_beside_each_other() -> None:
    """What stops is perfectly steady, and what mixes contents moves: only what plays is near the data in both."""
    data = shapes()
    plays, still, mixes = (Projector(how).measure(data, "test") for how in ("plays", "stands still", "mixes"))
    assert plays["acd excess %"] < 10 and 0.8 < plays["frame change over data"] < 1.25
    assert still["acd"] == 0 and still["frame change %"] == 0 == still["frame change over data"]
    assert mixes["acd excess %"] > 80 and mixes["acd"] > 5 * mixes["acd of data"]
    assert plays["travels %"] > 90 < plays["travels % of data"] and still["travels %"] == 0 and mixes["travels %"] < 90
    for found in (plays, still, mixes):
        assert found["acd of data"] < 1 < found["acd of shuffled"]


def test_figures_by_hand() -> None:
    fake, real = torch.zeros(2, 1, 2, 4, 4), torch.zeros(2, 1, 2, 4, 4)
    fake[0, :, 1] = 0.2
    found = steadiness(fake, real)
    assert found["acd"] == pytest.approx(255 * 0.2 / 2) and found["acd of data"] == 0
    assert found["frame change %"] == pytest.approx(10) and found["frame change % of data"] == 0


def test_a_judge_sees_frames_and_clips() -> None:
    data, inner = shapes(), Frames("stills")
    found = Projector().measure(data, "test", Frames("films", inner))
    assert {f"{key}[{name}]" for key in ("density", "coverage") for name in ("stills", "films")} <= found.keys()
    assert {f"acd{of}[stills]" for of in ("", " of data", " of shuffled", " excess %")} <= found.keys()
    assert found["acd of data[stills]"] > 0.3  # where a shape is counts as content for this judge
    assert LOOKED_AT * 8 in inner.shown and min(found["density[stills]"], found["coverage[films]"]) > 0.3
    mixed = Projector("mixes").measure(data, "test", Frames("films", Frames("stills")))
    assert mixed["coverage[films]"] <= found["coverage[films]"] + 0.1
    alone = Projector().measure(data, "test", inner)  # a judge of frames by itself
    assert "density[stills]" in alone and "acd[stills]" not in alone


def test_motion_is_recognised_as_asked() -> None:
    data = shapes()
    told, wrong = Asked().measure(data, "test"), Asked("contradicts").measure(data, "test")
    assert told["motion as asked %"] > 97 < told["motion as asked % of data"] and wrong["motion as asked %"] < 3
    assert told["motion by chance %"] == 50
    by = Asked().measure(data, "test", Frames("films", Frames("stills")))
    assert by["motion as asked %[films]"] > 80 and by["motion as asked % of data[films]"] > 80
    other = shapes(named=("a", "b"))  # of other data the exact measurement says nothing
    assert not {"motion as asked %", "travels %"} & Asked().measure(other, "test").keys()


def test_longer_clips_of_the_data_are_cut_to_the_samples_length() -> None:
    found = Projector().measure(shapes(16), "test")
    assert found["frame change % of data"] < Projector().measure(shapes(8), "test")["frame change % of data"]  # slower: more frames
    clips, label = clips_of(shapes(), "test", 10)
    assert len(clips) == 10 == len(label) and set(label) == {0, 1}
    assert travels(torch.stack([shape(i, 1 - i % 2) for i in range(10)])) > 0.8


def test_the_judge_of_clips() -> None:
    motions = judge("zoo-motions")
    assert motions.frames is judge("zoo-avatars") and motions.frames.frames is None
    assert JUDGES["zoo-motions"].fits("avatar-expressions") and not JUDGES["zoo-motions"].fits("shape-motion")
    assert tuple(motions.model.names) == MOTIONS and motions.model.frames == 16
    clips = torch.rand(3, 3, 16, 32, 32)
    p, features = motions(clips)
    assert p.shape == (3, 5) and np.allclose(p, motions.model(clips).softmax(1).detach(), atol=1e-5)
    assert np.allclose(features, motions.model.features(clips).detach(), atol=1e-5)
    large = clips.repeat_interleave(2, 3).repeat_interleave(2, 4)  # each frame is made smaller by itself
    small = torch.stack([F.interpolate(large[:, :, t], 32, mode="bilinear", antialias=True) for t in range(16)], 2)
    assert np.allclose(motions(large)[1], motions(small)[1], atol=1e-5)
    with pytest.raises(PaperzooError, match="the judge zoo-motions cannot judge images with 1 channel"):
        motions(clips[:, :1])


# Pictures and files --------------------------------------------------------------------------------------------------


def test_pictures(tmp_path: Path) -> None:
    data = shapes()
    for model in (Projector(), Asked()):
        paths = [path for task in model.active() for path in task.show(model, data, "test", tmp_path, "final")]
        names = {"final-samples.png", "final-exchange.gif", "final-exchange.png"}
        assert {path.name for path in paths} == names | ({"final-motions.png"} if isinstance(model, Asked) else set())
        assert sum(path.stat().st_size for path in paths) < 200_000
        with Image.open(tmp_path / "final-exchange.gif") as moving:
            assert moving.n_frames == 8 and moving.info["duration"] > 0
    task = Projector().active()[0]
    strip = task.strip(Projector(), 5)
    assert strip is not None and strip.size == (5 * 16 + 4 * 2, 16)


def test_strips_go_from_the_first_frame_to_the_last() -> None:
    clips = torch.arange(16.0).view(1, 1, 16, 1, 1).expand(2, 3, 16, 2, 2)
    assert evenly(clips)[0, :, 0, 0, 0].tolist() == [0, 2, 4, 6, 9, 11, 13, 15]
    assert evenly(clips[:, :, :5]).shape == (2, 5, 3, 2, 2)


BOTH = [".gif", ".mp4"]


@pytest.mark.parametrize(("out", "written"), [("a.png", BOTH), ("a", BOTH), ("a.gif", [".gif"]), ("a.MP4", [".mp4"])])
def test_samples_are_written_as_gif_and_mp4(out: str, written: list[str], tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    model = Projector()
    clips = model.sample(6)
    said = model.active()[0].write(clips, tmp_path / out).splitlines()
    assert [Path(line).suffix for line in said] == written and sorted(p.suffix for p in tmp_path.iterdir()) == written
    for line in said:
        if line.endswith(".gif"):
            with Image.open(line) as moving:
                frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(moving)]
        else:
            with av.open(line) as container:
                frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert len(frames) == 8  # 2 columns, 3 rows of clips four times as large
        seen = np.stack(frames)[:, :64, :64].reshape(8, 16, 4, 16, 4, 3).mean((2, 4)).transpose(3, 0, 1, 2) / 255
        assert abs(seen - clips[0].numpy()).mean() < 0.02


def test_what_a_user_asks_for(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run = paperzoo.train("mocogan:categorical", "smoke-categorical", out=tmp_path, overrides={"steps": 2})
    assert run.model.names == WAYS
    one, two = run.model.sample(2, label="vertical"), run.model.sample(2, label=1)
    assert torch.equal(one, two)
    monkeypatch.chdir(tmp_path)
    asked = ("-n", "3", "--label", "horizontal", "--frames", "5", "--out", "b.gif")
    code, out, _ = type_in("sample", str(run.directory), *asked, capsys=capsys, monkeypatch=monkeypatch)
    with Image.open(tmp_path / "b.gif") as moving:
        assert code == 0 and "b.gif" in out and moving.n_frames <= 5
    for words, says in ((("--label", "diagonal"), "unknown label 'diagonal'"), (("--frames", "0"), "a whole number from 1 to 1000")):
        code, _, err = type_in("sample", str(run.directory), *words, capsys=capsys, monkeypatch=monkeypatch)
        assert code == 2 and says in err.replace("\n", " ")


def test_data_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match="video generation needs data with video"):
        paperzoo.train("mocogan", "smoke", data="digits", out=tmp_path)
    model = Projector()
    with pytest.raises(PaperzooError, match=r"have 5 frames, the model's 8: set model\.frames=5"):
        model.clip(torch.rand(2, 3, 5, 16, 16))
    assert model.clip(dataset("shape-motion", image_size=16)["test"].batch([0]).video).shape == (1, 3, 8, 16, 16)
    with pytest.raises(PaperzooError, match="ask for at least 1"):
        model.sample(0)
