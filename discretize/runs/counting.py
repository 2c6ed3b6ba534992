"""Counts of what is known in a run alone: a method with one more scalar block for each, which its steps advance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import sympy as sp

from ...dynamics.algebra.vectors import Vector
from ...dynamics.vector_fields.block import Block
from ..emit.lowering.domains import lowered_of
from ..emit.lowering.names import Naming
from ..emit.lowering.statements import ChooseLet, LoopLet, Routine, inside
from ..programs.instructions import (
    Assign,
    CallOracle,
    Choose,
    Instruction,
    Loop,
    StraightLine,
)
from ..step.iteration import Iteration
from .clock import RunClock
from .cost import EXAMPLES, SIZED, asked
from .ending import Spent
from .trajectory import Trajectory

REJECTIONS, ITERATIONS = "rejections", "iterations"


@lru_cache(maxsize=256)
def counted(algorithm: Iteration) -> Iteration:
    """The algorithm with blocks for what its guards decide: `counters` has their names, by what they count.

    Counted are evaluations inside of choices and loops by kind, how often a choice took its second list (rejections),
    and the iterations of loops; and examples, where a step says how many it takes. Without either the algorithm is
    returned as it is.
    """
    program = algorithm.program
    if not program.guarded and not _examples(program.instructions):
        return algorithm
    step = lowered_of(algorithm, Naming()).step
    taken = {s.name for s in (*program.state, *program.parameters, *program.defined)}
    taken |= algorithm.reserved()
    kinds = (_kinds(step) | {*_sized(step)}) - _lost(step)
    counters = {kind: _fresh(kind, taken) for kind in sorted(kinds)}
    instructions, after = program.instructions, dict(program.next)
    for kind, s in counters.items():
        begun = s + _examples(instructions) if kind == EXAMPLES else s
        instructions, after[s] = _Count(kind, taken).through(instructions, step, begun)
    blocks = tuple(Block(s.name, "scalar", "memory", sp.S.Zero) for s in counters.values())
    made = algorithm.with_program(
        replace(program, blocks=(*program.blocks, *blocks), instructions=instructions, next=after)
    )
    made.counters = {kind: s.name for kind, s in counters.items()}
    return made


def with_counts(done: Trajectory, cost: Sequence[Spent], clock: RunClock) -> Trajectory:
    """With what was asked for in place of the blocks that count it."""
    decided = {c.kind: c.decided(done.states) for c in cost if c.counters}
    static = tuple((c.kind, c.begun, c.each) for c in cost)
    return replace(done, cost=static, counted=decided, states=clock.visible(done.states))


def _fresh(kind: str, taken: set[str]) -> sp.Symbol:
    """The symbol of a scalar block for a count, with a name that is not taken, which then is."""
    name = f"counted_{kind}".replace(" ", "_")
    free = next(
        n for n in (name, *(f"{name}_{i}" for i in range(len(taken) + 1))) if n not in taken
    )
    taken.add(free)
    return Block(free, "scalar", "memory", sp.S.Zero).symbol


def _kinds(routine: Routine) -> set[str]:
    """What is counted inside of a routine's choices and loops."""
    return {kind for s in _guarded(routine) for kind in _of(s)}


def _of(s: ChooseLet | LoopLet) -> set[str]:
    """What is counted inside of a choice or a loop, and of it."""
    found = {ITERATIONS} if isinstance(s, LoopLet) else {REJECTIONS}
    return found.union(*({*asked(r), *_sized(r)} | _kinds(r) for r in inside(s)))


def _sized(routine: Routine) -> list[str]:
    """The count of examples, where a routine asks for gradients of batches whose size it says."""
    return [EXAMPLES] if SIZED in asked(routine) else []


def _examples(instructions: Sequence[Instruction]) -> sp.Expr:
    """How many rows these take in batches whose size they say, outside of choices and loops."""
    asks = (i for i in instructions if isinstance(i, CallOracle) and i.oracle.kind == "batch")
    return sp.Add(*(sp.ceiling(size) for i in asks for size in i.parameters[1:]))


def _lost(routine: Routine) -> set[str]:
    """What guards decide in a loop to a fixed point: it has no count, since a count has no fixed point."""
    found: set[str] = set()
    for s in _guarded(routine):
        ends = isinstance(s, LoopLet) and s.ended == "fixed point"
        for inner in inside(s):
            found |= _kinds(inner) if ends else _lost(inner)
    return found


def _guarded(routine: Routine) -> list[ChooseLet | LoopLet]:
    return [s for s in routine.statements if isinstance(s, (ChooseLet, LoopLet))]


def _only_counts(i: Choose) -> bool:
    """Whether a choice changes nothing but scalars by one, as a claim does: then its second list rejects nothing."""
    made: list[set[sp.Symbol]] = []
    for line in (i.accept, i.reject):
        targets: set[sp.Symbol] = set()
        for j in line.instructions:
            if isinstance(j, Choose) and _only_counts(j):
                targets |= {*j.names}
            elif not isinstance(j, Assign) or isinstance(j.value, Vector):
                return False
            elif (j.value - 1).is_Symbol:
                targets.add(j.target)
            else:
                return False
        made.append(targets)
    sides = zip(i.accept.values, i.reject.values, strict=True)
    return all(a == b or a in made[0] or b in made[1] for a, b in sides)


class _Count:
    """One count, carried through the choices and loops of a program beside the statements that it is compiled to."""

    def __init__(self, kind: str, taken: set[str]) -> None:
        self.kind, self.taken = kind, taken

    def through(
        self, instructions: Sequence[Instruction], routine: Routine, value: sp.Expr
    ) -> tuple[tuple[Instruction, ...], sp.Expr]:
        """The instructions with the count in them, and the count after them.

        Args:
            instructions: of the program.
            routine: what they are compiled to.
            value: the count before them.
        """
        compiled = iter(_guarded(routine))
        listed: list[Instruction] = []
        for i in instructions:
            s = next(compiled) if isinstance(i, (Choose, Loop)) else None
            if isinstance(i, Choose) and isinstance(s, ChooseLet) and self.kind in _of(s):
                i, value = self.choice(i, s, value)
            elif isinstance(i, Loop) and isinstance(s, LoopLet) and self.kind in _of(s):
                i, value = self.loop(i, s, value)
            listed.append(i)
        assert next(compiled, None) is None, "a step is compiled in the order of its program"
        return tuple(listed), value

    def choice(self, i: Choose, s: ChooseLet, value: sp.Expr) -> tuple[Choose, sp.Expr]:
        """A choice that also chooses the count."""
        name = _fresh(self.kind, self.taken)
        accept = self.branch(i.accept, s.accept, value)
        rejected = self.kind == REJECTIONS and not _only_counts(i)
        reject = self.branch(i.reject, s.reject, value + int(rejected))
        return replace(i, names=(*i.names, name), accept=accept, reject=reject), name

    def branch(self, line: StraightLine, routine: Routine, value: sp.Expr) -> StraightLine:
        """A branch, which ends with the count too."""
        within, value = self.through(
            line.instructions, routine, value + self.amount(line.instructions, routine)
        )
        return StraightLine(within, (*line.values, value))

    def amount(self, instructions: Sequence[Instruction], routine: Routine) -> sp.Expr:
        """What is asked for outside of choices and loops."""
        if self.kind == EXAMPLES:
            return _examples(instructions)
        return sp.Integer(asked(routine)[self.kind])

    def loop(self, i: Loop, s: LoopLet, value: sp.Expr) -> tuple[Loop, sp.Expr]:
        """A loop: so much an iteration, and what guards in it decide, which it carries along."""
        each = asked(s.body)[self.kind] + int(self.kind == ITERATIONS)
        if self.kind != EXAMPLES and self.kind not in _kinds(s.body):
            return i, value + each * i.count
        name = _fresh(self.kind, self.taken)
        body = self.branch(i.body, s.body, name)
        return replace(i, names=(*i.names, name), begin=(*i.begin, value), body=body), name
