"""scikit-learn's grid search over a convolutional network that reads its digits.

The network is an estimator like scikit-learn's own, so that its tools know what to do with it: here they try
four networks, each on three thirds of the training digits, and keep the best one.

    python examples/sklearn_digits.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split

import tilewright as tw
from tilewright.bridge.sklearn import ConvClassifier


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figure")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    # 1,797 rows of 64 numbers: taken for images of 8 × 8, without having to say so.
    rows, digits = load_digits(return_X_y=True)
    rows, unseen, digits, answers = train_test_split(rows, digits, stratify=digits, random_state=0)

    # Convolutions that step by two shrink the images; pools (pooling="max") would do it, too.
    network = ConvClassifier(epochs=12, pooling="stride", random_state=0)
    grid = {"hidden_channels": [(32,), (32, 64)], "learning_rate": [0.001, 0.004]}
    search = GridSearchCV(network, grid, cv=3).fit(rows, digits)
    results = search.cv_results_
    for parameters, score in zip(results["params"], results["mean_test_score"], strict=True):
        channels, rate = parameters["hidden_channels"], parameters["learning_rate"]
        print(f"channels {channels!s:8}  learning rate {rate}  accuracy {100 * score:.2f} %")

    # The best one has meanwhile learnt from all training digits.
    best = search.best_estimator_
    print(best.model_)
    print(f"{len(unseen)} unseen digits: accuracy {100 * best.score(unseen, answers):.2f} %")

    path = tw.lens.mistakes.draw_mistakes(
        unseen.reshape(-1, 8, 8),
        answers,
        best.predict(unseen),
        best.predict_proba(unseen).max(axis=1),
        [str(digit) for digit in best.classes_],
        options.out / "sklearn_digits_mistakes.png",
    )
    print("figure", path)


if __name__ == "__main__":
    main()
