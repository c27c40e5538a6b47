"""Folders for a hub of models: what lies in them, that they are read back, from a hub too, and what is refused."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fixtures.files import type_in

import paperzoo
from paperzoo.errors import PaperzooError
from paperzoo.report import hub


def front(text: str) -> dict[str, Any]:
    """A page's metadata, each line of which is JSON after its key."""
    begin, lines, _ = text.split("---\n", 2)
    assert begin == ""
    return {key: json.loads(value) for key, value in (line.split(": ", 1) for line in lines.splitlines())}


def test_a_folder_is_read_back_and_its_page_has_the_figures(tmp_path: Path) -> None:
    out = tmp_path / "made"
    assert [path.name for path in hub.folder("lenet", out)] == ["README.md", "config.json", "model.onnx", "model.safetensors"]
    shipped, again = paperzoo.load("lenet"), paperzoo.load(out)
    image = torch.rand(3, 1, 32, 32)
    assert torch.equal(again.network(image), shipped.network(image)) and again.names == shipped.names
    page = (out / "README.md").read_text(encoding="utf-8")
    told = front(page)
    assert {"license", "library_name", "pipeline_tag", "tags", "datasets", "model-index"} <= told.keys()
    assert told["pipeline_tag"] == "image-classification" and told["datasets"] == ["mnist"] and "recognition" in told["tags"]
    (row,) = told["model-index"]
    (result,) = row["results"]
    assert {m["name"]: m["value"] for m in result["metrics"]}["error %"] == pytest.approx(0.72)
    assert result["task"]["type"] == "image-classification" and result["dataset"]["type"] == "mnist"
    assert "| error % | 0.72 |" in page and "How it fails" in page and "CC BY-SA" in page
    config = json.loads((out / "config.json").read_text())
    assert config["name"] == "lenet" and config["arguments"]["classes"] == 10 and config["names"] == [str(n) for n in range(10)]


def test_of_a_run(tmp_path: Path) -> None:
    run = paperzoo.train("gan:toy", "smoke-toy", out=tmp_path / "runs")
    hub.folder(str(run.directory), tmp_path / "made")
    told = front((tmp_path / "made" / "README.md").read_text(encoding="utf-8"))
    assert told["model-index"][0]["results"][0]["metrics"][0]["value"] == pytest.approx(next(iter(run.metrics.values())))
    assert "arxiv:1406.2661" in told["tags"]
    assert torch.equal(paperzoo.load(tmp_path / "made").sample(4), paperzoo.load(run.directory).sample(4))


def test_without_what_writes_graphs_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "find_spec", lambda name: None)
    hub.folder("lenet", tmp_path / "made")
    assert not (tmp_path / "made" / "model.onnx").exists() and "no ONNX file" in (tmp_path / "made" / "README.md").read_text()


def test_a_folder_that_is_not_empty_a_tampered_file_and_a_missing_one_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note.txt").write_text("mine")
    code, _, said = type_in("card", "lenet", str(tmp_path / "mine"), capsys=capsys, monkeypatch=monkeypatch)
    assert code == 2 and "not empty" in said and [p.name for p in (tmp_path / "mine").iterdir()] == ["note.txt"]
    monkeypatch.setattr(hub, "find_spec", lambda name: None)
    (tmp_path / "made").mkdir()  # an empty one is taken
    hub.folder("lenet", tmp_path / "made")
    assert {p.name for p in tmp_path.iterdir()} == {"mine", "made"}
    weights = tmp_path / "made" / "model.safetensors"
    whole = bytearray(weights.read_bytes())
    whole[-5] ^= 1
    weights.write_bytes(whole)
    with pytest.raises(PaperzooError, match=r"model\.safetensors"):
        paperzoo.load(tmp_path / "made")
    weights.unlink()
    with pytest.raises(PaperzooError, match=r"there is no file .*model.safetensors"):
        paperzoo.load(tmp_path / "made")
    with pytest.raises(PaperzooError, match="nor a model's folder"):
        paperzoo.load(tmp_path / "mine")


def test_a_model_of_a_hub_is_fetched_by_revision_and_no_other_files_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "find_spec", lambda name: None)
    hub.folder("lenet", tmp_path / "there")
    asked: list[Any] = []

    def snapshot(place: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((place, revision))
        if revision == "none":
            raise ValueError("no such revision\nand more")
        (tmp_path / "here").mkdir()
        for name in allow_patterns:
            shutil.copy(tmp_path / "there" / name, tmp_path / "here" / name)
        return str(tmp_path / "here")

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=snapshot, __spec__=SimpleNamespace()))
    model = paperzoo.load("hf:somebody/lenet@v1")
    assert asked == [("somebody/lenet", "v1")] and model.name == "lenet"
    assert {p.name for p in (tmp_path / "here").iterdir()} == {"config.json", "model.safetensors"}
    with pytest.raises(PaperzooError, match=r"^hf:somebody/lenet@none cannot be fetched: no such revision$"):
        paperzoo.load("hf:somebody/lenet@none")
    for name in ("hf:lenet", "hf:a/b/c", "hf:/b", "hf:a/"):
        with pytest.raises(PaperzooError, match="write hf:owner/name@revision"):
            paperzoo.load(name)


def test_a_folder_is_named_in_any_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "find_spec", lambda name: None)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "deep").mkdir()
    for place in (tmp_path / "deep" / ".." / "a", Path("~/b")):
        assert len(hub.folder("lenet", place)) == 3
    assert {p.name for p in tmp_path.iterdir()} == {"a", "b", "deep"}
