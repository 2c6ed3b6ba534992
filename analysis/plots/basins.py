"""Pictures of basins and of bifurcations, drawn from their data alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..._support.errors import OdescentError
from ..._support.style import MARKERS, TINTS, picture, series_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..attraction.basin_map import Basins
    from ..branches.bifurcation_diagram import Bifurcation

_NAMED = 3  # attractors that the legend names one by one
_UNRESOLVED = "#FFFFFF"
_LEFT = {"diverges": "#4D4D4D", "undefined": "#999999"}
# Light enough to lay marks on, of different lightness in grey; more than these are drawn as "others".
_TINTS = ("#A6CEE3", "#D95F02", "#F7F0A0", "#31688E", "#C994C7", "#5AAE61", "#FDD0A2", "#E6E6F5")


def draw_basins(basins: Basins, ax: Axes | None = None) -> Axes:
    """Draw a map over one or two axes, or random starts; the attractors are marked where they can be.

    Unresolved points are white; divergence is dark grey. The eight largest basins have
    colours of their own, the others share one.
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    names = list(basins.axes)
    if len(names) > 2:
        raise OdescentError(
            f"a picture has one or two axes; this map has {len(names)}: {', '.join(names)}."
        )
    colours, shown = _colours(basins)
    index = np.where(basins.labels < 0, len(colours), basins.labels)
    palette, plane = [*colours, _UNRESOLVED], len(names) == 2
    named = [(colours[i], text) for i, text in shown]
    if basins.unresolved > 0:
        named.append((_UNRESOLVED, f"unresolved ({100 * basins.unresolved:.2g} %)"))
    edge: Any = {"edgecolor": "black", "linewidth": 0.5}
    handles = [Patch(facecolor=colour, label=text, **edge) for colour, text in named]
    x = basins.axes[names[0]]
    with picture(ax, 0.8 if plane else 0.3, _label(names[0]), handles=handles) as ax:
        if basins.sampled:
            y = basins.axes[names[1]] if plane else np.zeros(len(x))
            ax.scatter(x, y, c=[palette[i] for i in index], s=3, linewidths=0)
        else:
            y = basins.axes[names[1]] if plane else np.array([0.0, 1.0])
            ax.pcolormesh(
                _edges(x), _edges(y) if plane else y, index.T if plane else index[None],
                cmap=ListedColormap(palette), vmin=-0.5, vmax=len(palette) - 0.5, rasterized=True,
            )  # fmt: skip
        ax.set_xlim(float(x.min()), float(x.max()))
        if plane:
            ax.set_ylabel(_label(names[1]))
            ax.set_ylim(float(y.min()), float(y.max()))
        else:
            ax.set_yticks([])
        handles += _mark(basins, ax, names)
    return ax


def _colours(basins: Basins) -> tuple[list[str], list[tuple[int, str]]]:
    """The colour of every attractor, and which ones the legend names."""
    ordinary = [i for i, a in enumerate(basins.attractors) if a.kind not in _LEFT]
    large = sorted(ordinary, key=lambda i: (-basins.fractions[i].count, i))
    own = sorted(large[: len(_TINTS)] if len(large) <= len(_TINTS) else large[: len(_TINTS) - 1])
    colours, shown = [], []
    rest: list[tuple[int, str]] = []
    for i, a in enumerate(basins.attractors):
        if a.kind in _LEFT:
            colours.append(_LEFT[a.kind])
            shown.append((i, a.label))
        elif i in own:
            colours.append(_TINTS[own.index(i)])
            shown.append((i, a.label))
        else:
            colours.append(_TINTS[-1])
            rest = [(i, f"{len(large) - len(own)} others")]
    return colours, [*shown, *rest]


def _mark(basins: Basins, ax: Axes, names: list[str]) -> list[Any]:
    """Attractors in the plane of two coordinates of the output or of blocks; returns what the legend names."""
    found: dict[str, Any] = {}
    if len(names) != 2:
        return []
    several = len(basins.attractors) > _NAMED
    for i, a in enumerate(basins.attractors):
        columns = [_column(a.points, a.states, n) for n in names]
        if any(c is None for c in columns):
            continue
        x, y = columns
        assert x is not None and y is not None
        ends = [(basins.axes[n].min(), basins.axes[n].max()) for n in names]
        if not any(_inside(x, ends[0]) & _inside(y, ends[1])):
            continue
        label = f"attractor: {a.kind if several else a.label}"
        if a.kind == "limit cycle":
            (line,) = ax.plot(np.append(x, x[0]), np.append(y, y[0]), color="black", lw=1.0)
        elif a.exponent is not None:  # many points, which together show the shape
            line = ax.plot(x, y, ls="none", marker=".", ms=1.2, mew=0, color="black")[0]
            line.set_rasterized(True)
        else:
            look: Any = {"ms": 4.5, "mfc": "black", "mec": "white", "mew": 0.6}
            shape = MARKERS[0] if several else MARKERS[i % len(MARKERS)]
            (line,) = ax.plot(x, y, ls="none", marker=shape, **look)
        line.set_label(label)
        found.setdefault(label, line)
    return list(found.values())


def _inside(values: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    found: np.ndarray = (values >= ends[0]) & (values <= ends[1])
    return found


def _column(points: np.ndarray, states: dict[str, np.ndarray], name: str) -> np.ndarray | None:
    stem, _, rest = name.partition("[")
    source = points if stem == "x0" else states.get(stem)
    if source is None or not source.size:
        return None
    flat = source.reshape(len(source), -1)
    column: np.ndarray = flat[:, int(rest.rstrip("]")) if rest else 0]
    return column


def _edges(values: np.ndarray) -> np.ndarray:
    """Cell edges around increasing centres."""
    if len(values) == 1:
        return np.array([values[0] - 0.5, values[0] + 0.5])
    middle = (values[1:] + values[:-1]) / 2
    return np.concatenate([[values[0]], middle, [values[-1]]])


def _label(name: str) -> str:
    """Mathtext for a name: x0[1] becomes x with the indices 0 and 1."""
    from ...dynamics.notation.show import symbol_latex

    stem, _, rest = name.partition("[")
    shown = "x_{0" if stem == "x0" else symbol_latex(stem)
    if stem == "x0":
        return f"${shown}{',' + rest.rstrip(']') if rest else ''}}}$"
    return f"${shown}_{{{rest.rstrip(']')}}}$" if rest else f"${shown}$"


def draw_bifurcation(b: Bifurcation, ax: Axes | None = None, component: int = 0) -> Axes:
    """Draw the attractors' points against the parameter; dotted lines mark changes of stability.

    Args:
        b: the bifurcation diagram.
        ax: the axes to draw into; None makes a figure.
        component: of the output, in row-major order.

    Raises:
        OdescentError: no such component.
    """
    flat = b.points.reshape(len(b.points), -1)
    if len(flat) and not 0 <= component < flat.shape[1]:
        raise OdescentError(
            f"the output has {flat.shape[1]} components; component {component} does not exist."
        )
    ylabel = "$x$" if flat.shape[1:] == (1,) else f"$x_{{{component}}}$"
    with picture(ax, 0.75, _label(b.parameter), ylabel) as ax:
        for settled, colour, size, label in (
            (False, "#8C8C8C", 0.15, "not settled"),
            (True, TINTS[0], 1.2, "attractor"),
        ):
            these = b.settled == settled
            if these.any():
                ax.plot(
                    b.at[these], flat[these, component], ls="none", marker=".", ms=size * 1.6, mew=0, color=colour,
                    label=label, rasterized=len(flat) > 5000,
                )  # fmt: skip
        for kind in dict.fromkeys(c.kind for c in b.changes):
            style = series_style(1 + sorted({c.kind for c in b.changes}).index(kind))
            for i, value in enumerate(c.value for c in b.changes if c.kind == kind):
                label = kind if i == 0 else "_nolegend_"
                ax.axvline(value, **style.line, lw=0.7, zorder=0, label=label)
    legend = ax.get_legend()
    for h in [] if legend is None else legend.legend_handles:
        if h is not None and hasattr(h, "set_markersize"):
            h.set_markersize(6)
    return ax
