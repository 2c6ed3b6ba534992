"""Linearly implicit steps: one linear solve with I - h J, block by block for fields of several blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp

from ...dynamics.algebra.calculus import Symbol, nothing, tidy
from ...dynamics.algebra.gradients import jacobian_of
from ...dynamics.algebra.operators import linear_solve
from ...dynamics.algebra.products import apply, identity, outer, transpose
from ...dynamics.algebra.vectors import Expr, Vector, inner

# An entry of a Jacobian is an operator between vectors, a vector where a vector depends on a scalar or a scalar on a
# vector (there its gradient), and a scalar between scalars.
Entries = dict[tuple[Symbol, Symbol], Any]


def jacobian_entries(drift: Mapping[Symbol, Expr], unknowns: list[Symbol]) -> Entries:
    """The derivatives of the rates of the blocks in those that are unknown; those that vanish are left out.

    Raises NotCarried for one that is no operator on vectors.
    """
    found = {(t, s): jacobian_of(e, s) for t, e in drift.items() for s in unknowns}
    return {place: e for place, e in found.items() if e != 0 and e != nothing(place[0])}


def solved(
    entries: Entries,
    rates: Mapping[Symbol, Expr],
    weight: sp.Expr,
    named: Callable[[Symbol, Expr], Expr],
) -> dict[Symbol, Expr]:
    """The slopes k with (1 - weight J) k = rates, by elimination of one block after the other.

    Args:
        entries: of J.
        rates: by block.
        weight: the step, or the part of it with which J enters.
        named: a name for a value that is used again, by the block that it belongs to.

    Returns:
        k by block.

    Raises:
        NotCarried: the transpose of an entry is needed and not known.
    """
    matrix = {place: e * -weight for place, e in entries.items()}
    for s in rates:
        one = identity if isinstance(s, Vector) else sp.S.One
        matrix[s, s] = matrix[s, s] + one if (s, s) in matrix else one
    # a multiple of the identity is divided by and needs no solve; scalars come last, where they add no outer products
    order = sorted(
        rates,
        key=lambda s: (_is_scalar(s), not _is_scalar(s) and set(matrix[s, s].terms) != {identity}),
    )
    right, quotients = dict(rates), dict[Symbol, Expr]()
    for i, p in enumerate(order):
        later = order[i + 1 :]
        for t in (t for t in later if (t, p) in matrix):
            if p not in quotients:
                quotients[p] = named(p, _divided(matrix[p, p], right[p]))
            right[t] = right[t] - _product(matrix[t, p], quotients[p], t, p, None)
            for s in (s for s in later if (p, s) in matrix):
                across = _divided(matrix[p, p], matrix[p, s])
                change = _product(matrix[t, p], across, t, p, s)
                matrix[t, s] = matrix[t, s] - change if (t, s) in matrix else -change
    found: dict[Symbol, Expr] = {}
    for p in reversed(order):
        rest = nothing(p)
        for s in (s for s in found if (p, s) in matrix):
            rest = rest + _product(matrix[p, s], found[s], p, s, None)
        if p in quotients:
            value = (
                quotients[p] - _divided(matrix[p, p], rest) if rest != nothing(p) else quotients[p]
            )
        else:
            value = _divided(matrix[p, p], right[p] - rest)
        found[p] = tidy(value) if p == order[0] else named(p, tidy(value))
    return {s: found[s] for s in rates}


def _is_scalar(s: Symbol) -> bool:
    return not isinstance(s, Vector)


def _divided(pivot: Any, e: Any) -> Any:
    return linear_solve(pivot, e) if isinstance(pivot, Vector) else e / pivot


def _product(left: Any, right: Any, t: Symbol, p: Symbol, s: Symbol | None) -> Any:
    """An entry of row t and column p times what stands in row p: a value, or the entry of column s."""
    if not isinstance(p, Vector):
        rows = isinstance(t, Vector) and isinstance(s, Vector)
        return outer(left, right) if rows else left * right
    if isinstance(t, Vector):
        return apply(left, right)
    return apply(transpose(right), left) if isinstance(s, Vector) else inner(left, right)
