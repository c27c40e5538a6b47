"""One sound: read, mixed to the channels wanted, resampled, trimmed, levelled, cut; and the column of many."""

from __future__ import annotations

import io
import math
import wave
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paperzoo.data.dataset import Column
from paperzoo.data.paths import ordinary
from paperzoo.errors import PaperzooError
from paperzoo.terminal import plain

#: how the files end that are read
ENDINGS = (".wav", ".flac", ".ogg", ".oga", ".mp3", ".opus", ".aif", ".aiff", ".au", ".w64", ".caf")

#: what is so many decibels below a sound's peak, at its beginning and end, is silence
SILENCE = 40.0
#: the greatest amplitude of every sound of the sets, of 1: what is loud and what is soft in a recording says nothing of another one's
PEAK = 0.9
#: a sound that ends within a window fades over so long, in seconds, if it is cut there
FADE = 0.01
#: the longest sound that is read, in samples a channel: three hours at 48 kHz
LONGEST = 2**29
#: samples a second of what a sound's header may say; what says less or more is damaged, and would be hours long or nothing
RATES = 1000, 768_000


def read(source: Path | bytes, name: str = "") -> tuple[np.ndarray, int]:
    """A sound as float32 (C, T) in its file's own range, [-1, 1] of whole numbers of any width, and its samples a second.

    Args:
        source: a file of any kind of ``ENDINGS``, or its bytes.
        name: what an error calls it.

    Raises:
        PaperzooError: there is no such file, it is no sound, has no samples or values that are no numbers; or there is no soundfile.
    """
    name = name or plain(source if isinstance(source, Path) else "a sound")
    soundfile = library()
    opened = io.BytesIO(source) if isinstance(source, bytes) else ordinary(source)
    try:
        with soundfile.SoundFile(opened) as file:
            if file.frames > LONGEST:
                raise PaperzooError(f"{name} has {file.frames:,} samples, more than {LONGEST:,}: cut it into parts")
            samples, rate = file.read(dtype="float32", always_2d=True), int(file.samplerate)  # (T, C)
    except (soundfile.LibsndfileError, OSError, RuntimeError, TypeError, ValueError) as error:
        why = str(error).rpartition(": ")[2].strip()
        raise PaperzooError(f"{name} cannot be read as a sound: {why}") from error
    if not len(samples):
        raise PaperzooError(f"{name} has no samples")
    if not RATES[0] <= rate <= RATES[1]:
        raise PaperzooError(f"{name} says that it has {rate:,} samples a second; read are {RATES[0]:,} to {RATES[1]:,}")
    if not np.isfinite(samples).all():
        raise PaperzooError(f"{name} has samples that are not finite numbers")
    return np.ascontiguousarray(samples.T), rate


def library() -> Any:
    """The library soundfile; ``PaperzooError`` where it, or what it needs, is not installed."""
    try:
        return import_module("soundfile")
    except (ImportError, OSError) as error:
        raise PaperzooError('reading sound files needs soundfile: pip install "paperzoo[sound]"') from error


def mixed(sound: np.ndarray, channels: int) -> np.ndarray:
    """A sound (C, T) with so many channels: one is their mean; of one come several that are equal.

    Raises:
        PaperzooError: neither, as of 6 to 2.
    """
    if len(sound) == channels:
        return sound
    if channels == 1:
        return np.asarray(sound.mean(0, keepdims=True))
    if len(sound) == 1:
        return np.repeat(sound, channels, 0)
    raise PaperzooError(f"a sound of {len(sound)} channels cannot be given out as {channels}: ask for 1")


def resampled(sound: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """A sound (C, T) at another number of samples a second, by scipy's polyphase filter: what the new rate cannot hold is filtered out."""
    if rate == wanted:
        return sound
    from scipy.signal import resample_poly

    common = math.gcd(rate, wanted)
    up, down = wanted // common, rate // common
    return np.asarray(resample_poly(sound, up, down, axis=-1, window=_filter(max(up, down))), np.float32)


@lru_cache(maxsize=32)
def _filter(most: int) -> np.ndarray:
    """The filter that ``resample_poly`` designs by itself for each sound anew: windowed by Kaiser's window of 5."""
    from scipy.signal import firwin

    return np.asarray(firwin(20 * most + 1, 1 / most, window=("kaiser", 5.0)), np.float32)


def trimmed(sound: np.ndarray, decibels: float = SILENCE) -> np.ndarray:
    """A sound (C, T) without the silence at its beginning and end; empty if it is silent throughout."""
    loudness = np.abs(sound).max(0, initial=0.0)  # (T)
    heard = np.flatnonzero(loudness > loudness.max(initial=0.0) * 10 ** (-decibels / 20))
    return sound[:, heard[0] : heard[-1] + 1] if len(heard) and loudness.max() > 1e-5 else sound[:, :0]


def levelled(sound: np.ndarray, peak: float = PEAK) -> np.ndarray:
    """A sound (C, T) whose greatest amplitude is ``peak``; of 0, as loud as it was, what is beyond [-1, 1] cut off."""
    return np.asarray(sound * (peak / np.abs(sound).max()) if peak else np.clip(sound, -1, 1))


def fitted(sound: np.ndarray, length: int, rate: int) -> np.ndarray:
    """The beginning of a sound, (C, ``length``): a shorter one is followed by silence, a longer one fades out where it is cut."""
    out = np.zeros((len(sound), length), np.float32)
    out[:, : sound.shape[1]] = sound[:, :length]
    fade = min(length, round(FADE * rate))
    if sound.shape[1] > length and fade:
        out[:, -fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return out


def windows(sound: np.ndarray, length: int) -> list[np.ndarray]:
    """A sound (C, T) as windows (C, ``length``) that follow each other; the last, if it is at least half a one, and a single one that is
    shorter, are filled up with silence."""
    count = max(1, sound.shape[1] // length + (sound.shape[1] % length * 2 >= length))
    out = np.zeros((len(sound), count * length), np.float32)
    out[:, : sound.shape[1]] = sound[:, : count * length]
    return np.split(out, count, axis=1)


def whole(sound: np.ndarray) -> np.ndarray:
    """Samples in [-1, 1] as whole numbers of 16 bits."""
    return np.asarray(np.round(np.clip(sound, -1, 1) * 32767), np.int16)


def prepare(sound: np.ndarray, rate: int, wanted: int, length: int, channels: int = 1) -> np.ndarray | None:
    """One sound (C, T) as an item of the sets, int16 (channels, length): mixed, resampled, trimmed, levelled, its beginning; ``None`` if
    it is silent."""
    loud = trimmed(resampled(mixed(sound, channels), rate, wanted))
    return whole(fitted(levelled(loud), length, wanted)) if loud.shape[1] else None


class Sounds:
    """Sounds as int16 (N, C, T), given out as ``audio``, float32 in [-1, 1]."""

    def __init__(self, samples: Tensor) -> None:
        assert samples.dtype == torch.int16 and samples.ndim == 3
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        index = torch.from_numpy(indices).to(self.samples.device)
        return {"audio": self.samples[index].to(torch.float32).div_(32767).clamp_(-1, 1)}  # (N, C, T)

    def to(self, device: torch.device) -> Sounds:
        return Sounds(self.samples.to(device)) if self.samples.nbytes < 2**30 else self

    def join(self, other: Column) -> Sounds:
        assert isinstance(other, Sounds)
        return Sounds(torch.cat([self.samples, other.samples]))

    def some(self, indices: np.ndarray) -> Sounds:
        return Sounds(self.samples[torch.from_numpy(indices)])


def wav_bytes(sound: np.ndarray | Tensor, rate: int) -> bytes:
    """A sound float (C, T) in [-1, 1] as a wav file of 16 bits."""
    array = sound.detach().cpu().numpy() if isinstance(sound, Tensor) else sound
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(len(array))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(whole(array).T.astype("<i2").tobytes())
    return buffer.getvalue()
