"""A program of several groups of parameters as one program for each: its own blocks, with its own gradient."""

from __future__ import annotations

from dataclasses import replace

from ...._support.errors import NotCarried
from ....dynamics.algebra.calculus import Symbol, symbols_of
from ....dynamics.algebra.direct_sums import points_of
from ....dynamics.algebra.oracles import Oracle
from ....dynamics.algebra.vectors import VectorSymbol
from ....dynamics.vector_fields.block import Block, start
from ...programs.program import CallOracle, Instruction, Program
from ..backend import groups_of


def by_group(program: Program) -> dict[str, Program]:
    """The program of each group by its name, in one oracle, the gradient in the group's own parameters.

    A group's program has the blocks on which that of its name depends, and starts with this one at x0; its output is
    the block. Scalars that several groups read are kept by each. A program without groups is returned under "".

    Raises:
        NotCarried: a group reads a gradient or a block of another one.
    """
    names = groups_of(program)
    if not names:
        return {"": program}
    return {name: _of_group(program, name, names) for name in names}


def _of_group(program: Program, name: str, names: tuple[str, ...]) -> Program:
    own: list[Instruction] = []
    foreign: set[Symbol] = {VectorSymbol(n) for n in names if n != name}
    for i in program.instructions:
        if not isinstance(i, CallOracle) or i.oracle.form.registered:
            own.append(i)
        elif i.oracle.slot == name:
            point = points_of(i.oracle, i.point)[names.index(name)]
            own.append(replace(i, oracle=Oracle(i.oracle.kind, i.oracle.of), point=point))
        else:
            foreign.add(i.target)
    symbol = VectorSymbol(name)
    blocks = tuple(_started(b, symbol) for b in program.blocks)
    whole = replace(program, blocks=blocks, instructions=tuple(own), outputs={"x": symbol})
    kept = whole.alive(symbol)
    read = set(kept.state).union(*(symbols_of(e) for e in kept.expressions()))
    if met := sorted(str(s) for s in read & foreign):
        raise NotCarried(
            f"emitted code treats each group of parameters by itself, but {name} depends on {met[0]}, which belongs "
            "to another group."
        )
    return kept


def _started(b: Block, symbol: VectorSymbol) -> Block:
    """The block, which starts at the group's parameters if it is the one that holds them."""
    return replace(b, init=start) if b.symbol == symbol else b
