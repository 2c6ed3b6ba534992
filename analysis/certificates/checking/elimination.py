"""Exact linear algebra, over the checker's numbers or over expressions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .checker import HALF, ONE, ZERO, Matrix, Row, inner, reciprocal


def dot(row: Sequence[Any], matrix: Sequence[Sequence[Any]]) -> Row:
    """A row times a matrix of numbers, skipping zeros."""
    return [inner(row, column) for column in zip(*matrix, strict=True)]


def zeros(size: int) -> Matrix:
    """A square matrix of zeros."""
    return [[ZERO] * size for _ in range(size)]


def add_square(into: Matrix, weight: Any, u: Sequence[Any], v: Sequence[Any]) -> None:
    """into += weight (u v' + v u') / 2, the form weight <u, v>.

    Args:
        into: symmetric, n x n.
        weight: a number.
        u, v: of length n.
    """
    places = [(j, b) for j, b in enumerate(v) if b] if weight else []
    for i, a in enumerate(u):
        for j, b in places if a else ():
            half = weight * HALF * a * b
            into[i][j] = into[i][j] + half
            into[j][i] = into[j][i] + half


def add_form(into: Matrix, factor: Any, form: Matrix, rows: Matrix) -> Matrix:
    """into += factor rows' form rows.

    Args:
        into: symmetric, n x n.
        factor: a number.
        form: symmetric, m x m.
        rows: m of length n.

    Returns:
        The first, changed.
    """
    for line, row in zip(form, rows, strict=True):
        add_square(into, factor, row, dot(line, rows))
    return into


def _is_zero(x: Any) -> bool:
    return not x


def reduced(
    rows: Iterable[Sequence[Any]],
    vanishes: Callable[[Any], bool] = _is_zero,
    invert: Callable[[Any], Any] = reciprocal,
) -> tuple[Matrix, list[int]]:
    """The rows of the reduced echelon form, in the order in which they are found, and the column of each pivot.

    Args:
        rows: of one length.
        vanishes, invert: how an entry is seen to be zero, and its reciprocal.
    """
    done: Matrix = []
    pivots: list[int] = []
    for given in rows:
        row = list(given)
        for other, p in zip(done, pivots, strict=True):
            row = _minus(row, row[p], other)
        lead = next((j for j, e in enumerate(row) if not vanishes(e)), None)
        if lead is None:
            continue
        scale = invert(row[lead])
        row = [scale * e if e else e for e in row]
        done = [*(_minus(other, other[lead], row) for other in done), row]
        pivots.append(lead)
    return done, pivots


def _minus(row: Row, factor: Any, other: Row) -> Row:
    return [a - factor * b if b else a for a, b in zip(row, other, strict=True)] if factor else row


def kernel(rows: Iterable[Sequence[Any]], width: int) -> Matrix:
    """A basis of the solutions of rows x = 0, x of this width."""
    done, pivots = reduced(rows)
    found = []
    for free in (j for j in range(width) if j not in pivots):
        column = [ZERO] * width
        column[free] = ONE
        for row, p in zip(done, pivots, strict=True):
            column[p] = -row[free]
        found.append(column)
    return found


def solved(left: Matrix, right: Matrix, invert: Callable[[Any], Any] = reciprocal) -> Matrix:
    """The X with left X = right; ZeroDivisionError where left is singular.

    Args:
        left: n x n.
        right: n x m, as X is.
        invert: see `reduced`.
    """
    size = len(left)
    rows, pivots = reduced(([*a, *b] for a, b in zip(left, right, strict=True)), invert=invert)
    if sorted(pivots) != list(range(size)):
        raise ZeroDivisionError
    return [rows[pivots.index(i)][size:] for i in range(size)]


def times(row: Sequence[Any], matrix: Matrix) -> Row:
    """A row times a matrix, of any entries."""
    total = [row[0] * e for e in matrix[0]]
    for a, line in zip(row[1:], matrix[1:], strict=True):
        total = [t + a * e for t, e in zip(total, line, strict=True)]
    return total
