"""Adaptive and global pooling: PyTorch's names, order and defaults, and the any-rank forms."""

from __future__ import annotations

from typing import Any

from tilewright.autograd import rules_pool as _rules  # noqa: F401 - puts the rules into the table
from tilewright.autograd.tape import apply
from tilewright.functional.operands import Operand, batched_input
from tilewright.functional.pool_operands import follows, rank_of, with_indices
from tilewright.geometry import AdaptiveDims
from tilewright.geometry.axes import as_flag, as_rank
from tilewright.op.pool_arrays import AVERAGED, COMPARED

__all__ = [
    "adaptive_avg_pool",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool",
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d",
    "adaptive_max_pool3d_with_indices",
    "global_avg_pool",
    "global_max_pool",
]


def adaptive_avg_pool(input: Operand, output_size: Any) -> Any:
    """The means of as many windows as the output is to hold, over any number of spatial axes.

    Along an axis of n samples, window o of m covers the samples ⌊o·n/m⌋ … ⌈(o+1)·n/m⌉ − 1.

    Args:
        input: (batch, channels, *spatial), or (channels, *spatial) when ``output_size`` has one entry per
            spatial axis; halves (added up in float32), float32, float64 or complex numbers.
        output_size: an integer for all axes, or one entry per axis, of which None keeps the input's size.

    Raises:
        ShapeError: a rank that doesn't fit, or an empty spatial axis.
        ArgumentError: ``output_size`` outside its rule.
        DtypeError: ``input`` is of another dtype, or neither an array nor a Tensor.

    >>> import numpy as np
    >>> adaptive_avg_pool(np.arange(5.0)[None, None], 3)
    array([[[0.5, 2. , 3.5]]])
    """
    rank = rank_of("adaptive_avg_pool", input, output_size, "output_size")
    return _adaptive_avg_pool("adaptive_avg_pool", rank, input, output_size)


def adaptive_avg_pool1d(input: Operand, output_size: Any) -> Any:
    """:func:`adaptive_avg_pool` over (batch, channels, length). PyTorch's ``adaptive_avg_pool1d``."""
    return _adaptive_avg_pool("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Operand, output_size: Any) -> Any:
    """:func:`adaptive_avg_pool` over (batch, channels, height, width). PyTorch's ``adaptive_avg_pool2d``."""
    return _adaptive_avg_pool("adaptive_avg_pool2d", 2, input, output_size)


def adaptive_avg_pool3d(input: Operand, output_size: Any) -> Any:
    """:func:`adaptive_avg_pool` over three spatial axes. PyTorch's ``adaptive_avg_pool3d``."""
    return _adaptive_avg_pool("adaptive_avg_pool3d", 3, input, output_size)


def adaptive_max_pool(input: Operand, output_size: Any, return_indices: bool = False) -> Any:
    """The maxima of as many windows as the output is to hold, over any number of spatial axes.

    The windows are those of :func:`adaptive_avg_pool`. NaN wins; ties take the first.

    Args:
        input: as in :func:`adaptive_avg_pool`; integers too.
        output_size: as in :func:`adaptive_avg_pool`.
        return_indices: also give the flat position of each result in its plane (int64).

    Raises:
        ShapeError, ArgumentError, DtypeError: as :func:`adaptive_avg_pool`.

    >>> import numpy as np
    >>> adaptive_max_pool(np.array([[[3, 1, 4, 1, 5]]]), 2, return_indices=True)
    (array([[[4, 5]]]), array([[[2, 4]]]))
    """
    rank = rank_of("adaptive_max_pool", input, output_size, "output_size")
    return _adaptive_max_pool("adaptive_max_pool", rank, input, output_size, return_indices)


def adaptive_max_pool1d(input: Operand, output_size: Any, return_indices: bool = False) -> Any:
    """:func:`adaptive_max_pool` over (batch, channels, length). PyTorch's ``adaptive_max_pool1d``."""
    return _adaptive_max_pool("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Operand, output_size: Any, return_indices: bool = False) -> Any:
    """:func:`adaptive_max_pool` over (batch, channels, height, width). PyTorch's ``adaptive_max_pool2d``."""
    return _adaptive_max_pool("adaptive_max_pool2d", 2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Operand, output_size: Any, return_indices: bool = False) -> Any:
    """:func:`adaptive_max_pool` over three spatial axes. PyTorch's ``adaptive_max_pool3d``."""
    return _adaptive_max_pool("adaptive_max_pool3d", 3, input, output_size, return_indices)


def adaptive_max_pool1d_with_indices(input: Operand, output_size: Any) -> Any:
    """:func:`adaptive_max_pool1d` with ``return_indices=True``, under PyTorch's name for it."""
    return adaptive_max_pool1d(input, output_size, True)


def adaptive_max_pool2d_with_indices(input: Operand, output_size: Any) -> Any:
    """:func:`adaptive_max_pool2d` with ``return_indices=True``, under PyTorch's name for it."""
    return adaptive_max_pool2d(input, output_size, True)


def adaptive_max_pool3d_with_indices(input: Operand, output_size: Any) -> Any:
    """:func:`adaptive_max_pool3d` with ``return_indices=True``, under PyTorch's name for it."""
    return adaptive_max_pool3d(input, output_size, True)


def global_avg_pool(input: Operand, rank: int | None = None) -> Any:
    """The mean of each plane; its axes stay, with one sample each.

    Args:
        input: (batch, channels, *spatial), or (channels, *spatial) where ``rank`` says so.
        rank: the number of spatial axes; all but the first two by default.

    Raises:
        ShapeError, ArgumentError, DtypeError: as :func:`adaptive_avg_pool`.

    >>> import numpy as np
    >>> global_avg_pool(np.arange(8.0).reshape(1, 2, 2, 2)).tolist()
    [[[[1.5]], [[5.5]]]]
    """
    found = _global_rank("global_avg_pool", input, rank)
    return _adaptive_avg_pool("global_avg_pool", found, input, 1)


def global_max_pool(input: Operand, return_indices: bool = False, rank: int | None = None) -> Any:
    """The maximum of each plane; its axes stay, with one sample each. NaN wins; ties take the first.

    Args:
        input: as in :func:`global_avg_pool`; integers too.
        return_indices: also give the flat position of each result in its plane (int64).
        rank: as in :func:`global_avg_pool`.

    Raises:
        ShapeError, ArgumentError, DtypeError: as :func:`adaptive_avg_pool`.

    >>> import numpy as np
    >>> global_max_pool(np.arange(8.0).reshape(1, 2, 2, 2)).tolist()
    [[[[3.0]], [[7.0]]]]
    """
    found = _global_rank("global_max_pool", input, rank)
    return _adaptive_max_pool("global_max_pool", found, input, 1, return_indices)


def _global_rank(op: str, input: Operand, rank: int | None) -> int:
    if rank is not None:
        return as_rank(rank, op)
    return rank_of(op, input, None, "rank")


def _adaptive_avg_pool(op: str, rank: int, input: Operand, output_size: Any) -> Any:
    x, batched = batched_input(op, rank, input, AVERAGED)
    y = apply("adaptive_avg_pool", x, dims=AdaptiveDims.of(x.shape, output_size, op=op), op=op)
    return y if batched else y[0]


def _adaptive_max_pool(op: str, rank: int, input: Operand, output_size: Any, return_indices: bool) -> Any:
    x, batched = batched_input(op, rank, input, COMPARED)
    dims = AdaptiveDims.of(x.shape, output_size, op=op)
    wanted, kept = as_flag(return_indices, "return_indices", op), follows(x)
    result = apply("adaptive_max_pool", x, dims=dims, indices=wanted or kept, op=op)
    return with_indices(result, batched=batched, wanted=wanted, kept=kept)
