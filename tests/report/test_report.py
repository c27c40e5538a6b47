"""Pages, cards, comparisons and the skeleton: what they must say, and that they need nothing from outside."""

from __future__ import annotations

import dataclasses
import html
import importlib.util
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import paperzoo
from paperzoo import catalog, results
from paperzoo.cli import parse_settings
from paperzoo.data.datasets import DATASETS
from paperzoo.engine.evaluate import redraw
from paperzoo.engine.run import Run, open_run
from paperzoo.errors import PaperzooError
from paperzoo.records import Claim
from paperzoo.report import cards, figures, skeleton
from paperzoo.report.compare import compare, primary, relatives
from paperzoo.report.figures import by_scale, collect, loss_curves, measured_curves
from paperzoo.report.page import measured_rows, setting, spread, write_page

OVERRIDES = {"steps": 20, "checkpoint_every": 5, "measure_every": 10, "model.width": 9}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return paperzoo.train("dcgan", "smoke", out=tmp_path_factory.mktemp("runs"), seed=3, overrides=OVERRIDES)


def words(page: Path) -> str:
    """The page's text as a reader sees it."""
    body = re.sub(r"(?s)<style>.*?</style>", "", page.read_text(encoding="utf-8"))
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


# The page ------------------------------------------------------------------------------------------------------------


def test_the_page_of_a_finished_run_says_what_was_done(run: Run) -> None:
    text, paper, info = words(write_page(run)), paperzoo.paper("dcgan"), run.info
    assert run.directory / "report.html" == write_page(run)
    about = [paper.title, paper.authors, paper.arxiv, paper.deviations[0].why, cards.flowing(results.notes(paper)[1])]
    about += ["82.8", "reported, not re-checked", "not measured here: needs ImageNet"]
    done = ["smoke recipe", "seed 3", "20 of 20", "digits, trained on train", "width = 9", "step 5", info["hardware"]]
    done += [info["recipe_hash"], info["method_hash"], info["protocol_hash"]]
    done += [info["versions"]["torch"], f"{run.metrics['mean image gap']:.4g}"]
    for wanted in about + done:
        assert wanted in text, wanted
    assert "not finished" not in text
    assert "checkpoint_every = 5" not in text  # a run option changes nothing that was trained


def test_the_page_needs_nothing_from_outside(run: Run) -> None:
    page = write_page(run).read_text(encoding="utf-8")
    sources = re.findall(r"(?:src|srcset|poster|data|action)\s*=\s*\"([^\"]*)", page)
    assert sources and all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"<(script|link|iframe|object|embed)\b|@import|url\(", page)
    assert "default-src 'none'" in page
    pictures = {p.name for p in run.figures}
    assert {"final-samples.png", "samples.gif", "00000005-samples.png"} <= pictures
    curves = 3  # two losses of different scale, and one metric
    assert len(sources) in (len(pictures) + curves, len(pictures) + curves - 1)


def test_the_page_of_an_unfinished_run_says_so(run: Run, tmp_path: Path) -> None:
    for name, cut in (("early", 0), ("late", 12)):
        copy = tmp_path / name
        shutil.copytree(run.directory, copy)
        (copy / "result.json").unlink()
        for path in (copy / "figures").glob("final*"):
            path.unlink()
        lines = (copy / "metrics.jsonl").read_text().splitlines()[:cut]
        (copy / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))
        text = words(write_page(open_run(copy)))
        at = json.loads(lines[-1])["step"] if lines else 0
        assert f"This run has not finished. It stands at step {at} of 20" in text
        assert f"paperzoo resume {copy}" in text
        assert "Measured at the end" not in text


def test_the_commands_on_the_page_repeat_the_run(run: Run) -> None:
    """What stands under "repeat" is parsed by the command line to the very same job."""
    page = html.unescape(write_page(run).read_text(encoding="utf-8"))
    (line,) = re.findall(r"paperzoo train .*", page)
    repeat = shlex.split(line)
    assert repeat[:7] == ["paperzoo", "train", "dcgan", "--recipe", "smoke", "--seed", "3"]
    assert parse_settings(repeat[8::2]) == OVERRIDES
    assert repeat[7::2] == ["--set"] * len(OVERRIDES)
    assert f"paperzoo evaluate {run.directory}" in page and f"paperzoo sample {run.directory}" in page


@pytest.mark.parametrize(
    "value", [3, 1e-4, None, True, "mnist", "none", "3", "true", [1, 2], {"critic": 1.0}, ["crop"], "a=b"]
)
def test_a_setting_reads_back_as_it_was(value: Any) -> None:
    assert parse_settings([f"key={setting(value)}"]) == {"key": value}


def test_fragments_of_a_task_are_inlined_and_the_rest_is_escaped(run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run.directory, copy)
    fragment = "<table id='mine'><tr><td>København</td></tr></table>"
    (copy / "figures" / "final-sentences.html").write_text(fragment, encoding="utf-8")
    info = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps({**info, "notes": ["<b>5 & 6</b>"]}))
    page = write_page(open_run(copy)).read_text(encoding="utf-8")
    assert fragment in page
    assert "<b>5" not in page and "&lt;b&gt;5 &amp; 6&lt;/b&gt;" in page


def test_metrics_stand_beside_target_and_claim() -> None:
    entry = catalog.load("lenet:1998")
    rows = measured_rows(entry, "paper", "mnist", {"error %": 1.2, "loss": 0.05})
    assert [(r["metric"], r["value"], r["target"], r["met"]) for r in rows] == [
        ("error %", "1.2", "at most 1.05", False), ("loss", "0.05", "", False),
    ]  # fmt: skip
    assert len(rows[0]["claims"]) == 1 and "0.95 ± 0.1" in rows[0]["claims"][0] and "not re-checked" in rows[0]["claims"][0]
    assert measured_rows(entry, "paper", "mnist", {"error %": 1.0})[0]["met"]
    today = measured_rows(catalog.load("lenet"), "small", "mnist", {"error %": 1.0})[0]
    assert today["claims"] == [] and not today["met"]  # the claim is the other variant's
    assert measured_rows(entry, "paper", "digits", {"error %": 1.0})[0]["claims"] == []


def test_pictures_are_spread_from_first_to_last() -> None:
    items = [Path(str(i)) for i in range(100)]
    chosen = [int(str(p)) for p in spread(items, 8)]
    assert len(chosen) == 8 and chosen[0] == 0 and chosen[-1] == 99 and chosen == sorted(set(chosen))
    assert spread(items[:3], 8) == items[:3]


# Figures -------------------------------------------------------------------------------------------------------------


def ink(png: bytes, colour: tuple[int, int, int]) -> int:
    """How many pixels have (about) this colour."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA")).astype(int)
    return int(((abs(pixels[..., :3] - colour).max(-1) < 12) & (pixels[..., 3] > 200)).sum())


BLUE, ORANGE = (0x3B, 0x82, 0xD6), (0xE0, 0x82, 0x14)


def test_losses_of_different_scale_get_a_picture_each() -> None:
    lines = [{"step": s, "loss": {"a": 1.0 + s, "b": 2.0, "tiny": 0.001, "nan": float("nan")}} for s in range(1, 4)]
    assert by_scale(collect(lines, "loss")) == [["a", "b"], ["tiny"]]
    drawn = loss_curves(lines)
    assert list(drawn) == ["a, b", "tiny"]
    assert ink(drawn["a, b"], BLUE) > 50 and ink(drawn["a, b"], ORANGE) > 50
    assert loss_curves([]) == {} and loss_curves([{"step": 1, "loss": {"a": float("inf")}}]) == {}


def test_a_single_point_is_seen() -> None:
    drawn = measured_curves([{"step": 40, "measured": {"error % (test)": 3.5, "loss (test)": 1.0}}])
    assert list(drawn) == ["error %", "loss"]
    for png in drawn.values():
        assert ink(png, BLUE) > 15


def test_splits_of_a_metric_share_a_picture() -> None:
    lines = [{"step": s, "measured": {"fid[zoo-digits] (validation)": 9.0 - s}} for s in range(3)]
    lines.append({"step": 3, "measured": {"fid[zoo-digits] (test)": 6.0}})
    drawn = measured_curves(lines)
    assert list(drawn) == ["fid[zoo-digits]"]
    assert ink(drawn["fid[zoo-digits]"], BLUE) > 50 and ink(drawn["fid[zoo-digits]"], ORANGE) > 15


def test_a_comparison_is_of_one_metric_with_the_best_on_top(monkeypatch: pytest.MonkeyPatch) -> None:
    strip = np.full((16, 100), 255, np.uint8)
    axes: list[Any] = []
    monkeypatch.setattr(figures, "plain", axes.append)
    values = {"a": [3.0, 3.0], "b": [1.0, 2.0], "c": [9.0]}
    png = figures.ranked("error %", "lower", values, {"a": strip})
    taller = figures.ranked("accuracy", "higher", values, {"a": strip, "b": strip})
    figures.ranked("loss", "", values)
    assert [[label.get_text() for label in each.get_yticklabels()] for each in axes] == [["b", "a", "c"], ["c", "a", "b"], ["a", "b", "c"]]
    assert [each.get_title() for each in axes] == ["error %: lower is better", "accuracy: higher is better", "loss"]
    assert axes[0].yaxis_inverted() and [bar.get_width() for bar in axes[0].patches] == [1.5, 3.0, 9.0]
    assert Image.open(io.BytesIO(taller)).height > Image.open(io.BytesIO(png)).height


def test_the_metric_of_a_comparison_is_the_one_that_most_targets_name() -> None:
    names = ["acgan", "dcgan", "wgan_gp"]
    seen = ["inception score[j]", "fid floor[j]", "fid over floor[j]", "kid[j]"]
    assert primary(seen, names) == ("fid over floor[j]", "lower")
    assert primary(["loss", "error %"], ["lenet", "resnet"]) == ("error %", "lower")
    assert primary(["seconds", "warmth"], names) == ("seconds", "")


# The card ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_results(monkeypatch: pytest.MonkeyPatch) -> None:
    from paperzoo import results

    monkeypatch.setattr(results, "rows", lambda paper="": [])


def test_the_card_says_what_is_known(no_results: None) -> None:
    for name in ("dcgan", "lenet", "lenet:1998"):
        text, entry = cards.card(name), catalog.load(name)
        assert max(map(len, text.splitlines())) <= 100
        flat, paper = " ".join(text.split()), entry.paper
        own = {n: recipe for n, recipe in paper.recipes.items() if not recipe.variants or entry.variant in recipe.variants}
        assert f"paperzoo/papers/{catalog.CATALOG[paper.name].module.replace('.', '/')}.py" in flat
        for wanted in (
            paper.title, paper.authors, str(paper.year), paper.arxiv or paper.url, *paper.variants,
            *own,
            *(f"{count:,} parameters" for count in paper.parameters.values()), *(d.why for d in paper.deviations),
            *(e.why for e in paper.exemptions), *(str(t) for r in own.values() for t in r.targets),
            *(f"{c.value:g}" for c in paper.claims), *results.notes(paper), "reported, not re-checked", "Measured here nothing yet",
        ):  # fmt: skip
            assert " ".join(wanted.split()) in flat, wanted


def test_the_card_shows_results(monkeypatch: pytest.MonkeyPatch) -> None:
    from paperzoo import results

    row = {
        "paper": "lenet",
        "variant": "lenet",
        "recipe": "small",
        "data": "mnist",
        "metric": "error %",
        "target": "at most 0.9",
    }
    measured = {**row, "mean": 0.8123, "spread": 0.0321, "seeds": 3, "status": "scaled", "seconds": 33.3}
    missing = {**row, "mean": None, "seeds": 0, "status": "unverified", "reason": "not run yet"}
    every = [measured, missing, {**measured, "paper": "dcgan", "mean": 77.0}]
    monkeypatch.setattr(results, "rows", lambda paper="": [row for row in every if row["paper"] == paper])
    text = cards.card("lenet")
    assert "  model.image_size=32  (one of 32)" in text and "  optimizer.lr=0.004  (float, at least 0)" in text
    assert "lenet, small on mnist: error % 0.8123 ± 0.032 (3 seeds, 33 s): scaled; target at most 0.9" in text
    assert "unverified, not run yet" in text and "77" not in text


def test_marks_are_spelt_out() -> None:
    claim = Claim("error %", "mnist", 1.0, "table 1", "memory")
    assert cards.claim_here(claim) == "reported, not re-checked"
    assert cards.claim_here(dataclasses.replace(claim, mark="seen", source="a README")) == "read in a README"
    gated = dataclasses.replace(claim, mark="seen", not_measured="no data")
    assert cards.claim_here(gated).endswith("; not measured here: no data")


@pytest.mark.parametrize(
    ("doc", "idea"),
    [
        ("Title line.\n\nThe idea, in two\nlines. More.\n\nAnother paragraph.", "Title line. The idea, in two lines. More."),
        ("Title.\n\nIt is\n\n    y = x        (Eq. 1)\n\nwhere x is ``x``.", "Title. It is y = x (Eq. 1)"),
        ("One long paragraph. " * 10, ("One long paragraph. " * 10).strip()),
    ],
)
def test_the_idea_is_the_first_paragraph_with_its_equation(doc: str, idea: str) -> None:
    assert cards.idea(SimpleNamespace(module=SimpleNamespace(__doc__=doc))) == idea  # type: ignore[arg-type]


# The skeleton --------------------------------------------------------------------------------------------------------


def test_the_skeleton_trains_and_passes_its_own_tests(tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    assert skeleton.write("my_net", folder) == [folder / "my_net.py", folder / "my_net.toml", folder / "test_my_net.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), "test_my_net.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout
    text = (folder / "my_net.py").read_text(encoding="utf-8") + (folder / "test_my_net.py").read_text(encoding="utf-8")
    assert "{" + "{" not in text and not re.search(r"\b(TODO|FIXME|XXX)\b", text)
    catalog.allow(str(folder / "my_net.py"))
    assert "my_net" in cards.card(str(folder / "my_net.py"))


@pytest.mark.parametrize(("paper", "variant"), [("lenet", ""), ("vae", "linear")])
def test_a_copy_of_a_paper_trains_as_the_paper_until_it_is_changed(paper: str, variant: str, tmp_path: Path) -> None:
    """Also where a variant's class stands in a second file."""
    file, record, test = skeleton.write("mine", tmp_path, f"{paper}:{variant}" if variant else paper)
    assert record.read_text("utf-8") == catalog.CATALOG[paper].record.read_text("utf-8")
    spec = importlib.util.spec_from_file_location("test_mine", test)
    assert spec and spec.loader
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    for name in catalog.paper(paper).parameters:
        module.test_parameters_are_as_many_as_pinned(name)
    module.test_it_trains_as_what_it_was_copied_from(tmp_path / "runs")
    if variant:
        mine, theirs = (catalog.load(f"{name}:{variant}").model_class for name in (file, paper))
        assert mine is theirs
        return
    changed, times = re.subn(r"(\blr: [^=\n]+ = )", r"\g<1>2 * ", file.read_text("utf-8"))
    assert times
    file.write_text(changed, "utf-8")
    with pytest.raises(AssertionError):
        module.test_it_trains_as_what_it_was_copied_from(tmp_path / "runs")
    with pytest.raises(PaperzooError, match=r"unknown paper 'lenot'.*lenet"):
        skeleton.write("other", tmp_path / "new", "lenot")
    with pytest.raises(PaperzooError, match="unknown variant 'nope' of vae"):
        skeleton.write("other", tmp_path / "new", "vae:nope")
    assert not (tmp_path / "new").exists()


def test_a_broken_loss_fails_the_skeletons_test(tmp_path: Path) -> None:
    """The maths check that is written can fail: with a wrong loss in the file it does."""
    file, _, test = skeleton.write("my_net", tmp_path)
    right = "(logits.logsumexp(1) - logits.gather(1, label[:, None])[:, 0]).mean()"
    text = file.read_text(encoding="utf-8")
    assert right in text
    file.write_text(text.replace(right, right.replace("logits.logsumexp", "logits.softmax(1).logsumexp")), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("test_my_net", test)
    assert spec and spec.loader
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    with pytest.raises(AssertionError):
        module.test_the_loss_is_equation_1()


@pytest.mark.parametrize("name", ["Bad", "class", "1net", "my-net", "", "ssl", "torch", "dcgan", "../net", "a b"])
def test_bad_names_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(PaperzooError) as error:
        skeleton.write(name, tmp_path / "new")
    assert name in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["my_net.py", "my_net.toml", "test_my_net.py"])
def test_nothing_is_overwritten(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(PaperzooError, match="exists already"):
        skeleton.write("my_net", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [name] and (tmp_path / name).read_text() == "mine"


# Comparisons ---------------------------------------------------------------------------------------------------------


def test_a_comparison_is_fixed_once_and_goes_on(tmp_path: Path) -> None:
    first = compare(["dcgan", "wgan_gp"], None, 1, 0.15, "smoke", tmp_path).splitlines()
    (folder,) = tmp_path.iterdir()
    assert first[-3:] == [str(folder / f"compare.{kind}") for kind in ("json", "png", "html")]
    record = json.loads((folder / "compare.json").read_text())
    assert record["data"] == "digits" and record["seeds"] == 1 and len(record["runs"]) == 2
    for paper in record["papers"].values():
        assert paper["timed_steps"] == 20 and paper["seconds_a_step"] > 0
        assert paper["steps"] == max(1, round(0.15 / paper["seconds_a_step"]))
    runs = {p: (p / "result.json").stat().st_mtime_ns for p in (folder / "runs").iterdir()}
    unfinished = sorted(runs)[0]
    (unfinished / "result.json").unlink()  # as if it had been killed before its end

    second = compare(["dcgan", "wgan_gp"], None, 2, 0.15, "smoke", tmp_path).splitlines()
    again = json.loads((folder / "compare.json").read_text())
    assert again["papers"] == record["papers"] and len(again["runs"]) == 4
    assert len(list((folder / "runs").iterdir())) == 4 and (unfinished / "result.json").exists()
    kept = sorted(runs)[1]
    assert (kept / "result.json").stat().st_mtime_ns == runs[kept]
    values = again["metrics"]["mean image gap"]
    for line, name in zip(second[1:3], ("dcgan", "wgan_gp"), strict=True):
        assert line.startswith(name) and f"{np.mean(values[name]):.4g} ± {np.std(values[name], ddof=1):.2g}" in line
    assert values["dcgan"][0] == record["metrics"]["mean image gap"]["dcgan"][0]
    page = (folder / "compare.html").read_text(encoding="utf-8")
    assert "dcgan" in page and "wgan_gp" in page and all(s.startswith("data:") for s in re.findall(r'src="([^"]*)', page))
    assert Image.open(folder / "compare.png").height > 200


def test_a_run_whose_loss_is_not_finite_is_left_out_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undrawn: None) -> None:
    from paperzoo.report import compare as module
    from paperzoo.report import tables

    once, fallen = module.run_once, {("wgan_gp", 0)}

    def run_once(name: str, recipe: str, seed: int, *more: Any) -> Any:
        if (name, seed) in fallen:
            raise PaperzooError("the loss 'critic' is not finite at step 3; the checkpoint of step 2 is kept.")
        return once(name, recipe, seed, *more)

    monkeypatch.setattr(module, "run_once", run_once)
    table = compare(["dcgan", "wgan_gp"], None, 2, 0.05, "smoke", tmp_path).splitlines()
    assert table[1].startswith("dcgan ") and table[2].startswith("wgan_gp (1 of 2 seeds: the others' losses were not finite)")
    (folder,) = tmp_path.iterdir()
    record = json.loads((folder / "compare.json").read_text())
    assert record["not finite"] == {"wgan_gp": [0]} and record["seeds"] == 2
    assert [(run["paper"], run["seed"]) for run in record["runs"]] == [("dcgan", 0), ("dcgan", 1), ("wgan_gp", 1)]
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    (tmp_path / "docs" / "comparisons").mkdir(parents=True)
    shutil.copy(folder / "compare.json", tmp_path / "docs" / "comparisons" / "one.json")
    assert "| seeds left out, whose losses were not finite |  | 0 |" in tables.comparison("one")
    fallen |= {("wgan_gp", 1)}
    assert "wgan_gp (0 of 2 seeds" in compare(["dcgan", "wgan_gp"], None, 2, 0.05, "smoke", tmp_path).splitlines()[2]
    fallen |= {("dcgan", 0), ("dcgan", 1)}
    with pytest.raises(PaperzooError, match="no run of dcgan, wgan_gp came to its end"):
        compare(["dcgan", "wgan_gp"], None, 2, 0.05, "smoke", tmp_path)
    monkeypatch.setattr(module, "run_once", lambda *_: (_ for _ in ()).throw(PaperzooError("no room")))
    with pytest.raises(PaperzooError, match="no room"):
        compare(["dcgan", "wgan_gp"], None, 2, 0.05, "smoke", tmp_path)


def test_a_family_is_the_papers_that_can_be_compared(capsys: pytest.CaptureFixture[str]) -> None:
    found = relatives("gan", "digits", "smoke")
    assert {"dcgan", "wgan_gp"} <= set(found) and all(catalog.CATALOG[name].task == "image generation" for name in found)
    assert set(relatives("gan", "digits", "smoke", ["dcgan"])) == set(found) - {"dcgan"}
    capsys.readouterr()
    assert "dcgan" not in relatives("gan", "ring8", "smoke")
    assert "dcgan is left out: image generation needs data with image" in capsys.readouterr().err
    assert not {"progan", "stylegan"} & set(relatives("gan", "digits", "small"))
    assert "progan is left out: steps cannot be set: the recipe small of progan has stages" in capsys.readouterr().err
    with pytest.raises(PaperzooError, match="unknown family 'gans'"):
        relatives("gans", None, "smoke")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["dcgan"], None, 3, 1.0, "smoke"), "two papers"),
        ((["dcgan", "dcgan"], None, 3, 1.0, "smoke"), "named twice"),
        ((["dcgan", "lenet"], None, 3, 1.0, "smoke"), "image generation, lenet for classification"),
        ((["dcgan", "wgan_gp"], None, 0, 1.0, "smoke"), "whole number from 1"),
        ((["dcgan", "wgan_gp"], None, 1, 0.0, "smoke"), "positive number"),
        ((["dcgan", "wgan_gp"], None, 1, float("nan"), "smoke"), "positive number"),
        ((["dcgan", "wgan_gp"], "ring8", 1, 1.0, "smoke"), "needs data with image"),
        ((["dcgan", "wgan_gp"], "minst", 1, 1.0, "smoke"), "unknown data set 'minst'"),
        ((["dcgan", "wgam"], None, 1, 1.0, "smoke"), "unknown paper 'wgam'"),
        ((["dcgan", "wgan_gp"], None, 1, 1.0, "tiny"), "unknown recipe"),
    ],
)
def test_nothing_trains_after_a_wrong_word(arguments: tuple[Any, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=message):
        compare(*arguments, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# The documents -------------------------------------------------------------------------------------------------------


def test_every_data_set_has_its_licence_in_the_list() -> None:
    text = (Path(__file__).parents[2] / "LICENSES.md").read_text(encoding="utf-8")
    for name, entry in DATASETS.items():
        (row,) = [line for line in text.splitlines() if line.startswith("|") and f"`{name}`" in line.split("|")[1]]
        assert entry.source is None or entry.source.licence in row


@pytest.mark.parametrize(
    ("name", "recipe", "file"),
    [
        ("lenet:1998", "small-1998", "lenet-1998.safetensors"),
        ("wgan_gp:toy", "small-toy", "wgan_gp-toy.safetensors"),
        ("resnet", "small-avatars", "resnet.avatars.safetensors"),
        ("dcgan", "small", "dcgan.safetensors"),
    ],
)
def test_files_of_weights_are_named_after_what_made_them(name: str, recipe: str, file: str) -> None:
    assert results.weights_name(name, recipe) == file


def test_only_a_recipe_as_it_stands_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "folder", lambda: tmp_path / "results")
    data = catalog.load("transfer").paper.recipes["smoke"].data
    same, other = (paperzoo.train("transfer", "smoke", out=tmp_path, overrides=given) for given in ({"data": data}, {"steps": 3}))
    path = results.add(same.directory)
    assert json.loads(path.read_text())["runs"][0]["metrics"] == same.metrics
    with pytest.raises(PaperzooError, match=r"trained with \{'steps': 3\}: only a recipe as it stands"):
        results.add(other.directory)
    assert [p.name for p in path.parent.glob("*.json")] == [path.name]


def test_pictures_are_drawn_anew_and_kept_beside_their_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "folder", lambda: tmp_path / "results")
    run = paperzoo.train("cnn", "smoke", out=tmp_path)
    with pytest.raises(PaperzooError, match="has no results whose pictures these could be"):
        results.add_pictures(run.directory)
    path = results.add(run.directory)
    drawn = sorted((run.directory / "figures").glob("final-*.png"))
    kept = sorted(path.parent.glob("*.png"))
    assert [p.name for p in kept] == [f"{path.stem}-{p.name.removeprefix('final-')}" for p in drawn] and len(kept) >= 3
    before = {p.name: p.read_bytes() for p in drawn}
    for picture in (*drawn, *kept):
        picture.write_bytes(b"")
    assert {p for p in redraw(run) if p.suffix == ".png"} == set(drawn)
    assert {p.name: p.read_bytes() for p in drawn} == before  # by the same network, of the same data
    assert sorted(results.add_pictures(run.directory)) == kept and all(p.read_bytes() for p in kept)
    (run.directory / "figures" / "final-transitions.png").write_bytes(b"of the network alone")
    monkeypatch.setattr(results, "job_of", lambda run: SimpleNamespace(dataset=lambda: SimpleNamespace(pictures=False)))
    assert [p.name for p in results.add_pictures(run.directory)] == [f"{path.stem}-transitions.png"]
