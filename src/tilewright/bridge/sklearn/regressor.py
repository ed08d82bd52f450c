"""A convolutional network as scikit-learn's regressor."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_array, validate_data

from tilewright.bridge.sklearn.checks import refuse_huge
from tilewright.bridge.sklearn.estimator import Array, ConvEstimator
from tilewright.bridge.sklearn.inputs import Layout, standard_of
from tilewright.bridge.sklearn.learning import Regress, Task
from tilewright.errors import DtypeError, ShapeError, describe


class ConvRegressor(RegressorMixin, ConvEstimator):  # type: ignore[misc]  # as ConvEstimator
    """Predict one number, or several, from images, sequences or tables with a convolutional network.

    The network learns targets brought to mean 0 and deviation 1, each output on its own, by their squared
    error; predictions are in the targets' own units.

    Args:
        hidden_channels: how many channels each convolution gives; each is followed by ReLU.
        kernel_size: of the convolutions, one integer or one per axis, with "same" padding.
        pooling: how images shrink from one convolution to the next: "max" or "mean", pools behind each; or
            "stride", the convolutions' own steps. Tables don't shrink.
        pool_size: by how much, one integer or one per axis; 1 for not at all.
        dense_width: width of the dense layer behind them; 0 for none.
        epochs: passes over the training samples.
        batch_size: the most samples that a step learns from; each epoch is cut evenly.
        learning_rate: AdamW's at the first step; it falls in a straight line to zero at the last one.
        weight_decay: AdamW's: each step shrinks every weight by this share of the learning rate.
        early_stopping: hold out a part of the samples, stop when the loss on it no longer falls, and keep
            the weights of the epoch where it was least.
        validation_fraction: the share held out.
        n_iter_no_change: stop after so many epochs without a lower validation loss.
        image_shape: how a row of X is laid out: (length,), (height, width), (height, width, channels) or
            (depth, height, width, channels), the channel varying fastest. None: square images where the
            number of features is the square of 8 or more, otherwise a table, with a convolution along its
            columns.
        model: makes the network in place of the arguments up to ``dense_width``: called with the shape of an
            input, (channels, *spatial), and the number of outputs, it returns a :class:`tilewright.nn.Module`
            from (batch, channels, *spatial) to (batch, outputs).
        random_state: an int, a ``numpy.random.RandomState``, or None for NumPy's global one: what the first
            weights, the order of the samples and the held-out part follow.
        verbose: show a progress bar (on standard error).

    Attributes:
        n_features_in_: numbers in a sample, over all axes.
        feature_names_in_: the columns' names, if X had any.
        model_: the trained network, in evaluation mode.
        n_iter_: epochs done.
        history_: one dict for each epoch: ``step``, ``epoch``, ``train_loss`` (of the weights as they changed
            during the epoch), and with early stopping ``val_loss``. ``tw.lens.curves.draw_curves`` draws it.
        loss_curve_: the training loss of each epoch, in variances of the targets: 0.1 is an R² of 0.9.

    Each channel (in a table each column) is brought to mean 0 and deviation 1 over the training samples, so
    X needs no scaling. Samples whose weight is 0 are as good as absent.

    >>> rng = np.random.default_rng(0)
    >>> images, size = np.zeros((100, 8, 8)), rng.integers(1, 8, 100)
    >>> for image, side in zip(images, size):
    ...     image[:side, :side] = rng.uniform(0.5, 1)  # a square, more or less bright
    >>> ConvRegressor((8,), epochs=20, random_state=0).fit(images, size).score(images, size) > 0.95
    True
    """

    _task: Regress
    # Whether y was (n,): predictions then are, too.
    _is_flat: bool

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Make one pass over some samples, at a constant learning rate, going on with the network there is.

        Args:
            X: as for :meth:`fit`. Means and deviations, of y too, stay those of the first call.
            y: targets (n,) or (n, outputs), as in the first call.
            sample_weight: as for :meth:`fit`.

        Raises:
            ArgumentError: ``early_stopping``, which needs all samples at once.
            ShapeError: another number of outputs than in the first call.
            Others: as :meth:`fit`.
        """
        return self._learn_part(X, y, sample_weight)

    def predict(self, X: Any) -> Array:
        """The predicted targets, float64: (n,), or (n, outputs) if ``y`` had two axes.

        Raises:
            NotFittedError: scikit-learn's, before :meth:`fit`.
            ShapeError: images of another shape than those of :meth:`fit`.
            ValueError, TypeError: scikit-learn's, for data that it refuses.
        """
        found = self._answers(X) * self._task.scale + self._task.mean
        return found[:, 0] if self._is_flat else found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _check_both(self, X: Any, y: Any, begin: bool) -> tuple[Array, Array]:
        if y is not None:
            # validate_data would let sparse targets through.
            y = check_array(y, ensure_2d=False, dtype=None, estimator=self, input_name="y")
        X, y = validate_data(self, X, y, reset=begin, multi_output=True, y_numeric=True)
        if y.dtype.kind not in "biuf":
            raise DtypeError("ConvRegressor needs y to be numbers.", describe(y=y))
        refuse_huge(y, "y", self)
        return X, y

    def _as_targets(self, y: Array, begin: bool, is_part: bool) -> Array:
        targets = y.reshape(len(y), -1).astype(np.float64)
        if begin:
            self._is_flat = y.ndim == 1
        elif targets.shape[1] != self._outputs:
            raise ShapeError(
                f"ConvRegressor.partial_fit needs targets of {self._outputs} outputs, as in its first call.",
                describe(y=y),
            )
        return targets

    def _new_task(self, targets: Array, weights: Array) -> tuple[Task, int]:
        outputs = targets.shape[1]
        columns = Layout((outputs,), 1, is_table=True)
        standard = standard_of(targets, np.arange(len(targets)), weights, columns)
        return Regress(standard.mean, standard.scale), outputs
