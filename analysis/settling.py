"""Where orbits settle: long-run behaviour of many points, decided late and compacted as it goes.

At steps 32, 64, 128, ... or so (Brent's doubling, BIT 20 (1980), doi:10.1007/BF01933190) each undecided point leaves
a mark and is watched for a while. It has settled when it comes back to its mark after p steps, again after 2 p,
with the same p as at the mark before, *and* meets that earlier mark: over a doubling of time it has not drifted
by more than the tolerance. Decided points leave the batch. A flow comes back when it crosses the plane through
its mark, across its velocity there, close to the mark; its period is a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from .product import Product, place
from .stepping import Stepper, distance, size

FIRST = 32  # steps before the first mark
SIZES = (512, 8_192)  # points per call: one compilation each, small enough for the cache
UNRESOLVED, SETTLED, DIVERGES, UNDEFINED = 0, 1, 2, 3
_STILL = 8  # steps for which a flow at rest must stay there
_SLOWING = 0.1  # of the speed at the last mark
# A flow comes back up to so many tolerances and this part of |f| dt, since steps are interpolated.
_FLOW = (100.0, 4e-4)

Confirm = Callable[[Any, Float[np.ndarray, " n"], Int[np.ndarray, " n"]], Bool[np.ndarray, " n"]]


@dataclass(frozen=True)
class Settled:
    """What became of each point of a product, flat.

    Attributes:
        verdict: UNRESOLVED, SETTLED, DIVERGES or UNDEFINED (a step had no value: NaN).
        period: steps of the cycle it settled on, 1 for a fixed point; for flows a time, 0 for an equilibrium.
        when: the step at which it was found to have settled, or left; -1 for undecided ones.
        state: the last state, leaves of shape (..., n).
    """

    verdict: Int[np.ndarray, " n"]
    period: Float[np.ndarray, " n"]
    when: Int[np.ndarray, " n"]
    state: Any


@dataclass(frozen=True)
class Kernels:
    """Compiled loops over many points; the points are along the last axis.

    Attributes:
        advance: steps.
        watch: steps, and what comes back to where it was; for flows, what stands still, and how fast the rest is.
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


@lru_cache(maxsize=64)
def kernels(s: Stepper) -> Kernels:
    """The loops of one stepper."""
    single = lambda z, c: s.step(z, c, None)
    far = jax.vmap(distance, in_axes=(-1, -1), out_axes=-1)
    large = jax.vmap(size, in_axes=-1, out_axes=-1)

    def advance(z: Any, c: Any, n: Any) -> Any:
        step = over(single, c)
        return jax.lax.fori_loop(0, n, lambda i, z: step(z, c), z)

    def watch_map(z: Any, c: Any, old: Any, n: Any, tolerance: Any) -> Any:
        step, seen = over(single, c), over(s.seen, c)
        mark = seen(z, c)
        none = jnp.zeros(jax.tree.leaves(mark)[0].shape[-1:], int)

        def body(j: Any, carry: Any) -> Any:
            z, first, again, back = carry
            z = step(z, c)
            now = seen(z, c)
            hit = far(now, mark) <= tolerance
            again = again | (hit & (first > 0) & (j == 2 * first))
            first = jnp.where((first == 0) & hit, j, first)
            return z, first, again, back | (far(now, old) <= tolerance)

        start = (z, none, none > 0, none > 0)
        z, first, again, back = jax.lax.fori_loop(1, n + 1, body, start)
        return z, mark, first.astype(float), again & back, none > 0, large(z)

    def watch_flow(z: Any, c: Any, old: Any, n: Any, tolerance: Any) -> Any:
        step, mark = over(single, c), z
        still = far(mark, old) <= tolerance
        body = lambda j, v: (lambda b: (b, v[1] & (far(b, mark) <= tolerance)))(step(v[0], c))
        z, still = jax.lax.fori_loop(0, n, body, (z, still))
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
                g, slope = high(_hermite(a, b, fa, fb, dt, w)), (gb - ga)
                w = jnp.clip(w - jnp.where(up, g / jnp.where(up, slope, 1.0), 0.0), 0.0, 1.0)
            near = _FLOW[0] * tolerance + _FLOW[1] * dt * large(normal)
            return up & (far(_hermite(a, b, fa, fb, dt, w), at) <= near), w

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
        z, _, first, again, back = jax.lax.fori_loop(1, n + 1, body, start)
        return z, first, again & back

    def leave(z: Any, c: Any, n: Any, escape: Any, scale: Any) -> Any:
        step = over(single, c)
        none = jnp.zeros(jax.tree.leaves(z)[0].shape[-1:], int)

        def body(carry: Any) -> Any:
            z, j, how, at = carry
            new = step(z, c)
            reach = large(new)
            gone = (how == 0) & ~(reach <= escape)
            blind = jnp.isnan(reach) & (large(z) <= 1e4 * scale)
            how = jnp.where(gone, jnp.where(blind, UNDEFINED, DIVERGES), how)
            z = jax.tree.map(lambda a, b: jnp.where(how > 0, a, b), z, new)
            return z, j + 1, how, jnp.where(gone, j, at)

        start = (z, jnp.ones((), int), none, none)
        last = jax.lax.while_loop(lambda v: (v[1] <= n) & jnp.any(v[2] == 0), body, start)
        return last[2], last[3]

    watch = watch_map if s.rates is None else watch_flow
    return Kernels(jax.jit(advance), jax.jit(watch), jax.jit(circle), jax.jit(leave))


def _inner(a: Any, b: Any) -> Any:
    """Inner products of many points."""
    parts = jax.tree.map(lambda u, v: jnp.sum((u * v).reshape(-1, u.shape[-1]), axis=0), a, b)
    return sum(jax.tree.leaves(parts))


def _hermite(a: Any, b: Any, fa: Any, fb: Any, dt: Any, w: Any) -> Any:
    """The cubic through both ends of a step with their velocities, at the part w of it."""

    def leaf(a: Any, b: Any, fa: Any, fb: Any) -> Any:
        v = jnp.broadcast_to(w, a.shape) if a.ndim == 1 else jnp.broadcast_to(
            w.reshape((1,) * (a.ndim - 1) + w.shape), a.shape
        )  # fmt: skip
        u = 1 - v
        return u * u * (1 + 2 * v) * a + v * v * (3 - 2 * v) * b + u * v * dt * (u * fa - v * fb)

    return jax.tree.map(leaf, a, b, fa, fb)


def chunks(count: int, memory: int, bytes_each: int) -> Iterator[tuple[slice, int]]:
    """Slices of 0, ..., count - 1 with the padded size of each, within a budget of bytes."""
    room = min(max(memory // max(bytes_each, 1), 1), SIZES[1])
    large = 1 << (room.bit_length() - 1)
    done = 0
    while done < count:
        left = count - done
        n = large if left > large // 4 else min(SIZES[0], large)
        yield slice(done, done + min(n, left)), n
        done += min(n, left)


def take(tree: Any, points: Any) -> Any:
    """NumPy leaves (..., n) at some of the points: indices, a mask or a slice."""
    return jax.tree.map(lambda a: np.asarray(a)[..., points], tree)


def pad(tree: Any, n: int) -> Any:
    """Leaves with n points, the last one repeated."""

    def leaf(a: Any) -> Any:
        a = np.asarray(a)
        missing = n - a.shape[-1]
        return np.concatenate([a, np.repeat(a[..., -1:], missing, axis=-1)], -1) if missing else a

    return jax.tree.map(leaf, tree)


def begin(p: Product, at: Int[np.ndarray, " n"]) -> tuple[Any, Any]:
    """States and coefficients at flat indices."""
    c = p.coefficients(at)
    return _beginning(p.stepper)(p.points(at), c), c


@lru_cache(maxsize=64)
def _beginning(s: Stepper) -> Callable[..., Any]:
    def one(z: tuple[Any, Any], c: Any) -> Any:
        return place(jax.tree.map(jnp.asarray, s.init(z[0], c)), z[1])

    return jax.jit(lambda z, c: over(one, c)(z, c))


@lru_cache(maxsize=64)
def _reading(s: Stepper, what: str) -> Callable[..., Any]:
    return jax.jit(lambda z, c: over(getattr(s, what), c)(z, c))


def read(s: Stepper, what: str, state: Any, c: Any) -> Any:
    """The "output" of states, what is "seen" of them, or their "rates"; NumPy leaves (..., n)."""
    n = np.shape(jax.tree.leaves(state)[0])[-1]
    room = 1 << max(n - 1, 15).bit_length()  # few shapes, so few compilations
    z = jax.tree.map(jnp.asarray, pad(state, room))
    c = jax.tree.map(lambda a: jnp.asarray(pad(a, room)) if np.ndim(a) else a, c)
    return take(_reading(s, what)(z, c), slice(n))


def settle(
    p: Product,
    steps: int,
    tolerance: float,
    escape: float,
    longest: int,
    memory: int,
    confirm: Confirm | None = None,
) -> Settled:
    """Iterate until each point has settled or left, at most about ``steps`` steps.

    Args:
        p: the points.
        steps: the cap.
        tolerance: absolute, of recurrences.
        escape: beyond it in absolute value a point has diverged.
        longest: the longest period looked for (maps).
        memory: bytes that a call may use.
        confirm: (states, periods, flat indices) of points that are about to be settled: which of them are.
    """
    flow = p.stepper.rates is not None
    n = p.count
    verdict, when, period = np.zeros(n, int), np.full(n, -1), np.zeros(n)
    old_period, old_speed = np.zeros(n), np.full(n, np.inf)
    last: Any = None
    alive = np.arange(n)
    state: Any = None
    marks: Any = None
    total, ahead = 0, FIRST
    while len(alive) and total < steps:
        ahead = min(ahead, steps - total)
        window = min(_STILL if flow else 2 * min(longest, max(ahead // 4, 4)), steps - total)
        z, new_marks, now, again, still, reach = _watched(
            p, alive, state, marks, (ahead, window), tolerance, memory
        )
        how, at = _left(p, alive, state, ~(reach <= escape), ahead + window, escape, memory)
        total, began = total + ahead + window, total
        if flow:
            # what comes to rest slows down, by far between marks; what circles does not
            speed, now = now, np.zeros(len(alive))
            circling = ~still & (how == 0) & (speed >= _SLOWING * old_speed[alive])
            old_speed[alive] = speed
            if marks is not None and circling.any() and total < steps:
                turn = min(total, steps - total)
                z, now, again = _circled(p, alive, z, marks, circling, turn, tolerance, memory)
                total += turn
        before = old_period[alive]
        same = (now > 0) if flow else now == before
        done = ((again & (now > 0) & same) | still) & (how == 0)
        old_period[alive] = now
        left = how > 0
        if confirm is not None and done.any():
            picked = np.flatnonzero(done)
            done[picked] = confirm(take(z, picked), now[picked], alive[picked])
        out = done | left
        verdict[alive[done]], verdict[alive[left]] = SETTLED, how[left]
        period[alive[done]] = now[done]
        when[alive[done]], when[alive[left]] = total, began + at[left]
        final = out if total < steps else np.ones_like(out)
        if last is None:
            last = jax.tree.map(lambda a: np.zeros((*a.shape[:-1], n), a.dtype), z)
        for whole, some in zip(jax.tree.leaves(last), jax.tree.leaves(z), strict=True):
            whole[..., alive[final]] = some[..., final]
        keep = ~out
        alive, state, marks = alive[keep], take(z, keep), take(new_marks, keep)
        ahead = total
    return Settled(verdict, period, when, last)


def _each(p: Product) -> int:
    """Bytes that one point may need while it moves."""
    return 16 * 8 * max(int(p.start.size), 1) * max(len(p.stepper.blocks), 1)


def _watched(
    p: Product, alive: np.ndarray, state: Any, marks: Any, steps: tuple[int, int], tolerance: float, memory: int
) -> Any:  # fmt: skip
    """One round of all undecided points: `Kernels.advance`, then `Kernels.watch`; NumPy arrays."""
    k = kernels(p.stepper)
    gathered = []
    for part, padded in chunks(len(alive), memory, _each(p)):
        index = pad(alive[part], padded)
        if state is None:
            z, c = begin(p, index)
        else:
            c = p.coefficients(index)
            z = jax.tree.map(jnp.asarray, pad(take(state, part), padded))
        z = k.advance(z, c, steps[0])
        if marks is None:
            mark = jax.tree.map(lambda a: a + jnp.inf, _reading(p.stepper, "seen")(z, c))
        else:
            mark = jax.tree.map(jnp.asarray, pad(take(marks, part), padded))
        found = k.watch(z, c, mark, steps[1], tolerance)
        gathered.append((found, slice(part.stop - part.start)))
    parts = [take(found, kept) for found, kept in gathered]  # after all are under way
    return jax.tree.map(lambda *a: np.concatenate(a, -1), *parts)


def _circled(
    p: Product, alive: np.ndarray, state: Any, marks: Any, which: np.ndarray, n: int, tolerance: float, memory: int
) -> tuple[Any, np.ndarray, np.ndarray]:  # fmt: skip
    """`Kernels.circle` for some of the points: states, times of return, and whether they came back twice."""
    now, again = np.zeros(len(alive)), np.zeros(len(alive), bool)
    state = jax.tree.map(np.array, state)
    picked = np.flatnonzero(which)
    for part, padded in chunks(len(picked), memory, _each(p)):
        these = pad(picked[part], padded)
        z, mark = (jax.tree.map(jnp.asarray, take(t, these)) for t in (state, marks))
        found = kernels(p.stepper).circle(z, p.coefficients(alive[these]), mark, n, tolerance)
        own = picked[part]
        z, now[own], again[own] = take(found, slice(len(own)))
        for whole, some in zip(jax.tree.leaves(state), jax.tree.leaves(z), strict=True):
            whole[..., own] = some
    return state, now, again


def _left(
    p: Product, alive: np.ndarray, state: Any, bad: np.ndarray, n: int, escape: float, memory: int
) -> tuple[np.ndarray, np.ndarray]:
    """How and at which of the round's n steps the bad points left; zeros for the others."""
    how, at = np.zeros(len(alive), int), np.zeros(len(alive), int)
    picked = np.flatnonzero(bad)
    for part, padded in chunks(len(picked), memory, 1):
        these = pad(picked[part], padded)
        if state is None:
            z, c = begin(p, alive[these])
        else:
            c = p.coefficients(alive[these])
            z = jax.tree.map(jnp.asarray, take(state, these))
        found = kernels(p.stepper).leave(z, c, n, escape, p.scale)
        took = part.stop - part.start
        how[picked[part]], at[picked[part]] = (np.asarray(a)[:took] for a in found)
    return how, at


__all__ = [
    "DIVERGES", "SETTLED", "UNDEFINED", "UNRESOLVED", "Kernels", "Settled", "begin", "chunks", "kernels", "over",
    "pad", "read", "settle", "take",
]  # fmt: skip
