"""All settings by name: what is filled in, kept in the run's configuration, and made into a trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tilewright.autograd.create import as_tensor
from tilewright.autograd.tape import no_grad
from tilewright.errors import ArgumentError, DtypeError
from tilewright.nn import models
from tilewright.optim import SGD, Adam, AdamW, RMSprop
from tilewright.train import Recipe
from tilewright.train.presets import OPTIMIZERS, TRAINABLE, make_optimizer, preset_for


def spots(folder: Path, kind: str) -> Path:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (40, 32, 32), dtype=np.uint8)
    targets: dict[str, Any] = {
        "labels": np.arange(40) % 2,
        "targets": images.mean(axis=(1, 2)).astype(np.float32) / 255,
        "masks": (images > 128).astype(np.uint8),
    }
    path = folder / f"{kind}.npz"
    np.savez(path, images=images, **{kind: targets[kind]})
    return path


def test_what_is_not_said_suits_the_network() -> None:
    trainer = Recipe(dataset="digits").trainer(progress=False)
    preset = preset_for("digitnet", "digits")
    assert isinstance(trainer.optimizer, SGD)
    assert trainer.optimizer.param_groups[0]["lr"] == preset.lr
    assert (trainer.epochs, trainer.loader.batch_size) == (preset.epochs, preset.batch_size)
    assert trainer.config.schedule.name == preset.lr_decay == "linear"
    assert trainer.config.recipe["seed"] == 0
    # A rate of one's own is kept as it is.
    assert Recipe(dataset="digits", lr=0.01).trainer().config.schedule.name == "none"
    assert Recipe(dataset="digits", lr=0.01, schedule="cosine").trainer().config.schedule.name == "cosine"


@pytest.mark.parametrize(
    ("name", "kind", "momentum", "decay"),
    [
        ("sgd", SGD, 0.9, 0.0),
        ("adam", Adam, None, 0.0),
        ("adamw", AdamW, None, 0.01),
        ("rmsprop", RMSprop, 0, 0.0),
    ],
)
def test_optimisers_by_name(name: str, kind: type, momentum: float | None, decay: float) -> None:
    group = Recipe(dataset="digits", optimizer=name, lr=0.01).trainer().optimizer.param_groups[0]
    assert type(Recipe(dataset="digits", optimizer=name, lr=0.01).trainer().optimizer) is kind
    assert (group["lr"], group.get("momentum"), group["weight_decay"]) == (0.01, momentum, decay)
    other = Recipe(dataset="digits", optimizer=name, lr=0.01, weight_decay=0.5).trainer().optimizer
    assert other.param_groups[0]["weight_decay"] == 0.5
    assert set(OPTIMIZERS) == {"sgd", "adam", "adamw", "rmsprop"}
    with pytest.raises(
        ArgumentError, match=r"An optimiser is one of sgd, adam, adamw, rmsprop\. Received: optim"
    ):
        make_optimizer("adagrad", models.create("digitnet"), 0.1, 0, 0)


def test_settings_reach_the_trainer() -> None:
    recipe = Recipe(
        dataset="digits", epochs=2, batch_size=20, accumulate=3, clip_norm=1.0, ema=0.9, patience=2,
        min_delta=0.01, label_smoothing=0.1, class_weight="balanced", mixup=0.3, augment=("shift=1",),
        seed=4, validate_every=7, log_every=3, workers=1, schedule="step", schedule_every=2,
        schedule_factor=0.5, warmup=5, lr=0.1,
    )  # fmt: skip
    config = recipe.trainer(progress=False).config
    training = config.training
    assert (training.epochs, training.batch_size, training.accumulate) == (2, 20, 3)
    assert (training.clip_norm, training.ema, training.patience, training.min_delta) == (1.0, 0.9, 2, 0.01)
    assert (training.label_smoothing, training.mixup, training.seed) == (0.1, 0.3, 4)
    assert training.class_weight is not None and len(training.class_weight) == 10
    assert config.data.augment == ("Compose([RandomShift((1, 1), fill=0)]) with seed 4",)
    assert config.schedule.options == {"warmup": 5, "every": 2, "factor": 0.5, "end": 0.0}
    assert (training.validate_every, training.log_every) == (7, 3)
    # The table in the configuration makes the same again.
    assert Recipe.from_table(config.recipe).trainer(progress=False).config == config
    assert Recipe.from_table(recipe.to_table()) == recipe


@pytest.mark.parametrize(
    ("kind", "model", "task", "outputs"),
    [("labels", "digitnet", "classify", (2,)), ("targets", "digitnet", "regress", (1,)),
     ("masks", "unet", "segment", (2, 32, 32)), ("labels", "autoencoder", "reconstruct", (1, 32, 32))],
)  # fmt: skip
def test_the_task_suits_the_data_and_the_network(
    tmp_path: Path, kind: str, model: str, task: str, outputs: tuple[int, ...]
) -> None:
    options = ("base=4", "levels=2") if model == "unet" else None
    recipe = Recipe(
        data=str(spots(tmp_path, kind)), model=model, model_options=options, epochs=1, batch_size=8
    )
    trainer = recipe.trainer(progress=False)
    assert trainer.task.name == task
    images, _ = trainer.test_data.take_batch(np.arange(2))  # type: ignore[attr-defined]
    with no_grad():
        assert tuple(trainer.model.eval()(as_tensor(images)).shape) == (2, *outputs)
    assert trainer.config.data.folder == str(tmp_path / f"{kind}.npz")


def test_masks_move_with_their_images(tmp_path: Path) -> None:
    recipe = Recipe(
        data=str(spots(tmp_path, "masks")), model="unet", model_options=("base=4",), augment=("flip=1",)
    )
    trainer = recipe.trainer(progress=False)
    plain = Recipe(data=str(spots(tmp_path, "masks")), model="unet", model_options=("base=4",)).trainer(
        progress=False
    )
    images, masks = trainer.train_data.take_batch(np.arange(3))  # type: ignore[attr-defined]
    straight, unmoved = plain.train_data.take_batch(np.arange(3))  # type: ignore[attr-defined]
    assert (images == straight[..., ::-1]).all()
    assert (masks == unmoved[..., ::-1]).all()


def test_every_trainable_network_has_settings() -> None:
    for name in TRAINABLE:
        preset = preset_for(name, "own")
        assert preset.lr > 0 and preset.batch_size >= 1 and preset.optimizer in OPTIMIZERS
    with pytest.raises(
        ArgumentError, match=r"Networks with settings to learn from .* Received: model='dcgan_gen"
    ):
        preset_for("dcgan_generator", "digits")


def test_options_of_the_network() -> None:
    given = {"dataset": "digits", "model_options": ("keep=0.5",)}
    assert Recipe(**given).trainer().config.model.options["keep"] == 0.5  # type: ignore[arg-type]
    pools = Recipe(dataset="digits", model="lenet5", model_options=("pool=mean", "classes=12")).trainer()
    assert (pools.config.model.options["pool"], pools.config.model.options["classes"]) == ("mean", 12)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"optimizer": "adagrad"}, ArgumentError, r"An optimiser is one of sgd, adam, adamw, rmsprop\."),
        (
            {"optimizer": "adam"},
            ArgumentError,
            r"The optimiser adam needs a learning rate: digitnet comes with one for sgd\. Received: lr=No",
        ),
        (
            {"optimizer": "adam", "lr": 0.1, "momentum": 0.5},
            ArgumentError,
            r"A momentum belongs to the optimisers sgd and rmsprop; the others have their own\. Receiv",
        ),
        (
            {"model": "lenet6"},
            ArgumentError,
            r"Networks with settings to learn from a set of images are digitnet,",
        ),
        ({"augment": ("spin",)}, ArgumentError, r"An augmentation is one of flip"),
        ({"schedule": "cubic"}, ArgumentError, r"A schedule is one of none, step"),
        ({"warmup": -1}, ArgumentError, r"A schedule needs warmup to be a whole number of at least 0\."),
        ({"seed": -1}, (ArgumentError, DtypeError), r"seed"),
        ({"task": "guess"}, ArgumentError, r"A task is one of classify"),
        ({"dataset": "cats"}, ArgumentError, r"load needs the name of a data set"),
        (
            {"model_options": ("size=3",)},
            ArgumentError,
            r"digitnet takes the arguments .* Received: size=3\.",
        ),
        (
            {"model_options": ("keep",)},
            ArgumentError,
            r"An option of a network is its name, an equals sign and a value, .* model_options='keep'\.",
        ),
        ({"model_options": ("=3",)}, ArgumentError, r"An option of a network is its name"),
        ({"model_options": ("keep='x'",)}, (ArgumentError, DtypeError), r"keep"),
        ({"model": "tcn"}, ArgumentError, r"tcn takes samples of \(channels, length\)\."),
    ],
)
def test_refusals(options: dict[str, Any], error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        Recipe(**({"dataset": "digits"} | options)).trainer(progress=False)
