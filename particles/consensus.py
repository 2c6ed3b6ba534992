"""The consensus point as a monoid: parts of a population summed up one by one, in a fixed order.

sum x exp(-alpha f(x)) / sum exp(-alpha f(x)) is kept as the least value and sums relative to it (the online
log-sum-exp of Milakov and Gimelshein, arXiv:1805.02867), so that neither alpha nor an offset of f overflows.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Part(NamedTuple):
    """What a part of the population adds: sums over its particles, relative to its least value.

    Attributes:
        least: the least finite value; infinity where there is none.
        weight: sum of w = exp(-alpha (f - least)).
        square: sum of w^2.
        moment: sum of w x, shape (d,).
        best: the first particle at which the value is least, shape (d,).
        lost: how many values were not finite; their weight is 0.
    """

    least: Float[Array, "*b"]
    weight: Float[Array, "*b"]
    square: Float[Array, "*b"]
    moment: Float[Array, "*b d"]
    best: Float[Array, "*b d"]
    lost: Int[Array, "*b"]


def part(
    x: Float[Array, "d n"], values: Float[Array, "1 n"], alpha: Float[Array, ""], live: Bool[Array, "1 n"] | None = None
) -> Part:  # fmt: skip
    """The sums of n particles; those that are not ``live`` do not count at all."""
    fine = jnp.isfinite(values)
    lost = ~fine if live is None else ~fine & live
    if live is not None:
        fine = fine & live
    held = jnp.where(fine, values, jnp.inf)
    least = jax.lax.stop_gradient(jnp.min(held))
    above = jnp.where(fine, values, least) - jnp.where(least < jnp.inf, least, 0)
    w = jnp.where(fine, jnp.exp(-alpha * jnp.where(fine, above, 0)), 0)
    x = jnp.where(fine, x, 0)  # no 0 * nan
    places = jax.lax.broadcasted_iota(jnp.int32, values.shape, 1)
    first = jnp.min(jnp.where(held == least, places, values.shape[1]))
    best = jnp.sum(jnp.where(places == first, x, 0), axis=1)
    return Part(least, jnp.sum(w), jnp.sum(w * w), jnp.sum(x * w, axis=1), best, jnp.sum(lost))


def combine(parts: Part, alpha: Float[Array, ""]) -> Part:
    """All parts (stacked along the first axis) as one, summed in their order."""
    if parts.least.shape[0] == 1:
        return Part(*(a[0] for a in parts))
    least = jnp.min(parts.least)
    some = jnp.isfinite(parts.least)
    gap = jnp.where(some, parts.least, least) - least
    scale = jnp.where(some, jnp.exp(-alpha * jnp.where(some, gap, 0)), 0)
    places = jax.lax.iota(jnp.int32, parts.least.shape[0])
    first = jnp.min(jnp.where(parts.least == least, places, parts.least.shape[0] - 1))
    return Part(
        least,
        jnp.sum(parts.weight * scale),
        jnp.sum(parts.square * scale * scale),
        jnp.sum(parts.moment * scale[:, None], axis=0),
        parts.best[first],
        jnp.sum(parts.lost),
    )


def point(whole: Part) -> Float[Array, " d"]:
    """The consensus point; NaN where no value was finite."""
    return whole.moment / whole.weight


def effective_size(whole: Part) -> Float[Array, ""]:
    """Kish's effective sample size (sum w)^2 / sum w^2, from 1 to the number of particles."""
    return whole.weight * whole.weight / whole.square


__all__ = ["Part", "combine", "effective_size", "part", "point"]
