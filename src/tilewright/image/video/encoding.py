"""Encoders of libav for the kinds of clips that are written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, StateError, describe

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Kind:
    """How a kind of file is written.

    Attributes:
        container: libav's name of its format.
        codecs: encoders to try, the best first: not every build of libav has all.
        worst: the largest crf.
        tick: seconds in which times are counted, or None where frames can't have times of their own.
    """

    container: str
    codecs: tuple[str, ...]
    worst: int
    tick: Fraction | None


_MILLISECOND, _CENTISECOND = Fraction(1, 1000), Fraction(1, 100)
_H264 = ("libx264", "libopenh264", "mpeg4")
FORMATS = {
    ".mp4": Kind("mp4", _H264, 51, _MILLISECOND),
    ".m4v": Kind("mp4", _H264, 51, _MILLISECOND),
    ".mov": Kind("mov", _H264, 51, _MILLISECOND),
    ".mkv": Kind("matroska", _H264, 51, _MILLISECOND),
    ".webm": Kind("webm", ("libvpx-vp9", "libvpx"), 63, _MILLISECOND),
    ".avi": Kind("avi", ("mpeg4",), 51, None),
    ".gif": Kind("gif", ("gif",), 51, _CENTISECOND),
}
# At about equal looks: 20 of H.264 and 32 of VP9.
_CRF = {"libx264": 20, "libvpx-vp9": 32, "libvpx": 20}
_OPTIONS = {
    # Twice as fast as the default for some percent more bytes: drawing boxes shouldn't wait for the encoder.
    "libx264": {"preset": "veryfast"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "6", "row-mt": "1", "b": "0"},
    "libvpx": {"deadline": "realtime", "cpu-used": "6"},
    # A quantiser of 3 of 31 looks like the original.
    "mpeg4": {"qmin": "3", "qmax": "3"},
}


class Encoder:
    """One clip being written: frames become packets of a container.

    Args:
        av: the module PyAV.
        kind: what to write.
        path: the file, which is there and empty.
        shape: (height, width) or (height, width, 3) of the frames.
        rate: frames a second.
        crf: quality, or None.
        timed: whether frames come with times of their own.
    """

    def __init__(
        self,
        av: Any,
        kind: Kind,
        path: Path,
        shape: tuple[int, ...],
        rate: Fraction,
        *,
        crf: int | None,
        timed: bool,
    ) -> None:
        if timed and kind.tick is None:
            raise ArgumentError(
                "write_video needs frames without times for an AVI, which has one rate.",
                "a frame with a time",
            )
        self._av, self._timed = av, timed
        self._pixel_format = "gray" if len(shape) == 2 else "rgb24"
        self._tick = kind.tick if timed and kind.tick is not None else 1 / rate
        self._last, self._count = -1, 0
        self.notes: list[str] = []
        self._container = av.open(f"file:{os.path.abspath(path)}", mode="w", format=kind.container)
        name = next((one for one in kind.codecs if _has(av, one)), None)
        if name is None:
            raise StateError(
                "write_video needs an encoder that this build of libav hasn't.", ", ".join(kind.codecs)
            )
        options = dict(_OPTIONS.get(name, {}))
        if name in _CRF:
            options["crf"] = str(_CRF[name] if crf is None else crf)
        self._stream = self._container.add_stream(name, rate=rate, options=options)
        self._stream.time_base = self._tick
        self._stream.codec_context.time_base = self._tick
        height, width = shape[:2]
        # Colours are kept for squares of 2 × 2 pixels, so both sizes have to be even.
        self._extra = (0, 0) if name == "gif" else (height % 2, width % 2)
        if any(self._extra):
            self.notes.append(
                f"Sizes are even in this kind of clip: {width} × {height} became "
                f"{width + self._extra[1]} × {height + self._extra[0]}, with the last row or column twice."
            )
        self._stream.height, self._stream.width = height + self._extra[0], width + self._extra[1]
        self._stream.pix_fmt = "yuv420p" if name != "gif" else "pal8"
        self._palettes = (
            _palettes(av, height, width, self._pixel_format, self._tick) if name == "gif" else None
        )

    def add(self, pixels: Array, seconds: float | None) -> None:
        """Encode a frame.

        Raises:
            ArgumentError: its time isn't after the last one's, or it has one and others don't.
        """
        if (seconds is not None) != self._timed:
            raise ArgumentError(
                "write_video needs a time for every frame or for none.", describe(time=seconds)
            )
        place = self._count
        if seconds is not None:
            place = round(seconds / self._tick)
            if place <= self._last:
                raise ArgumentError(
                    f"write_video needs each time to be at least {float(self._tick):g} s after the "
                    "one before.",
                    describe(time=seconds),
                )
        if any(self._extra):
            pads = ((0, self._extra[0]), (0, self._extra[1])) + ((0, 0),) * (pixels.ndim - 2)
            pixels = np.pad(pixels, pads, mode="edge")
        frame = self._av.VideoFrame.from_ndarray(pixels, format=self._pixel_format)
        frame.pts, frame.time_base = place, self._tick
        if self._palettes is None:
            self._send(frame)
        else:
            self._palettes.push(frame)
            self._pull()
        self._last = place
        self._count += 1

    def finish(self) -> None:
        """Write what is still held back, and the end of the file."""
        if self._palettes is not None:
            self._palettes.push(None)
            self._pull()
        self._send(None)
        self._container.close()

    def close(self) -> None:
        """Close the file as it is."""
        self._container.close()

    def _send(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def _pull(self) -> None:
        assert self._palettes is not None
        while True:
            try:
                frame = self._palettes.pull()
            except (self._av.error.BlockingIOError, self._av.error.EOFError):
                return
            self._send(frame)


def _has(av: Any, codec: str) -> bool:
    try:
        av.codec.Codec(codec, "w")
    except ValueError:
        return False
    return True


def _palettes(av: Any, height: int, width: int, pixel_format: str, tick: Fraction) -> Any:
    """A graph of libav's filters that gives each frame the 256 colours that suit it best.

    One frame at a time: a palette for the whole clip would need all of it in memory. The pattern of the
    dither stands still, so that it doesn't look like motion.
    """
    graph = av.filter.Graph()
    source = graph.add_buffer(width=width, height=height, format=pixel_format, time_base=tick)
    split = graph.add("split", "2")
    palette = graph.add("palettegen", "stats_mode=single:reserve_transparent=0")
    use = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=4")
    sink = graph.add("buffersink")
    source.link_to(split)
    split.link_to(palette, 0, 0)
    split.link_to(use, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    return graph
