"""Riccati equations P' = a P - P S P with a and S held: their form, and their flow in closed form.

The inverse Q of P obeys Q' = S - a Q, which is linear: P(t) = e^(a t) (1 + w P S)^-1 P with w = (e^(a t) - 1)/a, or
w = t where a = 0. For S of rank one this is the formula of Sherman and Morrison.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import sympy as sp

from ...dynamics.algebra.calculus import Symbol, symbols_of, tidy
from ...dynamics.algebra.operators import Inverse, inverse, linear_solve
from ...dynamics.algebra.products import Product, apply, identity, letters, outer, transpose
from ...dynamics.algebra.vectors import Atom, Expr, Vector, VectorSymbol, zero


class Riccati(NamedTuple):
    """P' = growth P - P curvature P."""

    growth: sp.Expr
    curvature: Expr


def riccati(e: Expr, block: Symbol) -> Riccati | None:
    """The drift of a block as that of a Riccati equation; None if it is linear or of another form.

    The growth and the curvature may still contain the block, or others that move.
    """
    if isinstance(block, VectorSymbol):
        return _of_operator(e, block) if block.operates and isinstance(e, Vector) else None
    if isinstance(e, Vector) or not sp.sympify(e).is_polynomial(block):
        return None
    found = sp.Poly(e, block)
    if found.degree() != 2 or found.coeff_monomial(1) != 0:
        return None
    return Riccati(found.coeff_monomial(block), -found.coeff_monomial(block**2))


def _of_operator(e: Vector, block: VectorSymbol) -> Riccati | None:
    growth, curvature = sp.S.Zero, zero
    for a, c in e.terms.items():
        if a == block:
            growth = c
        elif (between := _between(a, block)) is not None:
            curvature = curvature - between * c
        else:
            return None
    return Riccati(growth, tidy(curvature)) if curvature.terms else None


def _between(a: Atom, block: VectorSymbol) -> Vector | None:
    """S of a product P S P, which is an outer product of P s and P^T r if S is that of s and r."""
    if isinstance(a, Product) and a.kind == "outer":
        left, right = _behind(a.left, block), _behind(a.right, transpose(block))
        return None if left is None or right is None else outer(left, right)
    word = letters(a)
    if len(word) < 2 or word[0] != block or word[-1] != block:
        return None
    start: Vector = identity
    return functools.reduce(apply, word[1:-1], start)


def _behind(v: Atom, operator: Vector) -> Atom | None:
    applied = isinstance(v, Product) and v.kind == "apply" and v.left == operator
    return v.right if applied else None  # type: ignore[attr-defined]


def moving_in(found: Riccati, blocks: set[Symbol]) -> list[str]:
    """The names of those blocks that the growth or the curvature depends on."""
    used = symbols_of(found.growth) | symbols_of(found.curvature)
    return sorted(s.name for s in blocks & used)


def flow(found: Riccati, begin: Expr, duration: sp.Expr) -> Expr:
    """The value after a time of the solution that begins at a value.

    Args:
        found: the equation, with values for its symbols.
        begin: the value of the block, a symbol.
        duration: the time.

    Returns:
        the value; for a symmetric block in a form that is symmetric.
    """
    a, s = found
    grown = sp.exp(a * duration)
    weight = duration if a == 0 else (grown - 1) / a
    if not isinstance(begin, Vector):
        return begin * grown / (1 + weight * s * begin)
    assert isinstance(s, Vector)
    made = linear_solve(identity + apply(begin, s) * weight, begin)
    if getattr(begin, "kind", "") == "symmetric" and any(_inverted(t) for t in made.terms):
        made = inverse(inverse(begin) + s * weight)
    return made * grown


def _inverted(a: Atom) -> bool:
    return any(isinstance(letter, Inverse) for letter in letters(a))
