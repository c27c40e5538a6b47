"""Writing a file that a user names, and names from data on a terminal."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest
from PIL import Image
from rich.console import Console
from rich.text import Text

from paperzoo.engine.progress import Reporter
from paperzoo.errors import PaperzooError
from paperzoo.files import exists, ordinary, path_of, write
from paperzoo.tasks.classification import Classification
from paperzoo.tasks.maintenance import Alarm, Alarms
from paperzoo.tasks.pictures import save
from paperzoo.terminal import plain, rich_text


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    assert write(tmp_path / "new" / "a.txt", "é") == tmp_path / "new" / "a.txt"
    assert (tmp_path / "new" / "a.txt").read_bytes() == "é".encode() and names(tmp_path / "new") == ["a.txt"]
    (tmp_path / "new" / "a.txt").chmod(0o640)
    write(tmp_path / "new" / "a.txt", lambda file: file.write(b"again"))
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"again"
    assert stat.S_IMODE((tmp_path / "new" / "a.txt").stat().st_mode) == 0o640
    before = os.umask(0o027)
    try:
        assert stat.S_IMODE(write(tmp_path / "b", b"").stat().st_mode) == 0o640  # as any program would make it
    finally:
        os.umask(before)


def test_what_breaks_while_it_is_written_leaves_all_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def full(file: IO[bytes]) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(PaperzooError, match=r"cannot write .*a: No space left on device"):
        write(tmp_path / "a", full)
    assert (tmp_path / "a").read_text() == "old" and names(tmp_path) == ["a"]
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a", lambda file: (_ for _ in ()).throw(KeyboardInterrupt))
    assert (tmp_path / "a").read_text() == "old" and names(tmp_path) == ["a"]


def test_only_ordinary_files_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "fixed").write_text("read only")
    (tmp_path / "fixed").chmod(0o444)
    before = names(tmp_path)
    for name, says in {
        "link": "it is a link", "dangling": "it is a link", "folder": "it is a folder", "pipe": "it is a pipe", "fixed": "it is read-only",
        "target/below": "", "n" * 256: "name too long", "a\0": "null", "folder/": "it is a folder",
    }.items():  # fmt: skip
        for content in (b"new", "new"):
            with pytest.raises(PaperzooError, match=f"(?i)^cannot write .*{says}") as refused:
                write(Path(f"{tmp_path}/{name}"), content)
            assert "\n" not in str(refused.value)
    for device in ("/dev/null", "/dev/full"):
        with pytest.raises(PaperzooError, match="it is a device"):
            save(Image.new("L", (2, 2)), Path(device))
        assert stat.S_ISCHR(os.stat(device).st_mode)
    with pytest.raises(PaperzooError, match="name a file"):
        write(Path("/"), b"")
    assert names(tmp_path) == before and (tmp_path / "target").read_text() == "mine"
    assert os.readlink(tmp_path / "link") == str(tmp_path / "target") and (tmp_path / "fixed").read_text() == "read only"


def test_nothing_is_written_through_a_link_that_has_the_scratch_file_s_old_name(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("safe")
    (tmp_path / ".a.png.part").symlink_to(tmp_path / "victim")
    save(Image.new("L", (2, 2)), tmp_path / "a.png")
    assert (tmp_path / "victim").read_text() == "safe"


def test_paths_that_users_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home := tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(home))
    assert write(Path("~/a.txt"), "x") == home / "a.txt" and names(home) == ["a.txt"]  # --out=~/a.txt, which no shell reads
    assert path_of("~").is_dir() and path_of("~nosuchuser/x") == Path("~nosuchuser/x")
    assert not any(map(exists, ("~nosuchuser", "n" * 5000, "a\0b", "a/" * 5000)))
    for place in ("~nosuchuser", "n" * 5000, "a\0b"):
        with pytest.raises(PaperzooError) as refused:
            ordinary(place)
        assert len(str(refused.value)) < 400


# The terminal --------------------------------------------------------------------------------------------------------

HOSTILE = "a[b]\x1b[31mred\x07\x9b2J\u202egpj\nnext\udcff[/b] :smile: 猫 é"
SHOWN = "a[b]\\x1b[31mred\\x07\\x9b2J\\u202egpj\\nnext\\udcff[/b] :smile: 猫 é"


def test_nothing_in_a_name_is_obeyed() -> None:
    assert plain(HOSTILE) == SHOWN
    assert plain("two\nlines\t", keep="\n") == "two\nlines\\t" and plain(Path("a b")) == "a b" and plain("") == ""


def printed(answer: object) -> str:
    out = io.StringIO()
    Console(file=out, force_terminal=True, color_system=None, width=500).print(rich_text(answer), highlight=False, soft_wrap=True)
    return out.getvalue()


def test_answers_print_as_text() -> None:
    kind = Classification(0, HOSTILE, 0.5, (0.5, 0.5), ((HOSTILE, 0.5), ("leaf [healthy]", 0.5)))
    assert printed(kind) == f"{SHOWN} (50.0%), leaf [healthy] (50.0%)\n"
    from datetime import datetime

    alarm = Alarm("pump[a]\x1b[2J\nno", datetime(2020, 1, 2), 0.5)
    told = printed(Alarms(3, 0.1, (alarm,), (), ("[/b]\n",)))
    assert "pump[a]\\x1b[2J\\nno  2020-01-02 00:00  50.0%\n" in told and "no window for [/b]\\n\n" in told


def test_colours_of_our_own_stay_and_escapes_in_them_do_not() -> None:
    class Answer:
        def __rich__(self) -> Text:
            return Text.assemble("begin [x] ", ("na\x1bme", "red"), "\nend")

    text = rich_text(Answer())
    assert text.plain == "begin [x] na\\x1bme\nend"
    assert [(text.plain[s.start : s.end], str(s.style)) for s in text.spans] == [("na\\x1bme", "red")]


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_shows_names_as_text(terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with Reporter("mine[b]:\x1b[31m", 2) as reporter:
        reporter.say("leaf [healthy] :smile: [/b] \x1b[2J")
        reporter.update(2, {"loss[a]": 1.0})
    shown = capsys.readouterr().err
    assert "leaf [healthy] :smile: [/b] \\x1b[2J" in shown and "loss[a]" in shown and "mine[b]:\\x1b[31m" in shown


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_output_that_is_not_utf_8_does_not_fail(encoding: str, tmp_path: Path) -> None:
    for number in range(4):
        place = tmp_path / "own" / ("猫", "é[a]")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9), (number, 9, 9)).save(place / f"{number}.png")
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    for words in (["data", "show", f"folder:{tmp_path / 'own'}", "--out", str(tmp_path / "é.png")], ["list"], ["--help"]):
        done = subprocess.run([sys.executable, "-m", "paperzoo", *words], capture_output=True, env=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        if words[0] == "data":
            said = done.stdout.decode(encoding)
            assert "classes: 2" in said and ("é.png" if encoding != "ascii" else "\\xe9.png") in said
            warned = done.stderr.decode(encoding)
            assert ("猫: 1" if encoding == "utf-8" else "\\u732b: 1") in warned and "[a]" in warned
    assert (tmp_path / "é.png").is_file()
