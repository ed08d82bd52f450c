"""Receptive fields: which input samples an output of a chain of layers can see.

A layer maps a range of its output to the range of its input that those outputs read. Composing the maps
from the last layer to the first gives the field exactly, strides, dilations, padding and transposed layers
(input dilation) included, with no rounding.

Source: the recurrence r ← r + (k−1)·j, j ← j·s of Araujo, Norris and Sim, "Computing Receptive Fields of
Convolutional Neural Networks", Distill 2019, extended to transposed layers by composing ranges.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tilewright.errors import ArgumentError, describe
from tilewright.geometry.axes import LARGEST, as_flag, as_integer, ceil_div
from tilewright.geometry.conv import ConvDims
from tilewright.geometry.pool import PoolDims


@dataclass(frozen=True)
class Window:
    """What one layer does along one axis.

    Output o reads the inputs (o·stride + t·dilation − before)/input_dilation that are whole.

    Raises:
        ArgumentError: ``before`` is no integer, or another is none of at least 1.
    """

    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    input_dilation: int = 1

    def __post_init__(self) -> None:
        for name in ("kernel", "stride", "dilation", "input_dilation"):
            as_integer(getattr(self, name), name, "Window", least=1)
        as_integer(self.before, "before", "Window", least=-LARGEST)

    def reads(self, first: int, last: int) -> tuple[int, int]:
        """First and last input sample that outputs ``first`` … ``last`` read, padding counted."""
        low = first * self.stride - self.before
        high = last * self.stride - self.before + self.dilation * (self.kernel - 1)
        return ceil_div(low, self.input_dilation), high // self.input_dilation


@dataclass(frozen=True)
class ReceptiveField:
    """The receptive field of a chain of windows along one axis.

    Attributes:
        size: the most input samples any output sees.
        stride: how many input samples lie between neighbouring outputs (a fraction after up-sampling).
        offset: where the centre of output 0's field lies, in input samples (negative in the padding).
    """

    size: int
    stride: Fraction
    offset: Fraction

    def centre(self, index: int) -> Fraction:
        """Centre of the field of output ``index``, in input samples."""
        return self.offset + index * self.stride


def field_of(chain: Iterable[Window], index: int) -> tuple[int, int]:
    """First and last input sample that output ``index`` of the chain (first layer first) can see.

    Raises:
        ArgumentError: ``chain`` isn't one of :class:`Window` values, or ``index`` is no integer.

    >>> field_of([Window(3), Window(3)], 4)
    (4, 8)
    """
    first = last = as_integer(index, "index", "field_of", least=-LARGEST)
    for window in reversed(_windows(chain, "field_of")):
        first, last = window.reads(first, last)
    return first, last


def receptive_field(chain: Iterable[Window]) -> ReceptiveField:
    """Size, stride and offset of a chain of windows along one axis.

    Raises:
        ArgumentError: a window of the chain is not a :class:`Window`.

    >>> receptive_field([Window(2), Window(2)])
    ReceptiveField(size=3, stride=Fraction(1, 1), offset=Fraction(1, 1))
    """
    windows = _windows(chain, "receptive_field")
    stride, period = Fraction(1), 1
    for window in windows:
        stride *= Fraction(window.stride, window.input_dilation)
        period *= window.input_dilation
    # Up-sampling makes the field's size repeat over the outputs; one period shows every size there is.
    fields = [field_of(windows, index) for index in range(period)]
    size = max(max(last - first + 1, 0) for first, last in fields)
    # The centre is affine in the index: each layer maps a centre c to (c·s − before + reach/2)/e.
    centre = Fraction(0)
    for window in reversed(windows):
        middle = Fraction(window.dilation * (window.kernel - 1), 2)
        centre = (centre * window.stride - window.before + middle) / window.input_dilation
    return ReceptiveField(size, stride, centre)


def _windows(chain: Any, op: str) -> list[Window]:
    try:
        windows = list(chain)
    except TypeError:
        raise ArgumentError(f"{op} needs a chain of Window values.", describe(chain=chain)) from None
    for window in windows:
        if not isinstance(window, Window):
            raise ArgumentError(f"{op} needs a chain of Window values.", describe(window=window))
    return windows


def windows_of(dims: ConvDims | PoolDims, *, transposed: bool = False) -> tuple[Window, ...]:
    """One :class:`Window` per spatial axis of a geometry; ``transposed`` for a transposed convolution's.

    Raises:
        ArgumentError: ``dims`` is no geometry.
    """
    if not isinstance(dims, (ConvDims, PoolDims)):
        raise ArgumentError("windows_of needs dims to be a ConvDims or a PoolDims.", describe(dims=dims))
    transposed = as_flag(transposed, "transposed", "windows_of")
    if isinstance(dims, PoolDims):
        spread: tuple[int, ...] = (1,) * dims.rank
    else:
        dims = dims.adjoint() if transposed else dims
        spread = dims.input_dilation
    return tuple(
        Window(k, s, d, before, e)
        for k, s, d, (before, _), e in zip(
            dims.kernel, dims.stride, dims.dilation, dims.padding, spread, strict=True
        )
    )
