"""How arrays lie in memory where kernels compute in float32: float16 and bfloat16 are read and written so."""

from __future__ import annotations

from typing import Any

import numpy as np


def stored_of(dtype: np.dtype[Any]) -> str:
    """What kernels call a half, one of :data:`tilewright.kernel.builder.halves.STORED`; "" for other floats.

    >>> stored_of(np.dtype(np.float16)), stored_of(np.dtype(np.float32))
    ('half', '')
    """
    if dtype.itemsize > 2:
        return ""
    return "half" if dtype.kind == "f" else "bfloat"
