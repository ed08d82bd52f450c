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
from onnx_nodes.layers import *
from onnx_nodes.node import Array, Node, NotOfferedError

__all__ = ["CALLS", "Node", "NotOfferedError", "run"]

#: By ONNX's name of an operator: its call here.
CALLS: dict[str, Callable[[Node], Any]] = {
    "AveragePool": average_pool,
    "BatchNormalization": batch_norm,
    "CausalConvWithState": causal_conv,
    "Celu": plain("celu", ("alpha", 1.0)),
    "CenterCropPad": center,
    "Clip": clip,
    "Col2Im": col2im,
    "Conv": conv,
    "ConvInteger": conv_integer,
    "ConvTranspose": conv_transpose,
    "DepthToSpace": depth_to_space,
    "Dropout": dropout,
    "Elu": plain("elu", ("alpha", 1.0)),
    "Flatten": flatten,
    "Gelu": plain("gelu", ("approximate", "none")),
    "Gemm": gemm,
    "GlobalAveragePool": plain("global_avg_pool"),
    "GlobalMaxPool": plain("global_max_pool"),
    "GroupNormalization": group_norm,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": plain("hardswish"),
    "InstanceNormalization": instance_norm,
    "LRN": local_response,
    "LayerNormalization": layer_norm,
    "LeakyRelu": plain("leaky_relu", ("alpha", 0.01)),
    "LogSoftmax": plain("log_softmax", ("axis", -1)),
    "LpNormalization": plain("normalize", ("p", 2), ("axis", -1)),
    "LpPool": lp_pool,
    "MatMul": lambda node: tw.matmul(*map(tw.tensor, node.inputs)).numpy(),
    "MaxPool": max_pool,
    "MaxUnpool": max_unpool,
    "MeanVarianceNormalization": mean_variance,
    "Mish": plain("mish"),
    "NegativeLogLikelihoodLoss": losses("nll_loss"),
    "PRelu": prelu,
    "Pad": pad,
    "RMSNormalization": rms_norm,
    "Relu": plain("relu"),
    "Resize": resize,
    "Selu": selu,
    "Shrink": shrink,
    "Sigmoid": plain("sigmoid"),
    "Softmax": plain("softmax", ("axis", -1)),
    "SoftmaxCrossEntropyLoss": losses("cross_entropy"),
    "Softplus": plain("softplus"),
    "Softsign": plain("softsign"),
    "SpaceToDepth": space_to_depth,
    "Swish": swish,
    "Tanh": plain("tanh"),
    "ThresholdedRelu": lambda node: F.threshold(node.inputs[0], node.get("alpha", 1.0), 0.0),
    "Upsample": upsample,
}


def run(node: Node) -> tuple[Array, ...]:
    """The outputs that the library has for this node, in ONNX's order."""
    found = CALLS[node.op](node)
    return found if isinstance(found, tuple) else (found,)
