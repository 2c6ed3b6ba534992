"""Matrices of 300-bit floating-point numbers, for coordinates and bounds near 1.

What takes a matrix takes one of doubles as well, and stays in doubles.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from ..checking.checker import Number
from ..checking.field import of_mpf

BITS = 300


@cache
def context() -> Any:
    """Floating-point arithmetic of 300 bits, apart from what else uses mpmath."""
    import mpmath

    found = mpmath.mp.clone()
    found.prec = BITS
    return found


def high(x: Number) -> Any:
    """A number of the checker in high precision; of an enclosure, the middle."""
    mp = context()
    a = Fraction(x.a)
    value = mp.mpf(a.numerator) / a.denominator
    if x.b:
        b = Fraction(x.b)
        value += mp.sqrt(x.d) * b.numerator / b.denominator
    return value


def highs(entries: Any) -> Any:
    """An array of numbers of the checker, given as nested lists, in high precision."""
    return np.vectorize(high, otypes=[object])(np.array(entries, dtype=object))


def unit(n: int, exactly: bool = True) -> Any:
    """The identity in high precision, or in doubles."""
    if not exactly:
        return np.eye(n)
    mp = context()
    return np.array([[mp.mpf(i == j) for j in range(n)] for i in range(n)], dtype=object)


def exactly(matrix: Any) -> bool:
    """Whether a matrix is in high precision, and not in doubles."""
    return bool(matrix.dtype == object)


def inverse(matrix: Any) -> Any:
    """By mpmath's LU; ZeroDivisionError for a singular matrix, of doubles a ValueError."""
    if not exactly(matrix):
        return np.linalg.inv(matrix)
    return _array(context().matrix(matrix.tolist()) ** -1)


def upper_root(matrix: Any) -> Any:
    """The upper triangular R with R'R = matrix, positive definite; ValueError for another."""
    if not exactly(matrix):
        return np.linalg.cholesky(matrix).T
    return _array(context().cholesky(context().matrix(matrix.tolist())).T)


def _array(matrix: Any) -> Any:
    """Of mpmath's matrix."""
    return np.array(matrix.tolist(), dtype=object)


def spectral_radius(matrix: Any) -> Any:
    """The largest modulus of the eigenvalues."""
    if not exactly(matrix):
        return np.abs(np.linalg.eigvals(matrix)).max()
    mp, n = context(), len(matrix)
    found, current = [mp.mpf(1)], matrix
    for k in range(1, n + 1):  # the characteristic polynomial (Faddeev and LeVerrier)
        found.append(-sum(current[i, i] for i in range(n)) / k)
        current = matrix @ (current + unit(n) * found[-1])
    if n == 1:
        return abs(found[1])
    if n == 2:
        _, b, c = found
        root = mp.sqrt(b * b - 4 * c)
        return max(abs(-b + root), abs(-b - root)) / 2
    roots = mp.polyroots(found, maxsteps=500, extraprec=2 * BITS, error=False)
    return max(abs(z) for z in roots)


def fraction(x: Any) -> Fraction:
    """A number in high precision as what it is exactly."""
    return of_mpf(x._mpf_)


def dyadic(x: float, bits: int, size: float | None = None) -> Fraction:
    """A number rounded to so many bits of a size.

    Args:
        x: the number.
        bits: after the leading one of the size.
        size: its own by default.
    """
    size = abs(x) if size is None else size
    if not size:
        return Fraction(0)
    grid = Fraction(2) ** (math.frexp(size)[1] - bits)
    return round(Fraction(x) / grid) * grid


def decimal(
    x: Fraction, digits: int = 10, rounded: Callable[[Fraction], int] = math.floor
) -> Fraction:
    """A positive number as a decimal.

    Args:
        x: the number.
        digits: how many of them are significant.
        rounded: to whole numbers: downwards by default, or `math.ceil`.
    """
    grid = Fraction(1)
    while x < grid:
        grid /= 10
    while x >= 10 * grid:
        grid *= 10
    grid /= Fraction(10) ** (digits - 1)
    return rounded(x / grid) * grid
