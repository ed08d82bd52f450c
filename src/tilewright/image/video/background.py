"""What a scene looks like with nothing moving: the median, at each pixel, of frames before and after."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.image.rank_blocks import of_rank
from tilewright.image.video.exposure import fit

Array = npt.NDArray[Any]

# Samples are kept in 16ths of a grey level: finer than any camera, and twice as fast to sort as float32.
_STEPS = 16.0
_MOST = np.iinfo(np.int16).max / _STEPS


def percentile(samples: Array, share: float = 0.5) -> Array:
    """At each pixel, the sample of a rank: for half, the median (the upper one of an even number).

    Args:
        samples: (samples, …), the samples along the first axis.
        share: 0 for the smallest, 1 for the largest.

    >>> percentile(np.array([[1, 9], [3, 2], [2, 2]]))
    array([2, 2])
    """
    count = len(samples)
    rank = min(int(share * count), count - 1)
    if count == 1:
        alone: Array = samples[0].copy()
        return alone
    # One window as tall as the list of samples; pixels are its columns.
    flat = np.ascontiguousarray(samples).reshape(count, -1)
    places = tuple((place, 0) for place in range(count))
    found: Array = of_rank(flat, (count, 1), places, rank, False)
    return found.reshape(samples.shape[1:])


class Background:
    """The still scene, from a sliding set of frames, all brought to one exposure.

    Args:
        samples: how many frames are kept.
        share: which of the sorted samples is the scene: 0.5 for the median.
    """

    def __init__(self, samples: int, share: float = 0.5) -> None:
        self._kept: deque[Array] = deque(maxlen=samples)
        self._share = share
        self._still: Array | None = None

    def __len__(self) -> int:
        """How many samples there are."""
        return len(self._kept)

    def start(self, samples: list[Array]) -> Array:
        """The scene from the first samples, (channels, height, width) each, whatever their exposures.

        Twice: the first median is of several exposures, and serves to bring the samples to one.
        """
        rough = percentile(np.stack(samples), self._share)
        self._kept.extend(_stored(fit(planes, rough).undo(planes)) for planes in samples)
        self._still = None
        return self.still()

    def add(self, planes: Array) -> None:
        """Take a further sample in; the oldest leaves."""
        still = self.still()
        self._kept.append(_stored(fit(planes, still).undo(planes)))
        self._still = None

    def still(self) -> Array:
        """The scene, (channels, height, width) of float32."""
        if self._still is None:
            middle = percentile(np.stack(self._kept), self._share)
            self._still = middle.astype(np.float32) / np.float32(_STEPS)
        return self._still


def _stored(planes: Array) -> Array:
    # Exposures undone go beyond 0 and 255, and a fit gone astray beyond anything.
    return np.rint(np.clip(planes, -_MOST, _MOST) * _STEPS).astype(np.int16)
