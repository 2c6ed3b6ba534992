"""Conversion of expressions to and from plain data: nested lists of strings, exact.

The forms are written down in docs/json.md, and `odescent.replay` evaluates them with nothing but Python's
standard library. A rational is a string, everything else a list whose first element is its type.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NoReturn, TypeAlias

import sympy as sp
from sympy.core.facts import InconsistentAssumptions

from ..._support.errors import OdescentError
from .calculus import Symbol
from .named import NAMED, NamedScalar, NamedVector, Values
from .operators import METHODS, Inverse, OracleDerivative, inverse, jacobian
from .oracles import Oracle
from .products import (
    UNARY,
    Elementwise,
    Identity,
    Inclusion,
    Kronecker,
    Part,
    Product,
    Unary,
    _elementwise,
    identity,
    kronecker,
    slots,
)
from .products import apply as apply_matrix
from .products import hadamard as elementwise_product
from .products import outer as outer_product
from .scalars import FUNCTIONS
from .vectors import Argument, Call, Expr, ScalarNode, Vector, VectorSymbol, call, in_slot, inner
from .windows import Delay, Powers, UnitPlace

Tree: TypeAlias = "str | list[Any]"
# Forms of what stands above: by type how it is written, and by word how it is read.
WRITERS: dict[type, Callable[[Any], Tree]] = {}
READERS: dict[str, Callable[..., Expr]] = {}
_FUNCTIONS: dict[str, Any] = {"add": sp.Add, "mul": sp.Mul, "pow": sp.Pow, **FUNCTIONS}
_NAMES = {function: name for name, function in _FUNCTIONS.items()}
_CONSTANTS = {"pi": sp.pi, "e": sp.E}
_PRODUCTS = {"hadamard": elementwise_product, "outer": outer_product, "apply": apply_matrix}
_TAGS = (
    "positive", "negative", "nonnegative", "nonpositive", "integer", "rational", "real", "zero", "nonzero", "complex",
)  # fmt: skip
_SLOT = re.compile("_([1-9][0-9]*)")


def tree(e: Expr) -> Tree:
    """The expression as nested lists.

    Raises OdescentError for a function or constant that the format does not have.
    """
    if (write := WRITERS.get(type(e))) is not None:
        return write(e)
    return _vector_tree(e) if isinstance(e, Vector) else _scalar_tree(e)


def pairs(values: Mapping[Any, Expr] | Values) -> list[list[Tree]]:
    """Symbols with expressions, as a list of pairs."""
    items = values.items() if isinstance(values, Mapping) else values
    return [[tree(s), tree(e)] for s, e in items]


@functools.lru_cache(maxsize=4096)
def _tags(s: sp.Symbol) -> tuple[str, ...]:
    """The fewest assumptions that make the symbol what it is."""
    for n in range(4):
        for tags in itertools.combinations(_TAGS, n):
            with suppress(InconsistentAssumptions):
                if sp.Symbol(s.name, **dict.fromkeys(tags, True)) == s:
                    return tags
    raise OdescentError(
        f"the assumptions on the symbol {s} cannot be represented in the format of trees."
    )


def _scalar_tree(e: sp.Expr) -> Tree:
    if e.is_Rational:
        return str(e)
    if isinstance(e, sp.Dummy):
        raise OdescentError(
            f"the symbol {e} has no unique name, so it cannot be written as a tree."
        )
    if e.is_Symbol:
        slot = _SLOT.fullmatch(e.name)
        return ["slot", slot[1]] if slot else ["symbol", e.name, *_tags(e)]
    for name, constant in _CONSTANTS.items():
        if e == constant:
            return [name]
    if isinstance(e, NamedScalar):
        return ["claim", e.name, pairs(e.at), [pairs(d) for d in e.along]]
    if isinstance(e, ScalarNode):
        if e.kind == "inner":
            return ["inner", *map(tree, e.arguments)]
        assert e.oracle is not None
        return ["value", function(e.oracle), tree(e.arguments[0])]
    if e.func in _NAMES:
        return [_NAMES[e.func], *map(tree, e.args)]
    raise OdescentError(f"{e} ({e.func.__name__}) cannot be represented in the format of trees.")


def _vector_tree(v: Vector) -> Tree:
    if isinstance(v, VectorSymbol):
        return ["block", v.name] + ([v.kind] if v.kind != "vector" else [])
    if isinstance(v, NamedVector):
        return ["vector claim", v.name, pairs(v.at), [pairs(d) for d in v.along]]
    if isinstance(v, Call):
        along, extra = [*map(tree, v.directions)], [*map(tree, v.parameters)]
        return ["oracle", v.oracle.kind, function(v.oracle), tree(v.point), along, extra]
    if isinstance(v, Argument):
        return ["argument", v.slot, tree(v.value)]
    if isinstance(v, Product):
        return [v.kind, tree(v.left), tree(v.right)]
    if isinstance(v, Identity):
        return ["identity"]
    if isinstance(v, UnitPlace):
        return [v.which]
    if isinstance(v, Delay):
        return ["transpose", ["delay"]] if v.back else ["delay"]
    if isinstance(v, Powers):
        return ["ages", tree(v.length), str(v.power)]
    if isinstance(v, Kronecker):
        return ["kronecker", tree(v.left), tree(v.right)]
    if isinstance(v, (Part, Inclusion)):
        return ["part" if isinstance(v, Part) else "place", v.slot]
    if isinstance(v, Unary):
        return [v.kind, tree(v.argument)]
    if isinstance(v, Inverse):
        said: list[Tree] = [] if v.tolerance is None else [tree(v.tolerance)]
        said = [v.method, *said] if v.method or said else said
        return ["inverse", tree(v.argument), *said]
    if isinstance(v, OracleDerivative):
        along, extra = [*map(tree, v.directions)], [*map(tree, v.parameters)]
        point = tree(v.point)
        return ["derivative", v.oracle.kind, function(v.oracle), point, along, extra, v.hole]
    if isinstance(v, Elementwise):
        return ["elementwise", tree(v.body), [*map(tree, v.arguments)]]
    return ["sum", *([tree(c), tree(a)] for a, c in v.terms.items())]


def function(oracle: Oracle) -> Tree:
    """The function of an oracle: its name, or of several arguments the name, those and the one that is left open."""
    return [oracle.of, [*oracle.args], oracle.slot] if oracle.args else oracle.of


def from_tree(data: Any) -> Expr:
    """The expression that nested lists describe.

    Raises OdescentError, with what it met, for anything that is not in the format. Nothing is evaluated.
    """
    try:
        return _read(data)
    except RecursionError:
        raise OdescentError("a tree is nested too deeply to be read.") from None


def _refuse(data: Any, expected: str) -> NoReturn:
    shown = repr(data)
    raise OdescentError(
        f"{shown if len(shown) < 80 else shown[:77] + '...'} is not a tree: {expected} was expected; see docs/json.md."
    )


def _read(data: Any) -> Expr:
    if isinstance(data, str):
        if not re.fullmatch(r"-?[0-9]{1,4000}(/[0-9]{1,4000})?", data) or re.search(r"/0+$", data):
            _refuse(data, "a whole number or a fraction")
        top, _, bottom = data.partition("/")
        return sp.Rational(int(top), int(bottom or 1))
    if not isinstance(data, (list, tuple)) or not data or not isinstance(data[0], str):
        _refuse(data, "a fraction, or a list that begins with a word,")
    word, *rest = data
    try:
        return _read_word(word, rest)
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        if isinstance(error, OdescentError):
            raise
        _refuse(data, f"what belongs after {word!r}")


def _scalar(data: Any) -> sp.Expr:
    found = _read(data)
    return _refuse(data, "a scalar") if isinstance(found, Vector) else found


def _vector(data: Any) -> Vector:
    found = _read(data)
    return found if isinstance(found, Vector) else _refuse(data, "a vector")


def _name(data: Any) -> str:
    return data if isinstance(data, str) and data else _refuse(data, "a name")


def _oracle(kind: str, of: Any) -> Oracle:
    if isinstance(of, str):
        return Oracle(kind, _name(of))
    name, args, slot = of
    return Oracle(kind, _name(name), tuple(map(_name, args)), slot and _name(slot))


def _symbol(data: Any) -> Symbol:
    found = _read(data)
    named = isinstance(found, (VectorSymbol, sp.Symbol))
    return found if named else _refuse(data, "a symbol or a block")


def _pairs(data: Any) -> Values:
    return tuple((_symbol(s), _read(e)) for s, e in data)


def _read_word(word: str, rest: list[Any]) -> Expr:
    if word in READERS:
        return READERS[word](*rest)
    if word in _FUNCTIONS:
        made: sp.Expr = _FUNCTIONS[word](*map(_scalar, rest))
        return made
    if word in _CONSTANTS and not rest:
        return _CONSTANTS[word]
    if word in _PRODUCTS:
        left, right = map(_vector, rest)
        return _PRODUCTS[word](left, right)
    if word in UNARY:
        (of,) = map(_vector, rest)
        return UNARY[word](of)
    match word:
        case "identity":
            () = rest
            return identity
        case "newest" | "oldest":
            () = rest
            return UnitPlace(word)
        case "delay":
            () = rest
            return Delay()
        case "ages":
            return Powers(int(rest[1]), _scalar(rest[0]))
        case "kronecker":
            left, right = map(_vector, rest)
            return kronecker(left, right)
        case "part" | "place":
            (slot,) = map(_name, rest)
            return Part(slot) if word == "part" else Inclusion(slot)
        case "inverse":
            method = rest[1] if len(rest) > 1 else ""
            tolerance = rest[2] if len(rest) > 2 else None
            if method not in ("", *METHODS):
                _refuse(method, f"a method of a solve among {', '.join(METHODS)}")
            bound = None if tolerance is None else _scalar(tolerance)
            return inverse(_vector(rest[0]), method, bound)
        case "derivative":
            kind, of, point, along, extra, hole = rest
            oracle = _oracle(_name(kind), of)
            directions, given = tuple(map(_vector, along)), tuple(map(_scalar, extra))
            return jacobian(oracle, _vector(point), directions, hole and _name(hole), given)
        case "symbol":
            if not set(rest[1:]) <= set(_TAGS):
                _refuse(rest, f"assumptions among {', '.join(_TAGS)}")
            return sp.Symbol(_name(rest[0]), **dict.fromkeys(rest[1:], True))
        case "slot":
            return slots(int(rest[0]))[-1]
        case "inner":
            left, right = map(_vector, rest)
            return inner(left, right)
        case "value":
            return ScalarNode("value", (_vector(rest[1]),), _oracle("value", rest[0]))
        case "block":
            return VectorSymbol(*map(_name, rest))
        case "oracle":
            kind, of, point, along, extra = rest
            oracle = _oracle(_name(kind), of)
            return call(oracle, _vector(point), map(_vector, along), tuple(map(_scalar, extra)))
        case "argument":
            found: Vector = in_slot(_name(rest[0]), _vector(rest[1]))
            return found
        case "elementwise":
            return _elementwise(_scalar(rest[0]), tuple(map(_vector, rest[1])))
        case "sum":
            read = ((_vector(a), _scalar(c)) for c, a in rest)
            return Vector.of((b, k * c) for v, c in read for b, k in v.terms.items())
        case "claim" | "vector claim":
            name, at, along = rest
            made_of = NAMED[word == "claim"]
            return made_of(_name(name), _pairs(at), tuple(map(_pairs, along)))
    return _refuse([word, *rest], "a word of the format")
