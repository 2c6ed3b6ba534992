"""The compiler of schemes: symbolic execution of a scheme's substeps on a system, as a program."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import sympy as sp

from ..._support.errors import OdescentError
from ...dynamics.algebra.calculus import Symbol, substitute, symbols_of
from ...dynamics.algebra.operators import check_symmetric
from ...dynamics.algebra.vectors import Expr, VectorSymbol
from ...dynamics.flows.system import System
from ...dynamics.samples.sample import VectorSample, samples_in
from ...dynamics.vector_fields.block import Block
from ..programs.meanings import Meanings
from ..programs.program import Assign, CallOracle, Draw, Program
from ..programs.stages import STAGED, refuse_staged
from ..programs.substeps import Flow, Repeat, Scheme, Select, Step, Sweep, expressions_of
from . import increments as noise_of
from .builder import Builder
from .guarded import repeat, select
from .integrate import advance
from .sweep import sweep

COUNTER = sp.Symbol("k", integer=True, nonnegative=True)  # the step number


def compile_scheme(
    system: System,
    scheme: Scheme,
    step: sp.Symbol,
    clock: sp.Expr | None,
    outputs: Mapping[str, Expr],
    reserved: Iterable[str] = (),
) -> Program:
    """Compile one step of the scheme on the system.

    Args:
        system: fields and blocks.
        scheme: the substeps.
        step: the symbol of the step h.
        clock: the time of step k, or None for an autonomous system.
        outputs: recorded expressions by name.
        reserved: names that fresh symbols avoid.

    Raises:
        OdescentError: unknown fields or blocks, or an integrator that does not fit its fields.
    """
    builder = Builder(system, step, clock, {*reserved, *_names_in(scheme)})
    refuse_staged(f"the system {system.name}".strip(), system.drift.values())
    try:
        _perform(builder, scheme.steps)
    except Misfit as error:
        raise type(error.reason)(
            f"substep {error.place} of the scheme ({scheme.name or 'unnamed'}): {error.reason}"
        ) from None
    after = {b.symbol: builder.state[b.name] for b in system.blocks}
    memories = builder.memories()
    after |= {b.symbol: value for b, value in memories.items()}
    program = Program(
        (*system.blocks, *memories),
        (*_draws(builder, after), *builder.instructions),
        after,
        outputs,
        None if clock is None else COUNTER,
    )
    program = program.alive(*program.state)
    for s in (b.symbol for b in program.blocks if b.kind == "symmetric"):
        check_symmetric(s, _written_out(program, s), "its value after a step")
    return program


class Misfit(Exception):
    """What is wrong with a substep, and its number, as 2.1 for the first one in the second."""

    def __init__(self, place: str, reason: OdescentError) -> None:
        super().__init__(place)
        self.place, self.reason = place, reason


def _perform(builder: Builder, steps: Iterable[Step]) -> None:
    """Take substeps into a program, one after the other."""
    for i, part in enumerate(steps, 1):
        try:
            if isinstance(part, Sweep):
                block, made = sweep(builder, part)
                builder.keep({block.name: made}, part.save, part.commit)
            elif isinstance(part, Flow):
                _flow(builder, part)
            elif isinstance(part, Select):
                select(builder, part, _perform)
            elif isinstance(part, Repeat):
                repeat(builder, part, _perform)
            else:
                builder.let(part)
        except Misfit as inner:
            raise Misfit(f"{i}.{inner.place}", inner.reason) from None
        except OdescentError as error:
            raise Misfit(str(i), error) from None


def _written_out(program: Program, block: VectorSymbol) -> Expr:
    """The next value of a block without the names of the step; calls keep theirs."""
    value = program.next[block]
    for i in reversed(program.instructions):
        if isinstance(i, Assign) and i.target in symbols_of(value):
            value = substitute(value, {i.target: i.value})
    return value


def _draws(builder: Builder, after: Mapping[Symbol, Expr]) -> list[Draw]:
    """The draws of the samples that a step reads, each once, however often it is read."""
    read = [e for i in builder.instructions for e in i.expressions]
    main = next((s for s in builder.state_symbols if isinstance(s, VectorSymbol)), None)
    found: list[Draw] = []
    for s in samples_in([*read, *after.values()]):
        if isinstance(s, VectorSample):
            if s.like not in builder.state:
                raise OdescentError(
                    f"the sample {s} must have the shape of a block of the system, not of {s.like!r}."
                )
            like: Symbol = next(b for b in builder.state_symbols if b.name == s.like)
        else:
            like = main or builder.state_symbols[0]
        found.append(Draw(s, like, s.name, s.law_name))
    return found


def _flow(builder: Builder, step: Flow) -> None:
    """Move blocks by an integrator along some fields, with their noise."""
    drift, noise = builder.select(step)
    view = builder.view(step.read)
    noise_of.check(builder, noise, step)
    builder.finish(advance(builder, drift, noise, view, step), step.save, step.commit)


def _names_in(scheme: Scheme) -> set[str]:
    """The names of the symbols that a scheme brings with it: fractions, times, and what is assigned."""
    used = {s for part in scheme.every for e in expressions_of(part) for s in symbols_of(e)}
    return {s.name for s in used if not isinstance(s, STAGED)}


def reuse_across_steps(program: Program, declared: Iterable[Block] | None = None) -> Program:
    """A call that an earlier step has made is not made again, but kept in a memory block.

    It has to be the same call in everything that the oracle is asked with. What a call of the next step is asked
    with is known a step ahead only where it reads nothing but the state: not the step number or a draw, which are
    others in the next step, and no parameter, since those may be changed between two steps by a schedule. Memories
    that nothing reads any more are left out, but for the ``declared`` blocks (all, by default).
    """
    held: list[CallOracle] = []  # the calls whose results are in memories, which are their targets
    while (found := _known_ahead(program, held)) is not None:
        again, now = found
        program, kept = _kept(program, again, now)
        held.append(replace(again, target=kept))
    if declared is None:
        return program
    read = program.alive(*(b.symbol for b in declared), *program.outputs.values())
    return read if len(read.blocks) < len(program.blocks) else program


def _known_ahead(program: Program, held: list[CallOracle]) -> tuple[CallOracle, Symbol] | None:
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
    for again in calls:
        if not _reads_the_state_alone(again, program) or after.of(again.point) is None:
            continue
        ahead = again.changed(after)
        for known in (*calls, *held):
            drawn = symbols_of(known.point) & set(program.samples)  # never carried to the next step
            if known.target == again.target or drawn:
                continue
            if replace(known, target=again.target) == ahead:
                return again, known.target
    return None


def _kept(program: Program, again: CallOracle, now: Symbol) -> tuple[Program, VectorSymbol]:
    """The program that has what ``now`` is in this step as the result of ``again`` in the next, and its memory."""
    taken = {s.name for s in (*program.state, *program.parameters, *program.defined)}
    kept = VectorSymbol(next(n for n in _candidates(f"{again.target.name}_kept") if n not in taken))
    initial = {b.symbol: b.init for b in program.blocks}
    block = Block(kept.name, "vector", "memory", substitute(again.as_call(), initial))
    others = tuple(i for i in program.instructions if again.target not in i.targets)
    trimmed = replace(program, instructions=others)
    renamed = trimmed.bind({again.target: kept})
    blocks, after = (*renamed.blocks, block), {**renamed.next, kept: now}
    with_memory = replace(renamed, blocks=blocks, next=after)
    return with_memory.alive(*with_memory.state), kept


def _reads_the_state_alone(c: CallOracle, program: Program) -> bool:
    """Whether a call is a plain one (no direction, parameter or implicit weight) at a function of the state."""
    plain = not c.directions and not c.parameters and c.implicit == 0
    return plain and symbols_of(c.point) <= set(program.state)


def _candidates(stem: str) -> Iterator[str]:
    yield stem
    yield from (f"{stem}_{i}" for i in itertools.count(1))
