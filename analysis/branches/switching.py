"""The branches that start at a special point: through a branch point, and of twice the period."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..._support.errors import OdescentError
from .branch import BranchSource, SolutionBranch, joined
from .critical import BRANCH, FLIP, FOLD, HOPF
from .curve import CurvePoint, Vector, Zero, point_beside
from .cycles import born, crossed_orbits, twice
from .events import MULTIPLE
from .special import Located, SpecialPoint

_OFF = (1.0, 0.2, 4.0, 0.04)  # first steps that are tried


def switched(source: BranchSource, point: SpecialPoint) -> SolutionBranch:
    """The branch that starts at a special point.

    Raises:
        OdescentError: none starts there, or none is found.
    """
    if isinstance(point.found, tuple):  # on a branch of cycles of a flow
        return _of_orbits(source, point)
    at: Located = point.found
    if at.kind == HOPF and at.scalar > 0:
        return born(source, at)
    if at.kind == FLIP:
        return doubled(source, at, int(point.period or 1))
    if at.kind == BRANCH and len(at.tangents):
        return crossed(source, at, int(point.period or 1))
    raise OdescentError(_nothing(point, at))


def _of_orbits(source: BranchSource, point: SpecialPoint) -> SolutionBranch:
    """The branch of cycles of a flow that starts at a special point of such a branch."""
    at, mesh, here = point.found
    if at.kind == FLIP:
        return twice(source, at, mesh, here)
    if at.kind != BRANCH or not len(at.tangents):
        raise OdescentError(_nothing(point, at))
    toward = other(at, np.ones(len(at.y)))
    halves = [crossed_orbits(source, at, mesh, sign * toward) for sign in (-1.0, 1.0)]
    return merged(halves[0], halves[1])


def _nothing(point: SpecialPoint, at: Located) -> str:
    said = {
        FOLD: "the branch itself turns there",
        BRANCH: "no other branch goes through it",
        HOPF: "its frequency is not known",
        MULTIPLE: "several eigenvalues are critical there, and so there may be many; start on one of them, with x0=",
    }
    why = said.get(at.kind, "what is born there is no cycle: an invariant closed curve")
    if point.remark:
        why = (
            f"its tangent is not known, as {point.remark.replace('does not make', 'did not make')}"
        )
    none = (
        "no branch is known that starts"
        if at.kind == MULTIPLE or point.remark
        else "no branch starts"
    )
    where = point.kind.removesuffix(" point")
    return f"{none} at the {where} point at {point.value:.6g}: {why}."


def other(at: Located, weights: Vector) -> Vector:
    """Of the tangents at a branch point, the unit one that is not that of the branch on which it was found."""
    own = weights * at.tangent / np.linalg.norm(weights * at.tangent)
    units = [weights * t / np.linalg.norm(weights * t) for t in at.tangents]
    found: Vector = units[int(np.argmin([abs(float(own @ t)) for t in units]))] / weights
    return found


def crossed(source: BranchSource, at: Located, period: int) -> SolutionBranch:
    """The other branch through a branch point, to both sides."""
    problem = source.problem(period)
    zero = source.zero(problem, len(at.y) - 1)
    toward = other(at, zero.weights(at.y))
    halves = []
    for sign in (-1.0, 1.0):
        start = beside(source, zero, at.y, sign * toward)
        halves.append(joined(source, problem, zero, start, False))
    return merged(halves[0], halves[1])


def beside(source: BranchSource, zero: Zero, y: Vector, toward: Vector) -> CurvePoint:
    """The point of a branch next to where it starts, in a direction that is of unit length in the norm."""
    for factor in _OFF:
        start = point_beside(zero, y, factor * source.steps.first, toward)
        if start is not None:
            return start
    where = zero.where(y)
    raise OdescentError(f"the branch that starts at {where} is not found by Newton's method.")


def doubled(source: BranchSource, at: Located, period: int) -> SolutionBranch:
    """The cycles of twice the period."""
    problem = source.problem(2 * period)
    zero = source.zero(problem, len(at.y) - 1)
    toward = np.append(at.vector, 0.0)
    toward = toward / np.linalg.norm(zero.weights(at.y) * toward)
    start = beside(source, zero, at.y, toward)
    return joined(source, problem, zero, start, False)


def merged(back: SolutionBranch, ahead: SolutionBranch) -> SolutionBranch:
    """Two halves that leave a point to both sides as one branch."""
    both: Callable[..., Any] = lambda a, b: np.concatenate([a[::-1], b])
    return SolutionBranch(
        ahead.kind, both(back.values, ahead.values), both(back.states, ahead.states), both(back.x, ahead.x),
        both(back.eigenvalues, ahead.eigenvalues), both(back.stable, ahead.stable), both(back.periods, ahead.periods),
        (*reversed(back.special), *ahead.special), (back.ends[1], ahead.ends[1]),
        (*reversed(back.orbits), *ahead.orbits),
    )  # fmt: skip


__all__ = ["beside", "crossed", "doubled", "merged", "other", "switched"]
