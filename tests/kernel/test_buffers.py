"""The pool of memory for large arrays: ordinary arrays, memory that returns, bounds, threads, fork, exit."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tilewright.kernel import buffers
from tilewright.kernel.buffers import LARGE, Pool

_SOURCE = Path(__file__).resolve().parents[2] / "src"
_FEW = 1 << 20
# Enough that no bound of a test's own pool is met by chance.
_PLENTY = 1 << 40


def _address(array: np.ndarray[Any, Any]) -> int:
    return int(array.__array_interface__["data"][0])


def _run(script: str) -> None:
    """Run a script in a process of its own, which must end well and say nothing."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={**os.environ, "PYTHONPATH": str(_SOURCE)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture(autouse=True)
def _only_this_tests_arrays_die() -> Iterator[None]:
    """What earlier tests left in circles must not come back to the pool while a test counts."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


# --- the arrays -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool", "uint8", "float16"])
@pytest.mark.parametrize(
    "shape", [(300, 400), (7, 11, 13, 700), (LARGE,), LARGE, np.int64(LARGE), [300, 400], (1, LARGE, 1)]
)
def test_a_large_array_is_an_ordinary_one(shape: Any, dtype: str) -> None:
    array, plain = buffers.empty(shape, dtype), np.empty(shape, dtype)
    assert type(array) is np.ndarray
    assert (array.shape, array.dtype, array.strides) == (plain.shape, plain.dtype, plain.strides)
    assert array.flags.c_contiguous and array.flags.writeable and array.flags.aligned
    assert _address(array) % 64 == 0
    array[...] = 1
    assert np.count_nonzero(array) == plain.size


@pytest.mark.parametrize("shape", [(), 0, 5, (0,), (0, 3), (3, 0, 10**6), (LARGE // 4 - 1,)])
def test_a_small_array_is_numpys_own(shape: Any) -> None:
    array = buffers.empty(shape, np.float32)
    assert type(array) is np.ndarray and array.base is None
    assert array.shape == np.empty(shape, np.float32).shape


def test_objects_are_not_pooled() -> None:
    array = buffers.empty((LARGE,), object)
    assert array.base is None and array[0] is None and array[-1] is None


@pytest.mark.parametrize("shape", [(-1,), (-1, -(10**6)), (2, -(10**6))])
def test_a_negative_size_is_refused_as_numpy_does(shape: tuple[int, ...]) -> None:
    before = buffers.statistics().in_use
    with pytest.raises(ValueError, match="negative dimensions are not allowed"):
        buffers.empty(shape, np.float32)
    assert buffers.statistics().in_use == before


@pytest.mark.parametrize("count", [1 << 60, 1 << 66])
def test_more_than_there_is(count: int) -> None:
    before = buffers.statistics()
    with pytest.raises((MemoryError, ValueError)):
        buffers.empty(count, np.uint8)
    after = buffers.statistics()
    assert (after.in_use, after.fresh) == (before.in_use, before.fresh)


def test_copies_and_pickles_are_ordinary() -> None:
    array = buffers.empty((LARGE,), np.float64)
    array[...] = np.arange(LARGE)
    for again in (array.copy(), copy.deepcopy(array), pickle.loads(pickle.dumps(array))):
        assert type(again) is np.ndarray
        assert np.array_equal(again, array)
        assert not np.shares_memory(again, array)


# --- memory comes back ------------------------------------------------------------------------------------


def test_memory_is_used_again() -> None:
    array = buffers.empty((_FEW,), np.uint8)
    where, before = _address(array), buffers.statistics()
    del array
    freed = buffers.statistics()
    assert freed.in_use == before.in_use - _FEW and freed.kept >= _FEW
    again = buffers.empty((512, 512), np.float32)
    assert _address(again) == where
    after = buffers.statistics()
    assert (after.fresh, after.reused) == (before.fresh, before.reused + 1)


class _Marked(np.ndarray[Any, Any]):
    """Some subclass of a user's own."""


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[3:5],
        lambda x: x.T,
        lambda x: x.reshape(-1)[::-7],
        lambda x: x.view(np.int32),
        lambda x: x.view(_Marked),
        lambda x: x.view(_Marked)[2:].T,
        lambda x: np.asarray(memoryview(x)),
        lambda x: np.frombuffer(x, np.uint8),
        lambda x: np.lib.stride_tricks.as_strided(x, (5, 5), (4, 4)),
        lambda x: np.broadcast_to(x[:1], x.shape)[4],
        lambda x: np.moveaxis(x, 0, 1)[1:][:, 1:],
        lambda x: np.from_dlpack(x),
    ],
)
def test_a_view_holds_the_memory(view: Any) -> None:
    array = buffers.empty((300, 400), np.float32)
    array[...] = np.arange(array.size, dtype=np.float32).reshape(array.shape)
    held = view(array)
    inner = held[1:]
    expected = np.array(inner)
    in_use = buffers.statistics().in_use
    del array, held
    assert buffers.statistics().in_use == in_use
    # What is handed out now must lie elsewhere.
    others = [buffers.empty((300, 400), np.float32) for _ in range(3)]
    for other in others:
        other[...] = -1
    assert np.array_equal(inner, expected)
    del inner, other, others
    assert buffers.statistics().in_use < in_use


def test_what_is_made_of_a_base_holds_no_block() -> None:
    array = buffers.empty((LARGE,), np.uint8)
    array[...] = 5
    before = buffers.statistics()
    base: Any = array.base
    assert repr(base) and base.sum() == base[:LARGE].copy().sum() + base[LARGE:].sum()
    for made in (base[3:], base.copy(), base + 1, copy.deepcopy(base), pickle.loads(pickle.dumps(base))):
        del made
    assert buffers.statistics() == before
    part = base[3:9]
    del array, base
    assert np.all(part == 5)
    assert buffers.statistics().in_use == before.in_use
    del part
    assert buffers.statistics().in_use < before.in_use


def test_a_result_computed_in_the_pool_outlives_the_operands() -> None:
    x = buffers.empty((LARGE,), np.float32)
    x[...] = 2
    y = np.multiply(x, x, out=buffers.empty(x.shape, x.dtype))
    del x
    z = buffers.empty((LARGE,), np.float32)
    z[...] = 7
    assert np.all(y == 4)


def test_clear_gives_back_what_is_free() -> None:
    kept = buffers.empty((_FEW,), np.uint8)
    kept[...] = 3
    free = buffers.empty((_FEW,), np.uint8)
    del free
    assert buffers.statistics().kept > 0
    buffers.clear()
    after = buffers.statistics()
    assert after.kept == 0 and after.in_use >= _FEW
    assert np.all(kept == 3)
    buffers.empty((_FEW,), np.uint8)
    assert buffers.statistics().fresh == after.fresh + 1


# --- bounds -----------------------------------------------------------------------------------------------


def test_at_most_an_eighth_is_unused() -> None:
    pool = Pool(_PLENTY)
    sizes = set()
    for count in [*range(LARGE, 2 * LARGE, 61), *(2**k + d for k in range(15, 26) for d in (-1, 0, 1, 777))]:
        size = pool.take(count).size
        assert count <= size <= count * 9 / 8
        sizes.add(size)
    # Few sizes, so that arrays of nearly one size share blocks: 8 for each power of two.
    assert len(sizes) <= 8 * 11 + 2


def test_the_oldest_go_first_when_too_much_is_kept() -> None:
    pool = Pool(most=10 * _FEW, floor=0)
    blocks = [pool.take(_FEW * (1 + i % 3)) for i in range(12)]
    for block in blocks:
        pool.give_back(block)
    assert pool.statistics().in_use == 0
    # The last four are of 3, 1, 2 and 3 MiB; the 2 MiB before them would be too much.
    assert pool.statistics().kept == 9 * _FEW
    for block in reversed(blocks[8:]):
        assert pool.take(block.size) is block
    fresh = pool.statistics().fresh
    another = pool.take(3 * _FEW)
    assert all(another is not block for block in blocks)
    assert pool.statistics().fresh == fresh + 1


def test_never_more_than_twice_the_peak() -> None:
    pool = Pool(_PLENTY, floor=0)
    for size in range(1, 9):
        # Four at a time of each size; none serves another size.
        blocks = [pool.take(size * _FEW) for _ in range(4)]
        held = pool.statistics()
        assert held.in_use == 4 * size * _FEW
        # The peak so far is what is in use now.
        assert held.in_use + held.kept <= 2 * held.in_use
        for block in blocks:
            pool.give_back(block)


def test_a_little_is_always_kept() -> None:
    pool = Pool(_PLENTY, floor=20 * _FEW)
    for size in (1, 2, 3, 4, 5):
        pool.give_back(pool.take(size * _FEW))
    assert pool.statistics().kept == 15 * _FEW


def test_a_peak_is_forgotten() -> None:
    pool = Pool(_PLENTY, floor=0)
    for block in [pool.take(_FEW) for _ in range(100)]:
        pool.give_back(block)
    assert pool.statistics().kept == 100 * _FEW
    # 16 times the 100 MiB held, twice over: the peak counts in its own window and in the next.
    for _ in range(2 * 16 * 100 + 200):
        pool.give_back(pool.take(_FEW))
    assert pool.statistics().kept <= 2 * _FEW
    assert pool.statistics().fresh == 100


def test_a_repeated_step_finds_all_it_needs() -> None:
    pool = Pool(_PLENTY, floor=0)
    sizes = [(64 >> layer) * _FEW // 8 for layer in range(6)]

    def step() -> None:
        forward = [(pool.take(size), pool.take(size)) for size in sizes]
        gradient = pool.take(sizes[-1])
        for activation, saved in reversed(forward):
            following = pool.take(saved.size)
            for block in (gradient, activation, saved):
                pool.give_back(block)
            gradient = following
        pool.give_back(gradient)

    step()
    step()
    fresh = pool.statistics().fresh
    for _ in range(50):
        step()
    assert pool.statistics().fresh == fresh


# --- threads, finalisers, fork, exit ----------------------------------------------------------------------


def test_threads_never_share_memory() -> None:
    wrong: list[str] = []

    def work(number: int) -> None:
        generator = np.random.default_rng(number)
        held: list[tuple[int, np.ndarray[Any, Any]]] = []
        for turn in range(400):
            array = buffers.empty((int(generator.integers(LARGE, 3 * LARGE)),), np.uint8)
            mark = (number * 31 + turn) % 251
            array[...] = mark
            held.append((mark, array))
            if len(held) > 6:
                found, gone = held.pop(int(generator.integers(len(held))))
                if not np.all(gone == found):
                    wrong.append(f"thread {number}, turn {turn}")

    before = buffers.statistics()
    # Far more switches than usual: between nearly any two lines.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []
    after = buffers.statistics()
    assert after.fresh + after.reused - before.fresh - before.reused == 6 * 400
    assert after.in_use == before.in_use
    # The sums agree with what lies on the shelves.
    buffers.clear()
    assert buffers.statistics().kept == 0


def test_nobody_waits_for_the_lock() -> None:
    array = buffers.empty((_FEW,), np.uint8)
    before = buffers.statistics()
    # As if the garbage collector or a signal came while the sums are done, in the same thread.
    with buffers._pool._lock:
        del array
        other = buffers.empty((3 * _FEW,), np.uint8)
        third = buffers.empty((_FEW,), np.uint8)
        assert not np.shares_memory(other, third)
    after = buffers.statistics()
    assert after.in_use == before.in_use + 3 * _FEW
    del other, third
    assert buffers.statistics().in_use == before.in_use - _FEW


def test_arrays_in_a_circle_come_back() -> None:
    circle: list[Any] = [buffers.empty((_FEW,), np.uint8)]
    circle.append(circle)
    in_use = buffers.statistics().in_use
    del circle
    gc.collect()
    assert buffers.statistics().in_use == in_use - _FEW


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_has_memory_of_its_own() -> None:
    _run(
        """
import os, sys
import numpy as np
from tilewright.kernel import buffers

held = buffers.empty((1 << 20,), np.uint8)
held[...] = 1
free = buffers.empty((1 << 20,), np.uint8)
del free
# A fork while another thread does the sums: the child must not wait for a lock that nobody opens.
buffers._pool._lock.acquire()
child = os.fork()
if child == 0:
    new = buffers.empty((1 << 20,), np.uint8)
    new[...] = 2
    held[...] = 3
    fresh = buffers.empty((1 << 21,), np.uint8)
    del new, fresh
    seen = buffers.statistics()
    fine = seen.in_use == 1 << 20 and seen.kept == 3 << 20
    del held
    fine = fine and buffers.statistics().in_use == 0
    os._exit(0 if fine else 1)
buffers._pool._lock.release()
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
again = buffers.empty((1 << 20,), np.uint8)
assert np.all(held == 1)
"""
    )


@pytest.mark.parametrize(
    "ending",
    ["", "sys.exit()", "del buffers; del np", "threading.Thread(target=hold, daemon=True).start()"],
)
def test_the_interpreter_ends_quietly(ending: str) -> None:
    _run(
        f"""
import atexit, sys, threading, time
import numpy as np
from tilewright.kernel import buffers

class Holder:
    pass

def hold():
    kept = [buffers.empty((50_000,), np.float64) for _ in range(3)]
    while True:
        kept.append(buffers.empty((50_000,), np.float64))
        kept.pop(0)

alive = buffers.empty((100_000,), np.float32)
view = alive[5:]
circle = Holder()
circle.self, circle.array = circle, buffers.empty((300, 300), np.float64)
sys.modules["elsewhere"] = Holder()
sys.modules["elsewhere"].array = buffers.empty((200_000,), np.float32)
atexit.register(lambda array=buffers.empty((70_000,), np.float32): array.sum)
np.kept_here = buffers.empty((70_000,), np.float32)
{ending}
"""
    )
