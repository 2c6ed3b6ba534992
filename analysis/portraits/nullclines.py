"""Nullclines of a planar field: contours of its sampled components, polished onto the zero sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from .field import Chart, Curve, Field, Points, chart, grid


@dataclass(frozen=True)
class Nullclines:
    """Zero sets of the two components as polylines, each of shape (k, 2).

    `residual` is the largest absolute value of each component left on its polylines. A component
    that touches zero without changing sign has no contour and is not found.
    """

    first: tuple[Curve, ...]
    second: tuple[Curve, ...]
    residual: tuple[float, float]


@np.errstate(all="ignore")
def nullclines(field: Field, window: Sequence[Sequence[float]], samples: int = 121) -> Nullclines:
    """The curves where one component vanishes: contours, then polished onto the zero set.

    Jumps through infinity look like zeros to a contour; they do not survive the polishing.

    Args:
        field: the vector field.
        window: where to look.
        samples: grid points per side.

    Raises:
        ValueError: for a bad window, or a field that returns the wrong shape.
    """
    from contourpy import contour_generator

    c = chart(field, window)
    values = c(grid(samples)).reshape(samples, samples, 2)
    side = np.linspace(0.0, 1.0, samples)
    families: list[tuple[Curve, ...]] = []
    residuals: list[float] = []
    for k in range(2):
        component = np.ma.masked_invalid(values[:, :, k])
        size = np.abs(component.compressed())
        size = size[size > 0]
        tolerance = 1e-9 * float(np.median(size)) if len(size) else 0.0
        pieces = contour_generator(side, side, component).lines(0.0)
        kept: list[Curve] = []
        worst = 0.0
        for piece in pieces:
            polished, left = _polish(c, np.asarray(piece, dtype=np.float64), k, 1.5 / samples)
            for run in _runs(left <= tolerance):
                kept.append(c.out(polished[run]))
                worst = max(worst, float(left[run].max()))
        families.append(tuple(kept))
        residuals.append(worst * float(c.size[k]))
    return Nullclines(families[0], families[1], (residuals[0], residuals[1]))


def _polish(c: Chart, u: Points, k: int, reach: float) -> tuple[Points, Float[np.ndarray, " n"]]:
    """Newton along the gradient of component k, no point moving further than `reach`."""
    start = u
    left = np.abs(c(u)[:, k])
    for _ in range(12):
        slope = c.jacobian(u)[:, k]
        step = -c(u)[:, k : k + 1] * slope / (slope**2).sum(1, keepdims=True)
        trial = u + np.where(np.isfinite(step), step, 0.0)
        trial_left = np.abs(c(trial)[:, k])
        better = (trial_left < left) & (np.linalg.norm(trial - start, axis=1) <= reach)
        u, left = np.where(better[:, None], trial, u), np.where(better, trial_left, left)
        if not better.any():
            break
    return u, left


def _runs(good: Bool[np.ndarray, " n"]) -> list[slice]:
    """The stretches of at least two neighbours that are all good."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(int)))
    return [slice(a, b) for a, b in edges.reshape(-1, 2).tolist() if b - a >= 2]
