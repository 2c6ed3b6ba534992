"""Pictures of a minimization, and of an `EffectiveGradient`, whose data are defined in `theory.effective`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..._support.style import picture, series_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..searches.outcome import Minimum
    from ..theory.effective import EffectiveGradient


def draw_minimum(found: Minimum, ax: Axes | None = None) -> Axes:
    """Best value less the best of all, and the particles' spread, against the step; one line a search."""
    h = found.history
    floor = float(np.nanmin(found.funs)) if np.isfinite(found.funs).any() else 0.0
    with picture(ax, 0.75, "step") as ax, np.errstate(invalid="ignore", divide="ignore"):
        ax.set_yscale("log")
        for run in range(len(found.funs)):
            gap = h.best_value[run] - floor
            faint = 1.0 if len(found.funs) == 1 else max(0.15, 1 / len(found.funs) ** 0.5)
            lines = (
                (np.where(gap > 0, gap, np.nan), "best value less the best of all"),
                (np.sqrt(h.spread[run]), "spread of the particles"),
            )
            for i, (values, label) in enumerate(lines):
                named = label if run == 0 else None
                ax.plot(h.k, values, **series_style(i).line, alpha=faint, label=named)
    return ax


NAMES = {
    "relaxation": "mean off the last point",
    "shape": "shape of the cloud",
    "curvature": "curvature of f",
}


def draw_effective(data: EffectiveGradient, ax: Axes | None) -> Axes:
    """The norm of each step's gradient part, of the residual, and of the three parts of that."""
    moved = data.consensus[1:] - data.consensus[:-1] - data.residual
    series = {"gradient step": moved, "all else": data.residual}
    series |= {NAMES[n]: v for n, v in data.parts.items()}
    k = np.arange(1, len(moved) + 1)
    with picture(ax, 0.7, "step $k$", "norm of each part of a step") as ax:
        ax.set_yscale("log")
        for i, (name, v) in enumerate(series.items()):
            look = {**series_style(i).line, "lw": 1.4 if i < 2 else 0.9}
            ax.plot(k, np.linalg.norm(v, axis=1), label=name, **look)
    return ax
