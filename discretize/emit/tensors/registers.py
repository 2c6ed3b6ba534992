"""The order and the registers of a routine's operations, for an optimizer with in-place updates.

Blocks and parameters have registers of their own ("homes"). A value that replaces a block is computed in
its home as soon as nothing reads the old value any more; nothing is written over before the last oracle
has answered, so that an error leaves the state as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import sympy as sp

from ...._support.errors import NotCarried
from ....dynamics.algebra.calculus import Symbol
from ....dynamics.algebra.vectors import Atom, Expr, Vector, VectorSymbol
from ...programs.guards import Guard
from ..lowering.statements import (
    Ask,
    ChooseLet,
    InnerLet,
    Routine,
    Sample,
    ScalarLet,
    SolveLet,
    Statement,
    VectorLet,
    WindowLet,
)
from .inplace import InPlaceWriter, Operation

PARAM = "param"  # the register of the parameters


@dataclass(frozen=True)
class Barrier:
    """A statement about whole lists: an oracle call, an inner product, a solve, a window; with the registers it reads.

    ``kept``: its result is read after a later gradient, which may write over the same memory.
    """

    statement: Ask | InnerLet | SolveLet | WindowLet
    registers: tuple[str, ...]
    gradient: bool = False
    kept: bool = False


@dataclass(frozen=True)
class Pick:
    """A name with one of two values by a guard: of a vector a copy, so that no register is two names."""

    target: Symbol
    guard: Guard
    values: tuple[Expr, Expr]
    registers: tuple[str, ...] = ()  # of vectors


Item: TypeAlias = Operation | ScalarLet | Barrier | Pick


class Schedule:
    """What is to be done for a routine, in order: `items`.

    Args:
        routine: the statements and the results.
        evaluator: writes the operations.
        where: the register of each symbol that is there at the beginning.
        homes: for results by name, the register that they go to.
        gradient: the argument of Asks for gradients, which are taken at what PARAM holds.
        called: the register of what an oracle or a generator returns, by its name.
    """

    def __init__(
        self, routine: Routine, evaluator: InPlaceWriter, where: Mapping[str, str], homes: Mapping[str, str],
        gradient: str | None = None, called: Callable[[str], str] = str,
    ) -> None:  # fmt: skip
        self.evaluator, self.gradient, self.called = evaluator, gradient, called
        routine = inlined(_without_branches(routine))
        self.where = dict(where)
        self.fixed = set(where.values()) | set(homes.values())
        self.home: dict[str, str] = {}  # of values by name
        self.copies: list[tuple[str, str]] = []  # register, name: at the end
        self.done: list[Item] = []
        finals = self._results(routine, homes)
        self.statements: list[Statement] = [*routine.statements, *self._ordered(finals)]
        asks = [i for i, s in enumerate(self.statements) if isinstance(s, (Ask, SolveLet))]
        self.last_ask = max(asks, default=-1)
        self.gradients = [i for i in asks if self._is_gradient(self.statements[i])]

    def _results(self, routine: Routine, homes: Mapping[str, str]) -> list[VectorLet]:
        finals = []
        computed = {s.target.name for s in routine.statements if isinstance(s, VectorLet)}
        for name, home in homes.items():
            value = routine.results[name]
            assert isinstance(value, Vector)
            if not isinstance(value, VectorSymbol):
                target = VectorSymbol(f"{name}_next")
                finals.append(VectorLet(target, value))
                self.home[target.name] = home
            elif value.name in computed and value.name not in self.home:
                self.home[value.name] = home
            elif self.where.get(value.name) != home:
                self.copies.append((home, value.name))
        return finals

    def _ordered(self, finals: list[VectorLet]) -> list[VectorLet]:
        """First what replaces a value that none of the others reads."""
        ordered: list[VectorLet] = []
        while finals:

            def blocked(s: VectorLet) -> bool:
                old = {n for n, r in self.where.items() if r == self.home[s.target.name]}
                return any(old & _names(o.value) for o in finals if o is not s)  # noqa: B023

            chosen = next((s for s in finals if not blocked(s)), finals[0])
            finals = [s for s in finals if s is not chosen]
            ordered.append(chosen)
        return ordered

    def _is_gradient(self, s: Statement) -> bool:
        return isinstance(s, Ask) and s.argument == self.gradient

    def read_after(self, i: int) -> set[str]:
        """The names that are read after statement i."""
        found = {name for _, name in self.copies}
        for s in self.statements[i + 1 :]:
            found |= _reads(s)
        return found

    def items(self) -> list[Item]:
        """The operations, scalars and barriers; to be called once."""
        for i, s in enumerate(self.statements):
            if isinstance(s, VectorLet):
                self._let(i, s)
            elif isinstance(s, ScalarLet):
                self._flush()
                self.done.append(s)
            elif isinstance(s, Sample):
                self.where[s.target.name] = register = self.called(s.target.name)
                self.fixed.add(register)
            elif isinstance(s, (Ask, InnerLet, SolveLet)):
                self._barrier(i, s)
            elif isinstance(s, WindowLet):
                self._window(i, s)
            elif isinstance(s, ChooseLet):
                self._choose(s)
            else:
                raise NotCarried(
                    "the torch backend does not support sequential updates of coordinates."
                )
        self._copy_all()
        self._flush()
        return self.done

    def _flush(self) -> None:
        self.done += self.evaluator.operations
        self.evaluator.operations = []

    def _let(self, i: int, s: VectorLet) -> None:
        name, later = s.target.name, self.read_after(i)
        home = self.home.get(name)
        coming = [j for j in self.gradients if j > i]
        ahead = bool(coming) and self._point(coming[0]) == name
        if len(coming) > 1 and name in self.read_after(coming[0]):
            ahead = False  # the next but one would write over it
        home = PARAM if ahead else home
        free = home is not None and not any(r == home and n in later for n, r in self.where.items())
        early = i < self.last_ask and not ahead
        dead = {n for n, r in self.where.items() if n not in later and r not in self.fixed}
        read = frozenset(dead & _names(s.value))
        place = home if free and not early else None
        self.where[name] = self.evaluator.evaluate(s.value, self.where, place, read)
        if self.home.get(name) not in (None, place):
            self.copies.append((self.home[name], name))

    def _point(self, i: int) -> str:
        s = self.statements[i]
        assert isinstance(s, Ask)
        return s.vectors[0].name

    def _barrier(self, i: int, s: Ask | InnerLet | SolveLet) -> None:
        gradient = self._is_gradient(s)
        point = self._point(i) if gradient else ""
        there = gradient and i == self.gradients[0] and point == "params"
        if gradient and not there and self.where[point] != PARAM:
            self.evaluator.copy(PARAM, self.where[point])
        self._flush()
        vectors = (s.left, s.right) if isinstance(s, InnerLet) else s.vectors
        registers = tuple(self.where[v.name] for v in vectors)
        later = [j for j in self.gradients if j > i]
        kept = gradient and bool(later) and s.target.name in self.read_after(later[0] - 1)
        self.done.append(Barrier(s, registers, gradient, kept))
        if not isinstance(s, InnerLet):
            self.where[s.target.name] = register = self.called(s.target.name)
            self.fixed |= {register, *registers}  # an oracle may keep what it is given

    def _choose(self, s: ChooseLet) -> None:
        self._flush()
        for t in s.targets:
            one, other = s.accept.results[t.name], s.reject.results[t.name]
            vectors = [v for v in (one, other) if isinstance(v, VectorSymbol)]
            registers = tuple(self.where[v.name] for v in vectors)
            self.done.append(Pick(t, s.guard, (one, other), registers))
            if isinstance(t, VectorSymbol):
                self.where[t.name] = register = self.called(t.name)
                self.fixed.add(register)

    def _window(self, i: int, s: WindowLet) -> None:
        """A push is made in place: what reads the window as it was has to stand before it."""
        self._flush()
        old = {n for n, r in self.where.items() if r == self.where[s.vectors[0].name]}
        if s.function == "push" and old & self.read_after(i):
            raise NotCarried(
                "the torch backend pushes to a window in place: a step cannot read it as it was after a push."
            )
        self.done.append(Barrier(s, tuple(self.where[v.name] for v in s.vectors)))
        push = s.function == "push"
        register = self.where[s.vectors[0].name] if push else self.called(s.target.name)
        self.where[s.target.name] = register
        self.fixed.add(register)

    def _copy_all(self) -> None:
        pending = [(home, self.where[name]) for home, name in self.copies]
        pending = [(home, source) for home, source in pending if home != source]
        while pending:
            ready = next((p for p in pending if all(p[0] != q[1] for q in pending)), None)
            if ready is None:  # a cycle: one of the old values is put aside
                home, source = pending[0]
                aside = self.evaluator.fresh()
                self.evaluator.operations.append(Operation("clone", aside, (source,)))
                pending[0] = (home, aside)
                continue
            self.evaluator.copy(*ready)
            pending.remove(ready)


def _without_branches(routine: Routine) -> Routine:
    """The routine with what stands inside of choices made before them, which is sums and scalars alone."""
    kept: list[Statement] = []
    for s in routine.statements:
        if isinstance(s, ChooseLet):
            branches = [_without_branches(r) for r in (s.accept, s.reject)]
            for b in branches:
                if not all(isinstance(i, (ScalarLet, VectorLet, ChooseLet)) for i in b.statements):
                    raise NotCarried(
                        "the torch backend has choices between values, not between steps that ask oracles or take "
                        "inner products: a gradient comes once in a step."
                    )
                kept += b.statements
            s = replace(
                s,
                accept=Routine((), s.accept.results),
                reject=Routine((), s.reject.results),
            )
        kept.append(s)
    return Routine(tuple(kept), routine.results)


def inlined(routine: Routine) -> Routine:
    """The routine with sums that are read once, as a term of another sum, written out there."""
    reads: dict[str, int] = {}
    asked: set[str] = set()
    sums = [s.value for s in routine.statements if isinstance(s, VectorLet)]
    sums += [e for e in routine.results.values() if isinstance(e, Vector)]
    for e in sums:
        for name in _names(e):
            reads[name] = reads.get(name, 0) + 1
    for s in routine.statements:
        asked |= _reads(s) if not isinstance(s, VectorLet) else set()
    known: dict[VectorSymbol, Vector] = {}

    def opened(e: Vector) -> Vector:
        pairs: list[tuple[Atom, sp.Expr]] = []
        for a, c in e.terms.items():
            inside = known.get(a) if isinstance(a, VectorSymbol) else None
            whole = inside is not None and len(e.terms) > 1  # a name alone is read as it is
            pairs += [(b, c * d) for b, d in inside.terms.items()] if whole and inside else [(a, c)]
        return Vector.of(pairs)

    kept: list[Statement] = []
    for s in routine.statements:
        if isinstance(s, VectorLet):
            s = VectorLet(s.target, opened(s.value))
            as_term = any(s.target in e.terms and len(e.terms) > 1 for e in sums)
            if reads.get(s.target.name) == 1 and as_term and s.target.name not in asked:
                known[s.target] = s.value
                continue
        kept.append(s)
    results = {n: opened(e) if isinstance(e, Vector) else e for n, e in routine.results.items()}
    return Routine(tuple(kept), results)


def _names(v: Vector) -> set[str]:
    return {s.name for s in v.free_symbols if isinstance(s, VectorSymbol)}


def _reads(s: Statement) -> set[str]:
    if isinstance(s, VectorLet):
        return _names(s.value)
    if isinstance(s, (Ask, SolveLet, WindowLet)):
        return {v.name for v in s.vectors}
    if isinstance(s, ChooseLet):
        values = (*s.accept.results.values(), *s.reject.results.values())
        return {v.name for v in values if isinstance(v, VectorSymbol)}
    return {s.left.name, s.right.name} if isinstance(s, InnerLet) else set()


Run: TypeAlias = list[Operation] | ScalarLet | Barrier | Pick


def segments(items: Iterable[Item]) -> list[Run]:
    """Runs of operations between barriers; scalars go before the run that they interrupt."""
    done: list[Run] = []
    for item in items:
        last = done[-1] if done else None
        if isinstance(item, Operation):
            if isinstance(last, list):
                last.append(item)
            else:
                done.append([item])
        elif isinstance(item, ScalarLet) and isinstance(last, list):
            done.insert(-1, item)
        else:
            done.append(item)
    return done


def crossing(runs: list[Run], known: set[str]) -> set[str]:
    """Temporaries that are read outside the run of operations that makes them."""
    made: dict[str, int] = {}
    found: set[str] = set()
    for n, run in enumerate(runs):
        if isinstance(run, list):
            found |= {r for o in run for r in o.operands if made.get(r, n) != n}
            for o in run:
                if o.target not in known:
                    made.setdefault(o.target, n)
        elif isinstance(run, (Barrier, Pick)):
            found |= {r for r in run.registers if r in made}
    return found
