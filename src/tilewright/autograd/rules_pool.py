"""Rules of Lp pooling, adaptive pooling and unpooling; max and average pooling stand with the other windows.

Averages and what moves samples about are linear, and each comes with its adjoint, whose adjoint it is. The
gradient of Lp pooling,

    g_x = rising(x) · A*(g_y · falling(y)),   rising(x) = x^(p−1),  falling(y) = |y|^(1−p),

with A the sums over windows and A* their adjoint, is computed in one go; its own gradient is made of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.autograd.tape import Array, Context, apply, apply_to_tensors, rule
from tilewright.op import adaptive_pool as adaptive_op
from tilewright.op import lp_pool as lp_op
from tilewright.op import planes as planes_op
from tilewright.op.powers import is_odd, signed_power

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

Gradients = tuple["Tensor | None", ...]


# --- Lp pooling --------------------------------------------------------------------------------------------


def _signed_power(context: Context, x: Array, *, exponent: float, odd: bool, at_zero: float) -> Array:
    found = signed_power(x, exponent, odd, at_zero)
    return found.copy() if found is x else found


def _signed_power_backward(context: Context, gradient: Tensor) -> Tensor:
    exponent: float = context.attributes["exponent"]
    if exponent == 0:
        return gradient * 0.0
    return gradient * _power(context.input(0), exponent - 1, not context.attributes["odd"]) * exponent


def _power(x: Tensor, exponent: float, odd: bool, at_zero: float = 1.0) -> Tensor:
    return apply_to_tensors("signed_power", x, exponent=exponent, odd=odd, at_zero=at_zero)


def _lp_pool(context: Context, x: Array, **attributes: Any) -> Array:
    return lp_op.lp_pool(attributes.pop("dims"), x, **attributes)


def _lp_pool_backward(context: Context, gradient: Tensor) -> Tensor:
    return apply_to_tensors(
        "lp_pool_gradient", gradient, context.input(0), context.output(), **context.attributes
    )


def _lp_pool_gradient(context: Context, gy: Array, x: Array, y: Array, **attributes: Any) -> Array:
    return lp_op.lp_pool_gradient(attributes.pop("dims"), gy, x, y, **attributes)


def _lp_pool_gradient_backward(context: Context, gg: Tensor) -> Gradients:
    dims, op, p = (context.attributes[name] for name in ("dims", "op", "norm_type"))
    gy, x, y = (context.input(number) for number in range(3))
    needs, odd = context.needs, is_odd(p)
    # What lp_op.rising and lp_op.falling give, and their derivatives.
    rising, falling = _power(x, p - 1, not odd), _power(y, 1 - p, False, 0.0)
    for_gy = for_x = for_y = None
    if needs[0] or needs[2]:
        seen = _sums("avg_pool", gg * rising, dims, op)
        for_gy = seen * falling if needs[0] else None
        if needs[2] and p != 1:
            for_y = gy * seen * _power(y, -p, True) * (1 - p)
    if needs[1] and p != 1:
        curve = _power(x, p - 2, odd) * (p - 1)
        for_x = gg * curve * _sums("avg_pool_gradient", gy * falling, dims, op)
    return for_gy, for_x, for_y


def _sums(name: str, x: Tensor, dims: Any, op: str) -> Tensor:
    """Sums over windows, or their adjoint: means that count padding, times the samples of a full window."""
    mean = apply_to_tensors(name, x, dims=dims, count_include_pad=True, divisor=None, op=op)
    return mean * float(dims.taps)


rule("signed_power", _signed_power, _signed_power_backward, keeps=(0,), keeps_output=False)
rule("lp_pool", _lp_pool, _lp_pool_backward, keeps=(0,))
rule("lp_pool_gradient", _lp_pool_gradient, _lp_pool_gradient_backward, keeps_output=False)


# --- adaptive pooling --------------------------------------------------------------------------------------


def _adaptive_avg_pool(context: Context, x: Array, *, dims: Any, op: str) -> Array:
    return adaptive_op.adaptive_avg_pool(dims, x, op=op)


def _adaptive_avg_pool_backward(context: Context, gradient: Tensor) -> Tensor:
    return apply_to_tensors("adaptive_avg_pool_gradient", gradient, **context.attributes)


def _adaptive_avg_pool_gradient(context: Context, gy: Array, *, dims: Any, op: str) -> Array:
    return adaptive_op.adaptive_avg_pool_gradient(dims, gy, op=op)


def _adaptive_avg_pool_gradient_backward(context: Context, gradient: Tensor) -> Tensor:
    return apply_to_tensors("adaptive_avg_pool", gradient, **context.attributes)


def _adaptive_max_pool(context: Context, x: Array, *, dims: Any, indices: bool, op: str) -> Any:
    y, found = adaptive_op.adaptive_max_pool(dims, x, indices=indices, op=op)
    context.save(indices=found)
    return y if found is None else (y, found)


def _adaptive_max_pool_backward(context: Context, gradient: Tensor, *unused: Any) -> Tensor:
    spatial, op = context.attributes["dims"].spatial, context.attributes["op"]
    return apply_to_tensors(
        "add_to_planes", gradient, spatial=spatial, indices=context.saved["indices"], op=op
    )


def _add_to_planes(
    context: Context, gy: Array, *, spatial: tuple[int, ...], indices: Array, op: str
) -> Array:
    return planes_op.add_to_planes(spatial, gy, indices, op=op)


def _add_to_planes_backward(context: Context, gradient: Tensor) -> Tensor:
    return apply_to_tensors("take_from_planes", gradient, **context.attributes)


def _take_from_planes(
    context: Context, x: Array, *, spatial: tuple[int, ...], indices: Array, op: str
) -> Array:
    return planes_op.take_from_planes(x, indices, op=op)


def _take_from_planes_backward(context: Context, gradient: Tensor) -> Tensor:
    return apply_to_tensors("add_to_planes", gradient, **context.attributes)


rule(
    "adaptive_avg_pool",
    _adaptive_avg_pool,
    _adaptive_avg_pool_backward,
    keeps=(),
    keeps_output=False,
)
rule(
    "adaptive_avg_pool_gradient",
    _adaptive_avg_pool_gradient,
    _adaptive_avg_pool_gradient_backward,
    keeps=(),
    keeps_output=False,
)
rule("adaptive_max_pool", _adaptive_max_pool, _adaptive_max_pool_backward, keeps=(), keeps_output=False)
rule("add_to_planes", _add_to_planes, _add_to_planes_backward, keeps=(), keeps_output=False)
rule("take_from_planes", _take_from_planes, _take_from_planes_backward, keeps=(), keeps_output=False)


# --- unpooling ---------------------------------------------------------------------------------------------
# The indices are an operand, so that a later write to them is noticed.


def _put_into_planes(
    context: Context, x: Array, indices: Array, *, spatial: tuple[int, ...], op: str
) -> Array:
    return planes_op.put_into_planes(spatial, x, indices, op=op)


def _put_into_planes_backward(context: Context, gradient: Tensor) -> Gradients:
    found = apply("take_what_was_put", gradient, context.operand(1), **context.attributes)
    return found, None


def _take_what_was_put(
    context: Context, gy: Array, indices: Array, *, spatial: tuple[int, ...], op: str
) -> Array:
    return planes_op.take_what_was_put(gy, indices, op=op)


def _take_what_was_put_backward(context: Context, gradient: Tensor) -> Gradients:
    # Among those that share a place only the last has a gradient, and only the last is put there.
    return apply("put_into_planes", gradient, context.operand(1), **context.attributes), None


rule("put_into_planes", _put_into_planes, _put_into_planes_backward, keeps=(1,), keeps_output=False)
rule("take_what_was_put", _take_what_was_put, _take_what_was_put_backward, keeps=(1,), keeps_output=False)
