"""Which rule the stamps of a series follow: equal steps, a day of each month, business days. And clocks that change twice a year.

Times are int64 microseconds since 1970, as numpy's ``datetime64[us]`` counts them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from paperzoo.errors import PaperzooError

HOUR = 3_600_000_000
DAY = 24 * HOUR
_UNITS = (("day", DAY), ("h", HOUR), ("min", 60_000_000), ("s", 1_000_000), ("us", 1))
#: the likely cause of two different readings at one time in a night of autumn, and what to do
PUT_BACK = (
    ": it is the hour in which clocks are put back from summer time, and without their offset from UTC the two hours cannot be told "
    "apart; write times in UTC or with their offset (2023-10-29 02:00+02:00)"
)
_WEEKDAYS = "1111100"  # Monday to Friday


@dataclass(frozen=True)
class Calendar:
    """A rule for the time of the next row.

    Attributes:
        size, unit: of a step, such as (3, "month").
        rule: ``even``, or one that the calendar makes uneven: ``month`` (the day ``anchor``, or the last of a shorter month),
            ``first`` and ``last`` (business day of the month), ``some day`` (of each month), ``business`` (days of ``week``).
        anchor: day of the month, 31 for its end; ``week``: the weekdays that count, from Monday on, as numpy writes them.
    """

    size: int
    unit: str
    rule: str = "even"
    anchor: int = 1
    week: str = _WEEKDAYS

    @property
    def step(self) -> tuple[int, str]:
        """A step's size and unit."""
        return self.size, self.unit

    def label(self, time: datetime) -> str:
        """A time in so many words as the rule needs."""
        if self.unit == "year" and (time.month, time.day) == (1, 1):
            return str(time.year)
        if self.rule == "some day":
            return f"{time:%Y-%m}"
        return str(time) if self.rule == "even" and self.unit != "day" else f"{time:%Y-%m-%d}"

    def after(self, last: datetime, count: int) -> tuple[str, ...]:
        """Labels of the ``count`` steps that come after ``last``.

        Raises:
            PaperzooError: they lie beyond the year 9999.
        """
        try:
            return tuple(self.label(self._ahead(last, step * self.size)) for step in range(1, count + 1))
        except (OverflowError, ValueError) as error:
            raise PaperzooError(f"{count} steps of {self.size} {self.unit} after {last} lie beyond the year 9999") from error

    def _ahead(self, last: datetime, units: int) -> datetime:
        if self.rule == "even":
            return last + units * timedelta(microseconds=dict(_UNITS)[self.unit])
        if self.rule == "business":
            return _date(np.busday_offset(np.datetime64(last, "D"), units, weekmask=self.week))
        month = np.datetime64(last, "M") + units * (12 if self.unit == "year" else 1)
        if self.rule in ("first", "last"):
            return _date(_ends(np.array([month]))[self.rule == "last"][0])
        longest = (month + 1).astype("M8[D]") - month.astype("M8[D]")
        return _date(month.astype("M8[D]") + min(self.anchor, longest.astype(int)) - 1)


def _date(day: np.datetime64) -> datetime:
    value = day.astype("M8[D]").item()
    if not isinstance(value, date):  # numpy goes on after 9999
        raise OverflowError(day)
    return datetime(value.year, value.month, value.day)


def _ends(month: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first and last business day of months (N)."""
    first, after = (np.busday_offset(m.astype("M8[D]"), 0, roll="forward") for m in (month, month + 1))
    return first, np.busday_offset(after, -1)


def calendar(clock: np.ndarray) -> tuple[Calendar, np.ndarray] | None:
    """The rule that times (N), N > 1, in order and each once, follow, and the number of each in its count of steps, from 0.

    A number that is left out is a missing step. ``None``: no rule, the steps being of unequal length.
    """
    clock = same_time_of_day(clock)
    if len(set((clock % DAY).tolist())) == 1:
        days = clock.astype("M8[us]").astype("M8[D]")
        if fit := _monthly(days) or _business(days):
            return fit
    apart = np.diff(clock)
    step = _usual(apart)
    if not (apart % step).any():
        unit, size = next((unit, size) for unit, size in _UNITS if step % size == 0)
        return Calendar(step // size, unit), (clock - clock[0]) // step
    return _some_day(clock.astype("M8[us]").astype("M8[D]"))


def _usual(apart: np.ndarray) -> int:
    sizes, often = np.unique(apart, return_counts=True)
    return int(sizes[often.argmax()])


def _months(days: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Months since 1970, days of the month from 1 on, and the length of the month, of dates."""
    month = days.astype("M8[M]")
    first = month.astype("M8[D]")
    return month.astype(int), (days - first).astype(int) + 1, ((month + 1).astype("M8[D]") - first).astype(int)


def _in_months(months: np.ndarray, rule: str, anchor: int = 1) -> tuple[Calendar, np.ndarray] | None:
    apart = np.diff(months)
    step = _usual(apart)
    if (apart % step).any():
        return None
    size, unit = (step // 12, "year") if step % 12 == 0 else (step, "month")
    return Calendar(size, unit, rule, anchor), (months - months[0]) // step


def _monthly(days: np.ndarray) -> tuple[Calendar, np.ndarray] | None:
    """One day of each month (or of each third, ...): the same, the last, or the first or last business day."""
    months, day, length = _months(days)
    if (np.diff(months) < 1).any():
        return None
    anchor = 31 if (day == length).all() else int(day.max())
    if (day == np.minimum(anchor, length)).all():
        return _in_months(months, "month", anchor)
    if np.is_busday(days).all():
        for rule, exact in zip(("first", "last"), _ends(days.astype("M8[M]")), strict=True):
            off = np.abs(np.busday_count(days, exact))  # a holiday moves it by a day or a few
            if off.max() <= 3 and 2 * (off == 0).sum() > len(off):
                return _in_months(months, rule)
    return None


def _some_day(days: np.ndarray) -> tuple[Calendar, np.ndarray] | None:
    """Some day of each month, at most a week earlier or later: the third Friday, the last Sunday."""
    months, day, _ = _months(days)
    return _in_months(months, "some day") if (np.diff(months) >= 1).all() and np.ptp(day) <= 7 else None


def _business(days: np.ndarray) -> tuple[Calendar, np.ndarray] | None:
    """Every day of a week that lacks some: Monday to Friday, or others that were never once seen in three weeks and more."""
    weekday = (days.astype(int) + 3) % 7  # 1970 began on a Thursday
    week = "".join("1" if (weekday == w).any() else "0" for w in range(7))
    if not 4 <= week.count("1") < 7:
        return None
    passed = [int(np.busday_count(days[0], days[-1], "".join("1" if v == w else "0" for v in range(7)))) for w in range(7)]
    if min(passed[w] for w in range(7) if week[w] == "0") < (1 if week == _WEEKDAYS else 3):
        return None
    place = np.busday_count(days[0], days, week)
    return (Calendar(1, "business day", "business", week=week), place) if _usual(np.diff(place)) == 1 else None


# Clocks that change --------------------------------------------------------------------------------------------------


def same_time_of_day(clock: np.ndarray) -> np.ndarray:
    """Daily or rarer stamps of a local time of day, counted by another clock: at 5:00 in winter and 4:00 in summer, as 5:00."""
    hours = sorted(set((clock % DAY).tolist()))
    if len(hours) != 2 or (hours[1] - hours[0]) not in (HOUR, DAY - HOUR):
        return clock
    summer = hours[0] if hours[1] - hours[0] == HOUR else hours[1]  # 23:00 is an hour before 0:00
    moved = np.where(clock % DAY == summer, clock + HOUR, clock)
    return moved if (np.diff(moved) > DAY // 2).all() else clock


def may_change(time: int) -> bool:
    """Whether clocks are changed for summer or winter around this local time: by night before a Sunday (some before a Friday), in
    spring or autumn."""
    when = datetime(1970, 1, 1) + timedelta(microseconds=int(time))
    night = (when + timedelta(hours=2)).weekday() in (4, 6) and (when.hour <= 4 or when.hour >= 22)
    return night and when.month in (2, 3, 4, 5, 8, 9, 10, 11)


def clock_changes(local: np.ndarray) -> np.ndarray | None:
    """What to add to local times, in the order that they were taken in, so that no hour is missing in spring and none repeated in
    autumn; ``None`` if the clock is not seen to change.

    Their steps are equal but for gaps, and for one hour more or less where the clock is put forward or back. Such changes
    alternate, and lie 25 days apart or more (Morocco's pause for Ramadan is the shortest).
    """
    apart = np.diff(local)
    step = _usual(apart) if len(apart) else 0
    if not 0 < step <= DAY // 2:
        return None
    off = apart - step
    at = np.flatnonzero(np.abs(off) == HOUR)
    if HOUR % step == 0:  # it could also be an hour without rows, or with rows twice
        at = np.array([i for i in at if may_change(local[i + 1])], int)
    if not len(at) or (np.diff(np.sign(off[at])) == 0).any() or (np.diff(local[at]) < 25 * DAY).any():
        return None
    change = np.zeros_like(local)
    change[at + 1] = -off[at]
    added = change.cumsum()
    return added if (np.diff(local + added) > 0).all() else None
