"""The learning rate's curves: known values, their ends, and the curves of tw.optim's schedulers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

import tilewright as tw
from tilewright.errors import ArgumentError
from tilewright.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, OneCycleLR, StepLR
from tilewright.train.schedules import SCHEDULES, Schedule

# Curves and schedulers multiply the same few factors in another order: a few roundings of float64.
ROUNDING = 1e-12


def factors(schedule: Schedule, steps: int, per_epoch: int = 5) -> list[float]:
    return [schedule.at(step, steps, per_epoch) for step in range(steps)]


def test_known_values() -> None:
    assert factors(Schedule(), 3) == [1, 1, 1]
    assert factors(Schedule("linear"), 4) == [1, 0.75, 0.5, 0.25]
    assert factors(Schedule("linear", end=0.5), 4) == [1, 0.875, 0.75, 0.625]
    assert factors(Schedule("cosine"), 2) == pytest.approx([1, 0.5], abs=ROUNDING)
    assert factors(Schedule("cosine", end=0.2), 4)[2] == pytest.approx(0.6, abs=ROUNDING)
    assert factors(Schedule("step", every=2), 8, per_epoch=2) == pytest.approx([1] * 4 + [0.1] * 4)
    assert factors(Schedule("exponential"), 6, per_epoch=2) == pytest.approx([1, 1, 0.9, 0.9, 0.81, 0.81])
    assert factors(Schedule("step", factor=0.5), 4, per_epoch=1) == [1, 0.5, 0.25, 0.125]


def test_one_cycle_begins_low_reaches_the_top_and_ends_lowest() -> None:
    found = factors(Schedule("one-cycle"), 100)
    assert found[0] == pytest.approx(1 / 25)
    assert found[29] == 1.0  # three tenths of the way
    assert found[99] == pytest.approx(1 / 250_000)
    assert max(found) == 1.0
    assert found[:30] == sorted(found[:30])
    assert found[29:] == sorted(found[29:], reverse=True)


@pytest.mark.parametrize("name", SCHEDULES)
def test_warm_up_rises_in_a_straight_line_to_where_any_curve_begins(name: str) -> None:
    found = factors(Schedule(name, warmup=4), 24)
    bare = factors(Schedule(name), 20)
    assert found[4:] == bare
    assert found[:4] == pytest.approx([bare[0] * n / 5 for n in (1, 2, 3, 4)], abs=ROUNDING)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_short_runs_have_rates_too(name: str, steps: int) -> None:
    for warmup in (0, 1, steps, steps + 3):
        for value in factors(Schedule(name, warmup=warmup), steps):
            assert math.isfinite(value) and 0 <= value <= 1


SCHEDULERS: dict[str, tuple[Schedule, Callable[[Any], Any]]] = {
    "cosine": (Schedule("cosine"), lambda optimizer: CosineAnnealingLR(optimizer, T_max=40)),
    "cosine with an end": (
        Schedule("cosine", end=0.1),
        lambda optimizer: CosineAnnealingLR(optimizer, T_max=40, eta_min=0.05),
    ),
    "one-cycle": (
        Schedule("one-cycle"),
        lambda optimizer: OneCycleLR(optimizer, max_lr=0.5, total_steps=40),
    ),
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_curves_are_those_of_the_schedulers(name: str) -> None:
    schedule, make = SCHEDULERS[name]
    optimizer = tw.optim.SGD([tw.zeros(1)], lr=0.5, momentum=0.9)
    scheduler = make(optimizer)
    for step in range(40):
        wanted = 0.5 * schedule.at(step, 40, 10)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(wanted, rel=1e-9, abs=ROUNDING), step
        optimizer.step()
        if step < 39:
            scheduler.step()


@pytest.mark.parametrize(
    ("schedule", "make"),
    [
        (Schedule("step", every=2, factor=0.3), lambda o: StepLR(o, 2, 0.3)),
        (Schedule("exponential", factor=0.7), lambda o: ExponentialLR(o, 0.7)),
    ],
)
def test_curves_that_go_by_epochs_are_those_of_the_schedulers(
    schedule: Schedule, make: Callable[[Any], Any]
) -> None:
    optimizer = tw.optim.SGD([tw.zeros(1)], lr=0.5)
    scheduler = make(optimizer)
    for step in range(21):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5 * schedule.at(step, 21, 3), rel=ROUNDING)
        optimizer.step()
        if step % 3 == 2:
            scheduler.step()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "cubic"}, r"A schedule is one of none, step, .* Received: name='cubic'\."),
        ({"warmup": -1}, r"needs warmup to be a whole number of at least 0\. Received: warmup=-1\."),
        ({"warmup": 1.5}, r"needs warmup to be a whole number of at least 0\. Received: warmup=1\.5\."),
        ({"every": 0}, r"needs every to be a whole number of at least 1\. Received: every=0\."),
        ({"every": True}, r"needs every to be a whole number of at least 1\. Received: every=True\."),
        ({"factor": 0}, r"needs factor to be a number above 0 and at most 1\. Received: factor=0\."),
        (
            {"factor": float("nan")},
            r"needs factor to be a number above 0 and at most 1\. Received: factor=nan",
        ),
        (
            {"factor": "half"},
            r"needs factor to be a number above 0 and at most 1\. Received: factor='half'\.",
        ),
        ({"end": 2}, r"needs end to be a number from 0 to 1\. Received: end=2\."),
        ({"end": None}, r"needs end to be a number from 0 to 1\. Received: end=None\."),
    ],
)
def test_numbers_outside_their_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Schedule(**options)
