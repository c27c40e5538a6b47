"""Sounds: which sets there are, what builds each, and where its bytes come from."""

from __future__ import annotations

import dataclasses
import platform
import sys

from paperzoo.data.entry import Entry, Own
from paperzoo.data.fetch.sources import Source


def _deb(package: str, version: str, digest: str, licence: str) -> Source:
    pool = f"pool/main/{package[0]}/{'hydrogen' if package == 'hydrogen-data' else package.removesuffix('-samples')}/"
    return Source(
        name=f"{package}_{version}_all.deb",
        transport="deb",
        package=package,
        version=version,
        sha256=digest,
        licence=licence,
        how=f"Every mirror of Debian has it in {pool}",
    )


SONIC_PI = _deb(
    "sonic-pi-samples",
    "3.2.2~repack-8",
    "25f2312d2fae005e6ad0f4726b8ed3084e776006a5a132083506e960224ac79d",
    "CC0 (samples of Sonic Pi)",
)
DRUMKITS = _deb(
    "hydrogen-drumkits",
    "2017.09.19~dfsg-1",
    "6ea3c6df9a67762e2362f946c695e619859126b19fbccf32a2e8f07dfd03b2f4",
    "by kit: CC0 (Audiophob), CC BY 3.0 (rumpf kit, Emanuel Rumpf), CC BY-SA 3.0 or GPL-2 (drum kits of Hydrogen, their authors)",
)
#: the same file, of which only what is free is read
FREE_KITS = dataclasses.replace(
    DRUMKITS, licence="CC0 (kit Audiophob of Hydrogen); CC BY 3.0 (rumpf kit of Hydrogen, Emanuel Rumpf)"
)
HYDROGEN = _deb(
    "hydrogen-data",
    "1.2.0~beta1+dfsg-1",
    "d2cc3f281c02efb71f132bd173e95a958d3fede7c5aefcaba6547baf918cff2a",
    "GPL-2+ (drum kits of Hydrogen, their authors)",
)

#: system and processor -> the tag of the package that has eSpeak NG for it, and its SHA-256
ESPEAK_FILES = {
    ("linux", "x86_64"): (
        "manylinux_2_17_x86_64.manylinux2014_x86_64",
        "08721baf27d13d461f6be6eed9a65277e70d68234ff484fd8b9897b222cdcb6d",
    ),
    ("linux", "aarch64"): ("manylinux_2_28_aarch64", "d1e798141b46a050cdb75fcf3c17db969bb2c40394f3f4a48910655d547508b9"),
    ("darwin", "arm64"): ("macosx_11_0_arm64", "d27cdca31112226e7299d8562e889d3e38a1e48055c9ee381b45d669072ee59f"),
    ("win32", "AMD64"): ("win_amd64", "41f1e08ac9deda2efd1ea9de0b81dab9f5ae3c4b24284f76533d0a7b1dd7abd7"),
    ("win32", "ARM64"): ("win_arm64", "d7a2928843eaeb2df82f99a370f44e8a630f59b02f9b0d1f168a03c4eeb76b89"),
}


def espeak(system: str, processor: str) -> Source:
    """The package that has the speech synthesiser for a machine; for one that there is none for, that of Linux, which says so when run."""
    tag, digest = ESPEAK_FILES.get((system, processor), ESPEAK_FILES["linux", "x86_64"])
    return Source(
        name=f"espeakng_loader-0.2.4-py3-none-{tag}.whl",
        transport="wheel",
        package="espeakng-loader",
        version="0.2.4",
        sha256=digest,
        licence="speech without terms of its own; the program that speaks it (eSpeak NG 1.52) GPL-3+",
    )


ESPEAK = espeak(sys.platform, platform.machine())

#: name of a size -> samples a second, and how many of them
SIZES = {"": (16_000, 16_384), "-8k": (8_000, 4_096), "-4k": (4_000, 2_048)}


def _sized(name: str, about: str, build: str, sources: tuple[Source, ...], **arguments: object) -> dict[str, Entry]:
    return {
        name + ending: Entry(
            f"{about}, {length:,} samples at {rate:,} Hz", build, sources, {**arguments, "rate": rate, "length": length}
        )
        for ending, (rate, length) in SIZES.items()
    }


DATASETS = {
    **_sized(
        "spoken-digits",
        "the ten digits as 46 synthetic voices speak them in 8 accents",
        "audio.speech.spoken_digits",
        (ESPEAK,),
    ),
    **_sized("drums", "drum sounds of 17 kits", "audio.drums.drums", (SONIC_PI, DRUMKITS, HYDROGEN)),
    **_sized("drums-free", "those of them that are CC0 or CC BY", "audio.drums.drums", (SONIC_PI, FREE_KITS), free=True),
    "sine-mixtures": Entry(
        "sums of a sine of one of 8 frequencies and its octave, 1,024 samples at 8,192 Hz", "audio.sines.sine_mixtures"
    ),
    "sc09": Entry(
        "the spoken digits of Speech Commands, 16,384 samples at 16,000 Hz",
        "audio.commands.speech_commands",
        (
            Source(
                name="sc09",
                transport="folder",
                licence="CC BY 4.0 (Speech Commands, Warden 2018)",
                how="Put Speech Commands' folders zero/ to nine/ and its two lists there, or train/, valid/ and test/ of SC09",
            ),
        ),
        {"name": "sc09"},
    ),
    "speech-commands": Entry(
        "one-second words that many people spoke, 16,384 samples at 16,000 Hz",
        "audio.commands.speech_commands",
        (
            Source(
                name="speech-commands",
                transport="folder",
                licence="CC BY 4.0 (Speech Commands, Warden 2018)",
                how="Put the folders of Speech Commands there, validation_list.txt and testing_list.txt beside them",
            ),
        ),
        {"name": "speech-commands"},
    ),
}

#: the user's own data: prefix -> what follows the colon, and what builds it
OWN = {
    "sounds": Own(
        "sounds in a folder, in class folders or not: wav, flac, ogg or mp3 at any rate",
        "audio.folder.sound_folder",
        options=True,
        strict=True,
    ),
}
