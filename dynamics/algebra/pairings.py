"""Inner products with derivatives of maps in one form, whatever the order in which adjoints were taken.

<lam, D^k c(x)[u, ...]> is a multilinear form, and where one of its directions is such a derivative again, two forms
share a variable. A scalar of nested derivatives is a tree of forms; it is written as an inner product by cutting one of
its edges, and all ways to cut it are equal. The one with the fewest adjoints is taken, the first of these by key.
"""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from .vectors import (
    COVECTOR,
    PAIRED,
    Argument,
    Atom,
    Call,
    Vector,
    call,
    covectors_and_directions,
    in_slot,
    inner,
)


def paired(one: Call, other: Atom) -> sp.Expr | None:
    """The inner product where it is cut elsewhere; None where it is cut here."""
    cuts = list(_cuts(one, other))
    best = min(cuts, key=_order)
    return None if best in ((one, other), (other, one)) else inner(*best)


def has_adjoints(a: Vector) -> bool:
    """Whether a derivative of a map, or an adjoint of one, is in its nested directions."""
    if isinstance(a, Argument):
        return has_adjoints(a.value)
    if not isinstance(a, Call):
        return False
    own = a.oracle.kind == "vjp" or bool(a.oracle.form.adjoint and a.directions)
    return own or any(map(has_adjoints, a.directions))


def _order(cut: tuple[Atom, Atom]) -> tuple[object, ...]:
    return sum(map(_adjoints, cut)), sorted(a.key for a in cut)


def _adjoints(a: Vector) -> int:
    if isinstance(a, Argument):
        return _adjoints(a.value)
    if not isinstance(a, Call):
        return 0
    return (a.oracle.kind == "vjp") + sum(map(_adjoints, a.directions))


def _cuts(a: Atom, b: Atom) -> Iterator[tuple[Atom, Atom]]:
    """All pairs whose inner product is that of these two."""
    yield a, b
    left = [(a, b), (b, a)]
    while left:
        fixed, moving = left.pop()
        for inside, rest in _edges(moving, fixed) if isinstance(moving, Call) else ():
            yield inside, rest
            left.append((rest, inside))


def _edges(of: Call, fixed: Atom) -> Iterator[tuple[Atom, Atom]]:
    """The ways to cut <of, fixed> at a variable of the call."""
    oracle, form = of.oracle, of.oracle.form
    covectors, along = covectors_and_directions(of.directions)
    own = in_slot(oracle.slot, fixed)
    for i, d in enumerate(along):
        slot, inside = (d.slot, d.value) if isinstance(d, Argument) else ("", d)
        others = [*along[:i], *along[i + 1 :]]
        if oracle.kind == "vjp":
            moved = oracle.other("vjp", slot)
            rest = call(
                moved, of.point, [*others, own, in_slot(COVECTOR, covectors[0])], of.parameters
            )
        elif form.self_adjoint:
            rest = call(oracle.other(oracle.kind, slot), of.point, [*others, own], of.parameters)
        elif form.adjoint:
            moved = oracle.other(form.adjoint, slot)
            rest = call(moved, of.point, [*others, in_slot(COVECTOR, fixed)], of.parameters)
        else:
            continue
        if isinstance(rest, Atom) and isinstance(inside, Atom):
            yield inside, rest
    if covectors and isinstance(covectors[0], Atom):
        rest = call(oracle.other(form.adjoint), of.point, [*along, own], of.parameters)
        if isinstance(rest, Atom):
            yield covectors[0], rest


PAIRED.append((has_adjoints, paired))
