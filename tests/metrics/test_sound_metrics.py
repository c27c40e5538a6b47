"""Onset, pitch, spectral envelope and spectral peak on sounds of which the answer is known; spectrograms likewise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from paperzoo.data.change.heard import heard
from paperzoo.data.datasets import dataset
from paperzoo.data.spectrogram import bands, mel, mel_power, spectrograms
from paperzoo.errors import PaperzooError
from paperzoo.metrics.loudness import onsets
from paperzoo.metrics.pitch import pitches
from paperzoo.metrics.spectral_envelope import spectral_envelope_distance
from paperzoo.metrics.spectral_peak import peak_share


def tones(hertz: list[float], rate: int, length: int) -> Tensor:
    """Sines, (N, 1, length)."""
    turn = 2 * torch.pi * torch.tensor(hertz, dtype=torch.float64)[:, None] * torch.arange(length) / rate
    return torch.sin(turn)[:, None].float()


# Onset ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [4000, 16_000])
def test_onset_is_where_a_sound_begins(rate: int) -> None:
    sound = torch.zeros(4, 2, rate // 2)
    for i, start in enumerate((0.0, 0.05, 0.1, 0.3)):
        sound[i, :, round(start * rate) :] = 0.3
    assert onsets(sound, rate) == pytest.approx([0.0, 0.05, 0.1, 0.3], abs=1e-9)
    assert onsets(torch.zeros(1, 1, 100), rate) == [0]


def test_onset_is_half_of_the_peak_not_the_first_rustle() -> None:
    sound = torch.full((1, 1, 4000), 0.1)
    sound[..., 1000:] = 0.15
    sound[..., 2000:] = 0.4
    assert onsets(sound, 4000) == pytest.approx([0.5]) and onsets(sound, 4000, share=0.3) == pytest.approx([0.25])


# Pitch ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [4000, 8000, 22_050])
def test_pitch_of_tones(rate: int) -> None:
    hertz = [80.0, 123.4, 200.0, 311.0, 440.0]
    assert pitches(tones(hertz, rate, rate // 2), rate) == pytest.approx(hertz, rel=0.01)


def test_pitch_is_the_fundamental_also_where_it_is_weak() -> None:
    voice = sum(a * tones([h * 150.0], 8000, 4000) for h, a in ((1, 0.1), (2, 1.0), (3, 0.8), (4, 0.5)))
    assert pitches(voice, 8000) == pytest.approx([150.0], rel=0.01)


def test_pitch_is_taken_where_a_sound_is_loudest() -> None:
    sound = torch.cat([0.2 * tones([100.0], 8000, 4000), tones([250.0], 8000, 4000)], 2)
    assert pitches(sound, 8000) == pytest.approx([250.0], rel=0.01)


def test_noise_and_silence_have_no_pitch() -> None:
    noise = torch.randn(50, 1, 2048, generator=torch.Generator().manual_seed(0))
    assert np.isnan(pitches(noise, 4000)).mean() > 0.9 and np.isnan(pitches(torch.zeros(2, 1, 2048), 4000)).all()
    assert np.isnan(pitches(torch.rand(1, 1, 64), 4000)).all()  # too short to repeat


# Spectral envelope ---------------------------------------------------------------------------------------------------


def test_envelopes_by_hand() -> None:
    one, other = np.array([[1.0, 1.0, 2.0]]), np.array([[4.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    a, b = np.array([0.25, 0.25, 0.5]), np.array([0.5, 0.25, 0.25])
    assert spectral_envelope_distance(one, other) == pytest.approx(math.sqrt(np.mean((10 * np.log10(a / b)) ** 2)))
    assert spectral_envelope_distance(one, 7 * one) == 0  # the shape counts, not the loudness


def test_envelopes_of_silence_are_far_not_infinite() -> None:
    far = spectral_envelope_distance(np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]]))
    assert 30 < far < 60
    with pytest.raises(ValueError, match="same bands"):
        spectral_envelope_distance(np.ones((2, 3)), np.ones((2, 4)))


# Peaks ---------------------------------------------------------------------------------------------------------------


def test_peaks_within_a_bin() -> None:
    rate, length = 8192, 1024  # a bin is 8 Hz
    sound = tones([96.0, 104.0, 112.0, 160.0, 400.0], rate, length)
    share, counts = peak_share(sound, rate, (96.0, 160.0))
    assert share == pytest.approx(3 / 5) and counts.tolist() == [2, 1]
    assert peak_share(5 + sound[:1], rate, (96.0,))[0] == 1 and peak_share(torch.zeros(1, 1, length), rate, (0.0, 8.0))[0] == 0


# Spectrograms --------------------------------------------------------------------------------------------------------


def test_mel_and_its_bands() -> None:
    assert mel(1000) == pytest.approx(999.9855, abs=1e-3) and mel(0) == 0
    made = bands(32, 4000, 256)
    assert made.shape == (32, 129) and torch.allclose(made.sum(1), torch.ones(32)) and (made >= 0).all()
    middle = (made * torch.arange(129)).sum(1) * 4000 / 256
    steps = torch.tensor([mel(float(f)) for f in middle]).diff()
    assert (middle.diff() > 0).all() and steps[8:].std() < 0.12 * steps[8:].mean()  # as wide in mel; below, bins are wider than bands


@pytest.mark.parametrize("rate", [4000, 8000, 16_000])
def test_a_tone_is_one_bright_row_at_its_pitch_whatever_the_rate(rate: int) -> None:
    image = spectrograms(tones([300.0, 900.0, 1500.0], rate, round(0.512 * rate)), rate)
    row = image.mean(3).argmax(2)[:, 0]  # from above
    expected = [31 - ((mel(f) - mel(60)) / (mel(1900) - mel(60)) * 33 - 1) for f in (300.0, 900.0, 1500.0)]
    assert image.shape == (3, 1, 32, 32) and row.tolist() == pytest.approx(expected, abs=1)


def test_time_runs_to_the_right_and_loudness_does_not_count() -> None:
    sound = torch.zeros(1, 1, 2048)
    sound[..., 1024:1280] = tones([500.0], 4000, 256)[0]
    image = spectrograms(sound, 4000)
    bright = image[0, 0].amax(0) > 0.8
    assert bright[16:20].all() and not bright[:14].any() and not bright[22:].any()
    assert torch.equal(image, spectrograms(0.01 * sound, 4000))
    assert image.max() == 1 and not spectrograms(torch.zeros(1, 1, 2048), 4000).any()
    assert torch.equal(image * 255, (image * 255).round())


def test_white_noise_is_as_loud_in_every_band() -> None:
    noise = torch.randn(200, 1, 2048, generator=torch.Generator().manual_seed(0))
    power = mel_power(noise, 4000).mean((0, 2))
    assert power.min() > 0.85 and power.max() < 1.1 and mel_power(noise[:3, :, :512], 4000)[..., 12:].sum() == 0


def test_sounds_with_pictures() -> None:
    built = dataset("sine-mixtures#spectrogram=16")
    batch = built["test"].batch([0, 7, 3])
    assert torch.equal(batch.image, spectrograms(batch.audio, 8192, 16)) and built.schema.arguments["image_size"] == 16
    assert built.schema.fields == ("audio", "label", "image")
    with pytest.raises(PaperzooError, match="spectrogram is at most 256"):
        dataset("sine-mixtures#spectrogram=999")
    with pytest.raises(PaperzooError, match="no sounds to draw"):
        heard(dataset("digits"), "spectrogram=16")
