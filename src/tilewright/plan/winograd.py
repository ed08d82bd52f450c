"""Winograd's short convolutions along one axis, and where a pair of them serves a kernel.

    y = Aᵀ [ (G g) ⊙ (Bᵀ d) ]

m neighbouring outputs of r taps come from n = m + r − 1 inputs with n multiplications, where the definition
takes m·r. Each row of the three matrices belongs to a point p, at which polynomials with the coefficients g
and y are evaluated; the last to infinity:

    G: 1, p, …, p^(r−1), over Π_(q ≠ p) (p − q)    Aᵀ: columns 1, p, …, p^(m−1)
    Bᵀ: the coefficients of Π_(q ≠ p) (x − q)

Source: S. Winograd, *Arithmetic Complexity of Computations*, SIAM 1980; for convolutional networks: Lavin and
Gray, *Fast Algorithms for Convolutional Neural Networks*, CVPR 2016.

Points decide how rounding errors grow. Those below were searched for on a grid of binary fractions, which
make Bᵀ exact: with ±5/8 and ±3/2 the pair of 4 outputs of 3 taps comes to 2.1 to 2.4 times the error of a
product of matrices in float32 of the same length, where the ±1 and ±2 of the literature come to 4.6 to 5.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

Matrix = tuple[tuple[float, ...], ...]

# By the number of inputs of a piece: the finite points.
_POINTS: dict[int, tuple[Fraction, ...]] = {
    1: (),
    6: (Fraction(0), Fraction(5, 8), Fraction(-5, 8), Fraction(3, 2), Fraction(-3, 2)),
    8: (Fraction(0), *(s * Fraction(n, 4) for n in (2, 4, 7) for s in (1, -1))),
}
# Outputs of a piece by the taps of the kernel.
_OUTPUTS = {1: 1, 3: 4, 4: 3, 5: 2, 7: 2}
# Eight points along both axes would multiply their errors beyond three times those of a product.
_ALONE = 8
#: The weight gradient with 8 points came to 3.4 times the error of a product, with 6 to 2.2.
MOST_PLACES_OF_WEIGHTS = 6


@dataclass(frozen=True)
class Scheme:
    """One axis: how many outputs a piece has, of how many taps."""

    outputs: int
    taps: int

    @property
    def places(self) -> int:
        """Inputs of a piece, and its multiplications."""
        return self.outputs + self.taps - 1

    @property
    def turned(self) -> Scheme:
        """That of the weight gradient: taps are its outputs, and the outputs' gradient is its kernel."""
        return Scheme(self.taps, self.outputs)


@lru_cache(maxsize=64)
def schemes_for(kernel: tuple[int, ...]) -> tuple[Scheme, Scheme] | None:
    """The schemes of the line axis and of the last axis of a kernel, or None if there is none."""
    line, last = (1, *kernel)[-2:]
    if line not in _OUTPUTS or last not in _OUTPUTS or line == last == 1:
        return None
    pair = Scheme(_OUTPUTS[line], line), Scheme(_OUTPUTS[last], last)
    if max(pair[0].places, pair[1].places) >= _ALONE and min(line, last) > 1:
        return None
    return pair


@lru_cache(maxsize=64)
def matrices(scheme: Scheme) -> tuple[Matrix, Matrix, Matrix]:
    """Aᵀ, G and Bᵀ.

    >>> matrices(Scheme(1, 1))
    (((1.0,),), ((1.0,),), ((1.0,),))
    """
    points = _POINTS[scheme.places]
    whole = _product(points)
    rows_a, rows_g, rows_b = [], [], []
    for number, p in enumerate(points):
        rest = _product(points[:number] + points[number + 1 :])
        scale = sum(c * p**i for i, c in enumerate(rest))
        rows_a.append([p**i for i in range(scheme.outputs)])
        rows_g.append([p**i / scale for i in range(scheme.taps)])
        rows_b.append([*rest, Fraction(0)])
    rows_a.append([Fraction(i == scheme.outputs - 1) for i in range(scheme.outputs)])
    rows_g.append([Fraction(i == scheme.taps - 1) for i in range(scheme.taps)])
    rows_b.append(whole)
    columns = [list(column) for column in zip(*rows_a, strict=True)]
    return _floats(columns), _floats(rows_g), _floats(rows_b)


def _product(points: tuple[Fraction, ...]) -> list[Fraction]:
    """The coefficients of Π (x − q), the constant first."""
    found = [Fraction(1)]
    for q in points:
        found = [up - q * same for up, same in zip([Fraction(0), *found], [*found, Fraction(0)], strict=True)]
    return found


def _floats(rows: list[list[Fraction]]) -> Matrix:
    return tuple(tuple(float(number) for number in row) for row in rows)
