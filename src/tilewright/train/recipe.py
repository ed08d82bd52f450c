"""All settings of a run by name, as the command and its files have them; and the trainer that they make."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from tilewright.data.augment import Augmented, from_words
from tilewright.errors import ArgumentError, describe
from tilewright.op.random import manual_seed
from tilewright.train.presets import OPTIMIZERS, Preset, make_model, make_optimizer, preset_for
from tilewright.train.schedules import Schedule
from tilewright.train.source import load_source, task_for
from tilewright.train.trainer import Trainer

# What sgd is nearly always used with.
_MOMENTUM = 0.9
# PyTorch's default.
_ADAMWS_DECAY = 0.01
# By a setting's type: what a value may be, and the items of a list of them.
_NUMBER = (int, float)
_KINDS: dict[str, tuple[tuple[type, ...], tuple[type, ...]]] = {
    "str | None": ((str,), ()),
    "int | None": ((int,), ()),
    "float | None": (_NUMBER, ()),
    "tuple[int, ...] | None": ((), (int,)),
    "tuple[str, ...] | None": ((), (str,)),
    "str | tuple[float, ...] | None": ((str,), _NUMBER),
}


@dataclass(frozen=True)
class Recipe:
    """Settings of a run; None where the choice is left to what suits the network and the data.

    Those that :class:`Trainer` has mean what they mean there. The others:

    Attributes:
        dataset: a name of :data:`~tilewright.data.DATASET_NAMES`.
        data: the folder of its files; or without a name, data of one's own (see
            :func:`~tilewright.train.source.load_source`).
        input: shape of one sample, where the data leaves it open.
        target: the column of a table that is to be said.
        held_out: share of one's own data to validate on.
        model: a name of ``nn.models``.
        model_options: its arguments, such as ``base=16``, with values as TOML writes them.
        optimizer: one of :data:`~tilewright.train.presets.OPTIMIZERS`.
        lr: learning rate.
        momentum: of ``sgd`` and ``rmsprop``.
        weight_decay: factor of the weights that is added to their gradient, or with ``adamw`` taken off them.
        schedule: a name of :data:`~tilewright.train.schedules.SCHEDULES`.
        warmup: steps in which the rate rises.
        schedule_every: epochs between two falls of the schedule ``step``.
        schedule_factor: what is left after a fall of ``step`` or ``exponential``.
        schedule_end: where ``linear`` and ``cosine`` end, as a share of the rate.
        augment: words of :func:`~tilewright.data.augment.from_words`.

    >>> Recipe(dataset="digits", epochs=2).trainer(progress=False).total_steps
    48
    """

    dataset: str | None = None
    data: str | None = None
    input: tuple[int, ...] | None = None
    target: str | None = None
    held_out: float | None = None
    task: str | None = None
    model: str | None = None
    model_options: tuple[str, ...] | None = None
    epochs: int | None = None
    batch_size: int | None = None
    accumulate: int | None = None
    optimizer: str | None = None
    lr: float | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    schedule: str | None = None
    warmup: int | None = None
    schedule_every: int | None = None
    schedule_factor: float | None = None
    schedule_end: float | None = None
    clip_norm: float | None = None
    clip_value: float | None = None
    ema: float | None = None
    patience: int | None = None
    min_delta: float | None = None
    label_smoothing: float | None = None
    class_weight: str | tuple[float, ...] | None = None
    mixup: float | None = None
    augment: tuple[str, ...] | None = None
    loss: str | None = None
    ignore_index: int | None = None
    seed: int | None = None
    validate_every: int | None = None
    log_every: int | None = None
    workers: int | None = None

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Recipe:
        """From the table that :meth:`to_table` makes, as ``config.toml`` holds it.

        Raises:
            ArgumentError: a key that no recipe has, or a value of another type.
        """
        known = {field.name: str(field.type) for field in fields(cls)}
        found: dict[str, Any] = {}
        for key, value in table.items():
            if key not in known:
                raise ArgumentError(
                    f"A recipe has the settings {', '.join(known)}.", describe(**{key: value})
                )
            items = value if isinstance(value, (list, tuple)) else [value]
            one, several = _KINDS[known[key]]
            allowed = several if isinstance(value, (list, tuple)) else one
            if not allowed or not items or not all(type(item) in allowed for item in items):
                words = known[key].removesuffix(" | None")
                raise ArgumentError(f"A recipe needs {key} of the type {words}.", describe(**{key: value}))
            found[key] = tuple(value) if isinstance(value, list) else value
        return cls(**found)

    def to_table(self) -> dict[str, Any]:
        """What is set, in values that TOML has."""
        found = {key: value for key, value in asdict(self).items() if value is not None}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}

    def trainer(
        self,
        run_dir: str | os.PathLike[str] | None = None,
        *,
        progress: bool = True,
        pictures: bool = True,
        tensorboard: bool = False,
    ) -> Trainer:
        """Read the data, make the network and its optimiser, and the trainer of them.

        Raises:
            TilewrightError: of any kind that these may raise; :class:`ArgumentError` for settings that
                exclude each other.
        """
        seed = self.seed or 0
        data = load_source(
            self.dataset,
            self.data,
            task=self.task,
            input_shape=self.input,
            target=self.target,
            held_out=0.2 if self.held_out is None else self.held_out,
            seed=seed,
        )
        name = self.model or "digitnet"
        preset = preset_for(name, data.name)
        usual = task_for(data)
        # A network that was made to give back its input does so, whatever labels there are.
        task = self.task or (preset.task if preset.task == "reconstruct" else usual)
        chosen = self._filled(preset, task)
        if self.augment:
            learnt_from = Augmented(data.train, from_words(self.augment), seed=seed, masks=task == "segment")
            data = replace(data, train=learnt_from)
        manual_seed(seed)
        network = make_model(name, data, task, _options(self.model_options or ()))
        assert chosen.optimizer is not None and chosen.lr is not None
        optimizer = make_optimizer(
            chosen.optimizer, network, chosen.lr, chosen.momentum or 0.0, chosen.weight_decay or 0.0
        )
        given = {key: getattr(chosen, key) for key in _TRAINERS if getattr(chosen, key) is not None}
        return Trainer(
            network,
            data,
            optimizer=optimizer,
            schedule=chosen._curve(),
            run_dir=run_dir,
            progress=progress,
            pictures=pictures,
            tensorboard=tensorboard,
            data_folder=self.data,
            recipe=chosen.to_table(),
            **given,
        )

    def _filled(self, preset: Preset, task: str) -> Recipe:
        """With what suits the network, where nothing is said."""
        optimizer = self.optimizer or preset.optimizer
        if optimizer not in OPTIMIZERS:
            raise ArgumentError(
                f"An optimiser is one of {', '.join(OPTIMIZERS)}.", describe(optimizer=optimizer)
            )
        if self.momentum and optimizer not in ("sgd", "rmsprop"):
            raise ArgumentError(
                "A momentum belongs to the optimisers sgd and rmsprop; the others have their own.",
                describe(optimizer=optimizer, momentum=self.momentum),
            )
        is_preset = optimizer == preset.optimizer
        if not is_preset and self.lr is None:
            raise ArgumentError(
                f"The optimiser {optimizer} needs a learning rate: {self.model or 'digitnet'} comes with one "
                f"for {preset.optimizer}.",
                describe(lr=None),
                "Pass one, such as --lr 0.001.",
            )
        momentum = self.momentum
        if momentum is None and optimizer == "sgd":
            momentum = preset.momentum if is_preset else _MOMENTUM
        decay = self.weight_decay
        if decay is None:
            decay = preset.weight_decay if is_preset else (_ADAMWS_DECAY if optimizer == "adamw" else 0.0)
        # A rate of one's own is kept as it is, unless one asks for more.
        schedule = self.schedule or (preset.lr_decay if self.lr is None else "none")
        return replace(
            self,
            data=None if self.data is None else os.path.abspath(self.data),
            task=task,
            model=self.model or "digitnet",
            epochs=self.epochs or preset.epochs,
            batch_size=self.batch_size or preset.batch_size,
            optimizer=optimizer,
            lr=preset.lr if self.lr is None else self.lr,
            momentum=momentum,
            weight_decay=decay,
            schedule=schedule,
            seed=self.seed or 0,
        )

    def _curve(self) -> Schedule:
        given: dict[str, Any] = {
            "warmup": self.warmup,
            "every": self.schedule_every,
            "factor": self.schedule_factor,
            "end": self.schedule_end,
        }
        return Schedule(self.schedule or "none", **{k: v for k, v in given.items() if v is not None})


def _options(words: tuple[str, ...]) -> dict[str, Any]:
    """``("base=16",)`` as ``{"base": 16}``."""
    found: dict[str, Any] = {}
    for word in words:
        name, mark, text = word.partition("=")
        try:
            value = tomllib.loads(f"value = {text}")["value"] if mark else None
        except (ValueError, KeyError, RecursionError):
            value = text.strip() or None  # a text may go without its quotes
        if value is None or not name.strip().isidentifier():
            raise ArgumentError(
                "An option of a network is its name, an equals sign and a value, such as base=16.",
                describe(model_options=word),
            )
        found[name.strip()] = value
    return found


# The settings that a trainer takes under the same name.
_TRAINERS = (
    "task", "epochs", "batch_size", "accumulate", "clip_norm", "clip_value", "ema", "patience", "min_delta",
    "label_smoothing", "class_weight", "mixup", "loss", "ignore_index", "seed", "validate_every", "log_every",
    "workers",
)  # fmt: skip
