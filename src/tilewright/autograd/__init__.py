"""Tensors and the tape: automatic differentiation."""

from tilewright.autograd.engine import backward, grad
from tilewright.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from tilewright.autograd.mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from tilewright.autograd.tensor import Size, Tensor

__all__ = [
    "GradcheckError",
    "Size",
    "Tensor",
    "backward",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
]
