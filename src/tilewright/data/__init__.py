"""Data sets, batches and image files.

- :func:`load` and its kin give training and test images by name; :func:`read_idx` reads MNIST's format.
- :class:`ImageFolder`, :func:`from_folder`, :class:`CsvDataset` and :class:`NpzDataset` bring one's own data.
- :mod:`~tilewright.data.augment` changes images at random, alike for the same seed, epoch and sample.
- :class:`DataLoader` makes batches in a seeded order that can be stopped and taken up again.
- :func:`random_split` and :func:`stratified_split` hold samples out; :class:`WeightedRandomSampler`,
  :func:`class_weights` and :func:`sample_weights` make up for classes that are rarer than others.
- :func:`read_image`, :func:`find_images` and :func:`prepare_like` read single pictures.

Importing this package imports NumPy and nothing optional.
"""

from __future__ import annotations

from tilewright.data import augment
from tilewright.data.arrays import (
    ArrayDataset,
    Dataset,
    SampleIndexError,
    Standardise,
    Subset,
    TensorDataset,
    random_split,
)
from tilewright.data.augment import Augmented, MixUp
from tilewright.data.collate import default_collate
from tilewright.data.folder import BadFile, ImageFolder, from_folder
from tilewright.data.idx import read_idx, write_idx
from tilewright.data.images import IMAGE_SUFFIXES, find_images, prepare_like, read_image
from tilewright.data.loader import DataLoader
from tilewright.data.npz import NpzDataset, read_npz
from tilewright.data.sampler import WeightedRandomSampler
from tilewright.data.sources import DATASET_NAMES, ImageSet, digits, fashion_mnist, load, mnist
from tilewright.data.splits import class_counts, class_weights, labels_of, sample_weights, stratified_split
from tilewright.data.table import CsvDataset

__all__ = [
    "DATASET_NAMES",
    "IMAGE_SUFFIXES",
    "ArrayDataset",
    "Augmented",
    "BadFile",
    "CsvDataset",
    "DataLoader",
    "Dataset",
    "ImageFolder",
    "ImageSet",
    "MixUp",
    "NpzDataset",
    "SampleIndexError",
    "Standardise",
    "Subset",
    "TensorDataset",
    "WeightedRandomSampler",
    "augment",
    "class_counts",
    "class_weights",
    "default_collate",
    "digits",
    "fashion_mnist",
    "find_images",
    "from_folder",
    "labels_of",
    "load",
    "mnist",
    "prepare_like",
    "random_split",
    "read_idx",
    "read_image",
    "read_npz",
    "sample_weights",
    "stratified_split",
    "write_idx",
]
