"""The picture of a minimization."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .outcome import Minimum


def draw(found: Minimum, ax: Axes | None = None) -> Axes:
    """Best value less the best of all, and the particles' spread, against the step; one line a search."""
    from odescent.analysis.style import COLORS, DASHES, axes_or_new, context, legend_below

    ax = axes_or_new(ax, 0.75)
    h = found.history
    floor = float(np.nanmin(found.funs)) if np.isfinite(found.funs).any() else 0.0
    with context(), np.errstate(invalid="ignore", divide="ignore"):
        for run in range(len(found.funs)):
            gap = h.best_value[run] - floor
            faint = 1.0 if len(found.funs) == 1 else max(0.15, 1 / len(found.funs) ** 0.5)
            lines = (
                (np.where(gap > 0, gap, np.nan), "best value less the best of all"),
                (np.sqrt(h.spread[run]), "spread of the particles"),
            )
            for i, (values, label) in enumerate(lines):
                ax.plot(
                    h.k, values, color=COLORS[i], linestyle=DASHES[i], alpha=faint,
                    label=label if run == 0 else None,
                )  # fmt: skip
        ax.set(xlabel="step", yscale="log")
        legend_below(
            ax, [line for line in ax.get_lines() if not str(line.get_label()).startswith("_")]
        )
    return ax
