"""Winograd's matrices against the definition, exactly, and which kernels have schemes."""

from __future__ import annotations

import numpy as np
import pytest
from compare import assert_same

from tilewright.geometry import ConvDims
from tilewright.plan import choose
from tilewright.plan.winograd import Scheme, matrices, schemes_for

_SCHEMES = [Scheme(4, 3), Scheme(3, 4), Scheme(2, 5), Scheme(5, 2), Scheme(2, 7), Scheme(7, 2), Scheme(1, 1)]


@pytest.mark.parametrize("scheme", _SCHEMES, ids=str)
def test_the_matrices_are_a_correlation(scheme: Scheme) -> None:
    output, kernel, data = (np.array(matrix) for matrix in matrices(scheme))
    for place in range(scheme.places):
        for tap in range(scheme.taps):
            d, g = np.eye(scheme.places)[place], np.eye(scheme.taps)[tap]
            expected = [float(place == start + tap) for start in range(scheme.outputs)]
            assert_same(
                output @ ((kernel @ g) * (data @ d)),
                np.array(expected),
                rtol=0,
                atol=1e-13,
                reason="a dozen roundings in float64 of numbers up to 30",
            )


def test_the_gradient_of_the_weights_exchanges_taps_and_outputs() -> None:
    assert Scheme(4, 3).turned == Scheme(3, 4)
    assert Scheme(4, 3).places == Scheme(4, 3).turned.places == 6


def test_taps_that_read_padding_count_for_nothing() -> None:
    # The data gradient of a kernel as large as its input: most of what Winograd's pieces hold is padding.
    whole = ConvDims.of((64, 128, 5, 5), (768, 128, 5, 5))
    assert choose("data_gradient", whole, "float32").family != "tiles-winograd"
    assert choose("data_gradient", ConvDims.of((8, 128, 17, 17), (64, 128, 5, 5)), "float32").family == (
        "tiles-winograd"
    )


def test_kernels_with_schemes() -> None:
    assert schemes_for((3, 3)) == (Scheme(4, 3), Scheme(4, 3))
    assert schemes_for((5, 5)) == (Scheme(2, 5), Scheme(2, 5))
    assert schemes_for((2, 1, 7)) == (Scheme(1, 1), Scheme(2, 7))
    assert schemes_for((7,)) == (Scheme(1, 1), Scheme(2, 7))
    assert schemes_for((7, 1)) == (Scheme(2, 7), Scheme(1, 1))


@pytest.mark.parametrize("kernel", [(1, 1), (1,), (2, 2), (7, 7), (7, 3), (11, 11), (6, 1)], ids=str)
def test_kernels_without(kernel: tuple[int, ...]) -> None:
    assert schemes_for(kernel) is None
