"""What changes the hash of a method or of a protocol, and what does not; results that it makes stale, and their recheck."""
# ruff: noqa: E501

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import paperzoo
from paperzoo import PaperzooError, catalog, results
from paperzoo.engine import hashes, judge
from paperzoo.engine.judge import Record
from paperzoo.engine.run import Run, read_json, write_json
from paperzoo.engine.sources import Place, Sources
from paperzoo.report.tables import text_blocks

TASK = '''
"""A task."""
from torch import nn
from paperzoo.errors import PaperzooError
from paperzoo.metrics.error import error_of
from paperzoo.tasks.model import Model
from paperzoo.tasks.task import Task

MOST = 100


def noise(items, scale=1.0):
    return items * scale


class Guessing(Task):
    """To guess."""

    needs = ("image",)

    def measure(self, model, dataset, split, judge=None):
        """How wrong it is."""
        return {"error": error_of(model.guess(dataset[split]), self.most())}

    def most(self):
        return MOST

    def show(self, model, dataset, split, folder, stem):
        return [folder / stem]


class Guesser(Model):
    """Guesses."""

    tasks = (Guessing(),)

    def draw(self, items):
        return noise(items)

    def guess(self, x):
        return self(x)

    def doubt(self, x):
        return x
'''
COUNTING = '''
from paperzoo.metrics.number import number
from paperzoo.tasks.model import Model
from paperzoo.tasks.task import Task


class Counting(Task):
    def measure(self, model, dataset, split, judge=None):
        return {"count": number(dataset[split])}


class Exact(Counting):
    def measure(self, model, dataset, split, judge=None):
        return {"exact": -number(dataset[split])}


COUNT = Counting()


class Counter(Model):
    tasks: tuple = (COUNT,)
'''
METRIC = '''
def error_of(guess, most):
    """The share of wrong guesses."""
    return abs(guess).sum() / most
'''
BLOCKS = '''
"""Blocks."""
import torch.nn.functional as F
from torch import nn

SLOPE = 0.2


class Block(nn.Module):
    """A block."""

    gain = 1.0

    def __init__(self, width: int, depth: int = 2) -> None:
        super().__init__()
        self.layer = nn.Linear(width, width * depth)

    def forward(self, x):
        return scaled(F.leaky_relu(self.layer(x), SLOPE), self.gain)


def scaled(x, by):
    return x * by


def unused(x):
    return x + 1
'''
NET = '''
"""A first paper."""
from paperzoo.nn.blocks import Block
from torch import nn

CLIP = 0.5


class Net(nn.Module):
    """A net, on which others build."""

    def __init__(self, width):
        super().__init__()
        self.body = Block(width)

    def forward(self, x):
        return self.body(x).clamp(-CLIP, CLIP)


def fall(start):
    return lambda iteration, total: min(1.0, (total - iteration) / (total * start))
'''
PAPER = '''
"""A paper."""
from torch import nn
from torch.optim import Adam
import torch

from paperzoo.errors import PaperzooError
from paperzoo.papers.first import Net, fall
from paperzoo.records import Paper
from paperzoo.tasks.guessing import Guesser

PAPER = Paper(name="second", findings="good")
BETA = 0.9
TABLE = {"a": 1}
TABLE["b"] = 2


def loss_of(guess, label):
    """A loss."""
    total = 0
    for row, want in zip(guess, label):
        total = total + (row - want) ** 2
    if total > 1e9:
        raise PaperzooError(f"the total {total} is too large")
    return total


class Model(Guesser):
    """The model."""

    def __init__(self, *, width: int = 4) -> None:
        super().__init__()
        self.network = Net(width)

    def forward(self, x):
        return self.network(x)

    def optimizers(self, *, lr: float = 1e-3):
        return {"network": (Adam(self.network.parameters(), lr, (BETA, 0.999)), fall(0.5))}

    def step(self, batch, opt):
        opt.network.minimize(self.both(loss_of(self(batch.image + self.draw(3)), batch.label)))

    def both(self, loss):
        return loss * TABLE["a"]

    def predict(self, x):
        return self(x) > 0


VARIANTS = {"second": {}}
RECIPES = {"small": 1}
'''
FILES = {
    "tasks/model.py": "from torch import nn\n\n\nclass Model(nn.Module):\n    def measure(self, dataset, split, judge=None):\n        return {}\n",
    "tasks/task.py": "class Task:\n    def measure(self, model, dataset, split, judge=None):\n        return {}\n",
    "tasks/guessing.py": TASK, "tasks/counting.py": COUNTING, "metrics/error.py": METRIC, "metrics/number.py": "def number(x):\n    return x\n", "nn/blocks.py": BLOCKS, "papers/first.py": NET, "papers/second.py": PAPER,
}  # fmt: skip


def both(folder: Path, **changes: str | tuple[str, str]) -> tuple[str, str]:
    """Method and protocol of ``papers/second.py`` in a package of these files; a change is a new text, or (old, new) within it."""
    files = dict(FILES)
    for name, change in changes.items():
        path = name.replace("__", "/") + ".py"
        if isinstance(change, tuple):
            assert files[path].count(change[0]) == 1, f"{change[0]!r} stands {files[path].count(change[0])} times in {path}"
            change = files[path].replace(*change)
        files[path] = change
    root = folder / f"package{len(list(folder.iterdir()))}" / "paperzoo"
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    method, protocol = hashes.walks(root, root / "papers" / "second.py")
    return method.digest(), protocol.digest()


SAME: dict[str, dict[str, str | tuple[str, str]]] = {
    "a docstring": {"nn__blocks": ('"""A block."""', '"""Other words."""')},
    "a docstring left out": {"nn__blocks": ('    """A block."""\n\n', "")},
    "a comment and the format": {"papers__second": ("total = total + (row - want) ** 2", "total = (\n            total + (row - want)**2  # (N)\n        )")},
    "a number's spelling": {"papers__second": ("1e9", "1_000_000_000.0")},
    "an annotation": {"nn__blocks": ("width: int, depth: int = 2", 'width: "Annotated[int, Ge(1)]", depth=2')},
    "an annotated local": {"papers__second": ("    total = 0\n", "    total: int = 0\n")},
    "a local's name": {"papers__second": PAPER.replace("total", "summed").replace("{summed} is", "{summed}")},
    "an import's alias": {"papers__second": PAPER.replace("import Net, fall", "import Net as N, fall as drop").replace("Net(", "N(").replace("fall(0", "drop(0")},
    "the module instead of the name": {"papers__second": PAPER.replace("from paperzoo.papers.first import Net, fall", "import paperzoo.papers.first as f").replace("Net(", "f.Net(").replace("fall(0", "f.fall(0")},
    "a library's alias": {"nn__blocks": BLOCKS.replace("import torch.nn.functional as F", "import torch").replace("F.leaky", "torch.nn.functional.leaky")},
    "an import within a function": {"papers__second": PAPER.replace("from torch.optim import Adam\n", "").replace("        return {\"network\": (Adam", "        from torch.optim import Adam as A\n\n        return {\"network\": (A")},
    "a definition's name": {"nn__blocks": BLOCKS.replace("scaled", "times").replace("SLOPE", "LEAK")},
    "an order of definitions": {"nn__blocks": BLOCKS.replace("SLOPE = 0.2\n", "") + "\n\nSLOPE = 0.2\n"},
    "an order of methods": {"papers__second": PAPER.replace("    def predict(self, x):\n        return self(x) > 0\n", "").replace("    def forward(self, x):", "    def predict(self, x):\n        return self(x) > 0\n\n    def forward(self, x):")},
    "an order of a network's methods": {"nn__blocks": BLOCKS.replace("    def forward(self, x):\n        return scaled(F.leaky_relu(self.layer(x), SLOPE), self.gain)\n\n", "").replace("    def __init__", "    def forward(self, x):\n        return scaled(F.leaky_relu(self.layer(x), SLOPE), self.gain)\n\n    def __init__")},
    "the record": {"papers__second": ('findings="good"', 'findings="bad"')},
    "a recipe": {"papers__second": ('RECIPES = {"small": 1}', 'RECIPES = {"small": 2}')},
    "an error's message": {"papers__second": ("is too large", "exceeds its bound")},
    "what is not used": {"nn__blocks": ("return x + 1", "return x + 2")},
    "what shows": {"tasks__guessing": ("[folder / stem]", "[folder / f'{stem}.png']")},
    "what the task does not ask of the model": {"tasks__guessing": ("        return x\n", "        return -x\n")},
    "another task": {"tasks__counting": ('{"count": number', '{"count": 2 * number')},
    "another task's metric": {"metrics__number": "def number(x):\n    return x + 1\n"},
    "the data that a task needs": {"tasks__guessing": ('("image",)', '("image", "label")')},
    "what predicts": {"papers__second": ("self(x) > 0", "self(x) > 0.5")},
    "another import": {"papers__second": ("import torch\n", "import torch\nimport math\n")},
    "a type checker's import": {"papers__second": ("import torch\n", "import torch\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from x import Net\n")},
}  # fmt: skip
METHOD: dict[str, dict[str, str | tuple[str, str]]] = {
    "an imported class": {"papers__first": ("self.body = Block(width)", "self.body = Block(2 * width)")},
    "a constant of an imported class's file": {"papers__first": ("CLIP = 0.5", "CLIP = 0.25")},
    "a constant two files away": {"nn__blocks": ("SLOPE = 0.2", "SLOPE = 0.1")},
    "a class variable": {"nn__blocks": ("gain = 1.0", "gain = 2.0")},
    "a default": {"nn__blocks": ("depth: int = 2", "depth: int = 3")},
    "an imported function": {"papers__first": ("min(1.0", "max(1.0")},
    "a function of the file": {"papers__second": ("** 2", "** 3")},
    "an operator": {"papers__second": ("row - want", "row + want")},
    "two names exchanged": {"papers__second": ("row - want", "want - row")},
    "a constant": {"papers__second": ("BETA = 0.9", "BETA = 0.5")},
    "an entry of a table": {"papers__second": ('TABLE["b"] = 2', 'TABLE["b"] = 3')},
    "a method that a step calls": {"papers__second": ('loss * TABLE["a"]', 'loss / TABLE["a"]')},
    "another import of the same name": {
        "papers__second": ("from paperzoo.papers.first import Net, fall", "from paperzoo.papers.first import fall\nfrom paperzoo.nn.blocks import Block as Net")
    },
    "a parameter's name": {"nn__blocks": BLOCKS.replace("depth", "layers")},
    "a condition of an error": {"papers__second": ("total > 1e9", "total > 1e8")},
    "a library's function": {"nn__blocks": ("F.leaky_relu", "F.elu")},
    "a step": {"papers__second": ("self.draw(3)", "self.draw(4)")},
}  # fmt: skip
PROTOCOL: dict[str, dict[str, str | tuple[str, str]]] = {
    "a task's measure": {"tasks__guessing": ('{"error": error_of', '{"error %": 100 * error_of')},
    "a task's constant": {"tasks__guessing": ("MOST = 100", "MOST = 50")},
    "a member of the task that measure calls": {"tasks__guessing": ("        return MOST\n", "        return 2 * MOST\n")},
    "a task more": {
        "papers__second": PAPER.replace("class Model(Guesser)", "class Model(Guesser, Counter)") + "\nfrom paperzoo.tasks.counting import Counter\n"
    },
    "a task that the body names": {
        "papers__second": PAPER.replace("    def __init__(self, *", "    tasks = (Counting(),)\n\n    def __init__(self, *") + "\nfrom paperzoo.tasks.counting import Counting\n"
    },
    "what takes tasks away": {"papers__second": ("    def predict", "    def active(self):\n        return self.tasks[:1]\n\n    def predict")},
    "a member that measure calls": {"tasks__guessing": ("        return self(x)\n", "        return self(x).round()\n")},
    "a metric": {"metrics__error": ("abs(guess)", "(guess**2)")},
    "a paper's own measure": {"papers__second": ("    def predict", "    def measure(self, dataset, split, judge=None):\n        return {}\n\n    def predict")},
}  # fmt: skip


@pytest.mark.parametrize("change", SAME)
def test_what_a_result_does_not_depend_on_keeps_both_hashes(change: str, tmp_path: Path) -> None:
    assert both(tmp_path, **SAME[change]) == both(tmp_path)


@pytest.mark.parametrize("change", METHOD)
def test_what_training_reaches_changes_the_method_alone(change: str, tmp_path: Path) -> None:
    before, after = both(tmp_path), both(tmp_path, **METHOD[change])
    assert after[0] != before[0] and after[1] == before[1]


@pytest.mark.parametrize("change", PROTOCOL)
def test_what_measuring_reaches_changes_the_protocol_alone(change: str, tmp_path: Path) -> None:
    before, after = both(tmp_path), both(tmp_path, **PROTOCOL[change])
    assert after[0] == before[0] and after[1] != before[1]


def test_what_both_reach_changes_both(tmp_path: Path) -> None:
    uses = {"papers__second": PAPER.replace("loss * TABLE", "error_of(loss, 1) * TABLE") + "\nfrom paperzoo.metrics.error import error_of\n"}
    before = both(tmp_path, **uses)
    after = both(tmp_path, **uses, metrics__error=("abs(guess)", "(guess**2)"))
    assert before[0] != after[0] and before[1] != after[1]


def test_what_measuring_reaches_of_the_method_is_the_methods_alone(tmp_path: Path) -> None:
    uses = {"tasks__guessing": TASK.replace("return self(x)", "return scaled(self(x), 1)") + "\nfrom paperzoo.nn.blocks import scaled\n"}
    before = both(tmp_path, **uses)
    after = both(tmp_path, **uses, nn__blocks=("return x * by", "return x / by"))
    assert before[0] != after[0] and before[1] == after[1]


def test_what_a_step_takes_from_its_task_is_of_the_method(tmp_path: Path) -> None:
    before, after = both(tmp_path), both(tmp_path, tasks__guessing=("items * scale", "items + scale"))
    assert before[0] != after[0] and before[1] == after[1]


def test_moving_a_class_to_another_file_keeps_both_hashes(tmp_path: Path) -> None:
    body = BLOCKS[BLOCKS.index("SLOPE") :]
    moved = {
        "nn__layers__blocks": f"from torch.nn import functional as F\nfrom torch import nn\n\n{body[: body.index('def scaled')].replace('scaled(', 'scale.scaled(')}",
        "nn__scale": body[body.index("def scaled") :],
        "papers__net__first": NET.replace("paperzoo.nn.blocks", "..layers_of"),
        "papers__layers_of": "from paperzoo.nn.layers.blocks import Block\n",
        "papers__second": PAPER.replace("paperzoo.papers.first", "paperzoo.papers.net.first"),
    }
    moved["nn__layers__blocks"] = "from paperzoo.nn import scale\n" + moved["nn__layers__blocks"]
    assert both(tmp_path, **moved) == both(tmp_path)
    slope = {**moved, "nn__layers__blocks": moved["nn__layers__blocks"].replace("0.2", "0.3")}
    assert both(tmp_path, **slope)[0] != both(tmp_path)[0]  # it was followed there


def test_an_overridden_member_counts_where_super_reaches_it(tmp_path: Path) -> None:
    derived = PAPER.replace("class Model(Guesser)", "class Base(Guesser)").replace(
        "VARIANTS =", "class Model(Base):\n    def both(self, loss):\n        return HOW\n\n\nVARIANTS ="
    )
    plain, calling = derived.replace("HOW", "loss"), derived.replace("HOW", "super().both(loss)")
    other = 'loss / TABLE["a"]'
    assert both(tmp_path, papers__second=plain) == both(tmp_path, papers__second=plain.replace('loss * TABLE["a"]', other))
    assert both(tmp_path, papers__second=calling) != both(tmp_path, papers__second=calling.replace('loss * TABLE["a"]', other))


def test_names_made_at_run_time_reach_all_that_they_may(tmp_path: Path) -> None:
    table = PAPER.replace("self.both(loss_of", "getattr(self, self.how)(loss_of").replace("def both", "def _both")
    assert both(tmp_path, papers__second=table)[0] != both(tmp_path, papers__second=table.replace("loss * TABLE", "loss / TABLE"))[0]
    world = PAPER.replace("self.both(loss_of(", 'self.both(globals()["loss_" + "of"](')
    assert both(tmp_path, papers__second=world)[0] != both(tmp_path, papers__second=world.replace("** 2", "** 3"))[0]


def test_a_judge_counts_by_name_hash_and_standardisation(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = catalog.load("dcgan")
    before = hashes.protocol_hash(entry, "zoo-digits")
    assert before == hashes.protocol_hash(entry, "zoo-digits")
    seen = {before, hashes.protocol_hash(entry), hashes.protocol_hash(entry, "zoo-avatars")}
    own = judge.JUDGES["zoo-digits"]
    for other in (Record(own.file, "0" * 64, own.data), Record(own.file, own.sha256, own.data, standardise=False)):
        monkeypatch.setitem(judge.JUDGES, "zoo-digits", other)
        seen.add(hashes.protocol_hash(entry, "zoo-digits"))
    assert len(seen) == 5
    monkeypatch.setitem(judge.JUDGES, "zoo-digits", Record("elsewhere", own.sha256, ("mnist",)))
    assert hashes.protocol_hash(entry, "zoo-digits") == before
    of_clips, frames = hashes.protocol_hash(entry, "zoo-motions"), judge.JUDGES["zoo-avatars"]
    monkeypatch.setitem(judge.JUDGES, "zoo-avatars", Record(frames.file, "0" * 64, frames.data))
    assert hashes.protocol_hash(entry, "zoo-motions") != of_clips  # its judge of frames is another


def test_variants_and_papers_made_by_name_count() -> None:
    assert len({hashes.method_hash(catalog.load(f"resnet:{v}")) for v in ("resnet20", "resnet32", "resnet50")}) == 3
    entry = catalog.load("transfer")
    assert hashes.method_hash(entry, {"backbone": "cnn"}) != hashes.method_hash(entry, {"backbone": "lenet"})
    assert hashes.method_hash(entry, {"backbone": "cnn", "image_size": 32}) == hashes.method_hash(entry, {"backbone": "cnn"})


def test_the_hashes_of_the_catalogue_reach_what_they_should() -> None:
    method, protocol = hashes._of(catalog.load("wgan_gp"))
    names = {f"{item.place.name}.{item.member}" if item.member else item.place.name for item in method.order}
    assert {"Generator", "Discriminator", "init", "Average", "linear_decay", "gradient_penalty", "Sampler.draw"} <= names
    measured = {f"{item.place.name}.{item.member}" if item.member else item.place.name for item in protocol.order}
    assert {"ImageGeneration.measure", "of_images", "scores", "fid", "frechet_distance", "Model.generate", "Sampler.render", "SAMPLES"} <= measured
    assert not {"Generator", "ImageGeneration.show", "ImageGeneration.write", "images", "ImageGenerator.walk", "of_classes"} & measured


def test_the_tasks_are_read_off_the_source_as_python_gathers_them() -> None:
    root = Path(catalog.__file__).parent
    for name in catalog.list_papers():
        for variant in catalog.paper(name).variants:
            entry = catalog.load(f"{name}:{variant}")
            sources = Sources(root)
            file, model = entry.place
            place = sources.resolve(sources.module_of(file), model)
            assert isinstance(place, Place)
            found = [(task.module, task.name) for task in sources.tasks(place)]
            assert found == [(type(task).__module__, type(task).__name__) for task in entry.model_class.tasks] and found, name


def test_a_paper_may_have_a_task_for_itself(tmp_path: Path) -> None:
    own = "class Doubting(Task):\n    def measure(self, model, dataset, split, judge=None):\n        return {'doubt': 2 * model.doubt(dataset)}\n\n\n"
    paper = PAPER.replace("from paperzoo.tasks.guessing import Guesser", "from paperzoo.tasks.guessing import Guesser\nfrom paperzoo.tasks.task import Task")
    paper = paper.replace("class Model(Guesser):", own + "class Model(Guesser):").replace("    def __init__(self, *", "    tasks = (Doubting(),)\n\n    def __init__(self, *")
    before = both(tmp_path, papers__second=paper)
    assert before[0] == both(tmp_path)[0] and before[1] != both(tmp_path)[1]
    assert both(tmp_path, papers__second=paper.replace("2 * model", "3 * model"))[1] != before[1]
    assert both(tmp_path, papers__second=paper, tasks__guessing=("        return x\n", "        return -x\n"))[1] != before[1]


def test_a_task_that_refines_another_takes_its_place(tmp_path: Path) -> None:
    counting = {"papers__second": PAPER.replace("class Model(Guesser)", "class Model(Guesser, Counter)") + "\nfrom paperzoo.tasks.counting import *\n"}
    exact = {"papers__second": counting["papers__second"].replace("    def __init__(self, *", "    tasks = (Exact(),)\n\n    def __init__(self, *")}
    loud = {"tasks__counting": COUNTING.replace('{"count": number', '{"count": 2 * number')}
    assert both(tmp_path, **counting)[1] != both(tmp_path, **counting, **loud)[1]
    assert both(tmp_path, **exact)[1] not in (both(tmp_path, **counting)[1], both(tmp_path)[1])
    assert both(tmp_path, **exact) == both(tmp_path, **exact, **loud)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    text = (Path(catalog.__file__).parent / "papers" / "gan" / "dcgan.py").read_text(encoding="utf-8")
    (tmp_path / "mine.v2.py").write_text(text, encoding="utf-8")
    record = (Path(catalog.__file__).parent / "papers" / "gan" / "dcgan.toml").read_text(encoding="utf-8")
    for name in ("mine.v2.toml", "other.toml"):
        (tmp_path / name).write_text(record, encoding="utf-8")
    catalog.allow(str(tmp_path / "mine.v2.py"))
    own, listed = catalog.load(str(tmp_path / "mine.v2.py")), catalog.load("dcgan")
    assert hashes.method_hash(own) == hashes.method_hash(listed) and hashes.protocol_hash(own) == hashes.protocol_hash(listed)
    (tmp_path / "other.py").write_text(text.replace("nn.LeakyReLU(0.2)", "nn.LeakyReLU(0.1)"), encoding="utf-8")
    catalog.allow(str(tmp_path / "other.py"))
    assert hashes.method_hash(catalog.load(str(tmp_path / "other.py"))) != hashes.method_hash(listed)


def test_a_class_in_a_second_file_of_the_paper() -> None:
    root = Path(catalog.__file__).parent
    for variant, name in (("classify", "Classify"), ("tag", "Tag")):
        method, protocol = hashes.walks(root, root / "papers" / "language" / "bert_finetuning.py", name)
        entry = catalog.load(f"bert:{variant}")
        assert hashes.method_hash(entry) == method.digest(entry.arguments, []) and hashes.protocol_hash(entry) == protocol.digest([])
        assert f"{name}.step" in {f"{item.place.name}.{item.member}" for item in method.order}


def test_the_text_does_not_depend_on_the_version_of_python(tmp_path: Path) -> None:
    """Pinned: 3.11, 3.12 and 3.13 must write the same. ``ast.dump`` and ``ast.unparse`` do not; fields that only some versions have
    are left out, or written only if they hold something."""
    text = '''
import torch
from paperzoo.tasks.guessing import Guesser


class Model(Guesser):
    def step(self, batch, opt):
        try:
            with torch.no_grad() as a, open(f"{batch!r:>{len('x')}} \\u00e9 {a=}") as b:
                x = [*(i async for i in a), *{k: v for k, v in b}]
        except* (OSError, ValueError) as error:
            x = error
        match x:
            case {"a": [1, *rest], **more} if rest: return more, -1.5e-7, 1j, b"\\x00", ..., lambda p, /, *q, r=1: p[q:r, ::2]
        def inner(n): nonlocal x; x = n; del x
'''
    assert both(tmp_path, papers__second=text)[0] == "9fdceb48a70c"


def test_every_call_of_the_engine_while_it_trains_is_an_entry() -> None:
    """A member that the loop calls is reached without being named by the paper: it must stand in ``ENTRY`` or ``MEASURES``."""
    engine = Path(hashes.__file__).parent
    calls: set[str] = set()
    for file in ("loop.py", "logbook.py", "start.py", "players.py", "precision.py", "weights.py", "checkpoint.py", "rehearsal.py"):
        for node in ast.walk(ast.parse((engine / file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and re.fullmatch(r"(self\.)?model", ast.unparse(node.func.value)):
                calls.add(node.func.attr)
    drawn = {"preview", "show", "lean"}  # pictures, and what ships
    torchs = {"modules", "named_modules", "get_submodule", "children", "named_children", "requires_grad_", "half", "float", "cpu", "register_buffer"}
    assert calls - drawn - torchs <= {*hashes.ENTRY, *hashes.MEASURES}


# Results ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return paperzoo.train("dcgan", "smoke", out=tmp_path_factory.mktemp("runs"))


@pytest.fixture
def kept(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run's recorded result, in a folder of its own."""
    monkeypatch.setattr(results, "folder", lambda: tmp_path)
    return results.add(run.directory)


def edit(path: Path, change: Callable[[dict], object]) -> None:  # type: ignore[type-arg]
    file = read_json(path)
    change(file["runs"][0])
    write_json(path, file)


def changed(path: Path) -> list[str]:
    entry = catalog.load("dcgan")
    return results.changed(entry, entry.paper.recipes["smoke"], read_json(path))


def test_a_result_keeps_its_hashes_and_first_losses(run: Run, kept: Path) -> None:
    record, entry = read_json(kept)["runs"][0], catalog.load("dcgan")
    assert record["method_hash"] == hashes.method_hash(entry) == run.info["method_hash"]
    assert record["protocol_hash"] == hashes.protocol_hash(entry) == run.info["protocol_hash"]
    assert set(record["first_losses"]) == {"discriminator", "generator"}
    assert [step for step, _ in record["first_losses"]["generator"]] == list(range(10))
    logged = [line["loss"]["generator"] for line in run.lines if "loss" in line][:10]  # of 60 steps, each is logged
    assert [loss for _, loss in record["first_losses"]["generator"]] == logged


def test_a_resumed_run_keeps_the_first_losses_of_an_uninterrupted_one(run: Run, tmp_path: Path) -> None:
    from paperzoo.engine import loop as loops

    whole, stop = loops.Loop.step, 4

    def step(self: loops.Loop) -> None:
        self.stop = self.opt.iteration == stop - 1
        whole(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loops.Loop, "step", step)
        with pytest.raises(paperzoo.errors.Interrupted):
            paperzoo.train("dcgan", "smoke", out=tmp_path)
    (folder,) = tmp_path.iterdir()
    again = paperzoo.resume(folder)
    assert results._record(again, again.info)["first_losses"] == results._record(run, run.info)["first_losses"]


def test_a_row_says_what_has_changed(kept: Path) -> None:
    assert changed(kept) == []
    edit(kept, lambda one: one.update(method_hash="another"))
    assert changed(kept) == ["method"]
    edit(kept, lambda one: one.update(protocol_hash="another"))
    assert changed(kept) == ["method", "protocol"]
    entry, file = catalog.load("dcgan"), read_json(kept)
    rows = results._measured(entry, entry.paper.recipes["smoke"], file)
    assert {(row["status"], row["reason"]) for row in rows} == {("stale", "method, protocol")}
    assert "stale (method, protocol)" in text_blocks(rows)


def test_one_seed_of_another_method_makes_the_row_stale_and_a_recipe_too(kept: Path) -> None:
    file, entry = read_json(kept), catalog.load("dcgan")
    recipe = entry.paper.recipes["smoke"]
    two = {**file, "runs": [*file["runs"], {**file["runs"][0], "seed": 1, "protocol_hash": "another"}]}
    assert results.changed(entry, recipe, two) == ["protocol"]
    assert results.changed(entry, dataclasses.replace(recipe, steps=61), file) == ["method"]


def test_a_record_of_before_is_judged_by_its_file(kept: Path) -> None:
    edit(kept, lambda one: [one.pop(key) for key in ("method_hash", "protocol_hash")])
    assert changed(kept) == []
    write_json(kept, {**read_json(kept), "code_hash": "another"})
    assert changed(kept) == ["method", "protocol"]


def test_a_recheck_stamps_what_agrees(kept: Path) -> None:
    edit(kept, lambda one: one.update(method_hash="another"))
    (said,) = results.check_again("dcgan", "smoke")
    assert "losses of the first 10 steps are bitwise equal: stamped" in said
    assert changed(kept) == [] and "bitwise equal" in read_json(kept)["runs"][0]["rechecked"]["found"]
    (said,) = results.check_again("dcgan")
    assert said.endswith("bitwise equal: as fresh as it was")


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_recheck_says_where_losses_part_and_leaves_the_run_stale(kept: Path, elsewhere: bool) -> None:
    def plant(one: dict) -> None:  # type: ignore[type-arg]
        one["method_hash"] = "another"
        one["first_losses"]["generator"][7][1] *= 1.02 if elsewhere else 1 + 1e-6
        one["hardware"] = "another" if elsewhere else one["hardware"]

    edit(kept, plant)
    before = kept.read_bytes()
    (said,) = results.check_again("dcgan:dcgan", "smoke")
    assert "they part: generator at step 7" in said and said.endswith("it stays stale (method)")
    assert kept.read_bytes() == before


def test_elsewhere_losses_need_only_be_near(kept: Path) -> None:
    def plant(one: dict) -> None:  # type: ignore[type-arg]
        one.update(method_hash="another", hardware="an abacus")
        one["first_losses"]["generator"][7][1] *= 1.001

    edit(kept, plant)
    (said,) = results.check_again("dcgan", "smoke")
    assert "agree within 1.0e-03" in said and "recorded on an abacus" in said and "1% is allowed" in said and changed(kept) == []


def test_a_recheck_of_a_record_of_before_compares_the_first_point_of_its_curve(kept: Path) -> None:
    edit(kept, lambda one: (one.pop("first_losses"), one.update(method_hash="another")))
    (said,) = results.check_again("dcgan", "smoke")
    assert "means over the first 1 steps are equal in the four digits recorded: stamped" in said and changed(kept) == []

    def plant(one: dict) -> None:  # type: ignore[type-arg]
        one["method_hash"] = "another"
        one["curve"]["discriminator"][0][1] *= 1.01

    edit(kept, plant)
    (said,) = results.check_again("dcgan", "smoke")
    assert "they part: the mean of discriminator over 1 steps" in said and changed(kept) == ["method"]


def test_a_recheck_leaves_a_changed_protocol_and_names_what_is_wrong(kept: Path) -> None:
    edit(kept, lambda one: one.update(method_hash="another", protocol_hash="another"))
    (said,) = results.check_again("dcgan", "smoke")
    assert said.endswith("stamped; stale (protocol) until it is measured again") and changed(kept) == ["protocol"]
    write_json(kept, {**read_json(kept), "recipe_hash": "another"})
    (said,) = results.check_again("dcgan", "smoke")
    assert "the recipe has changed" in said
    with pytest.raises(PaperzooError, match="nothing is recorded of lenet"):
        list(results.check_again("lenet"))
    with pytest.raises(PaperzooError, match="unknown recipe"):
        list(results.check_again("dcgan", "smok"))


def test_a_seed_of_another_method_is_not_averaged_with_a_new_one(run: Run, kept: Path) -> None:
    file = read_json(kept)
    runs = [{**file["runs"][0], "seed": 1}, {**file["runs"][0], "seed": 2, "method_hash": "another"}]
    write_json(kept, {**file, "runs": runs})
    assert [one["seed"] for one in read_json(results.add(run.directory))["runs"]] == [0, 1]
