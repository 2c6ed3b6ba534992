"""Named functions of symbols: an expression referred to by its name, evaluated and differentiated formally.

``named("E", value)`` stands for E(x, z, ...), the symbols being those of the value. Substitution changes its
arguments and a derivative adds a direction, as for an oracle, so that an equation about E can be written
down, and replayed elsewhere, without writing E out. `opened` puts the values in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import factorial
from typing import Any, TypeAlias

import sympy as sp

from .calculus import Symbol, change, derivative, substitute, symbols_of
from .products import Unary
from .series import taylor
from .vectors import Atom, Expr, ScalarNode, Vector, VectorSymbol, _key, _text, zero

Values: TypeAlias = "tuple[tuple[Symbol, Expr], ...]"  # symbols with what stands for them


def named(name: str, value: Expr) -> Expr:
    """The value as a function, of that name, of all its symbols."""
    at = tuple((s, s) for s in sorted(symbols_of(value), key=lambda s: (str(s), _told(s))))
    return NamedVector(name, at) if isinstance(value, Vector) else NamedScalar(name, at)


def opened(e: Expr, values: Mapping[str, Expr]) -> Expr:
    """The expression with every named function replaced by its value."""

    def rule(node: Expr) -> Expr | None:
        return _open(node, values[node.name]) if isinstance(node, NAMED) else None

    return change(e, rule)


def taylor_terms(e: Expr, symbol: sp.Symbol, order: int) -> list[Expr]:
    """Taylor coefficients at 0 by repeated differentiation, which leaves named functions unexpanded.

    Args:
        e: a scalar or vector expression, regular at 0.
        symbol: the expansion variable.
        order: the highest power.

    Returns:
        the coefficients of ``symbol**0 ... symbol**order``.
    """
    terms = [substitute(e, {symbol: sp.S.Zero})]
    for k in range(1, order + 1):
        e = derivative(e, {symbol: sp.S.One})
        terms.append(substitute(e, {symbol: sp.S.Zero}) * sp.Rational(1, factorial(k)))
    return terms


def _open(node: NamedVector | NamedScalar, value: Expr) -> Expr:
    inside: dict[Symbol, Expr] = dict(node.at)
    for s in [s for s, e in node.at if isinstance(s, sp.Symbol) and e == 0]:
        # a Taylor coefficient: 0/0 may have a limit
        if all(d == ((s, sp.S.One),) for d in node.along):
            k = len(node.along)
            return substitute(taylor(value, s, k)[k] * factorial(k), inside)
    for i, direction in enumerate(node.along):
        moving: dict[Symbol, Expr] = {}
        for s, e in direction:
            constant = (
                VectorSymbol(f"{s.name} {i}", s.kind) if isinstance(s, VectorSymbol) else sp.Dummy()
            )
            moving[s], inside[constant] = constant, e
        value = derivative(value, moving)
    return substitute(value, inside)


def _told(e: Expr) -> str:
    """A string that differs for different expressions."""
    return repr(_key(e)) if isinstance(e, Vector) else _text(e)


def _content(name: str, at: Values, along: tuple[Values, ...]) -> tuple[str, ...]:
    return (
        "named",
        name,
        *(repr([(_told(s), _told(e)) for s, e in pairs]) for pairs in (at, *along)),
    )


def _changed(pairs: Values, rule: Callable[[Any], Any]) -> Values:
    return tuple((s, rule(e)) for s, e in pairs)


def _rates(pairs: Values, direction: Mapping[Any, Expr]) -> Values:
    """The derivative of the value of each symbol; zero derivatives are omitted."""
    found = ((s, derivative(e, direction)) for s, e in pairs)
    return tuple((s, e) for s, e in found if e != 0 and e != zero)


def _derivative(
    node: NamedVector | NamedScalar, direction: Mapping[Any, Expr]
) -> Iterable[tuple[Values, ...]]:
    """The lists of directions of the terms of the derivative."""
    if rates := _rates(node.at, direction):
        yield (*node.along, rates)
    for i, d in enumerate(node.along):
        if rates := _rates(d, direction):
            yield (*node.along[:i], rates, *node.along[i + 1 :])


class NamedVector(Atom):
    """A named vector function at some arguments, differentiated along some directions."""

    __slots__ = ("along", "at", "name")
    made_of = ("name", "at", "along")

    def __init__(self, name: str, at: Values, along: tuple[Values, ...] = ()) -> None:
        self.name, self.at, self.along = name, at, along
        super().__init__((9, *_content(name, at, along)))

    def symbols(self) -> set[Symbol]:
        return {s for pairs in (self.at, *self.along) for _, e in pairs for s in symbols_of(e)}

    def parts(self) -> tuple[Expr, ...]:
        return tuple(e for pairs in (self.at, *self.along) for _, e in pairs)

    def rebuild(self, change: Callable[[Any], Any]) -> Vector:
        along = tuple(_changed(d, change) for d in self.along)
        return NamedVector(self.name, _changed(self.at, change), along)

    def transposed(self) -> Vector:
        return Unary("transpose", self)

    def own_derivative(self, direction: Mapping[Any, Expr]) -> Vector:
        terms = _derivative(self, direction)
        return Vector.of((NamedVector(self.name, self.at, along), sp.S.One) for along in terms)


class NamedScalar(ScalarNode):
    """A named scalar function at some arguments, differentiated along some directions."""

    name: str
    at: Values
    along: tuple[Values, ...]

    def __new__(cls, name: str, at: Values, along: tuple[Values, ...] = ()) -> NamedScalar:
        everything = [e for pairs in (at, *along) for _, e in pairs]
        vectors = tuple(e for e in everything if isinstance(e, Vector))
        node: NamedScalar = super().__new__(cls, "named", vectors)
        node.name, node.at, node.along = name, at, along
        node.content = _content(name, at, along)
        return node

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (self.name, self.at, self.along)

    @property
    def free_symbols(self) -> set[sp.Symbol]:
        everything = [e for pairs in (self.at, *self.along) for _, e in pairs]
        return {s for e in everything for s in symbols_of(e) if isinstance(s, sp.Symbol)}

    def rebuild(self, change: Callable[[Any], Any]) -> sp.Expr:
        along = tuple(_changed(d, change) for d in self.along)
        return NamedScalar(self.name, _changed(self.at, change), along)

    def own_derivative(self, direction: Mapping[Any, Expr]) -> sp.Expr:
        terms = _derivative(self, direction)
        return sp.Add(*[NamedScalar(self.name, self.at, along) for along in terms])


NAMED = (NamedVector, NamedScalar)
