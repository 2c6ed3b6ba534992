"""Calls that an earlier step, or an earlier iteration of a loop, has made: kept in memories instead of made again."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ...dynamics.algebra.calculus import Symbol, substitute
from ...dynamics.algebra.direct_sums import points_of
from ...dynamics.algebra.vectors import VectorSymbol
from ...dynamics.vector_fields.block import Block
from .meanings import Meanings
from .program import Assign, CallOracle, Program


def reuse_across_steps(
    program: Program,
    declared: Iterable[Block] | None = None,
    fixed: Iterable[Symbol] = (),
    taken: Iterable[str] = (),
    along: bool = False,
) -> Program:
    """A call that an earlier step has made is not made again, but kept in a memory block.

    It has to be the same call in everything that the oracle is asked with. What a call of the next step is asked
    with is known a step ahead only where it reads nothing but the state: not the step number or a draw, which are
    others in the next step, and no parameter, since those may be changed between two steps by a schedule. Nor is it
    kept where a run would begin with a call at zero, which has no shape in optimizers. Memories that nothing reads
    any more are left out, but for the ``declared`` blocks (all, by default).

    Args:
        program: one step.
        declared: blocks that are kept.
        fixed: symbols that are the same in every step, as those outside of a loop in each of its iterations.
        taken: names that no memory may have.
        along: whether products, calls along directions, are kept too; the start of a run has no products.

    Returns:
        the program, with memories among its blocks.
    """
    known = {*program.state, *fixed}
    held: list[CallOracle] = []  # the calls whose results are in memories, which are their targets
    while (found := _known_ahead(program, held, known, along)) is not None:
        again, now = found
        program, kept = _kept(program, again, now, {*taken})
        known.add(kept)
        held.append(replace(again, target=kept))
    if declared is None:
        return program
    read = program.alive(*(b.symbol for b in declared), *program.outputs.values())
    return read if len(read.blocks) < len(program.blocks) else program


def _known_ahead(
    program: Program, held: list[CallOracle], known_ahead: set[Symbol], along: bool
) -> tuple[CallOracle, Symbol] | None:
    """A call of the next step whose result this one has already, and the name of that result."""
    if len(program.calls) + len(held) < 2:
        return None
    now = Meanings()
    calls: list[CallOracle] = []
    for i in program.instructions:
        if isinstance(i, Assign):
            now.define(i.target, i.value)
        elif isinstance(i, CallOracle):
            calls.append(i.changed(now))
    after = Meanings({s: now(e) for s, e in program.next.items()})
    begin = {b.symbol: b.init for b in program.blocks}
    for again in calls:
        if not _reads_alone(again, known_ahead, along):
            continue
        if any(after.of(v) is None for v in (again.point, *again.directions)):
            continue
        if not all(points_of(again.oracle, substitute(again.point, begin))):
            continue
        ahead = again.changed(after)
        for known in (*calls, *held):
            drawn = known.reads & set(program.samples)  # never carried to the next step
            if known.target == again.target or drawn:
                continue
            if replace(known, target=again.target) == ahead:
                return again, known.target
    return None


def _kept(
    program: Program, again: CallOracle, now: Symbol, taken: set[str]
) -> tuple[Program, VectorSymbol]:
    """The program that has what ``now`` is in this step as the result of ``again`` in the next, and its memory."""
    taken |= {s.name for s in (*program.state, *program.parameters, *program.defined)}
    name = next(n for n in _candidates(f"{again.target.name}_kept") if n not in taken)
    kept = VectorSymbol(name, "matrix" if again.target.is_array else "vector")
    initial = {b.symbol: b.init for b in program.blocks}
    asked = substitute(again.as_call(), program.held)
    block = Block(kept.name, kept.kind, "memory", substitute(asked, initial))
    others = tuple(i for i in program.instructions if again.target not in i.targets)
    trimmed = replace(program, instructions=others)
    renamed = trimmed.bind({again.target: kept})
    blocks, after = (*renamed.blocks, block), {**renamed.next, kept: now}
    held = {**program.held, kept: asked}
    with_memory = replace(renamed, blocks=blocks, next=after, held=held)
    return with_memory.alive(*with_memory.state, *with_memory.outputs.values()), kept


def _reads_alone(c: CallOracle, known: set[Symbol], along: bool) -> bool:
    """Whether a call is a plain one (no parameter or implicit weight, no direction but ``along``) of these symbols."""
    plain = (along or not c.directions) and not c.parameters and c.implicit == 0
    return plain and c.reads <= known


def _candidates(stem: str) -> Iterator[str]:
    yield stem
    yield from (f"{stem}_{i}" for i in itertools.count(1))
