"""Initial values of a plant: those of its blocks, and of psi."""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from ..._support.errors import OdescentError
from ...dynamics.algebra.calculus import Symbol, coefficient, singular, substitute, symbols_of, tidy
from ...dynamics.algebra.exact import canonical
from ...dynamics.algebra.vectors import (
    Call,
    Expr,
    ScalarNode,
    Vector,
    VectorSymbol,
    scalar_calls,
    zero,
)
from ...dynamics.notation.show import text
from ...dynamics.passivity import PassivityImmersion
from ...dynamics.vector_fields.block import start

Row = dict[VectorSymbol, sp.Expr]  # coefficients of the blocks in a linear equation


def at_rest(loop: PassivityImmersion) -> dict[Symbol, Expr]:
    """Default initial values of the blocks: positions at x0, velocities and scalars at zero.

    A position is what has to be shifted by c for the plant and the manifold to look the same around every
    origin, if the point of an oracle is shifted by c; a velocity is what must not be. Of several points, and of
    blocks where there are none, it is the first whose shift changes the fewest rates.
    """
    blocks = [s for s in loop.plant if isinstance(s, VectorSymbol)]
    drifts = [e for e in loop.free.values() if isinstance(e, Vector)]
    scalars = [e for e in loop.free.values() if not isinstance(e, Vector)]
    calls = {c for e in (*drifts, loop.manifold) for c in e.calls()}
    calls |= {c for e in scalars for c in scalar_calls(e)}
    ordered = sorted(calls, key=lambda c: c.key)
    points = [_row(c.point, blocks) for c in ordered]
    rates = [_row(e, blocks) for e in drifts]
    directions = [_row(d, blocks) for c in ordered for d in c.directions]
    still = [
        {s: sp.S.One} for s in blocks if any(s in _inside(e) for e in (*drifts, loop.manifold))
    ]

    best: tuple[int, list[sp.Expr]] | None = None
    for i, point in enumerate([*points, *({s: sp.S.One} for s in blocks)]):
        wanted = [(point, 1), *((r, 0) for r in rates)]
        wanted += [(p, 1) for p in points[:i] + points[i + 1 :]]
        wanted += [(r, 0) for r in (*directions, *still, _row(loop.manifold, blocks))]
        wanted += [({s: sp.S.One}, int(s == blocks[0])) for s in blocks]  # what is left open
        found = _solved(wanted, blocks, len(rates) + 1)
        if best is None or found[0] < best[0]:
            best = found
    assert best is not None
    moving = {loop.time}
    shifts = {
        s: zero if v.free_symbols & moving else start * v
        for s, v in zip(blocks, best[1], strict=True)
    }
    return {s: shifts.get(s, sp.S.Zero) for s in loop.plant}


def _solved(
    wanted: list[tuple[Row, int]], blocks: list[VectorSymbol], counted: int
) -> tuple[int, list[sp.Expr]]:
    """The shifts that meet each condition that does not contradict those before it, and how many of the first
    ``counted`` are not met."""
    unknown = {s: sp.Dummy(s.name) for s in blocks}
    equations: list[sp.Expr] = []
    missed = 0
    for i, (row, right) in enumerate(wanted):
        equation = sp.Add(*[c * unknown[s] for s, c in row.items()]) - right
        if equation == 0:
            continue
        if sp.linsolve([*equations, equation], *unknown.values()):
            equations.append(equation)
        else:
            missed += i < counted
    (solution,) = sp.linsolve(equations, *unknown.values())
    return missed, [canonical(v) for v in solution]


def _inside(e: Vector) -> set[Symbol]:
    """The symbols in nonlinear functions, oracles apart."""
    found = {s for a in e.terms if not isinstance(a, (Call, VectorSymbol)) for s in a.free_symbols}
    nodes = {n for c in e.terms.values() for n in c.atoms(ScalarNode)}
    return found | {s for n in nodes for a in n.arguments for s in a.free_symbols}


def _row(e: Vector, blocks: list[VectorSymbol]) -> Row:
    """The coefficients of the blocks in a vector; those that depend on vectors do not count."""
    found = {s: coefficient(e, s) for s in blocks}
    return {s: c for s, c in found.items() if c != 0 and not c.atoms(ScalarNode)}


def initial_values(
    loop: PassivityImmersion, init: Mapping[Symbol, Expr], first: sp.Expr, step: sp.Symbol
) -> dict[Symbol, Expr]:
    """The initial value of every block of the plant, in x0, parameters and oracles.

    Args:
        loop: the plant.
        init: those that are given, in x0 and in blocks, which stand for their own initial values.
        first, step: the first time, and the symbol of the step that it may contain.

    Raises OdescentError for values that refer to each other in a circle, or are not finite.
    """
    values = {**at_rest(loop), **init}
    blocks = set(values)
    for _ in values:
        if not any(symbols_of(e) & blocks for e in values.values()):
            break
        values = {
            s: substitute(e, {b: values[b] for b in blocks & symbols_of(e)})
            for s, e in values.items()
        }
    for s, e in values.items():
        if symbols_of(e) & blocks:
            raise OdescentError(
                f"the initial value of {text(s)} refers to itself through those of other blocks; give it in x0."
            )
    at_first = {} if loop.time is None else {loop.time: first}
    return {
        s: finite(f"the initial value of {text(s)}", substitute(e, at_first), first, step)
        for s, e in values.items()
    }


def finite(what: str, e: Expr, first: sp.Expr, step: sp.Symbol) -> Expr:
    """Simplify an initial value, provided that it is finite.

    Args:
        what: the value, for the message.
        e: the expression.
        first: the first time, for the message.
        step: the symbol of the step.

    Raises:
        OdescentError: the value is singular, for a step or as the step tends to zero.
    """
    if singular(e) or singular(substitute(e, {step: sp.S.Zero})):
        raise OdescentError(
            f"{what} is not finite at the first time, {text(first)}, or as the step tends to zero; give a clock that "
            "begins later, such as clock=1 + k * h, or another start by init=."
        )
    return tidy(e)
