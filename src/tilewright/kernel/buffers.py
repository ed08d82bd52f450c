"""Memory for large arrays, used again and again.

The system hands out fresh memory page by page, at the first touch of each, and a page fault of 4 KiB costs
0.5 to 2 µs: more than most operations need to fill it. Measured with ``numpy.maximum`` on a virtual machine,
eight results alive at a time, fresh arrays against reused ones: 540 against 100 µs for 1 MiB, 4.2 against
1.6 ms for 16 MiB. A network asks for the same sizes in every step, so what one step gives back serves the
next.

An array from :func:`empty` is an ordinary ``numpy.ndarray``. Its memory is a *block* of the pool, held by its
``base``; when the array and all its views have died, that base dies, and its finaliser puts the block back.

Nothing here ever waits. A finaliser may run at any moment in any thread, also between two lines of this
module (the garbage collector and signal handlers interrupt Python code), so blocks move with the deque's
atomic ``append`` and ``pop`` alone, and each move is noted in a queue. Whoever finds the lock free does the
sums.
"""

from __future__ import annotations

import math
import operator
import os
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: Bytes from which on an array's memory is pooled. malloc keeps little of what is freed at the top of its
#: heap (128 KiB at first), so page faults come from several arrays at a time: measured, from 4 of 128 KiB (20
#: faults and 30 µs for each array), from 16 of 32 KiB (3.5 faults, 6 µs), not yet from 16 of 16 KiB. The pool
#: adds 1.5 µs to a call.
LARGE = 32 * 1024

# A cache line, and the widest vector: kernels load and store whole vectors from the start of an array.
ALIGNMENT = 64
# Sizes come in 8 steps per power of two: at most an eighth of a block is unused, and there are few sizes.
_STEPS_LOG2 = 3
# The pool may hold, free and in use together, this many times what was in use at the peak. Blocks of one size
# don't serve another, so layers whose sizes halve one after the other need twice what the largest ones do.
_TIMES_PEAK = 2
# … and this much more, so that small programs never give back: 64 MiB is what one picture or two take.
_FLOOR = 64 << 20
# How long a peak is remembered: until this many times the memory held has been handed out. So a program that
# goes on to smaller work gives back, and if a peak returns after all, its page faults are at most a sixteenth
# of what was handed out since.
_WINDOW = 16
# Sums of small blocks may wait until there are so many: 32 moves of less than 1 MiB are less than the floor.
_MOVES_THAT_WAIT = 32
_SMALL = 1 << 20
# Free blocks never take more than a quarter of the machine's memory; of 4 GiB where the system doesn't say.
_SHARE_OF_MEMORY = 4
_MEMORY_UNKNOWN = 4 << 30

_BYTE = np.dtype(np.uint8)


class _Block(np.ndarray[Any, Any]):
    """Memory of the pool: aligned bytes, and the shelf where they lie when they are free."""

    __slots__ = ("shelf",)
    shelf: _Shelf


@dataclass(frozen=True)
class Statistics:
    """What the pool did since the process began, and what it holds.

    Attributes:
        fresh: large arrays for which memory was taken from the system.
        reused: large arrays that got memory used before.
        in_use: bytes of blocks that arrays live in.
        kept: bytes of free blocks.
    """

    fresh: int
    reused: int
    in_use: int
    kept: int


class _Shelf:
    """The free blocks of one size, the one last used at the right; and what the moves of a block change."""

    __slots__ = ("again", "back", "dropped", "free", "fresh", "size", "undone")

    def __init__(self, size: int) -> None:
        self.size = size
        # With each block a number: how many had come back to the pool before.
        self.free: deque[tuple[int, _Block]] = deque()
        # Each a change of (bytes in use, bytes kept, fresh arrays, reused arrays).
        self.fresh = (size, 0, 1, 0)
        self.again = (size, -size, 0, 1)
        self.back = (-size, size, 0, 0)
        self.dropped = (0, -size, 0, 0)
        self.undone = (-size, 0, -1, 0)


class Pool:
    """Blocks of memory by size, and the rule by which free ones are dropped, oldest first.

    Args:
        most: bytes of free blocks that are never exceeded.
        floor: bytes of free blocks that are always allowed, if no more than ``most``.
    """

    def __init__(self, most: int, floor: int = _FLOOR) -> None:
        self._most = most
        self._floor = floor
        self._precision = 1 + _STEPS_LOG2
        # Names of this module may be gone when the last arrays die at the interpreter's exit.
        self._times_peak, self._window = _TIMES_PEAK, _WINDOW
        self._small, self._moves_that_wait = _SMALL, _MOVES_THAT_WAIT
        self._shelves: dict[int, _Shelf] = {}
        self._moves: deque[tuple[int, int, int, int]] = deque()
        self._lock = threading.Lock()
        self._in_use = self._kept = self._fresh = self._reused = 0
        self._returns = count()
        # The most bytes in use in this window and in the one before; what is left to hand out in this one.
        self._peak = self._peak_before = 0
        self._window_left = 0

    def take(self, least: int) -> _Block:
        """A block of ``least`` bytes, 16 or more, or up to an eighth more."""
        step = 1 << (least.bit_length() - self._precision)
        size = (least + step - 1) & -step
        try:
            shelf = self._shelves[size]
            block = shelf.free.pop()[1]
        except (KeyError, IndexError):
            return self._new(self._shelves.setdefault(size, _Shelf(size)))
        # The sums can wait until something comes back: nothing grows here.
        self._moves.append(shelf.again)
        return block

    def give_back(self, block: _Block) -> None:
        """Let a block be used again. Called by finalisers: waits for nothing."""
        shelf, moves = block.shelf, self._moves
        shelf.free.append((next(self._returns), block))
        moves.append(shelf.back)
        if shelf.size >= self._small or len(moves) > self._moves_that_wait:
            self._settle()

    def clear(self) -> None:
        """Drop all free blocks."""
        for shelf in list(self._shelves.values()):
            while self._drop_from(shelf):
                pass
        self._settle()

    def statistics(self) -> Statistics:
        """The sums as they stand."""
        self._settle()
        return Statistics(self._fresh, self._reused, self._in_use, self._kept)

    def after_fork(self) -> None:
        """In a child: what other threads of the parent held or had begun is gone."""
        self._lock = threading.Lock()
        self._settle()
        self._kept = sum(shelf.size * len(shelf.free) for shelf in self._shelves.values())

    def _new(self, shelf: _Shelf) -> _Block:
        # Counted first, so that old blocks go before memory grows.
        self._moves.append(shelf.fresh)
        self._settle()
        try:
            try:
                return _allocate(shelf)
            except MemoryError:
                self.clear()
                return _allocate(shelf)
        except BaseException:
            self._moves.append(shelf.undone)
            raise

    def _settle(self) -> None:
        """Do the sums of all moves, unless someone is at it, who then does these too."""
        moves = self._moves
        # Looked at again after each release: a move may have come in too late for the one who held the lock.
        while moves and self._lock.acquire(False):
            try:
                while moves:
                    used, kept, fresh, reused = moves.popleft()
                    self._in_use += used
                    self._kept += kept
                    self._fresh += fresh
                    self._reused += reused
                    if used > 0:
                        self._tick(used)
                if self._kept > self._floor:
                    self._trim()
            finally:
                self._lock.release()

    def _tick(self, size: int) -> None:
        self._peak = max(self._peak, self._in_use)
        self._window_left -= size
        if self._window_left <= 0:
            self._peak_before, self._peak = self._peak, self._in_use
            self._window_left = self._window * max(self._in_use + self._kept, self._floor)

    def _trim(self) -> None:
        """Drop the blocks that have lain longest, until no more is kept than allowed."""
        total = self._times_peak * max(self._peak, self._peak_before) + self._floor
        excess = self._kept - min(self._most, total - self._in_use)
        while excess > 0:
            oldest = min(list(self._shelves.values()), key=self._lying_since)
            if not self._drop_from(oldest):
                break
            excess -= oldest.size

    def _drop_from(self, shelf: _Shelf) -> bool:
        """Drop the block that has lain longest on a shelf; whether there was one."""
        try:
            shelf.free.popleft()
        except IndexError:
            return False
        self._moves.append(shelf.dropped)
        return True

    @staticmethod
    def _lying_since(shelf: _Shelf) -> float:
        """When the block that has lain longest on a shelf came there; infinity for an empty one."""
        try:
            return shelf.free[0][0]
        except IndexError:
            return float("inf")


def _allocate(shelf: _Shelf) -> _Block:
    raw = np.empty(shelf.size + ALIGNMENT, _BYTE)
    offset = -int(raw.ctypes.data) % ALIGNMENT
    block = np.ndarray.__new__(_Block, shelf.size, _BYTE, raw, offset)
    block.shelf = shelf
    return block


def _quarter_of_memory() -> int:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # no such call, or no such name, on this system
        total = 0
    return (total if total > 0 else _MEMORY_UNKNOWN) // _SHARE_OF_MEMORY


_pool = Pool(_quarter_of_memory())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.after_fork)


class _Lease(np.ndarray[Any, Any]):
    """The base of an array from the pool: the only thing that refers to its block, and gives it back.

    NumPy makes a view's base the array that owns the memory, but never goes past a base of another class than
    the view's; so all that may touch the block keeps this object alive. (Who takes such a base and computes
    with it gets results of this class, which hold no block.)
    """

    __slots__ = ()

    def __del__(self, give_back: Any = _pool.give_back, held: type = _Block) -> None:
        base = self.base
        if type(base) is held:
            give_back(base)


def empty(shape: int | Sequence[int], dtype: npt.DTypeLike) -> Array:
    """An array with arbitrary contents, like ``numpy.empty``; a large one in memory used before.

    Args:
        shape: any shape that NumPy takes.
        dtype: any dtype; arrays of Python objects are never pooled.

    Returns:
        A writeable ndarray in C order. Large ones (see :data:`LARGE`) begin at a multiple of 64 bytes.

    >>> empty((2, 3), np.float32).shape
    (2, 3)
    """
    found = np.dtype(dtype)
    if not isinstance(shape, tuple):
        shape = tuple(shape) if isinstance(shape, Sequence) else (operator.index(shape),)
    needed = math.prod(shape) * found.itemsize
    if needed < LARGE or found.hasobject:
        return np.empty(shape, found)
    return np.ndarray(shape, found, _pool.take(int(needed)).view(_Lease))


def clear() -> None:
    """Give all memory that no array lives in back to the system."""
    _pool.clear()


def statistics() -> Statistics:
    """What the pool did so far, and what it holds.

    >>> sorted(vars(statistics()))
    ['fresh', 'in_use', 'kept', 'reused']
    """
    return _pool.statistics()
