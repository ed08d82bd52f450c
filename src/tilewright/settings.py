"""The few settings, read once from the environment. No logic here.

=====================  ============================================================================
``TILEWRIGHT_CACHE``   folder for downloaded data and other things that can be made again
``TILEWRIGHT_DATA``    folder with data sets that the tests may use
=====================  ============================================================================
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class Settings:
    """What the environment asked for.

    Attributes:
        cache: folder for things that can be made again; None means the platform's usual place.
    """

    cache: str | None


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings, read from the environment on the first call."""
    return Settings(cache=os.environ.get("TILEWRIGHT_CACHE") or None)
