"""Closed forms of an optimum found in numbers: its poles at mu and at L, solved exactly.

At the optimum poles coincide with rho, -rho, rho^2 or 0, where rho is the rate. Each coincidence is a
polynomial equation in the gains and rho over Q(sqrt(mu/L)); as many as there are unknowns are solved by a
Groebner basis. A guess counts only if the exact solution is as good as what the search found, there and
at another condition number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import sympy as sp
from jaxtyping import Float

from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.exact import canonical
from ...dynamics.vector_fields.system import L, mu
from .family import Family
from .search import FINE, BestGains, RateOf

Q, ELL, RHO = sp.symbols("_q _ell _rho", positive=True)  # sqrt(mu/L), sqrt(L), the rate
_POINT = sp.Symbol("_r")
_AGREE = 1e-6  # how closely rates must agree
_NEAR = 0.05  # how far a pole of the search may lie from the value that it is taken for
_HALF = sp.Rational(1, 2)
_PATTERNS = {"rho": RHO, "-rho": -RHO, "0": sp.S.Zero, "rho^2": RHO**2, "-rho^2": -(RHO**2)}


@dataclass(frozen=True)
class ClosedForm(Rendered):
    """An exact optimum.

    Attributes:
        gains: by symbol, in mu and L.
        rate: rho in mu and L.
        poles: what defines it, such as {"mu": ("rho", "rho^2"), "L": ("-rho", "0")}.
    """

    gains: dict[sp.Symbol, sp.Expr]
    rate: sp.Expr
    poles: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class _Condition:
    end: str
    pole: str
    equation: sp.Expr


def closed_form(found: BestGains, rate_of: RateOf) -> ClosedForm | None:
    """The closed form of a search's optimum, or None where the poles show no pattern that can be solved."""
    family = found.family
    fixed = {s: sp.S.Zero for s, v in zip(family.gains, found.gains, strict=True) if v == 0}
    free = [s for s in family.gains if s not in fixed]
    other = Family(family.algorithm, family.gains, family.mu / 3, family.L)
    conditions = list(_conditions(found, fixed))
    for chosen in combinations(conditions, len(free) + 1):
        for gains, rate in _solutions([c.equation for c in chosen], free, found):
            solved = ClosedForm({**gains, **fixed}, rate, _listed(chosen))
            reached = rates_of(solved, family, rate_of)
            if reached is None or reached[0] > found.rate + _AGREE:
                continue
            there = rates_of(solved, other, rate_of)
            if (
                there is not None
                and abs(there[0] - there[1]) + abs(reached[0] - reached[1]) < _AGREE
            ):
                return solved
    return None


def rates_of(solved: ClosedForm, family: Family, rate_of: RateOf) -> tuple[float, float] | None:
    """The computed rate of a closed form, and the rate that it claims.

    Args:
        solved: the closed form.
        family: with numbers for mu and L.
        rate_of: makes the rate function of a family.

    Returns:
        Both rates, or None where the closed form is not defined.
    """
    gains = gains_of(solved, family)
    claimed = complex(sp.N(solved.rate.xreplace({mu: family.mu, L: family.L})))
    if gains is None or abs(claimed.imag) > 1e-12:
        return None
    return rate_of(family, FINE)(gains), claimed.real


def gains_of(solved: ClosedForm, family: Family) -> Float[np.ndarray, " gains"] | None:
    """The gains of a closed form in numbers; None outside the family's domain."""
    values = {mu: family.mu, L: family.L}
    gains = [complex(sp.N(solved.gains[s].xreplace(values))) for s in family.gains]
    outside = (s.is_positive and v.real < 0 for s, v in zip(family.gains, gains, strict=True))
    if any(abs(v.imag) > 1e-12 for v in gains) or any(outside):
        return None
    return np.array([v.real for v in gains])


def _conditions(found: BestGains, fixed: dict[sp.Symbol, sp.Expr]) -> Iterator[_Condition]:
    """Coincidences of poles at the ends of [mu, L]; those of modulus rho first, since they define the rate."""
    family = found.family
    ends = {"mu": (Q * ELL) ** 2, "L": ELL**2}
    at = {"mu": float(family.mu), "L": float(family.L)}
    numeric = {n: complex(sp.N(e.subs(RHO, found.rate))) for n, e in _PATTERNS.items()}
    listed: list[tuple[int, _Condition]] = []
    for end, curvature in ends.items():
        poles = family.modes(found.gains, np.array([at[end]]))[0]
        characteristic = _characteristic(family, curvature, fixed)
        for pattern, value in numeric.items():
            times = int(np.sum(np.abs(poles - value) < _NEAR))
            for i in range(times):
                equation = sp.diff(characteristic, _POINT, i).subs(_POINT, _PATTERNS[pattern])
                if (numerator := _without_zero_roots(sp.expand(equation))) != 0:
                    order = 0 if pattern.endswith("rho") else 1
                    listed.append((order, _Condition(end, pattern, numerator)))
        turning = [r for r in poles if abs(r.imag) > _NEAR and abs(abs(r) - found.rate) < _NEAR]
        if len(turning) == len(poles) == 2:  # a complex pair: its product is the modulus squared
            whole = sp.Poly(characteristic, _POINT)
            pair = whole.nth(0) - RHO**2 * whole.nth(2)
            listed.append((0, _Condition(end, "modulus rho", sp.expand(pair))))
    yield from (c for _, c in sorted(listed, key=lambda item: item[0]))


def _without_zero_roots(equation: sp.Expr) -> sp.Expr:
    """Without powers of rho in front, which a state that forgets everything brings."""
    poly = sp.Poly(equation, RHO)
    lowest = min((m for (m,), c in poly.terms() if c != 0), default=0)
    return sp.expand(equation / RHO**lowest)


def _characteristic(family: Family, curvature: sp.Expr, fixed: dict[sp.Symbol, sp.Expr]) -> sp.Expr:
    values = {L: ELL**2, mu: (Q * ELL) ** 2, **fixed}
    matrix = family.space.modal_matrix(curvature).applyfunc(lambda e: sp.cancel(e.xreplace(values)))
    pencil = _POINT * sp.eye(matrix.rows) - matrix
    return sp.fraction(sp.together(pencil.det(method="berkowitz")))[0]


def _solutions(
    equations: list[sp.Expr], free: list[sp.Symbol], found: BestGains
) -> Iterator[tuple[dict[sp.Symbol, sp.Expr], sp.Expr]]:
    """Solutions in closed form near the search's optimum."""
    family = found.family
    here = {Q: sp.sqrt(family.mu / family.L), ELL: sp.sqrt(family.L)}
    back = {Q: sp.sqrt(mu) / sp.sqrt(L), ELL: sp.sqrt(L)}
    numbers = dict(zip(family.gains, found.gains, strict=True))
    try:
        basis = sp.groebner(equations, *free, RHO, order="lex", domain=sp.QQ.frac_field(Q, ELL))
    except (sp.PolynomialError, ValueError, NotImplementedError):
        return
    if basis.exprs == [1]:
        return
    for known in _back_substituted(list(reversed(basis.exprs)), [RHO, *reversed(free)]):
        rate = complex(sp.N(known[RHO].xreplace(here)))
        if abs(rate - found.rate) > _NEAR * (1 - found.rate):
            continue
        gaps = [
            abs(complex(sp.N(known[s].xreplace(here))) - numbers[s]) / (abs(numbers[s]) + 1e-3)
            for s in free
        ]
        if max(gaps, default=0.0) < 2 * _NEAR:
            shown = {s: _plain(sp.factor(e).xreplace(back)) for s, e in known.items()}
            yield {s: shown[s] for s in free}, shown[RHO]


def _plain(e: sp.Expr) -> sp.Expr:
    """The canonical form; with one square root w of a sum, A + B w over one denominator."""
    roots = {w for w in e.atoms(sp.Pow) if w.exp in (_HALF, -_HALF) and w.base.is_Add}
    bases = {w.base for w in roots}
    if len(bases) != 1:
        return canonical(e)
    (base,) = bases
    w = sp.Dummy("w")
    marked = e.replace(
        lambda n: n.is_Pow and n.base == base and (2 * n.exp).is_integer and not n.exp.is_integer,
        lambda n: w ** (2 * n.exp),
    )
    top, bottom = sp.fraction(sp.together(marked))
    square = sp.Poly(w**2 - base, w)
    low, high = (sp.Poly(part, w).rem(square) for part in (bottom, top))
    conjugate = sp.Poly(low.nth(0) - low.nth(1) * w, w)
    denominator = (low * conjugate).rem(square).nth(0)
    numerator = (high * conjugate).rem(square)
    parts = [canonical(numerator.nth(i) / denominator) for i in (0, 1)]
    shared = sp.together(parts[0] + parts[1] * w)
    over, under = sp.fraction(sp.together(base))
    return sp.factor_terms(sp.together(shared.xreplace({w: sp.sqrt(over) / sp.sqrt(under)})))


def _back_substituted(
    basis: list[sp.Expr], unknowns: list[sp.Symbol]
) -> Iterator[dict[sp.Symbol, sp.Expr]]:
    """All solutions of a triangular system in closed form, roots of degree at most two."""
    if not unknowns:
        yield {}
        return
    partial: list[dict[sp.Symbol, sp.Expr]] = [{}]
    for i, unknown in enumerate(unknowns):
        later = set(unknowns[i + 1 :])
        usable = [e for e in basis if e.has(unknown) and not (e.free_symbols & later)]
        extended = []
        for known in partial:
            for root in _roots(usable, unknown, known):
                extended.append({**known, unknown: root})
        partial = extended
    yield from partial


def _roots(
    usable: list[sp.Expr], unknown: sp.Symbol, known: dict[sp.Symbol, sp.Expr]
) -> list[sp.Expr]:
    inserted = [sp.together(e.subs(known)) for e in usable]
    polynomials = [
        sp.Poly(n, unknown) for e in inserted if (n := sp.expand(sp.fraction(e)[0])).has(unknown)
    ]
    if not polynomials:
        return []
    lowest = min(polynomials, key=lambda p: int(p.degree()))
    roots: list[sp.Expr] = []
    for factor, _ in sp.factor_list(lowest.as_expr(), unknown)[1]:
        part = sp.Poly(factor, unknown)
        if 0 < part.degree() <= 2:
            roots += [sp.factor(r) for r in sp.roots(part, multiple=False)]
    return roots


def _listed(chosen: tuple[_Condition, ...]) -> dict[str, tuple[str, ...]]:
    return {end: tuple(c.pole for c in chosen if c.end == end) for end in ("mu", "L")}
