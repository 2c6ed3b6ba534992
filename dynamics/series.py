"""Taylor series in a scalar, by structure: sums, products and compositions of truncated series.

An oracle at a moving point, F(p_0 + h p_1 + ...), is expanded by Faa di Bruno's formula over the
partitions of the order, so that nothing is differentiated that is then thrown away.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import factorial
from typing import Any, overload

import sympy as sp

from .._errors import OdescentError
from .calculus import derivative, singular, substitute, tidy
from .vectors import (
    Atom,
    Call,
    Expr,
    Product,
    ScalarNode,
    Vector,
    _product,
    call,
    inner,
    scalar_symbols,
    zero,
)


@overload
def taylor(e: Vector, symbol: sp.Symbol, order: int) -> list[Vector]: ...
@overload
def taylor(e: sp.Expr, symbol: sp.Symbol, order: int) -> list[sp.Expr]: ...
def taylor(e: Expr, symbol: sp.Symbol, order: int) -> list[Any]:
    """Coefficients of ``symbol**0 ... symbol**order`` of the Taylor expansion at 0.

    Raises OdescentError if a coefficient is singular at 0.
    """
    try:
        return (
            _vector(tidy(e), symbol, order)
            if isinstance(e, Vector)
            else _by_derivatives(e, symbol, order)
        )
    except _SingularError:
        raise OdescentError(f"{e} has no Taylor expansion at {symbol} = 0.") from None


class _SingularError(Exception):
    """A coefficient is infinite at 0."""


def _vector(e: Vector, symbol: sp.Symbol, order: int) -> list[Vector]:
    total = [zero] * (order + 1)
    for atom, coefficient in e.terms.items():
        scalars = _scalar(coefficient, symbol, order)
        vectors = _atom(atom, symbol, order)
        for i, c in enumerate(scalars):
            if c != 0:
                for j in range(order + 1 - i):
                    total[i + j] = total[i + j] + vectors[j] * c
    return [tidy(v) for v in total]


def _scalar(c: sp.Expr, symbol: sp.Symbol, order: int) -> list[sp.Expr]:
    if symbol not in c.free_symbols and not c.has(ScalarNode):
        return [c] + [sp.S.Zero] * order
    nodes = [n for n in c.atoms(ScalarNode) if symbol in scalar_symbols(n)]
    if nodes and all(n.kind == "inner" for n in nodes):
        found = _through_inner_products(c, nodes, symbol, order)
        if found is not None:
            return found
    return _by_derivatives(c, symbol, order)


def _through_inner_products(
    c: sp.Expr, nodes: list[ScalarNode], symbol: sp.Symbol, order: int
) -> list[sp.Expr] | None:
    """Each inner product becomes a polynomial with letters for coefficients; None where that is singular."""
    opened: dict[sp.Expr, sp.Expr] = {}
    meaning: dict[sp.Expr, sp.Expr] = {}
    for node in nodes:
        left, right = (_vector(side, symbol, order) for side in node.arguments)
        letters = sp.symbols(f"_c:{order + 1}", cls=sp.Dummy, real=True)
        opened[node] = sum(a * symbol**n for n, a in enumerate(letters))
        for n, a in enumerate(letters):
            meaning[a] = sp.Add(*[inner(left[i], right[n - i]) for i in range(n + 1)])
    coefficients, current = [], c.xreplace(opened)
    for k in range(order + 1):
        at_zero = current.xreplace({symbol: sp.S.Zero})
        if singular(at_zero) or singular(at_zero := at_zero.xreplace(meaning)):
            return None
        coefficients.append(tidy(at_zero) * sp.Rational(1, factorial(k)))
        current = sp.diff(current, symbol)
    return coefficients


def _by_derivatives(e: Any, symbol: sp.Symbol, order: int) -> list[Any]:
    """The definition: repeated derivatives at 0, for scalars and element-wise functions."""
    coefficients, current = [], tidy(e)
    for k in range(order + 1):
        at_zero = tidy(substitute(current, {symbol: sp.S.Zero}))
        if singular(at_zero):
            raise _SingularError
        coefficients.append(at_zero * sp.Rational(1, factorial(k)))
        if k < order:
            current = tidy(derivative(current, {symbol: sp.S.One}))
    return coefficients


def _atom(atom: Atom, symbol: sp.Symbol, order: int) -> list[Vector]:
    if symbol not in atom.free_symbols:
        return [atom] + [zero] * order
    if isinstance(atom, Product):
        left, right = (_vector(side, symbol, order) for side in (atom.left, atom.right))
        return [
            sum((_product(atom.kind, left[i], right[n - i]) for i in range(n + 1)), zero)
            for n in range(order + 1)
        ]
    if isinstance(atom, Call) and not any(symbol in p.free_symbols for p in atom.parameters):
        return _call(atom, symbol, order)
    return _by_derivatives(atom, symbol, order)


def _call(atom: Call, symbol: sp.Symbol, order: int) -> list[Vector]:
    point = _vector(atom.point, symbol, order)
    directions = [_vector(d, symbol, order) for d in atom.directions]
    total = [zero] * (order + 1)
    for orders in _compositions(len(directions), order):
        fixed = [series[i] for series, i in zip(directions, orders, strict=True)]
        if not all(fixed):
            continue
        for n in range(order + 1 - sum(orders)):
            for parts in _partitions(n, n):
                if all(point[j] for j, _ in parts):
                    moved = [point[j] for j, times in parts for _ in range(times)]
                    weight = sp.Integer(1)
                    for _, times in parts:
                        weight = weight / factorial(times)
                    term = call(atom.oracle, point[0], [*fixed, *moved], atom.parameters) * weight
                    total[sum(orders) + n] = total[sum(orders) + n] + term
    return total


def _compositions(slots: int, order: int) -> Iterator[tuple[int, ...]]:
    """Nonnegative orders for each slot with a sum of at most ``order``."""
    if slots == 0:
        yield ()
        return
    for first in range(order + 1):
        for rest in _compositions(slots - 1, order - first):
            yield (first, *rest)


def _partitions(n: int, largest: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """Partitions of n as (part, multiplicity) pairs, parts at most ``largest`` and decreasing."""
    if n == 0:
        yield ()
        return
    for part in range(min(n, largest), 0, -1):
        for times in range(1, n // part + 1):
            for rest in _partitions(n - part * times, part - 1):
                yield ((part, times), *rest)
