"""Algorithms as inner methods: one step as expressions, for searches for implicit functions."""

from __future__ import annotations

from typing import Any

import sympy as sp

from ..._support.errors import NotCarried, OdescentError
from ...dynamics.algebra.calculus import Symbol, symbols_of
from ...dynamics.algebra.vectors import Expr, Vector
from ...dynamics.implicit.search import START, InnerMethod
from .program import Program


def inner_method(program: Program, name: str) -> InnerMethod:
    """A step of a method as an inner method.

    Args:
        program: of the tuned method, as it was compiled.
        name: the method's, for messages.

    Raises:
        OdescentError: it has parameters without numbers, is random, has guards, or asks for more than the gradient of
            one function.
    """
    told = name or "the algorithm"
    if program.parameters:
        first = program.parameters[0]
        raise OdescentError(
            f"{told} needs a number for each parameter to be an inner method, and {first} has none: give it, as in "
            f'od.algorithm("{name or "gradient_descent"}", {first}=...).'
        )
    if program.draws:
        raise OdescentError(f"{told} is random, and an inner method must come to rest.")
    asked = [o for o in program.oracles if o.kind != "grad" or o.args]
    asked += [c.oracle for c in program.calls if c.directions or c.implicit != 0]
    if asked or len(program.oracles) != 1:
        more = asked[0].name if asked else f"{len(program.oracles)} functions"
        raise OdescentError(
            f"{told} asks for {more}, and an inner method for the gradient of one function only."
        )
    try:
        ahead = program.update_map()
    except (NotCarried, OdescentError) as error:
        raise OdescentError(f"{told} is no inner method: {error}") from None
    state: list[Symbol] = [b.symbol for b in program.blocks]
    output: Any = program.outputs["x"]
    if not isinstance(output, Vector) or any(b.keeps for b in program.blocks):
        raise OdescentError(
            f"{told} is no inner method: it must return a vector, and keep no window of earlier ones."
        )
    begin: list[Expr] = [b.init for b in program.blocks]
    after: list[Expr] = [ahead[s] for s in state]
    if program.counted and program.counter is not None:
        state.append(program.counter)
        begin.append(sp.S.Zero)
        after.append(program.counter + 1)
    own = {START, *state}
    assert not {s for e in (*begin, *after, output) for s in symbols_of(e)} - own
    return InnerMethod(
        told, tuple(state), tuple(begin), tuple(after), output, len(state) > len(program.blocks)
    )
