"""The instructions of programs: oracle calls, draws, assignments, sweeps, choices and loops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any, ClassVar, Self, TypeAlias

import sympy as sp

from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.calculus import Symbol, substitute, symbols_of
from ...dynamics.algebra.oracles import Oracle
from ...dynamics.algebra.vectors import Expr, Vector, VectorSymbol, call
from ...dynamics.implicit.roots import RootScalar, RootVector, starts_of
from ...dynamics.samples.laws import Law, law_of
from .control import UNROLLED, bound_of
from .guards import Guard


@dataclass(frozen=True)
class Instructed(Rendered):
    """The base of instructions: a target, and expressions in the fields named by ``computes``."""

    computes: ClassVar[tuple[str, ...]] = ()

    @property
    def targets(self) -> tuple[Symbol, ...]:
        """The names that it gives values."""
        return (self.target,)  # type: ignore[attr-defined]

    @property
    def every(self) -> tuple[Instruction, ...]:
        """It, and the instructions inside of it."""
        return (self,)  # type: ignore[return-value]

    @property
    def expressions(self) -> tuple[Expr, ...]:
        """Everything that it computes with."""
        found: list[Expr] = []
        for name in self.computes:
            value = getattr(self, name)
            found += value if isinstance(value, tuple) else [value]
        return tuple(found)

    @property
    def reads(self) -> set[Symbol]:
        """The symbols that it reads, that of a shape among them."""
        like = {self.like} if hasattr(self, "like") else set()
        return like | {s for e in self.expressions for s in symbols_of(e)}

    def trimmed(self, needed: set[Symbol]) -> Self | None:
        """What is left of it where these names alone are needed; None for nothing."""
        return self if needed & set(self.targets) else None

    def asking(self, names: Mapping[Oracle, Oracle]) -> Self:
        """With other oracles."""
        return self

    def called(self, name: Callable[[Symbol], Symbol], rule: Callable[[Any], Any]) -> Self:
        """With other names: ``name`` of a symbol that it defines or is like, ``rule`` of an expression."""
        symbols = {
            n: name(getattr(self, n)) for n in ("target", "like", "moving") if hasattr(self, n)
        }
        return replace(self.changed(rule), **symbols)

    def changed(self, rule: Callable[[Any], Any]) -> Self:
        """With its expressions rewritten."""
        values = {name: getattr(self, name) for name in self.computes}
        return replace(
            self,
            **{
                n: tuple(map(rule, v)) if isinstance(v, tuple) else rule(v)
                for n, v in values.items()
            },
        )


@dataclass(frozen=True)
class CallOracle(Instructed):
    """``target = D^k F(point + implicit * target)[directions]``.

    A nonzero ``implicit`` weight makes the step implicit: with a gradient and a negative weight -w,
    point + implicit * target is prox_{w f}(point).
    """

    computes: ClassVar = ("point", "directions", "parameters", "implicit")
    target: VectorSymbol
    oracle: Oracle
    point: Vector
    directions: tuple[Vector, ...] = ()
    parameters: tuple[sp.Expr, ...] = ()
    implicit: sp.Expr = sp.S.Zero

    def asking(self, names: Mapping[Oracle, Oracle]) -> CallOracle:
        return replace(self, oracle=names.get(self.oracle, self.oracle))

    def as_call(self, depth: int = 0) -> Vector:
        """The call as an expression; an implicit one is unrolled ``depth`` times."""
        point = self.point
        if self.implicit != 0 and depth > 0:
            point = point + self.as_call(depth - 1) * self.implicit
        return call(self.oracle, point, self.directions, self.parameters)


@dataclass(frozen=True)
class Draw(Instructed):
    """``target`` is drawn in the shape of block ``like``.

    It is a standard normal, for the increment of a Wiener process, or a sample of a ``law``; see `dynamics.sample`.
    """

    target: Symbol
    like: Symbol
    process: str
    law: str = ""

    @property
    def reads(self) -> set[Symbol]:
        # a number has no shape
        return {self.like} if isinstance(self.target, VectorSymbol) else set()

    @property
    def operates(self) -> bool:
        """Whether a matrix is drawn."""
        return isinstance(self.target, VectorSymbol) and self.target.operates

    @property
    def standardized(self) -> bool:
        """Whether its coordinates are uncorrelated, of mean zero and variance one."""
        return self.law not in ("uniform", "rows") or isinstance(self.target, VectorSymbol)

    @property
    def drawn_from(self) -> Law:
        """Its law: a standard normal for the increment of a Wiener process."""
        return law_of(self.law or "normal", scalar=not isinstance(self.target, VectorSymbol))


@dataclass(frozen=True)
class Count(Instructed):
    """``target`` is a Poisson number of this mean: how often ``process`` jumps in a substep.

    In an ensemble each particle, as block ``like`` has them, counts jumps of its own, or they all share one count
    where it is ``common``.
    """

    computes: ClassVar = ("mean",)
    target: sp.Symbol
    mean: sp.Expr
    like: Symbol
    process: str
    common: bool = False


@dataclass(frozen=True)
class Assign(Instructed):
    """``target = value``."""

    computes: ClassVar = ("value",)
    target: Symbol
    value: Expr

    @property
    def reads(self) -> set[Symbol]:
        """The symbols that it reads, those from which an implicit function is searched among them."""
        rooted = isinstance(self.value, (RootVector, RootScalar))
        return symbols_of(self.value) | (starts_of(self.value) if rooted else set())


@dataclass(frozen=True)
class SweepCoordinates(Instructed):
    """``target`` is ``start`` with its coordinates moved one after the other, each seeing those before it.

    Coordinate i of the moving vector z becomes the u with
    u = z_i + duration ((1 - implicit) slope_i(z) + implicit slope_i(z with u for z_i)).
    ``slope`` is an expression in ``moving`` (z), its gradient or operator there, and other vectors,
    element by element. With ``quotient``, the partial derivative of f in it is replaced by
    (f(z with u for z_i) - f(z)) / (u - z_i), Itoh and Abe's discrete gradient, in the second slope.
    """

    computes: ClassVar = ("start", "slope", "duration")
    target: VectorSymbol
    start: Vector
    moving: VectorSymbol
    slope: Vector
    duration: sp.Expr
    implicit: sp.Expr
    quotient: bool = False
    backward: bool = False

    @property
    def oracles(self) -> set[Oracle]:
        """The oracles of which it calls components."""
        return {c.oracle for c in self.slope.calls()}

    def to_first_order(self) -> Vector:
        """The target but for what is of second order in the duration, whatever the rule and the order."""
        rate = substitute(self.slope, {self.moving: self.start})
        moved: Vector = self.start + rate * self.duration
        return moved


@dataclass(frozen=True)
class StraightLine(Rendered):
    """Instructions, and the values that they end with."""

    instructions: tuple[Instruction, ...]
    values: tuple[Expr, ...]

    @property
    def every(self) -> tuple[Instruction, ...]:
        """The instructions with those inside of them."""
        return tuple(j for i in self.instructions for j in i.every)

    @property
    def expressions(self) -> tuple[Expr, ...]:
        """Everything that it computes with."""
        return (*(e for i in self.instructions for e in i.expressions), *self.values)

    def changed(self, rule: Callable[[Any], Any]) -> StraightLine:
        """With its expressions rewritten."""
        return self._with(lambda i: i.changed(rule), rule)

    def asking(self, names: Mapping[Oracle, Oracle]) -> StraightLine:
        """With other oracles."""
        return StraightLine(tuple(i.asking(names) for i in self.instructions), self.values)

    def called(self, name: Callable[[Symbol], Symbol], rule: Callable[[Any], Any]) -> StraightLine:
        """With other names."""
        return self._with(lambda i: i.called(name, rule), rule)

    def _with(
        self, instruction: Callable[[Instruction], Instruction], value: Callable[[Any], Any]
    ) -> StraightLine:
        return StraightLine(
            tuple(map(instruction, self.instructions)), tuple(map(value, self.values))
        )

    def accepted(self) -> list[Instruction]:
        """The instructions of the way on which guards accept."""
        listed: list[Instruction] = []
        for i in self.instructions:
            listed += i.accepted() if isinstance(i, (Choose, Loop)) else [i]
        return listed

    def alive(self, needed: set[Symbol]) -> tuple[tuple[Instruction, ...], set[Symbol]]:
        """The instructions on which these symbols depend, and all symbols that are read then."""
        return alive(self.instructions, needed)


def alive(
    instructions: tuple[Instruction, ...], needed: set[Symbol]
) -> tuple[tuple[Instruction, ...], set[Symbol]]:
    """The instructions on which some symbols depend, and these with all symbols that those read."""
    kept: list[Instruction] = []
    needed = set(needed)
    for i in reversed(instructions):
        if (left := i.trimmed(needed)) is not None:
            kept.append(left)
            needed |= left.reads
    return tuple(reversed(kept)), needed


@dataclass(frozen=True)
class Guarded(Instructed):
    """The base of instructions with instructions inside of them; what these define is not read outside.

    Each name is assigned once in a program, inside and outside.
    """

    @property
    def branches(self) -> tuple[StraightLine, ...]:
        """What is inside."""
        raise NotImplementedError

    def values(self) -> tuple[tuple[Symbol, Expr], ...]:
        """The names with each value that they may have."""
        raise NotImplementedError

    @property
    def every(self) -> tuple[Instruction, ...]:
        return (self, *(i for b in self.branches for i in b.every))  # type: ignore[arg-type]

    @property
    def reads(self) -> set[Symbol]:
        inside = [i for b in self.branches for i in b.every]
        read = {s for e in self.expressions for s in symbols_of(e)}
        read |= {i.like for i in inside if hasattr(i, "like")}
        return read - {s for i in inside for s in i.targets} - set(self.targets)


@dataclass(frozen=True)
class Choose(Guarded):
    """``names`` are the values of one branch: that of ``accept`` where the guard holds, else that of ``reject``."""

    names: tuple[Symbol, ...]
    guard: Guard
    accept: StraightLine
    reject: StraightLine

    @property
    def targets(self) -> tuple[Symbol, ...]:
        return self.names

    @property
    def branches(self) -> tuple[StraightLine, ...]:
        return self.accept, self.reject

    def values(self) -> tuple[tuple[Symbol, Expr], ...]:
        return tuple(pair for b in self.branches for pair in zip(self.names, b.values, strict=True))

    @property
    def expressions(self) -> tuple[Expr, ...]:
        return (*self.guard.expressions, *self.accept.expressions, *self.reject.expressions)

    def changed(self, rule: Callable[[Any], Any]) -> Choose:
        accept, reject = (b.changed(rule) for b in self.branches)
        return replace(self, guard=self.guard.changed(rule), accept=accept, reject=reject)

    def asking(self, names: Mapping[Oracle, Oracle]) -> Choose:
        accept, reject = (b.asking(names) for b in self.branches)
        return replace(self, accept=accept, reject=reject)

    def called(self, name: Callable[[Symbol], Symbol], rule: Callable[[Any], Any]) -> Choose:
        accept, reject = (b.called(name, rule) for b in self.branches)
        return Choose(tuple(map(name, self.names)), self.guard.changed(rule), accept, reject)

    def accepted(self) -> list[Instruction]:
        """The instructions of the way on which guards accept, and each loop is one iteration."""
        values = [Assign(s, e) for s, e in zip(self.names, self.accept.values, strict=True)]
        return [*self.accept.accepted(), *values]

    def trimmed(self, needed: set[Symbol]) -> Choose | None:
        places = [i for i, s in enumerate(self.names) if s in needed]
        if not places:
            return None
        branches = []
        for b in self.branches:
            values = tuple(b.values[i] for i in places)
            kept, _ = b.alive({s for v in values for s in symbols_of(v)})
            branches.append(StraightLine(kept, values))
        return Choose(tuple(self.names[i] for i in places), self.guard, *branches)


@dataclass(frozen=True)
class Loop(Guarded):
    """A program in the program: ``names`` begin with ``begin`` and become the values of ``body``, again and again.

    It ends with the first iteration after which ``until`` holds, and is wrong where that is so after none of ``limit``
    iterations: then its values are not numbers, or it raises. Without a guard it takes ``limit`` iterations.

    Attributes:
        names: inside the values before an iteration, and outside those after the last one.
        begin: their values before the first iteration, in the names of the program outside.
        body: one iteration; its values are the next ones of ``names``, in their order.
        until: a guard in the names of the body.
        limit: how many iterations there are at most, a positive whole number or a parameter.
        count: the number of the iteration inside, from 1; outside the number of iterations.
        fixed_point: the values are a fixed point of the body: so is the loop differentiated, and not otherwise.
        said: the condition as people read it, for messages.
    """

    names: tuple[Symbol, ...]
    begin: tuple[Expr, ...]
    body: StraightLine
    until: Guard | None
    limit: sp.Expr
    count: sp.Symbol
    fixed_point: bool = False
    said: str = ""

    def __post_init__(self) -> None:
        bound_of(self.limit)

    @property
    def begun(self) -> tuple[Expr, ...]:
        """The values of its targets in the first iteration: of the count, 1."""
        return (*self.begin, sp.S.One)

    @property
    def often(self) -> int:
        """How many iterations there are, where that is a number and no guard ends them; else 0."""
        known = self.until is None and self.limit.is_Integer and self.limit <= UNROLLED
        return int(self.limit) if known else 0

    def written_out(self, taken: set[str]) -> list[Instruction]:
        """The iterations of a loop without a guard, one after the other, with names that are not taken."""
        values: dict[Symbol, Any] = dict(zip(self.names, self.begin, strict=True))
        listed: list[Instruction] = []
        for n in range(1, self.often + 1):
            own = {s: _fresh(s, taken) for i in self.body.every for s in i.targets}
            known = {**values, **own, self.count: sp.Integer(n)}
            name, rule = partial(_called, own), partial(_opened, known)
            listed += [i.called(name, rule) for i in self.body.instructions]
            values = {s: rule(e) for s, e in zip(self.names, self.body.values, strict=True)}
        listed += [Assign(s, e) for s, e in values.items()]
        return [*listed, Assign(self.count, sp.Integer(self.often))]

    @property
    def targets(self) -> tuple[Symbol, ...]:
        return (*self.names, self.count)

    @property
    def branches(self) -> tuple[StraightLine, ...]:
        return (self.body,)

    def values(self) -> tuple[tuple[Symbol, Expr], ...]:
        begun = zip(self.names, self.begin, strict=True)
        return (*begun, *zip(self.names, self.body.values, strict=True))

    @property
    def expressions(self) -> tuple[Expr, ...]:
        asked = () if self.until is None else self.until.expressions
        return (*self.begin, *self.body.expressions, *asked, self.limit)

    @property
    def reads(self) -> set[Symbol]:
        return super().reads | {s for e in self.begin for s in symbols_of(e)}

    def changed(self, rule: Callable[[Any], Any]) -> Loop:
        return replace(
            self,
            begin=tuple(map(rule, self.begin)),
            body=self.body.changed(rule),
            until=self.until and self.until.changed(rule),
            limit=rule(self.limit),
        )

    def asking(self, names: Mapping[Oracle, Oracle]) -> Loop:
        return replace(self, body=self.body.asking(names))

    def called(self, name: Callable[[Symbol], Symbol], rule: Callable[[Any], Any]) -> Loop:
        return replace(
            self,
            names=tuple(map(name, self.names)),
            begin=tuple(map(rule, self.begin)),
            body=self.body.called(name, rule),
            until=self.until and self.until.changed(rule),
            limit=rule(self.limit),
            count=name(self.count),
        )

    def accepted(self) -> list[Instruction]:
        """The instructions of the way on which guards accept, and each loop is one iteration."""
        first = dict(zip(self.targets, self.begun, strict=True))
        body = self.body.changed(partial(_opened, first))
        values = [Assign(s, e) for s, e in zip(self.names, body.values, strict=True)]
        return [*body.accepted(), *values, Assign(self.count, sp.S.One)]

    def trimmed(self, needed: set[Symbol]) -> Loop | None:
        if not needed & set(self.targets):
            return None
        asked = () if self.until is None else self.until.expressions
        inside = (needed & set(self.names)) | {s for e in asked for s in symbols_of(e)}
        size = -1
        while size != len(inside):
            size = len(inside)
            for s, e in zip(self.names, self.body.values, strict=True):
                inside |= symbols_of(e) if s in inside else set()
            kept, inside = self.body.alive(inside)
        places = [i for i, s in enumerate(self.names) if s in inside]

        def at(values: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(values[i] for i in places)

        body = StraightLine(kept, at(self.body.values))
        return replace(self, names=at(self.names), begin=at(self.begin), body=body)


def _fresh(s: Symbol, taken: set[str]) -> Symbol:
    """A symbol like this one with a name that is not taken, which then is."""
    name = next(n for n in (f"{s.name}_{k}" for k in count(1)) if n not in taken)
    taken.add(name)
    return (
        VectorSymbol(name, s.kind)
        if isinstance(s, VectorSymbol)
        else sp.Symbol(name, **s.assumptions0)
    )


def _called(names: Mapping[Symbol, Symbol], s: Symbol) -> Symbol:
    return names.get(s, s)


def _opened(values: Mapping[Symbol, Any], e: Any) -> Any:
    return substitute(e, values)


Plain: TypeAlias = "CallOracle | Draw | Count | Assign | SweepCoordinates"
Instruction: TypeAlias = "CallOracle | Draw | Count | Assign | SweepCoordinates | Choose | Loop"
