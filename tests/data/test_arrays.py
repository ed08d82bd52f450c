from __future__ import annotations

import numpy as np
import pytest

from tilewright.data import (
    ArrayDataset,
    Dataset,
    SampleIndexError,
    Standardise,
    Subset,
    TensorDataset,
    random_split,
)
from tilewright.data.order import as_seed, permutation, seed_from
from tilewright.errors import ArgumentError, DtypeError, ShapeError


def pixels(samples: int = 6) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (samples, 1, 4, 5), dtype=np.uint8)


class TestStandardise:
    def test_by_hand(self) -> None:
        out = Standardise(0.2, 0.5)(np.array([0, 51, 255], np.uint8))
        assert out.dtype == np.float32
        # (0 - 0.2)/0.5, (0.2 - 0.2)/0.5, (1 - 0.2)/0.5; three roundings of float32, at most 2⁻²⁴ of ~1 each.
        assert np.abs(out - [-0.4, 0.0, 1.6]).max() <= 4 * 2.0**-24

    def test_bytes_and_the_floats_they_stand_for_give_the_same_bits(self) -> None:
        levels = np.arange(256, dtype=np.uint8)
        transform = Standardise(0.1307, 0.3081)
        floats = np.divide(levels, np.float32(255), dtype=np.float32)
        assert np.array_equal(transform(levels), transform(floats))

    def test_leaves_its_input_alone(self) -> None:
        floats = np.linspace(0, 1, 5, dtype=np.float32)
        before = floats.copy()
        Standardise(0.5, 0.5)(floats)
        assert np.array_equal(floats, before)

    @pytest.mark.parametrize(
        ("mean", "std"), [(0.0, 0.0), (0.0, -1.0), (float("nan"), 1.0), (0.0, float("inf"))]
    )
    def test_refuses_numbers_that_cannot_be_statistics(self, mean: float, std: float) -> None:
        with pytest.raises(ArgumentError) as caught:
            Standardise(mean, std)
        assert str(caught.value) == (
            f"Standardise needs a finite mean and a finite, positive std. Received: mean={mean}, std={std}."
        )

    def test_refuses_an_array_of_one_number(self) -> None:
        with pytest.raises(ArgumentError, match=r"Received: mean with shape \(1,\) and dtype float64, std=1"):
            Standardise(np.zeros(1), 1.0)  # type: ignore[arg-type]

    def test_refuses_a_std_that_float32_rounds_to_zero(self) -> None:
        with pytest.raises(ArgumentError, match=r"Received: mean=0.0, std=1e-50"):
            Standardise(0.0, 1e-50)

    def test_refuses_integers_whose_range_is_unknown(self) -> None:
        with pytest.raises(
            DtypeError, match=r"needs uint8 or floating pixels. Received: images .* dtype int16"
        ):
            Standardise(0.0, 1.0)(np.zeros(3, np.int16))

    def test_repr(self) -> None:
        assert repr(Standardise(0.25, 0.5)) == "Standardise(mean=0.25, std=0.5)"


class TestArrayDataset:
    def test_items_with_and_without_a_transform(self) -> None:
        images, labels = pixels(), np.arange(6)
        plain, shifted = ArrayDataset(images, labels), ArrayDataset(images, labels, Standardise(0.5, 0.25))
        assert np.array_equal(plain[2][0], images[2]) and plain[2][1] == 2
        assert np.array_equal(shifted[-1][0], Standardise(0.5, 0.25)(images[5])) and shifted[-1][1] == 5
        assert len(plain) == 6 and isinstance(plain, Dataset)

    def test_one_sample_has_the_same_bits_as_in_a_batch(self) -> None:
        data = ArrayDataset(pixels(), np.arange(6), Standardise(0.1307, 0.3081))
        batch, labels = data.take_batch(np.array([4, 0, 4]))
        assert labels.tolist() == [4, 0, 4]
        for place, number in enumerate((4, 0, 4)):
            assert np.array_equal(batch[place], data[number][0])

    def test_images_are_kept_and_handed_out_as_copies(self) -> None:
        images = pixels()
        data = ArrayDataset(images, np.arange(6))
        assert data.images is images
        data[0][0][:] = 0
        data.take_batch(np.arange(2))[0][:] = 0
        assert np.array_equal(images, pixels())

    def test_read_only_and_reversed_arrays_work(self) -> None:
        images = pixels()[::-1]
        images.flags.writeable = False
        assert np.array_equal(ArrayDataset(images, np.arange(6))[0][0], images[0])

    @pytest.mark.parametrize(("images", "labels"), [((6, 2), (5,)), ((), ()), ((3,), ())])
    def test_refuses_lengths_that_differ(self, images: tuple[int, ...], labels: tuple[int, ...]) -> None:
        with pytest.raises(ShapeError) as caught:
            ArrayDataset(np.zeros(images), np.zeros(labels))
        assert str(caught.value) == (
            "ArrayDataset needs as many images as labels, along the first axis of each. "
            f"Received: images with shape {images} and dtype float64, "
            f"labels with shape {labels} and dtype float64."
        )

    def test_ends_a_for_loop_and_refuses_numbers_outside(self) -> None:
        data = ArrayDataset(np.zeros(3), np.arange(3))
        assert [int(label) for _, label in data] == [0, 1, 2]  # type: ignore[attr-defined]
        with pytest.raises(SampleIndexError) as caught:
            data[3]
        assert str(caught.value) == (
            "ArrayDataset needs a sample's number within its 3 samples. Received: index=3."
        )
        assert isinstance(caught.value, IndexError) and isinstance(caught.value, ArgumentError)
        with pytest.raises(ArgumentError, match=r"needs an integer to pick a sample. Received: index='a'"):
            data["a"]  # type: ignore[index]


class TestTensorDataset:
    def test_indexes_all_together(self) -> None:
        first, second = np.arange(8).reshape(4, 2), np.arange(4) * 10
        data = TensorDataset(first, second)
        assert len(data) == 4
        assert data[-1][0].tolist() == [6, 7] and data[-1][1] == 30
        batch = data.take_batch(np.array([2, 1]))
        assert isinstance(batch, tuple)
        assert batch[0].tolist() == [[4, 5], [2, 3]] and batch[1].tolist() == [20, 10]

    def test_refusals(self) -> None:
        with pytest.raises(ArgumentError) as none:
            TensorDataset()
        assert str(none.value) == "TensorDataset needs at least one tensor. Received: none."
        for second in (np.zeros(3), np.zeros(())):
            with pytest.raises(ShapeError) as caught:
                TensorDataset(np.zeros((4, 2)), second)
            assert str(caught.value) == (
                "TensorDataset needs tensors of one length along their first axis. "
                f"Received: shapes=[(4, 2), {second.shape}]."
            )
        with pytest.raises(SampleIndexError, match=r"within its 2 samples. Received: index=2"):
            TensorDataset(np.zeros(2))[2]


class SequenceOf:
    """The least that a data set is."""

    def __init__(self, samples: str) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> str:
        return self.samples[index]


class TestSubset:
    def test_picks_in_the_given_order(self) -> None:
        subset = Subset(["a", "b", "c"], [2, -3, 2])
        assert [subset[i] for i in range(len(subset))] == ["c", "a", "c"]
        assert subset.indices.tolist() == [2, 0, 2]
        assert not hasattr(subset, "take_batch")

    def test_a_subset_of_a_subset_keeps_the_fast_path(self) -> None:
        whole = ArrayDataset(np.arange(10), np.arange(10) * 10)
        inner = Subset(Subset(whole, [9, 8, 7, 6]), np.array([3, 1]))
        images, labels = inner.take_batch(np.array([1, 0]))
        assert images.tolist() == [8, 6] and labels.tolist() == [80, 60]

    def test_refuses_numbers_outside(self) -> None:
        with pytest.raises(
            ArgumentError, match=r"Subset needs a sample's number within its 3 samples. Received: index=3"
        ):
            Subset(SequenceOf("abc"), [0, 3])
        with pytest.raises(
            ArgumentError, match=r"Subset needs an integer to pick a sample. Received: index=0.5"
        ):
            Subset(SequenceOf("abc"), [0.5])  # type: ignore[list-item]
        with pytest.raises(IndexError, match=r"within its 1 samples"):
            Subset(SequenceOf("abc"), [0])[1]  # type: ignore[arg-type]


class TestRandomSplit:
    # The counts are those that PyTorch's random_split gives for the same lengths.
    @pytest.mark.parametrize(
        ("total", "lengths", "counts"),
        [
            (10, [7, 3], [7, 3]),
            (10, [10, 0], [10, 0]),
            (10, [0.3, 0.3, 0.4], [3, 3, 4]),
            (10, [1 / 3, 1 / 3, 1 / 3], [4, 3, 3]),
            (100, [0.71, 0.29], [72, 28]),
            (11, [0.5, 0.25, 0.25], [6, 3, 2]),
            (1, [1, 0], [1, 0]),
            (1, [0, 1], [0, 1]),
            (7, [1], [7]),
            (0, [0.5, 0.5], [0, 0]),
        ],
    )
    def test_counts(self, total: int, lengths: list[float], counts: list[int]) -> None:
        parts = random_split(range(total), lengths, generator=1)
        assert [len(part) for part in parts] == counts
        together = sorted(part[i] for part in parts for i in range(len(part)))
        assert together == list(range(total))

    @pytest.mark.filterwarnings("ignore:Length of split at index:UserWarning")
    def test_counts_are_pytorchs(self) -> None:
        data = pytest.importorskip("torch.utils.data", reason="compares with PyTorch's random_split")
        rng = np.random.default_rng(8)
        for _ in range(50):
            total = int(rng.integers(1, 200))
            lengths = rng.dirichlet(np.ones(rng.integers(1, 5))).round(3)
            lengths[0] += 1 - lengths.sum()
            if lengths.min() < 0 or not lengths.sum() <= 1:
                continue
            ours = random_split(range(total), lengths.tolist(), generator=0)
            theirs = data.random_split(range(total), lengths.tolist())
            assert [len(part) for part in ours] == [len(part) for part in theirs]

    def test_follows_its_seed(self) -> None:
        def split(generator: int | np.random.Generator | None) -> list[int]:
            return random_split(range(40), [20, 20], generator)[0].indices.tolist()

        assert split(3) == split(3) != split(4)
        assert split(np.random.default_rng(1)) == split(np.random.default_rng(1))
        assert sorted(split(None)) != split(None)  # 20! orders: a sorted one never comes

    @pytest.mark.parametrize("lengths", [[5, 4], [11, -1], [0.5, 0.4], [], [2.5, 7.5]])
    def test_refuses_lengths_that_do_not_add_up(self, lengths: list[float]) -> None:
        with pytest.raises(ArgumentError) as caught:
            random_split(range(10), lengths)
        assert str(caught.value) == (
            "random_split needs lengths of 0 or more that add up to the data set's 10 samples, "
            f"or fractions that add up to 1. Received: lengths={lengths}."
        )


class TestOrder:
    def test_the_orders_are_pinned(self) -> None:
        # Philox4x64-10's words are the same everywhere, so these must never change.
        assert permutation(8, seed=0, stream=0).tolist() == PINNED[0, 0]
        assert permutation(8, seed=2**63 - 1, stream=5).tolist() == PINNED[2**63 - 1, 5]

    def test_is_a_permutation_that_depends_on_both_numbers(self) -> None:
        orders = {
            (seed, stream): permutation(50, seed, stream).tolist() for seed in range(3) for stream in range(3)
        }
        assert all(sorted(order) == list(range(50)) for order in orders.values())
        assert len({tuple(order) for order in orders.values()}) == 9

    def test_every_place_is_as_likely(self) -> None:
        firsts = [permutation(5, 0, stream)[0] for stream in range(5000)]
        # 1000 expected in each, with a deviation of √(5000·0.2·0.8) = 28; five of those are allowed.
        assert np.abs(np.bincount(firsts, minlength=5) - 1000).max() < 5 * 28.3

    @pytest.mark.parametrize("value", [-1, 2**63, 1.5, "1", True, None])
    def test_refuses_other_seeds(self, value: object) -> None:
        with pytest.raises(ArgumentError) as caught:
            as_seed(value, "seed", "shuffling")
        assert str(caught.value) == (
            f"shuffling needs seed to be an integer from 0 to 2**63 - 1. Received: seed={value!r}."
        )

    def test_seeds_from_generators(self) -> None:
        generator = np.random.default_rng(0)
        assert seed_from(generator, "generator", "x") != seed_from(generator, "generator", "x")
        assert seed_from(None, "generator", "x") != seed_from(None, "generator", "x")
        assert seed_from(np.int64(7), "generator", "x") == 7


PINNED = {
    (0, 0): [0, 2, 1, 5, 4, 3, 6, 7],
    (2**63 - 1, 5): [5, 3, 6, 1, 7, 0, 2, 4],
}
