"""Real numbers as fractions, intervals that contain them, or normal laws: arithmetic that never claims too much.

Fractions where they can be, else intervals of many digits, so that two that are told apart differ. A number that is
affine in independent standard normal draws is a normal variable, told apart from another by mean and variance.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, isqrt
from typing import Any, TypeAlias

import sympy as sp

from ...dynamics.algebra.vectors import ScalarNode

Number: TypeAlias = Any  # a Fraction, an interval of mpmath, or a Normal
_DIGITS = 150
_LONGEST = 600  # bits of a denominator
# Functions by others that have enclosures, inverse ones also at the ends of their domains.
_BY_OTHERS: Mapping[Any, Callable[[sp.Expr], sp.Expr]] = {
    sp.tan: lambda x: sp.sin(x) / sp.cos(x),
    sp.asin: lambda x: 2 * sp.atan(x / (1 + sp.sqrt((1 - x) * (1 + x)))),
    sp.acos: lambda x: sp.pi / 2 - sp.asin(x),
    sp.asinh: lambda x: sp.log(x + sp.sqrt(x**2 + 1)),
    sp.acosh: lambda x: sp.log(x + sp.sqrt((x - 1) * (x + 1))),
    sp.atanh: lambda x: (sp.log(1 + x) - sp.log(1 - x)) / 2,
}


@dataclass(frozen=True)
class Normal:
    """A normal variable: its mean, and its weight on each of the independent standard normal draws."""

    mean: Number
    weights: Mapping[Hashable, Number]


class NoNumber(ArithmeticError):
    """There is no real number here, or none that is worked out."""


@contextlib.contextmanager
def precise(digits: int = _DIGITS) -> Iterator[None]:
    """Intervals of many digits."""
    import mpmath

    before, mpmath.iv.dps = mpmath.iv.dps, digits
    try:
        yield
    finally:
        mpmath.iv.dps = before


def number(
    e: sp.Expr,
    known: Mapping[Any, Number],
    node: Callable[[ScalarNode], Number] | None = None,
) -> Number:
    """Evaluate a scalar expression as a fraction, or as an interval that contains it.

    Args:
        e: the expression.
        known: values of its symbols.
        node: evaluates inner products and objective values.

    Raises:
        NoNumber: the expression has no real value there.
    """

    found: dict[sp.Expr, Number] = {}

    def value(part: sp.Expr) -> Number:
        """Each part once, however often it occurs."""
        if part not in found:
            found[part] = _number(part, known, node, value)
        return found[part]

    return value(e)


def _number(
    e: sp.Expr,
    known: Mapping[Any, Number],
    node: Callable[[ScalarNode], Number] | None,
    value: Callable[[sp.Expr], Number],
) -> Number:
    """The same, from the values of its parts."""
    if e.is_Rational:
        return Fraction(int(e.p), int(e.q))
    if isinstance(e, ScalarNode) and node is not None:
        return node(e)
    if e.is_Symbol:
        return known[e]
    if e.is_Add or e.is_Mul:
        return functools.reduce(plus if e.is_Add else times, map(value, e.args))
    if e.is_Pow:
        return _power(value(e.base), value(e.exp))
    if isinstance(e, (sp.Max, sp.Min)):
        above = isinstance(e, sp.Max)
        best, *others = map(value, e.args)
        for p in others:
            best = p if (sign_of(plus(p, times(Fraction(-1), best))) > 0) == above else best
        return best
    if isinstance(e, (sp.Abs, sp.sign)):
        inside = value(e.args[0])
        side = sign_of(inside)
        return Fraction(side) if isinstance(e, sp.sign) else times(Fraction(side), inside)
    return _transcendental(e, value)


def real(e: sp.Expr) -> Number | None:
    """The real number that an expression is, or an interval that holds it; None where none is found."""
    with precise():
        try:
            return number(e, {})
        except (NoNumber, ZeroDivisionError, OverflowError, KeyError):
            return None


def _transcendental(e: sp.Expr, value: Callable[[sp.Expr], Number]) -> Number:
    import mpmath

    known = {
        sp.exp: mpmath.iv.exp,
        sp.log: mpmath.iv.log,
        sp.sin: mpmath.iv.sin,
        sp.cos: mpmath.iv.cos,
    }
    if e is sp.pi or e is sp.E:
        return mpmath.iv.pi if e is sp.pi else mpmath.iv.e
    if e.func is sp.atan:
        return _arc_tangent(interval(value(e.args[0])))
    if e.func is sp.ceiling:
        return _ceiling(value(e.args[0]))
    if e.func in _BY_OTHERS:
        return value(_BY_OTHERS[e.func](*e.args))
    if e.func not in known:
        written = e.rewrite(sp.exp)
        if written.atoms(e.func):
            raise NoNumber(f"{e.func} is not supported")
        return value(written)
    (inside,) = map(interval, map(value, e.args))
    if e.func is sp.log and not inside.a > 0:
        raise NoNumber("the logarithm of what may be negative")
    return known[e.func](inside)


def _ceiling(x: Number) -> Number:
    """The least whole number that is not below; raises NoNumber where it is not certain."""
    import mpmath

    if isinstance(x, Fraction):
        return Fraction(ceil(x))
    x = interval(x)
    with mpmath.workprec(mpmath.iv.prec + 10):  # all digits of the ends
        low, high = (int(mpmath.ceil(mpmath.mpf(side))) for side in (x.a, x.b))
    if low != high:
        raise NoNumber("a whole part that is not certain")
    return Fraction(low)


def _arc_tangent(x: Number) -> Number:
    """An interval that holds the arc tangents of one: its ends have tangents beyond those of x, which is checked.

    Raises:
        NoNumber: its ends were not found to these digits.
    """
    import mpmath

    iv = mpmath.iv
    with mpmath.workprec(iv.prec + 10):
        ends = [mpmath.atan(mpmath.mpf(side)) for side in (x.a, x.b)]
        wider = mpmath.ldexp(1, 8 - iv.prec)
        low, high = iv.mpf(ends[0] - wider), iv.mpf(ends[1] + wider)
    if not (iv.sin(low) < x.a * iv.cos(low) and iv.sin(high) > x.b * iv.cos(high)):
        raise NoNumber("an arc tangent to these digits")
    return iv.mpf([low.a, high.b])


def _power(base: Number, exponent: Number) -> Number:
    import mpmath

    whole = isinstance(exponent, Fraction) and exponent.denominator == 1
    if whole and abs(exponent) > 1000:
        raise NoNumber("a power too high")
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        if whole:
            return _short(base ** int(exponent))
        if exponent.denominator == 2 and base >= 0:
            root = Fraction(isqrt(base.numerator), isqrt(base.denominator))
            if root**2 == base:
                return root ** int(2 * exponent)
    if isinstance(base, Normal) and exponent == 1:
        return base
    base = interval(base)
    if whole:
        if exponent < 0:
            sign_of(base)  # not zero
        return base ** int(exponent)
    if not base.a > 0:
        raise NoNumber("the root of what may be negative")
    if isinstance(exponent, Fraction) and exponent.denominator == 2:
        return mpmath.iv.sqrt(base) ** int(2 * exponent)
    return mpmath.iv.exp(interval(exponent) * mpmath.iv.log(base))


def variance(value: Number) -> Number:
    """The variance of a normal variable; zero of any other number."""
    squares = (times(w, w) for w in _normal(value).weights.values())
    return functools.reduce(plus, squares, Fraction(0))


def _normal(value: Number) -> Normal:
    return value if isinstance(value, Normal) else Normal(value, {})


def _short(value: Fraction) -> Number:
    """The fraction; an interval where it has grown too long to be handy."""
    return value if value.denominator.bit_length() < _LONGEST else interval(value)


def plus(one: Number, other: Number) -> Number:
    """The sum."""
    if isinstance(one, Normal) or isinstance(other, Normal):
        a, b = _normal(one), _normal(other)
        shared = {k: plus(a.weights.get(k, Fraction(0)), w) for k, w in b.weights.items()}
        return Normal(plus(a.mean, b.mean), {**a.weights, **shared})
    exact = isinstance(one, Fraction) and isinstance(other, Fraction)
    return _short(one + other) if exact else interval(one) + interval(other)


def times(one: Number, other: Number) -> Number:
    """The product; raises NoNumber for one of two normal variables, which is none."""
    if isinstance(one, Normal) and isinstance(other, Normal):
        raise NoNumber("a product of draws")
    if isinstance(other, Normal):
        one, other = other, one
    if isinstance(one, Normal):
        return Normal(times(one.mean, other), {k: times(w, other) for k, w in one.weights.items()})
    exact = isinstance(one, Fraction) and isinstance(other, Fraction)
    return _short(one * other) if exact else interval(one) * interval(other)


def over(one: Number, other: Number) -> Number:
    """The quotient; raises NoNumber where the divisor may be zero."""
    if not sign_of(other):
        raise NoNumber("a quotient by zero")
    return times(one, _power(other, Fraction(-1)))


def sign_of(value: Number) -> int:
    """The sign of a number; raises NoNumber where it is not certain."""
    if isinstance(value, Fraction):
        return (value > 0) - (value < 0)
    if isinstance(value, Normal):
        raise NoNumber("the sign of a normal variable")
    if value.a > 0 or value.b < 0:
        return 1 if value.a > 0 else -1
    raise NoNumber("a sign that is not certain")


def interval(value: Number) -> Number:
    """An interval that contains the number."""
    import mpmath

    if isinstance(value, Fraction):
        return mpmath.iv.mpf(value.numerator) / value.denominator
    if isinstance(value, Normal):
        raise NoNumber("a function of a normal variable")
    return value


def apart(one: Number, other: Number) -> bool:
    """Whether two numbers provably differ, or two normal variables in mean or variance."""
    if isinstance(one, Normal) or isinstance(other, Normal):
        a, b = _normal(one), _normal(other)
        return apart(a.mean, b.mean) or apart(variance(a), variance(b))
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one != other
    gap = interval(one) - interval(other)
    return bool(gap.a > 0) or bool(gap.b < 0)
