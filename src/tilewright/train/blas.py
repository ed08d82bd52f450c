"""One BLAS thread while a network is trained.

BLAS computes what the compiled kernels don't: products of matrices, and all convolutions where there is no
compiler. Those of a small network are too short to share: on a busy machine the threads of a BLAS library
spend their time waiting for each other (a training step was seen to take eight times as long with two threads
as with one). And a product's last bits may depend on the number of threads, where a run must not.

The compiled kernels' own threads are others, and go on sharing out (see :mod:`tilewright.kernel.threads`):
their bits don't depend on how many there are.
"""

from __future__ import annotations

import contextlib
from typing import Any


def one_thread() -> contextlib.AbstractContextManager[Any]:
    """A context in which BLAS libraries use one thread; nothing happens where threadpoolctl is missing."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return contextlib.nullcontext()
    limits: contextlib.AbstractContextManager[Any] = threadpool_limits(limits=1, user_api="blas")
    return limits
