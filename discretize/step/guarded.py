"""Guarded substeps as instructions: a choice between two branches, and a loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeAlias

import sympy as sp

from ..._support.errors import OdescentError, check_choice
from ...dynamics.algebra.calculus import Symbol
from ...dynamics.algebra.vectors import VectorSymbol
from ...dynamics.vector_fields.block import Block
from ..programs.guards import Guard
from ..programs.instructions import Choose, Instruction, Loop, StraightLine
from ..programs.program import Program
from ..programs.reuse import reuse_across_steps
from ..programs.substeps import Repeat, Select, Step
from .builder import CHOICE, LOOP, Builder

Perform: TypeAlias = Callable[[Builder, Iterable[Step]], None]  # takes substeps into a program


def select(builder: Builder, step: Select, perform: Perform) -> None:
    """Append a choice; its branches know all that is known before it.

    Args:
        builder: of the program.
        step: the substep.
        perform: takes the substeps of a branch.
    """
    guard = _guard(builder, step.condition)
    inner = [builder.within(CHOICE) for _ in range(2)]
    for own, steps in zip(inner, (step.accept, step.reject), strict=True):
        own.inside = builder.inside or CHOICE
        perform(own, steps)
    moved = [n for n, s in builder.state.items() if any(own.state[n] != s for own in inner)]
    made = {n: builder.symbol(n, builder.kinds[n]) for n in moved}
    accept, reject = (
        StraightLine(tuple(own.instructions), tuple(own.state[n] for n in moved)) for own in inner
    )
    builder.instructions.append(Choose(tuple(made.values()), guard, accept, reject))
    builder.keep(made, step.save, True)


def repeat(builder: Builder, step: Repeat, perform: Perform) -> None:
    """Append a loop over the blocks that its substeps move.

    Args:
        builder: of the program.
        step: the substep.
        perform: takes the substeps of an iteration.
    """
    count = _counter(builder, step)
    # Which blocks an iteration moves is seen in a trial; they are new symbols inside.
    trial = builder.within(LOOP, trial=True)
    trial.state |= _counted(step, count)
    begun = dict(trial.state)
    perform(trial, step.steps)
    moved = [n for n, s in trial.state.items() if s != begun[n]]
    if step.count in moved:
        raise OdescentError(
            f"the block {step.count} counts the iterations of a Repeat, so that its substeps cannot set it; take "
            "another block."
        )
    names = {n: builder.symbol(n, builder.kinds[n]) for n in moved}
    inner = builder.within(LOOP)
    inner.state |= {**names, **_counted(step, count)}
    perform(inner, step.steps)
    until = None if step.until is None else _guard(inner, step.until)
    known = {*names.values(), count}
    body = StraightLine(_without_fixed(builder, inner, known), tuple(inner.state[n] for n in moved))
    begin = tuple(builder.state[n] for n in moved)
    said = "" if step.until is None else str(step.until)
    loop = Loop(
        tuple(names.values()), begin, body, until, step.max_steps, count, step.fixed_point, said
    )
    builder.instructions.append(_without_repetitions(builder, loop))
    builder.keep({**names, **_counted(step, count)}, step.save, True)


def _without_repetitions(builder: Builder, loop: Loop) -> Loop:
    """The loop in which an iteration is not asked what the one before was: it is kept, as between steps."""
    pairs = list(zip(loop.names, loop.begin, strict=True))
    kinds = {s: s.kind if isinstance(s, VectorSymbol) else "scalar" for s in loop.names}
    blocks = tuple(Block(s.name, kinds[s], "memory", e) for s, e in pairs)
    after = dict(zip(loop.names, loop.body.values, strict=True))
    asked = () if loop.until is None else loop.until.expressions
    sides = {str(n): e for n, e in enumerate(asked)}
    iteration = Program(blocks, loop.body.instructions, after, sides)
    inside = {*loop.targets, *(s for i in loop.body.every for s in i.targets)}
    read = {s for i in loop.body.instructions for s in i.reads} - inside
    kept = reuse_across_steps(iteration, fixed=read, taken=builder.used, along=True)
    if kept.blocks == blocks:
        return loop
    builder.used |= {b.name for b in kept.blocks}
    rest = iter(kept.outputs.values())
    return replace(
        loop,
        names=kept.state,
        begin=tuple(builder.lower(b.init) for b in kept.blocks),
        body=StraightLine(kept.instructions, tuple(kept.next[s] for s in kept.state)),
        until=loop.until and loop.until.changed(lambda _: next(rest)),
    )


def _without_fixed(
    builder: Builder, inner: Builder, moving: set[Symbol]
) -> tuple[Instruction, ...]:
    """The instructions of an iteration; those that give the same in each of them are made before the loop.

    Args:
        builder: of the program outside, which gets these.
        inner: of an iteration.
        moving: the names that change from iteration to iteration.
    """
    kept: list[Instruction] = []
    for i in inner.instructions:
        if i.reads & moving or isinstance(i, (Choose, Loop)):
            kept.append(i)
            moving |= set(i.targets)
        else:
            builder.instructions.append(i)
    return tuple(kept)


def _guard(builder: Builder, guard: Guard) -> Guard:
    """A guard in the names of the program."""
    view = builder.view({})
    return guard.changed(lambda e: builder.lower(builder.seen(e, view)))


def _counter(builder: Builder, step: Repeat) -> sp.Symbol:
    """The symbol of the number of iterations."""
    if step.count is None:
        return sp.Symbol(builder.fresh("times", first=True), real=True)
    check_choice("block", step.count, builder.kinds)
    if builder.kinds[step.count] != "scalar":
        raise OdescentError(
            f"the count of a Repeat must be a scalar block, not the {builder.kinds[step.count]} {step.count}."
        )
    return sp.Symbol(builder.fresh(step.count), real=True)


def _counted(step: Repeat, count: sp.Symbol) -> dict[str, sp.Symbol]:
    return {} if step.count is None else {step.count: count}


__all__ = ["repeat", "select"]
