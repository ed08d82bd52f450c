"""Images and estimators so small that a test may fit several."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.bridge.sklearn import ConvClassifier, ConvRegressor

Array = np.ndarray[Any, Any]


def bars(samples: int = 60, seed: int = 0) -> tuple[Array, Array]:
    """Noisy 8×8 images (n, 8, 8) of a bright bar, and which of three places it is in (n,)."""
    generator = np.random.default_rng(seed)
    places = generator.integers(0, 3, samples)
    images = generator.normal(size=(samples, 8, 8))
    for image, place in zip(images, places, strict=True):
        image[2 * place + 1 : 2 * place + 3] += 2
    return images, places


def classifier(**parameters: Any) -> ConvClassifier:
    return ConvClassifier(**{**_SMALL, **parameters})


def regressor(**parameters: Any) -> ConvRegressor:
    return ConvRegressor(**{**_SMALL, **parameters})


# Strides instead of pools: the quickest.
_SMALL: dict[str, Any] = {
    "hidden_channels": (4,),
    "pooling": "stride",
    "dense_width": 8,
    "epochs": 3,
    "batch_size": 16,
    "random_state": 0,
}
