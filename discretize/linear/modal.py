"""The poles of a linear method on quadratics, in floats, for scans over curvatures."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Complex, Float


def modal_poles(
    A: Float[np.ndarray, "*batch n n"],
    B: Float[np.ndarray, "*batch n p"],
    C: Float[np.ndarray, "*batch p n"],
    D: Float[np.ndarray, "*batch p p"],
    curvatures: Float[np.ndarray, " modes"],
) -> Complex[np.ndarray, "*batch modes n"]:
    """The eigenvalues of A + w B (I - w D)^-1 C for each curvature w.

    Args:
        A: shape (..., n, n).
        B: shape (..., n, p).
        C: shape (..., p, n).
        D: shape (..., p, p).
        curvatures: shape (modes,).

    Returns:
        shape (..., modes, n), infinite where an implicit step has no solution or a matrix is not finite.
    """
    a, b, c, d = (np.asarray(m, float)[..., None, :, :] for m in (A, B, C, D))
    w: Any = np.asarray(curvatures, float)[:, None, None]
    with np.errstate(all="ignore"):
        system = np.eye(d.shape[-1]) - w * d
        solvable = np.isfinite(system).all((-1, -2), keepdims=True)
        system = np.where(solvable, system, np.eye(d.shape[-1]))
        singular = np.linalg.det(system)[..., None, None] == 0
        system = np.where(singular, np.eye(d.shape[-1]), system)
        closed = a + b @ np.linalg.solve(system, w * c)
    usable = np.isfinite(closed).all((-1, -2), keepdims=True) & solvable & ~singular
    poles = np.linalg.eigvals(np.where(usable, closed, 0.0)).astype(complex)
    return np.where(usable[..., 0], poles, np.inf)
