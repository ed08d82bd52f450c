"""Figures of answers: worked by hand, and compared with scikit-learn's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.train import metrics
from tilewright.train.tallies import ClassTally, NumberTally, PixelTally

# Three classes: of 4 + 3 + 1 samples, 3 + 1 + 1 are right.
MATRIX = np.array([[3, 1, 0], [1, 1, 1], [0, 0, 1]])
# float64 sums of a few hundred numbers.
ROUNDING = 1e-12


def test_known_answers_of_a_matrix() -> None:
    assert metrics.accuracy(MATRIX) == 5 / 8
    assert metrics.balanced_accuracy(MATRIX) == pytest.approx((3 / 4 + 1 / 3 + 1) / 3)
    assert metrics.precision(MATRIX).tolist() == [3 / 4, 1 / 2, 1 / 2]
    assert metrics.recall(MATRIX).tolist() == [3 / 4, 1 / 3, 1]
    assert metrics.f1(MATRIX).tolist() == pytest.approx([6 / 8, 2 / 5, 2 / 3])
    assert metrics.iou(MATRIX).tolist() == pytest.approx([3 / 5, 1 / 4, 1 / 2])
    assert metrics.mean_iou(MATRIX) == pytest.approx((3 / 5 + 1 / 4 + 1 / 2) / 3)
    assert metrics.mean_dice(MATRIX) == pytest.approx((6 / 8 + 2 / 5 + 2 / 3) / 3)
    assert metrics.precision(MATRIX, "micro") == 5 / 8
    assert metrics.recall(MATRIX, "weighted") == pytest.approx(5 / 8)


def test_classes_that_are_neither_there_nor_answered() -> None:
    matrix = np.zeros((4, 4), int)
    matrix[1, 1] = matrix[1, 2] = 1
    assert metrics.iou(matrix).tolist() == pytest.approx([math.nan, 0.5, 0.0, math.nan], nan_ok=True)
    assert metrics.mean_iou(matrix) == 0.25
    assert metrics.balanced_accuracy(matrix) == 0.5
    assert metrics.precision(matrix).tolist() == [0, 1, 0, 0]
    assert metrics.precision(matrix, zero_division=1.0).tolist() == [1, 1, 0, 1]
    assert metrics.f1(matrix, "macro") == pytest.approx((2 / 3 + 0) / 2)


def test_an_empty_matrix_has_no_figures() -> None:
    empty = np.zeros((3, 3), int)
    for figure in (metrics.accuracy, metrics.balanced_accuracy, metrics.mean_iou, metrics.mean_dice):
        assert math.isnan(figure(empty))
    assert math.isnan(metrics.f1(empty, "macro"))


@pytest.mark.parametrize("seed", range(20))
def test_scikit_learns_figures_of_classes(seed: int) -> None:
    sk = pytest.importorskip("sklearn.metrics", reason="compares with scikit-learn")
    draw = np.random.default_rng(seed)
    classes = int(draw.integers(2, 8))
    truth, answers = draw.integers(0, classes, 60), draw.integers(0, classes, 60)
    if seed % 2:
        truth %= max(1, classes - 1)  # a class without samples
    matrix = metrics.confusion_matrix(truth, answers, classes)
    labels = list(range(classes))
    assert (matrix == sk.confusion_matrix(truth, answers, labels=labels)).all()
    for average in (None, "macro", "weighted"):
        # scikit-learn averages over the labels that it is given; ours over those that are there.
        seen = labels if average is None else sorted({*truth.tolist(), *answers.tolist()})
        wanted = sk.precision_recall_fscore_support(
            truth, answers, labels=seen, average=average, zero_division=0
        )
        for ours, theirs in zip((metrics.precision, metrics.recall, metrics.f1), wanted, strict=False):
            np.testing.assert_allclose(ours(matrix, average), theirs, rtol=ROUNDING)
    present = sorted(set(truth.tolist()))
    recalls = sk.recall_score(truth, answers, labels=present, average="macro", zero_division=0)
    assert metrics.balanced_accuracy(matrix) == pytest.approx(recalls, rel=ROUNDING)
    wanted_iou = sk.jaccard_score(truth, answers, labels=labels, average=None, zero_division=0)
    np.testing.assert_allclose(np.nan_to_num(metrics.iou(matrix)), wanted_iou, rtol=ROUNDING)
    scores = draw.permuted(np.tile(np.arange(classes, dtype=float), (60, 1)), axis=1)
    for k in range(1, classes):
        wanted_top = sk.top_k_accuracy_score(
            np.minimum(truth, classes - 1), scores if classes > 2 else scores[:, 1] - 0.5, k=k, labels=labels
        )
        assert metrics.top_k_accuracy(scores, truth, k) == wanted_top


@pytest.mark.parametrize("shape", [(40,), (40, 1), (40, 3), (10, 2, 3)])
def test_scikit_learns_figures_of_numbers(shape: tuple[int, ...]) -> None:
    sk = pytest.importorskip("sklearn.metrics", reason="compares with scikit-learn")
    draw = np.random.default_rng(len(shape))
    targets = draw.normal(size=shape)
    outputs = targets + 0.3 * draw.normal(size=shape)
    flat = (outputs.reshape(shape[0], -1), targets.reshape(shape[0], -1))
    assert metrics.mean_absolute_error(outputs, targets) == pytest.approx(
        sk.mean_absolute_error(*flat[::-1]), rel=ROUNDING
    )
    assert metrics.root_mean_squared_error(outputs, targets) == pytest.approx(
        sk.mean_squared_error(*flat[::-1]) ** 0.5, rel=ROUNDING
    )
    assert metrics.r2_score(outputs, targets) == pytest.approx(sk.r2_score(*flat[::-1]), rel=ROUNDING)


def test_r2_of_targets_that_are_all_alike() -> None:
    alike = np.full(5, 3.0)
    assert metrics.r2_score(alike, alike) == 1.0
    assert metrics.r2_score(alike + 1, alike) == 0.0
    assert math.isnan(metrics.r2_score(np.array([1.0, math.nan]), np.array([1.0, 2.0])))


def test_the_best_of_equal_scores_is_the_first() -> None:
    scores = np.array([[1.0, 1.0, 1.0]])
    assert [metrics.top_k_accuracy(scores, np.array([2]), k) for k in (1, 2, 3)] == [0, 0, 1]
    assert metrics.top_k_accuracy(scores, np.array([0]), 1) == scores.argmax(axis=1)[0] + 1.0
    # Not a number: never right, never ahead of others.
    broken = np.array([[math.nan, 1.0, 0.0]])
    assert metrics.top_k_accuracy(broken, np.array([0]), 3) == 0
    assert metrics.top_k_accuracy(broken, np.array([1]), 1) == 1


def test_pixels_that_are_not_labelled_do_not_count() -> None:
    truth = np.array([[0, 1], [255, 1]])
    answers = np.array([[0, 0], [1, 1]])
    found = metrics.confusion_matrix(truth, answers, 2, ignore_index=255)
    assert found.tolist() == [[1, 0], [1, 1]]


def test_tensors_lists_and_odd_arrays_serve() -> None:
    truth, answers = np.array([0, 1, 2, 1]), np.array([0, 2, 2, 1])
    wanted = metrics.confusion_matrix(truth, answers, 3)
    assert (metrics.confusion_matrix(tw.tensor(truth), tw.tensor(answers), 3) == wanted).all()
    assert (metrics.confusion_matrix(truth.tolist(), answers.tolist(), 3) == wanted).all()
    backwards = truth[::-1].astype(np.uint8)
    assert (metrics.confusion_matrix(backwards, answers[::-1], 3) == wanted).all()
    assert metrics.confusion_matrix(np.zeros(0, int), np.zeros(0, int), 2).tolist() == [[0, 0], [0, 0]]
    assert metrics.mean_absolute_error(np.float16([1, 3]), [1, 1]) == 1.0
    assert math.isnan(metrics.mean_absolute_error(np.zeros(0), np.zeros(0)))
    assert math.isnan(metrics.top_k_accuracy(np.zeros((0, 3)), np.zeros(0, int), 1))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: metrics.confusion_matrix([0, 3], [0, 1], 3),
            ArgumentError,
            r"confusion_matrix needs truth from 0 to 2, as there are 3 classes\. Received: truth from 0",
        ),
        (
            lambda: metrics.confusion_matrix([0, 1], [-1, 1], 3),
            ArgumentError,
            r"needs answers from 0 to 2, .* Received: answers from -1 to 1\.",
        ),
        (
            lambda: metrics.confusion_matrix([0.5], [0], 3),
            DtypeError,
            r"needs truth as integers\. Received: tru",
        ),
        (lambda: metrics.confusion_matrix(None, [0], 3), DtypeError, r"needs truth as integers\."),
        (lambda: metrics.confusion_matrix([0, 1], [0], 3), ShapeError, r"needs one answer for each truth\."),
        (
            lambda: metrics.confusion_matrix([0], [0], 0),
            ArgumentError,
            r"needs classes to be a whole number of at least 1\. Received: classes=0\.",
        ),
        (
            lambda: metrics.confusion_matrix([[0], [0, 1]], [0], 2),
            DtypeError,
            r"Metrics take arrays, Tensors, or",
        ),
        (
            lambda: metrics.accuracy([[1, 2]]),
            ShapeError,
            r"accuracy needs a confusion matrix \(classes, classes",
        ),
        (lambda: metrics.accuracy(np.zeros((0, 0), int)), ShapeError, r"accuracy needs a confusion matrix"),
        (lambda: metrics.iou([[0.5]]), DtypeError, r"iou needs a confusion matrix of integers\."),
        (
            lambda: metrics.f1([[1, -2], [0, 1]]),
            ArgumentError,
            r"f1 needs a confusion matrix of counts, 0 or more\. Received: -2 in the matrix\.",
        ),
        (
            lambda: metrics.f1(MATRIX, "mean"),
            ArgumentError,
            r"f1 needs average to be None or one of macro, weighted, micro\. Received: average='mean'\.",
        ),
        (
            lambda: metrics.top_k_accuracy(np.zeros(3), np.zeros(3, int)),
            ShapeError,
            r"needs scores \(samples, classes\)",
        ),
        (
            lambda: metrics.top_k_accuracy(np.zeros((2, 3)), np.zeros(2)),
            DtypeError,
            r"needs real scores and integer labels\.",
        ),
        (
            lambda: metrics.top_k_accuracy(np.zeros((2, 3)), np.array([0, 3])),
            ArgumentError,
            r"needs labels from 0 to 2, .* Received: labels from 0 to 3\.",
        ),
        (
            lambda: metrics.top_k_accuracy(np.zeros((2, 3)), np.array([0, 1]), 0),
            ArgumentError,
            r"needs k to be a whole number of at least 1\. Received: k=0\.",
        ),
        (lambda: metrics.r2_score(["a"], ["b"]), DtypeError, r"r2_score needs outputs as real numbers\."),
        (lambda: metrics.r2_score([1.0], [1.0, 2.0]), ShapeError, r"needs as many outputs as targets"),
        (lambda: metrics.r2_score(1.0, 1.0), ShapeError, r"r2_score needs numbers with an axis of samples\."),
        (
            lambda: metrics.mean_absolute_error(np.ones(2, complex), np.ones(2)),
            DtypeError,
            r"mean_absolute_error needs outputs as real numbers\.",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("sizes", [(30,), (7, 11, 12), (1, 28, 1)])
def test_tallies_over_batches_are_the_figures_of_everything(sizes: tuple[int, ...]) -> None:
    draw = np.random.default_rng(3)
    total, classes = sum(sizes), 7
    scores = draw.normal(size=(total, classes)).astype(np.float32)
    labels = draw.integers(0, classes, total)
    targets = 1e6 + draw.normal(size=(total, 2))  # large numbers of little spread
    outputs = targets + draw.normal(size=(total, 2))
    masks = draw.integers(0, classes, (total, 4, 5))
    masks[draw.random(masks.shape) < 0.2] = 255
    maps = draw.normal(size=(total, classes, 4, 5))
    named, numbers, pixels = ClassTally(), NumberTally(), PixelTally(255)
    start = 0
    for size in sizes:
        part = slice(start, start + size)
        named.add(scores[part], labels[part])
        numbers.add(outputs[part], targets[part])
        pixels.add(maps[part], masks[part])
        start += size
    matrix = metrics.confusion_matrix(labels, scores.argmax(axis=1), classes)
    found = named.figures()
    assert found["balanced_accuracy"] == metrics.balanced_accuracy(matrix)
    assert found["macro_f1"] == metrics.f1(matrix, "macro")
    assert found["top_5_accuracy"] == metrics.top_k_accuracy(scores, labels, 5)
    assert named.per_class()["samples"] == matrix.sum(axis=1).tolist()
    found = numbers.figures()
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(outputs, targets), rel=ROUNDING)
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(outputs, targets), rel=ROUNDING)
    # The mean of numbers near 1e6 is known to 1e-10, and the spread is about 1.
    assert found["r2"] == pytest.approx(metrics.r2_score(outputs, targets), abs=1e-8)
    dense = metrics.confusion_matrix(masks, maps.argmax(axis=1), classes, ignore_index=255)
    assert pixels.figures() == {"mean_iou": metrics.mean_iou(dense), "mean_dice": metrics.mean_dice(dense)}
    assert set(found) == set(NumberTally.names)
    assert set(named.figures()) == set(ClassTally.names)
    assert set(pixels.figures()) == set(PixelTally.names)


def test_a_tally_of_nothing_says_nothing() -> None:
    for tally in (ClassTally(), NumberTally(), PixelTally(-100)):
        assert tally.figures() == {} and tally.per_class() == {}


def test_few_classes_have_no_best_five() -> None:
    tally = ClassTally()
    tally.add(np.eye(3), np.arange(3))
    assert set(tally.figures()) == {"balanced_accuracy", "macro_f1"}
