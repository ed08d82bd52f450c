"""What the trainer can do beside plain steps: accumulation, clipping, averages, early stopping, mixing."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from train.nets import tiny_images, tiny_net
from train.test_trainer import (
    STEPS,
    final_bytes,
    rows_without_times,
    state_without_times,
    trainer_of,
    with_norm,
)

from tilewright.data import ArrayDataset
from tilewright.errors import ArgumentError, ShapeError, StateError
from tilewright.nn import Flatten, Linear, Module, Sequential
from tilewright.op.random import manual_seed
from tilewright.optim import SGD, Adam, AdamW, RMSprop
from tilewright.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau
from tilewright.train import Schedule, Trainer, TrainingInterrupted
from tilewright.train.config_file import read_config
from tilewright.train.evaluate import Evaluation
from tilewright.train.scores import Score
from tilewright.train.state import load_model, weights_of
from tilewright.train.stopping import EarlyStopping


@pytest.fixture(autouse=True)
def usual_interrupts() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def linear(seed: int = 0) -> Module:
    """Without dropout, whose masks would depend on how the images are dealt out."""
    manual_seed(seed)
    return Sequential(Flatten(), Linear(36, 3))


def plain_trainer(batch_size: int, model: Module | None = None, **options: Any) -> Trainer:
    data = tiny_images()
    network = model or linear()
    optimizer = SGD(network.parameters(), lr=0.2, momentum=0.9)
    settings: dict[str, Any] = {"epochs": 2, "seed": 5, "progress": False, "log_every": 1}
    return Trainer(network, data, optimizer=optimizer, batch_size=batch_size, **(settings | options))


def weights(trainer: Trainer) -> list[np.ndarray[Any, Any]]:
    return list(weights_of(trainer.model).values())


# float32 sums of 50 gradients in another order, over a few steps: some tens of roundings of 6e-8.
ROUNDING = 2e-5


# 50 images: 8 · 5 = 40 leave a short group of 10 in two batches; 7 · 3 = 21 a group of 8 in 7 + 1.
@pytest.mark.parametrize(("batch", "times"), [(10, 5), (8, 5), (7, 3), (1, 50), (50, 1), (3, 7)])
@pytest.mark.parametrize(
    "options",
    [{}, {"class_weight": [1.0, 5.0, 0.25]}, {"class_weight": [0.0, 5.0, 1.0], "label_smoothing": 0.2}],
)
def test_accumulated_batches_give_the_step_of_one_large_batch(
    batch: int, times: int, options: dict[str, Any]
) -> None:
    small = plain_trainer(batch, accumulate=times, **options)
    large = plain_trainer(batch * times, **options)
    assert small.total_steps == large.total_steps == 2 * -(-50 // (batch * times))
    small.fit()
    large.fit()
    assert small.position.step == large.position.step
    for mine, theirs in zip(weights(small), weights(large), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=ROUNDING)
    assert small.position.best is not None and large.position.best is not None
    assert small.position.best.loss == pytest.approx(large.position.best.loss, abs=1e-4)


def test_one_batch_an_update_is_the_plain_step_to_the_bit() -> None:
    plain, one = plain_trainer(10), plain_trainer(10, accumulate=1)
    plain.fit()
    one.fit()
    assert final_bytes(plain) == final_bytes(one)


def test_rows_count_updates_and_mean_over_all_images(tmp_path: Path) -> None:
    accumulated = plain_trainer(5, accumulate=2, run_dir=tmp_path / "a", epochs=1, pictures=False)
    large = plain_trainer(10, run_dir=tmp_path / "b", epochs=1, pictures=False)
    accumulated.fit()
    large.fit()
    for mine, theirs in zip(
        accumulated.journal.run.metrics.rows(),  # type: ignore[union-attr]
        large.journal.run.metrics.rows(),  # type: ignore[union-attr]
        strict=True,
    ):
        assert mine.step == theirs.step
        assert mine.train_loss == pytest.approx(theirs.train_loss, abs=1e-4)
        assert mine.train_accuracy == theirs.train_accuracy


def test_gradients_are_clipped_by_their_norm_together() -> None:
    trainer = plain_trainer(10, clip_norm=0.01, epochs=1)
    seen = []
    step = trainer.optimizer.step

    def watched() -> None:
        gradients = [parameter.grad.numpy() for parameter in trainer.model.parameters()]  # type: ignore[union-attr]
        seen.append(
            float(np.sqrt(sum(np.square(gradient, dtype=np.float64).sum() for gradient in gradients)))
        )
        step()

    trainer.optimizer.step = watched
    trainer.fit()
    assert len(seen) == 5
    assert max(seen) <= 0.01 * (1 + 1e-6)
    # The first gradient of a network that knows nothing is far longer than that.
    assert seen[0] == pytest.approx(0.01, rel=1e-4)


def test_gradients_are_clipped_by_their_value_after_they_were_added_up() -> None:
    trainer = plain_trainer(5, accumulate=2, clip_value=1e-3, epochs=1)
    seen = []
    step = trainer.optimizer.step

    def watched() -> None:
        seen.append(max(float(np.abs(p.grad.numpy()).max()) for p in trainer.model.parameters()))  # type: ignore[union-attr]
        step()

    trainer.optimizer.step = watched
    trainer.fit()
    assert seen and max(seen) == pytest.approx(1e-3)


def test_gradients_that_are_not_finite_stop_a_run_that_clips() -> None:
    trainer = plain_trainer(10, clip_norm=1.0)
    take = trainer.learner.take

    def broken(*arguments: Any, **options: Any) -> Any:
        found = take(*arguments, **options)
        next(iter(trainer.model.parameters())).grad.numpy()[...] = np.inf  # type: ignore[union-attr]
        return found

    trainer.learner.take = broken  # type: ignore[method-assign]
    with pytest.raises(
        StateError, match=r"Training needs gradients that stay finite\. Received: .* at step 1\."
    ):
        trainer.fit()


def test_averaged_weights_are_judged_and_saved(tmp_path: Path) -> None:
    run = tmp_path / "run"
    trainer = plain_trainer(10, ema=0.5, run_dir=run, epochs=1, pictures=False)
    decays = iter([0.0, 2 / 11, 3 / 12, 4 / 13, 5 / 14])  # min(0.5, (1 + t)/(10 + t)), the first a plain copy
    wanted = [np.zeros_like(w, dtype=np.float64) for w in weights(trainer)]
    update = trainer.average.update

    def watched() -> None:
        decay = next(decays)
        for place, now in enumerate(weights(trainer)):
            wanted[place] = decay * wanted[place] + (1 - decay) * now
        update()

    trainer.average.update = watched
    result = trainer.fit()
    _, saved = load_model(run / "model.safetensors")
    raw = weights_of(trainer.model)
    for name, average in zip(raw, wanted, strict=True):
        np.testing.assert_allclose(saved[name], average, rtol=0, atol=1e-6)
        assert np.abs(saved[name] - raw[name]).max() > 1e-4, "the network keeps its own weights"
    assert result.report is not None
    assert result.report.test.loss == result.best.loss


def told(trainer: Trainer, losses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the validations come to these losses, whatever the network has learnt."""
    given = iter(losses)

    def evaluate(*arguments: Any, **options: Any) -> Any:
        return Evaluation(next(given), None, 0, 21)

    monkeypatch.setattr("tilewright.train.trainer.evaluate", evaluate)


@pytest.mark.parametrize(
    ("patience", "min_delta", "ends_after"),
    # Best at 1, 2, 4 and 7. With 0.15, only step 4 is progress (by 0.2), if it is waited for.
    [(1, 0.0, 3), (2, 0.0, 6), (3, 0.0, 10), (None, 0.0, 10), (2, 0.15, 3), (3, 0.15, 7)],
)
def test_early_stopping_counts_validations_without_progress(
    patience: int | None, min_delta: float, ends_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = plain_trainer(50, epochs=10, patience=patience, min_delta=min_delta)
    told(trainer, [1.0, 0.9, 0.95, 0.8, 0.85, 0.8, 0.79, 0.9, 0.9, 0.9], monkeypatch)
    trainer.task.counts_right = False
    result = trainer.fit()
    assert result.steps == ends_after
    assert result.stopped_early == (ends_after < 10)


def test_the_best_weights_return_after_early_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[int, list[bytes]] = {}
    for run in (None, tmp_path / "run"):
        trainer = plain_trainer(50, epochs=9, patience=2, run_dir=run, pictures=False)
        told(trainer, [1.0, 0.5, 0.7, 0.6, 0.6], monkeypatch)
        trainer.task.counts_right = False
        after = trainer._after_step

        def watched(display: Any, trainer: Trainer = trainer, after: Any = after) -> bool:
            kept[trainer.position.step] = list(final_bytes(trainer).values())
            return bool(after(display))

        trainer._after_step = watched  # type: ignore[method-assign]
        result = trainer.fit()
        assert (result.steps, result.best.step, result.stopped_early) == (4, 2, True)
        assert list(final_bytes(trainer).values()) == kept[2] != kept[4]


def test_a_run_that_stopped_early_is_over_until_it_may_be_more_patient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(patience: int) -> Trainer:
        trainer = plain_trainer(50, epochs=9, patience=patience, run_dir=tmp_path / "run", pictures=False)
        trainer.task.counts_right = False
        return trainer

    first = made(2)
    told(first, [1.0, 0.5, 0.7, 0.6], monkeypatch)
    assert first.fit().steps == 4
    again = made(2)
    told(again, [], monkeypatch)
    result = again.fit(resume=True)
    assert (result.steps, result.stopped_early) == (4, True)
    assert final_bytes(again) == final_bytes(first)
    longer = made(4)
    told(longer, [0.6, 0.4, 0.5, 0.5, 0.5, 0.5], monkeypatch)
    result = longer.fit(resume=True)
    assert (result.steps, result.best.step) == (9, 6)


# Everything at once, in ways that don't exclude each other.
COMBINATIONS: dict[str, dict[str, Any]] = {
    "accumulated, clipped, averaged, cosine": {
        "accumulate": 2, "clip_norm": 0.5, "ema": 0.9, "schedule": Schedule("cosine", warmup=2),
    },
    "smoothed, weighted, mixed, one-cycle": {
        "label_smoothing": 0.1, "class_weight": "balanced", "mixup": 0.4, "schedule": "one-cycle",
    },
    "values clipped, patient, falling by epochs": {
        "clip_value": 0.05, "patience": 50, "min_delta": 0.01, "schedule": Schedule("step", factor=0.5),
    },
    "warmed up, exponential": {"schedule": Schedule("exponential", warmup=4), "accumulate": 3},
}  # fmt: skip
OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "sgd": lambda p: SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: AdamW(p, lr=0.01, weight_decay=0.1),
    "rmsprop": lambda p: RMSprop(p, lr=0.005, momentum=0.9, centered=True),
}


def made(run: Path | None, optimizer: str, net: Any, stop_at: int = 0, **options: Any) -> Trainer:
    model = net()
    chosen = OPTIMIZERS[optimizer](model.parameters())
    return trainer_of(run, net=lambda: model, stop_at=stop_at, optimizer_object=chosen, **options)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("combination", COMBINATIONS)
def test_a_run_of_any_kind_stopped_at_any_step_ends_as_one_that_was_not(
    tmp_path: Path, combination: str, optimizer: str
) -> None:
    options = COMBINATIONS[combination]
    net = with_norm if optimizer in ("adam", "rmsprop") else tiny_net
    whole = made(tmp_path / "whole", optimizer, net, **options)
    steps = whole.fit().steps
    batches = STEPS
    chance = random.Random(combination + optimizer)
    for moment in sorted({1, batches, *chance.sample(range(2, batches), 3)}):
        run = tmp_path / f"stopped-{moment}"
        with pytest.raises(TrainingInterrupted) as caught:
            made(run, optimizer, net, stop_at=moment, **options).fit()
        # The update at hand is finished first. (Images to be mixed are asked for twice a batch.)
        batches_done = -(-moment // 2) if "mixup" in options else moment
        assert caught.value.step >= -(-batches_done // options.get("accumulate", 1))
        manual_seed(54321)
        resumed = made(run, optimizer, net, **options)
        assert resumed.fit(resume=True).steps == steps
        assert final_bytes(resumed) == final_bytes(whole), moment
        assert state_without_times(run) == state_without_times(tmp_path / "whole")
        assert rows_without_times(run) == rows_without_times(tmp_path / "whole")
        assert (run / "model.safetensors").read_bytes() == (
            tmp_path / "whole" / "model.safetensors"
        ).read_bytes()


SCHEDULERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "one cycle, by updates": ("update", lambda o: OneCycleLR(o, max_lr=0.1, total_steps=STEPS + 1)),
    "plateau": ("epoch", lambda o: ReduceLROnPlateau(o, factor=0.5, patience=0, threshold=0.9999)),
    "plateau of the accuracy": (
        "epoch",
        lambda o: ReduceLROnPlateau(o, mode="max", factor=0.5, patience=0, threshold=0.9),
    ),
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_schedulers_of_optim_serve_and_are_resumed(tmp_path: Path, name: str) -> None:
    each, make = SCHEDULERS[name]

    def trainer(run: Path, stop_at: int = 0) -> Trainer:
        model = tiny_net()
        optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
        return trainer_of(
            run, net=lambda: model, stop_at=stop_at, optimizer_object=optimizer, schedule=make(optimizer),
            scheduler_steps=each,
        )  # fmt: skip

    whole = trainer(tmp_path / "whole")
    whole.fit()
    rates = [row.more["learning_rate"] for row in whole.journal.run.metrics.rows()]  # type: ignore[union-attr]
    assert len(set(rates)) > 1, "the rate has moved"
    assert (
        read_config(tmp_path / "whole" / "config.toml").schedule.name == type(whole.rates.scheduler).__name__
    )
    for moment in (1, 5, 8):
        run = tmp_path / f"stopped-{moment}"
        with pytest.raises(TrainingInterrupted):
            trainer(run, stop_at=moment).fit()
        resumed = trainer(run)
        resumed.fit(resume=True)
        assert final_bytes(resumed) == final_bytes(whole), moment
        assert state_without_times(run) == state_without_times(tmp_path / "whole")


def test_the_curve_of_a_schedule_reaches_the_optimiser(tmp_path: Path) -> None:
    schedule = Schedule("cosine", warmup=3)
    trainer = trainer_of(tmp_path / "run", schedule=schedule, log_every=1)
    trainer.fit()
    rows = trainer.journal.run.metrics.rows()  # type: ignore[union-attr]
    # A row notes the rate of its own step, which is one less than the steps done; six figures are written.
    assert [row.more["learning_rate"] for row in rows] == pytest.approx(
        [0.05 * schedule.at(step, STEPS, 5) for step in range(STEPS)], rel=1e-5
    )


def test_validation_is_plain_whatever_learning_is() -> None:
    plain = plain_trainer(10)
    odd = plain_trainer(10, label_smoothing=0.5, class_weight=[9, 1, 1], mixup=1.0)
    images, labels = tiny_images().test.take_batch(np.arange(21))
    assert (
        odd.task.run(odd.model, images, labels).loss.item()
        == plain.task.run(plain.model, images, labels).loss.item()
    )
    learnt = [trainer.task.run(trainer.model, images, labels, training=True) for trainer in (odd, plain)]
    assert learnt[0].loss.item() != learnt[1].loss.item()
    assert learnt[0].weight == pytest.approx(np.array([9.0, 1, 1])[labels].sum())


def test_balanced_weights_are_scikit_learns() -> None:
    utils = pytest.importorskip("sklearn.utils.class_weight", reason="compares with scikit-learn")
    labels = tiny_images().train.labels
    wanted = utils.compute_class_weight("balanced", classes=np.arange(3), y=labels)
    trainer = plain_trainer(10, class_weight="balanced")
    assert trainer.config.training.class_weight == pytest.approx(wanted.tolist())


def test_mixed_labels_give_the_mixed_loss() -> None:
    trainer = plain_trainer(10, label_smoothing=0.1, mixup=1.0)
    images, labels = tiny_images().test.take_batch(np.arange(21))
    other = labels[::-1]
    shares = 0.3 * np.eye(3, dtype=np.float32)[labels] + 0.7 * np.eye(3, dtype=np.float32)[other]
    found = trainer.task.run(trainer.model, images, shares, training=True)
    first = trainer.task.run(trainer.model, images, labels, training=True).loss.item()
    second = trainer.task.run(trainer.model, images, other, training=True).loss.item()
    # float32 means of 21 losses near 1.
    assert found.loss.item() == pytest.approx(0.3 * first + 0.7 * second, abs=1e-5)
    assert found.truth.tolist() == other.tolist()
    # Labels that tell of two classes only, while the network knows a third.
    fewer = trainer.task.run(trainer.model, images, shares[:, :2], training=True)
    more = trainer.task.run(trainer.model, images, shares * np.float32([1, 1, 0]), training=True)
    assert fewer.loss.item() == more.loss.item()
    with pytest.raises(
        ShapeError, match=r"needs shares of the 3 classes .* Received: labels with shape \(21, 4\)"
    ):
        trainer.task.run(trainer.model, images, np.ones((21, 4), np.float32), training=True)


def test_numbers_are_mixed_too() -> None:
    draw = np.random.default_rng(0)
    data = ArrayDataset(draw.random((20, 1, 6, 6), np.float32), draw.random((20, 3), np.float32))
    trainer = Trainer(linear(), (data, data), task="regress", mixup=0.5, progress=False)
    trainer.fit()
    images, targets = trainer.train_data.take_batch(np.arange(20))  # type: ignore[attr-defined]
    assert (images != data.images).any() and (targets != data.labels).any()


def test_two_runs_with_mixing_are_the_same(tmp_path: Path) -> None:
    runs = [plain_trainer(10, mixup=0.5) for _ in range(2)]
    for trainer in runs:
        trainer.fit()
    assert final_bytes(runs[0]) == final_bytes(runs[1]) != final_bytes(plain_trainer(10, mixup=0.6))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"accumulate": 0},
            r"Trainer needs accumulate to be a whole number of at least 1\. Received: accumul",
        ),
        (
            {"clip_norm": 0},
            r"Trainer needs clip_norm to be a finite number above 0, or None\. Received: clip_nor",
        ),
        ({"clip_value": "much"}, r"Trainer needs clip_value to be a finite number above 0, or None\."),
        ({"clip_norm": 1, "clip_value": 1}, r"Trainer needs clip_norm or clip_value, not both\."),
        ({"ema": 1.5}, r"ExponentialMovingAverage needs decay"),
        (
            {"patience": 0},
            r"Early stopping needs patience to be a whole number of at least 1, or None\. Receiv",
        ),
        ({"patience": 2.5}, r"needs patience to be a whole number of at least 1, or None\."),
        (
            {"patience": 1, "min_delta": -1},
            r"needs min_delta to be a finite number of at least 0\. Received: min",
        ),
        (
            {"min_delta": 0.1},
            r"Early stopping needs a patience beside its min_delta\. Received: min_delta=0\.1\.",
        ),
        (
            {"label_smoothing": 1},
            r"Training needs label_smoothing to be a number from 0 to below 1\. Received:",
        ),
        (
            {"class_weight": "even"},
            r"class_weight to be numbers, 'balanced' or None\. Received: class_weight='ev",
        ),
        (
            {"class_weight": [1, -1]},
            r"needs class_weight to be finite numbers of at least 0, not all 0, one for",
        ),
        ({"class_weight": [[1]]}, r"needs class_weight to be finite numbers"),
        ({"class_weight": [0, 0, 0]}, r"needs class_weight to be finite numbers of at least 0, not all 0"),
        ({"class_weight": ["a"]}, r"needs class_weight to be finite numbers"),
        ({"mixup": -1}, r"MixUp needs alpha to be above 0\. Received: alpha=-1\."),
        ({"mixup": True}, r"MixUp needs alpha to be a finite number\. Received: alpha=True\."),
        (
            {"mixup": 0.2, "task": "segment"},
            r"Mixing images up needs one of the tasks classify, regress\. Receiv",
        ),
        (
            {"loss": "l1"},
            r"Trainer takes loss for the task 'regress' only\. Received: task='classify', loss='l1'",
        ),
        (
            {"loss": "l3", "task": "regress"},
            r"'regress' needs a loss of mse, l1, smooth_l1, huber\. Received: los",
        ),
        ({"ignore_index": 255}, r"Trainer takes ignore_index for the task 'segment' only\."),
        ({"ignore_index": 0.5, "task": "segment"}, r"'segment' needs ignore_index to be an integer\."),
        (
            {"label_smoothing": 0.1, "task": "regress"},
            r"label_smoothing for the task 'classify' or 'segment' on",
        ),
        (
            {"tensorboard": True},
            r"Event files for TensorBoard need a run_dir to be in\. Received: run_dir=None\.",
        ),
        (
            {"schedule": 3},
            r"needs schedule to be a name, a Schedule, or one of optim\.lr_scheduler\. Received: sc",
        ),
        ({"schedule": None}, r"needs schedule to be a name, a Schedule, or one of optim\.lr_scheduler\."),
        (
            {"scheduler_steps": "year"},
            r"needs scheduler_steps to be 'epoch' or 'update'\. Received: scheduler_st",
        ),
    ],
)
def test_refusals(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Trainer(linear(), tiny_images(), progress=False, **options)


def test_a_schedule_of_another_optimiser_is_refused() -> None:
    other = OneCycleLR(SGD(linear().parameters(), lr=0.1, momentum=0.9), max_lr=1.0, total_steps=10)
    with pytest.raises(
        ArgumentError, match=r"made over the trainer's optimiser\. Received: a OneCycleLR of anot"
    ):
        Trainer(linear(), tiny_images(), progress=False, schedule=other)


def test_progress_is_judged_by_the_score_where_there_is_one() -> None:
    stopping = EarlyStopping(3, 0.01)
    before = Score(1, 0.5, 0.9, 0.9)
    assert not stopping.is_progress(Score(2, 0.1, 0.905, 0.905), before)
    assert stopping.is_progress(Score(2, 0.9, 0.92, 0.92), before)
    assert not EarlyStopping(3).is_progress(Score(2, 0.6, 0.9, 0.9), before)
    assert EarlyStopping(3).is_progress(Score(2, 0.4, 0.9, 0.9), before)
    assert stopping.is_progress(before, None)
    nan = Score(2, float("nan"), None, None)
    assert not stopping.is_progress(nan, Score(1, 0.5))
    assert Score(3, 0.5, 0.5, 0.5).is_better_than(Score(2, 0.1, None, float("nan")))
