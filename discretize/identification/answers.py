"""Points that follow from answers which are numbers, and the exclusion of all parameters by them.

An oracle may answer anything at points that differ: whatever the numbers, there is a smooth function with these
gradients at these points. So two methods that are the same call at the same points after the same answers. For a known
method these points are expressions in its parameters, for the target, at numbers, they are numbers; that both agree
after several sequences of answers is a system of polynomial equations, once roots and other functions of parameters are
unknowns beside them. Where elimination shows that it has no solution, no parameters make the known method the target.
"""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sympy as sp
from sympy.polys.domains import QQ
from sympy.polys.rings import PolyElement, PolyRing

from ..._support.errors import NotCarried
from ..._support.work import kept
from ...dynamics.algebra.calculus import substitute
from ...dynamics.algebra.exact import Fractions, canonical
from ...dynamics.algebra.scalars import SINGULAR
from ...dynamics.algebra.series import stream
from ...dynamics.algebra.streams import SingularError
from ...dynamics.algebra.vectors import Call, Vector
from ...dynamics.samples.laws import Law
from ...dynamics.vector_fields.block import start
from ..equality.coordinates import HESSIAN, CoordinateExpressions, Coordinates
from ..equality.numbers import Number, apart, precise, real
from ..linear.state_space import explicit_proximal
from ..linear.witness import samples
from ..programs.program import Assign, CallOracle, Draw, Program
from .elimination import FEW, ORDER, PAIRS, no_solution
from .shared_point import value

_X0 = (sp.Rational(1, 3), sp.Rational(-2, 5))
_ONE = (sp.Integer(1), sp.Integer(2))  # an answer; further ones are multiples of it, or turned
_FIRST = tuple(tuple(n * u for u in _ONE) for n in (1, 2, -1, 4))
_TURNED = (sp.Integer(3), sp.Integer(-1))
_SEQUENCES = (
    *((u,) for u in _FIRST),
    (_TURNED,),
    (_ONE, _ONE),
    (tuple(100 * u for u in _ONE), _FIRST[2]),
    (_ONE, _TURNED),
    (_FIRST[1], _ONE),
)
_GROUPS = (_SEQUENCES[:5], *((*_SEQUENCES[:2], two) for two in _SEQUENCES[5:]))  # compared at once
SLOPES = _FIRST[:3]  # answers that are the same at all points
_SIZE = sp.Symbol("_size", positive=True)
_SMALL = (((_ONE,), 5), ((_ONE, _TURNED), 3))  # small answers, and the orders that are compared
_REORDERED = 3  # calls that are tried in every order
_ROOTS = 12  # of the expressions that are eliminated from
AVERAGES = {"beta1", "beta2"}  # parameters that are weights of averages: below one


def points(
    program: Program,
    answers: Sequence[Coordinates],
    values: Mapping[sp.Symbol, sp.Expr] | None = None,
) -> list[Coordinates]:
    """The points of the first calls, one more than there are answers, each of two coordinates.

    Args:
        program: of one step, with plain calls of oracles, made from x0 of two coordinates.
        answers: of the calls in order.
        values: of parameters.

    Raises:
        NotCarried: draws, sweeps, calls with further arguments, or one at the start that no step begins with.
    """
    return list(asked_at(program, iter(answers), values))


def asked_at(
    program: Program,
    answers: Iterator[Coordinates],
    values: Mapping[sp.Symbol, sp.Expr] | None = None,
    draws: list[tuple[Coordinates, Law]] | None = None,
) -> Iterator[Coordinates]:
    """The same one by one, until one more than there are answers.

    With a list of draws they are new symbols, which it gets with their laws, and there may be calls at the start, which
    come first. The function is linear then, so that its Hessian is zero.
    """
    known: dict[Any, Any] = {**(values or {}), start: _X0}
    lengths = {b.symbol: b.history for b in program.blocks if b.history is not None}
    at = CoordinateExpressions(known, lengths)
    for before in _before(program):
        point = at.value(before.point)
        if draws is not None:
            yield point
            known[before] = next(answers)
            continue
        _check_asked_again(program, before)
        if (answer := next(answers, None)) is None:
            yield point
            return
        known[before], answers = answer, itertools.chain((answer,), answers)
    known |= {b.symbol: at.first(b.symbol, b.init) for b in program.blocks}
    if not program.calls:
        raise NotCarried("there is no call.")
    for k in itertools.count():
        if program.counter is not None:
            known[program.counter] = sp.Integer(k)
        for i in program.plain:
            if isinstance(i, Assign):
                known[i.target] = at.value(i.value)
                continue
            if isinstance(i, Draw) and draws is not None and not i.operates:
                size = len(_X0) if isinstance(i.target, Vector) else 1
                made = tuple(sp.Symbol(f"_draw{len(draws)}_{c}", real=True) for c in range(size))
                draws.append((made, i.drawn_from))
                known[i.target] = made if isinstance(i.target, Vector) else made[0]
                continue
            if isinstance(i, CallOracle) and i.directions and i.oracle.kind == "grad":
                known[i.target] = _along(i, at, draws is None)
                continue
            if not isinstance(i, CallOracle) or i.directions or i.parameters:
                raise NotCarried(f"{i} is not supported here.")
            point, weight = at.value(i.point), at.value(i.implicit)
            answer = next(answers, None)
            if answer is None and weight != 0:
                raise NotCarried("a point depends on its own answer.")
            if answer is None:
                yield point
                return
            known[i.target] = answer
            yield tuple(p + weight * u for p, u in zip(point, answer, strict=True))
        known |= {s: at.value(e) for s, e in program.next.items()}


def _along(i: CallOracle, at: CoordinateExpressions, bent: bool) -> Coordinates:
    """A derivative of the gradient: of a linear function zero, else the Hessian that it has at all points.

    Gradients and Hessians at points that differ may be anything at once.
    """
    if not bent:
        return tuple(sp.S.Zero for _ in _X0)
    if len(i.directions) > 1 or i.parameters or i.implicit != 0:
        raise NotCarried(f"{i} is not supported here.")
    direction = at.value(i.directions[0])
    return tuple(sp.Add(*(m * d for m, d in zip(row, direction, strict=True))) for row in HESSIAN)


def plain_calls(program: Program) -> list[CallOracle]:
    """The calls that have points here: those that are no derivatives."""
    return [c for c in program.calls if not c.directions]


def _before(program: Program) -> list[Call]:
    """The calls at the start, in order; raises NotCarried for those of further arguments, or of another's answer."""
    inits = [b.init for b in program.blocks if isinstance(b.init, Vector)]
    found = sorted({c for e in inits for c in e.calls()}, key=lambda c: c.key)
    if any(c.directions or c.parameters or c.point.calls() for c in found):
        raise NotCarried("a call at the start is not supported here.")
    return found


def _check_asked_again(program: Program, before: Call) -> None:
    """Refuse a call at the start, unless the first call of the first step is the same: it has the same answer then."""
    begin = {b.symbol: b.init for b in program.blocks}
    first = program.calls[0] if program.calls else None
    if (
        first is None
        or first.implicit != 0
        or substitute(first.as_call(), begin) != before
        or len(_before(program)) > 1
    ):
        raise NotCarried("a call at the start is not supported here.")


def bends(target: Program) -> bool:
    """Whether a point is not affine in an answer of the first step, at numbers; True is exact.

    In a linear method, and in several of its steps or with later answers, every point is affine in every answer.
    """
    count = len(plain_calls(target))
    others = [_TURNED] * (2 * count - 1)
    try:
        for n in range(count):
            runs = [points(target, [*others[:n], u, *others[n:]]) for u in _FIRST[:3]]
            for one, two, minus in zip(*map(itertools.chain.from_iterable, runs), strict=True):
                if differ(two + minus / 2, sp.Rational(3, 2) * one):
                    return True
    except NotCarried:
        return False
    return False


def moved_at_once(target: Program, before: Sequence[Coordinates] = ()) -> bool:
    """Whether an answer moves the next point, at numbers; True is exact. It does not if it arrives later.

    Args:
        target: the method, without parameters.
        before: the answers that come before.
    """
    try:
        one, two, minus = (points(target, [*before, u])[-1] for u in _FIRST[:3])
    except NotCarried:
        return False
    return any(map(differ, one, two)) or any(map(differ, one, minus))


def told_apart(one: Program, other: Program, mine: Mapping[sp.Symbol, sp.Symbol]) -> bool:
    """Whether two methods of one oracle call it elsewhere in a step, at the shared point; True is exact.

    Args:
        one: the first method.
        other: the second.
        mine: parameters of the first, in whose places parameters of the second stand.
    """
    if len({c.oracle for c in (*one.calls, *other.calls)}) != 1:
        return False
    own = {s: value(s) for s in other.parameters}
    moved = {s: value(mine.get(s, s)) for s in one.parameters}
    try:
        if len(plain_calls(one)) != len(plain_calls(other)):
            by_calls = sorted([(one, moved), (other, own)], key=lambda p: len(plain_calls(p[0])))
            (fewer, _), (more, values) = by_calls
            return len(plain_calls(fewer)) < _distinct(more, values)
        if len(plain_calls(one)) != 1:
            return False
        for answers in _SEQUENCES[-3:]:
            left, right = points(one, answers, moved), points(other, answers, own)
            if any(itertools.starmap(_elsewhere, zip(left, right, strict=True))):
                return True
    except (NotCarried, ArithmeticError):
        return False
    return False


def _distinct(p: Program, values: Mapping[sp.Symbol, sp.Expr]) -> int:
    """How many points of the second step provably differ from all before in it; the first may begin at rest."""
    count = len(plain_calls(p))
    answers = [(_ONE, _TURNED)[n % 2] for n in range(2 * count - 1)]
    found = points(p, answers, values)[count:]
    return sum(all(_elsewhere(at, before) for before in found[:n]) for n, at in enumerate(found))


def _elsewhere(one: Coordinates, other: Coordinates) -> bool:
    return any(map(differ, one, other))


def differ(one: sp.Expr, other: sp.Expr) -> bool:
    """Whether two numbers provably differ."""
    a, b = real(one), real(other)
    with precise():
        return a is not None and b is not None and apart(a, b)


def excluded_by_answers(target: Program, known: Program) -> bool:
    """Whether no parameters of the known method make it the target, at two samples of those of the target.

    False is inconclusive.

    Both make calls of one oracle, plain or along one direction. Several steps of the known method may be one of the
    target: its calls are then those of the known one in a row, in an order that is unique where each answer in a step
    moves the next point.

    Args:
        target: the given method, without draws.
        known: the registered method, without draws.
    """
    target, known = explicit_proximal(target), explicit_proximal(known)
    if any(len({c.oracle for c in p.calls}) != 1 for p in (target, known)):
        return False
    try:
        return all(_no_parameters(t, known) for t in at_numbers(target))
    except (NotCarried, ArithmeticError):
        return False


@kept(4)  # a target is compared with every registered method
def at_numbers(target: Program) -> tuple[Program, ...]:
    """The method at two samples of its parameters."""
    given = itertools.islice(samples(target.parameters), 2 if target.parameters else 1)
    return tuple(target.bind(values) for values in given)


def _no_parameters(target: Program, known: Program) -> bool:
    """Whether no parameters of the known method make it the target, which is at numbers; False is inconclusive."""
    count, each = len(plain_calls(target)), len(plain_calls(known))
    steps = range(1, count) if count * each > 1 else ()
    if not all(moved_at_once(target, [_TURNED] * (n - 1)) for n in steps):
        # Calls that do not depend on each other may be those of several steps in another order.
        if each > 1 or count > _REORDERED:
            return False
        others = list(itertools.permutations(range(count)))[1:]
        if not all(_no_parameters_in_order(target, known, order) for order in others):
            return False
    # Where there is no solution it shows soon: for small answers, which take few roots, or for others.
    small = _by_series(target, known)
    if any(g.no_zero(FEW) for g in small):
        return True
    pairs = _Pairs(target, known)
    tried: list[list[PositiveEquations]] = []
    # With numbers first, which is fast; what holds only at an end of the unknowns takes exact roots.
    for by_number in (True, False):
        if not by_number and not _algebraic([pairs[wanted] for wanted in _SEQUENCES]):
            break
        numbers: dict[sp.Symbol, Number] = {}
        tried.append([])
        for group in _GROUPS:
            left = [
                _apart(one, named(there, numbers) if by_number else there)
                for one, there in map(pairs.__getitem__, group)
            ]
            tried[-1].append(PositiveEquations(list(itertools.chain(*left)), numbers))
            if tried[-1][-1].no_zero(FEW):
                return True
    return any(g.no_zero(PAIRS) for groups in (*tried, small) for g in groups[:2])


class _Pairs(dict[tuple[Coordinates, ...], tuple[Coordinates, Coordinates]]):
    """The last points of two methods after answers in a sequence, made when they are asked for.

    The target's is at numbers. Both are empty where such answers say nothing.
    """

    def __init__(self, target: Program, known: Program) -> None:
        super().__init__()
        self.target, self.known = target, known

    def __missing__(self, wanted: tuple[Coordinates, ...]) -> tuple[Coordinates, Coordinates]:
        mine, answers = _asked(self.target, wanted)
        there = _last(self.known, tuple(answers))
        # a difference of answers may be divided by, which is zero here: such answers say nothing
        self[wanted] = ((), ()) if any(e.has(*SINGULAR) for e in there) else (there, mine[-1])
        return self[wanted]


@kept(512)
def _last(known: Program, answers: tuple[Coordinates, ...]) -> Coordinates:
    return points(known, answers)[-1]


def _algebraic(pairs: Sequence[tuple[Coordinates, Coordinates]]) -> bool:
    """Whether the second points have roots, and no other functions."""
    numbers = [e for _, there in pairs for e in there if not e.is_Rational]
    return bool(numbers) and all(e.is_algebraic for e in numbers)


def _by_series(target: Program, known: Program) -> list[PositiveEquations]:
    """The equations of the points' series in the size of the answers, which has fewer roots than its values.

    Points that are the same for all answers are so for small ones; none where the points are no series.
    """
    numbers: dict[sp.Symbol, Number] = {}
    left: list[sp.Expr] = []
    groups: list[PositiveEquations] = []
    try:
        for answers, most in _SMALL:
            small = tuple(tuple(_SIZE * u for u in answer) for answer in answers)
            if (there := _small(target, small, most)) is None:
                return groups
            left += _apart(_series(_last(known, small), most), named(there, numbers))
            groups.append(PositiveEquations(list(left), numbers))
    except (NotCarried, SingularError):
        pass
    return groups


@kept(32)  # a target is compared with every registered method
def _small(target: Program, small: tuple[Coordinates, ...], most: int) -> Coordinates | None:
    """The series of a method's last point; None where points before may be one, of which there is one answer."""
    *before, last = points(target, small)
    for one, other in itertools.combinations(before, 2):
        if not any(differ(e, sp.S.Zero) for e in _series(tuple(_apart(one, other)), most)):
            return None
    return _series(last, most)


@kept(512)
def _series(point: Coordinates, most: int) -> Coordinates:
    """The coefficients of the coordinates in the size of the answers, from orders 0 to ``most``.

    Raises:
        NotCarried: a coordinate is not analytic, for some values of the parameters.
        SingularError: it is no series.
    """
    found: list[sp.Expr] = []
    for e in point:
        others = [n for n in e.atoms(sp.Pow, sp.Function) if n.has(_SIZE) and not _is_power(n)]
        for n in others:
            base, exponent = n.as_base_exp()
            positive = n.is_Pow and base.xreplace({_SIZE: sp.S.Zero}).is_positive
            if not positive or exponent.has(_SIZE):
                raise NotCarried(f"{n} may be no series.")
        at_numbers = not others and e.free_symbols <= {_SIZE}
        terms = _collected(e) if at_numbers else stream(e, _SIZE, lambda v, k: [v])
        found += [terms[k] for k in range(most + 1)]
    return tuple(found)


def _is_power(n: sp.Expr) -> bool:
    """Whether it is a power that a polynomial may have."""
    return bool(n.is_Pow and n.exp.is_Integer and n.exp.is_positive)


def _collected(e: sp.Expr) -> Mapping[int, sp.Expr]:
    """The coefficients of a polynomial in the size, whose numbers need no common form."""
    terms: defaultdict[int, sp.Expr] = defaultdict(lambda: sp.S.Zero)
    for term in sp.Add.make_args(sp.expand(e)):
        factor, power = term.as_coeff_exponent(_SIZE)
        terms[int(power)] += factor
    return terms


def _no_parameters_in_order(target: Program, known: Program, order: Sequence[int]) -> bool:
    """The same where the known method, one call in a step, makes the calls of a step of the target in this order."""
    left = []
    numbers: dict[sp.Symbol, Number] = {}
    for first in (_ONE, _TURNED):
        mine, answers = _asked(target, (first, *_FIRST[: len(order) - 1]))
        for n, call in enumerate(order):
            there = points(known, [answers[i] for i in order[:n]])[-1]
            left += _apart(there, named(mine[call], numbers))
    return PositiveEquations(left, numbers).no_zero(PAIRS)


@kept(32)
def _asked(
    target: Program, wanted: tuple[Coordinates, ...]
) -> tuple[list[Coordinates], list[Coordinates]]:
    """The points of a method at numbers, and its answers: these, but where a point comes again so does its answer.

    Raises:
        NotCarried: a point is not real at these numbers, or it is not found whether two points are the same.
    """
    answers: list[Coordinates] = []
    for answer in wanted:
        *before, point = points(target, answers)
        _check_real(point)
        again = [i for i, p in enumerate(before) if not _elsewhere(p, point)]
        if any(canonical(e) != 0 for i in again[:1] for e in _apart(before[i], point)):
            raise NotCarried("two points may be the same.")
        answers.append(answers[again[0]] if again else answer)
    found = points(target, answers)
    _check_real(found[-1])
    return found, answers


def _check_real(point: Coordinates) -> None:
    if any(real(e) is None for e in point):
        raise NotCarried("the method is not defined here.")


def _apart(one: Coordinates, other: Coordinates) -> list[sp.Expr]:
    return [a - b for a, b in zip(one, other, strict=True)]


def named(point: Coordinates, numbers: dict[sp.Symbol, Number]) -> Coordinates:
    """A point with symbols for coordinates that are no fractions, whose values are added to the numbers."""
    found = []
    for e in point:
        if not e.is_Rational:
            symbol = sp.Symbol(f"_number{len(numbers)}", real=True)
            numbers[symbol], e = real(e), symbol
        found.append(e)
    return tuple(found)


class PositiveEquations:
    """Expressions that are to be zero where their symbols are positive, but for those that are numbers."""

    def __init__(self, exprs: Sequence[sp.Expr], numbers: Mapping[sp.Symbol, Number]) -> None:
        self.exprs, self.numbers = exprs, numbers

    def no_zero(self, most: int) -> bool:
        """Whether they have no common zero, by so many combinations of two at most; False is inconclusive."""
        roots = {p for e in self.exprs for p in e.atoms(sp.Pow) if not p.exp.is_Integer}
        if len(roots) > _ROOTS:
            return False
        return no_solution(*self._lowered[:3], most, self._lowered[3])

    @functools.cached_property
    def _lowered(
        self,
    ) -> tuple[
        list[PolyElement], frozenset[sp.Symbol], frozenset[sp.Symbol], dict[sp.Symbol, Number]
    ]:
        """Polynomials that are to be zero, the unknowns that are positive and below one, and what is a number."""
        fractions = Fractions(self.exprs)
        elements = [e.numer for e in fractions.elements]
        ring = PolyRing(elements[0].ring.symbols, QQ, ORDER)
        meaning = {s: fractions.meaning.get(s, sp.nan) for s in ring.symbols}
        positive = frozenset(s for s, m in meaning.items() if m.is_positive)
        below = frozenset(s for s in positive if str(meaning[s].as_base_exp()[0]) in AVERAGES)
        values = {
            s: self.numbers[m] if m in self.numbers else real(m)
            for s, m in meaning.items()
            if m in self.numbers or (m.is_number and (self.numbers or not m.is_algebraic))
        }
        numbers = {s: v for s, v in values.items() if v is not None}
        return [p.set_ring(ring) for p in (*elements, *fractions.ideal)], positive, below, numbers
