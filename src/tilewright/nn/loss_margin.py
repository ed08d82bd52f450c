"""Losses that ask for a margin, as modules. The formulas stand in :mod:`tilewright.functional`."""

from __future__ import annotations

from numbers import Real
from typing import Any

from tilewright import functional as F
from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, describe
from tilewright.geometry.axes import as_flag
from tilewright.nn.arguments import as_number, as_real
from tilewright.nn.loss import _Loss, _WeightedLoss

_ANY = -float("inf")


class SoftMarginLoss(_Loss):
    """log(1 + exp(−target · input)), for targets of 1 and −1."""

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of two arrays of one shape."""
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """Binary cross-entropy of logits (batch, classes) for targets of 0 and 1, averaged over the classes."""

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of two arrays of one shape."""
        return F.multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)


class MultiLabelMarginLoss(_Loss):
    """Σ of max(0, 1 − right score + wrong score) over all pairs of them, over the number of classes."""

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of scores for lists of right classes, each ended by −1."""
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class _MarginLoss(_Loss):
    """A loss with a margin.

    Args:
        margin: by how much.
        size_average, reduce: see :class:`~tilewright.nn.loss._Loss`.
        reduction: "mean", "sum" or "none".

    Raises:
        ArgumentError: an argument outside its rule.
    """

    def __init__(
        self,
        margin: float = 0.0,
        size_average: None = None,
        reduce: None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = as_number(margin, "margin", self._get_name(), least=_ANY)


class HingeEmbeddingLoss(_MarginLoss):
    """The input where the target is 1, and max(0, ``margin`` − input) where it is −1."""

    def __init__(
        self,
        margin: float = 1.0,
        size_average: None = None,
        reduce: None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(margin, size_average, reduce, reduction)

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of two arrays of one shape."""
        return F.hinge_embedding_loss(input, target, self.margin, reduction=self.reduction)


class MarginRankingLoss(_MarginLoss):
    """max(0, −target · (input1 − input2) + ``margin``), for targets of 1 and −1."""

    def forward(self, input1: Any, input2: Any, target: Any) -> Any:
        """The loss of three arrays of one shape."""
        return F.margin_ranking_loss(input1, input2, target, self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(_MarginLoss):
    """1 − cos of two vectors where the target is 1, and max(0, cos − ``margin``) where it is −1."""

    def forward(self, input1: Any, input2: Any, target: Any) -> Any:
        """The loss of two arrays of vectors, and a target for each pair."""
        return F.cosine_embedding_loss(input1, input2, target, self.margin, reduction=self.reduction)


class MultiMarginLoss(_WeightedLoss):
    """Σ over wrong classes of max(0, ``margin`` − right score + wrong score)^p, over the number of classes.

    Args:
        p: 1 or 2.
        margin: by how much the right score is to be larger.
        weight: one number per class, a factor for the one that is right.
        size_average, reduce: see :class:`~tilewright.nn.loss._Loss`.
        reduction: "mean", "sum" or "none".

    Raises:
        ArgumentError: an argument outside its rule.
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        size_average: None = None,
        reduce: None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        given: Any = p
        if isinstance(given, bool) or not isinstance(given, Real) or given not in (1, 2):
            raise ArgumentError("MultiMarginLoss needs p to be 1 or 2.", describe(p=p))
        self.p = p
        self.margin = as_number(margin, "margin", self._get_name(), least=_ANY)

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of scores for class numbers."""
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, reduction=self.reduction)


class TripletMarginLoss(_Loss):
    """max(0, ``margin`` + d(anchor, positive) − d(anchor, negative)) with the p-norm as distance d.

    Args:
        margin: how much farther the negative is to be; above 0.
        p: of the norm.
        eps: keeps differences away from 0.
        swap: count d(positive, negative) instead where it is the smaller one.
        size_average, reduce: see :class:`~tilewright.nn.loss._Loss`.
        reduction: "mean", "sum" or "none".

    Raises:
        ArgumentError: an argument outside its rule.
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: None = None,
        reduce: None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = as_number(margin, "margin", self._get_name())
        if self.margin == 0:
            raise ArgumentError("TripletMarginLoss needs margin above 0.", describe(margin=margin))
        self.p = as_real(p, "p", self._get_name())
        self.eps = as_real(eps, "eps", self._get_name())
        self.swap = as_flag(swap, "swap", self._get_name())

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Any:
        """The loss of three arrays of vectors of one shape."""
        return F.triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, reduction=self.reduction
        )
