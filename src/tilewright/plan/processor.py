"""What processor this is: name, vector features and cores, as far as the system itself tells."""

from __future__ import annotations

import os
import platform
from functools import lru_cache
from typing import Any

# Vector extensions that decide which kernels can run, widest first.
_VECTOR_FEATURES = ("avx512f", "avx2", "fma", "avx", "sse4_2", "sse2", "asimd", "neon")


@lru_cache(maxsize=1)
def describe() -> dict[str, Any]:
    """The processor as plain data: ``name``, ``architecture``, ``features`` (vector extensions), ``cores``.

    >>> sorted(describe())
    ['architecture', 'cores', 'features', 'name']
    """
    name, listed = _from_cpuinfo()
    return {
        "name": name or platform.processor() or platform.machine(),
        "architecture": platform.machine(),
        "features": [feature for feature in _VECTOR_FEATURES if feature in listed],
        "cores": usable_cores(),
    }


@lru_cache(maxsize=1)
def flags() -> frozenset[str]:
    """Every feature that the system lists for the processor, in Linux's spelling; empty on other systems."""
    return _from_cpuinfo()[1]


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _from_cpuinfo() -> tuple[str, frozenset[str]]:
    """Name and flags as Linux lists them; empty elsewhere."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return "", frozenset()
    name, listed = "", frozenset[str]()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name" and not name:
            name = value.strip()
        elif key.strip() in ("flags", "Features") and not listed:
            listed = frozenset(value.split())
    return name, listed
