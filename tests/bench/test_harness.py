"""A run with made-up contestants: who is timed, who is marked, and what stays after Ctrl-C."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bench.fakes import ROOFS, SHORT, SMALL, SMALL_CASE, Clock, Fake

from tilewright.bench import harness
from tilewright.bench.cases import Case
from tilewright.bench.contestants import OURS, Ours, our_threads
from tilewright.bench.harness import Settings, run
from tilewright.bench.results import FAILED, OK, UNABLE, WRONG, Row
from tilewright.geometry import ConvDims
from tilewright.kernel import threads

ONE = Settings((1,), ("forward",), effort=SHORT)


def rows_of(contestants: list[Any], clock: Clock, settings: Settings = ONE) -> list[Row]:
    return list(run([SMALL_CASE], contestants, settings, None, clock=clock))


def nudge(index: tuple[int, ...]) -> Any:
    """Answers whose first array is wrong in one place."""

    def spoil(answers: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        first = answers[0].copy()
        first[index] += 0.01
        return (first, *answers[1:])

    return spoil


def test_a_row_has_everybody_s_median_and_the_ratio() -> None:
    clock = Clock()
    ours = Fake(OURS, clock, seconds=0.5)
    (row,) = rows_of([ours, Fake("A", clock, seconds=0.25), Fake("B", clock, seconds=1.0)], clock)
    assert [found.status for found in row.results] == [OK] * 3
    assert [found.timing.median for found in row.results if found.timing] == [0.5, 0.25, 1.0]
    assert row.rate(OURS) == SMALL.flops / 0.5
    assert (row.best_peer, row.ratio) == ("A", 0.5)
    assert not row.is_wrong
    assert (row.fma_roof, row.roof, row.share(OURS)) == (None, None, None)


def test_a_wrong_answer_is_marked_and_not_timed() -> None:
    clock = Clock()
    ours = Fake(OURS, clock, spoil=nudge((0, 0, 0, 0)))
    (row,) = rows_of([ours, Fake("A", clock)], clock)
    wrong, right = row.results
    assert (wrong.status, wrong.timing) == (WRONG, None)
    assert wrong.note.startswith("y differs from the definition by ")
    assert (right.status, row.ratio) == (OK, None)
    assert row.is_wrong
    assert ours.calls == 1, "a wrong answer is given once, for the check"


def test_an_answer_that_is_wrong_where_only_peers_look_is_marked_too() -> None:
    clock = Clock()
    dims = ConvDims.of((5, 2, 6, 6), (12, 2, 3, 3))
    ours = Fake(OURS, clock, spoil=nudge((2, 5, 1, 1)))
    rows = list(run([Case("net/wide", dims)], [ours, Fake("A", clock)], ONE, None, clock=clock))
    wrong, right = rows[0].results
    assert wrong.status == WRONG
    assert wrong.note.startswith("y differs from that of A by ")
    assert right.status == OK


def test_a_peer_s_wrong_answer_does_not_count_against_the_others() -> None:
    clock = Clock()
    (row,) = rows_of(
        [Fake(OURS, clock), Fake("A", clock, seconds=0.1, spoil=nudge((1, 3, 2, 4))), Fake("B", clock)], clock
    )
    assert [found.status for found in row.results] == [OK, WRONG, OK]
    assert row.best_peer == "B"
    assert row.is_wrong


def test_who_can_t_take_part_gives_a_reason() -> None:
    clock = Clock()
    away = Fake("Away", clock, absent="the package away isn't installed")
    (row,) = rows_of([Fake(OURS, clock), away, Fake("Lame", clock, reason="it has no gradients")], clock)
    assert [(found.status, found.note) for found in row.results] == [
        (OK, ""),
        (UNABLE, "the package away isn't installed"),
        (UNABLE, "it has no gradients"),
    ]
    assert away.tasks == []
    assert row.ratio is None
    assert not row.is_wrong


def test_an_error_of_a_peer_ends_its_part_alone() -> None:
    clock = Clock()
    peer = Fake("A", clock, error=RuntimeError("no such kernel\nwith a long trace"))
    (row,) = rows_of([Fake(OURS, clock), peer], clock)
    assert [(found.status, found.note) for found in row.results] == [
        (OK, ""),
        (FAILED, "RuntimeError: no such kernel"),
    ]
    assert not row.is_wrong


def test_an_error_of_ours_is_as_bad_as_a_wrong_answer() -> None:
    clock = Clock()
    (row,) = rows_of([Fake(OURS, clock, error=MemoryError()), Fake("A", clock)], clock)
    assert (row.results[0].status, row.results[0].note) == (FAILED, "MemoryError")
    assert row.is_wrong


def test_ctrl_c_keeps_the_rows_before() -> None:
    clock = Clock()
    # Checked once and timed some four times per row: the 8th call is in the second row.
    ours = Fake(OURS, clock, error=KeyboardInterrupt(), fails_at=8)
    cases = [SMALL_CASE, Case("net/other", SMALL.with_batch(3))]
    kept = []
    with pytest.raises(KeyboardInterrupt):
        for row in run(cases, [ours], ONE, None, clock=clock):
            kept.append(row)
    assert [row.name for row in kept] == ["net/small"]


def test_rows_come_for_every_direction_and_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    settled = []
    monkeypatch.setattr(harness, "rest", lambda: settled.append(threads.get_num_threads()))
    clock = Clock()
    ours = Fake(OURS, clock)
    rows = rows_of([ours], clock, Settings((1, 2), ("forward", "backward"), effort=SHORT))
    assert [(row.direction, row.threads) for row in rows] == [
        ("forward", 1), ("forward", 2), ("backward", 1), ("backward", 2),
    ]  # fmt: skip
    assert [(task.direction, task.threads) for task in ours.tasks] == [
        (row.direction, row.threads) for row in rows
    ]
    assert set(settled) == {2}, "with one thread there is nothing to wait for"
    first = ours.tasks[0]
    assert all(task.x is first.x and task.w is first.w and task.gy is first.gy for task in ours.tasks)
    assert rows[0].families and len(rows[2].families) == 2


def test_operands_are_the_same_in_every_run_and_never_zeros() -> None:
    clock = Clock()
    tasks = []
    for _ in range(2):
        ours = Fake(OURS, clock)
        rows_of([ours], clock)
        tasks += ours.tasks
    assert np.array_equal(tasks[0].x, tasks[1].x)
    assert np.count_nonzero(tasks[0].x) == tasks[0].x.size
    assert not np.array_equal(tasks[0].x.ravel()[:8], tasks[0].w.ravel()[:8])


def test_the_roof_is_timed_among_the_contestants(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    order = []

    class MultiplyAdds:
        amount = 3_000

        def __call__(self) -> None:
            order.append("roof")
            clock.now += 0.5

    monkeypatch.setattr(harness.roofs, "multiply_adds", lambda dtype, count: MultiplyAdds())
    machine = replace(ROOFS, fma={1: 1.0})
    (row,) = list(run([SMALL_CASE], [Fake(OURS, clock)], ONE, machine, clock=clock))
    assert len(order) == 1 + SHORT.rounds
    assert row.fma_roof == 3_000 / 0.5
    assert machine.fma == {1: 3_000 / 0.5}  # the best that was seen
    assert row.copy_roof == ROOFS.copy[1]
    assert [found.contestant for found in row.results] == [OURS]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_our_own_answers_are_right(layout: str, dtype: str) -> None:
    settings = Settings((1,), ("forward", "backward"), dtype, layout, SHORT)
    for row in run([SMALL_CASE], [Ours("nchw"), Ours("nhwc")], settings, None):
        assert [(found.status, found.note) for found in row.results] == [(OK, "")] * 2
        assert row.ours == Ours(layout).name


def test_with_one_channel_there_is_one_layout() -> None:
    dims = ConvDims.of((2, 1, 6, 6), (4, 1, 3, 3))
    settings = Settings((1,), ("forward",), layout="nhwc", effort=SHORT)
    (row,) = run([Case("net/one", dims)], [Ours("nchw"), Ours("nhwc")], settings, None)
    assert row.results[1].note == "with one channel both layouts are the same"
    # The one that there is counts.
    assert row.ours == OURS


def test_our_threads_are_set_and_put_back() -> None:
    before = threads.get_num_threads()
    with our_threads(before + 1):
        assert threads.get_num_threads() == before + 1
    assert threads.get_num_threads() == before
    with pytest.raises(ZeroDivisionError), our_threads(before + 2):
        raise ZeroDivisionError
    assert threads.get_num_threads() == before
