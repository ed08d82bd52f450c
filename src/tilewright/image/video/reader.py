"""Clips, frame by frame: one frame in memory at a time, however long the clip is."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, FileFormatError, describe, need_extra
from tilewright.files import as_path, open_regular
from tilewright.geometry.axes import as_flag, as_integer
from tilewright.image.video.damage import check_not_empty, complete
from tilewright.image.video.decoding import MAX_PIXELS, Decoder
from tilewright.image.video.picture import upright

Array = npt.NDArray[np.uint8]

#: A decoder that has been fed so many packets and gave no frame is being led astray.
_MOST_BARREN = 10_000


class Frame(NamedTuple):
    """One frame of a clip.

    Attributes:
        number: its place in the clip, from 0, in the order in which frames are shown.
        time: seconds from the beginning of the clip.
        pixels: (height, width, 3) of uint8, or (height, width) of grey.
    """

    number: int
    time: float
    pixels: Array


@dataclass(frozen=True, eq=False, repr=False)
class Video:
    """A clip that is read as it is walked through; made by :func:`read_video`.

    ``for pixels in video`` gives arrays, :meth:`timed` the same with their numbers and times. Each walk opens
    the file anew and closes it when it ends; ``with read_video(…) as video:`` closes walks that were left
    early.

    Attributes:
        path: the file.
        height, width: of the frames as they come, turned upright, in pixels.
        fps: frames a second, on average where the rate changes.
        frames: how many the file says it has, or None where it doesn't. Of the whole clip, whatever
            ``start``, ``stop`` and ``step``.
        duration: seconds, or None where the file doesn't say.
        rotation: degrees clockwise by which the stored frames are turned to stand upright: 0, 90, 180 or 270.
        format, codec: their names, such as "mp4" and "h264".
        start, stop, step: which frames are given.
        grey: whether frames are (height, width).
    """

    path: Path
    height: int
    width: int
    fps: float
    frames: int | None
    duration: float | None
    rotation: int
    format: str
    codec: str
    start: int = 0
    stop: int | None = None
    step: int = 1
    grey: bool = False
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        object.__setattr__(self, "_walks", [])

    def __iter__(self) -> Iterator[Array]:
        """The frames' pixels, one after the other."""
        return (frame.pixels for frame in self.timed())

    def timed(self) -> Iterator[Frame]:
        """The frames with their numbers and times.

        Raises:
            FileFormatError: the file is damaged or cut short. The frames before that have been given.
        """
        walk = self._walk()
        walks: list[Any] = self.__dict__["_walks"]
        walks.append(walk)
        return walk

    def close(self) -> None:
        """Close the walks that were left before their end."""
        walks: list[Any] = self.__dict__["_walks"]
        while walks:
            walks.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        """``Video('cars.mp4', 768 × 432, 12.5 frames a second, 377 frames)``."""
        count = "" if self.frames is None else f", {self.frames} frames"
        return f"Video({str(self.path)!r}, {self.width} × {self.height}, {self.fps:g} frames a second{count})"

    def _walk(self) -> Iterator[Frame]:
        with contextlib.closing(_open(self.path, self.max_pixels)) as decoder:
            barren = number = 0
            for found in decoder:
                if found is None:
                    barren += 1
                    if barren > _MOST_BARREN:
                        raise FileFormatError(
                            f"Video file {str(self.path)!r} is damaged.",
                            f"{barren:,} packets in a row that hold no frame",
                        )
                    continue
                barren = 0
                if self.stop is not None and number >= self.stop:
                    return
                if number >= self.start and (number - self.start) % self.step == 0:
                    pixels = upright(decoder.pixels(found, self.grey), self.rotation)
                    if pixels.shape[:2] != (self.height, self.width):
                        raise FileFormatError(
                            f"Video file {str(self.path)!r} needs frames of one size, "
                            f"{self.width} × {self.height}.",
                            f"{pixels.shape[1]} × {pixels.shape[0]} in frame {number}",
                        )
                    yield Frame(number, decoder.time_of(found, number), pixels)
                number += 1
            complete(self.path, number, decoder)


def read_video(
    path: str | os.PathLike[str],
    *,
    start: int = 0,
    stop: int | None = None,
    step: int = 1,
    grey: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Video:
    """Open a clip: MP4, MOV, GIF, WebM, Matroska, AVI, MPEG or animated PNG, by its content.

    Memory is that of a few frames, whatever the clip's length. A rotation that a telephone has noted is
    carried out; transparent pixels of a GIF show white; frames of changing durations come with their times.

    Args:
        path: the file.
        start: the number of the first frame, from 0. Those before it are decoded, too, as later ones build on
            them.
        stop: the number of the frame to stop before; None: all.
        step: take every frame of so many.
        grey: give (height, width) by luminance, rather than red, green and blue.
        max_pixels: frames of more are refused before there is memory for them.

    Returns:
        The clip; walking through it gives (height, width, 3) of uint8.

    Raises:
        ArgumentError: there is no such file, or a number is out of range.
        DtypeError: ``path`` or ``grey`` isn't one.
        FileFormatError: not a clip, without pictures in it, damaged, or too large.
        MissingExtraError: PyAV isn't installed.

    >>> for frame in read_video("cars.mp4", step=2).timed():          # doctest: +SKIP
    ...     print(frame.number, frame.time, frame.pixels.shape)
    0 0.0 (432, 768, 3)
    """
    owner = "read_video"
    target = as_path(path, owner)
    first = as_integer(start, "start", owner, least=0)
    end = None if stop is None else as_integer(stop, "stop", owner, least=0)
    stride = as_integer(step, "step", owner, least=1)
    most = as_integer(max_pixels, "max_pixels", owner, least=1)
    is_grey = as_flag(grey, "grey", owner)
    if most > MAX_PIXELS:
        raise ArgumentError(
            f"read_video needs max_pixels to be at most {MAX_PIXELS:,}, more than any screen has.",
            describe(max_pixels=max_pixels),
        )
    with open_regular(target, owner) as file:
        check_not_empty(target, file)
    with contextlib.closing(_open(target, most)) as decoder:
        rotation = decoder.rotation()
        height, width = decoder.height, decoder.width
        if rotation % 180:
            height, width = width, height
        return Video(
            path=target,
            height=height,
            width=width,
            fps=decoder.fps,
            frames=decoder.frames,
            duration=decoder.duration,
            rotation=rotation,
            format=decoder.format,
            codec=decoder.codec,
            start=first,
            stop=end,
            step=stride,
            grey=is_grey,
            max_pixels=most,
        )


def _open(path: Path, max_pixels: int) -> Decoder:
    try:
        import av
    except ImportError as error:
        raise need_extra("av", "video", "read_video") from error
    return Decoder(av, path, max_pixels)
