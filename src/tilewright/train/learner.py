"""One update of the weights: from one batch, or from several whose gradients are added up first."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, StateError, describe
from tilewright.nn import Module
from tilewright.nn.utils import clip_grad_norm_, clip_grad_value_
from tilewright.train.evaluate import as_pair
from tilewright.train.tasks import Task


@dataclass(frozen=True)
class Learnt:
    """What one batch came to while learning.

    Attributes:
        loss: its mean loss.
        weight: what that mean divides a sum by.
        correct: right answers.
        judged: answers that are right or wrong.
        images: its size.
    """

    loss: float
    weight: float
    correct: int
    judged: int
    images: int


@dataclass(frozen=True)
class Clipping:
    """Bounds of the gradient of an update; None: without.

    Attributes:
        norm: of the Euclidean norm of all gradients together.
        value: of each gradient's magnitude.

    Raises:
        ArgumentError: a bound that is no number above 0, or both at once.
    """

    norm: float | None = None
    value: float | None = None

    def __post_init__(self) -> None:
        for name, bound in (("clip_norm", self.norm), ("clip_value", self.value)):
            if bound is not None and not (
                isinstance(bound, (int, float)) and not isinstance(bound, bool) and 0 < bound < math.inf
            ):
                raise ArgumentError(
                    f"Trainer needs {name} to be a finite number above 0, or None.", describe(**{name: bound})
                )
        if self.norm is not None and self.value is not None:
            raise ArgumentError(
                "Trainer needs clip_norm or clip_value, not both.",
                describe(clip_norm=self.norm, clip_value=self.value),
            )


class Learner:
    """Takes batches in, and updates the weights from what they say together.

    The update of several batches is that of one large batch: their losses are summed, and the sum is divided
    by all numbers, labels or weights of classes in them, so a short last batch weighs no more than it should.
    Only layers that look at a batch as a whole (batch normalisation) see the difference.

    Args:
        model: the network.
        optimizer: over its parameters.
        task: what the network is asked to do.
        clipping: bounds of the gradient.
        average: an average of the weights to keep up to date, or None.
    """

    def __init__(
        self,
        model: Module,
        optimizer: Any,
        task: Task,
        clipping: Clipping,
        average: Any = None,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.task = task
        self.clipping = clipping
        self.average = average
        self._weight = 0.0  # of the losses that were summed for the update at hand
        self._is_sum = False

    def take(self, batch: Any, step: int, part: int, *, is_alone: bool) -> Learnt:
        """Forward and backward of one batch.

        Args:
            batch: images and labels.
            step: the number of the update that it belongs to, counted from 0.
            part: the number of the batch in that update, counted from 0.
            is_alone: whether the update has no other batch.

        Raises:
            StateError: the loss isn't finite.
        """
        images, labels = as_pair(batch)
        # A batch alone is its own mean; several are added up as sums, and divided at the update.
        reduction = "mean" if is_alone else "sum"
        outcome = self.task.run(self.model, images, labels, training=True, reduction=reduction)
        loss = float(outcome.loss.item())
        # Where nothing is labelled there is no mean, and nothing to learn.
        is_there = bool(outcome.weight) or not is_alone
        if is_there and not math.isfinite(loss):
            raise StateError(
                "Training needs a loss that stays finite.",
                f"a loss of {loss} at step {step + 1}",
                "A smaller learning rate usually helps.",
            )
        if part == 0:
            self.optimizer.zero_grad()
            self._weight = 0.0
        self._is_sum = not is_alone
        if self._is_sum:
            self._weight += outcome.weight
            loss /= outcome.weight or 1.0
        if is_there:
            outcome.loss.backward()
        return Learnt(loss, outcome.weight, outcome.correct, outcome.judged, outcome.images)

    def update(self, step: int) -> None:
        """Move the weights by the gradients that were taken in.

        Raises:
            StateError: a bound on the gradients is set, and they aren't finite.
        """
        parameters = list(self._parameters())
        if self._is_sum and not self._weight:
            self.optimizer.zero_grad()
        for parameter in parameters if self._is_sum else []:
            if parameter.grad is not None:
                parameter.grad._data *= parameter.grad.dtype.type(1 / self._weight)
        if self.clipping.norm is not None:
            norm = float(clip_grad_norm_(parameters, self.clipping.norm))
            if not math.isfinite(norm):
                raise StateError(
                    "Training needs gradients that stay finite.",
                    f"gradients with the norm {norm} at step {step + 1}",
                    "A smaller learning rate usually helps.",
                )
        if self.clipping.value is not None:
            clip_grad_value_(parameters, self.clipping.value)
        self.optimizer.step()
        if self.average is not None:
            self.average.update()

    def _parameters(self) -> Iterator[Tensor]:
        for group in self.optimizer.param_groups:
            yield from group["params"]
