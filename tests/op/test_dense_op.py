"""Products of rows: the same bits in any batch, any place and on any number of BLAS threads."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from compare import assert_same

from tilewright.op.dense import linear, linear_input_gradient, linear_weight_gradient, row_products

# Prints a digest of many products and gradients of the dense layer, after checking each row alone.
_PROGRAM = """
import hashlib
import numpy as np
from tilewright.op.dense import linear
rng, digest = np.random.default_rng(0), hashlib.sha256()
for dtype in (np.float32, np.float64):
    for case in range(60):
        # Small, middling and large, around the sizes of the blocks (8, 128, 256) and past them.
        inputs = int(rng.integers(1, (20, 300, 1100)[case % 3]))
        outputs = int(rng.choice([1, 2, 7, 10, 127, 128, 129, 130, 257, 500]))
        batch = int(rng.integers(1, 70))
        x = rng.standard_normal((batch, inputs)).astype(dtype)
        w = rng.standard_normal((outputs, inputs)).astype(dtype)
        y = linear(x, w)
        order = rng.permutation(batch)
        assert np.array_equal(linear(x[order], w), y[order]), ("place", dtype, x.shape, w.shape)
        alone = all(np.array_equal(linear(x[i], w), y[i]) for i in (0, batch - 1))
        assert alone, ("alone", dtype, x.shape, w.shape)
        digest.update(y.tobytes())
print(digest.hexdigest())
"""


def _digest(**environment: str) -> str:
    child = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    return child.stdout.strip()


def test_the_same_bits_on_one_and_on_two_blas_threads() -> None:
    assert _digest(OPENBLAS_NUM_THREADS="1") == _digest(OPENBLAS_NUM_THREADS="2")


@pytest.mark.skipif(
    "openblas" not in str(np.show_config(mode="dicts")).lower(),
    reason="NumPy here has another BLAS than OpenBLAS",
)
@pytest.mark.parametrize("core", ["Haswell", "Nehalem"])
def test_the_same_bits_with_the_kernels_of_other_processors(core: str) -> None:
    # A core that this OpenBLAS doesn't have falls back to one that it has: that proves nothing, but holds.
    one = _digest(OPENBLAS_NUM_THREADS="1", OPENBLAS_CORETYPE=core)
    assert one == _digest(OPENBLAS_NUM_THREADS="2", OPENBLAS_CORETYPE=core)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_are_right(dtype: Any) -> None:
    rng = np.random.default_rng(1)
    for count, inputs, outputs in ((1, 1, 1), (9, 257, 129), (16, 512, 128), (8, 600, 1), (23, 3, 300)):
        x, w = rng.standard_normal((count, inputs)), rng.standard_normal((outputs, inputs))
        expected = (x @ w.T).astype(dtype)
        size = float(np.finfo(dtype).eps) * inputs**0.5 * 8
        y = row_products(x.astype(dtype), w.astype(dtype))
        assert_same(y, expected, rtol=size, atol=size, reason="rounding of a sum grows as its root")


def test_gradients_are_the_transposed_products() -> None:
    rng = np.random.default_rng(2)
    x, w, g = rng.standard_normal((2, 5, 4)), rng.standard_normal((3, 4)), rng.standard_normal((2, 5, 3))
    close = {"rtol": 1e-13, "atol": 1e-14, "reason": "a few products in another order"}
    assert_same(linear_input_gradient(g, w), np.einsum("abo,oi->abi", g, w), **close)
    assert_same(linear_weight_gradient(g, x), np.einsum("abo,abi->oi", g, x), **close)
    assert_same(linear_input_gradient(g[..., 0], w[0]), np.einsum("ab,i->abi", g[..., 0], w[0]), **close)
    assert_same(linear_weight_gradient(g[..., 0], x, rank=1), np.einsum("ab,abi->i", g[..., 0], x), **close)


def test_integers_are_exact() -> None:
    x, w = np.full((3, 1000), 10**6), np.full((2, 1000), 10**6 + 1)
    assert_same(linear(x, w), np.full((3, 2), 1000 * 10**6 * (10**6 + 1)), rtol=0, atol=0, reason="integers")
