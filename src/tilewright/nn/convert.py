"""Changing the dtype of a module's members, and reading the many forms of the argument of ``to``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, describe
from tilewright.nn.arguments import check_device, device_kind, floating_dtype
from tilewright.nn.uninitialized import UninitializedBuffer, UninitializedParameter
from tilewright.op.kinds import DIFFERENTIABLE, REAL

if TYPE_CHECKING:
    from tilewright.nn.module import Module


def read_to_arguments(op: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> np.dtype[Any] | None:
    """The dtype asked for by ``to(dtype)``, ``to(device)``, ``to(device, dtype)`` or ``to(tensor)``, or None.

    Raises:
        ArgumentError: another device than the CPU, or arguments of no known form.
        DtypeError: a dtype that is not floating.
    """
    op = f"{op}.to"
    # These two say how to copy between devices; with one device there is nothing to say.
    others = {name: value for name, value in kwargs.items() if name not in ("non_blocking", "copy")}
    device, dtype = others.pop("device", None), others.pop("dtype", None)
    if others or len(args) > 2:
        raise ArgumentError(
            f"{op} needs a dtype, a device, both, or a Tensor to be like.", describe(args=args, **others)
        )
    for value in args:
        if isinstance(value, Tensor):
            dtype = value.dtype
        elif device_kind(value):
            device = value
        else:
            dtype = value
    check_device(device, op)
    return None if dtype is None else floating_dtype(dtype, op)


def convert_members(modules: Iterable[Module], dtype: np.dtype[Any]) -> None:
    """Give floating parameters, their gradients and floating buffers another dtype, keeping each object.

    Complex ones are left as they are, unless the dtype is another complex one.
    """
    kinds = DIFFERENTIABLE if dtype.kind == "c" else REAL
    for module in modules:
        for member in (*module._parameters.values(), *module._buffers.values()):
            if member is None or member.dtype.kind not in kinds:
                continue
            if isinstance(member, (UninitializedParameter, UninitializedBuffer)):
                member.set_dtype(dtype)
                continue
            member.data = member.data.to(dtype)
            if member.grad is not None:
                member.grad = member.grad.to(dtype)
