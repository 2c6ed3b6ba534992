"""Steps of several independent searches, with their stopping criteria, as pure functions.

A search is a population under an algorithm, brought back into the feasible set after each step. One that has ended
is carried along unchanged, so that all of them are one compiled loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...discretize.faces import Algorithm
from ...dynamics.flows.stepper import trace
from ..engine.compiling import compiled
from ..engine.engine import PopulationStepper, stepper
from ..engine.layout import Record, State
from ..engine.starts import Start, gaussian_start
from .outcome import AGREED, AT_REST, BUDGET, NOT_FINITE, REACHED, STAGNANT

RUNNING = BUDGET  # where the steps are used up, it still runs
_SETTLED_VALUE = 1e-9  # of the whole fall of the best value: less is no improvement
_RECORDED = ("consensus", "best_point", "best_value", "ess", "spread", "nonfinite")
_AGAIN = 2**32  # runs that begin anew are numbered from here on, far from the first ones


@dataclass(frozen=True)
class SearchPlan:
    """All that searches are compiled for; equal plans share their compiled steps.

    Attributes:
        algorithm, fun, vectorized, dimension, particles, block, normals: see `stepper`; fun is None where the
            values come from outside.
        runs: how many searches.
        start: where they begin, or None for points that are given.
        project: of points as rows back into the feasible set, or None.
        schedule, laws: parameters that depend on the step, and on the values.
        spread: a search ends when its particles are that close together (root mean square, per coordinate),
        target: or the best value is that low,
        improvement, patience: or it fell by less than improvement max(1, |value|) in so many steps; 0 for never,
        rest: or neither it nor the consensus point has moved in so many steps, and they are together; 0 for never.
        near: how close to the best point the consensus point then is, in every coordinate.
        width: where a search goes on around its best point, the standard deviations there, or None to begin anew.
    """

    algorithm: Algorithm
    fun: Any
    vectorized: bool
    dimension: int
    particles: int
    runs: int
    start: Start | None
    project: Callable[[Any], Any] | None
    schedule: Callable[[Any, Any], Mapping[str, Any]] | None
    laws: tuple[tuple[str, Callable[[Any], Any]], ...]
    spread: float
    target: float
    improvement: float
    patience: int
    rest: int
    near: float
    width: tuple[float, ...] | None
    block: int | None
    normals: str


class SearchState(NamedTuple):
    """The searches between two steps; every leaf has the runs as its first axis.

    Attributes:
        state: of the populations.
        last: what the last step saw; NaN before the first.
        k: steps since its start or restart.
        best_value, best_point, nonfinite: of all steps.
        mark, since: the best value at the last improvement, and how many steps ago that was.
        first, level, place, still: the best value of the first step; the best value and the consensus point at the
            last change of either by more than the tolerances of rest, and how many steps ago that was.
        status: 0 while it runs; see `MESSAGES`.
        lives: number of restarts.
    """

    state: State
    last: Record
    k: Any
    best_value: Any
    best_point: Any
    nonfinite: Any
    mark: Any
    since: Any
    first: Any
    level: Any
    place: Any
    still: Any
    status: Any
    lives: Any


class Row(NamedTuple):
    """What is kept of a step: the consensus point and the statistics before it; the best value so far."""

    consensus: Any
    best_value: Any
    ess: Any
    spread: Any


def engine(plan: SearchPlan) -> PopulationStepper:
    """The step of one population."""
    return stepper(
        plan.algorithm, plan.fun, dimension=plan.dimension, particles=plan.particles, normals=plan.normals,
        block=plan.block, vectorized=plan.vectorized, record=_RECORDED,
    )  # fmt: skip


@lru_cache(maxsize=64)
def beginning(plan: SearchPlan) -> Callable[..., SearchState]:
    """A function of the seed and the points (runs, d, N), or None, to the searches at their beginning."""
    one = engine(plan)

    def single(seed: Any, run: Any, points: Any) -> SearchState:
        state = _begun(plan, one, seed, run, points)
        nothing = jnp.asarray(jnp.nan, one.dtype)
        nowhere = jnp.full(plan.dimension, nothing)  # of the type after a step: compiled once
        blank = Record(nowhere, nowhere, nothing, nothing, nothing, None, jnp.zeros((), jnp.int64))
        zero, most = jnp.zeros((), jnp.int64), jnp.asarray(jnp.inf, one.dtype)
        return SearchState(
            state, blank, k=zero, best_value=most, best_point=blank.best_point, nonfinite=zero, mark=most, since=zero,
            first=most, level=most, place=blank.consensus, still=zero, status=zero, lives=zero,
        )  # fmt: skip

    def all_of_them(seed: Any, points: Any) -> SearchState:
        runs = jnp.arange(plan.runs, dtype=jnp.uint64)
        return jax.vmap(single, (None, 0, None if points is None else 0))(seed, runs, points)

    return compiled(all_of_them)


def _begun(plan: SearchPlan, one: PopulationStepper, seed: Any, run: Any, points: Any) -> State:
    """The state at the starting points, which are feasible."""
    if points is None:
        assert plan.start is not None
        points = plan.start(seed, run)
    return one.init(seed, run, _feasible(plan, jnp.asarray(points)))


def _feasible(plan: SearchPlan, columns: Float[Array, "d n"]) -> Float[Array, "d n"]:
    return columns if plan.project is None else plan.project(columns.T).T


@lru_cache(maxsize=64)
def advancing(plan: SearchPlan, steps: int) -> Callable[..., tuple[SearchState, Row]]:
    """A function of the searches, the parameters and the values (runs, N), or None, to so many steps on.

    With values there is one step. The rows have the steps as their first axis, the runs as their second.
    """
    one = engine(plan)

    def single(
        search: SearchState, values: Any, numbers: Mapping[str, Any]
    ) -> tuple[SearchState, Row]:
        params = _params(plan, search, numbers)
        state, now = one.step(search.state, search.k, params, values)
        moved = _judged(plan, search, now)
        bad = moved.status == NOT_FINITE
        state = state._replace(blocks=tuple(_inside(plan, b) for b in state.blocks))
        kept = jax.tree.map(lambda new, old: jnp.where(bad, old, new), state, search.state)
        after = moved._replace(state=kept)
        over = search.status != RUNNING
        after = jax.tree.map(lambda new, old: jnp.where(over, old, new), after, search)
        return after, Row(now.consensus, after.best_value, now.ess, now.spread)

    def together(
        search: SearchState, numbers: Mapping[str, Any], values: Any
    ) -> tuple[SearchState, Row]:
        step = jax.vmap(single, (0, None if values is None else 0, None))
        if values is not None:
            after, row = step(search, values, numbers)
            return after, jax.tree.map(lambda a: a[None], row)
        return trace(lambda _, s: step(s, None, numbers), search, steps)

    return compiled(together)


def _params(plan: SearchPlan, search: SearchState, numbers: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a search's next step: numbers, laws of the values, and what the schedule replaces."""
    params = {**numbers, **dict(plan.laws)}
    return params if plan.schedule is None else {**params, **plan.schedule(search.k, search.last)}


def _inside(plan: SearchPlan, block: Array) -> Array:
    """Every vector block of the particles' own, brought back into the feasible set."""
    if plan.project is None or block.ndim != 3 or block.shape[1] != plan.dimension:
        return block
    project = plan.project
    rows = jnp.moveaxis(block, 1, 2).reshape(-1, plan.dimension)
    back = jnp.asarray(project(rows)).reshape(block.shape[0], block.shape[2], plan.dimension)
    return jnp.moveaxis(back, 2, 1)


def _judged(plan: SearchPlan, search: SearchState, now: Record) -> SearchState:
    """The search with what a step saw, and whether that ends it."""
    better = now.best_value < search.best_value
    value = jnp.where(better, now.best_value, search.best_value)
    point = jnp.where(better, now.best_point, search.best_point)
    least = plan.improvement * jnp.maximum(1, jnp.abs(value))
    improved = (value < search.mark - least) | (search.k == 0)
    since = jnp.where(improved, 0, search.since + 1)
    # at rest: in units of how far the best value has fallen, and of the width at the start
    first = jnp.where(search.k == 0, value, search.first)
    lower = value < search.level - _SETTLED_VALUE * (first - value)
    away = ~(jnp.max(jnp.abs(now.consensus - search.place)) <= plan.spread)
    moving = lower | away | (search.k == 0)
    still = jnp.where(moving, 0, search.still + 1)
    together = jnp.max(jnp.abs(point - now.consensus)) <= plan.near
    verdicts = [
        (~jnp.all(jnp.isfinite(now.consensus)), NOT_FINITE),
        (value <= plan.target, REACHED),
        (now.spread <= plan.spread**2, AGREED),
        (since >= plan.patience if plan.patience else jnp.asarray(False), STAGNANT),
        ((still >= plan.rest) & together if plan.rest else jnp.asarray(False), AT_REST),
    ]
    status = jnp.select([v for v, _ in verdicts], [jnp.asarray(s) for _, s in verdicts], RUNNING)
    return search._replace(
        last=now,
        k=search.k + 1,
        best_value=value,
        best_point=point,
        nonfinite=search.nonfinite + now.nonfinite,
        mark=jnp.where(improved, value, search.mark),
        since=since,
        first=first,
        level=jnp.where(moving, value, search.level),
        place=jnp.where(moving, now.consensus, search.place),
        still=still,
        status=status.astype(jnp.int64),
    )


@lru_cache(maxsize=64)
def reviving(plan: SearchPlan) -> Callable[..., SearchState]:
    """A function of the searches, which of them, and the points (runs, d, N) or None: those begin anew.

    Around their best point with ``plan.width``; else where they began, with other draws.
    """
    one = engine(plan)

    def single(search: SearchState, which: Any, points: Any) -> SearchState:
        seed, lives = search.state.seed, search.lives + 1
        run = (search.state.run % np.uint64(_AGAIN)) + lives.astype(jnp.uint64) * np.uint64(_AGAIN)
        if plan.width is not None:
            around = gaussian_start(
                np.zeros(plan.dimension), np.asarray(plan.width), plan.particles
            )
            points = search.best_point[:, None] + around(seed, run)
        again = search._replace(
            state=_begun(plan, one, seed, run, points),
            k=jnp.zeros_like(search.k),
            mark=jnp.full_like(search.mark, jnp.inf),
            since=jnp.zeros_like(search.since),
            still=jnp.zeros_like(search.still),
            status=jnp.zeros_like(search.status),
            lives=lives,
        )
        chosen: SearchState = jax.tree.map(
            lambda new, old: jnp.where(which, new, old), again, search
        )
        return chosen

    def all_of_them(search: SearchState, which: Any, points: Any) -> SearchState:
        return jax.vmap(single, (0, 0, None if points is None else 0))(search, which, points)

    return compiled(all_of_them)


@lru_cache(maxsize=64)
def asking(plan: SearchPlan) -> Callable[..., Float[Array, "runs N d"]]:
    """A function of the searches and the parameters to the points of their next step."""
    one = engine(plan)

    def single(search: SearchState, numbers: Mapping[str, Any]) -> Array:
        return one.points(search.state, search.k, _params(plan, search, numbers)).T

    return compiled(jax.vmap(single, (0, None)))
