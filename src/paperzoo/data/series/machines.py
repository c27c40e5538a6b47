"""Logs of machines, of any length: (machine, time, sensors..., event) as CSV or parquet, cut into windows by day.

A window ends with the first reading of a machine's day and shows its last 16 days on a regular grid. What is asked of it is
how many days later the machine fails, counted from that reading, so that nothing at or after the failure can be in it. (The last
reading of a day would not do: a day that ends early is one on which the machine failed, and the hour shows in the load.) A window
whose next ``HORIZON`` days are not known, because the log ends or a service comes before a failure, is left out.

Three dates cut the windows, a third kind of machine is kept apart:

    train | ``HORIZON`` days | validation | ``HORIZON`` days | test, and ``unseen``: the same dates, machines held out from the start

A log is read once, a part at a time, into rows sorted by machine on disk; then machine by machine. Memory holds a part of the
file, one machine's rows, and about 25 bytes a window.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paperzoo.data.dataset import Column, Dataset, Schema, Split, Values
from paperzoo.data.fetch.prepared import prepared
from paperzoo.data.fetch.sources import cache
from paperzoo.data.series.calendars import PUT_BACK, clock_changes, may_change
from paperzoo.data.series.logs import DAY, FAILURE, SERVICE, Part, by_machine, header, read, rows_of
from paperzoo.errors import PaperzooError, unknown

#: observation windows in days; every window shows the longest
OBSERVATIONS = (1, 2, 4, 8, 16)
#: the longest prediction window in days, and the days between splits
HORIZON = 2
#: the finest grid, in readings a day; of finer logs, the first reading of each quarter of an hour is kept
FINEST = 96


@dataclass
class Repairs:
    """The repairs made to a log, with their counts."""

    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def note(self, repair: str, count: int) -> None:
        """Adds ``count`` to what was mended in this way."""
        if count:
            self.counts[repair] += int(count)

    def said(self) -> list[str]:
        """One clause for each kind."""
        return [f"{kind}: {count:,}" for kind, count in self.counts.items()]


# One machine ---------------------------------------------------------------------------------------------------------


def in_order(rows: np.ndarray, name: str, where: str, repairs: Repairs) -> np.ndarray:
    """A machine's rows by time, one for each time: those that say the same, or different things, become one. The hour that a local
    clock leaves out or repeats for summer time is mended where the readings' own steps show it.

    Raises:
        PaperzooError: two rows of one time contradict each other, or an event lies more than a day after the last reading.
    """
    if (added := clock_changes(rows["time"] * 1_000_000)) is not None:
        repairs.note("changes of the clock for summer or winter, times being read as local", int(np.count_nonzero(np.diff(added))))
        rows = rows.copy()
        rows["time"] += (added - added[-1]) // 1_000_000  # the newest times stay as they are written
    if (backwards := np.diff(rows["time"]) < 0).any():
        repairs.note("rows sorted in, being earlier than the row before", backwards.sum())
        rows = rows[rows["time"].argsort(kind="stable")]
    starts = np.flatnonzero(np.diff(rows["time"], prepend=rows["time"][0] - 1))
    if len(starts) < len(rows):
        low, high = np.fmin.reduceat(rows["values"], starts), np.fmax.reduceat(rows["values"], starts)
        clash = np.not_equal(low, high) & ~np.isnan(low)
        if clash.any():
            first = int(clash.any(1).argmax())
            stop = starts[first + 1] if first + 1 < len(starts) else len(rows)
            numbers = " and ".join(str(n) for n in rows["row"][starts[first] : stop][:3])
            when = int(rows["time"][starts[first]]) * 1_000_000
            back = PUT_BACK if all(may_change(int(t) * 1_000_000) for t in rows["time"][starts[clash.any(1)]]) else ""
            fault = f"machine {name} has different readings at the same time"
            raise PaperzooError(f"{where}, rows {numbers}: {fault}" + (f", {np.datetime64(when, 'us').item()}{back}" if back else ""))
        merged = rows[starts].copy()
        merged["values"], merged["event"] = high, np.maximum.reduceat(rows["event"], starts)
        repairs.note("rows joined with another of the same machine and time", len(rows) - len(starts))
        rows = merged
    reading = np.flatnonzero(~np.isnan(rows["values"]).all(1))
    end = rows["time"][reading[-1]] if len(reading) else rows["time"][0]
    late = (rows["event"] > 0) & (rows["time"] > end + DAY)
    if late.any():
        bad = rows[int(late.argmax())]
        days = (bad["time"] - end) / DAY
        raise PaperzooError(f"{where}, row {bad['row']}: an event of machine {name} {days:.1f} days after its last reading")
    return rows


@dataclass(frozen=True)
class Regular:
    """A machine's readings on a grid, and where in it windows end.

    Attributes:
        readings: float32 (slots, sensors), blanks filled with the last reading before.
        end: the last slot of each window; ``time``: when its reading was taken, in seconds.
        until: days from there to the next failure, if it comes within ``HORIZON`` and before any service, else infinite.
        known: whether the next ``HORIZON`` days are known.
    """

    readings: np.ndarray
    end: np.ndarray
    time: np.ndarray
    until: np.ndarray
    known: np.ndarray


def regular(rows: np.ndarray, per_day: int, repairs: Repairs) -> Regular | None:
    """A machine's ordered rows as ``Regular``, or ``None`` if they are shorter than a window.

    A blank is filled with the last reading of its sensor for a quarter of a day (but at least one reading); no window reaches over
    a longer one.
    """
    step, span, patience = DAY // per_day, max(OBSERVATIONS) * per_day, max(1, per_day // 4)
    kept = rows[~np.isnan(rows["values"]).all(1)]
    if not len(kept):
        return None
    slot = (kept["time"] - kept["time"][0] + step // 4) // step  # a quarter of a step early is on time
    slot = np.concatenate([[0], np.minimum(np.diff(slot), patience + 2).cumsum()])  # a longer gap needs no more room
    grid = np.full((slot[-1] + 1, rows["values"].shape[1]), np.nan, np.float32)
    taken = np.zeros(len(grid), np.int64)
    used = np.zeros(len(kept), bool)
    for sensor, values in enumerate(kept["values"].T):
        there = np.flatnonzero(~np.isnan(values))
        first = there[np.diff(slot[there], prepend=-1) > 0]  # of its step, so that no later row changes what was seen
        grid[slot[first], sensor], used[first] = values[first], True
    taken[slot[used]] = kept["time"][used]
    repairs.note("readings left out, an earlier one having their step of the grid", (~used).sum())
    here = np.arange(len(grid))[:, None]
    source = np.maximum.accumulate(np.where(np.isnan(grid), -1, here), 0)  # where each value was read, -1: nowhere yet
    stale = np.asarray(((here - source > patience) | (source < 0)).any(1))
    filled = np.isnan(grid) & ~stale[:, None]
    repairs.note("blank readings filled with the last one before", filled.sum())
    grid = np.where(source < 0, np.float32(0), np.take_along_axis(grid, source.clip(0), 0))
    real = np.unique(slot[used])
    end = real[np.diff(taken[real] // DAY, prepend=taken[0] // DAY - 1) > 0]  # what comes later never moves it
    end = end[end >= span - 1]
    broken = np.concatenate([[0], stale.cumsum()])
    whole = broken[end + 1] == broken[end + 1 - span]
    repairs.note(f"days without a window, a gap being less than {max(OBSERVATIONS)} days before", (~whole).sum())
    end, time = end[whole], taken[end[whole]]
    until, known = outcome(time, rows["time"][rows["event"] == FAILURE], rows["time"][rows["event"] == SERVICE], rows["time"][-1])
    return Regular(grid, end, time, until, known) if len(end) else None


def outcome(time: np.ndarray, failures: np.ndarray, services: np.ndarray, end: int) -> tuple[np.ndarray, np.ndarray]:
    """``until`` and ``known`` of windows that end at ``time`` (seconds), in a log that ends at ``end``; see ``Regular``.

    A failure at the very time is over. After a service nobody knows when the old part would have failed.
    """
    far = np.iinfo(np.int64).max // 2
    failure, service = (np.append(events, far)[np.searchsorted(events, time, side="right")] for events in (failures, services))
    fails = (failure - time <= HORIZON * DAY) & (failure <= service)
    until = np.where(fails, (failure - time) / DAY, np.inf).astype(np.float32)
    return until, fails | (np.minimum(service, end) - time >= HORIZON * DAY)


# All machines --------------------------------------------------------------------------------------------------------


def arrays(parts: Iterable[Part], sensors: Sequence[str], where: str, folder: Path) -> dict[str, np.ndarray]:
    """A log as arrays: readings (R, sensors) of all machines, for each window its end, time, outcome and machine, and names.

    Raises:
        PaperzooError: a row that contradicts another, or no window at all.
    """
    names, machines = by_machine(parts, len(sensors), folder)
    if not names:
        raise PaperzooError(f"{where} has no row")
    repairs, per_day, shift = Repairs(), _per_day(folder / "rows", len(sensors), where), 0
    fields: dict[str, list[np.ndarray]] = {key: [] for key in ("end", "time", "until", "known", "machine")}
    low, high = np.full(len(sensors), np.inf, np.float32), np.full(len(sensors), -np.inf, np.float32)
    with (folder / "readings").open("wb") as file:
        for number, rows in enumerate(machines):
            log = regular(in_order(rows, names[number], where, repairs), per_day, repairs)
            if log is None:
                repairs.note("machines left out, their logs being too short or too full of gaps", 1)
                continue
            low, high = np.minimum(low, log.readings.min(0)), np.maximum(high, log.readings.max(0))
            log.readings.tofile(file)
            for key in ("time", "until", "known"):
                fields[key].append(getattr(log, key))
            fields["end"].append(log.end + shift)
            fields["machine"].append(np.full(len(log.end), number, np.int32))
            shift += len(log.readings)
    if not shift:
        raise PaperzooError(f"{where} has no window: none of its {len(names)} machines has {max(OBSERVATIONS)} days without a long gap")
    notes = [*repairs.said(), *(f"sensor {s!r} never changes" for s, same in zip(sensors, low == high, strict=True) if same)]
    return {
        "readings": np.memmap(folder / "readings", np.float32, "r", shape=(shift, len(sensors))),
        **{key: np.concatenate(values) for key, values in fields.items()},
        "names": np.array(names),
        "sensors": np.array(sensors),
        "per_day": np.array(per_day),
        "notes": np.array(notes, dtype=str),
    }


def _per_day(path: Path, sensors: int, where: str) -> int:
    """Readings a day, from the median step within machines over the first million rows."""
    rows = np.fromfile(path, rows_of(sensors), 1_000_000)
    rows = rows[~np.isnan(rows["values"]).all(1)]
    rows = rows[np.lexsort((rows["time"], rows["machine"]))]
    step = np.diff(rows["time"])[np.diff(rows["machine"]) == 0]
    step = step[step > 0]
    if not len(step):
        raise PaperzooError(f"{where} has no two readings of one machine")
    middle = float(np.median(step))
    if middle > 1.5 * DAY:
        raise PaperzooError(f"{where} has a reading every {middle / DAY:.1f} days: at least one a day is needed")
    legal = np.array([n for n in range(1, FINEST + 1) if DAY % n == 0])
    return int(legal[np.abs(np.log(legal * middle / DAY)).argmin()])


class Windows:
    """``readings`` float32 (N, T, sensors): the T grid steps up to and with ``end``, gathered from one array (R, sensors)."""

    def __init__(self, readings: np.ndarray, end: np.ndarray, steps: int) -> None:
        self.readings, self.end, self.steps = readings, end, steps

    def __len__(self) -> int:
        return len(self.end)

    def take(self, indices: np.ndarray) -> dict[str, Any]:
        at = self.end[indices][:, None] + np.arange(1 - self.steps, 1)  # (N, T)
        return {"readings": torch.from_numpy(np.asarray(self.readings[at]))}

    def to(self, device: torch.device) -> Windows:
        return self  # gathered on the host, a batch at a time

    def join(self, other: Column) -> Windows:
        assert isinstance(other, Windows) and other.readings is self.readings
        return Windows(self.readings, np.concatenate([self.end, other.end]), self.steps)


def splits_of(time: np.ndarray, machine: np.ndarray, machines: int) -> dict[str, np.ndarray]:
    """Numbers of the windows of each split. A fifth of five or more machines is held out; three fifths of the others' days train.

    Every window of ``train`` ends ``HORIZON`` days or more before any of ``validation``, and those before any of ``test``.
    """
    unseen = np.zeros(machines, bool)
    unseen[np.random.default_rng(0).permutation(machines)[: machines // 5]] = True
    held = unseen[machine]
    days = np.sort(time[~held])
    if not len(days):
        return {"train": np.zeros(0, np.int64)}
    first, second = (int(days[int(len(days) * share)]) for share in (0.6, 0.75))
    gap = HORIZON * DAY
    return {
        "train": np.flatnonzero(~held & (time <= first - gap)),
        "validation": np.flatnonzero(~held & (time > first) & (time <= second - gap)),
        "test": np.flatnonzero(~held & (time > second)),
        "unseen": np.flatnonzero(held & (time > second)),
    }


def windows(arrays: dict[str, np.ndarray], name: str, licence: str, source: str, strict: bool = False) -> Dataset:
    """The data set of a log's ``arrays``: ``readings``, ``until`` (days), ``machine`` (its number), ``time`` (seconds).

    Raises:
        PaperzooError: no failure to learn from, or (``strict``) something had to be mended.
    """
    notes = [str(note) for note in arrays["notes"]]
    if notes and strict:
        raise PaperzooError(f"{name}: {'; '.join(notes)}")
    known = np.flatnonzero(arrays["known"])
    time, machine, until = (arrays[key][known] for key in ("time", "machine", "until"))
    cut = splits_of(time, machine, len(arrays["names"]))
    count, fails = len(cut["train"]), int(np.isfinite(until[cut["train"]]).sum())
    if fails in (0, count):
        which = "every one" if fails else "none"
        raise PaperzooError(f"{name}: of {count:,} windows to train on, {which} is followed by a failure within {HORIZON} days")
    span, per_day = max(OBSERVATIONS) * int(arrays["per_day"]), int(arrays["per_day"])
    end = arrays["end"][known]
    splits = {
        key: Split(
            Windows(arrays["readings"], end[chosen], span),
            Values("until", torch.from_numpy(until[chosen])),
            Values("machine", torch.from_numpy(machine[chosen].astype(np.int64))),
            Values("time", torch.from_numpy(time[chosen])),
        )
        for key, chosen in cut.items()
        if len(chosen)
    }
    mean, deviation = _scale(splits["train"])
    arguments = {
        "sensors": tuple(str(s) for s in arrays["sensors"]),
        "per_day": per_day,
        "mean": mean,
        "deviation": deviation,
        "shares": tuple(float((until[cut["train"]] <= days).mean()) for days in range(1, HORIZON + 1)),
    }
    schema = Schema(name, ("readings", "until", "machine", "time"), arguments, tuple(str(n) for n in arrays["names"]))
    return Dataset(schema, splits, licence, source + "".join(f"; {note}" for note in notes))


def _scale(train: Split, windows: int = 1000) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each sensor over evenly spaced training windows; the deviation of one that never changes is 1."""
    chosen = np.unique(np.linspace(0, len(train) - 1, windows).astype(np.int64))
    readings: Tensor = train.batch(chosen).readings.double()  # (N, T, sensors)
    mean, deviation = readings.mean((0, 1)), readings.std((0, 1), correction=0)
    deviation = torch.where(deviation > 1e-6 * mean.abs() + 1e-12, deviation, 1.0)
    return tuple(mean.tolist()), tuple(deviation.tolist())


def log_arrays(path: Path) -> dict[str, np.ndarray]:
    """``arrays`` of the log in this file, kept for the next time until the file changes."""
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise unknown("kind of log", path.suffix or path.name, (".csv", ".parquet"))

    def make() -> dict[str, np.ndarray]:
        return arrays(read(path), header(path)[1], path.name, scratch)

    state = path.stat()
    key = hashlib.sha256(f"{path.resolve()} {state.st_size} {state.st_mtime_ns}".encode()).hexdigest()[:16]
    (cache() / "prepared").mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=cache() / "prepared"))
    try:
        return prepared(f"machines-2-{key}", make)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def machine_log(path: Path, strict: bool = False) -> Dataset:
    """The user's own log: a CSV or parquet file with a row a reading: machine, time, any number of sensors, event.

    Args:
        strict: refuse a log in which anything had to be mended, rather than saying what it was.

    Raises:
        PaperzooError: naming the first bad row; or no window, or no failure to learn from.
    """
    built = windows(log_arrays(path), path.name, "the user's own", f"the log {path.name}", strict)
    if "; " in built.source:
        warnings.warn(built.source, stacklevel=3)
    return built
