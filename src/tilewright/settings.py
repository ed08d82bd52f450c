"""The few settings, read from the environment. No logic here.

====================  ==========================================================================
``TILEWRIGHT_CACHE``  folder for downloads and other things that can be made again; the platform's
                      usual place for such things when not set
====================  ==========================================================================
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What the environment asked for.

    Attributes:
        cache: folder for things that can be made again; empty means the platform's usual place.
    """

    cache: str


def settings() -> Settings:
    """The settings as the environment has them now."""
    return Settings(cache=os.environ.get("TILEWRIGHT_CACHE", ""))
