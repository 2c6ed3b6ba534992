"""Limit sets of many orbits, found in batches that shrink as orbits settle.

At steps 64, 128, 256, ... or so (Brent's doubling, BIT 20 (1980), doi:10.1007/BF01933190) each undecided point leaves
a mark and is watched for a while. It has settled when it comes back to its mark after p steps, again after 2 p,
with the same p as at the mark before, *and* meets that earlier mark: over a doubling of time it has not drifted
by more than the tolerance. Decided points leave the batch. A flow comes back when it crosses the plane through
its mark, across its velocity there, close to the mark; its period is a time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from ..._support.errors import OdescentError
from ..._support.numbers import check_whole
from ..._support.rendering.brief import short
from ...dynamics.flows.stepper import PointStepper, iterate
from ...dynamics.flows.tableaux import hermite
from .batching import pad, pick, spread, take
from .grid import PointGrid, place
from .stepping import size

FIRST = 64  # steps before the first mark
UNRESOLVED, SETTLED = 0, 1
_STILL = 8  # steps for which a flow at rest must stay there
_SLOWING = 0.1  # of the speed at the last mark
_LONGEST = 1 << 27  # of periods

Confirm = Callable[[Any, Float[np.ndarray, " n"], Int[np.ndarray, " n"]], Bool[np.ndarray, " n"]]


@dataclass(frozen=True)
class Outcomes:
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


def begin(p: PointGrid, at: Int[np.ndarray, " n"]) -> tuple[Any, Any]:
    """States and coefficients at flat indices."""
    c = p.coefficients(at)
    return _beginning(p.stepper)(p.points(at), c), c


@lru_cache(maxsize=64)
def _beginning(s: PointStepper) -> Callable[..., Any]:
    def one(z: tuple[Any, Any], c: Any) -> Any:
        return place(jax.tree.map(jnp.asarray, s.init(z[0], c)), z[1])

    return jax.jit(lambda z, c: over(one, c)(z, c))


@lru_cache(maxsize=64)
def _reading(s: PointStepper, what: str) -> Callable[..., Any]:
    return jax.jit(lambda z, c: over(getattr(s, what), c)(z, c))


def read(s: PointStepper, what: str, state: Any, c: Any) -> Any:
    """A quantity of many states at once, as NumPy leaves of shape (..., n).

    Args:
        s: the stepper.
        what: "output", "seen" or "rates", a method of the stepper.
        state: a pytree of states, along the last axis.
        c: coefficients.
    """
    n = np.shape(jax.tree.leaves(state)[0])[-1]
    room = 1 << max(n - 1, 15).bit_length()  # few shapes, so few compilations
    z = jax.tree.map(jnp.asarray, pad(state, room))
    return take(_reading(s, what)(z, pick(c, slice(None), room)), slice(n))


@dataclass(frozen=True)
class Limits:
    """How long, how exactly and how far points are followed.

    Attributes:
        steps: the cap.
        tolerance: of recurrences, in units of the size of the region of starts.
        escape: beyond it, in these units, a point has diverged.
        longest: the longest period looked for (maps).
        memory: bytes that a call may use.

    Raises OdescentError for numbers out of their range.
    """

    steps: int
    tolerance: float
    escape: float
    longest: int
    memory: int

    def __post_init__(self) -> None:
        check_whole("steps", self.steps, FIRST)
        check_whole("max_period", self.longest, 1)
        check_whole("memory", self.memory, 1)
        if not 0 < self.tolerance < 1e-2:
            raise OdescentError(
                f"tolerance must be more than 0 and less than 0.01, not {short(self.tolerance)}."
            )
        if not (np.isfinite(self.escape) and self.escape > 1):
            raise OdescentError(
                f"escape must be a finite number more than 1, not {short(self.escape)}."
            )


def settle(
    p: PointGrid,
    limits: Limits,
    confirm: Confirm | None = None,
    among: Int[np.ndarray, " m"] | None = None,
) -> Outcomes:
    """Iterate until each point has settled or left, or the steps are used up.

    Args:
        p: the points.
        limits: how long they are followed.
        confirm: (states, periods, flat indices) of points that are about to be settled: which of them are.
        among: flat indices of the points that are followed; all where None. The others stay unresolved.
    """
    flow, steps, memory = p.stepper.rates is not None, limits.steps, limits.memory
    tolerance, escape = limits.tolerance * p.scale, limits.escape * p.scale
    n, longest = p.count, min(limits.longest, _LONGEST)
    verdict, when, period = np.zeros(n, int), np.full(n, -1), np.zeros(n)
    old_period, old_speed = np.zeros(n), np.full(n, np.inf)
    last: Any = None
    alive = np.arange(n) if among is None else among
    state: Any = None
    marks: Any = None
    c: Any = None  # the coefficients of the undecided
    total, ahead = 0, FIRST
    while len(alive) and total < steps:
        ahead = min(ahead, steps - total)
        window = min(_STILL if flow else 2 * min(longest, max(ahead // 4, 4)), steps - total)
        (z, new_marks, now, again, still, reach), c = _watched(
            p, alive, state, marks, c, (ahead, window), tolerance, memory
        )
        how, at = left_how(p, alive, state, c, ~(reach <= escape), ahead + window, escape, memory)
        total, began = total + ahead + window, total
        if flow:
            # what comes to rest slows down, by far between marks; what circles does not
            speed, now = now, np.zeros(len(alive))
            circling = ~still & (how == 0) & (speed >= _SLOWING * old_speed[alive])
            old_speed[alive] = speed
            if marks is not None and circling.any() and total < steps:
                turn = min(total, steps - total)
                z, now, again = _circled(p, c, z, marks, circling, turn, tolerance, memory)
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
        for whole, part in zip(jax.tree.leaves(last), jax.tree.leaves(z), strict=True):
            whole[..., alive[final]] = part[..., final]
        state, marks = z, new_marks
        if out.any():
            keep = ~out
            alive, state, marks, c = alive[keep], take(z, keep), take(marks, keep), pick(c, keep)
        ahead = total
    return Outcomes(verdict, period, when, last)


def each_point(p: PointGrid) -> int:
    """Bytes that one point may need while it moves."""
    return 16 * 8 * max(int(p.start.size), 1) * max(len(p.stepper.blocks), 1)


def _watched(
    p: PointGrid, alive: np.ndarray, state: Any, marks: Any, c: Any, steps: tuple[int, int], tolerance: float,
    memory: int,
) -> tuple[Any, Any]:  # fmt: skip
    """One round of all undecided points: what `Kernels.watch` finds, and the coefficients; NumPy arrays."""
    k = kernels(p.stepper)

    def work(part: slice, padded: int) -> tuple[Any, Any]:
        z, own = states_at(p, alive, state, c, part, padded)
        if state is None:
            seen = jax.eval_shape(_reading(p.stepper, "seen"), z, own)
            old = jax.tree.map(lambda a: np.full(a.shape, np.inf, a.dtype), seen)
        else:
            old = pad(take(marks, part), padded)
        found = k.watch(z, own, old, *steps, tolerance)
        kept = slice(part.stop - part.start)
        return take(found, kept), pick(own, kept)

    found, own = spread(work, len(alive), memory, each_point(p))
    return found, own if state is None else c


def states_at(
    p: PointGrid, alive: np.ndarray, state: Any, c: Any, which: Any, padded: int
) -> tuple[Any, Any]:
    """States and coefficients of some of the undecided points, padded; at the beginning where there are none yet."""
    if state is None:
        return begin(p, pad(alive[which], padded))
    return pad(take(state, which), padded), pick(c, which, padded)


def _circled(
    p: PointGrid, c: Any, state: Any, marks: Any, which: np.ndarray, n: int, tolerance: float, memory: int
) -> tuple[Any, np.ndarray, np.ndarray]:  # fmt: skip
    """`Kernels.circle` for some of the points: states, times of return, and whether they came back twice."""
    now, again = np.zeros(len(which)), np.zeros(len(which), bool)
    state = jax.tree.map(np.array, state)
    picked = np.flatnonzero(which)

    def work(part: slice, padded: int) -> Any:
        these = picked[part]
        z, mark = (pad(take(t, these), padded) for t in (state, marks))
        found = kernels(p.stepper).circle(z, pick(c, these, padded), mark, n, tolerance)
        return take(found, slice(len(these)))

    if len(picked):
        z, now[picked], again[picked] = spread(work, len(picked), memory, each_point(p))
        for whole, moved in zip(jax.tree.leaves(state), jax.tree.leaves(z), strict=True):
            whole[..., picked] = moved
    return state, now, again


def left_how(
    p: PointGrid, alive: np.ndarray, state: Any, c: Any, bad: np.ndarray, n: int, escape: float, memory: int
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """How and at which of the round's n steps the bad points left; zeros for the others."""
    how, at = np.zeros(len(alive), int), np.zeros(len(alive), int)
    picked = np.flatnonzero(bad)

    def work(part: slice, padded: int) -> Any:
        these = picked[part]
        start = states_at(p, alive, state, c, these, padded)
        return take(kernels(p.stepper).leave(*start, n, escape, p.scale), slice(len(these)))

    if len(picked):
        how[picked], at[picked] = spread(work, len(picked), memory, each_point(p))
    return how, at


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
