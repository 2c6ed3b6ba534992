"""Vectors, scalars and operators as residues modulo a prime, in which two readings of one step are compared."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import odescent as od
from odescent.dynamics.algebra.operators import Inverse, OracleDerivative
from odescent.dynamics.algebra.products import Product, Unary
from odescent.dynamics.algebra.vectors import Call, ScalarNode, Vector, VectorSymbol
from odescent.dynamics.algebra.windows import Delay, UnitPlace, pushed

PRIME = 2**61 - 1
SIZE = 3  # coordinates of a vector
KEPT = 2  # columns of a window
h = od.parameters("h")
Number = int


def inverse(a: Number) -> Number:
    if a % PRIME == 0:
        raise ZeroDivisionError
    return pow(a, -1, PRIME)


def scaled(a: tuple[Number, ...], k: Number) -> tuple[Number, ...]:
    return tuple(u * k % PRIME for u in a)


def added(*vectors: tuple[Number, ...]) -> tuple[Number, ...]:
    return tuple(sum(parts) % PRIME for parts in zip(*vectors, strict=True))


def asked(name: str, point: Any, directions: list[Any], parameters: list[Number]) -> Any:
    """The answer of an oracle: a polynomial map in all that it is asked with, another one for each name."""
    mark = int.from_bytes(f"{name} {len(directions)} {len(parameters)}".encode(), "big") % PRIME
    answer = []
    for i in range(SIZE):
        total = (mark + i) * point[i] + point[(i + 1) % SIZE] ** 2 * (mark + 7 + i)
        for d in directions:  # linear in each, and no two answers of one point agree
            total = total * d[i] + d[(i + 1) % SIZE] * point[i] * (mark + 3)
        for j, p in enumerate(parameters):
            total = total + (j + 2) * p * point[i] + p * p
        answer.append(total % PRIME)
    return tuple(answer)


# vectors are tuples, matrices tuples of rows, and multiples of the identity their factors


def times(a: Any, k: Number) -> Any:
    if isinstance(a, int):
        return a * k % PRIME
    return tuple(scaled(row, k) for row in a) if isinstance(a[0], tuple) else scaled(a, k)


def dense(a: Any, size: int) -> Any:
    """A multiple of the identity as a matrix."""
    if not isinstance(a, int):
        return a
    return tuple(tuple(a if i == j else 0 for j in range(size)) for i in range(size))


def plus(a: Any, b: Any) -> Any:
    if isinstance(a, int) and isinstance(b, int):
        return (a + b) % PRIME
    a, b = (
        dense(a, 0 if isinstance(b, int) else len(b)),
        dense(b, 0 if isinstance(a, int) else len(a)),
    )
    if isinstance(a[0], tuple):
        return tuple(added(p, q) for p, q in zip(a, b, strict=True))
    return added(a, b)


def applied(a: Any, b: Any) -> Any:
    """The product of an operator with an operator or a vector."""
    if isinstance(a, int) or isinstance(b, int):
        return times(b, a) if isinstance(a, int) else times(a, b)
    if not isinstance(b[0], tuple):
        return tuple(sum(p * q for p, q in zip(row, b, strict=True)) % PRIME for row in a)
    return tuple(zip(*(applied(a, column) for column in zip(*b, strict=True)), strict=True))


def inverted(a: Any) -> Any:
    """The inverse of an operator, by Gauss and Jordan."""
    if isinstance(a, int):
        return inverse(a)
    n = len(a)
    rows = [[*row, *unit] for row, unit in zip(a, dense(1, n), strict=True)]
    for i in range(n):
        pivot = next((k for k in range(i, n) if rows[k][i] % PRIME), None)
        if pivot is None:
            raise ZeroDivisionError
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = list(scaled(tuple(rows[i]), inverse(rows[i][i])))
        for k in range(n):
            if k != i:
                rows[k] = list(added(tuple(rows[k]), scaled(tuple(rows[i]), -rows[k][i])))
    return tuple(tuple(row[n:]) for row in rows)


class Reading:
    """Expressions as residues; ``h`` is a square, whose root is the value of ``root``."""

    def __init__(self, env: Mapping[str, Any], root: Number) -> None:
        self.env, self.root = env, root

    def __call__(self, expr: Any) -> Any:
        return self.vector(expr) if isinstance(expr, Vector) else self.scalar(expr)

    def scalar(self, expr: Any) -> Number:
        if expr.is_Rational:
            return int(expr.p) * inverse(int(expr.q)) % PRIME
        if isinstance(expr, ScalarNode):
            at = [self.vector(a) for a in expr.arguments]
            if expr.kind == "inner":
                return sum(p * q for p, q in zip(*at, strict=True)) % PRIME
            assert expr.oracle is not None
            return sum(asked(expr.oracle.name, at[0], [], [])) % PRIME
        if expr.is_Symbol:
            return int(self.env[expr.name])
        if expr.is_Add:
            return sum(map(self.scalar, expr.args)) % PRIME
        if expr.is_Mul:
            product = 1
            for a in expr.args:
                product = product * self.scalar(a) % PRIME
            return product
        base, exponent = expr.as_base_exp()
        if exponent.is_Integer:
            value, power = self.scalar(base), int(exponent)
        else:
            assert base == h and exponent.q == 2, expr
            value, power = self.root, int(2 * exponent)
        return pow(value, power, PRIME) if power >= 0 else pow(inverse(value), -power, PRIME)

    def vector(self, expr: Vector) -> Any:
        push = pushed(expr)
        if push is not None:
            kept = [row[:-1] for row in self.env[push[0].name]]
            return tuple((new, *row) for new, row in zip(self.vector(push[1]), kept, strict=True))
        parts = [times(self.atom(a), self.scalar(k)) for a, k in expr.terms.items()]
        return functools.reduce(plus, parts) if parts else (0,) * SIZE

    def atom(self, a: Vector) -> Any:
        if isinstance(a, VectorSymbol):
            return tuple(self.env[a.name])
        if isinstance(a, Call):
            given = [self.scalar(p) for p in a.parameters]
            along = [self.vector(d) for d in a.directions]
            return tuple(asked(a.oracle.name, self.vector(a.point), along, given))
        if isinstance(a, Product):
            left, right = self.vector(a.left), self.vector(a.right)
            if a.kind == "apply":
                return applied(left, right)
            if a.kind == "outer":
                return tuple(scaled(right, p) for p in left)
            return tuple(p * q % PRIME for p, q in zip(left, right, strict=True))
        return self.operator(a)

    def operator(self, a: Vector) -> Any:
        """A matrix as its rows, or a multiple of the identity, of any size, as its factor."""
        if a == od.identity:
            return 1
        if isinstance(a, Inverse):
            return inverted(self.vector(a.argument))
        if isinstance(a, OracleDerivative):
            unit = [tuple(int(i == j) for j in range(SIZE)) for i in range(SIZE)]
            along = [self.vector(d) for d in a.directions]
            given = [self.scalar(p) for p in a.parameters]
            at = self.vector(a.point)
            columns = [asked(a.oracle.name, at, [*along, e], given) for e in unit]
            return tuple(zip(*columns, strict=True))
        if isinstance(a, UnitPlace):
            return tuple(int(j == (0 if a.which == "newest" else KEPT - 1)) for j in range(KEPT))
        if isinstance(a, Delay):
            moved = tuple(tuple(int(j == i + 1) for j in range(KEPT)) for i in range(KEPT))
            return tuple(zip(*moved, strict=True)) if a.back else moved
        assert isinstance(a, Unary) and a.kind == "transpose", a
        return tuple(zip(*self.vector(a.argument), strict=True))
