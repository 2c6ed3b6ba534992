"""Feasible sets: the map that brings points back into one after each step.

A map takes points as rows, shape (N, d), and returns as many. Equal sets are equal objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from ..._support.arguments import checked
from ..._support.errors import OdescentError, unknown
from ..._support.numbers import reals
from ..._support.rendering.brief import short
from ..._support.rendering.rendered import Rendered


@dataclass(frozen=True)
class Box(Rendered):
    """low <= x <= high; ``how`` is "clip" (the nearest point) or "reflect" (folded back at the walls).

    Ends may be infinite; a reflection then needs both ends of a coordinate finite, or none.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    how: str = "clip"

    def __call__(self, x: Float[Array, "N d"]) -> Float[Array, "N d"]:
        low, high = (jnp.asarray(end, x.dtype)[None] for end in (self.low, self.high))
        if self.how == "clip":
            return jnp.clip(x, low, high)
        bounded = np.isfinite(self.low)[None]
        width = jnp.where(bounded, high - low, 1)
        begin = jnp.where(bounded, low, 0)
        period = jnp.where(width > 0, 2 * width, 1)
        folded = jnp.mod(x - begin, period)
        inside = begin + jnp.minimum(folded, period - folded)
        return jnp.where(bounded, jnp.clip(jnp.where(width > 0, inside, begin), low, high), x)


@dataclass(frozen=True)
class Ball(Rendered):
    """|x - center| <= radius: the nearest point of it."""

    center: tuple[float, ...]
    radius: float

    def __call__(self, x: Float[Array, "N d"]) -> Float[Array, "N d"]:
        center = jnp.asarray(self.center, x.dtype)[None]
        away = x - center
        size = jnp.sqrt(jnp.sum(away * away, axis=1, keepdims=True))
        outside = size > self.radius
        return jnp.where(outside, center + away * (self.radius / jnp.where(outside, size, 1)), x)


@dataclass(frozen=True)
class Sphere(Rendered):
    """|x - center| = radius: the nearest point of it; the center itself goes to center + radius e_1."""

    center: tuple[float, ...]
    radius: float

    def __call__(self, x: Float[Array, "N d"]) -> Float[Array, "N d"]:
        center = jnp.asarray(self.center, x.dtype)[None]
        away = x - center
        size = jnp.sqrt(jnp.sum(away * away, axis=1, keepdims=True))
        pole = jnp.zeros((1, x.shape[1]), x.dtype).at[:, 0].set(1)
        return center + self.radius * jnp.where(size > 0, away / jnp.where(size > 0, size, 1), pole)


@dataclass(frozen=True)
class Simplex(Rendered):
    """x >= 0 with sum ``total``: the nearest point of it, by sorting (Held, Wolfe and Crowder 1974)."""

    total: float = 1.0

    def __call__(self, x: Float[Array, "N d"]) -> Float[Array, "N d"]:
        ordered = jnp.sort(x, axis=1)[:, ::-1]
        excess = jnp.cumsum(ordered, axis=1) - self.total
        places = jnp.arange(1, x.shape[1] + 1, dtype=x.dtype)[None]
        kept = jnp.sum((ordered * places > excess).astype(jnp.int32), axis=1, keepdims=True)
        shift = jnp.take_along_axis(excess, kept - 1, axis=1) / kept.astype(x.dtype)
        return jnp.maximum(x - shift, 0)


def box(low: ArrayLike, high: ArrayLike, how: str = "clip") -> Box:
    """The set low <= x <= high.

    Args:
        low: lower bounds, one per coordinate or one for all; -inf for none.
        high: upper bounds, likewise.
        how: "clip" projects onto the box, "reflect" folds back at its faces.

    Returns:
        The set; called with points, it brings them back.

    Raises:
        OdescentError: low > high (with the coordinate), NaN, shapes that do not agree, or an unknown `how`.
    """
    if how not in ("clip", "reflect"):
        raise unknown("way to stay in a box called", how, ("clip", "reflect"))
    try:
        a, b = np.broadcast_arrays(np.atleast_1d(np.asarray(low, float)), np.asarray(high, float))
    except (TypeError, ValueError, OverflowError):
        raise OdescentError(
            f"a box must have as many lower as upper bounds, all of them numbers, not {short(low)} and {high!r}."
        ) from None
    if a.ndim != 1 or not a.size or np.isnan(a).any() or np.isnan(b).any():
        raise OdescentError(
            f"the bounds of a box must be one number per coordinate, not {a.tolist()} and {b.tolist()}."
        )
    if (a > b).any():
        i = int(np.argmax(a > b))
        raise OdescentError(f"the box has low = {a[i]:g} > high = {b[i]:g} in coordinate {i}.")
    if how == "reflect" and (np.isfinite(a) != np.isfinite(b)).any():
        i = int(np.argmax(np.isfinite(a) != np.isfinite(b)))
        raise OdescentError(
            f"reflection needs both bounds of coordinate {i} or neither; use how='clip' for one."
        )
    return Box(tuple(a.tolist()), tuple(b.tolist()), how)


@checked
def ball(center: ArrayLike, radius: float) -> Ball:
    """The set |x - center| <= radius. Raises OdescentError for a radius that is not positive."""
    return Ball(_point(center), _radius(radius))


@checked
def sphere(center: ArrayLike, radius: float = 1.0) -> Sphere:
    """The set |x - center| = radius. Raises OdescentError for a radius that is not positive."""
    return Sphere(_point(center), _radius(radius))


@checked
def simplex(total: float = 1.0) -> Simplex:
    """The set x >= 0, sum x = total. Raises OdescentError for a total that is not positive."""
    if not (np.isfinite(total) and total > 0):
        raise OdescentError(f"the coordinates must sum to a positive number, not {short(total)}.")
    return Simplex(float(total))


def _point(center: Any) -> tuple[float, ...]:
    point = np.atleast_1d(reals(center))
    if point.ndim != 1 or not point.size or not np.isfinite(point).all():
        raise OdescentError(
            f"the center must be a point of shape (d,) with finite coordinates, not {short(center)}."
        )
    return tuple(point.tolist())


def _radius(radius: Any) -> float:
    if not (np.isfinite(radius) and radius > 0):
        raise OdescentError(f"the radius must be a positive number, not {short(radius)}.")
    return float(radius)
