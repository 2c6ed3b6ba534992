"""Edge states: what points on the boundary of two basins go to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Complex, Float

from ..._support.errors import OdescentError
from ..._support.numbers import check_whole
from ..._support.rendering.brief import quantity
from ..._support.rendering.rendered import Rendered
from ...dynamics import Objective
from ...dynamics.flows.stepper import PointStepper, iterate
from ..attraction.attractors import refine
from ..attraction.stepping import Iterated, slope
from ..sections.starts import starting_state
from .classes import Classified, check_isolated

_NEAR, _FAR = (
    1e-9,
    1e-4,
)  # of the scale: how near the two orbits of an edge begin, and how far apart they go
_KNOWN = 1e-5  # of the states: no less counts, so that what is near differs by more than rounding
_STEPS = 512  # of the two orbits, at most, before they are brought together again
_POLISHED = 1e-9


@dataclass(frozen=True)
class EdgeState(Rendered):
    """The state on the boundary of two basins to which points of the boundary tend.

    Attributes:
        kind: "equilibrium", "fixed point" or "cycle" where Newton's method finds one next to the edge, else
            "not settled".
        state: by block.
        points: outputs along the edge after its transient, or of the cycle, shape (k, *x0.shape).
        eigenvalues: growth rates of a flow's equilibrium, multipliers of a map's; shape (d,), empty otherwise.
        unstable: how many directions grow; 1 for a saddle whose stable manifold is the boundary.
        between: labels of the two attractors.
        name: the map, method or flow.
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
        grows = f", {quantity(self.unstable, 'growing direction')}" if self.eigenvalues.size else ""
        return f"{self.name}: the edge between {self.between[0]} and {self.between[1]} is {self.kind} at {x}{grows}"


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
    """Find the state on the boundary of two basins to which points of the boundary tend.

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
        OdescentError: two states that go to one attractor, or to one of a continuum.
        NotCarried: noise, or a step that changes with its number.
    """
    check_whole("rounds", rounds, 1)
    with jax.enable_x64(True):
        k = Classified(iterated, target, between[0], parameters, steps, dt)
        a = k.begin
        b = np.asarray(ravel_pytree(starting_state(k.s, between[1], k.c))[0], float)
        known = _KNOWN * max(float(np.abs(a).max()), float(np.abs(b).max()))
        k.scale = max(float(np.abs(b - a).max()), known) or k.scale
        labels, found, own = k.at_first(b[None], a)
        if int(labels[0]) == own:
            both = (
                "both states go to one attractor"
                if own >= 0
                else "neither state reaches an attractor in time"
            )
            raise OdescentError(f"{both}; an edge needs two in different basins.")
        for i in (own, int(labels[0])):
            if i >= 0:
                check_isolated(found[i], k.s.name, "its basin has no edge to be followed")
        names = tuple(
            "no attractor in time" if i < 0 else found[i].label for i in (own, int(labels[0]))
        )
        one = a
        walk = _together(k.s)
        seen: list[np.ndarray] = []
        for _ in range(rounds):
            a, b, one = _closer(k, a, b, one)
            seen.append((a + b) / 2)
            if len(seen) > 3 and np.abs(seen[-1] - seen[-2]).max() <= 10 * _NEAR * k.scale:
                break
            far = _FAR * k.scale
            x, y, _ = walk(k.shaped(jnp.asarray(a)), k.shaped(jnp.asarray(b)), k.c, far)
            a, b = (np.asarray(ravel_pytree(z)[0]) for z in (x, y))
            if not (np.isfinite(a).all() and np.isfinite(b).all()):
                raise OdescentError(f"the edge of {k.s.name} leaves every bound.")
        return _described(k, seen, max_period, (names[0], names[1]))


def _closer(
    k: Classified, a: np.ndarray, b: np.ndarray, one: np.ndarray
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
            u, v = jax.tree.map(lambda p, q: jnp.where(stop, q, p), (u, v), (z[0], z[1]))
            return u, v, gap(u, v)

        return iterate(body, (x, y, gap(x, y)), _STEPS)

    return jax.jit(run)


def _described(
    k: Classified, seen: list[np.ndarray], max_period: int, between: tuple[str, str]
) -> EdgeState:
    """The edge at its end: made exact where it rests."""
    end = seen[-1]
    s, c = k.s, k.c
    tiny = 1e-14 * k.scale
    shown: Callable[[Any], Any] = lambda x: np.where(np.abs(x) <= tiny, 0.0, x)
    output: Callable[[Any], Any] = lambda z: shown(
        np.asarray(s.output(k.shaped(jnp.asarray(z)), c))
    )
    near = 1e-2 * k.scale
    velocity = s.rates
    if velocity is not None:
        z = end.copy()
        rates: Callable[[Any], Any] = lambda y: ravel_pytree(velocity(k.shaped(y), c))[0]
        off = np.zeros_like(z)
        for _ in range(31):
            z = z - off
            value = np.asarray(rates(jnp.asarray(z)))
            matrix = np.asarray(slope(velocity, k.shaped(jnp.asarray(z)), c))
            off = np.linalg.lstsq(matrix, value, rcond=1e-12)[0]
        if np.abs(off).max() <= _POLISHED * k.scale and np.abs(z - end).max() <= near:
            values = np.linalg.eigvals(
                np.asarray(slope(velocity, k.shaped(jnp.asarray(z)), c))
            ).astype(complex)
            grows = int((values.real > 0).sum())
            return EdgeState(
                "equilibrium", k.named(z), output(z)[None], values, grows, between, s.name
            )
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


__all__ = ["EdgeState", "edge_state"]
