"""Limit cycles of planar fields: sign changes of return maps, then periods and multipliers to high accuracy.

A closed orbit surrounds fixed points (Poincare's index), so it crosses the ray from one of them outwards.
On such a ray the return map P is followed for many starts at once; P(s) - s changes sign at a limit cycle of
odd multiplicity, stable or not. Each is then solved for with a high-order integrator, the period and the
multiplier exp(integral of the divergence) along with it (e.g. Perko, Differential Equations and Dynamical
Systems, 3.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from ..._support.rendering.rendered import Rendered
from ...dynamics.flows.tableaux import hermite, runge_kutta
from .field import Chart, Curve, Field, FixedPoint, Jacobian, Points, chart

_RAY = 96  # starts per ray
_STEP = 0.02  # of the march, in window sides
_LONGEST = 12.0  # arc of one return, in window sides
_MOST_CALLS = 20_000  # of the field in one accurate return
_FAR = 1.0  # how far beyond the window an orbit may go, in window sides


@dataclass(frozen=True)
class LimitCycle(Rendered):
    """An isolated closed orbit.

    Attributes:
        points: one turn, in the order of the flow, first and last equal up to `error`, shape (k, 2).
        t: their times from 0 to the period, shape (k,).
        period: in the system's time.
        multiplier: derivative of the return map, positive: below 1 nearby orbits approach.
        stable: whether they do.
        around: a fixed point inside.
        error: distance between the two ends of one turn.
    """

    points: Curve
    t: Float[np.ndarray, " k"]
    period: float
    multiplier: float
    stable: bool
    around: Float[np.ndarray, "2"]
    error: float

    @property
    def amplitude(self) -> Float[np.ndarray, "2"]:
        """Half the extent along each axis, at the points of the curve."""
        half: Float[np.ndarray, "2"] = np.ptp(self.points, axis=0) / 2
        return half


@np.errstate(all="ignore")
def limit_cycles(
    field: Field,
    window: Sequence[Sequence[float]],
    fixed: Sequence[FixedPoint],
    jacobian: Jacobian | None = None,
) -> tuple[LimitCycle, ...]:
    """The limit cycles that cross a ray from a fixed point of the window (not a saddle) to its further edge.

    Closed orbits that come as a family, as around a centre, are not isolated and are left out. A semistable
    cycle (P(s) - s touches zero) and two cycles closer than a hundredth of a ray are missed.

    Args:
        field: the vector field.
        window: only cycles that cross the ray inside are found.
        fixed: its fixed points; cycles are looked for around those that are not saddles.
        jacobian: for the multiplier; central differences where not given.

    Raises:
        OdescentError: a bad window, or a field of the wrong shape.
    """
    c = chart(field, window)
    backwards = chart(lambda z: -np.asarray(field(z)), window)  # in which unstable cycles attract
    found: list[LimitCycle] = []
    homes = [(p.point - c.low) / c.size for p in fixed if p.kind != "saddle"]
    rays = [(home, sense) for home in homes for sense in (1.0, -1.0)]
    for (home, sense), pairs in zip(rays, _brackets(c, rays), strict=True):
        way, ray = c if sense > 0 else backwards, _outwards(home)
        for a, b in pairs:
            if any(_crosses(c, cycle, home, ray, a, b) for cycle in found):
                continue
            cycle = _solve(way, home, ray, (a, b), sense, jacobian)
            if cycle is not None and not any(_same(c, cycle, other) for other in found):
                found.append(cycle)
    return tuple(sorted(found, key=lambda cycle: (cycle.period, float(cycle.points[0, 0]))))


def _outwards(home: np.ndarray) -> np.ndarray:
    """The direction of the ray from a fixed point: the longer way to the edge."""
    return np.array([1.0 if home[0] <= 0.5 else -1.0, 0.0])


def _brackets(
    c: Chart, rays: Sequence[tuple[np.ndarray, float]]
) -> list[list[tuple[float, float]]]:
    """For each ray, neighbouring starts between which the first return minus the start changes sign.

    A ray is a fixed point in window coordinates and the sense of time, 1 or -1.
    """
    if not rays:
        return []
    homes, senses = np.array([home for home, _ in rays]), np.array([sense for _, sense in rays])
    s = np.maximum(1.0 - homes[:, 0], homes[:, 0])[:, None] * (np.arange(_RAY) + 0.5) / _RAY
    back = _returns(
        c, np.repeat(homes, _RAY, axis=0), np.array([_outwards(h) for h in homes]).repeat(_RAY, axis=0), s.ravel(),
        np.repeat(senses, _RAY),
    )  # fmt: skip
    return [_drawn_in(start, end) for start, end in zip(s, back.reshape(s.shape), strict=True)]


def _drawn_in(s: np.ndarray, back: np.ndarray) -> list[tuple[float, float]]:
    """Neighbours on one ray that both come nearer to what lies between."""
    gap = back - s
    flat = np.abs(gap) < 1e-4 * s  # of a family of closed orbits, as far as the march is accurate
    clear = np.isfinite(gap) & ~flat
    pairs: list[tuple[float, float]] = []
    last = -1
    for i in np.flatnonzero(clear).tolist():
        # An attracting cycle draws both starts in, by no more than they are apart; a jump of the return
        # map, as at a saddle's manifold, does not. Repelling ones attract in the other direction of time.
        drawn_in = gap[last] > 0 > gap[i] and gap[last] - gap[i] <= 1.5 * (s[i] - s[last])
        if last >= 0 and drawn_in and i - last <= 4:
            pairs.append((float(s[last]), float(s[i])))
        last = i
    return pairs


def _returns(
    c: Chart, home: Points, ray: Points, s: np.ndarray, sense: np.ndarray
) -> Float[np.ndarray, " n"]:
    """Where orbits from home + s ray cross it again in the direction they left it; NaN where they do not.

    All starts at once; of those under way only, so that few are carried to the end. ``sense`` is that of time.
    """
    back = np.full(len(s), np.nan)
    start = home + s[:, None] * ray
    normal = np.stack([-ray[:, 1], ray[:, 0]], 1)
    k1 = _unit(c, start, sense)
    side = np.sign((k1 * normal).sum(1))
    alive = np.flatnonzero(side != 0)
    u, k1 = start[alive], k1[alive]
    for k in range(int(_LONGEST / _STEP)):
        if not len(alive):
            break
        at_home, along, across, way = (
            home[alive], ray[alive], normal[alive] * side[alive, None], sense[alive],
        )  # fmt: skip
        field = lambda _, state, way=way: (_unit(c, state[0], way),)
        (new,) = runge_kutta("rk4", field, 0.0, (u,), _STEP, (k1,))
        next1 = _unit(c, new, way)
        before, after = ((u - at_home) * across).sum(1), ((new - at_home) * across).sum(1)
        crossed = (before < 0) & (after >= 0) & (k > 1)
        # cubic in between, from both ends' directions
        w = np.where(crossed, before / np.where(crossed, before - after, 1.0), 0.0)[:, None]
        at = ((hermite(u, new, _STEP * k1, _STEP * next1, w) - at_home) * along).sum(1)
        returned = crossed & (at > 0)
        back[alive[returned]] = at[returned]
        going = ~returned & np.isfinite(new).all(1) & (np.abs(new - 0.5) < 0.5 + _FAR).all(1)
        alive, u, k1 = alive[going], new[going], next1[going]
    return back


def _unit(c: Chart, u: Points, sense: np.ndarray) -> Points:
    """The directions in which points move, where time has a sense."""
    velocity = c(u)
    size = np.hypot(velocity[:, 0], velocity[:, 1])
    turned: Points = velocity * (sense / np.where(size > 0, size, 1.0))[:, None]
    return turned


def _solve(
    c: Chart, home: np.ndarray, ray: np.ndarray, bracket: tuple[float, float], sense: float,
    jacobian: Jacobian | None,
) -> LimitCycle | None:  # fmt: skip
    """The cycle between two starts, by Brent's method on the accurate return map; None if there is none.

    ``sense`` is -1 where time runs backwards in ``c``.
    """
    from scipy.optimize import brentq

    def gap(s: float) -> float:
        turn = _turn(c, home, ray, s)
        return np.nan if turn is None else float((turn.y[:2, -1] - home) @ ray) - s

    ends = gap(bracket[0]), gap(bracket[1])
    isolated = min(abs(e) for e in ends) > 1e-8  # else one of a family, as around a centre
    if not (np.isfinite(ends).all() and ends[0] * ends[1] < 0 and isolated):
        return None
    try:
        s = float(brentq(gap, *bracket, xtol=1e-13, rtol=1e-12))
    except (ValueError, RuntimeError):
        return None
    slope = None if jacobian is None else lambda z: sense * jacobian(z)
    turn = _turn(c, home, ray, s, slope, dense=True)
    if turn is None:
        return None
    period = float(turn.t[-1])
    t = np.linspace(0.0, period, 401)
    u = turn.sol(t)[:2].T
    u = u if sense > 0 else u[::-1]
    multiplier = float(np.exp(min(sense * turn.y[2, -1], 700.0)))
    points = c.out(u)
    if (
        np.linalg.norm(u[-1] - u[0]) > 1e-6
    ):  # so unstable in this direction of time that it did not close
        return None
    return LimitCycle(
        points, t, period, multiplier, multiplier < 1, c.out(home[None])[0],
        float(np.linalg.norm(points[-1] - points[0])),
    )  # fmt: skip


def _turn(
    c: Chart, home: np.ndarray, ray: np.ndarray, s: float, jacobian: Jacobian | None = None, dense: bool = False
) -> Any:  # fmt: skip
    """One return to the ray, with the integral of the divergence as third component where it is dense."""
    from scipy.integrate import solve_ivp

    start = home + s * ray
    normal = np.array([-ray[1], ray[0]])
    v0 = c(start[None])[0]
    sense = float(np.sign(v0 @ normal))
    if sense == 0 or not np.isfinite(v0).all():
        return None

    calls = 0

    def rates(_: float, y: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls > _MOST_CALLS:
            raise _TooLong
        u = y[None, :2]
        out: np.ndarray = c(u)[0]
        if not dense:
            return out
        return np.append(out, np.trace(c.jacobian(u, jacobian)[0]))

    def crossing(_: float, y: np.ndarray) -> float:
        behind = (y[:2] - home) @ ray <= 0
        height = float((y[:2] - home) @ normal * sense)
        return -1.0 if behind and height >= 0 else height

    crossing.direction = 1.0  # type: ignore[attr-defined]
    crossing.terminal = True  # type: ignore[attr-defined]

    def away(_: float, y: np.ndarray) -> float:
        return 0.5 + _FAR - float(np.abs(y[:2] - 0.5).max())

    away.terminal = True  # type: ignore[attr-defined]
    begin = np.append(start, 0.0) if dense else start
    span = 1e4 / max(float(np.abs(v0).max()), 1e-12)
    # no finer than the coordinates are known where the window is far from the origin
    rounding = 1e-15 * float(np.abs([c.low, c.low + c.size]).max() / c.size.min())
    tolerance = {"rtol": max(3e-13, 30 * rounding), "atol": max(1e-14, rounding)}
    # the start lies on the ray: a first short piece leaves it before the event counts
    first = min(1e-3 / max(float(np.linalg.norm(v0)), 1e-300), span)
    try:
        lead = solve_ivp(rates, (0.0, first), begin, "DOP853", dense_output=dense, **tolerance)
        rest = solve_ivp(
            rates, (first, span), lead.y[:, -1], "DOP853", events=[crossing, away], dense_output=dense, **tolerance
        )  # fmt: skip
    except _TooLong:
        return None
    if not len(rest.t_events[0]):
        return None
    return _Turn(lead, rest)


class _TooLong(Exception):
    """A return that takes more evaluations than any cycle is worth."""


class _Turn:
    """The two pieces of one return as one."""

    def __init__(self, lead: Any, rest: Any) -> None:
        self.t = np.append(rest.t[:-1], rest.t_events[0][0])
        self.y = np.column_stack([rest.y[:, :-1], rest.y_events[0][0]])
        self._lead, self._rest = lead, rest

    def sol(self, t: np.ndarray) -> np.ndarray:
        """States at increasing times, shape (components, len(t))."""
        early = t <= self._lead.t[-1]
        return np.column_stack([self._lead.sol(t[early]), self._rest.sol(t[~early])])


def _crosses(
    c: Chart, cycle: LimitCycle, home: np.ndarray, ray: np.ndarray, a: float, b: float
) -> bool:
    """Whether a cycle that is known crosses the ray between two starts."""
    offset = (cycle.points - c.low) / c.size - home
    along, height = offset @ ray, offset[:, 0] * ray[1] - offset[:, 1] * ray[0]
    turns = np.flatnonzero((height[:-1] * height[1:] <= 0) & (along[:-1] > 0))
    return bool(((along[turns] >= a - 1e-3) & (along[turns] <= b + 1e-3)).any())


def _same(c: Chart, a: LimitCycle, b: LimitCycle) -> bool:
    if abs(a.period - b.period) > 1e-6 * b.period:
        return False
    far = [
        np.linalg.norm((p[:, None] - q[None]) / c.size, axis=2).min(1).max()
        for p, q in ((a.points[::8], b.points), (b.points[::8], a.points))
    ]
    return bool(max(far) < 0.02)
