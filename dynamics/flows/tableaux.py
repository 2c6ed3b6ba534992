"""Explicit Runge-Kutta tableaux as data, which the schemes of algorithms and the numerical steps of flows both read.

Exact numbers, row by row (Hairer, Norsett, Wanner, Solving ODEs I, II.1). A scheme makes of a tableau a program in
symbols, which is emitted; `runge_kutta` takes the same step on arrays, of flows that have no program: their field is a
function, their step is parted where it is steep, and they are far below algorithms.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

State = tuple[Any, ...]
Rates = Callable[[Any, State], State]
Row = tuple[Fraction, ...]

_HALF, _THIRD, _SIXTH = Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)
_ONE, _NONE = Fraction(1), Fraction(0)
# The rows of the second stage and of those after it, and the weights.
TABLEAUX: dict[str, tuple[tuple[Row, ...], Row]] = {
    "euler": ((), (_ONE,)),
    "midpoint": (((_HALF,),), (_NONE, _ONE)),
    "heun": (((_ONE,),), (_HALF, _HALF)),
    "rk4": (((_HALF,), (_NONE, _HALF), (_NONE, _NONE, _ONE)), (_SIXTH, _THIRD, _THIRD, _SIXTH)),
}


def runge_kutta(
    name: str, rates: Rates, t: Any, state: State, dt: Any, first: State | None = None
) -> State:
    """The state after one step of an explicit tableau, for arrays of NumPy or JAX.

    Args:
        name: of the tableau.
        rates: (t, state) to the velocities.
        t, state, dt: time, blocks and step.
        first: the velocities at the beginning, where they are known.
    """
    rows, weights = TABLEAUX[name]
    slopes = [rates(t, state) if first is None else first]
    for row in rows:
        slopes.append(rates(t + float(sum(row)) * dt, _shifted(state, dt, row, slopes)))
    return _shifted(state, dt, weights, slopes)


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


def _shifted(state: State, dt: Any, row: Row, slopes: Sequence[State]) -> State:
    used = [(float(w), k) for w, k in zip(row, slopes, strict=True) if w]
    return tuple(
        s + functools.reduce(operator.add, [(w * dt) * k[i] for w, k in used])
        for i, s in enumerate(state)
    )


__all__ = ["TABLEAUX", "Rates", "State", "hermite", "runge_kutta"]
