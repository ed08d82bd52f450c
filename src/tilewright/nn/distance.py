"""How far apart vectors are, and in what direction, as modules."""

from __future__ import annotations

from typing import Any

from tilewright import functional as F
from tilewright.nn.module import Module


class CosineSimilarity(Module):
    """The cosine of the angle between vectors along the axis ``dim``.

    Args:
        dim: the axis.
        eps: the least length that is divided by.
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Any, x2: Any) -> Any:
        """The cosine of each pair of vectors."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The p-norm of x1 − x2 + eps along the last axis.

    Args:
        p: above 0; infinity takes the largest difference.
        eps: keeps differences away from 0.
        keepdim: keep the last axis with size 1.
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = bool(keepdim)

    def forward(self, x1: Any, x2: Any) -> Any:
        """The distance of each pair of vectors."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
