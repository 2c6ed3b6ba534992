"""Linear operators: identity, transposes, derivatives, diagonals and solves, with products in one normal form.

An operator is a vector whose atoms can be applied: it is added and scaled as one, and `apply` is both its value at a
vector and the product of two. A product is a word of operators, associated to the right. A solve is the word of an
inverse, and the defining equation M M^-1 = 1 is a rewriting of words: the leading word T of M = c T + R, in front of
M^-1, is (1 - R M^-1)/c. So the terms of M M^-1 b add up to b also where each was expanded by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import DividedByZero, NotCarried, OdescentError, WrongType, check_choice
from .calculus import derivative, tidy, vanishes
from .oracles import Oracle
from .products import (
    UNARY,
    Inclusion,
    Kronecker,
    Part,
    Product,
    Unary,
    _elementwise,
    apply,
    hadamard,
    identity,
    letters,
    outer,
    slots,
    slots_of,
    transpose,
)
from .scalars import as_scalar
from .vectors import (
    COVECTOR,
    NORMAL,
    Argument,
    Atom,
    Call,
    Expr,
    Vector,
    VectorSymbol,
    _check_vectors,
    _key,
    _multilinear,
    _text,
    call,
    in_slot,
    inner,
    scalar_symbols,
    zero,
)
from .windows import gram_of

_RANK = (
    3  # up to this many outer products beside a multiple of the identity, an inverse is written out
)


class OracleDerivative(Atom):
    """The derivative of an oracle as an operator: a call with one direction left open.

    Args:
        oracle: what is differentiated.
        point: where.
        directions: the other directions.
        hole: the slot of the open direction.
        parameters: scalar arguments of the oracle.
    """

    __slots__ = ("arguments", "directions", "hole", "oracle", "parameters", "point")
    made_of = ("oracle", "point", "directions", "hole", "parameters")
    operates = True

    def __init__(
        self,
        oracle: Oracle,
        point: Vector,
        directions: tuple[Atom, ...] = (),
        hole: str = "",
        parameters: tuple[sp.Expr, ...] = (),
    ) -> None:
        self.oracle, self.point, self.hole, self.parameters = oracle, point, hole, parameters
        self.directions = tuple(sorted(directions, key=lambda a: a.key))
        self.arguments = (point, *self.directions)
        along = tuple(d.key for d in self.directions)
        function = (oracle.of, oracle.kind, oracle.slot, hole, len(directions))
        super().__init__(
            (6, *function, _key(point), along, tuple(_text(p) for p in parameters)),
        )

    def symbols(self) -> set[sp.Symbol | VectorSymbol]:
        return super().symbols() | {s for p in self.parameters for s in scalar_symbols(p)}

    def parts(self) -> tuple[Expr, ...]:
        return (*self.arguments, *self.parameters)

    def along(self, other: Vector) -> Vector:
        """Its value at a vector: the call with that direction."""
        directions = [*self.directions, in_slot(self.hole, other)]
        return call(self.oracle, self.point, directions, self.parameters)

    def calls(self) -> set[Call]:
        return self.along(VectorSymbol("direction")).calls()

    def rebuild(self, change: Callable[[Any], Any]) -> Vector:
        given = tuple(change(p) for p in self.parameters)
        return jacobian(
            self.oracle, change(self.point), tuple(map(change, self.directions)), self.hole, given
        )

    def own_derivative(self, direction: Mapping[Any, Expr]) -> Vector:
        if any(derivative(p, direction) != 0 for p in self.parameters):
            raise NotCarried(f"the derivative of {self} in its parameters is not known.")
        moved = derivative(self.point, direction)
        lists = [(*self.directions, moved)]
        for i, d in enumerate(self.directions):
            lists.append(
                (*self.directions[:i], derivative(d, direction), *self.directions[i + 1 :])
            )
        made = (jacobian(self.oracle, self.point, l, self.hole, self.parameters) for l in lists)
        return sum(made, zero)

    def applied(self, other: Atom) -> Vector | None:
        if other.operates:
            return None
        return self.along(other)

    def transposed(self) -> Vector:
        oracle, hole = self.oracle, self.hole
        if oracle.kind == "vjp" and hole == COVECTOR:
            kept, left = oracle.other(oracle.form.adjoint), oracle.slot
        elif oracle.kind == "vjp" or oracle.form.self_adjoint:
            kept, left = oracle.other(oracle.kind, hole), oracle.slot
        elif oracle.form.adjoint:
            kept, left = oracle.other(oracle.form.adjoint, hole), COVECTOR
        else:
            raise NotCarried(
                f"the adjoint of the derivative of {oracle.text} is not known: a map with one is od.Map."
            )
        return OracleDerivative(kept, self.point, self.directions, left, self.parameters)


class Inverse(Atom):
    """The inverse of an operator; applied to b, the solution of M x = b.

    Args:
        argument: the operator.
        method: how numbers are found, a key of `solves.ROUTES`; by the operator's structure where it is empty.
        tolerance: of an iteration, for the residual relative to b; None for the default.

    Inverses of one operator are equal, however their numbers are found.
    """

    __slots__ = ("arguments", "method", "tolerance")
    made_of = ("argument", "method", "tolerance")
    operates = True
    by_columns = property(lambda self: all(a.by_columns for a in self.argument.terms))

    def __init__(
        self, argument: Vector, method: str = "", tolerance: sp.Expr | None = None
    ) -> None:
        self.arguments, self.method, self.tolerance = (argument,), method, tolerance
        super().__init__((7, _key(argument)))
        self.solving = True

    def symbols(self) -> set[sp.Symbol | VectorSymbol]:
        given = set() if self.tolerance is None else scalar_symbols(self.tolerance)
        return super().symbols() | given

    @property
    def argument(self) -> Vector:
        return self.arguments[0]

    def rebuild(self, change: Callable[[Any], Any]) -> Vector:
        tolerance = None if self.tolerance is None else change(self.tolerance)
        return inverse(change(self.argument), self.method, tolerance)

    def own_derivative(self, direction: Mapping[Any, Expr]) -> Vector:
        return -apply(self, apply(derivative(self.argument, direction), self))

    def transposed(self) -> Vector:
        return inverse(transpose(self.argument), self.method, self.tolerance)


def jacobian(
    oracle: Oracle,
    point: Vector,
    directions: tuple[Vector, ...] = (),
    hole: str = "",
    parameters: tuple[sp.Expr, ...] = (),
) -> Vector:
    """The derivative of an oracle as an operator, multilinear in its other directions; see `OracleDerivative`.

    Args:
        oracle: what is differentiated.
        point: where.
        directions: along which it is differentiated besides.
        hole: the slot of the open direction; "" for a function of one argument.
        parameters: scalar arguments of the oracle.

    Returns:
        an operator.
    """
    return _multilinear(lambda a: OracleDerivative(oracle, point, a, hole, parameters), directions)


def as_operator(e: Call, along: VectorSymbol) -> Vector:
    """The operator whose value along a symbol is a call, for a symbol that is one of its directions.

    Raises:
        OdescentError: it is none of them, or enters elsewhere too.
    """
    for i, d in enumerate(e.directions):
        hole, inside = (d.slot, d.value) if isinstance(d, Argument) else ("", d)
        others = (*e.directions[:i], *e.directions[i + 1 :])
        if inside == along:
            made = OracleDerivative(e.oracle, e.point, others, hole, e.parameters)
            if along not in made.symbols():
                return made
    raise OdescentError("the direction that is left open must be one of the directions, once.")


@checked
def diagonal_operator(v: Vector) -> Vector:
    """The operator that multiplies element by element by ``v``."""
    _check_vectors("diagonal_operator", v)
    total = zero
    for a, c in v.terms.items():
        whole = isinstance(a, Unary) and a.kind == "entries" and a.argument == identity
        total = total + (identity if whole else Unary("diagonal", a)) * c
    return total


@checked
def diagonal(operator: Vector) -> Vector:
    """The diagonal of an operator, as a vector."""
    check_operator("diagonal", operator)
    total = zero
    for a, c in operator.terms.items():
        total = total + _entries(a) * c
    return total


def _entries(a: Atom) -> Vector:
    if isinstance(a, Unary) and a.kind == "diagonal":
        return a.argument
    if isinstance(a, Unary) and a.kind == "transpose":
        return diagonal(a.argument)
    if isinstance(a, Product) and a.kind == "outer":
        return hadamard(a.left, a.right)
    return Unary("entries", a)


@checked
def trace(operator: Vector) -> sp.Expr:
    """The trace of an operator: its inner product with the identity."""
    check_operator("trace", operator)
    return inner(identity, operator)


def check_operator(what: str, *operators: Any) -> None:
    """Refuse, as WrongType, what is no operator."""
    _check_vectors(what, *operators)
    for v in operators:
        if not v.terms or not all(a.is_matrix for a in v.terms):
            raise WrongType(
                f"{what} takes an operator, which {v} is not: matrices, Hessians, Jacobians and their products are."
            )


def check_symmetric(block: Any, e: Any, what: str = "its rate or its start") -> None:
    """Refuse what a block that is declared symmetric is set to, or moves by, if it is not proved symmetric.

    Args:
        block: a symbol.
        e: the rate, or the value.
        what: how a message calls it.

    Raises:
        OdescentError: it is not symmetric.
    """
    if not isinstance(block, VectorSymbol) or block.kind != "symmetric":
        return
    try:
        if vanishes(transpose(e) - e):
            return
    except NotCarried:
        pass
    raise OdescentError(
        f"the block {block} is declared symmetric, and {what} {e} is not proved to be: declare it a matrix."
    )


UNARY |= {"diagonal": diagonal_operator, "entries": diagonal}


METHODS = ("diagonal", "woodbury", "cholesky", "lu", "cg", "minres", "gmres")


@checked
def linear_solve(
    operator: Vector, b: Vector, *, method: str = "", tolerance: object = None
) -> Vector:
    """The solution of ``operator x = b``, for an operator that is invertible.

    Args:
        operator: of a space into itself: a sum of matrices, Hessians, Jacobians, outer products, diagonals, multiples
            of `identity` and of their products and inverses.
        b: a vector, or an operator, for which it is solved column by column.
        method: how numbers are found: "diagonal", "woodbury", "cholesky", "lu", "cg", "minres" or "gmres"; by the
            operator's structure if it is not said. It does not change what the solution is.
        tolerance: of "cg", "minres" and "gmres", for |b - operator x| / |b|: a number, or a symbol that becomes a
            parameter; 1e-12 by default, and in no case less than rounding allows.

    Returns:
        a vector, or an operator. It is differentiable to any order; diagonals and few outer products beside a multiple
        of the identity (Sherman, Morrison, Woodbury) are written out.

    Raises:
        WrongType: the first is no operator.
        DividedByZero: it is zero.
        OdescentError: a method that is none, or a tolerance that is not positive. A system refuses a method that the
            operator's structure does not allow.
    """
    if method:
        check_choice("method of a solve called", method, METHODS)
    bound = None if tolerance is None else as_scalar(tolerance)
    if bound is not None and (bound.is_nonpositive or bound.is_real is False):
        raise OdescentError(f"the tolerance of a solve must be positive, not {tolerance}.")
    return apply(inverse(operator, method, bound), b)


def inverse(operator: Vector, method: str = "", tolerance: sp.Expr | None = None) -> Vector:
    """The inverse of an operator as an operator; see `linear_solve`."""
    _check_vectors("linear_solve", operator)
    if not tidy(operator).terms:
        raise DividedByZero("linear_solve cannot divide by the operator 0.")
    check_operator("linear_solve", operator)
    rows, columns = slots_of(operator)
    if rows != columns:
        raise OdescentError(
            f"linear_solve takes an operator of a space into itself, and the rows of this one are {', '.join(rows)}, "
            f"its columns {', '.join(columns)}."
        )
    if len(operator.terms) == 1:
        ((a, c),) = operator.terms.items()
        if a == identity or isinstance(a, Inverse):
            simple: Vector = (a.argument if isinstance(a, Inverse) else a) / c
            return simple
        if isinstance(a, Kronecker):
            parts: Vector = a.inverted(lambda of: inverse(of, method, tolerance)) / c
            return parts
    multiple = operator.terms.get(identity, sp.S.Zero)
    rest = {a: c for a, c in operator.terms.items() if a != identity}
    if all(isinstance(a, Unary) and a.kind == "diagonal" for a in rest):
        places = slots(len(rest))
        body = 1 / sp.Add(multiple, *[c * p for c, p in zip(rest.values(), places, strict=True)])
        return diagonal_operator(_elementwise(body, tuple(a.arguments[0] for a in rest)))
    low = {a: c for a, c in rest.items() if isinstance(a, Product) and a.kind == "outer"}
    if multiple != 0 and len(low) == len(rest) <= _RANK:
        return _woodbury(multiple, low)
    windows = {gram_of(a): c for a, c in rest.items()}
    if multiple != 0 and len(windows) == len(rest) == 1 and None not in windows:
        return _of_window(multiple, *windows.popitem())
    scale = _leading(operator)[1]
    if not scale.is_Rational:
        return Inverse(operator, method, tolerance)
    scaled: Vector = Inverse(operator / scale, method, tolerance) / scale
    return scaled


def _woodbury(multiple: sp.Expr, low: Mapping[Any, sp.Expr]) -> Vector:
    """The inverse of a 1 + U C V^T, (1 - U C (a 1 + V^T U C)^-1 V^T) / a, which holds where some of C vanish, too."""
    lefts, rights, c = [p.left for p in low], [p.right for p in low], [*low.values()]
    small = sp.Matrix(len(low), len(low), lambda i, j: inner(rights[i], lefts[j]) * c[j])
    small += multiple * sp.eye(len(low))
    within = small.inv(method="ADJ") if len(low) > 1 else sp.Matrix([[1 / small[0, 0]]])
    total: Vector = identity / multiple
    for i, u in enumerate(lefts):
        for j, v in enumerate(rights):
            total = total - outer(u, v) * (c[i] * within[i, j] / multiple)
    return total


def _of_window(multiple: sp.Expr, window: Any, c: sp.Expr) -> Vector:
    """(a 1 + c G G^T)^-1 = (1 - G ((a/c) 1 + G^T G)^-1 G^T) / a, where G has few columns: a system of their number."""
    back = transpose(window)
    small = inverse(identity * (multiple / c) + apply(back, window))
    total: Vector = (identity - apply(window, apply(small, back))) / multiple
    return total


def _leading(operator: Vector) -> tuple[tuple[Atom, ...], sp.Expr]:
    """The longest word of an operator, without inverses if there is one, the last of these by key, and its coefficient.

    An outer product in front of an inverse contracts and is never seen there, so others lead where there are some.
    """
    words = [(letters(a), c) for a, c in operator.terms.items()]
    seen = [(w, c) for w, c in words if w and not isinstance(w[0], Product)] or words

    ranks = [(len(w), not any(a.solving for a in w), [a.key for a in w]) for w, _ in seen]
    return seen[ranks.index(max(ranks))]


def _solves(a: Atom) -> Iterator[tuple[tuple[Atom, ...], Inverse, Vector]]:
    """The ways to read an atom as word, inverse, and what this is applied to."""
    if not a.solving:
        return
    if isinstance(a, Inverse):
        yield (), a, identity
    elif isinstance(a, Product) and a.kind == "apply":
        if isinstance(a.left, Inverse):
            yield (), a.left, a.right
        for word, inv, rest in _solves(a.right):
            yield (*letters(a.left), *word), inv, rest
    elif isinstance(a, Product) and a.kind == "hadamard":
        for one, other in ((a.left, a.right), (a.right, a.left)):
            for word, inv, rest in _solves(one):
                yield (*diagonal_operator(other).terms, *word), inv, rest
    elif isinstance(a, Call):
        for i, d in enumerate(a.directions):
            hole, inside = (d.slot, d.value) if isinstance(d, Argument) else ("", d)
            others = (*a.directions[:i], *a.directions[i + 1 :])
            letter = OracleDerivative(a.oracle, a.point, others, hole, a.parameters)
            for word, inv, rest in _solves(inside):
                yield (letter, *word), inv, rest


def normal(a: Atom) -> Vector:
    """An atom with the leading word of M in front of M^-1, or behind it, replaced by the rest of M.

    Of an operator by blocks these are the equations of its rows, or of its columns.
    """
    for word, inv, b in _solves(a):
        for unit in _units(inv.argument, Part):
            leading, c, rest = _split(apply(unit, inv.argument))
            if word == leading and not _returns(rest, leading, front=True):
                before: Vector = (apply(unit, b) - apply(rest, apply(inv, b))) / c
                return before
        if word or b == identity or not isinstance(b, Atom):
            continue
        for behind, end in _words(b):
            for unit in _units(inv.argument, Inclusion):
                leading, c, rest = _split(apply(inv.argument, unit))
                if behind == leading and not _returns(rest, leading, front=False):
                    after: Vector = (apply(unit, end) - apply(inv, apply(rest, end))) / c
                    return after
    return a


def _returns(rest: Vector, leading: tuple[Atom, ...], front: bool) -> bool:
    """Whether the rest of M, beside M^-1, brings the leading word back: by <B^T u, M^-1 b> = <u, B M^-1 b> in front."""
    dyads = [a for a in rest.terms if isinstance(a, Product) and a.kind == "outer"]
    with suppress(NotCarried):  # what has no transpose stays on its side
        if front and dyads:
            leading = tuple(t for op in reversed(leading) for t in transpose(op).terms)
        return any(w == leading for p in dyads for w, _ in _words(p.right if front else p.left))
    return False


def _split(operator: Vector) -> tuple[tuple[Atom, ...], sp.Expr, Vector]:
    """The leading word of an operator, its coefficient, and the rest."""
    leading, c = _leading(operator)
    rest = Vector.of((t, k) for t, k in operator.terms.items() if letters(t) != leading)
    return leading, c, rest


def _units(operator: Vector, kind: type[Part] | type[Inclusion]) -> list[Vector]:
    """The parts, or the places, of an operator by blocks; of any other the identity."""
    return [kind(slot) for slot in slots_of(operator)[0]] or [identity]


def _words(a: Atom) -> Iterator[tuple[tuple[Atom, ...], Vector]]:
    """The ways to read an atom as a word and what it is applied to, which is the identity for an operator."""
    yield (), a
    if a.operates and not (isinstance(a, Product) and a.kind != "outer"):
        yield (a,), identity
    if isinstance(a, Product) and a.kind == "apply":
        for word, end in _words(a.right):
            yield (*letters(a.left), *word), end
    elif isinstance(a, Call):
        for i, d in enumerate(a.directions):
            hole, inside = (d.slot, d.value) if isinstance(d, Argument) else ("", d)
            others = (*a.directions[:i], *a.directions[i + 1 :])
            letter = OracleDerivative(a.oracle, a.point, others, hole, a.parameters)
            for word, end in _words(inside):
                yield (letter, *word), end
    elif isinstance(a, Product) and a.kind == "hadamard":
        for one, other in ((a.left, a.right), (a.right, a.left)):
            for word, end in _words(one):
                yield (*diagonal_operator(other).terms, *word), end


NORMAL.append(normal)
