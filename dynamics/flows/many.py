"""Batches of trajectories: fixed Runge-Kutta steps over many starts and parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._support.arguments import checked
from ..._support.errors import OdescentError, check_choice
from ..._support.numbers import reals
from ..vector_fields.objective import Objective
from ..vector_fields.system import VectorFields
from .exchange import with_kernels
from .fixed_step import SOLVERS, spacing, whole_steps
from .parameters import numbers_for
from .solution import Problem, Solution, objective_for, problem_of
from .stepper import orbit, recorded
from .tableaux import TABLEAUX

# Trajectories that go through all steps together: their state stays in the cache, and XLA does not split so
# small an operation over threads, which would have to meet after every step.
_BLOCK = 256


@checked
def simulate_many(
    system: VectorFields,
    objective: Objective | None,
    starts: Float[np.ndarray, "n ..."] | Float[Array, "n ..."],
    t1: float,
    *,
    dt: float,
    t0: float = 0.0,
    points: int = 2,
    solver: str = "rk4",
    parameters: Mapping[str, Any] | None = None,
) -> Solution:
    """Flows from many starting points by fixed steps, in float64.

    The batch is the last axis inside, so that every operation of a step runs over contiguous numbers, and
    goes through all steps block by block, so that these stay in the cache.

    Args:
        system: a deterministic system.
        objective: with the oracles that the system calls, or its name; they see one point at a time. None for a
            system that calls none.
        starts: starting points, shape (n, ...).
        t1, t0, dt: the time interval and the step, of which it is a whole number.
        points: at most so many of the steps are kept, the first and the last among them.
        solver: rk4, heun, midpoint or euler.
        parameters: values by name, each one number or an array of shape (n,).

    Returns:
        A `Solution` whose x has shape (points, n, ...). A trajectory that blows up goes on as NaN or
        infinity; the others are not touched by it.

    Raises:
        OdescentError: noise, bad starts, a bad step, an unknown solver or parameter, or a missing one.
    """
    objective = objective_for(system, objective)
    if any(f.noise for f in system.fields.values()):
        raise OdescentError("the system has noise; simulate it with simulate(..., key=...).")
    check_choice("fixed-step solver", solver, TABLEAUX)
    if not (np.isfinite(t0) and np.isfinite(t1) and t1 > t0):
        raise OdescentError(f"the time interval must be finite with t1 > t0, not [{t0}, {t1}].")
    begin = reals(starts)
    if begin.ndim < 1 or begin.size == 0:
        raise OdescentError(
            f"starts must be an array of numbers of shape (n, ...), n > 0, not {str(starts)[:60]}."
        )
    n = len(begin)
    given = numbers_for(
        system.name or "the system", system.parameters, parameters or {}, objective, (n,)
    )
    problem = problem_of(system, objective, tuple(given))
    steps = whole_steps(t0, t1, dt)
    stride = spacing(steps, points)
    blocks = -(-n // _BLOCK)
    size = -(-n // blocks)

    def folded(a: np.ndarray) -> np.ndarray:
        """(n, ...) to (blocks, ..., size), the last start repeated to fill up."""
        filled = np.concatenate([a, np.repeat(a[-1:], blocks * size - n, axis=0)])
        return np.moveaxis(filled.reshape(blocks, size, *a.shape[1:]), 1, -1)

    with jax.enable_x64(True):
        run = _compiled(problem, solver, steps, stride)
        ks = recorded(steps, stride)
        values = tuple(jnp.asarray(folded(v)) for v in given.values())
        out, states = run(jnp.asarray(folded(begin)), values, float(t0), (t1 - t0) / steps)
        x, named = _unfolded(out, n), {k: _unfolded(s, n) for k, s in states.items()}
    return Solution(t0 + ks * ((t1 - t0) / steps), x, named, None, (steps, 0))


def _unfolded(a: Array, n: int) -> np.ndarray:
    """(blocks, times, ..., size) to (times, n, ...)."""
    moved = np.moveaxis(np.asarray(a), -1, 1)  # blocks, size, times, ...
    return np.moveaxis(moved.reshape(-1, *moved.shape[2:])[:n], 0, 1)


@lru_cache(maxsize=32)
def _compiled(problem: Problem, solver: str, steps: int, stride: int) -> Any:
    last: Callable[..., Any] = lambda fun, in_axes: jax.vmap(fun, in_axes=in_axes, out_axes=-1)
    step = SOLVERS[solver].step
    assert step is not None

    def one_block(x0: Any, values: Any, t0: Any, dt: Any) -> Any:
        state = last(problem.init, (-1, -1))(x0, values)
        many = last(with_kernels(problem.rates), (None, -1, -1))

        def advance(k: Any, s: Any) -> Any:
            t = t0 + k.astype(jnp.float64) * dt
            return step(lambda t, y: many(t, y, values), t, s, dt)

        _, states = orbit(advance, lambda s: s, state, steps, stride)
        t = t0 + recorded(steps, stride).astype(jnp.float64) * dt
        output = last(problem.output, (None, -1, -1))
        return jax.vmap(output, in_axes=(0, 0, None))(t, states, values), problem.named(states)

    def run(x0: Any, values: Any, t0: Any, dt: Any) -> Any:
        return jax.lax.map(lambda part: one_block(part[0], part[1], t0, dt), (x0, values))

    return jax.jit(run)
