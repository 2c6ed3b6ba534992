"""Pictures of basins along a parameter: shares on top of each other, with the places where attractors end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..._support.style import picture
from .basins import _LEFT, _TINTS, _UNRESOLVED, _label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..tipping.shares import BasinShares


def draw_shares(shares: BasinShares, ax: Axes | None = None) -> Axes:
    """Draw the shares as areas against the parameter; dotted lines are where attractors end and tip.

    Args:
        shares: the shares.
        ax: the axes to draw into; None makes a figure.
    """
    columns = {n: (shares.labels == i).mean(1) for n, i in shares.columns.items()}
    large = sorted(columns, key=lambda n: -float(columns[n].mean()))
    free = [n for n in columns if n not in _LEFT and n != "unresolved"]
    own = [n for n in large if n in free][: len(_TINTS) - 1]
    own = [n for n in free if n in own]  # in the order in which they were found
    rest = [n for n in free if n not in own]
    bottom = np.zeros(len(shares.values))
    order = np.argsort(shares.values)
    x = shares.values[order]
    with picture(ax, 0.6, _label(shares.parameter), "share of the starts") as ax:
        parts = [(n, columns[n], _TINTS[i]) for i, n in enumerate(own)]
        if rest:
            parts.append((f"{len(rest)} others", sum(columns[n] for n in rest), _TINTS[-1]))
        parts += [(n, columns[n], _LEFT[n]) for n in columns if n in _LEFT]
        if "unresolved" in columns:
            parts.append(("unresolved", columns["unresolved"], _UNRESOLVED))
        for name, share, color in parts:
            top = bottom + share
            ax.fill_between(
                x, bottom[order], top[order], facecolor=color, edgecolor="black", linewidth=0.4, label=name
            )  # fmt: skip
            bottom = top
        for i, tip in enumerate(shares.tips):
            ax.axvline(
                (tip.before + tip.after) / 2, color="black", ls=":", lw=0.9,
                label="an attractor ends" if i == 0 else "_nolegend_",
            )  # fmt: skip
        ax.set_xlim(float(x[0]), float(x[-1]))
        ax.set_ylim(0.0, 1.0)
    return ax


__all__ = ["draw_shares"]
