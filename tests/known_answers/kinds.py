"""Operands of one kind, and a comparison that also asks for the same kind back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from compare import assert_same

import tilewright as tw

#: Every product and sum in most of these answers is a small whole number, a half or a quarter.
EXACT = "such small numbers are exact in binary, whatever the order of the sums"


@dataclass(frozen=True)
class Kind:
    """NumPy arrays or Tensors, of one dtype."""

    is_tensor: bool
    dtype: type[np.floating[Any]]

    def __str__(self) -> str:
        return f"{'Tensor' if self.is_tensor else 'array'}-{self.dtype.__name__}"

    def __call__(self, values: npt.ArrayLike) -> Any:
        """The values as an operand of this kind."""
        array = np.array(values, dtype=self.dtype)
        return tw.from_numpy(array) if self.is_tensor else array

    def plane(self, values: npt.ArrayLike) -> Any:
        """Spatial values with a batch of one and one channel in front."""
        return self(np.asarray(values)[None, None])

    def check(
        self, actual: Any, expected: npt.ArrayLike, *, within: float = 0.0, reason: str = EXACT
    ) -> None:
        """Fail unless ``actual`` is of this kind and holds the expected values."""
        assert isinstance(actual, tw.Tensor if self.is_tensor else np.ndarray), type(actual)
        assert_same(actual, np.array(expected, dtype=self.dtype), rtol=0, atol=within, reason=reason)

    def check_plane(self, actual: Any, expected: npt.ArrayLike, **settings: Any) -> None:
        """:meth:`check` of a result with a batch of one and one channel in front."""
        self.check(actual, np.asarray(expected)[None, None], **settings)


KINDS = [Kind(is_tensor, dtype) for is_tensor in (False, True) for dtype in (np.float32, np.float64)]


def differentiable(values: npt.ArrayLike) -> tw.Tensor:
    """A float64 Tensor that collects its gradient."""
    return tw.tensor(np.array(values, dtype=np.float64), requires_grad=True)


def gradient(tensor: tw.Tensor) -> npt.NDArray[Any]:
    """The gradient that a Tensor has collected."""
    assert tensor.grad is not None
    return tensor.grad.numpy()
