"""Pictures of a `Portrait`, whose data are defined in `portraits.portrait`."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from ..._support import style
from ..._support.numbers import check_whole
from ..portraits.animation import mark, single
from .noise import shade

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from ..portraits.field import Curve
    from ..portraits.portrait import Portrait

_LINES = "0.70"  # background lines, light grey
_NULLCLINES: tuple[tuple[str, style.Dash], ...] = (
    ("#8A8D2B", (0, (5, 1.6))),
    ("#A65E2E", (0, (5, 1.2, 1, 1.2))),
)
_SEPARATRIX: dict[bool, style.Dash] = {True: "-", False: (0, (1, 1))}
_SHADES = ("#F6C667", "#D98E04", "#A05A00", "#4A2A00")
_WIDTHS = (3.4, 2.5, 1.6, 0.7)
_SHAPES = {
    "node": "o",
    "degenerate node": "p",
    "star": "*",
    "focus": "h",
    "saddle": "X",
    "centre (linear)": "o",
    "non-hyperbolic": "D",
}
_MANIFOLD = "#5D3A9B"
_CYCLE = "#0B4552"  # dark beside the flow, over which it lies
_LEVELS = "0.45"


def draw(portrait: Portrait, ax: Axes | None, legend: bool, numbered: int) -> Axes:
    """Draw all layers, back to front; see `Portrait.plot`.

    Args:
        portrait: the data.
        ax: the axes to draw into; None makes a figure.
        legend: whether to draw one.
        numbered: how many iterates get their number.
    """
    numbered = check_whole("numbered", numbered, 0)
    handles: list[Artist] = []
    with style.picture(ax, 0.85, *portrait.labels, handles, legend) as ax:
        (x0, x1), (y0, y1) = portrait.window
        ax.set_xlim(x0, x1)
        ax.set_ylim(y0, y1)
        noise = _noise(portrait, ax)
        _background(portrait, ax)
        levels = _levels(portrait, ax)
        skeleton = _skeleton(portrait, ax)
        handles += _overlays(portrait, ax) + _cycles(portrait, ax) + skeleton + levels
        handles += _fixed_points(portrait, ax) + noise
    with style.context():
        _numbers(portrait, ax, numbered)
    return ax


def _background(portrait: Portrait, ax: Axes) -> None:
    for line in portrait.flow_lines:
        ax.plot(*line.points.T, color=_LINES, lw=0.5, zorder=1)
        _arrow(ax, portrait, line.points, _LINES, 5.0, 1.0)


def _noise(portrait: Portrait, ax: Axes) -> list[Artist]:
    """The density as areas under everything, and sample paths."""
    handles = [] if portrait.density is None else shade(portrait.density, ax)
    if portrait.paths is not None:
        look: Any = {"color": style.CENTER, "lw": 0.45, "alpha": 0.75, "zorder": 3.2}
        handles += [ax.plot(*z.T, label="sample paths", **look)[0] for z in portrait.paths][:1]
    return handles


def _arrow(ax: Axes, portrait: Portrait, z: Curve, color: str, size: float, zorder: float) -> None:
    """An arrowhead in the middle of a line, along its order; none on a short one."""
    from matplotlib.patches import FancyArrowPatch

    sides = np.array(portrait.window)
    u = (z - sides[:, 0]) / (sides[:, 1] - sides[:, 0])
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(u, axis=0), axis=1))])
    if arc[-1] < 0.1:
        return
    tip = int(np.searchsorted(arc, 0.5 * min(arc[-1], 1.2)))
    tail = max(int(np.searchsorted(arc, arc[tip] - 0.01)) - 1, 0)
    look: Any = {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0, "lw": 0.5}
    ends = [(float(u), float(v)) for u, v in z[[tail, tip]]]
    ax.add_patch(FancyArrowPatch(*ends, mutation_scale=size, color=color, zorder=zorder, **look))


def _skeleton(portrait: Portrait, ax: Axes) -> list[Artist]:
    """Nullclines and separatrices; returns one legend handle per kind."""
    handles: list[Artist] = []
    families = (portrait.nullclines.first, portrait.nullclines.second)
    for family, (color, dash), label in zip(
        families, _NULLCLINES, portrait.nullcline_labels, strict=True
    ):
        drawn = [
            ax.plot(*z.T, color=color, ls=dash, lw=1.0, zorder=2, label=label)[0] for z in family
        ]
        handles += drawn[:1]
    for stable, label in ((True, "stable manifold"), (False, "unstable manifold")):
        branches = [s.points for s in portrait.separatrices if s.stable is stable]
        for z in branches:
            (line,) = ax.plot(
                *z.T, color=_MANIFOLD, ls=_SEPARATRIX[stable], lw=0.9, zorder=3, label=label
            )
            _arrow(ax, portrait, z[::-1] if stable else z, _MANIFOLD, 7.0, 3.0)
        if branches:
            handles.append(line)
    return handles


def _levels(portrait: Portrait, ax: Axes) -> list[Artist]:
    """Level sets of a function as thin lines, lighter for higher values."""
    sets = portrait.level_sets
    if sets is None:
        return []
    look: Any = {"color": _LEVELS, "lw": 0.7, "ls": (0, (2, 1)), "zorder": 1.5}
    label = f"{sets.name} constant"
    drawn = [ax.plot(*z.T, **look, label=label)[0] for pieces in sets.curves for z in pieces]
    return [*drawn[:1]]


def _cycles(portrait: Portrait, ax: Axes) -> list[Artist]:
    """Limit cycles: over the flow, full where stable and dashed where not."""
    handles: dict[str, Artist] = {}
    for cycle in portrait.limit_cycles:
        label = f"{'stable' if cycle.stable else 'unstable'} limit cycle{portrait.of}"
        (line,) = ax.plot(
            *cycle.points.T, color=_CYCLE, ls="-" if cycle.stable else (0, (4, 1.5)), lw=1.1, zorder=4.3, label=label
        )  # fmt: skip
        _arrow(ax, portrait, cycle.points, _CYCLE, 8.0, 4.3)
        handles.setdefault(label, line)
    return list(handles.values())


def _looks(portrait: Portrait) -> dict[str, style.SeriesStyle]:
    """The look of each sequence; those of methods and of the flow are the same in all pictures."""
    return style.looks([*portrait.flows, *portrait.iterates])


def _overlays(portrait: Portrait, ax: Axes) -> list[Artist]:
    """Curves, reference flows, iterates; a colour of their own for each name."""
    handles: list[Artist] = []
    looks = _looks(portrait)
    outside = portrait.outside
    for name, paths in portrait.iterates.items():
        label = style.titled(name) + (f" ({outside[name]} outside)" if outside[name] else "")
        look: Any = {"lw": 0.7, "zorder": 5, "label": label, **looks[name].marked(3.6)}
        handles += [ax.plot(*z.T, gid=mark(name, i), **look)[0] for i, z in single(paths)][:1]
    for name, paths in portrait.flows.items():
        look = {"color": looks[name].color, "lw": 1.5, "zorder": 4, "label": name}
        handles += [ax.plot(*z.T, gid=mark(name, i), **look)[0] for i, z in single(paths)][:1]
    for i, (name, z) in enumerate(portrait.curves.items()):
        # from wide and light to narrow and dark: orders that agree are seen on top of one another
        wide = _WIDTHS[min(i, 3)]
        handles += ax.plot(*z.T, color=_SHADES[min(i, 3)], lw=wide, zorder=3.5, label=name)
    return handles


def _fixed_points(portrait: Portrait, ax: Axes) -> list[Artist]:
    """Black markers: filled is stable, hollow unstable, grey in between."""
    handles: dict[str, Line2D] = {}
    for point in portrait.fixed_points:
        shape = _SHAPES[point.kind.removeprefix("un").removeprefix("stable ")]
        if point.kind.startswith("stable"):
            fill = "black"
        else:
            fill = "white" if point.kind.startswith("unstable") or shape == "X" else "0.6"
        look: Any = {
            "marker": shape,
            "ms": 8.0 if shape in "*X" else 6.0,
            "mfc": fill,
            "mec": "black",
        }
        more: Any = {"mew": 0.9, "zorder": 6, "clip_on": False, "label": point.kind + portrait.of}
        handles.setdefault(point.kind, ax.plot(*point.point, ls="none", **look, **more)[0])
    return list(handles.values())


def _numbers(portrait: Portrait, ax: Axes, numbered: int) -> None:
    """Number the first iterates where there is room beside them.

    Of twelve places around a point the one furthest from all drawn paths and other numbers is
    taken; a number that would touch a path, another number or the frame is left out.
    """
    root = ax.get_figure(root=True)
    if root is None or not portrait.iterates or numbered < 1:
        return
    root.draw_without_rendering()  # settle the layout: places are measured in points
    points = 72.0 / root.dpi
    frame = ax.get_window_extent()
    low, high = np.array([frame.x0, frame.y0]) * points, np.array([frame.x1, frame.y1]) * points
    every = [*portrait.iterates.values(), *portrait.flows.values()]
    shown = [z[np.isfinite(z).all(1)] for paths in every for _, z in single(paths)]
    shown += [p.point[None] for p in portrait.fixed_points]
    busy = np.concatenate([_dense(ax.transData.transform(z) * points) for z in shown])
    angles = np.arange(12) * np.pi / 6
    around = np.stack([np.cos(angles), np.sin(angles)], 1)
    seen: list[tuple[float, float]] = []
    looks = _looks(portrait)
    for name, z in [(n, z) for n, paths in portrait.iterates.items() for _, z in single(paths)]:
        color = looks[name].color
        for k, state in enumerate(z[:numbered]):
            at = ax.transData.transform(state) * points
            if not np.isfinite(at).all() or ((at < low) | (at > high)).any():
                continue
            if any(np.hypot(*(at - np.array(other))) < 1.0 for other in seen):
                continue
            places = at + 8.0 * around
            room = np.linalg.norm(places[:, None] - busy[None], axis=2).min(1)
            room[((places < low + 5) | (places > high - 5)).any(1)] = 0.0
            best = int(np.argmax(np.round(room, 3)))
            if room[best] < 4.5:
                continue
            seen.append((float(at[0]), float(at[1])))
            busy = np.concatenate([busy, places[best][None]])
            offset = tuple((places[best] - at).tolist())
            where = (float(state[0]), float(state[1]))
            style.note(
                ax, str(k), where, offset, color, ha="center", zorder=7, annotation_clip=False
            )


def _dense(z: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "m 2"]:
    """Points along a path in points of length, no two further apart than about three."""
    if len(z) < 2:
        return z
    pieces = [z[-1:]]
    for a, b in pairwise(z):
        n = int(min(np.hypot(*(b - a)) // 3 + 1, 400))
        pieces.append(a + np.arange(n)[:, None] / n * (b - a))
    return np.concatenate(pieces)
