"""PyTorch: what its users call, and the operators that its autograd calls for the gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tilewright.bench.contestants import Prepared, Task, Unable
from tilewright.bench.packages import imported
from tilewright.geometry import ConvDims, PoolDims

Call = Callable[[], tuple[Any, ...]]


class PyTorch:
    """``torch.nn.functional``'s convolutions and pools, and the operators behind their gradients."""

    package = "PyTorch"

    def __init__(self, layout: str = "nchw") -> None:
        self.layout = layout
        self.name = self.package if layout == "nchw" else f"{self.package} channels-last"

    def version(self) -> str:
        """PyTorch's version, with its build."""
        return str(imported("torch", "torch").__version__)

    def prepare(self, task: Task) -> Prepared:
        """Tensors that share our arrays' memory, or channels-last copies."""
        torch = imported("torch", "torch")
        layer, forward = task.layer, task.direction == "forward"
        x, w, gy = (torch.from_numpy(array) for array in (task.x, task.w, task.gy))
        if self.layout == "nhwc":
            formats = {2: torch.channels_last, 3: torch.channels_last_3d}
            if layer.rank not in formats:
                raise Unable(f"PyTorch has no channels-last layout for {layer.rank} spatial axes")
            last = formats[layer.rank]
            x, gy = x.contiguous(memory_format=last), gy.contiguous(memory_format=last)
            w = w if layer.is_pool else w.contiguous(memory_format=last)
        if layer.rank > 3:
            raise Unable("PyTorch has windows of at most three spatial axes")
        torch.set_num_threads(task.threads)
        if layer.is_pool:
            call = _pool(torch, task, x) if forward else _pool_gradient(torch, task, x, gy)
        elif layer.is_transposed:
            call = _transposed(torch, task, x, w, None if forward else gy)
        else:
            call = _output(torch, task.dims, x, w) if forward else _gradients(torch, task.dims, x, w, gy)

        def without_tape() -> tuple[Any, ...]:
            with torch.no_grad():
                return call()

        return Prepared(
            without_tape if forward else call,
            lambda tensors: tuple(tensor.contiguous().numpy() for tensor in tensors),
        )


def _output(torch: Any, dims: ConvDims, x: Any, w: Any) -> Call:
    """A convolution; where the padding's sides differ, the way of those who write causal layers.

    With stride 1 both sides are padded by the larger one, and the outputs in excess left out of a view, which
    copies nothing; otherwise the input is padded first.
    """
    convolve = getattr(torch.nn.functional, f"conv{dims.rank}d")
    stride, dilation = list(dims.stride), list(dims.dilation)
    befores, afters = _sides(dims)
    if befores == afters:
        return lambda: (convolve(x, w, None, stride, befores, dilation, dims.groups),)
    if max(stride) > 1:
        pads, zero = _pads(dims), [0] * dims.rank
        padded = torch.nn.functional.pad
        return lambda: (convolve(padded(x, pads), w, None, stride, zero, dilation, dims.groups),)
    most = [max(pair) for pair in dims.padding]
    kept = _kept([m - b for m, b in zip(most, befores, strict=True)], dims.output)
    return lambda: (convolve(x, w, None, stride, most, dilation, dims.groups)[kept],)


def _gradients(torch: Any, dims: ConvDims, x: Any, w: Any, gy: Any) -> Call:
    """Both gradients; an input that was padded on the way forward is there, and its gradient is a view."""
    befores, afters = _sides(dims)
    even = befores == afters
    if not even:
        x = torch.nn.functional.pad(x, _pads(dims))
    kept = _kept(befores, dims.spatial)
    operator = torch.ops.aten.convolution_backward
    window = (list(dims.stride), befores if even else [0] * dims.rank, list(dims.dilation))
    rest = (False, [0] * dims.rank, dims.groups, (True, True, False))

    def call() -> tuple[Any, ...]:
        gx, gw, _ = operator(gy, x, w, None, *window, *rest)
        return gx if even else gx[kept], gw

    return call


def _transposed(torch: Any, task: Task, x: Any, w: Any, gy: Any) -> Call:
    """A transposed convolution, or with ``gy`` both of its gradients."""
    dims = task.dims
    stride, dilation = list(dims.stride), list(dims.dilation)
    befores, afters = [before for before, _ in dims.padding], [after for _, after in dims.padding]
    extra = [before - after for before, after in zip(befores, afters, strict=True)]
    if min(befores) < 0 or min(extra) < 0:
        raise Unable(
            "PyTorch crops a transposed convolution's output by the same at both ends, or less after"
        )
    if gy is None:
        transpose = getattr(torch.nn.functional, f"conv_transpose{dims.rank}d")
        return lambda: (transpose(x, w, None, stride, befores, extra, dims.groups, dilation),)
    operator = torch.ops.aten.convolution_backward
    window = (stride, befores, dilation, True, extra, dims.groups, (True, True, False))
    return lambda: tuple(operator(gy, x, w, None, *window)[:2])


def _pool(torch: Any, task: Task, x: Any) -> Call:
    layer, dims = task.layer, task.layer.pool
    axes = list(range(2, 2 + dims.rank))
    if _is_global(dims):
        # What nn.AdaptiveAvgPool2d(1) and nn.AdaptiveMaxPool2d(1) come to.
        reduce = torch.amax if layer.operation == "max_pool" else torch.mean
        return lambda: (reduce(x, axes, keepdim=True),)
    pads = _pool_pads(dims)
    function = getattr(torch.nn.functional, f"{layer.operation}{dims.rank}d")
    window = (list(dims.kernel), list(dims.stride), pads)
    if layer.operation == "max_pool":
        return lambda: (function(x, *window, list(dims.dilation), dims.ceil_mode),)
    _check_undilated(dims)
    return lambda: (function(x, *window, dims.ceil_mode, True),)


def _pool_gradient(torch: Any, task: Task, x: Any, gy: Any) -> Call:
    layer, dims = task.layer, task.layer.pool
    if _is_global(dims) and layer.operation == "avg_pool":
        shape, count = dims.input_shape, dims.taps
        return lambda: (gy.expand(shape) / count,)
    # One axis is two, of which one is a single sample, as in PyTorch itself.
    line = dims.rank == 1
    if line:
        x, gy = x.unsqueeze(2), gy.unsqueeze(2)
    ones, zeros = [1] * line, [0] * line
    rest: tuple[Any, ...]
    window = [
        ones + list(dims.kernel),
        ones + list(dims.stride),
        zeros + _pool_pads(dims),
    ]
    kind = f"{layer.operation}{max(dims.rank, 2)}d"
    if layer.operation == "max_pool":
        window.append(ones + list(dims.dilation))
        forward = getattr(torch.ops.aten, f"{kind}_with_indices")
        backward = getattr(torch.ops.aten, f"{kind}_with_indices_backward")
        _, positions = forward(x, *window, dims.ceil_mode)
        rest = (dims.ceil_mode, positions)
    else:
        _check_undilated(dims)
        backward = getattr(torch.ops.aten, f"{kind}_backward")
        rest = (dims.ceil_mode, True, None)
    if line:
        return lambda: (backward(gy, x, *window, *rest).squeeze(2),)
    return lambda: (backward(gy, x, *window, *rest),)


def _is_global(dims: PoolDims) -> bool:
    """Whether there is one window, of all samples and nothing else."""
    return dims.kernel == dims.spatial and not any(map(any, dims.padding))


def _sides(dims: ConvDims) -> tuple[list[int], list[int]]:
    befores, afters = ([pair[side] for pair in dims.padding] for side in (0, 1))
    if min(befores + afters) < 0:
        raise Unable("PyTorch takes no padding that crops")
    return befores, afters


def _pads(dims: ConvDims) -> list[int]:
    """As ``torch.nn.functional.pad`` has them: the last axis first."""
    return [side for pair in reversed(dims.padding) for side in pair]


def _kept(firsts: list[int], sizes: tuple[int, ...]) -> tuple[slice, ...]:
    spatial = (slice(first, first + size) for first, size in zip(firsts, sizes, strict=True))
    return (slice(None), slice(None), *spatial)


def _pool_pads(dims: PoolDims) -> list[int]:
    windows = (reach + 1 for reach in dims.reach)
    if any(
        before != after or 2 * before > window
        for (before, after), window in zip(dims.padding, windows, strict=True)
    ):
        raise Unable("PyTorch pads a pool the same on both sides, by at most half its window")
    return [before for before, _ in dims.padding]


def _check_undilated(dims: PoolDims) -> None:
    if max(dims.dilation) > 1:
        raise Unable("PyTorch has no dilated averages")
