"""Rounding errors of a scalar formula: bounds on the digits that it loses at given parameters.

Every operation rounds its result by at most half a unit in the last place; errors of its operands are
carried on by its condition. Values are taken with sixty digits, so that the bound is that of the form
and not of the bound's own arithmetic.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from functools import lru_cache

import mpmath
import sympy as sp
from mpmath import mpf
from sympy.codegen.cfunctions import expm1

from ....dynamics.algebra.scalars import OF_ARRAYS
from ....dynamics.algebra.streams import KINKS
from .exact_sums import ExactSum
from .power_series import PowerSeries

_DIGITS = 60
_HALF = sp.Rational(1, 2)
_FINE = 5.0  # units in the last place that a form may lose without being called inaccurate
_WORST = 60.0  # in powers of two: nothing is left
# Functions that mpmath has under the same name.
_FUNCTIONS = (expm1, *(f for f in OF_ARRAYS if f not in KINKS))


class _Unknown(Exception):
    """A function whose error is not known, or a value that is not real."""


def lost(e: sp.Expr, numbers: Mapping[sp.Symbol, mpf]) -> float:
    """A bound of the relative error of e in units of the last place; infinite at a zero that is not exact.

    Raises ValueError where the value is not real, or a function is not known.
    """
    return float(_in_sixty_digits(e, numbers)[1])


def value(e: sp.Expr, numbers: Mapping[sp.Symbol, mpf]) -> mpf:
    """The value in sixty digits; ValueError where it is not real."""
    return _in_sixty_digits(e, numbers)[0]


def _in_sixty_digits(e: sp.Expr, numbers: Mapping[sp.Symbol, mpf]) -> tuple[mpf, mpf]:
    try:
        with mpmath.workdps(_DIGITS):
            return _run(e, numbers)
    except (_Unknown, ZeroDivisionError, OverflowError, TypeError):
        raise ValueError(f"no value of {e}, or no bound of its error.") from None


def score(e: sp.Expr, points: Iterable[Mapping[sp.Symbol, mpf]]) -> float:
    """How inaccurate a form is over the points, in lost bits; 0 for one that is accurate everywhere."""
    total, known = 0.0, 0
    for numbers in points:
        try:
            error = lost(e, numbers)
        except ValueError:
            continue
        known += 1
        total += min(_WORST, max(0.0, math.log2(max(error, 1e-9) / _FINE)))
    return total / known if known else 0.0


@lru_cache(maxsize=256)
def sample(symbols: frozenset[sp.Symbol], count: int = 32) -> list[dict[sp.Symbol, mpf]]:
    """Numbers for the symbols: over eight decades, close to one, and mu close to L; whole ones for counters."""
    listed = sorted(symbols, key=lambda s: s.name)
    draw = random.Random(7)
    points = []
    for i in range(count):
        numbers = {}
        for s in listed:
            if s.is_integer:
                numbers[s] = mpf(draw.choice((0, 1, 2, 10, 1000)))
            elif i % 4 == 0 or draw.random() < 0.15:
                numbers[s] = 1 - mpf(10) ** -draw.choice((2, 4, 6))
            else:
                numbers[s] = mpf(10) ** draw.uniform(-6.5, 1.5)
        by_name = {s.name: s for s in listed}
        if {"mu", "L"} <= by_name.keys():
            near = 1 - mpf(10) ** -draw.uniform(1, 6)
            far = mpf(10) ** draw.uniform(-7, 0)
            numbers[by_name["mu"]] = numbers[by_name["L"]] * (near if i % 3 == 0 else far)
        points.append(numbers)
    return points


def _run(e: sp.Expr, at: Mapping[sp.Symbol, mpf]) -> tuple[mpf, mpf]:
    """The value, and the bound of its relative error in units of the last place."""
    if e.is_Symbol:
        return at[e], mpf(0)
    if e.is_Rational:
        return mpf(e.p) / e.q, mpf(0 if math.log2(e.q).is_integer() else 0.5)
    if e.is_Add:
        return _sum([_run(a, at) for a in e.args])
    if e.is_Mul:
        return _product(e, at)
    if e.is_Pow and not isinstance(e, sp.exp):
        return _power(e, at)
    if e in (sp.E, sp.pi):
        return (mpmath.e if e == sp.E else mpmath.pi) * mpf(1), mpf(0.5)
    if isinstance(e, sp.Max):
        return _run(next(a for a in e.args if not a.is_number), at)
    if isinstance(e, PowerSeries):
        x, error = _run(e.args[0], at)
        return e.exact(x), error * (1 + abs(x)) + 3
    if isinstance(e, ExactSum):
        return e.opened(tuple(at[s] for s in e.args)), mpf(1)
    if isinstance(e, _FUNCTIONS):
        x, error = _run(e.args[0], at)
        function = getattr(mpmath, type(e).__name__)
        y = _real(function(x))
        if y == 0 or not error:
            return y, mpf("inf") if error else mpf(1)
        return y, abs(x * mpmath.diff(function, x) / y) * error + 1
    raise _Unknown


def _real(x: object) -> mpf:
    if not isinstance(x, mpf) or not mpmath.isfinite(x):
        raise _Unknown
    return x


def _sum(terms: list[tuple[mpf, mpf]]) -> tuple[mpf, mpf]:
    terms = sorted(terms, key=lambda t: -t[0])
    total, absolute = mpf(0), mpf(0)
    for i, (x, error) in enumerate(terms):
        near = x < 0 and total > 0 and total / 2 <= -x <= 2 * total  # such a difference is exact
        total += x
        whole = mpmath.isint(x) and mpmath.isint(total)
        absolute += abs(x) * error
        absolute += abs(total) / 2 if i and not near and not whole else 0
    if absolute == 0:
        return total, mpf(0)
    return total, absolute / abs(total) if total else mpf("inf")


def _product(e: sp.Expr, at: Mapping[sp.Symbol, mpf]) -> tuple[mpf, mpf]:
    x, error, rounded = mpf(1), mpf(0), -1
    for factor in e.args:
        y, other = _run(factor, at)
        x, error = x * y, error + other
        rounded += not (factor.is_Rational and abs(math.frexp(float(factor))[0]) == 0.5)
    return x, error + mpf(max(0, rounded)) / 2


def _power(e: sp.Expr, at: Mapping[sp.Symbol, mpf]) -> tuple[mpf, mpf]:
    base, error = _run(e.base, at)
    exponent, other = _run(e.exp, at)
    rounded = 0 if e.exp == 1 else 0.5 if e.exp in (2, -1, _HALF) else 1
    if base < 0 and not e.exp.is_integer:
        raise _Unknown
    more = abs(exponent * mpmath.log(base)) * other if other else mpf(0)
    return _real(base**exponent), abs(exponent) * error + more + rounded
