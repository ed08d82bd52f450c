"""scikit-learn's own checks of an estimator, all of them, on ours as they are by default."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("sklearn", "1.6", reason="needs scikit-learn 1.6 or newer")

from sklearn.utils.estimator_checks import parametrize_with_checks

from tilewright.bridge.sklearn import ConvClassifier, ConvRegressor


@parametrize_with_checks([ConvClassifier(), ConvRegressor()])
def test_what_scikit_learn_asks(estimator: Any, check: Any) -> None:
    check(estimator)
