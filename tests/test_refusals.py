"""What a user may type and cannot be had is refused before anything is made: one sentence, exit code 2, no directory."""

from __future__ import annotations

import inspect
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import torch
from annotated_types import Ge, Gt, Le, Lt, MinLen, MultipleOf

from paperzoo import cli, ranges
from paperzoo.cli import parse_settings
from paperzoo.engine import rehearsal
from paperzoo.engine.job import resolve
from paperzoo.errors import PaperzooError

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Typed:
    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["paperzoo", *words])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        return (code, *capsys.readouterr())

    return run


#: paper, setting, what is said
REFUSED = [
    ("dcgan", f"steps={'9' * 5000}", "--set steps: a value of 5,000 characters cannot be read"),
    ("dcgan", f"model.width={'9' * 5000}", "cannot be read"),
    ("dcgan", f"clip={'[' * 5000}", "cannot be read"),
    ("dcgan", f"clip={'[' * 50}{']' * 50}", "not nested 50 deep"),
    ("dcgan", "clip=" + '{"a":' * 30 + "1" + "}" * 30, "not nested 30 deep"),
    ("dcgan", 'clip={"generator": 1, "generator": 2}', "generator is given twice"),
    ("dcgan", "batch_size=99999999999999999999", "batch_size must be a whole number from 1"),
    ("dcgan", "batch_size=999999999999999", "set a smaller batch_size"),
    ("dcgan", "batch_size=-1", "batch_size must be"),
    ("dcgan", "batch_size=true", "batch_size must be"),
    ("dcgan", "steps=99999999999999999999", "steps must be"),
    ("dcgan", "steps=NaN", "steps must be"),
    ("dcgan", "measure_every=-1", "measure_every must be"),
    ("dcgan", "model.width=1000000", "makes a model of .* GiB and more, where .* are free"),
    ("dcgan", "model.width=1000000000", r"model\.width must be at most 1,000,000, not 1000000000"),
    ("acgan", "model.classes=1000000000", r"model\.classes must be at most 1,000,000"),
    ("lenet", "model.classes=1000000000", r"model\.classes must be at most 1,000,000"),
    ("aae", "model.image_size=1000000", r"model\.image_size must be at most 4,096"),
    ("transformer", "optimizer.warmup=0", r"optimizer\.warmup must be at least 1, not 0"),
    ("char_rnn", "model.cell=ltsm", r"unknown model\.cell 'ltsm': did you mean lstm"),
    ("dcgan", "model.width=100000000000000000", "must be at most 1,000,000"),
    ("dcgan", "model.width=9999999999999999999", "model.width must be at most 1,000,000"),
    ("dcgan", "model.width=0", r"model\.width must be at least 1, not 0\n"),
    ("dcgan", "model.width=-4", "model.width must be at least 1, not -4"),
    ("dcgan", "model.width=none", "model.width must be int, at least 1, at most 1,000,000, not None"),
    ("dcgan", "model.width=[4]", "model.width must be int"),
    ("lenet", "optimizer.lr=NaN", "optimizer.lr must be finite, not nan"),
    ("lenet", "optimizer.lr=Infinity", "optimizer.lr must be finite, not inf"),
    ("lenet", "optimizer.lr=1e999", "optimizer.lr must be finite"),
    ("dcgan", "optimizer.lr=-1", "optimizer.lr must be at least 0, not -1"),
    ("dcgan", "optimizer.lr=none", "optimizer.lr must be float, at least 0, not None"),
    ("dcgan", "train_on=nope", "unknown split 'nope' of digits"),
    ("dcgan", "train_on=train+nope", "unknown split 'nope'"),
    ("dcgan", "train_on=", "unknown split ''"),
    ("dcgan", "compile=nope", "unknown network to compile 'nope' of dcgan"),
    ("dcgan", "compile=5", "compile must be names"),
    ("dcgan", 'clip={"zz":1}', "unknown optimizer 'zz'"),
    ("dcgan", "clip=NaN", "clip must be a positive number"),
    ("dcgan", "clip=Infinity", "clip must be a positive number"),
    ("dcgan", "clip=true", "clip must be a positive number"),
    ("dcgan", "accumulate=2", "accumulat"),
    ("dcgan", "augment=nope", "unknown augmentation 'nope'"),
    ("dcgan", "augment=7", "augment must be names"),
    ("dcgan", "augment=crop224", "too small for a crop of 224x224"),
    ("char_rnn", "augment=flip", "augment=flip is for images"),
    ("dcgan", "data=5", "data must be a string"),
    ("dcgan", 'data="folder:\\u0000"', "data must be a string"),
    ("dcgan", f"data=folder:{'n' * 300}", "n{40}"),
    ("dcgan", "data=folder:~nosuchuser/x", "nosuchuser"),
    ("resnet", "model.shortcut=Z", "unknown model.shortcut 'Z': there is A, B, C, none"),
    ("resnet", "model.shortcut=5", "model.shortcut must be one of 'A', 'B', 'C', 'none', not 5"),
]


@pytest.mark.parametrize(("paper", "setting", "says"), REFUSED, ids=[f"{p} {s[:30]}" for p, s, _ in REFUSED])
def test_a_setting_that_cannot_be_had_leaves_nothing(paper: str, setting: str, says: str, typed: Typed, tmp_path: Path) -> None:
    code, out, said = typed("train", paper, "--recipe", "smoke", "--set", setting)
    assert code == 2 and not out and said.startswith("paperzoo: ") and len(said.strip().splitlines()) == 1, said
    assert re.search(says, said) and len(said) < 700, said
    assert not list(tmp_path.iterdir())


def test_large_models_are_refused_within_little_memory(tmp_path: Path) -> None:
    """A process that may take 3 GiB more than it has says so at once, and does not die."""
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom paperzoo import train, PaperzooError\nimport paperzoo.engine.train\n"
        "used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize() if Path('/proc/self/statm').exists() else 0\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 3 * 2**30,) * 2)\n"
        "for name, key in (('dcgan', 'width'), ('forecaster', 'hidden'), ('char_rnn', 'hidden'), ('bilstm_crf', 'hidden')):\n"
        "    for value in (10**6, 10**9):\n"
        "        try:\n            train(name, 'smoke', out=sys.argv[1], overrides={f'model.{key}': value})\n            print('trained')\n"
        "        except PaperzooError as error:\n            print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "runs")], capture_output=True, text=True)
    lines = done.stdout.strip().splitlines()
    assert done.returncode == 0 and len(lines) == 8 and "trained" not in lines, (done.stdout, done.stderr[-1500:])
    assert not (tmp_path / "runs").exists()


def test_an_amount_of_memory_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    job = resolve("lenet", "smoke", overrides={"model.classes": 10})
    data = job.dataset()
    rehearsal.rehearse(job, data)
    size = sum(t.nbytes for t in [*job.build(data).parameters(), *job.build(data).buffers()])
    for room, legal in ((2 * size, True), (2 * size - 1, False)):
        if legal:
            rehearsal._weigh(job, data, room)
        else:
            with pytest.raises(PaperzooError, match=r"model.classes=10 makes a model of"):
                rehearsal._weigh(job, data, room)
    assert next(job.build(data).parameters()).device == torch.device("cpu")  # nothing of the count stays


def test_none_is_a_word_where_a_word_is_wanted() -> None:
    assert parse_settings(["model.transform=none"]) == {"model.transform": None}
    job = resolve("forecaster", "smoke", overrides=parse_settings(["model.transform=none"]))
    assert job.recipe.model["transform"] == "none" and job.overrides == {"model.transform": "none"}
    job = resolve("resnet:resnet20", "smoke", overrides=parse_settings(["model.shortcut=none"]))
    assert job.recipe.model["shortcut"] == "none"
    assert resolve("dcgan", "smoke", overrides=parse_settings(["clip=none"])).recipe.clip is None


def given(annotation: Any, default: object = None) -> inspect.Parameter:
    return inspect.Parameter("x", inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


#: annotation, what is taken, what is refused
TYPES: list[tuple[Any, list[object], list[object]]] = [
    (int, [1, 2**63 - 1], [True, 1.0, "1", None, 2**63]),
    (float, [1, 1.5], [True, "1", None, math.nan, -math.inf]),
    (bool, [True], [1, "true"]),
    (str, ["a"], [1, None]),
    (int | None, [None, 1], ["1", 1.5]),
    (Sequence[int], [[1, 2], (), range(3)], [3, "ab", None, [1.5], [True], [2**63]]),
    (Sequence[float], [(1, 2.5)], ["ab", [math.nan], ["a"]]),
    (Sequence[str], [["x"], "xy"], [3, [1]]),
    (Sequence[Sequence[int]], [[[1], (2,)]], [[1], [["a"]]]),
    (Mapping[str, Any], [{"a": [1]}], []),
    (Literal["a", "b"], ["a"], ["d", 1, None]),
    (Literal[16, 32], [16], [17, True, 16.0, "16"]),
    (Literal[0, 1], [0, 1], [False, True, 2]),
    (Annotated[int, Ge(2), Le(4)], [2, 4], [1, 5, True]),
    (Annotated[float, Gt(0), Lt(1)], [0.5], [0, 1, -1, 1.0]),
    (Annotated[int, Ge(5), MultipleOf(5)], [5, 10], [0, 6]),
    (Annotated[Annotated[int, Ge(1), Le(9)], Ge(4)], [4, 9], [3, 10]),
    (Annotated[float, Gt(0)] | None, [None, 0.1], [0.0, "a"]),
    (Annotated[Sequence[Annotated[int, Ge(1)]], MinLen(1)], [[1]], [[], [0], [1, 0], [1.0]]),
    (Sequence[Annotated[Sequence[Annotated[int, Ge(1)]], MinLen(1)]], [[], [[1]]], [[[]], [[0]]]),
]  # fmt: skip


@pytest.mark.parametrize(("annotation", "taken", "refused"), TYPES, ids=[str(row[0])[:60] for row in TYPES])
def test_types_and_ranges_of_arguments(annotation: Any, taken: list[object], refused: list[object]) -> None:
    for value in taken:
        ranges.check("k", value, given(annotation))
    for value in refused:
        with pytest.raises(PaperzooError, match=r"^(unknown )?k ") as error:
            ranges.check("k", value, given(annotation))
        assert ranges.shown(value) in str(error.value)


def test_a_default_that_is_not_finite_means_something() -> None:
    ranges.check("k", math.inf, given(float, math.inf))


def test_what_an_error_says_of_a_range() -> None:
    for annotation, value, says in (
        (Annotated[int, Ge(1), Le(6)], 0, "k must be at least 1, not 0"),
        (Annotated[int, Ge(1), Le(1_000_000)], 10**9, "k must be at most 1,000,000, not 1000000000"),
        (Annotated[int, Ge(8), MultipleOf(4)], 3, "k must be at least 8 and a multiple of 4, not 3"),
        (Annotated[float, Gt(0)], 0.0, "k must be positive, not 0.0"),
        (Annotated[float, Ge(0), Lt(1)], 1.0, "k must be less than 1, not 1.0"),
        (Sequence[Annotated[float, Ge(0)]], [-1], "k must be a list of numbers, each at least 0, not [-1]"),
        (Annotated[int, Ge(1)], "a", "k must be int, at least 1, not 'a' (str); its default is 3"),
        (Literal["", "IOBES"], "IOBE", "unknown k 'IOBE': did you mean IOBES?"),
    ):
        with pytest.raises(PaperzooError, match=f"^{re.escape(says)}$"):
            ranges.check("k", value, given(annotation, 3))


def test_a_file_of_ones_own_whose_parts_are_others(typed: Typed, tmp_path: Path) -> None:
    good = {"PAPER": "Paper('x', 't', 'a', 2000, 'classification')", "Model": "lenet.Model", "VARIANTS": "{'x': {}}",
            "RECIPES": "{'small': Recipe('digits', 1)}"}  # fmt: skip
    for part, wrong in {"PAPER": ("1", "None", "{}", "Paper"), "Model": ("1", "len", "int"), "VARIANTS": ("{}", "1", "['x']", "{'x': 1}", "{1: {}}"),  # noqa: E501
                        "RECIPES": ("{}", "1", "{'small': 1}", "[]")}.items():  # fmt: skip
        for value in wrong:
            lines = [f"{name} = {value if name == part else text}" for name, text in good.items()]
            text = "\n".join(["from paperzoo.records import Paper, Recipe", "from paperzoo.papers.recognition import lenet", *lines])
            (tmp_path / "mine.py").write_text(text + "\n")
            code, _, said = typed("show", "./mine.py")
            assert code == 2 and f"in mine.py, {part} is " in said and len(said.strip().splitlines()) == 1, (part, value, said)
    (tmp_path / "mine.py").write_text("raise SystemExit(0)\n")
    assert typed("show", "./mine.py")[0] == 2


def test_data_given_twice(typed: Typed) -> None:
    code, _, said = typed("train", "dcgan", "--recipe", "smoke", "--data", "digits", "--set", "data=mnist")
    assert code == 2 and "data is given twice" in said


def test_a_contact_sheet_that_cannot_be_written(typed: Typed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("PIL.Image.Image.save", fail)
    code, _, said = typed("data", "show", "digits")
    assert code == 2 and said == "paperzoo: cannot write digits.png: Read-only file system\n"
    assert not list(tmp_path.iterdir())


def test_what_is_legal_is_still_trained(typed: Typed, tmp_path: Path) -> None:
    """The rehearsal refuses nothing that works, and leaves no mark on the run."""
    words = ("train", "lenet", "--recipe", "smoke", "--set", "steps=2", "--set", "accumulate=2", "--set", "augment=shift2", "--set", "clip=1.0")  # noqa: E501
    code, out, said = typed(*words, "--out", "r")
    assert code == 0, said
    run = json.loads((tmp_path / out.strip().splitlines()[-1] / "run.json").read_text())
    assert run["overrides"] == {"steps": 2, "accumulate": 2, "augment": "shift2", "clip": 1.0}
