"""First passages and basins of methods that draw noise, by simulation: many runs of the emitted step at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, Key

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from ...analysis.attraction.basin_map import wilson
from ...discretize.emit.backend import needs
from ...discretize.faces import Algorithm
from ...discretize.programs import draws
from ...discretize.runs.emitted_stepper import algorithm_stepper
from ...dynamics.flows.parameters import parameter_values
from ...dynamics.flows.stepper import PointStepper, iterate
from ...dynamics.vector_fields.objective import Objective
from ...dynamics.vector_fields.own_functions import current
from ..engine.starts import gaussian_start


@dataclass(frozen=True)
class Passage(Rendered):
    """First passages of independent runs.

    Attributes:
        steps: the first step, 1 or more, after which a run was where it should come; 0 if it began there, and -1
            for runs that had not come there at the end.
        limit: largest number of steps.
    """

    steps: Int[np.ndarray, " runs"]
    limit: int

    def __str__(self) -> str:
        said = f"{self.arrived} of {len(self.steps)} runs arrived within {self.limit} steps"
        return f"{said}; mean {self.mean:.6g} steps"

    @property
    def arrived(self) -> int:
        """How many runs came there."""
        return int(np.sum(self.steps >= 0))

    @property
    def mean(self) -> float:
        """The mean number of steps: of all steps made, by the arrivals (for exponential times the likeliest)."""
        made = np.where(self.steps < 0, self.limit, self.steps)
        return float(np.sum(made) / self.arrived) if self.arrived else float("inf")

    @property
    def error(self) -> float:
        """The standard error of the mean of exponential times."""
        return self.mean / np.sqrt(self.arrived) if self.arrived else float("inf")


@checked
def first_passage(
    algorithm: Algorithm,
    objective: Objective,
    x0: Float[ArrayLike, "..."],
    reached: Callable[[Any], Any],
    *,
    steps: int,
    runs: int,
    key: Key[Array, ""] | int,
    normals: str = "counter",
    **parameters: Any,
) -> Passage:
    """The number of steps of independent runs from x0 until ``reached(x)`` holds.

    Args:
        algorithm: a method that draws noise; of an ensemble, x is its consensus point.
        objective: with the oracles that it calls.
        x0: the starting point, or the particles (N, d); the same for all runs.
        reached: a JAX function of x to a truth value.
        steps: the most steps of a run. The loop ends when all runs have arrived.
        runs, key: how many, and a JAX key or a seed.
        normals: "counter" or "jax", the generator that they draw from.
        parameters: of the method, by name.

    A step that jumps over the set is not seen: take it thick, or the steps short.

    Returns:
        The first passages of all runs, in steps.
    """
    made, c, where = _prepared(algorithm, objective, parameters, normals)
    with jax.enable_x64(True):
        start = jnp.asarray(np.asarray(x0, dtype=np.float64))
        noise = draws.of_run(draws.source(key, normals), jnp.arange(runs))
        found = _passing(made, where, current(reached))(c, start, noise, steps)
        return Passage(np.asarray(found), int(steps))


@lru_cache(maxsize=32)
def _passing(
    made: PointStepper, where: Callable[[Any, Any], Any], reached: Callable[[Any], Any]
) -> Callable[..., Any]:
    def runs(c: Any, x0: Any, noise: Any, steps: Any) -> Any:
        count = jax.tree.leaves(noise)[0].shape[0]

        def seen(state: Any) -> Any:
            return reached(where(made.output(state, c), c))

        there: Callable[[Any], Any] = jax.vmap(seen)
        state = jax.tree.map(lambda a: jnp.broadcast_to(a, (count, *a.shape)), made.init(x0, c))
        first = jnp.where(there(state), 0, -1)

        def move(k: Any, carry: Any) -> Any:
            state, first = carry
            state = jax.vmap(lambda s, own: made.step(s, c, draws.at_step(own, k)))(state, noise)
            return state, jnp.where((first < 0) & there(state), k + 1, first)

        under_way = lambda carry: jnp.any(carry[1] < 0)
        return iterate(move, (state, first), steps, under_way)[1]

    return jax.jit(runs)


@dataclass(frozen=True)
class Reached(Rendered):
    """The end points of runs from several starts.

    Attributes:
        counts: number of runs from each of S starts that ended near each of M goals, and near none: shape (S, M + 1).
        low, high: Wilson's intervals of the shares at 95 %, same shape.
        ends: the last points, shape (S, runs, d).
    """

    counts: Int[np.ndarray, "S M1"]
    low: Float[np.ndarray, "S M1"]
    high: Float[np.ndarray, "S M1"]
    ends: Float[np.ndarray, "S runs d"]

    @property
    def share(self) -> Float[np.ndarray, "S M1"]:
        """The share of the runs from each start."""
        return np.asarray(self.counts / self.counts.sum(axis=1, keepdims=True))


@checked
def reach_probabilities(
    algorithm: Algorithm,
    objective: Objective,
    starts: Float[ArrayLike, "S d"],
    goals: Float[ArrayLike, "M d"],
    *,
    radius: float,
    steps: int,
    runs: int,
    key: Key[Array, ""] | int,
    normals: str = "counter",
    particles: int | None = None,
    spread: float = 0.0,
    **parameters: Any,
) -> Reached:
    """The probabilities of ending near each goal, from each start, estimated by independent runs.

    Args:
        algorithm: any method; of an ensemble, its consensus point is what ends somewhere.
        starts, goals: points of a grid, and minimizers.
        radius: near is a greatest difference of a coordinate below this; the nearest goal counts.
        steps, runs, key, normals: of every run; how many from each start; as for `first_passage`.
        particles, spread: of an ensemble: N, drawn with that standard deviation around the start.
        parameters: of the method, by name.

    Raises OdescentError for shapes that do not fit, and an ensemble without particles.
    """
    made, c, where = _prepared(algorithm, objective, parameters, normals)
    begin, ends = (np.atleast_2d(np.asarray(p, dtype=np.float64)) for p in (starts, goals))
    if begin.ndim != 2 or ends.ndim != 2 or begin.shape[1] != ends.shape[1]:
        raise OdescentError(
            f"starts and goals must be points of one dimension, not of the shapes {begin.shape} and {ends.shape}."
        )
    crowd = _population(algorithm)
    if crowd and particles is None:
        raise OdescentError("an ensemble needs the number of its particles: give particles=.")
    with jax.enable_x64(True):
        many = jnp.repeat(jnp.asarray(begin), runs, axis=0)
        noise = draws.source(key, normals)
        if crowd:
            around = gaussian_start(np.zeros(begin.shape[1]), spread, int(particles or 1))
            seed = draws.seed_of(key)
            cloud = jax.vmap(lambda run: around(seed, run).T)(jnp.arange(len(many)))
            many = many[:, None, :] + cloud
        each = draws.of_run(noise, jnp.arange(len(many)))
        last = np.asarray(_ending(made, where)(c, many, each, steps))
    last = last.reshape(len(begin), runs, -1)
    gap = np.max(np.abs(last[:, :, None, :] - ends[None, None]), axis=3)
    nearest = np.where(np.min(gap, axis=2) < radius, np.argmin(gap, axis=2), len(ends))
    counts = np.stack([np.sum(nearest == j, axis=1) for j in range(len(ends) + 1)], axis=1)
    bounds = np.array([[wilson(int(n), runs) for n in row] for row in counts])
    return Reached(counts, bounds[..., 0], bounds[..., 1], last)


@lru_cache(maxsize=32)
def _ending(made: PointStepper, where: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def one(c: Any, x0: Any, key: Any, steps: Any) -> Any:
        def move(k: Any, state: Any) -> Any:
            return made.step(state, c, draws.at_step(key, k) if made.draws else None)

        return where(made.output(iterate(move, made.init(x0, c), steps), c), c)

    return jax.jit(jax.vmap(one, in_axes=(None, 0, 0, None)))


def _population(algorithm: Algorithm) -> bool:
    return "populations" in needs(algorithm.tuned)


def _prepared(
    algorithm: Algorithm, objective: Objective, parameters: dict[str, Any], generator: str
) -> tuple[PointStepper, Any, Callable[[Any, Any], Any]]:
    """The stepper, its coefficients, and where a run is seen: at its output, or the consensus point of that."""
    algorithm, parameters = algorithm.freed(parameters)
    made = algorithm_stepper(algorithm, objective, generator)
    values = parameter_values(made.name, made.parameters, parameters, made.defaults)
    with jax.enable_x64(True):
        c = made.coefficients(values)
    return made, c, _met(objective) if _population(algorithm) else _output


def _output(x: Any, c: Any) -> Any:
    return x


@lru_cache(maxsize=32)
def _met(objective: Objective) -> Callable[[Any, Any], Any]:
    return lambda x, c: objective.ensemble(x, c.alpha)
