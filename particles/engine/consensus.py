"""The consensus point as a monoid: partial sums over a population in a fixed order.

sum x exp(-alpha f(x)) / sum exp(-alpha f(x)) is kept as the least value and sums relative to it (the online
log-sum-exp of Milakov and Gimelshein, arXiv:1805.02867), so that neither alpha nor an offset of f overflows.
Differences of values are taken of their halves, which are finite whatever finite values are given.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int


class PartialSums(NamedTuple):
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
) -> PartialSums:  # fmt: skip
    """The partial sums of n particles.

    Args:
        x: positions.
        values: objective values; particles with one that is not finite have weight zero and are counted.
        alpha: the inverse temperature of the weights exp(-alpha f).
        live: which particles take part; the others are ignored. None for all.
    """
    fine = jnp.isfinite(values)
    lost = ~fine if live is None else ~fine & live
    if live is not None:
        fine = fine & live
    held = jax.lax.stop_gradient(jnp.where(fine, values, jnp.inf))
    least = _least(held)[0]
    above = jnp.where(fine, values, least) / 2 - jnp.where(least < jnp.inf, least, 0) / 2
    w = jnp.where(fine, jnp.exp(-2 * alpha * jnp.where(fine, above, 0)), 0)
    places = jax.lax.broadcasted_iota(jnp.int32, values.shape, 1)
    first = _least(jnp.where(held == least, places, values.shape[1]))[0]
    best = jax.lax.dynamic_index_in_dim(x, first, axis=1, keepdims=False)
    x = jnp.where(fine, x, 0)  # no 0 * nan
    return PartialSums(
        least, total(w)[0], total(w * w)[0], total(x * w), best, total(lost.astype(int))[0]
    )


_SHORT = 128  # numbers in a short row


def _reduced(a: Array, join: Callable[[Any, Any], Any], whole: Callable[[Array], Array]) -> Array:
    """``whole`` of each row, which joins its numbers one by one, by pieces of at most 32 if it is short.

    XLA cuts longer reductions into such of 32, and what is reduced goes through memory first. That is right for
    long rows; of short ones it takes most of the time. Here it finds nothing to cut.
    """
    n = a.shape[-1]
    if not 32 < n <= _SHORT:
        return whole(a)
    count = -(-n // 32)
    size = n // count
    pieces = [a[:, i * size : (i + 1) * size] for i in range(count)]
    rest = [a[:, i] for i in range(count * size, n)]
    return reduce(join, rest, whole(reduce(join, pieces)))


def total(a: Float[Array, "c n"]) -> Float[Array, " c"]:
    """The sum of each row."""
    return _reduced(a, jnp.add, lambda rows: jnp.sum(rows, axis=1))


def _least(a: Array) -> Array:
    """The least of each row, of numbers without a derivative that are not NaN."""
    most = jnp.inf if jnp.issubdtype(a.dtype, jnp.floating) else np.iinfo(a.dtype).max
    lower = lambda p, q: jnp.where(q < p, q, p)  # without regard to NaN it is vector code
    first = np.asarray(most, a.dtype)
    return _reduced(a, lower, lambda rows: jax.lax.reduce(rows, first, lower, (1,)))


def combine(parts: PartialSums, alpha: Float[Array, ""]) -> PartialSums:
    """All parts (stacked along the first axis) as one, summed in their order."""
    if parts.least.shape[0] == 1:
        return PartialSums(*(a[0] for a in parts))
    least = jnp.min(parts.least)
    some = jnp.isfinite(parts.least)
    gap = jnp.where(some, parts.least, least) / 2 - least / 2
    scale = jnp.where(some, jnp.exp(-2 * alpha * jnp.where(some, gap, 0)), 0)
    places = jax.lax.iota(jnp.int32, parts.least.shape[0])
    first = jnp.min(jnp.where(parts.least == least, places, parts.least.shape[0] - 1))
    return PartialSums(
        least,
        jnp.sum(parts.weight * scale),
        jnp.sum(parts.square * scale * scale),
        jnp.sum(parts.moment * scale[:, None], axis=0),
        parts.best[first],
        jnp.sum(parts.lost),
    )


def point(whole: PartialSums) -> Float[Array, " d"]:
    """The consensus point; NaN where no value was finite."""
    return whole.moment / whole.weight


def effective_size(whole: PartialSums) -> Float[Array, ""]:
    """Kish's effective sample size (sum w)^2 / sum w^2, from 1 to the number of particles."""
    return whole.weight * whole.weight / whole.square


class Scatter(NamedTuple):
    """How far a part of the population is spread, whatever point is asked about later.

    Attributes:
        size: how many particles it has.
        mean: of them, shape (d,).
        square: the sum of their square distances from it.
    """

    size: Float[Array, "*b"]
    mean: Float[Array, "*b d"]
    square: Float[Array, "*b"]


def scatter(x: Float[Array, "d n"], live: Bool[Array, "1 n"] | None = None) -> Scatter:
    """That of n particles; those that are not ``live`` do not count."""
    if live is None:
        size, mean = jnp.asarray(x.shape[1], x.dtype), total(x) / x.shape[1]
    else:
        size = jnp.sum(live.astype(x.dtype))
        mean = total(jnp.where(live, x, 0)) / jnp.maximum(size, 1)
    return Scatter(size, mean, squares(x, mean[:, None], live))


def squares(
    x: Float[Array, "d n"], center: Float[Array, "d #n"], live: Bool[Array, "1 n"] | None = None
) -> Float[Array, ""]:
    """The sum of squared distances of n particles from a center.

    Args:
        x: positions.
        center: one for all particles, or one for each.
        live: which particles take part; None for all.
    """
    away = x - center
    square = jnp.sum(away * away, axis=0, keepdims=True)
    return total(square if live is None else jnp.where(live, square, 0))[0]


def distance(parts: Scatter, center: Float[Array, " d"]) -> Float[Array, ""]:
    """The sum of square distances of all particles from a point, without cancellation (Chan, Golub and LeVeque)."""
    off = parts.mean - center[None]
    return jnp.sum(parts.square) + jnp.sum(parts.size * jnp.sum(off * off, axis=1))


class Crowd(NamedTuple):
    """All particles as those see them that have a consensus point of their own.

    Attributes:
        x: their places, block by block, shape (blocks, d, n).
        values: the objective there, shape (blocks, 1, n); infinity or NaN for no weight.
        alpha: the exponent of the weights.
        kappa: the width of the kernel: the further weight exp(-|x - y|^2 / (2 kappa^2)) of y for x.
    """

    x: Float[Array, "b d n"]
    values: Float[Array, "b 1 n"]
    alpha: Float[Array, ""]
    kappa: Float[Array, ""]


def polarized(x: Float[Array, "d m"], crowd: Crowd) -> Float[Array, "d m"]:
    """The consensus point of each of m particles, block by block of the crowd, in order; NaN without weights."""
    fine = jnp.isfinite(crowd.values)
    least = jnp.min(jnp.where(fine, crowd.values, jnp.inf))
    above = jnp.where(fine, crowd.values / 2 - jnp.where(least < jnp.inf, least, 0) / 2, 0)
    heights = jnp.where(fine, -2 * crowd.alpha * above, -jnp.inf)
    places = jnp.where(fine, crowd.x, 0)

    def meet(carry: Any, other: Any) -> tuple[Any, None]:
        most, weight, moment = carry
        y, height = other
        square = jnp.sum((x[:, :, None] - y[:, None, :]) ** 2, axis=0)  # (m, n)
        exponent = height - square / (2 * crowd.kappa**2)
        now = jnp.maximum(most, jax.lax.stop_gradient(jnp.max(exponent, axis=1)))
        shift = jnp.where(jnp.isfinite(now), now, 0)
        kept, w = jnp.exp(most - shift), jnp.exp(exponent - shift[:, None])
        return (now, weight * kept + jnp.sum(w, axis=1), moment * kept[None] + y @ w.T), None

    zero = jnp.zeros_like(x[0])
    begin = (jnp.full_like(zero, -jnp.inf), zero, jnp.zeros_like(x))
    (_, weight, moment), _ = jax.lax.scan(meet, begin, (places, heights))
    return moment / weight[None]
