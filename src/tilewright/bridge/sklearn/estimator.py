"""What the classifier and the regressor share: checked data, training, answers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from tilewright.bridge.sklearn.checks import in_rows, read_weights, refuse_huge
from tilewright.bridge.sklearn.inputs import Standard, find_layout, standard_of
from tilewright.bridge.sklearn.learning import Course, Task, answer_all, learn, own_randomness
from tilewright.bridge.sklearn.network import make_network
from tilewright.bridge.sklearn.options import Options, read_options
from tilewright.bridge.sklearn.samples import Samples, held_out, in_own_order
from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.nn import Module
from tilewright.op.random import get_rng_state
from tilewright.optim import Optimizer
from tilewright.optim.adam import AdamW
from tilewright.train import progress as shown

Array = np.ndarray[Any, Any]
#: Makes a network from the shape of an input, (channels, *spatial), and the number of outputs.
Maker = Callable[[tuple[int, ...], int], Module]


class ConvEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn is published without types
    """Base of the two estimators; their docstrings describe the parameters."""

    model_: Module
    n_features_in_: int
    n_iter_: int
    history_: list[dict[str, Any]]
    loss_curve_: list[float]

    _standard: Standard
    _task: Task
    _outputs: int
    _course: Course
    _optimizer: Optimizer
    # Where the stream stands that layers draw from, for partial_fit to go on with.
    _stream: int | dict[str, Any]

    def __init__(
        self,
        hidden_channels: tuple[int, ...] = (32, 64),
        *,
        kernel_size: int | tuple[int, ...] = 3,
        pooling: str = "max",
        pool_size: int | tuple[int, ...] = 2,
        dense_width: int = 64,
        epochs: int = 30,
        batch_size: int = 32,
        learning_rate: float = 2e-3,
        weight_decay: float = 0.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        image_shape: tuple[int, ...] | None = None,
        model: Maker | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_channels = hidden_channels
        self.kernel_size = kernel_size
        self.pooling = pooling
        self.pool_size = pool_size
        self.dense_width = dense_width
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.image_shape = image_shape
        self.model = model
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    # What each of the two does its own way ----------------------------------------------------------------

    @abstractmethod
    def _check_both(self, X: Any, y: Any, begin: bool) -> tuple[Array, Array]:
        """X (n, features) and y as arrays, checked by scikit-learn."""

    @abstractmethod
    def _as_targets(self, y: Array, begin: bool, is_part: bool) -> Array:
        """``y`` as float64 (n, k); what is to be known of it is noted if a training begins."""

    @abstractmethod
    def _new_task(self, targets: Array, weights: Array) -> tuple[Task, int]:
        """What to learn from such targets (m, k) of such weights (m,), and how many outputs that takes."""

    def _strata(self, targets: Array) -> Array:
        """The group (m,) of each sample, of which the held-out part has its share."""
        return np.zeros(len(targets), np.int64)

    def _reweighed(self, targets: Array, weights: Array) -> Array:
        """The weights (m,) as training counts them, some above 0."""
        return weights

    # Learning ---------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a new network.

        Args:
            X: images (n, height, width) or (n, height, width, channels), or samples in rows (n, features).
            y: what is to be learnt, (n,); for a regressor (n, outputs) as well.
            sample_weight: (n,), at least 0: how much each sample counts. A weight of 2 is the sample given
                twice, a weight of 0 the sample left out.

        Raises:
            ArgumentError: a parameter outside its rule.
            ShapeError: ``image_shape`` doesn't fit X, or ``model`` makes a network of other outputs.
            StateError: the loss is no longer finite.
            ValueError, TypeError: scikit-learn's, for data that it refuses.
        """
        return self._learn(X, y, sample_weight, begin=True, is_part=False)

    def _learn_part(self, X: Any, y: Any, sample_weight: Any) -> Self:
        if self.early_stopping:
            raise ArgumentError(
                f"{type(self).__name__}.partial_fit makes one pass and holds nothing out.",
                describe(early_stopping=self.early_stopping),
                "Set early_stopping=False.",
            )
        return self._learn(X, y, sample_weight, begin=not self.__sklearn_is_fitted__(), is_part=True)

    def _learn(self, X: Any, y: Any, sample_weight: Any, *, begin: bool, is_part: bool) -> Self:
        """Train a new network (``begin``) or the one there is, for all epochs or for one (``is_part``)."""
        options = read_options(self)
        if begin:
            # If anything below fails, there is no network rather than one of other data.
            self.__dict__.pop("model_", None)
        X, sample_shape = in_rows(X, self)
        rows, y = self._check_both(X, y, begin)
        sample_shape = sample_shape or rows.shape[1:]
        self._check_rows(rows, sample_shape, begin)
        rows, numbers, targets, weights = self._in_own_order(rows, y, sample_weight, begin, is_part)
        if begin:
            layout = find_layout(sample_shape, self.image_shape, type(self).__name__)
            self._stream = int(check_random_state(self.random_state).randint(2**31 - 1))
            self._course = Course(seed=self._stream)
        is_out = self._held_out(targets, options)
        if begin:
            self._standard = standard_of(rows, numbers[~is_out], weights[~is_out], layout)
            self._task, self._outputs = self._new_task(targets[~is_out], weights[~is_out])
        training, validation = (
            Samples.of(rows, numbers[part], targets[part], weights[part], self._standard)
            for part in (~is_out, is_out)
        )
        with own_randomness(self._stream), shown.choose(bool(self.verbose)) as display:
            model = self._new_model(options) if begin else self.model_
            if begin:
                self._optimizer = AdamW(model.parameters())
            self._optimizer.param_groups[0]["weight_decay"] = options.weight_decay
            self._course.plan(options, len(training), is_part)
            learn(
                model, self._optimizer, self._task, self._outputs, training, validation, self._course, display
            )
            self._stream = get_rng_state()
        self.model_ = model
        self.n_iter_ = self._course.epoch
        self.history_ = self._course.rows
        self.loss_curve_ = [row["train_loss"] for row in self.history_]
        return self

    def _in_own_order(
        self, rows: Array, y: Array, sample_weight: Any, begin: bool, is_part: bool
    ) -> tuple[Array, Array, Array, Array]:
        """Rows of X, the numbers (m,) of those to learn from, their targets (m, k) and weights (m,)."""
        weights = read_weights(sample_weight, rows)
        counts = weights > 0
        if not counts.all():
            rows, y, weights = rows[counts], y[counts], weights[counts]
        targets = self._as_targets(y, begin, is_part)
        numbers, weights = in_own_order(rows, targets, weights)
        weights = self._reweighed(targets[numbers], weights)
        counts = weights > 0
        numbers, weights = numbers[counts], weights[counts]
        return rows, numbers, targets[numbers], weights

    def _held_out(self, targets: Array, options: Options) -> Array:
        """Which samples are held out, (m,) bool."""
        if not options.early_stopping:
            return np.zeros(len(targets), bool)
        is_out = held_out(self._strata(targets), options.validation_fraction, self._course.seed)
        if not is_out.any():
            raise ArgumentError(
                f"{type(self).__name__} with early_stopping needs two samples that differ, of one class.",
                describe(samples=len(targets)),
            )
        return is_out

    def _new_model(self, options: Options) -> Module:
        shape = self._standard.layout.network_shape
        if self.model is None:
            is_table = self._standard.layout.is_table
            return make_network(
                shape,
                self._outputs,
                hidden_channels=options.hidden_channels,
                kernel_size=self.kernel_size,
                pooling=self.pooling,
                # Neighbouring columns of a table have no more in common than others.
                pool_size=1 if is_table else self.pool_size,
                dense_width=options.dense_width,
                op=type(self).__name__,
            )
        found = self.model(shape, self._outputs)
        if not isinstance(found, Module):
            raise DtypeError(
                f"{type(self).__name__} needs model to return a tilewright.nn.Module.", describe(model=found)
            )
        return found

    # Answers ----------------------------------------------------------------------------------------------

    def _check_rows(self, rows: Array, sample_shape: tuple[int, ...], begin: bool) -> None:
        refuse_huge(rows, "X", self)
        if not begin and not self._standard.layout.fits(sample_shape):
            raise ShapeError(
                f"{type(self).__name__} needs samples of the shape that it was fitted on, or flattened.",
                describe(fitted_on=self._standard.layout.sample_shape, sample_shape=sample_shape),
            )

    def _answers(self, X: Any) -> Array:
        """The network's outputs for X: (n, outputs), float64."""
        check_is_fitted(self)
        X, sample_shape = in_rows(X, self)
        X = validate_data(self, X, reset=False)
        self._check_rows(X, sample_shape or X.shape[1:], begin=False)
        return answer_all(self.model_, X, self._standard, self._outputs)
