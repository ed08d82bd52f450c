"""Contestants whose answers and speed are made up, a clock that they move, and rows without a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tilewright import reference
from tilewright.bench.cases import Case
from tilewright.bench.contestants import OURS, Prepared, Task, Unable
from tilewright.bench.harness import Settings
from tilewright.bench.layers import Layer
from tilewright.bench.report import Machine, Report
from tilewright.bench.results import OK, Result, Row
from tilewright.bench.roofs import Roofs
from tilewright.bench.timing import Effort, Timing
from tilewright.geometry import ConvDims, PoolDims
from tilewright.reference import pool as pools

SMALL = ConvDims.of((2, 3, 6, 5), (4, 3, 3, 3), stride=(2, 1), padding=1)
SMALL_CASE = Case("net/small", Layer("conv", SMALL))
# Three rounds whatever they take.
SHORT = Effort(rounds=3, seconds=0.0, block=0.0)
ROOFS = Roofs("float32", "avx2", {1: 100e9, 2: 200e9}, {1: 20e9, 2: 25e9}, 128 << 20)


@dataclass
class Clock:
    """Time that passes only when somebody says so."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Fake:
    """A contestant that answers by the definition, after `seconds` of the clock's time.

    `spoil` changes the answers; `reason` makes it unable; `error` is raised by every call from `fails_at` on.
    """

    name: str
    clock: Clock
    seconds: float = 1.0
    package: str = ""
    spoil: Callable[[tuple[np.ndarray, ...]], tuple[np.ndarray, ...]] = lambda answers: answers
    reason: str = ""
    absent: str = ""
    error: BaseException | None = None
    fails_at: int = 1
    calls: int = 0
    tasks: list[Task] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.package = self.package or self.name

    def version(self) -> str:
        if self.absent:
            raise Unable(self.absent)
        return "1.0"

    def prepare(self, task: Task) -> Prepared:
        self.tasks.append(task)
        if self.reason:
            raise Unable(self.reason)
        answers = right_answers(task)

        def call() -> Any:
            self.calls += 1
            self.clock.now += self.seconds
            if self.error is not None and self.calls >= self.fails_at:
                raise self.error
            return answers

        return Prepared(call, self.spoil)


def right_answers(task: Task) -> tuple[np.ndarray, ...]:
    """By the definition in float64, rounded once."""
    x, w, gy = (array.astype(np.float64) for array in (task.x, task.w, task.gy))
    found: tuple[np.ndarray, ...]
    if task.layer.is_pool:
        found = (_pooled(task, x, gy),)
    elif task.layer.is_transposed and task.direction == "forward":
        found = (reference.conv.data_gradient(task.dims, x, w),)
    elif task.layer.is_transposed:
        found = (reference.conv.forward(task.dims, gy, w), reference.conv.weight_gradient(task.dims, gy, x))
    elif task.direction == "forward":
        found = (reference.conv.forward(task.dims, x, w),)
    else:
        found = (
            reference.conv.data_gradient(task.dims, gy, w),
            reference.conv.weight_gradient(task.dims, x, gy),
        )
    return tuple(array.astype(task.x.dtype) for array in found)


def _pooled(task: Task, x: np.ndarray, gy: np.ndarray) -> np.ndarray:
    dims, forward = task.layer.pool, task.direction == "forward"
    if task.layer.operation == "max_pool":
        y, positions = pools.max_pool(dims, x)
        return y if forward else pools.max_pool_gradient(dims, gy, positions)
    return pools.avg_pool(dims, x) if forward else pools.avg_pool_gradient(dims, gy)


def layer_of(layer: Layer | ConvDims) -> Layer:
    """Tests of plain convolutions give their geometry alone."""
    return layer if isinstance(layer, Layer) else Layer("conv", layer)


def transposed(*shapes: tuple[int, ...], **arguments: Any) -> Layer:
    return Layer("conv_transpose", ConvDims.of_transposed(*shapes, **arguments))


def pooling(operation: str, *arguments: Any, **more: Any) -> Layer:
    return Layer(operation, PoolDims.of(*arguments, **more))


def task_of(
    what: Layer | ConvDims, direction: str = "forward", threads: int = 1, dtype: str = "float32"
) -> Task:
    layer = layer_of(what)
    generator = np.random.default_rng(5)
    shapes = (layer.input_shape, layer.weight_shape, layer.output_shape)
    x, w, gy = (generator.standard_normal(shape).astype(dtype) for shape in shapes)
    if layer.weights == "same":
        w = np.repeat(w[:1], len(w), axis=0)
    if layer.weights == "separable":
        vectors = [generator.standard_normal(size) for size in layer.weight_shape[2:]]
        kernel = np.ones(())
        for vector in vectors:
            kernel = np.multiply.outer(kernel, vector)
        w = np.repeat(kernel[None, None].astype(dtype), len(w), axis=0)
    return Task(layer, direction, threads, x, w, gy)


def timing(seconds: float) -> Timing:
    return Timing(seconds, 0.9 * seconds, 0.05, 5, 1)


def result(name: str, seconds: float | None, status: str = OK, note: str = "", package: str = "") -> Result:
    own = OURS if name.startswith(OURS) else name.removesuffix(" channels-last")
    return Result(name, package or own, "1.0", status, note, None if seconds is None else timing(seconds))


def row(
    *results: Result,
    dims: Layer | ConvDims = SMALL,
    name: str = "net/small",
    direction: str = "forward",
    threads: int = 1,
    families: tuple[str, ...] = ("direct",),
    fma: float | None = 100e9,
    copy: float | None = 20e9,
    layout: str = "nchw",
    dtype: str = "float32",
) -> Row:
    return Row(name, layer_of(dims), direction, threads, dtype, families, fma, copy, results, layout)


MACHINE = Machine(
    {"name": "A processor", "architecture": "x86_64", "features": ["avx2", "fma"], "cores": 2},
    "Linux 6",
    {"tilewright": "0.1", "PyTorch": "2.13"},
    {"JAX": "the package jax isn't installed"},
    ROOFS,
    "2026-01-02 03:04",
)


def report(*rows: Row, **changed: Any) -> Report:
    return Report(MACHINE, Settings((1,), **changed), rows, len(rows))
