"""Lines put together from runs: every element size and instruction set, with guard pages, into junk."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from guarded import guarded
from kernel.elementwise.arrays import both_sides, every_target, with_threads

from tilewright.kernel.moves import call
from tilewright.kernel.moves.call import Lines, Planes
from tilewright.op import moved
from tilewright.op.moved import OUTSIDE, run_table
from tilewright.op.pad import MODES, pad, pad_gradient
from tilewright.plan import Target

pytest.importorskip("llvmlite", reason="compiles through LLVM")

KINDS = {1: np.int8, 2: np.int16, 4: np.float32, 8: np.float64}


@pytest.fixture(autouse=True)
def nothing_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")


def numbers(shape: tuple[int, ...], dtype: Any) -> Any:
    return np.random.default_rng(len(shape)).integers(-100, 100, shape).astype(dtype)


@every_target
@both_sides
@pytest.mark.parametrize("size", list(KINDS))
def test_runs_of_every_length_and_step(target: Target, side: str, size: int) -> None:
    for length in (*range(1, 40), 63, 64, 65, 129, 200):
        x = guarded(numbers((3, 2 * length + 3), KINDS[size]), side)
        # Forwards, backwards, one again and again, nothing at all, every second, every third backwards.
        runs = [
            (0, length, 3, 1),
            (length, length, length, -1),
            (2 * length, length, 2, 0),
            (3 * length, length, OUTSIDE, 0),
            (4 * length, length, 1, 2),
            (5 * length, (length + 2) // 3, length, -3),
        ]
        width = 5 * length + (length + 2) // 3
        table = guarded(np.array(runs, np.int64))
        lines = guarded(np.array([[0, 0, 0, 6]], np.int64))
        wanted = np.concatenate(
            [
                x[:, 3 : length + 3],
                x[:, length::-1][:, :length],
                np.repeat(x[:, 2:3], length, axis=1),
                np.full((3, length), 7, x.dtype),
                x[:, 1 : 2 * length + 1 : 2],
                x[:, length::-3][:, : (length + 2) // 3],
            ],
            axis=1,
        )
        filler = int.from_bytes(np.array(7, x.dtype).tobytes(), "little")
        for junk in (-77, 33):
            out = guarded(np.full((3, width), junk, x.dtype), side)
            planes = Planes(1, 3, 0, x.shape[1])
            call.moved(x, out, planes, Lines(lines, table, width), size, filler, target=target)
            np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize("inner", [1, 3])
def test_a_table_of_runs_takes_what_its_index_says(inner: int) -> None:
    index = np.array([2, 1, 0, 0, 0, 1, 2, 3, OUTSIDE, OUTSIDE, 3, 1], np.int64)
    x = np.arange(1, 4 * inner + 1)
    found = np.full(len(index) * inner, -1)
    for at, length, source, step in run_table(index, inner):
        found[at : at + length] = 0 if source < 0 else x[source + step * np.arange(length)]
    wanted = np.where(index[:, None] < 0, 0, x.reshape(4, inner)[np.maximum(index, 0)]).reshape(-1)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "dtype", ["bool", "int16", "float16", "float32", "float64", "complex64", "complex128"]
)
def test_padding_is_what_numpy_gives(mode: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    for _ in range(60):
        rank = int(rng.integers(1, 5))
        shape = tuple(int(n) for n in rng.integers(3, 40 if rank < 3 else 9, rank))
        count = int(rng.integers(1, rank + 1))
        pairs = tuple((int(rng.integers(-1, 12)), int(rng.integers(-1, 5))) for _ in range(count))
        x = (rng.standard_normal(shape) * 50).astype(dtype)
        kind = int(rng.integers(0, 4))
        if kind == 1:
            x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 0, -1)), -1, 0)
        elif kind == 2:
            x = np.repeat(x, 2, -1)[..., ::2]
        elif kind == 3:
            x = x[::-1]
        x.flags.writeable = False
        value = 1 if mode == "constant" and dtype != "bool" else None
        y = pad(x, pairs, mode, value)
        with monkeypatch.context() as patch:
            patch.setattr(moved.compiled, "serves", lambda dtype: False)
            wanted = pad(x, pairs, mode, value)
        np.testing.assert_array_equal(y, wanted)
        assert y.dtype == wanted.dtype and y.strides == wanted.strides


@pytest.mark.parametrize("mode", MODES)
def test_padding_of_any_rank_for_any_number_of_threads_and_split(mode: str) -> None:
    for shape, pairs in (
        ((6, 5, 40, 70), ((1, 2), (3, 1))),
        ((4, 3, 9, 20, 21), ((1, 1), (0, 0), (2, 2))),
        ((3, 2, 300, 301), ((2, 1), (1, 3))),
        ((7, 30, 1000), ((3, 0),)),
    ):
        x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
        for given in (x, np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)):
            forward = partial(pad, given, pairs, mode)
            y = with_threads(1, forward)
            g = np.random.default_rng(2).standard_normal(y.shape).astype(np.float32)
            backward = partial(pad_gradient, g, shape, pairs, mode)
            back = with_threads(1, backward)
            for count in (2, 3, 7):
                assert with_threads(count, forward).tobytes() == y.tobytes()
                assert with_threads(count, backward).tobytes() == back.tobytes()
            for n in range(shape[0]):
                np.testing.assert_array_equal(pad(given[n : n + 1], pairs, mode), y[n : n + 1])
                one = pad_gradient(g[n : n + 1], (1, *shape[1:]), pairs, mode)
                np.testing.assert_array_equal(one, back[n : n + 1])
            # <pad(x), g> = <x, pad*(g)>
            inner = (y.astype(np.float64) * g).sum()
            np.testing.assert_allclose((given.astype(np.float64) * back).sum(), inner, rtol=1e-4, atol=1e-3)
