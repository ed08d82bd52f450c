"""From a file back to a network: the model that its metadata names, with the weights that it holds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.errors import FileFormatError, TilewrightError, describe
from tilewright.nn import Module, models
from tilewright.train.config import RunConfig
from tilewright.train.state import load_model, put_weights

Array = np.ndarray[Any, Any]


def rebuild(path: str | os.PathLike[str]) -> tuple[Module, RunConfig]:
    """The network of a ``model.safetensors``, in evaluation mode, and its run's configuration.

    Raises:
        ArgumentError: there is no such file.
        FileFormatError: it is damaged, isn't a model that Tilewright saved, or names a network that isn't
            one of ``nn.models`` or whose sizes aren't those of the weights.

    >>> model, config = rebuild("runs/demo/model.safetensors")  # doctest: +SKIP
    """
    file = Path(path)
    config, weights = load_model(file)
    _check_promise(config.model.options, weights, file)
    try:
        model = models.create(config.model.name, **config.model.options)
    except (TilewrightError, TypeError) as error:
        raise FileFormatError(
            f"Checkpoint {str(file)!r} needs to name a network that nn.models can make.",
            f"{describe(name=config.model.name, options=config.model.options)}: {error}",
        ) from error
    put_weights(model, weights, file)
    return model.eval(), config


def _check_promise(options: Mapping[str, Any], weights: Mapping[str, Array], file: Path) -> None:
    """Refuse options that promise far more weights than the file holds, before any room is taken for them.

    Multiplied together, a ready network's sizes (channels, height, width, classes, embedding) come to at most
    a few dozen times its weights; the added million lets small networks be as odd as they like.
    """
    promised = 1
    for name, value in options.items():
        sides = value if isinstance(value, tuple) else (value,)
        for side in sides:
            if isinstance(side, int):
                # A single image_size stands for both sides.
                promised *= max(1, side) ** (2 if name == "image_size" and len(sides) == 1 else 1)
    held = sum(array.size for array in weights.values())
    if promised > 64 * held + 2**20:
        raise FileFormatError(
            f"Checkpoint {str(file)!r} names a network of a size that its weights don't bear out.",
            f"{describe(options=dict(options))} beside {held} weights",
        )
