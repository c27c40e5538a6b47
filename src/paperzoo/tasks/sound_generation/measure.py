"""Quality of sounds: by a judge, beside simpler generators as controls; by spectrum, onset and pitch; by nearest neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.data.change.heard import heard
from paperzoo.data.spectrogram import mel_power, spectrograms
from paperzoo.metrics.inception_score import inception_score
from paperzoo.metrics.loudness import onsets
from paperzoo.metrics.pitch import pitches
from paperzoo.metrics.spectral_envelope import spectral_envelope_distance
from paperzoo.metrics.spectral_peak import peak_share
from paperzoo.tasks.generation import learnt_by_heart, scores, spread

if TYPE_CHECKING:
    from paperzoo.tasks.sound_generation.contract import SoundGenerator

#: sounds drawn for a measurement, and as many of the training set and of each control
SAMPLES = 1000
#: the side of the pictures that judges see and neighbours are looked for in
SIDE = 32
#: parts that shuffled sounds are cut into
SEGMENTS = 8

#: what a judge is asked of beside samples: real sounds, and sounds that are made of real ones without having learnt anything
CONTROLS = ("real", "noise", "averages of two", "random phase", "shuffled segments")


def of_sounds(model: SoundGenerator, dataset: Dataset, judge: Any = None) -> dict[str, float]:
    """All of the following, of 1,000 samples and as many training sounds; without a judge nothing of what it says."""
    rate = int(dataset.schema.arguments["rate"])
    fake, real = plain_tensor(model.sample(SAMPLES)), training(dataset)
    pictures, spectrograms_of = spectrograms(fake, rate, SIDE), heard(dataset, f"spectrogram={SIDE}")
    metrics = by_judge(fake, real, rate, spectrograms_of, judge) if judge else {}
    metrics |= by_numbers(fake, real, rate)
    if "frequencies" in dataset.schema.arguments:
        metrics |= by_peak(fake, real, rate, dataset.schema.arguments["frequencies"])
    return {**metrics, **learnt_by_heart(pictures, spectrograms_of)}


def plain_tensor(sounds: Tensor) -> Tensor:
    """Sounds as a tensor that knows nothing else."""
    return sounds.as_subclass(Tensor)


def training(dataset: Dataset) -> Tensor:
    """At most 1,000 sounds of the training set, evenly spaced and in an order drawn once, (N, C, T)."""
    chosen = spread(len(dataset["train"]), SAMPLES)
    audio: Tensor = dataset["train"].batch(np.random.default_rng(0).permutation(chosen)).audio
    return audio.cpu()


def by_judge(fake: Tensor, real: Tensor, rate: int, seen: Dataset, judge: Any) -> dict[str, float]:
    """The scores of an image generator, on spectrograms; and the inception score of every control.

    ``inception score over controls[judge]`` is that of the samples less the highest of the controls', real sounds left out: below 0
    the judge takes sounds for words that nobody would.

    Args:
        seen: the data set with its pictures.
    """
    metrics = scores(spectrograms(fake, rate, SIDE), seen, judge)
    name, beside = judge.name, {}
    for control, sounds in controls(real).items():
        beside[control] = inception_score(judge(spectrograms(sounds, rate, SIDE))[0])[0]
    best = max(score for control, score in beside.items() if control != "real")
    return {
        **metrics,
        f"inception score over controls[{name}]": metrics[f"inception score[{name}]"] - best,
        **{f"inception score of {control}[{name}]": score for control, score in beside.items()},
    }


def controls(real: Tensor) -> dict[str, Tensor]:
    """Sounds (N, C, T) and what is made of them without learning, each (N, C, T), its peak 0.9; a name of ``CONTROLS`` each.

    White noise; the mean of each sound and the next; each sound's spectrum with phases drawn anew, so that it has its pitches, but at no
    time; each sound's eighths in another order.
    """
    random = torch.Generator().manual_seed(0)
    length = real.shape[2]
    spectrum = torch.fft.rfft(real, dim=2).abs()
    phase = 2 * torch.pi * torch.rand(spectrum.shape, generator=random)
    phase[..., 0] = 0  # a sound's mean, and its highest frequency, are real numbers
    phase[..., -1] = phase[..., -1].round() if length % 2 else 0
    order = torch.stack([torch.randperm(SEGMENTS, generator=random) for _ in range(len(real))])  # (N, 8)
    cut = length // SEGMENTS * SEGMENTS
    rest, parts = real[..., cut:], real[..., :cut].reshape(*real.shape[:2], SEGMENTS, -1)  # (N, C, 8, T / 8)
    made = {
        "real": real,
        "noise": torch.randn(real.shape, generator=random),
        "averages of two": (real + real.roll(1, 0)) / 2,
        "random phase": torch.fft.irfft(torch.polar(spectrum, phase), n=length, dim=2),
        "shuffled segments": torch.cat([parts.gather(2, order[:, None, :, None].expand_as(parts)).flatten(2), rest], 2),
    }
    return {name: 0.9 * sounds / sounds.abs().amax((1, 2), keepdim=True).clamp(min=1e-9) for name, sounds in made.items()}


def by_numbers(fake: Tensor, real: Tensor, rate: int) -> dict[str, float]:
    """Distances of samples from training sounds in spectrum, onset and pitch; each beside the distance between halves of the latter.

    ``spectral envelope dB``: see ``metrics/spectral_envelope.py``, by mel band; ``onset ms`` and ``pitch semitones``: how far, in the
    mean, the one distribution has to be moved to be the other (Wasserstein's distance); ``voiced %``: the share that has a pitch.
    """
    from scipy.stats import wasserstein_distance

    half = len(real) // 2
    sets = {"": fake, " of real": real[:half]}
    against = {"": real, " of real": real[half:]}
    metrics: dict[str, float] = {}
    for name, sounds in sets.items():
        other = against[name]
        power = [mel_power(x, rate, SIDE).mean(2).numpy() for x in (sounds, other)]  # (N, bands)
        start = [1000 * onsets(x, rate) for x in (sounds, other)]
        pitch = [pitches(x, rate) for x in (sounds, other)]
        tones = [12 * np.log2(p[~np.isnan(p)]) for p in pitch]
        metrics[f"spectral envelope dB{name}"] = spectral_envelope_distance(*power)
        metrics[f"onset ms{name}"] = float(wasserstein_distance(*start))
        metrics[f"voiced %{name}"] = 100 * float((~np.isnan(pitch[0])).mean())
        if min(map(len, tones)):
            metrics[f"pitch semitones{name}"] = float(wasserstein_distance(*tones))
    return metrics


def by_peak(fake: Tensor, real: Tensor, rate: int, frequencies: Any) -> dict[str, float]:
    """``peak within a bin %`` of samples and of real sounds, and how many of the frequencies have a hundredth of the samples or more."""
    share, count = peak_share(fake, rate, frequencies)
    return {
        "peak within a bin %": 100 * share,
        "peak within a bin % of real": 100 * peak_share(real, rate, frequencies)[0],
        "frequencies": float((count >= len(fake) / 100).sum()),
    }
