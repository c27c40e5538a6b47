"""What a user types, right and wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures.files import type_in
from PIL import Image

import paperzoo
from paperzoo.cli import parse_settings
from paperzoo.cli.app import papers
from paperzoo.errors import PaperzooError

COMMANDS = [
    "list",
    "find",
    "show",
    "read",
    "new",
    "train",
    "resume",
    "evaluate",
    "sample",
    "predict",
    "compare",
    "data",
    "results",
    "report",
    "demo",
]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    return lambda *words: type_in(*words, capsys=capsys, monkeypatch=monkeypatch)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_there_for_every_command(run, command: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0 and "Usage" in out


def test_list_and_help_are_quick() -> None:
    for words in (["list"], ["--help"]):
        times = []
        for _ in range(3):
            began = os.times()
            subprocess.run([sys.executable, "-m", "paperzoo", *words], check=True, capture_output=True)
            ended = os.times()
            times.append(ended.children_user + ended.children_system - began.children_user - began.children_system)
        assert min(times) < 1.0  # seconds of a core, which other processes do not lengthen; 0.25 alone on the machine


def test_from_training_to_sampling(run, tmp_path: Path) -> None:
    code, out, _ = run(
        "train", "dcgan", "--recipe", "smoke", "--set", "steps=4", "--set", "model.width=4", "--seed", "3", "--out", "r"
    )
    assert code == 0
    folder = out.strip().splitlines()[-1]
    assert Path(folder).is_dir() and (Path(folder) / "report.html").exists()
    assert json.loads((Path(folder) / "run.json").read_text())["overrides"] == {"steps": 4, "model.width": 4}
    code, out, _ = run("evaluate", folder, "--json")
    assert code == 0 and "mean image gap" in json.loads(out)
    code, out, _ = run("sample", folder, "-n", "9", "--out", "nine.png")
    assert code == 0 and Path("nine.png").stat().st_size > 100
    assert run("report", folder)[0] == 0
    assert run("resume", folder)[1].strip().splitlines()[-1] == folder  # finished: as it is


def photographs(folder: Path, count: int, damaged: int = 0) -> Path:
    """A class folder of small pictures, some of which are text."""
    folder.mkdir(parents=True)
    for index in range(count):
        Image.new("RGB", (20, 30), (index * 20 % 256, 90, 40)).save(folder / f"{index}.png")
    for index in range(damaged):
        (folder / f"bad{index}.png").write_text("no picture")
    return folder


SHORT = ("--recipe", "smoke", "--set", "steps=2", "--set", "model.width=4", "--out", "r")


def test_few_and_damaged_pictures_are_said(run, tmp_path: Path) -> None:
    photographs(tmp_path / "own" / "cats", 7, damaged=2)
    photographs(tmp_path / "own" / "dogs", 7)
    code, _, said = run("train", "dcgan", "--data", "folder:own", *SHORT)
    assert code == 0 and "fewer than a batch of 32" in said and "2 of 16" in said and "Warning" not in said
    code, _, said = run("train", "dcgan", "--data", "folder:own", "--strict", *SHORT)
    assert code == 2 and "bad" in said and "\n" not in said.strip()


def test_a_conditional_model_needs_classes(run, tmp_path: Path) -> None:
    photographs(tmp_path / "own" / "cats", 12)
    code, _, said = run("train", "cgan", "--data", "folder:own", *SHORT[:4], "--out", "r")
    assert code == 2 and "needs data with image and label" in said
    code, _, said = run("train", "dcgan", "--data", "folder:own", "--set", "model.channels=1", *SHORT)
    assert code == 0  # read as grey


def test_a_class_can_be_asked_for(run) -> None:
    code, out, _ = run("train", "cgan", "--recipe", "smoke", "--set", "steps=2", "--out", "r")
    folder = out.strip().splitlines()[-1]
    assert code == 0 and run("sample", folder, "-n", "4", "--label", "7", "--out", "sevens.png")[0] == 0
    code, _, said = run("sample", folder, "--label", "10", "--out", "none.png")
    assert code == 2 and "classes are 0 to 9" in said and not Path("none.png").exists()
    for words in (("sample", folder, "--help"), ("sample", "--help", "cgan"), ("sample", "--seed", "1", "cgan", "-h")):
        code, out, _ = run(*words)
        assert code == 0 and "also takes:" in out and "--label  the class of all samples, by number or name" in out
    assert "takes no other options" in run("sample", "dcgan", "--help")[1]
    code, out, _ = run("sample", "--label=7", folder, "-n", "4", "--out", "same.png")  # before what it is an option of
    assert code == 0 and Path("same.png").read_bytes() == Path("sevens.png").read_bytes()
    for words, wrong in (
        (("--lable", "7"), "unknown option '--lable' of r/"), (("--label",), "--label is a text, not left empty"),
        (("--label", "7", "--label", "8"), "--label is given twice"), (("--prompt", "x"), "there is --code, --label, --out, --seed."),
    ):  # fmt: skip
        code, _, said = run("sample", folder, "--out", "none.png", *words)
        assert code == 2 and wrong in said and not Path("none.png").exists()
    code, _, said = run("sample", "dcgan", "--label", "1", "--out", "none.png")
    assert code == 2 and "unknown option '--label' of dcgan: there is --code, --out, --seed." in said


def test_a_model_may_be_told_what_it_is_asked_about(run) -> None:
    code, out, _ = run("train", "vae:conditional", "--recipe", "smoke-conditional", "--set", "steps=2", "--out", "r")
    folder = out.strip().splitlines()[-1]
    Image.new("L", (9, 9), 200).save("one.png")
    code, out, _ = run("predict", folder, "one.png", "--label", "3")
    assert code == 0 and out.startswith("squared error")
    assert run("predict", "--label", "4", folder, "one.png")[1] != out
    assert "must be told what it sees" in run("predict", folder, "one.png")[2]
    assert "its classes are 0 to 9" in run("predict", folder, "one.png", "--label", "11")[2]
    assert "unknown option '--label' of lenet: there is --code." in run("predict", "lenet", "one.png", "--label", "3")[2]


def test_looking_up(run) -> None:
    assert "dcgan" in run("find", "gan")[1]
    out = run("show", "dcgan")[1]
    assert "Radford" in out and "small" in out
    assert "mnist" in run("data", "list")[1]
    assert "8 modes" not in run("list", "--task", "tagging")[1]
    rows = json.loads(run("results", "--json")[1])
    keys = [
        "paper",
        "variant",
        "recipe",
        "data",
        "metric",
        "judge",
        "mean",
        "spread",
        "seeds",
        "target",
        "claim",
        "status",
        "seconds",
        "hardware",
        "commit",
    ]
    assert all(set(keys) <= set(row) for row in rows)


WRONG = [
    (["train", "dcgam"], "unknown paper 'dcgam': did you mean dcgan"),
    (["train", "resnet:resnet21"], "unknown variant 'resnet21' of resnet: did you mean resnet"),
    (["train", "dcgan", "--recipe", "smal"], "unknown recipe 'smal' of dcgan: did you mean small"),
    (["train", "dcgan", "--data", "mnits"], "unknown data set 'mnits': did you mean mnist"),
    (["train", "dcgan", "--data", "folder:nowhere"], "there is no nowhere"),
    (["show", "attention"], "unknown paper 'attention': did you mean ram or "),
    (["predict", "runs/typo", "photo.jpg"], "there is no run or file runs/typo"),
    (["train", "dcgan", "--set", "model.wdith=3"], "unknown override 'model.wdith' of dcgan: did you mean model.width"),
    (["train", "dcgan", "--set", "steps=many"], "steps must be a whole number from 1, not 'many'"),
    (["train", "dcgan", "--set", "steps=0"], "steps must be a whole number from 1"),
    (["train", "dcgan", "--set", "model.width=wide"], "model.width must be int, at least 1, at most 1,000,000, not 'wide'"),
    (["train", "dcgan", "--set", "batch_size=2.5"], "batch_size must be a whole number from 1, or all"),
    (["train", "dcgan", "--set", "precision=fp16"], "precision must be one of auto, bf16, float32"),
    (["train", "dcgan", "--set", "judge=inceptoin"], "unknown judge"),
    (["train", "dcgan", "--set", "steps"], "write KEY=VALUE"),
    (["train", "dcgan", "--recipe", "smoke", "--set", "model.image_size=20"], "image_size must be one of 16, 32, 64, 128, 256, not 20"),
    (
        ["train", "dcgan", "--recipe", "smoke", "--set", "model.channels=3"],
        "model.channels is 3, but the images of digits have 1",
    ),
    (["train", "lenet", "--recipe", "smoke", "--data", "ring8"], "classification needs data with image and label"),
    (["train", "lenet", "--set", "augment=flop"], "unknown augmentation 'flop'"),
    (["train", "dcgan", "--seed", "-1"], "seed must be"),
    (["train", "dcgan", "--init", "nothing"], "no such run or file"),
    (["train", "./mine.py"], "there is no file"),
    (["resume", "nowhere"], "nowhere is no run"),
    (["evaluate", "nowhere"], "nowhere is no run"),
    (["report", "nowhere"], "nowhere is no run"),
    (["sample", "lenet:1997"], "unknown variant '1997' of lenet: did you mean 1998"),
    (["sample", "missing.safetensors"], "there is no file"),
    (["find", "zebra"], "nothing in the catalogue contains 'zebra'"),
    (["list", "--family", "gam"], "unknown family 'gam': did you mean gan"),
    (["results", "--add", "nowhere"], "nowhere is no run"),
    (["data", "show", "mnits"], "unknown data set"),
]


@pytest.mark.parametrize(("words", "message"), WRONG, ids=[" ".join(w) for w, _ in WRONG])
def test_wrong_input_is_one_sentence_and_exit_code_2(run, tmp_path: Path, words: list[str], message: str) -> None:
    code, out, err = run(*words)
    assert code == 2
    assert message in err and err.startswith("paperzoo: ") and len(err.strip().splitlines()) == 1
    assert "Traceback" not in err and not out
    assert not list(tmp_path.glob("runs*"))  # nothing half-written


def test_what_a_model_knows_is_said_before_it_answers(run) -> None:
    Image.new("L", (28, 28)).save("one.png")
    code, out, err = run("predict", "lenet", "one.png")
    assert code == 0 and "%" in out and "knows" not in out
    assert "lenet knows 10 answers, learnt from mnist, and has one of them for whatever it is shown: 0, 1, 2, " in err


def test_a_shell_completes_names_of_papers() -> None:
    assert papers("dc") == ["dcgan"] and set(papers("")) == set(paperzoo.list_papers()) and papers("qq") == []


def test_a_path_where_a_name_should_stand_is_recognised(run) -> None:
    Path("pics").mkdir()
    Path("sales.csv").touch()
    Path("notes.odt").touch()
    assert "pics is a folder of your own, not a listed data set: write --data folder:pics" in run("train", "dcgan", "--data", "pics")[2]
    assert "write --data series:sales.csv" in run("train", "forecaster", "--data", "sales.csv")[2]
    assert "write --data KIND:notes.odt, where KIND is one of folder, " in run("train", "lenet", "--data", "notes.odt")[2]
    for name in ("lenet-small-s0", "vae-small-s0"):
        Path("runs", name).mkdir(parents=True)
        Path("runs", name, "run.json").write_text("{}")
    said = run("sample", "runs/lenet-smal-s0")[2]
    assert said.startswith("paperzoo: there is no run or file runs/lenet-smal-s0; in runs there is lenet-small-s0")
    for command in ("sample", "report", "resume"):
        assert "; in runs there is lenet-small-s0, vae-small-s0" in run(command, "runs")[2]


def test_a_file_of_ones_own_that_lacks_parts_or_breaks(run) -> None:
    Path("mine.py").write_text("PAPER = 1\n")
    assert "has no Model and no VARIANTS and no RECIPES" in run("train", "./mine.py")[2]
    Path("broken.py").write_text("1 / 0\n")
    code, _, err = run("train", "./broken.py")
    assert code == 2 and "ZeroDivisionError" in err and "Traceback" not in err


def test_damaged_weights_are_named(run) -> None:
    Path("bad.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ")
    assert "was not written by paperzoo" in run("sample", "bad.safetensors")[2]
    Path("worse.safetensors").write_bytes(b"no such thing")
    assert "worse.safetensors is damaged" in run("sample", "worse.safetensors")[2]


def test_settings_are_json_where_they_can_be() -> None:
    assert parse_settings(["a=1", "b=1e-4", "c=none", "d=true", "e=x=y", 'f={"g": 2}']) == {
        "a": 1, "b": 1e-4, "c": None, "d": True, "e": "x=y", "f": {"g": 2},
    }  # fmt: skip
    with pytest.raises(PaperzooError, match="twice"):
        parse_settings(["a=1", "a=2"])


def test_a_papers_file_is_read_as_it_stands(run, tmp_path: Path) -> None:
    papers = Path(paperzoo.__file__).parent / "papers"
    code, out, _ = run("read", "dcgan")
    assert code == 0 and out == (papers / "gan" / "dcgan.py").read_text(encoding="utf-8")
    code, out, _ = run("read", "vae")  # its further files behind it, in order
    assert code == 0 and all((papers / "autoencoder" / f"{name}.py").read_text("utf-8").strip() in out for name in ("vae", "vae_linear"))
    code, out, _ = run("read", "vae:linear")
    assert code == 0 and out == (papers / "autoencoder" / "vae_linear.py").read_text(encoding="utf-8")
    (tmp_path / "mine.py").write_text("open('ran', 'w')\x1b[2J\n")
    code, out, _ = run("read", "mine.py")
    assert code == 0 and out == "open('ran', 'w')\\x1b[2J\n" and not (tmp_path / "ran").exists()
    (tmp_path / "latin.py").write_bytes(b"# caf\xe9\n")
    wrong = {
        "latin.py": "latin.py is no Python file",
        "dcgam": "did you mean dcgan",
        "vae:nope": "unknown variant 'nope'",
        "none.py": "there is no file none.py",
    }
    for name, said in wrong.items():
        code, out, error = run("read", name)
        assert code == 2 and not out and said in error, error


def test_results_of_one_paper_and_status_fit_eighty_columns(run) -> None:
    for words in (["wgan"], ["pix2pix"], ["aae"], ["wgan:toy", "--status", "missed"], ["bert", "--status", "unverified"]):
        code, out, _ = run("results", *words)
        assert code == 0 and out.strip() and max(map(len, out.splitlines())) <= 80, words
    code, out, _ = run("results", "wgan", "--status", "missed")
    assert "wgan:toy small-toy, ring8" in out and "target at least 8" in out and "wasserstein" not in out
    code, out, _ = run("results", "wgan", "--status", "missed", "--json")
    assert [(row["paper"], row["status"]) for row in json.loads(out)] == [("wgan", "missed")]
    code, out, _ = run("results", "vdsr", "--status", "reproduced")
    assert code == 0 and out == "no such results\n"
    wrong = (["wgam"], "did you mean wgan"), (["wgan:toi"], "unknown variant 'toi' of wgan"), (["--status", "mised"], "missed")
    for words, said in wrong:
        code, out, error = run("results", *words)
        assert code == 2 and not out and said in error, error


def test_a_copy_is_not_made_over_another(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))  # as `python -m paperzoo` has it: the file is a module that can be imported
    assert run("new", "mine", "--from", "lenet")[0] == 0
    before = (tmp_path / "mine.py").read_bytes()
    code, _, error = run("new", "mine", "--from", "dcgan")
    assert code == 2 and "mine.py exists already, and is not overwritten" in error and (tmp_path / "mine.py").read_bytes() == before
