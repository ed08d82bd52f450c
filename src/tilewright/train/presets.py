"""Settings that are known to work, for each ready network and data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tilewright.data import ImageSet
from tilewright.errors import ArgumentError, describe
from tilewright.nn import Module, models
from tilewright.optim import SGD, Adam

OPTIMIZERS = ("sgd", "adam")


@dataclass(frozen=True)
class Preset:
    """How a network is trained unless one says otherwise."""

    optimizer: str
    lr: float
    momentum: float
    batch_size: int
    epochs: int


# The small digit network's settings are those that its published results were reached with.
_OF_MODEL = {
    "digitnet": Preset("sgd", lr=0.01, momentum=0.9, batch_size=60, epochs=1),
    "lenet5": Preset("sgd", lr=0.01, momentum=0.9, batch_size=32, epochs=5),
    "autoencoder": Preset("adam", lr=1e-3, momentum=0.0, batch_size=60, epochs=3),
}
# 1,437 training images are few: they are seen more often, and in smaller portions.
_OF_SMALL_DATA = {
    "digitnet": Preset("sgd", lr=0.01, momentum=0.9, batch_size=20, epochs=20),
    "lenet5": Preset("sgd", lr=0.01, momentum=0.9, batch_size=20, epochs=30),
    "autoencoder": Preset("adam", lr=1e-3, momentum=0.0, batch_size=20, epochs=40),
}
MODELS = tuple(_OF_MODEL)


def preset_for(model: str, dataset: str) -> Preset:
    """The settings for a ready network on a data set.

    Raises:
        ArgumentError: no ready network has that name.
    """
    if model not in _OF_MODEL:
        raise ArgumentError(f"A ready network is one of {', '.join(MODELS)}.", describe(model=model))
    return (_OF_SMALL_DATA if dataset == "digits" else _OF_MODEL)[model]


def task_of(model: str) -> str:
    """What a ready network is trained for."""
    return "reconstruct" if model == "autoencoder" else "classify"


def make_model(name: str, data: ImageSet) -> Module:
    """A ready network for the images and classes of a data set, with fresh weights."""
    return models.create(name, **options_for(name, data.image_shape, len(data.classes)))


def make_optimizer(name: str, model: Module, lr: float, momentum: float) -> Any:
    """An optimiser over a network's parameters: ``sgd`` or ``adam`` (which has no use for ``momentum``).

    Raises:
        ArgumentError: another name, or a number outside its range.
    """
    if name == "sgd":
        return SGD(model.parameters(), lr=lr, momentum=momentum)
    if name == "adam":
        return Adam(model.parameters(), lr=lr)
    raise ArgumentError(f"An optimiser is one of {', '.join(OPTIMIZERS)}.", describe(optimizer=name))
