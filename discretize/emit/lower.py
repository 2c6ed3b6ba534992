"""From a program to routines of short statements.

Oracle calls become requests to named arguments, implicit gradient steps become proximal steps, and
every coefficient becomes a name (of the coefficient table, or of a scalar computed in the step).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import sympy as sp

from odescent._errors import NotCarried
from odescent.dynamics.calculus import Symbol, substitute, tidy
from odescent.dynamics.vectors import Expr, Oracle, Vector, VectorSymbol

from ..program import Assign, CallOracle, Count, Instruction, Program, SweepCoordinates
from .coefficients import Coefficients, in_order
from .names import Naming
from .statements import Lowered, Routine
from .writer import Writer


def oracle_arguments(oracles: set[Oracle], naming: Naming) -> dict[Oracle, str]:
    """The argument for each oracle: its kind, with the name of what it is of for maps and where two share a kind."""
    kinds = [o.kind for o in oracles]
    plain = {o for o in oracles if kinds.count(o.kind) == 1 and o.kind != "map"}
    listed = sorted(oracles, key=lambda o: o.name)
    return {o: o.kind if o in plain else f"{o.kind}_{naming.safe(o.of)}" for o in listed}


def component_oracles(i: SweepCoordinates) -> list[Oracle]:
    """What a sweep asks for: components of a gradient or an operator, and values for difference quotients."""
    kinds = {"grad": "partial", "operator": "component"}
    listed = sorted(i.oracles, key=lambda o: o.name)
    asked = [Oracle(kinds[o.kind], o.of) for o in listed]
    return asked + ([Oracle("value", o.of) for o in listed] if i.quotient else [])


def solve_implicit(program: Program) -> Program:
    """Implicit gradient steps as proximal steps: g = (p - u) / w with u = prox(p, w).

    The result of an implicit call disappears in favour of u, so that x - w g is u itself.
    """
    if not any(c.implicit != 0 for c in program.calls):
        return program
    known: dict[Symbol, Expr] = {}
    instructions: list[Instruction] = []
    for i in program.instructions:
        if isinstance(i, CallOracle) and i.implicit != 0:
            kind = {"grad": "prox", "operator": "resolvent"}.get(i.oracle.kind)
            if kind is None or i.directions or i.parameters:
                raise NotCarried(
                    f"an implicit step in the oracle {i.oracle.name!r} has no proximal form."
                )
            weight, point = -i.implicit, tidy(substitute(i.point, known))
            solved = VectorSymbol(f"u_{i.target.name}")
            known[i.target] = (point - solved) / weight
            instructions.append(CallOracle(solved, Oracle(kind, i.oracle.of), point, (), (weight,)))
        elif isinstance(i, CallOracle):
            directions = tuple(substitute(d, known) for d in i.directions)
            instructions.append(replace(i, point=substitute(i.point, known), directions=directions))
        elif isinstance(i, SweepCoordinates):
            instructions.append(i.changed(lambda e: tidy(substitute(e, known))))
        elif isinstance(i, Assign):
            known[i.target] = tidy(substitute(i.value, known))
        elif isinstance(i, Count):
            instructions.append(replace(i, mean=tidy(substitute(i.mean, known))))
        else:
            instructions.append(i)
    after = {s: tidy(substitute(e, known)) for s, e in program.next.items()}
    return replace(program, instructions=tuple(instructions), next=after)


def without_zeros(program: Program) -> Program:
    """The program without the assignments of the zero vector, which has no shape of its own to print."""
    nothing = {
        i.target: i.value for i in program.instructions if isinstance(i, Assign) and not i.value
    }
    nothing = {s: v for s, v in nothing.items() if isinstance(v, Vector)}
    if not nothing:
        return program
    kept = tuple(
        _changed(i, lambda e: tidy(substitute(e, nothing)))
        for i in program.instructions
        if i.target not in nothing
    )
    after = {s: tidy(substitute(e, nothing)) for s, e in program.next.items()}
    shrunk = replace(program, instructions=kept, next=after)
    return without_zeros(shrunk)  # what was a multiple of zero is zero now


def _changed(i: Instruction, change: Callable[[Any], Any]) -> Instruction:
    """The instruction with every expression in it changed."""
    if isinstance(i, CallOracle):
        return replace(
            i, point=change(i.point), directions=tuple(change(d) for d in i.directions),
            parameters=tuple(change(p) for p in i.parameters),
        )  # fmt: skip
    if isinstance(i, SweepCoordinates):
        return i.changed(change)
    if isinstance(i, Count):
        return replace(i, mean=change(i.mean))
    return replace(i, value=change(i.value)) if isinstance(i, Assign) else i


class Lowering:
    """Builds the routines of one program over one coefficient table."""

    def __init__(
        self,
        program: Program,
        naming: Naming,
        extra_parameters: Iterable[sp.Symbol] = (),
        step: sp.Symbol | None = None,
    ) -> None:
        self.program = without_zeros(solve_implicit(program))
        self.parameters = in_order({*program.parameters, *extra_parameters})
        taken = {s.name for s in self.parameters}
        inside = {i.target.name for i in self.program.instructions} | {
            b.name for b in program.blocks
        }
        used = naming.avoid | taken | inside | set(program.outputs)
        self.naming = naming
        self.table = Coefficients(self.parameters, set(used), naming, step)
        oracles = {c.oracle for c in self.program.calls}
        for i in self.program.sweeps:
            oracles |= set(component_oracles(i))
        for b in program.blocks:
            oracles |= {c.oracle for c in b.init.calls()} if isinstance(b.init, Vector) else set()
        self.arguments = oracle_arguments(oracles, naming)
        self.population = any(o.kind == "ensemble" for o in oracles)

    def lowered(self, below: Mapping[str, sp.Rational]) -> Lowered:
        """All routines; the step comes first, so that it gives the coefficients their names."""
        p = self.program
        step = self.routine(p.instructions, {b.name: p.next[b.symbol] for b in p.blocks})
        outputs = {n: self.routine((), {n: e}) for n, e in p.outputs.items()}
        init = self.routine((), {b.name: b.init for b in p.blocks})
        counted = any("k" in r.symbols() for r in (step, *outputs.values()))
        counter = p.counter if counted else None
        return Lowered(
            self.parameters, self.table, p.blocks, counter, init, step, outputs,
            self.population, below,
        )  # fmt: skip

    def routine(
        self, instructions: tuple[Instruction, ...], results: Mapping[str, Expr]
    ) -> Routine:
        """Statements for the instructions and the results."""
        writer = Writer(self.table, self.arguments, {b.name for b in self.program.blocks})
        for i in instructions:
            writer.instruction(i)
        done = {n: writer.result(n, e) for n, e in results.items()}
        return Routine(tuple(writer.statements), done)
