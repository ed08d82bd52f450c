"""Ready networks by name, fitted to a data set, with settings that train them well."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from tilewright.data import ImageSet
from tilewright.errors import ArgumentError, describe
from tilewright.nn import Module, models
from tilewright.optim import SGD, Adam

OPTIMIZERS = ("sgd", "adam")
# For a data set that the network's own defaults don't name.
_EPOCHS = 10


@dataclass(frozen=True)
class Preset:
    """How a ready network is trained on a data set unless one says otherwise.

    Attributes:
        task: ``classify`` or ``reconstruct``.
        optimizer: ``sgd`` or ``adam``.
        lr: learning rate.
        momentum: of ``sgd``; 0 for ``adam``, which has its own.
        weight_decay: factor of the weights that is added to their gradient.
        batch_size: images per step.
        epochs: passes over the training images.
        lr_decay: ``none``, or ``linear`` to zero at the last step.
    """

    task: str
    optimizer: str
    lr: float
    momentum: float
    weight_decay: float
    batch_size: int
    epochs: int
    lr_decay: str


def preset_for(model: str, dataset: str) -> Preset:
    """The settings for a ready network on a data set.

    Raises:
        ArgumentError: no ready network has that name.

    >>> preset_for("digitnet", "mnist").epochs
    1
    """
    if model not in models.DEFAULTS:
        raise ArgumentError(f"A ready network is one of {', '.join(models.NAMES)}.", describe(model=model))
    found = models.DEFAULTS[model]
    return Preset(
        "reconstruct" if found.target == "input" else "classify",
        found.optimizer,
        found.lr,
        found.momentum,
        found.weight_decay,
        found.batch_size,
        found.epochs.get(dataset, _EPOCHS),
        found.lr_decay,
    )


def make_model(name: str, data: ImageSet) -> Module:
    """A ready network for the images and classes of a data set, with fresh weights.

    Raises:
        ArgumentError: no ready network has that name, or it doesn't take images of this size.
    """
    channels, height, width = data.image_shape
    wanted = {"in_channels": channels, "image_size": (height, width), "classes": len(data.classes)}
    taken = inspect.signature(models.MODELS[name]).parameters if name in models.MODELS else {}
    model: Module = models.create(name, **{key: value for key, value in wanted.items() if key in taken})
    return model


def make_optimizer(name: str, model: Module, lr: float, momentum: float, weight_decay: float) -> Any:
    """An optimiser over a network's parameters: ``sgd``, or ``adam`` (which has no use for ``momentum``).

    Raises:
        ArgumentError: another name, or a number outside its range.
    """
    if name == "sgd":
        return SGD(model.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay)
    if name == "adam":
        return Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
    raise ArgumentError(f"An optimiser is one of {', '.join(OPTIMIZERS)}.", describe(optimizer=name))
