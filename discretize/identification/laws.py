"""Laws of the calls of methods with noise or samples, and the exclusion of all parameters by them.

On a linear function every answer is one vector, wherever a method calls, and where a step is a polynomial in its draws
the points of its calls have means and variances in closed form. Two methods whose calls are the same in law have the
same ones there: equations in the parameters of a known method, which elimination shows to have no solution.
"""

from __future__ import annotations

import contextlib
import itertools
import operator
from collections.abc import Sequence

import sympy as sp

from ..._support.errors import NotCarried, OdescentError
from ..._support.work import kept, work
from ...dynamics.algebra.exact import canonical
from ...dynamics.samples.laws import Law
from ...dynamics.stochastic.gaussians import polynomial_terms
from ..equality.coordinates import Coordinates
from ..equality.numbers import Number
from ..linear.state_space import explicit_proximal
from ..programs.program import Program
from .answers import SLOPES, PositiveEquations, asked_at, at_numbers, differ, named
from .elimination import FEW, PAIRS
from .shared_point import value

_CALLS = (2, 3, 4)  # whose laws are compared, few first: later ones have many more terms


def excluded_by_laws(target: Program, known: Program) -> bool:
    """Whether no parameters of the known method give the calls of the target the same laws; False is inconclusive.

    A call that is random is none of a method without noise. Else both make one call in a step, and the answer moves the
    target's next point: it is then no other method with a delay, nor several steps of one.

    Args:
        target: the given method, at two samples of its parameters.
        known: the registered method; at least one of the two draws noise.
    """
    target, known = explicit_proximal(target), explicit_proximal(known)
    try:
        if not known.draws:
            return all(_random(t) for t in at_numbers(target))
        if not target.draws:
            spread = [e for law in laws(known, SLOPES[0], max(_CALLS)) for e in law[1::2]]
            return PositiveEquations(spread, {}).no_zero(FEW)
        if any(sum(not c.directions for c in p.calls) != 1 for p in (target, known)):
            return False
        return all(_excluded(t, known) for t in at_numbers(target))
    except (NotCarried, ArithmeticError):
        return False


def differ_in_law(one: Program, other: Program) -> bool:
    """Whether the second calls of two methods with noise differ in law, at shared values; True is exact."""
    if any(sum(not c.directions for c in p.calls) != 1 for p in (one, other)):
        return False
    try:
        mine, theirs = (laws(_at_shared_values(p), SLOPES[0], 2)[-1] for p in (one, other))
        return any(itertools.starmap(differ, zip(mine, theirs, strict=True)))
    except (NotCarried, ArithmeticError):
        return False


def _at_shared_values(program: Program) -> Program:
    return explicit_proximal(program).bind({s: value(s) for s in program.parameters})


def _random(target: Program) -> bool:
    """Whether a call is at a random point, where the method is at numbers."""
    return any(
        differ(e, sp.S.Zero) for law in laws(target, SLOPES[0], max(_CALLS)) for e in law[1::2]
    )


def _excluded(target: Program, known: Program) -> bool:
    """The same where the target is at numbers, and both draw noise."""
    numbers: dict[sp.Symbol, Number] = {}
    left: list[sp.Expr] = []
    groups: list[PositiveEquations] = []
    half = len(SLOPES)
    for calls in _CALLS:
        mine, theirs = ([laws(p, slope, calls) for slope in SLOPES] for p in (target, known))
        if not any(itertools.starmap(differ, zip(mine[0][1], mine[1][1], strict=True))):
            return False
        for of_call in list(zip(*mine, *theirs, strict=False))[len(groups) :]:
            for there, one in zip(of_call[:half], of_call[half:], strict=True):
                left += [a - b for a, b in zip(one, named(there, numbers), strict=True)]
            groups.append(PositiveEquations(list(left), numbers))
            if groups[-1].no_zero(FEW):
                return True
    return any(g.no_zero(PAIRS) for g in groups[:2])


@kept(256)
def laws(program: Program, slope: Coordinates, calls: int) -> tuple[Coordinates, ...]:
    """The means and variances of the coordinates of the first calls, those that are polynomials, from two to so many.

    Raises:
        NotCarried: the second call is at no polynomial of the draws.
    """
    draws: list[tuple[Coordinates, Law]] = []
    found: list[Coordinates] = []
    with contextlib.suppress(NotCarried):
        asked = asked_at(program, itertools.repeat(slope), None, draws)
        for point in itertools.islice(asked, calls):
            pairs = [_law(e, draws) for e in point]
            found.append(tuple(e for which in zip(*pairs, strict=True) for e in which))
    if len(found) < 2:
        raise NotCarried("the second call is at no polynomial of the draws.")
    return tuple(found)


def _law(e: sp.Expr, draws: list[tuple[Coordinates, Law]]) -> tuple[sp.Expr, sp.Expr]:
    """The mean and the variance of a polynomial in the draws; raises NotCarried for anything else."""
    own = [(symbols, law) for symbols, law in draws if set(symbols) & e.free_symbols]
    try:
        terms = polynomial_terms(e, [s for symbols, _ in own for s in symbols])
    except OdescentError:
        raise NotCarried(f"{e} is no polynomial in the draws.") from None

    def moment(powers: Sequence[int]) -> sp.Expr:
        left = iter(powers)
        return sp.Mul(*(law.moment(tuple(itertools.islice(left, len(s)))) for s, law in own))

    work(len(terms) ** 2)
    mean = sp.Add(*(c * moment(n) for n, c in terms.items()))
    square = sp.S.Zero  # by covariances of terms, most of which are zero
    for (n, c), (m, d) in itertools.product(terms.items(), repeat=2):
        both = tuple(map(operator.add, n, m))
        square += c * d * (moment(both) - moment(n) * moment(m))
    return canonical(mean), canonical(square)
