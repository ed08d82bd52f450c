"""PyTorch's import paths for data sets and loaders."""

from __future__ import annotations

from tilewright import data
from tilewright.utils import data as alias


def test_the_aliases_are_the_things_themselves() -> None:
    for name in alias.__all__:
        assert getattr(alias, name) is getattr(data, name)
    assert {"DataLoader", "Dataset", "TensorDataset", "Subset", "random_split"} <= set(alias.__all__)
