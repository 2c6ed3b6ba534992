"""Searches for implicit functions: each that a program reads becomes a loop of Newton's steps, from a warm start."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sympy as sp

from ..._support.errors import OdescentError
from ...dynamics.algebra.calculus import Symbol, change, renamed, substitute
from ...dynamics.algebra.scalars import as_scalar
from ...dynamics.algebra.vectors import Call, Expr, Vector, VectorSymbol, inner
from ...dynamics.implicit.roots import ROUNDED, Equations, RootScalar, RootVector
from .guards import Guard, Inequality, Joined
from .instructions import Assign, CallOracle, Instruction, Loop, StraightLine
from .program import Program

FAR = sp.Integer(10) ** 30  # more than any residual, squared, that is searched from


def searched(program: Program) -> Program:
    """The program in which the numbers of implicit functions are searched for.

    A step is one of Newton's in full, u - J^-1 F(u). The search ends where it is short by the tolerance, or short and
    |F| does not fall, which is rounding; of a minimizer, only where it goes downhill. It begins where the equations
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

        def named(stem: str, like: Any, e: Expr) -> Any:
            """A name for the value of an expression in the unknowns, after its oracle calls."""
            lowered, name = self._lowered(substitute(e, names), body, asked), self.fresh(stem)
            vector = isinstance(like, VectorSymbol)
            target: Any = VectorSymbol(name) if vector else sp.Symbol(name, real=True)
            body.append(Assign(target, lowered))
            return target

        left = [named("left", u, e) for u, e in zip(names, opened.equations, strict=True)]
        solved = opened.divided(list(opened.equations), search.adjoint)
        steps = [named("newton", u, e) for u, e in zip(names, solved, strict=True)]
        after = tuple(u - s for u, s in zip(names.values(), steps, strict=True))

        # Short by the tolerance, or as short as rounding leaves it.
        size, length, residual = (sp.Add(*map(_square, of)) for of in (steps, names.values(), left))
        before = sp.Symbol(self.fresh("left_before"), real=True)
        short = Inequality(size, search.tolerance**2 * (1 + length), False)
        rounded = Joined(
            (
                Inequality(size, ROUNDED**2 * (1 + length), False),
                Inequality(before, residual, False),
            ),
            True,
        )
        until: Guard = Joined((short, rounded), False)
        if equations.minimized is not None:  # to a maximum Newton's steps go uphill
            along = sp.Add(*(_times(s, e) for s, e in zip(steps, left, strict=True)))
            until = Joined((until, Inequality(sp.S.Zero, along, False)), True)
        count = sp.Symbol(self.fresh("times"), real=True)
        return Loop(
            (*names.values(), before),
            (*begin, FAR),
            StraightLine(tuple(body), (*after, residual)),
            until,
            as_scalar(search.max_steps),
            count,
            True,
            f"Newton's step of {', '.join(equations.names)} is short",
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


def _times(s: Any, t: Any) -> sp.Expr:
    return inner(s, t) if isinstance(s, Vector) else s * t


def _square(s: Any) -> sp.Expr:
    return _times(s, s)
