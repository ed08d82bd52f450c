"""Ready networks by name, fitted to a data set, with settings that train them well."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tilewright.data import ImageSet
from tilewright.errors import ArgumentError, describe
from tilewright.nn import Module, models
from tilewright.optim import SGD, Adam, AdamW, RMSprop

OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop")
#: The ready networks that a trainer's tasks suit: those that name classes (or numbers, or pixels), or give
#: back their input.
TRAINABLE = (*models.DEFAULTS, "unet", "tcn", "c3d")
# For a data set that the network's own defaults don't name.
_EPOCHS = 10
# For a network that has no defaults: Adam's own rate.
_RATE = 1e-3
_BATCH = 32


@dataclass(frozen=True)
class Preset:
    """How a ready network is trained on a data set unless one says otherwise.

    Attributes:
        task: ``classify`` or ``reconstruct``.
        optimizer: one of ``OPTIMIZERS``.
        lr: learning rate.
        momentum: of ``sgd``; 0 for the others.
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
        ArgumentError: no ready network has that name, or it learns something else than classes or images.

    >>> preset_for("digitnet", "mnist").epochs
    1
    """
    if model not in TRAINABLE:
        known = model in models.NAMES
        raise ArgumentError(
            f"Networks with settings to learn from a set of images are {', '.join(TRAINABLE)}.",
            describe(model=model),
            "Train it from Python, with data, a task and an optimiser of your own." if known else "",
        )
    if model not in models.DEFAULTS:
        return Preset("classify", "adam", _RATE, 0.0, 0.0, _BATCH, _EPOCHS, "none")
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


def make_model(
    name: str, data: ImageSet, task: str = "classify", options: Mapping[str, Any] | None = None
) -> Module:
    """A ready network for the samples and classes of a data set, with fresh weights.

    For the task ``regress`` it answers with as many numbers as a sample's target has.

    Args:
        name: of the network.
        data: what it is for.
        task: what it is to do.
        options: arguments of the network, as ``nn.models.create`` takes them.

    Raises:
        ArgumentError: no ready network has that name, or it doesn't take samples of this shape, or such an
            argument.
    """
    # A data set without classes of its own is one that only images are learnt from.
    outputs = len(data.classes)
    if task == "regress":
        outputs = max(1, int(np.prod(data.test.labels.shape[1:])))
    taken = inspect.signature(models.MODELS[name]).parameters if name in models.MODELS else {}
    wanted = {"classes": outputs} if "classes" in taken and outputs else {}
    model: Module = models.for_sample(name, data.image_shape, **{**wanted, **(options or {})})
    return model


def make_optimizer(name: str, model: Module, lr: float, momentum: float, weight_decay: float) -> Any:
    """An optimiser over a network's parameters, by name.

    Args:
        name: one of ``OPTIMIZERS``.
        model: the network.
        lr: learning rate.
        momentum: of ``sgd`` and ``rmsprop``; the others have no use for it.
        weight_decay: factor of the weights that is added to their gradient, or with ``adamw`` taken off them.

    Raises:
        ArgumentError: another name, or a number outside its range.
    """
    if name == "sgd":
        return SGD(model.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay)
    if name == "adam":
        return Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
    if name == "adamw":
        return AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    if name == "rmsprop":
        return RMSprop(model.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay)
    raise ArgumentError(f"An optimiser is one of {', '.join(OPTIMIZERS)}.", describe(optimizer=name))
