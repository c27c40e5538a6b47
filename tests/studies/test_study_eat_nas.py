"""The search over architectures: a kill costs nothing, budgets are kept, what diverges counts as 0, and what the table says."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure

from paperzoo.engine.loop import Loop
from paperzoo.engine.spread import on_processes
from paperzoo.errors import PaperzooError
from paperzoo.papers.recognition.eat_nas_search import CHOICES, drawn, parsed, written
from paperzoo.report import search
from paperzoo.report import study as studies
from paperzoo.studies import eat_nas as study
from paperzoo.studies.trial import Candidate, Outcome

pytestmark = [pytest.mark.usefixtures("undrawn")]

#: seconds in all: one seed, two members, one child a generation, three steps
TINY = study.Effort(1, 2, 1, 2, (3, 3), (8, 8), "digits", 0.042)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of one narrow layer a block to begin with, and most of the budget for the small task."""
    monkeypatch.setattr(study, "QUICK", TINY)
    monkeypatch.setattr(study, "SMALL", 0.8)
    monkeypatch.setattr(study, "drawn", lambda random: tuple(block._replace(width=0.5, depth=1) for block in drawn(random)))


def alone(calls: Any, one: Callable[..., str]) -> Any:
    return on_processes(calls, 1, one)


def trainings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders of what is trained from now on, as it begins."""
    begun, train = [], search.train

    def watched(*args: Any, **settings: Any) -> Any:
        begun.append(Path(settings["out"]).name)
        return train(*args, **settings)

    monkeypatch.setattr(search, "train", watched)
    return begun


def told(found: list[Outcome]) -> list[Any]:
    return [(one.trial, one.numbers, one.metrics) for one in found]


def killed(folder: Path, outcome: int, step: int) -> None:
    """In a process that is killed before it writes its nth outcome, or at its nth step of all."""
    write_json, one_step, counts = search.write_json, Loop.step, {"outcome": 0, "step": 0}

    def write(path: Path, value: Any) -> None:
        if path.name == "outcome.json":
            counts["outcome"] += 1
            if counts["outcome"] == outcome:
                os.kill(os.getpid(), signal.SIGKILL)
        write_json(path, value)

    def stepped(self: Loop) -> None:
        counts["step"] += 1
        if counts["step"] == step:
            os.kill(os.getpid(), signal.SIGKILL)
        one_step(self)

    search.write_json, Loop.step = write, stepped
    search.run(study, True, None, folder, alone)


@pytest.mark.parametrize(("outcome", "step"), [(3, 0), (0, 8)], ids=["between candidates", "inside one"])
def test_a_killed_search_goes_on_and_trains_nothing_twice(
    tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: int, step: int
) -> None:
    child = multiprocessing.get_context("fork").Process(target=killed, args=(tmp_path / "cut", outcome, step))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    done = sorted(p.parent.name for p in (tmp_path / "cut").glob("candidates/*/outcome.json"))
    assert done == ["0000", "0001"]  # of both the third was cut: its run is there, and not finished or not noted
    begun = trainings(monkeypatch)
    found = search.run(study, True, None, tmp_path / "cut", alone)
    assert begun == [f"{n:04d}" for n in range(3, len(found))]
    assert [len(list(p.glob("*/run.json"))) for p in sorted((tmp_path / "cut" / "candidates").iterdir())] == [1] * len(found)
    begun.clear()
    again = search.run(study, True, None, tmp_path / "cut", alone)
    assert not begun and told(again) == told(found)
    if step:  # once is enough: what was cut and went on is what was never cut
        whole = search.run(study, True, None, tmp_path / "whole", alone)
        assert len(begun) == len(whole) and told(whole) == told(found)


# Searches without training -------------------------------------------------------------------------------------------


def weighed(code: str, side: int, halvings: int) -> int:
    """In place of a network's multiply-adds, for which it would have to be built."""
    return side**2 * round(sum(100 * block.depth * block.width * (block.kernel + 1) for block in parsed(code)))


def played(effort: study.Effort, accuracy: Callable[[Candidate], float], monkeypatch: pytest.MonkeyPatch) -> list[Outcome]:
    """All searches, told an accuracy of each candidate instead of training it."""
    monkeypatch.setattr(study, "QUICK", effort)
    monkeypatch.setattr(study, "computed", weighed)
    found: list[Outcome] = []
    for one in study.searches(True, None).values():
        wanted = next(one)
        while True:
            new = []
            for candidate in wanted:
                numbers = {**study._numbers(candidate, accuracy(candidate)), "diverged": False, "number": len(found) + len(new)}
                new.append(Outcome(candidate, "", {"error %": 7.0}, numbers, 1.0, "", ()))
            found += new
            try:
                wanted = one.send(new)
            except StopIteration:
                break
    return found


def kernels(candidate: Candidate) -> float:
    """An accuracy that large kernels raise."""
    return 0.3 + sum(block.kernel for block in parsed(candidate.overrides["model.code"])) / 100


EFFORT = study.Effort(2, 3, 2, 2, (10, 20), (8, 16), "digits", 40.0)


def test_arms_spend_the_same_and_transfer_begins_among_the_neighbours_of_its_best(monkeypatch: pytest.MonkeyPatch) -> None:
    found = played(EFFORT, kernels, monkeypatch)
    for seed in (0, 1):
        for arm in study.ARMS:
            small, large = study.of(found, arm, seed, True), study.of(found, arm, seed)
            spent = sum(one.numbers["cost"] for one in small + large)
            assert spent <= EFFORT.budget and bool(small) == (arm == "transfer") and large
            assert spent > EFFORT.budget - 2 * max(one.numbers["cost"] for one in large)
            assert [one.trial.x for one in large] == list(range(len(large)))
            first = [parsed(one.numbers["code"]) for one in large if one.numbers["generation"] == 0]
            if arm == "transfer":
                assert sum(one.numbers["cost"] for one in small) <= study.SMALL * EFFORT.budget
                basic = parsed(study.champion(small).numbers["code"])
                assert [changes(basic, code) for code in first] == [1] * len(first)
            later = [one for one in large if one.numbers["generation"] > 0]
            for one in later:
                assert isinstance(one.trial, Candidate)
                if arm == "random search":
                    assert one.trial.parent == -1
                else:
                    parent = found[one.trial.parent]
                    assert parent.trial.seed == seed and parent.numbers["arm"] == arm and not parent.numbers["small"]
                    assert changes(parsed(parent.numbers["code"]), parsed(one.numbers["code"])) == 1
        assert study.beginning(found, "transfer", seed) > study.beginning(found, "from scratch", seed)


def changes(a: Any, b: Any) -> int:
    return sum(getattr(x, name) != getattr(y, name) for x, y in zip(a, b, strict=True) for name in CHOICES)


def test_a_child_of_what_diverged_starts_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "QUICK", EFFORT)
    monkeypatch.setattr(study, "computed", weighed)
    one = study.searches(True, None)["from scratch, seed 0"]
    wanted = next(one)
    numbers = [{**study.diverged(c), "diverged": True, "number": n} for n, c in enumerate(wanted)]
    assert all(n["reward"] == 0 for n in numbers)
    following = one.send([Outcome(c, "", {}, n, 0.0, "", ()) for c, n in zip(wanted, numbers, strict=True)])
    assert following and all(candidate.parent == -1 for candidate in following)


def test_budgets_and_folders_that_cannot_be_used_are_refused_before_anything_is_written(tmp_path: Path, tiny: None) -> None:
    refused = ((0.0, "--budget must be a positive number"), (float("nan"), "--budget must be"), (1e-4, "does not pay for the first"))
    for budget, says in refused:
        with pytest.raises(PaperzooError, match=re.escape(says)):
            studies.run("eat_nas", quick=True, out=tmp_path, budget=budget)
    with pytest.raises(PaperzooError, match="the study degradation takes no --budget"):
        studies.run("degradation", quick=True, out=tmp_path, budget=3.0)
    assert not list(tmp_path.iterdir())
    folder = tmp_path / "eat_nas-quick"
    folder.mkdir()
    other = {**study.space(True, None), "blocks": 5, "code": search.code_hash(Path(study.__file__), search.PROSE)}
    (folder / "space.json").write_text(json.dumps(other))
    with pytest.raises(PaperzooError, match=r"eat_nas-quick holds a search of another space: its blocks is 5, not 7; choose another"):
        studies.run("eat_nas", quick=True, out=tmp_path)
    assert [p.name for p in folder.iterdir()] == ["space.json"]


def test_a_candidate_that_diverges_counts_as_0_and_it_is_said(tmp_path: Path, tiny: None, capfd: pytest.CaptureFixture[str]) -> None:
    code = written(drawn(torch.Generator().manual_seed(0)))
    overrides = {**study.settings(code, False, TINY), "optimizer.lr": 1e30}
    search._ask(tmp_path / "0004", 4, Candidate("from scratch, large task, generation 1", 4, "eat_nas", "small", 0, overrides))
    for _ in range(2):
        search.one("eat_nas", 4, True, str(tmp_path))
    done = json.loads((tmp_path / "0004" / "outcome.json").read_text())
    assert done["numbers"]["diverged"] and done["numbers"]["reward"] == 0.0 and done["metrics"] == {}
    assert capfd.readouterr().err.count("candidate 5 diverged, and counts as 0: the loss") == 1


def test_another_candidate_under_the_same_number_is_refused(tmp_path: Path) -> None:
    one = Candidate("transfer, large task, generation 0", 0, "eat_nas", "small", 0, {"model.code": "a"})
    search._ask(tmp_path / "0000", 0, one)
    search._ask(tmp_path / "0000", 0, one)
    with pytest.raises(PaperzooError, match="holds another candidate than number 1 of this search"):
        search._ask(tmp_path / "0000", 0, Candidate(one.label, 0, "eat_nas", "small", 1, one.overrides))


# What is said --------------------------------------------------------------------------------------------------------


def test_the_sign_test_by_hand() -> None:
    assert study.sign_test([0.1, 0.2, 0.3, 0.1, 0.2]) == (5, 1 / 32)
    assert study.sign_test([0.1, -0.2, 0.3, 0.0, 0.2]) == (3, 16 / 32)
    assert study.sign_test([-1.0]) == (0, 1.0)


def test_the_front_is_what_no_other_beats_in_both() -> None:
    assert study.front([(3, 1.0), (1, 5.0), (2, 6.0), (2, 2.0), (4, 1.0)]) == [(1, 5.0), (2, 2.0), (3, 1.0)]


def test_table_standing_and_figure_are_of_the_candidates_found(monkeypatch: pytest.MonkeyPatch) -> None:
    found = played(EFFORT, kernels, monkeypatch)
    header, *rows = study.table(found)
    assert [row[0] for row in rows[:3]] == list(study.ARMS) and all(len(row) == len(header) for row in rows)
    assert rows[3][:2] == ["transfer begins above from scratch in 2 of 2 seeds", "sign test, p = 0.250"]
    best = [study.champion(study.of(found, "from scratch", seed)) for seed in (0, 1)]
    assert rows[1][header.index("best reward")].startswith(f"{sum(b.numbers['reward'] for b in best) / 2:.3f} (")
    assert rows[1][header.index("its test error %")] == "7.00 (7.00 to 7.00)"
    lines = study.standing(found)
    assert len(lines) == 7 and [lines[1][0], lines[1][3]] == ["transfer, seed 0", "large"]
    assert isinstance(study.draw(found), Figure)
