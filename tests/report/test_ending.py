"""What a training begins and ends with on a terminal."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import paperzoo
from paperzoo import catalog, results
from paperzoo.engine.run import Run, open_run, read_json, write_json
from paperzoo.records import Target
from paperzoo.report.ending import after_demo, coloured, ending, minutes, program, took


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


def test_how_long_a_recipe_took_is_said_if_it_was_ever_measured() -> None:
    assert re.fullmatch(r"dcgan, small: \d+ minutes where it was measured \(.*cores.*\)", took("dcgan", "small"))
    assert took("dcgan", "paper") == "" and took("nothing", "small") == "" and took("dcgan", "no such") == ""
    assert [minutes(s) for s in (0.2, 40, 600, 7200)] == ["2 seconds", "40 seconds", "10 minutes", "2.0 hours"]


def test_a_recipe_takes_what_it_took_alone_for_all_its_steps_and_else_the_least_of_its_runs(monkeypatch) -> None:
    recipe = catalog.load("gan").paper.recipes["small"]
    row = {"seconds": 100, "hardware": "2 cores", "steps": 2 * recipe.steps, "step_hash": results.step_hash(recipe)}
    monkeypatch.setattr(results, "_times", lambda _: {"gan small": row})
    assert results.took("gan", "small") == (50, "2 cores")
    row["step_hash"] = results.step_hash(recipe.but(batch_size=7))  # what was timed were other steps
    assert results.took("gan", "small") != (50, "2 cores")
    seconds = [run["seconds"] for run in read_json(results.folder() / "dcgan" / "dcgan-small-mnist.json")["runs"]]
    assert len(seconds) > 1 and results.took("dcgan", "small")[0] == min(seconds)
    assert results.took("dcgan", "paper") is None


def test_what_is_missed_or_worse_is_red() -> None:
    shown = coloured("a  1  at most 0: missed\nb  1  at least 1: met\nWorse than persistence where it was held out")
    assert {(shown.plain[s.start : s.end], str(s.style)) for s in shown.spans} == {
        (": missed", "bold red"), (": met", "green"), ("Worse than persistence where it was held out", "bold red"),
    }  # fmt: skip


def test_the_demonstration_ends_with_three_commands(tmp_path: Path) -> None:
    lines = after_demo(Run(tmp_path)).splitlines()
    assert [line.split("paperzoo ")[1].split()[0] for line in lines] == ["sample", "predict", "train"]
