"""Compiled loops over many points with detection of returns and escapes; convergence is decided in `settling`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from ...dynamics.flows.stepper import PointStepper, iterate
from ...dynamics.flows.tableaux import hermite
from .stepping import size

DIVERGES, UNDEFINED = 2, 3
_AGAIN, _BACK = 2, 1  # bits; the rest is the step of the first return
# A flow comes back up to so many tolerances and this part of |f| dt, since steps are interpolated.
_FLOW = (100.0, 4e-4)


@dataclass(frozen=True)
class Kernels:
    """Compiled loops over many points; the points are along the last axis.

    Attributes:
        advance: steps.
        watch: steps, then more steps and what comes back to where it was meanwhile; for flows, what stands still,
            and how fast the rest is.
        circle: for flows, what comes back.
        leave: when and how points leave.
    """

    advance: Callable[..., Any]
    watch: Callable[..., Any]
    circle: Callable[..., Any]
    leave: Callable[..., Any]


def over(f: Callable[..., Any], c: Any) -> Callable[..., Any]:
    """f(state, c) of one point as a function of many states, c varying where its leaves have an axis."""
    return jax.vmap(f, in_axes=(-1, jax.tree.map(lambda a: -1 if a.ndim else None, c)), out_axes=-1)


def close(a: Any, b: Any, tolerance: Any) -> Any:
    """Which points agree with others in every entry, up to a tolerance; NaN never does.

    Args:
        a: a pytree of points, along the last axis.
        b: others, of the same structure.
        tolerance: absolute; one, or one per point.
    """
    reach = jnp.reshape(tolerance, (1, -1))
    gaps = jax.tree.map(lambda u, v: jnp.abs(u - v).reshape(-1, u.shape[-1]) <= reach, a, b)
    return functools.reduce(jnp.logical_and, [jnp.all(g, axis=0) for g in jax.tree.leaves(gaps)])


@lru_cache(maxsize=64)
def kernels(s: PointStepper) -> Kernels:
    """The loops of one stepper."""
    single = lambda z, c: s.step(z, c, None)
    large = jax.vmap(size, in_axes=-1, out_axes=-1)

    def advance(z: Any, c: Any, n: Any) -> Any:
        step = over(single, c)
        return iterate(lambda _, z: step(z, c), z, n)

    def watch_map(z: Any, c: Any, old: Any, ahead: Any, n: Any, tolerance: Any) -> Any:
        step, seen = over(single, c), over(s.seen, c)
        z = advance(z, c, ahead)
        mark = seen(z, c)

        def body(j: Any, carry: Any) -> Any:
            z, code = carry
            z = step(z, c)
            now = seen(z, c)
            first, j = code >> 2, j.astype(jnp.int32)
            news = jnp.where(first == 0, j << 2, jnp.where(j == 2 * first, _AGAIN, 0))
            code = code | jnp.where(close(now, mark, tolerance), news, 0)
            return z, code | jnp.where(close(now, old, tolerance), _BACK, 0)

        # one integer for each point instead of three carries: half the time
        none = jnp.zeros(jax.tree.leaves(mark)[0].shape[-1:], jnp.int32)
        z, code = iterate(body, (z, none), n, first=1)
        both = _AGAIN | _BACK
        return z, mark, (code >> 2).astype(float), code & both == both, code < 0, large(z)

    def watch_flow(z: Any, c: Any, old: Any, ahead: Any, n: Any, tolerance: Any) -> Any:
        step = over(single, c)
        z = mark = advance(z, c, ahead)
        still = close(mark, old, tolerance)
        body = lambda j, v: (lambda b: (b, v[1] & close(b, mark, tolerance)))(step(v[0], c))
        z, still = iterate(body, (z, still), n)
        speed = large(over(s.rates, c)(z, c))  # type: ignore[arg-type]
        return z, mark, speed, still & False, still, large(z)

    def circle(z: Any, c: Any, old: Any, n: Any, tolerance: Any) -> Any:
        step, rates = over(single, c), over(s.rates, c)  # type: ignore[arg-type]
        dt, mark = s.dt or 0.0, z
        none = jnp.zeros(jax.tree.leaves(z)[0].shape[-1:])

        def crossed(a: Any, b: Any, fa: Any, fb: Any, at: Any, normal: Any) -> tuple[Any, Any]:
            """Whether the step from a to b crosses the plane near the mark, when, and how far off."""

            def high(z: Any) -> Any:
                return _inner(normal, jax.tree.map(jnp.subtract, z, at))

            ga, gb = high(a), high(b)
            up = (ga < 0) & (gb >= 0)
            w = jnp.where(up, ga / jnp.where(up, ga - gb, 1.0), 0.0)
            for _ in range(2):  # onto the cubic through both ends
                g, slope = high(_between(a, b, fa, fb, dt, w)), (gb - ga)
                w = jnp.clip(w - jnp.where(up, g / jnp.where(up, slope, 1.0), 0.0), 0.0, 1.0)
            near = _FLOW[0] * tolerance + _FLOW[1] * dt * large(normal)
            return up & close(_between(a, b, fa, fb, dt, w), at, near), w

        normal, old_normal = rates(mark, c), rates(old, c)

        def body(j: Any, carry: Any) -> Any:
            a, fa, first, again, back = carry
            b = step(a, c)
            fb = rates(b, c)
            met, w = crossed(a, b, fa, fb, mark, normal)
            time = (j - 1 + w) * dt
            again = again | (met & (first > 0) & (jnp.abs(time - 2 * first) <= 1e-3 * first))
            first = jnp.where((first == 0) & met, time, first)
            back = back | crossed(a, b, fa, fb, old, old_normal)[0]
            return b, fb, first, again, back

        start = (z, normal, none, none > 0, none > 0)
        z, _, first, again, back = iterate(body, start, n, first=1)
        return z, first, again & back

    def leave(z: Any, c: Any, n: Any, escape: Any, scale: Any) -> Any:
        step = over(single, c)
        none = jnp.zeros(jax.tree.leaves(z)[0].shape[-1:], int)

        def body(j: Any, carry: Any) -> Any:
            z, how, at = carry
            new = step(z, c)
            reach = large(new)
            gone = (how == 0) & ~(reach <= escape)
            blind = jnp.isnan(reach) & (large(z) <= 1e4 * scale)
            how = jnp.where(gone, jnp.where(blind, UNDEFINED, DIVERGES), how)
            z = jax.tree.map(lambda a, b: jnp.where(how > 0, a, b), z, new)
            return z, how, jnp.where(gone, j, at)

        inside = lambda carry: jnp.any(carry[1] == 0)
        return iterate(body, (z, none, none), n, inside, first=1)[1:]

    watch = watch_map if s.rates is None else watch_flow
    return Kernels(jax.jit(advance), jax.jit(watch), jax.jit(circle), jax.jit(leave))


def _inner(a: Any, b: Any) -> Any:
    """Inner products of many points."""
    parts = jax.tree.map(lambda u, v: jnp.sum((u * v).reshape(-1, u.shape[-1]), axis=0), a, b)
    return sum(jax.tree.leaves(parts))


def _between(a: Any, b: Any, fa: Any, fb: Any, dt: Any, w: Any) -> Any:
    """The states of many points at the part w of their steps from a to b, with velocities fa and fb there."""

    def leaf(a: Any, b: Any, fa: Any, fb: Any) -> Any:
        part = w.reshape((1,) * (a.ndim - 1) + w.shape)
        return hermite(a, b, dt * fa, dt * fb, part)

    return jax.tree.map(leaf, a, b, fa, fb)
