"""Element-wise functions of vectors: a scalar expression in the components of its arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from ..._support.errors import WrongType
from ..._support.rendering.brief import short
from .scalars import as_scalar
from .vectors import (
    Atom,
    Expr,
    Vector,
    VectorSymbol,
    _check_vectors,
    _key,
    _text,
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
        if not any(c.free_symbols & {*places} for c in linear):
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
