"""Data sets, batches and image files.

- :func:`load` and its kin give training and test images by name; :func:`read_idx` reads MNIST's format.
- :class:`DataLoader` makes batches in a seeded order that can be stopped and taken up again.
- :func:`read_image`, :func:`find_images` and :func:`prepare_like` bring pictures of one's own.

Importing this package imports NumPy and nothing optional.
"""

from __future__ import annotations

from tilewright.data.arrays import (
    ArrayDataset,
    Dataset,
    SampleIndexError,
    Standardise,
    Subset,
    TensorDataset,
    random_split,
)
from tilewright.data.collate import default_collate
from tilewright.data.idx import read_idx, write_idx
from tilewright.data.images import IMAGE_SUFFIXES, find_images, prepare_like, read_image
from tilewright.data.loader import DataLoader
from tilewright.data.sources import DATASET_NAMES, ImageSet, digits, fashion_mnist, load, mnist

__all__ = [
    "DATASET_NAMES",
    "IMAGE_SUFFIXES",
    "ArrayDataset",
    "DataLoader",
    "Dataset",
    "ImageSet",
    "SampleIndexError",
    "Standardise",
    "Subset",
    "TensorDataset",
    "default_collate",
    "digits",
    "fashion_mnist",
    "find_images",
    "load",
    "mnist",
    "prepare_like",
    "random_split",
    "read_idx",
    "read_image",
    "write_idx",
]
