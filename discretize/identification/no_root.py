"""Equations that numbers of many digits show to have no admissible solution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp
from mpmath.libmp.libhyper import NoConvergence

from ..linear.witness import Values, samples

_DIGITS = 80


def excluded(
    others: set[sp.Symbol],
    equations: Callable[[Values], list[sp.Expr]],
    symbols: list[sp.Symbol],
    below: frozenset[sp.Symbol],
) -> bool:
    """Whether the equations have no admissible solution, at two samples: other parameters below one, and of any size.

    Both samples are needed, because some methods coincide only where the momentum is below one.

    Args:
        others: parameters that are not unknowns.
        equations: the equations at given values of these.
        symbols: the unknowns, which are positive.
        below: those that are less than one, too.
    """
    found = list(samples(others, 3))
    if len(found) < 2:
        return False
    mixed, small = found[:2]
    for values in (small, mixed) if others else (small,):
        there = equations(values)
        if any(e.has(sp.zoo, sp.nan, sp.I) for e in there) or not _no_solution(
            there, symbols, below
        ):
            return False
    return True


def _no_solution(
    equations: list[sp.Expr], symbols: list[sp.Symbol], below: frozenset[sp.Symbol]
) -> bool:
    """Whether numbers show that equations without other symbols have no admissible solution; False is inconclusive."""
    polynomials, others = [], []
    if not symbols:
        return _none_left(equations, {}, symbols, below)
    for e in equations:
        top = sp.fraction(sp.together(e))[0]
        if top.is_polynomial(*symbols) and all(
            a.is_Rational for a in sp.Poly(top, *symbols).coeffs()
        ):
            polynomials.append(top)
        else:
            others.append(e)
    if not polynomials:
        return False
    basis = list(sp.groebner(polynomials, *symbols, order="lex").exprs)
    if basis == [1]:
        return True
    return _none_left([*reversed(basis), *others], {}, symbols, below)


def _none_left(
    equations: list[sp.Expr],
    known: dict[sp.Symbol, Any],
    symbols: list[sp.Symbol],
    below: frozenset[sp.Symbol],
) -> bool:
    """Whether every numerical continuation for the unknowns ends in an equation that does not hold."""
    left = []
    for e in equations:
        inserted = e.xreplace(known)
        if inserted.free_symbols & set(symbols):
            left.append(inserted)
        else:
            value = sp.N(inserted, _DIGITS)
            if value.is_number and abs(value) > sp.Float(10) ** (-_DIGITS // 4):
                return True
    for e in left:
        unknown, *more = sorted(e.free_symbols & set(symbols), key=str)
        top = e if more else sp.fraction(sp.together(e))[0]
        if more or not top.is_polynomial(unknown):
            continue
        polynomial = sp.Poly(top, unknown)
        if all(c.is_Rational for c in polynomial.coeffs()):
            polynomial = polynomial.sqf_part()
        try:
            roots = _roots(polynomial)
        except NoConvergence:
            return False
        real = [sp.re(r) for r in roots if abs(sp.im(r)) < sp.Float(10) ** (-_DIGITS // 4)]
        tiny = sp.Float(10) ** (-_DIGITS // 4)
        allowed = [r for r in real if r > tiny and (unknown not in below or r < 1 - tiny)]
        rest = [o for o in left if o is not e]
        return all(_none_left(rest, {unknown: r}, symbols, below) for r in allowed)
    return False


def _roots(polynomial: sp.Poly) -> list[sp.Expr]:
    """The complex roots to many digits; NoConvergence where they are not.

    Coefficients go in as numbers of these digits: SymPy may take others, sqrt(2) say, in double precision.
    """
    if not polynomial.degree():
        return []
    numbers = [sp.N(c, _DIGITS) for c in polynomial.all_coeffs()]
    if len(numbers) == 2:
        return [-numbers[1] / numbers[0]]
    near: list[sp.Expr] = sp.Poly(numbers, polynomial.gen).nroots(n=_DIGITS, maxsteps=500)
    for r in near:
        value = scale = sp.S.Zero
        for c in numbers:
            value, scale = value * r + c, scale * abs(r) + abs(c)
        if not abs(sp.expand(value)) <= scale * sp.Float(10) ** (-_DIGITS // 2):
            raise NoConvergence(f"a root is off by {value}")
    return near
