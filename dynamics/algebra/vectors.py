"""Vectors with addition and scaling, and their opaque nodes.

A `Vector` is a linear combination of atoms with scalar (SymPy) coefficients. Atoms are symbols, oracle calls, products
and element-wise functions; `inner` and oracle values are scalars. Everything multilinear is expanded on construction,
so that equal vectors have equal terms once their coefficients are canonical. A vector times a vector is refused.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Number
from typing import Any, ClassVar, TypeAlias

import sympy as sp
from sympy.printing.precedence import PRECEDENCE

from ..._support.errors import DividedByZero, NotCarried, WrongType, shown
from ..._support.held.base import Held
from ..._support.work import rewriting
from .exact import canonical
from .oracles import Oracle
from .scalars import as_scalar, nodes_of, told_apart

# What prints vectors and scalars with oracles in them; `notation.show`, which is above, puts its own here.
PRINTED: dict[str, Callable[[Any], str]] = {"text": object.__repr__, "latex": object.__repr__}
NORMAL: list[Callable[[Any], Any]] = []  # how what is above rewrites atoms with inverses and roots
PAIRED: list[Any] = []  # where `identities`, which is above, cuts inner products with adjoints


class Vector(Held):
    """A linear combination of atoms; immutable, hashable, compared term by term."""

    __slots__ = ("_hash", "terms")
    terms: Mapping[Atom, sp.Expr]
    _instead: ClassVar[str] = "use elementwise, named_map or inner"

    def __init__(self, terms: Mapping[Atom, sp.Expr]) -> None:
        self.terms = terms
        self._hash: int | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Vector, (dict(self.terms),)  # a hash is another process's where it is loaded

    @staticmethod
    def of(terms: Iterable[tuple[Atom, sp.Expr]]) -> Vector:
        """The sum of ``coefficient * atom`` over the pairs."""
        total: dict[Atom, sp.Expr] = {}
        for atom, coefficient in terms:
            total[atom] = total.get(atom, sp.S.Zero) + coefficient
        kept = {a: c for a, c in sorted(total.items(), key=lambda item: item[0].key) if c != 0}
        if len(kept) == 1 and next(iter(kept.values())) == 1:
            return next(iter(kept))
        return Vector(kept)

    def __add__(self, other: object) -> Vector:
        if isinstance(other, Vector):
            return Vector.of([*self.terms.items(), *other.terms.items()])
        if isinstance(other, (Number, sp.Expr)):
            if other == 0:
                return self  # so that sum() works
            raise WrongType(
                f"cannot add the scalar {other} to the vector {self}; scale a vector by it instead."
            )
        if hasattr(other, "__radd__") and not hasattr(other, "dtype"):
            return NotImplemented
        raise WrongType(
            f"cannot add {shown(other)} to the vector {self}; only vectors are added to it."
        )

    __radd__ = __add__

    def __pos__(self) -> Vector:
        return self

    def __neg__(self) -> Vector:
        return self._scaled(sp.S.NegativeOne)

    def __sub__(self, other: object) -> Vector:
        return self + (-other if isinstance(other, Vector) else other)  # a scalar is refused there

    def __rsub__(self, other: object) -> Vector:
        return -self + other

    def __mul__(self, other: object) -> Vector:
        if isinstance(other, Vector):
            raise WrongType(
                f"the product of the vectors {self} and {other} has no meaning; "
                "use inner, hadamard, outer or apply."
            )
        return self._scaled(as_scalar(other))

    def _scaled(self, scale: sp.Expr) -> Vector:
        return Vector.of((a, c * scale) for a, c in self.terms.items())

    __rmul__ = __mul__

    def __truediv__(self, other: object) -> Vector:
        if isinstance(other, Vector):
            raise WrongType(f"cannot divide by the vector {other}; use elementwise.")
        scale = as_scalar(other)
        if scale == 0:
            raise DividedByZero(f"cannot divide the vector {self} by zero.")
        return self._scaled(1 / scale)

    def __rtruediv__(self, other: object) -> Vector:
        raise WrongType(f"cannot divide by the vector {self}; use elementwise.")

    def __pow__(self, other: object) -> Vector:
        raise WrongType(
            f"the vector {self} has no powers and is no exponent; use elementwise, hadamard or inner."
        )

    __rpow__ = __pow__

    def __matmul__(self, other: object) -> Vector:
        raise WrongType(
            f"@ has no meaning for the vector {self}; use apply for a matrix, inner for a scalar."
        )

    __rmatmul__ = __matmul__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vector) and self.terms == other.terms

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self.terms.items()))
        return self._hash

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __str__(self) -> str:
        return PRINTED["text"](self)

    __repr__ = __str__

    def _latex(self, printer: Any) -> str:
        return PRINTED["latex"](self)

    def _repr_latex_(self) -> str:
        return f"${self._latex(None)}$"

    def canonical(self) -> Vector:
        """The same vector with canonical coefficients; zero terms vanish."""
        made: Vector = rewriting(_canonical)(self)
        return made

    @property
    def free_symbols(self) -> set[sp.Symbol | VectorSymbol]:
        """Every scalar and vector symbol in it, those inside oracle calls included."""
        return {s for a, c in self.terms.items() for s in scalar_symbols(c) | a.symbols()}

    def calls(self) -> set[Call]:
        """Every oracle call in it, nested ones included."""
        if isinstance(self, Atom):
            own: set[Call] = {self} if isinstance(self, Call) else set()
            return own.union(*(argument.calls() for argument in self.arguments))
        return {c for a, k in self.terms.items() for c in a.calls() | scalar_calls(k)}


Expr: TypeAlias = "Vector | sp.Expr"


class Atom(Vector):
    """A vector that is not a combination of others; final subclasses define its kind and its parts."""

    __slots__ = ("key", "solving")
    made_of: ClassVar[tuple[str, ...]] = ()  # the arguments of the constructor
    key: tuple[Any, ...]  # identity and order
    arguments: tuple[Vector, ...] = ()
    operates: ClassVar[bool] = False  # whether it can be applied to a vector
    is_array: ClassVar[bool] = False  # whether it has rows and columns, though it is no operator
    averages: ClassVar[bool] = False  # whether it is a mean, with which linear maps commute
    solving: bool  # whether it is an inverse or has one in it

    def __init__(self, key: tuple[Any, ...]) -> None:
        self.key, self._hash = key, hash(key)
        self.terms = {self: sp.S.One}
        self.solving = any(a.solving for v in self.arguments for a in v.terms)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, n) for n in self.made_of)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Atom) and self.key == other.key)

    def __hash__(self) -> int:
        return self._hash or 0

    is_matrix = property(lambda self: self.operates or self.is_array)
    by_columns = property(lambda self: self.is_array)  # made of matrices, which act on columns

    def symbols(self) -> set[sp.Symbol | VectorSymbol]:
        return {s for argument in self.arguments for s in argument.free_symbols}

    def parts(self) -> tuple[Expr, ...]:
        """The vectors and scalars that it is made of."""
        return self.arguments

    def rebuild(self, change: Callable[[Any], Any]) -> Vector:
        """The atom with ``change`` applied to each of its parts."""
        return self

    def shown(self, show: Callable[[Any], str], as_latex: bool) -> str | None:
        """The atom in print, its parts by ``show``, where it has a notation of its own; else None."""
        return None

    def paired(self, other: Atom) -> sp.Expr | None:
        """The inner product with another atom where it has another form than those two; else None."""
        return None

    def applied(self, other: Atom) -> Vector | None:
        """The operator applied to an atom, where that has another form than those two; else None."""
        return None

    def transposed(self) -> Vector:
        """The transpose of an operator."""
        raise NotCarried(f"the transpose of {self} is not known.")

    def changed(self, change: Callable[[Any], Any]) -> Vector:
        """As `rebuild`, and itself where no part changes; what has inverses in it is written anew."""
        if not self.solving and all(change(part) is part for part in self.parts()):
            return self
        return self.rebuild(change)

    def canonical_atom(self, of: Callable[[Any], Any] | None = None) -> Atom:
        changed = self.changed(of or rewriting(_canonical))
        return changed if isinstance(changed, Atom) else self


def unchanged(e: Vector, made: Sequence[tuple[Vector, sp.Expr]]) -> bool:
    """Whether these are the terms of a vector, its parts themselves: equal roots may be searched for otherwise."""
    same: Any = lambda one, other: one is other or (one == other and not one.has(ScalarNode))
    pairs = zip(made, e.terms.items(), strict=False)
    return len(made) == len(e.terms) and all(v is a and same(c, k) for (v, c), (a, k) in pairs)


def _canonical(e: Any, of: Callable[[Any], Any]) -> Any:
    if not isinstance(e, Vector):
        return canonical(e)
    made = [(a.canonical_atom(of), of(c)) for a, c in e.terms.items()]
    return e if unchanged(e, made) else Vector.of(made)


OPERATORS = ("matrix", "symmetric")  # kinds of blocks


class VectorSymbol(Atom):
    """A block of the state, or a name for an intermediate vector; its kind is that of the block."""

    __slots__ = ("kind", "name")
    made_of: ClassVar[tuple[str, ...]] = ("name", "kind")

    def __init__(self, name: str, kind: str = "vector") -> None:
        self.name, self.kind = name, kind
        super().__init__((0, name, kind))

    operates = property(lambda self: self.kind in (*OPERATORS, "window"))
    is_array = property(lambda self: self.kind == "array")
    by_columns = property(lambda self: self.kind in (*OPERATORS, "array"))

    def symbols(self) -> set[sp.Symbol | VectorSymbol]:
        return {self}


def _key(v: Vector) -> tuple[Any, ...]:
    """An orderable key of a vector."""
    return tuple((a.key, _text(c)) for a, c in v.terms.items())


@functools.lru_cache(maxsize=2**14)
def _text(e: sp.Expr) -> str:
    """A scalar as text that differs for different scalars, those that are printed alike included."""
    told = {n: sp.Symbol(repr(n.content)) for n in e.atoms(ScalarNode)}
    told |= {s: told_apart(s) for s in e.atoms(sp.Symbol)}
    return str(e.xreplace(told))


class Call(Atom):
    """An oracle at a point, differentiated along directions: ``D^k F(point)[directions]``.

    ``parameters`` are scalar arguments of the oracle, such as the step of a prox.
    """

    __slots__ = ("arguments", "directions", "oracle", "parameters", "point")
    made_of = ("oracle", "point", "directions", "parameters")

    def __init__(
        self,
        oracle: Oracle,
        point: Vector,
        directions: tuple[Atom, ...] = (),
        parameters: tuple[sp.Expr, ...] = (),
    ) -> None:
        self.oracle, self.point, self.parameters = oracle, point, parameters
        self.directions = tuple(sorted(directions, key=lambda a: a.key))
        self.arguments = (point, *self.directions)
        function = (oracle.of, oracle.kind, oracle.slot, len(directions))
        along, given = tuple(d.key for d in self.directions), tuple(_text(p) for p in parameters)
        super().__init__((1, *function, _key(point), along, given))

    @property
    def is_array(self) -> bool:  # type: ignore[override]
        """Whether it is the gradient of a function of a matrix, or another field there."""
        at = by_slot(self.point).get(self.oracle.slot)
        return bool(self.oracle.form.field and at and all(a.operates for a in at.terms))

    def symbols(self) -> set[sp.Symbol | VectorSymbol]:
        return super().symbols().union(*map(scalar_symbols, self.parameters))

    def parts(self) -> tuple[Expr, ...]:
        return (*self.arguments, *self.parameters)

    def rebuild(self, change: Callable[[Any], Any]) -> Vector:
        given = tuple(map(change, self.parameters))
        return call(self.oracle, change(self.point), map(change, self.directions), given)

    def paired(self, other: Atom) -> sp.Expr | None:
        """<H u, v> = <u, H v>, and D^k F(x)[...] of a gradient is symmetric in all its slots; <J^T l, u> = <l, J u>."""
        oracle, form = self.oracle, self.oracle.form
        has_adjoints, paired = PAIRED[0]
        if has_adjoints(self) or has_adjoints(other):
            return paired(self, other)
        if not self.directions or not form.self_adjoint:
            return None
        (own,) = in_slot(oracle.slot, other).terms
        *before, last = sorted([*self.directions, own], key=lambda atom: atom.key)
        if last == own:
            return None
        slot, left = (last.slot, last.value) if isinstance(last, Argument) else ("", last)
        moved = call(oracle.other(oracle.kind, slot), self.point, before, self.parameters)
        return inner(moved, left)


COVECTOR = "*"  # the slot of what the adjoint of a map's derivative is applied to


class Argument(Atom):
    """A vector in one argument of a function of several; their sum is the point of a call.

    They are a direct sum: the point is x in its slot plus y in its own, and a direction is a vector in the slot along
    which it goes.
    """

    __slots__ = ("arguments", "slot", "value")
    made_of = ("slot", "value")

    def __init__(self, slot: str, value: Atom) -> None:
        self.slot, self.value, self.arguments = slot, value, (value,)
        super().__init__((4, slot, value.key))

    def rebuild(self, change: Callable[[Any], Any]) -> Vector:
        return in_slot(self.slot, change(self.value))


def in_slot(slot: str, value: Vector) -> Vector:
    """A vector in a slot, term by term; a function of one argument has none."""
    return _multilinear(lambda atoms: Argument(slot, *atoms), (value,)) if slot else value


def by_slot(point: Vector) -> dict[str, Vector]:
    """The vectors of a point or a direction by slot; "" is that of a function of one argument."""
    found: dict[str, list[tuple[Atom, sp.Expr]]] = {}
    for a, c in point.terms.items():
        slot, value = (a.slot, a.value) if isinstance(a, Argument) else ("", a)
        found.setdefault(slot, []).append((value, c))
    return {slot: Vector.of(terms) for slot, terms in found.items()}


def call(
    oracle: Oracle,
    point: Vector,
    directions: Iterable[Vector] = (),
    parameters: tuple[sp.Expr, ...] = (),
) -> Vector:
    """``D^k F(point)[directions]``, multilinear in the directions.

    Args:
        oracle: kind and objective, F.
        point: where it is evaluated.
        directions: k vectors; none calls F itself.
        parameters: scalar arguments of the oracle, such as the step of a prox.

    Returns:
        a vector, expanded over the terms of each direction.
    """
    directions = tuple(directions)
    _check_vectors(oracle.name, point, *directions)
    return _multilinear(lambda atoms: Call(oracle, point, atoms, parameters), directions)


def _check_vectors(what: str, *arguments: object) -> None:
    for a in arguments:
        if not isinstance(a, Vector):
            raise WrongType(f"{what} takes vectors, not {a!r}.")


def _multilinear(
    build: Callable[[tuple[Atom, ...]], Atom], arguments: tuple[Vector, ...]
) -> Vector:
    expanded: list[tuple[tuple[Atom, ...], sp.Expr]] = [((), sp.S.One)]
    for argument in arguments:
        expanded = [
            ((*atoms, a), c * k) for atoms, c in expanded for a, k in argument.terms.items()
        ]
    made = ((build(atoms), c) for atoms, c in expanded)
    for rule in NORMAL:
        rewritten = [(rule(a) if a.solving else a, c) for a, c in made]
        made = ((a, c * k) for v, c in rewritten for a, k in v.terms.items())
    return Vector.of(made)


class ScalarNode(sp.AtomicExpr):
    """A scalar made of vectors: ``inner`` (two atoms) or the value of an oracle at a point."""

    kind: str
    oracle: Oracle | None
    arguments: tuple[Vector, ...]
    content: tuple[str, ...]
    squared: bool  # whether it is <u, u>, which is not negative
    averages: ClassVar[bool] = False
    is_commutative = True
    is_real = True

    def __new__(
        cls, kind: str, arguments: tuple[Vector, ...], oracle: Oracle | None = None
    ) -> ScalarNode:
        node: ScalarNode = sp.AtomicExpr.__new__(cls)
        node.kind, node.arguments, node.oracle = kind, arguments, oracle
        node.squared = kind == "inner" and arguments[0] == arguments[1]
        node.content = (kind, oracle.name if oracle else "", *(repr(_key(a)) for a in arguments))
        return node

    @property
    def precedence(self) -> int:
        """The precedence in print: a squared norm is a power already, and needs parentheses in another."""
        return int(PRECEDENCE["Pow" if self.squared else "Atom"])

    def _hashable_content(self) -> tuple[str, ...]:
        return self.content  # strings, because SymPy orders by it

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (self.kind, self.arguments, self.oracle)

    def shown(self, show: Callable[[Any], str], as_latex: bool) -> str | None:
        """The scalar in print, its parts by ``show``, where it has a notation of its own; else None."""
        return None

    def symbols(self) -> set[Any]:
        """Every symbol of its vectors."""
        return {s for argument in self.arguments for s in argument.free_symbols}

    def calls(self) -> set[Call]:
        """Every oracle call inside its vectors."""
        return {c for argument in self.arguments for c in argument.calls()}

    def rebuild(self, change: Callable[[Any], Any]) -> sp.Expr:
        arguments = tuple(change(a) for a in self.arguments)
        value = self.kind != "inner"
        return ScalarNode("value", arguments, self.oracle) if value else inner(*arguments)

    def _sympystr(self, printer: Any) -> str:
        return PRINTED["text"](self)

    def _latex(self, printer: Any) -> str:
        return PRINTED["latex"](self)


def inner(left: Vector, right: Vector) -> sp.Expr:
    """The inner product, a scalar; self-adjoint Hessians move to a canonical side."""
    _check_vectors("inner", left, right)
    terms = ((a, b, c * k) for a, c in left.terms.items() for b, k in right.terms.items())
    return sp.Add(*[c * _inner(a, b) for a, b, c in terms])


def _inner(a: Atom, b: Atom) -> sp.Expr:
    for one, other in ((a, b), (b, a)):
        if (moved := one.paired(other)) is not None:
            return moved
    return ScalarNode("inner", (a, b) if a.key <= b.key else (b, a))


def scalar_symbols(e: sp.Expr) -> set[sp.Symbol | VectorSymbol]:
    """Every scalar and vector symbol of a scalar, those inside its vector nodes included."""
    return set(_scalar_symbols(e))


@functools.lru_cache(maxsize=1 << 15)  # the same coefficients are asked again and again
def _scalar_symbols(e: sp.Expr) -> frozenset[sp.Symbol | VectorSymbol]:
    return frozenset(e.free_symbols).union(*(node.symbols() for node in nodes_of(e, ScalarNode)))


def scalar_calls(e: sp.Expr) -> set[Call]:
    """Every oracle call inside the vector nodes of a scalar."""
    return {c for node in nodes_of(e, ScalarNode) for c in node.calls()}


zero = Vector({})
