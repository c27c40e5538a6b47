"""A paper on a page of text: what ``paperzoo show`` prints."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from paperzoo import catalog, ranges
from paperzoo.catalog import Entry
from paperzoo.records import Claim, Paper, Recipe
from paperzoo.results import notes

WIDTH = 100
ROOT = Path(__file__).parents[2]  # the folder that holds the package


def card(name: str) -> str:
    """Title, idea, variants, recipes, settings, claims, deviations and measured results of a paper, at most 100 columns wide.

    Args:
        name: ``paper``, ``paper:variant`` (only the recipes for it are listed), or the path of a file.

    Raises:
        PaperzooError: unknown name.
    """
    entry = catalog.load(name)
    paper = entry.paper
    link = f"https://arxiv.org/abs/{paper.arxiv}" if paper.arxiv else paper.url
    file = entry.file.relative_to(ROOT).as_posix() if entry.file.is_relative_to(ROOT) else str(entry.file)
    recipes = {n: r for n, r in paper.recipes.items() if ":" not in name or not r.variants or entry.variant in r.variants}
    who = f"{paper.authors}{', ' if paper.authors else ''}{paper.year}"
    head = [paper.title, who, link, f"{paper.task}; read it: {file}"]
    findings, fails = map(flowing, notes(paper))
    departures = [f"paper: {d.paper}\n  here: {d.here}\n  why: {d.why}" for d in paper.deviations]
    blocks = [
        "\n".join([entry.name, "=" * len(entry.name), *(wrap(line) for line in head if line)]),
        wrap(idea(entry)),
        section("Variants", [_variant(paper, v) for v in paper.variants]),
        section("Recipes", [line for n, r in recipes.items() for line in _recipe(n, r)]),
        section("What --set takes, besides a recipe's own fields", _settings(entry)),
        section("What the paper claims", [line for c in paper.claims for line in _claim(c)]),
        section("Measured here", _measured(paper.name)),
        wrap(findings),
        section("Where this departs from the paper", departures),
        section("Excused from a contract test", [f"{e.test} ({e.match}): {e.why}" for e in paper.exemptions]),
        section("How it fails", [fails] if fails else []),
        f"Train it: paperzoo train {name}",
    ]
    return "\n\n".join(block for block in blocks if block)


def idea(entry: Entry) -> str:
    """The first paragraph of prose in the module's docstring after its title line, with the equation it may lead into."""
    paragraphs = (entry.module.__doc__ or "").strip().split("\n\n")
    wanted = 1 + (len(paragraphs[0]) < 140)  # a title of its own
    while wanted < len(paragraphs) and paragraphs[wanted].startswith("    "):
        wanted += 1
    return " ".join(" ".join(paragraphs[:wanted]).split()).replace("``", "").rstrip(",")


def claim_figure(claim: Claim) -> str:
    """A claim's value with its spread and where it stands."""
    spread = f" ± {claim.spread:g}" if claim.spread is not None else ""
    value = f"{claim.value:g}" if isinstance(claim.value, int | float) else claim.value
    return ", ".join(part for part in (f"{value}{spread}", claim.where, claim.printing) if part)


def claim_here(claim: Claim) -> str:
    """Where a claim's figure was read, and why it is not measured here if it is not."""
    read = {
        "memory": "reported, not re-checked",
        "seen": f"read in {claim.source or 'another source'}",
        "measured": f"measured: {claim.source}" if claim.source else "measured",
        "checked": "checked against the paper",
    }[claim.mark]
    if claim.counted is not None:
        return f"{read}; counted here: paperzoo results --reproduced"
    return read + (f"; not measured here: {claim.not_measured}" if claim.not_measured else "")


def wrap(text: str, indent: str = "") -> str:
    """Text in lines of at most 100 columns; its own line breaks and their indentation are kept."""
    lines = []
    for line in text.splitlines():
        first = indent + line[: len(line) - len(line.lstrip())]
        lines += textwrap.wrap(line.strip(), WIDTH, initial_indent=first, subsequent_indent=first + "  " * bool(first))
    return "\n".join(lines)


def flowing(text: str) -> str:
    """Markdown with each paragraph on one line, to be wrapped anew; what begins with a bar, a dash or a blank stays a line."""
    return re.sub(r"(?<=\S)\n(?=[^\s|*-])", " ", text)


def section(title: str, items: Iterable[str]) -> str:
    """A title with indented items below it, or nothing if there are none."""
    lines = [wrap(item, "  ") for item in items]
    return "\n".join([title, *lines]) if lines else ""


def _variant(paper: Paper, variant: str) -> str:
    name = paper.name if variant == next(iter(paper.variants)) else f"{paper.name}:{variant}"
    count = f"  {paper.parameters[variant]:,} parameters at the paper's size" if variant in paper.parameters else ""
    return f"{name}{count}"


def _recipe(name: str, recipe: Recipe) -> list[str]:
    only = f", for {', '.join(recipe.variants)}" if recipe.variants else ""
    note = f"; {recipe.note}" if recipe.note else ""
    head = f"{name}: {recipe.data}, {recipe.steps:,} steps of {recipe.batch_size}{only}{note}"
    return [head, *(f"  target{' of ' + ', '.join(t.variants) if t.variants else ''}: {t.metric} {t}" for t in recipe.targets)]


def _settings(entry: Entry) -> list[str]:
    parts = {"model": catalog.signature(entry), "optimizer": catalog.keywords(entry.model_class.optimizers)}
    settings = {f"{part}.{name}": parameter for part, legal in parts.items() for name, parameter in legal.items()}
    return [f"{key}={ranges.shown(p.default)}  ({ranges.written(p.annotation)})" for key, p in settings.items()]


def _claim(claim: Claim) -> list[str]:
    variant = f" ({claim.variant})" if claim.variant else ""
    protocol = f"; {claim.protocol}" if claim.protocol else ""
    return [f"{claim.metric} on {claim.data}{variant}: {claim_figure(claim)}{protocol}", f"  {claim_here(claim)}"]


def _measured(name: str) -> list[str]:
    if name not in catalog.CATALOG:
        return []
    from paperzoo import results

    return [_row(row) for row in results.rows(name)] or ["nothing yet"]


def _row(row: dict[str, Any]) -> str:
    from paperzoo import results

    head = f"{row['variant']}, {row['recipe']} on {row['data']}"
    if row["mean"] is None:
        return f"{head}: {row['status']}" + (f", {row['reason']}" if row.get("reason") else "")
    spread = f" ± {row['spread']:.2g}" if row["spread"] is not None else ""
    target = f"; target {row['target']}" if row["target"] else ""
    sure = f", {row['sure']}" if row.get("sure") else ""
    seeds = f"{row['seeds']} seed{'s' if row['seeds'] > 1 else ''}"
    return f"{head}: {row['metric']} {row['mean']:.4g}{spread} ({seeds}, {row['seconds']:.0f} s): {results.status(row)}{sure}{target}"
