"""Rows of machines' logs, of any length: (machine, time, sensors..., event) from CSV or parquet, sorted by machine on disk.

Memory holds a part of the file at a time. Whatever is wrong is said with the number of its row: the header of a CSV is row 1, and
parquet counts from 1.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from paperzoo.data.series.columns import (
    Numbers,
    WrongCell,
    compact,
    csv_parts,
    is_parquet,
    open_parquet,
    parts_by_comma,
    readable,
    since_1970,
)
from paperzoo.data.series.columns import header as header_of
from paperzoo.errors import PaperzooError

DAY = 86_400
SERVICE, FAILURE = 1, 2  # of two events at the same time, the larger counts
_EVENTS = {"": 0, "0": 0, "0.0": 0, "none": 0, "nan": 0, "false": 0, "service": SERVICE, "maintenance": SERVICE,
           "failure": FAILURE, "fault": FAILURE, "1": FAILURE, "1.0": FAILURE, "true": FAILURE}  # fmt: skip
_COLUMNS = {"machine": ("machine", "machine_id", "unit", "asset"), "time": ("time", "timestamp", "date", "datetime"),
            "event": ("event", "failure", "fault")}  # fmt: skip
_PART = 100_000  # rows read at a time


@dataclass(frozen=True)
class Part:
    """Some rows of a log: ``machine`` as strings, ``time`` in seconds since 1970 UTC, ``values`` (N, sensors) with NaN where blank."""

    row: int
    machine: Sequence[str]
    time: np.ndarray
    values: np.ndarray
    event: np.ndarray


def header(path: Path) -> tuple[dict[str, int], tuple[str, ...]]:
    """Where the columns machine, time and event are (by number), and the names of all others: the sensors.

    Raises:
        PaperzooError: a column is missing or there twice, or no sensor is left.
    """
    names = header_of(path)
    lower = [name.lower() for name in names]
    if twice := sorted({name for name in lower if lower.count(name) > 1}):
        raise PaperzooError(f"{path.name}: the column {twice[0]!r} is there twice")
    place_of: dict[str, int] = {}
    for role, legal in _COLUMNS.items():
        there = [name for name in legal if name in lower]
        if not there:
            raise PaperzooError(f"{path.name} has no column {role} (or {', '.join(legal[1:])}); it has {', '.join(names) or 'none'}")
        if len(there) > 1:
            raise PaperzooError(f"{path.name}: {' and '.join(there)} could both be the column {role}; keep one")
        place_of[role] = lower.index(there[0])
    sensors = tuple(name for i, name in enumerate(names) if i not in place_of.values())
    if not sensors:
        raise PaperzooError(f"{path.name} has no sensor: every column but machine, time and event is one")
    return place_of, sensors


def read(path: Path) -> Iterator[Part]:
    """The log's rows, ``_PART`` at a time, in the file's order. The header of a CSV is row 1; parquet counts from 1.

    Raises:
        PaperzooError: a row that is no such row, by its number.
    """
    place_of, sensors = header(path)
    others = [i for i in range(len(sensors) + 3) if i not in place_of.values()]
    layout, parquet = "", is_parquet(path)
    readers = [Numbers(parts_by_comma(path)) for _ in sensors]
    ragged = "{}, row {}: {} cells, and the header has {}"
    for row, columns in _parquet_parts(path) if parquet else csv_parts(path, _PART, ragged):
        names = {name: str(name).strip() for name in set(columns[place_of["machine"]])}
        machine = [names[name] for name in columns[place_of["machine"]]]
        if "" in names.values():
            raise PaperzooError(f"{path.name}, row {row + machine.index('')}: no machine is named")
        time, layout = _seconds(path, row, columns[place_of["time"]], layout)
        values = np.empty((len(machine), len(sensors)), np.float32)
        for at, (number, sensor, reader) in enumerate(zip(others, sensors, readers, strict=True)):
            values[:, at] = _numbers(path, row, columns[number], sensor, reader)
        yield Part(row, machine, time, values, _events(path, row, columns[place_of["event"]]))
    for sensor, reader in zip(sensors, readers, strict=True):
        if fault := reader.ambiguous():
            raise PaperzooError(f"{path.name}, row {reader.row}: {sensor} {fault}")


def _parquet_parts(path: Path) -> Iterator[tuple[int, list[Any]]]:
    from pyarrow import types

    file, row = open_parquet(path), 1
    with readable(path):
        for batch in file.iter_batches(batch_size=_PART):
            columns: list[Any] = []
            for name, raw in zip(batch.schema.names, batch.columns, strict=True):
                column = raw.dictionary_decode() if types.is_dictionary(raw.type) else raw
                if types.is_timestamp(column.type) or types.is_date(column.type):
                    if column.null_count:
                        raise PaperzooError(f"{path.name}, row {row + column.is_null().to_pylist().index(True)}: no time")
                    columns.append(column.to_numpy(zero_copy_only=False).astype("datetime64[s]"))  # with a zone: UTC
                elif types.is_floating(column.type):
                    columns.append(column.to_numpy(zero_copy_only=False))
                elif types.is_integer(column.type) or types.is_boolean(column.type) or str(column.type) in ("string", "large_string"):
                    columns.append(["" if v is None else str(int(v) if isinstance(v, bool) else v).strip() for v in column.to_pylist()])
                else:
                    raise PaperzooError(f"{path.name}: the column {name!r} holds {column.type}, not numbers, text or times")
            yield row, columns
            row += len(batch)


def _numbers(path: Path, row: int, cells: Any, sensor: str, reader: Numbers) -> np.ndarray:
    """Cells as float32, NaN where blank."""
    try:
        values = cells if isinstance(cells, np.ndarray) else reader.read(cells, range(row, row + len(cells)))
    except WrongCell as wrong:
        raise PaperzooError(f"{path.name}, row {wrong.row}: {sensor} is {wrong.cell!r}, not a number{wrong.why}") from None
    with np.errstate(over="ignore"):
        small = np.asarray(values).astype(np.float32)
    if np.isinf(small).any():
        raise PaperzooError(f"{path.name}, row {row + int(np.isinf(small).argmax())}: {sensor} is too large for a number")
    return small


def _events(path: Path, row: int, cells: Any) -> np.ndarray:
    if isinstance(cells, np.ndarray):
        cells = ["" if np.isnan(c) else f"{c:g}" for c in cells]
    try:
        return np.fromiter(map(_EVENTS.__getitem__, cells), np.uint8, len(cells))
    except KeyError:
        lower = [cell.strip().lower() for cell in cells]
        for i, cell in enumerate(lower):
            if cell not in _EVENTS:
                legal = "failure (or 1), service, or nothing (or 0)"
                raise PaperzooError(f"{path.name}, row {row + i}: the event is {cells[i]!r}; it may be {legal}") from None
        return np.fromiter(map(_EVENTS.__getitem__, lower), np.uint8, len(cells))


_NUMBERS = ("seconds", "milliseconds", "microseconds", "nanoseconds")


def _since_1970(path: Path, row: int, cells: Sequence[str], unit: str) -> tuple[np.ndarray, str]:
    """Numbers of seconds, milliseconds, ... since 1970, as seconds; all of a file in the unit of the first, which is given back."""
    time = np.empty(len(cells), np.int64)
    for i, cell in enumerate(cells):
        moment = since_1970(cell)
        if moment is None or moment[0] != (unit or moment[0]):
            raise PaperzooError(f"{path.name}, row {row + i}: {cell!r} is no time in {unit} since 1970, as those above it are")
        unit, time[i] = moment[0], moment[1] // 1_000_000
    return time, unit


def _in_years(path: Path, row: int, time: np.ndarray) -> np.ndarray:
    """Raises ``PaperzooError`` for a time outside the years 1 to 9999."""
    wrong = (time < -62_135_596_800) | (time >= 253_402_300_800)
    if wrong.any():
        raise PaperzooError(f"{path.name}, row {row + int(wrong.argmax())}: the time lies outside the years 1 to 9999")
    return time


_LAYOUT = re.compile(r"0000-00-00([ T]00:00(:00(\.0+)?)?(Z|\+00:?00)?)?")


def _seconds(path: Path, row: int, cells: Any, layout: str) -> tuple[np.ndarray, str]:
    """Times in seconds since 1970, UTC, and their layout, digits written as 0; all times of a file have that of the first.

    Offsets are taken off, so that ``+01:00`` and ``+02:00`` may stand in one file, but not beside times without any.
    """
    if isinstance(cells, np.ndarray):
        if cells.dtype.kind == "M":
            return _in_years(path, row, cells.astype(np.int64)), layout
        cells = [f"{cell:.6f}" for cell in cells]
    if not layout and compact(cells):
        raise PaperzooError(f"{path.name}, row {row}: the time is {cells[0]!r}; times are written as 2024-01-31 13:45:00")
    if layout in _NUMBERS or (not layout and since_1970(cells[0])):
        return _since_1970(path, row, cells, layout)
    text = np.array(cells)
    length = text.dtype.itemsize // 4
    code = np.ascontiguousarray(text).view(np.uint32).reshape(len(text), length).astype(np.int64)  # (N, L) code points
    shape = np.where((code >= 48) & (code <= 57), 48, code)
    shape[:, 10:] = np.where(shape[:, 10:] == ord("-"), ord("+"), shape[:, 10:])  # an offset's sign
    if not layout:
        layout = "".join(map(chr, shape[0])).rstrip("\0")
        if not _LAYOUT.fullmatch(layout):
            raise PaperzooError(f"{path.name}, row {row}: the time is {cells[0]!r}; times are written as 2024-01-31 13:45:00")

    def number(a: int, b: int) -> np.ndarray:
        return (code[:, a:b] - 48) @ 10 ** np.arange(b - a - 1, -1, -1)

    wanted = np.frombuffer(layout.ljust(length, "\0").encode("utf-32-le"), np.uint32)
    other = (shape != wanted).any(1) if len(wanted) == length else np.ones(len(text), bool)
    if other.any():
        bad = int(other.argmax())
        raise PaperzooError(f"{path.name}, row {row + bad}: the time {cells[bad]!r} is not written like the first, {layout} in digits")
    year, month, day = number(0, 4), number(5, 7), number(8, 10)
    hour, minute = (number(11, 13), number(14, 16)) if len(layout) > 10 else (0 * year, 0 * year)
    second = number(17, 19) if layout[16:17] == ":" else 0 * year
    months = (year - 1970) * 12 + np.clip(month, 1, 12) - 1
    first, after = (np.asarray(m).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) for m in (months, months + 1))
    wrong = (year < 1) | (month < 1) | (month > 12) | (day < 1) | (day > after - first) | (hour > 23) | (minute > 59) | (second > 59)
    if wrong.any():
        bad = int(wrong.argmax())
        raise PaperzooError(f"{path.name}, row {row + bad}: there is no time {cells[bad]!r}")
    time = (first + day - 1) * DAY + hour * 3600 + minute * 60 + second
    if "+" in layout:
        sign, tail = layout.index("+"), len(layout)
        offset = number(sign + 1, sign + 3) * 3600 + number(tail - 2, tail) * 60
        time -= np.where(code[:, sign] == ord("-"), -offset, offset)
    return _in_years(path, row, time), layout


# Sorting by machine, on disk -----------------------------------------------------------------------------------------


def rows_of(sensors: int) -> np.dtype[Any]:
    """A row on disk: its machine's number, its time in seconds, its number in the file, its event, its values."""
    return np.dtype([("machine", "i4"), ("time", "i8"), ("row", "i8"), ("event", "u1"), ("values", "f4", (sensors,))])


def by_machine(parts: Iterable[Part], sensors: int, folder: Path) -> tuple[list[str], Iterator[np.ndarray]]:
    """Names, and for each machine its rows in the file's order: a counting sort through two files in ``folder``."""
    kind, names, counts = rows_of(sensors), defaultdict[str, int](), np.zeros(0, np.int64)
    names.default_factory = names.__len__
    grouped, last = True, 0
    with (folder / "rows").open("wb") as file:
        for part in parts:
            rows = np.empty(len(part.time), kind)
            rows["machine"] = np.fromiter(map(names.__getitem__, part.machine), np.int32, len(rows))
            rows["time"], rows["event"], rows["values"] = part.time, part.event, part.values
            rows["row"] = part.row + np.arange(len(rows))
            rows.tofile(file)
            grouped = grouped and rows["machine"][0] >= last and bool((np.diff(rows["machine"]) >= 0).all())
            last = int(rows["machine"][-1])
            counts = np.bincount(rows["machine"], minlength=len(names)) + np.pad(counts, (0, len(names) - len(counts)))
    if not grouped:
        _scatter(folder, kind, counts)
    return list(names), _each(folder / "rows", kind, counts)


def _scatter(folder: Path, kind: np.dtype[Any], counts: np.ndarray) -> None:
    """Rewrites ``rows`` machine by machine: where each machine's rows begin is known from the counts."""
    place = np.concatenate([[0], counts.cumsum()[:-1]]) * kind.itemsize
    with (folder / "rows").open("rb") as file, (folder / "sorted").open("wb") as out:
        while len(rows := np.fromfile(file, kind, 5 * _PART)):
            rows = rows[rows["machine"].argsort(kind="stable")]
            for block in np.split(rows, np.flatnonzero(np.diff(rows["machine"])) + 1):
                machine = block["machine"][0]
                _write_at(out, block, int(place[machine]))
                place[machine] += block.nbytes
    os.replace(folder / "sorted", folder / "rows")


def _write_at(file: BinaryIO, block: np.ndarray, place: int) -> None:
    file.seek(place)
    file.write(block.tobytes())


def _each(path: Path, kind: np.dtype[Any], counts: np.ndarray) -> Iterator[np.ndarray]:
    with path.open("rb") as file:
        for count in counts:
            yield np.fromfile(file, kind, int(count))
