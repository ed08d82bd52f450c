"""What moves in a clip: the still scene, what differs from it in each frame, and boxes that stay."""

from __future__ import annotations

import itertools
import math
import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, DtypeError, FileFormatError, describe
from tilewright.geometry.axes import as_flag, as_integer
from tilewright.image.video.background import Background
from tilewright.image.video.boxes import Box
from tilewright.image.video.difference import Difference, Scene, difference, scene_of
from tilewright.image.video.numbers import as_number
from tilewright.image.video.outline import outline
from tilewright.image.video.reader import read_video
from tilewright.image.video.shrink import Shrinker
from tilewright.image.video.tracks import Track, Tracker

Array = npt.NDArray[Any]

# The still scene is the median of so many frames: something may cover a pixel in 7 of them.
_SAMPLES = 15
#: Frames over which the scene is looked for, half of them before and half behind: 8 seconds at 12.5 a second.
WINDOW = 100
_MOST_WINDOW = 1000
_WINDOW_SECONDS = 8.0
# A frame waits so long, beyond `persist`, for boxes that haven't moved yet: in 2 seconds at 12.5 frames a
# second a pedestrian moves on.
_MOST_UNDECIDED = 25
# Of the frame's area: 8 × 8 pixels of a frame of 480 × 270.
_LEAST_SHARE = 0.0005


@dataclass(frozen=True)
class MotionFrame:
    """What moves in one frame.

    Attributes:
        number: the frame's, from 0.
        time: seconds from the clip's beginning.
        boxes: around the things that move, in the order of their tracks.
        shape: (height, width) of the frame.
    """

    number: int
    time: float
    boxes: tuple[Box, ...]
    shape: tuple[int, int]
    _small: Array = field(repr=False, compare=False)
    _factor: int = field(repr=False, compare=False)

    @property
    def map(self) -> npt.NDArray[np.float32]:
        """How much lighter than the still scene each pixel is, or darker, under the frame's exposure.

        (height, width) of float32, in grey levels; 0 where nothing moves.
        """
        height, width = self.shape
        tall = np.repeat(np.repeat(self._small, self._factor, axis=0), self._factor, axis=1)
        return np.ascontiguousarray(tall[:height, :width], np.float32)


@dataclass(frozen=True)
class _Wishes:
    window: int
    threshold: float | None
    min_area: float | None
    persist: int
    shadows: bool


@dataclass(frozen=True)
class _Kept:
    number: int
    time: float
    planes: Array


def motion(
    frames: Iterable[Any],
    *,
    fps: float = 25.0,
    window: int = WINDOW,
    threshold: float | None = None,
    min_area: float | None = None,
    persist: int = 3,
    shadows: bool = False,
) -> Iterator[MotionFrame]:
    """Find what moves in front of a camera that stands still.

    1. The scene is the median of 15 of ``window`` frames before and after, brought to one exposure.
    2. Each frame's gain and offset are found by robust regression on the scene and undone; so is a camera's
    shake
       by fractions of a pixel. What is left is smoothed over 3 × 3 pixels and compared with the frame's own
       noise.
    3. Cast shadows are left out, small gaps are closed (by max pools), and connected components get boxes.
    4. Boxes of neighbouring frames are linked by their overlap; those of things seen in fewer than
    ``persist``
       frames, or that don't get on from where they were first seen, are flicker, and dropped.

    Memory is that of ``window`` shrunken frames, of at most 130,000 pixels, however long the clip is. Answers
    come half a window and up to 25 frames behind the frames. What stands still for longer than half the
    window becomes part of the scene.

    Args:
        frames: arrays (height, width, 3) or (height, width), or :class:`Frame` with their own times: grey
            levels of 0 to 255, of any real dtype.
        fps: frames a second, for the times of plain arrays.
        window: frames over which the still scene is looked for: at least twice as many as a thing needs to
            cross its own length.
        threshold: grey levels by which a moving thing differs from the scene; None: by each frame's noise, at
            least 9.
        min_area: pixels of the smallest thing; None: 0.05 % of the frame.
        persist: frames in which a thing has to be seen; 1 keeps all boxes, of things that don't get on, too.
        shadows: whether cast shadows belong to things.

    Yields:
        One answer for each frame, in order.

    Raises:
        ArgumentError: a number out of range.
        DtypeError, ShapeError: frames that aren't pictures, or change their shape.

    >>> clip = np.full((40, 60, 80), 90, np.uint8)
    >>> for time in range(40):
    ...     clip[time, 20:30, 2 * time : 2 * time + 12] = 200
    >>> found = list(motion(clip))
    >>> box = found[20].boxes[0]
    >>> (box.x, box.y, box.width, box.height)
    (39, 19, 14, 12)
    """
    owner = "motion"
    wishes = _wishes(owner, window, threshold, min_area, persist, shadows)
    rate = as_number(fps, "fps", owner, above=0.0)
    if isinstance(frames, (str, bytes)) or not hasattr(frames, "__iter__") or getattr(frames, "ndim", 3) < 3:
        raise DtypeError(
            "motion needs frames that can be walked through.",
            describe(frames=frames),
            "Of a file: find_motion(path).",
        )
    return _walk(frames, rate, wishes)


def find_motion(
    path: str | os.PathLike[str],
    *,
    start: int = 0,
    stop: int | None = None,
    step: int = 1,
    window: int | None = None,
    threshold: float | None = None,
    min_area: float | None = None,
    persist: int = 3,
    shadows: bool = False,
) -> Iterator[MotionFrame]:
    """:func:`motion` of a clip's file.

    Args:
        path: as :func:`read_video` takes it.
        start: as :func:`read_video` takes it, and so for ``stop`` and ``step``.
        stop: the frame to stop before.
        step: take every frame of so many.
        window: None: 8 seconds, but from 50 to 250 frames.
        threshold: as :func:`motion` takes it, and so for what follows.
        min_area: pixels of the smallest thing.
        persist: frames in which a thing has to be seen.
        shadows: whether cast shadows belong to things.

    Yields:
        One answer for each frame that is read.

    Raises:
        ArgumentError, DtypeError, FileFormatError, MissingExtraError: as :func:`read_video` and
        :func:`motion`.

    >>> for frame in find_motion("cars.mp4"):               # doctest: +SKIP
    ...     for box in frame.boxes:
    ...         print(frame.number, box.track, box.x, box.y, box.width, box.height)
    """
    video = read_video(path, start=start, stop=stop, step=step)
    if window is None:
        window = min(max(round(_WINDOW_SECONDS * video.fps / video.step), 50), 250)
    wishes = _wishes("find_motion", window, threshold, min_area, persist, shadows)
    return _walk(video.timed(), video.fps, wishes)


def _wishes(owner: str, window: Any, threshold: Any, min_area: Any, persist: Any, shadows: Any) -> _Wishes:
    frames = as_integer(window, "window", owner, least=2)
    if frames > _MOST_WINDOW:
        raise ArgumentError(
            f"{owner} needs window to be at most {_MOST_WINDOW} frames.", describe(window=window)
        )
    stay = as_integer(persist, "persist", owner, least=1)
    if stay > _MOST_WINDOW:
        raise ArgumentError(
            f"{owner} needs persist to be at most {_MOST_WINDOW} frames.", describe(persist=persist)
        )
    return _Wishes(
        frames,
        None if threshold is None else as_number(threshold, "threshold", owner, above=0.0),
        None if min_area is None else as_number(min_area, "min_area", owner, least=0.0),
        stay,
        as_flag(shadows, "shadows", owner),
    )


def _walk(frames: Iterable[Any], fps: float, wishes: _Wishes) -> Iterator[MotionFrame]:
    shrinker = Shrinker("motion")
    tracker = Tracker(wishes.persist)
    pending: deque[tuple[_Kept, Array, list[Box], list[Track]]] = deque()
    damage: list[FileFormatError] = []
    for kept, found in _differences(_whole(frames, damage), fps, wishes, shrinker):
        boxes = _boxes(kept, found, wishes, shrinker)
        pending.append((kept, found.signed, boxes, tracker.link(boxes)))
        while pending and (_decided(pending[0][3]) or len(pending) > wishes.persist + _MOST_UNDECIDED):
            yield _told(*pending.popleft(), shrinker)
    while pending:
        yield _told(*pending.popleft(), shrinker)
    if damage:
        raise damage[0]


def _whole(frames: Iterable[Any], damage: list[FileFormatError]) -> Iterator[Any]:
    """The frames up to where their file is damaged, which is told after they have been dealt with."""
    try:
        yield from frames
    except FileFormatError as error:
        damage.append(error)


def _differences(
    frames: Iterable[Any], fps: float, wishes: _Wishes, shrinker: Shrinker
) -> Iterator[tuple[_Kept, Difference]]:
    """Each frame with how it differs from the scene around it in time."""
    half = wishes.window // 2
    stream = _kept(frames, fps, shrinker)
    waiting = deque(itertools.islice(stream, wishes.window))
    if not waiting:
        return
    every = math.ceil(len(waiting) / _SAMPLES)
    background = Background(math.ceil(len(waiting) / every))
    background.start([shrinker.whole(kept.planes) for kept in itertools.islice(waiting, 0, None, every)])
    scene = scene_of(background.still())

    def answer(kept: _Kept, scene: Scene) -> tuple[_Kept, Difference]:
        planes = shrinker.whole(kept.planes)
        return kept, difference(planes, scene, threshold=wishes.threshold, shadows=wishes.shadows)

    if len(waiting) == wishes.window:  # else the clip is shorter than that, and all of it is known
        for _ in range(wishes.window - half):
            yield answer(waiting.popleft(), scene)
    for place, kept in enumerate(stream, wishes.window):
        waiting.append(kept)
        if place % every == 0:
            background.add(shrinker.whole(kept.planes))
            scene = scene_of(background.still())
        yield answer(waiting.popleft(), scene)
    while waiting:
        yield answer(waiting.popleft(), scene)


def _kept(frames: Iterable[Any], fps: float, shrinker: Shrinker) -> Iterator[_Kept]:
    for place, frame in enumerate(frames):
        number = getattr(frame, "number", place)
        time = getattr(frame, "time", place / fps)
        yield _Kept(number, time, shrinker.shrink(getattr(frame, "pixels", frame)))


def _boxes(kept: _Kept, found: Difference, wishes: _Wishes, shrinker: Shrinker) -> list[Box]:
    height, width = shrinker.shape
    factor = shrinker.factor
    least = _LEAST_SHARE * height * width if wishes.min_area is None else wishes.min_area
    boxes = []
    for top, left, bottom, right, area in outline(found.moving):
        if area * factor * factor < least:
            continue
        x, y = left * factor, top * factor
        boxes.append(
            Box(
                kept.number,
                kept.time,
                0,
                x,
                y,
                min(right * factor, width) - x,
                min(bottom * factor, height) - y,
                area * factor * factor,
            )
        )
    return boxes


def _decided(tracks: list[Track]) -> bool:
    """Whether it is known of each of a frame's boxes if its track counts."""
    return all(track.number or track.gone for track in tracks)


def _told(
    kept: _Kept, signed: Array, boxes: list[Box], tracks: list[Track], shrinker: Shrinker
) -> MotionFrame:
    found = [
        replace(box, track=track.number) for box, track in zip(boxes, tracks, strict=True) if track.number
    ]
    found.sort(key=lambda box: box.track)
    return MotionFrame(kept.number, kept.time, tuple(found), shrinker.shape, signed, shrinker.factor)
