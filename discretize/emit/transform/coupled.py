"""Methods whose blocks lie in several spaces as one transformation: the parameters are those of each space, by name."""

from __future__ import annotations

from dataclasses import replace

from ...._support.errors import NotCarried
from ....dynamics.algebra.calculus import Symbol, substitute, tidy
from ....dynamics.algebra.vectors import Expr, Vector, VectorSymbol, zero
from ....dynamics.vector_fields.block import Block, start
from ...programs.program import Assign, Program
from ..backend import groups_of
from .plan import Plan


def is_coupled(program: Program) -> bool:
    """Whether blocks lie in several spaces, or functions of several are called; groups that move apart are no such."""
    several = len(_spaces(program)) > 1 or any(o.args for o in program.oracles)
    return several and not groups_of(program)


def placed(program: Program) -> tuple[Block, ...]:
    """The blocks that the parameters hold, one for each space: that which begins there, else the first.

    Raises:
        NotCarried: no block begins at x0.
    """
    found = []
    for number, blocks in _spaces(program).items():
        begun = [b for b in blocks if b.init == start] if number == 0 else blocks
        if not begun:
            raise NotCarried("no block begins at the parameters.")
        output = [b for b in begun if b.symbol == program.outputs["x"]]
        found.append((output or begun)[0])
    return tuple(found)


def keys_of(program: Program, renamed: Program) -> dict[str, str]:
    """What each block that the parameters hold is called by a person, by its name in the renamed program."""
    own = {new.name: b.name for b, new in zip(program.blocks, renamed.blocks, strict=True)}
    return {b.name: own[b.name] for b in placed(renamed)}


def coupled_plan(program: Program) -> Plan:
    """The transformation: all blocks stay in the program, where placed ones are moved by what they are to be next.

    Raises:
        NotCarried: oracles make the memory.
    """
    if any(isinstance(b.init, Vector) and b.init.calls() for b in program.blocks):
        raise NotCarried(
            "emitted optax code of blocks in several spaces has no oracles that make their memory."
        )
    assigned = {i.target: i.value for i in program.instructions if isinstance(i, Assign)}
    moved: dict[Symbol, Expr] = {}
    for b in placed(program):  # by its displacement, which is no difference of two points
        ahead = program.next[b.symbol]
        moved[b.symbol] = tidy(substitute(ahead, assigned) - b.symbol)
    made = replace(program, next={**program.next, **moved})
    kept = made.alive(*made.next.values(), *made.outputs.values())
    return Plan(kept, None, zero, True, {})


def _spaces(program: Program) -> dict[int, list[Block]]:
    """The vector blocks by the number of their space; that of x0 is zero."""
    found: dict[int, list[Block]] = {}
    for b, number in zip(program.blocks, program.classes, strict=True):
        if isinstance(b.symbol, VectorSymbol) and not b.operates and not b.keeps:
            found.setdefault(number, []).append(b)
    return found
