"""Closed orbits of flows by collocation at Gauss points on an adaptive mesh.

An orbit of period T is a continuous function on [0, 1], a polynomial of degree m on each interval of the mesh, with
u' = T f(u) at the m Gauss points of each interval, u(0) = u(1), and a phase condition: the integral of u with the
velocity of the orbit before vanishes. The mesh equidistributes the estimated derivative of order m + 1 (U. Ascher, J.
Christiansen, R. D. Russell, ACM Trans. Math. Softw. 7 (1981), doi:10.1145/355945.355950; E. L. Doedel, A. D. Jepson,
H. B. Keller, 1984). The unknowns are linked from interval to interval, and elimination gives the monodromy matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float

from .curve import Vector
from .field import ParametricField

DEGREE = 4


@dataclass(frozen=True, eq=False)
class GaussRule:
    """Gauss points of one interval: from the values at its nodes to values and derivatives at the points.

    Attributes:
        values, slopes: matrices, shape (m, m + 1); the interval has length 1.
        weights: of the quadrature, shape (m,).
        top: the derivative of order m from the values at the nodes, shape (m + 1,).
    """

    values: Float[np.ndarray, "m k"]
    slopes: Float[np.ndarray, "m k"]
    weights: Float[np.ndarray, " m"]
    top: Float[np.ndarray, " k"]


@lru_cache(maxsize=4)
def rule(m: int = DEGREE) -> GaussRule:
    """The rule with m Gauss points and m + 1 equally spaced nodes."""
    points, weights = np.polynomial.legendre.leggauss(m)
    points = (points + 1) / 2
    nodes = np.linspace(0.0, 1.0, m + 1)
    basis = np.linalg.inv(
        np.vander(nodes, increasing=True)
    )  # coefficients of Lagrange's polynomials
    powers = np.vander(points, m + 1, increasing=True)
    slopes = np.zeros_like(powers)
    slopes[:, 1:] = powers[:, :-1] * np.arange(1, m + 1)
    factorial = float(np.prod(np.arange(1, m + 1)))
    return GaussRule(powers @ basis, slopes @ basis, weights / 2, factorial * basis[-1])


@dataclass(frozen=True, eq=False)
class Mesh:
    """A mesh of [0, 1] and the velocity to which the phase refers.

    Attributes:
        edges: shape (N + 1,).
        phase: weighted velocities at the Gauss points, shape (N, m, d).
    """

    edges: Float[np.ndarray, " n"]
    phase: Float[np.ndarray, "k m d"]

    def __len__(self) -> int:
        return len(self.edges) - 1

    @property
    def nodes(self) -> Float[np.ndarray, " k"]:
        """All nodes, shape (N m + 1,)."""
        inner = np.linspace(0.0, 1.0, DEGREE + 1)[:-1]
        starts, sizes = self.edges[:-1], np.diff(self.edges)
        made: np.ndarray = np.append((starts[:, None] + sizes[:, None] * inner).ravel(), 1.0)
        return made

    def packed(self, values: np.ndarray) -> np.ndarray:
        """Parameters with the mesh behind them, as the equations take them."""
        return np.concatenate([values, self.edges, self.phase.ravel()])


def phase_of(orbit: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "k m d"]:
    """The weighted velocities of an orbit, given at all nodes, to which the phase refers."""
    r = rule()
    made: np.ndarray = r.weights[:, None] * np.einsum("ij,njd->nid", r.slopes, _windows(orbit, np))
    return made


def _windows(orbit: Any, xp: Any) -> Any:
    """The values at the nodes of each interval, (N, m + 1, d) from (N m + 1, d)."""
    n = (orbit.shape[0] - 1) // DEGREE
    at = np.arange(n)[:, None] * DEGREE + np.arange(DEGREE + 1)
    return xp.asarray(orbit)[at]


@lru_cache(maxsize=64)
def orbit_equations(field: ParametricField, d: int, n: int) -> Callable[[Any, Any], Any]:
    """The equations of an orbit on n intervals: (orbit at all nodes and period; `Mesh.packed`) to as many residuals."""
    r, m = rule(), len(field.names)
    many = jax.vmap(field.function, in_axes=(0, None))

    def zero(z: Any, packed: Any) -> Any:
        values, edges = packed[:m], packed[m : m + n + 1]
        phase = packed[m + n + 1 :].reshape(n, DEGREE, d)
        orbit, period = z[:-1].reshape(-1, d), z[-1]
        local = _windows(orbit, jnp)
        inside = jnp.einsum("ij,njd->nid", r.values, local)
        speed = many(inside.reshape(-1, d), values).reshape(inside.shape)
        off = jnp.einsum("ij,njd->nid", r.slopes, local)
        off = off - period * jnp.diff(edges)[:, None, None] * speed
        shift = jnp.sum(phase * inside)
        return jnp.concatenate([off.ravel(), orbit[0] - orbit[-1], shift[None]])

    return zero


@lru_cache(maxsize=64)
def _local(field: ParametricField) -> Callable[..., Any]:
    """Velocities at many states, with their derivatives by the state and by one parameter."""

    def one(u: Any, values: Any, active: Any) -> tuple[Any, Any, Any]:
        along = lambda q: field.function(u, values.at[active].set(q))
        by_state = jax.jacfwd(field.function)(u, values)
        speed, by_parameter = jax.jvp(along, (values[active],), (jnp.ones(()),))
        return speed, by_state, by_parameter

    return jax.jit(jax.vmap(one, in_axes=(0, None, None)))


def assembled(
    field: ParametricField, y: Vector, mesh: Mesh, values: np.ndarray, active: int
) -> tuple[np.ndarray, np.ndarray]:
    """The residuals of `orbit_equations` and their derivative by orbit, period and one parameter, block by block.

    Args:
        field: the flow.
        y: the orbit at all nodes, the period, and the parameter.
        mesh: of the orbit.
        values: all parameters, shape (m,).
        active: the number of the one that is free.

    Returns:
        Shapes (k,) and (k, k + 1).
    """
    r, n, d = rule(), len(mesh), mesh.phase.shape[2]
    orbit, period, values = y[:-2].reshape(-1, d), float(y[-2]), values.copy()
    values[active] = y[-1]
    local, sizes = _windows(orbit, np), np.diff(mesh.edges)
    inside = np.einsum("ij,njd->nid", r.values, local)
    found = _local(field)(inside.reshape(-1, d), values, active)
    speed, by_state, by_parameter = (np.asarray(a).reshape(n, DEGREE, *a.shape[1:]) for a in found)
    h = sizes[:, None, None]
    off = np.einsum("ij,njd->nid", r.slopes, local) - period * h * speed
    value = np.concatenate([off.ravel(), orbit[0] - orbit[-1], [(mesh.phase * inside).sum()]])
    slope, k = np.zeros((len(y) - 1, len(y))), DEGREE * d
    blocks = np.einsum("ij,de->idje", r.slopes, np.eye(d)) - (
        period * h[..., None, None] * np.einsum("ij,nide->nidje", r.values, by_state)
    )
    phase = np.einsum("nid,ij->njd", mesh.phase, r.values)
    for i in range(n):
        across = slice(i * k, (i + 1) * k + d)
        slope[i * k : (i + 1) * k, across] = blocks[i].reshape(k, k + d)
        slope[-1, across] += phase[i].ravel()
    slope[: n * k, -2] = -(h * speed).ravel()
    slope[: n * k, -1] = -(period * h * by_parameter).ravel()
    slope[n * k : n * k + d, :d] = np.eye(d)
    slope[n * k : n * k + d, n * k : n * k + d] = -np.eye(d)
    return value, slope


def transfer(slope: np.ndarray, d: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """How a perturbation goes from the left end of each interval to its other nodes.

    Args:
        slope: the derivative of the equations, rows first of the collocation conditions.
        d: states; n: intervals.

    Returns:
        All inner nodes, shape (n, m d, d), and the right end alone, shape (n, d, d).
    """
    k = DEGREE * d
    blocks = np.stack([slope[i * k : (i + 1) * k, i * k : (i + 1) * k + d] for i in range(n)])
    inner = -np.linalg.solve(blocks[:, :, d:], blocks[:, :, :d])
    return inner, inner[:, -d:]


def multipliers(slope: np.ndarray, d: int, n: int) -> Complex[np.ndarray, " d"]:
    """Floquet multipliers, the trivial one (of the motion along the orbit, next to 1) first."""
    whole = np.eye(d)
    for step in transfer(slope, d, n)[1]:
        whole = step @ whole
    found = np.linalg.eigvals(whole).astype(complex)
    trivial = int(np.argmin(np.abs(found - 1)))
    made: Complex[np.ndarray, " d"] = np.append(found[trivial], np.delete(found, trivial))
    return made


def adapted(edges: np.ndarray, orbit: np.ndarray, n: int) -> np.ndarray:
    """The edges of a mesh of n intervals that equidistributes the estimated derivative of order m + 1.

    Args:
        edges: of the present mesh, shape (N + 1,).
        orbit: at its nodes, shape (N m + 1, d).
        n: number of intervals of the new one.
    """
    sizes = np.diff(edges)
    top = np.einsum("j,njd->nd", rule().top, _windows(orbit, np)) / sizes[:, None] ** DEGREE
    around = np.concatenate([top[-1:], top, top[:1]])
    gaps = np.concatenate([sizes[-1:], sizes, sizes[:1]])
    jumps = np.diff(around, axis=0) / ((gaps[1:] + gaps[:-1]) / 2)[:, None]
    density = np.abs((jumps[1:] + jumps[:-1]) / 2).max(1) ** (1 / (DEGREE + 1))
    density = density + 0.1 * density.mean() + 1e-12
    mass = np.append(0.0, np.cumsum(density * sizes))
    made: np.ndarray = np.interp(np.linspace(0.0, mass[-1], n + 1), mass, edges)
    made[0], made[-1] = 0.0, 1.0
    return made


def moved(mesh: Mesh, orbit: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """An orbit on another mesh: its values at the nodes there.

    Args:
        mesh: the present one.
        orbit: at its nodes, shape (N m + 1, d).
        edges: of the other one.
    """
    target = Mesh(edges, np.zeros((len(edges) - 1, DEGREE, orbit.shape[1]))).nodes
    at = np.clip(np.searchsorted(mesh.edges, target, side="right") - 1, 0, len(mesh) - 1)
    part = (target - mesh.edges[at]) / np.diff(mesh.edges)[at]
    nodes = np.linspace(0.0, 1.0, DEGREE + 1)
    basis = np.linalg.inv(np.vander(nodes, increasing=True))
    weights = np.vander(part, DEGREE + 1, increasing=True) @ basis
    made: np.ndarray = np.einsum("kj,kjd->kd", weights, _windows(orbit, np)[at])
    return made


__all__ = [
    "DEGREE",
    "Mesh",
    "adapted",
    "assembled",
    "moved",
    "multipliers",
    "orbit_equations",
    "phase_of",
    "rule",
    "transfer",
]
