"""Sample paths of systems with noise, many at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...dynamics.flows.fixed_step import SOLVERS
from ...dynamics.flows.stepper import orbit
from .noisy_field import NoisyField


def sample_paths(
    field: NoisyField,
    starts: Float[np.ndarray, "m n"],
    t1: float,
    steps: int,
    seed: int,
    every: int = 1,
) -> Float[np.ndarray, "m k n"]:
    """Independent paths by the Euler-Maruyama scheme, NaN after they blow up.

    Args:
        field: the system.
        starts: one for each path.
        t1: final time.
        steps: their number.
        seed: of the noise.
        every: how many steps lie between two states that are kept.
    """
    keys = jax.random.split(jax.random.key(seed), len(starts))
    found = np.array(_compiled(field, steps, every)(jnp.asarray(starts), keys, t1 / steps))
    found[~np.isfinite(found).all(2)] = np.nan
    return found


@lru_cache(maxsize=32)
def _compiled(field: NoisyField, steps: int, every: int) -> Callable[..., Any]:
    """Paths from many starts, with a key each, in steps of one length."""
    advance = SOLVERS["euler_maruyama"].step
    assert advance is not None

    def one(start: Any, key: Any, dt: Any) -> Any:
        def step(k: Any, state: Any) -> Any:
            w = jnp.sqrt(dt) * jax.random.normal(jax.random.fold_in(key, k), (field.width,))
            rates = lambda t, state: (field.drift(state[0]),)
            return advance(rates, lambda t, state: (field.kick(state[0], w),), 0.0, state, dt)

        return orbit(step, lambda state: state[0], (start,), steps, every)[1]

    return jax.jit(jax.vmap(one, in_axes=(0, 0, None)))


__all__ = ["sample_paths"]
