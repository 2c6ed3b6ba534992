"""Real solutions of polynomial equations excluded by elimination: S-polynomials until one has no admissible zero."""

from __future__ import annotations

import functools
import heapq
import operator
from collections.abc import Iterable, Mapping

import sympy as sp
from sympy.polys.orderings import grevlex
from sympy.polys.rings import PolyElement

from ...dynamics.algebra.exact import independent

_TERMS, _LONGEST, _BITS = 60, 100, 30_000  # of equations, and of what they combine to
FEW, PAIRS = 8, 60  # combinations that are tried
ORDER = functools.lru_cache(1 << 16)(
    grevlex
)  # of monomials; their keys are asked for again and again


def no_solution(
    equations: Iterable[PolyElement],
    positive: frozenset[sp.Symbol],
    below: frozenset[sp.Symbol],
    most: int = PAIRS,
    exponents: Mapping[sp.Symbol, sp.Rational] | None = None,
) -> bool:
    """Whether no real values of the generators solve the equations; False is inconclusive.

    Args:
        equations: polynomials of one ring, which are to be zero.
        positive: the generators that are positive.
        below: those that are less than one, too.
        most: how many combinations of two are tried.
        exponents: of the generators that are e to a rational number.
    """
    exponents = exponents or {}
    never_zero = functools.partial(_never_zero, positive=positive, below=below, exponents=exponents)
    left = list(
        dict.fromkeys(
            _plain(p, positive, below) for p in _halved(equations, positive - exponents.keys())
        )
    )
    left = sorted(left, key=lambda p: (max(map(sum, p.monoms())), len(p)))
    if any(map(never_zero, left)):
        return True
    basis: list[PolyElement] = []
    pairs: list[
        tuple[int, int, PolyElement, PolyElement]
    ] = []  # by degree of the least multiple, and by age
    tried, made, queue = 0.0, 0, [p for p in left if len(p) <= _TERMS]
    while (queue or pairs) and tried < most:
        if queue:
            p, tried = queue.pop(0), tried + 0.1
        else:
            _, _, one, other = heapq.heappop(pairs)
            if one not in basis or other not in basis:
                continue
            p, tried = _cancelling(one, other), tried + 1
        p = p.rem(basis) if basis and p else p
        if not p:
            continue
        p = _plain(p, positive, below)
        if never_zero(p):
            return True
        if len(p) > _LONGEST or max(c.denominator.bit_length() for c in p.coeffs()) > _BITS:
            return False
        lead = p.leading_expv()
        reducible = [q for q in basis if any(all(map(operator.ge, m, lead)) for m in q.monoms())]
        basis = [q for q in basis if q not in reducible]
        queue += reducible
        for q in basis:
            lcm = sum(map(max, lead, q.leading_expv()))
            if lcm < sum(lead) + sum(q.leading_expv()):  # not coprime
                heapq.heappush(pairs, (lcm, made := made + 1, q, p))
        basis.append(p)
    return False


def _halved(equations: Iterable[PolyElement], positive: frozenset[sp.Symbol]) -> list[PolyElement]:
    """The equations in the squares of positive unknowns that occur in even powers only."""
    left = [p for p in equations if p]
    if not left:
        return []
    monomials = [m for p in left for m in p.monoms()]
    shares = [
        2 if s in positive and not any(m[i] % 2 for m in monomials) else 1
        for i, s in enumerate(left[0].ring.symbols)
    ]
    return [
        p.ring.from_dict(
            {tuple(e // n for e, n in zip(m, shares, strict=True)): c for m, c in p.items()}
        )
        for p in left
    ]


def _cancelling(p: PolyElement, q: PolyElement) -> PolyElement:
    """The combination of two monic polynomials in which their leading terms cancel."""
    (m, n), one = (p.leading_expv(), q.leading_expv()), p.ring.domain.one
    lcm = tuple(map(max, m, n))
    return p.mul_term((tuple(map(operator.sub, lcm, m)), one)) - q.mul_term(
        (tuple(map(operator.sub, lcm, n)), one)
    )


def _plain(
    p: PolyElement, positive: frozenset[sp.Symbol], below: frozenset[sp.Symbol]
) -> PolyElement:
    """Without factors s and 1 - s that cannot be zero."""
    least = [
        min(m[i] for m in p.monoms()) if s in positive else 0 for i, s in enumerate(p.ring.symbols)
    ]
    if any(least):
        terms = {tuple(map(operator.sub, m, least)): c for m, c in p.items()}
        p = p.ring.from_dict(terms)
    for s, g in zip(p.ring.symbols, p.ring.gens, strict=True):
        while s in below and p.degree(g) > 0 and not p.evaluate(g, 1):
            p = p.exquo(g - 1)
    return p.monic()


def _never_zero(
    p: PolyElement,
    positive: frozenset[sp.Symbol],
    below: frozenset[sp.Symbol],
    exponents: Mapping[sp.Symbol, sp.Rational],
) -> bool:
    """Whether a polynomial has no zero: terms of one sign, or one unknown without a root where it lies.

    Or no unknown: powers of e to rational numbers whose sum is not zero.
    """
    inside = [i for i in range(p.ring.ngens) if any(m[i] for m in p.monoms())]
    names = [p.ring.symbols[i] for i in inside]
    if all(s in exponents for s in names):
        return independent(p, exponents)
    even = all(
        s in positive or not m[i] % 2
        for i, s in zip(inside, names, strict=True)
        for m in p.monoms()
    )
    if even and (all(c > 0 for c in p.coeffs()) or all(c < 0 for c in p.coeffs())):
        return all(s in positive for s in names) or any(not any(m) for m in p.monoms())
    if len(inside) > 1:
        return False
    (i,), (s,) = inside, names
    single = sp.Poly.from_dict(
        {(m[i],): sp.Rational(int(c.numerator), int(c.denominator)) for m, c in p.items()}, s
    )
    if s in positive and s in below:  # an end is no solution
        ends = [e for e in (0, 1) if single.eval(e) == 0]
        return bool(single.sqf_part().count_roots(0, 1) == len(ends))
    if s in positive:
        return bool(single.sqf_part().count_roots(0, None) == (single.eval(0) == 0))
    return bool(single.count_roots() == 0)
