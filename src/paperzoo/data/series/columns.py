"""Tables that users bring: CSV and parquet, column by column, with the number of each row for messages.

A CSV is parted by commas, semicolons or tabs. How a column writes its numbers (1234.5, 1234,5, 1.234,5) is learnt from the column.
"""

from __future__ import annotations

import csv
import io
import math
import re
import stat
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from paperzoo.data.encoding import blocks, lines_with_ends
from paperzoo.data.series.calendars import calendar
from paperzoo.errors import PaperzooError, unknown

#: what a missing value may be written as
EMPTY = {"", "na", "n/a", "nan", "null", "none"}
#: rows read at a time
PART = 100_000

_DAYS = ("%Y-%m", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y")
#: dates in digits alone that go on to hours, minutes or seconds, by how many digits
_COMPACT = {10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_WRITINGS = ("iso", "%Y", "%Y%m", *(f"{day}{clock}" for clock in ("", " %H:%M", " %H:%M:%S") for day in _DAYS))


# Files ---------------------------------------------------------------------------------------------------------------


def header(path: Path) -> tuple[str, ...]:
    """The column names of a CSV or parquet file, from left to right.

    Raises:
        PaperzooError: missing, damaged or empty.
    """
    if is_parquet(path):
        return tuple(str(name).strip() for name in open_parquet(path).schema_arrow.names)
    delimiter = _delimiter(path)
    with readable(path):
        return tuple(name.strip() for name in next(csv.reader(lines_with_ends(path), delimiter=delimiter, strict=True), []))


def csv_parts(
    path: Path, size: int = PART, ragged: str = "{}: row {} has {} cells, the header {}"
) -> Iterator[tuple[int, list[list[str]]]]:
    """The rows of a CSV below its header, some at a time: the number of the first, and the columns, without blanks round the cells.

    Rows are counted as a spreadsheet does, the header being row 1; rows of one part follow each other. Empty rows are left out.

    Raises:
        PaperzooError: no CSV, or a row of another length; ``ragged`` says so.
    """
    width, delimiter = len(header(path)), _delimiter(path)
    with readable(path):
        reader, row = csv.reader(lines_with_ends(path), delimiter=delimiter, strict=True), 2
        next(reader)
        while lines := list(islice(reader, size)):
            kept: list[list[str]] = []
            for at, cells in enumerate(lines):
                if not (cells and cells[0].strip()) and not any(map(str.strip, cells)):
                    if kept:
                        yield row + at - len(kept), _columns(kept)
                    kept = []
                elif len(cells) != width:
                    raise PaperzooError(ragged.format(path.name, row + at, len(cells), width))
                else:
                    kept.append(cells)
            row += len(lines)
            if kept:
                yield row - len(kept), _columns(kept)


def _columns(lines: list[list[str]]) -> list[list[str]]:
    return [[cell.strip() for cell in column] for column in zip(*lines, strict=True)]


def is_parquet(path: Path) -> bool:
    """Whether the file's name ends as that of a parquet file."""
    return path.suffix.lower() in (".parquet", ".pq")


def open_parquet(path: Path) -> Any:
    """A ``pyarrow.parquet.ParquetFile``.

    Raises:
        PaperzooError: it is none, or pyarrow is not installed.
    """
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise PaperzooError('reading parquet needs pyarrow: pip install "paperzoo[tables]"') from error
    with readable(path):
        return parquet.ParquetFile(path, page_checksum_verification=True)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turns any error while a table is read into one sentence: no plain file, not UTF-8, no CSV, damaged parquet."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device, which may never end"
            raise PaperzooError(f"{path} is {kind}: a table is a plain file")
        yield
    except PaperzooError:
        raise
    except csv.Error as error:
        raise PaperzooError(f"{path.name} is no CSV file: {error}") from error
    except (OSError, ValueError, OverflowError, MemoryError, KeyError, RuntimeError, NotImplementedError) as error:
        if is_parquet(path) and not (isinstance(error, OSError) and error.errno):
            first = str(error).partition("\n")[0]
            raise PaperzooError(f"{path.name} cannot be read as parquet: {first or type(error).__name__}") from error
        raise PaperzooError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def parts_by_comma(path: Path) -> bool:
    """Whether a comma parts the cells of a file, and so cannot be a decimal sign outside quotes."""
    return not is_parquet(path) and _delimiter(path) == ","


def _delimiter(path: Path) -> str:
    """The delimiter: the one that gives the header most names, and the row below it as many cells."""
    with readable(path):
        begin = next(blocks(path), "")[: 2**16]
    if not begin.strip():
        raise PaperzooError(f"{path.name} is empty")
    if begin.lstrip().startswith(('{"', "[{", "[[", "<")):
        kind = "XML or HTML" if begin.lstrip().startswith("<") else "JSON"
        raise PaperzooError(f"{path.name} is {kind}; a table is a CSV or parquet file: save it as one")

    def fit(delimiter: str) -> tuple[bool, bool, int]:
        first, second = ([*islice(csv.reader(io.StringIO(begin, newline=""), delimiter=delimiter), 2), [], []])[:2]
        return len(first) > 1, len(first) == len(second), len(first)

    with readable(path):
        return max(",;\t", key=fit)


# Numbers -------------------------------------------------------------------------------------------------------------


class _Style(NamedTuple):
    """A way to write numbers: what a whole cell looks like, its decimal sign, and the sign between thousands."""

    pattern: re.Pattern[str]
    decimal: str
    group: str


_STYLES = tuple(
    _Style(re.compile(pattern, re.ASCII | re.IGNORECASE), decimal, group)
    for pattern, decimal, group in (
        (r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", ".", ""),
        (r"[+-]?(\d+,?\d*|,\d+)(e[+-]?\d+)?", ",", ""),
        (r"[+-]?(\d{1,3}|[1-9]\d{0,2}(,\d{3})+)(\.\d*)?", ".", ","),
        (r"[+-]?(\d{1,3}|[1-9]\d{0,2}(\.\d{3})+)(,\d*)?", ",", "."),
    )
)


class WrongCell(ValueError):
    """A cell is no number: its ``row``, the ``cell``, and ``why`` if it would be one elsewhere."""

    def __init__(self, row: int, cell: str, why: str = "") -> None:
        super().__init__(cell)
        self.row, self.cell, self.why = row, cell, why and f" ({why})"


class Numbers:
    """The numbers of one column, read part by part, in the one way of writing them that fits every cell.

    ``1.034`` beside ``987`` is 1.034 or 1034: nothing tells, and ``ambiguous`` says so. Where *all* cells have a point and three
    digits it is a decimal point, and so is a comma in a file that has other signs between its cells.
    """

    def __init__(self, comma_parts: bool = False) -> None:
        self.styles, self.comma_parts = list(_STYLES), comma_parts
        self.example, self.row, self.bare = "", 0, ""  # a cell with a point or comma, its row; a cell without
        self.taken: _Style | None = None  # how such cells of earlier parts were read

    def read(self, cells: Sequence[str], rows: Sequence[int]) -> np.ndarray:
        """float64 (N), not-a-number where a cell is empty (see ``EMPTY``), infinite where it is too large.

        Raises:
            WrongCell: a cell is no number, or is written otherwise than those before it.
        """
        text = "\n".join(cells)
        if len(self.styles) > 1:
            decimal = {style.decimal for style in self.styles}
            if ("." in text and decimal != {"."}) or ("," in text and decimal != {","}):
                self._narrow(cells, rows, text)
            if re.search(r"^[+-]?\d{4}", text, re.MULTILINE):  # 1234 has no sign between its thousands
                self.styles = [style for style in self.styles if not style.group] or self.styles
            signs = {".", ","}
            self.bare = self.bare or next((c for c in cells if signs.isdisjoint(c) and c.lower() not in EMPTY), "")
        style = self.styles[0]
        if self.example:
            self.taken = style
        if style is _STYLES[0] and "_" not in text:
            try:  # the usual case, and fast
                return np.fromiter((float(c) if c else math.nan for c in cells), float, len(cells))
            except ValueError:
                pass
        return np.fromiter((self._value(*one, style) for one in zip(cells, rows, strict=True)), float, len(cells))

    def _narrow(self, cells: Sequence[str], rows: Sequence[int], text: str) -> None:
        """Leaves the styles that every cell fits, and stops when no other cell of ``text`` could tell those left apart."""
        for cell, row in zip(cells, rows, strict=True):
            if ("." in cell or "," in cell) and cell.lower() not in EMPTY:
                fitting = [style for style in self.styles if style.pattern.fullmatch(cell)]
                if not fitting or (self.taken and self.taken not in fitting):
                    why = f"{self.example!r} in row {self.row} has another decimal sign" if self.example and is_number(cell) else ""
                    raise WrongCell(row, cell, why)
                if not self.example:
                    self.example, self.row = cell, row
                self.styles, decimal = fitting, {style.decimal for style in fitting}
                if len(fitting) == 1 or (decimal == {"."} and "," not in text) or (decimal == {","} and "." not in text):
                    break

    def _value(self, cell: str, row: int, style: _Style) -> float:
        if cell.lower() in EMPTY:
            return math.nan
        if not style.pattern.fullmatch(cell):
            raise WrongCell(row, cell, f"{self.example!r} in row {self.row} has another decimal sign" if is_number(cell) else "")
        return _plain(cell, style)

    def ambiguous(self) -> str:
        """Which cell could have thousands or decimals, and what to write instead; empty if none."""
        comma, values = "," in self.example, {_plain(self.example, style) for style in self.styles if self.example}
        if len(values) < 2 or not (self.bare or (comma and self.comma_parts)):
            return ""
        whole, sign = re.sub("[.,]", "", self.example), "comma" if comma else "point"
        beside = f" beside {self.bare!r}" if self.bare else ""
        return (
            f"{self.example!r}{beside} may be {whole.lstrip('+')} or {self.example.replace(',', '.')}: write {whole} if the {sign} "
            f"parts thousands, {self.example}0 if it is a decimal {sign}"
        )


def _plain(cell: str, style: _Style) -> float:
    return float((cell.replace(style.group, "") if style.group else cell).replace(style.decimal, "."))


def is_number(cell: str) -> bool:
    """Whether a cell is a finite number, with decimal point or comma."""
    return any(style.pattern.fullmatch(cell) and math.isfinite(_plain(cell, style)) for style in _STYLES)


# Whole tables --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """Cells as strings, without blanks round them.

    Attributes:
        name: of the file.
        cells: column -> its cells, from top to bottom.
        rows: the number of each row, counted as a spreadsheet does: the header of a CSV is row 1.
        comma_parts: whether a comma parts its cells.
    """

    name: str
    cells: dict[str, list[str]]
    rows: list[int]
    comma_parts: bool = False

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

    def where(self, column: str, value: str) -> Table:
        """The rows whose cell in ``column`` says ``value``, without that column.

        Raises:
            PaperzooError: no such column, or no such row.
        """
        self.check([column])
        chosen = [i for i, cell in enumerate(self.cells[column]) if cell == value]
        if not chosen:
            raise unknown(column, value, set(self.cells[column]), f"of {self.name}")
        cells = {name: [values[i] for i in chosen] for name, values in self.cells.items() if name != column}
        return Table(self.name, cells, [self.rows[i] for i in chosen], self.comma_parts)


def read_table(path: Path) -> Table:
    """A CSV file (commas, semicolons or tabs, UTF-8, with a header) or a parquet file.

    Raises:
        PaperzooError: missing, damaged or empty, a column without a name or with that of another, a row of another length.
    """
    names = header(path)
    if not any(names):
        raise PaperzooError(f"{path.name} begins without a header, a row that names the columns")
    first: dict[str, int] = {}
    for at, name in enumerate(names):
        if not name or first.setdefault(name, at) != at:
            fault = f"the name {name!r} of another" if name else f"no name in the first row, which begins {', '.join(names)[:40]!r}"
            raise PaperzooError(f"{path.name}: column {at + 1} has {fault}")
    if not is_parquet(path) and _values(names):
        raise PaperzooError(
            f"{path.name} begins without a header: its first row, {', '.join(names)[:40]!r}, holds values; write a row above it that "
            "names the columns"
        )
    columns: list[list[str]] = [[] for _ in names]
    rows: list[int] = []
    for row, part in _parquet_parts(path) if is_parquet(path) else csv_parts(path):
        for column, more in zip(columns, part, strict=True):
            column += more
        rows += range(row, row + len(part[0]))
    if not rows:
        raise PaperzooError(f"{path.name} has a header and no rows")
    return Table(path.name, dict(zip(names, columns, strict=True)), rows, parts_by_comma(path))


def _values(names: Sequence[str]) -> bool:
    """Whether a first row holds numbers and dates throughout, and so is no header; whole numbers that count the columns may be one."""
    counts = [[str(at + first) for at in range(len(names))] for first in (0, 1)]
    return list(names) not in counts and all(is_number(name) or writings(name) for name in names)


def _parquet_parts(path: Path) -> Iterator[tuple[int, list[list[str]]]]:
    file, row = open_parquet(path), 1
    with readable(path):
        for batch in file.iter_batches(batch_size=PART):
            yield row, [[_cell(value) for value in _to_microseconds(column).to_pylist()] for column in batch.columns]
            row += len(batch)


def _to_microseconds(column: Any) -> Any:
    """Nanoseconds are no time of Python's."""
    from pyarrow import timestamp, types

    return column.cast(timestamp("us", column.type.tz), safe=False) if types.is_timestamp(column.type) else column


def _cell(value: Any) -> str:
    return "" if value is None else value.isoformat() if isinstance(value, date) else str(value).strip()


def numbers(table: Table, columns: Sequence[str]) -> np.ndarray:
    """Columns as float64 (R, D), not-a-number where a cell is empty (see ``EMPTY``).

    Raises:
        PaperzooError: a cell that is no finite number, or could be two, with its row and column.
    """
    table.check(columns)
    values = np.empty((len(table.rows), len(columns)))
    for at, column in enumerate(columns):
        cells, reader = table.cells[column], Numbers(table.comma_parts)
        try:
            values[:, at] = reader.read(cells, table.rows)
            if (endless := np.flatnonzero(np.isinf(values[:, at]))).size:
                raise WrongCell(table.rows[endless[0]], cells[endless[0]])
        except WrongCell as wrong:
            fault = f"row {wrong.row}, column {column}: {wrong.cell[:40]!r} is no number (1234.5)"
            raise PaperzooError(f"{table.name}: {fault}{wrong.why}") from None
        if fault := reader.ambiguous():
            raise PaperzooError(f"{table.name}: row {reader.row}, column {column}: {fault}")
    return values


# Times ---------------------------------------------------------------------------------------------------------------


def writings(cell: str) -> list[str]:
    """The ways of writing dates that a cell fits: ``"iso"``, or a format of ``strptime``."""
    return [w for w in _WRITINGS if _parse(cell, w)]


def _parse(cell: str, writing: str) -> datetime | None:
    try:
        if cell.isdigit() and len(cell) != {"iso": 8, "%Y": 4, "%Y%m": 6}.get(writing) and _COMPACT.get(len(cell)) != writing:
            return None  # 1611111111000 is no time of the year 1611
        return datetime.fromisoformat(cell) if writing == "iso" else datetime.strptime(cell, writing)
    except ValueError:
        return None


#: microseconds in one unit of times since 1970, by how large such times are from 1973 to 2603
_SINCE = (("seconds", 1e8, 2e10, 1_000_000), ("milliseconds", 1e11, 2e13, 1000), ("microseconds", 1e14, 2e16, 1))


def since_1970(cell: str) -> tuple[str, int] | None:
    """A number of seconds, milliseconds, microseconds or nanoseconds since 1970: the unit, and the time in microseconds."""
    if not re.fullmatch(r"\d{9,19}(\.\d*)?|\d\.\d+e\+?\d\d", cell, re.ASCII | re.IGNORECASE):
        return None
    value = int(cell) if cell.isdigit() else float(cell)
    for unit, low, high, size in _SINCE:
        if low <= value < high:
            return unit, round(value * size)
    return ("nanoseconds", int(value) // 1000) if 1e17 <= value < 8e18 else None


def compact(cells: Sequence[str]) -> str:
    """The format of dates in digits alone, with hours at least (``202001310600``), if all cells are such; ``""`` if not.

    They are numbers since 1970 too, of another time altogether; but hardly any of those makes a date.
    """
    form = _COMPACT.get(len(cells[0]), "") if cells else ""
    return form if form and all(re.fullmatch(r"(19|20)\d+", cell, re.ASCII) and _parse(cell, form) for cell in cells) else ""


def read_times(table: Table, column: str) -> list[datetime]:
    """A column of dates, all written alike, as times without a zone; or of numbers since 1970, see ``since_1970``.

    ``03/04/2020`` is read in the way that makes the steps between rows most alike. Times with one offset from UTC, and those that
    are all at the same hour by their own offsets, are those that are written; otherwise they become UTC.

    Raises:
        PaperzooError: an empty cell, one that is no date or is written otherwise than those above it, a date that could be two,
            or some with an offset from UTC and some without. With the row number.
    """
    cells, rows, where = table.cells[column], table.rows, f"{table.name}: row"
    if form := compact(cells):
        return [datetime.strptime(cell, form) for cell in cells]
    if numbers := since_1970(cells[0]):
        return _from_numbers(table, column, numbers[0])
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
    return _without_zone(read[best[0]], rows, f"{where}", column)


def _from_numbers(table: Table, column: str, unit: str) -> list[datetime]:
    times = []
    for cell, row in zip(table.cells[column], table.rows, strict=True):
        moment = since_1970(cell)
        if moment is None or moment[0] != unit:
            fault = f"{cell[:40]!r} is no time in {unit} since 1970, as those above it are"
            raise PaperzooError(f"{table.name}: row {row}, column {column}: {fault}")
        times.append(datetime(1970, 1, 1) + timedelta(microseconds=moment[1]))
    warnings.warn(f"{table.name}: {column} is read as {unit} since 1970, UTC", stacklevel=5)
    return times


def microseconds(times: Sequence[datetime]) -> np.ndarray:
    """Times without a zone as int64 microseconds since 1970."""
    return np.array(times, "M8[us]").astype(np.int64)


def _unlike(times: Sequence[datetime]) -> tuple[int, int]:
    """How many different steps there are between rows, counted by the calendar that they fit, and counted in days if that is a day
    of each month, neither the first nor the last. Without a calendar, or with a step back, steps count more."""
    if len({t.tzinfo is None for t in times}) > 1:
        return 0, 0  # refused elsewhere, with an error of its own
    clock = microseconds([t.replace(tzinfo=None) for t in times])
    apart = np.unique(np.diff(clock))
    if len(apart) and apart[0] > 0 and (fit := calendar(clock)):
        rule, place = fit
        odd = rule.rule in ("month", "some day") and rule.anchor not in (1, 31)
        return len(np.unique(np.diff(place))), len(apart) if odd else 1
    return len(apart) + len(times) * (1 + bool(len(apart) and apart[0] < 0)), 1


def _without_zone(times: list[datetime], rows: Sequence[int], where: str, column: str) -> list[datetime]:
    offsets = [t.utcoffset() for t in times]
    if (other := next((i for i, o in enumerate(offsets) if (o is None) != (offsets[0] is None)), None)) is not None:
        has = "no offset from UTC" if offsets[other] is None else "an offset from UTC"
        raise PaperzooError(f"{where} {rows[other]}, column {column}: {times[other]} has {has}, unlike row {rows[0]}")
    written = [t.replace(tzinfo=None) for t in times]
    other = next((i for i, o in enumerate(offsets) if o != offsets[0]), None)
    if other is None or len({t.time() for t in written}) == 1:
        return written
    note = f"row {rows[other]} has the offset {times[other]:%z}, row {rows[0]} has {times[0]:%z}"
    warnings.warn(f"{where.removesuffix(' row')} {note}: all times are read as UTC", stacklevel=5)
    try:
        return [t.astimezone(UTC).replace(tzinfo=None) for t in times]
    except OverflowError:
        raise PaperzooError(f"{where.removesuffix(' row')} column {column} has times outside the years 1 to 9999 of UTC") from None
