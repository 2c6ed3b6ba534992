"""The compiler of schemes: symbolic execution of a scheme's substeps on a system, as a program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sympy as sp

from ..._support.errors import OdescentError
from ...dynamics.algebra.calculus import Symbol, singular, substitute, symbols_of
from ...dynamics.algebra.operators import check_symmetric
from ...dynamics.algebra.vectors import Expr, VectorSymbol
from ...dynamics.flows.system import System
from ...dynamics.samples.sample import VectorSample, samples_in
from ...dynamics.vector_fields.block import Block
from ..programs.program import Assign, Draw, Program
from ..programs.stages import STAGED, refuse_staged
from ..programs.substeps import START, Flow, Repeat, Scheme, Select, Step, Sweep, expressions_of
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
    size: sp.Expr | None = None,
    elapsed: Block | None = None,
) -> Program:
    """Compile one step of the scheme on the system.

    Args:
        system: fields and blocks.
        scheme: the substeps.
        step: the symbol of the step h.
        clock: the time of step k, or None for an autonomous system.
        outputs: recorded expressions by name.
        reserved: names that fresh symbols avoid.
        size: the step as an expression in the state, which is evaluated first; None where the step is a parameter.
        elapsed: a block that adds such steps up, and is the time where a clock is asked for.

    Raises:
        OdescentError: unknown fields or blocks, or an integrator that does not fit its fields.
    """
    if size is not None:
        clock = None if elapsed is None else elapsed.symbol
    builder = Builder(system, step, clock, {*reserved, *_names_in(scheme)})
    refuse_staged(f"the system {system.name}".strip(), system.drift.values())
    if size is not None:
        builder.instructions.append(Assign(step, builder.lower(builder.at_time(size, sp.S.Zero))))
    try:
        _perform(builder, scheme.steps)
    except Misfit as error:
        raise type(error.reason)(
            f"substep {error.place} of the scheme ({scheme.name or 'unnamed'}): {error.reason}"
        ) from None
    for (
        name,
        found,
    ) in builder.found.items():  # a memory keeps what was searched from it, unless it is assigned
        if builder.state[name] == builder.stages[START][name]:
            builder.state[name] = found
    after = {b.symbol: builder.state[b.name] for b in system.blocks}
    memories = builder.memories()
    after |= {b.symbol: value for b, value in memories.items()}
    clocks: tuple[Block, ...] = ()
    if elapsed is not None:
        clocks, after = (elapsed,), {**after, elapsed.symbol: elapsed.symbol + step}
    program = Program(
        (*system.blocks, *memories, *clocks),
        (*_draws(builder, after), *builder.instructions),
        after,
        outputs,
        None if clock is None or size is not None else COUNTER,
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


def infinite_at_first(program: Program) -> bool:
    """Whether an expression of a program is singular in the step that is counted 0."""
    assert program.counter is not None
    first: dict[Symbol, Expr] = {program.counter: sp.S.Zero}
    read = [e for i in program.every for e in i.expressions]
    return any(singular(substitute(e, first)) for e in (*program.next.values(), *read))
