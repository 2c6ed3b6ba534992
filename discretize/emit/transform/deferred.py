"""Steps that end with a gradient at their new point, rearranged to begin with it."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from ....dynamics.algebra.calculus import Symbol, coefficient, substitute, symbols_of, tidy
from ....dynamics.algebra.exact import is_zero
from ....dynamics.algebra.vectors import Expr, Vector, VectorSymbol, call
from ....dynamics.vector_fields.block import start
from ...programs.program import CallOracle, Program


def plain_gradient(c: CallOracle) -> bool:
    """Whether the call is what a gradient that comes in can stand for."""
    plain = not c.directions and not c.parameters and c.implicit == 0
    return plain and c.oracle.kind in ("grad", "operator")


def deferred(program: Program) -> Program:
    """One gradient a step, at a block, for a step that ends with a gradient at its new point.

    What such a step adds at its end, c g, waits until the next step brings g: a block s holds s - c g
    in between, from its own start on. A program of another form is returned as it is.
    """
    flat = program.inlined()
    if len(flat.calls) != 1 or program.draws or not plain_gradient(flat.calls[0]):
        return program
    # The block that keeps the gradient, and the one whose next value is where it is taken.
    (last,) = flat.calls
    kept = [b for b in program.blocks if flat.next[b.symbol] == last.target]
    moved = [b for b in program.blocks if flat.next[b.symbol] == last.point and b.init == start]
    if len(kept) != 1 or not moved or kept[0].init != call(last.oracle, start):
        return program
    gradient, place = kept[0].symbol, moved[0].symbol
    # What each other block adds of the gradient at its end: constant multiples, or this form does not exist.
    waiting: dict[Symbol, sp.Expr] = {}
    for b in program.blocks:
        after = flat.next[b.symbol]
        if b in kept or last.target not in symbols_of(after):
            continue
        if not isinstance(after, Vector):
            return program
        c = coefficient(after, last.target)
        linear = last.target not in symbols_of(after - last.target * c)
        if not linear or symbols_of(c) - set(program.parameters) or is_zero(c):
            return program
        waiting[b.symbol] = c
    if symbols_of(program.outputs["x"]) & {*waiting, gradient}:
        return program
    assert isinstance(place, VectorSymbol)
    # The program in the blocks that wait: the gradient comes first, and is added to them there.
    vectors = {s: c for s, c in waiting.items() if isinstance(s, VectorSymbol)}
    whole: dict[Symbol, Expr] = {s: s + last.target * c for s, c in vectors.items()}
    whole[gradient] = last.target
    blocks, following = [], {}
    for b in program.blocks:
        if b in kept:
            continue
        after, init = flat.next[b.symbol], b.init
        if b.symbol in waiting:
            assert isinstance(after, Vector) and isinstance(init, Vector)
            after = after - last.target * waiting[b.symbol]
            init = init - call(last.oracle, start) * waiting[b.symbol]
        blocks.append(replace(b, init=init))
        following[b.symbol] = tidy(substitute(after, whole))
    asked = replace(last, point=place)
    return replace(program, blocks=tuple(blocks), instructions=(asked,), next=following)
