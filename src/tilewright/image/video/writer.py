"""Clips written frame by frame, of any length; the name shows the old file or all of the new one."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, DtypeError, ShapeError, StateError, describe, need_extra
from tilewright.files import as_path
from tilewright.image.video.decoding import MAX_PIXELS
from tilewright.image.video.encoding import FORMATS, Encoder
from tilewright.image.video.numbers import as_number

Array = npt.NDArray[Any]

#: The ends of names that clips are written under.
VIDEO_SUFFIXES = tuple(FORMATS)
# A rate of frames that something can show.
_MOST_FPS = 1000.0


class VideoWriter:
    """Writes a clip as its frames come; a context manager.

    The frames go to a fresh neighbour of the file, which takes the name when the clip is closed. A block that
    raises leaves the old file as it was; Ctrl-C, however, closes the clip with the frames that it has by
    then.

    Args:
        path: .mp4, .m4v, .mov, .mkv (H.264), .webm (VP9), .avi (MPEG-4) or .gif, whose folder exists.
        fps: frames a second. Frames may also come with times of their own: see :meth:`write`.
        crf: quality, from 0, the best, to 51 (of VP9: 63), the smallest; None is 20 (32), at which most clips
            look like what they were made of. A GIF has 256 colours a frame, chosen for each, and AVI one
            quality.

    Attributes:
        frames: how many have been written.
        notes: what the caller may want to know of the file, sentences, such as that of a size made even.

    Raises:
        ArgumentError: a name with another end, or a number out of range.
        DtypeError: ``path`` isn't one.
        MissingExtraError: PyAV isn't installed.

    >>> with VideoWriter("ball.mp4", fps=25) as clip:         # doctest: +SKIP
    ...     clip.write(np.zeros((48, 64, 3), np.uint8))
    """

    def __init__(
        self, path: str | os.PathLike[str], fps: float | Fraction = 25.0, *, crf: int | None = None
    ) -> None:
        owner = "write_video"
        self.path = as_path(path, owner)
        suffix = self.path.suffix.lower()
        if suffix not in FORMATS:
            raise ArgumentError(
                f"{owner} needs a path that ends in {', '.join(VIDEO_SUFFIXES[:-1])} or "
                f"{VIDEO_SUFFIXES[-1]}.",
                describe(path=str(self.path)),
            )
        rate = as_number(fps, "fps", owner, above=0.0)
        if rate > _MOST_FPS:
            raise ArgumentError(f"{owner} needs fps to be at most {_MOST_FPS:g}.", describe(fps=fps))
        # NTSC's rates are thousands and 1001sts; nothing in use has a larger denominator.
        self._rate = Fraction(rate).limit_denominator(1001) or Fraction(1, 1001)
        self._kind = FORMATS[suffix]
        if crf is not None and (
            isinstance(crf, bool)
            or not isinstance(crf, (int, np.integer))
            or not 0 <= crf <= self._kind.worst
        ):
            raise ArgumentError(
                f"{owner} needs crf to be a whole number from 0 to {self._kind.worst}.", describe(crf=crf)
            )
        self._crf = None if crf is None else int(crf)
        try:
            import av
        except ImportError as error:
            raise need_extra("av", "video", owner) from error
        self._av = av
        self._encoder: Encoder | None = None
        self._neighbour: Path | None = None
        self._shape: tuple[int, ...] = ()
        self._closed = False
        self.frames = 0
        self.notes: list[str] = []

    def write(self, pixels: Any, time: float | None = None) -> None:
        """Add a frame.

        Args:
            pixels: (height, width, 3) or (height, width) of uint8, of the same shape as those before.
            time: seconds from the beginning, for a clip of changing durations: all frames have one, or none.
                None: the frames follow each other at the clip's rate.

        Raises:
            ShapeError: another shape.
            DtypeError: pixels that aren't uint8.
            ArgumentError: a time that isn't after the last one's, or a time in an AVI.
            StateError: the clip is closed.
            OSError: the system doesn't let it be written.
        """
        if self._closed:
            raise StateError("write needs a clip that isn't closed.", f"{str(self.path)!r}, which is")
        frame = self._checked(pixels)
        seconds = None if time is None else as_number(time, "time", "write_video", least=0.0)
        if self._encoder is None:
            self._open(frame, timed=seconds is not None)
        assert self._encoder is not None
        with self._named_errors():
            self._encoder.add(frame, seconds)
        self.frames += 1

    def close(self) -> None:
        """Finish the clip and give it its name. Without a frame there is none, and the old file stays.

        Raises:
            ArgumentError: no frame has been written.
            OSError: the system doesn't let it be written.
        """
        if self._closed:
            return
        if self._encoder is None or self._neighbour is None:
            self._closed = True
            raise ArgumentError("write_video needs at least one frame.", "none")
        try:
            with self._named_errors():
                self._encoder.finish()
                with open(self._neighbour, "rb+") as file:
                    os.fsync(file.fileno())
                os.replace(self._neighbour, self.path)
        except BaseException:
            self.abandon()
            raise
        self._closed = True

    def abandon(self) -> None:
        """Throw away what has been written; the old file, if there is one, stays."""
        self._closed = True
        if self._encoder is not None:
            with contextlib.suppress(Exception):
                self._encoder.close()
        if self._neighbour is not None:
            with contextlib.suppress(OSError):
                self._neighbour.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or (isinstance(error, KeyboardInterrupt) and self.frames):
            self.close()
        else:
            self.abandon()

    def _checked(self, pixels: Any) -> Array:
        shaped = isinstance(pixels, np.ndarray) and (
            pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
        )
        if not shaped or pixels.shape[0] < 1 or pixels.shape[1] < 1:
            raise ShapeError(
                "write_video needs frames that are arrays (height, width, 3) or (height, width).",
                describe(frame=pixels),
            )
        if pixels.dtype != np.uint8:
            raise DtypeError("write_video needs frames of uint8, 0 to 255.", describe(frame=pixels))
        if self._shape and pixels.shape != self._shape:
            raise ShapeError(
                f"write_video needs frames of one shape, here {self._shape}.", describe(frame=pixels)
            )
        if pixels.shape[0] * pixels.shape[1] > MAX_PIXELS:
            raise ShapeError(
                f"write_video needs frames of at most {MAX_PIXELS:,} pixels.", describe(frame=pixels)
            )
        self._shape = pixels.shape
        return np.ascontiguousarray(pixels)

    def _open(self, frame: Array, *, timed: bool) -> None:
        # Fixed in length: with the target's name in it, a long one would not fit.
        neighbour = self.path.with_name(f".tilewright-{secrets.token_hex(8)}.part")
        with self._named_errors():
            open(neighbour, "xb").close()  # the system's own word on folders and permissions
            self._neighbour = neighbour
            self._encoder = Encoder(
                self._av, self._kind, neighbour, frame.shape, self._rate, crf=self._crf, timed=timed
            )
        self.notes += self._encoder.notes

    @contextlib.contextmanager
    def _named_errors(self) -> Any:
        """Errors of the system under the name that the caller gave; those of libav as one of ours."""
        try:
            yield
        except self._av.FFmpegError as error:
            self.abandon()
            # libav's own errors count down from zero, or are four letters made to a number.
            if isinstance(error, OSError) and error.errno is not None and 0 < error.errno < 4096:
                raise OSError(error.errno, os.strerror(error.errno), str(self.path)) from error
            raise StateError(
                f"write_video can't encode {str(self.path)!r}.", error.strerror or str(error)
            ) from error
        except OSError as error:
            self.abandon()
            if error.errno is None:
                raise
            raise OSError(error.errno, error.strerror, str(self.path)) from error


def write_video(
    path: str | os.PathLike[str],
    frames: Iterable[Any],
    fps: float | Fraction = 25.0,
    *,
    crf: int | None = None,
) -> list[str]:
    """Write frames to a clip as they come, in the memory of a few of them.

    Args:
        path: as :class:`VideoWriter` takes it.
        fps: as :class:`VideoWriter` takes it.
        crf: as :class:`VideoWriter` takes it.
        frames: arrays (height, width, 3) or (height, width) of uint8, or :class:`Frame` with times of their
            own.

    Returns:
        Notes on the file, such as that an odd size was made even.

    Raises:
        ArgumentError, DtypeError, ShapeError: as :class:`VideoWriter`; also when there are no frames.
        OSError: the system doesn't let it be written.
        MissingExtraError: PyAV isn't installed.

    >>> write_video("noise.gif", np.zeros((9, 48, 64), np.uint8))  # doctest: +SKIP
    []
    """
    if isinstance(frames, (str, bytes)) or not hasattr(frames, "__iter__"):
        raise DtypeError("write_video needs frames that can be walked through.", describe(frames=frames))
    if isinstance(frames, np.ndarray) and frames.ndim < 3:
        raise ShapeError(
            "write_video needs an array of frames: (frames, height, width) or (frames, height, width, 3).",
            describe(frames=frames),
        )
    with VideoWriter(path, fps, crf=crf) as clip:
        for frame in frames:
            pixels, time = getattr(frame, "pixels", frame), getattr(frame, "time", None)
            clip.write(pixels, time)
    return clip.notes
