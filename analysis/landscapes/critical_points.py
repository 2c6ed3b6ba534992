"""Critical points of a function in the window of a plane, and what each method makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...dynamics import Objective
from ..portraits.field import Window, points_at_rest
from ..portraits.portrait import FixedPointSearch, search_fixed_points
from ..portraits.section import Section
from .equilibria import Equilibrium, of_flow, of_steps
from .landscape import CriticalPoint
from .orbits import FlowOrbits, MethodOrbits, PreparedFlow, in_rows

_FLAT = 1e-7  # of the greatest curvature: less counts as none
_DENSE = 300  # variables of a function whose critical points in a plane are looked for


@lru_cache(maxsize=64)
def functions_of(target: Objective) -> tuple[Any, Any, Any, Any]:
    """Of a point x: f, its gradient; of points: f in rows, and the gradient's Jacobian."""
    value, slope = target.value, jax.grad(target.value)
    return (
        value,
        slope,
        jax.jit(lambda rows: jax.lax.map(jax.vmap(value), rows)),
        jax.jit(jax.jacfwd(slope)),
    )


def value_at(target: Objective, x: Float[np.ndarray, " d"]) -> float:
    with jax.enable_x64(True):
        return float(target.value(jnp.asarray(x)))


def critical_in(
    target: Objective, section: Section, frame: Window
) -> tuple[np.ndarray, FixedPointSearch]:
    """The critical points of f in the window, in the space of x, and how they were found."""
    slope = functions_of(target)[1]
    d = len(section.origin)
    none = np.empty((0, 2, 2))
    if d == 2 and np.array_equal(section.basis, np.eye(2)) and not np.any(section.origin):
        down, curved = _planar(target)
        field: Any = lambda z: in_rows(down, z)[0]
        found, search = search_fixed_points(
            field, frame, lambda z: in_rows(curved, z)[0], lambda z: -slope(z)
        )
        return np.array([p.point for p in found]).reshape(-1, 2), search
    why = "the plane is a part of the space; starts were a grid in it"
    search = FixedPointSearch("Gauss-Newton on the whole gradient", False, none, why)
    if d > _DENSE:
        return np.empty((0, d)), search
    rates, along, whole = _in_plane(target)
    origin, basis = section.origin, section.basis
    of: Any = lambda f: lambda z: in_rows(lambda rows: f(rows, origin, basis), z)[0]
    found = points_at_rest(of(rates), of(along), of(whole), frame)
    points = [origin + basis @ p.point for p in found]
    return np.array(points).reshape(-1, d), search


@lru_cache(maxsize=64)
def _planar(target: Objective) -> tuple[Any, Any]:
    slope: Any = functions_of(target)[1]
    down: Any = lambda z: -slope(z)
    curved: Any = jax.jacfwd(down)
    return jax.jit(lambda z: (jax.vmap(down)(z),)), jax.jit(lambda z: (jax.vmap(curved)(z),))


@lru_cache(maxsize=64)
def _in_plane(target: Objective) -> tuple[Any, Any, Any]:
    """Of points of a plane: the whole gradient, its derivative along the plane, and its Jacobian."""
    slope = functions_of(target)[1]
    at: Any = lambda z, origin, basis: slope(origin + basis @ z)

    def mapped(one: Any) -> Any:
        return jax.jit(
            lambda z, origin, basis: (jax.vmap(one, in_axes=(0, None, None))(z, origin, basis),)
        )

    along: Any = jax.jacfwd
    return (
        mapped(at),
        mapped(along(at)),
        mapped(lambda z, origin, basis: along(slope)(origin + basis @ z)),
    )


def equilibria_at(
    points: np.ndarray, runs: Mapping[str, MethodOrbits], flows: Mapping[str, PreparedFlow],
    solved: Mapping[str, FlowOrbits], steps: int, size: float,
) -> dict[str, list[Equilibrium]]:  # fmt: skip
    """What each flow and each method is at the critical points, in a picture of this size."""
    found = {
        n: of_flow(m, points, float(solved[n].t[0, -1]), solved[n].last[0], size)
        for n, m in flows.items()
    }
    return found | {n: of_steps(r, points, steps, size) for n, r in runs.items()}


def described_point(
    target: Objective,
    x: Float[np.ndarray, " d"],
    section: Section,
    equilibria: Mapping[str, Equilibrium],
) -> CriticalPoint:
    with jax.enable_x64(True):
        curvatures = np.linalg.eigvalsh(np.asarray(functions_of(target)[3](jnp.asarray(x))))
    size = float(np.abs(curvatures).max())
    if not size > 0 or (np.abs(curvatures) <= _FLAT * size).any():
        kind = "degenerate"
    else:
        kind = (
            "minimum"
            if (curvatures > 0).all()
            else "maximum"
            if (curvatures < 0).all()
            else "saddle"
        )
    return CriticalPoint(
        section.project(x[None])[0], x, value_at(target, x), kind, curvatures, equilibria
    )
