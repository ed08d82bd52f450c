"""Where a frame differs from the still scene by more than noise, a shaking camera and shadows explain."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tilewright.functional import avg_pool2d, max_pool2d
from tilewright.image.video.exposure import BLACK, WHITE, fit

Array = npt.NDArray[Any]

# In deviations of the noise that is left in a frame: 1 pixel in a million of a normal distribution is beyond
# 5.
_DEVIATIONS = 5.0
# No frame is trusted to fewer grey levels: palettes and compression move smooth surfaces by so much.
_LEAST_LEVELS = 9.0
# Of the lightest less the darkest of 3 × 3 pixels: what an edge may differ by, since after the whole frame
# has been shifted into place parts of it are still some tenths of a pixel off.
_EDGE_SHARE = 0.3
# Differences beyond this many grey levels are no edge that shook.
_SHAKE_LEVELS = 40.0
# No more than this many pixels of shake are undone; the gradient says nothing of what lies further off.
_MOST_SHAKE = 1.5
# The first round undoes most of it, the second what the first one's far pixels hid.
_SHAKE_ROUNDS = 2
# A cast shadow takes at most this and at least that share of the light away, evenly and from all colours
# alike.
_DARKEST, _LIGHTEST = 0.4, 0.985
_COLOUR_SPREAD, _TEXTURE_SPREAD = 0.07, 0.08


class Scene(NamedTuple):
    """The still scene and what is needed of it again and again; (channels, height, width) of float32 each.

    Attributes:
        still: the scene.
        slope: its gradients down and across, (2, channels, height, width).
        margin: grey levels that an edge may differ by.
    """

    still: Array
    slope: Array
    margin: Array


class Difference(NamedTuple):
    """How a frame differs from the scene.

    Attributes:
        signed: (height, width) of float32: grey levels, on average over the channels, by which it is lighter;
            0 where nothing moves.
        moving: (height, width): whether that is more than noise.
    """

    signed: Array
    moving: Array


def scene_of(still: Array) -> Scene:
    """The scene with its gradients and margins.

    Args:
        still: (channels, height, width) of float32.
    """
    padded = np.pad(still, ((0, 0), (1, 1), (1, 1)), mode="edge")
    down = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) * np.float32(0.5)
    across = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) * np.float32(0.5)
    return Scene(still, np.stack([down, across]), _range(still) * np.float32(_EDGE_SHARE))


def difference(planes: Array, scene: Scene, *, threshold: float | None, shadows: bool) -> Difference:
    """Compare a frame with the scene.

    Args:
        planes: (channels, height, width) of float32, grey levels of 0 to 255.
        scene: of the same shape.
        threshold: grey levels beyond which a place counts as moving; None: by the frame's own noise.
        shadows: whether cast shadows count.
    """
    exposure = fit(planes, scene.still)
    seen = exposure.undo(planes)
    left = seen - scene.still
    for _ in range(_SHAKE_ROUNDS):
        _unshake(left, scene)
    # What was clipped may have been any lighter; as much as that is no motion.
    left[(planes >= WHITE) & (left < 0)] = 0
    left[(scene.still >= WHITE) & (left > 0)] = 0
    left[(planes <= BLACK) & (left > 0) & (scene.still < WHITE / 2)] = 0
    smooth = _mean(left)
    levels = np.maximum(_DEVIATIONS * exposure.spread / exposure.gain, _LEAST_LEVELS)
    if threshold is not None:
        levels = np.full_like(levels, threshold)
    limit = scene.margin + levels.astype(np.float32)[:, None, None]
    moving: npt.NDArray[np.bool_] = np.any(np.abs(smooth) > limit, axis=0)
    if not shadows:
        moving &= ~_shadow(seen, scene.still)
    # A place stays if most of its neighbours do: lines and specks of one pixel's width go.
    moving = _mean(moving[None].astype(np.float32))[0] > 0.5
    signed = np.where(moving, smooth.mean(axis=0), np.float32(0))
    return Difference(signed, moving)


def _unshake(left: Array, scene: Scene) -> None:
    """Take out, in place, what a camera that shook by a fraction of a pixel explains.

    A shift by (u, v) changes the picture by u·∂/∂y + v·∂/∂x to first order (Lucas and Kanade, "An iterative
    image registration technique", 1981): u and v by least squares over every second pixel that is not far
    off.
    """
    seen = np.s_[:, ::2, ::2]
    change = left[seen].reshape(-1)
    down, across = (part[seen].reshape(-1) for part in scene.slope)
    near = (np.abs(change) < _SHAKE_LEVELS).astype(np.float32)
    down, across = down * near, across * near
    squares = np.array([[down @ down, down @ across], [across @ down, across @ across]], np.float64)
    # One grey level a pixel, in squares, against a scene without edges, which knows of no shift.
    squares += np.eye(2) * len(change)
    shift = np.linalg.solve(squares, np.array([down @ change, across @ change], np.float64))
    shift = np.clip(shift, -_MOST_SHAKE, _MOST_SHAKE).astype(np.float32)
    left -= shift[0] * scene.slope[0]
    left -= shift[1] * scene.slope[1]


def _shadow(seen: Array, still: Array) -> Array:
    """Where all colours are darker by about one and the same factor, which changes smoothly."""
    ratio = seen / np.maximum(still, 1.0)
    grey = ratio.mean(axis=0)
    found: Array = (grey > _DARKEST) & (grey < _LIGHTEST)
    if len(ratio) > 1:
        found &= ratio.max(axis=0) - ratio.min(axis=0) < _COLOUR_SPREAD
    found &= _range(grey[None])[0] < _TEXTURE_SPREAD
    return found


def _mean(planes: Array) -> Array:
    found: Array = avg_pool2d(planes[:, None], 3, 1, 1, count_include_pad=False)[:, 0]
    return found


def _range(planes: Array) -> Array:
    """The largest less the smallest of 3 × 3 pixels."""
    high = max_pool2d(planes[:, None], 3, 1, 1)[:, 0]
    low = max_pool2d(-planes[:, None], 3, 1, 1)[:, 0]
    found: Array = high + low
    return found
