"""The estimators among scikit-learn's tools: clones, copies, pipelines, searches."""

from __future__ import annotations

import pickle
from copy import deepcopy
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", "1.6", reason="needs scikit-learn 1.6 or newer")

from bridge.sklearn.small import bars, classifier, regressor
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict, cross_val_score
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils import get_tags

from tilewright.lens.curves import draw_curves

EITHER = pytest.mark.parametrize("make", [classifier, regressor])


def test_what_they_say_they_are() -> None:
    assert is_classifier(classifier()) and is_regressor(regressor())
    for model in (classifier(), regressor()):
        tags = get_tags(model).input_tags
        assert tags.two_d_array and tags.three_d_array and not tags.sparse and not tags.allow_nan
    assert get_tags(regressor()).target_tags.multi_output
    assert not get_tags(classifier()).target_tags.multi_output
    assert "ConvClassifier(" in repr(classifier()) and "hidden_channels=(4,)" in repr(classifier())


@EITHER
def test_clones_and_copies(make: Any) -> None:
    images, places = bars()
    model = make().fit(images, places)
    fresh = clone(model)
    assert fresh.get_params() == model.get_params() and not hasattr(fresh, "model_")
    for copy in (deepcopy(model), pickle.loads(pickle.dumps(model)), fresh.fit(images, places)):
        assert np.array_equal(copy.predict(images), model.predict(images))


@EITHER
def test_a_copy_goes_on_learning_as_the_original_would(make: Any) -> None:
    images, places = bars()
    known = {"classes": [0, 1, 2]} if make is classifier else {}
    model = make().partial_fit(images, places, **known)
    copy = pickle.loads(pickle.dumps(model))
    for each in (model, copy):
        each.partial_fit(images[:30], places[:30]).partial_fit(images[30:], places[30:])
    assert np.array_equal(copy.predict(images), model.predict(images))


def test_in_a_pipeline() -> None:
    images, places = bars(150)
    rows = images.reshape(150, 64)
    pipeline = make_pipeline(MinMaxScaler(), classifier(epochs=10)).fit(rows, places)
    assert pipeline.score(rows, places) > 0.9
    assert pipeline[-1].n_features_in_ == 64


def test_cross_validation() -> None:
    images, places = bars(150)
    folds = StratifiedKFold(3)
    scores = cross_val_score(classifier(epochs=10), images, places, cv=folds)
    assert scores.shape == (3,) and scores.min() > 0.7
    assert cross_val_predict(classifier(), images, places, cv=folds, method="predict_proba").shape == (150, 3)
    assert cross_val_score(regressor(epochs=10), images, places, cv=3, scoring="r2").min() > 0.3


def test_a_grid_search_in_two_processes_finds_what_one_finds() -> None:
    images, places = bars(90)
    pipeline = make_pipeline(StandardScaler(), classifier(epochs=4))
    grid = {"convclassifier__hidden_channels": [(2,), (6, 6)], "convclassifier__learning_rate": [1e-6, 5e-3]}
    rows = images.reshape(90, 64)
    searches = [GridSearchCV(pipeline, grid, cv=2, n_jobs=jobs).fit(rows, places) for jobs in (1, 2)]
    one, two = searches
    assert np.array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])
    assert one.best_params_ == two.best_params_
    assert one.best_params_["convclassifier__learning_rate"] == 5e-3
    assert np.array_equal(one.predict_proba(rows), two.predict_proba(rows))


def test_inside_other_estimators() -> None:
    images, places = bars(90)
    rows = images.reshape(90, 64)
    assert (
        BaggingClassifier(classifier(), n_estimators=2, random_state=0).fit(rows, places).score(rows, places)
        > 0.5
    )
    assert CalibratedClassifierCV(classifier(), cv=2).fit(rows, places).predict_proba(rows).shape == (90, 3)
    both = MultiOutputClassifier(classifier()).fit(rows, np.stack([places, places > 0], axis=1))
    assert both.predict(rows).shape == (90, 2)


def test_the_history_can_be_drawn(tmp_path: Any) -> None:
    pytest.importorskip("matplotlib", reason="draws")
    images, places = bars()
    model = classifier(early_stopping=True).fit(images, places)
    path = draw_curves(model.history_, tmp_path / "history.png")
    assert path.stat().st_size > 5000


def test_columns_with_names() -> None:
    pandas = pytest.importorskip("pandas", reason="needs pandas for its tables")
    frame = pandas.DataFrame(np.random.default_rng(0).normal(size=(30, 3)), columns=["a", "b", "c"])
    names = pandas.Series(np.where(frame["a"] > 0, "up", "down"))
    model = classifier(epochs=20, learning_rate=0.01).fit(frame, names)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"] and model.score(frame, names) > 0.8
    with pytest.raises(ValueError, match="The feature names should match those that were passed during fit"):
        model.predict(frame[["c", "b", "a"]])
