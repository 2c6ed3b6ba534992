"""Changes of coordinates between linear methods, and the start for which two methods coincide."""

from __future__ import annotations

from collections.abc import Iterable

import sympy as sp

from ...dynamics.algebra.calculus import vanishes
from ...dynamics.algebra.exact import canonical, is_zero
from ...dynamics.algebra.vectors import Vector, zero
from .matrices import inverse
from .state_space import StateSpace
from .witness import samples


def needed_start(left: StateSpace, right: StateSpace) -> dict[str, tuple[Vector, Vector]] | None:
    """By block, the first method's start and the one with which it would be equal to the second; None if none is."""
    n, steps = left.A.rows, left.A.rows + right.A.rows
    mine, theirs = (_observability(s, steps) for s in (left, right))
    values = next(samples(left.symbols | right.symbols))
    at = mine.xreplace(values)
    rows = _independent(at, list(range(mine.rows)))
    cols = _independent(at.extract(rows, list(range(n))).T, list(range(n)))
    solved = inverse(mine.extract(rows, cols))
    if solved is None:
        return None
    own = [left.beginning(sp.eye(n).row(i)) for i in range(n)]
    wanted = [right.beginning(theirs.row(i)) for i in range(theirs.rows)]
    free = [i for i in range(n) if i not in cols]
    rest = [wanted[r] - _sum(mine[r, i] * own[i] for i in free) for r in rows]
    needed = dict(enumerate(own))
    for position, i in enumerate(cols):
        needed[i] = _sum(rest[r] * solved[position, r] for r in range(len(rows))).canonical()
    for r in range(mine.rows):
        if not vanishes(_sum(needed[i] * mine[r, i] for i in range(n)) - wanted[r]):
            return None
    return {
        name: (own[i], needed[i])
        for i, name in enumerate(left.states)
        if not vanishes(own[i] - needed[i])
    }


def _sum(parts: Iterable[Vector]) -> Vector:
    total: Vector = zero
    for p in parts:
        total = total + p
    return total


def _observability(s: StateSpace, steps: int) -> sp.Matrix:
    rows, block = [s.C], s.C
    for _ in range(steps - 1):
        block = (block * s.A).applyfunc(canonical)
        rows.append(block)
    return sp.Matrix.vstack(*rows)


def _independent(m: sp.Matrix, among: list[int]) -> list[int]:
    """Rows of a matrix of numbers that span them all, the first ones."""
    chosen: list[int] = []
    for i in among:
        if m.extract([*chosen, i], list(range(m.cols))).rank(iszerofunc=is_zero) > len(chosen):
            chosen.append(i)
    return chosen


def coordinates(left: StateSpace, right: StateSpace) -> sp.Matrix | None:
    """T with T A = A' T, T B = B', C = C' T, D = D', if both are observable and of the same order; else None."""
    n = left.A.rows
    try:
        if right.A.rows != n or not n or not left.inputs or not vanishing(left.D - right.D):
            return None
        values = next(samples(right.symbols))
        mine, theirs = left.C, right.C  # rows C, C A, ..., only as far as they are needed
        for _ in range(n):
            rows = _independent(theirs.xreplace(values), list(range(theirs.rows)))
            if len(rows) == n:
                break
            mine, theirs = (
                sp.Matrix.vstack(m, (m[-s.C.rows :, :] * s.A).applyfunc(canonical))
                for m, s in ((mine, left), (theirs, right))
            )
        solved = inverse(theirs.extract(rows, list(range(n)))) if len(rows) == n else None
        if solved is None:
            return None
        t = (solved * mine.extract(rows, list(range(n)))).applyfunc(canonical)
        checks = (left.C - right.C * t, t * left.B - right.B, t * left.A - right.A * t)
        return t if all(map(vanishing, checks)) else None
    except ArithmeticError:  # no zero test is at hand
        return None


def vanishing(m: sp.Matrix) -> bool:
    """Whether every entry is zero."""
    return all(is_zero(e) for e in m)


__all__ = ["coordinates", "needed_start", "vanishing"]
