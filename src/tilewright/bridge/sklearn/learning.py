"""The training loop of the estimators: in memory, seeded, silent unless asked."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from tilewright import functional as F
from tilewright.autograd.create import as_tensor
from tilewright.autograd.tape import enable_grad, no_grad
from tilewright.autograd.tensor import Tensor
from tilewright.bridge.sklearn.options import Options
from tilewright.bridge.sklearn.samples import Samples, batches
from tilewright.errors import ShapeError, StateError
from tilewright.nn import Module
from tilewright.op.random import get_rng_state, manual_seed, set_rng_state
from tilewright.optim import Optimizer
from tilewright.train.blas import one_thread
from tilewright.train.progress import Silent

Array = np.ndarray[Any, Any]

# Samples judged at a time: large enough to use the cores, small enough to keep memory modest.
_JUDGED_AT_ONCE = 256
# Layers draw from one generator, and BLAS has one number of threads; so the fits of a process take turns.
_TURN = threading.RLock()


class Task(Protocol):
    """What the outputs of a network are for.

    Attributes:
        counts_right: whether answers are right or wrong, so that there is an accuracy.
    """

    counts_right: bool

    def losses(self, outputs: Tensor, targets: Array) -> Tensor:
        """The loss of each sample, (b,), of outputs (b, outputs) and targets (b, k) float64."""
        ...

    def right(self, outputs: Array, targets: Array) -> Array:
        """Which samples are answered rightly, (b,) bool."""
        ...


class Classify:
    """Cross-entropy of logits (b, classes) and class numbers (b, 1)."""

    counts_right = True

    def losses(self, outputs: Tensor, targets: Array) -> Tensor:
        """−log of the probability given to the right class."""
        labels = as_tensor(targets[:, 0].astype(np.int64))
        found: Tensor = F.cross_entropy(outputs, labels, reduction="none")
        return found

    def right(self, outputs: Array, targets: Array) -> Array:
        """Whether the largest logit, the first of equals, is the right one."""
        found: Array = outputs.argmax(axis=1) == targets[:, 0]
        return found


class Regress:
    """Squared error of outputs (b, k), in deviations of the targets from their mean.

    Args:
        mean: of the targets, (k,).
        scale: their standard deviation, (k,).
    """

    counts_right = False

    def __init__(self, mean: Array, scale: Array) -> None:
        self.mean = mean
        self.scale = scale

    def losses(self, outputs: Tensor, targets: Array) -> Tensor:
        """The mean over the outputs of the squared error, in variances of the targets."""
        wanted = ((targets - self.mean) / self.scale).astype(outputs.dtype)
        found: Tensor = F.mse_loss(outputs, as_tensor(wanted), reduction="none").mean(1)
        return found

    def right(self, outputs: Array, targets: Array) -> Array:
        """None is."""
        return np.zeros(len(outputs), bool)


@contextmanager
def own_randomness(state: int | dict[str, Any]) -> Iterator[None]:
    """Let layers draw from a stream of the estimator's own; the user's goes on as if nothing had been drawn.

    Args:
        state: a seed, or where the stream stands (from ``get_rng_state``).
    """
    with _TURN, one_thread():
        theirs = get_rng_state()
        try:
            if isinstance(state, int):
                manual_seed(state)
            else:
                set_rng_state(state)
            yield
        finally:
            set_rng_state(theirs)


@dataclass
class Course:
    """How a training goes on: the plan, and where it stands.

    Attributes:
        seed: what the order of the samples follows.
        batch_size: the most samples a step learns from.
        learning_rate: of the first step.
        last_step: the rate falls in a straight line to zero at this step; None: it stays.
        last_epoch: where training ends.
        patience: stop when the validation loss has not fallen for so many epochs.
        epoch: epochs done.
        step: steps done.
        rows: what was measured in each epoch.
    """

    seed: int
    batch_size: int = 1
    learning_rate: float = 0.0
    last_step: int | None = None
    last_epoch: int = 0
    patience: int = 1
    epoch: int = 0
    step: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)

    def plan(self, options: Options, samples: int, is_part: bool) -> None:
        """Set what is to come: all epochs over so many samples, or one over a part of them."""
        self.batch_size = options.batch_size
        self.learning_rate = options.learning_rate
        self.patience = options.n_iter_no_change
        epochs = 1 if is_part else options.epochs
        self.last_epoch = self.epoch + epochs
        self.last_step = None if is_part else self.step + epochs * -(-samples // options.batch_size)

    @property
    def rate(self) -> float:
        """The learning rate of the step at hand."""
        return self.learning_rate * (1 if self.last_step is None else 1 - self.step / self.last_step)


@dataclass
class _Sums:
    """Weighted sums over samples."""

    loss: float = 0.0
    right: float = 0.0
    weight: float = 0.0

    def add(self, losses: Array, right: Array, weights: Array) -> None:
        exact = weights.astype(np.float64)
        self.loss += float((losses * exact).sum())
        self.right += float((right * exact).sum())
        self.weight += float(exact.sum())

    def named(self, prefix: str, task: Task) -> dict[str, float]:
        found = {f"{prefix}_loss": self.loss / self.weight}
        if task.counts_right:
            found[f"{prefix}_accuracy"] = self.right / self.weight
        return found


def learn(
    model: Module,
    optimizer: Optimizer,
    task: Task,
    outputs: int,
    training: Samples,
    validation: Samples,
    course: Course,
    display: Silent,
) -> None:
    """Train a network in place to the end of its course, or until the validation loss no longer falls.

    Where samples are held out, the weights of the epoch with the least validation loss are the ones kept.
    Each epoch adds a row to ``course.rows``, with the names that :func:`tilewright.lens.curves.draw_curves`
    reads.

    Args:
        model: takes (b, channels, *spatial), gives (b, outputs).
        optimizer: made over its parameters.
        task: the loss.
        outputs: how many numbers an answer has.
        training: samples to learn from.
        validation: samples held out; perhaps none.
        course: the plan; it is moved on.
        display: shows how far the training is.

    Raises:
        ShapeError: the network answers with another shape.
        StateError: the loss is no longer finite.
    """
    least, waited = math.inf, 0
    best: dict[str, Array] | None = None
    display.begin(course.last_step or 0, course.step)
    while course.epoch < course.last_epoch and waited < course.patience:
        model.train()
        row = _one_epoch(model, optimizer, task, outputs, training, course, display)
        model.eval()
        if len(validation):
            row |= _judge(model, task, outputs, validation)
            waited += 1
            if row["val_loss"] < least:
                least, waited = row["val_loss"], 0
                best = {name: value.numpy().copy() for name, value in model.state_dict().items()}
        course.rows.append(row)
        display.say(_sentence(row))
    if best is not None:
        model.load_state_dict(best)


def _one_epoch(
    model: Module,
    optimizer: Optimizer,
    task: Task,
    outputs: int,
    training: Samples,
    course: Course,
    display: Silent,
) -> dict[str, Any]:
    sums, started, seen = _Sums(), time.perf_counter(), 0
    for part in batches(len(training), course.batch_size, course.seed, course.epoch):
        inputs, targets, weights = training.take(part)
        with enable_grad():
            answers = _answers_of(model, inputs, outputs)
            losses = task.losses(answers, targets)
            # Divided by the number of samples: weights have mean 1 over all of them, so that the expectation
            # over batches is the weighted mean, whatever weights a batch happens to hold.
            loss = (losses * as_tensor(weights.astype(losses.dtype))).sum() / len(part)
            if not math.isfinite(value := float(loss.item())):
                raise StateError(
                    "Training needs a loss that stays finite.",
                    f"a loss of {value} at step {course.step + 1}",
                    "A smaller learning rate usually helps.",
                )
            optimizer.zero_grad()
            loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = course.rate
        optimizer.step()
        course.step += 1
        seen += len(part)
        right = task.right(answers.detach().numpy(), targets)
        sums.add(losses.detach().numpy(), right, weights)
        accuracy = sums.right / sums.weight if task.counts_right else None
        speed = seen / max(time.perf_counter() - started, 1e-9)
        display.update(course.step, course.epoch + 1, sums.loss / sums.weight, accuracy, speed)
    course.epoch += 1
    optimizer.zero_grad()
    return {"step": course.step, "epoch": course.epoch, **sums.named("train", task)}


def _judge(model: Module, task: Task, outputs: int, samples: Samples) -> dict[str, float]:
    """The mean loss and, where there is one, the accuracy over samples."""
    sums = _Sums()
    with no_grad():
        for start in range(0, len(samples), _JUDGED_AT_ONCE):
            part = np.arange(start, min(start + _JUDGED_AT_ONCE, len(samples)))
            inputs, targets, weights = samples.take(part)
            answers = _answers_of(model, inputs, outputs)
            losses = task.losses(answers, targets).numpy()
            sums.add(losses, task.right(answers.numpy(), targets), weights)
    return sums.named("val", task)


def answer_all(model: Module, rows: Array, standard: Any, outputs: int) -> Array:
    """What the network says to rows of X: (n, outputs), float64. Each row's answer is that of it alone."""
    found = np.empty((len(rows), outputs))
    with no_grad():
        for start in range(0, len(rows), _JUDGED_AT_ONCE):
            part = slice(start, start + _JUDGED_AT_ONCE)
            found[part] = _answers_of(model, standard(rows[part]), outputs).numpy()
    return found


def _answers_of(model: Module, inputs: Array, outputs: int) -> Tensor:
    """The network's answer (b, outputs) to inputs (b, channels, *spatial), in the dtype of its first weight.

    Raises:
        ShapeError: it has another shape.
    """
    dtype = next((parameter.dtype for parameter in model.parameters()), inputs.dtype)
    answers = model(as_tensor(inputs.astype(dtype, copy=False)))
    if not isinstance(answers, Tensor) or tuple(answers.shape) != (len(inputs), outputs):
        shape = tuple(getattr(answers, "shape", ()))
        raise ShapeError(
            f"The network that model makes needs to answer with (batch, {outputs}).",
            f"{type(answers).__name__} of shape {shape} for inputs of shape {inputs.shape}",
        )
    return answers


def _sentence(row: dict[str, Any]) -> str:
    parts = [f"epoch {row['epoch']}"]
    for prefix, name in (("train", "loss"), ("val", "validation loss")):
        if f"{prefix}_loss" in row:
            parts.append(f"{name} {row[f'{prefix}_loss']:.4f}")
        if f"{prefix}_accuracy" in row:
            parts.append(f"accuracy {100 * row[f'{prefix}_accuracy']:.2f} %")
    return "  ".join(parts)
