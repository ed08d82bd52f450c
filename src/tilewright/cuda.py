"""What PyTorch code asks before it picks a device: there is none but the processor."""

from __future__ import annotations

from typing import Any


def is_available() -> bool:
    """Always False: this library computes on the processor."""
    return False


def device_count() -> int:
    """Always 0."""
    return 0


def manual_seed_all(seed: Any) -> None:
    """Nothing to seed."""
