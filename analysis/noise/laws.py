"""Laws of noisy systems that are known in closed form, and the systems that have them.

What kind a system is of is decided from derivatives at many points, among them all at which a density is wanted.
Gardiner, Handbook of Stochastic Methods, 5.3 (potential conditions); Pavliotis, Stochastic Processes and Applications
(2014), doi:10.1007/978-1-4939-1323-7, chapters 3, 4 and 6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .noisy_field import NoisyField

_SAMPLES = 4096, 16  # at most, and at least in many dimensions
_ENTRIES = 1 << 14  # of all their derivatives
_EQUAL = 1e-9
_NODES = 8  # of a line integral, between two points

Points = Float[np.ndarray, "k n"]
Vector = Float[np.ndarray, " n"]


@dataclass(frozen=True)
class LinearLaw:
    """dz = A (z - center) dt + S dW: Gaussian at all times; ``covariance`` is that of the long run, or None."""

    matrix: Float[np.ndarray, "n n"]
    offset: Vector
    noise: Float[np.ndarray, "n n"]
    center: Vector | None
    covariance: Float[np.ndarray, "n n"] | None

    def at(self, t: float, mean: Vector, covariance: Any) -> tuple[Vector, Any]:
        """Mean and covariance after a time, by Van Loan's exponential (IEEE Trans. Automatic Control 23, 1978)."""
        from scipy.linalg import expm

        n = len(mean)
        zero = np.zeros((n, n))
        both = expm(t * np.block([[-self.matrix, self.noise], [zero, self.matrix.T]]))
        forward = both[n:, n:].T
        grown = forward @ both[:n, n:]
        shift = expm(t * np.block([[self.matrix, self.offset[:, None]], [np.zeros((1, n + 1))]]))
        moved = forward @ mean + shift[:n, n]
        spread = forward @ covariance @ forward.T + (grown + grown.T) / 2
        return moved, spread


def samples(box: Float[np.ndarray, "n 2"]) -> Points:
    """Random points of a box."""
    most, least = _SAMPLES
    number = max(min(most, _ENTRIES // len(box) ** 2), least)
    return np.random.default_rng(0).uniform(box[:, 0], box[:, 1], (number, len(box)))


@lru_cache(maxsize=32)
def _drifts(field: NoisyField) -> tuple[Any, Any]:
    """The drift at many states, and its derivatives, compiled."""
    return jax.jit(jax.vmap(field.drift)), jax.jit(jax.vmap(jax.jacfwd(field.drift)))


def linear_law(field: NoisyField, points: Points) -> LinearLaw | None:
    """The law of a system with linear drift and constant noise, as these points show; None for another one."""
    from scipy.linalg import solve_continuous_lyapunov

    if not field.constant:
        return None
    z = jnp.asarray(points)
    slopes = np.asarray(_drifts(field)[1](z))
    if not _same(slopes, slopes[:1]):
        return None
    matrix, offset = slopes[0], np.asarray(field.drift(z[0])) - slopes[0] @ np.asarray(z[0])
    a = np.asarray(field.covariance(z[0]))
    if np.linalg.eigvals(matrix).real.max() >= -1e-12 * max(float(np.abs(matrix).max()), 1e-300):
        return LinearLaw(matrix, offset, a, None, None)
    long_run = solve_continuous_lyapunov(matrix, -a)
    return LinearLaw(
        matrix, offset, a, -np.linalg.solve(matrix, offset), (long_run + long_run.T) / 2
    )


@dataclass(frozen=True)
class KineticLaw:
    """x' = v, dv = F(x) dt - friction v dt + s dW with F = -grad U: Gibbs's law of the energy v^2 / 2 + U.

    Attributes:
        positions: places of x in the flat state; those of v follow in ``velocities``.
        friction: more than 0.
        temperature: s^2 / (2 friction).
    """

    field: NoisyField
    positions: np.ndarray
    velocities: np.ndarray
    friction: float
    temperature: float

    def energy(self, z: Float[np.ndarray, "*lines n"]) -> Float[np.ndarray, "*lines"]:
        """v^2 / 2 + U at states along one line or many, above that at the first, as `rises` has it."""
        x, v = self.positions, self.velocities
        force = _force(self.field, tuple(x.tolist()), tuple(v.tolist()))
        kinetic = (z[..., v] ** 2).sum(-1) / 2
        return np.asarray(kinetic - kinetic.flat[0] - rises(force, z[..., x]))


@lru_cache(maxsize=32)
def _force(field: NoisyField, x: tuple[int, ...], v: tuple[int, ...]) -> Callable[[Any], Any]:
    return lambda q: field.drift(jnp.zeros(field.n).at[np.array(x)].set(q))[np.array(v)]


def kinetic_law(field: NoisyField, points: Points) -> KineticLaw | None:
    """The law of underdamped Langevin dynamics, as these points show; None for any other system."""
    z = points
    a = np.asarray(field.covariance(jnp.asarray(z[0])))
    heated = np.diag(a) > 0
    if not field.constant or 2 * int(heated.sum()) != field.n:
        return None
    v, x = np.flatnonzero(heated), np.flatnonzero(~heated)
    s2 = float(a[v[0], v[0]])
    rates, slopes = (np.asarray(f(jnp.asarray(z))) for f in _drifts(field))
    eye, half = np.eye(len(x)), len(x)
    c = -float(slopes[0][v[0], v[0]])
    order = np.argmax(np.abs(slopes[0][np.ix_(x, v)]), axis=1)  # x' = v may be in another order
    v = v[order] if len(set(order.tolist())) == half else v
    fits = (
        c > 0
        and _same(a[np.ix_(v, v)], s2 * eye)
        and _same(rates[:, x], z[:, v])
        and _same(slopes[:, v][:, :, v], np.broadcast_to(-c * eye, (len(z), half, half)))
        and _symmetric(slopes[:, v][:, :, x])
    )
    return KineticLaw(field, x, v, c, s2 / (2 * c)) if fits else None


def gibbs_slope(field: NoisyField, points: Points) -> Callable[[Any], Any] | None:
    """The gradient of the logarithm of the density without currents; None where points show that there are currents.

    2 a^-1 (b - div a / 2), for noise of full rank, is one where its derivative is symmetric (Gardiner, 5.3.3).
    """
    z = jnp.asarray(points)
    if not full_rank(np.asarray(jax.vmap(field.covariance)(z))):
        return None
    slope, derivative = _gibbs(field)
    return slope if _symmetric(np.asarray(derivative(z))) else None


@lru_cache(maxsize=32)
def _gibbs(field: NoisyField) -> tuple[Callable[[Any], Any], Any]:
    """2 a^-1 (b - div a / 2) at a state, and its derivative at many, compiled."""

    def slope(z: Any) -> Any:
        return 2 * jnp.linalg.solve(field.covariance(z), field.conservative_drift(z))

    return slope, jax.jit(jax.vmap(jax.jacfwd(slope)))


def full_rank(a: Float[np.ndarray, "k n n"]) -> bool:
    """Whether noise of these covariances moves every direction at every point."""
    sizes = np.linalg.eigvalsh(a)
    return bool((sizes[:, 0] > 1e-12 * sizes[:, -1]).all() and np.isfinite(sizes).all())


def rises(
    slope: Callable[[Any], Any], points: Float[np.ndarray, "*lines n"]
) -> Float[np.ndarray, "*lines"]:
    """What a function rises from the first of some points to all of them, by its gradient between neighbours.

    Args:
        slope: the gradient at a point.
        points: along one line, shape (k, n), or along k lines, shape (k, m, n), from whose first points it goes on.
    """

    def along(z: Any) -> Any:
        """From the first points of lines, shape (lines, points, n)."""
        n = z.shape[-1]
        starts, ends = (jnp.asarray(e.reshape(-1, n)) for e in (z[:, :-1], z[:, 1:]))
        parts = np.asarray(_integrals(slope)(starts, ends)).reshape(len(z), -1)
        return np.concatenate([np.zeros((len(z), 1)), np.cumsum(parts, 1)], 1)

    if points.ndim == 2:
        return np.asarray(along(points[None])[0])
    return np.asarray(along(points[None, :, 0])[0][:, None] + along(points))


@lru_cache(maxsize=32)
def _integrals(slope: Callable[[Any], Any]) -> Callable[..., Any]:
    """Of a vector field along many lines from point to point, by Gauss's rule, compiled."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)

    def run(starts: Any, ends: Any) -> Any:
        def one(line: Any) -> Any:
            start, end = line
            points = start[None] + (nodes[:, None] + 1) / 2 * (end - start)[None]
            return weights / 2 @ (jax.vmap(slope)(points) @ (end - start))

        return jax.lax.map(one, (starts, ends), batch_size=1024)

    return jax.jit(run)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    size = max(float(np.abs(a).max(initial=0.0)), float(np.abs(b).max(initial=0.0)), 1e-300)
    return bool(np.isfinite(a).all() and (np.abs(a - b) <= _EQUAL * size).all())


def _symmetric(a: Float[np.ndarray, "k n n"]) -> bool:
    return _same(a, np.swapaxes(a, -1, -2))


__all__ = [
    "KineticLaw", "LinearLaw", "full_rank", "gibbs_slope", "kinetic_law", "linear_law", "rises", "samples"
]  # fmt: skip
