"""Steps with as few normal draws as their law needs.

Independent normals that enter linearly matter by their covariance alone: a step with the weights C on its draws has the
law of one with any weights L of the same L L^T. Cholesky's factor is the one that is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sympy as sp

from ...dynamics.algebra.calculus import Symbol, symbols_of
from ...dynamics.algebra.vectors import Expr, ScalarNode, Vector, VectorSymbol
from ..linear.matrices import cholesky_columns
from ..programs.program import CallOracle, Draw, Instruction, Program

Row = tuple[sp.Expr, ...]


def fewest_normals(program: Program, order: Sequence[int] | None = None) -> Program:
    """The program with its vector normals of one space in a triangular form, one draw for each rank.

    Args:
        program: with its draws.
        order: the places of its blocks, in the order in which the factor takes them; calls come before all.

    Returns:
        a program whose state has the same law; the same program where a draw enters otherwise than linearly, with a
        weight that depends on the step's calls, or where there is nothing to do.
    """
    flat = program.inlined()
    drawn = [d for d in flat.draws if _normal(d)]
    if not drawn or any(not isinstance(i, (CallOracle, Draw)) for i in flat.plain):
        return program
    symbols: list[VectorSymbol] = [d.target for d in drawn if isinstance(d.target, VectorSymbol)]
    spaces = flat._spaces()
    if len({spaces.of(s) for s in symbols}) != 1:
        return program
    state = [flat.blocks[i].symbol for i in order or range(len(flat.blocks))]
    calls = [c for c in flat.plain if isinstance(c, CallOracle)]
    places: dict[Any, Expr] = {id(c): c.point for c in calls} | {s: flat.next[s] for s in state}
    weights = {place: _weights(e, symbols, program) for place, e in places.items()}
    rows = [w for w in weights.values() if w is not None]
    others = [e for c in calls for e in c.expressions if e is not c.point]
    if len(rows) < len(weights) or any(set(symbols) & symbols_of(e) for e in others):
        return program
    weight = sp.Matrix(rows)
    columns = cholesky_columns(weight * weight.T, range(weight.rows))
    if len(columns) > len(symbols):
        return program
    kept = symbols[: len(columns)]
    row = {place: i for i, place in enumerate(places)}

    def rewritten(place: Any) -> Any:
        e = places[place]
        if not isinstance(e, Vector):
            return e
        fixed = Vector.of((a, c) for a, c in e.terms.items() if a not in symbols)
        drawn = ((s, c.get(row[place], sp.S.Zero)) for s, c in zip(kept, columns, strict=True))
        return fixed + Vector.of(drawn)

    like = next(s for s in state if spaces.of(s) == spaces.of(symbols[0]))
    instructions: list[Instruction] = []
    for i in flat.plain:
        if isinstance(i, CallOracle):
            instructions.append(replace(i, point=rewritten(id(i))))
        elif isinstance(i, Draw) and i.target in kept:
            instructions.append(replace(i, like=like))
        elif i.target not in symbols:
            instructions.append(i)
    return replace(
        flat, instructions=tuple(instructions), next={s: rewritten(s) for s in flat.state}
    )


def _normal(d: Draw) -> bool:
    """Whether a vector of independent standard normals is drawn."""
    plain = isinstance(d.target, VectorSymbol) and not d.operates
    return plain and d.law in ("", "normal")


def _weights(e: Expr, draws: Sequence[Symbol], program: Program) -> Row | None:
    """The weights of an expression on the draws, which are known before the step; None where they are no such."""
    if not isinstance(e, Vector):
        return None if set(draws) & symbols_of(e) else tuple(sp.S.Zero for _ in draws)
    known = {*program.parameters, *program.state, program.counter}
    weights = tuple(e.terms.get(d, sp.S.Zero) for d in draws)
    fine = all(c.free_symbols <= known and not c.atoms(ScalarNode) for c in weights)
    rest = Vector.of((a, c) for a, c in e.terms.items() if a not in draws)
    return weights if fine and not set(draws) & symbols_of(rest) else None
