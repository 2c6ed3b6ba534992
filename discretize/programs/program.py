"""The straight-line program of one step: oracle calls, draws and assignments.

Everything follows from it: emitted code, runs, the state-space view, the limit flow and the
modified equation. Names are assigned once; the next state is read off at the end. Guarded substeps are instructions
that have others inside of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import sympy as sp

from ..._support.errors import NotCarried, OdescentError
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.calculus import (
    Symbol,
    change,
    coefficient,
    nothing,
    oracles_in,
    substitute,
    symbols_of,
    tidy,
    vanishes,
)
from ...dynamics.algebra.oracles import Oracle
from ...dynamics.algebra.vectors import (
    Atom,
    Call,
    Expr,
    ScalarNode,
    Vector,
    VectorSymbol,
)
from ...dynamics.samples.mean import mean as mean_of
from ...dynamics.vector_fields.block import Block
from ...dynamics.vector_fields.spaces import Lengths, Spaces, lengths_of
from .instructions import (
    Assign,
    CallOracle,
    Choose,
    Count,
    Draw,
    Guarded,
    Instruction,
    Loop,
    Plain,
    StraightLine,
    SweepCoordinates,
    alive,
)
from .meanings import Meanings


def linear_coefficient(e: Expr, s: Symbol) -> sp.Expr:
    """The coefficient of a block in an expression of the same kind; a block of the other kind has none."""
    if isinstance(e, Vector):
        return coefficient(e, s) if isinstance(s, Vector) else sp.S.Zero
    return sp.S.Zero if isinstance(s, Vector) else sp.diff(e, s)


def renamed(e: Any, names: Mapping[Oracle, Oracle]) -> Any:
    """A vector or a scalar with other oracles."""
    if isinstance(e, Vector):
        moved = [_renamed_atom(a, names) * renamed(c, names) for a, c in e.terms.items()]
        return Vector.of(item for v in moved for item in v.terms.items())
    nodes = {}
    for node in e.atoms(ScalarNode):
        moved_node = node.rebuild(lambda a: renamed(a, names))
        if node.kind == "value" and node.oracle in names:
            moved_node = ScalarNode("value", moved_node.arguments, names[node.oracle])
        nodes[node] = moved_node
    return e.xreplace(nodes)


def _renamed_atom(a: Atom, names: Mapping[Oracle, Oracle]) -> Vector:
    moved = a.rebuild(lambda part: renamed(part, names))
    if isinstance(a, Call) and isinstance(moved, Call):
        oracle = names.get(a.oracle, a.oracle)
        return Call(oracle, moved.point, moved.directions, moved.parameters)
    return moved


def _lowered(target: Symbol, e: Expr, taken: set[str]) -> list[Instruction]:
    """An expression with at most one call as instructions: the call, and what is assigned."""
    calls = e.calls() if isinstance(e, Vector) else set()
    found: list[Instruction] = []
    for c in calls:
        name = next(n for n in (f"{target.name}_from", f"{target.name}_drawn") if n not in taken)
        taken.add(name)
        called = VectorSymbol(name)
        found.append(CallOracle(called, c.oracle, c.point, c.directions, c.parameters))
        answers: dict[Any, Any] = {c: called}
        e = change(e, answers.get)
    return [*found, Assign(target, e)]


Read = TypeVar("Read", Spaces, Lengths)


@dataclass(frozen=True)
class Program(Rendered):
    """One step of an algorithm.

    Attributes:
        blocks: the state at the beginning of the step.
        instructions: in order; each name is assigned once.
        next: the state after the step, by block symbol.
        outputs: named expressions in the state; "x" is the algorithm's output.
        counter: the symbol of the step number k where coefficients depend on it.
        held: the calls and values in memories that it makes itself, by memory, as expressions in the state.
    """

    blocks: tuple[Block, ...]
    instructions: tuple[Instruction, ...]
    next: Mapping[Symbol, Expr]
    outputs: Mapping[str, Expr] = field(default_factory=dict)
    counter: sp.Symbol | None = None
    held: Mapping[Symbol, Expr] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((frozenset(self.next), len(self.instructions)))  # its mappings have none

    @cached_property
    def every(self) -> tuple[Instruction, ...]:
        """The instructions, with those inside of others."""
        return tuple(j for i in self.instructions for j in i.every)

    @cached_property
    def guarded(self) -> tuple[Choose | Loop, ...]:
        """The choices and loops, with those inside of others."""
        return tuple(i for i in self.every if isinstance(i, (Choose, Loop)))

    @property
    def branching(self) -> bool:
        """Whether guards decide how a step goes; a loop of a known length is written out."""
        return any(isinstance(i, Choose) or not i.often for i in self.guarded)

    @cached_property
    def plain(self) -> tuple[Plain, ...]:
        """The instructions of a program without guards: what knows none asks for these.

        A loop without a guard is written out. Raises NotCarried where there are guards, with the first one.
        """
        taken = {s.name for s in (*self.state, *self.parameters, *self.defined)}
        listed: list[Plain] = []
        waiting = list(self.instructions)
        while waiting:
            i = waiting.pop(0)
            if not isinstance(i, (Choose, Loop)):
                listed.append(i)
                continue
            if isinstance(i, Loop) and i.often:
                waiting = [*i.written_out(taken), *waiting]
                continue
            if isinstance(i, Choose):
                raise NotCarried(
                    f"a step goes one of two ways, by the guard {i.guard}; this is of one way: take a branch, "
                    "as in algorithm.branch(True), where all guards accept."
                )
            raise NotCarried(
                f"a step repeats substeps until {i.said or i.until}, so that it is no fixed sequence of them; this is "
                "of such a sequence: repeat without a condition, a whole number of times."
            )
        return tuple(listed)

    def accepted(self) -> Program:
        """The program where guards accept, and each loop is one iteration: without guards."""
        return replace(self, instructions=tuple(StraightLine(self.instructions, ()).accepted()))

    @property
    def calls(self) -> tuple[CallOracle, ...]:
        return tuple(i for i in self.every if isinstance(i, CallOracle))

    @property
    def sweeps(self) -> tuple[SweepCoordinates, ...]:
        return tuple(i for i in self.every if isinstance(i, SweepCoordinates))

    @property
    def draws(self) -> tuple[Draw, ...]:
        return tuple(i for i in self.instructions if isinstance(i, Draw))

    @property
    def samples(self) -> tuple[Any, ...]:
        """The symbols of the samples that it draws."""
        return tuple(d.target for d in self.draws if d.law)

    @property
    def counts(self) -> tuple[Count, ...]:
        return tuple(i for i in self.every if isinstance(i, Count))

    @property
    def state(self) -> tuple[Symbol, ...]:
        return tuple(b.symbol for b in self.blocks)

    @property
    def counted(self) -> bool:
        """Whether a coefficient depends on the step number."""
        return self.counter is not None and any(
            self.counter in symbols_of(e) for e in self.expressions()
        )

    @property
    def parameters(self) -> tuple[sp.Symbol, ...]:
        """Scalar symbols that must be given a value, by name."""
        defined = {*self.defined, *self.state, self.counter}
        found: set[sp.Symbol] = set()
        for e in self.expressions():
            found |= {s for s in symbols_of(e) if isinstance(s, sp.Symbol)}
        return tuple(sorted(found - defined, key=str))

    @property
    def defined(self) -> tuple[Symbol, ...]:
        """The names that its instructions give values, those inside of others among them."""
        return tuple(s for i in self.every for s in i.targets)

    def expressions(self) -> list[Expr]:
        """Everything that it computes with."""
        listed: list[Expr] = [
            *self.next.values(),
            *self.outputs.values(),
            *(b.init for b in self.blocks),
            *(b.history for b in self.blocks if b.keeps),
        ]
        return [*listed, *(e for i in self.instructions for e in i.expressions)]

    def inlined(self) -> Program:
        """The same program with every assignment substituted: calls and draws remain, then the next state.

        Raises TooLarge where the expressions grow without end, and NotCarried where there are guards.
        """
        return self._written_out

    @cached_property
    def _written_out(self) -> Program:
        values = Meanings()
        kept: list[Instruction] = []
        for i in self.plain:
            if isinstance(i, Assign):
                values.note(i.target, values.written_out(i.value))
            else:
                kept.append(i.changed(values.written_out))
        after = {s: values.written_out(e) for s, e in self.next.items()}
        return replace(self, instructions=tuple(kept), next=after)

    def written(self, e: Expr) -> Expr:
        """An expression with the names that it assigns replaced, as far as that is not too large."""
        return self._meanings(e)

    @cached_property
    def _meanings(self) -> Meanings:
        values = Meanings()
        for i in self.instructions:
            if isinstance(i, Assign):
                values.define(i.target, i.value)
        return values

    @cached_property
    def asked(self) -> tuple[CallOracle, ...]:
        """Its calls with what they ask written out, as far as that is not too large."""
        others = (i for i in self.instructions if not isinstance(i, Assign))
        written = tuple(i.changed(self._meanings) for i in others)
        return replace(self, instructions=written).calls

    def bind(self, values: Mapping[Any, Any]) -> Program:
        """The program with symbols replaced, coefficients canonical."""
        if not values:
            return self
        return self.rewritten(lambda e: tidy(substitute(e, values)))

    def renamed(self, names: Mapping[Oracle, Oracle]) -> Program:
        """The program with other oracles; the values of an objective go with its other oracles."""
        values = {Oracle("value", a.of): Oracle("value", b.of) for a, b in names.items()}
        return self.rewritten(lambda e: renamed(e, {**values, **names}), names)

    def rewritten(
        self, rule: Callable[[Any], Any], names: Mapping[Oracle, Oracle] | None = None
    ) -> Program:
        """The program with its expressions rewritten, and its calls made of other oracles."""
        names = names or {}
        instructions: list[Instruction] = [i.changed(rule).asking(names) for i in self.instructions]
        return replace(
            self,
            blocks=tuple(
                replace(b, init=rule(b.init), history=b.history and rule(b.history))
                for b in self.blocks
            ),
            instructions=tuple(instructions),
            next={s: rule(e) for s, e in self.next.items()},
            outputs={n: rule(e) for n, e in self.outputs.items()},
            held={s: rule(e) for s, e in self.held.items()},
        )

    @cached_property
    def oracles(self) -> tuple[Oracle, ...]:
        """Every oracle that it calls, values among them, but for named maps, which bring their functions."""
        found = {o for e in self.expressions() for o in oracles_in(e)}
        found |= {c.oracle for c in self.calls} | {o for i in self.sweeps for o in i.oracles}
        return tuple(sorted((o for o in found if not o.form.registered), key=lambda o: o.name))

    @property
    def asks_values(self) -> bool:
        """Whether it asks for values of a function."""
        return any(o.kind == "value" for o in self.oracles)

    @property
    def asks_at_random(self) -> bool:
        """Whether an oracle is given a sample beside its point, as one that picks rows of data is."""
        drawn = {*self.samples}
        return any(drawn & symbols_of(p) for c in self.calls for p in c.parameters)

    @cached_property
    def classes(self) -> tuple[int, ...]:
        """Which blocks have one shape, as numbers in their order: 0 is that of the starting point, -1 scalars."""
        begin = {b.symbol: b.init for b in self.blocks}
        return self._spaces().classes(begin, self.outputs.get("x"))

    @cached_property
    def classes_apart(self) -> tuple[int, ...]:
        """The same where each argument of a function has a starting point of its own."""
        return self._spaces().apart(self.state)

    @cached_property
    def lengths(self) -> dict[str, tuple[int, int]]:
        """Where it begins at a matrix, the axes of which its matrix blocks have the lengths; see `lengths_of`."""
        return lengths_of(self.blocks, self._read)

    def _spaces(self) -> Spaces:
        """Which of its vectors have one shape."""
        return self._read(Spaces())

    def _read(self, into: Read) -> Read:
        """The classes of what is added and multiplied."""
        for i in self.every:
            if isinstance(i, CallOracle):
                into.called(i.target, i.oracle, i.point, i.directions)
            elif isinstance(i, Assign):
                into.equate(i.target, i.value)
            elif isinstance(i, Draw) and isinstance(i.target, VectorSymbol):
                into.equate(i.target, i.like)
            elif isinstance(i, SweepCoordinates):
                into.equate(i.target, i.start)
            elif isinstance(i, (Choose, Loop)):
                for s, e in i.values():
                    into.equate(s, e)
        for s, e in self.next.items():
            into.equate(s, e)
        return into

    def alive(self, *results: Expr) -> Program:
        """The program without the blocks and instructions on which none of the results depends."""
        needed: set[Symbol] = {s for e in results for s in symbols_of(e)}
        size = -1
        while size != len(needed):
            size = len(needed)
            for s, e in self.next.items():
                needed |= symbols_of(e) if s in needed else set()
            instructions, needed = alive(self.instructions, needed)
        gone = set(self.state) - needed
        return replace(
            self,
            blocks=tuple(b for b in self.blocks if b.symbol not in gone),
            instructions=instructions,
            next={s: e for s, e in self.next.items() if s not in gone},
            held={s: e for s, e in self.held.items() if s not in gone},
        )

    def realized(self) -> Program:
        """The program with its samples made from standard normals, as it is run and emitted."""
        if not self.samples:
            return self
        taken = {s.name for s in (*self.state, *self.parameters, *self.defined)}
        made: list[Instruction] = []
        for i in self.instructions:
            if not (isinstance(i, Draw) and i.law):
                made.append(i)
                continue
            scalar, law = not isinstance(i.target, VectorSymbol), i.drawn_from
            normals: list[Symbol] = []
            for _ in range(law.normals):
                stems = (f"xi_{i.target.name}", *(f"xi_{i.target.name}_{n}" for n in range(1, 99)))
                name = next(n for n in stems if n not in taken)
                taken.add(name)
                normals.append(sp.Symbol(name, real=True) if scalar else VectorSymbol(name))
                made.append(Draw(normals[-1], i.like, i.process))
            made += _lowered(i.target, law.made(*normals), taken)
        return replace(self, instructions=tuple(made))

    def mean(self) -> Program:
        """The program with assignments substituted, in the mean over its draws.

        Samples that no call reads have the means that their laws give. Any other draw is independent of the state and
        as likely as its negative, so this is the mean of a step, given the state, where the step is a constant in the
        draws and what is odd in them, and the oracles that are asked at drawn points are affine, as the gradients of
        quadratics are. Raises NotCarried where the step is not.
        """
        flat = self.inlined()
        asked = {s for i in flat.instructions for s in i.reads}
        free = [s for s in flat.samples if s not in asked]
        flat = flat.rewritten(lambda e: tidy(mean_of(e, free))) if free else flat
        flat = flat.alive(*flat.state, *flat.outputs.values())
        at_zero: dict[Symbol, Expr] = {d.target: nothing(d.target) for d in flat.draws}
        mirrored: dict[Symbol, Expr] = {d.target: -d.target for d in flat.draws}
        at_mean = dict(
            at_zero
        )  # with answers at drawn points, which are mirrored at what they are at the mean
        for c in flat.calls:
            if any(symbols_of(e) & set(mirrored) for e in c.expressions):
                mean = VectorSymbol(f"mean of {c.target.name}", c.target.kind)
                at_mean[c.target], mirrored[c.target] = mean, mean * 2 - c.target
        for e in flat.expressions():
            if not vanishes(substitute(e, mirrored) + e - substitute(e, at_mean) * 2):
                raise NotCarried(
                    "a draw enters nonlinearly, so that the mean of a step is not the step without it."
                )
        quiet = flat.bind(at_zero)
        kept = tuple(i for i in quiet.plain if not isinstance(i, Draw))
        return replace(quiet, instructions=kept)

    def update_map(self, depth: int = 0) -> dict[Symbol, Expr]:
        """The next state as expressions in the state and its samples, calls written out, increments of noise zero.

        Implicit calls are unrolled ``depth`` times (exact through that order of their weight). Raises
        OdescentError for a sweep, whose map is no expression in whole vectors, and TooLarge as `inlined`.
        """
        flat = self.inlined()
        if flat.sweeps:
            raise OdescentError(
                f"the sweep over the coordinates of {flat.sweeps[0].start} has no map in whole vectors; run it, or "
                "write its coordinates as scalar blocks."
            )
        drawn: list[Symbol] = [d.target for d in flat.draws if not d.law]
        drawn += [n.target for n in flat.counts]
        values = Meanings({s: nothing(s) for s in drawn})
        for c in flat.calls:
            directions = tuple(map(values.written_out, c.directions))
            opened = replace(c, point=values.written_out(c.point), directions=directions)
            values.note(c.target, opened.as_call(depth))
        return {s: values.written_out(e) for s, e in flat.next.items()}


__all__ = [
    "Assign",
    "Call",
    "CallOracle",
    "Choose",
    "Count",
    "Draw",
    "Guarded",
    "Instruction",
    "Loop",
    "Plain",
    "Program",
    "StraightLine",
    "SweepCoordinates",
]
