"""Lines of a planar field: trajectories through given points, an evenly spread set, separatrices.

A line is traced by arc length, measured in window sides, with an adaptive Runge-Kutta pair. Each
half line records why it ends (see `Line`); no field makes it endless or raises.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.integrate import RK45

from ..._support.errors import OdescentError, expected
from ..._support.numbers import reals
from ..._support.rendering.rendered import Rendered
from .field import Chart, Curve, Field, FixedPoint, chart, grid

Ending = Literal[
    "window", "fixed point", "closed", "length", "step limit", "not finite", "stalled", "crowded"
]
Point = Float[np.ndarray, "2"]

_STEP = 0.01  # longest step along a line, in window sides
_MAX_STEPS = 2000  # per half line: no field can make the tracing endless
_ARRIVED = 1e-3  # a line this near to a fixed point has arrived
_CLOSED = 3e-4  # a line this near to its own start has closed
_OFFSET = 1e-4  # separatrices start this far from their saddle


@dataclass(frozen=True)
class Line(Rendered):
    """A piece of a trajectory, points in the order of the flow, shape (k, 2).

    `ended` is the reason why it stops, backwards and forwards in time: at the window's edge, at a fixed
    point, "closed" on its start, at the limit of length or steps, at values that are not finite,
    "stalled" where the field is zero or jumps, "crowded" near another line of an even set.
    """

    points: Curve
    ended: tuple[Ending, Ending]


@dataclass(frozen=True)
class Separatrix(Rendered):
    """One branch of a saddle's stable or unstable manifold; points start at the saddle.

    A stable branch is traced backwards in time, so its flow runs from the last point to the first.
    `error` estimates how far its end is off the manifold, in the plane's units: where two branches traced
    from different distances leave the window, else the curvature's share at the start.
    """

    points: Curve
    saddle: Point
    stable: bool
    ended: Ending
    error: float = 0.0


@np.errstate(all="ignore")
def flow_lines(
    field: Field,
    window: Sequence[Sequence[float]],
    seeds: Curve | Sequence[Sequence[float]],
    fixed: Sequence[FixedPoint] = (),
    max_length: float = 10.0,
) -> tuple[Line, ...]:
    """The trajectories through given points, followed both ways inside the window.

    Args:
        field: the vector field.
        window: where to follow them.
        seeds: shape (n, 2), inside the window.
        fixed: the fixed points, where lines end (see `planar.fixed_points`).
        max_length: longest half line, in window sides.

    Raises:
        ValueError: for a bad window, a seed outside of it, or a field of the wrong shape.
    """
    c = chart(field, window)
    starts = reals(seeds)
    if starts.size == 0 and np.size(seeds):
        raise expected("seeds", "points of shape (n, 2)", seeds)
    if starts.size == 0:
        return ()
    if starts.ndim != 2 or starts.shape[1] != 2:
        raise OdescentError(f"seeds must be points of shape (n, 2), not of shape {starts.shape}.")
    u = (starts - c.low) / c.size
    outside = ~(np.abs(u - 0.5) <= 0.5).all(1)
    if outside.any():
        seed = starts[int(np.argmax(outside))].tolist()
        raise OdescentError(f"seeds must lie inside the window; {seed} is not in {window!r}.")
    goals = _goals(c, fixed)
    return tuple(_both_ways(c, start, goals, max_length) for start in u)


@np.errstate(all="ignore")
def even_lines(
    field: Field,
    window: Sequence[Sequence[float]],
    fixed: Sequence[FixedPoint] = (),
    spacing: float = 0.07,
    avoid: Sequence[Curve] = (),
) -> tuple[Line, ...]:
    """Flow lines that cover the window evenly; the same input gives the same lines.

    New lines start at distance `spacing` from earlier ones and end where they come nearer than
    half of `spacing` to one; short pieces are left out. They are followed to 1e-6 of the window, far
    below a pixel. Source: Jobard and Lefer, Creating
    evenly-spaced streamlines of arbitrary density (1997).

    Args:
        field: the vector field.
        window: what to cover.
        fixed: the fixed points, where lines end.
        spacing: distance between lines in window sides, from 0.01 to 0.5.
        avoid: other curves, such as separatrices, to keep clear of, each of shape (k, 2).

    Raises:
        ValueError: for a bad window or spacing, or a field that returns the wrong shape.
    """
    if not 0.01 <= spacing <= 0.5:
        raise OdescentError(f"lines must be spaced by 0.01 to 0.5 window sides, not {spacing}.")
    c = chart(field, window)
    goals = _goals(c, fixed)
    lines: list[Line] = []
    drawn = (np.concatenate([np.empty((0, 2)), *avoid]) - c.low) / c.size
    rest = grid(9)[np.argsort(np.linalg.norm(grid(9) - 0.5, axis=1), kind="stable")]
    queue = [0.02 + 0.96 * u for u in rest]
    budget = 12_000 + 200 / spacing  # points in all: a stiff field gets fewer lines, not a wait
    while queue and budget > 0:
        start = queue.pop(0)
        if len(drawn) and np.linalg.norm(drawn - start, axis=1).min() < spacing:
            continue
        line = _both_ways(c, start, goals, 10.0, drawn, 0.5 * spacing, 1e-6)
        budget -= len(line.points)
        u = (line.points - c.low) / c.size
        if np.linalg.norm(np.diff(u, axis=0), axis=1).sum() < min(2 * spacing, 0.2):
            continue
        lines.append(line)
        drawn = np.concatenate([drawn, u])
        queue[:0] = _beside(u, spacing)
    return tuple(lines)


@np.errstate(all="ignore")
def separatrices(
    field: Field,
    window: Sequence[Sequence[float]],
    fixed: Sequence[FixedPoint],
    max_length: float = 10.0,
) -> tuple[Separatrix, ...]:
    """The branches of each saddle in `fixed`: two unstable ones forwards, two stable backwards.

    They start a ten-thousandth of the window from the saddle along its eigenvectors, so their distance to the true
    manifold is of the order of that offset squared; a second branch from twice as far estimates it.

    Args:
        field: the planar field.
        window: (low, high) of each coordinate.
        fixed: the fixed points; branches end near them.
        max_length: of a branch, in window sides.

    Raises:
        ValueError: for a bad window, or a field that returns the wrong shape.
    """
    c = chart(field, window)
    goals = _goals(c, fixed)
    found: list[Separatrix] = []
    for point in fixed:
        if point.kind != "saddle":
            continue
        home = (point.point - c.low) / c.size
        for k, stable in ((0, True), (1, False)):
            direction = point.eigenvectors[:, k].real / c.size
            for side in (_OFFSET, -_OFFSET):
                start = home + side * direction / np.linalg.norm(direction)
                if not (np.abs(start - 0.5) <= 0.5).all():
                    continue
                sign = -1.0 if stable else 1.0
                path, ended = _half(c, start, sign, goals, max_length)
                points = c.out(np.concatenate([home[None], path]))
                twice, end = _half(c, home + 2 * (start - home), sign, goals, max_length)
                if (
                    ended == end == "window"
                ):  # errors go as the offset squared: a third of the difference
                    error = float(np.linalg.norm((path[-1] - twice[-1]) * c.size)) / 3
                else:
                    error = _bent(c, start, home, direction)
                found.append(Separatrix(points, point.point, stable, ended, error))
    return tuple(found)


def _bent(c: Chart, start: Point, home: Point, direction: Point) -> float:
    """How far a start is off the manifold by its curvature: the velocity's turn over the distance to the saddle."""
    velocity = c(start[None])[0]
    along = direction / np.linalg.norm(direction)
    across = velocity - (velocity @ along) * along
    turn = float(np.linalg.norm(across) / max(float(np.linalg.norm(velocity)), 1e-300))
    return turn * float(np.linalg.norm((start - home) * c.size))


def _goals(c: Chart, fixed: Sequence[FixedPoint]) -> Curve:
    """The fixed points in window coordinates."""
    goals: Curve = (np.array([p.point for p in fixed]).reshape(-1, 2) - c.low) / c.size
    return goals


def _both_ways(
    c: Chart,
    start: Point,
    goals: Curve,
    max_length: float,
    drawn: Curve | None = None,
    near: float = 0.0,
    accuracy: float = 1e-9,
) -> Line:
    """Forwards, then backwards; the second half keeps clear of the first."""
    forward, end = _half(c, start, 1.0, goals, max_length, drawn, near, accuracy=accuracy)
    if end == "closed":
        return Line(c.out(forward), ("closed", "closed"))
    backward, begin = _half(c, start, -1.0, goals, max_length, drawn, near, forward, accuracy)
    return Line(c.out(np.concatenate([backward[:0:-1], forward])), (begin, end))


def _half(
    c: Chart,
    start: Point,
    sign: float,
    goals: Curve,
    max_length: float,
    drawn: Curve | None = None,
    near: float = 0.0,
    own: Curve | None = None,
    accuracy: float = 1e-9,
) -> tuple[Curve, Ending]:
    """One half line in window coordinates and why it ended."""
    direction = _Direction(c, sign, start)
    path = [start]
    if direction.bad:
        return np.array(path), "not finite"
    solver = RK45(
        direction, 0.0, start, max_length, _STEP, accuracy, accuracy / 100, first_step=_OFFSET
    )
    away, mark, creeps = np.linalg.norm(goals - start, axis=1), 0.0, False
    for k in range(1, _MAX_STEPS):
        direction.bad, before = False, solver.f
        solver.step()
        u = solver.y
        if solver.status == "failed":
            return np.array(path), "not finite" if direction.bad else "stalled"
        if np.abs(u - 0.5).max() > 0.5:
            path.append(_edge(solver.dense_output(), solver.t_old, solver.t))
            return np.array(path), "window"
        path.append(u.copy())
        if k % 50 == 0:
            creeps, mark = solver.t - mark < 0.01 * _STEP, solver.t
        if creeps or before @ solver.f < -0.5 or not solver.f.any():
            return np.array(path), "not finite" if direction.bad else "stalled"
        distance = np.linalg.norm(goals - u, axis=1)
        arrived = (distance < _ARRIVED) & (distance < away)
        if arrived.any():
            path.append(goals[int(np.argmax(arrived))])
            return np.array(path), "fixed point"
        away = distance
        if solver.t > 0.05 and abs(u - start).max() < 0.02 and _passes(path[-2], u, start):
            path.append(start)
            return np.array(path), "closed"
        if drawn is not None and _crowded(path, drawn, own, near):
            return np.array(path), "crowded"
        if solver.status == "finished":
            return np.array(path), "length"
    return np.array(path), "step limit"


class _Direction:
    """The direction of the field by arc length; zero where the field is, NaN where it breaks."""

    def __init__(self, c: Chart, sign: float, start: Point) -> None:
        velocity = c(start[None])[0]  # the one call that checks what the field returns
        self.c, self.sign = c, sign
        self.bad = not bool(np.isfinite(velocity).all())
        self.still = 1e-12 * float(np.abs(velocity).max())

    def __call__(self, _: float, u: Point) -> Point:
        velocity = np.asarray(self.c.field((self.c.low + u * self.c.size)[None]))[0] / self.c.size
        speed = math.hypot(*velocity)
        self.bad = self.bad or not math.isfinite(speed)
        factor = self.sign / speed if speed > self.still else 0.0 * speed
        turned: Point = velocity * factor
        return turned


def _edge(inside: Callable[[float], Point], low: float, high: float) -> Point:
    """The point where a step leaves the unit square, by bisection."""
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if np.abs(inside(middle) - 0.5).max() <= 0.5 else (low, middle)
    edge: Point = np.clip(inside(low), 0.0, 1.0)
    return edge


def _passes(a: Point, b: Point, goal: Point) -> bool:
    """Whether the segment from a to b passes the goal at less than `_CLOSED`."""
    chord = b - a
    along = float(np.clip((goal - a) @ chord / (chord @ chord), 0.0, 1.0))
    return float(np.hypot(*(a + along * chord - goal))) < _CLOSED


def _crowded(path: list[Point], drawn: Curve, own: Curve | None, near: float) -> bool:
    """Whether the tip is too near to an earlier line, or beside an earlier turn of its own."""
    tip, heading = path[-1], path[-1] - path[-2]
    if len(drawn) and np.linalg.norm(drawn - tip, axis=1).min() < near:
        return True
    before = np.array(path) if own is None else np.concatenate([path, own])
    offset = before - tip
    gap = np.linalg.norm(offset, axis=1)
    along = np.abs(offset @ heading) / np.linalg.norm(heading)
    return bool(((gap < near) & (gap > 1e-6) & (along < 0.3 * gap)).any())


def _beside(u: Curve, spacing: float) -> list[Point]:
    """Candidate starts at `spacing` to the left and right of a line."""
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(u, axis=0), axis=1))])
    at = np.searchsorted(arc, np.arange(0.0, arc[-1], spacing)).clip(1, len(u) - 1)
    heading = u[at] - u[at - 1]
    normal = np.stack([-heading[:, 1], heading[:, 0]], 1)
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = 1.001 * spacing * normal / np.where(length > 0, length, 1.0)
    sides = np.concatenate([u[at] + normal, u[at] - normal])
    return [s for s in sides if (np.abs(s - 0.5) < 0.495).all()]
