"""The lowering of a program to routines of short statements.

Oracle calls become requests to named arguments, implicit gradient steps become proximal steps, and
every coefficient becomes a name (of the coefficient table, or of a scalar computed in the step).

A memory that keeps a sample of the step before needs no vector: emitted code holds the place in the generator (a key, a
seed, a state) and draws the sample again where it is read. That asks for a start at which the sample does not matter,
as with a move of length zero, since no sample was drawn before the first step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import sympy as sp

from ...._support.errors import NotCarried
from ....dynamics.algebra.calculus import Symbol, oracles_in, substitute, symbols_of, tidy
from ....dynamics.algebra.oracles import Oracle, in_argument
from ....dynamics.algebra.vectors import Expr, Vector, VectorSymbol, zero
from ....dynamics.vector_fields.block import start
from ...programs.instructions import alive
from ...programs.program import (
    Assign,
    CallOracle,
    Choose,
    Draw,
    Instruction,
    Loop,
    Program,
    StraightLine,
    SweepCoordinates,
)
from ...step.compile import COUNTER
from .coefficients import Coefficients, in_order
from .names import Naming
from .statements import Limits, Lowered, Routine, Sample
from .writer import Writer


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


def oracle_arguments(oracles: set[Oracle], naming: Naming) -> dict[Oracle, str]:
    """The argument for each oracle: its kind, with the name of what it is of where that alone does not tell.

    It does not for maps and their adjoints, for functions of several arguments, and where two share a kind. A named
    map is a function of the module, no argument.
    """
    kinds = [o.kind for o in oracles]
    alone = {o for o in oracles if kinds.count(o.kind) == 1 and not o.args}
    plain = {o for o in alone if o.kind not in {"map", "vjp"}}
    listed = sorted(oracles, key=lambda o: o.name)

    def full(o: Oracle) -> str:
        made = in_argument(f"{o.kind}_{naming.safe(o.of)}", o.slot and naming.safe(o.slot))
        naming.oracles[in_argument(f"{o.kind}_{o.of}", o.slot)] = made
        return made

    own = {o: f"_{o.of}" for o in listed if o.form.registered}
    return {o: o.kind if o in plain else full(o) for o in listed} | own


def component_oracles(i: SweepCoordinates) -> list[Oracle]:
    """What a sweep asks for: components of a gradient or an operator, and values for difference quotients."""
    listed = sorted(i.oracles, key=lambda o: o.name)
    asked = [Oracle(o.form.component, o.of) for o in listed]
    return asked + ([Oracle("value", o.of) for o in listed] if i.quotient else [])


def solve_implicit(program: Program) -> Program:
    """Implicit gradient steps as proximal steps: g = (p - u) / w with u = prox(p, w).

    The result of an implicit call disappears in favour of u, so that x - w g is u itself.
    """
    if not any(c.implicit != 0 for c in program.calls):
        return program
    known: dict[Symbol, Expr] = {}
    instructions = _proximal(program.instructions, known)
    after = {s: tidy(substitute(e, known)) for s, e in program.next.items()}
    return replace(program, instructions=instructions, next=after)


def _opened(known: Mapping[Symbol, Expr], e: Any) -> Any:
    return tidy(substitute(e, known))


def _proximal(
    listed: tuple[Instruction, ...], known: dict[Symbol, Expr]
) -> tuple[Instruction, ...]:
    """Instructions with proximal steps; what names stand for is noted in ``known``."""

    def opened(e: Any) -> Any:
        return tidy(substitute(e, known))

    def branch(b: StraightLine) -> StraightLine:
        inside = dict(known)
        made = _proximal(b.instructions, inside)
        return StraightLine(made, tuple(tidy(substitute(e, inside)) for e in b.values))

    instructions: list[Instruction] = []
    for i in listed:
        if isinstance(i, CallOracle) and i.implicit != 0:
            kind = i.oracle.form.implicit
            if not kind or i.directions or i.parameters:
                raise NotCarried(
                    f"an implicit step in the oracle {i.oracle.name!r} has no proximal form."
                )
            weight, point = -i.implicit, opened(i.point)
            solved = VectorSymbol(f"u_{i.target.name}")
            known[i.target] = (point - solved) / weight
            instructions.append(CallOracle(solved, Oracle(kind, i.oracle.of), point, (), (weight,)))
        elif isinstance(i, Assign):
            known[i.target] = opened(i.value)
        elif isinstance(i, Choose):
            guard = i.guard.changed(opened)
            instructions.append(Choose(i.names, guard, branch(i.accept), branch(i.reject)))
        elif isinstance(i, Loop):
            inside = dict(known)
            body = StraightLine(_proximal(i.body.instructions, inside), ())
            values = tuple(tidy(substitute(e, inside)) for e in i.body.values)
            until = i.until and i.until.changed(partial(_opened, inside))
            begin = tuple(map(opened, i.begin))
            instructions.append(
                replace(i, begin=begin, body=replace(body, values=values), until=until)
            )
        else:
            instructions.append(i.changed(opened))
    return tuple(instructions)


def without_zeros(program: Program) -> Program:
    """The program without what is the zero vector, which has no shape to print: derivatives along it too."""
    assigned = {i.target: i.value for i in program.every if isinstance(i, Assign)}
    nothing: dict[Symbol, Expr] = {
        s: e for s, e in assigned.items() if isinstance(e, Vector) and not e
    }
    asked = (i for i in program.every if isinstance(i, CallOracle))
    nothing |= {i.target: zero for i in asked if not all(i.directions)}
    if not nothing:
        return program
    after = {s: tidy(substitute(e, nothing)) for s, e in program.next.items()}
    shrunk = replace(program, instructions=_dropped(program.instructions, nothing), next=after)
    return without_zeros(shrunk)  # what was a multiple of zero is zero now


def _dropped(
    listed: tuple[Instruction, ...], nothing: Mapping[Symbol, Expr]
) -> tuple[Instruction, ...]:
    """Instructions without the assignments of some names, whose values stand where these were read."""

    def opened(e: Any) -> Any:
        return tidy(substitute(e, nothing))

    def branch(b: StraightLine) -> StraightLine:
        return replace(b, instructions=_dropped(b.instructions, nothing))

    kept = [
        i.changed(opened)
        for i in listed
        if not (isinstance(i, (Assign, CallOracle)) and i.target in nothing)
    ]
    return tuple(
        replace(i, accept=branch(i.accept), reject=branch(i.reject))
        if isinstance(i, Choose)
        else replace(i, body=branch(i.body))
        if isinstance(i, Loop)
        else i
        for i in kept
    )


class Lowering:
    """Builds the routines of one program over one coefficient table."""

    def __init__(
        self,
        program: Program,
        naming: Naming,
        extra_parameters: Iterable[sp.Symbol] = (),
        step: sp.Symbol | None = None,
        counters: bool = False,
    ) -> None:
        """``counters``: whether the target holds the counter of a sample in place of a memory of it."""
        self.program = without_zeros(solve_implicit(program))
        self.kept = kept_samples(self.program) if counters else {}
        self.parameters = in_order({*program.parameters, *extra_parameters})
        taken = {s.name for s in self.parameters}
        inside = {s.name for s in self.program.defined}
        inside |= {b.name for b in program.blocks}
        used = naming.avoid | taken | inside | set(program.outputs)
        self.naming = naming
        self.table = Coefficients(self.parameters, set(used), naming, step)
        oracles = {c.oracle for c in self.program.calls}
        for i in self.program.sweeps:
            oracles |= set(component_oracles(i))
        for e in program.expressions():
            oracles |= oracles_in(e)  # values and what guards ask for among them
        self.arguments = oracle_arguments(oracles, naming)
        self.population = any(o.form.particles for o in oracles)
        if self.population and program.guarded:
            raise NotCarried(
                "emitted code has no guards for an ensemble: each of its particles would go a way of its own."
            )

    def lowered(
        self,
        limits: Limits,
        more: Mapping[str, Expr] | None = None,
        read: Callable[[Routine], Routine] = lambda routine: routine,
        counted: bool = False,
    ) -> Lowered:
        """All routines; the step comes first, so that it gives the coefficients their names.

        Args:
            limits: bounds of parameters beside their signs, by name.
            more: results of the step beside the blocks.
            read: what a target makes of each routine.
            counted: whether the step is counted though nothing depends on its number.
        """
        p = self.program
        results = {b.name: p.next[b.symbol] for b in p.blocks} | dict(more or {})
        like = self._like(*(b.symbol for b in p.blocks), *p.outputs.values())
        step = read(self.routine(p.instructions, results, like))
        outputs = {n: read(self.routine((), {n: e}, like)) for n, e in p.outputs.items()}
        init = read(self.routine((), {b.name: b.init for b in p.blocks}, self._like(start)))
        counted = counted or any("k" in r.symbols() for r in (step, *outputs.values()))
        return Lowered(
            self.parameters, self.table, p.blocks, (p.counter or COUNTER) if counted else None, init,
            step, outputs, self.population, limits,
            kept={n: k.draw.target.name for n, k in self.kept.items()}, lengths=p.lengths,
        )  # fmt: skip

    def starts(self) -> dict[str, str]:
        """For each vector block that need not have the shape of x0, the name of a starting point in its space."""
        names: dict[int, str] = {}
        found = {}
        for b, number in zip(self.program.blocks, self.program.classes, strict=True):
            if number > 0 and not b.operates:
                names.setdefault(number, self.table.fresh(f"{b.name}0"))
                found[b.name] = names[number]
        return found

    def _like(self, *known: Expr) -> VectorSymbol | None:
        """The first vector among what is known, if all vectors are of one space."""
        one = all(number <= 0 for number in self.program.classes)
        kinds = ("vector", "pytree")
        vectors = [s for s in known if isinstance(s, VectorSymbol) and s.kind in kinds]
        return vectors[0] if one and vectors else None

    def routine(
        self,
        instructions: tuple[Instruction, ...],
        results: Mapping[str, Expr],
        like: VectorSymbol | None = None,
    ) -> Routine:
        """Statements for the instructions and the results; ``like`` has the shape of a zero that an oracle is given."""
        writer = Writer(
            self.table, self.arguments, {b.name for b in self.program.blocks}, like=like
        )
        if self.kept:
            results = {n: self._drawn(n, e) for n, e in results.items()}
            instructions, read = alive(
                instructions, {s for e in results.values() for s in symbols_of(e)}
            )
            for name, sample in self.kept.items():
                if sample.block in read:
                    again = VectorSymbol(self.table.fresh(f"xi_{name}"))
                    writer.statements.append(Sample(again, sample.draw.like, name))
                    made = substitute(sample.value, {sample.draw.target: again})
                    writer.instruction(Assign(sample.block, made))
        writer.expect(instructions)
        for i in instructions:
            writer.instruction(i)
        done = {n: writer.result(n, e) for n, e in results.items()}
        return Routine(tuple(writer.statements), done)

    def _drawn(self, name: str, e: Expr) -> Expr:
        """What a routine leaves for a block: of the memory of a sample the draw, whose counter is kept."""
        return self.kept[name].draw.target if name in self.kept else e


def routines(lowered: Lowered) -> dict[str, Routine]:
    """All that is computed, by name."""
    return {"init": lowered.init, "step": lowered.step, **lowered.outputs}
