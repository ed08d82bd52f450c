"""Which samples an epoch visits, where that isn't each of them once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tilewright.data.draws import Purpose
from tilewright.data.order import as_seed, seed_from
from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.geometry.axes import as_flag

Array = np.ndarray[Any, Any]


class WeightedRandomSampler:
    """Samples drawn with given weights, as PyTorch's class of that name: rare classes can come up as often.

    In a :class:`~tilewright.data.DataLoader` (``sampler=``) an epoch's draws are a function of the loader's
    seed (or the sampler's own, if it was given one) and the epoch, so they can be taken up again.

    Args:
        weights: (samples,) numbers ≥ 0, of which one at least is above 0; they needn't add up to 1.
        num_samples: draws in an epoch, ≥ 1.
        replacement: whether a sample may be drawn again; without, the weights say which come first.
        generator: a seed of its own, or a NumPy generator to draw one from; None: the loader's.

    Raises:
        ShapeError: the weights aren't of rank 1.
        DtypeError: they aren't numbers, or ``replacement`` isn't True or False.
        ArgumentError: a weight is negative or not finite, none is above 0, or there are fewer samples of a
            weight above 0 than draws without replacement.

    >>> sampler = WeightedRandomSampler([0.0, 1.0, 3.0], num_samples=4000, generator=0)
    >>> np.bincount(sampler.order(epoch=0))
    array([   0, 1004, 2996])
    """

    def __init__(
        self,
        weights: Sequence[float] | Array,
        num_samples: int,
        replacement: bool = True,
        generator: int | np.random.Generator | None = None,
    ) -> None:
        op = "WeightedRandomSampler"
        self.weights = _checked_weights(weights, op)
        is_whole = isinstance(num_samples, (int, np.integer)) and not isinstance(num_samples, bool)
        if not is_whole or num_samples < 1:
            raise ArgumentError(
                f"{op} needs num_samples to be a positive integer.", describe(num_samples=num_samples)
            )
        self.replacement = as_flag(replacement, "replacement", op)
        possible = int(np.count_nonzero(self.weights))
        if not self.replacement and num_samples > possible:
            raise ArgumentError(
                f"{op} without replacement needs at most as many draws as samples of a weight above 0.",
                f"num_samples={num_samples}, and {possible} such samples",
            )
        self.num_samples = int(num_samples)
        self.seed = None if generator is None else seed_from(generator, "generator", op)
        self._passes = 0

    def __len__(self) -> int:
        """Draws in an epoch."""
        return self.num_samples

    def __iter__(self) -> Iterator[int]:
        """The draws of the next epoch, when the sampler is used by itself."""
        if self.seed is None:
            self.seed = seed_from(None, "generator", "WeightedRandomSampler")
        drawn = self.order(self._passes)
        self._passes += 1
        return iter(drawn.tolist())

    def order(self, epoch: int, seed: int = 0) -> Array:
        """The numbers (num_samples,) of the samples of an epoch, int64.

        Args:
            epoch: which one, from 0.
            seed: what the draws follow if the sampler has no seed of its own.

        Raises:
            ArgumentError: a number outside 0 to 2**63 - 1.
        """
        op = "WeightedRandomSampler.order"
        own = as_seed(seed, "seed", op) if self.seed is None else self.seed
        key = np.array([own, as_seed(epoch, "epoch", op)], dtype=np.uint64)
        # The words of a bit generator are the same under every NumPy version (see `order`).
        philox = np.random.Philox(key=key, counter=np.array([0, 0, 0, Purpose.PICK], dtype=np.uint64))
        count = self.num_samples if self.replacement else len(self.weights)
        # Above 0 and below 1, so that neither a sample of weight 0 is found nor the logarithm infinite.
        drawn = ((philox.random_raw(count) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
        if self.replacement:
            ends = np.cumsum(self.weights)
            found: Array = np.searchsorted(ends, drawn * ends[-1], side="left").astype(np.int64)
            return found
        # The largest of u^(1/w): Efraimidis and Spirakis, "Weighted random sampling with a reservoir" (2006).
        with np.errstate(divide="ignore"):
            keys = np.log(drawn) / self.weights
        return np.argsort(-keys, kind="stable")[: self.num_samples].astype(np.int64)

    def fingerprint(self) -> str:
        """What fixes the draws beside a loader's seed, for its state."""
        digest = hashlib.sha256(self.weights.tobytes()).hexdigest()[:16]
        how = "with" if self.replacement else "without"
        return f"{self.num_samples} draws {how} replacement, seed {self.seed}, weights {digest}"

    def __repr__(self) -> str:
        return f"WeightedRandomSampler({self.fingerprint()})"


def _checked_weights(weights: Any, op: str) -> Array:
    try:
        found = np.asarray(weights)
    except ValueError:  # a ragged list
        found = np.empty(0, object)
    if found.dtype.kind not in "fiub":
        raise DtypeError(f"{op} needs weights as numbers.", describe(weights=weights))
    if found.ndim != 1:
        raise ShapeError(f"{op} needs one weight per sample, an array of rank 1.", describe(weights=found))
    values = found.astype(np.float64)
    if not (np.isfinite(values) & (values >= 0)).all() or not values.any():
        raise ArgumentError(
            f"{op} needs finite weights of at least 0, one of them above 0.", describe(weights=weights)
        )
    # Shares of the largest: a sum of weights near the largest float must not become infinite.
    return np.asarray(values / values.max())
