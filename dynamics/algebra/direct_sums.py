"""Direct sums of spaces: vectors of several blocks, and operators between them by rows and columns.

A part of a vector is what an operator reads of it, and a vector is the sum of its parts in their places; an operator
by blocks is the sum of its entries, each between a place and a part. So nothing else is new: products of operators,
transposes and solves are those of any operator. The arguments of a function of several are a direct sum, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..._support.arguments import checked
from ..._support.errors import OdescentError, WrongType
from ..._support.rendering.brief import short
from .gradients import jacobian_of
from .operators import check_operator
from .oracles import Oracle
from .products import Inclusion, Part, apply, transpose
from .vectors import COVECTOR, Vector, VectorSymbol, by_slot, in_slot, zero


def covectors_and_directions(
    given: Iterable[Vector],
) -> tuple[tuple[Vector, ...], tuple[Vector, ...]]:
    """Of the directions of a call, what an adjoint is applied to, and those along which it is differentiated."""
    slots = [(d, by_slot(d)) for d in given]
    covectors = tuple(s[COVECTOR] for _, s in slots if COVECTOR in s)
    return covectors, tuple(d for d, s in slots if COVECTOR not in s)


def point_of(args: tuple[str, ...], values: Iterable[Vector]) -> Vector:
    """The point of a function with these arguments, of one where there are no names."""
    return sum((in_slot(n, v) for n, v in zip(args or ("",), values, strict=True)), zero)


def points_of(oracle: Oracle, point: Vector) -> tuple[Vector, ...]:
    """The arguments of an oracle in their order; one that is zero is the zero vector."""
    if not oracle.args:
        return (point,)
    slots = by_slot(point)
    return tuple(slots.get(name, zero) for name in oracle.args)


@checked
def stack(parts: Mapping[Any, Vector]) -> Vector:
    """A vector of several blocks, such as the right side of a system of equations.

    Args:
        parts: vectors by the block, or by its name; missing ones are zero.

    Returns:
        a vector of the direct sum, which `part` reads and `block_operator` is applied to.

    Raises:
        WrongType: a part is an operator.
    """
    for name, v in parts.items():
        if v.terms and all(a.operates for a in v.terms):
            raise WrongType(f"stack takes vectors by block, and the part {_name(name)} is {v}.")
    return sum((apply(Inclusion(_name(n)), v) for n, v in parts.items()), zero)


@checked
def part(v: Vector, block: Any) -> Vector:
    """The part of a vector of several blocks.

    Args:
        v: made by `stack`, or solved for with `linear_solve` and a `block_operator`.
        block: the block, or its name.

    Returns:
        a vector of that block's space.
    """
    return apply(Part(_name(block)), v)


def row_of(operator: Vector, row: str, parts: Mapping[str, Vector]) -> Vector:
    """A row of an operator by blocks, applied to a vector with these parts."""
    return apply(Part(row), apply(operator, stack(parts)))


def joining(operator: Vector, row: str, parts: Mapping[str, Vector]) -> Vector:
    """A vector of the shape of a row, from parts of other shapes; zero where no entry joins the row to one of them."""
    return row_of(operator, row, parts) or row_of(transpose(operator), row, parts)


@checked
def block_operator(entries: Mapping[Any, Vector]) -> Vector:
    """An operator by rows and columns, such as the matrix of Karush, Kuhn and Tucker.

    Args:
        entries: operators by (row, column), each a block or its name: what maps that column's space into the row's.
            Missing entries are zero. Blocks may differ in length.

    Returns:
        an operator on the direct sum: ``block_operator({("x", "x"): H, ("x", "y"): B, ("y", "x"): C})`` applied to
        ``stack({"x": u, "y": v})`` is ``stack({"x": H u + B v, "y": C u})``.

    Raises:
        WrongType: an entry is no operator, or a key no pair.
    """
    total = zero
    for at, operator in entries.items():
        if not isinstance(at, tuple) or len(at) != 2:
            raise WrongType(f"block_operator takes operators by (row, column), not by {at!r}.")
        row, column = map(_name, at)
        if operator.terms:
            check_operator(f"the entry ({row}, {column}) of a block operator", operator)
        total = total + apply(Inclusion(row), apply(operator, Part(column)))
    return total


@checked
def jacobian(rates: Vector | Mapping[VectorSymbol, Vector], block: Any = None) -> Vector:
    """The derivative of a vector in a block, or of several vectors in theirs, as an operator.

    Args:
        rates: a vector; or vectors by block, such as the rates of two fast blocks or the conditions for a minimizer.
        block: of a vector, the block in which it is differentiated.

    Returns:
        an operator; of vectors by block one by rows and columns, as `block_operator` has them.

    Raises:
        NotCarried: a direction stands where no operator is in front of it, as a matrix does between two others.
    """
    if isinstance(rates, Vector):
        if not isinstance(block, VectorSymbol):
            raise WrongType(
                f"jacobian takes the block in which {rates} is differentiated, not {short(block)}."
            )
        found: Vector = jacobian_of(rates, block)
        return found
    entries = {(t, s): jacobian_of(e, s) for t, e in rates.items() for s in rates}
    return block_operator({at: operator for at, operator in entries.items() if operator.terms})


def _name(block: Any) -> str:
    found = block.name if isinstance(block, VectorSymbol) else block
    if not isinstance(found, str) or not found.isidentifier():
        raise OdescentError(
            f"the name of a block of a direct sum must be a word or a block, not {short(block)}."
        )
    return found
