"""PyTorch's name for what stands in :mod:`tilewright.data`: aliases only."""

from __future__ import annotations

from tilewright.utils import data

__all__ = ["data"]
