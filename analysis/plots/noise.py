"""Pictures of systems with noise: paths of least action, densities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..._support.style import CENTER, picture, series_style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ..noise.action import MinimumAction
    from ..noise.density import PhaseDensity

_ARROWS = "0.70"
_SHARES = (0.5, 0.9, 0.99)  # of the probability inside of the level lines
_TINTS = ("#F1ECF7", "#DCD3EC", "#B9A6DA")  # outside to inside, light below lines of other colors


def draw_path(found: MinimumAction, ax: Axes | None = None) -> Axes:
    """Draw a planar path over the arrows of the drift; of other states the action along the path.

    Args:
        found: the path.
        ax: the axes to draw into; None makes a figure.
    """
    line: Any = {"color": CENTER, "lw": 1.6, "zorder": 4, "label": "path of least action"}
    if found.path.shape[1] != 2:
        one = found.path.shape[1] == 1
        steps = np.linalg.norm(np.diff(found.path, axis=0), axis=1)
        along = found.path[:, 0] if one else np.concatenate([[0.0], np.cumsum(steps)])
        with picture(ax, 0.75, found.labels[0] if one else "length along the path", "action") as ax:
            ax.plot(along, found.actions, **line | {"label": "action along the path"})
        return ax
    with picture(ax, 0.85, found.labels[0], found.labels[1]) as ax:
        if found.drift is not None:
            z, b = found.drift[:, 0], found.drift[:, 1]
            spacing = np.ptp(z, axis=0) / (np.sqrt(len(z)) - 1)
            size = np.linalg.norm(b / spacing, axis=1, keepdims=True)
            with np.errstate(invalid="ignore", divide="ignore"):  # equal arrows: of slow drifts too
                b = 0.6 * np.where(np.isfinite(size) & (size > 0), b / size, 0.0)
            ax.quiver(
                *z.T, *b.T, color=_ARROWS, angles="xy", scale_units="xy", scale=1.0, width=0.004, zorder=1
            )  # fmt: skip
            ax.set_xlim(float(z[:, 0].min()), float(z[:, 0].max()))
            ax.set_ylim(float(z[:, 1].min()), float(z[:, 1].max()))
        ax.plot(*found.path.T, **line)
        ends: Any = {"ls": "none", "mec": "black", "ms": 6.0, "zorder": 5}
        ax.plot(*found.path[0], marker="o", mfc="black", label="start", **ends)
        ax.plot(*found.path[-1], marker="X", mfc="white", label="end", **ends)
    return ax


def draw_density(found: PhaseDensity, ax: Axes | None = None, at: int = -1) -> Axes:
    """Draw densities of one entry as lines, that of two as areas that hold 50, 90 and 99 % of the probability.

    Args:
        found: the densities.
        ax: the axes to draw into; None makes a figure.
        at: number of the time, for two entries.
    """
    if len(found.edges) == 1:
        with picture(ax, 0.75, found.labels[0], "density") as ax:
            for i, (t, p) in enumerate(zip(found.times, found.values, strict=True)):
                when = "long run" if np.isinf(t) else f"$t = {t:.4g}$"
                ax.plot(found.centers[0], p, label=when, **series_style(i).line)
            ax.set_xlim(float(found.edges[0][0]), float(found.edges[0][-1]))
            ax.set_ylim(bottom=0.0)
        return ax
    handles: list[Artist] = []
    with picture(ax, 0.85, found.labels[0], found.labels[1], handles) as ax:
        handles += shade(found, ax, at)
        ax.set_xlim(float(found.edges[0][0]), float(found.edges[0][-1]))
        ax.set_ylim(float(found.edges[1][0]), float(found.edges[1][-1]))
    return ax


def shade(found: PhaseDensity, ax: Axes, at: int = -1) -> list[Artist]:
    """Shade where the density of two entries is highest; returns a legend handle for each share of the probability.

    Args:
        found: the densities.
        ax: the axes.
        at: number of the time.
    """
    from matplotlib.patches import Patch

    p = found.values[at]
    sorted_ = np.sort(p.ravel())[::-1]
    held = np.cumsum(sorted_) / sorted_.sum()
    levels = [float(sorted_[min(int(np.searchsorted(held, s)), p.size - 1)]) for s in _SHARES]
    when = found.when(at).removeprefix("in the ").removeprefix("at ")
    top = float(p.max()) * (1 + 1e-9)
    handles: list[Artist] = []
    edges = [*dict.fromkeys([*reversed(levels), top])]
    ax.contourf(*found.centers, p.T, levels=edges, colors=_TINTS[-len(edges) + 1 :], zorder=0.5)
    for share, tint in zip(reversed(_SHARES), _TINTS, strict=True):
        handles.append(Patch(color=tint, label=f"{share:.0%} of the mass, {when}"))
    return handles[::-1]
