"""Fixed points of a whole system that lie in a plane through its state space.

Where the velocity is projected onto the plane, a zero of the projection is a place where the state moves straight out
of the plane, which is no fixed point. Sought are the places where the whole velocity vanishes, by the Gauss-Newton
method on all of its components, and their kind is read off all eigenvalues of the linearized system.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Complex, Float

from .planar import FixedPoint, Kind, Points, Window, grid

_STARTS = 21  # a side of the window
_STEPS = 60
_REST = 1e-10  # of the velocity, relative to its lowest decile on the grid
_HYPERBOLIC = 1e-8  # of a real part, relative to the largest eigenvalue
Rates = Callable[[Points], Float[np.ndarray, "k n"]]


@np.errstate(all="ignore")
def points_at_rest(
    rates: Rates,
    slopes: Callable[[Points], Float[np.ndarray, "k n 2"]],
    whole: Callable[[Points], Float[np.ndarray, "k n n"]],
    window: Window,
) -> tuple[FixedPoint, ...]:
    """The fixed points of a system in a window of a plane that are found from a grid of starts.

    Args:
        rates: points of the plane, shape (k, 2), to velocities of the whole state, shape (k, n).
        slopes: to their derivatives along the plane, shape (k, n, 2).
        whole: to the linearized systems there, shape (k, n, n).
        window: where in the plane.

    Returns:
        The fixed points ordered by their coordinates, with Jacobian, eigenvalues and kind of the whole system.
    """
    sides = np.array(window)
    low, size = sides[:, 0], sides[:, 1] - sides[:, 0]
    u = grid(_STARTS)
    speed = np.linalg.norm(rates(low + u * size), axis=1)
    moving = speed[np.isfinite(speed) & (speed > 0)]
    scale = float(np.quantile(moving, 0.1)) if len(moving) else 1.0
    for _ in range(_STEPS):
        value, slope = rates(low + u * size), slopes(low + u * size) * size
        usable = np.isfinite(value).all(1) & np.isfinite(slope).all((1, 2))
        inverse = np.linalg.pinv(np.where(usable[:, None, None], slope, 0.0), rcond=1e-12)
        step = -(inverse @ np.where(usable[:, None], value, 0.0)[:, :, None])[:, :, 0]
        length = np.linalg.norm(step, axis=1, keepdims=True)
        u = u + step * np.minimum(1.0, 0.25 / np.maximum(length, 1e-300))
    speed = np.linalg.norm(rates(low + u * size), axis=1)
    inside = (np.abs(u - 0.5) <= 0.5 + 1e-9).all(1)
    u = u[inside & (speed <= _REST * scale)]
    found = low + u * size
    matrices = whole(found) if len(found) else np.empty((0, 0, 0))
    kept: list[FixedPoint] = []
    for place, matrix in sorted(
        zip(u.tolist(), matrices, strict=True), key=lambda e: np.round(e[0], 9).tolist()
    ):
        point = low + np.array(place) * size
        values, vectors = (part.astype(np.complex128) for part in np.linalg.eig(matrix))
        kind = whole_kind(values)
        merge = 1e-3 if kind == "non-hyperbolic" else 1e-6
        if any((np.abs(point - other.point) <= merge * size).all() for other in kept):
            continue
        order = np.lexsort((values.imag, values.real))
        residual = float(np.abs(rates(point[None])).max())
        kept.append(FixedPoint(point, kind, matrix, values[order], vectors[:, order], residual))
    return tuple(kept)


def whole_kind(eigenvalues: Complex[np.ndarray, " n"]) -> Kind:
    """The kind of a fixed point by all eigenvalues: a focus where some are complex, a saddle where signs differ."""
    largest = float(np.abs(eigenvalues).max(initial=0.0))
    real = eigenvalues.real
    if not np.isfinite(largest) or (np.abs(eigenvalues) <= _HYPERBOLIC * largest).any():
        return "non-hyperbolic"
    neutral = np.abs(real) <= _HYPERBOLIC * largest
    if neutral.any():
        return "centre (linear)" if neutral.all() else "non-hyperbolic"
    turning = bool((np.abs(eigenvalues.imag) > _HYPERBOLIC * largest).any())
    if (real < 0).all():
        return "stable focus" if turning else "stable node"
    if (real > 0).all():
        return "unstable focus" if turning else "unstable node"
    return "saddle"


__all__ = ["points_at_rest", "whole_kind"]
