"""Memories that keep a sample of the step before: their counters, from which the sample is made again.

A sample is a function of normals, and normals of a place in a generator: a key, a seed, a state. So a memory that is a
sample needs no vector; emitted code holds the place and draws the sample again where it is read. That asks for a start
at which the sample does not matter, as with a move of length zero, since no sample was drawn before the first step.
"""

from __future__ import annotations

from dataclasses import dataclass

from ....dynamics.algebra.calculus import Symbol, substitute, symbols_of, tidy
from ....dynamics.algebra.vectors import Expr, Vector, VectorSymbol
from ...programs.program import Draw, Program


@dataclass(frozen=True)
class KeptSample:
    """A memory that is a function of one draw.

    Attributes:
        block: its symbol.
        draw: of the step that assigns it.
        value: the function, of the target of the draw.
    """

    block: VectorSymbol
    draw: Draw
    value: Vector


def kept_samples(program: Program) -> dict[str, KeptSample]:
    """The memories of a program without guards that hold one sample each, by name."""
    if program.guarded or program.counts or not program.draws:
        return {}
    flat = program.inlined()
    drawn = {d.target: d for d in program.draws if isinstance(d.target, VectorSymbol)}
    begin: dict[Symbol, Expr] = {b.symbol: b.init for b in program.blocks if b.kind == "scalar"}
    found = {}
    for b in program.blocks:
        value = flat.next[b.symbol]
        own = symbols_of(value)
        if b.kind != "vector" or len(own) != 1 or not own <= drawn.keys():
            continue
        others = {s: e for s, e in begin.items() if s != b.symbol}
        read = [e for s, e in flat.next.items() if s != b.symbol]
        read += [e for i in flat.plain if not isinstance(i, Draw) for e in i.expressions]
        read += flat.outputs.values()
        if any(b.symbol in symbols_of(tidy(substitute(e, others))) for e in read):
            continue  # the start matters
        (target,) = own
        assert isinstance(b.symbol, VectorSymbol) and isinstance(value, Vector)
        found[b.name] = KeptSample(b.symbol, drawn[target], value)
    return found
