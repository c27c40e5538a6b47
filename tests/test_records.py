"""Records: what stands in a TOML file is what is read, and what is wrong in it is named by file and key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import paperzoo
from paperzoo import catalog, records, results
from paperzoo.errors import PaperzooError
from paperzoo.records import Claim, Deviation, Exemption, Paper

WHOLE = '''
title = "A title"
authors = "Somebody"
year = 2001
task = "classification"
arxiv = "0101.00001"

[parameters]
net = 1_000
2 = 5

[[claim]]
id = "mnist-1.5"
metric = "error %"
data = "MNIST"
value = 1
spread = 0.5
where = "table 1"
mark = "seen"
source = "a README"
statistic = "best"
runs = 5
measured_by = { paper = "error %" }

[[claim]]
id = "curves"
metric = "score"
data = "MNIST"
value = "curves"
where = "figure 1"
mark = "memory"

[[deviation]]
paper = "says so"
here = """\\
  is done \\
  otherwise"""
why = "because"

[[exemption]]
test = "moves"
match = "*.bias"
why = "section 2"
'''


def written(folder: Path, text: str) -> Path:
    path = folder / "net.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_record_is_read_as_it_stands(tmp_path: Path) -> None:
    path = written(tmp_path, WHOLE)
    assert records.read(path) == Paper(
        name="net",
        title="A title",
        authors="Somebody",
        year=2001,
        task="classification",
        arxiv="0101.00001",
        parameters={"net": 1000, "2": 5},
        claims=(
            Claim(
                "error %", "MNIST", 1, "table 1", "seen", 0.5, source="a README", statistic="best", runs=5, id="mnist-1.5",
                measured_by={"paper": "error %"},
            ),
            Claim("score", "MNIST", "curves", "figure 1", "memory", id="curves"),
        ),
        deviations=(Deviation("says so", "is done otherwise", "because"),),
        exemptions=(Exemption("moves", "*.bias", "section 2"),),
    )  # fmt: skip
    assert records.head(path) == records.Head("A title", 2001, "classification")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "A title"', "title = A title", "is not TOML: Invalid value"),
        ('title = "A title"\n', "", "net.toml has no title"),
        ("year = 2001", 'year = "2001"', "net.toml: year must be a whole number, not '2001'"),
        ("year = 2001", "year = true", "year must be a whole number, not True"),
        ("arxiv", "arxive", r"unknown key 'arxive' in .*net.toml: did you mean arxiv"),
        ("net = 1_000", "net = 1.5", "parameters must be a table of a whole number"),
        ("spread = 0.5", 'spread = "0.5"', "net.toml: claim 1: spread must be a number"),
        ("value = 1\n", "value = []\n", "claim 1: value must be a number or a string"),
        ('value = "curves"\n', "", "claim 2 has no value"),
        ('mark = "seen"', 'mark = "sen"', "claim 1: mark must be 'checked' or 'seen' or 'memory' or 'measured', not 'sen'"),
        ('statistic = "best"', 'statistics = "best"', r"unknown key 'statistics' in .*claim 1: did you mean statistic"),
        ('id = "curves"', 'id = "mnist-1.5"', "two claims have the id 'mnist-1.5'"),
        ('id = "curves"\n', "", "claim 2 needs an id of small letters"),
        ('id = "curves"', 'id = "The curves"', "claim 2 needs an id"),
        ("[[deviation]]", "[deviation]", "deviation must be tables, each under"),
        ("[parameters]", 'findings = "It works."\n[parameters]', "findings does not belong here: write results/<paper>/notes.md"),
        ("[parameters]", "claims = []\n[parameters]", r"claims does not belong here: write \[\[claim\]\]"),
        ("measured_by = {", "measured_by = { a = 1,", "measured_by must be a table of a string"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_key(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert WHOLE.count(old) >= 1
    with pytest.raises(PaperzooError, match=message) as error:
        records.read(written(tmp_path, WHOLE.replace(old, new, 1)))
    assert "\n" not in str(error.value) and "net.toml" in str(error.value)


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "net.toml"
    for content in (b"\xff\xfe", None):
        path.unlink(missing_ok=True)
        path.mkdir() if content is None else path.write_bytes(content)
        for read in (records.read, records.head):
            with pytest.raises(PaperzooError, match=r"net\.toml cannot be read"):
                read(path)


def test_a_file_of_ones_own_has_its_record_inside_or_beside_it(tmp_path: Path) -> None:
    method = "from paperzoo.papers.recognition.lenet import Model, RECIPES, VARIANTS\n"
    inside = 'from paperzoo.records import Paper\nPAPER = Paper("mine", "In the file", "-", 2026, "classification", fails="Often.")\n'
    file = tmp_path / "mine.py"
    file.write_text(method)
    with pytest.raises(PaperzooError, match=r"has no PAPER \(nor is there a record mine.toml beside it\)"):
        catalog.allow(str(file))
        catalog.load(str(file))
    file.with_suffix(".toml").write_text(WHOLE)
    entry = catalog.load(str(file))
    assert (entry.paper.name, entry.paper.title, entry.variant) == ("mine", "A title", "lenet")
    assert paperzoo.paper(str(file)).recipes.keys() == entry.paper.recipes.keys() != set()
    file.write_text(method + inside)
    assert catalog.load(str(file)).paper.title == "In the file"
    assert results.notes(catalog.load(str(file)).paper) == ("", "Often.")
    file.write_text(method + "PAPER = 1\n")
    with pytest.raises(PaperzooError, match=r"in .*mine.py, PAPER is a paperzoo.Paper, not int"):
        catalog.load(str(file))


def test_notes_are_read_by_their_headings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "folder", lambda: tmp_path)
    paper, notes = catalog.paper("lenet"), tmp_path / "lenet" / "notes.md"
    assert results.notes(paper) == ("", "")
    notes.parent.mkdir()
    notes.write_text("## What was found\n\nIt learns,\nfast.\n\n### In figures\n\nOne.\n\n## How it fails\n\nSlowly.\n")
    assert results.notes(paper) == ("It learns,\nfast.\n\n### In figures\n\nOne.", "Slowly.")
    notes.write_text("## How it failed\n\nSlowly.\n")
    with pytest.raises(PaperzooError, match=r"unknown heading 'How it failed' in .*notes.md: did you mean How it fails"):
        results.notes(paper)
    notes.write_text("It learns.\n")
    with pytest.raises(PaperzooError, match=r"notes\.md begins without a heading"):
        results.notes(paper)


@pytest.mark.parametrize("name", catalog.list_papers())
def test_every_paper_says_how_it_fails_and_its_evidence_is_small(name: str) -> None:
    _, fails = results.notes(catalog.paper(name))
    assert fails, f"results/{name}/notes.md does not say how it fails"
    folder = results.folder() / name
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 300_000, folder


def test_records_of_papers_hold_no_prose_of_findings() -> None:
    for path in catalog.PAPERS.rglob("*.py"):
        assert not re.search(r"^PAPER\b|\bClaim\(|\bDeviation\(", path.read_text(encoding="utf-8"), re.M), path


def test_a_recipe_but_with_changes() -> None:
    targets = (records.Target("error %", at_most=5),)
    base = records.Recipe("digits", 10, model={"width": 8, "depth": 2}, optimizer={"lr": 0.1}, targets=targets, note="a")
    less = base.but(steps=20, model={"depth": 3, "image_size": 8}, note="b")
    assert less == records.Recipe(
        "digits", 20, model={"width": 8, "depth": 3, "image_size": 8}, optimizer={"lr": 0.1}, targets=targets, note="b"
    )
    assert base.model == {"width": 8, "depth": 2} and base.steps == 10  # as it was
    assert base.but(note="c").hash() == base.hash() != base.but(optimizer={"lr": 0.2}).hash()
    assert base.but(optimizer={"warm_up": 5}).optimizer == {"lr": 0.1, "warm_up": 5}
    with pytest.raises(TypeError, match="step_count"):
        base.but(step_count=1)


def test_two_papers_of_one_name_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "PAPERS", tmp_path)
    for family in ("gan", "video"):
        (tmp_path / family).mkdir()
        (tmp_path / family / "net.toml").write_text(WHOLE)
    with pytest.raises(PaperzooError, match="two papers are named net"):
        len(catalog.Catalogue())
