"""Adaptive steps of a flow up to a time or to a plane, differentiable with respect to the start.

Steps are Dormand and Prince's of order 5. Their sizes are choices and have no derivative, so that derivatives are
those of the variational equation. A crossing of the plane is found to rounding by steps that are shortened by
Newton's method, after Henon (Physica D 5 (1982), doi:10.1016/0167-2789(82)90034-3), started at the root of the cubic
through both ends; its time has the derivative of the implicit function.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...dynamics.flows.tableaux import DORMAND_PRINCE, DORMAND_PRINCE_ERROR, hermite, stages

Velocity = Callable[[Any, Array], Array]  # (t, z) to dz/dt, of vectors
MOST = 20_000  # steps between two returns
_ON_CUBIC = 4  # steps of Newton's method


class _Now(NamedTuple):
    """Where a flight is: the state, its velocity, the time, the next step, how many were tried, and whether it ends."""

    z: Array
    f: Array
    t: Array
    h: Array
    tried: Array
    done: Array


def _step(velocity: Velocity, t: Any, z: Array, f: Array, h: Any) -> tuple[Array, Array, Array]:
    """The state after a step, its velocity, and the error of the step."""
    a, _, c = DORMAND_PRINCE.numbers

    def weighted(row: tuple[float, ...], slopes: list[Array]) -> Array:
        return functools.reduce(
            operator.add, [w * k for w, k in zip(row, slopes, strict=True) if w]
        )

    slopes = stages(
        DORMAND_PRINCE,
        lambda i, at: velocity(t + c[i] * h, at),
        lambda i, before: z + h * weighted(a[i], before),
        f,
    )
    return (
        z + h * weighted(a[-1], slopes[:-1]),
        slopes[-1],
        h * weighted(DORMAND_PRINCE_ERROR, slopes),
    )


def _off(error: Array, z: Array, new: Array, tolerance: float) -> Array:
    """The error of a step in units of what is allowed, relative to the largest entry of the state."""
    large = jnp.maximum(jnp.max(jnp.abs(z)), jnp.max(jnp.abs(new)))
    return jax.lax.stop_gradient(jnp.max(jnp.abs(error)) / (tolerance * large + 1e-300))


def _next(h: Array, off: Array) -> Array:
    factor = jnp.clip(0.9 * jnp.maximum(off, 1e-10) ** -0.2, 0.2, 5.0)
    return h * jnp.where(jnp.isnan(factor), 0.2, factor)


def _begin(velocity: Velocity, t: Any, z: Array, tolerance: float, longest: Any) -> _Now:
    f = velocity(t, z)
    still = jax.lax.stop_gradient
    speed = jnp.max(jnp.abs(still(f)))
    h = tolerance**0.2 * (jnp.max(jnp.abs(still(z))) + 1e-3) / (speed + 1e-300)
    none = jnp.zeros((), int)
    at = jnp.asarray(t, z.dtype)
    return _Now(z, f, at, jnp.minimum(h, longest), none, none > 0)


def over_time(
    velocity: Velocity, z: Float[Array, " d"], t: Any, span: Any, tolerance: float
) -> Float[Array, " d"]:
    """The state after a time; NaN where it blows up, or after `MOST` steps.

    Args:
        velocity: (t, z) to dz/dt.
        z: the start.
        t: its time.
        span: the time to pass.
        tolerance: of a step, relative to the largest entry of the state.
    """
    end = t + span

    def body(now: _Now) -> _Now:
        last = now.h >= end - now.t
        h = jnp.where(last, end - now.t, now.h)
        new, f, error = _step(velocity, now.t, now.z, now.f, h)
        off = _off(error, now.z, new, tolerance)
        fine = off <= 1
        z, f = jnp.where(fine, new, now.z), jnp.where(fine, f, now.f)
        t = jnp.where(fine, now.t + h, now.t)
        return _Now(z, f, t, _next(h, off), now.tried + 1, fine & last)

    going = lambda now: ~now.done & (now.tried < MOST) & jnp.isfinite(now.h) & (now.h > 0)
    now = jax.lax.while_loop(going, body, _begin(velocity, t, z, tolerance, span))
    return jnp.where(now.done, now.z, jnp.nan)


def to_plane(
    velocity: Callable[[Array], Array],
    z: Float[Array, " d"],
    plane: tuple[Float[Array, " d"], Any],
    direction: int,
    longest: float,
    tolerance: float,
) -> tuple[Float[Array, " d"], Array]:
    """The next crossing of a plane, from a start on it, and the time until then; NaN where there is none.

    Args:
        velocity: z to dz/dt.
        z: the start.
        plane: (normal, offset): the plane is normal . z = offset.
        direction: +1 for crossings along the normal, -1 against it, 0 for both.
        longest: the time after which there is none.
        tolerance: of a step, relative to the largest entry of the state.
    """
    normal, offset = plane
    still = jax.lax.stop_gradient
    flow: Velocity = lambda t, z: velocity(z)
    high: Callable[[Array], Array] = lambda z: jnp.vdot(normal, z) - offset
    begin = _begin(flow, 0.0, z, tolerance, longest)
    # on the plane the side is that to which the flow goes
    side = jnp.sign(jnp.vdot(normal, still(begin.f)))

    def body(carry: tuple[_Now, Array, Any]) -> tuple[_Now, Array, Any]:
        now, side, _ = carry
        new, f, error = _step(flow, 0.0, now.z, now.f, now.h)
        off = _off(error, now.z, new, tolerance)
        fine = off <= 1
        there = jnp.sign(high(still(new)))
        wanted = (there != side) if direction == 0 else (there == direction) & (side == -direction)
        met = fine & wanted & (there != 0)
        moves = fine & ~met  # the step of the crossing is taken once more, shorter
        end = (high(still(new)), jnp.vdot(normal, still(f)))
        z, f = jnp.where(moves, new, now.z), jnp.where(moves, f, now.f)
        t, h = jnp.where(moves, now.t + now.h, now.t), jnp.where(met, now.h, _next(now.h, off))
        side = jnp.where(moves & (there != 0), there, side)
        return _Now(z, f, t, h, now.tried + 1, met), side, end

    def going(carry: tuple[_Now, Array, Any]) -> Array:
        now = carry[0]
        open_ = ~now.done & (now.tried < MOST) & (now.t < longest)
        return open_ & jnp.isfinite(now.h) & (now.h > 0)

    zero = jnp.zeros((), z.dtype)
    now, _, (b, db) = jax.lax.while_loop(going, body, (begin, side, (zero, zero)))
    a, da, db = still(high(now.z)), now.h * still(jnp.vdot(normal, now.f)), now.h * db
    w = jnp.clip(a / jnp.where(a == b, 1.0, a - b), 0.0, 1.0)

    def on_cubic(_: Any, w: Array) -> Array:
        value, slope = jax.jvp(lambda w: hermite(a, b, da, db, w), (w,), (jnp.ones_like(w),))
        return jnp.clip(
            w - jnp.where(slope == 0, 0.0, value / jnp.where(slope == 0, 1.0, slope)), 0.0, 1.0
        )

    tau = still(jax.lax.fori_loop(0, _ON_CUBIC, on_cubic, w) * now.h)
    at, f, _ = _step(flow, 0.0, *still((now.z, now.f)), tau)
    tau = still(tau - high(at) / jnp.vdot(normal, f))
    # the last one is not stopped: its derivative is that of the implicit function
    at, f, _ = _step(flow, 0.0, now.z, now.f, tau)
    more = -high(at) / still(jnp.vdot(normal, f))
    lost = ~now.done | ~(jnp.abs(more) <= now.h)
    end = at + still(f) * more
    return jnp.where(lost, jnp.nan, end), jnp.where(lost, jnp.nan, now.t + tau + more)


__all__ = ["MOST", "over_time", "to_plane"]
