"""One walk through a clip with libav, which meets strangers' files: few kinds, few codecs, checked sizes."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import FileFormatError, TilewrightError
from tilewright.image.video.picture import from_libav

Array = npt.NDArray[np.uint8]

#: 8K of cinemas. A decoder keeps up to 17 frames of 1.5 bytes a pixel, so this is what fits 1 GiB.
MAX_PIXELS = 8192 * 4320
# What people keep clips in. libav also reads playlists that name other files and addresses, and formats that
# nobody has looked after for twenty years: no file from a stranger should reach those.
_CONTAINERS = "mov,mp4,matroska,webm,gif,apng,avi,mpeg,mpegts,flv,asf,ogg,ivf,m4v"
_CODECS = (
    "h264,hevc,av1,libdav1d,vp8,vp9,mpeg1video,mpeg2video,mpeg4,mjpeg,gif,apng,png,ffv1,huffyuv,ffvhuff,"
    "prores,theora,h263,flv,msmpeg4,msmpeg4v2,wmv1,wmv2,wmv3,vc1,dnxhd,rawvideo,qtrle,utvideo"
)
# Seconds that opening, and each reading of a packet, may wait for the disk.
_PATIENCE = 10.0
# Beside the pixels of a frame, a decoder's threads each keep pictures of their own: only up to 4K.
_MOST_PIXELS_THREADED = 4096 * 2304
_THREADS = 4
# A rate that no clip has: the header lies, or counts something else than frames.
_MOST_FPS = 10_000.0


class Decoder:
    """A clip opened for one walk. Every failure is a FileFormatError that names the file.

    Args:
        av: the module PyAV.
        path: an ordinary file, as the caller has made sure of.
        max_pixels: frames of more are refused before they are decoded.

    Attributes:
        height, width: of the stored frames.
        fps, frames, duration, format, codec: as :class:`Video` has them.
        packets: how many packets with content have been read.
    """

    def __init__(self, av: Any, path: Path, max_pixels: int) -> None:
        self._av, self._path, self._limit = av, path, max_pixels
        self._container: Any = None
        self._reformatter = av.video.reformatter.VideoReformatter()
        self._first_time: float | None = None
        self.packets = 0
        try:
            self._open()
        except BaseException as error:
            self.close()
            raise self._as_told(error, "open") from error

    def _open(self) -> None:
        options = {
            "format_whitelist": _CONTAINERS,
            "codec_whitelist": _CODECS,
            "protocol_whitelist": "file",
            "max_pixels": str(MAX_PIXELS),
            "max_streams": "64",
        }
        # The prefix keeps libav from taking a name such as `http:…` for an address.
        name = f"file:{os.path.abspath(self._path)}"
        self._container = self._av.open(
            name, mode="r", options=options, metadata_errors="replace", timeout=_PATIENCE
        )
        streams = self._container.streams.video
        if not streams:
            raise FileFormatError(
                f"Video file {str(self._path)!r} needs to hold pictures.", "sound or text only"
            )
        self._stream = stream = streams[0]
        context = stream.codec_context
        self.height, self.width = int(context.height), int(context.width)
        if self.height < 1 or self.width < 1:
            # libav gives no size, either, where it may not make frames of it.
            raise self._damaged(
                f"a header without the size of the frames, or with one over {MAX_PIXELS:,} pixels"
            )
        self._check_size(self.width, self.height)
        context.options = {
            "max_pixels": str(self._limit),
            "err_detect": "crccheck+bitstream+buffer+explode",
            "codec_whitelist": _CODECS,
        }
        if self.height * self.width <= _MOST_PIXELS_THREADED:
            stream.thread_type = "AUTO"
            stream.thread_count = min(_THREADS, os.cpu_count() or 1)
        else:
            stream.thread_type = "SLICE"
            stream.thread_count = 1
        self.fps = self._rate()
        self.frames = int(stream.frames) or None
        self.duration = self._seconds()
        names = str(self._container.format.name).split(",")
        self.format = "mp4" if "mp4" in names else names[0]
        self.codec = str(context.name)

    def _rate(self) -> float:
        for rate in (self._stream.average_rate, self._stream.guessed_rate, self._stream.base_rate):
            if rate and 0 < rate <= _MOST_FPS:
                return float(rate)
        return 25.0  # what libav supposes, too, of a file that doesn't say

    def _seconds(self) -> float | None:
        stream = self._stream
        if stream.duration and stream.time_base:
            seconds = float(stream.duration * stream.time_base)
        elif self._container.duration:
            seconds = self._container.duration / 1_000_000  # libav's own unit, microseconds
        else:
            return None
        return seconds if math.isfinite(seconds) and seconds > 0 else None

    def __iter__(self) -> Iterator[Any]:
        """Frames of libav in the order in which they are shown; None for a packet that gave none.

        Raises:
            FileFormatError: the data is damaged.
        """
        try:
            for packet in self._container.demux(self._stream):
                if packet.is_corrupt:
                    raise self._damaged(f"a packet that is cut short after {self.packets} whole ones")
                self.packets += packet.size > 0
                found = packet.decode()
                for frame in found:
                    self._check_frame(frame)
                    yield frame
                if not found:
                    yield None
        except GeneratorExit:
            raise
        except BaseException as error:
            raise self._as_told(error, "decode") from error

    def rotation(self) -> int:
        """Degrees clockwise by which the frames need to be turned; looks at the first frame.

        Raises:
            FileFormatError: there is none.
        """
        for frame in self:
            if frame is not None:
                # libav counts the other way round, and may give angles that no array can be turned by.
                angle = -int(getattr(frame, "rotation", 0))
                return round(angle / 90) % 4 * 90
        raise self._damaged("no frame that can be decoded")

    def pixels(self, frame: Any, grey: bool) -> Array:
        """The pixels of a frame, as stored: (height, width, 3), or (height, width) of grey.

        Raises:
            FileFormatError: it can't be converted.
        """
        try:
            return from_libav(frame, self._reformatter, grey)
        except Exception as error:
            raise self._as_told(error, "convert") from error

    def time_of(self, frame: Any, number: int) -> float:
        """Seconds from the clip's beginning."""
        time = frame.time
        if time is None or not math.isfinite(time):
            return number / self.fps
        return max(0.0, float(time) - (self._first_time or 0.0))

    def close(self) -> None:
        """Close the file."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def _check_frame(self, frame: Any) -> None:
        if self._first_time is None:
            time = frame.time
            self._first_time = float(time) if time is not None and math.isfinite(time) else 0.0
        self._check_size(frame.width, frame.height)
        if getattr(frame, "is_corrupt", False):
            raise self._damaged(f"a frame that can't be decoded in full, after {self.packets} packets")

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._limit:
            raise FileFormatError(
                f"Video file {str(self._path)!r} needs frames of at most {self._limit:,} pixels.",
                f"{width} × {height}",
            )

    def _damaged(self, what: str) -> FileFormatError:
        return FileFormatError(f"Video file {str(self._path)!r} is damaged or cut short.", what)

    def _as_told(self, error: BaseException, verb: str) -> BaseException:
        """What the caller is told: libav meets damage with many kinds of errors, all about the file."""
        if isinstance(error, TilewrightError) or not isinstance(error, Exception):
            return error
        if isinstance(error, MemoryError):
            return self._damaged("sizes that no memory holds")
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if verb == "open":
            return FileFormatError(
                f"{str(self._path)!r} needs to be a clip: MP4, MOV, GIF, WebM, Matroska, AVI or MPEG.",
                f"a file that is none of these, is damaged, or is of a codec that isn't taken ({reason})",
            )
        return self._damaged(f"after {self.packets} packets: {reason}")
