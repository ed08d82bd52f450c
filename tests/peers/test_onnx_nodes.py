"""ONNX's own cases of its operators: every one that is about what this library does, or why not.

ONNX keeps for each operator (but GlobalLpPool) nodes with inputs and the outputs that its definition gives.
``onnx_nodes`` turns a node into a call; each case then runs and agrees, or stands below with its reason.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from onnx_nodes import CALLS, Node, NotOfferedError, run

from tilewright.errors import TilewrightError

onnx = pytest.importorskip("onnx", reason="ONNX is not installed: pip install 'onnx>=1.23,<1.24'")
if not onnx.__version__.startswith("1.23."):
    pytest.skip(f"the lists are those of ONNX 1.23, not {onnx.__version__}", allow_module_level=True)

# A case is listed by its name without "test_", or by a pattern for several.
_OTHER_COORDINATES = "coordinates that PyTorch's interpolate, and so ours, hasn't"
_PART = (
    "puts the last corner between two samples where the scale gives no whole number; PyTorch's and ours don't"
)
_ROUNDED = "keeps a scale that gives no whole number of samples, and rounds these up"
_ENDS = (
    "counts samples at the ends for those outside; PyTorch's, Pillow's and ours average over what there is"
)
_FIRST = "takes the first sample where one is asked for; PyTorch's and ours, the middle"
_KERNEL = "cubics of another steepness, cut off at the ends: those of PyTorch's and ours have a = -3/4"
LISTED = {
    r"training_dropout_default(_mask)?": "draws with NumPy's old generator",
    r"training_dropout(_mask)?": "draws with NumPy's old generator",
    r"resize_downsample_scales_(linear|cubic)_align_corners": _PART,
    r"resize_downsample_sizes_nearest_not_smaller": _ROUNDED,
    r"resize_downsample_(scales|sizes)_(linear|cubic)_antialias": _ENDS,
    r"resize_(up|down)sample_scales_cubic_A_n0p5_exclude_outside": _KERNEL,
    r"resize_upsample_scales_cubic_asymmetric": _OTHER_COORDINATES,
    r"resize_tf_crop_and_resize(_extrapolation_value|_axes_2_3|_axes_3_2)?": _OTHER_COORDINATES,
    r"resize_upsample_sizes_nearest_floor_align_corners": _OTHER_COORDINATES,
    r"resize_upsample_sizes_nearest_round_prefer_ceil_asymmetric": _OTHER_COORDINATES,
    r"resize_upsample_sizes_nearest_ceil_half_pixel": _OTHER_COORDINATES,
    r"resize_(up|down)sample_scales_linear_half_pixel_symmetric": _OTHER_COORDINATES,
    r"resize_downsample_sizes_linear_pytorch_half_pixel": _FIRST,
}
# Operators of the same field without a call.
OTHER_OPERATORS = {
    "DeformConv": "windows whose samples lie where another input says are not offered",
    "QLinearConv": "quantised: scales and zero points of the output",
    "QLinearMatMul": "quantised: scales and zero points of the output",
    "MatMulInteger": "quantised: a product of whole numbers, which is no layer here",
}
_FIELD = re.compile(
    r"Conv|Pool|Pad|Resize|Normalization|LRN|Gemm|MatMul|[Ss]oftmax|Loss|elu|Elu|Sigmoid|Swish|Col2Im|Depth"
)
# Their definition has more outputs, which a gradient would use: mean and 1/deviation.
_FIRST_OUTPUT = {"LayerNormalization"}

_FLOAT32 = {"rtol": 1e-5, "atol": 2e-6, "reason": "sums of float32 in another order, near 0 at times"}
_FLOAT16 = {"rtol": 2e-3, "atol": 1e-3, "reason": "roundings to 11 or 8 bits"}
_ROUGH = {"rtol": 1e-3, "atol": 1e-6, "reason": "expected values are written down with four digits"}
_ROUGHLY_GIVEN = {"averagepool_2d_ceil_last_window_starts_on_pad"}


def _inputs(node: Any, given: Any) -> tuple[Any, ...]:
    """Those that a node names with nothing are left out of the data."""
    rest = iter(given)
    return tuple(next(rest) if name else None for name in node.input)


@pytest.fixture(scope="module")
def collected() -> dict[str, list[tuple[str, Node, Any]]]:
    """By operator: name, node and expected outputs of its cases."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the packages that make other operators' cases
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases(None)
    found: dict[str, list[tuple[str, Node, Any]]] = {}
    for case in cases:
        # The same data once more, for an operator written out in others: a test of that writing.
        if "_expanded" in case.name:
            continue
        (node,) = case.model.graph.node
        attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        for inputs, outputs in case.data_sets:
            ours = Node(node.op_type, attributes, _inputs(node, inputs), len(node.output))
            found.setdefault(node.op_type, []).append((case.name.removeprefix("test_"), ours, outputs))
    return found


def _listed(name: str) -> str | None:
    """The pattern that lists this case."""
    return next((pattern for pattern in LISTED if re.fullmatch(pattern, name)), None)


def _check(name: str, node: Node, expected: Any) -> None:
    found = run(node)
    assert len(found) == (1 if node.op in _FIRST_OUTPUT else len(expected)), name
    for ours, theirs in zip(found, expected, strict=False):
        tolerance: dict[str, Any] = _FLOAT16 if theirs.dtype.itemsize == 2 else _FLOAT32
        tolerance = (_ROUGH if name in _ROUGHLY_GIVEN else tolerance).copy()
        tolerance["reason"] = f"{name}: {tolerance['reason']}"
        assert_same(np.asarray(ours), np.asarray(theirs), **tolerance)


@pytest.mark.parametrize("op", sorted(CALLS))
def test_cases(collected: dict[str, list[tuple[str, Node, Any]]], op: str) -> None:
    cases = [case for case in collected[op] if _listed(case[0]) is None]
    assert cases
    for case in cases:
        _check(*case)


def test_every_listed_case_is_there_and_does_not_pass(
    collected: dict[str, list[tuple[str, Node, Any]]],
) -> None:
    used = set()
    for op in CALLS:
        for case in collected[op]:
            pattern = _listed(case[0])
            if pattern is not None:
                used.add(pattern)
                with pytest.raises((NotOfferedError, TilewrightError, AssertionError)):
                    _check(*case)
    assert used == set(LISTED)
    assert all(LISTED.values())


def test_count(collected: dict[str, list[tuple[str, Node, Any]]]) -> None:
    cases = [name for op in CALLS for name, _, _ in collected[op]]
    listed = sum(_listed(name) is not None for name in cases)
    assert (len(cases) - listed, listed) == (334, 24)


def test_operators_without_a_call_are_listed(collected: dict[str, list[tuple[str, Node, Any]]]) -> None:
    assert {op for op in collected if _FIELD.search(op)} - set(CALLS) == set(OTHER_OPERATORS)
    assert all(OTHER_OPERATORS.values())
