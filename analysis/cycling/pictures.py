"""How cycles are drawn: the region in the plane of step and momentum, the function with its polygon, the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from odescent._errors import OdescentError
from odescent.analysis import style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from odescent.analysis.certificates.cycle import Cycle

    from .balance import Ledger
    from .region import CycleRegion

_SHADES = ("#08306B", "#2171B5", "#6BAED6", "#BDD7E7")  # periods 3, 4, 5 and longer
_TWO = "#525252"
_UNKNOWN = "#F3F3F3"
_CERTIFIED = "#FBE3B4"


def draw_region(region: CycleRegion, ax: Axes | None = None) -> Axes:
    """The shortest period at each step and momentum, what is certified, the edge on quadratics, Polyak's tuning."""
    from matplotlib.colors import ListedColormap
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    with style.context():
        own = ax is None
        ax = style.axes_or_new(ax, height_ratio=0.85)
        unit = region.L
        box = (0.0, 4.0, 0.0, 1.0)
        shown = np.where(region.period == 0, 0, np.clip(region.period - 1, 1, 5))
        colors = ListedColormap([_UNKNOWN, _TWO, *_SHADES])
        image: Any = {
            "origin": "lower",
            "extent": box,
            "aspect": "auto",
            "interpolation": "nearest",
        }
        ax.imshow(shown, cmap=colors, vmin=0, vmax=5, zorder=0, **image)
        if region.certified.size:
            mask = np.ma.masked_where(~region.certified, np.ones(region.certified.shape))
            mask = np.ma.masked_where(_coarse(region), mask)
            ax.imshow(mask, cmap=ListedColormap([_CERTIFIED]), zorder=1, **image)
        ax.contour(
            region.alpha * unit,
            region.beta,
            region.stability,
            [0.0],
            colors="#D55E00",
            linewidths=1.0,
            zorder=3,
        )
        q = np.linspace(0, 1, 200)
        ax.plot(4 / (1 + q) ** 2, ((1 - q) / (1 + q)) ** 2, color="k", ls=(0, (5, 1.5)), zorder=4)
        ratio = (region.mu / region.L) ** 0.5
        here = (4 / (1 + ratio) ** 2, ((1 - ratio) / (1 + ratio)) ** 2)
        ax.plot(*here, "o", color="k", mec="white", mew=0.6, ms=5, zorder=5)
        ax.set_xlim(0, 4)
        ax.set_ylim(0, 1)
        ax.set_xlabel(r"step $\alpha L$")
        ax.set_ylabel(r"momentum $\beta$")
        found = {int(v) for v in np.unique(shown)} - {0}
        names = {1: "period 2", 2: "period 3", 3: "period 4", 4: "period 5", 5: "longer"}
        handles: list[Artist] = [
            Patch(facecolor=c, label=names[i], edgecolor="0.4", lw=0.4)
            for i, c in enumerate((_TWO, *_SHADES), 1)
            if i in found
        ]
        if region.certified.size:
            handles.append(Patch(facecolor=_CERTIFIED, label="certified", edgecolor="0.4", lw=0.4))
        handles.append(
            Patch(facecolor=_UNKNOWN, label="neither, or not resolved", edgecolor="0.4", lw=0.4)
        )
        handles.append(
            Line2D([], [], color="#D55E00", lw=1.0, label="edge of convergence on quadratics")
        )
        handles.append(
            Line2D(
                [],
                [],
                color="k",
                ls=(0, (5, 1.5)),
                marker="o",
                ms=4,
                label=r"Polyak's tuning ($\gamma = 0$)",
            )
        )
        style.legend_below(ax, handles, grow=own)
    return ax


def _coarse(region: CycleRegion) -> Any:
    """Cells of the coarse grid in which the fine one has a cycle: not drawn as certified."""
    rows = np.minimum(
        (region.beta * len(region.certified_beta)).astype(int), len(region.certified_beta) - 1
    )
    columns = (region.alpha * region.L / 4 * len(region.certified_alpha)).astype(int)
    columns = np.minimum(columns, len(region.certified_alpha) - 1)
    found = np.zeros(region.certified.shape, bool)
    np.logical_or.at(found, np.ix_(rows, columns), region.period > 0)
    return found


def draw_cycle(cycle: Cycle, ax: Axes | None = None, steps: int = 60) -> Axes:
    """Level sets of the function, the polygon, the cycle, and two runs that start beside it."""
    import jax
    from matplotlib.patches import FancyArrowPatch, Polygon

    from odescent.dynamics.problems.smoothed_support import hull

    with style.context():
        own = ax is None
        ax = style.axes_or_new(ax, height_ratio=1.0)
        axis = np.linspace(-1.45, 1.45, 161)
        grid = np.stack(np.meshgrid(axis, axis), axis=-1)
        with jax.enable_x64(True):
            values = np.asarray(jax.vmap(jax.vmap(cycle.objective.value))(grid))
        top = float(values.max())
        ax.contour(
            axis,
            axis,
            values,
            top * np.linspace(0.03, 1, 14) ** 1.5,
            colors="0.72",
            linewidths=0.6,
            zorder=1,
        )
        corners = hull(cycle.vertices)
        ax.add_patch(
            Polygon(
                corners,
                closed=True,
                facecolor="#BDD7E7",
                edgecolor="#0072B2",
                lw=1.0,
                zorder=2,
                label="polygon $P$",
            )
        )
        for factor, color, mark in ((1.06, "#009E73", "o"), (0.85, "#E69F00", "^")):
            path = cycle.follow(steps, factor * cycle.states[0])
            caught = np.min(np.linalg.norm(cycle.points - path[-1], axis=1)) < 0.05
            ax.plot(
                *path.T,
                mark,
                ms=2.2,
                color=color,
                zorder=3,
                label="caught" if caught else "not caught",
            )
        for a, b in zip(cycle.points, np.roll(cycle.points, -1, axis=0), strict=True):
            ax.add_patch(
                FancyArrowPatch(
                    tuple(a),
                    tuple(b),
                    arrowstyle="-|>",
                    mutation_scale=8,
                    shrinkA=4,
                    shrinkB=4,
                    lw=0.9,
                    color="#D55E00",
                    zorder=4,
                    connectionstyle="arc3,rad=0.08",
                )
            )
        ax.plot(
            *cycle.points.T,
            "s",
            ms=4.5,
            color="#D55E00",
            mec="white",
            mew=0.5,
            zorder=5,
            label="cycle",
        )
        ax.plot(0, 0, "*", ms=7, color="k", zorder=5, label="minimizer")
        ax.set_aspect("equal")
        ax.set_xlim(-1.45, 1.45)
        ax.set_ylim(-1.45, 1.45)
        ax.set_xlabel("$x_1$")
        ax.set_ylabel("$x_2$")
        handles, _ = ax.get_legend_handles_labels()
        style.legend_below(ax, handles, grow=own)
    return ax


def draw_ledger(
    ledger: Ledger, ax: Axes | None = None, title: str = "", legend: bool = True
) -> Axes:
    """Dissipation and injection of each step as pairs of bars, and their sums."""
    with style.context():
        own = ax is None
        ax = style.axes_or_new(ax, height_ratio=0.75)
        parts = {
            "damping": np.asarray(ledger.damping, float),
            "kick": np.asarray(ledger.kick, float),
            "feed-through": np.asarray(ledger.feedthrough, float),
        }
        injected = np.asarray(ledger.injection, float)
        n = len(injected)
        at = np.arange(n + 1.0)
        bar: Any = {"width": 0.36, "edgecolor": "white", "lw": 0.3}
        below = np.zeros(n + 1)
        for (name, part), color in zip(
            parts.items(), ("#0072B2", "#56B4E9", "#009E73"), strict=True
        ):
            if not part.any():
                continue
            heights = np.append(part, part.sum())
            ax.bar(at - 0.2, heights, bottom=below, color=color, label=f"dissipated: {name}", **bar)
            below = below + heights
        heights = np.append(injected, injected.sum())
        ax.bar(at + 0.2, heights, color="#D55E00", label="injected", hatch="////", **bar)
        ax.set_xticks(at, [*(str(t + 1) for t in range(n)), "sum"])
        ax.set_xlabel("step")
        ax.set_title(title)
        ax.axvline(n - 0.5, color="0.6", lw=0.6)
        ax.set_ylabel("energy")
        handles, _ = ax.get_legend_handles_labels()
        if legend:
            style.legend_below(ax, handles, grow=own)
    return ax


def draw_iterates(
    runs: Mapping[str, Float[np.ndarray, " _"]], ax: Axes | None = None, levels: Any = ()
) -> Axes:
    """Iterates of one variable against their number, with thin lines at given levels.

    Raises OdescentError for no run.
    """
    if not runs:
        raise OdescentError("a picture of iterates needs at least one run.")
    with style.context():
        own = ax is None
        ax = style.axes_or_new(ax, height_ratio=0.7)
        for level in levels:
            ax.axhline(level, color="0.8", lw=0.6, zorder=0)
        handles: list[Artist] = []
        for i, (name, values) in enumerate(runs.items()):
            look = style.series_style(i)
            (line,) = ax.plot(
                np.arange(len(values)),
                values,
                color=look.color,
                ls=look.dash,
                marker=look.marker,
                ms=3.0,
                mec="white",
                mew=0.3,
                lw=0.9,
                label=name,
                zorder=3 - 0.1 * i,
            )
            handles.append(line)
        ax.set_xlabel("iteration $k$")
        ax.set_ylabel("$x_k$")
        style.legend_below(ax, handles, grow=own)
    return ax
