"""Losses for rare classes and small objects, as modules; formulas stand in :mod:`tilewright.functional`."""

from __future__ import annotations

from typing import Any

from tilewright import functional as F
from tilewright.autograd.tensor import Tensor
from tilewright.geometry.axes import LARGEST, as_flag, as_integer
from tilewright.nn.arguments import as_number
from tilewright.nn.loss import _Loss, _WeightedLoss


class FocalLoss(_WeightedLoss):
    """Cross-entropy of logits (batch, classes, …), times (1 − p)^gamma for the right class's probability p.

    Source: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.

    Args:
        weight: one number per class, the paper's alpha.
        gamma: how much less counts what is classified well already; 0 gives cross-entropy.
        ignore_index: places of this class number don't count.
        reduction: "mean", "sum" or "none".

    Raises:
        ArgumentError: an argument outside its rule.

    >>> loss = FocalLoss(gamma=2.0)
    >>> loss(tw.tensor([[4.0, 0.0], [0.0, 4.0]]), tw.tensor([0, 1])).item()  # right, and sure of it
    5.8...e-06
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        gamma: float = 2.0,
        ignore_index: int = -100,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self.gamma = as_number(gamma, "gamma", self._get_name())
        self.ignore_index = as_integer(ignore_index, "ignore_index", self._get_name(), least=-LARGEST)

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of logits for class numbers."""
        return F.focal_loss(
            input,
            target,
            self.weight,
            gamma=self.gamma,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class SigmoidFocalLoss(_Loss):
    """Binary cross-entropy of logits, times (1 − p)^gamma for the right answer's probability p.

    Source: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.

    Args:
        alpha: the weight of positive targets, and 1 − alpha that of negative ones; None for neither.
        gamma: how much less counts what is classified well already.
        reduction: "mean", "sum" or "none".

    Raises:
        ArgumentError: an argument outside its rule.
    """

    def __init__(self, alpha: float | None = 0.25, gamma: float = 2.0, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.alpha = None if alpha is None else as_number(alpha, "alpha", self._get_name(), most=1)
        self.gamma = as_number(gamma, "gamma", self._get_name())

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of two arrays of one shape."""
        return F.sigmoid_focal_loss(input, target, self.alpha, self.gamma, self.reduction)


class DiceLoss(_Loss):
    """1 − (2·Σ p·t + smooth) / (Σ p² + Σ t² + smooth): how little a predicted region overlaps the true one.

    Takes probabilities (batch, classes, …), not logits. Source: Milletari, Navab and Ahmadi, "V-Net", 3DV
    2016.

    Args:
        per_class: overlaps of each class by itself, so that all count alike.
        squared: False takes Σ p + Σ t below the line.
        smooth: added above and below the line.
        ignore_index: places of this class number don't count.
        reduction: "mean", "sum" or "none".

    Raises:
        ArgumentError: an argument outside its rule.

    >>> DiceLoss()(tw.tensor([[[1.0, 0.0]]]), tw.tensor([[[1.0, 0.0]]])).item()
    0.0
    """

    def __init__(
        self,
        per_class: bool = False,
        squared: bool = True,
        smooth: float = 1.0,
        ignore_index: int | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        self.per_class = as_flag(per_class, "per_class", self._get_name())
        self.squared = as_flag(squared, "squared", self._get_name())
        self.smooth = as_number(smooth, "smooth", self._get_name())
        if ignore_index is not None:
            ignore_index = as_integer(ignore_index, "ignore_index", self._get_name(), least=-LARGEST)
        self.ignore_index = ignore_index

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of probabilities for regions of the same shape, or for class numbers."""
        return F.dice_loss(
            input,
            target,
            per_class=self.per_class,
            squared=self.squared,
            smooth=self.smooth,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )
