"""The straight-line program of one step: oracle calls, draws and assignments.

Everything follows from it: emitted code, runs, the state-space view, the limit flow and the
modified equation. Names are assigned once; the next state is read off at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import sympy as sp

from odescent.dynamics.calculus import Symbol, coefficient, nothing, substitute, symbols_of, tidy
from odescent.dynamics.fields import Block
from odescent.dynamics.vectors import (
    Call,
    Expr,
    Oracle,
    Vector,
    VectorSymbol,
    call,
)


@dataclass(frozen=True)
class CallOracle:
    """``target = D^k F(point + implicit * target)[directions]``.

    A nonzero ``implicit`` weight makes the step implicit: with a gradient and a negative weight -w,
    point + implicit * target is prox_{w f}(point).
    """

    target: VectorSymbol
    oracle: Oracle
    point: Vector
    directions: tuple[Vector, ...] = ()
    parameters: tuple[sp.Expr, ...] = ()
    implicit: sp.Expr = sp.S.Zero

    def as_call(self, depth: int = 0) -> Vector:
        """The call as an expression; an implicit one is unrolled ``depth`` times."""
        point = self.point
        if self.implicit != 0 and depth > 0:
            point = point + self.as_call(depth - 1) * self.implicit
        return call(self.oracle, point, self.directions, self.parameters)


@dataclass(frozen=True)
class Draw:
    """``target`` is a standard normal sample of the shape of block ``like``."""

    target: Symbol
    like: Symbol
    process: str


@dataclass(frozen=True)
class Assign:
    """``target = value``."""

    target: Symbol
    value: Expr


Instruction: TypeAlias = CallOracle | Draw | Assign


def linear_coefficient(e: Expr, s: Symbol) -> sp.Expr:
    """The coefficient of a block in an expression of the same kind; a block of the other kind has none."""
    if isinstance(e, Vector):
        return coefficient(e, s) if isinstance(s, Vector) else sp.S.Zero
    return sp.S.Zero if isinstance(s, Vector) else sp.diff(e, s)


@dataclass(frozen=True)
class Program:
    """One step of an algorithm.

    Attributes:
        blocks: the state at the beginning of the step.
        instructions: in order; each name is assigned once.
        next: the state after the step, by block symbol.
        outputs: named expressions in the state; "x" is the algorithm's output.
        counter: the symbol of the step number k where coefficients depend on it.
    """

    blocks: tuple[Block, ...]
    instructions: tuple[Instruction, ...]
    next: Mapping[Symbol, Expr]
    outputs: Mapping[str, Expr] = field(default_factory=dict)
    counter: sp.Symbol | None = None

    @property
    def calls(self) -> tuple[CallOracle, ...]:
        return tuple(i for i in self.instructions if isinstance(i, CallOracle))

    @property
    def draws(self) -> tuple[Draw, ...]:
        return tuple(i for i in self.instructions if isinstance(i, Draw))

    @property
    def state(self) -> tuple[Symbol, ...]:
        return tuple(b.symbol for b in self.blocks)

    @property
    def counted(self) -> bool:
        """Whether a coefficient depends on the step number."""
        return self.counter is not None and any(
            self.counter in symbols_of(e) for e in self._expressions()
        )

    @property
    def parameters(self) -> tuple[sp.Symbol, ...]:
        """Scalar symbols that must be given a value, by name."""
        defined = {i.target for i in self.instructions} | set(self.state) | {self.counter}
        found: set[sp.Symbol] = set()
        for e in self._expressions():
            found |= {s for s in e.free_symbols if isinstance(s, sp.Symbol)}
        return tuple(sorted(found - defined, key=str))

    def _expressions(self) -> list[Expr]:
        listed: list[Expr] = [
            *self.next.values(),
            *self.outputs.values(),
            *(b.init for b in self.blocks),
        ]
        for i in self.instructions:
            if isinstance(i, Assign):
                listed.append(i.value)
            elif isinstance(i, CallOracle):
                listed += [i.point, *i.directions, *i.parameters, i.implicit]
        return listed

    def inlined(self) -> Program:
        """The same program with every assignment substituted: calls and draws remain, then the next state."""
        known: dict[Symbol, Expr] = {}
        kept: list[Instruction] = []
        for i in self.instructions:
            if isinstance(i, Assign):
                known[i.target] = tidy(substitute(i.value, known))
            elif isinstance(i, CallOracle):
                kept.append(
                    replace(
                        i,
                        point=tidy(substitute(i.point, known)),
                        directions=tuple(tidy(substitute(d, known)) for d in i.directions),
                        parameters=tuple(substitute(p, known) for p in i.parameters),
                        implicit=substitute(i.implicit, known),
                    )
                )
            else:
                kept.append(i)
        after = {s: tidy(substitute(e, known)) for s, e in self.next.items()}
        return replace(self, instructions=tuple(kept), next=after)

    def bind(self, values: Mapping[Any, Any]) -> Program:
        """The program with symbols replaced, coefficients canonical."""
        if not values:
            return self

        def bound(e: Expr) -> Expr:
            return tidy(substitute(e, values))

        instructions: list[Instruction] = []
        for i in self.instructions:
            if isinstance(i, Assign):
                instructions.append(replace(i, value=bound(i.value)))
            elif isinstance(i, CallOracle):
                instructions.append(
                    replace(
                        i,
                        point=bound(i.point),
                        directions=tuple(bound(d) for d in i.directions),
                        parameters=tuple(bound(p) for p in i.parameters),
                        implicit=bound(i.implicit),
                    )
                )
            else:
                instructions.append(i)
        return replace(
            self,
            blocks=tuple(replace(b, init=bound(b.init)) for b in self.blocks),
            instructions=tuple(instructions),
            next={s: bound(e) for s, e in self.next.items()},
            outputs={n: bound(e) for n, e in self.outputs.items()},
        )

    def update_map(self, depth: int = 0) -> dict[Symbol, Expr]:
        """The next state as expressions in the state alone, oracle calls written out and draws set to zero.

        Implicit calls are unrolled ``depth`` times (exact through that order of their weight).
        """
        flat = self.inlined()
        known: dict[Symbol, Expr] = {d.target: nothing(d.target) for d in flat.draws}
        for c in flat.calls:
            opened = replace(
                c,
                point=substitute(c.point, known),
                directions=tuple(substitute(d, known) for d in c.directions),
            )
            known[c.target] = opened.as_call(depth)
        return {s: tidy(substitute(e, known)) for s, e in flat.next.items()}


__all__ = ["Assign", "Call", "CallOracle", "Draw", "Instruction", "Program"]
