"""Halves, complex numbers, integers and missing samples against PyTorch: 560 random cases.

Halves are compared with what PyTorch gives in float64, rounded; integers with PyTorch's where it has the
operation for them, and with its int64 reduced to the dtype's range where it doesn't.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import conv_dims
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from samples_of_dtypes import HALVES, INTEGERS, dtype_named, sample, tolerance, wide

import tilewright as tw
import tilewright.functional as F
from tilewright.geometry import ConvDims

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")
import torch.nn.functional as TF  # noqa: E402 - after the skip

# Its threads cost more than these small arrays do.
torch.set_num_threads(1)

_DIMS = conv_dims(ranks=(1, 3), cropping=False, input_dilation=False, symmetric=True)
_FLOATING = st.sampled_from([*HALVES, "complex128", "complex64"])
# Sums of up to some hundred products of order 1.
_SIZE = 30.0
_SAME_SUM = {"rtol": 1e-10, "atol": 1e-10, "reason": "the same sum in another order, float64"}


def _arguments(dims: ConvDims) -> dict[str, Any]:
    return {
        "stride": dims.stride,
        "padding": tuple(low for low, _ in dims.padding),
        "dilation": dims.dilation,
        "groups": dims.groups,
    }


def _compare(name: str, function: str, operands: list[Any], arguments: dict[str, Any], upstream: int) -> None:
    """Output and gradients of both on the same numbers: ours in their dtype, PyTorch's in a wider one."""
    ours = [tw.tensor(x, requires_grad=True) for x in operands]
    theirs = [torch.tensor(wide(x), requires_grad=True) for x in operands]
    y = getattr(F, function)(*ours, **arguments)
    z = getattr(TF, function)(*theirs, **arguments)
    _close(name, y, z)
    gradient = sample(tuple(y.shape), upstream, name)
    y.backward(tw.tensor(gradient))
    z.backward(torch.tensor(wide(gradient)))
    for mine, other in zip(ours, theirs, strict=True):
        _close(name, mine.grad, other.grad)


def _close(name: str, ours: Any, theirs: Any) -> None:
    found = ours.numpy(force=True)
    assert found.dtype == dtype_named(name)
    assert_same(wide(found), theirs.detach().resolve_conj(), **tolerance(name, _SIZE))


@given(_DIMS, _FLOATING)
@settings(max_examples=160)
def test_conv(dims: ConvDims, name: str) -> None:
    shapes = dims.input_shape, dims.weight_shape, (dims.out_channels,)
    operands = [sample(shape, seed, name) for seed, shape in enumerate(shapes)]
    _compare(name, f"conv{dims.rank}d", operands, _arguments(dims), 7)


@given(_DIMS, _FLOATING)
@settings(max_examples=100)
def test_conv_transpose(dims: ConvDims, name: str) -> None:
    back = tuple(
        (n - 1) * s - low - high + reach + 1
        for n, s, (low, high), reach in zip(dims.output, dims.stride, dims.padding, dims.reach, strict=True)
    )
    assume(min(back) >= 1)  # PyTorch refuses an empty output
    shapes = dims.output_shape, dims.weight_shape, (dims.in_channels,)
    operands = [sample(shape, seed, name) for seed, shape in enumerate(shapes)]
    _compare(name, f"conv_transpose{dims.rank}d", operands, _arguments(dims), 7)


@given(st.lists(st.integers(0, 5), max_size=3), st.integers(1, 40), st.integers(1, 9), _FLOATING)
@settings(max_examples=60)
def test_linear(lead: list[int], inputs: int, outputs: int, name: str) -> None:
    shapes = (*lead, inputs), (outputs, inputs), (outputs,)
    _compare(name, "linear", [sample(shape, seed, name) for seed, shape in enumerate(shapes)], {}, 7)


@given(_DIMS, st.sampled_from([n for n in INTEGERS if n not in ("uint16", "uint32", "uint64")]))
@settings(max_examples=80)
def test_integers(dims: ConvDims, name: str) -> None:
    shapes = dims.input_shape, dims.weight_shape, (dims.out_channels,)
    operands = [sample(shape, seed, name) for seed, shape in enumerate(shapes)]
    y = getattr(F, f"conv{dims.rank}d")(*operands, **_arguments(dims))
    # PyTorch dilates no kernels of integers, so zeros stand between the taps.
    spread = np.zeros((*dims.weight_shape[:2], *(reach + 1 for reach in dims.reach)), name)
    spread[(slice(None), slice(None), *(slice(None, None, d) for d in dims.dilation))] = operands[1]
    given = [torch.tensor(operand) for operand in (operands[0], spread, operands[2])]
    z = getattr(TF, f"conv{dims.rank}d")(*given, **{**_arguments(dims), "dilation": 1})
    exact = {"rtol": 0, "atol": 0, "reason": "exact modulo the range of the dtype"}
    assert_same(y, z, **exact)
    gy, w = sample(dims.output_shape, 3, name), operands[1]
    ours = getattr(F, f"conv_transpose{dims.rank}d")(gy, w, **_arguments(dims))
    assume(min(ours.shape) >= 1)
    # PyTorch has this for int64 alone.
    wider = [torch.tensor(operand.astype(np.int64)) for operand in (gy, spread)]
    theirs = getattr(TF, f"conv_transpose{dims.rank}d")(*wider, **{**_arguments(dims), "dilation": 1})
    assert_same(ours, theirs.numpy().astype(name), **exact)


@given(
    st.tuples(*[st.integers(-1, 3)] * 4),
    st.sampled_from(["constant", "reflect", "replicate", "circular"]),
    _FLOATING,
)
@settings(max_examples=60)
def test_pad_unfold_and_average(pads: tuple[int, ...], mode: str, name: str) -> None:
    x = sample((2, 3, 5, 6), 1, name)
    _compare(name, "pad", [x], {"pad": pads, "mode": mode}, 2)
    window = {"kernel_size": (2, 3), "stride": (1, 2), "padding": (max(pads[0], 0) % 2, max(pads[1], 0) % 2)}
    _compare(name, "unfold", [x], window, 3)
    if name in HALVES:
        _compare(name, "avg_pool2d", [x], {**window, "count_include_pad": pads[2] > 0}, 4)
        return
    # PyTorch has no average of complex numbers, but of their parts.
    y = F.avg_pool2d(x, **window)
    for part in ("real", "imag"):
        theirs = TF.avg_pool2d(torch.tensor(getattr(wide(x), part)), **window)
        assert_same(
            getattr(wide(y), part), theirs, **tolerance("float32" if name == "complex64" else "float64")
        )


@given(_DIMS, st.sampled_from(["count", "weights"]), st.floats(0.05, 0.95), st.booleans())
@settings(max_examples=100)
def test_masked(dims: ConvDims, mode: str, share: float, per_channel: bool) -> None:
    """Partial convolution as its authors compute it: plain convolutions of what is there, and of the mask."""
    channels = dims.in_channels if per_channel else 1
    there = np.random.default_rng(1).random((dims.batch, channels, *dims.spatial)) < share
    x, w, b = (
        sample(shape, seed, "float64")
        for seed, shape in enumerate([dims.input_shape, dims.weight_shape, (dims.out_channels,)])
    )
    ours = [tw.tensor(operand, requires_grad=True) for operand in (np.where(there, x, np.nan), w, b)]
    theirs = [torch.tensor(operand, requires_grad=True) for operand in (np.where(there, x, 0.0), w, b)]
    conv, arguments = getattr(TF, f"conv{dims.rank}d"), _arguments(dims)
    y = getattr(F, f"conv{dims.rank}d")(*ours, **arguments, mask=there, normalize=mode)
    m = torch.tensor(np.broadcast_to(there, dims.input_shape).astype(float))
    size = theirs[1].abs() if mode == "weights" else torch.ones_like(theirs[1])
    met = conv(m, size, **arguments)
    # Where nothing is met, nothing is made up for.
    none = met < 1e-12
    whole = size.sum(tuple(range(1, size.ndim))).reshape(-1, *(1,) * dims.rank)
    ratio = torch.where(none, 0.0, whole / torch.where(none, 1.0, met))
    z = conv(theirs[0] * m, theirs[1], **arguments) * ratio + theirs[2].reshape(-1, *(1,) * dims.rank)
    # Few weights among many are made up for many times over, and so are roundings.
    close = {"rtol": 1e-9, "atol": 1e-8, "reason": "the same sums in another order, float64, times a ratio"}
    assert_same(y, z, **close)
    gradient = sample(tuple(y.shape), 5, "float64")
    y.backward(tw.tensor(gradient))
    z.backward(torch.tensor(gradient))
    for mine, other in zip(ours, theirs, strict=True):
        assert_same(mine.grad, other.grad, **close)


def test_gradients_of_complex_gradients() -> None:
    for seed, (groups, stride) in enumerate([(1, 1), (2, 2), (1, 3)]):
        operands = [
            sample(shape, seed, "complex128") for shape in ((2, 4, 7, 6), (4, 4 // groups, 3, 2), (4,))
        ]
        ours = [tw.tensor(x, requires_grad=True) for x in operands]
        theirs = [torch.tensor(x, requires_grad=True) for x in operands]
        for module, framework, leaves in ((F, tw, ours), (TF, torch, theirs)):
            y = module.conv2d(*leaves, stride=stride, padding=1, groups=groups)
            first = framework.autograd.grad((y.abs() ** 2).sum(), leaves[:2], create_graph=True)
            sum((g * g * g.conj()).abs().sum() for g in first).backward()
        for mine, other in zip(ours, theirs, strict=True):
            relative = {"rtol": 1e-10, "atol": 1e-10 * float(other.grad.abs().max())}
            assert_same(mine.grad, other.grad.resolve_conj(), **relative, reason="chains of the same sums")
