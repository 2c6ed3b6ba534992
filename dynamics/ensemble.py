"""Many trajectories at once: fixed Runge-Kutta steps over batches of starts and parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp
from jaxtyping import Array, Float

from .._arguments import checked
from .._errors import OdescentError, unknown
from . import fixed_step
from .evaluate import evaluate, initial_state, oracles_of, vector_field
from .fields import System
from .oracles import Objective
from .solution import Solution, objective_for

# Trajectories that go through all steps together: their state stays in the cache, and XLA does not split so
# small an operation over threads, which would have to meet after every step.
_BLOCK = 512


@checked
def simulate_many(
    system: System,
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
    if solver not in fixed_step.TABLEAUX:
        raise unknown("fixed-step solver", solver, fixed_step.TABLEAUX)
    if not (np.isfinite(t0) and np.isfinite(t1) and t1 > t0):
        raise OdescentError(f"the time interval must be finite with t1 > t0, not [{t0}, {t1}].")
    begin = np.asarray(starts, np.float64)
    if begin.ndim < 1 or begin.size == 0:
        raise OdescentError(f"starts is an array of shape (n, ...), n > 0, not {begin.shape}.")
    n = len(begin)
    given = _values(system, objective, parameters or {}, n)
    steps = fixed_step.whole_steps(t0, t1, dt)
    stride, _ = fixed_step.recorded(steps, points)
    ks = np.append(np.arange(0, steps, stride), steps)
    blocks = -(-n // _BLOCK)
    size = -(-n // blocks)

    def folded(a: np.ndarray) -> np.ndarray:
        """(n, ...) to (blocks, ..., size), the last start repeated to fill up."""
        filled = np.concatenate([a, np.repeat(a[-1:], blocks * size - n, axis=0)])
        return np.moveaxis(filled.reshape(blocks, size, *a.shape[1:]), 1, -1)

    with jax.enable_x64(True):
        run = _compiled(system, objective, tuple(given), solver, steps, stride)
        values = tuple(jnp.asarray(folded(v)) for v in given.values())
        out, states = run(jnp.asarray(folded(begin)), values, float(t0), (t1 - t0) / steps)
        x, named = _unfolded(out, n), {k: _unfolded(s, n) for k, s in states.items()}
    return Solution(t0 + ks * ((t1 - t0) / steps), x, named, None, (steps, 0))


def _unfolded(a: Array, n: int) -> np.ndarray:
    """(blocks, times, ..., size) to (times, n, ...)."""
    moved = np.moveaxis(np.asarray(a), -1, 1)  # blocks, size, times, ...
    return np.moveaxis(moved.reshape(-1, *moved.shape[2:])[:n], 0, 1)


def _values(
    system: System, objective: Objective, given: Mapping[str, Any], n: int
) -> dict[sp.Symbol, np.ndarray]:
    names = {p.name: p for p in system.parameters}
    for name in given:
        if name not in names:
            raise unknown("parameter", name, names)
    known: dict[str, Any] = {"mu": objective.mu, "L": objective.L, **given}
    found = {}
    for name, symbol in names.items():
        value = known.get(name)
        if value is None:
            raise OdescentError(f"the system's parameter {name} has no value; bind it or pass it.")
        array = np.asarray(value, np.float64) if np.ndim(value) else np.full(n, float(value))
        if array.shape != (n,) or not np.isfinite(array).all():
            raise OdescentError(
                f"{name} is one finite number or an array of shape ({n},) of them, not of shape {array.shape}."
            )
        found[symbol] = array
    return found


@lru_cache(maxsize=32)
def _compiled(
    system: System, objective: Objective, symbols: tuple[sp.Symbol, ...], solver: str, steps: int, stride: int
) -> Any:  # fmt: skip
    oracles = oracles_of(system, objective)
    field = vector_field(system, oracles, dict.fromkeys(symbols, 0.0), jnp)
    del field  # made only to refuse missing parameters
    symbols_of_blocks = [b.symbol for b in system.blocks]

    def begin(x0: Any, values: Any) -> Any:
        numbers = dict(zip(symbols, values, strict=True))
        state = initial_state(system, x0, oracles, numbers, jnp)
        return tuple(jnp.asarray(s, jnp.float64) for s in state)

    def rates(t: Any, state: Any, values: Any) -> Any:
        return vector_field(system, oracles, dict(zip(symbols, values, strict=True)), jnp)(t, state)

    def output(t: Any, state: Any, values: Any) -> Any:
        known = dict(zip([*symbols, *symbols_of_blocks], [*values, *state], strict=True))
        if system.time is not None:
            known[system.time] = t
        return evaluate(system.output, known, oracles, jnp)

    last: Callable[..., Any] = lambda fun, in_axes: jax.vmap(fun, in_axes=in_axes, out_axes=-1)

    def one_block(x0: Any, values: Any, t0: Any, dt: Any) -> Any:
        state = last(begin, (-1, -1))(x0, values)
        many = last(rates, (None, -1, -1))

        def advance(k: Any, s: Any) -> Any:
            t = t0 + k.astype(jnp.float64) * dt
            return fixed_step.runge_kutta(solver, lambda t, y: many(t, y, values), t, s, dt)

        _, states = fixed_step.scan(advance, state, steps, stride)
        ks = jnp.append(jnp.arange(0, steps, stride), steps).astype(jnp.float64)
        x = jax.vmap(last(output, (None, -1, -1)), in_axes=(0, 0, None))(
            t0 + ks * dt, states, values
        )
        return x, dict(zip([b.name for b in system.blocks], states, strict=True))

    def run(x0: Any, values: Any, t0: Any, dt: Any) -> Any:
        return jax.lax.map(lambda part: one_block(part[0], part[1], t0, dt), (x0, values))

    return jax.jit(run)
