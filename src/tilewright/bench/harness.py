"""A run: for every case, direction and number of threads, check all answers, then time all contestants."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tilewright.bench import answers, roofs
from tilewright.bench.cases import Case
from tilewright.bench.contestants import DIRECTIONS, OURS, Contestant, Task, Unable, our_threads
from tilewright.bench.layers import Layer
from tilewright.bench.results import FAILED, OK, UNABLE, WRONG, Result, Row
from tilewright.bench.timing import Clock, Effort, Timing, interleave, rest
from tilewright.plan import choose

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Settings:
    """What a run measures, beside its cases.

    Attributes:
        thread_counts: numbers of threads.
        directions: some of ``forward``, ``backward``.
        dtype: ``float32`` or ``float64``.
        layout: which of our variants counts (see :class:`~tilewright.bench.results.Row`).
        effort: how much is timed.
    """

    thread_counts: tuple[int, ...] = (1, 2)
    directions: tuple[str, ...] = DIRECTIONS
    dtype: str = "float32"
    layout: str = "nchw"
    effort: Effort = field(default_factory=Effort)


@dataclass
class _Entrant:
    """A contestant in one task: ready to be called, or why it isn't, and what its first call took."""

    contestant: Contestant
    version: str
    status: str = OK
    note: str = ""
    call: Callable[[], Any] | None = None
    found: tuple[Array, ...] = ()
    first: float = 0.0


def run(
    cases: Sequence[Case],
    contestants: Sequence[Contestant],
    settings: Settings,
    machine: roofs.Roofs | None,
    *,
    clock: Clock = time.perf_counter,
) -> Iterator[Row]:
    """Measure, a row at a time, so that whoever stops early keeps what came before.

    Args:
        cases: what to measure.
        contestants: who takes part; ours first.
        settings: the rest.
        machine: the machine's roofs, or None where they can't be measured.
        clock: gives seconds.
    """
    versions = {one.name: _version(one) for one in contestants}
    for case in cases:
        x, w, gy = _operands(case, settings.dtype)
        slow: dict[str, str] = {}
        for direction in settings.directions:
            parts: list[answers.Part] = []
            for count in settings.thread_counts:
                task = Task(case.layer, direction, count, x, w, gy)
                parts = parts or answers.expected_parts(task)
                with our_threads(count):
                    results, fma = _measure(
                        task, contestants, versions, slow, parts, settings, machine, clock
                    )
                if machine is not None and fma is not None:
                    # The first measurement may have met threads that were still asleep.
                    machine.fma[count] = max(machine.fma.get(count, 0.0), fma)
                yield Row(
                    name=case.name,
                    layer=case.layer,
                    direction=direction,
                    threads=count,
                    dtype=settings.dtype,
                    families=_families(case.layer, direction, settings.dtype),
                    fma_roof=fma,
                    copy_roof=machine.copy[count] if machine is not None else None,
                    results=tuple(results),
                    layout=settings.layout,
                )


def _measure(
    task: Task,
    contestants: Sequence[Contestant],
    versions: dict[str, str | Unable],
    slow: dict[str, str],
    parts: Sequence[answers.Part],
    settings: Settings,
    machine: roofs.Roofs | None,
    clock: Clock,
) -> tuple[list[Result], float | None]:
    entrants = [
        _Entrant(one, "", UNABLE, slow[one.name])
        if one.name in slow
        else _entrant(one, versions[one.name], task, parts, clock)
        for one in contestants
    ]
    _compare_whole(entrants, task)
    once = _set_aside(entrants, task, settings.effort, slow, clock)
    calls = {entrant.contestant.name: entrant.call for entrant in entrants if entrant.call is not None}
    work = None
    if machine is not None and calls:
        # Among the contestants, so that the roof is that of the same moments.
        work = roofs.multiply_adds(settings.dtype, task.threads)
        calls[_ROOF] = work
    timings = interleave(
        calls,
        settings.effort,
        clock=clock,
        # With one thread there is nobody who could still be turning.
        settle=rest if task.threads > 1 else _nothing,
        seed=_seed(repr(task.layer.dims)),
    )
    results = [
        Result(
            entrant.contestant.name,
            entrant.contestant.package,
            entrant.version,
            entrant.status,
            entrant.note,
            once.get(entrant.contestant.name) or timings.get(entrant.contestant.name),
        )
        for entrant in entrants
    ]
    # A roof is what the machine can do: its best, where a contestant has its median.
    return results, work.amount / timings[_ROOF].best if work is not None else None


_ROOF = "multiply-adds"


def _nothing() -> None:
    return


def _version(contestant: Contestant) -> str | Unable:
    try:
        return contestant.version()
    except Unable as reason:
        return reason


def _entrant(
    contestant: Contestant, version: str | Unable, task: Task, parts: Sequence[answers.Part], clock: Clock
) -> _Entrant:
    if isinstance(version, Unable):
        return _Entrant(contestant, "", UNABLE, str(version))
    entrant = _Entrant(contestant, version)
    try:
        prepared = contestant.prepare(task)
        start = clock()
        given = prepared.call()
        entrant.first = clock() - start
        entrant.found = prepared.answers(given)
    except Unable as reason:
        entrant.status, entrant.note = UNABLE, str(reason)
        return entrant
    # Whatever another library raises ends its part in this task, and nobody else's.
    except Exception as error:
        entrant.status, entrant.note = FAILED, _first_line(error)
        return entrant
    fault = answers.fault_in(entrant.found, parts, task)
    if fault:
        entrant.status, entrant.note = WRONG, fault
    else:
        entrant.call = prepared.call
    return entrant


def _set_aside(
    entrants: Sequence[_Entrant], task: Task, effort: Effort, slow: dict[str, str], clock: Clock
) -> dict[str, Timing]:
    """What those peers took that are too slow to be timed in rounds; they rest in the case's next rows."""
    once = {}
    for entrant in entrants:
        name = entrant.contestant.name
        if entrant.contestant.package == OURS or entrant.call is None or entrant.first <= effort.longest_call:
            continue
        # The first call may have met a disturbance.
        start = clock()
        entrant.call()
        seconds = min(entrant.first, clock() - start)
        if seconds <= effort.longest_call:
            continue
        once[name] = Timing(seconds, seconds, 0.0, 1, 1)
        entrant.call = None
        words = f"{task.threads} thread{'s' if task.threads > 1 else ''}"
        slow[name] = f"a call takes {seconds:.0f} s ({task.direction}, {words}), and no more of them are made"
    return once


def _compare_whole(entrants: Sequence[_Entrant], task: Task) -> None:
    """Compare all whole answers with those of one contestant: a peer's, if there is any."""
    right = [entrant for entrant in entrants if entrant.call is not None]
    if right:
        judge = next((one for one in right if one.contestant.package != OURS), right[0])
        for entrant in right:
            if entrant is judge:
                continue
            fault = answers.difference(entrant.found, judge.found, judge.contestant.name, task)
            if fault:
                entrant.status, entrant.note, entrant.call = WRONG, fault, None
    for entrant in entrants:
        entrant.found = ()  # large, and not needed any more


def _operands(case: Case, dtype: str) -> tuple[Array, Array, Array]:
    """Random normal numbers, the same in every run; channels that share a kernel have copies of one."""
    generator = np.random.default_rng(_seed(case.name))
    kind: Any = np.dtype(dtype).type
    layer = case.layer
    x = generator.standard_normal(layer.input_shape, dtype=kind)
    if layer.weights:
        w = np.repeat(_kernel(layer, generator, kind), layer.weight_shape[0], axis=0)
    else:
        w = generator.standard_normal(layer.weight_shape, dtype=kind)
    return x, w, generator.standard_normal(layer.output_shape, dtype=kind)


def _kernel(layer: Layer, generator: np.random.Generator, kind: Any) -> Array:
    """One kernel, of shape (1, 1, *kernel); a separable one is the product of a vector per axis."""
    shape = layer.weight_shape[2:]
    if layer.weights == "same":
        return generator.standard_normal((1, 1, *shape), dtype=kind)
    kernel = np.ones((1, 1), kind)
    for size in shape:
        kernel = np.multiply.outer(kernel, generator.standard_normal(size, dtype=kind))
    return kernel


def _seed(text: str) -> int:
    return zlib.crc32(text.encode())


def _families(layer: Layer, direction: str, dtype: str) -> tuple[str, ...]:
    operations: tuple[str, ...]
    if layer.is_pool:
        operations = (layer.operation if direction == "forward" else f"{layer.operation}_gradient",)
    elif direction == "forward":
        operations = ("data_gradient" if layer.is_transposed else "forward",)
    else:
        operations = ("forward" if layer.is_transposed else "data_gradient", "weight_gradient")
    return tuple(choose(operation, layer.dims, dtype).family for operation in operations)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
