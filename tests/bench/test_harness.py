"""A run with made-up contestants: who is timed, who is marked, and what stays after Ctrl-C."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bench.fakes import ROOFS, SHORT, SMALL, SMALL_CASE, Clock, Fake, pooling, transposed

from tilewright.bench import harness
from tilewright.bench.cases import Case
from tilewright.bench.contestants import OURS, Ours, Prepared, Task, our_threads
from tilewright.bench.harness import Settings, run
from tilewright.bench.layers import Layer
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
    rows = list(
        run([Case("net/wide", Layer("conv", dims))], [ours, Fake("A", clock)], ONE, None, clock=clock)
    )
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


def test_a_peer_that_takes_very_long_is_called_twice_in_a_case() -> None:
    clock = Clock()
    effort = replace(SHORT, longest_call=20.0)
    settings = Settings((1, 2), ("forward", "backward"), effort=effort)
    ours, slow = Fake(OURS, clock, seconds=50.0), Fake("Slow", clock, seconds=20.5)
    fast = Fake("Fast", clock, seconds=20.0)
    cases = [SMALL_CASE, Case("net/other", Layer("conv", SMALL.with_batch(3)))]
    rows = list(run(cases, [ours, slow, fast], settings, None, clock=clock))
    assert slow.calls == 4, "twice for each case"
    for first, *others in (rows[:4], rows[4:]):
        found = first.result("Slow")
        assert found is not None and found.timing is not None
        assert (found.status, found.timing.median, found.timing.best, found.timing.rounds) == (
            OK, 20.5, 20.5, 1,
        )  # fmt: skip
        assert first.best_peer == "Fast"
        for row in others:
            resting = row.result("Slow")
            assert resting is not None
            assert (resting.status, resting.timing) == (UNABLE, None)
            assert resting.note == "a call takes 20 s (forward, 1 thread), and no more of them are made"
    assert all(row.rate(OURS) for row in rows), "ours is always timed"


def test_one_long_call_is_taken_for_a_disturbance() -> None:
    clock = Clock()
    peer = Fake("A", clock, seconds=1.0)
    right = peer.prepare

    def disturbed(task: Task) -> Prepared:
        prepared = right(task)

        def call() -> Any:
            clock.now += 30.0 if peer.calls == 0 else 0.0
            return prepared.call()

        return Prepared(call, prepared.answers)

    peer.prepare = disturbed  # type: ignore[method-assign]
    settings = replace(ONE, effort=replace(SHORT, longest_call=20.0))
    (row,) = rows_of([Fake(OURS, clock), peer], clock, settings)
    found = row.result("A")
    assert found is not None and found.timing is not None
    assert (found.timing.median, found.timing.rounds) == (1.0, 3)


def test_ctrl_c_keeps_the_rows_before() -> None:
    clock = Clock()
    # Checked once and timed some four times per row: the 8th call is in the second row.
    ours = Fake(OURS, clock, error=KeyboardInterrupt(), fails_at=8)
    cases = [SMALL_CASE, Case("net/other", Layer("conv", SMALL.with_batch(3)))]
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


def test_channels_that_share_a_kernel_have_copies_of_one() -> None:
    clock = Clock()
    dims = ConvDims.of((1, 3, 9, 9), (3, 1, 4, 5), groups=3)
    found = {}
    for weights in ("", "same", "separable"):
        ours = Fake(OURS, clock)
        (_,) = list(run([Case("net/filter", Layer("conv", dims, weights))], [ours], ONE, None, clock=clock))
        found[weights] = ours.tasks[0].w
        assert found[weights].dtype == np.float32 and found[weights].flags.c_contiguous
    for weights, w in found.items():
        assert np.array_equal(w[0], w[1]) is np.array_equal(w[0], w[2]) is (weights != "")
    ranks = {weights: np.linalg.matrix_rank(w[0, 0], tol=1e-5) for weights, w in found.items()}
    assert ranks == {"": 4, "same": 4, "separable": 1}


@pytest.mark.parametrize(
    ("layer", "forward", "backward"),
    [
        (Layer("conv", SMALL), ("forward",), ("data_gradient", "weight_gradient")),
        (transposed((2, 4, 3, 3), (4, 3, 3, 3)), ("data_gradient",), ("forward", "weight_gradient")),
        (pooling("max_pool", (2, 3, 8, 8), 2), ("max_pool",), ("max_pool_gradient",)),
        (pooling("avg_pool", (2, 3, 8, 8), 2), ("avg_pool",), ("avg_pool_gradient",)),
    ],
    ids=str,
)
def test_families_are_those_of_the_operations_that_are_called(
    layer: Layer, forward: tuple[str, ...], backward: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    right = harness.choose
    monkeypatch.setattr(
        harness, "choose", lambda operation, *more: asked.append(operation) or right(operation, *more)
    )
    clock = Clock()
    settings = Settings((1,), ("forward", "backward"), effort=SHORT)
    rows = list(run([Case("net/a", layer)], [Fake(OURS, clock)], settings, None, clock=clock))
    assert asked == [*forward, *backward]
    assert [len(row.families) for row in rows] == [len(forward), len(backward)]


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
@pytest.mark.parametrize(
    "layer",
    [
        SMALL_CASE.layer,
        Layer("conv", ConvDims.of((2, 6, 9), (6, 1, 4), padding=((3, 0),), groups=6)),
        transposed((2, 3, 4, 5), (3, 2, 4, 4), stride=2, padding=1),
        transposed((2, 4, 3, 2, 3), (4, 3, 2, 2, 2), stride=2, groups=2, output_padding=1),
        pooling("max_pool", (2, 3, 9, 8), 3, stride=2, padding=1),
        pooling("avg_pool", (2, 3, 9, 8), 3, stride=2, padding=1, ceil_mode=True),
        pooling("avg_pool", (2, 3, 7, 7), 7),
    ],
    ids=str,
)
def test_our_own_answers_are_right(layer: Layer, layout: str, dtype: str) -> None:
    settings = Settings((1,), ("forward", "backward"), dtype, layout, SHORT)
    for row in run([Case("net/a", layer)], [Ours("nchw"), Ours("nhwc")], settings, None):
        assert [(found.status, found.note) for found in row.results] == [(OK, "")] * 2
        assert row.ours == Ours(layout).name


def test_with_one_channel_there_is_one_layout() -> None:
    dims = ConvDims.of((2, 1, 6, 6), (4, 1, 3, 3))
    settings = Settings((1,), ("forward",), layout="nhwc", effort=SHORT)
    (row,) = run([Case("net/one", Layer("conv", dims))], [Ours("nchw"), Ours("nhwc")], settings, None)
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
