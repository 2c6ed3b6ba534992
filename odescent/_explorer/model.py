"""The compiled programs behind a picture of one algorithm on one objective; numbers are passed in.

A slider only changes numbers, so everything here is keyed by structure: the algorithm, the objective and whether the
tuning is followed. Programs take the parameters, the curvature, the starting point and the length as arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .._support.errors import OdescentError
from ..discretize import Algorithm
from ..discretize.emit import called, load
from ..discretize.programs import draws
from ..discretize.runs.emitted_stepper import algorithm_stepper, module_of, oracles_for
from ..dynamics import Objective
from ..dynamics.evaluation.evaluate import evaluate, oracles_of
from ..dynamics.flows.solution import Problem, problem
from ..dynamics.flows.stepper import orbit
from ..dynamics.flows.tableaux import runge_kutta
from ..particles import gaussian_start
from ..particles.engine.population import polar
from .choice import MODE, PATHS, PLANE, algorithm, complete, concrete, meetings, spectrum
from .ensemble import PathEnsemble, average
from .panel import Points

STEPS = 200  # iterates that the compiled scan makes; fewer are shown
FLOW_STEPS = 1200  # Runge-Kutta steps along the flow, every second kept
_ARC = 10  # points on each little arc of the field


@dataclass(frozen=True)
class Track:
    """Iterates and the flow from the same start, in the picture's coordinates.

    Attributes:
        iterates: shape (k + 1, 2), the finite ones; with noise those of the first path.
        flow: shape (m, 2), as far as it is finite; empty for particles that meet, which have no flow of one point.
        values: of the objective at the iterates, shape (k + 1,), or None.
        diverged_at: the step that is not finite any more, or None.
        cut: whether the flow leaves the finite numbers.
        ensemble: all paths, where there is noise or particles meet.
    """

    iterates: Points
    flow: Points
    values: Float[np.ndarray, " k"] | None
    diverged_at: int | None
    cut: bool
    ensemble: PathEnsemble | None = None


class Model:
    """An algorithm on an objective, with its compiled programs.

    Attributes:
        dimension: variables of the objective, 1 or 2.
        kind: "phase" (two blocks of one variable), "time" (one block of one variable against time), "plane"
            (two variables, with level lines).
        axes: names on the two axes.
        hidden: blocks of one variable beside those two, which are not drawn.
        noisy: whether steps draw.
        asked: names of the oracles that the step calls.
        meets: whether the state is of many particles, which have a consensus point.
    """

    def __init__(self, made: Algorithm, objective: str) -> None:
        self.algorithm, self.objective = made, objective
        self.known = concrete(objective)
        self.dimension = (
            2 if objective == PLANE else (self.known.dimension or 1) if self.known else 1
        )
        self.module: ModuleType = module_of(made, "counter")
        self.meetings = meetings(made)
        self.meets = bool(self.meetings)
        self.free = [s.name for s in made.parameters]
        self.vectors = [b for b in made.bound.blocks if b.kind != "scalar"]
        started = [b for b in self.vectors if b.init]
        ordered = [*started, *(b for b in self.vectors if b not in started)]
        self.shown = [b.name for b in ordered[:2]]
        self.kind = "plane" if self.dimension == 2 else "time" if len(self.shown) == 1 else "phase"
        self.axes = {"plane": ("x1", "x2"), "time": ("t", self.shown[0])}.get(self.kind) or (
            self.shown[0],
            self.shown[1],
        )
        self.hidden = [b.name for b in ordered[2:]] if self.kind == "phase" else []
        total = sum(1 if b.kind == "scalar" else self.dimension for b in made.bound.blocks)
        autonomous = made.bound.autonomous
        fits = (total == 2 and autonomous and self.kind != "time") or total == 1
        self.has_field = fits and not self.meets
        self.noisy = bool(made.tuned.draws)
        self._track = jax.jit(self._followed)
        self._arcs = jax.jit(self._little_arcs)
        self._values = jax.jit(self._heights)
        with jax.enable_x64(True):  # what cannot be carried is said here
            known = self.objective_of(jnp.ones(()), jnp.ones(2))
            self.asked = [*oracles_for(made.name, self.module, known)]

    def objective_of(self, curvature: Any, spectrum: Any) -> Objective:
        """The objective; for the explorer's own, of curvatures that may be traced."""
        if self.known is not None:
            return self.known
        a = curvature if self.objective == MODE else spectrum
        return Objective(
            "quadratic",
            lambda x: jnp.vdot(a * x, x) / 2,
            lambda x: a * x,
            dimension=self.dimension,
            prox=lambda x, step: x / (1 + step * a),
            operator=lambda x: a * x,
            map_newton=lambda x: x,
            map_hessian_diagonal=lambda x: a + 0 * x,
            hess=lambda x, v: a * v,
        )

    # compiled

    def _followed(
        self, numbers: Mapping[str, Any], curvature: Any, x0: Any, time: Any, key: Any, crowd: Any
    ) -> tuple[Any, ...]:
        """Points, shape (k, j), values and what is bad; the flow; consensus points with their values.

        Of an ensemble there is an axis of `PATHS` after that of steps, so that a slider changes no shape; those beyond
        the number in ``crowd`` are NaN.
        """
        spectrum = jnp.stack([numbers["mu"], numbers["L"]])
        target = self.objective_of(curvature, spectrum)
        # not one that is kept: this objective may hold traced numbers
        made = algorithm_stepper(self.algorithm, target, kept=False)
        c = made.coefficients({n: numbers[n] for n in self.free})

        def absent(now: Any, after: Any) -> Any:
            """Particles that are not wanted stay NaN; a draw around the consensus point would revive them."""
            present = jnp.arange(PATHS)[:, None] < crowd[0]
            return jnp.where(present, after, now) if now.ndim == 2 else after

        def iterated(x0: Any, source: Any) -> Any:
            def step(k: Any, state: Any) -> Any:
                after = made.step(state, c, draws.at_step(source, k) if self.noisy else None)
                return jax.tree.map(absent, state, after) if self.meets else after

            return orbit(step, lambda state: made.record(state, c), made.init(x0, c), STEPS)[1]

        source = draws.source(key)
        if self.meets:
            x, states, f, bad = iterated(self._starts(x0, key, *crowd), source)
        elif self.noisy:
            begin = jnp.where(jnp.arange(PATHS)[:, None] < crowd[0], x0[None], jnp.nan)
            sources = draws.of_run(source, jnp.arange(PATHS))
            out = jax.vmap(iterated)(begin, sources)
            x, states, f, bad = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), out)
        else:
            x, states, f, bad = iterated(x0, source)
        names = self.shown if self.dimension == 1 else []
        points = x if self.dimension == 2 else jnp.concatenate([states[n] for n in names], axis=-1)
        if self.meets:
            return points, f, bad, None, self._centers(target, numbers, x)
        return points, f, bad, self._flow(numbers, curvature, x0, time), None

    def _starts(self, x0: Any, key: Any, count: Any, width: Any) -> Any:
        """Normal draws around x0, those of the particle engine; NaN, without a weight, for those not wanted."""
        z = gaussian_start(np.zeros(self.dimension), 1.0, PATHS)(draws.seed_of(key), 0).T
        return jnp.where(jnp.arange(PATHS)[:, None] < count, x0[None] + width * z, jnp.nan)

    def _centers(self, target: Objective, numbers: Mapping[str, Any], x: Any) -> Any:
        """The consensus points of ensembles x, shape (k, N, d), and the objective there; None if each has its own."""
        first = self.meetings[0]
        if polar(first):
            return None
        symbols = first.parameters[0].free_symbols
        alpha = evaluate(first.parameters[0], {s: numbers[s.name] for s in symbols}, {}, jnp)
        at = jax.vmap(lambda ensemble: target.ensemble(ensemble, alpha))(x)
        return at, jax.vmap(target.oracles["value"])(at)

    def _flow(self, numbers: Mapping[str, Any], curvature: Any, x0: Any, time: Any) -> Any:
        flow, values = self._field(numbers, curvature)
        dt = time / FLOW_STEPS
        begin = 1e-6 * dt  # some systems have a singularity at time zero

        def move(k: Any, state: Any) -> Any:
            t = begin + k.astype(float) * dt
            return runge_kutta("rk4", lambda t, y: flow.rates(t, y, values), t, state, dt)

        states = orbit(move, lambda state: state, flow.init(x0, values), FLOW_STEPS, 2)[1]
        if self.dimension == 1:
            named = flow.named(states)
            return jnp.concatenate([named[n] for n in self.shown], axis=1)
        return jax.vmap(lambda state: flow.output(begin, state, values))(states)

    def _field(self, numbers: Mapping[str, Any], curvature: Any) -> tuple[Problem, Any]:
        system = self.algorithm.bound
        target = self.objective_of(curvature, jnp.stack([numbers["mu"], numbers["L"]]))
        values = tuple(numbers[p.name] for p in system.parameters)
        asked = oracles_for(self.algorithm.name, self.module, target)
        maps = {
            n: f for n, f in asked.items() if n.startswith("map_")
        }  # derived ones too, as in runs
        return problem(system, {**oracles_of(system, target), **maps}, system.parameters), values

    def _little_arcs(
        self, numbers: Mapping[str, Any], curvature: Any, seeds: Any, size: Any
    ) -> tuple[Any, Any]:
        """Arcs of equal length on the picture along the field, and the speed at their middle."""
        flow, values = self._field(numbers, curvature)
        rates: Callable[..., Any] = lambda t, state: flow.rates(t, state, values)
        order = [b.name for b in flow.system.blocks]
        at = [order.index(n) for n in self.shown]

        def velocity(p: Any) -> Any:
            if self.kind == "time":
                out = rates(p[0], (p[1:],))
                return jnp.stack([jnp.ones(()), out[0][0]])
            if self.kind == "plane":
                return rates(0.0, (p,))[0]
            state: list[Any] = [None] * len(order)
            for axis, i in enumerate(at):
                state[i] = p[axis : axis + 1]
            out = rates(0.0, tuple(state))
            return jnp.concatenate([out[i] for i in at])

        length = 0.055 / _ARC

        def along(_: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
            w = velocity(state[0]) / size
            return (size * w / (jnp.linalg.norm(w) + 1e-30),)

        def one(seed: Any) -> tuple[Any, Any]:
            move = lambda _, state: runge_kutta("midpoint", along, 0.0, state, length)
            (points,) = orbit(move, lambda state: state, (seed,), _ARC)[1]
            return points, jnp.linalg.norm(velocity(seed) / size)

        return jax.vmap(one)(seeds)

    def _heights(self, curvature: Any, spectrum: Any, points: Any) -> Any:
        return jax.vmap(self.objective_of(curvature, spectrum).oracles["value"])(points)

    # numbers in, arrays out

    def numbers(self, values: Mapping[str, float]) -> dict[str, float]:
        """All parameters' values; OdescentError for one outside of its domain."""
        constants = spectrum(self.objective)
        if "mu" not in values:  # then no slider holds it above L
            constants["mu"] = min(constants["mu"], values.get("L", constants["L"]))
        found = complete(self.algorithm, {**constants, **values})
        coefficients(self.algorithm, found)
        if not 0 < found["mu"] <= found["L"]:
            raise OdescentError(
                f"mu must be at most L, but mu = {found['mu']:.4g} and L = {found['L']:.4g}."
            )
        return found

    def start(self, numbers: Mapping[str, float], curvature: float, x0: Any, seed: int) -> None:
        """Validate a start by a run of zero steps.

        Args:
            numbers: values of all parameters.
            curvature: of the quadratic mode.
            x0: the starting point, shape (d,).
            seed: of the noise.

        Raises:
            OdescentError: a start that is not finite, or a parameter that the method needs and lacks.
        """
        with jax.enable_x64(True):
            spectrum = jnp.array([numbers["mu"], numbers["L"]])
            target = self.objective_of(jnp.asarray(curvature, float), spectrum)
            begin = np.asarray(x0)[None] if self.meets else x0
            own = {n: numbers[n] for n in self.free}
            self.algorithm.run(target, begin, 0, key=seed, **own)

    def track(
        self, numbers: Mapping[str, float], curvature: float, x0: Any, steps: int, seed: int,
        crowd: tuple[int, float] = (1, 0.0),
    ) -> Track:  # fmt: skip
        """Iterates and flow from one start.

        Args:
            numbers: values of all parameters.
            curvature: of the quadratic mode.
            x0: the starting point, shape (d,).
            steps: number of iterations; the flow runs for the same time.
            seed: of the noise.
            crowd: number of paths or particles, and the standard deviation of the particles' start.

        Returns:
            The track; with noise it includes the ensemble.
        """
        h = numbers.get(self.algorithm.step.name, 1.0)
        with jax.enable_x64(True):
            found = self._track(
                {n: float(v) for n, v in numbers.items()},
                float(curvature),
                jnp.asarray(x0, float),
                h * steps,
                jax.random.key(seed),
                (int(crowd[0]), float(crowd[1])),
            )
            points, f, bad, flow, centers = jax.tree.map(np.asarray, found)
        points, bad = points[: steps + 1], bad[: steps + 1]
        f = None if f is None else f[: steps + 1]
        flow = np.zeros((0, 2)) if flow is None else self._timed(flow, h * steps)
        wild = ~(np.abs(flow) < 1e12).all(1)
        cut = bool(wild.any())
        flow = flow[: int(np.argmax(wild))] if cut else flow
        points = self._timed(points, h * steps)
        wild = ~np.isfinite(points).all(-1)
        bad = wild if self.meets else wild | bad  # some particles are none
        if points.ndim == 2:
            end = int(np.argmax(bad)) if bad.any() else steps + 1
            diverged = end if end <= steps else None
            return Track(points[:end], flow, None if f is None else f[:end], diverged, cut)
        many = self._ensemble(points[:, : crowd[0]], f, bad, centers, h * steps)
        whole = np.isfinite(many.paths[0]).all(1)
        values = None if many.values is None else many.values[0, whole]
        return Track(many.paths[0, whole], flow, values, None, cut, many)

    def _timed(self, points: Float[np.ndarray, "k ..."], end: float) -> Float[np.ndarray, "k ..."]:
        """With the time in front, where that is an axis of the picture."""
        if self.kind != "time":
            return points
        t = np.linspace(0, end, len(points)).reshape(-1, *(1,) * (points.ndim - 1))
        return np.concatenate(
            [np.broadcast_to(t, (*points.shape[:-1], 1)), points[..., :1]], axis=-1
        )

    def _ensemble(
        self, points: Float[np.ndarray, "k n 2"], f: Any, bad: Any, centers: Any, end: float
    ) -> PathEnsemble:
        length, n = points.shape[:2]
        gone = np.logical_or.accumulate(bad[:, :n].T, axis=1)
        paths = np.where(gone[..., None], np.nan, points.swapaxes(0, 1))
        values = None if f is None else np.where(gone, np.nan, f[:, :n].T)
        if centers is None or self.kind == "phase":
            return PathEnsemble(paths, average(paths), self.meets, False, values, None)
        at, heights = (c[:length] for c in centers)
        return PathEnsemble(paths, self._timed(at, end), self.meets, True, values, heights)

    def arcs(
        self, numbers: Mapping[str, float], curvature: float, window: Float[np.ndarray, "2 2"]
    ) -> tuple[Float[np.ndarray, "n j 2"], Float[np.ndarray, " n"]]:
        """Short arcs of the vector field on a grid over the window.

        Args:
            numbers: values of all parameters.
            curvature: of the quadratic mode.
            window: (low, high) of each coordinate.

        Returns:
            The arcs, and their speeds in units of the window per unit of time; arcs that are not finite are left out.
        """
        low, size = window[:, 0], window[:, 1] - window[:, 0]
        grid = np.stack(np.meshgrid(np.linspace(0.03, 0.97, 17), np.linspace(0.03, 0.97, 15)), -1)
        seeds = low + grid.reshape(-1, 2) * size
        with jax.enable_x64(True):
            lines, speed = self._arcs(dict(numbers), float(curvature), seeds, size)
        lines, speed = np.asarray(lines), np.asarray(speed)
        there = np.isfinite(lines).all((1, 2)) & np.isfinite(speed)
        return lines[there], speed[there]

    def levels(
        self, numbers: Mapping[str, float], curvature: float, window: Float[np.ndarray, "2 2"]
    ) -> list[Points]:
        """Level lines of the objective over the window.

        Args:
            numbers: values of all parameters.
            curvature: of the quadratic mode.
            window: (low, high) of each coordinate.

        Returns:
            Polylines, each of shape (k, 2); empty unless the objective has two variables.
        """
        from contourpy import contour_generator

        if self.dimension != 2:
            return []
        x, y = (np.linspace(a, b, 241) for a, b in window)
        points = np.stack(np.meshgrid(x, y), -1)
        with jax.enable_x64(True):
            spectrum = np.array([numbers["mu"], numbers["L"]])
            z = np.asarray(self._values(float(curvature), spectrum, points.reshape(-1, 2)))
        z = z.reshape(points.shape[:2])
        if not np.isfinite(z).any():
            return []
        low = float(np.nanmin(z))
        at = low + (float(np.nanmax(z)) - low) * np.linspace(0.03, 0.97, 11) ** 3
        made = contour_generator(x, y, z)
        return [np.asarray(line) for level in at for line in made.lines(level)]


def coefficients(made: Algorithm, numbers: Mapping[str, float]) -> dict[str, float]:
    """The numbers in the step, by the names in the emitted code; OdescentError for a parameter out of its domain."""
    module = load(made, "numpy")
    try:
        found = module.coefficients(
            **{called(module)[s.name]: numbers[s.name] for s in made.parameters}
        )
    except ValueError as error:
        raise OdescentError(str(error)) from None
    return {n: float(v) for n, v in found._asdict().items()}


@lru_cache(maxsize=64)
def model(method: str, scheme: str, tuned: bool, objective: str) -> Model:
    """The compiled model of a choice; arguments as for `choice.algorithm`, and the name of an objective.

    Args:
        method: name of an algorithm or a system.
        scheme: name of a scheme.
        tuned: keep the method's tuning.
        objective: name of an objective.

    Raises:
        OdescentError: the scheme or the objective does not fit the method.
    """
    return Model(algorithm(method, scheme, tuned), objective)
