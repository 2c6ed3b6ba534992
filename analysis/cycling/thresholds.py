"""The condition numbers from which a tuned method has a cycle, as algebraic numbers.

In q = sqrt(mu / L) the condition of a cycle is a polynomial in q and x = 2 cos(2 pi / K). Its resultant with the
minimal polynomial of x has rational coefficients, and its real roots contain all q at which the condition changes
sign; between them the sign at one rational q decides. Nothing is decided in floats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ...discretize import Algorithm, StateSpace
from ...discretize.linear.state_space import z
from ...dynamics.algebra.exact import canonical, is_zero
from ...dynamics.algebra.scalars import as_scalar
from ...dynamics.vector_fields.system import L as smoothness
from ...dynamics.vector_fields.system import mu as convexity
from ..certificates.checking.checker import Number
from ..certificates.lower_bounds.cycle import (
    check_periods,
    cosine,
    minimal_polynomial,
    sequences,
    signs,
    sine,
    windings,
)
from ..certificates.methods.plant import THREE
from .methods import named

_q = sp.Symbol("q", positive=True)
_x = sp.Symbol("x", real=True)
_MOST = 18  # degree of cos(2 pi / K), half of Euler's totient of K: about ten seconds

Tuned = Algorithm | StateSpace | Mapping[str, object] | str
Sums = tuple[list[sp.Poly], list[sp.Poly]]


def cycle_threshold(algorithm: Tuned, period: int, winding: int | None = 1) -> sp.Expr:
    """The least kappa = L / mu for which a tuned method has a cycle on roots of unity, exactly.

    Args:
        algorithm: a method with one gradient per step whose parameters are bound to mu and L, or its name.
        period: of the cycle, at least 2, with at most 18 coprime numbers up to its half.
        winding: its winding number, coprime to the period and at most half of it; None for the least kappa of all.

    Returns:
        A SymPy number: with square roots where its degree is at most 2, else a `CRootOf` (float() rounds it).
        1 if all kappa near 1 have the cycle. `cycle_range` gives the other condition numbers.

    Raises:
        OdescentError: there is no such cycle for any kappa, or input outside its domain.
    """
    sums = _sums(algorithm)
    tried = _pairs(period)
    if winding is not None:
        tried = [_checked(period, winding)]
    first = [pieces[0][0] for K, m in tried if (pieces := _pieces(sums, K, m))]
    if not first:
        turns = "" if winding is None else f" and winding number {winding}"
        raise OdescentError(
            f"the method has no cycle of period {period}{turns} on roots of unity for any kappa."
        )
    most = max(e.low for e in first)
    first = [e for e in first if e.high >= most]
    if len(first) > 1:  # algebraic numbers as near as 1e-60 are taken to be equal
        first = sorted((_refined(e, steps=200) for e in first), key=lambda e: e.low)
    return _kappa(first[-1])


def cycle_range(
    algorithm: Tuned, period: int, winding: int = 1
) -> tuple[tuple[sp.Expr, sp.Expr], ...]:
    """All condition numbers for which a tuned method has that cycle: closed intervals (from, to), increasing.

    The last may end at infinity (oo) and the first begin at 1 (then 1 itself is left out, where F(mu, L) has
    one quadratic). Single condition numbers, where the condition just touches zero, are left out.

    Args:
        algorithm: as for `cycle_threshold`.
        period, winding: of the cycle, coprime, winding at most half the period; periods as for `cycle_threshold`.

    Raises:
        OdescentError: input outside its domain.
    """
    period, winding = _checked(period, winding)
    pieces = _pieces(_sums(algorithm), period, winding)
    return tuple((_kappa(high), _kappa(low)) for high, low in pieces)


def _pairs(period: int) -> list[tuple[int, int]]:
    """The period with its winding numbers; OdescentError where the exact condition would take minutes."""
    pairs = windings(check_periods(period), period)
    if len(pairs) > _MOST:
        raise OdescentError(
            f"the exact condition of period {period} has degree {len(pairs)} in cos(2 pi/{period}), more than {_MOST}: "
            "`cycles` decides one condition number, up to longer periods."
        )
    return pairs


def _checked(period: int, winding: object) -> tuple[int, int]:
    for pair in _pairs(period):
        if type(winding) is int and pair[1] == winding:
            return pair
    raise OdescentError(
        f"winding must be a whole number from 1 to half the period {period}, without a common factor with it, "
        f"not {short(winding)}."
    )


def _sums(algorithm: Tuned) -> Sums:
    """The condition's coefficients as polynomials in q, for L = 1 and mu = q^2."""
    transfer = _transfer(named(algorithm))
    scaled = smoothness * transfer.xreplace({convexity: _q**2 * smoothness})
    at_one = canonical(scaled.xreplace({smoothness: sp.S.One}))
    free = at_one.free_symbols - {_q, z}
    if free or not is_zero(scaled - at_one):
        hint = f"it has {min(free, key=str)}" if free else "it changes with the unit of L"
        raise OdescentError(
            f"a threshold in kappa needs a method tuned by mu and L alone, alpha in units of 1/L; {hint}."
        )
    over, under = (sp.Poly(e, z) for e in sp.fraction(sp.together(at_one)))
    try:
        bottom = [sp.Poly(c, _q, domain="QQ") for c in under.all_coeffs()]
        top = [sp.Poly(c, _q, domain="QQ") for c in over.all_coeffs()]
    except (sp.PolynomialError, sp.CoercionFailed):
        raise OdescentError(
            "a threshold in kappa needs coefficients that are rational in sqrt(mu) and sqrt(L), with rational numbers."
        ) from None
    none = sp.Poly(0, _q, domain="QQ")
    width = max(len(top), len(bottom))
    top, bottom = ([none] * (width - len(p)) + p for p in (top, bottom))
    return sequences(top, bottom, sp.Poly(_q**2, _q, domain="QQ"), sp.Poly(1, _q, domain="QQ"))


def _transfer(method: Any) -> sp.Expr:
    if isinstance(method, Algorithm):
        return method.transfer_function()
    if isinstance(method, StateSpace):
        if method.D.shape != (1, 1):
            raise OdescentError("a cycle on roots of unity requires one gradient per step.")
        return method.transfer()[0, 0]
    if not isinstance(method, Mapping) or not {"alpha"} <= set(method) <= set(THREE):
        raise OdescentError(
            "a tuned method must be an algorithm, its state space, its name, or a mapping of alpha, beta and gamma, "
            f"not {short(method)}."
        )
    alpha, beta, gamma = (as_scalar(method.get(n, 0)) for n in THREE[:3])
    return -alpha * ((1 + gamma) * z - gamma) / ((z - 1) * (z - beta))


@dataclass(frozen=True, eq=False)
class _End:
    """An end of an interval of q: a root of an irreducible polynomial, isolated by low and high, or 0 or 1."""

    low: sp.Rational
    high: sp.Rational
    root_of: sp.Poly | None = None


def _pieces(sums: Sums, K: int, m: int) -> list[tuple[_End, _End]]:
    """The intervals (high, low) of q in (0, 1) in which both conditions hold, downwards."""
    factors = {f for sign in (-1, 1) for f in _condition(sums, K, m, sign)}
    ends = [_End(sp.S.Zero, sp.S.Zero), _End(sp.S.One, sp.S.One)]
    if factors:
        product = sp.prod(factors)
        for (a, b), _ in product.intervals(inf=0, sup=1):
            while 0 < b and a < 1 and (a <= 0 or b >= 1) and a != b:  # away from 0 and 1
                a, b = product.refine_root(a, b, steps=4)
            if 0 < a <= b < 1:
                owner = next(f for f in factors if f.count_roots(a, b))
                ends.insert(-1, _End(a, b, owner))
    holds = []
    for i in range(len(ends) - 1):
        while ends[i].high >= ends[i + 1].low:  # neighbouring intervals may touch
            ends[i : i + 2] = [_refined(e) for e in ends[i : i + 2]]
        holds.append(_holds(sums, K, m, (ends[i].high + ends[i + 1].low) / 2))
    found: list[tuple[_End, _End]] = []
    for (low, high), inside in reversed(list(zip(pairwise(ends), holds, strict=True))):
        if inside and found and found[-1][1] is high:
            found[-1] = (found[-1][0], low)
        elif inside:
            found.append((high, low))
    return found


def _refined(end: _End, steps: int = 4) -> _End:
    if end.root_of is None or end.low == end.high:
        return end
    low, high = end.root_of.refine_root(end.low, end.high, steps=steps)
    return _End(low, high, end.root_of)


def _condition(sums: Sums, K: int, m: int, sign: int) -> list[sp.Poly]:
    """The irreducible factors, in q, of the resultant of one condition; none if it holds or fails throughout."""
    even, odd = sums
    total = sp.Poly(0, _q, _x, domain="QQ")
    for first, function, coefficients, weight in ((0, cosine, even, 1), (1, sine, odd, sign)):
        for l, c in enumerate(coefficients, first):
            total += sp.Poly(weight * c.as_expr() * _polynomial(function(K, l * m)), _q, _x, domain="QQ")  # fmt: skip
    modulus = sp.Poly(_polynomial(minimal_polynomial(K)), _q, _x, domain="QQ")
    norm = sp.resultant(total.as_expr(), modulus.as_expr(), _x)
    if norm == 0:  # it vanishes for every q
        return []
    return [f for f, _ in sp.Poly(norm, _q, domain="QQ").factor_list()[1]]


def _polynomial(coefficients: Sequence[Fraction]) -> sp.Expr:
    return sp.Add(*[sp.Rational(c.numerator, c.denominator) * _x**i for i, c in enumerate(coefficients)])  # fmt: skip


def _holds(sums: Sums, K: int, m: int, q: sp.Rational) -> bool:
    even, odd = ([Number(_fraction(c.eval(q))) for c in part] for part in sums)
    return min(signs(even, odd, K, m, True)) >= 0


def _fraction(r: sp.Rational) -> Fraction:
    return Fraction(int(r.p), int(r.q))


def _kappa(end: _End) -> sp.Expr:
    """1 / q^2 for an end."""
    if end.root_of is None:
        return sp.oo if end.high == 0 else sp.S.One
    kappa = sp.Symbol("kappa")
    ascending = end.root_of.all_coeffs()[::-1]
    even, odd = (sp.Poly(ascending[i::2][::-1] or [0], kappa, domain="QQ") for i in (0, 1))
    square = even**2 - sp.Poly(kappa, kappa) * odd**2  # q^2 is a root
    candidates = [f for f, _ in sp.Poly(square.all_coeffs()[::-1], kappa, domain="QQ").factor_list()[1]]  # fmt: skip
    while True:
        span = (1 / end.high**2, 1 / end.low**2)
        near = [(f, n) for f in candidates if (n := f.count_roots(*span))]
        if len(near) == 1 and near[0][1] == 1:
            break
        end = _refined(end)
    factor = near[0][0]
    if factor.degree() <= 2:
        return next(r for r in sp.roots(factor) if span[0] <= r <= span[1])
    return sp.CRootOf(factor, factor.count_roots(None, span[1]) - 1)
