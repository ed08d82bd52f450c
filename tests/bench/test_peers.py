"""The peers compute the same thing as the definition, or say why they can't."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench.fakes import pooling, task_of, transposed

from tilewright.bench.answers import expected_parts, fault_in
from tilewright.bench.contestants import Contestant, Unable
from tilewright.bench.layers import Layer
from tilewright.bench.peers import NAMES, Jax, OnnxRuntime, OpenCV, OpenVino, PyTorch, SciPy, named
from tilewright.errors import ArgumentError
from tilewright.geometry import ConvDims

PLAIN = ConvDims.of((3, 4, 9, 8), (6, 4, 3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2))
GROUPS = ConvDims.of((2, 6, 7, 7), (9, 2, 3, 3), groups=3)
LINE = ConvDims.of((2, 5, 30), (7, 5, 4), stride=3, padding=2)
VOLUME = ConvDims.of((2, 3, 6, 5, 7), (4, 3, 2, 3, 3), padding=1)
ONE_CHANNEL = ConvDims.of((2, 1, 9, 9), (4, 1, 3, 3), padding=1)
UNEVEN = ConvDims.of((2, 3, 8, 8), (4, 3, 3, 3), padding=((0, 1), (2, 0)))
CROP = ConvDims.of((2, 3, 8, 8), (4, 3, 3, 3), padding=((-1, 1), (0, 0)))
CAUSAL = ConvDims.of((2, 4, 20), (4, 1, 4), padding="causal", groups=4)
UNEVEN_STRIDE = ConvDims.of((2, 3, 9, 8), (4, 3, 4, 3), stride=2, padding=((0, 1), (2, 1)))
UP = transposed((2, 4, 5, 6), (4, 3, 4, 3), stride=2, padding=1, output_padding=(0, 1))
UP_LINE = transposed((2, 6, 9), (6, 2, 5), stride=3, dilation=2, groups=3, padding=1)
UP_VOLUME = transposed((1, 4, 3, 2, 4), (4, 2, 2, 2, 2), stride=2)
MAXIMUM = pooling("max_pool", (2, 3, 9, 8), 3, stride=2, padding=1)
MAXIMUM_CEIL = pooling("max_pool", (2, 3, 10, 11), (2, 3), stride=(2, 3), ceil_mode=True, dilation=(2, 1))
MAXIMUM_LINE = pooling("max_pool", (2, 3, 19), 4)
MAXIMUM_VOLUME = pooling("max_pool", (1, 2, 6, 5, 7), (1, 2, 3), stride=(1, 2, 2))
MAXIMUM_WHOLE = pooling("max_pool", (2, 3, 5, 4), (5, 4))
MEAN = pooling("avg_pool", (2, 3, 9, 8), 3, stride=2, padding=1)
MEAN_CEIL = pooling("avg_pool", (2, 3, 8, 9), 3, stride=2, ceil_mode=True)
MEAN_LINE = pooling("avg_pool", (2, 3, 19), 4)
MEAN_VOLUME = pooling("avg_pool", (1, 2, 6, 5, 7), 2)
MEAN_WHOLE = pooling("avg_pool", (2, 3, 5, 4), (5, 4))
OTHERS = [
    CAUSAL, UNEVEN_STRIDE, UP, UP_LINE, UP_VOLUME, MAXIMUM, MAXIMUM_CEIL, MAXIMUM_LINE, MAXIMUM_VOLUME,
    MAXIMUM_WHOLE, MEAN, MEAN_CEIL, MEAN_LINE, MEAN_VOLUME, MEAN_WHOLE,
]  # fmt: skip
FILTER = Layer("conv", ConvDims.of((2, 3, 9, 8), (3, 1, 3, 5), padding=((1, 1), (2, 2)), groups=3), "same")
SEPARABLE = Layer(
    "conv", ConvDims.of((2, 3, 9, 8), (3, 1, 4, 3), padding=((3, 0), (0, 1)), groups=3), "separable"
)
GRAY = Layer("conv", ConvDims.of((1, 1, 9, 8), (1, 1, 3, 2)))
# Larger than 11×11, where OpenCV goes another way.
LARGE = Layer("conv", ConvDims.of((1, 3, 40, 50), (3, 1, 21, 19), padding=(10, 9), groups=3), "separable")
FILM = Layer("conv", ConvDims.of((1, 1, 7, 9, 8), (1, 1, 2, 3, 3)))
FILTERS = [FILTER, SEPARABLE, GRAY, LARGE, FILM]
FOUR = ConvDims.of((1, 2, 3, 4, 3, 4), (2, 2, 2, 2, 2, 2))

PACKAGES = {
    "PyTorch": ("torch",),
    "ONNX Runtime": ("onnx", "onnxruntime"),
    "JAX": ("jax",),
    "OpenVINO": ("openvino",),
    "OpenCV": ("cv2",),
    "SciPy": ("scipy",),
}
EVERYBODY = named(NAMES)
# JAX warns at every later fork of its process, and other tests fork: it is tried in a process of its own.
HERE = [contestant for contestant in EVERYBODY if contestant.package != "JAX"]


def needs(contestant: Contestant) -> None:
    for package in PACKAGES[contestant.package]:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize(
    "dims", [PLAIN, GROUPS, LINE, VOLUME, ONE_CHANNEL, UNEVEN, *OTHERS, *FILTERS], ids=str
)
@pytest.mark.parametrize("contestant", HERE, ids=lambda one: one.name)
def test_a_peer_gives_the_definition_s_answers(
    contestant: Contestant, dims: Layer | ConvDims, direction: str
) -> None:
    needs(contestant)
    task = task_of(dims, direction)
    try:
        prepared = contestant.prepare(task)
    except Unable as reason:
        allowed = {
            "PyTorch has no channels-last layout for 1 spatial axes",
            "ONNX Runtime for inference has no gradients",
            "OpenVINO has no gradients",
            "this benchmark gives OpenVINO layers of one group only",
            "this benchmark gives OpenVINO ordinary convolutions only",
            "OpenCV has no gradients",
            "OpenCV is measured with filters only",
            "OpenCV filters every channel with one kernel",
            "OpenCV filters pictures, of two spatial axes",
            "SciPy has no gradients",
            "SciPy is measured with filters only",
            "SciPy filters every channel with one kernel",
            "the kernel isn't an outer product",
        }
        assert str(reason) in allowed
        return
    for _ in range(2):
        answers = prepared.answers(prepared.call())
        assert all(isinstance(answer, np.ndarray) for answer in answers)
        assert fault_in(answers, expected_parts(task), task) == ""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("dims", [*OTHERS, GROUPS, VOLUME, UNEVEN], ids=str)
def test_pytorch_and_onnx_runtime_compute_every_operation(dims: Layer | ConvDims) -> None:
    for contestant, directions in ((PyTorch(), ("forward", "backward")), (OnnxRuntime(), ("forward",))):
        needs(contestant)
        for direction in directions:
            contestant.prepare(task_of(dims, direction))


@pytest.mark.parametrize(
    ("contestant", "layers"),
    [
        (OpenCV("filter2D"), [FILTER, SEPARABLE, GRAY, LARGE]),
        (OpenCV("sepFilter2D"), [SEPARABLE, LARGE]),
        (SciPy("correlate"), FILTERS),
        (SciPy("correlate1d"), [SEPARABLE, LARGE]),
        (SciPy("oaconvolve"), FILTERS),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_who_filters_pictures_filters_these(contestant: Contestant, layers: list[Layer], dtype: str) -> None:
    needs(contestant)
    for layer in layers:
        task = task_of(layer, dtype=dtype)
        prepared = contestant.prepare(task)
        answers = prepared.answers(prepared.call())
        assert fault_in(answers, expected_parts(task), task) == ""


# Runs in the child: geometries in both layouts and directions, each twice.
JAX_CHILD = """
import sys
from bench.fakes import pooling, task_of, transposed
from bench.test_peers import FOUR, GROUPS, LINE, ONE_CHANNEL, PLAIN, UNEVEN, VOLUME
from tilewright.bench.answers import expected_parts, fault_in
from tilewright.bench.contestants import Unable
from tilewright.bench.peers import Jax
for layout in ("nchw", "nhwc"):
    for dims in (PLAIN, GROUPS, LINE, VOLUME, ONE_CHANNEL, UNEVEN)[: int(sys.argv[2])]:
        for direction in ("forward", "backward"):
            task = task_of(dims, direction, dtype=sys.argv[1])
            prepared = Jax(layout).prepare(task)
            for _ in range(2):
                answers = prepared.answers(prepared.call())
                fault = fault_in(answers, expected_parts(task), task)
                print(layout, dims.weight_shape, direction, fault or "right")
for dims, threads in ((FOUR, 1), (PLAIN, 2)):
    try:
        Jax().prepare(task_of(dims, threads=threads))
    except Unable as reason:
        print(reason)
print(Jax().version())
"""


@pytest.mark.parametrize(("dtype", "geometries"), [("float32", 6), ("float64", 1)])
def test_jax_gives_the_definition_s_answers(dtype: str, geometries: int) -> None:
    needs(Jax())
    tests = str(Path(__file__).resolve().parents[1])
    child = subprocess.run(
        [sys.executable, "-c", JAX_CHILD, dtype, str(geometries)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])},
    )
    assert child.returncode == 0, child.stderr
    *lines, four, other_threads, version = child.stdout.splitlines()
    assert len(lines) == 2 * geometries * 2 * 2
    assert [line for line in lines if not line.endswith(" right")] == []
    assert four == "JAX has no names for more than three spatial axes"
    assert (
        other_threads == "JAX keeps the number of threads of its first use, here 1: measure 2 in another run"
    )
    assert version[0].isdigit()


def test_pytorch_leaves_out_little() -> None:
    needs(PyTorch())
    for dims in (
        PLAIN,
        GROUPS,
        VOLUME,
        ONE_CHANNEL,
        UP,
        UP_VOLUME,
        MAXIMUM,
        MAXIMUM_VOLUME,
        MEAN,
        MEAN_VOLUME,
    ):
        for layout in ("nchw", "nhwc"):
            PyTorch(layout).prepare(task_of(dims, "backward"))


@pytest.mark.parametrize(
    ("contestant", "dims", "dtype", "direction", "reason"),
    [
        (PyTorch(), CROP, "float32", "forward", "PyTorch takes no padding that crops"),
        (PyTorch(), FOUR, "float32", "forward", "PyTorch has windows of at most three spatial axes"),
        (
            PyTorch(),
            transposed((2, 3, 5), (3, 2, 4), stride=2, padding=((0, 1),)),
            "float32",
            "backward",
            "PyTorch crops a transposed convolution's output by the same at both ends, or less after",
        ),
        (
            PyTorch(),
            pooling("max_pool", (2, 3, 9), 3, padding=((0, 1),)),
            "float32",
            "forward",
            "PyTorch pads a pool the same on both sides, by at most half its window",
        ),
        (
            PyTorch(),
            pooling("max_pool", (2, 3, 9), 3, padding=2),
            "float32",
            "backward",
            "PyTorch pads a pool the same on both sides, by at most half its window",
        ),
        (
            PyTorch("nhwc"),
            pooling("avg_pool", (2, 3, 9, 9), 3, dilation=2),
            "float32",
            "forward",
            "PyTorch has no dilated averages",
        ),
        (
            PyTorch(),
            pooling("avg_pool", (2, 3, 9, 9), 3, dilation=2),
            "float32",
            "backward",
            "PyTorch has no dilated averages",
        ),
        (
            OnnxRuntime(),
            pooling("avg_pool", (2, 3, 9, 9), 3, dilation=2),
            "float32",
            "forward",
            "ONNX Runtime has no dilated averages in opset 17",
        ),
        (
            OnnxRuntime(),
            transposed((2, 3, 5), (3, 2, 4), stride=2, padding=((-1, 1),)),
            "float32",
            "forward",
            "ONNX has no transposed convolution that lengthens its output at the front",
        ),
        (Jax(), MEAN, "float32", "forward", "this benchmark gives JAX ordinary convolutions only"),
        (OpenVino(), UP, "float32", "forward", "this benchmark gives OpenVINO ordinary convolutions only"),
        (OpenCV(), FILTER, "float32", "backward", "OpenCV has no gradients"),
        (OpenCV(), MEAN, "float32", "forward", "OpenCV is measured with filters only"),
        (OpenCV(), PLAIN, "float32", "forward", "OpenCV filters every channel with one kernel"),
        (OpenCV(), FILM, "float32", "forward", "OpenCV filters pictures, of two spatial axes"),
        (OpenCV("sepFilter2D"), FILTER, "float32", "forward", "the kernel isn't an outer product"),
        (
            OpenCV(),
            Layer("conv", ConvDims.of((1, 5, 9, 9), (5, 1, 3, 3), groups=5), "same"),
            "float32",
            "forward",
            "this benchmark gives OpenCV pictures of at most four channels",
        ),
        (
            SciPy(),
            Layer("conv", ConvDims.of((1, 1, 9, 9), (1, 1, 3, 3), stride=2)),
            "float32",
            "forward",
            "SciPy's filters have no stride and no dilation",
        ),
        (
            SciPy("oaconvolve"),
            Layer("conv", ConvDims.of((1, 1, 9, 9), (1, 1, 3, 3), padding=2)),
            "float32",
            "forward",
            "SciPy's filters give no more outputs than there are samples",
        ),
        (
            PyTorch("nhwc"),
            LINE,
            "float32",
            "forward",
            "PyTorch has no channels-last layout for 1 spatial axes",
        ),
        (OnnxRuntime(), CROP, "float32", "forward", "ONNX has no padding that crops"),
        (OnnxRuntime(), PLAIN, "float32", "backward", "ONNX Runtime for inference has no gradients"),
        (OpenVino(), PLAIN, "float32", "backward", "OpenVINO has no gradients"),
        (OpenVino(), PLAIN, "float64", "forward", "OpenVINO's CPU plugin computes in float32 at most"),
        (OpenVino(), GROUPS, "float32", "forward", "this benchmark gives OpenVINO layers of one group only"),
    ],
)
def test_what_a_peer_can_t_do_it_says(
    contestant: Contestant, dims: Layer | ConvDims, dtype: str, direction: str, reason: str
) -> None:
    needs(contestant)
    with pytest.raises(Unable) as refusal:
        contestant.prepare(task_of(dims, direction, dtype=dtype))
    assert str(refusal.value) == reason


@pytest.mark.parametrize("contestant", EVERYBODY, ids=lambda one: one.name)
def test_a_missing_package_is_a_reason(contestant: Contestant, monkeypatch: pytest.MonkeyPatch) -> None:
    package = PACKAGES[contestant.package][0]
    # None in sys.modules: the import fails as if there were no such package.
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(Unable) as refusal:
        contestant.version()
    installed_as = {"cv2": "opencv-python-headless"}.get(package, package)
    assert str(refusal.value) == f"the package {installed_as} isn't installed"


def test_a_package_that_does_not_load_is_another_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(name: str) -> Any:
        raise ImportError("libsomething.so: cannot open shared object file")

    monkeypatch.setattr("tilewright.bench.packages.importlib.import_module", broken)
    with pytest.raises(Unable) as refusal:
        PyTorch().version()
    assert str(refusal.value) == (
        "the package torch doesn't load: libsomething.so: cannot open shared object file"
    )


def test_jax_stays_with_the_threads_of_its_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Jax, "_threads", 3)
    with pytest.raises(Unable) as refusal:
        Jax().prepare(task_of(PLAIN, threads=2))
    assert str(refusal.value) == (
        "JAX keeps the number of threads of its first use, here 3: measure 2 in another run"
    )


def test_versions_are_those_of_the_packages() -> None:
    for contestant in HERE:
        if all(importlib.util.find_spec(package) for package in PACKAGES[contestant.package]):
            assert contestant.version()[0].isdigit()


def test_an_unknown_peer_is_refused() -> None:
    with pytest.raises(ArgumentError) as refusal:
        named(("pytorch", "caffe"))
    assert str(refusal.value) == (
        "--peers must name some of pytorch, onnxruntime, opencv, scipy, jax, openvino, or none. "
        "Received: peers='caffe'."
    )
