"""Convolutional networks as scikit-learn's estimators: :class:`ConvClassifier` and :class:`ConvRegressor`.

They go where scikit-learn's own go: into pipelines, grid searches and cross-validation. What they ask of
the data, and what they promise beyond scikit-learn:

- **Images or tables.** ``X`` holds images (n, height, width) or (n, height, width, channels), or each image
  as one row, or a table (n, features); see :mod:`~tilewright.bridge.sklearn.inputs`.
- **The same data give the same network**, to the bit: whatever order the samples come in, however many
  threads compute. A weight of 2 is the sample given twice, a weight of 0 the sample left out; see
  :mod:`~tilewright.bridge.sklearn.samples`.
- **Nothing else is touched.** With a ``random_state`` no global generator moves, Tilewright's never does, and
  nothing is printed unless ``verbose`` asks.

>>> from tilewright.bridge.sklearn import ConvClassifier
>>> from sklearn.datasets import load_digits
>>> images, digits = load_digits(return_X_y=True)  # (1797, 64): taken for images of 8×8
>>> model = ConvClassifier(hidden_channels=(8,), epochs=2, random_state=0)
>>> model.fit(images[:1000], digits[:1000]).score(images[1000:], digits[1000:]) > 0.7
True
"""

from __future__ import annotations

from tilewright.bridge.sklearn.needed import check_scikit_learn

# Before the classes below are made from scikit-learn's: without it, this says what to install.
check_scikit_learn()

from tilewright.bridge.sklearn.classifier import ConvClassifier  # noqa: E402
from tilewright.bridge.sklearn.regressor import ConvRegressor  # noqa: E402

__all__ = ["ConvClassifier", "ConvRegressor"]
