"""Several seeds of one training: nothing is trained twice, and what was interrupted goes on."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from fixtures import dying
from fixtures.files import type_in
from PIL import Image

from paperzoo import PaperzooError
from paperzoo.engine import seeds
from paperzoo.engine.job import resolve
from paperzoo.engine.run import read_json
from paperzoo.engine.spread import on_ray
from paperzoo.engine.start import Start
from paperzoo.engine.train import train

SMALL = {"steps": 3}


@pytest.mark.parametrize(("text", "meant"), [("0,1,2", [0, 1, 2]), ("3", [3]), ("0-2, 7", [0, 1, 2, 7])])
def test_seeds_are_a_list_or_a_range(text: str, meant: list[int]) -> None:
    assert seeds.parse(text) == meant


@pytest.mark.parametrize("text", ["", "a", "1,,2", "2-1", "-1", "0,0", "0-2,1", "1.5", "0-99999999", "\N{ARABIC-INDIC DIGIT ONE}"])
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


def test_seeds_are_spread_over_workers_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Called as the command does; what the workers are given means the same in another folder."""
    monkeypatch.chdir(tmp_path)
    one = seeds.train_seeds([0, 1], "lenet", "smoke", out="one", overrides=SMALL)
    calls: list[tuple[object, ...]] = []

    def spread(asked: list[tuple[object, ...]], run: Callable[..., str], workers: int, on: str) -> list[tuple[int, str]]:
        calls.extend(asked)
        monkeypatch.chdir("/")
        done = [(call[1], run(*pickle.loads(pickle.dumps(call)))) for call in reversed(asked)]
        monkeypatch.chdir(tmp_path)
        return done  # type: ignore[return-value]

    monkeypatch.setattr(seeds, "spread", spread)
    many = seeds.train_seeds([0, 1], "lenet", "smoke", out="many", overrides=SMALL, workers=2)
    assert [run.metrics for run in many] == [run.metrics for run in one] and len(calls) == 2
    assert [run.directory.parent for run in many] == [Path("many")] * 2 and [run.info["seed"] for run in many] == [0, 1]
    assert [run.info["recipe_hash"] for run in many] == [run.info["recipe_hash"] for run in one]
    again = seeds.train_seeds([1, 0], "lenet", "smoke", out="many", overrides=SMALL, on="ray")
    assert [run.directory for run in again] == [run.directory for run in reversed(many)]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--workers", "2"), "give --seeds too"),
        (("--on", "ray"), "give --seeds too"),
        (("--seeds", "0,1", "--workers", "0"), "--workers must be at least 1, not 0"),
        (("--seeds", "0,1", "--on", "slurm"), "unknown way to spread runs 'slurm'"),
        (("--seeds", "0,1", "--workers", "2", "--devices", "2"), "--devices shares one run among processes"),
    ],
)
def test_what_cannot_be_spread_is_refused(
    asked: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = type_in("train", "lenet", "--recipe", "smoke", *asked, "--out", "r", capsys=capsys, monkeypatch=monkeypatch)
    assert code == 2 and said in err and len(err.strip().splitlines()) == 1 and not list(tmp_path.iterdir())


def test_without_ray_its_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(PaperzooError, match=r'needs Ray: pip install "paperzoo\[ray\]"'):
        seeds.train_seeds([0, 1], "lenet", "smoke", out=tmp_path / "r", on="ray")
    assert not (tmp_path / "r").exists()


def test_a_cluster_that_fails_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class RayError(Exception):
        pass

    kinds = {name: type(name, (RayError,), {}) for name in ("WorkerCrashedError", "NodeDiedError", "OutOfMemoryError", "RayTaskError")}

    def get(ready: int) -> str:
        raise RayError("The task's local raylet died. Check raylet.out.\nMore.")

    calls: list[str] = []
    fake = SimpleNamespace(
        exceptions=SimpleNamespace(RayError=RayError, **kinds), is_initialized=lambda: False, init=lambda **how: calls.append("init"),
        cluster_resources=dict, remote=lambda **how: lambda one: SimpleNamespace(remote=lambda *call: 1),
        wait=lambda waiting, num_returns: (waiting, []), get=get, shutdown=lambda: calls.append("shutdown"),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(PaperzooError, match=r"^Ray has failed: The task's local raylet died\. Check raylet\.out; .*same command goes on$"):
        list(on_ray([("lenet", 0)], 1, str))
    assert calls == ["init", "shutdown"]


# ---------------------------------------------------------------- Ray, where it is installed


def test_ray_trains_what_one_process_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Seeds, a worker that dies once and one that dies twice, an error of the user's, and a cluster that is not there."""
    ray = pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    one = seeds.train_seeds([0, 1], "lenet", "smoke", out=tmp_path / "one", overrides=SMALL)
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False)
    try:
        many = seeds.train_seeds([0, 1], "lenet", "smoke", out=tmp_path / "many", overrides=SMALL, on="ray")
        for alone, far in zip(one, many, strict=True):
            assert far.metrics == pytest.approx(alone.metrics, rel=1e-4)
            assert [line["loss"] for line in far.lines if "loss" in line] == [
                pytest.approx(line["loss"], rel=1e-4) for line in alone.lines if "loss" in line
            ]
        calls = [("lenet", number, True, str(tmp_path)) for number in range(3)]
        assert dict(on_ray(calls, 2, dying.once)) == {number: str(number) for number in range(3)}
        assert (tmp_path / "attempts-1").read_text() == "xx" and capfd.readouterr().err.count("a worker died: run 2 is done again") == 1
        with pytest.raises(PaperzooError, match="a worker died twice, out of memory perhaps, at run 1 of lenet"):
            list(on_ray(calls[:1], 2, dying.always))
        with pytest.raises(PaperzooError, match=r"^unknown paper 'lenett'"):
            list(on_ray([("lenett", 0, "smoke", 0, "", {}, str(tmp_path), [])], 2, seeds._one))
    finally:
        ray.shutdown()
    for nowhere in ("127.0.0.1:1", "ray://127.0.0.1:1"):
        monkeypatch.setenv("RAY_ADDRESS", nowhere)
        with pytest.raises(PaperzooError, match=rf"the cluster at RAY_ADDRESS={nowhere} cannot be reached: [^\n]+$"):
            seeds.train_seeds([0, 1], "lenet", "smoke", out=tmp_path / "nowhere", on="ray")
    assert not (tmp_path / "nowhere").exists()
