"""The straight-line program of one step: oracle calls, draws and assignments.

Everything follows from it: emitted code, runs, the state-space view, the limit flow and the
modified equation. Names are assigned once; the next state is read off at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import sympy as sp

from odescent._errors import NotCarried, OdescentError
from odescent.dynamics.calculus import (
    Symbol,
    coefficient,
    nothing,
    substitute,
    symbols_of,
    tidy,
    vanishes,
)
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

    @property
    def expressions(self) -> tuple[Expr, ...]:
        """Everything that the oracle is asked with."""
        return (self.point, *self.directions, *self.parameters, self.implicit)

    def changed(self, rule: Callable[[Any], Any]) -> CallOracle:
        """With its expressions rewritten."""
        return replace(
            self,
            point=rule(self.point),
            directions=tuple(rule(d) for d in self.directions),
            parameters=tuple(rule(p) for p in self.parameters),
            implicit=rule(self.implicit),
        )


@dataclass(frozen=True)
class Draw:
    """``target`` is a standard normal sample of the shape of block ``like``."""

    target: Symbol
    like: Symbol
    process: str


@dataclass(frozen=True)
class Count:
    """``target`` is a Poisson number of this mean: how often ``process`` jumps in a substep.

    In an ensemble each particle, as block ``like`` has them, counts jumps of its own, or they all share one count
    where it is ``common``.
    """

    target: sp.Symbol
    mean: sp.Expr
    like: Symbol
    process: str
    common: bool = False


@dataclass(frozen=True)
class Assign:
    """``target = value``."""

    target: Symbol
    value: Expr


@dataclass(frozen=True)
class SweepCoordinates:
    """``target`` is ``start`` with its coordinates moved one after the other, each seeing those before it.

    Coordinate i of the moving vector z becomes the u with
    u = z_i + duration ((1 - implicit) slope_i(z) + implicit slope_i(z with u for z_i)).
    ``slope`` is an expression in ``moving`` (z), its gradient or operator there, and other vectors,
    element by element. With ``quotient``, the partial derivative of f in it is replaced by
    (f(z with u for z_i) - f(z)) / (u - z_i), Itoh and Abe's discrete gradient, in the second slope.
    """

    target: VectorSymbol
    start: Vector
    moving: VectorSymbol
    slope: Vector
    duration: sp.Expr
    implicit: sp.Expr
    quotient: bool = False
    backward: bool = False

    @property
    def expressions(self) -> tuple[Expr, ...]:
        """Everything that it computes with."""
        return (self.start, self.slope, self.duration)

    @property
    def oracles(self) -> set[Oracle]:
        """The oracles whose components it asks for."""
        return {c.oracle for c in self.slope.calls()}

    def changed(self, rule: Callable[[Any], Any]) -> SweepCoordinates:
        """With its expressions rewritten."""
        return replace(
            self, start=rule(self.start), slope=rule(self.slope), duration=rule(self.duration)
        )

    def to_first_order(self) -> Vector:
        """The target but for what is of second order in the duration, whatever the rule and the order."""
        rate = substitute(self.slope, {self.moving: self.start})
        moved: Vector = self.start + rate * self.duration
        return moved


Instruction: TypeAlias = CallOracle | Draw | Count | Assign | SweepCoordinates


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
    def sweeps(self) -> tuple[SweepCoordinates, ...]:
        return tuple(i for i in self.instructions if isinstance(i, SweepCoordinates))

    @property
    def draws(self) -> tuple[Draw, ...]:
        return tuple(i for i in self.instructions if isinstance(i, Draw))

    @property
    def counts(self) -> tuple[Count, ...]:
        return tuple(i for i in self.instructions if isinstance(i, Count))

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
            elif isinstance(i, (CallOracle, SweepCoordinates)):
                listed += i.expressions
            elif isinstance(i, Count):
                listed.append(i.mean)
        return listed

    def inlined(self) -> Program:
        """The same program with every assignment substituted: calls and draws remain, then the next state."""
        known: dict[Symbol, Expr] = {}
        kept: list[Instruction] = []
        for i in self.instructions:
            if isinstance(i, Assign):
                known[i.target] = tidy(substitute(i.value, known))
            elif isinstance(i, (CallOracle, SweepCoordinates)):
                kept.append(i.changed(lambda e: tidy(substitute(e, known))))
            elif isinstance(i, Count):
                kept.append(replace(i, mean=tidy(substitute(i.mean, known))))
            else:
                kept.append(i)
        after = {
            s: known[e] if e in known else tidy(substitute(e, known)) for s, e in self.next.items()
        }
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
            elif isinstance(i, (CallOracle, SweepCoordinates)):
                instructions.append(i.changed(bound))
            elif isinstance(i, Count):
                instructions.append(replace(i, mean=bound(i.mean)))
            else:
                instructions.append(i)
        return replace(
            self,
            blocks=tuple(replace(b, init=bound(b.init)) for b in self.blocks),
            instructions=tuple(instructions),
            next={s: bound(e) for s, e in self.next.items()},
            outputs={n: bound(e) for n, e in self.outputs.items()},
        )

    def mean(self) -> Program:
        """The program with assignments substituted and normal draws at their mean, zero.

        A draw is independent of the state and as likely as its negative, so this is the mean of a step, given the
        state, where the step is a constant in the draws and what is odd in them, and the oracles that are asked at
        drawn points are affine, as the gradients of quadratics are. Raises NotCarried where the step is not.
        """
        flat = self.inlined()
        at_zero: dict[Symbol, Expr] = {d.target: nothing(d.target) for d in flat.draws}
        mirrored: dict[Symbol, Expr] = {d.target: -d.target for d in flat.draws}
        at_mean = dict(
            at_zero
        )  # with answers at drawn points, which are mirrored at what they are at the mean
        for c in flat.calls:
            if any(symbols_of(e) & set(mirrored) for e in c.expressions):
                mean = VectorSymbol(f"mean of {c.target.name}", c.target.kind)
                at_mean[c.target], mirrored[c.target] = mean, mean * 2 - c.target
        for e in flat._expressions():
            if not vanishes(substitute(e, mirrored) + e - substitute(e, at_mean) * 2):
                raise NotCarried(
                    "a draw enters other than linearly, so that the mean of a step is not the step without it."
                )
        quiet = flat.bind(at_zero)
        kept = tuple(i for i in quiet.instructions if not isinstance(i, Draw))
        return replace(quiet, instructions=kept)

    def update_map(self, depth: int = 0) -> dict[Symbol, Expr]:
        """The next state as expressions in the state alone, oracle calls written out, draws set to zero.

        Implicit calls are unrolled ``depth`` times (exact through that order of their weight). Raises
        OdescentError for a sweep, whose map is no expression in whole vectors.
        """
        flat = self.inlined()
        if flat.sweeps:
            raise OdescentError(
                f"the sweep over the coordinates of {flat.sweeps[0].start} has no map in whole vectors; run it, or "
                "write its coordinates as scalar blocks."
            )
        drawn: list[Symbol] = [d.target for d in flat.draws]
        drawn += [n.target for n in flat.counts]
        known: dict[Symbol, Expr] = {s: nothing(s) for s in drawn}
        for c in flat.calls:
            opened = replace(
                c,
                point=substitute(c.point, known),
                directions=tuple(substitute(d, known) for d in c.directions),
            )
            known[c.target] = opened.as_call(depth)
        return {s: tidy(substitute(e, known)) for s, e in flat.next.items()}


__all__ = [
    "Assign",
    "Call",
    "CallOracle",
    "Count",
    "Draw",
    "Instruction",
    "Program",
    "SweepCoordinates",
]
