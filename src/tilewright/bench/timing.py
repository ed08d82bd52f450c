"""How calls are timed against each other: alternately, in one process, medians."""

from __future__ import annotations

import gc
import math
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Clock = Callable[[], float]

# A call that takes longer than this isn't repeated just to warm the caches: it warms them itself.
_LONG_CALL = 20e-3


@dataclass(frozen=True)
class Effort:
    """How much is timed.

    Attributes:
        rounds: rounds at least; in each, everybody is timed once.
        seconds: rounds go on until this much has been timed in all.
        most_rounds: but no more of them than this.
        block: calls are repeated until one timing is this long, in seconds.
        most_seconds: no further round begins once so much has been timed, however few there were: somebody is
            so slow that a median of fewer says enough.
        longest_call: a peer whose call takes longer, twice, isn't timed in rounds.
    """

    rounds: int = 5
    seconds: float = 1.0
    most_rounds: int = 40
    block: float = 5e-3
    most_seconds: float = 20.0
    longest_call: float = 10.0


QUICK = Effort(rounds=3, seconds=0.2, most_rounds=10, block=3e-3, most_seconds=10.0, longest_call=5.0)


@dataclass(frozen=True)
class Timing:
    """Seconds of one call.

    Attributes:
        median, best: over the rounds.
        spread: distance of the quartiles as a share of the median.
        rounds: timings taken.
        calls: calls in the last of them.
    """

    median: float
    best: float
    spread: float
    rounds: int
    calls: int


def interleave(
    calls: Mapping[str, Callable[[], Any]],
    effort: Effort,
    *,
    clock: Clock = time.perf_counter,
    settle: Callable[[], None] = lambda: None,
    seed: int = 0,
) -> dict[str, Timing]:
    """Time calls in rounds; each round has every call once, in an order of its own.

    Args:
        calls: what to time, by name. Each has been called before, so that nothing is compiled here.
        effort: how much to time.
        clock: gives seconds.
        settle: called before each timing; waits until the last one's threads are at rest.
        seed: of the order.

    A machine that slows down for a moment slows everybody down, and nobody always follows the same one.
    """
    if not calls:
        return {}
    order = random.Random(seed)
    # One that is disturbed here only gets too few calls in its first round.
    shortest = {name: _seconds(call, 1, clock) for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    repeats = dict.fromkeys(calls, 1)
    spent, rounds = 0.0, 0
    collecting = gc.isenabled()
    gc.disable()
    try:
        while _goes_on(effort, rounds, spent):
            for name in order.sample(list(calls), len(calls)):
                repeats[name] = max(math.ceil(effort.block / max(shortest[name], 1e-9)), 1)
                settle()
                if shortest[name] < _LONG_CALL:
                    calls[name]()
                taken = _seconds(calls[name], repeats[name], clock)
                spent += taken
                times[name].append(taken / repeats[name])
                shortest[name] = min(shortest[name], times[name][-1])
            rounds += 1
            gc.collect(0)
    finally:
        if collecting:
            gc.enable()
    return {name: _timing(times[name], repeats[name]) for name in calls}


def rest(clock: Clock = time.process_time, sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait until no thread of this process computes any more, but not for ever.

    The threads of many libraries go on turning for a while after a call, in the hope of the next one (up to
    60 ms were seen), and on a core that whoever is timed next should have.
    """
    # The system counts the time of a running thread in steps of 4 ms or so, and so a step shorter than that
    # would look like rest.
    step, most = 5e-3, 30
    for _ in range(most):
        before = clock()
        sleep(step)
        if clock() - before < 0.2 * step:
            return


def _goes_on(effort: Effort, rounds: int, spent: float) -> bool:
    if rounds < effort.rounds:
        return not rounds or spent < effort.most_seconds
    return spent < effort.seconds and rounds < effort.most_rounds


def _seconds(call: Callable[[], Any], repeats: int, clock: Clock) -> float:
    start = clock()
    for _ in range(repeats):
        call()
    return clock() - start


def _timing(times: list[float], calls: int) -> Timing:
    median = statistics.median(times)
    low, _, high = statistics.quantiles(times, n=4) if len(times) > 1 else (median,) * 3
    return Timing(median, min(times), (high - low) / median if median else 0.0, len(times), calls)
