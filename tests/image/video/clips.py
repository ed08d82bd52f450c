"""Small clips for the tests of this folder."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def street(frames: int, size: tuple[int, int] = (60, 80), seed: int = 0) -> Array:
    """A still street (frames, height, width, 3) of uint8: lines, texture, and a camera's noise."""
    draw = np.random.default_rng(seed)
    height, width = size
    still = np.full((height, width, 3), 110.0) + draw.normal(0, 4, (height, width, 1))
    still[:, width // 2 : width // 2 + 2] = 220
    still[height // 3, :] = 60
    noise = draw.normal(0, 1.5, (frames, height, width, 3))
    return np.clip(np.rint(still + noise), 0, 255).astype(np.uint8)


def with_car(film: Array, first: int = 0, step: int = 2, colour: Any = (200, 40, 40)) -> Array:
    """The film with a rectangle of 10 × 14 pixels that crosses it from left to right, from a frame on."""
    film = film.copy()
    height, width = film.shape[1:3]
    for time in range(first, len(film)):
        left = step * (time - first) - 14
        film[time, height // 2 : height // 2 + 10, max(0, left) : max(0, min(left + 14, width))] = colour
    return film
