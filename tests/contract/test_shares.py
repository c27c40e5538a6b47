"""Tests in parts: none is left out, none runs twice; and which are left out because no change reaches them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fixtures import reach
from fixtures.reach import TESTS, in_share, is_watched, learnt_by


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
    asked: list[str] = []
    monkeypatch.setattr(reach, "reached", lambda name: asked.append(name) or f"<{name}>")
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
    assert asked == ["gan3d"] * 3 + ["bilstm_crf", "gan", ""]
