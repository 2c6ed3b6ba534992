"""The order and the registers of a routine's operations, for an optimizer with in-place updates.

Blocks and parameters have registers of their own ("homes"). A value that replaces a block is computed in
its home as soon as nothing reads the old value any more; nothing is written over before the last oracle
has answered, so that an error leaves the state as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import sympy as sp

from ...._support.errors import NotCarried
from ....dynamics.algebra.vectors import Atom, Vector, VectorSymbol
from ..lowering.statements import (
    Ask,
    ChooseLet,
    CountLet,
    InnerLet,
    JoinLet,
    LoopLet,
    PartLet,
    Routine,
    Sample,
    ScalarLet,
    SolveLet,
    Statement,
    SweepLet,
    VectorLet,
    WindowLet,
    ZeroLet,
    inside,
    targets_of,
)
from .inplace import InPlaceWriter, Operation

PARAM = "param"  # the register of the parameters


# statements that are written on lists of tensors
Listed: TypeAlias = SolveLet | JoinLet | PartLet | ZeroLet | ChooseLet | LoopLet


@dataclass(frozen=True)
class Barrier:
    """A statement about whole lists, such as an oracle call, a solve or a loop, with the registers that it reads.

    ``kept``: its result is read after a later gradient, which may write over the same memory.
    """

    statement: Listed | Ask | InnerLet | WindowLet
    registers: tuple[str, ...]
    gradient: bool = False
    kept: bool = False


Item: TypeAlias = Operation | ScalarLet | Barrier


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
        routine = inlined(routine)
        self.where = dict(where)
        self.fixed = set(where.values()) | set(homes.values())
        self.home: dict[str, str] = {}  # of values by name
        self.copies: list[tuple[str, str]] = []  # register, name: at the end
        self.done: list[Item] = []
        finals = self._results(routine, homes)
        self.statements: list[Statement] = [*routine.statements, *self._ordered(finals)]
        asking = (Ask, SolveLet, ChooseLet, LoopLet)
        asks = [i for i, s in enumerate(self.statements) if isinstance(s, asking)]
        self.last_ask = max(asks, default=-1)
        self.gradients = [i for i in asks if self._takes_gradients(self.statements[i])]

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

    def _takes_gradients(self, s: Statement) -> bool:
        """Whether it is a gradient, or has one inside."""
        inner = (i for r in inside(s) for i in r.all_statements)
        return any(map(self._is_gradient, (s, *inner)))

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
            elif isinstance(s, (ChooseLet, LoopLet, JoinLet, PartLet, ZeroLet)):
                self._listed(s)
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
        """Where a gradient is taken; empty for those inside of another statement."""
        s = self.statements[i]
        return s.vectors[0].name if isinstance(s, Ask) else ""

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

    def _listed(self, s: ChooseLet | LoopLet | JoinLet | PartLet | ZeroLet) -> None:
        """What it makes are lists of their own, so that no register is two names."""
        self._flush()
        registers = tuple(self.where[v.name] for v in s.vectors)
        self.done.append(Barrier(s, registers))
        self.fixed |= {*registers}  # an oracle may keep what it is given
        for t in targets_of(s):
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
    if isinstance(s, InnerLet):
        return {s.left.name, s.right.name}
    if isinstance(s, (ScalarLet, Sample, CountLet, SweepLet)):
        return set()
    return {v.name for v in s.vectors}


Run: TypeAlias = list[Operation] | ScalarLet | Barrier


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
        elif isinstance(run, Barrier):
            found |= {r for r in run.registers if r in made}
    return found
