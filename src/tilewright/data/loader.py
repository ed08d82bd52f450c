"""Batches from a data set, in an order that can be stopped anywhere and taken up again."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from tilewright.data.arrays import Dataset
from tilewright.data.collate import default_collate
from tilewright.data.order import as_seed, permutation, seed_from
from tilewright.errors import ArgumentError, StateError, describe


class DataLoader:
    """Iterate over a data set in batches; PyTorch's names, and an order that is a function of a seed.

    The order of epoch e depends on ``(seed, e)`` alone. Each ``for`` loop over the loader is one epoch;
    a loop begun anew after a ``break`` is the next one, as in PyTorch. A loader given the
    :meth:`state_dict` of another yields exactly the batches that the other had left in its epoch.

    Data sets that answer for many samples at once (``ArrayDataset``, ``TensorDataset`` and subsets of
    them) are indexed once per batch. NumPy data sets give NumPy arrays, data sets of Tensors give Tensors.

    Args:
        dataset: ``len(dataset)`` samples ``dataset[i]``.
        batch_size: samples per batch; the last batch of an epoch is smaller when they don't divide.
        shuffle: draw a new order each epoch; otherwise samples come as they lie.
        drop_last: leave out a smaller last batch.
        seed: what shuffling follows, 0 to 2**63 - 1. None: drawn from ``generator``.
        generator: an integer seed or a NumPy generator to draw one from (PyTorch's name); None: a fresh
            seed, readable as ``loader.seed``.
        collate_fn: makes a batch from a list of samples; default :func:`default_collate`.
        num_workers: accepted so that PyTorch code runs; batches are always made by the calling thread.
        pin_memory: accepted for the same reason; means nothing on a processor.

    Raises:
        ArgumentError: a value outside its rule, both ``seed`` and ``generator``, or a data set without
            ``len()`` and indexing.

    >>> from tilewright.data import ArrayDataset
    >>> loader = DataLoader(ArrayDataset(np.zeros((5, 2)), np.arange(5)), batch_size=2, shuffle=True, seed=1)
    >>> [images.shape for images, labels in loader]
    [(2, 2), (2, 2), (1, 2)]
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        drop_last: bool = False,
        seed: int | None = None,
        generator: int | np.random.Generator | None = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise ArgumentError(
                "DataLoader needs a data set with __len__ and __getitem__.", describe(dataset=dataset)
            )
        if seed is not None and generator is not None:
            raise ArgumentError(
                "DataLoader needs a seed or a generator, not both.", describe(seed=seed, generator=generator)
            )
        self.dataset = dataset
        self.batch_size = _positive_integer(batch_size)
        self.shuffle = bool(shuffle)
        self.drop_last = bool(drop_last)
        self.collate_fn = collate_fn
        if seed is None:
            self.seed = seed_from(generator, "generator", "DataLoader")
        else:
            self.seed = as_seed(seed, "seed", "DataLoader")
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self._epoch = 0
        self._position = 0  # batches of this epoch already handed out
        self._is_begun = False  # whether a loop over this epoch has begun
        self._pass = 0  # counts loops; only the newest moves the position

    def __len__(self) -> int:
        """Batches in a whole epoch."""
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (1 if rest and not self.drop_last else 0)

    @property
    def epoch(self) -> int:
        """The epoch being handed out, or about to be; counted from 0. Setting it starts that epoch afresh."""
        return self._epoch

    @epoch.setter
    def epoch(self, value: int) -> None:
        self._epoch = as_seed(value, "epoch", "DataLoader")
        self._position = 0
        self._is_begun = False
        self._pass += 1

    def __iter__(self) -> Iterator[Any]:
        """Begin the next epoch, or go on with one that :meth:`load_state_dict` brought."""
        if self._is_begun:
            self.epoch = self._epoch + 1
        self._is_begun = True
        self._pass += 1
        return self._batches(self._pass, self._epoch, self._position)

    def state_dict(self) -> dict[str, int | bool]:
        """Where the loader stands, as plain integers and truths (fit for JSON or TOML).

        Taken inside the loop's body, the batch in hand counts as handed out. After an epoch's last batch
        and still inside the loop, ``position`` is ``len(loader)``; a loader resumed there yields nothing
        more of that epoch, so that what follows the loop still happens once.

        >>> DataLoader([1, 2, 3], batch_size=2, seed=7).state_dict()["position"]
        0
        """
        return {"epoch": self._epoch, "position": self._position, **self._what_fixes_the_batches()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another loader over the same data stood; the next loop yields the rest of its epoch.

        Args:
            state: from :meth:`state_dict`. Its seed replaces this loader's.

        Raises:
            StateError: a key is missing; the batches would not be the same ones, because the data set's
                length, ``batch_size``, ``shuffle`` or ``drop_last`` differs; or the position lies past
                the epoch's end.
            ArgumentError: a number isn't an integer of 0 to 2**63 - 1.
        """
        here = self._what_fixes_the_batches()
        missing = [key for key in ("epoch", "position", *here) if key not in state]
        if missing:
            raise StateError(
                "DataLoader.load_state_dict needs a state that state_dict() made.", describe(missing=missing)
            )
        for key, value in here.items():
            if key != "seed" and state[key] != value:
                raise StateError(
                    f"DataLoader.load_state_dict needs a state of a loader with {key}={value!r}, "
                    "or the batches would not be the same.",
                    describe(**{key: state[key]}),
                )
        position = as_seed(state["position"], "position", "DataLoader.load_state_dict")
        if position > len(self):
            raise StateError(
                f"DataLoader.load_state_dict needs a position within the epoch's {len(self)} batches.",
                describe(position=position),
            )
        seed = as_seed(state["seed"], "seed", "DataLoader.load_state_dict")
        epoch = as_seed(state["epoch"], "epoch", "DataLoader.load_state_dict")
        self.seed = seed
        self.epoch = epoch
        self._position = position

    def _what_fixes_the_batches(self) -> dict[str, int | bool]:
        return {
            "seed": self.seed,
            "samples": len(self.dataset),
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
        }

    def _batches(self, this_pass: int, epoch: int, first: int) -> Iterator[Any]:
        total = len(self.dataset)
        order = permutation(total, self.seed, epoch) if self.shuffle else np.arange(total)
        for number in range(first, len(self)):
            start = number * self.batch_size
            batch = self._make_batch(order[start : start + self.batch_size])
            if this_pass == self._pass:
                self._position = number + 1
            yield batch
        if this_pass == self._pass:
            self.epoch = epoch + 1

    def _make_batch(self, indices: np.ndarray[Any, Any]) -> Any:
        take_batch = getattr(self.dataset, "take_batch", None)
        if take_batch is not None and self.collate_fn is None:
            return take_batch(indices)
        samples = [self.dataset[index] for index in indices.tolist()]
        return (self.collate_fn or default_collate)(samples)


def _positive_integer(batch_size: Any) -> int:
    try:
        value = operator.index(batch_size)
    except TypeError:
        value = 0
    if isinstance(batch_size, bool) or value < 1:
        raise ArgumentError(
            "DataLoader needs batch_size to be a positive integer.", describe(batch_size=batch_size)
        )
    return value
