"""The functions of :mod:`tilewright.functional` under the name that PyTorch code imports them by.

>>> import tilewright.nn.functional as F
"""

from __future__ import annotations

from tilewright.functional import *  # noqa: F403 - the same names, whichever they are
from tilewright.functional import __all__ as __all__
