"""Stopping a run that no longer gets better."""

from __future__ import annotations

from dataclasses import dataclass

from tilewright.errors import ArgumentError, describe
from tilewright.train.scores import Score


@dataclass(frozen=True)
class EarlyStopping:
    """When to stop: after ``patience`` validations in a row without progress.

    Progress is a score (accuracy, mean IoU, or with neither the loss) that is better than at the last
    progress by more than ``min_delta``. With 0, whatever makes new best weights is progress.

    Args:
        patience: at least 1; None: never stop.
        min_delta: at least 0, in the score's own measure (0.01 of an accuracy is one per cent).

    Raises:
        ArgumentError: a number outside its range.
    """

    patience: int | None = None
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        patience, least = self.patience, self.min_delta
        if patience is not None and (
            isinstance(patience, bool) or not isinstance(patience, int) or patience < 1
        ):
            raise ArgumentError(
                "Early stopping needs patience to be a whole number of at least 1, or None.",
                describe(patience=patience),
            )
        if isinstance(least, bool) or not isinstance(least, (int, float)) or not 0 <= least < float("inf"):
            raise ArgumentError(
                "Early stopping needs min_delta to be a finite number of at least 0.",
                describe(min_delta=least),
            )
        if least and patience is None:
            raise ArgumentError(
                "Early stopping needs a patience beside its min_delta.", describe(min_delta=least)
            )

    def is_progress(self, score: Score, before: Score | None) -> bool:
        """Whether a validation is better, by enough, than the one of the last progress."""
        if before is None:
            return True
        if not self.min_delta:
            return score.is_better_than(before)
        if score.score is not None and before.score is not None:
            return score.score - before.score > self.min_delta
        return before.loss - score.loss > self.min_delta

    def is_over(self, stale: int) -> bool:
        """Whether so many validations without progress are enough."""
        return self.patience is not None and stale >= self.patience
