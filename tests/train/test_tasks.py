"""What networks are asked to do: numbers and pixels as well as classes; what counts, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from train.test_trainer import final_bytes

import tilewright as tw
from tilewright.data import ArrayDataset
from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.nn import Conv2d, Flatten, Identity, Linear, Module, ReLU, Sequential, Tanh
from tilewright.op.random import manual_seed
from tilewright.optim import Adam
from tilewright.train import Trainer, evaluate, metrics
from tilewright.train.config_file import read_config
from tilewright.train.tasks import LOSSES, Regress, Segment, find_task


def bright_spots(count: int, seed: int = 0) -> tuple[np.ndarray[Any, Any], ...]:
    """6×6 images with one bright 2×2 spot, where its upper left corner is, and which pixels it covers."""
    draw = np.random.default_rng(seed)
    corners = draw.integers(0, 5, (count, 2))
    images = draw.random((count, 1, 6, 6), dtype=np.float32) * np.float32(0.3)
    masks = np.zeros((count, 6, 6), np.int64)
    for image, mask, (row, column) in zip(images, masks, corners, strict=True):
        image[0, row : row + 2, column : column + 2] += np.float32(0.7)
        mask[row : row + 2, column : column + 2] = 1
    return images, corners.astype(np.float32), masks


def regressor(outputs: int = 2) -> Module:
    manual_seed(0)
    return Sequential(Flatten(), Linear(36, 32), Tanh(), Linear(32, outputs))


def segmenter(classes: int = 2) -> Module:
    manual_seed(0)
    return Sequential(Conv2d(1, 8, 3, padding=1), ReLU(), Conv2d(8, classes, 1))


def trained(model: Module, parts: Any, **options: Any) -> Any:
    settings: dict[str, Any] = {
        "batch_size": 20,
        "epochs": 30,
        "seed": 1,
        "progress": False,
        "pictures": False,
    }
    trainer = Trainer(model, parts, optimizer=Adam(model.parameters(), lr=0.01), **(settings | options))
    return trainer, trainer.fit()


@pytest.mark.parametrize("loss", LOSSES)
def test_numbers_are_learnt(tmp_path: Path, loss: str) -> None:
    images, corners, _ = bright_spots(300)
    parts = (ArrayDataset(images[:240], corners[:240]), ArrayDataset(images[240:], corners[240:]))
    trainer, result = trained(regressor(), parts, task="regress", loss=loss, run_dir=tmp_path / "run")
    test = result.report.test
    # The mean answer has R² = 0; a small network finds the spot to a fraction of a pixel.
    assert test.figures["r2"] > 0.9
    assert test.figures["rmse"] < 0.6
    assert test.accuracy is None and test.matrix is None and test.score is None
    outputs = trainer.model(tw.tensor(images[240:])).detach().numpy()
    best = evaluate(trainer.model, parts[1], Regress(loss))
    assert best.figures["mae"] == pytest.approx(metrics.mean_absolute_error(outputs, corners[240:]), rel=1e-6)
    rows = trainer.run.metrics.rows()
    assert rows[-1].train_accuracy is None
    assert {"val_mae", "val_rmse", "val_r2", "learning_rate"} == set(rows[-1].more)
    config = read_config(tmp_path / "run" / "config.toml")
    assert (config.training.task, config.training.loss) == ("regress", loss)


def test_one_number_an_image_with_or_without_an_axis() -> None:
    images, corners, _ = bright_spots(60)
    column = corners[:, 1]
    bare, boxed = ArrayDataset(images, column), ArrayDataset(images, column[:, None])
    first, _ = trained(regressor(1), (bare, bare), task="regress", epochs=3)
    second, _ = trained(regressor(1), (boxed, boxed), task="regress", epochs=3)
    assert final_bytes(first) == final_bytes(second)
    whole = ArrayDataset(images, column.astype(np.int64))
    third, _ = trained(regressor(1), (whole, whole), task="regress", epochs=3)
    assert final_bytes(first) == final_bytes(third)


def test_pixels_are_learnt(tmp_path: Path) -> None:
    images, _, masks = bright_spots(200)
    parts = (ArrayDataset(images[:160], masks[:160]), ArrayDataset(images[160:], masks[160:]))
    trainer, result = trained(segmenter(), parts, task="segment", run_dir=tmp_path / "run", epochs=20)
    test = result.report.test
    assert test.figures["mean_iou"] > 0.9
    assert test.score == test.figures["mean_iou"] == result.best.score
    assert test.matrix is not None and test.matrix.sum() == 40 * 36
    assert test.accuracy == metrics.accuracy(test.matrix)
    assert test.correct == np.trace(test.matrix)
    assert test.per_class["pixels"] == np.bincount(masks[160:].ravel()).tolist()
    rows = trainer.run.metrics.rows()
    assert {"val_mean_iou", "val_mean_dice", "learning_rate"} == set(rows[-1].more)
    assert 0 < rows[-1].train_accuracy <= 1


def test_the_best_of_a_segmentation_is_its_best_mean_iou() -> None:
    images, _, masks = bright_spots(40)
    data = ArrayDataset(images, masks)
    trainer, result = trained(segmenter(), (data, data), task="segment", epochs=4)
    seen = evaluate(trainer.model, data, "segment")
    assert result.last.score == seen.score == seen.figures["mean_iou"]
    assert result.best.score >= result.last.score


def test_masks_may_have_an_axis_of_one_and_be_of_any_integers() -> None:
    images, _, masks = bright_spots(40)
    results = []
    for given in (masks, masks[:, None], masks.astype(np.uint8), masks.astype(bool)):
        data = ArrayDataset(images, given)
        trainer, _ = trained(segmenter(), (data, data), task="segment", epochs=1)
        results.append(final_bytes(trainer))
    assert results[0] == results[1] == results[2] == results[3]


def test_pixels_without_a_label_have_no_share_in_anything() -> None:
    images, _, masks = bright_spots(40)
    hidden = masks.copy()
    hidden[:, :3] = 255
    hidden[7] = 255  # an image without any label
    task = Segment(ignore_index=255)
    model = segmenter()
    found = task.run(model, images, hidden)
    logits = model(tw.tensor(images)).detach().numpy()
    there = hidden != 255
    assert found.judged == found.weight == there.sum()
    answers = logits.argmax(axis=1)
    assert found.correct == (answers[there] == hidden[there]).sum()
    shifted = logits - logits.max(axis=1, keepdims=True)
    chances = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    wanted = -np.log(np.take_along_axis(chances, np.where(there, hidden, 0)[:, None], axis=1))[:, 0][
        there
    ].mean()
    assert found.loss.item() == pytest.approx(wanted, rel=1e-5)
    # One image a batch, so that the one without labels is a batch on its own.
    data = ArrayDataset(images, hidden)
    for batch, times in ((1, 1), (1, 3), (40, 1)):
        trainer, result = trained(
            segmenter(), (data, data), task="segment", ignore_index=255, batch_size=batch, accumulate=times,
            epochs=1,
        )  # fmt: skip
        assert np.isfinite(result.last.loss)
        assert all(np.isfinite(p.detach().numpy()).all() for p in trainer.model.parameters())


def test_accumulated_pixels_weigh_alike() -> None:
    images, _, masks = bright_spots(40)
    hidden = masks.copy()
    hidden[:20] = np.where(np.random.default_rng(0).random((20, 6, 6)) < 0.8, 255, hidden[:20])
    data = ArrayDataset(images, hidden)
    found = []
    for batch, times in ((40, 1), (7, 6)):
        trainer, _ = trained(
            segmenter(), (data, data), task="segment", ignore_index=255, batch_size=batch, accumulate=times,
            epochs=2, class_weight=[1.0, 4.0],
        )  # fmt: skip
        found.append(np.concatenate([p.detach().numpy().ravel() for p in trainer.model.parameters()]))
    # Adam's steps of 0.01 turn roundings of small gradients into at most a thousandth of a step.
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("task", "model", "labels", "error", "message"),
    [
        ("regress", regressor(3), np.zeros((8, 2)), ShapeError, r"output has the targets' shape\. Receiv"),
        ("regress", regressor(), np.array(["a"] * 8), DtypeError, r"needs real numbers as targets, one"),
        ("regress", regressor(), np.zeros((8, 2), complex), DtypeError, r"needs real numbers as targets"),
        ("segment", segmenter(), np.zeros((8, 6, 6)), DtypeError, r"needs a mask of integers, \(batch, he"),
        ("segment", segmenter(), np.zeros(8, int), DtypeError, r"needs a mask of integers"),
        (
            "segment", segmenter(1), np.zeros((8, 6, 6), int), ShapeError,
            r"answers with \(batch, classes, …\), two classes or more, .* outputs of shape \(8, 1, 6, 6\)",
        ),
        ("segment", segmenter(), np.zeros((8, 5, 6), int), ShapeError, r"for masks of shape \(8, 5, 6\)\."),
        ("segment", Flatten(), np.zeros((8, 6, 6), int), ShapeError, r"outputs of shape \(8, 36\) for masks"),
        ("segment", segmenter(), np.full((8, 6, 6), 2), ArgumentError, r"needs|classes"),
    ],
)  # fmt: skip
def test_refusals(task: str, model: Module, labels: Any, error: type[Exception], message: str) -> None:
    images = np.zeros((8, 1, 6, 6), np.float32)
    with pytest.raises(error, match=message):
        find_task(task).run(model, images, labels)


def test_unknown_tasks_and_options_are_refused() -> None:
    with pytest.raises(
        ArgumentError, match=r"A task is one of classify, reconstruct, regress, segment\. Received"
    ):
        find_task("guess")
    with pytest.raises(
        ArgumentError, match=r"The task 'reconstruct' has no such option\. Received: loss='l1'\."
    ):
        find_task("reconstruct", loss="l1")


def test_evaluation_takes_large_images_a_few_at_a_time() -> None:
    seen = []

    class Watching(Identity):
        def forward(self, input: Any) -> Any:
            seen.append(len(input))
            return input

    images = np.zeros((5, 3, 512, 1024), np.float32)
    evaluate(Watching(), ArrayDataset(images, np.zeros(5, int)), "reconstruct")
    assert seen == [1] * 5  # 1.5 million values an image
    seen.clear()
    small = ArrayDataset(np.zeros((600, 1, 4, 4), np.float32), np.zeros(600, int))
    evaluate(Watching(), small, "reconstruct", batch_size=500)
    assert seen == [500, 100]


def test_a_number_of_images_may_be_kept() -> None:
    images, corners, _ = bright_spots(300)
    found = evaluate(regressor(), ArrayDataset(images, corners), "regress", keep=270)
    assert found.inputs is not None and found.outputs is not None and found.labels is not None
    assert found.inputs.tobytes() == images[:270].tobytes()
    assert found.outputs.shape == (270, 2)
    assert found.labels.tobytes() == corners[:270].tobytes()
    assert evaluate(regressor(), ArrayDataset(images, corners), "regress", keep=0).inputs is None
