"""Squared lengths in scalars: sums of inner products that are the square of one vector.

Inner products are bilinear, so that |x - m|^2 is |x|^2 - 2 <x, m> + |m|^2 to the calculus. In floating point that
sum cancels where x is near m; what is computed is the difference first.
"""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from ...dynamics.algebra.exact import canonical, is_zero
from ...dynamics.algebra.vectors import ScalarNode, Vector, inner, zero


def with_lengths(e: sp.Expr, named: Callable[[Vector], Vector]) -> sp.Expr:
    """The scalar with each sum c |v|^2 over two or more atoms as c times the inner product of ``named(v)``.

    ``named`` gives the vector a name, for instance by an assignment. Sums that are no such square stay as they are.
    """
    if isinstance(e, ScalarNode) or not e.has(ScalarNode):
        return e
    if e.is_Add:
        found = _square(e)
        if found is not None:
            factor, v = found
            short = named(v)  # perhaps a multiple of a name
            return factor * inner(short, short)
    return e.func(*[with_lengths(a, named) for a in e.args])


def _square(e: sp.Expr) -> tuple[sp.Expr, Vector] | None:
    """c and v, where a sum of inner products is c |v|^2."""
    gram: dict[tuple[Vector, Vector], sp.Expr] = {}
    for term in e.args:
        nodes = [f for f in sp.Mul.make_args(term) if isinstance(f, ScalarNode)]
        if len(nodes) != 1 or nodes[0].kind != "inner":
            return None
        node = nodes[0]
        factor = term / node  # other inner products may divide it, as in the square of v/|v|^2 - m
        a, b = node.arguments
        for pair in [(a, b)] if a == b else [(a, b), (b, a)]:
            gram[pair] = gram.get(pair, sp.S.Zero) + (factor if a == b else factor / 2)
    atoms = list(dict.fromkeys(a for pair in gram for a in pair))
    first = next((a for a in atoms if not is_zero(gram.get((a, a), sp.S.Zero))), None)
    if first is None or len(atoms) < 2:
        return None
    scale = gram[first, first]
    weights = {a: canonical(gram.get((first, a), sp.S.Zero) / scale) for a in atoms}
    for a in atoms:
        for b in atoms:
            if not is_zero(gram.get((a, b), sp.S.Zero) - scale * weights[a] * weights[b]):
                return None
    return canonical(scale), sum((a * w for a, w in weights.items()), zero)
