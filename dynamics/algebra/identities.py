"""Identities beyond the normal forms: inner products with adjoints are rewritten, what has inverses is proved zero.

<lam, D^k c(x)[u, ...]> is a multilinear form, and where one of its directions is such a derivative again, two forms
share a variable. A scalar of nested derivatives is a tree of forms; it is written as an inner product by cutting one of
its edges, and all ways to cut it are equal. The one with the fewest adjoints is taken, the first of these by key.

Every inverse in an expression exists where the expression does, so that e = 0 follows from M e = 0 where a term of e
begins with M^-1, and from e M = 0 where one ends with it. Multiplied out, M M^-1 is 1 and the terms with inverses
become shorter; what is left is multiplied again. Where terms begin with one letter, what follows it is tested: whatever
the letters are, e = 0 is proved then. No expression is rewritten by what is proved here, so that no denominator appears
that vanishes when parameters are bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import sympy as sp

from ..._support.errors import NotCarried
from .calculus import INVERSES, change, vanishes
from .direct_sums import covectors_and_directions
from .exact import canonical, is_zero
from .operators import Inverse, OracleDerivative, _words
from .products import Elementwise, Product, apply, letters
from .vectors import (
    COVECTOR,
    PAIRED,
    Argument,
    Atom,
    Call,
    Expr,
    ScalarNode,
    Vector,
    call,
    in_slot,
    inner,
    zero,
)

_TERMS, _TRIES, _DEPTH = (
    120,
    120,
    8,
)  # of a sum that is multiplied, of all sums, and of products of operators


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


# inverses


def proved_zero(e: Expr) -> bool:
    """Whether an expression with inverses is proved to vanish by multiplying with the operators that they invert.

    Args:
        e: a vector, or a scalar in which inner products with inverses enter linearly.

    Returns:
        True is a proof; False is none of anything.
    """
    try:
        same = _unified(e)
        return _vector(same) if isinstance(same, Vector) else _scalar(same)
    except NotCarried:
        return False


def _vector(e: Vector) -> bool:
    """Whether a sum vanishes, by few products of operators first."""
    left = [_TRIES]
    return any(_within(e, depth, left) for depth in range(1, _DEPTH))


def _within(e: Vector, depth: int, left: list[int]) -> bool:
    """Whether a sum vanishes after this many products of operators at most."""
    e = Vector.of((a, canonical(c)) for a, c in e.terms.items())
    e = Vector.of((a, c) for a, c in e.terms.items() if not is_zero(c))
    if not e.terms:
        return True
    left[0] -= 1
    if left[0] < 0 or not depth or len(e.terms) > _TERMS or not _solving(e):
        return False
    return any(_within(made, depth - 1, left) for made in sorted(_products(e), key=_size)) or any(
        _within(rest, depth - 1, left) and _within(others, depth - 1, left)
        for rest, others in _behind(e)
    )


def _size(e: Vector) -> int:
    """How many letters are in the words with inverses of a sum."""
    return sum(len(letters(a)) for a in e.terms if a.solving)


def _products(e: Vector) -> Iterator[Vector]:
    """M e for the inverses with which terms begin, and e M for those with which they end."""
    first = {i for a in e.terms if (i := _first(a)) is not None}
    for inverted in sorted(first, key=lambda i: i.key):
        yield apply(inverted.argument, e)
    if all(a.operates for a in e.terms):
        last = {a for a in map(_last, e.terms) if isinstance(a, Inverse)}
        for inverted in sorted(last, key=lambda i: i.key):
            yield apply(e, inverted.argument)


def _first(a: Atom) -> Inverse | None:
    """The inverse with which an atom begins, if it does."""
    head = a.left if isinstance(a, Product) and a.kind == "apply" else a
    return head if isinstance(head, Inverse) else None


def _last(a: Atom) -> Atom:
    while isinstance(a, Product) and a.kind == "apply" and isinstance(a.right, Atom):
        a = a.right
    return a


def _behind(e: Vector) -> Iterator[tuple[Vector, Vector]]:
    """What follows a letter in the terms that begin with it, and the other terms."""
    ways = [
        (a, c, {word[0]: end for word, end in _words(a) if len(word) == 1})
        for a, c in e.terms.items()
    ]
    for letter in dict.fromkeys(letter for *_, found in ways for letter in found):
        inside, others = zero, zero
        for a, c, found in ways:
            if letter in found:
                inside = inside + found[letter] * c
            else:
                others = others + a * c
        if inside.terms and not (len(inside.terms) == 1 and not others.terms):
            yield inside, others


def _scalar(e: sp.Expr) -> bool:
    """Of a sum of <u, X_u> with each u alone on one side: whether all X_u vanish, and what is beside them."""
    if e == 0:
        return True
    nodes = [n for n in e.atoms(ScalarNode) if n.kind == "inner"]
    marks = {n: sp.Dummy(real=True) for n in nodes}
    opened = e.xreplace(marks)
    moving = {n: m for n, m in marks.items() if any(map(_solving, n.arguments))}
    for chosen in (marks, moving):
        weights = {n: sp.diff(opened, m) for n, m in chosen.items()}
        if any(w.has(*chosen.values()) for w in weights.values()):
            continue
        sides: dict[Vector, Vector] = {}
        for n, w in weights.items():
            fixed, other = n.arguments
            if _solving(fixed):
                fixed, other = other, fixed
            weight = w.xreplace({m: k for k, m in marks.items()})
            sides[fixed] = sides.get(fixed, zero) + other * weight
        rest = opened.xreplace(dict.fromkeys(chosen.values(), sp.S.Zero))
        back = rest.xreplace({m: n for n, m in marks.items()})
        if is_zero(canonical(back)) and all(_vector(v) for v in sides.values()):
            return True
    return False


def _unified(e: Any) -> Any:
    """An expression in which calls at points, functions of vectors and inverses that are proved equal are one."""
    found: list[Any] = []

    def look(a: Any) -> Any:
        arguments = _arguments(a)
        if arguments is None or not any(map(_solving, arguments)) or a in found:
            return None
        for other in found:
            if _alike(a, other):
                return other
        found.append(a)
        return None

    return change(e, look)


def _arguments(a: Any) -> tuple[Vector, ...] | None:
    """The vectors on which what is no sum of products depends."""
    if isinstance(a, (Call, OracleDerivative)):
        return (a.point,)
    return a.arguments if isinstance(a, (Inverse, Elementwise, ScalarNode)) else None


def _alike(a: Any, b: Any) -> bool:
    """Whether both are one function of arguments that are proved equal."""
    if isinstance(a, ScalarNode) and isinstance(b, ScalarNode) and a.kind == b.kind == "inner":
        return _scalar(a - b)
    mine, others = _arguments(a), _arguments(b)
    assert mine is not None
    if type(a) is not type(b) or others is None or len(mine) != len(others) or len(mine) > 4:
        return False
    same: Callable[[Any], Any] = lambda x: (
        getattr(x, "oracle", None) and (x.oracle.name, x.oracle.slot),
        getattr(x, "directions", None),
        getattr(x, "parameters", None),
        getattr(x, "hole", None),
        getattr(x, "body", None),
        getattr(x, "kind", None),
    )
    return same(a) == same(b) and all(vanishes(p - q) for p, q in zip(mine, others, strict=True))


def _solving(v: Vector) -> bool:
    return any(a.solving for a in v.terms)


INVERSES.append(proved_zero)
