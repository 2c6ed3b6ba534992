"""Searches for implicit functions: each that a program reads becomes a loop of steps, from a warm start."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sympy as sp

from ..._support.errors import OdescentError
from ...dynamics.algebra.calculus import Symbol, change, renamed, substitute
from ...dynamics.algebra.scalars import as_scalar
from ...dynamics.algebra.vectors import Call, Expr, Vector, VectorSymbol, inner
from ...dynamics.implicit.roots import Equations, RootScalar, RootVector
from ...dynamics.implicit.search import ROUNDED
from .guards import Guard, Inequality, Joined
from .instructions import Assign, CallOracle, Instruction, Loop, StraightLine
from .program import Program

FAR = sp.Integer(10) ** 30  # more than any residual, squared, that is searched from


def searched(program: Program) -> Program:
    """The program in which the numbers of implicit functions are searched for.

    A step is one of an inner method, or one of Newton's in full, u - J^-1 F(u). The search ends where it is short by
    the tolerance; Newton's also where it is short and |F| does not fall, which is rounding, and of a minimizer only
    where it goes downhill. It begins where the equations say, else at the block that is called as the unknown, and such
    a block that is a memory keeps what was found.

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
        self.made: dict[Any, tuple[Expr, ...]] = {}

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
        by_steps = root.equations.search.method is not None
        found, results = (self._steps if by_steps else self._loop)(root.equations)
        self.made[key] = results
        return [found, Assign(assigned.target, results[root.which])]

    def _loop(self, equations: Equations) -> tuple[Loop, tuple[Expr, ...]]:
        """Newton's steps, and the solutions in the names of the loop."""
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
            """A name for the value of an expression in the unknowns."""
            return self._named(stem, like, substitute(e, names), body, asked)

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
        made = Loop(
            (*names.values(), before),
            (*begin, FAR),
            StraightLine(tuple(body), (*after, residual)),
            until,
            as_scalar(search.max_steps),
            count,
            True,
            f"Newton's step of {', '.join(equations.names)} is short",
        )
        return made, tuple(names.values())

    def _steps(self, equations: Equations) -> tuple[Loop, tuple[Expr, ...]]:
        """The steps of an inner method, and the solution in the names of the loop."""
        method, opened, search = equations.search.method, equations.linearized, equations.search
        assert method is not None
        (name,), equation = equations.names, opened.equations[0]
        assert isinstance(equation, Vector)
        names = [renamed(s, self.fresh(f"{name}_{s.name}")) for s in method.state]
        step = method.step(equation, opened.unknowns[0], names)
        begin = method.begun(self._start(name, (search.start or (None,))[0]))
        body: list[Instruction] = []
        asked: dict[Any, VectorSymbol] = {}
        named: Any = lambda stem, like, e: self._named(stem, like, e, body, asked)
        after = [named(f"{s.name}_next", s, e) for s, e in zip(names, step.ahead, strict=True)]
        pairs = zip(after[: step.moving], names, strict=False)
        moved = [named(f"{s.name}_moved", s, a - s) for a, s in pairs]
        output = substitute(step.output, dict(zip(names, after, strict=True)))
        if not isinstance(output, VectorSymbol):
            output = named(f"{name}_found", opened.unknowns[0], output)
        short = search.tolerance**2 * (1 + _square(output))
        made = Loop(
            tuple(names),
            begin,
            StraightLine(tuple(body), tuple(after)),
            Inequality(sp.Add(*map(_square, moved)), short, False),
            as_scalar(search.max_steps),
            sp.Symbol(self.fresh("times"), real=True),
            not method.counted,
            f"the step of {method.name} for {name} is short",
        )
        return made, (step.output,)

    def _start(self, name: str, said: Expr | None) -> Expr:
        if said is not None:
            return said
        if name not in self.blocks:
            raise OdescentError(
                f"the search for {name} has no start: give start= in od.root or od.argmin, or a memory block {name}."
            )
        return self.blocks[name]

    def _named(
        self,
        stem: str,
        like: Symbol,
        e: Expr,
        body: list[Instruction],
        asked: dict[Any, VectorSymbol],
    ) -> Any:
        """A name for a value, after its oracle calls: squares of names lose no digits to cancellation."""
        lowered, target = self._lowered(e, body, asked), renamed(like, self.fresh(stem))
        body.append(Assign(target, lowered))
        return target

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
