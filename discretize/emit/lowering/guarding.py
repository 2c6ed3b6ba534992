"""The statements of choices and loops: routines inside of a routine."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

import sympy as sp

from ...._support.errors import NotCarried
from ....dynamics.algebra.calculus import Symbol, symbols_of
from ....dynamics.algebra.direct_sums import points_of
from ....dynamics.algebra.vectors import Expr, ScalarNode, Vector, VectorSymbol, zero
from ...programs.guards import Guard
from ...programs.instructions import (
    Assign,
    CallOracle,
    Choose,
    Instruction,
    Loop,
    StraightLine,
)
from .coefficients import presentable
from .solving import SolveWriter
from .statements import ChooseLet, LoopLet, Routine, ZeroLet


class GuardWriter(SolveWriter):
    """What a writer of statements does with guards."""

    @abstractmethod
    def instruction(self, i: Instruction) -> None:
        """The statements of an instruction."""

    @abstractmethod
    def nested(self) -> Self:
        """A writer for what stands inside of a choice or a loop, which reads what is made so far."""

    def choose(self, i: Choose) -> None:
        """A choice: the guard's sides by name, and a routine for each branch."""
        guard = self.guard(i.guard)
        stem = i.names[0].name
        local = (self.table.fresh(f"{stem}_accepted"), self.table.fresh(f"{stem}_rejected"))
        sides = [
            self.branch(b, i.names, o) for b, o in ((i.accept, i.reject), (i.reject, i.accept))
        ]
        self.statements.append(ChooseLet(i.names, guard, sides[0], sides[1], local))

    def repeat(self, i: Loop) -> None:
        """A loop: what it begins with, and a routine for an iteration."""
        begin = tuple(
            self.ending(s, e, o, i) for s, e, o in zip(i.names, i.begin, i.body.values, strict=True)
        )
        limit = self.scalar(presentable(i.limit), "limit")
        local = self.table.fresh(f"{i.names[0].name if i.names else i.count.name}_once")
        # Values and inner products that are the same in each iteration are computed before the loop.
        moving = {*i.targets, *(s for j in i.body.every for s in j.targets)}
        for e in self._asked_in_each(i):
            for node in sorted(e.atoms(ScalarNode), key=str):
                if not node.symbols() & moving and not node.calls():
                    self.node(node)
        inner = self.nested()
        for j in i.body.instructions:
            inner.instruction(j)
        until = None if i.until is None else inner.guard(i.until)
        ends = zip(i.names, i.body.values, i.begin, strict=True)
        results = {s.name: inner.ending(s, e, o) for s, e, o in ends}
        body = Routine(tuple(inner.statements), results)
        ended = "fixed point" if i.fixed_point else "search" if _is_search(i) else ""
        self.statements.append(
            LoopLet(i.names, begin, body, until, limit, i.count, ended, i.said, local)
        )

    @staticmethod
    def _asked_in_each(i: Loop) -> list[sp.Expr]:
        """The scalars that every iteration computes, whatever its own guards say."""
        computed = [j for j in i.body.instructions if not isinstance(j, (Choose, Loop))]
        found = [e for j in computed for e in j.expressions] + [*i.body.values]
        found += [
            e for j in i.body.instructions if isinstance(j, Choose) for e in j.guard.expressions
        ]
        scalars = [c for e in found if isinstance(e, Vector) for c in e.terms.values()]
        scalars += [e for e in found if not isinstance(e, Vector)]
        return [*scalars, *(() if i.until is None else i.until.expressions)]

    @abstractmethod
    def node(self, e: ScalarNode) -> sp.Symbol:
        """The name of an inner product or a value."""

    def guard(self, guard: Guard) -> Guard:
        """The guard with names or numbers for its sides."""
        return guard.changed(lambda e: self.scalar(presentable(e), "compared", turned=True))

    def branch(self, b: StraightLine, names: Sequence[Symbol], other: StraightLine) -> Routine:
        """The routine of a branch beside the other one."""
        inner = self.nested()
        for i in b.instructions:
            inner.instruction(i)
        ends = zip(names, b.values, other.values, strict=True)
        results = {s.name: inner.ending(s, e, o, other) for s, e, o in ends}
        return Routine(tuple(inner.statements), results)

    def ending(
        self, s: Symbol, value: Expr, other: Expr, inside: Loop | StraightLine | None = None
    ) -> Expr:
        """A value by a name or a number; zero has the shape of the other value, which may be made ``inside``."""
        if not isinstance(value, Vector):
            return self.scalar(presentable(value), f"{s.name}_value")
        if value:
            return self.named(value, f"{s.name}_value")
        made = {t: i for i in inside.every for t in i.targets} if inside is not None else {}
        if isinstance(inside, Loop):  # what begins with another vector has its shape
            begun = zip(inside.names, inside.begin, strict=True)
            made |= {t: Assign(t, e) for t, e in begun if isinstance(e, Vector) and e}
        like = _outside(other, made) if isinstance(other, Vector) else None
        if like is None:
            raise NotCarried(f"emitted code does not know the shape of {s}, which is zero.")
        target = VectorSymbol(self.table.fresh(f"{s.name}_value"))
        self.statements.append(ZeroLet(target, like))
        return target


def _outside(e: Vector, made: Mapping[Symbol, Instruction | None]) -> VectorSymbol | None:
    """A name of the shape of a vector that is known outside of the routine whose instructions have ``made`` others."""
    for a in e.terms:
        if not isinstance(a, VectorSymbol):
            continue
        if a not in made:
            return a
        source = made[a]
        if isinstance(source, CallOracle) and (source.oracle.form.field or source.oracle.slot):
            places = dict(
                zip(source.oracle.args, points_of(source.oracle, source.point), strict=False)
            )
            at: Any = places.get(source.oracle.slot, source.point)
        else:
            at = source.value if isinstance(source, Assign) else zero
        found = _outside(at, {**made, a: None})  # which does not lead back here
        if found is not None:
            return found
    return None


def _is_search(i: Loop) -> bool:
    """Whether an iteration is tied to the one before by numbers alone, which are made of such numbers.

    So does a line search: what it finds is a step, and a change of the start moves it only where a decision changes.
    """
    vectors = {s for s in i.names if isinstance(s, VectorSymbol)}
    if i.until is None or any(symbols_of(e) & vectors for e in i.body.expressions):
        return False
    found = _found(i.body, {i.count, *i.names} - vectors)
    return all(
        _made_of(found, e) for s, e in zip(i.names, i.body.values, strict=True) if s not in vectors
    )


def _found(body: StraightLine, known: set[Symbol]) -> set[Symbol]:
    """The scalars of a routine that are made of known ones alone, whatever its guards say; these included."""
    known = set(known)
    for j in body.instructions:
        if isinstance(j, Assign) and _made_of(known, j.value):
            known.add(j.target)
        elif isinstance(j, Choose):
            sides = [(_found(b, known), b.values) for b in j.branches]
            for k, name in enumerate(j.names):
                if all(_made_of(inside, values[k]) for inside, values in sides):
                    known.add(name)
    return known


def _made_of(known: set[Symbol], e: Expr) -> bool:
    return not isinstance(e, Vector) and not e.has(ScalarNode) and e.free_symbols <= known
