"""Poisson numbers from the counters of `normals`, by inversion: numbers of jumps per step."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .normals import key_of, key_of_jax, lanes_of, unit_of

_BELOW = 12.0  # standard deviations below the mean, where the distribution function is under 1e-30


def poisson_quantile(u: Float[Array, "..."], mean: Any) -> Float[Array, "..."]:
    """The least n with P(N <= n) >= u for a Poisson number N, mean and u broadcast; u in (0, 1), mean >= 0.

    By adding up probabilities from 12 standard deviations below the mean (or 0) on. Its derivative is 0, as that of
    a whole number is; NaN for a mean that is negative or not finite.
    """
    mean = jax.lax.stop_gradient(jnp.asarray(mean, u.dtype))
    u, mean = jnp.broadcast_arrays(jax.lax.stop_gradient(u), mean)
    fine = (mean >= 0) & (mean < jnp.inf)
    mean = jnp.where(fine, mean, 0)
    first = jnp.floor(jnp.maximum(mean - _BELOW * jnp.sqrt(mean), 0))
    exponent = jax.scipy.special.xlogy(first, mean) - mean - jax.lax.lgamma(first + 1)
    begin = jnp.exp(exponent)

    def short(n: Any, p: Any, total: Any) -> Any:
        return (total < u) & ((n < mean) | (total + p > total))

    def forward(carry: Any) -> Any:
        n, p, total = carry
        on = short(n, p, total)
        p = jnp.where(on, p * mean / (n + 1), p)
        return jnp.where(on, n + 1, n), p, jnp.where(on, total + p, total)

    n, _, _ = jax.lax.while_loop(
        lambda carry: jnp.any(short(*carry)), forward, (first, begin, begin)
    )
    return jnp.where(fine, n, jnp.nan)


def poisson(
    seed: Any, run: Any, step: Any, mean: Any, *, particles: int, first: Any = 0, offset: int = 0, pairs: int = 1,
    common: bool = False, dtype: str = "float64",
) -> Float[Array, "1 n"]:  # fmt: skip
    """Poisson numbers of one step, one for each particle, or one for all of them where they are ``common``.

    Args:
        mean: a number, or one for each particle, shape (1, particles).
        seed, run, step, particles, first, offset, pairs, dtype: as of `normals`; a number takes one lane of its own.
            What is common is that of the particle with index 0.
    """
    width, begin = (1, 0) if common else (particles, first)
    lane = lanes_of(1, width, begin, offset, pairs, dtype)
    return poisson_quantile(unit_of(key_of(seed, run), step, lane, dtype), mean)


def jax_poisson(
    seed: Any, run: Any, step: Any, mean: Any, *, particles: int, first: Any = 0, offset: int = 0, pairs: int = 1,
    common: bool = False, dtype: str = "float64",
) -> Float[Array, "1 n"]:  # fmt: skip
    """Poisson counts from JAX's generator, with the interface of `poisson`.

    Args:
        seed: of the generator.
        run: folded into the key, as are ``step``, ``offset`` and ``first``.
        step: the step number.
        mean: broadcast to the result.
        particles: n.
        first: the number of the first particle.
        offset: distinguishes draws of one step.
        pairs: unused; kept for the common interface.
        common: one count for all particles.
        dtype: of the result.

    Returns:
        shape (1, n), or (1, 1) if common.
    """
    width, begin = (1, 0) if common else (particles, first)
    key = key_of_jax(seed, run, step, offset, begin)
    count = jax.random.poisson(key, jnp.broadcast_to(jnp.asarray(mean), (1, width)))
    return count.astype(np.dtype(dtype))
