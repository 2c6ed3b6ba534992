"""Pictures of a `Landscape`, whose data are defined in `landscapes.landscape`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from ..._support import style
from ..._support.errors import check_choice, expected
from ..portraits.animation import mark, single

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ..landscapes.landscape import Course, Landscape

_PANELS = ("energy", "speed", "value")
_LINES = "0.62"
_CRITICAL = {
    "minimum": ("*", "black", 8.5),
    "saddle": ("X", "white", 7.0),
    "maximum": ("^", "white", 6.0),
}
_DEGENERATE = ("D", "0.6", 5.0)
_EQUAL = 4.0  # sides that differ by more are drawn with different scales
_ARROWS = 60  # at most, of memory
_SHORT = 0.02  # of the window: shorter arrows hide under their markers


def draw(
    shown: Landscape, ax: Any, legend: bool, memory: bool | None, panel: str | None
) -> Axes | tuple[Axes, ...]:
    """Draw the picture, and the panel beside it if there is one; see `Landscape.plot`.

    Args:
        shown: the data.
        ax: the axes to draw into, two of them with a panel; None makes a figure.
        legend: whether to draw one.
        memory: whether to draw arrows of memory; None for where one method has it.
        panel: what is drawn against time.
    """
    if panel is None:
        return _landscape(shown, ax, legend, memory)
    check_choice("panel", panel, _PANELS)
    from matplotlib.axes import Axes

    axes: Any = ax
    if ax is None:
        axes = style.figure(style.FULL_WIDTH, max(_ratio(shown), 0.65), 2)[1]
    elif len(found := np.ravel(axes)) != 2 or not all(isinstance(one, Axes) for one in found):
        raise expected("ax", "a pair of Axes, with panel=, or None", ax)
    _landscape(shown, axes[0], legend, memory)
    _panel(shown, axes[1], legend, panel)
    return axes  # type: ignore[no-any-return]


def _landscape(shown: Landscape, given: Axes | None, legend: bool, memory: bool | None) -> Axes:
    handles: list[Artist] = []
    with style.picture(given, _ratio(shown), *shown.labels, handles, legend) as ax:
        (x0, x1), (y0, y1) = shown.window
        ax.set_xlim(x0, x1)
        ax.set_ylim(y0, y1)
        if _equal(shown):
            # anchored below, the legend stays where the layout puts it
            ax.set_aspect("equal", adjustable="box", anchor="S")
        _level_lines(shown, ax)
        handles += _paths(shown, ax)
        if memory or (memory is None and len(shown.courses) == 1):
            handles += _memory(shown, ax)
        handles += _starts(shown, ax) + _critical(shown, ax)
    return ax


def _equal(shown: Landscape) -> bool:
    """Whether both axes have one scale, in which the gradient is across the level lines."""
    (x0, x1), (y0, y1) = shown.window
    return 1 / _EQUAL <= (x1 - x0) / (y1 - y0) <= _EQUAL


def _ratio(shown: Landscape) -> float:
    """The height of a new figure over its width, so that axes of one scale fill it."""
    if not _equal(shown):
        return 0.85
    (x0, x1), (y0, y1) = shown.window
    return float(np.clip(0.84 * (y1 - y0) / (x1 - x0) + 0.12, 0.4, 1.2))


def _level_lines(shown: Landscape, ax: Axes) -> None:
    finite = np.ma.masked_invalid(shown.values)
    if len(shown.levels) and float(finite.max()) > float(finite.min()):
        ax.contour(
            shown.x, shown.y, finite, levels=shown.levels, colors=_LINES, linewidths=0.45, zorder=1
        )


def _paths(shown: Landscape, ax: Axes) -> list[Artist]:
    """Flows below, iterates above; one handle for each name."""
    handles: list[Artist] = []
    looks = style.looks([*shown.flows, *shown.iterates])
    outside = shown.outside
    for name, paths in shown.iterates.items():
        more = f" ({outside[name]} outside)" if outside[name] else ""
        look: Any = {
            "lw": 0.8,
            "zorder": 5,
            "label": style.titled(name) + more,
            **_marks(looks[name], paths.shape[1]),
        }
        handles += [ax.plot(*z.T, gid=mark(name, i), **look)[0] for i, z in single(paths)][:1]
    for name, paths in shown.flows.items():
        owner, _, word = name.rpartition(", ")
        if owner in shown.courses and word == "flow":
            look = {
                "color": looks[owner].color,
                "lw": 1.0,
                "ls": (0, (4, 1.5)),
                "label": f"{style.titled(owner)}, flow",
            }
        else:
            look = {"color": looks[name].color, "lw": 1.5, "label": style.titled(name)}
        drawn = [ax.plot(*z.T, gid=mark(name, i), zorder=4, **look)[0] for i, z in single(paths)]
        handles += drawn[:1]
    return handles


def _marks(look: style.SeriesStyle, count: int) -> dict[str, Any]:
    """A marker at each iterate, smaller and without a rim where there are many."""
    size = float(np.clip(3.4 * (50 / count) ** 0.5, 1.3, 3.4))
    return look.marked(size) | ({} if size > 2.4 else {"mew": 0.0})


def _memory(shown: Landscape, ax: Axes) -> list[Artist]:
    """Arrows at the iterates of the first start: where the step would lead without a gradient."""
    handles: list[Artist] = []
    looks = style.looks([*shown.flows, *shown.iterates])
    inverse = np.linalg.pinv(shown.section.basis).T
    for name, course in shown.courses.items():
        if course.push is None:
            continue
        arrows = course.push[0] @ inverse
        sides = np.ptp(np.array(shown.window), axis=1)
        long = np.flatnonzero(np.linalg.norm(arrows / sides, axis=1) > _SHORT)[:_ARROWS]
        if not len(long):
            continue
        at, arrows = shown.iterates[name][0][long], arrows[long]
        look: Any = {"color": looks[name].color, "zorder": 4.5, "alpha": 0.55}
        shape: Any = {
            "angles": "xy",
            "scale_units": "xy",
            "scale": 1.0,
            "width": 0.006,
            "headwidth": 4.0,
            "headlength": 5.0,
        }
        ax.quiver(*at.T, *arrows.T, **look, **shape)
        look = {
            "color": looks[name].color,
            "alpha": 0.55,
            "marker": r"$\rightarrow$",
            "ls": "none",
            "ms": 10,
        }
        handles += ax.plot([], [], **look, label="the step without a gradient")
    return handles[:1]


def _starts(shown: Landscape, ax: Axes) -> list[Artist]:
    every = [*shown.iterates.values(), *shown.flows.values()]
    points = (
        np.unique(np.concatenate([paths[:, 0] for paths in every]), axis=0)
        if every
        else np.empty((0, 2))
    )
    look: Any = {"marker": "o", "mfc": "white", "mec": "black", "mew": 0.9, "ms": 5.0, "ls": "none"}
    return [*ax.plot(*points.T, **look, zorder=6, label="start")] if len(points) else []


def _critical(shown: Landscape, ax: Axes) -> list[Artist]:
    handles: dict[str, Artist] = {}
    for p in shown.critical_points:
        shape, fill, size = _CRITICAL.get(p.kind, _DEGENERATE)
        look: Any = {
            "marker": shape,
            "mfc": fill,
            "mec": "black",
            "mew": 0.8,
            "ms": size,
            "ls": "none",
        }
        handles.setdefault(
            p.kind, ax.plot(*p.point, **look, zorder=6.5, clip_on=False, label=p.kind)[0]
        )
    return list(handles.values())


def _panel(shown: Landscape, ax: Axes, legend: bool, panel: str) -> None:
    """Energy, speed or value against time, of the first start."""
    handles: list[Artist] = []
    names = {"energy": "energy", "speed": "speed", "value": r"$f - f_{\mathrm{least}}$"}
    looks = style.looks([*shown.flows, *shown.iterates])
    courses = {**shown.flow_courses, **shown.courses}
    with style.picture(ax, 0.85, "time $t$", names[panel], handles, legend) as ax:
        for name, course in courses.items():
            owner = name.removesuffix(", flow")
            look = looks[owner] if owner in shown.courses else looks[name]
            line: Any = {"color": look.color, "lw": 1.4}
            if owner != name:
                line |= {"lw": 1.0, "ls": (0, (4, 1.5))}
            elif name in shown.courses:
                line |= _marks(look, course.f.shape[1]) | {"lw": 0.8}
            label = f"{style.titled(owner)}, flow" if owner != name else style.titled(name)
            values = _against_time(course, shown.least, panel)
            handles += ax.plot(course.t[0], values, **line, label=label, zorder=3)
        if panel == "energy" and len(shown.courses or shown.flow_courses) == 1:
            (course,) = (shown.courses or shown.flow_courses).values()
            height, motion = course.f[0] - shown.least, course.kinetic[0]
            parts = (
                (height, "black", 1, r"height, $f - f_{\mathrm{least}}$"),
                (motion, style.TINTS[0], 2, r"motion, $|\dot x|^2 / 2$"),
            )
            for part, color, dash, label in parts:
                handles += ax.plot(
                    course.t[0], part, color=color, ls=style.DASHES[dash], lw=1.0, label=label
                )
        ax.set_ylim(bottom=0)


def _against_time(course: Course, least: float, panel: str) -> Float[np.ndarray, " k"]:
    height = course.f[0] - least
    found: Float[np.ndarray, " k"] = height + course.kinetic[0]
    if panel != "energy":
        found = course.speed[0] if panel == "speed" else height
    return found
