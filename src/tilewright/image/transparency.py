"""What stands where nothing is seen: colours for the pixels that have none."""

from __future__ import annotations

import numpy as np

from tilewright.image.picture import Array, Picture


def visible_colours(picture: Picture) -> Array:
    """The pixels of a picture, those that are wholly transparent in the colours of the nearest seen ones.

    Programs leave any colour behind where nothing is seen, black as a rule. A filter that took it for a part
    of the picture would draw a dark rim, or an edge, along every outline. With this, transparent pixels say
    nothing of their own: each takes the mean of what is seen in the smallest of the squares of 2, 4, 8, …
    pixels around it in which anything is (the pull-push of S. J. Gortler and others, "The lumigraph",
    SIGGRAPH 1996).

    Returns:
        (height, width) or (height, width, 3) of the picture's dtype; the pixels themselves where all is seen,
        or nothing.

    >>> pixels = np.array([[9, 200, 0, 0]], np.uint8)
    >>> visible_colours(Picture(pixels, np.array([[0, 255, 0, 0]], np.uint8)))
    array([[200, 200, 200, 200]], dtype=uint8)
    """
    if picture.alpha is None:
        return picture.pixels
    seen = picture.alpha > 0
    if seen.all() or not seen.any():
        return picture.pixels
    colour = picture.pixels if picture.pixels.ndim == 3 else picture.pixels[..., None]
    means, weights = [np.where(seen[..., None], colour, 0).astype(np.float64)], [seen.astype(np.float64)]
    while not weights[-1].all():
        sums = _squares(means[-1] * weights[-1][..., None])
        weight = _squares(weights[-1][..., None])[..., 0]
        means.append(sums / np.maximum(weight, 1e-300)[..., None])
        # How much is seen in a square doesn't matter further on: an outline counts as much as a plane.
        weights.append((weight > 0).astype(np.float64))
    filled = means.pop()
    for mean, weight in zip(reversed(means), reversed(weights[:-1]), strict=True):
        height, width = weight.shape
        spread = filled.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
        filled = np.where(weight[..., None] > 0, mean, spread)
    result = filled if colour.dtype.kind == "f" else np.rint(filled)
    whole: Array = np.where(seen[..., None], colour, result.astype(colour.dtype))
    return whole.reshape(picture.pixels.shape)


def _squares(values: Array) -> Array:
    """Sums over squares of two by two; half ones at the end where a side is odd."""
    rows = np.add.reduceat(values, np.arange(0, values.shape[0], 2), axis=0)
    summed: Array = np.add.reduceat(rows, np.arange(0, values.shape[1], 2), axis=1)
    return summed
