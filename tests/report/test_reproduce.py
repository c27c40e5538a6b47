"""``paperzoo reproduce``: which recipes hang on a data set, the user's files put where they are looked for, a row beside its claim."""

from __future__ import annotations

import hashlib
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from paperzoo import catalog
from paperzoo.cli import app
from paperzoo.data import datasets
from paperzoo.data.fetch.sources import Source
from paperzoo.errors import PaperzooError
from paperzoo.report.reproduce import cost, minutes, place, wanted


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    datasets._build.cache_clear()
    return tmp_path / "cache" / "sources"


def miniature(folder: Path) -> Path:
    """CIFAR-10's archive with four images a batch and class."""
    rng = np.random.default_rng(0)
    inside = folder / "cifar-10-batches-py"
    inside.mkdir(parents=True)
    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"):
        labels = [n % 10 for n in range(40)]
        (inside / name).write_bytes(pickle.dumps({"data": rng.integers(0, 256, (40, 3072), np.uint8), "labels": labels}, 2))
    names = [f"class {n}" for n in range(10)]
    (inside / "batches.meta").write_bytes(pickle.dumps({"label_names": names}, 2))
    with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(inside, inside.name)
    return folder / "cifar-10-python.tar.gz"


def unpinned(monkeypatch: pytest.MonkeyPatch, digest: str = "") -> None:
    """The row of CIFAR-10 with another hash, as a miniature cannot have the real one."""
    row = datasets.DATASETS["cifar10"]
    source = Source(**{**vars(row.sources[0]), "sha256": digest, "unpinned": "" if digest else "a miniature"})
    monkeypatch.setitem(datasets.DATASETS, "cifar10", type(row)(**{**vars(row), "sources": (source,)}))


def test_recipes_are_found_by_their_data_and_by_their_claims() -> None:
    cifar = {(row.name, row.recipe_name) for row in wanted("cifar10")}
    assert {("resnet", "paper"), ("resnet:resnet110", "paper"), ("preact_resnet", "paper"), ("rethinking:alexnet", "paper-random")} <= cifar
    assert not {recipe for _, recipe in cifar if not recipe.startswith("paper")} and ("dcgan", "paper") not in cifar
    assert {row.name.partition(":")[0] for row in wanted("set5")} == {"srcnn", "vdsr"}  # trained on others, measured on Set5
    assert {row.name for row in wanted("ptb")} == {"char_rnn:zaremba-medium", "char_rnn:zaremba-large"}
    assert [row.name for row in wanted("conll2003", ["bilstm_crf:bilstm"])] == ["bilstm_crf:bilstm"]
    assert {row.name for row in wanted("cifar10", ["resnet"])} > {"resnet", "resnet:resnet56"}
    assert [claim.value for row in wanted("cifar10", ["resnet:resnet20"]) for _, claim in row.promised] == [8.75]


def test_a_small_recipe_is_not_asked_for_a_papers_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    recipes: Any = catalog.load("resnet").paper.recipes
    monkeypatch.setitem(recipes, "small-bold", recipes["paper"])
    assert {row.recipe_name for row in wanted("cifar10", ["resnet"])} == {"paper"}


@pytest.mark.parametrize(
    ("data", "only", "words"),
    [
        ("cifar11", [], "did you mean cifar10"),
        ("stamps", [], "data set with a claim"),
        ("cifar10", ["lenet"], "paper with a claim on cifar10"),
        ("cifar10", ["resnet:resnet21"], "resnet20"),
    ],
)
def test_what_no_claim_hangs_on_is_said(data: str, only: list[str], words: str) -> None:
    with pytest.raises(PaperzooError, match=words):
        wanted(data, only)


@pytest.mark.parametrize("given", ["archive", "folder above", "unpacked"])
def test_the_users_files_are_linked_to_where_they_are_looked_for(
    given: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpinned(monkeypatch)
    archive = miniature(tmp_path / "mine" / "deep")
    path = {"archive": archive, "folder above": tmp_path / "mine", "unpacked": archive.parent / "cifar-10-batches-py"}[given]
    [link] = place(wanted("cifar10", ["resnet:resnet20"]), path)
    assert link.parent == cache and link.is_symlink() and link.resolve() == (path if given == "unpacked" else archive)
    data = datasets.dataset("cifar10")
    assert len(data["train"]) == 180 and len(data["test"]) == 40 and data.schema.names[3] == "class 3"
    assert place(wanted("cifar10", ["resnet:resnet20"]), path) == []  # it is there


@pytest.mark.parametrize("unpacked", [False, True])
def test_where_no_links_can_be_made_files_are_copied(
    unpacked: bool, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*given: Any, **named: Any) -> None:
        raise OSError("a privilege is not held")

    unpinned(monkeypatch)
    archive = miniature(tmp_path / "mine")
    monkeypatch.setattr(Path, "symlink_to", refused)
    [placed] = place(wanted("cifar10", ["resnet:resnet20"]), archive.parent / "cifar-10-batches-py" if unpacked else archive)
    assert placed.is_dir() == unpacked and not placed.is_symlink() and len(datasets.dataset("cifar10")["test"]) == 40


def test_another_file_of_that_name_is_refused_and_a_missing_one_named(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = wanted("cifar10", ["resnet:resnet20"])
    archive = miniature(tmp_path / "mine")
    with pytest.raises(PaperzooError, match=r"cifar-10-python\.tar\.gz has SHA-256 .*damaged, or another file"):
        place(rows, archive)
    assert not cache.exists() or not any(cache.iterdir())
    with pytest.raises(PaperzooError, match="no such file or folder"):
        place(rows, tmp_path / "nowhere")
    with pytest.raises(PaperzooError, match=r"there is no .* and no .* below it"):
        place(wanted("set5", ["srcnn"]), tmp_path / "mine")
    unpinned(monkeypatch, hashlib.sha256(archive.read_bytes()).hexdigest())
    (link,) = place(rows, tmp_path)
    assert link.is_symlink()


def test_a_folder_of_texts_stands_for_the_archive_and_several_archives_are_found_by_name(tmp_path: Path, cache: Path) -> None:
    texts = tmp_path / "mine" / "simple-examples" / "data"
    texts.mkdir(parents=True)
    for split in ("train", "valid", "test"):
        (texts / f"ptb.{split}.txt").write_text(" the cat sat on the mat \n a dog <unk> N times \n" * 60)
    place(wanted("ptb"), texts)
    assert len(datasets.dataset("ptb")["train"]) > 0
    tags = tmp_path / "tags"
    tags.mkdir()
    for name in ("eng.train", "eng.testa", "eng.testb"):
        (tags / name).write_text("-DOCSTART- -X- -X- O\n\nGermany NNP I-NP I-LOC\nsleeps VBZ I-VP O\n\n" * 8)
    place(wanted("conll2003", ["bilstm_crf"]), tags)
    assert (cache / "conll2003").resolve() == tags and len(datasets.dataset("conll2003")["train"]) == 8
    both = [tmp_path / "zips" / "SR_training_datasets.zip", tmp_path / "zips" / "to test on" / "Set5_SR.zip"]
    for path in both:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"PK")
    links = place(wanted("set5", ["srcnn"]), tmp_path / "zips")
    assert [link.resolve() for link in links] == both


def test_from_the_command_line_to_a_row_and_again_without_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpinned(monkeypatch)
    miniature(tmp_path / "mine")
    command = ["reproduce", "cifar10", "--data", str(tmp_path / "mine"), "--paper", "resnet:resnet20", "--seeds", "0,1", "--out"]
    command += [str(tmp_path / "runs"), "--set", "steps=2", "--set", "batch_size=4", "--set", "precision=float32"]
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 0, told.output
    assert "resnet paper, cifar10: changed (steps=2, batch_size=4, precision=float32)" in told.output
    assert "(2 seeds), the paper's 8.75 (table 6)" in told.output and "0 of 1 reproduced" in told.output
    began = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("*/result.json")}
    assert len(began) == 2
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0 and {path: path.stat().st_mtime_ns for path in began} == began


def test_a_list_trains_nothing_and_needs_no_data() -> None:
    told = CliRunner().invoke(app, ["reproduce", "cifar10", "--paper", "resnet:resnet20", "--list"])
    assert "paperzoo train resnet --recipe paper --seeds 0,1,2  # 64,000 steps on cifar10" in told.output
    assert "error %: the paper's 8.75, table 6" in told.output and "minutes" not in told.output
    assert isinstance(CliRunner().invoke(app, ["reproduce", "cifar11"]).exception, PaperzooError)


def test_a_result_is_a_row_only_by_the_recipe_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from paperzoo.report import reproduce

    [row] = wanted("cifar10", ["resnet:resnet20"])

    class Run:
        def __init__(self, value: float, hash: str, overrides: dict[str, Any]) -> None:
            self.info = {"overrides": overrides, "recipe_hash": hash, "hardware": "a GPU"}
            self.directory = Path(str(value))

    monkeypatch.setattr(reproduce, "read_json", lambda path: {"metrics": {"error %": float(path.parent.name)}, "seconds": 60.0})

    def of(values: list[float], hash: str = row.recipe.hash(), **overrides: Any) -> tuple[str, str]:
        [pair] = reproduce.beside(row, [Run(value, hash, overrides) for value in values])  # type: ignore[list-item]
        return pair.row["status"], pair.ours

    assert of([8.6, 8.7, 8.8]) == ("reproduced", "8.7 ± 0.1 (3 seeds)")
    assert of([8.6, 8.7])[0] == "scaled" and of([9.6, 9.7, 9.8])[0] == "missed"
    assert of([8.6, 8.7, 8.8], "another", steps=2)[0] == "changed"
    assert of([8.6, 8.7, 8.8], steps=64_000)[0] == "reproduced"  # overrides that say what the recipe says


def test_what_a_step_asks_of_a_machine_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpinned(monkeypatch)
    rows = wanted("cifar10", ["rethinking:mlp1x512"])
    place(rows, miniature(tmp_path / "mine"))
    row = next(row for row in rows if row.recipe_name == "paper")
    inputs, batch = 28 * 28 * 3, row.recipe.batch_size
    assert isinstance(batch, int)
    weights = inputs * 512 + 512 * 10
    forward, backward = 2 * weights * batch, 2 * weights * batch + 2 * 512 * 10 * batch  # no gradient of the input
    one = cost(row)
    assert one.operations == forward + backward and 20 < one.calls < 2000
    assert minutes(row) == pytest.approx(row.recipe.steps * one.calls * 1e-5 / 60)  # small networks wait for their kernels
