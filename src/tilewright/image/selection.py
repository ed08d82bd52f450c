"""The sample of one rank in every window, by minima and maxima of whole rows: a sorting network, pruned.

A window's samples are sorted by comparators that don't look at the data, so that each is one ``minimum`` and
one ``maximum`` of two arrays. Four things make it few of them:

- a column of a window is a column of the neighbouring windows, too: what differs only by a shift along the
  last axis is one expression, computed once (pairs of columns are shared in the same way);
- sorted columns are merged by Batcher's odd-even merge, which takes lists of any two lengths (D. E. Knuth,
  The Art of Computer Programming, volume 3, section 5.3.4);
- a sample that is known to lie above or below the wanted rank is left out of the next merge;
- only what the answer is made of is computed.

A 3×3 median so takes 18 minima and maxima a pixel, a 5×5 one 90.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

#: A position in the window: offsets along the axes.
Place = tuple[int, ...]


class Step(NamedTuple):
    """One array operation: ``slot = min or max(left shifted, right shifted)``.

    Operands are numbers of leaves (below ``len(program.leaves)``) or of steps (counted on from there).
    """

    is_max: bool
    left: int
    left_shift: int
    right: int
    right_shift: int


class Program(NamedTuple):
    """The steps for one window and rank, each after those it needs.

    Attributes:
        leaves: offsets along all axes but the last, of the samples that are looked at.
        steps: what is computed.
        extents: for each leaf and step, how many samples more than the output it is needed along the last
            axis, because it is used shifted.
        result: number of the leaf or step that is the answer.
        shift: by which the answer is shifted.
    """

    leaves: tuple[Place, ...]
    steps: tuple[Step, ...]
    extents: tuple[int, ...]
    result: int
    shift: int


#: An expression's number, and its shift along the last axis.
_Sample = tuple[int, int]


class _Choice(NamedTuple):
    """The smaller or the larger of two."""

    is_max: bool
    low: _Sample
    high: _Sample


class _Expressions:
    """Minima and maxima of shifted samples, each different one kept once."""

    def __init__(self) -> None:
        self.nodes: list[_Choice | Place] = []
        self._numbers: dict[_Choice | Place, int] = {}

    def leaf(self, place: Place) -> _Sample:
        *lead, last = place
        return self._number(tuple(lead)), last

    def choose(self, is_max: bool, a: _Sample, b: _Sample) -> _Sample:
        shift = min(a[1], b[1])
        low, high = sorted([(a[0], a[1] - shift), (b[0], b[1] - shift)])
        return self._number(_Choice(is_max, low, high)), shift

    def _number(self, node: _Choice | Place) -> int:
        if node not in self._numbers:
            self._numbers[node] = len(self.nodes)
            self.nodes.append(node)
        return self._numbers[node]

    def merge(self, a: Sequence[_Sample], b: Sequence[_Sample]) -> list[_Sample]:
        """Two sorted lists as one (Batcher)."""
        if not a or not b:
            return list(a or b)
        if len(a) == len(b) == 1:
            return [self.choose(False, a[0], b[0]), self.choose(True, a[0], b[0])]
        even, odd = self.merge(a[::2], b[::2]), self.merge(a[1::2], b[1::2])
        found = [even[0]]
        for i, second in enumerate(even[1:]):
            if i < len(odd):
                found += [self.choose(False, odd[i], second), self.choose(True, odd[i], second)]
            else:
                found.append(second)
        found += odd[len(even) - 1 :]
        # The largest of all is the larger of the two largest: fewer steps where it alone is asked for.
        found[-1] = self.choose(True, a[-1], b[-1])
        return found

    def sort(self, samples: Sequence[_Sample]) -> list[_Sample]:
        half = len(samples) // 2
        if not half:
            return list(samples)
        return self.merge(self.sort(samples[:half]), self.sort(samples[half:]))


# As many as a few images in turn ask for; a program of 1,000 samples takes a few MiB.
@lru_cache(maxsize=32)
def program(places: tuple[Place, ...], rank: int) -> Program:
    """The steps that give the sample of a rank (0: the smallest) among those at ``places``.

    >>> box = tuple((row, column) for row in range(3) for column in range(3))
    >>> len(program(box, 4).steps)
    18
    """
    made = [_by_merging(places, rank)]
    # The other way has fewer steps for 3×3, and more for all larger windows.
    if (box := _box_of(places)) and len(places) <= 9:
        made.append(_by_rows_too(places, rank, box))
    return min(made, key=lambda one: len(one.steps))


def _columns(expressions: _Expressions, places: Sequence[Place]) -> list[list[_Sample]]:
    """The samples of each position along the last axis, sorted."""
    found: dict[int, list[_Sample]] = {}
    for place in sorted(places):
        found.setdefault(place[-1], []).append(expressions.leaf(place))
    return [expressions.sort(found[last]) for last in sorted(found)]


def _by_merging(places: tuple[Place, ...], rank: int) -> Program:
    """Columns merged two and two, then those two and two, and so on."""
    expressions = _Expressions()
    lists, count, wanted = _trimmed(_columns(expressions, places), len(places), rank)
    while len(lists) > 1:
        pairs = [lists[i : i + 2] for i in range(0, len(lists), 2)]
        merged = [expressions.merge(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
        lists, count, wanted = _trimmed(merged, count, wanted)
    return _program(expressions, lists[0][wanted])


def _by_rows_too(places: tuple[Place, ...], rank: int, box: tuple[int, int]) -> Program:
    """Columns sorted, then the rows of the sorted columns; what can still have the rank is sorted again."""
    expressions = _Expressions()
    columns = _columns(expressions, places)
    height, width = box
    lists: list[list[_Sample]] = []
    below = 0
    for i in range(height):
        row = expressions.sort([column[i] for column in columns])
        lists.append([])
        for j, sample in enumerate(row):
            # Above it and to its left nothing is larger, below it and to its right nothing is smaller.
            if (height - i) * (width - j) - 1 > height * width - 1 - rank:
                below += 1
            elif (i + 1) * (j + 1) - 1 <= rank:
                lists[-1].append(sample)
    lists = [found for found in lists if found]
    wanted = rank - below
    while len(lists) > 1:
        first, second, *others = sorted(lists, key=len)
        lists = [expressions.merge(first, second), *others]
    return _program(expressions, lists[0][wanted])


def _box_of(places: Sequence[Place]) -> tuple[int, int] | None:
    """(samples in a column, columns) where the columns are alike."""
    last = sorted({place[-1] for place in places})
    leads = {tuple(place[:-1] for place in sorted(places) if place[-1] == one) for one in last}
    return (len(places) // len(last), len(last)) if len(leads) == 1 else None


def _trimmed(
    lists: Sequence[Sequence[_Sample]], count: int, wanted: int
) -> tuple[list[list[_Sample]], int, int]:
    """Sorted lists without what can't have the wanted rank among all ``count``; then both numbers anew.

    The i-th of a sorted list of m has i samples below it and so can't have a rank below i; m − 1 − i of the
    list are above it, so its rank is count − m + i at most.
    """
    kept, below, left = [], 0, 0
    for found in lists:
        first = min(max(wanted - (count - len(found)), 0), len(found))
        end = max(min(wanted + 1, len(found)), first)
        kept.append(list(found[first:end]))
        below += first
        left += end - first
    return [found for found in kept if found], left, wanted - below


def _program(expressions: _Expressions, answer: _Sample) -> Program:
    """What the answer is made of, in order."""
    nodes = expressions.nodes
    extents = {answer[0]: answer[1]}
    # A choice has a larger number than what it is made of: one pass from the largest down sees all uses.
    for number in range(answer[0], -1, -1):
        node = nodes[number]
        if number in extents and isinstance(node, _Choice):
            for part, shift in (node.low, node.high):
                extents[part] = max(extents.get(part, 0), extents[number] + shift)
    leaves = [number for number in sorted(extents) if not isinstance(nodes[number], _Choice)]
    steps = [number for number in sorted(extents) if isinstance(nodes[number], _Choice)]
    places = {number: place for place, number in enumerate((*leaves, *steps))}
    made = []
    for number in steps:
        node = nodes[number]
        assert isinstance(node, _Choice)
        (low, low_shift), (high, high_shift) = node.low, node.high
        made.append(Step(node.is_max, places[low], low_shift, places[high], high_shift))
    return Program(
        tuple(node for number in leaves if not isinstance(node := nodes[number], _Choice)),
        tuple(made),
        tuple(extents[number] for number in (*leaves, *steps)),
        places[answer[0]],
        answer[1],
    )
