"""Thousands of random small images, kernels, borders and origins: equal to SciPy's within rounding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
from tilewright.image import correlating, in_place
from tilewright.image.plane_terms import is_over_planes

ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is what these are compared with")
signal = pytest.importorskip("scipy.signal", reason="SciPy is what these are compared with")

CASES = 2000
MODES = tw.image.border_names(aliases=True)
# The largest size of an axis, by rank: small arrays, so that padding is often wider than they are.
LARGEST = {1: 40, 2: 14, 3: 7, 4: 4}
TAPS = {1: 9, 2: 6, 3: 4, 4: 3}
# Sums of a few hundred products, each off by half a unit in the last place of its dtype, and weights that
# float32 rounds, too; relative to the largest that the sum could be.
ROUNDING = {"float64": 1e-13, "float32": 2e-6}
REASON = "sums in another order; relative to the sum of absolute products"


def image(rng: np.random.Generator, dtype: str, rank: int) -> Any:
    shape = tuple(rng.integers(1, LARGEST[rank] + 1, rank).tolist())
    if dtype.startswith("float"):
        return rng.standard_normal(shape).astype(dtype)
    return rng.integers(0, 256, shape).astype(dtype)


def origins(rng: np.random.Generator, sizes: Any) -> list[int]:
    return [int(rng.integers(-(size // 2), (size - 1) // 2 + 1)) for size in sizes]


def cases(seed: int, count: int = CASES) -> Iterator[tuple[np.random.Generator, Any, str, float]]:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        rank = int(rng.choice([1, 2, 2, 2, 3, 4]))
        x = image(rng, str(rng.choice(["float64", "float32", "uint8"])), rank)
        yield rng, x, str(rng.choice(MODES)), float(rng.choice([0.0, 1.5, -20.0]))


def largest(x: Any, cval: float) -> float:
    return max(float(np.abs(x.astype(np.float64)).max(initial=0)), abs(cval))


def check(ours: Any, theirs: Any, size: float, exact: Any = None) -> None:
    """Floats within rounding; integers equal, but where cutting off is decided by a rounding."""
    if ours.dtype.kind == "f":
        assert_same(ours, theirs, rtol=0, atol=ROUNDING[ours.dtype.name] * size, reason=REASON)
        return
    if exact is not None:
        values = exact()
        undecided = np.abs(values - np.rint(values)) < 1e-9 * max(size, 1)
        theirs = np.where(undecided, ours, theirs)
        wrong = undecided & (np.abs(ours.astype(int) - values) > 1) & (np.abs(values) < 255) & (values >= 0)
        assert not wrong.any()
    assert_same(ours, theirs, rtol=0, atol=0, reason="whole numbers")


def scipy_misreads(shape: Any, sizes: Any) -> bool:
    """SciPy's correlate may take a sample of its own for one that lies 4·n or more before the first of n.

    Its correlate1d and numpy.pad have the right one there: see test_borders.
    """
    return any(size > 4 * n > 4 for n, size in zip(shape, sizes, strict=True))


def never(*_: Any) -> bool:
    return False


@pytest.mark.parametrize("name", ["correlate", "convolve"])
def test_kernels(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, peer = getattr(tw.image, name), getattr(ndimage, name)
    for number, (rng, x, mode, cval) in enumerate(cases(1)):
        # Pictures in kernels of their own; or as volumes are, and every other one as if it were large: where
        # it lies, the edges apart.
        monkeypatch.setattr(correlating, "is_over_planes", is_over_planes if number % 4 < 2 else never)
        monkeypatch.setattr(in_place, "_IN_PLACE_BYTES", 0 if number % 2 else 1 << 40)
        w = rng.standard_normal(rng.integers(1, TAPS[x.ndim] + 1, x.ndim))
        more = {"mode": mode, "cval": cval, "origin": origins(rng, w.shape)}
        if mode in ("reflect", "grid-mirror") and scipy_misreads(x.shape, w.shape):
            continue
        size = largest(x, cval) * float(np.abs(w).sum())
        check(function(x, w, **more), peer(x, w, **more), size, lambda: peer(x.astype(float), w, **more))  # noqa: B023


@pytest.mark.parametrize("name", ["correlate1d", "convolve1d"])
def test_vectors(name: str) -> None:
    function, peer = getattr(tw.image, name), getattr(ndimage, name)
    for rng, x, mode, cval in cases(2, 600):
        w = rng.standard_normal(rng.integers(1, 10))
        more: dict[str, Any] = {"axis": int(rng.integers(-x.ndim, x.ndim)), "mode": mode, "cval": cval}
        more["origin"] = origins(rng, w.shape)[0]
        size = largest(x, cval) * float(np.abs(w).sum())
        check(function(x, w, **more), peer(x, w, **more), size, lambda: peer(x.astype(float), w, **more))  # noqa: B023


def test_gaussian_filter() -> None:
    for rng, x, mode, cval in cases(3):
        sigmas = rng.choice([0.0, 0.4, 0.8, 1.3, 2.0], x.ndim).tolist()
        orders = [int(rng.integers(0, 4)) if sigma and rng.random() < 0.3 else 0 for sigma in sigmas]
        more: dict[str, Any] = {"order": orders, "mode": mode, "cval": cval}
        if rng.random() < 0.3:
            more["radius"] = [int(rng.integers(0, 4)) if sigma else 0 for sigma in sigmas]
        if x.dtype == np.uint8:
            more["output"] = np.float64
        ours, theirs = (one.gaussian_filter(x, sigmas, **more) for one in (tw.image, ndimage))
        # Absolute weights of a third derivative at sigma 0.4 sum up to less than 40.
        check(ours, theirs, largest(x, cval) * 40.0 ** sum(order > 0 for order in orders))


def test_gaussian_filter_of_whole_numbers() -> None:
    # Cut off after each axis: a sum that is whole but for rounding may go either way, one unit an axis.
    for _, x, mode, cval in cases(4, 200):
        x = x.astype(np.float64).clip(0, 255).astype(np.uint8)
        ours, theirs = (
            one.gaussian_filter(x, 1.0, mode=mode, cval=max(cval, 0)) for one in (tw.image, ndimage)
        )
        assert ours.dtype == theirs.dtype == np.uint8
        assert np.abs(ours.astype(int) - theirs).max() <= x.ndim


def test_a_flat_image_of_whole_numbers_stays_flat() -> None:
    flat = np.full((20, 20), 100, np.uint8)
    for sigma in (0.5, 1.0, 1.7, 2.5):
        assert (tw.image.gaussian_filter(flat, sigma) == 100).all()


@pytest.mark.parametrize("name", ["sobel", "prewitt"])
def test_slopes(name: str) -> None:
    function, peer = getattr(tw.image, name), getattr(ndimage, name)
    for rng, x, mode, cval in cases(5, CASES if name == "sobel" else CASES // 8):
        more: dict[str, Any] = {"axis": int(rng.integers(-x.ndim, x.ndim)), "mode": mode, "cval": cval}
        if x.dtype == np.uint8 and rng.random() < 0.5:
            more["output"] = np.int16
        check(function(x, **more), peer(x, **more), largest(x, cval) * 2 * 4.0 ** (x.ndim - 1))


def test_laplace() -> None:
    for rng, x, mode, cval in cases(6):
        more: dict[str, Any] = {"mode": mode, "cval": cval}
        if x.dtype == np.uint8 and rng.random() < 0.5:
            more["output"] = np.int16
        check(tw.image.laplace(x, **more), ndimage.laplace(x, **more), largest(x, cval) * 4 * x.ndim)


@pytest.mark.parametrize("name", ["gaussian_laplace", "gaussian_gradient_magnitude"])
def test_gaussian_slopes(name: str) -> None:
    for rng, x, mode, cval in cases(7, 200):
        x, sigma = x.astype(np.float64), float(rng.choice([0.6, 1.0, 2.0]))
        ours, theirs = (getattr(one, name)(x, sigma, mode=mode, cval=cval) for one in (tw.image, ndimage))
        # A root of a sum of squares near zero has half the digits.
        room = 1e6 if name.endswith("magnitude") else 10
        check(ours, theirs, largest(x, cval) * room)


def test_uniform_filter() -> None:
    for rng, x, mode, cval in cases(8, 600):
        sizes = rng.integers(1, 6, x.ndim).tolist()
        more = {"mode": mode, "cval": cval, "origin": origins(rng, sizes)}
        if x.dtype == np.uint8:
            more["cval"] = abs(round(cval))
        ours, theirs = (one.uniform_filter(x, sizes, **more) for one in (tw.image, ndimage))
        check(ours, theirs, 4 * largest(x, cval))


def test_some_axes_only() -> None:
    rng = np.random.default_rng(9)
    x = rng.standard_normal((4, 9, 10, 3))
    w = rng.standard_normal((3, 5))
    for axes in ((1, 2), (2, 1), (-2, 0), (3, 1)):
        for name in ("correlate", "convolve"):
            ours, theirs = (getattr(one, name)(x, w, mode="wrap", axes=axes) for one in (tw.image, ndimage))
            check(ours, theirs, 4 * float(np.abs(w).sum()))
        for name, argument in (("gaussian_filter", (1.0, 2.0)), ("uniform_filter", (2, 3))):
            more: dict[str, Any] = {"axes": axes, "mode": ("wrap", "mirror")}
            ours, theirs = (getattr(one, name)(x, argument, **more) for one in (tw.image, ndimage))
            check(ours, theirs, 10)


def test_generic_ones() -> None:
    x = np.random.default_rng(10).standard_normal((9, 10))
    for name, peer, own in (
        ("generic_gradient_magnitude", ndimage.sobel, tw.image.sobel),
        ("generic_laplace", ndimage.prewitt, tw.image.prewitt),
    ):
        check(getattr(tw.image, name)(x, own, mode="wrap"), getattr(ndimage, name)(x, peer, mode="wrap"), 100)


def test_output() -> None:
    x = np.random.default_rng(11).integers(0, 255, (9, 11)).astype(np.uint8)
    w = np.array([[1, -2, 1], [0, 3, 0], [1, 0, -1]])
    for dtype in (
        "uint8",
        "int8",
        "uint16",
        "int16",
        "int32",
        "uint32",
        "int64",
        "uint64",
        "float32",
        "float64",
    ):
        ours, theirs = (one.correlate(x, w, output=dtype) for one in (tw.image, ndimage))
        check(ours, theirs, 255 * 10)
        into = np.empty(x.shape, dtype)
        assert tw.image.correlate(x, w, output=into) is into
        assert (into == theirs).all()
    mine, theirs = x.copy(), x.copy()
    tw.image.correlate(mine, w, output=mine)
    ndimage.correlate(theirs, w, output=theirs)
    assert (mine == theirs).all()
    for one in (mine, theirs):
        one[...] = x
    tw.image.gaussian_filter(mine, 1.3, output=mine)
    ndimage.gaussian_filter(theirs, 1.3, output=theirs)
    assert np.abs(mine.astype(int) - theirs).max() <= 1


@pytest.mark.parametrize("name", ["convolve", "correlate"])
def test_signals(name: str) -> None:
    function, peer = getattr(tw.image.signal, name), getattr(signal, name)
    rng = np.random.default_rng(12)
    for number in range(CASES):
        rank = int(rng.choice([1, 1, 2, 2, 3, 4]))
        dtype = ("float64", "float32", "uint8", "int64", "complex128")[number % 5]
        mode = ("full", "same", "valid")[number % 3]
        x, w = (image(rng, "float64" if dtype[0] == "c" else dtype, rank) for _ in range(2))
        if dtype[0] == "c":
            x, w = (one + 1j * rng.standard_normal(one.shape) for one in (x, w))
        fits = [
            (a >= b).all()
            for a, b in ((np.array(x.shape), np.array(w.shape)), (np.array(w.shape), np.array(x.shape)))
        ]
        if mode == "valid" and not any(fits):
            # One is the larger on every axis, and which one it is changes.
            low, high = np.minimum(x.shape, w.shape), np.maximum(x.shape, w.shape)
            x, w = (
                (np.resize(x, high), np.resize(w, low))
                if number % 2
                else (np.resize(x, low), np.resize(w, high))
            )
        theirs = peer(x, w, mode, "direct")
        size = float(np.abs(x).astype(float).sum() * np.abs(w).astype(float).max() + 1)
        for method in ("direct", "auto", "fft"):
            if method == "fft" and dtype not in ("float64", "complex128"):
                continue
            ours = function(x, w, mode, method)
            if dtype[0] == "c":
                assert_same(ours, theirs, rtol=0, atol=1e-13 * size, reason=REASON)
            else:
                # A transform's error is relative to the largest results.
                check(ours, theirs, size * (10 if method == "fft" else 1))
