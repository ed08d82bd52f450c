"""Worker threads for :mod:`tilewright.kernel.threads`: a pool, and the native code that its threads run."""

from tilewright.kernel.workers.pool import MOST, SCRATCH_BYTES, NativePool, PythonPool, mine, new_pool

__all__ = ["MOST", "SCRATCH_BYTES", "NativePool", "PythonPool", "mine", "new_pool"]
