"""Five steps of training with one seed: the same bits twice, with any threads, and stopped at any step.

The runs have all that could tell one from another: images changed at random, dropout, batch norm, batches
made ahead of time, and networks large enough that their work is split between threads.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from train.test_trainer import final_bytes, rows_without_times, state_without_times

import tilewright as tw
from tilewright.data import ArrayDataset
from tilewright.data.augment import Augmented, from_words
from tilewright.nn import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
    models,
)
from tilewright.optim import SGD
from tilewright.train import Trainer, TrainingInterrupted

STEPS = 5
BATCH = 8
# Threads that compute, and threads that make batches ahead of time.
WAYS = [(1, 0), (2, 0), (1, 2), (2, 2)]


@pytest.fixture(autouse=True)
def usual_interrupts_and_threads() -> Iterator[None]:
    handler, threads = signal.signal(signal.SIGINT, signal.default_int_handler), tw.get_num_threads()
    yield
    signal.signal(signal.SIGINT, handler)
    tw.set_num_threads(threads)


def everything() -> Module:
    return Sequential(
        Conv2d(1, 16, 3, padding=1), BatchNorm2d(16), ReLU(), MaxPool2d(2), Dropout(0.3),
        Conv2d(16, 16, 3, padding=1), BatchNorm2d(16), ReLU(), Dropout(0.3), Flatten(), Linear(16 * 36, 3),
    )  # fmt: skip


# Shape of a sample, the network, what it learns, and its augmentation.
NETWORKS: dict[str, tuple[tuple[int, ...], Any, str, tuple[str, ...]]] = {
    "everything": ((1, 12, 12), everything, "classify", ("shift=2", "flip", "rotate=10", "cutout=3")),
    "resnet20": (
        (1, 12, 12),
        lambda: models.resnet20(1, 3),
        "classify",
        ("shift=2", "brightness=0.2", "contrast=0.2"),
    ),
    "mobilenet_v2": (
        (1, 8, 8),
        lambda: models.mobilenet_v2(1, 3, image_size=8),
        "classify",
        ("crop=8,2", "flip-vertical"),
    ),
    "unet": ((1, 16, 16), lambda: models.unet(1, 3, 4, 2, True), "segment", ("flip", "rotate=5")),
    "tcn": ((1, 40), lambda: models.tcn(1, 3, 16, 3, dropout=0.2), "classify", ()),
    "c3d": ((1, 6, 12, 12), lambda: models.c3d(1, 3, 8), "classify", ()),
}


def trainer_of(
    name: str, run: Path | None = None, threads: int = 1, workers: int = 0, seed: int = 11
) -> Trainer:
    shape, net, task, words = NETWORKS[name]
    tw.set_num_threads(threads)
    draw = np.random.default_rng(0)
    images = draw.random((STEPS * BATCH + 6, *shape), np.float32)
    labels = draw.integers(0, 3, (len(images), *(shape[1:] if task == "segment" else ())))
    train: Any = ArrayDataset(images[:-6], labels[:-6])
    if words:
        train = Augmented(train, from_words(words), seed=seed, masks=task == "segment")
    tw.manual_seed(seed)
    model = net()
    return Trainer(
        model,
        (train, ArrayDataset(images[-6:], labels[-6:])),
        optimizer=SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3),
        task=task,
        batch_size=BATCH,
        epochs=1,
        seed=seed,
        run_dir=run,
        workers=workers,
        validate_every=2,
        log_every=1,
        progress=False,
        pictures=False,
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_five_steps_give_the_same_bits_with_any_threads(name: str, tmp_path: Path) -> None:
    runs = []
    # Of the large networks the two ways that differ most.
    ways = [WAYS[0], WAYS[-1]] if name in ("resnet20", "mobilenet_v2") else [*WAYS, WAYS[-1]]
    for number, (threads, workers) in enumerate(ways):
        run = tmp_path / str(number)
        trainer = trainer_of(name, run, threads, workers)
        assert trainer.fit().steps == STEPS
        runs.append((final_bytes(trainer), rows_without_times(run), (run / "model.safetensors").read_bytes()))
    for found in runs[1:]:
        assert found == runs[0]


def test_the_bits_hang_on_the_seed() -> None:
    found = []
    for seed in (11, 12):
        trainer = trainer_of("everything", seed=seed)
        trainer.fit()
        found.append(final_bytes(trainer))
    assert found[0] != found[1]


@pytest.mark.parametrize("name", ["everything", "unet", "tcn"])
def test_a_run_stopped_after_any_step_ends_as_one_that_was_not(name: str, tmp_path: Path) -> None:
    whole = trainer_of(name, tmp_path / "whole", 2, 2)
    whole.fit()
    for moment in range(1, STEPS + 1):
        threads, workers = WAYS[moment % len(WAYS)]
        run = tmp_path / str(moment)
        stopped = trainer_of(name, run, threads, workers)

        def learn(
            batch: Any, trainer: Trainer = stopped, usual: Any = stopped._learn, at: int = moment
        ) -> Any:
            if trainer.position.step + 1 == at:
                signal.raise_signal(signal.SIGINT)
            return usual(batch)

        stopped._learn = learn  # type: ignore[method-assign]
        with pytest.raises(TrainingInterrupted) as caught:
            stopped.fit()
        assert caught.value.step == moment
        # On a machine with other threads, and with a generator that stands elsewhere.
        threads, workers = WAYS[(moment + 1) % len(WAYS)]
        resumed = trainer_of(name, run, threads, workers)
        tw.manual_seed(54321)
        assert resumed.fit(resume=True).steps == STEPS
        assert final_bytes(resumed) == final_bytes(whole), moment
        assert state_without_times(run) == state_without_times(tmp_path / "whole")
        assert rows_without_times(run) == rows_without_times(tmp_path / "whole")
