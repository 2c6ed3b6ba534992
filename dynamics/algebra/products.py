"""Functions of components, and typed products of vectors: element-wise, outer, a matrix applied to a vector."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import NotCarried, WrongType
from ..._support.rendering.brief import short
from .scalars import as_scalar
from .vectors import (
    Atom,
    Call,
    Expr,
    Vector,
    VectorSymbol,
    _check_vectors,
    _key,
    _multilinear,
    _text,
    inner,
    scalar_symbols,
    zero,
)


class Elementwise(Atom):
    """A scalar function applied to each component: ``body`` in the slots ``_1, _2, ...`` of its arguments."""

    __slots__ = ("arguments", "body")
    made_of = ("body", "arguments")
    arguments: tuple[Vector, ...]

    def __init__(self, body: sp.Expr, arguments: tuple[Vector, ...]) -> None:
        self.body, self.arguments = body, arguments
        super().__init__((3, _text(body), tuple(_key(v) for v in arguments)))

    def symbols(self) -> set[sp.Symbol | VectorSymbol]:
        return super().symbols() | (scalar_symbols(self.body) - set(slots(len(self.arguments))))

    def parts(self) -> tuple[Expr, ...]:
        return (self.body, *self.arguments)

    @property
    def is_array(self) -> bool:  # type: ignore[override]
        return any(a.is_matrix for v in self.arguments for a in v.terms)

    def transposed(self) -> Vector:
        if not self.is_array:
            return super().transposed()
        return _elementwise(self.body, tuple(map(transpose, self.arguments)))

    def rebuild(self, change: Callable[[Any], Any]) -> Vector:
        return _elementwise(change(self.body), tuple(change(a) for a in self.arguments))

    def canonical_atom(self, of: Callable[[Any], Any] | None = None) -> Atom:
        # the body stays as it was written: a cancelled fraction of roots is longer, not simpler
        return Elementwise(self.body, tuple(map(of or Vector.canonical, self.arguments)))


def slots(n: int) -> tuple[sp.Symbol, ...]:
    """The placeholders of an elementwise function's arguments."""
    return tuple(sp.Symbol(f"_{i + 1}", real=True) for i in range(n))


def _elementwise(body: sp.Expr, arguments: tuple[Vector, ...]) -> Vector:
    places = slots(len(arguments))
    scale, rest = body.as_independent(*places, as_Add=False)
    if rest in places:
        alone: Vector = arguments[places.index(rest)] * scale
        return alone
    if rest.is_Add and body.is_Mul:
        linear = [sp.diff(body, s) for s in places]
        through_zero = rest.xreplace(dict.fromkeys(places, sp.S.Zero)) == 0
        if through_zero and not any(c.free_symbols & {*places} for c in linear):
            scaled = [v * c for v, c in zip(arguments, linear, strict=True) if c != 0]
            total: Vector = sum(scaled[1:], scaled[0])
            return total
    return Vector.of([(Elementwise(body, arguments), sp.S.One)]) if body != 0 else zero


def elementwise(function: Callable[..., object], *arguments: Vector) -> Vector:
    """``function`` of each component: ``elementwise(lambda m, v: m / (sp.sqrt(v) + eps), m, v)``."""
    _check_vectors("elementwise", *arguments)
    if not callable(function):
        raise WrongType(
            f"elementwise takes a function of each component first, not {short(function)}."
        )
    try:
        made = function(*slots(len(arguments)))
    except (TypeError, AttributeError) as error:  # of NumPy, which asks a symbol for its own exp
        if isinstance(error, WrongType):
            raise
        raise WrongType(
            f"the function of elementwise must take SymPy's symbols, as sympy.exp does, not NumPy's: {error}."
        ) from error
    return _elementwise(as_scalar(made), arguments)


def factors_of(a: Atom) -> list[Atom]:
    """The factors of an element-wise product; of anything else the atom itself."""
    if isinstance(a, Product) and a.kind == "hadamard":
        return [*factors_of(a.left), *factors_of(a.right)]
    return [a]


class Product(Atom):
    """A bilinear product of two atoms: hadamard (its factors in one order, whatever the brackets), outer or apply."""

    __slots__ = ("arguments", "kind", "left", "right")
    made_of = ("kind", "left", "right")

    def __init__(self, kind: str, left: Atom, right: Atom) -> None:
        if kind == "hadamard":
            left, *others = sorted([*factors_of(left), *factors_of(right)], key=lambda a: a.key)
            right = functools.reduce(lambda inside, a: Product(kind, a, inside), reversed(others))
        self.kind, self.left, self.right = kind, left, right
        self.arguments = (left, right)
        super().__init__((2, kind, left.key, right.key))

    @property
    def operates(self) -> bool:  # type: ignore[override]
        if self.kind == "apply":
            return self.right.operates
        return self.kind == "outer" or (self.left.operates and self.right.operates)

    @property
    def is_array(self) -> bool:  # type: ignore[override]
        if self.kind == "hadamard" and not self.operates:
            return any(a.is_matrix for a in (self.left, self.right))
        return self.kind == "apply" and self.right.is_array

    @property
    def by_columns(self) -> bool:
        return self.kind == "outer" or (self.left.by_columns and self.right.by_columns)

    def rebuild(self, change: Callable[[Any], Any]) -> Vector:
        return _product(self.kind, change(self.left), change(self.right))

    def applied(self, other: Atom) -> Vector | None:
        """(u v^T) w = u <v, w>, and products associate to the right."""
        if self.kind == "outer":
            if other.is_matrix:
                return outer(self.left, apply(transpose(other), self.right))
            contracted: Vector = self.left * inner(self.right, other)
            return contracted
        if self.kind == "apply":
            return apply(self.left, apply(self.right, other))
        return None

    def transposed(self) -> Vector:
        if self.kind == "outer":
            return outer(self.right, self.left)
        if self.kind == "apply" and self.right.is_array and not self.left.by_columns:
            raise NotCarried(f"the transpose of {self} is not known.")
        one, other = transpose(self.left), transpose(self.right)
        return apply(other, one) if self.kind == "apply" else hadamard(one, other)

    def paired(self, other: Atom) -> sp.Expr | None:
        """<A u, v> = <u, A^T v>, <u v^T, A> = <u, A v>, and <a * b, c> = <a, b * c> element by element."""
        if self.kind == "outer" and other.is_matrix:
            return inner(self.left, apply(other, self.right))
        if isinstance(other, Identity) and self.kind == "apply":
            return _turned(self)
        if self.operates or other.operates:
            return None
        return _balanced(self, other) if self.kind == "apply" else _shared(self, other)


def _product(kind: str, left: Vector, right: Vector) -> Vector:
    _check_vectors(kind, left, right)
    if kind == "outer":
        return _multilinear(lambda atoms: Product(kind, *atoms), (left, right))
    of = _applied if kind == "apply" else _element_by_element
    made = ((of(a, b), c * k) for a, c in left.terms.items() for b, k in right.terms.items())
    return Vector.of((t, c * k) for v, c in made for t, k in v.terms.items())


def _element_by_element(a: Atom, b: Atom) -> Vector:
    """The element-wise product; a vector of equal components only scales, as that of ones, the diagonal of 1."""
    for one, other in ((a, b), (b, a)):
        if isinstance(one, Unary) and one.kind == "entries" and one.argument == identity:
            return other
        constant = isinstance(one, Elementwise) and not one.body.has(*slots(len(one.arguments)))
        if constant and isinstance(one, Elementwise):
            scaled: Vector = other * one.body
            return scaled
    return _multilinear(lambda atoms: Product("hadamard", *atoms), (a, b))


def _applied(a: Atom, b: Atom) -> Vector:
    """An operator applied to an atom, or to another operator: their product."""
    if (found := a.applied(b)) is not None:
        return found
    if isinstance(b, Identity):
        return a
    if isinstance(b, Product) and b.kind == "outer":
        return outer(apply(a, b.left), b.right)
    return _multilinear(lambda atoms: Product("apply", *atoms), (a, b))


def _word(a: Vector) -> tuple[list[Atom], Atom]:
    """The operators that stand before a vector, and the vector."""
    found: list[Atom] = []
    while isinstance(a, Product) and a.kind == "apply":
        found.append(a.left)
        a = a.right
    assert isinstance(a, Atom)
    return found, a


def _balanced(a: Atom, b: Atom) -> sp.Expr | None:
    """<A u, B v> with all operators before the one of u and v that comes last."""
    (one, u), (other, v) = _word(a), _word(b)
    try:
        before_v = [t for op in one for t in transpose(op).terms][: len(one)]
        before_u = [t for op in other for t in transpose(op).terms][: len(other)]
        if len(before_v) < len(one) or len(before_u) < len(other):
            return None
    except NotCarried:
        return None
    ways = [
        (u.key, tuple(o.key for o in [*reversed(before_v), *other]), v.key),
        (v.key, tuple(o.key for o in [*reversed(before_u), *one]), u.key),
    ]
    if ways[0] <= ways[1]:
        fixed, moved = u, _before([*reversed(before_v), *other], v)
    else:
        fixed, moved = v, _before([*reversed(before_u), *one], u)
    if {a, b} == {fixed, moved}:
        return None
    return inner(fixed, moved)


def _turned(a: Product) -> sp.Expr | None:
    """The trace of a product with the first of its factors, or of their transposes, in front."""
    word = letters(a)
    try:
        back = [t for op in reversed(word) for t in transpose(op).terms.items()]
    except NotCarried:
        back = []
    ways = [word]
    if len(back) == len(word) and all(c == 1 for _, c in back):
        ways.append(tuple(t for t, _ in back))
    turns = [w[i:] + w[:i] for w in ways for i in range(len(w))]
    first = min(turns, key=lambda w: tuple(op.key for op in w))
    return None if first == word else inner(identity, _before(list(first[:-1]), first[-1]))


def _before(word: list[Atom], v: Vector) -> Vector:
    for op in reversed(word):
        v = apply(op, v)
    return v


def _shared(a: Atom, b: Atom) -> sp.Expr | None:
    """<a * b, c> with the first of all factors alone on one side."""
    first, *others = sorted([*factors_of(a), *factors_of(b)], key=lambda f: f.key)
    rest = functools.reduce(lambda inside, f: Product("hadamard", f, inside), reversed(others))
    return None if {a, b} == {first, rest} else inner(first, rest)


def _transposed(a: Atom) -> Vector:
    if isinstance(a, VectorSymbol) and a.operates:
        return a if a.kind == "symmetric" else Unary("transpose", a)
    named = isinstance(a, (Call, VectorSymbol)) and a.is_array
    return Unary("transpose", a) if named else a.transposed()


def transpose(operator: Vector) -> Vector:
    """The transpose of an operator; of a symmetric one, itself."""
    _check_vectors("transpose", operator)
    made = [(_transposed(a), c) for a, c in operator.terms.items()]
    return Vector.of((t, c * k) for v, c in made for t, k in v.terms.items())


def hadamard(left: Vector, right: Vector) -> Vector:
    """The element-wise product."""
    return _product("hadamard", left, right)


def outer(left: Vector, right: Vector) -> Vector:
    """The matrix ``left right^T``."""
    return _product("outer", left, right)


def apply(matrix: Vector, vector: Vector) -> Vector:
    """The operator applied to the vector; of two operators, their product."""
    return _product("apply", matrix, vector)


class Unary(Atom):
    """What is linear in one operator or vector: its transpose, the operator of a diagonal, or the diagonal of one."""

    __slots__ = ("argument", "arguments", "kind")
    made_of = ("kind", "argument")

    def __init__(self, kind: str, argument: Atom) -> None:
        self.kind, self.argument, self.arguments = kind, argument, (argument,)
        super().__init__((5, kind, argument.key))

    @property
    def operates(self) -> bool:  # type: ignore[override]
        return self.kind != "entries"

    @property
    def by_columns(self) -> bool:
        return self.kind == "diagonal" or (self.kind == "transpose" and self.argument.by_columns)

    def rebuild(self, change: Callable[[Any], Any]) -> Vector:
        argument = change(self.argument)
        return UNARY[self.kind](argument) if argument else zero

    def applied(self, other: Atom) -> Vector | None:
        if self.kind != "diagonal":
            return None
        if not other.is_matrix:
            return hadamard(self.argument, other)
        if isinstance(other, Unary) and other.kind == "diagonal":
            return UNARY[self.kind](hadamard(self.argument, other.argument))
        return None

    def transposed(self) -> Vector:
        return self.argument if self.kind == "transpose" else self


UNARY: dict[str, Callable[[Vector], Vector]] = {
    "transpose": transpose
}  # by kind, filled where they are made


class Identity(Atom):
    """The identity, of any space."""

    __slots__ = ()
    operates = True
    by_columns = property(lambda self: True)

    def __init__(self) -> None:
        super().__init__((5, "identity"))

    def applied(self, other: Atom) -> Vector:
        return other

    def transposed(self) -> Vector:
        return self

    def own_derivative(self, direction: Mapping[Any, Expr]) -> Vector:
        return zero


identity = Identity()


class Kronecker(Atom):
    """The operator X -> left X right^T."""

    __slots__ = ("arguments", "left", "right")
    made_of = ("left", "right")
    operates = True

    def __init__(self, left: Atom, right: Atom) -> None:
        self.left, self.right, self.arguments = left, right, (left, right)
        super().__init__((8, "kronecker", left.key, right.key))

    def rebuild(self, change: Callable[[Any], Any]) -> Vector:
        return kronecker_product(change(self.left), change(self.right))

    def applied(self, other: Atom) -> Vector | None:
        """(A x B) (C x D) = A C x B D, and so in front of a vector."""
        if isinstance(other, Kronecker):
            return kronecker_product(apply(self.left, other.left), apply(self.right, other.right))
        inside = other.left if isinstance(other, Product) and other.kind == "apply" else None
        if isinstance(inside, Kronecker) and isinstance(other, Product):
            return apply(apply(self, inside), other.right)
        return None

    def transposed(self) -> Vector:
        return kronecker_product(transpose(self.left), transpose(self.right))

    def inverted(self, inverse: Callable[[Vector], Vector]) -> Vector:
        """The inverse, from those of the factors."""
        return kronecker_product(inverse(self.left), inverse(self.right))


def kronecker_product(left: Vector, right: Vector) -> Vector:
    """The Kronecker product of two operators, multilinear in them."""

    def of(atoms: tuple[Atom, ...]) -> Atom:
        plain = all(isinstance(a, Identity) for a in atoms)
        return identity if plain else Kronecker(*atoms)

    return _multilinear(of, (left, right))


@checked
def kronecker(left: Vector, right: Vector) -> Vector:
    """The operator X -> left X right^T on arrays of two axes, such as the weights of a layer.

    Args:
        left: an operator on the columns of X.
        right: an operator on its rows.

    Returns:
        an operator, whose products, transposes and solves are those of its factors.

    Raises:
        WrongType: one of them is no operator.
    """
    for side in (left, right):
        if not side.terms or not all(a.is_matrix for a in side.terms):
            raise WrongType(f"kronecker takes two operators, which {side} is not one of.")
    return kronecker_product(left, right)


class Inclusion(Atom):
    """The operator that puts a vector into one part of a direct sum of spaces."""

    __slots__ = ("slot",)
    made_of = ("slot",)
    operates = True

    def __init__(self, slot: str) -> None:
        self.slot = slot
        super().__init__((8, "place", slot))

    def transposed(self) -> Vector:
        return Part(self.slot)

    def own_derivative(self, direction: Mapping[Any, Expr]) -> Vector:
        return zero


class Part(Atom):
    """The operator that reads one part of a vector of a direct sum."""

    __slots__ = ("slot",)
    made_of = ("slot",)
    operates = True

    def __init__(self, slot: str) -> None:
        self.slot = slot
        super().__init__((8, "part", slot))

    def applied(self, other: Atom) -> Vector | None:
        """The part that was put there; another one is zero."""
        if isinstance(other, Inclusion):
            return identity if other.slot == self.slot else zero
        if (
            isinstance(other, Product)
            and other.kind == "apply"
            and isinstance(other.left, Inclusion)
        ):
            return other.right if other.left.slot == self.slot else zero
        return None

    def transposed(self) -> Vector:
        return Inclusion(self.slot)

    def own_derivative(self, direction: Mapping[Any, Expr]) -> Vector:
        return zero


def letters(a: Atom) -> tuple[Atom, ...]:
    """The word of operators that an operator is."""
    if isinstance(a, Product) and a.kind == "apply" and a.right.operates:
        return (*letters(a.left), *letters(a.right))
    return () if isinstance(a, Identity) else (a,)


def slots_of(operator: Vector) -> tuple[list[str], list[str]]:
    """The names of the rows and of the columns of an operator by blocks; of any other there are none."""
    rows, columns = set(), set()
    for a in operator.terms:
        first, last = _ends(a)
        rows |= {first.slot} if isinstance(first, Inclusion) else set()
        columns |= {last.slot} if isinstance(last, Part) else set()
    return sorted(rows), sorted(columns)


def _ends(a: Atom) -> tuple[Vector, Vector]:
    """The first and the last operator of a word; those of an outer product stand before its vectors."""
    if isinstance(a, Product) and a.kind == "outer":
        (left, _), (right, _) = (_ends(v) for v in (a.left, a.right))
        return left, transpose(right) if isinstance(right, Inclusion) else right
    word = letters(a)
    if isinstance(a, Product) and not a.operates:
        return a.left, a
    return (word[0], word[-1]) if word else (a, a)
