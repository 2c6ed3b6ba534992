"""Functions on which momentum methods cycle: quadratics outside a polygon."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from ..._support.errors import OdescentError
from ..._support.numbers import reals
from ..._support.rendering.brief import short
from ..algebra.scalars import check_class, constant
from ..vector_fields.objective import Objective

_NAME = "smoothed_support"
_TRIANGLE = ((1.0, 0.0), (-0.5, 0.75**0.5), (-0.5, -(0.75**0.5)))


def smoothed_support(vertices: Any = _TRIANGLE, mu: Any = 1, L: Any = 25) -> Objective:
    """f(x) = L/2 |x|^2 - (L - mu)/2 dist(x, P)^2 in F(mu, L), P the convex hull of points of the plane.

    The same is mu/2 |x|^2 + (L - mu) (<x, p> - |p|^2/2) with p the point of P nearest to x: the support function
    of P, smoothed, and a quadratic. The gradient is mu x + (L - mu) p. Where 0 lies in P it is the minimizer,
    with f* = 0. Curvature L inside of P, mu in the cones from which a corner is nearest, and both, across and
    along, beside an edge.

    Args:
        vertices: points of shape (n, 2), n >= 1, in any order; one or two points, points on a line and points
            that are no corners may be among them. An equilateral triangle by default.
        mu, L: the constants, 0 <= mu <= L.

    Raises:
        OdescentError: vertices that are not finite or of another shape, or constants outside of their domain.

    Reference: Goujaud, Taylor, Dieuleveut, arXiv:2307.11291; the smoothing: Nesterov, Math. Program. 103 (2005),
    doi:10.1007/s10107-004-0552-5.
    """
    low, high = constant("mu", mu), constant("L", L, strict=True)
    check_class(low, high)
    corners = hull(vertices)
    a, b = float(low), float(high - low)

    def fun(x: Float[ArrayLike, "2"]) -> Float[Array, ""]:
        x = jnp.asarray(x)
        p = project(corners, x)
        return a * jnp.vdot(x, x) / 2 + b * (jnp.vdot(x, p) - jnp.vdot(p, p) / 2)

    def grad(x: Float[ArrayLike, "2"]) -> Float[Array, "2"]:
        x = jnp.asarray(x)
        return a * x + b * project(corners, x)

    return Objective(
        _NAME,
        fun,
        grad,
        mu=low,
        L=high,
        minimizer=np.zeros(2) if _inside(corners) else None,
        dimension=2,
        x0=np.array([2.0, 1.0]) * max(1.0, float(np.abs(corners).max())),
        reference="arXiv:2307.11291",
    )


def hull(points: Any) -> Float[np.ndarray, "n 2"]:
    """The corners of the convex hull, counterclockwise; one or two points if it has no interior.

    Raises OdescentError unless the points are finite and of shape (n, 2), n >= 1.
    """
    given = reals(points)
    if given.ndim != 2 or given.shape[1] != 2 or not len(given) or not np.isfinite(given).all():
        raise OdescentError(
            f"{_NAME}: vertices must be finite points of shape (n, 2), n >= 1, got {short(points)}."
        )
    ordered = np.unique(given, axis=0).tolist()  # by both coordinates (Andrew 1979)
    if len(ordered) < 3:
        return np.array(ordered)
    lower, upper = (_chain(side) for side in (ordered, ordered[::-1]))
    return np.array([*lower[:-1], *upper[:-1]])


def _chain(ordered: list[list[float]]) -> list[list[float]]:
    """One side of the hull: left turns only."""
    chain: list[list[float]] = []
    for p in ordered:
        while len(chain) > 1 and _turn(chain[-2], chain[-1], p) <= 0:
            chain.pop()
        chain.append(p)
    return chain


def _turn(a: list[float], b: list[float], c: list[float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _inside(corners: Float[np.ndarray, "n 2"]) -> bool:
    """Whether 0 lies in the hull, up to rounding."""
    a, edge = corners, np.roll(corners, -1, axis=0) - corners
    if len(corners) > 2 and (edge[:, 1] * a[:, 0] - edge[:, 0] * a[:, 1] >= 0).all():
        return True
    length = (edge**2).sum(axis=1)
    t = np.clip(-(edge * a).sum(axis=1) / np.where(length == 0, 1.0, length), 0, 1)
    near = np.linalg.norm(a + t[:, None] * edge, axis=1).min()
    return bool(near <= 1e-12 * np.abs(corners).max())


def project(corners: Float[np.ndarray, "n 2"], x: Float[Array, "2"]) -> Float[Array, "2"]:
    """The nearest point of the convex polygon with these corners (as from `hull`)."""
    a = jnp.asarray(corners, dtype=x.dtype)
    b = jnp.roll(a, -1, axis=0)
    edge, away = b - a, x[None, :] - a
    length = jnp.sum(edge**2, axis=1)
    t = jnp.clip(jnp.sum(edge * away, axis=1) / jnp.where(length == 0, 1.0, length), 0.0, 1.0)
    on_edge = (1 - t)[:, None] * a + t[:, None] * b  # a corner exactly, where t is 0 or 1
    best = on_edge[jnp.argmin(jnp.sum((x[None, :] - on_edge) ** 2, axis=1))]
    if len(corners) < 3:
        return best
    within = jnp.all(edge[:, 0] * away[:, 1] - edge[:, 1] * away[:, 0] >= 0)
    return jnp.where(within, x, best)
