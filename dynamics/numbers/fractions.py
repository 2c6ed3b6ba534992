"""Fractions of polynomials with rational coefficients, without cancelling where nothing can cancel.

Cancelling is what costs: a sum does it once for each denominator, and monomials and polynomials do not.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from math import comb, lcm
from typing import Any

import sympy as sp
from sympy.polys.fields import FracElement, FracField
from sympy.polys.rings import PolyElement

from ..._support.errors import DividedByZero
from ..._support.work import work


def fraction(e: sp.Expr, field: FracField, places: Mapping[sp.Symbol, int]) -> FracElement:
    """A rational function as an element of the field.

    Args:
        e: sums, products and integer powers of symbols and rational numbers.
        field: a field of fractions over the rational numbers.
        places: which generator of the field stands for a symbol.

    Raises:
        DividedByZero: a denominator is zero identically.
    """

    def of(e: sp.Expr) -> FracElement:
        if e.is_Symbol:
            return field.gens[places[e]]
        if e.is_Rational:
            return number(field, e)
        if e.is_Add:
            return _sum(field, [of(a) for a in e.args])
        if e.is_Mul:
            return product(e.args)
        if e.is_Atom:  # infinite, or undefined
            raise DividedByZero("a denominator vanishes identically.")
        base, exponent = e.as_base_exp()
        if base.is_Symbol:
            return product((e,))
        element = of(base)
        if element == 0 and exponent < 0:
            raise DividedByZero("a denominator vanishes identically.")
        return raised(element, int(exponent))

    def product(factors: tuple[sp.Expr, ...]) -> FracElement:
        """A product, of which numbers and powers of symbols are one fraction of monomials."""
        above, below = [0] * len(field.gens), [0] * len(field.gens)
        scale, others = sp.S.One, []
        for a in factors:
            base, exponent = a.as_base_exp()
            if a.is_Rational:
                scale = scale * a
            elif base.is_Symbol:
                part = above if exponent > 0 else below
                part[places[base]] += abs(int(exponent))
            else:
                others.append(a)
        work(len(factors))
        monomials = field.raw_new(monomial(field, above, scale.p), monomial(field, below, scale.q))
        return _product(field, [monomials, *map(of, others)])

    return of(e)


def number(field: FracField, value: Any) -> FracElement:
    """A rational number as an element of the field."""
    nothing = [0] * len(field.gens)
    above, below = value.numerator, value.denominator
    return field.raw_new(monomial(field, nothing, above), monomial(field, nothing, below))


def monomial(field: FracField, powers: list[int], scale: int) -> PolyElement:
    """A product of powers of the generators."""
    made = field.ring.zero  # a new one at each call
    if scale:
        made[tuple(powers)] = field.domain(scale)
    return made


def _sum(field: FracField, elements: list[FracElement]) -> FracElement:
    over: dict[PolyElement, PolyElement] = {}
    polynomial: dict[tuple[int, ...], Any] = {}
    for x in elements:
        if x.denom.is_ground:
            scale = x.denom.LC
            for powers, c in x.numer.items():
                polynomial[powers] = polynomial.get(powers, 0) + c / scale
        else:
            over[x.denom] = over.get(x.denom, field.ring.zero) + x.numer
    parts = [field.zero.new(numer, denom) for denom, numer in over.items()]
    rest = whole(field, field.ring.from_dict({m: c for m, c in polynomial.items() if c}))
    return functools.reduce(added, parts, rest)


def _product(field: FracField, elements: list[FracElement]) -> FracElement:
    polynomial, rest = field.ring.one, []
    for x in elements:
        if x.denom.is_ground:
            work(len(polynomial) * len(x.numer))
            polynomial = polynomial * x.numer.quo_ground(x.denom.LC)
        else:
            rest.append(x)
    return functools.reduce(multiplied, rest, whole(field, polynomial))


def whole(field: FracField, polynomial: PolyElement) -> FracElement:
    """A polynomial as an element of the field; only the denominators of its coefficients are to be found."""
    under = lcm(*(c.denominator for c in polynomial.values()))
    if under == 1:
        return field.raw_new(polynomial, field.ring.one)
    return field.raw_new(polynomial.mul_ground(field.domain(under)), field.ring.ground_new(under))


def polynomial_of(e: FracElement) -> PolyElement | None:
    """The polynomial with rational coefficients that an element is; None where it has a denominator."""
    if not e.denom.is_ground:
        return None
    return e.numer if e.denom.LC == 1 else e.numer.quo_ground(e.denom.LC)


def added(a: FracElement, b: FracElement) -> FracElement:
    """The sum of two fractions, whose products of terms are counted."""
    over, under = (
        len(a.numer) * len(b.denom) + len(a.denom) * len(b.numer),
        len(a.denom) * len(b.denom),
    )
    work(over + under)
    p, q = polynomial_of(a), polynomial_of(b)
    return a + b if p is None or q is None else whole(a.field, p + q)


def raised(a: FracElement, n: int) -> FracElement:
    """A power of a fraction, counted by the terms that it may have."""
    work(sum(comb(len(p) + abs(n) - 1, abs(n)) for p in (a.numer, a.denom) if len(p) > 1))
    return a**n


def multiplied(a: FracElement, b: FracElement) -> FracElement:
    """The product of two fractions, counted in the same way."""
    work(len(a.numer) * len(b.numer) + len(a.denom) * len(b.denom))
    p, q = polynomial_of(a), polynomial_of(b)
    if p is not None and q is not None:
        return whole(a.field, p * q)
    return b if p == 1 else a if q == 1 else a * b


def divided(a: FracElement, b: FracElement) -> FracElement:
    """The quotient of two fractions."""
    p, q = polynomial_of(a), polynomial_of(b)
    if p is not None and q is not None and q.is_ground and q:
        return whole(a.field, p.quo_ground(q.LC))
    return a / b
