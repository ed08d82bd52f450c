"""Data sets: something with a length whose items are samples; PyTorch's names for those held in memory."""

from __future__ import annotations

import copy
import math
import operator
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from tilewright.data.checks import as_list, length_of
from tilewright.data.order import permutation, seed_from
from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe

Array = np.ndarray[Any, Any]
SampleT_co = TypeVar("SampleT_co", covariant=True)


@runtime_checkable
class Dataset(Protocol[SampleT_co]):
    """Samples by number. Anything with these two methods is one; subclassing is optional.

    A data set that can answer for many samples at once may add ``take_batch(indices)``, which returns
    what collating the samples ``[self[i] for i in indices]`` would; the loader then asks once per batch. One
    whose samples differ from epoch to epoch may add ``at_epoch(epoch)``, which returns the data set of that
    epoch and leaves this one as it is; the loader asks once per epoch.

    >>> class Squares(Dataset[int]):
    ...     def __len__(self) -> int:
    ...         return 3
    ...     def __getitem__(self, index: int) -> int:
    ...         return index * index
    >>> isinstance(Squares(), Dataset)
    True
    """

    @abstractmethod
    def __len__(self) -> int:
        """How many samples there are."""
        ...

    @abstractmethod
    def __getitem__(self, index: int, /) -> SampleT_co:
        """The sample of that number, counted from 0."""
        ...


class Standardise:
    """A transform: pixels to float32 with mean 0 and standard deviation 1 over the training images.

    uint8 pixels are first divided by 255; floating pixels are taken to lie in 0..1 already. Each pixel is
    worked on alone, so a sample comes out the same bits in any batch.

    Args:
        mean: mean of the training pixels in 0..1.
        std: their standard deviation, more than 0.

    Raises:
        ArgumentError: a number isn't finite, or ``std`` isn't positive.
        DtypeError: (when called) the pixels are neither uint8 nor floating.

    >>> Standardise(0.5, 0.25)(np.array([0, 255], np.uint8))
    array([-2.,  2.], dtype=float32)
    """

    def __init__(self, mean: float, std: float) -> None:
        # Of std, what float32 keeps counts: 1e-50 would be a division by zero.
        try:
            single = np.ndim(mean) == np.ndim(std) == 0  # NumPy before 2.4 takes arrays of one number for it
            fits = single and math.isfinite(mean) and math.isfinite(std) and bool(np.float32(std) > 0)
        except (TypeError, ValueError, OverflowError):  # no numbers, or integers that no float holds
            fits = False
        if not fits:
            raise ArgumentError(
                "Standardise needs a finite mean and a finite, positive std.", describe(mean=mean, std=std)
            )
        self.mean = float(mean)
        self.std = float(std)

    def __call__(self, images: Array) -> Array:
        """Standardised float32 copy of ``images``, of the same shape."""
        if images.dtype == np.uint8:
            pixels = np.divide(images, np.float32(255), dtype=np.float32)
        elif np.issubdtype(images.dtype, np.floating):
            pixels = images.astype(np.float32)
        else:
            raise DtypeError("Standardise needs uint8 or floating pixels.", describe(images=images))
        pixels -= np.float32(self.mean)
        pixels /= np.float32(self.std)
        return pixels

    def __repr__(self) -> str:
        return f"Standardise(mean={self.mean:.6g}, std={self.std:.6g})"


class ArrayDataset(Dataset[tuple[Array, Any]]):
    """Images and labels held as NumPy arrays, converted only when asked for.

    Args:
        images: (samples, …), of any dtype; kept as it came, not copied (MNIST stays 47 MB of uint8).
        labels: (samples, …).
        transform: turns an array of images (k, …) into what the network takes, (k, …); called with a
            batch, or with one image as a batch of one. None: images come out as they are.

    Raises:
        ShapeError: an array has no sample axis, or the two differ in length.

    >>> data = ArrayDataset(np.zeros((10, 1, 28, 28), np.uint8), np.arange(10), Standardise(0.1, 0.3))
    >>> image, label = data[3]
    >>> image.shape, image.dtype.name, int(label)
    ((1, 28, 28), 'float32', 3)
    """

    def __init__(
        self, images: Array, labels: Array, transform: Callable[[Array], Array] | None = None
    ) -> None:
        images, labels = np.asarray(images), np.asarray(labels)
        if images.ndim == 0 or labels.ndim == 0 or len(images) != len(labels):
            raise ShapeError(
                "ArrayDataset needs as many images as labels, along the first axis of each.",
                describe(images=images, labels=labels),
            )
        self.images = images
        self.labels = labels
        self.transform = transform

    def __len__(self) -> int:
        """How many samples there are."""
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Array, Any]:
        """Image (…) and label of one sample; a negative number counts from the end, as in a list."""
        images, labels = self.take_batch(np.array([sample_number(index, len(self), "ArrayDataset")]))
        return images[0], labels[0]

    def without_transform(self) -> ArrayDataset:
        """The same samples with images as they lie; the arrays are shared."""
        return ArrayDataset(self.images, self.labels)

    def take_batch(self, indices: Array) -> tuple[Array, Array]:
        """Images (k, …) and labels (k, …) of the samples ``indices`` (k,), both copies."""
        images = self.images[indices]
        return (images if self.transform is None else self.transform(images)), self.labels[indices]


class TensorDataset(Dataset[tuple[Any, ...]]):
    """Tensors (or NumPy arrays) indexed together along their first axis: sample i is ``(a[i], b[i], …)``.

    Args:
        tensors: at least one, all of one length.

    Raises:
        ArgumentError: none was given.
        DtypeError: one is neither a Tensor nor an array.
        ShapeError: one has no axes, or the lengths differ.

    >>> TensorDataset(np.arange(6).reshape(3, 2), np.arange(3))[1]
    (array([2, 3]), np.int64(1))
    """

    def __init__(self, *tensors: Any) -> None:
        if not tensors:
            raise ArgumentError("TensorDataset needs at least one tensor.", "none")
        for tensor in tensors:
            if isinstance(tensor, type) or not isinstance(getattr(tensor, "shape", None), tuple):
                raise DtypeError("TensorDataset needs Tensors or NumPy arrays.", describe(tensors=tensor))
        shapes = [tuple(tensor.shape) for tensor in tensors]
        if not all(shapes) or len({shape[0] for shape in shapes}) > 1:
            raise ShapeError(
                "TensorDataset needs tensors of one length along their first axis.", describe(shapes=shapes)
            )
        self.tensors = tensors

    def __len__(self) -> int:
        """How many samples there are."""
        return int(self.tensors[0].shape[0])

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Item ``index`` of every tensor."""
        number = sample_number(index, len(self), "TensorDataset")
        return tuple(tensor[number] for tensor in self.tensors)

    def take_batch(self, indices: Array) -> tuple[Any, ...]:
        """Items ``indices`` (k,) of every tensor, k along the first axis."""
        return tuple(tensor[indices] for tensor in self.tensors)


class Subset(Dataset[SampleT_co]):
    """Some samples of another data set, in a given order.

    Args:
        dataset: where the samples are.
        indices: their numbers there; negative ones count from the end.

    Raises:
        ArgumentError: no data set, no list, or a number that isn't an integer or lies outside the data set.

    >>> Subset(["a", "b", "c"], [2, 0])[0]
    'c'
    """

    def __init__(self, dataset: Dataset[SampleT_co], indices: Sequence[int] | Array) -> None:
        self.dataset = dataset
        length = length_of(dataset, "Subset")
        listed = as_list(indices, "indices", "numbers", "Subset")
        numbers = [sample_number(index, length, "Subset") for index in listed]
        self.indices: Array = np.array(numbers, dtype=np.int64)
        self._offer_the_same()

    def __len__(self) -> int:
        """How many samples the subset holds."""
        return len(self.indices)

    def __getitem__(self, index: int) -> SampleT_co:
        """Sample ``indices[index]`` of the data set."""
        return self.dataset[int(self.indices[sample_number(index, len(self), "Subset")])]

    def over(self, dataset: Dataset[SampleT_co]) -> Subset[SampleT_co]:
        """The same numbers out of another form of the data set (of as many samples)."""
        found = copy.copy(self)
        found.dataset = dataset
        found._offer_the_same()
        return found

    def _offer_the_same(self) -> None:
        # Attributes and not methods, so that a subset offers exactly what its data set does. (A copy must not
        # keep those of the subset that it is a copy of.)
        for name, offer in (("take_batch", self._take_batch), ("at_epoch", self._at_epoch)):
            vars(self).pop(name, None)
            if hasattr(self.dataset, name):
                setattr(self, name, offer)
        vars(self).pop("labels", None)
        labels = getattr(self.dataset, "labels", None)
        if isinstance(labels, np.ndarray) and len(labels) == len(self.dataset):
            self.labels = labels[self.indices]

    def _take_batch(self, indices: Array) -> Any:
        return self.dataset.take_batch(self.indices[indices])  # type: ignore[attr-defined]

    def _at_epoch(self, epoch: int) -> Subset[SampleT_co]:
        return self.over(self.dataset.at_epoch(epoch))  # type: ignore[attr-defined]


def random_split(
    dataset: Dataset[SampleT_co],
    lengths: Sequence[int] | Sequence[float],
    generator: int | np.random.Generator | None = None,
) -> list[Subset[SampleT_co]]:
    """Split a data set into disjoint random parts, as PyTorch's function of that name does.

    Args:
        dataset: what to split.
        lengths: whole numbers that add up to ``len(dataset)``; or fractions that add up to 1, rounded
            down, the samples left over going one each to the first parts.
        generator: a seed, a NumPy generator, or None for a fresh seed. The same seed gives the same split.

    Returns:
        One :class:`Subset` per length, in order.

    Raises:
        ArgumentError: a length is negative, or they don't add up.

    >>> [len(part) for part in random_split(range(10), [0.8, 0.2], generator=0)]
    [8, 2]
    """
    total = length_of(dataset, "random_split")
    counts = split_counts(lengths, total, "random_split")
    order = permutation(total, seed_from(generator, "generator", "random_split"), stream=0)
    ends = np.cumsum(counts, dtype=np.int64)
    return [Subset(dataset, order[end - count : end]) for count, end in zip(counts, ends, strict=True)]


def split_counts(lengths: Any, total: int, op: str) -> list[int]:
    """The sizes of parts that ``lengths``, whole numbers or fractions, ask for.

    Raises:
        ArgumentError: they aren't numbers, one is negative, or they don't add up.
    """
    try:
        lengths = [length + 0 for length in lengths]
        if any(map(np.ndim, lengths)):
            raise TypeError("an array in place of a number")  # which NumPy before 2.4 may take for one
        total_asked = math.fsum(lengths)
    except (TypeError, ValueError, OverflowError):  # fsum's ValueError: infinities of both signs
        raise ArgumentError(
            f"{op} needs lengths to be a list of numbers.", describe(lengths=lengths)
        ) from None
    # Sixteen rounding errors of 1 are room for any sum of decimal fractions a person would write.
    fractions_fit = math.isclose(total_asked, 1.0, rel_tol=0.0, abs_tol=16 * np.finfo(np.float64).eps)
    if min(lengths, default=0) >= 0:
        if fractions_fit:
            counts = [math.floor(total * length) for length in lengths]
            for place in range(total - sum(counts)):
                counts[place % len(counts)] += 1
            return counts
        if all(length % 1 == 0 for length in lengths) and sum(lengths) == total:
            return [int(length) for length in lengths]
    raise ArgumentError(
        f"{op} needs lengths of 0 or more that add up to the data set's {total} samples, "
        "or fractions that add up to 1.",
        describe(lengths=list(lengths)),
    )


def sample_number(index: Any, length: int, owner: str) -> int:
    """A sample's number as 0 … length - 1. IndexError past the end, which is how ``for`` finds the end."""
    try:
        number = operator.index(index)
    except TypeError as error:
        raise ArgumentError(f"{owner} needs an integer to pick a sample.", describe(index=index)) from error
    if not -length <= number < length:
        raise SampleIndexError(
            f"{owner} needs a sample's number within its {length} samples.", describe(index=number)
        )
    return number % length


class SampleIndexError(ArgumentError, IndexError):
    """A sample's number lies outside the data set (also an IndexError, so plain ``for`` loops end)."""
