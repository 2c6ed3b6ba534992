"""Pictures of branches and of critical curves, drawn from their data alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..._support.errors import OdescentError
from ..._support.style import MARKERS, picture, series_style
from .basins import _label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from ..branches.boundary import StabilityBoundary
    from ..branches.branch import SolutionBranch
    from ..branches.continuation import Continuation
    from ..branches.critical_curve import CriticalCurve

_ORDER = (
    "fold", "transcritical", "pitchfork", "branch point", "Hopf", "period doubling", "Neimark-Sacker", "multiple"
)  # fmt: skip
_SHAPES = (*MARKERS, "*")


def draw_branches(c: Continuation, ax: Axes | None = None, component: int = 0) -> Axes:
    """Draw the branches against the parameter: solid where they are stable, dashed where not.

    Args:
        c: the branches; of cycles of flows the least and the largest value are drawn.
        ax: the axes to draw into; None makes a figure.
        component: of the output, in row-major order.

    Raises:
        OdescentError: no such component.
    """
    shape = c.branches[0].x.shape[2:]
    size = int(np.prod(shape))
    if not 0 <= component < size:
        raise OdescentError(f"the output has {size} components; there is no number {component}.")
    ylabel = "$x$" if size == 1 else f"$x_{{{component}}}$"
    handles: list[Any] = []
    with picture(ax, 0.75, _label(c.parameter), ylabel, handles=handles) as ax:
        kinds = list(dict.fromkeys(b.kind for b in c.branches))
        for b in c.branches:
            _draw_branch(ax, b, series_style(kinds.index(b.kind)).color, component, size)
        handles += _legend(c, kinds)
        for s in c.special:
            mark = _mark(s.kind)
            rows = s.x.reshape(len(s.x), -1)[:, component]
            ax.plot(np.full(len(rows), s.value), rows, **mark)
        ax.set_xlim(*c.interval)
    return ax


def _draw_branch(ax: Axes, b: SolutionBranch, colour: str, component: int, size: int) -> None:
    """One branch; every stretch of equal stability reaches to the next one."""
    columns = b.x.reshape(len(b.values), -1, size)[..., component]
    change = np.flatnonzero(np.diff(b.stable.astype(int))) + 1
    for first, last in zip([0, *change], [*change, len(b.values)], strict=True):
        part = slice(first, min(last + 1, len(b.values)))
        dash = "-" if b.stable[first] else (0, (3, 1.5))
        ax.plot(b.values[part], columns[part], color=colour, ls=dash, lw=1.0)


def _mark(kind: str) -> dict[str, Any]:
    shape = _SHAPES[_ORDER.index(kind)] if kind in _ORDER else MARKERS[-1]
    size = 6 if shape == "*" else 4
    return {"ls": "none", "marker": shape, "ms": size, "mfc": "white", "mec": "black", "mew": 0.8}


def _legend(c: Continuation, kinds: list[str]) -> list[Any]:
    from matplotlib.lines import Line2D

    made = [Line2D([], [], color=series_style(i).color, label=kind) for i, kind in enumerate(kinds)]
    if any(not b.stable.all() for b in c.branches):
        made.append(Line2D([], [], color="#666666", ls=(0, (3, 1.5)), label="unstable"))
    for kind in dict.fromkeys(s.kind for s in c.special):
        made.append(Line2D([], [], label=kind, **_mark(kind)))
    return made


def draw_critical(c: CriticalCurve, ax: Axes | None = None) -> Axes:
    """Draw the curve in the plane of its two parameters, with the points of codimension two.

    Args:
        c: the curve.
        ax: the axes to draw into; None makes a figure.
    """
    first, second = (_label(n) for n in c.parameters)
    with picture(ax, 0.75, first, second) as ax:
        lines = len(ax.lines)
        ax.plot(
            c.values[:, 0], c.values[:, 1], color=series_style(lines).color, lw=1.0, label=c.kind
        )
        for i, kind in enumerate(dict.fromkeys(s.kind for s in c.special)):
            at = np.array([s.values for s in c.special if s.kind == kind])
            look: Any = {"ls": "none", "marker": MARKERS[i % len(MARKERS)], "ms": 4}
            ax.plot(*at.T, **look, mfc="white", mec="black", mew=0.8, label=kind)
    return ax


def draw_boundary(
    b: StabilityBoundary,
    ax: Axes | None = None,
    continued: Mapping[str, CriticalCurve] | None = None,
) -> Axes:
    """Draw the closed form as lines, and continued curves as rings on them.

    Args:
        b: the boundary.
        ax: the axes to draw into; None makes a figure.
        continued: curves by kind, as of `StabilityBoundary.continued`.
    """
    first, second = (_label(n) for n in b.parameters)
    with picture(ax, 0.75, first, second) as ax:
        for i, (kind, parts) in enumerate(b.curves.items()):
            look = series_style(i)
            for j, part in enumerate(parts):
                label = kind if j == 0 else "_nolegend_"
                ax.plot(*part.T, **look.line, lw=1.2, label=label)
            curve = (continued or {}).get(kind)
            if curve is not None:
                every = max(len(curve.values) // 24, 1)
                ring: dict[str, Any] = {"ls": "none", "marker": look.marker, "ms": 4, "mfc": "none"}
                at = curve.values[::every]
                ax.plot(*at.T, **ring, mec=look.color, mew=0.8, label=f"{kind}, continued")
        ax.set_xlim(*b.intervals[0])
        ax.set_ylim(*b.intervals[1])
    return ax
