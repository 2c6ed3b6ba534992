"""Pictures of an `EffectiveGradient`, whose data are defined in `theory.effective`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..._support import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..theory.effective import EffectiveGradient

NAMES = {
    "relaxation": "mean off the last point",
    "shape": "shape of the cloud",
    "curvature": "curvature of f",
}


def draw(data: EffectiveGradient, ax: Axes | None) -> Axes:
    """The length of each step's gradient part, of the residual, and of the three parts of that."""
    moved = data.consensus[1:] - data.consensus[:-1] - data.residual
    series = {"gradient step": moved, "all else": data.residual}
    series |= {NAMES[n]: v for n, v in data.parts.items()}
    k = np.arange(1, len(moved) + 1)
    with style.picture(ax, 0.7, "step", "length") as ax:
        ax.set_yscale("log")
        for i, (name, v) in enumerate(series.items()):
            look = {**style.series_style(i).line, "lw": 1.4 if i < 2 else 0.9}
            ax.plot(k, np.linalg.norm(v, axis=1), label=name, **look)
    return ax
