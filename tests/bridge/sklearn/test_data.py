"""What the estimators take for data and parameters, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", "1.6", reason="needs scikit-learn 1.6 or newer")

from bridge.sklearn.small import bars, classifier, regressor
from scipy import sparse
from sklearn.exceptions import DataConversionWarning, NotFittedError

from tilewright import nn
from tilewright.errors import ArgumentError, DtypeError, ShapeError, TilewrightError

Array = np.ndarray[Any, Any]
IMAGES, PLACES = bars(40)
ROWS = IMAGES.reshape(40, 64)


# Images -----------------------------------------------------------------------------------------------------


def test_images_and_their_rows_are_the_same_samples() -> None:
    model = classifier().fit(IMAGES, PLACES)
    assert model.n_features_in_ == 64
    expected = model.predict_proba(IMAGES)
    for X in (ROWS, IMAGES[..., None], ROWS.tolist(), IMAGES.tolist()):
        assert np.array_equal(model.predict_proba(X), expected)


def test_the_channel_varies_fastest() -> None:
    colours = np.random.default_rng(0).normal(size=(40, 6, 5, 3))
    deep = classifier(epochs=1).fit(colours, PLACES)
    flat = classifier(epochs=1, image_shape=(6, 5, 3)).fit(colours.reshape(40, 90), PLACES)
    assert np.array_equal(deep.predict_proba(colours), flat.predict_proba(colours))
    assert next(deep.model_.parameters()).shape == (4, 3, 3, 3)


@pytest.mark.parametrize(
    ("shape", "image_shape", "weight"),
    [
        ((64,), None, (4, 1, 3, 3)),
        ((64,), (64,), (4, 1, 3)),
        ((64,), (4, 16), (4, 1, 3, 3)),
        ((64,), (4, 4, 4), (4, 4, 3, 3)),
        ((64,), (2, 4, 4, 2), (4, 2, 3, 3, 3)),
        ((2, 4, 4, 2), None, (4, 2, 3, 3, 3)),
        ((9,), None, (4, 1, 3)),
        ((1,), None, (4, 1, 3)),
    ],
)
def test_shapes(shape: tuple[int, ...], image_shape: Any, weight: tuple[int, ...]) -> None:
    X = np.random.default_rng(1).normal(size=(20, *shape))
    model = classifier(epochs=1, image_shape=image_shape).fit(X, PLACES[:20])
    assert next(model.model_.parameters()).shape == weight
    assert model.predict(X).shape == (20,)
    assert model.n_features_in_ == np.prod(shape)


@pytest.mark.parametrize("pooling", ["max", "mean", "stride"])
def test_the_columns_of_a_table_are_not_pooled(pooling: str) -> None:
    X = np.random.default_rng(2).normal(size=(20, 12))
    pooled, table = (
        classifier(pooling=pooling, image_shape=shape, epochs=1).fit(X, PLACES[:20]).model_
        for shape in ((12,), None)
    )
    dense = [[layer.in_features for layer in net if isinstance(layer, nn.Linear)] for net in (pooled, table)]
    assert dense == [[4 * 6, 8], [4 * 12, 8]]


def test_samples_of_another_shape_are_refused_later() -> None:
    model = classifier().fit(IMAGES, PLACES)
    with pytest.raises(ShapeError) as caught:
        model.predict(IMAGES.reshape(40, 4, 16))
    assert str(caught.value) == (
        "ConvClassifier needs samples of the shape that it was fitted on, or flattened. "
        "Received: fitted_on=(8, 8, 1), sample_shape=(4, 16)."
    )
    with pytest.raises(ShapeError, match=r"Received: fitted_on=\(8, 8, 1\), sample_shape=\(16, 4\)\.$"):
        model.partial_fit(IMAGES.reshape(40, 16, 4), PLACES)
    for X in (ROWS[:, :-1], IMAGES[:, :-1]):
        with pytest.raises(ValueError, match=r"X has \d+ features, but ConvClassifier is expecting 64 feat"):
            model.predict(X)


# What scikit-learn refuses ----------------------------------------------------------------------------------

SPARSE = r"Sparse data was passed for [Xy], but dense data is required"


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize(
    ("X", "kind", "said"),
    [
        (np.where(ROWS > 2, np.nan, ROWS), ValueError, "Input X contains NaN"),
        (np.where(IMAGES > 2, np.nan, IMAGES), ValueError, "Input X contains NaN"),
        (np.where(ROWS > 2, np.inf, ROWS), ValueError, "Input X contains infinity or a value too large"),
        (np.where(IMAGES > 2, -np.inf, IMAGES), ValueError, "Input X contains infinity or a value too larg"),
        (
            IMAGES * 1e300,
            ValueError,
            r"Input X contains infinity or a value too large for dtype\('float32'\)",
        ),
        (ROWS * 1j, ValueError, "Complex data not supported"),
        (IMAGES * 1j, ValueError, "Complex data not supported"),
        (sparse.csr_array(ROWS), TypeError, SPARSE),
        (ROWS.astype(str), ValueError, "dtype='numeric' is not compatible with arrays of bytes/strings"),
        (IMAGES.astype(str), ValueError, "dtype='numeric' is not compatible with arrays of bytes/strings"),
        (None, ValueError, "Expected 2D array, got scalar array instead"),
        (ROWS[:, 0], ValueError, "Expected 2D array, got 1D array instead"),
        ([[[1, 2], [3]]] * 40, ValueError, "inhomogeneous"),
        (IMAGES[:0], ValueError, r"Found array with 0 sample\(s\)"),
        (IMAGES[:, :0], ValueError, r"Found array with 0 feature\(s\)"),
        (IMAGES[..., None][..., :0], ValueError, r"Found array with 0 feature\(s\)"),
        (IMAGES[:-1], ValueError, "Found input variables with inconsistent numbers of samples"),
    ],
)
def test_data_that_scikit_learn_refuses(make: Any, X: Any, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        make().fit(X, PLACES)
    if isinstance(X, np.ndarray) and X.size == 40 * 64:
        fitted = make().fit(IMAGES, PLACES)
        with pytest.raises(kind, match=said):
            fitted.predict(X)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (-np.ones(40), "Negative values in data passed to `sample_weight`"),
        (np.zeros(40), "Sample weights must contain at least one non-zero number"),
        (np.full(40, np.nan), "Input sample_weight contains NaN"),
        (np.ones(39), "sample_weight.shape == "),
        (np.ones((40, 1)), "Sample weights must be 1D array or scalar"),
        (["much"] * 40, "could not convert string to float"),
    ],
)
def test_weights_that_are_refused(weights: Any, said: str) -> None:
    for make in (classifier, regressor):
        with pytest.raises(ValueError, match=said):
            make().fit(IMAGES, PLACES, weights)


def test_before_it_is_fitted() -> None:
    for make, names in (
        (classifier, ("predict", "predict_proba", "predict_log_proba", "decision_function")),
        (regressor, ("predict",)),
    ):
        for name in names:
            with pytest.raises(NotFittedError, match="instance is not fitted yet"):
                getattr(make(), name)(IMAGES)


# Labels and targets -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels",
    [
        np.array([10, -3, 7]),
        np.array([10, 3, 7], np.uint8),
        np.array([0.0, 2.0, 1.0]),
        np.array(["left", "middle", "right"]),
        np.array(["left", "middle", "right"], object),
        np.array([True, False, True]),
    ],
    ids=lambda labels: str(labels.dtype),
)
def test_labels_come_back_as_they_were(labels: Array) -> None:
    y = labels[PLACES]
    model = classifier(epochs=10, learning_rate=0.02).fit(IMAGES, y)
    assert model.classes_.tolist() == sorted(set(labels.tolist()))
    assert model.classes_.dtype == labels.dtype
    answers = model.predict(IMAGES)
    assert answers.dtype == labels.dtype and model.score(IMAGES, y) > 0.7
    assert np.array_equal(model.classes_[model.predict_proba(IMAGES).argmax(axis=1)], answers)
    logits = model.decision_function(IMAGES)
    if len(model.classes_) == 2:
        assert logits.shape == (40,) and np.array_equal(model.classes_[(logits > 0).astype(int)], answers)
        assert model.predict_proba(IMAGES)[:, 1] == pytest.approx(1 / (1 + np.exp(-logits)))
    else:
        assert logits.shape == (40, 3)
    assert np.exp(model.predict_log_proba(IMAGES)) == pytest.approx(model.predict_proba(IMAGES))


@pytest.mark.parametrize(
    ("y", "kind", "said"),
    [
        (None, ValueError, "This ConvClassifier estimator requires y to be passed"),
        (IMAGES[:, 0, 0], ValueError, "Unknown label type: continuous"),
        (np.stack([PLACES, PLACES], axis=1), ValueError, "y should be a 1d array"),
        (np.where(PLACES, np.nan, 1.0), ValueError, "Input y contains NaN"),
        (PLACES * 1j, ValueError, "Complex data not supported"),
        (PLACES[:-1], ValueError, "inconsistent numbers of samples"),
        (np.array(["a", 1, "b"], object)[PLACES], TypeError, "^ConvClassifier needs labels of one type, "),
        (np.array(["a", None, "b"], object)[PLACES], TypeError, "^ConvClassifier needs labels of one type, "),
    ],
)
def test_labels_that_are_refused(y: Any, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        classifier().fit(IMAGES, y)


def test_labels_in_a_column_are_taken_with_a_warning() -> None:
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
        model = classifier().fit(IMAGES, PLACES[:, None])
    assert np.array_equal(model.predict(IMAGES), classifier().fit(IMAGES, PLACES).predict(IMAGES))


def test_several_targets() -> None:
    targets = np.stack([PLACES, 100 - 50 * PLACES], axis=1)
    model = regressor(epochs=30, learning_rate=0.01).fit(IMAGES, targets)
    assert model.predict(IMAGES).shape == (40, 2) and model.score(IMAGES, targets) > 0.8
    one = regressor().fit(IMAGES, targets[:, :1])
    assert one.predict(IMAGES).shape == (40, 1)
    assert np.array_equal(one.predict(IMAGES)[:, 0], regressor().fit(IMAGES, PLACES).predict(IMAGES))


@pytest.mark.parametrize(
    ("y", "kind", "said"),
    [
        (None, ValueError, "This ConvRegressor estimator requires y to be passed"),
        (np.where(PLACES, np.inf, 1.0), ValueError, "Input y contains infinity"),
        (
            PLACES * 1e300,
            ValueError,
            r"Input y contains infinity or a value too large for dtype\('float32'\)",
        ),
        (PLACES * 1j, ValueError, "Complex data not supported"),
        (sparse.csr_array(np.eye(40)), TypeError, SPARSE),
        (IMAGES, ValueError, "Found array with dim 3"),
        (np.zeros((40, 0)), ValueError, r"Found array with 0 feature\(s\)"),
        (
            np.array(["a", "b", "c"])[PLACES],
            DtypeError,
            r"^ConvRegressor needs y to be numbers\. Received: y with shape \(40,\) and dtype <U1\.$",
        ),
    ],
)
def test_targets_that_are_refused(y: Any, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        regressor().fit(IMAGES, y)


def test_targets_of_other_dtypes() -> None:
    expected = regressor().fit(IMAGES, PLACES).predict(IMAGES)
    for y in (PLACES.astype(np.uint8), PLACES.astype(np.float16), PLACES.astype(object), PLACES.tolist()):
        assert np.array_equal(regressor().fit(IMAGES, y).predict(IMAGES), expected)
    assert regressor().fit(IMAGES, PLACES > 0).predict(IMAGES).dtype == np.float64


# One part at a time -----------------------------------------------------------------------------------------


def refused(call: Any, kind: type[Exception] = ArgumentError) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def test_partial_fits_that_are_refused() -> None:
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        classifier().partial_fit(IMAGES, PLACES)
    model = classifier().partial_fit(IMAGES, PLACES, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"`classes=\[0, 1\]` is not the same as on last call"):
        model.partial_fit(IMAGES, PLACES, classes=[0, 1])
    assert refused(lambda: model.partial_fit(IMAGES, PLACES + 2)) == (
        "ConvClassifier.partial_fit needs labels from the classes of its first call. "
        "Received: classes=[0, 1, 2], labels=[3, 4]."
    )
    words = np.array(["a", "b", "c"])[PLACES]
    assert refused(lambda: model.partial_fit(IMAGES, words)).endswith("labels=['a', 'b', 'c'].")
    named = classifier().partial_fit(IMAGES, words, classes=["a", "b", "c"])
    assert refused(lambda: named.partial_fit(IMAGES, PLACES)).endswith("labels=[0, 1, 2].")
    assert refused(lambda: classifier(class_weight="balanced").partial_fit(IMAGES, PLACES, [0, 1, 2])) == (
        "ConvClassifier.partial_fit can't balance classes of which it sees only a part. "
        "Received: class_weight='balanced'. "
        "Pass a dict of weights, as sklearn.utils.class_weight.compute_class_weight computes them."
    )
    assert refused(lambda: regressor(early_stopping=True).partial_fit(IMAGES, PLACES)) == (
        "ConvRegressor.partial_fit makes one pass and holds nothing out. "
        "Received: early_stopping=True. Set early_stopping=False."
    )
    two = regressor().partial_fit(IMAGES, np.stack([PLACES, PLACES], axis=1))
    assert refused(lambda: two.partial_fit(IMAGES, PLACES), ShapeError) == (
        "ConvRegressor.partial_fit needs targets of 2 outputs, as in its first call. "
        "Received: y with shape (40,) and dtype int64."
    )


def test_a_first_part_that_fails_leaves_no_classes_behind() -> None:
    model = classifier(epochs=0)
    with pytest.raises(ArgumentError):
        model.partial_fit(IMAGES, PLACES, classes=[0, 1, 2, 3])
    model.set_params(epochs=1).partial_fit(IMAGES, PLACES, classes=[0, 1, 2])
    assert model.classes_.tolist() == [0, 1, 2]


# Parameters -------------------------------------------------------------------------------------------------

WHOLE = "ConvClassifier needs {0} to be an integer. Received: {0}={1}."
LEAST = "ConvClassifier needs {0} to be at least {2}. Received: {0}={1}."
NUMBER = "ConvClassifier needs {0} to be a finite number, at least 0. Received: {0}={1}."
SHARE = "ConvClassifier needs {0} to be a finite number, at least 0 and below 1. Received: {0}={1}."
MAKER = (
    "ConvClassifier needs model to be a function that makes a network: each fit begins with a new one. "
    "Received: {}. It is called with the shape of an input (channels, *spatial) and the number of outputs."
)
DENSE = nn.Linear(64, 3)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "hidden_channels",
            8,
            "ConvClassifier needs hidden_channels as a tuple of integers, one for each convolution. "
            "Received: hidden_channels=8.",
        ),
        ("hidden_channels", (4, 0), LEAST.format("hidden_channels[1]", 0, 1)),
        ("hidden_channels", ("4",), WHOLE.format("hidden_channels[0]", "'4'")),
        ("kernel_size", 0, LEAST.format("kernel_size", 0, 1)),
        ("kernel_size", "3", WHOLE.format("kernel_size", "'3'")),
        (
            "kernel_size",
            (3,),
            "ConvClassifier needs kernel_size to be an integer or 2 of them, one per spatial axis. "
            "Received: kernel_size=(3,).",
        ),
        ("pool_size", -1, LEAST.format("pool_size", -1, 1)),
        (
            "pooling",
            "sum",
            "ConvClassifier needs pooling to be one of 'max', 'mean', 'stride'. Received: pooling='sum'.",
        ),
        ("dense_width", None, WHOLE.format("dense_width", None)),
        ("dense_width", -1, LEAST.format("dense_width", -1, 0)),
        ("epochs", 0, LEAST.format("epochs", 0, 1)),
        ("epochs", 2.0, WHOLE.format("epochs", 2.0)),
        ("batch_size", True, WHOLE.format("batch_size", True)),
        ("learning_rate", -0.1, NUMBER.format("learning_rate", -0.1)),
        ("learning_rate", np.nan, NUMBER.format("learning_rate", "nan")),
        ("weight_decay", "1", NUMBER.format("weight_decay", "'1'")),
        ("validation_fraction", 1.0, SHARE.format("validation_fraction", 1.0)),
        (
            "validation_fraction",
            0,
            "ConvClassifier needs validation_fraction above 0 and below 1. Received: validation_fraction=0.",
        ),
        ("n_iter_no_change", 0, LEAST.format("n_iter_no_change", 0, 1)),
        ("class_weight", {0: -1}, NUMBER.format("class_weight[0]", -1)),
        ("class_weight", {0: "a"}, NUMBER.format("class_weight[0]", "'a'")),
        (
            "class_weight",
            {0: 0, 1: 0, 2: 0},
            "ConvClassifier needs class_weight above 0 for a class that has samples. "
            "Received: class_weight={0: 0, 1: 0, 2: 0}.",
        ),
        ("model", 3, MAKER.format("model=3")),
        ("model", DENSE, MAKER.format("a network of type Linear")),
        (
            "model",
            lambda shape, outputs: "network",
            "ConvClassifier needs model to return a tilewright.nn.Module. Received: model='network'.",
        ),
        (
            "model",
            lambda shape, outputs: nn.Sequential(nn.Flatten(), nn.Linear(64, outputs + 1)),
            "The network that model makes needs to answer with (batch, 3). "
            "Received: Tensor of shape (14, 4) for inputs of shape (14, 1, 8, 8).",
        ),
    ],
)
def test_parameters_that_are_refused(name: str, value: Any, said: str) -> None:
    model = classifier().set_params(**{name: value})
    with pytest.raises(TilewrightError) as caught:
        model.fit(IMAGES, PLACES)
    assert str(caught.value) == said
    assert not hasattr(model, "model_")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("class_weight", "even", "must be an instance of 'dict', a str among {'balanced'} or None"),
        ("class_weight", {7: 1}, "The classes, .* are not in class_weight"),
        ("random_state", "dice", "'dice' cannot be used to seed"),
    ],
)
def test_parameters_that_scikit_learn_refuses(name: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        classifier(**{name: value}).fit(IMAGES, PLACES)


def test_too_few_samples_to_hold_one_out() -> None:
    one = np.ones((5, 3))
    assert refused(lambda: regressor(early_stopping=True).fit(one, np.ones(5))) == (
        "ConvRegressor with early_stopping needs two samples that differ, of one class. Received: samples=1."
    )
    with pytest.raises(ArgumentError, match=r"ConvClassifier with early_stopping .* Received: samples=2\.$"):
        classifier(early_stopping=True).fit(np.eye(2), [0, 1])


def test_extremes_give_numbers() -> None:
    for X in (ROWS * 1e37, ROWS * 1e-300, ROWS * 0 + 0.1, ROWS[:1].repeat(40, axis=0), ROWS > 0):
        model = classifier(epochs=1).fit(X, PLACES)
        assert np.isfinite(model.predict_proba(X)).all()
        assert np.isfinite(regressor(epochs=1).fit(X, PLACES * 1e-30).predict(X)).all()
    for weights in (np.full(40, 5e-324), np.full(40, 1e308), np.where(PLACES, 1e-300, 1e300)):
        assert np.isfinite(classifier(epochs=1).fit(ROWS, PLACES, weights).predict_proba(ROWS)).all()
    assert classifier(epochs=1).fit(ROWS[:1], PLACES[:1]).predict(ROWS[:2]).tolist() == [PLACES[0]] * 2
