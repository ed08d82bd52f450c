"""The training loop: seeded, validated, saved as it goes, and resumed to the bit."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from typing import Any

from tilewright.data import DataLoader, Dataset, ImageSet
from tilewright.errors import ArgumentError, StateError, describe
from tilewright.nn import Module
from tilewright.op.random import manual_seed
from tilewright.optim import SGD
from tilewright.train import progress as shown
from tilewright.train.blas import one_thread
from tilewright.train.checkpoint import remove_leftovers
from tilewright.train.config import LR_DECAYS, TrainingConfig, describe_run, same_facts, write_config
from tilewright.train.evaluate import Evaluation, as_pair, evaluate
from tilewright.train.interrupt import Interrupts, TrainingInterrupted
from tilewright.train.metrics import Row, RunningSums
from tilewright.train.report import Report, make_report
from tilewright.train.run import RunFolder
from tilewright.train.state import (
    Position,
    Score,
    load_model,
    load_state,
    put_weights,
    save_model,
    save_state,
    weights_of,
)
from tilewright.train.tasks import find_task

# The bar's numbers follow about the last twenty batches.
_MEMORY = 0.95


@dataclass(frozen=True)
class Result:
    """What a training run came to.

    Attributes:
        steps: batches learnt from.
        seconds: training time, over all sessions of a resumed run.
        best: the best validation; its weights are the run's ``model.safetensors``.
        last: the validation after the last step.
        run_dir: the run folder, or None.
        report: the best weights judged once more, and the pictures drawn; None without a run folder.
    """

    steps: int
    seconds: float
    best: Score
    last: Score
    run_dir: str | None
    report: Report | None


class Trainer:
    """Train a network on labelled images, and keep what it learns in a run folder.

    Every choice that is left to chance follows ``seed``, so two runs with the same arguments give the same
    weights to the bit, and so does a run that was stopped and resumed at any step.

    Args:
        model: the network; it is trained in place.
        data: an :class:`~tilewright.data.ImageSet`, or a pair of data sets (to learn from, to validate on)
            whose samples are (image, label).
        optimizer: made over ``model.parameters()``; None: SGD with learning rate 0.01 and momentum 0.9.
        task: ``classify`` or ``reconstruct``.
        batch_size: images per step.
        epochs: passes over the training images.
        lr_decay: ``none``, or ``linear``: every rate falls in a straight line from what the optimiser
            was made with to zero at the last step. (A run resumed with more epochs follows the longer line.)
        seed: what shuffling and dropout follow, 0 to 2**63 - 1. (Initial weights follow
            ``manual_seed`` before the network is made.)
        run_dir: the run folder; None keeps nothing on the disk.
        validate_every: validate (and save) every so many batches, and at each epoch's end.
        log_every: a row of ``metrics.csv`` every so many batches.
        progress: show a live bar on a terminal, or plain lines elsewhere, on standard error.
        pictures: draw the run folder's pictures at the end.
        data_folder: where ``data`` was read from, noted in ``config.toml``.

    Raises:
        ArgumentError: a number outside its range, an unknown task, or a data set without samples.

    >>> trainer = Trainer(nn.models.create("digitnet"), data.digits(), epochs=3)  # doctest: +SKIP
    >>> trainer.fit().best.accuracy  # doctest: +SKIP
    0.9777777777777777
    """

    def __init__(
        self,
        model: Module,
        data: ImageSet | tuple[Dataset[Any], Dataset[Any]],
        *,
        optimizer: Any = None,
        task: str = "classify",
        batch_size: int = 64,
        epochs: int = 1,
        lr_decay: str = "none",
        seed: int = 0,
        run_dir: str | os.PathLike[str] | None = None,
        validate_every: int = 100,
        log_every: int = 20,
        progress: bool = True,
        pictures: bool = True,
        data_folder: str | os.PathLike[str] | None = None,
    ) -> None:
        for name, value in (("epochs", epochs), ("validate_every", validate_every), ("log_every", log_every)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ArgumentError(
                    f"Trainer needs {name} to be a whole number of at least 1.", describe(**{name: value})
                )
        if lr_decay not in LR_DECAYS:
            raise ArgumentError(
                f"Trainer needs lr_decay to be one of {', '.join(LR_DECAYS)}.", describe(lr_decay=lr_decay)
            )
        self.model = model
        self.data = data
        self.train_data, self.test_data = _two_parts(data)
        self.optimizer = SGD(model.parameters(), lr=0.01, momentum=0.9) if optimizer is None else optimizer
        self.loader = DataLoader(self.train_data, batch_size=batch_size, shuffle=True, seed=seed)
        self.lr_decay = lr_decay
        self.rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        self.epochs = epochs
        self.seed = seed
        self.validate_every = validate_every
        self.log_every = log_every
        self.progress = progress
        self.pictures = pictures
        self.run = None if run_dir is None else RunFolder(run_dir)
        self.position = Position()
        training = TrainingConfig(task, epochs, batch_size, seed, validate_every, log_every, lr_decay)
        self.config = describe_run(model, data, self.optimizer, training, data_folder)
        self.task = find_task(task, self.config.data.mean, self.config.data.std)

    @property
    def total_steps(self) -> int:
        """Batches in all epochs together."""
        return self.epochs * len(self.loader)

    def fit(self, *, resume: bool = False, overwrite: bool = False) -> Result:
        """Train to the end of the last epoch.

        Ctrl-C finishes the batch at hand, saves, and raises :class:`TrainingInterrupted`; a second one stops
        at once.

        Args:
            resume: go on from ``last.safetensors`` of the run folder. The network, data, optimiser, batch
                size and seed must be those of the run; ``epochs`` may have grown.
            overwrite: replace an earlier run in the run folder.

        Raises:
            ArgumentError: the run folder holds something already, or with ``resume`` no such run.
            FileFormatError: with ``resume``, a damaged file.
            StateError: the loss is no longer finite; the weights of the last validation stay on the disk.
            TrainingInterrupted: Ctrl-C.
            OSError: the disk refuses.
        """
        self._prepare(resume, overwrite)
        with one_thread(), Interrupts() as interrupts, shown.choose(self.progress) as display:
            interrupts.on_first = display.stopping
            self._learn_all(interrupts, display)
        best, last = self.position.best, self.position.last
        if best is None or last is None:
            raise StateError("fit needs at least one step.", describe(steps=self.position.step))
        folder = None if self.run is None else str(self.run.path)
        report = None if self.run is None else self._report(self.run)
        return Result(self.position.step, self.position.seconds, best, last, folder, report)

    def _prepare(self, resume: bool, overwrite: bool) -> None:
        if resume:
            if self.run is None:
                raise ArgumentError("Resuming needs a run_dir.", describe(run_dir=None))
            self.position = self._take_up(self.run)
            return
        self.position = Position()
        self.loader.epoch = 0
        manual_seed(self.seed)
        if self.run is not None:
            self.run.create(self.config, overwrite)
            # From the first moment on there is something to resume from.
            self._save(self.run)

    def _learn_all(self, interrupts: Interrupts, display: shown.Silent) -> None:
        position = self.position
        display.begin(self.total_steps, position.step)
        meter = _Meter()
        self.model.train()
        while self.loader.epoch < self.epochs:
            for batch in self.loader:
                started = time.perf_counter()
                loss, correct, images = self._learn(batch)
                took = time.perf_counter() - started
                position.step += 1
                position.seconds += took
                position.sums.add(loss, correct, images)
                meter.add(loss, correct / images, images, took)
                accuracy = meter.accuracy if self.task.counts_right else None
                display.update(position.step, self._epoch, meter.loss, accuracy, meter.speed)
                is_saved = self._after_step(display, meter)
                if interrupts.asked:
                    self._stop(is_saved)

    @property
    def _epoch(self) -> int:
        """The epoch at hand, counted from 1, as people do."""
        return self.loader.epoch + 1

    def _learn(self, batch: Any) -> tuple[float, int, int]:
        """One step: forward, backward, update. Returns the mean loss, right answers and images."""
        images, labels = as_pair(batch)
        outcome = self.task.run(self.model, images, labels)
        loss = float(outcome.loss.item())
        if not math.isfinite(loss):
            raise StateError(
                "Training needs a loss that stays finite.",
                f"a loss of {loss} at step {self.position.step + 1}",
                "A smaller learning rate usually helps.",
            )
        self.optimizer.zero_grad()
        outcome.loss.backward()
        self._set_rates()
        self.optimizer.step()
        return loss, outcome.correct, outcome.images

    def _set_rates(self) -> None:
        """The rates of the step at hand. They follow its number alone, so resuming changes nothing."""
        if self.lr_decay == "none":
            return
        left = 1 - self.position.step / self.total_steps
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * left

    def _after_step(self, display: shown.Silent, meter: _Meter) -> bool:
        """Validate, write a row and save, as far as they are due; says whether the state was saved."""
        position = self.position
        at_end_of_epoch = self.loader.state_dict()["position"] == len(self.loader)
        validation = None
        if at_end_of_epoch or position.step % self.validate_every == 0:
            validation = evaluate(self.model, self.test_data, self.task)
        if validation is None and position.step % self.log_every:
            return False
        row = self._row(validation, meter)
        position.sums = RunningSums()
        if self.run is not None:
            self.run.metrics.append(row)
        if validation is None:
            return False
        is_best = self._take_in(validation)
        display.say(self._sentence(row, is_best))
        if self.run is not None:
            # The best weights first: a run killed between the two is resumed from before this validation,
            # comes to it again, and writes the same file again.
            if is_best:
                save_model(self.run.model, self.model, self.config, position)
            self._save(self.run)
        return True

    def _row(self, validation: Evaluation | None, meter: _Meter) -> Row:
        position = self.position
        return Row(
            step=position.step,
            epoch=self._epoch,
            train_loss=position.sums.mean_loss,
            train_accuracy=position.sums.accuracy if self.task.counts_right else None,
            val_loss=validation.loss if validation else None,
            val_accuracy=validation.accuracy if validation else None,
            images_per_second=meter.speed,
            seconds=position.seconds,
        )

    def _take_in(self, validation: Evaluation) -> bool:
        """Note a validation, and say whether it is the best so far."""
        position = self.position
        score = Score(position.step, validation.loss, validation.accuracy)
        position.last = score
        if position.best is not None and not score.is_better_than(position.best):
            return False
        position.best = score
        return True

    def _sentence(self, row: Row, is_best: bool) -> str:
        parts = [f"step {row.step:>{len(str(self.total_steps))}} of {self.total_steps}"]
        parts.append(f"epoch {row.epoch:>{len(str(self.epochs))}} of {self.epochs}")
        parts.append(f"loss {row.train_loss:.4f}")
        if row.val_accuracy is None:
            parts.append(f"validation loss {row.val_loss:.4f}")
        else:
            parts.append(f"validation loss {row.val_loss:.4f} accuracy {100 * row.val_accuracy:.2f} %")
        return "  ".join(parts) + ("  (best)" if is_best else "")

    def _save(self, run: RunFolder) -> None:
        save_state(run.last, self.model, self.optimizer, self.loader, self.config, self.position)

    def _stop(self, is_saved: bool) -> None:
        if self.run is not None and not is_saved:
            self._save(self.run)
        raise TrainingInterrupted(self.position.step, self.total_steps, self.run.path if self.run else None)

    def _report(self, run: RunFolder) -> Report:
        """Judge and draw the best weights; those of the last step return afterwards."""
        latest = {name: array.copy() for name, array in weights_of(self.model).items()}
        _, best = load_model(run.model)
        put_weights(self.model, best, run.model)
        try:
            return make_report(run, self.model, self.data, self.config, pictures=self.pictures)
        finally:
            put_weights(self.model, latest, run.model)

    def _take_up(self, run: RunFolder) -> Position:
        before = run.resumable_config()
        differences = same_facts(before, self.config)
        if differences:
            raise ArgumentError(
                "Resuming needs the same network, data, optimiser and seed as the run that is taken up.",
                "; ".join(differences),
            )
        position = load_state(run.last, self.model, self.optimizer, self.loader, self.config)
        run.metrics.keep_until(position.step)
        for file in (run.last, run.model):
            remove_leftovers(file)
        # More epochs, other versions, a folder of data that has moved: what holds from now on.
        write_config(run.config, self.config)
        return position


def _two_parts(data: ImageSet | tuple[Dataset[Any], Dataset[Any]]) -> tuple[Dataset[Any], Dataset[Any]]:
    if isinstance(data, ImageSet):
        return data.train, data.test
    if not isinstance(data, tuple) or len(data) != 2:
        raise ArgumentError(
            "Trainer needs data as an ImageSet, or as a pair of data sets: to learn from, to validate on.",
            describe(data=data),
        )
    for part in data:
        if not hasattr(part, "__len__") or len(part) == 0:
            raise ArgumentError("Trainer needs data sets with at least one sample.", describe(data=part))
    return data


class _Meter:
    """Means of the last few batches, for the display alone."""

    def __init__(self) -> None:
        self.loss = self.accuracy = self.speed = 0.0
        self._weight = 0.0
        self._images = self._seconds = 0.0

    def add(self, loss: float, accuracy: float, images: int, seconds: float) -> None:
        # Divided by the weights' sum, the mean is right from the first batch on.
        weight = _MEMORY * self._weight + (1 - _MEMORY)
        share = (1 - _MEMORY) / weight
        self._weight = weight
        self.loss += share * (loss - self.loss)
        self.accuracy += share * (accuracy - self.accuracy)
        self._images = _MEMORY * self._images + images
        self._seconds = _MEMORY * self._seconds + seconds
        self.speed = self._images / self._seconds if self._seconds else 0.0
