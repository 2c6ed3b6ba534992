"""Explicit Runge-Kutta tableaux, and the one loop over their stages: of schemes in symbols, of flows in numbers.

Exact numbers, row by row (Hairer, Norsett, Wanner, Solving ODEs I, II.1). A scheme compiles a tableau to a program,
which is emitted. `runge_kutta` takes the same step on arrays, of flows that have no program: their field is a
function, their step is divided where the field is steep, and they are far below algorithms.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import sympy as sp

from ..._support.rendering.rendered import Rendered

State = tuple[Any, ...]
Rates = Callable[[Any, State], State]
Slope = TypeVar("Slope")


@dataclass(frozen=True)
class Tableau(Rendered):
    """An explicit Runge-Kutta tableau: stage weights ``a`` (strictly lower triangular) and weights ``b``."""

    a: tuple[tuple[sp.Rational, ...], ...]
    b: tuple[sp.Rational, ...]

    @functools.cached_property
    def c(self) -> tuple[sp.Expr, ...]:
        """The stages' times, as fractions of the substep."""
        return tuple(sp.Add(*row) for row in self.a)

    @functools.cached_property
    def numbers(self) -> tuple[tuple[tuple[float, ...], ...], tuple[float, ...], tuple[float, ...]]:
        """a, b and c in double precision."""
        rows = [tuple(map(float, row)) for row in (*self.a, self.b, self.c)]
        return tuple(rows[:-2]), rows[-2], rows[-1]


def _tableau(a: str, b: str) -> Tableau:
    rows = [tuple(map(sp.Rational, row.split())) for row in a.split(",")]
    return Tableau(tuple(rows), tuple(map(sp.Rational, b.split())))


TABLEAUX = {
    "euler": _tableau("", "1"),
    "midpoint": _tableau(", 1/2", "0 1"),
    "heun": _tableau(", 1", "1/2 1/2"),
    "rk4": _tableau(", 1/2, 0 1/2, 0 0 1", "1/6 1/3 1/3 1/6"),
}

# Dormand and Prince, J. Comput. Appl. Math. 6 (1980): order 5, the last stage is the next step's first; and the
# weights of the difference to the result of order 4.
DORMAND_PRINCE = _tableau(
    ", 1/5, 3/40 9/40, 44/45 -56/15 32/9, 19372/6561 -25360/2187 64448/6561 -212/729, "
    "9017/3168 -355/33 46732/5247 49/176 -5103/18656, 35/384 0 500/1113 125/192 -2187/6784 11/84",
    "35/384 0 500/1113 125/192 -2187/6784 11/84 0",
)
DORMAND_PRINCE_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


def stages(
    tableau: Tableau,
    slope: Callable[[int, Any], Slope],
    moved: Callable[[int, list[Slope]], Any],
    first: Slope | None = None,
) -> list[Slope]:
    """The slopes of all stages, each at the state that those before it lead to.

    Args:
        tableau: the weights; their use is up to ``moved``.
        slope: the number of a stage and its state to its slope.
        moved: the number of a stage and the slopes before it to its state.
        first: the slope at the beginning, where it is known.

    Returns:
        the slopes, in the order of the stages.
    """
    found = [] if first is None else [first]
    for i in range(len(found), len(tableau.a)):
        found.append(slope(i, moved(i, found)))
    return found


def runge_kutta(
    name: str, rates: Rates, t: Any, state: State, dt: Any, first: State | None = None
) -> State:
    """The state after one step of an explicit tableau, for arrays of NumPy or JAX.

    Args:
        name: of the tableau.
        rates: (t, state) to the velocities.
        t, state, dt: time, blocks and step.
        first: the velocities at the beginning, where they are known.

    Returns:
        the state at t + dt.
    """
    tableau = TABLEAUX[name]
    a, b, c = tableau.numbers

    def moved(row: tuple[float, ...], slopes: list[State]) -> State:
        used = [(w, k) for w, k in zip(row, slopes, strict=True) if w]
        return tuple(
            s + functools.reduce(operator.add, [(w * dt) * k[i] for w, k in used])
            for i, s in enumerate(state)
        )

    slopes = stages(
        tableau,
        lambda i, at_stage: rates(t + c[i] * dt if i else t, at_stage),
        lambda i, slopes: moved(a[i], slopes) if i else state,
        first,
    )
    return moved(b, slopes)


def hermite(a: Any, b: Any, da: Any, db: Any, w: Any) -> Any:
    """Evaluate the cubic Hermite interpolant of a step.

    Args:
        a: the value at the start of the step.
        b: the value at its end.
        da: the derivative at the start, times the step.
        db: the derivative at the end, times the step.
        w: the position within the step, from 0 to 1.
    """
    u = 1 - w
    return u * u * (1 + 2 * w) * a + w * w * (3 - 2 * w) * b + u * w * (u * da - w * db)


__all__ = [
    "DORMAND_PRINCE",
    "DORMAND_PRINCE_ERROR",
    "TABLEAUX",
    "Rates",
    "State",
    "Tableau",
    "hermite",
    "runge_kutta",
    "stages",
]
