"""What a run found: rows of results, and what they say together."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tilewright.bench.contestants import OURS, our_name
from tilewright.bench.layers import Layer
from tilewright.bench.timing import Timing

OK, WRONG, FAILED, UNABLE = "ok", "wrong", "failed", "unable"


@dataclass(frozen=True)
class Result:
    """One contestant on one task.

    Attributes:
        contestant, package, version: who.
        status: ``ok``; ``wrong`` (the answer isn't right), ``failed`` (an error was raised), ``unable`` (it
            doesn't do this): none of these three is timed.
        note: the reason, when it isn't ``ok``.
        timing: the time of a call, when it is.
    """

    contestant: str
    package: str
    version: str
    status: str
    note: str = ""
    timing: Timing | None = None


@dataclass(frozen=True)
class Row:
    """All contestants on one task.

    Attributes:
        name, layer, direction, threads, dtype: the task.
        families: which of our families compute it.
        fma_roof: FLOP/s of multiply-adds, the best of runs between the contestants; None where
            nothing can be compiled.
        copy_roof: bytes/s of a copy with this many threads; None as above.
        results: one per contestant.
        layout: which of our variants counts: ``nchw``, ``nhwc``, or ``best``, the faster.
    """

    name: str
    layer: Layer
    direction: str
    threads: int
    dtype: str
    families: tuple[str, ...]
    fma_roof: float | None
    copy_roof: float | None
    results: tuple[Result, ...]
    layout: str = "nchw"

    @property
    def flops(self) -> int:
        """Operations of a call (:meth:`Layer.flops <tilewright.bench.layers.Layer.flops>`)."""
        return self.layer.flops(self.direction)

    @property
    def bytes(self) -> int:
        """Bytes that must move at least once: every operand read, every answer written."""
        return self.layer.bytes(self.direction, 4 if self.dtype == "float32" else 8)

    @property
    def intensity(self) -> float:
        """FLOP per byte that must move."""
        return self.flops / self.bytes

    @property
    def memory_bound(self) -> bool:
        """Whether the copy rate limits this task before the multiply-adds do."""
        if self.fma_roof is None or self.copy_roof is None:
            return False
        return self.intensity * self.copy_roof < self.fma_roof

    @property
    def roof(self) -> float | None:
        """The lower roof, in FLOP/s."""
        if self.fma_roof is None or self.copy_roof is None:
            return None
        return min(self.fma_roof, self.intensity * self.copy_roof)

    @property
    def ours(self) -> str:
        """The name of our variant that counts; the other one only where this one doesn't apply."""
        variants = [found for found in self.results if found.package == OURS]
        if self.layout == "best":
            timed = [found.contestant for found in variants if found.timing is not None]
            return max(timed, key=lambda name: self.rate(name) or 0.0, default=OURS)
        wanted = our_name(self.layout)
        found = self.result(wanted)
        if found is None or found.status == UNABLE:
            return next((other.contestant for other in variants if other.status != UNABLE), wanted)
        return wanted

    def result(self, contestant: str) -> Result | None:
        """The result of a contestant by name."""
        return next((found for found in self.results if found.contestant == contestant), None)

    def rate(self, contestant: str) -> float | None:
        """FLOP/s of a contestant, by its median; None when it wasn't timed."""
        found = self.result(contestant)
        return self.flops / found.timing.median if found is not None and found.timing is not None else None

    def share(self, contestant: str) -> float | None:
        """A contestant's speed as a share of the lower roof."""
        rate, roof = self.rate(contestant), self.roof
        return rate / roof if rate is not None and roof else None

    def bandwidth(self, contestant: str) -> float | None:
        """Bytes/s of a contestant, of the bytes that must move; None when it wasn't timed."""
        rate = self.rate(contestant)
        return None if rate is None else rate / self.intensity

    def share_of_copy(self, contestant: str) -> float | None:
        """A contestant's :meth:`bandwidth` as a share of the copy rate, whatever limits the task."""
        bandwidth = self.bandwidth(contestant)
        return bandwidth / self.copy_roof if bandwidth is not None and self.copy_roof else None

    @property
    def best_peer(self) -> str | None:
        """The fastest of the others that were timed."""
        rates = {
            found.contestant: self.rate(found.contestant) or 0.0
            for found in self.results
            if found.package != OURS and found.timing is not None
        }
        return max(rates, key=lambda name: rates[name]) if rates else None

    @property
    def ratio(self) -> float | None:
        """Our speed over the best peer's; None when either is missing."""
        best = self.best_peer
        return None if best is None else self.against(best)

    def against(self, contestant: str) -> float | None:
        """Our speed over that of a contestant."""
        ours, theirs = self.rate(self.ours), self.rate(contestant)
        return None if ours is None or theirs is None else ours / theirs

    def package_ratio(self, package: str) -> float | None:
        """Our speed over that of a package's faster variant."""
        ratios = [
            ratio
            for found in self.results
            if found.package == package and (ratio := self.against(found.contestant)) is not None
        ]
        return min(ratios, default=None)

    @property
    def is_wrong(self) -> bool:
        """Whether an answer was wrong, or we gave none at all."""
        return any(
            found.status == WRONG or (found.status == FAILED and found.package == OURS)
            for found in self.results
        )


@dataclass(frozen=True)
class Summary:
    """The rows of one direction and number of threads in a few numbers.

    Attributes:
        direction, threads: which rows.
        rows: how many.
        compared: how many of them have a ratio.
        mean: geometric mean of the ratios to the best peer; None without any.
        lowest: the lowest ratio.
        losses: rows with a ratio below 1.
        by_package: geometric mean of the ratios to each package's better variant.
        memory_bound: rows that the copy rate limits.
        share_of_copy: our median share of the copy rate in these rows; None without any.
    """

    direction: str
    threads: int
    rows: int
    compared: int
    mean: float | None
    lowest: float | None
    losses: int
    by_package: dict[str, float] = field(default_factory=dict)
    memory_bound: int = 0
    share_of_copy: float | None = None


def summarise(rows: Iterable[Row]) -> list[Summary]:
    """A summary for each direction and number of threads, in the order in which they first come."""
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.direction, row.threads), []).append(row)
    return [_summary(direction, threads, group) for (direction, threads), group in sorted_groups(groups)]


def sorted_groups(
    groups: dict[tuple[str, int], list[Row]],
) -> list[tuple[tuple[str, int], list[Row]]]:
    """Forward before backward, few threads before many."""
    return sorted(groups.items(), key=lambda item: (item[0][0] != "forward", item[0][1]))


def losses(rows: Iterable[Row]) -> list[Row]:
    """The rows in which a peer is faster, the worst first."""
    lost = [(ratio, row) for row in rows if (ratio := row.ratio) is not None and ratio < 1]
    return [row for _, row in sorted(lost, key=lambda pair: pair[0])]


def geometric_mean(values: Iterable[float]) -> float | None:
    """The n-th root of the product of n positive numbers; None of none.

    >>> round(geometric_mean([0.5, 2.0, 8.0]), 6)
    2.0
    """
    logarithms = [math.log(value) for value in values]
    return math.exp(sum(logarithms) / len(logarithms)) if logarithms else None


def _summary(direction: str, threads: int, rows: list[Row]) -> Summary:
    ratios = _known(rows, lambda row: row.ratio)
    packages = dict.fromkeys(found.package for row in rows for found in row.results if found.package != OURS)
    by_package = {
        package: mean
        for package in packages
        if (mean := geometric_mean(_known(rows, lambda row: row.package_ratio(package)))) is not None  # noqa: B023
    }
    bound = [row for row in rows if row.memory_bound]
    shares = _known(bound, lambda row: row.share_of_copy(row.ours))
    return Summary(
        direction,
        threads,
        len(rows),
        len(ratios),
        geometric_mean(ratios),
        min(ratios, default=None),
        sum(ratio < 1 for ratio in ratios),
        by_package,
        len(bound),
        statistics.median(shares) if shares else None,
    )


def _known(rows: Iterable[Row], number: Callable[[Row], float | None]) -> list[float]:
    return [value for row in rows if (value := number(row)) is not None]
