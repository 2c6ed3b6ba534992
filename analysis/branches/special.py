"""Special points: found between neighbours by test functions, made exact by extended systems, classified."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from ..._support.rendering.rendered import Rendered
from . import normal_forms
from .critical import (
    BRANCH,
    FLIP,
    FOLD,
    HOPF,
    TORUS,
    StationaryProblem,
    second,
    slope_of,
    value_and_slope,
)
from .curve import CurvePoint, Vector, Zero
from .events import (
    CROSSING,
    MULTIPLE,
    Signs,
    critical_of,
    eigenvalues,
    growth,
    isolated,
    meeting,
    on_edge,
    signs_of,
)
from .field import Forms, ParametricField

_WIDTH = 1e-4  # of a step, to which an event is isolated before Newton's method
_RADIUS = 0.3  # of a step, by which Newton's method may move it
_DEGENERATE = 1e-7
_ALONE = 1e-6  # of a step: eigenvalues that cross no further apart cross at once
_SINGULAR = 1e-10
_SAME = 1e-8  # in the weighted norm: points that Newton's method has made exact
_BELOW = {"Hopf": -1, "Neimark-Sacker": -1, "pitchfork": -1, "period doubling": 1}


@dataclass(frozen=True)
class SpecialPoint(Rendered):
    """A point of a branch at which stability changes, branches meet, or the branch turns.

    Attributes:
        value: of the parameter.
        kind: "fold", "transcritical", "pitchfork", "branch point" (another one), "Hopf", "period doubling",
            "Neimark-Sacker"; "multiple" where further eigenvalues are critical at the same point, as a symmetry makes
            them: no normal form of the others holds there.
        coefficient: of the normal form (Kuznetsov, 2004): a of x' = b + a x^2 for folds, a of x' = b x + a x^2 for
            transcritical points, e of x' = b x + e x^3 for pitchforks, the first Lyapunov coefficient of Hopf points,
            c of x -> -(1 + b) x + c x^3 for period doublings, d of the radius r -> r + b r + d r^3 for
            Neimark-Sacker points; None for cycles of flows and multiple points. Its size depends on the length of the
            eigenvector (1), its sign does not, apart from folds and transcritical points.
        eigenvalue: the critical one: a growth rate of an equilibrium, a multiplier of anything else.
        x: output there, as a row of the branch's: shape (k, *x0.shape).
        period: steps of a cycle of a map; time of a cycle of a flow; 2 pi / frequency at a Hopf point; else None.
        branch: number of the branch, from 1.
        criticality: "supercritical" (what is born is stable where the branch is not), "subcritical", "degenerate", or
            "" of other kinds and of cycles.
        critical: how many eigenvalues are critical: 1, of a pair 2, of a multiple point all that cross there.
        remark: why there is no coefficient although the kind has one: the point is not exact, or the field not smooth.
    """

    value: float
    kind: str
    coefficient: float | None
    eigenvalue: complex
    x: np.ndarray
    period: float | None = None
    branch: int = 1
    criticality: str = ""
    critical: int = 1
    remark: str = ""
    # for those who go on from it, in the field's units
    found: Any = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """The kind with its criticality: `pitchfork, supercritical`."""
        if self.kind == MULTIPLE:
            return f"{MULTIPLE}, {self.critical} critical eigenvalues"
        return f"{self.kind}, {self.criticality}" if self.criticality else self.kind


@dataclass(frozen=True)
class Located:
    """A special point, as data for those who go on from it.

    Attributes:
        y: state and parameter, shape (n + 1,).
        kind: of the extended system.
        vector: its null vector, shape (n,); scalar: its squared frequency or cosine, or 0.
        tangents: of the branches through a branch point, shape (k, n + 1).
        tangent: of the branch on which it was found.
        critical: how many eigenvalues are critical.
        exact: whether Newton's method has found it.
    """

    y: Vector
    kind: str
    vector: Vector
    scalar: float
    tangent: Vector
    tangents: Float[np.ndarray, "k n"] = field(default_factory=lambda: np.empty((0, 0)))
    critical: int = 1
    exact: bool = True


def keep(
    found: list[tuple[SpecialPoint, Vector]], made: SpecialPoint, y: Vector, weights: Vector, near: float
) -> None:  # fmt: skip
    """Add a point to those found, unless it is there; of a multiple point the signs change one after the other."""
    same = [
        i
        for i, (other, at) in enumerate(found)
        if len(at) == len(y) and np.linalg.norm(weights * (at - y)) <= near
        if made.kind == other.kind or MULTIPLE in (made.kind, other.kind)
    ]
    if not same:
        found.append((made, y))
    elif made.critical > found[same[0]][0].critical:
        found[same[0]] = (made, y)


class Detector:
    """Special points between the points of one branch, as they are found.

    Args:
        problem: what is continued.
        active: the number of the parameter.
        zero: the equations of the branch.
    """

    def __init__(self, problem: StationaryProblem, active: int, zero: Zero) -> None:
        self.problem, self.active, self.zero = problem, active, zero
        self.flow = problem.field.flow
        self.found: list[tuple[SpecialPoint, Vector]] = []

    def signs(self, here: CurvePoint) -> Signs:
        """The signs at a point."""
        values = eigenvalues(here.slope[:, :-1], self.flow)
        return signs_of(here, self.zero.weights(here.y), values, self.flow)

    def watch(self, a: CurvePoint, b: CurvePoint) -> None:
        """Find what lies between two neighbours."""
        values: Callable[..., Any] = lambda p: eigenvalues(p.slope[:, :-1], self.flow)
        length = float(np.linalg.norm(self.zero.weights(a.y) * (b.y - a.y)))
        for event in isolated(self.zero, a, b, self.signs, values, self.flow, (_WIDTH, _ALONE)):
            here = event.here
            if event.kind == MULTIPLE:
                rates: Callable[..., Any] = lambda p: growth(values(p), self.flow)
                here = meeting(self.zero, a, b, event, rates) or here
                none = np.zeros(len(here.y) - 1)
                self._add(
                    here,
                    Located(here.y, MULTIPLE, none, 0.0, here.tangent, critical=event.count),
                    length,
                )
            else:
                self._add(
                    here, locate(self.problem, self.active, here, event.kind) or event.kind, length
                )

    def _add(self, here: CurvePoint, located: Located | str, length: float) -> None:
        """Add a point that Newton's method has located; its kind alone where it fails, or leads elsewhere."""
        weights = self.zero.weights(here.y)
        kind, near = located if isinstance(located, str) else located.kind, _SAME
        if (
            isinstance(located, str)
            or np.linalg.norm(weights * (located.y - here.y)) > _RADIUS * length
        ):
            none = np.zeros(len(here.y) - 1)
            located, near = Located(here.y, kind, none, 0.0, here.tangent, exact=False), 1e-5
        keep(self.found, described(self.problem, self.active, located), located.y, weights, near)


def locate(problem: StationaryProblem, active: int, here: CurvePoint, kind: str) -> Located | None:
    """Newton's method on the extended system of a kind, from a point nearby.

    Args:
        problem: what is continued.
        active: the number of the parameter.
        here: the point, with F_y there.
        kind: of the extended system.

    Returns:
        The special point, or None where the iteration does not converge.
    """
    n = len(here.y) - 1
    slope = here.slope[:, :-1]
    values = np.linalg.eigvals(slope).astype(complex)
    cut, scalars = np.zeros(n), np.empty(0)
    if kind in (FOLD, BRANCH, FLIP):
        left, _, right = np.linalg.svd(slope + (2.0 if kind == FLIP else 0.0) * np.eye(n))
        vector = left[:, -1] if kind == BRANCH else right[-1]
        scalars = np.zeros(1) if kind == BRANCH else scalars
    else:
        if n < 2:
            return None
        gap = np.abs(values.real) if kind == HOPF else np.abs(np.abs(values + 1) - 1)
        gap = np.where(values.imag > 0, gap, np.inf)
        critical = complex(values[int(np.argmin(gap))])
        scalar = critical.imag**2 if kind == HOPF else float(np.cos(np.angle(critical + 1)))
        vector = normal_forms.pair(slope, critical)[0].real
        vector = vector / np.linalg.norm(vector)
        cut, scalars = second(slope, kind, scalar, vector), np.array([scalar])
    zero = problem.system(kind, {active: (0.0, 1.0)}, cut)
    y = solve(zero, np.concatenate([here.y[:n], vector, scalars, here.y[n:]]))
    if y is None:
        return None
    scalar = float(y[2 * n]) if len(scalars) else 0.0
    return Located(np.append(y[:n], y[-1]), kind, y[n : 2 * n], scalar, here.tangent)


def solve(zero: Zero, y: Vector) -> Vector | None:
    """Newton's method for as many equations as unknowns."""
    before = np.inf
    for i in range(12):
        value, slope = zero.evaluate(y)
        if not (np.isfinite(value).all() and np.isfinite(slope).all()):
            return None
        try:
            move = np.linalg.solve(slope, -value)
        except np.linalg.LinAlgError:
            return None if value.any() else y
        y, size = y + move, float(np.abs(move / np.maximum(1.0, np.abs(y))).max())
        if size <= 1e-14 or (size <= 1e-9 and size >= before / 4):
            return y
        if i > 4 and size > before:
            return None
        before = size
    return y if before <= 1e-9 else None


def smooth(problem: StationaryProblem, u: Vector, values: np.ndarray) -> bool:
    """Whether the field has two derivatives there: in a few directions its slope changes by as much to both sides.

    The sum of these changes, over the distance, falls with it where there is a third derivative, and does not where the
    second one jumps. A jump of the field itself is not seen by derivatives.
    """
    start, here = value_and_slope(problem, u, values)
    size, reach = max(1.0, float(np.abs(here).max())), max(1.0, float(np.abs(u).max()))
    for k in (1, 2, 3):
        v, before, falls = np.cos(k * np.arange(1, len(u) + 1)), np.inf, False
        for step in reach * 1e-3 * 0.25 ** np.arange(5):
            ends = [value_and_slope(problem, u + move, values) for move in (step * v, -step * v)]
            total = float(np.abs(ends[0][1] + ends[1][1] - 2 * here).max()) / step
            falls = falls or total <= max(0.6 * before, 1e-7 * size / reach) < np.inf
            before = total
        off = ends[0][0] - start - here @ (step * v), ends[1][0] - start + here @ (step * v)
        if not falls or np.abs(off).max() > 0.1 * size * step:
            return False
    return True


def rounded(value: float) -> float:
    """A number, or the zero that it differs from by rounding."""
    return 0.0 if abs(value) <= 1e-14 else float(value)


def described(problem: StationaryProblem, active: int, located: Located) -> SpecialPoint:
    """The special point with its coefficient, eigenvalue and kind."""
    u, values = located.y[:-1], problem.values.copy()
    values[active] = located.y[-1]
    flow = problem.field.flow
    slope, forms = slope_of(problem, u, values), Forms(problem.zero, u, values, active)
    own = eigenvalues(slope, flow)
    period: float | None = None if flow else float(problem.period)
    frequency = (
        float(np.sqrt(located.scalar)) if located.kind == HOPF and located.scalar > 0 else 0.0
    )
    if frequency > 0:
        period = 2 * np.pi / frequency
    kind, coefficient, eigenvalue = located.kind, None, complex(0 if flow else 1)
    if kind in (FOLD, BRANCH, FLIP):  # the kernel has one dimension
        shifted = slope + (2.0 if kind == FLIP else 0.0) * np.eye(len(slope))
        sizes = np.linalg.svd(shifted, compute_uv=False)
        if (count := int((sizes <= _SINGULAR * max(1.0, float(sizes[0]))).sum())) > 1:
            kind, located = MULTIPLE, replace(located, kind=MULTIPLE, critical=count)
    remark = "" if located.exact else "Newton's method does not make it exact"
    if not remark and kind != MULTIPLE and not smooth(problem, u, values):
        remark = "the field is not smooth there"
    if remark or kind == MULTIPLE:
        eigenvalue = critical_of(own, flow, located.critical)
        eigenvalue = on_edge(eigenvalue, flow) if located.exact else eigenvalue
    elif kind == FOLD:
        coefficient = normal_forms.fold(forms, slope)
    elif kind == BRANCH:
        found = normal_forms.crossing(forms, slope)
        kind, coefficient = found.kind, found.coefficient
        kind = "branch point" if kind == "isolated" else kind
        located = Located(
            located.y, BRANCH, located.vector, located.scalar, located.tangent, found.tangents
        )
    elif kind == FLIP:
        coefficient, eigenvalue = normal_forms.flip(forms, slope), complex(-1)
    elif frequency > 0:
        coefficient, eigenvalue = normal_forms.hopf(forms, slope, frequency), 1j * frequency
    elif kind == TORUS and abs(located.scalar) < 1:
        angle = float(np.arccos(located.scalar))
        coefficient, eigenvalue = normal_forms.torus(forms, slope, angle), np.exp(1j * angle)
    else:
        eigenvalue = critical_of(own, flow)
    count = located.critical if kind == MULTIPLE else CROSSING.get(located.kind, 1)
    x = problem.field.points(u[None], values[None], problem.period)[0]
    return SpecialPoint(
        rounded(located.y[-1]), kind, coefficient, complex(eigenvalue), x, period, 1, _criticality(kind, coefficient),
        count, remark, located,
    )  # fmt: skip


def _criticality(kind: str, coefficient: float | None) -> str:
    sign = _BELOW.get(kind)
    if sign is None or coefficient is None:
        return ""
    if abs(coefficient) <= _DEGENERATE:
        return "degenerate"
    return "supercritical" if sign * coefficient > 0 else "subcritical"


def point_in_users_units(point: SpecialPoint, field: ParametricField) -> SpecialPoint:
    """A special point of a field, whose numbers are in its units, for the user.

    The normal forms have squares of the state at folds and transcritical points, else cubes; those of flows are rates,
    apart from the Lyapunov coefficient, which is divided by the frequency.
    """
    units, c, eigenvalue = field.units, point.coefficient, point.eigenvalue
    if field.flow and isinstance(
        point.found, Located
    ):  # of an equilibrium, not the multiplier of a cycle
        eigenvalue /= units.time
    if c is not None:
        cubic = point.kind in _BELOW
        c /= units.state ** (2 if cubic else 1) * (1.0 if point.kind == HOPF else units.time)
    return replace(
        point, value=point.value * units.value, coefficient=c, eigenvalue=eigenvalue,
        period=None if point.period is None else point.period * units.time,
    )  # fmt: skip


__all__ = [
    "Detector",
    "Located",
    "SpecialPoint",
    "described",
    "keep",
    "locate",
    "point_in_users_units",
    "rounded",
    "smooth",
    "solve",
]
