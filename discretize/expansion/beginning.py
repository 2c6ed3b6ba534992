"""Where a step begins: a cyclic shift of the scheme after which memories of samples are assigned before they are read.

A step that moves the state by what the one before has measured is the step that measures and moves, begun elsewhere:
with A = move o measure and B = measure o move, move o B = A o move. Where ``measure`` assigns memories alone, the
states between the steps of B are those of A, one step later, so that they have its limit flow and its modified
equation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dynamics.algebra.calculus import Symbol, symbols_of
from ...dynamics.algebra.vectors import Expr
from ...dynamics.samples.sample import samples_in
from ..programs.substeps import Flow, Let, Step

if TYPE_CHECKING:
    from ..step.iteration import Iteration


def begun_with_memories(algorithm: Iteration) -> Iteration:
    """The algorithm begun where memories of samples are assigned; itself where its step does not end so."""
    found: Iteration | None = algorithm.kept.get("begun with memories")
    if found is None:
        count = _assigned_last(algorithm)
        found = algorithm
        if count:
            from ..step.iteration import taken_as_consistent

            with taken_as_consistent():
                found = algorithm.replace(scheme=algorithm.scheme.shifted(-count))
        algorithm.kept["begun with memories"] = found
    return found


def _assigned_last(algorithm: Iteration) -> int:
    """How many substeps at the end of a step assign memories alone, samples among what they assign; else 0."""
    memories = {b.symbol for b in algorithm.system.blocks if b.role == "memory"}
    steps = algorithm.scheme.steps
    timed = algorithm.system.time is not None or algorithm.program.counter is not None
    if not memories or timed or algorithm.scheme.guarded or any(map(_staged, steps)):
        return 0
    count, sampled = 0, False
    while count < len(steps):
        last = steps[-1 - count]
        if not isinstance(last, Let) or not {*last.assign} <= memories:
            break
        count, sampled = count + 1, sampled or bool(samples_in(last.assign.values()))
    return count if sampled and count < len(steps) else 0


def _staged(step: Step) -> bool:
    """Whether a substep saves or reads stages, which a shift would move to another step."""
    return not isinstance(step, (Flow, Let)) or step.save is not None or bool(step.read)


def unread(update: dict[Symbol, Expr], memories: list[Symbol]) -> set[Symbol]:
    """The memories whose values of the step before nothing reads, not even memories: they are values of a step."""
    read = {s: symbols_of(e) for s, e in update.items()}
    wanted = {s for s in update if s not in memories}
    while more := {m for s in wanted for m in read[s] if m in memories} - wanted:
        wanted |= more
    return {m for m in memories if m not in wanted and not read[m] & {*memories}}
