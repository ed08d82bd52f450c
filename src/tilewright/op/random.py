"""Random numbers: one seeded, counter-based stream that can be saved and continued bit for bit.

The stream is Philox 4×64 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, DtypeError, describe
from tilewright.kernel import buffers
from tilewright.op.kinds import is_bfloat16, real_of, sum_dtype
from tilewright.op.memory import BLOCK

Array = npt.NDArray[Any]

# The entries of a Philox state under NumPy's names: how many words of 64 bits, and the largest number.
_LISTS = {"counter": 4, "key": 2, "buffer": 4}
_NUMBERS = {"buffer_pos": 4, "has_uint32": 1, "uinteger": 2**32 - 1}


class Generator:
    """A stream of random numbers.

    Args:
        seed: an int; the same seed gives the same numbers. By default one is drawn from the system.
        device: accepted as PyTorch does; only "cpu".

    Example:
        >>> Generator(7).uniform((2,), np.float32).dtype
        dtype('float32')
    """

    def __init__(self, seed: int | None = None, device: Any = "cpu") -> None:
        # PyTorch's Generator takes the device as its first argument.
        if isinstance(seed, str) or str(device) != "cpu":
            device, seed = (seed, None) if isinstance(seed, str) else (device, seed)
            if str(device) != "cpu":
                raise ArgumentError(
                    "Generator draws on the processor: its device is 'cpu'.", describe(device=device)
                )
        self.device = device
        if seed is None:
            self.seed()
        else:
            self.manual_seed(seed)

    def __repr__(self) -> str:
        return f"Generator(seed={self._seed})"

    def manual_seed(self, seed: int) -> Generator:
        """Start anew from ``seed``; returns the generator.

        Raises:
            DtypeError: the seed is not an int.
        """
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise DtypeError("manual_seed needs an int.", describe(seed=seed))
        self._seed = int(seed)
        # NumPy wants no negative seed; modulo 2^64, as PyTorch reads it.
        self._bits = np.random.Philox(self._seed % 2**64)
        self.numpy = np.random.Generator(self._bits)
        return self

    def seed(self) -> int:
        """Start anew from a seed that the system draws; returns it."""
        self.manual_seed(int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> np.uint64(1)))
        return self._seed

    def initial_seed(self) -> int:
        """The seed that the stream started from."""
        return self._seed

    def get_state(self) -> dict[str, Any]:
        """Where the stream stands, as ints and lists of ints: ready for JSON or a file's metadata."""
        state: Any = self._bits.state
        return {
            "seed": self._seed,
            "counter": [int(word) for word in state["state"]["counter"]],
            "key": [int(word) for word in state["state"]["key"]],
            "buffer": [int(word) for word in state["buffer"]],
            **{name: int(state[name]) for name in _NUMBERS},
        }

    def set_state(self, state: Mapping[str, Any]) -> Generator:
        """Continue bit for bit where :meth:`get_state` was called.

        Raises:
            ArgumentError: ``state`` is not what :meth:`get_state` gives.
        """
        whole = _checked_state(state)
        self._seed = whole["seed"]
        state_to_set: Any = {
            "bit_generator": "Philox",
            "state": {name: np.array(whole[name], np.uint64) for name in ("counter", "key")},
            "buffer": np.array(whole["buffer"], np.uint64),
            **{name: whole[name] for name in _NUMBERS},
        }
        self._bits.state = state_to_set
        return self

    def uniform(
        self, shape: Sequence[int], dtype: Any = np.float32, low: float = 0.0, high: float = 1.0
    ) -> Array:
        """Numbers from ``low`` (included) to ``high`` (excluded), drawn directly in ``dtype``.

        Of complex numbers both parts lie there.
        """
        found = np.dtype(dtype)
        if found.kind == "c":
            parts = self.uniform((*shape, 2), real_of(found), low, high)
            return np.asarray(parts.view(found)[..., 0])
        drawn: Array
        if found == np.float16:
            # 11 bits are what float16 holds; a float32 near 1 would round up to 1.
            steps = self.numpy.integers(0, 2048, shape, np.uint16) / np.float32(2048)
            drawn = np.asarray(steps, np.float16)
        elif is_bfloat16(found):
            # And 8 bits are what bfloat16 holds.
            drawn = np.asarray(self.numpy.integers(0, 256, shape, np.uint16) / np.float32(256)).astype(found)
        else:
            drawn = buffers.empty(shape, found)
            self.numpy.random(dtype=found.type, out=drawn)
        if low != 0.0 or high != 1.0:
            drawn *= found.type(high - low)
            drawn += found.type(low)
            if high > low:
                # The sum may have been rounded up to `high`.
                np.minimum(drawn, np.nextafter(found.type(high), found.type(low)), out=drawn)
        return drawn

    def normal(
        self, shape: Sequence[int], dtype: Any = np.float32, mean: float = 0.0, std: float = 1.0
    ) -> Array:
        """Normally distributed numbers, drawn directly in ``dtype`` (halves in float32).

        Of complex numbers both parts are, with half the variance each.
        """
        found = np.dtype(dtype)
        if found.kind == "c":
            parts = self.normal((*shape, 2), real_of(found), 0.0, std / math.sqrt(2.0))
            return np.asarray(parts.view(found)[..., 0] + found.type(mean))
        drawn_in = sum_dtype(found)
        drawn = buffers.empty(shape, drawn_in)
        self.numpy.standard_normal(dtype=drawn_in.type, out=drawn)
        if std != 1.0:
            drawn *= drawn_in.type(std)
        if mean != 0.0:
            drawn += drawn_in.type(mean)
        return drawn.astype(found, copy=False)

    def integers(self, low: int, high: int, shape: Sequence[int], dtype: Any = np.int64) -> Array:
        """Integers from ``low`` (included) to ``high`` (excluded)."""
        if low >= high:
            raise ArgumentError("Random integers need low < high.", describe(low=low, high=high))
        found = np.dtype(dtype)
        if found.kind not in "biu":
            return np.asarray(self.numpy.integers(low, high, tuple(shape), np.int64)).astype(found)
        return np.asarray(self.numpy.integers(low, high, tuple(shape), found.type))

    def permutation(self, n: int) -> Array:
        """The numbers 0 … n−1 in random order."""
        return self.numpy.permutation(n)

    def words(self, count: int) -> tuple[int, ...]:
        """So many words of 64 random bits."""
        return tuple(np.asarray(self.numpy.bit_generator.random_raw(count), np.uint64).tolist())

    def keep(self, shape: Sequence[int], probability: float) -> Array:
        """A bool array, each element True with ``probability`` on its own (as dropout needs)."""
        # 16 random bits per element decide, four elements a draw: the probability is exact to 2⁻¹⁷, which is
        # less than what a network could tell, and drawing takes a quarter of the time that floats take.
        few = round(probability * 65536)
        kept = buffers.empty(shape, np.bool_)
        if few in (0, 65536):
            kept[...] = few > 0
            return kept
        flat, raw = kept.reshape(-1), self.numpy.bit_generator.random_raw
        # A block of them at a time, which stays in the cache: the generator always draws into fresh memory.
        for start in range(0, flat.size, BLOCK):
            part = flat[start : start + BLOCK]
            bits = np.asarray(raw(-(-part.size // 4)), np.uint64).view(np.uint16)[: part.size]
            np.less(bits, np.uint16(few), out=part)
        return kept


def _checked_state(state: Mapping[str, Any]) -> dict[str, Any]:
    advice = "Pass what get_rng_state() gave."
    if not isinstance(state, Mapping):
        raise ArgumentError("A generator's state is a dict.", describe(state=state), advice)
    names = {"seed", *_LISTS, *_NUMBERS}
    if set(state) != names:
        raise ArgumentError(
            f"A generator's state has the entries {', '.join(sorted(names))}.",
            describe(entries=sorted(state)),
            advice,
        )
    for name, length in _LISTS.items():
        words = state[name]
        if not isinstance(words, (list, tuple)) or len(words) != length:
            raise ArgumentError(
                f"A generator's {name} is a list of {length} ints.", describe(found=words), advice
            )
        for word in words:
            if isinstance(word, bool) or not isinstance(word, int) or not 0 <= word < 2**64:
                raise ArgumentError(
                    f"A generator's {name} holds ints of 64 bits.", describe(found=word), advice
                )
    for name, most in _NUMBERS.items():
        value = state[name]
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise ArgumentError(
                f"A generator's {name} is an int from 0 to {most}.", describe(found=value), advice
            )
    if isinstance(state["seed"], bool) or not isinstance(state["seed"], int):
        raise ArgumentError("A generator's seed is an int.", describe(found=state["seed"]), advice)
    return dict(state)


#: What every random function draws from, unless it is given a generator.
default_generator = Generator()


def chosen(generator: Generator | None) -> Generator:
    """The generator given, or the default one.

    Raises:
        DtypeError: something else was given.
    """
    if generator is None:
        return default_generator
    if not isinstance(generator, Generator):
        raise DtypeError("generator= needs a tilewright.Generator.", describe(generator=generator))
    return generator


def manual_seed(seed: int) -> Generator:
    """Start the default generator anew from ``seed``; returns it."""
    return default_generator.manual_seed(seed)


def initial_seed() -> int:
    """The seed that the default generator started from."""
    return default_generator.initial_seed()


def get_rng_state() -> dict[str, Any]:
    """Where the default generator stands, as ints and lists of ints (see :meth:`Generator.get_state`)."""
    return default_generator.get_state()


def set_rng_state(new_state: Mapping[str, Any]) -> None:
    """Let the default generator continue bit for bit from a state."""
    default_generator.set_state(new_state)
