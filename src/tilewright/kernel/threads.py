"""Spread a kernel's units of work over the processor's cores.

    run(kernel, units, args, scratch_bytes)

calls the native function ``void kernel(i64 unit, i8* args, i8* scratch)`` once for every unit. Units are the
problem's own: how many threads there are decides who does a unit, never what a unit is, so no bit of a result
depends on it.

The calling thread does units like the others, and never waits for a worker that hasn't begun. Workers start
with the first job that has use for them, and stay.
"""

from __future__ import annotations

import operator
import os
import threading
from typing import SupportsIndex

from tilewright.errors import ArgumentError, describe
from tilewright.kernel import workers
from tilewright.plan import processor
from tilewright.settings import settings

_mine = workers.mine
_scratch_limit = workers.SCRATCH_BYTES
_threads = 0  # not known before the first use
_pool: workers.NativePool | workers.PythonPool | None = None
_growing = threading.Lock()


def run(function: int, units: int, args: int, scratch_bytes: int, *, threads: int | None = None) -> None:
    """Call a native function for every unit, on several threads; return when all are done.

    The GIL is free meanwhile. Several of Python's threads may call at once: the first gets the workers, the
    others do their units themselves.

    Args:
        function: address of ``void f(i64 unit, i8* args, i8* scratch)``.
        units: how many units there are; each of 0 … units − 1 is run exactly once, in any order.
        args: address handed to every call.
        scratch_bytes: how much of `scratch` the function uses, at most 4 MiB. The memory is aligned to 64
            bytes and belongs to one thread; it holds whatever an earlier unit left there.
        threads: how many threads may take part; :func:`get_num_threads` when left out.

    Raises:
        ArgumentError: ``TILEWRIGHT_NUM_THREADS`` isn't a number of threads.
    """
    assert scratch_bytes <= _scratch_limit, f"a kernel asks for {scratch_bytes} bytes of scratch memory"
    count = threads or _threads or get_num_threads()
    if units < count:
        count = units
    mine = _mine
    if count <= 1:
        mine.serial(function, units, args, mine.scratch)
        return
    pool = _pool
    if pool is None or pool.asked < count - 1:
        pool = _pool_of(count - 1)
    pool.run(function, units, args, mine.scratch, count - 1)


def set_num_threads(n: SupportsIndex) -> None:
    """Set how many threads compute, the calling one included. It may be more than there are cores.

    No result depends on it. It holds for the whole process, from the next operation on, and for processes
    forked from this one.

    Args:
        n: how many; from 1 to 1024.

    Raises:
        ArgumentError: `n` isn't a whole number, or is out of range.

    >>> before = get_num_threads()
    >>> set_num_threads(2)
    >>> get_num_threads()
    2
    >>> set_num_threads(before)
    """
    global _threads
    try:
        # True and False are integers to Python, but no numbers of threads.
        number = 0 if isinstance(n, bool) else operator.index(n)
    except TypeError:
        number = 0
    if not 1 <= number <= workers.MOST:
        raise ArgumentError(
            f"set_num_threads needs a whole number of threads from 1 to {workers.MOST}.", describe(n=n)
        )
    _threads = number


def get_num_threads() -> int:
    """How many threads compute, the calling one included.

    As many as :func:`set_num_threads` said, else as the environment's ``TILEWRIGHT_NUM_THREADS`` says (read
    once), else one for each core that this process may run on.

    Raises:
        ArgumentError: ``TILEWRIGHT_NUM_THREADS`` isn't a whole number from 1 to 1024.

    >>> get_num_threads() >= 1
    True
    """
    global _threads
    if not _threads:
        _threads = _from_environment() or min(processor.usable_cores(), workers.MOST)
    return _threads


def _from_environment() -> int:
    """What TILEWRIGHT_NUM_THREADS says; 0 when it isn't set."""
    text = settings().threads
    if not text:
        return 0
    # Without the first two, int() would also take "1_0" and other alphabets' digits.
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    if not 1 <= number <= workers.MOST:
        raise ArgumentError(
            f"TILEWRIGHT_NUM_THREADS must be a whole number of threads from 1 to {workers.MOST}.",
            describe(TILEWRIGHT_NUM_THREADS=text),
            "Leave it unset for one thread per core.",
        )
    return number


def _pool_of(size: int) -> workers.NativePool | workers.PythonPool:
    """The pool, with at least `size` workers."""
    global _pool
    with _growing:
        pool = _pool or workers.new_pool()
        if pool.asked < size:
            pool.grow(size)
        _pool = pool
        return pool


def _begin_anew() -> None:
    """In a forked child: the workers stayed with the parent, and so did whoever held a lock."""
    global _pool, _growing
    _pool = None
    _growing = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
