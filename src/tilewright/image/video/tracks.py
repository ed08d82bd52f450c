"""Boxes of one frame linked with those of the next: what stays is a thing, the rest is noise."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from tilewright.image.video.boxes import Box

# Boxes of one thing in frames that follow each other cover at least so much of each other, over what either
# covers: a thing that enters the picture grows to several times its size from frame to frame.
_LEAST_OVERLAP = 0.15
# How many frames in a row a thing may be missed in: behind a lamp post, or in noise.
_MOST_MISSED = 2
# From its first box on, the centre of a thing has to move by this share of the box's size (the root of its
# area). White lines that a shaking camera lets flicker, and glare on the street, stay for many frames, but
# stay put.
_LEAST_MOVED = 0.2
# Of the step that was seen last, the share that the expected step takes over.
_NEWEST_STEP = 0.5


@dataclass(eq=False)
class Track:
    """One thing that moves.

    Attributes:
        number: from 1 in the order in which things were confirmed; 0 until then.
        last: its latest box.
        first: its first one.
        gone: whether it has been missed for too long to be followed on.
        hits: the frames that it was seen in.
        missed: the frames since.
        step: pixels right and down that it is expected to move on by.
    """

    last: Box
    first: Box
    number: int = 0
    gone: bool = False
    hits: int = 1
    missed: int = 0
    step: tuple[float, float] = (0.0, 0.0)

    def has_moved(self) -> bool:
        """Whether its centre is elsewhere than at first."""
        right = self.last.x - self.first.x + (self.last.width - self.first.width) / 2
        down = self.last.y - self.first.y + (self.last.height - self.first.height) / 2
        return math.hypot(right, down) >= _LEAST_MOVED * math.sqrt(self.last.width * self.last.height)

    def expected(self) -> Box:
        """Where its next box should be."""
        frames = 1 + self.missed
        return replace(
            self.last,
            x=round(self.last.x + frames * self.step[0]),
            y=round(self.last.y + frames * self.step[1]),
        )

    def see(self, box: Box) -> None:
        """Take in its next box."""
        frames = 1 + self.missed
        moved = (
            (box.x - self.last.x + (box.width - self.last.width) / 2) / frames,
            (box.y - self.last.y + (box.height - self.last.height) / 2) / frames,
        )
        # The first step is all that is known.
        share = _NEWEST_STEP if self.hits > 1 else 1.0
        self.step = (
            self.step[0] + share * (moved[0] - self.step[0]),
            self.step[1] + share * (moved[1] - self.step[1]),
        )
        self.last, self.missed = box, 0
        self.hits += 1


@dataclass
class Tracker:
    """Links the boxes of frame after frame.

    Args:
        persist: a thing counts once it has been seen in so many frames, and has moved; with 1, at once.
    """

    persist: int
    _tracks: list[Track] = field(default_factory=list)
    _confirmed: int = 0

    def link(self, boxes: list[Box]) -> list[Track]:
        """The track of each of a frame's boxes, which may not count yet.

        Pairs are made by overlap with where each track is expected, the largest first.
        """
        expected = [track.expected() for track in self._tracks]
        pairs = sorted(
            (
                (-max(box.overlap(track.last), box.overlap(place)), at, index)
                for index, (track, place) in enumerate(zip(self._tracks, expected, strict=True))
                for at, box in enumerate(boxes)
            ),
        )
        of_box: dict[int, Track] = {}
        taken: set[int] = set()
        for overlap, at, index in pairs:
            if -overlap >= _LEAST_OVERLAP and at not in of_box and index not in taken:
                of_box[at] = self._tracks[index]
                taken.add(index)
        for index, track in enumerate(self._tracks):
            if index not in taken:
                track.missed += 1
        for at, box in enumerate(boxes):
            if at in of_box:
                of_box[at].see(box)
            else:
                of_box[at] = Track(box, box)
                self._tracks.append(of_box[at])
            track = of_box[at]
            counts = self.persist == 1 or (track.hits >= self.persist and track.has_moved())
            if counts and not track.number:
                self._confirmed += 1
                track.number = self._confirmed
        for track in self._tracks:
            track.gone = track.missed > _MOST_MISSED
        self._tracks = [track for track in self._tracks if not track.gone]
        return [of_box[at] for at in range(len(boxes))]
