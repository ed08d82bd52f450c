"""What a validation came to, and which of two is better."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """A validation: after which step, and how well; without an accuracy where nothing is right or wrong.

    Attributes:
        step: the step it came after.
        loss: mean over the held-out images.
        accuracy: share of right answers.
        score: the figure that decides which weights are best (accuracy, mean IoU); None: the loss does.
    """

    step: int
    loss: float
    accuracy: float | None = None
    score: float | None = None

    def is_better_than(self, other: Score) -> bool:
        """Higher score; among equals, or without one, lower loss. What is NaN is never better."""
        if self.score is not None and other.score is not None and self.score != other.score:
            return self.score > other.score or (math.isnan(other.score) and not math.isnan(self.score))
        return self.loss < other.loss or (math.isnan(other.loss) and not math.isnan(self.loss))
