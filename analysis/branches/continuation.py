"""Continuation: branches of equilibria and cycles against one parameter, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._support.errors import OdescentError
from ..._support.numbers import check_whole, real
from ..._support.rendering.brief import quantity, short
from ..._support.rendering.drawable import drawn
from ..._support.rendering.rendered import Rendered
from ...dynamics import Objective, System
from ...dynamics.flows.stepper import iterate
from ..attraction.stepping import Iterated, check_parameter, check_parameters, resolved
from .branch import BranchSource, SolutionBranch, branch_in_users_units, whole_branch
from .critical import StationaryProblem, slope_of
from .critical_curve import CriticalCurve, critical_curve
from .curve import StepLengths, Vector
from .cycles import settled_orbit
from .field import Forms, ParametricField, Units, field_of, measured, stepper_of
from .special import SpecialPoint, solve
from .switching import switched

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SETTLE = 1000  # steps before Newton's method is tried again
_TIME = 0.25  # of a step of a flow


@dataclass(frozen=True)
class Continuation(Rendered):
    """Branches against one parameter.

    Attributes:
        parameter: its name.
        interval: in which it was followed.
        branches: in the order of the calls that followed them.
        name: the map, method or flow.
    """

    parameter: str
    interval: tuple[float, float]
    branches: tuple[SolutionBranch, ...]
    name: str
    source: Any = field(repr=False, compare=False)

    @property
    def special(self) -> tuple[SpecialPoint, ...]:
        """The special points of all branches."""
        return tuple(s for b in self.branches for s in b.special)

    def __str__(self) -> str:
        low, high = self.interval
        rows = [f"{self.name}: branches against {self.parameter} in [{low:.6g}, {high:.6g}]"]
        for i, b in enumerate(self.branches, 1):
            share = int(b.stable.sum())
            rows.append(
                f"  branch {i}: {b.kind}, {quantity(len(b.values), 'point')}, {share} of them stable"
            )
            for s in b.special:
                shown = f" ({s.remark})" if s.remark else ""
                if s.coefficient is not None:
                    shown = f" (coefficient {s.coefficient:.6g})"
                digits = 12 if getattr(s.found, "exact", True) else 6
                rows.append(f"    {self.parameter} = {s.value:.{digits}g}  {s.label}{shown}")
            rows += [f"    ends: {said}" for said in dict.fromkeys(b.ends)]
        return "\n".join(rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "name": self.name,
            "parameter": self.parameter,
            "interval": list(self.interval),
            "branches": [
                {
                    "kind": b.kind, "values": b.values.tolist(), "x": b.x.tolist(), "stable": b.stable.tolist(),
                    "periods": b.periods.tolist(), "ends": list(b.ends),
                    "special": [
                        {"value": s.value, "kind": s.kind, "criticality": s.criticality, "coefficient": s.coefficient,
                         "eigenvalue": [s.eigenvalue.real, s.eigenvalue.imag], "x": s.x.tolist(), "period": s.period,
                         "critical": s.critical, "remark": s.remark}
                        for s in b.special
                    ],
                }
                for b in self.branches
            ],
        }  # fmt: skip

    def switch(self, point: SpecialPoint) -> Continuation:
        """With the branch that starts at a special point: the other one through it, of twice the period, of cycles.

        Args:
            point: one of the special points.

        Returns:
            The continuation with one more branch.

        Raises:
            OdescentError: no branch starts there, or Newton's method finds none.
        """
        self._own(point)
        with jax.enable_x64(True):
            branch = branch_in_users_units(switched(self.source, point), self.source.field)
        return numbered(replace(self, branches=(*self.branches, branch)))

    def curve(
        self, point: SpecialPoint, *, second: str, interval: tuple[float, float]
    ) -> CriticalCurve:
        """The curve of a special point in two parameters.

        Args:
            point: one of the special points.
            second: the second parameter; the first keeps its interval.
            interval: (low, high) of the second one, around its value.

        Returns:
            The curve, with the points of codimension two on it.

        Raises:
            OdescentError: an unknown parameter, a bad interval, or a point that has no curve.
        """
        self._own(point)
        with jax.enable_x64(True):
            return critical_curve(self.source, point, second, interval)

    def _own(self, point: SpecialPoint) -> None:
        if not any(point.found is s.found for s in self.special):  # points are numbered anew
            raise OdescentError("the point must be one of `special` of this continuation.")

    def plot(self, ax: Axes | None = None, component: int = 0) -> Axes:
        """Draw the branches against the parameter: solid where they are stable, dashed where not.

        Args:
            ax: the axes to draw into; None makes a figure.
            component: of the output, in row-major order.
        """
        return drawn(self, ax, component)


def continuation(
    iterated: Iterated,
    target: Objective | None = None,
    *,
    parameter: str,
    interval: tuple[float, float],
    x0: Any = None,
    at: float | None = None,
    period: float | None = None,
    parameters: Mapping[str, Any] | None = None,
    flow: bool = False,
    largest: float = 0.02,
    points: int = 4000,
) -> Continuation:
    """The branch of equilibria or cycles through a point, against one parameter, stable or not.

    The branch is followed through folds by pseudo-arclength continuation, in both directions until the interval
    ends or the branch does. Where stability changes, branches meet or the branch turns, the point is made exact by
    Newton's method on its extended system and classified by its normal form.

    Args:
        iterated: an algorithm, an autonomous system without noise, or a JAX function ``state -> state`` of one
            real array and parameters by keyword (of velocities with ``flow=True``).
        target: the objective, for algorithms and systems.
        parameter: the one that is varied, by a name that `run` takes, such as ``step``.
        interval: (low, high), in which it is varied.
        x0: near the equilibrium or cycle at the start, an array or values by block; the objective's by default.
        at: the value of the parameter at the start; the low end of the interval by default.
        period: of the cycle of a map, in steps; of a flow, a guess (within a third or so) of the period of the
            stable cycle to which a run from x0 goes.
        parameters: values of the other parameters; mu and L default to the objective's.
        flow: whether a plain function gives velocities.
        largest: the largest step along a branch, in units of the interval and of the size of the state (at least that
            of the start, to a power of a thousand).
        points: the most points of a branch, in each direction.

    Returns:
        The branch, with its special points; `switch` continues from these.

    Raises:
        OdescentError: unknown parameters, a bad interval, no equilibrium or cycle near the start; noise.
    """
    flow = flow or isinstance(iterated, System)
    low, high = (real(v) for v in interval)
    if not (np.isfinite([low, high]).all() and low < high):
        raise OdescentError(
            f"{parameter} must be varied in an interval (low, high) with low < high, not {short(interval)}."
        )
    begin = low if at is None else real(at)
    if not low <= begin <= high:
        raise OdescentError(f"the start at {parameter} = {begin:g} is not in [{low:g}, {high:g}].")
    if period is not None and not flow:
        check_whole("period", period, 1)
    if period is not None and not (np.isfinite(period) and period > 0):
        raise OdescentError(
            f"the period of a cycle must be a finite number more than 0, not {short(period)}."
        )
    check_whole("points", points, 2)
    if not 0 < largest <= 0.5:
        raise OdescentError(f"largest must be more than 0 and at most 0.5, not {short(largest)}.")
    start = x0 if x0 is not None else None if target is None else target.x0
    if start is None:
        raise OdescentError("there is no point to start from: give x0=.")
    with jax.enable_x64(True):
        s = stepper_of(iterated, target, flow, (parameter, *(parameters or ())))
        check_parameter(s, parameter)
        fixed = check_parameters(s, parameters or {}, {parameter: begin})
        made, state = field_of(s, start, {**fixed, parameter: begin})
        values = np.array([{**fixed, parameter: begin}[n] for n in made.names], float)
        steps = StepLengths(
            largest=float(largest), first=min(5e-3, float(largest)), most=int(points)
        )
        source = _in_units(made, state, values, made.names.index(parameter), (low, high), steps)
        units = source.field.units
        state = units.own(state)
        if flow and period is not None:
            branch = settled_orbit(source, state, float(period) / units.time)
        else:
            u = _settled(source, state, int(period or 1))
            begin /= units.value
            branch = whole_branch(source, np.append(u, begin), None, int(period or 1))
    branch = branch_in_users_units(branch, source.field)
    return numbered(Continuation(parameter, (low, high), (branch,), made.name, source))


def _in_units(
    made: ParametricField, state: Vector, values: np.ndarray, active: int, interval: tuple[float, float],
    steps: StepLengths,
) -> BranchSource:  # fmt: skip
    """What a branch is made of, in units of the state at its start, of the rates there, and of the interval."""
    problem = StationaryProblem.of(made, 1, values)
    forms, n = Forms(problem.zero, state, values, active), len(state)
    slope = float(np.abs(slope_of(problem, state, values)).max())
    bends = [
        max(float(np.abs(forms(*[v] * k)).max()) for v in (*np.eye(n), np.ones(n) / n**0.5))
        for k in (2, 3)
    ]
    length = min([(slope / b) ** (1 / k) for k, b in enumerate(bends, 1) if b > 0], default=0.0)
    rate = slope if made.flow else 1.0
    units = Units.of(state, length, rate, active, interval[1] - interval[0])
    values = values.copy()
    values[active] /= units.value
    low, high = (end / units.value for end in interval)
    steps = replace(steps, escape=steps.escape * units.wide)
    return BranchSource(measured(made, units), values, active, (low, high), steps)


def numbered(done: Continuation) -> Continuation:
    """With the number of its branch at each special point."""
    made = tuple(
        replace(b, special=tuple(replace(s, branch=i) for s in b.special))
        for i, b in enumerate(done.branches, 1)
    )
    return replace(done, branches=made)


def _settled(source: BranchSource, state: Vector, period: int) -> Vector:
    """The equilibrium or the point of a cycle next to a state: by Newton's method, at once or after a run."""
    problem, field_ = source.problem(period), source.field
    n = len(state)
    zero = source.zero(problem, n)
    values = source.values

    def newton(u: Vector) -> Vector | None:
        def square(y: Vector) -> tuple[np.ndarray, np.ndarray]:
            value, slope = zero.evaluate(np.append(y, values[source.active]))
            return value, slope[:, :-1]

        return solve(replace(zero, evaluate=square), u)

    found = newton(state)
    if found is None or np.abs(found - state).max() > 0.5 * max(1.0, float(np.abs(state).max())):
        later = _later(field_, state, values)
        again = None if later is None else newton(later)
        found = found if again is None else again
    if found is None or not np.isfinite(found).all():
        what = "equilibrium" if field_.flow else "fixed point" if period == 1 else f"{period}-cycle"
        raise OdescentError(
            f"no {what} of {field_.name} is found from the start at {field_.names[source.active]} = "
            f"{values[source.active] * field_.units.value:g}; give an x0 nearer to one."
        )
    return found


def _later(f: ParametricField, state: Vector, values: np.ndarray) -> Vector | None:
    """The state after a run, if it stays finite."""
    end = np.asarray(_settling(f.function, f.flow)(jnp.asarray(state), jnp.asarray(values)))
    return end if np.isfinite(end).all() else None


@lru_cache(maxsize=64)
def _settling(function: Callable[[Any, Any], Any], flow: bool) -> Callable[[Any, Any], Any]:
    """The state after a run at some parameters, compiled."""

    def step(u: Any, values: Any) -> Any:
        if not flow:
            return function(u, values)
        return resolved(lambda v: (function(v[0], values),), (u,), _TIME)[0]

    return jax.jit(lambda u, values: iterate(lambda _, v: step(v, values), u, _SETTLE))


__all__ = ["Continuation", "continuation"]
