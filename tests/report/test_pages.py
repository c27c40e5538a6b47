"""A paper's page: its order, its first picture and caption, what is related; and the tables of all papers."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from paperzoo import catalog, results
from paperzoo.report import pages, tables
from paperzoo.studies import titles


def test_a_page_is_in_the_order_in_which_it_is_read() -> None:
    page = pages.page("dcgan", results.rows("dcgan"))
    headings = ["The idea", "The code", "What was measured", "What the paper claims", "How it fails", "Where this departs from the paper",
                "Recipes and variants", "Related"]  # fmt: skip
    assert re.findall(r"^## (.*)$", page, re.M) == headings
    picture = page.index("![samples](dcgan-small-mnist-samples.png)")
    assert page.index("## The idea") < picture < page.index("## The code")
    assert re.search(r"\*Samples: drawn by .*\. dcgan, recipe small, mnist, trained for \d+ minutes\.\*", page)
    rows = [line.split(" | ") for line in page.split("## What was measured")[1].split("<details")[0].splitlines() if line.startswith("| ")]
    assert {len(row) for row in rows} == {5} and rows[0][0] == "| status"
    assert "`Generator`, `Discriminator`" in page


def test_a_picture_of_mistakes_comes_first_only_where_there_is_no_other() -> None:
    for name in catalog.list_papers():
        first, _ = pages._pictures(name)
        kinds = [p.stem for p in (pages.ROOT / "results" / name).glob("*.png")]
        if first and any(not kind.endswith(pages.LATER) for kind in kinds):
            assert not re.search(rf"!\[({'|'.join(pages.LATER)})\]", first[0]), name


def test_what_is_related_is_said_on_both_pages() -> None:
    assert "[dcgan](../dcgan/README.md)" in pages._related("wgan_gp")
    assert "[wgan_gp](../wgan_gp/README.md)" in pages._related("dcgan").split("is built on by")[1]
    assert "[degradation](../../docs/studies/degradation.md)" in pages._related("resnet")


def test_every_family_is_on_the_first_page_with_a_picture_that_is_there() -> None:
    families = {row.family for row in catalog.CATALOG.values()}
    assert families == set(tables.FAMILIES)
    assert all((tables.ROOT / "results" / picture).is_file() for *_, picture in tables.FAMILIES.values())
    assert len((tables.ROOT / "README.md").read_bytes()) <= 12_000


def test_the_best_row_is_one_that_met_most() -> None:
    rows = [{"status": status, "seeds": seeds} for status, seeds in (("missed", 9), ("scaled", 1), ("scaled", 3), ("unverified", 0))]
    assert tables.best(rows) == rows[2] and tables.best([]) is None


def test_a_sign_is_that_of_the_best_promise_of_a_paper_and_of_no_other() -> None:
    rows = [{"paper": paper, "status": status, "seeds": 1} for paper, status in (("a", "missed"), ("a", "scaled"), ("b", "stale"))]
    assert [tables.sign(name, rows) for name in "abc"] == ["\N{CHECK MARK}", "\N{WHITE CIRCLE}", "\N{WHITE CIRCLE}"]


def test_titles_of_studies_are_read_without_running_them() -> None:
    assert titles()["degradation"] == "Degradation: what lets depth help" and list(titles()) == sorted(titles()) and len(titles()) == 7


@pytest.mark.parametrize("text", ["", "no equation"])
def test_code_blocks_need_indented_lines(text: str) -> None:
    assert pages._code_blocks(text) == text and Path(__file__).parents[2] == pages.ROOT


@pytest.mark.parametrize("name", sorted(catalog.CATALOG))
def test_every_equation_of_an_idea_is_typeset_or_left_as_text(name: str) -> None:
    """One entry for each indented block of the docstring; LaTeX that the site can set, row by row: no command and no mark is left over."""
    pytest.importorskip("latex2mathml")
    pytest.importorskip("mkdocs")
    place = importlib.util.spec_from_file_location("hooks", pages.ROOT / "docs" / "hooks.py")
    assert place is not None and place.loader is not None
    hooks = importlib.util.module_from_spec(place)
    place.loader.exec_module(hooks)
    entry = catalog.load(name)
    blocks = pages.BLOCK.findall(entry.module.__doc__.partition("\n")[2])
    equations = entry.paper.equations
    assert len(equations) == len(blocks) if any(equations) else not [b for b in blocks if " = " in b and "paperzoo" not in b]
    for latex in filter(None, equations):
        drawn = hooks.typeset(latex)
        assert "\\" not in drawn and "&amp;" not in drawn and "&#x00026;" not in drawn, latex
        assert drawn.count("<mtr>") == (latex.count(r"\\") + 1 if r"\begin" in latex else 0), latex


def test_a_block_is_typeset_in_its_place_and_an_empty_equation_leaves_it() -> None:
    text = "\nIdea:\n\n    a = b\n\n    c = d\n\nand so\n\n    paperzoo train x\nEnd."
    typeset = pages._code_blocks(text, ("\\alpha", ""))
    assert typeset == "\nIdea:\n\n```math\n\\alpha\n```\n\nand so\n\n```text\npaperzoo train x\n```\nEnd."
    assert pages._code_blocks("    x = 1") == "```text\nx = 1\n```\n"
