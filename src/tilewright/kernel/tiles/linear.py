"""Small constant matrices times vectors of values, with the fewest operations their symmetry allows.

Points come in pairs ±p. Two rows of such a pair are equal in the even columns and opposite in the odd ones
(or the other way round): even part E and odd part O are summed once, and the rows are E + O and E − O. Two
columns of a pair are equal in some rows and opposite in the others: only the sum and the difference of their
two values are needed.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.kernel.builder import Function, Value
from tilewright.plan.winograd import Matrix

Row = Sequence[float]


def apply(f: Function, matrix: Matrix, values: Sequence[Value]) -> list[Value]:
    """Emits matrix · values."""
    assert all(len(row) == len(values) for row in matrix)
    columns, values = _without_pairs(f, [list(c) for c in zip(*matrix, strict=True)], list(values))
    rows = [list(row) for row in zip(*columns, strict=True)]
    found: list[Value | None] = [None] * len(rows)
    for i, row in enumerate(rows):
        if found[i] is not None:
            continue
        partner = next((j for j in range(i + 1, len(rows)) if found[j] is None and _pair(row, rows[j])), None)
        if partner is None:
            found[i] = chain(f, row, values)
            continue
        even = [a if a == b else 0.0 for a, b in zip(row, rows[partner], strict=True)]
        odd = [a if a != b else 0.0 for a, b in zip(row, rows[partner], strict=True)]
        e, o = chain(f, even, values), chain(f, odd, values)
        found[i], found[partner] = e + o, e - o
    return [value for value in found if value is not None]


def both_ways(
    f: Function, line: Matrix, last: Matrix, square: Sequence[Sequence[Value]]
) -> list[list[Value]]:
    """``line`` on every column of the square, then ``last`` on every row: line · square · lastᵀ."""
    columns = [apply(f, line, [row[j] for row in square]) for j in range(len(square[0]))]
    return [apply(f, last, [column[i] for column in columns]) for i in range(len(line))]


def chain(f: Function, row: Row, values: Sequence[Value]) -> Value:
    """Emits Σ row[i] · values[i] as a chain that starts with a product by one, if there is any."""
    terms = [(c, v) for c, v in zip(row, values, strict=True) if c]
    assert terms, "a row of zeros"
    terms.sort(key=lambda term: term[0] != 1.0)
    (first, value), *rest = terms
    total = value if first == 1.0 else value * f.number(value.type, first)
    for c, v in rest:
        if c == 1.0:
            total = total + v
        elif c == -1.0:
            total = total - v
        else:
            total = f.multiply_add(v, f.number(v.type, c), total)
    return total


def _pair(a: Row, b: Row) -> bool:
    """Whether two rows agree but for some signs, and neither in all places nor in none."""
    if any(abs(x) != abs(y) for x, y in zip(a, b, strict=True)):
        return False
    opposite = [x != y for x, y in zip(a, b, strict=True)]
    same = [bool(x) and x == y for x, y in zip(a, b, strict=True)]
    return any(opposite) and any(same)


def _without_pairs(
    f: Function, columns: list[list[float]], values: list[Value]
) -> tuple[list[list[float]], list[Value]]:
    """Each two columns that agree but for signs replaced by those of the sum and the difference.

    Only where there are fewer rows than columns: a square matrix has pairs of rows instead.
    """
    if len(columns[0]) >= len(columns):
        return columns, values
    new_columns, new_values, done = [], [], set()
    for i, column in enumerate(columns):
        if i in done:
            continue
        partner = next(
            (j for j in range(i + 1, len(columns)) if j not in done and _pair(column, columns[j])), None
        )
        if partner is None:
            new_columns.append(column)
            new_values.append(values[i])
            continue
        done.add(partner)
        other = columns[partner]
        new_columns.append([a if a == b else 0.0 for a, b in zip(column, other, strict=True)])
        new_values.append(values[i] + values[partner])
        new_columns.append([a if a != b else 0.0 for a, b in zip(column, other, strict=True)])
        new_values.append(values[i] - values[partner])
    return new_columns, new_values
