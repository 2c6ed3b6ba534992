"""Statements and routines: the form of a program from which it is printed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import sympy as sp
from sympy.codegen.cfunctions import expm1

from ....dynamics.algebra.calculus import Symbol
from ....dynamics.algebra.vectors import Expr, Vector, VectorSymbol
from ....dynamics.vector_fields.block import Block
from ...programs.guards import Guard
from .coefficients import Coefficients


@dataclass(frozen=True)
class ScalarLet:
    """A scalar of this step: an expression in coefficients, the counter and other scalars."""

    target: sp.Symbol
    value: sp.Expr


@dataclass(frozen=True)
class InnerLet:
    """The inner product of two vectors."""

    target: sp.Symbol
    left: VectorSymbol
    right: VectorSymbol


@dataclass(frozen=True)
class VectorLet:
    """A vector: a short sum with names and rational numbers for coefficients."""

    target: VectorSymbol
    value: Vector


@dataclass(frozen=True)
class Ask:
    """What an oracle returns, ``argument(*vectors, *scalars)``: a vector, or a scalar for a value.

    ``over`` says of a named map, which is a function of the module, how it acts on a pytree; it is no argument.
    """

    target: Symbol
    argument: str
    vectors: tuple[VectorSymbol, ...]
    scalars: tuple[sp.Expr, ...] = ()
    over: str = ""

    @property
    def of_all(self) -> bool:
        """Whether it acts on all particles at once and returns one point."""
        return self.argument.partition("_")[0] == "ensemble" and len(self.scalars) == 1


@dataclass(frozen=True)
class Sample:
    """A standard normal sample of the shape of a block; a scalar for a scalar block.

    With ``again`` it is that of an earlier step, from the counter that the state holds for the block of that name.
    """

    target: Symbol
    like: Symbol
    again: str = ""


@dataclass(frozen=True)
class CountLet:
    """A Poisson number: one, or in an ensemble one for each particle of block ``like`` if it is not ``common``.

    ``mean`` is a name or a number.
    """

    target: sp.Symbol
    mean: sp.Expr
    like: Symbol
    common: bool


@dataclass(frozen=True)
class SweepLet:
    """A vector whose coordinates move one after the other by the rate ``slope``; see `SweepCoordinates`.

    Attributes:
        target, start: the vector after and before.
        slope: the rate of one coordinate, a scalar in table names, scalars of the step and the symbols of
            ``parts``; ``own`` stands for the coordinate where it is.
        asked: symbols in the slope for components of oracles, with the argument that gives them.
        parts: symbols in the slope for the components of other vectors.
        duration, implicit: a name or a number each.
        value: the argument that gives values, for difference quotients, or None.
        backward: from the last coordinate to the first.
        local: names for the function, the moving vector, the index and the coordinate where it began.
    """

    target: VectorSymbol
    start: VectorSymbol
    slope: sp.Expr
    own: sp.Symbol
    asked: Mapping[sp.Symbol, str]
    parts: Mapping[sp.Symbol, VectorSymbol]
    duration: sp.Expr
    implicit: sp.Expr
    value: str | None
    backward: bool
    local: tuple[str, str, str, str]

    @property
    def arguments(self) -> tuple[str, ...]:
        """The oracles that it asks."""
        return (*self.asked.values(), *([] if self.value is None else [self.value]))

    @property
    def outer(self) -> set[sp.Symbol]:
        """The scalars of its slope that the step knows."""
        outer: set[sp.Symbol] = self.slope.free_symbols - {self.own, *self.asked, *self.parts}
        return outer


ENTRIES, MATRIX = FORMED = ("entries", "matrix")  # the diagonal of an operator, and all of it
DENSE = ("lu", "cholesky")  # routes of solves that form the matrix of the operator


@dataclass(frozen=True)
class SolveLet:
    """The solution of A target = b, or the diagonal of A, or A itself, from products of A with vectors.

    Attributes:
        target, b: vectors; for a diagonal or matrix, b is any vector of the space.
        product: the product with ``along``, or for Woodbury's formula the quotient by the diagonal part; its result is
            called "product".
        function: what the function of this routine is called.
        method: a key of `solves.ROUTES`, or `ENTRIES` or `MATRIX`.
        tolerance: of an iteration, a name or a number.
        lefts, rights: the columns of outer products, for Woodbury's formula.
        matrix: what the dense matrix of the operator is called where several solves have one.
    """

    target: VectorSymbol
    b: VectorSymbol
    along: VectorSymbol
    product: Routine
    function: str
    method: str
    tolerance: sp.Expr
    lefts: tuple[VectorSymbol, ...] = ()
    rights: tuple[VectorSymbol, ...] = ()
    matrix: str = ""

    @property
    def again(self) -> bool:
        """Whether a solve before has made the matrix: then there is no product."""
        return not self.product.results

    @property
    def vectors(self) -> tuple[VectorSymbol, ...]:
        """The vectors that it reads."""
        outer = dict.fromkeys([self.b, *self.lefts, *self.rights])
        free = (v for v in self.product.reads() if v != self.along)
        return tuple(outer | dict.fromkeys(free))

    def formed(self, called: Callable[[str], str]) -> str:
        """The dense matrix of the operator, as text."""
        return f"_matrix({self.function}, {called(self.b.name)})"

    def solution(
        self, called: Callable[[str], str], scalar: Callable[[sp.Expr], str]
    ) -> tuple[str, list[str]]:
        """The function that solves, and its arguments, as text."""
        b = called(self.b.name)
        if self.method == "woodbury":
            sides = [
                f"[{', '.join(called(v.name) for v in side)}]" for side in (self.lefts, self.rights)
            ]
            return "_woodbury", [self.function, *sides, b]
        if self.method in FORMED:
            return f"_{self.method}", [self.function, b]
        if self.method in DENSE:
            return f"_{self.method}", [self.matrix or self.formed(called), b]
        return "_solve", [self.function, b, f"_{self.method}", scalar(self.tolerance)]


@dataclass(frozen=True)
class WindowLet:
    """What a function of the module makes of a window: the window after a push, a sum of its columns, inner products.

    Attributes:
        target: the name of what it makes.
        function: ``push(G, v)``; ``combine(G, u)``, G u; ``against(G, v)``, G^T v;
            ``latest(G)``, the same of the value that was pushed last; ``within(G, u, a, b)``, the w with
            (a 1 + b G^T G) w = u.
        vectors: the window first.
        scalars: names or numbers.
    """

    target: VectorSymbol
    function: str
    vectors: tuple[VectorSymbol, ...]
    scalars: tuple[sp.Expr, ...] = ()


@dataclass(frozen=True)
class JoinLet:
    """A vector of a direct sum: all of its parts, in order."""

    target: VectorSymbol
    vectors: tuple[VectorSymbol, ...]


@dataclass(frozen=True)
class PartLet:
    """The part of a vector of a direct sum at a place; ``like`` are vectors of the shapes of all parts."""

    target: VectorSymbol
    whole: VectorSymbol
    place: int
    like: tuple[VectorSymbol, ...]

    @property
    def vectors(self) -> tuple[VectorSymbol, ...]:
        """The vectors that it reads."""
        return (self.whole, *self.like)


@dataclass(frozen=True)
class ZeroLet:
    """The zero of the space of another vector."""

    target: VectorSymbol
    like: VectorSymbol

    @property
    def vectors(self) -> tuple[VectorSymbol, ...]:
        """The vectors that it reads."""
        return (self.like,)


@dataclass(frozen=True)
class ChooseLet:
    """Names with the results of one of two routines, where they are called as these names.

    Attributes:
        targets: the names.
        guard: by which it is chosen; its sides are names or numbers.
        accept, reject: where it holds, and where not; results are names or numbers.
        local: names for the functions of both.
    """

    targets: tuple[Symbol, ...]
    guard: Guard
    accept: Routine
    reject: Routine
    local: tuple[str, str]

    @property
    def vectors(self) -> tuple[VectorSymbol, ...]:
        """The vectors that it reads."""
        return tuple(dict.fromkeys([*self.accept.reads(), *self.reject.reads()]))


@dataclass(frozen=True)
class LoopLet:
    """Names with the results of a routine that is repeated, as `Loop` says; all expressions are names or numbers.

    Attributes:
        targets: the names, before an iteration inside of the routine, and after the last one outside.
        begin: their first values.
        body: one iteration; its results are called as the names.
        until: the guard, in names of the body, or None.
        limit: how many iterations there are at most.
        count: the number of the iteration.
        ended: how it is differentiated: as a "fixed point", as a "search" with what it found held, or not at all.
        said: the guard for messages.
        local: a name for the function of an iteration.
    """

    targets: tuple[Symbol, ...]
    begin: tuple[Expr, ...]
    body: Routine
    until: Guard | None
    limit: sp.Expr
    count: sp.Symbol
    ended: str
    said: str
    local: str

    @property
    def vectors(self) -> tuple[VectorSymbol, ...]:
        """The vectors that it reads."""
        begin = dict.fromkeys(e for e in self.begin if isinstance(e, VectorSymbol))
        free = (v for v in self.body.reads() if v not in self.targets)
        return tuple(begin | dict.fromkeys(free))


def _may_fail(e: sp.Expr) -> bool:
    """Whether a scalar divides by what blocks may make zero, or has a number to a power that they make large."""

    def moves(a: sp.Expr) -> bool:  # coefficients are positive, and the counter is whole
        return any(not (s.is_positive or s.is_integer) for s in a.free_symbols)

    return any(isinstance(n, expm1) and moves(n) for n in sp.preorder_traversal(e)) or any(
        (p.exp.could_extract_minus_sign() and moves(p.base) and not p.base.is_nonzero)
        or (p.base.is_number and moves(p.exp))
        for p in e.atoms(sp.Pow)
    )


Statement: TypeAlias = (
    "ScalarLet | InnerLet | VectorLet | Ask | Sample | CountLet | SweepLet | SolveLet | WindowLet | JoinLet | PartLet"
    " | ZeroLet | ChooseLet | LoopLet"
)


@dataclass(frozen=True)
class Routine:
    """Statements, and the results by name: names, or expressions of one line."""

    statements: tuple[Statement, ...]
    results: Mapping[str, Expr]

    @property
    def all_statements(self) -> tuple[Statement, ...]:
        """The statements, with those inside of solves, choices and loops."""
        found: list[Statement] = []
        for s in self.statements:
            for inner in inside(s):
                found += inner.all_statements
            found.append(s)
        return tuple(found)

    def reads(self) -> list[VectorSymbol]:
        """The vectors that it reads and does not make, by name."""
        every = [*_with_inner(self)]
        parts = [e for r in every for s in r.statements for e in _parts(s)]
        parts += [e for r in every for e in r.results.values()]
        made = {t for s in self.all_statements for t in targets_of(s)}
        made |= {s.along for s in self.all_statements if isinstance(s, SolveLet)}
        found = {v for e in parts if isinstance(e, Vector) for v in e.free_symbols} - made
        return sorted((v for v in found if isinstance(v, VectorSymbol)), key=lambda v: v.name)

    def arguments(self) -> tuple[str, ...]:
        """The oracles it asks, in order."""
        listed: list[str] = []
        for s in self.all_statements:
            listed += [s.argument] if isinstance(s, Ask) and not s.over else []
            listed += s.arguments if isinstance(s, SweepLet) else []
        return tuple(dict.fromkeys(listed))

    @property
    def maps(self) -> tuple[Ask, ...]:
        """Where it calls named maps, which are functions of the module."""
        return tuple(s for s in self.all_statements if isinstance(s, Ask) and s.over)

    @property
    def draws(self) -> bool:
        return bool(self.samples)

    @property
    def samples(self) -> tuple[Sample | CountLet, ...]:
        """What it draws, but for what it draws again."""
        every = [s for s in self.statements if isinstance(s, (Sample, CountLet))]
        return tuple(s for s in every if not (isinstance(s, Sample) and s.again))

    def place_of(self, draw: str) -> int:
        """The place among its samples of the one of that name."""
        return [s.target.name for s in self.samples].index(draw)

    @property
    def measures(self) -> bool:
        """Whether Python's numbers can fail in it: those of vectors may divide, others by what may be zero."""
        every = self.all_statements
        scalars = [s.value for s in every if isinstance(s, ScalarLet)]
        scalars += [e for e in self.results.values() if not isinstance(e, Vector)]
        return any(map(_may_fail, scalars)) or any(
            isinstance(s, InnerLet)
            or (isinstance(s, Ask) and not isinstance(s.target, VectorSymbol))
            for s in every
        )

    @property
    def calls(self) -> str:
        """How many oracle calls it makes, in words."""
        n = sum(isinstance(s, Ask) and not s.over for s in self.statements)
        m = sum(isinstance(s, SweepLet) for s in self.statements)
        calls = {0: "no oracle call", 1: "one oracle call"}.get(n, f"{n} oracle calls")
        sweeps = "one sweep over the coordinates" if m == 1 else f"{m} sweeps over the coordinates"
        calls = calls if not m else f"{calls}, {sweeps}" if n else sweeps
        guards = sum(isinstance(s, (ChooseLet, LoopLet)) for s in self.statements)
        calls += " beside those of its guards" * bool(guards)
        k = sum(isinstance(s, SolveLet) and s.method not in FORMED for s in self.statements)
        return calls if not k else f"{calls}, one solve" if k == 1 else f"{calls}, {k} solves"

    def symbols(self) -> set[str]:
        """Every name that it reads or defines."""
        found: set[str] = set()
        for s in self.statements:
            for inner in inside(s):
                found |= inner.symbols()
            found |= {s.function} if isinstance(s, SolveLet) else set()
            found |= {v.name for e in _parts(s) for v in e.free_symbols}
        return found | {v.name for e in self.results.values() for v in e.free_symbols}


def inside(s: Statement) -> tuple[Routine, ...]:
    """The routines inside of a statement."""
    if isinstance(s, SolveLet):
        return (s.product,)
    if isinstance(s, ChooseLet):
        return s.accept, s.reject
    return (s.body,) if isinstance(s, LoopLet) else ()


def _with_inner(routine: Routine) -> Iterator[Routine]:
    yield routine
    for s in routine.statements:
        for inner in inside(s):
            yield from _with_inner(inner)


def targets_of(s: Statement) -> tuple[Symbol, ...]:
    """The names that a statement defines."""
    if isinstance(s, LoopLet):
        return (*s.targets, s.count)
    return s.targets if isinstance(s, ChooseLet) else (s.target,)


def _parts(s: Statement) -> list[Expr]:
    """What a statement reads and defines, without what stands inside of a solve, a choice or a loop."""
    parts: list[Expr] = [*targets_of(s)]
    if isinstance(s, (ScalarLet, VectorLet)):
        parts.append(s.value)
    elif isinstance(s, InnerLet):
        parts += [s.left, s.right]
    elif isinstance(s, (Ask, WindowLet)):
        parts += [*s.vectors, *s.scalars]
    elif isinstance(s, (JoinLet, PartLet, ZeroLet)):
        parts += s.vectors
    elif isinstance(s, ChooseLet):
        parts += s.guard.expressions
    elif isinstance(s, LoopLet):
        parts += [*s.begin, s.limit, *(() if s.until is None else s.until.expressions)]
    elif isinstance(s, SweepLet):
        parts += [s.start, *s.parts.values(), *s.outer, s.duration]
    elif isinstance(s, SolveLet):
        parts += [s.b, s.along, s.tolerance, *s.lefts, *s.rights]
    else:
        parts += [s.like, *([s.mean] if isinstance(s, CountLet) else [])]
    return parts


class ParameterLimit(NamedTuple):
    """A bound of a parameter: the comparison that holds outside of it, and its words."""

    outside: str
    words: str


Limits: TypeAlias = Mapping[str, tuple[ParameterLimit, ...]]  # by the names of parameters


@dataclass(frozen=True)
class Lowered:
    """A program, ready to be printed.

    Attributes:
        parameters: the hyper-parameters, in the order of signatures.
        coefficients: the table of what the step needs of them.
        blocks, counter: the state; the counter only where something depends on it.
        init, step, outputs: the routines; results are by block, by block, and by output.
        population: whether vectors are N particles, arrays of shape (N, ...), and inner products and values
            one number for each.
        limits: bounds of parameters beside their signs, by name.
        starts: for blocks that need not have the shape of x0, the name of the starting point that has theirs.
        kept: for memories of a sample, the name of the draw of which the state holds the counter in their place.
        lengths: where the start is a matrix, the axes of it whose lengths a matrix block has.
    """

    parameters: tuple[sp.Symbol, ...]
    coefficients: Coefficients
    blocks: tuple[Block, ...]
    counter: sp.Symbol | None
    init: Routine
    step: Routine
    outputs: Mapping[str, Routine]
    population: bool = False
    limits: Limits = field(default_factory=dict)
    starts: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)
    lengths: Mapping[str, tuple[int, int]] = field(default_factory=dict)
