"""The training loop: seeded, validated, saved as it goes, and resumed to the bit."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tilewright.data import DataLoader, Dataset, ImageSet
from tilewright.errors import ArgumentError, StateError, describe
from tilewright.nn import Module
from tilewright.op.random import manual_seed
from tilewright.optim import SGD, ExponentialMovingAverage
from tilewright.train import progress as shown
from tilewright.train.arguments import check_counts, mixed, task_of, two_parts
from tilewright.train.balance import class_weights
from tilewright.train.blas import one_thread
from tilewright.train.checkpoint import remove_leftovers
from tilewright.train.config import TrainingConfig, describe_run, same_facts
from tilewright.train.config_file import write_config
from tilewright.train.evaluate import Evaluation, evaluate
from tilewright.train.interrupt import Interrupts, TrainingInterrupted
from tilewright.train.journal import Journal, make_row, validation_line
from tilewright.train.learner import Clipping, Learner
from tilewright.train.meter import Meter
from tilewright.train.rates import Rates
from tilewright.train.report import Report, make_report
from tilewright.train.result import Result, write_report
from tilewright.train.rows import RunningSums
from tilewright.train.run import RunFolder
from tilewright.train.schedules import Schedule
from tilewright.train.scores import Score
from tilewright.train.state import (
    Parts,
    Position,
    load_model,
    load_state,
    put_weights,
    save_model,
    save_state,
    weights_of,
)
from tilewright.train.stopping import EarlyStopping
from tilewright.train.tasks import NOT_LABELLED


class Trainer:
    """Train a network on labelled images, and keep what it learns in a run folder.

    Every choice that is left to chance follows ``seed``, so two runs with the same arguments give the same
    weights to the bit, and so does a run that was stopped and resumed at any step.

    Args:
        model: the network; it is trained in place.
        data: an :class:`~tilewright.data.ImageSet`, or a pair of data sets (to learn from, to validate on)
            whose samples are (image, label).
        optimizer: made over ``model.parameters()``; None: SGD with learning rate 0.01 and momentum 0.9.
        task: ``classify``, ``reconstruct``, ``regress`` or ``segment``.
        batch_size: images of a batch.
        epochs: passes over the training images.
        accumulate: batches whose gradients are added up for one update of the weights: the effective batch is
            ``batch_size · accumulate`` images, with the memory of one batch.
        schedule: a name of :data:`~tilewright.train.schedules.SCHEDULES`, a :class:`Schedule`, or one of
            ``optim.lr_scheduler`` made over the optimiser. (A run resumed with more epochs follows the longer
            curve; schedulers of ``optim`` go on as they were made.)
        scheduler_steps: when a scheduler of ``optim`` is stepped: each ``epoch`` or each ``update``.
        clip_norm: bound of the Euclidean norm of all gradients of an update.
        clip_value: bound of each gradient's magnitude.
        ema: decay of an exponential moving average of the weights, below 1; validations judge the averages,
            and they are what ``model.safetensors`` holds. It begins with a short memory.
        patience: stop after so many validations in a row without progress; the best weights then return.
        min_delta: the least that counts as progress (see :class:`~tilewright.train.stopping.EarlyStopping`).
        label_smoothing: share of each label that is spread over all classes while learning.
        class_weight: factors of the classes while learning; ``balanced``: the rarer, the more.
        mixup: alpha of Beta(alpha, alpha), the distribution in whose shares images are mixed in pairs while
            learning, with their labels; 0: not at all.
        loss: of the task ``regress``: ``mse``, ``l1``, ``smooth_l1`` or ``huber``.
        ignore_index: of the task ``segment``: pixels of this class have no share in anything.
        seed: what shuffling, mixing and dropout follow, 0 to 2**63 - 1. (Initial weights follow
            ``manual_seed`` before the network is made.)
        run_dir: the run folder; None keeps nothing on the disk.
        validate_every: validate (and save) every so many updates, and at each epoch's end.
        log_every: a row of ``metrics.csv`` every so many updates.
        workers: threads that make batches ahead of time.
        progress: show a live bar on a terminal, or plain lines elsewhere, on standard error.
        pictures: draw the run folder's pictures at the end.
        tensorboard: write event files for TensorBoard into the run folder.
        data_folder: where ``data`` was read from, noted in ``config.toml``.
        recipe: settings to make this very trainer again, kept in ``config.toml``.

    Raises:
        ArgumentError: a number outside its range, an unknown name, settings that exclude each other, or a
            data set without samples.

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
        accumulate: int = 1,
        schedule: Any = "none",
        scheduler_steps: str = "epoch",
        clip_norm: float | None = None,
        clip_value: float | None = None,
        ema: float | None = None,
        patience: int | None = None,
        min_delta: float = 0.0,
        label_smoothing: float = 0.0,
        class_weight: Sequence[float] | str | None = None,
        mixup: float = 0.0,
        loss: str | None = None,
        ignore_index: int | None = None,
        seed: int = 0,
        run_dir: str | os.PathLike[str] | None = None,
        validate_every: int = 100,
        log_every: int = 20,
        workers: int = 0,
        progress: bool = True,
        pictures: bool = True,
        tensorboard: bool = False,
        data_folder: str | os.PathLike[str] | None = None,
        recipe: Mapping[str, Any] | None = None,
    ) -> None:
        check_counts(epochs=epochs, accumulate=accumulate, validate_every=validate_every, log_every=log_every)
        if tensorboard and run_dir is None:
            raise ArgumentError(
                "Event files for TensorBoard need a run_dir to be in.", describe(run_dir=None)
            )
        self.model = model
        self.data = data
        learnt_from, self.test_data = two_parts(data)
        classes = len(data.classes) if isinstance(data, ImageSet) else 0
        self.train_data = mixed(learnt_from, mixup, task, classes, seed)
        self.optimizer = SGD(model.parameters(), lr=0.01, momentum=0.9) if optimizer is None else optimizer
        self.loader = DataLoader(
            self.train_data, batch_size=batch_size, shuffle=True, seed=seed, num_workers=workers
        )
        self.epochs = epochs
        self.accumulate = accumulate
        self.seed = seed
        self.validate_every = validate_every
        self.log_every = log_every
        self.progress = progress
        self.pictures = pictures
        self.stopping = EarlyStopping(patience, min_delta)
        self.run = None if run_dir is None else RunFolder(run_dir)
        self.position = Position()
        self.schedule = Schedule(schedule) if isinstance(schedule, str) else schedule
        weights = class_weights(
            class_weight, learnt_from, classes, NOT_LABELLED if ignore_index is None else ignore_index
        )
        training = TrainingConfig(
            task, epochs, batch_size, seed, validate_every, log_every, accumulate, clip_norm, clip_value, ema,
            patience, min_delta, label_smoothing, weights, mixup, loss, ignore_index,
        )  # fmt: skip
        self.config = describe_run(
            model, data, self.optimizer, training, data_folder, schedule=self.schedule, recipe=recipe
        )
        self.task = task_of(self.config)
        self.rates = Rates(self.optimizer, self.schedule, scheduler_steps)
        self.average = None if ema is None else ExponentialMovingAverage(model, ema, warmup=True)
        self.learner = Learner(
            model,
            self.optimizer,
            self.task,
            Clipping(clip_norm, clip_value),
            self.average,
        )
        self.journal = Journal(self.run, self.task.tally().names, tensorboard)
        self._meter = Meter()
        self._kept: dict[str, Any] = {}

    @property
    def steps_per_epoch(self) -> int:
        """Updates of the weights in one epoch."""
        return -(-len(self.loader) // self.accumulate)

    @property
    def total_steps(self) -> int:
        """Updates of the weights in all epochs together."""
        return self.epochs * self.steps_per_epoch

    def fit(self, *, resume: bool = False, overwrite: bool = False) -> Result:
        """Train to the end of the last epoch, or until early stopping.

        Ctrl-C finishes the update at hand, saves, and raises :class:`TrainingInterrupted`; a second one stops
        at once.

        Args:
            resume: go on from ``last.safetensors`` of the run folder. The network, data, optimiser, batch
                size and seed must be those of the run; ``epochs`` and ``patience`` may have grown.
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
        self._bring_back_the_best()
        early = self._is_over and self.position.step < self.total_steps
        result = Result(self.position.step, self.position.seconds, best, last, folder, report, early)
        if self.run is not None:
            self.journal.close(result)
            write_report(self.run.report, self.config, result)
        return result

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
            self.journal.begin()
            # From the first moment on there is something to resume from.
            self._save(self.run)

    @property
    def _is_over(self) -> bool:
        return self.stopping.is_over(self.position.stale)

    def _learn_all(self, interrupts: Interrupts, display: shown.Silent) -> None:
        display.begin(self.total_steps, self.position.step)
        self._meter = meter = Meter()
        self.model.train()
        while self.loader.epoch < self.epochs and not self._is_over:
            for batch in self.loader:
                if not self._learn(batch):
                    continue  # an update of several batches isn't whole yet
                accuracy = meter.accuracy if self.task.counts_right else None
                display.update(self.position.step, self._epoch, meter.loss, accuracy, meter.speed)
                is_saved = self._after_step(display)
                if interrupts.asked:
                    self._stop(is_saved)
                if self._is_over:
                    display.say(f"No progress in {self.position.stale} validations: stopped early.")
                    break

    @property
    def _epoch(self) -> int:
        """The epoch at hand, counted from 1, as people do."""
        return self.loader.epoch + 1

    @property
    def _batches_done(self) -> int:
        """Batches of the epoch at hand, of which the last is the one at hand."""
        return int(self.loader.state_dict()["position"])

    def _learn(self, batch: Any) -> bool:
        """Learn from a batch; says whether it was the last one of an update."""
        position, done = self.position, self._batches_done
        part = (done - 1) % self.accumulate
        is_last = part + 1 == self.accumulate or done == len(self.loader)
        started = time.perf_counter()
        learnt = self.learner.take(batch, position.step, part, is_alone=is_last and part == 0)
        if is_last:
            self.rates.set(position.step, self.total_steps, self.steps_per_epoch)
            self.learner.update(position.step)
            position.step += 1
            self.rates.after_update()
        took = time.perf_counter() - started
        position.seconds += took
        position.sums.add(
            learnt.loss, learnt.correct, learnt.images, weight=learnt.weight, judged=learnt.judged
        )
        # A batch without a label has no loss.
        loss = learnt.loss if learnt.weight else self._meter.loss
        self._meter.add(loss, learnt.correct / max(1, learnt.judged), learnt.images, took)
        return is_last

    def _after_step(self, display: shown.Silent) -> bool:
        """Validate, write a row and save, as far as they are due; says whether the state was saved."""
        position = self.position
        at_end_of_epoch = self._batches_done == len(self.loader)
        validation = None
        if at_end_of_epoch or position.step % self.validate_every == 0:
            with self._averaged():
                workers = self.loader.num_workers
                validation = evaluate(self.model, self.test_data, self.task, workers=workers)
        if validation is None and position.step % self.log_every:
            return False
        row = make_row(position, self._epoch, validation, self._meter.speed, self.rates.latest)
        position.sums = RunningSums()
        self.journal.add(row)
        if validation is None:
            return False
        if at_end_of_epoch:
            self.rates.after_epoch(validation)
        is_best = self._take_in(validation)
        display.say(validation_line(row, self.total_steps, self.epochs, is_best))
        if self.run is not None:
            # The best weights first: a run killed between the two is resumed from before this validation,
            # comes to it again, and writes the same file again.
            if is_best:
                with self._averaged():
                    save_model(self.run.model, self.model, self.config, position)
            self._save(self.run)
        return True

    def _averaged(self) -> contextlib.AbstractContextManager[Any]:
        """While entered, the network has the averaged weights, where such are kept."""
        if self.average is None:
            return contextlib.nullcontext()
        entered: contextlib.AbstractContextManager[Any] = self.average.applied()
        return entered

    def _take_in(self, validation: Evaluation) -> bool:
        """Note a validation, and say whether it is the best so far."""
        position = self.position
        score = Score(position.step, validation.loss, validation.accuracy, validation.score)
        position.last = score
        if self.stopping.is_progress(score, position.progress):
            position.progress, position.stale = score, 0
        else:
            position.stale += 1
        if position.best is not None and not score.is_better_than(position.best):
            return False
        position.best = score
        if self.run is None and self.stopping.patience is not None:
            with self._averaged():
                self._kept = {name: array.copy() for name, array in weights_of(self.model).items()}
        return True

    @property
    def _parts(self) -> Parts:
        return Parts(self.model, self.optimizer, self.loader, self.average, self.rates.scheduler)

    def _save(self, run: RunFolder) -> None:
        save_state(run.last, self._parts, self.config, self.position)

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

    def _bring_back_the_best(self) -> None:
        """With early stopping, the network ends with its best weights, as it was asked to care for them."""
        if self.stopping.patience is None:
            return
        if self.run is not None:
            put_weights(self.model, load_model(self.run.model)[1], self.run.model)
        elif self._kept:
            self.model.load_state_dict(self._kept)

    def _take_up(self, run: RunFolder) -> Position:
        before = run.resumable_config()
        differences = same_facts(before, self.config)
        if differences:
            raise ArgumentError(
                "Resuming needs the same network, data, optimiser and seed as the run that is taken up.",
                "; ".join(differences),
            )
        position = load_state(run.last, self._parts, self.config)
        self.journal.go_on(position.step)
        for file in (run.last, run.model):
            remove_leftovers(file)
        # More epochs, other versions, a folder of data that has moved: what holds from now on.
        write_config(run.config, self.config)
        return position
