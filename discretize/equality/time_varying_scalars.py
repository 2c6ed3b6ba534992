"""Scalar coefficients of two methods, expressed by the same ones; each relation is proved by induction."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from ...dynamics.algebra.exact import canonical, is_zero
from ...dynamics.vector_fields.system import L, mu
from ..linear.time_varying_form import K, MatrixSequence, TimeVarying


def closed_form(system: TimeVarying) -> TimeVarying:
    """Scalars that are polynomials in k of degree two or less, proved by induction, written as such."""
    found: dict[sp.Symbol, sp.Expr] = {}
    scalars = MatrixSequence(system).scalars
    for i, s in enumerate(system.ahead):
        values = [row[i] for row in scalars[:5]]
        third = [values[n + 3] - 3 * values[n + 2] + 3 * values[n + 1] - values[n] for n in (0, 1)]
        if s == K or max(abs(v) for v in third) > 1e-25 * (1 + abs(values[4])):
            continue
        orbit, current = [], dict(system.begin)
        for _ in range(3):
            orbit.append(current[s])
            current = {v: canonical(e.xreplace(current)) for v, e in system.ahead.items()}
        second = canonical(orbit[2] - 2 * orbit[1] + orbit[0])
        found[s] = canonical(orbit[0] + K * (orbit[1] - orbit[0]) + K * (K - 1) / 2 * second)
    while found:
        wrong = [
            s
            for s, e in found.items()
            if not is_zero(system.ahead[s].xreplace(found) - e.xreplace({K: K + 1}))
        ]
        if not wrong:
            break
        found = {s: e for s, e in found.items() if s not in wrong}
    return system.rewritten(found) if found else system


def joined(left: TimeVarying, right: TimeVarying) -> tuple[TimeVarying, TimeVarying] | None:
    """Both in the same scalars: those of one, affinely related to the other's, now or one step ahead."""
    for s in [s for s in right.ahead if s not in left.ahead]:
        value = _relation(right, s, left)
        if value is None:
            break
        right = right.rewritten({s: value})
    missing = [s for s in right.ahead if s not in left.ahead]
    for s in [s for s in left.ahead if s not in right.ahead] if missing else []:
        value = _relation(left, s, right)
        if value is None:
            return None
        left = left.rewritten({s: value})
    if any(s not in left.ahead for s in right.ahead) and any(
        s not in right.ahead for s in left.ahead
    ):
        return None
    everything = {**right.ahead, **left.ahead}, {**right.begin, **left.begin}
    return (replace(left, ahead=everything[0], begin=everything[1]),
            replace(right, ahead=everything[0], begin=everything[1]))  # fmt: skip


def _relation(system: TimeVarying, s: sp.Symbol, base: TimeVarying) -> sp.Expr | None:
    """``s``, or else 1 / ``s``, as alpha u + beta for a scalar u that ``base`` has; proved by induction.

    u is a scalar block, its next value, or a scalar computed within the step.
    """
    if system.ahead[s].free_symbols & (set(system.ahead) - {s}):
        return None
    mine = [row[list(system.ahead).index(s)] for row in MatrixSequence(system).scalars[:5]]
    numbers = MatrixSequence(base)
    own = [v for v in base.ahead if v != K]
    for u in dict.fromkeys([*own, *(base.ahead[v] for v in own), *base.within]):
        function = sp.lambdify(numbers.names, u.xreplace(numbers.values), "mpmath", dummify=True)
        theirs = [function(*row) for row in numbers.scalars[:5]]
        for power in (1, -1):
            if power < 0 and any(v == 0 for v in mine):
                continue
            a = [v**power for v in mine]
            skew = (a[4] - a[0]) * (theirs[2] - theirs[1]) - (a[2] - a[1]) * (theirs[4] - theirs[0])
            if theirs[1] == theirs[0] or abs(skew) > 1e-25 * (1 + abs(a[4] * theirs[4])):
                continue
            (y0, x0), (y1, x1) = _first_two(system, s, base, u)
            alpha = canonical((y1**power - y0**power) / (x1 - x0))
            value = canonical((alpha * u + canonical(y0**power - alpha * x0)) ** power)
            if is_zero(system.ahead[s].xreplace({s: value}) - value.xreplace(dict(base.ahead))):
                return value
    return None


def _first_two(
    system: TimeVarying, s: sp.Symbol, base: TimeVarying, u: sp.Expr
) -> list[tuple[sp.Expr, sp.Expr]]:
    """The exact values of ``s`` and ``u`` at the first two steps."""
    begin, after = system.begin[s], canonical(system.ahead[s].xreplace(dict(system.begin)))
    later = {v: canonical(e.xreplace(dict(base.begin))) for v, e in base.ahead.items()}
    return [(begin, canonical(u.xreplace(dict(base.begin)))), (after, canonical(u.xreplace(later)))]


def positive(system: TimeVarying) -> TimeVarying:
    """The form with scalars that remain positive as positive symbols."""
    names = {s: sp.Symbol(s.name, positive=True) for s in system.ahead if s != K}
    known = {s: new for s, new in names.items() if system.begin[s].is_nonnegative
             and _is_positive(system.ahead[s].xreplace(names), new)}  # fmt: skip
    moved = system.rewritten(known)
    for s, new in known.items():
        moved = replace(
            moved,
            ahead={**moved.ahead, new: system.ahead[s].xreplace(known)},
            begin={**moved.begin, new: system.begin[s]},
        )
    return moved


def _is_positive(e: sp.Expr, s: sp.Symbol) -> bool:
    """Whether the next value is positive for every positive value and mu < L: of the form (a + b sqrt(p)) / d."""
    if e.is_positive:
        return True
    top, bottom = sp.fraction(sp.together(e))
    roots = [
        r for r in top.atoms(sp.Pow) if r.exp == sp.Rational(1, 2) and s in r.base.free_symbols
    ]
    if len(roots) != 1:
        return False
    mark = sp.Dummy()
    b = sp.diff(top.xreplace({roots[0]: mark}), mark)
    a = sp.expand(top.xreplace({roots[0]: mark}) - b * mark)
    if (
        mark in b.free_symbols
        or mark in a.free_symbols
        or not (_all_positive(bottom) and _all_positive(b))
    ):
        return False
    return _all_positive(a) or _all_positive(b**2 * roots[0].base - a**2)


def _all_positive(e: sp.Expr) -> bool:
    """Whether every coefficient is positive once L is written as (sqrt(mu) + d)^2."""
    above = sp.Symbol("d", positive=True)
    opened = e.xreplace({L: (sp.sqrt(mu) + above) ** 2}) if {L, mu} <= e.free_symbols else e
    top, bottom = sp.fraction(sp.together(opened))
    return all(t.is_positive for part in (top, bottom) for t in sp.Add.make_args(sp.expand(part)))
