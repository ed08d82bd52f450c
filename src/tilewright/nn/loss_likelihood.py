"""Likelihoods and divergences as losses, as modules; formulas stand in :mod:`tilewright.functional`."""

from __future__ import annotations

from typing import Any

from tilewright import functional as F
from tilewright.errors import ArgumentError, describe
from tilewright.geometry.axes import as_flag
from tilewright.nn.arguments import as_number, one_of
from tilewright.nn.loss import _Loss


class KLDivLoss(_Loss):
    """target · (log(target) − input), for log-probabilities ``input`` and probabilities ``target``.

    Args:
        size_average, reduce: see :class:`~tilewright.nn.loss._Loss`.
        reduction: "batchmean" (the sum over the number of samples, which is the definition), "mean" (over all
            values), "sum" or "none".
        log_target: the target holds log-probabilities.
    """

    def __init__(
        self,
        size_average: None = None,
        reduce: None = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        super().__init__(size_average, reduce, "mean")
        self.reduction = one_of(reduction, ("none", "mean", "sum", "batchmean"), "reduction", "KLDivLoss")
        self.log_target = as_flag(log_target, "log_target", self._get_name())

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of two arrays of one shape."""
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class PoissonNLLLoss(_Loss):
    """exp(input) − target · input, for counts ``target`` whose mean is expected to be exp(input).

    Args:
        log_input: False if ``input`` holds the expected counts, not their logarithms.
        full: add Stirling's approximation of log(target!).
        size_average, reduce: see :class:`~tilewright.nn.loss._Loss`.
        eps: keeps a logarithm from 0, with ``log_input=False``.
        reduction: "mean", "sum" or "none".
    """

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: None = None,
        eps: float = 1e-8,
        reduce: None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_input = as_flag(log_input, "log_input", self._get_name())
        self.full = as_flag(full, "full", self._get_name())
        self.eps = as_number(eps, "eps", self._get_name())

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of two arrays of one shape."""
        return F.poisson_nll_loss(
            input, target, self.log_input, self.full, eps=self.eps, reduction=self.reduction
        )


class GaussianNLLLoss(_Loss):
    """½·(log(var) + (input − target)²/var), for numbers ``target`` of mean ``input`` and variance ``var``.

    Args:
        full: add the constant ½·log(2π).
        eps: variances below count as this.
        reduction: "mean", "sum" or "none".

    Raises:
        ArgumentError: ``eps`` is not above 0.
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.full = as_flag(full, "full", self._get_name())
        self.eps = as_number(eps, "eps", self._get_name())
        if self.eps == 0:
            raise ArgumentError("GaussianNLLLoss needs eps above 0.", describe(eps=eps))

    def forward(self, input: Any, target: Any, var: Any) -> Any:
        """The loss of expected numbers for what came, with the variances."""
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)
