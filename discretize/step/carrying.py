"""What a step has computed at a point that it keeps, carried to the next step instead of computed again.

A choice may leave a block where it is, as a rejected step does. What was asked there (a gradient, a value) is then
known to the next step; where the block moves, it is asked at the new point, at the end of the step instead of the
beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import sympy as sp

from ...dynamics.algebra.calculus import Symbol, change, substitute
from ...dynamics.algebra.oracles import Oracle
from ...dynamics.algebra.vectors import Call, Expr, ScalarNode, Vector, VectorSymbol
from ...dynamics.vector_fields.block import Block
from ..programs.meanings import Meanings
from ..programs.program import Assign, CallOracle, Choose, Instruction, Program, StraightLine


@dataclass(frozen=True)
class _Asked:
    """What is asked at a block: a call of an oracle, or a value.

    Attributes:
        block: where it is asked.
        name: of its result.
        at: the same asked elsewhere, as an expression.
    """

    block: VectorSymbol
    name: str
    at: Callable[[Expr], Expr]


def carried_by_choices(program: Program, calls: bool = True) -> Program:
    """The program that keeps what it has asked where a choice leaves a block in its place.

    Without ``calls``, values of functions alone.
    """
    while (found := _worth_keeping(program, calls)) is not None:
        program = _carried(program, *found)
    return program


def _worth_keeping(program: Program, calls: bool) -> tuple[Choose, _Asked, Expr] | None:
    """A choice that may leave a block where it is, and what is asked there at the beginning of each step."""
    for i in program.instructions:
        if not isinstance(i, Choose):
            continue
        for s in (
            s for s, e in program.next.items() if e in i.names and isinstance(s, VectorSymbol)
        ):
            if not _stays(i, s, program.next[s]):
                continue
            for asked, what in _asked_at(program, s):
                if calls or not isinstance(what, Vector):
                    return i, asked, what
    return None


def _stays(i: Choose, s: Symbol, name: Expr) -> bool:
    """Whether a branch of the choice leaves a block where it is."""
    values = [b.values[i.names.index(name)] for b in i.branches]
    inner = [
        (j, v) for b, v in zip(i.branches, values, strict=True) for j in _choices(b) if v in j.names
    ]
    return s in values or any(_stays(j, s, v) for j, v in inner)


def _choices(branch: StraightLine) -> list[Choose]:
    return [j for j in branch.instructions if isinstance(j, Choose)]


def _asked_at(program: Program, s: VectorSymbol) -> list[tuple[_Asked, Expr]]:
    """What is asked at a block of the state in each step: plain calls and values, with what stands for each."""
    found: list[tuple[_Asked, Expr]] = []
    values = _meanings(program.instructions)
    if not next(b.init for b in program.blocks if b.symbol == s):
        return found  # a run would begin with a call at zero, which has no shape in optimizers
    for i in program.instructions:
        if isinstance(i, CallOracle) and values(i.point) == s:
            plain = not i.directions and not i.parameters and i.implicit == 0
            found += (
                [(_Asked(s, i.target.name, partial(_call, i.oracle)), i.target)] if plain else []
            )
    nodes = {n for e in _at_once(program) for n in e.atoms(ScalarNode)}
    for node in sorted((n for n in nodes if n.kind == "value" and n.arguments == (s,)), key=str):
        name = f"{node.oracle.of if node.oracle else 'f'}_value"

        def value(p: Expr, node: ScalarNode = node) -> sp.Expr:
            return node.rebuild(lambda _: p)

        found.append((_Asked(s, name, value), node))
    return found


def _call(oracle: Oracle, point: Expr) -> Expr:
    assert isinstance(point, Vector)
    return Call(oracle, point)


def _at_once(program: Program) -> list[sp.Expr]:
    """The scalars that every step computes, whatever its guards say."""
    found: list[Expr] = [*program.next.values()]
    for i in program.instructions:
        found += (
            i.guard.expressions
            if isinstance(i, Choose)
            else i.expressions
            if not hasattr(i, "branches")
            else ()
        )
    return [c for e in found for c in (getattr(e, "terms", None) or {0: e}).values()]


def _meanings(instructions: tuple[Instruction, ...], known: Meanings | None = None) -> Meanings:
    values = Meanings() if known is None else known.copied()
    for i in instructions:
        if isinstance(i, Assign):
            values.define(i.target, i.value)
    return values


def _carried(program: Program, choice: Choose, asked: _Asked, what: Expr) -> Program:
    """The program with a memory of what is asked at the beginning of a step."""
    taken = {s.name for s in (*program.state, *program.parameters, *program.defined)}

    def fresh(stem: str) -> str:
        name = next(n for n in (stem, *(f"{stem}_{k}" for k in range(1, 999))) if n not in taken)
        taken.add(name)
        return name

    def symbol(stem: str) -> Symbol:
        name = fresh(stem)
        vector = isinstance(what, VectorSymbol)
        return VectorSymbol(name) if vector else sp.Symbol(name, real=True)

    kept = symbol(f"{asked.name}_kept")
    # What was asked before the choice or in a branch is found by what it was asked with.
    before = _meanings(program.instructions)
    calls = [i for i in program.instructions if isinstance(i, CallOracle)]

    def ending(
        branch: StraightLine, value: Expr, known: Meanings, made: list[CallOracle]
    ) -> tuple[StraightLine, Expr]:
        """A branch with what it leaves for the next step."""
        if value == asked.block:
            return branch, kept
        for j in _choices(branch):
            if value in j.names:
                more, name = extended(j, value, known, made)
                listed = tuple(more if i is j else i for i in branch.instructions)
                return replace(branch, instructions=listed), name
        wanted = asked.at(value)
        if isinstance(wanted, sp.Expr):
            return branch, wanted
        inside = _meanings(branch.instructions, known)
        own = [i for i in branch.instructions if isinstance(i, CallOracle)]
        for c in (*made, *own):
            if c.implicit == 0 and inside(c.as_call()) == inside(wanted):
                return branch, c.target
        assert isinstance(wanted, Call)
        call = CallOracle(VectorSymbol(fresh(f"{asked.name}_there")), wanted.oracle, wanted.point)
        return replace(branch, instructions=(*branch.instructions, call)), call.target

    def extended(
        i: Choose, name: Expr, known: Meanings, made: list[CallOracle]
    ) -> tuple[Choose, Symbol]:
        """A choice that gives what is kept a value too, where ``name`` is its name of the block."""
        place = i.names.index(name)
        ends = [ending(b, b.values[place], known, made) for b in i.branches]
        target = symbol(f"{asked.name}_next")
        accept, reject = (StraightLine(b.instructions, (*b.values, v)) for b, v in ends)
        return replace(i, names=(*i.names, target), accept=accept, reject=reject), target

    more, target = extended(choice, program.next[asked.block], before, calls)
    begin = {b.symbol: b.init for b in program.blocks}
    here = asked.at(asked.block)
    kind = "vector" if isinstance(kept, VectorSymbol) else "scalar"
    # The block and the choice, with the memory in the place of what was asked.
    listed = tuple(
        more if i is choice else i
        for i in program.instructions
        if not (isinstance(i, CallOracle) and i.target == what)
    )
    whole = replace(program, instructions=listed, next={**program.next})

    def rule(e: Expr) -> Expr | None:
        return kept if e == what else None

    renamed = whole.rewritten(lambda e: change(e, rule))
    blocks = tuple(
        replace(b, init=o.init) for b, o in zip(renamed.blocks, program.blocks, strict=True)
    )
    memory = Block(kept.name, kind, "memory", substitute(here, begin))
    return replace(
        renamed,
        blocks=(*blocks, memory),
        next={**renamed.next, kept: target},
        held={**program.held, kept: here},
    )


__all__ = ["carried_by_choices"]
