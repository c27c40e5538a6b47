"""A fleet of machines whose one bearing wears until it breaks: the simplest physical model of wear, and nothing more.

A crack of relative length a grows with every hour under load L, as Paris' law says (the stress at its tip is L sqrt(a)):

    da/dt = rate (L sqrt(a))^3,        so that under constant load   a(t)^(-1/2) = a(0)^(-1/2) - rate L^3 t / 2.

The part breaks when a reaches its own toughness, which no sensor shows. Sensors see the crack through noise, drift, a gain of
their own for each machine, the load of the shift, and the season. Services by the calendar put in a new part before the old one
breaks: nobody learns when it would have. It is no data of real machines, and a model that is good here has shown only that.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paperzoo.data.dataset import Dataset
from paperzoo.data.fetch.prepared import prepared
from paperzoo.data.series.logs import FAILURE, SERVICE, Part
from paperzoo.data.series.machines import arrays, windows

SENSORS = ("vibration", "temperature", "current", "load")
EXPONENT = 3  # Paris' m, typical of steel
RATE = 0.01  # 1/h: a new part lasts about six weeks under load 1
BEGIN = 1_672_531_200  # 2023-01-01, a Sunday, in seconds since 1970
REPAIR = 4  # hours without readings after a failure


@dataclass(frozen=True)
class Fleet:
    """The simulated events, hour by hour; arrays (hours, machines).

    Attributes:
        wear: relative length of the crack. ``toughness``: where the part in use breaks.
        load: 1 is nominal. ``standing``: under repair, nothing is read.
        event: 0, ``SERVICE`` or ``FAILURE``, at the hour's end.
        values: readings (hours, machines, sensors).
    """

    wear: np.ndarray
    toughness: np.ndarray
    load: np.ndarray
    standing: np.ndarray
    event: np.ndarray
    values: np.ndarray


def grown(wear: np.ndarray, load: np.ndarray, hours: float = 1.0) -> np.ndarray:
    """The crack after so many hours of constant load: the exact solution of the growth law, infinite once it has run away."""
    root = wear**-0.5 - 0.5 * RATE * load**EXPONENT * hours
    return np.where(root > 0, np.maximum(root, 1e-9) ** -2, np.inf)


def simulate(machines: int, days: int, seed: int = 0) -> Fleet:
    """A fleet over so many days. The same seed gives the same fleet."""
    random = np.random.default_rng(seed)
    hours, shape = 24 * days, (24 * days, machines)
    load = _load(random, hours, machines)
    wear, toughness, standing, event = np.zeros(shape), np.zeros(shape), np.zeros(shape, bool), np.zeros(shape, np.uint8)

    def new() -> tuple[np.ndarray, np.ndarray]:  # a part for each machine: first crack, toughness
        return 0.03 * random.lognormal(0, 0.3, machines), 0.8 * random.lognormal(0, 0.15, machines)

    (a, limit), rest = new(), np.zeros(machines, int)
    a = a * random.uniform(1, 8, machines)  # the log begins somewhere in the lives of the parts
    interval = 24 * random.integers(35, 70, machines)  # hours between services
    due = random.integers(0, interval)
    for hour in range(hours):
        standing[hour], toughness[hour] = rest > 0, limit
        rest = np.maximum(rest - 1, 0)
        load[hour][standing[hour]] = 0
        a = grown(a, load[hour])
        broken = a >= limit
        wear[hour] = np.minimum(a, 1.5 * limit)
        served = ~broken & (hour % interval == due) & ~standing[hour]
        event[hour] = np.where(broken, FAILURE, np.where(served, SERVICE, 0))
        rest[broken] = REPAIR
        if (changed := broken | served).any():
            fresh, tough = new()
            a, limit = np.where(changed, fresh, a), np.where(changed, tough, limit)
    return Fleet(wear, toughness, load, standing, event, _sensed(random, wear, load))


def _load(random: np.random.Generator, hours: int, machines: int) -> np.ndarray:
    """Two shifts of five days, each machine's own level, slow swings of the order book, and an hour's chance."""
    hour = np.arange(hours)[:, None]
    shift = np.where((hour % 24 >= 6) & (hour % 24 < 22), 1.0, 0.6) * np.where((hour // 24) % 7 % 6 == 0, 0.7, 1.0)  # (hours, 1)
    level = random.lognormal(0, 0.1, machines)
    swing = 0.1 * np.sin(2 * np.pi * (hour / (24 * random.uniform(20, 60, machines)) + random.uniform(0, 1, machines)))
    load: np.ndarray = shift * level * (1.1 + swing + 0.08 * random.standard_normal((hours, machines)))
    return load.clip(0.1)


def _sensed(random: np.random.Generator, wear: np.ndarray, load: np.ndarray) -> np.ndarray:
    """Readings (hours, machines, sensors) in mm/s, degrees Celsius, A and per cent."""
    hours, machines = wear.shape
    hour = np.arange(hours)[:, None]
    noise = random.standard_normal((4, hours, machines))
    drift = 0.02 * random.standard_normal((2, hours // 24 + 1, machines)).cumsum(1).repeat(24, 1)[:, :hours]  # a step a day
    gain = random.lognormal(0, 0.2, (2, machines))
    season = 6 * np.sin(2 * np.pi * (hour / 24 - 110) / 365) + 3 * np.sin(2 * np.pi * (hour - 9) / 24)
    vibration = 1 + 0.8 * load + 2.5 * gain[0] * load * wear + 0.5 * drift[0] + 0.5 * noise[0]
    heat = 20 + season + 18 * load * (1 + 0.5 * gain[1] * wear) + 4 * drift[1] + 2 * noise[1]
    current = 12 * load * (1 + 0.08 * wear) + 0.5 + 0.4 * noise[2]
    return np.stack([vibration, heat, current, 100 * (load + 0.02 * noise[3])], 2).astype(np.float32)


def parts(fleet: Fleet, per_day: int) -> Iterator[Part]:
    """The fleet's log, machine by machine, with a row each ``24 / per_day`` hours, and one without readings for an event between."""
    hours, machines = fleet.wear.shape
    hour = np.arange(hours)
    for machine in range(machines):
        event = fleet.event[:, machine]
        read = hour % (24 // per_day) == 0
        at = hour[~fleet.standing[:, machine] & (read | (event > 0))]
        values = np.where(read[at, None], fleet.values[at, machine], np.float32(np.nan))
        yield Part(1, [f"M{machine:03d}"] * len(at), BEGIN + 3600 * at, values, event[at])


def wear(machines: int = 200, days: int = 300, per_day: int = 24, seed: int = 0) -> Dataset:
    """A simulated fleet as a data set; see ``machines.windows`` for its fields.

    Args:
        per_day: readings a day, 24 or a divisor of it.
    """
    name = f"wear-1-{machines}-{days}-{per_day}-{seed}"

    def make() -> dict[str, np.ndarray]:
        return arrays(parts(simulate(machines, days, seed), per_day), SENSORS, "the simulated log", Path(scratch))

    with tempfile.TemporaryDirectory() as scratch:
        fields = prepared(name, make)
    return windows(fields, "wear", "none needed", "simulation of wear: Paris' law under changing load, with hidden toughness")
