"""Losses as modules. The formulas stand in :mod:`tilewright.functional`."""

from __future__ import annotations

from typing import Any

from tilewright import functional as F
from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, describe
from tilewright.geometry.axes import LARGEST, as_integer
from tilewright.nn.arguments import as_number, one_of
from tilewright.nn.module import Module


class _Loss(Module):
    """What all losses share: how the values of a batch become one.

    Args:
        size_average, reduce: what ``reduction`` was called before; they keep their places among PyTorch's
            arguments, and only None is accepted.
        reduction: "mean", "sum", or "none" for a loss per value.

    Raises:
        ArgumentError: another reduction, or one of the former arguments.
    """

    def __init__(self, size_average: None = None, reduce: None = None, reduction: str = "mean") -> None:
        super().__init__()
        if size_average is not None or reduce is not None:
            raise ArgumentError(
                f"{self._get_name()} is told by reduction alone how to combine the losses of a batch.",
                describe(size_average=size_average, reduce=reduce),
                "Pass reduction='mean', 'sum' or 'none'.",
            )
        self.reduction = one_of(reduction, ("none", "mean", "sum"), "reduction", self._get_name())


class _WeightedLoss(_Loss):
    """A loss with a weight per class or per value, which is a buffer, as in PyTorch."""

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: None = None,
        reduce: None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class L1Loss(_Loss):
    """|input − target|."""

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of two arrays of one shape."""
        return F.l1_loss(input, target, reduction=self.reduction)


class MSELoss(_Loss):
    """(input − target)²."""

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of two arrays of one shape."""
        return F.mse_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """d² / (2 beta) where d = |input − target| is below ``beta``, else d − beta/2.

    Raises:
        ArgumentError: ``beta`` is below 0.
    """

    def __init__(
        self, size_average: None = None, reduce: None = None, reduction: str = "mean", beta: float = 1.0
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.beta = as_number(beta, "beta", self._get_name())

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of two arrays of one shape."""
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """d² / 2 where d = |input − target| is below ``delta``, else delta · (d − delta/2).

    Raises:
        ArgumentError: ``delta`` is not above 0.
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        if not as_number(delta, "delta", self._get_name()) > 0:
            raise ArgumentError("HuberLoss needs delta above 0.", describe(delta=delta))
        self.delta = delta

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of two arrays of one shape."""
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class NLLLoss(_WeightedLoss):
    """−weight[t] · input[t] for log-probabilities (batch, classes, …) and class numbers t (batch, …).

    Samples whose target is ``ignore_index`` don't count; the mean is over the weights of the others.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: None = None,
        ignore_index: int = -100,
        reduce: None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = as_integer(ignore_index, "ignore_index", self._get_name(), least=-LARGEST)

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of log-probabilities for class numbers."""
        return F.nll_loss(
            input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction
        )


class CrossEntropyLoss(_WeightedLoss):
    """The negative logarithm of the softmax of logits (batch, classes, …) at the right class.

    Args:
        weight: one number per class.
        size_average, reduce: see :class:`_Loss`.
        ignore_index: samples of this class number don't count.
        reduction: "mean", "sum" or "none".
        label_smoothing: share of the target that is spread over all classes, from 0 to 1.

    Targets are class numbers (batch, …), or probabilities of the logits' shape.

    Raises:
        ArgumentError: an argument outside its rule.

    >>> CrossEntropyLoss()(tw.tensor([[2.0, 0.0]]), tw.tensor([0])).item()  # log(1 + exp(-2))
    0.126928...
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: None = None,
        ignore_index: int = -100,
        reduce: None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = as_integer(ignore_index, "ignore_index", self._get_name(), least=-LARGEST)
        self.label_smoothing = as_number(label_smoothing, "label_smoothing", self._get_name(), most=1)

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of logits for class numbers or probabilities."""
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class BCELoss(_WeightedLoss):
    """−(t·log p + (1−t)·log(1−p)), for probabilities p and targets t, both from 0 to 1."""

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of two arrays of one shape."""
        return F.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """:class:`BCELoss` of the sigmoid of logits, computed without its overflow.

    Args:
        weight: a factor for each value, broadcast.
        size_average, reduce: see :class:`_Loss`.
        reduction: "mean", "sum" or "none".
        pos_weight: a factor for the losses of positive targets, broadcast.
    """

    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: None = None,
        reduce: None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of two arrays of one shape."""
        return F.binary_cross_entropy_with_logits(
            input, target, weight=self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )
