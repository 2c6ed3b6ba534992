"""Values of vectors, matrices and windows in two coordinates, exactly.

A vector is a tuple, a matrix is a matrix of SymPy. A window has the columns that were pushed: the others are zero, and
what is solved in its space has no part there. The derivative of a gradient is one matrix at all points, since a
function may have any symmetric matrix there whatever its gradients are.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import sympy as sp

from ..._support.errors import NotCarried
from ...dynamics.algebra.elementwise import Elementwise, slots
from ...dynamics.algebra.operators import Inverse, OracleDerivative
from ...dynamics.algebra.products import Identity, Product, Unary
from ...dynamics.algebra.vectors import Atom, Expr, ScalarNode, Vector, VectorSymbol
from ...dynamics.algebra.windows import is_window, pushed

Coordinates: TypeAlias = "tuple[sp.Expr, ...]"
_HESSIAN = sp.ImmutableMatrix([[2, 1], [1, 3]])
_DIMENSION = _HESSIAN.rows


def first_value(block: VectorSymbol, init: Expr, known: dict[Any, Any]) -> Any:
    """The value with which a block begins."""
    if is_window(block):
        return sp.zeros(_DIMENSION, 0)
    if isinstance(init, Vector) and not init.terms and block.operates:
        return sp.zeros(_DIMENSION)
    return valued(init, known)


def valued(e: Expr, known: dict[Any, Any], lengths: dict[Any, sp.Expr] | None = None) -> Any:
    """The value of an expression.

    Args:
        e: a scalar, a vector or an operator.
        known: values by symbol.
        lengths: of the windows, where the expression may be a push.

    Returns:
        an expression, a tuple of coordinates, or a matrix.

    Raises:
        NotCarried: it is not made of what is known.
    """
    if not isinstance(e, Vector):
        nodes = {n: _inner(n, known) for n in e.atoms(ScalarNode)}
        return e.xreplace({s: known[s] for s in e.free_symbols if s in known} | nodes)
    if (push := pushed(e)) is not None:
        window, column = push
        return _pushed(known[window], valued(column, known), (lengths or {})[window])
    if e.terms and all(a.operates for a in e.terms):
        return _operator(e, known)
    total: Coordinates = tuple(sp.S.Zero for _ in range(_DIMENSION))
    for n, (a, c) in enumerate(e.terms.items()):
        scale, part = valued(c, known), _atom(a, known)
        if n and len(part) != len(total):
            raise NotCarried(f"{a} has other columns.")
        total = tuple(t + scale * p for t, p in zip(total, part, strict=True)) if n else (
            tuple(scale * p for p in part)
        )  # fmt: skip
    return total


def _pushed(window: sp.Matrix, column: Coordinates, length: sp.Expr) -> sp.Matrix:
    filled = sp.Matrix.hstack(sp.Matrix(column), window)
    if filled.cols > 1 and not length.is_Integer:
        raise NotCarried("how many columns there are is not known.")
    return filled[:, : min(filled.cols, int(length))] if length.is_Integer else filled


def _inner(node: ScalarNode, known: dict[Any, Any]) -> sp.Expr:
    if node.kind != "inner":
        raise NotCarried(f"{node} is not supported here.")
    one, other = (valued(v, known) for v in node.arguments)
    if isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        return sp.Add(*map(sp.Mul, one, other))
    raise NotCarried(f"{node} is not supported here.")


def _atom(a: Atom, known: dict[Any, Any]) -> Coordinates:
    """A vector that is one atom."""
    if a in known:
        found: Coordinates = known[a]
        return found
    if isinstance(a, Elementwise):
        body, inside = valued(a.body, known), [valued(v, known) for v in a.arguments]
        names = slots(len(inside))
        return tuple(
            body.xreplace(dict(zip(names, c, strict=True))) for c in zip(*inside, strict=True)
        )
    if isinstance(a, Product) and a.kind == "hadamard":
        return tuple(map(sp.Mul, valued(a.left, known), valued(a.right, known)))
    if isinstance(a, Product) and a.kind == "apply":
        vector = sp.Matrix(valued(a.right, known))
        if isinstance(a.left, Inverse):  # one system, without the inverse
            matrix = _operator(a.left.argument, known, vector.rows)
            return tuple(_solved(matrix, vector)) if vector.rows else ()
        return tuple(_times(_operator(a.left, known, vector.rows), vector))
    if isinstance(a, Unary) and a.kind == "entries":
        return tuple(_operator(a.argument, known).diagonal())
    raise NotCarried(f"{a} is not supported here.")


def _operator(e: Vector, known: dict[Any, Any], size: int = 0) -> sp.Matrix:
    """A sum of operators; ``size`` is that of its columns where only the identity's multiples are in it."""
    scaled = [(a, valued(c, known)) for a, c in e.terms.items()]
    parts = [_matrix(a, known) * c for a, c in scaled if not isinstance(a, Identity)]
    shape = parts[0].shape if parts else (size or _DIMENSION,) * 2
    ones = [sp.eye(shape[0]) * c for a, c in scaled if isinstance(a, Identity)]
    if any(p.shape != shape for p in (*parts, *ones)):
        raise NotCarried(f"{e} has parts of several shapes.")
    return sum([*parts, *ones], sp.zeros(*shape))


def _matrix(a: Atom, known: dict[Any, Any]) -> sp.Matrix:
    """An operator that is one atom."""
    if a in known:
        return known[a]
    if (
        isinstance(a, OracleDerivative)
        and a.oracle.form.field
        and not (a.directions or a.parameters)
    ):
        return _HESSIAN
    if isinstance(a, Unary) and a.kind == "transpose":
        return _matrix(a.argument, known).T
    if isinstance(a, Unary) and a.kind == "diagonal":
        return sp.diag(*valued(a.argument, known))
    if isinstance(a, Inverse):
        matrix = _operator(a.argument, known)
        return _solved(matrix, sp.eye(matrix.rows))
    if isinstance(a, Product) and a.kind == "outer":
        return sp.Matrix(valued(a.left, known)) * sp.Matrix(valued(a.right, known)).T
    if isinstance(a, Product) and a.kind == "apply":
        right = _operator(a.right, known)
        return _times(_operator(a.left, known, right.rows), right)
    raise NotCarried(f"{a} is not supported here.")


def _times(one: sp.Matrix, other: sp.Matrix) -> sp.Matrix:
    if one.cols != other.rows:
        raise NotCarried("a matrix has other columns.")
    return one * other


def _solved(matrix: sp.Matrix, right: sp.Matrix) -> sp.Matrix:
    """By determinants: the systems are of two or three rows."""
    if matrix.rows != matrix.cols or matrix.rows != right.rows:
        raise NotCarried("a matrix that is solved with has other columns.")
    below = matrix.det()
    if below.is_zero:
        raise NotCarried("a matrix is singular.")
    return matrix.adjugate() * right / below
