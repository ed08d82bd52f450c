"""More smooth activation functions, and softmax's kin: PyTorch's names, order and defaults.

As in :mod:`tilewright.functional.activations`, ``inplace`` is taken for PyTorch's sake, and the input is
never written to. float16 is computed in float32.
"""

from __future__ import annotations

from typing import Any

from tilewright.autograd import rules_smooth as _rules  # noqa: F401 - puts the rules into the table
from tilewright.autograd.checks import axis
from tilewright.autograd.elementwise import sigmoid
from tilewright.autograd.tape import apply
from tilewright.errors import ShapeError, describe
from tilewright.functional.activations import _number, softmax_along
from tilewright.functional.composing import check_floating, composed
from tilewright.functional.halves import takes_halves
from tilewright.functional.operands import Operand
from tilewright.geometry.axes import as_flag
from tilewright.op.smooth import SELU_ALPHA, SELU_SCALE

__all__ = ["celu", "glu", "logsigmoid", "mish", "selu", "softmin", "softsign", "tanhshrink"]


@takes_halves
def selu(input: Operand, inplace: bool = False) -> Any:
    """1.0507 · input where it is above 0, and 1.0507 · 1.6733 · (exp(input) − 1) elsewhere.

    With these numbers (shortened here) the outputs of a layer keep mean 0 and variance 1.

    Klambauer, Unterthiner, Mayr and Hochreiter, "Self-normalizing neural networks", 2017.
    """
    as_flag(inplace, "inplace", "selu")
    drop = SELU_SCALE * SELU_ALPHA
    return apply("exponential_unit", input, scale=SELU_SCALE, drop=drop, width=1.0, op_name="selu")


@takes_halves
def celu(input: Operand, alpha: float = 1.0, inplace: bool = False) -> Any:
    """The input where it is above 0, and alpha · (exp(input/alpha) − 1) elsewhere: smooth at 0.

    Raises:
        ArgumentError: alpha is 0.

    Barron, "Continuously differentiable exponential linear units", 2017.

    >>> import numpy as np
    >>> celu(np.array([-2.0 * np.log(2.0), 3.0]), 2.0)
    array([-1.,  3.])
    """
    as_flag(inplace, "inplace", "celu")
    width = _number("celu", alpha=alpha)
    return apply("exponential_unit", input, scale=1.0, drop=width, width=width, op_name="celu")


@takes_halves
def mish(input: Operand, inplace: bool = False) -> Any:
    """The input times tanh(log(1 + exp(input))).

    Misra, "Mish: a self regularized non-monotonic activation function", 2019.
    """
    as_flag(inplace, "inplace", "mish")
    return apply("mish", input)


@takes_halves
def logsigmoid(input: Operand) -> Any:
    """The logarithm of sigmoid(input), without forming it: nothing is lost where that would be 0.

    >>> import numpy as np
    >>> logsigmoid(np.array([-1000.0]))
    array([-1000.])
    """
    return apply("logsigmoid", input)


@takes_halves
def softsign(input: Operand) -> Any:
    """The input over 1 + |input|.

    >>> import numpy as np
    >>> softsign(np.array([-3.0, 1.0]))
    array([-0.75,  0.5 ])
    """
    return apply("softsign", input)


@takes_halves
def tanhshrink(input: Operand) -> Any:
    """The input minus its hyperbolic tangent."""
    return apply("tanhshrink", input)


@takes_halves
def glu(input: Operand, dim: int = -1) -> Any:
    """The first half of the input along ``dim``, times the sigmoid of the second half.

    Args:
        input: floating array or Tensor, rank ≥ 1.
        dim: an axis of even size; the result has half of it.

    Raises:
        ShapeError: there is no such axis, or its size is odd.
        DtypeError: the input is not floating.

    Dauphin, Fan, Auli and Grangier, "Language modeling with gated convolutional networks", 2017.

    >>> import numpy as np
    >>> glu(np.array([[3.0, 5.0, 0.0, 0.0]]))
    array([[1.5, 2.5]])
    """
    check_floating("glu", input=input)
    along = axis("glu", dim, input.ndim)
    if input.ndim == 0 or input.shape[along] % 2:
        raise ShapeError(
            "glu needs an even size of the axis that it cuts into halves.", describe(input=input, dim=dim)
        )
    half = input.shape[along] // 2

    def gated(x: Any) -> Any:
        return x.narrow(along, 0, half) * sigmoid(x.narrow(along, half, half))

    return composed(gated, input)


def softmin(input: Operand, dim: int | None = None, dtype: Any = None) -> Any:
    """:func:`softmax` of −input: the smallest number gets the largest share.

    Arguments and errors as for :func:`softmax`.

    >>> import numpy as np
    >>> softmin(np.log(np.array([1.0, 2.0, 2.0])), 0)
    array([0.5 , 0.25, 0.25])
    """
    return softmax_along("softmin", input, dim, dtype)
