"""ONNX's norms, dense layers, activations and losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tilewright as tw
import tilewright.functional as F
from onnx_nodes.node import Array, Node, NotOfferedError


def batch_norm(node: Node) -> Any:
    x, weight, bias, mean, variance = node.inputs
    keep, eps = node.get("momentum", 0.9), node.get("epsilon", 1e-5)
    if not node.get("training_mode", 0):
        return F.batch_norm(x, mean, variance, weight, bias, False, 1 - keep, eps)
    running = [mean.copy(), variance.copy()]
    y = F.batch_norm(x, *running, weight, bias, True, 1 - keep, eps)
    # ONNX moves the running variance by the one divided by n, PyTorch by the one divided by n - 1.
    count = x.size // x.shape[1]
    drawn = running[1] - np.float32(keep) * variance
    return y, running[0], np.float32(keep) * variance + drawn * np.float32((count - 1) / count)


def layer_norm(node: Node) -> Array:
    x = node.inputs[0]
    return F.layer_norm(
        x, x.shape[node.get("axis", -1) :], node.inputs[1], node.input(2), node.get("epsilon", 1e-5)
    )


def rms_norm(node: Node) -> Array:
    x = node.inputs[0]
    return F.rms_norm(x, x.shape[node.get("axis", -1) :], node.inputs[1], node.get("epsilon", 1e-5))


def instance_norm(node: Node) -> Array:
    return F.instance_norm(
        node.inputs[0], weight=node.inputs[1], bias=node.inputs[2], eps=node.get("epsilon", 1e-5)
    )


def group_norm(node: Node) -> Array:
    return F.group_norm(
        node.inputs[0], node.get("num_groups"), node.inputs[1], node.inputs[2], node.get("epsilon", 1e-5)
    )


def local_response(node: Node) -> Array:
    return F.local_response_norm(
        node.inputs[0],
        node.get("size"),
        node.get("alpha", 1e-4),
        node.get("beta", 0.75),
        node.get("bias", 1.0),
    )


def mean_variance(node: Node) -> Array:
    if node.get("axes", [0, 2, 3]) != [0, 2, 3]:
        raise NotOfferedError("mean and variance over other axes")
    # Its 10⁻⁹ stands beside the deviation: beside the variance that is its square.
    return F.batch_norm(node.inputs[0], None, None, training=True, eps=1e-18)


def gemm(node: Node) -> Array:
    a, b = node.inputs[:2]
    a, b = a.T if node.get("transA", 0) else a, b.T if node.get("transB", 0) else b
    alpha, beta, c = np.float32(node.get("alpha", 1.0)), np.float32(node.get("beta", 1.0)), node.input(2)
    if c is None:
        return alpha * F.linear(a, b.T)
    if c.shape == b.shape[1:]:
        return F.linear(alpha * a, b.T, beta * c)
    return alpha * F.linear(a, b.T) + beta * c


def flatten(node: Node) -> Array:
    x, axis = node.inputs[0], node.get("axis", 1)
    axis %= x.ndim + (axis == x.ndim)
    # An axis more at the end that is cut off leaves something to flatten.
    tensor = tw.tensor(x).flatten(axis) if axis < x.ndim else tw.tensor(x).unsqueeze(-1)
    tensor = tensor.flatten(0, axis - 1) if axis else tensor.unsqueeze(0)
    return tensor.numpy()


def prelu(node: Node) -> Array:
    x, slope = node.inputs
    # Slopes broadcast against the input in any way: each number is a channel of its own.
    each = F.prelu(x.reshape(1, -1), np.broadcast_to(slope, x.shape).reshape(-1))
    return each.reshape(x.shape)


def selu(node: Node) -> Array:
    x, alpha, gamma = node.inputs[0], node.get("alpha"), node.get("gamma")
    return F.selu(x) if alpha is None and gamma is None else np.float32(gamma) * F.elu(x, alpha)


def hard_sigmoid(node: Node) -> Array:
    # max(0, min(1, αx + β)) is ours, max(0, min(1, z/6 + 1/2)), at another z.
    alpha, beta = np.float32(node.get("alpha", 0.2)), np.float32(node.get("beta", 0.5))
    return F.hardsigmoid(6 * (alpha * node.inputs[0] + beta - np.float32(0.5)))


def swish(node: Node) -> Array:
    alpha = np.float32(node.get("alpha", 1.0))
    return F.silu(alpha * node.inputs[0]) / alpha


def shrink(node: Node) -> Array:
    bias, lambd = node.get("bias", 0.0), node.get("lambd", 0.5)
    if bias not in (0.0, lambd):
        raise NotOfferedError("a shrinking whose bias is neither 0 nor lambd")
    return (F.softshrink if bias else F.hardshrink)(node.inputs[0], lambd)


def clip(node: Node) -> Array:
    low, high = (None if node.input(i) is None else node.inputs[i].item() for i in (1, 2))
    if low is None and high is None:
        return node.inputs[0]
    return tw.clamp(tw.tensor(node.inputs[0]), low, high).numpy()


def dropout(node: Node) -> Any:
    x, rate, training = node.inputs[0], node.input(1), node.input(2)
    p = 0.5 if rate is None else rate.item()
    if training is not None and training.item() and p > 0:
        raise NotOfferedError("the numbers of NumPy's generator")
    y = F.dropout(x, p, training is not None and bool(training.item()))
    return (y, np.ones(x.shape, bool)) if node.outputs == 2 else y


def losses(name: str) -> Callable[[Node], Any]:
    def loss(node: Node) -> Any:
        x, target, weight = node.inputs[0], node.inputs[1], node.input(2)
        options = {"ignore_index": node.get("ignore_index", -100), "reduction": node.get("reduction", "mean")}
        y = getattr(F, name)(x, target.astype(np.int64), weight, **options)
        return (y, F.log_softmax(x, 1)) if node.outputs == 2 else y

    return loss


def plain(name: str, *arguments: tuple[str, Any]) -> Callable[[Node], Any]:
    """A function of one input, with these attributes (and what they are by default) after it."""

    def call(node: Node) -> Any:
        return getattr(F, name)(node.inputs[0], *(node.get(*argument) for argument in arguments))

    return call
