"""Making one batch out of a list of samples, as PyTorch's default does."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from tilewright.data.checks import as_list
from tilewright.errors import DtypeError, ShapeError, describe


def default_collate(samples: list[Any]) -> Any:
    """Stack samples along a new first axis, following their structure.

    ====================  =========================================================
    a sample that is       becomes
    ====================  =========================================================
    a tuple, named or not  a tuple of the same type, of batches
    a list                 a list of batches
    a mapping              a dict of batches
    an array or number     an array (k, …): int64, float64 or bool for Python numbers
    a Tensor               a Tensor (k, …)
    a string or bytes      the list of them
    ====================  =========================================================

    Where any part of a sample is a Tensor, its arrays and numbers become Tensors as well.

    Args:
        samples: k samples of one structure, k ≥ 1.

    Raises:
        ArgumentError: ``samples`` is no list.
        ShapeError: arrays of different shapes, or structures of different sizes.
        DtypeError: a sample is of a type that has no batch (None, for example).

    >>> default_collate([(np.zeros(2), 3), (np.ones(2), 4)])
    (array([[0., 0.],
           [1., 1.]]), array([3, 4]))
    """
    listed = as_list(samples, "samples", "samples", "default_collate")
    if not listed:
        raise ShapeError("default_collate needs at least one sample.", describe(samples=samples))
    return _collate(listed, _holds_tensor(listed[0]))


def _collate(samples: list[Any], as_tensors: bool) -> Any:
    first = samples[0]
    if _is_tensor(first):
        from tilewright.autograd.shape import stack

        _check_shapes(samples)
        return stack(samples)
    if isinstance(first, (str, bytes)):
        return samples
    if isinstance(first, Mapping):
        _check_sizes(samples, lambda sample: sorted(map(str, sample)))
        return {key: _collate([sample[key] for sample in samples], as_tensors) for key in first}
    if isinstance(first, (tuple, list)):
        _check_sizes(samples, len)
        columns = [_collate(list(column), as_tensors) for column in zip(*samples, strict=True)]
        return type(first)(*columns) if hasattr(first, "_fields") else type(first)(columns)
    batch = _stack_arrays(samples)
    if as_tensors:
        from tilewright.autograd.create import tensor

        return tensor(batch)
    return batch


def _stack_arrays(samples: list[Any]) -> np.ndarray[Any, Any]:
    arrays = [np.asarray(sample) for sample in samples]
    odd = next((array for array in arrays if array.dtype.kind not in "biufc"), None)
    if odd is not None:
        raise DtypeError(
            "default_collate needs samples made of arrays, Tensors, numbers, strings, tuples, lists "
            "and mappings.",
            f"a sample of type {type(samples[0]).__name__}",
            "Pass collate_fn=... to make batches of anything else.",
        )
    _check_shapes(arrays)
    return np.stack(arrays)


def _check_shapes(arrays: list[Any]) -> None:
    for place, array in enumerate(arrays):
        if tuple(array.shape) != tuple(arrays[0].shape):
            raise ShapeError(
                "default_collate needs samples of one shape in a batch.",
                f"shape {tuple(arrays[0].shape)} for the first sample of the batch and "
                f"{tuple(array.shape)} for sample {place}, counted from 0",
            )


def _check_sizes(samples: list[Any], size: Any) -> None:
    for place, sample in enumerate(samples):
        if type(sample) is not type(samples[0]) or size(sample) != size(samples[0]):
            raise ShapeError(
                "default_collate needs samples of one structure in a batch.",
                f"{_outline(samples[0])} for the first sample of the batch and "
                f"{_outline(sample)} for sample {place}, counted from 0",
            )


def _outline(sample: Any) -> str:
    size = f" of {len(sample)}" if hasattr(sample, "__len__") else ""
    return f"{type(sample).__name__}{size}"


def _holds_tensor(sample: Any) -> bool:
    if isinstance(sample, Mapping):
        return any(_holds_tensor(part) for part in sample.values())
    if isinstance(sample, (tuple, list)):
        return any(_holds_tensor(part) for part in sample)
    return _is_tensor(sample)


def _is_tensor(value: Any) -> bool:
    # A Tensor can only exist where its module has been imported; asking this way imports nothing.
    module = sys.modules.get("tilewright.autograd.tensor")
    return module is not None and isinstance(value, module.Tensor)
