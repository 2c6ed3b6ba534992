"""Equations of motion as they stand in a paper, solved for their highest derivatives: x'' + 3/t*x' + grad f(x) = 0.

An equation declares what it uses: a block for each derivative, the velocity of one of second order, the objectives
whose gradients it takes, and the time t. Each equation has to give one derivative, in which it is linear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sympy as sp

from ..._support.work import TooMuchWork, limited
from ..algebra.calculus import Symbol, coefficient, substitute, symbols_of, tidy
from ..algebra.vectors import Expr, Vector, VectorSymbol, zero
from .calls import Evaluator
from .errors import Source
from .expressions import Value
from .names import Names

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORK = 10_000  # products of terms that solving may take


def motion(statement: Any, names: Names) -> dict[Symbol, Expr]:
    """The drift that equations of motion give, in the names of their document."""
    # The highest derivative of a block is an unknown, and the first one of second order is its velocity.
    source = names.source
    if not names.rates:
        raise source.error(
            "an equation of motion has a derivative, as in x'' + x' + grad f(x) = 0.", statement
        )
    unknown: dict[Symbol, tuple[str, str]] = {}
    further: dict[str, Value] = {}
    found: dict[Symbol, Expr] = {}
    for token, n in names.rates.items():
        block = names.blocks[token]
        highest = f"{token}" + "'" * n
        moved = block if n == 1 else names.blocks[names.velocities[token]]
        if n == 2:
            further[f"{token}'"] = Value(moved.symbol, moved.values)
            found[block.symbol] = moved.symbol
        symbol: Symbol = (
            sp.Dummy(highest, real=True)
            if block.kind == "scalar"
            else VectorSymbol(highest, block.symbol.kind)
        )
        unknown[symbol] = highest, moved.name
        further[highest] = Value(symbol, block.values)
    evaluate = names.evaluator(further)
    left = [(node, _difference(node, evaluate, source)) for node in statement.children]

    try:
        with limited(_WORK):
            known = _solutions(left, unknown, source)
    except TooMuchWork:
        raise source.error(
            "these equations are too large to be solved for their derivatives; write them solved.",
            statement,
        ) from None
    missing = [unknown[s][0] for s in unknown if s not in known]
    if missing:
        raise source.error(
            f"no equation gives {' and '.join(missing)}; add one for each.", statement
        )
    found |= {names.blocks[unknown[s][1]].symbol: e for s, e in known.items()}
    return found


def _solutions(
    left: list[tuple[Any, Expr]], unknown: Mapping[Symbol, tuple[str, str]], source: Source
) -> dict[Symbol, Expr]:
    """The unknowns, from equations that are to be zero, each with its place."""
    known: dict[Symbol, Expr] = {}
    # An equation in which one unknown is left gives it; the others get its value.
    while left:
        open_ = [(node, e, _in(e, unknown) - set(known)) for node, e in left]
        ready = next((o for o in open_ if len(o[2]) == 1), None)
        if ready is None:
            node, e, several = open_[0]
            names = " and ".join(sorted(unknown[s][0] for s in several))
            wrong = (
                f"gives {names} at once"
                if several
                else "gives none of the derivatives that the others leave open"
            )
            raise source.error(
                f"this equation {wrong}; write one equation for each of {_listed(unknown)}.", node
            )
        node, e, (symbol,) = ready
        known[symbol] = value = _solved(e, symbol, unknown[symbol][0], node, source)
        left = [(n, tidy(substitute(other, {symbol: value}))) for n, other in left if n is not node]
    return known


def _listed(unknown: Mapping[Symbol, tuple[str, str]]) -> str:
    return ", ".join(name for name, _ in unknown.values())


def _in(e: Expr, unknown: Mapping[Symbol, Any]) -> set[Symbol]:
    return symbols_of(e) & set(unknown)


def _difference(node: Any, evaluate: Evaluator, source: Source) -> Expr:
    """The left side less the right side; zero has every kind."""
    left, right = map(evaluate, node.children)
    if left.kind == right.kind or right.expr == 0:
        return left.expr if right.expr == 0 else left.expr - right.expr
    if left.expr == 0:
        return -right.expr
    raise source.error(f"this equates a {left.kind} with a {right.kind}.", node)


def _solved(e: Expr, symbol: Symbol, name: str, node: Any, source: Source) -> Expr:
    """The unknown that makes an expression zero, in which it stands once, with a scalar factor."""
    vector = isinstance(e, Vector)
    weight = coefficient(e, symbol) if vector else sp.diff(e, symbol)
    rest = tidy(e - symbol * weight if vector else substitute(e, {symbol: sp.S.Zero}))
    if weight == 0 or symbol in symbols_of(rest) | symbols_of(weight):
        raise source.error(
            f"this equation is not linear in {name} with a scalar as its factor; write it so.", node
        )
    return tidy((rest if vector and rest != 0 else rest or zero) * (-1 / weight))
