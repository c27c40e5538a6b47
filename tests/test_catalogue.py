"""The catalogue, the rooms, and what importing costs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures.networks import shapes

import paperzoo
from paperzoo import catalog
from paperzoo.data.datasets import check_name
from paperzoo.engine.job import resolve
from paperzoo.report import tables

SRC = Path(paperzoo.__file__).parent
# from the top floor down; a room imports only from floors below it (or itself)
FLOORS = [["__main__"], ["cli"], ["report"], ["studies"], ["results"], ["engine"], ["papers"], ["tasks"], ["metrics"], ["nn"],
          ["pretrained"], ["data"], ["catalog"], ["records"], ["saved"], ["files"], ["terminal"], ["ranges"], ["errors"]]  # fmt: skip
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


# inside data/, from the top floor down: what stands on one floor does not import each other
DATA_FLOORS = [
    ["datasets"], ["bodies"], ["questions", "boxes"], ["captions", "video", "audio"], ["images", "points", "series", "text", "volumes"],
    ["change"], ["names"], ["entry"], ["fetch", "crops"], ["dataset", "listing"], ["pictures", "augment", "order", "encoding", "options"],
    ["bodyparts"], ["paths", "fields", "batch", "bicubic", "marks", "spectrogram"],
]  # fmt: skip
DATA_FLOOR = {part: height for height, parts in enumerate(reversed(DATA_FLOORS)) for part in parts}
DATA = sorted((SRC / "data").rglob("*.py"))


def data_imports(path: Path) -> set[str]:
    """Modules of ``paperzoo.data`` that a file imports, as ``images.digits``; imports for type checking do not count."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("paperzoo.data."):
            inside = str(node.module).removeprefix("paperzoo.data").lstrip(".")
            for alias in node.names:
                longer = f"{inside}.{alias.name}".lstrip(".")
                is_module = (SRC / "data" / f"{longer.replace('.', '/')}.py").is_file() or (SRC / "data" / longer).is_dir()
                found.add(longer if is_module else inside)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


@pytest.mark.parametrize("path", DATA, ids=lambda p: str(p.relative_to(SRC)))
def test_no_part_of_data_imports_from_its_own_floor_or_one_above(path: Path) -> None:
    part = path.relative_to(SRC / "data").parts[0].removesuffix(".py")
    if part == "__init__":
        return  # the face of data, lazily
    others = {module.split(".")[0] for module in data_imports(path)} - {part}
    above = {other for other in others if DATA_FLOOR.get(other, 99) >= DATA_FLOOR[part]}
    assert not above, f"data/{part} imports from {above}, which does not lie below it"


def test_no_circle_in_data() -> None:
    """Nor inside a domain, nor by an import within a function."""
    graph = {".".join(p.relative_to(SRC / "data").with_suffix("").parts): data_imports(p) for p in DATA}
    graph = {name: {other for other in others if other in graph} for name, others in graph.items()}
    assert graph["datasets"] >= {"names", "images.table"} and "fetch.sources" in graph["images.sprites"]
    while free := {name for name, others in graph.items() if not others}:
        graph = {name: others - free for name, others in graph.items() if name not in free}
    assert not graph, f"these import each other: {sorted(graph)}"


def test_nothing_imports_torchvision() -> None:
    for path in SRC.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*(import|from) (torchvision|timm|lpips)\b", text, re.M), path


@pytest.mark.parametrize("command", ["import paperzoo; paperzoo.list_papers()", "import paperzoo.cli"])
def test_importing_is_cheap(command: str) -> None:
    code = f"{command}\nimport sys; print([m for m in ('torch', 'lightning_fabric', 'numpy', 'matplotlib') if m in sys.modules])"
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


def test_every_paper_file_has_a_record_or_belongs_to_one_that_has() -> None:
    listed = {row.record.with_suffix(".py") for row in catalog.CATALOG.values()}
    reached, waiting = set(), [*listed, *(catalog.load(f"{n}:{v}").place[0] for n in catalog.CATALOG for v in catalog.paper(n).variants)]
    while waiting:
        path = waiting.pop()
        if path.is_dir() or path in reached:
            continue
        reached.add(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("paperzoo.papers."):
                place = SRC.joinpath(*node.module.split(".")[1:])
                waiting += [place / f"{alias.name}.py" for alias in node.names] if place.is_dir() else [place.with_suffix(".py")]
    assert reached == {path for path in (SRC / "papers").rglob("*.py") if path.stem != "__init__"}


@pytest.mark.parametrize("path", sorted((SRC / "papers").rglob("[!_]*.py")), ids=lambda p: p.stem)
def test_the_method_of_a_paper_begins_on_the_first_screen_and_is_read_in_one_sitting(path: Path) -> None:
    code = path.read_text(encoding="utf-8")
    defined = [n for n in ast.parse(code).body if isinstance(n, ast.ClassDef | ast.FunctionDef)]
    assert min(node.lineno for node in defined) <= 40
    assert code.count("\n") <= 350, "one idea a file: part it"


def test_a_variant_names_its_class_also_in_a_second_file(tmp_path: Path) -> None:
    folder = SRC / "papers" / "language"
    assert catalog.load("bert").place == (folder / "bert.py", "Model")
    entry = catalog.load("bert:tag")
    assert entry.place == (folder / "bert_finetuning.py", "Tag") and "class" not in entry.arguments
    assert entry.model_class.__module__ == "paperzoo.papers.language.bert_finetuning" and entry.model_class.__name__ == "Tag"
    file = tmp_path / "mine.py"
    for named, said in (("Tag", "mine.py has no class Tag, which the variant x"), ("beside.Tag", "import it there, and name Tag")):
        file.write_text(
            f"from paperzoo.papers.recognition.lenet import Model, RECIPES\nfrom paperzoo import catalog\n"
            f"PAPER = catalog.paper('lenet')\nVARIANTS = {{'x': {{'class': {named!r}}}}}\n"
        )
        (tmp_path / "beside.py").write_text("raise SystemExit('this ran')\n")
        catalog.allow(str(file))
        with pytest.raises(paperzoo.PaperzooError, match=said):
            catalog.create(str(file))


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
    if explicit.get("chosen"):  # of the data's attributes
        filled["attributes"] = explicit["chosen"]
    with shapes():
        assert type(catalog.build(job.entry, {**explicit, **filled})) is job.entry.model_class
