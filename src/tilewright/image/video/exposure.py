"""How a camera's exposure changes between a frame and a picture of the same still scene."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Of a plane, about this many pixels are looked at: enough for gains to within some thousandths.
_LOOKED_AT = 2500
# A pixel further than this many deviations off belongs to something that moves. The first steps cut closer,
# so that a large object of its own brightness doesn't drag the line along.
_CUTS = (1.5, 1.5, 2.0, 2.5, 2.5)
# Frames of palettes repeat pixels exactly, so that the spread of most is 0; nothing is known better than
# this.
_LEAST_SPREAD = 0.5
# From here on a camera of 8 bits may have clipped, and what it saw is not known.
WHITE, BLACK = 250.0, 3.0
# What auto-exposure does between darkest and lightest, as a factor; a wider one is a fit gone astray.
_MOST_GAIN = 8.0


class Exposure(NamedTuple):
    """frame ≈ gain · still + offset, for each channel.

    Attributes:
        gain, offset: (channels,) of float64.
        spread: the standard deviation of what is left, as of a normal distribution, from its median.
        share: of the pixels looked at, those that follow the line.
    """

    gain: Array
    offset: Array
    spread: Array
    share: Array

    def undo(self, planes: Array) -> Array:
        """The frame as it were under the still picture's exposure: (frame − offset) / gain, of float32."""
        scale = (1.0 / self.gain).astype(np.float32)[:, None, None]
        shift = (-self.offset / self.gain).astype(np.float32)[:, None, None]
        found: Array = planes * scale
        found += shift
        return found


def fit(planes: Array, still: Array) -> Exposure:
    """The gain and the offset that carry ``still`` over into ``planes``, whatever moves in front of it.

    Least squares over the pixels that follow the line, found in a few rounds: the spread of what is left is
    taken from its median (Rousseeuw and Leroy, "Robust Regression and Outlier Detection", 1987), and pixels
    beyond some spreads are left out of the next round. Right while less than half of the frame moves.

    Args:
        planes: (channels, height, width) of float32, grey levels of 0 to 255.
        still: the same scene with nothing moving.

    >>> still = np.linspace(40, 200, 400, dtype=np.float32).reshape(1, 20, 20)
    >>> found = fit(0.5 * still + 30, still)
    >>> round(float(found.gain[0]), 2), round(float(found.offset[0]), 1)
    (0.5, 30.0)
    """
    channels, height, width = planes.shape
    step = max(1, int(np.sqrt(height * width / _LOOKED_AT)))
    # From the middle of each square, so that a frame of few pixels has all of them looked at.
    seen = np.s_[:, step // 2 :: step, step // 2 :: step]
    y = planes[seen].reshape(channels, -1)
    x = still[seen].reshape(channels, -1)
    lines = [_line(x[channel], y[channel]) for channel in range(channels)]
    gain, offset, spread, share = (np.array(column) for column in zip(*lines, strict=True))
    return Exposure(gain, offset, spread, share)


def _line(x: Array, y: Array) -> tuple[float, float, float, float]:
    known = (y < WHITE) & (x < WHITE) & (y > BLACK)
    # A frame that is white or black all over tells nothing of its gain.
    if np.count_nonzero(known) < max(2, len(x) // 20):
        known = np.ones(len(x), np.bool_)
    x, y = x[known], y[known]
    gain, offset = 1.0, _median(y - x)
    spread, kept = _LEAST_SPREAD, np.ones(len(x), np.bool_)
    for cut in _CUTS:
        left = y - (np.float32(gain) * x + np.float32(offset))
        np.abs(left, out=left)
        # 1.4826: the standard deviation of a normal distribution over its median absolute deviation.
        spread = 1.4826 * _median(left)
        kept = left <= cut * max(spread, _LEAST_SPREAD)
        gain, offset = _least_squares(x[kept], y[kept])
    return gain, offset, spread, float(np.mean(kept))


def _median(values: Array) -> float:
    # The upper one of an even number. NumPy sorts float32 by vector instructions, and selects without them.
    return float(np.sort(values)[len(values) // 2])


def _least_squares(x: Array, y: Array) -> tuple[float, float]:
    count = len(x)
    mean_x, mean_y = float(x.sum(dtype=np.float64)) / count, float(y.sum(dtype=np.float64)) / count
    apart = x - np.float32(mean_x)
    square = float(apart @ apart)
    # A wall of one grey has no slope to find: then the offset alone is fitted. One grey level of contrast for
    # each pixel, in squares, draws the slope of an almost even wall towards 1.
    gain = (float(apart @ (y - np.float32(mean_y))) + count) / (square + count)
    gain = min(max(gain, 1 / _MOST_GAIN), _MOST_GAIN)
    return gain, mean_y - gain * mean_x
