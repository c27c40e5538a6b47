"""What needs no training imports little: a sample costs hardly more than ``import torch``, and Lightning comes when a training starts."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SRC = Path(__file__).parent.parent / "src" / "paperzoo"

#: what a file may import on its first lines, and where; all else is imported by the function that needs it
LIGHT = {
    "torch": "", "annotated_types": "", "numpy": "", "PIL": "", "safetensors": "", "filelock": "engine data", "platformdirs": "data",
    "typer": "cli", "rich": "engine/progress.py", "jinja2": "report",
}  # fmt: skip
#: what no file imports, wherever it stands
NEVER = {"lightning", "pytorch_lightning", "torchmetrics", "torchvision"}

#: what looking, loading, sampling and predicting must not bring, beyond what ``import torch`` brings itself
HEAVY = {
    "lightning_fabric", *NEVER, "torch._dynamo", "torch._inductor", "sympy", "torch.utils.tensorboard", "tensorboard", "scipy", "sklearn",
    "matplotlib", "numba", "pandas", "pyarrow", "transformers", "tokenizers", "av", "gensim", "seqeval", "sacrebleu", "statsmodels",
    "resvg_py", "ray", "jinja2",
}  # fmt: skip
OF_THE_COMMAND_LINE = {"typer", "rich", "pydantic"}


def imports(tree: ast.AST, inside: bool = False) -> Iterator[tuple[str, bool]]:
    """The top-level packages that a file imports while it runs, and whether within a function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from ((name.name.split(".")[0], inside) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").split(".")[0], inside
        yield from imports(node, inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))


def test_what_is_heavy_is_imported_where_it_is_used() -> None:
    seen = set()
    for path in sorted(SRC.rglob("*.py")):
        where = path.relative_to(SRC).as_posix()
        for name, inside in imports(ast.parse(path.read_text(encoding="utf-8"))):
            if name in sys.stdlib_module_names or name == "paperzoo":
                continue
            seen.add(name)
            assert name not in NEVER, f"{where} imports {name}"
            assert name != "lightning_fabric" or (where == "engine/processes.py" and inside), f"{where} imports {name}"
            assert inside or (name in LIGHT and where.startswith(tuple(LIGHT[name].split()) or "")), f"{where} begins with {name}"
    assert {*LIGHT, "lightning_fabric", "sklearn", "matplotlib"} <= seen  # the walk finds what there is


STAGES = """
import json, sys, time
from contextlib import redirect_stdout
brought, seconds = {}, {}
def stage(name, work):
    before, began = set(sys.modules), time.perf_counter()
    with redirect_stdout(sys.stderr):
        work()
    seconds[name], brought[name] = time.perf_counter() - began, sorted(set(sys.modules) - before)

def look():
    import paperzoo
    assert paperzoo.list_papers(task="image generation")
def torch():
    import torch
def sample():
    import paperzoo
    assert paperzoo.load("dcgan").sample(2).shape == (2, 1, 32, 32)
def command(*words):
    from paperzoo.cli import main
    sys.argv = ["paperzoo", *words]
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, stop.code
def every():
    from paperzoo import catalog, results
    from paperzoo.engine import evaluate, recheck, train
    for name in catalog.list_papers():
        catalog.load(name)

folder = sys.argv[1]
stage("look", look)
stage("torch", torch)
stage("sample", sample)
stage("paperzoo sample", lambda: command("sample", "dcgan", "-n", "2", "--out", f"{folder}/x.png"))
stage("paperzoo predict", lambda: command("predict", "lenet", f"{folder}/digit.png"))
stage("every", every)
print(json.dumps([brought, seconds]))
"""


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[str]], dict[str, float]]:
    """One process that looks, loads, samples, predicts: what each stage newly imports, and its seconds."""
    folder = tmp_path_factory.mktemp("imports")
    Image.fromarray(np.full((28, 28), 255, np.uint8)).save(folder / "digit.png")
    done = subprocess.run([sys.executable, "-c", STAGES, str(folder)], capture_output=True, text=True)
    assert not done.returncode, done.stderr
    assert (folder / "x.png").is_file()
    brought, seconds = json.loads(done.stdout)
    return brought, seconds


def test_looking_imports_no_torch(stages: tuple[dict[str, list[str]], dict[str, float]]) -> None:
    assert not {*HEAVY, *OF_THE_COMMAND_LINE, "torch", "numpy", "PIL"} & set(stages[0]["look"])
    assert "torch" in stages[0]["torch"]


@pytest.mark.parametrize("name", ["sample", "paperzoo sample", "paperzoo predict", "every"])
def test_what_needs_no_training_imports_none_of_its_tools(stages: tuple[dict[str, list[str]], dict[str, float]], name: str) -> None:
    brought, seconds = stages
    new = set(brought[name])
    assert any(module.startswith("paperzoo.") for module in new)
    assert not (HEAVY - {"jinja2"} if name == "every" else HEAVY) & new
    if name == "sample":
        assert not OF_THE_COMMAND_LINE & new
        foreign = [module for module in new if not module.startswith("paperzoo")]
        assert len(foreign) < 80, foreign  # torch: above a thousand
    print(f"{name}: {seconds[name]:.2f} s and {len(new)} modules; torch: {seconds['torch']:.2f} s and {len(brought['torch'])}")


def test_torch_hub_finds_models_in_the_checkout() -> None:
    import torch

    root = str(Path(__file__).parents[1])
    assert type(torch.hub.load(root, "model", "lenet", source="local")).__name__ == "Model"
    assert torch.hub.load(root, "fresh", "resnet:resnet20", source="local", classes=7).arguments["classes"] == 7
