"""From a system and a scheme to a program: the scheme's substeps, executed symbolically."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import sympy as sp

from odescent._errors import OdescentError, unknown
from odescent.dynamics.calculus import Symbol, change, nothing, substitute, symbols_of, tidy
from odescent.dynamics.fields import Block, System
from odescent.dynamics.noise import Noise
from odescent.dynamics.squares import with_lengths
from odescent.dynamics.vectors import Call, Expr, Vector, VectorSymbol

from . import noise as noise_of
from .coordinatewise import sweep
from .integrate import advance
from .program import Assign, CallOracle, Count, Draw, Instruction, Program, SweepCoordinates
from .substeps import START, Flow, Let, Scheme, Sweep

COUNTER = sp.Symbol("k", integer=True, nonnegative=True)  # the step number
Stage = Mapping[str, Symbol]  # block name -> the program's name for its value


class _Compiler:
    """Runs a scheme's substeps on names instead of numbers, making each distinct oracle call once."""

    def __init__(
        self, system: System, step: sp.Symbol, clock: sp.Expr | None, reserved: Iterable[str]
    ) -> None:
        self.system, self.step, self.clock = system, step, clock
        self.instructions: list[Instruction] = []
        self.values: dict[
            Symbol, Expr
        ] = {}  # each assigned name, in terms of the state and of calls
        self.made: dict[tuple[object, ...], VectorSymbol] = {}
        names = (
            {b.name for b in system.blocks}
            | {s.name for s in system.parameters}
            | {step.name, "k", "t"}
        )
        names |= {s.name for s in (() if clock is None else clock.free_symbols)}
        self.used = names | set(reserved)
        self.state: dict[str, Symbol] = {b.name: b.symbol for b in system.blocks}
        self.kinds = {b.name: b.kind for b in system.blocks}
        self.stages: dict[str, Stage] = {START: dict(self.state)}
        self.draws: dict[tuple[str, str], Expr] = {}  # of increments that substeps share
        self.gaps: dict[Vector, Vector] = {}  # differences that were named

    @property
    def state_symbols(self) -> tuple[Symbol, ...]:
        """The symbols of the blocks, as the fields have them."""
        return tuple(b.symbol for b in self.system.blocks)

    def fresh(self, stem: str, first: bool = False) -> str:
        n = 0 if first else 1
        while (name := stem if n == 0 else f"{stem}_{n}") in self.used:
            n += 1
        self.used.add(name)
        return name

    def symbol(self, stem: str, kind: str) -> Symbol:
        name = self.fresh(stem)
        return sp.Symbol(name, real=True) if kind == "scalar" else VectorSymbol(name, kind)

    def assign(self, stem: str, kind: str, value: Expr) -> Symbol:
        target = self.symbol(stem, kind)
        self.instructions.append(Assign(target, value))
        self.values[target] = tidy(substitute(value, self.values))
        return target

    def lower(self, e: Expr) -> Expr:
        """``e`` with its oracle calls replaced by names, calling each distinct point once."""

        def rule(node: Expr) -> Expr | None:
            return self.result(node) if isinstance(node, Call) else None

        return self.named_lengths(change(e, rule))

    def named_lengths(self, e: Expr) -> Expr:
        """``e`` with vectors named whose squared length is in it, so that no inner products cancel."""

        if not isinstance(e, Vector):
            return with_lengths(e, self.gap)
        return Vector.of((a, with_lengths(c, self.gap)) for a, c in e.terms.items())

    def gap(self, v: Vector) -> Vector:
        """A vector by a name, but for a factor that its terms share; one term stands for itself."""
        if len(v.terms) < 2:
            return v
        own = set(self.state.values())
        first = min(v.terms, key=lambda a: (a not in own, a.key))
        factor = v.terms[first]
        plain = tidy(v * (1 / factor))
        if plain not in self.gaps:
            target = VectorSymbol(self.fresh("gap", first=True))
            self.instructions.append(Assign(target, plain))
            self.gaps[plain], self.values[target] = target, tidy(substitute(plain, self.values))
        named: Vector = self.gaps[plain] * factor
        return named

    def result(self, node: Call, implicit: sp.Expr = sp.S.Zero) -> VectorSymbol:
        point = tidy(substitute(node.point, self.values))
        directions = tuple(tidy(substitute(d, self.values)) for d in node.directions)
        key = (node.oracle, point, directions, node.parameters, implicit)
        if key not in self.made:
            stem = {"grad": "g", "operator": "F", "ensemble": "m"}.get(
                node.oracle.kind, node.oracle.kind
            )
            target = VectorSymbol(self.fresh(stem, first=True))
            self.instructions.append(
                CallOracle(
                    target,
                    node.oracle,
                    node.point,
                    tuple(node.directions),
                    node.parameters,
                    implicit,
                )
            )
            self.made[key] = target
        return self.made[key]

    def view(self, read: Mapping[str, str]) -> dict[Symbol, Expr]:
        """What each block's symbol means to a substep: the current state, or a saved stage."""
        seen: dict[Symbol, Expr] = {}
        for b in self.system.blocks:
            stage = read.get(b.name, read.get("*"))
            seen[b.symbol] = self.state[b.name] if stage is None else self.stages[stage][b.name]
        return seen

    def at_time(self, e: Expr, offset: sp.Expr) -> Expr:
        if self.system.time is None or self.clock is None:
            return e
        return substitute(e, {self.system.time: self.clock + offset * self.step})

    def flow(self, step: Flow) -> None:
        drift, noise = self.select(step)
        view = self.view(step.read)
        noise_of.check(self, noise, step)
        after = advance(self, drift, noise, view, step)
        self._finish(after, step.save, step.commit)

    def sweep(self, step: Sweep) -> None:
        block, made = sweep(self, step)
        result = {**self.state, block.name: made}
        if step.save is not None:
            self.stages[step.save] = result
        if step.commit:
            self.state = result

    def draw(self, like: Symbol, process: str) -> Symbol:
        name = self.fresh("xi", first=True)
        target = (
            sp.Symbol(name, real=True) if self.kinds[like.name] == "scalar" else VectorSymbol(name)
        )
        self.instructions.append(Draw(target, like, process))
        return target

    def count(self, like: Symbol, mean: sp.Expr, process: str, common: bool) -> sp.Symbol:
        target = sp.Symbol(self.fresh("jumps", first=True), integer=True, nonnegative=True)
        self.instructions.append(Count(target, mean, like, process, common))
        return target

    def let(self, step: Let) -> None:
        view = self.view(step.read)
        after: dict[Symbol, Expr] = {}
        for s, e in step.assign.items():
            name = getattr(s, "name", str(s))
            if name not in self.state:
                raise OdescentError(
                    f"a Let assigns {name!r}, which is not a block of the system; declare it."
                )
            after[s] = self.lower(substitute(self.at_time(e, sp.S.Zero), view))
        self._finish(after, step.save, True)

    def _finish(self, after: Mapping[Symbol, Expr], save: str | None, commit: bool) -> None:
        result = dict(self.state)
        for s, e in after.items():
            name = s.name
            stem = name if commit else f"{name}_{save}"
            result[name] = self.assign(stem, self.kinds[name], e)
        if save is not None:
            self.stages[save] = result
        if commit:
            self.state = result

    def select(self, step: Flow) -> tuple[dict[Symbol, Expr], list[tuple[Symbol, Noise]]]:
        """The drift and the noise of the blocks that a substep moves."""
        for b in (*step.on, *step.read):
            if b != "*" and b not in self.kinds:
                raise unknown("block", b, self.kinds)
        drift: dict[Symbol, Expr] = {}
        noise: list[tuple[Symbol, Noise]] = []
        for name in step.fields or self.system.fields:
            if name not in self.system.fields:
                raise unknown("field", name, self.system.fields)
            chosen = self.system.fields[name]
            moved = {s: chosen.drift.get(s, nothing(s)) for s in (*chosen.drift, *chosen.noise)}
            for s, e in moved.items():
                if not step.on or s.name in step.on:
                    drift[s] = drift[s] + e if s in drift else e
            noise += [(s, d) for s, d in chosen.noise.items() if not step.on or s.name in step.on]
        return {s: tidy(e) for s, e in drift.items()}, noise


def compile_scheme(
    system: System,
    scheme: Scheme,
    step: sp.Symbol,
    clock: sp.Expr | None,
    outputs: Mapping[str, Expr],
    reserved: Iterable[str] = (),
) -> Program:
    """The program of one step of the scheme on the system; fresh names avoid the ``reserved`` ones.

    Raises OdescentError: unknown fields or blocks, an integrator that does not fit its fields.
    """
    compiler = _Compiler(system, step, clock, {*reserved, *_names_in(scheme)})
    for i, part in enumerate(scheme.steps, 1):
        try:
            if isinstance(part, Sweep):
                compiler.sweep(part)
            elif isinstance(part, Flow):
                compiler.flow(part)
            else:
                compiler.let(part)
        except OdescentError as error:
            raise type(error)(
                f"substep {i} of the scheme ({scheme.name or 'unnamed'}): {error}"
            ) from None
    after = {b.symbol: compiler.state[b.name] for b in system.blocks}
    return _drop_dead(
        Program(
            system.blocks,
            tuple(compiler.instructions),
            after,
            outputs,
            None if clock is None else COUNTER,
        )
    )


def _names_in(scheme: Scheme) -> set[str]:
    """The names of the symbols that a scheme brings with it: fractions, times, and what is assigned."""
    used: list[Expr] = []
    for part in scheme.steps:
        used += part.assign.values() if isinstance(part, Let) else [part.fraction, part.time]
    return {s.name for e in used for s in symbols_of(e)}


def _drop_dead(program: Program) -> Program:
    """Without instructions whose result nothing uses, such as the unread blocks of a look-ahead."""
    needed = {s for e in program.next.values() for s in symbols_of(e)}
    kept: list[Instruction] = []
    for i in reversed(program.instructions):
        if i.target in needed:
            kept.append(i)
            parts: list[Expr] = [i.value] if isinstance(i, Assign) else []
            if isinstance(i, (CallOracle, SweepCoordinates)):
                parts = list(i.expressions)
            if isinstance(i, Count):
                parts = [i.mean]
            needed |= {s for e in parts for s in symbols_of(e)}
    return replace(program, instructions=tuple(reversed(kept)))


def reuse_across_steps(program: Program) -> Program:
    """A call that is the first one of the next step is made once and kept in a memory block.

    It has to be the same call in everything that the oracle is asked with. The first call of a step is known a
    step ahead only where it reads nothing but the state: not the step number or a draw, which are others in the
    next step, and no parameter, since those may be changed between two steps by a schedule.
    """
    flat = program.inlined()
    if len(flat.calls) < 2:
        return program
    first = flat.calls[0]
    if not _reads_the_state_alone(first, program):
        return program

    def in_next_step(e: Expr) -> Expr:
        return flat.next[e] if e in flat.next else tidy(substitute(e, flat.next))

    ahead = first.changed(in_next_step)
    later = next((c for c in flat.calls[1:] if replace(c, target=first.target) == ahead), None)
    if later is None:
        return program
    taken = {s.name for s in (*program.state, *program.parameters)} | {
        i.target.name for i in program.instructions
    }
    kept = VectorSymbol(next(n for n in _candidates(f"{first.target.name}_kept") if n not in taken))
    initial = {b.symbol: b.init for b in program.blocks}
    block = Block(kept.name, "vector", "memory", substitute(first.as_call(), initial))
    trimmed = replace(
        program, instructions=tuple(i for i in program.instructions if i.target != first.target)
    )
    renamed = trimmed.bind({first.target: kept})
    return _drop_dead(
        replace(renamed, blocks=(*renamed.blocks, block), next={**renamed.next, kept: later.target})
    )


def _reads_the_state_alone(c: CallOracle, program: Program) -> bool:
    """Whether a call is a plain one (no direction, parameter or implicit weight) at a function of the state."""
    plain = not c.directions and not c.parameters and c.implicit == 0
    return plain and symbols_of(c.point) <= set(program.state)


def _candidates(stem: str) -> Iterator[str]:
    yield stem
    yield from (f"{stem}_{i}" for i in itertools.count(1))
