"""What a window operation over few channels computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tilewright.geometry import ConvDims
from tilewright.kernel.tiles.convolve import Program

Steps = tuple[int, ...]

# A unit does at least so many products: some 10 µs, and what the first of its items reads isn't asked for
# ahead …
WORK = 1 << 20
# … if there are at least so many units, which several threads can share evenly.
UNITS = 32
#: Bytes of a line of cache.
CACHE_LINE = 64
# Outputs from so many bytes on are written past the caches. They would not stay there until they are read,
# and lines of cache need not be read from memory to be overwritten. (Copies of 13 MB each were as fast
# either way on a core with its share of 32 MB, of 26 MB 1.5 times as fast.)
PAST_BYTES = 8 << 20


@dataclass(frozen=True)
class Problem:
    """What is computed.

    Attributes:
        dims: a geometry in forward form; of a data gradient, its adjoint.
        dtype: of all arrays.
        x_steps: strides of the array that is read, in elements.
        y_steps: those of the array that is written.
        backwards: the weights are those of the forward geometry, from which a data gradient is made.
        by_channels: vectors along the channels; depthwise without multiplier, channels innermost.
        activation: applied as outputs are stored.
        slope: leaky ReLU's.
        turned: as ``by_channels``, but of planes without gaps, which are turned: channels innermost.
        aligned: whether what is written begins at a multiple of a vector's bytes.
        stored: of what kind of halves the two arrays are, if they are; the weights aren't.
        finite: products with zeros of padding need not be computed: no weight is infinite or NaN, or the
            definition has none.
    """

    dims: ConvDims
    dtype: str
    x_steps: Steps
    y_steps: Steps
    backwards: bool
    by_channels: bool
    activation: str = "none"
    slope: float = 0.0
    turned: bool = False
    aligned: bool = False
    stored: str = ""
    finite: bool = False

    @property
    def lying(self) -> int:
        """Bytes of a number of the two arrays."""
        return 2 if self.stored else np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class WeightProblem:
    """What is computed: the forward geometry, strides of x and of y's gradient in elements.

    ``stored``: of what kind of halves the two are, if they are; the weights' gradient isn't.
    ``part`` is what x is multiplied as if NaN is missing there, see :mod:`.pack`.
    """

    dims: ConvDims
    dtype: str
    x_steps: Steps
    g_steps: Steps
    by_channels: bool
    turned: bool = False
    stored: str = ""
    part: str = ""


@dataclass(frozen=True)
class WeightProgram:
    """A program, and how many shares of the sum it gives. Each is as large as the weights.

    Along the channels a share is (taps, channels) with ``padded`` channels.
    """

    program: Program
    shares: int
    padded: int


def without_gaps(sizes: Sequence[int]) -> list[int]:
    """Steps of an array of these sizes in C order.

    >>> without_gaps([4, 7])
    [7, 1]
    """
    steps = [1]
    for size in reversed(sizes[1:]):
        steps.append(steps[-1] * size)
    return steps[::-1]
