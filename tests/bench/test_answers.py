"""Right answers pass; one wrong element anywhere that is looked at does not."""

from __future__ import annotations

import numpy as np
import pytest
from bench.fakes import layer_of, pooling, right_answers, task_of, transposed

from tilewright.bench import answers as module
from tilewright.bench.answers import TOLERANCE, difference, expected_parts, fault_in, shapes_of
from tilewright.bench.contestants import DIRECTIONS, Task
from tilewright.bench.layers import Layer
from tilewright.geometry import ConvDims

GEOMETRIES: list[Layer | ConvDims] = [
    ConvDims.of((3, 5, 7, 8), (6, 5, 3, 3), stride=(2, 1), padding=((1, 2), (0, 1))),
    ConvDims.of((2, 6, 9), (9, 2, 4), dilation=2, groups=3, padding=3),
    ConvDims.of((1, 1, 4, 5, 3), (1, 1, 2, 1, 3)),
    ConvDims.of((4, 12, 5, 5), (10, 12, 1, 1)),
    transposed((3, 5, 4, 6), (5, 3, 3, 4), stride=(2, 1), padding=1, output_padding=(1, 0)),
    transposed((2, 6, 9), (6, 2, 4), stride=3, groups=3, dilation=2),
    pooling("max_pool", (3, 5, 9, 8), 3, stride=2, padding=1),
    pooling("avg_pool", (2, 3, 7, 10), (3, 2), stride=2, padding=(1, 0), ceil_mode=True),
    pooling("max_pool", (2, 1, 5, 6, 7), (1, 2, 3), dilation=(1, 2, 1)),
]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("dims", GEOMETRIES, ids=str)
def test_the_definition_s_answers_pass(dims: Layer | ConvDims, direction: str, dtype: str) -> None:
    task = task_of(dims, direction, dtype=dtype)
    assert fault_in(right_answers(task), expected_parts(task), task) == ""


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("dims", GEOMETRIES, ids=str)
def test_one_wrong_value_in_a_checked_part_is_found(dims: Layer | ConvDims, direction: str) -> None:
    task = task_of(dims, direction)
    parts = expected_parts(task)
    assert {part.name for part in parts} == {name for name, _ in shapes_of(task)}
    for part in parts:
        for corner in (0, -1):
            answers = [array.copy() for array in right_answers(task)]
            index = tuple(np.ravel(axis)[corner] for axis in part.index)
            spatial = (corner,) * (answers[part.place].ndim - len(index))
            answers[part.place][*index, *spatial] += 0.01
            fault = fault_in(answers, parts, task)
            assert fault.startswith(f"{part.name} differs from the definition by "), fault
            assert fault.endswith(" of its root mean square")


def test_first_and_last_sample_channel_and_group_are_checked() -> None:
    dims = ConvDims.of((5, 8, 6, 6), (12, 4, 3, 3), groups=2)
    (first, last) = expected_parts(task_of(dims))
    assert np.ravel(first.index[0]).tolist() == [0, 4]
    assert np.ravel(first.index[1]).tolist() == [0, 1, 4, 5]
    assert np.ravel(last.index[1]).tolist() == [6, 7, 10, 11]


# Strides and dilations that leave rows between windows, padding that crops, kernels as tall as the picture.
TALL = [
    ConvDims.of((2, 2, 23, 5), (3, 2, 4, 3), stride=(3, 1), dilation=(2, 1), padding=((2, 5), (1, 0))),
    ConvDims.of((1, 3, 20, 4), (2, 3, 3, 1), stride=(5, 1), padding=((-2, 1), (0, 0))),
    ConvDims.of((1, 1, 30), (1, 1, 29), padding=14),
    transposed((2, 3, 11, 4), (3, 2, 3, 3), stride=(4, 1), padding=1),
    transposed((1, 2, 12), (2, 2, 7), stride=2, dilation=2, padding=3, output_padding=1),
]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("dims", TALL, ids=str)
def test_first_and_last_rows_and_a_few_taps_are_checked_where_all_cost_too_much(
    dims: Layer | ConvDims, direction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BUDGET", 100)
    monkeypatch.setattr(module, "_GRADIENT_BUDGET", 100)
    task = task_of(dims, direction)
    right, parts = right_answers(task), expected_parts(task)
    assert fault_in(right, parts, task) == ""
    for part in parts:
        assert part.expected.size
        for corner in (0, -1):
            spoilt = [array.copy() for array in right]
            index = tuple(np.ravel(axis)[corner] for axis in part.index)
            spoilt[part.place][*index, *(corner,) * (spoilt[part.place].ndim - len(index))] += 0.01
            assert fault_in(spoilt, [part], task).startswith(f"{part.name} differs from the definition by ")
    shapes = dict(shapes_of(task))
    for name in {"y", "gx"} & set(shapes):
        rows = [np.ravel(part.index[2]).tolist() for part in parts if part.name == name]
        assert min(min(band) for band in rows) == 0
        assert max(max(band) for band in rows) == shapes[name][2] - 1
        assert sum(len(band) for band in rows) < shapes[name][2]
    if direction == "backward":
        (part,) = (part for part in parts if part.name == "gw")
        kernel = layer_of(dims).dims.kernel
        assert [np.ravel(taps).tolist() for taps in part.index[2:]] == [
            sorted({0, size // 2, size - 1}) for size in kernel
        ]


def test_a_heavy_layer_is_checked_on_fewer_channels() -> None:
    # 2 · 9 · 512 operations for each of 3,025 outputs: 28 million for one channel of one sample.
    dims = ConvDims.of((1, 512, 57, 57), (32, 512, 3, 3))
    (part,) = expected_parts(task_of(dims))
    assert np.ravel(part.index[1]).tolist() == [0, 31]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_wrong(value: float) -> None:
    task = task_of(GEOMETRIES[0])
    (y,) = right_answers(task)
    y[0, 0, 0, 0] = value
    assert fault_in((y,), expected_parts(task), task) == (
        "y differs from the definition by inf of its root mean square"
    )
    assert difference((y,), right_answers(task), "Other", task) == (
        "y differs from that of Other by inf of its root mean square"
    )


def _wrong_count(task: Task) -> tuple[np.ndarray, ...]:
    return ()


def _wrong_shape(task: Task) -> tuple[np.ndarray, ...]:
    return (right_answers(task)[0][:, :, :-1],)


def _wrong_dtype(task: Task) -> tuple[np.ndarray, ...]:
    return (right_answers(task)[0].astype(np.float64),)


@pytest.mark.parametrize(
    ("answers", "fault"),
    [
        (_wrong_count, "gives 0 arrays instead of 1"),
        (_wrong_shape, "y is float32 of shape (3, 6, 3, 7) instead of float32 (3, 6, 4, 7)"),
        (_wrong_dtype, "y is float64 of shape (3, 6, 4, 7) instead of float32 (3, 6, 4, 7)"),
    ],
)
def test_answers_of_another_form_are_wrong(answers: object, fault: str) -> None:
    task = task_of(GEOMETRIES[0])
    assert callable(answers)
    assert fault_in(answers(task), expected_parts(task), task) == fault


def test_whole_answers_are_compared_everywhere() -> None:
    dims = ConvDims.of((5, 8, 6, 6), (12, 8, 3, 3))
    task = task_of(dims)
    right = right_answers(task)
    spoilt = (right[0].copy(),)
    # A sample and a channel that the definition isn't computed for.
    spoilt[0][2, 5, 1, 1] += 0.01
    assert fault_in(spoilt, expected_parts(task), task) == ""
    assert difference(spoilt, right, "PyTorch", task).startswith("y differs from that of PyTorch by ")
    assert difference(right, right, "PyTorch", task) == ""


def test_a_sum_of_millions_may_be_off_by_more_and_a_missing_product_is_seen() -> None:
    # One line of two million samples, three taps: the gradient of each is a sum of two million products.
    task = task_of(ConvDims.of((1, 1, 2_000_002), (1, 1, 3)), "backward")
    (gx, gw), parts = right_answers(task), expected_parts(task)
    size = float(np.sqrt(np.mean(np.square(gw, dtype=np.float64))))
    for share, right in ((2e-4, True), (3e-4, False)):
        spoilt = gw.copy()
        spoilt[0, 0, 1] += share * size
        assert (fault_in((gx, spoilt), parts, task) == "") is right
    missing = gw.copy()
    missing[0, 0, 1] -= 1
    assert fault_in((gx, missing), parts, task).startswith("gw differs from the definition by ")


def test_a_missing_product_is_seen_in_the_longest_sum_and_rounding_is_not() -> None:
    # The promise in the tolerance's reason, for a weight gradient of 400,000 products.
    count = 400_000
    generator = np.random.default_rng(1)
    a, b = generator.standard_normal((2, count)).astype(np.float32)
    exact = float(a.astype(np.float64) @ b.astype(np.float64))
    size = float(np.sqrt(count))
    naive = float(np.cumsum(a * b, dtype=np.float32)[-1])
    assert abs(naive - exact) / size < TOLERANCE["float32"]
    assert 1.0 / size > 10 * TOLERANCE["float32"]
