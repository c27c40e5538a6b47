"""Tests download nothing: the data cache is an empty folder, and pip is told to reach no index. Each begins with the same chance."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures import reach
from fixtures.reach import pytest_collection_modifyitems, pytest_configure_node  # noqa: F401  (hooks)

os.environ["PIP_NO_INDEX"] = "1"
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
torch.set_num_threads(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    text = "moves every seed of torch and of a training: what the tests marked processor assert holds for any (default: 0)"
    parser.addoption("--seed", type=int, default=0, help=text)
    reach.pytest_addoption(parser)


def pytest_configure(config: pytest.Config) -> None:
    reach.pytest_configure(config)
    if shift := config.getoption("--seed"):
        from paperzoo.engine import loop, rehearsal, start

        loop.Order = moved(loop.Order, 3, shift)
        for module in (loop, rehearsal, start):
            module.seed_all = moved(module.seed_all, 0, shift)
        torch.manual_seed = moved(torch.manual_seed, 0, shift)


def moved(function: Any, place: int, shift: int) -> Any:
    """The function with ``shift`` thousands more as its argument at ``place``, a seed."""

    def called(*given: Any) -> Any:
        return function(*given[:place], given[place] + 1000 * shift, *given[place + 1 :])

    return called


@pytest.fixture(autouse=True, scope="session")
def empty_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    os.environ["PAPERZOO_DATA"] = str(folder)
    return folder


@pytest.fixture(autouse=True)
def chance() -> None:
    """No test depends on which ran before it in the same process."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Final pictures are left out of trainings, where they take longer than the steps: ``tests/tasks`` look at them."""
    from paperzoo.tasks.model import Model

    monkeypatch.setattr(Model, "show", lambda self, dataset, split, folder, stem: [])
