"""Batches from a data set, in an order that can be stopped anywhere and taken up again."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import numpy as np

from tilewright.data.arrays import Dataset
from tilewright.data.checks import length_of
from tilewright.data.collate import default_collate
from tilewright.data.order import as_seed, permutation, seed_from
from tilewright.data.prefetch import in_order
from tilewright.errors import ArgumentError, StateError, describe
from tilewright.geometry.axes import as_flag

Array = np.ndarray[Any, Any]

# Samples that an exception's note names at most.
_MOST_NAMED = 8


class DataLoader:
    """Iterate over a data set in batches; PyTorch's names, and an order that is a function of a seed.

    The order of epoch e depends on ``(seed, e)`` alone. Each ``for`` loop over the loader is one epoch;
    a loop begun anew after a ``break`` is the next one, as in PyTorch. A loader given the
    :meth:`state_dict` of another yields exactly the batches that the other had left in its epoch.

    Data sets that answer for many samples at once (``ArrayDataset``, ``TensorDataset`` and subsets of
    them) are indexed once per batch. NumPy data sets give NumPy arrays, data sets of Tensors give Tensors.

    With ``num_workers`` threads make the next batches while the program works on one. Batches, their order
    and their bits are the same as without, as long as a sample is a function of its number (and of the epoch,
    as :class:`~tilewright.data.augment.Augmented` is); the data set is then indexed by several threads at
    once. An exception in the data set or in ``collate_fn`` comes when its batch's turn is there, with a note
    that names the sample.

    Args:
        dataset: ``len(dataset)`` samples ``dataset[i]``.
        batch_size: samples per batch; the last batch of an epoch is smaller when they don't divide.
        shuffle: draw a new order each epoch; otherwise samples come as they lie.
        drop_last: leave out a smaller last batch.
        seed: what shuffling follows, 0 to 2**63 - 1. None: drawn from ``generator``.
        generator: an integer seed or a NumPy generator to draw one from (PyTorch's name); None: a fresh
            seed, readable as ``loader.seed``.
        collate_fn: makes a batch from a list of samples; default :func:`default_collate`.
        sampler: says which samples an epoch has, in place of ``shuffle``:
            :class:`~tilewright.data.WeightedRandomSampler`, or an iterable of numbers with a length, read
            anew for each epoch (a resumed loader gives the same batches only if it gives the same numbers).
        num_workers: threads that make batches ahead; 0: the calling thread makes them when asked.
        prefetch_factor: batches ahead for each of these threads, ≥ 1; None: 2.
        pin_memory: accepted so that PyTorch code runs; means nothing on a processor.
        persistent_workers: accepted for the same reason; threads start in no time.

    Raises:
        ArgumentError: a value outside its rule, both ``seed`` and ``generator``, ``shuffle`` beside a
            ``sampler``, or a data set without ``len()`` and indexing.
        DtypeError: a flag that is neither True nor False.

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
        sampler: Any = None,
        num_workers: int = 0,
        prefetch_factor: int | None = None,
        pin_memory: bool = False,
        persistent_workers: bool = False,
    ) -> None:
        length_of(dataset, "DataLoader")
        shuffle = as_flag(shuffle, "shuffle", "DataLoader")
        if seed is not None and generator is not None:
            raise ArgumentError(
                "DataLoader needs a seed or a generator, not both.", describe(seed=seed, generator=generator)
            )
        if sampler is not None and (shuffle or not hasattr(sampler, "__len__")):
            raise ArgumentError(
                "DataLoader needs a sampler with __len__, and no shuffle beside it.",
                describe(sampler=sampler, shuffle=shuffle),
            )
        self.dataset = dataset
        self.batch_size = _integer(batch_size, "batch_size", 1)
        self.shuffle = shuffle
        self.sampler = sampler
        self.drop_last = as_flag(drop_last, "drop_last", "DataLoader")
        self.collate_fn = collate_fn
        if seed is None:
            self.seed = seed_from(generator, "generator", "DataLoader")
        else:
            self.seed = as_seed(seed, "seed", "DataLoader")
        self.num_workers = _integer(num_workers, "num_workers", 0)
        # PyTorch's 2 where it isn't given.
        self.prefetch_factor = _integer(
            2 if prefetch_factor is None else prefetch_factor, "prefetch_factor", 1
        )
        self.pin_memory = as_flag(pin_memory, "pin_memory", "DataLoader")
        self.persistent_workers = as_flag(persistent_workers, "persistent_workers", "DataLoader")
        self._epoch = 0
        self._position = 0  # batches of this epoch already handed out
        self._is_begun = False  # whether a loop over this epoch has begun
        self._pass = 0  # counts loops; only the newest moves the position

    def __len__(self) -> int:
        """Batches in a whole epoch."""
        samples = len(self.dataset) if self.sampler is None else len(self.sampler)
        whole, rest = divmod(samples, self.batch_size)
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

    def state_dict(self) -> dict[str, int | bool | str]:
        """Where the loader stands, as plain integers, truths and texts (fit for JSON or TOML).

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
                length, ``batch_size``, ``shuffle``, ``drop_last`` or the sampler differs; or the position
                lies past the epoch's end.
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

    def _what_fixes_the_batches(self) -> dict[str, int | bool | str]:
        found: dict[str, int | bool | str] = {
            "seed": self.seed,
            "samples": len(self.dataset),
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
        }
        if self.sampler is not None:
            said = getattr(self.sampler, "fingerprint", lambda: f"{len(self.sampler)} numbers")
            found["sampler"] = f"{type(self.sampler).__name__}: {said()}"
        return found

    def _batches(self, this_pass: int, epoch: int, first: int) -> Iterator[Any]:
        order = self._order(epoch)
        at_epoch = getattr(self.dataset, "at_epoch", None)
        dataset = self.dataset if at_epoch is None else at_epoch(epoch)
        end = len(self)

        def make(number: int, is_over: Callable[[], bool] = _never) -> Any:
            start = number * self.batch_size
            place = f"batch {number} of epoch {epoch}"
            return self._make_batch(dataset, order[start : start + self.batch_size], place, is_over)

        batches: Generator[Any, None, None] = (make(number) for number in range(first, end))
        if self.num_workers and first < end:
            ahead = self.num_workers * self.prefetch_factor
            batches = in_order(make, first, end, self.num_workers, ahead)
        # Threads must be gone when this iterator is, and not when the garbage collector comes to them.
        with contextlib.closing(batches):
            for number, batch in enumerate(batches, first):
                if this_pass == self._pass:
                    self._position = number + 1
                yield batch
        if this_pass == self._pass:
            self.epoch = epoch + 1

    def _order(self, epoch: int) -> Array:
        """The numbers of the samples of an epoch, in their order."""
        total = len(self.dataset)
        if self.sampler is None:
            return permutation(total, self.seed, epoch) if self.shuffle else np.arange(total)
        if hasattr(self.sampler, "order"):
            found = np.asarray(self.sampler.order(epoch, self.seed))
        else:
            try:
                found = np.array([operator.index(number) for number in self.sampler], dtype=np.int64)
            except (TypeError, OverflowError) as error:
                raise ArgumentError(
                    "DataLoader needs a sampler that gives integers.", describe(sampler=self.sampler)
                ) from error
        if len(found) != len(self.sampler) or (found.size and not (found.min() >= 0 and found.max() < total)):
            raise ArgumentError(
                "DataLoader needs a sampler that gives as many numbers as its length says, "
                f"from 0 to {total - 1}.",
                f"{len(found)} numbers, where its length is {len(self.sampler)}"
                + (f", from {found.min()} to {found.max()}" if found.size else ""),
            )
        return found

    def _make_batch(self, dataset: Any, indices: Array, place: str, is_over: Callable[[], bool]) -> Any:
        take_batch = getattr(dataset, "take_batch", None)
        # What is at work, for the note: a sample while one is asked for, else all of them.
        at = ", ".join(map(str, indices[:_MOST_NAMED])) + (", …" if len(indices) > _MOST_NAMED else "")
        culprit = f"samples {at}"
        try:
            if take_batch is not None and self.collate_fn is None:
                return take_batch(indices)
            samples = []
            for index in indices.tolist():
                if is_over():
                    return None
                culprit = f"sample {index}"
                samples.append(dataset[index])
            culprit = f"samples {at}"
            return (self.collate_fn or default_collate)(samples)
        except Exception as error:
            error.add_note(f"DataLoader was making {place}, with {culprit} of the data set.")
            raise


def _never() -> bool:
    return False


def _integer(value: Any, name: str, least: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least:
        kind = "a positive integer" if least == 1 else "an integer of at least 0"
        raise ArgumentError(f"DataLoader needs {name} to be {kind}.", describe(**{name: value}))
    return number
