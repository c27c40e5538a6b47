"""Schedules against their formulas, at the first and last steps and where they bend."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from paperzoo.nn.schedules import Schedule, cosine, exponential, linear_decay, one_cycle, steps, warmup_cosine, warmup_linear


def along(schedule: Schedule, total: int) -> Sequence[float]:
    return [schedule(i, total) for i in range(total)]


def test_linear_decay_is_constant_and_then_falls_to_nothing_after_the_last_step() -> None:
    assert along(linear_decay(0.6), 10) == pytest.approx([1] * 7 + [0.75, 0.5, 0.25])
    assert along(linear_decay(0.0), 4) == pytest.approx([1, 0.75, 0.5, 0.25])
    assert along(linear_decay(1.0), 5) == [1] * 5


def test_steps_divide_by_ten_from_the_step_on_that_completes_the_share() -> None:
    assert along(steps((0.5, 0.75)), 8) == pytest.approx([1] * 4 + [0.1] * 2 + [0.01] * 2)
    assert along(steps((0.2, 0.4, 0.6, 0.8)), 5) == pytest.approx([1, 0.1, 0.01, 1e-3, 1e-4])
    assert along(steps((0.5,), warm_up=0.25), 8) == pytest.approx([0.1] * 2 + [1] * 2 + [0.1] * 4)
    assert along(steps(()), 3) == [1] * 3


def test_exponential_falls_by_equal_parts() -> None:
    assert along(exponential(0.5, 3), 6) == pytest.approx([1, 1, 0.5, 0.5, 0.25, 0.25])
    assert along(exponential(0.5, 6), 3) == pytest.approx([1, 0.25, 0.0625])  # several parts in a step
    assert along(exponential(0.9, 0), 3) == [1] * 3


def test_cosine_begins_at_one_and_is_a_half_halfway() -> None:
    assert along(cosine(), 4) == pytest.approx([1, 0.5 + math.sqrt(0.125), 0.5, 0.5 - math.sqrt(0.125)])


def test_one_cycle_rises_to_one_and_falls_to_zero_with_the_last_step() -> None:
    found = along(one_cycle(0.4), 10)
    assert found[:4] == pytest.approx([0.25, 0.5, 0.75, 1])
    assert found[6] == pytest.approx(0.5) and found[9] == pytest.approx(0)
    assert along(one_cycle(0.0), 4) == pytest.approx([(1 + math.cos(math.pi * i / 4)) / 2 for i in (1, 2, 3, 4)])
    middles = along(one_cycle(0.4, moment=0.5), 10)
    assert middles[:4] == pytest.approx([0.125, 0.375, 0.625, 0.875]) and middles[9] > 0
    assert middles[4:] == pytest.approx([(1 + math.cos(math.pi * (i + 0.5) / 6)) / 2 for i in range(6)])


def test_warmup_linear_rises_by_steps_and_ends_where_it_should() -> None:
    assert along(warmup_linear(0.2), 10) == pytest.approx([0.5, 1, 1, *((8 - i) / 8 for i in range(1, 8))])
    assert warmup_linear(0.2, 0.5)(10, 10) == pytest.approx(0.5) and warmup_linear(0.2, 0.5)(6, 10) == pytest.approx(0.75)
    assert along(warmup_linear(0.0), 4) == pytest.approx([1, 0.75, 0.5, 0.25])
    assert along(warmup_linear(0.25), 10) == pytest.approx([0.4, 0.8, 1, *((7.5 - i) / 7.5 for i in (0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5))])
    for warmup in (0.01, 0.1, 0.24, 0.25, 0.26, 0.99):  # the rise ends within a step
        assert max(along(warmup_linear(warmup), 10)) <= 1


def test_warmup_cosine_rises_by_steps_and_falls_along_half_a_cosine() -> None:
    for total in (10, 20):  # the rise is a number of steps, whatever their total
        fall = [(1 + math.cos(math.pi * i / (total - 4))) / 2 for i in range(1, total - 4)]
        assert along(warmup_cosine(4), total) == pytest.approx([0.25, 0.5, 0.75, 1, 1, *fall])
    assert warmup_cosine(4)(10, 10) == pytest.approx(0)
    assert along(warmup_cosine(4), 3) == pytest.approx([0.25, 0.5, 0.75])  # shorter than its rise
