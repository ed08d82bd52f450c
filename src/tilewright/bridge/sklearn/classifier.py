"""A convolutional network as scikit-learn's classifier."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets
from sklearn.utils.validation import validate_data

from tilewright.bridge.sklearn.estimator import Array, ConvEstimator, Maker
from tilewright.bridge.sklearn.learning import Classify, Task
from tilewright.errors import ArgumentError, DtypeError, describe
from tilewright.nn.arguments import as_number
from tilewright.train.evaluate import softmax


class ConvClassifier(ClassifierMixin, ConvEstimator):  # type: ignore[misc]  # as ConvEstimator
    """Classify images, sequences or tables with a convolutional network.

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
        validation_fraction: the share held out, of each class.
        n_iter_no_change: stop after so many epochs without a lower validation loss.
        class_weight: None; a dict from class to factor, 1 for those that it leaves out; or ``"balanced"``,
            which gives every class the same weight in all.
        image_shape: how a row of X is laid out: (length,), (height, width), (height, width, channels) or
            (depth, height, width, channels), the channel varying fastest. None: square images where the
            number of features is the square of 8 or more, otherwise a table, with a convolution along its
            columns.
        model: makes the network in place of the arguments up to ``dense_width``: called with the shape of an
            input, (channels, *spatial), and the number of classes, it returns a :class:`tilewright.nn.Module`
            from (batch, channels, *spatial) to logits (batch, classes).
        random_state: an int, a ``numpy.random.RandomState``, or None for NumPy's global one: what the first
            weights, the order of the samples and the held-out part follow.
        verbose: show a progress bar (on standard error).

    Attributes:
        classes_: the labels, sorted.
        n_features_in_: numbers in a sample, over all axes.
        feature_names_in_: the columns' names, if X had any.
        model_: the trained network, in evaluation mode.
        n_iter_: epochs done.
        history_: one dict for each epoch: ``step``, ``epoch``, ``train_loss``, ``train_accuracy`` (of the
            weights as they changed during the epoch), and with early stopping ``val_loss`` and
            ``val_accuracy``. ``tw.lens.curves.draw_curves`` draws it.
        loss_curve_: the training loss of each epoch.

    Each channel (in a table each column) is brought to mean 0 and deviation 1 over the training samples, so
    X needs no scaling. Samples whose weight is 0 are as good as absent: their labels are no classes.

    >>> rng = np.random.default_rng(0)
    >>> images = rng.normal(size=(60, 8, 8))
    >>> images[:30, 2:6, 2:6] += 2
    >>> labels = np.repeat(["square", "none"], 30)
    >>> ConvClassifier((8,), epochs=10, random_state=0).fit(images, labels).score(images, labels)
    1.0
    """

    classes_: Array

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
        class_weight: Any = None,
        image_shape: tuple[int, ...] | None = None,
        model: Maker | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            hidden_channels,
            kernel_size=kernel_size,
            pooling=pooling,
            pool_size=pool_size,
            dense_width=dense_width,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            image_shape=image_shape,
            model=model,
            random_state=random_state,
            verbose=verbose,
        )
        self.class_weight = class_weight

    # Learning ---------------------------------------------------------------------------------------------

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Make one pass over some samples, at a constant learning rate, going on with the network there is.

        Args:
            X: as for :meth:`fit`. Means and deviations stay those of the first call.
            y: labels (n,).
            classes: all labels that will ever come; needed in the first call.
            sample_weight: as for :meth:`fit`.

        Raises:
            ArgumentError: a label that is none of the classes; ``class_weight="balanced"`` or
                ``early_stopping``, which need all samples at once.
            ValueError: scikit-learn's: no classes in the first call, or others in a later one.
            Others: as :meth:`fit`.
        """
        if isinstance(self.class_weight, str):
            raise ArgumentError(
                "ConvClassifier.partial_fit can't balance classes of which it sees only a part.",
                describe(class_weight=self.class_weight),
                "Pass a dict of weights, as sklearn.utils.class_weight.compute_class_weight computes them.",
            )
        if not self.__sklearn_is_fitted__():
            # Classes that an attempt which failed has left.
            self.__dict__.pop("classes_", None)
        _check_partial_fit_first_call(self, classes)
        return self._learn_part(X, y, sample_weight)

    def _check_both(self, X: Any, y: Any, begin: bool) -> tuple[Array, Array]:
        X, y = validate_data(self, X, y, reset=begin)
        try:
            np.unique(y)
        except TypeError as error:
            raise DtypeError(
                "ConvClassifier needs labels of one type, which can be put in order.", str(error)
            ) from error
        check_classification_targets(y)
        return X, y

    def _as_targets(self, y: Array, begin: bool, is_part: bool) -> Array:
        if begin and not is_part:
            self.classes_ = np.unique(y)
        numbers = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        is_known = self.classes_[numbers] == y
        if not np.all(is_known):
            raise ArgumentError(
                "ConvClassifier.partial_fit needs labels from the classes of its first call.",
                describe(classes=self.classes_.tolist(), labels=np.unique(y[~is_known]).tolist()),
            )
        return numbers[:, None].astype(np.float64)

    def _new_task(self, targets: Array, weights: Array) -> tuple[Task, int]:
        return Classify(), len(self.classes_)

    def _strata(self, targets: Array) -> Array:
        labels: Array = targets[:, 0]
        return labels

    def _reweighed(self, targets: Array, weights: Array) -> Array:
        numbers = targets[:, 0].astype(np.int64)
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            # By the samples' weights and not their number, so that a weight of 2 is the sample given twice.
            sums = np.bincount(numbers, weights)
            weights = weights * (sums.sum() / (len(sums) * sums))[numbers]
            return weights
        if isinstance(self.class_weight, dict):
            for label, factor in self.class_weight.items():
                as_number(factor, f"class_weight[{label!r}]", "ConvClassifier")
        # scikit-learn's function looks at the labels to see which of the dict's are there.
        factors = compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_)
        weights = weights * (factors / (factors.max() or 1.0))[numbers]
        if not weights.any():
            raise ArgumentError(
                "ConvClassifier needs class_weight above 0 for a class that has samples.",
                describe(class_weight=self.class_weight),
            )
        return weights

    # Answers ----------------------------------------------------------------------------------------------

    def decision_function(self, X: Any) -> Array:
        """The network's logits: (n, classes), float64; for two classes (n,), the second's minus the first's.

        Raises:
            NotFittedError: scikit-learn's, before :meth:`fit`.
            ShapeError: images of another shape than those of :meth:`fit`.
            ValueError, TypeError: scikit-learn's, for data that it refuses.
        """
        logits = self._answers(X)
        found: Array = logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits
        return found

    def predict(self, X: Any) -> Array:
        """The most probable label of each sample, (n,); errors as for :meth:`decision_function`."""
        best = self._answers(X).argmax(axis=1)
        found: Array = self.classes_[best]
        return found

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, (n, classes), rows adding up to 1; errors likewise."""
        return softmax(self._answers(X))

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithm of each probability, exact where the probability itself is rounded to 0."""
        logits = self._answers(X)
        logits -= logits.max(axis=1, keepdims=True)
        found: Array = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return found
