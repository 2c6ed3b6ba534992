"""Equivalence of two algorithms: proved, refuted with a witness, or undecided.

Two linear methods call the oracle at the same points, whatever the function, exactly if their
transfer functions from oracle results to points agree and they start at corresponding states.
Exact arithmetic proves it; numbers, at the same values of the parameters for both, refute it.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import factorial, prod
from typing import TypeAlias

import sympy as sp

from ..._support.rendering.brief import quantity
from ...dynamics.algebra.calculus import vanishes
from ...dynamics.algebra.vectors import Atom, Call, Vector
from ...dynamics.vector_fields.system import L, mu
from ..linear.coordinates import coordinates, needed_start, vanishing
from ..linear.matrices import System, same_transfer
from ..linear.state_space import NotLTI, StateSpace, explicit_proximal, linear
from ..linear.witness import (
    DIGITS,
    MORE,
    SAMPLES,
    BoundedNumbers,
    Values,
    Witness,
    first_difference,
    numbers,
    response,
    samples,
    settled,
)
from ..programs.program import Program
from .guarded import compare_guarded
from .outputs import compare_outputs
from .time_varying import compare_time_varying
from .trial import told_apart
from .verdict import AGREE, Equivalence

View: TypeAlias = "Callable[[StateSpace], System]"
Found: TypeAlias = "tuple[Values, int, int, int, tuple[sp.Expr, sp.Expr]]"
EQUAL = (
    "the transfer functions from the oracle to its points are equal, and so are the initial states."
)
_EVALUATED = {
    "grad": "the gradient of", "operator": "the operator", "map": "the map", "vjp": "the map",
    "ensemble": "the consensus point of",
}  # fmt: skip
_FEW, _ORDERS = 3, 5040  # samples that are looked at before an exact test; orders of calls tried
# steps that are made first, where one calls before its first step what the other calls in it
_ALIGNMENTS = ((0, 0), (1, 0), (0, 1), (1, 1), (2, 1), (1, 2), (2, 0), (0, 2))


def compare(one: Program, other: Program) -> Equivalence:
    """Compare two tuned programs."""
    try:
        found = _by_theory(one, other)
    except (
        ArithmeticError
    ) as error:  # a zero test that exact arithmetic cannot settle, or too large a step
        if one == other:
            return Equivalence("proved", "the two are the same program.", True)
        found = Equivalence("undecided", str(error))
    if found.verdict != "undecided":
        return found
    alone = _never_asked(one, other)
    if alone is not None:
        return Equivalence("refuted", alone)
    trial = told_apart(one, other)
    return found if trial is None else Equivalence("refuted", f"{trial}.", witness=trial)


def _never_asked(one: Program, other: Program) -> str | None:
    """What one evaluates and the other never does, as a sentence; None if there is no such function."""
    both = [_asked(explicit_proximal(p)) for p in (one, other)]
    names = ("this one", "the other")
    for i in range(2):
        alone = sorted(both[i] - both[1 - i])
        if alone:
            return f"{names[i]} evaluates {alone[0]}, which {names[1 - i]} never does."
    return None


def _asked(p: Program) -> frozenset[str]:
    """The functions that a program evaluates; but for conjugate maps, which may undo each other.

    Values count where nothing else is evaluated, as in a method of differences.
    """
    found = {f"the components of {o.text}" for i in p.sweeps for o in i.oracles if not i.quotient}
    found |= {f"quotients of {o.of}" for i in p.sweeps for o in i.oracles if i.quotient}
    found |= {
        f"the Hessian of {c.oracle.of}" for c in p.calls if c.directions and c.oracle.kind == "grad"
    }
    swept = {o for i in p.sweeps for o in i.oracles}
    for o in {*p.oracles} - swept:
        if o.kind in _EVALUATED and o.of not in {"mirror", "dual"}:
            found.add(f"{_EVALUATED[o.kind]} {o.of}")
        elif o.kind == "value" and not p.calls and not p.sweeps:
            found.add(f"the values of {o.of}")
    return frozenset(found)


def _by_theory(one: Program, other: Program) -> Equivalence:
    """Linear methods; else those whose coefficients change from step to step; else nonlinear maps, noise, guards."""
    if one.branching or other.branching:
        return compare_guarded(one, other)
    try:
        left, right = linear(one), linear(other)
    except NotLTI as error:
        varying = compare_time_varying(one, other)
        return compare_outputs(one, other, str(error)) if varying is None else varying
    return compare_linear(left, right)


def compare_linear(left: StateSpace, right: StateSpace) -> Equivalence:
    """Compare two linear methods; raises ArithmeticError where no zero test is at hand."""
    left, right = left.merged(), right.merged()
    if Counter(left.inputs) != Counter(right.inputs):
        return _different_inputs(left, right)
    if prod(factorial(n) for n in Counter(left.inputs).values()) > _ORDERS:
        return Equivalence(
            "undecided", "a step has too many calls of one oracle to try all orders."
        )
    pair = _Pair(left, right, _answers)
    found: list[Equivalence] = []
    for order in itertools.permutations(range(len(right.inputs))):
        if [right.inputs[i] for i in order] != list(left.inputs):
            continue
        verdict = _in_order(pair, order)
        if verdict:
            return verdict
        found.append(verdict)
    # every order fails: undecided if one is open, else that in which the least differs
    return min(
        found, key=lambda e: (e.verdict != "undecided", AGREE not in e.reason, e.start is None)
    )


class _Pair:
    """Two methods, and what is read off them at the same values of the same symbols."""

    def __init__(self, left: StateSpace, right: StateSpace, view: View) -> None:
        self.left, self.right, self.view = left, right, view
        self.shape = view(left)[3].shape
        self._kept: list[tuple[Values, list[list[BoundedNumbers]]]] = []
        self._more = self._evaluated()

    def _evaluated(self) -> Iterator[tuple[Values, list[list[BoundedNumbers]]]]:
        steps = self.left.A.rows + self.right.A.rows
        views = [self.view(s) for s in (self.left, self.right)]
        symbols = {s for v in views for m in v for s in m.free_symbols}
        # more digits, for what differs by less than the fewer show, only where all samples agree
        for digits, most in ((DIGITS, SAMPLES), (MORE, _FEW)):
            for values in samples(symbols, most):
                found = [numbers(v, values, digits) for v in views]
                if found[0] is not None and found[1] is not None:
                    yield values, [response(n, steps) for n in found if n is not None]

    def difference(
        self, number: int | None, order: Sequence[int] | None = None
    ) -> tuple[Values, int, int, int, tuple[sp.Expr, sp.Expr]] | None:
        """Values of the symbols, lag, row, column and the two numbers that differ there; None if none was found.

        So many samples are looked at; all of them where no number is given.
        """
        rows, cols = (list(range(n)) if order is None else order for n in self.shape)
        for i in itertools.count():
            if i == len(self._kept):
                try:
                    self._kept.append(next(self._more))
                except StopIteration:
                    return None
            if number is not None and i >= number:
                return None
            values, (mine, theirs) = self._kept[i]
            found = first_difference(mine, theirs, (rows, cols))
            if found is not None:
                return values, *found
        return None

    def undecided(self, same: str) -> Equivalence:
        """The verdict where all samples agree, or where there are none, as with coefficients that are not real."""
        told = f"{same} as far as numbers tell, at every sample, but no proof was found."
        if not self._kept:
            told = "no numbers were found at which both methods could be compared, and no proof."
        return Equivalence("undecided", told)


def _answers(s: StateSpace) -> System:
    return s.system


def _from_start(s: StateSpace) -> System:
    """From x0 and what is known at the beginning to the points."""
    assert s.start is not None
    return s.A, s.start, s.C, sp.zeros(s.C.rows, s.start.cols)


def _in_order(pair: _Pair, order: tuple[int, ...]) -> Equivalence:
    """The verdict with the other's calls in that order."""
    found = pair.difference(_FEW, order)
    if found is not None:
        return _impulse_refutes(pair, order, found)
    left, right = pair.left, pair.right.ordered(order)
    assuming: str | None = ""
    t = coordinates(left, right)  # for many states much cheaper than transfer functions
    if t is None:
        left, right, assuming = _same(left, right, _answers)
    if assuming is None:
        found = pair.difference(None, order)
        if found is not None:
            return _impulse_refutes(pair, order, found)
        return pair.undecided("the transfer functions are equal")
    verdict = _starts(left, right, t)
    return replace(verdict, reason=verdict.reason[:-1] + assuming + ".") if assuming else verdict


def _impulse_refutes(pair: _Pair, order: Sequence[int], found: Found) -> Equivalence:
    """The refutation by impulse responses that differ."""
    values, k, i, j, results = found
    mine, theirs = pair.left, pair.right.ordered(tuple(order))
    points = tuple(
        (s.made[i][0][0] + k * s.every, s.made[i][0][1]) for s in (mine, theirs)
    )  # of the program's steps
    witness = Witness(values, 0, (mine.made[j], theirs.made[j]), (points[0], points[1]), results)
    later = f"{quantity(k, 'step')} later" if k else "of the same step"
    return Equivalence(
        "refuted",
        f"the weight of a call's answer in a point {later} differs: {witness}.",
        witness=witness,
    )


def _same(
    left: StateSpace, right: StateSpace, view: View
) -> tuple[StateSpace, StateSpace, str | None]:
    """Whether two transfer functions are equal: "" if proved, a condition if under it, None if not proved.

    Where signs decide, the methods come back as they are for mu < L.
    """
    if 0 in view(left)[3].shape:
        return left, right, ""
    if all(e is True for row in same_transfer(view(left), view(right)) for e in row):
        return left, right, ""
    symbols = left.symbols | right.symbols
    below = sp.Symbol("_d", positive=True)
    inside = {L: (sp.sqrt(mu) + below) ** 2} if {L, mu} <= symbols else {}
    outside = {below: sp.sqrt(L) - sp.sqrt(mu)}
    one, other = (s.changed(inside, settled) for s in (left, right))
    equal = same_transfer(view(one), view(other))
    if all(e is True for row in equal for e in row):
        condition = ", for mu < L" if inside else ""
        return one.changed(outside), other.changed(outside), condition
    return left, right, None


def _starts(left: StateSpace, right: StateSpace, t: sp.Matrix | None) -> Equivalence:
    """The verdict on two methods whose transfer functions agree, by coordinates T or without."""
    if left.start is None or right.start is None:
        return Equivalence(
            "undecided", f"{AGREE}, but an initial state is not linear in x0 and oracle calls."
        )
    if not left.inputs:
        return _without_oracle(left, right)
    if (
        t is not None
        and left.start_calls == right.start_calls
        and vanishing(t * left.start - right.start)
    ):
        outputs = left.output is not None and right.output is not None
        if outputs and vanishing(left.output - right.output * t):
            return Equivalence("proved", EQUAL, True, t)
    refuted = None
    for ahead in _ALIGNMENTS:
        one, other = _advanced(left, ahead[0]), _advanced(right, ahead[1])
        if set(one.start_calls) != set(other.start_calls):
            continue
        verdict = _from_there(one, _aligned(other, one.start_calls))
        if verdict:
            same_output = _same_output((left, right), ahead)
            t = t if ahead == (0, 0) else None
            return replace(verdict, same_output=same_output, change_of_coordinates=t)
        refuted = verdict if refuted is None else refuted
    verdict = _other_calls(left, right) if refuted is None else refuted
    return replace(verdict, start=needed_start(left, right))


def _advanced(s: StateSpace, steps: int) -> StateSpace:
    for _ in range(steps):
        s = s.advanced()
    return s


def _aligned(s: StateSpace, known: tuple[Atom, ...]) -> StateSpace:
    """The form with its known results in that order."""
    assert s.start is not None
    places = [s.start_calls.index(a) for a in known]
    begin = s.start.extract(list(range(s.A.rows)), [0, *(p + 1 for p in places)])
    return replace(s, start=begin, start_calls=known, asked=tuple(s.asked[p] for p in places))


def _from_there(left: StateSpace, right: StateSpace) -> Equivalence:
    """The verdict on two methods with equal transfer functions that know the results of the same calls."""
    *_, assuming = _same(left, right, _from_start)
    if assuming is not None:
        return Equivalence("proved", EQUAL[:-1] + assuming + ".")
    pair = _Pair(left, right, _from_start)
    found = pair.difference(None)
    if found is None:
        return pair.undecided(f"{AGREE}, and the initial states do")
    values, k, i, j, results = found
    k -= 1  # the state at the beginning is read in the first step
    points = tuple((s.made[i][0][0] + s.late + k * s.every, s.made[i][0][1]) for s in (left, right))
    answers = tuple(s.asked[j - 1] if j else () for s in (left, right))
    witness = Witness(
        values, int(j == 0), (answers[0], answers[1]), (points[0], points[1]), results
    )
    what = left.start_calls[j - 1] if j else "x0"
    return Equivalence(
        "refuted",
        f"{AGREE}, but the methods start differently: the weight of {what} in the point of step {points[0][0]} is "
        f"{witness}.",
        witness=witness,
    )


def _other_calls(left: StateSpace, right: StateSpace) -> Equivalence:
    """The refutation where one calls at the beginning what the other does not, nor soon after.

    Calls are compared at numbers: expressions that look different may be equal.
    """
    for one, other in ((left, right), (right, left)):
        early, late = _advanced(one, 2), _advanced(other, 4)
        for values in samples(left.symbols | right.symbols, 6):
            mine, theirs = (s.changed(values).start_calls for s in (early, late))
            if not all(map(_of_fractions, (*mine, *theirs))):
                continue
            missing = next((i for i, call in enumerate(mine) if call not in theirs), None)
            if missing is not None:
                who = "this one calls" if one is left else "the other calls"
                where = ", ".join(f"{s} = {v}" for s, v in sorted(values.items(), key=str))
                return Equivalence(
                    "refuted",
                    f"{AGREE}, but not what is called at the beginning: {who} {early.start_calls[missing]}, which at "
                    f"{where or 'any values'} is none of the first calls of its counterpart.",
                )
    return Equivalence(
        "undecided", f"{AGREE}, but the calls at the beginning could not be brought into one order."
    )


def _of_fractions(v: Vector) -> bool:
    """Whether all coefficients are fractions, inside calls too."""
    return all(
        c.is_Rational
        and all(
            _of_fractions(e) if isinstance(e, Vector) else e.is_Rational
            for e in (a.parts() if isinstance(a, Call) else ())
        )
        for a, c in v.terms.items()
    )


def _without_oracle(left: StateSpace, right: StateSpace) -> Equivalence:
    said = "the methods call no oracle; their outputs decide."
    if left.output is None or right.output is None:
        return Equivalence("undecided", said)

    def view(s: StateSpace) -> System:
        assert s.output is not None
        return _from_start(replace(s, C=s.output))

    if left.start_calls != right.start_calls:
        return Equivalence("undecided", f"{said} They start with other calls.")
    *_, assuming = _same(left, right, view)
    if assuming is not None:
        return Equivalence("proved", said, True)
    found = _Pair(left, right, view).difference(None)
    if found is None:
        return Equivalence("undecided", said)
    values, k, _, j, results = found
    answers = tuple(s.asked[j - 1] if j else () for s in (left, right))
    at = (k - 1, -1)
    witness = Witness(values, int(j == 0), (answers[0], answers[1]), (at, at), results)
    return Equivalence(
        "refuted", f"{said[:-1]}: {witness} at step {k - 1}.", False, witness=witness
    )


def _same_output(pair: tuple[StateSpace, StateSpace], ahead: tuple[int, int]) -> bool | None:
    """Whether the outputs are the same sequence, step by step, where the calls agree after so many steps."""
    least = min(ahead)
    if any(s.output is None for s in pair) or max(ahead) > least + 1:
        return None
    for t in range(max(ahead)):
        one, other = (_advanced(s, t) for s in pair)
        assert one.output is not None and other.output is not None
        if not vanishes(one.beginning(one.output) - other.beginning(other.output)):
            return False
    left = _advanced(pair[0], ahead[0])
    right = _aligned(_advanced(pair[1], ahead[1]), left.start_calls)
    reads = {id(s): late < max(ahead) for s, late in ((left, ahead[0]), (right, ahead[1]))}
    early = {True: _output_ahead, False: _output_now}
    one, other = (early[reads[id(s)]](s) for s in (left, right))
    *_, assuming = _same(one, other, _everything)
    if assuming is not None:
        return True
    return None if _Pair(one, other, _everything).difference(None) is None else False


def _everything(s: StateSpace) -> System:
    assert s.start is not None
    direct = sp.Matrix.hstack(s.D, sp.zeros(s.D.rows, s.start.cols))
    return s.A, sp.Matrix.hstack(s.B, s.start), s.C, direct


def _output_now(s: StateSpace) -> StateSpace:
    """The form with the output in place of the points."""
    assert s.output is not None
    return replace(s, C=s.output, D=sp.zeros(1, len(s.inputs)))


def _output_ahead(s: StateSpace) -> StateSpace:
    """The form one step later."""
    assert s.output is not None
    return replace(s, C=s.output * s.A, D=s.output * s.B)


def _different_inputs(left: StateSpace, right: StateSpace) -> Equivalence:
    mine, theirs = ([o.name for o in s.inputs] for s in (left, right))
    if len(mine) == len(theirs) and sorted(Counter(mine).values()) == sorted(
        Counter(theirs).values()
    ):
        return Equivalence(
            "refuted", f"the oracles are not the same: {sorted(mine)} against {sorted(theirs)}."
        )
    repeats = next((s for s in (left, right) if _asks_again(s)), None)
    if repeats is not None:
        return Equivalence(
            "undecided",
            f"one makes the calls {mine} in a step and the other {theirs}, but some of them are made again in a later "
            "step, so that they may be the same but for these.",
        )
    return Equivalence("refuted", f"one makes the calls {mine} in a step and the other {theirs}.")


def _asks_again(s: StateSpace) -> bool:
    """Whether a call of a step repeats one of an earlier step, within the first few steps."""
    if s.start is None:
        return True
    for _ in range(s.A.rows + 1):
        s = s.advanced()
    now = set(s.start_calls)
    later = s.advanced()
    return len(later.start_calls) < len(now) + len(s.inputs)


__all__ = ["Equivalence", "compare", "compare_linear"]
