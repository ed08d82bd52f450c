"""The peers: other libraries that compute the same. Each is imported when it is first used, or says why not.

Everybody gets what serves them best where that doesn't change the task: PyTorch its channels-last weights,
ONNX Runtime and OpenVINO the weight as a constant that they may rearrange once, and an output that is
allocated once, OpenCV pictures with their channels innermost.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from tilewright.bench.contestants import Contestant, Prepared, Task, Unable
from tilewright.bench.packages import imported
from tilewright.bench.peer_onnxruntime import OnnxRuntime
from tilewright.bench.peer_pictures import OpenCV, SciPy
from tilewright.bench.peer_pytorch import PyTorch
from tilewright.errors import ArgumentError, describe


def _flipped_order(array: Any, rank: int) -> Any:
    """(out, in, *kernel) as (*kernel, in, out)."""
    return np.ascontiguousarray(np.transpose(array, (*range(2, rank + 2), 1, 0)))


class Jax:
    """``jax.lax.conv_general_dilated`` under ``jit``, and its ``vjp``.

    XLA fixes the number of its threads when it is first used in a process, so one run measures JAX at one
    number of threads: the first that is asked for.
    """

    package = "JAX"
    _threads: int | None = None

    def __init__(self, layout: str = "nchw") -> None:
        self.layout = layout
        self.name = self.package if layout == "nchw" else f"{self.package} channels-last"

    def version(self) -> str:
        """JAX's version."""
        return str(imported("jax", "jax").__version__)

    def prepare(self, task: Task) -> Prepared:
        """A compiled function and JAX's own arrays."""
        _check_ordinary(task, self.package)
        if Jax._threads is None:
            os.environ["PJRT_NPROC"] = str(task.threads)
            os.environ.setdefault("JAX_PLATFORMS", "cpu")
            Jax._threads = task.threads
        if Jax._threads != task.threads:
            raise Unable(
                f"JAX keeps the number of threads of its first use, here {Jax._threads}: measure "
                f"{task.threads} in another run"
            )
        jax = imported("jax", "jax")
        if task.x.dtype == np.float64:
            jax.config.update("jax_enable_x64", True)
        dims, rank = task.dims, task.dims.rank
        if rank > 3:
            raise Unable("JAX has no names for more than three spatial axes")
        axes = "DHW"[3 - rank :]
        first = self.layout == "nchw"
        numbers = (
            (f"NC{axes}", f"OI{axes}", f"NC{axes}") if first else (f"N{axes}C", f"{axes}IO", f"N{axes}C")
        )
        x, w, gy = task.x, task.w, task.gy
        if not first:
            x, gy, w = np.moveaxis(x, 1, -1), np.moveaxis(gy, 1, -1), _flipped_order(w, rank)
        x, w, gy = (jax.numpy.asarray(np.ascontiguousarray(array)) for array in (x, w, gy))

        def conv(x: Any, w: Any) -> Any:
            return jax.lax.conv_general_dilated(
                x,
                w,
                window_strides=dims.stride,
                padding=dims.padding,
                rhs_dilation=dims.dilation,
                dimension_numbers=numbers,
                feature_group_count=dims.groups,
            )

        def gradients(x: Any, w: Any, gy: Any) -> Any:
            return jax.vjp(conv, x, w)[1](gy)

        compiled = jax.jit(conv if task.direction == "forward" else gradients)
        operands = (x, w) if task.direction == "forward" else (x, w, gy)

        def answers(found: Any) -> tuple[Any, ...]:
            if task.direction == "forward":
                return (np.asarray(found) if first else np.moveaxis(np.asarray(found), -1, 1),)
            gx, gw = (np.asarray(part) for part in found)
            if first:
                return gx, gw
            return np.moveaxis(gx, -1, 1), np.transpose(gw, (rank + 1, rank, *range(rank)))

        return Prepared(lambda: jax.block_until_ready(compiled(*operands)), answers)


class OpenVino:
    """OpenVINO's CPU plugin on a model of one Convolution, in full precision."""

    name = package = "OpenVINO"

    def version(self) -> str:
        """OpenVINO's version, without its build."""
        return str(imported("openvino", "openvino").__version__).split("-")[0]

    def prepare(self, task: Task) -> Prepared:
        """A compiled model with the weight as a constant, and a request whose input is our array."""
        if task.direction != "forward":
            raise Unable("OpenVINO has no gradients")
        _check_ordinary(task, self.package)
        ov = imported("openvino", "openvino")
        ops = imported("openvino.opset8", "openvino")
        dims = task.dims
        if dims.groups > 1:
            raise Unable("this benchmark gives OpenVINO layers of one group only")
        if task.x.dtype != np.float32:
            raise Unable("OpenVINO's CPU plugin computes in float32 at most")
        x = ops.parameter(dims.input_shape, np.float32, name="x")
        befores, afters = ([pair[side] for pair in dims.padding] for side in (0, 1))
        y = ops.convolution(x, ops.constant(task.w), dims.stride, befores, afters, dims.dilation)
        # On processors that have bfloat16 the plugin would otherwise use it.
        chosen = {
            "INFERENCE_NUM_THREADS": task.threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        request = ov.Core().compile_model(ov.Model([y], [x]), "CPU", chosen).create_infer_request()
        request.set_input_tensor(ov.Tensor(task.x, shared_memory=True))
        return Prepared(request.infer, lambda _: (request.get_output_tensor().data,))


def _check_ordinary(task: Task, who: str) -> None:
    if task.layer.operation != "conv":
        raise Unable(f"this benchmark gives {who} ordinary convolutions only")


_MAKERS: dict[str, Callable[[], list[Contestant]]] = {
    "pytorch": lambda: [PyTorch("nchw"), PyTorch("nhwc")],
    "onnxruntime": lambda: [OnnxRuntime()],
    "opencv": lambda: [OpenCV("filter2D"), OpenCV("sepFilter2D")],
    "scipy": lambda: [SciPy("correlate"), SciPy("correlate1d"), SciPy("oaconvolve")],
    "jax": lambda: [Jax("nchw"), Jax("nhwc")],
    "openvino": lambda: [OpenVino()],
}
NAMES = tuple(_MAKERS)


def named(names: tuple[str, ...]) -> list[Contestant]:
    """The contestants of the peers with these names.

    Raises:
        ArgumentError: there is no peer of such a name.

    >>> [peer.name for peer in named(("pytorch", "onnxruntime"))]
    ['PyTorch', 'PyTorch channels-last', 'ONNX Runtime']
    """
    for name in names:
        if name not in _MAKERS:
            raise ArgumentError(
                f"--peers must name some of {', '.join(NAMES)}, or none.", describe(peers=name)
            )
    return [contestant for name in names for contestant in _MAKERS[name]()]
