"""What a run's directory owes: damage is found, data and code are known, nobody else's code runs, one writer at a time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.training import job, same
from PIL import Image

import paperzoo
from paperzoo import catalog
from paperzoo.engine import checkpoint, machine
from paperzoo.engine import run as runs
from paperzoo.errors import PaperzooError
from paperzoo.report.page import write_page
from paperzoo.saved import checkpoints, newest, read
from paperzoo.tasks.model import Model

pytestmark = pytest.mark.usefixtures("undrawn")
HERE = Path(__file__).parent


def trained(folder: Path, **overrides: object) -> runs.Run:
    return paperzoo.train("lenet", "smoke", out=folder, overrides={"steps": 6, "checkpoint_every": 2, **overrides})


def forged(path: Path, to: Path, **changes: object) -> Path:
    """The same tensors under a changed header, with the digest that belongs to it: what an attacker would write."""
    tensors, header = read(path)
    checkpoint.write(to, tensors, {**header, **changes})
    return to


# ---------------------------------------------------------------- damage


def test_a_changed_header_is_damage_everywhere(tmp_path: Path) -> None:
    """The step of a checkpoint is as much part of it as its tensors."""
    run = trained(tmp_path)
    last = run.directory / "checkpoints" / "00000006.safetensors"
    whole = last.read_bytes()
    assert whole.count(b'iteration\\": 6') == 1
    last.write_bytes(whole.replace(b'iteration\\": 6', b'iteration\\": 4'))
    with pytest.raises(PaperzooError, match="is damaged"):
        read(last)
    with pytest.warns(UserWarning, match=r"00000006.safetensors is damaged.*using the one before"):
        before = paperzoo.load(run.directory)
    assert same(checkpoint.tensors_of(before), checkpoint.tensors_of(paperzoo.load(run.directory / "checkpoints" / "00000004.safetensors")))
    with pytest.warns(UserWarning, match="is damaged"):
        paperzoo.evaluate(run.directory)
    (run.directory / "result.json").unlink()
    again = paperzoo.resume(run.directory)
    last.unlink(missing_ok=True)
    assert again.metrics == run.metrics


def test_any_flipped_byte_is_found(tmp_path: Path) -> None:
    run = trained(tmp_path, checkpoint_every=100)
    path, _ = newest(run.directory)
    good, header = read(path)
    data = path.read_bytes()
    size = 8 + int.from_bytes(data[:8], "little")
    chance = np.random.default_rng(0)
    for place in [*range(8), *chance.integers(8, size, 150).tolist(), *chance.integers(size, len(data), 50).tolist()]:
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(chance.integers(8))
        path.write_bytes(flipped)
        try:
            tensors, found = read(path)
        except PaperzooError:
            continue
        assert same(tensors, good) and found == header, f"byte {place}"  # a blank of the JSON around them may change, no more


def test_weights_of_a_run_are_those_of_its_newest_good_checkpoint(tmp_path: Path) -> None:
    run = paperzoo.train("cnn", "smoke", out=tmp_path, overrides={"steps": 6, "checkpoint_every": 2})
    last = run.directory / "checkpoints" / "00000006.safetensors"
    data = bytearray(last.read_bytes())
    data[-50] ^= 1
    last.write_bytes(data)
    with pytest.warns(UserWarning, match=r"00000006.safetensors is damaged"):
        given = dict(run.model.arguments)
        sizes = {key: given.pop(key) for key in ("channels", "image_size", "classes") if key in given}
        begun = paperzoo.create("transfer", backbone="cnn", weights=str(run.directory), settings=given, **sizes)
    kept, _ = read(run.directory / "checkpoints" / "00000004.safetensors")
    own_state = begun.network.state_dict()
    taken = [k for k, v in own_state.items() if k in kept and kept[k].shape == v.shape and torch.equal(kept[k], v)]
    assert len(taken) >= len(own_state) - 2, own_state.keys() ^ kept.keys()  # all but the new head


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda text: text[: len(text) // 2], "run.json is damaged"),
        (lambda text: "[]", "run.json is damaged"),
        (lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "recipe"}), "run.json is damaged"),
        (lambda text: json.dumps({**json.loads(text), "recipe": 3}), "run.json is damaged"),
        (lambda text: json.dumps({**json.loads(text), "recipe": {**json.loads(text)["recipe"], "zz": 1}}), "run.json is damaged"),
        (lambda text: json.dumps({**json.loads(text), "name": "nosuch"}), "unknown paper 'nosuch'"),
    ],
)
def test_a_damaged_run_file_is_one_sentence(harm: object, said: str, tmp_path: Path) -> None:
    run = trained(tmp_path)
    file = run.directory / "run.json"
    file.write_text(harm(file.read_text()))  # type: ignore[operator]
    (run.directory / "result.json").unlink()
    for use in (paperzoo.resume, paperzoo.evaluate):
        with pytest.raises(PaperzooError, match=said):
            use(run.directory)


def test_metrics_that_are_no_text_end_where_they_are_damaged(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1, "seconds": 0.1, "loss": {}}\n\xff\xfe\x00\n{"step": 3, "seconds": 0.2}\n')
    assert [line["step"] for line in runs.read_lines(path)] == [1]
    path.write_bytes(b'{"step": 1, "seconds": 0.1}\n[3]\n')
    assert len(runs.read_lines(path)) == 1


# ---------------------------------------------------------------- nobody else's code


def test_no_file_runs_that_was_not_named(tmp_path: Path) -> None:
    marker = tmp_path / "has run"
    evil = tmp_path / "evil.py"
    evil.write_text(f"open({str(marker)!r}, 'w')\n" + (HERE / "staged.py").read_text())
    run = trained(tmp_path / "runs")
    path, _ = newest(run.directory)
    file = forged(path, tmp_path / "weights.safetensors", name=str(evil))
    info = json.loads((run.directory / "run.json").read_text())
    shutil.copytree(run.directory, tmp_path / "theirs")
    (tmp_path / "theirs" / "run.json").write_text(json.dumps({**info, "name": str(evil)}))
    (tmp_path / "theirs" / "result.json").unlink()
    forged(path, tmp_path / "theirs" / "checkpoints" / path.name, name=str(evil))
    tries = [
        lambda: paperzoo.load(file),
        lambda: paperzoo.load(tmp_path / "theirs"),
        lambda: paperzoo.evaluate(tmp_path / "theirs"),
        lambda: paperzoo.resume(tmp_path / "theirs"),
        lambda: write_page(runs.open_run(tmp_path / "theirs")),
        lambda: paperzoo.train("lenet", "smoke", init=str(file), out=tmp_path / "out", overrides={"steps": 1}),
        lambda: paperzoo.load(forged(path, tmp_path / "t.safetensors", name="t3d:transfer", arguments={"teacher": str(evil)})),
        lambda: paperzoo.load(forged(path, tmp_path / "t.safetensors", name="transfer", arguments={"backbone": str(evil)})),
    ]
    for number, attempt in enumerate(tries):
        with pytest.raises(PaperzooError, match=r"runs only if you name it|no paper of"):
            attempt()
        assert not marker.exists(), number
    assert not (tmp_path / "out").exists()


def test_own_code_runs_when_it_is_named_also_from_another_place(tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text((HERE / "staged.py").read_text())
    run = paperzoo.train(str(mine), "smoke", out=tmp_path / "runs")
    moved = tmp_path / "elsewhere" / "mine.py"
    moved.parent.mkdir()
    mine.rename(moved)
    catalog._NAMED.clear()  # another command
    with pytest.raises(PaperzooError, match=r"--code mine\.py"):
        paperzoo.load(run.directory)
    assert paperzoo.evaluate(run.directory, code=[str(moved)]) == pytest.approx(run.metrics, abs=1e-6)
    with pytest.raises(PaperzooError, match="there is no file"):
        paperzoo.load(run.directory, code=[str(mine)])


# ---------------------------------------------------------------- a run knows its data


def pictures(folder: Path, classes: dict[str, int], count: int = 12) -> Path:
    """``count`` grey pictures a class, each of a brightness of its own."""
    for name, value in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = np.full((8, 8), value + number, np.uint8)
            pixels[0, 0] = hash((name, number)) % 7
            Image.fromarray(pixels).save(folder / name / f"{number:02d}.png")
    return folder


def own(folder: Path, out: Path, **overrides: object) -> runs.Run:
    settings = {"steps": 8, "checkpoint_every": 4, "batch_size": 8, **overrides}
    return paperzoo.train("lenet", "smoke", f"folder:{folder}", out=out, overrides=settings)


def test_own_data_are_kept_by_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    pictures(tmp_path / "a" / "pics", {"x": 10, "y": 200})
    pictures(tmp_path / "b" / "pics", {"x": 200, "y": 10})  # the same names, another content
    monkeypatch.chdir(tmp_path / "a")
    run = own(Path("pics"), tmp_path / "runs")
    monkeypatch.chdir(tmp_path / "b")
    assert paperzoo.evaluate(run.directory) == pytest.approx(run.metrics, abs=1e-6)
    assert json.loads((run.directory / "run.json").read_text())["recipe"]["data"] == f"folder:{tmp_path}/a/pics"


def test_exchanged_pictures_are_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = pictures(tmp_path / "pics", {"x": 10, "y": 200})
    run = own(folder, tmp_path / "runs")
    Image.fromarray(np.full((8, 8), 77, np.uint8)).save(folder / "x" / "03.png")
    (folder / "y" / "05.png").rename(folder / "y" / "95.png")
    changes = r"1 file new \(y/95.png\), 1 file missing \(y/05.png\), 1 file changed \(x/03.png\)"
    with pytest.warns(UserWarning, match=f"no longer those.*{changes}"):
        paperzoo.evaluate(run.directory)
    (run.directory / "result.json").unlink()
    for path in sorted((run.directory / "checkpoints").iterdir())[1:]:
        path.unlink()
    from paperzoo.data.datasets import _build

    _build.cache_clear()
    capfd.readouterr()
    paperzoo.resume(run.directory)
    assert "1 file changed (x/03.png)" in capfd.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: (f / "y").rename(f / "z"), r"1 new \(z\); 1 missing \(y\)"),
        (lambda f: pictures(f, {"w": 90}), r"1 new \(w\)"),
        (lambda f: shutil.rmtree(f / "y"), r"1 missing|only one class|needs data with"),
    ],
)
def test_classes_are_matched_by_name(change: object, said: str, tmp_path: Path) -> None:
    from paperzoo.data.datasets import _build

    folder = pictures(tmp_path / "pics", {"x": 10, "y": 200, "zz": 120})
    run = own(folder, tmp_path / "runs")
    change(folder)  # type: ignore[operator]
    _build.cache_clear()
    (run.directory / "result.json").unlink()
    for use in (paperzoo.evaluate, paperzoo.resume):
        with pytest.raises(PaperzooError, match=said):
            use(run.directory)


def test_the_same_classes_in_another_order_are_realigned(tmp_path: Path) -> None:
    data = paperzoo.dataset(f"folder:{pictures(tmp_path / 'pics', {'x': 10, 'y': 200})}")
    turned = data.named(("y", "x"))
    assert turned.schema.names == ("y", "x")
    for split in data.splits:
        everything = np.arange(len(data[split]))
        before, after = data[split].batch(everything), turned[split].batch(everything)
        assert torch.equal(after.label, 1 - before.label) and torch.equal(after.image, before.image)
    run = own(tmp_path / "pics", tmp_path / "runs")
    path, _ = newest(run.directory)
    forged(path, path, names=["y", "x"])  # as an earlier version might have sorted them
    assert paperzoo.evaluate(run.directory)["error %"] == pytest.approx(100 - run.metrics["error %"], abs=1e-4)


def sentences(letter: str) -> str:
    words = [f"{letter}{chr(97 + i)}" for i in range(20)]
    return "".join(f"{a} O\n{b} O\nParis B-LOC\n\n" for a in words for b in words)


def test_words_that_mean_other_numbers_are_an_error(tmp_path: Path) -> None:
    """A sentence added changes the numbers of all words behind it: the network would read other words without a sign."""
    text = tmp_path / "a.conll"
    text.write_text(sentences("w"))
    run = paperzoo.train("bilstm_crf", "smoke", f"conll:{text}", out=tmp_path / "runs", overrides={"steps": 3})
    text.write_text(sentences("v"))
    from paperzoo.data.datasets import _build

    _build.cache_clear()
    with pytest.raises(PaperzooError, match=r"of its vocabulary \d+ new \(v.*; \d+ missing \(w"):
        paperzoo.evaluate(run.directory)


# ---------------------------------------------------------------- one writer, nothing half-made


def test_a_run_is_written_by_one_process(tmp_path: Path) -> None:
    run = trained(tmp_path)
    (run.directory / "result.json").unlink()
    command = [sys.executable, "-m", "paperzoo", "resume", str(run.directory)]
    lines = (run.directory / "metrics.jsonl").read_bytes()
    with runs.locked(run):
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "is being written by another process" in done.stderr and len(done.stderr.splitlines()) == 1
    assert (run.directory / "metrics.jsonl").read_bytes() == lines
    paperzoo.resume(run.directory)  # the lock is gone with its holder


def test_what_is_refused_leaves_no_directory(tmp_path: Path) -> None:
    refused = [
        ("lenet", {"train_on": "nope"}),
        ("lenet", {"compile": "nope"}),
        ("lenet", {"clip": {"zz": 1}}),
        ("lenet", {"augment": "nope"}),
        ("dcgan", {"accumulate": 2}),
        ("gan:toy", {"augment": "flip"}),
    ]
    for name, overrides in refused:
        with pytest.raises(PaperzooError):
            paperzoo.train(name, "smoke" if ":" not in name else "smoke-toy", out=tmp_path / "runs", overrides=overrides)
        assert not (tmp_path / "runs").exists(), (name, overrides)


def test_a_directory_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(path: Path, value: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        runs.create(job("lenet", "smoke"), tmp_path / "runs")
    assert not list((tmp_path / "runs").iterdir())


def test_only_our_own_commit_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = tmp_path / "theirs"
    place = theirs / "venv" / "lib" / "site-packages" / "paperzoo" / "engine"
    place.mkdir(parents=True)
    (place / "machine.py").write_text("")
    for command in (["init", "-q"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", *command], cwd=theirs, check=True)
    monkeypatch.setattr(machine, "__file__", str(place / "machine.py"))
    assert machine.commit() == ""


LIMITED = """
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import torch; torch.set_num_threads(1)
from paperzoo import cli
from paperzoo.engine import loop, train, run, logbook
import paperzoo.report.page, paperzoo.tasks.pictures, matplotlib.pyplot, torch.utils.tensorboard
import lightning_fabric, sklearn.datasets, torch._dynamo  # once, not by each child
paths = sys.argv[1:]
for limit, path in zip((0, 300, 1000, 3000, 20000, 100000, 260000), paths):
    pid = os.fork()
    if not pid:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        sys.argv = ["paperzoo", "resume", path]
        cli.main()
        os._exit(0)
    print(limit, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def test_no_room_at_any_writing_call_of_a_resume_is_one_sentence(tmp_path: Path) -> None:
    """Each file may grow to so many bytes, as if the disk were full then: the run stops in words, and goes on to the same end."""
    run = trained(tmp_path, checkpoint_every=2)
    end = read(newest(run.directory)[0])[0]
    (run.directory / "result.json").unlink()
    for path in sorted((run.directory / "checkpoints").iterdir())[1:]:
        path.unlink()
    copies = [tmp_path / f"copy{number}" for number in range(7)]
    for copy in copies:
        shutil.copytree(run.directory, copy)
    command, environment = [sys.executable, "-c", LIMITED, *map(str, copies)], {**os.environ, "MPLBACKEND": "agg"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    codes = [int(line.split()[1]) for line in done.stdout.splitlines() if line[:1].isdigit()]
    assert set(codes) <= {0, 2} and codes[0] == 2 and len(codes) == 7, (done.stdout, done.stderr[-2000:])
    for copy in copies:
        assert same(read(newest(paperzoo.resume(copy).directory)[0])[0], end)


# ---------------------------------------------------------------- what else may lie in a run's directory


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    patch = pytest.MonkeyPatch()
    patch.setattr(Model, "show", lambda *_: [])
    run = trained(tmp_path_factory.mktemp("finished"))
    patch.undo()
    return run.directory


@pytest.fixture
def again(finished: Path, tmp_path: Path) -> runs.Run:
    """A copy, as if it had been stopped."""
    shutil.copytree(finished, tmp_path / "x")
    (tmp_path / "x" / "result.json").unlink()
    return runs.Run(tmp_path / "x")


def file_of(run: runs.Run, step: int) -> Path:
    return run.directory / "checkpoints" / f"{step:08d}.safetensors"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": None}, "seed must be a whole number, not None"),
        ({"seed": -1}, "seed must be a whole number from 0"),
        ({"name": 5}, "name must be a string, not 5"),
        ({"recipe_name": 3}, "recipe_name must be a string"),
        ({"notes": 5}, "notes must be a list"),
        ({"options": {"log_every": "x"}}, "options must be a table of a whole number"),
        ({"options": {"log_every": -1}}, "log_every must be a whole number from 0"),
        ({"recipe_hash": 3}, "recipe_hash must be a string"),
        ({"versions": 3}, "versions must be a table"),
        ({"recipe": {"steps": "ten"}}, "its recipe: steps must be a whole number, not 'ten'"),
        ({"recipe": {"steps": -1}}, "steps must be a whole number from 1, not -1"),
        ({"recipe": {"stages": [3]}}, "its recipe is no recipe"),
        ({"recipe": {"stages": [{"name": "a"}]}}, "a stage of its recipe has no steps"),
        ({"recipe": {"model": 3}}, "model must be a table"),
        ({"recipe": {"augment": ["nope"]}}, "unknown augmentation 'nope'"),
        ({"recipe": {"clip": "x"}}, "clip must be"),
    ],
)
def test_a_part_of_another_type_is_said_by_whatever_reads_it(changes: dict[str, Any], said: str, again: runs.Run) -> None:
    """Of the report and the card, too, which look at little else than this file."""
    file = again.directory / "run.json"
    info = json.loads(file.read_text())
    parts = {key: {**info[key], **value} if key == "recipe" else value for key, value in changes.items()}
    file.write_text(json.dumps({**info, **parts}))
    for use in (runs.job_of, write_page, paperzoo.resume, lambda run: paperzoo.load(run)):
        with pytest.raises(PaperzooError, match=f"run.json is damaged: .*{said}"):
            use(again if use in (runs.job_of, write_page) else again.directory)


def test_a_part_that_is_missing_is_named(again: runs.Run) -> None:
    file = again.directory / "run.json"
    info = json.loads(file.read_text())
    for key in ("name", "seed", "overrides", "recipe_hash", "hardware"):
        file.write_text(json.dumps({k: v for k, v in info.items() if k != key}))
        with pytest.raises(PaperzooError, match=f"run.json is damaged: it has no {key}$"):
            runs.job_of(again)
    later = ("protocol_hash", "command", "classes", "init", "options", "notes")
    file.write_text(json.dumps({k: v for k, v in info.items() if k not in later}))
    runs.job_of(again)  # an older version's


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metrics": {"error %": 10**400}}, "metrics must be a table of a number"), ({"metrics": {"error %": True}}, "metrics must be"),
        ({"seconds": "x"}, "seconds must be a number"), ({"precision": "fp8"}, "precision must be '' or 'bf16' or 'float32'"),
    ],
)  # fmt: skip
def test_a_result_of_another_type_is_said(changes: dict[str, Any], said: str, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "x")
    file = tmp_path / "x" / "result.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    with pytest.raises(PaperzooError, match=f"result.json is damaged: it: {said}"):
        runs.open_run(tmp_path / "x")


def test_what_is_logged_are_numbers_by_name(tmp_path: Path) -> None:
    path, good = tmp_path / "metrics.jsonl", {"step": 1, "seconds": 0.1, "loss": {"a": 1.0}, "first": [[0, "a", 1.0]]}
    steps, groups = ({"step": True}, {"step": 10**400}), ({"loss": 3}, {"loss": {"a": "x"}}, {"loss": {"a": None}}, {"measured": [1]})
    for odd in (*steps, *groups, {"first": 5}):
        path.write_text(f"{json.dumps(good)}\n{json.dumps({**good, **odd})}\n")
        assert runs.read_lines(path) == [good]
    path.unlink()
    os.mkfifo(path)
    assert runs.read_lines(path) == []  # and does not wait for whoever writes it


def test_copies_beside_the_checkpoints_are_no_checkpoints_and_stay(again: runs.Run) -> None:
    """They would be taken for the newest, by their names, and the newest be removed for them."""
    kept = [file_of(again, 2).with_name(name) for name in ("2.safetensors", "a.safetensors", "b.safetensors", "best (copy).safetensors")]
    for copy in kept:
        shutil.copy(file_of(again, 2), copy)
    (file_of(again, 2).parent / "._00000006.safetensors").write_bytes(b"of a Mac")
    assert newest(again.directory) == (file_of(again, 6), "")
    runs.tidy(again.directory)
    assert [path.name for path in checkpoints(again.directory)] == [file_of(again, step).name for step in (2, 4, 6)]
    assert all(copy.exists() for copy in kept)


def test_a_checkpoint_of_another_paper_or_step_is_named(again: runs.Run) -> None:
    """One of equal tensors would go on with another method, and be asked in its name."""
    forged(file_of(again, 4), file_of(again, 6), name="cnn")
    for use in (paperzoo.resume, paperzoo.evaluate, paperzoo.load):
        with pytest.raises(PaperzooError, match=r"00000006.safetensors is a checkpoint of cnn, in a run of lenet: take it out"):
            use(again.directory)
    for step in (7, 10**9):
        forged(file_of(again, 4), file_of(again, 6), iteration=step)
        with pytest.raises(PaperzooError, match=rf"is of step {step:,}, and this run has 6 steps"):
            paperzoo.resume(again.directory)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"names": 5}, "names must be a list"), ({"names": [1]}, "names must be a list, each a string"),
        ({"prepared": "x"}, "prepared must be"), ({"optimizers": 5}, "optimizers must be"),
        ({"iteration": -1}, "is of step -1"), ({"iteration": True}, "iteration must be a whole number"),
        ({"optimizers": {"a": 1}}, "state 'a' of no optimiser"),
        ({"optimizers": {"optimizer/network/x/step": 1}}, "'optimizer/network/x/step'"),
    ],
)  # fmt: skip
def test_a_header_that_cannot_be_meant_is_said(changes: dict[str, Any], said: str, again: runs.Run) -> None:
    file_of(again, 6).unlink()
    forged(file_of(again, 4), file_of(again, 4), **changes)
    with pytest.raises(PaperzooError, match=said):
        paperzoo.resume(again.directory)


def test_weights_of_other_numbers_are_refused_and_no_numbers_warned_of(again: runs.Run, tmp_path: Path) -> None:
    tensors, header = read(file_of(again, 6))
    name = next(k for k in tensors if not k.startswith("optimizer/"))
    for kind in (torch.int32, torch.complex64, torch.bool):
        checkpoint.write(tmp_path / "a.safetensors", {**tensors, name: tensors[name].to(kind)}, header)
        with pytest.raises(PaperzooError, match=rf"{name} is {kind}, not torch.float32"):
            paperzoo.load(tmp_path / "a.safetensors")
    checkpoint.write(tmp_path / "a.safetensors", {**tensors, name: tensors[name] * torch.nan}, header)
    with pytest.warns(UserWarning, match=rf"holds what is no number \(NaN\) in {name}"):
        paperzoo.load(tmp_path / "a.safetensors")


def test_pipes_and_folders_in_the_place_of_weights_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").mkdir()
    for name, said in (("a.safetensors", "is a pipe, not a file"), ("b.safetensors", "is no run"), ("c.safetensors", "there is no file")):
        with pytest.raises(PaperzooError, match=said):
            paperzoo.load(tmp_path / name)
    for name in ("~nosuchuser", "~nosuchuser/x.safetensors", "n" * 300):
        with pytest.raises(PaperzooError):
            paperzoo.load(name)
        with pytest.raises(PaperzooError):
            paperzoo.evaluate(name)


def test_a_kill_leaves_nothing_half_written_once_the_run_goes_on_and_a_full_disk_nothing_at_all(
    again: runs.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    halves = [again.directory / ".run.json.part", again.directory / "checkpoints" / ".x.part", again.directory / "figures" / ".0a1b.part"]
    for half in halves:
        half.write_bytes(b"half")
    with runs.locked(again):
        assert not any(half.exists() for half in halves)

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    before = {path: path.read_bytes() for path in again.directory.iterdir() if path.is_file()}
    monkeypatch.setattr(os, "replace", full)
    for write in (lambda: runs.write_json(again.directory / "run.json", {}), lambda: runs.cut_back(again.directory / "metrics.jsonl", 2)):
        with pytest.raises(OSError, match="No space"):
            write()
    assert {path: path.read_bytes() for path in again.directory.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("picture", [3, {"side": "x"}, {"side": 28, "square": 28, "channels": 1, "ground": 5}, {"side": 28, "square": 28,
                         "channels": 1, "filter": "none"}])  # fmt: skip
def test_what_is_said_of_pictures_and_is_not_so_is_named(picture: Any, again: runs.Run) -> None:
    forged(file_of(again, 6), file_of(again, 6), prepared={"picture": picture})
    with pytest.raises(PaperzooError, match="how the pictures of a model's data were prepared"):
        paperzoo.load(again.directory).predict(Image.new("L", (8, 8)))  # type: ignore[operator]
