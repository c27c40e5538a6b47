"""Photographs at low and high resolution: ``photographs#scale=3``, or of several scales ``photographs#scale=2,3,4``."""

from __future__ import annotations

import dataclasses

from paperzoo.data.bicubic import check_scale
from paperzoo.data.crops import Pairs, Squares
from paperzoo.data.dataset import Column, Dataset, Split
from paperzoo.data.options import options
from paperzoo.errors import PaperzooError

OPTIONS = {"scale": "how much smaller the low resolution is: 2, 3 or 4, or several of them, such as scale=2,3,4"}


def scales(text: str, where: str) -> tuple[int, ...]:
    """``scale=2,3`` read and checked, in order.

    Raises:
        PaperzooError: another option, or a scale that there is not.
    """
    value = options(text, OPTIONS, where).get("scale", "")
    numbers = [int(part) if part.isascii() and part.isdigit() and len(part) < 10 else None for part in value.split(",")]
    if None in numbers:
        raise PaperzooError(f"{where}: scale={value} is no whole number: it says {OPTIONS['scale']}")
    return tuple(sorted({check_scale(number, where) for number in numbers if number is not None}))


def scaled(dataset: Dataset, text: str) -> Dataset:
    """The data set with ``low`` and ``high`` in the place of ``image``; see ``Pairs``.

    ``train`` gives squares of the schema's ``image_size`` at high resolution, other splits whole photographs. Of several scales the
    schema has ``scales`` for an argument, of one ``scale`` as well.

    Raises:
        PaperzooError: the set has no photographs, or a scale does not divide ``image_size``.
    """
    factors = scales(text, dataset.name)

    def changed(column: Column) -> Column:
        if not isinstance(column, Squares):
            such = f"photographs#{text} and photos:FOLDER#{text}"
            raise PaperzooError(f"{dataset.name}#{text}: only photographs that are there whole are shrunk, such as {such}")
        return Pairs(column.all, factors, column.side if column.random else None)

    splits = {name: Split(*map(changed, split.columns)) for name, split in dataset.splits.items()}
    arguments = {**dataset.schema.arguments, "scales": factors, **({"scale": factors[0]} if len(factors) == 1 else {})}
    fields = ("low", "high", "scale", "size")
    schema = dataclasses.replace(dataset.schema, name=f"{dataset.name}#{text}", fields=fields, arguments=arguments, picture=None)
    return dataclasses.replace(dataset, schema=schema, splits=splits, source=f"{dataset.source}, shrunk by {', '.join(map(str, factors))}")
