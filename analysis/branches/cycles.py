"""Branches of closed orbits of flows: their equations as a curve, their special points, their starts and ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._support.errors import OdescentError
from . import normal_forms
from .branch import BranchSource, SolutionBranch
from .collocation import (
    DEGREE,
    Mesh,
    adapted,
    assembled,
    moved,
    multipliers,
    orbit_equations,
    phase_of,
    transfer,
)
from .critical import BRANCH, FLIP, FOLD, StationaryProblem, slope_of
from .curve import (
    CurvePoint,
    Vector,
    Zero,
    between,
    follow,
    point_at,
    point_beside,
    root,
)
from .events import (
    MULTIPLE,
    Event,
    Signs,
    critical_of,
    growth,
    isolated,
    meeting,
    on_edge,
    signs_of,
)
from .field import Forms, ParametricField
from .special import Located, SpecialPoint, keep, locate, rounded

INTERVALS = 20
_MOST = 160  # intervals
_TRIVIAL = 1e-6  # by which the trivial multiplier may be off
_EVERY = 3  # steps, after which the mesh is adapted
_LONG = 1e3  # times the first period
_WIDTH, _ALONE = 1e-3, 1e-4  # of a step: the shift by which multipliers count as stable is less


class Orbits:
    """The equations of the orbits along a branch, and the mesh to which they refer.

    Args:
        source: of the branch.
        mesh: of its first orbit.
        d: states.
    """

    def __init__(self, source: BranchSource, mesh: Mesh, d: int) -> None:
        self.source, self.mesh, self.d, self._count = source, mesh, d, 0

    def evaluate(self, y: Vector) -> tuple[np.ndarray, np.ndarray]:
        """The residuals and their derivative."""
        return assembled(self.source.field, y, self.mesh, self.source.values, self.source.active)

    def weights(self, y: Vector) -> Vector:
        """The orbit counts by its mean square in units of its size, at least 1."""
        low, high = self.source.interval
        made = np.full(len(y), (self.d / len(y)) ** 0.5 / max(1.0, float(np.abs(y[:-2]).max())))
        made[-2] = 1 / max(1.0, abs(float(y[-2])))
        made[-1] = 1 / (high - low)
        return made

    def zero(self) -> Zero:
        """As equations of a curve."""
        field = self.source.field
        return Zero(
            self.evaluate, self.weights, {-1: self.source.interval}, {-1: field.names[self.source.active]},
            {-1: field.units.value}, field.units.state, self.refresh,
        )  # fmt: skip

    def problem(self) -> StationaryProblem:
        """The orbit as a stationary state, for extended systems on the present mesh."""
        values = self.mesh.packed(self.source.values)
        equations = orbit_equations(self.source.field, self.d, len(self.mesh))
        return StationaryProblem(self.source.field, equations, 1, values)

    def orbit(self, y: Vector) -> np.ndarray:
        """The states at all nodes, shape (N m + 1, d)."""
        return np.asarray(y[:-2]).reshape(-1, self.d)

    def refresh(self, here: CurvePoint) -> CurvePoint:
        """Refer the phase to the last orbit, and adapt the mesh now and then."""
        self._count += 1
        orbit = self.orbit(here.y)
        if self._count % _EVERY:
            self.mesh = Mesh(self.mesh.edges, phase_of(orbit))
            return here
        return self.onto(here, adapted(self.mesh.edges, orbit, len(self.mesh)))

    def onto(self, here: CurvePoint, edges: np.ndarray) -> CurvePoint:
        """A point on a mesh with these edges, to which the equations then refer."""
        rest: Callable[..., Any] = lambda v: moved(self.mesh, self.orbit(v), edges).ravel()
        y, t = (np.append(rest(v), v[-2:]) for v in (here.y, here.tangent))
        self.mesh = Mesh(edges, phase_of(y[:-2].reshape(-1, self.d)))
        t = t / np.linalg.norm(self.weights(y) * t)
        again = point_at(self.zero(), y, t)
        return CurvePoint(y, t, self.evaluate(y)[1]) if again is None else again


class _Follower:
    """One branch as it is followed: its records, special points, and reasons to end."""

    def __init__(self, orbits: Orbits, start: CurvePoint) -> None:
        self.orbits, self.zero = orbits, orbits.zero()
        self.first = float(start.y[-2])
        self.found: list[tuple[SpecialPoint, Vector]] = []
        self.records: list[tuple[Any, ...]] = []
        self.coarse = False
        self._before = self._largest = _size(orbits.orbit(start.y))
        self.record(start)

    def multipliers(self, here: CurvePoint) -> np.ndarray:
        made: np.ndarray = multipliers(here.slope[:, :-1], self.orbits.d, len(self.orbits.mesh))
        return made

    def record(self, here: CurvePoint) -> None:
        orbit = self.orbits.orbit(here.y)
        self.records.append((here.y[-1], here.y[-2], orbit, self.multipliers(here)))

    def watch(self, a: CurvePoint, b: CurvePoint) -> str | None:
        """Look for special points, record the orbit, and say why the branch ends."""
        where, time = self.zero.where(b.y), self.orbits.source.field.units.time
        own = self.multipliers(b)
        off = abs(complex(own[0]) - 1)
        # at a fold two multipliers are 1, and neither is known to better than the root of the error
        if off > _TRIVIAL and np.abs(own[1:] - 1).min(initial=1.0) > 1e-2:
            self.coarse = True
            return (
                f"the mesh of {len(self.orbits.mesh)} intervals is too coarse at {where}: the trivial multiplier is "
                f"off by {off:.2g}"
            )
        values: Callable[..., Any] = lambda p: self.multipliers(p)[1:]
        for event in isolated(self.zero, a, b, self.signs, values, False, (_WIDTH, _ALONE)):
            self._add(a, b, event)
        self.record(b)
        size = _size(self.orbits.orbit(b.y))
        shrinks = 2 * size - self._before <= 0.1 * size
        self._before, self._largest = size, max(size, self._largest)
        wide = self.orbits.source.field.units.wide
        if shrinks and size < 0.1 * max(1.0, min(self._largest, wide)):
            return f"the cycle shrinks to an equilibrium near {where}"
        if not 0 < b.y[-2] < _LONG * self.first:
            return f"the period grows beyond {_LONG * self.first * time:.3g} near {where}"
        return None

    def signs(self, here: CurvePoint) -> Signs:
        """The signs at a point."""
        values = self.multipliers(here)[1:] * (1 - _TRIVIAL)
        return signs_of(here, self.zero.weights(here.y), values, False)

    def _add(self, a: CurvePoint, b: CurvePoint, event: Event) -> None:
        here, kind, exact = event.here, event.kind, None
        rates: Callable[..., Any] = lambda p: growth(self.multipliers(p)[1:], False)
        if kind in (FOLD, BRANCH):
            exact = locate(self.orbits.problem(), self.orbits.source.active, here, kind)
        elif kind == MULTIPLE:
            here = meeting(self.zero, a, b, event, rates) or here
        else:  # there is no extended system
            critical = critical_of(self.multipliers(here)[1:], False)
            nearest: Callable[..., complex] = lambda p: _nearest(self.multipliers(p)[1:], critical)
            test: Callable[..., float] = lambda p: (
                nearest(p).real + 1 if kind == FLIP else abs(nearest(p)) - 1
            )
            low, high = max(event.low - _WIDTH, 0.0), min(event.high + _WIDTH, 1.0)
            part = root(self.zero, a, b, test, low, high)
            here = (None if part is None else between(self.zero, a, b, part)) or here
        made = self.described(kind, here, exact, event.count)
        keep(self.found, made, here.y, self.zero.weights(here.y), 1e-4)

    def described(
        self, kind: str, here: CurvePoint, exact: Located | None, count: int
    ) -> SpecialPoint:
        """The special point as data, ``count`` multipliers being critical; coefficients of orbits are not computed."""
        orbits, y = self.orbits, here.y
        if exact is not None and np.abs(exact.y - y).max() <= 1e-2 * max(1.0, np.abs(y).max()):
            y = exact.y
        d, n = orbits.d, len(orbits.mesh)
        at = Located(y, kind, np.zeros(d), 0.0, here.tangent)
        own = self.multipliers(here)[1:]
        critical = critical_of(own, False, count if kind == MULTIPLE else 1) if len(own) else 1 + 0j
        if kind == FLIP:
            ends = transfer(here.slope[:, :-1], d, n)[1]
            whole = np.eye(d)
            for step in ends:
                whole = step @ whole
            at = Located(y, kind, np.linalg.svd(whole + np.eye(d))[2][-1], 0.0, here.tangent)
            critical = complex(-1)
        name = kind
        if kind in (FOLD, BRANCH):
            critical, count = complex(1), 1
        if kind == MULTIPLE:
            critical = on_edge(critical, False)
        if kind == BRANCH:
            problem = orbits.problem()
            values = problem.values.copy()
            values[orbits.source.active] = y[-1]
            slope = slope_of(problem, y[:-1], values)
            forms = Forms(problem.zero, y[:-1], values, orbits.source.active)
            found = normal_forms.crossing(forms, slope)
            name = "branch point" if found.kind == "isolated" else found.kind
            at = Located(y, kind, np.zeros(d), 0.0, here.tangent, found.tangents)
        x = _extent(orbits.source, orbits.orbit(y), y[-1])
        return SpecialPoint(
            rounded(y[-1]),
            name,
            None,
            critical,
            x,
            float(y[-2]),
            critical=count,
            found=(at, orbits.mesh, here),
        )


def _nearest(values: np.ndarray, to: complex) -> complex:
    return complex(values[int(np.argmin(np.abs(values - to)))])


def _size(orbit: np.ndarray) -> float:
    return float(np.ptp(orbit, axis=0).max())


def _extent(source: BranchSource, orbit: np.ndarray, value: float) -> np.ndarray:
    """The least and the largest outputs along an orbit, shape (2, *x0.shape)."""
    seen = _outputs(source, orbit, value)
    return np.stack([seen.min(0), seen.max(0)])


def _outputs(source: BranchSource, orbit: np.ndarray, value: float) -> np.ndarray:
    values = np.tile(source.values, (len(orbit), 1))
    values[:, source.active] = value
    return source.field.points(orbit, values)[:, 0]


def followed(orbits: Orbits, start: CurvePoint, both: bool) -> SolutionBranch:
    """The branch of orbits from a start on, to both sides or to that of its tangent.

    Args:
        orbits: the equations, on the mesh of the start.
        start: the first orbit.
        both: whether both sides.
    """
    halves, ends, special = [], [], []
    source, mesh, d = orbits.source, orbits.mesh, orbits.d
    for sign in (-1.0, 1.0) if both else (1.0,):
        here = CurvePoint(start.y, sign * start.tangent, start.slope)
        walk = Orbits(source, mesh, d)
        records: list[tuple[Any, ...]] = []
        found: list[SpecialPoint] = []
        while True:
            follower = _Follower(walk, here)
            path, said = follow(follower.zero, here, source.steps, follower.watch)
            records += follower.records[1 if records else 0 :]
            found += [s for s, _ in follower.found]
            n = 2 * len(walk.mesh)
            if not follower.coarse or n > _MOST:
                break
            here = path[-2] if len(path) > 1 else path[-1]
            here = walk.onto(here, adapted(walk.mesh.edges, walk.orbit(here.y), n))
        halves.append(records)
        ends.append(said)
        special.append(found)
    if both:
        rows = [*reversed(halves[0][1:]), *halves[1]]
        points = [*reversed(special[0]), *special[1]]
    else:
        rows, points = halves[0], special[0]
        ends = ["it begins where another branch meets it", ends[0]]
    values, periods, states, own = (list(v) for v in zip(*rows, strict=True))
    rest = np.stack([np.append(m[0], np.sort_complex(m[1:])) for m in own])
    stable = (np.abs(rest[:, 1:]) <= 1 + _TRIVIAL).all(1)
    paths = tuple(_outputs(source, o, v) for o, v in zip(states, values, strict=True))
    x = np.stack([np.stack([o.min(0), o.max(0)]) for o in paths])
    return SolutionBranch(
        "cycles", np.array(values), np.stack([o[0] for o in states]), x, rest, stable, np.array(periods),
        tuple(points), (ends[0], ends[1]), paths,
    )  # fmt: skip


def born(source: BranchSource, at: Located) -> SolutionBranch:
    """The orbits that are born at a Hopf point."""
    d = len(at.y) - 1
    values = source.values.copy()
    values[source.active] = at.y[-1]
    slope = slope_of(source.problem(1), at.y[:-1], values)
    frequency = float(np.sqrt(at.scalar))
    q = normal_forms.pair(slope, 1j * frequency)[0]
    edges = np.linspace(0.0, 1.0, INTERVALS + 1)
    nodes = Mesh(edges, np.zeros((INTERVALS, DEGREE, d))).nodes
    wave = np.outer(np.exp(2j * np.pi * nodes), q).real
    orbits = Orbits(source, Mesh(edges, phase_of(wave)), d)
    rest = np.tile(at.y[:-1], (len(nodes), 1)).ravel()
    y = np.concatenate([rest, [2 * np.pi / frequency, at.y[-1]]])
    return _begun(orbits, y, np.append(wave.ravel(), [0.0, 0.0]))


def twice(source: BranchSource, at: Located, mesh: Mesh, here: CurvePoint) -> SolutionBranch:
    """The orbits of twice the period that leave a period doubling."""
    d, n = len(at.vector), len(mesh)
    orbit = np.asarray(here.y[:-2]).reshape(-1, d)
    inner = transfer(here.slope[:, :-1], d, n)[0]
    v, parts = at.vector, [at.vector[None]]
    for block in inner:
        nodes = (block @ v).reshape(DEGREE, d)
        parts.append(nodes)
        v = nodes[-1]
    wave = np.concatenate(parts)
    double = np.concatenate([orbit[:-1], orbit])
    toward = np.concatenate([wave[:-1], -wave])
    edges = np.concatenate([mesh.edges[:-1] / 2, 0.5 + mesh.edges / 2])
    orbits = Orbits(source, Mesh(edges, phase_of(double)), d)
    y = np.concatenate([double.ravel(), [2 * here.y[-2], here.y[-1]]])
    return _begun(orbits, y, np.append(toward.ravel(), [0.0, 0.0]))


def _begun(orbits: Orbits, y: Vector, toward: Vector) -> SolutionBranch:
    """A branch that leaves a point in a direction."""
    toward = toward / np.linalg.norm(orbits.weights(y) * toward)
    for factor in (1.0, 0.3, 3.0):
        off = factor * orbits.source.steps.first
        start = point_beside(orbits.zero(), y, off, toward)
        if start is not None:
            return followed(orbits, start, False)
    where = orbits.zero().where(y)
    raise OdescentError(f"the cycles that start at {where} are not found by Newton's method.")


def crossed_orbits(source: BranchSource, at: Located, mesh: Mesh, toward: Vector) -> SolutionBranch:
    """The other branch of orbits through a branch point, to one side."""
    d = len(at.vector)
    return _begun(Orbits(source, mesh, d), at.y, toward)


def settled_orbit(source: BranchSource, state: Vector, period: float) -> SolutionBranch:
    """The branch through the closed orbit on which a run from a state ends.

    Args:
        source: of the branch; its values are those of the start.
        state: the flat state.
        period: a guess of the period, within a third or so.
    """
    from scipy.integrate import solve_ivp

    field, values, d = source.field, source.values, len(state)
    rates = _rates(field)
    run: Any = None
    for until in (50 * period, 1.5 * period):
        run = solve_ivp(
            lambda t, u: np.asarray(rates(u, values)), (0.0, until), state, method="LSODA", rtol=1e-9,
            atol=1e-11, dense_output=True, events=_gone(1e8 * field.units.wide),
        )  # fmt: skip
        if not run.success or run.status == 1:
            raise OdescentError(
                f"the run of {field.name} from the start does not stay finite; move x0."
            )
        state = run.y[:, -1] if until > 2 * period else state
    t = np.linspace(0.5 * period, 1.5 * period, 2001)
    gap = np.linalg.norm(run.sol(t) - state[:, None], axis=0)
    back = float(t[int(np.argmin(gap))])
    edges = np.linspace(0.0, 1.0, 2 * INTERVALS + 1)
    for _ in range(3):
        mesh = Mesh(edges, np.zeros((len(edges) - 1, DEGREE, d)))
        orbit = run.sol(back * mesh.nodes).T
        edges = adapted(edges, orbit, len(edges) - 1)
    mesh = Mesh(edges, np.zeros((len(edges) - 1, DEGREE, d)))
    orbit = run.sol(back * mesh.nodes).T
    orbit[-1] = orbit[0]
    orbits = Orbits(source, Mesh(edges, phase_of(orbit)), d)
    y = np.concatenate([orbit.ravel(), [back, values[source.active]]])
    start = point_at(orbits.zero(), y, np.eye(len(y))[-1]) if _size(orbit) > 1e-6 else None
    if start is None:
        raise OdescentError(
            f"no cycle of {field.name} with a period near {period * field.units.time:g} is found from the start; give "
            "an x0 near to it."
        )
    return followed(orbits, start, True)


def _gone(far: float) -> Any:
    def event(t: float, u: np.ndarray) -> float:
        return far - float(np.abs(u).max())

    event.terminal = True  # type: ignore[attr-defined]
    return event


def _rates(field: ParametricField) -> Callable[..., Any]:
    made: Callable[..., Any] = jax.jit(lambda u, values: jnp.asarray(field.function(u, values)))
    return made


__all__ = ["born", "crossed_orbits", "followed", "settled_orbit", "twice"]
