"""Attractors against one parameter, and the parameters at which they gain or lose stability."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float

from ..._support.errors import NotCarried, OdescentError
from ..._support.numbers import check_whole
from ..._support.rendering.drawable import drawn
from ..._support.rendering.rendered import Rendered
from ...dynamics import Objective
from ...dynamics.flows.stepper import PointStepper, trace
from ..attraction.attractors import refine
from ..attraction.basin_map import _product, default_steps
from ..attraction.batching import take
from ..attraction.grid import PointGrid
from ..attraction.settling import DIVERGES, SETTLED, UNDEFINED, Limits, over, settle
from ..attraction.stepping import Iterated, slope
from .critical import BRANCH, FLIP, FOLD, HOPF, TORUS, ZERO, StationaryProblem, slope_of
from .curve import CurvePoint
from .events import MULTIPLE, eigenvalues, growth
from .field import Units, field_at, measured
from .special import SpecialPoint, described, locate, point_in_users_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TRIALS = 96
_REACH = 0.1  # of the scale: how far a cycle may move in one trial
_SAME = 1e-6  # of the range: changes found from both sides
_NEAR = 1e-2  # of the range and of the state: how far a change may be moved to make it exact
_BROKEN = 1e-9
_CRITICAL = (
    1e-2  # how near to 1 the multiplier must be at a change, or the search has lost its cycle
)


@dataclass(frozen=True)
class Change(Rendered):
    """A parameter at which a cycle loses its stability or ends.

    Attributes:
        value: of the parameter.
        kind: "fold", "transcritical", "pitchfork", "period doubling", "Neimark-Sacker" or, for equilibria of flows,
            "Hopf"; "multiple" where several eigenvalues are critical at once; "fold, transcritical or pitchfork" where
            the point could not be made exact.
        period: of the cycle that is stable on one side.
        eigenvalue: the critical one, just inside.
        coefficient: of the normal form, as of `SpecialPoint`; None where the point could not be made exact.
    """

    value: float
    kind: str
    period: int
    eigenvalue: complex
    coefficient: float | None = None


@dataclass(frozen=True)
class Bifurcation(Rendered):
    """Attractors against one parameter.

    Attributes:
        parameter: its name.
        values: shape (n,).
        periods: of the attractors reached, shape (n, starts): steps of the cycle (maps), time (flows, 0 for an
            equilibrium), -1 for what did not settle, NaN for what diverged or has no value.
        at, points: the picture: parameter and output of every point of every attractor, shapes (m,) and
            (m, *x0.shape); for limit cycles the extremes of the output; for what did not settle, its late iterates.
        settled: for each such point whether its orbit settled, shape (m,).
        changes: in increasing order of the parameter.
        name: the map, method or flow.
    """

    parameter: str
    values: Float[np.ndarray, " n"]
    periods: Float[np.ndarray, "n starts"]
    at: Float[np.ndarray, " m"]
    points: Float[np.ndarray, "m ..."]
    settled: np.ndarray
    changes: tuple[Change, ...]
    name: str

    def __str__(self) -> str:
        low, high, n = self.values[0], self.values[-1], len(self.values)
        rows = [
            f"{self.name}: attractors at {n} values of {self.parameter} in [{low:.6g}, {high:.6g}]"
        ]
        rows += [f"  {c.value:.12g}  {c.kind}, period {c.period}" for c in self.changes]
        return "\n".join(rows)

    def plot(self, ax: Axes | None = None, component: int = 0) -> Axes:
        """Draw the attractors' points against the parameter; dotted lines mark changes of stability.

        Args:
            ax: the axes to draw into; None makes a figure.
            component: of the output, in row-major order.
        """
        return drawn(self, ax, component)


def bifurcation(
    iterated: Iterated,
    target: Objective | None = None,
    *,
    parameter: str,
    values: Any,
    start: Any = None,
    starts: Any = None,
    parameters: Mapping[str, Any] | None = None,
    steps: int | None = None,
    keep: int = 128,
    dt: float | None = None,
    tolerance: float = 1e-8,
    escape: float = 1e10,
    max_period: int = 64,
    memory: int = 1 << 28,
) -> Bifurcation:
    """Attractors against one parameter, with the parameter values of changes in stability.

    Between neighbouring values whose attractors differ, the cycle is continued by Newton's method and the
    parameter bisected until its multiplier crosses the unit circle; then Newton's method on the extended system of
    the point makes it exact, and the normal form tells its kind.

    Args:
        iterated, target, start, parameters, steps, dt, tolerance, escape, max_period, memory: as for `basins`.
        parameter: the varied parameter, by a name that `run` takes, such as ``step``.
        values: (low, high, count) or an increasing array.
        starts: several starting points, (low, high, count), shape (s,) or (s, *x0.shape), to find coexisting
            attractors.
        keep: number of late iterates kept of orbits that do not settle.

    Raises:
        OdescentError: as `basins`, or values that do not increase.
    """
    steps = default_steps(iterated) if steps is None else steps
    limits = Limits(steps, tolerance, escape, max_period, memory)
    check_whole("keep", keep, 1)
    axes = {parameter: values, **({} if starts is None else {"x0": starts})}
    with jax.enable_x64(True):
        p = _product(iterated, target, axes, start, parameters or {}, None, None, dt)
        if p.axes[0].kind != "parameter":
            raise OdescentError(f"{parameter!r} is not a parameter of {p.stepper.name}.")
        if p.stepper.draws:
            raise NotCarried(
                f"{p.stepper.name} draws noise; attractors require a deterministic map."
            )
        grid = p.axes[0].values
        if (np.diff(grid) <= 0).any():
            raise OdescentError(f"the values of {parameter} must increase.")
        done = settle(p, limits)
        period = np.where(done.verdict == SETTLED, done.period, -1.0)
        state = done.state
        changes: tuple[Change, ...] = ()
        if not p.stepper.clocked:
            state, period = _polish(p, state, period)
            changes = _changes(p, state, period)
        gone = (done.verdict == DIVERGES) | (done.verdict == UNDEFINED)
        at, points, settled = _points(p, state, np.where(gone, np.nan, period), int(keep))
    periods = np.where(gone, np.nan, period).reshape(len(grid), -1)
    return Bifurcation(parameter, grid, periods, at, points, settled, changes, p.stepper.name)


def _polish(p: PointGrid, state: Any, period: np.ndarray) -> tuple[Any, np.ndarray]:
    """Settled cycles of maps, and equilibria of flows, made exact; their least periods."""
    flow = p.stepper.rates is not None
    these = np.flatnonzero(period == 0) if flow else np.flatnonzero(period > 0)
    if not len(these):
        return state, period
    some = take(state, these)
    done = refine(p.stepper, some, np.maximum(period[these], 1), p.coefficients(these), p.scale)
    new = jax.tree.map(np.array, state)
    for whole, part in zip(jax.tree.leaves(new), jax.tree.leaves(done.state), strict=True):
        whole[..., these] = part
    period = period.copy()
    if not flow:
        period[these] = done.period
    return new, period


def _changes(p: PointGrid, state: Any, period: np.ndarray) -> tuple[Change, ...]:
    """Bisect between neighbours, all at once, from either side."""
    flow = p.stepper.rates is not None
    grid = p.axes[0].values
    per = period.reshape(len(grid), -1)
    usable = per == 0 if flow else per > 0
    # from each attractor, follow its branch to the next known one on either side
    lo, hi = [], []
    for j in range(per.shape[1]):
        seen = np.flatnonzero(usable[:, j])
        if not len(seen):
            continue
        for a, b in zip(seen, [*seen[1:], len(grid)], strict=True):
            ahead = min(b, len(grid) - 1)
            if ahead > a:
                lo.append((a, j))
                hi.append(grid[ahead])
        for b, a in zip(seen, [-1, *seen[:-1]], strict=True):
            behind = max(a, 0)
            if behind < b:
                lo.append((b, j))
                hi.append(grid[behind])
    if not lo:
        return ()
    # branches that stay stable up to there have no change
    flat = np.array([a * per.shape[1] + j for a, j in lo])
    z = take(state, flat)
    near, far = grid[[a for a, _ in lo]].astype(float), np.array(hi, float)
    q = np.maximum(period[flat], 1)
    stays, *_ = _continued(p, z, q, far)
    kept = np.flatnonzero(~stays)
    if not len(kept):
        return ()
    z, near, far, q = take(z, kept), near[kept], far[kept], q[kept]
    *_, critical = _continued(p, z, q, near)
    # of a continuum of attractors the eigenvalue is neutral everywhere
    alone = np.flatnonzero(np.abs(growth(critical, flow)) > _BROKEN)
    if not len(alone):
        return ()
    z, near, far, q, critical = take(z, alone), near[alone], far[alone], q[alone], critical[alone]
    end = far.copy()
    # bisection, with steps that grow while the branch stays stable
    span = float(grid[-1] - grid[0])
    step = (far - near) / 2
    for _ in range(_TRIALS):
        trial = near + step
        fine, lost, new, values = _continued(p, z, q, trial)
        near = np.where(fine, trial, near)
        far = np.where(fine | lost, far, trial)  # unstable there: the change lies before
        half = (far - near) / 2
        step = np.where(fine, np.sign(half) * np.minimum(np.abs(2 * step), np.abs(half)), step / 2)
        z = jax.tree.map(lambda a, b, fine=fine: np.where(fine, b, a), z, new)
        critical = np.where(fine, values, critical)
        if (np.abs(step) <= 1e-15 * span).all():
            break
    # a change counts where a multiplier is critical; both sides may find the same one
    found: list[Change] = []
    for i in np.argsort(near, kind="stable").tolist():
        c = complex(critical[i])
        margin = abs(c.real) if flow else abs(abs(c) - 1)
        there = abs(near[i] - end[i]) <= 1e-12 * span and margin > _SAME  # stable up to the end
        if margin > _CRITICAL or there:
            continue
        change = Change(float(near[i]), _kind(c, flow), int(q[i]), c)
        if not any(_alike(o, change, span) for o in found):
            state = jax.tree.map(lambda a, i=i: np.asarray(a)[..., i], z)
            change = _exact(p, state, change)
        if not any(_alike(o, change, span) for o in found):
            found.append(change)
    found.sort(key=lambda o: o.value)
    return tuple(c for c in found if not _halved(c, found, span))


def _alike(a: Change, b: Change, span: float) -> bool:
    """Whether two changes are one, found from both sides."""
    several = MULTIPLE in (a.kind, b.kind) and a.period != b.period
    same = not several and (a.kind in b.kind or b.kind in a.kind)
    return same and abs(a.value - b.value) <= _SAME * span


def _exact(p: PointGrid, state: Any, change: Change) -> Change:
    """A change at its exact value, by the extended system of its kind; as it was where Newton's method fails.

    Args:
        p: the points, whose first axis is the parameter.
        state: of the cycle next to the change.
        change: as bisection left it.
    """
    axis = p.axes[0]
    field, u = field_at(p.stepper, state)
    active = field.names.index(axis.name)
    low, high = float(axis.values[0]), float(axis.values[-1])
    values = np.array([{**p.fixed, axis.name: change.value}[n] for n in field.names], float)
    problem = StationaryProblem.of(field, 1 if field.flow else change.period, values)
    rate = float(np.abs(slope_of(problem, u, values)).max()) if field.flow else 1.0
    field = measured(field, Units.of(np.array([p.scale]), p.scale, rate, active, high - low))
    units = field.units
    u, value, low, high = (
        units.own(u),
        change.value / units.value,
        low / units.value,
        high / units.value,
    )
    values[active] = value
    problem = StationaryProblem.of(field, problem.period, values)
    y = np.append(u, value)
    slope = problem.system(ZERO, {active: (low, high)}, np.zeros(len(u))).evaluate(y)[1]
    if not np.isfinite(slope).all():
        return change
    rates = np.abs(growth(eigenvalues(slope[:, :-1], field.flow), field.flow))
    pair = change.kind in ("Hopf", "Neimark-Sacker")
    if rates.min() <= _SAME and (rates <= 10 * rates.min() + _BROKEN).sum() > 1 + pair:
        return replace(change, kind=MULTIPLE)
    here = CurvePoint(y, np.zeros(len(y)), slope)
    whole = {"Hopf": HOPF, "Neimark-Sacker": TORUS, "period doubling": FLIP}.get(change.kind)
    reach = _NEAR * max(1.0, float(np.abs(u).max()))
    for kind in (BRANCH, FOLD) if whole is None else (whole,):
        at = locate(problem, active, here, kind)
        if at is None or abs(at.y[-1] - value) > _NEAR * (high - low):
            continue
        if np.abs(at.y[:-1] - u).max() <= reach and (kind != BRANCH or abs(at.scalar) <= _BROKEN):
            if kind == BRANCH and (shorter := _doubled(problem, active, at.y, change)):
                return shorter
            made: SpecialPoint = point_in_users_units(described(problem, active, at), field)
            kind_of = "transcritical or pitchfork" if made.kind == "branch point" else made.kind
            return replace(change, value=made.value, kind=kind_of, coefficient=made.coefficient)
    return change


def _doubled(
    problem: StationaryProblem, active: int, y: np.ndarray, change: Change
) -> Change | None:
    """Where a cycle of a map ends in one of half its period: the period doubling of that one; None elsewhere.

    For the map repeated as often as the long cycle is, the end is a pitchfork, whose third branch is the short cycle.
    """
    period = change.period // 2
    if problem.field.flow or change.period % 2:
        return None
    half = StationaryProblem.of(problem.field, period, problem.values)
    value, slope = half.system(ZERO, {active: (-np.inf, np.inf)}, np.zeros(len(y) - 1)).evaluate(y)
    if not np.abs(value).max() <= _SAME * max(1.0, float(np.abs(y[:-1]).max())):
        return None
    at = locate(half, active, CurvePoint(y, np.zeros(len(y)), slope), FLIP)
    if at is None:
        return None
    made = point_in_users_units(described(half, active, at), problem.field)
    return replace(
        change, value=made.value, kind=made.kind, period=period, coefficient=made.coefficient
    )


def _halved(c: Change, found: list[Change], span: float) -> bool:
    """Whether a cycle only ends because it merges with the one of half its period, which loses stability there."""
    doubles = ("period doubling", MULTIPLE)
    halves = (o for o in found if o.kind in doubles and 2 * o.period == c.period)
    return c.kind != "period doubling" and any(
        abs(o.value - c.value) <= 1e-3 * span for o in halves
    )


def _kind(c: complex, flow: bool) -> str:
    if flow:
        return "Hopf" if abs(c.imag) > 1e-6 else "fold, transcritical or pitchfork"
    if abs(c.imag) > 1e-4:
        return "Neimark-Sacker"
    return "period doubling" if c.real < 0 else "fold, transcritical or pitchfork"


def _continued(
    p: PointGrid, z: Any, q: Float[np.ndarray, " n"], values: Float[np.ndarray, " n"]
) -> tuple[np.ndarray, np.ndarray, Any, Complex[np.ndarray, " n"]]:
    """Each cycle at other values of the parameter: whether it is stable, whether it was lost, where it is, and its
    critical eigenvalue.
    """
    fixed = {n: np.float64(v) for n, v in p.fixed.items()}
    c = p.stepper.coefficients({**fixed, p.axes[0].name: values})
    done = refine(p.stepper, z, q, c, p.scale, _REACH)
    if p.stepper.rates is not None:
        slopes = np.moveaxis(
            np.asarray(_slopes(p.stepper)(jax.tree.map(jnp.asarray, done.state), c)), -1, 0
        )
    else:
        slopes = done.jacobian
    finite = np.isfinite(slopes).all((1, 2))
    values_of = np.linalg.eigvals(np.where(finite[:, None, None], slopes, 0.0)).astype(complex)
    measure = values_of.real if p.stepper.rates is not None else np.abs(values_of)
    worst = np.argmax(measure, axis=1)
    rows = np.arange(len(q))
    critical = values_of[rows, worst]
    limit = 0.0 if p.stepper.rates is not None else 1.0
    there = finite & (done.period == q) & (done.residual <= 1e-9 * p.scale)
    stable = measure[rows, worst] < limit
    return there & stable, ~there, done.state, critical


@lru_cache(maxsize=64)
def _slopes(s: PointStepper) -> Callable[..., Any]:
    """Jacobians of a flow's velocities, (d, d, n)."""
    assert s.rates is not None
    one = partial(slope, s.rates)
    return jax.jit(lambda z, c: over(one, c)(z, c))


def _points(
    p: PointGrid, state: Any, period: np.ndarray, keep: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The points of the picture."""
    flow = p.stepper.rates is not None
    longest = float(np.nanmax(period, initial=1.0))
    n = max(
        keep, int(np.ceil(2.2 * longest / p.stepper.dt)) if flow and p.stepper.dt else int(longest)
    )
    c = p.coefficients(np.arange(p.count))
    x = np.asarray(_orbit(p.stepper, n)(jax.tree.map(jnp.asarray, state), c))  # (n, *shape, count)
    where, points, settled = [], [], []
    grid = p.take(0, np.arange(p.count))
    for i, q in enumerate(period.tolist()):
        if np.isnan(q):
            continue
        own = x[..., i]
        if flow:
            turn = n if q < 0 else int(1.1 * q / (p.stepper.dt or 1.0)) + 4
            own = own[:1] if q == 0 else _extremes(own[:turn])
        else:
            own = own[: keep if q < 0 else int(q)]
        where.append(np.full(len(own), grid[i]))
        points.append(own)
        settled.append(np.full(len(own), q >= 0))
    if not where:
        return np.empty(0), np.empty((0, *x.shape[1:-1])), np.empty(0, bool)
    return np.concatenate(where), np.concatenate(points), np.concatenate(settled)


def _extremes(x: np.ndarray) -> np.ndarray:
    """Where the first component turns."""
    first = x.reshape(len(x), -1)[:, 0]
    rise = np.diff(first)
    turns = np.flatnonzero(rise[1:] * rise[:-1] < 0) + 1
    return x[turns] if len(turns) else x[:1]


@lru_cache(maxsize=64)
def _orbit(s: PointStepper, n: int) -> Callable[..., Any]:
    def many(z: Any, c: Any) -> Any:
        step, out = over(lambda z, c: s.step(z, c, None), c), over(s.output, c)
        return trace(lambda _, z: (step(z, c), out(z, c)), z, n)[1]

    return jax.jit(many)
