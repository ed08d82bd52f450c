"""Gabor filters: a wave under a Gaussian, which answers to stripes of one width and direction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError, DtypeError, describe
from tilewright.image.filters import Filter, check_integer, check_number, check_taps

_PARTS = ("real", "imag")


def gabor(
    frequency: float = 0.25,
    theta: float = 0.0,
    bandwidth: float = 1.0,
    sigma_x: float | None = None,
    sigma_y: float | None = None,
    n_stds: float = 3.0,
    offset: float = 0.0,
    part: str = "real",
) -> Filter:
    """A wave under a Gaussian, of two axes, with the arguments of scikit-image's ``gabor_kernel``.

    exp(−½ (u²/σx² + v²/σy²)) / (2π σx σy) · cos(2π·frequency·u + offset), with u = x·cos θ + y·sin θ and
    v = −x·sin θ + y·cos θ; a sine for the imaginary part.

    Args:
        frequency: of the wave, in periods a pixel, above 0.
        theta: its direction in radians; 0: along rows, which answers to vertical stripes.
        bandwidth: in octaves, from which the Gaussian's widths follow where they aren't given.
        sigma_x: standard deviation along the wave, in pixels.
        sigma_y: that across it.
        n_stds: where it is cut off, in standard deviations.
        offset: phase of the wave, in radians.
        part: "real" or "imag".

    Raises:
        DtypeError, ArgumentError: numbers that are none or outside their range.

    >>> gabor(0.25).size
    (15, 15)
    """
    op = "gabor"
    frequency = check_number(frequency, "frequency", op, above=0)
    theta = check_number(theta, "theta", op)
    bandwidth = check_number(bandwidth, "bandwidth", op, above=0, below=64)
    n_stds = check_number(n_stds, "n_stds", op, above=0)
    offset = check_number(offset, "offset", op)
    if not isinstance(part, str) or part not in _PARTS:
        raise ArgumentError(f"{op} needs part to be 'real' or 'imag'.", describe(part=part))
    # The width whose spectrum is half as high an octave-and-a-bit apart (Daugman 1985).
    usual = math.sqrt(math.log(2) / 2) / math.pi * (2**bandwidth + 1) / (2**bandwidth - 1) / frequency
    sigma_x = usual if sigma_x is None else check_number(sigma_x, "sigma_x", op, above=0)
    sigma_y = usual if sigma_y is None else check_number(sigma_y, "sigma_y", op, above=0)
    cosine, sine = math.cos(theta), math.sin(theta)
    reach = (
        max(abs(n_stds * sigma_y * cosine), abs(n_stds * sigma_x * sine), 1.0),
        max(abs(n_stds * sigma_x * cosine), abs(n_stds * sigma_y * sine), 1.0),
    )
    if max(reach) > 1 << 20:
        raise ArgumentError(
            f"{op} needs a width that a picture may have.", describe(sigma_x=sigma_x, sigma_y=sigma_y)
        )
    rows, columns = (math.ceil(one) for one in reach)
    check_taps((2 * rows + 1, 2 * columns + 1), op)
    y, x = np.mgrid[-rows : rows + 1, -columns : columns + 1]
    along, across = x * cosine + y * sine, -x * sine + y * cosine
    hill = np.exp(-0.5 * ((along / sigma_x) ** 2 + (across / sigma_y) ** 2)) / (
        2 * math.pi * sigma_x * sigma_y
    )
    wave = (np.cos if part == "real" else np.sin)(2 * math.pi * frequency * along + offset)
    words = "A Gaussian times a wave along θ (Gabor 1946; in two axes Daugman 1985)."
    return Filter(op, (hill * wave,), words, signed=True)


def gabor_bank(
    frequencies: Sequence[float] = (0.1, 0.2, 0.4), orientations: int = 4, **parameters: Any
) -> list[Filter]:
    """Gabor filters of several frequencies and evenly spaced directions.

    Args:
        frequencies: in periods a pixel.
        orientations: directions from 0 up to (but not) π, for each frequency.
        **parameters: others of :func:`gabor`.

    Returns:
        The filters, by frequency and then by direction.

    Raises:
        DtypeError, ArgumentError: as :func:`gabor`.

    >>> [one.size for one in gabor_bank((0.25, 0.5), 2)]
    [(15, 15), (15, 15), (9, 9), (9, 9)]
    """
    op = "gabor_bank"
    count = check_integer(orientations, "orientations", op, least=1, most=1024)
    if isinstance(frequencies, (str, bytes)) or not isinstance(frequencies, (Sequence, np.ndarray)):
        raise DtypeError(
            f"{op} needs frequencies to be a sequence of numbers.", describe(frequencies=frequencies)
        )
    unknown = sorted(set(parameters) - {"bandwidth", "sigma_x", "sigma_y", "n_stds", "offset", "part"})
    if unknown:
        raise ArgumentError(
            f"{op} takes frequencies, orientations and what gabor takes.", describe(unknown=unknown)
        )
    return [
        gabor(frequency, math.pi * number / count, **parameters)
        for frequency in frequencies
        for number in range(count)
    ]
