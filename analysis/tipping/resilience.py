"""How far an attractor can be pushed before it tips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from ..._support.errors import OdescentError, unknown
from ..._support.numbers import check_whole, real
from ..._support.rendering.brief import short
from ..._support.rendering.rendered import Rendered
from ...dynamics import Objective
from ..attraction.attractors import Attractor
from ..attraction.stepping import Iterated
from .classes import Classified, check_isolated, seeds_of, spread_of
from .shares import FATES

_RADII = 16  # halvings of ten times the attractor's size, below the largest shock, that are looked at first
_BISECTIONS = 45
_ROUGH, _EXACT = 1e-3, 1e-12  # of a length: how exactly it is bisected among many, and at the end
_KEPT = 4  # directions around which is looked further
_ROUNDS = 12


@dataclass(frozen=True)
class Resilience(Rendered):
    """The least shock that tips an attractor.

    Attributes:
        attractor: that is pushed.
        distance: length of the least shock found; infinity where none within `largest` tips it.
        shock: the change of the state, by block.
        pushed: by block, the state of the attractor that is pushed.
        into: where the system goes then: the label of an attractor, "diverges", or another.
        largest: the longest shock that was looked at.
        directions: how many were tried. In one dimension the distance is exact; in more, it is at least as long as the
            least.
        name: the map, method or flow.
    """

    attractor: Attractor
    distance: float
    shock: dict[str, np.ndarray]
    pushed: dict[str, np.ndarray]
    into: str
    largest: float
    directions: int
    name: str

    def __str__(self) -> str:
        if not np.isfinite(self.distance):
            tried = f"no shock of length {self.largest:g} or less, in {self.directions} directions,"
            return f"{self.name}: {tried} tips {self.attractor.label}"
        parts = ", ".join(
            f"{b}: {np.array2string(np.asarray(v), precision=6)}" for b, v in self.shock.items()
        )
        return f"{self.name}: {self.attractor.label} tips to {self.into} by a shock of {self.distance:.9g} ({parts})"


def resilience(
    iterated: Iterated,
    target: Objective | None = None,
    *,
    at: Any,
    key: Key[Array, ""],
    among: Sequence[str] | None = None,
    largest: float | None = None,
    directions: int = 64,
    parameters: Mapping[str, Any] | None = None,
    steps: int | None = None,
    dt: float | None = None,
) -> Resilience:
    """The least shock that tips the attractor to which a state goes: the least distance to the edge of its basin.

    Shocks in many directions are shortened by bisection, and the shortest ones turned further. The attractor is pushed
    at its points, of a cycle at each of them.

    Args:
        iterated: an algorithm, an autonomous system without noise, a return map, or a JAX function.
        target: the objective, for algorithms and systems.
        at: a state in the basin: an array, or values by block.
        key: a JAX key, for the directions.
        among: the blocks that are pushed; all by default.
        largest: the longest shock that is looked at; ten times the size of the attractor and of the state, at least 10,
            by default.
        directions: how many are tried first.
        parameters: values by name; mu and L default to the objective's.
        steps: the cap of `basins`.
        dt: the step of a flow.

    Returns:
        The shortest shock found.

    Raises:
        OdescentError: a state that goes to no attractor, or to one of a continuum; unknown blocks; bad numbers.
        NotCarried: noise, or a step that changes with its number.
    """
    check_whole("directions", directions, 1)
    with jax.enable_x64(True):
        k = Classified(iterated, target, at, parameters, steps, dt)
        _, found, own = k.at_first(np.empty((0, len(k.begin))), k.begin)
        if own < 0 or found[own].kind in FATES:
            fate = "it has not settled" if own < 0 else f"it {found[own].label}"
            raise OdescentError(f"the state goes to no attractor of {k.s.name}: {fate}.")
        goal = found[own]
        check_isolated(goal, k.s.name, "no shock is the least that tips it")
        seed = seeds_of(goal, k.like, k.s.blocks)
        places = spread_of(goal, k.s.blocks)
        if seed is None or places.shape[1] != len(k.begin):
            raise OdescentError(
                f"the state of {k.s.name} has more than its blocks; its attractors cannot be pushed."
            )
        k.scale = max(k.scale, float(np.abs(places).max()))
        size = 10 * k.scale
        reach = max(10.0, size) if largest is None else real(largest)
        if not (np.isfinite(reach) and reach > 0):
            raise OdescentError(
                f"largest must be a finite length more than 0, not {short(largest)}."
            )
        free = _free(k, among)
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel().tolist())
        radii = _RADII + max(int(np.ceil(np.log2(reach / size))), 0)
        best = _shortest(k, places, seed, free, reach, radii, directions, rng)
        if best is None:
            none = k.named(np.zeros(len(seed)))
            return Resilience(goal, np.inf, none, k.named(seed), "", reach, directions, k.s.name)
        place, shock = best
        length = float(np.linalg.norm(shock))
        after, found, own = k.of((place + shock * (1 + 1e-9))[None], seed)
        into = "no attractor in time" if after[0] < 0 else found[int(after[0])].label
        return Resilience(
            goal, length, k.named(shock), k.named(place), into, reach, directions, k.s.name
        )


def _free(k: Classified, among: Sequence[str] | None) -> np.ndarray:
    """Which entries of a state are pushed."""
    if among is None:
        return np.ones(len(k.begin), bool)
    names = [among] if isinstance(among, str) else list(among)
    parts = []
    for name, part in zip(k.s.blocks, jax.tree.leaves(k.like), strict=False):
        parts.append(np.full(int(np.prod(part.shape)), name in names))
    for name in names:
        if name not in k.s.blocks:
            raise unknown(f"block of {k.s.name}", name, list(k.s.blocks))
    return np.concatenate(parts)


def _shortest(
    k: Classified, places: np.ndarray, seed: np.ndarray, free: np.ndarray, reach: float, radii: int, many: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray] | None:  # fmt: skip
    """The place and the shock of the shortest one found."""

    def unit(v: np.ndarray) -> np.ndarray:
        v = np.where(free, v, 0.0)
        size = np.linalg.norm(v, axis=1, keepdims=True)
        return v / np.where(size > 0, size, 1.0)

    d = int(free.sum())
    turns = unit(rng.normal(size=(many, len(seed))))
    if d == 1:
        turns = unit(np.repeat([[1.0], [-1.0]], max(many // 2, 1), axis=0) * np.ones(len(seed)))
    at = places[np.arange(len(turns)) % len(places)]
    if len(places) > 1:
        at = places[rng.integers(0, len(places), len(turns))]
    lengths = _edges(k, at, turns, seed, reach, _ROUGH, radii)
    if not np.isfinite(lengths).any():
        return None
    if d > 1:
        at, turns, lengths = _turned(k, at, turns, lengths, seed, unit, rng)
    i = int(np.argmin(lengths))
    one = slice(i, i + 1)
    # from just beyond what was found roughly; what is within has been looked at
    exact = _edges(k, at[one], turns[one], seed, lengths[i], _EXACT, 2)[0]
    return at[i], min(exact, lengths[i]) * turns[i]


def _turned(
    k: Classified, at: np.ndarray, turns: np.ndarray, lengths: np.ndarray, seed: np.ndarray, unit: Any,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """The shortest shocks, turned little by little towards shorter ones."""
    first = np.argsort(lengths)[:_KEPT]
    at, turns, lengths = at[first], turns[first], lengths[first]
    width = 0.3
    for _ in range(_ROUNDS):
        tried = 24
        new = unit(
            np.repeat(turns, tried, 0) + width * rng.normal(size=(len(turns) * tried, len(seed)))
        )
        where = np.repeat(at, tried, 0)
        # only what tips before the shortest one does is worth a bisection
        limit = np.repeat(lengths, tried)
        found = _edges(k, where, new, seed, limit, max(_ROUGH * width**2, 1e-9), 1).reshape(
            len(turns), tried
        )
        pick = np.argmin(found, axis=1)
        rows = np.arange(len(turns))
        better = found[rows, pick] < lengths
        turns = np.where(better[:, None], new.reshape(len(turns), tried, -1)[rows, pick], turns)
        lengths = np.where(better, found[rows, pick], lengths)
        width *= 0.6
    return at, turns, lengths


def _edges(
    k: Classified,
    at: np.ndarray,
    turns: np.ndarray,
    seed: np.ndarray,
    reach: Any,
    tolerance: float,
    radii: int,
) -> Float[np.ndarray, " n"]:
    """Along each direction, where the basin is left for the first time that is seen; infinity where it is not.

    Args:
        k: what classifies.
        at, turns: from where and in which direction, shape (n, d).
        seed: on the attractor.
        reach: the largest radius, one or one for each.
        tolerance: of a length.
        radii: how many radii are looked at, each half of the one before.
    """
    n = len(turns)
    r = np.broadcast_to(np.asarray(reach, float), n)[None] * 0.5 ** np.arange(radii)[:, None]
    states = (at[None] + r[..., None] * turns[None]).reshape(-1, at.shape[1])
    labels, _, own = k.of(states, seed)
    out = (labels != own).reshape(radii, n)
    left = out.any(0)
    last = radii - 1 - np.argmax(out[::-1], axis=0)  # the smallest radius that tips
    rows = np.arange(n)
    high = r[last, rows]
    low = np.where(last + 1 < radii, r[np.minimum(last + 1, radii - 1), rows], 0.0)
    open_ = np.flatnonzero(left)
    for _ in range(_BISECTIONS):
        if not len(open_):
            break
        middle = (low[open_] + high[open_]) / 2
        labels, _, own = k.of(at[open_] + middle[:, None] * turns[open_], seed)
        tips = labels != own
        high[open_[tips]], low[open_[~tips]] = middle[tips], middle[~tips]
        open_ = open_[high[open_] - low[open_] > tolerance * high[open_]]
    return np.where(left, high, np.inf)


__all__ = ["Resilience", "resilience"]
