"""Names and calls of the language: symbols, functions, products of vectors, oracles, each(...)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.brief import quantity
from ..algebra.direct_sums import point_of
from ..algebra.operators import METHODS, as_operator
from ..algebra.oracles import Oracle
from ..algebra.products import Inclusion, Part, elementwise, identity
from ..algebra.scalars import FUNCTIONS as KNOWN
from ..algebra.scalars import by_signs
from ..algebra.vectors import (
    COVECTOR,
    Call,
    ScalarNode,
    Vector,
    VectorSymbol,
    call,
    in_slot,
)
from ..implicit.making import argmin, root
from ..maps import form_of
from ..vector_fields.objective import Objective
from .bounds import LEAF, MAX_EXPONENT, Size
from .errors import ParseError
from .expressions import OPERATORS, PRODUCTS, Arithmetic, Value

if TYPE_CHECKING:
    from lark import Token


def _absolute(e: sp.Expr) -> sp.Expr:
    """|e|; SymPy would multiply out what it does not know to be real."""
    return sp.Abs(e) if e.is_extended_real else sp.Abs(e, evaluate=False)


FUNCTIONS: dict[str, Any] = {
    "sqrt": sp.sqrt,
    **KNOWN,
    "abs": _absolute,
    "floor": lambda a: by_signs(sp.floor(a)),
    "mod": lambda a, b: by_signs(sp.Mod(a, b)),
}
_OF_TWO = ("max", "min", "mod")
CONSTANTS = {"pi": sp.pi}
IMPLICIT: dict[str, Any] = {"argmin": argmin, "root": root}  # of an expression and a block
RESERVED = frozenset({*IMPLICIT, *FUNCTIONS, *PRODUCTS, *OPERATORS, *CONSTANTS, "each", "identity"})
HOLE = VectorSymbol(
    "."
)  # the direction that is left open, in the text of a derivative as an operator
_PARTS = {
    "part": Part,
    "place": Inclusion,
}  # of a direct sum: part_x reads one, place_x puts it there
_HIGHEST = 9  # order of a derivative


def staged_name(block: str, stage: str) -> str:
    """What a block at a stage is called among the names of a scheme."""
    return f"at({block}, {stage})"


def name(self: Evaluator, token: Token) -> Value:
    """The value of a name that stands alone."""
    if token in CONSTANTS:
        return Value(CONSTANTS[str(token)])
    if token == "identity":
        return Value(identity, "matrix")
    what = self.oracles.get(str(token), "function" if token in RESERVED else "")
    if what:
        article = "an" if what[0] in "aeiou" else "a"
        raise self.source.error(
            f"{token} is {article} {what}: it needs an argument, as in {token}(x).", token
        )
    try:
        return self.lookup(token)
    except OdescentError:
        word, _, slot = str(token).partition("_")
        if word in _PARTS and slot:
            return Value(_PARTS[word](slot), "matrix")
        raise


def call_or_oracle(self: Evaluator, node: Any) -> Value:
    """The value of NAME(...), grad, hess, D, prox."""
    if node.data in ("prox", "batch", "deviation"):
        return _with_scalar(self, node)
    if node.data == "staged":
        block, *stage = node.children
        return self.lookup(block.update(value=staged_name(str(block), " ".join(map(str, stage)))))
    if node.data == "hole":
        return Value(HOLE, "vector")
    if node.data in {"partial", "adjoint"} or (
        node.data == "derivative" and self.arguments.get(str(node.children[1]))
    ):
        return _of_several(self, node)
    if node.data != "call":
        return _gradient(self, node)
    token = node.children[0]
    if token == "each":
        return _each(self, node)
    if token in self.oracles:
        return _at_a_point(self, node, str(token), self.oracles[str(token)])
    if token in IMPLICIT:
        return _implicit(self, node, str(token))
    if token in OPERATORS:
        (of,) = _vectors(self, node, str(token), node.children[1:], 1)
        return self.operator(node, str(token), of)
    if token in PRODUCTS:
        factors, how = _how_solved(self, node, str(token))
        left, right = _vectors(self, node, str(token), factors, 2)
        return self.bilinear(node, str(token), left, right, how)
    return _function(self, node, token)


def _function(self: Evaluator, node: Any, token: Token) -> Value:
    if token not in FUNCTIONS:
        raise _no_function(self, token)
    given = node.children[1:]
    count = 2 if token in _OF_TWO else 1
    if len(given) != count:
        raise self.source.error(
            f"{token} takes {quantity(count, 'argument')}, not {len(given)}.", token
        )
    values = [self(child) for child in given]
    for child, value in zip(given, values, strict=True):
        if isinstance(value.expr, Vector):
            raise self.source.error(
                f"{token} takes scalars; write each({token}(...)) for a vector's components.", child
            )
        numbers = value.expr.atoms(sp.Rational) if token == "exp" and value.expr.has(sp.log) else ()
        if any(abs(n) > MAX_EXPONENT for n in numbers):  # exp(n log(a)) is a^n
            raise self.source.error(
                f"the exponent is too large: at most {MAX_EXPONENT} times a logarithm.", child
            )
    size = Size.function(v.size for v in values)
    return self.checked(
        node, lambda: FUNCTIONS[str(token)](*[v.expr for v in values]), "scalar", size, risky=True
    )


def _implicit(self: Evaluator, node: Any, what: str) -> Value:
    """argmin(f(x, y), y) or root(equation, y); its block is bound in it."""
    given = node.children[1:]
    if len(given) != 2:
        raise self.source.error(
            f"{what} takes an expression and a block, not {len(given)} arguments.", node
        )
    with self.each(None):
        inside, block = (self(child) for child in given)
    if not isinstance(block.expr, (VectorSymbol, sp.Symbol)):
        raise self.source.error(
            f"the second argument of {what} must be a block, not {block.shown}.", given[1]
        )
    return self.checked(
        node, lambda: IMPLICIT[what](inside.expr, block.expr), block.kind, inside.size, risky=True
    )


def _no_function(self: Evaluator, token: Token) -> ParseError:
    try:
        self.lookup(token)
    except OdescentError:
        known = (*FUNCTIONS, *PRODUCTS, *OPERATORS, *IMPLICIT, "each", *self.oracles)
        return self.source.unknown("function", token, known)
    return self.source.error(f"{token} is not a function; write * for a product.", token)


def _how_solved(self: Evaluator, node: Any, what: str) -> tuple[list[Any], dict[str, Any]]:
    """The factors of a product, and after those of a solve its method and tolerance."""
    given = node.children[1:]
    if what != "linear_solve" or not 2 < len(given) <= 4:
        return given, {}
    method = given[2].children[0] if len(given[2].children) == 1 else ""
    if method not in METHODS:
        listed = f"{', '.join(METHODS[:-1])} or {METHODS[-1]}"
        raise self.source.error(
            f"after its vector linear_solve takes a method: {listed}.", given[2]
        )
    bound = [self(child).expr for child in given[3:]]
    return given[:2], {"method": str(method)} | ({"tolerance": bound[0]} if bound else {})


def _vectors(self: Evaluator, node: Any, what: str, given: list[Any], count: int) -> list[Value]:
    """The arguments as vectors; inside each(...) they are whole vectors too."""
    if len(given) != count:
        raise self.source.error(
            f"{what} takes {quantity(count, 'argument')}, not {len(given)}.", node
        )
    with self.each(None):
        values = [self(child) for child in given]
    for child, value in zip(given, values, strict=True):
        if not isinstance(value.expr, Vector):
            raise self.source.error(f"{what} takes vectors, not the scalar {value.shown}.", child)
    return values


def _at_a_point(self: Evaluator, node: Any, name: str, kind: str) -> Value:
    """The value of an objective, or what an operator, a map, a named map or an ensemble makes of a point.

    The last three may have scalar arguments after it.
    """
    args = self.arguments.get(name, ())
    count = len(args) or 1
    last = 1 + count if kind in {"map", "named", "ensemble"} else None
    points = _vectors(self, node, name, node.children[1:last], count)
    further = _scalars(self, name, node.children[1 + count :], "vectors" if args else "first")
    size = Size.function([*(p.size for p in points), *(v.size for v in further)])
    point = point_of(args, (p.expr for p in points))
    if kind == "objective":
        oracle = Oracle("value", name, args)
        return self.checked(node, lambda: ScalarNode("value", (point,), oracle), "scalar", size)
    scalars = tuple(v.expr for v in further)
    if kind == "named":
        scalars = _complete(self, node, name, scalars)
    return self.checked(
        node, lambda: call(Oracle(kind, name, args), point, (), scalars), points[0].kind, size
    )


def _scalars(self: Evaluator, name: str, given: list[Any], before: str = "first") -> list[Value]:
    """The scalar arguments of a function, which stand after its vectors."""
    with self.each(None):
        values = [self(child) for child in given]
    for child, value in zip(given, values, strict=True):
        if isinstance(value.expr, Vector):
            raise self.source.error(
                f"the arguments of {name} after the {before} are scalars, not a {value.kind}.",
                child,
            )
    return values


def _complete(
    self: Evaluator, node: Any, name: str, scalars: tuple[sp.Expr, ...]
) -> tuple[sp.Expr, ...]:
    """All arguments of a named map; the last ones may be left out where they have a default."""
    form = form_of(name)
    if len(scalars) > len(form.arguments):
        count = len(form.arguments) or "no"
        raise self.source.error(
            f"{name} has {count} arguments after the point, not {len(scalars)}.", node
        )
    try:
        return form.given(dict(zip(form.arguments, scalars, strict=False)))
    except OdescentError as error:
        raise self.source.error(str(error), node) from None


def _of_several(self: Evaluator, node: Any) -> Value:
    """grad_y f(x, y)[x: u], adjoint c(x)[w], D c(x, y)[x: u]: derivatives that say in which argument they are."""
    head, token, at, *along = node.children
    kind, name = _declared(self, token), str(token)
    args, slot = self.arguments.get(name, ()), str(head).partition("_")[2]
    of = {"partial": "objective", "adjoint": "map"}.get(node.data, kind)
    if kind != of or (node.data == "derivative" and kind != "map"):
        wanted = "grad_... f(...) for an objective" if kind == "objective" else f"{name}(...)"
        raise self.source.error(
            f"{head} does not go with the {kind} {name}; write {wanted}.", token
        )
    if (slot or args) and node.data != "derivative" and slot not in args:
        has = f"has the arguments {', '.join(args)}" if args else "has one argument"
        raise self.source.error(f"{head} names no argument of {name}, which {has}.", head)
    points = _vectors(self, node, name, at.children, len(args) or 1)
    size = Size.function([p.size for p in points])
    directions: list[Vector] = []
    if node.data == "adjoint":
        (covector,) = _vectors(self, node, f"{head} {name}", along[:1], 1)
        directions.append(in_slot(COVECTOR, covector.expr))
        along, size = along[1:], size.times(covector.size, covector.terms)
    if len(along) > _HIGHEST:
        raise self.source.error(f"at most {_HIGHEST} directions are given to {head} {name}.", token)
    for child in along:
        place, inside = child.children if getattr(child, "data", "") == "slotted" else ("", child)
        if str(place) not in (args or ("",)):
            has = f"one of {', '.join(args)} and a colon before it" if args else "no argument named"
            raise self.source.error(f"a direction of {name} has {has}.", child)
        (value,) = _vectors(self, node, f"{head} {name}", [inside], 1)
        directions.append(in_slot(str(place), value.expr))
        size = size.times(value.size, value.terms)
    order = int(str(head)[1:] or 1) if node.data == "derivative" else len(along)
    if order != len(along):
        raise self.source.error(f"{head} {name} takes {order} directions, not {len(along)}.", token)
    oracle = Oracle({"partial": "grad", "adjoint": "vjp"}.get(node.data, kind), name, args, slot)
    point = point_of(args, (p.expr for p in points))
    made = self.checked(node, lambda: call(oracle, point, directions), points[0].kind, size)
    return _derivative(self, node, made)


def _derivative(self: Evaluator, node: Any, value: Value) -> Value:
    """A derivative along its directions, or as an operator where one of them is a dot."""
    e = value.expr
    if not isinstance(e, Vector) or HOLE not in e.free_symbols:
        return value
    if not isinstance(e, Call):
        raise self.source.error(
            "the dot of an operator is one direction, beside single vectors.", node
        )
    try:
        return Value(as_operator(e, HOLE), "matrix", value.size)
    except OdescentError as error:
        raise self.source.error(str(error), node) from None


def _gradient(self: Evaluator, node: Any) -> Value:
    """grad, hess and D, D2, ...: derivatives of an objective or an operator along directions."""
    head, rest = str(node.data), node.children
    if head == "derivative":
        head, rest = str(rest[0]), rest[1:]
    token, given = rest[0], rest[1:]
    kind = _declared(self, token)
    if self.arguments.get(str(token)):
        names = self.arguments[str(token)]
        raise self.source.error(
            f"{token} has the arguments {', '.join(names)}: write grad_{names[-1]} {token}(...).",
            token,
        )
    scalars: tuple[sp.Expr, ...] = ()
    if node.data == "derivative":
        at = given[0].children
        if kind == "named":
            further = _scalars(self, str(token), at[1:])
            at, scalars = at[:1], _complete(self, node, str(token), tuple(v.expr for v in further))
        if len(at) != 1 or any(getattr(c, "data", "") == "slotted" for c in given):
            raise self.source.error(f"{token} has one argument, which is not named.", token)
        given = [at[0], *given[1:]]
    along = len(given) - 1
    if node.data == "derivative":
        order = int(head[1:3] or 1)
        wanted = order - 1 if kind == "objective" else order
        if len(head) > 2 or not 1 <= wanted < _HIGHEST or along != wanted:
            rule = {"objective": "D2 to D9, with a direction fewer than the order"}.get(
                kind, "D to D8, with a direction per order"
            )
            said = f"{head} {token} has {quantity(along, 'direction')}"
            raise self.source.error(f"{said}; for this {kind} write {rule}.", token)
    elif kind != "objective":
        raise self.source.error(
            f"{head} needs an objective, not the {kind} {token}; write {token}(x).", token
        )
    point, *directions = _vectors(self, node, f"{head} {token}", given, along + 1)
    size = Size.function([point.size])
    for child, v in zip(given[1:], directions, strict=True):
        if v.kind != point.kind:
            raise self.source.error(
                f"this direction is a {v.kind}, but the point of {token} is a {point.kind}.", child
            )
        size = size.times(v.size, v.terms)
    oracle = Oracle("grad" if kind == "objective" else kind, str(token))
    made = self.checked(
        node,
        lambda: call(oracle, point.expr, [v.expr for v in directions], scalars),
        point.kind,
        size,
    )
    return _derivative(self, node, made)


def _declared(self: Evaluator, token: Token) -> str:
    kind = self.oracles.get(str(token))
    if kind is None:
        raise self.source.unknown("objective or operator", token, self.oracles)
    return kind


def _with_scalar(self: Evaluator, node: Any) -> Value:
    token, at, *scalars_at = node.children
    if (kind := _declared(self, token)) != "objective":
        raise self.source.error(f"{node.data} needs an objective, not the {kind} {token}.", token)
    (point,) = _vectors(self, node, f"{node.data} {token}", [at], 1)
    with self.each(None):
        scalars = [self(scalar_at) for scalar_at in scalars_at]
    for place, scalar, scalar_at in zip(("second", "third"), scalars, scalars_at, strict=False):
        if isinstance(scalar.expr, Vector):
            raise self.source.error(
                f"the {place} argument of {node.data} is a scalar, not a {scalar.kind}.", scalar_at
            )
    size = Size.function([point.size, *(scalar.size for scalar in scalars)])
    oracle = getattr(Objective(str(token)), str(node.data))
    return self.checked(
        node, lambda: oracle(point.expr, *(s.expr for s in scalars)), point.kind, size
    )


def _each(self: Evaluator, node: Any) -> Value:
    """A scalar function of components, with its arguments in the engine's order, whatever the text's."""
    if len(node.children) != 2:
        raise self.source.error("each takes one expression.", node)
    components: dict[Vector, tuple[sp.Symbol, str]] = {}
    with self.each(components):
        body = self(node.children[1])
    kinds = sorted({kind for _, kind in components.values()})
    if len(kinds) != 1:
        found = " and a ".join(kinds)
        raise self.source.error(
            f"each mixes a {found}." if kinds else "each needs a vector in it.", node
        )
    vectors = sorted(components, key=lambda v: [(a.key, str(c)) for a, c in v.terms.items()])

    def function(*slots: sp.Symbol) -> Any:
        swap = {components[v][0]: slot for v, slot in zip(vectors, slots, strict=True)}
        return body.expr.xreplace(swap)  # type: ignore[union-attr]

    return self.checked(
        node, lambda: elementwise(function, *vectors), kinds[0], Size.function([body.size, LEAF])
    )


class Evaluator(Arithmetic):
    """Expressions of one source, evaluated: arithmetic, and all that can be named or called."""

    _named, _called = name, call_or_oracle
