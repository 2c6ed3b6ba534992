"""Run-dependent parameters: an exponent for a given effective sample size, and geometric schedules."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ..._support.rendering.rendered import Rendered

LARGEST = 1e15  # the exponent of values that are all equal, where any would do
_ROUNDS = 40
_BOTTOM = 750.0  # exp(-750) is zero: the exponent at which a difference leaves no weight
_HIGHEST = 1e15  # of exponents alpha (f - min f) in a deviation


def _half_above(values: Float[Array, " N"]) -> tuple[Bool[Array, " N"], Float[Array, " N"]]:
    """Which values are finite, and half of how far each of these lies above the least; 0 for the others.

    Halves, since a difference of two finite values need not be finite.
    """
    fine = jnp.isfinite(values)
    halves = jnp.where(fine, values, jnp.inf) / 2
    least = jnp.min(halves)
    return fine, jnp.where(fine, halves - jnp.where(jnp.isfinite(least), least, 0), 0)


@checked
@dataclass(frozen=True)
class effective_alpha(Rendered):
    """The exponent for which the effective sample size is a given share of the particles, computed in the graph.

    A function of all values, shape (N,), to give as the parameter ``alpha``; it is invariant under scaling and
    shifting the objective, whatever its size and however far single values lie above the others (a penalty of 1e30
    for points that are not feasible, say). Values that are not finite count as particles and have no weight. Where
    more particles than the share have the least value in common, these have all the weight.

    Args:
        share: ESS / N, more than 0 and less than 1.

    Raises OdescentError for another share.
    """

    share: float

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise OdescentError(
                f"the effective sample size must be a share of the particles between 0 and 1, not {short(self.share)}."
            )

    def __call__(self, values: Float[Array, " N"]) -> Float[Array, ""]:
        fine, above = _half_above(values)
        first = jnp.min(jnp.where(above > 0, above, jnp.inf))
        parted = jnp.isfinite(first)
        wanted = math.log(self.share) + jnp.log(jnp.asarray(values.size, values.dtype))

        def surplus(z: Array) -> tuple[Array, Array]:
            """log ESS less what is wanted, and its slope, at the exponent e^z of halves."""
            heights = jnp.exp(z) * above
            w = jnp.where(fine, jnp.exp(-heights), 0)
            lost = jnp.where(w > 0, w * heights, 0)
            s0, t0 = jnp.sum(w), jnp.sum(w * w)
            return 2 * jnp.log(s0) - jnp.log(t0) - wanted, 2 * (
                jnp.sum(w * lost) / t0 - jnp.sum(lost) / s0
            )

        def narrow(_: Any, carry: Any) -> Any:
            """Newton's step where it stays between the ends and at least halves the last one, else bisection."""
            low, high, z, last = carry
            over, slope = surplus(z)
            low, high = jnp.where(over > 0, z, low), jnp.where(over > 0, high, z)
            step = -over / jnp.where(slope < 0, slope, -1)
            inside = (slope < 0) & (z + step > low) & (z + step < high)
            step = jnp.where(inside & (2 * jnp.abs(step) <= last), step, (low + high) / 2 - z)
            return low, high, z + step, jnp.abs(step)

        # At the lower end ESS >= sum of weights >= count e^-margin, which is the share or more; at the upper end no
        # value but the least has weight. Both ends scale with the values.
        margin = jnp.maximum(jnp.log(jnp.sum(fine).astype(values.dtype)) - wanted, 1e-3) / 2
        low = jnp.log(margin) - jnp.log(jnp.where(parted, jnp.max(above), 1))
        high = math.log(_BOTTOM) - jnp.log(jnp.where(parted, first, 1))
        z = jax.lax.fori_loop(0, _ROUNDS, narrow, (low, high, (low + high) / 2, high - low))[2]
        found = jnp.where(
            parted, jnp.minimum(jnp.exp(z) / 2, np.finfo(values.dtype).max / 4), LARGEST
        )
        return jax.lax.stop_gradient(found)


@checked
@dataclass(frozen=True)
class kernel_width(Rendered):
    """The width kappa of a kernel whose exponent grows in proportion to that of the weights, for ``kappa``.

    ``width`` over the root of alpha times the standard deviation of the values, alpha that of `effective_alpha`: the
    consensus points are then those of f(y) + d |x - y|^2 / (2 width^2), with d the standard deviation, however large
    alpha is. Two minimizers of about the same value stay apart if they are some widths apart.

    Raises OdescentError for a share as `effective_alpha` does, and for a width that is not a number more than 0.
    """

    share: float
    width: float

    def __post_init__(self) -> None:
        effective_alpha(self.share)
        if not (math.isfinite(self.width) and self.width > 0):
            raise OdescentError(
                f"the width of the kernel must be more than 0, not {short(self.width)}."
            )

    def __call__(self, values: Float[Array, " N"]) -> Float[Array, ""]:
        alpha = effective_alpha(self.share)(values)
        fine, above = _half_above(values)
        heights = jnp.minimum(2 * alpha * above, _HIGHEST)  # the deviation has their squares
        count = jnp.maximum(jnp.sum(fine), 1).astype(values.dtype)
        mean = jnp.sum(heights) / count
        sharp = jnp.sqrt(jnp.sum(jnp.where(fine, (heights - mean) ** 2, 0)) / count)
        return jax.lax.stop_gradient(self.width / jnp.sqrt(jnp.maximum(sharp, 1)))


def geometric(**laws: Sequence[float]) -> Callable[[Any, Any], Mapping[str, Any]]:
    """A schedule: with ``geometric(s=(0.7, 0.99))`` the parameter s is 0.7 * 0.99^k at step k.

    Raises OdescentError for a law that is not two finite numbers with a factor more than 0.
    """
    for name, law in laws.items():
        if len(law) != 2 or not all(map(math.isfinite, law)) or law[1] <= 0:
            raise OdescentError(
                f"the law of {name} must be (first value, factor > 0), not {short(law)}."
            )

    return Geometric(tuple(sorted((n, (float(a), float(b))) for n, (a, b) in laws.items())))


@dataclass(frozen=True)
class Geometric:
    """What `geometric` makes: equal laws are equal schedules, so that a run is compiled once."""

    laws: tuple[tuple[str, tuple[float, float]], ...]

    def __call__(self, k: Any, record: Any) -> dict[str, Any]:
        return {
            n: first * jnp.power(factor, jnp.asarray(k).astype(float))
            for n, (first, factor) in self.laws
        }
