"""Contractions: the sum over the coordinates of a multilinear expression with one unit vector in several slots.

sum_i F(e_i, ..., e_i) is found on whole vectors and operators: <e_i, a> is the entry a_i, e_i in its own place is the
vector of what multiplies it, H e_i beside e_i under an element-wise product is the diagonal of H, and so on. What has
no such form in the calculus, as the sum of D^3 f[e_i, e_i], stays a mean.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

import sympy as sp

from ..._support.errors import NotCarried
from ..algebra.calculus import substitute, symbols_of, tidy
from ..algebra.gradients import gradient, jacobian_of
from ..algebra.operators import OracleDerivative, diagonal, diagonal_operator, jacobian, trace
from ..algebra.products import (
    Product,
    Unary,
    apply,
    factors_of,
    hadamard,
    identity,
    outer,
    transpose,
)
from ..algebra.vectors import (
    Argument,
    Atom,
    Call,
    Expr,
    Vector,
    VectorSymbol,
    call,
    in_slot,
    inner,
    zero,
)

ones: Vector = diagonal(identity)  # the vector of ones


def monomials(c: sp.Expr, over: Iterable[object]) -> list[tuple[sp.Expr, sp.Expr]]:
    """The terms of a scalar, each as a factor without the symbols and one that has them."""
    moving = set(over)
    if not symbols_of(c) & moving:
        return [(c, sp.S.One)]
    found = []
    for term in sp.Add.make_args(sp.expand(c)):
        parts = [bool(symbols_of(f) & moving) for f in sp.Mul.make_args(term)]
        factors = list(zip(sp.Mul.make_args(term), parts, strict=True))
        found.append(
            (sp.Mul(*[f for f, m in factors if not m]), sp.Mul(*[f for f, m in factors if m]))
        )
    return found


def contracted(e: Expr, units: Sequence[VectorSymbol], dimension: sp.Expr) -> Expr:
    """sum_i of an expression, multilinear in the symbols, with the unit vector e_i for each of them.

    Args:
        e: a vector or a scalar.
        units: the symbols.
        dimension: of their space.

    Raises:
        NotCarried: the sum has no form in whole vectors and operators.
    """
    if not isinstance(e, Vector):
        parts = [k * _scalar(m, units, dimension) for k, m in monomials(e, units)]
        return tidy(sp.Add(*parts))
    total = zero
    for a, c in e.terms.items():
        for k, m in monomials(c, units):
            total = total + _term(m, a, units, dimension) * k
    return tidy(total)


def _scalar(m: sp.Expr, units: Sequence[VectorSymbol], dimension: sp.Expr) -> sp.Expr:
    found = _weights(m, units)
    if len(found) > 1:
        *others, last = found
        return inner(product_of(others), last)
    if len(units) == 2:
        operator = jacobian_of(gradient(m, units[0]), units[1])
        return sp.Add(
            *[c * (dimension if a == identity else trace(a)) for a, c in operator.terms.items()]
        )
    return inner(ones, found[0])


def _term(m: sp.Expr, a: Atom, units: Sequence[VectorSymbol], dimension: sp.Expr) -> Vector:
    inside = [u for u in units if u in symbols_of(a)]
    if not inside:
        alone: Vector = a * _scalar(m, units, dimension)
        return alone
    return _atom(a, inside, product_of(_weights(m, [u for u in units if u not in inside])))


def _weights(m: sp.Expr, units: Sequence[VectorSymbol]) -> list[Vector]:
    """For each factor of a monomial the vector of its values at the unit vectors."""
    found = []
    for factor in sp.Mul.make_args(m):
        inside = [u for u in units if u in symbols_of(factor)]
        if len(inside) == 1:
            found.append(gradient(factor, inside[0]))
        elif len(inside) == 2:
            found.append(diagonal(jacobian_of(gradient(factor, inside[0]), inside[1])))
        elif inside:
            raise _no_form(factor)
    return found


def product_of(vectors: Sequence[Vector]) -> Vector:
    """The element-wise product of vectors, that of none being the vector of ones."""
    kept = [v for v in vectors if v != ones]
    return functools.reduce(hadamard, kept) if kept else ones


def _atom(a: Atom, units: Sequence[VectorSymbol], weight: Vector) -> Vector:
    """sum_i w_i A(e_i, ..., e_i) for an atom that is linear in each of the symbols."""
    if len(units) == 1:
        return substitute(a, {units[0]: weight})

    def inner_sum(v: Vector) -> Vector:
        return sum((_atom(b, units, weight) * c for b, c in v.terms.items()), zero)

    if isinstance(a, Product) and a.kind == "apply" and not symbols_of(a.left) & set(units):
        return apply(a.left, inner_sum(a.right))
    if isinstance(a, Product) and a.kind == "hadamard":
        return _pointwise(a, units, weight)
    if isinstance(a, Product) and a.kind == "outer":
        return _outer(a, units, weight)
    if isinstance(a, Unary):
        return a.rebuild(inner_sum)
    if isinstance(a, Argument):
        return in_slot(a.slot, inner_sum(a.value))
    if isinstance(a, (Call, OracleDerivative)) and not symbols_of(a.point) & set(units):
        moving = [d for d in a.directions if symbols_of(d) & set(units)]
        if len(moving) == 1:
            others = tuple(d for d in a.directions if d != moving[0])
            directions = (*others, inner_sum(moving[0]))
            if isinstance(a, Call):
                return call(a.oracle, a.point, directions, a.parameters)
            return jacobian(a.oracle, a.point, directions, a.hole, a.parameters)
    raise _no_form(a)


def _pointwise(a: Product, units: Sequence[VectorSymbol], weight: Vector) -> Vector:
    """sum_i w_i (A e_i) * (B e_i) * ... * c, whose k-th entry is c_k sum_i w_i A_ki B_ki ...."""
    fixed: list[Vector] = []
    operators: list[Vector] = []
    for f in factors_of(a):
        inside = [u for u in units if u in symbols_of(f)]
        if not inside:
            fixed.append(f)
        elif len(inside) == 1:
            operators.append(jacobian_of(f, inside[0]))
        elif len(inside) == len(units):
            return product_of([*fixed, *_others(a, f), _atom(f, units, weight)])
        else:
            raise _no_form(a)
    if identity in operators:
        operators.remove(identity)
        rest = [diagonal(m) for m in operators]
        return product_of([*fixed, *rest, weight])
    if len(operators) == 2:
        one, other = operators
        between = (
            transpose(other)
            if weight == ones
            else apply(diagonal_operator(weight), transpose(other))
        )
        return product_of([*fixed, diagonal(apply(one, between))])
    raise _no_form(a)


def _others(a: Product, factor: Atom) -> list[Atom]:
    found = factors_of(a)
    found.remove(factor)
    return found


def _outer(a: Product, units: Sequence[VectorSymbol], weight: Vector) -> Vector:
    """sum_i w_i (A e_i)(B e_i)^T = A Diag(w) B^T."""
    left = [u for u in units if u in symbols_of(a.left)]
    if len(left) in (0, len(units)):
        moving = a.left if left else a.right
        made = sum((_atom(b, units, weight) * c for b, c in moving.terms.items()), zero)
        return outer(made, a.right) if left else outer(a.left, made)
    if len(units) > 2:
        raise _no_form(a)
    (right,) = (u for u in units if u not in left)
    one, other = jacobian_of(a.left, left[0]), transpose(jacobian_of(a.right, right))
    return apply(one, other if weight == ones else apply(diagonal_operator(weight), other))


def _no_form(e: Expr) -> NotCarried:
    return NotCarried(f"the sum of {e} over the coordinates has no form in whole vectors.")
