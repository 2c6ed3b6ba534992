"""From given poles to parameters: linear conditions on (beta, s, t), then back to (beta, a, b).

In units h = 1/sqrt(L) the trace and the determinant of a mode of the passive form are affine in
beta, s = a + b and t = a beta (`poles_modal` reads that off the discretized system), so a wanted pole
is one linear equation in them. Only the way back, a = t / beta, is not linear: beta = 0 is a branch
of its own, and so is what a prescribed b, beta (s - b) = t, makes of the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import sympy as sp

from ...dynamics.algebra.exact import canonical, is_zero
from ..library.momentum import modal_form
from .conditions import BETA, Condition, Contradiction, Elimination, S, T, contradiction
from .specification import PlacedMode, Reader

Fresh: TypeAlias = Callable[[str], sp.Symbol]


@dataclass(frozen=True)
class Branch:
    """Parameters in units h = 1/sqrt(L), with the symbols that stay free and what was divided by."""

    beta: sp.Expr
    a: sp.Expr
    b: sp.Expr
    free: tuple[sp.Symbol, ...] = ()
    nonzero: tuple[sp.Expr, ...] = ()


def wanted(mode: PlacedMode) -> list[Condition]:
    """One pole is one linear condition, r^2 - T r + D = 0; two poles fix T and D."""
    (t0, t), (d0, d) = modal_form(mode.ell)
    if len(mode.poles) == 1:
        (r,) = mode.poles
        x, y, z = (canonical(e - r * f) for e, f in zip(d, t, strict=True))
        return [
            Condition(f"the pole {r} at {mode.label}", (x, y, z), canonical(r * t0 - d0 - r**2))
        ]
    shown = f"the poles {mode.poles[0]} and {mode.poles[1]} at {mode.label}"
    total, product = mode.sum_and_product()
    return [
        Condition(f"{shown} (their sum)", t, canonical(total - t0)),
        Condition(f"{shown} (their product)", d, canonical(product - d0)),
    ]


def prescribed(given: Mapping[str, sp.Expr], reader: Reader) -> list[Condition]:
    """Prescribed parameters as linear conditions on (beta, s, t); b alone is not linear and left to `solve`."""
    one, none = sp.S.One, sp.S.Zero
    rows = {
        "K": lambda v: ((one, none, none), 1 - v),
        "beta": lambda v: ((one, none, none), v),
        "a": lambda v: ((v, none, -one), none),
        # alpha L = a (1 - beta) + b = s - t and gamma alpha L = a beta = t
        "alpha": lambda v: ((none, one, -one), v * reader.smoothness),
        "gamma": lambda v: ((none, v, -one - v), none),
    }
    found = [Condition(f"{n} = {v}", *rows[n](v)) for n, v in given.items() if n in rows]
    if "a" in given and "b" in given:
        a, b = given["a"], given["b"]
        found.append(Condition(f"a = {a} and b = {b}", (none, one, none), canonical(a + b)))
    return found


def solve(
    conditions: Sequence[Condition], a: sp.Expr | None, b: sp.Expr | None, fresh: Fresh
) -> list[Branch]:
    """All branches of parameters that satisfy the conditions.

    Args:
        conditions: on the poles of the modes.
        a: the prescribed feed-through, or None.
        b: the prescribed gain of the gradient, or None.
        fresh: makes symbols for the parameters that remain free.

    Raises:
        Contradiction: there is no branch.
    """
    base = Elimination.of(conditions)
    beta = base.value(BETA)
    found: list[Branch] = []
    failure: Contradiction | None = None
    for branch in (_regular, _memoryless):
        try:
            found += branch(base, beta, a, b, fresh)
        except Contradiction as error:
            failure = failure or error
    if not found:
        assert failure is not None
        raise failure
    return found


def _regular(
    base: Elimination, beta: sp.Expr | None, a: sp.Expr | None, b: sp.Expr | None, fresh: Fresh
) -> list[Branch]:
    """The branches with beta != 0."""
    if beta is not None and is_zero(beta):
        return []
    if a is not None or b is None:
        return [_completed(base, beta, a, b, fresh)]
    if beta is not None:
        return [_completed(_with_b(base, beta, b), beta, None, b, fresh)]
    if len(base.rows) == 2:
        return [
            _completed(_bound(base, root), root, None, b, fresh) if root is not None
            else _completed(base, None, None, b, fresh)
            for root in _quadratic(base, b)
        ]  # fmt: skip
    momentum = fresh("beta")
    bound = _bound(base, momentum)
    branch = _completed(_with_b(bound, momentum, b), momentum, None, b, fresh)
    branches = [replace(branch, free=(momentum, *branch.free))]
    rest, _, _ = bound.reduced(_b_condition(momentum, b))
    numerator = sp.numer(sp.together(next((x for x in rest if x != 0), sp.S.One)))
    for special in sp.roots(sp.Poly(numerator, momentum)) if numerator.has(momentum) else ():
        if is_zero(special):
            continue
        try:
            there = _with_b(_bound(base, canonical(special)), canonical(special), b)
        except Contradiction:
            continue  # at this beta the prescribed b cannot be had
        branches.append(_completed(there, canonical(special), None, b, fresh))
    return branches


def _bound(base: Elimination, beta: sp.Expr) -> Elimination:
    made = base.copy()
    made.add(Condition("", BETA, beta))
    return made


def _b_condition(beta: sp.Expr, b: sp.Expr) -> Condition:
    return Condition(f"b = {b}", (sp.S.Zero, beta, -sp.S.One), canonical(b * beta))


def _with_b(base: Elimination, beta: sp.Expr, b: sp.Expr) -> Elimination:
    made = base.copy()
    made.add(_b_condition(beta, b))
    return made


def _quadratic(base: Elimination, b: sp.Expr) -> list[sp.Expr | None]:
    """The nonzero roots beta of beta (s - b) = t along the line that the conditions leave; None: all of it."""
    at = [_bound(base, beta) for beta in (sp.S.Zero, sp.S.One)]
    (s0, s1), (t0, t1) = ([e.value(row) for e in at] for row in (S, T))
    assert s0 is not None and s1 is not None and t0 is not None and t1 is not None
    two, one, none = canonical(s1 - s0), canonical(s0 - b - (t1 - t0)), canonical(-t0)
    if is_zero(two):
        if not is_zero(one):
            roots = [canonical(-none / one)]
        elif is_zero(none):
            return [None]
        else:
            raise contradiction((*base.names, f"b = {b}"), none)
    else:
        inside = canonical(one**2 - 4 * two * none)
        if inside.is_number and not is_zero(inside) and sp.N(inside, 30) < 0:
            raise Contradiction(
                f"no real parameters of the passive form meet {', '.join(base.names)} and b = {b} together: "
                f"beta would solve a quadratic equation with the discriminant {inside}. Drop or change one of them."
            )
        root = sp.S.Zero if is_zero(inside) else _square_root(inside)
        roots = [
            canonical((sign * root - one) / (2 * two)) for sign in ((1, -1) if root != 0 else (1,))
        ]
    kept: list[sp.Expr | None] = [r for r in roots if not is_zero(r)]
    return kept


def _square_root(e: sp.Expr) -> sp.Expr:
    """A square root up to its sign: even powers come out, and a root of roots of numbers where it can be written so."""
    if e.is_number:
        return sp.sqrtdenest(sp.sqrt(sp.radsimp(e, max_terms=8)))
    outside, inside = sp.S.One, sp.S.One
    for sign, part in zip((1, -1), sp.fraction(sp.together(e)), strict=True):
        constant, factors = sp.factor_list(part)
        inside *= constant**sign
        for factor, power in factors:
            outside *= factor ** (sign * (power // 2))
            inside *= factor ** (sign * (power % 2))
    return outside * sp.sqrt(inside)


def _completed(
    base: Elimination, beta: sp.Expr | None, a: sp.Expr | None, b: sp.Expr | None, fresh: Fresh
) -> Branch:
    """Name what the conditions leave open (beta, then a, then b) and go back from (beta, s, t) to (beta, a, b)."""
    free: list[sp.Symbol] = []
    if beta is None:
        beta = fresh("beta")
        free.append(beta)
        base = _bound(base, beta)
    t = base.value(T)
    if t is None:
        base = base.copy()
        free.append(fresh("a_0"))
        t = canonical(free[-1] * beta)
        base.add(Condition("", T, t))
    feed = canonical(t / beta) if a is None else a
    s = base.value(S)
    if s is None:
        free.append(fresh("b_0"))
        s = feed + free[-1]
    back = canonical(s - feed) if b is None else b
    return Branch(beta, feed, back, tuple(free), (*base.pivots, beta))


def _memoryless(
    base: Elimination, beta: sp.Expr | None, a: sp.Expr | None, b: sp.Expr | None, fresh: Fresh
) -> list[Branch]:
    """The branch beta = 0, in which t = 0 and the step s = a + b is all that matters."""
    if beta is not None and not is_zero(beta):
        return []
    base = base.copy()
    if beta is None:
        try:
            base.add(Condition("", BETA, sp.S.Zero))
            base.add(Condition("", T, sp.S.Zero))
        except Contradiction:
            return []  # not a member of the family
    else:
        base.add(Condition("beta = 0 (which follows, and makes every determinant 0)", T, sp.S.Zero))
    s = base.value(S)
    free: list[sp.Symbol] = []
    if a is None and b is not None and s is not None:
        a = canonical(s - b)
    elif a is None:
        a = fresh("a_0")
        free.append(a)
    if b is None and s is not None:
        b = canonical(s - a)
    elif b is None:
        b = fresh("b_0")
        free.append(b)
    return [Branch(sp.S.Zero, a, b, tuple(free), base.pivots)]
