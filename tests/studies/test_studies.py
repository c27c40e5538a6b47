"""Studies: found runs are not trained again, workers give what one process gives, and what a lesion does to a network."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from fixtures import dying
from matplotlib.figure import Figure

import paperzoo
from paperzoo.engine.spread import on_processes, on_ray
from paperzoo.errors import PaperzooError
from paperzoo.papers.recognition import preact_resnet, resnet
from paperzoo.report import compare, study
from paperzoo.studies import degradation, lesion
from paperzoo.studies.trial import Outcome, Trial

pytestmark = [pytest.mark.processor, pytest.mark.usefixtures("undrawn")]


def two(quick: bool) -> list[Trial]:
    """A study of seconds in place of ``degradation``'s."""
    overrides = {"steps": 3, "model.width": 4, "model.depth": 8}
    return [Trial("residual", 8, "resnet:resnet20", "smoke", seed, overrides) for seed in (0, 1)]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only in this process: workers have the module as it stands."""
    monkeypatch.setattr(degradation, "trials", two)


def test_every_study_says_what_it_must_and_names_recipes_that_exist() -> None:
    from paperzoo.engine.job import resolve

    assert {"degradation", "lesion"} <= set(study.names())
    for name in study.names():
        module = study.load(name)
        assert module.__doc__ and module.TITLE and module.EXPECTED and module.BEYOND
        for quick in (True, False):
            if hasattr(module, "searches"):  # whose candidates depend on what was found: the first of each
                wanted = [candidate for search in module.searches(quick, None).values() for candidate in next(search)]
                assert len({(c.label, c.x, c.seed) for c in wanted}) == len(wanted) and len({c.seed for c in wanted}) == (1 if quick else 5)
                resolve(wanted[0].paper, wanted[0].recipe, seed=wanted[0].seed, overrides=wanted[0].overrides)
                continue
            trials = module.trials(quick)
            assert len({(t.label, t.x, t.seed) for t in trials}) == len(trials)
            assert len({t.seed for t in trials}) == (1 if quick else 3)
            for trial in trials:
                resolve(trial.paper, trial.recipe, seed=trial.seed, overrides=trial.overrides)
        assert study.page(name).startswith(f"# {module.TITLE}")


def test_a_second_call_only_draws(small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = study.run("degradation", quick=True, out=tmp_path)
    record = json.loads((tmp_path / "degradation-quick" / "study.json").read_text())
    assert [t["seed"] for t in record["trials"]] == [0, 1] and "training error %" in record["trials"][0]["numbers"]
    assert (tmp_path / "degradation-quick" / "study.png").stat().st_size > 5000
    monkeypatch.setattr("paperzoo.report.compare.train", lambda *_, **__: pytest.fail("trained again"))
    monkeypatch.setattr(degradation, "analyse", lambda *_: pytest.fail("analysed again"))
    assert study.run("degradation", quick=True, out=tmp_path) == first


def test_workers_find_what_one_process_finds(tmp_path: Path) -> None:
    alone, shared = (tmp_path / name for name in ("alone", "shared"))
    torch.set_num_threads(1)
    for out, workers in ((alone, 1), (shared, 2)):
        calls = [("degradation", number, True, str(out)) for number in (0, 2)]
        assert sorted(dict(on_processes(calls, workers, study._one))) == [0, 2]
    figures = [
        sorted((p.parent.name, json.loads(p.read_text())["metrics"]["loss"]) for p in out.glob("*/result.json")) for out in (alone, shared)
    ]
    assert len(figures[0]) == 2 and [n for n, _ in figures[0]] == [n for n, _ in figures[1]]
    assert np.allclose([loss for _, loss in figures[0]], [loss for _, loss in figures[1]], rtol=1e-3)


def test_a_run_whose_worker_dies_is_done_again_once_and_it_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    calls = [("degradation", number, True, str(tmp_path)) for number in range(4)]
    assert dict(on_processes(calls, 2, dying.once)) == {number: str(number) for number in range(4)}
    assert (tmp_path / "attempts-1").read_text() == "xx"
    said = capfd.readouterr().err
    assert said.count("a worker died") == 1 and "2" in said.partition("done again")[2].splitlines()[0]
    with pytest.raises(PaperzooError, match=r"died twice.*of degradation"):
        list(on_processes(calls[:1], 2, dying.always))


def test_an_interrupted_study_goes_on_and_a_stale_run_is_trained_anew(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, train = [], compare.train

    def watched(*args: Any, **settings: Any) -> Any:
        trained.append(settings["seed"])
        if interrupted and len(trained) == 2:
            raise KeyboardInterrupt
        return train(*args, **settings)

    monkeypatch.setattr(compare, "train", watched)
    interrupted = True
    with pytest.raises(KeyboardInterrupt):
        study.run("degradation", out=tmp_path)
    interrupted = False
    study.run("degradation", out=tmp_path)
    assert trained == [0, 1, 1]
    (found,) = (tmp_path / "degradation" / "runs").glob("*s0/run.json")
    info = json.loads(found.read_text())
    found.write_text(json.dumps({**info, "method_hash": "of another text"}))
    study.run("degradation", out=tmp_path)
    assert trained == [0, 1, 1, 0]


def test_ray_finds_the_same(tmp_path: Path) -> None:  # where Ray is installed: it takes a minute or more to start
    pytest.importorskip("ray")
    calls = [("degradation", number, True, str(tmp_path)) for number in (0, 2)]
    found = dict(on_ray(calls, 2, study._one))
    assert sorted(found) == [0, 2] and all((Path(d) / "result.json").is_file() for d in found.values())


def test_wrong_words_are_named(tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=r"unknown study 'degradaton'.*degradation"):
        study.run("degradaton", out=tmp_path)
    with pytest.raises(PaperzooError, match="--workers must be at least 1"):
        study.run("degradation", workers=0, out=tmp_path)
    with pytest.raises(PaperzooError, match="unknown way to spread runs 'slurm'"):
        study.run("degradation", on="slurm", out=tmp_path)
    with pytest.raises(PaperzooError, match="run paperzoo study degradation first"):
        study.record("degradation", tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_a_study_says_is_not_what_it_computes(tmp_path: Path) -> None:
    source = Path(str(lesion.__file__)).read_text(encoding="utf-8")
    file, other = tmp_path / "lesion.py", ModuleType("lesion")
    other.__file__ = str(file)
    for changed, same in (("FINDING =", True), ("QUICK_FINDING =", False)):
        file.write_text(source.replace("FINDING = ", f"{changed} 'Something else: ' + ", 1), encoding="utf-8")
        assert (study._numbers(tmp_path, other).name == study._numbers(tmp_path, lesion).name) is same


def test_record_and_page(small: None, tmp_path: Path) -> None:
    study.run("degradation", out=tmp_path / "runs")
    written = study.record("degradation", tmp_path / "runs", tmp_path)
    assert [p.relative_to(tmp_path).as_posix() for p in written] == ["results/studies/degradation.json", "results/studies/degradation.png"]
    page = study.page("degradation", tmp_path)
    assert "| residual | 8 |" in page and "../../results/studies/degradation.png" in page


def test_networks_are_looked_at_with_images_of_the_size_they_were_trained_on(tmp_path: Path) -> None:
    trial = Trial("plain 20", 8, "resnet:resnet20", "smoke", 0, {"steps": 60, "model.width": 4, "model.depth": 14, "model.image_size": 16})
    run = paperzoo.train(trial.paper, trial.recipe, overrides=trial.overrides, out=tmp_path)
    assert lesion.analyse(run, trial)["error %"] == pytest.approx(run.metrics["error %"]) and run.metrics["error %"] < 40
    assert degradation.analyse(run, trial)["training error %"] < run.metrics["error %"] + 3


# --- lesions -----------------------------------------------------------------------------------------------------------


def network(kind: Any, **arguments: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    model: torch.nn.Module = kind.Model(depth=20, width=4, channels=1, image_size=8, **arguments).eval()
    return model


def test_blocks_that_keep_their_shape_are_found_stage_by_stage() -> None:
    image = torch.rand(2, 1, 8, 8)
    assert [len(stage) for stage in lesion.blocks_of(network(resnet), image)] == [3, 2, 2]
    assert [len(stage) for stage in lesion.blocks_of(network(preact_resnet, bottleneck=False), image)] == [2, 2, 2]


def test_a_block_passed_over_is_its_shortcut() -> None:
    model, image = network(preact_resnet, bottleneck=False), torch.rand(2, 1, 8, 8)
    (block, *_), *_ = lesion.blocks_of(model, image)
    whole = model(image)
    with lesion.instead({block: lesion.passed_over}):
        without = model(image)
    assert not torch.allclose(whole, without) and torch.equal(model(image), whole)
    for conv in block.convs:  # type: ignore[union-attr]
        torch.nn.init.zeros_(conv.weight)  # a branch that says nothing: the block is its shortcut
    assert torch.equal(model(image), without)


def test_gradient_along_all_paths_adds_up_to_the_gradient() -> None:
    """One block: the path through it and the path round it together carry all; the outputs stay as they were."""
    model, image = network(preact_resnet, bottleneck=False), torch.rand(2, 1, 8, 8, requires_grad=True)
    (block, *_), *_ = lesion.blocks_of(model, image)
    whole = model(image)
    (expected,) = torch.autograd.grad(whole.sum(), image)
    parts = []
    for change in (lesion.through, lesion.round_it):
        with lesion.instead({block: change}):
            out = model(image)
        assert torch.allclose(out, whole, atol=1e-5)
        parts.append(torch.autograd.grad(out.sum(), image)[0])
    assert torch.allclose(parts[0] + parts[1], expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(parts[0], expected, rtol=1e-2)


def test_figures_are_drawn_from_numbers_alone() -> None:
    numbers = {
        "error %": 5.0, "one": [6.0, 7.0], "many": [[1, 6.0], [2, 9.0]], "order": [[1.0, 5.0], [0.4, 20.0]],
        "gradient": [[0, 1.0], [1, 0.5], [2, 0.1]], "training error %": 1.0, "training loss": 0.1,
    }  # fmt: skip
    for module in (degradation, lesion):
        found = [Outcome(t, "", {"error %": 5.0}, numbers, 1.0, "", ((1, 2.0), (2, 1.0))) for t in module.trials(True)]
        assert isinstance(module.draw(found), Figure)
        header, *rows = module.table(found)
        assert rows and all(len(row) == len(header) for row in rows)
