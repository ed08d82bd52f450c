"""A moving average of a model's weights, which often judges better than the weights of the last step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError, DtypeError, ShapeError, StateError, describe
from tilewright.geometry.axes import as_flag, as_integer
from tilewright.nn.arguments import as_number
from tilewright.nn.module import Module
from tilewright.nn.parameter import Parameter
from tilewright.nn.state import overwrite
from tilewright.optim.optimizer import Array


class ExponentialMovingAverage:
    """The moving average of a model's parameters; buffers (batch norm's statistics) stay the model's own.

        average = decay · average + (1 − decay) · parameter      after every optimiser step

    The first update takes the parameters as they are (as PyTorch's ``AveragedModel`` does). Averages of
    float16 parameters are kept in float32, whose steps are fine enough for a decay near 1.

    Args:
        model: whose parameters are averaged; it stays as it is until :meth:`applied`.
        decay: memory, from 0 to 1. An average looks back over about 1/(1 − decay) steps.
        warmup: begin with a short memory: update number t uses min(decay, (1 + t)/(10 + t)), so that a short
            training isn't judged by its first steps (TensorFlow's rule).

    Attributes:
        updates: how many there were.

    Raises:
        DtypeError: that is no model, or has no parameters.
        ArgumentError: ``decay`` outside 0 to 1.

    >>> model = nn.Linear(3, 1)
    >>> average = ExponentialMovingAverage(model, decay=0.999)
    >>> average.update()                     # after each optimizer.step()
    >>> with average.applied():              # the model's weights are the averages here
    ...     loss = model(tw.ones(2, 3))
    """

    def __init__(self, model: Module, decay: float = 0.999, *, warmup: bool = False) -> None:
        op = "ExponentialMovingAverage"
        if not isinstance(model, Module):
            raise DtypeError(f"{op} needs a model.", describe(model=model))
        self.model = model
        self.decay = float(as_number(decay, "decay", op, most=1))
        self.warmup = as_flag(warmup, "warmup", op)
        self.updates = 0
        self._average = {name: _as_average(parameter) for name, parameter in model.named_parameters()}
        if not self._average:
            raise DtypeError(f"{op} needs a model with parameters.", f"a {type(model).__name__} without any")
        self._is_applied = False

    def update(self) -> None:
        """Let the parameters as they are enter the averages; to be called after every optimiser step.

        Raises:
            StateError: inside :meth:`applied`, where the parameters are the averages; or the model has got
                other parameters than it had.
            ShapeError: a parameter has got another shape.
        """
        self._refuse_if_applied("update")
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.warmup else self.decay
        with np.errstate(all="ignore"):
            for parameter, average in self._pairs():
                if self.updates == 0 or average.dtype.kind != "f":
                    np.copyto(average, parameter._data, casting="same_kind")
                    continue
                # average + (1 − decay)·(parameter − average), which is exact where the two are equal.
                part = np.subtract(parameter._data, average, dtype=average.dtype, casting="same_kind")
                np.multiply(part, 1 - decay, out=part)
                np.add(average, part, out=average)
        self.updates += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """While entered, the model's parameters are the averages; afterwards what they were, to the bit.

        Raises:
            StateError: entered twice, or the model has got other parameters than it had.
            ShapeError: a parameter has got another shape.
        """
        self._refuse_if_applied("applied")
        pairs = self._pairs()
        held = [parameter._data.copy() for parameter, _ in pairs]
        self._is_applied = True
        try:
            # An average that float16 doesn't hold becomes infinite without a word, as float16 does.
            with np.errstate(over="ignore"):
                for parameter, average in pairs:
                    overwrite(parameter, average)
            yield
        finally:
            for (parameter, _), values in zip(pairs, held, strict=True):
                overwrite(parameter, values)
            self._is_applied = False

    def state_dict(self) -> dict[str, Any]:
        """All that must be saved to continue exactly here, in plain numbers and arrays, which are copies.

        Returns:
            ``{"decay": …, "warmup": …, "updates": …, "average": {name of a parameter: array}}``.
        """
        return {
            "decay": self.decay,
            "warmup": self.warmup,
            "updates": self.updates,
            "average": {name: array.copy() for name, array in self._average.items()},
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` gave; its decay replaces that of the constructor.

        Raises:
            ArgumentError: it is of another form, or of a model with other parameters; nothing has been
                changed.
        """
        op = "ExponentialMovingAverage.load_state_dict"
        names = ("decay", "warmup", "updates", "average")
        if not isinstance(state_dict, Mapping) or set(state_dict) != set(names):
            raise ArgumentError(
                f"{op} needs a dict with {', '.join(names)}.", describe(state_dict=state_dict)
            )
        decay = float(as_number(state_dict["decay"], "decay", op, most=1))
        updates = as_integer(state_dict["updates"], "updates", op, least=0)
        if not isinstance(state_dict["warmup"], (bool, np.bool_)):
            raise ArgumentError(f"{op} needs warmup to be a truth.", describe(warmup=state_dict["warmup"]))
        given = state_dict["average"]
        if not isinstance(given, Mapping) or set(given) != set(self._average):
            raise ArgumentError(
                f"{op} needs an average for each of {len(self._average)} parameters and nothing else.",
                describe(average=sorted(map(str, given)) if isinstance(given, Mapping) else given),
            )
        found = {}
        for name, average in self._average.items():
            array = np.asarray(given[name])
            if array.shape != average.shape or not np.can_cast(array.dtype, average.dtype, "same_kind"):
                raise ArgumentError(
                    f"{op} needs the average of {name} with shape {average.shape} and dtype {average.dtype}.",
                    describe(**{name: array}),
                )
            found[name] = array.astype(average.dtype)
        self.decay, self.updates, self.warmup = decay, updates, bool(state_dict["warmup"])
        self._average = found

    def _refuse_if_applied(self, call: str) -> None:
        if self._is_applied:
            raise StateError(
                f"ExponentialMovingAverage.{call} needs the model's own weights.",
                "a call inside applied(), where the averages stand in for them",
            )

    def _pairs(self) -> list[tuple[Parameter, Array]]:
        """Each parameter that the model has now, and its average."""
        parameters = dict(self.model.named_parameters())
        if set(parameters) != set(self._average):
            raise StateError(
                "ExponentialMovingAverage needs the model to keep the parameters that it had.",
                f"{len(parameters)} parameters instead of {len(self._average)}, or others",
            )
        for name, parameter in parameters.items():
            if tuple(parameter.shape) != self._average[name].shape:
                raise ShapeError(
                    f"ExponentialMovingAverage needs {name} to keep its shape {self._average[name].shape}.",
                    describe(**{name: parameter}),
                )
        return [(parameter, self._average[name]) for name, parameter in parameters.items()]


def _as_average(parameter: Parameter) -> Array:
    values: Array = parameter._data
    return values.astype(np.float32 if values.dtype == np.float16 else values.dtype)
