"""Pictures of cycles: the region in the plane of step and momentum, the function with its polygon, the ledger."""

from __future__ import annotations

import os
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from ..._support import style
from ..._support.errors import OdescentError
from ..._support.files import write_whole
from ...discretize import algorithm
from ...dynamics import objective
from ...dynamics.problems.lessard_recht_packard import GRADIENT
from ..cycling.balance import Ledger, energy_balance, known_cycle, run_ledger
from ..cycling.methods import cycles
from ..cycling.region import cycle_region

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ..certificates.lower_bounds.cycle import Cycle
    from ..cycling.region import CycleRegion

SHADES = ("#08306B", "#2171B5", "#6BAED6", "#BDD7E7")  # periods 3, 4, 5 and longer
_TWO = "#525252"
_UNKNOWN = "#F3F3F3"
CERTIFIED = "#FBE3B4"
_EDGE = "#882255"
_LOW = 0.04  # of the sums: bars below are enlarged


def draw_region(region: CycleRegion, ax: Axes | None = None) -> Axes:
    """The shortest period at each step and momentum, what is certified, the edge on quadratics, Polyak's tuning."""
    from matplotlib.colors import ListedColormap
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Artist] = []
    with style.picture(ax, 0.85, r"step $\alpha L$", r"momentum $\beta$", handles) as ax:
        shown = np.where(region.period == 0, 0, np.clip(region.period - 1, 1, 5))
        colors = (_UNKNOWN, _TWO, *SHADES)
        image: Any = {
            "origin": "lower", "extent": (0.0, 4.0, 0.0, 1.0), "aspect": "auto", "interpolation": "nearest"
        }  # fmt: skip
        ax.imshow(shown, cmap=ListedColormap(list(colors)), vmin=0, vmax=5, zorder=0, **image)
        if region.certified.size:
            mask = np.ma.masked_where(~region.certified, np.ones(region.certified.shape))
            mask = np.ma.masked_where(_coarse(region), mask)
            ax.imshow(mask, cmap=ListedColormap([CERTIFIED]), zorder=1, **image)
        edge: Any = {"colors": _EDGE, "linewidths": 1.0, "zorder": 3}
        ax.contour(region.alpha * region.L, region.beta, region.stability, [0.0], **edge)
        # Polyak's tuning for every condition number, and for that of the region
        polyak: Any = {"color": "k", "ls": (0, (5, 1.5))}
        q = np.linspace(0, 1, 200)
        ax.plot(4 / (1 + q) ** 2, ((1 - q) / (1 + q)) ** 2, zorder=4, **polyak)
        ratio = (region.mu / region.L) ** 0.5
        here = (4 / (1 + ratio) ** 2, ((1 - ratio) / (1 + ratio)) ** 2)
        ax.plot(*here, "o", color="k", mec="white", mew=0.6, ms=5, zorder=5)
        ax.set_xlim(0, 4)
        ax.set_ylim(0, 1)
        names = ("period 2", "period 3", "period 4", "period 5", "longer")
        cells = [(colors[i], names[i - 1]) for i in np.unique(shown).tolist() if i > 0]
        cells += [(CERTIFIED, "certified")] if region.certified.size else []
        cells += [(_UNKNOWN, "neither, or not resolved")]
        handles += [Patch(facecolor=c, label=name, edgecolor="0.4", lw=0.4) for c, name in cells]
        quadratics = "edge of convergence on quadratics"
        handles.append(Line2D([], [], color=_EDGE, lw=1.0, label=quadratics))
        tuned = rf"Polyak's tuning; dot: $\kappa = {region.L / region.mu:g}$"
        handles.append(
            Line2D([], [], marker="o", ms=5, mec="white", mew=0.6, label=tuned, **polyak)
        )
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


def draw_cycle(
    cycle: Cycle, ax: Axes | None = None, steps: int = 60, method: str = "heavy_ball"
) -> Axes:
    """Level sets of the function, the polygon, the cycle, and two runs that start near it.

    Args:
        cycle: a cycle in the plane.
        ax: the axes to draw into; None makes a figure.
        steps: length of the runs.
        method: whose cycle it is, for its colour.
    """
    import jax
    from matplotlib.patches import FancyArrowPatch, Polygon

    from ...dynamics.problems.smoothed_support import hull

    with style.picture(ax, 1.0, "$x_1$", "$x_2$") as ax:
        axis = np.linspace(-1.45, 1.45, 161)
        grid = np.stack(np.meshgrid(axis, axis), axis=-1)
        with jax.enable_x64(True):
            values = np.asarray(jax.vmap(jax.vmap(cycle.objective.value))(grid))
        levels = float(values.max()) * np.linspace(0.03, 1, 14) ** 1.5
        ax.contour(axis, axis, values, levels, colors="0.72", linewidths=0.6, zorder=1)
        look: Any = {
            "facecolor": style.TINTS[2],
            "edgecolor": style.TINTS[0],
            "lw": 1.0,
            "zorder": 2,
        }
        ax.add_patch(Polygon(hull(cycle.vertices), closed=True, label="polygon $P$", **look))
        own = style.looks([method])[method].color
        arrow: Any = {
            "arrowstyle": "-|>", "mutation_scale": 8, "shrinkA": 5, "shrinkB": 5, "lw": 0.9, "color": own,
            "zorder": 4, "connectionstyle": "arc3,rad=0.08",
        }  # fmt: skip
        for a, b in zip(cycle.points, np.roll(cycle.points, -1, axis=0), strict=True):
            ax.add_patch(FancyArrowPatch(tuple(a), tuple(b), **arrow))
        square: Any = {"mfc": "white", "mec": own, "mew": 1.2, "zorder": 5}
        ax.plot(*cycle.points.T, "s", ms=8, ls="none", label="cycle", **square)
        # runs over the open squares: one comes ever nearer to the cycle, the other leaves it
        for factor, color, mark in ((1.06, own, "o"), (0.85, "0.35", "^")):
            path = cycle.follow(steps, factor * cycle.states[0])
            caught = np.min(np.linalg.norm(cycle.points - path[-1], axis=1)) < 0.05
            label = "a run that is caught" if caught else "a run that is not"
            ax.plot(*path.T, mark, ms=2.4, color=color, mec="none", zorder=6, label=label)
        ax.plot(0, 0, "*", ms=7, color="k", zorder=5, label="minimizer")
        ax.set_aspect("equal")
        ax.set_xlim(-1.45, 1.45)
        ax.set_ylim(-1.45, 1.45)
    return ax


def draw_ledger(
    ledger: Ledger, ax: Axes | None = None, title: str = "", legend: bool = True
) -> Axes:
    """Dissipation and injection of each step as pairs of bars, and their sums.

    Args:
        ledger: the energy balance.
        ax: the axes to draw into; None makes a figure.
        title: of the axes.
        legend: whether to draw one.
    """
    from matplotlib.ticker import MaxNLocator

    parts = {
        "damping": ledger.damping, "kick": ledger.kick, "feed-through": ledger.feedthrough,
    }  # fmt: skip
    injected = np.asarray(ledger.injection, float)
    n = len(injected)
    heights = {name: np.asarray(part, float) for name, part in parts.items()}
    lost = np.sum(list(heights.values()), axis=0)
    with style.picture(ax, 0.75, "step", "energy", legend=legend) as ax:
        _bars(ax, np.arange(float(n)), heights, injected)
        sums = {name: part.sum(keepdims=True) for name, part in heights.items()}
        _bars(ax, np.array([float(n)]), sums, injected.sum(keepdims=True), labeled=False)
        ax.set_xticks(np.arange(n + 1), [*(str(t + 1) for t in range(n)), "sum"])
        ax.set_title(title)
        ax.axvline(n - 0.5, color="0.6", lw=0.6)
        # what is too low to be seen at the end stands once more above itself, enlarged
        tall = np.maximum(lost, injected)
        high = np.flatnonzero(tall > _LOW * max(lost.sum(), injected.sum()))
        first = int(high[-1]) + 1 if high.size else n
        for step in np.flatnonzero(tall == 0).tolist():
            ax.text(step, 0.01 * float(lost.sum()), "0", ha="center", fontsize=style.SMALL)
        if 0 < first < n and tall[first:].any():
            width = (n - first - 0.35) / (n + 1)
            inner = ax.inset_axes(((first + 0.3) / (n + 1), 0.42, width, 0.42))
            some = np.arange(float(first), float(n))
            _bars(inner, some, {k: v[first:] for k, v in heights.items()}, injected[first:], False)
            inner.set_xticks(some, [f"{t + 1:g}" for t in some])
            inner.tick_params(labelsize=style.SMALL, length=2)
            inner.yaxis.set_major_locator(MaxNLocator(3))
            inner.set_title("enlarged", fontsize=style.SMALL, pad=2)
    return ax


def _bars(
    ax: Axes, at: Float[np.ndarray, " n"], parts: Mapping[str, Float[np.ndarray, " n"]],
    injected: Float[np.ndarray, " n"], labeled: bool = True,
) -> None:  # fmt: skip
    """What is dissipated, part on part, and what is injected, side by side."""
    below = np.zeros(len(at))
    bar: Any = {"width": 0.36, "edgecolor": "white", "lw": 0.3}
    for (name, part), color in zip(parts.items(), style.TINTS, strict=True):
        if part.any():
            label = f"dissipated: {name}" if labeled else "_nolegend_"
            ax.bar(at - 0.2, part, bottom=below, color=color, label=label, **bar)
            below = below + part
    label = "injected" if labeled else "_nolegend_"
    ax.bar(at + 0.2, injected, color="0.45", label=label, hatch="////", **bar)


def draw_iterates(
    runs: Mapping[str, Float[np.ndarray, " _"]], ax: Axes | None = None, levels: Any = ()
) -> Axes:
    """Iterates of one variable against their number.

    Args:
        runs: the iterates of each method, by label.
        ax: the axes to draw into; None makes a figure.
        levels: values of x that thin lines mark.

    Raises:
        OdescentError: no run.
    """
    if not runs:
        raise OdescentError("a picture of iterates needs at least one run.")
    with style.picture(ax, 0.7, "iteration $k$", "$x_k$") as ax:
        for level in levels:
            ax.axhline(level, color="0.8", lw=0.6, zorder=0)
        for i, (name, look) in enumerate(style.looks(runs).items()):
            values = runs[name]
            order: Any = {"lw": 0.9, "label": style.titled(name), "zorder": 3 - 0.1 * i}
            ax.plot(np.arange(len(values)), values, ls=look.dash, **look.marked(3.0), **order)
    return ax


_METHODS = ("heavy_ball", "nesterov_sc", "triple_momentum")


def heavy_ball_story(out: str | os.PathLike[str], quick: bool = False) -> tuple[Path, ...]:
    """Write the heavy-ball argument: four figures, and the energy balance with its checks as HTML and text.

    1. `iterates`: heavy ball, Nesterov's method and triple momentum on the one-dimensional counterexample.
    2. `energy`: what is dissipated and injected step by step, around heavy ball's cycle and along the other methods'
       runs, where there is no cycle; in exact arithmetic, each in its own units of energy.
    3. `region`: where in the plane of step and momentum there are cycles, at kappa = 25.
    4. `cycle`: a function of two variables on which heavy ball cycles, with its level sets, at kappa = 25.

    Args:
        out: a folder, made where it is missing.
        quick: a coarse map and PNG files only; else PDF, SVG and PNG.

    Returns:
        The paths written.

    Raises:
        OdescentError: if a file cannot be written.
    """
    folder = Path(out)
    forms = ("png",) if quick else ("pdf", "svg", "png")
    points, ledger = known_cycle()
    f = objective("lessard_recht_packard")
    runs = {name: np.asarray(algorithm(name).run(f, f.x0, 30).x)[:, 0] for name in _METHODS}
    region = cycle_region(1 / 25, 1.0, resolution=120 if quick else 400, certified=16 if quick else 60)  # fmt: skip
    drawn = {
        "iterates": draw_iterates(runs, levels=[float(v) for v in points]),
        "energy": _energy(ledger),
        "region": region.plot(),
        "cycle": draw_cycle(cycles("heavy_ball", 1, 25, 3)[0]),
    }
    written: list[Path] = []
    for name, ax in drawn.items():
        figure = ax.get_figure(root=True)
        assert figure is not None  # made above
        written += style.save(figure, folder / name, forms)
    balance = energy_balance()
    for suffix, text in (("html", balance.html()), ("txt", balance.text() + "\n")):
        path = folder / f"energy_balance.{suffix}"
        write_whole(path, text)
        written.append(path)
    return tuple(written)


def _energy(ledger: Ledger) -> Axes:
    """The ledger of heavy ball's cycle beside those of the other two methods from the same start."""
    figure, axes = style.figure(style.FULL_WIDTH, 0.95, 3)
    draw_ledger(ledger, axes[0], f"{style.titled(_METHODS[0])}, around its cycle", legend=False)
    for ax, name in zip(axes[1:], _METHODS[1:], strict=True):
        _, own = run_ledger(name, GRADIENT, Fraction(33, 10), 6)
        draw_ledger(own, ax, f"{style.titled(name)}, from 3.3", legend=False)
    handles = {str(h.get_label()): h for ax in axes[1:] for h in ax.get_legend_handles_labels()[0]}
    with style.context():
        figure.legend(
            handles=list(handles.values()), loc="outside lower center", ncols=len(handles), fontsize=style.SMALL
        )  # fmt: skip
    return axes[0]
