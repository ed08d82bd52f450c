"""ONNX's nodes as calls of this library: what a test needs to run ONNX's own cases.

Attributes and inputs become the arguments of one function, or of one and a little NumPy where the two cut the
same job differently. Nothing here computes what is being tested. A node that asks for what the library
doesn't have raises :class:`NotOfferedError`, which says what that is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tilewright as tw
import tilewright.functional as F
from onnx_nodes import layers, sizes, windows
from onnx_nodes.node import Array, Node, NotOfferedError

__all__ = ["CALLS", "Node", "NotOfferedError", "run"]

#: By ONNX's name of an operator: its call here.
CALLS: dict[str, Callable[[Node], Any]] = {
    "AveragePool": windows.average_pool,
    "BatchNormalization": layers.batch_norm,
    "CausalConvWithState": windows.causal_conv,
    "Celu": layers.plain("celu", ("alpha", 1.0)),
    "CenterCropPad": sizes.center,
    "Clip": layers.clip,
    "Col2Im": windows.col2im,
    "Conv": windows.conv,
    "ConvInteger": windows.conv_integer,
    "ConvTranspose": windows.conv_transpose,
    "DepthToSpace": sizes.depth_to_space,
    "Dropout": layers.dropout,
    "Elu": layers.plain("elu", ("alpha", 1.0)),
    "Flatten": layers.flatten,
    "Gelu": layers.plain("gelu", ("approximate", "none")),
    "Gemm": layers.gemm,
    "GlobalAveragePool": layers.plain("global_avg_pool"),
    "GlobalMaxPool": layers.plain("global_max_pool"),
    "GroupNormalization": layers.group_norm,
    "HardSigmoid": layers.hard_sigmoid,
    "HardSwish": layers.plain("hardswish"),
    "InstanceNormalization": layers.instance_norm,
    "LRN": layers.local_response,
    "LayerNormalization": layers.layer_norm,
    "LeakyRelu": layers.plain("leaky_relu", ("alpha", 0.01)),
    "LogSoftmax": layers.plain("log_softmax", ("axis", -1)),
    "LpNormalization": layers.plain("normalize", ("p", 2), ("axis", -1)),
    "LpPool": windows.lp_pool,
    "MatMul": lambda node: tw.matmul(*map(tw.tensor, node.inputs)).numpy(),
    "MaxPool": windows.max_pool,
    "MaxUnpool": windows.max_unpool,
    "MeanVarianceNormalization": layers.mean_variance,
    "Mish": layers.plain("mish"),
    "NegativeLogLikelihoodLoss": layers.losses("nll_loss"),
    "PRelu": layers.prelu,
    "Pad": sizes.pad,
    "RMSNormalization": layers.rms_norm,
    "Relu": layers.plain("relu"),
    "Resize": sizes.resize,
    "Selu": layers.selu,
    "Shrink": layers.shrink,
    "Sigmoid": layers.plain("sigmoid"),
    "Softmax": layers.plain("softmax", ("axis", -1)),
    "SoftmaxCrossEntropyLoss": layers.losses("cross_entropy"),
    "Softplus": layers.plain("softplus"),
    "Softsign": layers.plain("softsign"),
    "SpaceToDepth": sizes.space_to_depth,
    "Swish": layers.swish,
    "Tanh": layers.plain("tanh"),
    "ThresholdedRelu": lambda node: F.threshold(node.inputs[0], node.get("alpha", 1.0), 0.0),
    "Upsample": sizes.upsample,
}


def run(node: Node) -> tuple[Array, ...]:
    """The outputs that the library has for this node, in ONNX's order."""
    found = CALLS[node.op](node)
    return found if isinstance(found, tuple) else (found,)
