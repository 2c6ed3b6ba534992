"""Pseudo-arclength continuation of a curve F(y) = 0 with one more unknown than equations.

A step predicts along the tangent, corrects by Newton's method in the hyperplane across it, and adapts its length to the
turn of the tangent (E. L. Doedel, "Lecture notes on numerical analysis of nonlinear equations", 2007; W. Govaerts,
"Numerical Methods for Bifurcations of Dynamical Equilibria", SIAM 2000, doi:10.1137/1.9780898719543). Tangents and
corrections are solutions of the bordered matrix [F_y; normal], which is regular at folds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

Vector = Float[np.ndarray, " _"]  # of any length
_NEWTON = 10
_SPARSE = 100  # unknowns, beyond which matrices are those of orbits, with few entries
_EXACT = 1e-14  # of a chord, to which a root is found
_CONVERGED = 1e-9  # of a correction, after which one more is below rounding


@dataclass(frozen=True)
class StepLengths:
    """How a curve is followed; lengths are in the weighted norm, in which the parameter's interval has length 1.

    Attributes:
        first, least, largest: lengths of steps.
        most: number of points.
        turn: cosine of the largest angle between tangents of neighbours.
        escape: of the largest unknown: beyond it the curve has left.
    """

    first: float = 5e-3
    least: float = 1e-8
    largest: float = 0.02
    most: int = 4000
    turn: float = 0.97
    escape: float = 1e6


@dataclass(frozen=True)
class CurvePoint:
    """A point of a curve: y, its unit tangent, and F_y there."""

    y: Vector
    tangent: Vector
    slope: Float[np.ndarray, "k n"]


@dataclass(frozen=True)
class Zero:
    """F(y) = 0.

    Attributes:
        evaluate: y (n + 1,) to F (n,) and F_y (n, n + 1).
        weights: y to the weights of its entries in the norm, (n + 1,).
        box: number of an entry of y to the interval in which it may lie.
        names: of these entries, for people.
        units: of these entries, for people; 1 where there is none.
        size: the unit of the others, for people.
        refresh: moves what the equations refer to along with an accepted point; returns the point to go on from.
    """

    evaluate: Callable[[Vector], tuple[np.ndarray, np.ndarray]]
    weights: Callable[[Vector], Vector]
    box: dict[int, tuple[float, float]]
    names: dict[int, str] = field(default_factory=dict)
    units: dict[int, float] = field(default_factory=dict)
    size: float = 1.0
    refresh: Callable[[CurvePoint], CurvePoint] = lambda here: here

    def where(self, y: Vector) -> str:
        """The entries that have intervals, by name and in the user's units."""
        values = {i: y[i] * self.units.get(i, 1.0) for i in self.box}
        return ", ".join(f"{self.names.get(i, 'p')} = {v:.6g}" for i, v in values.items())


def correct(zero: Zero, y: Vector, normal: Vector) -> tuple[Vector, np.ndarray] | None:
    """Newton's method in the hyperplane through y; None where it does not converge.

    Args:
        zero: the equations.
        y: the first guess.
        normal: of the hyperplane, shape (n + 1,).

    Returns:
        The point and F_y there.
    """
    start, weights, before = y, zero.weights(y), np.inf
    for i in range(_NEWTON):
        value, slope = zero.evaluate(y)
        if not (np.isfinite(value).all() and np.isfinite(slope).all()):
            return None
        if before <= _CONVERGED:
            return y, slope
        move = solved(slope, normal, -np.append(value, normal @ (y - start)))
        if move is None:
            return None
        y, size = y + move, float(np.linalg.norm(weights * move))
        if i > 2 and size > before:
            return None
        before = size
    return None


def solved(slope: np.ndarray, normal: Vector, right: Vector) -> Vector | None:
    """The solution of the bordered system [slope; normal] x = right, or None where it is singular."""
    matrix = np.vstack([slope, normal])
    try:
        if len(matrix) > _SPARSE:
            found: np.ndarray = _factors(matrix).solve(right)
        else:
            found = np.linalg.solve(matrix, right)
    except (np.linalg.LinAlgError, RuntimeError):  # the latter of SuperLU
        return None
    return found if np.isfinite(found).all() else None


def determinant_sign(slope: np.ndarray, normal: Vector) -> bool:
    """Whether the determinant of the bordered matrix is positive."""
    matrix = np.vstack([slope, normal])
    if len(matrix) <= _SPARSE:
        return bool(np.linalg.slogdet(matrix)[0] > 0)
    try:
        made = _factors(matrix)
    except RuntimeError:
        return False
    negative = int((made.U.diagonal() < 0).sum())  # L has ones on its diagonal
    return (negative + _odd(made.perm_r) + _odd(made.perm_c)) % 2 == 0


def _factors(matrix: np.ndarray) -> Any:
    """SuperLU's factors of a large matrix with few entries."""
    from scipy.sparse import csc_array
    from scipy.sparse.linalg import splu

    return splu(csc_array(matrix))


def _odd(order: np.ndarray) -> int:
    """The parity of a permutation."""
    seen, odd = np.zeros(len(order), bool), 0
    for i in range(len(order)):
        while not seen[i]:
            seen[i] = True
            i = int(order[i])
            odd += not seen[i]
    return odd % 2


def tangent(slope: np.ndarray, normal: Vector, weights: Vector) -> Vector | None:
    """The unit tangent on the side of the normal."""
    found = solved(slope, normal, np.append(np.zeros(len(slope)), 1.0))
    if found is None:
        return None
    made: Vector = found / np.linalg.norm(weights * found)
    return made


def first_tangent(slope: np.ndarray, weights: Vector, toward: Vector) -> Vector:
    """The unit tangent at a point where none is known, on the side of a direction."""
    found: Vector = np.linalg.svd(slope / weights)[2][-1] / weights
    return found if toward @ (weights**2 * found) >= 0 else -found


def point_at(zero: Zero, y: Vector, toward: Vector) -> CurvePoint | None:
    """The point of the curve next to y in the hyperplane across a direction, with its tangent on that side."""
    weights = zero.weights(y)
    normal = weights**2 * toward
    done = correct(zero, y, normal)
    if done is None:
        return None
    made = tangent(done[1], normal, weights)
    return None if made is None else CurvePoint(done[0], made, done[1])


def point_beside(zero: Zero, y: Vector, length: float, toward: Vector) -> CurvePoint | None:
    """The point of a curve that leaves y in a direction, near where that leads; None where Newton's method goes far.

    Args:
        zero: the equations.
        y: where it leaves.
        length: how far to go, in the weighted norm.
        toward: the direction, of unit length.
    """
    new = point_at(zero, y + length * toward, toward)
    near = new is not None and np.linalg.norm(zero.weights(y) * (new.y - y)) <= 2 * length
    return new if near else None


def follow(
    zero: Zero,
    start: CurvePoint,
    steps: StepLengths,
    watch: Callable[[CurvePoint, CurvePoint], str | None],
) -> tuple[list[CurvePoint], str]:
    """The points of the curve from a start on, and the sentence why it ends.

    Args:
        zero: the equations.
        start: the first point; the curve is followed along its tangent.
        steps: how.
        watch: called with the point before and each new point; it may return a reason to end there.
    """
    points, length = [start], steps.first
    away = False
    while len(points) < steps.most:
        here = points[-1]
        weights = zero.weights(here.y)
        if (edge := _edge(zero, here)) is not None and len(points) == 1:
            return points, edge
        new = point_at(zero, here.y + length * here.tangent, here.tangent)
        if new is not None:
            cosine = float((weights * here.tangent) @ (weights * new.tangent))
            cosine /= float(np.linalg.norm(weights * new.tangent))
            moved = float(np.linalg.norm(weights * (new.y - here.y)))
        if new is None or cosine < steps.turn or moved > 2 * length:
            length /= 2
            if length < steps.least:
                return points, (
                    f"no further point is found at {zero.where(here.y)}: the branch has a gap, a kink or an end there"
                )
            continue
        ended = _ended(zero, here, new)
        if ended is not None:
            last, said = ended
            if last is not None:
                watch(here, last)
                points.append(last)
            return points, said
        reason = watch(here, new)
        points.append(zero.refresh(new))
        if reason is not None:
            return points, reason
        if float(np.abs(np.delete(new.y, [*zero.box])).max(initial=0.0)) > steps.escape:
            far = steps.escape * zero.size
            return points, f"the state leaves beyond {far:g} at {zero.where(new.y)}"
        gap = float(np.linalg.norm(weights * (new.y - start.y)))
        away = away or gap > 4 * length
        if away and gap <= length and _passes(here, new, start, weights):
            points.append(start)
            return points, "the branch closes"
        if cosine > 1 - (1 - steps.turn) / 8:
            length = min(1.4 * length, steps.largest)
        elif cosine < 1 - (1 - steps.turn) / 2:
            length /= 1.4
    return points, f"{steps.most} points are reached at {zero.where(points[-1].y)}"


def _passes(here: CurvePoint, new: CurvePoint, start: CurvePoint, weights: Vector) -> bool:
    """Whether the curve goes through its start between two points, in its direction."""
    w = weights**2
    before, after = (
        (w * start.tangent) @ (here.y - start.y),
        (w * start.tangent) @ (new.y - start.y),
    )
    across = np.linalg.norm(weights * (new.y - start.y)) ** 2 - after**2
    near = across <= 1e-2 * float(np.linalg.norm(weights * (new.y - here.y))) ** 2
    return bool(before <= 0 <= after and (w * start.tangent) @ new.tangent > 0 and near)


def _edge(zero: Zero, here: CurvePoint) -> str | None:
    """The end of an interval at which a point stands, if its tangent leads out."""
    for i, (low, high) in zero.box.items():
        if (here.y[i] >= high and here.tangent[i] > 0) or (
            here.y[i] <= low and here.tangent[i] < 0
        ):
            return f"the interval of {zero.names.get(i, 'p')} ends"
    return None


def _ended(zero: Zero, here: CurvePoint, new: CurvePoint) -> tuple[CurvePoint | None, str] | None:
    """The last point where a step leaves the box: on its border, and what is said."""
    for i, (low, high) in zero.box.items():
        if low <= new.y[i] <= high:
            continue
        end = high if new.y[i] > high else low
        part = (end - here.y[i]) / (new.y[i] - here.y[i])
        guess = here.y + part * (new.y - here.y)
        guess[i] = end
        done = correct(zero, guess, np.eye(len(guess))[i])
        said = f"the interval of {zero.names.get(i, 'p')} ends"
        if done is None:
            return None, said
        weights = zero.weights(done[0])
        made = tangent(done[1], weights**2 * here.tangent, weights)
        return CurvePoint(done[0], here.tangent if made is None else made, done[1]), said
    return None


def between(zero: Zero, a: CurvePoint, b: CurvePoint, part: float) -> CurvePoint | None:
    """The point of the curve between two neighbours, at a part of the cubic through them with their tangents.

    The chord is too far from the curve where another branch is near: the point would be one of that.
    """
    weights = zero.weights(a.y)
    chord: Any = b.y - a.y
    length = float(np.linalg.norm(weights * chord))
    first, last = (length * p.tangent / np.linalg.norm(weights * p.tangent) for p in (a, b))
    turn, bend = 3 * chord - 2 * first - last, first + last - 2 * chord
    guess = a.y + part * (first + part * (turn + part * bend))
    along = first + part * (2 * turn + 3 * part * bend)
    return point_at(zero, guess, along / np.linalg.norm(weights * along))


def root(
    zero: Zero,
    a: CurvePoint,
    b: CurvePoint,
    test: Callable[[CurvePoint], float],
    low: float = 0.0,
    high: float = 1.0,
) -> float | None:
    """The part of the chord between two neighbours at which a test function vanishes, or None.

    Args:
        zero: the equations.
        a, b: the neighbours.
        test: continuous along the curve.
        low, high: parts of the chord between which it changes its sign.
    """
    from scipy.optimize import brentq

    def along(part: float) -> float:
        here = a if part == 0.0 else b if part == 1.0 else between(zero, a, b, part)
        return float("nan") if here is None else test(here)

    first, last = along(low), along(high)
    if not first * last < 0:
        return None
    try:
        found: float = brentq(along, low, high, xtol=_EXACT, rtol=_EXACT)
    except (ValueError, RuntimeError):
        return None
    # a pole also changes the sign
    return found if abs(along(found)) <= 1e-3 * max(abs(first), abs(last)) else None


__all__ = [
    "CurvePoint",
    "StepLengths",
    "Zero",
    "between",
    "correct",
    "determinant_sign",
    "first_tangent",
    "follow",
    "point_at",
    "point_beside",
    "root",
    "solved",
    "tangent",
]
