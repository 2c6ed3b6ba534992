"""Cycles of a method on a function of one variable with a piecewise linear gradient, in rational numbers.

As long as its gradient points stay on given pieces, the method is an affine map with rational coefficients. Each
itinerary, the pieces by turns, has one periodic point, from a linear system; it is a cycle if its gradient points
do lie on these pieces.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import numpy as np
import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.scalars import as_scalar
from ...dynamics.problems.piecewise_quadratic import PiecewiseLinear
from ..certificates.checking.checker import ONE, Number, within
from ..certificates.checking.elimination import solved
from ..certificates.lower_bounds.cycle import check_periods
from ..certificates.methods.modes import characteristic
from ..certificates.methods.plant import Method, read
from .methods import named

# Arrays of fractions: NumPy's products of objects are exact.
Row = np.ndarray
Rows = np.ndarray
_MOST = 20_000  # itineraries


@dataclass(frozen=True, eq=False)
class Branches:
    """A method with one explicit gradient per step on a piecewise linear gradient: x+ = maps[j] x + shifts[j].

    Attributes:
        gradient: the function.
        maps, shifts: of the state, on each piece.
        point: the row that reads the gradient point off the state.
        output: the row that reads the output.
        rest: the state at rest at a minimizer 1; x0 times it is where a run from x0 starts.
    """

    gradient: PiecewiseLinear
    maps: list[Rows]
    shifts: list[Row]
    point: Row
    output: Row
    rest: Row


@dataclass(frozen=True, eq=False)
class PiecewiseCycle(Rendered):
    """A periodic orbit, exactly.

    Attributes:
        period: its least period; 1 for a point at rest.
        itinerary: the pieces on which the gradients are taken, by turns.
        points: the gradient points, one period, rational.
        outputs: the output by turns (for heavy ball and gradient descent the same).
        states: the state of the method by turns.
        characteristic: the characteristic polynomial, in lambda, of the map of one period.
        inside: whether no gradient point is a knot, so that the map is linear near the cycle.
        stable: whether the cycle attracts what starts near it; None if not `inside`.
    """

    period: int
    itinerary: tuple[int, ...]
    points: tuple[sp.Rational, ...]
    outputs: tuple[sp.Rational, ...]
    states: tuple[tuple[Fraction, ...], ...]
    characteristic: sp.Poly
    inside: bool
    stable: bool | None

    @property
    def multipliers(self) -> tuple[sp.Expr, ...]:
        """The roots of `characteristic`, with multiplicity: exact, those of largest modulus first."""
        roots = [r for f, k in self.characteristic.factor_list()[1] for r in _roots(f) for _ in range(k)]  # fmt: skip
        return tuple(sorted(roots, key=lambda r: -abs(complex(r))))

    @property
    def multiplier(self) -> sp.Expr:
        """The one of largest modulus: the factor by which the slowest deviation grows in one period."""
        return self.multipliers[0]

    @property
    def saddle(self) -> bool:
        """Whether deviations grow in some directions and shrink in others."""
        sizes = [abs(complex(r)) for r in self.multipliers]
        return min(sizes) < 1 < max(sizes)


def _roots(f: sp.Poly) -> list[sp.Expr]:
    if f.degree() <= 2:
        return [r for r, k in sp.roots(f).items() for _ in range(k)]
    return list(f.all_roots())


def branches(algorithm: Method | str, gradient: PiecewiseLinear) -> Branches:
    """The method on each piece; mu and L in its tuning are the least and the largest slope.

    Raises OdescentError for a method that is implicit, has several gradients a step or irrational coefficients.
    """
    plant = read(named(algorithm), gradient.mu, gradient.L)
    if len(plant.D) != 1 or plant.D[0][0]:
        raise OdescentError("a method with one explicit gradient per step is needed here.")
    parts = (plant.A, plant.B, plant.C, [plant.output], [plant.fixed])
    if not plant.exact or any(x.b for m in parts for row in m for x in row):
        raise OdescentError(
            f"exact itineraries need a method with rational coefficients; at mu = {plant.mu}, L = {plant.L} this one "
            "has irrational ones: choose L / mu a square, or bind its parameters to fractions."
        )
    A, B, C, output, rest = (
        np.array([[Fraction(x.a) for x in row] for row in part], dtype=object) for part in parts
    )
    maps = [A + piece.slope * B @ C for piece in gradient.pieces]
    shifts = [piece.intercept * B[:, 0] for piece in gradient.pieces]
    return Branches(gradient, maps, shifts, C[0], output[0], rest[0])


def piecewise_cycles(
    algorithm: Method | str, gradient: PiecewiseLinear, periods: int = 3
) -> tuple[PiecewiseCycle, ...]:
    """All points at rest and isolated periodic orbits up to a period, exactly, by period and itinerary.

    Args:
        algorithm: as for `cycles`, explicit, with rational coefficients.
        gradient: of the function.
        periods: the longest period, at least 2; there may be at most 20,000 itineraries.

    Raises:
        OdescentError: input outside its domain.
    """
    check_periods(periods)
    parts = branches(algorithm, gradient)
    n = len(parts.maps)
    if sum(n**k // k for k in range(1, periods + 1)) > _MOST:
        raise OdescentError(
            f"{n} pieces have too many itineraries of period {periods}: at most {_MOST} are tried; lower periods."
        )
    found: dict[frozenset[tuple[Fraction, ...]], PiecewiseCycle] = {}
    for k in range(1, periods + 1):
        for itinerary in _primitive(n, k):
            cycle = _cycle(parts, itinerary)
            if cycle is not None:
                found.setdefault(frozenset(cycle.states), cycle)
    return tuple(found.values())


def _primitive(n: int, k: int) -> Iterator[tuple[int, ...]]:
    """One of all rotations of each itinerary that is no repetition."""
    for word in product(range(n), repeat=k):
        if all(word < word[i:] + word[:i] for i in range(1, k)):
            yield word


def _cycle(parts: Branches, itinerary: tuple[int, ...]) -> PiecewiseCycle | None:
    size = len(parts.point)
    matrix, shift = identity(size), 0 * parts.point
    for j in itinerary:
        matrix, shift = parts.maps[j] @ matrix, step(parts, j, shift)
    start = solve(identity(size) - matrix, shift)
    if start is None:
        return None
    states, points, inside = [start], [], True
    for j in itinerary:
        at = parts.point @ states[-1]
        piece = parts.gradient.pieces[j]
        if not piece.holds(at):
            return None
        inside = inside and at not in (piece.low, piece.high)
        points.append(at)
        states.append(step(parts, j, states[-1]))
    if len({tuple(s) for s in states[:-1]}) < len(itinerary):
        return None
    polynomial = characteristic([[Number(e) for e in row] for row in matrix])
    return PiecewiseCycle(
        len(itinerary),
        itinerary,
        tuple(map(as_scalar, points)),
        tuple(as_scalar(parts.output @ s) for s in states[:-1]),
        tuple(tuple(s) for s in states[:-1]),
        sp.Poly([as_scalar(c.a) for c in polynomial], sp.Symbol("lambda")),
        inside,
        within(polynomial, ONE, strict=True) if inside else None,
    )


def step(parts: Branches, j: int, state: Row) -> Row:
    """One step of the method on piece j, exactly.

    Args:
        parts: the method on each piece.
        j: index of the piece that contains the gradient point.
        state: a row of fractions.
    """
    after: Row = parts.maps[j] @ state + parts.shifts[j]
    return after


def follow(parts: Branches, x0: Fraction, steps: int) -> list[Fraction]:
    """The gradient points y_0, ..., y_steps of a run, exactly.

    Args:
        parts: the method on each piece.
        x0: the starting point; the run starts at rest.
        steps: number of iterations.
    """
    state, points = x0 * parts.rest, []
    for _ in range(steps + 1):
        points.append(parts.point @ state)
        state = step(parts, parts.gradient.at(points[-1]), state)
    return points


def identity(n: int) -> Rows:
    """The identity in fractions."""
    return np.array([[Fraction(i == j) for j in range(n)] for i in range(n)], dtype=object)


def solve(matrix: Rows, right: Row) -> Row | None:
    """The solution of a square linear system; None if there is not exactly one."""
    try:
        found = solved(matrix.tolist(), right[:, None].tolist(), lambda e: 1 / e)
    except ZeroDivisionError:
        return None
    return np.array(found, dtype=object)[:, 0]
