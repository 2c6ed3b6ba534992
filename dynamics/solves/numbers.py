"""An inverse applied to numbers by its route, in NumPy or JAX; an operator by blocks is one system in all entries."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..._support.errors import OdescentError
from ..algebra.direct_sums import joining, row_of
from ..algebra.operators import Inverse
from ..algebra.products import Identity, Kronecker, Part, apply, slots_of
from ..algebra.vectors import Atom, Expr, Vector, VectorSymbol
from . import array_iterations
from .routes import Solve, Structure, low_rank_parts, product_with, solve_of

Number = Callable[[Vector, Mapping[Any, Any]], Any]


class BlockSystem:
    """M x = b as one system: its right side, its products, and a solution by blocks.

    Args:
        operator: M, by rows and columns of the same names.
        right: b.
        number: the value of an expression with more symbols given.
        xp: NumPy or `jax.numpy`.

    Raises:
        OdescentError: the size of a block is unknown, or a row has another size than its part of b.
    """

    def __init__(self, operator: Vector, right: Vector, number: Number, xp: Any) -> None:
        self.operator, self.number, self.xp = operator, number, xp
        self.slots, _ = slots_of(operator)
        given = {s: apply(Part(s), right) for s in self.slots}
        parts = {s: xp.asarray(number(v, {})) for s, v in given.items() if v.terms}
        while missing := [s for s in self.slots if s not in parts]:
            shapes = {s: shape for s in missing if (shape := self._shape(s, parts)) is not None}
            if not shapes:
                raise OdescentError(
                    f"the block {missing[0]} of a solve has an unknown size: its part of the right side is zero, and "
                    "no entry of the operator joins it to another block."
                )
            parts |= {s: xp.zeros(shape) for s, shape in shapes.items()}
        self.shapes = {s: parts[s].shape for s in self.slots}
        self.right = xp.concatenate([parts[s].reshape(-1) for s in self.slots])

    def _shape(self, slot: str, parts: Mapping[str, Any]) -> tuple[int, ...] | None:
        """That of a block which the operator or its transpose joins to one that is known."""
        if not (row := joining(self.operator, slot, {s: _direction(s) for s in parts})):
            return None
        found: tuple[int, ...] = self.xp.shape(self.number(row, self._directions(parts)))
        return found

    def _directions(self, parts: Mapping[str, Any]) -> dict[Any, Any]:
        return {_direction(s): v for s, v in parts.items()}

    def product(self, flat: Any) -> Any:
        """M times a vector of all entries."""
        values = self._directions(self.parts(flat))
        found = []
        along = {s: _direction(s) for s in self.slots}
        for s, shape in self.shapes.items():
            value = self.xp.asarray(self.number(row_of(self.operator, s, along), values))
            if value.shape not in ((), shape):
                raise OdescentError(
                    f"the row {s} of a solve has the shape {value.shape}, and its part of the right side {shape}."
                )
            found.append(self.xp.broadcast_to(value, shape).reshape(-1))
        return self.xp.concatenate(found)

    def parts(self, flat: Any) -> dict[str, Any]:
        """A vector of all entries by block."""
        ends = itertools.accumulate(math.prod(shape) for shape in self.shapes.values())
        split = self.xp.split(flat, list(ends)[:-1])
        return {s: v.reshape(self.shapes[s]) for s, v in zip(self.slots, split, strict=True)}


def _direction(slot: str) -> VectorSymbol:
    return VectorSymbol(f"direction in {slot}")


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
        whole = isinstance(right, Atom) and right.is_array and inverted.by_columns
        by_column = whole or (isinstance(right, Atom) and right.operates)
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
