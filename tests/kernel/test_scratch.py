"""Temporary memory is bounded by a constant, whatever the size of the picture or the batch."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tilewright.geometry import ConvDims, PoolDims
from tilewright.kernel import buffers
from tilewright.op.conv import conv_data_gradient, conv_forward, conv_weight_gradient
from tilewright.op.pool import avg_pool, max_pool

# The contract's bound for scratch, for each thread. Outputs (and max pool's indices) are not scratch.
_BOUND = 4 << 20


# -- what Python and NumPy allocate ----------------------------------------------------------------------


def _peak(call: Callable[[], Any]) -> int:
    """Most bytes beyond what the call returns."""
    call()  # plans and tiles are remembered from here on
    # Nothing that lies in the pool may hide an array.
    buffers.clear()
    before = buffers.statistics().in_use
    tracemalloc.start()
    try:
        result = call()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    parts = result if isinstance(result, tuple) else (result,)
    small = sum(part.nbytes for part in parts if part is not None and part.nbytes < buffers.LARGE)
    return most - (buffers.statistics().in_use - before) - small


@pytest.mark.parametrize(
    "dims",
    [
        ConvDims.of((1, 16, 512, 512), (8, 16, 3, 3), padding=1),
        ConvDims.of((40, 16, 64, 64), (16, 16, 3, 3), padding=1, stride=2),
        ConvDims.of((1, 24, 512, 512), (24, 1, 5, 5), padding=2, groups=24),
        ConvDims.of((1, 2, 2_000_000), (2, 2, 9), padding="causal"),
        ConvDims.of((2, 64, 256, 256), (8, 64, 1, 1)),
    ],
    ids=["large", "batch", "depthwise", "long", "pointwise"],
)
@pytest.mark.parametrize("family", [None, "numpy-windows"])
def test_convolution(dims: ConvDims, family: str | None) -> None:
    x, w = np.ones(dims.input_shape, np.float32), np.ones(dims.weight_shape, np.float32)
    gy = np.ones(dims.output_shape, np.float32)
    assert _peak(lambda: conv_forward(dims, x, w, family=family)) <= _BOUND
    assert _peak(lambda: conv_data_gradient(dims, gy, w, family=family)) <= _BOUND
    assert _peak(lambda: conv_weight_gradient(dims, x, gy, family=family)) <= _BOUND


@pytest.mark.parametrize("dims", [PoolDims.of((1, 16, 512, 512), 3, stride=2, padding=1)])
def test_pooling(dims: PoolDims) -> None:
    x = np.ones(dims.input_shape, np.float32)
    assert _peak(lambda: max_pool(dims, x)) <= _BOUND
    assert _peak(lambda: max_pool(dims, x, indices=False)) <= _BOUND
    assert _peak(lambda: avg_pool(dims, x)) <= _BOUND


@pytest.mark.parametrize("family", [None, "numpy-pointwise"])
def test_a_strided_view_is_not_copied_whole(family: str | None) -> None:
    dims = ConvDims.of((1, 64, 256, 256), (8, 64, 1, 1))
    x = np.ones((1, 64, 512, 512), np.float32)[:, :, ::2, ::2]
    w = np.ones(dims.weight_shape, np.float32)
    assert _peak(lambda: conv_forward(dims, x, w, family=family)) <= _BOUND


# -- what the process takes from the system --------------------------------------------------------------

_THREADS = 2
# Beside the output and the threads' scratch: the workers' stacks, a program's tables, the partial sums of a
# weight gradient (2 MiB at most), and Python's own objects. Measured: 1 MiB.
_SLACK = 4 << 20

_PROGRAM = """
import sys
import numpy as np
from tilewright.geometry import ConvDims
from tilewright.kernel import buffers, threads
from tilewright.op.conv import conv_data_gradient, conv_forward, conv_weight_gradient


def ones(shape):
    if sys.argv[2] == "channels_first":
        return np.ones(shape, np.float32)
    batch, channels, *spatial = shape
    return np.ones((batch, *spatial, channels), np.float32).transpose(0, 3, 1, 2)


def memory(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(name))


dims = ConvDims.of((1, 64, 2048, 2048), (8, 64, 3, 3), padding=1)
w = np.ones(dims.weight_shape, np.float32)
if sys.argv[1] == "forward":
    x = ones(dims.input_shape)
    call = lambda: conv_forward(dims, x, w)
elif sys.argv[1] == "data_gradient":
    gy = ones(dims.output_shape)
    call = lambda: conv_data_gradient(dims, gy, w)
else:
    x, gy = ones(dims.input_shape), ones(dims.output_shape)
    call = lambda: conv_weight_gradient(dims, x, gy)

# Kernels are compiled first, without a single one being run: LLVM isn't what is measured.
run, threads.run = threads.run, lambda *arguments, **options: None
call()
threads.run = run


def growth():
    buffers.clear()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak so far is forgotten
    before = memory("VmRSS")
    result = call()
    return memory("VmHWM") - before, result.nbytes


# Pages of libraries that the system took away while this waited come back and count too: the least is ours.
print(*min(growth() for _ in range(3)))
"""


def _available() -> int:
    """Bytes of memory that a program could get; 0 where the system doesn't say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable")), 0)


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the peak can't be reset here")
@pytest.mark.skipif(_available() < 6 << 30, reason="needs 6 GiB of free memory")
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_the_process_grows_by_its_output_and_its_threads_scratch(layout: str) -> None:
    """On a picture of 1 GiB: what is measured are the pages the process holds, native memory and all."""
    pytest.importorskip("llvmlite", reason="without compiled kernels this takes minutes")
    for operation in ("forward", "data_gradient", "weight_gradient"):
        ended = subprocess.run(
            [sys.executable, "-c", _PROGRAM, operation, layout],
            env={**os.environ, "TILEWRIGHT_NUM_THREADS": str(_THREADS)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ended.returncode == 0, ended.stderr
        grown, output = map(int, ended.stdout.split())
        assert grown - output <= _THREADS * _BOUND + _SLACK, (operation, grown, output)
        if operation == "data_gradient":
            assert output == 1 << 30 and grown > output // 2, "the measurement sees what is written"
