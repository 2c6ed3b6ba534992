"""Planes through functions of many variables: points, steepest curvatures, principal components of runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..._support.errors import OdescentError, unknown
from ..._support.numbers import reals
from ..._support.rendering.brief import short
from ...dynamics import Objective
from ..portraits.section import Section

NAMED = ("run", "curvature")
_FLAT = 1e-9  # of the longer direction: below it two directions are parallel
_DENSE = 300  # variables; above, Lanczos' method


@dataclass(frozen=True)
class NamedPlane:
    """A plane and the names of its two coordinates, in mathtext."""

    section: Section
    labels: tuple[str, str]


def own_plane() -> NamedPlane:
    """The whole space of two variables."""
    e = np.eye(2)
    return NamedPlane(Section(np.zeros(2), e[0], e[1]), ("$x_{1}$", "$x_{2}$"))


def plane_through(
    plane: Any, paths: Float[np.ndarray, "n k d"], target: Objective, at: Any
) -> NamedPlane:
    """The plane that was asked for.

    Args:
        plane: "run", "curvature", a `Section` of the space of x, or two or three points, shape (2, d) or (3, d).
        paths: the iterates from all starts.
        target: the objective.
        at: the point for "curvature"; by default the minimizer, or where the first run ends.

    Raises:
        OdescentError: another plane, or one that is degenerate.
    """
    d = paths.shape[-1]
    if isinstance(plane, Section):
        if len(plane.origin) != d:
            raise OdescentError(
                f"a plane through {d} variables has vectors of {d} entries, not {len(plane.origin)}."
            )
        return NamedPlane(plane, (r"$\xi_1$", r"$\xi_2$"))
    if isinstance(plane, str):
        if plane == "run":
            return _principal(paths, _point(None, paths, target))
        if plane == "curvature":
            return _curved(target, _point(at, paths, target))
        raise unknown("plane called", plane, NAMED)
    points = reals(plane)
    if points.ndim != 2 or points.shape[0] not in (2, 3) or points.shape[1] != d:
        raise OdescentError(
            f"plane must be 'run', 'curvature', a Section, or two or three points of {d} entries, not "
            f"{f'shape {points.shape}' if points.size else repr(plane)}."
        )
    if not np.isfinite(points).all():
        raise OdescentError("the points of a plane must be finite.")
    third = points[2] if len(points) == 3 else _point(None, paths, target)
    return _spanned(third, points[:2])


def _point(
    at: Any, paths: Float[np.ndarray, "n k d"], target: Objective
) -> Float[np.ndarray, " d"]:
    d = paths.shape[-1]
    if at is None:
        best = target.minimizer
        if best is not None and np.shape(best) == (d,):
            return np.asarray(best, np.float64)
        finite = paths[0][np.isfinite(paths[0]).all(1)]
        last: Float[np.ndarray, " d"] = finite[-1]
        return last
    point = reals(at)
    if point.shape != (d,) or not np.isfinite(point).all():
        raise OdescentError(f"at= must be one finite point of {d} entries, not {short(at)}.")
    return point


def _principal(paths: Float[np.ndarray, "n k d"], origin: Float[np.ndarray, " d"]) -> NamedPlane:
    """The two principal components of the runs as seen from a point, which then lies in it (arXiv:1712.09913)."""
    points = paths.reshape(-1, paths.shape[-1])
    points = points[np.isfinite(points).all(1)]
    _, sizes, directions = np.linalg.svd(points - origin, full_matrices=False)
    if len(sizes) < 2 or not sizes[1] > _FLAT * sizes[0]:
        raise OdescentError(
            "the iterates lie on a line, so their principal components span no plane; give another plane=, "
            "such as 'curvature' or two points."
        )
    share = sizes**2 / (sizes**2).sum()
    first, second = (_turned(v) for v in directions[:2])
    labels = tuple(f"component {n} ({s:.0%})" for n, s in zip((1, 2), share, strict=False))
    return NamedPlane(Section(origin, first, second), (labels[0], labels[1]))


def _turned(v: Float[np.ndarray, " d"]) -> Float[np.ndarray, " d"]:
    """Of the two signs of a direction, that with the greatest entry positive."""
    return v if v[np.abs(v).argmax()] > 0 else -v


def _spanned(origin: Float[np.ndarray, " d"], points: Float[np.ndarray, "2 d"]) -> NamedPlane:
    """Through a point and two more, with orthonormal directions, the first one towards the first of these."""
    first, second = points - origin
    size = max(float(np.linalg.norm(first)), float(np.linalg.norm(second)))
    long = float(np.linalg.norm(first))
    along = first / long if long > _FLAT * size else np.zeros_like(first)
    across = second - (second @ along) * along
    if not long > _FLAT * size or not np.linalg.norm(across) > _FLAT * size:
        raise OdescentError(
            "the plane is degenerate: its two points and the minimizer (or the third point) lie on a line; "
            "move one of them."
        )
    labels = ("to the first point", "across")
    return NamedPlane(Section(origin, along, across / np.linalg.norm(across)), labels)


def _curved(target: Objective, point: Float[np.ndarray, " d"]) -> NamedPlane:
    """Through a point along the two directions of greatest curvature in absolute value."""
    d = len(point)
    with jax.enable_x64(True):
        at = jnp.asarray(point)
        if d <= _DENSE:
            values, vectors = np.linalg.eigh(np.asarray(jax.hessian(target.value)(at)))
        else:
            from scipy.sparse.linalg import LinearOperator, eigsh

            slope = jax.grad(target.value)
            product = jax.jit(lambda v: jax.jvp(slope, (at,), (v,))[1])
            hessian = LinearOperator(
                (d, d), lambda v: np.asarray(product(jnp.asarray(v.ravel()))), dtype=float
            )
            values, vectors = eigsh(hessian, 2, which="LM", v0=np.cos(np.arange(d)))
    if not np.isfinite(values).all() or not np.abs(values).max() > 0:
        raise OdescentError(
            "the Hessian is zero or not finite at that point, so it has no directions of greatest curvature; "
            "give another at=."
        )
    top = np.argsort(-np.abs(values), kind="stable")[:2]
    first, second = (_turned(vectors[:, i]) for i in top)
    labels = tuple(f"curvature {values[i]:.4g}" for i in top)
    return NamedPlane(Section(point, first, second), (labels[0], labels[1]))


def unseen(paths: Float[np.ndarray, "n k d"], section: Section) -> float:
    """The share of the motion that the plane does not show: of the sum of the squared steps."""
    steps = np.diff(paths, axis=1).reshape(-1, paths.shape[-1])
    steps = steps[np.isfinite(steps).all(1)]
    size = np.abs(steps).max(initial=0.0)
    if not size > 0:
        return 0.0
    steps = steps / size
    basis = np.linalg.qr(section.basis)[0]
    off = steps - steps @ basis @ basis.T
    share = float((off**2).sum() / (steps**2).sum())
    return share if share > 1e-12 else 0.0
