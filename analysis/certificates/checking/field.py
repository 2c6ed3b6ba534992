"""SymPy's numbers as the checker's: a + b sqrt(d) exactly, or an enclosure where that is not possible."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import isqrt
from typing import Any

import sympy as sp
from sympy.functions.elementary.hyperbolic import HyperbolicFunction

from ....dynamics.algebra.scalars import as_scalar
from .checker import Number
from .checker import reciprocal as reciprocal

_BITS = 256  # precision of enclosures


class NotInField(Exception):
    """The number lies in no field Q(sqrt d) with the roots before it."""


class NumberField:
    """Q(sqrt d), where d is the first root that turns up; 1 as long as there is none."""

    def __init__(self, d: int = 1) -> None:
        self.d = d

    def number(self, e: sp.Expr, values: Mapping[sp.Symbol, sp.Expr]) -> Number:
        """The value of an expression of rational numbers, square roots, and symbols with such values."""
        if e.is_Rational:
            return Number(Fraction(int(e.p), int(e.q)), d=self.d)
        if e in values:
            return self.number(values[e], {})
        if e.is_Add or e.is_Mul:
            first, *rest = [self.number(a, values) for a in e.args]
            for other in rest:
                first = first + other if e.is_Add else first * other
            return first
        if e.is_Pow:
            base, exponent = e.as_base_exp()
            if exponent.is_Rational and exponent.q <= 2 and abs(exponent.p) < 100:
                return self._power(self.number(base, values), exponent)
        raise NotInField

    def _power(self, base: Number, exponent: sp.Rational) -> Number:
        if exponent.q == 2:
            base = self.root(base)
        if exponent < 0:
            base = reciprocal(base)
        found = Number(Fraction(1), d=self.d)
        for _ in range(abs(int(exponent.p))):
            found = found * base
        return found

    def root(self, x: Number) -> Number:
        """The square root, where it lies in the field; a first root of a rational makes the field."""
        if x.e or x.sign() < 0:
            raise NotInField
        if not x.b:
            product = x.a.numerator * x.a.denominator  # sqrt(p / q) = sqrt(p q) / q
            root = isqrt(product)
            if root**2 == product:
                return Number(Fraction(root, x.a.denominator), d=self.d)
            if self.d == 1:
                self.d = _without_squares(product)
            factor = isqrt(product * self.d)
            if factor**2 == product * self.d:
                return Number(Fraction(0), Fraction(factor, self.d * x.a.denominator), self.d)
            raise NotInField
        # (u + v sqrt d)^2 = x: u^2 is (a +- sqrt(a^2 - d b^2)) / 2
        norm = _rational_root(x.a**2 - self.d * x.b**2)
        for sign in (1, -1):
            u = None if norm is None else _rational_root((x.a + sign * norm) / 2)
            if u:
                found = Number(u, x.b / (2 * u), self.d)
                return found if found.sign() > 0 else -found
        raise NotInField


def _rational_root(x: Fraction) -> Fraction | None:
    if x < 0:
        return None
    root = Fraction(isqrt(x.numerator), isqrt(x.denominator))
    return root if root**2 == x else None


def _without_squares(n: int) -> int:
    """n without the squares of numbers up to 100,000, as the checker wants it."""
    for factor in range(2, 100_001):
        if factor**2 > n:
            break
        while n % factor**2 == 0:
            n //= factor**2
    return n


def enclosure(
    e: sp.Expr, bits: int = _BITS, values: Mapping[sp.Symbol, Number] | None = None
) -> Number:
    """An interval of about so many bits around a real number written with roots, exponentials and the like.

    Symbols may stand for the intervals in ``values``.

    Args:
        e: an expression with a real value.
        bits: of the interval arithmetic.
        values: intervals by symbol.

    Returns:
        The middle of the interval, with half its width as the error.
    """
    from mpmath import iv

    if e.is_Rational:
        return Number(Fraction(int(e.p), int(e.q)))
    before = iv.prec
    iv.prec = bits
    try:
        known = {
            s: iv.mpf([_bound(x.a - x.e, iv, "a"), _bound(x.a + x.e, iv, "b")])
            for s, x in (values or {}).items()
        }
        found = _interval(e, iv, known)
    finally:
        iv.prec = before
    low, high = (of_mpf(end._mpi_[0]) for end in (found.a, found.b))
    return Number((low + high) / 2, e=(high - low) / 2)


def of_mpf(parts: Any) -> Fraction:
    """The exact value of one of mpmath's numbers, by its parts."""
    from mpmath.libmp import to_rational

    return Fraction(*map(int, to_rational(parts)))


def _bound(x: Fraction, iv: Any, end: str) -> Any:
    """An end of an interval, rounded outwards."""
    return getattr(iv.mpf(x.numerator) / iv.mpf(x.denominator), end)


def _interval(e: sp.Expr, iv: Any, values: Mapping[sp.Symbol, Any]) -> Any:
    """Interval arithmetic along the expression."""
    if e in values:
        return values[e]
    if e.is_Rational:
        return iv.mpf(int(e.p)) / iv.mpf(int(e.q))
    if e is sp.pi:
        return +iv.pi
    if e is sp.E:
        return iv.exp(iv.mpf(1))
    if isinstance(e, HyperbolicFunction):
        return _interval(e.rewrite(sp.exp), iv, values)
    arguments = [_interval(a, iv, values) for a in e.args]
    if e.is_Add or e.is_Mul:
        first, *rest = arguments
        for other in rest:
            first = first + other if e.is_Add else first * other
        return first
    if e.is_Pow and e.exp.is_Integer:
        return arguments[0] ** int(e.exp)
    if e.is_Pow and e.exp == sp.Rational(1, 2):
        return iv.sqrt(arguments[0])
    if e.is_Pow:
        return iv.exp(arguments[1] * iv.log(arguments[0]))
    if isinstance(e, (sp.exp, sp.log, sp.sin, sp.cos, sp.tan)):
        return getattr(iv, e.func.__name__)(*arguments)
    raise NotImplementedError(e)


class OfField:
    """What has its numbers in Q(sqrt d), or, where that is not possible (``exact`` False), in enclosures."""

    d: int
    exact: bool

    def number(self, e: object) -> Number:
        """Another number in the field, or its enclosure."""
        value = as_scalar(e)
        return NumberField(self.d).number(value, {}) if self.exact else enclosure(value)


def expression(x: Number) -> sp.Expr:
    """An exact number in SymPy."""
    a, b = (sp.Rational(f.numerator, f.denominator) for f in (Fraction(x.a), Fraction(x.b)))
    return a + b * sp.sqrt(x.d)


def below(x: Number) -> Fraction:
    """A fraction at most x, nearer than 1e-30."""
    scale = 10**40
    square = x.d * (abs(x.b) * scale) ** 2
    root = Fraction(isqrt(square.numerator // square.denominator), scale)
    part = root if x.b >= 0 else -root - Fraction(1, scale)
    low: Fraction = x.a + part - x.e
    return low
