"""A program of its own: speaks with eSpeak NG. ``python speaker.py FOLDER`` reads lines of text, voice and words a minute from its
standard input and writes the rate, the lengths of all sounds (int32) and the sounds (int16) to its standard output.

``FOLDER`` holds the library and ``espeak-ng-data``. It runs apart so that no code of the library's is in the process that trains.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import numpy as np

#: of ``espeak_ng/speak_lib.h``
_SYNCHRONOUS, _UTF8, _CHARACTER, _RATE, _DO_NOT_EXIT = 2, 1, 1, 1, 0x8000


def main(folder: Path) -> None:
    """Speaks each line."""
    names = {"win32": "espeak-ng.dll", "darwin": "libespeak-ng.dylib"}
    library = ctypes.CDLL(str(folder / names.get(sys.platform, "libespeak-ng.so")))
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, str(folder).encode(), _DO_NOT_EXIT)
    if rate <= 0:
        sys.exit("its voices cannot be read")
    parts: list[np.ndarray] = []

    def hear(samples: ctypes._Pointer[ctypes.c_short], count: int, events: int) -> int:
        if samples and count > 0:
            parts.append(np.ctypeslib.as_array(samples, (count,)).astype("<i2"))
        return 0

    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    kept = kind(hear)  # as long as the library calls it
    library.espeak_SetSynthCallback(kept)
    sounds = []
    for line in sys.stdin.buffer.read().decode().splitlines():
        text, voice, speed = line.split("\t")
        parts.clear()
        if library.espeak_SetVoiceByName(voice.encode()):
            sys.exit(f"it has no voice {voice}")
        library.espeak_SetParameter(_RATE, int(speed), 0)
        spoken = text.encode() + b"\0"
        library.espeak_Synth(spoken, len(spoken), 0, _CHARACTER, 0, _UTF8, None, None)
        sounds.append(np.concatenate(parts) if parts else np.zeros(0, "<i2"))
    out = sys.stdout.buffer
    out.write(np.array([rate, *map(len, sounds)], "<i4").tobytes())
    for sound in sounds:
        out.write(sound.tobytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
