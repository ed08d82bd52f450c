"""Complex numbers: conjugates, parts, and numbers made of parts.

Gradients are PyTorch's: of a real number L by a complex x, ∂L/∂Re x + i ∂L/∂Im x, twice the derivative by
the conjugate of x in Wirtinger's calculus. It is the direction in which L grows fastest, so that optimisers
go the other way as ever. Through y = f(x) with a holomorphic f it is the gradient of y times conj(dy/dx).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.autograd.tape import Array, Context, X, apply, rule, run
from tilewright.autograd.taped import Taped, is_tensor
from tilewright.errors import DtypeError, ShapeError, describe
from tilewright.op.memory import copy, empty_like

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor


def conjugated(value: Any) -> Any:
    """The conjugate of a complex operand of a gradient; numbers and what is real are handed back."""
    dtype = getattr(value, "dtype", None)
    if dtype is None or dtype.kind != "c":
        return value.conjugate() if type(value) is complex else value
    return apply("conj", value) if isinstance(value, (Taped, np.ndarray)) else value.conjugate()


def _conj_backward(context: Context, gradient: Tensor) -> Tensor:
    return run("conj", gradient)


def _real_backward(context: Context, gradient: Tensor) -> Tensor:
    # Cast to complex, with an imaginary part of 0, where it arrives.
    return gradient


def _imag_backward(context: Context, gradient: Tensor) -> Tensor:
    return gradient * 1j


def _complex_forward(context: Context, real: Array, imag: Array) -> Array:
    found = empty_like(real, dtype=np.dtype(f"c{2 * real.itemsize}"))
    found.real, found.imag = real, imag
    return found


def _complex_backward(context: Context, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
    needs = context.needs
    return (
        run("real", gradient) if needs[0] else None,
        run("imag", gradient) if needs[1] else None,
    )


rule("conj", lambda context, x: np.conjugate(x), _conj_backward, keeps=(), keeps_output=False)
rule("real", lambda context, x: copy(x.real), _real_backward, keeps=(), keeps_output=False)
rule("imag", lambda context, x: copy(x.imag), _imag_backward, keeps=(), keeps_output=False)
rule("complex", _complex_forward, _complex_backward, keeps=(), keeps_output=False)


def conj(input: X) -> X:
    """The conjugate: real − i·imag; real numbers as they are.

    >>> conj(np.array([1 + 2j]))
    array([1.-2.j])
    """
    return run("conj", input) if input.dtype.kind == "c" else input


def real(input: X) -> X:
    """The real part, a copy; real numbers as they are.

    >>> real(np.array([1 + 2j]))
    array([1.])
    """
    return run("real", input) if input.dtype.kind == "c" else input


def imag(input: X) -> X:
    """The imaginary part, a copy.

    Raises:
        DtypeError: the numbers are real.

    >>> imag(np.array([1 + 2j]))
    array([2.])
    """
    if input.dtype.kind != "c":
        raise DtypeError("imag needs complex numbers.", describe(input=input))
    return run("imag", input)


def complex_(real: X, imag: X) -> X:
    """Complex numbers from their parts: PyTorch's ``complex``.

    Args:
        real: float32 or float64.
        imag: of the same shape and dtype.

    Returns:
        complex64 or complex128.

    Raises:
        ShapeError: the shapes differ.
        DtypeError: the dtypes differ, or are others.

    >>> complex_(np.array([1.0]), np.array([2.0]))
    array([1.+2.j])
    """
    for operand in (real, imag):
        if not is_tensor(operand) and not isinstance(operand, np.ndarray):
            raise DtypeError("complex needs Tensors or NumPy arrays.", describe(operand=operand))
    if real.dtype != imag.dtype or real.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise DtypeError("complex needs parts of float32 or of float64.", describe(real=real, imag=imag))
    if real.shape != imag.shape:
        raise ShapeError("complex needs parts of one shape.", describe(real=real, imag=imag))
    found: X = apply("complex", real, imag)
    return found


def without_imaginary(gradient: Tensor, dtype: Any) -> Tensor:
    """A gradient in the dtype of what it is the gradient of: a real operand takes the real part."""
    if gradient.dtype.kind == "c" and dtype.kind != "c":
        gradient = run("real", gradient)
    return gradient if gradient.dtype == dtype else run("cast", gradient, dtype=dtype)
