"""The grammar of data names, and the tables that they are looked up in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from paperzoo.data import datasets
from paperzoo.data.audio import table as audio
from paperzoo.data.bodies import table as bodies
from paperzoo.data.boxes import table as boxes
from paperzoo.data.captions import table as captions
from paperzoo.data.datasets import DATASETS, OWN, absolute, listed, own_path, parse
from paperzoo.data.images import table as images
from paperzoo.data.points import table as points
from paperzoo.data.questions import table as questions
from paperzoo.data.series import table as series
from paperzoo.data.text import table as texts
from paperzoo.data.video import table as video
from paperzoo.data.volumes import table as volumes
from paperzoo.engine.judge import JUDGES

#: name -> kind, base, options, part, change, what is unread
NAMES = {
    "mnist": ("", "mnist", "", None, None, None),
    "mnist@20": ("", "mnist", "", (20, 0), None, None),
    "mnist@20:1": ("", "mnist", "", (20, 1), None, None),
    "mnist#labels=0.5": ("", "mnist", "", None, "labels=0.5", None),
    "mnist@20:1#labels=0.5&draw=2": ("", "mnist", "", (20, 1), "labels=0.5&draw=2", None),
    "mnist#": ("", "mnist", "", None, "", None),
    "mnist@": ("", "mnist", "", None, None, ""),
    "mnist@0": ("", "mnist", "", None, None, "0"),
    "mnist@few": ("", "mnist", "", None, None, "few"),
    "nothing:here": ("", "nothing:here", "", None, None, None),
    "folder:/a/pics": ("folder", "/a/pics", "", None, None, None),
    "folder:/a/pics@5:2#pixels=random": ("folder", "/a/pics", "", (5, 2), "pixels=random", None),
    "folder:/a/b#c": ("folder", "/a/b#c", "", None, None, None),  # no change has no =
    "folder:/a/me@home": ("folder", "/a/me@home", "", None, None, None),  # the path's @, not ours
    "series:/a/b.csv#target=x&history=3": ("series", "/a/b.csv", "target=x&history=3", None, None, None),
    "emoji-pairs:noto>twemoji": ("", "emoji-pairs:noto>twemoji", "", None, None, None),
    "emoji-pairs:noto>twemoji@20": ("", "emoji-pairs:noto>twemoji", "", (20, 0), None, None),
    "unpaired:/a/cats,/a/dogs": ("unpaired", "/a/cats,/a/dogs", "", None, None, None),
    "series:C:/b.csv": ("series", "C:/b.csv", "", None, None, None),
    "machines:/a/b#labels=1": ("machines", "/a/b#labels=1", "", None, None, None),  # neither options nor changes
}


@pytest.mark.parametrize(("name", "parts"), NAMES.items(), ids=NAMES)
def test_a_name_is_taken_apart(name: str, parts: tuple[object, ...]) -> None:
    found = parse(name)
    assert (found.kind, found.base, found.options, found.few, found.change, found.unread) == parts
    assert found.text == name and name.startswith(found.whole) and found.whole.startswith(found.stem)
    assert own_path(name) == (Path(found.base) if found.kind else None)
    assert listed(name) == (DATASETS[found.base] if found.base in ("mnist", "emoji-pairs:noto>twemoji") else None)


def test_a_path_that_is_there_may_look_like_a_part_or_a_change(tmp_path: Path) -> None:
    for odd in ("a@20", "b#labels=1", "c.csv#target=x"):
        (tmp_path / odd).mkdir()
        kind = "series" if "csv" in odd else "folder"
        found = parse(f"{kind}:{tmp_path}/{odd}")
        assert (found.base, found.options, found.few, found.change) == (f"{tmp_path}/{odd}", "", None, None)
    assert parse(f"folder:{tmp_path}/a@20@5").few == (5, 0) and parse(f"folder:{tmp_path}/a@20@5").base == f"{tmp_path}/a@20"
    assert parse(f"folder:{tmp_path}/a@20#labels=1").base == f"{tmp_path}/a@20"


def test_what_is_made_of_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert absolute("mnist@20:1") == "mnist@20:1"
    assert absolute("folder:pics@5#labels=1") == f"folder:{tmp_path}/pics@5#labels=1"
    assert absolute("series:~/b.csv#target=x") == "series:/home/me/b.csv#target=x"
    assert own_path("series:~/b.csv#target=x") == Path("/home/me/b.csv")
    assert parse("folder:/a/pics@5:1#labels=1").short == "folder:pics@5:1" and parse("series:/a/b.csv#target=x").short == "series:b.csv"
    assert parse("mnist@5#labels=1").short == "mnist@5#labels=1"
    assert parse("sprites@20:1#labels=1").slug == "sprites@20-1-labels-1"
    whole = parse("folder:/a/pics@5:1#labels=1")
    assert whole.unchanged() == parse("folder:/a/pics@5:1") and whole.entire() == parse("folder:/a/pics")


def test_a_judge_of_digits_judges_parts_of_them_whose_pixels_are_theirs() -> None:
    fits = JUDGES["zoo-digits"].fits
    assert fits("mnist") and fits("mnist@20:1") and fits("mnist#labels=1")
    assert not fits("mnist#pixels=random") and not fits("sprites") and not fits("folder:mnist")


def test_a_name_stands_in_one_table() -> None:
    tables = (images, points, series, texts, video, audio, volumes, captions, questions, boxes, bodies)
    assert sum(len(table.DATASETS) for table in tables) == len(DATASETS)
    assert sum(len(getattr(table, "OWN", {})) for table in tables) == len(OWN)
    assert not DATASETS.keys() & OWN.keys()
    folders = ("images", "points", "series", "text", "video", "audio", "volumes", "captions", "questions", "boxes", "bodies")
    for folder, table in zip(folders, tables, strict=True):
        rows = {**table.DATASETS, **getattr(table, "OWN", {})}
        assert {row.build.partition(".")[0] for row in rows.values()} == {folder}
    for row in OWN.values():
        assert callable(datasets._function(row.build))


def test_every_source_of_a_table_belongs_to_a_row() -> None:
    for table in (images, series, texts, captions, questions, boxes, bodies):
        for value in vars(table).values():
            several = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
            for source in several:
                if type(source).__name__ == "Source":
                    assert datasets.sources()[source.name] == source


def test_tables_are_read_without_torch() -> None:
    code = "import paperzoo.data.datasets as d; d.listed('mnist@5'); import sys; print([m for m in ('torch', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
