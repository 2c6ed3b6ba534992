"""Values of vectors, matrices and windows in two coordinates, by an arithmetic of numbers.

A vector is a tuple, a matrix a tuple of rows. A window has the columns that were pushed: the others are zero, and what
is solved in its space has no part there.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import sympy as sp

from ..._support.errors import NotCarried
from ...dynamics.algebra.operators import Inverse, OracleDerivative
from ...dynamics.algebra.products import Elementwise, Identity, Product, Unary, slots
from ...dynamics.algebra.vectors import Atom, Call, Expr, ScalarNode, Vector, VectorSymbol
from ...dynamics.algebra.windows import is_window, pushed
from .numbers import Number, number, over, plus, times

Coordinates: TypeAlias = "tuple[Any, ...]"
Matrix: TypeAlias = "tuple[Coordinates, ...]"
DIMENSION = 2
HESSIAN = ((sp.Integer(2), sp.Integer(1)), (sp.Integer(1), sp.Integer(3)))


class CoordinateValues:
    """What expressions are at values of their symbols: fractions, intervals and normal laws.

    Attributes:
        known: values by symbol: a number, a tuple of coordinates, or a tuple of rows.
        lengths: of the windows.
    """

    zero: Number = sp.S.Zero
    one: Number = sp.S.One
    plus: Callable[[Any, Any], Any] = staticmethod(plus)
    times: Callable[[Any, Any], Any] = staticmethod(times)
    over: Callable[[Any, Any], Any] = staticmethod(over)

    def __init__(self, known: dict[Any, Any], lengths: Mapping[Any, sp.Expr] | None = None) -> None:
        self.known, self.lengths = known, lengths or {}
        self.zero, self.one = (self.scalar(e) for e in (sp.S.Zero, sp.S.One))

    def scalar(self, e: sp.Expr, inside: Mapping[Any, Any] | None = None) -> Any:
        """A scalar expression; ``inside`` are the values of the slots of an element-wise function."""
        return number(e, {**self.known, **(inside or {})}, self.node)

    def node(self, node: ScalarNode) -> Any:
        """A scalar that is made of vectors."""
        if node.kind != "inner":
            raise NotCarried(f"{node} is not supported here.")
        one, other = map(self.value, node.arguments)
        if any(c and isinstance(c[0], tuple) for c in (one, other)) or len(one) != len(other):
            raise NotCarried(f"{node} is not supported here.")
        return self._sum(map(self.times, one, other))

    def called(self, call: Call) -> Coordinates:
        """The answer of an oracle to a call inside an expression."""
        raise NotCarried(f"{call} is not supported here.")

    def derivative(self, e: OracleDerivative) -> Matrix:
        """The derivative of an oracle at a point."""
        raise NotCarried(f"{e} is not supported here.")

    def first(self, block: VectorSymbol, init: Expr) -> Any:
        """The value with which a block begins."""
        if is_window(block):
            return ((),) * DIMENSION
        if isinstance(init, Vector) and not init.terms and block.operates:
            return ((self.zero,) * DIMENSION,) * DIMENSION
        return self.value(init)

    def value(self, e: Expr) -> Any:
        """The value of a scalar, a vector or an operator: a number, a tuple of coordinates or a tuple of rows.

        Raises:
            NotCarried: it is not made of what is known.
            NoNumber: there is no number of this arithmetic.
        """
        if not isinstance(e, Vector):
            return self.scalar(e)
        if (push := pushed(e)) is not None:
            window, column = push
            return self._pushed(self.known[window], self.value(column), self.lengths[window])
        if e.terms and all(a.operates for a in e.terms):
            return self._operator(e)
        total: Coordinates | None = None
        for a, c in e.terms.items():
            scale = self.scalar(c)
            part = tuple(self.times(scale, p) for p in self._atom(a))
            if total is not None and len(part) != len(total):
                raise NotCarried(f"{a} has other columns.")
            total = part if total is None else tuple(map(self.plus, total, part))
        return (self.zero,) * DIMENSION if total is None else total

    def _sum(self, parts: Iterable[Any]) -> Any:
        return functools.reduce(self.plus, parts, self.zero)

    def _pushed(self, window: Matrix, column: Coordinates, length: sp.Expr) -> Matrix:
        filled = tuple((c, *row) for c, row in zip(column, window, strict=True))
        if not length.is_Integer:
            if len(filled[0]) > 1:
                raise NotCarried("how many columns there are is not known.")
            return filled
        return tuple(row[: int(length)] for row in filled)

    def _atom(self, a: Atom) -> Coordinates:
        """A vector that is one atom."""
        if a in self.known:
            found: Coordinates = self.known[a]
            return found
        if isinstance(a, Call):
            return self.called(a)
        if isinstance(a, Elementwise):
            inside = [self.value(v) for v in a.arguments]
            names = slots(len(inside))
            return tuple(
                self.scalar(a.body, dict(zip(names, c, strict=True)))
                for c in zip(*inside, strict=True)
            )
        if isinstance(a, Product) and a.kind == "hadamard":
            return tuple(map(self.times, self.value(a.left), self.value(a.right)))
        if isinstance(a, Product) and a.kind == "apply":
            vector = self.value(a.right)
            if isinstance(a.left, Inverse):  # one system, without the inverse
                matrix = self._operator(a.left.argument, len(vector))
                return tuple(row[0] for row in self._solved(matrix, tuple((c,) for c in vector)))
            return self._times_vector(self._operator(a.left, len(vector)), vector)
        if isinstance(a, Unary) and a.kind == "entries":
            rows = self._operator(a.argument)
            return tuple(row[i] for i, row in enumerate(rows))
        raise NotCarried(f"{a} is not supported here.")

    def _operator(self, e: Vector, size: int | None = None) -> Matrix:
        """A sum of operators; ``size`` is that of its columns where only the identity's multiples are in it."""
        scaled = [(a, self.scalar(c)) for a, c in e.terms.items()]
        parts = [self._scaled(self._matrix(a), c) for a, c in scaled if not isinstance(a, Identity)]
        rows = len(parts[0]) if parts else DIMENSION if size is None else size
        ones = [self._scaled(self._eye(rows), c) for a, c in scaled if isinstance(a, Identity)]
        shapes = {(len(p), len(p[0]) if p else 0) for p in (*parts, *ones)}
        if len(shapes) > 1:
            raise NotCarried(f"{e} has parts of several shapes.")
        total, *others = [*parts, *ones]
        for p in others:
            total = tuple(tuple(map(self.plus, *pair)) for pair in zip(total, p, strict=True))
        return total

    def _eye(self, rows: int) -> Matrix:
        return tuple(
            tuple(self.one if i == j else self.zero for j in range(rows)) for i in range(rows)
        )

    def _scaled(self, matrix: Matrix, by: Any) -> Matrix:
        return tuple(tuple(self.times(by, c) for c in row) for row in matrix)

    def _matrix(self, a: Atom) -> Matrix:
        """An operator that is one atom."""
        if a in self.known:
            found: Matrix = self.known[a]
            return found
        if isinstance(a, OracleDerivative):
            return self.derivative(a)
        if isinstance(a, Unary) and a.kind == "transpose":
            return tuple(zip(*self._matrix(a.argument), strict=True))
        if isinstance(a, Unary) and a.kind == "diagonal":
            entries = self.value(a.argument)
            eye = self._eye(len(entries))
            return tuple(
                tuple(self.times(c, e) for c in row) for e, row in zip(entries, eye, strict=True)
            )
        if isinstance(a, Inverse):
            matrix = self._operator(a.argument)
            return self._solved(matrix, self._eye(len(matrix)))
        if isinstance(a, Product) and a.kind == "outer":
            left, right = self.value(a.left), self.value(a.right)
            return tuple(tuple(self.times(u, v) for v in right) for u in left)
        if isinstance(a, Product) and a.kind == "apply":
            other = self._operator(a.right)
            columns = [
                self._times_vector(self._operator(a.left, len(other)), c)
                for c in zip(*other, strict=True)
            ]
            return tuple(zip(*columns, strict=True))
        raise NotCarried(f"{a} is not supported here.")

    def _times_vector(self, matrix: Matrix, vector: Coordinates) -> Coordinates:
        if any(len(row) != len(vector) for row in matrix):
            raise NotCarried("a matrix has other columns.")
        return tuple(self._sum(map(self.times, row, vector)) for row in matrix)

    def _solved(self, matrix: Matrix, right: Matrix) -> Matrix:
        """By determinants: the systems are of a few rows."""
        if any(len(row) != len(matrix) for row in matrix) or len(matrix) != len(right):
            raise NotCarried("a matrix that is solved with has other columns.")
        below = self._determinant(matrix)

        def replaced(place: int, column: Coordinates) -> Matrix:
            pairs = zip(matrix, column, strict=True)
            return tuple((*row[:place], c, *row[place + 1 :]) for row, c in pairs)

        columns = list(zip(*right, strict=True))
        return tuple(
            tuple(self.over(self._determinant(replaced(i, c)), below) for c in columns)
            for i in range(len(matrix))
        )

    def _determinant(self, matrix: Matrix) -> Any:
        """By its first column."""
        if not matrix:
            return self.one
        total, minus = self.zero, self.scalar(sp.Integer(-1))
        for i, row in enumerate(matrix):
            rest = tuple(r[1:] for r in itertools.chain(matrix[:i], matrix[i + 1 :]))
            part = self.times(row[0], self._determinant(rest))
            total = self.plus(total, self.times(minus, part) if i % 2 else part)
        return total


class CoordinateExpressions(CoordinateValues):
    """The same as expressions, where a symbol without a value stays.

    The derivative of a gradient is one matrix at all points, since a function may have any symmetric matrix there
    whatever its gradients are.
    """

    plus = staticmethod(lambda a, b: a + b)
    times = staticmethod(lambda a, b: a * b)

    @staticmethod
    def over(above: sp.Expr, below: sp.Expr) -> sp.Expr:
        if below.is_zero:
            raise NotCarried("a matrix is singular.")
        return above / below

    def scalar(self, e: sp.Expr, inside: Mapping[Any, Any] | None = None) -> sp.Expr:
        nodes = {n: self.node(n) for n in e.atoms(ScalarNode)}
        values = {s: self.known[s] for s in e.free_symbols if s in self.known}
        return e.xreplace({**values, **nodes, **(inside or {})})

    def derivative(self, e: OracleDerivative) -> Matrix:
        if e.oracle.form.field and not (e.directions or e.parameters):
            return HESSIAN
        return super().derivative(e)
