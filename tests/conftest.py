"""Tests download nothing: the data cache is an empty folder, and pip is told to reach no index."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

os.environ["PIP_NO_INDEX"] = "1"
torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def empty_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    os.environ["PAPERZOO_DATA"] = str(folder)
    return folder
