"""Searches for implicit functions: each that a program reads becomes a loop of Newton's steps, from a warm start."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sympy as sp

from ..._support.errors import OdescentError
from ...dynamics.algebra.calculus import Symbol, change, renamed, substitute
from ...dynamics.algebra.scalars import as_scalar
from ...dynamics.algebra.vectors import Call, Expr, Vector, VectorSymbol, inner
from ...dynamics.implicit.roots import Equations, RootScalar, RootVector
from .guards import Inequality
from .instructions import Assign, CallOracle, Instruction, Loop, StraightLine
from .program import Program


def searched(program: Program) -> Program:
    """The program in which the numbers of implicit functions are searched for.

    A step is one of Newton's in full, u - J^-1 F(u); the search ends where it is short. It begins where the equations
    say, else at the block that is called as the unknown, and such a block that is a memory keeps what was found.

    Raises:
        OdescentError: an unknown without a start.
    """
    if not any(isinstance(i, Assign) and _implicit(i.value) for i in program.instructions):
        return program
    maker = _Maker(program)
    instructions: list[Instruction] = []
    for i in program.instructions:
        if isinstance(i, Assign) and _implicit(i.value):
            instructions += maker.loop(i)
        else:
            instructions.append(i)
    return replace(program, instructions=tuple(instructions))


def _implicit(e: object) -> bool:
    return isinstance(e, (RootVector, RootScalar))


class _Maker:
    """Loops for the implicit functions of a program, each equation's unknowns in one."""

    def __init__(self, program: Program) -> None:
        self.blocks = {b.name: b.symbol for b in program.blocks}
        self.used = {s.name for s in (*program.defined, *program.state, *program.parameters)}
        self.used |= set(program.outputs)
        self.made: dict[Any, tuple[Symbol, ...]] = {}

    def fresh(self, stem: str) -> str:
        """A name that nothing else in the program has."""
        name = next(
            n for n in (stem, *(f"{stem}_{i}" for i in range(1, 10_000))) if n not in self.used
        )
        self.used.add(name)
        return name

    def loop(self, assigned: Assign) -> list[Instruction]:
        """The loop for an implicit function, and its name for the one of its solutions that is assigned."""
        root: Any = assigned.value
        key = root.equations.key
        if key in self.made:
            return [Assign(assigned.target, self.made[key][root.which])]
        found = self._loop(root.equations)
        self.made[key] = found.names
        return [found, Assign(assigned.target, found.names[root.which])]

    def _loop(self, equations: Equations) -> Loop:
        opened, search = equations.linearized, equations.search
        names: dict[Any, Any] = {
            u: renamed(u, self.fresh(f"{n}_found"))
            for u, n in zip(opened.unknowns, equations.names, strict=True)
        }
        starts = search.start or (None,) * len(names)
        begin = [self._start(n, s) for n, s in zip(equations.names, starts, strict=True)]
        body: list[Instruction] = []
        asked: dict[Any, VectorSymbol] = {}
        steps: list[Symbol] = []
        for u, e in zip(names, opened.divided(list(opened.equations), search.adjoint), strict=True):
            step: Any = (
                VectorSymbol(self.fresh("newton"))
                if isinstance(u, VectorSymbol)
                else sp.Symbol(self.fresh("newton"), real=True)
            )
            body.append(Assign(step, self._lowered(substitute(e, names), body, asked)))
            steps.append(step)
        after = tuple(u - s for u, s in zip(names.values(), steps, strict=True))
        size = sp.Add(*map(_square, steps))
        length = sp.Add(*map(_square, names.values()))
        until = Inequality(size, search.tolerance**2 * (1 + length), False)
        count = sp.Symbol(self.fresh("times"), real=True)
        said = f"Newton's step of {', '.join(equations.names)} is short"
        most = as_scalar(search.max_steps)
        return Loop(
            tuple(names.values()),
            tuple(begin),
            StraightLine(tuple(body), after),
            until,
            most,
            count,
            True,
            said,
        )

    def _start(self, name: str, said: Expr | None) -> Expr:
        if said is not None:
            return said
        if name not in self.blocks:
            raise OdescentError(
                f"the search for {name} has no start: give start= in od.root or od.argmin, or a memory block {name}."
            )
        return self.blocks[name]

    def _lowered(self, e: Expr, body: list[Instruction], asked: dict[Any, VectorSymbol]) -> Expr:
        """An expression with its oracle calls made before it."""

        def rule(node: Expr) -> Expr | None:
            if not isinstance(node, Call):
                return None
            if node not in asked:
                stem = node.oracle.form.stem or node.oracle.kind
                asked[node] = VectorSymbol(self.fresh(stem))
                body.append(
                    CallOracle(
                        asked[node],
                        node.oracle,
                        node.point,
                        tuple(node.directions),
                        node.parameters,
                    )
                )
            return asked[node]

        return change(e, rule)


def _square(s: Any) -> sp.Expr:
    return inner(s, s) if isinstance(s, Vector) else s**2
