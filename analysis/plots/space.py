"""Pictures in three dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..._support.errors import OdescentError
from ..._support.style import COLUMN_WIDTH, SMALL, context, series_style
from .basins import _label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..portraits.space import SpacePortrait

SHOWN = 8  # orbits with colours of their own


def draw_space(portrait: SpacePortrait, ax: Axes | None = None) -> Axes:
    """Draw orbits in space, and equilibria: filled where they are stable, hollow where not.

    Args:
        portrait: the data.
        ax: axes with ``projection="3d"``; None makes a figure.

    Raises:
        OdescentError: axes of a plane.
    """
    from ..._support.pictures import NotebookFigure

    with context():
        if ax is None:
            fig = NotebookFigure(figsize=(COLUMN_WIDTH, COLUMN_WIDTH), layout="constrained")
            fig.style = context
            made: Any = fig.add_subplot(projection="3d")
            made.set_box_aspect(None, zoom=0.82)  # room for the label of the third axis
            made._repr_png_ = fig._repr_png_  # a notebook shows the figure
        else:
            made = ax
        if not hasattr(made, "set_zlabel"):
            raise OdescentError('a portrait in space needs axes with projection="3d".')
        for i, orbit in enumerate(portrait.orbits):
            look = series_style(i % SHOWN)
            if portrait.flow:
                made.plot(*orbit.T, color=look.color, lw=0.6)
            else:
                made.plot(*orbit.T, color=look.color, ls="none", marker=".", ms=1.5, mew=0)
        for kind in dict.fromkeys(e.kind for e in portrait.equilibria):
            own = [e for e in portrait.equilibria if e.kind == kind]
            at = np.array([e.point for e in own])
            filled = "black" if own[0].unstable == 0 else "white"
            shape = "X" if kind == "saddle" else "o"
            made.plot(
                *at.T, ls="none", marker=shape, ms=5, mfc=filled, mec="black", mew=0.8, label=kind
            )
        made.set_xlabel(_label(portrait.labels[0]))
        made.set_ylabel(_label(portrait.labels[1]))
        made.set_zlabel(_label(portrait.labels[2]))
        made.tick_params(labelsize=SMALL - 1, pad=0)
        for axis in (made.xaxis, made.yaxis, made.zaxis):
            axis.pane.fill = False
            axis._axinfo["grid"].update({"linewidth": 0.3, "color": "0.85"})
        if portrait.equilibria:
            made.legend(loc="upper left", fontsize=SMALL, frameon=False)
        shown: Axes = made
    return shown


__all__ = ["draw_space"]
