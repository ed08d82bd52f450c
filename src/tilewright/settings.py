"""The few settings, read from the environment. No logic here.

===========================  ===================================================================
``TILEWRIGHT_CACHE``         folder for downloads, compiled kernels and other things that can be
                             made again; the platform's usual place for such things when not set
``TILEWRIGHT_NUM_THREADS``   how many threads compute; as many as there are cores when not set
``TILEWRIGHT_TARGET``        instruction set to compile kernels for: ``avx512``, ``avx2``,
                             ``baseline`` or ``neon``; the processor's widest when not set
``TILEWRIGHT_KERNEL_CACHE``  ``off``: compiled kernels are neither kept on disk nor read from it
===========================  ===================================================================
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What the environment asked for, as it was written; an empty string where it asked for nothing.

    Attributes:
        cache: folder for things that can be made again; empty means the platform's usual place.
        threads: how many threads compute; empty means as many as there are cores.
        target: name of the instruction set to compile for; empty means the processor's widest.
        kernels: ``"off"`` turns the folder of compiled kernels off.
    """

    cache: str
    threads: str
    target: str
    kernels: str


def settings() -> Settings:
    """The settings as the environment has them now."""
    return Settings(
        cache=os.environ.get("TILEWRIGHT_CACHE", ""),
        threads=os.environ.get("TILEWRIGHT_NUM_THREADS", ""),
        target=os.environ.get("TILEWRIGHT_TARGET", ""),
        kernels=os.environ.get("TILEWRIGHT_KERNEL_CACHE", ""),
    )
