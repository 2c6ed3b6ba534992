"""Names and calls of the language: symbols, functions, products of vectors, oracles, each(...)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sympy as sp

from ..._support.errors import OdescentError
from ..algebra.oracles import Oracle
from ..algebra.vectors import ScalarNode, Vector, call, elementwise
from ..vector_fields.objective import Objective
from .bounds import LEAF, MAX_EXPONENT, Size
from .errors import ParseError
from .expressions import PRODUCTS, Arithmetic, Value

if TYPE_CHECKING:
    from lark import Token


def _absolute(e: sp.Expr) -> sp.Expr:
    """|e|; SymPy would multiply out what it does not know to be real."""
    return sp.Abs(e) if e.is_extended_real else sp.Abs(e, evaluate=False)


FUNCTIONS: dict[str, Any] = {
    "sqrt": sp.sqrt, "exp": sp.exp, "log": sp.log, "sin": sp.sin, "cos": sp.cos, "tan": sp.tan, "sinh": sp.sinh,
    "cosh": sp.cosh, "tanh": sp.tanh, "coth": sp.coth, "atan": sp.atan, "abs": _absolute, "sign": sp.sign,
    "max": sp.Max, "min": sp.Min,
}  # fmt: skip
_OF_TWO = ("max", "min")
CONSTANTS = {"pi": sp.pi}
RESERVED = frozenset({*FUNCTIONS, *PRODUCTS, *CONSTANTS, "each"})
_HIGHEST = 9  # order of a derivative


def name(self: Evaluator, token: Token) -> Value:
    """The value of a name that stands alone."""
    if token in CONSTANTS:
        return Value(CONSTANTS[str(token)])
    what = self.oracles.get(str(token), "function" if token in RESERVED else "")
    if what:
        article = "an" if what[0] in "aeiou" else "a"
        raise self.source.error(
            f"{token} is {article} {what}: it needs an argument, as in {token}(x).", token
        )
    return self.lookup(token)


def call_or_oracle(self: Evaluator, node: Any) -> Value:
    """The value of NAME(...), grad, hess, D, prox."""
    if node.data == "prox":
        return _prox(self, node)
    if node.data != "call":
        return _gradient(self, node)
    token = node.children[0]
    if token == "each":
        return _each(self, node)
    if token in self.oracles:
        return _at_a_point(self, node, str(token), self.oracles[str(token)])
    if token in PRODUCTS:
        left, right = _vectors(self, node, str(token), node.children[1:], 2)
        return self.bilinear(node, str(token), left, right)
    return _function(self, node, token)


def _function(self: Evaluator, node: Any, token: Token) -> Value:
    if token not in FUNCTIONS:
        raise _no_function(self, token)
    given = node.children[1:]
    count = 2 if token in _OF_TWO else 1
    if len(given) != count:
        raise self.source.error(
            f"{token} takes {count} argument{'s' * (count != 1)}, not {len(given)}.", token
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


def _no_function(self: Evaluator, token: Token) -> ParseError:
    try:
        self.lookup(token)
    except OdescentError:
        known = (*FUNCTIONS, *PRODUCTS, "each", *self.oracles)
        return self.source.unknown("function", token, known)
    return self.source.error(f"{token} is not a function; write * for a product.", token)


def _vectors(self: Evaluator, node: Any, what: str, given: list[Any], count: int) -> list[Value]:
    """The arguments as vectors; inside each(...) they are whole vectors too."""
    if len(given) != count:
        raise self.source.error(
            f"{what} takes {count} argument{'s' * (count != 1)}, not {len(given)}.", node
        )
    with self.each(None):
        values = [self(child) for child in given]
    for child, value in zip(given, values, strict=True):
        if not isinstance(value.expr, Vector):
            raise self.source.error(f"{what} takes vectors, not the scalar {value.shown}.", child)
    return values


def _at_a_point(self: Evaluator, node: Any, name: str, kind: str) -> Value:
    """The value of an objective, or what an operator, a map or an ensemble makes of a point.

    The last two may have scalar arguments after it.
    """
    last = 2 if kind in {"map", "ensemble"} else None
    (point,) = _vectors(self, node, name, node.children[1:last], 1)
    with self.each(None):
        further = [self(child) for child in node.children[2:]]
    for child, value in zip(node.children[2:], further, strict=True):
        if isinstance(value.expr, Vector):
            raise self.source.error(
                f"the arguments of {name} after the first are scalars, not a {value.kind}.", child
            )
    size = Size.function([point.size, *(v.size for v in further)])
    if kind == "objective":
        return self.checked(
            node, lambda: ScalarNode("value", (point.expr,), Oracle("value", name)), "scalar", size
        )
    scalars = tuple(v.expr for v in further)
    return self.checked(
        node, lambda: call(Oracle(kind, name), point.expr, (), scalars), point.kind, size
    )


def _gradient(self: Evaluator, node: Any) -> Value:
    """grad, hess and D, D2, ...: derivatives of an objective or an operator along directions."""
    head, rest = str(node.data), node.children
    if head == "derivative":
        head, rest = str(rest[0]), rest[1:]
    token, given = rest[0], rest[1:]
    kind = _declared(self, token)
    along = len(given) - 1
    if node.data == "derivative":
        order = int(head[1:3] or 1)
        wanted = order - 1 if kind == "objective" else order
        if len(head) > 2 or not 1 <= wanted < _HIGHEST or along != wanted:
            rule = {"objective": "D2 to D9, with a direction fewer than the order"}.get(
                kind, "D to D8, with a direction per order"
            )
            said = f"{head} {token} has {along} direction{'s' * (along != 1)}"
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
    return self.checked(
        node, lambda: call(oracle, point.expr, [v.expr for v in directions]), point.kind, size
    )


def _declared(self: Evaluator, token: Token) -> str:
    kind = self.oracles.get(str(token))
    if kind is None:
        raise self.source.unknown("objective or operator", token, self.oracles)
    return kind


def _prox(self: Evaluator, node: Any) -> Value:
    token, at, step_at = node.children
    if (kind := _declared(self, token)) != "objective":
        raise self.source.error(f"prox needs an objective, not the {kind} {token}.", token)
    (point,) = _vectors(self, node, f"prox {token}", [at], 1)
    with self.each(None):
        step = self(step_at)
    if isinstance(step.expr, Vector):
        raise self.source.error(
            f"the second argument of prox is a scalar, not a {step.kind}.", step_at
        )
    size = Size.function([point.size, step.size])
    return self.checked(
        node, lambda: Objective(str(token)).prox(point.expr, step.expr), point.kind, size
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
