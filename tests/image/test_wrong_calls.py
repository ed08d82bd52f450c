"""Wrong arguments of edges, ranks, noise and sizes: refused in the one format, or taken; never an "
"error of NumPy's."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright.errors import TilewrightError

IMAGE = np.random.default_rng(0).random((6, 7))
_OF_IMAGES = (
    "canny", "denoise", "denoise_bilateral", "downsample", "estimate_sigma", "gradient", "gradient_direction",
    "gradient_magnitude", "maximum_filter", "median_filter", "minimum_filter", "unsharp_mask", "upsample",
)  # fmt: skip
CALLS: dict[str, dict[str, Any]] = {
    **{name: {"image": IMAGE} for name in _OF_IMAGES},
    "denoise_nl_means": {"image": IMAGE, "patch_size": 3, "patch_distance": 2, "h": 0.1},
    "rank_filter": {"image": IMAGE, "rank": 1},
    "percentile_filter": {"image": IMAGE, "percentile": 10},
    "resize": {"image": IMAGE, "shape": 4},
    "label": {"mask": IMAGE > 0.5},
    "connected_to": {"mask": IMAGE > 0.5, "seeds": IMAGE > 0.9},
    "non_maximum_suppression": {"magnitude": IMAGE, "along_rows": IMAGE, "along_columns": IMAGE},
}
STRANGE: list[Any] = [
    None, "x", "", b"b", -1, 0, 1.5, float("nan"), float("inf"), 1j, True, 10**400, -(10**30), object(), [],
    {}, (1, 2, 3), [[1], [2, 3]], np.zeros((2, 2, 2)), np.array(["a"]), np.array(3), np.array([]),
    np.ma.masked_array([1, 2]), np.array([None]), np.zeros(3, "M8[s]"), np.zeros(2, [("a", int)]),
]  # fmt: skip
SHAPES = [(0, 0), (0, 5), (5, 0), (1, 1), (1, 6), (6, 1), (2, 2), (0,), (1,), (2, 1, 3), (1, 1, 1, 1)]


@pytest.mark.parametrize("name", CALLS)
def test_strange_arguments_never_bring_to_light_an_error_of_somebody_elses(name: str) -> None:
    function, right = getattr(tw.image, name), CALLS[name]
    function(**right)
    refused = 0
    for parameter, about in inspect.signature(function).parameters.items():
        if about.kind is about.VAR_KEYWORD:
            continue
        for strange in STRANGE:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                try:
                    function(**{**right, parameter: strange})
                except TilewrightError as error:
                    refused += 1
                    assert "Received: " in str(error), (parameter, strange)
                except Exception as error:
                    pytest.fail(f"{name} with {parameter}={strange!r}: {type(error).__name__}: {error}")
    assert refused > len(STRANGE)


@pytest.mark.parametrize("name", [name for name in CALLS if "image" in CALLS[name]])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["bool", "uint8", "float16", "float64"])
def test_images_of_every_shape_are_taken_or_refused(name: str, shape: tuple[int, ...], dtype: str) -> None:
    words = {key: value for key, value in CALLS[name].items() if key != "image"}
    image = np.ones(shape, dtype)
    image.setflags(write=False)
    try:
        found = getattr(tw.image, name)(image, **words)
    except TilewrightError as error:
        assert "Received: " in str(error)
        assert image.size == 0 or image.ndim != 2 or dtype == "bool"
    else:
        for one in found if isinstance(found, tuple) else (found,):
            assert isinstance(one, (float, list)) or np.isfinite(np.asarray(one, float)).all()
