"""The listed sets of sounds: speech by a program out of a package, drums by name, sines by formula, Speech Commands by its lists."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.files import make_deb
from fixtures.sounds import tone, wav

from paperzoo.data.audio import commands, drums, speech
from paperzoo.data.audio.table import ESPEAK_FILES, espeak
from paperzoo.data.datasets import DATASETS, dataset
from paperzoo.errors import PaperzooError

soundfile = pytest.importorskip("soundfile")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))


# Sines ---------------------------------------------------------------------------------------------------------------


def test_sine_mixtures_have_their_peak_where_they_say() -> None:
    built = dataset("sine-mixtures")
    frequencies = torch.tensor(built.schema.arguments["frequencies"])
    for split in built.splits.values():
        batch = split.batch(range(len(split)))
        spectrum = torch.fft.rfft(batch.audio[:, 0]).abs() * 2 / 1024  # (N, 513): amplitudes
        peak = spectrum.argmax(1)
        assert torch.equal(peak * 8192 / 1024, frequencies[batch.label])
        row = torch.arange(len(peak))
        first, second = spectrum[row, peak], spectrum[row, 2 * peak]
        assert 0.399 < first.min() < 0.41 and 0.59 < first.max() < 0.601 and second.min() > 0.099 and second.max() < 0.301
        spectrum[row, peak] = spectrum[row, 2 * peak] = 0
        assert spectrum.max() < 1e-4 and torch.bincount(batch.label).unique().numel() == 1
    one, other = (built[split].batch(range(512)).audio for split in ("validation", "test"))
    assert not torch.isclose(one, other).all(2).any()


# Speech --------------------------------------------------------------------------------------------------------------


def spoken(word: str, voice: str, speed: int) -> np.ndarray:
    """A tone instead of a word: its pitch says which, its length which speed, its loudness which voice."""
    sound = tone(200 + 100 * speech.WORDS.index(word), 60 / speed, 22_050, 0.1 + 0.001 * (sum(map(ord, voice)) % 500))[0]
    return np.round(32767 * np.concatenate([np.zeros(100), sound, np.zeros(3000)])).astype(np.int16)


def test_spoken_digits_are_split_by_voice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[str, str, int]] = []

    def say(wheel: Path, order: list[tuple[str, str, int]]) -> tuple[list[np.ndarray], int]:
        asked.extend(order)
        return [spoken(*one) for one in order], 22_050

    monkeypatch.setattr(speech, "say", say)
    (tmp_path / "a.whl").write_bytes(b"wheel")
    built = speech.spoken_digits(tmp_path / "a.whl", 4000, 2048)
    assert {k: len(v) for k, v in built.splits.items()} == {"train": 5760, "validation": 800, "test": 800}
    voices = {split: set(names) for split, names in speech.VOICES.items()}
    assert not voices["train"] & voices["test"] and not voices["validation"] & (voices["train"] | voices["test"])
    assert len({*asked}) == len(asked) == 7360 and {len(v) for v in voices.values()} == {36, 5}
    for split in built.splits.values():
        batch = split.batch(range(0, len(split), 7))
        heard = torch.fft.rfft(batch.audio[:, 0, :1000]).abs().argmax(1) * 4
        assert torch.equal((heard - 200 + 50) // 100, batch.label)  # what is said is what the label says
        assert (batch.audio.abs().amax((1, 2)) - 0.9).abs().max() < 0.01 and not batch.audio[..., -400:].any()
        assert (batch.audio[..., :20].abs().amax((1, 2)) > 0.05).all()  # begins with the word
    assert built.schema.names[3] == "three" and built.pictures
    speech.spoken_digits(tmp_path / "a.whl", 4000, 2048)
    assert len(asked) == 7360  # prepared once


def test_a_program_that_does_not_run_here_is_said(tmp_path: Path) -> None:
    wheel = tmp_path / "espeakng_loader-0.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("espeakng_loader/libespeak-ng.so", b"no library")
    with pytest.raises(
        PaperzooError, match=r"eSpeak NG of espeakng_loader-0.whl does not run on this machine \(.*\); it is there for Linux"
    ):
        speech.say(wheel, [("one", "en", 100)])
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("other/a.txt", b"x")
    with pytest.raises(PaperzooError, match="has no folder espeakng_loader"):
        speech.say(wheel, [("one", "en", 100)])
    wheel.write_bytes(b"no archive")
    with pytest.raises(PaperzooError, match="damaged"):
        speech.say(wheel, [("one", "en", 100)])


def test_every_machine_has_its_own_file_and_others_are_told() -> None:
    assert len({espeak(*machine).sha256 for machine in ESPEAK_FILES}) == len(ESPEAK_FILES) == 5
    assert all(len(digest) == 64 for _, digest in ESPEAK_FILES.values())
    assert espeak("sunos5", "sparc") == espeak("linux", "x86_64")


# Drums ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind"), [
    ("Kick 1", "kick"), ("bd_haus", "kick"), ("drum_bass_hard", "kick"), ("c3 - bass drum 1", "kick"), ("Snare Rimshot", "snare"),
    ("sd_03", "snare"), ("SideStick-Hard", "snare"), ("Hand Clap", "clap"), ("HiHat", "hi-hat"), ("drum_cymbal_closed", "hi-hat"),
    ("drum_cymbal_open", "cymbal"), ("Ride (custom, Zagrebin 22\")", "cymbal"), ("Tom Floor", "tom"), ("t1_02", "tom"),
    ("Cowbell", "percussion"), ("tabla_ke1", "percussion"), ("loop_amen", None), ("emptySample", None), ("beats_02-10", None),
    ("bass_hard_c", None), ("ambi_choir", None),
])  # fmt: skip
def test_drums_by_name(name: str, kind: str | None) -> None:
    number = drums.kind_of(name)
    assert (None if number is None else list(drums.CLASSES)[number]) == kind


def flac(sound: np.ndarray, rate: int = 44_100) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, sound.T, rate, format="FLAC")
    return buffer.getvalue()


def packages(folder: Path) -> tuple[Path, Path]:
    """Sonic Pi's, and kits of Hydrogen: one free, one not; the names of one stand in its list."""
    samples, kits = drums._SAMPLES, drums._KITS
    own = {f"{samples}/bd_{i}x.flac": flac(tone(60 + i, 0.2, 44_100)) for i in range(40)}
    own |= {f"{samples}/loop_amen.flac": flac(tone()), f"{samples}/sn_none.flac": flac(np.zeros((1, 900)))}
    kit = "".join(f"<instrument><name>{name}</name><filename>{file}</filename></instrument>" for name, file in (
        ("Hi-hat open", "b_01.flac"), ("Snare", "b_02.flac"), ("Sample: b_03.flac", "b_03.flac")))  # fmt: skip
    free = {f"{kits}/rumpf_kit_z01_h2/b_0{i}.flac": flac(tone(1000 * i, 0.1, 44_100)) for i in (1, 2, 3)}
    other = {
        f"{kits}/GPL kit/Kick-{hard}.flac": flac(tone(50, 0.1 + 0.1 * i, 44_100))
        for i, hard in enumerate(("Soft", "Med", "Hardest"))
    }
    lists = {f"{kits}/rumpf_kit_z01_h2/drumkit.xml": f"<kit>{kit}</kit>".encode()}
    return make_deb(folder / "a.deb", own), make_deb(folder / "b.deb", {**free, **other, **lists})


def test_drums_are_read_by_kit_and_licence(tmp_path: Path) -> None:
    both = packages(tmp_path)
    free, whole = drums.drums(*both, free=True, rate=4000, length=1024), drums.drums(*both, rate=4000, length=1024)
    counts = {name: sum(np.bincount(v.columns[1].values.numpy(), minlength=7) for v in d.splits.values()) for name, d in  # type: ignore[attr-defined]
              (("free", free), ("whole", whole))}  # fmt: skip
    names = list(drums.CLASSES)
    assert dict(zip(names, counts["free"].tolist(), strict=True)) == {
        "clap": 0, "hi-hat": 1, "snare": 1, "kick": 40, "tom": 0, "cymbal": 0, "percussion": 0}  # fmt: skip
    assert counts["whole"].tolist() == (counts["free"] + np.eye(7, dtype=int)[3] * 3).tolist()
    assert free.pictures and not whole.pictures
    batch = whole["train"].batch(range(len(whole["train"])))
    assert batch.audio.shape[1:] == (1, 1024) and (batch.audio.abs().amax((1, 2)) - 0.9).abs().max() < 0.01


def test_strokes_on_one_instrument_lie_in_one_split() -> None:
    same = {drums.instrument("kit", name) for name in ("Kick-Soft", "Kick-Hardest", "Kick_03", "kick 2", "Kick")}
    assert same == {"kit/kick"} and drums.instrument("other", "Kick") != "kit/kick"
    assert drums.instrument("kit", "Tom Low") != drums.instrument("kit", "Tom Hi")


def test_packages_without_drums(tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match="have no drums"):
        drums.drums(make_deb(tmp_path / "a.deb", {f"{drums._SAMPLES}/loop_a.flac": flac(tone())}))


def test_a_set_whose_samples_may_be_shown_names_no_other_licence() -> None:
    assert (
        "GPL" in DATASETS["drums"].licence
        and "GPL" not in DATASETS["drums-free"].licence
        and "BY-SA" not in DATASETS["drums-free"].licence
    )


# Speech Commands -----------------------------------------------------------------------------------------------------


def command_folders(root: Path) -> Path:
    for number, word in enumerate(("zero", "one", "two", "bed")):
        for i in range(4):
            wav(root / word / f"{i}ab_nohash_0.wav", tone(300 + 100 * number + 10 * i, 1.0, 16_000, 0.2))
    wav(root / "_background_noise_" / "hum.wav", tone(50, 1.0))
    (root / "validation_list.txt").write_text("zero/0ab_nohash_0.wav\none/0ab_nohash_0.wav\nbed/0ab_nohash_0.wav\n")
    (root / "testing_list.txt").write_text("zero/1ab_nohash_0.wav\ntwo/1ab_nohash_0.wav\n")
    return root


def test_the_lists_say_the_splits(tmp_path: Path) -> None:
    root = command_folders(tmp_path / "own")
    whole, digits = commands.speech_commands(root), commands.speech_commands(root, "sc09")
    assert whole.schema.names == ("bed", "one", "two", "zero") and digits.schema.names == speech.WORDS
    assert {k: len(v) for k, v in whole.splits.items()} == {"train": 11, "validation": 3, "test": 2}
    assert {k: len(v) for k, v in digits.splits.items()} == {"train": 8, "validation": 2, "test": 2}
    batch = digits["test"].batch([0, 1])
    assert batch.audio.shape == (2, 1, 16_384) and batch.label.tolist() == [2, 0]  # by path: two before zero
    strongest = torch.fft.rfft(batch.audio[:, 0, :16_000]).abs().argmax(1)
    assert strongest.tolist() == [510, 310] and batch.audio.abs().max() == pytest.approx(
        0.2, abs=1e-3
    )  # as loud as it was recorded
    assert not batch.audio[..., 16_000:].any()


def test_what_the_lists_lack(tmp_path: Path) -> None:
    root = command_folders(tmp_path / "own")
    with (root / "testing_list.txt").open("a") as file:
        file.write("zero/gone.wav\n")
    with pytest.raises(PaperzooError, match=r"testing_list.txt of .* names zero/gone.wav, which is not there"):
        commands.speech_commands(root)
    (root / "testing_list.txt").unlink()
    with pytest.raises(PaperzooError, match=r"has no testing_list\.txt"):
        commands.speech_commands(root)


def test_sc09_in_three_folders(tmp_path: Path) -> None:
    for number, split in enumerate(("train", "valid", "test")):
        for i, word in enumerate(("Zero", "Nine")):
            wav(tmp_path / split / f"{word}_{number}ab_nohash_0.wav", tone(300 + 50 * number + 100 * i, 0.9))
    built = commands.speech_commands(tmp_path, "sc09")
    assert all(v.batch([0, 1]).label.tolist() == [9, 0] for v in built.splits.values()) and len(built.splits) == 3
    wav(tmp_path / "train" / "One_x.wav", np.zeros((1, 0)))
    with pytest.raises(PaperzooError, match=r"One_x\.wav cannot be used: .*no samples"):
        commands.speech_commands(tmp_path, "sc09")
