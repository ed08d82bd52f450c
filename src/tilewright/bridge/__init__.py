"""Ways into other libraries, each loaded when it is first used.

- :mod:`~tilewright.bridge.dask`: convolution and filters of Dask's arrays, which may be larger than memory.
- :mod:`~tilewright.bridge.sklearn`: convolutional networks as scikit-learn's classifiers and regressors.

>>> "sklearn" in dir(tw.bridge)
True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tilewright.bridge import dask, sklearn

__all__ = ["dask", "sklearn"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tilewright.bridge' has no attribute {name!r}")
    # Importing a module also makes it an attribute of its package, so this runs once for each.
    return importlib.import_module(f"tilewright.bridge.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
