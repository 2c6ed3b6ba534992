"""Curves of a planar field on a window: its nullclines, and the level sets of an energy or Lyapunov function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from .field import Chart, Curve, Field, Points, chart, evaluate, grid


@dataclass(frozen=True)
class Nullclines(Rendered):
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


Function = Callable[[Points], Float[np.ndarray, " n"]]


@dataclass(frozen=True)
class LevelSets(Rendered):
    """Curves on which a function is constant.

    Attributes:
        name: what it is called, mathtext.
        levels: its values, increasing, shape (m,).
        curves: the polylines of each level, each of shape (k, 2).
        increasing: the share of the window's samples at which it grows along the flow; 0 for a Lyapunov function.
        rise: the largest rate of growth there, at most 0 for a Lyapunov function.
    """

    name: str
    levels: Float[np.ndarray, " m"]
    curves: tuple[tuple[Curve, ...], ...]
    increasing: float
    rise: float


@np.errstate(all="ignore")
def level_sets(
    function: Function,
    field: Field,
    window: Sequence[Sequence[float]],
    levels: int | Sequence[float] = 6,
    name: str = "$V$",
    samples: int = 121,
) -> LevelSets:
    """The level sets of a function of the plane.

    Args:
        function: points (n, 2) to values (n,).
        field: along which its growth is judged, by central differences on the grid.
        window: where.
        levels: the values, or how many; then they enclose equal shares of the window's area.
        name: for the legend.
        samples: grid points per side.

    Raises:
        OdescentError: a bad window, values of another shape, or no finite value in the window.
    """
    from contourpy import contour_generator

    # values on a grid; quantiles spread the levels evenly over the area of the window
    c = chart(field, window)
    u = grid(samples)
    values = np.asarray(function(c.out(u)), dtype=np.float64)
    if values.shape != (samples**2,):
        raise OdescentError(
            f"a function for level sets must map points of shape {u.shape} to {(samples**2,)} values, not "
            f"{values.shape}."
        )
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise OdescentError("the function for level sets has no finite value in the window.")
    if isinstance(levels, int):
        if levels < 1:
            raise OdescentError(f"the number of level sets must be at least 1, not {levels}.")
        chosen = np.quantile(finite, (np.arange(levels) + 0.5) / levels)
    else:
        chosen = np.sort(np.asarray(levels, dtype=np.float64))
    # contours are traced in the unit square, where both coordinates have one scale
    side = np.linspace(0.0, 1.0, samples)
    table = np.ma.masked_invalid(values.reshape(samples, samples))
    tracer = contour_generator(side, side, table)
    curves = tuple(tuple(c.out(np.asarray(p)) for p in tracer.lines(float(v))) for v in chosen)
    # whether the function decreases along the field: its derivative by central differences, inside the window
    step = 1e-5
    inner = c.out(0.02 + 0.96 * u)
    slope = np.stack(
        [
            (function(inner + step * d * c.size) - function(inner - step * d * c.size))
            / (2 * step * c.size[i])
            for i, d in enumerate(np.eye(2))
        ],
        1,
    )
    growth = (slope * evaluate(field, inner)).sum(1)
    size = np.linalg.norm(slope, axis=1) * np.linalg.norm(evaluate(field, inner), axis=1)
    known = np.isfinite(growth)
    up = known & (growth > 1e-7 * np.max(size[known], initial=0.0))
    return LevelSets(
        name,
        chosen,
        curves,
        float(up.sum() / max(known.sum(), 1)),
        float(growth[known].max(initial=-np.inf)),
    )
