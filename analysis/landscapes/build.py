"""The landscape of methods on an objective: its runs, level lines and critical points, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from ..._support.errors import OdescentError, expected
from ..._support.numbers import check_whole, real, reals
from ...discretize import Algorithm
from ...dynamics import Objective, System
from ..portraits.field import Window, check_window
from ..portraits.phase import own_values
from ..portraits.portrait import window_around
from ..portraits.section import Section
from .critical_points import critical_in, described_point, equilibria_at, functions_of, value_at
from .given import Starts, methods_of, starts_of, values_of
from .landscape import Course, Landscape
from .orbits import FlowOrbits, MethodOrbits, PreparedFlow, PreparedMethod
from .planes import NamedPlane, own_plane, plane_through, unseen

_GRID = 201  # points a side
_LINES = 14
_REACH = 2.5  # a side of the window that is this much shorter is made longer


def landscape(
    methods: Any,
    objective: Objective,
    x0: Any = None,
    *,
    steps: int = 50,
    t0: float = 0.0,
    t1: float | None = None,
    parameters: Mapping[str, Any] | None = None,
    flow: bool | None = None,
    plane: Any = None,
    at: Any = None,
    window: Sequence[Sequence[float]] | None = None,
    levels: int | Sequence[float] = _LINES,
) -> Landscape:
    """Optimizers on a function of two variables, or on a plane through one of many, over its level lines.

    The iterates and the flow are those of the full system, whatever its dimension. At each critical point of f
    that is found in the window, the state of each method at rest there is linearized: eigenvalues, and whether it is
    stable. Where the operations of f have interval bounds, its critical points in the window are proved to be all.

    >>> print(od.analysis.landscape(["gradient_descent", "heavy_ball"], "himmelblau", [-1, 0]))

    Args:
        methods: an algorithm or a system, or its name; a list of them; or a mapping from labels to them.
        objective: a function of two variables, or of more with a ``plane``.
        x0: where they start: an array of shape (d,); many, of shape (n, d); or a dict of blocks to such
            arrays, for methods that have these blocks. By default the objective's own start.
        steps: of the methods.
        t0: the time at which flows of systems begin; that of a method begins with its clock.
        t1: the time that flows are followed for; by default as long as the steps of their method, or 10.
        parameters: values by name, or by a word for them, for all methods that have them; mu and L default to the
            objective's, and where it has none to the curvatures along a gradient descent from the first start.
        flow: whether to draw the flow of each method; by default where there is one method only.
        plane: for more than two variables: "run" (principal components of the iterates, the default), "curvature"
            (the two directions of greatest curvature at a point), two points (the third is the minimizer, or where
            the first run ends) or three, or a `Section`.
        at: the point for "curvature"; by default as above.
        window: ((x0, x1), (y0, y1)) in the plane; by default around all that is drawn and does not diverge.
        levels: values of f for its level lines, or how many.

    Raises:
        NotCarried: a method that draws noise, or a system with noise.
        OdescentError: a function of one variable, a missing start or parameter, a bad window, a degenerate plane.
    """
    if "value" not in objective.oracles:
        raise OdescentError(
            f"a landscape needs the values of a function; the objective {objective.name!r} has none."
        )
    check_whole("steps", steps, 1)
    starts, blocks = starts_of(x0, objective)
    for start in starts:
        if not np.isfinite(value_at(objective, start)):
            at_text = ", ".join(f"{v:g}" for v in start[:4].tolist())
            raise OdescentError(
                f"{objective.name} is not finite at the start ({at_text}); start inside of its domain."
            )
    named = methods_of(methods)
    given, remarks = values_of(named, objective, starts, dict(parameters or {}))
    made = {n: _prepared(m, objective, given) for n, m in named.items()}
    runs = {
        n: m.run(starts, blocks, steps) for n, m in made.items() if isinstance(m, PreparedMethod)
    }
    shown = _plane(plane, at, starts, runs, objective)
    alone = len(made) == 1
    wanted = {
        n: m
        for n, m in made.items()
        if isinstance(m, PreparedFlow) or (alone if flow is None else flow)
    }
    begin = _beginning(t0, wanted)
    flows, solved, more = _flows(wanted, runs, starts, blocks, begin, t1, shown.section, alone)
    # the window shows all that is drawn, but for what diverges
    project = shown.section.project
    iterates = {n: _projected(r.x, shown.section) for n, r in runs.items()}
    curves = {n: _projected(r.x, shown.section) for n, r in solved.items()}
    best = objective.minimizer if np.shape(objective.minimizer) == starts.shape[1:] else None
    if window is None:
        drawn = (
            [project(starts)]
            if best is None
            else [project(starts), project(np.asarray(best)[None])]
        )
        drawn += [z[runs[n].diverged_at < 0] for n, z in iterates.items()]
        drawn += [z[solved[n].reached >= solved[n].t[:, -1].max()] for n, z in curves.items()]
        frame = _widened(window_around(drawn))
    else:
        frame = check_window(window)
    x, y, values = _values(objective, shown.section, frame)
    # critical points, and what each method makes of them
    points, search = critical_in(objective, shown.section, frame)
    size = max(high - low for low, high in frame)
    seen = equilibria_at(points, runs, flows, solved, steps, size)
    critical = tuple(
        described_point(objective, p, shown.section, {n: e[i] for n, e in seen.items()})
        for i, p in enumerate(points)
    )
    values_seen: list[np.ndarray] = [r.f for r in runs.values()] + [r.f for r in solved.values()]
    lowest = [p.value for p in critical] + [float(np.nanmin(f)) for f in values_seen]
    if best is not None:
        lowest.append(value_at(objective, np.asarray(best, np.float64)))
    return Landscape(
        objective=objective.name, window=frame, labels=shown.labels, section=shown.section, x=x, y=y, values=values,
        levels=_levels(levels, values), critical_points=critical, search=search,
        courses={n: _course(r) for n, r in runs.items()},
        flow_courses={n: _flow_course(r) for n, r in solved.items()},
        iterates=iterates, flows=curves, times={n: r.t for n, r in solved.items()},
        out_of_plane={n: unseen(r.x, shown.section) for n, r in (runs | solved).items()} if starts.shape[1] > 2 else {},
        least=min(lowest), remarks=(*remarks, *more),
    )  # fmt: skip


def _prepared(
    m: Algorithm | System, target: Objective, given: Mapping[str, Any]
) -> PreparedMethod | PreparedFlow:
    if isinstance(m, Algorithm):
        return PreparedMethod(m, target, own_values(m, given))
    return PreparedFlow(m, target, {s.name: given[s.name] for s in m.parameters if s.name in given})


def _plane(
    plane: Any, at: Any, starts: Starts, runs: Mapping[str, MethodOrbits], target: Objective
) -> NamedPlane:
    if plane is None and starts.shape[1] == 2:
        return own_plane()
    if plane is None:
        plane = "run"
    if not runs and isinstance(plane, str) and plane == "run":
        raise OdescentError(
            "the plane of the principal components needs iterates; give another plane=, or a method with a scheme."
        )
    whole = [r.x[r.diverged_at < 0] for r in runs.values() if (r.diverged_at < 0).any()]
    return plane_through(plane, np.concatenate(whole) if whole else starts[:, None], target, at)


# flows


def _beginning(t0: float, wanted: Mapping[str, PreparedMethod | PreparedFlow]) -> float:
    """The time at which flows of systems begin, checked."""
    begin = real(t0)
    if not np.isfinite(begin):
        raise expected("t0 of landscape", "a finite time", t0)
    if begin and not any(isinstance(m, PreparedFlow) for m in wanted.values()):
        raise OdescentError(
            "t0 is the time at which flows of systems begin, and there are methods only; their clocks say when they do."
        )
    return begin


def _flows(
    wanted: Mapping[str, PreparedMethod | PreparedFlow], runs: Mapping[str, MethodOrbits], starts: Starts,
    blocks: Mapping[str, Starts], t0: float, t1: float | None, section: Section, alone: bool,
) -> tuple[dict[str, PreparedFlow], dict[str, FlowOrbits], list[str]]:  # fmt: skip
    """The flows that are drawn, by label, their solutions, and what prevents the others."""
    flows: dict[str, PreparedFlow] = {}
    solved: dict[str, FlowOrbits] = {}
    said: list[str] = []
    for name, m in wanted.items():
        label = name if isinstance(m, PreparedFlow) else "flow" if alone else f"{name}, flow"
        if isinstance(m, PreparedFlow):
            flow, clock = m, np.array([t0, t0 + (10.0 if t1 is None else t1)])
        else:
            bound = m.flow()
            if bound is None or t1 == 0:
                continue
            flow, clock = PreparedFlow(bound[0], m.target, bound[1]), runs[name].t
            if t1 is not None:
                clock = np.array([clock[0], *clock[1:2], clock[0] + t1])
        if not clock[-1] > clock[0]:
            continue
        try:
            solved[label] = flow.run(
                starts, blocks, (float(clock[0]), float(clock[-1])), section.project
            )
        except OdescentError:
            # many clocks begin where the coefficients are infinite: then at the first step
            if isinstance(m, PreparedFlow) or flow.system.autonomous or len(clock) < 3:
                raise
            solved[label] = flow.run(
                starts, blocks, (float(clock[1]), float(clock[-1])), section.project
            )
            said.append(
                f"{label}: it starts at t = {clock[1]:.4g}, as its velocity is not finite at t = {clock[0]:.4g}."
            )
        flows[label] = flow
        ended = solved[label].reached
        if (ended < clock[-1]).any():
            said.append(
                f"{label}: it blows up at about t = {ended.min():.4g}, and is drawn up to there."
            )
    return flows, solved, said


# the picture


def _projected(x: Float[np.ndarray, "n k d"], section: Section) -> Float[np.ndarray, "n k 2"]:
    return np.stack([section.project(z) for z in x])


def _widened(frame: Window) -> Window:
    """The window with the shorter side made longer where it would be a thin strip."""
    sides = np.array(frame)
    size = sides[:, 1] - sides[:, 0]
    least = size.max() / _REACH
    more = np.maximum(least - size, 0.0) / 2
    (x0, x1), (y0, y1) = (sides + np.stack([-more, more], 1)).tolist()
    return (x0, x1), (y0, y1)


def _values(
    target: Objective, section: Section, frame: Window
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y = (np.linspace(low, high, _GRID) for low, high in frame)
    points = np.stack(np.meshgrid(x, y), -1)
    with jax.enable_x64(True):
        values = np.asarray(functions_of(target)[2](section.origin + points @ section.basis.T))
    if not np.isfinite(values).any():
        raise OdescentError(f"{target.name} is not finite anywhere in the window {frame}.")
    return x, y, values


def _levels(levels: int | Sequence[float], values: np.ndarray) -> np.ndarray:
    """Values of f that divide the window so that lines of a quadratic bowl would be evenly spaced."""
    if not isinstance(levels, (int, np.integer)) or isinstance(levels, bool):
        own = np.sort(reals(levels).ravel())
        if not own.size or not np.isfinite(own).all():
            raise expected("levels of landscape", "a number of lines, or finite values", levels)
        return np.unique(own)
    check_whole("levels", levels, 2, 200)
    shares = ((np.arange(int(levels)) + 0.5) / int(levels)) ** 2
    return np.unique(np.quantile(values[np.isfinite(values)], shares))


# records


def _course(r: MethodOrbits) -> Course:
    n, k = r.f.shape
    t = np.broadcast_to(r.t, (n, k))
    h = np.diff(r.t)
    moved = np.linalg.norm(np.diff(r.x, axis=1), axis=2) / np.where(h > 0, h, 1.0)
    push = (
        r.push
        if r.push is not None and np.nanmax(np.abs(r.push)) > 1e-12 * np.nanmax(np.abs(r.x))
        else None
    )
    return Course(
        r.x, r.f, t, np.concatenate([np.zeros((n, 1)), moved], axis=1), push, r.diverged_at
    )


def _flow_course(r: FlowOrbits) -> Course:
    return Course(r.x, r.f, r.t, np.linalg.norm(r.velocity, axis=2), None, np.full(len(r.x), -1))
