"""How far apart vectors are, and in what direction, as modules."""

from __future__ import annotations

from typing import Any

from tilewright import functional as F
from tilewright.geometry.axes import as_flag
from tilewright.nn.arguments import as_dim, as_real
from tilewright.nn.module import Module


class CosineSimilarity(Module):
    """The cosine of the angle between vectors along the axis ``dim``.

    Args:
        dim: the axis.
        eps: the least length that is divided by.

    Raises:
        ArgumentError: an argument outside its rule.
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = as_dim(dim, "CosineSimilarity")
        self.eps = as_real(eps, "eps", "CosineSimilarity")

    def forward(self, x1: Any, x2: Any) -> Any:
        """The cosine of each pair of vectors."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The p-norm of x1 − x2 + eps along the last axis.

    Args:
        p: above 0; infinity takes the largest difference.
        eps: keeps differences away from 0.
        keepdim: keep the last axis with size 1.

    Raises:
        ArgumentError, DtypeError: an argument outside its rule.
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm = as_real(p, "p", "PairwiseDistance")
        self.eps = as_real(eps, "eps", "PairwiseDistance")
        self.keepdim = as_flag(keepdim, "keepdim", self._get_name())

    def forward(self, x1: Any, x2: Any) -> Any:
        """The distance of each pair of vectors."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
