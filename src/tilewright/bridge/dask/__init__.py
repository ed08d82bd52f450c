"""Convolution and filters of Dask's arrays, which may be larger than memory: :func:`conv` and :func:`filter`.

Each chunk is computed together with its halo, the samples that its outputs reach in other chunks. Nothing is
computed before it is asked for, and only what is asked for:

- **Chunks leave no trace.** However an array is cut, uneven, smaller than the kernel, at no multiple of the
  stride, the numbers are those of the whole array, to the bit; see the two functions for what that rests on.
- **Any scheduler.** Tasks are functions of modules and can be sent to the workers of a cluster. A worker that
  computes several tasks at a time shares its cores among them.
- **Errors come early**: whatever doesn't fit is refused when the graph is built.

>>> import dask.array as da, numpy as np, tilewright as tw
>>> x = da.from_array(np.arange(24.0).reshape(1, 1, 4, 6), chunks=(1, 1, 2, 4))
>>> y = tw.bridge.dask.conv(x, np.ones((1, 1, 3, 3)), padding="same")
>>> y.chunks
((1,), (1,), (2, 2), (4, 2))
>>> bool((y.compute() == tw.conv(x.compute(), np.ones((1, 1, 3, 3)), padding="same")).all())
True
"""

from __future__ import annotations

from tilewright.bridge.dask.needed import check_dask

# Before the modules below use it: without it, this says what to install.
check_dask()

from tilewright.bridge.dask.convolution import conv  # noqa: E402
from tilewright.bridge.dask.filtering import filter  # noqa: E402

__all__ = ["conv", "filter"]
