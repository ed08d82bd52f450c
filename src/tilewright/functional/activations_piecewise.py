"""Activation functions made of straight or parabolic pieces: PyTorch's names, order and defaults.

As in :mod:`tilewright.functional.activations`, ``inplace`` is taken for PyTorch's sake, and the input is
never written to. float16 is computed in float32.
"""

from __future__ import annotations

from typing import Any

from tilewright.autograd import rules_piecewise as _rules  # noqa: F401 - puts the rules into the table
from tilewright.autograd.operands import raw
from tilewright.autograd.tape import apply
from tilewright.functional.activations import _flag, _number
from tilewright.functional.composing import check_floating
from tilewright.functional.halves import takes_halves
from tilewright.functional.operands import Operand
from tilewright.geometry.axes import as_flag
from tilewright.op.piecewise import check_bounds, check_slopes
from tilewright.op.random import default_generator

__all__ = ["hardshrink", "hardsigmoid", "hardswish", "prelu", "rrelu", "softshrink"]


@takes_halves
def hardsigmoid(input: Operand, inplace: bool = False) -> Any:
    """(input + 3)/6, brought into [0, 1]; the gradient at −3 and 3 is 0.

    Courbariaux, Bengio and David, "BinaryConnect", 2015; with this slope Howard et al., "Searching for
    MobileNetV3", 2019.

    >>> import numpy as np
    >>> hardsigmoid(np.array([-4.0, 0.0, 1.5]))
    array([0.  , 0.5 , 0.75])
    """
    as_flag(inplace, "inplace", "hardsigmoid")
    return apply("hardsigmoid", input)


@takes_halves
def hardswish(input: Operand, inplace: bool = False) -> Any:
    """The input times :func:`hardsigmoid` of it; the gradient is 0 at −3 and 1 at 3.

    Howard et al., "Searching for MobileNetV3", 2019.

    >>> import numpy as np
    >>> hardswish(np.array([-4.0, 1.5, 5.0]))
    array([-0.   ,  1.125,  5.   ])
    """
    as_flag(inplace, "inplace", "hardswish")
    return apply("hardswish", input)


@takes_halves
def hardshrink(input: Operand, lambd: float = 0.5) -> Any:
    """The input where it is outside [−lambd, lambd], and 0 inside.

    >>> import numpy as np
    >>> hardshrink(np.array([-1.0, 0.25, 0.5, 0.75]))
    array([-1.  ,  0.  ,  0.  ,  0.75])
    """
    return apply("hardshrink", input, limit=_number("hardshrink", lambd=lambd))


@takes_halves
def softshrink(input: Operand, lambd: float = 0.5) -> Any:
    """The input brought nearer to 0 by ``lambd``, and 0 where it is within ``lambd`` of 0.

    Raises:
        ArgumentError: lambd is below 0.

    >>> import numpy as np
    >>> softshrink(np.array([-1.0, 0.25, 0.75]))
    array([-0.5 ,  0.  ,  0.25])
    """
    return apply("softshrink", input, limit=_number("softshrink", lambd=lambd))


@takes_halves
def prelu(input: Operand, weight: Operand) -> Any:
    """The input where it is above 0, and weight · input elsewhere, with a weight that is learnt.

    Args:
        input: floating, (batch, channels, ...), or of rank 1 or 0.
        weight: one slope, or one per channel: (channels,). Gradients flow to it.

    Raises:
        ShapeError: the weight has another shape.
        DtypeError: dtypes differ or are not floating.

    He, Zhang, Ren and Sun, "Delving deep into rectifiers", 2015.

    >>> import numpy as np
    >>> prelu(np.array([[-2.0, -2.0, 3.0]]), np.array([0.5, 0.25, 0.0]))
    array([[-1. , -0.5,  3. ]])
    """
    check_slopes(raw(input), raw(weight))
    rank = input.ndim
    shape = (1, -1, *([1] * (rank - 2))) if rank > 1 else (1,) * rank
    return apply("prelu", input, weight.reshape(shape))


@takes_halves
def rrelu(
    input: Operand,
    lower: float = 1.0 / 8.0,
    upper: float = 1.0 / 3.0,
    training: bool = False,
    inplace: bool = False,
) -> Any:
    """The input where it is above 0, and elsewhere the input times a slope.

    In training the slope of each element is drawn anew, evenly from ``lower`` to ``upper``, by the library's
    generator (:func:`tilewright.manual_seed` makes it repeat); otherwise it is their mean.

    Raises:
        ArgumentError: a bound is not finite, or lower > upper.

    Xu, Wang, Chen and Li, "Empirical evaluation of rectified activations in convolutional network", 2015.

    >>> import numpy as np
    >>> rrelu(np.array([-2.0, 3.0]), 0.25, 0.75)
    array([-1.,  3.])
    """
    as_flag(inplace, "inplace", "rrelu")
    least, most = _number("rrelu", lower=lower), _number("rrelu", upper=upper)
    check_bounds(least, most)
    check_floating("rrelu", input=input)
    if not _flag("rrelu", training=training):
        return apply("leaky_relu", input, slope=(least + most) / 2.0)
    slopes = default_generator.uniform(tuple(input.shape), input.dtype, least, most)
    return apply("prelu", input, slopes)
