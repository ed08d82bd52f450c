"""Rounds, repeats and medians, by a clock that only moves when it is told to."""

from __future__ import annotations

import gc

import pytest
from bench.fakes import Clock

from tilewright.bench.timing import Effort, interleave, rest


class Work:
    """A call that takes the next of its times (the last one for ever), and writes its name down."""

    def __init__(self, name: str, clock: Clock, log: list[str], *times: float) -> None:
        self.name, self.clock, self.log, self.times = name, clock, log, list(times)

    def __call__(self) -> None:
        self.log.append(self.name)
        self.clock.now += self.times.pop(0) if len(self.times) > 1 else self.times[0]


def test_everybody_is_timed_once_in_each_round() -> None:
    clock, log = Clock(), []
    calls = {name: Work(name, clock, log, 0.03) for name in "abc"}
    found = interleave(calls, Effort(rounds=4, seconds=0.0, block=0.0), clock=clock)
    # One call each to begin with; none of 30 ms is warmed up.
    assert sorted(log[:3]) == ["a", "b", "c"]
    rounds = [log[3 + 3 * n : 6 + 3 * n] for n in range(4)]
    assert all(sorted(names) == ["a", "b", "c"] for names in rounds)
    assert len({tuple(names) for names in rounds}) > 1, "the order should change"
    assert {name: timing.rounds for name, timing in found.items()} == dict.fromkeys("abc", 4)


def test_the_median_stands_apart_from_a_disturbance() -> None:
    clock = Clock()
    # The first is the estimate.
    calls = {"a": Work("a", clock, [], 0.03, 0.05, 0.03, 0.9, 0.04, 0.03)}
    found = interleave(calls, Effort(rounds=5, seconds=0.0, block=0.0), clock=clock)["a"]
    assert found.median == pytest.approx(0.04)  # the middle of 0.03, 0.03, 0.04, 0.05, 0.9
    assert found.best == pytest.approx(0.03)
    # Quartiles (exclusive method): 0.03 and 0.475.
    assert found.spread == pytest.approx((0.475 - 0.03) / 0.04)


def test_short_calls_are_warmed_up_and_repeated_until_a_block_is_full() -> None:
    clock, log = Clock(), []
    calls = {"a": Work("a", clock, log, 0.002)}
    found = interleave(calls, Effort(rounds=2, seconds=0.0, block=0.005), clock=clock)["a"]
    assert found.calls == 3  # 3 · 2 ms is the first multiple above 5 ms
    assert len(log) == 1 + 2 * (1 + 3)
    assert found.median == pytest.approx(0.002)


def test_a_disturbed_estimate_is_mended_after_the_first_round() -> None:
    clock, log = Clock(), []
    calls = {"a": Work("a", clock, log, 0.5, 0.001)}
    found = interleave(calls, Effort(rounds=2, seconds=0.0, block=0.005), clock=clock)["a"]
    assert found.calls == 5


def test_rounds_go_on_until_enough_is_timed_but_not_for_ever() -> None:
    for most, expected in ((100, 7), (6, 6)):
        clock = Clock()
        calls = {"a": Work("a", clock, [], 0.125), "b": Work("b", clock, [], 0.25)}
        effort = Effort(rounds=5, seconds=2.5, most_rounds=most, block=0.0)
        # 0.375 s a round: 6 rounds are 2.25 s, 7 are 2.625 s.
        assert interleave(calls, effort, clock=clock)["a"].rounds == expected


def test_rounds_end_early_where_somebody_is_very_slow() -> None:
    for most, expected in ((1.0, 1), (9.0, 2), (100.0, 5)):
        clock = Clock()
        calls = {"a": Work("a", clock, [], 0.125), "b": Work("b", clock, [], 8.0)}
        # 8.125 s a round: the second begins only while less than `most` has been timed.
        found = interleave(calls, Effort(rounds=5, seconds=1.0, block=0.0, most_seconds=most), clock=clock)
        assert found["a"].rounds == expected
        assert found["b"].median == 8.0


def test_settling_comes_before_every_timing() -> None:
    clock, log = Clock(), []
    calls = {name: Work(name, clock, log, 0.03) for name in "ab"}
    interleave(
        calls,
        Effort(rounds=3, seconds=0.0, block=0.0),
        clock=clock,
        settle=lambda: log.append("settle"),
    )
    assert log[2::2] == ["settle"] * 6


def test_garbage_is_collected_between_rounds_only() -> None:
    states = []
    interleave({"a": lambda: states.append(gc.isenabled())}, Effort(rounds=2, seconds=0.0, block=0.0))
    assert states[1:] == [False] * (len(states) - 1)
    assert gc.isenabled()


def test_nobody_gives_nothing() -> None:
    assert interleave({}, Effort()) == {}


def test_rest_waits_while_threads_are_turning_and_gives_up_in_the_end() -> None:
    cpu, slept = Clock(), []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        # A thread turns through the first three steps.
        cpu.now += seconds if len(slept) <= 3 else 0.0

    rest(cpu, sleep)
    assert len(slept) == 4
    slept.clear()

    def never_quiet(seconds: float) -> None:
        slept.append(seconds)
        cpu.now += seconds

    rest(cpu, never_quiet)
    assert len(slept) == 30
