"""Inner products gathered for display: perfect squares as |u - v|^2, sums with a common side as <u - v, w>.

The calculus expands every inner product into those of atoms, where equality is decidable; a reader wants
them back together. The result is for printing only: its nodes are not those of the calculus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import sympy as sp

from ..algebra.exact import canonical, is_zero
from ..algebra.vectors import Atom, ScalarNode, Vector

Form: TypeAlias = "dict[tuple[Atom, Atom], sp.Expr]"  # the coefficient of <a, b>, for a <= b


def gathered(e: sp.Expr) -> sp.Expr:
    """The same scalar, each sum in it with its inner products gathered."""
    if e.is_Atom or not e.has(ScalarNode):
        return e
    e = e.func(*[gathered(a) for a in e.args])
    return _of_sum(e) if e.is_Add else e


def _of_sum(total: sp.Add) -> sp.Expr:
    form: Form = {}
    rest = []
    for term in total.args:
        nodes = [
            f for f in sp.Mul.make_args(term) if isinstance(f, ScalarNode) and f.kind == "inner"
        ]
        pair = _atoms(nodes[0]) if len(nodes) == 1 else None
        factor = term / nodes[0] if pair else sp.S.Zero
        if pair and not factor.has(ScalarNode):
            form[pair] = form.get(pair, sp.S.Zero) + factor
        else:
            rest.append(term)
    shown = [piece for part in _components(form) for piece in _square(part) or _common_sides(part)]
    return sp.Add(*rest, *shown)


def _atoms(node: ScalarNode) -> tuple[Atom, Atom] | None:
    left, right = node.arguments
    return (left, right) if isinstance(left, Atom) and isinstance(right, Atom) else None


def _components(form: Form) -> Iterable[Form]:
    """The form by groups of vectors that occur together."""
    left = dict(form)
    while left:
        group = set(next(iter(left)))
        while more := {a for pair in left if group & set(pair) for a in pair} - group:
            group |= more
        yield {pair: left.pop(pair) for pair in list(left) if group & set(pair)}


def _square(form: Form) -> list[sp.Expr]:
    """The form as one multiple of a square; empty if it is none."""
    squares = {a: c for (a, b), c in form.items() if a == b}
    atoms = {a for pair in form for a in pair}
    if squares.keys() != atoms:
        return []

    def between(a: Atom, b: Atom) -> sp.Expr:
        if a == b:
            return squares[a]
        return form.get((a, b), form.get((b, a), sp.S.Zero)) / 2

    pivot = min(squares, key=lambda a: (sp.count_ops(squares[a]), a.key))
    size = squares[pivot]
    weights = {a: canonical(between(pivot, a) / size) for a in atoms}
    rank_one = all(
        is_zero(between(a, b) - size * weights[a] * weights[b]) for a in atoms for b in atoms
    )
    return [_node(weights, weights, size)] if rank_one else []


def _common_sides(form: Form) -> list[sp.Expr]:
    """Mixed products that share a vector, together."""
    found, left = [], dict(form)
    while True:
        counted = Counter(a for pair in left if pair[0] != pair[1] for a in pair)
        if not counted or max(counted.values()) < 2:
            break
        side = max(counted, key=lambda a: (counted[a], a.key))
        group = [pair for pair in left if side in pair and pair[0] != pair[1]]
        others = {pair[0] if pair[1] == side else pair[1]: left.pop(pair) for pair in group}
        size = min(others.values(), key=lambda c: (sp.count_ops(c), str(c)))
        weights = {a: canonical(c / size) for a, c in others.items()}
        found.append(_node(weights, {side: sp.S.One}, size))
    return [*found, *(c * ScalarNode("inner", pair) for pair, c in left.items())]


def _node(left: Mapping[Atom, sp.Expr], right: Mapping[Atom, sp.Expr], size: sp.Expr) -> sp.Expr:
    """``size`` times an inner product whose sides begin with a positive term."""
    sides = []
    for weights in (left, right):
        vector = Vector.of(weights.items())
        if next(iter(vector.terms.values())).could_extract_minus_sign():
            vector, size = -vector, -size
        sides.append(vector)
    return size * ScalarNode("inner", (sides[0], sides[1]))
