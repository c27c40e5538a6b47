"""Learning rates over a training, by name, as several papers use them; ``Model.optimizers`` returns them beside its optimisers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

#: ``schedule(iteration, total) -> factor`` on the base learning rate; both count steps of the present stage, the iteration from 0.
Schedule = Callable[[int, int], float]


def linear_decay(start: float) -> Schedule:
    """1 for the share ``start`` of the steps, then falling linearly to 0 after the last."""
    return lambda iteration, total: min(1.0, (total - iteration) / max(1.0, total * (1 - start)))


def steps(at: Sequence[float], warm_up: float = 0.0) -> Schedule:
    """Divided by 10 after each of the shares ``at`` of the steps; a tenth for the share ``warm_up`` at the beginning."""

    def factor(iteration: int, total: int) -> float:
        done = iteration / total
        return 0.1 if done < warm_up else float(0.1 ** sum(done >= share for share in at))

    return factor


def exponential(rate: float, times: int) -> Schedule:
    """Multiplied by ``rate`` after each of ``times`` equal parts of the training, such as its epochs."""
    return lambda iteration, total: float(rate ** (times * iteration // total))


def cosine() -> Schedule:
    """From 1 at the first step along half a cosine to 0 after the last."""
    return lambda iteration, total: 0.5 * (1 + math.cos(math.pi * iteration / total))


def one_cycle(rise: float, moment: float = 1.0) -> Schedule:
    """Linearly to 1 for the share ``rise`` of the steps, less than 1, then along half a cosine to 0.

    Args:
        moment: the time within a step, from 0 to 1, whose rate it gets: at 1 the last step's is 0, at 1/2 no step's is.
    """

    def factor(iteration: int, total: int) -> float:
        done = (iteration + moment) / total
        return done / rise if done < rise else 0.5 * (1 + math.cos(math.pi * (done - rise) / (1 - rise)))

    return factor


def warmup_linear(warmup: float, end: float = 0.0) -> Schedule:
    """Linearly to 1 for the share ``warmup`` of the steps, then linearly to ``end`` after the last."""

    def factor(iteration: int, total: int) -> float:
        rise = warmup * total
        if iteration + 1 <= rise:
            return (iteration + 1) / rise
        return 1 - (1 - end) * max(0.0, iteration - rise) / max(1.0, total - rise)  # rise may end within a step

    return factor


def warmup_cosine(warmup: int) -> Schedule:
    """Linearly to 1 in the first ``warmup`` steps, a number and no share, then along half a cosine to 0 after the last."""

    def factor(iteration: int, total: int) -> float:
        rest = max(0.0, (iteration - warmup) / max(1, total - warmup))
        return min((iteration + 1) / warmup, 0.5 * (1 + math.cos(math.pi * rest)))

    return factor
