"""Points decided early: in neighbourhoods of stable cycles that shrink under the map, and in attractors' cells.

Around each point of a stable cycle there is an ellipsoid, a level set of z' P z with A' P A - P = -1 for the derivative
A over the period, in which the quadratic form fell at all of some hundred points of many sizes. A point in the
cells of a chaotic or quasi-periodic attractor has gone to it when it has stayed in them for a while.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ...dynamics.flows.stepper import PointStepper, iterate
from .attractors import Attractor, returns_of
from .batching import pad, pick, spread, take
from .grid import PointGrid
from .lasting import Place
from .settling import Limits, each_point, left_how, over, states_at

_SIZES, _TRIED = 16, 96  # of a neighbourhood, each half of the one before; points of each
_LARGEST = 0.25  # of the scale
_STAYS = 128  # steps of a map in an attractor's cells
_MISSED = 16  # of them, for a step outside
_ROUNDS = (4, 4, 8, 8, 16, 16, 32, 64, 64, 128, 256, 512, 512)
_MOST_TRAPS = 512
_TRAPPED, _FOUND = 1, 2


@dataclass(frozen=True)
class Traps:
    """Ellipsoids |M (z - center)| <= 1 in which points go to an attractor.

    Attributes:
        centers: shape (k, d).
        matrices: M, shape (k, d, d).
        labels: the numbers of the attractors, shape (k,).
    """

    centers: Float[np.ndarray, "k d"]
    matrices: Float[np.ndarray, "k d d"]
    labels: Int[np.ndarray, " k"]


def traps(
    s: PointStepper, found: list[Attractor], orbits: list[Any], c: Any, scale: float
) -> Traps:
    """The traps of those attractors that have some.

    Args:
        s: the stepper of a map.
        found: attractors.
        orbits: the states of each, leaves (..., p).
        c: coefficients, all scalars.
        scale: of the region.
    """
    from scipy.linalg import cholesky, solve_discrete_lyapunov

    rng = np.random.default_rng(0)
    centers: list[np.ndarray] = []
    matrices: list[np.ndarray] = []
    labels: list[int] = []
    for i, (a, orbit) in enumerate(zip(found, orbits, strict=True)):
        if (
            a.kind not in ("fixed point", "cycle")
            or not a.stable
            or (a.multiplier or 0.0) > 1 - 1e-3
        ):
            continue
        z = flat(orbit)  # (d, p)
        d, p = z.shape
        if len(labels) + p > _MOST_TRAPS:
            break
        slope = returns_of(s, orbit, np.full(p, p), c, scale)[1]  # (p, d, d)
        if not np.isfinite(slope).all():
            continue
        P = [solve_discrete_lyapunov(A.T, np.eye(d)) for A in slope]
        if not all(np.isfinite(Q).all() and np.linalg.eigvalsh(Q).min() > 0 for Q in P):
            continue
        M = np.stack([cholesky(Q) for Q in P])  # M' M = P
        top = np.array([np.linalg.norm(Q, 2) for Q in P])
        radii = _LARGEST * scale * 0.5 ** np.arange(_SIZES)
        u = rng.normal(size=(p, _SIZES, _TRIED, d))
        u *= (radii[:, None] * rng.uniform(0.5, 1.0, (_SIZES, _TRIED)))[..., None] / np.linalg.norm(
            u, axis=-1, keepdims=True
        )
        # the level set through M^-1 u has the size |u|; the longest half axis is that size, since P >= 1
        start = np.einsum("kij,krtj->krti", np.linalg.inv(M), u) + z.T[:, None, None]
        many = start.reshape(-1, d).T
        end = returns_of(s, shaped(many, orbit), np.full(many.shape[1], p), c, scale)[0]
        off = end.T.reshape(start.shape) - z.T[:, None, None]
        after = np.einsum("kij,krtj->krti", M, off)
        before, after = (u**2).sum(-1), (after**2).sum(-1)
        fell = (after <= before * (1 - 0.25 / top[:, None, None])).all(-1)  # (p, sizes)
        good = np.flip(np.logical_and.accumulate(np.flip(fell, 1), 1), 1)
        for j in range(p):
            if good[j].any():
                radius = radii[int(np.argmax(good[j]))] / 2
                centers.append(z[:, j])
                matrices.append(M[j] / radius)
                labels.append(i)
    d = flat(orbits[0]).shape[0] if orbits else 1
    return Traps(
        np.array(centers).reshape(-1, d),
        np.array(matrices).reshape(-1, d, d),
        np.array(labels, int),
    )


def flat(tree: Any) -> np.ndarray:
    """Leaves (..., n) as one array (d, n)."""
    return np.concatenate([np.asarray(a).reshape(-1, a.shape[-1]) for a in jax.tree.leaves(tree)])


def shaped(z: Float[np.ndarray, "d n"], like: Any) -> Any:
    """The inverse of `flat`, with the shapes of another tree."""
    leaves, tree = jax.tree.flatten(like)
    cuts = np.cumsum([int(np.prod(a.shape[:-1])) for a in leaves])[:-1]
    parts = np.split(z, cuts)
    return jax.tree.unflatten(
        tree, [q.reshape(*a.shape[:-1], -1) for q, a in zip(parts, leaves, strict=True)]
    )


@dataclass(frozen=True)
class Decided:
    """What became of some points; label -1 for what is still open, and how it left, of `settling`, else 0."""

    label: Int[np.ndarray, " n"]
    how: Int[np.ndarray, " n"]
    when: Int[np.ndarray, " n"]


def capture(
    p: PointGrid, among: Int[np.ndarray, " n"], limits: Limits, known: Traps, place: Place | None
) -> Decided:
    """Iterate points until they are in a trap, have stayed in an attractor's cells, or have left.

    Args:
        p: the points.
        among: which of them, flat indices.
        limits: how long and how far they are followed.
        known: the traps of attractors.
        place: the cells of others, numbered after those; None where there are none.

    Returns:
        for the points in their order: the number of the attractor (of a place: its number there, less 2, negative:
        -2 - number), how it left, and when.
    """
    n, escape = len(among), limits.escape * p.scale
    label, how, when = np.full(n, -1), np.zeros(n, int), np.full(n, -1)
    alive = np.arange(n)
    state: Any = None
    c: Any = None
    hits = np.zeros(n, np.int32)
    total = 0
    d = known.centers.shape[1] if place is None else len(place.low)
    cells = (np.zeros(d), np.ones(d), np.zeros(1, np.int32)) if place is None else (
        place.low, place.width, place.table)  # fmt: skip
    trap = (known.centers, known.matrices, known.labels)
    run = _round(
        p.stepper, len(known.labels), None if place is None else round(len(cells[2]) ** (1 / d))
    )
    for ahead in _ROUNDS:
        if not len(alive) or total >= limits.steps:
            break

        def work(part: slice, padded: int, alive: Any = alive, state: Any = state, c: Any = c,
                 hits: Any = hits, ahead: int = ahead) -> Any:  # fmt: skip
            z, own = states_at(p, among[alive], state, c, part, padded)
            found = run(z, own, pad(hits[part], padded), trap, cells, ahead)
            kept = slice(part.stop - part.start)
            return take(found, kept), pick(own, kept)

        (z, hits, inside, reach), own = spread(work, len(alive), limits.memory, each_point(p))
        gone, at = left_how(
            p, among[alive], state, c, ~(reach <= escape), ahead, escape, limits.memory
        )
        c = own if state is None else c
        began, total = total, total + ahead
        stayed = (hits & 0xFFFF) >= _STAYS
        out = (gone > 0) | (inside >= 0) | stayed
        label[alive] = np.where(inside >= 0, inside, np.where(stayed, -1 - (hits >> 16), -1))
        label[alive[gone > 0]] = -1
        how[alive[gone > 0]] = gone[gone > 0]
        when[alive] = np.where(gone > 0, began + at, np.where(out, total, -1))
        keep = ~out
        alive, state, hits, c = alive[keep], take(z, keep), hits[keep], pick(c, keep)
    return Decided(label, how, when)


def visits(s: PointStepper, state: Any, c: Any, place: Place) -> Int[np.ndarray, " n"]:
    """The number of the attractor in whose cells each point stays; -1 for none.

    Args:
        s: the stepper.
        state: leaves (..., n).
        c: coefficients, all scalars.
        place: the cells.
    """
    n = np.shape(jax.tree.leaves(state)[0])[-1]
    d = len(place.low)
    none = (np.zeros((0, d)), np.zeros((0, d, d)), np.zeros(0, int))
    run = _round(s, 0, round(len(place.table) ** (1 / d)))
    steps = 2 * _STAYS

    def work(part: slice, padded: int) -> Any:
        z = jax.tree.map(jnp.asarray, pad(take(state, part), padded))
        start = np.zeros(padded, np.int32)
        hits = run(z, c, start, none, (place.low, place.width, place.table), steps)[1]
        return take(hits, slice(part.stop - part.start))

    hits = spread(work, n, 1 << 28, 1)
    return np.where((hits & 0xFFFF) >= _STAYS // 2, (hits >> 16) - 1, -1)


@lru_cache(maxsize=32)
def _round(s: PointStepper, traps: int, side: int | None) -> Callable[..., Any]:
    """Steps of many points, and which of them are in a trap or how long in whose cells (number << 16 | steps)."""

    def together(z: Any) -> Any:
        return jnp.concatenate([a.reshape(-1, a.shape[-1]) for a in jax.tree.leaves(z)])

    def many(z: Any, c: Any, hits: Any, trap: Any, cells: Any, n: Any) -> Any:
        step = over(lambda z, c: s.step(z, c, None), c)
        low, width, table = cells

        def visited(z: Any, hits: Any) -> Any:
            assert side is not None
            at = jnp.floor((together(z) - low[:, None]) / width[:, None])
            inside = jnp.all((at >= 0) & (at < side), axis=0)
            index = jnp.zeros(at.shape[1:], jnp.int32)
            for row in jnp.where(inside, at, 0.0).astype(jnp.int32):
                index = index * side + row
            who = jnp.where(inside, table[index], 0)
            before, count = hits >> 16, hits & 0xFFFF
            more = jnp.where(who == before, jnp.minimum(count, 0x7FFF) + 1, count - _MISSED)
            # a cell that the orbits have not met is not the end of a stay
            stays = (before > 0) & (more > 0)
            return jnp.where(stays, (before << 16) | more, jnp.where(who > 0, (who << 16) | 1, 0))

        def body(_: Any, carry: Any) -> Any:
            z, hits = carry
            z = step(z, c)
            return z, hits if side is None else visited(z, hits)

        z, hits = iterate(body, (z, hits), n)
        x = together(z)
        found = jnp.full(x.shape[1:], -1)
        if traps:
            centers, matrices, labels = trap
            y = jnp.einsum("kij,kjn->kin", matrices, x[None] - centers[..., None])
            within = jnp.sum(y * y, axis=1) <= 1
            found = jnp.where(jnp.any(within, 0), labels[jnp.argmax(within, axis=0)], -1)
        return z, hits, found, jnp.max(jnp.where(jnp.isnan(x), jnp.inf, jnp.abs(x)), axis=0)

    return jax.jit(many)


__all__ = ["Decided", "Traps", "capture", "traps", "visits"]
