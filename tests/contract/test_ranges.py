"""Every number that a user may set has a range, and what lies beside it is refused in one sentence before anything is made."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from annotated_types import Ge, Gt, Le, Lt, MinLen, MultipleOf

from paperzoo import catalog, cli, ranges

#: numbers that need no range, and why
FREE: dict[str, str] = {}
Row = tuple[str, str, str, inspect.Parameter]


def settings() -> Iterator[Row]:
    """(variant, its smoke recipe or another, key, parameter), each constructor's and each ``optimizers``' arguments once."""
    seen = set()
    for paper in catalog.list_papers():
        for variant in catalog.paper(paper).variants:
            entry = catalog.load(f"{paper}:{variant}")
            legal = {"model": catalog.signature(entry), "optimizer": catalog.keywords(entry.model_class.optimizers)}
            fitting = [n for n, r in entry.paper.recipes.items() if not r.variants or variant in r.variants]
            if not fitting:
                continue  # of a class that another variant trains: see below
            recipe = next((n for n in fitting if n.startswith("smoke")), fitting[0])
            for part, parameters in legal.items():
                for name, parameter in parameters.items():
                    if (entry.model_class, part, name) not in seen:
                        seen.add((entry.model_class, part, name))
                        yield entry.name, recipe, f"{part}.{name}", parameter


def beside(annotation: Any) -> list[Any]:
    """The nearest values that the annotation does not allow; empty if it allows every number."""
    kind, parts = get_origin(annotation), get_args(annotation)
    if kind in (Union, UnionType):
        return [value for one in parts for value in beside(one)]
    if kind is Literal:
        return ["no such name"] if isinstance(parts[0], str) else [max(parts) + 1]
    if kind is Sequence:
        return [[value] for value in beside(parts[0])]
    if kind is not Annotated:
        return []
    found, bounds = beside(parts[0]), {type(one): one for one in parts[1:]}  # the last of a kind holds
    whole, reach = parts[0] is int, 10.0
    if MinLen in bounds:
        found.append([])
    if Ge in bounds:
        found.append(bounds[Ge].ge - 1 if whole else math.nextafter(bounds[Ge].ge, -reach))
    if Gt in bounds:
        found.append(bounds[Gt].gt)
    if Le in bounds:
        found.append(bounds[Le].le + 1 if whole else math.nextafter(bounds[Le].le, reach))
    if Lt in bounds:
        found.append(bounds[Lt].lt)
    if MultipleOf in bounds:
        found.append(bounds[Ge].ge + 1)
    return found


def numbers(annotation: Any) -> bool:
    """Whether it is a number, or may be one."""
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return any(numbers(one) for one in get_args(annotation)[: 1 if get_origin(annotation) is Annotated else None])
    return annotation in (int, float)


ROWS = list(settings())


def test_every_number_has_a_range() -> None:
    free = {f"{name} {key}" for name, _, key, p in ROWS if numbers(p.annotation) and not beside(p.annotation)}
    assert free == set(FREE)
    classes = {catalog.load(f"{n}:{v}").model_class for n in catalog.list_papers() for v in catalog.paper(n).variants}
    assert classes == {catalog.load(name).model_class for name, *_ in ROWS}
    assert len(ROWS) > 500 and sum(numbers(p.annotation) for *_, p in ROWS) > 350  # the walk finds them


def test_every_default_and_every_recipe_lies_within() -> None:
    for name, _, key, parameter in ROWS:
        if parameter.default is not parameter.empty:
            ranges.check(f"{name} {key}", parameter.default, parameter)
    for paper in catalog.list_papers():
        for variant in catalog.paper(paper).variants:
            entry = catalog.load(f"{paper}:{variant}")
            model, optimizer = catalog.signature(entry), catalog.keywords(entry.model_class.optimizers)
            for recipe in [r for r in entry.paper.recipes.values() if not r.variants or variant in r.variants]:
                for key, value in {**entry.arguments, **recipe.model}.items():
                    ranges.check(f"{entry.name} model.{key}", value, model[key])
                for arguments in (recipe.optimizer, *(stage.optimizer for stage in recipe.stages)):
                    for key, value in arguments.items():
                        ranges.check(f"{entry.name} optimizer.{key}", value, optimizer[key])


@pytest.mark.parametrize("name", catalog.list_papers())
def test_what_lies_beside_a_range_is_refused(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    tried = 0
    for variant, recipe, key, parameter in ROWS:
        for value in beside(parameter.annotation) if variant.partition(":")[0] == name else ():
            written = str(value).replace("'", '"')
            monkeypatch.setattr(sys, "argv", ["paperzoo", "train", variant, "--recipe", recipe, "--set", f"{key}={written}"])
            with pytest.raises(SystemExit) as stop:
                cli.main()
            out, said = capsys.readouterr()
            assert stop.value.code == 2 and not out, (key, value)
            assert said.startswith((f"paperzoo: {key} must be ", f"paperzoo: unknown {key} ")) and said.count("\n") == 1, said
            assert ranges.shown(value) in said and not list(tmp_path.iterdir()), said
            tried += 1
    assert tried or not any(row[0].partition(":")[0] == name for row in ROWS)
