"""Receptive fields of chains, against a search that follows every tap."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.errors import ArgumentError
from tilewright.geometry import ConvDims, PoolDims, Window, field_of, receptive_field, windows_of

_windows = st.builds(
    Window,
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 3),
    before=st.integers(-1, 3),
    input_dilation=st.just(1),
)


def _search(chain: list[Window], index: int) -> set[int]:
    """Follows every tap of every layer back to the input."""
    seen = {index}
    for window in reversed(chain):
        reached = set()
        for o in seen:
            for t in range(window.kernel):
                place = o * window.stride + t * window.dilation - window.before
                if place % window.input_dilation == 0:
                    reached.add(place // window.input_dilation)
        seen = reached
    return seen


@given(st.lists(_windows, max_size=4), st.integers(0, 5))
def test_field_covers_what_the_taps_reach(chain: list[Window], index: int) -> None:
    seen = _search(chain, index)
    assert field_of(chain, index) == (min(seen), max(seen))
    field = receptive_field(chain)
    assert field.size == max(seen) - min(seen) + 1
    assert field.centre(index) == Fraction(min(seen) + max(seen), 2)


def test_two_small_kernels_see_all_nine() -> None:
    assert receptive_field([Window(2), Window(2)]).size == 3


def test_resnet_stem() -> None:
    """7×7 stride 2 then a 3×3 stride 2 pool: 11 pixels, 4 apart (Araujo et al., Distill 2019)."""
    conv = ConvDims.of((1, 3, 224, 224), (64, 3, 7, 7), stride=2, padding=3)
    pool = PoolDims.of(conv.output_shape, 3, stride=2, padding=1)
    field = receptive_field([windows_of(conv)[0], windows_of(pool)[0]])
    assert (field.size, field.stride, field.offset) == (11, 4, 0)


def test_up_sampling_gives_fractions() -> None:
    up = ConvDims.of_transposed((1, 1, 8), (1, 1, 4), stride=2, padding=1)
    field = receptive_field(windows_of(up, transposed=True))
    assert field.stride == Fraction(1, 2)
    # A kernel of 4 spread over a stride of 2 reaches two input samples from every output.
    assert field.size == 2
    assert field.offset == Fraction(-1, 4)


def test_only_windows() -> None:
    with pytest.raises(ArgumentError, match=r"a chain of Window values. Received: window=3"):
        receptive_field([3])  # type: ignore[list-item]
