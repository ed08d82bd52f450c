"""Sampling an axis anew at another size: where each output sample lies, in the input's coordinates.

Samples are the middles of cells. With ``scale`` output samples to one input sample, output o has its middle
at (o + ½)/scale − ½; with ``align_corners`` the first and last samples of both lie on each other instead, and
output o at o·(n − 1)/(m − 1). The kinds, each applied along every spatial axis in turn:

=============  ==================================================================================
nearest        input ⌊o/scale⌋: the first sample of the cell (as in PyTorch and OpenCV)
nearest-exact  input ⌊(o + ½)/scale⌋: the sample in whose cell the middle lies (Pillow, scikit-image)
linear         the two neighbours, by distance
cubic          the four neighbours, by Keys' kernel with a = −0.75; the ends repeated
area           the mean of the inputs ⌊o·n/m⌋ … ⌈(o + 1)·n/m⌉ − 1 (adaptive average pooling)
=============  ==================================================================================

R. Keys, "Cubic convolution interpolation for digital image processing", IEEE Trans. ASSP 29 (1981).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from numbers import Real
from typing import Any

from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.geometry.axes import LARGEST, as_integer

#: Each name that ``mode`` takes: the kind, and the number of spatial axes it is for (None: any).
MODES: dict[str, tuple[str, int | None]] = {
    "nearest": ("nearest", None),
    "nearest-exact": ("nearest-exact", None),
    "linear": ("linear", None),
    "bilinear": ("linear", 2),
    "trilinear": ("linear", 3),
    "cubic": ("cubic", None),
    "bicubic": ("cubic", 2),
    "area": ("area", None),
}
#: The kinds that only move samples: these take any dtype.
MOVING = ("nearest", "nearest-exact")
#: The kinds for which the ends may be aligned, and wide windows used against aliasing.
SMOOTH = ("linear", "cubic")

# Two fractions with denominators up to this lie at least 10⁻¹² apart.
_DENOMINATOR = 10**6


@dataclass(frozen=True)
class AxisSampling:
    """How one axis is sampled.

    Attributes:
        size: input samples, ≥ 1.
        output: output samples, ≥ 1.
        kind: one of the kinds above.
        align_corners: whether the first and last samples lie on each other.
        antialias: whether windows grow as the output shrinks.
        scale: output samples to one input sample where that isn't ``output/size``; None where it is.
    """

    size: int
    output: int
    kind: str
    align_corners: bool = False
    antialias: bool = False
    scale: float | None = None

    def cells(self) -> tuple[int, int, int]:
        """For the nearest kinds: (step, start, divisor), so that output o takes ⌊(o·step + start)/divisor⌋.

        That is exact; it may exceed the last input, which is then taken.

        >>> step, start, divisor = AxisSampling(4, 6, "nearest-exact").cells()
        >>> [(o * step + start) // divisor for o in range(6)]
        [0, 1, 1, 2, 3, 3]
        """
        scale = Fraction(self.output, self.size) if self.scale is None else _as_written(self.scale)
        start = scale.denominator if self.kind == "nearest-exact" else 0
        return 2 * scale.denominator, start, 2 * scale.numerator


def _as_written(factor: float) -> Fraction:
    """The fraction that a factor stands for: 1.1 for 11/10 and 5/3 for 5/3, which no binary number is.

    So ⌊o/scale⌋ is what the caller meant. It is the nearest one with a small denominator, or where the factor
    is under 1, with a small numerator.
    """
    exact = Fraction(factor)
    return (
        exact.limit_denominator(_DENOMINATOR)
        if factor >= 1
        else 1 / (1 / exact).limit_denominator(_DENOMINATOR)
    )


def sampling_of(
    spatial: tuple[int, ...],
    *,
    size: Any,
    scale_factor: Any,
    mode: Any,
    align_corners: Any,
    recompute_scale_factor: Any,
    antialias: Any,
    op: str,
) -> tuple[AxisSampling, ...]:
    """What the arguments of ``interpolate`` say for an input of sizes ``spatial``, one value per axis.

    Raises:
        ArgumentError: an argument outside its rule, or arguments that contradict each other.
        ShapeError: an axis without samples, or an output that has none.

    >>> sampling_of(
    ...     (5,), size=None, scale_factor=2.5, mode="nearest", align_corners=None,
    ...     recompute_scale_factor=None, antialias=False, op="interpolate",
    ... )[0].output
    12
    """
    rank = len(spatial)
    kind, aligned, wide = check_mode(mode, align_corners, antialias, rank, op)
    recompute = _flag(recompute_scale_factor, "recompute_scale_factor", op)
    if (size is None) == (scale_factor is None):
        raise ArgumentError(
            f"{op} needs either size or scale_factor.", describe(size=size, scale_factor=scale_factor)
        )
    if min(spatial) < 1:
        raise ShapeError(
            f"{op} needs at least one sample on every spatial axis.", f"spatial axes of sizes {spatial}"
        )
    scales: tuple[float | None, ...] = (None,) * rank
    if size is not None:
        if recompute:
            raise ArgumentError(
                f"{op} takes recompute_scale_factor with scale_factor only.",
                describe(size=size, recompute_scale_factor=recompute_scale_factor),
            )
        outputs = output_sizes(size, rank, op)
    else:
        factors = scale_factors(scale_factor, rank, op)
        outputs = tuple(_scaled(n, factor, op) for n, factor in zip(spatial, factors, strict=True))
        # The mean over areas, as adaptive pooling, knows sizes only.
        if not recompute and kind != "area":
            scales = tuple(
                # An axis that keeps its size is left as it is, whatever was left over of its factor.
                None if n == m else factor
                for n, m, factor in zip(spatial, outputs, factors, strict=True)
            )
    return tuple(
        AxisSampling(n, m, kind, aligned, wide, scale)
        for n, m, scale in zip(spatial, outputs, scales, strict=True)
    )


def check_mode(
    mode: Any, align_corners: Any, antialias: Any, rank: int | None, op: str
) -> tuple[str, bool, bool]:
    """The kind, whether corners are aligned, and whether against aliasing; ``rank`` None fits any mode.

    Raises:
        ArgumentError: an unknown mode, one for another number of axes, or a flag that the mode doesn't take.
    """
    if not isinstance(mode, str) or mode not in MODES:
        known = ", ".join(repr(name) for name in MODES)
        raise ArgumentError(f"{op} needs mode to be one of {known}.", describe(mode=mode))
    kind, wanted = MODES[mode]
    if None not in (rank, wanted) and rank != wanted:
        raise ArgumentError(
            f"{op} with mode {mode!r} is for {wanted} spatial axes.",
            f"{rank} spatial axes",
            f"For any number of them: mode={kind!r}.",
        )
    if align_corners is not None and kind not in SMOOTH:
        raise ArgumentError(
            f"{op} takes align_corners with the linear and cubic modes only.",
            describe(mode=mode, align_corners=align_corners),
        )
    wide = _flag(antialias, "antialias", op)
    if wide and kind not in SMOOTH:
        raise ArgumentError(
            f"{op} takes antialias with the linear and cubic modes only.",
            describe(mode=mode, antialias=antialias),
        )
    return kind, _flag(align_corners, "align_corners", op), wide


def output_sizes(size: Any, rank: int, op: str) -> tuple[int, ...]:
    """``size`` as one integer of at least 1 per axis."""
    listed = _listed(size, rank, "size", "an integer", "integers", op)
    return tuple(as_integer(item, "size", op, least=1) for item in listed)


def scale_factors(scale_factor: Any, rank: int, op: str) -> tuple[float, ...]:
    """``scale_factor`` as one finite number above 0 per axis."""
    return tuple(
        _factor(item, scale_factor, op)
        for item in _listed(scale_factor, rank, "scale_factor", "a number", "numbers", op)
    )


def _factor(item: Any, scale_factor: Any, op: str) -> float:
    # A float32 of NumPy is a Real, too; bools and texts aren't numbers here.
    if isinstance(item, Real) and not isinstance(item, bool):
        try:
            number = float(item)
        except OverflowError:
            number = math.inf
        if 0 < number < math.inf:
            return number
    raise ArgumentError(
        f"{op} needs scale_factor to be a finite number above 0.", describe(scale_factor=scale_factor)
    )


def _listed(value: Any, rank: int, name: str, one: str, many: str, op: str) -> tuple[Any, ...]:
    if not isinstance(value, (tuple, list)):
        return (value,) * rank
    if len(value) != rank:
        raise ArgumentError(
            f"{op} needs {name} to be {one} or {rank} {many}, one per spatial axis.",
            describe(**{name: value}),
        )
    return tuple(value)


def _scaled(n: int, factor: float, op: str) -> int:
    product = n * factor
    if not 1 <= product <= LARGEST:
        raise ShapeError(
            f"{op} needs scale_factor to give at least one sample, and fewer than 2**63.",
            f"scale_factor={factor:g} for {n} samples",
        )
    return math.floor(product)


def _flag(value: Any, name: str, op: str) -> bool:
    if value is not None and not isinstance(value, bool):
        raise ArgumentError(f"{op} needs {name} to be True or False.", describe(**{name: value}))
    return bool(value)
