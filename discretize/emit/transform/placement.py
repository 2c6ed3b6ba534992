"""Any program as a gradient transformation: the vector held by the parameters, and the remaining oracle calls.

The parameters hold the first gradient point that is linear in the blocks, or else the algorithm's
output: then the gradient that comes in is of use only if the step takes one there. Every other call
becomes an extra argument; a step that ends with a gradient at its new point is rearranged to begin with
it. Initial values that oracles make are made at the first update.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import sympy as sp

from ...._support.errors import NotCarried, TooLarge
from ....dynamics.algebra.calculus import (
    Symbol,
    coefficient,
    nothing,
    oracles_in,
    substitute,
    symbols_of,
    tidy,
)
from ....dynamics.algebra.exact import is_zero
from ....dynamics.algebra.oracles import Oracle
from ....dynamics.algebra.products import Elementwise, slots
from ....dynamics.algebra.vectors import (
    Call,
    Expr,
    ScalarNode,
    Vector,
    VectorSymbol,
    call,
    scalar_calls,
)
from ....dynamics.vector_fields.block import start
from ...programs.program import (
    Assign,
    CallOracle,
    Choose,
    Draw,
    Instruction,
    Loop,
    Program,
    renamed,
)
from ..lowering.lower import solve_implicit
from ..printing.lines import bare
from .plan import PARAMS, Plan


def plan_at_home(program: Program) -> Plan:
    """The plan of a program with any calls and draws.

    Raises NotCarried where the parameters can hold neither a gradient point nor the output.
    """
    program = solve_implicit(program if program.guarded else deferred(program))
    for i in program.instructions:
        if not isinstance(i, (Assign, CallOracle, Draw, Choose, Loop)):
            raise NotCarried(f"the optax backend has no form for the step {type(i).__name__}.")
    refusals = []
    for home in _homes(program):
        try:
            return _Home(program, home).plan()
        except NotCarried as refusal:
            refusals.append(refusal)
    raise refusals[0]


def _vectors(program: Program) -> set[Symbol]:
    return {b.symbol for b in program.blocks if isinstance(b.symbol, VectorSymbol)}


def _homes(program: Program) -> Iterator[Vector]:
    vectors = _vectors(program)
    points = [c.point for c in program.asked if plain_gradient(c)]
    yield from [p for p in points if set(p.terms) and set(p.terms) <= vectors][:1]
    output = program.outputs["x"]
    assert isinstance(output, Vector)
    yield output
    # Where no gradient comes in, a block that starts at x0 may be held in place of the output.
    if not points:
        begun = [b.symbol for b in program.blocks if b.init == start]
        yield from [s for s in begun if isinstance(s, VectorSymbol) and s in output.terms][:1]


class _Home:
    """The program seen from parameters that hold ``home``, an expression in the blocks."""

    def __init__(self, program: Program, home: Vector) -> None:
        self.program, self.home = program, home
        self.point = {c.target: c.point for c in program.asked}
        self.gradient: VectorSymbol | None = None
        self.source: Oracle | None = None
        self.rename: dict[Symbol, Expr] = {}
        self.assumes = self._starts()
        self._solve_for_a_block()
        self._kept_gradients()

    def _starts(self) -> str:
        """Refuse a home that is not at x0 at the start; an assumption where that is up to the oracles."""
        at_start: dict[Symbol, Expr] = {b.symbol: b.init for b in self.program.blocks}
        if self.program.counter is not None:
            at_start[self.program.counter] = sp.S.Zero
        first = tidy(substitute(self.home, at_start))
        component = sp.Symbol("x0", real=True)
        if first == start or is_zero((_of_start(first, component) or sp.S.One) - component):
            return ""
        if not any(isinstance(a, Call) for a in first.terms):
            raise NotCarried(
                f"the optax backend needs parameters that start at x0, but {self.home} starts at {first}."
            )
        arguments = {o: Oracle(o.kind, o.name) for o in oracles_in(first) if o.kind == "map"}
        return str(renamed(substitute(first, {start: PARAMS}), arguments))

    def _solve_for_a_block(self) -> None:
        """Write one block in terms of the parameters, if the home is a sum of blocks."""
        vectors = _vectors(self.program)
        if not set(self.home.terms) <= vectors:
            return
        fixed = set(self.program.parameters)
        if any(symbols_of(c) - fixed for c in self.home.terms.values()):
            raise NotCarried(
                f"the optax backend requires parameters with a fixed meaning, but {self.home} changes with the step."
            )
        inits = {b.symbol: b.init for b in self.program.blocks}
        known = [a for a in self.home.terms if not _calls(inits[a])]
        if not known:
            raise NotCarried(f"the optax backend cannot start from {self.home}.")
        chosen = next((a for a in known if inits[a] == start), known[0])
        scale = self.home.terms[chosen]
        rest = self.home - chosen * scale
        self.rename[chosen] = (PARAMS - rest) * (1 / scale)

    def _kept_gradients(self) -> None:
        """A block that keeps the gradient at home is the gradient that comes in."""
        written = self.program.written
        ahead = written(tidy(substitute(self.home, self.program.next)))
        for b in self.program.blocks:
            made = written(self.program.next[b.symbol])
            asked = [c for c in self.program.asked if c.target == made and plain_gradient(c)]
            for c in asked if not self.assumes else []:
                if c.point == ahead and b.init == call(c.oracle, start):
                    self.rename[b.symbol] = self.take(c.oracle)

    def take(self, oracle: Oracle, name: VectorSymbol | None = None) -> VectorSymbol:
        """The name of the gradient that comes in, from now on of this oracle."""
        taken = {s.name for s in (*self.program.state, *self.program.parameters)}
        taken |= {s.name for s in self.program.defined}
        stem = "g" if oracle.kind == "grad" else "F"
        while name is None and stem in {bare(n) for n in taken}:
            stem += "_"
        self.gradient, self.source = name or VectorSymbol(stem), oracle
        return self.gradient

    def instructions(self) -> list[Instruction]:
        """The instructions in terms of the parameters, without what comes in."""
        kept: list[Instruction] = []
        for i in self.program.instructions:
            if isinstance(i, CallOracle):
                at = self.point[i.target]
                here = PARAMS in (at, tidy(substitute(at, self.rename))) or at == self.home
                if call(i.oracle, at, i.directions, i.parameters) == self.home:
                    self.rename[i.target] = PARAMS  # the result is what the parameters hold
                    continue
                if plain_gradient(i) and here and self.gradient is None:
                    self.take(i.oracle, i.target)
                    continue
                if plain_gradient(i) and here and self.source == i.oracle:
                    assert self.gradient is not None
                    self.rename[i.target] = self.gradient
                    continue
            elif isinstance(i, Draw) and PARAMS in symbols_of(self.rename.get(i.like, i.like)):
                i = replace(i, like=PARAMS)
            kept.append(i.changed(lambda e: substitute(e, self.rename)))
        return kept

    def plan(self) -> Plan:
        """The transformation."""
        p = self.program
        instructions = self.instructions()
        known = {i.target: i.value for i in instructions if isinstance(i, Assign)}
        named = {**p.next}
        if p.counter is not None:
            named[p.counter] = p.counter + 1
        update = _update(substitute(substitute(self.home, named), self.rename), known)
        blocks = [b for b in p.blocks if b.symbol not in self.rename]
        following = {b.symbol: substitute(p.next[b.symbol], self.rename) for b in blocks}
        output = PARAMS if p.outputs["x"] == self.home else p.outputs["x"]
        output = substitute(output, self.rename)
        whole = Program(tuple(blocks), tuple(instructions), following, {"x": output}, p.counter)
        made = whole.alive(update, output)
        first = {b.symbol: self.started(b.init) for b in made.blocks if _calls(b.init)}
        if set(first) & symbols_of(output):
            raise NotCarried(
                "the optax backend has no output at the start: the state that it reads is the result of an oracle."
            )
        held = tuple(
            replace(b, init=nothing(b.symbol)) if b.symbol in first else b for b in made.blocks
        )
        made = replace(made, blocks=held)
        read = {s for e in (update, *made.next.values(), *first.values()) for s in symbols_of(e)}
        reads = PARAMS in read.union(*(i.reads for i in made.instructions))
        return Plan(made, self.gradient, update, reads, {}, first, self.assumes, self.source)

    def started(self, e: Expr) -> Expr:
        """An initial value in terms of what the first update is given."""
        at = substitute(e, {start: PARAMS})
        if not isinstance(at, Vector):
            return at
        if self.gradient is None or self.source is None:
            return at
        arriving = call(self.source, PARAMS)
        return Vector.of((self.gradient if a == arriving else a, c) for a, c in at.terms.items())


def _of_start(v: Vector, component: sp.Symbol) -> sp.Expr | None:
    """A vector made of x0 component by component, as a function of one component; None if it is not."""
    total: sp.Expr = sp.S.Zero
    for atom, c in v.terms.items():
        if atom == start:
            total += c * component
        elif isinstance(atom, Elementwise):
            inside = [_of_start(a, component) for a in atom.arguments]
            if any(e is None for e in inside):
                return None
            values = dict(zip(slots(len(inside)), inside, strict=True))
            total += c * atom.body.xreplace(values)
        else:
            return None
    return total


def _update(moved: Vector, known: dict[Symbol, Expr]) -> Vector:
    """What is added to the parameters: opened until they cancel, or else no further than they are named."""

    def opened(e: Vector, through: set[Symbol]) -> Vector:
        while found := [a for a in e.terms if a in through]:
            e = substitute(e, {found[0]: known[found[0]]})
        return tidy(e - PARAMS)

    direct = {s for s, e in known.items() if PARAMS in symbols_of(e)}
    reached = set(direct)
    for s, e in known.items():  # in order
        reached |= {s} if symbols_of(e) & reached else set()
    whole = opened(moved, reached)
    return opened(moved, direct) if PARAMS in symbols_of(whole) else whole


def _calls(e: Expr) -> bool:
    """Whether an oracle is asked."""
    if isinstance(e, Vector):
        return bool(e.calls())
    return any(node.oracle is not None for node in e.atoms(ScalarNode)) or bool(scalar_calls(e))


def plain_gradient(c: CallOracle) -> bool:
    """Whether the call is what a gradient that comes in can stand for."""
    plain = not c.directions and not c.parameters and c.implicit == 0
    return plain and c.oracle.kind in ("grad", "operator")


def deferred(program: Program) -> Program:
    """One gradient a step, at a block, for a step that ends with a gradient at its new point.

    What such a step adds at its end, c g, waits until the next step brings g: a block s holds s - c g
    in between, from its own start on. A program of another form is returned as it is.
    """
    if len(program.calls) != 1 or program.draws or not plain_gradient(program.calls[0]):
        return program
    try:
        flat = program.inlined()
    except TooLarge:
        return program
    # The block that keeps the gradient, and the one whose next value is where it is taken.
    (last,) = flat.calls
    kept = [b for b in program.blocks if flat.next[b.symbol] == last.target]
    moved = [b for b in program.blocks if flat.next[b.symbol] == last.point and b.init == start]
    if len(kept) != 1 or not moved or kept[0].init != call(last.oracle, start):
        return program
    gradient, place = kept[0].symbol, moved[0].symbol
    # What each other block adds of the gradient at its end: constant multiples, or this form does not exist.
    waiting: dict[Symbol, sp.Expr] = {}
    for b in program.blocks:
        after = flat.next[b.symbol]
        if b in kept or last.target not in symbols_of(after):
            continue
        if not isinstance(after, Vector):
            return program
        c = coefficient(after, last.target)
        linear = last.target not in symbols_of(after - last.target * c)
        if not linear or symbols_of(c) - set(program.parameters) or is_zero(c):
            return program
        waiting[b.symbol] = c
    if symbols_of(program.outputs["x"]) & {*waiting, gradient}:
        return program
    assert isinstance(place, VectorSymbol)
    # The program in the blocks that wait: the gradient comes first, and is added to them there.
    vectors = {s: c for s, c in waiting.items() if isinstance(s, VectorSymbol)}
    whole: dict[Symbol, Expr] = {s: s + last.target * c for s, c in vectors.items()}
    whole[gradient] = last.target
    blocks, following = [], {}
    for b in program.blocks:
        if b in kept:
            continue
        after, init = flat.next[b.symbol], b.init
        if b.symbol in waiting:
            assert isinstance(after, Vector) and isinstance(init, Vector)
            after = after - last.target * waiting[b.symbol]
            init = init - call(last.oracle, start) * waiting[b.symbol]
        blocks.append(replace(b, init=init))
        following[b.symbol] = tidy(substitute(after, whole))
    asked = replace(last, point=place)
    return replace(program, blocks=tuple(blocks), instructions=(asked,), next=following)
