"""What a training begins and ends with on a terminal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import paperzoo
from paperzoo import catalog
from paperzoo.engine.run import open_run, read_json, write_json
from paperzoo.records import Target
from paperzoo.report.ending import ending, program


def test_a_training_begins_with_what_it_is_and_ends_with_its_figures_and_what_comes_next(tmp_path: Path, capsys, monkeypatch) -> None:
    run = paperzoo.train("lenet", "smoke", out=tmp_path, overrides={"steps": 3})
    said = capsys.readouterr().err.splitlines()[0]
    assert "lenet, smoke: 3 steps on digits (1,438 items, batches of 64); 61,706 parameters, float32 on cpu; in " in said
    assert str(run.directory) in said

    lines = ending(run).splitlines()
    assert lines[1].split() == ["metric", "value"]  # a recipe that was changed is held against no target
    assert [line.rsplit("  ", 1)[0].strip() for line in lines[2 : 2 + len(run.metrics)]] == list(run.metrics)
    assert lines[-2:] == [f"next: paperzoo predict {run.directory} PICTURE.png", f"      paperzoo report {run.directory}"]

    entry = catalog.load("lenet")
    recipe = replace(entry.paper.recipes["smoke"], targets=(Target("error %", at_most=-1.0), Target("loss", at_most=100.0)))
    monkeypatch.setitem(entry.module.RECIPES, "smoke", recipe)
    info = read_json(run.directory / "run.json")
    write_json(run.directory / "run.json", {**info, "overrides": {}})
    table = ending(open_run(run.directory))
    assert "at most -1: missed" in table and "at most 100: met" in table


def test_the_next_command_is_one_that_the_shell_finds(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("sys.argv", [".venv/bin/paperzoo", "train"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program() == ".venv/bin/paperzoo"
    (tmp_path / "paperzoo").touch(mode=0o755)
    assert program() == "paperzoo"
