"""What points do that neither settle nor leave: chaotic and quasi-periodic motion, told by growth and by place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ...dynamics.flows.stepper import PointStepper, iterate, trace
from .batching import pad, pick, spread, take
from .exponents import dimension, growth
from .settling import over

NEITHER, CHAOTIC, QUASIPERIODIC = 0, 1, 2
KINDS = {CHAOTIC: "chaotic", QUASIPERIODIC: "quasi-periodic"}
_STEPS = {False: 4096, True: 32_768}  # over which growth is measured, of maps and of flows
_BATCHES, _WAIT = 16, 0.25
_SIGMAS = 3.0
_FOLLOWED = 6  # tangents at most, for the growth of volumes
_SAME_BOX = 0.05  # of its size: how far the box around an orbit may move from one half to the next
_WALKS = 32  # orbits by which an attractor's cells are found
_CELLS, _SIDE = 1 << 21, 128  # at most, in all and along an axis
_TOGETHER = 0.5  # of the steps of an orbit in the cells of another: they live in the same place
_DRAWN = 2048  # points that are kept of an attractor
_COARSE, _FINE = 8, 64  # cells a side of two boxes' grids, for the dimension of an orbit
_CURVE = 0.75  # least dimension by cells of what fills a curve; the limit of a period doubling cascade has 0.54


@dataclass(frozen=True)
class Motions:
    """What each of some points does, in the long run.

    Attributes:
        kind: NEITHER, CHAOTIC or QUASIPERIODIC, shape (n,).
        exponent, low, high: the largest Lyapunov exponent per step (of a flow: per unit of time), and its interval.
        state: the states afterwards.
    """

    kind: Int[np.ndarray, " n"]
    exponent: Float[np.ndarray, " n"]
    low: Float[np.ndarray, " n"]
    high: Float[np.ndarray, " n"]
    state: Any


@dataclass(frozen=True)
class Place:
    """The cells of a box in which an attractor lives.

    Attributes:
        low, width: of the box of cells and of a cell, shape (d,).
        table: the number of the attractor plus 1 for each cell, 0 where there is none or more than one.
        orbits: points of each attractor, leaves (..., m).
    """

    low: Float[np.ndarray, " d"]
    width: Float[np.ndarray, " d"]
    table: Int[np.ndarray, "..."]
    orbits: list[Any]


def motions(s: PointStepper, state: Any, c: Any, scale: float) -> Motions:
    """Chaotic or quasi-periodic motion, or neither that is certain.

    Chaotic is what has its largest exponent above 0, by its interval; quasi-periodic what has it at 0 while volumes
    shrink, and stays in one box that it fills again and again. Where volumes neither shrink nor grow there are no
    attractors, and no kind.

    Args:
        s: the stepper.
        state: leaves of shape (..., n).
        c: coefficients, leaves of shape () or (n,).
        scale: of the region.
    """
    n = np.shape(jax.tree.leaves(state)[0])[-1]
    flow = s.rates is not None
    d = dimension(take(state, 0))
    k = d if d <= _FOLLOWED else 1  # volumes need all tangents, the largest exponent one
    every = 8 if flow else 1
    steps = _STEPS[flow]
    length = steps // (_BATCHES * every)
    skip = int(_WAIT * steps) // every
    logs, state = growth(s, state, c, k, every, (skip, length, _BATCHES))
    logs = np.maximum(logs, -1e3)  # a direction that is lost altogether
    unit = length * every * ((s.dt or 1.0) if flow else 1.0)
    mean, spread_ = logs.mean(0) / unit, logs.std(0, ddof=1) / unit / np.sqrt(_BATCHES)
    power = max(d - 1, 1) * np.log(1 + 1 / _WAIT) / (unit * _BATCHES)
    first = np.argmax(np.where(np.isnan(mean), -np.inf, mean), axis=0)
    rows = np.arange(n)
    exponent, half = mean[first, rows], _SIGMAS * spread_[first, rows] + power
    with np.errstate(invalid="ignore"):
        total = logs.sum(1) / unit  # of volumes, if all tangents are followed
        volume = total.mean(0)
        sure = _SIGMAS * total.std(0, ddof=1) / np.sqrt(_BATCHES) + power
    shrinks = (volume < -sure) if k == d else np.ones(n, bool)
    changes = shrinks | ((volume > sure) if k == d else shrinks)
    boxes = _boxes(s, state, c, steps // 2)
    size = np.max(boxes[1] - boxes[0], axis=0)  # (parts, d, n) to (d, n)
    moved = np.maximum(np.abs(np.diff(boxes[0], axis=0)[0]), np.abs(np.diff(boxes[1], axis=0)[0]))
    whole = size.max(0)
    stays = (moved.max(0) <= _SAME_BOX * whole) & (whole > 1e-6 * scale)
    kind = np.full(n, NEITHER)
    kind[(exponent - half > 0) & changes] = CHAOTIC
    around = (exponent - half <= 0) & (exponent + half >= 0)
    if d > 1:
        kind[around & shrinks & stays] = QUASIPERIODIC
    return Motions(kind, exponent, exponent - half, exponent + half, state)


def _boxes(s: PointStepper, state: Any, c: Any, n: int) -> np.ndarray:
    """The least and largest entries of states in two stretches of n steps: shape (2, 2, d, points)."""
    count = np.shape(jax.tree.leaves(state)[0])[-1]

    def work(part: slice, padded: int) -> Any:
        z = jax.tree.map(jnp.asarray, pad(take(state, part), padded))
        return take(_bounding(s)(z, pick(c, part, padded), n), slice(part.stop - part.start))

    found: np.ndarray = spread(work, count, 512, 1)
    return found


def _flat(z: Any) -> Any:
    """Leaves (..., n) as one array (d, n); clocks do not count."""
    rows = [
        a.reshape(-1, a.shape[-1])
        for a in jax.tree.leaves(z)
        if jnp.issubdtype(a.dtype, jnp.floating)
    ]
    return jnp.concatenate(rows)


@lru_cache(maxsize=32)
def _bounding(s: PointStepper) -> Callable[..., Any]:
    def many(z: Any, c: Any, n: Any) -> Any:
        step = over(lambda z, c: s.step(z, c, None), c)

        def body(_: Any, carry: Any) -> Any:
            z, low, high = carry
            z = step(z, c)
            flat = _flat(z)
            return z, jnp.minimum(low, flat), jnp.maximum(high, flat)

        def stretch(_: Any, z: Any) -> Any:
            far = jnp.full(_flat(z).shape, jnp.inf)
            z, low, high = iterate(body, (z, far, -far), n)
            return z, (low, high)

        low, high = trace(stretch, z, 2)[1]
        return jnp.stack([low, high])

    return jax.jit(many)


@lru_cache(maxsize=32)
def _walking(s: PointStepper, n: int, every: int) -> Callable[..., Any]:
    def many(z: Any, c: Any) -> Any:
        step = over(lambda z, c: s.step(z, c, None), c)
        return trace(lambda _, z: (step(z, c), z), z, n * every, every)[1]

    return jax.jit(many)


def places(
    s: PointStepper, state: Any, c: Any, kind: Int[np.ndarray, " n"]
) -> tuple[np.ndarray, Place]:
    """Attractors told apart by the cells that their orbits visit.

    Args:
        s: the stepper.
        state: of points that move on attractors, leaves (..., n).
        c: coefficients, all scalars.
        kind: chaotic or quasi-periodic, of each; different kinds are never one attractor.

    Returns:
        the number of each point's attractor, -1 for those that were not looked at, and the cells.
    """
    n = len(kind)
    flow = s.rates is not None
    picked = np.unique(np.concatenate([
        np.flatnonzero(kind == k)[:: max(int((kind == k).sum()) // _WALKS, 1)][: 2 * _WALKS] for k in np.unique(kind)
    ]))  # fmt: skip
    some = jax.tree.map(jnp.asarray, pad(take(state, picked), 4 * _WALKS))
    steps = 2048
    walked = _walking(s, steps, 8 if flow else 1)(some, c)
    rows = [
        np.asarray(a).reshape(steps, -1, a.shape[-1])
        for a in jax.tree.leaves(walked)
        if jnp.issubdtype(a.dtype, jnp.floating)
    ]
    x = np.concatenate(rows, axis=1)[..., : len(picked)]  # (steps, d, orbits)
    d = x.shape[1]
    low, high = x.min((0, 2)), x.max((0, 2))
    side = max(int(min(_SIDE, _CELLS ** (1 / d))), 2)
    width = np.maximum(high - low, 1e-12) / max(side - 4, 1)
    low = low - 2 * width
    at = np.clip(np.floor((x - low[:, None]) / width[:, None]).astype(int), 0, side - 1)
    shape = (side,) * d
    cells = np.ravel_multi_index(tuple(np.moveaxis(at, 1, 0)), shape)  # (steps, orbits)
    group = np.full(len(picked), -1)
    masks: list[np.ndarray] = []
    for i in range(len(picked)):
        for g, mask in enumerate(masks):
            first = int(np.flatnonzero(group == g)[0])
            if kind[picked[i]] == kind[picked[first]] and mask[cells[:, i]].mean() >= _TOGETHER:
                group[i] = g
                break
        else:
            group[i] = len(masks)
            masks.append(np.zeros(side**d, bool))
        masks[group[i]] |= _grown(cells[:, i], shape)
    table = np.zeros(side**d, np.int32)
    several = np.zeros(side**d, int)
    for g, mask in enumerate(masks):
        table[mask] = g + 1
        several += mask
    table[several > 1] = 0
    orbits = []
    for g in range(len(masks)):
        own = np.flatnonzero(group == g)
        each = -(-_DRAWN // len(own))
        orbits.append(jax.tree.map(
            lambda a, own=own, each=each: np.moveaxis(np.asarray(a)[:each, ..., own], 0, -1).reshape(
                *a.shape[1:-1], -1)[..., :_DRAWN], walked))  # fmt: skip
    label = np.full(n, -1)
    label[picked] = group
    return label, Place(low, width, table, orbits)


def dimension_by_cells(x: Float[np.ndarray, "m d"]) -> float:
    """How the number of cells that an orbit visits grows when they get finer: about 1 on a curve, 0 on a cycle."""
    low, size = x.min(0), float(np.ptp(x, axis=0).max())
    if not size > 0:
        return 0.0
    counts = []
    for side in (_COARSE, _FINE):
        at = np.minimum(((x - low) / size * side).astype(int), side - 1)
        counts.append(len(np.unique(at, axis=0)))
    return float(np.log(counts[1] / counts[0]) / np.log(_FINE / _COARSE))


def fills(orbit: Any) -> bool:
    """Whether the points of an orbit, leaves (..., m), fill a curve, as those of quasi-periodic motion do.

    An exponent at 0 has many reasons: at the limit of a cascade, and on cycles too long to be found, points stay away
    from most of a curve.
    """
    return dimension_by_cells(np.asarray(_flat(jax.tree.map(jnp.asarray, orbit))).T) >= _CURVE


def filling(s: PointStepper, state: Any, c: Any) -> np.ndarray:
    """The same of the orbits of many states, leaves (..., n), with their coefficients; shape (n,)."""
    n = np.shape(jax.tree.leaves(state)[0])[-1]
    walk = _walking(s, _DRAWN, 8 if s.rates is not None else 1)

    def work(part: slice, padded: int) -> Any:
        walked = walk(
            jax.tree.map(jnp.asarray, pad(take(state, part), padded)), pick(c, part, padded)
        )
        count = part.stop - part.start
        return np.array(
            [
                fills(
                    jax.tree.map(lambda a, i=i: np.moveaxis(np.asarray(a)[..., i], 0, -1), walked)
                )
                for i in range(count)
            ]
        )

    found: np.ndarray = spread(work, n, 1 << 22, 8 * _DRAWN)
    return found


def _grown(cells: Int[np.ndarray, " m"], shape: tuple[int, ...]) -> np.ndarray:
    """A mask of cells and of their neighbours, corners included."""
    mask = np.zeros(shape, bool)
    mask.flat[cells] = True
    grown = mask
    for axis in range(len(shape)):
        grown = grown | np.roll(grown, 1, axis) | np.roll(grown, -1, axis)
    return grown.ravel()


__all__ = [
    "CHAOTIC",
    "KINDS",
    "NEITHER",
    "QUASIPERIODIC",
    "Motions",
    "Place",
    "filling",
    "fills",
    "motions",
    "places",
]
