"""Filters over time and place: kernels that reach over several frames, on a clip as it streams past."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.functional import conv2d
from tilewright.geometry.axes import as_flag, as_integer
from tilewright.image.borders import check_border, check_cval, check_pixels, fill_border
from tilewright.image.video.numbers import as_number

Array = npt.NDArray[Any]

TIME_BORDERS = ("valid", "nearest", "reflect")
# Frames that are filtered in one call: enough to keep two cores busy, few enough to stay in the caches.
_CHUNK = 8
# A kernel over more frames than this is a slip: two minutes of a film.
_MOST_FRAMES = 4096


def motion_kernel(size: int = 3) -> npt.NDArray[np.float32]:
    """The kernel that sees what moves: the mean of ``size`` × ``size`` pixels now, less that one frame ago.

    Args:
        size: pixels along a side.

    Returns:
        (2, size, size) of float32, (−mean, +mean).

    Raises:
        ArgumentError: ``size`` isn't a number from 1 on.

    >>> motion_kernel(1).tolist()
    [[[-1.0]], [[1.0]]]
    """
    side = as_integer(size, "size", "motion_kernel", least=1)
    if side > _MOST_FRAMES:
        raise ArgumentError(f"motion_kernel needs size to be at most {_MOST_FRAMES}.", describe(size=size))
    mean = np.full((side, side), 1 / (side * side), np.float32)
    return np.stack([-mean, mean])


def temporal_gaussian(
    sigma: float = 1.5, size: int = 3, *, order: int = 1, truncate: float = 3.0
) -> npt.NDArray[np.float32]:
    """A kernel over more frames: a Gaussian in time, or its derivative, and the mean over a square of pixels.

    It sees slower motion than two frames do, and less noise.

    Args:
        sigma: the Gaussian's standard deviation, in frames.
        size: pixels along a side of the square.
        order: 0: the Gaussian, of sum 1, which smooths. 1: its derivative, which is 1 for a picture that
            grows lighter by 1 a frame.
        truncate: where the Gaussian is cut off, in standard deviations.

    Returns:
        (2·⌈truncate·sigma⌉ + 1, size, size) of float32.

    Raises:
        ArgumentError: a number out of range.

    g(t) = exp(−t²/2σ²) and −dg/dt ∝ t·g(t), as cross-correlation weighs the later frames positively.

    >>> temporal_gaussian(1.0, 1).shape
    (7, 1, 1)
    """
    deviation = as_number(sigma, "sigma", "temporal_gaussian", above=0.0)
    cut = as_number(truncate, "truncate", "temporal_gaussian", above=0.0)
    side = as_integer(size, "size", "temporal_gaussian", least=1)
    if order not in (0, 1) or isinstance(order, bool):
        raise ArgumentError("temporal_gaussian needs order to be 0 or 1.", describe(order=order))
    if deviation * cut > _MOST_FRAMES or side > _MOST_FRAMES:
        raise ArgumentError(
            f"temporal_gaussian needs to reach over at most {_MOST_FRAMES} frames and pixels either way.",
            describe(sigma=sigma, truncate=truncate, size=size),
        )
    reach = max(1, math.ceil(deviation * cut))
    time = np.arange(-reach, reach + 1, dtype=np.float64)
    weights = np.exp(-0.5 * (time / deviation) ** 2)
    # Over a ramp t the derivative's answer is Σ t·w(t): made 1.
    weights = weights / weights.sum() if order == 0 else _slope(time * weights, time)
    square = np.full((side, side), 1 / (side * side))
    found: npt.NDArray[np.float32] = (weights[:, None, None] * square).astype(np.float32)
    return found


def _slope(weights: Array, time: Array) -> Array:
    total = float((weights * time).sum())
    if total == 0.0:  # so narrow that the neighbours' weights vanish: the difference of the two is the limit
        weights = np.where(np.abs(time) == 1, np.sign(time), 0.0)
        total = 2.0
    return weights / total


def filter_frames(
    frames: Iterable[Any],
    kernel: Any,
    *,
    time_border: str = "valid",
    border: str = "reflect",
    cval: float = 0.0,
    chunk: int = _CHUNK,
    flip: bool = False,
) -> Iterator[npt.NDArray[np.float32]]:
    """Cross-correlate a stream of frames with a kernel over time and place.

    Answer t is Σ kernel[i, j, k] · frame[t + i − T//2][y + j − H//2, x + k − W//2], as
    ``scipy.ndimage.correlate`` of the stacked frames. A ring of T frames and a few more is kept, however long
    the stream is.

    Args:
        frames: arrays (height, width) or (height, width, channels) of one shape; integers, bools or floats.
            Channels are filtered each by itself.
        kernel: (T, H, W): frames, rows, columns.
        time_border: "valid": answers only where the kernel finds all its frames, T − 1 fewer than there are
            frames. "nearest" and "reflect": as many as frames, the first and last frame standing in for what
            came before and comes after, or the stream mirrored at its ends.
        border: what stands beyond a frame's edges, as of :func:`tilewright.image.filter`.
        cval: the value of the constant border.
        chunk: frames to filter at a time. The answers are the same bits for any.
        flip: convolve rather than cross-correlate: the kernel is turned round in time and place.

    Yields:
        float32 of the frames' shape.

    Raises:
        ShapeError: a kernel that isn't of rank 3 or is empty, or frames of other or changing shapes.
        DtypeError: frames or a kernel of something else than real numbers.
        ArgumentError: an unknown border, or a chunk under 1.

    >>> clip = np.zeros((4, 5, 5)); clip[2:, 2, 2] = 9
    >>> [round(float(answer[2, 2]), 6) for answer in filter_frames(clip, motion_kernel(3))]
    [0.0, 1.0, 0.0]
    """
    op = "filter_frames"
    weights = _checked_kernel(kernel, as_flag(flip, "flip", op))
    if time_border not in TIME_BORDERS:
        raise ArgumentError(
            f"{op} needs time_border to be one of {', '.join(map(repr, TIME_BORDERS))}.",
            describe(time_border=time_border),
        )
    if isinstance(frames, (str, bytes)) or not hasattr(frames, "__iter__") or getattr(frames, "ndim", 3) < 3:
        raise DtypeError(f"{op} needs frames that can be walked through.", describe(frames=frames))
    places = _Places(
        weights,
        check_border(border, op),
        check_cval(cval, op),
        min(as_integer(chunk, "chunk", op, least=1), _MOST_FRAMES),
    )
    before = len(weights) // 2
    after = len(weights) - 1 - before
    padded = frames if time_border == "valid" else _continued(frames, before, after, time_border)
    return places.walk(padded)


def _checked_kernel(kernel: Any, flip: bool) -> npt.NDArray[np.float32]:
    weights = check_pixels(kernel, "kernel", "filter_frames")
    if weights.ndim != 3 or 0 in weights.shape:
        raise ShapeError(
            "filter_frames needs a kernel of rank 3, (frames, rows, columns), none of them 0.",
            describe(kernel=weights),
        )
    if len(weights) > _MOST_FRAMES:
        raise ShapeError(
            f"filter_frames needs a kernel over at most {_MOST_FRAMES} frames.", describe(kernel=weights)
        )
    return np.ascontiguousarray(weights[::-1, ::-1, ::-1] if flip else weights, np.float32)


def _continued(frames: Iterable[Any], before: int, after: int, rule: str) -> Iterator[Any]:
    """The frames with what stands before the first and after the last, holding back no more than it must."""
    stream = iter(frames)
    head: list[Any] = []
    # To mirror `before` frames, that many have to be known; a shorter stream is known as a whole.
    for frame in stream:
        head.append(_kept(frame))
        if len(head) >= max(1, before if rule == "reflect" else 1):
            break
    if not head:
        return
    if rule == "nearest":
        yield from [head[0]] * before
    else:
        yield from [head[_folded(place, len(head))] for place in range(-before, 0)]
    yield from head
    tail = deque(head, maxlen=max(1, after))
    for frame in stream:
        frame = _kept(frame)
        tail.append(frame)
        yield frame
    last = list(tail)
    if rule == "nearest":
        yield from [last[-1]] * after
    else:
        yield from [last[_folded(len(last) + place, len(last))] for place in range(after)]


def _folded(place: int, size: int) -> int:
    place %= 2 * size
    return min(place, 2 * size - 1 - place)


def _kept(frame: Any) -> Any:
    """A frame that stays as it is even if its maker writes the next one into the same memory."""
    return frame.copy() if isinstance(frame, np.ndarray) else frame


class _Places:
    """The filter itself: a ring of padded planes, and one compiled call for a chunk of answers.

    The T frames of an answer are T input channels of a two-dimensional convolution, and the answers of a
    chunk are its batch: a view of the ring in which neighbours share frames, so that nothing is copied. A
    sample's answer is the same bits whatever batch it comes in, so the chunk doesn't show.
    """

    def __init__(self, weights: npt.NDArray[np.float32], border: str, cval: float, chunk: int) -> None:
        self._weights, self._border, self._cval, self._chunk = weights, border, cval, chunk

    def walk(self, frames: Iterable[Any]) -> Iterator[npt.NDArray[np.float32]]:
        reach = len(self._weights)
        ring: Array | None = None
        shape: tuple[int, ...] = ()
        filled = 0
        for number, frame in enumerate(frames):
            pixels = check_pixels(frame, "frames", "filter_frames")
            if ring is None:
                shape = pixels.shape
                ring = self._ring(pixels)
            if pixels.shape != shape:
                raise ShapeError(
                    f"filter_frames needs frames of one shape, here {shape}.",
                    f"{describe(frame=pixels)}, frame {number}",
                )
            self._store(ring[filled], pixels)
            filled += 1
            if filled == len(ring):
                yield from self._answers(ring, self._chunk, shape)
                ring[: reach - 1] = ring[self._chunk :]
                filled = reach - 1
        if ring is not None and filled >= reach:
            yield from self._answers(ring, filled - reach + 1, shape)

    def _ring(self, pixels: Array) -> Array:
        if pixels.ndim not in (2, 3) or 0 in pixels.shape:
            raise ShapeError(
                "filter_frames needs frames (height, width) or (height, width, channels), none of them 0.",
                describe(frame=pixels),
            )
        reach, rows, columns = self._weights.shape
        channels = pixels.shape[2] if pixels.ndim == 3 else 1
        height, width = pixels.shape[:2]
        return np.empty(
            (self._chunk + reach - 1, channels, height + rows - 1, width + columns - 1), np.float32
        )

    def _store(self, planes: Array, pixels: Array) -> None:
        _, rows, columns = self._weights.shape
        top, left = rows // 2, columns // 2
        height, width = pixels.shape[:2]
        with np.errstate(over="ignore", invalid="ignore"):  # a float64 beyond float32 is infinite there
            planes[:, top : top + height, left : left + width] = (
                pixels if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)
            )
        fill_border(planes, 1, top, top + height, self._border, self._cval)
        fill_border(planes, 2, left, left + width, self._border, self._cval)

    def _answers(self, ring: Array, count: int, shape: tuple[int, ...]) -> Iterator[npt.NDArray[np.float32]]:
        reach = len(self._weights)
        _, channels, *plane = ring.shape
        frame, channel, row, column = ring.strides
        windows = np.lib.stride_tricks.as_strided(
            ring, (count * channels, reach, *plane), (channel, frame, row, column), writeable=False
        )
        found = conv2d(windows, self._weights[None])
        found = found.reshape(count, channels, *shape[:2])
        for answer in found:
            yield answer[0] if len(shape) == 2 else np.ascontiguousarray(np.moveaxis(answer, 0, 2))
