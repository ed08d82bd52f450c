"""Means of the last few batches, for the display alone."""

from __future__ import annotations

# The numbers follow about the last twenty batches.
_MEMORY = 0.95


class Meter:
    """Exponential means of what a run shows while it works.

    Attributes:
        loss: mean loss.
        accuracy: mean share of right answers.
        speed: images per second.
    """

    def __init__(self) -> None:
        self.loss = self.accuracy = self.speed = 0.0
        self._weight = 0.0
        self._images = self._seconds = 0.0

    def add(self, loss: float, accuracy: float, images: int, seconds: float) -> None:
        """Take in a batch."""
        # Divided by the weights' sum, the mean is right from the first batch on.
        weight = _MEMORY * self._weight + (1 - _MEMORY)
        share = (1 - _MEMORY) / weight
        self._weight = weight
        self.loss += share * (loss - self.loss)
        self.accuracy += share * (accuracy - self.accuracy)
        self._images = _MEMORY * self._images + images
        self._seconds = _MEMORY * self._seconds + seconds
        self.speed = self._images / self._seconds if self._seconds else 0.0
