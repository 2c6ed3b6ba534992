"""Equality of maps outside the linear theory: the same scalar expressions in matched blocks, calls and draws.

A vector that is made of sums and element-wise functions is, coordinate by coordinate, a scalar expression
in its atoms. Two calls are one if they are of the same oracle at equal points; so two programs are brought
to scalar expressions in shared atoms, and compared there by the exact zero test.

Independent normals that enter linearly matter by their covariance alone: a step with the weights C on its draws has the
law of one with any weights L of the same L L^T. Cholesky's factor is the one that is written.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from ..._support.errors import TooLarge
from ...dynamics.algebra.calculus import Symbol, renamed, substitute, symbols_of
from ...dynamics.algebra.exact import canonical, is_zero
from ...dynamics.algebra.operators import Inverse
from ...dynamics.algebra.products import Elementwise, Product, slots
from ...dynamics.algebra.vectors import (
    Argument,
    Call,
    Expr,
    ScalarNode,
    Vector,
    VectorSymbol,
)
from ...dynamics.notation.show import text
from ..linear.matrices import cholesky_columns
from ..linear.state_space import explicit_proximal
from ..programs.program import (
    CallOracle,
    Count,
    Draw,
    Instruction,
    Program,
    SweepCoordinates,
)
from .verdict import Equivalence

Row = tuple[sp.Expr, ...]


def fewest_normals(program: Program, order: Sequence[int] | None = None) -> Program:
    """The program with its vector normals of one space in a triangular form, one draw for each rank.

    Args:
        program: with its draws.
        order: the places of its blocks, in the order in which the factor takes them; calls come before all.

    Returns:
        a program whose state has the same law; the same program where a draw enters otherwise than linearly, with a
        weight that depends on the step's calls, or where there is nothing to do.
    """
    flat = program.inlined()
    drawn = [d for d in flat.draws if _normal(d)]
    if not drawn or any(not isinstance(i, (CallOracle, Draw)) for i in flat.plain):
        return program
    symbols: list[VectorSymbol] = [d.target for d in drawn if isinstance(d.target, VectorSymbol)]
    spaces = flat._spaces()
    if len({spaces.of(s) for s in symbols}) != 1:
        return program
    state = [flat.blocks[i].symbol for i in order or range(len(flat.blocks))]
    calls = [c for c in flat.plain if isinstance(c, CallOracle)]
    places: dict[Any, Expr] = {id(c): c.point for c in calls} | {s: flat.next[s] for s in state}
    weights = {place: _weights(e, symbols, program) for place, e in places.items()}
    rows = [w for w in weights.values() if w is not None]
    others = [e for c in calls for e in c.expressions if e is not c.point]
    if len(rows) < len(weights) or any(set(symbols) & symbols_of(e) for e in others):
        return program
    weight = sp.Matrix(rows)
    columns = cholesky_columns(weight * weight.T, range(weight.rows))
    if len(columns) > len(symbols):
        return program
    kept = symbols[: len(columns)]
    row = {place: i for i, place in enumerate(places)}

    def rewritten(place: Any) -> Any:
        e = places[place]
        if not isinstance(e, Vector):
            return e
        fixed = Vector.of((a, c) for a, c in e.terms.items() if a not in symbols)
        drawn = ((s, c.get(row[place], sp.S.Zero)) for s, c in zip(kept, columns, strict=True))
        return fixed + Vector.of(drawn)

    like = next(s for s in state if spaces.of(s) == spaces.of(symbols[0]))
    instructions: list[Instruction] = []
    for i in flat.plain:
        if isinstance(i, CallOracle):
            instructions.append(replace(i, point=rewritten(id(i))))
        elif isinstance(i, Draw) and i.target in kept:
            instructions.append(replace(i, like=like))
        elif i.target not in symbols:
            instructions.append(i)
    return replace(
        flat, instructions=tuple(instructions), next={s: rewritten(s) for s in flat.state}
    )


def _normal(d: Draw) -> bool:
    """Whether a vector of independent standard normals is drawn."""
    plain = isinstance(d.target, VectorSymbol) and not d.operates
    return plain and d.law in ("", "normal")


def _weights(e: Expr, draws: Sequence[Symbol], program: Program) -> Row | None:
    """The weights of an expression on the draws, which are known before the step; None where they are no such."""
    if not isinstance(e, Vector):
        return None if set(draws) & symbols_of(e) else tuple(sp.S.Zero for _ in draws)
    known = {*program.parameters, *program.state, program.counter}
    weights = tuple(e.terms.get(d, sp.S.Zero) for d in draws)
    fine = all(c.free_symbols <= known and not c.atoms(ScalarNode) for c in weights)
    rest = Vector.of((a, c) for a, c in e.terms.items() if a not in draws)
    return weights if fine and not set(draws) & symbols_of(rest) else None


SAME = "the update maps are the same expressions in the blocks, matched in order of"
_NO_PROOF = "The update maps may be the same expressions: the zero test ends without a proof for their difference."
_TRIES, _IN_UNITS = 720, 6  # ways to match blocks and draws, and those tried in other units
_ORDERS = 24  # of blocks, in which normals are brought to triangular form


def compare_maps(one: Program, other: Program, why: str) -> Equivalence:
    """Compare two tuned programs as maps.

    Args:
        one: the first program.
        other: the second program.
        why: a sentence of the verdict on why they are not compared as linear methods.

    Returns:
        "proved" with the matching of the blocks, each in units of its own, or "undecided".
    """
    one, other = explicit_proximal(one), explicit_proximal(other)
    found = _compared(one, other, why, ", for the same draws" if one.draws or one.counts else "")
    kinds = [sorted(b.kind for b in p.blocks) for p in (one, other)]
    if found.verdict == "proved" or not (one.draws and other.draws) or kinds[0] != kinds[1]:
        return found
    # the same law by other draws: normals in triangular form, by every order of the blocks
    mine = fewest_normals(one)
    orders = itertools.islice(itertools.permutations(range(len(other.blocks))), _ORDERS)
    for order in orders:
        theirs = fewest_normals(other, order)
        if (mine, theirs) == (one, other) or len(mine.draws) != len(theirs.draws):
            continue
        in_law = _compared(mine, theirs, why, ", for draws of one law")
        if in_law.verdict == "proved":
            return in_law
    return found


def _compared(one: Program, other: Program, why: str, draws: str) -> Equivalence:
    """The same, draw by draw; ``draws`` says so in the verdict."""
    undecided = Equivalence(
        "undecided",
        f"{why} The update maps are not the same expressions, however the blocks are matched.",
    )
    if len(one.blocks) != len(other.blocks) or len(one.draws) != len(other.draws):
        return undecided
    only_start = None
    tried = list(itertools.islice(_matchings(one, other), _TRIES))
    as_they_are = ((m, (sp.S.One,) * len(one.blocks)) for m in tried)
    in_units = ((m, units) for m in tried[:_IN_UNITS] if (units := _units(one, other, *m)))
    for matching, units in itertools.chain(as_they_are, in_units):
        atoms = Atoms()
        mine = AtomicStep(one, atoms, range(len(one.blocks)), range(len(one.draws)))
        theirs = AtomicStep(other, atoms, *matching, units)
        try:
            if not mine.same_as(theirs):
                continue
        except TooLarge:
            raise
        except ArithmeticError:  # in symbols of atoms, which are no names for a reader
            undecided = Equivalence("undecided", f"{why} {_NO_PROOF}".strip())
            continue
        names = ", ".join(
            f"{text(k * one.blocks[place].symbol)} = {b.name}"
            for place, b, k in zip(matching[0], other.blocks, units, strict=True)
        )
        if not mine.same_start(theirs):
            only_start = f"{SAME} {names}, but they start differently, which may or may not matter."
            continue
        return Equivalence("proved", f"{SAME} {names}{draws}.", mine.same_output(theirs))
    return undecided if only_start is None else Equivalence("undecided", only_start)


def _units(
    one: Program, other: Program, blocks: Sequence[int], draws: Sequence[int]
) -> tuple[sp.Expr, ...] | None:
    """By block of the other, how many times the one's block it is; None if all are the same, or none is found.

    It is a guess by the start and the first step, which the comparison then decides.
    """
    atoms = Atoms()
    mine = AtomicStep(one, atoms, range(len(one.blocks)), range(len(one.draws)), begin=True)
    theirs = AtomicStep(other, atoms, blocks, draws, begin=True)
    found = []
    for place in blocks:
        pairs = (
            (of[place] for of in both)
            for both in zip(*((s.init, s.next) for s in (mine, theirs)), strict=True)
        )
        own, its = next(((a, b) for a, b in pairs if a != 0 and b != 0), (sp.S.One, sp.S.One))
        unit = canonical(its / own)
        if unit == 0 or not unit.free_symbols <= {*one.parameters, *other.parameters}:
            return None
        found.append(unit)
    return None if all(k == 1 for k in found) else tuple(found)


def block_orders(one: Program, other: Program) -> Iterator[tuple[int, ...]]:
    """For each block of the other, the number of one of its kind in the one; blocks of equal names first."""
    if len(one.blocks) != len(other.blocks):
        return
    names, kinds = ([getattr(b, part) for b in one.blocks] for part in ("name", "kind"))
    own = tuple(names.index(b.name) if b.name in names else -1 for b in other.blocks)
    first = [own] if -1 not in own else []
    orders = (o for o in itertools.permutations(range(len(kinds))) if [o] != first)
    wanted = [b.kind for b in other.blocks]
    yield from (o for o in itertools.chain(first, orders) if [kinds[i] for i in o] == wanted)


def _matchings(one: Program, other: Program) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """For each block and each draw of the other, its number in the one."""
    for blocks in block_orders(one, other):
        for draws in itertools.permutations(range(len(one.draws))):
            yield blocks, draws


class Atoms:
    """Symbols for the atoms of both programs: equal ones get the same symbol."""

    def __init__(self) -> None:
        self._known: list[tuple[object, tuple[sp.Expr, ...], sp.Symbol]] = []

    def symbol(self, key: object, parts: Sequence[sp.Expr], **assumptions: bool) -> sp.Symbol:
        """The symbol of an atom of that key whose parts are these expressions."""
        for other, theirs, symbol in self._known:
            if other == key and _equal(list(parts), list(theirs)):
                return symbol
        made = sp.Symbol(f"_a{len(self._known)}", **({"real": True} | assumptions))
        self._known.append((key, tuple(parts), made))
        return made

    def scalar(self, e: Expr) -> sp.Expr:
        """A vector, one coordinate of it, or a scalar, as an expression in the symbols of atoms."""
        if isinstance(e, Vector):
            return sp.Add(*[self._atom(a) * self.scalar(c) for a, c in e.terms.items()])
        nodes = {node: self._node(node) for node in e.atoms(ScalarNode)}
        return e.xreplace(nodes)

    def _atom(self, a: Vector) -> sp.Expr:
        if isinstance(a, VectorSymbol):
            return self.symbol((a.name, a.kind), ())
        if isinstance(a, Elementwise):
            inside = [self.scalar(v) for v in a.arguments]
            return self.scalar(a.body).xreplace(dict(zip(slots(len(inside)), inside, strict=True)))
        if isinstance(a, Argument):  # a point is the sum of its arguments, each in its slot
            return self.symbol(("slot", a.slot), ()) * self._atom(a.value)
        if isinstance(a, Inverse):
            inverse, scale = self._inverse(a)
            return inverse / scale
        if isinstance(a, Product) and a.kind == "apply" and isinstance(a.left, Inverse):
            inverse, scale = self._inverse(a.left)
            return self.symbol(a.kind, [inverse, self._atom(a.right)]) / scale
        if isinstance(a, Product) and a.kind == "hadamard":
            return self._atom(a.left) * self._atom(a.right)
        if isinstance(a, Product):
            return self.symbol(a.kind, [self._atom(a.left), self._atom(a.right)])
        if isinstance(a, Call):
            directions = [self.scalar(d) for d in a.directions]
            parts = [self.scalar(a.point), *directions, *map(self.scalar, a.parameters)]
            return self.symbol((a.oracle, len(directions)), parts)
        return self.symbol(a, ())

    def _inverse(self, a: Inverse) -> tuple[sp.Symbol, sp.Expr]:
        """The inverse of the operator by the factor of the first of its terms, and that: (c M)^-1 is M^-1 / c."""
        first = min(a.argument.terms, key=lambda t: repr(t.key))
        scale = self.scalar(a.argument.terms[first])
        return self.symbol("inverse", [self.scalar(a.argument) / scale]), scale

    def _node(self, node: ScalarNode) -> sp.Expr:
        parts = [self.scalar(v) for v in node.arguments]
        if node.kind == "inner":  # the sum over the coordinates of the product
            sign = {"nonnegative": True} if node.squared else {}
            return self.symbol("inner", [sp.Mul(*parts)], **sign)
        known = getattr(node, "content", None)
        return self.symbol((node.kind, node.oracle, None if parts else known), parts)


@dataclass
class AtomicStep:
    """A program as scalar expressions in shared atoms: the next state, the output, the start, what is drawn.

    Attributes:
        program: the program.
        atoms: of all programs that are compared.
        blocks: the places of its blocks.
        draws: the places of its draws.
        units: by block, how many times the vector or scalar of its place it is; all 1 if left out.
        begin: whether the state is that of the start, not any.
        state: what the blocks are, by symbol, if neither.
    """

    program: Program
    atoms: Atoms
    blocks: Sequence[int]
    draws: Sequence[int]
    units: Sequence[sp.Expr] = ()
    begin: bool = False
    state: Mapping[Symbol, Expr] | None = None

    def __post_init__(self) -> None:
        units = self.units or [sp.S.One] * len(self.blocks)
        numbered = list(zip(self.blocks, self.program.blocks, units, strict=True))
        known: dict[Symbol, Expr] = dict(self.state or {}) or {
            b.symbol: b.init if self.begin else k * renamed(b.symbol, f"_block_{i}")
            for i, b, k in numbered
        }
        places = {b.symbol: i for i, b, _ in numbered}
        draws, others = iter(self.draws), itertools.count()
        self.records: list[tuple[object, list[sp.Expr]]] = []
        for i in self.program.inlined().plain:
            if isinstance(i, CallOracle):
                known[i.target] = self._answer(i, known)
            elif isinstance(i, Draw):
                number = next(draws)
                known[i.target] = renamed(i.target, f"_draw_{number}")
                place = places[i.like] if isinstance(i.target, VectorSymbol) else -1
                self.records.append((("draw", number, place, i.law or "normal"), []))
            elif isinstance(i, Count):
                number = next(others)
                known[i.target] = renamed(i.target, f"_count_{number}")
                mean = self.atoms.scalar(_put(i.mean, known))
                self.records.append((("count", number, places[i.like], i.common), [mean]))
            elif isinstance(i, SweepCoordinates):
                number = next(others)
                inside = {**known, i.moving: VectorSymbol("_moving")}
                parts = [self.atoms.scalar(_put(e, inside)) for e in i.expressions]
                key = ("sweep", number, i.implicit, i.quotient, i.backward)
                self.records.append((key, parts))
                known[i.target] = renamed(i.target, f"_sweep_{number}")
        self.start_calls = known
        by_place = sorted(numbered, key=lambda p: p[0])
        self.after = {s: _put(e, known) for s, e in self.program.inlined().next.items()}
        self.next = [self.atoms.scalar(self.after[b.symbol]) / k for _, b, k in by_place]
        self.init = [self.atoms.scalar(b.init) / k for _, b, k in by_place]
        self.lengths = [sp.S.Zero if b.history is None else b.history for _, b, _ in by_place]

    def _answer(self, i: CallOracle, known: dict[Symbol, Expr]) -> Expr:
        point, implicit = _put(i.point, known), _put(i.implicit, known)
        directions = tuple(self.atoms.scalar(_put(d, known)) for d in i.directions)
        parameters = [self.atoms.scalar(_put(p, known)) for p in i.parameters]
        key = (i.oracle, len(directions), "implicit" if implicit != 0 else "explicit")
        parts = [self.atoms.scalar(point), *directions, *parameters]
        symbol = self.atoms.symbol(key, [*parts, *([implicit] if implicit != 0 else [])])
        return renamed(i.target, symbol.name)

    def same_as(self, other: AtomicStep) -> bool:
        """Whether the next states are equal, what is drawn, and how many values windows keep."""
        mine, theirs = ([*s.lengths, *s.next] for s in (self, other))
        return self.same_draws(other) and _equal(mine, theirs)

    def same_draws(self, other: AtomicStep) -> bool:
        """Whether equal laws are drawn, and counts of equal means."""
        one, two = (sorted(s.records, key=lambda r: str(r[0])) for s in (self, other))
        if [r[0] for r in one] != [r[0] for r in two]:
            return False
        mine, theirs = ([e for r in listed for e in r[1]] for listed in (one, two))
        return _equal(mine, theirs)

    def same_start(self, other: AtomicStep) -> bool:
        return _equal(self.init, other.init)

    def same_output(self, other: AtomicStep) -> bool:
        one, two = (
            s.atoms.scalar(_put(s.program.outputs["x"], s.start_calls)) for s in (self, other)
        )
        return _equal([one], [two])


def _equal(one: list[sp.Expr], other: list[sp.Expr]) -> bool:
    return len(one) == len(other) and all(is_zero(a - b) for a, b in zip(one, other, strict=True))


def _put(e: Expr, known: dict[Symbol, Expr]) -> Any:
    return substitute(e, known)
