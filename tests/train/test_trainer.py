"""The training loop: it learns, keeps its folder in order, and resumes to the bit."""

from __future__ import annotations

import os
import random
import re
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from train.nets import tiny_images, tiny_net

import tilewright as tw
from tilewright.data import ArrayDataset, TensorDataset
from tilewright.errors import ArgumentError, FileFormatError, ShapeError, StateError
from tilewright.kernel import workers
from tilewright.nn import BatchNorm2d, Conv2d, Flatten, Linear, Module, ReLU, Sequential
from tilewright.op.random import manual_seed
from tilewright.optim import SGD, Adam
from tilewright.train import Trainer, TrainingInterrupted, checkpoint
from tilewright.train.config_file import read_config
from tilewright.train.state import load_model, weights_of

STEPS = 15  # 50 images in batches of 10, three epochs


@pytest.fixture(autouse=True)
def usual_interrupts() -> Iterator[None]:
    """A test runner that was started in the background has Ctrl-C ignored; here it isn't."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class StopsAt(ArrayDataset):
    """Images that press Ctrl-C while batch number ``at`` (counted from 1) is made."""

    def __init__(self, data: ArrayDataset, at: int) -> None:
        super().__init__(data.images, data.labels, data.transform)
        self.left = at

    def take_batch(self, indices: Any) -> Any:
        # Single samples are only looked at for their shape.
        self.left -= len(indices) > 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)
        return super().take_batch(indices)


def trainer_of(
    run_dir: Path | None,
    optimizer: str = "sgd",
    epochs: int = 3,
    stop_at: int = 0,
    net: Any = tiny_net,
    optimizer_object: Any = None,
    **options: Any,
) -> Trainer:
    data = tiny_images()
    train = StopsAt(data.train, stop_at) if stop_at else data.train
    model = net()
    chosen = optimizer_object or (
        SGD(model.parameters(), lr=0.05, momentum=0.9)
        if optimizer == "sgd"
        else Adam(model.parameters(), lr=0.01)
    )
    settings: dict[str, Any] = {"validate_every": 4, "log_every": 2, "progress": False, "pictures": False}
    return Trainer(
        model,
        (train, data.test),
        optimizer=chosen,
        batch_size=10,
        epochs=epochs,
        seed=3,
        run_dir=run_dir,
        **(settings | options),
    )


def with_norm(seed: int = 0) -> Module:
    """A network whose buffers (running statistics) belong to its state as well."""
    manual_seed(seed)
    return Sequential(Conv2d(1, 2, 3), BatchNorm2d(2), ReLU(), Flatten(), Linear(2 * 16, 3))


def final_bytes(trainer: Trainer) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in weights_of(trainer.model).items()}


def state_without_times(run: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    found = checkpoint.load(run / "last.safetensors")
    found.state["position"].pop("seconds")
    return found.state, {name: array.tobytes() for name, array in found.tensors.items()}


def rows_without_times(run: Path) -> list[str]:
    """Without the seventh and eighth column, images_per_second and seconds."""
    lines = [line.split(",") for line in (run / "metrics.csv").read_text().splitlines()]
    return [",".join(values[:6] + values[8:]) for values in lines]


def test_a_network_learns_and_its_folder_is_complete(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path / "run", epochs=12)
    result = trainer.fit()
    assert result.steps == 60
    # Chance is a third; the images were made so that a small network gets nearly all.
    assert result.best.accuracy is not None and result.best.accuracy > 0.8
    assert result.run_dir == str(tmp_path / "run")
    assert sorted(os.listdir(tmp_path / "run")) == [
        "config.toml",
        "last.safetensors",
        "metrics.csv",
        "model.safetensors",
        "report.json",
    ]
    assert result.report is not None
    assert result.report.test.accuracy == result.best.accuracy
    config = read_config(tmp_path / "run" / "config.toml")
    assert config.training.seed == 3
    assert config == trainer.config


def test_the_model_file_holds_the_best_weights_under_pytorchs_keys(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path / "run", data_folder=tmp_path / "images")
    result = trainer.fit()
    config, weights = load_model(tmp_path / "run" / "model.safetensors")
    # Where the images lay on this machine is nobody else's business.
    assert trainer.config.data.folder == str(tmp_path / "images")
    assert config == replace(trainer.config, data=replace(trainer.config.data, folder=None))
    assert list(weights) == ["0.bias", "0.weight", "4.bias", "4.weight"]  # sorted, as the format has it
    state = checkpoint.load(tmp_path / "run" / "model.safetensors").state
    assert state["best"]["step"] == result.best.step


def test_rows_are_written_every_so_often_and_with_each_validation(tmp_path: Path) -> None:
    trainer_of(tmp_path / "run").fit()
    rows = [line.split(",") for line in rows_without_times(tmp_path / "run")]
    assert rows[0][:6] == ["step", "epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]
    steps = [(int(row[0]), int(row[1]), bool(row[4])) for row in rows[1:]]
    # Every 2 steps; validated every 4, and at the end of each epoch of 5.
    assert steps == [
        (2, 1, False),
        (4, 1, True),
        (5, 1, True),
        (6, 2, False),
        (8, 2, True),
        (10, 2, True),
        (12, 3, True),
        (14, 3, False),
        (15, 3, True),
    ]


def test_two_runs_with_one_seed_are_the_same(tmp_path: Path) -> None:
    first, second = trainer_of(tmp_path / "a"), trainer_of(tmp_path / "b")
    first.fit()
    second.fit()
    assert final_bytes(first) == final_bytes(second)
    for name in ("model.safetensors", "config.toml"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert state_without_times(tmp_path / "a") == state_without_times(tmp_path / "b")


@pytest.mark.parametrize(("optimizer", "net"), [("sgd", tiny_net), ("adam", tiny_net), ("sgd", with_norm)])
def test_a_run_stopped_at_random_steps_ends_as_one_that_was_not(
    tmp_path: Path, optimizer: str, net: Any
) -> None:
    whole = trainer_of(tmp_path / "whole", optimizer, net=net)
    whole.fit()
    chance = random.Random(optimizer + net.__name__)
    # The first and last step, an epoch's last and next one's first, and some at random.
    for moment in sorted({1, 5, 6, STEPS, *chance.sample(range(2, STEPS), 3)}):
        run = tmp_path / f"stopped-{moment}"
        stopped = trainer_of(run, optimizer, stop_at=moment, net=net)
        with pytest.raises(TrainingInterrupted) as caught:
            stopped.fit()
        assert (caught.value.step, caught.value.total, caught.value.run_dir) == (moment, STEPS, run)
        # In another process: new objects, and a generator that stands elsewhere.
        manual_seed(12345)
        resumed = trainer_of(run, optimizer, net=net)
        manual_seed(54321)
        result = resumed.fit(resume=True)
        assert result.steps == STEPS
        assert final_bytes(resumed) == final_bytes(whole), moment
        assert state_without_times(run) == state_without_times(tmp_path / "whole")
        assert (run / "model.safetensors").read_bytes() == (
            tmp_path / "whole" / "model.safetensors"
        ).read_bytes()
        assert rows_without_times(run) == rows_without_times(tmp_path / "whole")


def test_a_run_stopped_again_and_again_ends_as_one_that_was_not(tmp_path: Path) -> None:
    whole = trainer_of(None)
    whole.fit()
    run = tmp_path / "run"
    for number in range(4):
        with pytest.raises(TrainingInterrupted):
            trainer_of(run, stop_at=3).fit(resume=number > 0)
    resumed = trainer_of(run)
    assert resumed.fit(resume=True).steps == STEPS
    assert final_bytes(resumed) == final_bytes(whole)


def test_a_run_that_was_killed_goes_on_from_its_last_save(tmp_path: Path) -> None:
    """KilledError: nothing is saved at the end, and rows after the last save stand in the table."""
    whole = trainer_of(tmp_path / "whole")
    whole.fit()
    run = tmp_path / "run"
    killed = trainer_of(run)

    class KilledError(Exception):
        pass

    def learn(batch: Any, usual: Any = killed._learn) -> Any:
        if killed.position.step == 11:
            raise KilledError
        return usual(batch)

    killed._learn = learn  # type: ignore[method-assign]
    with pytest.raises(KilledError):
        killed.fit()
    (run / ".last.safetensors.0123.part").touch()
    assert checkpoint.load(run / "last.safetensors").state["position"]["step"] == 10
    resumed = trainer_of(run)
    resumed.fit(resume=True)
    assert final_bytes(resumed) == final_bytes(whole)
    assert rows_without_times(run) == rows_without_times(tmp_path / "whole")
    assert not list(run.glob(".*.part"))


def test_a_run_killed_before_its_first_validation_goes_on_from_the_start(tmp_path: Path) -> None:
    whole = trainer_of(None)
    whole.fit()
    killed = trainer_of(tmp_path / "run")
    killed._prepare(resume=False, overwrite=False)
    resumed = trainer_of(tmp_path / "run")
    resumed.fit(resume=True)
    assert final_bytes(resumed) == final_bytes(whole)


def test_a_finished_run_may_go_on_for_more_epochs(tmp_path: Path) -> None:
    whole = trainer_of(tmp_path / "whole", epochs=3)
    whole.fit()
    trainer_of(tmp_path / "run", epochs=2).fit()
    longer = trainer_of(tmp_path / "run", epochs=3)
    assert longer.fit(resume=True).steps == STEPS
    assert final_bytes(longer) == final_bytes(whole)
    assert read_config(tmp_path / "run" / "config.toml").training.epochs == 3
    # Nothing is left to do, and the result is that of the run.
    again = trainer_of(tmp_path / "run", epochs=3).fit(resume=True)
    assert again.steps == STEPS
    assert again.best == longer.position.best


def test_resuming_with_other_settings_is_refused(tmp_path: Path) -> None:
    trainer_of(tmp_path / "run", epochs=1).fit()
    data = tiny_images()
    other = Trainer(tiny_net(), data, batch_size=5, seed=4, run_dir=tmp_path / "run", progress=False)
    with pytest.raises(ArgumentError) as caught:
        other.fit(resume=True)
    message = str(caught.value)
    assert message.startswith(
        "Resuming needs the same network, data, optimiser and seed as the run that is taken up."
    )
    assert "training.batch_size=10 there and 5 here" in message
    assert "training.seed=3 there and 4 here" in message


def test_resuming_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ArgumentError, match=r"Resuming needs the folder of a run, with config\.toml and last"
    ):
        trainer_of(tmp_path / "none").fit(resume=True)
    with pytest.raises(ArgumentError, match=r"Resuming needs a run_dir\. Received: run_dir=None\."):
        trainer_of(None).fit(resume=True)


def test_an_earlier_run_is_not_replaced_unasked(tmp_path: Path) -> None:
    trainer_of(tmp_path / "run", epochs=1).fit()
    with pytest.raises(ArgumentError) as caught:
        trainer_of(tmp_path / "run", epochs=1).fit()
    assert str(caught.value) == (
        f"A run needs a folder of its own. Received: {str(tmp_path / 'run')!r}, which holds an earlier run. "
        "Take that run up again (resume), replace it (overwrite), or choose another folder."
    )
    (tmp_path / "run" / "notes.txt").write_text("mine")
    trainer_of(tmp_path / "run", epochs=1).fit(overwrite=True)
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_a_folder_with_other_files_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    for overwrite in (False, True):
        with pytest.raises(
            ArgumentError, match=r"new, empty, or an earlier run's\. Received: .*holds other files\."
        ):
            trainer_of(tmp_path).fit(overwrite=overwrite)
    (tmp_path / "config.toml").write_text("[tool]\n")
    with pytest.raises(FileFormatError, match="needs to be a configuration of format 1"):
        trainer_of(tmp_path).fit(overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["config.toml", "thesis.txt"]
    with pytest.raises(
        ArgumentError, match=r"A run needs a folder of its own\. Received: .*which is a file\."
    ):
        trainer_of(tmp_path / "thesis.txt").fit()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda s: s.update(kind="model"),
            r"needs to hold a training state that Tilewright saved\. Received: kind='model'",
        ),
        (lambda s: s.pop("position"), r"needs an object as its position\."),
        (
            lambda s: s["position"].update(step=-1),
            r"a whole account of where the run stands\. Received: ValueError: -1",
        ),
        (lambda s: s["position"].update(sums=[]), r"needs a whole account of where the run stands\."),
        (lambda s: s["position"].pop("best"), r"needs a whole account .*KeyError: 'best'"),
        (
            lambda s: s["loader"].update(position=99),
            r"this run's optimiser, generator and loader\. Received: StateError",
        ),
        (
            lambda s: s["generator"].update(key=[1]),
            r"this run's optimiser, generator and loader\. .*generator's key",
        ),
        (
            lambda s: s.update(optimizer={}),
            r"this run's optimiser, generator and loader\. .*SGD\.load_state_dict",
        ),
        (
            lambda s: s["config"]["training"].update(seed=8),
            r"needs to be of the run whose folder it is in\. .*seed=8",
        ),
        (lambda s: s["config"].update(format=7), r"needs to be a configuration of format 1"),
    ],
)
def test_a_state_that_lies_is_refused(tmp_path: Path, damage: Any, message: str) -> None:
    trainer_of(tmp_path / "run", epochs=1).fit()
    path = tmp_path / "run" / "last.safetensors"
    found = checkpoint.load(path)
    damage(found.state)
    checkpoint.save(path, found.tensors, found.state)
    with pytest.raises(FileFormatError, match=message) as caught:
        trainer_of(tmp_path / "run", epochs=1).fit(resume=True)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda t: t.pop("model.0.bias"),
            r"needs exactly the tensors of the network .* Received: no 0\.bias\.",
        ),
        (lambda t: t.update({"model.x": np.ones(1)}), r"exactly the tensors .* Received: besides x\."),
        (
            lambda t: t.update({"model.0.bias": np.ones(4, np.float32)}),
            r"needs 0\.bias of shape \(3,\) and dtype float32\. Received: 0\.bias with shape \(4,\)",
        ),
        (
            lambda t: t.update({"model.0.bias": np.ones(3)}),
            r"needs 0\.bias of shape \(3,\) and dtype float32\.",
        ),
        (
            lambda t: t.update({"optimizer.state.0.momentum_buffer": np.ones(3, np.float32)}),
            r"this run's optimiser, generator and loader\. .*momentum_buffer",
        ),
        (lambda t: t.pop("optimizer.state.0.momentum_buffer"), r"this run's optimiser, generator and loader"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path: Path, damage: Any, message: str) -> None:
    trainer_of(tmp_path / "run", epochs=1).fit()
    path = tmp_path / "run" / "last.safetensors"
    found = checkpoint.load(path)
    damage(found.tensors)
    checkpoint.save(path, found.tensors, found.state)
    with pytest.raises(FileFormatError, match=message):
        trainer_of(tmp_path / "run", epochs=1).fit(resume=True)


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path / "run")

    def learn(batch: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the second one came back")

    trainer._learn = learn  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt) as caught:
        trainer.fit()
    assert not isinstance(caught.value, TrainingInterrupted)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_without_a_folder_says_that_nothing_is_saved() -> None:
    with pytest.raises(TrainingInterrupted) as caught:
        trainer_of(None, stop_at=2).fit()
    assert str(caught.value) == (
        "Training stopped by Ctrl-C after step 2 of 15: nothing is saved, as there is no run_dir."
    )


def test_a_loss_that_is_no_longer_finite_stops_the_run(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path / "run")
    trainer.optimizer.param_groups[0]["lr"] = 1e38
    message = r"Training needs a loss that stays finite\. Received: a loss of (nan|inf)"
    with np.errstate(all="ignore"), pytest.raises(StateError, match=message):
        trainer.fit()


def test_plain_lines_say_how_validation_goes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer_of(tmp_path / "run", epochs=1, progress=True).fit()
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert [
        bool(re.match(r"step \d of 5  epoch 1 of 1  loss \d\.\d{4}  validation loss", line)) for line in lines
    ] == [
        True,
        True,
    ]
    assert lines[0].startswith("step 4 of 5")
    assert "accuracy" in lines[0] and lines[0].endswith("(best)")


def test_tensors_and_numbers_of_ones_own_serve_as_data() -> None:
    from tilewright.autograd.create import tensor

    data = tiny_images()
    images, labels = data.train.take_batch(np.arange(50))
    own = TensorDataset(tensor(images), tensor(labels))
    arrays = trainer_of(None, epochs=1)
    arrays.fit()
    model = tiny_net()
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    tensors = Trainer(model, (own, data.test), optimizer=optimizer, batch_size=10, seed=3, progress=False)
    tensors.fit()
    assert final_bytes(tensors) == final_bytes(arrays)


def test_modes_of_parts_survive_validation() -> None:
    model = with_norm()
    trainer = trainer_of(None, epochs=1, net=lambda: model)
    trainer.fit()
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, r"Trainer needs epochs to be a whole number of at least 1\. Received: epochs=0\."),
        ({"validate_every": 1.5}, r"Trainer needs validate_every to be a whole number of at least 1\."),
        ({"log_every": True}, r"Trainer needs log_every to be a whole number of at least 1\."),
        (
            {"task": "guess"},
            r"A task is one of classify, reconstruct, regress, segment\. Received: task='guess'\.",
        ),
        ({"seed": -1}, "needs seed to be an integer"),
        ({"batch_size": 0}, "needs batch_size to be a positive integer"),
    ],
)
def test_arguments_outside_their_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Trainer(tiny_net(), tiny_images(), progress=False, **options)


def test_data_of_another_form_is_refused() -> None:
    data = tiny_images()
    with pytest.raises(ArgumentError, match="Trainer needs data as an ImageSet, or as a pair of data sets"):
        Trainer(tiny_net(), data.train)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="Trainer needs data sets with at least one sample"):
        Trainer(tiny_net(), (data.train, []))
    with pytest.raises(ShapeError, match="samples are pairs of an image and a label"):
        images = TensorDataset(np.zeros((4, 1, 6, 6), np.float32))
        Trainer(tiny_net(), (images, images), progress=False).fit()


def test_a_network_that_does_not_suit_its_task_is_refused() -> None:
    flat = Sequential(Flatten(), Linear(36, 36))
    with pytest.raises(
        ShapeError, match=r"'reconstruct' needs a network whose output has its input's shape\."
    ):
        Trainer(flat, tiny_images(), task="reconstruct", progress=False).fit()
    with pytest.raises(
        ShapeError, match=r"'classify' needs a network that answers with \(batch, classes\)\."
    ):
        Trainer(Sequential(Conv2d(1, 3, 3)), tiny_images(), progress=False).fit()


def test_a_falling_rate_reaches_zero_and_survives_stopping(tmp_path: Path) -> None:
    whole = trainer_of(None, schedule="linear")
    whole.fit()
    # 15 steps: the last one was taken with a fifteenth of the rate.
    assert whole.optimizer.param_groups[0]["lr"] == pytest.approx(0.05 / 15)
    constant = trainer_of(None)
    constant.fit()
    assert final_bytes(constant) != final_bytes(whole)
    with pytest.raises(TrainingInterrupted):
        trainer_of(tmp_path / "run", stop_at=7, schedule="linear").fit()
    resumed = trainer_of(tmp_path / "run", schedule="linear")
    resumed.fit(resume=True)
    assert final_bytes(resumed) == final_bytes(whole)


def test_only_known_schedules() -> None:
    with pytest.raises(
        ArgumentError, match=r"A schedule is one of none, step, .*, one-cycle\. Received: name='cubic'\."
    ):
        trainer_of(None, schedule="cubic")


def test_blas_uses_one_thread_while_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that wait for each other cost more than they bring, and bits may depend on their number."""
    control = pytest.importorskip("threadpoolctl", reason="comes with the extra that training needs")
    trainer = trainer_of(None, epochs=1)
    seen = set()
    learn = trainer._learn

    def watched(batch: Any) -> Any:
        seen.update(pool["num_threads"] for pool in control.threadpool_info() if pool["user_api"] == "blas")
        return learn(batch)

    monkeypatch.setattr(trainer, "_learn", watched)
    trainer.fit()
    assert seen <= {1}
    assert seen, "NumPy's BLAS is one that can be asked"


@pytest.mark.skipif(sys.platform == "win32", reason="watches the pool of POSIX threads")
def test_compiled_kernels_use_all_their_threads_while_training(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite", reason="watches compiled kernels")
    trainer = trainer_of(None, epochs=1)
    seen = []
    run = workers.NativePool.run

    def watched(pool: Any, function: int, units: int, args: int, scratch: int, seats: int) -> None:
        seen.append((units, seats))
        run(pool, function, units, args, scratch, seats)

    monkeypatch.setattr(workers.NativePool, "run", watched)
    before = tw.get_num_threads()
    tw.set_num_threads(3)
    try:
        trainer.fit()
    finally:
        tw.set_num_threads(before)
    assert {seats for units, seats in seen if units >= 3} == {2}, "two beside the calling thread"
