"""Attractors of given states of one map or flow: the classification that shares, resilience and edges rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, Int

from ..._support.errors import NotCarried, OdescentError
from ...dynamics import Objective, System
from ..attraction.attractors import Attractor
from ..attraction.basin_map import default_steps
from ..attraction.deciding import decide
from ..attraction.grid import PointGrid
from ..attraction.settling import Limits, begin
from ..attraction.stepping import (
    RESOLVED,
    Iterated,
    balanced,
    check_parameters,
    slope,
    stepper,
)
from ..sections.starts import starting_state
from .shares import FATES

_AT_ONCE = 1 << 28  # bytes


@dataclass(frozen=True)
class StateGrid(PointGrid):
    """Points whose whole states are given.

    Attributes:
        states: every entry of a state of the stepper, shape (d, n), leaf by leaf.
        like: a state, leaves of shape (..., n), for the shapes of the leaves.
        size: of the region, for tolerances.
    """

    states: Float[np.ndarray, "d n"] = field(default_factory=lambda: np.empty((0, 0)))
    like: Any = None
    size: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.states.shape[1],)

    @property
    def varies_parameters(self) -> bool:
        return False

    @property
    def scale(self) -> float:
        return self.size

    def points(self, at: Int[np.ndarray, " n"]) -> tuple[Any, dict[str, Any]]:
        start = np.repeat(self.start.reshape(-1, 1), len(at), axis=1)
        entries: dict[str, Any] = {}
        row = 0
        for i, leaf in enumerate(self.like):
            for j in range(int(np.prod(np.shape(leaf)[:-1]))):
                entries[f"{i}.{j}"] = jnp.asarray(self.states[row, at])
                row += 1
        return jnp.asarray(start.reshape(*self.start.shape, len(at))), entries


def flat_states(state: Any) -> Float[np.ndarray, "d n"]:
    """Leaves (..., n) as rows."""
    leaves = [np.asarray(a, float) for a in jax.tree.leaves(state)]
    return np.concatenate([a.reshape(-1, a.shape[-1]) for a in leaves])


def begun(p: PointGrid) -> Any:
    """The states at which all points begin, leaves of shape (..., n)."""
    return jax.tree.map(np.asarray, begin(p, np.arange(p.count))[0])


def with_states(
    p: PointGrid, like: Any, states: Float[np.ndarray, "d n"], scale: float
) -> StateGrid:
    """The points of these states, with the stepper and the parameters of a product."""
    return StateGrid(p.stepper, (), p.fixed, p.start, True, states, like, scale)


def attractors_of(
    p: StateGrid, limits: Limits, most: int
) -> tuple[Int[np.ndarray, " n"], tuple[Attractor, ...]]:
    """The number of the attractor of each state, -1 for the undecided, and the attractors."""
    labels, found, _ = decide(p, limits, "place", most)
    return labels, found


def seeds_of(
    found: Attractor, like: Any, blocks: tuple[str, ...]
) -> Float[np.ndarray, " d"] | None:
    """A state on an attractor; None where there is none or the state has more than blocks."""
    if not found.points.size:
        return None
    if not blocks:  # of a plain function
        return np.asarray(found.points[0], float).ravel()
    if len(like) != len(blocks):
        return None
    return np.concatenate([np.asarray(found.states[b][0], float).ravel() for b in blocks])


def spread_of(found: Attractor, blocks: tuple[str, ...]) -> Float[np.ndarray, "m d"]:
    """The points of an attractor in the space of states, shape (m, d); of outputs for a plain function."""
    if not found.points.size:
        return np.empty((0, 0))
    if not blocks:
        return found.points.reshape(len(found.points), -1)
    parts = [found.states[b].reshape(len(found.points), -1) for b in blocks if b in found.states]
    return np.concatenate(parts, axis=1)


def check_isolated(found: Attractor, name: str, lacking: str) -> None:
    """Refuse an attractor that is one of a continuum, with what it then lacks."""
    if found.neutral:
        raise OdescentError(
            f"{found.label} of {name} has a multiplier of 1: it is one of a continuum, or at a bifurcation, "
            f"and {lacking}."
        )


class Classified:
    """States of one map or flow and where they go."""

    def __init__(
        self, iterated: Iterated, target: Objective | None, at: Any, parameters: Mapping[str, Any] | None,
        steps: int | None, dt: float | None,
    ) -> None:  # fmt: skip
        flow = isinstance(iterated, System)
        s = stepper(iterated, target, (dt or 1.0) if flow else None, given=parameters or ())
        if s.draws or s.clocked:
            why = "draws noise" if s.draws else "changes with the number of its step"
            raise NotCarried(f"{s.name} {why}; resilience requires a deterministic map or flow.")
        fixed = check_parameters(s, parameters or {}, {})
        c = s.coefficients({n: np.float64(v) for n, v in fixed.items()})
        state = starting_state(s, at, c)
        if flow and dt is None:
            rate = float(jnp.linalg.norm(balanced(slope(s.rates or s.step, state, c))))
            s = stepper(
                iterated, target, RESOLVED / rate if np.isfinite(rate) and rate > 0 else 1.0
            )
        self.s, self.c, self.state = s, c, state
        self.flat, self.shaped = ravel_pytree(state)
        self.begin = np.asarray(self.flat, float)
        self.like = jax.tree.map(lambda a: np.asarray(a)[..., None], state)
        start = np.asarray(s.output(state, c), float)
        self.grid = PointGrid(s, (), fixed, start, True)
        self.limits = Limits(
            default_steps(iterated) if steps is None else steps, 1e-8, 1e10, 64, 1 << 28
        )
        self.scale = float(np.abs(self.begin).max(initial=0.0)) or 1.0

    def of(
        self, states: Float[np.ndarray, "n d"], own: Float[np.ndarray, " d"]
    ) -> tuple[Int[np.ndarray, " n"], tuple[Attractor, ...], int]:
        """Labels of states, the attractors, and the label of one more state."""
        both = np.concatenate([states, own[None]]).T
        labels, found = attractors_of(
            with_states(self.grid, self.like, both, self.scale), self.limits, 64
        )
        return labels[:-1], found, int(labels[-1])

    def at_first(
        self, states: Float[np.ndarray, "n d"], own: Float[np.ndarray, " d"]
    ) -> tuple[Int[np.ndarray, " n"], tuple[Attractor, ...], int]:
        """The same, where the states, and so the scale, may be far less than the attractors are."""
        labels, found, label = self.of(states, own)
        lost = any(i < 0 or found[i].kind in FATES for i in (label, *labels.tolist()))
        if lost and self.scale < 1:
            self.scale = max(1.0, float(np.abs(own).max(initial=0.0)))
            labels, found, label = self.of(states, own)
        return labels, found, label

    def named(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        tiny = 1e-14 * self.scale
        if not self.s.blocks:
            return {"x": np.array(flat)}
        parts = jax.tree.leaves(jax.tree.map(np.asarray, self.shaped(jnp.asarray(flat))))
        return dict(
            zip(self.s.blocks, (np.where(np.abs(v) <= tiny, 0.0, v) for v in parts), strict=False)
        )


__all__ = [
    "Classified",
    "StateGrid",
    "attractors_of",
    "begun",
    "check_isolated",
    "flat_states",
    "seeds_of",
    "spread_of",
    "with_states",
]
