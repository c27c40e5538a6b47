"""Sounds are measured beside what could be had without learning; written as files; drawn and played in a page of bounded size."""

from __future__ import annotations

import hashlib
import io
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.files import type_in
from torch import Tensor

import paperzoo
from paperzoo.data import Dataset, Schema, Split, Values
from paperzoo.data.audio.sounds import Sounds, whole
from paperzoo.engine.judge import JUDGES, judge
from paperzoo.errors import PaperzooError
from paperzoo.report.page import write_page
from paperzoo.tasks.sound_generation import CONTROLS, SoundGenerator, controls, measure
from paperzoo.tasks.sound_generation.task import SoundGeneration

RATE, LENGTH = 4000, 2048


def words(items: int, seed: int, classes: int = 10) -> Tensor:
    """Sounds of ten kinds (N, 1, 2048): each a tone of its own that begins at once and dies away, its pitch a little different."""
    random = np.random.default_rng(seed)
    label = np.arange(items) % classes
    hertz = (150 + 40 * label) * random.uniform(0.98, 1.02, items)
    time = np.arange(LENGTH) / RATE
    fall = np.exp(-time[None] * random.uniform(6, 9, (items, 1)))
    sound = fall * sum(np.sin(2 * np.pi * k * hertz[:, None] * time) / k for k in (1, 2, 3))
    return torch.from_numpy((0.9 * sound / np.abs(sound).max(1, keepdims=True)).astype(np.float32))[:, None]


def data(items: int = 1200) -> Dataset:
    splits = {}
    for number, (split, count) in enumerate((("train", items), ("test", 400))):
        label = torch.arange(count) % 10
        splits[split] = Split(Sounds(torch.from_numpy(whole(words(count, number).numpy()))), Values("label", label))
    arguments = {"channels": 1, "rate": RATE, "length": LENGTH, "classes": 10}
    return Dataset(Schema("made-up", ("audio", "label"), arguments, tuple("abcdefghij")), splits, "", "")


class Fake(SoundGenerator):
    """A generator that gives out what it was handed."""

    def __init__(self, sounds: Tensor) -> None:
        super().__init__()
        self.sounds, self.latent, self.rate, self.length, self.channels = sounds, 2, RATE, LENGTH, 1
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def generate(self, z: Tensor) -> Tensor:
        return self.sounds[: len(z)]

    def render(self, *given: Tensor) -> Tensor:
        return self.generate(*given)


class Ear:
    """A judge that names the strongest row of a spectrogram in ten groups, more surely the more it stands out."""

    name, standardise = "ear", True

    def __call__(self, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
        rows = torch.nn.functional.interpolate(images.mean(3), 10, mode="linear")[:, 0]  # (N, 10)
        return (20 * rows).softmax(1).numpy(), images.mean(3)[:, 0].numpy()

    def real(self, dataset: Dataset, split: str) -> tuple[np.ndarray, np.ndarray]:
        return self(dataset[split].batch(np.arange(len(dataset[split]))).image)


# Controls ------------------------------------------------------------------------------------------------------------


def test_what_controls_keep_and_what_they_lose() -> None:
    real = words(40, 0)
    made = controls(real)
    assert tuple(made) == CONTROLS and all(x.shape == real.shape for x in made.values())
    assert all(torch.allclose(x.abs().amax((1, 2)), torch.tensor(0.9), atol=1e-5) for x in made.values())
    assert torch.allclose(made["real"], real, atol=1e-5)
    spectrum = {name: torch.fft.rfft(x[:, 0]).abs() for name, x in made.items()}
    alike = {n: torch.nn.functional.cosine_similarity(s, spectrum["real"]).mean() for n, s in spectrum.items()}
    assert alike["random phase"] > 0.999 and alike["noise"] < 0.7
    late = {n: float(x[..., LENGTH // 2 :].square().sum() / x.square().sum()) for n, x in made.items()}
    assert late["real"] < 0.05 and 0.45 < late["random phase"] < 0.55  # its pitches, but at no time
    two = made["averages of two"][1, 0]
    both = (real[1] + real[0])[0]
    assert torch.allclose(two / two.abs().max(), both / both.abs().max(), atol=1e-5)
    shuffled = made["shuffled segments"][:, 0].unflatten(1, (8, -1))
    for before, after in zip(real[:, 0].unflatten(1, (8, -1)), shuffled, strict=True):
        after = after * before.abs().max() / after.abs().max()
        assert all(min(float((part - other).abs().max()) for other in before) < 1e-5 for part in after)
    assert (shuffled - real[:, 0].unflatten(1, (8, -1))).abs().amax((1, 2)).gt(0.01).float().mean() > 0.9
    again = controls(real)
    assert all(torch.equal(made[name], again[name]) for name in CONTROLS)


def test_controls_of_an_odd_length() -> None:
    made = controls(words(3, 0)[..., :-1])
    assert all(x.shape == (3, 1, LENGTH - 1) and x.isfinite().all() for x in made.values())


# Measuring -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def measured() -> dict[str, dict[str, float]]:
    """The metrics of generators of which is known how good they are."""
    own, random = data(), torch.Generator().manual_seed(1)
    noise = torch.randn(1000, 1, LENGTH, generator=random)
    late = torch.roll(words(1000, 5), 800, 2)
    late[..., :800] = 0
    made = {
        "as good as real": words(1000, 5),
        "learnt by heart": own["train"].batch(np.arange(1000)).audio,
        "one word": words(10_000, 5)[::10],
        "noise": noise / noise.abs().amax((1, 2), keepdim=True),
        "late": late,
        "an octave down": words(1000, 5).repeat_interleave(2, 2)[..., :LENGTH],
        "silence": torch.zeros(1000, 1, LENGTH),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in ("mel_power", "onsets", "pitches", "spectrograms"):
            patch.setattr(measure, name, once(getattr(measure, name)))
        return {name: measure.of_sounds(Fake(sounds), own, Ear()) for name, sounds in made.items()}


def once(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, computed once for the same sounds: real ones and controls are those of every generator."""
    known: dict[Any, Any] = {}

    def called(sounds: Tensor, *rest: int) -> Any:
        key = hashlib.sha256(sounds.contiguous().numpy()).digest(), tuple(sounds.shape), rest
        if key not in known:
            known[key] = function(sounds, *rest)
        return known[key]

    return called


def test_a_perfect_generator_is_as_good_as_real(measured: dict[str, dict[str, float]]) -> None:
    found = measured["as good as real"]
    assert found["inception score[ear]"] == pytest.approx(found["inception score of real[ear]"], rel=0.05)
    for key, most in (("spectral envelope dB", 0.3), ("onset ms", 3), ("pitch semitones", 0.3)):
        assert found[key] < found[f"{key} of real"] + most, key
    assert abs(found["voiced %"] - found["voiced % of real"]) < 3 and found["nearest below 1st percentile %"] < 4
    assert found["inception score over controls[ear]"] > 0.1 and found["coverage[ear]"] > 0.8


def test_a_score_below_a_control_is_below_0(measured: dict[str, dict[str, float]]) -> None:
    for name in ("noise", "one word", "silence"):
        assert measured[name]["inception score over controls[ear]"] < 0, name
    found = measured["noise"]
    score = found["inception score[ear]"]
    assert found["inception score of noise[ear]"] == pytest.approx(score, abs=0.05)
    best = max(found[f"inception score of {c}[ear]"] for c in CONTROLS if c != "real")
    assert found["inception score over controls[ear]"] == pytest.approx(score - best)


def test_each_figure_finds_its_own_fault(measured: dict[str, dict[str, float]]) -> None:
    good = measured["as good as real"]
    assert measured["late"]["onset ms"] == pytest.approx(200, abs=10) and good["onset ms"] < 5
    assert measured["an octave down"]["pitch semitones"] == pytest.approx(12, abs=1) and good["pitch semitones"] < 0.5
    assert measured["noise"]["voiced %"] < 10 and "pitch semitones" not in measured["silence"]
    assert measured["noise"]["spectral envelope dB"] > 5 + good["spectral envelope dB"]
    assert measured["learnt by heart"]["nearest below 1st percentile %"] == 100
    assert measured["one word"]["coverage[ear]"] < 0.3


def test_peaks_are_measured_where_they_are_known() -> None:
    own = paperzoo.dataset("sine-mixtures")
    few = own["train"].batch(np.arange(1000)).audio
    model = Fake(few)
    model.rate, model.length = 8192, 1024
    found = measure.of_sounds(model, own)
    assert found["peak within a bin %"] == 100 == found["peak within a bin % of real"] and found["frequencies"] == 8
    model.sounds = few[:1].repeat(1000, 1, 1)
    assert measure.of_sounds(model, own)["frequencies"] == 1
    assert "peak within a bin %" not in measure.of_sounds(Fake(words(1000, 3)), data())


def test_the_judge_of_sounds_hears_words() -> None:
    own = judge("zoo-sounds")
    assert own.model.channels == 1 and own.model.image_size == measure.SIDE and own.model.names[7] == "seven"
    assert JUDGES["zoo-sounds"].fits("spoken-digits-4k") and not JUDGES["zoo-sounds"].fits("drums-4k")
    p, features = own(torch.rand(4, 1, 32, 32))
    assert p.shape == (4, 10) and len(features) == 4


# Data ----------------------------------------------------------------------------------------------------------------


def test_sounds_of_other_lengths_are_refused_with_the_nearest() -> None:
    schema = Schema("own", ("audio",), {"length": 3000, "rate": 8000, "channels": 1})
    with pytest.raises(PaperzooError, match="those of own have 3000: try 2048"):
        SoundGeneration().check(SoundGenerator, schema)
    with pytest.raises(PaperzooError, match="needs data with audio"):
        SoundGeneration().check(SoundGenerator, Schema("digits", ("image",), {}))


# Files and pages -----------------------------------------------------------------------------------------------------


def test_a_folder_of_wav_files(tmp_path: Path) -> None:
    sounds = Fake(words(16, 0)).sample(16)
    assert SoundGeneration().write(sounds, tmp_path / "drums") == str(tmp_path / "drums")
    files = sorted((tmp_path / "drums").iterdir())
    assert [f.name for f in files] == [f"{i:02d}.wav" for i in range(16)]
    with wave.open(str(files[3])) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth(), file.getnframes()) == (RATE, 1, 2, LENGTH)
        heard = np.frombuffer(file.readframes(LENGTH), "<i2") / 32767
    assert np.abs(heard - words(16, 0)[3, 0].numpy()).max() < 1e-4
    SoundGeneration().write(sounds, tmp_path / "samples.png")
    assert (tmp_path / "samples" / "15.wav").is_file() and not (tmp_path / "samples.png").exists()
    SoundGeneration().write(sounds, tmp_path / "all.wav")
    with wave.open(str(tmp_path / "all.wav")) as file:
        assert file.getnframes() == 16 * LENGTH
        last = np.frombuffer(file.readframes(16 * LENGTH), "<i2")[-LENGTH:] / 32767
    assert np.abs(last - words(16, 0)[15, 0].numpy()).max() < 1e-4


def test_from_the_command_line_to_a_page_that_plays(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = paperzoo.train("wavegan", "smoke", out=tmp_path, overrides={"steps": 4})
    code, out, _ = type_in("sample", str(run.directory), "-n", "3", "--out", f"{tmp_path}/own/", capsys=capsys, monkeypatch=monkeypatch)
    assert code == 0 and out.strip().endswith("own") and len(list((tmp_path / "own").glob("*.wav"))) == 3
    page = write_page(paperzoo.engine.run.open_run(run.directory)).read_text(encoding="utf-8")
    assert page.count("<audio controls") == 24 and "data:audio/wav;base64,UklGR" in page and "media-src data:" in page
    figures = run.directory / "figures"
    shown = [f for f in figures.iterdir() if f.name.startswith("final")]
    assert {f.name for f in shown} == {"final-spectrograms.png", "final-nearest.png", "final-play.html"}
    assert sum(f.stat().st_size for f in shown if f.suffix == ".png") < 200_000 and (figures / "final-play.html").stat().st_size < 300_000


def test_a_page_stays_small_whatever_the_rate(tmp_path: Path) -> None:
    from paperzoo.tasks.sound_generation.draw import play

    path = play([("samples", torch.rand(16, 2, 65_536)), ("<real>", torch.rand(16, 2, 65_536))], 44_100, tmp_path / "a.html")
    assert path.read_text().count("<audio") == 2 and "&lt;real&gt;" in path.read_text()
    path = play([("samples", torch.rand(16, 1, 16_384))] * 2, 16_000, tmp_path / "b.html")
    assert path.stat().st_size < 300_000 and path.read_text().count("<audio") >= 4


def test_pictures_are_looked_at(tmp_path: Path) -> None:
    from PIL import Image

    own = data()
    paths = Fake(words(1000, 5)).show(own, "test", tmp_path, "x")
    assert all(path.is_file() for path in paths) and Fake(words(64, 5)).preview(tmp_path, "00000001")[0].is_file()
    with Image.open(tmp_path / "x-spectrograms.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 20
    assert isinstance(SoundGeneration().strip(Fake(words(8, 1)), 8), Image.Image) and io
