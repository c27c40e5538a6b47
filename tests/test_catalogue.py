"""The catalogue, the rooms, and what importing costs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import paperzoo
from paperzoo import catalog
from paperzoo.data.datasets import check_name
from paperzoo.engine.job import resolve
from paperzoo.report import tables

SRC = Path(paperzoo.__file__).parent
# from the top floor down; a room imports only from floors below it (or itself)
FLOORS = [["__main__"], ["cli"], ["report"], ["studies"], ["results"], ["engine"], ["papers"], ["tasks"], ["metrics"], ["nn"], ["data"],
          ["catalog"], ["records"], ["saved"], ["files"], ["terminal"], ["errors"]]  # fmt: skip
FLOOR = {room: height for height, rooms in enumerate(reversed(FLOORS)) for room in rooms}


def imports(path: Path, lazy: bool = True) -> set[str]:
    """Rooms of paperzoo that a file imports; imports for type checking do not count."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("paperzoo"):
            parts = node.module.split(".")
            found.update([parts[1]] if len(parts) > 1 else [a.name for a in node.names])
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return {f for f in found if f in FLOOR}


@pytest.mark.parametrize("path", sorted(SRC.rglob("*.py")), ids=lambda p: str(p.relative_to(SRC)))
def test_no_room_imports_from_a_floor_above(path: Path) -> None:
    room = path.relative_to(SRC).parts[0].removesuffix(".py")
    if room == "__init__":
        return  # the public face reaches everywhere, lazily
    above = {other for other in imports(path) if FLOOR[other] > FLOOR[room]}
    # the engine hands the names of papers to the catalogue, which loads them by name
    assert not above, f"{room} imports from {above}, which lies above it"


def test_only_the_engine_imports_lightning_and_nothing_imports_torchvision() -> None:
    for path in SRC.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "engine" not in path.parts:
            assert not re.search(r"^\s*(import|from) (lightning|pytorch_lightning)", text, re.M), path
        assert not re.search(r"^\s*(import|from) (torchvision|timm|lpips)\b", text, re.M), path


@pytest.mark.parametrize("command", ["import paperzoo; paperzoo.list_papers()", "import paperzoo.cli"])
def test_importing_is_cheap(command: str) -> None:
    code = f"{command}\nimport sys; print([m for m in ('torch', 'lightning', 'numpy', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_rows_say_what_the_papers_say() -> None:
    modules = [row.module for row in catalog.CATALOG.values()]
    assert len(set(modules)) == len(modules)
    for name, row in catalog.CATALOG.items():
        paper = catalog.paper(name)
        assert (paper.name, paper.title, paper.year, paper.task) == (name, row.title, row.year, row.task)
        assert {"paper", "small", "smoke"} <= {recipe.split("-")[0] for recipe in paper.recipes}
        assert paper.claims or paper.kind == "method"


def test_every_paper_file_is_listed() -> None:
    files = {
        ".".join(p.relative_to(SRC / "papers").with_suffix("").parts)
        for p in (SRC / "papers").rglob("*.py")
        if p.stem != "__init__"
    }
    assert files == {row.module for row in catalog.CATALOG.values()}


def test_lists_are_filtered_and_wrong_filters_named() -> None:
    assert "dcgan" in paperzoo.list_papers(task="image generation")
    assert "dcgan" not in paperzoo.list_papers(family="language")
    with pytest.raises(paperzoo.PaperzooError, match="did you mean image generation"):
        paperzoo.list_papers(task="image generaton")


def test_tables_are_the_generated_ones() -> None:
    for path, text in tables.generated().items():
        assert path.read_text(encoding="utf-8") == text, f"{path} is not what `paperzoo results --write` writes"


#: image_size, channels and classes of the data that come without asking their reader
SHAPES = {"mnist": (28, 1, 10), "fashion-mnist": (28, 1, 10), "cifar10": (32, 3, 10), "svhn": (32, 3, 10), "imagenet": (224, 3, 1000),
          "lsun-bedroom": (64, 3, 1), "avatars": (64, 3, 16), "emoji": (64, 3, 9), "digits": (8, 1, 10)}  # fmt: skip
RECIPES = [
    (f"{name}:{variant}", recipe)
    for name in catalog.list_papers()
    for base in [catalog.load(name).paper]
    for variant in base.variants
    for recipe, settings in base.recipes.items()
    if not settings.variants or variant in settings.variants
]


@pytest.mark.parametrize(("name", "recipe"), RECIPES)
def test_every_recipe_names_data_and_builds_its_model(name: str, recipe: str) -> None:
    job = resolve(name, recipe)
    known = next((shape for data, shape in SHAPES.items() if job.recipe.data.startswith(data)), None)
    check_name(job.recipe.data)
    if known is None:
        return  # texts and points: every small and smoke recipe of theirs is trained by other tests
    legal, explicit = catalog.signature(job.entry), job.explicit()
    filled = {k: v for k, v in zip(("image_size", "channels", "classes"), known, strict=True) if k in legal and k not in explicit}
    with torch.device("meta"):
        assert type(catalog.build(job.entry, {**explicit, **filled})) is job.entry.model_class
