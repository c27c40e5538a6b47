"""A paper's page in Markdown, in the order in which it is read: the idea, what it looks like, the code, what was measured, what the
paper claims, how it fails, where it departs, recipes, and what is related."""

from __future__ import annotations

import ast
import html
import re
import textwrap
from collections.abc import Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from paperzoo import catalog, results
from paperzoo.engine.run import read_json
from paperzoo.records import Paper
from paperzoo.report import sizes, study
from paperzoo.report.drawings import drawing
from paperzoo.report.ending import minutes
from paperzoo.report.row import figure, full_name, is_promised, seeds, status

ROOT = Path(__file__).parents[3]
#: lines of a docstring that are indented, with what is empty between them
BLOCK = re.compile(r"^((?: {4}.*(?:\n|\Z)(?:[ ]*\n(?= {4}))*)+)", re.M)
#: of a text that a run wrote, on its page
LINES = 60
#: pictures that say how well it was done rather than what was done: never a page's first, unless there is no other
LATER = ("confusion", "mistakes", "reliability", "nearest", "errors", "importance", "spectrum", "kinds")
#: pictures that say most of what was done, before any other
FIRST = ("excited", "maps", "vectors")
#: what is to be seen in a picture, by its kind
SEEN = {
    "samples": "drawn by the trained network, not chosen",
    "classes": "a row a class, the same noise down each column",
    "walk": "a row a walk from one noise to another",
    "nearest": "samples, and below each the nearest training example",
    "reconstructions": "held-out examples over their reconstructions",
    "translations": "source, translation and, where there is one, the truth, from top to bottom",
    "attributes": "a row a face: as it was, each attribute changed by itself, then together",
    "vectors": "a row an attribute: a face without it, decoded, then with the attribute's vector added, at half to twice its length",
    "excited": "patches that six filters of each stage answer most to, a row a filter, the strongest first",
    "restored": "a row a photograph, and its most detailed part by the bicubic kernel, the network and as it was",
    "filters": "the first layer's: grey is nothing, bright pulls a map up, dark pulls it down",
    "filled": "with the hole, filled by a smooth surface, by the network, and as it was",
    "confusion": "rows are the true classes, columns the answers",
    "mistakes": "the errors that it was surest of",
    "points": "samples over the data",
    "arithmetic": "sums of latent vectors",
    "exchange": "each content with each motion",
    "motions": "a row a motion, one content",
    "forecasts": "what came and what was forecast, with 90 % intervals",
    "tracks": "tracks in black, forecasts in blue",
    "maps": "what layers make of one image: bright where a filter answers",
    "map": "frequent words, like vectors near each other and in one colour; and arrows between words that differ in the same way",
    "transitions": "made-up sentences as the network tags them, mistakes and all, above its scores of each tag after each",
    "path": "where a network looked, glimpse by glimpse, from blue to red, and what it answered at the last; mistakes among them",
    "frames": "what is answered when a clip stands still after a frame; below each frame the probabilities, thick the true class",
    "errors": "by steps ahead, beside the simple methods",
}


def page(name: str, rows: list[dict[str, Any]]) -> str:
    """``results/<paper>/README.md``, from the paper's record, its results and its notes."""
    entry, row = catalog.load(name), catalog.CATALOG[name]
    paper = entry.paper
    findings, fails = results.notes(paper)
    source = f"src/paperzoo/papers/{row.module.replace('.', '/')}.py"
    link = f"[arXiv:{paper.arxiv}](https://arxiv.org/abs/{paper.arxiv})" if paper.arxiv else f"<{paper.url}>"
    title, _, rest = (entry.module.__doc__ or "").strip().partition("\n")
    first, others = _pictures(name)
    parts = [
        f"# {name}",
        f"*{paper.title}*, {paper.authors}, {paper.year}. {link}",
        f"## The idea\n\n{title}\n{_code_blocks(rest, paper.equations)}",
        *first,
        f"## The code\n\n[`{source}`](../../{source}); train it: `paperzoo train {name}`.\n\n{_outline(name)}",
        "## What was measured\n\n" + _measured(paper, rows),
        *([findings] if findings else []),
        *others,
        "## What the paper claims\n\n" + _claims(paper),
        *([f"## How it fails\n\n{fails}"] if fails else []),
    ]
    if paper.deviations:
        lines = ["| the paper | here | why |", "| --- | --- | --- |"]
        lines += [f"| {d.paper} | {d.here} | {d.why} |" for d in paper.deviations]
        parts.append("## Where this departs from the paper\n\n" + "\n".join(lines))
    lines = ["| recipe | data | steps | batch | note |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| `{n}` | {r.data} | {r.steps:,} | {r.batch_size} | {r.note} |" for n, r in paper.recipes.items()]
    parts.append("## Recipes and variants\n\n" + "\n".join(lines))
    lines = ["| variant | trainable parameters at the paper's size |", "| --- | --- |"]
    lines += [f"| `{v}` | {paper.parameters[v]:,} |" if v in paper.parameters else f"| `{v}` | |" for v in paper.variants]
    parts += ["\n".join(lines), f"## Related\n\n{_related(name)}"]
    return "\n\n".join(parts) + "\n"


def _code_blocks(text: str, equations: Sequence[str] = ()) -> str:
    """Indented blocks of a docstring, fenced; typeset where the record has them as LaTeX, in their order."""
    parts, left = BLOCK.split(text), iter(equations)
    for at in range(1, len(parts), 2):
        latex, block = next(left, "").strip("\n"), re.sub("^ {4}", "", parts[at], flags=re.M).rstrip("\n")
        parts[at] = f"```math\n{latex}\n```\n" if latex else f"```text\n{block}\n```\n"
    return "".join(parts)


def _outline(name: str) -> str:
    """The classes and functions of the paper's files, a line a file; the site shows their code there, folded."""
    lines = []
    for path in catalog.files(name):
        nodes = ast.parse(path.read_text(encoding="utf-8")).body
        named = [f"`{n.name}`" for n in nodes if isinstance(n, ast.ClassDef | ast.FunctionDef) and not n.name.startswith("_")]
        lines.append(f"- `{path.name}`: {', '.join(named)}")
    return "\n".join(lines)


def _measured(paper: Paper, rows: list[dict[str, Any]]) -> str:
    """Status first, a line for each metric with a target or a claim; what else the same runs measured, and where, is folded."""
    lines = ["| status | variant, recipe, data | metric | measured | target; paper's claim |", "| --- | --- | --- | --- | --- |"]
    more, last = [], ""
    own = sorted((r for r in rows if r["paper"] == paper.name), key=lambda r: r["status"] == "unverified")  # what was never run, last
    for _, group in groupby(own, key=lambda r: (r["variant"], r["recipe"], r["data"])):
        runs = list(group)
        bounds = {f"{r['metric']} {end}" for r in runs for end in ("low", "high")}  # of intervals within one run
        runs = [r for r in runs if r["metric"] not in bounds]
        main = [r for r in runs if r is runs[0] or is_promised(r)]
        what = f"`{full_name(runs[0])}` {runs[0]['recipe']}, {runs[0]['data']}"
        for r in main:
            asked = "; ".join(part for part in (r["target"], r["claim"]) if part)
            lines.append(f"| {status(r)} | {what} | {r['metric']} | {figure(r) or r['reason']}{seeds(r)} | {asked} |")
        others = "; ".join(f"{r['metric']} {figure(r)}" for r in runs if r not in main)
        if others:
            where = f" ({runs[0]['hardware']})" if runs[0]["hardware"] not in (None, "", last) else ""  # the same as above: not again
            last = runs[0]["hardware"] or last
            more.append(f"- {what}: {others}{where}")
    return "\n".join(lines) + (f"\n\n{_folded('Everything else that was measured, and on what', chr(10).join(more))}" if more else "")


def _folded(title: str, text: str) -> str:
    """Text that is shown when its title is clicked; Markdown within it is read, here and on the site."""
    return f'<details markdown="1">\n<summary>{html.escape(title)}</summary>\n\n{text}\n\n</details>'


def _pictures(name: str) -> tuple[list[str], list[str]]:
    """The picture that says what the paper is about, with its caption; and all others, texts and animations, folded."""
    folder = ROOT / "results" / name
    runs = {path.stem: read_json(path) for path in sorted(folder.glob("*.json"))}
    default = next(iter(catalog.load(name).paper.variants))

    def rank(path: Path) -> tuple[bool, bool, bool, bool, str]:
        file, kind = _of(path, runs)
        plain = file is not None and file["recipe_name"] == "small"
        return kind in LATER, kind not in FIRST, not plain, file is None or file["variant"] != default, path.name

    drawn = drawing(name)
    pictures = sorted((p for p in folder.iterdir() if p.suffix in (".png", ".gif")), key=rank) if folder.is_dir() else []
    shown = [f"![{_of(p, runs)[1]}]({p.name})\n\n*{_caption(p, runs, short=i > 0 or drawn is not None)}*" for i, p in enumerate(pictures)]
    if drawn:  # from results, by the command that writes this page
        shown.insert(0, f"![{drawn.name}]({drawn.name}.svg)\n\n*{drawn.caption}*")
    texts = [f"`{p.stem}`:\n\n```text\n{_beginning(p.read_text(encoding='utf-8'))}\n```" for p in sorted(folder.glob("*.txt"))]
    sounds = [f"[{p.stem}]({p.name})" for p in sorted(folder.glob("*.wav"))]
    rest = [*shown[1:], *sounds]
    return shown[:1], [*([_folded(f"{len(rest)} more pictures", "\n\n".join(rest))] if rest else []), *texts]


def _of(path: Path, runs: dict[str, dict[str, Any]]) -> tuple[dict[str, Any] | None, str]:
    """The recorded runs that a picture is of, and its kind, ``samples`` of ``dcgan-small-mnist-samples.png``."""
    stem = max((stem for stem in runs if path.stem.startswith(f"{stem}-")), key=len, default="")
    if not stem and path.stem.rpartition("-")[2] in SEEN:
        return None, path.stem.rpartition("-")[2]
    return (runs[stem], path.stem[len(stem) + 1 :]) if stem else (None, path.stem)


def _caption(path: Path, runs: dict[str, dict[str, Any]], short: bool = False) -> str:
    """What is to be seen, by which recipe, and how long that took; ``short``: only of what, and which recipe."""
    file, kind = _of(path, runs)
    if short and file is not None:
        return f"{kind}: {file['variant']}, {file['recipe_name']}"
    seen = SEEN.get(kind, "")
    words = f"{kind.replace('-', ' ').capitalize()}{f': {seen}' if seen else ''}"
    if file is None:
        by = path.stem.removesuffix(kind).strip("-")
        return f"{words}.{f' Drawn by weights that ship: {by}.' if by else ''}"
    name, recipe = catalog.load(f"{file['paper']}:{file['variant']}").name, file["recipe_name"]
    measured = results.took(name, recipe)
    assert measured is not None  # of the file's own runs at least
    return f"{words}. {name}, recipe {recipe}, {file['recipe']['data']}, trained for {minutes(measured[0])}."


@cache
def _builds_on() -> dict[str, set[str]]:
    """Paper -> the papers whose files its own import."""
    found: dict[str, set[str]] = {}
    for name in catalog.CATALOG:
        text = "".join(path.read_text(encoding="utf-8") for path in catalog.files(name))
        found[name] = _imported(text) - {name}
    return found


def _imported(text: str) -> set[str]:
    """The papers that a file imports."""
    near = re.findall(r"paperzoo\.papers\.\w+(?:\.(\w+)| import (\w+))", text)
    return {one for pair in near for one in pair if one in catalog.CATALOG}


@cache
def _studied() -> dict[str, set[str]]:
    """Study -> the papers that it trains; of a search, which plans no trainings, those that it imports."""
    modules = {name: study.load(name) for name in study.names()}
    return {
        name: {trial.paper.partition(":")[0] for trial in module.trials(False)}
        if hasattr(module, "trials")
        else _imported(Path(str(module.__file__)).read_text(encoding="utf-8"))
        for name, module in modules.items()
    }


def _related(name: str) -> str:
    """Papers that it builds on, and that build on it; studies that train it."""

    def linked(names: set[str]) -> str:
        return ", ".join(f"[{one}](../{one}/README.md)" for one in sorted(names))

    lines = {
        "builds on": linked(_builds_on()[name]),
        "is built on by": linked({other for other, names in _builds_on().items() if name in names}),
        "studies": ", ".join(f"[{one}](../../docs/studies/{one}.md)" for one, names in _studied().items() if name in names),
    }
    return "\n".join(f"- {what}: {text}" for what, text in lines.items() if text) or "Nothing else here."


def _beginning(text: str) -> str:
    """The first ``LINES`` lines, broken where they are long; a page is no place for more."""
    lines = [part for line in text.strip().splitlines() for part in textwrap.wrap(line, 130) or [""]]
    return "\n".join([*lines[:LINES], *(["..."] if len(lines) > LINES else [])])


def _claims(paper: Paper) -> str:
    lines = ["| metric | data | figure | protocol | here |", "| --- | --- | --- | --- | --- |"]
    for c in paper.claims:
        variant = f" (`{c.variant}`)" if c.variant else ""
        here = f"not measured: {c.not_measured}" if c.not_measured else ""
        if c.counted is not None:
            one = sizes.count(paper, c)
            here = f"counted: {one.printed}{'' if one.equal else ', which differs'}"
        lines.append(f"| {c.metric} | {c.data}{variant} | {results.claim_text(c)} | {c.protocol} | {here} |")
    return "\n".join(lines) if paper.claims else "Nothing in figures."
