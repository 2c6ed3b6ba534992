"""Stability of a placed method on every quadratic with curvatures in [mu, L].

Jury's conditions for r^2 - T r + D are 1 - D > 0, 1 + D > 0, 1 - T + D > 0 and 1 + T + D > 0. For the
passive form T and D are affine in the curvature, so they hold on all of [mu, L] exactly if they hold
at both ends (Jury, Theory and Application of the z-Transform Method, 1964).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

import mpmath
import sympy as sp

from ...dynamics.algebra.exact import canonical, is_zero

_RATIOS = [sp.Rational(v) for v in ("1/30", "1/10", "1/3", "3/5", "9/10")]
_VALUES = [
    sp.Rational(v) for v in ("1/10", "1/4", "1/2", "2/3", "3/4", "9/10", "99/100", "5/4", "-1/2")
]
_SAMPLES = 60


@dataclass(frozen=True)
class Stability:
    """The verdict: True or False where it is proved for every value of the symbols, else None.

    ``label`` is "" for a stable method, "unstable", or "stability depends on ..."; ``how`` says on
    what the verdict rests.
    """

    stable: bool | None
    label: str
    how: str


def stability(ends: Sequence[tuple[sp.Expr, sp.Expr]], q: sp.Expr) -> Stability:
    """Jury's conditions for (trace, determinant) at mu and at L, in which q = sqrt(mu/L) may be a symbol."""
    conditions = [canonical(e) for t, d in ends for e in (1 - d, 1 + d, 1 - t + d, 1 + t + d)]
    conditions = list(dict.fromkeys(conditions))
    free = sorted({s for e in conditions for s in e.free_symbols}, key=str)
    if any(e.is_number and (is_zero(e) or sp.N(e, 40) < 0) for e in conditions):
        return Stability(
            False, "unstable", "exact: a pole of modulus 1 or more at an end of [mu, L]."
        )
    if not free:
        stable = all(bool(sp.N(e, 40) > 0) for e in conditions)
        how = "exact: Jury's conditions, affine in the curvature, at both ends of [mu, L]."
        return Stability(stable, "" if stable else "unstable", how)
    if isinstance(q, sp.Symbol) and free == [q]:
        decided = _over_ratios(conditions, q)
        if decided is not None:
            return decided
    return _sampled(conditions, free, q)


def _over_ratios(conditions: Sequence[sp.Expr], q: sp.Symbol) -> Stability | None:
    """The exact verdict for every q in (0, 1): between the real roots no sign changes."""
    roots: set[sp.Expr] = set()
    for e in conditions:
        for part in sp.fraction(sp.together(e)):
            if not part.is_polynomial(q):
                return None
            poly = sp.Poly(part, q)
            if not poly.domain.is_ZZ and not poly.domain.is_QQ:
                return None
            roots |= {r for r in sp.real_roots(poly) if 0 < r < 1} if poly.degree() > 0 else set()
    points = [sp.S.Zero, *sorted(roots, key=lambda r: sp.N(r, 30)), sp.S.One]
    stable: list[tuple[sp.Expr, sp.Expr]] = []
    unstable: list[tuple[sp.Expr, sp.Expr]] = []
    for low, high in itertools.pairwise(points):
        middle = sp.Rational(str(sp.N((low + high) / 2, 25)))
        (stable if all(e.subs(q, middle) > 0 for e in conditions) else unstable).append((low, high))
    if not stable:
        how = "exact, for every 0 < mu < L: Jury's conditions fail at an end of [mu, L]."
        return Stability(False, "unstable", how)
    if not unstable and len(points) == 2:
        how = "exact, for every 0 < mu < L: Jury's conditions hold at both ends of [mu, L]."
        return Stability(True, "", how)
    spans = " and ".join(f"({sp.N(low, 6)}, {sp.N(high, 6)})" for low, high in stable)
    how = f"exact: Jury's conditions hold at both ends of [mu, L] for q = sqrt(mu/L) in {spans} and nowhere else."
    return Stability(None, "stability depends on q", how)


def _sampled(conditions: Sequence[sp.Expr], free: Sequence[sp.Symbol], q: sp.Expr) -> Stability:
    """Jury's conditions at sampled values of the symbols: an indication, reported as one."""
    choices = [
        _RATIOS if s == q else [v for v in _VALUES if v > 0 or not s.is_nonnegative] for s in free
    ]
    points = list(itertools.product(*choices))
    if len(points) > _SAMPLES:
        points = random.Random(0).sample(points, _SAMPLES)
    evaluate = sp.lambdify(list(free), list(conditions), modules="mpmath")
    verdicts: dict[bool, list[tuple[sp.Expr, ...]]] = {True: [], False: []}
    for point in points:
        try:
            values = evaluate(*[mpmath.mpf(int(v.p)) / int(v.q) for v in point])
        except ZeroDivisionError:
            continue
        if all(abs(mpmath.im(v)) < 1e-12 for v in values):
            verdicts[all(mpmath.re(v) > 1e-12 for v in values)].append(point)
    total = sum(map(len, verdicts.values()))
    names = ", ".join(map(str, free))
    if not total:
        return Stability(
            None, f"stability depends on {names}", "undecided: no sample gave real coefficients."
        )

    def shown(point: tuple[sp.Expr, ...]) -> str:
        return ", ".join(f"{s} = {v}" for s, v in zip(free, point, strict=True))

    how = f"sampled, not proved: stable at {len(verdicts[True])} of {total} values of {names}"
    how += f" (q = sqrt(mu/L) in [{_RATIOS[0]}, {_RATIOS[-1]}], the others in [{min(_VALUES)}, {max(_VALUES)}])"
    for verdict, word in ((True, "stable"), (False, "unstable")):
        if verdicts[verdict]:
            how += f", {word} at {shown(verdicts[verdict][0])}"
    label = "unstable" if verdicts[False] else ""
    if all(verdicts.values()):
        label = f"stability depends on {names}"
    return Stability(None, label, how + ".")
