"""A program under construction: instructions, fresh names, oracle calls that are made once, stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import replace
from typing import Any

import sympy as sp

from ..._support.errors import OdescentError, check_choice, unknown
from ..._support.work import rewriting
from ...dynamics.algebra.calculus import Symbol, change, nothing, rebuilt, substitute, tidy
from ...dynamics.algebra.oracles import Oracle
from ...dynamics.algebra.scalars import nodes_of
from ...dynamics.algebra.vectors import Call, Expr, ScalarNode, Vector, VectorSymbol
from ...dynamics.algebra.windows import is_window, pushed
from ...dynamics.evaluation.differences import in_differences, in_fewer, joined
from ...dynamics.flows.system import System
from ...dynamics.implicit.roots import RootScalar, RootVector, roots_of
from ...dynamics.samples.monomials import with_signs_squared
from ...dynamics.vector_fields.block import Block
from ...dynamics.vector_fields.processes import Noise
from ..programs.meanings import Meanings
from ..programs.program import Assign, CallOracle, Count, Draw, Instruction
from ..programs.stages import staged_in
from ..programs.substeps import PREVIOUS, START, Flow, Let

LOOP, CHOICE = "Repeat", "Select"


def with_parts(e: Expr, changed: Callable[[Any], Any]) -> Expr:
    """An expression with its parts changed: the atoms of a vector and their factors, the nodes of a scalar."""
    if not isinstance(e, Vector):
        nodes = {n: n.rebuild(changed) for n in nodes_of(e, ScalarNode)}
        return e.xreplace(nodes) if nodes else e
    return rebuilt(e, [(a.changed(changed), changed(c)) for a, c in e.terms.items()])


Stage = Mapping[str, Symbol]  # block name -> the program's name for its value


class Builder:
    """A program under construction: its instructions so far, and what each block and stage is called by now.

    Each distinct oracle call is made once.
    """

    def __init__(
        self, system: System, step: sp.Symbol, clock: sp.Expr | None, reserved: Iterable[str]
    ) -> None:
        self.system, self.step, self.clock = system, step, clock
        self.instructions: list[Instruction] = []
        self.values = Meanings()  # of the names, in the state and in calls
        # what is asked is compared from an oracle's second call on
        self.alone: dict[Oracle, tuple[Call, sp.Expr, VectorSymbol] | None] = {}
        self.made: dict[tuple[object, ...], VectorSymbol] = {}
        names = (
            {b.name for b in system.blocks}
            | {s.name for s in system.parameters}
            | {step.name, "k", "t"}
        )
        names |= {s.name for s in (*system.samples, *(() if clock is None else clock.free_symbols))}
        self.used = names | set(reserved)
        self.state: dict[str, Symbol] = {b.name: b.symbol for b in system.blocks}
        self.kinds = {b.name: b.kind for b in system.blocks}
        self.stages: dict[str, Stage] = {START: dict(self.state)}
        self.remembered: dict[
            tuple[str, str], Symbol
        ] = {}  # a stage of the step before, and a block
        self.draws: dict[tuple[str, str], Expr] = {}  # of increments that substeps share
        self.gaps: dict[Vector, Vector] = {}  # differences that were named
        self.roots: dict[Any, Symbol] = {}  # implicit functions, by name
        self.found: dict[str, Symbol] = {}  # what memories of their unknowns' names keep
        self.drawn = self.instructions  # where draws are made: before a choice, not in it
        self.inside = ""  # what the instructions are inside of, for messages

    def within(self, what: str, trial: bool = False) -> Builder:
        """A program under construction inside of this one, which knows what is known here.

        Args:
            what: it is, for messages.
            trial: whether it is thrown away, so that it takes no names and draws nothing.
        """
        inner = copy(self)
        inner.instructions, inner.values, inner.inside = [], self.values.copied(), what
        inner.alone, inner.made, inner.gaps = dict(self.alone), dict(self.made), dict(self.gaps)
        inner.roots, inner.found = dict(self.roots), {}
        inner.state, inner.stages = dict(self.state), dict(self.stages)
        if trial:
            inner.used, inner.drawn = set(self.used), []
            inner.remembered, inner.draws = dict(self.remembered), dict(self.draws)
        return inner

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
        """Append an assignment to a fresh symbol.

        Args:
            stem: the preferred name.
            kind: of the value.
            value: the expression.

        Returns:
            the symbol.
        """
        target = self.symbol(stem, kind)
        self.instructions.append(Assign(target, value))
        self.values.define(target, value)
        return target

    def lower(self, e: Expr) -> Expr:
        """``e`` with its oracle calls replaced by names, calling each distinct point once."""

        def rule(node: Expr) -> Expr | None:
            return self.result(node) if isinstance(node, Call) else None

        e = self.joined(self.rooted(e))
        return self.with_gaps(with_signs_squared(change(e, rule)))

    def rooted(self, e: Expr) -> Expr:
        """``e`` with its implicit functions by names, those that others need first.

        A memory that is called as the unknown keeps what is found.
        """
        named: dict[Any, Symbol] = {}
        for root in roots_of(e):
            own = change(root, named.get)
            if not isinstance(own, (RootVector, RootScalar)):
                continue  # it is known by the names of others
            if own not in self.roots:
                of = own.equations
                kind = "scalar" if isinstance(own, RootScalar) else of.unknowns[own.which].kind
                name = of.names[own.which]
                self.roots[own] = self.assign(f"{name}_rest", kind, own)
                kept = [b for b in self.system.blocks if b.name == name and b.role == "memory"]
                if kept and not self.inside and not of.search.start:
                    self.found[name] = self.roots[own]
            named[root] = named[own] = self.roots[own]
        return change(e, named.get) if named else e

    def joined(self, e: Expr) -> Expr:
        """``e`` with the derivatives of a function along several directions, in a sum, as one along a named vector."""
        return rewriting(self._joined)(e)

    def _joined(self, e: Expr, changed: Callable[[Any], Any]) -> Expr:
        return joined(with_parts(e, changed), lambda v: self.gap(self.lower(v)))

    def with_gaps(self, e: Expr) -> Expr:
        """``e`` with vectors named of which it has products, so that none cancel."""
        old = [*self.stages[START].values()]
        return rewriting(self._with_gaps)(in_fewer(e, self.gap, old))

    def _with_gaps(self, e: Expr, changed: Callable[[Any], Any]) -> Expr:
        return in_differences(with_parts(e, changed), self.gap)

    def gap(self, v: Vector) -> Vector:
        """A vector by a name, but for a factor that its terms share; one term stands for itself."""
        if len(v.terms) < 2:
            return v
        own = set(self.state.values())
        first = min(v.terms, key=lambda a: (a not in own, a.key))
        factor = v.terms[first]
        plain = tidy(v * (1 / factor))
        if not all(sp.fraction(c)[1].is_number for c in plain.terms.values()):  # it may be zero
            factor = factor.as_coeff_Mul()[0]
            plain = tidy(v * (1 / factor))
        if plain not in self.gaps:
            target = VectorSymbol(self.fresh("gap", first=True))
            self.instructions.append(Assign(target, in_differences(plain, self.gap)))
            self.gaps[plain] = target
            self.values.define(target, plain)
        named: Vector = self.gaps[plain] * factor
        return named

    def result(self, node: Call, implicit: sp.Expr = sp.S.Zero) -> VectorSymbol:
        if node.oracle not in self.alone:
            target = self._asked(node, implicit)
            self.alone[node.oracle] = node, implicit, target
            return target
        if (first := self.alone[node.oracle]) is not None:
            self.made[self._key(*first[:2])], self.alone[node.oracle] = first[-1], None
        key = self._key(node, implicit)
        if key not in self.made:
            self.made[key] = self._asked(node, implicit)
        return self.made[key]

    def _key(self, node: Call, implicit: sp.Expr) -> tuple[object, ...]:
        """What a call asks its oracle, in terms of the state and of other calls."""
        directions = tuple(map(self.values, node.directions))
        return node.oracle, self.values(node.point), directions, node.parameters, implicit

    def _asked(self, node: Call, implicit: sp.Expr) -> VectorSymbol:
        """Append a call to the program; returns the name of its result."""
        name = self.fresh(node.oracle.form.stem or node.oracle.kind, first=True)
        target = VectorSymbol(name, "array" if node.is_array else "vector")
        directions = tuple(map(self.with_gaps, node.directions))
        parameters = tuple(map(self.with_gaps, node.parameters))
        point = self.with_gaps(node.point)
        self.instructions.append(
            CallOracle(target, node.oracle, point, directions, parameters, implicit)
        )
        return target

    def view(self, read: Mapping[str, str]) -> dict[Symbol, Expr]:
        """The value of each block in a substep: the current state, or a saved stage."""
        seen: dict[Symbol, Expr] = {}
        for b in self.system.blocks:
            stage = read.get(b.name, read.get("*"))
            seen[b.symbol] = self.state[b.name] if stage is None else self.at_stage(stage, b.name)
        return seen

    def seen(self, e: Expr, view: Mapping[Symbol, Expr], offset: sp.Expr = sp.S.Zero) -> Expr:
        """An expression of a substep in the names of the program.

        Args:
            e: in blocks, and in blocks at stages.
            view: the values of the blocks.
            offset: the time at which it is read, in steps after the start of the step.
        """
        stages: dict[Symbol, Expr] = {}
        for s in staged_in(e):
            if s.block not in self.kinds:
                raise unknown("block", s.block, self.kinds)
            stages[s] = self.at_stage(s.stage, s.block)
        return substitute(self.at_time(e, offset), {**view, **stages})

    def at_stage(self, stage: str, block: str) -> Symbol:
        """The name of a block's value at a stage; one of the step before is in a memory of the program."""
        if not stage.startswith(PREVIOUS):
            return self.stages[stage][block]
        if (stage, block) not in self.remembered:
            self.remembered[stage, block] = self.symbol(f"{block}_before", self.kinds[block])
        return self.remembered[stage, block]

    def memories(self) -> dict[Block, Symbol]:
        """The memories of stages of the step before, with what is in them after this one."""
        after: dict[Block, Symbol] = {}
        waiting = list(self.remembered)
        for stage, name in waiting:  # which grows where a memory is of a memory
            own, symbol = self.system.block(name), self.remembered[stage, name]
            inner = stage.removeprefix(PREVIOUS)
            if inner.startswith(PREVIOUS) and (inner, name) not in self.remembered:
                waiting.append((inner, name))
            after[replace(own, name=str(symbol), role="memory")] = self.at_stage(inner, name)
        return after

    def at_time(self, e: Expr, offset: sp.Expr) -> Expr:
        if self.system.time is None or self.clock is None:
            return e
        return substitute(e, {self.system.time: self.clock + offset * self.step})

    def draw(self, like: Symbol, process: str) -> Symbol:
        name = self.fresh("xi", first=True)
        target = (
            sp.Symbol(name, real=True) if self.kinds[like.name] == "scalar" else VectorSymbol(name)
        )
        self.refuse_in_loops("noise")
        self.drawn.append(Draw(target, like, process))
        return target

    def refuse_in_loops(self, what: str) -> None:
        """Refuse what belongs to a whole step in a substep that is repeated."""
        if self.inside == LOOP:
            raise OdescentError(
                f"a loop has {what} in it, which is drawn once in a step; move that substep out of the Repeat."
            )

    def count(self, like: Symbol, mean: sp.Expr, process: str, common: bool) -> sp.Symbol:
        """Append a Poisson count to the program.

        Args:
            like: the block that jumps.
            mean: of the count.
            process: the jump process.
            common: whether all particles share the count.

        Returns:
            its symbol.
        """
        if self.inside:
            raise OdescentError(
                f"a substep inside of a {self.inside} counts jumps, whose mean is known before the step branches; "
                "move it out."
            )
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
            if is_window(s):
                self.check_push(s, e)
            after[s] = self.lower(self.seen(e, view))
        self.finish(after, step.save, True)

    def check_push(self, window: VectorSymbol, e: Expr) -> None:
        """Refuse what is no push to this window, or the second one of a step."""
        self.refuse_in_loops("a push to a window")
        found = pushed(e)
        if found is None or found[0] != window:
            raise OdescentError(f"a Let assigns {e} to the window {window}; push(...) fills it.")
        if self.state[window.name] != window:
            raise OdescentError(f"two values are pushed to {window} in one step; push one.")

    def finish(self, after: Mapping[Symbol, Expr], save: str | None, commit: bool) -> None:
        """End a substep: assign the new values of the blocks, then `keep` them.

        Args:
            after: new values by block.
            save: the name of the stage to save, or None.
            commit: whether they become the state.
        """
        known = {
            *self.state.values(),
            *(s for stage in self.stages.values() for s in stage.values()),
        }
        made = {
            s.name: e  # inside of a choice or a loop a block may go back to where it was
            if self.inside and e in known
            else self.assign(s.name if commit else f"{s.name}_{save}", self.kinds[s.name], e)
            for s, e in after.items()
        }
        self.keep(made, save, commit)

    def keep(self, made: Mapping[str, Symbol], save: str | None, commit: bool) -> None:
        """Take new symbols of blocks as the state, as a saved stage, or as both.

        Args:
            made: new symbols by block name.
            save: the name of the stage to save, or None.
            commit: whether they become the state.
        """
        result = {**self.state, **made}
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
            check_choice("field", name, self.system.fields)
            chosen = self.system.fields[name]
            moved = {s: chosen.drift.get(s, nothing(s)) for s in (*chosen.drift, *chosen.noise)}
            for s, e in moved.items():
                if not step.on or s.name in step.on:
                    drift[s] = drift[s] + e if s in drift else e
            noise += [(s, d) for s, d in chosen.noise.items() if not step.on or s.name in step.on]
        return {s: tidy(e) for s, e in drift.items()}, noise
