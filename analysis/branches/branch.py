"""Branches as data, and how one is followed from a start."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Complex, Float

from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from .critical import ZERO, StationaryProblem
from .curve import CurvePoint, StepLengths, Vector, Zero, first_tangent, follow, point_at
from .events import eigenvalues, unstable
from .field import ParametricField
from .special import Detector, SpecialPoint, point_in_users_units


@dataclass(frozen=True)
class SolutionBranch(Rendered):
    """A curve of equilibria or cycles.

    Attributes:
        kind: "equilibria", "fixed points", "2-cycles" and so on for maps; "cycles" for closed orbits of flows.
        values: of the parameter along the branch, shape (n,).
        states: flat, shape (n, d); of cycles of flows a point of each.
        x: output, shape (n, k, *x0.shape): k = 1 for equilibria and fixed points; all points of a cycle of a map;
            the least and the largest values along a cycle of a flow.
        eigenvalues: growth rates of equilibria, multipliers of anything else, shape (n, d).
        stable: shape (n,).
        periods: steps or time, shape (n,); 0 for equilibria.
        special: special points, in the order of the branch.
        ends: why the branch ends at its first and at its last point.
        orbits: of cycles of flows, the output at the nodes of the mesh, the first one again at the end, shape
            (k, *x0.shape) for each point of the branch.
    """

    kind: str
    values: Float[np.ndarray, " n"]
    states: Float[np.ndarray, "n d"]
    x: Float[np.ndarray, "n k ..."]
    eigenvalues: Complex[np.ndarray, "n d"]
    stable: Bool[np.ndarray, " n"]
    periods: Float[np.ndarray, " n"]
    special: tuple[SpecialPoint, ...]
    ends: tuple[str, str]
    orbits: tuple[Float[np.ndarray, "_ ..."], ...] = ()


@dataclass(frozen=True, eq=False)
class BranchSource:
    """What branches are made of: the field, the values of all parameters, which one is varied, and how."""

    field: ParametricField
    values: Float[np.ndarray, " m"]
    active: int
    interval: tuple[float, float]
    steps: StepLengths

    def problem(self, period: int) -> StationaryProblem:
        """Equilibria, or the points of a period."""
        return StationaryProblem.of(self.field, period, self.values)

    def zero(self, problem: StationaryProblem, n: int) -> Zero:
        """The equations of a branch of states with n entries."""
        return problem.system(ZERO, {self.active: self.interval}, np.zeros(n))


def whole_branch(
    source: BranchSource, y: Vector, toward: Vector | None, period: int
) -> SolutionBranch:
    """The branch through a point, in both directions, or in one where it is given.

    Args:
        source: of the branch.
        y: state and parameter, shape (n + 1,), on the branch or near it.
        toward: the direction in which alone to go, shape (n + 1,); None for both.
        period: of the cycle of a map.
    """
    problem = source.problem(period)
    zero = source.zero(problem, len(y) - 1)
    weights = zero.weights(y)
    if toward is None:
        slope = zero.evaluate(y)[1]
        first = first_tangent(slope, weights, np.eye(len(y))[-1])
    else:
        first = toward / np.linalg.norm(weights * toward)
    start = point_at(zero, y, first)
    if start is None:
        raise OdescentError(
            f"the branch of {source.field.name} is singular at its start, {zero.where(y)}; start beside it."
        )
    return joined(source, problem, zero, start, toward is None)


def joined(
    source: BranchSource, problem: StationaryProblem, zero: Zero, start: CurvePoint, both: bool
) -> SolutionBranch:
    """A branch from its start on, to both sides or to that of the start's tangent."""
    halves, found, ends = [], [], []
    for sign in (-1.0, 1.0) if both else (1.0,):
        detector = Detector(problem, source.active, zero)
        watch = _checking(source, detector)
        begin = CurvePoint(start.y, sign * start.tangent, start.slope)
        half, said = follow(zero, begin, source.steps, watch)
        halves.append(half)
        found.append(detector.found)
        ends.append(said)
        if said == "the branch closes":
            break
    if len(halves) == 2:
        path = [*reversed(halves[0][1:]), *halves[1]]
        special = [s for s, _ in [*reversed(found[0]), *found[1]]]
    else:
        path, special = halves[0], [s for s, _ in found[0]]
        ends = [ends[0], ends[0]] if both else ["it begins where another branch meets it", ends[0]]
    return as_branch(source, problem, path, special, (ends[0], ends[1]))


def _checking(source: BranchSource, detector: Detector) -> Any:
    """Watch for special points, and for values outside of a parameter's domain."""

    def watch(a: CurvePoint, b: CurvePoint) -> str | None:
        values = source.values.copy()
        values[source.active] = b.y[-1]
        try:
            source.field.check(values)
        except OdescentError as error:
            return str(error).removesuffix(".")
        detector.watch(a, b)
        return None

    return watch


def as_branch(
    source: BranchSource,
    problem: StationaryProblem,
    path: list[CurvePoint],
    special: list[SpecialPoint],
    ends: tuple[str, str],
) -> SolutionBranch:
    """Points of a curve as a branch."""
    flow, period = source.field.flow, problem.period
    y = np.stack([p.y for p in path])
    own = np.stack([np.sort_complex(eigenvalues(p.slope[:, :-1], flow)) for p in path])
    values = np.tile(source.values, (len(y), 1))
    values[:, source.active] = y[:, -1]
    x = source.field.points(y[:, :-1], values, period)
    kind = "equilibria" if flow else "fixed points" if period == 1 else f"{period}-cycles"
    return SolutionBranch(
        kind, y[:, -1], y[:, :-1], x, own, unstable(own, flow) == 0, np.full(len(y), 0.0 if flow else float(period)),
        tuple(special), ends,
    )  # fmt: skip


def branch_in_users_units(branch: SolutionBranch, field: ParametricField) -> SolutionBranch:
    """A branch of a field, whose numbers are in its units, for the user."""
    units = field.units
    rates = field.flow and branch.kind == "equilibria"
    return replace(
        branch, values=branch.values * units.value, states=units.states(branch.states),
        eigenvalues=branch.eigenvalues / units.time if rates else branch.eigenvalues,
        periods=branch.periods * units.time, special=tuple(point_in_users_units(s, field) for s in branch.special),
    )  # fmt: skip


__all__ = [
    "BranchSource",
    "SolutionBranch",
    "as_branch",
    "branch_in_users_units",
    "joined",
    "whole_branch",
]
