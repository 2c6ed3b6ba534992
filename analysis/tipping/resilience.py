"""How far an attractor can be pushed before it tips, and the edge state on the boundary that it then meets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Complex, Float, Int, Key

from ..._support.errors import NotCarried, OdescentError, unknown
from ..._support.numbers import check_whole, real
from ..._support.rendering.rendered import Rendered
from ...dynamics import Objective, System
from ...dynamics.flows.stepper import PointStepper, iterate
from ..attraction.attractors import Attractor, refine
from ..attraction.basin_map import default_steps
from ..attraction.grid import PointGrid
from ..attraction.settling import Limits
from ..attraction.stepping import RESOLVED, Iterated, check_parameters, slope, stepper
from ..sections.starts import starting_state
from .classes import attractors_of, seeds_of, spread_of, with_states
from .shares import FATES

_RADII = 16  # halvings of the largest shock that are looked at first
_BISECTIONS = 45
_ROUGH, _EXACT = 1e-3, 1e-12  # of a length: how exactly it is bisected among many, and at the end
_KEPT = 4  # directions around which is looked further
_ROUNDS = 12
_NEAR, _FAR = 1e-9, 1e-4  # of the scale: how near the two orbits of an edge begin, and how far apart they go
_STEPS = 512  # of the two orbits, at most, before they are brought together again
_POLISHED = 1e-9


@dataclass(frozen=True)
class Resilience(Rendered):
    """The least shock that tips an attractor.

    Attributes:
        attractor: that is pushed.
        distance: length of the least shock found; infinity where none within `largest` tips it.
        shock: by block, what is added to the state.
        pushed: by block, the state of the attractor that is pushed.
        into: where the system goes then: the label of an attractor, "diverges", or another.
        largest: the longest shock that was looked at.
        directions: how many were tried. In one dimension the distance is exact; in more, it is at least as long as the
            least.
        name: of what was iterated.
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
            return f"{self.name}: no shock of length {self.largest:g} or less, in {self.directions} directions, tips {self.attractor.label}"
        parts = ", ".join(
            f"{b}: {np.array2string(np.asarray(v), precision=6)}" for b, v in self.shock.items()
        )
        return f"{self.name}: {self.attractor.label} tips to {self.into} by a shock of {self.distance:.9g} ({parts})"


@dataclass(frozen=True)
class EdgeState(Rendered):
    """What lies between two basins: the state to which points on their boundary go.

    Attributes:
        kind: "equilibrium", "fixed point" or "cycle" where Newton's method finds one next to the edge, else
            "not settled".
        state: by block.
        points: outputs along the edge after its transient, or of the cycle, shape (k, *x0.shape).
        eigenvalues: growth rates of a flow's equilibrium, multipliers of a map's; shape (d,), empty otherwise.
        unstable: how many directions grow; 1 for a saddle whose stable manifold is the boundary.
        between: labels of the two attractors.
        name: of what was iterated.
    """

    kind: str
    state: dict[str, np.ndarray]
    points: Float[np.ndarray, "k ..."]
    eigenvalues: Complex[np.ndarray, " d"]
    unstable: int
    between: tuple[str, str]
    name: str

    def __str__(self) -> str:
        x = np.array2string(self.points[-1], precision=8)
        grows = f", {self.unstable} growing direction{'s' * (self.unstable != 1)}" if self.eigenvalues.size else ""
        return f"{self.name}: the edge between {self.between[0]} and {self.between[1]} is {self.kind} at {x}{grows}"


class _Classified:
    """States of one map or flow and where they go."""

    def __init__(
        self, iterated: Iterated, target: Objective | None, at: Any, parameters: Mapping[str, Any] | None,
        steps: int | None, dt: float | None,
    ) -> None:  # fmt: skip
        flow = isinstance(iterated, System)
        s = stepper(iterated, target, (dt or 1.0) if flow else None)
        if s.draws or s.clocked:
            why = "draws noise" if s.draws else "changes with the number of its step"
            raise NotCarried(f"{s.name} {why}; resilience is that of attractors of a deterministic map or flow.")
        fixed = check_parameters(s, parameters or {}, {})
        c = s.coefficients({n: np.float64(v) for n, v in fixed.items()})
        state = starting_state(s, at, c)
        if flow and dt is None:
            rate = float(jnp.linalg.norm(slope(s.rates or s.step, state, c)))
            s = stepper(iterated, target, RESOLVED / rate if np.isfinite(rate) and rate > 0 else 1.0)
        self.s, self.c, self.state = s, c, state
        self.flat, self.shaped = ravel_pytree(state)
        self.begin = np.asarray(self.flat, float)
        self.like = jax.tree.map(lambda a: np.asarray(a)[..., None], state)
        start = np.asarray(s.output(state, c), float)
        self.grid = PointGrid(s, (), fixed, start, True)
        self.limits = Limits(default_steps(iterated) if steps is None else steps, 1e-8, 1e10, 64, 1 << 28)
        self.scale = max(1.0, float(np.abs(self.begin).max(initial=0.0)))

    def of(
        self, states: Float[np.ndarray, "n d"], own: Float[np.ndarray, " d"]
    ) -> tuple[Int[np.ndarray, " n"], tuple[Attractor, ...], int]:
        """Labels of states, the attractors, and the label of one more state."""
        both = np.concatenate([states, own[None]]).T
        labels, found = attractors_of(with_states(self.grid, self.like, both, self.scale), self.limits, 64)
        return labels[:-1], found, int(labels[-1])

    def named(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        tiny = 1e-14 * self.scale
        if not self.s.blocks:
            return {"x": np.array(flat)}
        parts = jax.tree.leaves(jax.tree.map(np.asarray, self.shaped(jnp.asarray(flat))))
        return dict(zip(self.s.blocks, (np.where(np.abs(v) <= tiny, 0.0, v) for v in parts), strict=False))


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
        largest: the longest shock that is looked at; ten times the size of the attractor, at least 10, by default.
        directions: how many are tried first.
        parameters: values by name; mu and L default to the objective's.
        steps: the cap of `basins`.
        dt: the step of a flow.

    Returns:
        The shortest shock found.

    Raises:
        OdescentError: a state that goes to no attractor; unknown blocks; bad numbers.
        NotCarried: noise, or a step that changes with its number.
    """
    check_whole("directions", directions, 1)
    with jax.enable_x64(True):
        k = _Classified(iterated, target, at, parameters, steps, dt)
        labels, found, own = k.of(np.empty((0, len(k.begin))), k.begin)
        if own < 0 or found[own].kind in FATES:
            fate = "it has not settled" if own < 0 else f"it {found[own].label}"
            raise OdescentError(f"the state goes to no attractor of {k.s.name}: {fate}.")
        goal = found[own]
        seed = seeds_of(goal, k.like, k.s.blocks)
        places = spread_of(goal, k.s.blocks)
        if seed is None or places.shape[1] != len(k.begin):
            raise OdescentError(f"the state of {k.s.name} has more than its blocks; its attractors cannot be pushed.")
        reach = max(10.0, 10 * float(np.abs(places).max())) if largest is None else real(largest)
        if not (np.isfinite(reach) and reach > 0):
            raise OdescentError(f"largest must be a finite length more than 0, not {largest!r}.")
        free = _free(k, among)
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel().tolist())
        best = _shortest(k, places, seed, free, reach, directions, rng)
        if best is None:
            none = k.named(np.zeros(len(seed)))
            return Resilience(goal, np.inf, none, k.named(seed), "", reach, directions, k.s.name)
        place, shock = best
        length = float(np.linalg.norm(shock))
        after, found, own = k.of((place + shock * (1 + 1e-9))[None], seed)
        into = "no attractor in time" if after[0] < 0 else found[int(after[0])].label
        return Resilience(goal, length, k.named(shock), k.named(place), into, reach, directions, k.s.name)


def _free(k: _Classified, among: Sequence[str] | None) -> np.ndarray:
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
    k: _Classified, places: np.ndarray, seed: np.ndarray, free: np.ndarray, reach: float, many: int,
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
    lengths = _edges(k, at, turns, seed, reach, _ROUGH)
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
    k: _Classified, at: np.ndarray, turns: np.ndarray, lengths: np.ndarray, seed: np.ndarray, unit: Any,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """The shortest shocks, turned little by little towards shorter ones."""
    first = np.argsort(lengths)[:_KEPT]
    at, turns, lengths = at[first], turns[first], lengths[first]
    width = 0.3
    for _ in range(_ROUNDS):
        tried = 24
        new = unit(np.repeat(turns, tried, 0) + width * rng.normal(size=(len(turns) * tried, len(seed))))
        where = np.repeat(at, tried, 0)
        # only what tips before the shortest one does is worth a bisection
        limit = np.repeat(lengths, tried)
        found = _edges(k, where, new, seed, limit, max(_ROUGH * width**2, 1e-9), 1).reshape(len(turns), tried)
        pick = np.argmin(found, axis=1)
        rows = np.arange(len(turns))
        better = found[rows, pick] < lengths
        turns = np.where(better[:, None], new.reshape(len(turns), tried, -1)[rows, pick], turns)
        lengths = np.where(better, found[rows, pick], lengths)
        width *= 0.6
    return at, turns, lengths


def _edges(
    k: _Classified, at: np.ndarray, turns: np.ndarray, seed: np.ndarray, reach: Any, tolerance: float,
    radii: int = _RADII,
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


def edge_state(
    iterated: Iterated,
    target: Objective | None = None,
    *,
    between: tuple[Any, Any],
    parameters: Mapping[str, Any] | None = None,
    rounds: int = 60,
    max_period: int = 8,
    steps: int | None = None,
    dt: float | None = None,
) -> EdgeState:
    """The state on the boundary of two basins to which points of the boundary go.

    Two states on either side are brought together by bisection and followed until they part, again and again, so that
    they stay on the edge (Skufca, Yorke, Eckhardt, Phys. Rev. Lett. 96 (2006), doi:10.1103/PhysRevLett.96.174101).
    Where they come to rest, Newton's method makes the saddle exact.

    Args:
        iterated: an algorithm, an autonomous system without noise, a return map, or a JAX function.
        target: the objective, for algorithms and systems.
        between: two states in different basins, arrays or values by block.
        parameters: values by name; mu and L default to the objective's.
        rounds: how often the two are brought together again.
        max_period: the largest period of a cycle of a map that is looked for.
        steps: the cap of `basins`.
        dt: the step of a flow.

    Raises:
        OdescentError: two states that go to one attractor.
        NotCarried: noise, or a step that changes with its number.
    """
    check_whole("rounds", rounds, 1)
    with jax.enable_x64(True):
        k = _Classified(iterated, target, between[0], parameters, steps, dt)
        a = k.begin
        b = np.asarray(ravel_pytree(starting_state(k.s, between[1], k.c))[0], float)
        k.scale = max(k.scale, float(np.abs(b - a).max()))
        labels, found, own = k.of(b[None], a)
        if int(labels[0]) == own:
            raise OdescentError("both states go to one attractor; an edge needs two in different basins.")
        names = tuple("no attractor in time" if i < 0 else found[i].label for i in (own, int(labels[0])))
        one = a
        walk = _together(k.s)
        seen: list[np.ndarray] = []
        for _ in range(rounds):
            a, b, one = _closer(k, a, b, one)
            seen.append((a + b) / 2)
            if len(seen) > 3 and np.abs(seen[-1] - seen[-2]).max() <= 10 * _NEAR * k.scale:
                break
            far = _FAR * k.scale
            x, y, gap = walk(k.shaped(jnp.asarray(a)), k.shaped(jnp.asarray(b)), k.c, far)
            a, b = (np.asarray(ravel_pytree(z)[0]) for z in (x, y))
            if not (np.isfinite(a).all() and np.isfinite(b).all()):
                raise OdescentError(f"the edge of {k.s.name} leaves every bound.")
        return _described(k, seen, max_period, (names[0], names[1]))


def _closer(
    k: _Classified, a: np.ndarray, b: np.ndarray, one: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two states on either side, as near as they should be; a goes where ``one`` does."""
    many = 15
    while np.abs(a - b).max() > _NEAR * k.scale:
        parts = np.arange(1, many + 1) / (many + 1)
        states = a + parts[:, None] * (b - a)
        labels, _, own = k.of(states, one)
        other = np.flatnonzero(labels != own)
        i = int(other[0]) if len(other) else many
        low = a if i == 0 else states[i - 1]
        a, b = low, b if i == many else states[i]
        one = a
    return a, b, one


@lru_cache(maxsize=32)
def _together(s: PointStepper) -> Any:
    """Two states stepped until they are too far apart."""

    def run(x: Any, y: Any, c: Any, far: Any) -> Any:
        def gap(x: Any, y: Any) -> Any:
            return jnp.max(jnp.abs(ravel_pytree(x)[0] - ravel_pytree(y)[0]))

        def body(_: Any, z: Any) -> Any:
            u, v = s.step(z[0], c, None), s.step(z[1], c, None)
            stop = z[2] > far
            keep = lambda new, old: jax.tree.map(lambda p, q: jnp.where(stop, q, p), new, old)
            u, v = keep(u, z[0]), keep(v, z[1])
            return u, v, gap(u, v)

        return iterate(body, (x, y, gap(x, y)), _STEPS)

    return jax.jit(run)


def _described(
    k: _Classified, seen: list[np.ndarray], max_period: int, between: tuple[str, str]
) -> EdgeState:
    """The edge at its end: made exact where it rests."""
    end = seen[-1]
    s, c = k.s, k.c
    tiny = 1e-14 * k.scale
    shown = lambda x: np.where(np.abs(x) <= tiny, 0.0, x)
    output = lambda z: shown(np.asarray(s.output(k.shaped(jnp.asarray(z)), c)))
    near = 1e-2 * k.scale
    if s.rates is not None:
        z = end.copy()
        rates = lambda y: ravel_pytree(s.rates(k.shaped(y), c))[0]  # type: ignore[misc]
        for _ in range(30):
            value = np.asarray(rates(jnp.asarray(z)))
            matrix = np.asarray(slope(s.rates, k.shaped(jnp.asarray(z)), c))
            z = z - np.linalg.lstsq(matrix, value, rcond=1e-12)[0]
        off = float(np.abs(np.asarray(rates(jnp.asarray(z)))).max())
        if off <= _POLISHED * k.scale and np.abs(z - end).max() <= near:
            values = np.linalg.eigvals(np.asarray(slope(s.rates, k.shaped(jnp.asarray(z)), c))).astype(complex)
            grows = int((values.real > 0).sum())
            return EdgeState("equilibrium", k.named(z), output(z)[None], values, grows, between, s.name)
    else:
        state = jax.tree.map(lambda a: np.asarray(a)[..., None], k.shaped(jnp.asarray(end)))
        for period in range(1, max_period + 1):
            done = refine(s, state, np.array([float(period)]), c, k.scale)
            z = np.concatenate([np.asarray(a).ravel() for a in jax.tree.leaves(done.state)])
            if done.residual[0] <= _POLISHED * k.scale and np.abs(z - end).max() <= near:
                values = np.linalg.eigvals(done.jacobian[0]).astype(complex)
                grows = int((np.abs(values) > 1).sum())
                points, at = [], k.shaped(jnp.asarray(z))
                for _ in range(int(done.period[0])):
                    points.append(shown(np.asarray(s.output(at, c))))
                    at = s.step(at, c, None)
                kind = "fixed point" if done.period[0] == 1 else "cycle"
                return EdgeState(kind, k.named(z), np.array(points), values, grows, between, s.name)
    late = seen[len(seen) // 2 :]
    return EdgeState(
        "not settled", k.named(end), np.array([output(z) for z in late]), np.empty(0, complex), 0, between, s.name
    )  # fmt: skip


__all__ = ["EdgeState", "Resilience", "edge_state", "resilience"]
