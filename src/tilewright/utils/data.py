"""``from tilewright.utils.data import DataLoader`` works as it does in PyTorch; the code is elsewhere."""

from __future__ import annotations

from tilewright.data import (
    DataLoader,
    Dataset,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    random_split,
)

__all__ = [
    "DataLoader",
    "Dataset",
    "Subset",
    "TensorDataset",
    "WeightedRandomSampler",
    "default_collate",
    "random_split",
]
