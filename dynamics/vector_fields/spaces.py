"""The spaces in which blocks live: which of them have one shape, read off from how they are added and multiplied."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import sympy as sp

from ..algebra.calculus import Symbol, symbols_of
from ..algebra.direct_sums import points_of, stack
from ..algebra.operators import Inverse
from ..algebra.oracles import Oracle
from ..algebra.products import (
    Elementwise,
    Kronecker,
    Part,
    Product,
    Unary,
    apply,
    identity,
    slots_of,
)
from ..algebra.vectors import (
    COVECTOR,
    Atom,
    Call,
    Expr,
    ScalarNode,
    Vector,
    VectorSymbol,
    by_slot,
)
from ..implicit.roots import RootScalar, RootVector
from .block import Block, start
from .system import VectorFields

_OUTPUT = ("sum", "output")


class _Classes:
    """Classes of keys that are joined one by one."""

    def __init__(self) -> None:
        self._above: dict[Any, Any] = {}

    def of(self, key: Any) -> Any:
        """The representative of a key's class."""
        while (above := self._above.get(key, key)) != key:
            key = above
        return key

    def one(self, a: Any, b: Any) -> Any:
        """Join two classes."""
        a, b = self.of(a), self.of(b)
        self._above[a] = b
        return b


class Spaces(_Classes):
    """Classes of vectors of one shape.

    Two vectors are of one class where they are added, multiplied element by element or paired. A gradient is in the
    space of its argument; the values of a map are in a space of their own.
    """

    def __init__(self) -> None:
        super().__init__()
        self._solutions: dict[Vector, Vector] = {}  # by operator

    def equate(self, target: Any, e: Expr) -> None:
        """Take the target and an expression as of one class, and read what is inside."""
        if isinstance(e, Vector):
            for a, c in e.terms.items():
                self._scalar(c)
                self.one(target, self._atom(a))
        else:
            self._scalar(e)

    def _vector(self, e: Vector) -> Any:
        own = ("sum", e)
        self.equate(own, e)
        return own

    def _scalar(self, e: Any) -> None:
        for node in e.atoms(ScalarNode):
            if isinstance(node, RootScalar):
                self._root(node)
            elif node.oracle is None and node.arguments:
                self.one(*(self._vector(v) for v in node.arguments))
            elif node.oracle is not None:
                self._points(node.oracle, node.arguments[0])

    def _points(self, oracle: Oracle, point: Vector) -> None:
        names = oracle.args or ("",)
        for name, v in zip(names, points_of(oracle, point), strict=True):
            self.equate(("argument", oracle.of, name), v)

    def called(
        self, target: Symbol, oracle: Oracle, point: Vector, directions: Iterable[Vector]
    ) -> None:
        """Take the target as of the class of what an oracle returns; its arguments and directions are read.

        Args:
            target: the name of what it returns.
            oracle: what is called.
            point: where.
            directions: along which it is differentiated.
        """
        self.one(target, self._asked(oracle, point, directions))

    def _asked(self, oracle: Oracle, point: Vector, directions: Iterable[Vector]) -> Any:
        self._points(oracle, point)
        image = ("image", oracle.of)
        for d in directions:
            for slot, v in by_slot(d).items():
                self.equate(image if slot == COVECTOR else ("argument", oracle.of, slot), v)
        own = ("argument", oracle.of, oracle.slot or (oracle.args or ("",))[0])
        if oracle.kind == "map":
            return image
        return own

    def _atom(self, a: Any) -> Any:
        if isinstance(a, Call):
            return self._asked(a.oracle, a.point, a.directions)
        if isinstance(a, Product) and a.kind == "hadamard":
            return self.one(self._atom(a.left), self._atom(a.right))
        if isinstance(a, Product) and not a.operates and (found := self._applied(a)) != a:
            return self._vector(found)
        if isinstance(a, Elementwise):
            for v in a.arguments:
                self.equate(a, v)
        if isinstance(a, RootVector):
            self._root(a)
        return a

    def _root(self, a: RootVector | RootScalar) -> None:
        """Join an implicit function with where its search begins, and read its equations."""
        if a in self._above:
            return
        of = a.equations
        for s, begun, name in itertools.zip_longest(of.solutions, of.search.start, of.names):
            self._above.setdefault(s, s)
            if begun is not None:
                self.equate(s, begun)
            elif isinstance(s, Vector):
                self.one(s, VectorSymbol(name))
        for e in of.linearized.equations:
            at = of.at(e)
            self._vector(at) if isinstance(at, Vector) else self._scalar(at)

    def _applied(self, a: Atom) -> Vector:
        """A vector that operators are applied to, with the solutions of its solves as symbols."""
        if not (isinstance(a, Product) and a.kind == "apply" and not a.operates):
            return a
        assert isinstance(a.right, Atom)
        if isinstance(a.left, Inverse):
            return self._solution(a.left.argument, a.right)
        return apply(a.left, self._applied(a.right))

    def _solution(self, operator: Vector, right: Vector) -> Vector:
        """The symbol of a solution, one for each block; an equation is of one class with its part of the right side."""
        slots = slots_of(operator)[0]
        rows: dict[str, Vector] = {s: Part(s) for s in slots} or {"": identity}
        if operator not in self._solutions:
            n = len(self._solutions)
            names = {s: VectorSymbol(f"solution {n} {s}") for s in rows}
            solution = self._solutions[operator] = stack(names) if slots else names[""]
            for s, part in rows.items():
                self.equate(("row", operator, s), apply(part, apply(operator, solution)))
        for s, part in rows.items():
            self.equate(("row", operator, s), apply(part, right))
        return self._solutions[operator]

    def valued(self, blocks: Iterable[Symbol], output: Expr) -> set[Symbol]:
        """The vectors in spaces of maps' values that are not known to be the space of the output."""
        self.equate(_OUTPUT, output)
        images = {self.of(k) for k in self._above if isinstance(k, tuple) and k[0] == "image"}
        return {s for s in blocks if self.of(s) in images - {self.of(_OUTPUT)}}

    def apart(self, blocks: Iterable[Symbol]) -> tuple[int, ...]:
        """A number for each block, the same for those of one shape, -1 for a scalar, whatever they start at."""
        numbers: dict[Any, int] = {}
        return tuple(
            numbers.setdefault(self.of(s), len(numbers)) if isinstance(s, VectorSymbol) else -1
            for s in blocks
        )

    def classes(self, begin: Mapping[Symbol, Expr], output: Expr | None) -> tuple[int, ...]:
        """A number for each block, the same for those of one shape: 0 is that of the starting point, -1 a scalar.

        A space is another one where it is an argument of a function of several, or has the values of a map; what
        nothing relates to the others has the shape of the starting point.

        Args:
            begin: the initial values by block, in order.
            output: where no block begins at the starting point, that is in the space of the output.
        """
        blocks = list(begin)
        for s, e in begin.items():
            if isinstance(e, Vector) and start in symbols_of(e):
                self.one(s, start)
        if not any(self.of(s) == self.of(start) for s in blocks) and isinstance(output, Vector):
            self.equate(start, output)
        first = self.of(start)
        told = [key for key in self._above if isinstance(key, tuple)]
        own = {self.of(k) for k in told if k[0] == "image" or (k[0] == "argument" and k[2])}
        numbers: dict[Any, int] = {first: 0}
        return tuple(
            -1
            if not isinstance(s, VectorSymbol)
            else numbers.setdefault(self.of(s) if self.of(s) in own else first, len(numbers))
            for s in blocks
        )


Sides: TypeAlias = "tuple[Any, Any]"  # the classes of rows and columns; a vector has rows alone


class Lengths(_Classes):
    """Classes of sides of matrices, their rows and columns, of one length.

    They are where matrices are added or multiplied. A gradient has the sides of its argument.
    """

    def __init__(self) -> None:
        super().__init__()
        self._new = itertools.count()

    def equate(self, target: Any, e: Expr) -> None:
        """Take the target and an expression as of the same sides, and read what is inside."""
        if not isinstance(e, Vector):
            self._scalar(e)
        elif isinstance(target, VectorSymbol):
            self._join(self._atom(target), self._vector(e))

    def called(
        self, target: Symbol, oracle: Oracle, point: Vector, directions: Iterable[Vector]
    ) -> None:
        """Take the target as of the sides of what an oracle returns; see `Spaces.called`."""
        own = self._asked(oracle, point, directions)
        if own and isinstance(target, VectorSymbol):
            self._join(self._atom(target), own)

    def _asked(self, oracle: Oracle, point: Vector, directions: Iterable[Vector]) -> Sides | None:
        at = {slot: self._vector(v) for slot, v in by_slot(point).items()}
        for d in directions:
            for slot, v in by_slot(d).items():
                at[slot] = self._join(at[slot], self._vector(v)) if slot in at else self._vector(v)
        own = oracle.slot or (oracle.args or ("",))[0]
        return at.get(own) if oracle.form.field else None

    def _join(self, one: Sides, other: Sides) -> Sides:
        return self.one(one[0], other[0]), self.one(one[1], other[1])

    def _vector(self, e: Vector) -> Sides:
        own: Sides = (next(self._new), next(self._new))  # two multiples of the identity differ
        for a, c in e.terms.items():
            self._scalar(c)
            own = self._join(own, self._atom(a))
        return own

    def _scalar(self, e: sp.Expr) -> None:
        for node in e.atoms(ScalarNode):
            sides = [self._vector(v) for v in node.arguments if isinstance(v, Vector)]
            if node.oracle is None and len(sides) == 2:
                self._join(*sides)

    def _atom(self, a: Any) -> Sides:
        own: Sides = (("rows", a), ("columns", a))
        if a == identity:
            own = (next(self._new),) * 2
        elif isinstance(a, VectorSymbol) and a.kind == "symmetric":
            own = (self.one(*own),) * 2
        elif isinstance(a, Call):
            own = self._asked(a.oracle, a.point, a.directions) or own
        elif isinstance(a, Product):
            left, right = self._atom(a.left), self._atom(a.right)
            if a.kind == "hadamard":
                own = self._join(left, right)
            elif a.kind == "outer":
                own = left[0], right[0]
            elif isinstance(a.left, Kronecker):
                one, other = self._atom(a.left.left), self._atom(a.left.right)
                self._join((one[1], other[1]), right)
                own = one[0], other[0]
            else:
                self.one(left[1], right[0])
                own = left[0], right[1]
        elif isinstance(a, Unary) and a.kind == "transpose":
            own = self._vector(a.argument)[::-1]
        elif isinstance(a, Unary):
            rows = self._vector(a.argument)[0]
            own = rows, (rows if a.kind == "diagonal" else own[1])
        elif isinstance(a, Inverse):
            own = (self.one(*self._vector(a.argument)),) * 2
        elif isinstance(a, Elementwise):
            for v in a.arguments:
                own = self._join(own, self._vector(v))
        return own

    def axes(self, blocks: Iterable[Block]) -> dict[str, tuple[int, int]]:
        """By matrix block, which axes of a matrix to start from have the lengths of its rows and columns, if known."""
        matrices = [b for b in blocks if b.operates]
        for b in matrices:
            self.equate(b.symbol, b.init)
        rows, columns = map(self.of, self._atom(start))
        number = {columns: 1, rows: 0}
        sides = {b.name: [number.get(self.of(k)) for k in self._atom(b.symbol)] for b in matrices}
        return {n: (i, j) for n, (i, j) in sides.items() if i is not None and j is not None}


def at_start(blocks: Iterable[Block]) -> list[Block]:
    """The matrix blocks that begin at a multiple of the starting point, which is then a matrix, too."""
    return [b for b in blocks if b.operates and start in b.init.terms]


def lengths_of(
    blocks: Sequence[Block], read: Callable[[Lengths], object]
) -> dict[str, tuple[int, int]]:
    """Where the starting point is a matrix what `Lengths.axes` says of the blocks; nothing where it is a vector.

    Args:
        blocks: with their initial values.
        read: tells the classes what is added and multiplied.
    """
    if not at_start(blocks):
        return {}
    read(lengths := Lengths())
    return lengths.axes(blocks)


def lengths_in(system: VectorFields) -> dict[str, tuple[int, int]]:
    """The same of a system."""
    return lengths_of(system.blocks, functools.partial(_read, system))


def classes_of(system: VectorFields) -> tuple[int, ...]:
    """Which blocks of a system have one shape, as numbers in block order; -1 for scalars."""
    _read(system, spaces := Spaces())
    return spaces.classes({b.symbol: b.init for b in system.blocks}, system.output)


def _read(system: VectorFields, into: Spaces | Lengths) -> None:
    for f in system.fields.values():
        for s, e in f.drift.items():
            into.equate(s, e)
        for s, noise in f.noise.items():
            for e in noise.expressions:
                into.equate(s if isinstance(e, Vector) else ("noise", s), e)
