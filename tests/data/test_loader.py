from __future__ import annotations

import json
import sys
import types
from collections import namedtuple
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import pytest

from tilewright.data import ArrayDataset, DataLoader, Standardise, Subset, TensorDataset, default_collate
from tilewright.errors import ArgumentError, DtypeError, ShapeError, StateError


def numbered(samples: int = 10) -> ArrayDataset:
    """A data set whose labels are the samples' numbers."""
    return ArrayDataset(np.arange(samples * 2, dtype=np.float32).reshape(samples, 2), np.arange(samples))


def labels_of(loader: Any) -> list[list[int]]:
    return [labels.tolist() for _, labels in loader]


class TestBatches:
    @pytest.mark.parametrize(
        ("drop_last", "expected"),
        [(False, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]), (True, [[0, 1, 2, 3], [4, 5, 6, 7]])],
    )
    def test_in_order(self, drop_last: bool, expected: list[list[int]]) -> None:
        loader = DataLoader(numbered(), batch_size=4, drop_last=drop_last)
        assert labels_of(loader) == expected
        assert len(loader) == len(expected)

    @pytest.mark.parametrize(
        ("samples", "drop_last", "batches"), [(0, False, 0), (3, True, 0), (8, True, 2), (8, False, 2)]
    )
    def test_lengths_at_the_edges(self, samples: int, drop_last: bool, batches: int) -> None:
        loader = DataLoader(numbered(samples), batch_size=4, shuffle=True, drop_last=drop_last)
        assert len(loader) == len(list(loader)) == batches

    def test_images_go_with_their_labels(self) -> None:
        for images, labels in DataLoader(numbered(), 3, shuffle=True, seed=0):
            assert np.array_equal(images[:, 0], 2 * labels)

    def test_the_fast_path_gives_what_sample_by_sample_collating_gives(self) -> None:
        images = np.random.default_rng(0).integers(0, 256, (11, 1, 6, 6), dtype=np.uint8)
        data = Subset(ArrayDataset(images, np.arange(11), Standardise(0.3, 0.2)), range(1, 11))
        fast = list(DataLoader(data, 4, shuffle=True, seed=5))
        slow = list(DataLoader(data, 4, shuffle=True, seed=5, collate_fn=default_collate))
        assert len(fast) == len(slow) == 3
        for (fast_images, fast_labels), (slow_images, slow_labels) in zip(fast, slow, strict=True):
            assert fast_images.dtype == slow_images.dtype == np.float32
            assert np.array_equal(fast_images, slow_images) and np.array_equal(fast_labels, slow_labels)

    def test_the_fast_path_indexes_once_per_batch(self) -> None:
        asked = []

        class Counting(ArrayDataset):
            def take_batch(self, indices: Any) -> Any:
                asked.append(indices.tolist())
                return super().take_batch(indices)

        list(DataLoader(Counting(np.zeros(5), np.zeros(5)), 2))
        assert asked == [[0, 1], [2, 3], [4]]

    def test_a_list_is_a_data_set(self) -> None:
        first, second = DataLoader([(1.5, "a"), (2.5, "b"), (3.5, "c")], batch_size=2)
        assert first[0].tolist() == [1.5, 2.5] and first[1] == ["a", "b"]
        assert second[0].tolist() == [3.5] and second[1] == ["c"]

    def test_an_array_is_a_data_set_of_its_rows(self) -> None:
        (batch,) = DataLoader(np.arange(6).reshape(3, 2), batch_size=5)
        assert batch.tolist() == [[0, 1], [2, 3], [4, 5]]

    def test_collate_fn_gets_the_samples(self) -> None:
        assert list(DataLoader([1, 2, 3], 2, collate_fn=sum)) == [3, 3]  # type: ignore[arg-type]

    def test_pytorchs_other_arguments_are_taken(self) -> None:
        assert labels_of(DataLoader(numbered(2), num_workers=2, pin_memory=True)) == [[0], [1]]

    def test_refusals(self) -> None:
        with pytest.raises(
            ArgumentError, match=r"needs a data set with __len__ and __getitem__. Received: dataset=3"
        ):
            DataLoader(3)  # type: ignore[arg-type]
        for wrong in (0, -1, 1.5, None, True):
            with pytest.raises(ArgumentError) as caught:
                DataLoader([1], batch_size=wrong)  # type: ignore[arg-type]
            assert str(caught.value) == (
                f"DataLoader needs batch_size to be a positive integer. Received: batch_size={wrong}."
            )
        for name, least, wrong in (
            ("num_workers", "an integer of at least 0", -1),
            ("prefetch_factor", "a positive integer", 0),
        ):
            with pytest.raises(ArgumentError) as caught:
                DataLoader([1], **{name: wrong})
            assert str(caught.value) == f"DataLoader needs {name} to be {least}. Received: {name}={wrong}."
        with pytest.raises(ArgumentError) as both:
            DataLoader([1], seed=1, generator=2)
        assert str(both.value) == (
            "DataLoader needs a seed or a generator, not both. Received: seed=1, generator=2."
        )
        with pytest.raises(
            ArgumentError, match=r"DataLoader needs seed to be an integer .* Received: seed=-1"
        ):
            DataLoader([1], seed=-1)
        with pytest.raises(
            ArgumentError, match=r"DataLoader needs epoch to be an integer .* Received: epoch=-1"
        ):
            DataLoader([1]).epoch = -1


class TestOrder:
    def test_depends_on_seed_and_epoch_alone(self) -> None:
        first = DataLoader(numbered(), 3, shuffle=True, seed=7)
        second = DataLoader(numbered(), 3, shuffle=True, seed=7)
        epochs = [labels_of(first) for _ in range(3)]
        assert epochs[0] != epochs[1] != epochs[2]
        second.epoch = 2
        assert labels_of(second) == epochs[2]
        second.epoch = 0
        assert labels_of(second) == epochs[0]
        assert labels_of(DataLoader(numbered(), 3, shuffle=True, seed=8)) != epochs[0]

    def test_every_epoch_visits_every_sample_once(self) -> None:
        loader = DataLoader(numbered(), 3, shuffle=True)
        for _ in range(4):
            assert sorted(chain(*labels_of(loader))) == list(range(10))

    def test_the_batch_size_does_not_change_the_order(self) -> None:
        orders = {
            tuple(chain(*labels_of(DataLoader(numbered(), size, shuffle=True, seed=1))))
            for size in (1, 3, 10)
        }
        assert len(orders) == 1

    def test_an_unnamed_seed_is_fresh_and_can_be_read(self) -> None:
        first, second = (DataLoader(numbered(), 2, shuffle=True) for _ in range(2))
        assert first.seed != second.seed
        assert labels_of(DataLoader(numbered(), 2, shuffle=True, seed=first.seed)) == labels_of(first)

    def test_generators_and_seeds_under_pytorchs_name(self) -> None:
        assert DataLoader([1], generator=5).seed == 5
        assert (
            DataLoader([1], generator=np.random.default_rng(1)).seed
            == DataLoader([1], generator=np.random.default_rng(1)).seed
        )

    def test_the_counting_of_epochs(self) -> None:
        loader = DataLoader(numbered(4), 2, shuffle=True, seed=0)
        assert loader.epoch == 0
        for _ in loader:
            assert loader.epoch == 0
        assert loader.epoch == 1
        for _ in loader:
            break
        assert loader.epoch == 1  # broken off, not over
        iter(loader)
        assert loader.epoch == 2  # a new loop is the next epoch

    def test_two_loops_at_once_do_not_disturb_each_other(self) -> None:
        loader = DataLoader(numbered(4), 2, shuffle=True, seed=0)
        alone = DataLoader(numbered(4), 2, shuffle=True, seed=0)
        expected = [labels_of(alone), labels_of(alone)]
        pairs = [(a[1].tolist(), b[1].tolist()) for a, b in zip(loader, loader, strict=True)]
        assert [a for a, _ in pairs] == expected[0] and [b for _, b in pairs] == expected[1]
        assert loader.epoch == 2


class TestResuming:
    @pytest.mark.parametrize("shuffle", [True, False])
    @pytest.mark.parametrize("stop", range(9))
    def test_sees_exactly_the_rest_and_then_the_same_epochs(self, stop: int, shuffle: bool) -> None:
        def make(seed: int) -> DataLoader:
            return DataLoader(numbered(), 3, shuffle=shuffle, seed=seed)

        def run(loader: DataLoader, epochs: int) -> Iterator[list[int]]:
            while loader.epoch < epochs:
                for _, labels in loader:
                    yield labels.tolist()

        whole = list(run(make(11), 3))
        assert len(whole) == 12
        interrupted = make(11)
        batches = run(interrupted, 3)
        seen = [next(batches) for _ in range(stop)]
        state = json.loads(json.dumps(interrupted.state_dict()))
        resumed = make(99)
        resumed.load_state_dict(state)
        assert seen + list(run(resumed, 3)) == whole

    def test_what_the_state_says(self) -> None:
        loader = DataLoader(numbered(), 4, shuffle=True, drop_last=True, seed=3)
        next(iter(loader))
        assert loader.state_dict() == {
            "epoch": 0,
            "position": 1,
            "seed": 3,
            "samples": 10,
            "batch_size": 4,
            "shuffle": True,
            "drop_last": True,
        }

    def test_resumed_after_the_last_batch_yields_an_empty_rest_first(self) -> None:
        loader = DataLoader(numbered(4), 2, shuffle=True, seed=0)
        for _ in loader:
            state = loader.state_dict()
        assert (state["epoch"], state["position"]) == (0, 2)
        resumed = DataLoader(numbered(4), 2, shuffle=True, seed=0)
        resumed.load_state_dict(state)
        assert resumed.epoch == 0
        assert labels_of(resumed) == []
        assert resumed.epoch == 1
        assert labels_of(resumed) == labels_of(loader)

    def test_loading_ends_the_hold_of_a_loop_under_way(self) -> None:
        loader = DataLoader(numbered(), 2, shuffle=True, seed=0)
        state = loader.state_dict()
        under_way = iter(loader)
        next(under_way)
        loader.load_state_dict(state)
        next(under_way)
        assert loader.state_dict() == state

    @pytest.mark.parametrize(
        ("key", "value"), [("samples", 9), ("batch_size", 2), ("shuffle", True), ("drop_last", True)]
    )
    def test_refuses_a_state_of_other_batches(self, key: str, value: Any) -> None:
        loader = DataLoader(numbered(), 3, seed=1)
        state = {**loader.state_dict(), key: value}
        with pytest.raises(StateError) as caught:
            loader.load_state_dict(state)
        here = loader.state_dict()[key]
        assert str(caught.value) == (
            f"DataLoader.load_state_dict needs a state of a loader with {key}={here!r}, "
            f"or the batches would not be the same. Received: {key}={value!r}."
        )

    def test_refuses_a_state_that_is_not_one(self) -> None:
        loader = DataLoader(numbered(), 3, seed=1)
        state = loader.state_dict()
        with pytest.raises(StateError) as missing:
            loader.load_state_dict({"epoch": 1})
        assert str(missing.value) == (
            "DataLoader.load_state_dict needs a state that state_dict() made. "
            "Received: missing=['position', 'seed', 'samples', 'batch_size', 'shuffle', 'drop_last']."
        )
        with pytest.raises(StateError) as beyond:
            loader.load_state_dict({**state, "position": 5})
        assert str(beyond.value) == (
            "DataLoader.load_state_dict needs a position within the epoch's 4 batches. Received: position=5."
        )
        for key in ("epoch", "position", "seed"):
            with pytest.raises(ArgumentError, match=f"needs {key} to be an integer .* Received: {key}='x'"):
                loader.load_state_dict({**state, key: "x"})
        assert loader.state_dict() == state


Pair = namedtuple("Pair", ["left", "right"])


class TestCollate:
    def test_numbers_take_pytorchs_dtypes(self) -> None:
        for samples, dtype in (([1, 2], "int64"), ([1.0, 2.0], "float64"), ([True, False], "bool")):
            batch = default_collate(samples)
            assert batch.tolist() == samples and batch.dtype == dtype

    def test_arrays_keep_their_dtype_and_gain_an_axis(self) -> None:
        batch = default_collate([np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)])
        assert batch.shape == (2, 2, 3) and batch.dtype == np.float32
        assert default_collate([np.uint8(3), np.uint8(4)]).dtype == np.uint8

    def test_structures_are_followed(self) -> None:
        samples = [{"x": (1, [2.0, "a"]), "y": Pair(3, 4)}, {"x": (5, [6.0, "b"]), "y": Pair(7, 8)}]
        batch = default_collate(samples)
        assert isinstance(batch["x"], tuple) and isinstance(batch["x"][1], list)
        assert batch["x"][0].tolist() == [1, 5] and batch["x"][1][0].tolist() == [2.0, 6.0]
        assert batch["x"][1][1] == ["a", "b"]
        assert isinstance(batch["y"], Pair) and batch["y"].right.tolist() == [4, 8]

    def test_agrees_with_pytorch(self) -> None:
        torch = pytest.importorskip("torch", reason="compares with PyTorch's default_collate")
        from torch.utils.data import default_collate as theirs

        samples = [(np.full((2, 2), k, np.float32), k, k / 2, {"b": k > 1}) for k in range(3)]
        ours, expected = default_collate(samples), theirs(samples)
        for mine, his in zip((*ours[:3], ours[3]["b"]), (*expected[:3], expected[3]["b"]), strict=True):
            assert isinstance(his, torch.Tensor)
            assert mine.dtype == his.numpy().dtype and np.array_equal(mine, his.numpy())

    def test_refusals(self) -> None:
        with pytest.raises(ShapeError) as empty:
            default_collate([])
        assert str(empty.value) == "default_collate needs at least one sample. Received: samples=[]."
        with pytest.raises(ShapeError) as ragged:
            default_collate([np.zeros(2), np.zeros(2), np.zeros(3)])
        assert str(ragged.value) == (
            "default_collate needs samples of one shape in a batch. "
            "Received: shape (2,) for the first sample of the batch and (3,) for sample 2, counted from 0."
        )
        with pytest.raises(ShapeError) as uneven:
            default_collate([(1, 2), (1, 2, 3)])
        assert str(uneven.value) == (
            "default_collate needs samples of one structure in a batch. "
            "Received: tuple of 2 for the first sample of the batch and tuple of 3 for sample 1, "
            "counted from 0."
        )
        with pytest.raises(ShapeError, match=r"tuple of 1 for the first .* int for sample 1"):
            default_collate([(1,), 1])
        with pytest.raises(ShapeError, match=r"dict of 1 for the first .* dict of 1 for sample 1"):
            default_collate([{"a": 1}, {"b": 1}])
        for odd in (None, object(), 2**70):
            with pytest.raises(DtypeError) as caught:
                default_collate([odd, odd])
            assert str(caught.value) == (
                "default_collate needs samples made of arrays, Tensors, numbers, strings, tuples, lists and "
                f"mappings. Received: a sample of type {type(odd).__name__}. "
                "Pass collate_fn=... to make batches of anything else."
            )


class TestTensorsStoodInFor:
    """Tensors by a stand-in with the few members that this room uses; the real ones are tested below."""

    @pytest.fixture
    def tensor_class(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        class Tensor:
            def __init__(self, data: Any) -> None:
                self.data = np.asarray(data)

            @property
            def shape(self) -> tuple[int, ...]:
                return self.data.shape

            def numpy(self) -> Any:
                return self.data

            def __getitem__(self, key: Any) -> Any:
                return Tensor(self.data[key])

        members = {
            "tensor": {"Tensor": Tensor},
            "create": {"tensor": Tensor},
            "shape": {"stack": lambda tensors: Tensor(np.stack([one.data for one in tensors]))},
        }
        monkeypatch.setitem(sys.modules, "tilewright.autograd", types.ModuleType("tilewright.autograd"))
        for name, contents in members.items():
            module = types.ModuleType(f"tilewright.autograd.{name}")
            module.__dict__.update(contents)
            monkeypatch.setitem(sys.modules, module.__name__, module)
        return Tensor

    def test_a_data_set_of_tensors_gives_tensors(self, tensor_class: Any) -> None:
        data = TensorDataset(tensor_class(np.arange(6).reshape(3, 2)), tensor_class([0, 1, 2]))
        (images, labels), (last, _) = DataLoader(data, batch_size=2)
        assert type(images) is type(labels) is type(last) is tensor_class
        assert images.numpy().tolist() == [[0, 1], [2, 3]] and labels.numpy().tolist() == [0, 1]
        assert last.numpy().tolist() == [[4, 5]]

    def test_numbers_beside_tensors_become_tensors(self, tensor_class: Any) -> None:
        images, (labels, names) = default_collate(
            [(tensor_class([1.0]), (3, "a")), (tensor_class([2.0]), (4, "b"))]
        )
        assert type(images) is type(labels) is tensor_class
        assert images.numpy().tolist() == [[1.0], [2.0]] and labels.numpy().tolist() == [3, 4]
        assert names == ["a", "b"]
        assert type(default_collate([{"x": tensor_class(1), "y": 2}])["y"]) is tensor_class
        assert type(default_collate([1, 2])) is np.ndarray

    def test_ragged_tensors_are_refused(self, tensor_class: Any) -> None:
        with pytest.raises(ShapeError, match=r"shape \(1,\) for the first .* and \(2,\) for sample 1"):
            default_collate([tensor_class([1.0]), tensor_class([1.0, 2.0])])


class TestTensors:
    def test_batches_of_tensors(self) -> None:
        create = pytest.importorskip("tilewright.autograd.create", reason="needs tilewright.Tensor")
        from tilewright.autograd.tensor import Tensor

        images, labels = create.tensor(np.arange(6, dtype=np.float32).reshape(3, 2)), create.tensor([0, 1, 2])
        fast = list(DataLoader(TensorDataset(images, labels), batch_size=2, shuffle=True, seed=4))
        slow = list(DataLoader([(images[i], i) for i in range(3)], batch_size=2, shuffle=True, seed=4))
        for batches in (fast, slow):
            for batch_images, batch_labels in batches:
                assert isinstance(batch_images, Tensor) and isinstance(batch_labels, Tensor)
                assert np.array_equal(batch_images.numpy()[:, 0], 2 * batch_labels.numpy())
        assert [b[1].numpy().tolist() for b in fast] == [b[1].numpy().tolist() for b in slow]
