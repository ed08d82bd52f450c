"""Pools of workers: their memory, how they start, how they get a job."""

from __future__ import annotations

import ctypes
import mmap
import signal
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tilewright.kernel import jit
from tilewright.kernel.workers import block, ir
from tilewright.plan import processor

if TYPE_CHECKING:
    from concurrent.futures import Future

# Scratch memory of a thread. Reserved as a whole: the system hands out pages as they are touched, so it
# costs what a kernel uses of it, and never has to grow.
SCRATCH_BYTES = 4 << 20

# Threads that may be asked for: more than nearly any machine has cores, and few enough that a slip of the
# keyboard doesn't exhaust the system. All but one of them are workers.
MOST = block.MOST + 1

# How long a worker looks for the next job before it sleeps. A sleeping worker took 60 to 140 µs to begin on
# the virtual machine where this was measured: looking for about as long costs, at worst, twice what would
# have been best, whenever the next job comes. While it looks it gives way to whoever wants its core.
SPIN_NANOSECONDS = 100_000

_i64, _ptr = ctypes.c_int64, ctypes.c_void_p


class Memory:
    """Private zeroed memory, aligned to a page, for native code: ``address``.

    It is given back with this object, except when the interpreter is going down: threads that are still
    computing then are stopped by the system, at the end of the process, and not a moment earlier.
    """

    def __init__(self, size: int) -> None:
        # Private: a forked child must not share it with its parent, as Python's default would.
        if sys.platform == "win32":
            self._region = mmap.mmap(-1, size)
        else:
            self._region = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self._region))

    # The defaults hold what is needed at a time when this module's own names may be gone.
    def __del__(
        self,
        going_down: Callable[[], bool] = sys.is_finalizing,
        keep: Callable[[Any], None] = ctypes.pythonapi.Py_IncRef,
        reference: Callable[[Any], Any] = ctypes.py_object,
    ) -> None:
        if going_down():
            keep(reference(self._region))


class Native:
    """The compiled functions of :mod:`tilewright.kernel.workers.ir`, bound so that calling them costs little.

    Every call through these lets go of the GIL.
    """

    def __init__(self) -> None:
        table = (_ptr * len(ir.EXPORTS))()
        ctypes.CFUNCTYPE(None, _ptr)(jit.address(ir.NAME, ir.emit))(ctypes.addressof(table))
        found = dict(zip(ir.EXPORTS, table, strict=True))
        self.serial = ctypes.CFUNCTYPE(None, _ptr, _i64, _ptr, _ptr)(found["serial"])
        self.share = ctypes.CFUNCTYPE(None, _ptr, _ptr)(found["share"])
        self.parallel = ctypes.CFUNCTYPE(None, _ptr, _ptr, _i64, _ptr, _ptr, _i64, _i64)(found["parallel"])
        self.worker = found["worker"]


@lru_cache(maxsize=1)
def native() -> Native:
    """The compiled functions; the first call compiles them."""
    return Native()


class Mine(threading.local):
    """What each thread that computes has of its own; made when the thread first asks, gone when it ends.

    Attributes:
        scratch: address of the thread's scratch memory.
        serial: the compiled function that does a job on the calling thread.
    """

    scratch: int
    serial: Callable[[int, int, int, int], None]

    # Called for what isn't there yet, and so once in a thread. (`__init__` would run at import, for the
    # thread that imports.)
    def __getattr__(self, name: str) -> Any:
        if name not in ("scratch", "serial"):
            raise AttributeError(name)
        self._memory = Memory(SCRATCH_BYTES)
        self.scratch = self._memory.address
        self.serial = native().serial
        return getattr(self, name)


mine = Mine()


class NativePool:
    """Workers that are threads of the system's own: they never enter Python.

    So they need no GIL, no thread state and no farewell: when the process ends, they are asleep or computing
    in memory that outlives the interpreter.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._size = 0
        self._cores = processor.usable_cores()
        self._block = Memory(block.BLOCK_BYTES)
        self._scratch: list[Memory] = []
        self._address = self._block.address
        self._parallel = native().parallel
        self._system = ctypes.CDLL(None)
        calls = (_ptr * len(block.SYSTEM)).from_address(self._address + block.CALLS)
        for place, name in enumerate(block.SYSTEM):
            if name in block.REQUIRED or hasattr(self._system, name):
                calls[place] = ctypes.cast(self._system[name], _ptr).value
        self._system.pthread_mutex_init(_ptr(self._address + block.LOCK), None)
        self._system.pthread_cond_init(_ptr(self._address + block.WORK), None)
        self._system.pthread_cond_init(_ptr(self._address + block.DONE), None)

    def run(self, function: int, units: int, args: int, scratch: int, seats: int) -> None:
        """Do a job together with up to `seats` workers, or alone while another thread's job has them."""
        # Where threads outnumber cores, one that spins takes its core from one that would compute.
        spin = SPIN_NANOSECONDS if seats < self._cores else 0
        self._parallel(self._address, function, units, args, scratch, seats, spin)

    def grow(self, size: int) -> None:
        """Start workers until there are `size`. Where the system allows no more, those there are must do."""
        while self._size < size and self._start():
            self._size += 1
            _i64.from_address(self._address + block.SIZE).value = self._size
            _i64.from_address(self._address + block.AVOIDED).value = -2
        self.asked = size  # whatever came of it: a system at its limit isn't asked again for every job

    def _start(self) -> bool:
        # What a worker is told stands behind its scratch: the pool's block, and where the scratch is.
        memory = Memory(SCRATCH_BYTES + 2 * ctypes.sizeof(_ptr))
        self._scratch.append(memory)  # before there is a thread that uses it, should Ctrl-C come in between
        told = memory.address + SCRATCH_BYTES
        (_ptr * 2).from_address(told)[:] = [self._address, memory.address]
        thread = _ptr.from_address(self._address + block.THREADS + self._size * ctypes.sizeof(_ptr))
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        try:
            # A new thread inherits the mask. Signals belong to the program's own threads; but a fault in a
            # kernel must reach whatever reports faults.
            faults = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - faults)
            failed = self._system.pthread_create(
                ctypes.byref(thread), None, _ptr(native().worker), _ptr(told)
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if failed:
            self._scratch.pop()
            return False
        self._system.pthread_detach(thread)
        return True


class PythonPool:
    """Workers that are Python's threads, for systems without POSIX ones.

    A job costs some 30 µs more than with the native pool, and workers begin some 100 µs later.
    """

    def __init__(self) -> None:
        # Only here: its import costs, and few systems need it.
        from concurrent.futures import ThreadPoolExecutor

        # It starts threads as jobs need them; a job never asks for more than MOST.
        self._threads = ThreadPoolExecutor(MOST, "tilewright")
        self._busy = threading.Lock()
        self._native = native()
        self.asked = MOST

    def run(self, function: int, units: int, args: int, scratch: int, seats: int) -> None:
        """Do a job together with up to `seats` workers, or alone while another thread's job has them."""
        if not self._busy.acquire(blocking=False):
            self._native.serial(function, units, args, scratch)
            return
        try:
            # A block of its own for every job: only the fields that `share` reads are used.
            job = Memory(block.BLOCK_BYTES)
            _ptr.from_address(job.address + block.FUNCTION).value = function
            _ptr.from_address(job.address + block.ARGS).value = args
            _i64.from_address(job.address + block.UNITS).value = units
            helpers = self._offer(job, seats)
            try:
                self._native.share(job.address, scratch)
            finally:
                _end(helpers)
        finally:
            self._busy.release()

    def grow(self, size: int) -> None:
        """Nothing to do: threads start when a job is offered."""

    def _offer(self, job: Memory, seats: int) -> list[Future[None]]:
        helpers: list[Future[None]] = []
        try:
            for _ in range(seats):
                helpers.append(self._threads.submit(self._help, job))
        except RuntimeError:
            pass  # the interpreter is going down, or the system allows no more threads
        return helpers

    def _help(self, job: Memory) -> None:
        self._native.share(job.address, mine.scratch)


def _end(helpers: list[Future[None]]) -> None:
    """Turn away those who haven't begun, and wait for the others, also when the user presses Ctrl-C.

    They compute in arrays that the caller is free to drop once this returns.
    """
    interrupted: KeyboardInterrupt | None = None
    for helper in helpers:
        while not helper.cancel() and not helper.done():
            try:
                helper.exception()  # waits
            except KeyboardInterrupt as error:
                interrupted = error
    if interrupted is not None:
        raise interrupted


def new_pool() -> NativePool | PythonPool:
    """A pool without workers, of the better kind that this system has."""
    return PythonPool() if sys.platform == "win32" else NativePool()
