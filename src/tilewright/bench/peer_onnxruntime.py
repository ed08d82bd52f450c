"""ONNX Runtime's CPU provider on a model of one node."""

from __future__ import annotations

from typing import Any

from tilewright.bench.contestants import Prepared, Task, Unable
from tilewright.bench.packages import imported


class OnnxRuntime:
    """ONNX Runtime's CPU provider on a model of one Conv, ConvTranspose, MaxPool or AveragePool."""

    name = package = "ONNX Runtime"

    def version(self) -> str:
        """ONNX Runtime's version."""
        imported("onnx", "onnx")
        return str(imported("onnxruntime", "onnxruntime").__version__)

    def prepare(self, task: Task) -> Prepared:
        """A session with the weight as a constant; input and output are bound once."""
        if task.direction != "forward":
            raise Unable("ONNX Runtime for inference has no gradients")
        runtime = imported("onnxruntime", "onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = task.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = runtime.InferenceSession(_model(task), options, providers=["CPUExecutionProvider"])
        x = runtime.OrtValue.ortvalue_from_numpy(task.x)
        y = runtime.OrtValue.ortvalue_from_shape_and_type(task.layer.output_shape, task.x.dtype.type, "cpu")
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", x)
        binding.bind_ortvalue_output("y", y)
        return Prepared(lambda: session.run_with_iobinding(binding), lambda _: (y.numpy(),))


def _model(task: Task) -> bytes:
    onnx = imported("onnx", "onnx")
    layer = task.layer
    kind = onnx.helper.np_dtype_to_tensor_dtype(task.x.dtype)
    name, attributes = _node(task)
    node = onnx.helper.make_node(name, ["x"] if layer.is_pool else ["x", "w"], ["y"], **attributes)
    graph = onnx.helper.make_graph(
        [node],
        layer.operation,
        [onnx.helper.make_tensor_value_info("x", kind, layer.input_shape)],
        [onnx.helper.make_tensor_value_info("y", kind, layer.output_shape)],
        [] if layer.is_pool else [onnx.numpy_helper.from_array(task.w, "w")],
    )
    # Versions that every release of the last years reads; these nodes haven't changed since opset 12, but
    # for AveragePool's dilation.
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def _node(task: Task) -> tuple[str, dict[str, Any]]:
    """The node's name and attributes."""
    layer, dims = task.layer, task.layer.dims
    befores, afters = [before for before, _ in dims.padding], [after for _, after in dims.padding]
    if min(befores + afters) < 0 and not layer.is_transposed:
        raise Unable("ONNX has no padding that crops")
    attributes: dict[str, Any] = {"strides": dims.stride, "dilations": dims.dilation}
    if layer.is_pool:
        attributes |= {"kernel_shape": dims.kernel, "ceil_mode": int(layer.pool.ceil_mode)}
        attributes["pads"] = befores + afters
        if layer.operation == "max_pool":
            return "MaxPool", attributes
        if max(dims.dilation) > 1:
            raise Unable("ONNX Runtime has no dilated averages in opset 17")
        del attributes["dilations"]
        if dims.kernel == dims.spatial and not any(befores + afters):
            return "GlobalAveragePool", {}
        return "AveragePool", attributes | {"count_include_pad": 1}
    attributes["group"] = layer.groups
    if not layer.is_transposed:
        return "Conv", attributes | {"pads": befores + afters}
    if min(befores) < 0:
        raise Unable("ONNX has no transposed convolution that lengthens its output at the front")
    # What lengthens the output at the end has a name of its own.
    extra = [max(-after, 0) for after in afters]
    cropped = [max(after, 0) for after in afters]
    return "ConvTranspose", attributes | {"pads": befores + cropped, "output_padding": extra}
