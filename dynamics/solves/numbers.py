"""An inverse applied to numbers by its route, in NumPy or JAX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..._support.errors import OdescentError
from ..algebra.operators import Inverse
from ..algebra.products import Identity, Kronecker, slots_of
from ..algebra.vectors import Atom, Expr, Vector, VectorSymbol
from . import array_iterations
from .block_system import BlockSystem
from .routes import Solve, Structure, low_rank_parts, product_with, solve_of

_DIRECTION = VectorSymbol("direction of a product")


def solved(
    inverted: Inverse, right: Vector, number: Callable[[Expr, Mapping[Any, Any]], Any], xp: Any
) -> Any:
    """The solution of M x = b.

    Args:
        inverted: the inverse of M.
        right: b; of an operator the solution is column by column.
        number: the value of an expression with more symbols given.
        xp: NumPy or `jax.numpy`.

    Returns:
        an array of the shape of b, of any number of axes; where JAX traces, NaN if an iteration does not converge.

    Raises:
        OdescentError: b is of another length than M, or no solution is found where JAX does not trace.
    """
    how, structure = solve_of(inverted), Structure(inverted.argument)
    with_ = _iterations(xp)
    try:
        if slots_of(inverted.argument)[0]:
            system = BlockSystem(inverted.argument, right, number, xp)
            return system.parts(_by_products(how, system.product, system.right, number, xp))
        by_column = isinstance(right, Atom) and right.operates
        b = xp.asarray(number(right, {}))
        b = b if xp.issubdtype(b.dtype, xp.floating) else b.astype(float)

        def product(v: Any) -> Any:
            return xp.asarray(number(product_with(inverted.argument, _DIRECTION), {_DIRECTION: v}))

        def one(b: Any) -> Any:
            """The solution for one vector."""
            if how.route.name == "woodbury":
                over, lefts, rights = low_rank_parts(structure)
                columns = [[xp.asarray(number(v, {})) for v in side] for side in (lefts, rights)]
                divided = lambda v: xp.asarray(
                    number(product_with(over, _DIRECTION), {_DIRECTION: v})
                )
                return with_._woodbury(divided, *columns, b)
            return _by_products(how, product, b, number, xp)

        if how.route.name in ("lu", "cholesky") and structure.explicit:
            matrix = number(inverted.argument, {})
            rows = len(b) if by_column else b.size
            _check_shapes(inverted.argument, matrix.shape, rows)
            columns = b if by_column else b.reshape(-1)
            return _factored(f"_{how.route.name}", matrix, columns, xp).reshape(b.shape)
        return xp.stack([one(v) for v in b.T], axis=1) if by_column else one(b)
    except ArithmeticError as error:
        raise OdescentError(f"the solve with {inverted.argument}: {error}") from None


def of_factors(
    a: Kronecker, x: Any, number: Callable[[Expr, Mapping[Any, Any]], Any], xp: Any
) -> Any:
    """A Kronecker product applied to an array of two axes, a solve where a factor is an inverse.

    Raises:
        OdescentError: the array has not two axes, or a factor that is inverted is singular.
    """
    if xp.ndim(x) != 2:
        raise OdescentError(
            f"{a} acts from both sides on an array of two axes, not on one of the shape {xp.shape(x)}."
        )

    def on_columns(factor: Atom, x: Any) -> Any:
        if isinstance(factor, Identity):
            return x
        if not isinstance(factor, Inverse):
            return number(factor, {}) @ x
        matrix = number(factor.argument, {})
        route = solve_of(factor).route.name
        try:
            return _factored("_cholesky" if route == "cholesky" else "_lu", matrix, x, xp)
        except ArithmeticError as error:
            raise OdescentError(f"the solve with {factor.argument}: {error}") from None

    return on_columns(a.right, on_columns(a.left, x).T).T


def _traced(*values: Any) -> bool:
    """Whether JAX traces one of them."""
    import jax

    return any(isinstance(v, jax.core.Tracer) for v in values)


def _iterations(xp: Any) -> Any:
    from importlib import import_module

    if xp.__name__ == "numpy":
        return array_iterations
    return import_module(".jax_iterations", __package__)


def _by_products(
    how: Solve, product: Callable[[Any], Any], b: Any, number: Callable[..., Any], xp: Any
) -> Any:
    """The solution from products: an iteration, or a factorization of the matrix that they make."""
    name, with_ = f"_{how.route.name}", _iterations(xp)
    if not how.route.iterates:
        name = name if name == "_cholesky" else "_lu"
        return _factored(name, with_._matrix(product, b), b, xp)
    bound = number(how.tolerance, {})
    if with_ is array_iterations or not _traced(b, bound, product(b)):  # nothing to compile
        on_arrays = lambda v: np.asarray(product(v))
        method = getattr(array_iterations, name)
        return xp.asarray(array_iterations._solve(on_arrays, np.asarray(b), method, bound))
    import jax

    even = how.route.wants == "symmetric"  # the product is in several loops, and traced once
    return with_._solve(jax.jit(product), b, getattr(with_, name), bound, even)


def _factored(name: str, matrix: Any, b: Any, xp: Any) -> Any:
    """The solution by a factorization, which says what is wrong where JAX does not trace."""
    if xp is np or not _traced(matrix, b):
        return xp.asarray(getattr(array_iterations, name)(np.asarray(matrix), np.asarray(b)))
    return getattr(_iterations(xp), name)(matrix, b)


def _check_shapes(operator: Vector, shape: tuple[int, ...], rows: int) -> None:
    """Refuse a right-hand side of another length, or an operator that is not square."""
    if shape != (rows, rows):
        sides = " x ".join(map(str, shape))
        raise OdescentError(
            f"a solve with {operator}, which is {sides}, needs as many equations as unknowns and a right-hand side of "
            f"that length, not of length {rows}."
        )
