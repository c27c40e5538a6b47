"""Tests in parts: none is left out, none runs twice; and which are left out because no change reaches them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fixtures import reach
from fixtures.reach import TESTS, in_share, is_watched, learnt_by

from paperzoo.catalog import CATALOG


def test_every_test_is_in_one_part_and_parts_are_alike() -> None:
    names = [f"tests/test_a.py::test_{i}[{i % 7}]" for i in range(3000)]
    assert all(in_share(name, "1/1") for name in names)
    for parts in (2, 6):
        counts = [sum(in_share(name, f"{part}/{parts}") for name in names) for part in range(1, parts + 1)]
        assert sum(counts) == len(names) and min(counts) > 0.8 * len(names) / parts
        assert all(sum(in_share(name, f"{part}/{parts}") for part in range(1, parts + 1)) == 1 for name in names)


@pytest.mark.parametrize(
    ("place", "marked", "watched"),
    [
        ("papers/gan/test_dcgan.py", True, True),
        ("papers/gan/test_dcgan.py", False, False),  # the maths of a paper is always asked for
        ("contract/test_constants.py", False, True),
        ("studies/test_studies.py", True, False),
        ("engine/test_engine.py", False, False),
    ],
)
def test_what_is_left_out_is_of_the_contract_or_of_what_a_paper_learns(place: str, marked: bool, watched: bool) -> None:
    item: Any = SimpleNamespace(path=TESTS / place, get_closest_marker=lambda name: name if marked else None)
    assert is_watched(item) is watched


def test_a_learning_test_is_reached_by_its_own_file_and_its_paper_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(reach, "papers", lambda names: asked.append(names) or f"<{names}>")
    file = tmp_path / "test_gan3d.py"
    file.write_text("a")
    before = learnt_by(file)
    learnt_by.cache_clear()
    assert learnt_by(file) == before
    file.write_text("b")
    learnt_by.cache_clear()
    assert learnt_by(file) != before
    for name in ("test_bilstm_crf_inputs.py", "test_gan.py", "test_nothing.py"):
        (tmp_path / name).write_text("a")
        learnt_by(tmp_path / name)
    learnt_by.cache_clear()
    assert asked == [("gan3d",)] * 3 + [("bilstm_crf",), ("gan",), tuple(CATALOG)]


MARKED = """
import pytest
@pytest.mark.parametrize("name", [f"{paper}/{at}" for paper in ("gan", "vae") for at in range(40)])
def test_of_the_contract(name): pass
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clean checkout with eighty contract tests, of two papers, and one other test."""
    folder = tmp_path / "tests"
    (folder / "contract").mkdir(parents=True)
    (folder / "contract" / "test_a.py").write_text(MARKED)
    (folder / "test_b.py").write_text("def test_other(): pass")
    (folder / "conftest.py").write_text(
        "from fixtures import reach\nfrom pathlib import Path\nfrom fixtures.reach import *\n"
        "def pytest_addoption(parser):\n    parser.addoption('--seed', type=int, default=0)\n    reach.pytest_addoption(parser)\n"
        "reach.TESTS = Path(__file__).parent\nreach.house_files = lambda: (reach.TESTS / 'contract' / 'test_a.py',)\n"
        "reach.paper_files = lambda names: tuple(reach.TESTS.parent / f'{name}.py' for name in names if name in ('gan', 'vae'))\n"
    )
    for name in ("gan", "vae"):
        (tmp_path / f"{name}.py").write_text("")
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\ntestpaths = ["tests"]\n')
    (tmp_path / ".gitignore").write_text(".pytest_cache\n__pycache__\n")
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def passed(checkout: Path, *more: str) -> tuple[int, int]:
    """How many tests passed, and how many were left out."""
    command = [sys.executable, "-m", "pytest", "-q", *more]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(TESTS)})
    found, left = re.search(r"(\d+) passed", done.stdout), re.search(r"left out: (\d+) tests", done.stdout)
    assert found, done.stdout + done.stderr
    return int(found[1]), int(left[1]) if left else 0


def test_a_fresh_checkout_runs_a_quarter_and_then_what_a_change_reaches(checkout: Path) -> None:
    first, left = passed(checkout, "-n", "1")  # as make test does: a worker tells which
    assert 8 < first < 34 and first + left == 81
    assert passed(checkout) == (1, 80)
    (checkout / "gan.py").write_text("x = 1")
    assert passed(checkout) == (41, 40)


def test_a_fresh_checkout_with_changes_runs_what_they_reach_and_without_a_history_all(checkout: Path) -> None:
    (checkout / "vae.py").write_text("x = 1")
    first, left = passed(checkout)
    assert 41 < first < 65 and first + left == 81
    shutil.rmtree(checkout / ".pytest_cache")
    shutil.rmtree(checkout / ".git")
    assert passed(checkout) == (81, 0)


def test_of_the_watched_tests_one_part_can_be_asked_for_beside_all_others(checkout: Path) -> None:
    (checkout / "gan.py").write_text("x = 1")  # what a change reaches is in its part like all else
    halves = [passed(checkout, "--all", "--watched", f"{part}/2")[0] for part in (1, 2)]
    assert sum(halves) == 82 and min(halves) > 25  # the one other test is in both
    assert passed(checkout, "--all") == (81, 0)
