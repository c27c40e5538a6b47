"""What tasks have in common: how a model gets its own, who asks them, what words a command line may say to a model."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pytest
import torch
from annotated_types import Ge, Gt, Le, Lt
from PIL import Image
from torch import Tensor

import paperzoo
import paperzoo.tasks
from paperzoo import PaperzooError
from paperzoo.data import Schema
from paperzoo.data.images.digits import digits
from paperzoo.data.pictures import Preparation
from paperzoo.tasks.classification import ImageClassification
from paperzoo.tasks.generation import ConditionalGeneration, ImageGeneration, ImageGenerator
from paperzoo.tasks.images import read_image
from paperzoo.tasks.model import Model
from paperzoo.tasks.options import Option, options, values
from paperzoo.tasks.reconstruction import Autoencoder, ImageReconstruction, Likelihood, PointReconstruction
from paperzoo.tasks.task import Task, gathered

SRC = Path(paperzoo.__file__).parent
ROOT = Path(__file__).parents[2]

# A model's tasks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "tasks"),
    [
        ("vaegan", [ImageReconstruction, ImageGeneration]),
        ("vae", [ImageReconstruction, Likelihood, ImageGeneration]),
        ("vae:conditional", [ImageReconstruction, Likelihood, ConditionalGeneration]),
        ("vae:linear", [PointReconstruction, Likelihood]),
        ("aae:semi", [ImageClassification, ImageReconstruction, ImageGeneration]),
        ("sgan", [ImageClassification, ImageGeneration]),
    ],
)
def test_a_model_has_the_tasks_of_its_bases_in_their_order(name: str, tasks: list[type[Task]]) -> None:
    model = paperzoo.create(name)
    assert [type(task) for task in model.active()] == tasks and model.task == tasks[0].name


def test_an_argument_may_take_a_task_away(tmp_path: Path) -> None:
    model = paperzoo.create("sgan", supervised=True, width=16)
    assert [type(task) for task in model.active()] == [ImageClassification] and model.able("samples") is None
    assert model.preview(tmp_path, "0") == [] and not list(tmp_path.iterdir())
    judge = model.able("judges")
    assert judge is not None
    images = torch.rand(3, 1, 32, 32)
    p, features = judge.judgement(model.eval(), images)
    assert torch.allclose(p, model(images).softmax(1), atol=1e-5) and features.ndim == 2 and len(features) == 3


class Counting(Task):
    name = "counting"
    needs = ("image",)

    def measure(self, model: Any, dataset: Any, split: str, judge: Any = None) -> dict[str, float]:
        return {"count": float(len(dataset[split]))}

    def history(self, model: Any, measured: Any) -> dict[str, float]:
        return {"longest": max(row["count"] for row in measured)}

    def preview(self, model: Any, folder: Path, stem: str) -> list[Path]:
        return [folder / f"{stem}-counted"]

    def show(self, model: Any, dataset: Any, split: str, folder: Path, stem: str) -> list[Path]:
        return [folder / f"{stem}-shown"]


class Doubled(Counting):
    def measure(self, model: Any, dataset: Any, split: str, judge: Any = None) -> dict[str, float]:
        return {"doubled": 2.0 * len(dataset[split])}


class Naming(Task):
    name = "naming"
    needs = ("image", "label")

    def measure(self, model: Any, dataset: Any, split: str, judge: Any = None) -> dict[str, float]:
        return {"names": float(len(dataset.schema.names))}


class Counter(Model):
    tasks: ClassVar[tuple[Task, ...]] = (Counting(),)


class Both(Counter):
    tasks: ClassVar[tuple[Task, ...]] = (Naming(),)

    def measure(self, dataset: Any, split: str, judge: Any = None) -> dict[str, float]:
        return {**super().measure(dataset, split, judge), "own": 1.0}


def test_tasks_are_gathered_measured_drawn_and_checked_in_turn(tmp_path: Path) -> None:
    data, both = digits(), Both()
    assert both.measure(data, "test") == {"names": 10.0, "count": float(len(data["test"])), "own": 1.0}
    assert both.history([{"count": 2.0}, {"count": 5.0}]) == {"longest": 5.0}
    assert both.preview(tmp_path, "1") == [tmp_path / "1-counted"] and both.show(data, "test", tmp_path, "2") == [tmp_path / "2-shown"]
    assert (Both.task, Counter.task) == ("naming", "counting") and both.able("samples") is None
    with pytest.raises(PaperzooError, match="naming needs data with image and label, but bare has only image"):
        Both.check(Schema("bare", ("image",), {}))
    Counter.check(Schema("bare", ("image",), {}))


def test_a_refined_task_takes_the_place_of_the_general_one_whatever_the_order() -> None:
    class Refined(Model):
        tasks: ClassVar[tuple[Task, ...]] = (Doubled(),)

    class First(Refined, Both): ...

    class Last(Both, Refined): ...

    def names(model: type[Model]) -> list[str]:
        return [type(task).__name__ for task in model.tasks]

    assert names(First) == ["Doubled", "Naming"] and names(Last) == ["Naming", "Doubled"]
    assert names(Both) == ["Naming", "Counting"]
    found = gathered((Counting(),), (Both, First, Counter))  # the general one is met before and after
    assert [type(task).__name__ for task in found] == ["Doubled", "Naming"]


def test_a_papers_own_needs_stand_in_place_of_its_tasks() -> None:
    class Few(Both):
        needs = ("image", "labelled")

    class Fewer(Few): ...

    with pytest.raises(PaperzooError, match="naming needs data with image and labelled"):
        Fewer.check(Schema("bare", ("image", "label"), {}))
    Fewer.check(Schema("few", ("image", "labelled"), {}))

    class Bare(Model):
        task, needs = "knitting", ("wool",)

    with pytest.raises(PaperzooError, match="knitting needs data with wool"):
        Bare.check(Schema("bare", ("image",), {}))


# Who asks ----------------------------------------------------------------------------------------------------------------


def contracts() -> set[str]:
    """The names of all classes of models in ``tasks/``."""
    for found in pkgutil.walk_packages(paperzoo.tasks.__path__, "paperzoo.tasks."):
        importlib.import_module(found.name)
    waiting, names = list(Model.__subclasses__()), set()
    while waiting:
        one = waiting.pop()
        waiting += one.__subclasses__()
        names |= {one.__name__} if one.__module__.startswith("paperzoo.tasks.") else set()
    return names


def asks(path: Path, names: set[str]) -> list[str]:
    """Where a file asks what kind of model something is: ``isinstance`` or ``issubclass`` of a task's class, by whatever alias."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    aliases = {a.asname: a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names if a.asname}
    found = []
    for node in ast.walk(tree):
        kinds: ast.AST | None = None
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
            kinds = node.args[1]
        elif isinstance(node, ast.MatchClass):
            kinds = node.cls
        words = {getattr(n, "id", getattr(n, "attr", "")) for n in ast.walk(kinds)} if kinds else set()
        if {aliases.get(word, word) for word in words} & names:
            found.append(f"{path.name}:{node.lineno}")
    return found


def test_nobody_outside_asks_what_kind_of_model_it_is(tmp_path: Path) -> None:
    names = contracts()
    assert {"Classifier", "Sampler", "ConditionalGenerator", "Autoencoder", "LanguageModel", "VideoClassifier", "Tagger"} <= names
    (tmp_path / "ladder.py").write_text(
        "from paperzoo.tasks.tagging import Tagger as T\nisinstance(m, int | T)\nissubclass(m, (g.Sampler, int))\nisinstance(m, dict)\n"
    )
    assert asks(tmp_path / "ladder.py", names) == ["ladder.py:2", "ladder.py:3"]
    files = [p for room in ("cli", "engine", "report", "studies") for p in (SRC / room).rglob("*.py")]
    files += [SRC / "results.py", *(ROOT / "tests" / "contract").glob("*.py")]
    assert [place for path in files for place in asks(path, names)] == []


def test_every_task_says_what_its_network_is_given_and_answers() -> None:
    contracts()
    waiting, seen = list(Task.__subclasses__()), 0
    while waiting:
        one = waiting.pop()
        waiting += one.__subclasses__()
        if not one.__module__.startswith("paperzoo.tasks.") or not one.name:
            continue
        seen += 1
        assert one.needs or one is Likelihood
        assert one.inputs is not Task.inputs and (one.answer is not Task.answer or one is Likelihood), one
        assert not one.samples or one.write is not Task.write
        assert not one.judges or one.judgement is not Task.judgement
    assert seen >= 16


# What is seen of a user's picture ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ram", "vae", "vae:conditional", "lenet:1998"])
def test_predict_sees_the_training_tensor(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    Image.fromarray((random.random((61, 47)) * 255).astype(np.uint8)).save(tmp_path / "one.png")
    model = paperzoo.create(name, **({"glimpses": 2} if name == "ram" else {})).eval()
    size = model.image_size
    how = Preparation(45, size, 1, "bilinear")
    model.prepared = {"picture": dataclasses.asdict(how)}
    trained = read_image(tmp_path / "one.png", 1, size, how)
    assert not torch.equal(trained, read_image(tmp_path / "one.png", 1, size))
    seen: list[Tensor] = []
    for method in ("look", "encode", "forward"):
        if hasattr(model, method):
            whole = getattr(model, method)
            monkeypatch.setattr(model, method, lambda x, *more, whole=whole: (seen.append(x), whole(x, *more))[1])
    model.predict(tmp_path / "one.png", **({"label": 3} if name == "vae:conditional" else {}))
    assert seen and all(torch.equal(x, trained) for x in seen)


# Words -------------------------------------------------------------------------------------------------------------------


class Told(ImageGenerator):
    def sample(
        self, items: int = 16, seed: int = 0, label: int | str | Sequence[int] | None = None, top_k: Annotated[int, Ge(0), Le(9)] = 0,
        heat: Annotated[float | None, Gt(0), Lt(2)] = None, loud: bool = False, far: float = 1.0, mask: Sequence[int] = (), **more: Any,
    ) -> Any:  # fmt: skip
        """Draws.

        Args:
            label: the class, by number
                or name.
            top_k: of the likeliest.
        """
        return items, seed, label, top_k, heat, loud


def test_options_are_read_off_a_signature() -> None:
    found = options(Told().sample)
    assert list(found) == ["label", "top_k", "heat", "loud", "far"]  # a sequence is no word
    assert found["label"] == Option(str, None, (), "the class, by number or name.")
    assert (found["top_k"].kind, found["top_k"].default, found["top_k"].wanted()) == (int, 0, "a whole number from 0 to 9")
    assert (found["heat"].kind, found["heat"].wanted()) == (float, "a number above 0 below 2")
    assert options(Autoencoder.predict) == {}


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        (("--label", "3"), {"label": "3"}), (("--top-k", "9"), {"top_k": 9}), (("--heat", "1e-1"), {"heat": 0.1}),
        (("--loud", "True"), {"loud": True}),
    ],
)  # fmt: skip
def test_words_become_values(typed: tuple[str, str], value: dict[str, Any]) -> None:
    assert values(Told().sample, dict([typed]), "mine") == value


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("--top-k", "10"), "--top-k is a whole number from 0 to 9, not 10"),
        (("--top-k", "-1"), "--top-k is a whole number from 0 to 9, not -1"),
        (("--top-k", "1.5"), "--top-k is a whole number"),
        (("--heat", "0"), "--heat is a number above 0 below 2, not 0"),
        (("--heat", "2"), "--heat is a number above 0"),
        (("--heat", "nan"), "--heat is a number above 0"),
        (("--far", "nan"), "--far is a number, not nan"),
        (("--far", "-inf"), "--far is a number, not -inf"),
        (("--loud", "2"), "--loud is true or false, not 2"),
        (("--label", None), "--label is a text, not left empty"),
        (("--lable", "3"), "unknown option '--lable' of mine: did you mean --label"),
        (("--mask", "3"), "unknown option '--mask' of mine"),
        (("--prompt", "x"), "unknown option '--prompt' of mine: there is --far, --heat, --label, --loud, --seed, --top-k."),
    ],
)
def test_words_that_are_none_are_one_sentence(typed: tuple[str, str | None], said: str) -> None:
    with pytest.raises(PaperzooError) as error:
        values(Told().sample, dict([typed]), "mine", ["--seed"])
    assert said in str(error.value)
