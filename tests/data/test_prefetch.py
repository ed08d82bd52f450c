"""Batches made ahead by threads: the same batches, in order, and no thread left behind."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright.data import ArrayDataset, Augmented, DataLoader, MixUp, Subset, TensorDataset
from tilewright.data.augment import Compose, RandomHorizontalFlip, RandomRotation, RandomShift
from tilewright.data.prefetch import in_order

# What is waited for comes at once; this only keeps a broken test from hanging.
PATIENCE = 30


def crew() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("tilewright-data")]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    assert not crew()
    yield
    gc.collect()
    assert not crew()


def jitter(seconds: float = 0.002) -> None:
    time.sleep(random.random() * seconds)


class Slow:
    """Samples that take their time, some longer than others."""

    def __init__(self, samples: int = 23) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> tuple[np.ndarray[Any, Any], int]:
        if index >= self.samples:
            raise IndexError(index)
        jitter()
        return np.full(3, index, np.float32), index


def same(one: Any, two: Any) -> bool:
    return all(
        np.array_equal(np.asarray(a), np.asarray(b)) and type(a) is type(b)
        for a, b in zip(one, two, strict=True)
    )


def data_sets() -> dict[str, Any]:
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 256, (23, 1, 9, 9), dtype=np.uint8)
    labels = np.arange(23) % 4
    change = Compose([RandomShift(2), RandomRotation(10), RandomHorizontalFlip()])
    floating = ArrayDataset(images.astype(np.float32) / 255, labels)
    return {
        "slow": Slow(),
        "arrays": ArrayDataset(images, labels),
        "tensors": TensorDataset(tw.tensor(images), tw.tensor(labels)),
        "augmented": Augmented(ArrayDataset(images, labels), change, seed=3),
        "mixed": MixUp(Augmented(Subset(floating, range(23)), change), 4, seed=3),
        "list": [(image, int(label)) for image, label in zip(images, labels, strict=True)],
    }


class TestBatches:
    @pytest.mark.parametrize("kind", data_sets())
    @pytest.mark.parametrize(("workers", "ahead"), [(1, 1), (2, 1), (3, 2), (16, 8)])
    def test_they_are_those_made_without_threads(self, kind: str, workers: int, ahead: int) -> None:
        options = {"batch_size": 4, "shuffle": True, "seed": 5}
        plain = DataLoader(data_sets()[kind], **options)
        threaded = DataLoader(data_sets()[kind], num_workers=workers, prefetch_factor=ahead, **options)
        for _ in range(2):
            one, two = list(plain), list(threaded)
            assert len(one) == len(two) == 6
            assert all(same(a, b) for a, b in zip(one, two, strict=True))

    @pytest.mark.parametrize("stop", range(7))
    def test_a_resumed_loader_sees_the_rest(self, stop: int) -> None:
        def make() -> DataLoader:
            return DataLoader(data_sets()["augmented"], 4, shuffle=True, seed=1, num_workers=2)

        whole = list(make())
        interrupted = make()
        batches = iter(interrupted)
        seen = [next(batches) for _ in range(stop)]
        # What threads have made ahead hasn't been handed out.
        assert interrupted.state_dict()["position"] == stop
        resumed = make()
        resumed.load_state_dict(interrupted.state_dict())
        for one, two in zip(seen + list(resumed), whole, strict=True):
            assert same(one, two)

    def test_two_loops_at_once(self) -> None:
        loader = DataLoader(Slow(), 4, shuffle=True, seed=0, num_workers=2)
        alone = DataLoader(Slow(), 4, shuffle=True, seed=0)
        expected = list(zip(alone, alone, strict=True))
        found = list(zip(loader, loader, strict=True))
        for (a, b), (c, d) in zip(found, expected, strict=True):
            assert same(a, c) and same(b, d)

    def test_an_empty_epoch_needs_no_thread(self) -> None:
        assert list(DataLoader([], 4, num_workers=3)) == []
        assert list(DataLoader([1, 2], 4, drop_last=True, num_workers=3)) == []

    def test_no_more_is_made_than_was_asked_for(self) -> None:
        made: list[int] = []
        values = in_order(lambda number, is_over: made.append(number), 0, 100, workers=2, ahead=3)
        next(values)
        deadline = time.monotonic() + PATIENCE
        while len(made) < 3 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.05)
        # The one in hand, and two ahead of it.
        assert sorted(made) == [0, 1, 2]
        values.close()
        assert len(made) == 3

    def test_threads_make_batches_at_the_same_time(self) -> None:
        meeting = threading.Barrier(3)

        class Meeting(Slow):
            def __getitem__(self, index: int) -> Any:
                meeting.wait(PATIENCE)
                return index

        assert [batch.tolist() for batch in DataLoader(Meeting(3), 1, num_workers=3)] == [[0], [1], [2]]

    def test_the_callers_switches_hold_in_threads(self) -> None:
        found = []

        class Asking(Slow):
            def __getitem__(self, index: int) -> Any:
                found.append((tw.is_grad_enabled(), np.geterr()["divide"], threading.current_thread()))
                return index

        with tw.no_grad(), np.errstate(divide="raise"):
            list(DataLoader(Asking(4), 1, num_workers=2))
        list(DataLoader(Asking(4), 1, num_workers=2))
        switches = [(on, divide) for on, divide, _ in found]
        assert switches[:4] == [(False, "raise")] * 4 and switches[4:] == [(True, "warn")] * 4
        assert threading.main_thread() not in {thread for _, _, thread in found}


class Broken(Slow):
    def __getitem__(self, index: int) -> Any:
        if index == 13:
            raise OSError(f"no sample {index}")
        return super().__getitem__(index)


class TestErrors:
    @pytest.mark.parametrize("workers", [0, 1, 3])
    def test_they_come_at_their_turn_and_name_the_sample(self, workers: int) -> None:
        loader = DataLoader(Broken(), 4, num_workers=workers)
        seen = []
        with pytest.raises(OSError, match="no sample 13") as error:
            for _, labels in loader:
                seen.append(labels.tolist())
        assert seen == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
        assert error.value.__notes__ == [
            "DataLoader was making batch 3 of epoch 0, with sample 13 of the data set."
        ]
        # The traceback leads to where it was raised.
        assert "__getitem__" in [frame.name for frame in traceback.extract_tb(error.value.__traceback__)]
        assert loader.state_dict()["position"] == 3

    @pytest.mark.parametrize("workers", [0, 2])
    def test_in_a_batch_and_in_collating(self, workers: int) -> None:
        class Batches(ArrayDataset):
            def take_batch(self, indices: Any) -> Any:
                raise KeyError("batch")

        with pytest.raises(KeyError) as error:
            list(DataLoader(Batches(np.zeros(12), np.zeros(12)), 10, num_workers=workers))
        assert error.value.__notes__ == [
            "DataLoader was making batch 0 of epoch 0, with samples 0, 1, 2, 3, 4, 5, 6, 7, … of the data "
            "set."
        ]
        with pytest.raises(ValueError, match="one shape") as error:
            list(DataLoader([np.zeros(2), np.zeros(3)], 2, num_workers=workers))
        assert error.value.__notes__ == [
            "DataLoader was making batch 0 of epoch 0, with samples 0, 1 of the data set."
        ]

    @pytest.mark.parametrize("workers", [0, 2])
    def test_a_data_set_that_stops_iteration_does_not_end_the_epoch(self, workers: int) -> None:
        class Stopping(Slow):
            def __getitem__(self, index: int) -> Any:
                raise StopIteration

        with pytest.raises(RuntimeError, match="StopIteration"):
            list(DataLoader(Stopping(), 4, num_workers=workers))

    def test_an_exit_asked_for_in_a_thread_is_the_callers(self) -> None:
        class Leaving(Slow):
            def __getitem__(self, index: int) -> Any:
                raise SystemExit(3)

        with pytest.raises(SystemExit):
            list(DataLoader(Leaving(), 4, num_workers=2))

    def test_an_error_that_nobody_comes_to_is_dropped(self) -> None:
        for _ in DataLoader(Broken(), 4, num_workers=3, prefetch_factor=4):
            break

    def test_errors_hold_no_memory_after_they_are_handled(self) -> None:
        class Large(Slow):
            def __getitem__(self, index: int) -> Any:
                big = Marker()
                raise ValueError(f"{big is None}")

        with contextlib.suppress(ValueError):
            list(DataLoader(Large(), 4, num_workers=2))
        # Without waiting for the garbage collector.
        assert Marker.alive == 0


class Marker:
    alive = 0

    def __init__(self) -> None:
        type(self).alive += 1

    def __del__(self) -> None:
        type(self).alive -= 1


class TestEnding:
    def test_leaving_the_loop_ends_the_threads(self) -> None:
        for number, _ in enumerate(DataLoader(Slow(200), 4, num_workers=3)):
            if number == 2:
                assert len(crew()) == 3
                break
        assert not crew()

    def test_dropping_the_iterator_ends_the_threads(self) -> None:
        batches = iter(DataLoader(Slow(200), 4, num_workers=3))
        next(batches)
        assert crew()
        del batches
        assert not crew()

    def test_an_iterator_in_a_circle_is_ended_by_the_collector(self) -> None:
        holder: list[Any] = []
        batches = iter(DataLoader(Slow(200), 4, num_workers=3))
        next(batches)
        holder += [batches, holder]
        del batches, holder
        gc.collect()
        assert not crew()

    def test_an_iterator_never_asked_starts_no_thread(self) -> None:
        batches = iter(DataLoader(Slow(), 4, num_workers=3))
        assert not crew()
        del batches

    def test_many_epochs_leave_nothing(self) -> None:
        loader = DataLoader(ArrayDataset(np.zeros((40, 2)), np.zeros(40)), 4, num_workers=4)
        for _ in range(30):
            for _ in loader:
                pass
            next(iter(loader))
        assert not crew()

    def test_an_error_in_the_loops_body_ends_the_threads(self) -> None:
        with pytest.raises(ZeroDivisionError):
            for _ in DataLoader(Slow(200), 4, num_workers=3):
                raise ZeroDivisionError
        gc.collect()
        assert not crew()


INTERRUPTED = """
import os, signal, threading, time
import numpy as np
from tilewright.data import DataLoader

class Sleepy:
    def __len__(self):
        return 10_000
    def __getitem__(self, index):
        if index == 40:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        return np.zeros(3)

try:
    for batch in DataLoader(Sleepy(), 4, num_workers=3):
        pass
except KeyboardInterrupt:
    print("stopped")
print(sum(thread.name.startswith("tilewright-data") for thread in threading.enumerate()))
"""

LEFT_OPEN = """
import numpy as np, time
from tilewright.data import DataLoader

class Sleepy:
    def __len__(self):
        return 10_000
    def __getitem__(self, index):
        time.sleep(0.005)
        return np.zeros(3)

batches = iter(DataLoader(Sleepy(), 4, num_workers=3))
next(batches)
print("done")
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
@pytest.mark.parametrize(
    ("program", "said"), [(INTERRUPTED, "stopped\n0\n"), (LEFT_OPEN, "done\n")], ids=["ctrl-c", "left open"]
)
def test_a_program_ends(program: str, said: str) -> None:
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        # The runner may have SIGINT ignored, as background jobs of a shell have.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert (child.stdout, child.stderr, child.returncode) == (said, "", 0)
