"""From a file back to a network: the model that its metadata names, with the weights that it holds."""

from __future__ import annotations

import os
from pathlib import Path

from tilewright.errors import FileFormatError, TilewrightError, describe
from tilewright.nn import Module, models
from tilewright.nn.init import skipped
from tilewright.nn.parameter import ParameterLimitError, limited
from tilewright.train.config import RunConfig
from tilewright.train.state import load_model, put_weights


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
    held = sum(array.size for array in weights.values())
    try:
        # Twice the file's values and a million leave room for a network that is a little other than its
        # weights, which their names and shapes then say better; the weights are loaded, so none are drawn.
        with limited(2 * held + 2**20), skipped():
            model = models.create(config.model.name, **config.model.options)
    except ParameterLimitError as error:
        raise FileFormatError(
            f"Checkpoint {str(file)!r} names a network of a size that its weights don't bear out.",
            f"{describe(options=dict(config.model.options))} beside {held} weights",
        ) from error
    except (TilewrightError, TypeError) as error:
        raise FileFormatError(
            f"Checkpoint {str(file)!r} needs to name a network that nn.models can make.",
            f"{describe(name=config.model.name, options=config.model.options)}: {error}",
        ) from error
    put_weights(model, weights, file)
    return model.eval(), config
