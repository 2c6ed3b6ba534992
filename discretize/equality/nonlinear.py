"""Equality of maps outside the linear theory: the same scalar expressions in matched blocks, calls and draws.

A vector that is made of sums and element-wise functions is, coordinate by coordinate, a scalar expression
in its atoms. Two calls are one if they are of the same oracle at equal points; so two programs are brought
to scalar expressions in shared atoms, and compared there by the exact zero test.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import sympy as sp

from ..._support.errors import NotCarried
from ...dynamics.algebra.calculus import Symbol, substitute, symbols_of
from ...dynamics.algebra.exact import canonical, is_zero
from ...dynamics.algebra.oracles import Oracle
from ...dynamics.algebra.vectors import (
    Call,
    Elementwise,
    Expr,
    Product,
    ScalarNode,
    Vector,
    VectorSymbol,
    slots,
    zero,
)
from ...dynamics.vector_fields.system import start
from ..linear.state_space import NotLTI, explicit_proximal, linear
from ..linear.witness import samples
from ..programs.program import (
    Assign,
    CallOracle,
    Count,
    Draw,
    Instruction,
    Program,
    SweepCoordinates,
)
from .trial import NoNumber, apart, number, precise
from .verdict import Equivalence

SAME = "the update maps are the same expressions in the blocks, matched in order of"
_TRIES = 720  # ways to match blocks and draws


def compare_maps(one: Program, other: Program, why: str) -> Equivalence:
    """Compare two tuned programs as maps.

    Args:
        one: the first program.
        other: the second program.
        why: a sentence of the verdict on why they are not compared as linear methods.

    Returns:
        "proved" with the matching of the blocks, or "undecided".
    """
    one, other = explicit_proximal(one), explicit_proximal(other)
    undecided = Equivalence(
        "undecided",
        f"{why} The update maps are not the same expressions, however the blocks are matched.",
    )
    if len(one.blocks) != len(other.blocks) or len(one.draws) != len(other.draws):
        return undecided
    only_start = None
    for matching in itertools.islice(_matchings(one, other), _TRIES):
        atoms = _Atoms()
        mine = _Steps(one, atoms, range(len(one.blocks)), range(len(one.draws)))
        theirs = _Steps(other, atoms, *matching)
        if not mine.same_as(theirs):
            continue
        names = ", ".join(f"{one.blocks[mine_].name} = {other.blocks[i].name}"
                          for i, mine_ in enumerate(matching[0]))  # fmt: skip
        if not mine.same_start(theirs):
            only_start = f"{SAME} {names}, but they start differently, which may or may not matter."
            continue
        draws = ", for the same draws" if one.draws or one.counts else ""
        return Equivalence("proved", f"{SAME} {names}{draws}.", mine.same_output(theirs))
    return undecided if only_start is None else Equivalence("undecided", only_start)


def _matchings(one: Program, other: Program) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """For each block and each draw of the other, its number in the one; blocks of equal names first."""
    names = [b.name for b in one.blocks]
    kinds = [(b.kind, b.role == "coefficient") for b in one.blocks]
    n = len(kinds)
    own = tuple(names.index(b.name) if b.name in names else -1 for b in other.blocks)
    orders = itertools.permutations(range(n))
    first = [own] if -1 not in own else []
    for blocks in itertools.chain(first, (o for o in orders if [o] != first)):
        if any(kinds[i][0] != b.kind for i, b in zip(blocks, other.blocks, strict=True)):
            continue
        for draws in itertools.permutations(range(len(one.draws))):
            yield blocks, draws


class _Atoms:
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
        if isinstance(a, Product) and a.kind == "hadamard":
            return self._atom(a.left) * self._atom(a.right)
        if isinstance(a, Product):
            return self.symbol(a.kind, [self._atom(a.left), self._atom(a.right)])
        if isinstance(a, Call):
            directions = [self.scalar(d) for d in a.directions]
            parts = [self.scalar(a.point), *directions, *map(self.scalar, a.parameters)]
            return self.symbol((a.oracle, len(directions)), parts)
        return self.symbol(a, ())

    def _node(self, node: ScalarNode) -> sp.Expr:
        parts = [self.scalar(v) for v in node.arguments]
        if node.kind == "inner":  # the sum over the coordinates of the product
            square = len(node.arguments) == 2 and node.arguments[0] == node.arguments[1]
            return self.symbol(
                "inner", [sp.Mul(*parts)], **({"nonnegative": True} if square else {})
            )
        known = getattr(node, "content", None)
        return self.symbol((node.kind, node.oracle, None if parts else known), parts)


@dataclass
class _Steps:
    """A program as scalar expressions in shared atoms: the next state, the output, the start, what is drawn."""

    program: Program
    atoms: _Atoms
    blocks: Sequence[int]
    draws: Sequence[int]
    drawn: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        known: dict[Symbol, Expr] = {
            b.symbol: _named(f"_block_{i}", b.symbol)
            for i, b in zip(self.blocks, self.program.blocks, strict=True)
        }
        places = dict(zip(known, self.blocks, strict=True))
        draws, others = iter(self.draws), itertools.count()
        self.records: list[tuple[object, list[sp.Expr]]] = []
        for i in self.program.inlined().instructions:
            if isinstance(i, CallOracle):
                known[i.target] = self._answer(i, known)
            elif isinstance(i, Draw):
                number = next(draws)
                known[i.target] = _named(f"_draw_{number}", i.target)
                self.records.append((("draw", number, places[i.like]), []))
            elif isinstance(i, Count):
                number = next(others)
                known[i.target] = _named(f"_count_{number}", i.target)
                mean = self.atoms.scalar(_put(i.mean, known))
                self.records.append((("count", number, places[i.like], i.common), [mean]))
            elif isinstance(i, SweepCoordinates):
                number = next(others)
                inside = {**known, i.moving: VectorSymbol("_moving")}
                parts = [self.atoms.scalar(_put(e, inside)) for e in i.expressions]
                key = ("sweep", number, i.implicit, i.quotient, i.backward)
                self.records.append((key, parts))
                known[i.target] = _named(f"_sweep_{number}", i.target)
        self.start_calls = known
        by_place = sorted(zip(self.blocks, self.program.blocks, strict=True), key=lambda p: p[0])
        self.next = [
            self.atoms.scalar(_put(self.program.inlined().next[b.symbol], known))
            for _, b in by_place
        ]
        self.init = [self.atoms.scalar(b.init) for _, b in by_place]

    def _answer(self, i: CallOracle, known: dict[Symbol, Expr]) -> Expr:
        point, implicit = _put(i.point, known), _put(i.implicit, known)
        directions = tuple(self.atoms.scalar(_put(d, known)) for d in i.directions)
        parameters = [self.atoms.scalar(_put(p, known)) for p in i.parameters]
        key = (i.oracle, len(directions), "implicit" if implicit != 0 else "explicit")
        parts = [self.atoms.scalar(point), *directions, *parameters]
        symbol = self.atoms.symbol(key, [*parts, *([implicit] if implicit != 0 else [])])
        return _named(symbol.name, i.target)

    def same_as(self, other: _Steps) -> bool:
        """Whether the next states are equal, and what is drawn."""
        one, two = (sorted(s.records, key=lambda r: str(r[0])) for s in (self, other))
        if [r[0] for r in one] != [r[0] for r in two]:
            return False
        mine = [*self.next, *(e for r in one for e in r[1])]
        theirs = [*other.next, *(e for r in two for e in r[1])]
        return _equal(mine, theirs)

    def same_start(self, other: _Steps) -> bool:
        return _equal(self.init, other.init)

    def same_output(self, other: _Steps) -> bool:
        one, two = (
            s.atoms.scalar(_put(s.program.outputs["x"], s.start_calls)) for s in (self, other)
        )
        return _equal([one], [two])


def _equal(one: list[sp.Expr], other: list[sp.Expr]) -> bool:
    return len(one) == len(other) and all(is_zero(a - b) for a, b in zip(one, other, strict=True))


def _named(name: str, like: Symbol) -> Any:
    """A symbol of the kind of another."""
    return (
        VectorSymbol(name, like.kind)
        if isinstance(like, VectorSymbol)
        else sp.Symbol(name, real=True)
    )


def _put(e: Expr, known: dict[Symbol, Expr]) -> Any:
    return substitute(e, known)


def kept_apart(
    target: Program, known: Program, linear_known: bool, calls: int | None = None
) -> str:
    """Why the target may coincide with the known method for some parameters of the latter; empty if it cannot.

    The two are distinct if one draws noise and the other does not, if they call different numbers of oracles, or if the
    points of one are affine in the oracle results and those of the other are not.

    Args:
        target: taken at generic values of its parameters.
        known: a registered method.
        linear_known: whether ``known`` is a linear method.
        calls: the number of distinct oracle calls per step of a linear target; None for other targets.
    """
    noisy, other = (bool(p.draws or p.counts) for p in (target, known))
    mine, theirs = _interfaces(target), _interfaces(known)
    if calls is None and mine is not None and theirs is not None and mine != theirs:
        return ""
    other_sort = theirs is not None and set(theirs) != {(0, 0)}
    if calls is not None and theirs is not None and (other_sort or calls % len(theirs)):
        return ""  # nor several steps of it
    if noisy != other:
        reached = _drawn(target if noisy else known)
        if any(_sign(w) or (noisy and not is_zero(w)) for w in reached):
            return ""
        return "with noise, which may vanish"
    if noisy:
        return "with noise: compared as expressions only"
    bends = [] if calls is not None else _bends(target.bind(next(samples(target.parameters))))
    bent = None if bends is None else sp.Add(*bends)
    if linear_known:
        return "" if bent is not None and _differs_from_zero(bent) else "linear, which this may be"
    others = _bends(known) if bent is not None and is_zero(bent) else None
    signs = {_sign(b) for b in others or () if b != 0}
    return "" if signs in ({1}, {-1}) else "not linear: compared as expressions only"


def _interfaces(p: Program) -> list[tuple[int, int]] | None:
    """Kinds of the oracles called, as numbers of directions and parameters; None where calls may coincide."""
    if p.sweeps:
        return [(-1, -1)]  # single components
    counts = Counter(
        (c.oracle, len(c.directions), len(c.parameters)) for c in explicit_proximal(p).calls
    )
    if any(n > 1 for n in counts.values()):
        return None
    return sorted((directions, parameters) for _, directions, parameters in counts)


def _drawn(p: Program) -> Iterator[sp.Expr]:
    """Weights of a draw in the outputs of the next steps, where the step is linear in it; the simplest first."""
    yield from _pushed(p)
    instructions: list[Instruction] = []
    for i in p.instructions:
        drawn = isinstance(i, Draw) and isinstance(i.target, VectorSymbol)
        asked = CallOracle(i.target, Oracle("draw", str(i.target)), zero) if drawn else i
        instructions.append(asked)
    written = replace(p, instructions=tuple(instructions))
    if p.counter is not None:  # the first step
        written = written.bind({p.counter: 0})
    try:
        s = linear(written)
    except NotLTI:
        return
    places = [i for i, o in enumerate(s.inputs) if o.kind == "draw"]
    if s.output is None or not places:
        return
    moved = s.B
    for _ in range(1 if p.counted else s.A.rows):
        yield from (canonical((s.output * moved)[i]) for i in places)
        moved = (s.A * moved).applyfunc(canonical)


def _pushed(p: Program) -> list[sp.Expr]:
    """Weights of the draws in the output after the first step, where they get there by sums; answers are given."""
    shares: dict[Any, dict[Any, sp.Expr]] = {d.target: {d.target: sp.S.One} for d in p.draws}

    def share(e: Expr, of: dict[Any, dict[Any, sp.Expr]]) -> dict[Any, sp.Expr]:
        """The weights of the draws in an expression, from those in the names; raises NotCarried if not by a sum."""
        moved = {s for s, weights in of.items() if weights}
        total: dict[Any, sp.Expr] = {}
        terms = e.terms.items() if isinstance(e, Vector) else [(e, sp.S.One)]
        for a, c in terms:
            if (
                c.has(ScalarNode)
                or symbols_of(c) & moved
                or (a not in moved and symbols_of(a) & moved)
            ):
                raise NotCarried(f"{e} is no sum of draws.")
            for d, w in of.get(a, {}).items():
                total[d] = total.get(d, sp.S.Zero) + w * c
        return total

    try:
        for i in p.instructions:
            if isinstance(i, Assign):
                shares[i.target] = share(i.value, shares)
            elif not isinstance(i, (CallOracle, Draw)):
                return []
        ahead = {s: share(e, shares) for s, e in p.next.items()}
        weights = share(p.outputs["x"], ahead).values()
    except NotCarried:
        return []
    return [w if p.counter is None else w.xreplace({p.counter: sp.S.Zero}) for w in weights]


def _bends(p: Program) -> list[sp.Expr] | None:
    """Deviation of the second point from affine dependence on the first oracle result, by term; None if unread."""
    answer = sp.Symbol("_answer", real=True)
    point = _second_point(p, answer)
    if point is None:
        return None

    def bend(term: sp.Expr) -> sp.Expr:
        two, one, minus = (term.xreplace({answer: sp.Integer(u)}) for u in (2, 1, -1))
        return canonical(two - sp.Rational(3, 2) * one + minus / 2)

    return [bend(term) for term in sp.Add.make_args(sp.expand_mul(point))]


def _second_point(p: Program, answer: sp.Expr) -> sp.Expr | None:
    """One coordinate of the second step's oracle point, from x0 = 1/3, for that result in the first step."""
    try:
        flat = explicit_proximal(p).inlined()
        only = flat.calls[0] if len(flat.instructions) == len(flat.calls) == 1 else None
        if only is None or only.directions or only.parameters or only.implicit != 0:
            return None
        known: dict[Any, sp.Expr] = {start: sp.Rational(1, 3)}
        known |= {b.symbol: _coordinate(b.init, known) for b in p.blocks} | {only.target: answer}
        if p.counter is not None:
            known[p.counter] = sp.S.Zero
        after = {s: _coordinate(e, known) for s, e in flat.next.items()}
        if p.counter is not None:
            after[p.counter] = sp.S.One
        return _coordinate(only.point, after)
    except NotCarried:
        return None


def _coordinate(e: Expr, known: dict[Any, sp.Expr]) -> sp.Expr:
    """One coordinate of a vector, or a scalar, where vectors have one; raises NotCarried where oracles are called."""
    if isinstance(e, ScalarNode):
        if e.kind != "inner":
            raise NotCarried(f"{e} is not read here.")
        return sp.Mul(*[_coordinate(v, known) for v in e.arguments])
    if not isinstance(e, Vector):
        scalars = {s: known[s] for s in e.free_symbols if s in known}
        return e.xreplace(scalars | {n: _coordinate(n, known) for n in e.atoms(ScalarNode)})
    total = []
    for a, c in e.terms.items():
        if isinstance(a, Elementwise):
            inside = dict(
                zip(
                    slots(len(a.arguments)),
                    (_coordinate(v, known) for v in a.arguments),
                    strict=True,
                )
            )
            value = _coordinate(a.body, known).xreplace(inside)
        elif isinstance(a, Product) and a.kind == "hadamard":
            value = _coordinate(a.left, known) * _coordinate(a.right, known)
        elif a in known:
            value = known[a]
        else:
            raise NotCarried(f"{a} is not read here.")
        total.append(value * _coordinate(c, known))
    return sp.Add(*total)


def _differs_from_zero(e: sp.Expr) -> bool:
    """Whether a number is provably nonzero."""
    with precise():
        try:
            return apart(number(e, {}), Fraction(0))
        except NoNumber:
            return False


def _sign(e: sp.Expr) -> int:
    """The sign of an expression in positive symbols, by the signs of its coefficients; 0 where they do not tell.

    Averages weigh by less than one: beta1 and beta2 are below it.
    """
    e = e.xreplace({s: s / (1 + s) for s in e.free_symbols if s.name in {"beta1", "beta2"}})
    exponents = [n.exp if n.is_Pow else n.args[0] for n in e.atoms(sp.exp)]
    if exponents:  # exp(r m) is (1 + d)^r with d > 0, for a positive monomial m
        m = max(exponents, key=sp.default_sort_key).as_independent(*e.free_symbols)[1]
        if not m.is_positive or not all((a / m).is_Rational for a in exponents):
            return 0
        common = sp.ilcm(1, *[(a / m).q for a in exponents])
        above = 1 + sp.Symbol("_above", positive=True)
        e = e.xreplace({n: above ** (n.args[0] / m * common) for n in e.atoms(sp.exp)})
    top, bottom = sp.fraction(sp.factor(sp.together(e)))
    side = 1
    for part in (*sp.Mul.make_args(top), *sp.Mul.make_args(bottom)):
        base, power = part.as_base_exp()
        found = _sign_of_sum(sp.Add.make_args(sp.expand(base)))
        side *= found if power.is_odd else abs(found)
    return side


def _sign_of_sum(terms: Sequence[sp.Expr]) -> int:
    if all(t.is_positive for t in terms):
        return 1
    if all(t.is_negative for t in terms):
        return -1
    if len(terms) != 2 or {t.is_positive for t in terms} != {True, False}:
        return 0
    above, below = sorted(
        terms, key=lambda t: bool(t.is_negative)
    )  # a - b has the sign of a^2 - b^2
    squares = sp.Add.make_args(sp.expand(above**2 - below**2))
    return _sign_of_sum(squares) if len(squares) != 2 else 0
