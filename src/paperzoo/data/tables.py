"""Tables that users bring: CSV and parquet, column by column, with the number of each row for messages."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from paperzoo.data.corpus import read_text
from paperzoo.errors import PaperzooError, unknown

#: what a missing value may be written as
EMPTY = {"", "na", "n/a", "nan", "null", "none"}

_DAYS = ("%Y-%m", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y")
_WRITINGS = ("iso", "%Y", *(f"{day}{clock}" for clock in ("", " %H:%M", " %H:%M:%S") for day in _DAYS))


@dataclass(frozen=True)
class Table:
    """Cells as strings, without blanks round them.

    Attributes:
        name: of the file.
        cells: column -> its cells, from top to bottom.
        rows: the number of each row, counted as a spreadsheet does: the header of a CSV is row 1.
    """

    name: str
    cells: dict[str, list[str]]
    rows: list[int]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, from left to right."""
        return tuple(self.cells)

    def check(self, columns: Iterable[str]) -> None:
        """Raises ``PaperzooError`` for a column that there is not."""
        for column in columns:
            if column not in self.cells:
                raise unknown("column", column, self.names, f"of {self.name}")

    def mostly_numbers(self, column: str) -> bool:
        """Whether at least half of the filled cells are numbers: then the others are mistakes."""
        filled = [c for c in self.cells[column] if c.lower() not in EMPTY]
        return 2 * sum(map(is_number, filled)) >= len(filled) > 0


def read_table(path: Path) -> Table:
    """A CSV file (commas, semicolons or tabs, UTF-8, with a header) or a parquet file.

    Raises:
        PaperzooError: missing, damaged or empty, a column without a name or with that of another, a row of another length.
    """
    return _parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _csv(path)


def _csv(path: Path) -> Table:
    text = read_text(path)
    head = text.partition("\n")[0]
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), strict=True))
    except csv.Error as error:
        raise PaperzooError(f"{path.name} is no CSV file: {error}") from error
    if not lines or not any(lines[0]):
        raise PaperzooError(f"{path.name} begins without a header, a row that names the columns")
    names = [name.strip() for name in lines[0]]
    numbered = [(row, [cell.strip() for cell in line]) for row, line in enumerate(lines[1:], 2) if any(map(str.strip, line))]
    for row, line in numbered:
        if len(line) != len(names):
            raise PaperzooError(f"{path.name}: row {row} has {len(line)} cells, the header {len(names)}")
    return _table(path, names, [list(column) for column in zip(*(line for _, line in numbered), strict=True)], [r for r, _ in numbered])


def open_parquet(path: Path) -> Any:
    """A ``pyarrow.parquet.ParquetFile``.

    Raises:
        PaperzooError: it is none, or pyarrow is not installed.
    """
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise PaperzooError('reading parquet needs pyarrow: pip install "paperzoo[tables]"') from error
    try:
        return ParquetFile(path)
    except (ArrowException, OSError) as error:
        raise PaperzooError(f"{path.name} cannot be read as parquet: {error}") from error


def _parquet(path: Path) -> Table:
    found = open_parquet(path).read()
    columns = [[_cell(value) for value in column.to_pylist()] for column in found.columns]
    return _table(path, list(found.column_names), columns, list(range(1, found.num_rows + 1)))


def _cell(value: Any) -> str:
    return "" if value is None else value.isoformat() if isinstance(value, date) else str(value)


def _table(path: Path, names: list[str], columns: list[list[str]], rows: list[int]) -> Table:
    for at, name in enumerate(names):
        if not name or name in names[:at]:
            raise PaperzooError(f"{path.name}: column {at + 1} has " + (f"the name {name!r} of another" if name else "no name"))
    if not rows:
        raise PaperzooError(f"{path.name} has a header and no rows")
    return Table(path.name, dict(zip(names, columns, strict=True)), rows)


def numbers(table: Table, columns: Sequence[str]) -> np.ndarray:
    """Columns as float64 (R, D), not-a-number where a cell is empty (see ``EMPTY``).

    Raises:
        PaperzooError: a cell that is no finite number, with its row and column.
    """
    table.check(columns)
    found = np.empty((len(table.rows), len(columns)))
    for at, column in enumerate(columns):
        for i, cell in enumerate(table.cells[column]):
            if cell.lower() in EMPTY:
                found[i, at] = np.nan
            elif is_number(cell):
                found[i, at] = float(cell)
            else:
                raise PaperzooError(f"{table.name}: row {table.rows[i]}, column {column}: {cell[:40]!r} is no number (1234.5)")
    return found


def is_number(cell: str) -> bool:
    """Whether a cell is a finite number as computers write it."""
    try:
        return math.isfinite(float(cell)) and "_" not in cell
    except ValueError:
        return False


def writings(cell: str) -> list[str]:
    """The ways of writing dates that a cell fits: ``"iso"``, or a format of ``strptime``."""
    return [w for w in _WRITINGS if _parse(cell, w)]


def _parse(cell: str, writing: str) -> datetime | None:
    try:
        return datetime.fromisoformat(cell) if writing == "iso" else datetime.strptime(cell, writing)
    except ValueError:
        return None


def read_times(table: Table, column: str) -> list[datetime]:
    """A column of dates, all written alike, as times without a zone (UTC where the file has offsets).

    ``03/04/2020`` is read in the way that makes the steps between rows most alike.

    Raises:
        PaperzooError: an empty cell, one that is no date or is written otherwise than those above it, a date that could be two,
            or some with an offset from UTC and some without. With the row number.
    """
    cells, rows, where = table.cells[column], table.rows, f"{table.name}: row"
    read: dict[str, list[datetime]] = {}
    furthest, reached = "", -1
    for writing in writings(cells[0]):
        times = []
        for cell in cells:
            if (time := _parse(cell, writing)) is None:
                break
            times.append(time)
        if len(times) == len(cells):
            read[writing] = times
        elif len(times) > reached:
            furthest, reached = writing, len(times)
    if not read:
        bad = max(reached, 0)
        if not cells[bad]:
            raise PaperzooError(f"{where} {rows[bad]} has no {column}")
        if furthest and writings(cells[bad]):
            raise PaperzooError(
                f"{where} {rows[bad]}, column {column}: {cells[bad]!r} is written otherwise than {cells[0]!r} above it; "
                f"write all dates in one format"
            )
        raise PaperzooError(f"{where} {rows[bad]}, column {column}: {cells[bad][:40]!r} is no date (2020-01-31, 2020-01-31 06:00)")
    unlike = {w: _unlike(times) for w, times in read.items()}
    best = [w for w in read if unlike[w] == min(unlike.values())]
    if any(read[w] != read[best[0]] for w in best[1:]):
        raise PaperzooError(f"{where} {rows[0]}, column {column}: {cells[0]!r} could be two dates; write 2020-01-31")
    return _utc(read[best[0]], rows, f"{where}", column)


def _unlike(times: Sequence[datetime]) -> int:
    """How many different steps there are between rows, a step back counting most."""
    if len({t.tzinfo is None for t in times}) > 1:
        return 0  # an error of its own
    apart = {b - a for a, b in zip(times, times[1:], strict=False)}
    return len(apart) + len(times) * any(step.total_seconds() < 0 for step in apart)


def _utc(times: list[datetime], rows: Sequence[int], where: str, column: str) -> list[datetime]:
    offsets = [t.utcoffset() for t in times]
    if (other := next((i for i, o in enumerate(offsets) if (o is None) != (offsets[0] is None)), None)) is not None:
        has = "no offset from UTC" if offsets[other] is None else "an offset from UTC"
        raise PaperzooError(f"{where} {rows[other]}, column {column}: {times[other]} has {has}, unlike row {rows[0]}")
    if offsets[0] is None:
        return times
    if (other := next((i for i, o in enumerate(offsets) if o != offsets[0]), None)) is not None:
        import warnings

        said = f"row {rows[other]} has the offset {times[other]:%z}, row {rows[0]} has {times[0]:%z}"
        warnings.warn(f"{where.removesuffix(' row')} {said}: all times are read as UTC", stacklevel=5)
    return [t.astimezone(UTC).replace(tzinfo=None) for t in times]
