"""The algebra of pole placement: linear conditions on (beta, s, t), then back to (beta, a, b).

In units h = 1/sqrt(L) the trace and the determinant of a mode of the passive form are affine in
beta, s = a + b and t = a beta (`modal_form` reads that off the discretized system), so a wanted pole
is one linear equation in them. Only the way back, a = t / beta, is not linear: beta = 0 is a branch
of its own, and so is what a prescribed b, beta (s - b) = t, makes of the rest.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import sympy as sp

from odescent._errors import OdescentError
from odescent.dynamics.exact import canonical, is_zero, parameters
from odescent.dynamics.fields import L
from odescent.dynamics.library import system

from .iteration import STEP, Algorithm
from .library.schemes import scheme

Row: TypeAlias = tuple[sp.Expr, sp.Expr, sp.Expr]
BETA, S, T = ((sp.S.One, *[sp.S.Zero] * 2), (sp.S.Zero, sp.S.One, sp.S.Zero), (*[sp.S.Zero] * 2, sp.S.One))
_ELL = sp.Symbol("_ell", positive=True)


class Contradiction(OdescentError):
    """Conditions that no parameters of the passive form meet together."""


@dataclass(frozen=True)
class Condition:
    """``row`` times (beta, s, t) equals ``value``; ``text`` names it in sentences."""

    text: str
    row: Row
    value: sp.Expr


@dataclass(frozen=True)
class Branch:
    """Parameters in units h = 1/sqrt(L), with the symbols that stay free and what was divided by."""

    beta: sp.Expr
    a: sp.Expr
    b: sp.Expr
    free: tuple[sp.Symbol, ...] = ()
    nonzero: tuple[sp.Expr, ...] = ()


def passive_algorithm(
    beta: sp.Expr, a: sp.Expr, b: sp.Expr, smoothness: sp.Expr = L, lead: sp.Expr | None = None
) -> Algorithm:
    """The passive system by semi-implicit Euler at h = 1/sqrt(L), K = (1 - beta)/h; read at y + lead h psi."""
    from odescent.dynamics.vectors import blocks

    psi, y = blocks("psi y")
    gain, feed, back, ahead = parameters("K a b lead")
    passive = system("passive")
    where = {feed: a * STEP}
    if lead is not None:
        passive = passive.map(lambda e: e, output=y + ahead * psi)
        where[ahead] = lead * STEP
    root = sp.sqrt(smoothness)
    tuning = {gain: (1 - beta) * root, back: b, STEP: 1 / root}
    return Algorithm(
        passive, scheme("semi_implicit_euler", order=("psi", "y")), where=where, tuning=tuning, name="placed"
    )


@functools.cache
def _affine() -> tuple[tuple[sp.Expr, Row], tuple[sp.Expr, Row]]:
    """Trace and determinant as (constant, row) in (beta, s, t), read off the discretized passive system."""
    beta, a, s = sp.symbols("beta_0 a_0 s_0", real=True)
    matrix = passive_algorithm(beta, a, s - a).state_space().modal_matrix(_ELL * L)
    forms = []
    for e in (matrix.trace(), matrix.det()):
        poly = sp.Poly(canonical(e), beta, s, a)
        found = {powers: poly.coeff_monomial(powers) for powers in poly.monoms()}
        if not found.keys() <= {(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 0, 1)}:
            raise AssertionError("trace and determinant are affine in beta, a + b and a beta")
        take = lambda powers, found=found: found.get(powers, sp.S.Zero)
        forms.append((take((0, 0, 0)), (take((1, 0, 0)), take((0, 1, 0)), take((1, 0, 1)))))
    return forms[0], forms[1]


def modal_form(ell: sp.Expr) -> tuple[tuple[sp.Expr, Row], tuple[sp.Expr, Row]]:
    """Trace and determinant of the mode ell = lambda / L, each as (constant, row) in (beta, s, t)."""
    (c, p), (d, r) = (
        (constant.subs(_ELL, ell), tuple(e.subs(_ELL, ell) for e in row)) for constant, row in _affine()
    )
    return (c, (p[0], p[1], p[2])), (d, (r[0], r[1], r[2]))


@dataclass
class Elimination:
    """Conditions in reduced row echelon form, each with the given conditions that it combines."""

    rows: list[tuple[list[sp.Expr], sp.Expr, int, frozenset[str]]] = field(default_factory=list)
    pivots: tuple[sp.Expr, ...] = ()

    @staticmethod
    def of(conditions: Sequence[Condition]) -> Elimination:
        made = Elimination()
        for c in conditions:
            made.add(c)
        return made

    def copy(self) -> Elimination:
        return Elimination(list(self.rows), self.pivots)

    def reduced(self, c: Condition) -> tuple[list[sp.Expr], sp.Expr, frozenset[str]]:
        """What the condition still says once the others hold."""
        row, value, used = list(c.row), c.value, frozenset([c.text])
        for other, known, pivot, names in self.rows:
            if (factor := row[pivot]) != 0:
                row = [canonical(x - factor * y) for x, y in zip(row, other, strict=True)]
                value, used = value - factor * known, used | names
        value = canonical(value)
        return [sp.S.Zero if is_zero(x) else x for x in row], sp.S.Zero if is_zero(value) else value, used

    def add(self, c: Condition) -> None:
        """Take a condition in; raises Contradiction if the ones before leave no room for it."""
        row, value, used = self.reduced(c)
        columns = [i for i, x in enumerate(row) if x != 0]
        if not columns:
            if value != 0:
                raise _contradiction(used, value)
            return
        pivot = min(columns, key=lambda i: (not row[i].is_number, sp.count_ops(row[i])))
        lead = row[pivot]
        row = [canonical(x / lead) for x in row]
        value = canonical(value / lead)
        cleared = []
        for other, known, column, names in self.rows:
            if (factor := other[pivot]) != 0:
                other = [canonical(x - factor * y) for x, y in zip(other, row, strict=True)]
                known, names = canonical(known - factor * value), names | used
            cleared.append((other, known, column, names))
        self.rows = [*cleared, (row, value, pivot, used)]
        self.pivots = (*self.pivots, lead)

    def value(self, row: Row) -> sp.Expr | None:
        """The value of a combination of beta, s, t, or None where the conditions leave it open."""
        rest, value, _ = self.reduced(Condition("", row, sp.S.Zero))
        return None if any(x != 0 for x in rest) else canonical(-value)

    @property
    def names(self) -> frozenset[str]:
        return frozenset().union(*(names for *_, names in self.rows))


def _contradiction(used: frozenset[str], residual: sp.Expr) -> Contradiction:
    names = sorted(n for n in used if n)
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    left = sp.factor(sp.fraction(sp.together(residual))[0] if residual.free_symbols else residual)
    note = ", with q = sqrt(mu/L)" if "q" in {s.name for s in left.free_symbols} else ""
    return Contradiction(
        f"no parameters of the passive form meet these conditions together: {listed}; "
        f"that would need {left} = 0{note}. Drop or change one of them."
    )


def solve(
    conditions: Sequence[Condition], a: sp.Expr | None, b: sp.Expr | None, fresh: Callable[[str], sp.Symbol]
) -> list[Branch]:
    """Every branch of parameters that meets the conditions, with a and b as prescribed (or None).

    ``fresh`` makes the symbols of what stays free. Raises Contradiction if there is no branch.
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
    base: Elimination, beta: sp.Expr | None, a: sp.Expr | None, b: sp.Expr | None, fresh: Callable[[str], sp.Symbol]
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
            raise _contradiction(base.names | {f"b = {b}"}, none)
    else:
        inside = canonical(one**2 - 4 * two * none)
        if inside.is_number and not is_zero(inside) and sp.N(inside, 30) < 0:
            raise Contradiction(
                f"no real parameters of the passive form meet {', '.join(sorted(base.names))} and b = {b} together: "
                f"beta would solve a quadratic equation with the discriminant {inside}. Drop or change one of them."
            )
        root = sp.S.Zero if is_zero(inside) else _square_root(inside)
        roots = [canonical((sign * root - one) / (2 * two)) for sign in ((1, -1) if root != 0 else (1,))]
    kept: list[sp.Expr | None] = [r for r in roots if not is_zero(r)]
    return kept


def _square_root(e: sp.Expr) -> sp.Expr:
    """A square root up to its sign: even powers come out."""
    outside, inside = sp.S.One, sp.S.One
    for sign, part in zip((1, -1), sp.fraction(sp.together(e)), strict=True):
        constant, factors = sp.factor_list(part)
        inside *= constant**sign
        for factor, power in factors:
            outside *= factor ** (sign * (power // 2))
            inside *= factor ** (sign * (power % 2))
    return outside * sp.sqrt(inside)


def _completed(
    base: Elimination,
    beta: sp.Expr | None,
    a: sp.Expr | None,
    b: sp.Expr | None,
    fresh: Callable[[str], sp.Symbol],
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
    base: Elimination, beta: sp.Expr | None, a: sp.Expr | None, b: sp.Expr | None, fresh: Callable[[str], sp.Symbol]
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
    if a is None and (b is None or s is None):
        a = fresh("a_0")
        free.append(a)
    elif a is None:
        a = canonical(s - b)
    if s is None and b is None:
        b = fresh("b_0")
        free.append(b)
    back = canonical(s - a) if b is None else b
    return [Branch(sp.S.Zero, a, back, tuple(free), base.pivots)]
