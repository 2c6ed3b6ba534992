"""Weights of answers at one point of all parameters: where two methods' weights differ there, they are not the same.

A point of a later step is a weighted sum of earlier answers and of the start. Methods with the same parameters that
call their oracles at the same points have the same weights at every value of these; so one value decides that two
are not the same, and costs a few products of numbers. The values belong to the names of the parameters, so that one
evaluation of a method serves in all comparisons.
"""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, TypeAlias

import sympy as sp

from ..equality.numbers import NoNumber, Number, apart, number, over, plus, precise, times
from ..linear.state_space import StateSpace
from ..linear.time_varying_form import TimeVarying

STEPS = 4
_MOST = 6  # states that are told to be needed
_DIGITS = 40  # of intervals
_ORDERS = 24  # of the calls of a step, that are tried
# by the point's step and call, and the answer's; those that are not there are zero
Table: TypeAlias = "dict[tuple[int, int, int, int], Number]"


@functools.lru_cache(maxsize=1024)
def value(s: sp.Symbol) -> sp.Rational:
    """The value of a parameter: a square below one, so that most roots are fractions; L is above one."""
    draw = random.Random(s.name)
    top, bottom = sorted(draw.sample(range(2, 60), 2))
    if s.name == "L":
        top, bottom = bottom, top
    if s.is_integer:
        return sp.Integer(top)
    square = sp.Rational(top, bottom) ** 2
    unsigned = not (s.is_nonnegative or s.is_negative)
    return -square if s.is_negative or (unsigned and top % 2) else square


def table(
    system: StateSpace, rule: Mapping[sp.Symbol, sp.Expr] | None = None, steps: int = STEPS
) -> Table | None:
    """The weights of answers in the points of the first steps; None where they are no numbers.

    Args:
        system: the method, with coefficients that may change.
        rule: parameters in whose place numbers stand, or others; each of the others has its own value.
        steps: how many steps.
    """
    known: dict[Any, Number] = {}

    def at(e: sp.Expr) -> Number:
        for s in e.free_symbols - known.keys():
            own = (rule or {}).get(s, s)
            known[s] = number(value(own) if own.is_Symbol else own, {})
        return number(e, known)

    n, p = system.B.shape
    found: Table = {}
    state: list[dict[tuple[int, int], Number]] = [{} for _ in range(n)]
    try:
        with precise(_DIGITS):
            if isinstance(system, TimeVarying):
                known |= {s: at(e) for s, e in system.begin.items()}
            for k in range(steps):
                if k == 0 or isinstance(system, TimeVarying):
                    a, b, c, d = (
                        [[at(e) for e in m.row(i)] for i in range(m.rows)] for m in system.system
                    )
                for i in range(p):
                    point = _combined(c[i], state)
                    point |= {(k, j): e for j, e in enumerate(d[i]) if not _is_zero(e)}
                    found |= {(k, i, *when): e for when, e in point.items()}
                moved = [_combined(row, state) for row in a]
                for own, row in zip(moved, b, strict=True):
                    own |= {(k, j): e for j, e in enumerate(row) if not _is_zero(e)}
                state = moved
                if isinstance(system, TimeVarying):
                    known |= {s: at(e) for s, e in system.ahead.items()}
    except (NoNumber, ZeroDivisionError, OverflowError):
        return None
    return found


def _combined(
    row: list[Number], state: list[dict[tuple[int, int], Number]]
) -> dict[tuple[int, int], Number]:
    total: dict[tuple[int, int], Number] = {}
    for weight, own in zip(row, state, strict=True):
        for when, e in own.items() if not _is_zero(weight) else ():
            term = times(weight, e)
            total[when] = plus(total[when], term) if when in total else term
    return total


def differ(one: StateSpace, other: StateSpace, mine: Table | None, theirs: Table | None) -> bool:
    """Whether two methods differ at the shared point, in whatever order their calls are matched; True is exact.

    Args:
        one: the first method.
        other: the second, with as many calls of each oracle.
        mine: the weights of the first.
        theirs: the weights of the second.
    """
    if mine is None or theirs is None:
        return False
    count = len(one.inputs)
    orders = itertools.permutations(range(count)) if len(other.inputs) == count else iter(())
    matched = (o for o in orders if all(one.inputs[i] == other.inputs[j] for i, j in enumerate(o)))
    tried = list(itertools.islice(matched, _ORDERS + 1))
    return len(tried) <= _ORDERS and all(_unequal(mine, theirs, order) for order in tried)


def needed(system: StateSpace, found: Table | None) -> set[sp.Symbol]:
    """Parameters that are in every form of a method: its weights at the shared point are others where they are.

    Args:
        system: the method.
        found: its weights at the shared point.
    """
    return {
        s for s in system.symbols if differ(system, system, found, table(system, {s: value(s) / 4}))
    }


def repeats(target: StateSpace, found: Table | None, calls: int) -> bool:
    """Whether each step may be several of a method with so many calls, which does not change; False is exact.

    With its calls in a row, such a method's weights depend on how many steps lie between an answer and a point, and on
    the two calls within their steps; whatever its parameters, at one point as at any.

    Args:
        target: the method of which a step is several.
        found: its weights at the shared point.
        calls: in a step of the other.
    """
    if found is None:
        return True
    count = len(target.inputs)

    def fails(order: tuple[int, ...]) -> bool:
        weights = {
            (k * count + order[i], j * count + order[c]): e for (k, i, j, c), e in found.items()
        }
        last, nothing = STEPS * count - calls, Fraction(0)
        pairs = {(a, b) for a, b in weights if a < last} | {
            (a - calls, b - calls) for a, b in weights if b >= calls
        }
        return any(
            apart(weights.get((a, b), nothing), weights.get((a + calls, b + calls), nothing))
            for a, b in pairs
        )

    tried = list(itertools.islice(itertools.permutations(range(count)), _ORDERS + 1))
    return len(tried) > _ORDERS or not all(map(fails, tried))


def memory(system: StateSpace, values: Mapping[sp.Symbol, sp.Expr] | None = None) -> int:
    """A number of states below which no method is this one, whatever its parameters; 0 if none is found.

    With values of parameters it is so of the method at these.

    After m steps, the points to come depend on the answers so far through the state alone. The matrix of the weights
    of the answers of m steps in the points of the next m is a product of two matrices, of as many columns and rows as
    there are states, so its rank is at most their number, whether coefficients change or not. The rank at one point of
    the parameters is a lower bound of that at almost all points: minors are polynomials in the coefficients.
    """
    half = min(system.A.rows, _MOST)
    found = table(system, values, steps=2 * half)
    if found is None:
        return 0
    places = list(itertools.product(range(half), range(len(system.inputs))))
    nothing = Fraction(0)
    with precise(_DIGITS):
        return _rank([[found.get((half + k, i, *at), nothing) for at in places] for k, i in places])


def _rank(rows: list[list[Number]]) -> int:
    """A lower bound of the rank: how often elimination finds an entry that is certainly not zero.

    Of fractions it is the rank. The rank is the number of pivots so far and that of what is left, whatever the order.
    """
    for i, row in enumerate(rows):
        for j, pivot in enumerate(row):
            if not nonzero(pivot):
                continue
            left = []
            for other in [*rows[:i], *rows[i + 1 :]]:
                share = times(Fraction(-1), over(other[j], pivot))
                moved = [plus(e, times(share, p)) for e, p in zip(other, row, strict=True)]
                left.append([*moved[:j], *moved[j + 1 :]])
            return 1 + _rank(left)
    return 0


def _unequal(mine: Table, theirs: Table, order: tuple[int, ...]) -> bool:
    moved = {(k, i, j, c): (k, order[i], j, order[c]) for k, i, j, c in mine}
    nothing = Fraction(0)
    if any(apart(e, theirs.get(moved[at], nothing)) for at, e in mine.items()):
        return True
    return any(nonzero(theirs[at]) for at in theirs.keys() - set(moved.values()))


def nonzero(e: Number) -> bool:
    """Whether a number is certainly not zero."""
    return apart(e, Fraction(0))


def nonzero_somewhere(e: sp.Expr) -> bool:
    """Whether an expression in parameters is certainly not zero at their values here."""
    try:
        return nonzero(number(e, {s: number(value(s), {}) for s in e.free_symbols}))
    except (NoNumber, ArithmeticError, TypeError):
        return False


def _is_zero(e: Number) -> bool:
    return isinstance(e, Fraction) and e == 0
