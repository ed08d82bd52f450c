"""How many threads a task computes with: the tasks that a process runs at a time share its cores.

No number depends on it.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator

from tilewright.kernel.threads import get_num_threads, set_num_threads

_lock = threading.Lock()
_running = 0
_allowed = 1


@contextlib.contextmanager
def shared_cores() -> Iterator[None]:
    """Compute with this task's share of the threads; the last one gives back what was set before."""
    global _running, _allowed
    with _lock:
        if not _running:
            _allowed = get_num_threads()
        _running += 1
        set_num_threads(_share())
    try:
        yield
    finally:
        with _lock:
            _running -= 1
            set_num_threads(_share() if _running else _allowed)


def _share() -> int:
    return max(min(_allowed, _given()) // _running, 1)


def _given() -> int:
    """The threads that Dask gave this worker; without limit where no cluster's worker computes."""
    distributed = sys.modules.get("distributed")
    if distributed is not None:
        try:
            return max(int(distributed.get_worker().state.nthreads), 1)
        except (ValueError, AttributeError):  # not within a task of a worker
            pass
    return sys.maxsize
