"""An estimator's parameters, checked when it is fitted (scikit-learn wants none checked before)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tilewright.errors import ArgumentError, describe
from tilewright.geometry.axes import as_integer
from tilewright.nn import Module
from tilewright.nn.arguments import as_number


@dataclass(frozen=True)
class Options:
    """The parameters that training follows, each within its rule."""

    hidden_channels: tuple[int, ...]
    dense_width: int
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int


def read_options(estimator: Any) -> Options:
    """The parameters of a :class:`ConvClassifier` or :class:`ConvRegressor`.

    Raises:
        ArgumentError: one of them is outside its rule.
    """
    op = type(estimator).__name__

    def integer(name: str, least: int) -> int:
        return as_integer(getattr(estimator, name), name, op, least=least)

    hidden = estimator.hidden_channels
    if not isinstance(hidden, (tuple, list)):
        raise ArgumentError(
            f"{op} needs hidden_channels as a tuple of integers, one for each convolution.",
            describe(hidden_channels=hidden),
        )
    fraction = as_number(estimator.validation_fraction, "validation_fraction", op, below=1)
    if not fraction > 0:
        raise ArgumentError(
            f"{op} needs validation_fraction above 0 and below 1.", describe(validation_fraction=fraction)
        )
    make = estimator.model
    if make is not None and (not callable(make) or isinstance(make, Module)):
        raise ArgumentError(
            f"{op} needs model to be a function that makes a network: each fit begins with a new one.",
            f"a network of type {type(make).__name__}" if isinstance(make, Module) else describe(model=make),
            "It is called with the shape of an input (channels, *spatial) and the number of outputs.",
        )
    return Options(
        hidden_channels=tuple(
            as_integer(features, f"hidden_channels[{place}]", op, least=1)
            for place, features in enumerate(hidden)
        ),
        dense_width=integer("dense_width", 0),
        epochs=integer("epochs", 1),
        batch_size=integer("batch_size", 1),
        learning_rate=as_number(estimator.learning_rate, "learning_rate", op),
        weight_decay=as_number(estimator.weight_decay, "weight_decay", op),
        early_stopping=bool(estimator.early_stopping),
        validation_fraction=fraction,
        n_iter_no_change=integer("n_iter_no_change", 1),
    )
