"""Filters by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from tilewright.errors import ArgumentError, describe
from tilewright.image import derivatives, gabors, smoothing
from tilewright.image.filters import Filter, check_rank

__all__ = ["Filter", "named", "names"]

_MAKERS: dict[str, Callable[..., Filter]] = {
    "identity": smoothing.identity,
    "box": smoothing.box,
    "gaussian": smoothing.gaussian,
    "binomial": smoothing.binomial,
    "motion_blur": smoothing.motion_blur,
    "unsharp": smoothing.unsharp,
    "sharpen": smoothing.sharpen,
    "difference_of_gaussians": smoothing.difference_of_gaussians,
    "sobel": derivatives.sobel,
    "prewitt": derivatives.prewitt,
    "scharr": derivatives.scharr,
    "roberts": derivatives.roberts,
    "laplacian": derivatives.laplacian,
    "laplacian_of_gaussian": derivatives.laplacian_of_gaussian,
    "emboss": derivatives.emboss,
    "gabor": gabors.gabor,
}


def names() -> tuple[str, ...]:
    """The names of the filters that :func:`named` makes.

    >>> names()[:3]
    ('identity', 'box', 'gaussian')
    """
    return tuple(_MAKERS)


def parameters_of(name: str) -> dict[str, Any]:
    """What the filter of a name may be told, and what it does if it isn't; the rank is no part of it.

    Raises:
        ArgumentError: there is no such filter.

    >>> parameters_of("binomial")
    {'order': 2}
    """
    signature = inspect.signature(_maker(name))
    return {one.name: one.default for one in signature.parameters.values() if one.name != "rank"}


def named(name: str, rank: int = 2, **parameters: Any) -> Filter:
    """The filter of a name, for images of so many spatial axes.

    Args:
        name: one of :func:`names`.
        rank: spatial axes: 2 for pictures, 3 for volumes and clips.
        **parameters: those of the function of the same name, such as ``sigma`` of a Gaussian.

    Raises:
        ArgumentError: an unknown name or parameter, or a filter of two axes for another rank.
        DtypeError, ShapeError: as the function of that name.

    >>> named("box", 3, size=(1, 3, 3))
    Filter('box', 1×3×3, signed=False)
    """
    maker = _maker(name)
    known = parameters_of(name)
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        words = f"the parameters {', '.join(known)}" if known else "no parameters"
        raise ArgumentError(
            f"The filter {name} has {words}.", describe(**{one: parameters[one] for one in unknown})
        )
    if "rank" in inspect.signature(maker).parameters:
        return maker(rank=check_rank(rank, name), **parameters)
    check_rank(rank, name, exactly=2)
    return maker(**parameters)


def _maker(name: str) -> Callable[..., Filter]:
    if not isinstance(name, str) or name not in _MAKERS:
        raise ArgumentError(f"named needs the name of a filter: {', '.join(_MAKERS)}.", describe(name=name))
    return _MAKERS[name]
