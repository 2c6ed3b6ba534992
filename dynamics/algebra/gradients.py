"""Gradients and Jacobians of expressions: the derivative along a direction, with the direction taken out.

A gradient is reverse mode, in symbols: what is linear in the direction is taken to the other side of the inner product,
factor by factor, until the direction stands alone. Symmetric derivatives move as they are, the derivative of a map
leaves its adjoint behind. A Jacobian is what is left in front of the direction, as an operator.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import NotCarried, WrongType
from ..._support.rendering.brief import short
from .calculus import derivative, scalar_of, symbols_of, tidy
from .operators import OracleDerivative, diagonal, diagonal_operator
from .products import Product, Unary, hadamard, identity, outer, transpose
from .products import apply as apply_matrix
from .vectors import (
    COVECTOR,
    Argument,
    Atom,
    Call,
    Expr,
    ScalarNode,
    Vector,
    VectorSymbol,
    call,
    in_slot,
    zero,
)


@checked
def gradient(expression: Expr, block: Any) -> Expr:
    """The gradient of a scalar expression in a block, as a Lagrangian's: f(x) + <lambda, c(x)>.

    Args:
        expression: a scalar in values, inner products and scalars.
        block: a vector block, or a scalar one, for which it is the partial derivative.

    Returns:
        a vector for a vector block, in the same space; a scalar for a scalar one.

    Raises:
        WrongType: the expression is a vector, or the block is no symbol.
        NotCarried: the block enters a product whose transpose is not known.
    """
    if isinstance(expression, Vector):
        raise WrongType(f"gradient takes a scalar expression, not the vector {expression}.")
    e = scalar_of(expression)
    if isinstance(block, sp.Symbol):
        return tidy(derivative(e, {block: sp.S.One}))
    if not isinstance(block, VectorSymbol):
        raise WrongType(f"gradient takes a block second, not {short(block)}.")
    along = VectorSymbol(f"direction of {block.name}", block.kind)
    rate = derivative(e, {block: along})
    nodes = {n: sp.Dummy() for n in rate.atoms(ScalarNode) if along in symbols_of(n)}
    opened, total = rate.xreplace(nodes), zero
    for node, dummy in nodes.items():
        if node.averages:  # the gradient of a mean is the mean of the gradient
            total = total + node.rebuild(lambda v: gradient(v, along)) * sp.diff(opened, dummy)
            continue
        a, b = node.arguments
        one, other = (a, b) if along in symbols_of(a) else (b, a)
        total = total + _left(one, other, along) * sp.diff(opened, dummy)
    return tidy(total)


def _left(e: Vector, other: Vector, along: VectorSymbol) -> Vector:
    """r with <e, other> = <along, r>, for an e that is linear in the direction."""
    parts = (_moved(a, other, along) * c for a, c in e.terms.items())
    return Vector.of(item for v in parts for item in v.terms.items())


def _moved(a: Atom, other: Vector, along: VectorSymbol) -> Vector:
    if a == along:
        return other
    if isinstance(a, Call) and along not in symbols_of(a.point):
        return _of_call(a, other, along)
    if a.averages:
        return a.rebuild(lambda v: _left(v, other, along))
    if isinstance(a, Product):
        moving, fixed = (a.left, a.right) if along in a.left.symbols() else (a.right, a.left)
        if a.kind == "hadamard":
            return _left(moving, hadamard(fixed, other), along)
        if a.kind == "outer" and moving == a.left:
            return _left(moving, apply_matrix(other, fixed), along)
        if a.kind == "apply" and moving == a.left:
            wider = apply_matrix(other, transpose(fixed)) if fixed.operates else outer(other, fixed)
            return _left(moving, wider, along)
        if a.kind == "apply" and along not in fixed.symbols():
            return _left(moving, apply_matrix(transpose(fixed), other), along)
    if isinstance(a, Unary):
        adjoint = {"transpose": transpose, "diagonal": diagonal, "entries": diagonal_operator}
        return _left(a.argument, adjoint[a.kind](other), along)
    raise NotCarried(f"the transpose of {a} in its direction is not known.")


def _of_call(a: Call, other: Vector, along: VectorSymbol) -> Vector:
    """<D^k F(p)[..., d, ...], other> = <d, D^k F(p)[..., other, ...]> for a gradient; a map leaves an adjoint."""
    (moving,) = (d for d in a.directions if along in d.symbols())
    rest = [d for d in a.directions if d != moving]
    slot, inside = (moving.slot, moving.value) if isinstance(moving, Argument) else ("", moving)
    oracle, form = a.oracle, a.oracle.form
    if oracle.kind == "vjp" and slot == COVECTOR:
        kept, left = oracle.other(form.adjoint), in_slot(oracle.slot, other)
    elif oracle.kind == "vjp" or form.self_adjoint:
        kept, left = oracle.other(oracle.kind, slot), in_slot(oracle.slot, other)
    elif form.adjoint:
        kept, left = oracle.other(form.adjoint, slot), in_slot(COVECTOR, other)
    else:
        raise NotCarried(f"the adjoint of the derivative of {oracle.text} is not known.")
    return _left(inside, call(kept, a.point, [*rest, left], a.parameters), along)


def jacobian_of(e: Expr, block: Any) -> Any:
    """The derivative of an expression in a block as what it is applied to directions by.

    Args:
        e: a vector or a scalar.
        block: a vector or a scalar symbol.

    Returns:
        an operator for a vector in a vector; a vector for a vector in a scalar, or for a scalar in a vector, of which
        it is the gradient; a scalar for a scalar in a scalar. Zero of its kind where it does not depend on the block.

    Raises:
        NotCarried: a direction stands where no operator is in front of it, as that of a matrix between two others.
    """
    if not isinstance(block, VectorSymbol):
        return tidy(derivative(e, {block: sp.S.One}))
    if not isinstance(e, Vector):
        return gradient(e, block)
    along = VectorSymbol(f"direction of {block.name}", block.kind)
    return tidy(_in_front(derivative(e, {block: along}), along))


def _in_front(e: Vector, along: VectorSymbol) -> Vector:
    """M with e = M u for what is linear in the direction u."""
    total = zero
    for a, c in e.terms.items():
        if along in symbols_of(c):
            total = total + outer(a, gradient(c, along))
        else:
            total = total + _letter(a, along) * c
    return total


def _letter(a: Atom, along: VectorSymbol) -> Vector:
    if a == along:
        return identity
    if isinstance(a, Call) and along not in symbols_of(a.point):
        (moving,) = (d for d in a.directions if along in d.symbols())
        hole, inside = (moving.slot, moving.value) if isinstance(moving, Argument) else ("", moving)
        others = tuple(d for d in a.directions if d != moving)
        letter = OracleDerivative(a.oracle, a.point, others, hole, a.parameters)
        return apply_matrix(letter, _in_front(inside, along))
    if isinstance(a, Product) and a.kind == "hadamard":
        moving, fixed = (a.left, a.right) if along in a.left.symbols() else (a.right, a.left)
        return apply_matrix(diagonal_operator(fixed), _in_front(moving, along))
    if isinstance(a, Product) and a.kind == "apply" and along not in a.left.symbols():
        return apply_matrix(a.left, _in_front(a.right, along))
    raise NotCarried(f"no operator is in front of {along} in {a}.")
