"""How an `EffectiveGradient` is drawn; the data and their meaning stand in `effective`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from odescent.analysis import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .effective import EffectiveGradient

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
    with style.context():
        own = ax is None
        ax = style.axes_or_new(ax, height_ratio=0.7)
        ax.set_yscale("log")
        ax.set_xlabel("step")
        ax.set_ylabel("length")
        handles = []
        for i, (name, v) in enumerate(series.items()):
            (line,) = ax.plot(
                k, np.linalg.norm(v, axis=1), label=name, color=style.COLORS[i],
                linestyle=style.DASHES[i], linewidth=1.4 if i < 2 else 0.9,
            )  # fmt: skip
            handles.append(line)
        style.legend_below(ax, handles, grow=own)
    return ax
