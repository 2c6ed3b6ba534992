"""Fixed points of a whole system that lie in a plane through its state space.

Where the velocity is projected onto the plane, a zero of the projection is a place where the state moves straight out
of the plane, which is no fixed point. Sought are the places where the whole velocity vanishes, by the Gauss-Newton
method on all of its components, and their kind is read off all eigenvalues of the linearized system.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Complex, Float

from .field import FixedPoint, Kind, Points, Window, described, grid, newton

_STARTS = 21  # a side of the window
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
    own: Rates = lambda u: rates(low + u * size)
    u = grid(_STARTS)
    speed = np.linalg.norm(own(u), axis=1)
    moving = speed[np.isfinite(speed) & (speed > 0)]
    scale = float(np.quantile(moving, 0.1)) if len(moving) else 1.0
    u = newton(own, lambda u: slopes(low + u * size) * size, u)
    inside = (np.abs(u - 0.5) <= 0.5 + 1e-9).all(1)
    u = u[inside & (np.linalg.norm(own(u), axis=1) <= _REST * scale)]
    u = u[np.lexsort(np.round(u, 9).T[::-1])]
    found = low + u * size
    kept: list[FixedPoint] = []
    for point, matrix in zip(found, whole(found) if len(found) else (), strict=True):
        kind = whole_kind(np.linalg.eigvals(matrix).astype(np.complex128))
        merge = 1e-3 if kind == "non-hyperbolic" else 1e-6
        if any((np.abs(point - other.point) <= merge * size).all() for other in kept):
            continue
        residual = float(np.abs(rates(point[None])).max())
        kept.append(described(point, kind, matrix, residual))
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
