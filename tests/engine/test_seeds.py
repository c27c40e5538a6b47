"""Several seeds of one training: nothing is trained twice, and what was interrupted goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.files import type_in
from PIL import Image

from paperzoo import PaperzooError
from paperzoo.engine import seeds
from paperzoo.engine.job import resolve
from paperzoo.engine.run import read_json
from paperzoo.engine.start import Start
from paperzoo.engine.train import train

SMALL = {"steps": 3}


@pytest.mark.parametrize(("text", "meant"), [("0,1,2", [0, 1, 2]), ("3", [3]), ("0-2, 7", [0, 1, 2, 7])])
def test_seeds_are_a_list_or_a_range(text: str, meant: list[int]) -> None:
    assert seeds.parse(text) == meant


@pytest.mark.parametrize("text", ["", "a", "1,,2", "2-1", "-1", "0,0", "0-2,1", "1.5", "0-99999999"])
def test_other_seeds_are_refused(text: str) -> None:
    with pytest.raises(PaperzooError, match="--seeds"):
        seeds.parse(text)


def test_what_is_finished_is_found_again_and_what_was_interrupted_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[int] = []

    def spied(name: str, recipe: str, data: object, init: object, seed: int, *rest: object) -> object:
        trained.append(seed)
        return train(name, recipe, None, None, seed, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(seeds, "train", spied)
    first = seeds.train_seeds([0, 1], "lenet", "smoke", out=tmp_path, overrides=SMALL)
    assert trained == [0, 1] and first[0].metrics != first[1].metrics
    (first[1].directory / "result.json").unlink()  # as if it had been stopped
    again = seeds.train_seeds([0, 1, 2], "lenet", "smoke", out=tmp_path, overrides=SMALL)
    assert trained == [0, 1, 2] and [run.metrics for run in again[:2]] == [run.metrics for run in first]
    assert [read_json(run.directory / "run.json")["seed"] for run in again] == [0, 1, 2]
    other = seeds.train_seeds([0], "lenet", "smoke", out=tmp_path, overrides={"steps": 2})
    assert trained == [0, 1, 2, 0] and other[0].directory != first[0].directory, "another recipe is another training"


def test_damaged_runs_and_other_peoples_are_passed_over_and_other_pictures_are_another_training(tmp_path: Path) -> None:
    for name, text in (("a-s0", "no json"), ("b-s0", "{}"), ("c-s0", "[]"), ("d-s01", '{"name": 3}')):
        (tmp_path / "r" / name).mkdir(parents=True)
        (tmp_path / "r" / name / "run.json").write_text(text)
    for index in range(24):
        kind = tmp_path / "own" / "ab"[index % 2]
        kind.mkdir(parents=True, exist_ok=True)
        Image.new("L", (32, 32), 10 * index).save(kind / f"{index}.png")

    def once() -> Path:
        (run,) = seeds.train_seeds([0], "lenet", "smoke", f"folder:{tmp_path / 'own'}", out=tmp_path / "r", overrides=SMALL)
        return run.directory

    first = once()
    assert once() == first
    Image.new("L", (32, 32), 255).save(tmp_path / "own" / "a" / "0.png")
    assert once() != first


def test_all_are_refused_before_the_first_is_trained(tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match="steps"):
        seeds.train_seeds([0, 1], "lenet", "smoke", out=tmp_path, overrides={"steps": "many"})
    assert not list(tmp_path.iterdir())


def test_the_command_ends_with_mean_and_deviation(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = type_in(
        "train", "lenet", "--recipe", "smoke", "--seeds", "0,1", "--set", "steps=2", "--out", "r", capsys=capsys, monkeypatch=monkeypatch
    )
    assert code == 0
    table = out[out.rindex("metric ") :].splitlines()
    assert table[0].split() == ["metric", "mean", "deviation", "seeds"] and table[1].startswith("error %") and table[1].endswith("2")
    assert [line.rpartition("-")[2] for line in table[-2:]] == ["s0", "s1"]
    code, _, err = type_in("train", "lenet", "--seed", "1", "--seeds", "0,1", capsys=capsys, monkeypatch=monkeypatch)
    assert code == 2 and "give one of them" in err


def test_a_model_knows_what_its_data_call_the_classes_while_it_trains_and_when_it_goes_on(tmp_path: Path) -> None:
    asked = resolve("mocogan:categorical", "smoke-categorical", overrides={"steps": 2, "batch_size": 2})
    first = Start.fresh(asked, asked.dataset(), asked.build(asked.dataset()))
    assert first.model.names == ("horizontal", "vertical")  # type: ignore[comparison-overlap]
    run = train("mocogan:categorical", "smoke-categorical", out=tmp_path, overrides={"steps": 2, "batch_size": 2})
    assert Start.of(asked, run).model.names == ("horizontal", "vertical")  # type: ignore[comparison-overlap]
