"""The peers: other libraries that compute the same. Each is imported when it is first used, or says why not.

Everybody gets what serves them best where that doesn't change the task: PyTorch its channels-last weights,
ONNX Runtime and OpenVINO the weight as a constant that they may rearrange once, and an output that is
allocated once.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from tilewright.bench.contestants import Contestant, Prepared, Task, Unable
from tilewright.errors import ArgumentError, describe


def symmetric(task: Task, who: str) -> list[int]:
    """The padding, one number for both sides of each axis.

    Raises:
        Unable: the sides differ, or crop.
    """
    if any(before != after or before < 0 for before, after in task.dims.padding):
        raise Unable(f"{who} takes no padding that crops or differs between the sides")
    return [before for before, _ in task.dims.padding]


def _imported(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = "isn't installed" if isinstance(error, ModuleNotFoundError) else f"doesn't load: {error}"
        raise Unable(f"the package {package} {missing}") from error


def _flipped_order(array: Any, rank: int) -> Any:
    """(out, in, *kernel) as (*kernel, in, out)."""
    return np.ascontiguousarray(np.transpose(array, (*range(2, rank + 2), 1, 0)))


class PyTorch:
    """``torch.nn.functional.conv*d``, and the operator that its autograd calls for both gradients."""

    package = "PyTorch"

    def __init__(self, layout: str = "nchw") -> None:
        self.layout = layout
        self.name = self.package if layout == "nchw" else f"{self.package} channels-last"

    def version(self) -> str:
        """PyTorch's version, with its build."""
        return str(_imported("torch", "torch").__version__)

    def prepare(self, task: Task) -> Prepared:
        """Tensors that share our arrays' memory, or channels-last copies."""
        torch = _imported("torch", "torch")
        dims, padding = task.dims, symmetric(task, self.package)
        x, w, gy = (torch.from_numpy(array) for array in (task.x, task.w, task.gy))
        if self.layout == "nhwc":
            formats = {2: torch.channels_last, 3: torch.channels_last_3d}
            if dims.rank not in formats:
                raise Unable(f"PyTorch has no channels-last layout for {dims.rank} spatial axes")
            x, w, gy = (tensor.contiguous(memory_format=formats[dims.rank]) for tensor in (x, w, gy))
        if dims.rank > 3:
            raise Unable("PyTorch convolves at most three spatial axes")
        torch.set_num_threads(task.threads)
        stride, dilation = list(dims.stride), list(dims.dilation)

        def forward() -> Any:
            with torch.no_grad():
                return (convolve(x, w, None, stride, padding, dilation, dims.groups),)

        def backward() -> Any:
            return gradients(
                gy,
                x,
                w,
                None,
                stride,
                padding,
                dilation,
                False,
                [0] * dims.rank,
                dims.groups,
                (True, True, False),
            )[:2]

        convolve = getattr(torch.nn.functional, f"conv{dims.rank}d")
        gradients = torch.ops.aten.convolution_backward
        return Prepared(
            forward if task.direction == "forward" else backward,
            lambda tensors: tuple(tensor.contiguous().numpy() for tensor in tensors),
        )


class OnnxRuntime:
    """ONNX Runtime's CPU provider on a model of one Conv node."""

    name = package = "ONNX Runtime"

    def version(self) -> str:
        """ONNX Runtime's version."""
        _imported("onnx", "onnx")
        return str(_imported("onnxruntime", "onnxruntime").__version__)

    def prepare(self, task: Task) -> Prepared:
        """A session with the weight as a constant; input and output are bound once."""
        if task.direction != "forward":
            raise Unable("ONNX Runtime for inference has no gradients")
        runtime = _imported("onnxruntime", "onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = task.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = runtime.InferenceSession(self._model(task), options, providers=["CPUExecutionProvider"])
        x = runtime.OrtValue.ortvalue_from_numpy(task.x)
        y = runtime.OrtValue.ortvalue_from_shape_and_type(task.dims.output_shape, task.x.dtype.type, "cpu")
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", x)
        binding.bind_ortvalue_output("y", y)
        return Prepared(lambda: session.run_with_iobinding(binding), lambda _: (y.numpy(),))

    def _model(self, task: Task) -> bytes:
        onnx = _imported("onnx", "onnx")
        dims = task.dims
        if any(side < 0 for pair in dims.padding for side in pair):
            raise Unable("ONNX has no padding that crops")
        kind = onnx.helper.np_dtype_to_tensor_dtype(task.x.dtype)
        node = onnx.helper.make_node(
            "Conv",
            ["x", "w"],
            ["y"],
            strides=dims.stride,
            dilations=dims.dilation,
            group=dims.groups,
            pads=[before for before, _ in dims.padding] + [after for _, after in dims.padding],
        )
        graph = onnx.helper.make_graph(
            [node],
            "conv",
            [onnx.helper.make_tensor_value_info("x", kind, dims.input_shape)],
            [onnx.helper.make_tensor_value_info("y", kind, dims.output_shape)],
            [onnx.numpy_helper.from_array(task.w, "w")],
        )
        # Versions that every release of the last years reads; Conv hasn't changed since opset 11.
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
        return bytes(model.SerializeToString())


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
        return str(_imported("jax", "jax").__version__)

    def prepare(self, task: Task) -> Prepared:
        """A compiled function and JAX's own arrays."""
        if Jax._threads is None:
            os.environ["PJRT_NPROC"] = str(task.threads)
            os.environ.setdefault("JAX_PLATFORMS", "cpu")
            Jax._threads = task.threads
        if Jax._threads != task.threads:
            raise Unable(
                f"JAX keeps the number of threads of its first use, here {Jax._threads}: measure "
                f"{task.threads} in another run"
            )
        jax = _imported("jax", "jax")
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
        return str(_imported("openvino", "openvino").__version__).split("-")[0]

    def prepare(self, task: Task) -> Prepared:
        """A compiled model with the weight as a constant, and a request whose input is our array."""
        if task.direction != "forward":
            raise Unable("OpenVINO has no gradients")
        ov = _imported("openvino", "openvino")
        ops = _imported("openvino.opset8", "openvino")
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


_MAKERS: dict[str, Callable[[], list[Contestant]]] = {
    "pytorch": lambda: [PyTorch("nchw"), PyTorch("nhwc")],
    "onnxruntime": lambda: [OnnxRuntime()],
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
