"""Sounds of every kind that users have are read alike, and what is no sound is said to be none."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.sounds import sound_folders, tone, wav

from paperzoo.data.audio import sounds
from paperzoo.data.datasets import dataset
from paperzoo.errors import PaperzooError

soundfile = pytest.importorskip("soundfile")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))


def peak(sound: np.ndarray, rate: int) -> float:
    """The strongest frequency, in Hz."""
    return float(np.abs(np.fft.rfft(sound[0])).argmax() * rate / sound.shape[1])


# One sound -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [("wav", "PCM_U8"), ("wav", "PCM_24"), ("wav", "FLOAT"), ("flac", None), ("ogg", None), ("mp3", None)],
)
def test_every_kind_of_file_gives_the_same_sound(kind: str, subtype: str | None, tmp_path: Path) -> None:
    file = tmp_path / f"a.{kind}"
    soundfile.write(file, tone(channels=2).T, 16_000, subtype)
    sound, rate = sounds.read(file)
    assert rate == 16_000 and sound.dtype == np.float32 and len(sound) == 2
    assert abs(peak(sound, rate) - 440) <= 16_000 / sound.shape[1] and 0.45 < np.abs(sound[:, 1000:3000]).max() < 0.56
    again, _ = sounds.read(file.read_bytes())
    assert np.array_equal(sound, again)


def test_eight_bits_are_centred_and_no_louder(tmp_path: Path) -> None:
    sound, _ = sounds.read(wav(tmp_path / "a.wav", tone(), width=1))
    assert np.abs(sound - tone()).max() < 0.01  # silence is 128


@pytest.mark.parametrize("rate", [192_000, 44_100, 22_050, 11_025, 8_000, 11_127])
def test_resampling_keeps_the_pitch_and_takes_out_what_does_not_fit(rate: int) -> None:
    sound = sounds.resampled(tone(440, 0.5, rate), rate, 4000)
    assert sound.dtype == np.float32 and abs(sound.shape[1] - 2000) <= 1
    assert abs(peak(sound, 4000) - 440) <= 2.1 and abs(np.abs(sound[:, 200:-200]).max() - 0.5) < 0.01
    if rate > 8000:
        gone = sounds.resampled(tone(3000, 0.5, rate), rate, 4000)
        assert np.abs(gone[:, 200:-200]).max() < 0.01  # not 1,000 Hz, which it would fold to


def test_resampling_is_scipys(tmp_path: Path) -> None:
    from scipy.signal import resample_poly

    noise = np.random.default_rng(0).standard_normal((1, 4410)).astype(np.float32)
    assert np.allclose(sounds.resampled(noise, 44_100, 16_000), resample_poly(noise, 160, 441, axis=-1), atol=1e-5)


def test_channels() -> None:
    two = np.stack([np.ones(4), np.zeros(4)]).astype(np.float32)
    assert np.array_equal(sounds.mixed(two, 1), np.full((1, 4), 0.5)) and np.array_equal(
        sounds.mixed(two[:1], 2), np.ones((2, 4))
    )
    with pytest.raises(PaperzooError, match="6 channels"):
        sounds.mixed(np.zeros((6, 4), np.float32), 2)


def test_silence_is_what_is_40_decibels_below_the_peak() -> None:
    sound = np.concatenate([np.full(10, 0.004), np.full(5, 0.006), np.zeros(7), np.full(3, -0.5), np.full(9, 0.004)])[
        None
    ].astype(np.float32)
    assert sounds.trimmed(sound).shape == (1, 5 + 7 + 3)
    assert (
        sounds.trimmed(np.zeros((2, 50), np.float32)).shape == (2, 0) == sounds.trimmed(np.zeros((2, 0), np.float32)).shape
    )


def test_loudness_is_what_is_said() -> None:
    assert (
        np.abs(sounds.levelled(tone(loud=0.01))).max()
        == pytest.approx(0.9)
        == np.abs(sounds.levelled(tone(loud=0.99))).max()
    )
    assert np.array_equal(sounds.levelled(np.array([[0.5, 3.0, -2.0]], np.float32), 0), [[0.5, 1.0, -1.0]])


def test_fitting_and_windows() -> None:
    short, long = np.ones((1, 30), np.float32), np.ones((1, 5000), np.float32)
    assert sounds.fitted(short, 50, 1000).sum() == 30 and sounds.fitted(short, 50, 1000)[0, :30].all()
    cut = sounds.fitted(long, 4000, 16_000)[0]
    assert (
        cut.shape == (4000,) and cut[-1] == 0 and cut[3800] == 1 and 0.4 < cut[3920] < 0.6
    )  # the last hundredth of a second
    whole = sounds.windows(np.arange(260, dtype=np.float32)[None], 100)
    assert [part[0, 0] for part in whole] == [0, 100, 200] and whole[-1][0, 60:].sum() == 0
    assert len(sounds.windows(np.ones((1, 249), np.float32), 100)) == 2 and len(sounds.windows(short, 100)) == 1


def test_a_wav_file_gives_back_what_was_written(tmp_path: Path) -> None:
    sound = np.stack([tone()[0], -tone()[0]])
    (tmp_path / "a.wav").write_bytes(sounds.wav_bytes(torch.from_numpy(sound), 8000))
    again, rate = sounds.read(tmp_path / "a.wav")
    assert rate == 8000 and np.abs(again - sound).max() < 1e-4


@pytest.mark.parametrize(("name", "content", "said"), [
    ("text.wav", b"This is a text about sounds.\n" * 20, "cannot be read as a sound"),
    ("empty.wav", b"", "cannot be read as a sound"),
    ("cut.flac", b"fLaC\0\0\0\x22", "cannot be read as a sound"),
])  # fmt: skip
def test_what_is_no_sound(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PaperzooError, match=said) as caught:
        sounds.read(tmp_path / name, name)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_no_samples_and_no_numbers(tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match="has no samples"):
        sounds.read(wav(tmp_path / "a.wav", np.zeros((1, 0))))
    soundfile.write(tmp_path / "b.wav", np.array([0.0, np.nan, 0.1]), 8000, subtype="FLOAT")
    with pytest.raises(PaperzooError, match="not finite"):
        sounds.read(tmp_path / "b.wav")
    with pytest.raises(PaperzooError, match="cannot read"):
        sounds.read(tmp_path / "none.wav")


def test_without_soundfile_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sound_folders(tmp_path / "own")
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(PaperzooError, match=r'pip install "paperzoo\[sound\]"'):
        dataset(f"sounds:{tmp_path / 'own'}")


def test_the_sets_that_need_no_soundfile_do_not_ask_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        assert name.partition(".")[0] != "soundfile"
        return kept(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    assert dataset("sine-mixtures")["train"][0].audio.shape == (1, 1024)


# Folders -------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_a_folder_of_sounds_becomes_windows_of_its_rate(tmp_path: Path) -> None:
    own = sound_folders(tmp_path / "own", 20)
    wav(own / "low" / "long.wav", tone(300, 2.0, 48_000, 0.1, channels=2), 48_000)
    built = dataset(f"sounds:{own}#rate=8000&length=1024")
    assert built.schema.arguments == {"channels": 1, "rate": 8000, "length": 1024, "classes": 2} and built.schema.names == (
        "high",
        "low",
    )
    total = sum(len(split) for split in built.splits.values())
    assert total == 40 + 16000 // 1024 + 1 and set(built.splits) == {"train", "validation", "test"}
    for split in built.splits.values():
        batch = split.batch(range(len(split)))
        assert (
            batch.audio.shape[1:] == (1, 1024)
            and batch.audio.abs().amax((1, 2)).min() > 0.5
            and batch.audio.abs().max() <= 0.9001
        )
        strongest = torch.fft.rfft(batch.audio[:, 0, :400]).abs().argmax(1) * 20
        assert torch.equal(strongest < 600, batch.label == 1)
    where = [name for name, split in built.splits.items() if (split.batch(range(len(split))).audio[:, 0, -1] != 0).any()]
    assert len(where) == 1  # the windows of one recording, the only full ones, lie in one split


@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_used_is_counted_and_named(tmp_path: Path) -> None:
    own = sound_folders(tmp_path / "own")
    wav(own / "low" / "nothing.wav", np.zeros((1, 0)))
    wav(own / "low" / "silent.wav", np.zeros((1, 999)))
    (own / "high" / "text.wav").write_text("no sound")
    with pytest.warns(UserWarning, match="3 of 27 sounds in .* cannot be used") as caught:
        built = dataset(f"sounds:{own}#length=1024")
    message = next(str(w.message) for w in caught if "cannot be used" in str(w.message))
    assert all(
        part in message
        for part in ("nothing.wav has no samples", "silent.wav is silent", "text.wav cannot be read as a sound")
    )
    assert sum(len(split) for split in built.splits.values()) == 24
    for rate in (1, 2**31 - 1):  # a damaged header: hours of sound, or nothing of it
        content = bytearray((own / "low" / "nothing.wav").read_bytes() + bytes(4000))
        content[24:28] = rate.to_bytes(4, "little")
        content[40:44] = (4000).to_bytes(4, "little")
        with pytest.raises(PaperzooError, match=f"says that it has {rate:,} samples a second; read are 1,000 to 768,000"):
            sounds.read(bytes(content))
    with pytest.raises(PaperzooError, match="3 of 27"):
        dataset(f"sounds:{own}#length=1024", strict=True)


@pytest.mark.filterwarnings("ignore")
def test_loudness_and_stereo_are_options(tmp_path: Path) -> None:
    own = sound_folders(tmp_path / "own")
    quiet = dataset(f"sounds:{own}#length=1024&peak=0&channels=2")["train"]
    audio = quiet.batch(range(len(quiet))).audio
    assert (
        audio.shape[1:] == (2, 1024)
        and audio.abs().max() == pytest.approx(0.5, abs=0.01)
        and torch.equal(audio[:, 0], audio[:, 1])
    )


@pytest.mark.filterwarnings("ignore")
def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    own = sound_folders(tmp_path / "own")
    name = f"sounds:{own}#length=1024"
    before = {s: v.batch(range(len(v))).audio for s, v in dataset(name).splits.items()}
    wav(own / "low" / "00.wav", tone(4000, 0.05))
    from paperzoo.data import datasets

    datasets._build.cache_clear()
    after = {s: v.batch(range(len(v))).audio for s, v in dataset(name).splits.items()}
    assert sum(int((a != b).any((1, 2)).sum()) for a, b in zip(before.values(), after.values(), strict=True)) == 1


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rate=100", "rate is a whole number from 1000"),
        ("length=10", "from 64"),
        ("channels=3", "channels 2"),
        ("peak=200", "peak 100"),
        ("size=3", "unknown option 'size'"),
    ],
)
def test_options_out_of_range(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=said):
        dataset(f"sounds:{sound_folders(tmp_path / 'own', 2)}#{text}")


def test_folders_without_sounds(tmp_path: Path) -> None:
    (tmp_path / "none" / "sub").mkdir(parents=True)
    (tmp_path / "none" / "a.txt").write_text("x")
    with pytest.raises(PaperzooError, match="has no sounds"):
        dataset(f"sounds:{tmp_path / 'none'}")
    wav(tmp_path / "silent" / "a.wav", np.zeros((1, 100)))
    with pytest.raises(PaperzooError, match=r"1 of 1 sounds .* a.wav is silent"):
        dataset(f"sounds:{tmp_path / 'silent'}")


@pytest.mark.filterwarnings("ignore")
def test_sounds_without_classes_and_splits_by_folder(tmp_path: Path) -> None:
    for number, split in enumerate(("train", "valid", "test")):
        for i in range(3):
            wav(tmp_path / "own" / split / f"{i}.wav", tone(300 + 100 * number + i, 0.1))
    built = dataset(f"sounds:{tmp_path / 'own'}#length=1024")
    assert built.schema.fields == ("audio",) and {k: len(v) for k, v in built.splits.items()} == {
        "train": 6,
        "validation": 6,
        "test": 6,
    }
    assert not hasattr(built["train"][0], "label")
